"""The kernels: one source, built once for {checked, unchecked} x {may-alias, restrict} x ISA level.

Pointers only, no Python object. Elementwise loops come from the op table
(``elementwise.pxi``); here are the loops over structure. Sums add in a fixed order, eight lanes and then
a tree, so every build gives the same bits.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy, memset

cdef extern from *:
    """
    #include "ad_math.h"
    #ifndef AD_RESTRICT
    #define AD_RESTRICT
    #endif
    typedef double *AD_RESTRICT ad_rp;
    typedef const double *AD_RESTRICT ad_const_rp;
    #ifndef AD_CHECKED
    #define AD_CHECKED 1
    #endif
    #ifndef AD_NOALIAS
    #define AD_NOALIAS 0
    #endif
    #ifndef AD_ISA
    #define AD_ISA 0
    #endif
    """
    ctypedef double *rp "ad_rp"
    ctypedef const double *const_rp "ad_const_rp"
    const int AD_CHECKED, AD_NOALIAS, AD_ISA
    int ad_moderate(const double *, Py_ssize_t) noexcept nogil
    double ad_maximum(double, double) noexcept nogil
    double ad_minimum(double, double) noexcept nogil

cdef extern from "ad_kernels.h":
    ctypedef void (*ad_elementwise_fn)(double *, const double *, const double *, const double *, Py_ssize_t) noexcept nogil
    ctypedef void (*ad_run_fn)(double *, Py_ssize_t, const int32_t *, const int32_t *, const int32_t *, Py_ssize_t) noexcept nogil
    ctypedef void (*ad_load_fn)(double *, const char *, int, const Py_ssize_t *, const Py_ssize_t *) noexcept nogil
    ctypedef void (*ad_store_fn)(char *, const double *, int, const Py_ssize_t *, const Py_ssize_t *) noexcept nogil
    ctypedef struct ad_kernel_table:
        int checked, noalias, isa
        ad_elementwise_fn *elementwise
        ad_run_fn *run
        ad_elementwise_fn round_f32
        ad_load_fn *load
        ad_store_fn store[4][5]
        int (*gather)(double *, const double *, const int64_t *, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil
        int (*scatter_add)(double *, const double *, const int64_t *, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil
        int (*put)(double *, const double *, const int64_t *, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil
        void (*cumsum)(double *, const double *, Py_ssize_t, Py_ssize_t, Py_ssize_t, int) noexcept nogil
        void (*run_load)(double *, Py_ssize_t, const double *, const int64_t *, Py_ssize_t) noexcept nogil
        void (*run_store)(double *, const int64_t *, const double *, const int32_t *, Py_ssize_t) noexcept nogil
        void (*run_store_add)(double *, const int64_t *, const double *, const int32_t *, Py_ssize_t) noexcept nogil

ctypedef fused memory_t:
    double
    float
    uint8_t
    int64_t

cdef enum:
    SET = 0
    ADD = 1
    MAX = 2
    MIN = 3
    MUL = 4


cdef inline void tail_in(double *b, const double *x, Py_ssize_t n) noexcept nogil:
    """A vector's worth of the tail: what is missing repeats the last element, so that no lane of
    the padding does slow or exceptional arithmetic of its own."""
    cdef Py_ssize_t k
    for k in range(8):
        b[k] = x[k if k < n else n - 1]


include "elementwise.pxi"


cdef void round_f32(rp y, const_rp x1, const_rp x2, const_rp x3, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[i] = <double><float>x1[i]


# -- loads: strided memory to a dense register -----------------------------------------------

cdef inline void load_row(rp y, const memory_t *x, Py_ssize_t n, Py_ssize_t stride) noexcept nogil:
    """n elements, stride in elements."""
    cdef Py_ssize_t i
    cdef double value
    if stride == 1:
        for i in range(n):
            y[i] = <double>x[i]
    elif stride == 0:
        value = <double>x[0]
        for i in range(n):
            y[i] = value
    elif stride == 2:
        for i in range(n):
            y[i] = <double>x[2 * i]
    else:
        for i in range(n):
            y[i] = <double>x[i * stride]


cdef void load_block(double *y, const char *base, int ndim, const Py_ssize_t *dims,
                     const Py_ssize_t *strides, const memory_t *tag) noexcept nogil:
    cdef Py_ssize_t i, j, n = dims[ndim - 1], step = strides[ndim - 1] // <Py_ssize_t>sizeof(memory_t)
    cdef Py_ssize_t inner
    cdef const memory_t *x
    if ndim == 1:
        load_row(y, <const memory_t *>base, n, step)
    elif ndim == 2:
        if n <= 4:
            for i in range(dims[0]):            # a call for each short row would cost more than the row
                x = <const memory_t *>(base + i * strides[0])
                for j in range(n):
                    y[i * n + j] = <double>x[j * step]
        else:
            for i in range(dims[0]):
                load_row(y + i * n, <const memory_t *>(base + i * strides[0]), n, step)
    else:
        inner = 1
        for j in range(1, ndim):
            inner *= dims[j]
        for i in range(dims[0]):
            load_block(y + i * inner, base + i * strides[0], ndim - 1, dims + 1, strides + 1, tag)


cdef void load_f64(double *y, const char *base, int ndim, const Py_ssize_t *dims, const Py_ssize_t *strides) noexcept nogil:
    load_block(y, base, ndim, dims, strides, <const double *>NULL)


cdef void load_f32(double *y, const char *base, int ndim, const Py_ssize_t *dims, const Py_ssize_t *strides) noexcept nogil:
    load_block(y, base, ndim, dims, strides, <const float *>NULL)


cdef void load_bool(double *y, const char *base, int ndim, const Py_ssize_t *dims, const Py_ssize_t *strides) noexcept nogil:
    load_block(y, base, ndim, dims, strides, <const uint8_t *>NULL)


cdef void load_i64(double *y, const char *base, int ndim, const Py_ssize_t *dims, const Py_ssize_t *strides) noexcept nogil:
    load_block(y, base, ndim, dims, strides, <const int64_t *>NULL)


# -- stores: a dense register into strided memory ---------------------------------------------

cdef inline double sum_row(const_rp x, Py_ssize_t n) noexcept nogil:
    """The sum in eight lanes, then a tree: the same order in every build."""
    cdef double[8] lane
    cdef Py_ssize_t i, j
    for j in range(8):
        lane[j] = 0.0
    for i in range(0, n & ~<Py_ssize_t>7, 8):
        for j in range(8):
            lane[j] += x[i + j]
    for i in range(n & ~<Py_ssize_t>7, n):
        lane[i & 7] += x[i]
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]))


cdef inline void set_row(memory_t *y, const_rp x, Py_ssize_t n, Py_ssize_t stride) noexcept nogil:
    cdef Py_ssize_t i
    if memory_t is uint8_t:
        for i in range(n):
            y[i * stride] = x[i] != 0.0
    elif stride == 1:
        for i in range(n):
            y[i] = <memory_t>x[i]
    else:
        for i in range(n):
            y[i * stride] = <memory_t>x[i]


cdef inline void add_row(memory_t *y, const_rp x, Py_ssize_t n, Py_ssize_t stride) noexcept nogil:
    cdef Py_ssize_t i
    if stride == 1:
        for i in range(n):
            y[i] += <memory_t>x[i]
    elif stride == 0:
        y[0] += <memory_t>sum_row(x, n)
    else:
        for i in range(n):
            y[i * stride] += <memory_t>x[i]


cdef inline void fold_row(memory_t *y, const_rp x, Py_ssize_t n, Py_ssize_t stride, int mode) noexcept nogil:
    cdef Py_ssize_t i
    cdef double value
    if mode == MAX:
        if stride == 0:
            value = <double>y[0]
            for i in range(n):
                value = ad_maximum(x[i], value)
            y[0] = <memory_t>value
        else:
            for i in range(n):
                y[i * stride] = <memory_t>ad_maximum(x[i], <double>y[i * stride])
    elif mode == MIN:
        if stride == 0:
            value = <double>y[0]
            for i in range(n):
                value = ad_minimum(x[i], value)
            y[0] = <memory_t>value
        else:
            for i in range(n):
                y[i * stride] = <memory_t>ad_minimum(x[i], <double>y[i * stride])
    else:
        for i in range(n):
            y[i * stride] = <memory_t>(<double>y[i * stride] * x[i])


cdef void store_block(char *base, const double *x, int ndim, const Py_ssize_t *dims, const Py_ssize_t *strides,
                      int mode, memory_t *tag) noexcept nogil:
    cdef Py_ssize_t i, j, inner, n = dims[ndim - 1], step = strides[ndim - 1] // <Py_ssize_t>sizeof(memory_t)
    cdef memory_t *y
    if ndim == 1:
        if mode == SET:
            set_row(<memory_t *>base, x, n, step)
        elif mode == ADD:
            add_row(<memory_t *>base, x, n, step)
        else:
            fold_row(<memory_t *>base, x, n, step, mode)
        return
    if ndim == 2 and n <= 4 and mode <= ADD:
        for i in range(dims[0]):
            y = <memory_t *>(base + i * strides[0])
            for j in range(n):
                if memory_t is uint8_t:
                    y[j * step] = x[i * n + j] != 0.0
                elif mode == SET:
                    y[j * step] = <memory_t>x[i * n + j]
                else:
                    y[j * step] += <memory_t>x[i * n + j]
        return
    inner = 1
    for j in range(1, ndim):
        inner *= dims[j]
    for i in range(dims[0]):
        store_block(base + i * strides[0], x + i * inner, ndim - 1, dims + 1, strides + 1, mode, tag)


cdef void set_f64(char *b, const double *x, int ndim, const Py_ssize_t *d, const Py_ssize_t *s) noexcept nogil:
    store_block(b, x, ndim, d, s, SET, <double *>NULL)


cdef void add_f64(char *b, const double *x, int ndim, const Py_ssize_t *d, const Py_ssize_t *s) noexcept nogil:
    store_block(b, x, ndim, d, s, ADD, <double *>NULL)


cdef void max_f64(char *b, const double *x, int ndim, const Py_ssize_t *d, const Py_ssize_t *s) noexcept nogil:
    store_block(b, x, ndim, d, s, MAX, <double *>NULL)


cdef void min_f64(char *b, const double *x, int ndim, const Py_ssize_t *d, const Py_ssize_t *s) noexcept nogil:
    store_block(b, x, ndim, d, s, MIN, <double *>NULL)


cdef void mul_f64(char *b, const double *x, int ndim, const Py_ssize_t *d, const Py_ssize_t *s) noexcept nogil:
    store_block(b, x, ndim, d, s, MUL, <double *>NULL)


cdef void set_f32(char *b, const double *x, int ndim, const Py_ssize_t *d, const Py_ssize_t *s) noexcept nogil:
    store_block(b, x, ndim, d, s, SET, <float *>NULL)


cdef void add_f32(char *b, const double *x, int ndim, const Py_ssize_t *d, const Py_ssize_t *s) noexcept nogil:
    store_block(b, x, ndim, d, s, ADD, <float *>NULL)


cdef void max_f32(char *b, const double *x, int ndim, const Py_ssize_t *d, const Py_ssize_t *s) noexcept nogil:
    store_block(b, x, ndim, d, s, MAX, <float *>NULL)


cdef void min_f32(char *b, const double *x, int ndim, const Py_ssize_t *d, const Py_ssize_t *s) noexcept nogil:
    store_block(b, x, ndim, d, s, MIN, <float *>NULL)


cdef void mul_f32(char *b, const double *x, int ndim, const Py_ssize_t *d, const Py_ssize_t *s) noexcept nogil:
    store_block(b, x, ndim, d, s, MUL, <float *>NULL)


cdef void set_bool(char *b, const double *x, int ndim, const Py_ssize_t *d, const Py_ssize_t *s) noexcept nogil:
    store_block(b, x, ndim, d, s, SET, <uint8_t *>NULL)


cdef void set_i64(char *b, const double *x, int ndim, const Py_ssize_t *d, const Py_ssize_t *s) noexcept nogil:
    store_block(b, x, ndim, d, s, SET, <int64_t *>NULL)


# -- indices that are data ------------------------------------------------------------------------

cdef inline bint bad_index(int64_t index, Py_ssize_t inner, Py_ssize_t size) noexcept nogil:
    return AD_CHECKED and (index < 0 or index + inner > size)


cdef int gather(rp y, const_rp base, const int64_t *index, Py_ssize_t m, Py_ssize_t inner,
                Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t k, j
    cdef int64_t at
    cdef int bad = 0
    if inner == 1:
        for k in range(m):
            at = index[k]
            if bad_index(at, 1, size):
                bad = 1
                at = 0
            y[k] = base[at]
        return bad
    for k in range(m):
        if bad_index(index[k], inner, size):
            bad = 1
            continue
        for j in range(inner):
            y[k * inner + j] = base[index[k] + j]
    return bad


cdef int scatter_add(rp base, const_rp x, const int64_t *index, Py_ssize_t m, Py_ssize_t inner,
                     Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t k, j
    cdef int bad = 0
    for k in range(m):
        if bad_index(index[k], inner, size):
            bad = 1
            continue
        for j in range(inner):
            base[index[k] + j] += x[k * inner + j]
    return bad


cdef int put(rp base, const_rp x, const int64_t *index, Py_ssize_t m, Py_ssize_t inner,
             Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t k, j
    cdef int bad = 0
    for k in range(m):
        if bad_index(index[k], inner, size):
            bad = 1
            continue
        for j in range(inner):
            base[index[k] + j] = x[k * inner + j]
    return bad


cdef void cumsum(rp y, const_rp x, Py_ssize_t outer, Py_ssize_t n, Py_ssize_t inner, int reverse) noexcept nogil:
    cdef Py_ssize_t o, j, i, at, before
    cdef double total
    for o in range(outer):
        if inner == 1:
            total = 0.0
            for j in range(n):
                at = o * n + (n - 1 - j if reverse else j)
                total += x[at]
                y[at] = total
            continue
        for j in range(n):
            at = (o * n + (n - 1 - j if reverse else j)) * inner
            before = at + inner if reverse else at - inner
            if j == 0:
                for i in range(inner):
                    y[at + i] = x[at + i]
            else:
                for i in range(inner):
                    y[at + i] = y[before + i] + x[at + i]


# -- scalars read from and written to arrays ---------------------------------------------------------

cdef void run_load(rp s, Py_ssize_t y, const_rp base, const int64_t *index, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(n):
        s[y + k] = base[index[k]]


cdef void run_store(rp base, const int64_t *index, const_rp s, const int32_t *x, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(n):
        base[index[k]] = s[x[k]]


cdef void run_store_add(rp base, const int64_t *index, const_rp s, const int32_t *x, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(n):
        base[index[k]] += s[x[k]]


cdef ad_kernel_table the_table


cdef object fill_table():
    memset(&the_table, 0, sizeof(the_table))
    the_table.checked = AD_CHECKED
    the_table.noalias = AD_NOALIAS
    the_table.isa = AD_ISA
    fill_elementwise(&the_table)
    the_table.round_f32 = <ad_elementwise_fn>round_f32
    the_table.load[0] = load_f64
    the_table.load[1] = load_f32
    the_table.load[2] = load_bool
    the_table.load[3] = load_i64
    the_table.store[0][SET] = set_f64
    the_table.store[0][ADD] = add_f64
    the_table.store[0][MAX] = max_f64
    the_table.store[0][MIN] = min_f64
    the_table.store[0][MUL] = mul_f64
    the_table.store[1][SET] = set_f32
    the_table.store[1][ADD] = add_f32
    the_table.store[1][MAX] = max_f32
    the_table.store[1][MIN] = min_f32
    the_table.store[1][MUL] = mul_f32
    the_table.store[2][SET] = set_bool
    the_table.store[3][SET] = set_i64
    the_table.gather = <int (*)(double *, const double *, const int64_t *, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil>gather
    the_table.scatter_add = <int (*)(double *, const double *, const int64_t *, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil>scatter_add
    the_table.put = <int (*)(double *, const double *, const int64_t *, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil>put
    the_table.cumsum = <void (*)(double *, const double *, Py_ssize_t, Py_ssize_t, Py_ssize_t, int) noexcept nogil>cumsum
    the_table.run_load = <void (*)(double *, Py_ssize_t, const double *, const int64_t *, Py_ssize_t) noexcept nogil>run_load
    the_table.run_store = <void (*)(double *, const int64_t *, const double *, const int32_t *, Py_ssize_t) noexcept nogil>run_store
    the_table.run_store_add = <void (*)(double *, const int64_t *, const double *, const int32_t *, Py_ssize_t) noexcept nogil>run_store_add
    return PyCapsule_New(&the_table, "adcore.kernels", NULL)


table = fill_table()
