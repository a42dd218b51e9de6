"""Traced arrays and scalars: what user code computes with while its operations are recorded.

A traced array is a buffer and an affine map into it. A buffer's current version is a value of the
tape; a write through any view makes a new version, a read records a view of the
current one. Arrays are lazy: an operation infers its shape and dtype and appends an
instruction. Scalars are eager as well: when their operands are known, so are they, by the same
arithmetic as the kernels.

Invariant: ``trace.active[v]`` is 1 exactly when value v depends, through something that has a derivative,
on an input that is being differentiated; such a value never turns into a plain number silently.
"""

cimport cython
cimport numpy as cnp
from cpython.ref cimport Py_INCREF, PyObject
from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from cpython.object cimport Py_EQ, Py_GE, Py_GT, Py_LE, Py_LT, Py_NE
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcmp, memset

import collections
import math
import operator
import threading

import numpy as np

from adcore import errors, optable
from adcore.errors import user_place, where_text

from adcore.optable.opcodes cimport *
from adcore.passes.builder cimport Builder
from adcore.tape.program cimport BOOL, F32, F64, Instr, NARY, Program, SCALAR_SHAPE, arg, n_args, same_shape, size_at

cnp.import_array()

cdef extern from "ad_values.h":
    double ad_evaluate(int op, double x1, double x2, double x3) noexcept nogil

cdef enum:
    MAX_DIMS = 64

cdef extern from "Python.h":
    int PySlice_Unpack(object, Py_ssize_t *, Py_ssize_t *, Py_ssize_t *) except -1
    Py_ssize_t PySlice_AdjustIndices(Py_ssize_t, Py_ssize_t *, Py_ssize_t *, Py_ssize_t)
    object PyObject_GenericGetAttr(object, object)
    object PyMethod_New(object, object)
    int Py_EnterRecursiveCall(const char *) except 1
    void Py_LeaveRecursiveCall()

# types that hot paths ask for, looked up once
cdef type NDARRAY = np.ndarray
cdef type DEQUE = collections.deque
cdef type GENERIC = np.generic
cdef type NP_INTEGER = np.integer
cdef type NP_FLOATING = np.floating
cdef type NP_COMPLEX = np.complexfloating
cdef type NP_BOOL = np.bool_
cdef type NP_FLOAT32 = np.float32
cdef type NP_FLOAT64 = np.float64

cdef object DTYPES = (np.dtype(np.float64), np.dtype(np.float32), np.dtype(np.bool_), np.dtype(np.int64))
cdef dict DTYPE_CODE = {d: k for k, d in enumerate(DTYPES)}
cdef uint8_t[AD_N_ELEMENTWISE] no_derivative
cdef uint8_t[AD_N_ELEMENTWISE] missing_derivative    # of the first argument


# the traces that are recording in this thread, outermost first
cdef object recording = threading.local()


cdef list open_traces():
    try:
        return recording.traces
    except AttributeError:
        recording.traces = []
        return recording.traces


