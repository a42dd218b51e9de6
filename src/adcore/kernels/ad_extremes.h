/* The largest and the least element of a row. Eight lanes of the compiler's own vectors: what gcc 12 makes of a loop that also
 * looks for NaNs is scalar. An element may be looked at twice, so a tail is the last eight elements.
 *
 * A NaN wins, as in NumPy.
 */
#ifndef AD_EXTREMES_H
#define AD_EXTREMES_H

#include <stddef.h>
#include <string.h>

typedef double ad_lanes __attribute__((vector_size(64)));
typedef long long ad_mask __attribute__((vector_size(64)));

static inline ad_lanes ad_lanes_at(const double *x) {
    ad_lanes v;
    memcpy(&v, x, sizeof v);
    return v;
}

static inline ad_lanes ad_chosen(ad_mask first, ad_lanes a, ad_lanes b) {
    return (ad_lanes)(((ad_mask)a & first) | ((ad_mask)b & ~first));
}

static inline ad_lanes ad_better(ad_lanes a, ad_lanes b, int least) { return ad_chosen(least ? a < b : a > b, a, b); }
static inline double ad_better_of(double a, double b, int least) { return (least ? a < b : a > b) ? a : b; }

/* n >= 8; `least` is a constant where this is inlined. Four vectors in turn: a choice waits for the one before it. */
static inline double ad_extreme(const double *x, ptrdiff_t n, int least) {
    ad_lanes best[4], v;
    ad_mask missing;
    double lane[8];
    ptrdiff_t i = 0;
    int j, k;
    best[0] = ad_lanes_at(x + n - 8);
    missing = best[0] != best[0];
    best[1] = best[2] = best[3] = best[0];
    for (; i + 32 <= n; i += 32)
        for (k = 0; k < 4; k++) {
            v = ad_lanes_at(x + i + 8 * k);
            missing |= v != v;
            best[k] = ad_better(best[k], v, least);
        }
    for (; i + 8 <= n; i += 8) {
        v = ad_lanes_at(x + i);
        missing |= v != v;
        best[0] = ad_better(best[0], v, least);
    }
    for (j = 1; j < 8; j++) missing[0] |= missing[j];
    if (missing[0])
        for (i = 0; i < n; i++)
            if (x[i] != x[i]) return x[i];
    v = ad_better(ad_better(best[0], best[1], least), ad_better(best[2], best[3], least), least);
    memcpy(lane, &v, sizeof lane);
    for (k = 4; k > 0; k /= 2)
        for (j = 0; j < k; j++) lane[j] = ad_better_of(lane[j], lane[j + k], least);
    return lane[0];
}

static inline double ad_greatest(const double *x, ptrdiff_t n) { return ad_extreme(x, n, 0); }
static inline double ad_least(const double *x, ptrdiff_t n) { return ad_extreme(x, n, 1); }

#endif
