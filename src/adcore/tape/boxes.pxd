"""Boxes: stores that fill a range of indices along every axis of an array, as ``a[1:-1, 2:] = x`` does."""

from libc.stdint cimport int32_t, int64_t, uint64_t

cdef enum:
    BOX_DIMS = 16

cdef struct Box:
    int64_t ndim
    int64_t[16] dims            # of the array
    int64_t[16] start
    int64_t[16] extent

cdef inline bint find_start(const int64_t *ints, int32_t array, int32_t map_, int64_t *steps, int64_t *start) noexcept nogil:
    """The steps of the axes of an array, which lies in C order, and the index at which a map begins; False: there is none."""
    cdef int64_t ndim = ints[array], k, step = 1, left = ints[map_]
    for k in range(ndim - 1, -1, -1):
        steps[k] = step
        step *= ints[array + 1 + k]
    if step == 0 or left < 0:
        return False
    for k in range(ndim):
        start[k] = left // steps[k]
        left -= start[k] * steps[k]
    return True

cdef inline bint find_box(const int64_t *ints, int32_t array, int32_t space, int32_t map_, Box *box) noexcept nogil:
    """Is the image of a map over ``space`` a box in an array of shape ``array``, each element reached once?"""
    cdef int64_t ndim = ints[array], k, j
    cdef uint64_t used = 0
    cdef int64_t[16] steps
    if ndim > BOX_DIMS or ints[space] > BOX_DIMS or not find_start(ints, array, map_, steps, box.start):
        return False
    box.ndim = ndim
    for k in range(ndim):
        box.dims[k] = ints[array + 1 + k]
        box.extent[k] = 1
    for j in range(ints[space]):
        if ints[space + 1 + j] == 0:
            return False
        if ints[space + 1 + j] == 1:
            continue
        for k in range(ndim):
            if steps[k] == ints[map_ + 1 + j] and box.dims[k] > 1 and not (used >> k) & 1:
                break
        else:
            return False
        used |= <uint64_t>1 << k
        box.extent[k] = ints[space + 1 + j]
    for k in range(ndim):
        if box.start[k] + box.extent[k] > box.dims[k]:
            return False
    return True

cdef inline bint mostly(const Box *box) noexcept nogil:
    """Does the box hold at least half of the array's elements?"""
    cdef int64_t inside = 1, all_ = 1, k
    for k in range(box.ndim):
        inside *= box.extent[k]
        all_ *= box.dims[k]
    return 2 * inside >= all_
