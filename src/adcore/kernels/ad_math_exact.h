/* Error-free building blocks: what a rounded product or sum left behind, and powers of two. */
#ifndef AD_MATH_EXACT_H
#define AD_MATH_EXACT_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A call left in a loop keeps it scalar, so nothing is left to the inliner's judgement. */
#if defined(__GNUC__) || defined(__clang__)
#define AD_INLINE static inline __attribute__((always_inline))
#else
#define AD_INLINE static inline
#endif

AD_INLINE uint64_t ad_bits(double x) { uint64_t u; memcpy(&u, &x, 8); return u; }
AD_INLINE double ad_from_bits(uint64_t u) { double x; memcpy(&x, &u, 8); return x; }

/* a*b + c, rounded once where the build has the instruction, else twice: what it serves allows for either. */
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define AD_FMA(a, b, c) __builtin_fma((a), (b), (c))
#else
#define AD_FMA(a, b, c) ((a) * (b) + (c))
#endif

/* 1.5 * 2^52: adding it rounds to an integer, which then stands in the low bits. */
#define AD_MAGIC 6755399441055744.0

/* The nearest integer for |x| < 2^51, without a double-to-int conversion. */
AD_INLINE double ad_nearest(double x) { return (x + AD_MAGIC) - AD_MAGIC; }

/* a*b - p where p is a*b rounded, exactly. A fused multiply-add gives it at once; without one
 * it takes Veltkamp's splitting. Both are exact while nothing over- or underflows
 * (|a|, |b| < 2^995): builds differ in code and yet not in bits. */
AD_INLINE double ad_product_error(double a, double b, double p) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    return __builtin_fma(a, b, -p);
#else
    double ca = a * 134217729.0, ah = ca - (ca - a), al = a - ah;
    double cb = b * 134217729.0, bh = cb - (cb - b), bl = b - bh;
    return ((ah * bh - p) + ah * bl + al * bh) + al * bl;
#endif
}

/* The first if the lowest bit of n is set, else the second: by masks, which every ISA vectorises. */
AD_INLINE double ad_by_parity(uint64_t n, double odd, double even) {
    uint64_t mask = 0 - (n & 1);
    return ad_from_bits(ad_bits(even) ^ ((ad_bits(odd) ^ ad_bits(even)) & mask));
}

/* 2^k for an integer-valued double -1022 <= k <= 1023. */
AD_INLINE double ad_pow2(double k) { return ad_from_bits(ad_bits(k + (AD_MAGIC + 1023.0)) << 52); }

/* 2^k * p for |k| <= 2044 in two steps, so that subnormal and huge results are right. */
AD_INLINE double ad_scale(double p, double k) {
    double half = AD_FMA(k, 0.5, AD_MAGIC) - AD_MAGIC;
    return p * ad_pow2(half) * ad_pow2(k - half);
}

/* (n + n_low)/(d + d_low) with about one rounding. */
AD_INLINE double ad_quotient(double n, double n_low, double d, double d_low) {
    double t = n / d, back = t * d;
    return t + ((n - back) - ad_product_error(t, d, back) + (n_low - t * d_low)) / d;
}

/* Polynomials by Estrin's scheme: Horner's is bound by latency. */
AD_INLINE double ad_poly4(double x, double x2, double c0, double c1, double c2, double c3) {
    return AD_FMA(x2, AD_FMA(c3, x, c2), AD_FMA(c1, x, c0));
}
AD_INLINE double ad_poly8(double x, double x2, double x4, double c0, double c1, double c2, double c3,
                              double c4, double c5, double c6, double c7) {
    return AD_FMA(x4, ad_poly4(x, x2, c4, c5, c6, c7), ad_poly4(x, x2, c0, c1, c2, c3));
}

/* A power of two s with 1 <= x*s < 4, for subnormal x the largest there is; *back is 1/s. */
AD_INLINE double ad_normaliser(double x, double *back) {
    double c = x < 0x1p-1022 ? 0x1p-1022 : x;
    c = c > 0x1p1022 ? 0x1p1022 : c;
    uint64_t e = ad_bits(c) & 0x7ff0000000000000ull;
    *back = ad_from_bits(e);
    return ad_from_bits(0x7fe0000000000000ull - e);
}

#endif
