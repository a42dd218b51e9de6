/* Scalar math as branch-free inline functions, written so that a loop over them vectorises.
 *
 * Largest error found (tests/kernels/test_math.py holds them to it), in units in the last place:
 *
 *   exp   0.9   log   0.9   sin   0.8   sinh  1.6   arcsin 0.7   arcsinh 1.2   expit     1.0
 *   exp2  1.0   log2  0.8   cos   0.8   cosh  1.3   arccos 0.8   arccosh 0.8   erf       1.4
 *   expm1 1.8   log10 0.7   tan   1.0   tanh  1.4   arctan 0.8   arctanh 1.2   hypot     1.2
 *   cbrt  0.7   log1p 0.9   sinc  1.5   power 1.0   arctan2 1.3                logaddexp 1.0 (same signs)
 *
 * power is 2.9 for small half integers, which take products and a root.
 * sin, cos and tan hold for |x| <= AD_TRIG_MAX; a block with a larger argument takes the C library's.
 * erfc, gammaln, fmod and the like are the C library's, one element at a time.
 *
 * Sums of products are rounded once where the build has a fused multiply-add (AD_FMA) and twice elsewhere, so builds
 * of different levels may differ within these errors; builds of one level give the same bits.
 */
#ifndef AD_MATH_H
#define AD_MATH_H

#include "ad_math_exact.h"

#define AD_TRIG_MAX 1.0e6
#define AD_PI_HI 3.141592653589793116
#define AD_PI_LO 1.2246467991473532072e-16

/* exp(r) - 1 - r + tail for |r| <= ln(2)/2: Taylor to degree 13, its error is far below half an ulp; the caller adds r last. */
AD_INLINE double ad_expm1_core(double r, double tail) {
    double r2 = r * r, r4 = r2 * r2, r8 = r4 * r4;
    double low = ad_poly8(r, r2, r4, 0.5, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0, 1.0 / 40320.0,
                          1.0 / 362880.0);
    double high = ad_poly4(r, r2, 1.0 / 3628800.0, 1.0 / 39916800.0, 1.0 / 479001600.0, 1.0 / 6227020800.0);
    return AD_FMA(AD_FMA(r8, high, low), r2, tail);
}

/* exp(x) = result + *low for -746 <= x <= 709. */
AD_INLINE double ad_exp_long(double x, double *low) {
    double k = AD_FMA(x, 1.44269504088896338700, AD_MAGIC) - AD_MAGIC;
    double hi = AD_FMA(-k, 6.93147180369123816490e-01, x);
    double r = AD_FMA(-k, 1.90821492927058770002e-10, hi);
    double rest = ad_expm1_core(r, AD_FMA(-k, 1.90821492927058770002e-10, hi - r));
    double one = 1.0 + r, sum = one + rest;
    *low = ad_scale((one - sum) + rest + ((1.0 - one) + r), k);
    return ad_scale(sum, k);
}

AD_INLINE double ad_exp(double x) {
    double c = x > 710.0 ? 710.0 : x;
    c = c < -746.0 ? -746.0 : c;
    double k = AD_FMA(c, 1.44269504088896338700, AD_MAGIC) - AD_MAGIC;
    double hi = AD_FMA(-k, 6.93147180369123816490e-01, c);
    double r = AD_FMA(-k, 1.90821492927058770002e-10, hi);
    double tail = AD_FMA(-k, 1.90821492927058770002e-10, hi - r);
    return ad_scale(1.0 + (r + ad_expm1_core(r, tail)), k);
}

AD_INLINE double ad_exp2(double x) {
    double c = x > 1025.0 ? 1025.0 : x;
    c = c < -1080.0 ? -1080.0 : c;
    double k = (c + AD_MAGIC) - AD_MAGIC;
    double f = c - k;                /* exact */
    double hi = f * 6.93147180559945286227e-01;
    /* the product's error, by splitting f and ln 2 (Dekker) */
    double fh = ad_from_bits(ad_bits(f) & 0xfffffffff8000000ull), fl = f - fh;
    double lh = 6.93147182464599609375e-01, ll = -1.90465429995776804525e-09;
    double lo = ((fh * lh - hi) + fh * ll + fl * lh) + fl * ll;
    return ad_scale(1.0 + (hi + ad_expm1_core(hi, lo)), k);
}

