cdef extern from "ad_pool.h" nogil:
    ctypedef void (*ad_part_fn)(void *job, int part, char *scratch) noexcept nogil

cdef void parallel(ad_part_fn fn, void *job, int parts, int threads, size_t scratch_bytes, char *scratch) noexcept nogil
cdef double clock_seconds() noexcept nogil
