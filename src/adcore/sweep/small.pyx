"""Linear algebra of small matrices, and constants, that a sweep calls without Python: where it is, by what it computes."""

from numpy.linalg import LinAlgError

from libc.stdint cimport int64_t, uintptr_t

from adcore.plan.plan cimport NATIVE_VALUE
from adcore.primitive cimport adcore_value

cdef extern from "ad_small.h":
    enum:
        AD_SMALL
    int ad_small_solve(const double *const *x, const int64_t *n, double *y, int64_t ny, void *data) noexcept nogil
    int ad_small_det(const double *const *x, const int64_t *n, double *y, int64_t ny, void *data) noexcept nogil
    int ad_small_adjugate(const double *const *x, const int64_t *n, double *y, int64_t ny, void *data) noexcept nogil
    int ad_small_constant(const double *const *x, const int64_t *n, double *y, int64_t ny, void *data) noexcept nogil
    int ad_small_slogdet(const double *const *x, const int64_t *n, double *y, int64_t ny, void *data) noexcept nogil
    int ad_small_triangular(const double *const *x, const int64_t *n, double *y, int64_t ny, void *data) noexcept nogil
    int ad_small_cholesky(const double *const *x, const int64_t *n, double *y, int64_t ny, void *data) noexcept nogil
    int ad_small_cholesky_adjoint(const double *const *x, const int64_t *n, double *y, int64_t ny, void *data) noexcept nogil

LARGEST = AD_SMALL      # order of a matrix
# by what the code of a failure is less one, here and in lapack.pyx
FAILURES = (LinAlgError("Singular matrix"), LinAlgError("Matrix is not positive definite"),
            LinAlgError("singular matrix: a zero on the diagonal"), MemoryError("no memory for a factorisation"))


def solve(int n):
    """``a^-1 b`` for matrices of this order, as a rule's ``native``; what it reports is a singular one."""
    return NATIVE_VALUE, <uintptr_t><adcore_value>ad_small_solve, <uintptr_t>n, 2, 0


def det(int n):
    """The determinants of matrices of this order, as a rule's ``native``."""
    return NATIVE_VALUE, <uintptr_t><adcore_value>ad_small_det, <uintptr_t>n, 1, 0


def adjugate(int n):
    """The adjugates of matrices of order 1 to 3, as a rule's ``native``."""
    return NATIVE_VALUE, <uintptr_t><adcore_value>ad_small_adjugate, <uintptr_t>n, 1, 0


def slogdet(int n):
    """Signs and logarithms of the determinants of matrices of this order, as a rule's ``native``."""
    return NATIVE_VALUE, <uintptr_t><adcore_value>ad_small_slogdet, <uintptr_t>n, 1, 0


def triangular(bint lower, bint unit, int n):
    """``a^-1 b`` for triangular matrices of this order, as a rule's ``native``."""
    return NATIVE_VALUE, <uintptr_t><adcore_value>ad_small_triangular, <uintptr_t>(n | lower << 8 | unit << 9), 2, 0


def cholesky(int n):
    """The lower Cholesky factors of matrices of this order, as a rule's ``native``."""
    return NATIVE_VALUE, <uintptr_t><adcore_value>ad_small_cholesky, <uintptr_t>n, 1, 0


def cholesky_adjoint(int n):
    """The adjoints of matrices of this order from those of their Cholesky factors, and from these, as a rule's ``native``."""
    return NATIVE_VALUE, <uintptr_t><adcore_value>ad_small_cholesky_adjoint, <uintptr_t>n, 2, 0


def constant(array):
    """A copy of this array, as a rule's ``native``: whoever has that keeps the array. None where it is not plain float64."""
    if array.dtype != "f8" or not (array.flags.c_contiguous and array.flags.aligned):
        return None
    return NATIVE_VALUE, <uintptr_t><adcore_value>ad_small_constant, <uintptr_t>array.ctypes.data, 0, 0
