/* What the hand-written versions share: see bench/hand/__init__.py. */
#ifndef HAND_H
#define HAND_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

#endif
