"""Distribution: the sum over an array that is put together from pieces is the sum of sums over the pieces."""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from libc.stdint cimport int32_t, int64_t

from adcore.optable.opcodes cimport AD_N_ELEMENTWISE, AD_OP_ADD, AD_OP_SUM, AD_OP_UPDATE, AD_OP_VIEW
from adcore.passes.builder cimport Builder
from adcore.tape.boxes cimport Box, find_box
from adcore.tape.program cimport F64, Instr, Program, SCALAR_SHAPE, arg, is_reshape, n_args, size_at

from adcore.passes.optimise import dead_code

cdef enum:
    MAX_PIECES = 8
    MAX_TERMS = 64          # operations that a sum may become
    SHORTEST = 32           # elements of a piece, on average
    MAX_DIMS = 64


cdef class Distribution:
    """One application of the pass."""

    cdef Program program
    cdef Builder builder
    cdef int32_t *uses          # of each value
    cdef int32_t *new           # its number in the new program
    cdef int32_t assembled      # the array that is put together
    cdef int32_t[MAX_PIECES] pieces     # its updates, the last one first
    cdef int n_pieces, n_terms, n_reads

    def __cinit__(self, Program program):
        self.program = program
        self.uses = <int32_t *>PyMem_RawCalloc(program.length + 1, sizeof(int32_t))
        self.new = <int32_t *>PyMem_RawCalloc(program.length + 1, sizeof(int32_t))
        if self.uses == NULL or self.new == NULL:
            raise MemoryError()

    def __dealloc__(self):
        PyMem_RawFree(self.uses)
        PyMem_RawFree(self.new)

    cdef void count_uses(self) noexcept:
        cdef Py_ssize_t i
        cdef int k
        for i in range(self.program.length):
            for k in range(n_args(&self.program.code[i])):
                self.uses[arg(&self.program.code[i], self.program.ints, k)] += 1
        for i in range(self.program.n_results):
            self.uses[self.program.results[i]] += 1

    cdef bint is_term(self, int32_t value) noexcept:
        """Is it an operation on elements of arrays that nobody else reads?"""
        cdef const Instr *instr = &self.program.code[value]
        return instr.op < AD_N_ELEMENTWISE and self.uses[value] == 1 and self.program.ints[instr.shape] > 0

    cdef bint is_reshaped(self, int32_t value) noexcept:
        """Is it an array in another shape, that nobody else reads? Its elements stand where they stood."""
        cdef const Instr *instr = &self.program.code[value]
        return instr.op == AD_OP_VIEW and self.uses[value] == 1 and is_reshape(self.program, instr)

    cdef bint find_pieces(self, int32_t value) noexcept:
        """Is it put together from a few pieces that share no element and leave none out?"""
        cdef const Instr *instr = &self.program.code[value]
        cdef const int64_t *ints = self.program.ints
        cdef int32_t shape = instr.shape
        cdef int64_t left = size_at(ints, shape)
        cdef Box[MAX_PIECES] boxes
        cdef int j
        if instr.op != AD_OP_UPDATE or instr.dtype != F64:
            return False
        self.assembled = value
        self.n_pieces = 0
        while instr.op == AD_OP_UPDATE and (self.n_pieces == 0 or self.uses[value] == 1) and self.n_pieces < MAX_PIECES:
            if self.program.code[instr.x2].dtype != F64 or not find_box(
                    ints, shape, self.program.code[instr.x2].shape, instr.param, &boxes[self.n_pieces]):
                break
            for j in range(self.n_pieces):
                if meet(&boxes[j], &boxes[self.n_pieces]):
                    left = -1
            if left < 0:
                break
            self.pieces[self.n_pieces] = value
            self.n_pieces += 1
            left -= size_at(ints, self.program.code[instr.x2].shape)
            if left == 0 and self.n_pieces > 1 and size_at(ints, shape) >= SHORTEST * self.n_pieces:
                return True
            value = instr.x1
            instr = &self.program.code[value]
        self.assembled = -1
        return False

    cdef bint look(self, int32_t value) noexcept:
        """Count the operations of what is summed; is one of its operands put together?"""
        cdef const Instr *instr = &self.program.code[value]
        cdef bint found = False
        cdef int k
        if self.is_reshaped(value):
            return self.look(instr.x1)
        if not self.is_term(value):
            if self.assembled >= 0 or self.find_pieces(value):
                self.n_reads += value == self.assembled
            return self.assembled >= 0
        self.n_terms += 1
        for k in range(n_args(instr)):
            if self.n_terms > MAX_TERMS:
                return False
            found = self.look(arg(instr, self.program.ints, k))
        return found

    cdef bint pays(self, int32_t value) noexcept:
        """Is it the sum of all elements of such an array, or of operations on it?"""
        cdef const Instr *instr = &self.program.code[value]
        self.n_terms = 0
        self.n_reads = 0
        self.assembled = -1
        return (instr.op == AD_OP_SUM and instr.nargs == 1 and instr.dtype == F64 and self.program.ints[instr.shape] == 0
                and self.program.code[instr.x1].dtype == F64 and self.look(instr.x1)
                and self.n_terms * self.n_pieces <= MAX_TERMS and self.n_reads == self.uses[self.assembled])

    cdef int32_t part(self, int32_t value, const Instr *piece) except -1:
        """What is summed, for the elements of one piece."""
        cdef const Instr *instr = &self.program.code[value]
        cdef const int64_t *ints = self.program.ints
        cdef int32_t own
        cdef int32_t[3] x
        cdef int k
        if value == self.assembled:
            return self.new[piece.x2]
        if ints[instr.shape] == 0:
            return self.new[value]
        if self.is_reshaped(value):
            return self.part(instr.x1, piece)
        own = self.builder.copy_shape(self.program, self.program.code[piece.x2].shape)
        if not self.is_term(value):
            return self.builder.view(instr.dtype, self.new[value], own, ints[piece.param], ints + piece.param + 1)
        x[:] = [-1, -1, -1]
        for k in range(instr.nargs):
            x[k] = self.part(arg(instr, ints, k), piece)
        self.builder.line = self.program.line[value]
        return self.builder.emit(instr.op, instr.dtype, instr.nargs, x[0], x[1], x[2], own, -1)

    cdef int32_t sums(self, int32_t value) except -1:
        """The sum of the sums over the pieces."""
        cdef int64_t[MAX_DIMS] still
        cdef int32_t x = self.program.code[value].x1, total = -1, found
        cdef int k
        for k in range(MAX_DIMS):
            still[k] = 0
        for k in range(self.n_pieces - 1, -1, -1):
            found = self.part(x, &self.program.code[self.pieces[k]])
            self.builder.line = self.program.line[value]
            if self.builder.out.ints[self.builder.out.code[found].shape] > 0:
                found = self.builder.store(AD_OP_SUM, F64, -1, found, SCALAR_SHAPE, 0, still)
            total = found if total < 0 else self.builder.elementwise(AD_OP_ADD, F64, SCALAR_SHAPE, total, found)
        return total

    cdef Program rewritten(self):
        cdef Program program = self.program
        cdef int32_t i
        self.builder = Builder(program)
        for i in range(program.length):
            if self.pays(i):
                self.new[i] = self.sums(i)
            else:
                self.new[i] = self.builder.translate(program, i, self.new)
        self.builder.out.set_results([self.new[program.results[i]] for i in range(program.n_results)])
        return self.builder.out


