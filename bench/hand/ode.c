/* The Brusselator's right-hand side under a seed: value and gradient in one pass over the grid.
 *
 * The Laplacian with clamped neighbours is symmetric, so its transpose is the same five points of the seed. */
#include "hand.h"

typedef struct { double u_gu, u_gv, g, lap, cubic, source; } sums;

/* the four neighbours less four times the middle */
#define LAPLACIAN(a, j, left, right) \
    (AT(a##_up, j, n) + AT(a##_down, j, n) + AT(a, left, n) + AT(a, right, n) - 4.0 * AT(a, j, n))

#define POINT(j, left, right) \
    do { \
        double U = AT(u, j, n), V = AT(v, j, n), P = AT(p, j, n), Q = AT(q, j, n), D = P - Q; \
        AT(gu, j, n) = a * LAPLACIAN(p, j, left, right) + 2.0 * U * V * D - (A + 1.0) * P + A * Q; \
        AT(gv, j, n) = a * LAPLACIAN(q, j, left, right) + U * U * D; \
        u_gu += U * P; \
        u_gv += U * Q; \
        g += P; \
        lap += P * LAPLACIAN(u, j, left, right) + Q * LAPLACIAN(v, j, left, right); \
        cubic += U * U * V * D; \
        source += AT(s, j, n) * P; \
    } while (0)

/* One row: u, v the state, p, q its seed, each with the rows above and below. */
static void row(const_rp u_up, const_rp u, const_rp u_down, const_rp v_up, const_rp v, const_rp v_down,
                const_rp p_up, const_rp p, const_rp p_down, const_rp q_up, const_rp q, const_rp q_down,
                const_rp s, rp gu, rp gv, long n, double A, double a, sums *t) {
    double u_gu = 0, u_gv = 0, g = 0, lap = 0, cubic = 0, source = 0;
    POINT(0, 0, n > 1 ? 1 : 0);
    SUMS(u_gu, u_gv, g, lap, cubic, source)
    for (long j = 1; j < n - 1; j++) POINT(j, j - 1, j + 1);
    if (n > 1) POINT(n - 1, n - 2, n - 1);
    t->u_gu += u_gu; t->u_gv += u_gv; t->g += g; t->lap += lap; t->cubic += cubic; t->source += source;
}

double ode_gradient(const_rp state, const_rp params, const_rp s, const_rp seed, long n, rp g_state, rp g_params) {
    double A = params[0], B = params[1], scale = (double)((n - 1) * (n - 1)), a = params[2] * scale;
    const double *u = state, *v = state + n * n, *p = seed, *q = seed + n * n;
    sums t = {0};
    for (long i = 0; i < n; i++) {
        long up = n * (i > 0 ? i - 1 : i), at = n * i, down = n * (i < n - 1 ? i + 1 : i);
        row(u + up, u + at, u + down, v + up, v + at, v + down, p + up, p + at, p + down, q + up, q + at, q + down,
            s + at, g_state + at, g_state + n * n + at, n, A, a, &t);
    }
    g_params[0] = t.u_gv - t.u_gu;
    g_params[1] = t.g;
    g_params[2] = scale * t.lap;
    return a * t.lap + B * t.g + t.cubic - (A + 1.0) * t.u_gu + A * t.u_gv + t.source;
}