AD_INLINE double ad_expm1(double x) {
    double c = x > 710.0 ? 710.0 : x;
    c = c < -50.0 ? -50.0 : c;
    double k = AD_FMA(c, 1.44269504088896338700, AD_MAGIC) - AD_MAGIC;
    double hi = AD_FMA(-k, 6.93147180369123816490e-01, c);
    double r = AD_FMA(-k, 1.90821492927058770002e-10, hi);
    double tail = AD_FMA(-k, 1.90821492927058770002e-10, hi - r);
    double q = r + ad_expm1_core(r, tail);
    double s = ad_pow2(k - 1.0);     /* half the scale: 2^1024 would overflow too early */
    double y = 2.0 * AD_FMA(s, q, s - 0.5);
    y = k == 0.0 ? q : y;
    return x == 0.0 ? x : y;         /* keeps -0 */
}

/* log(x) = k ln2 + log(1 + f) with sqrt(1/2) < 1 + f < sqrt(2); the caller adds what it needs. */
AD_INLINE double ad_log_parts(double x, double *dk, double *f_out, double *s_times) {
    double tiny = x < 2.2250738585072014e-308 ? 18014398509481984.0 : 1.0;
    double scaled = x * tiny;
    uint64_t u = ad_bits(scaled);
    uint64_t biased = u + (0x3ff0000000000000ull - 0x3fe6a09e667f3bcdull); /* exponent field = k + 1023 */
    uint64_t e = biased >> 52;
    double k = ad_from_bits(e | 0x4330000000000000ull) - (4503599627370496.0 + 1023.0);
    double m = ad_from_bits(u - ((e << 52) - 0x3ff0000000000000ull));
    double f = m - 1.0;
    double s = f / (2.0 + f);
    double z = s * s, w = z * z;
    double t1 = w * AD_FMA(w, AD_FMA(w, 1.531383769920937332e-01, 2.222219843214978396e-01), 3.999999999940941908e-01);
    double t2 = AD_FMA(w, AD_FMA(w, AD_FMA(w, 1.479819860510658591e-01, 1.818357216161805012e-01), 2.857142874366239149e-01),
                       6.666666666666735130e-01);
    double hfsq = 0.5 * f * f;
    *dk = k - (tiny != 1.0 ? 54.0 : 0.0);
    *f_out = f;
    *s_times = s * (hfsq + AD_FMA(z, t2, t1));
    return hfsq;
}

AD_INLINE double ad_log_special(double x, double y) {
    y = x == 0.0 ? -INFINITY : y;
    y = x < 0.0 ? NAN : y;
    y = x == INFINITY ? x : y;
    return x != x ? x : y;
}

AD_INLINE double ad_log(double x) {
    double k, f, st;
    double hfsq = ad_log_parts(x, &k, &f, &st);
    double y = AD_FMA(k, 6.93147180369123816490e-01, f - (hfsq - AD_FMA(k, 1.90821492927058770002e-10, st)));
    return ad_log_special(x, y);
}

/* log(u + low) + doublings * ln 2 where low is small beside u. */
AD_INLINE double ad_log_sum(double u, double low, double doublings) {
    double k, f, st;
    double hfsq = ad_log_parts(u, &k, &f, &st);
    k = k + doublings;
    double y = AD_FMA(k, 6.93147180369123816490e-01, f - (hfsq - (st + AD_FMA(k, 1.90821492927058770002e-10, low / u))));
    return ad_log_special(u, y);
}

AD_INLINE double ad_log1p(double x) {
    double u = 1.0 + x;
    double y = ad_log_sum(u, x < 1.0 ? x - (u - 1.0) : 1.0 - (u - x), 0.0);
    return x == 0.0 ? x : y;         /* keeps -0 */
}

