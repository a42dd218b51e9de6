"""The functions of math, cmath and statistics as recorded code calls them: on traced values they record.

They want plain numbers. On these they are themselves; what tells a truth or a whole number of a traced value looks at its value.
"""

from __future__ import annotations

import builtins
import cmath
import functools
import math
import operator
import statistics
import types
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from ..tracer import array as traced
from ..tracer import twins
from . import complex, dispatch

MATH = {
    "sqrt": "sqrt", "exp": "exp", "log": "log", "log2": "log2", "log10": "log10", "log1p": "log1p", "expm1": "expm1",
    "sin": "sin", "cos": "cos", "tan": "tan", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2",
    "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh",
    "pow": "power", "fabs": "abs", "erf": "erf", "erfc": "erfc", "lgamma": "gammaln", "copysign": "copysign",
    "fmod": "fmod", "degrees": "rad2deg", "radians": "deg2rad",
}  # fmt: skip


@functools.cache
def math_twin(name: str) -> Callable[..., Any]:
    """A function of math that records when it meets a traced value."""
    plain = getattr(math, name)
    row = MATH.get(name)
    composed = MATH_COMPOSED.get(name)

    def general(*args: Any, **kw: Any) -> Any:
        if name in ITERATED:
            args = (list(args[0]), *args[1:])
        if traced.find_trace(args) is None and not kw:
            return plain(*args)
        if composed is not None:
            return composed(*args, **kw)
        if row is not None and not (name == "log" and len(args) == 2):
            return traced.elementwise(row, *map(as_number, args))
        if name == "log":
            return traced.elementwise("log", as_number(args[0])) / math_twin("log")(args[1])
        if name not in ON_VALUES and dispatch.any_active(args):
            raise dispatch.refuse(f"math.{name}")
        # what these tell is a number or a truth, and constant around a point
        return plain(*dispatch.values(args), **dispatch.values(kw))

    return twins.MathFunction(plain, general, row)


def as_number(x: Any) -> Any:
    """An operand of a function of math: an array of one element counts as a number."""
    return traced.scalar_of(x) if isinstance(x, traced.TracedArray) else x


def distance(p: Any, q: Any) -> Any:
    p, q = list(p), list(q)
    trace = traced.find_trace((p, q))
    return np.linalg.norm(traced.as_traced(trace, p) - traced.as_traced(trace, q))


def product(items: Any, *, start: Any = 1) -> Any:
    return functools.reduce(operator.mul, items, start)


def remainder(x: Any, y: Any) -> Any:
    """x minus the nearest multiple of y."""
    return x - traced.elementwise("rint", x / y) * y


MATH_COMPOSED: dict[str, Callable[..., Any]] = {
    "hypot": lambda *args: traced.elementwise("hypot", *args) if len(args) == 2 else np.linalg.norm(traced.asarray(list(args))),
    "fsum": lambda items: np.sum(traced.asarray(items)),
    "prod": product,
    "dist": distance,
    "sumprod": lambda p, q: sum(a * b for a, b in zip(p, q, strict=True)),
    "gamma": lambda x: special_function("gamma")(as_number(x)),
    "cbrt": lambda x: traced.elementwise("cbrt", as_number(x)),
    "exp2": lambda x: traced.elementwise("exp2", as_number(x)),
    "fma": lambda x, y, z: x * y + z,
    "remainder": remainder,
    "ldexp": lambda x, k: x * 2.0 ** int(k),
    "modf": lambda x: (x - traced.elementwise("trunc", x), traced.elementwise("trunc", x)),
    "frexp": lambda x: np.frexp(x),
}
ITERATED = frozenset({"fsum", "prod"})
ON_VALUES = frozenset("floor ceil trunc isnan isinf isfinite isclose".split())


def special_function(name: str) -> Any:
    dispatch.load()
    from . import special

    return special.TABLE[name]


# function of cmath -> the function of NumPy that gives the same for complex numbers
CMATH = {
    "sqrt": np.sqrt, "exp": np.exp, "log10": np.log10, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
}  # fmt: skip
CMATH_COMPOSED: dict[str, Callable[..., Any]] = {
    "log": lambda z, *base: np.log(as_complex(z)) / np.log(as_complex(*base)) if base else np.log(as_complex(z)),
    "phase": lambda z: np.angle(as_complex(z)),
    "polar": lambda z: (np.abs(as_complex(z)), np.angle(as_complex(z))),
    "rect": lambda r, phi: r * np.cos(phi) + 1j * (r * np.sin(phi)),
}
ON_VALUES_OF_COMPLEX = frozenset("isnan isinf isfinite isclose".split())


def as_complex(z: Any) -> Any:
    """An operand of a function of cmath: real numbers count as complex ones."""
    return complex.promoted(as_number(z), np.complex128) if traced.is_traced(z) else builtins.complex(z)


