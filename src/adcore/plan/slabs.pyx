"""Slabs: a step that reads windows with borders across its rows is cut where they begin.

A row that lies partly on a border is packed into a register. Where rows are long, the step is one step for the inside of all rows,
which is read where it is, and one for the columns on either side.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

from adcore.plan.plan cimport CLAMPED

cdef enum:
    LONG_ROW = 96           # shorter ones stay whole
    MANY_ROWS = 8           # fewer stay whole
    NARROW = 8              # the columns beside are one in so many, at most


cdef int32_t find_slabs(int64_t ndim, const int64_t *dims, const int64_t **windows, int32_t n_loads, int64_t *cuts) noexcept:
    """Cut the last dimension: slab k is [cuts[k], cuts[k + 1]). Returns how many there are; 1: the step stays whole."""
    cdef int64_t n = dims[ndim - 1] if ndim else 0, rows = 1, at, widest = 0
    cdef int32_t i, k, side, m = 1
    for k in range(<int32_t>ndim - 1):
        rows *= dims[k]
    if n < LONG_ROW or rows < MANY_ROWS:
        return 1
    cuts[0] = 0
    cuts[1] = n
    for i in range(n_loads):
        for side in range(2 if windows[i] != NULL else 0):
            at = windows[i][side * ndim + ndim - 1]     # where the window begins, or ends
            k = m
            while k > 0 and cuts[k] > at:
                k -= 1
            if at <= 0 or cuts[k] == at or at >= n:
                continue
            if m == SLABS_MAX:
                return 1
            m += 1
            for k in range(m, k + 1, -1):
                cuts[k] = cuts[k - 1]
            cuts[k - 1] = at
    for k in range(m):
        widest = max(widest, cuts[k + 1] - cuts[k])
    return m if (n - widest) * NARROW <= n else 1


cdef int64_t cut_window(int64_t ndim, const int64_t *dims, const int64_t *window, int64_t start, int64_t end,
                        int64_t *stride, int64_t *out) noexcept:
    """The window of a slab, which is on one side of where it begins and ends; its stride where that changes.

    Returns the index in the last dimension of what the slab reads first.
    """
    cdef int64_t last = ndim - 1, low = window[last], high = window[ndim + last], around
    cdef int64_t k = 0
    memcpy(out, window, 4 * ndim * sizeof(int64_t))
    out[last] = out[2 * ndim + last] = out[3 * ndim + last] = 0
    out[ndim + last] = end - start
    if low <= start and end <= high:
        return start
    around = window[2 * ndim + last] if end <= low else window[3 * ndim + last]
    if around == CLAMPED:
        stride[0] = 0
        return low if end <= low else high - 1
    if around != 0:
        return start + around if end <= low else start - around
    while dims[k] == 1:                 # nothing is there, whatever the row
        k += 1
    out[k] = out[ndim + k] = out[2 * ndim + k] = out[3 * ndim + k] = 0
    return start
