from libc.stdint cimport int32_t, int64_t, uint8_t
from adcore.plan.pool cimport Pool
from adcore.tape.program cimport Program

cdef struct LoopSpan:       # instructions [first, end) of the tiled program, run `count` times
    int32_t first, end
    int64_t count

cdef class Tiling:
    cdef Program program        # the program with its loops spelled out
    cdef Pool loops             # LoopSpan, in order
    cdef int64_t *step          # of each value: elements that its map moves from one tile to the next
    cdef uint8_t *carried       # a sum that goes on from tile to tile
    cdef int32_t *origin        # the value of the untiled program that this one stands for
