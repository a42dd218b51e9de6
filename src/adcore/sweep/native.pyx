"""Kernels of the user's: compiled functions that a sweep calls by their addresses, without the GIL.

A native call has one of three kinds. Its operands are, for a value, the arguments; for a reverse rule the adjoint of the
result, the result and the arguments; for a forward rule the result, the arguments and the tangents that are not zero. The
result of a reverse rule holds the wanted adjoints one after the other.
"""

from cpython.pycapsule cimport PyCapsule_GetName, PyCapsule_GetPointer, PyCapsule_IsValid
from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memset

from adcore.plan.plan cimport NATIVE_REVERSE, NATIVE_VALUE, Native, fill_native
from adcore.primitive cimport ADCORE_MAX_ARGUMENTS, adcore_forward, adcore_reverse, adcore_value

MOST_ARGUMENTS = ADCORE_MAX_ARGUMENTS


cdef int invoke(const Native *native, double *y, int64_t ny, const double **operands, const int64_t *lengths) noexcept nogil:
    """Call a kernel; what it returns."""
    cdef numbers[ARGUMENTS_MAX] adjoints
    cdef read_only[ARGUMENTS_MAX] tangents
    cdef int64_t at = 0
    cdef int k, first = 0
    if native.kind == NATIVE_VALUE:
        return (<adcore_value>native.function)(operands, lengths, y, ny, native.data)
    if native.kind == NATIVE_REVERSE:
        memset(y, 0, ny * sizeof(double))
        for k in range(native.n):
            adjoints[k] = NULL
            if native.chosen >> k & 1:
                adjoints[k] = y + at
                at += lengths[2 + k]
        return (<adcore_reverse>native.function)(operands + 2, lengths + 2, operands[1], operands[0], lengths[1], adjoints, native.data)
    for k in range(native.n):
        tangents[k] = NULL
        if native.chosen >> k & 1:
            tangents[k] = operands[1 + native.n + first]
            first += 1
    return (<adcore_forward>native.function)(operands + 1, tangents, lengths + 1, operands[0], y, ny, native.data)


def call(tuple native, double[::1] y, list arrays):
    """Call a kernel on these operands, flat float64 arrays, and store its result in y; what it returns."""
    cdef Native it
    cdef read_only[OPERANDS_MAX] operands
    cdef int64_t[OPERANDS_MAX] lengths
    cdef const double[::1] array
    cdef double nothing = 0.0
    cdef Py_ssize_t k
    cdef int code
    fill_native(&it, native)
    for k in range(len(arrays)):
        array = arrays[k]
        lengths[k] = array.shape[0]
        operands[k] = &array[0] if array.shape[0] else &nothing
    with nogil:
        code = invoke(&it, &y[0] if y.shape[0] else &nothing, y.shape[0], operands, lengths)
    return code


def capsule(object it):
    """Address and name of what a PyCapsule holds, or None when it is none."""
    cdef const char *name
    if type(it).__name__ != "PyCapsule":
        return None
    name = PyCapsule_GetName(it)
    if not PyCapsule_IsValid(it, name):
        return None
    return <uintptr_t>PyCapsule_GetPointer(it, name), "" if name == NULL else (<bytes>name).decode()
