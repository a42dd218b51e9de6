/* Inverse trigonometric and hyperbolic functions, hypot and cbrt; included by ad_math.h.
 * Polynomials are near-minimax fits made with mpmath, their errors below 2^-59 of the result. */
#ifndef AD_MATH_INVERSE_H
#define AD_MATH_INVERSE_H

/* arcsin(s) = s + s * p where z = s^2 <= 1/4. */
AD_INLINE double ad_arcsin_core(double z) {
    double z2 = z * z, z4 = z2 * z2, z8 = z4 * z4;
    double p = ad_poly8(z, z2, z4, 0.16666666666666763, 0.0749999999997028, 0.04464285717509482,
             0.03038194268512018, 0.02237221561329493, 0.017351600991811558, 0.013980950215870798,
             0.011397870358965834);
    double high = ad_poly4(z, z2, 0.010785991141357563, 0.003685095092739147, 0.02175847382327866, -0.02107016069084022);
    return AD_FMA(z8, AD_FMA(z4, 0.03267242772612188, high), p) * z;
}

/* Above 1/2: arcsin(a) = pi/2 - 2 arcsin(sqrt((1 - a)/2)); *low is what the root's rounding left. */
AD_INLINE double ad_arcsin_root(double a, double z, int upper, double *low) {
    double s = sqrt(z), sq = s * s;
    double rest = ((z - sq) - ad_product_error(s, s, sq)) / (s + s);
    *low = upper && z > 0.0 ? rest : 0.0;
    return upper ? s : a;
}

AD_INLINE double ad_arcsin(double x) {
    double a = fabs(x);
    int upper = a > 0.5;
    double z = upper ? (1.0 - a) * 0.5 : a * a, low;
    double s = ad_arcsin_root(a, z, upper, &low);
    double q = s * ad_arcsin_core(z);
    double above = AD_PI_HI / 2 - 2.0 * s;
    double lost = (AD_PI_HI / 2 - above) - 2.0 * s;
    double y = upper ? above + (lost + (AD_PI_LO / 2 - 2.0 * (q + low))) : s + q;
    return copysign(y, x);
}

AD_INLINE double ad_arccos(double x) {
    double a = fabs(x);
    int upper = a > 0.5;
    double z = upper ? (1.0 - a) * 0.5 : a * a, low;
    double s = ad_arcsin_root(a, z, upper, &low);
    double q = s * ad_arcsin_core(z);
    double near = 2.0 * (s + (q + low));                                 /* x > 1/2 */
    double far = AD_PI_HI - (2.0 * s + (2.0 * (q + low) - AD_PI_LO));    /* x < -1/2 */
    double signed_s = x < 0.0 ? -s : s, signed_q = x < 0.0 ? -q : q;
    double above = AD_PI_HI / 2 - signed_s;
    double lost = (AD_PI_HI / 2 - above) - signed_s;
    double middle = above + (lost + (AD_PI_LO / 2 - signed_q));
    return upper ? (x > 0.0 ? near : far) : middle;
}

/* base + sign * arctan(n/d) for 0 <= n <= d, 1 <= d < 2^60. Beyond tan(pi/8) it turns by pi/4,
 * and the quotient's rounding is carried along; base is quarters * pi/4. */
AD_INLINE double ad_arctan_core(double n, double d, double quarters, double sign) {
    int turn = n > 0.41421356237309503 * d;
    double num = turn ? n - d : n, den = turn ? n + d : d;
    double num_low = turn ? n - (num + d) : 0.0, den_low = turn ? n - (den - d) : 0.0;
    double t = num / den, back = t * den;
    double low = ((num - back) - ad_product_error(t, den, back) + (num_low - t * den_low)) / den;
    low = fabs(t) < 1e-280 ? 0.0 : low;     /* a residual that underflows says nothing */
    double z = t * t;
    double z2 = z * z, z4 = z2 * z2, z8 = z4 * z4;
    double p = ad_poly8(z, z2, z4, -0.333333333333332, 0.19999999999953888, -0.1428571428023006,
             0.11111110785250292, -0.09090897811620931, 0.07692061204543563, -0.06663115545716758,
             0.05847974164506645);
    p = AD_FMA(z8, AD_FMA(z2, -0.017918035709862713, AD_FMA(0.038074418044320844, z, -0.05039690562137047)), p);
    double k = quarters + (turn ? sign : 0.0);
    double base = k * (AD_PI_HI / 4), base_low = k * (AD_PI_LO / 4);
    base = k == 3.0 ? 2.356194490192345 : base;
    base_low = k == 3.0 ? 9.184850993605148e-17 : base_low;
    double small = base_low + sign * (low + t * (z * p));
    double y = base + sign * t;
    double lost = (base - y) + sign * t;    /* base is 0 or larger than t */
    return y + (k == 0.0 ? small : lost + small);
}

AD_INLINE double ad_arctan(double x) {
    double a = fabs(x);
    a = a > 1.0e17 ? 1.0e17 : a;
    int over = a > 1.0;
    double y = ad_arctan_core(over ? 1.0 : a, over ? a : 1.0, over ? 2.0 : 0.0, over ? -1.0 : 1.0);
    y = copysign(y, x);
    return x != x ? x : y;
}

