// The plain functions as C++ that Enzyme differentiates: loops over flat arrays, with sizes that are known when they are compiled.
// Mathematical functions are declared here, since the compiler inside the wheel need not find the system's headers.
//
// What a loop computes stands in scalars: the values of an array inside a loop are not kept for each of its turns by Enzyme 0.0.16,
// whose reverse sweep then reads those of the last turn, or ends in a segmentation fault. An array that is filled before is fine.
extern "C" {
double tanh(double);
double exp(double);
double log(double);
double log1p(double);
double sin(double);
double cos(double);
double sqrt(double);
}

template <std::size_t LENGTH>
using array = enzyme::tensor<double, LENGTH>;

#ifdef PROBLEM_elementwise
void elementwise(array<1> &out, const array<SIZE> &x) {
    double sum = 0;
    for (std::size_t i = 0; i < SIZE; i++) sum += tanh(x[i]) * exp(-x[i] * x[i]) + log1p(x[i] * x[i]) * sin(x[i]);
    out[0] = sum;
}
#endif

#ifdef PROBLEM_ode
void ode(array<1> &out, const array<2 * SIZE * SIZE> &state, const array<3> &params, const array<SIZE * SIZE> &s,
         const array<2 * SIZE * SIZE> &seed) {
    double a = params[2] * (SIZE - 1) * (SIZE - 1), sum = 0;
    for (std::size_t i = 0; i < SIZE; i++) {
        std::size_t up = SIZE * (i > 0 ? i - 1 : i), at = SIZE * i, down = SIZE * (i < SIZE - 1 ? i + 1 : i);
        for (std::size_t j = 0; j < SIZE; j++) {
            std::size_t left = j > 0 ? j - 1 : j, right = j < SIZE - 1 ? j + 1 : j, V = SIZE * SIZE;
            double u = state[at + j], v = state[V + at + j], cubic = u * u * v;
            double lu = state[up + j] + state[down + j] + state[at + left] + state[at + right] - 4.0 * u;
            double lv = state[V + up + j] + state[V + down + j] + state[V + at + left] + state[V + at + right] - 4.0 * v;
            sum += seed[at + j] * (a * lu + params[1] + cubic - (params[0] + 1.0) * u + s[at + j]);
            sum += seed[V + at + j] * (a * lv + params[0] * u - cubic);
        }
    }
    out[0] = sum;
}
#endif

#ifdef PROBLEM_gmm
void gmm(array<1> &out, const array<CENTRES> &alphas, const array<CENTRES * D> &means, const array<CENTRES * TRIANGLE> &icf,
         const array<POINTS * D> &x, const array<3> &prior) {
    double diagonal[CENTRES * D], bias[CENTRES], squares = 0, logs = 0, sum = 0, top = alphas[0], total = 0;
    for (std::size_t c = 0; c < CENTRES; c++) {
        double q = 0;
        for (std::size_t i = 0; i < D; i++) {
            double e = exp(icf[c * TRIANGLE + i]);
            diagonal[c * D + i] = e;
            q += icf[c * TRIANGLE + i];
            squares += e * e;
        }
        for (std::size_t at = D; at < TRIANGLE; at++) squares += icf[c * TRIANGLE + at] * icf[c * TRIANGLE + at];
        logs += q;
        bias[c] = alphas[c] + q;
        top = alphas[c] > top ? alphas[c] : top;
    }
    for (std::size_t n = 0; n < POINTS; n++) {
        double largest = -1e300, all = 0;
        for (std::size_t c = 0; c < CENTRES; c++) {
            double square = 0;
            for (std::size_t i = 0; i < D; i++) {
                double y = diagonal[c * D + i] * (x[n * D + i] - means[c * D + i]);
                for (std::size_t j = 0; j < i; j++)
                    y += icf[c * TRIANGLE + D + j * (2 * D - j - 1) / 2 + i - j - 1] * (x[n * D + j] - means[c * D + j]);
                square += y * y;
            }
            double inside = bias[c] - 0.5 * square, larger = inside > largest ? inside : largest;
            all = all * exp(largest - larger) + exp(inside - larger);
            largest = larger;
        }
        sum += largest + log(all);
    }
    for (std::size_t c = 0; c < CENTRES; c++) total += exp(alphas[c] - top);
    out[0] = sum - POINTS * (top + log(total)) + 0.5 * prior[0] * prior[0] * squares - prior[1] * logs + prior[2];
}
#endif

#ifdef PROBLEM_ba
static inline double residual(double r0, double r1, double r2, double p0, double p1, double p2, double f, double principal, double k0,
                              double k1, double w, double feat) {
    double square = r0 * r0 + r1 * r1 + r2 * r2, y0, y1, y2;
    if (square != 0.0) {
        double theta = sqrt(square), c = cos(theta), s = sin(theta) / theta, dot = (r0 * p0 + r1 * p1 + r2 * p2) * (1.0 - c) / square;
        y0 = p0 * c + (r1 * p2 - r2 * p1) * s + r0 * dot;
        y1 = p1 * c + (r2 * p0 - r0 * p2) * s + r1 * dot;
        y2 = p2 * c + (r0 * p1 - r1 * p0) * s + r2 * dot;
    } else {
        y0 = p0 + r1 * p2 - r2 * p1;
        y1 = p1 + r2 * p0 - r0 * p2;
        y2 = p2 + r0 * p1 - r1 * p0;
    }
    double u = y0 / y2, v = y1 / y2, radius = u * u + v * v;
    return w * (u * (1.0 + k0 * radius + k1 * radius * radius) * f + principal - feat);
}

void ba(array<1> &out, const array<OBSERVATIONS * 11> &cams, const array<OBSERVATIONS * 3> &points, const array<OBSERVATIONS> &w,
        const array<OBSERVATIONS * 2> &feats) {
    double sum = 0;
    for (std::size_t n = 0; n < OBSERVATIONS; n++) {
        std::size_t a = n * 11, b = n * 3;
        sum += residual(cams[a], cams[a + 1], cams[a + 2], points[b] - cams[a + 3], points[b + 1] - cams[a + 4], points[b + 2] - cams[a + 5],
                        cams[a + 6], cams[a + 7], cams[a + 9], cams[a + 10], w[n], feats[n * 2]);
    }
    out[0] = sum;
}
#endif
