"""Functions that fold axes away, or run along one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..tracer import array as traced
from .dispatch import METHODS, implements, on_values, store, values
from .shapes import arr, axes_of, axis_of, concatenate, moveaxis, take_along_axis


def finished(result: Any, out: Any, name: str) -> Any:
    return result if out is None else store(name, out, result)


def masked(a: Any, where: Any, fill: float) -> Any:
    """``where=``: elements left out become what does not matter to the reduction."""
    return a if where is True or where is np._NoValue else traced.elementwise("where", where, a, fill)


def with_initial(result: Any, initial: Any, name: str) -> Any:
    return result if initial is np._NoValue else traced.elementwise(name, result, initial)


@implements(np.sum)
def sum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = np._NoValue,
        where: Any = True) -> Any:  # fmt: skip
    a = arr(a)
    if a.dtype == np.bool_:
        return np.sum(traced.value_of(a), axis=axis, keepdims=bool(keepdims))
    if dtype is not None:
        a = traced.cast_to(a, dtype)
    result = traced.reduce("sum", masked(a, where, 0.0), axes_of(axis, len(a.shape)), truth(keepdims))
    return finished(with_initial(result, initial, "add"), out, "sum")


def truth(keepdims: Any) -> bool:
    return keepdims is not np._NoValue and bool(keepdims)


@implements(np.max, np.amax)
def max(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = np._NoValue, where: Any = True) -> Any:
    a = masked(arr(a), where, -math.inf)
    result = traced.reduce("max", a, axes_of(axis, len(a.shape)), truth(keepdims))
    return finished(with_initial(result, initial, "maximum"), out, "max")


@implements(np.min, np.amin)
def min(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = np._NoValue, where: Any = True) -> Any:
    a = masked(arr(a), where, math.inf)
    result = traced.reduce("min", a, axes_of(axis, len(a.shape)), truth(keepdims))
    return finished(with_initial(result, initial, "minimum"), out, "min")


def count(a: Any, axis: Any, where: Any) -> Any:
    """How many elements each result of a reduction folds."""
    axes = axes_of(axis, len(a.shape))
    if where is True or where is np._NoValue:
        return math.prod(a.shape[k] for k in axes)
    return np.sum(np.broadcast_to(values(where), a.shape), axis=axes)


@implements(np.mean)
def mean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True) -> Any:
    a = arr(a)
    total = sum(a if a.dtype != np.bool_ else traced.cast_to(a, np.float64), axis, dtype, None, keepdims, where=where)
    n = count(a, axis, where)
    if truth(keepdims) and np.ndim(n):
        n = np.reshape(n, total.shape)
    return finished(total / n, out, "mean")


@implements(np.var)
def var(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, *, where: Any = True,
        mean: Any = np._NoValue, correction: Any = np._NoValue) -> Any:  # fmt: skip
    a = arr(a)
    ddof = ddof if correction is np._NoValue else correction
    center = globals()["mean"](a, axis, keepdims=True, where=where) if mean is np._NoValue else mean
    squares = traced.elementwise("square", a - center)
    n = count(a, axis, where)
    total = sum(squares, axis, keepdims=keepdims, where=where)
    n = np.maximum(n - ddof, 0) if np.ndim(n) else builtin_max(n - ddof, 0)
    if truth(keepdims) and np.ndim(n):
        n = np.reshape(n, total.shape)
    return finished(total / n, out, "var")


def builtin_max(a: Any, b: Any) -> Any:
    return a if a > b else b


@implements(np.std)
def std(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, **kwargs: Any) -> Any:
    return finished(root_of_squares(var(a, axis, dtype, None, ddof, keepdims, **kwargs)), out, "std")


def root_of_squares(total: Any) -> Any:
    """The square root of a sum of squares; where it is 0, so is its derivative: a subgradient, as for a norm."""
    zero = traced.elementwise("eq", total, 0.0)
    return traced.elementwise("where", zero, 0.0, traced.elementwise("sqrt", traced.elementwise("where", zero, 1.0, total)))


def product_tree(a: Any, axis: int) -> Any:
    """Products by halves: the derivative is exact when factors are zero."""
    lead = (slice(None),) * axis
    while a.shape[axis] > 1:
        n = a.shape[axis]
        pairs = a[(*lead, slice(0, n - n % 2, 2))] * a[(*lead, slice(1, n, 2))]
        a = concatenate([pairs, a[(*lead, slice(n - 1, n))]], axis) if n % 2 else pairs
    return a


@implements(np.prod)
def prod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = np._NoValue,
         where: Any = True) -> Any:  # fmt: skip
    a = masked(arr(a), where, 1.0)
    axes = axes_of(axis, len(a.shape))
    shape = a.shape
    kept = tuple(1 if k in axes else d for k, d in enumerate(shape))
    if any(shape[k] == 0 for k in axes):
        result = traced.new_array(traced.trace_of_value(a), kept, a.dtype, 1.0)
    elif not axes:
        result = a
    else:
        rest = [k for k in range(len(shape)) if k not in axes]
        flat = a.transposed((*rest, *axes)).reshape([*(shape[k] for k in rest), -1])
        result = product_tree(flat, len(rest)).reshape(kept)
    if not truth(keepdims):
        result = result.reshape([d for k, d in enumerate(shape) if k not in axes])
    if not result.shape:
        result = traced.scalar_of(result)
    return finished(with_initial(result, initial, "mul"), out, "prod")


@implements(np.cumsum)
def cumsum(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    a = arr(a)
    if axis is None:
        a, axis = a.reshape(-1), 0
    return finished(traced.cumsum(a, axis_of(axis, len(a.shape)), False), out, "cumsum")


@implements(np.cumprod)
def cumprod(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    a = arr(a)
    if axis is None:
        a, axis = a.reshape(-1), 0
    axis = axis_of(axis, len(a.shape))
    lead = (slice(None),) * axis
    n, step = a.shape[axis], 1
    while step < n:  # doubling: exact derivatives with zeros, log2(n) passes
        a = concatenate([a[(*lead, slice(0, step))], a[(*lead, slice(step, n))] * a[(*lead, slice(0, n - step))]], axis)
        step *= 2
    return finished(a, out, "cumprod")


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    return finished(max(a, axis, keepdims=keepdims) - min(a, axis, keepdims=keepdims), out, "ptp")


@implements(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False) -> Any:
    if weights is None:
        result, scale = mean(a, axis, keepdims=keepdims), None
    else:
        like = traced.find_trace((a, weights))
        a, w = traced.as_traced(like, a), traced.as_traced(like, weights)
        if w.shape != a.shape:
            k = axis_of(axis, len(a.shape))
            w = traced.broadcast_to(w.reshape([-1 if j == k else 1 for j in range(len(a.shape))]), a.shape)
        scale = sum(w, axis, keepdims=keepdims)
        result = sum(a * w, axis, keepdims=keepdims) / scale
    return (result, scale) if returned else result


@implements(np.nansum)
def nansum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, **kw: Any) -> Any:
    return sum(traced.elementwise("where", traced.elementwise("isnan", a), 0.0, a), axis, dtype, out, keepdims)


@implements(np.nanprod)
def nanprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, **kw: Any) -> Any:
    return prod(traced.elementwise("where", traced.elementwise("isnan", a), 1.0, a), axis, dtype, out, keepdims)


@implements(np.nanmean)
def nanmean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, **kw: Any) -> Any:
    return mean(a, axis, dtype, out, keepdims, where=~np.isnan(traced.value_of(a)))


@implements(np.nanvar)
def nanvar(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0, keepdims: Any = False, **kw: Any) -> Any:
    ok = ~np.isnan(traced.value_of(a))
    clean = traced.elementwise("where", ok, a, 0.0)
    return var(clean, axis, dtype, out, ddof, keepdims, where=ok)


@implements(np.nanstd)
def nanstd(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0, keepdims: Any = False, **kw: Any) -> Any:
    return traced.elementwise("sqrt", nanvar(a, axis, dtype, None, ddof, keepdims))


@implements(np.nanmax)
def nanmax(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, **kw: Any) -> Any:
    return max(traced.elementwise("where", traced.elementwise("isnan", a), -math.inf, a), axis, out, keepdims)


@implements(np.nanmin)
def nanmin(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, **kw: Any) -> Any:
    return min(traced.elementwise("where", traced.elementwise("isnan", a), math.inf, a), axis, out, keepdims)


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = np._NoValue, append: Any = np._NoValue) -> Any:
    a = arr(a)
    axis = axis_of(axis, len(a.shape))
    lead = (slice(None),) * axis

    def edge(x: Any) -> Any:
        shape = (*a.shape[:axis], 1, *a.shape[axis + 1 :])
        return traced.broadcast_to(traced.as_traced(traced.trace_of_value(a), x), shape) if np.ndim(x) == 0 else x

    if prepend is not np._NoValue:
        a = concatenate([edge(prepend), a], axis)
    if append is not np._NoValue:
        a = concatenate([a, edge(append)], axis)
    for _ in range(n):
        a = a[(*lead, slice(1, None))] - a[(*lead, slice(None, -1))]
    return a


@implements(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    parts = [diff(ary.reshape(-1))]
    if to_begin is not None:
        parts.insert(0, np.atleast_1d(to_begin))
    if to_end is not None:
        parts.append(np.atleast_1d(to_end))
    return parts[0] if len(parts) == 1 else concatenate(parts)


@implements(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    like = traced.find_trace((y, x, dx))
    y = traced.as_traced(like, y)
    axis = axis_of(axis, len(y.shape))
    lead = (slice(None),) * axis
    if x is not None:
        x = traced.as_traced(like, x)
        d = diff(x, axis=axis if len(x.shape) > 1 else 0)
        dx = d if len(x.shape) > 1 else d.reshape([-1 if k == axis else 1 for k in range(len(y.shape))])
    return sum(dx * (y[(*lead, slice(1, None))] + y[(*lead, slice(None, -1))]) / 2.0, axis)


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    axes = axes_of(axis, len(f.shape))
    if edge_order != 1:
        raise ValueError("np.gradient: edge_order=1 only on differentiated arrays")
    spacings = list(varargs) * (len(axes) if len(varargs) == 1 else 1) or [1.0] * len(axes)
    out = []
    for k, h in zip(axes, spacings, strict=True):
        if np.ndim(h):
            raise ValueError("np.gradient: constant spacing only on differentiated arrays")
        lead = (slice(None),) * k
        first = (f[(*lead, slice(1, 2))] - f[(*lead, slice(0, 1))]) / h
        last = (f[(*lead, slice(-1, None))] - f[(*lead, slice(-2, -1))]) / h
        middle = (f[(*lead, slice(2, None))] - f[(*lead, slice(None, -2))]) / (2.0 * h)
        out.append(concatenate([first, middle, last], k))
    return out[0] if len(out) == 1 else tuple(out)


@implements(np.cov)
def cov(m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None, fweights: Any = None,
        aweights: Any = None, *, dtype: Any = None) -> Any:  # fmt: skip
    if fweights is not None or aweights is not None:
        raise ValueError("np.cov: weights are not supported on differentiated arrays")
    like = traced.find_trace((m, y))
    m = traced.as_traced(like, m)
    m = m.reshape(1, -1) if len(m.shape) < 2 else (m if rowvar else m.T)
    if y is not None:
        y = traced.as_traced(like, y)
        y = y.reshape(1, -1) if len(y.shape) < 2 else (y if rowvar else y.T)
        m = concatenate([m, y], 0)
    centered = m - mean(m, 1, keepdims=True)
    c = (centered @ centered.T) / (m.shape[1] - ((0 if bias else 1) if ddof is None else ddof))
    return c.reshape(()) if c.shape == (1, 1) else c


@implements(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, **kw: Any) -> Any:
    c = cov(x, y, rowvar)
    d = traced.elementwise("sqrt", c[np.arange(c.shape[0]), np.arange(c.shape[0])])
    return c / d[:, None] / d[None, :]


@implements(np.sort)
def sort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    a = arr(a)
    if axis is None:
        a, axis = a.reshape(-1), 0
    return take_along_axis(a, np.argsort(traced.value_of(a), axis=axis, kind="stable"), axis)


@implements(np.partition)
def partition(a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect", order: Any = None) -> Any:
    if axis is None:
        a, axis = a.reshape(-1), 0
    return take_along_axis(a, np.argpartition(traced.value_of(a), kth, axis=axis), axis)


@implements(np.quantile)
def quantile(a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, method: str = "linear",
             keepdims: bool = False, **kw: Any) -> Any:  # fmt: skip
    if method != "linear":
        raise ValueError("quantile: method='linear' only on differentiated arrays")
    axes = axes_of(axis, len(a.shape))
    rest = [k for k in range(len(a.shape)) if k not in axes]
    shape = a.shape
    s = sort(a.transposed((*rest, *axes)).reshape([*(shape[k] for k in rest), -1]))
    at = np.asarray(values(q), dtype=float) * (s.shape[-1] - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, s.shape[-1] - 1)
    fraction = at - low
    result = s[..., low] * (1.0 - fraction) + s[..., high] * fraction
    if np.ndim(q):
        result = moveaxis(result, -1, 0)
    if keepdims:
        result = result.reshape(np.shape(q) + tuple(1 if k in axes else d for k, d in enumerate(shape)))
    return result


@implements(np.percentile)
def percentile(a: Any, q: Any, axis: Any = None, *args: Any, **kw: Any) -> Any:
    return quantile(a, np.asarray(values(q)) / 100.0, axis, *args, **kw)


@implements(np.median)
def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    return quantile(a, 0.5, axis, keepdims=keepdims)


def sort_method(a: Any, axis: int = -1, kind: Any = None, order: Any = None) -> None:
    a[...] = sort(a, axis)


METHODS.update(sum=sum, mean=mean, prod=prod, max=max, min=min, var=var, std=std, cumsum=cumsum, cumprod=cumprod, ptp=ptp,
               sort=sort_method)  # fmt: skip
for _name in ("argmax", "argmin", "argsort", "any", "all", "nonzero", "searchsorted", "argpartition"):
    METHODS[_name] = lambda a, *args, _name=_name, **kw: getattr(traced.value_of(a), _name)(*values(args), **values(kw))

on_values("argmax", "argmin", "argsort", "any", "all", "searchsorted", "digitize", "nanargmax", "nanargmin", "lexsort",
          "argpartition", "unique_counts", "isin", "histogram_bin_edges")  # fmt: skip
