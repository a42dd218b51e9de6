from libc.stdint cimport int64_t
from adcore.plan.plan cimport Native

cdef enum:
    ARGUMENTS_MAX = 32                      # ADCORE_MAX_ARGUMENTS
    OPERANDS_MAX = 2 * ARGUMENTS_MAX + 3

ctypedef double *numbers
ctypedef const double *read_only

cdef int invoke(const Native *native, double *y, int64_t ny, const double **operands, const int64_t *lengths) noexcept nogil