AD_INLINE double ad_arctan2(double y, double x) {
    double a = fabs(y), b = fabs(x);
    int over = a > b;
    double high = over ? a : b, low = over ? b : a, unused;
    double s = ad_normaliser(high, &unused);
    int endless = high == INFINITY;
    double d = endless ? 1.0 : high * s, n = endless ? (low == INFINITY ? 1.0 : 0.0) : low * s;
    d = high == 0.0 ? 1.0 : d;
    /* a subnormal denominator is still below 1: a further exact factor */
    n = d < 1.0 ? n * 4503599627370496.0 : n;
    d = d < 1.0 ? d * 4503599627370496.0 : d;
    int left = copysign(1.0, x) < 0.0;
    double quarters = over ? 2.0 : (left ? 4.0 : 0.0);
    double sign = over != left ? -1.0 : 1.0;
    double r = ad_arctan_core(n, d, quarters, sign);
    r = copysign(r, y);
    return a != a || b != b ? x + y : r;
}

AD_INLINE double ad_hypot(double x1, double x2) {
    double a = fabs(x1), b = fabs(x2), back;
    double high = a > b ? a : b, low = a > b ? b : a;
    double s = ad_normaliser(high, &back);
    double p = high * s, q = low * s;
    double y = sqrt(p * p + q * q) * back;
    y = a != a || b != b ? a + b : y;
    return a == INFINITY || b == INFINITY ? INFINITY : y;
}

/* |x| = m * 2^(3q + r), 1 <= m < 2, r in 0, 1, 2: a polynomial, then one step of third order
 * from a value cut to 24 bits, whose square is exact. */
AD_INLINE double ad_cbrt(double x) {
    double a = fabs(x);
    int tiny = a < 2.2250738585072014e-308;
    uint64_t u = ad_bits(tiny ? a * 18014398509481984.0 : a);
    double k = ad_from_bits((u >> 52) | 0x4330000000000000ull) - (4503599627370496.0 + 1023.0);
    double m = ad_from_bits((u & 0x000fffffffffffffull) | 0x3ff0000000000000ull);
    double q = ad_nearest(k * (1.0 / 3.0) - (1.0 / 3.0));
    double r = k - 3.0 * q;
    double w = m * (r == 0.0 ? 1.0 : (r == 1.0 ? 2.0 : 4.0));
    double m2 = m * m, m4 = m2 * m2;
    double t = ad_poly4(m, m2, 0.4475951566592435, 0.9481675488682916, -0.6627932251161083, 0.38223910285712637)
             + m4 * AD_FMA(m2, -0.0028112905561597607, AD_FMA(0.03047043053786017, m, -0.1428675311211937));
    t = t * (r == 0.0 ? 1.0 : (r == 1.0 ? 1.2599210498948732 : 1.5874010519681996));
    t = ad_from_bits(ad_bits(t) & 0xffffffffe0000000ull);
    double v = w / (t * t);
    t = t + t * ((v - t) / (t + t + v));
    t = t * ad_pow2(tiny ? q - 18.0 : q);
    t = a == 0.0 || a == INFINITY ? a : t;
    t = copysign(t, x);
    return x != x ? x : t;
}

/* With q = a^2/(1 + sqrt(1 + a^2)), a + sqrt(1 + a^2) = 1 + (a + q): nothing cancels for small a. */
AD_INLINE double ad_arcsinh(double x) {
    double a = fabs(x), c = a > 1.0e10 ? 1.0e10 : a;
    double q = c * c / (1.0 + sqrt(1.0 + c * c));
    double t = c + q, t_low = (c - t) + q;
    double u = 1.0 + t, u_low = t < 1.0 ? (1.0 - u) + t : (t - u) + 1.0;
    int huge = a > 1.0e10;
    double y = ad_log_sum(huge ? a : u, huge ? 0.0 : u_low + t_low, huge ? 1.0 : 0.0);
    y = a < 1.0e-9 ? a : y;
    return copysign(y, x);
}

AD_INLINE double ad_arccosh(double x) {
    double c = x > 1.0e10 ? 1.0e10 : x;
    double w = c - 1.0, v = c + 1.0, v_low = c - (v - 1.0);
    double square = w * v, square_low = ad_product_error(w, v, square) + w * v_low;
    double q = sqrt(square), back = q * q;
    double q_low = ((square - back) - ad_product_error(q, q, back) + square_low) / (q + q);
    q_low = q == 0.0 ? 0.0 : q_low;
    double t = q + w, t_low = ((q - t) + w) + q_low;            /* q >= w */
    double u = 1.0 + t, u_low = t < 1.0 ? (1.0 - u) + t : (t - u) + 1.0;
    int huge = x > 1.0e10;
    double y = ad_log_sum(huge ? x : u, huge ? 0.0 : u_low + t_low, huge ? 1.0 : 0.0);
    return x < 1.0 ? NAN : y;
}

/* log((1 + a)/(1 - a))/2 with (1 + a)/(1 - a) = 1 + (2a + 2a^2/(1 - a)). */
AD_INLINE double ad_arctanh(double x) {
    double a = fabs(x), b = a + a, q = b * a / (1.0 - a);
    double t = b + q, t_low = b > q ? (b - t) + q : (q - t) + b;
    double u = 1.0 + t, u_low = t < 1.0 ? (1.0 - u) + t : (t - u) + 1.0;
    double y = 0.5 * ad_log_sum(u, u_low + t_low, 0.0);
    y = a < 1.0e-9 ? a : y;
    y = a == 1.0 ? INFINITY : y;
    y = copysign(a > 1.0 ? NAN : y, x);
    return x != x ? x : y;
}

#endif