@functools.cache
def cmath_twin(name: str) -> Callable[..., Any]:
    """A function of cmath that records when it meets a traced value."""
    plain = getattr(cmath, name)
    same, composed = CMATH.get(name), CMATH_COMPOSED.get(name)

    @functools.wraps(plain)
    def of(*args: Any, **kw: Any) -> Any:
        if traced.find_trace(args) is None and not kw:
            return plain(*args)
        if same is not None:
            return same(*map(as_complex, args))
        if composed is not None:
            return composed(*args)
        if name not in ON_VALUES_OF_COMPLEX and dispatch.any_active(args):
            raise dispatch.refuse(f"cmath.{name}")
        return plain(*dispatch.values(args), **dispatch.values(kw))

    return of


def columns(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of samples, which may come as any iterables, as one of arrays."""

    def of(*samples: Any, **kw: Any) -> Any:
        kw = {name: traced.asarray(x) if isinstance(x, list) and traced.find_trace(x) is not None else x for name, x in kw.items()}
        return function(*[traced.asarray(x) if traced.find_trace(x) is not None else np.asarray(x, dtype=float) for x in samples], **kw)

    return of


def spread(ddof: int, root: bool) -> Callable[..., Any]:
    """A variance or a standard deviation, about the mean or another centre."""

    def of(x: Any, center: Any = None) -> Any:
        if len(x) <= ddof:
            raise statistics.StatisticsError(f"{traced.where_text()}variance requires at least two data points")
        squares = np.sum((x - (np.mean(x) if center is None else center)) ** 2) / (len(x) - ddof)
        return np.sqrt(squares) if root else squares

    return columns(of)


def middle(low: bool, high: bool) -> Callable[..., Any]:
    def of(x: Any) -> Any:
        x, n = np.sort(x), len(x)
        return x[(n - 1) // 2] if low and not high else x[n // 2] if high and not low else 0.5 * (x[(n - 1) // 2] + x[n // 2])

    return columns(of)


def harmonic_mean(x: Any, weights: Any = None) -> Any:
    known = dispatch.known(x)
    if known is not None and np.any(np.asarray(known) < 0):
        raise statistics.StatisticsError(f"{traced.where_text()}harmonic mean does not support negative values")
    w = np.ones(len(x)) if weights is None else weights
    return np.sum(w) / np.sum(w / x)


def covariance(x: Any, y: Any) -> Any:
    return np.sum((x - np.mean(x)) * (y - np.mean(y))) / (len(x) - 1)


def correlation(x: Any, y: Any) -> Any:
    dx, dy = x - np.mean(x), y - np.mean(y)
    return np.sum(dx * dy) / np.sqrt(np.sum(dx * dx) * np.sum(dy * dy))


STATISTICS: dict[str, Callable[..., Any]] = {
    "mean": columns(np.mean), "fmean": columns(lambda x, weights=None: np.average(x, weights=weights)),
    "geometric_mean": columns(lambda x: np.exp(np.mean(np.log(x)))), "harmonic_mean": columns(harmonic_mean),
    "variance": spread(1, False), "pvariance": spread(0, False), "stdev": spread(1, True), "pstdev": spread(0, True),
    "median": middle(True, True), "median_low": middle(True, False), "median_high": middle(False, True),
    "covariance": columns(covariance), "correlation": columns(correlation),
}  # fmt: skip


@functools.cache
def statistics_twin(name: str) -> Callable[..., Any]:
    """A function of statistics that records when it meets a traced value."""
    plain = getattr(statistics, name)
    ours = STATISTICS.get(name)
    if isinstance(plain, type):
        return cast("Callable[..., Any]", plain)

    @functools.wraps(plain)
    def of(*args: Any, **kw: Any) -> Any:
        args, kw = tuple(map(listed, args)), {key: listed(x) for key, x in kw.items()}
        if traced.find_trace(args) is None and traced.find_trace(kw) is None:
            return plain(*args, **kw)
        if ours is not None:
            return ours(*args, **kw)
        if dispatch.any_active((args, kw)):
            raise dispatch.refuse(f"statistics.{name}")
        return plain(*dispatch.values(args), **dispatch.values(kw))

    return of


def listed(x: Any) -> Any:
    """A sample from an iterator as a list, since it is looked at more than once."""
    return list(x) if hasattr(x, "__next__") else x


class Module:
    """math, cmath or statistics, with functions that accept traced values."""

    def __init__(self, plain: types.ModuleType, twin_of: Callable[[str], Any]) -> None:
        self._plain = plain
        self._twin_of = twin_of

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._plain, name)
        self.__dict__[name] = twin = self._twin_of(name) if callable(value) else value
        return twin


TWINS_OF: dict[str, Callable[[str], Any]] = {"math": math_twin, "cmath": cmath_twin, "statistics": statistics_twin}
MODULES = {module: Module(module, TWINS_OF[module.__name__]) for module in (math, cmath, statistics)}


def builtin_twin(f: types.BuiltinFunctionType | types.FunctionType) -> Any:
    """What stands for a function of math, cmath or statistics; None for any other."""
    twin_of = TWINS_OF.get(getattr(f, "__module__", None) or "")
    return twin_of and twin_of(f.__name__)
