/* The contract between the executor and the kernels.
 *
 * Every build of the kernels ({checked, unchecked} x {may-alias, restrict} x ISA level)
 * fills one ad_kernel_table and hands it out in a capsule named "adcore.kernels".
 * Kernels get pointers and lengths only: no Python object, no allocation, no error text.
 * A kernel that can meet a bad index returns non-zero after the loop (a flag, not an exit).
 *
 * Registers are blocks of float64 whatever the dtype in memory: load converts, store
 * converts back. BOOL is 0.0 / 1.0 in a register.
 */
#ifndef AD_KERNELS_H
#define AD_KERNELS_H

#include <stddef.h>
#include <stdint.h>
#include "ad_opcodes.h" /* generated from the op table: AD_OP_<NAME>, AD_N_ELEMENTWISE */

#ifndef AD_RESTRICT
#define AD_RESTRICT
#endif

enum { AD_F64 = 0, AD_F32 = 1, AD_BOOL = 2, AD_I64 = 3, AD_N_DTYPES = 4 };

/* How a store combines the register with memory. */
enum { AD_SET = 0, AD_ADD = 1, AD_MAX = 2, AD_MIN = 3, AD_MUL = 4, AD_N_MODES = 5 };

/* y[i] = op(x1[i], x2[i], x3[i]); unused arguments are not read. n may be anything >= 0. */
typedef void (*ad_elementwise_fn)(double *y, const double *x1, const double *x2,
                                  const double *x3, ptrdiff_t n);

/* y[i] = op(x[i]), z[i] = other(x[i]): two ops that share most of their work. */
typedef void (*ad_pair_fn)(double *y, double *z, const double *x, ptrdiff_t n);

/* y[i] = a phrase of x1[i] ... x4[i] (optable/phrases); unused arguments are not read. Bit k of `splats`: the k-th
 * argument is eight times one number, which stands for the whole vector. */
typedef void (*ad_phrase_fn)(double *y, const double *x1, const double *x2, const double *x3, const double *x4, ptrdiff_t n, int splats);

/* s[y + k] = op(s[x1[k]], s[x2[k]], s[x3[k]]), k < n: one run of a scalar program. */
typedef void (*ad_run_fn)(double *s, ptrdiff_t y, const int32_t *x1, const int32_t *x2,
                          const int32_t *x3, ptrdiff_t n);

/* Pack the strided block at base (dims[ndim], strides[ndim] in bytes, any sign, 0 allowed)
 * into y, densely, in C order, converted to float64. ndim >= 1. */
typedef void (*ad_load_fn)(double *y, const char *base, int ndim, const ptrdiff_t *dims,
                           const ptrdiff_t *strides);

/* Combine dense x (C order) into the strided block at base. A zero stride folds that
 * dimension into one element: with AD_ADD this is a sum, with AD_MAX a maximum, ... */
typedef void (*ad_store_fn)(char *base, const double *x, int ndim, const ptrdiff_t *dims,
                            const ptrdiff_t *strides);

/* The same for `fields` = 2, 3 or 4 dense float64 vectors at once, whose elements lie side by side in memory: records, such
 * as complex numbers, points or pixels, with no gap between those of a row. The strides are those of records. */
typedef void (*ad_load_records_fn)(double *const *y, const char *base, int fields, int ndim,
                                   const ptrdiff_t *dims, const ptrdiff_t *strides);
typedef void (*ad_store_records_fn)(char *base, double *const *x, int fields, int ndim,
                                    const ptrdiff_t *dims, const ptrdiff_t *strides);

/* Rows of `inner` float64 each. index[m] is an element offset into base, valid when
 * 0 <= index[m] and index[m] + inner <= size; invalid ones are skipped and reported. */
typedef int (*ad_gather_fn)(double *y, const double *base, const int64_t *index,
                            ptrdiff_t m, ptrdiff_t inner, ptrdiff_t size);
typedef int (*ad_scatter_fn)(double *base, const double *x, const int64_t *index,
                             ptrdiff_t m, ptrdiff_t inner, ptrdiff_t size);

/* y[o, j, i] = sum_{k <= j} x[o, k, i] (or k >= j when reverse), shape [outer, n, inner]. */
typedef void (*ad_cumsum_fn)(double *y, const double *x, ptrdiff_t outer, ptrdiff_t n,
                             ptrdiff_t inner, int reverse);

/* s[y + k] = base[index[k]] ; base[index[k]] (=, +=) s[x[k]]: scalars read from and
 * written to arrays. Indices were validated when the plan was made. */
typedef void (*ad_run_load_fn)(double *s, ptrdiff_t y, const double *base,
                               const int64_t *index, ptrdiff_t n);
typedef void (*ad_run_store_fn)(double *base, const int64_t *index, const double *s,
                                const int32_t *x, ptrdiff_t n);

typedef struct {
    int checked, noalias, isa; /* isa: 0 baseline, 1 v3, 2 v4 */
    ad_elementwise_fn elementwise[AD_N_ELEMENTWISE];
    ad_run_fn run[AD_N_ELEMENTWISE];
    ad_pair_fn pair[AD_N_PAIRS];
    ad_phrase_fn phrase[AD_N_PHRASES];
    /* y[m, n] (+)= x1[m, k] x2[k, n], n <= AD_THIN, k <= AD_DEEP; strides in elements, y dense (ad_matmul.h) */
    void (*thin_product)(double *y, const double *x1, const double *x2, ptrdiff_t m, ptrdiff_t k, ptrdiff_t n,
                         const ptrdiff_t *strides1, const ptrdiff_t *strides2, int adds);
    ad_elementwise_fn round_f32; /* y = (double)(float)x1 */
    ad_load_fn load[AD_N_DTYPES];
    ad_store_fn store[AD_N_DTYPES][AD_N_MODES]; /* NULL where it makes no sense */
    ad_load_records_fn load_records;
    ad_store_records_fn store_records[2]; /* AD_SET, AD_ADD */
    ad_gather_fn gather;
    ad_scatter_fn scatter_add, put;
    ad_cumsum_fn cumsum;
    ad_run_load_fn run_load;
    ad_run_store_fn run_store, run_store_add;
} ad_kernel_table;

#endif
