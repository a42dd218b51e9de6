/* Linear algebra of small matrices, in C order and in stacks: LAPACK's algorithms without the price of a call through Python.
   The functions have the form of compiled primitives (adcore_primitive.h); data is the order of the matrices as a number, or where a constant is. */
#ifndef AD_SMALL_H
#define AD_SMALL_H

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { AD_SMALL = 16 };     /* largest order */

/* LU of a with partial pivoting, in place, and likewise the rows of b (m columns); -1, 1: how rows were exchanged, 0: singular. */
static int ad_eliminate(double *a, int64_t n, double *b, int64_t m) {
    int64_t i, j, k, p;
    int sign = 1;
    for (k = 0; k < n; k++) {
        p = k;
        for (i = k + 1; i < n; i++)
            if (fabs(a[i * n + k]) > fabs(a[p * n + k])) p = i;
        if (a[p * n + k] == 0.0) return 0;
        if (p != k) {
            sign = -sign;
            for (j = 0; j < n; j++) {
                double t = a[k * n + j];
                a[k * n + j] = a[p * n + j];
                a[p * n + j] = t;
            }
            for (j = 0; j < m; j++) {
                double t = b[k * m + j];
                b[k * m + j] = b[p * m + j];
                b[p * m + j] = t;
            }
        }
        for (i = k + 1; i < n; i++) {
            double f = a[i * n + k] / a[k * n + k];
            a[i * n + k] = f;
            for (j = k + 1; j < n; j++) a[i * n + j] -= f * a[k * n + j];
            for (j = 0; j < m; j++) b[i * m + j] -= f * b[k * m + j];
        }
    }
    return sign;
}

/* y = a^-1 b */
static int ad_small_solve(const double *const *x, const int64_t *lengths, double *y, int64_t ny, void *data) {
    int64_t n = (intptr_t)data, count = lengths[0] / (n * n), m = count ? ny / (count * n) : 0, c, i, j, k;
    double a[AD_SMALL * AD_SMALL];
    memcpy(y, x[1], ny * sizeof *y);
    for (c = 0; c < count; c++, y += n * m) {
        memcpy(a, x[0] + c * n * n, n * n * sizeof *a);
        if (!ad_eliminate(a, n, y, m)) return 1;
        for (k = n - 1; k >= 0; k--) {
            for (i = k + 1; i < n; i++)
                for (j = 0; j < m; j++) y[k * m + j] -= a[k * n + i] * y[i * m + j];
            for (j = 0; j < m; j++) y[k * m + j] /= a[k * n + k];
        }
    }
    return 0;
}

static int ad_small_det(const double *const *x, const int64_t *lengths, double *y, int64_t ny, void *data) {
    int64_t n = (intptr_t)data, c, k;
    double a[AD_SMALL * AD_SMALL];
    (void)lengths;
    for (c = 0; c < ny; c++) {
        memcpy(a, x[0] + c * n * n, n * n * sizeof *a);
        y[c] = ad_eliminate(a, n, NULL, 0);
        for (k = 0; k < n && y[c] != 0.0; k++) y[c] *= a[k * n + k];
    }
    return 0;
}

/* The adjugate of matrices of order 1, 2 or 3: their cofactors. */
static int ad_small_adjugate(const double *const *x, const int64_t *lengths, double *y, int64_t ny, void *data) {
    int64_t n = (intptr_t)data, i, j;
    const double *a = x[0], *end = a + ny;
    (void)lengths;
    for (; a < end; a += n * n, y += n * n) {
        if (n == 1) y[0] = 1.0;
        if (n == 2) {
            y[0] = a[3], y[1] = -a[1];
            y[2] = -a[2], y[3] = a[0];
        }
        if (n == 3)
            for (i = 0; i < 3; i++)
                for (j = 0; j < 3; j++) {
                    const double *p = a + (j + 1) % 3 * 3, *q = a + (j + 2) % 3 * 3;
                    y[i * 3 + j] = p[(i + 1) % 3] * q[(i + 2) % 3] - p[(i + 2) % 3] * q[(i + 1) % 3];
                }
    }
    return 0;
}

