"""The builder: appends to a new program through rewriting and hash-consing.

Every pass emits through it, so what a pass writes is already simplified and no value is
computed twice. Rules keep values to the bit, except that x + 0 may turn -0 into 0, that
``power`` with exponent 2, 3, 1/2, -1 takes the cheaper op, that 1 / (1 + exp(-x)) becomes ``expit``
(4 ulp; where exp overflows a denormal number instead of 0), and that derivative
products with a finite literal drop the guard against 0 * inf.
"""

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.math cimport fabs, frexp, isfinite
from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy

from adcore.optable.opcodes cimport *
from adcore.passes.affine cimport Map, compose, disjoint, make_dense
from adcore.tape.maps cimport map_in_order, maps_disjoint, maps_equal
from adcore.tape.program cimport (
    BOOL, F32, F64, I64, NARY, SCALAR_SHAPE, WAYS, arg, n_args, recent_slot, remember, same_shape, size_at,
)
from adcore.tape.shelf cimport ad_give_back, ad_take

cdef extern from "ad_values.h":
    double ad_evaluate(int op, double x1, double x2, double x3) noexcept nogil

cdef extern from *:
    """
    #define AD_TAG 0xFFFFFFFF00000000ull
    """
    const uint64_t TAG "AD_TAG"

cdef enum:
    FREE = 0                # a slot of the table without an instruction
    NO = -3                 # "no rule applies"; -2 is an error
    MAX_DIMS = 64
    WINDOW = 16             # slots near an instruction's arguments that the table tries first
    MAX_WALK = 32           # versions of an array that a read looks back through
    MAX_LOOK = 256          # instructions searched for a reader


cdef uint64_t hash_instr(const Instr *instr) noexcept nogil:
    cdef uint64_t[3] w
    memcpy(w, instr, sizeof(Instr))
    cdef uint64_t h = w[0] * <uint64_t>0x9E3779B97F4A7C15
    h = (h ^ (h >> 29) ^ w[1]) * <uint64_t>0xBF58476D1CE4E5B9
    h = (h ^ (h >> 32) ^ w[2]) * <uint64_t>0x94D049BB133111EB
    return h ^ (h >> 31)


cdef bint same_instr(const Instr *a, const Instr *b) noexcept nogil:
    return memcmp(a, b, sizeof(Instr)) == 0


cdef int real_slot(double value) noexcept nogil:
    cdef uint64_t bits
    memcpy(&bits, &value, 8)
    return recent_slot(bits, 4)


cdef int map_slot(int64_t offset, const int64_t *strides, int64_t ndim) noexcept nogil:
    cdef uint64_t h = <uint64_t>offset + <uint64_t>ndim * 0x10001
    cdef int64_t k
    for k in range(ndim):
        h = h * <uint64_t>0x100000001B3 + <uint64_t>strides[k]
    return recent_slot(h, 6)


cdef bint is_map_op(int op) noexcept nogil:
    return op in (AD_OP_VIEW, AD_OP_SUM, AD_OP_REDUCE_MAX, AD_OP_REDUCE_MIN, AD_OP_REDUCE_PROD,
                  AD_OP_ACCUMULATE, AD_OP_UPDATE)


cdef tuple call_key(Program program, uint8_t dtype, int64_t first, int n, int32_t shape, object rule):
    """What tells a call from others; None where equal ones may differ."""
    if not getattr(rule, "shared", False):
        return None
    key = (rule, dtype, shape, tuple([program.ints[first + k] for k in range(n)]))
    try:
        hash(key)
    except TypeError:                               # parameters that have no hash
        return None
    return key


cdef bint is_power(double number) noexcept:
    """Is it a power of 2, of a size that neither overflows nor loses bits in products of common numbers?"""
    cdef int exponent = 0
    return fabs(frexp(number, &exponent)) == 0.5 and -64 < exponent < 64


