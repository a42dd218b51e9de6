/* Bundle adjustment: residuals of n observations and their derivatives, in blocks with a row for each parameter.
 *
 * The rotation y = c p + s (a x p) + (1 - c)(a . p) a of p = X - C about r = theta a is inverted by -r, which gives the
 * adjoint of p; that of r is the adjoint of a, less its part along a, over theta, and the adjoint of theta along a. */
#include "hand.h"

#define OBSERVATIONS 64
#define PARAMETERS 15 /* rotation 3, centre 3, focal length, principal point 2, distortion 2; point 3; weight */

/* Component `which` (0 or 1) for a block: in [17][OBSERVATIONS] holds the parameters and the two measured numbers. */
AD_INLINE void component(const_rp in, rp out, rp residual, int which, double (*sine)(double), double (*cosine)(double)) {
#define IN(row) AT(in, (row) * OBSERVATIONS + i, 17 * OBSERVATIONS)
#define OUT(row) AT(out, (row) * OBSERVATIONS + i, PARAMETERS * OBSERVATIONS)
    for (long i = 0; i < OBSERVATIONS; i++) {
        double r1 = IN(0), r2 = IN(1), r3 = IN(2), f = IN(6), k1 = IN(9), k2 = IN(10), w = IN(14);
        double p1 = IN(11) - IN(3), p2 = IN(12) - IN(4), p3 = IN(13) - IN(5);
        double square = r1 * r1 + r2 * r2 + r3 * r3;
        int still = square == 0.0; /* then a = 0 and theta = c = s = 1 give y = p, and p x g for r */
        double theta = sqrt(still ? 1.0 : square), c = still ? 1.0 : cosine(theta), s = still ? 1.0 : sine(theta);
        double back = 1.0 / theta, a1 = r1 * back, a2 = r2 * back, a3 = r3 * back, rest = 1.0 - c;
        double ap = a1 * p1 + a2 * p2 + a3 * p3;
        double x1 = a2 * p3 - a3 * p2, x2 = a3 * p1 - a1 * p3, x3 = a1 * p2 - a2 * p1;
        double y1 = p1 * c + x1 * s + a1 * (ap * rest), y2 = p2 * c + x2 * s + a2 * (ap * rest), y3 = p3 * c + x3 * s + a3 * (ap * rest);
        double depth = 1.0 / y3, u = y1 * depth, v = y2 * depth, radius = u * u + v * v;
        double bent = 1.0 + (k1 + k2 * radius) * radius, slope = 2.0 * f * (k1 + 2.0 * k2 * radius), here = which ? v : u;
        double off = here * bent * f + IN(7 + which) - IN(15 + which);
        double gu = w * (here * slope * u + (which ? 0.0 : bent * f)), gv = w * (here * slope * v + (which ? bent * f : 0.0));
        double g1 = gu * depth, g2 = gv * depth, g3 = -(gu * u + gv * v) * depth;
        double ag = a1 * g1 + a2 * g2 + a3 * g3;
        double h1 = g1 * c - (a2 * g3 - a3 * g2) * s + a1 * (ag * rest);
        double h2 = g2 * c - (a3 * g1 - a1 * g3) * s + a2 * (ag * rest);
        double h3 = g3 * c - (a1 * g2 - a2 * g1) * s + a3 * (ag * rest);
        double b1 = s * (p2 * g3 - p3 * g2) + rest * (ag * p1 + ap * g1);
        double b2 = s * (p3 * g1 - p1 * g3) + rest * (ag * p2 + ap * g2);
        double b3 = s * (p1 * g2 - p2 * g1) + rest * (ag * p3 + ap * g3);
        double turn = g1 * (c * x1 - s * p1 + s * ap * a1) + g2 * (c * x2 - s * p2 + s * ap * a2) + g3 * (c * x3 - s * p3 + s * ap * a3);
        double along = turn - (a1 * b1 + a2 * b2 + a3 * b3) * back;
        OUT(0) = b1 * back + a1 * along;
        OUT(1) = b2 * back + a2 * along;
        OUT(2) = b3 * back + a3 * along;
        OUT(3) = -h1;
        OUT(4) = -h2;
        OUT(5) = -h3;
        OUT(6) = w * here * bent;
        OUT(7) = which ? 0.0 : w;
        OUT(8) = which ? w : 0.0;
        OUT(9) = w * here * f * radius;
        OUT(10) = w * here * f * radius * radius;
        OUT(11) = h1;
        OUT(12) = h2;
        OUT(13) = h3;
        OUT(14) = off;
        AT(residual, i, OBSERVATIONS) = w * off;
    }
}

