"""A window into a kernel table, for tests and benchmarks: arrays in, arrays out, everything validated.

``table`` is always the capsule of one build, for example ``adcore.kernels.checked_noalias_v3.table``.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int32_t, int64_t
cimport numpy as cnp

import numpy as np

from adcore.optable.opcodes cimport AD_N_ELEMENTWISE, AD_N_PAIRS, AD_N_PHRASES

cnp.import_array()

cdef extern from "ad_matmul.h":
    enum:
        AD_THIN
        AD_DEEP

cdef extern from "ad_kernels.h":
    ctypedef void (*ad_pair_fn)(double *, double *, const double *, Py_ssize_t) noexcept nogil
    ctypedef void (*ad_phrase_fn)(double *, const double *, const double *, const double *, const double *, Py_ssize_t, int) noexcept nogil
    ctypedef void (*ad_elementwise_fn)(double *, const double *, const double *, const double *, Py_ssize_t) noexcept nogil
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

cdef extern from "time.h" nogil:
    ctypedef long time_t
    struct timespec:
        time_t tv_sec
        long tv_nsec
    int clock_gettime(int, timespec *)
    const int CLOCK_MONOTONIC

DTYPES = {"float64": 0, "float32": 1, "bool": 2, "int64": 3}
MODES = {"set": 0, "add": 1, "max": 2, "min": 3, "mul": 4}


cdef const ad_kernel_table *open_table(object capsule) except NULL:
    return <const ad_kernel_table *>PyCapsule_GetPointer(capsule, "adcore.kernels")


cdef int check_opcode(Py_ssize_t opcode) except -1:
    if not 0 <= opcode < AD_N_ELEMENTWISE:
        raise ValueError(f"opcode {opcode} is not an elementwise op")
    return 0


def info(table):
    """What the build says of itself."""
    cdef const ad_kernel_table *t = open_table(table)
    return {"checked": t.checked, "noalias": t.noalias, "isa": t.isa}


def elementwise(table, Py_ssize_t opcode, *arguments):
    """``op`` over vectors of equal length."""
    cdef const ad_kernel_table *t = open_table(table)
    cdef double[::1] x1, x2, x3, y
    check_opcode(opcode)
    if not 1 <= len(arguments) <= 3:
        raise ValueError(f"an op has 1 to 3 arguments, not {len(arguments)}")
    arrays = [np.ascontiguousarray(a, float).ravel() for a in arguments]
    if len({a.size for a in arrays}) != 1:
        raise ValueError("arguments of different lengths")
    result = np.empty(arrays[0].size)
    if not result.size:
        return result
    arrays += [arrays[0]] * (3 - len(arrays))
    x1, x2, x3 = [a if a.flags.writeable else a.copy() for a in arrays]
    y = result
    t.elementwise[opcode](&y[0], &x1[0], &x2[0], &x3[0], result.size)
    return result


def pair(table, Py_ssize_t number, x):
    """Both values of a row of ``optable.PAIRS`` over a vector."""
    cdef const ad_kernel_table *t = open_table(table)
    cdef double[::1] x1, y, z
    if not 0 <= number < AD_N_PAIRS:
        raise ValueError(f"there is no pair {number}")
    array = np.array(x, float).ravel()
    first, second = np.empty(array.size), np.empty(array.size)
    if array.size:
        x1, y, z = array, first, second
        t.pair[number](&y[0], &z[0], &x1[0], array.size)
    return first, second


def phrase(table, Py_ssize_t number, *arguments, int splats=0):
    """A phrase (``optable.phrases``) over two to four vectors of equal length, but for those eight numbers that are splats."""
    cdef const ad_kernel_table *t = open_table(table)
    cdef double[::1] x1, x2, x3, x4, y
    if not 0 <= number < AD_N_PHRASES:
        raise ValueError(f"there is no phrase {number}")
    arrays = [np.array(a, float).ravel() for a in arguments]
    sizes = {a.size for k, a in enumerate(arrays) if not splats >> k & 1}
    if len(sizes) != 1 or any(a.size != 8 for k, a in enumerate(arrays) if splats >> k & 1):
        raise ValueError("arguments of different lengths")
    result = np.empty(sizes.pop())
    if result.size:
        x1, x2, x3, x4 = [*arrays, arrays[-1], arrays[-1]][:4]
        y = result
        t.phrase[number](&y[0], &x1[0], &x2[0], &x3[0], &x4[0], result.size, splats)
    return result


def thin_product(table, double[:, :] x1, double[:, :] x2, start=None):
    """``x1 @ x2``, added to ``start`` where it is given."""
    cdef const ad_kernel_table *t = open_table(table)
    cdef Py_ssize_t[2] s1, s2
    cdef double[:, ::1] y
    cdef int k
    if not (x1.shape[1] == x2.shape[0] and x1.size and x2.size and x2.shape[0] <= AD_DEEP and x2.shape[1] <= AD_THIN):
        raise ValueError("no thin product")
    for k in range(2):
        s1[k] = x1.strides[k] // 8
        s2[k] = x2.strides[k] // 8
    result = np.full((x1.shape[0], x2.shape[1]), np.nan) if start is None else np.array(start, float)
    y = result
    t.thin_product(&y[0, 0], &x1[0, 0], &x2[0, 0], x1.shape[0], x1.shape[1], x2.shape[1], s1, s2, start is not None)
    return result


def run(table, Py_ssize_t opcode, values, *indices):
    """``op`` over ``values[indices]`` as a run of scalars."""
    cdef const ad_kernel_table *t = open_table(table)
    cdef double[::1] s
    cdef int32_t[::1] x1, x2, x3
    check_opcode(opcode)
    if not 1 <= len(indices) <= 3:
        raise ValueError(f"an op has 1 to 3 arguments, not {len(indices)}")
    columns = [np.ascontiguousarray(k, np.int32).ravel() for k in indices]
    start, n = len(values), columns[0].size
    for k in columns:
        if k.size != n or (n and not (0 <= k.min() and k.max() < start)):
            raise ValueError("indices of different lengths, or out of range")
    if n == 0:
        return np.empty(0)
    columns += [columns[0]] * (3 - len(columns))
    file = np.concatenate([np.asarray(values, float), np.zeros(n)])
    s = file
    x1, x2, x3 = columns
    t.run[opcode](&s[0], start, &x1[0], &x2[0], &x3[0], n)
    return file[start:]


cdef int dtype_number(object array) except -1:
    if not isinstance(array, np.ndarray) or array.dtype.name not in DTYPES or array.ndim == 0 or array.ndim > 32:
        raise ValueError("give an array of one of " + ", ".join(DTYPES) + " with 1 to 32 dimensions")
    if not array.flags.aligned:
        raise ValueError("give an aligned array")
    return DTYPES[array.dtype.name]


def load(table, array):
    """A strided array as a dense float64 vector."""
    cdef const ad_kernel_table *t = open_table(table)
    cdef int dtype = dtype_number(array)
    cdef double[::1] y = np.empty(max(array.size, 1))
    t.load[dtype](&y[0], <const char *>cnp.PyArray_DATA(array), array.ndim,
                  <const Py_ssize_t *>cnp.PyArray_DIMS(array), <const Py_ssize_t *>cnp.PyArray_STRIDES(array))
    return np.asarray(y)[:array.size].reshape(array.shape)


def store(table, array, x, str mode="set"):
    """Combine ``x`` into a strided array, which may repeat elements."""
    cdef const ad_kernel_table *t = open_table(table)
    cdef int dtype = dtype_number(array)
    cdef double[::1] dense
    if not array.flags.writeable or np.shape(x) != array.shape:
        raise ValueError("give a writeable array and values of its shape")
    if t.store[dtype][MODES[mode]] == NULL:
        raise ValueError(f"no kernel {mode}s {array.dtype}")
    dense = np.array(x, float).ravel() if array.size else np.zeros(1)
    t.store[dtype][MODES[mode]](
        <char *>cnp.PyArray_DATA(array), &dense[0], array.ndim,
        <const Py_ssize_t *>cnp.PyArray_DIMS(array), <const Py_ssize_t *>cnp.PyArray_STRIDES(array))


cdef int record_fields(object array) except -1:
    cdef int fields
    if dtype_number(array) != 0 or array.ndim < 2 or not 2 <= array.shape[array.ndim - 1] <= 4:
        raise ValueError("give a float64 array of at least two dimensions, the last of 2 to 4 fields")
    fields = array.shape[array.ndim - 1]
    if array.strides[array.ndim - 1] != 8 or array.strides[array.ndim - 2] != 8 * fields:
        raise ValueError("records of a row lie side by side")
    return fields


def load_records(table, array):
    """The fields of records ``[..., fields]``, whose rows may lie anywhere, as dense vectors ``[fields, ...]``."""
    cdef const ad_kernel_table *t = open_table(table)
    cdef int k, fields = record_fields(array)
    cdef double *to[4]
    cdef double[:, ::1] y = np.empty((fields, max(array.size // fields, 1)))
    for k in range(fields):
        to[k] = &y[k, 0]
    t.load_records(to, <const char *>cnp.PyArray_DATA(array), fields, array.ndim - 1,
                   <const Py_ssize_t *>cnp.PyArray_DIMS(array), <const Py_ssize_t *>cnp.PyArray_STRIDES(array))
    return np.asarray(y)[:, :array.size // fields].reshape(fields, *array.shape[:array.ndim - 1])


def store_records(table, array, x, str mode="set"):
    """Set, or add to, records ``[..., fields]`` from vectors ``[fields, ...]``."""
    cdef const ad_kernel_table *t = open_table(table)
    cdef int k, fields = record_fields(array)
    cdef double *of[4]
    cdef double[:, ::1] dense
    if not array.flags.writeable or np.shape(x) != (fields, *array.shape[:array.ndim - 1]) or mode not in ("set", "add"):
        raise ValueError("give a writeable array, values of its shape with the fields first, and a mode: set or add")
    dense = np.array(x, float).reshape(fields, -1) if array.size else np.zeros((fields, 1))
    for k in range(fields):
        of[k] = &dense[k, 0]
    t.store_records[MODES[mode]](
        <char *>cnp.PyArray_DATA(array), of, fields, array.ndim - 1,
        <const Py_ssize_t *>cnp.PyArray_DIMS(array), <const Py_ssize_t *>cnp.PyArray_STRIDES(array))


def indexed(table, str what, double[::1] base, int64_t[::1] index, Py_ssize_t inner, double[::1] x=None):
    """``gather``, ``scatter_add`` or ``put``: returns the gathered rows or None, and the flag.

    Indices are not looked at here: that is what a checked build is tested for. An unchecked
    build is refused when one is out of range.
    """
    cdef const ad_kernel_table *t = open_table(table)
    cdef Py_ssize_t m = index.shape[0], size = base.shape[0]
    cdef double[::1] y
    cdef int flag
    where = np.asarray(index)
    if m == 0 or inner < 1 or size == 0:
        raise ValueError("nothing to do")
    if not t.checked and not (0 <= where.min() and where.max() + inner <= size):
        raise ValueError("an unchecked build does not test indices")
    if what == "gather":
        y = np.zeros(m * inner)
        flag = t.gather(&y[0], &base[0], &index[0], m, inner, size)
        return np.asarray(y), flag
    if x is None or x.shape[0] != m * inner:
        raise ValueError("give one value for each element")
    if what == "scatter_add":
        return None, t.scatter_add(&base[0], &x[0], &index[0], m, inner, size)
    if what == "put":
        return None, t.put(&base[0], &x[0], &index[0], m, inner, size)
    raise ValueError(f"what is {what!r}?")


def cumsum(table, x, bint reverse=False):
    """Cumulative sum of an array ``[outer, n, inner]`` along its middle axis."""
    cdef const ad_kernel_table *t = open_table(table)
    cdef double[:, :, ::1] a = np.array(x, float, ndmin=3)
    cdef double[:, :, ::1] y = np.empty_like(a)
    if a.size:
        t.cumsum(&y[0, 0, 0], &a[0, 0, 0], a.shape[0], a.shape[1], a.shape[2], reverse)
    return np.asarray(y)


cdef double now() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return t.tv_sec + 1e-9 * t.tv_nsec


def seconds(table, Py_ssize_t opcode, Py_ssize_t repeats, *arguments):
    """Shortest of ten measurements of ``repeats`` calls of an elementwise kernel."""
    cdef const ad_kernel_table *t = open_table(table)
    cdef double[::1] x1, x2, x3, y
    cdef Py_ssize_t k, trial
    cdef double start, best = 1e9
    check_opcode(opcode)
    arrays = [np.array(a, float).ravel() for a in arguments]
    arrays += [arrays[0]] * (3 - len(arrays))
    if len({a.size for a in arrays}) != 1 or arrays[0].size == 0:
        raise ValueError("arguments of different lengths, or empty")
    x1, x2, x3 = arrays
    y = np.empty(arrays[0].size)
    for trial in range(10):  # no-cython-lint
        start = now()
        for k in range(repeats):  # no-cython-lint
            t.elementwise[opcode](&y[0], &x1[0], &x2[0], &x3[0], y.shape[0])
        best = min(best, now() - start)
    return best


def seconds_load(table, array, Py_ssize_t repeats):
    """The same for a load."""
    cdef const ad_kernel_table *t = open_table(table)
    cdef int dtype = dtype_number(array)
    cdef double[::1] y = np.empty(max(array.size, 1))
    cdef Py_ssize_t k, trial
    cdef double start, best = 1e9
    for trial in range(10):  # no-cython-lint
        start = now()
        for k in range(repeats):  # no-cython-lint
            t.load[dtype](&y[0], <const char *>cnp.PyArray_DATA(array), array.ndim,
                          <const Py_ssize_t *>cnp.PyArray_DIMS(array), <const Py_ssize_t *>cnp.PyArray_STRIDES(array))
        best = min(best, now() - start)
    return best


def seconds_store(table, array, str mode, Py_ssize_t repeats):
    """The same for a store."""
    cdef const ad_kernel_table *t = open_table(table)
    cdef int dtype = dtype_number(array), how = MODES[mode]
    cdef double[::1] x = np.ones(max(array.size, 1))
    cdef Py_ssize_t k, trial
    cdef double start, best = 1e9
    if not array.flags.writeable or t.store[dtype][how] == NULL:
        raise ValueError("give a writeable array, and a mode its dtype has")
    for trial in range(10):  # no-cython-lint
        start = now()
        for k in range(repeats):  # no-cython-lint
            t.store[dtype][how](<char *>cnp.PyArray_DATA(array), &x[0], array.ndim,
                                <const Py_ssize_t *>cnp.PyArray_DIMS(array),
                                <const Py_ssize_t *>cnp.PyArray_STRIDES(array))
        best = min(best, now() - start)
    return best
