from libc.stdint cimport int64_t

# what can be wrong with a shadow; FITS is the only one that lets a sweep write
cpdef enum Fault:
    FITS = 0
    NOT_AN_ARRAY
    SUBCLASS
    DTYPE
    BYTE_ORDER
    NDIM
    SHAPE
    READ_ONLY
    ALIGNMENT
    OVERLAPS_ITSELF

cpdef bint apart(object array) except -1
cpdef int fault(object primal, object shadow, int64_t lead=*) except -1
cpdef object shared_pair(list written, list others)
cdef bint is_float(object array) noexcept
