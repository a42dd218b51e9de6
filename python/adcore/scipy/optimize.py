"""scipy.optimize with adcore's derivatives."""

import sys

from ..front import namespaces
from ..integrations.optimize import (
    bisect,
    brenth,
    brentq,
    curve_fit,
    fixed_point,
    fsolve,
    least_squares,
    minimize,
    minimize_scalar,
    newton,
    ridder,
    root,
    root_scalar,
    toms748,
)

__all__ = [
    "bisect",
    "brenth",
    "brentq",
    "curve_fit",
    "fixed_point",
    "fsolve",
    "least_squares",
    "minimize",
    "minimize_scalar",
    "newton",
    "ridder",
    "root",
    "root_scalar",
    "toms748",
]

__getattr__, __dir__ = namespaces.of_scipy(sys.modules[__name__], "scipy.optimize")
