/* x^p: the logarithm to about 64 bits, times p, and back; small half integers by products and a root. Included by ad_math.h. */
#ifndef AD_MATH_POWER_H
#define AD_MATH_POWER_H

/* log(x) = result + *low for positive finite x, relative error about 2^-64. */
AD_INLINE double ad_log_long(double x, double *low) {
    int tiny = x < 2.2250738585072014e-308;
    uint64_t u = ad_bits(tiny ? x * 18014398509481984.0 : x);
    uint64_t e = (u + (0x3ff0000000000000ull - 0x3fe6a09e667f3bcdull)) >> 52;
    double k = ad_from_bits(e | 0x4330000000000000ull) - (4503599627370496.0 + 1023.0);
    double m = ad_from_bits(u - ((e << 52) - 0x3ff0000000000000ull));
    k = tiny ? k - 54.0 : k;
    /* s = (m - 1)/(m + 1), log(m) = 2 s (1 + z/3 + z^2/5 + ...) with z = s^2 */
    double f = m - 1.0, g = m + 1.0, g_low = m - (g - 1.0);
    double s = f / g, back = s * g;
    double s_low = ((f - back) - ad_product_error(s, g, back) - s * g_low) / g;
    double z = s * s, z_low = ad_product_error(s, s, z) + 2.0 * s * s_low;
    double z2 = z * z, z4 = z2 * z2;
    double r = ad_poly8(z, z2, z4, 0.1999999999999999, 0.14285714285722598, 0.11111111108758992,
             0.09090909436223729, 0.07692278366188517, 0.06668161273304545, 0.05837358875773781,
             0.05994914812055099);
    r = r * z;
    double third = 0.3333333333333333;
    double c = third + r, c_low = ((third - c) + r) + 1.850371707708594e-17;
    double w = z * c, w_low = ad_product_error(z, c, w) + (z * c_low + z_low * c);
    double v = s * w, v_low = ad_product_error(s, w, v) + (s * w_low + s_low * w);
    double h = s + v, h_low = ((s - h) + v) + (v_low + s_low);
    double base = k * 6.93147180369123816490e-01;           /* exact */
    double y = base + 2.0 * h;
    double y_low = ((base - y) + 2.0 * h) + (2.0 * h_low + k * 1.90821492927058770002e-10);
    double sum = y + y_low;
    *low = (y - sum) + y_low;
    return sum;
}

AD_INLINE double ad_long_power(double x, double p) {
    double a = fabs(x), size = fabs(p), low;
    double log_a = ad_log_long(a, &low);
    double q = p > 1.0e22 ? 1.0e22 : (p < -1.0e22 ? -1.0e22 : p);
    double w = q * log_a, w_low = ad_product_error(q, log_a, w) + q * low;
    double c = w > 710.0 ? 710.0 : w;
    c = c < -746.0 ? -746.0 : c;
    w_low = c == w ? w_low : 0.0;
    double k = AD_FMA(c, 1.44269504088896338700, AD_MAGIC) - AD_MAGIC;
    double hi = AD_FMA(-k, 6.93147180369123816490e-01, c);
    double lo = AD_FMA(k, 1.90821492927058770002e-10, -w_low);
    double r = hi - lo, tail = (hi - r) - lo;
    double y = ad_scale(1.0 + (r + ad_expm1_core(r, tail)), k);
    y = a == 0.0 ? (p < 0.0 ? INFINITY : 0.0) : y;
    y = a == INFINITY ? (p < 0.0 ? 0.0 : INFINITY) : y;
    y = x != x || p != p ? NAN : y;
    /* a negative base takes integers only: from 2^52 on every p is one, from 2^53 on an even one */
    double half = 0.5 * size, whole = size >= 4503599627370496.0 ? size : (size + 4503599627370496.0) - 4503599627370496.0;
    double even = half >= 4503599627370496.0 ? half : (half + 4503599627370496.0) - 4503599627370496.0;
    int negative = copysign(1.0, x) < 0.0;
    y = negative && whole == size && even != half ? -y : y;
    y = x < 0.0 && a != INFINITY && whole != size ? NAN : y;
    return p == 0.0 || x == 1.0 ? 1.0 : y;
}

/* ..., -1.5, -1, -0.5, 0, 0.5, ... 4: what models raise to, and what is left of it after two derivatives */
AD_INLINE int ad_is_short(double p) {
    double twice = 2.0 * p;
    return fabs(p) <= 4.0 && (twice + 6755399441055744.0) - 6755399441055744.0 == twice;
}

/* Far from overflow every step is rounded once and nothing is lost: the roundings add up to less than 3 ulp. */
AD_INLINE int ad_short_is_right(double y) { return fabs(y) > 1.0e-290 && fabs(y) < 1.0e290; }

AD_INLINE double ad_short_power(double x, double p) {
    double size = fabs(p), n = floor(size), square = x * x;
    double y = n == 1.0 ? x : n == 2.0 ? square : n == 3.0 ? square * x : n == 4.0 ? square * square : 1.0;
    y = n != size ? y * sqrt(x) : y;
    return p < 0.0 ? 1.0 / y : y;
}

AD_INLINE double ad_power(double x, double p) {
    double y = ad_short_power(x, p), full = ad_long_power(x, p);
    return ad_is_short(p) && ad_short_is_right(y) ? y : full;
}

#define AD_SHORT_POWERS(value)                                                  \
    for (i = 0; i < n; i += 8) {                                                \
        int right = 1;                                                          \
        for (k = 0; k < 8; k++) {                                               \
            double a = x[i + k], b = a * a, v = value;                          \
            (void)b;                                                            \
            out[k] = p < 0.0 ? 1.0 / v : v;                                     \
            right &= ad_short_is_right(out[k]);                                 \
        }                                                                       \
        if (!right)                                                             \
            for (k = 0; k < 8; k++) out[k] = ad_power(x[i + k], p);             \
        for (k = 0; k < 8; k++) y[i + k] = out[k];                              \
    }                                                                           \
    return 1

/* One small half integer for a whole block (n is a multiple of 8): the values of ad_power, by the steps that it takes only. */
static inline int ad_power_block(double *y, const double *x, const double *exponents, ptrdiff_t n) {
    double out[8], p;
    ptrdiff_t i, k;
    int other = 0;
    if (n == 0 || !ad_is_short(exponents[0])) return 0;
    p = exponents[0];
    for (i = 0; i < n; i++) other |= exponents[i] != p;
    if (other) return 0;
    switch ((int)(2.0 * fabs(p))) {
    case 1: AD_SHORT_POWERS(sqrt(a));
    case 2: AD_SHORT_POWERS(a);
    case 3: AD_SHORT_POWERS(a * sqrt(a));
    case 4: AD_SHORT_POWERS(b);
    case 5: AD_SHORT_POWERS(b * sqrt(a));
    case 6: AD_SHORT_POWERS(b * a);
    case 7: AD_SHORT_POWERS(b * a * sqrt(a));
    case 8: AD_SHORT_POWERS(b * b);
    }
    return 0;
}

#endif
