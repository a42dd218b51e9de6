"""Recomputing: a cheap value that several groups read is made again in each of them, instead of stored and loaded.

The groups of a program are known by fusing it once. A value that one group would store and others would load
becomes a copy in each of those, when all that it is computed from is in memory there anyway; then the program is
fused again, and the copies sink to their group. So the reverse sweep squares ``u`` again rather than read the
square that the forward sweep has made.
"""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from cython cimport final
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcmp

from adcore.optable.opcodes cimport AD_N_ELEMENTWISE, AD_OP_INPUT
from adcore.passes.builder cimport Builder
from adcore.plan.fuse cimport BLOCKS, COMPUTED, DIRECT, Fusion, LEAF, MAPPED, Operand, Seed, THROUGH, fuse, role_of, starts_from_base
from adcore.tape.program cimport Instr, Program, arg, n_args, size_at

from adcore import optable

cdef enum:
    BIG = 1 << 13           # elements of an array that is worth looking at
    GROUPS_MAX = 4          # groups that one value is recomputed in
    OPS_MAX = 6             # operations of one copy
    NONE = -1
    ORIGINAL = 1            # what of a value is live
    COPIES = 2

cdef double ACCESS_NS = 0.4             # per element stored, or loaded from beyond the first-level cache
cdef double[AD_N_ELEMENTWISE] op_ns
for number in range(AD_N_ELEMENTWISE):
    op_ns[number] = optable.COSTS[number]


cdef struct Copy:           # what a value costs in one more group
    int ops
    double nanoseconds
    int loads               # operands that the group does not read yet


cdef struct Readers:        # of a value's memory
    int32_t[4] groups       # that read it as it is
    uint8_t n
    uint8_t others          # somebody reads it otherwise


