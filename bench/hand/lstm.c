/* A long short-term memory over a text: forward with every gate kept, then backpropagation through time.
 *
 * Rows are padded to a multiple of eight, and the four gates of a layer stand side by side, so that one loop takes all
 * their exponentials; tanh z is 2 expit(2z) - 1. */
#include "hand.h"

static long padded(long bits) { return (bits + 7) / 8 * 8; }

/* z = factor (in w + b) and its expit; the input gates' `in` is x, the others' hidden. */
static void gates(const_rp x, const_rp hidden, const_rp w, const_rp b, rp gate, long n) {
    for (long j = 0; j < n; j++) {
        double v = AT(x, j, n), h = AT(hidden, j, n);
        AT(gate, j, 4 * n) = -(v * AT(w, j, 4 * n) + AT(b, j, 4 * n));
        AT(gate, n + j, 4 * n) = -(h * AT(w, n + j, 4 * n) + AT(b, n + j, 4 * n));
        AT(gate, 2 * n + j, 4 * n) = -(v * AT(w, 2 * n + j, 4 * n) + AT(b, 2 * n + j, 4 * n));
        AT(gate, 3 * n + j, 4 * n) = -2.0 * (h * AT(w, 3 * n + j, 4 * n) + AT(b, 3 * n + j, 4 * n));
    }
    for (long j = 0; j < 4 * n; j++) AT(gate, j, 4 * n) = 1.0 / (1.0 + ad_exp(AT(gate, j, 4 * n)));
    for (long j = 3 * n; j < 4 * n; j++) AT(gate, j, 4 * n) = 2.0 * AT(gate, j, 4 * n) - 1.0;
}

static void memory(const_rp gate, const_rp old, rp cell, rp t, rp hidden, long n) {
    for (long j = 0; j < n; j++) {
        double c = AT(old, j, n) * AT(gate, j, 4 * n) + AT(gate, n + j, 4 * n) * AT(gate, 3 * n + j, 4 * n);
        double th = 2.0 / (1.0 + ad_exp(-2.0 * c)) - 1.0;
        AT(cell, j, n) = c;
        AT(t, j, n) = th;
        AT(hidden, j, n) = AT(gate, 2 * n + j, 4 * n) * th;
    }
}

/* The loss of one step, and e = softmax's exponentials with their sum. */
static double predict(const_rp x, const_rp scale, const_rp shift, const_rp target, rp e, double *sum_e, double *sum_t, long n) {
    double se = 0, st = 0, sy = 0;
    SUMS(se, st, sy)
    for (long j = 0; j < n; j++) {
        double y = AT(x, j, n) * AT(scale, j, n) + AT(shift, j, n), v = ad_exp(y);
        AT(e, j, n) = v;
        se += v;
        st += AT(target, j, n);
        sy += AT(target, j, n) * y;
    }
    *sum_e = se;
    *sum_t = st;
    return sy - st * log(2.0 + se);
}

static void predict_back(const_rp x, const_rp scale, const_rp target, const_rp e, double factor, double share,
                         rp g_scale, rp g_shift, rp gx, long n) {
    for (long j = 0; j < n; j++) {
        double g = factor * (AT(target, j, n) - share * AT(e, j, n));
        AT(g_scale, j, n) += g * AT(x, j, n);
        AT(g_shift, j, n) += g;
        AT(gx, j, n) = g * AT(scale, j, n);
    }
}

static void layer_back(const_rp x, const_rp hidden, const_rp old, const_rp gate, const_rp t, const_rp w,
                       rp gw, rp gb, rp g_hidden, rp g_cell, rp gx, long n) {
    for (long j = 0; j < n; j++) {
        double f = AT(gate, j, 4 * n), i = AT(gate, n + j, 4 * n), o = AT(gate, 2 * n + j, 4 * n), c = AT(gate, 3 * n + j, 4 * n);
        double th = AT(t, j, n), v = AT(x, j, n), h = AT(hidden, j, n);
        double gh = AT(g_hidden, j, n) + AT(gx, j, n), gc = AT(g_cell, j, n) + gh * o * (1.0 - th * th);
        double zf = gc * AT(old, j, n) * f * (1.0 - f), zi = gc * c * i * (1.0 - i);
        double zo = gh * th * o * (1.0 - o), zc = gc * i * (1.0 - c * c);
        AT(gw, j, 4 * n) += zf * v;
        AT(gw, n + j, 4 * n) += zi * h;
        AT(gw, 2 * n + j, 4 * n) += zo * v;
        AT(gw, 3 * n + j, 4 * n) += zc * h;
        AT(gb, j, 4 * n) += zf;
        AT(gb, n + j, 4 * n) += zi;
        AT(gb, 2 * n + j, 4 * n) += zo;
        AT(gb, 3 * n + j, 4 * n) += zc;
        AT(g_cell, j, n) = gc * f;
        AT(g_hidden, j, n) = zi * AT(w, n + j, 4 * n) + zc * AT(w, 3 * n + j, 4 * n);
        AT(gx, j, n) = zf * AT(w, j, 4 * n) + zo * AT(w, 2 * n + j, 4 * n);
    }
}

