"""Tiling: cut one axis of a chain of steps, so that what passes between them stays in cache.

Products, reductions and elementwise groups each walk whole arrays; where such a chain shares an axis
(the points of a data set, the batch of a network), it can run tile by tile along it, and arrays that only the
chain uses shrink to one tile. The pass finds the instructions that can be cut along an axis,
puts them behind what they need and before what needs them, and writes them down for one tile:
the executor repeats those. What is left when the tiles do not come out even follows once more, in its own length.

Keeps: every value, except that sums along the axis are taken tile by tile (rounding).
"""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport uint16_t
from libc.string cimport memcpy

from adcore.optable.opcodes cimport (
    AD_N_ELEMENTWISE, AD_OP_ACCUMULATE, AD_OP_ADD, AD_OP_CALL, AD_OP_CUMSUM, AD_OP_EMPTY,
    AD_OP_LITERAL, AD_OP_MATMUL, AD_OP_MAXIMUM, AD_OP_MINIMUM, AD_OP_MUL, AD_OP_REDUCE_MAX, AD_OP_REDUCE_MIN, AD_OP_REDUCE_PROD,
    AD_OP_SUM, AD_OP_UPDATE, AD_OP_VIEW,
)
from adcore.plan.fuse cimport FILLED, LEAF, Role, STORED, role_of
from adcore.plan.loops cimport LoopSpan, Tiling
from adcore.plan.memory cimport item_size
from adcore.plan.pool cimport pool_add, pool_free, pool_init
from adcore.tape.program cimport Instr, NARY, Program, arg, n_args, size_at

cdef enum:
    MAX_DIMS = 64
    MAX_LENGTH = 8192           # instructions; longer programs are made of small arrays
    BIG = 1 << 19               # bytes of an array that is worth looking at
    WORTH = 1 << 21             # bytes of traffic to save before tiling pays
    CACHE = 1 << 18             # bytes of one tile of everything: half of a second-level cache
    ROOM = 1 << 22              # bytes a tile may grow to where running sums are large
    VECTOR = 8
    SHORTEST = 32               # rows that a product needs to run well
    STRETCH = 256               # elements in a row that a tile has of an array at least: fewer would waste its cache lines
    CLASSES = 16
    DEPTH = 4
    NONE = -1
    SEVERAL = -2

cdef enum State:                # of an instruction, for the axis that is tried
    BEFORE = 0                  # does not depend on the loop
    MEMBER = 1                  # cut
    AFTER = 2                   # needs a result of the loop
    RUNNING = 3                 # in the loop: a sum along the axis, complete after its last tile

cdef struct Line:               # what the tiling knows of a new instruction
    int64_t step
    int32_t origin
    uint8_t carried


