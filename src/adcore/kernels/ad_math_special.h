/* erf and its relatives, gamma and its relatives, sinc; included by ad_math.h. */
#ifndef AD_MATH_SPECIAL_H
#define AD_MATH_SPECIAL_H

/* Below 1 a polynomial in x^2; above, 1 - exp(-a^2) G((a - 3)/(a + 3)). */
AD_INLINE double ad_erf(double x) {
    double a = fabs(x), z = x * x;
    double z2 = z * z, z4 = z2 * z2, z8 = z4 * z4;
    double p = ad_poly8(z, z2, z4, 0.1283791670955126, -0.3761263890318375, 0.11283791670954885,
             -0.02686617064507779, 0.005223977624827603, -0.000854832698137698, 0.0001205533113114891,
             -1.4925595727933613e-05);
    double p_high = ad_poly4(z, z2, 1.6461007755246166e-06, -1.6350388432737517e-07, 1.4660275486559303e-08, -1.1374746852648641e-09);
    p = AD_FMA(z8, AD_FMA(z4, 5.960326955875818e-11, p_high), p);
    double c = a > 6.0 ? 6.0 : a;
    double t = (c - 3.0) / (c + 3.0);
    double t2 = t * t, t4 = t2 * t2, t8 = t4 * t4;
    double g = ad_poly8(t, t2, t4, 0.17900115118138998, -0.32623356004316356, 0.24560380170780347,
             -0.15011593654530908, 0.07166583744864316, -0.024392489886489364, 0.004269233218339381,
             0.0007083074376279217);
    double g_high = ad_poly4(t, t2, -0.0005949952479773193, 5.0226742747730206e-05, 7.163285495286811e-05, -6.435460112017305e-06);
    g = AD_FMA(t8, AD_FMA(t4, -6.577899284936585e-06, g_high), g);
    double far = copysign(AD_FMA(-ad_exp(-(c * c)), g, 1.0), x);
    double y = a < 1.0 ? AD_FMA(x, p, x) : far;
    return x != x ? x : y;
}

AD_INLINE double ad_erfc(double x) { return erfc(x); }

/* lgamma writes the global signgam; its reentrant form does not. */
AD_INLINE double ad_gammaln(double x) {
#ifdef __GLIBC__
    int sign;
    return lgamma_r(x, &sign);
#else
    return lgamma(x);
#endif
}

/* Recurrence up to x >= 10, then the asymptotic series (Abramowitz & Stegun 6.3.18, 6.4.12);
 * reflection for negative x (6.3.7, 6.4.7). */
AD_INLINE double ad_digamma(double x) {
    double y = 0.0;
    if (x <= 0.0) {
        if (x == floor(x)) return NAN;
        double f = x - ad_nearest(x);
        y = -AD_PI_HI / tan(AD_PI_HI * f);
        x = 1.0 - x;
    }
    while (x < 10.0) { y -= 1.0 / x; x += 1.0; }
    double z = 1.0 / (x * x);
    double p = z * (1.0 / 12 - z * (1.0 / 120 - z * (1.0 / 252 - z * (1.0 / 240 - z * (1.0 / 132
             - z * (691.0 / 32760 - z / 12))))));
    return y + log(x) - 0.5 / x - p;
}

AD_INLINE double ad_trigamma(double x) {
    double y = 0.0, sign = 1.0;
    if (x <= 0.0) {
        if (x == floor(x)) return INFINITY;
        double s = sin(AD_PI_HI * (x - ad_nearest(x))) / AD_PI_HI;
        y = 1.0 / (s * s);
        x = 1.0 - x;
        sign = -1.0;
    }
    while (x < 10.0) { y += sign / (x * x); x += 1.0; }
    double z = 1.0 / (x * x);
    double p = 1.0 / 6 - z * (1.0 / 30 - z * (1.0 / 42 - z * (1.0 / 30 - z * (5.0 / 66 - z * (691.0 / 2730 - z * 7.0 / 6)))));
    return y + sign * (1.0 / x + 0.5 * z + p * z / x);
}

/* zeta(s, x) = sum of (x + k)^-s for x > 0: a few terms, then Euler-Maclaurin (Abramowitz & Stegun 23.1.30). */
AD_INLINE double ad_hurwitz(double s, double x) {
    static const double bernoulli[] = {1.0 / 12, -1.0 / 720, 1.0 / 30240, -1.0 / 1209600, 1.0 / 47900160,
        -691.0 / 1307674368000.0, 1.0 / 74724249600.0, -3617.0 / 10670622842880000.0};  /* B_2j / (2j)! */
    double y = 0.0;
    while (x < 10.0 + s) { y += pow(x, -s); x += 1.0; }
    double p = pow(x, -s), term = p * s / x;
    y += p * x / (s - 1.0) + 0.5 * p;
    for (int j = 0; j < 8; j++) {
        y += bernoulli[j] * term;
        term *= (s + 2 * j + 1.0) * (s + 2 * j + 2.0) / (x * x);
    }
    return y;
}

/* The n-th derivative of digamma, up to the 170th, whose factorial still is a number; below 0 by its reflection, in which the sum
 * over all integers depends on the fraction alone. */
AD_INLINE double ad_polygamma(double n, double x) {
    if (n == 0.0) return ad_digamma(x);
    if (n == 1.0) return ad_trigamma(x);
    if (!(n > 1.0 && n <= 170.0) || n != floor(n) || x != x || x == -INFINITY) return NAN;
    double s = n + 1.0, odd = fmod(n, 2.0) != 0.0 ? 1.0 : -1.0, y;
    if (x == INFINITY) {
        y = 0.0;
    } else if (x > 0.0) {
        y = ad_hurwitz(s, x);
    } else {
        double f = x - floor(x);
        if (f == 0.0) return odd > 0.0 ? INFINITY : NAN;
        y = odd * (ad_hurwitz(s, 1.0 - f) - ad_hurwitz(s, 1.0 - x)) + ad_hurwitz(s, f);
    }
    return odd * tgamma(s) * y;
}

/* sin(pi x)/(pi x), the argument reduced before it meets pi; |x| >= 2^50 gives 0. */
AD_INLINE double ad_sinc(double x) {
    double q = ad_nearest(2.0 * x), f = x - 0.5 * q;
    double r = f * AD_PI_HI, tail = ad_product_error(f, AD_PI_HI, r) + f * AD_PI_LO;
    uint64_t quadrant = ad_bits(2.0 * x + AD_MAGIC);
    double s = ad_sin_core(r, tail), c = ad_cos_core(r, tail);
    double y = ad_by_parity(quadrant, c, s);
    y = ad_from_bits(ad_bits(y) ^ ((quadrant & 2) << 62));
    double d = AD_PI_HI * x, d_low = ad_product_error(AD_PI_HI, x, d) + AD_PI_LO * x;
    y = ad_quotient(y, 0.0, d, d_low);
    y = fabs(x) >= 1125899906842624.0 ? 0.0 : y;
    y = x == 0.0 ? 1.0 : y;
    return fabs(x) == INFINITY ? NAN : (x != x ? x : y);
}

#endif
