"""Forward mode: a program for values becomes a program for values and tangents."""

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport int32_t, int64_t, uint8_t

from adcore import errors, optable

from adcore.optable.opcodes cimport *
from adcore.passes.builder cimport Builder
from adcore.passes.templates cimport Partial, emit_partial, joint_shape, partial_of
from adcore.tape.program import DTYPE_NAMES

from adcore.tape.program cimport BOOL, F64, I64, Instr, NARY, Program, arg, n_args

cdef enum:
    NONE = -1               # the tangent is zero everywhere


cdef class Forward:
    """One application of forward mode; lives while the pass runs."""

    cdef Program old
    cdef Builder new
    cdef int32_t *number            # old value -> new value
    cdef int32_t *tangent           # old value -> its tangent in the new program

    def __cinit__(self, Program old):
        cdef Py_ssize_t n = old.length + 1
        self.old = old
        self.new = Builder(old)
        self.number = <int32_t *>PyMem_RawMalloc(n * sizeof(int32_t))
        self.tangent = <int32_t *>PyMem_RawMalloc(n * sizeof(int32_t))
        if not self.number or not self.tangent:
            raise MemoryError()
        for i in range(n):
            self.number[i] = -1
            self.tangent[i] = NONE

    def __dealloc__(self):
        PyMem_RawFree(self.number)
        PyMem_RawFree(self.tangent)

    cdef int32_t shape_of(self, int32_t value) except -1:
        return self.new.copy_shape(self.old, self.old.code[value].shape)

    cdef int32_t dense(self, int32_t value) except -1:
        """The tangent of an old value as an array of its shape and dtype, zeros included."""
        cdef int32_t shape = self.shape_of(value)
        if self.tangent[value] == NONE:
            return self.new.filled(self.old.code[value].dtype, 0.0, shape)
        return self.new.in_shape(self.tangent[value], shape, self.old.code[value].dtype)

    cdef int32_t plus(self, int32_t total, int32_t t, uint8_t dtype, int32_t shape) except -1:
        if total == NONE:
            return t
        return self.new.elementwise(AD_OP_ADD, dtype, joint_shape(self.new, total, t, -1, shape), total, t)

    # -- rules ---------------------------------------------------------------------

    cdef int32_t elementwise_rule(self, int32_t value) except -2:
        """Sum of tangents times partials; a zero tangent times an infinite partial is 0."""
        cdef Instr *instr = &self.old.code[value]
        cdef int32_t shape = self.shape_of(value), total = NONE, t, part
        cdef int32_t[3] x
        cdef const Partial *partial
        cdef uint8_t dtype = instr.dtype
        cdef int k
        if instr.op == AD_OP_WHERE:
            return self.new.elementwise(AD_OP_WHERE, dtype, shape, self.number[instr.x1],
                                        self.dense(instr.x2), self.dense(instr.x3))
        x[0] = x[1] = x[2] = -1
        for k in range(instr.nargs):
            x[k] = self.number[arg(instr, self.old.ints, k)]
        for k in range(instr.nargs):
            t = self.tangent[arg(instr, self.old.ints, k)]
            if t == NONE:
                continue
            partial = partial_of(instr.op, k)
            if partial.missing:
                raise errors.MissingDerivative(self.place(value), optable.NAMES[instr.op].lower(), k,
                                               optable.ROWS[instr.op].missing[k])
            if partial.n == 0 and partial.constant == 0.0:
                continue
            part = emit_partial(self.new, partial, dtype, shape, x[0], x[1], x[2], self.number[value])
            t = self.new.elementwise(AD_OP_MULZ, dtype, joint_shape(self.new, t, part, -1, shape), t, part)
            total = self.plus(total, t, dtype, shape)
        return total

    cdef int32_t matmul_rule(self, int32_t value) except -2:
        cdef Instr *instr = &self.old.code[value]
        cdef int32_t shape = self.shape_of(value), total = NONE
        if self.tangent[instr.x1] != NONE:
            total = self.new.matmul(instr.dtype, self.dense(instr.x1), self.number[instr.x2], shape)
        if self.tangent[instr.x2] != NONE:
            total = self.plus(total, self.new.matmul(instr.dtype, self.number[instr.x1], self.dense(instr.x2), shape),
                              instr.dtype, shape)
        return total

    cdef int32_t extremum_rule(self, int32_t value) except -2:
        """max, min over a map: the mean of the tangents of what ties."""
        cdef Instr *instr = &self.old.code[value]
        cdef int32_t space = self.shape_of(instr.x1), shape = self.shape_of(value), x = instr.x1
        cdef int64_t *m = self.old.ints + instr.param
        cdef uint8_t dtype = instr.dtype
        cdef int32_t y = self.new.view(dtype, self.number[value], space, m[0], m + 1)
        cdef int32_t mask = self.new.elementwise(AD_OP_EQ, BOOL, space, self.number[x], y)
        cdef int32_t ones = self.new.elementwise(AD_OP_IDENTITY, F64, space, mask)
        cdef int32_t n = self.new.store(AD_OP_SUM, F64, -1, ones, shape, m[0], m + 1)
        cdef int32_t chosen = self.new.elementwise(AD_OP_WHERE, dtype, space, mask, self.dense(x),
                                                   self.new.literal(0.0))
        chosen = self.new.store(AD_OP_SUM, dtype, -1, self.new.in_shape(chosen, space, dtype), shape, m[0], m + 1)
        return self.new.elementwise(AD_OP_DIV, dtype, shape, chosen, n)

    cdef int32_t pack_rule(self, int32_t value) except -2:
        cdef Instr *instr = &self.old.code[value]
        cdef int32_t shape = self.shape_of(value), args, where
        cdef int64_t number
        cdef int k, n = n_args(instr)
        for k in range(n):              # emit what is missing before the list of arguments begins
            self.dense(arg(instr, self.old.ints, k))
        tangents = [self.dense(arg(instr, self.old.ints, k)) for k in range(n)]
        args = <int32_t>self.new.out.n_ints
        for k in range(n):
            number = tangents[k]
            self.new.out.add_ints(&number, 1)
        where = self.new.out.add_ints(self.old.ints + instr.param, n - 1)
        return self.new.append(instr.op, instr.dtype, NARY, args, n, -1, shape, where)

    cdef int32_t call_rule(self, int32_t value) except -2:
        """The rule's own program of the tangent."""
        cdef Instr *instr = &self.old.code[value]
        cdef int32_t x
        args = self.old.args_list(value)
        silent = getattr(self.old.rules[instr.param], "silent", ())      # positions that no tangent flows from
        given = tuple([self.tangent[x] != NONE and k not in silent for k, x in enumerate(args)])
        if True not in given:
            return NONE
        program = self.old.rules[instr.param].tangent_program(
            [(self.old.shape_tuple(x), DTYPE_NAMES[self.old.code[x].dtype]) for x in [value, *args]], given, self.place(value))
        inputs = [self.number[value], *[self.number[x] for x in args], *[self.dense(x) for x, use in zip(args, given) if use]]
        return self.new.in_shape(self.new.inline(program, inputs)[0], self.shape_of(value), instr.dtype)

    cdef int32_t rule(self, int32_t value) except -2:
        """The tangent of a value that has an argument with one."""
        cdef Instr *instr = &self.old.code[value]
        cdef int64_t *m = self.old.ints + instr.param
        cdef uint8_t dtype = instr.dtype
        cdef int32_t shape
        cdef int op = instr.op
        if op < AD_N_ELEMENTWISE:
            return self.elementwise_rule(value)
        shape = self.shape_of(value)
        if op == AD_OP_VIEW:
            return self.new.view(dtype, self.dense(instr.x1), shape, m[0], m + 1)
        if op == AD_OP_SUM:
            return self.new.store(op, dtype, -1, self.dense(instr.x1), shape, m[0], m + 1)
        if op == AD_OP_ACCUMULATE or op == AD_OP_UPDATE:
            return self.new.store(op, dtype, self.dense(instr.x1), self.dense(instr.x2), shape, m[0], m + 1)
        if op == AD_OP_FULL:
            return self.new.full(dtype, self.dense(instr.x1), shape)
        if op == AD_OP_MATMUL:
            return self.matmul_rule(value)
        if op == AD_OP_REDUCE_MAX or op == AD_OP_REDUCE_MIN:
            return self.extremum_rule(value)
        if op == AD_OP_PACK or op == AD_OP_PACK_ADD:
            return self.pack_rule(value)
        if op == AD_OP_GATHER:
            return self.new.append(op, dtype, 2, self.dense(instr.x1), self.number[instr.x2], -1, shape, -1)
        if op == AD_OP_SCATTER_ADD or op == AD_OP_PUT:
            return self.new.append(op, dtype, 3, self.dense(instr.x1), self.dense(instr.x2),
                                   self.number[instr.x3], shape, -1)
        if op == AD_OP_CUMSUM:
            return self.new.append(op, dtype, 1, self.dense(instr.x1), -1, -1, shape, self.new.out.add_ints(m, 4))
        if op == AD_OP_CALL:
            return self.call_rule(value)
        raise errors.MissingDerivative(self.place(value), optable.NAMES[op].lower(), 0, "no forward rule is written")

    def place(self, int32_t value):
        """The user's source line of an instruction, or None."""
        cdef int32_t line = self.old.line[value]
        return self.old.sources[line] if 0 <= line < len(self.old.sources) else None

    # -- the pass ----------------------------------------------------------------------

    cdef Program run(self, list wrt):
        cdef Py_ssize_t i, n = self.old.length
        cdef int32_t first = self.old.n_inputs, y
        cdef Instr *instr
        cdef dict position = {k: j for j, k in enumerate(wrt)}
        cdef int k
        if len(position) != len(wrt):
            raise ValueError(f"an input is named twice in {wrt}")
        self.new.out.n_inputs = first + <int32_t>len(wrt)
        for i in range(n):
            self.number[i] = self.new.translate(self.old, <int32_t>i, self.number)
            instr = &self.old.code[i]
            if instr.dtype == BOOL or instr.dtype == I64:
                continue
            if instr.op == AD_OP_INPUT and instr.param in position:
                self.tangent[i] = self.new.append(AD_OP_INPUT, instr.dtype, 0, -1, -1, -1, self.shape_of(<int32_t>i),
                                                  first + <int32_t>position[instr.param])
                continue
            for k in range(n_args(instr)):
                if self.tangent[arg(instr, self.old.ints, k)] != NONE:
                    self.tangent[i] = self.rule(<int32_t>i)
                    break
        results = [self.number[self.old.results[i]] for i in range(self.old.n_results)]
        for i in range(self.old.n_results):
            y = self.old.results[i]
            if self.old.code[y].dtype == BOOL or self.old.code[y].dtype == I64:
                results.append(self.new.filled(F64, 0.0, self.shape_of(y)))
            else:
                results.append(self.dense(y))
        self.new.out.set_results(results)
        return self.new.out


def forward(Program program, list wrt):
    """The program of the outputs and of their tangents.

    The tangents of the inputs numbered in ``wrt`` are new inputs, numbered after the existing ones;
    the tangents of the outputs follow the outputs, one each. An output that depends on none of ``wrt``
    has a tangent of zeros, and so has a BOOL or I64 one (as F64).

    Keeps: the primal outputs, first. Loses: value numbers. Cost: linear in the program.

    Raises
    ------
    MissingDerivative
        An active instruction has no derivative rule; names the op and the user's line.
    """
    return Forward(program).run(wrt)
