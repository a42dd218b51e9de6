/* The log likelihood of a Gaussian mixture with its Wishart prior: value and gradient in two passes over blocks of points.
 *
 * A block is transposed, so that every loop runs over points; the means are taken out of the products (Q(x - mu) =
 * Qx - Q mu), and what a block adds to the gradient of Q is a product with the points themselves. */
#include "hand.h"

#define POINTS 64

/* y = row . x - shift for each point of a block, x [m][POINTS]. */
static void project(const_rp row, long m, double shift, const_rp x, rp y) {
    long j = 0, size = m * POINTS;
    for (long p = 0; p < POINTS; p++) AT(y, p, POINTS) = -shift;
    for (; j + 4 <= m; j += 4) {
        double a = AT(row, j, m), b = AT(row, j + 1, m), c = AT(row, j + 2, m), d = AT(row, j + 3, m);
        for (long p = 0; p < POINTS; p++)
            AT(y, p, POINTS) += (a * AT(x, j * POINTS + p, size) + b * AT(x, (j + 1) * POINTS + p, size))
                              + (c * AT(x, (j + 2) * POINTS + p, size) + d * AT(x, (j + 3) * POINTS + p, size));
    }
    for (; j < m; j++) {
        double a = AT(row, j, m);
        for (long p = 0; p < POINTS; p++) AT(y, p, POINTS) += a * AT(x, j * POINTS + p, size);
    }
}

/* out[j] += sum over the points of y x_j. */
static void moments(const_rp y, const_rp x, long m, rp out) {
    long j = 0, size = m * POINTS;
    for (; j + 4 <= m; j += 4) {
        double a = 0, b = 0, c = 0, d = 0;
        SUMS(a, b, c, d)
        for (long p = 0; p < POINTS; p++) {
            double v = AT(y, p, POINTS);
            a += v * AT(x, j * POINTS + p, size);
            b += v * AT(x, (j + 1) * POINTS + p, size);
            c += v * AT(x, (j + 2) * POINTS + p, size);
            d += v * AT(x, (j + 3) * POINTS + p, size);
        }
        AT(out, j, m) += a;
        AT(out, j + 1, m) += b;
        AT(out, j + 2, m) += c;
        AT(out, j + 3, m) += d;
    }
    for (; j < m; j++) {
        double a = 0;
        SUMS(a)
        for (long p = 0; p < POINTS; p++) a += AT(y, p, POINTS) * AT(x, j * POINTS + p, size);
        AT(out, j, m) += a;
    }
}

static void add_square(rp to, const_rp y) {
    for (long p = 0; p < POINTS; p++) AT(to, p, POINTS) -= 0.5 * AT(y, p, POINTS) * AT(y, p, POINTS);
}

static double weigh(rp y, const_rp r) {
    double sum = 0;
    SUMS(sum)
    for (long p = 0; p < POINTS; p++) sum += AT(y, p, POINTS) *= AT(r, p, POINTS);
    return sum;
}

static void larger(rp top, const_rp v) {
    for (long p = 0; p < POINTS; p++) AT(top, p, POINTS) = AT(v, p, POINTS) > AT(top, p, POINTS) ? AT(v, p, POINTS) : AT(top, p, POINTS);
}

static void exponentials(rp v, const_rp top, rp total) {
    for (long p = 0; p < POINTS; p++) AT(total, p, POINTS) += AT(v, p, POINTS) = ad_exp(AT(v, p, POINTS) - AT(top, p, POINTS));
}

/* inside [k][POINTS] becomes the responsibilities; the sum of the logarithms of the first `count` points is returned. */
static double responsibilities(rp inside, long k, long count) {
    double top[POINTS], total[POINTS] = {0}, sum = 0;
    memcpy(top, inside, sizeof top);
    for (long c = 1; c < k; c++) larger(top, inside + c * POINTS);
    for (long c = 0; c < k; c++) exponentials(inside + c * POINTS, top, total);
    for (long p = 0; p < count; p++) sum += top[p] + log(total[p]);
    for (long p = 0; p < POINTS; p++) total[p] = p < count ? 1.0 / total[p] : 0.0;
    for (long c = 0; c < k; c++)
        for (long p = 0; p < POINTS; p++) AT(inside, c * POINTS + p, k * POINTS) *= total[p];
    return sum;
}

