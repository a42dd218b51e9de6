"""Which elements of the outputs depend on which elements of the inputs.

A set of input elements has a number; equal sets have one number, and the union of two numbers is found once. Of each
live value the numbers of its elements are kept (int32), or one number when all elements have the same set. So a
program costs 4 bytes an element of what lives at a time, and each different set is stored once. What elementwise
operations unite is noted as a list of blocks, and found element by element only for who looks at elements.
"""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport qsort
from libc.string cimport memcmp, memcpy, memset

import numpy as np

from adcore import errors, optable

from adcore.optable.opcodes cimport *
from adcore.passes.templates cimport partial_of
from adcore.tape.program cimport F32, F64, Instr, Program, arg, n_args, size_at

cdef enum:
    MAX_DIMS = 64
    NONE = -1
    PARTS_MAX = 64                      # blocks that a block may unite later
    PARTS_FROM = 16                     # elements from which on that pays


cdef int ascending(const void *a, const void *b) noexcept nogil:
    cdef int32_t x = (<const int32_t *>a)[0], y = (<const int32_t *>b)[0]
    return (x > y) - (x < y)


cdef struct Pairs:                      # unions already found: (a, b) -> their union
    uint64_t *keys
    int32_t *values
    int64_t size, used


cdef inline int64_t place(uint64_t key, int64_t size) noexcept nogil:
    """Where a key is looked for first in a table of so many places, a power of two."""
    return <int64_t>(((key * <uint64_t>0x9E3779B97F4A7C15) >> 20) & <uint64_t>(size - 1))


