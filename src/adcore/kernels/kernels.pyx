"""The kernels: one source, built once for {checked, unchecked} x {may-alias, restrict} x ISA level.

Pointers only, no Python object. Elementwise loops come from the op table
(``elementwise.pxi``); here are the loops over structure. Sums add in a fixed order, eight lanes and then
a tree, so every build gives the same bits.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy, memset  # no-cython-lint: the generated part uses memcpy

cdef extern from *:
    """
    #include "ad_math.h"
    #include "ad_extremes.h"
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
    int ad_power_block(double *, const double *, const double *, Py_ssize_t) noexcept nogil
    double ad_maximum(double, double) noexcept nogil
    double ad_minimum(double, double) noexcept nogil
    double ad_greatest(const double *, Py_ssize_t) noexcept nogil
    double ad_least(const double *, Py_ssize_t) noexcept nogil

cdef extern from "ad_kernels.h":
    ctypedef void (*ad_elementwise_fn)(double *, const double *, const double *, const double *, Py_ssize_t) noexcept nogil
    ctypedef void (*ad_pair_fn)(double *, double *, const double *, Py_ssize_t) noexcept nogil
    ctypedef void (*ad_phrase_fn)(double *, const double *, const double *, const double *, const double *, Py_ssize_t, int) noexcept nogil
    ctypedef void (*ad_run_fn)(double *, Py_ssize_t, const int32_t *, const int32_t *, const int32_t *, Py_ssize_t) noexcept nogil
    ctypedef void (*ad_load_fn)(double *, const char *, int, const Py_ssize_t *, const Py_ssize_t *) noexcept nogil
    ctypedef void (*ad_store_fn)(char *, const double *, int, const Py_ssize_t *, const Py_ssize_t *) noexcept nogil
    ctypedef struct ad_kernel_table:
        int checked, noalias, isa
        ad_elementwise_fn *elementwise
        ad_run_fn *run
        ad_pair_fn *pair
        ad_phrase_fn *phrase
        void (*thin_product)(double *, const double *, const double *, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                             const Py_ssize_t *, const Py_ssize_t *, int) noexcept nogil
        ad_elementwise_fn round_f32
        ad_load_fn *load
        ad_store_fn store[4][5]
        void (*load_records)(double *const *, const char *, int, int, const Py_ssize_t *, const Py_ssize_t *) noexcept nogil
        void (*store_records[2])(char *, double *const *, int, int, const Py_ssize_t *, const Py_ssize_t *) noexcept nogil
        int (*gather)(double *, const double *, const int64_t *, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil
        int (*scatter_add)(double *, const double *, const int64_t *, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil
        int (*put)(double *, const double *, const int64_t *, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil
        void (*cumsum)(double *, const double *, Py_ssize_t, Py_ssize_t, Py_ssize_t, int) noexcept nogil
        void (*run_load)(double *, Py_ssize_t, const double *, const int64_t *, Py_ssize_t) noexcept nogil
        void (*run_store)(double *, const int64_t *, const double *, const int32_t *, Py_ssize_t) noexcept nogil
        void (*run_store_add)(double *, const int64_t *, const double *, const int32_t *, Py_ssize_t) noexcept nogil

cdef extern from "ad_matmul.h":
    void ad_thin_product(double *, const double *, const double *, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                         const Py_ssize_t *, const Py_ssize_t *, int) noexcept nogil

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


# -- strided blocks ------------------------------------------------------------------------------

cdef enum:
    MAX_DIMS = 32
    FEW = 8                         # columns of a row that is too short for a loop of its own

cdef struct Block:
    # a strided block without dimensions of size 1, neighbours merged; outer dimensions first,
    # then `rows` rows of `n` elements. Strides in elements.
    int outer
    Py_ssize_t count                # blocks of rows: the product of the outer dimensions
    Py_ssize_t rows, row_step
    Py_ssize_t n, step
    Py_ssize_t[MAX_DIMS] dims
    Py_ssize_t[MAX_DIMS] strides


cdef inline void make_block(Block *block, int ndim, const Py_ssize_t *dims, const Py_ssize_t *strides,
                            Py_ssize_t itemsize) noexcept nogil:
    cdef int k, m = 0
    cdef Py_ssize_t stride
    block.count = 1
    for k in range(ndim):
        if dims[k] == 0:
            block.count = 0
        if dims[k] == 1:
            continue
        stride = strides[k] // itemsize
        if m > 0 and block.strides[m - 1] == stride * dims[k]:
            block.dims[m - 1] *= dims[k]
            block.strides[m - 1] = stride
        else:
            block.dims[m] = dims[k]
            block.strides[m] = stride
            m += 1
    block.n = block.dims[m - 1] if m > 0 else 1
    block.step = block.strides[m - 1] if m > 0 else 0
    block.rows = block.dims[m - 2] if m > 1 else 1
    block.row_step = block.strides[m - 2] if m > 1 else 0
    block.outer = m - 2 if m > 2 else 0
    for k in range(block.outer):
        block.count *= block.dims[k]


cdef inline Py_ssize_t next_outer(const Block *block, Py_ssize_t *index) noexcept nogil:
    """How far the base moves to the next block of rows, in elements."""
    cdef int k = block.outer - 1
    cdef Py_ssize_t move = 0
    while k >= 0:
        index[k] += 1
        move += block.strides[k]
        if index[k] < block.dims[k]:
            return move
        index[k] = 0
        move -= block.dims[k] * block.strides[k]
        k -= 1
    return move


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
    elif stride == -1:
        for i in range(n):
            y[i] = <double>x[-i]
    else:
        for i in range(n):
            y[i] = <double>x[i * stride]


cdef inline void load_narrow(rp y, const memory_t *x, Py_ssize_t rows, Py_ssize_t row_step,
                             Py_ssize_t n, Py_ssize_t step) noexcept nogil:
    """Short rows; inlined with n a constant."""
    cdef Py_ssize_t i, j
    for i in range(rows):
        for j in range(n):
            y[i * n + j] = <double>x[i * row_step + j * step]


cdef inline void splat_row(rp y, double value, Py_ssize_t n) noexcept nogil:
    """n >= 8 times the value: whole vectors, the last of which overlaps the one before."""
    cdef Py_ssize_t j, k
    for j in range(0, n - 8, 8):
        for k in range(8):
            y[j + k] = value
    for k in range(8):
        y[n - 8 + k] = value


cdef inline void load_splats(rp y, const memory_t *x, Py_ssize_t rows, Py_ssize_t row_step, Py_ssize_t n) noexcept nogil:
    """Rows of one value each."""
    cdef Py_ssize_t i
    if n == 5:
        load_narrow(y, x, rows, row_step, 5, 0)
    elif n == 6:
        load_narrow(y, x, rows, row_step, 6, 0)
    elif n == 7:
        load_narrow(y, x, rows, row_step, 7, 0)
    elif n == 8:
        load_narrow(y, x, rows, row_step, 8, 0)
    else:
        for i in range(rows):
            splat_row(y + i * n, <double>x[i * row_step], n)


cdef inline void load_repeated(double *y, const memory_t *x, Py_ssize_t rows, Py_ssize_t n) noexcept nogil:
    """The same row again and again: what is there doubles."""
    cdef Py_ssize_t i, done = n, more
    for i in range(n):
        y[i] = <double>x[i]
    while done < rows * n:
        more = min(done, rows * n - done)
        memcpy(y + done, y, more * sizeof(double))
        done += more


cdef inline void load_rows(rp y, const memory_t *x, Py_ssize_t rows, Py_ssize_t row_step,
                           Py_ssize_t n, Py_ssize_t step) noexcept nogil:
    cdef Py_ssize_t i, j
    if row_step == 0 and step == 1:
        load_repeated(y, x, rows, n)
    elif n == 2:
        load_narrow(y, x, rows, row_step, 2, step)
    elif n == 3:
        load_narrow(y, x, rows, row_step, 3, step)
    elif n == 4:
        load_narrow(y, x, rows, row_step, 4, step)
    elif step == 0:
        load_splats(y, x, rows, row_step, n)
    elif rows > n and step != 1 and (n <= FEW or row_step == 1):
        for j in range(n):                      # down the columns: long loops, or memory in order
            for i in range(rows):
                y[i * n + j] = <double>x[i * row_step + j * step]
    else:
        for i in range(rows):
            load_row(y + i * n, x + i * row_step, n, step)


cdef inline void load_block(double *y, const char *base, int ndim, const Py_ssize_t *dims,
                            const Py_ssize_t *strides, const memory_t *tag) noexcept nogil:
    cdef Block block
    cdef Py_ssize_t[MAX_DIMS] index
    cdef const memory_t *x = <const memory_t *>base
    cdef Py_ssize_t k
    make_block(&block, ndim, dims, strides, <Py_ssize_t>sizeof(memory_t))
    for k in range(block.outer):
        index[k] = 0
    for k in range(block.count):  # no-cython-lint
        if block.rows == 1:
            load_row(y, x, block.n, block.step)
        else:
            load_rows(y, x, block.rows, block.row_step, block.n, block.step)
        y += block.rows * block.n
        if block.outer:
            x += next_outer(&block, index)


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


cdef inline double folded(double a, double b, int mode) noexcept nogil:
    if mode == MAX:
        return ad_maximum(a, b)
    if mode == MIN:
        return ad_minimum(a, b)
    return a * b


cdef inline double fold_dense(const_rp x, Py_ssize_t n, int mode) noexcept nogil:
    """Maximum, minimum or product of a row, n > 0; inlined with mode a constant."""
    cdef double[8] lane
    cdef Py_ssize_t i, j
    cdef double value = x[0]
    if mode == MAX and n >= 8:
        return ad_greatest(x, n)
    if mode == MIN and n >= 8:
        return ad_least(x, n)
    if n < 16:
        for i in range(1, n):
            value = folded(value, x[i], mode)
        return value
    for j in range(8):
        lane[j] = x[j]
    for i in range(8, n & ~<Py_ssize_t>7, 8):
        for j in range(8):
            lane[j] *= x[i + j]
    for i in range(n & ~<Py_ssize_t>7, n):
        lane[i & 7] *= x[i]
    value = lane[0]
    for j in range(1, 8):
        value *= lane[j]
    return value


cdef inline void set_row(memory_t *y, const_rp x, Py_ssize_t n, Py_ssize_t stride) noexcept nogil:
    cdef Py_ssize_t i
    if memory_t is uint8_t:
        if stride == 1:
            for i in range(n):
                y[i] = x[i] != 0.0
        else:
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
    if stride == 0:
        y[0] = <memory_t>folded(fold_dense(x, n, mode), <double>y[0], mode)
    elif stride == 1:
        for i in range(n):
            y[i] = <memory_t>folded(x[i], <double>y[i], mode)
    else:
        for i in range(n):
            y[i * stride] = <memory_t>folded(x[i], <double>y[i * stride], mode)


cdef inline void store_row(memory_t *y, const_rp x, Py_ssize_t n, Py_ssize_t stride, int mode) noexcept nogil:
    if mode == SET:
        set_row(y, x, n, stride)
    elif mode == ADD:
        add_row(y, x, n, stride)
    else:
        fold_row(y, x, n, stride, mode)


cdef inline void store_narrow(memory_t *y, const_rp x, Py_ssize_t rows, Py_ssize_t row_step,
                              Py_ssize_t n, Py_ssize_t step, int mode) noexcept nogil:
    """Short rows, set or added; inlined with n a constant where it is 2, 3 or 4."""
    cdef Py_ssize_t i, j
    for i in range(rows):
        for j in range(n):
            if memory_t is uint8_t:
                y[i * row_step + j * step] = x[i * n + j] != 0.0
            elif mode == SET:
                y[i * row_step + j * step] = <memory_t>x[i * n + j]
            else:
                y[i * row_step + j * step] += <memory_t>x[i * n + j]


cdef inline void add_columns(memory_t *y, const_rp x, Py_ssize_t rows, Py_ssize_t n, Py_ssize_t step) noexcept nogil:
    """y[j] += the sum of column j, n <= FEW: eight rows at a time as one dense vector of lanes."""
    cdef double[64] lane
    cdef Py_ssize_t i, j, k, width = 8 * n
    for k in range(width):
        lane[k] = 0.0
    for i in range(0, rows & ~<Py_ssize_t>7, 8):
        for k in range(width):
            lane[k] += x[i * n + k]
    i = rows & ~<Py_ssize_t>7
    for k in range((rows - i) * n):
        lane[k] += x[i * n + k]
    for j in range(n):
        y[j * step] += <memory_t>(((lane[j] + lane[j + 4 * n]) + (lane[j + 2 * n] + lane[j + 6 * n]))
                                  + ((lane[j + n] + lane[j + 5 * n]) + (lane[j + 3 * n] + lane[j + 7 * n])))


cdef inline void store_rows(memory_t *y, const_rp x, Py_ssize_t rows, Py_ssize_t row_step,
                            Py_ssize_t n, Py_ssize_t step, int mode) noexcept nogil:
    cdef Py_ssize_t i
    if mode == ADD and row_step == 0 and n <= FEW and rows >= 8:
        if n == 2:
            add_columns(y, x, rows, 2, step)
        elif n == 3:
            add_columns(y, x, rows, 3, step)
        elif n == 4:
            add_columns(y, x, rows, 4, step)
        else:
            add_columns(y, x, rows, n, step)
    elif mode <= ADD and n == 2:
        store_narrow(y, x, rows, row_step, 2, step, mode)
    elif mode <= ADD and n == 3:
        store_narrow(y, x, rows, row_step, 3, step, mode)
    elif mode <= ADD and n == 4:
        store_narrow(y, x, rows, row_step, 4, step, mode)
    else:
        for i in range(rows):
            store_row(y + i * row_step, x + i * n, n, step, mode)


cdef inline void store_block(char *base, const double *x, int ndim, const Py_ssize_t *dims, const Py_ssize_t *strides,
                             int mode, memory_t *tag) noexcept nogil:
    cdef Block block
    cdef Py_ssize_t[MAX_DIMS] index
    cdef memory_t *y = <memory_t *>base
    cdef Py_ssize_t k
    make_block(&block, ndim, dims, strides, <Py_ssize_t>sizeof(memory_t))
    for k in range(block.outer):
        index[k] = 0
    for k in range(block.count):  # no-cython-lint
        if block.rows == 1:
            store_row(y, x, block.n, block.step, mode)
        else:
            store_rows(y, x, block.rows, block.row_step, block.n, block.step, mode)
        x += block.rows * block.n
        if block.outer:
            y += next_outer(&block, index)


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


# -- records: vectors that lie interleaved in memory --------------------------------------------------

cdef inline void split_rows(rp y0, rp y1, rp y2, rp y3, const_rp x, Py_ssize_t rows, Py_ssize_t row_step, Py_ssize_t n,
                            int fields) noexcept nogil:
    """Rows of n records each; inlined with fields a constant, and n where it is small."""
    cdef Py_ssize_t i, j
    for i in range(rows):
        for j in range(n):
            y0[i * n + j] = x[i * row_step + fields * j]
            y1[i * n + j] = x[i * row_step + fields * j + 1]
            if fields > 2:
                y2[i * n + j] = x[i * row_step + fields * j + 2]
            if fields > 3:
                y3[i * n + j] = x[i * row_step + fields * j + 3]


cdef inline void join_rows(rp y, const_rp x0, const_rp x1, const_rp x2, const_rp x3, Py_ssize_t rows, Py_ssize_t row_step,
                           Py_ssize_t n, int fields, int mode) noexcept nogil:
    """The other way, set or added."""
    cdef Py_ssize_t i, j
    for i in range(rows):
        for j in range(n):
            if mode == SET:
                y[i * row_step + fields * j] = x0[i * n + j]
                y[i * row_step + fields * j + 1] = x1[i * n + j]
                if fields > 2:
                    y[i * row_step + fields * j + 2] = x2[i * n + j]
                if fields > 3:
                    y[i * row_step + fields * j + 3] = x3[i * n + j]
            else:
                y[i * row_step + fields * j] += x0[i * n + j]
                y[i * row_step + fields * j + 1] += x1[i * n + j]
                if fields > 2:
                    y[i * row_step + fields * j + 2] += x2[i * n + j]
                if fields > 3:
                    y[i * row_step + fields * j + 3] += x3[i * n + j]


cdef inline void load_fields(double *const *y, const double *x, Block *block, int fields) noexcept nogil:
    """Inlined with fields a constant."""
    cdef Py_ssize_t[MAX_DIMS] index
    cdef Py_ssize_t k, at = 0
    cdef double *y2 = y[2 if fields > 2 else 0]
    cdef double *y3 = y[3 if fields > 3 else 0]
    for k in range(block.outer):
        index[k] = 0
    for k in range(block.count):  # no-cython-lint
        if block.n == 2:
            split_rows(y[0] + at, y[1] + at, y2 + at, y3 + at, x, block.rows, block.row_step, 2, fields)
        elif block.n == 4:
            split_rows(y[0] + at, y[1] + at, y2 + at, y3 + at, x, block.rows, block.row_step, 4, fields)
        else:
            split_rows(y[0] + at, y[1] + at, y2 + at, y3 + at, x, block.rows, block.row_step, block.n, fields)
        at += block.rows * block.n
        if block.outer:
            x += next_outer(block, index)


cdef inline void store_fields(double *y, double *const *x, Block *block, int fields, int mode) noexcept nogil:
    cdef Py_ssize_t[MAX_DIMS] index
    cdef Py_ssize_t k, at = 0
    cdef const double *x2 = x[2 if fields > 2 else 0]
    cdef const double *x3 = x[3 if fields > 3 else 0]
    for k in range(block.outer):
        index[k] = 0
    for k in range(block.count):  # no-cython-lint
        if block.n == 2:
            join_rows(y, x[0] + at, x[1] + at, x2 + at, x3 + at, block.rows, block.row_step, 2, fields, mode)
        elif block.n == 4:
            join_rows(y, x[0] + at, x[1] + at, x2 + at, x3 + at, block.rows, block.row_step, 4, fields, mode)
        else:
            join_rows(y, x[0] + at, x[1] + at, x2 + at, x3 + at, block.rows, block.row_step, block.n, fields, mode)
        at += block.rows * block.n
        if block.outer:
            y += next_outer(block, index)


cdef void load_records(double *const *y, const char *base, int fields, int ndim, const Py_ssize_t *dims,
                       const Py_ssize_t *strides) noexcept nogil:
    cdef Block block
    make_block(&block, ndim, dims, strides, <Py_ssize_t>sizeof(double))
    if fields == 2:
        load_fields(y, <const double *>base, &block, 2)
    elif fields == 3:
        load_fields(y, <const double *>base, &block, 3)
    else:
        load_fields(y, <const double *>base, &block, 4)


cdef inline void store_records(char *base, double *const *x, int fields, int ndim, const Py_ssize_t *dims,
                               const Py_ssize_t *strides, int mode) noexcept nogil:
    cdef Block block
    make_block(&block, ndim, dims, strides, <Py_ssize_t>sizeof(double))
    if fields == 2:
        store_fields(<double *>base, x, &block, 2, mode)
    elif fields == 3:
        store_fields(<double *>base, x, &block, 3, mode)
    else:
        store_fields(<double *>base, x, &block, 4, mode)


cdef void set_records(char *b, double *const *x, int fields, int ndim, const Py_ssize_t *d, const Py_ssize_t *s) noexcept nogil:
    store_records(b, x, fields, ndim, d, s, SET)


cdef void add_records(char *b, double *const *x, int fields, int ndim, const Py_ssize_t *d, const Py_ssize_t *s) noexcept nogil:
    store_records(b, x, fields, ndim, d, s, ADD)


# -- indices that are data ------------------------------------------------------------------------

cdef inline bint bad_index(int64_t index, Py_ssize_t inner, Py_ssize_t size) noexcept nogil:
    return AD_CHECKED and (index < 0 or index > size - inner)    # not index + inner: it may overflow


cdef enum:
    GATHER = 0
    SCATTER = 1
    PUT = 2


cdef inline int move_rows(rp base, rp x, const int64_t *index, Py_ssize_t m, Py_ssize_t inner, Py_ssize_t size, int what) noexcept nogil:
    """Rows between x and where they belong in base; inlined with what a constant, and inner where it is small."""
    cdef Py_ssize_t k, j
    cdef int bad = 0
    for k in range(m):
        if bad_index(index[k], inner, size):
            bad = 1
            continue
        for j in range(inner):
            if what == GATHER:
                x[k * inner + j] = base[index[k] + j]
            elif what == SCATTER:
                base[index[k] + j] += x[k * inner + j]
            else:
                base[index[k] + j] = x[k * inner + j]
    return bad


cdef inline int move(double *base, double *x, const int64_t *index, Py_ssize_t m, Py_ssize_t inner, Py_ssize_t size,
                     int what) noexcept nogil:
    if inner == 1:
        return move_rows(base, x, index, m, 1, size, what)
    if inner == 2:
        return move_rows(base, x, index, m, 2, size, what)
    if inner == 3:
        return move_rows(base, x, index, m, 3, size, what)
    if inner == 4:
        return move_rows(base, x, index, m, 4, size, what)
    return move_rows(base, x, index, m, inner, size, what)


cdef int gather(rp y, const_rp base, const int64_t *index, Py_ssize_t m, Py_ssize_t inner,
                Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t k
    cdef int64_t at
    cdef int bad = 0
    if AD_CHECKED and size < inner:
        return m > 0
    if inner > 1:
        return move(<double *>base, y, index, m, inner, size, GATHER)
    for k in range(m):
        at = index[k]
        if bad_index(at, 1, size):
            bad = 1
            at = 0
        y[k] = base[at]
    return bad


cdef int scatter_add(rp base, const_rp x, const int64_t *index, Py_ssize_t m, Py_ssize_t inner,
                     Py_ssize_t size) noexcept nogil:
    return move(base, <double *>x, index, m, inner, size, SCATTER)


cdef int put(rp base, const_rp x, const int64_t *index, Py_ssize_t m, Py_ssize_t inner,
             Py_ssize_t size) noexcept nogil:
    return move(base, <double *>x, index, m, inner, size, PUT)


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
    the_table.thin_product = ad_thin_product
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
    the_table.load_records = load_records
    the_table.store_records[SET] = set_records
    the_table.store_records[ADD] = add_records
    the_table.gather = <int (*)(double *, const double *, const int64_t *, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil>gather
    the_table.scatter_add = <int (*)(double *, const double *, const int64_t *, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil>scatter_add  # no-cython-lint
    the_table.put = <int (*)(double *, const double *, const int64_t *, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil>put
    the_table.cumsum = <void (*)(double *, const double *, Py_ssize_t, Py_ssize_t, Py_ssize_t, int) noexcept nogil>cumsum
    the_table.run_load = <void (*)(double *, Py_ssize_t, const double *, const int64_t *, Py_ssize_t) noexcept nogil>run_load
    the_table.run_store = <void (*)(double *, const int64_t *, const double *, const int32_t *, Py_ssize_t) noexcept nogil>run_store
    the_table.run_store_add = <void (*)(double *, const int64_t *, const double *, const int32_t *, Py_ssize_t) noexcept nogil>run_store_add
    return PyCapsule_New(&the_table, "adcore.kernels", NULL)


table = fill_table()
