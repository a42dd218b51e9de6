"""The rules a program must keep before it may be lowered: the inline readers trust them."""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport qsort

from adcore import errors, optable

from adcore.optable.opcodes cimport *
from adcore.tape.program cimport F32, I64, Instr, NARY, Program, arg, n_args, same_shape, size_at

cdef enum:
    MAX_DIMS = 63
    N_DTYPES = 4

cdef uint8_t[AD_N_OPS] arity        # number of arguments of each op


cdef int fill_arity() except -1:
    names = {"ACCUMULATE": 2, "UPDATE": 2, "CUMSUM": 1, "VIEW": 1, "WINDOW": 1, "SUM": 1, "REDUCE_MAX": 1,
             "REDUCE_MIN": 1, "REDUCE_PROD": 1, "PACK": NARY, "PACK_ADD": NARY, "CALL": NARY}
    for opcode, row in enumerate(optable.ROWS):
        arity[opcode] = names.get(optable.NAMES[opcode], len(row.args))
    return 0


fill_arity()


cdef int64_t magnitude(int64_t x) noexcept nogil:
    return -x if x < 0 else x


cdef int by_value(const void *a, const void *b) noexcept nogil:
    cdef int64_t x = (<const int64_t *>a)[0], y = (<const int64_t *>b)[0]
    return (x > y) - (x < y)


cdef const char *check_shape(const int64_t *ints, Py_ssize_t n_ints, int32_t shape) noexcept nogil:
    cdef int64_t k, ndim, size = 1
    if shape < 0 or shape >= n_ints:
        return "its shape lies outside the pool"
    ndim = ints[shape]
    if ndim < 0 or ndim > MAX_DIMS or shape + 1 + ndim > n_ints:
        return "its shape lies outside the pool"
    for k in range(ndim):
        if ints[shape + 1 + k] < 0:
            return "a dimension is negative"
        if ints[shape + 1 + k] and size > (<int64_t>1 << 59) // ints[shape + 1 + k]:
            return "its size overflows"
        size *= max(ints[shape + 1 + k], 1)
    return NULL


cdef const char *check_map(const int64_t *ints, Py_ssize_t n_ints, int32_t space, int64_t at,
                           int64_t size) noexcept nogil:
    """The map at ints[at] over the shape ``space`` stays inside a base of ``size`` elements."""
    cdef int64_t k, low, high, ndim = ints[space], reach
    if at < 0 or at + 1 + ndim > n_ints:
        return "its map lies outside the pool"
    low = high = ints[at]
    for k in range(ndim):
        if ints[space + 1 + k] == 0:
            return NULL
    for k in range(ndim):
        if ints[space + 1 + k] == 1:
            continue
        if magnitude(ints[at + 1 + k]) >= (<int64_t>1 << 60) // ints[space + 1 + k]:
            return "its map leaves the base"
        reach = ints[at + 1 + k] * (ints[space + 1 + k] - 1)
        if reach > 0:
            high += reach
        else:
            low += reach
        if low < 0 or high >= size:
            break
    if low < 0 or high >= size:
        return "its map leaves the base"
    return NULL


cdef bint nests(const int64_t *ints, int32_t space, int64_t at) noexcept nogil:
    """Is every stride larger than all that the smaller ones reach? Then the map is injective."""
    cdef int64_t k, best, covered = 0, ndim = ints[space]
    cdef unsigned long long done = 0
    while True:
        best = -1
        for k in range(ndim):
            if ints[space + 1 + k] > 1 and not (done >> k) & 1 and (
                    best < 0 or magnitude(ints[at + 1 + k]) < magnitude(ints[at + 1 + best])):
                best = k
        if best < 0:
            return True
        if magnitude(ints[at + 1 + best]) <= covered:
            return False
        covered += magnitude(ints[at + 1 + best]) * (ints[space + 1 + best] - 1)
        done |= <unsigned long long>1 << best


