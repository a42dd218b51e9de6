"""Factorisations of matrices and solves with their factors by SciPy's LAPACK, which a sweep calls without Python.

The functions have the form of compiled primitives; data is the order of the matrices, with flags above it. Matrices are in C order,
which LAPACK, whose columns lie together, sees as their transposes.

Factors of a matrix a (`lu`) are what ``getrf`` gives for ``a^T = P L U``, and one row more: which rows were exchanged, as it counts them.
"""

from libc.math cimport INFINITY, fabs, log
from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from adcore.plan.plan cimport NATIVE_VALUE
from adcore.primitive cimport adcore_value
from adcore.sweep cimport blas

ctypedef void (*getrf_fn)(int *, int *, double *, int *, int *, int *) noexcept nogil
ctypedef void (*potrf_fn)(char *, int *, double *, int *, int *) noexcept nogil
ctypedef void (*sygst_fn)(int *, char *, int *, double *, int *, double *, int *, int *) noexcept nogil
ctypedef void (*trmm_fn)(char *, char *, char *, char *, int *, int *, double *, double *, int *, double *, int *) noexcept nogil
ctypedef void (*trsv_fn)(char *, char *, char *, int *, double *, int *, double *, int *) noexcept nogil

cdef getrf_fn dgetrf
cdef potrf_fn dpotrf
cdef sygst_fn dsygst
cdef trmm_fn dtrmm, dtrsm
cdef trsv_fn dtrsv

cdef enum:
    SINGULAR = 1        # codes of failures: places in small.FAILURES, counted from 1
    INDEFINITE = 2
    ZERO_ON_DIAGONAL = 3
    NO_MEMORY = 4
    FIRST_FLAG = 32     # bits of data above the order
    ORDER = 0xffffffff

cdef bint loaded = False


cdef int load() except -1:
    """Make the routines known; needs the GIL."""
    global dgetrf, dpotrf, dsygst, dtrmm, dtrsm, dtrsv, loaded
    if loaded:
        return 0
    api = blas.found("scipy.linalg.cython_lapack").__pyx_capi__
    dgetrf = <getrf_fn>blas.routine(api, "dgetrf")
    dpotrf = <potrf_fn>blas.routine(api, "dpotrf")
    dsygst = <sygst_fn>blas.routine(api, "dsygst")
    api = blas.found("scipy.linalg.cython_blas").__pyx_capi__
    dtrmm = <trmm_fn>blas.routine(api, "dtrmm")
    dtrsm = <trmm_fn>blas.routine(api, "dtrsm")
    dtrsv = <trsv_fn>blas.routine(api, "dtrsv")
    loaded = True
    return 0


# -- triangles -----------------------------------------------------------------------------------


cdef void divide(bint upper, bint transposed, bint unit, int n, double *a, int m, double *y) noexcept nogil:
    """``y t^-1`` for y of m rows, as LAPACK sees it, and a triangle t of its matrix a (transposed): for C, a solve with m columns."""
    cdef int one = 1
    cdef double unity = 1.0
    cdef char *uplo = "U" if upper else "L"
    cdef char *diag = "U" if unit else "N"
    if m == 1:
        dtrsv(uplo, "N" if transposed else "T", diag, &n, a, &n, y, &one)
    elif m:
        dtrsm("R", uplo, "T" if transposed else "N", diag, &m, &n, &unity, a, &n, y, &m)


cdef int solve_triangular(const double *const *x, const int64_t *lengths, double *y, int64_t ny, void *data) noexcept nogil:
    """``a^-1 b``; flags: lower, unit."""
    cdef int n = <int>(<uintptr_t>data & ORDER)
    cdef bint lower = <uintptr_t>data >> FIRST_FLAG & 1, unit = <uintptr_t>data >> FIRST_FLAG & 2
    cdef int64_t nn = <int64_t>n * n, count = lengths[0] // nn, m = ny // (count * n) if count else 0, c, k
    cdef const double *a
    memcpy(y, x[1], ny * sizeof(double))
    for c in range(count):
        a = x[0] + c * nn
        for k in range(0 if unit else n):
            if a[k * (n + 1)] == 0.0:
                return ZERO_ON_DIAGONAL
        divide(lower, False, unit, n, <double *>a, <int>m, y + c * n * m)
    return 0


# -- factors of any matrix -----------------------------------------------------------------------------


