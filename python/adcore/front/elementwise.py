"""Elementwise functions that are more than one row of the op table, and one-dimensional numerics."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tracer import array as traced
from .dispatch import METHODS, UFUNCS, implements, values

ew = traced.elementwise


@implements(np.where)
def where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    if x is None or y is None:
        return np.where(values(condition))
    return ew("where", condition, x, y)


@implements(np.clip)
def clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None, **kw: Any) -> Any:
    low, high = (a_min if a_min is not None else min), (a_max if a_max is not None else max)
    if low is not None and high is not None:
        result = ew("clip", a, low, high)
    elif low is not None:
        result = ew("maximum", a, low)
    else:
        result = a if high is None else ew("minimum", a, high)
    return result if out is None else traced.write_into(out, result)


UFUNCS["clip"] = lambda a, low, high: ew("clip", a, low, high)


@implements(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    result = default
    for c, x in zip(reversed(condlist), reversed(choicelist), strict=True):
        result = ew("where", c, x, result) if traced.find_trace((c, x, result)) is not None else np.where(c, x, result)
    return result


@implements(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    conditions = [np.asarray(values(c)) for c in condlist]
    functions = list(funclist)
    if len(functions) == len(conditions) + 1:
        conditions.append(~np.logical_or.reduce(conditions))
    result = traced.new_array(traced.trace_of_value(x), x.shape)
    for c, f in zip(conditions, functions, strict=True):
        if c.any():
            result[c] = f(x[c], *args, **kw) if callable(f) else f
    return result


@implements(np.nan_to_num)
def nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    top = np.finfo(np.float64).max
    x = ew("where", ew("isnan", x), nan, x)
    x = ew("where", x == np.inf, top if posinf is None else posinf, x)
    return ew("where", x == -np.inf, -top if neginf is None else neginf, x)


@implements(np.sinc)
def sinc(x: Any) -> Any:
    return ew("sinc", x)


@implements(np.real, np.conj)
def real(x: Any) -> Any:
    return x


@implements(np.imag)
def imag(x: Any) -> Any:
    return np.zeros(np.shape(x))


@implements(np.angle)
def angle(z: Any, deg: bool = False) -> Any:
    return np.angle(traced.value_of(z), deg)


@implements(np.round, np.around)
def round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    scale = 10.0**decimals
    return ew("rint", a * scale) / scale if decimals else ew("rint", a)


@implements(np.fix)
def fix(x: Any, out: Any = None) -> Any:
    return ew("trunc", x)


@implements(np.interp)
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    if period is not None:
        raise ValueError("interp: period is not supported on differentiated arrays")
    like = traced.find_trace((x, xp, fp))
    x, xp, fp = (traced.as_traced(like, v) for v in (x, xp, fp))
    knots = traced.value_of(xp)
    at = np.clip(np.searchsorted(knots, traced.value_of(x), side="right") - 1, 0, len(knots) - 2)
    slope = (fp[at + 1] - fp[at]) / (xp[at + 1] - xp[at])
    inside = fp[at] + slope * (x - xp[at])
    inside = ew("where", traced.value_of(x) < knots[0], fp[0] if left is None else left, inside)
    result = ew("where", traced.value_of(x) > knots[-1], fp[-1] if right is None else right, inside)
    return traced.scalar_of(result) if result.shape == () else result


@implements(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: float = 2 * np.pi) -> Any:
    v = traced.value_of(p)
    return p + (np.unwrap(v, discont, axis, period=period) - v)


@implements(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    y: Any = 0.0
    for k in range(np.shape(p)[0]):
        y = y * x + p[k]
    return y


@implements(np.convolve)
def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    like = traced.find_trace((a, v))
    a, v = traced.as_traced(like, a), traced.as_traced(like, v)
    if v.shape[0] > a.shape[0]:
        a, v = v, a
    n, m = a.shape[0], v.shape[0]
    padded = traced.new_array(like, n + 2 * (m - 1), a.dtype)
    padded[m - 1 : m - 1 + n] = a
    windows = traced.elementwise("identity", padded).strided((n + m - 1, m), (1, 1), 0)
    full = traced.matmul(windows, v[::-1])
    if mode == "full":
        return full
    if mode == "same":
        return full[(m - 1) // 2 : (m - 1) // 2 + n]
    return full[m - 1 : n]


@implements(np.correlate)
def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    return convolve(a, v[::-1], mode)


@implements(np.bincount)
def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    index = np.asarray(values(x))
    n = max(int(index.max(initial=-1)) + 1, minlength)
    return traced.scatter_add(traced.new_array(traced.trace_of_value(weights), n), index, weights)


@implements(np.unique)
def unique(ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False, **kw: Any) -> Any:
    unique_plain: Any = np.unique
    found = unique_plain(traced.value_of(ar), True, return_inverse, return_counts)
    result = ar.reshape(-1)[found[1]]
    extra = found[1:] if return_index else found[2:]
    return (result, *extra) if extra else result


@implements(np.apply_along_axis)
def apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kw: Any) -> Any:
    from .shapes import moveaxis, stack

    a = moveaxis(arr, axis, -1)
    lead = a.shape[:-1]
    rows = [func1d(a[index], *args, **kw) for index in np.ndindex(*lead)]
    flat = stack(rows)
    shape = flat.shape[1:]
    result = flat.reshape(lead + shape)
    return moveaxis(result, tuple(range(len(lead), len(lead) + len(shape))), tuple(range(axis, axis + len(shape)))) if shape else result


def modf(x: Any) -> Any:
    whole = ew("trunc", x)
    return x - whole, whole


UFUNCS.update(
    divmod=lambda a, b: (ew("floor_divide", a, b), ew("mod", a, b)),
    modf=modf,
    ldexp=lambda x, k: x * np.exp2(values(k)),
    float_power=lambda a, b: ew("power", a, b),
)
METHODS.update(clip=clip, round=round, conj=real, conjugate=real)