/* log2 and log10 keep log(1+f) in two parts, so that the product with 1/ln(base) rounds once. */
AD_INLINE double ad_log2(double x) {
    double k, f, st;
    double hfsq = ad_log_parts(x, &k, &f, &st);
    double hi = ad_from_bits(ad_bits(f - hfsq) & 0xffffffff00000000ull);
    double lo = (f - hi) - hfsq + st;
    double y = hi * 1.44269504072144627571e+00;
    double tail = (lo + hi) * 1.67517131648865118353e-10 + lo * 1.44269504072144627571e+00;
    double w = k + y;
    tail += (k - w) + y;
    return ad_log_special(x, w + tail);
}

AD_INLINE double ad_log10(double x) {
    double k, f, st;
    double hfsq = ad_log_parts(x, &k, &f, &st);
    double hi = ad_from_bits(ad_bits(f - hfsq) & 0xffffffff00000000ull);
    double lo = (f - hi) - hfsq + st;
    double y = hi * 4.34294481878168880939e-01;
    double k2 = k * 3.01029995663611771306e-01;
    double tail = k * 3.69423907715893078616e-13 + (lo + hi) * 2.50829467116452752298e-11
                + lo * 4.34294481878168880939e-01;
    double w = k2 + y;
    tail += (k2 - w) + y;
    return ad_log_special(x, w + tail);
}

/* Is every argument of the block small enough for the reduction below? */
AD_INLINE int ad_moderate(const double *x, ptrdiff_t n) {
    int ok = 1;
    for (ptrdiff_t i = 0; i < n; i++) ok &= fabs(x[i]) <= AD_TRIG_MAX;
    return ok;
}

/* x = n pi/2 + r + tail with |r| <= pi/4; pi/2 in three parts of 33, 33 and 53 bits. */
AD_INLINE double ad_reduce_trig(double x, double *tail, uint64_t *quadrant) {
    double t = AD_FMA(x, 6.36619772367581382433e-01, AD_MAGIC);
    double n = t - AD_MAGIC;
    double a = AD_FMA(-n, 1.57079632673412561417e+00, x);
    double p2 = n * 6.07710050630396597660e-11;
    double b = a - p2;
    double w = AD_FMA(n, 2.02226624879595063154e-21, p2 - (a - b));
    double r = b - w;
    *tail = (b - r) - w;
    *quadrant = ad_bits(t);
    return r;
}

/* The polynomials of sin and cos beyond their first terms, of z = r^2 and w = z^2. */
AD_INLINE double ad_sin_rest(double z, double w) {
    double low = ad_poly4(z, w, 8.33333333332248946124e-03, -1.98412698298579493134e-04, 2.75573137070700676789e-06,
                          -2.50507602534068634195e-08);
    return AD_FMA(w * w, 1.58969099521155010221e-10, low);
}

AD_INLINE double ad_cos_rest(double z, double w) {
    double low = AD_FMA(w, 2.48015872894767294178e-05, AD_FMA(z, -1.38888888888741095749e-03, 4.16666666666666019037e-02));
    double high = AD_FMA(w, -1.13596475577881948265e-11, AD_FMA(z, 2.08757232129817482790e-09, -2.75573143513906633035e-07));
    return AD_FMA(w * w, high, z * low);
}

AD_INLINE double ad_sin_core(double r, double tail) {
    double z = r * r, w = z * z, v = z * r;
    double p = ad_sin_rest(z, w);
    return r - AD_FMA(v, 1.66666666666666324348e-01, AD_FMA(z, AD_FMA(-v, p, 0.5 * tail), -tail));
}

AD_INLINE double ad_cos_core(double r, double tail) {
    double z = r * r, w = z * z;
    double p = ad_cos_rest(z, w);
    double hz = 0.5 * z, one = 1.0 - hz;
    return one + (((1.0 - one) - hz) + AD_FMA(z, p, -r * tail));
}

