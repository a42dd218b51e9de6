"""What the accesses of a block step reach in memory, and which of them meet."""

from libc.stdint cimport int32_t, int64_t

from adcore.plan.memory cimport item_size
from adcore.plan.plan cimport Access, Step, WINDOW_END, WINDOW_FIRST
from adcore.tape.maps cimport maps_disjoint


cdef struct Extent:         # the bytes that an access of the step touches lie between low and high
    int64_t low, high
    int64_t highest         # of this and those before it, in the order of ``sort_extents``
    int32_t slot, access


cdef inline void sort_extents(Extent *items, int32_t n) noexcept nogil:
    """By slot, then by the first byte. There are few, and they are nearly in order."""
    cdef Extent item
    cdef int32_t i, k
    for i in range(1, n):
        item = items[i]
        k = i
        while k > 0 and (items[k - 1].slot > item.slot or items[k - 1].slot == item.slot and items[k - 1].low > item.low):
            items[k] = items[k - 1]
            k -= 1
        items[k] = item


cdef inline bint share(const int64_t *longs, const Step *step, const Access *one, const Access *other) noexcept nogil:
    """Do two accesses of one slot share an element, as far as can be told?"""
    return one.dtype != other.dtype or one.window >= 0 or not maps_disjoint(
        step.ndim, longs + step.dims, one.offset, longs + one.strides, other.offset, longs + other.strides)


cdef inline void extent_of(const int64_t *longs, const Step *step, const Access *access, Extent *extent) noexcept nogil:
    """First and one past the last byte that an access reaches in its slot."""
    cdef const int64_t *dims = longs + step.dims
    cdef const int64_t *strides = longs + access.strides
    cdef const int64_t *window = longs + access.window
    cdef int64_t first, last
    cdef int32_t k
    extent.slot = access.slot
    extent.low = access.offset
    extent.high = access.offset + item_size(access.dtype)
    for k in range(step.ndim):
        first = 0
        last = dims[k] - 1
        if access.window >= 0:
            first = window[WINDOW_FIRST * step.ndim + k]
            last = window[WINDOW_END * step.ndim + k] - 1
        extent.high += strides[k] * (last if strides[k] > 0 else first)
        extent.low += strides[k] * (first if strides[k] > 0 else last)
