"""Statistics of samples of scipy.stats on traced values, by their definitions in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.special as sp

from ..tracer import array as traced
from . import dispatch
from .dispatch import unsupported
from .linalg import operand
from .shapes import axes_of

REBOUND: dict[str, Any] = {}


AXIS_AFTER = {"moment": 1, "pmean": 1}  # arguments before the axis, other than the sample


def checked(name: str, nan_policy: str) -> None:
    """Refuse what no function of samples follows here."""
    if nan_policy != "propagate":
        raise unsupported(f"scipy.stats.{name}", f"nan_policy={nan_policy!r}", "leave the NaNs out first")


def statistic(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function of a sample along an axis. None is the sample as one row, several axes are taken as one; ``keepdims`` and
    ``nan_policy`` are common to all."""
    name = f.__name__
    before = AXIS_AFTER.get(name, 0)

    def of(a: Any, *args: Any, nan_policy: str = "propagate", keepdims: bool = False, **kw: Any) -> Any:
        axis = args[before] if len(args) > before else kw.pop("axis", 0)
        args = (*args[:before], *args[before + 1 :])
        checked(name, nan_policy)
        if kw.get("dtype") is not None:
            raise unsupported(f"scipy.stats.{name}", "dtype", "cast the sample with astype")
        a = operand(a)
        dims = a.ndim
        if isinstance(axis, tuple):
            if kw.get("weights") is not None:
                raise unsupported(f"scipy.stats.{name}", f"weights= and axis={axis!r}", "reshape the sample so that one axis is left")
            axes = axes_of(axis, dims)
            rest = [k for k in range(dims) if k not in axes]
            kept = tuple(1 if k in axes else d for k, d in enumerate(a.shape))
            joined = np.transpose(a, (*rest, *axes)).reshape(*[a.shape[k] for k in rest], -1)
            found = of(joined, *args[:before], -1, *args[before:], **kw)
            return np.reshape(found, kept) if keepdims else found
        if axis is None:
            a, axis = a.reshape(-1), 0
        if not a.size:
            raise unsupported(f"scipy.stats.{name}", "an empty sample", "leave it out")
        found = f(a, axis, *args, **kw)
        if not keepdims:
            return found
        return np.expand_dims(found, axis) if np.ndim(found) == dims - 1 else np.reshape(found, (1,) * dims)

    REBOUND[name] = of
    return f


EPS = np.finfo(float).eps  # samples whose deviation is this part of their mean count as constant


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


def scored(scores: Any, compare: Any, axis: Any, ddof: int) -> tuple[Any, Any, Any]:
    """Scores by the mean and the deviation of a sample, and those two."""
    mean, deviation = np.mean(compare, axis, keepdims=True), np.std(compare, axis, ddof=ddof, keepdims=True)
    return (scores - mean) / deviation, mean, deviation


def zmap(scores: Any, compare: Any, axis: Any = 0, ddof: int = 0, nan_policy: str = "propagate") -> Any:
    checked("zmap", nan_policy)
    return scored(operand(scores), operand(compare), axis, ddof)[0]


def zscore(a: Any, axis: Any = 0, ddof: int = 0, nan_policy: str = "propagate") -> Any:
    checked("zscore", nan_policy)
    a = operand(a)
    scores, mean, deviation = scored(a, a, axis, ddof)
    return np.where(deviation <= np.abs(EPS * mean), np.nan, scores)


def entropy(pk: Any, qk: Any = None, base: Any = None, axis: int = 0, *, nan_policy: str = "propagate", keepdims: bool = False) -> Any:
    checked("entropy", nan_policy)
    p = operand(pk)
    p = p / np.sum(p, axis, keepdims=True)
    if qk is None:
        terms = sp.entr(p)
    else:
        q = operand(qk)
        terms = sp.rel_entr(p, q / np.sum(q, axis, keepdims=True))
    found = np.sum(terms, axis, keepdims=keepdims)
    return found if base is None else found / np.log(base)


class Found:
    """The result of a test or a fit, in the order of SciPy's: what is recorded, then names without a derivative here."""

    def __init__(self, of: str, recorded: dict[str, Any], others: tuple[str, ...]) -> None:
        self.of, self.recorded, self.names = of, recorded, (*recorded, *others)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self.recorded:
            return self.recorded[name]
        raise dispatch.refuse(f"scipy.stats.{self.of}(...).{name}", f"take {', '.join(self.recorded)} of the result")

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, key: Any) -> Any:
        found = self.names[key]
        return tuple(getattr(self, name) for name in found) if isinstance(found, tuple) else getattr(self, found)

    def __iter__(self) -> Iterator[Any]:
        return (getattr(self, name) for name in self.names)


def pearsonr(x: Any, y: Any, *, alternative: str = "two-sided", method: Any = None, axis: int = 0) -> Any:
    x, y = (v - np.mean(v, axis, keepdims=True) for v in (operand(x), operand(y)))
    r = np.sum(x * y, axis) / np.sqrt(np.sum(x * x, axis) * np.sum(y * y, axis))
    return Found("pearsonr", {"statistic": np.clip(r, -1.0, 1.0)}, ("pvalue",))


def linregress(x: Any, y: Any = None, alternative: str = "two-sided") -> Any:
    if y is None:
        raise unsupported("scipy.stats.linregress", "one array", "pass x and y")
    x, y = operand(x), operand(y)
    dx, dy = x - np.mean(x), y - np.mean(y)
    xx, xy, yy = np.sum(dx * dx), np.sum(dx * dy), np.sum(dy * dy)
    slope = xy / xx
    fit = {"slope": slope, "intercept": np.mean(y) - slope * np.mean(x), "rvalue": xy / np.sqrt(xx * yy)}
    return Found("linregress", fit, ("pvalue", "stderr"))


def boxcox(x: Any, lmbda: Any = None, alpha: Any = None, optimizer: Any = None) -> Any:
    if lmbda is None:
        raise unsupported("scipy.stats.boxcox", "no lmbda", "give lmbda, or fit it outside of what is differentiated")
    return sp.boxcox(operand(x), lmbda)


def boxcox_llf(lmb: Any, data: Any, **kw: Any) -> Any:
    x = operand(data)
    return (lmb - 1.0) * np.sum(np.log(x), 0) - 0.5 * x.shape[0] * np.log(np.var(sp.boxcox(x, lmb), 0))


REBOUND |= {f.__name__: f for f in (zscore, zmap, entropy, pearsonr, linregress, boxcox, boxcox_llf)}
