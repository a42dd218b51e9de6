"""Affine maps with iteration spaces of their own: what rewriting needs to prove of them.

``tape/maps.pxd`` compares two maps over one space; these compare or compose maps over
different spaces. Every test may answer "not proved", never wrongly "proved".
"""

from libc.stdint cimport int64_t

cdef enum:
    MAX_DIMS = 64

cdef struct Map:
    int64_t ndim
    int64_t offset
    int64_t[64] dims
    int64_t[64] strides

cdef bint disjoint(const Map *a, const Map *b) noexcept nogil
cdef bint compose(const Map *inner, const Map *through, const Map *target, Map *out) noexcept nogil
cdef void make_dense(Map *m) noexcept nogil