cdef class Trace:
    """One recording: the tape, what it binds, and which of its values are active.

    A recording inside another has that one as its ``parent``. It sees values of its ancestors as
    inputs that are not differentiated (``lift``); its finished program is written into the parent
    (``inline``). So derivatives of derivatives are programs like any other, and no tangent
    of one differentiation can meet that of another.
    """

    def __cinit__(self):
        self.tape = Program()
        self.inputs = []
        self.consts = []
        self.scalars = []
        self.literals = {}
        self.const_of = {}
        self.kept = {}
        self.orders = {}
        self.halves = {}
        self.lifted = {}
        self.ring.before = &self.ring
        self.ring.after = &self.ring

    def __dealloc__(self):
        PyMem_RawFree(self.active)

    def __enter__(self):
        cdef list traces = open_traces()
        if traces:
            self.parent = <Trace>traces[-1]
            self.depth = self.parent.depth + 1
            if self.parent.guards is not None:
                self.guards = []
                self.surroundings = self.parent.surroundings
        traces.append(self)
        return self

    def __exit__(self, *_):
        open_traces().remove(self)

    def close(self):
        """No more recording: traced values that escaped say so when they are used."""
        self.closed = True

    def watch(self, surroundings):
        """Keep what the recorded function learns of values and reads, so that a replay can be checked."""
        self.guards = []
        self.surroundings = surroundings

    cdef bint inside(self, Trace other):
        """Is this a recording inside ``other``?"""
        cdef Trace trace = self.parent
        while trace is not None:
            if trace is other:
                return True
            trace = trace.parent
        return False

    cdef int check(self) except -1:
        if self.closed:
            raise errors.AdcoreError(
                f"{where_text()}a traced value is used after the function that adcore recorded has returned: "
                "return what you need instead of keeping it")
        return 0

    cdef int32_t append(self, int op, int dtype, int nargs, int32_t x1, int32_t x2, int32_t x3, int32_t shape,
                        int32_t param) except -1:
        """Record one instruction; it is active when an argument is and its dtype has derivatives."""
        cdef int32_t value = self.tape.append(op, dtype, nargs, x1, x2, x3, shape, param)
        cdef uint8_t active = 0
        if value >= self.active_capacity:
            self.grow(value + 1)
        if dtype == F64 or dtype == F32:
            if nargs == NARY:
                active = self.any_active(value)
            else:
                if nargs > 0:
                    active = self.active[x1]
                if nargs > 1:
                    active |= self.active[x2]
                if nargs > 2:
                    active |= self.active[x3]
        self.active[value] = active
        return value

    cdef uint8_t any_active(self, int32_t value) noexcept:
        cdef int k
        for k in range(n_args(&self.tape.code[value])):
            if self.active[arg(&self.tape.code[value], self.tape.ints, k)]:
                return 1
        return 0

    cdef int grow(self, Py_ssize_t wanted) except -1:
        cdef Py_ssize_t target = max(wanted + wanted // 2, 256)
        cdef uint8_t *moved = <uint8_t *>PyMem_RawRealloc(self.active, target)
        if moved == NULL:
            raise MemoryError()
        self.active = moved
        self.active_capacity = target
        return 0

    # -- leaves ------------------------------------------------------------------

    def add_input(self, array, bint active):
        """An argument of the recorded function: a C-contiguous float array that stays as it is."""
        cdef int32_t shape = self.shape_of_tuple(array.shape)
        cdef int32_t value = self.append(AD_OP_INPUT, DTYPE_CODE[array.dtype], 0, -1, -1, -1, shape, len(self.inputs))
        self.tape.n_inputs += 1
        self.inputs.append(array)
        self.active[value] = active
        return value

    def input_array(self, array, bint active, bint scalar, passed=None):
        """The traced value for an argument: an array, or a scalar when ``scalar``.

        The argument may be a traced value of an outer recording; ``passed`` is what the caller gave for it.
        """
        cdef int32_t value
        cdef TracedScalar number
        if isinstance(array, Traced):
            passed = array
            array = frozen(array)
            value = self.add_input(array, active or (<Traced>array).is_active())
            if isinstance(array, TracedScalar):
                number = <TracedScalar>array
                return make_scalar(self, value, number.code, number.known, number.number)
            self.keep_order(value, passed)
            return wrap(self, value, array.shape)
        value = self.add_input(array, active)
        self.kept[value] = array
        if scalar:
            return make_scalar(self, value, DTYPE_CODE[array.dtype], True, float(array))
        if passed is not None:
            self.keep_order(value, passed)
        return wrap(self, value, array.shape)

    cdef int keep_order(self, int32_t value, object passed) except -1:
        """Remember how the axes of an array that is an input or a constant lie in its memory, if not in C order."""
        if isinstance(passed, TracedArray):
            if not (<TracedArray>passed).trace.permuted:
                return 0
        elif not isinstance(passed, NDARRAY) or cnp.PyArray_NDIM(passed) < 2 or cnp.PyArray_IS_C_CONTIGUOUS(passed):
            return 0
        layout().taken(self, value, passed)
        return 0

    def bind(self, x, bint active):
        """The traced value for an argument that a plan takes as it is, an array or a float; None for any other."""
        cdef int64_t[MAX_DIMS] dims
        cdef int32_t value
        cdef int code, k, n = 0
        cdef bint scalar = type(x) is float or type(x) is NP_FLOAT64
        if scalar:
            array = np.array(x)
            code = F64
        elif type(x) is NDARRAY:
            array = x
            n = cnp.PyArray_NDIM(array)
            code = F64 if cnp.PyArray_TYPE(array) == cnp.NPY_DOUBLE else F32
            if (code == F32 and cnp.PyArray_TYPE(array) != cnp.NPY_FLOAT or n == 0 or n > MAX_DIMS - 2
                    or not cnp.PyArray_ISCARRAY_RO(array) or not cnp.PyArray_ISNOTSWAPPED(array)):
                return None
        else:
            return None
        for k in range(n):
            dims[k] = cnp.PyArray_DIM(array, k)
        value = self.append(AD_OP_INPUT, code, 0, -1, -1, -1, self.tape.add_shape(n, dims), <int32_t>len(self.inputs))
        self.tape.n_inputs += 1
        self.inputs.append(array)
        self.active[value] = active
        self.kept[value] = array
        if scalar:
            return make_scalar(self, value, code, True, x)
        return wrap(self, value, array.shape)

    cdef int32_t lift(self, Traced x) except -1:
        """A value of an outer recording as an input of this one."""
        cdef tuple key = (id(x.trace), x.read())
        cdef int32_t value
        known = self.lifted.get(key)
        if known is not None:
            return known
        if not self.inside(x.trace):
            raise errors.AdcoreError(
                f"{where_text()}values of two differentiations meet: a value traced by an inner one has left it "
                "other than as its result. Return it instead.")
        value = self.add_input(frozen(x), x.is_active())
        self.keep_order(value, x)
        self.lifted[key] = value
        return value

    def inline(self, Program program, list args, list consts, list scalars):
        """Record a finished program on this tape; returns its outputs as traced values.

        ``args`` are plain arrays or traced values of this recording or of an outer one.
        """
        cdef Py_ssize_t i, n = program.length
        cdef int32_t[::1] new = np.empty(n + 1, dtype=np.int32)
        cdef list outputs = []
        for i in range(n):
            new[i] = self.inlined(program, <int32_t>i, &new[0], args, consts, scalars)
            if self.tape.sources is program.sources and program.line[i] >= 0 and n_args(&program.code[i]):
                self.tape.line[new[i]] = program.line[i]
        for i in range(program.n_results):
            outputs.append(result(self, new[program.results[i]], program.shape_tuple(program.results[i])))
        return outputs

    cdef int32_t inlined(self, Program program, int32_t i, int32_t *new, list args, list consts, list scalars) except -1:
        cdef Instr *instr = &program.code[i]
        cdef int32_t shape, x1, x2, x3, value, at
        cdef int64_t number
        cdef int64_t *ints = program.ints
        cdef int k, n
        if instr.op == AD_OP_INPUT:
            x = args[instr.param]
            return operand_of(self, x) if isinstance(x, Traced) or x.ndim else self.number(float(x))
        if instr.op == AD_OP_CONST:
            return self.shared_constant(consts[instr.param])
        if instr.op == AD_OP_SCALAR:
            return self.number(scalars[instr.param])
        if instr.op == AD_OP_LITERAL:
            if instr.dtype == F64:
                return self.number(program.reals[instr.param])
            return self.append(AD_OP_LITERAL, instr.dtype, 0, -1, -1, -1, SCALAR_SHAPE,
                               self.tape.add_real(program.reals[instr.param]))
        shape = self.tape.add_shape(ints[instr.shape], ints + instr.shape + 1)
        if instr.nargs == NARY:
            n = instr.x2
            at = <int32_t>self.tape.n_ints
            for k in range(n):
                number = new[ints[instr.x1 + k]]
                self.tape.add_ints(&number, 1)
            if instr.op == AD_OP_CALL:
                value = self.call_index(program.rules[instr.param])
            else:
                value = self.tape.add_ints(ints + instr.param, n - 1)
            return self.append(instr.op, instr.dtype, NARY, at, n, -1, shape, value)
        x1 = new[instr.x1] if instr.nargs > 0 else -1
        x2 = new[instr.x2] if instr.nargs > 1 else -1
        x3 = new[instr.x3] if instr.nargs > 2 else -1
        at = instr.param
        if instr.op == AD_OP_CUMSUM:
            at = self.tape.add_ints(ints + instr.param, 4)
        elif at >= 0:                   # a map over the shape of the view, or of what is written
            n = <int>ints[instr.shape if instr.op == AD_OP_VIEW else
                          program.code[instr.x2 if instr.nargs == 2 else instr.x1].shape]
            at = self.tape.add_ints(ints + instr.param, n + 1)
        value = self.append(instr.op, instr.dtype, instr.nargs, x1, x2, x3, shape, at)
        if instr.op < AD_N_ELEMENTWISE and no_derivative[instr.op]:
            self.active[value] = 0
        return value

    cdef int32_t shared_constant(self, object snapshot) except -1:
        """An array that nobody writes to, bound once for all who use it."""
        cdef int32_t value
        known = self.const_of.get(id(snapshot))
        if known is not None:
            return known[2]
        value = self.new_constant(snapshot)
        self.const_of[id(snapshot)] = (snapshot, snapshot, value)
        return value

    def call_program(self, rule, list args, list consts, list scalars, tuple shape, dtype):
        """Record one CALL: ``rule.evaluate(*args, *consts, *scalars)`` gives an array of this shape."""
        cdef list values = [operand_of(self, x) for x in args]
        values += [self.shared_constant(x) for x in consts]
        values += [self.number(x) for x in scalars]
        self.check()
        return wrap(self, self.append_call(rule, values, shape, DTYPE_CODE[np.dtype(dtype)]), shape)

    cdef int32_t call_index(self, object rule) except -1:
        """Where a rule of a CALL stands in this tape's list."""
        rules = self.tape.rules
        for k in range(len(rules)):
            if rules[k] is rule:
                return k
        rules.append(rule)
        return len(rules) - 1

    cdef int32_t shape_of_tuple(self, shape) except -1:
        cdef int64_t[MAX_DIMS] dims
        cdef Py_ssize_t n = checked_rank(len(shape)), k
        for k in range(n):
            dims[k] = shape[k]
        return self.tape.add_shape(n, dims)

    cdef int32_t number(self, double value) except -1:
        """A Python number: baked into the program when it is structural, else bound by each run."""
        cdef object key = value if value == value else None
        cdef int32_t found
        if self.standalone:
            return self.append(AD_OP_LITERAL, F64, 0, -1, -1, -1, SCALAR_SHAPE, self.tape.add_real(value))
        if value == 0.0:
            key = (math.copysign(1.0, value),)
        known = self.literals.get(key)
        if known is not None:
            return known
        if not math.isfinite(value) or -16.0 <= value <= 16.0 and value == math.floor(value) or abs(value) == 0.5:
            found = self.append(AD_OP_LITERAL, F64, 0, -1, -1, -1, SCALAR_SHAPE, self.tape.add_real(value))
        else:
            found = self.append(AD_OP_SCALAR, F64, 0, -1, -1, -1, SCALAR_SHAPE, len(self.scalars))
            self.tape.n_scalars += 1
            self.scalars.append(value)
        self.literals[key] = found
        return found

    cdef int32_t constant(self, array) except -1:
        """An array of the surroundings, as it is now: the user may write to it later."""
        cdef int32_t value
        known = self.const_of.get(id(array))
        if known is not None and (not cnp.PyArray_ISWRITEABLE(array) or same_content(known[1], array)):
            return known[2]
        plain = plain_array(array)
        snapshot = plain.copy() if plain is array and cnp.PyArray_ISWRITEABLE(array) else plain
        value = self.new_constant(snapshot)
        self.keep_order(value, array)
        self.const_of[id(array)] = (array, snapshot, value)     # keeps the id taken
        return value

    cdef int32_t new_constant(self, snapshot) except -1:
        cdef int32_t value
        if self.standalone:
            return self.add_call(Constant(snapshot), (), snapshot.shape, DTYPE_CODE[snapshot.dtype])
        value = self.append(AD_OP_CONST, DTYPE_CODE[snapshot.dtype], 0, -1, -1, -1,
                            self.shape_of_tuple(snapshot.shape), len(self.consts))
        self.tape.n_consts += 1
        self.consts.append(snapshot)
        self.kept[value] = snapshot
        return value

    cdef int32_t add_call(self, object rule, tuple args, tuple shape, int code) except -1:
        """A function of whole arrays."""
        return self.append_call(rule, [operand_of(self, x) for x in args], shape, code)

    cdef int32_t append_call(self, object rule, list values, tuple shape, int code) except -1:
        cdef int32_t at, dims = self.shape_of_tuple(shape)
        cdef int64_t number
        at = <int32_t>self.tape.n_ints
        for value in values:
            number = value
            self.tape.add_ints(&number, 1)
        return self.append(AD_OP_CALL, code, NARY, at, len(values), -1, dims, self.call_index(rule))

    def stand_alone(self):
        """Record a program that binds nothing but its inputs, which have no values while it is recorded."""
        self.standalone = True

    def abstract_input(self, tuple shape, int code):
        """An input of which shape and dtype are known, and nothing else."""
        cdef int32_t value = self.append(AD_OP_INPUT, code, 0, -1, -1, -1, self.shape_of_tuple(shape), len(self.inputs))
        self.tape.n_inputs += 1
        self.inputs.append(None)
        self.active[value] = 1
        return result(self, value, shape)

    cdef object shape_tuple(self, int32_t value):
        return self.tape.shape_tuple(value)

    # -- forcing -----------------------------------------------------------------------

    cdef object force(self, int32_t value):
        """The array that a value is, by running what was recorded; kept for later."""
        cdef Buffer buffer
        cdef Link *link = self.ring.after
        found = self.kept.get(value)
        if found is not None:
            return found
        self.check()
        if self.blind:
            raise errors.AdcoreError(f"{where_text()}{self.blind}")
        if self.standalone:
            raise errors.AdcoreError(
                f"{where_text()}a derivative rule looks at a value: rules are recorded once for all values. Use np.where "
                "instead of if, and do not turn arrays into Python numbers.")
        targets = [value]
        while link != &self.ring:
            buffer = <Buffer>link.buffer
            link = link.after
            if buffer.value not in self.kept and buffer.value not in targets and buffer.value < self.tape.length:
                targets.append(buffer.value)
        program, inputs = self.slice(targets)
        from adcore.sweep import engine
        results = engine.evaluate(program, inputs, self.consts, self.scalars)
        for target, result in zip(targets, results):
            self.kept[target] = result
        return self.kept[value]

    cdef int learned(self, int32_t value, object found) except -1:
        """The recorded function has seen a value: a replay must find the same."""
        if self.guards is not None and self.tape.code[value].op != AD_OP_LITERAL:
            self.guards.append((value, found))
        return 0

    def hand_up(self):
        """Make what this recording learned a guard of the parent's."""
        cdef Trace parent = self.parent
        cdef Program program
        if parent is None or not self.guards:
            return
        program, inputs = self.slice([value for value, _ in self.guards], self.inputs)
        found = parent.inline(program, inputs, self.consts, self.scalars)
        for (_, expected), x in zip(self.guards, found):
            parent.learned((<Traced>x).read(), expected)
        self.guards = []

    cdef tuple slice(self, list targets, list given=None):
        """A program for these values that starts from what is known already, or from the inputs ``given``."""
        cdef Py_ssize_t i, n = max(targets) + 1
        cdef int k
        cdef Builder builder = Builder(self.tape)
        cdef int32_t[::1] new = np.full(n, -1, dtype=np.int32)
        cdef uint8_t[::1] live = np.zeros(n, dtype=np.uint8)
        cdef Program out
        for i in targets:
            live[i] = 1
        for i in range(n - 1, -1, -1):
            if live[i] and (given is not None or i not in self.kept):
                for k in range(n_args(&self.tape.code[i])):
                    live[arg(&self.tape.code[i], self.tape.ints, k)] = 1
        inputs = []
        builder.out.n_inputs = 0
        for i in range(n):
            if not live[i]:
                continue
            op = self.tape.code[i].op
            if op == AD_OP_INPUT and given is not None:
                new[i] = builder.append(AD_OP_INPUT, self.tape.code[i].dtype, 0, -1, -1, -1,
                                        builder.copy_shape(self.tape, self.tape.code[i].shape), len(inputs))
                inputs.append(given[self.tape.code[i].param])
                builder.out.n_inputs += 1
                continue
            if op == AD_OP_INPUT and i not in self.kept:    # a value of an outer recording
                self.kept[i] = (<Traced>self.inputs[self.tape.code[i].param]).known_value()
            if given is None and i in self.kept and op != AD_OP_CONST:
                new[i] = builder.append(AD_OP_INPUT, self.tape.code[i].dtype, 0, -1, -1, -1,
                                        builder.copy_shape(self.tape, self.tape.code[i].shape), len(inputs))
                inputs.append(np.asarray(self.kept[i], order="C"))
                builder.out.n_inputs += 1
            else:
                new[i] = builder.translate(self.tape, <int32_t>i, &new[0])
        out = builder.out
        out.set_results([new[i] for i in targets])
        return out, inputs


cdef bint same_content(object snapshot, object array) except -1:
    """Does an array hold what it held when its snapshot was taken?"""
    if (cnp.PyArray_TYPE(snapshot) == cnp.PyArray_TYPE(array) and cnp.PyArray_ISCARRAY_RO(array)
            and cnp.PyArray_ISNOTSWAPPED(array) and cnp.PyArray_NBYTES(snapshot) == cnp.PyArray_NBYTES(array)):
        return not memcmp(cnp.PyArray_DATA(snapshot), cnp.PyArray_DATA(array), cnp.PyArray_NBYTES(array))
    return np.array_equal(snapshot, array, equal_nan=True)


class Constant:
    """An array that is part of a program: a call without arguments."""

    def __init__(self, array):
        self.array = array

    @property
    def native(self):
        from adcore.sweep import small
        return small.constant(self.array)

    def __repr__(self):
        return "constant"

    def evaluate(self):
        return self.array


cdef object plain_array(array):
    """A constant as float64, float32 or bool, C-contiguous and native; refuses what has no such form."""
    if (type(array) is NDARRAY and cnp.PyArray_TYPE(array) in (cnp.NPY_DOUBLE, cnp.NPY_FLOAT, cnp.NPY_BOOL)
            and cnp.PyArray_ISCARRAY_RO(array) and cnp.PyArray_ISNOTSWAPPED(array)):
        return array
    dtype = array.dtype
    kind = dtype.kind
    if type(array) is not NDARRAY and not isinstance(array, np.memmap):
        raise errors.ArgumentError(
            f"{where_text()}an array of class {type(array).__module__}.{type(array).__qualname__} meets a traced value: adcore "
            "records what plain arrays do. Use np.asarray(...) of it if that is what is meant")
    if kind == "f" and dtype.itemsize in (4, 8):
        dtype = np.float32 if dtype.itemsize == 4 else np.float64
    elif kind == "f" and dtype.itemsize == 2:
        dtype = np.float32
    elif kind in "iu":
        dtype = np.float64
    elif kind != "b":
        raise errors.ArgumentError(
            f"{where_text()}an array of dtype {array.dtype} meets a traced value: "
            "adcore computes with float64, float32, integer and bool arrays")
    if array.ndim == 0:
        return np.array(array, dtype=dtype)
    return np.ascontiguousarray(array, dtype=dtype)


def numpy_steps(TracedArray x):
    """Element strides as NumPy has them; None when nobody knows."""
    ask_layout(x.trace)
    return layout().steps_of(x) if x.trace.permuted else x.element_strides()


def side_by_side(x, y):
    """Does each element of y stand behind that of x, as imaginary parts do behind real ones?"""
    return (isinstance(x, TracedArray) and isinstance(y, TracedArray) and (<TracedArray>x).buffer is (<TracedArray>y).buffer
            and (<TracedArray>x).offset + 1 == (<TracedArray>y).offset)


def laid_out(TracedArray x, order):
    """A fresh array whose axes lie in this order in NumPy's memory, which its operations alone do not tell; None: in C order."""
    return layout().given(x, order) if order is not None or x.trace.permuted else x


def laid_out_as(TracedArray x, TracedArray other):
    """A fresh array whose axes lie in NumPy's memory as those of another."""
    return layout().given(x, layout().order(other)) if other.trace.permuted else x


cpdef object settled(object func, tuple args, dict kwargs, object result):
    """The result of a function of NumPy's, of which it is noted how NumPy lays it out where that is not plain."""
    cdef TracedArray array
    if isinstance(result, TracedArray):
        array = <TracedArray>result
        if len(array.shape) < 2 or array.steps is None and not array.trace.permuted:
            return result
    elif (type(result) is not tuple and type(result) is not list) or len(result) == 0 or not isinstance(result[0], TracedArray) or not (
            <TracedArray>result[0]).trace.permuted:
        return result
    return layout().settled(func, args, kwargs, result)


cdef class Method:
    """A method of arrays that the front implements, as NumPy's own lays out its results."""

    cdef object plain, ours

    def __init__(self, plain, ours):
        self.plain = plain
        self.ours = ours

    def __call__(self, *args, **kwargs):
        return settled(self.plain, args, kwargs, self.ours(*args, **kwargs))


cdef int ask_layout(Trace trace) except -1:
    """Note, in this recording and those around it, that what follows depends on how arrays lie in memory."""
    if not trace.layout_asked:
        for around in open_traces():
            (<Trace>around).layout_asked = True
        trace.layout_asked = True
    return 0


cdef object layout():
    """The module that knows how NumPy lays out results; who asks it is about to look at memory."""
    from adcore.tracer import layout as module
    return module


cdef dict methods = {}                   # name -> function of the front; filled when the front is loaded


def add_methods(table):
    """Functions that are methods of traced arrays and scalars from now on."""
    methods.update({
        name: Method(getattr(np.ndarray, name), f) if name in LAID_OUT else f
        for name, f in table.items() if not hasattr(TracedArray, name) and not hasattr(TracedScalar, name)})


# methods whose results have several axes and memory of their own
LAID_OUT = frozenset({"sum", "mean", "prod", "max", "min", "var", "std", "cumsum", "cumprod", "repeat", "take", "compress", "dot"})


# -- buffers and arrays -------------------------------------------------------------------

@cython.no_gc
@cython.freelist(256)
cdef class Buffer:
    """Memory of the traced program: its current version, and writes of single elements still pending."""

    def __dealloc__(self):
        if self.link.before != NULL:
            self.link.before.after = self.link.after
            self.link.after.before = self.link.before

    cdef int check_origin(self) except -1:
        """A copy of what NumPy has as a view, or may have: what it is a copy of must be what it was."""
        if self.origin.version != self.origin_version or self.origin.pending is not None:
            raise errors.ArgumentError(
                f"{where_text()}an array was reshaped and then written into. In NumPy the reshaped array may be a view that changes too; "
                "adcore has a copy of it, since it does not know in which order NumPy would lay out the array. Reshape "
                "np.ascontiguousarray(...) of it instead, or reshape it after the last write")
        if self.origin.origin is not None:
            self.origin.check_origin()
        return 0

    cdef int flush(self) except -1:
        """Write the pending elements as one instruction."""
        cdef Trace trace = self.trace
        cdef int64_t number
        cdef int32_t args, where
        cdef TracedScalar scalar
        cdef dict pending = self.pending
        if not pending:
            return 0
        trace.check()
        self.pending = None
        args = <int32_t>trace.tape.n_ints
        number = self.value
        trace.tape.add_ints(&number, 1)
        for scalar in pending.values():
            number = scalar.value
            trace.tape.add_ints(&number, 1)
        where = <int32_t>trace.tape.n_ints
        for element in pending:
            number = element
            trace.tape.add_ints(&number, 1)
        self.value = trace.append(AD_OP_PACK, trace.tape.code[self.value].dtype, NARY, args, len(pending) + 1, -1,
                                  trace.tape.code[self.value].shape, where)
        self.version += 1
        return 0


@cython.no_gc
cdef class Traced:
    """What traced arrays and traced scalars share."""

    __array_priority__ = 1000.0

    cdef int32_t read(self) except -1:
        """The value number this object stands for now."""
        raise NotImplementedError

    cdef bint is_active(self) except -1:
        return self.trace.active[self.read()]

    # operators: NumPy's protocols and Python's, one line each
    def __add__(a, b): return binary(AD_OP_ADD, a, b)
    def __radd__(a, b): return binary(AD_OP_ADD, b, a)
    def __sub__(a, b): return binary(AD_OP_SUB, a, b)
    def __rsub__(a, b): return binary(AD_OP_SUB, b, a)
    def __mul__(a, b): return binary(AD_OP_MUL, a, b)
    def __rmul__(a, b): return binary(AD_OP_MUL, b, a)
    def __truediv__(a, b): return binary(AD_OP_DIV, a, b)
    def __rtruediv__(a, b): return binary(AD_OP_DIV, b, a)
    def __floordiv__(a, b): return binary(AD_OP_FLOOR_DIVIDE, a, b)
    def __rfloordiv__(a, b): return binary(AD_OP_FLOOR_DIVIDE, b, a)
    def __mod__(a, b): return binary(AD_OP_MOD, a, b)
    def __rmod__(a, b): return binary(AD_OP_MOD, b, a)
    def __divmod__(a, b): return binary(AD_OP_FLOOR_DIVIDE, a, b), binary(AD_OP_MOD, a, b)
    def __rdivmod__(a, b): return binary(AD_OP_FLOOR_DIVIDE, b, a), binary(AD_OP_MOD, b, a)
    def __pow__(a, b, mod): return binary(AD_OP_POWER, a, b)
    def __rpow__(a, b, mod): return binary(AD_OP_POWER, b, a)
    def __matmul__(a, b): return matmul(a, b)
    def __rmatmul__(a, b): return matmul(b, a)
    def __neg__(a): return unary(AD_OP_NEG, a)
    def __pos__(a): return unary(AD_OP_IDENTITY, a)
    def __abs__(a): return unary(AD_OP_ABS, a)
    def __invert__(a): return bitwise("invert", a)
    def __and__(a, b): return bitwise("bitwise_and", a, b)
    def __rand__(a, b): return bitwise("bitwise_and", b, a)
    def __or__(a, b): return bitwise("bitwise_or", a, b)
    def __ror__(a, b): return bitwise("bitwise_or", b, a)
    def __xor__(a, b): return bitwise("bitwise_xor", a, b)
    def __rxor__(a, b): return bitwise("bitwise_xor", b, a)

    def __richcmp__(a, b, int op):
        if b is None:
            return op == Py_NE
        if op == Py_LT:
            return binary(AD_OP_LT, a, b)
        if op == Py_LE:
            return binary(AD_OP_LE, a, b)
        if op == Py_GT:
            return binary(AD_OP_GT, a, b)
        if op == Py_GE:
            return binary(AD_OP_GE, a, b)
        if op == Py_EQ:
            return binary(AD_OP_EQ, a, b)
        return binary(AD_OP_NE, a, b)

    __hash__ = None

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if method == "__call__" and not kwargs:
            op = UFUNCS.get(ufunc)
            if op is not None:
                if len(inputs) == 1:
                    return unary(op, inputs[0])
                return binary(op, inputs[0], inputs[1])
            if ufunc is MATMUL:
                return matmul(inputs[0], inputs[1])
        from adcore.front import dispatch
        return dispatch.ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func, types, args, kwargs):
        if len(args) == 1 and not kwargs and isinstance(args[0], TracedArray):      # asked for by everything
            if func is SHAPE:
                return (<TracedArray>args[0]).shape
            if func is NDIM:
                return len((<TracedArray>args[0]).shape)
        from adcore.front import dispatch
        return dispatch.function(func, args, kwargs)

    def __getattribute__(self, name):
        method = methods.get(name)
        return PyObject_GenericGetAttr(self, name) if method is None else PyMethod_New(method, self)

    def __getattr__(self, name):
        # methods that are not hot live in the front, under NumPy's names
        if name.startswith("__"):
            raise AttributeError(name)
        from adcore.front import dispatch
        return dispatch.method(self, name)

    # leaving the trace: never silently

    cdef object lost(self, str what, str remedy):
        return errors.LostTrace(
            f"{where_text()}{what} of a traced value would drop its derivative, which is wanted here. {remedy}")

    cdef object known_value(self):
        """The plain array this value is now, for our own use."""
        return self.trace.force(self.read())

    def concrete(self):
        """The plain array this value is now, for the recorded function to know."""
        cdef int32_t value = self.read()
        found = self.trace.force(value)
        self.trace.learned(value, found)
        return found

    def __bool__(self):
        array = self.concrete()
        return bool(array)

    def __int__(self):
        return int(self.concrete())

    def __index__(self):
        if self.is_active():
            raise TypeError(f"{where_text()}a float cannot be an index: use int(...)")
        return operator.index(self.concrete()[()])

    def __float__(self):
        if self.is_active():
            doing = errors.user_operation()
            if doing == "%":                    # a number in a text
                return float(self.known_value())
            if doing == "[]=":
                raise self.lost_by_assignment()
            raise self.lost("float()", "Use NumPy's function instead of one that wants a plain float (np.sin for "
                            "math.sin), assign into an array that NumPy makes inside the function, or wrap the value "
                            "in adcore.stop_gradient.")
        return float(self.concrete())

    def __complex__(self):
        return complex(float(self))

    cdef object lost_by_assignment(self):
        return self.lost("assignment into an array that is not recorded (made outside of the function, or by a library)",
                         "Make the array inside the function (np.zeros(...)), or pass it as an argument.")

    def __reduce_ex__(self, protocol):
        raise self.lost("pickling", "Save the result of the function instead, or adcore.stop_gradient of the value.")

    def item(self, *index):
        """One element, as a traced scalar."""
        if len(index) == 1 and not isinstance(index[0], tuple):
            return as_array(self).reshaped(-1)[index[0]].item()
        if index:
            return self[index if len(index) > 1 else index[0]].item()
        if math.prod(self.shape) != 1:
            raise ValueError(f"{where_text()}can only convert an array of size 1 to a Python scalar")
        return scalar_of(self)

    def tolist(self):
        """Nested lists of traced scalars (plain numbers when not differentiated)."""
        if not self.is_active():
            return self.concrete().tolist()
        if not self.shape:
            return scalar_of(self)
        return [row.tolist() if isinstance(row, TracedArray) else row for row in self]

    def __round__(self, digits=None):
        from adcore.front import dispatch
        if digits is None:
            return int(np.rint(self.concrete()))
        return dispatch.function(np.round, (self, digits), {})

    def __format__(self, spec):
        return format(self.known_value()[()] if not self.shape else self.known_value(), spec)

    def __repr__(self):
        return f"traced {self.known_value()!r}"

    def __str__(self):
        return str(self.known_value())

    def __copy__(self):
        return unary(AD_OP_IDENTITY, self)

    def __deepcopy__(self, memo):
        return unary(AD_OP_IDENTITY, self)


