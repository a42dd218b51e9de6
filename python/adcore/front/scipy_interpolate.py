"""scipy.interpolate on traced values: by the data that are interpolated and by the points, not by the knots.

Each class stands for SciPy's of the same name, whether it is made inside a differentiated function (from data that may be
traced) or outside (`instance`), and computes by SciPy's where nothing is traced.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.interpolate as plain

from ..tracer import array as traced
from . import dispatch, splines
from .dispatch import unsupported
from .linalg import operand
from .splines import Basis, constant, hermite, scalar, values_at

# functions and classes of scipy.interpolate, which go past NumPy's protocols: reached by rebinding of names
REBOUND: dict[str, Any] = {}


def twin(f: Any) -> Any:
    REBOUND[f.__name__] = f
    f.decides = True  # where nothing is traced, too: the result may be called on what is
    return f


def met(*args: Any) -> bool:
    """Is one of these traced?"""
    return traced.find_trace(args) is not None


def differentiated(x: Any) -> bool:
    return met(x) and dispatch.any_active(x)


OUTSIDE = {True: "extrapolate", False: "nan", "periodic": "periodic"}


def moved_axis(y: Any, points: int, axis: int) -> Any:
    """A result with the axes of the points where the axis of the data was."""
    if not axis:
        return y
    axes = list(range(len(y.shape)))
    return np.transpose(y, axes[points : points + axis] + axes[:points] + axes[points + axis :])


class Univariate:
    """Coefficients c along first axes, and the axis of the data that the points stand for."""

    name: str
    c: Any
    axis: int
    extrapolate: Any

    def at(self, basis: Basis, knots: Any, x: Any) -> Any:
        x = x if traced.is_traced(x) else operand(x)
        return moved_axis(values_at(basis, [knots], self.c, [x]), len(np.shape(x)), self.axis)

    def plain(self) -> Any:
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        """What has no derivative: roots, pieces, and whatever else SciPy's object has."""
        if name.startswith("_") or "c" not in self.__dict__:
            raise AttributeError(name)
        if differentiated(self.c):
            raise dispatch.refuse(f"scipy.interpolate.{type(self).__name__}.{name}", "it is computed on values", "y")
        return getattr(self.plain(), name)

    def integrate(self, a: Any, b: Any, extrapolate: Any = None) -> Any:
        extrapolate = self.extrapolate if extrapolate is None else extrapolate
        if not met(a, b, self.c):
            return self.plain().integrate(a, b, extrapolate)
        area = self.antiderivative()
        if extrapolate != "periodic":
            return area(b, 0, extrapolate) - area(a, 0, extrapolate)
        low, high = self.interval()
        whole = area(high, 0, True) - area(low, 0, True)

        def upto(x: Any) -> Any:
            periods = np.floor((traced.value_of(x) - low) / (high - low))
            return area(x - periods * (high - low), 0, True) + periods * whole

        return upto(b) - upto(a)

    def antiderivative(self, nu: int = 1) -> Any:
        raise NotImplementedError

    def interval(self) -> tuple[float, float]:
        raise NotImplementedError


# -- piecewise polynomials -----------------------------------------------------------------------------------------------


