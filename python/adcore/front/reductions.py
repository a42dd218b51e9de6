"""Functions that fold axes away, or run along one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..tracer import array as traced
from .dispatch import METHODS, TABLE, implements, unsupported, values
from .shapes import arr, axes_of, axis_of, concatenate, finished

BOOL = np.dtype(np.bool_)


def is_given(argument: Any, default: Any = True) -> bool:
    """Did the caller say something other than the default?"""
    return argument is not np._NoValue and argument is not default


def in_dtype(a: Any, dtype: Any, name: str) -> Any:
    """The argument in the dtype that a reduction is asked to compute in."""
    if not is_given(dtype, None) or np.dtype(dtype) == a.dtype:
        return a
    if np.dtype(dtype).kind != "f":
        raise unsupported(f"np.{name}", f"dtype={np.dtype(dtype)}", "use a floating dtype")
    return traced.cast_to(a, dtype)


def masked(a: Any, where: Any, fill: float) -> Any:
    """``where=``: elements left out become what does not matter to the reduction."""
    return a if where is True or where is np._NoValue else traced.elementwise("where", where, a, fill)


def with_initial(result: Any, initial: Any, name: str) -> Any:
    return result if initial is np._NoValue else traced.elementwise(name, result, initial)


@implements(np.sum)
def sum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = np._NoValue,
        where: Any = True) -> Any:  # fmt: skip
    a = arr(a)
    if dtype is not None:
        a = in_dtype(a, dtype, "sum")
    return fold("sum", "add", 0.0, a, axis, out, keepdims, initial, where)


def fold(name: str, joined: str, neutral: float, a: Any, axis: Any, out: Any, keepdims: Any, initial: Any, where: Any) -> Any:
    """A reduction by an operation that has this neutral element."""
    if a.dtype is BOOL:
        found = getattr(np, name)(values(a), axis=axis, keepdims=truth(keepdims), initial=initial, where=values(where))
        return finished(found, out, name)
    if where is not True and where is not np._NoValue:
        a = masked(a, where, neutral)
    result = traced.reduce(name, a, axis, keepdims is True or truth(keepdims))
    if initial is not np._NoValue:
        result = traced.elementwise(joined, result, initial)
    return result if out is None else finished(result, out, name)


def truth(keepdims: Any) -> bool:
    return keepdims is not np._NoValue and bool(keepdims)


@implements(np.max, np.amax)
def max(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = np._NoValue, where: Any = True) -> Any:
    return fold("max", "maximum", -math.inf, arr(a), axis, out, keepdims, initial, where)


@implements(np.min, np.amin)
def min(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = np._NoValue, where: Any = True) -> Any:
    return fold("min", "minimum", math.inf, arr(a), axis, out, keepdims, initial, where)


def count(a: Any, axis: Any, where: Any) -> Any:
    """How many elements each result of a reduction folds."""
    if where is True or where is np._NoValue:
        return math.prod(a.shape) if axis is None else math.prod([a.shape[k] for k in axes_of(axis, len(a.shape))])
    return np.sum(np.broadcast_to(values(where), a.shape), axis=axes_of(axis, len(a.shape)))


@implements(np.mean)
def mean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True) -> Any:
    a = arr(a)
    total = sum(traced.cast_to(a, np.float64) if a.dtype is BOOL else a, axis, dtype, None, keepdims, where=where)
    n = count(a, axis, where)
    if truth(keepdims) and np.ndim(n):
        n = np.reshape(n, total.shape)
    return finished(total / n, out, "mean")


@implements(np.var)
def var(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, *, where: Any = True,
        mean: Any = np._NoValue, correction: Any = np._NoValue) -> Any:  # fmt: skip
    a = in_dtype(arr(a), dtype, "var")
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


def tree(f: Any, a: Any, axis: int) -> Any:
    """A fold of one axis by halves, with an associative f: for products the derivative is exact when factors are zero."""
    lead = (slice(None),) * axis
    a = +a if a.shape[axis] == 1 else a
    while a.shape[axis] > 1:
        n = a.shape[axis]
        pairs = f(a[(*lead, slice(0, n - n % 2, 2))], a[(*lead, slice(1, n, 2))])
        a = concatenate([pairs, a[(*lead, slice(n - 1, n))]], axis) if n % 2 else pairs
    return a[(*lead, 0)]


def scan(f: Any, a: Any, axis: int) -> Any:
    """Cumulative folds along an axis by doubling, with an associative f: log2(n) passes."""
    lead = (slice(None),) * axis
    n, step = a.shape[axis], 1
    while step < n:
        a = concatenate([a[(*lead, slice(0, step))], f(a[(*lead, slice(0, n - step))], a[(*lead, slice(step, n))])], axis)
        step *= 2
    return a if n > 1 else a.copy()


def times(a: Any, b: Any) -> Any:
    return a * b


@implements(np.prod)
def prod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = np._NoValue,
         where: Any = True) -> Any:  # fmt: skip
    a = arr(a)
    if a.dtype is BOOL and dtype is None:
        return finished(np.prod(values(a), axis=axis, keepdims=truth(keepdims), initial=initial, where=values(where)), out, "prod")
    a = masked(in_dtype(a, dtype, "prod"), where, 1.0)
    axes = axes_of(axis, len(a.shape))
    shape = a.shape
    kept = tuple(1 if k in axes else d for k, d in enumerate(shape))
    if any(shape[k] == 0 for k in axes):
        result = traced.new_array(traced.trace_of_value(a), kept, a.dtype, 1.0)
    elif not axes:
        result = a.copy()
    else:
        rest = [k for k in range(len(shape)) if k not in axes]
        flat = a.transposed((*rest, *axes)).reshape([*(shape[k] for k in rest), -1])
        result = traced.as_traced(traced.trace_of_value(a), tree(times, flat, len(rest))).reshape(kept)
    if not truth(keepdims):
        result = result.reshape([d for k, d in enumerate(shape) if k not in axes])
    if not result.shape:
        result = traced.scalar_of(result)
    return finished(with_initial(result, initial, "mul"), out, "prod")


def flat_or(a: Any, axis: int | None) -> tuple[Any, int]:
    """The array with a valid axis; without one, the flat array."""
    return (a.reshape(-1), 0) if axis is None else (a, axis_of(axis, len(a.shape)))


@implements(np.cumsum)
def cumsum(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    a = arr(a)
    if a.dtype is BOOL and dtype is None:
        return finished(np.cumsum(values(a), axis), out, "cumsum")
    a, axis = flat_or(in_dtype(a, dtype, "cumsum"), axis)
    return finished(traced.cumsum(a, axis, False), out, "cumsum")


@implements(np.cumprod)
def cumprod(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    a = arr(a)
    if a.dtype is BOOL and dtype is None:
        return finished(np.cumprod(values(a), axis), out, "cumprod")
    a, axis = flat_or(in_dtype(a, dtype, "cumprod"), axis)
    result = scan(times, a, axis)
    return finished(result, out, "cumprod")


def cumulative(f: Any, first: float) -> Any:
    """The array API's cumulative functions, which may start with the element that changes nothing."""

    def of(x: Any, /, *, axis: int | None = None, dtype: Any = None, out: Any = None, include_initial: bool = False) -> Any:
        x = arr(x)
        if axis is None and len(x.shape) != 1:
            raise ValueError("For arrays which have more than one dimension ``axis`` argument is required.")
        axis = axis_of(axis or 0, len(x.shape))
        result = f(x, axis, dtype)
        if include_initial:
            edge = traced.new_array(traced.trace_of_value(x), (*x.shape[:axis], 1, *x.shape[axis + 1 :]), result.dtype, first)
            result = concatenate([edge, result], axis)
        return finished(result, out, f.__name__)

    return of