cdef class Tiler:
    """The pass over one program; lives while it runs."""

    def __cinit__(self, Program old):
        cdef Py_ssize_t n = old.length + 1, i, nodes = 0
        self.old = old
        self.out = old.empty_like()
        self.tiling = Tiling()
        pool_init(&self.lines, sizeof(Line))
        for i in range(old.length):
            nodes += old.ints[old.code[i].shape]
        self.node = <int32_t *>PyMem_RawCalloc(n, 4)
        self.parent = <int32_t *>PyMem_RawCalloc(nodes + 1, 4)
        self.axis = <int32_t *>PyMem_RawCalloc(n, 4)
        self.level = <int32_t *>PyMem_RawCalloc(n, 4)
        self.reads_low = <int32_t *>PyMem_RawCalloc(n, 4)
        self.reads_high = <int32_t *>PyMem_RawCalloc(n, 4)
        self.new = <int32_t *>PyMem_RawCalloc(n, 4)
        self.tile = <int32_t *>PyMem_RawCalloc(n, 4)
        self.slice = <int32_t *>PyMem_RawCalloc(n, 4)
        self.whole = <int32_t *>PyMem_RawCalloc(n, 4)
        self.state = <uint8_t *>PyMem_RawCalloc(n, 1)
        self.memory = <uint8_t *>PyMem_RawCalloc(n, 1)
        self.escapes = <uint8_t *>PyMem_RawCalloc(n, 1)
        self.split = <uint8_t *>PyMem_RawCalloc(n, 1)
        if not (self.node and self.parent and self.axis and self.level and self.reads_low and self.reads_high
                and self.new and self.tile and self.slice and self.whole and self.state and self.memory
                and self.escapes and self.split):
            raise MemoryError()
        nodes = 0
        for i in range(old.length):
            self.node[i] = <int32_t>nodes
            self.whole[i] = NONE
            nodes += old.ints[old.code[i].shape]
        for i in range(nodes):
            self.parent[i] = <int32_t>i

    def __dealloc__(self):
        pool_free(&self.lines)
        PyMem_RawFree(self.node)
        PyMem_RawFree(self.parent)
        PyMem_RawFree(self.axis)
        PyMem_RawFree(self.level)
        PyMem_RawFree(self.reads_low)
        PyMem_RawFree(self.reads_high)
        PyMem_RawFree(self.new)
        PyMem_RawFree(self.tile)
        PyMem_RawFree(self.slice)
        PyMem_RawFree(self.whole)
        PyMem_RawFree(self.state)
        PyMem_RawFree(self.memory)
        PyMem_RawFree(self.escapes)
        PyMem_RawFree(self.split)

    # -- which dimensions are one axis -----------------------------------------

    cdef int32_t find(self, int32_t node) noexcept:
        while self.parent[node] != node:
            self.parent[node] = self.parent[self.parent[node]]
            node = self.parent[node]
        return node

    cdef void unite(self, int32_t x, int32_t i, int32_t y, int32_t j) noexcept:
        if self.dim(x, i) == self.dim(y, j) and self.dim(x, i) > 1:
            self.parent[self.find(self.node[x] + i)] = self.find(self.node[y] + j)

    cdef int64_t dim(self, int32_t value, int64_t k) noexcept:
        return self.old.ints[self.old.code[value].shape + 1 + k]

    cdef int64_t stride(self, int32_t value, int64_t axis) noexcept:
        """Elements from one index of the dimension to the next in a dense array."""
        cdef int64_t k, step = 1
        for k in range(self.old.ints[self.old.code[value].shape] - 1, axis, -1):
            step *= self.dim(value, k)
        return step

    cdef int64_t stretch(self, int32_t value) noexcept:
        """The shortest tile that leaves stretches of an array in memory that are worth reading one by one."""
        cdef int64_t step = self.stride(value, self.axis[value])
        if step * self.dim(value, self.axis[value]) * item_size(self.old.code[value].dtype) == self.bytes(value):
            return 1                    # nothing before the axis: a tile is one stretch
        return (STRETCH + step - 1) // step

    cdef int64_t bytes(self, int32_t value) noexcept:
        return size_at(self.old.ints, self.old.code[value].shape) * item_size(self.old.code[value].dtype)

    cdef void relate(self, int32_t value) noexcept:
        """Unite the dimensions that an instruction walks together."""
        cdef const Instr *instr = &self.old.code[value]
        cdef const int64_t *map = self.old.ints + instr.param
        cdef int32_t ndim = <int32_t>self.old.ints[instr.shape], k, j, x
        if instr.op < AD_N_ELEMENTWISE:
            for k in range(instr.nargs):
                x = arg(instr, self.old.ints, k)
                if self.old.ints[self.old.code[x].shape] == ndim:
                    for j in range(ndim):
                        self.unite(value, j, x, j)
        elif instr.op == AD_OP_VIEW:
            self.relate_map(value, instr.x1, map)
        elif role_of(instr.op) == STORED:
            self.relate_map(instr.x1 if instr.nargs == 1 else instr.x2, value, map)
            if instr.nargs == 2:
                for j in range(ndim):
                    self.unite(value, j, instr.x1, j)
        elif instr.op == AD_OP_MATMUL:
            for j in range(ndim - 1):
                self.unite(value, j, instr.x1, j)
            for j in range(ndim):
                if j != ndim - 2:
                    self.unite(value, j, instr.x2, j)
            self.unite(instr.x1, ndim - 1, instr.x2, ndim - 2)

    cdef void relate_map(self, int32_t space_of, int32_t dense, const int64_t *map) noexcept:
        cdef int32_t j, a
        for j in range(<int32_t>self.old.ints[self.old.code[space_of].shape]):
            for a in range(<int32_t>self.old.ints[self.old.code[dense].shape]):
                if self.dim(dense, a) > 1 and map[1 + j] == self.stride(dense, a):
                    self.unite(space_of, j, dense, a)

    # -- which instructions can be cut -------------------------------------------

    cdef bint cuts_map(self, int32_t space_of, int32_t dense, const int64_t *map, bint may_vanish) noexcept:
        """Does one tile of the space reach exactly one tile of the dense array, and no index carry into the axis?"""
        cdef int32_t j = self.axis[space_of], a = self.axis[dense], k
        cdef int64_t step, low, high
        if j < 0:
            return False
        if a < 0:
            return may_vanish and a == NONE and map[1 + j] == 0
        step = self.stride(dense, a)
        if map[1 + j] != step or self.dim(space_of, j) != self.dim(dense, a):
            return False
        low = high = map[0] % (step * self.dim(dense, a))
        for k in range(<int32_t>self.old.ints[self.old.code[space_of].shape]):
            if k == j or map[1 + k] % (step * self.dim(dense, a)) == 0:
                continue
            if map[1 + k] > 0:
                high += map[1 + k] * (self.dim(space_of, k) - 1)
            else:
                low += map[1 + k] * (self.dim(space_of, k) - 1)
        return map[0] >= 0 and low >= 0 and high < step

    cdef bint outside(self, int32_t value) noexcept:
        return self.state[value] == BEFORE

    cdef bint fits(self, int32_t value) noexcept:
        """Can the instruction run tile by tile, given the states of its arguments?"""
        cdef const Instr *instr = &self.old.code[value]
        cdef const int64_t *map = self.old.ints + instr.param
        cdef int32_t axis = self.axis[value], ndim = <int32_t>self.old.ints[instr.shape], k, x, a1, a2
        cdef Role role = role_of(instr.op)
        if axis == SEVERAL or role == LEAF or self.split[value]:
            return False
        if instr.op < AD_N_ELEMENTWISE or role == FILLED:
            if axis < 0:
                return False
            for k in range(instr.nargs):
                x = arg(instr, self.old.ints, k)
                if self.old.ints[self.old.code[x].shape] == 0:
                    if not self.outside(x):
                        return False
                elif self.state[x] > MEMBER or self.axis[x] != axis:
                    return False
            return True
        if instr.op == AD_OP_VIEW:
            if axis < 0 or self.state[instr.x1] > MEMBER:
                return False
            return self.outside(instr.x1) or self.cuts_map(value, instr.x1, map, False)
        if role == STORED:
            x = instr.x1 if instr.nargs == 1 else instr.x2
            if self.state[x] > MEMBER or not self.cuts_map(
                    x, value, map, instr.op in (AD_OP_ACCUMULATE, AD_OP_SUM) or instr.nargs == 1):
                return False
            if instr.nargs == 2 and axis >= 0:
                return self.state[instr.x1] <= MEMBER and self.axis[instr.x1] == axis
            return True
        if instr.op == AD_OP_MATMUL:
            if self.state[instr.x1] > MEMBER or self.state[instr.x2] > MEMBER:
                return False
            a1, a2 = self.axis[instr.x1], self.axis[instr.x2]
            if axis < 0:
                return a1 == ndim - 1 and a2 == ndim - 2
            if axis < ndim - 2:
                return a1 == axis and a2 == axis
            if axis == ndim - 2:
                return a1 == axis and a2 == NONE and self.outside(instr.x2)
            return a2 == axis and a1 == NONE and self.outside(instr.x1)
        return False

    cdef int classify(self, const int32_t *list_, Py_ssize_t n, int32_t axis) except -1:
        """State of each instruction of the list, for one axis."""
        cdef Py_ssize_t i
        cdef int32_t value, k, x
        cdef const Instr *instr
        for i in range(self.old.length):
            self.state[i] = BEFORE
            self.axis[i] = NONE
            for k in range(<int32_t>self.old.ints[self.old.code[i].shape]):
                if self.find(self.node[i] + k) == axis:
                    self.axis[i] = k if self.axis[i] == NONE else SEVERAL
        for i in range(n):
            value = list_[i]
            instr = &self.old.code[value]
            if self.fits(value):
                self.state[value] = MEMBER if self.axis[value] >= 0 else RUNNING
                continue
            for k in range(n_args(instr)):
                x = arg(instr, self.old.ints, k)
                if self.state[x] != BEFORE:
                    self.state[value] = AFTER
        self.postpone(list_, n)
        return 0

    cdef void postpone(self, const int32_t *list_, Py_ssize_t n) noexcept:
        """What only later instructions need, and follows element by element from whole arrays, is left to them: in the loop it
        would be written down for them."""
        cdef int32_t *uses = self.level         # by the loop
        cdef uint8_t *follows = self.memory     # from whole arrays
        cdef uint8_t *later = self.escapes      # is it needed?
        cdef const Instr *instr
        cdef Py_ssize_t i
        cdef int32_t value, k, x
        cdef bint alone
        for i in range(self.old.length):
            uses[i] = 0
            follows[i] = self.state[i] == BEFORE
            later[i] = 0
        for i in range(n):
            value = list_[i]
            instr = &self.old.code[value]
            if self.state[value] == BEFORE:
                continue
            follows[value] = self.state[value] == MEMBER and (instr.op < AD_N_ELEMENTWISE or instr.op == AD_OP_VIEW)
            for k in range(n_args(instr)):
                x = arg(instr, self.old.ints, k)
                follows[value] = follows[value] and follows[x]
                if self.state[value] == AFTER:
                    later[x] = 1
                else:
                    uses[x] += 1
        for i in range(n - 1, -1, -1):
            value = list_[i]
            instr = &self.old.code[value]
            if self.state[value] != MEMBER or not follows[value] or not later[value] or uses[value] or instr.op >= AD_N_ELEMENTWISE:
                continue
            alone = True
            for k in range(instr.nargs):
                x = arg(instr, self.old.ints, k)
                alone = alone and (self.state[x] == BEFORE or self.old.code[x].op == AD_OP_VIEW or uses[x] == 1)
            if not alone:
                continue
            self.state[value] = AFTER
            for k in range(instr.nargs):
                x = arg(instr, self.old.ints, k)
                uses[x] -= 1
                later[x] = 1

    # -- what it is worth ----------------------------------------------------------

    cdef void read_at(self, int32_t value, int32_t level) noexcept:
        """Somebody in the loop reads the memory of a value from outside."""
        if self.old.ints[self.old.code[value].shape] == 0:
            return
        if self.reads_low[value] < 0 or level < self.reads_low[value]:
            self.reads_low[value] = level
        if level > self.reads_high[value]:
            self.reads_high[value] = level

    cdef int weigh(self, const int32_t *list_, Py_ssize_t n, Choice *choice) except -1:
        """Bytes that stay in cache when the members run tile by tile, and the length of a tile."""
        cdef Py_ssize_t i
        cdef int32_t value, k, x, level, shortest = 1
        cdef const Instr *instr
        cdef Role role
        cdef int64_t passing = 0, saved = 0, sums = 0, stretch = 1, size, tile, wanted
        choice.saved = 0
        for i in range(self.old.length):
            self.level[i] = 0
            self.memory[i] = 0
            self.escapes[i] = 0
            self.reads_low[i] = NONE
            self.reads_high[i] = NONE
        for i in range(self.old.n_results):
            self.escapes[self.old.results[i]] = 1
        for i in range(self.old.length):
            if self.state[i] == MEMBER or self.state[i] == RUNNING:
                continue
            for k in range(n_args(&self.old.code[i])):
                self.escapes[arg(&self.old.code[i], self.old.ints, k)] = 1
        for i in range(n):
            value = list_[i]
            if self.state[value] != MEMBER and self.state[value] != RUNNING:
                continue
            instr = &self.old.code[value]
            role = role_of(instr.op)
            level = 0
            for k in range(n_args(instr)):
                x = arg(instr, self.old.ints, k)
                if self.state[x] == MEMBER:
                    level = max(level, self.level[x])
            for k in range(n_args(instr)):
                x = arg(instr, self.old.ints, k)
                while self.state[x] == MEMBER and self.old.code[x].op == AD_OP_VIEW:
                    x = self.old.code[x].x1
                if self.state[x] != MEMBER:
                    if instr.op != AD_OP_VIEW:
                        self.read_at(x, level)
                elif level > self.level[x] or instr.op == AD_OP_MATMUL:
                    self.memory[x] = 1
            self.level[value] = level
            if instr.op == AD_OP_MATMUL or role == STORED and instr.nargs == 1:
                self.memory[value] = self.state[value] == MEMBER
                self.level[value] = level + 1
            if self.state[value] == RUNNING:
                sums += self.bytes(value)
            if instr.op == AD_OP_MATMUL and not (0 <= self.axis[value] < self.old.ints[instr.shape] - 2):
                shortest = SHORTEST
        for i in range(self.old.length):
            size = self.bytes(<int32_t>i)
            if self.state[i] == MEMBER and self.memory[i] and role_of(self.old.code[i].op) != FILLED:
                passing += size
                saved += size if self.escapes[i] else 2 * size
                if self.escapes[i]:
                    stretch = max(stretch, self.stretch(<int32_t>i))
            elif self.reads_low[i] >= 0 and self.axis[i] >= 0:
                passing += size
                saved += size * min(2, self.reads_high[i] - self.reads_low[i])
                stretch = max(stretch, self.stretch(<int32_t>i))
        if saved < WORTH:
            return 0
        wanted = min(max(<int64_t>CACHE, 2 * sums), <int64_t>ROOM)
        tile = wanted * choice.length // passing
        if tile < stretch and stretch * passing // choice.length > 4 * <int64_t>CACHE:
            return 0                    # nothing would stay in the cache
        tile = max(tile, shortest, stretch)
        if tile > VECTOR:
            tile = tile // VECTOR * VECTOR
        if 2 * tile > choice.length or tile * passing // choice.length > 2 * <int64_t>ROOM:
            return 0
        saved -= 2 * sums * (choice.length // tile)
        choice.tile = tile
        choice.saved = saved if saved >= WORTH and 4 * saved > passing else 0
        return 0

    # -- the new program -------------------------------------------------------------

    cdef int process(self, const int32_t *list_, Py_ssize_t n, int depth) except -1:
        """Emit the instructions of a list: what comes before its best loop, the loop, what comes after."""
        cdef Choice best, it
        cdef int32_t[CLASSES] classes
        cdef int64_t[CLASSES] sizes
        cdef int32_t root, value
        cdef Py_ssize_t i, n_classes = 0, k, c, most
        cdef int32_t *parts
        best.saved = 0
        for i in range(n if depth < DEPTH else 0):
            value = list_[i]
            if self.bytes(value) < BIG:
                continue
            for k in range(self.old.ints[self.old.code[value].shape]):
                if self.dim(value, k) < 4:
                    continue
                root = self.find(self.node[value] + <int32_t>k)
                for c in range(n_classes):
                    if classes[c] == root:
                        break
                else:
                    if n_classes == CLASSES:
                        continue
                    c = n_classes
                    classes[c] = root
                    sizes[c] = 0
                    n_classes += 1
                sizes[c] += self.bytes(value)
        for _ in range(min(n_classes, <Py_ssize_t>4)):
            most = 0
            for c in range(n_classes):
                if sizes[c] > sizes[most]:
                    most = c
            it.axis = classes[most]
            sizes[most] = -1
            it.length = self.length_of(list_, n, it.axis)
            self.classify(list_, n, it.axis)
            self.weigh(list_, n, &it)
            if it.saved > best.saved:
                best = it
        if best.saved == 0:
            for i in range(n):
                self.new[list_[i]] = self.copy(list_[i])
            return 0
        self.classify(list_, n, best.axis)
        self.weigh(list_, n, &best)
        parts = <int32_t *>PyMem_RawMalloc(3 * (n + 1) * sizeof(int32_t))
        if parts == NULL:
            raise MemoryError()
        try:
            self.divide(list_, n, &best, parts, depth)
        finally:
            PyMem_RawFree(parts)
        return 0

    cdef int64_t length_of(self, const int32_t *list_, Py_ssize_t n, int32_t axis) noexcept:
        cdef Py_ssize_t i, k
        for i in range(n):
            for k in range(self.old.ints[self.old.code[list_[i]].shape]):
                if self.find(self.node[list_[i]] + <int32_t>k) == axis:
                    return self.dim(list_[i], k)
        return 0

    cdef int divide(self, const int32_t *list_, Py_ssize_t n, const Choice *choice, int32_t *parts, int depth) except -1:
        """Three lists in ``parts``: before, members, after; then emit each."""
        cdef int32_t *members = parts + n
        cdef int32_t *after = parts + 2 * n + 1
        cdef Py_ssize_t i, n_before = 0, n_members = 0, n_after = 0
        cdef int32_t value
        cdef const Instr *instr
        # a view or a fill that somebody outside needs is made again there, from an array that is whole
        for i in range(n - 1, -1, -1):
            value = list_[i]
            instr = &self.old.code[value]
            if self.state[value] == MEMBER and self.escapes[value] and instr.op == AD_OP_VIEW:
                self.escapes[instr.x1] = 1
        for i in range(n):
            value = list_[i]
            instr = &self.old.code[value]
            if self.state[value] == BEFORE:
                parts[n_before] = value
                n_before += 1
            elif self.state[value] == AFTER:
                after[n_after] = value
                n_after += 1
            else:
                members[n_members] = value
                n_members += 1
                if self.state[value] == MEMBER and self.escapes[value] and (
                        instr.op == AD_OP_VIEW or role_of(instr.op) == FILLED):
                    after[n_after] = value
                    n_after += 1
                elif self.state[value] == RUNNING and instr.nargs == 2 and instr.op != AD_OP_MATMUL:
                    self.split[value] = 1
                    after[n_after] = value
                    n_after += 1
        # `before` is emitted by a pass of its own, which changes states: keep what the loop needs to know
        cdef int32_t *axes = <int32_t *>PyMem_RawMalloc((self.old.length + 1) * sizeof(int32_t))
        cdef uint8_t *states = <uint8_t *>PyMem_RawMalloc(2 * (self.old.length + 1))
        if axes == NULL or states == NULL:
            PyMem_RawFree(axes)
            PyMem_RawFree(states)
            raise MemoryError()
        try:
            memcpy(axes, self.axis, self.old.length * sizeof(int32_t))
            memcpy(states, self.state, self.old.length)
            memcpy(states + self.old.length, self.escapes, self.old.length)
            self.process(parts, n_before, depth + 1)
            memcpy(self.axis, axes, self.old.length * sizeof(int32_t))
            memcpy(self.state, states, self.old.length)
            memcpy(self.escapes, states + self.old.length, self.old.length)
        finally:
            PyMem_RawFree(axes)
            PyMem_RawFree(states)
        self.loop(members, n_members, choice)
        self.process(after, n_after, depth + 1)
        return 0

    cdef int loop(self, const int32_t *list_, Py_ssize_t n, const Choice *choice) except -1:
        cdef int64_t count = choice.length // choice.tile, rest = choice.length - count * choice.tile
        cdef LoopSpan *span
        cdef int32_t first, value, op, y
        cdef Py_ssize_t i
        cdef const Instr *instr
        for i in range(n):
            value = list_[i]
            instr = &self.old.code[value]
            self.whole[value] = NONE
            if self.state[value] == MEMBER and self.escapes[value] and instr.op != AD_OP_VIEW and (
                    role_of(instr.op) != FILLED):
                self.whole[value] = self.emit(value, AD_OP_EMPTY, instr.dtype, 0, -1, -1, -1,
                                              self.out.add_shape(self.old.ints[instr.shape],
                                                                 self.old.ints + instr.shape + 1), -1)
        first = <int32_t>self.out.length
        self.body(list_, n, 0, choice.tile, choice.tile)
        span = <LoopSpan *>pool_add(&self.tiling.loops, 1)
        span.first = first
        span.end = <int32_t>self.out.length
        span.count = count
        for i in range(n):
            self.new[list_[i]] = self.whole[list_[i]]
        if not rest:
            return 0
        self.body(list_, n, count * choice.tile, rest, 0)
        for i in range(n):
            value = list_[i]
            instr = &self.old.code[value]
            y = self.whole[value]
            if self.state[value] == RUNNING:
                op = AD_OP_ADD
                if instr.op == AD_OP_REDUCE_MAX:
                    op = AD_OP_MAXIMUM
                elif instr.op == AD_OP_REDUCE_MIN:
                    op = AD_OP_MINIMUM
                elif instr.op == AD_OP_REDUCE_PROD:
                    op = AD_OP_MUL
                y = self.emit(value, op, instr.dtype, 2, self.new[value], y, -1, self.out.code[y].shape, -1)
            self.new[value] = y
        return 0

    cdef int32_t cut_shape(self, int32_t value, int64_t length) except -1:
        """The shape of one tile of a value."""
        cdef int64_t[MAX_DIMS] dims
        cdef int64_t k, ndim = self.old.ints[self.old.code[value].shape]
        for k in range(ndim):
            dims[k] = length if k == self.axis[value] else self.dim(value, k)
        return self.out.add_shape(ndim, dims)

    cdef int32_t cut_map(self, int32_t space_of, int32_t dense, const int64_t *map, int64_t length) except -1:
        """The map from one tile to one tile: steps over whole blocks of the axis shrink with it."""
        cdef int64_t[MAX_DIMS + 1] out
        cdef int64_t ndim = self.old.ints[self.old.code[space_of].shape], k, inner, block
        cdef int32_t a = self.axis[dense]
        memcpy(out, map, (ndim + 1) * sizeof(int64_t))
        if a >= 0:
            inner = self.stride(dense, a)
            block = inner * self.dim(dense, a)
            out[0] = map[0] // block * inner * length + map[0] % block
            for k in range(ndim):
                if k != self.axis[space_of] and map[1 + k] % block == 0:
                    out[1 + k] = map[1 + k] // block * inner * length
        return self.out.add_ints(out, ndim + 1)

    cdef int32_t piece(self, int32_t value, int64_t offset, int64_t length, int64_t move) except -1:
        """One tile of an argument: a member's own, or a view of a whole array."""
        cdef const Instr *instr = &self.old.code[value]
        cdef int64_t[MAX_DIMS + 1] map
        cdef int64_t ndim = self.old.ints[instr.shape], k, step = 1
        cdef int32_t axis = self.axis[value], base = value
        if self.state[value] == MEMBER:
            return self.tile[value]
        if axis < 0:
            return self.new[value]
        if self.slice[value] >= 0:
            return self.slice[value]
        if role_of(instr.op) == FILLED:
            self.slice[value] = self.emit(value, instr.op, instr.dtype, instr.nargs,
                                          self.new[instr.x1] if instr.nargs else -1, -1, -1, self.cut_shape(value, length), -1)
            return self.slice[value]
        if instr.op == AD_OP_VIEW:
            base = instr.x1
            memcpy(map, self.old.ints + instr.param, (ndim + 1) * sizeof(int64_t))
        else:
            map[0] = 0
            for k in range(ndim - 1, -1, -1):
                map[1 + k] = step
                step *= self.dim(value, k)
        step = map[1 + axis]
        map[0] += offset * step
        self.slice[value] = self.emit(value, AD_OP_VIEW, instr.dtype, 1, self.new[base], -1, -1, self.cut_shape(value, length),
                                      self.out.add_ints(map, ndim + 1), move * step)
        return self.slice[value]

    cdef int body(self, const int32_t *list_, Py_ssize_t n, int64_t offset, int64_t length, int64_t move) except -1:
        """The members for one tile; ``move`` is how far the next one is, 0 for the rest that runs once."""
        cdef Py_ssize_t i
        cdef int32_t value, y, k, shape, map, x, base
        cdef int32_t[3] args
        cdef const Instr *instr
        cdef const int64_t *ints = self.old.ints
        cdef int64_t[MAX_DIMS + 1] target
        cdef int64_t ndim
        cdef bint running
        for i in range(self.old.length):
            self.slice[i] = NONE
        for i in range(n):
            value = list_[i]
            instr = &self.old.code[value]
            running = self.state[value] == RUNNING
            shape = self.cut_shape(value, length)       # of a running sum: no axis, its own shape
            args[0] = args[1] = args[2] = -1
            if instr.op == AD_OP_VIEW:
                if self.outside(instr.x1):
                    y = self.piece_of_view(value, offset, length, move)
                else:
                    map = self.cut_map(value, instr.x1, ints + instr.param, length)
                    y = self.emit(value, instr.op, instr.dtype, 1, self.tile[instr.x1], -1, -1, shape, map)
            elif role_of(instr.op) == STORED:
                x = instr.x1 if instr.nargs == 1 else instr.x2
                args[0] = self.piece(x, offset, length, move)
                map = self.cut_map(x, value, ints + instr.param, length)
                if running and instr.nargs == 2:
                    y = self.emit(value, AD_OP_SUM, instr.dtype, 1, args[0], -1, -1, shape, map, 0, move > 0)
                elif instr.nargs == 1:
                    y = self.emit(value, instr.op, instr.dtype, 1, args[0], -1, -1, shape, map, 0, running and move > 0)
                else:
                    base = self.piece(instr.x1, offset, length, move)
                    y = self.emit(value, instr.op, instr.dtype, 2, base, args[0], -1, shape, map)
            else:
                for k in range(instr.nargs):
                    args[k] = self.piece(arg(instr, ints, k), offset, length, move)
                y = self.emit(value, instr.op, instr.dtype, instr.nargs, args[0], args[1], args[2], shape, -1, 0,
                              running and move > 0)
            self.tile[value] = y
            if running:
                self.whole[value] = y
            elif self.whole[value] >= 0:
                ndim = ints[instr.shape]
                target[0] = 1
                for k in range(<int32_t>ndim - 1, -1, -1):
                    target[1 + k] = target[0]
                    target[0] *= self.dim(value, k)
                target[0] = offset * target[1 + self.axis[value]]
                self.whole[value] = self.emit(
                    value, AD_OP_UPDATE, instr.dtype, 2, self.whole[value], y, -1, self.out.code[self.whole[value]].shape,
                    self.out.add_ints(target, ndim + 1), move * target[1 + self.axis[value]])
        return 0

    cdef int32_t piece_of_view(self, int32_t value, int64_t offset, int64_t length, int64_t move) except -1:
        """A member that views an array from outside: the same view, of one tile."""
        cdef int32_t found
        self.state[value] = BEFORE
        found = self.piece(value, offset, length, move)
        self.state[value] = MEMBER
        return found

    cdef int32_t emit(self, int32_t source, int op, int dtype, int nargs, int32_t x1, int32_t x2, int32_t x3,
                      int32_t shape, int32_t param, int64_t step=0, bint carried=False) except -1:
        cdef int32_t made = self.out.append(<uint16_t>op, <uint8_t>dtype, <uint8_t>nargs, x1, x2, x3, shape, param)
        cdef Line *line = <Line *>pool_add(&self.lines, 1)
        self.out.line[made] = self.old.line[source]
        line.step = step
        line.origin = source
        line.carried = carried
        return made

    cdef int32_t copy(self, int32_t value) except -1:
        """An instruction as it is, its arguments renumbered."""
        cdef const Instr *instr = &self.old.code[value]
        cdef const int64_t *ints = self.old.ints
        cdef int32_t shape = self.out.add_shape(ints[instr.shape], ints + instr.shape + 1), at = instr.param, first, k
        cdef int64_t number, ndim
        if self.split[value]:
            return self.emit(value, AD_OP_ADD, instr.dtype, 2, self.new[instr.x1], self.new[value], -1, shape, -1)
        if instr.nargs == NARY:
            first = <int32_t>self.out.n_ints
            for k in range(instr.x2):
                number = self.new[ints[instr.x1 + k]]
                self.out.add_ints(&number, 1)
            if instr.op != AD_OP_CALL:
                at = self.out.add_ints(ints + instr.param, instr.x2 - 1)
            return self.emit(value, instr.op, instr.dtype, NARY, first, instr.x2, -1, shape, at)
        if instr.op == AD_OP_VIEW or role_of(instr.op) == STORED:
            k = value if instr.op == AD_OP_VIEW else (instr.x1 if instr.nargs == 1 else instr.x2)
            ndim = ints[self.old.code[k].shape]
            at = self.out.add_ints(ints + instr.param, ndim + 1)
        elif instr.op == AD_OP_CUMSUM:
            at = self.out.add_ints(ints + instr.param, 4)
        elif instr.op == AD_OP_LITERAL:
            at = self.out.add_real(self.old.reals[instr.param])
        return self.emit(value, instr.op, instr.dtype, instr.nargs, self.new[instr.x1] if instr.nargs > 0 else -1,
                         self.new[instr.x2] if instr.nargs > 1 else -1, self.new[instr.x3] if instr.nargs > 2 else -1,
                         shape, at)

    cdef Tiling finished(self):
        """The tiling, with what it knows of each new value in columns."""
        cdef Py_ssize_t n = self.out.length, i
        cdef Tiling tiling = self.tiling
        cdef Line *line
        tiling.program = self.out
        tiling.step = <int64_t *>PyMem_RawCalloc(n + 1, sizeof(int64_t))
        tiling.carried = <uint8_t *>PyMem_RawCalloc(n + 1, 1)
        tiling.origin = <int32_t *>PyMem_RawCalloc(n + 1, sizeof(int32_t))
        if not tiling.step or not tiling.carried or not tiling.origin:
            raise MemoryError()
        for i in range(n):
            line = (<Line *>self.lines.data) + i
            tiling.step[i] = line.step
            tiling.carried[i] = line.carried
            tiling.origin[i] = line.origin
        self.out.set_results([self.new[self.old.results[i]] for i in range(self.old.n_results)])
        return tiling


cdef Tiling tile(Program program):
    """The program with its loops, or None where tiling does not pay."""
    cdef Py_ssize_t i
    cdef bint big = False
    cdef Tiler tiler
    cdef int32_t *everything
    if program.length > MAX_LENGTH:
        return None
    for i in range(program.length):
        if program.ints[program.code[i].shape] > 0 and 8 * size_at(program.ints, program.code[i].shape) >= BIG:
            big = True
            break
    if not big:
        return None
    tiler = Tiler(program)
    everything = <int32_t *>PyMem_RawMalloc((program.length + 1) * sizeof(int32_t))
    if everything == NULL:
        raise MemoryError()
    try:
        for i in range(program.length):
            everything[i] = <int32_t>i
            tiler.relate(<int32_t>i)
        tiler.process(everything, program.length, 0)
    finally:
        PyMem_RawFree(everything)
    return tiler.finished() if tiler.tiling.loops.n else None