/* The sign of the determinant and the logarithm of its size, side by side. */
static int ad_small_slogdet(const double *const *x, const int64_t *lengths, double *y, int64_t ny, void *data) {
    int64_t n = (intptr_t)data, c, k;
    double a[AD_SMALL * AD_SMALL];
    (void)lengths;
    for (c = 0; c < ny / 2; c++) {
        memcpy(a, x[0] + c * n * n, n * n * sizeof *a);
        y[2 * c] = ad_eliminate(a, n, NULL, 0);
        y[2 * c + 1] = y[2 * c] == 0.0 ? -INFINITY : 0.0;
        for (k = 0; k < n && y[2 * c] != 0.0; k++) {
            if (a[k * n + k] < 0.0) y[2 * c] = -y[2 * c];
            y[2 * c + 1] += log(fabs(a[k * n + k]));
        }
    }
    return 0;
}

/* The lower Cholesky factor; the upper triangle is not read. 2: not positive definite. */
static int ad_small_cholesky(const double *const *x, const int64_t *lengths, double *y, int64_t ny, void *data) {
    int64_t n = (intptr_t)data, i, j, k;
    const double *a = x[0], *end = a + ny;
    (void)lengths;
    memset(y, 0, ny * sizeof *y);
    for (; a < end; a += n * n, y += n * n)
        for (j = 0; j < n; j++) {
            double d = a[j * n + j];
            for (k = 0; k < j; k++) d -= y[j * n + k] * y[j * n + k];
            if (d <= 0.0) return 2;
            y[j * n + j] = d = sqrt(d);
            for (i = j + 1; i < n; i++) {
                double s = a[i * n + j];
                for (k = 0; k < j; k++) s -= y[i * n + k] * y[j * n + k];
                y[i * n + j] = s / d;
            }
        }
    return 0;
}

/* a^-1 b for a lower or an upper triangular a, of which no more is read; 3: a zero on the diagonal. data: n, then two flags. */
static int ad_small_triangular(const double *const *x, const int64_t *lengths, double *y, int64_t ny, void *data) {
    int64_t n = (intptr_t)data & 255, lower = (intptr_t)data >> 8 & 1, unit = (intptr_t)data >> 9 & 1;
    int64_t count = lengths[0] / (n * n), m = count ? ny / (count * n) : 0, i, j, k, r;
    const double *a = x[0], *end = a + lengths[0];
    memcpy(y, x[1], ny * sizeof *y);
    for (; a < end; a += n * n, y += n * m)
        for (r = 0; r < n; r++) {
            i = lower ? r : n - 1 - r;
            for (k = lower ? 0 : i + 1; k < (lower ? i : n); k++)
                for (j = 0; j < m; j++) y[i * m + j] -= a[i * n + k] * y[k * m + j];
            if (unit) continue;
            if (a[i * n + i] == 0.0) return 3;
            for (j = 0; j < m; j++) y[i * m + j] /= a[i * n + i];
        }
    return 0;
}

/* sym(L^-T P L^-1) with P the lower triangle of L^T G, its diagonal halved: the adjoint of a matrix from that of its factor. */
static int ad_small_cholesky_adjoint(const double *const *x, const int64_t *lengths, double *y, int64_t ny, void *data) {
    int64_t n = (intptr_t)data, i, j, k;
    const double *g = x[0], *l = x[1], *end = g + ny;
    double p[AD_SMALL * AD_SMALL];
    (void)lengths;
    for (; g < end; g += n * n, l += n * n, y += n * n) {
        for (i = 0; i < n; i++)
            for (j = 0; j < n; j++) {
                p[i * n + j] = 0.0;
                for (k = i; k < n && j <= i; k++) p[i * n + j] += l[k * n + i] * g[k * n + j];
                if (i == j) p[i * n + j] *= 0.5;
            }
        for (i = n - 1; i >= 0; i--)        /* from the left by L^-T */
            for (j = 0; j < n; j++) {
                for (k = i + 1; k < n; k++) p[i * n + j] -= l[k * n + i] * p[k * n + j];
                p[i * n + j] /= l[i * n + i];
            }
        for (j = n - 1; j >= 0; j--)        /* from the right by L^-1 */
            for (i = 0; i < n; i++) {
                for (k = j + 1; k < n; k++) p[i * n + j] -= p[i * n + k] * l[k * n + j];
                p[i * n + j] /= l[j * n + j];
            }
        for (i = 0; i < n; i++)
            for (j = 0; j < n; j++) y[i * n + j] = 0.5 * (p[i * n + j] + p[j * n + i]);
    }
    return 0;
}

static int ad_small_constant(const double *const *x, const int64_t *lengths, double *y, int64_t ny, void *data) {
    (void)x, (void)lengths;
    memcpy(y, data, ny * sizeof *y);
    return 0;
}

#endif