implements("cumulative_sum")(cumulative(cumsum, 0.0))
implements("cumulative_prod")(cumulative(cumprod, 1.0))


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    return finished(max(a, axis, keepdims=keepdims) - min(a, axis, keepdims=keepdims), out, "ptp")


@implements(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False) -> Any:
    if weights is None:
        result, scale = mean(a, axis, keepdims=keepdims), float(count(arr(a), axis, True))
    else:
        like = traced.find_trace((a, weights))
        a, w = traced.as_traced(like, a), traced.as_traced(like, weights)
        if w.shape != a.shape:
            k = axis_of(axis, len(a.shape))
            w = traced.broadcast_to(w.reshape([-1 if j == k else 1 for j in range(len(a.shape))]), a.shape)
        scale = sum(w, axis, keepdims=keepdims)
        result = sum(a * w, axis, keepdims=keepdims) / scale
    return (result, np.full(np.shape(result), scale) if weights is None else scale) if returned else result


def without_nan(a: Any, fill: float) -> Any:
    return traced.elementwise("where", traced.elementwise("isnan", a), fill, a)


def present(a: Any, where: Any = True) -> Any:
    """Which elements count: those that are numbers, and wanted."""
    ok = ~traced.elementwise("isnan", traced.constant_part(a))
    return ok & where if is_given(where) else ok


