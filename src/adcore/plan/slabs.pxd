from libc.stdint cimport int32_t, int64_t

cdef enum:
    SLABS_MAX = 7           # parts that rows are cut into, at most

cdef int32_t find_slabs(int64_t ndim, const int64_t *dims, const int64_t **windows, int32_t n_loads, int64_t *cuts) noexcept
cdef int64_t cut_window(int64_t ndim, const int64_t *dims, const int64_t *window, int64_t start, int64_t end,
                        int64_t *stride, int64_t *out) noexcept
