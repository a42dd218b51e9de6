"""Functions that move elements: views, and assignments into fresh arrays."""

from __future__ import annotations

import builtins
import itertools
import math
import operator
from typing import Any

import numpy as np

from .. import errors, trees
from ..tracer import array as traced
from ..tracer import pieces
from . import complex, memory
from .dispatch import ATTRIBUTES, METHODS, TABLE, any_active, implements, on_values, store, unsupported, values


def arr(x: Any) -> Any:
    """x as a traced array."""
    if type(x) is traced.TracedArray:
        return x
    return traced.asarray(x) if traced.find_trace(x) is not None else np.asarray(x)


def finished(result: Any, out: Any, name: str) -> Any:
    """A result, written into ``out=`` where that is given."""
    return result if out is None or out is np._NoValue else store(name, out, result)


def rank(x: Any) -> int:
    """``np.ndim``, without its way through the protocols."""
    return len(x.shape) if type(x) is traced.TracedArray or type(x) is np.ndarray else np.ndim(x)


def axis_of(axis: int, ndim: int) -> int:
    k = operator.index(axis)
    if not -ndim <= k < ndim:
        raise np.exceptions.AxisError(k, ndim)
    return k % ndim


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """Axes as a sorted tuple; None means all."""
    if axis is None:
        return tuple(range(ndim))
    if isinstance(axis, (int, np.integer)):
        return (axis_of(int(axis), ndim),)
    found = tuple(sorted(axis_of(a, ndim) for a in axis))
    if len(set(found)) != len(found):
        raise ValueError("duplicate value in 'axis'")
    return found


@implements(np.shape)
def shape(a: Any) -> Any:
    return arr(a).shape


@implements(np.ndim)
def ndim(a: Any) -> int:
    return len(arr(a).shape)


@implements(np.size)
def size(a: Any, axis: int | None = None) -> int:
    return math.prod(arr(a).shape) if axis is None else arr(a).shape[axis]


def as_asked(a: Any, *, ndmin: int = 0, order: Any = "K", **kw: Any) -> Any:
    """An array in this order, a copy only where it is in another, with at least so many dimensions."""
    n = np.ndim(a)
    if ndmin > n:
        a = np.reshape(a, (1,) * (ndmin - n) + np.shape(a))
    if order == "C":
        return contiguous(a)
    return contiguous(a.T).T if order == "F" and n > 1 else a


@implements(np.reshape)
def reshape(a: Any, /, shape: Any = None, order: str = "C", *, copy: Any = None) -> Any:
    a = np.copy(a) if copy else arr(a)
    if order == "A":
        order = in_fortran_order(a, "np.reshape")
    if order == "F":
        return transpose(reshape(transpose(a), tuple(reversed(full_shape(a, shape)))))
    return a.reshaped(shape)


