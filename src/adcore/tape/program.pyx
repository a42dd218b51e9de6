"""Programs: an append-only list of instructions with their pools.

Instruction ``i`` defines value ``i``, so an argument is always a smaller number
than its user, and a reverse pass is a loop from ``length - 1`` down to 0.
A tape is a program that still grows; nothing here knows how it is recorded or run.
A grower leaves the object intact when it fails. Not thread-safe while it grows;
a program that nobody appends to may be read from any number of threads.
"""

from libc.string cimport memcmp, memcpy

from adcore import optable

from adcore.tape.shelf cimport ad_give_back, ad_resize, ad_take

DTYPE_NAMES = ("f64", "f32", "bool", "i64")


cdef int grow(void **block, Py_ssize_t *capacity, Py_ssize_t wanted, size_t item) except -1:
    """Make room for ``wanted`` items; on failure nothing has changed."""
    cdef Py_ssize_t target
    cdef void *moved
    if wanted <= capacity[0]:
        return 0
    target = max(wanted, capacity[0] + capacity[0] // 2 + 16)
    moved = ad_resize(block[0], capacity[0] * item, <size_t>target * item)
    if moved == NULL:
        raise MemoryError(f"no memory for a program of {wanted} entries")
    block[0] = moved
    capacity[0] = target
    return 0


cdef uint64_t mix(uint64_t h, const void *data, size_t n) noexcept nogil:
    """Fold n bytes (a multiple of 4) into the hash h."""
    cdef const char *at = <const char *>data
    cdef size_t k
    cdef uint64_t w = 0
    for k in range(n // 8):
        memcpy(&w, at + 8 * k, 8)
        h = (h ^ w) * <uint64_t>0x9E3779B97F4A7C15
        h ^= h >> 29
    if n % 8:
        w = 0
        memcpy(&w, at + n - 4, 4)
        h = (h ^ w) * <uint64_t>0x9E3779B97F4A7C15
        h ^= h >> 29
    return h


cdef class Program:
    """A list of instructions in static single assignment.

    Printed one instruction a line: ``%7 = mul %3 %5 : f64[1000,20]``.
    """

    def __cinit__(self):
        cdef int64_t zero = 0
        cdef int k
        self.sources = []
        self.rules = []
        for k in range(64):
            self.recent_shapes[k] = -1
        self.add_ints(&zero, 1)

    def __dealloc__(self):
        ad_give_back(self.code)
        ad_give_back(self.line)
        ad_give_back(self.ints)
        ad_give_back(self.reals)
        ad_give_back(self.results)

    def __len__(self):
        return self.length

    # -- growing -------------------------------------------------------------

    cdef int reserve(self, Py_ssize_t length, Py_ssize_t n_ints) except -1:
        cdef Py_ssize_t capacity = self.capacity
        if length > capacity:
            grow(<void **>&self.line, &capacity, length, sizeof(int32_t))
            grow(<void **>&self.code, &self.capacity, capacity, sizeof(Instr))
        grow(<void **>&self.ints, &self.cap_ints, n_ints, sizeof(int64_t))
        return 0

    cdef int32_t append(self, uint16_t op, uint8_t dtype, uint8_t nargs, int32_t x1, int32_t x2,
                        int32_t x3, int32_t shape, int32_t param) except -1:
        cdef Py_ssize_t i = self.length
        cdef Instr *instr
        if i == self.capacity:
            self.reserve(i + i // 2 + 64, self.n_ints)
        instr = &self.code[i]
        instr.op = op
        instr.dtype = dtype
        instr.nargs = nargs
        instr.x1 = x1
        instr.x2 = x2
        instr.x3 = x3
        instr.shape = shape
        instr.param = param
        self.line[i] = -1 if self.locate is None else <int32_t>self.locate()
        self.length = i + 1
        return <int32_t>i

    cdef int32_t add_ints(self, const int64_t *values, Py_ssize_t n) except -1:
        cdef Py_ssize_t at = self.n_ints
        if at + n > <Py_ssize_t>0x7FFFFFFF:
            raise MemoryError("a program holds at most 2**31 static integers")
        grow(<void **>&self.ints, &self.cap_ints, at + n, sizeof(int64_t))
        memcpy(self.ints + at, values, n * sizeof(int64_t))
        self.n_ints = at + n
        return <int32_t>at

    cdef int32_t add_shape(self, int64_t ndim, const int64_t *dims) except -1:
        cdef uint64_t h = <uint64_t>ndim
        cdef int64_t k
        cdef int32_t found
        cdef int slot
        if ndim == 0:
            return SCALAR_SHAPE
        for k in range(ndim):
            h = h * <uint64_t>0x100000001B3 + <uint64_t>dims[k]
        slot = recent_slot(h, 4)
        for k in range(slot, slot + WAYS):
            found = self.recent_shapes[k]
            if found >= 0 and self.ints[found] == ndim and not memcmp(
                    self.ints + found + 1, dims, ndim * sizeof(int64_t)):
                return found
        found = self.add_ints(&ndim, 1)
        self.add_ints(dims, ndim)
        remember(&self.recent_shapes[slot], found)
        return found

    cdef int32_t add_real(self, double value) except -1:
        grow(<void **>&self.reals, &self.cap_reals, self.n_reals + 1, sizeof(double))
        self.reals[self.n_reals] = value
        self.n_reals += 1
        return <int32_t>(self.n_reals - 1)

    cdef int set_outputs(self, const int32_t *values, Py_ssize_t n) except -1:
        cdef int32_t *block = <int32_t *>ad_take(max(n, 1) * sizeof(int32_t))
        if block == NULL:
            raise MemoryError()
        memcpy(block, values, n * sizeof(int32_t))
        ad_give_back(self.results)
        self.results = block
        self.n_results = n
        return 0

    cdef Program empty_like(self):
        """A program without instructions that shares what names the outside world."""
        cdef Program other = Program()
        other.n_inputs = self.n_inputs
        other.n_consts = self.n_consts
        other.n_scalars = self.n_scalars
        other.sources = self.sources
        other.rules = list(self.rules)
        other.reserve(self.length, self.n_ints)
        return other

    cdef Program with_room(self, Py_ssize_t length):
        """A copy that has room for so many instructions."""
        cdef Program other = self.empty_like()
        cdef Py_ssize_t n = self.n_ints
        other.reserve(max(length, self.length), n + n // 2)
        grow(<void **>&other.reals, &other.cap_reals, self.n_reals + 16, sizeof(double))
        memcpy(other.code, self.code, self.length * sizeof(Instr))
        memcpy(other.line, self.line, self.length * sizeof(int32_t))
        memcpy(other.ints, self.ints, n * sizeof(int64_t))
        memcpy(other.reals, self.reals, self.n_reals * sizeof(double))
        memcpy(other.recent_shapes, self.recent_shapes, sizeof(self.recent_shapes))
        other.length = self.length
        other.n_ints = n
        other.n_reals = self.n_reals
        other.simplified = self.simplified
        other.set_outputs(self.results, self.n_results)
        return other

    # -- identity ------------------------------------------------------------

    cdef uint64_t fingerprint(self) noexcept:
        cdef uint64_t h = <uint64_t>self.length
        h = mix(h, self.code, self.length * sizeof(Instr))
        h = mix(h, self.ints, self.n_ints * sizeof(int64_t))
        h = mix(h, self.reals, self.n_reals * sizeof(double))
        h = mix(h, self.results, self.n_results * sizeof(int32_t))
        return h

    cdef bint same_as(self, Program other) noexcept:
        cdef Py_ssize_t k
        if (self.length != other.length or self.n_ints != other.n_ints
                or self.n_reals != other.n_reals or self.n_results != other.n_results
                or self.n_inputs != other.n_inputs or self.n_consts != other.n_consts
                or self.n_scalars != other.n_scalars):
            return False
        if self.rules is not other.rules:
            if len(self.rules) != len(other.rules):
                return False
            for k in range(len(self.rules)):
                if self.rules[k] is not other.rules[k] and self.rules[k] != other.rules[k]:
                    return False
        return (not memcmp(self.code, other.code, self.length * sizeof(Instr))
                and not memcmp(self.ints, other.ints, self.n_ints * sizeof(int64_t))
                and not memcmp(self.reals, other.reals, self.n_reals * sizeof(double))
                and not memcmp(self.results, other.results, self.n_results * sizeof(int32_t)))

    # -- reading from Python -------------------------------------------------

    cdef object shape_tuple(self, int32_t value):
        cdef int32_t shape = self.code[value].shape
        return tuple([self.ints[shape + 1 + k] for k in range(self.ints[shape])])

    cdef list args_list(self, int32_t value):
        return [arg(&self.code[value], self.ints, k) for k in range(n_args(&self.code[value]))]

    def instruction(self, Py_ssize_t i):
        """Instruction i as a dict: op, args, shape, dtype, param (for tests and printing)."""
        if not 0 <= i < self.length:
            raise IndexError(f"instruction {i} of a program of {self.length}")
        return {
            "op": optable.NAMES[self.code[i].op],
            "args": self.args_list(<int32_t>i),
            "shape": self.shape_tuple(<int32_t>i),
            "dtype": DTYPE_NAMES[self.code[i].dtype],
            "param": self.code[i].param,
        }

    def source(self, Py_ssize_t i):
        """(file, line, function) of the user's code that instruction i comes from, or None."""
        if not 0 <= i < self.length:
            raise IndexError(f"instruction {i} of a program of {self.length}")
        return self.sources[self.line[i]] if 0 <= self.line[i] < len(self.sources) else None

    def parameters(self, Py_ssize_t i, Py_ssize_t n):
        """The first n static integers of instruction i."""
        cdef Py_ssize_t at = self.code[i].param
        if not 0 <= i < self.length or at < 0 or at + n > self.n_ints:
            raise IndexError(f"instruction {i} has no {n} static integers")
        return [self.ints[at + k] for k in range(n)]

    def literal(self, Py_ssize_t i):
        """Value of the literal instruction i."""
        if not 0 <= i < self.length or optable.NAMES[self.code[i].op] != "LITERAL":
            raise IndexError(f"instruction {i} is not a literal")
        return self.reals[self.code[i].param]

    @property
    def outputs(self):
        """Value numbers of the results, in order."""
        return [self.results[k] for k in range(self.n_results)]

    @property
    def hash(self):
        """The fingerprint: equal programs have equal fingerprints."""
        return self.fingerprint()

    def __eq__(self, other):
        return isinstance(other, Program) and self.same_as(<Program>other)

    def __hash__(self):
        return hash(self.fingerprint())

    # -- building from Python (tests, small tools) ----------------------------

    def emit(self, str op, *args, shape=(), dtype="f64", ints=None, param=None, real=None):
        """Append one instruction by name and return its value number.

        ``ints`` are static integers put into the pool, ``param`` a plain index,
        ``real`` a literal.
        """
        cdef int64_t[64] buffer
        cdef int32_t where = -1
        cdef int32_t at
        if len(shape) > 63:
            raise ValueError("more than 63 dimensions")
        for k in range(len(shape)):
            buffer[k] = shape[k]
        at = self.add_shape(len(shape), buffer)
        if ints is not None:
            where = <int32_t>self.n_ints
            for k in ints:
                buffer[0] = k
                self.add_ints(buffer, 1)
        elif real is not None:
            where = self.add_real(real)
        elif param is not None:
            where = param
        for k in args:
            if not 0 <= k < self.length:
                raise ValueError(f"argument %{k} is not defined before %{self.length}")
        opcode = optable.OPCODE[op]
        number = DTYPE_NAMES.index(dtype)
        if op in ("PACK", "PACK_ADD", "CALL") or len(args) > 3:
            first = self.n_ints
            for k in args:
                buffer[0] = k
                self.add_ints(buffer, 1)
            return self.append(opcode, number, NARY, first, len(args), -1, at, where)
        padded = list(args) + [-1] * (3 - len(args))
        if op == "INPUT":
            self.n_inputs = max(self.n_inputs, where + 1)
        elif op == "CONST":
            self.n_consts = max(self.n_consts, where + 1)
        elif op == "SCALAR":
            self.n_scalars = max(self.n_scalars, where + 1)
        return self.append(opcode, number, len(args), padded[0], padded[1], padded[2], at, where)

    def set_results(self, values):
        """Name the output values."""
        cdef list numbers = list(values)
        cdef Py_ssize_t k, n = len(numbers)
        cdef int32_t *block
        for value in numbers:
            if not 0 <= value < self.length:
                raise ValueError(f"output %{value} is not a value of this program")
        block = <int32_t *>ad_take(max(n, 1) * sizeof(int32_t))
        if block == NULL:
            raise MemoryError()
        for k in range(n):
            block[k] = <int32_t><int64_t>numbers[k]
        ad_give_back(self.results)
        self.results = block
        self.n_results = n

    def __str__(self):
        lines = []
        for i in range(self.length):
            row = self.instruction(i)
            dims = ",".join(str(d) for d in row["shape"])
            words = [row["op"].lower()] + [f"%{k}" for k in row["args"][:8]]
            if len(row["args"]) > 8:
                words.append(f"... ({len(row['args'])} arguments)")
            words += self.static_text(i)
            lines.append(f"%{i} = {' '.join(words)} : {row['dtype']}[{dims}]")
        lines.append("return " + " ".join(f"%{k}" for k in self.outputs))
        return "\n".join(lines)

    def static_text(self, Py_ssize_t i):
        """The static parameters of instruction i as words."""
        cdef Instr *instr = &self.code[i]
        cdef int32_t space
        name = optable.NAMES[instr.op]
        if name == "LITERAL":
            return [repr(self.reals[instr.param])]
        if name in ("INPUT", "CONST", "SCALAR"):
            return [str(instr.param)]
        if name in ("VIEW", "WINDOW", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "ACCUMULATE", "UPDATE"):
            space = instr.shape if name in ("VIEW", "WINDOW") else self.code[
                instr.x1 if instr.nargs == 1 else instr.x2].shape
            strides = [self.ints[instr.param + 1 + k] for k in range(self.ints[space])]
            return [f"at {self.ints[instr.param]}", "step " + "x".join(map(str, strides))]
        if name == "CALL":
            return [str(self.rules[instr.param])]
        if name == "CUMSUM":
            return [str(self.ints[instr.param + k]) for k in range(4)]
        return []