AD_INLINE double ad_sin(double x) {
    uint64_t q;
    double tail, r = ad_reduce_trig(x, &tail, &q);
    double s = ad_sin_core(r, tail), c = ad_cos_core(r, tail);
    double y = ad_by_parity(q, c, s);
    y = ad_from_bits(ad_bits(y) ^ ((q & 2) << 62));
    return x == 0.0 ? x : y;
}

AD_INLINE double ad_cos(double x) {
    uint64_t q;
    double tail, r = ad_reduce_trig(x, &tail, &q);
    double s = ad_sin_core(r, tail), c = ad_cos_core(r, tail);
    double y = ad_by_parity(q, s, c);
    return ad_from_bits(ad_bits(y) ^ (((q + 1) & 2) << 62));
}

/* sin/cos or -cos/sin of the reduced argument, each in two parts. */
AD_INLINE double ad_tan(double x) {
    uint64_t q;
    double tail, r = ad_reduce_trig(x, &tail, &q);
    double z = r * r, w = z * z, v = z * r, hz = 0.5 * z, one = 1.0 - hz;
    double less = AD_FMA(v, 1.66666666666666324348e-01, AD_FMA(z, AD_FMA(-v, ad_sin_rest(z, w), 0.5 * tail), -tail));
    double more = ((1.0 - one) - hz) + AD_FMA(z, ad_cos_rest(z, w), -r * tail);
    double s = r - less, s_low = (r - s) - less, c = one + more, c_low = (one - c) + more;
    double n = ad_by_parity(q, -c, s), n_low = ad_by_parity(q, -c_low, s_low);
    double d = ad_by_parity(q, s, c), d_low = ad_by_parity(q, s_low, c_low);
    double y = ad_quotient(n, n_low, d, d_low);
    return fabs(x) < 1.0e-9 ? x : y;
}

AD_INLINE double ad_tanh(double x) {
    double a = fabs(x), z = x * x;
    double z2 = z * z, z4 = z2 * z2, z8 = z4 * z4;
    double low = ad_poly8(z, z2, z4, -0.33333333333332343, 0.13333333333172895, -0.05396825387798869, 0.02186948601734029,
                          -0.008863195039208334, 0.0035917237585992197, -0.0014532357286321017, 0.0005791903870900843);
    double p = AD_FMA(z8, AD_FMA(5.1076141505852314e-05, z, -0.00021038532401966732), low);
    double e = ad_exp(2.0 * (a > 22.0 ? 22.0 : a));
    double y = a < 0.55 ? AD_FMA(a, z * p, a) : 1.0 - 2.0 / (e + 1.0);
    return x != x ? x : copysign(y, x);
}

/* exp(x)/2, which overflows only where sinh and cosh do. */
AD_INLINE double ad_half_exp(double x) {
    double c = x > 712.0 ? 712.0 : x;
    double k = AD_FMA(c, 1.44269504088896338700, AD_MAGIC) - AD_MAGIC;
    double hi = AD_FMA(-k, 6.93147180369123816490e-01, c);
    double r = AD_FMA(-k, 1.90821492927058770002e-10, hi);
    double tail = AD_FMA(-k, 1.90821492927058770002e-10, hi - r);
    return ad_scale(1.0 + (r + ad_expm1_core(r, tail)), k - 1.0);
}

AD_INLINE double ad_sinh(double x) {
    double a = fabs(x), z = x * x;
    double z2 = z * z, z4 = z2 * z2;
    double low = ad_poly4(z, z2, 0.16666666666666669, 0.008333333333333139, 0.0001984126984143791, 2.7557319155270874e-06);
    double p = AD_FMA(z4, AD_FMA(z2, 7.759333706677155e-13, AD_FMA(1.6057239607656333e-10, z, 2.5052123408415892e-08)), low);
    double h = ad_half_exp(a);
    return a < 1.0 ? AD_FMA(x, z * p, x) : copysign(h - 0.25 / h, x);
}

AD_INLINE double ad_cosh(double x) {
    double h = ad_half_exp(fabs(x));
    return h + 0.25 / h;
}

