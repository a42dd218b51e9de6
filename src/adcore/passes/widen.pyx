"""Several seeds through one sweep: values that depend on them get one more axis, the last."""

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport int32_t, int64_t, uint8_t

from adcore import errors, optable

from adcore.optable.opcodes cimport *
from adcore.passes.builder cimport Builder
from adcore.tape.program cimport I64, Instr, NARY, Program, SCALAR_SHAPE, arg, n_args

cdef enum:
    MAX_DIMS = 64


class Scaled:
    """Offsets that are computed, for arrays whose elements are this many times as far apart."""

    def __init__(self, factor):
        self.factor = factor

    def __repr__(self):
        return f"offsets times {self.factor}"

    def __eq__(self, other):
        return isinstance(other, Scaled) and self.factor == other.factor

    def __hash__(self):
        return hash(self.factor)

    def evaluate(self, offsets):
        return offsets * self.factor


cdef class Widen:
    """One application of the pass."""

    cdef Program old
    cdef Builder new
    cdef int64_t width
    cdef int32_t *number            # old value -> new value
    cdef uint8_t *wide              # does it have the further axis?
    cdef dict scaled                # constant of offsets -> its multiple's number
    cdef list constants             # (old constant, multiple) of the new ones

    def __cinit__(self, Program old, int64_t width):
        self.old = old
        self.new = Builder(old)
        self.width = width
        self.scaled = {}
        self.constants = []
        self.number = <int32_t *>PyMem_RawMalloc((old.length + 1) * sizeof(int32_t))
        self.wide = <uint8_t *>PyMem_RawMalloc(old.length + 1)
        if not self.number or not self.wide:
            raise MemoryError()

    def __dealloc__(self):
        PyMem_RawFree(self.number)
        PyMem_RawFree(self.wide)

    # -- shapes ------------------------------------------------------------------

    cdef int32_t wide_shape(self, int32_t shape) except -1:
        """A shape of the old program with the further axis."""
        cdef int64_t[MAX_DIMS] dims
        cdef int64_t k, n = self.old.ints[shape]
        if n + 1 > MAX_DIMS:
            raise errors.AdcoreError(f"an array of {n} dimensions has no room for one more")
        for k in range(n):
            dims[k] = self.old.ints[shape + 1 + k]
        dims[n] = self.width
        return self.new.out.add_shape(n + 1, dims)

    cdef int32_t widened(self, int32_t value, int32_t shape) except -1:
        """An old value as an array of an old shape with the further axis: repeated along what it lacks."""
        cdef int64_t[MAX_DIMS] strides
        cdef int64_t k, n = self.old.ints[shape], own = self.old.ints[self.old.code[value].shape], step = self.width
        cdef int32_t target = self.wide_shape(shape)
        if self.wide[value] and own == n:
            return self.number[value]
        if self.old.code[value].op == AD_OP_EMPTY:      # nothing to read: each seed has an empty array of its own
            return self.new.append(AD_OP_EMPTY, self.old.code[value].dtype, 0, -1, -1, -1, target, -1)
        if own == 0 and not self.wide[value]:
            return self.new.full(self.old.code[value].dtype, self.number[value], target)
        if self.wide[value]:            # a scalar for each seed
            for k in range(n):
                strides[k] = 0
            strides[n] = 1
        else:
            step = 1
            for k in range(n - 1, -1, -1):
                strides[k] = step
                step *= self.old.ints[shape + 1 + k]
            strides[n] = 0
        return self.new.view(self.old.code[value].dtype, self.number[value], target, 0, strides)

    cdef int64_t spread_map(self, int32_t param, int64_t n, int64_t *strides) noexcept:
        """The old map at ``param`` over the further axis as well; returns its offset."""
        cdef int64_t k
        for k in range(n):
            strides[k] = self.old.ints[param + 1 + k] * self.width
        strides[n] = 1
        return self.old.ints[param] * self.width

    cdef int32_t scaled_offsets(self, int32_t value) except -1:
        """The offsets of a gather or scatter, for an array whose elements are ``width`` times as far apart."""
        cdef Instr *instr = &self.old.code[value]
        cdef int32_t shape
        cdef int64_t number = self.number[value]
        if instr.op != AD_OP_CONST:
            return self.new.append(AD_OP_CALL, I64, NARY, <int32_t>self.new.out.add_ints(&number, 1), 1, -1,
                                   self.new.copy_shape(self.old, instr.shape), self.new.rule_number(Scaled(self.width)))
        if instr.param not in self.scaled:
            self.scaled[instr.param] = self.new.out.n_consts
            self.new.out.n_consts += 1
            self.constants.append((instr.param, self.width))
        shape = self.new.copy_shape(self.old, instr.shape)
        return self.new.append(AD_OP_CONST, I64, 0, -1, -1, -1, shape, <int32_t>self.scaled[instr.param])

    # -- rules ---------------------------------------------------------------------

    cdef int32_t elementwise_rule(self, int32_t value) except -1:
        cdef Instr *instr = &self.old.code[value]
        cdef int32_t shape = self.wide_shape(instr.shape), a
        cdef int32_t[3] x
        cdef int k
        x[0] = x[1] = x[2] = -1
        for k in range(instr.nargs):
            a = arg(instr, self.old.ints, k)
            if not self.wide[a] and self.old.ints[self.old.code[a].shape] == 0:
                x[k] = self.number[a]
            else:
                x[k] = self.widened(a, instr.shape)
        return self.new.elementwise(instr.op, instr.dtype, shape, x[0], x[1], x[2])

    cdef int32_t map_rule(self, int32_t value) except -1:
        """view, sum, reductions, accumulate, update."""
        cdef Instr *instr = &self.old.code[value]
        cdef int64_t[MAX_DIMS] strides
        cdef int32_t shape = self.wide_shape(instr.shape), written = instr.x1 if instr.nargs == 1 else instr.x2
        cdef int64_t offset
        if instr.op == AD_OP_VIEW:
            offset = self.spread_map(instr.param, self.old.ints[instr.shape], strides)
            return self.new.view(instr.dtype, self.number[instr.x1], shape, offset, strides)
        offset = self.spread_map(instr.param, self.old.ints[self.old.code[written].shape], strides)
        if instr.nargs == 1:
            return self.new.store(instr.op, instr.dtype, -1, self.number[written], shape, offset, strides)
        return self.new.store(instr.op, instr.dtype, self.widened(instr.x1, instr.shape),
                              self.widened(written, self.old.code[written].shape), shape, offset, strides)

    cdef int32_t rearranged(self, int32_t value, uint8_t dtype, list shape, list strides) except -1:
        """A view of a new value by lists."""
        cdef int64_t[MAX_DIMS] d, s
        cdef Py_ssize_t k
        for k in range(len(shape)):
            d[k] = shape[k]
            s[k] = strides[k]
        return self.new.view(dtype, value, self.new.out.add_shape(len(shape), d), 0, s)

    cdef int32_t product(self, uint8_t dtype, int32_t a, int32_t b, list shape) except -1:
        cdef int64_t[MAX_DIMS] d
        cdef Py_ssize_t k
        for k in range(len(shape)):
            d[k] = shape[k]
        return self.new.append(AD_OP_MATMUL, dtype, 2, a, b, -1, self.new.out.add_shape(len(shape), d), -1)

    cdef int32_t matmul_rule(self, int32_t value) except -1:
        """The further axis joins the columns where one operand has it; where both do, it becomes a batch."""
        cdef Instr *instr = &self.old.code[value]
        cdef uint8_t dtype = instr.dtype
        cdef int64_t w = self.width, rows, inner, cols, k
        cdef int32_t x1 = self.number[instr.x1], x2 = self.number[instr.x2], out
        cdef list shape = list(self.old.shape_tuple(value)), steps = []
        cdef Py_ssize_t n = len(shape)
        cdef list batch = shape[:n - 2]
        rows = <object>self.old.shape_tuple(instr.x1)[n - 2]
        inner = <object>self.old.shape_tuple(instr.x1)[n - 1]
        cols = shape[n - 1]
        k = 1
        for d in reversed(batch):
            steps.insert(0, k)
            k *= d
        if not self.wide[instr.x1]:
            # (.., rows, inner) @ (.., inner, cols * w)
            x2 = self.rearranged(x2, dtype, batch + [inner, cols * w],
                                 [s * inner * cols * w for s in steps] + [cols * w, 1])
            out = self.product(dtype, x1, x2, batch + [rows, cols * w])
            return self.rearranged(out, dtype, batch + [rows, cols, w],
                                   [s * rows * cols * w for s in steps] + [cols * w, w, 1])
        if not self.wide[instr.x2]:
            # for each row: (cols, inner) @ (inner, w)
            x2 = self.rearranged(x2, dtype, batch + [rows, cols, inner],
                                 [s * inner * cols for s in steps] + [0, 1, cols])
            return self.product(dtype, x2, x1, batch + [rows, cols, w])
        x1 = self.rearranged(x1, dtype, batch + [w, rows, inner],
                             [s * rows * inner * w for s in steps] + [1, inner * w, w])
        x2 = self.rearranged(x2, dtype, batch + [w, inner, cols],
                             [s * inner * cols * w for s in steps] + [1, cols * w, w])
        out = self.product(dtype, x1, x2, batch + [w, rows, cols])
        return self.rearranged(out, dtype, batch + [rows, cols, w],
                               [s * rows * cols * w for s in steps] + [cols, 1, rows * cols])

    cdef int32_t pack_rule(self, int32_t value) except -1:
        """Scalars written into an array: each is a row of seeds now."""
        cdef Instr *instr = &self.old.code[value]
        cdef int32_t base = self.widened(arg(instr, self.old.ints, 0), instr.shape), x
        cdef int32_t shape = self.wide_shape(instr.shape)
        cdef int64_t one = 1
        cdef int k
        for k in range(n_args(instr) - 1):
            x = self.widened(arg(instr, self.old.ints, k + 1), SCALAR_SHAPE)
            base = self.new.store(AD_OP_UPDATE if instr.op == AD_OP_PACK else AD_OP_ACCUMULATE, instr.dtype, base, x,
                                  shape, self.old.ints[instr.param + k] * self.width, &one)
        return base

    cdef int32_t call_rule(self, int32_t value) except -1:
        """A call for each seed, its result put where that seed's elements are."""
        cdef Instr *instr = &self.old.code[value]
        cdef int32_t shape = self.wide_shape(instr.shape), out, x, at
        cdef int64_t seed, number
        cdef int64_t[MAX_DIMS] strides
        cdef int k, n = n_args(instr)
        out = self.new.append(AD_OP_EMPTY, instr.dtype, 0, -1, -1, -1, shape, -1)
        for seed in range(self.width):
            args = []
            for k in range(n):
                x = arg(instr, self.old.ints, k)
                if self.wide[x]:
                    self.dense_map(self.old.code[x].shape, strides)
                    args.append(self.new.view(self.old.code[x].dtype, self.number[x],
                                              self.new.copy_shape(self.old, self.old.code[x].shape), seed, strides))
                else:
                    args.append(self.number[x])
            at = <int32_t>self.new.out.n_ints
            for k in range(n):
                number = args[k]
                self.new.out.add_ints(&number, 1)
            x = self.new.append(AD_OP_CALL, instr.dtype, NARY, at, n, -1, self.new.copy_shape(self.old, instr.shape),
                                self.new.rule_number(self.old.rules[instr.param]))
            self.dense_map(instr.shape, strides)
            out = self.new.store(AD_OP_UPDATE, instr.dtype, out, x, shape, seed, strides)
        return out

    cdef void dense_map(self, int32_t shape, int64_t *strides) noexcept:
        """Strides of one seed's elements in an array that holds all seeds."""
        cdef int64_t step = self.width, k
        for k in range(self.old.ints[shape] - 1, -1, -1):
            strides[k] = step
            step *= self.old.ints[shape + 1 + k]

    cdef int32_t rule(self, int32_t value) except -1:
        cdef Instr *instr = &self.old.code[value]
        cdef int64_t[4] numbers
        cdef int op = instr.op, k
        if op < AD_N_ELEMENTWISE:
            return self.elementwise_rule(value)
        if op in (AD_OP_VIEW, AD_OP_SUM, AD_OP_REDUCE_MAX, AD_OP_REDUCE_MIN, AD_OP_REDUCE_PROD, AD_OP_ACCUMULATE,
                  AD_OP_UPDATE):
            return self.map_rule(value)
        if op == AD_OP_FULL:
            return self.widened(instr.x1, instr.shape)
        if op == AD_OP_MATMUL:
            return self.matmul_rule(value)
        if op == AD_OP_PACK or op == AD_OP_PACK_ADD:
            return self.pack_rule(value)
        if op == AD_OP_GATHER:
            return self.new.append(op, instr.dtype, 2, self.number[instr.x1], self.scaled_offsets(instr.x2), -1,
                                   self.wide_shape(instr.shape), -1)
        if op == AD_OP_SCATTER_ADD or op == AD_OP_PUT:
            return self.new.append(op, instr.dtype, 3, self.widened(instr.x1, instr.shape),
                                   self.widened(instr.x2, self.old.code[instr.x2].shape),
                                   self.scaled_offsets(instr.x3), self.wide_shape(instr.shape), -1)
        if op == AD_OP_CALL:
            return self.call_rule(value)
        if op == AD_OP_CUMSUM:
            for k in range(4):
                numbers[k] = self.old.ints[instr.param + k]
            numbers[2] *= self.width
            return self.new.append(op, instr.dtype, 1, self.number[instr.x1], -1, -1, self.wide_shape(instr.shape),
                                   self.new.out.add_ints(numbers, 4))
        raise errors.AdcoreError(f"no rule takes several seeds through {optable.NAMES[op].lower()}")

    # -- the pass ----------------------------------------------------------------------

    cdef Program run(self, set inputs, set outputs):
        cdef Py_ssize_t i, n = self.old.length
        cdef Instr *instr
        cdef int k
        for i in range(n):
            instr = &self.old.code[i]
            self.wide[i] = instr.op == AD_OP_INPUT and instr.param in inputs
            if self.wide[i]:
                self.number[i] = self.new.append(AD_OP_INPUT, instr.dtype, 0, -1, -1, -1,
                                                 self.wide_shape(instr.shape), instr.param)
                continue
            for k in range(n_args(instr)):
                self.wide[i] |= self.wide[arg(instr, self.old.ints, k)]
            if self.wide[i]:
                self.new.line = self.old.line[i]
                self.number[i] = self.rule(<int32_t>i)
            else:
                self.number[i] = self.new.translate(self.old, <int32_t>i, self.number)
        results = []
        for i in range(self.old.n_results):
            k = self.old.results[i]
            results.append(self.widened(k, self.old.code[k].shape) if i in outputs else self.number[k])
        self.new.out.set_results(results)
        return self.new.out


def widen(Program program, list inputs, list outputs, int64_t width):
    """The program for ``width`` seeds at once, and the constants it has more.

    The inputs numbered in ``inputs`` and the outputs at the positions ``outputs`` have one more axis, the last, of
    this length. Each further constant is given as ``(k, c)``: c times constant k.

    Keeps: outputs and their order; for each seed the values of the program for this seed alone, up to the
    order of summation in products of matrices.
    """
    widened = Widen(program, width)
    return widened.run(set(inputs), set(outputs)), widened.constants
