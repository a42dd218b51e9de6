"""Linear algebra of small matrices that a sweep calls without Python: where it is, by what it computes."""

from libc.stdint cimport int64_t, uintptr_t

from adcore.plan.plan cimport NATIVE_VALUE
from adcore.primitive cimport adcore_value

cdef extern from "ad_small.h":
    enum:
        AD_SMALL
    int ad_small_solve(const double *const *x, const int64_t *n, double *y, int64_t ny, void *data) noexcept nogil
    int ad_small_det(const double *const *x, const int64_t *n, double *y, int64_t ny, void *data) noexcept nogil
    int ad_small_adjugate(const double *const *x, const int64_t *n, double *y, int64_t ny, void *data) noexcept nogil

LARGEST = AD_SMALL      # order of a matrix


def solve(int n):
    """``a^-1 b`` for matrices of this order, as a rule's ``native``; what it reports is a singular one."""
    return NATIVE_VALUE, <uintptr_t><adcore_value>ad_small_solve, <uintptr_t>n, 2, 0


def det(int n):
    """The determinants of matrices of this order, as a rule's ``native``."""
    return NATIVE_VALUE, <uintptr_t><adcore_value>ad_small_det, <uintptr_t>n, 1, 0


def adjugate(int n):
    """The adjugates of matrices of order 1 to 3, as a rule's ``native``."""
    return NATIVE_VALUE, <uintptr_t><adcore_value>ad_small_adjugate, <uintptr_t>n, 1, 0