cdef const char *check_injective(const int64_t *ints, int32_t space, int64_t at, int64_t size) noexcept nogil:
    """No element is written twice. Strides that do not nest are tried out."""
    cdef int64_t n = size_at(ints, space), i, k, left, element
    cdef uint8_t *seen
    cdef bint twice = False
    if n <= 1 or nests(ints, space, at):
        return NULL
    if n > size:
        return "its map writes an element twice"
    seen = <uint8_t *>PyMem_RawCalloc(size, 1)
    if seen == NULL:
        return "no memory to check that its map is injective"
    for i in range(n):
        left = i
        element = ints[at]
        for k in range(ints[space] - 1, -1, -1):
            element += ints[at + 1 + k] * (left % ints[space + 1 + k])
            left //= ints[space + 1 + k]
        if seen[element]:
            twice = True
            break
        seen[element] = 1
    PyMem_RawFree(seen)
    if twice:
        return "its map writes an element twice"
    return NULL


cdef const char *check_offsets(const int64_t *offsets, Py_ssize_t n, int64_t size, bint unique) noexcept nogil:
    cdef int64_t *sorted
    cdef Py_ssize_t k
    cdef bint ascending = True, twice = False
    for k in range(n):
        if offsets[k] < 0 or offsets[k] >= size:
            return "an element offset is out of range"
        if k and offsets[k] <= offsets[k - 1]:
            ascending = False
    if not unique or ascending:
        return NULL
    sorted = <int64_t *>PyMem_RawMalloc(n * sizeof(int64_t))
    if sorted == NULL:
        return "no memory to check that its offsets differ"
    for k in range(n):
        sorted[k] = offsets[k]
    qsort(sorted, n, sizeof(int64_t), by_value)
    for k in range(1, n):
        if sorted[k] == sorted[k - 1]:
            twice = True
    PyMem_RawFree(sorted)
    if twice:
        return "an element offset occurs twice"
    return NULL