cdef class Sets:
    """Numbered sets of input elements. Set 0 is empty, set 1 + j holds element j alone."""

    cdef int32_t *items
    cdef int64_t n_items, cap_items, limit
    cdef int64_t *start                 # set s is items[start[s] : start[s + 1]]
    cdef int64_t n, cap
    cdef int32_t *table                 # by content
    cdef int64_t table_size
    cdef Pairs known
    cdef int32_t *stamp                 # of each input element: the union that met it last
    cdef int32_t epoch
    cdef int64_t columns

    def __cinit__(self, int64_t columns, int64_t limit):
        cdef int64_t j
        self.columns = columns
        self.limit = limit + columns
        self.cap_items = 2 * columns + 64
        self.cap = 2 * columns + 64
        self.items = <int32_t *>PyMem_RawMalloc(self.cap_items * sizeof(int32_t))
        self.start = <int64_t *>PyMem_RawMalloc((self.cap + 1) * sizeof(int64_t))
        self.stamp = <int32_t *>PyMem_RawCalloc(columns + 1, sizeof(int32_t))
        self.table_size = 64
        while self.table_size < 4 * columns:
            self.table_size *= 2
        self.table = <int32_t *>PyMem_RawMalloc(self.table_size * sizeof(int32_t))
        self.known.size = self.table_size
        self.known.keys = <uint64_t *>PyMem_RawCalloc(self.known.size, sizeof(uint64_t))
        self.known.values = <int32_t *>PyMem_RawMalloc(self.known.size * sizeof(int32_t))
        if not (self.items and self.start and self.stamp and self.table and self.known.keys and self.known.values):
            raise MemoryError()
        memset(self.table, 0xFF, self.table_size * sizeof(int32_t))
        self.start[0] = self.start[1] = 0
        self.n = 1
        for j in range(columns):
            self.items[j] = <int32_t>j
            self.n_items = j + 1
            self.close()

    def __dealloc__(self):
        PyMem_RawFree(self.items)
        PyMem_RawFree(self.start)
        PyMem_RawFree(self.stamp)
        PyMem_RawFree(self.table)
        PyMem_RawFree(self.known.keys)
        PyMem_RawFree(self.known.values)

    cdef int64_t slot_of(self, const int32_t *items, int64_t n) noexcept:
        """Where a set of this content stands in the table, or the free slot where it belongs."""
        cdef uint64_t h = <uint64_t>n
        cdef int64_t k, at
        cdef int32_t s
        for k in range(n):
            h = (h ^ <uint64_t>items[k]) * <uint64_t>0x9E3779B97F4A7C15
            h ^= h >> 29
        at = <int64_t>(h & <uint64_t>(self.table_size - 1))
        while True:
            s = self.table[at]
            if s < 0 or (self.start[s + 1] - self.start[s] == n
                         and not memcmp(self.items + self.start[s], items, n * sizeof(int32_t))):
                return at
            at = (at + 1) & (self.table_size - 1)

    cdef int32_t close(self) except -1:
        """The number of the set whose items were put behind the last set; what is known already is not kept twice."""
        cdef int64_t first = self.start[self.n], k, at = self.slot_of(self.items + first, self.n_items - first)
        cdef int64_t *moved
        cdef int32_t *table
        if self.table[at] >= 0:
            self.n_items = first
            return self.table[at]
        if self.n_items > self.limit:
            self.n_items = first
            raise OverflowError("the pattern is not sparse")
        if self.n + 1 >= self.cap:
            moved = <int64_t *>PyMem_RawRealloc(self.start, (2 * self.cap + 1) * sizeof(int64_t))
            if moved == NULL:
                raise MemoryError()
            self.start = moved
            self.cap *= 2
        self.n += 1
        self.start[self.n] = self.n_items
        self.table[at] = <int32_t>(self.n - 1)
        if 2 * self.n > self.table_size:
            table = <int32_t *>PyMem_RawMalloc(2 * self.table_size * sizeof(int32_t))
            if table == NULL:
                raise MemoryError()
            PyMem_RawFree(self.table)
            self.table = table
            self.table_size *= 2
            memset(table, 0xFF, self.table_size * sizeof(int32_t))
            for k in range(1, self.n):
                table[self.slot_of(self.items + self.start[k], self.start[k + 1] - self.start[k])] = <int32_t>k
        return <int32_t>(self.n - 1)

    cdef int room(self, int64_t n) except -1:
        """Make room for so many items behind the last set."""
        cdef int32_t *moved
        cdef int64_t wanted = self.n_items + n
        if wanted > self.cap_items:
            wanted += wanted // 2
            moved = <int32_t *>PyMem_RawRealloc(self.items, wanted * sizeof(int32_t))
            if moved == NULL:
                raise MemoryError()
            self.items = moved
            self.cap_items = wanted
        return 0

    cdef int32_t union(self, int32_t a, int32_t b) except -1:
        cdef uint64_t key
        cdef int64_t at, i, j, ni, nj, n
        cdef int32_t *x
        cdef int32_t *y
        cdef int32_t *out
        cdef int32_t found
        if a == b or b == 0:
            return a
        if a == 0:
            return b
        if a > b:
            a, b = b, a
        key = (<uint64_t>a << 32) | <uint64_t>b
        at = place(key, self.known.size)
        while self.known.keys[at]:
            if self.known.keys[at] == key:
                return self.known.values[at]
            at = (at + 1) & (self.known.size - 1)
        ni = self.start[a + 1] - self.start[a]
        nj = self.start[b + 1] - self.start[b]
        self.room(ni + nj)
        x = self.items + self.start[a]
        y = self.items + self.start[b]
        out = self.items + self.n_items
        i = j = n = 0
        while i < ni and j < nj:
            if x[i] < y[j]:
                out[n] = x[i]
                i += 1
            elif x[i] > y[j]:
                out[n] = y[j]
                j += 1
            else:
                out[n] = x[i]
                i += 1
                j += 1
            n += 1
        while i < ni:
            out[n] = x[i]
            i += 1
            n += 1
        while j < nj:
            out[n] = y[j]
            j += 1
            n += 1
        if n == ni:
            found = a
        elif n == nj:
            found = b
        else:
            self.n_items += n
            found = self.close()
        self.known.keys[at] = key
        self.known.values[at] = found
        self.known.used += 1
        if 2 * self.known.used > self.known.size:
            self.widen()
        return found

    cdef int widen(self) except -1:
        """Twice the room for known unions."""
        cdef int64_t size = 2 * self.known.size, k, at
        cdef uint64_t *keys = <uint64_t *>PyMem_RawCalloc(size, sizeof(uint64_t))
        cdef int32_t *values = <int32_t *>PyMem_RawMalloc(size * sizeof(int32_t))
        if not keys or not values:
            PyMem_RawFree(keys)
            PyMem_RawFree(values)
            raise MemoryError()
        for k in range(self.known.size):
            if self.known.keys[k]:
                at = place(self.known.keys[k], size)
                while keys[at]:
                    at = (at + 1) & (size - 1)
                keys[at] = self.known.keys[k]
                values[at] = self.known.values[k]
        PyMem_RawFree(self.known.keys)
        PyMem_RawFree(self.known.values)
        self.known.keys = keys
        self.known.values = values
        self.known.size = size
        return 0

    cdef int32_t union_of(self, const int32_t *sets, int64_t n, int64_t step) except -1:
        """The union of many sets at once: each item is looked at once."""
        cdef int64_t k, i
        cdef int32_t s, last = 0, item
        if n == 0:
            return 0
        if n == 1:
            return sets[0]
        if n == 2:
            return self.union(sets[0], sets[step])
        self.epoch += 1
        for k in range(n):
            s = sets[k * step]
            if s == last or s == 0:
                continue
            last = s
            self.room(self.start[s + 1] - self.start[s])
            for i in range(self.start[s], self.start[s + 1]):
                item = self.items[i]
                if self.stamp[item] != self.epoch:
                    self.stamp[item] = self.epoch
                    self.items[self.n_items] = item
                    self.n_items += 1
        i = self.start[self.n]
        n = self.n_items - i
        if n == 0:
            return 0
        if n * 8 > self.columns:        # read off in order
            for k in range(self.columns):
                if self.stamp[k] == self.epoch:
                    self.items[i] = <int32_t>k
                    i += 1
        else:
            qsort(self.items + i, n, sizeof(int32_t), ascending)
        return self.close()


