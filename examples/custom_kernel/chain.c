/* Steps of the logistic map, x <- data[0] * x (1 - x), `data[1]` of them: a kernel in C, with all three rules.
 *
 * The module exists to be loaded as a library: ctypes finds its functions by name. */
#include <Python.h>
#include "adcore_primitive.h"

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

EXPORT int chain_value(const double *const *x, const int64_t *n, double *y, int64_t ny, void *data)
{
    const double *AD_RESTRICT start = x[0];
    double *AD_RESTRICT out = y;
    const double rate = ((const double *)data)[0];
    const int steps = (int)((const double *)data)[1];
    if (n[0] != ny)
        return 1;
    for (int64_t i = 0; i < ny; i++) {
        double s = start[i];
        for (int k = 0; k < steps; k++)
            s = rate * s * (1.0 - s);
        out[i] = s;
    }
    return 0;
}

static double slope(double s, double rate, int steps)
{
    double product = 1.0;
    for (int k = 0; k < steps; k++) {
        product *= rate * (1.0 - 2.0 * s);
        s = rate * s * (1.0 - s);
    }
    return product;
}

EXPORT int chain_reverse(const double *const *x, const int64_t *n, const double *y, const double *gy, int64_t ny,
                         double *const *gx, void *data)
{
    (void)n, (void)y;
    for (int64_t i = 0; i < ny; i++)
        gx[0][i] = gy[i] * slope(x[0][i], ((const double *)data)[0], (int)((const double *)data)[1]);
    return 0;
}

EXPORT int chain_forward(const double *const *x, const double *const *tx, const int64_t *n, const double *y, double *ty,
                         int64_t ny, void *data)
{
    (void)n, (void)y;
    for (int64_t i = 0; i < ny; i++)
        ty[i] = tx[0][i] * slope(x[0][i], ((const double *)data)[0], (int)((const double *)data)[1]);
    return 0;
}

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "chain", NULL, -1, NULL, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_chain(void)
{
    return PyModule_Create(&module);
}
