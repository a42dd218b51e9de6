"""scipy.interpolate with adcore's derivatives; objects made of these classes may be kept anywhere and called on traced values."""

import sys

from ..front import namespaces
from ..front.scipy_interpolate import (
    Akima1DInterpolator,
    BSpline,
    CubicHermiteSpline,
    CubicSpline,
    InterpolatedUnivariateSpline,
    LSQUnivariateSpline,
    NdBSpline,
    PchipInterpolator,
    PPoly,
    RectBivariateSpline,
    RegularGridInterpolator,
    UnivariateSpline,
    interp1d,
    interpn,
    make_interp_spline,
    make_lsq_spline,
    pchip_interpolate,
    splantider,
    splder,
    splev,
    splint,
    splrep,
)

__all__ = [
    "Akima1DInterpolator",
    "BSpline",
    "CubicHermiteSpline",
    "CubicSpline",
    "InterpolatedUnivariateSpline",
    "LSQUnivariateSpline",
    "NdBSpline",
    "PPoly",
    "PchipInterpolator",
    "RectBivariateSpline",
    "RegularGridInterpolator",
    "UnivariateSpline",
    "interp1d",
    "interpn",
    "make_interp_spline",
    "make_lsq_spline",
    "pchip_interpolate",
    "splantider",
    "splder",
    "splev",
    "splint",
    "splrep",
]

__getattr__, __dir__ = namespaces.of_scipy(sys.modules[__name__], "scipy.interpolate")