cdef bint meet(const Box *a, const Box *b) noexcept nogil:
    """Do two boxes in one array share an element?"""
    cdef int64_t k
    for k in range(a.ndim):
        if a.start[k] + a.extent[k] <= b.start[k] or b.start[k] + b.extent[k] <= a.start[k]:
            return False
    return True


def distribute(Program program):
    """``sum(w * put_together(a, b))`` is ``sum(w[0] * a) + sum(w[1] * b)``, and the array need not be made.

    That is how models end that fill their result piece by piece (``out[0] = ...; out[1] = ...``) or join it from parts, the
    residuals of a fit for one. Each sum joins the group of its piece, in both sweeps.

    Keeps: outputs and their order, up to the rounding of sums. Loses: value numbers.
    """
    cdef Program found = distributed(program)
    while found is not program:             # pieces may be put together from pieces
        program = found
        found = distributed(program)
    return program


cdef Program distributed(Program program):
    """The program with such sums distributed once; itself when there are none."""
    cdef Distribution it
    cdef Py_ssize_t i
    cdef bint sums = False, updates = False
    for i in range(program.length):
        sums = sums or (program.code[i].op == AD_OP_SUM and program.ints[program.code[i].shape] == 0)
        updates = updates or program.code[i].op == AD_OP_UPDATE
    if not sums or not updates:
        return program
    it = Distribution(program)
    it.count_uses()
    for i in range(program.length):
        if it.pays(<int32_t>i):
            return dead_code(it.rewritten())
    return program
