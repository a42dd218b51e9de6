/* What the hand-written versions share: see bench/hand/__init__.py. */
#ifndef HAND_H
#define HAND_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ad_math.h" /* the vector math that adcore's own kernels use */

#ifndef AD_RESTRICT
#define AD_RESTRICT restrict
#endif

typedef double *AD_RESTRICT rp;
typedef const double *AD_RESTRICT const_rp;

/* an element, with the test of a bounds-checked language where AD_CHECKED is set */
#if AD_CHECKED
static inline double *hand_at(const double *a, long i, long n) {
    if (i < 0 || i >= n) abort();
    return (double *)a + i;
}
#define AT(a, i, n) (*hand_at((a), (i), (n)))
#else
#define AT(a, i, n) ((a)[i])
#endif

/* Before a loop that only adds up: its partial sums may be added in any order. */
#define SUMS(...) HAND_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#define HAND_PRAGMA(...) _Pragma(#__VA_ARGS__)

static inline long hand_least(long a, long b) { return a < b ? a : b; }

#endif