cdef class TracedComplex:
    """A complex number or array: its real and imaginary parts, two traced values of one recording.

    The front builds everything else on it, in ``adcore.front.complex``.
    """

    def __init__(self, Traced re not None, Traced im not None):
        self.re = re
        self.im = im


cdef object complex_front():
    """The front's functions of complex values: the primitives of this module under the same names."""
    from adcore.front import complex as front
    return front


cdef bint is_complex(object x) except -1:
    """Has the operand an imaginary part?"""
    if isinstance(x, (Traced, float, int)):
        return False
    if isinstance(x, NDARRAY):
        return cnp.PyArray_ISCOMPLEX(x) or cnp.PyArray_TYPE(x) == cnp.NPY_OBJECT and holds_complex(x.reshape(-1))
    if isinstance(x, GENERIC):
        return isinstance(x, NP_COMPLEX)
    if isinstance(x, (list, tuple)):
        return holds_complex(x)
    return isinstance(x, (TracedComplex, complex))


def holds_complex(items):
    """Has any item, or an item of a nested list, tuple or dict, an imaginary part?"""
    if isinstance(items, dict):
        items = items.values()
    for x in items:
        if is_complex(x) or isinstance(x, dict) and holds_complex(x):
            return True
    return False


@cython.no_gc
@cython.freelist(256)
cdef class TracedScalar(Traced):
    """A traced number: NumPy's float64 scalar while it is recorded. Immutable."""

    cdef int32_t read(self) except -1:
        if self.trace.closed:
            self.trace.check()
        return self.value

    shape = ()
    ndim = 0
    size = 1
    strides = ()

    @property
    def dtype(self):
        return DTYPES[self.code]

    @property
    def itemsize(self):
        return DTYPES[self.code].itemsize

    @property
    def T(self):
        return self

    @property
    def real(self):
        return self

    @property
    def imag(self):
        return 0.0

    cdef object known_value(self):
        if self.known:
            return np.array(self.number, dtype=DTYPES[self.code])
        return self.trace.force(self.read())

    def concrete(self):
        found = self.known_value()
        self.trace.learned(self.value, found)
        return found

    def __bool__(self):
        if self.known and self.trace.guards is None:
            return self.number != 0.0
        return bool(self.concrete())

    def __len__(self):
        raise TypeError("len() of a scalar")

    def __iter__(self):
        raise TypeError("iteration over a scalar")

    def __getitem__(self, key):
        parts = key if type(key) is tuple else (key,)
        if key is Ellipsis or not parts:
            return self
        for part in parts:
            if not (part is None or part is Ellipsis or np.ndim(part) == 0 and getattr(part, "dtype", type(part)) == bool):
                raise IndexError(f"{where_text()}invalid index to scalar variable")
        return as_array(self).__getitem__(key)


cdef TracedScalar make_scalar(Trace trace, int32_t value, int code, bint known, double number):
    cdef TracedScalar scalar = TracedScalar.__new__(TracedScalar)
    scalar.trace = trace
    scalar.value = value
    scalar.code = code
    scalar.known = known
    scalar.number = number
    return scalar