@implements(np.nansum)
def nansum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, **kw: Any) -> Any:
    return sum(without_nan(a, 0.0), axis, dtype, out, keepdims, **kw)


@implements(np.nanprod)
def nanprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, **kw: Any) -> Any:
    return prod(without_nan(a, 1.0), axis, dtype, out, keepdims, **kw)


@implements(np.nancumsum)
def nancumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    return cumsum(without_nan(a, 0.0), axis, dtype, out)


@implements(np.nancumprod)
def nancumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    return cumprod(without_nan(a, 1.0), axis, dtype, out)


@implements(np.nanmean)
def nanmean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True) -> Any:
    a = in_dtype(arr(a), dtype, "nanmean")
    ok = present(a, where)
    total = sum(traced.elementwise("where", ok, a, 0.0), axis, keepdims=keepdims)
    return finished(total / sum(traced.cast_to(ok, a.dtype), axis, keepdims=keepdims), out, "nanmean")


@implements(np.nanvar)
def nanvar(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0, keepdims: Any = False, *, where: Any = True,
           mean: Any = np._NoValue, correction: Any = np._NoValue) -> Any:  # fmt: skip
    a = in_dtype(arr(a), dtype, "nanvar")
    ok = present(a, where)
    ddof = ddof if correction is np._NoValue else correction
    center = nanmean(a, axis, keepdims=True, where=where) if mean is np._NoValue else mean
    squares = traced.elementwise("where", ok, traced.elementwise("square", traced.elementwise("where", ok, a, 0.0) - center), 0.0)
    n = sum(traced.cast_to(ok, a.dtype), axis, keepdims=keepdims)
    return finished(sum(squares, axis, keepdims=keepdims) / traced.elementwise("maximum", n - ddof, 0.0), out, "nanvar")


@implements(np.nanstd)
def nanstd(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0, keepdims: Any = False, **kw: Any) -> Any:
    return finished(root_of_squares(nanvar(a, axis, dtype, None, ddof, keepdims, **kw)), out, "nanstd")


def nan_extremum(f: Any, fill: float) -> Any:
    """nanmax and nanmin; where nothing is left, NaN."""

    def of(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = np._NoValue, where: Any = True) -> Any:
        a = arr(a)
        result = f(without_nan(a, fill), axis, None, keepdims, initial, where)
        if initial is np._NoValue:
            nothing = ~traced.reduce("max", present(a, where), axes_of(axis, len(a.shape)), truth(keepdims)).astype(bool)
            result = traced.elementwise("where", nothing, math.nan, result)
        return finished(result, out, f.__name__)

    return of


TABLE[np.nanmax] = nan_extremum(max, -math.inf)
TABLE[np.nanmin] = nan_extremum(min, math.inf)


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = np._NoValue, append: Any = np._NoValue) -> Any:
    a = arr(a)
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n}")
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
    if edge_order not in (1, 2):
        raise ValueError("'edge_order' greater than 2 not supported")
    like = traced.find_trace((f, varargs))
    f = traced.as_traced(like, f)
    axes = range(len(f.shape)) if axis is None else [axis_of(k, len(f.shape)) for k in (axis if isinstance(axis, tuple) else (axis,))]
    spacings = list(varargs) * (len(axes) if len(varargs) == 1 else 1) or [1.0] * len(axes)
    if len(spacings) != len(axes):
        raise TypeError("invalid number of arguments")
    out = [slopes(f, h, k, edge_order) for k, h in zip(axes, spacings, strict=True)]
    return out[0] if len(out) == 1 else tuple(out)