static void product(const_rp a, const_rp b, rp y, long n) {
    for (long j = 0; j < n; j++) AT(y, j, n) = AT(a, j, n) * AT(b, j, n);
}

static void add_product(const_rp a, const_rp b, rp y, long n) {
    for (long j = 0; j < n; j++) AT(y, j, n) += AT(a, j, n) * AT(b, j, n);
}

/* rows [count][bits] copied into rows of n, filled up with `fill` */
static void pad(const double *rows, long count, long bits, double fill, double *to, long n) {
    for (long r = 0; r < count; r++)
        for (long j = 0; j < n; j++) to[r * n + j] = j < bits ? rows[r * bits + j] : fill;
}

static void crop(const double *from, long count, long bits, long n, double *rows) {
    for (long r = 0; r < count; r++) memcpy(rows + r * bits, from + r * n, bits * sizeof *rows);
}

/* Doubles that a call works in. */
long lstm_work(long layers, long chars, long bits) {
    long n = padded(bits);
    return n * (16 * layers + 6 + 2 * layers + 2 * layers * chars + chars + chars * (layers * 5 + 1) + 2 * chars + 2 * layers + 1);
}

double lstm_gradient(const_rp main, const_rp extra, const_rp state, const_rp text, long layers, long chars, long bits,
                     rp g_main, rp g_extra, rp work) {
    long n = padded(bits), steps = chars - 1, L = layers * n;
    double *w = work, *gw = w + 8 * L, *ex = gw + 8 * L, *gex = ex + 3 * n, *texts = gex + 3 * n;
    double *hidden = texts + chars * n, *cell = hidden + chars * L, *gate = cell + chars * L, *t = gate + chars * 4 * L;
    double *e = t + chars * L, *source = e + chars * n, *sums = source + chars * n;
    double *gh = sums + 2 * chars, *gc = gh + L, *gx = gc + L;
    double loss = 0, factor = -1.0 / (double)(steps * bits);
    pad(main, 8 * layers, bits, 0.0, w, n); /* weights and biases in turn, four gates each */
    pad(extra, 3, bits, 0.0, ex, n);
    for (long j = bits; j < n; j++) ex[2 * n + j] = -1000.0; /* so that what pads adds exp(-1000) = 0 */
    pad(text, chars, bits, 0.0, texts, n);
    for (long k = 0; k < layers; k++) {
        pad(state + 2 * k * bits, 1, bits, 0.0, hidden + k * n, n);
        pad(state + (2 * k + 1) * bits, 1, bits, 0.0, cell + k * n, n);
    }
    for (long s = 0; s < steps; s++) {
        double *x = source + s * n;
        product(texts + s * n, ex, x, n);
        for (long k = 0; k < layers; k++) {
            double *g = gate + (s * layers + k) * 4 * n, *now = hidden + (s + 1) * L + k * n;
            gates(x, hidden + s * L + k * n, w + 8 * k * n, w + (8 * k + 4) * n, g, n);
            memory(g, cell + s * L + k * n, cell + (s + 1) * L + k * n, t + s * L + k * n, now, n);
            x = now;
        }
        loss += predict(x, ex + n, ex + 2 * n, texts + (s + 1) * n, e + s * n, sums + 2 * s, sums + 2 * s + 1, n);
    }
    memset(gw, 0, 8 * L * sizeof *gw);
    memset(gex, 0, 3 * n * sizeof *gex);
    memset(gh, 0, 2 * L * sizeof *gh);
    for (long s = steps - 1; s >= 0; s--) {
        predict_back(hidden + (s + 1) * L + L - n, ex + n, texts + (s + 1) * n, e + s * n, factor, sums[2 * s + 1] / (2.0 + sums[2 * s]),
                     gex + n, gex + 2 * n, gx, n);
        for (long k = layers - 1; k >= 0; k--) {
            const double *x = k ? hidden + (s + 1) * L + (k - 1) * n : source + s * n;
            layer_back(x, hidden + s * L + k * n, cell + s * L + k * n, gate + (s * layers + k) * 4 * n, t + s * L + k * n,
                       w + 8 * k * n, gw + 8 * k * n, gw + (8 * k + 4) * n, gh + k * n, gc + k * n, gx, n);
        }
        add_product(gx, texts + s * n, gex, n);
    }
    crop(gw, 8 * layers, bits, n, g_main);
    crop(gex, 3, bits, n, g_extra);
    return factor * loss;
}
