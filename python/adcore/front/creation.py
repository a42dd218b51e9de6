"""Functions that make arrays: from traced numbers, and between traced ends."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from ..tracer import array as traced
from . import memory
from .dispatch import TABLE, any_active, implements, refuse, values
from .elementwise import ew
from .shapes import contiguous


@implements(np.array)
def array(
    object: Any, dtype: Any = None, *, copy: Any = True, order: str = "K", subok: bool = False, ndmin: int = 0, ndmax: int = 0
) -> Any:
    trace = traced.find_trace(object)
    if trace is None:
        return np.array(object, dtype, ndmin=ndmin)
    result = ew("identity", traced.as_traced(trace, object))
    if ndmin > len(np.shape(result)):
        result = np.reshape(result, (1,) * (ndmin - len(np.shape(result))) + np.shape(result))
    return result if dtype is None else result.astype(dtype)


@implements(np.ascontiguousarray)
def ascontiguousarray(a: Any, dtype: Any = None, **kw: Any) -> Any:
    return contiguous(asarray(a, dtype))


@implements(np.asfortranarray)
def asfortranarray(a: Any, dtype: Any = None, **kw: Any) -> Any:
    return contiguous(asarray(a, dtype).T).T


@implements(np.asarray, np.asanyarray, np.require)
def asarray(a: Any, dtype: Any = None, *args: Any, **kw: Any) -> Any:
    trace = traced.find_trace(a)
    if trace is None:
        return np.asarray(a, dtype)
    result = traced.as_traced(trace, a)
    return result if dtype is None or np.dtype(dtype) == result.dtype else result.astype(dtype)


@implements(np.fromiter)
def fromiter(iter: Any, dtype: Any, count: int = -1, *, like: Any = None) -> Any:
    items = list(iter) if count < 0 else list(itertools.islice(iter, count))
    trace = traced.find_trace(items)
    if trace is None:
        return np.fromiter(items, dtype, count)
    if len(items) < count:
        raise ValueError(f"{traced.where_text()}iterator too short: Expected {count} but iterator had only {len(items)} items.")
    return traced.as_traced(trace, items).astype(dtype)


@implements(np.frombuffer)
def frombuffer(buffer: Any, dtype: Any = float, count: int = -1, offset: int = 0, *, like: Any = None) -> Any:
    if isinstance(buffer, memory.Bytes) or traced.is_traced(buffer):
        return memory.read(buffer, dtype, count, offset)
    return np.frombuffer(buffer, dtype, count, offset)


@implements(np.linspace, any_kind=True)
def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None, axis: int = 0,
             *, device: Any = None) -> Any:  # fmt: skip
    trace = traced.find_trace((start, stop))
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    n = num - 1 if endpoint else num
    start, stop = (x if np.ndim(x) == 0 or traced.is_traced(x) else traced.as_traced(trace, x) for x in (start, stop))
    shape = np.broadcast_shapes(np.shape(start), np.shape(stop))
    k = np.arange(num, dtype=float).reshape((-1,) + (1,) * len(shape))
    y = k * ((stop - start) / max(n, 1)) + start
    if endpoint and num > 1:
        y = ew("where", k == n, stop, y)
    if axis:
        y = np.moveaxis(y, 0, axis)
    y = y if dtype is None else y.astype(dtype)
    return (y, (stop - start) / n if n > 0 else math.nan) if retstep else y


@implements(np.logspace)
def logspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0) -> Any:
    y = base ** (np.linspace(start, stop, num, endpoint, axis=axis))
    return y if dtype is None else y.astype(dtype)


@implements(np.geomspace)
def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    low, high = np.asarray(values(start)), np.asarray(values(stop))
    if np.any(low == 0) or np.any(high == 0):
        raise ValueError("Geometric sequence cannot include zero")
    if np.any(np.sign(low) != np.sign(high)):
        raise refuse("np.geomspace", "the ends have different signs, so the sequence is complex")
    sign = np.sign(low)
    y = sign * np.exp(linspace(np.log(sign * start), np.log(sign * stop), num, endpoint, axis=axis))
    if num > 0:
        lead = (slice(None),) * (axis % len(np.shape(y)))
        y[(*lead, 0)] = start
        if endpoint and num > 1:
            y[(*lead, -1)] = stop
    return y if dtype is None else y.astype(dtype)


@implements(np.arange)
def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None, *, device: Any = None) -> Any:
    """Traced ends: their values decide the length, the elements follow them."""
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    first, last, by = (np.asarray(values(x)).item() for x in (start, stop, step))
    y = start + step * np.arange(max(math.ceil((last - first) / by), 0))
    return y if dtype is None else y.astype(dtype)


def made(plain: Any) -> Any:
    """A function that makes an array of its own, called with ``like=``."""
    return lambda *args, **kw: plain(*values(args), **values(kw))


for _f in (np.zeros, np.ones, np.empty, np.eye, np.identity, np.tri):
    TABLE[_f] = made(_f)


@implements(np.full)
def full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C") -> Any:
    trace = traced.find_trace(fill_value)
    if trace is None:
        return np.full(shape, fill_value, dtype)
    out = traced.new_array(trace, shape, dtype or np.float64)
    out[...] = fill_value
    return out


@implements(np.vander, any_kind=True)
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    n = len(x) if N is None else N
    powers = np.arange(n) if increasing else np.arange(n)[::-1]
    return x[:, None] ** powers


@implements(np.ix_)
def ix_(*args: Any) -> Any:
    """Sequences along axes of their own: positions, or numbers of an open grid."""
    n, found = len(args), []
    for k, x in enumerate(args):
        if np.ndim(x) != 1:
            raise ValueError("Cross index must be 1 dimensional")
        if not any_active(x) or x.dtype == np.bool_:
            x = np.ix_(np.asarray(values(x)))[0]
        found.append(np.reshape(x, (1,) * k + (-1,) + (1,) * (n - 1 - k)))
    return tuple(found)
