"""Statistics of samples of scipy.stats on traced values, by their definitions in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special as sp

from ..tracer import array as traced
from . import dispatch
from .dispatch import unsupported
from .linalg import operand

REBOUND: dict[str, Any] = {}


def statistic(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function of a sample along an axis; None is the sample as one row. ``keepdims`` and ``nan_policy`` are common to all."""

    def of(a: Any, *args: Any, axis: Any = 0, nan_policy: str = "propagate", keepdims: bool = False, **kw: Any) -> Any:
        if nan_policy != "propagate":
            raise unsupported(f"scipy.stats.{f.__name__}", f"nan_policy={nan_policy!r}", "leave the NaNs out first")
        a = operand(a)
        dims = a.ndim
        if kw.get("dtype") is not None:
            raise unsupported(f"scipy.stats.{f.__name__}", "dtype", "cast the sample with astype")
        if isinstance(axis, tuple):
            raise unsupported(f"scipy.stats.{f.__name__}", f"axis={axis!r}", "reshape the sample so that one axis is left")
        if axis is None:
            a, axis = a.reshape(-1), 0
        if not a.size:
            raise unsupported(f"scipy.stats.{f.__name__}", "an empty sample", "leave it out")
        found = f(a, axis, *args, **kw)
        if not keepdims:
            return found
        return np.expand_dims(found, axis) if np.ndim(found) == dims - 1 else np.reshape(found, (1,) * dims)

    def with_axis(a: Any, *args: Any, **kw: Any) -> Any:
        first = AXIS_AFTER.get(f.__name__, 0)
        if len(args) > first:
            kw["axis"] = args[first]
            args = (*args[:first], *args[first + 1 :])
        return of(a, *args, **kw)

    REBOUND[f.__name__] = with_axis
    return f


EPS = np.finfo(float).eps  # samples whose deviation is this part of their mean count as constant
AXIS_AFTER = {"moment": 1, "pmean": 1}  # arguments before the axis, other than the sample


def central(a: Any, axis: int, order: int) -> Any:
    return np.mean((a - np.mean(a, axis, keepdims=True)) ** order, axis)


@statistic
def moment(a: Any, axis: int, order: int = 1, *, center: Any = None) -> Any:
    if np.ndim(order):
        raise unsupported("scipy.stats.moment", "several orders", "call it once for each")
    if dispatch.any_active(order):
        raise dispatch.refuse("scipy.stats.moment", "it is an integer", "order")
    n = float(traced.value_of(order))
    if n != round(n):
        raise ValueError(f"{traced.where_text()}All elements of `order` must be integral.")
    if center is None and n == 1:
        return 0.0 * np.sum(a, axis)
    return central(a, axis, int(n)) if center is None else np.mean((a - center) ** int(n), axis)


def spread(a: Any, axis: int) -> Any:
    """The variance of samples; NaN for those whose values are all alike, as in SciPy."""
    variance = central(a, axis, 2)
    return np.where(variance <= (EPS * np.mean(a, axis)) ** 2, np.nan, variance)


@statistic
def skew(a: Any, axis: int, bias: bool = True) -> Any:
    n = a.shape[axis]
    found = central(a, axis, 3) / spread(a, axis) ** 1.5
    return found if bias or n < 3 else math.sqrt((n - 1.0) * n) / (n - 2.0) * found


@statistic
def kurtosis(a: Any, axis: int, fisher: bool = True, bias: bool = True) -> Any:
    n = a.shape[axis]
    found = central(a, axis, 4) / spread(a, axis) ** 2
    if not bias and n > 3:
        found = 1.0 / (n - 2) / (n - 3) * ((n**2 - 1.0) * found - 3.0 * (n - 1) ** 2) + 3.0
    return found - 3.0 if fisher else found


def weighted(a: Any, axis: int, weights: Any) -> Any:
    return np.mean(a, axis) if weights is None else np.average(a, axis, weights)


def of_positive(a: Any, axis: int, found: Any) -> Any:
    """A mean that negative values have none of: NaN there, as in SciPy."""
    return np.where(np.any(a < 0, axis), np.nan, found)


@statistic
def gmean(a: Any, axis: int, dtype: Any = None, weights: Any = None) -> Any:
    return np.exp(weighted(np.log(a), axis, weights))


@statistic
def hmean(a: Any, axis: int, dtype: Any = None, *, weights: Any = None) -> Any:
    return of_positive(a, axis, 1.0 / weighted(1.0 / a, axis, weights))


@statistic
def pmean(a: Any, axis: int, p: Any, *, dtype: Any = None, weights: Any = None) -> Any:
    if dispatch.any_active(p) or np.ndim(p):
        raise unsupported("scipy.stats.pmean", "a power that is differentiated or an array", "write the mean of powers with NumPy")
    p = traced.value_of(p)
    if p == 0:
        return np.exp(weighted(np.log(a), axis, weights))
    return of_positive(a, axis, weighted(a**p, axis, weights) ** (1.0 / p))


@statistic
def sem(a: Any, axis: int, ddof: int = 1) -> Any:
    return np.std(a, axis, ddof=ddof) / math.sqrt(a.shape[axis])