cdef struct Block:                      # the sets of a value's elements
    int32_t *ids                        # NULL: all elements have the set ``one``, or the block has parts
    int32_t one
    int64_t n
    int32_t users                       # values, and blocks, that have it
    int32_t *parts                      # blocks that it unites, element by element and with ``one``; NULL once that is done
    int32_t n_parts


cdef bint inserted(int32_t *parts, int *count, int32_t block) noexcept:
    """Put a block into a sorted list, once; False when there is no room."""
    cdef int k = count[0], j
    while k and parts[k - 1] > block:
        k -= 1
    if k and parts[k - 1] == block:
        return True
    if count[0] == PARTS_MAX:
        return False
    for j in range(count[0], k, -1):
        parts[j] = parts[j - 1]
    parts[k] = block
    count[0] += 1
    return True


cdef class Sparsity:
    """One application of the pass."""

    cdef Program program
    cdef Sets sets
    cdef list consts
    cdef Block *blocks
    cdef int32_t *block                 # of each value; NONE once nobody needs it
    cdef int32_t *last                  # the last instruction that reads a value
    cdef dict united                    # what blocks have for ``one`` and parts -> the block
    cdef int64_t *where                 # elements that a map leads to
    cdef int64_t room_where

    def __cinit__(self, Program program, int64_t columns, list consts, int64_t limit):
        self.program = program
        self.consts = consts
        self.united = {}
        self.sets = Sets(columns, limit)
        self.blocks = <Block *>PyMem_RawCalloc(program.length + 1, sizeof(Block))
        self.block = <int32_t *>PyMem_RawMalloc((program.length + 1) * sizeof(int32_t))
        self.last = <int32_t *>PyMem_RawMalloc((program.length + 1) * sizeof(int32_t))
        if not self.blocks or not self.block or not self.last:
            raise MemoryError()
        memset(self.block, 0xFF, (program.length + 1) * sizeof(int32_t))
        memset(self.last, 0xFF, (program.length + 1) * sizeof(int32_t))

    def __dealloc__(self):
        cdef Py_ssize_t i
        if self.blocks:
            for i in range(self.program.length):
                PyMem_RawFree(self.blocks[i].ids)
                PyMem_RawFree(self.blocks[i].parts)
        PyMem_RawFree(self.blocks)
        PyMem_RawFree(self.block)
        PyMem_RawFree(self.last)
        PyMem_RawFree(self.where)

    # -- blocks: block i is made by instruction i, and shared by what has the same sets ------------

    cdef int64_t size(self, int32_t value) noexcept:
        return size_at(self.program.ints, self.program.code[value].shape)

    cdef int32_t *make(self, int32_t value) except NULL:
        """A block of its own for a value, its elements still to be filled in."""
        cdef Block *b = &self.blocks[value]
        b.n = self.size(value)
        b.users = 1
        b.ids = <int32_t *>PyMem_RawMalloc(max(b.n, 1) * sizeof(int32_t))
        if b.ids == NULL:
            raise MemoryError()
        self.block[value] = value
        return b.ids

    cdef int same(self, int32_t value, int32_t one) noexcept:
        """All elements of the value have this set."""
        cdef Block *b = &self.blocks[value]
        b.n = self.size(value)
        b.one = one
        b.users = 1
        self.block[value] = value
        return 0

    cdef int share(self, int32_t value, int32_t other) noexcept:
        return self.join(value, self.block[other])

    cdef int join(self, int32_t value, int32_t block) noexcept:
        self.block[value] = block
        self.blocks[block].users += 1
        return 0

    cdef void drop(self, int32_t value) noexcept:
        cdef int32_t block = self.block[value]
        if block >= 0:
            self.block[value] = NONE
            self.release(block)

    cdef void release(self, int32_t block) noexcept:
        cdef Block *b = &self.blocks[block]
        b.users -= 1
        if b.users == 0:
            PyMem_RawFree(b.ids)
            b.ids = NULL
            self.let_go(b)

    cdef void let_go(self, Block *b) noexcept:
        """Forget the parts of a block."""
        cdef int32_t *parts = b.parts
        cdef int k
        b.parts = NULL
        if parts != NULL:
            for k in range(b.n_parts):
                self.release(parts[k])
            PyMem_RawFree(parts)

    cdef Block *raw(self, int32_t value) noexcept:
        return &self.blocks[self.block[value]]

    cdef Block *of(self, int32_t value) except NULL:
        """The block of a value, its parts united."""
        cdef Block *b = self.raw(value)
        if b.parts != NULL:
            self.unite(b)
        return b

    cdef int unite(self, Block *b) except -1:
        """Find the set of each element of a block that has parts."""
        cdef int m = b.n_parts, k
        cdef int32_t[PARTS_MAX + 1] sets
        cdef int32_t s, found = 0
        cdef int32_t *ids = <int32_t *>PyMem_RawMalloc(b.n * sizeof(int32_t))
        cdef int64_t i
        cdef bint changed = True
        if ids == NULL:
            raise MemoryError()
        memset(sets, 0xFF, sizeof(sets))
        if b.one:
            sets[m] = b.one
        try:
            for i in range(b.n):
                for k in range(m):
                    s = self.blocks[b.parts[k]].ids[i]
                    changed = changed or s != sets[k]
                    sets[k] = s
                if changed:
                    found = self.sets.union_of(sets, m + (b.one != 0), 1)
                    changed = False
                ids[i] = found
        except BaseException:
            PyMem_RawFree(ids)
            raise
        self.let_go(b)
        b.ids = ids
        return 0

    cdef int32_t at(self, const Block *b, int64_t i) noexcept:
        return b.one if b.ids == NULL else b.ids[i]

    cdef bint empty(self, int32_t value) noexcept:
        cdef Block *b = self.raw(value)
        return b.ids == NULL and b.parts == NULL and b.one == 0

    cdef int32_t whole(self, int32_t value) except -1:
        """The union over all elements."""
        cdef Block *b = self.raw(value)
        cdef int32_t s = b.one
        cdef int k
        if b.n == 0:
            return 0
        if b.ids != NULL:
            return self.sets.union_of(b.ids, b.n, 1)
        if b.parts != NULL:
            for k in range(b.n_parts):
                s = self.sets.union(s, self.sets.union_of(self.blocks[b.parts[k]].ids, b.n, 1))
        return s

    cdef int64_t *elements(self, int32_t shape, int32_t param) except NULL:
        """Where a map leads, for each index of its space in order."""
        cdef int64_t *ints = self.program.ints
        cdef int64_t n = size_at(ints, shape), d = ints[shape], k, i, at = ints[param]
        cdef int64_t[MAX_DIMS] index
        cdef int64_t *moved
        if n + 1 > self.room_where:
            moved = <int64_t *>PyMem_RawRealloc(self.where, (n + 1) * sizeof(int64_t))
            if moved == NULL:
                raise MemoryError()
            self.where = moved
            self.room_where = n + 1
        memset(index, 0, sizeof(index))
        for i in range(n):
            self.where[i] = at
            k = d - 1
            while k >= 0:
                index[k] += 1
                at += ints[param + 1 + k]
                if index[k] < ints[shape + 1 + k]:
                    break
                at -= index[k] * ints[param + 1 + k]
                index[k] = 0
                k -= 1
        return self.where

    cdef int copy(self, int32_t *out, int32_t value) except -1:
        cdef Block *b = self.of(value)
        cdef int64_t i
        if b.ids != NULL:
            memcpy(out, b.ids, b.n * sizeof(int32_t))
        else:
            for i in range(b.n):
                out[i] = b.one
        return 0

    # -- rules ---------------------------------------------------------------------------------

    cdef int elementwise(self, int32_t value) except -1:
        cdef Instr *instr = &self.program.code[value]
        cdef int32_t[3] x
        cdef int32_t *out
        cdef int32_t s, seen_a, seen_b, seen
        cdef Block *b
        cdef int k, m = 0
        cdef int64_t i, n = self.size(value)
        for k in range(instr.nargs):
            partial = partial_of(instr.op, k)
            s = arg(instr, self.program.ints, k)
            if partial.n == 0 and partial.constant == 0.0 and not partial.missing:
                continue
            if self.empty(s) or (m and self.block[x[0]] == self.block[s]) or (m > 1 and self.block[x[1]] == self.block[s]):
                continue
            x[m] = s
            m += 1
        if m == 0:
            return self.same(value, 0)
        if m == 1 and self.raw(x[0]).n == n:
            return self.share(value, x[0])
        if n >= PARTS_FROM and self.later(value, x, m, n):
            return 0
        s = 0
        k = 0
        while k < m:                    # those with one set for all go into s
            b = self.of(x[k])
            if b.ids == NULL or b.n != n:
                s = self.sets.union(s, self.at(b, 0))
                m -= 1
                x[k] = x[m]
            else:
                k += 1
        if m == 0:
            return self.same(value, s)
        out = self.make(value)
        self.copy(out, x[0])
        for k in range(1, m):
            b = self.of(x[k])
            seen_a = seen_b = seen = -1
            for i in range(n):
                if out[i] != seen_a or b.ids[i] != seen_b:
                    seen_a, seen_b = out[i], b.ids[i]
                    seen = self.sets.union(seen_a, seen_b)
                out[i] = seen
        if s:
            for i in range(n):
                out[i] = self.sets.union(out[i], s)
        return 0

    cdef bint later(self, int32_t value, int32_t *x, int m, int64_t n) except -1:
        """Note which blocks a value unites, for who looks at its elements; False where they are too many.

        A chain of elementwise operations costs nothing for each element then, and who meets the same blocks shares one.
        """
        cdef int32_t[PARTS_MAX] parts
        cdef int32_t one = 0, block
        cdef int count = 0, k, j
        cdef Block *b
        for k in range(m):
            b = self.raw(x[k])
            if b.parts != NULL:
                one = self.sets.union(one, b.one)
                for j in range(b.n_parts):
                    if not inserted(parts, &count, b.parts[j]):
                        return False
            elif b.ids == NULL or b.n != n:
                one = self.sets.union(one, self.at(b, 0))
            elif not inserted(parts, &count, self.block[x[k]]):
                return False
        if count == 0:
            self.same(value, one)
            return True
        if count == 1 and one == 0:
            self.join(value, parts[0])
            return True
        key = (one, *[parts[k] for k in range(count)])
        block = self.united.get(key, NONE)
        if block >= 0 and self.blocks[block].users:
            self.join(value, block)
            return True
        self.same(value, one)
        b = self.raw(value)
        b.parts = <int32_t *>PyMem_RawMalloc(count * sizeof(int32_t))
        if b.parts == NULL:
            raise MemoryError()
        memcpy(b.parts, parts, count * sizeof(int32_t))
        b.n_parts = count
        for k in range(count):
            self.blocks[parts[k]].users += 1
        self.united[key] = value
        return True

    cdef int view(self, int32_t value) except -1:
        cdef Instr *instr = &self.program.code[value]
        cdef Block *b = self.of(instr.x1)
        cdef int64_t *where
        cdef int32_t *out
        cdef int64_t i
        if b.ids == NULL:
            return self.same(value, b.one)
        where = self.elements(instr.shape, instr.param)
        out = self.make(value)
        for i in range(self.size(value)):
            out[i] = b.ids[where[i]]
        return 0

    cdef int reduction(self, int32_t value) except -1:
        """Sum, maximum, ... over a map: the union of what leads to each element."""
        cdef Instr *instr = &self.program.code[value]
        cdef Block *b = self.of(instr.x1)
        cdef int64_t n = self.size(value), m = b.n, i
        cdef int64_t *where
        cdef int32_t *out
        cdef int32_t *sorted_
        cdef int64_t[::1] first
        if n == 1 or b.ids == NULL and b.one == 0:
            return self.same(value, self.whole(instr.x1))
        where = self.elements(self.program.code[instr.x1].shape, instr.param)
        first = np.zeros(n + 1, dtype=np.int64)
        sorted_ = <int32_t *>PyMem_RawMalloc(max(m, 1) * sizeof(int32_t))
        if sorted_ == NULL:
            raise MemoryError()
        try:
            self.group(b, where, m, n, first, sorted_)
            out = self.make(value)
            for i in range(n):
                out[i] = self.sets.union_of(sorted_ + first[i], first[i + 1] - first[i], 1)
        finally:
            PyMem_RawFree(sorted_)
        return 0

    cdef int group(self, Block *b, const int64_t *where, int64_t m, int64_t n, int64_t[::1] first, int32_t *out) except -1:
        """Sort the sets of a block by target; target k has those from ``first[k]`` up to ``first[k + 1]``."""
        cdef int64_t[::1] fill
        cdef int64_t i
        for i in range(m):
            first[where[i] + 1] += 1
        for i in range(n):
            first[i + 1] += first[i]
        fill = np.array(first)
        for i in range(m):
            out[fill[where[i]]] = self.at(b, i)
            fill[where[i]] += 1
        return 0

    cdef int store(self, int32_t value, const int64_t *where, int64_t run, int32_t base, int32_t x, bint added) except -1:
        """base with x put, or added, at these elements; ``run`` elements of x stand side by side at each."""
        cdef Block *b = self.of(x)
        cdef int32_t *out
        cdef int64_t i, at
        if added and self.empty(x):
            return self.share(value, base)
        out = self.make(value)
        self.copy(out, base)
        for i in range(b.n):
            at = where[i // run] + i % run
            out[at] = self.sets.union(out[at], self.at(b, i)) if added else self.at(b, i)
        return 0

    cdef int indexed(self, int32_t value) except -1:
        """Gather, scatter_add, put: offsets are known when they are a constant of the run; else all may meet all.

        An offset stands for as many elements side by side as the moved array has for each.
        """
        cdef Instr *instr = &self.program.code[value]
        cdef int32_t offsets = instr.x2 if instr.op == AD_OP_GATHER else instr.x3
        cdef int32_t moved = value if instr.op == AD_OP_GATHER else instr.x2
        cdef int64_t[::1] where
        cdef int32_t *out
        cdef int64_t i, j, run
        cdef Block *b
        if self.program.code[offsets].op != AD_OP_CONST:
            if instr.op == AD_OP_GATHER:
                return self.same(value, self.whole(instr.x1))
            return self.same(value, self.sets.union(self.whole(instr.x1), self.whole(instr.x2)))
        where = np.ascontiguousarray(self.consts[self.program.code[offsets].param], dtype=np.int64).reshape(-1)
        run = max(self.size(moved) // max(where.shape[0], 1), 1)
        if instr.op != AD_OP_GATHER:
            return self.store(value, &where[0] if where.shape[0] else NULL, run, instr.x1, instr.x2,
                              instr.op == AD_OP_SCATTER_ADD)
        b = self.of(instr.x1)
        if b.ids == NULL:
            return self.same(value, b.one)
        out = self.make(value)
        for i in range(self.size(value) // run):
            for j in range(run):
                out[i * run + j] = b.ids[where[i] + j]
        return 0

    cdef int matmul(self, int32_t value) except -1:
        """Element i, j has the sets of row i of the first factor and of column j of the second."""
        cdef Instr *instr = &self.program.code[value]
        cdef tuple shape = self.program.shape_tuple(value)
        cdef Py_ssize_t d = len(shape)
        cdef int64_t rows = shape[d - 2], cols = shape[d - 1], inner = <object>self.program.shape_tuple(instr.x1)[d - 1]
        cdef int64_t batches = self.size(value) // max(rows * cols, 1), b, i, j
        cdef Block *x1 = self.of(instr.x1)
        cdef Block *x2 = self.of(instr.x2)
        cdef int32_t[::1] left = np.zeros(rows, dtype=np.int32), right = np.zeros(cols, dtype=np.int32)
        cdef int32_t *out
        if inner == 0 or (self.empty(instr.x1) and self.empty(instr.x2)):
            return self.same(value, 0)
        out = self.make(value)
        for b in range(batches):
            for i in range(rows):
                left[i] = x1.one if x1.ids == NULL else self.sets.union_of(x1.ids + (b * rows + i) * inner, inner, 1)
            for j in range(cols):
                right[j] = x2.one if x2.ids == NULL else self.sets.union_of(x2.ids + b * inner * cols + j, inner, cols)
            for i in range(rows):
                for j in range(cols):
                    out[(b * rows + i) * cols + j] = self.sets.union(left[i], right[j])
        return 0

    cdef int pack(self, int32_t value) except -1:
        cdef Instr *instr = &self.program.code[value]
        cdef int32_t *out = self.make(value)
        cdef int32_t s
        cdef int64_t at
        cdef int k
        self.copy(out, arg(instr, self.program.ints, 0))
        for k in range(n_args(instr) - 1):
            s = self.at(self.of(arg(instr, self.program.ints, k + 1)), 0)
            at = self.program.ints[instr.param + k]
            out[at] = s if instr.op == AD_OP_PACK else self.sets.union(out[at], s)
        return 0

    cdef int cumsum(self, int32_t value) except -1:
        cdef Instr *instr = &self.program.code[value]
        cdef int64_t *m = self.program.ints + instr.param
        cdef int64_t outer = m[0], n = m[1], inner = m[2], o, i, _k, at, step = -inner if m[3] else inner
        cdef int32_t *out
        cdef Block *b = self.of(instr.x1)
        if b.ids == NULL:
            return self.same(value, b.one)
        out = self.make(value)
        self.copy(out, instr.x1)
        for o in range(outer):
            for i in range(inner):
                at = o * n * inner + i + (inner * (n - 1) if m[3] else 0)
                for _k in range(1, n):
                    at += step
                    out[at] = self.sets.union(out[at], out[at - step])
        return 0

    cdef int rule(self, int32_t value, dict base) except -1:
        cdef Instr *instr = &self.program.code[value]
        cdef int op = instr.op, k
        cdef int32_t s = 0
        cdef int32_t *out
        cdef int64_t i
        if op == AD_OP_INPUT and instr.param in base:
            out = self.make(value)
            k = base[instr.param]
            for i in range(self.size(value)):
                out[i] = <int32_t>(1 + k + i)
            return 0
        if (instr.dtype != F64 and instr.dtype != F32) or n_args(instr) == 0:
            return self.same(value, 0)
        if op < AD_N_ELEMENTWISE:
            return self.elementwise(value)
        if op == AD_OP_VIEW:
            return self.view(value)
        if op in (AD_OP_SUM, AD_OP_REDUCE_MAX, AD_OP_REDUCE_MIN, AD_OP_REDUCE_PROD):
            return self.reduction(value)
        if op == AD_OP_ACCUMULATE or op == AD_OP_UPDATE:
            return self.store(value, self.elements(self.program.code[instr.x2].shape, instr.param), 1, instr.x1, instr.x2,
                              op == AD_OP_ACCUMULATE)
        if op == AD_OP_FULL:
            return self.same(value, self.at(self.of(instr.x1), 0))
        if op == AD_OP_GATHER or op == AD_OP_SCATTER_ADD or op == AD_OP_PUT:
            return self.indexed(value)
        if op == AD_OP_MATMUL:
            return self.matmul(value)
        if op == AD_OP_PACK or op == AD_OP_PACK_ADD:
            return self.pack(value)
        if op == AD_OP_CUMSUM:
            return self.cumsum(value)
        if op == AD_OP_CALL:            # every element of the result may depend on all of every argument
            for k in range(n_args(instr)):
                s = self.sets.union(s, self.whole(arg(instr, self.program.ints, k)))
            return self.same(value, s)
        raise errors.AdcoreError(f"no rule says on what the elements of {optable.NAMES[op].lower()} depend")

    # -- the pass --------------------------------------------------------------------------------

    cdef tuple run(self, dict base, list outputs):
        cdef Py_ssize_t i, n = self.program.length
        cdef int32_t x, value
        cdef int64_t total = 0, rows = 0, j, at
        cdef Instr *instr
        cdef Block *b
        cdef int k
        cdef int64_t[::1] indptr
        cdef int32_t[::1] indices
        for i in range(n):
            instr = &self.program.code[i]
            for k in range(n_args(instr)):
                self.last[arg(instr, self.program.ints, k)] = <int32_t>i
        for value in outputs:
            self.last[value] = <int32_t>n
        for i in range(n):
            self.rule(<int32_t>i, base)
            instr = &self.program.code[i]
            for k in range(n_args(instr)):
                x = arg(instr, self.program.ints, k)
                if self.last[x] == i:
                    self.drop(x)
            if self.last[i] < 0:
                self.drop(<int32_t>i)
        for value in outputs:
            b = self.of(value)
            rows += b.n
            for j in range(b.n):
                x = self.at(b, j)
                total += self.sets.start[x + 1] - self.sets.start[x]
        if total > self.sets.limit:
            raise OverflowError("the pattern is not sparse")
        indptr = np.zeros(rows + 1, dtype=np.int64)
        indices = np.empty(total, dtype=np.int32)
        rows = total = 0
        for value in outputs:
            b = self.of(value)
            for j in range(b.n):
                x = self.at(b, j)
                at = self.sets.start[x + 1] - self.sets.start[x]
                if at:
                    memcpy(&indices[total], self.sets.items + self.sets.start[x], at * sizeof(int32_t))
                total += at
                rows += 1
                indptr[rows] = total
        return np.asarray(indptr), np.asarray(indices)


def sparsity(Program program, list wrt, list consts, int64_t limit):
    """The pattern of the Jacobian of the program's outputs, one after the other, with respect to the inputs in ``wrt``.

    Returns ``(indptr, indices)`` of its rows (CSR), columns in order. Structural: an entry is there when a chain of
    non-zero partial derivatives may lead from the input's element to the output's, whatever the values. ``consts``
    are the constants of the run: positions of gathers among them count by their values. Each side of a ``where`` counts.

    Raises
    ------
    OverflowError
        The different sets, or the result, hold more than ``limit`` entries.
    """
    cdef dict base = {}, shapes = {}
    cdef Py_ssize_t i
    cdef int64_t columns = 0
    for i in range(program.length):
        if program.code[i].op == AD_OP_INPUT:
            shapes[program.code[i].param] = size_at(program.ints, program.code[i].shape)
    for k in wrt:
        base[k] = columns
        columns += shapes[k]
    return Sparsity(program, columns, consts, limit).run(base, program.outputs)
