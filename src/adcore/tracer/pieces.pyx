"""Arrays put together from parts of others: concatenation, stacking, rotation, padding.

Each is a fresh array and one update of it for each part.
"""

from libc.stdint cimport int32_t, int64_t

from adcore.optable.opcodes cimport AD_OP_EMPTY, AD_OP_FULL, AD_OP_UPDATE
from adcore.tracer.array cimport Buffer, Trace, TracedArray, cast, narrowed, operand_of, sub_view, wrap

from adcore.errors import where_text


cdef TracedArray fresh(Trace trace, list shape, int code, object fill=None):
    """An array of this shape and dtype, filled with a number or to be written."""
    cdef int32_t value
    trace.check()
    if fill is None:
        value = trace.append(AD_OP_EMPTY, code, 0, -1, -1, -1, trace.shape_of_tuple(shape), -1)
    else:
        value = trace.append(AD_OP_FULL, code, 1, operand_of(trace, fill), -1, -1, trace.shape_of_tuple(shape), -1)
    return wrap(trace, value, tuple(shape))


cdef int code_of(TracedArray array) noexcept:
    return array.trace.tape.code[array.buffer.value].dtype


cdef int put(TracedArray part, TracedArray source) except -1:
    """``part[...] = source``, whose shape is the part's."""
    cdef Buffer buffer = part.buffer
    cdef Trace trace = part.trace
    cdef int32_t value
    for d in source.shape:
        if d == 0:
            return 0
    value = cast(trace, source.read(), part)
    buffer.flush()
    buffer.value = trace.append(AD_OP_UPDATE, code_of(part), 2, buffer.value, value, -1, trace.tape.code[buffer.value].shape,
                                part.add_map())
    buffer.version += 1
    return 0


def concatenate(list arrays, Py_ssize_t axis, dtype_code=None):
    """Traced arrays of one recording and one dtype, or with one given by its code, along a non-negative axis."""
    cdef TracedArray array, first = arrays[0], out
    cdef list shape = list(first.shape)
    cdef Py_ssize_t k
    cdef int64_t total = 0, start = 0
    for array in arrays:
        if len(array.shape) != len(shape):
            raise ValueError(f"{where_text()}all the input array dimensions except for the concatenation axis must match exactly")
        for k in range(len(shape)):
            if k != axis and array.shape[k] != shape[k]:
                raise ValueError(f"{where_text()}all the input array dimensions except for the concatenation axis must match exactly")
        total += <int64_t>array.shape[axis]
    shape[axis] = total
    out = fresh(first.trace, shape, code_of(first) if dtype_code is None else dtype_code)
    for array in arrays:
        put(narrowed(out, axis, start, start + <int64_t>array.shape[axis], 1), array)
        start += <int64_t>array.shape[axis]
    return out


def stack(list arrays, Py_ssize_t axis, dtype_code=None):
    """Likewise along a new axis."""
    cdef TracedArray array, first = arrays[0], out
    cdef list shape = list(first.shape), steps
    cdef int64_t step
    cdef Py_ssize_t k
    shape.insert(axis, len(arrays))
    out = fresh(first.trace, shape, code_of(first) if dtype_code is None else dtype_code)
    steps = list(out.element_strides())
    step = steps.pop(axis)
    for k in range(len(arrays)):
        array = arrays[k]
        if array.shape != first.shape:
            raise ValueError(f"{where_text()}all input arrays must have the same shape")
        put(sub_view(out, k * step, first.shape, tuple(steps)), array)
    return out


def rotate(TracedArray array, int64_t shift, Py_ssize_t axis):
    """``np.roll`` along one axis by ``0 < shift < length``."""
    cdef TracedArray out = fresh(array.trace, list(array.shape), code_of(array))
    cdef int64_t n = array.shape[axis]
    put(narrowed(out, axis, 0, shift, 1), narrowed(array, axis, n - shift, n, 1))
    put(narrowed(out, axis, shift, n, 1), narrowed(array, axis, 0, n - shift, 1))
    return out


def pad(TracedArray array, list widths, str mode, fill):
    """``np.pad`` with a number, or by a rule for what lies beyond an edge; None where an axis is too short for one copy of it.

    As NumPy does it: the middle, then the edges of each axis from what is there already.
    """
    cdef list shape = [], whole
    cdef Py_ssize_t n = len(array.shape), k
    cdef int64_t before, after, length
    cdef TracedArray part
    for k in range(n):
        before, after = widths[k]
        length = array.shape[k]
        if before < 0 or after < 0:
            raise ValueError(f"{where_text()}index can't contain negative values")
        if mode != "constant" and mode != "edge" and max(before, after) > length - (mode == "reflect"):
            return None
        if mode == "edge" and length == 0 and before + after:
            raise ValueError(f"{where_text()}can't extend empty axis {k} using modes other than 'constant' or 'empty'")
        shape.append(before + length + after)
    whole = [fresh(array.trace, shape, code_of(array), fill if mode == "constant" else None)]
    for k in range(n - 1, -1, -1):      # the parts that lie in the middle of the last axis, of the last two, ...
        before = widths[k][0]
        whole.append(narrowed(whole[-1], k, before, before + <int64_t>array.shape[k], 1))
    put(whole[n], array)
    if mode == "constant":
        return whole[0]
    for k in range(n):
        before, after = widths[k]
        length = array.shape[k]
        part = whole[n - 1 - k]
        if before:
            extend(part, k, before, 0, before, 1, length, mode)
        if after:
            extend(part, k, before + length - 1, before + length, after, -1, length, mode)
    return whole[0]


cdef int extend(TracedArray out, Py_ssize_t axis, int64_t edge, int64_t to, int64_t count, int side, int64_t length, str mode) except -1:
    """Fill ``count`` places from ``to`` on; the array's first or last element stands at ``edge``, its others on that ``side`` of it."""
    cdef TracedArray part
    cdef list shape, steps
    cdef int64_t last
    if mode == "edge":
        part = narrowed(out, axis, edge, edge + 1, 1)
        shape = list(part.shape)
        steps = list(part.element_strides())
        shape[axis] = count
        steps[axis] = 0
        part = sub_view(part, part.offset, tuple(shape), tuple(steps))
    elif mode == "wrap":
        part = narrowed(out, axis, edge + length - count, edge + length, 1) if side > 0 else (
            narrowed(out, axis, edge - length + 1, edge - length + 1 + count, 1))
    else:                               # mirrored at the edge, or beside it
        last = edge + (mode == "reflect") * side
        last = last + count - 1 if side > 0 else last
        part = narrowed(out, axis, last, last - count, -1)
    return put(narrowed(out, axis, to, to + count, 1), part)