def slopes(f: Any, h: Any, axis: int, edge_order: int) -> Any:
    """Central differences along one axis, one-sided at its ends: NumPy's formulas for equal and unequal steps."""
    lead, n = (slice(None),) * axis, f.shape[axis]
    if n < edge_order + 1:
        raise ValueError("Shape of array too small to calculate a numerical gradient, at least (edge_order + 1) elements are required.")

    def at(start: Any, stop: Any) -> Any:
        return f[(*lead, slice(start, stop))]

    if np.ndim(h) == 0:
        middle = (at(2, None) - at(None, -2)) / (2.0 * h)
        if edge_order == 1:
            first, last = (at(1, 2) - at(0, 1)) / h, (at(-1, None) - at(-2, -1)) / h
        else:
            first = (-1.5 * at(0, 1) + 2.0 * at(1, 2) - 0.5 * at(2, 3)) / h
            last = (0.5 * at(-3, -2) - 2.0 * at(-2, -1) + 1.5 * at(-1, None)) / h
        return concatenate([first, middle, last], axis)
    if np.shape(h) != (n,):
        raise ValueError("when 1d, distances must match the length of the corresponding dimension")
    steps = np.reshape(h[1:] - h[:-1], [-1 if k == axis else 1 for k in range(len(f.shape))])
    d1, d2 = steps[(*lead, slice(None, -1))], steps[(*lead, slice(1, None))]
    middle = -d2 / (d1 * (d1 + d2)) * at(None, -2) + (d2 - d1) / (d1 * d2) * at(1, -1) + d1 / (d2 * (d1 + d2)) * at(2, None)
    if edge_order == 1:
        first = (at(1, 2) - at(0, 1)) / steps[(*lead, slice(0, 1))]
        last = (at(-1, None) - at(-2, -1)) / steps[(*lead, slice(-1, None))]
    else:
        a, b = steps[(*lead, slice(0, 1))], steps[(*lead, slice(1, 2))]
        first = -(2.0 * a + b) / (a * (a + b)) * at(0, 1) + (a + b) / (a * b) * at(1, 2) - a / (b * (a + b)) * at(2, 3)
        a, b = steps[(*lead, slice(-2, -1))], steps[(*lead, slice(-1, None))]
        last = b / (a * (a + b)) * at(-3, -2) - (a + b) / (a * b) * at(-2, -1) + (2.0 * b + a) / (b * (a + b)) * at(-1, None)
    return concatenate([first, middle, last], axis)


@implements(np.cov)
def cov(m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None, fweights: Any = None,
        aweights: Any = None, *, dtype: Any = None) -> Any:  # fmt: skip
    like = traced.find_trace((m, y, aweights))
    m = traced.as_traced(like, m)
    m = m.reshape(1, -1) if len(m.shape) < 2 else (m if rowvar else m.T)
    if y is not None:
        y = traced.as_traced(like, y)
        y = y.reshape(1, -1) if len(y.shape) < 2 else (y if rowvar else y.T)
        m = concatenate([m, y], 0)
    ddof = (0 if bias else 1) if ddof is None else ddof
    if fweights is None and aweights is None:
        centered = m - mean(m, 1, keepdims=True)
        c = (centered @ centered.T) / (m.shape[1] - ddof)
    else:
        counts = 1.0 if fweights is None else np.asarray(values(fweights), dtype=float)
        w = counts * (np.ones(m.shape[1]) if aweights is None else aweights)
        total = np.sum(w)
        centered = m - np.sum(m * w, axis=1, keepdims=True) / total
        spread = total if aweights is None else np.sum(w * aweights) / total
        scale = total - ddof if aweights is None else total - ddof * spread
        c = (centered @ (centered * w).T) / scale
    return c.reshape(()) if c.shape == (1, 1) else c


@implements(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, **kw: Any) -> Any:
    c = cov(x, y, rowvar)
    if len(c.shape) == 0:
        return c / c
    d = traced.elementwise("sqrt", c[np.arange(c.shape[0]), np.arange(c.shape[0])])
    return c / d[:, None] / d[None, :]


METHODS.update(sum=sum, mean=mean, prod=prod, max=max, min=min, var=var, std=std, cumsum=cumsum, cumprod=cumprod)