def full_shape(a: Any, shape: Any) -> tuple[int, ...]:
    """A shape with its -1 filled in."""
    new = (operator.index(shape),) if isinstance(shape, (int, np.integer)) else tuple(operator.index(d) for d in shape)
    n = math.prod(a.shape)
    if new.count(-1) == 1:
        rest = -math.prod(new)
        if rest == 0 or n % rest:
            raise ValueError(f"cannot reshape array of size {n} into shape {new}")
        new = tuple(n // rest if d == -1 else d for d in new)
    if math.prod(new) != n or any(d < 0 for d in new):
        raise ValueError(f"cannot reshape array of size {n} into shape {new}")
    return new


def reshape_method(a: Any, *shape: Any, order: str = "C", copy: Any = None) -> Any:
    return reshape(a, shape[0] if len(shape) == 1 else shape, order, copy=copy)


@implements(np.ravel)
def ravel(a: Any, order: str = "C") -> Any:
    """A view of a contiguous array, else a copy, also where ``reshape`` would give a view."""
    a = arr(a)
    if order == "K":  # as the elements lie in memory
        steps = known_steps(a, "np.ravel with order='K'")
        a, order = a.transposed(tuple(sorted(range(len(a.shape)), key=lambda k: -builtins.abs(steps[k])))), "C"
    if order == "A":
        order = in_fortran_order(a, "np.ravel")
    found = traced.numpy_steps(a)
    return reshape(a if found is None or lies_in(found, a.shape, order) else copy(a, order), (-1,), order)


def known_steps(a: Any, name: str) -> tuple[int, ...]:
    """Element strides as NumPy has them, for those that follow the memory."""
    steps: tuple[int, ...] | None = traced.numpy_steps(a)
    if steps is None:
        raise errors.ArgumentError(
            f"{traced.where_text()}{name} of an array: adcore does not know in which order NumPy would lay out this result. Say "
            'order="C" or order="F", or make it np.ascontiguousarray(...) first'
        )
    return steps


def in_fortran_order(a: Any, name: str) -> str:
    """What ``order="A"`` means for the array."""
    steps = known_steps(a, f"{name} with order='A'")
    return "F" if lies_in(steps, a.shape, "F") and not lies_in(steps, a.shape, "C") else "C"


def lies_in(steps: tuple[int, ...], shape: tuple[int, ...], order: str) -> bool:
    """Do the elements of an array with these element strides lie side by side in this order?"""
    if 0 in shape:
        return True
    step = 1
    for s, d in list(zip(steps, shape, strict=True))[:: -1 if order == "C" else 1]:
        if d > 1 and s != step:
            return False
        step *= d
    return True


@implements(np.transpose)
def transpose(a: Any, axes: Any = None) -> Any:
    a = arr(a)
    n = len(a.shape)
    order = tuple(range(n - 1, -1, -1)) if axes is None else tuple(axis_of(k, n) for k in axes)
    if sorted(order) != list(range(n)):
        raise ValueError("axes don't match array")
    return a.transposed(order)


def transpose_method(a: Any, *axes: Any) -> Any:
    if not axes or axes == (None,):
        return transpose(a)
    return transpose(a, axes[0] if isinstance(axes[0], (tuple, list)) else axes)


@implements(np.swapaxes)
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    a = arr(a)
    order = list(range(len(a.shape)))
    i, j = axis_of(axis1, len(order)), axis_of(axis2, len(order))
    order[i], order[j] = order[j], order[i]
    return a.transposed(tuple(order))


@implements(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    a = arr(a)
    n = len(a.shape)
    src = [axis_of(k, n) for k in (source if isinstance(source, (tuple, list)) else [source])]
    dst = [axis_of(k, n) for k in (destination if isinstance(destination, (tuple, list)) else [destination])]
    order = [k for k in range(n) if k not in src]
    for d, s in sorted(zip(dst, src, strict=True)):
        order.insert(d, s)
    return a.transposed(tuple(order))


@implements(np.rollaxis)
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    n = len(a.shape)
    axis = axis_of(axis, n)
    start = start + n if start < 0 else start
    return moveaxis(a, axis, start - 1 if axis < start else start)


@implements(np.broadcast_to)
def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    return traced.broadcast_to(arr(array), (shape,) if isinstance(shape, int) else tuple(shape)).read_only()


@implements(np.broadcast_arrays, any_kind=True)
def broadcast_arrays(*args: Any, subok: bool = False) -> Any:
    like = traced.find_trace(args)
    joint = np.broadcast_shapes(*[np.shape(a) for a in args])
    arrays = [a if isinstance(a, np.ndarray) or traced.is_traced(a) else traced.as_traced(like, a) for a in args]
    return tuple(a if a.shape == joint else np.broadcast_to(a, joint) for a in arrays)


@implements(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Any:
    a = arr(a)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    n = len(a.shape) + len(axes)
    at = {axis_of(k, n) for k in axes}
    rest = iter(a.shape)
    return a.shape_to(tuple(1 if k in at else next(rest) for k in range(n)))


@implements(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Any:
    a = arr(a)
    if not a.shape and axis in (0, -1):
        return a
    drop = [k for k, d in enumerate(a.shape) if d == 1] if axis is None else list(axes_of(axis, len(a.shape)))
    if any(a.shape[k] != 1 for k in drop):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return a.shape_to(tuple(d for k, d in enumerate(a.shape) if k not in drop))


def at_least(n: int) -> Any:
    def of(*arrays: Any) -> Any:
        out = []
        for a in arrays:
            a = arr(a)
            s = a.shape
            if len(s) < n:
                if n == 3 and len(s) == 2:
                    s = (*s, 1)
                elif n == 3 and len(s) == 1:
                    s = (1, *s, 1)
                else:
                    s = (1,) * (n - len(s)) + s
            out.append(a.reshape(s))
        return out[0] if len(out) == 1 else tuple(out)

    return of


TABLE[np.atleast_1d] = at_least(1)
TABLE[np.atleast_2d] = at_least(2)
TABLE[np.atleast_3d] = at_least(3)


def result_dtype(arrays: Any) -> Any:
    kinds = [a.dtype for a in arrays]
    if all([kind is kinds[0] for kind in kinds]):
        return kinds[0]
    dtype = np.result_type(*kinds)
    return dtype if dtype in (np.float32, np.float64, np.bool_) else np.dtype(np.float64)


@implements(np.concatenate)
def concatenate(arrays: Any, /, axis: int | None = 0, out: Any = None, *, dtype: Any = None, casting: str = "") -> Any:
    like = traced.find_trace(arrays)
    items = [traced.as_traced(like, a) for a in arrays]
    if axis is None:
        items, axis = [a.reshape(-1) for a in items], 0
    result = pieces.concatenate(items, axis_of(axis, len(items[0].shape)), traced.dtype_code(dtype or result_dtype(items)))
    return result if out is None else traced.write_into(out, result)


@implements(np.stack)
def stack(arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: str = "") -> Any:
    like = traced.find_trace(arrays)
    items = [traced.as_traced(like, a) for a in arrays]
    if not items[0].shape and all(x.shape == () for x in items):
        axis_of(axis, 1)
        result = traced.new_array(like, len(items), dtype or result_dtype(items), None)
        for k, x in enumerate(items):
            result[k] = traced.scalar_of(x)
        return result if out is None else traced.write_into(out, result)
    result = pieces.stack(items, axis_of(axis, len(items[0].shape) + 1), traced.dtype_code(dtype or result_dtype(items)))
    return result if out is None else traced.write_into(out, result)


@implements(np.vstack)
def vstack(tup: Any, **kwargs: Any) -> Any:
    like = traced.find_trace(tup)
    return concatenate([TABLE[np.atleast_2d](traced.as_traced(like, a)) for a in tup], 0, **kwargs)


@implements(np.hstack)
def hstack(tup: Any, **kwargs: Any) -> Any:
    like = traced.find_trace(tup)
    items = [TABLE[np.atleast_1d](traced.as_traced(like, a)) for a in tup]
    return concatenate(items, 0 if len(items[0].shape) == 1 else 1, **kwargs)


@implements(np.dstack)
def dstack(tup: Any) -> Any:
    like = traced.find_trace(tup)
    return concatenate([TABLE[np.atleast_3d](traced.as_traced(like, a)) for a in tup], 2)


@implements(np.column_stack)
def column_stack(tup: Any) -> Any:
    like = traced.find_trace(tup)
    items = [traced.as_traced(like, a) for a in tup]
    return concatenate([a.reshape(-1, 1) if len(a.shape) < 2 else a for a in items], 1)


@implements(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    n = ary.shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        k = int(indices_or_sections)
        sizes = [n // k + (j < n % k) for j in range(k)]
        cuts = list(np.cumsum([0, *sizes]))
    else:
        cuts = [0, *[int(c) for c in indices_or_sections], n]
    axis = axis_of(axis, len(ary.shape))
    return [ary[(slice(None),) * axis + (slice(int(a), int(b)),)] for a, b in itertools.pairwise(cuts)]


@implements(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    if isinstance(indices_or_sections, (int, np.integer)) and ary.shape[axis] % indices_or_sections:
        raise ValueError("array split does not result in an equal division")
    return array_split(ary, indices_or_sections, axis)


@implements(np.hsplit)
def hsplit(ary: Any, cuts: Any) -> Any:
    return split(ary, cuts, 1 if len(ary.shape) > 1 else 0)


@implements(np.vsplit)
def vsplit(ary: Any, cuts: Any) -> Any:
    if len(ary.shape) < 2:
        raise ValueError("vsplit only works on arrays of 2 or more dimensions")
    return split(ary, cuts, 0)


@implements(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    axes = axes_of(axis, len(m.shape))
    return m[tuple(slice(None, None, -1) if k in axes else slice(None) for k in range(len(m.shape)))]


@implements(np.fliplr)
def fliplr(m: Any) -> Any:
    return m[:, ::-1]


@implements(np.flipud)
def flipud(m: Any) -> Any:
    return m[::-1]


@implements(np.rot90)
def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    first, second = (axis_of(axis, len(m.shape)) for axis in axes)
    if first == second:
        raise ValueError("Axes must be different.")
    k %= 4
    if k == 0:
        return m[:]
    if k == 2:
        return flip(m, axes)
    if k == 1:
        return swapaxes(flip(m, axes[1]), *axes)
    return flip(swapaxes(m, *axes), axes[1])


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    a = arr(a)
    if axis is None:
        return roll(a.reshape(-1), shift, 0).reshape(a.shape)
    rolled = a
    for s, k in [(shift, axis)] if isinstance(shift, int) and isinstance(axis, int) else np.broadcast(shift, axis):
        k = axis_of(k, len(a.shape))
        n = a.shape[k]
        s = int(s) % n if n else 0
        if s:
            rolled = pieces.rotate(rolled, s, k)
    return a.copy() if rolled is a else rolled


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: str = "constant", **kwargs: Any) -> Any:
    array = arr(array)
    n = len(array.shape)
    if isinstance(pad_width, int):
        widths = [(pad_width, pad_width)] * n
    elif isinstance(pad_width, dict):
        own = {axis_of(k, n): w for k, w in pad_width.items()}
        widths = [(w, w) if isinstance(w, int) else (int(w[0]), int(w[1])) for w in (own.get(k, 0) for k in range(n))]
    else:
        widths = [(int(w[0]), int(w[1])) for w in np.broadcast_to(np.asarray(pad_width), (n, 2))]
    fill: Any = kwargs.get("constant_values", 0)
    if mode == "constant" and not isinstance(fill, (int, float)) and np.ndim(fill):
        return padded_by_sides(array, widths, fill)
    if mode in AS_LINEAR:
        return padded_linearly(array, widths, mode, kwargs)
    if mode not in ("constant", "edge", "wrap", "reflect", "symmetric"):
        raise unsupported("np.pad", f"mode={mode!r}", "concatenate the array and what stands around it")
    if kwargs.get("reflect_type", "even") != "even":
        raise unsupported("np.pad", f"reflect_type={kwargs['reflect_type']!r}", "concatenate the array and what stands around it")
    padded = pieces.pad(array, widths, mode, fill)
    if padded is not None:
        return padded
    pad_plain: Any = np.pad  # more than the array has: elements repeat
    for k, width in enumerate(widths):
        array = take(array, pad_plain(np.arange(array.shape[k]), width, mode), k)
    return array


def padded_by_sides(array: Any, widths: Any, fill: Any) -> Any:
    """Axis after axis, each side with a number of its own."""
    if traced.find_trace(fill) is not None:
        raise unsupported("np.pad", "traced constant_values that differ", "concatenate the array and what stands around it")
    numbers = np.broadcast_to(np.asarray(fill), (len(widths), 2))
    for k, width in enumerate(widths):
        parts = [np.full((*array.shape[:k], w, *array.shape[k + 1 :]), v, array.dtype) for w, v in zip(width, numbers[k], strict=True)]
        array = concatenate([parts[0], array, parts[1]], k)
    return array


# modes in which what is added along an axis is a function of the array
AS_LINEAR: dict[str, Any] = {"linear_ramp": None, "mean": np.mean, "maximum": np.max, "minimum": np.min, "median": np.median}


def padded_linearly(array: Any, widths: Any, mode: str, kwargs: dict[str, Any]) -> Any:
    """Axis after axis: a ramp from an end value to the edge, or a statistic of the elements next to the edge."""
    n = len(array.shape)
    name = "end_values" if mode == "linear_ramp" else "stat_length"
    given = kwargs.get(name)
    sides = np.broadcast_to(np.array(0 if given is None else given, dtype=object), (n, 2))
    for k, width in enumerate(widths):
        parts = [array]
        for side, w in enumerate(width):
            if not w:
                continue
            edge = take(array, [-1 if side else 0], k)
            if mode == "linear_ramp":
                steps = np.arange(w, 0, -1) if side == 0 else np.arange(1, w + 1)
                far = (steps / w).reshape([-1 if j == k else 1 for j in range(n)])
                added = edge + (sides[k, side] - edge) * far
            else:
                length = array.shape[k] if given is None else min(int(sides[k, side]), array.shape[k])
                rows = np.arange(array.shape[k])[-length:] if side else np.arange(length)
                added = np.repeat(AS_LINEAR[mode](take(array, rows, k), axis=k, keepdims=True), w, k)
            parts.insert(0 if side == 0 else len(parts), added)
        array = np.concatenate(parts, k)
    return array


@implements(np.take)
def take(a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise") -> Any:
    a = arr(a)
    if axis is None:
        a, axis = a.reshape(-1), 0
    index = np.asarray(values(indices)).astype(np.intp)
    if not index.ndim:
        a = traced.fresh(a) if traced.is_traced(a) else a
    if mode == "wrap":
        index = index % a.shape[axis]
    elif mode == "clip":
        index = np.clip(index, 0, a.shape[axis] - 1)
    return finished(a[(slice(None),) * axis_of(axis, len(a.shape)) + (index[()],)], out, "take")


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: int = -1) -> Any:
    index = np.asarray(values(indices))
    if axis is None:
        if index.ndim != 1:
            raise ValueError("when axis=None, `indices` must have a single dimension.")
        return arr.reshape(-1)[index]
    axis = axis_of(axis, len(arr.shape))
    return arr[along_axis(arr.shape, index, axis)]


def along_axis(shape: tuple[int, ...], index: Any, axis: int) -> tuple[Any, ...]:
    """The index that reads (or writes) one position along an axis for each position along the others; those broadcast."""
    if index.ndim != len(shape):
        raise ValueError(f"{traced.where_text()}`indices` and `arr` must have the same number of dimensions")
    grid = list(np.ogrid[tuple(slice(d) for d in shape)])
    grid[axis] = index
    return tuple(grid)


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    a = arr(a)
    if axis is None or not a.shape:
        a, axis = a.reshape(-1), 0
    times = np.asarray(values(repeats))
    if traced.is_traced(repeats) and np.array_equal(times, np.round(times)):
        times = times.astype(np.intp)  # whole numbers made of booleans
    index = np.repeat(np.arange(a.shape[axis]), times)
    return take(a, index, axis)


@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:
    reps = (reps,) if isinstance(reps, (int, np.integer)) else tuple(reps)
    n = max(len(reps), len(A.shape))
    a = A.reshape((1,) * (n - len(A.shape)) + A.shape)
    if all(r == 1 for r in reps):
        return a.copy()
    reps = (1,) * (n - len(reps)) + reps
    pairs = [x for d in zip(reps, a.shape, strict=True) for x in d]
    spread = a.reshape([x for d in a.shape for x in (1, d)])
    return traced.broadcast_to(spread, tuple(pairs)).reshape([r * d for r, d in zip(reps, a.shape, strict=True)])


def triangle(shape: tuple[int, ...], k: int) -> np.ndarray:
    """True on and below diagonal k of the last two axes."""
    rows, columns = shape[-2:] if len(shape) > 1 else shape * 2
    return np.arange(rows)[:, None] >= np.arange(columns)[None, :] - k


def nothing(like: Any) -> Any:
    """The zero of an array's dtype."""
    return 0.0 if like.dtype.kind == "f" else np.False_


@implements(np.tril)
def tril(m: Any, k: int = 0) -> Any:
    return traced.elementwise("where", triangle(m.shape, k), m, nothing(m))


@implements(np.triu)
def triu(m: Any, k: int = 0) -> Any:
    return traced.elementwise("where", ~triangle(m.shape, k - 1), m, nothing(m))


@implements(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """A read-only view, as NumPy's."""
    return diagonal_view(a, offset, axis1, axis2).read_only()


def diagonal_view(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    a = moveaxis(arr(a), (axis1, axis2), (-2, -1))
    rows, columns = a.shape[-2:]
    n = max(min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns), 0)
    steps = a.element_steps
    first = (offset * steps[-1] if offset >= 0 else -offset * steps[-2]) if n else 0
    return a.stepped((*a.shape[:-2], n), (*steps[:-2], steps[-2] + steps[-1]), first)


@implements(np.linalg.diagonal)
def linalg_diagonal(x: Any, /, *, offset: int = 0) -> Any:
    return diagonal(x, offset, -2, -1)


@implements(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False) -> Any:
    window = (window_shape,) if isinstance(window_shape, (int, np.integer)) else tuple(window_shape)
    if axis is None:
        axes = tuple(range(len(x.shape)))
    else:
        axes = tuple(axis_of(k, len(x.shape)) for k in (axis if isinstance(axis, (tuple, list)) else (axis,)))
    if len(window) != len(axes):
        raise ValueError("Must provide matching length window_shape and axis")
    shape = list(x.shape)
    for k, w in zip(axes, window, strict=True):
        shape[k] -= w - 1
        if shape[k] < 1:
            raise ValueError("window shape cannot be larger than input array shape")
    steps = x.element_steps
    view = x.stepped((*shape, *window), (*steps, *(steps[k] for k in axes)))
    return view if writeable else view.read_only()


@implements(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    if len(v.shape) == 2:
        return diagonal(v, k)
    n = v.shape[0] + abs(k)
    out = traced.new_array(traced.trace_of_value(v), (n, n), v.dtype)
    i = np.arange(v.shape[0])
    out[i - min(k, 0), i + max(k, 0)] = v
    return out


@implements(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Any:
    return diag(v.reshape(-1), k)


@implements(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Any:
    found = diagonal_view(a, offset, axis1, axis2)
    total = (found if dtype is None else astype(found, dtype)).sum(-1)
    return finished(total, out, "trace")


@implements(np.linalg.trace)
def linalg_trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    return trace(x, offset, -2, -1, dtype)


@implements(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    if np.ndim(a) < 2:
        raise ValueError("array must be at least 2-d")
    if np.ndim(a) == 2:
        columns = a.shape[1]
        at = np.arange(0, a.size if wrap else min(columns * columns, a.size), columns + 1)
    else:
        if len(set(a.shape)) > 1:
            raise ValueError("All dimensions of input must be of equal length")
        at = np.ravel_multi_index((np.arange(a.shape[0]),) * a.ndim, a.shape)
    flat_put(a, at, val)


def flat_put(a: Any, at: Any, v: Any) -> None:
    """``a.flat[at] = v`` with v repeated as often as needed."""
    if not traced.is_traced(a):
        if any_active(v):
            raise lost("an assignment")
        a.flat[at] = values(v)
        return
    if not np.size(at):
        return
    if isinstance(v, (list, tuple)):
        v = np.array(v) if traced.find_trace(v) is None else sequence(v)
    if np.ndim(v):
        v = np.resize(v, at.shape)
    a[np.unravel_index(at, a.shape)] = v


def sequence(x: Any) -> Any:
    """A list that holds traced values as an array."""
    return complex.array(x, None, traced.find_trace(x)) if traced.holds_complex(x) else traced.asarray(x)


def lost(what: str) -> errors.LostTrace:
    return errors.LostTrace(
        f"{traced.where_text()}{what} of a traced value into a plain array would drop its derivative: make the array inside the "
        "differentiated function, or pass it as an argument"
    )


@implements(np.copyto)
def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    if traced.is_traced(dst) and where is not True:
        src = traced.broadcast_to(traced.as_traced(traced.trace_of_value(dst), src), dst.shape)
    store("copyto", dst, src, where)


@implements(np.put)
def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    index = np.asarray(values(ind)).reshape(-1)
    n = math.prod(np.shape(a))
    if mode == "raise" and np.any((index < -n) | (index >= n)):
        raise IndexError(f"index out of bounds for array of size {n}")
    flat_put(a, np.clip(index, 0, n - 1) if mode == "clip" else index % n, v)


@implements(np.putmask)
def putmask(a: Any, mask: Any, values: Any) -> None:
    """Element k takes the k-th of the values, repeated as often as needed."""
    at = np.flatnonzero(np.asarray(traced.value_of(mask)))
    v = traced.as_traced(traced.find_trace((a, values)), values).reshape(-1)
    flat_put(a, at, v[at % v.shape[0]])


@implements(np.place)
def place(arr: Any, mask: Any, vals: Any) -> None:
    """The selected elements take the values in turn."""
    flat_put(arr, np.flatnonzero(np.asarray(values(mask))), vals)


@implements(np.resize)
def resize(a: Any, new_shape: Any) -> Any:
    shape = (new_shape,) if isinstance(new_shape, (int, np.integer)) else tuple(new_shape)
    if traced.find_trace(a) is None:
        return np.resize(a, shape)
    flat = arr(a).reshape(-1)
    if not flat.shape[0]:
        return np.zeros(shape, flat.dtype)
    return flat[np.arange(math.prod(shape)) % flat.shape[0]].reshape(shape)


@implements("unstack")
def unstack(x: Any, /, *, axis: int = 0) -> Any:
    return tuple(moveaxis(x, axis, 0))


@implements(np.matrix_transpose, np.linalg.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    return swapaxes(x, -1, -2)


@implements(np.dsplit)
def dsplit(ary: Any, cuts: Any) -> Any:
    return split(ary, cuts, 2)


def indices_from(plain: Any) -> Any:
    """Index arrays that follow from the shape alone."""
    return lambda arr, k=0: plain(arr.shape[-2], k=k, m=arr.shape[-1])


TABLE[np.tril_indices_from] = indices_from(np.tril_indices)
TABLE[np.triu_indices_from] = indices_from(np.triu_indices)
TABLE[np.diag_indices_from] = lambda arr: np.diag_indices(arr.shape[0], len(arr.shape))


@implements(np.copy)
def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    a = arr(a)
    if len(a.shape) < 2 or order == "K":
        return traced.elementwise("identity", a)
    if order == "A":
        order = in_fortran_order(a, "a copy")
    if order == "F":
        return transpose(copy(transpose(a), "C"))
    return traced.laid_out(traced.elementwise("identity", a), None)


@implements(np.zeros_like, np.empty_like, any_kind=True)
def zeros_like(a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None) -> Any:
    return full_like(a, 0.0, dtype, order, shape=shape)


@implements(np.ones_like, any_kind=True)
def ones_like(a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None) -> Any:
    return full_like(a, 1.0, dtype, order, shape=shape)


@implements(np.full_like, any_kind=True)
def full_like(a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *,
              device: Any = None) -> Any:  # fmt: skip
    like = traced.find_trace((a, fill_value))
    dtype = np.dtype(dtype or a.dtype)
    shape = np.shape(a) if shape is None else shape
    if dtype.kind in "iu":
        return np.full(shape, values(fill_value), dtype)
    many = np.ndim(fill_value) > 0
    found = (complex if dtype.kind == "c" else traced).new_array(like, shape, dtype, 0.0 if many else fill_value)
    if many:
        found[...] = fill_value
    if isinstance(a, traced.TracedArray) and isinstance(found, traced.TracedArray) and found.shape == a.shape and order in "KA":
        return traced.laid_out_as(found, a)
    return found if order != "F" else transpose(full_like(a, fill_value, dtype, "C", shape=found.shape[::-1]))


@implements(np.append)
def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    if axis is None:
        like = traced.find_trace((arr, values))
        return concatenate([traced.as_traced(like, arr).reshape(-1), traced.as_traced(like, values).reshape(-1)], 0)
    return concatenate([arr, values], axis)


@implements(np.delete)
def delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    if axis is None:
        arr, axis = arr.reshape(-1), 0
    return take(arr, np.delete(np.arange(arr.shape[axis]), values(obj)), axis)


@implements(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    like = traced.find_trace((arr, values))
    a = traced.as_traced(like, arr)
    if axis is None:
        a, axis = a.reshape(-1), 0
    axis = axis_of(axis, len(a.shape))
    n = a.shape[axis]
    at = np.arange(n)[obj] if isinstance(obj, slice) else np.asarray(traced.value_of(obj))
    at = np.flatnonzero(at) if at.dtype == bool else at
    if np.any((at < -n) | (at > n)):
        raise IndexError(f"index {obj} is out of bounds for axis {axis} with size {n}")
    at = np.where(at < 0, at + n, at)
    part = traced.as_traced(like, values)
    part = part.reshape((1,) * (len(a.shape) - len(part.shape)) + part.shape)
    if at.size == 1:  # NumPy: one position takes all of the values
        part = moveaxis(part, 0, axis) if np.ndim(values) and at.ndim == 0 else part
        at = np.full(part.shape[axis], at.item())
    shape = (*a.shape[:axis], at.size, *a.shape[axis + 1 :])
    order = np.argsort(at, kind="stable")
    where = np.empty(at.size, dtype=int)
    where[order] = at[order] + np.arange(at.size)
    index = np.empty(n + at.size, dtype=int)
    index[where] = n + np.arange(at.size)
    index[np.setdiff1d(np.arange(n + at.size), where)] = np.arange(n)
    return take(concatenate([a, traced.broadcast_to(part, shape)], axis), index, axis)


@implements(np.block)
def block(arrays: Any) -> Any:
    def of(x: Any, depth: int) -> Any:
        if isinstance(x, list):
            parts = [of(p, depth + 1) for p in x]
            return concatenate(parts, axis=-(levels - depth))
        x = traced.as_traced(like, x)
        return x.reshape((1,) * (dims - len(x.shape)) + x.shape)

    def depth_of(x: Any) -> int:
        return 1 + max(depth_of(p) for p in x) if isinstance(x, list) else 0

    def dims_of(x: Any) -> int:
        return max(dims_of(p) for p in x) if isinstance(x, list) else len(np.shape(x))

    like, levels = traced.find_trace(arrays), depth_of(arrays)
    dims = max(levels, dims_of(arrays))
    return of(arrays, 0) if levels else copy(arrays)


@implements(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    like = traced.find_trace(xi)
    n = len(xi)
    arrays = [x if isinstance(x, np.ndarray) and not copy else traced.as_traced(like, x) for x in xi]
    out = [x.reshape((1,) * k + (-1,) + (1,) * (n - 1 - k)) for k, x in enumerate(arrays)]
    if indexing == "xy" and n > 1:
        out = [swapaxes(o, 0, 1) for o in out]
    if not sparse:
        joint = np.broadcast_shapes(*[o.shape for o in out])
        out = [np.broadcast_to(o, joint) if isinstance(o, np.ndarray) else traced.broadcast_to(o, joint) for o in out]
    return tuple(traced.elementwise("identity", o) for o in out) if copy else tuple(out)


@implements(np.compress)
def compress(condition: Any, a: Any, axis: int | None = None, out: Any = None) -> Any:
    if axis is None:
        a, axis = a.reshape(-1), 0
    return finished(take(a, np.flatnonzero(np.asarray(values(condition))), axis), out, "compress")


@implements(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    return compress(np.ravel(values(condition)), arr)


def fill_method(a: Any, value: Any) -> None:
    a[...] = value


def astype(a: Any, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True) -> Any:
    dtype = np.dtype(dtype)
    if dtype.kind == "c":
        return complex.promoted(a, dtype)
    if dtype.kind in "iu":
        return traced.value_of(a).astype(dtype)[()]
    if dtype.kind == "O":
        from .vectorized import elements

        return elements(a)
    if dtype not in (np.float64, np.float32, np.bool_):
        if any_active(a):
            raise TypeError(f"{traced.where_text()}astype({dtype}) of a differentiated array: adcore computes with float64 and float32")
        return traced.value_of(a).astype(dtype)
    return as_asked(a if not copy and dtype == a.dtype else traced.cast_to(a, dtype), order=order)


@implements(np.astype, any_kind=True)
def astype_of(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    return x.astype(dtype, copy=copy)


def contiguous(x: Any) -> Any:
    """x where its elements lie in C order, else a copy in which they do."""
    part = x.re if isinstance(x, complex.Complex) else x
    if not isinstance(part, traced.TracedArray):
        return x
    steps = traced.numpy_steps(part)
    unit = 2 if part is not x and traced.side_by_side(x.re, x.im) else 1
    return x if steps is not None and lies_in(tuple(s // unit for s in steps), x.shape, "C") else np.copy(x, "C")


def strided_view(x: Any, shape: Any = None, strides: Any = None, subok: bool = False, writeable: bool = True) -> Any:
    """``np.lib.stride_tricks.as_strided``: a view of the same memory with any shape and strides."""
    if not traced.is_traced(x):
        return np.lib.stride_tricks.as_strided(x, shape, strides, subok, writeable)
    if not isinstance(x, traced.TracedArray):
        raise unsupported("np.lib.stride_tricks.as_strided", "a complex array or a number", "index the array instead")
    shape = x.shape if shape is None else (shape,) if isinstance(shape, (int, np.integer)) else tuple(int(d) for d in shape)
    if known_steps(x, "np.lib.stride_tricks.as_strided") != x.element_steps:
        raise unsupported("np.lib.stride_tricks.as_strided", "an array that is not in C order", "make it np.ascontiguousarray(...) first")
    steps = x.strides if strides is None else (strides,) if isinstance(strides, (int, np.integer)) else tuple(int(s) for s in strides)
    if any(s % x.itemsize for s in steps):
        raise unsupported("np.lib.stride_tricks.as_strided", "strides that are no multiple of the element size", "index the array instead")
    view = x.stepped(shape, tuple(s // x.itemsize for s in steps))
    return view if writeable else view.read_only()


class Flat:
    """``array.flat``: one-dimensional reads and writes, whatever the array's strides."""

    def __init__(self, array: Any) -> None:
        self.base = array
        self.at = np.arange(array.size)

    def __getitem__(self, key: Any) -> Any:
        return self.base[np.unravel_index(self.at[values(key)], self.base.shape)]

    def __setitem__(self, key: Any, x: Any) -> None:
        if not isinstance(key, slice) or key != slice(None):
            flat_put(self.base, self.at[values(key)], x)
        elif not isinstance(x, (list, tuple)) and np.ndim(x) == 0:
            self.base[...] = x
        else:
            self[np.arange(len(self.at))] = x

    def __iter__(self) -> Any:
        return iter(self.base.reshape(-1))

    def __len__(self) -> int:
        return len(self.at)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.base.reshape(-1), dtype)

    def copy(self) -> Any:
        return copy(self.base.reshape(-1))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        new = trees.mapped(lambda x, path: x.base.reshape(-1) if isinstance(x, Flat) else x, (args, kwargs))
        return func(*new[0], **new[1])


class Flags:
    """``array.flags``, as far as it says something."""

    def __init__(self, array: Any) -> None:
        steps = tuple(s // array.itemsize for s in array.strides)
        self.writeable = bool(getattr(array, "writeable", False))
        self.c_contiguous, self.f_contiguous = (lies_in(steps, array.shape, order) for order in "CF")
        self.contiguous = self.c_contiguous
        self.owndata, self.aligned = array.base is None, True

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name.lower())


def view(a: Any, dtype: Any = None, type: Any = None) -> Any:
    if dtype is None or (isinstance(dtype, builtins.type) and issubclass(dtype, np.ndarray)):
        return a[...]
    dtype = np.dtype(dtype)
    if dtype == a.dtype:
        return a[...]
    if dtype.kind == "c":
        from .complex import view_of_real

        return view_of_real(a, dtype)
    raise unsupported("ndarray.view", f"dtype={dtype}", "the meaning of the bytes decides the derivative; use astype for numbers")


ATTRIBUTES.update(flat=Flat, flags=Flags, device=lambda a: "cpu")

METHODS.update(
    reshape=reshape_method, ravel=ravel, flatten=lambda a, order="C": copy(ravel(a, order)), transpose=transpose_method,
    swapaxes=swapaxes, squeeze=squeeze, copy=lambda a, order="C": copy(a, order),
    repeat=repeat, take=take, diagonal=diagonal, trace=trace,
    fill=fill_method, astype=astype, compress=lambda a, c, axis=None, out=None: compress(c, a, axis, out), put=put,
    view=view, tobytes=memory.tobytes,
)  # fmt: skip

on_values("result_type", "iscomplexobj", "isrealobj", "may_share_memory", "shares_memory", "array_equal", "array_equiv",
          "allclose", "isclose", "nonzero", "argwhere", "flatnonzero", "count_nonzero", "can_cast", "min_scalar_type",
          "isneginf", "isposinf", "iscomplex", "isreal", "array_repr", "array_str", "array2string")  # fmt: skip