@cython.no_gc
@cython.freelist(256)
cdef class TracedArray(Traced):
    """A traced array: a map into a buffer. Mutable, with NumPy's view semantics."""

    cdef int32_t read(self) except -1:
        cdef Buffer buffer = self.buffer
        cdef Trace trace = self.trace
        if trace.closed:
            trace.check()
        if buffer.origin is not None:
            buffer.check_origin()
        if buffer.pending is not None:
            buffer.flush()
        if self.steps is None:
            return buffer.value
        if self.cached_version != buffer.version:
            self.cached = self.record_view(buffer.value)
            self.cached_version = buffer.version
        return self.cached

    cdef int32_t record_view(self, int32_t base) except -1:
        cdef Trace trace = self.trace
        cdef int32_t shape = trace.shape_of_tuple(self.shape)
        return trace.append(AD_OP_VIEW, trace.tape.code[base].dtype, 1, base, -1, -1, shape, self.add_map())

    cdef int32_t add_map(self) except -1:
        """This view's map in the tape's pool."""
        cdef int64_t[MAX_DIMS + 1] numbers
        cdef Py_ssize_t k, n = len(self.shape)
        cdef tuple steps = self.element_strides()
        numbers[0] = self.offset
        for k in range(n):
            numbers[1 + k] = steps[k]
        return self.trace.tape.add_ints(numbers, n + 1)

    cdef tuple element_strides(self):
        if self.own_steps is None:
            self.own_steps = self.steps if self.steps is not None else contiguous(self.shape)
        return self.own_steps

    # -- attributes ----------------------------------------------------------------

    @property
    def dtype(self):
        return DTYPES[self.trace.tape.code[self.buffer.value].dtype]

    @property
    def ndim(self):
        return len(self.shape)

    @property
    def size(self):
        cdef int64_t n = 1
        for d in self.shape:
            n *= <int64_t>d
        return n

    @property
    def itemsize(self):
        return self.dtype.itemsize

    @property
    def nbytes(self):
        return self.size * self.itemsize

    @property
    def strides(self):
        steps = numpy_steps(self)
        if steps is None:
            raise self.layout_unknown("strides")
        return tuple(s * self.itemsize for s in steps)

    @property
    def element_steps(self):
        """Strides in elements of the recorded buffer, which lies in C order whatever NumPy's does."""
        return self.element_strides()

    cdef object layout_unknown(self, str what):
        return errors.ArgumentError(
            f"{where_text()}{what} of an array: adcore does not know in which order NumPy would lay out this result. Say "
            "order=\"C\" or order=\"F\", or make it np.ascontiguousarray(...) first")

    @property
    def T(self):
        self.trace.permuted = self.trace.permuted or len(self.shape) > 1
        return sub_view(self, self.offset, self.shape[::-1], self.element_strides()[::-1])

    @property
    def mT(self):
        n = len(self.shape)
        if n < 2:
            raise ValueError("matrix transpose with ndim < 2 is undefined")
        return self.transposed((*range(n - 2), n - 1, n - 2))

    @property
    def real(self):
        return self

    @property
    def imag(self):
        return np.zeros(self.shape)

    @property
    def base(self):
        return None if self.steps is None else self

    cpdef TracedArray transposed(self, tuple axes):
        """The view with its axes in this order."""
        steps = self.element_strides()
        self.trace.permuted = True
        return sub_view(self, self.offset, tuple([self.shape[a] for a in axes]), tuple([steps[a] for a in axes]))

    def strided(self, shape, strides, offset=0):
        """An affine view of the array's own elements when it is contiguous: element units from its first."""
        if self.steps is not None and self.steps != contiguous(self.shape):
            return wrap(self.trace, self.read(), self.shape).strided(shape, strides, offset)
        return sub_view(self, self.offset + offset, tuple(shape), tuple(strides))

    def stepped(self, tuple shape, tuple steps, int64_t offset=0):
        """A view of the same buffer with these element strides, from the array's first element on."""
        cdef int64_t low = self.offset + offset, high = low
        self.trace.permuted = True
        for d, step in zip(shape, steps):
            if d and step > 0:
                high += (d - 1) * step
            elif d:
                low += (d - 1) * step
        if 0 not in shape and (low < 0 or high >= size_at(self.trace.tape.ints, self.trace.tape.code[self.buffer.value].shape)):
            raise IndexError(f"{where_text()}a view of shape {shape} leaves the array's memory")
        return sub_view(self, self.offset + offset, shape, steps)

    cpdef TracedArray shape_to(self, tuple shape):
        """Reshape: a view when NumPy would give one, else a copy."""
        cdef TracedArray whole
        if self.trace.permuted and len(self.shape) > 1 and shape != self.shape:
            found = layout().steps_of(self)
            if found != self.element_strides():
                return self.reshaped_elsewhere(shape, found)
        if self.steps is None:
            return sub_view(self, 0, shape, contiguous(shape))
        if shape == self.shape:
            return sub_view(self, self.offset, shape, self.steps)
        steps = reshaped_strides(self.shape, self.element_strides(), shape)
        if steps is None:
            whole = wrap(self.trace, self.read(), self.shape)
            return sub_view(whole, 0, shape, contiguous(shape))
        return sub_view(self, self.offset, shape, steps)

    cdef object reshaped_elsewhere(self, tuple shape, found):
        """Reshape of an array that lies otherwise in NumPy's memory, with these element strides; None: nobody knows how."""
        cdef TracedArray whole
        viewed = found is None or reshaped_strides(self.shape, found, shape) is not None
        steps = reshaped_strides(self.shape, self.element_strides(), shape)
        if found is not None and viewed and steps is not None:
            return sub_view(self, self.offset, shape, steps)
        whole = layout().given(unary(AD_OP_IDENTITY, self), None)
        whole = sub_view(whole, 0, shape, contiguous(shape))
        if viewed:                      # a copy here, a view there: nobody may write into it, nor read what has changed there
            whole.locked = True
            whole.buffer.origin = self.buffer
            whole.buffer.origin_version = self.buffer.version
        return whole

    def reshaped(self, shape):
        """The array in a shape in which one dimension may be -1."""
        cdef list dims
        cdef int64_t known = 1, n = self.size
        cdef Py_ssize_t k, open = -1
        cdef int64_t d
        if len(self.shape) > 1:
            ask_layout(self.trace)      # is the result a view?
        if isinstance(shape, (int, NP_INTEGER)):
            dims = [int(shape)]
        else:
            dims = [d if type(d) is int else operator.index(d) for d in shape]
        for k in range(len(dims)):
            d = dims[k]
            if d == -1 and open < 0:
                open = k
            elif d < 0:
                known = -1
                break
            else:
                known *= d
        if known < 0 or (known != n if open < 0 else known == 0 or n % known):
            raise ValueError(f"{where_text()}cannot reshape array of size {n} into shape {tuple(dims)}")
        if open >= 0:
            dims[open] = n // known
        return self.shape_to(tuple(dims))

    def __len__(self):
        if not self.shape:
            raise TypeError("len() of unsized object")
        if len(self.shape) > 1 and errors.shuffles():
            raise errors.ArgumentError(
                f"{where_text()}random generators shuffle NumPy's own arrays by other means than those of others, whose rows "
                "they lose: write A[:] = A[rng.permutation(len(A))]")
        return self.shape[0]

    def __iter__(self):
        if not self.shape:
            raise TypeError("iteration over a 0-d array")
        for k in range(self.shape[0]):
            yield self[k]

    def __contains__(self, item):
        return bool((self == item).any())

    def __array__(self, dtype=None, copy=None):
        asked = errors.sparse_operand()
        if asked:                               # no array: then Python asks ours for the product
            return object_array(self, asked - 1)
        if self.is_active():
            if errors.user_operation() == "[]=":
                raise self.lost_by_assignment()
            raise self.lost(errors.library_call() or "np.asarray() or a function that is not NumPy's",
                            "Use NumPy's own functions, or wrap the value in adcore.stop_gradient if its derivative is not wanted.")
        array = self.concrete()
        return np.array(array, dtype=dtype)

    # -- reading and writing elements -------------------------------------------------------

    def __getitem__(self, key):
        cdef View view
        cdef Py_ssize_t start, stop, step, n
        cdef tuple steps
        if type(key) is int and self.shape:
            steps = self.element_strides()
            start = self.offset + checked_index(key, self.shape[0], 0) * <int64_t>steps[0]
            if len(self.shape) == 1:
                return self.element(start)
            return sub_view(self, start, self.shape[1:], steps[1:])
        if type(key) is slice and len(self.shape) == 1:
            PySlice_Unpack(key, &start, &stop, &step)
            n = PySlice_AdjustIndices(self.shape[0], &start, &stop, step)
            steps = self.element_strides()
            return sub_view(self, self.offset + (start * <int64_t>steps[0] if n else 0), (n,), (step * <int64_t>steps[0],))
        if not basic_view(self, key, &view):
            return fancy_get(self, key)
        if view.scalar:
            return self.element(view.offset)
        return viewed(self, &view)

    cdef object element(self, int64_t at):
        """The scalar at an element of the buffer."""
        cdef Buffer buffer = self.buffer
        cdef Trace trace = self.trace
        cdef int32_t value, base
        cdef int code
        if trace.closed:
            trace.check()
        if buffer.origin is not None:
            buffer.check_origin()
        if buffer.pending is not None:
            found = buffer.pending.get(at)
            if found is not None:
                return found
            # other pending elements do not matter to this one: read the version below them
        base = buffer.value
        code = trace.tape.code[base].dtype
        value = trace.append(AD_OP_VIEW, code, 1, base, -1, -1, SCALAR_SHAPE, trace.tape.add_ints(&at, 1))
        array = trace.kept.get(base)
        if array is not None:
            return make_scalar(trace, value, code, True, array.item(at))
        return make_scalar(trace, value, code, False, 0.0)

    def __setitem__(self, key, x):
        cdef View view
        self.trace.check()
        if isinstance(key, int) and len(self.shape) == 1 and is_number(x):
            self.put_element(self.offset + checked_index(key, self.shape[0], 0) * (
                1 if self.steps is None else <int64_t>self.steps[0]), x)
            return
        if not basic_view(self, key, &view):
            fancy_set(self, key, x)
        elif view.scalar:
            self.put_element(view.offset, x if is_number(x) else as_scalar(self.trace, x))
        else:
            write(viewed(self, &view), x)

    def __setattr__(self, name, x):
        if name == "flat":
            self.flat[:] = x
        elif name == "shape":
            self.reshape_in_place(x)
        elif name == "real":
            self[...] = x
        else:
            raise AttributeError(f"{where_text()}attribute '{name}' of a traced array cannot be assigned")

    def reshape_in_place(self, shape):
        """``x.shape = shape``, where no copy is needed."""
        cdef TracedArray other = self.reshape(shape)
        if other.buffer is not self.buffer:
            raise AttributeError(f"{where_text()}incompatible shape for in-place modification: use x = x.reshape(...)")
        self.shape = other.shape
        self.steps = other.steps
        self.own_steps = None
        self.cached_version = -1

    def read_only(self):
        """The same view, which refuses assignments."""
        cdef TracedArray array = sub_view(self, self.offset, self.shape, self.element_strides())
        array.locked = True
        return array

    cdef int check_writable(self) except -1:
        if self.locked:
            raise ValueError(f"{where_text()}assignment destination is read-only")
        return 0

    @property
    def writeable(self):
        return not self.locked

    cdef int put_element(self, int64_t at, object x) except -1:
        cdef Buffer buffer = self.buffer
        cdef Trace trace = self.trace
        cdef TracedScalar scalar
        cdef int code = trace.tape.code[buffer.value].dtype
        self.check_writable()
        if isinstance(x, TracedScalar) and (<TracedScalar>x).trace is trace:
            scalar = <TracedScalar>x
        else:
            scalar = make_scalar(trace, operand_of(trace, x), F64, not isinstance(x, Traced),
                                 0.0 if isinstance(x, Traced) else <double>x)
        if code == F32 and scalar.code != F32:
            scalar = make_scalar(trace, trace.append(AD_OP_IDENTITY, F32, 1, scalar.value, -1, -1, SCALAR_SHAPE, -1),
                                 F32, scalar.known, <float>scalar.number)
        if buffer.pending is None:
            buffer.pending = {}
        buffer.pending[at] = scalar
        # views of the buffer must not serve what they read before
        return 0

    def __iadd__(self, x): return self.update_in_place(AD_OP_ADD, x)
    def __isub__(self, x): return self.update_in_place(AD_OP_SUB, x)
    def __imul__(self, x): return self.update_in_place(AD_OP_MUL, x)
    def __itruediv__(self, x): return self.update_in_place(AD_OP_DIV, x)
    def __ifloordiv__(self, x): return self.update_in_place(AD_OP_FLOOR_DIVIDE, x)
    def __imod__(self, x): return self.update_in_place(AD_OP_MOD, x)
    def __ipow__(self, x): return self.update_in_place(AD_OP_POWER, x)
    def __iand__(self, x): return self.update_bits("bitwise_and", AD_OP_LOGICAL_AND, x)
    def __ior__(self, x): return self.update_bits("bitwise_or", AD_OP_LOGICAL_OR, x)
    def __ixor__(self, x): return self.update_bits("bitwise_xor", AD_OP_LOGICAL_XOR, x)

    def update_bits(self, name, op, x):
        """``self op= x`` for truths."""
        if not is_truth(self) or not is_truth(x):
            raise no_bits(name)
        return self.update_in_place(op, x)

    def __imatmul__(self, x):
        write(self, matmul(self, x))
        return self

    def update_in_place(self, op, x):
        """``self op= x`` through the view, as NumPy does it."""
        result = binary(op, self, x)
        if result.shape != self.shape:
            raise ValueError(f"{where_text()}non-broadcastable output operand with shape {self.shape} doesn't match "
                             f"the broadcast shape {result.shape}")
        write(self, result)
        return self


cdef TracedArray wrap(Trace trace, int32_t value, tuple shape):
    """A fresh array that is all of a new buffer."""
    cdef TracedArray array = TracedArray.__new__(TracedArray)
    cdef Buffer buffer = Buffer.__new__(Buffer)
    buffer.trace = trace
    buffer.value = value
    buffer.link.buffer = <PyObject *>buffer
    buffer.link.before = &trace.ring
    buffer.link.after = trace.ring.after
    trace.ring.after.before = &buffer.link
    trace.ring.after = &buffer.link
    array.trace = trace
    array.buffer = buffer
    array.shape = shape
    array.cached_version = -1
    return array


cdef TracedArray sub_view(TracedArray of, int64_t offset, tuple shape, tuple steps):
    cdef TracedArray array = TracedArray.__new__(TracedArray)
    array.trace = of.trace
    array.buffer = of.buffer
    array.locked = of.locked
    array.shape = shape
    array.offset = offset
    array.steps = steps
    array.cached_version = -1
    return array


cdef object result(Trace trace, int32_t value, tuple shape):
    """A value as NumPy would return it: a scalar when it has no dimensions."""
    if not shape:
        return make_scalar(trace, value, trace.tape.code[value].dtype, False, 0.0)
    return wrap(trace, value, shape)


cdef tuple tuple_of(const int64_t *numbers, Py_ssize_t n):
    cdef tuple found = PyTuple_New(n)
    cdef object item
    cdef Py_ssize_t k
    for k in range(n):
        item = numbers[k]
        Py_INCREF(item)                 # the tuple's own
        PyTuple_SET_ITEM(found, k, item)
    return found