cdef class Verifier:
    cdef Program program

    cdef bint keeps_dtype(self, const Instr *instr, int32_t x) noexcept:
        """Has x the instruction's dtype? A literal suits both floats."""
        cdef const Instr *of = &self.program.code[x]
        return of.dtype == instr.dtype or (
            of.op == AD_OP_LITERAL and of.dtype <= F32 and instr.dtype <= F32)

    cdef const char *check_arguments(self, Py_ssize_t i) noexcept:
        cdef const Instr *instr = &self.program.code[i]
        cdef int32_t x
        cdef int k
        if instr.op >= AD_N_OPS:
            return "there is no such op"
        if instr.dtype >= N_DTYPES:
            return "there is no such dtype"
        if instr.nargs != arity[instr.op]:
            return "the op takes another number of arguments"
        if instr.nargs == NARY and (instr.x1 < 0 or instr.x2 < 0
                                    or <int64_t>instr.x1 + instr.x2 > self.program.n_ints):
            return "its list of arguments lies outside the pool"
        for k in range(n_args(instr)):
            if instr.nargs == NARY and not 0 <= self.program.ints[instr.x1 + k] < i:
                return "an argument is not defined before it"
            x = arg(instr, self.program.ints, k)
            if not 0 <= x < i:
                return "an argument is not defined before it"
        return check_shape(self.program.ints, self.program.n_ints, instr.shape)

    cdef const char *check_rows(self, const Instr *instr, int32_t x, int32_t base, int32_t offsets) noexcept:
        """x is a table of contiguous rows of the base, one for each offset."""
        cdef const int64_t *ints = self.program.ints
        cdef int64_t m = size_at(ints, self.program.code[offsets].shape)
        cdef int64_t size = size_at(ints, x)
        if self.program.code[offsets].dtype != I64:
            return "its offsets are not I64"
        if (size % m if m else size) != 0:
            return "its rows do not divide into the offsets"
        if m and size // m > size_at(ints, self.program.code[base].shape):
            return "a row is longer than the base"
        return NULL

    cdef const char *check_matmul(self, const Instr *instr) noexcept:
        cdef const int64_t *ints = self.program.ints
        cdef const int64_t *a = ints + self.program.code[instr.x1].shape
        cdef const int64_t *b = ints + self.program.code[instr.x2].shape
        cdef const int64_t *y = ints + instr.shape
        cdef int64_t n = y[0], k
        if n < 2 or a[0] != n or b[0] != n:
            return "a factor has another number of dimensions"
        for k in range(1, n - 1):
            if a[k] != y[k] or b[k] != y[k]:
                return "the batch dimensions differ"
        if a[n - 1] != y[n - 1] or b[n] != y[n] or a[n] != b[n - 1]:
            return "the matrices do not fit together"
        if not self.keeps_dtype(instr, instr.x1) or not self.keeps_dtype(instr, instr.x2):
            return "a factor has another dtype"
        return NULL

    cdef const char *check_leaf(self, const Instr *instr) noexcept:
        cdef int64_t bound = self.program.n_reals
        if instr.op == AD_OP_INPUT:
            bound = self.program.n_inputs
        elif instr.op == AD_OP_CONST:
            bound = self.program.n_consts
        elif instr.op == AD_OP_SCALAR:
            bound = self.program.n_scalars
        if not 0 <= instr.param < bound:
            return "its number is out of range"
        if instr.op in (AD_OP_LITERAL, AD_OP_SCALAR) and self.program.ints[instr.shape] != 0:
            return "it is not a scalar"
        return NULL

    cdef const char *check(self, Py_ssize_t i) noexcept:
        """What is wrong with instruction i, or NULL."""
        cdef Program p = self.program
        cdef const Instr *instr = &p.code[i]
        cdef const int64_t *ints = p.ints
        cdef const char *wrong = self.check_arguments(i)
        cdef int op = instr.op
        cdef int k
        cdef int32_t x, space
        if wrong != NULL:
            return wrong
        if op < AD_N_ELEMENTWISE:
            for k in range(instr.nargs):
                x = p.code[arg(instr, ints, k)].shape
                if ints[x] != 0 and not same_shape(ints, x, instr.shape):
                    return "an argument has neither its shape nor the shape ()"
            return NULL
        if op in (AD_OP_INPUT, AD_OP_CONST, AD_OP_SCALAR, AD_OP_LITERAL):
            return self.check_leaf(instr)
        if op == AD_OP_FULL:
            if ints[p.code[instr.x1].shape] != 0:
                return "its argument is not a scalar"
            return NULL
        if op == AD_OP_VIEW:
            if not self.keeps_dtype(instr, instr.x1):
                return "its base has another dtype"
            return check_map(ints, p.n_ints, instr.shape, instr.param, size_at(ints, p.code[instr.x1].shape))
        if op in (AD_OP_SUM, AD_OP_REDUCE_MAX, AD_OP_REDUCE_MIN, AD_OP_REDUCE_PROD):
            return check_map(ints, p.n_ints, p.code[instr.x1].shape, instr.param, size_at(ints, instr.shape))
        if op in (AD_OP_ACCUMULATE, AD_OP_UPDATE, AD_OP_SCATTER_ADD, AD_OP_PUT, AD_OP_PACK, AD_OP_PACK_ADD):
            if instr.nargs == NARY and instr.x2 < 1:
                return "it has no base"
            x = arg(instr, ints, 0)
            if not self.keeps_dtype(instr, x):
                return "its base has another dtype"
            if not same_shape(ints, p.code[x].shape, instr.shape):
                return "its base has another shape"
        if op == AD_OP_ACCUMULATE or op == AD_OP_UPDATE:
            space = p.code[instr.x2].shape
            wrong = check_map(ints, p.n_ints, space, instr.param, size_at(ints, instr.shape))
            if wrong == NULL and op == AD_OP_UPDATE:
                wrong = check_injective(ints, space, instr.param, size_at(ints, instr.shape))
            return wrong
        if op == AD_OP_GATHER:
            if not self.keeps_dtype(instr, instr.x1):
                return "its base has another dtype"
            return self.check_rows(instr, instr.shape, instr.x1, instr.x2)
        if op == AD_OP_SCATTER_ADD or op == AD_OP_PUT:
            return self.check_rows(instr, p.code[instr.x2].shape, instr.x1, instr.x3)
        if op == AD_OP_MATMUL:
            return self.check_matmul(instr)
        if op == AD_OP_PACK or op == AD_OP_PACK_ADD:
            for k in range(1, instr.x2):
                if ints[p.code[arg(instr, ints, k)].shape] != 0:
                    return "a packed value is not a scalar"
            if instr.x2 > 1 and (instr.param < 0 or <int64_t>instr.param + instr.x2 - 1 > p.n_ints):
                return "its element offsets lie outside the pool"
            return check_offsets(ints + max(instr.param, 0), instr.x2 - 1, size_at(ints, instr.shape), op == AD_OP_PACK)
        if op == AD_OP_CUMSUM:
            if instr.param < 0 or instr.param + 4 > p.n_ints:
                return "its parameters lie outside the pool"
            if not same_shape(ints, p.code[instr.x1].shape, instr.shape):
                return "its argument has another shape"
            for k in range(3):
                if ints[instr.param + k] < 0:
                    return "a length is negative"
            if (ints[instr.param] * ints[instr.param + 1] * ints[instr.param + 2] != size_at(ints, instr.shape)
                    or not 0 <= ints[instr.param + 3] <= 1):
                return "its parameters do not fit its shape"
            return NULL
        if op == AD_OP_CALL:
            if not 0 <= instr.param < len(p.rules):
                return "there is no such rule"
            return NULL
        return NULL


