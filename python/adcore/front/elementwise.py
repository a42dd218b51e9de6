"""Elementwise functions that are more than one row of the op table, and one-dimensional numerics."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..tracer import array as traced
from .dispatch import METHODS, UFUNCS, implements, values
from .shapes import along_axis, axis_of, finished

ew = traced.elementwise


@implements(np.where, any_kind=True)
def where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    if x is None or y is None:
        return np.where(values(condition))
    if is_whole(x) and is_whole(y):
        return np.where(values(condition), x, y)
    return ew("where", condition, x, y)


def is_whole(x: Any) -> bool:
    """Is it made of integers or booleans, so that nothing computed from it alone has a derivative?"""
    return not traced.is_traced(x) and traced.find_trace(x) is None and np.asarray(x).dtype.kind in "iub"


@implements(np.clip)
def clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None, dtype: Any = None,
         **kw: Any) -> Any:  # fmt: skip
    a_min, a_max = (None if b is np._NoValue else b for b in (a_min, a_max))
    low, high = (a_min if a_min is not None else min), (a_max if a_max is not None else max)
    low, high = (None if b is np._NoValue else b for b in (low, high))
    if low is not None and high is not None:
        result = ew("clip", a, low, high)
    elif low is not None:
        result = ew("maximum", a, low)
    else:
        result = ew("identity", a) if high is None else ew("minimum", a, high)
    return finished(result if dtype is None else traced.cast_to(result, dtype), out, "clip")


UFUNCS["clip"] = lambda a, low, high: ew("clip", a, low, high)
for _name in ("invert", "bitwise_and", "bitwise_or", "bitwise_xor"):
    UFUNCS[_name] = functools.partial(traced.bitwise, _name)


@implements(np.select, any_kind=True)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    result = default
    for c, x in zip(reversed(condlist), reversed(choicelist), strict=True):
        result = ew("where", c, x, result) if traced.find_trace((c, x, result)) is not None else np.where(c, x, result)
    return result


@implements(np.piecewise, any_kind=True)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    conditions = [np.asarray(values(c)) for c in condlist]
    functions = list(funclist)
    if len(functions) == len(conditions) + 1:
        conditions.append(~np.logical_or.reduce(conditions))
    result = np.zeros_like(x)
    for c, f in zip(conditions, functions, strict=True):
        if c.any():
            result[c] = f(x[c], *args, **kw) if callable(f) else f
    return result


@implements(np.choose)
def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    index = np.asarray(values(a))
    n = len(choices)
    if mode == "raise" and np.any((index < 0) | (index >= n)):
        raise ValueError("invalid entry in choice array")
    index = index % n if mode == "wrap" else np.clip(index, 0, n - 1)
    result: Any = ew("where", index == 0, choices[0], 0.0) if traced.is_traced(choices[0]) else np.where(index == 0, choices[0], 0.0)
    for k in range(1, n):
        result = select([index == k], [choices[k]], result)
    return finished(result, out, "choose")


@implements(np.nan_to_num)
def nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    if x.dtype.kind == "b":
        return x.copy() if copy else x
    top = float(np.finfo(x.dtype).max)
    y = ew("where", ew("isnan", x), nan, x)
    y = ew("where", y == np.inf, top if posinf is None else posinf, y)
    y = ew("where", y == -np.inf, -top if neginf is None else neginf, y)
    return y if copy else traced.write_into(x, y)


@implements(np.i0)
def i0(x: Any) -> Any:
    from .special import TABLE as SPECIAL

    return SPECIAL["i0"](x)


@implements(np.real_if_close)
def real_if_close(a: Any, tol: float = 100) -> Any:
    return a


def real_valued(name: str, low: float, high: float) -> Any:
    """A function of np.lib.scimath: real where all of its results are, else complex."""
    from .complex import promoted

    def of(*args: Any) -> Any:
        x = args[-1] if name == "logn" else args[0]
        v = np.asarray(values(x))
        if v.dtype.kind != "c" and (np.any(v < low) or np.any(v > high)):
            x = promoted(x) if traced.is_traced(x) else x + 0j
        if name == "logn":
            return np.log(x) / np.log(args[0])
        return getattr(np, name)(x, *args[1:])

    return of


for _name, _low, _high in (("sqrt", 0.0, np.inf), ("log", 0.0, np.inf), ("log2", 0.0, np.inf), ("log10", 0.0, np.inf),
                           ("logn", 0.0, np.inf), ("power", 0.0, np.inf), ("arccos", -1.0, 1.0), ("arcsin", -1.0, 1.0),
                           ("arctanh", -1.0, 1.0)):  # fmt: skip
    implements(getattr(np.lib.scimath, _name), any_kind=True)(real_valued(_name, _low, _high))


@implements(np.sinc)
def sinc(x: Any) -> Any:
    return ew("sinc", x)


@implements(np.real, np.conj)
def real(x: Any) -> Any:
    return x


@implements(np.imag)
def imag(x: Any) -> Any:
    return np.zeros(np.shape(x), x.dtype)


@implements(np.angle)
def angle(z: Any, deg: bool = False) -> Any:
    return np.angle(traced.value_of(z), deg)


@implements(np.round, np.around)
def round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    scale = 10.0 ** abs(decimals)
    if decimals < 0:
        result = ew("rint", a / scale) * scale
    else:
        result = ew("rint", a * scale) / scale if decimals else ew("rint", a)
    return finished(result, out, "round")


@implements(np.fix)
def fix(x: Any, out: Any = None) -> Any:
    return finished(ew("trunc", x), out, "fix")


@implements(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: float = 2 * np.pi) -> Any:
    lead = (slice(None),) * (axis % len(p.shape))
    jumps = np.diff(traced.constant_part(p), axis=axis)
    low = -period / 2
    wrapped = (jumps - low) % period + low
    wrapped = ew("where", (wrapped == low) & (jumps > 0), -low, wrapped)
    turns = ew("where", abs(jumps) < (period / 2 if discont is None else discont), 0.0, wrapped - jumps)
    return np.concatenate([p[(*lead, slice(0, 1))], p[(*lead, slice(1, None))] + np.cumsum(turns, axis)], axis)


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


@implements(np.apply_along_axis, any_kind=True)
def apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kw: Any) -> Any:
    a = np.moveaxis(arr, axis, -1)
    axis = axis_of(axis, len(a.shape))
    lead = a.shape[:-1]
    flat = np.stack([func1d(a[index], *args, **kw) for index in np.ndindex(*lead)])
    shape = flat.shape[1:]
    result = np.reshape(flat, lead + shape)
    return np.moveaxis(result, tuple(range(len(lead), len(lead) + len(shape))), tuple(range(axis, axis + len(shape)))) if shape else result


@implements(np.apply_over_axes, any_kind=True)
def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    for axis in np.atleast_1d(axes):
        folded = func(a, int(axis))
        a = folded if np.ndim(folded) == np.ndim(a) else np.expand_dims(folded, int(axis))
    return a


@implements(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None) -> None:
    index = np.asarray(traced.value_of(indices))
    if axis is None:
        arr.flat[index] = values
        return
    arr[along_axis(arr.shape, index, axis_of(axis, len(arr.shape)))] = values


def modf(x: Any) -> Any:
    whole = ew("trunc", x)
    return x - whole, whole


def frexp(x: Any) -> Any:
    """Mantissa and exponent: the exponent is a constant to derivatives."""
    exponent = np.frexp(values(x))[1]
    return ldexp(x, -exponent), exponent


def ldexp(x: Any, k: Any) -> Any:
    """x * 2**k, in two factors so that neither overflows."""
    k = np.asarray(values(k))
    if k.dtype.kind not in "iub":
        raise TypeError(f"{traced.where_text()}ufunc 'ldexp' wants whole numbers as exponents")
    half = k // 2
    kind = getattr(x, "dtype", float)
    return x * np.exp2(np.asarray(half, dtype=kind)) * np.exp2(np.asarray(k - half, dtype=kind))


UFUNCS.update(
    divmod=lambda a, b: (ew("floor_divide", a, b), ew("mod", a, b)),
    modf=modf,
    ldexp=ldexp,
    frexp=frexp,
    float_power=lambda a, b: ew("power", a, b),
)
METHODS.update(clip=clip, round=round, conj=real, conjugate=real)