cdef int factors(const double *const *x, const int64_t *lengths, double *y, int64_t ny, void *data) noexcept nogil:
    """A singular matrix has factors too: whoever divides by them reports it."""
    cdef int n = <int>(<uintptr_t>data & ORDER), info
    cdef int64_t nn = <int64_t>n * n, c, k
    cdef double *exchanged
    cdef int *rows
    for c in range(lengths[0] // nn):
        memcpy(y, x[0] + c * nn, nn * sizeof(double))
        exchanged = y + nn
        rows = <int *>exchanged                 # they are half as wide: the last first, none is lost
        dgetrf(&n, &n, y, &n, rows, &info)
        for k in range(n - 1, -1, -1):
            exchanged[k] = rows[k]
        y += nn + n
    return 0


cdef void exchange(double *y, int64_t m, const double *rows, int64_t k) noexcept nogil:
    """Exchange row k with that which `rows` names."""
    cdef int64_t other = <int64_t>rows[k] - 1, j
    cdef double kept
    if other != k:
        for j in range(m):
            kept = y[k * m + j]
            y[k * m + j] = y[other * m + j]
            y[other * m + j] = kept


cdef int solve_with(const double *const *x, const int64_t *lengths, double *y, int64_t ny, void *data) noexcept nogil:
    """``a^-1 b`` (flag: ``a^-T b``) of (a, factors, b)."""
    cdef int n = <int>(<uintptr_t>data & ORDER)
    cdef bint transposed = <uintptr_t>data >> FIRST_FLAG & 1
    cdef int64_t each = <int64_t>n * n + n, count = lengths[1] // each, m = ny // (count * n) if count else 0, c, k
    cdef double *lu
    memcpy(y, x[2], ny * sizeof(double))
    for c in range(count):
        lu = <double *>x[1] + c * each
        for k in range(n):
            if lu[k * (n + 1)] == 0.0:
                return SINGULAR
        if transposed:
            for k in range(n):
                exchange(y, m, lu + <int64_t>n * n, k)
            divide(False, True, True, n, lu, <int>m, y)
            divide(True, True, False, n, lu, <int>m, y)
        else:
            divide(True, False, False, n, lu, <int>m, y)
            divide(False, False, True, n, lu, <int>m, y)
            for k in range(n - 1, -1, -1):
                exchange(y, m, lu + <int64_t>n * n, k)
        y += n * m
    return 0


cdef int log_determinant(const double *const *x, const int64_t *lengths, double *y, int64_t ny, void *data) noexcept nogil:
    """Sign and logarithm of the determinant, of (a, factors)."""
    cdef int n = <int>(<uintptr_t>data & ORDER)
    cdef int64_t nn = <int64_t>n * n, c, k
    cdef const double *lu = x[1]
    cdef double pivot, sign, total
    for c in range(ny // 2):
        sign, total = 1.0, 0.0
        for k in range(n):
            pivot = lu[k * (n + 1)]
            if (pivot < 0.0) != (lu[nn + k] != k + 1):
                sign = -sign
            if pivot == 0.0:
                sign, total = 0.0, -INFINITY
                break
            total += log(fabs(pivot))
        y[2 * c], y[2 * c + 1] = sign, total
        lu += nn + n
    return 0


# -- factors of symmetric matrices ------------------------------------------------------------------------


cdef int cholesky_factor(const double *const *x, const int64_t *lengths, double *y, int64_t ny, void *data) noexcept nogil:
    cdef int n = <int>(<uintptr_t>data & ORDER), info
    cdef int64_t nn = <int64_t>n * n, c, i
    for c in range(ny // nn):
        for i in range(n):
            memcpy(y + i * n, x[0] + c * nn + i * n, (i + 1) * sizeof(double))
            memset(y + i * n + i + 1, 0, (n - i - 1) * sizeof(double))
        dpotrf("U", &n, y, &n, &info)
        if info:
            return INDEFINITE
        y += nn
    return 0


cdef int adjoint_of_cholesky(const double *const *x, const int64_t *lengths, double *y, int64_t ny, void *data) noexcept nogil:
    """``sym(L^-T half_lower(L^T G) L^-1)`` of (G, L): a triangular product and sygst, n^3 operations each.

    sygst computes ``inv(M) A inv(M^T)`` with a lower triangle M: that is L^T read from its end, as is A.
    """
    cdef int n = <int>(<uintptr_t>data & ORDER), info, one = 1
    cdef int64_t nn = <int64_t>n * n, c, i, j
    cdef double half = 0.5
    cdef double *work = <double *>malloc(2 * nn * sizeof(double))
    cdef double *reversed_factor = work + nn
    if work == NULL:
        return NO_MEMORY
    for c in range(ny // nn):
        memcpy(y, x[0] + c * nn, nn * sizeof(double))
        dtrmm("R", "U", "T", "N", &n, &n, &half, <double *>x[1] + c * nn, &n, y, &n)
        for i in range(nn):
            work[i] = y[nn - 1 - i]
            reversed_factor[i] = x[1][c * nn + nn - 1 - i]
        dsygst(&one, "L", &n, work, &n, reversed_factor, &n, &info)
        for i in range(n):
            for j in range(i + 1):
                y[i * n + j] = y[j * n + i] = work[nn - 1 - (i * n + j)]
        y += nn
    free(work)
    return 0


# -- as rules' ``native`` --------------------------------------------------------------------------------


cdef tuple native(adcore_value function, int n, int flags, int arguments):
    load()
    return NATIVE_VALUE, <uintptr_t>function, <uintptr_t>n | <uintptr_t>flags << FIRST_FLAG, arguments, 0


def triangular(bint lower, bint unit, int n):
    """``a^-1 b`` for triangular matrices of this order."""
    return native(solve_triangular, n, lower | unit << 1, 2)


def lu(int n):
    """Factors of matrices of this order."""
    return native(factors, n, 0, 1)


def lu_solve(bint transposed, int n):
    """``a^-1 b`` or ``a^-T b``, of matrices of this order, their factors, and b."""
    return native(solve_with, n, transposed, 3)


def lu_slogdet(int n):
    """Signs and logarithms of determinants, of matrices of this order and their factors."""
    return native(log_determinant, n, 0, 2)


def cholesky(int n):
    """The lower Cholesky factors of matrices of this order."""
    return native(cholesky_factor, n, 0, 1)


def cholesky_adjoint(int n):
    """The adjoints of matrices of this order from those of their Cholesky factors, and from these."""
    return native(adjoint_of_cholesky, n, 0, 2)
