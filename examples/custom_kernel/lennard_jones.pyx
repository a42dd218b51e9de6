# cython: boundscheck=False, wraparound=False, cdivision=True
"""The Lennard-Jones energy of atoms and its forces: kernels in Cython, found by adcore through ``__pyx_capi__``.

Arguments: positions (n x 3), and the vector (depth, radius).
"""

from libc.stdint cimport int64_t


cdef double pair(const double *a, const double *b, double radius, double *slope) noexcept nogil:
    """(radius/r)^12 - 2 (radius/r)^6 and its derivative by r^2, times r^2."""
    cdef double square = (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2
    cdef double s = (radius * radius / square) ** 3
    slope[0] = -6.0 * s * (s - 1.0) / square
    return s * (s - 2.0)


cdef api int energy(const double *const *x, const int64_t *n, double *y, int64_t ny, void *data) noexcept nogil:
    cdef int64_t i, j, atoms = n[0] // 3
    cdef double slope
    y[0] = 0.0
    for i in range(atoms):
        for j in range(i):
            y[0] += x[1][0] * pair(x[0] + 3 * i, x[0] + 3 * j, x[1][1], &slope)
    return 0


cdef api int energy_reverse(const double *const *x, const int64_t *n, const double *y, const double *gy, int64_t ny,
                            double *const *gx, void *data) noexcept nogil:
    cdef int64_t i, j, atoms = n[0] // 3
    cdef int k
    cdef double slope, value, push, square
    for i in range(atoms):
        for j in range(i):
            value = pair(x[0] + 3 * i, x[0] + 3 * j, x[1][1], &slope)
            if gx[0] != NULL:
                for k in range(3):
                    push = 2.0 * gy[0] * x[1][0] * slope * (x[0][3 * i + k] - x[0][3 * j + k])
                    gx[0][3 * i + k] += push
                    gx[0][3 * j + k] -= push
            if gx[1] != NULL:
                square = 0.0
                for k in range(3):
                    square += (x[0][3 * i + k] - x[0][3 * j + k]) ** 2
                gx[1][0] += gy[0] * value
                gx[1][1] -= 2.0 * gy[0] * x[1][0] * slope * square / x[1][1]
    return 0