@statistic
def variation(a: Any, axis: int, *, ddof: int = 0) -> Any:
    return np.std(a, axis, ddof=ddof) / np.mean(a, axis)


@statistic
def gstd(a: Any, axis: int, ddof: int = 1) -> Any:
    return np.exp(np.std(np.log(a), axis, ddof=ddof))


def zmap(scores: Any, compare: Any, axis: Any = 0, ddof: int = 0, nan_policy: str = "propagate") -> Any:
    if nan_policy != "propagate":
        raise unsupported("scipy.stats.zmap or zscore", f"nan_policy={nan_policy!r}", "leave the NaNs out first")
    if isinstance(axis, tuple):
        raise unsupported("scipy.stats.zmap or zscore", f"axis={axis!r}", "reshape the sample so that one axis is left")
    scores, compare = operand(scores), operand(compare)
    mean, deviation = np.mean(compare, axis, keepdims=True), np.std(compare, axis, ddof=ddof, keepdims=True)
    return (scores - mean) / deviation


def zscore(a: Any, axis: Any = 0, ddof: int = 0, nan_policy: str = "propagate") -> Any:
    scores = zmap(a, a, axis, ddof, nan_policy)
    a = operand(a)
    alike = np.std(a, axis, ddof=ddof, keepdims=True) <= np.abs(EPS * np.mean(a, axis, keepdims=True))
    return np.where(alike, np.nan, scores)


def entropy(pk: Any, qk: Any = None, base: Any = None, axis: int = 0, *, nan_policy: str = "propagate", keepdims: bool = False) -> Any:
    if nan_policy != "propagate":
        raise unsupported("scipy.stats.entropy", f"nan_policy={nan_policy!r}", "leave the NaNs out first")
    p = operand(pk)
    p = p / np.sum(p, axis, keepdims=True)
    if qk is None:
        terms = sp.entr(p)
    else:
        q = operand(qk)
        terms = sp.rel_entr(p, q / np.sum(q, axis, keepdims=True))
    found = np.sum(terms, axis, keepdims=keepdims)
    return found if base is None else found / np.log(base)


class Found(tuple[Any, ...]):
    """The result of a test or a fit: numbers by position and by name; those without a derivative are refused when they are read."""

    names: tuple[str, ...]
    name: str

    @classmethod
    def of(cls, name: str, **numbers: Any) -> Found:
        made = cls(numbers.values())
        made.name, made.names = name, tuple(numbers)
        return made

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in self.names:
            return self[self.names.index(name)]
        raise dispatch.refuse(f"scipy.stats.{self.name}(...).{name}", "only " + ", ".join(self.names) + " are recorded")


class WithPvalue(Found):
    """A statistic and its p-value, which has no derivative here."""

    def __getitem__(self, key: Any) -> Any:
        if key in (1, -1):
            return self.pvalue
        return tuple.__getitem__(self, key)

    def __iter__(self) -> Any:
        raise dispatch.refuse(f"scipy.stats.{self.name}(...).pvalue", "take .statistic of the result")


def pearsonr(x: Any, y: Any, *, alternative: str = "two-sided", method: Any = None, axis: int = 0) -> Any:
    x, y = (v - np.mean(v, axis, keepdims=True) for v in (operand(x), operand(y)))
    r = np.sum(x * y, axis) / np.sqrt(np.sum(x * x, axis) * np.sum(y * y, axis))
    return WithPvalue.of("pearsonr", statistic=r)


def linregress(x: Any, y: Any = None, alternative: str = "two-sided") -> Any:
    if y is None:
        raise unsupported("scipy.stats.linregress", "one array", "pass x and y")
    x, y = operand(x), operand(y)
    dx, dy = x - np.mean(x), y - np.mean(y)
    xx, xy, yy = np.sum(dx * dx), np.sum(dx * dy), np.sum(dy * dy)
    slope = xy / xx
    return Fit.of("linregress", slope=slope, intercept=np.mean(y) - slope * np.mean(x), rvalue=xy / np.sqrt(xx * yy))


class Fit(Found):
    """Slope, intercept and correlation; SciPy's result has a p-value and a standard error after them."""

    def __iter__(self) -> Any:
        raise dispatch.refuse("scipy.stats.linregress(...).pvalue", "take .slope, .intercept and .rvalue of the result")


def boxcox(x: Any, lmbda: Any = None, alpha: Any = None, optimizer: Any = None) -> Any:
    if lmbda is None:
        raise unsupported("scipy.stats.boxcox", "no lmbda", "give lmbda, or fit it outside of what is differentiated")
    return sp.boxcox(operand(x), lmbda)


def boxcox_llf(lmb: Any, data: Any, **kw: Any) -> Any:
    x = operand(data)
    return (lmb - 1.0) * np.sum(np.log(x), 0) - 0.5 * x.shape[0] * np.log(np.var(sp.boxcox(x, lmb), 0))


REBOUND |= {f.__name__: f for f in (zscore, zmap, entropy, pearsonr, linregress, boxcox, boxcox_llf)}