cdef int check_bindings(Program program) except -1:
    """Every instruction that binds one array names one shape and dtype."""
    cdef dict seen = {}
    cdef Py_ssize_t i
    cdef Instr *instr
    for i in range(program.length):
        instr = &program.code[i]
        if instr.op != AD_OP_INPUT and instr.op != AD_OP_CONST:
            continue
        first = seen.setdefault((instr.op, instr.param), i)
        if not same_shape(program.ints, program.code[<Py_ssize_t>first].shape, instr.shape) or (
                program.code[<Py_ssize_t>first].dtype != instr.dtype):
            raise errors.ProgramError(
                f"%{i} = {optable.NAMES[instr.op].lower()} {instr.param}: %{first} gives it another shape or dtype")
    return 0


def verify(Program program):
    """Raise ProgramError when the program breaks a rule of the instruction set; return the program.

    Looks at: the order and number of arguments, shapes, dtypes, maps and offsets inside their bases,
    writes that must not overlap, parameters inside their pools, outputs, bindings. Costs a few
    nanoseconds an instruction; only an ``update`` whose strides do not nest is tried out.

    Raises
    ------
    ProgramError
        Names the instruction, the rule and the user's line.
    """
    cdef Verifier verifier = Verifier()
    cdef Py_ssize_t i
    cdef const char *wrong
    verifier.program = program
    for i in range(program.length):
        wrong = verifier.check(i)
        if wrong != NULL:
            op = program.code[i].op
            name = optable.NAMES[op].lower() if op < AD_N_OPS else f"op {op}"
            line = program.line[i]
            place = "{}:{}: ".format(*program.sources[line][:2]) if 0 <= line < len(program.sources) else ""
            raise errors.ProgramError(f"{place}%{i} = {name}: {wrong.decode()}")
    for i in range(program.n_results):
        if not 0 <= program.results[i] < program.length:
            raise errors.ProgramError(f"output {i} is %{program.results[i]}, which does not exist")
    check_bindings(program)
    return program
