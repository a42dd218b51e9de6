/* Products of small and of thin matrices, where a call of BLAS costs more than it computes.
 *
 * y[m, n] (+)= x1[m, k] x2[k, n], y dense, the factors with any strides. An element of y is
 * one chain of multiply-adds over k in order, whatever m, n and the blocking: fused where the build has
 * the instruction, so builds may differ in the last bit of each step, as BLAS does between processors.
 */
#ifndef AD_MATMUL_H
#define AD_MATMUL_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef AD_RESTRICT
#define AD_RESTRICT
#endif

enum { AD_PANEL = 16, AD_DEPTH = 128, AD_SMALL = 4 }; /* columns and rows of the packed factor; unrolled sizes */

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define AD_FMA(a, b, c) __builtin_fma((a), (b), (c))
#else
#define AD_FMA(a, b, c) ((a) * (b) + (c))
#endif

/* ROWS rows of y against one packed panel of x2; `width` columns of it are real. */
#define AD_ROWS(ROWS)                                                                                      \
    static inline __attribute__((always_inline)) void ad_rows_##ROWS(                                      \
        double *AD_RESTRICT y, ptrdiff_t ldy, const double *AD_RESTRICT x1, ptrdiff_t row,                 \
        ptrdiff_t column, const double *AD_RESTRICT panel, ptrdiff_t k, ptrdiff_t width, int adds) {       \
        double sum[ROWS][AD_PANEL];                                                                        \
        for (int r = 0; r < ROWS; r++)                                                                     \
            for (int j = 0; j < AD_PANEL; j++) sum[r][j] = adds && j < width ? y[r * ldy + j] : 0.0;       \
        for (ptrdiff_t p = 0; p < k; p++) {                                                                \
            for (int r = 0; r < ROWS; r++) {                                                               \
                double a = x1[r * row + p * column];                                                       \
                for (int j = 0; j < AD_PANEL; j++) sum[r][j] = AD_FMA(a, panel[p * AD_PANEL + j], sum[r][j]); \
            }                                                                                              \
        }                                                                                                  \
        if (width == AD_PANEL) {                                                                           \
            for (int r = 0; r < ROWS; r++) memcpy(y + r * ldy, sum[r], sizeof(sum[r]));                    \
        } else {                                                                                           \
            for (int r = 0; r < ROWS; r++)                                                                 \
                for (ptrdiff_t j = 0; j < width; j++) y[r * ldy + j] = sum[r][j];                          \
        }                                                                                                  \
    }

#endif
