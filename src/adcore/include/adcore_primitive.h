/* Kernels of your own: the functions whose addresses adcore.compiled_primitive takes.
 *
 * What adcore guarantees to a kernel:
 *  - every array is float64, C-contiguous and aligned to 8 bytes; n[k] is the number of elements of x[k], ny that of y;
 *    shapes are those that `shape=` and the arguments say, checked before the call;
 *  - y, ty and the arrays gx[k] overlap with each other and with no argument: take them into `AD_RESTRICT` pointers.
 *    Arguments that are only read (x[j], x[k], gy, tx[k]) may be the same memory, where a value is passed twice;
 *  - gx[k] is NULL where no adjoint is wanted and holds zeros otherwise: add to it or assign. tx[k] is NULL where a tangent
 *    is zero.
 * What a kernel guarantees to adcore:
 *  - it writes every element of y (ty) and nothing else, reads nothing outside of the given lengths, keeps no pointer, and
 *    gives the same result for the same arguments;
 *  - it may run in several threads at once, without the GIL: it touches no Python object, no global state that changes, and
 *    neither throws nor jumps out of itself;
 *  - it returns 0. Any other number ends the sweep: adcore raises KernelError with it.
 * `data` is what was given as `data=`, the same in every call and thread, NULL if nothing was.
 */
#ifndef ADCORE_PRIMITIVE_H
#define ADCORE_PRIMITIVE_H

#include <stdint.h>

#ifndef AD_RESTRICT
#if defined(__cplusplus) || defined(_MSC_VER)
#define AD_RESTRICT __restrict
#else
#define AD_RESTRICT restrict
#endif
#endif

#define ADCORE_MAX_ARGUMENTS 32

#ifdef __cplusplus
extern "C" {
#endif

/* y = f(x[0], x[1], ...) */
typedef int (*adcore_value)(const double *const *x, const int64_t *n, double *y, int64_t ny, void *data);

/* gx[k][i] += sum_j gy[j] * dy[j] / dx[k][i] */
typedef int (*adcore_reverse)(const double *const *x, const int64_t *n, const double *y, const double *gy, int64_t ny,
                              double *const *gx, void *data);

/* ty[j] = sum_k sum_i dy[j] / dx[k][i] * tx[k][i] */
typedef int (*adcore_forward)(const double *const *x, const double *const *tx, const int64_t *n, const double *y, double *ty,
                              int64_t ny, void *data);

#ifdef __cplusplus
}
#endif
#endif
