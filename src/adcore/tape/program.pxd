from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint64_t

from adcore.tape.maps cimport map_in_order

cdef enum:
    NARY = 255          # nargs of an instruction whose arguments stand in the pool
    SCALAR_SHAPE = 0    # ints[0] is always 0: the shape ()

cdef enum Dtype:
    F64 = 0
    F32 = 1
    BOOL = 2
    I64 = 3

cdef struct Instr:
    uint16_t op
    uint8_t dtype
    uint8_t nargs
    int32_t x1
    int32_t x2
    int32_t x3
    int32_t shape
    int32_t param

cdef class Program:
    # columns: code[i] and line[i] belong to instruction i
    cdef Instr *code
    cdef int32_t *line
    cdef Py_ssize_t length, capacity
    # pools
    cdef int64_t *ints
    cdef Py_ssize_t n_ints, cap_ints
    cdef double *reals
    cdef Py_ssize_t n_reals, cap_reals
    # outputs, in order
    cdef int32_t *results
    cdef Py_ssize_t n_results
    # how many arrays and floats a run binds
    cdef public int32_t n_inputs, n_consts, n_scalars
    cdef int32_t[64] recent_shapes
    cdef bint simplified            # every instruction went through the builder's rules, and none is there twice
    cdef public object sources      # list of (filename, line, function), index = line column
    cdef public object locate       # gives the line of what is appended (an index into sources), or None
    cdef public object rules        # Python objects CALL instructions refer to, by index

    cdef int32_t append(self, uint16_t op, uint8_t dtype, uint8_t nargs, int32_t x1, int32_t x2,
                        int32_t x3, int32_t shape, int32_t param) except -1
    cdef int32_t add_ints(self, const int64_t *values, Py_ssize_t n) except -1
    cdef int32_t add_shape(self, int64_t ndim, const int64_t *dims) except -1
    cdef int32_t add_real(self, double value) except -1
    cdef int reserve(self, Py_ssize_t length, Py_ssize_t n_ints) except -1
    cdef int set_outputs(self, const int32_t *values, Py_ssize_t n) except -1
    cdef uint64_t fingerprint(self) noexcept
    cdef bint same_as(self, Program other) noexcept
    cdef Program empty_like(self)
    cdef Program with_room(self, Py_ssize_t length)
    cdef object shape_tuple(self, int32_t value)
    cdef list args_list(self, int32_t value)

# Small tables of what was added last: sets of a few, the oldest of a set goes first.
cdef enum:
    WAYS = 4

cdef inline int recent_slot(uint64_t h, int bits) noexcept nogil:
    """First place of one of 2**bits sets."""
    return <int>((h * <uint64_t>0x9E3779B97F4A7C15) >> (64 - bits)) * WAYS

cdef inline void remember(int32_t *first, int32_t at) noexcept nogil:
    cdef int k
    for k in range(WAYS - 1, 0, -1):
        first[k] = first[k - 1]
    first[0] = at

# Inline readers: no bounds check, the verifier has looked.
cdef inline int64_t ndim_at(const int64_t *ints, int32_t shape) noexcept nogil:
    return ints[shape]

cdef inline int64_t size_at(const int64_t *ints, int32_t shape) noexcept nogil:
    cdef int64_t n = 1
    cdef int64_t k
    for k in range(ints[shape]):
        n *= ints[shape + 1 + k]
    return n

cdef inline bint is_reshape(Program program, const Instr *view) noexcept:
    """Is a view all of its base in another shape? Neither is a scalar, which is no array."""
    cdef const int64_t *ints = program.ints
    cdef int32_t shape = view.shape, base = program.code[view.x1].shape
    return (ints[shape] > 0 and ints[base] > 0 and size_at(ints, shape) == size_at(ints, base)
            and map_in_order(ints[shape], ints + shape + 1, ints[view.param], ints + view.param + 1))

cdef inline bint same_shape(const int64_t *ints, int32_t a, int32_t b) noexcept nogil:
    cdef int64_t k
    if a == b:
        return True
    if ints[a] != ints[b]:
        return False
    for k in range(ints[a]):
        if ints[a + 1 + k] != ints[b + 1 + k]:
            return False
    return True

cdef inline int n_args(const Instr *instr) noexcept nogil:
    """Number of arguments, also of an n-ary instruction."""
    return instr.x2 if instr.nargs == NARY else instr.nargs

cdef inline int32_t arg(const Instr *instr, const int64_t *ints, int k) noexcept nogil:
    """Value number of argument k."""
    if instr.nargs == NARY:
        return <int32_t>ints[instr.x1 + k]
    return instr.x1 if k == 0 else (instr.x2 if k == 1 else instr.x3)