@final
cdef class Recomputing:
    """The pass over one program; lives while it runs."""

    cdef Program program
    cdef Fusion fusion
    cdef Builder builder
    cdef uint8_t *again         # of a value: other groups compute it for themselves
    cdef uint8_t *live
    cdef Readers *readers
    cdef int32_t *new           # old value -> new value
    cdef int32_t *copy_in       # group in which `copy` stands for the value
    cdef int32_t *copy

    def __cinit__(self, Program program):
        cdef Py_ssize_t n = program.length + 1, i
        self.program = program
        self.again = <uint8_t *>PyMem_RawCalloc(n, 1)
        self.live = <uint8_t *>PyMem_RawCalloc(n, 1)
        self.readers = <Readers *>PyMem_RawCalloc(n, sizeof(Readers))
        self.new = <int32_t *>PyMem_RawCalloc(n, sizeof(int32_t))
        self.copy_in = <int32_t *>PyMem_RawCalloc(n, sizeof(int32_t))
        self.copy = <int32_t *>PyMem_RawCalloc(n, sizeof(int32_t))
        if not self.again or not self.live or not self.readers or not self.new or not self.copy_in or not self.copy:
            raise MemoryError()
        for i in range(n):
            self.copy_in[i] = NONE

    def __dealloc__(self):
        PyMem_RawFree(self.again)
        PyMem_RawFree(self.live)
        PyMem_RawFree(self.readers)
        PyMem_RawFree(self.new)
        PyMem_RawFree(self.copy_in)
        PyMem_RawFree(self.copy)

    cdef bint in_blocks(self, int32_t value) noexcept:
        cdef int32_t group = self.fusion.group_of[value]
        return group >= 0 and (<Seed *>self.fusion.groups.data)[group].kind == BLOCKS

    cdef bint reads(self, int32_t group, const Operand *wanted, int64_t ndim) noexcept:
        """Does a member of the group read these elements already?"""
        cdef int32_t member = (<Seed *>self.fusion.groups.data)[group].head
        cdef const Instr *instr
        cdef Operand operand
        cdef int k, n
        while member >= 0:
            instr = &self.program.code[member]
            n = n_args(instr)
            for k in range(n if role_of(instr.op) == COMPUTED else 0):
                operand = self.fusion.operand(arg(instr, self.program.ints, k))
                if (operand.root == wanted.root and not operand.scalar and operand.offset == wanted.offset
                        and operand.window == wanted.window
                        and (operand.strides == NULL) == (wanted.strides == NULL)
                        and (operand.strides == NULL
                             or not memcmp(operand.strides, wanted.strides, ndim * sizeof(int64_t)))):
                    return True
            member = self.fusion.next_member[member]
        return False

    cdef bint reachable(self, int32_t value, int32_t group, Copy *cost) noexcept:
        """Can the group compute the value from what is in memory while it runs? Adds up what that costs."""
        cdef const Instr *instr = &self.program.code[value]
        cdef int64_t ndim = self.program.ints[instr.shape]
        cdef Operand operand
        cdef const Instr *root
        cdef int k
        cost.ops += 1
        cost.nanoseconds += op_ns[instr.op]
        if cost.ops > OPS_MAX:
            return False
        for k in range(instr.nargs):
            operand = self.fusion.operand(arg(instr, self.program.ints, k))
            root = &self.program.code[operand.root]
            if operand.scalar:
                if self.fusion.group_of[operand.root] >= group:
                    return False
                continue
            if role_of(root.op) == LEAF:
                cost.loads += not self.reads(group, &operand, ndim)
            elif self.fusion.in_memory[operand.root] and not self.again[operand.root]:
                if self.fusion.last_use[operand.root] < group or self.fusion.group_of[operand.root] >= group:
                    return False
                cost.loads += not self.reads(group, &operand, ndim)
            elif not (operand.direct and role_of(root.op) == COMPUTED and self.reachable(operand.root, group, cost)):
                return False
        return True

    cdef void find_readers(self) noexcept:
        """Which groups read each value, element by element."""
        cdef const Instr *instr
        cdef Readers *readers
        cdef Py_ssize_t i
        cdef int32_t x, group
        cdef int k, j
        cdef bint own
        for i in range(self.program.n_results):
            self.readers[self.program.results[i]].others = 1
        for i in range(self.program.length):
            instr = &self.program.code[i]
            group = self.fusion.group_of[i]
            own = role_of(instr.op) == MAPPED
            for k in range(n_args(instr)):
                x = arg(instr, self.program.ints, k)
                readers = &self.readers[self.fusion.root_of(x, False)]
                if own or not self.in_blocks(<int32_t>i) or k == 0 and starts_from_base(instr.op):
                    self.readers[x].others = 1
                    readers.others = 1
                elif self.fusion.reach_of(x, False) == THROUGH:
                    readers.others = 1
                elif self.fusion.reach_of(x, False) == DIRECT and self.fusion.group_of[x] != group:
                    for j in range(readers.n):
                        if readers.groups[j] == group:
                            break
                    else:
                        if readers.n == GROUPS_MAX:
                            readers.others = 1
                        else:
                            readers.groups[readers.n] = group
                            readers.n += 1

    cdef bint pays(self, int32_t value) noexcept:
        """Is it cheaper to compute the value in each of its groups than to store and load it?"""
        cdef const Instr *instr = &self.program.code[value]
        cdef const Readers *readers = &self.readers[value]
        cdef Copy cost
        cdef int k
        if (role_of(instr.op) != COMPUTED or not self.in_blocks(value) or not self.fusion.in_memory[value]
                or readers.others or readers.n == 0 or size_at(self.program.ints, instr.shape) < BIG):
            return False
        cost.nanoseconds = 0.0
        cost.loads = 0
        for k in range(readers.n):
            cost.ops = 0
            if readers.groups[k] <= self.fusion.group_of[value] or not self.reachable(value, readers.groups[k], &cost):
                return False
        return cost.nanoseconds < ACCESS_NS * (1 + readers.n - cost.loads)

    cdef bint is_copied(self, int32_t value, int32_t group) noexcept:
        """Does an instruction of this group read a copy in the place of the value?"""
        return self.again[value] and self.fusion.group_of[value] != group

    cdef bint copied_along(self, int32_t value) noexcept:
        """Does a copy that reads the value need a copy of it, too?"""
        return role_of(self.program.code[value].op) == COMPUTED and self.program.ints[self.program.code[value].shape] > 0 and (
            self.again[value] or not self.fusion.in_memory[value])

    cdef void mark_live(self) noexcept:
        """Which originals are still needed."""
        cdef const Instr *instr
        cdef Py_ssize_t i
        cdef int32_t x
        cdef int k
        for i in range(self.program.n_results):
            self.live[self.program.results[i]] |= ORIGINAL
        for i in range(self.program.length - 1, -1, -1):
            instr = &self.program.code[i]
            if instr.op == AD_OP_INPUT:
                self.live[i] |= ORIGINAL
            for k in range(n_args(instr) if self.live[i] else 0):
                x = arg(instr, self.program.ints, k)
                if self.live[i] & ORIGINAL:
                    self.live[x] |= COPIES if self.is_copied(x, self.fusion.group_of[i]) else ORIGINAL
                if self.live[i] & COPIES:
                    self.live[x] |= COPIES if self.copied_along(x) else ORIGINAL

    cdef int32_t made(self, int32_t value, int32_t group) except -1:
        """The value as the group shall see it: a copy, made when first asked for."""
        cdef const Instr *instr = &self.program.code[value]
        cdef int32_t[3] x
        cdef int k
        if self.copy_in[value] == group:
            return self.copy[value]
        for k in range(3):
            x[k] = NONE
        for k in range(instr.nargs):
            x[k] = arg(instr, self.program.ints, k)
            x[k] = self.made(x[k], group) if self.copied_along(x[k]) else self.new[x[k]]
        self.copy[value] = self.builder.out.append(
            instr.op, instr.dtype, instr.nargs, x[0], x[1], x[2], self.builder.copy_shape(self.program, instr.shape), -1)
        self.builder.out.line[self.copy[value]] = self.program.line[value]
        self.copy_in[value] = group
        return self.copy[value]

    cdef Program rewritten(self):
        """The program with a copy of each such value in each group."""
        cdef Program program = self.program
        cdef const Instr *instr
        cdef Py_ssize_t i
        cdef int32_t x, group
        cdef int32_t[3] before
        cdef int k
        self.builder = Builder(program, False)
        self.mark_live()
        for i in range(program.length):
            instr = &program.code[i]
            group = self.fusion.group_of[i]
            if not self.live[i] & ORIGINAL:
                continue
            if not self.in_blocks(<int32_t>i):
                self.new[i] = self.builder.translate(program, <int32_t>i, self.new)
                continue
            for k in range(instr.nargs):
                x = arg(instr, program.ints, k)
                before[k] = self.new[x]
                if self.is_copied(x, group):
                    self.new[x] = self.made(x, group)
            self.new[i] = self.builder.translate(program, <int32_t>i, self.new)
            for k in range(instr.nargs - 1, -1, -1):
                self.new[arg(instr, program.ints, k)] = before[k]
        self.builder.out.set_results([self.new[program.results[i]] for i in range(program.n_results)])
        return self.builder.out


cdef Program recompute(Program program):
    """The program with cheap values computed in each group that reads them.

    Keeps: outputs, their order, their values to the bit. Loses: value numbers.
    """
    cdef Py_ssize_t i
    cdef bint found = False
    cdef Recomputing it
    for i in range(program.length):
        if (program.code[i].op < AD_N_ELEMENTWISE and program.ints[program.code[i].shape] > 0
                and size_at(program.ints, program.code[i].shape) >= BIG):
            found = True
            break
    if not found:
        return program
    it = Recomputing(program)
    it.fusion = fuse(program)
    it.find_readers()
    found = False
    for i in range(program.length):
        if it.pays(<int32_t>i):
            it.again[i] = 1
            found = True
    return it.rewritten() if found else program