cdef tuple contiguous(tuple shape):
    """The element strides of an array of this shape in C order."""
    cdef Py_ssize_t k, n = checked_rank(len(shape))
    cdef int64_t step = 1
    cdef int64_t[MAX_DIMS] steps
    for k in range(n - 1, -1, -1):
        steps[k] = step
        step *= <int64_t>shape[k]
    return tuple_of(steps, n)


cdef Py_ssize_t checked_rank(Py_ssize_t n) except -1:
    if n > MAX_DIMS - 2:
        raise errors.AdcoreError(f"{where_text()}an array of {n} dimensions: at most {MAX_DIMS - 2}")
    return n


cdef object reshaped_strides(tuple shape, tuple steps, tuple new):
    """Element strides of a reshape without a copy, or None (NumPy's rule)."""
    cdef list old_dims = [d for d in shape if d != 1], old_steps = [s for d, s in zip(shape, steps) if d != 1]
    cdef list out = [0] * len(new)
    cdef Py_ssize_t i = 0, j = 0, i2, j2, k
    cdef int64_t a, b
    if math.prod(shape) == 0:
        return contiguous(new)
    while i < len(old_dims) and j < len(new):
        a = old_dims[i]
        b = new[j]
        i2 = i + 1
        j2 = j + 1
        while a != b:
            if a < b:
                a *= <int64_t>old_dims[i2]
                i2 += 1
            else:
                b *= <int64_t>new[j2]
                j2 += 1
        for k in range(i, i2 - 1):
            if old_steps[k] != old_steps[k + 1] * old_dims[k + 1]:
                return None
        out[j2 - 1] = old_steps[i2 - 1]
        for k in range(j2 - 1, j, -1):
            out[k - 1] = out[k] * new[k]
        i = i2
        j = j2
    while j < len(new):
        out[j] = 1
        j += 1
    return tuple(out)


# -- indexing ------------------------------------------------------------------------------------

cdef struct View:                       # what basic indexing finds
    int64_t offset
    Py_ssize_t n
    int64_t[MAX_DIMS] dims
    int64_t[MAX_DIMS] steps
    bint scalar


cdef TracedArray viewed(TracedArray array, const View *view):
    return sub_view(array, view.offset, tuple_of(view.dims, view.n), tuple_of(view.steps, view.n))


cdef int64_t checked_index(object key, int64_t n, int axis) except? -1:
    cdef int64_t k = key
    if k < -n or k >= n:
        raise IndexError(f"{where_text()}index {k} is out of bounds for axis {axis} with size {n}")
    return k + n if k < 0 else k


cdef bint basic_view(TracedArray array, object key, View *view) except -1:
    """Integers, slices, newaxis and an ellipsis as a view; False when the key holds anything else."""
    cdef tuple keys = <tuple>key if type(key) is tuple else (tuple(key) if isinstance(key, tuple) else (key,))
    cdef tuple dims = array.shape, steps = array.element_strides()
    cdef Py_ssize_t n = len(dims), used = 0, axis = 0, to = 0, added = 0, k
    cdef Py_ssize_t start, stop, step, count
    cdef bint has_ellipsis = False
    view.offset = array.offset
    for item in keys:
        if item is None:
            added += 1
        elif item is Ellipsis:
            if has_ellipsis:
                raise IndexError("an index can only have a single ellipsis ('...')")
            has_ellipsis = True
        elif type(item) is int or type(item) is slice or isinstance(item, NP_INTEGER):
            used += 1
        else:
            return False
    if used > n:
        raise IndexError(f"{where_text()}too many indices for array: array is {n}-dimensional, but {used} were indexed")
    checked_rank(n + added)
    for item in keys:
        if type(item) is slice:
            PySlice_Unpack(item, &start, &stop, &step)
            count = PySlice_AdjustIndices(dims[axis], &start, &stop, step)
            if count:
                view.offset += start * <int64_t>steps[axis]
            view.dims[to] = count
            view.steps[to] = step * <int64_t>steps[axis]
        elif item is None:
            view.dims[to] = 1
            view.steps[to] = 0
            axis -= 1
        elif item is Ellipsis:
            for k in range(n - used):
                view.dims[to + k] = dims[axis + k]
                view.steps[to + k] = steps[axis + k]
            to += n - used - 1
            axis += n - used - 1
        else:
            view.offset += checked_index(item, dims[axis], <int>axis) * <int64_t>steps[axis]
            to -= 1
        axis += 1
        to += 1
    for k in range(axis, n):
        view.dims[to] = dims[k]
        view.steps[to] = steps[k]
        to += 1
    view.n = to
    view.scalar = not to and not has_ellipsis
    return True


cdef object plain_key(object key):
    """Traced parts of a key as plain arrays: an index has no derivative."""
    if isinstance(key, tuple):
        return tuple([plain_key(k) for k in key])
    if isinstance(key, Traced):
        value = (<Traced>key).concrete()
        if value.dtype.kind == "f" and not (<Traced>key).is_active() and (value == np.trunc(value)).all():
            return value.astype(np.int64)           # integers in NumPy, such as (x > 0) * 1
        if value.dtype.kind == "f":
            raise IndexError(f"{where_text()}arrays used as indices must be of integer (or boolean) type")
        return value
    return key


cdef object positions(object index, int64_t n, int64_t step):
    """Where the elements with these indices of an axis of n begin, ``step`` elements apart."""
    found = np.array(index, dtype=np.int64, order="C")
    cdef int64_t *at = <int64_t *>cnp.PyArray_DATA(found)
    cdef Py_ssize_t k
    for k in range(cnp.PyArray_SIZE(found)):
        if at[k] < -n or at[k] >= n:
            raise IndexError(f"{where_text()}index {at[k]} is out of bounds for axis 0 with size {n}")
        at[k] = (at[k] + n if at[k] < 0 else at[k]) * step
    return found


cdef object flat_positions(TracedArray array, object key):
    """Positions in the array (row-major) that a fancy key selects, with the shape it selects."""
    cdef tuple shape = array.shape
    if isinstance(key, NDARRAY) and key.dtype.kind in "iu" or isinstance(key, list):
        index = np.asarray(key)
        if cnp.PyArray_ISINTEGER(index) and len(shape) == 1:
            return positions(index, shape[0], 1)
    return np.arange(math.prod(shape), dtype=np.int64).reshape(shape)[key]


cdef object row_positions(TracedArray array, object key):
    """For ``x[index]`` with one integer array: first elements of the selected rows; else None."""
    if len(array.shape) < 2 or isinstance(key, tuple):
        return None
    index = np.asarray(key)
    if not cnp.PyArray_ISINTEGER(index):
        return None
    return positions(index, array.shape[0], math.prod(array.shape[1:]))


cdef object fancy_get(TracedArray array, object key):
    cdef Trace trace = array.trace
    cdef int32_t base, offsets, value
    cdef tuple shape
    cdef View view
    key = plain_key(key)
    if basic_view(array, key, &view):
        return array[key]
    rows = row_positions(array, key)
    if rows is not None:
        shape = rows.shape + array.shape[1:]
    else:
        rows = flat_positions(array, key)
        shape = rows.shape
    base = array.read()
    offsets = trace.new_constant(np.ascontiguousarray(rows))
    value = trace.append(AD_OP_GATHER, trace.tape.code[base].dtype, 2, base, offsets, -1,
                         trace.shape_of_tuple(shape), -1)
    trace.active[value] = trace.active[base]
    if len(shape) > 1:
        order = layout().selected(array, key, rows)
        if order is not None or trace.permuted:
            trace.permuted = True
            trace.orders[value] = order
    return result(trace, value, shape)


cdef object last_writer(flat, size):
    """Which writes survive when positions repeat: the last to each, as in NumPy; None when all do."""
    seen = np.zeros(size, dtype=bool)
    seen[flat] = True
    if np.count_nonzero(seen) == flat.size:
        return None
    _, first = np.unique(flat[::-1], return_index=True)
    return flat.size - 1 - first


cdef int fancy_set(TracedArray array, object key, object x) except -1:
    cdef Trace trace = array.trace
    cdef int32_t value, offsets
    cdef Buffer buffer = array.buffer
    cdef View view
    array.check_writable()
    if isinstance(key, Traced) and key.dtype == np.bool_ and (<object>key).shape == array.shape and is_scalar_like(x):
        write(array, elementwise("where", key, x, array))
        return 0
    key = plain_key(key)
    if basic_view(array, key, &view):
        array[key] = x
        return 0
    if isinstance(key, NDARRAY) and key.dtype == np.bool_ and key.shape == array.shape and is_scalar_like(x):
        write(array, elementwise("where", key, x, array))
        return 0
    selected = flat_positions(array, key)
    values = broadcast_to(as_array_of(trace, x), selected.shape)
    flat = selected.reshape(-1)
    if array.steps is not None:
        index = np.unravel_index(flat, array.shape) if array.shape else ()
        flat = np.full(flat.shape, array.offset, dtype=np.int64)
        for k, step in zip(index, array.steps):
            flat += k * step
    survivors = last_writer(flat, size_at(trace.tape.ints, trace.tape.code[buffer.value].shape))
    values = values.shape_to((selected.size,))
    if survivors is not None:
        values = fancy_get(values, survivors)
        flat = flat[survivors]
    value = cast(trace, (<TracedArray>values).read(), array)
    buffer.flush()
    offsets = trace.new_constant(np.ascontiguousarray(flat))
    buffer.value = trace.append(AD_OP_PUT, trace.tape.code[buffer.value].dtype, 3, buffer.value, value, offsets,
                                trace.tape.code[buffer.value].shape, -1)
    buffer.version += 1
    return 0


cdef bint is_scalar_like(object x):
    return is_number(x) or isinstance(x, (TracedScalar, GENERIC)) or getattr(x, "shape", None) == ()


cdef int32_t cast(Trace trace, int32_t value, TracedArray like) except -1:
    """A value in the dtype of an array that it is written into."""
    cdef int code = trace.tape.code[like.buffer.value].dtype
    if trace.tape.code[value].dtype == code:
        return value
    if code == BOOL:
        zero = trace.number(0.0)
        return trace.append(AD_OP_NE, BOOL, 2, value, zero, -1, trace.tape.code[value].shape, -1)
    return trace.append(AD_OP_IDENTITY, code, 1, value, -1, -1, trace.tape.code[value].shape, -1)


cdef int write(TracedArray view, object x) except -1:
    """``view[...] = x``."""
    cdef Trace trace = view.trace
    cdef Py_ssize_t k
    cdef int64_t d
    cdef Buffer buffer = view.buffer
    cdef int32_t value
    cdef TracedArray source
    trace.check()
    view.check_writable()
    source = as_array_of(trace, x)
    # NumPy drops leading dimensions of size 1 of what is assigned
    while len(source.shape) > len(view.shape) and source.shape[0] == 1:
        source = source[0] if len(source.shape) > 1 else source
    if source.shape != view.shape:
        try:
            source = broadcast_to(source, view.shape)
        except ValueError:
            raise ValueError(f"{where_text()}could not broadcast input array from shape {source.shape} into shape "
                             f"{view.shape}") from None
    value = cast(trace, source.read(), view)
    for k in range(len(view.shape)):
        d = view.shape[k]
        if d == 0:
            return 0
        if d > 1 and view.steps is not None and <int64_t>view.steps[k] == 0:
            raise ValueError(f"{where_text()}assignment destination is read-only: it is a broadcast array")
    if view.steps is None:
        if trace.permuted and len(view.shape) > 1:
            value = layout().in_order_of(trace, value, buffer.value)
        buffer.pending = None
        buffer.value = value
        buffer.version += 1
        return 0
    buffer.flush()
    buffer.value = trace.append(AD_OP_UPDATE, trace.tape.code[buffer.value].dtype, 2, buffer.value, value, -1,
                                trace.tape.code[buffer.value].shape, view.add_map())
    buffer.version += 1
    return 0


