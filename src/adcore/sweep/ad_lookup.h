/* Intervals of a table of ascending knots, with the form of compiled primitives (adcore_primitive.h).
   Whatever the knots are, positions stay within the table. */
#ifndef AD_LOOKUP_H
#define AD_LOOKUP_H

#include <stdint.h>
#include <string.h>

typedef struct {
    const double *knots;
    int64_t n, last;    /* knots, and interval */
    double scale;       /* intervals per unit, if they were equal */
    int64_t at;         /* interval of the last query: the next is likely to be near */
} AdTable;

static AdTable ad_table(const double *knots, int64_t n) {
    AdTable table = {knots, n, n - 1, (double)(n - 1) / (knots[n - 1] - knots[0]), 0};
    if (n > 1 && knots[n - 1] != knots[n - 2]) table.last--;    /* else the last knot is an interval by itself */
    return table;
}

static int ad_is_within(const AdTable *table, int64_t at, double x) {
    return (at == 0 || x >= table->knots[at]) && (at == table->last || x < table->knots[at + 1]);
}

/* The last interval that starts at or before x: the first for what lies before all, the last for NaN. */
static int64_t ad_locate(AdTable *table, double x) {
    int64_t low = table->at, high;
    double guess;
    if (ad_is_within(table, low, x)) return low;
    guess = (x - table->knots[0]) * table->scale;       /* equal intervals are the most common */
    low = guess > 0.0 ? guess < (double)table->last ? (int64_t)guess : table->last : 0;
    if (!ad_is_within(table, low, x)) {
        for (low = 0, high = table->last + 1; high - low > 1;) {
            int64_t middle = low + (high - low) / 2;
            if (x < table->knots[middle]) high = middle;
            else low = middle;
        }
    }
    return table->at = low;
}

static int64_t ad_right(const AdTable *table, int64_t at) {
    return at + (at < table->n - 1);
}

/* (x, knots, tables...): of each table what stands at the ends of the interval of each x: all left ends, then all right ones. */
static int ad_lookup_ends(const double *const *x, const int64_t *lengths, double *y, int64_t ny, void *data) {
    int64_t m = lengths[0], tables = (intptr_t)data, i, k;
    AdTable table = ad_table(x[1], lengths[1]);
    (void)ny;
    for (i = 0; i < m; i++) {
        int64_t at = ad_locate(&table, x[0][i]);
        for (k = 0; k < tables; k++) {
            y[2 * k * m + i] = x[2 + k][at];
            y[(2 * k + 1) * m + i] = x[2 + k][ad_right(&table, at)];
        }
    }
    return 0;
}

/* (x, knots, ends): a table with what belongs to the ends of intervals added up; the adjoint of the one above. */
static int ad_lookup_spread(const double *const *x, const int64_t *lengths, double *y, int64_t ny, void *data) {
    int64_t m = lengths[0], i;
    AdTable table = ad_table(x[1], lengths[1]);
    (void)data;
    memset(y, 0, ny * sizeof *y);
    for (i = 0; i < m; i++) {
        int64_t at = ad_locate(&table, x[0][i]);
        y[at] += x[2][i];
        y[ad_right(&table, at)] += x[2][m + i];
    }
    return 0;
}

#endif