cdef class Builder:
    """Builds one program; ``like`` is the program it is made from, ``expected`` how long it may get."""

    def __cinit__(self, Program like, bint rewrites=True, Py_ssize_t expected=0):
        cdef Py_ssize_t k
        self.out = like.empty_like()
        self.out.simplified = rewrites
        self.rewrites = rewrites
        self.calls = {}
        self.line = -1
        self.table_size = 64
        while self.table_size < 4 * max(like.length, expected // 2):
            self.table_size *= 2
        self.table = <uint64_t *>ad_take(self.table_size * sizeof(uint64_t))
        if self.table == NULL:
            raise MemoryError()
        for k in range(256):
            self.recent_maps[k] = -1
        for k in range(64):
            self.recent_reals[k] = -1

    def __dealloc__(self):
        ad_give_back(self.table)

    cdef int start_from(self, Program program, Py_ssize_t expected) except -1:
        """Begin with all of a simplified program, which keeps its value numbers."""
        cdef Py_ssize_t i
        cdef Instr *instr
        self.out = program.with_room(expected)
        for i in range(program.length):
            instr = &self.out.code[i]
            self.enter(i)
            if instr.op == AD_OP_LITERAL:
                remember(&self.recent_reals[real_slot(self.out.reals[instr.param])], instr.param)
            elif is_map_op(instr.op):
                self.remember_map(instr)
            elif instr.op == AD_OP_CALL:
                key = call_key(self.out, instr.dtype, instr.x1, instr.x2, instr.shape, self.out.rules[instr.param])
                if key is not None:
                    self.calls[key] = i
        self.table_used = program.length
        while 2 * self.table_used > self.table_size:
            self.grow_table()
        return 0

    cdef void remember_map(self, const Instr *instr) noexcept:
        """Let the map of an instruction be found again, if it is one that ``add_map`` wrote."""
        cdef const int64_t *ints = self.out.ints
        cdef int64_t ndim = ints[instr.shape if instr.op == AD_OP_VIEW else self.out.code[
            instr.x1 if instr.nargs == 1 else instr.x2].shape]
        if ints[instr.param - 1] == ndim:
            remember(&self.recent_maps[map_slot(ints[instr.param], ints + instr.param + 1, ndim)], instr.param)

    cdef int grow_table(self) except -1:
        cdef int64_t size = self.table_size * 2
        cdef Py_ssize_t k
        cdef uint64_t *table = <uint64_t *>ad_take(size * sizeof(uint64_t))
        if table == NULL:
            raise MemoryError()
        ad_give_back(self.table)
        self.table = table
        self.table_size = size
        for k in range(self.out.length):
            self.enter(k)
        return 0

    cdef void enter(self, Py_ssize_t value) noexcept:
        """Put an instruction into the table that is not there."""
        cdef uint64_t h = hash_instr(&self.out.code[value])
        self.table[self.slot_of(&self.out.code[value], h, True)] = (h & TAG) | <uint64_t>(value + 1)

    cdef int64_t slot_of(self, const Instr *instr, uint64_t h, bint fresh) noexcept:
        """Where the instruction of this hash stands in the table, or the free slot where it belongs (``fresh``: it is not there).

        First a window near its largest argument, so that a program in order walks the table in
        order (a third of the time of a million-instruction program goes into cache misses here);
        when that is full, anywhere. Nothing is ever removed, so a full window stays full. Other instructions
        are told apart by a part of their hash: they are not looked at.
        """
        cdef int64_t mask = self.table_size - 1, at, k
        cdef int64_t near
        cdef uint64_t found
        if 1 <= instr.nargs <= 3:
            near = 2 * <int64_t>max(instr.x1, instr.x2, instr.x3)
            for k in range(WINDOW):
                at = (near + ((k + <int64_t>(h & (WINDOW - 1))) & (WINDOW - 1))) & mask
                found = self.table[at]
                if found == FREE or not fresh and (found ^ h) & TAG == 0 and same_instr(
                        &self.out.code[<int32_t>found - 1], instr):
                    return at
        at = <int64_t>(h >> 8) & mask
        while True:
            found = self.table[at]
            if found == FREE or not fresh and (found ^ h) & TAG == 0 and same_instr(
                    &self.out.code[<int32_t>found - 1], instr):
                return at
            at = (at + 1) & mask

    cdef int32_t append(self, uint16_t op, uint8_t dtype, uint8_t nargs, int32_t x1, int32_t x2, int32_t x3,
                        int32_t shape, int32_t param) except -1:
        """The value of this very instruction, new or known (common subexpressions)."""
        cdef Instr instr
        cdef int64_t at
        cdef uint64_t h
        cdef int32_t found
        instr.op = op
        instr.dtype = dtype
        instr.nargs = nargs
        instr.x1 = x1
        instr.x2 = x2
        instr.x3 = x3
        instr.shape = shape
        instr.param = param
        h = hash_instr(&instr)
        at = self.slot_of(&instr, h, False)
        if self.table[at] != FREE:
            return <int32_t>self.table[at] - 1
        found = self.out.append(op, dtype, nargs, x1, x2, x3, shape, param)
        self.out.line[found] = self.line
        self.table[at] = (h & TAG) | <uint64_t>(found + 1)
        self.table_used += 1
        if 2 * self.table_used > self.table_size:
            self.grow_table()
        return found

    # -- pools -----------------------------------------------------------------

    cdef int32_t add_map(self, int64_t offset, const int64_t *strides, int64_t ndim) except -1:
        cdef int h = map_slot(offset, strides, ndim), k
        cdef int32_t found
        for k in range(h, h + WAYS):
            found = self.recent_maps[k]
            if found >= 0 and self.out.ints[found - 1] == ndim and self.out.ints[found] == offset and not memcmp(
                    self.out.ints + found + 1, strides, ndim * sizeof(int64_t)):
                return found
        self.out.add_ints(&ndim, 1)                 # a hidden length in front, to compare by
        found = self.out.add_ints(&offset, 1)
        self.out.add_ints(strides, ndim)
        remember(&self.recent_maps[h], found)
        return found

    cdef int32_t copy_shape(self, Program source, int32_t shape) except -1:
        if shape == SCALAR_SHAPE:
            return SCALAR_SHAPE
        if shape != self.copied_from or source is not self.source:      # most have the shape of the one before
            self.copied_to = self.out.add_shape(source.ints[shape], source.ints + shape + 1)
            self.copied_from = shape
            self.source = source
        return self.copied_to

    cdef int32_t literal(self, double value) except -1:
        cdef int slot = real_slot(value), k
        cdef int32_t found = -1
        for k in range(slot, slot + WAYS):
            found = self.recent_reals[k]
            if found >= 0 and not memcmp(&self.out.reals[found], &value, 8):
                break
        else:
            found = self.out.add_real(value)
            remember(&self.recent_reals[slot], found)
        return self.append(AD_OP_LITERAL, F64, 0, -1, -1, -1, SCALAR_SHAPE, found)

    cdef int32_t full(self, uint8_t dtype, int32_t scalar, int32_t shape) except -1:
        scalar = self.cast(scalar, dtype)                           # so its operand can stand for it
        if shape == SCALAR_SHAPE or self.out.ints[shape] == 0:
            return scalar
        return self.append(AD_OP_FULL, dtype, 1, scalar, -1, -1, shape, -1)

    cdef int32_t filled(self, uint8_t dtype, double value, int32_t shape) except -1:
        return self.full(dtype, self.literal(value), shape)

    cdef int32_t cast(self, int32_t value, uint8_t dtype) except -1:
        cdef Instr *instr = &self.out.code[value]
        cdef double number
        if instr.dtype == dtype:
            return value
        if instr.op == AD_OP_LITERAL and dtype in (F32, F64):
            number = self.out.reals[instr.param]
            value = self.literal(<double><float>number if dtype == F32 else number)
            if dtype == F32:
                value = self.append(AD_OP_LITERAL, F32, 0, -1, -1, -1, SCALAR_SHAPE, self.out.code[value].param)
            return value
        if instr.op == AD_OP_FULL:
            return self.full(dtype, instr.x1, instr.shape)
        return self.append(AD_OP_IDENTITY, dtype, 1, value, -1, -1, instr.shape, -1)

    cdef int32_t in_shape(self, int32_t value, int32_t shape, uint8_t dtype) except -1:
        """A value as an array of this shape: itself, or a scalar filled out."""
        if same_shape(self.out.ints, self.out.code[value].shape, shape):
            return self.cast(value, dtype)
        return self.full(dtype, value, shape)

    cdef bint number(self, int32_t value, double *number) noexcept:
        """Is the value (every element of it) a literal?"""
        cdef Instr *instr
        if value < 0:
            return False
        instr = &self.out.code[value]
        if instr.op == AD_OP_FULL:
            instr = &self.out.code[instr.x1]
        if instr.op != AD_OP_LITERAL:
            return False
        number[0] = self.out.reals[instr.param]
        return True

    # -- elementwise -------------------------------------------------------------

    cdef bint negates(self, const Instr *instr, uint8_t dtype) noexcept:
        """Is it a negation from this dtype to this dtype, so that nothing is rounded on the way?"""
        return instr.op == AD_OP_NEG and instr.dtype == dtype and self.out.code[instr.x1].dtype == dtype

    cdef int32_t elementwise(self, uint16_t op, uint8_t dtype, int32_t shape, int32_t x1, int32_t x2=-1,
                             int32_t x3=-1) except -1:
        cdef uint8_t nargs = 1 if x2 < 0 else (2 if x3 < 0 else 3)
        cdef int32_t[3] x
        cdef int32_t folded
        cdef int k, arrays = 0
        x[0] = x1
        x[1] = x2
        x[2] = x3
        if self.rewrites:
            if self.out.ints[shape] > 0:
                # a filled array is its scalar: operands broadcast
                for k in range(nargs):
                    if self.out.code[x[k]].op == AD_OP_FULL:
                        x[k] = self.out.code[x[k]].x1
                    elif self.out.ints[self.out.code[x[k]].shape] > 0:
                        arrays += 1
                if arrays == 0:
                    folded = self.elementwise(op, dtype, SCALAR_SHAPE, x[0], x[1], x[2])
                    return self.full(dtype, folded, shape)
            folded = self.fold(op, dtype, shape, x[0], x[1], x[2])
            if folded >= 0:
                return folded
        return self.append(op, dtype, nargs, x[0], x[1], x[2], shape, -1)

    cdef int32_t fold(self, uint16_t op, uint8_t dtype, int32_t shape, int32_t x1, int32_t x2, int32_t x3) except -2:
        """The rules for elementwise ops: ``condition -> replacement`` in this order; NO when none applies."""
        cdef double a = 0.0, b = 0.0, c = 0.0
        cdef bint na = self.number(x1, &a), nb = self.number(x2, &b), nc = self.number(x3, &c)
        cdef Instr *i1 = &self.out.code[x1]
        cdef Instr *i2 = &self.out.code[x2] if x2 >= 0 else NULL
        cdef int32_t inner
        cdef int exponent = 0
        # all literals -> literal
        if shape == SCALAR_SHAPE and na and (nb or x2 < 0) and (nc or x3 < 0) and dtype in (F64, F32):
            a = ad_evaluate(op, a, b, c)
            return self.cast(self.literal(a), dtype)
        if op == AD_OP_IDENTITY:
            if i1.dtype == dtype:
                return x1
        elif op == AD_OP_ADD:
            if na and a == 0.0:
                return self.in_shape(x2, shape, dtype)              # 0 + x -> x
            if nb and b == 0.0:
                return self.in_shape(x1, shape, dtype)              # x + 0 -> x
            if self.negates(i2, dtype):
                return self.elementwise(AD_OP_SUB, dtype, shape, x1, i2.x1)     # x + -y -> x - y
            if self.negates(i1, dtype):
                return self.elementwise(AD_OP_SUB, dtype, shape, x2, i1.x1)     # -x + y -> y - x
            if x1 > x2:
                return self.elementwise(op, dtype, shape, x2, x1)               # one order for CSE
        elif op == AD_OP_SUB:
            if nb and b == 0.0:
                return self.in_shape(x1, shape, dtype)              # x - 0 -> x
            if na and a == 0.0:
                inner = self.in_shape(x2, shape, dtype)
                return self.elementwise(AD_OP_NEG, dtype, shape, inner)         # 0 - x -> -x
            if self.negates(i2, dtype):
                return self.elementwise(AD_OP_ADD, dtype, shape, x1, i2.x1)     # x - -y -> x + y
        elif op == AD_OP_MUL or op == AD_OP_MULZ:
            if na and a == 1.0:
                return self.in_shape(x2, shape, dtype)              # 1 * x -> x
            if nb and b == 1.0:
                return self.in_shape(x1, shape, dtype)              # x * 1 -> x
            if op == AD_OP_MULZ and ((na and isfinite(a) and a != 0.0) or (nb and isfinite(b))):
                return self.elementwise(AD_OP_MUL, dtype, shape, x1, x2)        # no 0 * inf possible
            if na and a == -1.0:
                inner = self.in_shape(x2, shape, dtype)
                return self.elementwise(AD_OP_NEG, dtype, shape, inner)         # -1 * x -> -x
            if nb and b == -1.0:
                inner = self.in_shape(x1, shape, dtype)
                return self.elementwise(AD_OP_NEG, dtype, shape, inner)         # x * -1 -> -x
            if self.negates(i1, i1.dtype) and self.negates(i2, i2.dtype):
                return self.elementwise(op, dtype, shape, i1.x1, i2.x1)         # -x * -y -> x * y
            if op == AD_OP_MUL and na and self.negates(i2, dtype):
                inner = i2.x1
                return self.elementwise(op, dtype, shape, self.literal(-a), inner)      # a * -x -> -a * x
            if op == AD_OP_MUL and nb and self.negates(i1, dtype):
                inner = i1.x1
                return self.elementwise(op, dtype, shape, inner, self.literal(-b))      # -x * b -> x * -b
            if op == AD_OP_MUL and x1 == x2:
                return self.elementwise(AD_OP_SQUARE, dtype, shape, x1)         # x * x -> x ** 2
            inner = self.scaled_product(op, dtype, shape, x1, x2)
            if inner >= 0:
                return inner
            if op == AD_OP_MUL and x1 > x2:
                return self.elementwise(op, dtype, shape, x2, x1)               # one order for CSE
        elif op == AD_OP_DIV:
            if nb and b == 1.0:
                return self.in_shape(x1, shape, dtype)              # x / 1 -> x
            if nb and fabs(frexp(b, &exponent)) == 0.5 and -1000 < exponent < 1000:
                return self.elementwise(AD_OP_MUL, dtype, shape, x1, self.literal(1.0 / b))     # by a power of 2
            if na and a == 1.0:
                inner = self.in_shape(x2, shape, dtype)
                return self.elementwise(AD_OP_RECIPROCAL, dtype, shape, inner)  # 1 / x
        elif op == AD_OP_RECIPROCAL:
            return self.logistic(dtype, shape, i1)                  # 1 / (1 + exp(-x)) -> expit(x)
        elif op == AD_OP_ABS or op == AD_OP_SQUARE:
            if self.negates(i1, dtype):
                return self.elementwise(op, dtype, shape, i1.x1)    # |-x| -> |x|
        elif op == AD_OP_MAXIMUM or op == AD_OP_MINIMUM or op == AD_OP_FMAX or op == AD_OP_FMIN:
            if x1 == x2:
                return self.in_shape(x1, shape, dtype)
        elif op == AD_OP_NEG:
            if self.negates(i1, dtype):
                return i1.x1                                        # --x -> x
        elif op == AD_OP_POWER and nb:
            inner = self.in_shape(x1, shape, dtype)
            if b == 1.0:
                return inner                                        # x ** 1 -> x
            if b == 2.0:
                return self.elementwise(AD_OP_SQUARE, dtype, shape, inner)
            if b == 3.0:
                return self.elementwise(AD_OP_MUL, dtype, shape, inner,
                                        self.elementwise(AD_OP_SQUARE, dtype, shape, inner))
            if b == 0.5:
                return self.elementwise(AD_OP_SQRT, dtype, shape, inner)
            if b == -1.0:
                return self.elementwise(AD_OP_RECIPROCAL, dtype, shape, inner)
            if b == 0.0:
                return self.filled(dtype, 1.0, shape)               # x ** 0 -> 1, also for NaN (as NumPy)
        elif op == AD_OP_WHERE:
            if na:
                return self.in_shape(x2 if a != 0.0 else x3, shape, dtype)
            if x2 == x3:
                return self.in_shape(x2, shape, dtype)
            if i1.op == AD_OP_LOGICAL_NOT:
                return self.elementwise(op, dtype, shape, i1.x1, x3, x2)        # where(not c, a, b)
        return NO

    cdef int32_t without_factor(self, int32_t value, uint8_t dtype, double *factor) noexcept:
        """What a literal multiplies, in this dtype; NO where none does."""
        cdef const Instr *instr = &self.out.code[value]
        if instr.op != AD_OP_MUL or instr.dtype != dtype:
            return NO
        if self.number(instr.x1, factor) and self.out.code[instr.x2].dtype == dtype:
            return instr.x2
        if self.number(instr.x2, factor) and self.out.code[instr.x1].dtype == dtype:
            return instr.x1
        return NO

    cdef int32_t scaled_product(self, uint16_t op, uint8_t dtype, int32_t shape, int32_t x1, int32_t x2) except -2:
        """A product with numbers among its factors. Powers of 2 round nothing wherever they stand; another number goes into an array
        before it is stretched, but only in derivatives: values are those of NumPy to the bit, whatever is computed with them."""
        cdef double a = 0.0, b = 0.0
        cdef bint na = self.number(x1, &a), nb = self.number(x2, &b)
        cdef int32_t u = NO, v = NO, product
        if op == AD_OP_MUL and (na or nb):
            u = self.without_factor(x2 if na else x1, dtype, &b if na else &a)
            if u >= 0 and (is_power(a) or is_power(b)):
                return self.elementwise(op, dtype, shape, self.literal(a * b), u)           # a * (b * x) -> ab * x
        elif not na and not nb:
            u = self.without_factor(x1, dtype, &a)
            v = self.without_factor(x2, dtype, &b)
            if op == AD_OP_MUL and (v == x1 and is_power(b) or u == x2 and is_power(a)):
                return self.elementwise(op, dtype, shape, self.literal(b if v == x1 else a),
                                        self.elementwise(AD_OP_SQUARE, dtype, shape, x1 if v == x1 else x2))   # x * (b * x) -> b * x ** 2
            if u >= 0 and v >= 0 and is_power(a) and fabs(a * b) == 1.0:
                product = self.elementwise(op, dtype, shape, u, v)                          # 2 x * y / 2 -> x * y
                return product if a * b > 0.0 else self.elementwise(AD_OP_NEG, dtype, shape, product)
        if self.out.ints[shape] == 0 or dtype != F64:
            return NO
        if self.out.ints[self.out.code[x1].shape] == 0:
            return self.into_row(op, dtype, shape, x1, x2) if op == AD_OP_MULZ or na and is_power(a) else NO
        if self.out.ints[self.out.code[x2].shape] == 0:
            return self.into_row(op, dtype, shape, x2, x1) if op == AD_OP_MULZ or nb and is_power(b) else NO
        if v >= 0 and is_power(b):                                      # (stretched(row) * x) * 2 y -> (stretched(2 row) * x) * y
            product = self.into_row(AD_OP_MUL, dtype, shape, self.literal(b), x1)
            if product >= 0:
                return self.elementwise(op, dtype, shape, product, v)
        if u >= 0 and is_power(a):
            product = self.into_row(AD_OP_MUL, dtype, shape, self.literal(a), x2)
            if product >= 0:
                return self.elementwise(op, dtype, shape, u, product)
        return NO

    cdef int32_t into_row(self, uint16_t op, uint8_t dtype, int32_t shape, int32_t scalar, int32_t product) except -2:
        """``s * (stretched(row) * x) -> stretched(s * row) * x``; NO where the product is not of that kind."""
        cdef Instr big = self.out.code[product], row
        cdef int32_t factor, rest
        cdef int64_t[MAX_DIMS] strides
        cdef int k
        if self.out.code[scalar].dtype != dtype or big.dtype != dtype or big.op != AD_OP_MUL and big.op != AD_OP_MULZ:
            return NO
        for k in range(2):
            factor, rest = (big.x2, big.x1) if k else (big.x1, big.x2)
            row = self.out.code[factor]
            if row.op == AD_OP_VIEW and row.dtype == dtype and 4 * size_at(self.out.ints, self.out.code[row.x1].shape) <= size_at(
                    self.out.ints, shape):
                factor = self.elementwise(op, dtype, self.out.code[row.x1].shape, scalar, row.x1)
                memcpy(strides, self.out.ints + row.param + 1, self.out.ints[row.shape] * sizeof(int64_t))
                factor = self.view(dtype, factor, row.shape, self.out.ints[row.param], strides)
                return self.elementwise(big.op, dtype, shape, factor, rest)
        return NO

    cdef int32_t logistic(self, uint8_t dtype, int32_t shape, const Instr *total) except -2:
        """``expit``, if its reciprocal is 1 + exp(x) or 1 + exp(-x), all in one dtype; NO otherwise."""
        cdef const Instr *power
        cdef int32_t x
        cdef double one = 0.0
        if total.op != AD_OP_ADD or total.dtype != dtype:
            return NO
        if self.number(total.x1, &one):
            power = &self.out.code[total.x2]
        elif self.number(total.x2, &one):
            power = &self.out.code[total.x1]
        else:
            return NO
        if one != 1.0 or power.op != AD_OP_EXP or power.dtype != dtype or not same_shape(self.out.ints, power.shape, shape):
            return NO
        x = power.x1
        if self.out.code[x].dtype != dtype:
            return NO
        if self.negates(&self.out.code[x], dtype):
            x = self.out.code[x].x1
        else:
            x = self.elementwise(AD_OP_NEG, dtype, shape, x)
        return self.elementwise(AD_OP_EXPIT, dtype, shape, x)

    # -- structure -----------------------------------------------------------------

    cdef bint covers(self, int32_t base, int32_t x, int64_t offset, const int64_t *strides) noexcept:
        """Does the map run over the whole base in its own order?"""
        cdef const int64_t *ints = self.out.ints
        cdef int32_t space = self.out.code[x].shape
        cdef int64_t step = 1, k
        if offset != 0 or size_at(ints, space) != size_at(ints, base):
            return False
        for k in range(ints[space] - 1, -1, -1):
            if ints[space + 1 + k] > 1 and strides[k] != step:
                return False
            step *= ints[space + 1 + k]
        return True

    cdef int32_t view(self, uint8_t dtype, int32_t base, int32_t shape, int64_t offset,
                      const int64_t *strides) except -1:
        cdef Instr *below = &self.out.code[base]
        cdef int64_t *ints = self.out.ints
        cdef int64_t k, ndim = ints[shape]
        cdef int32_t found, space
        cdef Map inner
        cdef int64_t[MAX_DIMS] own
        if self.rewrites:
            if same_shape(ints, below.shape, shape) and map_in_order(ndim, ints + shape + 1, offset, strides):
                return base
            if below.op == AD_OP_FULL:
                return self.full(dtype, below.x1, shape)
            if ints[below.shape] == 0:
                return self.full(dtype, base, shape)
            if below.op == AD_OP_VIEW:
                for k in range(ndim):
                    own[k] = strides[k]
                found = self.compose(dtype, base, shape, offset, own)
                if found >= 0:
                    return found
                below = &self.out.code[base]
                ints = self.out.ints
            elif below.op == AD_OP_UPDATE or below.op == AD_OP_ACCUMULATE:
                found = self.version_read(base, shape, offset, strides, &inner)
                if found >= 0:                                      # what was written is what is read
                    space = self.out.code[found].dtype
                    return self.cast(self.view(<uint8_t>space, found, shape, inner.offset, inner.strides), dtype)
        for k in range(ndim):
            own[k] = strides[k] if self.out.ints[shape + 1 + k] > 1 else 0
        return self.append(AD_OP_VIEW, dtype, 1, base, -1, -1, shape, self.add_map(offset, own, ndim))

    cdef int32_t matmul(self, uint8_t dtype, int32_t x1, int32_t x2, int32_t shape) except -1:
        """A product of matrices. Where each sum has one term, a column times a row, it is elementwise: others join it in a group,
        and it is written where it is wanted."""
        cdef const int64_t *ints = self.out.ints
        cdef int64_t n = ints[shape], k, step1 = 1, step2 = 1
        cdef int64_t[MAX_DIMS] strides1
        cdef int64_t[MAX_DIMS] strides2
        if not self.rewrites or ints[self.out.code[x1].shape + n] != 1:
            return self.append(AD_OP_MATMUL, dtype, 2, x1, x2, -1, shape, -1)
        for k in range(n - 1, -1, -1):
            strides1[k] = 0 if k == n - 1 else step1
            strides2[k] = 0 if k == n - 2 else step2
            step1 *= 1 if k == n - 1 else ints[shape + 1 + k]
            step2 *= 1 if k == n - 2 else ints[shape + 1 + k]
        x1 = self.view(self.out.code[x1].dtype, x1, shape, 0, strides1)
        x2 = self.view(self.out.code[x2].dtype, x2, shape, 0, strides2)
        return self.elementwise(AD_OP_MUL, dtype, shape, x1, x2)

    cdef int32_t version_read(self, int32_t base, int32_t shape, int64_t offset, const int64_t *strides,
                              Map *inner) noexcept:
        """The value that a view of a written array reads, and the map into it; -1 when it is not one.

        That is what an update wrote, or the array below all updates. Looks back through
        writes to other elements, but not for long: a loop that reads what another loop wrote must
        stay linear. It is all or nothing: a read that moves to some version in between would
        keep that version alive and cost a copy.
        """
        cdef const int64_t *ints = self.out.ints
        cdef const int64_t *space
        cdef const Instr *instr
        cdef int32_t at = base
        cdef int64_t k
        cdef int step
        cdef Map read, written, dense
        read.ndim = ints[shape]
        read.offset = offset
        for k in range(read.ndim):
            read.dims[k] = ints[shape + 1 + k]
            read.strides[k] = strides[k]
        for step in range(MAX_WALK):  # no-cython-lint
            instr = &self.out.code[at]
            if instr.op != AD_OP_UPDATE and instr.op != AD_OP_ACCUMULATE:
                inner[0] = read
                return at
            space = ints + self.out.code[instr.x2].shape
            if same_shape(ints, self.out.code[instr.x2].shape, shape):
                if maps_disjoint(read.ndim, read.dims, offset, strides, ints[instr.param], ints + instr.param + 1):
                    at = instr.x1
                    continue
                if instr.op == AD_OP_UPDATE and maps_equal(
                        read.ndim, read.dims, offset, strides, ints[instr.param], ints + instr.param + 1):
                    inner[0] = read
                    make_dense(inner)
                    return instr.x2
            written.ndim = dense.ndim = space[0]
            written.offset = ints[instr.param]
            for k in range(space[0]):
                written.dims[k] = dense.dims[k] = space[1 + k]
                written.strides[k] = ints[instr.param + 1 + k]
            if disjoint(&read, &written):
                at = instr.x1
                continue
            make_dense(&dense)
            if instr.op == AD_OP_UPDATE and compose(&read, &written, &dense, inner):
                return instr.x2
            return -1
        return -1

    cdef int32_t compose(self, uint8_t dtype, int32_t base, int32_t shape, int64_t offset,  # no-cython-lint
                         const int64_t *strides) except -2:
        """A view of a view as one view, when the inner index never carries; NO otherwise."""
        cdef Instr below = self.out.code[base]
        cdef int64_t *ints = self.out.ints
        cdef int64_t ndim = ints[shape], m = 0, k, j, rest, c, at
        cdef int64_t[MAX_DIMS] dims, inner, dense, low, high, out
        cdef int64_t start
        # inner dimensions, merged where the base is walked evenly
        for k in range(ints[below.shape]):
            if ints[below.shape + 1 + k] == 0:
                return NO
            if ints[below.shape + 1 + k] == 1:
                continue
            if m and inner[m - 1] == ints[below.param + 1 + k] * ints[below.shape + 1 + k]:
                dims[m - 1] *= ints[below.shape + 1 + k]
                inner[m - 1] = ints[below.param + 1 + k]
            else:
                dims[m] = ints[below.shape + 1 + k]
                inner[m] = ints[below.param + 1 + k]
                m += 1
        at = 1
        for j in range(m - 1, -1, -1):
            dense[j] = at
            at *= dims[j]
        rest = offset
        start = ints[below.param]
        for j in range(m):
            c = rest // dense[j]
            rest -= c * dense[j]
            start += c * inner[j]
            low[j] = c
            high[j] = c
        for k in range(ndim):
            out[k] = 0
            if ints[shape + 1 + k] <= 1:
                continue
            rest = strides[k]
            for j in range(m):
                # the multiple of dense[j] nearest to what is left, so that remainders stay small
                c = rest // dense[j]
                if j < m - 1 and (rest - c * dense[j]) * 2 > dense[j]:
                    c += 1
                elif j < m - 1 and (c * dense[j] - rest) * 2 > dense[j]:
                    c -= 1
                rest -= c * dense[j]
                out[k] += c * inner[j]
                if c > 0:
                    high[j] += c * (ints[shape + 1 + k] - 1)
                else:
                    low[j] += c * (ints[shape + 1 + k] - 1)
            if rest != 0:
                return NO
        for j in range(m):
            if low[j] < 0 or high[j] >= dims[j]:
                return NO
        return self.view(dtype, below.x1, shape, start, out)

    cdef int32_t through_updates(self, uint8_t dtype, int32_t base, int32_t x, int64_t offset,
                                 const int64_t *strides, int depth) except -2:
        """``accumulate(update(b, 0; m), x; m) -> update(b, x; m)``, also below updates of other elements."""
        cdef Instr below = self.out.code[base]
        cdef int64_t *ints = self.out.ints
        cdef int32_t space = self.out.code[x].shape, inner
        cdef int64_t[MAX_DIMS] own
        cdef int64_t k
        cdef double zero = 1.0
        if below.op != AD_OP_UPDATE or depth > 8 or not same_shape(ints, self.out.code[below.x2].shape, space):
            return NO
        if maps_equal(ints[space], ints + space + 1, offset, strides, ints[below.param], ints + below.param + 1):
            if self.number(below.x2, &zero) and zero == 0.0:
                return self.store(AD_OP_UPDATE, dtype, below.x1, x, below.shape, offset, strides)
            return NO
        if not maps_disjoint(ints[space], ints + space + 1, offset, strides, ints[below.param],
                             ints + below.param + 1):
            return NO
        inner = self.through_updates(dtype, below.x1, x, offset, strides, depth + 1)
        if inner < 0:
            return NO
        for k in range(self.out.ints[space]):
            own[k] = self.out.ints[below.param + 1 + k]
        return self.store(AD_OP_UPDATE, dtype, inner, below.x2, below.shape, self.out.ints[below.param], own)

    cdef int32_t store(self, uint16_t op, uint8_t dtype, int32_t base, int32_t x, int32_t shape, int64_t offset,
                       const int64_t *strides) except -1:
        """sum, reduce_*, accumulate, update: x written through a map over its own shape."""
        cdef int64_t *ints = self.out.ints
        cdef int32_t space = self.out.code[x].shape, found
        cdef int64_t ndim = ints[space], k, step
        cdef int64_t[MAX_DIMS] own
        cdef Instr below
        cdef double zero = 1.0
        for k in range(ndim):
            own[k] = strides[k] if ints[space + 1 + k] > 1 else 0
        if self.rewrites:
            if op == AD_OP_ACCUMULATE and self.number(base, &zero) and zero == 0.0:
                op = AD_OP_SUM
                base = -1
            if op == AD_OP_SUM and size_at(ints, space) == 0:
                return self.filled(dtype, 0.0, shape)
            if op == AD_OP_SUM and self.out.code[x].op == AD_OP_FULL:
                found = self.sum_of_full(dtype, x, shape, offset, own)
                if found >= 0:
                    return found
                ints = self.out.ints
            elif op == AD_OP_SUM:
                found = self.sum_of_scaled(dtype, x, shape, offset, own)
                if found >= 0:
                    return found
                ints = self.out.ints
            if op != AD_OP_ACCUMULATE and self.covers(shape, x, offset, own):
                step = 1
                for k in range(ints[shape] - 1, -1, -1):
                    own[k] = step
                    step *= ints[shape + 1 + k]
                return self.cast(self.view(self.out.code[x].dtype, x, shape, 0, own), dtype)
            if op == AD_OP_ACCUMULATE:
                if self.covers(shape, x, offset, own) and same_shape(ints, space, shape):
                    return self.elementwise(AD_OP_ADD, dtype, shape, base, x)
                found = self.through_updates(dtype, base, x, offset, own, 0)
                if found >= 0:
                    return found
                ints = self.out.ints
            elif op == AD_OP_UPDATE:
                if self.holds(base, x, offset, own):
                    return base
                below = self.out.code[base]
                if below.op == AD_OP_UPDATE and same_shape(ints, self.out.code[below.x2].shape, space):
                    if (maps_equal(ndim, ints + space + 1, offset, own, ints[below.param], ints + below.param + 1)
                            and self.unread(base)):
                        return self.store(op, dtype, below.x1, x, shape, offset, own)   # written over
                    if (self.out.code[below.x1].op != AD_OP_EMPTY
                            and 2 * size_at(ints, space) == size_at(ints, shape)
                            and maps_disjoint(ndim, ints + space + 1, offset, own, ints[below.param],
                                              ints + below.param + 1)):
                        # two halves make the whole: what was there before does not matter
                        base = self.append(AD_OP_UPDATE, dtype, 2,
                                           self.append(AD_OP_EMPTY, dtype, 0, -1, -1, -1, shape, -1),
                                           below.x2, -1, shape, below.param)
        if base < 0:
            return self.append(op, dtype, 1, x, -1, -1, shape, self.add_map(offset, own, ndim))
        return self.append(op, dtype, 2, base, x, -1, shape, self.add_map(offset, own, ndim))

    cdef int32_t sum_of_scaled(self, uint8_t dtype, int32_t x, int32_t shape, int64_t offset, const int64_t *strides) except -2:
        """sum(-x) -> -sum(x), sum(s * x) -> s * sum(x) where sums are few, with a power of 2 or in derivatives; NO otherwise."""
        cdef const int64_t *ints = self.out.ints
        cdef Instr instr = self.out.code[x]
        cdef int32_t space = instr.shape, scalar = -1, rest = instr.x1
        cdef int64_t reached = 1, k
        cdef double factor = 0.0
        if dtype != F64 or instr.dtype != dtype or instr.op not in (AD_OP_NEG, AD_OP_MUL, AD_OP_MULZ):
            return NO
        for k in range(ints[space]):
            if strides[k] != 0:
                reached *= ints[space + 1 + k]
        if reached != size_at(ints, shape) or size_at(ints, space) < 4 * reached:   # a number may be infinite: no place is left out
            return NO
        if instr.op != AD_OP_NEG:
            scalar, rest = instr.x1, instr.x2
            if ints[self.out.code[scalar].shape] > 0:
                scalar, rest = instr.x2, instr.x1
            if ints[self.out.code[scalar].shape] > 0 or self.out.code[scalar].dtype != dtype:
                return NO
            if instr.op == AD_OP_MUL and not (self.number(scalar, &factor) and is_power(factor)):
                return NO
        if self.out.code[rest].dtype != dtype or not same_shape(ints, self.out.code[rest].shape, space):
            return NO
        rest = self.store(AD_OP_SUM, dtype, -1, rest, shape, offset, strides)
        if instr.op == AD_OP_NEG:
            return self.elementwise(AD_OP_NEG, dtype, shape, rest)
        return self.elementwise(instr.op, dtype, shape, scalar, rest)

    cdef bint holds(self, int32_t base, int32_t x, int64_t offset, const int64_t *strides) noexcept:
        """Is x read from where it would be written, so that ``update(base, x; map)`` is the base itself?"""
        cdef const int64_t *ints = self.out.ints
        cdef const Instr *read = &self.out.code[x]
        cdef const Instr *below = &self.out.code[base]
        return (read.op == AD_OP_VIEW and read.x1 == base and read.dtype == below.dtype and maps_equal(
            ints[read.shape], ints + read.shape + 1, offset, strides, ints[read.param], ints + read.param + 1))

    cdef bint unread(self, int32_t value) noexcept:
        """Is it certain that no instruction reads the value yet? Looks at the last few only.

        A version that is read and then written over stays where it is in the chain of versions: the chain runs in
        one buffer, and so does the chain of its adjoints; versions that all start from one base copy it each.
        """
        cdef Py_ssize_t i
        cdef int k
        cdef const Instr *instr
        if self.out.length - value > MAX_LOOK:
            return False
        for i in range(value + 1, self.out.length):
            instr = &self.out.code[i]
            for k in range(n_args(instr)):
                if arg(instr, self.out.ints, k) == value:
                    return False
        return True

    cdef int32_t sum_of_full(self, uint8_t dtype, int32_t x, int32_t shape, int64_t offset,
                             const int64_t *strides) except -2:
        """The sum of equal elements over whole axes: a multiple, however many there are; NO for other maps."""
        cdef const int64_t *ints = self.out.ints
        cdef int32_t space = self.out.code[x].shape, scalar = self.out.code[x].x1
        cdef int64_t k, count = 1, step = 1
        if offset != 0:
            return NO
        for k in range(ints[space] - 1, -1, -1):
            if strides[k] == 0:
                count *= ints[space + 1 + k]
            elif strides[k] != step:
                return NO
            else:
                step *= ints[space + 1 + k]
        if step != size_at(ints, shape):
            return NO
        return self.full(dtype, self.elementwise(AD_OP_MUL, F64, SCALAR_SHAPE, scalar, self.literal(<double>count)), shape)

    # -- any instruction ---------------------------------------------------------------

    cdef int32_t emit(self, uint16_t op, uint8_t dtype, uint8_t nargs, int32_t x1, int32_t x2, int32_t x3,
                      int32_t shape, int32_t param) except -1:
        """Any instruction, all its numbers already those of the new program."""
        if op < AD_N_ELEMENTWISE:
            return self.elementwise(op, dtype, shape, x1, x2, x3)
        if op == AD_OP_FULL:
            return self.full(dtype, x1, shape)
        return self.append(op, dtype, nargs, x1, x2, x3, shape, param)

    cdef int32_t rule_number(self, object rule) except -1:
        """Where a rule of a CALL stands in the new program's list."""
        cdef list rules = self.out.rules
        cdef Py_ssize_t k
        for k in range(len(rules)):
            if rules[k] is rule:
                return <int32_t>k
        rules.append(rule)
        return <int32_t>(len(rules) - 1)

    cdef int32_t call(self, uint8_t dtype, int32_t first, int n, int32_t shape, object rule) except -1:
        """A call of the arguments from this place of the pool on, new or known."""
        cdef dict calls = self.calls
        key = call_key(self.out, dtype, first, n, shape, rule)
        if key in calls:
            return calls[key]
        found = self.append(AD_OP_CALL, dtype, NARY, first, n, -1, shape, self.rule_number(rule))
        if key is not None:
            calls[key] = found
        return found

    cdef list inline(self, Program program, list inputs):
        """Emit a program of its own, its inputs being values of the new program; returns its outputs' values."""
        cdef Py_ssize_t i
        cdef int32_t line = self.line
        cdef int32_t *new = <int32_t *>PyMem_RawMalloc((program.length + 1) * sizeof(int32_t))
        if new == NULL:
            raise MemoryError()
        try:
            for i in range(program.length):
                if program.code[i].op == AD_OP_INPUT:
                    new[i] = <int32_t>inputs[program.code[i].param]
                else:
                    new[i] = self.translate(program, <int32_t>i, new)
            self.line = line
            return [new[program.results[i]] for i in range(program.n_results)]
        finally:
            PyMem_RawFree(new)

    cdef int32_t translate(self, Program source, int32_t value, const int32_t *new) except -1:
        """Instruction ``value`` of another program, with its arguments renumbered by ``new``."""
        cdef Instr *instr = &source.code[value]
        cdef int32_t shape, at
        cdef int64_t number
        cdef int k, n
        self.line = source.line[value]
        if instr.op == AD_OP_LITERAL:
            at = self.literal(source.reals[instr.param])
            if instr.dtype == BOOL or instr.dtype == I64:
                return self.append(AD_OP_LITERAL, instr.dtype, 0, -1, -1, -1, SCALAR_SHAPE, self.out.code[at].param)
            return self.cast(at, instr.dtype)
        shape = self.copy_shape(source, instr.shape)
        if instr.op == AD_OP_VIEW:
            return self.view(instr.dtype, new[instr.x1], shape, source.ints[instr.param], source.ints + instr.param + 1)
        if is_map_op(instr.op):
            if instr.nargs == 1:
                return self.store(instr.op, instr.dtype, -1, new[instr.x1], shape, source.ints[instr.param],
                                  source.ints + instr.param + 1)
            return self.store(instr.op, instr.dtype, new[instr.x1], new[instr.x2], shape, source.ints[instr.param],
                              source.ints + instr.param + 1)
        if instr.nargs == NARY:
            n = n_args(instr)
            at = <int32_t>self.out.n_ints
            for k in range(n):
                number = new[source.ints[instr.x1 + k]]
                self.out.add_ints(&number, 1)
            shape = self.copy_shape(source, instr.shape)
            if instr.op == AD_OP_CALL:
                return self.call(instr.dtype, at, n, shape, source.rules[instr.param])
            k = self.out.add_ints(source.ints + instr.param, n - 1)
            return self.append(instr.op, instr.dtype, NARY, at, n, -1, shape, k)
        if instr.op == AD_OP_CUMSUM or instr.op == AD_OP_WINDOW:
            at = self.out.add_ints(source.ints + instr.param, 4 if instr.op == AD_OP_CUMSUM else 1 + 5 * source.ints[instr.shape])
            return self.append(instr.op, instr.dtype, 1, new[instr.x1], -1, -1, shape, at)
        return self.emit(instr.op, instr.dtype, instr.nargs,
                         new[instr.x1] if instr.nargs > 0 else -1, new[instr.x2] if instr.nargs > 1 else -1,
                         new[instr.x3] if instr.nargs > 2 else -1, shape, instr.param)