/* Both components of a block, or the first. */
static void derivatives(const_rp in, rp out, rp residual, int both) {
    double square[OBSERVATIONS];
    for (long i = 0; i < OBSERVATIONS; i++) square[i] = in[i] * in[i] + in[OBSERVATIONS + i] * in[OBSERVATIONS + i] + in[2 * OBSERVATIONS + i] * in[2 * OBSERVATIONS + i];
    double *out2 = out + PARAMETERS * OBSERVATIONS, *residual2 = residual + OBSERVATIONS;
    if (ad_moderate(square, OBSERVATIONS)) {
        component(in, out, residual, 0, ad_sin, ad_cos);
        if (both) component(in, out2, residual2, 1, ad_sin, ad_cos);
    } else {
        component(in, out, residual, 0, sin, cos);
        if (both) component(in, out2, residual2, 1, sin, cos);
    }
}

static void load(const_rp cams, const_rp X, const_rp w, const_rp feats, long n, long first, rp in) {
    for (long i = 0; i < OBSERVATIONS; i++) {
        long at = first + i < n ? first + i : n - 1;
        for (long j = 0; j < 11; j++) AT(in, j * OBSERVATIONS + i, 17 * OBSERVATIONS) = AT(cams, at * 11 + j, n * 11);
        for (long j = 0; j < 3; j++) AT(in, (11 + j) * OBSERVATIONS + i, 17 * OBSERVATIONS) = AT(X, at * 3 + j, n * 3);
        AT(in, 14 * OBSERVATIONS + i, 17 * OBSERVATIONS) = AT(w, at, n);
        for (long j = 0; j < 2; j++) AT(in, (15 + j) * OBSERVATIONS + i, 17 * OBSERVATIONS) = AT(feats, at * 2 + j, n * 2);
    }
}

/* The sum of the first components, and its gradient: the first row of every block of the Jacobian. */
double ba_gradient(const_rp cams, const_rp X, const_rp w, const_rp feats, long n, rp g_cams, rp gX, rp gw) {
    double in[17 * OBSERVATIONS], out[PARAMETERS * OBSERVATIONS], residual[OBSERVATIONS], sum = 0;
    for (long first = 0; first < n; first += OBSERVATIONS) {
        long m = hand_least(OBSERVATIONS, n - first);
        load(cams, X, w, feats, n, first, in);
        derivatives(in, out, residual, 0);
        for (long i = 0; i < m; i++) {
            sum += residual[i];
            for (long j = 0; j < 11; j++) AT(g_cams, (first + i) * 11 + j, n * 11) = out[j * OBSERVATIONS + i];
            for (long j = 0; j < 3; j++) AT(gX, (first + i) * 3 + j, n * 3) = out[(11 + j) * OBSERVATIONS + i];
            AT(gw, first + i, n) = out[14 * OBSERVATIONS + i];
        }
    }
    return sum;
}

/* All residuals [2][n] and all blocks [n][2][PARAMETERS] of the Jacobian. */
double ba_jacobian(const_rp cams, const_rp X, const_rp w, const_rp feats, long n, rp residuals, rp blocks) {
    double in[17 * OBSERVATIONS], out[2 * PARAMETERS * OBSERVATIONS], residual[2 * OBSERVATIONS];
    for (long first = 0; first < n; first += OBSERVATIONS) {
        long m = hand_least(OBSERVATIONS, n - first);
        load(cams, X, w, feats, n, first, in);
        derivatives(in, out, residual, 1);
        for (long i = 0; i < m; i++) {
            AT(residuals, first + i, 2 * n) = residual[i];
            AT(residuals, n + first + i, 2 * n) = residual[OBSERVATIONS + i];
            for (long j = 0; j < 2 * PARAMETERS; j++)
                AT(blocks, (first + i) * 2 * PARAMETERS + j, n * 2 * PARAMETERS) = out[j * OBSERVATIONS + i];
        }
    }
    return 0.0;
}
