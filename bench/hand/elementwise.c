/* sum(tanh(x) exp(-x^2) + log1p(x^2) sin(x)) and its gradient in one pass. */
#include "hand.h"

#define BLOCK 512

AD_INLINE double block(const_rp x, rp gx, long m, double (*sine)(double), double (*cosine)(double)) {
    double term[BLOCK], sum = 0.0;
    for (long i = 0; i < m; i++) {
        double v = AT(x, i, m), square = v * v;
        double t = ad_tanh(v), e = ad_exp(-square), l = ad_log1p(square), s = sine(v), c = cosine(v);
        AT(term, i, BLOCK) = t * e + l * s;
        AT(gx, i, m) = (1.0 - t * t) * e - 2.0 * v * (t * e) + 2.0 * v / (1.0 + square) * s + l * c;
    }
    SUMS(sum)
    for (long i = 0; i < m; i++) sum += AT(term, i, BLOCK);
    return sum;
}

double elementwise_gradient(const_rp x, long n, rp gx) {
    double sum = 0.0;
    for (long i = 0; i < n; i += BLOCK) {
        long m = hand_least(BLOCK, n - i);
        /* both calls are inlined, with sin and cos from one reduction in the first */
        sum += ad_moderate(x + i, m) ? block(x + i, gx + i, m, ad_sin, ad_cos) : block(x + i, gx + i, m, sin, cos);
    }
    return sum;
}