@twin
class PPoly(Univariate):
    def __init__(self, c: Any, x: Any, extrapolate: Any = None, axis: int = 0) -> None:
        if not met(c, x):
            self.take(plain.PPoly(c, x, extrapolate, axis))
            return
        c = operand(c)
        axis = axis % (c.ndim - 1)
        self.take_values(np.moveaxis(np.moveaxis(c, axis + 1, 0), axis + 1, 0), constant("PPoly", "x", x), extrapolate, axis)

    def take(self, made: Any) -> None:
        """Be the same as an object of SciPy."""
        self.take_values(made.c, made.x, made.extrapolate, made.axis)

    def take_values(self, c: Any, x: Any, extrapolate: Any, axis: int) -> None:
        self.c, self.x, self.axis = c, x, axis
        self.extrapolate = extrapolate if extrapolate == "periodic" else extrapolate is None or bool(extrapolate)

    @classmethod
    def of(cls, c: Any, x: Any, extrapolate: Any, axis: int) -> PPoly:
        made = PPoly.__new__(PPoly)
        made.take_values(c, x, extrapolate, axis)
        return made

    def plain(self) -> Any:
        return plain.PPoly.construct_fast(traced.value_of(self.c), self.x, self.extrapolate, self.axis)

    def interval(self) -> tuple[float, float]:
        return self.x[0], self.x[-1]

    def __call__(self, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
        extrapolate = self.extrapolate if extrapolate is None else extrapolate
        if not met(x, self.c):
            return self.plain()(x, nu, extrapolate)
        degree = self.c.shape[0] - 1
        if len(self.x) > 1 and self.x[1] < self.x[0]:
            raise unsupported("scipy.interpolate.PPoly", "decreasing breakpoints", "turn them and the pieces around")
        if nu < 0:
            raise ValueError(f"{traced.where_text()}Order of derivative cannot be negative")
        if nu > degree:
            return self.derivative(nu)(x, 0, extrapolate)
        return self.at(Basis(True, (degree,), (nu,), OUTSIDE[extrapolate]), self.x, x)

    def derivative(self, nu: int = 1) -> Any:
        if nu < 0:
            return self.antiderivative(-nu)
        degree = self.c.shape[0] - 1
        if nu > degree:
            return PPoly.of(0.0 * self.c[:1], self.x, self.extrapolate, self.axis)
        factors = np.array([math.perm(k, nu) for k in range(degree, nu - 1, -1)], dtype=float)
        c = self.c[: degree + 1 - nu] * factors[(...,) + (None,) * (self.c.ndim - 1)]
        return PPoly.of(c, self.x, self.extrapolate, self.axis)

    def antiderivative(self, nu: int = 1) -> Any:
        if nu <= 0:
            return self.derivative(-nu)
        c = self.c
        more = (None,) * (c.ndim - 2)
        h = np.diff(self.x)[(..., *more)]
        for _ in range(nu):
            c = c / np.arange(c.shape[0], 0, -1.0)[(..., None, *more)]
            grown: Any = 0.0
            for row in range(c.shape[0]):  # Horner's scheme at the right end of each piece
                grown = (grown + c[row]) * h
            start = np.concatenate([np.zeros((1, *c.shape[2:])), np.cumsum(grown, axis=0)[:-1]])
            c = np.concatenate([c, start[None]])
        return PPoly.of(c, self.x, False if self.extrapolate == "periodic" else self.extrapolate, self.axis)


def prepared(name: str, x: Any, y: Any, axis: int) -> tuple[Any, Any, int]:
    """Knots as numbers, data with the axis that belongs to them first."""
    x, y = constant(name, "x", x), operand(y)
    axis = axis % max(y.ndim, 1)
    if x.ndim != 1 or len(x) < 2 or y.ndim == 0 or y.shape[axis] != len(x):
        raise ValueError(f"{traced.where_text()}x must be a vector of at least 2 numbers, as many as y has along axis {axis}")
    if not np.all(np.isfinite(x)) or np.any(np.diff(x) <= 0.0):
        raise ValueError(f"{traced.where_text()}`x` must be strictly increasing sequence.")
    return x, np.moveaxis(y, axis, 0) if axis else y, axis


class Hermite(PPoly):
    """A piecewise cubic by values and slopes at its breakpoints."""

    def interpolate(self, x: Any, y: Any, axis: int, extrapolate: Any, slopes: Callable[[Any, Any], Any]) -> None:
        x, y, axis = prepared(type(self).__name__, x, y, axis)
        self.take_values(hermite(x, y, slopes(x, y)), x, extrapolate, axis)


@twin
class CubicHermiteSpline(Hermite):
    def __init__(self, x: Any, y: Any, dydx: Any, axis: int = 0, extrapolate: Any = None) -> None:
        if not met(x, y, dydx):
            self.take(plain.CubicHermiteSpline(x, y, dydx, axis, extrapolate))
            return
        self.interpolate(x, y, axis, extrapolate, lambda x, y: np.moveaxis(operand(dydx), axis, 0))


@twin
class PchipInterpolator(Hermite):
    def __init__(self, x: Any, y: Any, axis: int = 0, extrapolate: Any = None) -> None:
        if not met(x, y):
            self.take(plain.PchipInterpolator(x, y, axis, extrapolate))
            return
        self.interpolate(x, y, axis, extrapolate, splines.pchip_slopes)


@twin
class Akima1DInterpolator(Hermite):
    def __init__(self, x: Any, y: Any, axis: int = 0, *, method: str = "akima", extrapolate: Any = None) -> None:
        if not met(x, y):
            self.take(plain.Akima1DInterpolator(x, y, axis, method=method, extrapolate=extrapolate))
            return
        if method not in ("akima", "makima"):
            raise NotImplementedError(f"`method`={method} is unsupported.")
        self.interpolate(x, y, axis, bool(extrapolate), lambda x, y: splines.akima_slopes(x, y, method == "makima"))


@twin
class CubicSpline(Hermite):
    def __init__(self, x: Any, y: Any, axis: int = 0, bc_type: Any = "not-a-knot", extrapolate: Any = None) -> None:
        if not met(x, y, bc_type):
            self.take(plain.CubicSpline(x, y, axis, bc_type, extrapolate))
            return
        sides = (bc_type, bc_type) if isinstance(bc_type, str) else tuple(bc_type)
        if len(sides) != 2 or (not isinstance(bc_type, str) and "periodic" in [s for s in sides if isinstance(s, str)]):
            raise ValueError(f"{traced.where_text()}bc_type is one condition, or one for each end; 'periodic' is for both")
        start, end = map(cubic_condition, sides)
        if start == "periodic":
            closed("CubicSpline", y, axis)
        extrapolate = "periodic" if extrapolate is None and start == "periodic" else extrapolate
        self.interpolate(x, y, axis, extrapolate, lambda x, y: splines.cubic_slopes(x, y, start, end))


def cubic_condition(side: Any) -> Any:
    """The condition at an end of a cubic spline."""
    if isinstance(side, str):
        if side not in ("not-a-knot", "periodic", "clamped", "natural"):
            raise ValueError(f"{traced.where_text()}bc_type={side} is not allowed.")
        return {"clamped": (1, 0.0), "natural": (2, 0.0)}.get(side, side)
    order, value = side
    if order not in (1, 2):
        raise ValueError(f"{traced.where_text()}The specified derivative order must be 1 or 2.")
    return order, value


def closed(name: str, y: Any, axis: int) -> None:
    """Data of a period begin and end alike, as far as their values are known."""
    if not met(y) or traced.has_values(y):
        v = np.moveaxis(traced.known_value(y) if met(y) else np.asarray(y), axis, 0)
        if not np.allclose(v[0], v[-1], rtol=1e-15, atol=1e-15):
            raise ValueError(f"{traced.where_text()}scipy.interpolate.{name}: the first and the last value of a period must be identical")


@twin
def pchip_interpolate(xi: Any, yi: Any, x: Any, der: Any = 0, axis: int = 0) -> Any:
    p = PchipInterpolator(xi, yi, axis)
    return p(x, der) if np.ndim(der) == 0 else [p(x, nu) for nu in der]


# -- B-splines ---------------------------------------------------------------------------------------------------------------


@twin
class BSpline(Univariate):
    def __init__(self, t: Any, c: Any, k: int, extrapolate: Any = True, axis: int = 0) -> None:
        if not met(t, c):
            made = plain.BSpline(t, c, k, extrapolate, axis)
            self.take_values(made.t, made.c, made.k, made.extrapolate, made.axis)
            return
        t, c, k = constant("BSpline", "t", t), operand(c), operator.index(k)
        if t.ndim != 1 or np.any(np.diff(t) < 0.0) or len(t) < 2 * (k + 1) or not np.all(np.isfinite(t)):
            raise ValueError(f"{traced.where_text()}knots must be finite, in nondecreasing order, at least 2 (k + 1) of them")
        axis = axis % max(c.ndim, 1)
        if c.shape[axis] < len(t) - k - 1:
            raise ValueError(f"{traced.where_text()}Knots, coefficients and degree are inconsistent.")
        self.take_values(t, np.moveaxis(c, axis, 0) if axis else c, k, extrapolate, axis)

    def take_values(self, t: Any, c: Any, k: int, extrapolate: Any, axis: int = 0) -> None:
        self.t, self.c, self.k, self.axis = t, c, k, axis
        self.extrapolate = extrapolate if extrapolate == "periodic" else bool(extrapolate)

    @classmethod
    def of(cls, t: Any, c: Any, k: int, extrapolate: Any = True, axis: int = 0) -> BSpline:
        made = BSpline.__new__(BSpline)
        made.take_values(t, c, k, extrapolate, axis)
        return made

    @classmethod
    def basis_element(cls, t: Any, extrapolate: Any = True) -> Any:
        return instance(plain.BSpline.basis_element(constant("BSpline.basis_element", "t", t), extrapolate))

    @staticmethod
    def design_matrix(x: Any, t: Any, k: int, extrapolate: Any = False) -> Any:
        if differentiated((x, t)):
            raise dispatch.refuse("scipy.interpolate.BSpline.design_matrix", "its result is sparse: evaluate the spline itself", "x")
        return plain.BSpline.design_matrix(*dispatch.values([x, t]), k, extrapolate)

    @property
    def tck(self) -> tuple[Any, Any, int]:
        return self.t, self.c, self.k

    def plain(self) -> Any:
        return plain.BSpline.construct_fast(self.t, traced.value_of(self.c), self.k, self.extrapolate, self.axis)

    def interval(self) -> tuple[float, float]:
        return self.t[self.k], self.t[len(self.t) - 1 - self.k]

    def own(self) -> Any:
        """The coefficients that have a function; FITPACK appends zeros."""
        return self.c[: len(self.t) - self.k - 1]

    def __call__(self, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
        extrapolate = self.extrapolate if extrapolate is None else extrapolate
        if not met(x, self.c):
            return self.plain()(x, nu, extrapolate)
        if nu > self.k:
            return 0.0 * BSpline.of(self.t, self.own(), self.k, extrapolate, self.axis)(x)
        trimmed = BSpline.of(self.t, self.own(), self.k, extrapolate, self.axis)
        return trimmed.at(Basis(False, (self.k,), (nu,), OUTSIDE[extrapolate]), self.t, x)

    def derivative(self, nu: int = 1) -> Any:
        if nu < 0:
            return self.antiderivative(-nu)
        if not met(self.c):
            return instance(self.plain().derivative(nu))
        if nu > self.k:
            raise ValueError(f"{traced.where_text()}Order of derivative ({nu}) must be <= order of spline ({self.k})")
        t = self.t[nu : len(self.t) - nu]
        return BSpline.of(t, splines.lowered(self.own(), self.t, self.k, 0, nu), self.k - nu, self.extrapolate, self.axis)

    def antiderivative(self, nu: int = 1) -> Any:
        if nu <= 0:
            return self.derivative(-nu)
        if not met(self.c):
            return instance(self.plain().antiderivative(nu))
        t, c, k = self.t, self.own(), self.k
        for _ in range(nu):
            width = (t[k + 1 :] - t[: -k - 1])[(...,) + (None,) * (c.ndim - 1)] / (k + 1)
            c = np.concatenate([np.zeros((1, *c.shape[1:])), np.cumsum(c * width, axis=0)])
            t, k = np.r_[t[0], t, t[-1]], k + 1
        return BSpline.of(t, c, k, False if self.extrapolate == "periodic" else self.extrapolate, self.axis)


STRINGS = {"clamped": [(1, 0.0)], "natural": [(2, 0.0)], "not-a-knot": None, "periodic": None, None: None}


def conditions(side: Any) -> list[tuple[int, Any]]:
    """The derivatives that are given at an end, [(order, value)]."""
    return (STRINGS[side] or []) if side is None or isinstance(side, str) else list(side)


@twin
def make_interp_spline(x: Any, y: Any, k: int = 3, t: Any = None, bc_type: Any = None, axis: int = 0, check_finite: bool = True) -> Any:
    if not met(x, y, t, bc_type):
        return instance(plain.make_interp_spline(x, y, k, t, bc_type, axis, check_finite))
    x, y, axis = prepared("make_interp_spline", x, y, axis)
    sides = (bc_type, bc_type) if bc_type is None or isinstance(bc_type, str) else tuple(bc_type)
    left, right = map(conditions, sides)
    given = [None if not side else [(order, 0.0) for order, _ in side] for side in (left, right)]
    periodic = bc_type == "periodic"
    # SciPy checks the conditions and finds the knots; the data do not matter for them
    t = None if t is None else constant("make_interp_spline", "t", t)
    like = plain.make_interp_spline(x, np.zeros(len(x)), k, t, "periodic" if periodic else tuple(given))
    if periodic and k > 1:
        closed("make_interp_spline", y, 0)
        return BSpline.of(like.t, splines.interpolating_periodically(x, y, like.t, k), k, "periodic", axis)
    c = y if k == 0 or (k == 1 and t is None) else splines.interpolating(x, y, like.t, k, left, right)
    return BSpline.of(like.t, c, k, like.extrapolate, axis)


@twin
def make_lsq_spline(x: Any, y: Any, t: Any, k: int = 3, w: Any = None, axis: int = 0, check_finite: bool = True, *,
                    method: str = "qr") -> Any:  # fmt: skip
    if not met(x, y, t, w):
        more = {} if method == "qr" else {"method": method}
        return instance(plain.make_lsq_spline(x, y, t, k, w, axis, check_finite, **more))
    t, w = constant("make_lsq_spline", "t", t), None if w is None else constant("make_lsq_spline", "w", w)
    x, y, axis = prepared("make_lsq_spline", x, y, axis)
    return BSpline.of(t, splines.least_squares(x, y, t, k, w), k, True, axis)


@twin
def make_smoothing_spline(x: Any, y: Any, w: Any = None, lam: Any = None, *, axis: int = 0) -> Any:
    if differentiated((x, y, w, lam)):
        name = next(name for name, v in (("x", x), ("y", y), ("w", w), ("lam", lam)) if differentiated(v))
        raise dispatch.refuse("scipy.interpolate.make_smoothing_spline", "use make_lsq_spline with fixed knots", name)
    where = {"axis": axis} if axis else {}  # SciPy 1.15 has no other
    return instance(plain.make_smoothing_spline(*dispatch.values([x, y, w, lam]), **where))


# -- FITPACK's names ---------------------------------------------------------------------------------------------------

BEYOND = {"extrapolate": 0, "zeros": 1, "raise": 2, "const": 3}


@twin
def splrep(x: Any, y: Any, w: Any = None, xb: Any = None, xe: Any = None, k: int = 3, task: int = 0, s: Any = None, t: Any = None,
           full_output: Any = 0, per: Any = 0, quiet: int = 1) -> Any:  # fmt: skip
    if not met(x, y, w, xb, xe, t):
        return plain.splrep(x, y, w, xb, xe, k, task, s, t, full_output, per, quiet)
    if full_output:
        raise unsupported("scipy.interpolate.splrep", "full_output", "leave it away")
    spline = fitted("splrep", x, y, w, (xb, xe), k, (0.0 if w is None else None) if s is None else s, t, per)
    return spline.t, np.concatenate([spline.c, np.zeros(k + 1)]), k


def fitted(name: str, x: Any, y: Any, w: Any, bbox: Any, k: int, s: Any, t: Any, per: Any = 0) -> Any:
    """FITPACK's spline: through the data where s is 0, nearest to them where interior knots t are given."""
    x, y, _ = prepared(name, x, y, 0)
    w = None if w is None else constant(name, "w", w)
    low, high = (edge if b is None else constant(name, "bbox", b) for b, edge in zip(bbox, (x[0], x[-1]), strict=True))
    if per:
        raise unsupported(f"scipy.interpolate.{name}", "per", "use make_interp_spline with bc_type='periodic'")
    if t is not None:
        inner = constant(name, "t", t)
        knots = np.concatenate([np.full(k + 1, low), inner, np.full(k + 1, high)])
        return BSpline.of(knots, splines.least_squares(x, y, knots, k, w), k)
    if s is None or s > 0:
        raise unsupported(f"scipy.interpolate.{name}", f"s={s}", "its knots depend on the data: give s=0, or fixed knots t")
    knots = np.array(plain.make_interp_spline(x, np.zeros(len(x)), k).t)
    knots[: k + 1], knots[len(knots) - k - 1 :] = low, high
    return BSpline.of(knots, splines.interpolating(x, y, knots, k), k)


def parts_of(tck: Any) -> tuple[Any, Any, int, bool]:
    """Knots, coefficients, degree; and are there several splines?"""
    t, c, k = tck.tck if isinstance(tck, BSpline) or hasattr(tck, "tck") else tck
    return constant("splev", "tck[0]", t), c, k, isinstance(c, (list, tuple)) and np.ndim(c[0]) > 0


@twin
def splev(x: Any, tck: Any, der: int = 0, ext: Any = 0) -> Any:
    t, c, k, several = parts_of(tck)
    if not met(x, c):
        return plain.splev(x, tck if isinstance(tck, plain.BSpline) else (t, c, k), der, ext)
    if several:
        return [splev(x, (t, part, k), der, ext) for part in c]
    if not 0 <= der <= k:
        raise ValueError(f"{traced.where_text()}0<=der={der}<=k={k} must hold")
    ext = BEYOND.get(ext, ext)
    if ext not in (0, 1, 2, 3):
        raise ValueError(f"{traced.where_text()}ext = {ext} not in (0, 1, 2, 3)")
    spline = BSpline.of(t, operand(c), k)
    low, high = spline.interval()
    x = x if traced.is_traced(x) else operand(x)
    at = np.clip(x, low, high) if ext == 3 and not der else x
    basis = Basis(False, (k,), (der,), "raise" if ext == 2 else "extrapolate")
    y = values_at(basis, [t], spline.own(), [at])
    return np.where((x >= low) & (x <= high), y, 0.0) if ext == 1 else y


@twin
def splder(tck: Any, n: int = 1) -> Any:
    return of_splines("splder", tck, lambda spline: spline.derivative(n), plain.splder, n)


@twin
def splantider(tck: Any, n: int = 1) -> Any:
    return of_splines("splantider", tck, lambda spline: spline.antiderivative(n), plain.splantider, n)


def of_splines(name: str, tck: Any, f: Any, theirs: Any, n: int) -> Any:
    if isinstance(tck, BSpline):
        return f(tck)
    t, c, k, several = parts_of(tck)
    if not met(c):
        return theirs(tck, n)
    if several:
        raise unsupported(f"scipy.interpolate.{name}", "several splines", "call it for one after the other")
    spline = f(BSpline.of(t, operand(c), k))
    return spline.t, np.concatenate([spline.c, np.zeros(spline.k + 1)]), spline.k


@twin
def splint(a: Any, b: Any, tck: Any, full_output: Any = 0) -> Any:
    t, c, k, several = parts_of(tck)
    if not met(a, b, c):
        return plain.splint(a, b, (t, c, k), full_output)
    if several or full_output:
        raise unsupported("scipy.interpolate.splint", "several splines or full_output", "call it for one after the other")
    spline = BSpline.of(t, operand(c), k)
    low, high = spline.interval()
    area = spline.antiderivative()
    return area(np.clip(b, low, high)) - area(np.clip(a, low, high))


@twin
class UnivariateSpline:
    """FITPACK's spline as an object; s=0 or fixed knots where the data are differentiated."""

    def __init__(self, x: Any, y: Any, w: Any = None, bbox: Any = (None, None), k: int = 3, s: Any = None, ext: Any = 0,
                 check_finite: bool = False) -> None:  # fmt: skip
        self.begin(plain.UnivariateSpline, (x, y, w), bbox, k, ext, s, None, (x, y, w, list(bbox), k, s, ext, check_finite))

    def begin(self, theirs: Any, data: Any, bbox: Any, k: int, ext: Any, s: Any, t: Any, args: Any) -> None:
        self.ext = BEYOND.get(ext, ext)
        self.made: Any = None
        if not met(*data, *bbox, t):
            self.take(theirs(*args))
            return
        x, y, w = data
        self.tck: Any = fitted(theirs.__name__, x, y, w, bbox, k, s, t).tck

    def take(self, made: Any) -> None:
        self.made, self.tck, self.ext = made, made._eval_args, made.ext

    @classmethod
    def of(cls, tck: Any, ext: Any) -> UnivariateSpline:
        made = UnivariateSpline.__new__(UnivariateSpline)
        made.tck, made.ext, made.made = tck, ext, None
        return made

    def __call__(self, x: Any, nu: int = 0, ext: Any = None) -> Any:
        if np.size(x) == 0:
            return np.zeros(np.shape(x))
        return splev(x, self.tck, nu, self.ext if ext is None else ext)

    def get_coeffs(self) -> Any:
        t, c, k = self.tck
        return c[: len(t) - k - 1]

    def get_knots(self) -> Any:
        t, _, k = self.tck
        return t[k : len(t) - k]

    def integral(self, a: Any, b: Any) -> Any:
        return splint(a, b, self.tck)

    def derivatives(self, x: Any) -> Any:
        return np.stack([splev(x, self.tck, nu) for nu in range(self.tck[2] + 1)])

    def derivative(self, n: int = 1) -> Any:
        return UnivariateSpline.of(splder(self.tck, n), 1 if self.ext == 3 else self.ext)

    def antiderivative(self, n: int = 1) -> Any:
        return UnivariateSpline.of(splantider(self.tck, n), self.ext)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "made" not in self.__dict__:
            raise AttributeError(name)
        if self.made is None:
            raise dispatch.refuse(f"scipy.interpolate.{type(self).__name__}.{name}", "it is computed on values", "y")
        return getattr(self.made, name)


@twin
class InterpolatedUnivariateSpline(UnivariateSpline):
    def __init__(self, x: Any, y: Any, w: Any = None, bbox: Any = (None, None), k: int = 3, ext: Any = 0,
                 check_finite: bool = False) -> None:  # fmt: skip
        theirs = plain.InterpolatedUnivariateSpline
        self.begin(theirs, (x, y, None if met(y) else w), bbox, k, ext, 0.0, None, (x, y, w, list(bbox), k, ext, check_finite))


@twin
class LSQUnivariateSpline(UnivariateSpline):
    def __init__(self, x: Any, y: Any, t: Any, w: Any = None, bbox: Any = (None, None), k: int = 3, ext: Any = 0,
                 check_finite: bool = False) -> None:  # fmt: skip
        self.begin(plain.LSQUnivariateSpline, (x, y, w), bbox, k, ext, None, t, (x, y, t, w, list(bbox), k, ext, check_finite))


# -- tables ------------------------------------------------------------------------------------------------------------

# kinds of `interp1d` that choose a neighbour: where the piece of each point begins
NEIGHBOURS = {
    "nearest": lambda x: [x[0], *np.nextafter(x[1:] / 2.0 + x[:-1] / 2.0, np.inf), x[-1]],
    "nearest-up": lambda x: [x[0], *(x[1:] / 2.0 + x[:-1] / 2.0), x[-1]],
    "previous": lambda x: [*x, np.nextafter(x[-1], np.inf)],
    "next": lambda x: [x[0], *np.nextafter(x[:-1], np.inf), x[-1]],
}
SPLINES = {"zero": 0, "slinear": 1, "quadratic": 2, "cubic": 3}


@twin
class interp1d:
    def __init__(self, x: Any, y: Any, kind: Any = "linear", axis: int = -1, copy: Any = True, bounds_error: Any = None,
                 fill_value: Any = np.nan, assume_sorted: bool = False) -> None:  # fmt: skip
        self.made = None if met(x, y, fill_value) else plain.interp1d(x, y, kind, axis, copy, bounds_error, fill_value, assume_sorted)
        x, y = constant("interp1d", "x", x), operand(y)
        axis = axis % max(y.ndim, 1)
        if not assume_sorted and np.any(np.diff(x) < 0.0):
            order = np.argsort(x, kind="stable")
            x, y = x[order], np.take(y, order, axis=axis)
        self.begin(x, np.moveaxis(y, axis, 0) if axis else y, axis, kind, bounds_error, fill_value)
        self.y = y

    def begin(self, x: Any, y: Any, axis: int, kind: Any, bounds_error: Any, fill_value: Any) -> None:
        self.x, self.axis, self.fill_value = x, axis, fill_value
        beyond = isinstance(fill_value, str) and fill_value == "extrapolate"
        if beyond and bounds_error:
            raise ValueError(f"{traced.where_text()}Cannot extrapolate and raise at the same time.")
        self.bounds_error = not beyond if bounds_error is None else bounds_error
        self.fill = None if beyond else fill_value if isinstance(fill_value, tuple) and len(fill_value) == 2 else (fill_value, fill_value)
        if kind in NEIGHBOURS:
            self.spline = BSpline.of(np.array(NEIGHBOURS[kind](x)), y, 0)
            if beyond and kind in ("previous", "next"):
                self.fill = (np.nan, y[-1]) if kind == "previous" else (y[0], np.nan)
        elif kind == "linear":
            self.spline = BSpline.of(np.r_[x[0], x, x[-1]], y, 1)
        elif kind in SPLINES or isinstance(kind, int):
            self.spline = make_interp_spline(x, y, SPLINES.get(kind, kind))
        else:
            raise NotImplementedError(f"{kind} is unsupported: Use fitpack routines for other types.")

    def __call__(self, x: Any) -> Any:
        if self.made is not None and not met(x):
            return self.made(x)
        x = x if traced.is_traced(x) else operand(x)
        low, high = self.x[0], self.x[-1]
        if self.bounds_error:
            y = values_at(Basis(False, (self.spline.k,), (0,), "raise"), [self.spline.t], self.spline.c, [x])
        else:
            at = x if self.fill is None else np.where((x >= low) & (x <= high), x, low)
            y = values_at(Basis(False, (self.spline.k,), (0,)), [self.spline.t], self.spline.c, [at])
        if self.fill is not None and not self.bounds_error:
            places = x[(...,) + (None,) * (len(np.shape(y)) - len(np.shape(x)))] if np.shape(y) != np.shape(x) else x
            y = np.where(places < low, self.fill[0], np.where(places > high, self.fill[1], y))
        return moved_axis(y, len(np.shape(x)), self.axis)


def grid_of(name: str, points: Any) -> list[Any]:
    return [constant(name, f"points[{j}]", p).reshape(-1) for j, p in enumerate(points)]


DEGREES = {"linear": 1, "slinear": 1, "cubic": 3, "quintic": 5}


def tensor_coefficients(grid: Any, values: Any, k: int) -> tuple[list[Any], Any]:
    """Knots for each axis and coefficients of the tensor-product spline through values on a grid."""
    knots = []
    for j, x in enumerate(grid):
        spline = make_interp_spline(x, np.moveaxis(values, j, 0), k)
        knots.append(spline.t)
        values = np.moveaxis(spline.c, 0, j)
    return knots, values


@twin
class RegularGridInterpolator:
    def __init__(self, points: Any, values: Any, method: str = "linear", bounds_error: bool = True, fill_value: Any = np.nan,
                 *, solver: Any = None, solver_args: Any = None) -> None:  # fmt: skip
        self.made: Any = None
        if not met(points, values, fill_value):
            more = {"solver": solver, "solver_args": solver_args}
            self.take(plain.RegularGridInterpolator(points, values, method, bounds_error, fill_value, **more))
            return
        grid, values = grid_of("RegularGridInterpolator", points), operand(values)
        if values.ndim < len(grid) or any(len(x) != n for x, n in zip(grid, values.shape, strict=False)):
            raise ValueError(f"{traced.where_text()}There are {[len(x) for x in grid]} points and values of shape {values.shape}")
        turned = [j for j, x in enumerate(grid) if len(x) > 1 and x[1] < x[0]]
        grid = [x[::-1] if j in turned else x for j, x in enumerate(grid)]
        if any(np.any(np.diff(x) <= 0.0) for x in grid):
            raise ValueError(f"{traced.where_text()}The points must be strictly ascending or descending")
        self.begin(grid, np.flip(values, tuple(turned)) if turned else values, method, bounds_error, fill_value)

    def begin(self, grid: Any, values: Any, method: str, bounds_error: bool, fill_value: Any) -> None:
        self.grid, self.values, self.method = tuple(grid), values, method
        self.bounds_error, self.fill_value = bounds_error, fill_value
        self.known: dict[str, Any] = {}

    def take(self, made: Any) -> None:
        self.made = made
        self.begin(made.grid, made.values, made.method, made.bounds_error, made.fill_value)
        if made._spline is not None:
            self.known[made.method] = [np.asarray(t) for t in made._spline.t], made._spline.c, DEGREES[made.method]

    def spline(self, method: str) -> tuple[list[Any], Any, int]:
        if method not in self.known:
            if method == "nearest":
                knots, c, k = [np.array(NEIGHBOURS["nearest"](x)) for x in self.grid], self.values, 0
            elif method in DEGREES:
                k = DEGREES[method]
                knots, c = tensor_coefficients(self.grid, self.values, k)
            else:
                what = "scipy.interpolate.RegularGridInterpolator"
                raise unsupported(what, f"method={method!r}", f"use one of nearest, {', '.join(DEGREES)}")
            self.known[method] = knots, c, k
        found: tuple[list[Any], Any, int] = self.known[method]
        return found

    def __call__(self, xi: Any, method: Any = None, *, nu: Any = None) -> Any:
        if self.made is not None and not met(xi):
            return self.made(xi, method, nu=nu)
        method = self.method if method is None else method
        n = len(self.grid)
        x = tuple_of_points(xi, n)
        knots, c, k = self.spline(method)
        orders = (0,) * n if nu is None else tuple(int(order) for order in nu)
        shape = np.broadcast_shapes(*[np.shape(v) for v in x])
        rest = c.shape[n:]
        if any(order > k for order in orders):
            return np.zeros(shape + rest)
        basis = Basis(False, (k,) * n, orders, "raise" if self.bounds_error else "extrapolate")
        y = values_at(basis, knots, c, x)
        if not self.bounds_error and self.fill_value is not None:
            inside: Any = True
            for grid, v in zip(self.grid, x, strict=True):
                inside = (v >= grid[0]) & (v <= grid[-1]) & inside
            y = np.where(inside[(...,) + (None,) * len(rest)] if rest else inside, y, self.fill_value)
        return y


def tuple_of_points(xi: Any, n: int) -> list[Any]:
    """The coordinates of points, an array of one shape for each variable."""
    if isinstance(xi, tuple) and len(xi) == n and not (n > 1 and all(np.ndim(v) == 0 for v in xi)):
        shape = np.broadcast_shapes(*[np.shape(v) for v in xi])
        return [np.broadcast_to(v if traced.is_traced(v) else operand(v), shape) for v in xi]
    x = operand(xi)
    if x.ndim == 1:
        x = x[:, None] if n == 1 else x[None, :]
    if x.shape[-1] != n:
        raise ValueError(f"{traced.where_text()}The sample points xi have dimension {x.shape[-1]}, the grid has {n}")
    return [x[..., j] for j in range(n)]


@twin
def interpn(points: Any, values: Any, xi: Any, method: str = "linear", bounds_error: bool = True, fill_value: Any = np.nan) -> Any:
    if not met(points, values, xi, fill_value):
        return plain.interpn(points, values, xi, method, bounds_error, fill_value)
    if method == "splinef2d":
        raise unsupported("scipy.interpolate.interpn", "method='splinef2d'", "use RectBivariateSpline")
    return RegularGridInterpolator(points, values, method, bounds_error, fill_value)(xi)


@twin
class NdBSpline:
    def __init__(self, t: Any, c: Any, k: Any, *, extrapolate: Any = None) -> None:
        self.t = tuple(constant("NdBSpline", f"t[{j}]", v) for j, v in enumerate(t))
        self.k = (int(k),) * len(self.t) if np.ndim(k) == 0 else tuple(int(v) for v in k)
        self.c, self.extrapolate = operand(c), extrapolate is None or bool(extrapolate)

    def __call__(self, xi: Any, *, nu: Any = None, extrapolate: Any = None) -> Any:
        extrapolate = self.extrapolate if extrapolate is None else extrapolate
        if not met(xi, self.c):
            return plain.NdBSpline(self.t, self.c, self.k, extrapolate=self.extrapolate)(xi, nu=nu, extrapolate=extrapolate)
        orders = (0,) * len(self.k) if nu is None else tuple(int(order) for order in nu)
        x = operand(xi)
        places = [x[..., j] for j in range(len(self.k))]
        if any(order > k for order, k in zip(orders, self.k, strict=True)):
            return np.zeros(x.shape[:-1] + self.c.shape[len(self.k) :])
        return values_at(Basis(False, self.k, orders, OUTSIDE[bool(extrapolate)]), self.t, self.c, places)


@twin
class RectBivariateSpline:
    """A tensor product of two splines; s=0 where the data are differentiated. Points beyond the ends count as the ends."""

    def __init__(self, x: Any, y: Any, z: Any, bbox: Any = (None,) * 4, kx: int = 3, ky: int = 3, s: Any = 0, maxit: int = 20) -> None:
        self.made: Any = None
        if not met(x, y, z, bbox):
            more = {} if maxit == 20 else {"maxit": maxit}  # SciPy 1.15 takes none
            self.take(plain.RectBivariateSpline(x, y, z, list(bbox), kx, ky, s, **more))
            return
        if s:
            raise unsupported("scipy.interpolate.RectBivariateSpline", f"s={s}", "its knots depend on the data: use s=0")
        grid, z = grid_of("RectBivariateSpline", (x, y)), operand(z)
        if [len(v) for v in grid] != list(z.shape) or any(np.any(np.diff(v) <= 0.0) for v in grid):
            raise ValueError(f"{traced.where_text()}x and y must be strictly increasing, z an array of shape (x.size, y.size)")
        knots = []
        for j, (v, k) in enumerate(zip(grid, (kx, ky), strict=True)):
            t = np.array(plain.make_interp_spline(v, np.zeros(len(v)), k).t)
            low, high = bbox[2 * j : 2 * j + 2]
            t[: k + 1], t[len(t) - k - 1 :] = v[0] if low is None else low, v[-1] if high is None else high
            z = np.swapaxes(splines.interpolating(v, z, t, k), 0, 1)
            knots.append(t)
        self.knots, self.c, self.degrees = knots, z, (kx, ky)

    def take(self, made: Any) -> None:
        self.made, self.degrees = made, made.degrees
        tx, ty, c = made.tck
        self.knots, self.c = [tx, ty], c.reshape(len(tx) - made.degrees[0] - 1, -1)

    @property
    def tck(self) -> Any:
        return (*self.knots, np.reshape(self.c, (-1,)))

    def place(self, j: int, x: Any) -> Any:
        t, k = self.knots[j], self.degrees[j]
        return np.clip(x if traced.is_traced(x) else operand(x), t[k], t[len(t) - k - 1])

    def __call__(self, x: Any, y: Any, dx: int = 0, dy: int = 0, grid: bool = True) -> Any:
        if self.made is not None and not met(x, y):
            return self.made(x, y, dx, dy, grid)
        if not grid:
            return self.ev(x, y, dx, dy)
        z = self.c
        for j, (v, order) in enumerate(((x, dx), (y, dy))):
            at = np.reshape(self.place(j, v), (-1,))
            z = np.swapaxes(values_at(Basis(False, (self.degrees[j],), (order,)), [self.knots[j]], z, [at]), 0, 1)
        return z

    def ev(self, xi: Any, yi: Any, dx: int = 0, dy: int = 0) -> Any:
        if self.made is not None and not met(xi, yi):
            return self.made.ev(xi, yi, dx, dy)
        places = [self.place(0, xi), self.place(1, yi)]
        if np.ndim(xi) or np.ndim(yi):
            places = tuple_of_points(tuple(places), 2)
        return values_at(Basis(False, self.degrees, (dx, dy)), self.knots, self.c, places)

    def integral(self, xa: Any, xb: Any, ya: Any, yb: Any) -> Any:
        if self.made is not None and not met(xa, xb, ya, yb):
            return self.made.integral(xa, xb, ya, yb)
        z = self.c
        for j, (a, b) in enumerate(((xa, xb), (ya, yb))):
            area = BSpline.of(self.knots[j], z, self.degrees[j]).antiderivative()
            z = area(self.place(j, b)) - area(self.place(j, a))
        return scalar(z)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or self.__dict__.get("made") is None:
            if name.startswith("_"):
                raise AttributeError(name)
            raise dispatch.refuse(f"scipy.interpolate.RectBivariateSpline.{name}", "it is computed on values", "z")
        return getattr(self.made, name)


# -- objects of SciPy's --------------------------------------------------------------------------------------------------


@functools.cache
def kinds() -> dict[type, Any]:
    """SciPy's classes, and ours for them."""
    return {getattr(plain, name): ours for name, ours in REBOUND.items() if isinstance(ours, type)}


def instance(value: Any) -> Any:
    """What stands for an interpolant that SciPy made."""
    ours = next((kinds()[kind] for kind in type(value).__mro__ if kind in kinds()), None)
    if ours is None:
        return value
    made = ours.__new__(ours)
    if isinstance(made, BSpline):
        made.take_values(value.t, value.c, value.k, value.extrapolate, value.axis)
    elif isinstance(made, NdBSpline):
        return NdBSpline(value.t, value.c, value.k, extrapolate=value.extrapolate)
    elif isinstance(made, interp1d):
        kind = value._spline.k if value._kind == "spline" else value._kind
        made.made, made.y = value, value.y
        made.begin(value.x, np.moveaxis(value.y, value.axis, 0), value.axis, kind, value.bounds_error, value.fill_value)
    else:
        made.take(value)
    return made


KNOTS = "its knots or weights depend on the data: use CubicSpline, make_interp_spline or make_lsq_spline"
SCATTERED = "scattered data: interpolate on a grid with RegularGridInterpolator, or write the sum of kernels with NumPy"
POLYNOMIAL = "write the polynomial with np.polyfit and np.polyval, or use a spline"
REFUSED = {
    **dict.fromkeys("splprep bisplrep make_splrep make_splprep generate_knots SmoothBivariateSpline LSQBivariateSpline "
                    "RectSphereBivariateSpline SmoothSphereBivariateSpline LSQSphereBivariateSpline".split(), KNOTS),
    **dict.fromkeys("griddata LinearNDInterpolator NearestNDInterpolator CloughTocher2DInterpolator Rbf "
                    "RBFInterpolator".split(), SCATTERED),
    **dict.fromkeys("BarycentricInterpolator KroghInterpolator FloaterHormannInterpolator AAA barycentric_interpolate krogh_interpolate "
                    "lagrange pade approximate_taylor_polynomial".split(), POLYNOMIAL),
    **dict.fromkeys("BPoly NdPPoly BivariateSpline".split(), "use PPoly, BSpline or RectBivariateSpline"),
    **dict.fromkeys("spalde sproot insert bisplev interp2d".split(), "use BSpline, splev or RectBivariateSpline"),
}  # fmt: skip
