"""The boundary between a sweep and the user's memory: what a shadow must be before it is written into.

Fast on what is right: one call answers for all leaves. What is wrong gets a code; ``adcore.shadows`` has the words.
"""

cimport numpy as cnp
from libc.stdint cimport int64_t, uintptr_t

import numpy as np

cnp.import_array()

cdef enum:
    MAX_DIMS = 64
    OVERLAP_WORK = 1000000      # steps of the exact overlap test before two arrays count as not shown to be disjoint
    COUNTED = 1 << 22           # elements of an array whose addresses are compared one by one


cpdef bint apart(object array) except -1:
    """Is no byte of the array in two of its elements?"""
    cdef int n = cnp.PyArray_NDIM(array), k, j, used = 0
    cdef int64_t extent = cnp.PyArray_ITEMSIZE(array), s
    cdef int64_t[MAX_DIMS] steps
    cdef int64_t[MAX_DIMS] dims
    if cnp.PyArray_IS_C_CONTIGUOUS(array) or cnp.PyArray_SIZE(array) == 0:
        return True
    for k in range(n):
        if cnp.PyArray_DIM(array, k) > 1:
            s = abs(<int64_t>cnp.PyArray_STRIDE(array, k))
            j = used
            while j and steps[j - 1] > s:
                steps[j] = steps[j - 1]
                dims[j] = dims[j - 1]
                j -= 1
            steps[j] = s
            dims[j] = cnp.PyArray_DIM(array, k)
            used += 1
    for k in range(used):
        if steps[k] < extent:
            break
        extent += steps[k] * (dims[k] - 1)
    else:
        return True
    if steps[0] == 0 or cnp.PyArray_SIZE(array) > COUNTED:
        return False
    at = np.zeros((), dtype=np.int64)
    for k in range(used):
        at = np.add.outer(at, np.arange(dims[k]) * steps[k])
    return bool(np.all(np.diff(np.sort(at, axis=None)) >= cnp.PyArray_ITEMSIZE(array)))


cpdef int fault(object primal, object shadow, int64_t lead=0) except -1:
    """What is wrong with the shadow of a float array, which has a further first axis of length ``lead`` if that is not 0."""
    cdef int n, k, first = 1 if lead else 0
    if type(shadow) is not cnp.ndarray:
        if not cnp.PyArray_Check(shadow):
            return NOT_AN_ARRAY
        if not isinstance(shadow, np.memmap):
            return SUBCLASS
    if cnp.PyArray_TYPE(shadow) != cnp.PyArray_TYPE(primal):
        return DTYPE
    if not cnp.PyArray_ISNOTSWAPPED(shadow):
        return BYTE_ORDER
    n = cnp.PyArray_NDIM(primal)
    if cnp.PyArray_NDIM(shadow) != n + first:
        return NDIM
    if lead and cnp.PyArray_DIM(shadow, 0) != lead:
        return SHAPE
    for k in range(n):
        if cnp.PyArray_DIM(shadow, k + first) != cnp.PyArray_DIM(primal, k):
            return SHAPE
    if not cnp.PyArray_ISWRITEABLE(shadow):
        return READ_ONLY
    if not cnp.PyArray_ISALIGNED(shadow):
        return ALIGNMENT
    if not apart(shadow):
        return OVERLAPS_ITSELF
    return FITS


cdef int bounds(object array, uintptr_t *low, uintptr_t *high) except -1:
    """The bytes from ``low`` up to ``high`` hold the array."""
    cdef int k
    cdef int64_t reach
    low[0] = high[0] = <uintptr_t>cnp.PyArray_DATA(array)
    if cnp.PyArray_SIZE(array) == 0:
        return 0
    for k in range(cnp.PyArray_NDIM(array)):
        reach = <int64_t>cnp.PyArray_STRIDE(array, k) * (<int64_t>cnp.PyArray_DIM(array, k) - 1)
        if reach < 0:
            low[0] -= <uintptr_t>(-reach)
        else:
            high[0] += <uintptr_t>reach
    high[0] += cnp.PyArray_ITEMSIZE(array)
    return 0


cpdef object shared_pair(list written, list others):
    """The first written array that shares a byte with another written one or with one of the others, and that one; or None.

    Exact for strided arrays; a pair whose test would take too long counts as sharing. Positions in ``others`` follow
    those in ``written``.
    """
    cdef list arrays = written + others
    cdef Py_ssize_t n = len(arrays), w = len(written), i, j
    cdef uintptr_t[128] near            # bounds of a few arrays
    cdef uintptr_t low, high
    if n > 64:
        return shared_pair_of_many(arrays, w)
    for i in range(n):
        bounds(arrays[i], &near[2 * i], &near[2 * i + 1])
    for i in range(w):
        low = near[2 * i]
        high = near[2 * i + 1]
        if low == high:
            continue
        for j in range(i + 1, n):
            if near[2 * j] < high and low < near[2 * j + 1] and shares(arrays[i], arrays[j]):
                return i, j
    return None


cdef object shared_pair_of_many(list arrays, Py_ssize_t w):
    """As ``shared_pair``, by sorting the arrays by where they begin."""
    cdef Py_ssize_t n = len(arrays), i, a, b
    cdef uintptr_t low, high
    cdef list spans = [], open_spans
    for i in range(n):
        bounds(arrays[i], &low, &high)
        if low != high:
            spans.append((low, high, i))
    spans.sort()
    open_spans = []
    for start, end, i in spans:
        open_spans = [s for s in open_spans if s[1] > start]
        for _, _, k in open_spans:
            a, b = min(i, k), max(i, k)
            if a < w and shares(arrays[a], arrays[b]):
                return a, b
        open_spans.append((start, end, i))
    return None


cdef int64_t common_step(object array, int64_t step) except -1:
    """The greatest number of bytes that divides all strides of the array and ``step``."""
    cdef int64_t s
    cdef int k
    for k in range(cnp.PyArray_NDIM(array)):
        if cnp.PyArray_DIM(array, k) > 1:
            s = abs(<int64_t>cnp.PyArray_STRIDE(array, k))
            while s:
                step, s = s, step % s
    return step


cdef bint shares(object a, object b) except -1:
    """Is there a byte in both? Columns of one block differ by less than what all of their strides are multiples of."""
    cdef int64_t step = common_step(b, common_step(a, 0)), between
    if step:
        between = (<int64_t><uintptr_t>cnp.PyArray_DATA(b) - <int64_t><uintptr_t>cnp.PyArray_DATA(a)) % step
        between += step if between < 0 else 0
        if between >= cnp.PyArray_ITEMSIZE(a) and between + cnp.PyArray_ITEMSIZE(b) <= step:
            return False
    try:
        return np.shares_memory(a, b, max_work=OVERLAP_WORK)
    except np.exceptions.TooHardError:
        return True


cdef bint is_float(object array) noexcept:
    return cnp.PyArray_TYPE(array) == cnp.NPY_DOUBLE or cnp.PyArray_TYPE(array) == cnp.NPY_FLOAT
