/* Radix-2 FFT in place and its inverse, the sum of what comes back, and the gradient of that sum.
 *
 * A transform's adjoint is the transform of the other sign, so a gradient is four transforms. `fft_gradient` has tables
 * of roots and of reversed positions, and takes two stages at a time, quarter by quarter where a transform is larger
 * than the cache; `fft_plain` is the textbook's: one stage at a time, roots by recurrence. */
#include "hand.h"

#include <stdint.h>

#define IN_CACHE 8192

static void swap(rp z, long i, long j, long n) {
    double re = AT(z, 2 * i, 2 * n), im = AT(z, 2 * i + 1, 2 * n);
    AT(z, 2 * i, 2 * n) = AT(z, 2 * j, 2 * n);
    AT(z, 2 * i + 1, 2 * n) = AT(z, 2 * j + 1, 2 * n);
    AT(z, 2 * j, 2 * n) = re;
    AT(z, 2 * j + 1, 2 * n) = im;
}

static void reverse(rp z, const int32_t *reversed, long n) {
    for (long i = 0; i < n; i++) {
        long j = reversed[i];
        if (i < j) swap(z, i, j, n);
    }
}

/* The first stage alone: neighbours. */
static void pairs(rp z, long n) {
    for (long i = 0; i < 2 * n; i += 4) {
        double a = AT(z, i, 2 * n), b = AT(z, i + 1, 2 * n), c = AT(z, i + 2, 2 * n), d = AT(z, i + 3, 2 * n);
        AT(z, i, 2 * n) = a + c;
        AT(z, i + 1, 2 * n) = b + d;
        AT(z, i + 2, 2 * n) = a - c;
        AT(z, i + 3, 2 * n) = b - d;
    }
}

/* Two stages for the quarters a, b, c, d of a transform, each of m numbers: roots w1 of the first, w2 of the second. */
static void quarters(rp a, rp b, rp c, rp d, const_rp w1, const_rp w2, long m, double sign) {
    long n = 2 * m;
    for (long j = 0; j < n; j += 2) {
        double c1 = AT(w1, j, n), s1 = sign * AT(w1, j + 1, n), c2 = AT(w2, j, n), s2 = sign * AT(w2, j + 1, n);
        double ar = AT(a, j, n), ai = AT(a, j + 1, n), br = AT(b, j, n), bi = AT(b, j + 1, n);
        double cr = AT(c, j, n), ci = AT(c, j + 1, n), dr = AT(d, j, n), di = AT(d, j + 1, n);
        double tr = br * c1 - bi * s1, ti = br * s1 + bi * c1, ur = dr * c1 - di * s1, ui = dr * s1 + di * c1;
        double er = cr + ur, ei = ci + ui, fr = cr - ur, fi = ci - ui;
        double vr = er * c2 - ei * s2, vi = er * s2 + ei * c2, wr = -sign * (fr * s2 + fi * c2), wi = sign * (fr * c2 - fi * s2);
        br = ar - tr, bi = ai - ti, ar += tr, ai += ti;
        AT(a, j, n) = ar + vr;
        AT(a, j + 1, n) = ai + vi;
        AT(b, j, n) = br + wr;
        AT(b, j + 1, n) = bi + wi;
        AT(c, j, n) = ar - vr;
        AT(c, j + 1, n) = ai - vi;
        AT(d, j, n) = br - wr;
        AT(d, j + 1, n) = bi - wi;
    }
}

/* The stages of a transform of n numbers from `done` (already transformed so far) on. */
static void stages(double *z, const_rp roots, long n, long done, double sign) {
    if (n > IN_CACHE && n / 4 > done) {
        for (long k = 0; k < 4; k++) stages(z + k * (n / 2), roots, n / 4, done, sign);
        done = n / 4;
    }
    for (long m = done; m < n; m *= 4)
        for (double *q = z; q < z + 2 * n; q += 8 * m)
            quarters(q, q + 2 * m, q + 4 * m, q + 6 * m, roots + 2 * m, roots + 4 * m, m, sign);
}

static void transform(rp z, const int32_t *reversed, const_rp roots, long n, double sign) {
    long odd = __builtin_ctzl(n) & 1;
    reverse(z, reversed, n);
    if (odd) pairs(z, n);
    stages(z, roots, n, odd ? 2 : 1, sign);
}

/* roots [n][2]: at half + j the cosine and sine of pi j / half, for half = 1, 2, 4, ... n/2. */
double fft_gradient(const_rp x, const int32_t *reversed, const_rp roots, long n, rp gx, rp work) {
    double sum = 0;
    memcpy(work, x, 2 * n * sizeof *x);
    transform(work, reversed, roots, n, -1.0);
    transform(work, reversed, roots, n, 1.0);
    SUMS(sum)
    for (long i = 0; i < 2 * n; i++) sum += AT(work, i, 2 * n);
    for (long i = 0; i < 2 * n; i++) AT(gx, i, 2 * n) = 1.0 / n;
    transform(gx, reversed, roots, n, -1.0);
    transform(gx, reversed, roots, n, 1.0);
    return sum / n;
}

static void textbook(rp z, long n, double sign) {
    for (long i = 0, j = 0; i < n; i++) {
        if (i < j) swap(z, i, j, n);
        long bit = n >> 1;
        for (; bit && (j & bit); bit >>= 1) j ^= bit;
        j |= bit;
    }
    for (long half = 1; half < n; half *= 2) {
        double angle = sign * M_PI / half, h = sin(0.5 * angle), step_c = -2.0 * h * h, step_s = sin(angle);
        for (long first = 0; first < n; first += 2 * half) {
            double c = 1.0, s = 0.0;
            for (long i = first; i < first + half; i++) {
                long k = i + half;
                double re = AT(z, 2 * k, 2 * n) * c - AT(z, 2 * k + 1, 2 * n) * s;
                double im = AT(z, 2 * k, 2 * n) * s + AT(z, 2 * k + 1, 2 * n) * c, now = c;
                AT(z, 2 * k, 2 * n) = AT(z, 2 * i, 2 * n) - re;
                AT(z, 2 * k + 1, 2 * n) = AT(z, 2 * i + 1, 2 * n) - im;
                AT(z, 2 * i, 2 * n) += re;
                AT(z, 2 * i + 1, 2 * n) += im;
                c += c * step_c - s * step_s;
                s += s * step_c + now * step_s;
            }
        }
    }
}

double fft_plain(const_rp x, long n, rp gx, rp work) {
    double sum = 0;
    memcpy(work, x, 2 * n * sizeof *x);
    textbook(work, n, -1.0);
    textbook(work, n, 1.0);
    for (long i = 0; i < 2 * n; i++) sum += AT(work, i, 2 * n);
    for (long i = 0; i < 2 * n; i++) AT(gx, i, 2 * n) = 1.0 / n;
    textbook(gx, n, -1.0);
    textbook(gx, n, 1.0);
    return sum / n;
}