AD_INLINE double ad_expit(double x) {
    double a = fabs(x), c = a > 746.0 ? 746.0 : a, low;
    double e = ad_exp_long(-c, &low);
    double d = 1.0 + e, d_low = ((1.0 - d) + e) + low;
    double y = ad_quotient(x < 0.0 ? e : 1.0, x < 0.0 ? low : 0.0, d, d_low);
    return x != x ? x : y;
}

#include "ad_math_inverse.h"
#include "ad_math_power.h"
#include "ad_math_special.h"

/* -- from the C library ------------------------------------------------------------------- */
AD_INLINE double ad_sqrt(double x) { return sqrt(x); }
AD_INLINE double ad_abs(double x) { return fabs(x); }
AD_INLINE double ad_floor(double x) { return floor(x); }
AD_INLINE double ad_ceil(double x) { return ceil(x); }
AD_INLINE double ad_trunc(double x) { return trunc(x); }
AD_INLINE double ad_rint(double x) { return rint(x); }
AD_INLINE double ad_copysign(double x, double s) { return copysign(x, s); }
AD_INLINE double ad_fmod(double a, double b) { return fmod(a, b); }
AD_INLINE double ad_nextafter(double a, double b) { return nextafter(a, b); }
AD_INLINE double ad_sign(double x) { return x != x ? x : (double)((x > 0) - (x < 0)); }
AD_INLINE double ad_square(double x) { return x * x; }

/* NumPy: a NaN wins. (Two choices rather than one with `or`: gcc 12 vectorises these.) */
AD_INLINE double ad_maximum(double a, double b) { double y = a > b ? a : b; return a != a ? a : y; }
AD_INLINE double ad_minimum(double a, double b) { double y = a < b ? a : b; return a != a ? a : y; }
/* NumPy: a NaN loses. */
AD_INLINE double ad_fmax(double a, double b) { double y = a >= b ? a : b; return b != b ? a : y; }
AD_INLINE double ad_fmin(double a, double b) { double y = a <= b ? a : b; return b != b ? a : y; }

AD_INLINE double ad_logaddexp(double a, double b) {
    double m = a > b ? a : b, y = m + ad_log1p(ad_exp(-fabs(a - b)));
    y = a == b ? a + 6.93147180559945286227e-01 : y;
    return (a != a) | (b != b) ? a + b : y;
}
AD_INLINE double ad_logaddexp2(double a, double b) {
    double m = a > b ? a : b, y = m + ad_log1p(ad_exp2(-fabs(a - b))) * 1.44269504088896338700;
    y = a == b ? a + 1.0 : y;
    return (a != a) | (b != b) ? a + b : y;
}
/* NumPy's remainder: the sign of the divisor. */
AD_INLINE double ad_mod(double a, double b) {
    double r = fmod(a, b);
    if (b == 0.0) return NAN;
    if (r != 0.0) return (b < 0.0) != (r < 0.0) ? r + b : r;
    return copysign(0.0, b);
}
AD_INLINE double ad_floor_divide(double a, double b) {
    if (b == 0.0) return a / b;
    double r = fmod(a, b), d = (a - r) / b;
    if (r != 0.0 && (b < 0.0) != (r < 0.0)) d -= 1.0;
    if (d == 0.0) return copysign(0.0, a / b);
    double f = floor(d);
    return d - f > 0.5 ? f + 1.0 : f;
}
AD_INLINE double ad_spacing(double x) {
    if (x != x || fabs(x) == INFINITY) return NAN;
    return copysign(nextafter(fabs(x), INFINITY) - fabs(x), x == 0.0 ? 1.0 : x);
}
AD_INLINE double ad_safe_sin(double x) { return fabs(x) <= AD_TRIG_MAX ? ad_sin(x) : sin(x); }
AD_INLINE double ad_safe_cos(double x) { return fabs(x) <= AD_TRIG_MAX ? ad_cos(x) : cos(x); }
AD_INLINE double ad_safe_tan(double x) { return fabs(x) <= AD_TRIG_MAX ? ad_tan(x) : tan(x); }

#endif
