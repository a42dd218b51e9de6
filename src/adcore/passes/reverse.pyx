"""Reverse mode: a program for values becomes a program for values and adjoints."""

from cython cimport final
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memset

from adcore import errors, optable

from adcore.optable.opcodes cimport *
from adcore.passes.builder cimport Builder
from adcore.passes.templates cimport Partial, emit_partial, joint_shape, partial_of
from adcore.plan.pool cimport Pool, pool_add, pool_free, pool_init
from adcore.tape.program import DTYPE_NAMES

from adcore.tape.program cimport BOOL, F64, I64, Instr, NARY, Program, SCALAR_SHAPE, arg, n_args
from adcore.tape.shelf cimport Shelf, shelf_free, shelf_init, shelf_take, shelf_take_numbers

cdef enum:
    MAX_DIMS = 64
    WAITING = 2             # dense contributions to one adjoint that wait to be summed; later ones are added at once

cdef enum Kind:
    DENSE = 0           # an array of the value's own shape
    MAPPED = 1          # through an affine map
    ELEMENT = 2         # a scalar at one element
    INDEXED = 3         # rows at run-time offsets

cdef struct Contribution:
    uint8_t kind
    int32_t value       # adjoint contribution, a value of the new program
    int32_t where       # MAPPED: the view instruction in the old program; INDEXED: the offsets
    int64_t element
    int32_t next