cdef TracedArray narrowed(TracedArray array, Py_ssize_t axis, int64_t start, int64_t stop, int64_t step):
    """``array[..., start:stop:step, ...]`` along an axis, between bounds that lie inside (a stop of -1 is before the first)."""
    cdef int64_t[MAX_DIMS] dims, steps
    cdef tuple own = array.element_strides()
    cdef Py_ssize_t k, n = len(own)
    cdef int64_t along = own[axis]
    for k in range(n):
        dims[k] = array.shape[k]
        steps[k] = own[k]
    dims[axis] = max((stop - start + step - (1 if step > 0 else -1)) // step, 0)
    steps[axis] = along * step
    return sub_view(array, array.offset + (along * start if dims[axis] else 0), tuple_of(dims, n), tuple_of(steps, n))


# -- operands ------------------------------------------------------------------------------------------

cdef bint is_number(object x):
    return isinstance(x, (float, int, TracedScalar, NP_FLOATING, NP_INTEGER, NP_BOOL))


cdef Traced frozen(Traced x):
    """A traced value as it is now: later writes to x do not reach it."""
    cdef TracedScalar scalar
    if isinstance(x, TracedScalar):
        scalar = <TracedScalar>x
        return make_scalar(x.trace, x.read(), scalar.code, scalar.known, scalar.number)
    return wrap(x.trace, x.read(), (<TracedArray>x).shape)


cdef Trace trace_of(object a, object b):
    """The recording that an operation of a and b belongs to: the innermost."""
    cdef Trace trace
    if isinstance(a, Traced):
        trace = (<Traced>a).trace
        if isinstance(b, Traced) and (<Traced>b).trace.depth > trace.depth:
            trace = (<Traced>b).trace
    else:
        trace = (<Traced?>b).trace
    if trace.closed:
        trace.check()
    return trace


cdef int32_t operand_of(Trace trace, object x) except -1:
    """The value number of any operand."""
    if isinstance(x, Traced):
        if (<Traced>x).trace is not trace:
            return trace.lift(<Traced>x)
        return (<Traced>x).read()
    if isinstance(x, (float, int)):
        return trace.number(x)
    if isinstance(x, NDARRAY):
        if cnp.PyArray_TYPE(x) == cnp.NPY_OBJECT:
            return (<TracedArray>as_array_of(trace, x)).read()
        if x.ndim == 0:
            plain_array(x)
            return trace.number(<double>x.item())
        return trace.constant(x)
    if isinstance(x, GENERIC):
        if x.dtype.kind not in "fiub":
            plain_array(np.asarray(x))
        return trace.number(<double>float(x))
    if isinstance(x, (list, tuple)):
        return (<TracedArray>as_array_of(trace, x)).read()
    if is_complex(x):
        raise complex_in_real()
    raise errors.ArgumentError(f"{where_text()}unsupported operand of type {type(x).__name__} with a traced value")


cdef object complex_in_real():
    return errors.ArgumentError(
        f"{where_text()}a complex value where a real one is wanted: take its .real, its .imag or abs() of it, or make the array "
        "that it is written into a complex one (dtype=complex)")


cdef int weak_code(Trace trace, object x, int32_t value):
    """Dtype of an operand for promotion; -1: weak (a Python number)."""
    if isinstance(x, Traced):
        return trace.tape.code[value].dtype
    if isinstance(x, (float, int)) and not isinstance(x, (bool, NP_FLOATING)):
        return -1
    if isinstance(x, bool) or isinstance(x, NP_BOOL):
        return BOOL
    if isinstance(x, NDARRAY) and cnp.PyArray_ISINTEGER(x) or isinstance(x, NP_INTEGER):
        return F32 if x.itemsize <= 2 else F64      # float32 holds integers of 16 bits, says NumPy
    if isinstance(x, NP_FLOAT32) or isinstance(x, NDARRAY) and cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        return F32
    if isinstance(x, GENERIC):
        return F64
    return trace.tape.code[value].dtype


cdef int promoted(int a, int b):
    """NumPy 2's result dtype of two operands, over what adcore computes with."""
    if a == -1:
        a = b if b in (F64, F32) else F64
    if b == -1:
        b = a
    if a == F64 or b == F64:
        return F64
    if a == F32 or b == F32:
        return F32
    return F64


cdef bint is_predicate(int op):
    return AD_OP_LT <= op <= AD_OP_SIGNBIT


cdef object unary(int op, object a):
    cdef Trace trace = (<Traced>a).trace
    cdef int32_t x = (<Traced>a).read(), value
    cdef int code = trace.tape.code[x].dtype
    cdef TracedScalar scalar
    if missing_derivative[op] and trace.active[x]:
        raise errors.MissingDerivative(user_place(), optable.NAMES[op].lower(), 0, optable.ROWS[op].missing[0])
    if is_predicate(op):
        code = BOOL
    elif code == BOOL and op != AD_OP_IDENTITY:
        if op == AD_OP_NEG:
            raise TypeError(f"{where_text()}the numpy boolean negative, the `-` operator, is not supported, use the `~` "
                            "operator or the logical_not function instead.")
        if op == AD_OP_ABS or op == AD_OP_FLOOR or op == AD_OP_CEIL or op == AD_OP_TRUNC:
            op = AD_OP_IDENTITY                 # a truth stays one
        else:
            code = F64
    value = trace.append(op, code, 1, x, -1, -1, trace.tape.code[x].shape, -1)
    if no_derivative[op]:
        trace.active[value] = 0
    if isinstance(a, TracedScalar):
        scalar = <TracedScalar>a
        if scalar.known:
            return make_scalar(trace, value, code, True, rounded(ad_evaluate(op, scalar.number, 0.0, 0.0), code))
        return make_scalar(trace, value, code, False, 0.0)
    return wrap(trace, value, (<TracedArray>a).shape)


cdef double rounded(double x, int code) noexcept:
    """A Python number as NumPy has it beside an array of this dtype."""
    return <double><float>x if code == F32 else x


cdef object array_result(Trace trace, int op, int code, int32_t x1, int32_t x2, tuple shape):
    """One instruction of two operands of one dtype, one of which has the result's shape."""
    cdef int32_t at = trace.tape.code[x1].shape, value
    if trace.tape.ints[at] == 0:
        at = trace.tape.code[x2].shape
    value = trace.append(op, BOOL if is_predicate(op) else code, 2, x1, x2, -1, at, -1)
    if no_derivative[op]:
        trace.active[value] = 0
    if not shape:
        return make_scalar(trace, value, trace.tape.code[value].dtype, False, 0.0)
    return wrap(trace, value, shape)


cdef object scalar_result(Trace trace, int op, int32_t x1, int32_t x2, bint known, double n1, double n2):
    """One instruction of two float64 scalars, and its value when theirs are known."""
    cdef int code = BOOL if is_predicate(op) else F64
    cdef int32_t value = trace.append(op, code, 2, x1, x2, -1, SCALAR_SHAPE, -1)
    if no_derivative[op]:
        trace.active[value] = 0
    return make_scalar(trace, value, code, known, ad_evaluate(op, n1, n2, 0.0) if known else 0.0)


cdef bint is_truth(object x) except -1:
    """Is it a truth or an array of truths?"""
    if isinstance(x, Traced):
        return (<Traced>x).trace.tape.code[(<Traced>x).read()].dtype == BOOL
    if isinstance(x, NDARRAY):
        return cnp.PyArray_TYPE(x) == cnp.NPY_BOOL
    if isinstance(x, (list, tuple)):
        return find_trace(x) is not None or np.asarray(x).dtype == np.bool_
    return isinstance(x, (bool, NP_BOOL))


cdef object no_bits(str name):
    return TypeError(f"{where_text()}np.{name} of a traced array that is not boolean: floating-point numbers have no such operation. "
                     "Whole numbers made of booleans, as m * 2, are floating-point numbers in adcore: write m.astype(int) * 2")


def bitwise(str name, *args):
    """``a & b`` and the like: of truths it is recorded, of truths and plain whole numbers computed on values."""
    for x in args:
        if not isinstance(x, (Traced, float, int, NDARRAY, GENERIC, list, tuple)):
            return NotImplemented
    if all([is_truth(x) for x in args]):
        op = optable.OPCODE[BITWISE[name]]
        return unary(op, args[0]) if len(args) == 1 else binary(op, args[0], args[1])
    if any([isinstance(x, Traced) and not is_truth(x) for x in args]):
        raise no_bits(name)
    return getattr(np, name)(*map(value_of, args))


cdef object binary(int op, object a, object b):
    cdef Trace trace
    cdef int32_t x1, x2, value
    cdef int code, c1, c2
    cdef bint s1 = isinstance(a, (TracedScalar, float, int)), s2 = isinstance(b, (TracedScalar, float, int))
    cdef double n1 = 0.0, n2 = 0.0
    cdef bint known = True
    if type(a) is TracedArray:
        if type(b) is TracedArray:
            if (<TracedArray>a).trace is (<TracedArray>b).trace and (<TracedArray>a).shape == (<TracedArray>b).shape:
                trace = (<TracedArray>a).trace
                x1 = (<TracedArray>a).read()
                x2 = (<TracedArray>b).read()
                code = trace.tape.code[x1].dtype
                if code == trace.tape.code[x2].dtype and code != BOOL:
                    return array_result(trace, op, code, x1, x2, (<TracedArray>a).shape)
        elif type(b) is TracedScalar:
            trace = (<TracedArray>a).trace
            if (<TracedScalar>b).trace is trace and (<TracedScalar>b).code != BOOL:
                x1 = (<TracedArray>a).read()
                code = trace.tape.code[x1].dtype
                if code == (<TracedScalar>b).code:
                    return array_result(trace, op, code, x1, (<TracedScalar>b).read(), (<TracedArray>a).shape)
        elif type(b) is float or type(b) is int:
            trace = (<TracedArray>a).trace
            x1 = (<TracedArray>a).read()
            code = trace.tape.code[x1].dtype
            if code != BOOL:
                return array_result(trace, op, code, x1, trace.number(rounded(b, code)), (<TracedArray>a).shape)
    elif type(b) is TracedArray and (type(a) is float or type(a) is int):
        trace = (<TracedArray>b).trace
        x2 = (<TracedArray>b).read()
        code = trace.tape.code[x2].dtype
        if code != BOOL:
            return array_result(trace, op, code, trace.number(rounded(a, code)), x2, (<TracedArray>b).shape)
    elif type(a) is TracedScalar and (<TracedScalar>a).code == F64:
        trace = (<TracedScalar>a).trace
        if type(b) is TracedArray:
            if (<TracedArray>b).trace is trace:
                x2 = (<TracedArray>b).read()
                if trace.tape.code[x2].dtype == F64:
                    return array_result(trace, op, F64, (<TracedScalar>a).read(), x2, (<TracedArray>b).shape)
        elif type(b) is TracedScalar:
            if (<TracedScalar>b).trace is trace and (<TracedScalar>b).code == F64:
                return scalar_result(trace, op, (<TracedScalar>a).read(), (<TracedScalar>b).read(),
                                     (<TracedScalar>a).known and (<TracedScalar>b).known,
                                     (<TracedScalar>a).number, (<TracedScalar>b).number)
        elif type(b) is float or type(b) is int:
            return scalar_result(trace, op, (<TracedScalar>a).read(), trace.number(b), (<TracedScalar>a).known,
                                 (<TracedScalar>a).number, b)
    elif type(b) is TracedScalar and (<TracedScalar>b).code == F64 and (type(a) is float or type(a) is int):
        trace = (<TracedScalar>b).trace
        return scalar_result(trace, op, trace.number(a), (<TracedScalar>b).read(), (<TracedScalar>b).known, a,
                             (<TracedScalar>b).number)
    if is_complex(a) or is_complex(b):
        return complex_front().elementwise(optable.ROWS[op].name, a, b)
    if not isinstance(a, Traced) and not isinstance(a, (float, int, NDARRAY, GENERIC, list, tuple)):
        return sparse_operator(op, a, b) if is_sparse(a) else NotImplemented
    if not isinstance(b, Traced) and not isinstance(b, (float, int, NDARRAY, GENERIC, list, tuple)):
        return sparse_operator(op, a, b) if is_sparse(b) else NotImplemented
    trace = trace_of(a, b)
    x1 = operand_of(trace, a)
    x2 = operand_of(trace, b)
    c1 = weak_code(trace, a, x1)
    c2 = weak_code(trace, b, x2)
    code = promoted(c1, c2)
    if code == F32 and c1 == -1:
        x1 = trace.number(rounded(a, F32))
    if code == F32 and c2 == -1:
        x2 = trace.number(rounded(b, F32))
    if is_predicate(op):
        code = BOOL
    elif c1 == BOOL and c2 == BOOL:
        return plain_bool(op, a, b)
    if s1 and s2:
        value = trace.append(op, code, 2, x1, x2, -1, SCALAR_SHAPE, -1)
        if isinstance(a, TracedScalar):
            known = (<TracedScalar>a).known
            n1 = (<TracedScalar>a).number
        else:
            n1 = a
        if isinstance(b, TracedScalar):
            known = known and (<TracedScalar>b).known
            n2 = (<TracedScalar>b).number
        else:
            n2 = b
        if no_derivative[op]:
            trace.active[value] = 0
        if known:
            return make_scalar(trace, value, code, True, rounded(ad_evaluate(op, n1, n2, 0.0), code))
        return make_scalar(trace, value, code, False, 0.0)
    value, shape = combine(trace, op, code, x1, x2)
    if no_derivative[op]:
        trace.active[value] = 0
    return result(trace, value, shape) if shape or (s1 and s2) else zero_d(trace, value, a, b)


cdef object zero_d(Trace trace, int32_t value, object a, object b):
    """NumPy turns 0-d results of operators into scalars."""
    return make_scalar(trace, value, trace.tape.code[value].dtype, False, 0.0)


cdef object plain_bool(int op, object a, object b):
    """Arithmetic of two boolean arrays gives booleans or integers: values, not derivatives."""
    if isinstance(a, Traced):
        a = (<Traced>a).concrete()
    if isinstance(b, Traced):
        b = (<Traced>b).concrete()
    return OP_UFUNC[op](a, b)


cdef tuple combine(Trace trace, int op, int code, int32_t x1, int32_t x2):
    """One elementwise instruction of two operands, broadcast as NumPy does."""
    cdef int64_t *ints = trace.tape.ints
    cdef int32_t[2] shapes
    cdef int32_t shape
    shapes[0] = trace.tape.code[x1].shape
    shapes[1] = trace.tape.code[x2].shape
    if shapes[0] == shapes[1] or ints[shapes[1]] == 0:
        shape = shapes[0]
    elif ints[shapes[0]] == 0:
        shape = shapes[1]
    else:
        shape = joint_shape(trace, shapes, 2, 0)
        x1 = broadcast_value(trace, x1, shape)
        x2 = broadcast_value(trace, x2, shape)
    x1 = trace.append(op, code, 2, x1, x2, -1, shape, -1)
    return x1, trace.shape_tuple(x1)


cdef int32_t joint_shape(Trace trace, const int32_t *shapes, int n, Py_ssize_t core) except -1:
    """What n of the tape's shapes broadcast to, all but their last ``core`` axes of them."""
    cdef int64_t[MAX_DIMS] joint
    cdef int64_t *ints = trace.tape.ints
    cdef int64_t d
    cdef Py_ssize_t rank = 0, own, k, at
    cdef int i
    for i in range(n):
        rank = max(rank, ints[shapes[i]] - core)
    for k in range(rank):
        joint[k] = 1
    for i in range(n):
        own = ints[shapes[i]] - core
        for k in range(own):
            d = ints[shapes[i] + 1 + k]
            at = rank - own + k
            if d != 1 and d != joint[at]:
                if joint[at] != 1:
                    text = " ".join([str(tuple_of(ints + shapes[j] + 1, ints[shapes[j]] - core)).replace(" ", "") for j in range(n)])
                    raise ValueError(f"{where_text()}operands could not be broadcast together with shapes {text}")
                joint[at] = d
    return trace.tape.add_shape(rank, joint)


cdef int32_t broadcast_value(Trace trace, int32_t value, int32_t shape) except -1:
    """A value stretched to a shape of the tape: a view with zero strides; scalars stay as they are."""
    cdef int64_t *ints = trace.tape.ints
    cdef int32_t own = trace.tape.code[value].shape
    cdef int64_t rank = ints[shape], step = 1, d
    cdef int64_t[MAX_DIMS + 1] numbers
    cdef Py_ssize_t lead = rank - ints[own], k
    if ints[own] == 0 or same_shape(ints, own, shape):
        return value
    numbers[0] = 0
    for k in range(rank - 1, -1, -1):
        d = 1 if k < lead else ints[own + 1 + k - lead]
        numbers[1 + k] = 0 if k < lead or d != ints[shape + 1 + k] else step
        step *= d
    return trace.append(AD_OP_VIEW, trace.tape.code[value].dtype, 1, value, -1, -1, shape,
                        trace.tape.add_ints(numbers, rank + 1))


# -- primitives for the front -----------------------------------------------------------------------------

cdef dict OPS = {}                       # name, as the front writes it -> row of the op table


cdef int op_named(str name) except -1:
    op = OPS.get(name)
    if op is None:
        op = OPS[name] = optable.OPCODE[name.upper()]
    return op


def elementwise(str name, *args):
    """Any elementwise op of the table by name, with NumPy's broadcasting and promotion."""
    cdef Trace trace = None
    cdef int op = op_named(name), code
    cdef int[3] codes
    cdef int32_t[3] values, shapes
    cdef int32_t joint = SCALAR_SHAPE, value
    cdef bint same = True
    cdef Py_ssize_t k
    if holds_complex(args):
        return complex_front().elementwise(name, *args)
    if len(args) == 1:
        return unary(op, <Traced?>args[0])
    if len(args) == 2:
        return binary(op, args[0], args[1])
    for a in args:
        if isinstance(a, Traced) and (trace is None or (<Traced>a).trace.depth > trace.depth):
            trace = (<Traced>a).trace
    if trace is None:
        raise nothing_traced()
    trace.check()
    for k in range(3):
        values[k] = operand_of(trace, args[k])
        codes[k] = weak_code(trace, args[k], values[k])
        shapes[k] = trace.tape.code[values[k]].shape
        if trace.tape.ints[shapes[k]]:
            same = same and (joint == SCALAR_SHAPE or same_shape(trace.tape.ints, joint, shapes[k]))
            joint = shapes[k]
    if op != AD_OP_WHERE:
        code = promoted(promoted(codes[0], codes[1]), codes[2])
    elif codes[1] == BOOL and codes[2] == BOOL:
        code = BOOL
    else:
        code = promoted(codes[1], codes[2])
    for k in range(3):
        if code == F32 and codes[k] == -1:
            values[k] = trace.number(rounded(args[k], F32))
    if not same:
        joint = joint_shape(trace, shapes, 3, 0)
        for k in range(3):
            values[k] = broadcast_value(trace, values[k], joint)
    value = trace.append(op, code, 3, values[0], values[1], values[2], joint, -1)
    if op == AD_OP_WHERE:
        trace.active[value] = trace.active[values[1]] | trace.active[values[2]]
    return result(trace, value, trace.shape_tuple(value))


def broadcast_to(x, tuple shape):
    """A view of a traced array stretched to a shape; writing through it is an error in NumPy and here."""
    cdef TracedArray array = as_array(x)
    cdef tuple steps = array.element_strides()
    cdef Py_ssize_t lead = len(shape) - len(array.shape), k
    cdef list out = []
    if lead < 0:
        raise ValueError(f"{where_text()}input operand has more dimensions than allowed by the axis remapping")
    for k in range(len(shape)):
        if k < lead:
            out.append(0)
        elif array.shape[k - lead] == shape[k]:
            out.append(steps[k - lead])
        elif array.shape[k - lead] == 1:
            out.append(0)
        else:
            raise ValueError(f"{where_text()}operands could not be broadcast together with remapped shapes "
                             f"[original->remapped]: {array.shape} and requested shape {shape}")
    return sub_view(array, array.offset, shape, tuple(out))


cdef int axis_mask(object axes, Py_ssize_t n, uint8_t *mask) except -1:
    """Which of n axes are meant: None means all, an integer one, a sequence several."""
    cdef Py_ssize_t k
    memset(mask, axes is None, n)
    if axes is None:
        return 0
    for axis in axes if isinstance(axes, (tuple, list)) else (axes,):
        k = operator.index(axis)
        if not -n <= k < n:
            raise np.exceptions.AxisError(k, n)
        k += n if k < 0 else 0
        if mask[k]:
            raise ValueError(f"{where_text()}duplicate value in 'axis'")
        mask[k] = 1
    return 0


cdef dict FOLDS = {"sum": AD_OP_SUM, "max": AD_OP_REDUCE_MAX, "min": AD_OP_REDUCE_MIN}


def reduce(str name, x, axes=None, bint keepdims=False):
    """``sum``, ``max`` or ``min`` over an axis, several or all."""
    cdef TracedArray array
    cdef Trace trace = (<Traced?>x).trace
    cdef int op = FOLDS[name], code
    cdef int32_t value
    cdef int64_t[MAX_DIMS + 1] numbers
    cdef uint8_t[MAX_DIMS] mask
    cdef int64_t step = 1, d
    cdef list kept = []
    cdef Py_ssize_t k, n
    if isinstance(x, TracedScalar):
        if axes not in (None, 0, -1, ()):
            axis_mask(axes, 0, mask)
        return x
    array = x
    n = len(array.shape)
    axis_mask(axes, n, mask)
    value = array.read()
    code = trace.tape.code[value].dtype
    if code == BOOL:
        code = F64
    numbers[0] = 0
    for k in range(n - 1, -1, -1):
        d = array.shape[k]
        if not mask[k]:
            numbers[1 + k] = step
            step *= d
            kept.append(array.shape[k])
            continue
        numbers[1 + k] = 0
        if d == 0 and op != AD_OP_SUM:
            raise ValueError(f"{where_text()}zero-size array to reduction operation {name}imum which has no identity")
    kept.reverse()
    shape = tuple(kept)
    value = trace.append(op, code, 1, value, -1, -1, trace.shape_of_tuple(shape), trace.tape.add_ints(numbers, n + 1))
    if keepdims:
        for k in range(n):
            numbers[k] = 1 if mask[k] else <int64_t>array.shape[k]
        return wrap(trace, value, shape).shape_to(tuple_of(numbers, n))
    return result(trace, value, shape)


cdef bint is_sparse(object x) except -1:
    """Is it one of SciPy's sparse matrices, or of ours?"""
    if isinstance(x, (Traced, NDARRAY, list, tuple)):
        return False
    return type(x).__module__.startswith("scipy.sparse") or hasattr(type(x), "as_rows")


cdef object sparse_operator(int op, object a, object b):
    from adcore.front import sparse
    return sparse.elementwise(optable.ROWS[op].name, a, b)


def object_array(object x, int dims):
    """An array of one element, of so many dimensions, that holds an object."""
    array = np.empty((1,) * dims, dtype=object)
    array[(0,) * dims] = x
    return array


def matmul(a, b):
    """``a @ b`` with NumPy's rules for vectors and batches."""
    cdef Trace trace
    cdef TracedArray x1, x2
    cdef bint left, right
    cdef int code
    cdef int32_t v1, v2, value, batch = SCALAR_SHAPE
    cdef int32_t[2] shapes
    cdef Py_ssize_t n1, n2
    cdef tuple shape, rows = None
    if is_sparse(a) or is_sparse(b):
        from adcore.front import sparse
        return sparse.matmul(a, b)
    if is_complex(a) or is_complex(b):
        return complex_front().matmul(a, b)
    trace = trace_of(a, b)
    x1 = as_array_of(trace, a)
    x2 = as_array_of(trace, b)
    n1 = len(x1.shape)
    n2 = len(x2.shape)
    left = n1 == 1
    right = n2 == 1
    if not n1 or not n2:
        raise ValueError(f"{where_text()}matmul: an operand does not have enough dimensions")
    if x1.shape[n1 - 1] != x2.shape[0 if right else n2 - 2]:
        raise ValueError(f"{where_text()}matmul: Input operand 1 has a mismatch in its core dimension 0 "
                         f"(size {x2.shape[-2 if not right else -1]} is different from {x1.shape[-1]})")
    if left:
        x1 = x1.shape_to((1, *x1.shape))
    if right:
        x2 = x2.shape_to((*x2.shape, 1))
    if n1 > 2 and n2 <= 2:
        rows = x1.shape
        x1 = x1.shape_to((math.prod(rows[:-1]), rows[n1 - 1]))      # one product of a tall matrix
    elif n1 > 2 or n2 > 2:
        shapes[0] = trace.shape_of_tuple(x1.shape)
        shapes[1] = trace.shape_of_tuple(x2.shape)
        batch = joint_shape(trace, shapes, 2, 2)
        shape = tuple_of(trace.tape.ints + batch + 1, trace.tape.ints[batch])
        x1 = broadcast_to(x1, (*shape, *x1.shape[-2:]))
        x2 = broadcast_to(x2, (*shape, *x2.shape[-2:]))
    shape = (*x1.shape[:-1], x2.shape[-1]) if batch != SCALAR_SHAPE else (x1.shape[0], x2.shape[1])
    v1 = x1.read()
    v2 = x2.read()
    if trace.tape.code[v1].dtype == BOOL and trace.tape.code[v2].dtype == BOOL:
        return np.matmul((<Traced?>as_array_of(trace, a)).concrete(), (<Traced?>as_array_of(trace, b)).concrete())
    code = promoted(trace.tape.code[v1].dtype, trace.tape.code[v2].dtype)
    if trace.tape.code[v1].dtype != code:
        v1 = trace.append(AD_OP_IDENTITY, code, 1, v1, -1, -1, trace.tape.code[v1].shape, -1)
    if trace.tape.code[v2].dtype != code:
        v2 = trace.append(AD_OP_IDENTITY, code, 1, v2, -1, -1, trace.tape.code[v2].shape, -1)
    value = trace.append(AD_OP_MATMUL, code, 2, v1, v2, -1, trace.shape_of_tuple(shape), -1)
    x1 = wrap(trace, value, shape)
    if rows is None and not left and not right:
        return x1
    if left and right:
        return as_scalar(trace, x1.shape_to(()))
    if rows is not None:
        shape = rows[:-1] if right else (*rows[:-1], shape[1])
    else:
        shape = shape[:-1] if right else (*shape[:-2], shape[len(shape) - 1])
    return x1.shape_to(shape)


def call(rule, args, tuple shape, dtype=np.float64):
    """An array of this shape, computed by ``rule.evaluate(*args)`` when the program runs."""
    cdef Trace trace = find_trace(args)
    if trace is None:
        raise nothing_traced()
    trace.check()
    if not shape:
        raise ValueError("a call gives an array")
    return wrap(trace, trace.add_call(rule, tuple(args), shape, DTYPE_CODE[np.dtype(dtype)]), shape)


def cumsum(x, int axis, bint reverse=False):
    """Cumulative sum along a non-negative axis."""
    cdef TracedArray array = as_array(x)
    cdef Trace trace = array.trace
    cdef int64_t[4] numbers
    cdef int32_t value = array.read()
    cdef int code = trace.tape.code[value].dtype
    if code == BOOL:
        value = trace.append(AD_OP_IDENTITY, F64, 1, value, -1, -1, trace.tape.code[value].shape, -1)
        code = F64
    numbers[0] = math.prod(array.shape[:axis])
    numbers[1] = array.shape[axis]
    numbers[2] = math.prod(array.shape[axis + 1:])
    numbers[3] = reverse
    value = trace.append(AD_OP_CUMSUM, code, 1, value, -1, -1, trace.shape_of_tuple(array.shape),
                         trace.tape.add_ints(numbers, 4))
    return wrap(trace, value, array.shape)


cdef dict CODES = {**DTYPE_CODE, None: F64, float: F64, np.float64: F64, np.float32: F32, bool: BOOL, np.bool_: BOOL}


cdef int code_of(object dtype) except -1:
    """What adcore computes in for a dtype, however it is spelled; -2 when it does not."""
    try:
        found = CODES.get(dtype)
    except TypeError:                   # not hashable
        found = None
    return DTYPE_CODE.get(np.dtype(dtype), -2) if found is None else found


def new_array(Trace trace not None, shape, dtype=np.float64, fill=0.0):
    """A fresh traced array of this trace, filled with a number or a traced scalar; with None the caller
    writes every element before any is read."""
    cdef int32_t at, value
    cdef int code = code_of(dtype)
    cdef list dims
    trace.check()
    if code < 0:
        raise KeyError(dtype)
    if isinstance(shape, (int, NP_INTEGER)):
        dims = [int(shape)]
    else:
        dims = [d if type(d) is int else operator.index(d) for d in shape]
    for d in dims:
        if d < 0:
            raise ValueError(f"{where_text()}negative dimensions are not allowed")
    at = trace.shape_of_tuple(dims)
    if fill is None:
        value = trace.append(AD_OP_EMPTY, code, 0, -1, -1, -1, at, -1)
    else:
        value = trace.append(AD_OP_FULL, code, 1, operand_of(trace, fill), -1, -1, at, -1)
    return wrap(trace, value, tuple(dims))


def dtype_code(dtype):
    """The number that a dtype has on tapes."""
    return code_of(dtype)


def makes(dtype):
    """Does adcore compute in this dtype, real and with a fraction or bool?"""
    return code_of(dtype) in (F64, F32, BOOL)


def constant_array(Trace trace not None, array):
    """A plain array as a traced one: mutable, not differentiated."""
    array = np.asarray(array)
    return wrap(trace, trace.constant(array), array.shape) if array.ndim else as_array(
        make_scalar(trace, trace.number(float(array)), F64, True, float(array)))


cdef object nothing_traced():
    return TypeError(f"{where_text()}none of the arguments is traced")


cdef object as_array_of(Trace trace, object x):
    """Anything array-like as a TracedArray of this trace; nested lists may hold traced values."""
    cdef TracedArray array
    cdef int code
    if trace is None:
        raise nothing_traced()
    if isinstance(x, Traced) and (<Traced>x).trace is not trace:
        return wrap(trace, trace.lift(<Traced>x), x.shape)
    if isinstance(x, TracedArray):
        return x
    if isinstance(x, TracedScalar):
        return as_array(x)
    if isinstance(x, (float, int, GENERIC)):
        code = BOOL if isinstance(x, (bool, NP_BOOL)) else F64
        return wrap(trace, trace.append(AD_OP_IDENTITY, code, 1, operand_of(trace, x), -1, -1, SCALAR_SHAPE, -1), ())
    if isinstance(x, NDARRAY) and cnp.PyArray_TYPE(x) != cnp.NPY_OBJECT:
        return constant_array(trace, x)
    if isinstance(x, NDARRAY):
        shape, items = x.shape, list(x.reshape(-1))
        array = stack_items(trace, items)
        return array.shape_to(shape + array.shape[1:])
    if isinstance(x, (list, tuple, DEQUE)):
        if not holds_traced(x):
            plain = np.asarray(x)
            return as_array_of(trace, plain)
        return stack_items(trace, list(x))
    if is_complex(x):
        raise complex_in_real()
    raise errors.ArgumentError(f"{where_text()}cannot make an array of {type(x).__name__}")


cdef bint holds_traced(object x):
    if isinstance(x, Traced):
        return True
    if isinstance(x, (list, tuple, DEQUE)):
        for item in x:
            if holds_traced(item):
                return True
        return False
    return isinstance(x, NDARRAY) and cnp.PyArray_TYPE(x) == cnp.NPY_OBJECT


cdef Py_ssize_t length_of_rows(list items) except -2:
    """Of items that are lists of numbers, all of one length; else -1."""
    cdef Py_ssize_t n = len(items[0]) if items and type(items[0]) is list else -1
    for row in items:
        if type(row) is not list or len(row) != n:
            return -1
        for item in row:
            if not is_number(item):
                return -1
    return n


cdef object stack_items(Trace trace, list items):
    """Items of equal shape along a new first axis."""
    cdef TracedArray out
    cdef Py_ssize_t k, j, n
    cdef list arrays
    cdef tuple shape
    if all([is_number(i) for i in items]):
        out = new_array(trace, (len(items),))
        for k, item in enumerate(items):
            out.put_element(k, item)
        return out
    n = length_of_rows(items)
    if n > 0:
        out = new_array(trace, (len(items), n))
        for k, row in enumerate(items):
            for j, item in enumerate(row):
                out.put_element(k * n + j, item)
        return out
    arrays = [as_array_of(trace, i) for i in items]
    shape = arrays[0].shape
    for a in arrays:
        if a.shape != shape:
            raise ValueError(f"{where_text()}setting an array element with a sequence: the parts have shapes {shape} "
                             f"and {a.shape}")
    out = new_array(trace, (len(arrays), *shape), np.bool_ if all([a.dtype == np.bool_ for a in arrays]) else np.float64)
    for k, a in enumerate(arrays):
        out[k] = a
    return out


cdef TracedArray as_array(object x):
    """A traced scalar as a 0-d array."""
    cdef TracedScalar scalar
    if isinstance(x, TracedArray):
        return <TracedArray>x
    scalar = <TracedScalar?>x
    return wrap(scalar.trace, scalar.read(), ())


cdef object as_scalar(Trace trace, object x):
    """One-element arrays as a scalar, as NumPy does when it assigns one to an element."""
    cdef TracedArray array
    if isinstance(x, TracedScalar) and (<Traced>x).trace is trace:
        return x
    array = as_array_of(trace, x)
    if array.size != 1:
        raise ValueError(f"{where_text()}setting an array element with a sequence.")
    if not array.shape and array.steps is None:
        return make_scalar(trace, array.read(), trace.tape.code[array.buffer.value].dtype, False, 0.0)
    return array.element(array.offset)


def asarray(x, like=None):
    """``x`` as a TracedArray of the trace that ``like`` (or something in x) belongs to."""
    trace = (<Traced?>like).trace if like is not None else find_trace(x)
    return as_array_of(trace, x)


def find_trace(x):
    """The innermost trace of the values in nested lists, tuples, dicts and object arrays; None if there is none."""
    cdef Trace deepest = None, found
    cdef Py_ssize_t innermost = -1
    if isinstance(x, Traced):
        return (<Traced>x).trace
    if isinstance(x, TracedComplex):
        return (<TracedComplex>x).re.trace
    if isinstance(x, NDARRAY):
        if cnp.PyArray_TYPE(x) != cnp.NPY_OBJECT:
            return None
        x = x.reshape(-1)
    elif isinstance(x, dict):
        x = x.values()
    elif not isinstance(x, (list, tuple, DEQUE)):
        return None
    Py_EnterRecursiveCall(" in a structure that is too deep, or holds itself")
    try:
        for item in x:
            found = find_trace(item)
            if found is not None and (deepest is None or found.depth > deepest.depth):
                if deepest is None:
                    innermost = len(open_traces()) - 1
                deepest = found
                if deepest.depth >= innermost:
                    break
    finally:
        Py_LeaveRecursiveCall()
    return deepest


cdef object listed(object x):
    """A list that holds traced values as a traced array; anything else as it is."""
    if type(x) is not list and type(x) is not tuple and type(x) is not DEQUE:
        return x
    trace = find_trace(x)
    if trace is None:
        return x
    from adcore.front import complex
    return complex.array(x, None, trace) if holds_complex(x) else as_array_of(trace, x)


def scalar_of(x):
    """A one-element traced array as a traced scalar."""
    return as_scalar((<Traced?>x).trace, x)


def value_of(x):
    """The plain array that a traced value is; anything else as it is."""
    return x.concrete() if isinstance(x, (Traced, TracedComplex)) else x


def is_traced(x):
    """Is x a traced array or scalar, real or complex?"""
    return isinstance(x, (Traced, TracedComplex))


def is_active(x):
    """Is x being differentiated?"""
    if isinstance(x, TracedComplex):
        return (<TracedComplex>x).re.is_active() or (<TracedComplex>x).im.is_active()
    return isinstance(x, Traced) and (<Traced>x).is_active()


def known_value(x):
    """The plain array that a traced value is now, for our own use: no guard comes of it. Anything else as it is."""
    return (<Traced>x).known_value() if isinstance(x, Traced) else x


def has_values(x):
    """Does x have a value while it is recorded? The arguments of a derivative rule do not."""
    cdef Trace trace = (<Traced?>x).trace
    return not trace.standalone and not trace.blind


def open_trace():
    """The innermost recording of this thread; None outside of any."""
    cdef list traces = open_traces()
    return traces[-1] if traces else None


def value_number(x):
    """The number of the tape's value that x is now."""
    return (<Traced?>x).read()


def trace_of_value(x):
    """The trace a traced value belongs to."""
    return (<TracedComplex>x).re.trace if isinstance(x, TracedComplex) else (<Traced?>x).trace


def fresh(x):
    """x as it is now, in memory of its own; records nothing."""
    return frozen(<Traced?>x)


def scalar(Trace trace not None, double number, dtype=np.float64):
    """A number as a traced scalar."""
    cdef int code = DTYPE_CODE[np.dtype(dtype)]
    cdef int32_t value = trace.number(number)
    if code != F64:
        value = trace.append(AD_OP_IDENTITY, code, 1, value, -1, -1, SCALAR_SHAPE, -1)
    return make_scalar(trace, value, code, True, rounded(number, code))


def is_zero(x):
    """Is x known to be 0 as it is recorded: a literal, or an array filled with one?"""
    cdef Program tape = (<Traced?>x).trace.tape
    cdef int32_t value = (<Traced>x).read()
    if tape.code[value].op == AD_OP_VIEW:
        value = tape.code[value].x1
    if tape.code[value].op == AD_OP_FULL:
        value = tape.code[value].x1
    return tape.code[value].op == AD_OP_LITERAL and tape.reals[tape.code[value].param] == 0.0


def write_into(x, value):
    """``x[...] = value`` for a traced array."""
    if isinstance(x, TracedComplex):
        x[...] = value
    else:
        write(<TracedArray?>x, value)
    return x


def cast_to(x, dtype):
    """``x.astype(dtype)`` for float32, float64 and bool."""
    cdef Trace trace = (<Traced?>x).trace
    cdef int32_t value = (<Traced>x).read()
    cdef int code = DTYPE_CODE[np.dtype(dtype)]
    if code == BOOL and trace.tape.code[value].dtype != BOOL:
        return binary(AD_OP_NE, x, 0.0)
    value = trace.append(AD_OP_IDENTITY, code, 1, value, -1, -1, trace.tape.code[value].shape, -1)
    if isinstance(x, TracedScalar):
        return make_scalar(trace, value, code, (<TracedScalar>x).known, rounded((<TracedScalar>x).number, code))
    return wrap(trace, value, x.shape)


UFUNCS = {}
cdef dict OP_UFUNC = {}
cdef dict BITWISE = {"invert": "LOGICAL_NOT", "bitwise_and": "LOGICAL_AND", "bitwise_or": "LOGICAL_OR", "bitwise_xor": "LOGICAL_XOR"}
cdef object MATMUL = np.matmul, SHAPE = np.shape, NDIM = np.ndim


def _register():
    """NumPy's ufuncs that are rows of the op table."""
    for name, op in optable.UFUNC_OP.items():
        UFUNCS[getattr(np, name)] = optable.OPCODE[op]
        OP_UFUNC[optable.OPCODE[op]] = getattr(np, name)
    for alias, name in (("fabs", "ABS"), ("radians", "DEG2RAD"), ("degrees", "RAD2DEG"),
                        ("float_power", "POWER"), ("conjugate", "IDENTITY")):
        UFUNCS[getattr(np, alias)] = optable.OPCODE[name]
    for row in optable.ROWS[:optable.N_ELEMENTWISE]:
        if row.partials and all(p == 0.0 for p in row.partials) and not row.missing:
            no_derivative[<int>optable.OPCODE[row.name.upper()]] = 1
        missing_derivative[<int>optable.OPCODE[row.name.upper()]] = 0 in row.missing


_register()


def as_traced(Trace trace not None, x):
    """Anything array-like as a TracedArray of this trace."""
    return as_array_of(trace, x)


def scatter_add(x, positions, values):
    """``x`` with values added at these (row-major) positions; repeated positions add up."""
    cdef TracedArray array = as_array(x)
    cdef Trace trace = array.trace
    cdef TracedArray added = broadcast_to(as_array_of(trace, values), np.shape(positions)).shape_to((np.size(positions),))
    cdef int32_t base = array.read()
    cdef int32_t part = cast(trace, added.read(), array)
    cdef int32_t offsets = trace.new_constant(np.ascontiguousarray(np.reshape(positions, -1), dtype=np.int64))
    return wrap(trace, trace.append(AD_OP_SCATTER_ADD, trace.tape.code[base].dtype, 3, base, part, offsets,
                                    trace.tape.code[base].shape, -1), array.shape)


def constant_part(x):
    """x for values, a constant for derivatives; nothing runs."""
    cdef Trace trace
    cdef int32_t value
    if isinstance(x, TracedComplex):
        return type(x)(constant_part((<TracedComplex>x).re), constant_part((<TracedComplex>x).im))
    trace = (<Traced?>x).trace
    value = (<Traced>x).read()
    if not trace.active[value]:
        return x
    value = trace.append(AD_OP_DETACH, trace.tape.code[value].dtype, 1, value, -1, -1, trace.tape.code[value].shape, -1)
    trace.active[value] = 0
    if isinstance(x, TracedScalar):
        return make_scalar(trace, value, (<TracedScalar>x).code, (<TracedScalar>x).known, (<TracedScalar>x).number)
    return wrap(trace, value, x.shape)
