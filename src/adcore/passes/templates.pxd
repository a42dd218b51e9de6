from libc.stdint cimport int32_t, uint8_t, uint16_t

from adcore.passes.builder cimport Builder

cdef struct Partial:                # the partial derivative of one op by one argument
    int32_t first, n                # its instructions among the templates; n = 0: a constant
    double constant
    bint missing                    # it exists, but nobody has written it

cdef Partial *partial_of(int op, int k) noexcept nogil
cdef int32_t emit_partial(Builder builder, const Partial *partial, uint8_t dtype, int32_t shape,
                          int32_t x1, int32_t x2, int32_t x3, int32_t y) except -1
cdef int32_t joint_shape(Builder builder, int32_t x1, int32_t x2, int32_t x3, int32_t shape) noexcept
