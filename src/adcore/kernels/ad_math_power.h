/* x^p: the logarithm to about 64 bits, times p, and back; included by ad_math.h. */
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

AD_INLINE double ad_power(double x, double p) {
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

#endif