@final
cdef class Reverse:
    """One application of reverse mode; lives while the pass runs."""

    cdef Program old
    cdef Builder new
    cdef Shelf shelf                # holds the columns
    cdef int32_t *number            # old value -> new value
    cdef int32_t *first             # contributions to the adjoint of an old value
    cdef uint8_t *waiting           # how many dense ones, up to WAITING
    cdef uint8_t *active            # depends on a differentiated input, and an output depends on it
    cdef Pool contributions

    def __cinit__(self, Program old):
        cdef Py_ssize_t n = old.length + 1
        self.old = old
        self.new = Builder(old, True, 3 * old.length)
        pool_init(&self.contributions, sizeof(Contribution))
        shelf_init(&self.shelf, n * (2 * sizeof(int32_t) + 2) + 4 * 64)
        self.number = <int32_t *>shelf_take_numbers(&self.shelf, n)
        self.first = <int32_t *>shelf_take_numbers(&self.shelf, n)
        self.waiting = <uint8_t *>shelf_take(&self.shelf, n, 1)
        self.active = <uint8_t *>shelf_take(&self.shelf, n, 1)

    def __dealloc__(self):
        pool_free(&self.contributions)
        shelf_free(&self.shelf)

    cdef int find_active(self, set wrt) except -1:
        """Varied values: those that depend on an input in ``wrt`` through something differentiable."""
        cdef Py_ssize_t i
        cdef Instr *instr
        cdef int k
        for i in range(self.old.length):
            instr = &self.old.code[i]
            if instr.dtype == BOOL or instr.dtype == I64:
                continue
            if instr.op == AD_OP_INPUT:
                self.active[i] = instr.param in wrt
                continue
            for k in range(n_args(instr)):
                if self.active[arg(instr, self.old.ints, k)]:
                    self.active[i] = 1
                    break
        return 0

    # -- contributions -----------------------------------------------------------

    cdef int contribute(self, int32_t to, Kind kind, int32_t value, int32_t where, int64_t element) except -1:
        """Note one part of an adjoint. Of a long list only the newest parts wait: the others would occupy memory until the end."""
        cdef Contribution *it
        cdef int32_t shape
        cdef uint8_t dtype
        if not self.active[to]:
            return 0
        if kind == DENSE and self.waiting[to] < WAITING:
            self.waiting[to] += 1
        elif kind == DENSE:
            it = (<Contribution *>self.contributions.data) + self.first[to]
            if it.kind == DENSE:
                dtype = self.old.code[to].dtype
                shape = self.new.copy_shape(self.old, self.old.code[to].shape)
                it.value = self.new.elementwise(AD_OP_ADD, dtype, shape, self.new.in_shape(it.value, shape, dtype),
                                                self.new.in_shape(value, shape, dtype))
                return 0
        it = <Contribution *>pool_add(&self.contributions, 1)
        it.kind = kind
        it.value = value
        it.where = where
        it.element = element
        it.next = self.first[to]
        self.first[to] = <int32_t>(self.contributions.n - 1)
        return 0

    cdef int32_t adjoint(self, int32_t of) except -1:
        """The sum of what was contributed: dense parts, then mapped ones, then single elements."""
        cdef Instr *instr = &self.old.code[of]
        cdef int32_t shape = self.new.copy_shape(self.old, instr.shape)
        cdef uint8_t dtype = instr.dtype
        cdef int32_t total = -1, at, n_elements = 0
        cdef Contribution *all = <Contribution *>self.contributions.data
        cdef int32_t x
        at = self.first[of]
        while at >= 0:
            if all[at].kind == DENSE:
                x = self.new.in_shape(all[at].value, shape, dtype)
                total = x if total < 0 else self.new.elementwise(AD_OP_ADD, dtype, shape, total, x)
            elif all[at].kind == ELEMENT:
                n_elements += 1
            at = all[at].next
        at = self.first[of]
        while at >= 0:
            if all[at].kind == MAPPED:
                total = self.add_mapped(total, all[at].value, &self.old.code[all[at].where], shape, dtype)
            elif all[at].kind == INDEXED:
                if total < 0:
                    total = self.new.filled(dtype, 0.0, shape)
                total = self.new.append(AD_OP_SCATTER_ADD, dtype, 3, total, all[at].value, all[at].where, shape, -1)
            at = all[at].next
        if n_elements:
            total = self.add_elements(total, of, shape, dtype, n_elements)
        return total

    cdef int32_t add_mapped(self, int32_t total, int32_t g, Instr *view, int32_t shape, uint8_t dtype) except -1:
        """The transpose of a view: g written through the view's map."""
        cdef int32_t space = self.new.copy_shape(self.old, view.shape)
        g = self.new.in_shape(g, space, dtype)
        if total < 0:
            return self.new.store(AD_OP_SUM, dtype, -1, g, shape, self.old.ints[view.param],
                                  self.old.ints + view.param + 1)
        return self.new.store(AD_OP_ACCUMULATE, dtype, total, g, shape, self.old.ints[view.param],
                              self.old.ints + view.param + 1)

    cdef int32_t add_elements(self, int32_t total, int32_t of, int32_t shape, uint8_t dtype, int32_t n) except -1:
        """All scalar reads of one array in one instruction: a loop of n reads costs O(n)."""
        cdef int32_t at = self.first[of], args, where
        cdef int64_t number
        cdef Contribution *it
        if total < 0:
            total = self.new.filled(dtype, 0.0, shape)
        args = <int32_t>self.new.out.n_ints
        number = total
        self.new.out.add_ints(&number, 1)
        while at >= 0:
            it = (<Contribution *>self.contributions.data) + at
            if it.kind == ELEMENT:
                number = it.value
                self.new.out.add_ints(&number, 1)
            at = it.next
        where = <int32_t>self.new.out.n_ints
        at = self.first[of]
        while at >= 0:
            it = (<Contribution *>self.contributions.data) + at
            if it.kind == ELEMENT:
                number = it.element
                self.new.out.add_ints(&number, 1)
            at = it.next
        return self.new.append(AD_OP_PACK_ADD, dtype, NARY, args, n + 1, -1, shape, where)

    # -- rules ---------------------------------------------------------------------

    cdef int elementwise_rule(self, int32_t value, int32_t g) except -1:
        cdef Instr *instr = &self.old.code[value]
        cdef int32_t shape = self.new.copy_shape(self.old, instr.shape)
        cdef uint8_t dtype = instr.dtype
        cdef Partial *partial
        cdef int32_t part, to, c
        cdef int32_t[3] x
        cdef int k
        for k in range(3):
            x[k] = self.number[arg(instr, self.old.ints, k)] if k < instr.nargs else -1
        for k in range(instr.nargs):
            to = arg(instr, self.old.ints, k)
            if not self.active[to]:
                continue
            partial = partial_of(instr.op, k)
            if partial.missing:
                raise errors.MissingDerivative(self.place(value), optable.NAMES[instr.op].lower(), k,
                                               optable.ROWS[instr.op].missing[k])
            if partial.n == 0 and partial.constant == 0.0:
                continue
            if instr.op == AD_OP_WHERE:
                # chosen, not multiplied: what was not taken contributes nothing at all
                part = self.new.literal(0.0)
                c = self.new.elementwise(AD_OP_WHERE, dtype, shape, x[0], g if k == 1 else part,
                                         part if k == 1 else g)
            elif partial.n == 0:
                part = self.new.literal(partial.constant)
                c = self.new.elementwise(AD_OP_MUL, dtype, shape, g, part)
            else:
                part = emit_partial(self.new, partial, dtype, shape, x[0], x[1], x[2], self.number[value])
                c = self.new.elementwise(AD_OP_MULZ, dtype, joint_shape(self.new, g, part, -1, shape), g, part)
            self.contribute_reduced(to, c, shape)
        return 0

    cdef int contribute_reduced(self, int32_t to, int32_t c, int32_t shape) except -1:
        """A contribution of the instruction's shape to an argument that may be a scalar."""
        cdef int64_t[MAX_DIMS] zeros
        if self.old.ints[self.old.code[to].shape] == 0 and self.new.out.ints[shape] > 0:
            memset(zeros, 0, sizeof(zeros))
            c = self.new.in_shape(c, shape, self.old.code[to].dtype)
            c = self.new.store(AD_OP_SUM, self.old.code[to].dtype, -1, c, SCALAR_SHAPE, 0, zeros)
        return self.contribute(to, DENSE, c, -1, 0)

    cdef int32_t view_through(self, int32_t base, int32_t value, uint8_t dtype, Instr *instr) except -1:
        """``view(base; map of instr)`` with the shape of old value ``value``."""
        cdef int32_t shape = self.new.copy_shape(self.old, self.old.code[value].shape)
        return self.new.view(dtype, base, shape, self.old.ints[instr.param], self.old.ints + instr.param + 1)

    cdef int32_t transposed(self, int32_t value) except -1:
        """A matrix (or batch of them) with its last two axes swapped."""
        cdef Instr *instr = &self.new.out.code[value]
        cdef int64_t[MAX_DIMS] dims
        cdef int64_t[MAX_DIMS] strides
        cdef int64_t n = self.new.out.ints[instr.shape], k, step = 1
        cdef uint8_t dtype = instr.dtype
        for k in range(n - 1, -1, -1):
            dims[k] = self.new.out.ints[instr.shape + 1 + k]
            strides[k] = step
            step *= dims[k]
        dims[n - 1], dims[n - 2] = dims[n - 2], dims[n - 1]
        strides[n - 1], strides[n - 2] = strides[n - 2], strides[n - 1]
        return self.new.view(dtype, value, self.new.out.add_shape(n, dims), 0, strides)

    cdef int matmul_rule(self, int32_t value, int32_t g) except -1:
        cdef Instr *instr = &self.old.code[value]
        cdef int32_t c
        if self.active[instr.x1]:
            c = self.new.matmul(instr.dtype, g, self.transposed(self.number[instr.x2]),
                                self.new.copy_shape(self.old, self.old.code[instr.x1].shape))
            self.contribute(instr.x1, DENSE, c, -1, 0)
        if self.active[instr.x2]:
            c = self.new.matmul(instr.dtype, self.transposed(self.number[instr.x1]), g,
                                self.new.copy_shape(self.old, self.old.code[instr.x2].shape))
            self.contribute(instr.x2, DENSE, c, -1, 0)
        return 0

    cdef int extremum_rule(self, int32_t value, int32_t g) except -1:
        """max, min over a map: ties share equally."""
        cdef Instr *instr = &self.old.code[value]
        cdef int32_t shape = self.new.copy_shape(self.old, self.old.code[instr.x1].shape)
        cdef int32_t result = self.new.copy_shape(self.old, instr.shape)
        cdef int32_t y = self.view_through(self.number[value], instr.x1, instr.dtype, instr)
        cdef int32_t mask = self.new.elementwise(AD_OP_EQ, BOOL, shape, self.number[instr.x1], y)
        cdef int32_t ones = self.new.elementwise(AD_OP_IDENTITY, F64, shape, mask)
        cdef int32_t count = self.new.store(AD_OP_SUM, F64, -1, ones, result, self.old.ints[instr.param],
                                            self.old.ints + instr.param + 1)
        cdef int32_t share = self.new.elementwise(AD_OP_DIV, instr.dtype, result, g, count)
        cdef int32_t spread = self.view_through(share, instr.x1, instr.dtype, instr)
        return self.contribute(instr.x1, DENSE, self.new.elementwise(
            AD_OP_WHERE, instr.dtype, shape, mask, spread, self.new.literal(0.0)), -1, 0)

    cdef int pack_rule(self, int32_t value, int32_t g) except -1:
        cdef Instr *instr = &self.old.code[value]
        cdef int32_t base = arg(instr, self.old.ints, 0), to, args, where, zero
        cdef int32_t shape = self.new.copy_shape(self.old, instr.shape)
        cdef int64_t number
        cdef int k, n = n_args(instr) - 1
        for k in range(n):
            to = arg(instr, self.old.ints, k + 1)
            if self.active[to]:
                self.contribute(to, DENSE, self.new.view(instr.dtype, g, SCALAR_SHAPE,
                                                         self.old.ints[instr.param + k], NULL), -1, 0)
        if self.active[base]:
            if instr.op == AD_OP_PACK:
                zero = self.new.literal(0.0)
                args = <int32_t>self.new.out.n_ints
                number = g
                self.new.out.add_ints(&number, 1)
                number = zero
                for k in range(n):  # no-cython-lint
                    self.new.out.add_ints(&number, 1)
                where = self.new.out.add_ints(self.old.ints + instr.param, n)
                g = self.new.append(AD_OP_PACK, instr.dtype, NARY, args, n + 1, -1, shape, where)
            self.contribute(base, DENSE, g, -1, 0)
        return 0

    cdef int rule(self, int32_t value, int32_t g) except -1:
        """Pass the adjoint g of a value on to the arguments of its instruction."""
        cdef Instr *instr = &self.old.code[value]
        cdef int32_t shape, zeros
        cdef int op = instr.op
        if op < AD_N_ELEMENTWISE:
            return self.elementwise_rule(value, g)
        if op == AD_OP_VIEW:
            if self.old.ints[instr.shape] == 0 and self.old.ints[self.old.code[instr.x1].shape] > 0:
                return self.contribute(instr.x1, ELEMENT, g, -1, self.old.ints[instr.param])
            return self.contribute(instr.x1, MAPPED, g, value, 0)
        if op == AD_OP_SUM:
            return self.contribute(instr.x1, DENSE, self.view_through(g, instr.x1, instr.dtype, instr), -1, 0)
        if op == AD_OP_ACCUMULATE or op == AD_OP_UPDATE:
            if self.active[instr.x2]:
                self.contribute(instr.x2, DENSE, self.view_through(g, instr.x2, instr.dtype, instr), -1, 0)
            if self.active[instr.x1]:
                if op == AD_OP_UPDATE:
                    shape = self.new.copy_shape(self.old, instr.shape)
                    zeros = self.new.filled(instr.dtype, 0.0,
                                            self.new.copy_shape(self.old, self.old.code[instr.x2].shape))
                    g = self.new.store(AD_OP_UPDATE, instr.dtype, g, zeros, shape, self.old.ints[instr.param],
                                       self.old.ints + instr.param + 1)
                self.contribute(instr.x1, DENSE, g, -1, 0)
            return 0
        if op == AD_OP_FULL:
            return self.contribute_reduced(instr.x1, g, self.new.copy_shape(self.old, instr.shape))
        if op == AD_OP_MATMUL:
            return self.matmul_rule(value, g)
        if op == AD_OP_REDUCE_MAX or op == AD_OP_REDUCE_MIN:
            return self.extremum_rule(value, g)
        if op == AD_OP_PACK or op == AD_OP_PACK_ADD:
            return self.pack_rule(value, g)
        if op == AD_OP_GATHER:
            return self.contribute(instr.x1, INDEXED, g, self.number[instr.x2], 0)
        if op == AD_OP_SCATTER_ADD or op == AD_OP_PUT:
            shape = self.new.copy_shape(self.old, self.old.code[instr.x2].shape)
            if self.active[instr.x2]:
                self.contribute(instr.x2, DENSE, self.new.append(
                    AD_OP_GATHER, instr.dtype, 2, g, self.number[instr.x3], -1, shape, -1), -1, 0)
            if self.active[instr.x1]:
                if op == AD_OP_PUT:
                    zeros = self.new.filled(instr.dtype, 0.0, shape)
                    g = self.new.append(AD_OP_PUT, instr.dtype, 3, g, zeros, self.number[instr.x3],
                                        self.new.copy_shape(self.old, instr.shape), -1)
                self.contribute(instr.x1, DENSE, g, -1, 0)
            return 0
        if op == AD_OP_CUMSUM:
            return self.cumsum_rule(value, g)
        if op == AD_OP_CALL:
            return self.call_rule(value, g)
        if op == AD_OP_INPUT:
            return 0
        raise errors.MissingDerivative(self.place(value), optable.NAMES[op].lower(), 0, "no reverse rule is written")

    cdef int call_rule(self, int32_t value, int32_t g) except -1:
        """The rule's own program of the adjoints that are wanted."""
        cdef Instr *instr = &self.old.code[value]
        cdef int k, n = n_args(instr)
        cdef int32_t x
        args = self.old.args_list(value)
        silent = getattr(self.old.rules[instr.param], "silent", ())      # positions that no adjoint flows to
        wanted = tuple([bool(self.active[x]) and k not in silent for k, x in enumerate(args)])
        if True not in wanted:
            return 0
        program = self.old.rules[instr.param].adjoint_program(
            [(self.old.shape_tuple(x), DTYPE_NAMES[self.old.code[x].dtype]) for x in [value, *args]], wanted, self.place(value))
        results = self.new.inline(program, [g, self.number[value], *[self.number[x] for x in args]])
        for k in range(n):
            if wanted[k]:
                x = args[k]
                self.contribute(x, DENSE, self.new.in_shape(
                    results.pop(0), self.new.copy_shape(self.old, self.old.code[x].shape), self.old.code[x].dtype), -1, 0)
        return 0

    cdef int cumsum_rule(self, int32_t value, int32_t g) except -1:
        cdef Instr *instr = &self.old.code[value]
        cdef int64_t[4] numbers
        cdef int k
        for k in range(4):
            numbers[k] = self.old.ints[instr.param + k]
        numbers[3] = 1 - numbers[3]
        k = self.new.out.add_ints(numbers, 4)
        return self.contribute(instr.x1, DENSE, self.new.append(
            AD_OP_CUMSUM, instr.dtype, 1, g, -1, -1, self.new.copy_shape(self.old, instr.shape), k), -1, 0)

    def place(self, int32_t value):
        """The user's source line of an instruction, or None."""
        cdef int32_t line = self.old.line[value]
        return self.old.sources[line] if 0 <= line < len(self.old.sources) else None

    # -- the pass ----------------------------------------------------------------------

    cdef Program run(self, list wrt, object seeds):
        cdef Py_ssize_t i, n = self.old.length
        cdef int32_t g, y, shape
        self.find_active(set(wrt))
        if self.old.simplified:
            self.new.start_from(self.old, 3 * n)
        for i in range(n):
            self.number[i] = <int32_t>i if self.old.simplified else self.new.translate(self.old, <int32_t>i, self.number)
        if seeds is None:
            y = self.old.results[0]
            if self.old.ints[self.old.code[y].shape] != 0:
                raise errors.AdcoreError("the first output is not a scalar: give seeds")
            self.contribute(y, DENSE, self.new.literal(1.0), -1, 0)
        else:
            for position in seeds:
                y = self.old.results[position]
                shape = self.new.copy_shape(self.old, self.old.code[y].shape)
                g = self.new.append(AD_OP_INPUT, self.old.code[y].dtype, 0, -1, -1, -1, shape, self.new.out.n_inputs)
                self.new.out.n_inputs += 1
                self.contribute(y, DENSE, g, -1, 0)
        results = [self.number[self.old.results[i]] for i in range(self.old.n_results)]
        adjoints = {}
        for i in range(n - 1, -1, -1):
            if self.first[i] < 0:
                continue
            self.new.line = self.old.line[i]
            g = self.adjoint(<int32_t>i)
            if self.old.code[i].op == AD_OP_INPUT:
                k = self.old.code[i].param
                if k in adjoints:       # the same input bound twice
                    g = self.new.elementwise(AD_OP_ADD, self.old.code[i].dtype, self.new.out.code[g].shape,
                                             <int32_t>adjoints[k], g)
                adjoints[k] = g
            else:
                self.rule(<int32_t>i, g)
        shapes = {self.old.code[i].param: i for i in range(n) if self.old.code[i].op == AD_OP_INPUT}
        for k in wrt:
            if k in adjoints:
                results.append(adjoints[k])
            else:
                i = shapes[k]
                results.append(self.new.filled(self.old.code[i].dtype, 0.0,
                                               self.new.copy_shape(self.old, self.old.code[i].shape)))
        self.new.out.set_results(results)
        return self.new.out


def reverse(Program program, list wrt, seeds=None):
    """The program of the outputs and of the adjoints of the inputs numbered in ``wrt``.

    Without ``seeds`` the first output must be a scalar and its adjoint is 1. Otherwise ``seeds`` lists
    positions of outputs whose adjoints are new inputs, numbered after the existing ones.

    Keeps: the primal outputs, first. Loses: value numbers. Cost: linear in the program.

    Raises
    ------
    MissingDerivative
        An active instruction has no derivative rule; names the op and the user's line.
    """
    return Reverse(program).run(wrt, seeds)