/* Doubles that a call works in: lower triangles by rows, their gradients, Q mu, biases, and a block. */
long gmm_work(long d, long k) {
    long size = d * (d + 1) / 2;
    return 2 * k * size + 3 * k * d + 2 * k + (k * d + k + d) * POINTS;
}

double gmm_gradient(const_rp alphas, const_rp means, const_rp icf, const_rp x, double gamma, long m, double constant,
                    long n, long d, long k, rp g_alphas, rp g_means, rp g_icf, rp work) {
    long size = d * (d + 1) / 2;
    double *Q = work, *W = Q + k * size, *shift = W + k * size, *S = shift + k * d, *diagonal = S + k * d;
    double *bias = diagonal + k * d, *R = bias + k, *xt = R + k, *inside = xt + d * POINTS, *y = inside + k * POINTS;
    double value = 0, squares = 0, logs = 0, top = alphas[0], total = 0;
    for (long c = 0; c < k; c++) {
        const double *f = icf + c * size;
        double *q = Q + c * size;
        bias[c] = 0;
        for (long i = 0; i < d; i++) {
            diagonal[c * d + i] = q[i * (i + 1) / 2 + i] = ad_exp(f[i]);
            squares += diagonal[c * d + i] * diagonal[c * d + i];
            bias[c] += f[i];
        }
        for (long j = 0, at = d; j < d; j++)
            for (long i = j + 1; i < d; i++, at++) {
                q[i * (i + 1) / 2 + j] = f[at];
                squares += f[at] * f[at];
            }
        logs += bias[c];
        bias[c] += alphas[c];
        for (long i = 0; i < d; i++) {
            double sum = 0;
            for (long j = 0; j <= i; j++) sum += q[i * (i + 1) / 2 + j] * means[c * d + j];
            shift[c * d + i] = sum;
        }
        top = alphas[c] > top ? alphas[c] : top;
    }
    memset(W, 0, k * size * sizeof *W);
    memset(S, 0, k * d * sizeof *S);
    memset(R, 0, k * sizeof *R);
    for (long first = 0; first < n; first += POINTS) {
        long count = hand_least(POINTS, n - first);
        for (long p = 0; p < POINTS; p++)
            for (long j = 0; j < d; j++) AT(xt, j * POINTS + p, d * POINTS) = p < count ? AT(x, (first + p) * d + j, n * d) : 0.0;
        for (long c = 0; c < k; c++) {
            double *to = inside + c * POINTS;
            for (long p = 0; p < POINTS; p++) to[p] = bias[c];
            for (long i = 0; i < d; i++) {
                double *yi = y + (c * d + i) * POINTS;
                project(Q + c * size + i * (i + 1) / 2, i + 1, shift[c * d + i], xt, yi);
                add_square(to, yi);
            }
        }
        value += responsibilities(inside, k, count);
        for (long c = 0; c < k; c++) {
            const double *r = inside + c * POINTS;
            for (long p = 0; p < POINTS; p++) R[c] += r[p];
            for (long i = 0; i < d; i++) {
                double *yi = y + (c * d + i) * POINTS;
                S[c * d + i] += weigh(yi, r);
                moments(yi, xt, i + 1, W + c * size + i * (i + 1) / 2);
            }
        }
    }
    for (long c = 0; c < k; c++) total += ad_exp(alphas[c] - top);
    for (long c = 0; c < k; c++) {
        const double *q = Q + c * size, *w = W + c * size, *mean = means + c * d, *s = S + c * d;
        double *g = g_icf + c * size;
        g_alphas[c] = R[c] - n * ad_exp(alphas[c] - top) / total;
        for (long j = 0; j < d; j++) g_means[c * d + j] = 0;
        for (long i = 0; i < d; i++)
            for (long j = 0; j <= i; j++) g_means[c * d + j] += s[i] * q[i * (i + 1) / 2 + j];
        for (long i = 0; i < d; i++) {
            double e = diagonal[c * d + i];
            g[i] = (s[i] * mean[i] - w[i * (i + 1) / 2 + i]) * e + R[c] + gamma * gamma * e * e - m;
        }
        for (long j = 0, at = d; j < d; j++)
            for (long i = j + 1; i < d; i++, at++)
                g[at] = s[i] * mean[j] - w[i * (i + 1) / 2 + j] + gamma * gamma * icf[c * size + at];
    }
    return value - 0.5 * n * d * log(2 * M_PI) - n * (top + log(total)) + 0.5 * gamma * gamma * squares - m * logs - k * constant;
}
