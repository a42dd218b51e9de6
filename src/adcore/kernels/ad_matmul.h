/* Products of thin matrices, where a call of BLAS costs more than it computes.
 *
 * y[m, n] (+)= x1[m, k] x2[k, n], y dense, the factors with any strides. An element of y is
 * one chain of multiply-adds over k in order, whatever m, n and the blocking: fused where the build has
 * the instruction, so builds may differ in the last bit of each step, as BLAS does between processors.
 */
#ifndef AD_MATMUL_H
#define AD_MATMUL_H

#include <stddef.h>
#include <string.h>

#include "ad_math_exact.h"

enum { AD_THIN = 16, AD_DEEP = 64 }; /* columns and rows of x2 at most */

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
typedef __m256d ad_four;
#define AD_FOUR_LOAD(x) _mm256_loadu_pd(x)
#define AD_FOUR_STORE(y, x) _mm256_storeu_pd(y, x)
#define AD_FOUR_FILL(a) _mm256_set1_pd(a)
#define AD_FOUR_FMA(a, b, c) _mm256_fmadd_pd(a, b, c)
#else
typedef struct { double x[4]; } ad_four;
static inline ad_four AD_FOUR_LOAD(const double *x) { ad_four y; memcpy(&y, x, sizeof(y)); return y; }
static inline void AD_FOUR_STORE(double *y, ad_four x) { memcpy(y, &x, sizeof(x)); }
static inline ad_four AD_FOUR_FILL(double a) { ad_four y = {{a, a, a, a}}; return y; }
static inline ad_four AD_FOUR_FMA(ad_four a, ad_four b, ad_four c) {
    for (int j = 0; j < 4; j++) c.x[j] = AD_FMA(a.x[j], b.x[j], c.x[j]);
    return c;
}
#endif

/* `rows` rows of y against x2, packed into rows of `fours` vectors of which n columns are real; inlined with both constants. */
static inline __attribute__((always_inline)) void ad_rows(
    int rows, int fours, double *y, const double *x1, ptrdiff_t row, ptrdiff_t column, const double *panel, ptrdiff_t k, ptrdiff_t n,
    int adds) {
    ad_four sum[4][4];
    double last[4] = {0.0, 0.0, 0.0, 0.0};
    ptrdiff_t left = n - 4 * (fours - 1);
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < fours; j++) sum[r][j] = AD_FOUR_FILL(0.0);
    if (adds)
        for (int r = 0; r < rows; r++) {
            for (int j = 0; j < fours - 1; j++) sum[r][j] = AD_FOUR_LOAD(y + r * n + 4 * j);
            for (ptrdiff_t j = 0; j < left; j++) last[j] = y[r * n + n - left + j];
            sum[r][fours - 1] = AD_FOUR_LOAD(last);
        }
    for (ptrdiff_t p = 0; p < k; p++)
        for (int r = 0; r < rows; r++) {
            ad_four a = AD_FOUR_FILL(x1[r * row + p * column]);
            for (int j = 0; j < fours; j++) sum[r][j] = AD_FOUR_FMA(a, AD_FOUR_LOAD(panel + 4 * (p * fours + j)), sum[r][j]);
        }
    for (int r = 0; r < rows; r++) {
        for (int j = 0; j < fours - 1; j++) AD_FOUR_STORE(y + r * n + 4 * j, sum[r][j]);
        AD_FOUR_STORE(last, sum[r][fours - 1]);
        for (ptrdiff_t j = 0; j < left; j++) y[r * n + n - left + j] = last[j];
    }
}

static inline __attribute__((always_inline)) void ad_panel(
    int fours, int most, double *y, const double *x1, const double *x2, ptrdiff_t m, ptrdiff_t k, ptrdiff_t n,
    const ptrdiff_t *s1, const ptrdiff_t *s2, int adds) {
    double panel[AD_DEEP * AD_THIN];
    ptrdiff_t wide = 4 * fours;
    for (ptrdiff_t p = 0; p < k; p++) {
        for (ptrdiff_t j = 0; j < n; j++) panel[p * wide + j] = x2[p * s2[0] + j * s2[1]];
        for (ptrdiff_t j = n; j < wide; j++) panel[p * wide + j] = 0.0;
    }
    ptrdiff_t i = 0; /* most = 2 where four rows of sums are more than there are registers */
    for (; i + most <= m; i += most) ad_rows(most, fours, y + i * n, x1 + i * s1[0], s1[0], s1[1], panel, k, n, adds);
    for (; i < m; i++) ad_rows(1, fours, y + i * n, x1 + i * s1[0], s1[0], s1[1], panel, k, n, adds);
}

/* n <= AD_THIN, k <= AD_DEEP; the strides of a factor are those of its rows and of its columns. */
static inline void ad_thin_product(double *y, const double *x1, const double *x2, ptrdiff_t m, ptrdiff_t k, ptrdiff_t n,
                            const ptrdiff_t *s1, const ptrdiff_t *s2, int adds) {
    if (n <= 4) ad_panel(1, 4, y, x1, x2, m, k, n, s1, s2, adds);
    else if (n <= 2 * 4) ad_panel(2, 4, y, x1, x2, m, k, n, s1, s2, adds);
    else if (n <= 3 * 4) ad_panel(3, 4, y, x1, x2, m, k, n, s1, s2, adds);
    else ad_panel(4, 2, y, x1, x2, m, k, n, s1, s2, adds);
}

#endif
