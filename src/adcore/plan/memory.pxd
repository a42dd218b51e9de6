from cython cimport final
from libc.stdint cimport int32_t, int64_t, uint8_t
from adcore.plan.fuse cimport Fusion, LoopGroups
from adcore.plan.plan cimport Place
from adcore.plan.pool cimport Pool
from adcore.tape.program cimport BOOL, F32
from adcore.tape.shelf cimport Shelf

cdef struct Bin:
    int64_t size
    int32_t head            # a free place of this size, -1: none

cdef struct Hole:           # a free place
    int64_t offset
    int32_t next


@final
cdef class Layout:
    cdef Fusion fusion
    cdef Shelf shelf        # holds the columns
    cdef Place *place       # of each value in memory
    cdef uint8_t *in_place  # a store that writes over its base
    cdef uint8_t *taken     # a base that a store has taken over
    cdef int32_t *scalar_of     # index in the scalar file, -1: not a scalar (yet)
    cdef int32_t n_scalars
    cdef int64_t arena_bytes

    cdef int32_t new_scalar(self, int32_t value) noexcept
    cdef int arrange(self, int32_t n_inputs, int32_t n_consts) except -1
    cdef void describe(self, int32_t value) noexcept
    cdef int place_leaves(self, int32_t n_inputs) except -1
    cdef int find_in_place(self) except -1
    cdef int place_results(self, int32_t first_slot) except -1
    cdef int place_what_stays(self, const LoopGroups *loop, Bin *bins, Pool *holes) except -1
    cdef int place_group(self, int32_t group, Bin *bins, Pool *holes, int32_t *dying,
                         int32_t *next_dying) except -1
    cdef int64_t take(self, int64_t size, Bin *bins, Pool *holes) except -1
    cdef int give_back(self, int64_t offset, int64_t size, Bin *bins, Pool *holes) except -1

cdef inline int64_t item_size(int dtype) noexcept nogil:
    return 1 if dtype == BOOL else (4 if dtype == F32 else 8)
