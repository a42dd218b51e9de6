from cpython.ref cimport PyObject
from libc.stdint cimport int32_t, int64_t
from adcore.plan.plan cimport Plan

cdef extern from "ad_matmul.h":
    enum:
        AD_THIN, AD_DEEP

cdef extern from "ad_kernels.h":
    enum:
        AD_SET, AD_ADD, AD_MAX, AD_MIN, AD_MUL
    ctypedef void (*ad_elementwise_fn)(double *, const double *, const double *, const double *, Py_ssize_t) noexcept nogil
    ctypedef void (*ad_pair_fn)(double *, double *, const double *, Py_ssize_t) noexcept nogil
    ctypedef void (*ad_phrase_fn)(double *, const double *, const double *, const double *, const double *, Py_ssize_t, int) noexcept nogil
    ctypedef void (*ad_run_fn)(double *, Py_ssize_t, const int32_t *, const int32_t *, const int32_t *, Py_ssize_t) noexcept nogil
    ctypedef void (*ad_load_fn)(double *, const char *, int, const Py_ssize_t *, const Py_ssize_t *) noexcept nogil
    ctypedef void (*ad_store_fn)(char *, const double *, int, const Py_ssize_t *, const Py_ssize_t *) noexcept nogil
    ctypedef int (*ad_gather_fn)(double *, const double *, const int64_t *, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil
    ctypedef int (*ad_scatter_fn)(double *, const double *, const int64_t *, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil
    ctypedef void (*ad_cumsum_fn)(double *, const double *, Py_ssize_t, Py_ssize_t, Py_ssize_t, int) noexcept nogil
    ctypedef void (*ad_run_load_fn)(double *, Py_ssize_t, const double *, const int64_t *, Py_ssize_t) noexcept nogil
    ctypedef void (*ad_run_store_fn)(double *, const int64_t *, const double *, const int32_t *, Py_ssize_t) noexcept nogil
    ctypedef struct ad_kernel_table:
        ad_elementwise_fn *elementwise
        ad_run_fn *run
        ad_pair_fn *pair
        ad_phrase_fn *phrase
        void (*thin_product)(double *, const double *, const double *, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                             const Py_ssize_t *, const Py_ssize_t *, int) noexcept nogil
        ad_elementwise_fn round_f32
        ad_load_fn *load
        ad_store_fn (*store)[5]
        void (*load_records)(double *const *, const char *, int, int, const Py_ssize_t *, const Py_ssize_t *) noexcept nogil
        void (*store_records[2])(char *, double *const *, int, int, const Py_ssize_t *, const Py_ssize_t *) noexcept nogil
        ad_gather_fn gather
        ad_scatter_fn scatter_add, put
        ad_cumsum_fn cumsum
        ad_run_load_fn run_load
        ad_run_store_fn run_store, run_store_add

cdef int execute(Plan plan, const ad_kernel_table *kernels, char **bases, char *scratch, char *privates,
                 int threads, double *seconds, Py_ssize_t *failed, PyObject *failures) noexcept nogil
cdef Py_ssize_t scratch_needed(Plan plan) noexcept nogil
cdef bint multiplies(Plan plan) noexcept nogil
