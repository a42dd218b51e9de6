"""What can be proved of two affine maps over one iteration space.

A map sends index ``i`` to the element ``offset + sum_k strides[k] * i[k]``. These
tests license in-place updates and store-to-load forwarding, so they may
answer "don't know" (0) but never wrongly "yes".
"""

from libc.stdint cimport int64_t, uint64_t


cdef inline bint maps_equal(int64_t ndim, const int64_t *dims, int64_t offset1, const int64_t *strides1,
                            int64_t offset2, const int64_t *strides2) noexcept nogil:
    """Do both maps send every index to the same element?"""
    cdef int64_t k
    if offset1 != offset2:
        return False
    for k in range(ndim):
        if dims[k] > 1 and strides1[k] != strides2[k]:
            return False
    return True


cdef inline bint map_in_order(int64_t ndim, const int64_t *dims, int64_t offset, const int64_t *strides) noexcept nogil:
    """Does the map send the first index to element 0, the next one to element 1, and so on?"""
    cdef int64_t k, step = 1
    if offset != 0:
        return False
    for k in range(ndim - 1, -1, -1):
        if dims[k] > 1 and strides[k] != step:
            return False
        step *= dims[k]
    return True


cdef inline bint map_injective(int64_t ndim, const int64_t *dims, const int64_t *strides) noexcept nogil:
    """Is it certain that different indices are sent to different elements? True for strides that nest."""
    cdef int64_t k, j, size, other, below
    for k in range(ndim):
        if dims[k] <= 1:
            continue
        size = strides[k] if strides[k] > 0 else -strides[k]
        below = 0
        for j in range(ndim):
            other = strides[j] if strides[j] > 0 else -strides[j]
            if j != k and dims[j] > 1 and (other < size or (other == size and j > k)):
                below += other * (dims[j] - 1)
        if size <= below:
            return False
    return True


cdef inline bint reachable(int64_t ndim, const int64_t *dims, const int64_t *strides,
                           int64_t delta, uint64_t done, int depth) noexcept nogil:
    """Is delta = sum strides[k] * j[k] for some |j[k]| < dims[k]? Greedy from the largest stride;
    answers True (not provably unreachable) when it runs out of depth."""
    cdef int64_t k, best = -1, size = 0, rest = 0, s, q, t
    if delta == 0:
        return True
    if depth > 12:
        return True
    for k in range(ndim):
        if (done >> k) & 1 or dims[k] <= 1 or strides[k] == 0:
            continue
        s = strides[k] if strides[k] > 0 else -strides[k]
        rest += s * (dims[k] - 1)
        if s > size:
            size = s
            best = k
    if best < 0 or delta > rest or -delta > rest:
        return False
    # j for the largest stride is one of the two integers around delta / size
    q = delta // size
    if delta % size != 0 and delta < 0:
        q -= 1                                  # C division truncates; we want the floor
    for t in range(q, q + 2):
        if -dims[best] < t < dims[best]:
            if reachable(ndim, dims, strides, delta - t * size,
                         done | (<uint64_t>1 << best), depth + 1):
                return True
    # with strides that do not nest another j may do: only the nested case is decided
    rest -= size * (dims[best] - 1)
    return rest >= size


cdef inline bint maps_disjoint(int64_t ndim, const int64_t *dims, int64_t offset1,
                               const int64_t *strides1, int64_t offset2,
                               const int64_t *strides2) noexcept nogil:
    """Is it certain that no element is reached by both maps?"""
    cdef int64_t k, low1 = offset1, high1 = offset1, low2 = offset2, high2 = offset2
    for k in range(ndim):
        if dims[k] == 0:
            return True
        if strides1[k] > 0:
            high1 += strides1[k] * (dims[k] - 1)
        else:
            low1 += strides1[k] * (dims[k] - 1)
        if strides2[k] > 0:
            high2 += strides2[k] * (dims[k] - 1)
        else:
            low2 += strides2[k] * (dims[k] - 1)
    if high1 < low2 or high2 < low1:
        return True
    for k in range(ndim):
        if dims[k] > 1 and strides1[k] != strides2[k]:
            return False
    if ndim > 63:
        return False
    return not reachable(ndim, dims, strides1, offset2 - offset1, 0, 0)


cdef inline bint same_index_only(int64_t ndim, const int64_t *dims, int64_t offset1, const int64_t *strides1,
                                 int64_t offset2, const int64_t *strides2) noexcept nogil:
    """Is it certain that only equal indices, if any, are sent to one element? Then what map 1 reads map 2 may
    overwrite, index by index in any order."""
    return maps_disjoint(ndim, dims, offset1, strides1, offset2, strides2) or (
        maps_equal(ndim, dims, offset1, strides1, offset2, strides2) and map_injective(ndim, dims, strides1))
