"""The functions that adcore.compiled_primitive takes; the contract stands in ``adcore_primitive.h`` (adcore.get_include())."""

from libc.stdint cimport int64_t

cdef extern from "adcore_primitive.h":
    enum:
        ADCORE_MAX_ARGUMENTS
    ctypedef int (*adcore_value)(const double *const *x, const int64_t *n, double *y, int64_t ny, void *data) noexcept nogil
    ctypedef int (*adcore_reverse)(const double *const *x, const int64_t *n, const double *y, const double *gy, int64_t ny,
                                   double *const *gx, void *data) noexcept nogil
    ctypedef int (*adcore_forward)(const double *const *x, const double *const *tx, const int64_t *n, const double *y, double *ty,
                                   int64_t ny, void *data) noexcept nogil
