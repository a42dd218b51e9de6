from cpython.ref cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t

from adcore.tape.program cimport Program

cdef struct Link:                       # a live buffer in its trace's ring
    Link *before
    Link *after
    PyObject *buffer


cdef class Trace:
    cdef readonly Program tape
    cdef readonly list inputs, consts, scalars
    cdef readonly bint closed
    cdef readonly Trace parent
    cdef readonly int depth
    cdef dict lifted                    # (id of trace, value) -> value here
    cdef readonly list guards           # (value, what it was found to be); None: nobody replays
    cdef public object surroundings     # what f reads besides its arguments, when somebody replays
    cdef public object blind            # why values must not be looked at, if so
    cdef readonly bint standalone       # binds nothing: numbers and arrays are part of the program
    cdef uint8_t *active
    cdef Py_ssize_t active_capacity
    cdef dict literals, const_of
    cdef readonly dict halves           # id of a complex constant -> (it, a copy, its real part, its imaginary part)
    cdef readonly dict kept             # value -> ndarray it was found to be
    cdef public bint permuted           # may axes of an array lie in another order than C's?
    cdef public bint layout_asked       # does what was recorded depend on how arrays lie in memory?
    cdef readonly dict orders           # value -> the order of its axes in NumPy's memory (see layout)
    cdef Link ring                      # live buffers, so that forcing keeps their values
    cdef object __weakref__

    cdef bint inside(self, Trace other)
    cdef int check(self) except -1
    cdef int32_t append(self, int op, int dtype, int nargs, int32_t x1, int32_t x2, int32_t x3, int32_t shape,
                        int32_t param) except -1
    cdef uint8_t any_active(self, int32_t value) noexcept
    cdef int grow(self, Py_ssize_t wanted) except -1
    cdef int32_t lift(self, Traced x) except -1
    cdef int keep_order(self, int32_t value, object passed) except -1
    cdef int32_t inlined(self, Program program, int32_t i, int32_t *new, list args, list consts, list scalars) except -1
    cdef int32_t shared_constant(self, object snapshot) except -1
    cdef int32_t call_index(self, object rule) except -1
    cdef int32_t shape_of_tuple(self, shape) except -1
    cdef int32_t number(self, double value) except -1
    cdef int32_t constant(self, array) except -1
    cdef int32_t new_constant(self, snapshot) except -1
    cdef int32_t add_call(self, object rule, tuple args, tuple shape, int code) except -1
    cdef int32_t append_call(self, object rule, list values, tuple shape, int code) except -1
    cdef object shape_tuple(self, int32_t value)
    cdef object force(self, int32_t value)
    cdef int learned(self, int32_t value, object found) except -1
    cdef tuple slice(self, list targets, list given=*)


cdef class Buffer:
    cdef Trace trace
    cdef int32_t value
    cdef int32_t version
    cdef dict pending                   # element -> TracedScalar, newer than ``value``
    cdef Buffer origin                  # what this holds a copy of, when NumPy may have a view of it; None
    cdef int32_t origin_version
    cdef Link link

    cdef int flush(self) except -1
    cdef int check_origin(self) except -1


cdef class Traced:
    cdef Trace trace

    cdef int32_t read(self) except -1
    cdef bint is_active(self) except -1
    cdef object lost(self, str what, str remedy)
    cdef object lost_by_assignment(self)
    cdef object known_value(self)


cdef class TracedScalar(Traced):
    cdef int32_t value
    cdef uint8_t code                   # dtype
    cdef bint known
    cdef double number


cdef class TracedArray(Traced):
    cdef Buffer buffer
    cdef readonly tuple shape
    cdef int64_t offset
    cdef tuple steps                    # element strides; None when the array is the whole buffer
    cdef tuple own_steps                # element strides, found when first wanted
    cdef int32_t cached, cached_version
    cdef bint locked                    # read-only, as are its views

    cdef int32_t record_view(self, int32_t base) except -1
    cdef int32_t add_map(self) except -1
    cdef tuple element_strides(self)
    cpdef TracedArray shape_to(self, tuple shape)
    cpdef TracedArray transposed(self, tuple axes)
    cdef object layout_unknown(self, str what)
    cdef object reshaped_elsewhere(self, tuple shape, found)
    cdef object element(self, int64_t at)
    cdef int check_writable(self) except -1
    cdef int put_element(self, int64_t at, object x) except -1


cdef class TracedComplex:
    cdef public Traced re, im


cdef dict UFUNCS                         # ufunc -> row of the op table

cdef object unary(int op, object a)
cpdef object settled(object func, tuple args, dict kwargs, object result)
cdef object binary(int op, object a, object b)
cdef TracedArray wrap(Trace trace, int32_t value, tuple shape)
cdef TracedArray sub_view(TracedArray of, int64_t offset, tuple shape, tuple steps)
cdef object result(Trace trace, int32_t value, tuple shape)
cdef int write(TracedArray view, object x) except -1
cdef object as_array_of(Trace trace, object x)
cdef TracedScalar make_scalar(Trace trace, int32_t value, int code, bint known, double number)
cdef object listed(object x)
cdef tuple tuple_of(const int64_t *numbers, Py_ssize_t n)
cdef int32_t operand_of(Trace trace, object x) except -1
cdef int32_t cast(Trace trace, int32_t value, TracedArray like) except -1
cdef TracedArray narrowed(TracedArray array, Py_ssize_t axis, int64_t start, int64_t stop, int64_t step)
