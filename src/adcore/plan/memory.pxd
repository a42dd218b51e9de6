from libc.stdint cimport int32_t, int64_t, uint8_t
from adcore.plan.fuse cimport Fusion
from adcore.plan.plan cimport Place

cdef struct Bin:
    int64_t size
    int32_t head            # a free place of this size, -1: none

cdef struct Hole:           # a free place
    int64_t offset
    int32_t next

cdef class Layout:
    cdef Fusion fusion
    cdef Place *place       # of each value in memory
    cdef uint8_t *in_place  # a store that writes over its base
    cdef uint8_t *taken     # a base that a store has taken over
    cdef int32_t *scalar_of # index in the scalar file, -1: not a scalar (yet)
    cdef int32_t n_scalars
    cdef int64_t arena_bytes

    cdef int32_t new_scalar(self, int32_t value) noexcept
    cdef int arrange(self, int32_t n_inputs, int32_t n_consts) except -1

cdef int64_t item_size(int dtype) noexcept nogil
