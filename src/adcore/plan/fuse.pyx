"""Fusion: put the instructions of a program into groups that run as one step.

A group of kind BLOCKS is a set of elementwise instructions over one iteration space with
the views they read and the stores they write through; it runs block by block, so
values used only inside it never reach memory. A group of kind SCALARS holds scalar
instructions. Everything else stands alone.

Invariant: groups run in the order of their numbers, and whatever an instruction reads from
memory was written by a group with a smaller number. An instruction joins the
earliest group that keeps the invariant among few candidates, which is what fuses a forward sweep
with the reverse sweep that needs the same blocks.
"""

from libc.stdint cimport INT32_MAX, uint64_t

from adcore.optable.opcodes cimport (
    AD_N_ELEMENTWISE, AD_OP_ACCUMULATE, AD_OP_CONST, AD_OP_EMPTY, AD_OP_FULL, AD_OP_INPUT,
    AD_OP_LITERAL, AD_OP_MATMUL, AD_OP_REDUCE_MAX, AD_OP_REDUCE_MIN, AD_OP_REDUCE_PROD,
    AD_OP_PACK, AD_OP_PACK_ADD, AD_OP_PUT, AD_OP_SCALAR, AD_OP_SCATTER_ADD, AD_OP_SUM, AD_OP_UPDATE, AD_OP_VIEW, AD_OP_WINDOW,
)
from adcore.tape.boxes cimport Box, find_box, mostly
from adcore.plan.loops cimport LoopSpan, Tiling
from adcore.plan.plan cimport BLOCK
from adcore.plan.pool cimport pool_add, pool_free, pool_init
from adcore.tape.maps cimport maps_disjoint, same_index_only
from adcore.tape.program cimport Instr, arg, n_args, same_shape, size_at
from adcore.tape.shelf cimport shelf_free, shelf_init, shelf_take, shelf_take_numbers

cdef enum:
    COLUMNS_BYTES = 58      # of all columns together, for one instruction
    MEMBERS_MAX = 96        # instructions that a group of whole blocks holds: bounds its registers
    SHORT_MEMBERS = 1536    # of a group over few elements
    CANDIDATES = 32         # groups of a space that are looked at
    TRIES = 8               # groups that are tried for a store before a new one is opened
    READERS_MAX = 256       # reads of a base that are looked at before the answer is "perhaps"
    KEEP = 4                # a view smaller than its array by more than that is copied rather than the array
    NOBODY = -1             # who wants a value, as sinking sees it
    SEVERAL = -2


cdef Role role_of(int op) noexcept nogil:
    if op < AD_N_ELEMENTWISE:
        return COMPUTED
    if op in (AD_OP_VIEW, AD_OP_WINDOW):
        return MAPPED
    if op in (AD_OP_INPUT, AD_OP_CONST, AD_OP_LITERAL, AD_OP_SCALAR):
        return LEAF
    if op in (AD_OP_FULL, AD_OP_EMPTY):
        return FILLED
    if op in (AD_OP_SUM, AD_OP_REDUCE_MAX, AD_OP_REDUCE_MIN, AD_OP_REDUCE_PROD,
              AD_OP_ACCUMULATE, AD_OP_UPDATE):
        return STORED
    return OPAQUE


cdef bint starts_from_base(int op) noexcept nogil:
    """Is argument 0 an array that the instruction writes into?"""
    return op in (AD_OP_ACCUMULATE, AD_OP_UPDATE, AD_OP_PACK, AD_OP_PACK_ADD,
                  AD_OP_SCATTER_ADD, AD_OP_PUT)


cdef bint blas_ready(const int64_t *dims, int64_t ndim, const int64_t *strides) noexcept nogil:
    """Can BLAS read a matrix with these strides, as it is or transposed?"""
    cdef int64_t rows = dims[ndim - 2], columns = dims[ndim - 1]
    cdef int64_t row = strides[ndim - 2], column = strides[ndim - 1]
    if (column == 1 or columns == 1) and (row >= columns or rows == 1):
        return True
    return (row == 1 or rows == 1) and (column >= rows or columns == 1)


cdef class Fusion:
    """The groups of one program; lives while its plan is made."""

    def __cinit__(self, Program program):
        cdef Py_ssize_t n = program.length + 1
        self.program = program
        pool_init(&self.groups, sizeof(Seed))
        pool_init(&self.readers, sizeof(Reader))
        pool_init(&self.loops, sizeof(LoopGroups))
        shelf_init(&self.shelf, n * COLUMNS_BYTES)
        self.role = <uint8_t *>shelf_take(&self.shelf, n, 1)
        self.reach = <uint8_t *>shelf_take(&self.shelf, n, 1)
        self.root = <int32_t *>shelf_take(&self.shelf, n, sizeof(int32_t))
        self.rewritten = <uint8_t *>shelf_take(&self.shelf, n, 1)
        self.demanded = <uint8_t *>shelf_take(&self.shelf, n, 1)
        self.in_memory = <uint8_t *>shelf_take(&self.shelf, n, 1)
        self.is_output = <uint8_t *>shelf_take(&self.shelf, n, 1)
        self.prepared = <uint8_t *>shelf_take(&self.shelf, n, 1)
        self.kept = <uint8_t *>shelf_take(&self.shelf, n, 1)
        self.n_stores = <uint8_t *>shelf_take(&self.shelf, n, 1)
        self.elsewhere = <uint8_t *>shelf_take(&self.shelf, n, 1)
        self.first_view = <int32_t *>shelf_take_numbers(&self.shelf, n)
        self.next_view = <int32_t *>shelf_take_numbers(&self.shelf, n)
        self.last_user = <int32_t *>shelf_take(&self.shelf, n, sizeof(int32_t))
        self.n_users = <int32_t *>shelf_take(&self.shelf, n, sizeof(int32_t))
        self.base_user = <int32_t *>shelf_take_numbers(&self.shelf, n)
        self.group_of = <int32_t *>shelf_take_numbers(&self.shelf, n)
        self.next_member = <int32_t *>shelf_take_numbers(&self.shelf, n)
        self.first_reader = <int32_t *>shelf_take_numbers(&self.shelf, n)
        self.last_use = <int32_t *>shelf_take_numbers(&self.shelf, n)
        for i in range(256):
            self.newest[i] = -1

    def __dealloc__(self):
        pool_free(&self.groups)
        pool_free(&self.readers)
        pool_free(&self.loops)
        shelf_free(&self.shelf)

    cdef int32_t space_of(self, int32_t value) noexcept:
        """Iteration space of an instruction: that of its result, or of what it stores."""
        cdef Instr *instr = &self.program.code[value]
        if self.role[value] == STORED:
            return self.program.code[instr.x1 if instr.nargs == 1 else instr.x2].shape
        return instr.shape

    cdef void find_reach(self, int32_t value) noexcept:
        """From where and how the value is read by who does not compute it; its arguments' roles are known."""
        cdef Instr *instr = &self.program.code[value]
        cdef Instr *base
        self.role[value] = role_of(instr.op)
        self.root[value] = value
        self.reach[value] = DIRECT
        if instr.op == AD_OP_FULL:
            self.root[value] = instr.x1
            self.reach[value] = SCALAR
        elif self.program.ints[instr.shape] == 0:
            self.reach[value] = SCALAR
        elif instr.op == AD_OP_VIEW:
            base = &self.program.code[instr.x1]
            self.root[value] = base.x1 if base.op == AD_OP_FULL else instr.x1
            self.reach[value] = SCALAR if base.op == AD_OP_FULL or self.program.ints[base.shape] == 0 else THROUGH
        elif instr.op == AD_OP_WINDOW:
            self.root[value] = instr.x1
            self.reach[value] = THROUGH

    cdef Operand operand(self, int32_t value, bint own=False) noexcept:
        cdef Operand found
        cdef Instr *instr
        cdef uint8_t reach = self.reach_of(value, own)
        found.root = self.root_of(value, own)
        found.scalar = reach == SCALAR
        found.direct = reach == DIRECT
        found.offset = 0
        found.step = 0
        found.strides = NULL
        found.window = NULL
        if reach == THROUGH:
            instr = &self.program.code[value]
            found.offset = self.program.ints[instr.param]
            found.strides = self.program.ints + instr.param + 1
            if instr.op == AD_OP_WINDOW:
                found.window = found.strides + self.program.ints[instr.shape]
            if self.tiling is not None:
                found.step = self.tiling.step[value]
        return found

    cdef int add_reader(self, int32_t root, int32_t group, uint8_t whole, int64_t offset,
                        const int64_t *strides, int32_t space) except -1:
        cdef Reader *reader
        if self.role[root] == LEAF:
            return 0
        self.in_memory[root] = 1
        if group > self.last_use[root]:
            self.last_use[root] = group
        if not self.rewritten[root]:
            return 0
        reader = <Reader *>pool_add(&self.readers, 1)
        reader.group = group
        reader.next = self.first_reader[root]
        reader.whole = whole
        reader.offset = offset
        reader.strides = strides
        reader.space = space
        self.first_reader[root] = <int32_t>(self.readers.n - 1)
        return 0

    cdef int32_t root_in(self, int32_t value, int32_t group, bint own=False) noexcept:
        """The value whose memory a member of the group reads.

        That is the root, or the version from before the root's group, where that group itself writes the root, elsewhere
        than the view looks: so the butterflies of ``even, odd = even + odd, even - odd`` are one group. A version that
        its group overwrites is not there for later groups either.
        """
        cdef int32_t root = self.root_of(value, own), made = self.group_of[root], next_ = self.base_user[root]
        if self.reach[value] != THROUGH or self.role[root] != STORED or made < 0:
            return root
        if made != group and (next_ < 0 or self.group_of[next_] != made):
            return root
        return self.before_group(value, made)

    cdef int32_t before_group(self, int32_t value, int32_t group) noexcept:
        """The version of a view's root from before a group that writes none of what the view reads; else the root."""
        cdef const int64_t *ints = self.program.ints
        cdef int32_t root = self.root[value], at = root, space
        cdef const Instr *instr = &self.program.code[value]
        cdef const Instr *store
        space = (<Seed *>self.groups.data)[group].space
        if instr.op != AD_OP_VIEW or not same_shape(ints, instr.shape, space) or (self.tiling is not None and self.tiling.step[value]):
            return root
        while self.group_of[at] == group:
            store = &self.program.code[at]
            if (self.role[at] != STORED or store.nargs != 2 or self.prepared[store.x1]
                    or self.program.code[store.x1].dtype != store.dtype
                    or (self.tiling is not None and (self.tiling.step[at] or self.tiling.carried[at]))
                    or not maps_disjoint(ints[space], ints + space + 1, ints[instr.param], ints + instr.param + 1,
                                         ints[store.param], ints + store.param + 1)):
                return root
            at = store.x1
        return root if self.role[at] == FILLED else at

    cdef bint may_run_in_place(self, int32_t store) noexcept:
        """May this store write over its base, because nobody reads the base any more?"""
        cdef Instr *instr = &self.program.code[store]
        cdef int32_t base = arg(instr, self.program.ints, 0)
        cdef int32_t group = self.group_of[store]
        cdef int32_t space, at, later
        cdef const int64_t *ints = self.program.ints
        cdef Reader *reader
        cdef uint8_t role = self.role[base]
        if role == LEAF or role == FILLED or self.prepared[base] or self.is_output[base] or not self.in_memory[base]:
            return False
        space = self.space_of(store)
        at = self.first_reader[base]
        while at >= 0:
            reader = (<Reader *>self.readers.data) + at
            at = reader.next
            if reader.group < group:
                continue
            if reader.group > group or reader.whole or self.role[store] != STORED:
                return False
            if not same_shape(ints, reader.space, space):
                return False
            if reader.strides == NULL:
                return False
            later = store                       # and the stores that follow it in the group, which run in place on it
            while later >= 0 and self.group_of[later] == group and self.role[later] == STORED:
                instr = &self.program.code[later]
                if not same_index_only(ints[space], ints + space + 1, reader.offset, reader.strides,
                                       ints[instr.param], ints + instr.param + 1):
                    return False
                later = self.base_user[later]
        return True

    # -- placing -------------------------------------------------------------

    cdef int32_t open_group(self, GroupKind kind, int32_t space) except -1:
        cdef Seed *seed = <Seed *>pool_add(&self.groups, 1)
        cdef int bucket = self.bucket(kind, space)
        seed.kind = kind
        seed.space = space
        seed.most = self.room_for(kind, space)
        seed.head = -1
        seed.tail = -1
        seed.previous = -1
        if kind != SINGLE:
            seed.previous = self.newest[bucket]
            self.newest[bucket] = <int32_t>(self.groups.n - 1)
        return <int32_t>(self.groups.n - 1)

    cdef int32_t room_for(self, GroupKind kind, int32_t space) noexcept:
        """How many members a group may have. Its registers should stay in cache: a few of a whole block, many of a short one."""
        cdef int64_t size = size_at(self.program.ints, space)
        if kind == SCALARS:
            return INT32_MAX
        return <int32_t>max(MEMBERS_MAX, min(SHORT_MEMBERS, (MEMBERS_MAX * BLOCK + size - 1) // size if size else SHORT_MEMBERS))

    cdef int bucket(self, GroupKind kind, int32_t space) noexcept:
        cdef uint64_t h = kind
        cdef int64_t k
        for k in range(self.program.ints[space]):
            h = h * 1000003 + <uint64_t>self.program.ints[space + 1 + k]
        return <int>((h ^ (h >> 17)) & 255)

    cdef int32_t choose(self, GroupKind kind, int32_t space, int32_t earliest) except -1:
        """The earliest group of this kind and space, not before ``earliest``, that has room."""
        cdef int32_t at, best = -1
        cdef int k
        earliest = max(earliest, self.floor)
        if kind != SINGLE:
            if earliest < self.groups.n and self.can_join(earliest, kind, space):
                return earliest
            at = self.newest[self.bucket(kind, space)]
            for k in range(CANDIDATES):  # no-cython-lint
                if at < earliest or at < 0:
                    break
                if self.can_join(at, kind, space):
                    best = at
                at = (<Seed *>self.groups.data)[at].previous
            if best >= 0:
                return best
        return self.open_group(kind, space)

    cdef int join(self, int32_t group, int32_t value) except -1:
        cdef Seed *seed = (<Seed *>self.groups.data) + group
        if seed.tail < 0:
            seed.head = value
        else:
            self.next_member[seed.tail] = value
        seed.tail = value
        seed.count += 1
        self.group_of[value] = group
        return 0

    cdef int32_t after(self, int32_t root, bint same_group) noexcept:
        """First group that may read root: its own when it stays in a register there."""
        cdef int32_t group = self.group_of[root]
        if group < 0:
            return 0
        return group if same_group else group + 1

    cdef int place_scalar(self, int32_t value) except -1:
        """A scalar computed from scalars, or one element read from an array."""
        cdef Instr *instr = &self.program.code[value]
        cdef int32_t earliest = 0, root, group
        cdef int k
        cdef bint scalar
        for k in range(n_args(instr)):
            root = arg(instr, self.program.ints, k)
            if self.program.code[root].op == AD_OP_FULL:
                root = self.program.code[root].x1
            scalar = self.group_of[root] >= 0 and (
                (<Seed *>self.groups.data)[self.group_of[root]].kind == SCALARS)
            earliest = max(earliest, self.after(root, scalar))
        group = self.choose(SCALARS, 0, earliest)
        self.join(group, value)
        return self.record_reads(value, True)

    cdef int record_reads(self, int32_t value, bint placing) except -1:
        """What an instruction reads from memory, now that it has a group.

        Until all groups are final only reads of what stores start from matter.
        """
        cdef Instr *instr = &self.program.code[value]
        cdef int32_t group = self.group_of[value], root, x
        cdef uint8_t role = self.role[value]
        cdef uint8_t kind = (<Seed *>self.groups.data)[group].kind
        cdef Operand operand
        cdef int k, n = n_args(instr)
        if kind == BLOCKS:
            if role == MAPPED or role == FILLED:
                n = 0 if instr.op == AD_OP_EMPTY else 1
                self.in_memory[value] = 1
            elif role == STORED:
                self.in_memory[value] = 1
                if n == 2 and self.prepared[instr.x1]:
                    # what lies below is copied from before the group starts
                    root = self.program.code[instr.x1].x1
                    if self.role[root] != FILLED:
                        self.add_reader(root, group, 1, 0, NULL, 0)
                elif n == 2:
                    self.add_base(instr.x1, group)
            for k in range(n - 1 if role == STORED else 0, n):
                x = self.read_by(value, k)
                if self.reach_of(x, x == value) == DIRECT and self.in_register(self.root_of(x, x == value), group):
                    continue
                root = self.root_in(x, group, x == value)
                if self.role[root] == LEAF or placing and not self.rewritten[root]:
                    continue
                operand = self.operand(x, x == value)
                if operand.scalar:
                    continue
                self.add_reader(root, group, operand.window != NULL, operand.offset, operand.strides, self.space_of(value))
            return 0
        if kind == SINGLE:
            self.in_memory[value] = 1
        for k in range(n):
            root = arg(instr, self.program.ints, k)
            if kind == SINGLE:
                if self.program.code[root].op in (AD_OP_FULL, AD_OP_EMPTY) and not self.demanded[root]:
                    continue
                if k == 0 and starts_from_base(instr.op):
                    self.add_base(root, group)
                    continue
                if (instr.op == AD_OP_MATMUL and self.program.code[root].op == AD_OP_VIEW
                        and not self.demanded[root]):
                    root = self.program.code[root].x1
            if self.program.ints[self.program.code[root].shape] > 0:
                self.add_reader(root, group, 1, 0, NULL, 0)
        return 0

    cdef int place_computed(self, int32_t value, int first_arg) except -1:
        """An elementwise instruction, a view or fill somebody needs in memory, or a store's value."""
        cdef Instr *instr = &self.program.code[value]
        cdef int32_t space = self.space_of(value)
        cdef int32_t earliest = self.floor, group, candidate, tries = 0
        cdef uint8_t role = self.role[value]
        cdef int k, n = 1 if role == MAPPED or role == FILLED else n_args(instr)
        cdef int32_t x, root
        cdef bint stored = role == STORED, matters = stored, within
        if instr.op == AD_OP_EMPTY:
            n = 0
        for k in range(first_arg, n):
            x = self.read_by(value, k)
            root = self.root_of(x, x == value)
            group = self.group_of[root]
            if group >= 0:
                within = (self.in_register(root, group) if self.reach_of(x, x == value) == DIRECT
                          else self.can_join(group, BLOCKS, space) and self.root_in(x, group, x == value) != root)
                earliest = max(earliest, group if within else group + 1)
            matters |= self.rewritten[root]
        if stored and first_arg == 1:
            earliest = self.after_base(value, earliest, &candidate)
            if candidate >= 0:
                self.join(candidate, value)
                group = candidate
            else:
                group = self.choose(BLOCKS, space, earliest)
                while self.clobbers(value, group) and not self.replaces(value):
                    # the group reads the old base elsewhere: store from a temporary afterwards
                    tries += 1
                    group = self.choose(BLOCKS, space, group + 1 if tries < TRIES else <int32_t>self.groups.n)
                self.join(group, value)
        else:
            group = self.choose(BLOCKS, space, earliest)
            self.join(group, value)
        return self.record_reads(value, True) if matters else 0

    cdef int32_t after_base(self, int32_t store, int32_t earliest, int32_t *chained) noexcept:
        """First group for a store given its base; or the base's own group, when both are stores
        of one group that commute (both add), touch different elements, or the same one with each index: stores of
        a block are made in their order."""
        cdef Instr *instr = &self.program.code[store]
        cdef int32_t base = instr.x1, group, at = base, space = self.space_of(store)
        cdef Instr *below = &self.program.code[base]
        cdef const int64_t *ints = self.program.ints
        cdef bint adds = instr.op == AD_OP_ACCUMULATE, other_adds
        chained[0] = -1
        if below.op == AD_OP_EMPTY:
            return earliest
        if below.op == AD_OP_FULL:
            return max(earliest, self.after(below.x1, False))
        if self.prepared[base]:
            earliest = max(earliest, self.after(self.program.code[below.x2].x1, False))
            at = below.x1
            if self.program.code[at].op == AD_OP_FULL:
                at = self.program.code[at].x1
            return max(earliest, self.after(at, False))
        group = self.group_of[base]
        if group >= earliest and group >= 0 and self.can_join(group, BLOCKS, space):
            chained[0] = group
            while True:
                below = &self.program.code[at]
                if self.role[at] != STORED or not self.only_rewritten(at, group):
                    chained[0] = -1
                    break
                other_adds = below.op in (AD_OP_ACCUMULATE, AD_OP_SUM)
                if below.op not in (AD_OP_ACCUMULATE, AD_OP_SUM, AD_OP_UPDATE):
                    chained[0] = -1
                    break
                if not (adds and other_adds) and not same_index_only(
                        ints[space], ints + space + 1, ints[instr.param], ints + instr.param + 1,
                        ints[below.param], ints + below.param + 1):
                    chained[0] = -1
                    break
                if below.nargs == 1:
                    break
                at = below.x1
                if self.group_of[at] != group or self.prepared[at]:
                    break
            if chained[0] >= 0 and self.clobbers(store, group):
                chained[0] = -1
        return max(earliest, self.after(base, False))

    cdef bint only_rewritten(self, int32_t base, int32_t group) noexcept:
        """Is a version that this group makes needed for nothing but the next store, so that the group may overwrite it?

        Views of it are no obstacle when blocks alone read them, and what they read was there before the group.
        """
        cdef int32_t view = self.first_view[base], views = 0
        if self.is_output[base]:
            return False
        if self.n_users[base] == 1:
            return True
        if self.n_stores[base] != 1 or self.last_use[base] > group:
            return False
        while view >= 0:
            if self.elsewhere[view] or self.demanded[view] or self.reach[view] != THROUGH or self.before_group(view, group) == base:
                return False
            views += 1
            view = self.next_view[view]
        return self.n_users[base] == views + 1

    cdef bint clobbers(self, int32_t store, int32_t group) noexcept:
        """Would an in-place store in this group overwrite what other blocks of it still read? True when not sure."""
        cdef Instr *instr = &self.program.code[store]
        cdef int32_t base = instr.x1, at, left = READERS_MAX
        cdef Reader *reader
        cdef const int64_t *ints = self.program.ints
        cdef int32_t space = self.space_of(store)
        while self.group_of[base] == group and self.role[base] == STORED:
            if self.program.code[base].nargs == 1:
                return False
            base = self.program.code[base].x1
        if self.role[base] == LEAF or self.role[base] == FILLED or self.prepared[base]:
            return False                        # gets memory of its own anyway
        if group > self.last_use[base]:
            return False
        at = self.first_reader[base]
        while at >= 0:
            reader = (<Reader *>self.readers.data) + at
            at = reader.next
            left -= 1
            if left == 0:
                return True
            if reader.group != group:
                continue
            if reader.whole or reader.strides == NULL:
                return True
            if not same_index_only(ints[space], ints + space + 1, reader.offset, reader.strides,
                                   ints[instr.param], ints + instr.param + 1):
                return True
        return False

    cdef bint replaces(self, int32_t store) noexcept:
        """Does the store write most of its base, in one box? Then memory of its own costs it the border alone."""
        cdef const Instr *instr = &self.program.code[store]
        cdef Box box
        if self.tiling is not None and self.tiling.step[store]:
            return False                        # the box moves on from tile to tile
        return (instr.op == AD_OP_UPDATE and find_box(
            self.program.ints, instr.shape, self.program.code[instr.x2].shape, instr.param, &box) and mostly(&box))

    cdef bint is_prepared(self, int32_t value) noexcept:
        """Is it a fill of most of an array that one store alone starts from?

        Such an update needs no step: when the memory of that store is prepared, the border is copied and the
        box is filled, and the group may read the old array meanwhile. So runs the adjoint of ``a[1:-1] = f(a)``.
        """
        cdef const Instr *instr = &self.program.code[value]
        cdef int32_t user = self.base_user[value]
        return (instr.op == AD_OP_UPDATE and self.n_users[value] == 1 and user >= 0 and not self.prepared[user]
                and not self.is_output[value] and self.program.code[instr.x2].op == AD_OP_FULL
                and role_of(self.program.code[user].op) == STORED
                and self.program.code[user].dtype == instr.dtype and self.program.code[instr.x1].dtype == instr.dtype
                and self.replaces(value))

    cdef void add_base(self, int32_t base, int32_t group) noexcept:
        """A store starts from this value: it must be in memory until then."""
        self.in_memory[base] = 1
        if group > self.last_use[base]:
            self.last_use[base] = group

    cdef int place_opaque(self, int32_t value) except -1:
        self.join(self.open_group(SINGLE, self.program.code[value].shape), value)
        return self.record_reads(value, True)

    # -- sinking ---------------------------------------------------------------

    cdef int sink(self) except -1:
        """Move instructions to the one later group that uses them, where that saves memory traffic.

        Placing puts an instruction into the earliest group that can compute it. When all its users
        are in one later group over the same space, it belongs there: its value stays in a
        register and its operands, if they are in memory, are read there anyway.
        """
        cdef Py_ssize_t i
        cdef Instr *instr
        cdef uint8_t role
        cdef int k, n, shared
        cdef int32_t group, target, x, root
        cdef bint moved = False
        cdef int32_t *wanted = <int32_t *>shelf_take_numbers(&self.shelf, self.program.length)     # NOBODY
        for i in range(self.program.n_results):
            wanted[self.program.results[i]] = SEVERAL
        for i in range(self.program.length - 1, -1, -1):
            group = self.group_of[i]
            instr = &self.program.code[i]
            if self.prepared[i]:
                wanted[instr.x1] = SEVERAL
            if group < 0:
                continue
            role = self.role[i]
            n = n_args(instr)
            if (role == COMPUTED and wanted[i] > group and (<Seed *>self.groups.data)[group].kind == BLOCKS
                    and self.can_join(wanted[i], BLOCKS, instr.shape) and self.in_one_stretch(group, wanted[i])):
                target = wanted[i]
                shared = 0
                for k in range(n):
                    x = self.read_by(<int32_t>i, k)
                    root = self.root[x]
                    if self.root_in(x, group) != root:
                        shared = 2              # what it reads will be written over
                    if (self.reach[x] == DIRECT and wanted[root] != NOBODY and wanted[root] != target
                            and self.in_register(root, group)):
                        shared += 1
                if shared < 2:
                    (<Seed *>self.groups.data)[target].count += 1
                    (<Seed *>self.groups.data)[group].count -= 1
                    self.group_of[i] = target
                    group = target
                    moved = True
            if (<Seed *>self.groups.data)[group].kind != BLOCKS:
                for k in range(n):
                    wanted[arg(instr, self.program.ints, k)] = SEVERAL
                    # a product reads matrices through views that are not in memory themselves
                    wanted[self.root[arg(instr, self.program.ints, k)]] = SEVERAL
                continue
            for k in range(n):
                if role == STORED and n == 2 and k == 0:
                    wanted[instr.x1] = SEVERAL
                    continue
                x = self.read_by(<int32_t>i, k)
                root = self.root_of(x, x == i)
                if self.reach_of(x, x == i) == DIRECT and (wanted[root] == NOBODY or wanted[root] == group):
                    wanted[root] = group
                else:
                    wanted[root] = SEVERAL
        if moved:
            self.list_members()
        return 0

    cdef void list_members(self) noexcept:
        """The members of each group again, from ``group_of``."""
        cdef Py_ssize_t i
        cdef Seed *seed
        for i in range(self.groups.n):
            seed = (<Seed *>self.groups.data) + i
            seed.head = -1
            seed.tail = -1
            seed.count = 0
        for i in range(self.program.length):
            self.next_member[i] = -1
        for i in range(self.program.length):
            if self.group_of[i] >= 0:
                self.join(self.group_of[i], <int32_t>i)

    cdef int record_all(self) except -1:
        """Reads and lifetimes, now that all groups are final."""
        cdef Py_ssize_t i
        self.readers.n = 0
        for i in range(self.program.length):
            self.first_reader[i] = -1
            self.last_use[i] = -1
            self.in_memory[i] = 0
        for i in range(self.program.length):
            if self.group_of[i] >= 0:
                self.record_reads(<int32_t>i, False)
        return 0

    # -- loops -----------------------------------------------------------------

    cdef bint in_one_stretch(self, int32_t group, int32_t other) noexcept:
        """Are both groups in the same loop, or outside with no loop between them?"""
        cdef Py_ssize_t k
        cdef LoopGroups *loop
        for k in range(self.loops.n):
            loop = (<LoopGroups *>self.loops.data) + k
            if (group < loop.first) != (other < loop.first) or (group < loop.end) != (other < loop.end):
                return False
        return True

    cdef int keep_through_loops(self) except -1:
        """What a loop reads from outside, and what it leaves behind, is needed until its last tile."""
        cdef Py_ssize_t k, i
        cdef LoopGroups *loop
        for k in range(self.loops.n):
            loop = (<LoopGroups *>self.loops.data) + k
            for i in range(self.program.length):
                if loop.first <= self.last_use[i] < loop.end and self.group_of[i] < loop.first:
                    self.last_use[i] = loop.end - 1
                if loop.first <= self.group_of[i] < loop.end and (self.tiling.carried[i] or self.tiling.step[i]):
                    self.last_use[i] = max(self.last_use[i], loop.end - 1)
        return 0

    cdef int demand(self) except -1:
        """Which views and fills must exist in memory, and who uses what."""
        cdef Py_ssize_t i
        cdef int k
        cdef int32_t value
        cdef Instr *instr
        cdef uint8_t role, own
        cdef bint matrix
        for i in range(self.program.length):
            self.find_reach(<int32_t>i)
        for i in range(self.program.n_results):
            value = self.program.results[i]
            self.is_output[value] = 1
            self.demanded[value] = 1
            self.n_users[value] += 1
        for i in range(self.program.length - 1, -1, -1):
            instr = &self.program.code[i]
            own = self.role[i]
            self.prepared[i] = self.is_prepared(<int32_t>i)
            if starts_from_base(instr.op):
                value = arg(instr, self.program.ints, 0)
                self.base_user[value] = <int32_t>i
                self.rewritten[value] = 1
                self.n_stores[value] = min(self.n_stores[value] + 1, 2)
            if own == MAPPED:
                self.next_view[i] = self.first_view[instr.x1]
                self.first_view[instr.x1] = <int32_t>i
            for k in range(n_args(instr)):
                value = arg(instr, self.program.ints, k)
                self.n_users[value] += 1
                self.last_user[value] = max(self.last_user[value], <int32_t>i)
                if own != COMPUTED and (own != STORED or k < instr.nargs - 1):
                    self.elsewhere[value] = 1
                role = self.role[value]
                if role != MAPPED and role != FILLED or self.program.ints[self.program.code[value].shape] == 0:
                    continue
                if own == COMPUTED or (own == STORED and k == instr.nargs - 1):
                    continue
                if role == FILLED and (own == MAPPED or k == 0 and starts_from_base(instr.op)):
                    continue                    # a base that is filled in place, or a scalar in disguise
                if instr.op == AD_OP_MATMUL and role == MAPPED:
                    matrix = self.role[self.program.code[value].x1] not in (MAPPED, FILLED)
                    if matrix and blas_ready(
                            self.program.ints + self.program.code[value].shape + 1,
                            self.program.ints[self.program.code[value].shape],
                            self.program.ints + self.program.code[value].param + 1):
                        continue
                self.demanded[value] = 1
            if instr.op == AD_OP_VIEW and self.tiling is None:
                self.keep(<int32_t>i)
        return 0

    cdef void keep(self, int32_t view) noexcept:
        """Copy a small view that is read after a store has begun to write over its array: else the array is copied."""
        cdef const Instr *instr = &self.program.code[view]
        cdef int32_t store = self.base_user[instr.x1]
        cdef const int64_t *ints = self.program.ints
        if (store >= 0 and self.last_user[view] > store and ints[instr.shape] > 0
                and self.role[instr.x1] != LEAF and self.role[instr.x1] != FILLED
                and KEEP * size_at(ints, instr.shape) < size_at(ints, self.program.code[instr.x1].shape)):
            self.kept[view] = self.demanded[view] = 1
            self.root[view] = view
            self.reach[view] = DIRECT

    cdef int place(self, int32_t value) except -1:
        """Give an instruction that somebody uses its group."""
        cdef Instr *instr = &self.program.code[value]
        cdef uint8_t role = self.role[value]
        cdef bint scalar = self.program.ints[instr.shape] == 0
        if role == LEAF or self.n_users[value] == 0 or self.prepared[value]:
            return 0
        if scalar and role in (COMPUTED, MAPPED) or scalar and instr.op == AD_OP_FULL:
            return self.place_scalar(value)
        if role == COMPUTED or role == STORED:
            return self.place_computed(value, instr.nargs - 1 if role == STORED else 0)
        if role == OPAQUE:
            return self.place_opaque(value)
        if self.demanded[value]:
            return self.place_computed(value, 0)
        return 0


cdef Fusion fuse(Program program, Tiling tiling=None):
    """Group the instructions of a program. Keeps: every value that an output depends on."""
    cdef Fusion fusion = Fusion(program)
    cdef Py_ssize_t i, n_loops = 0
    cdef LoopSpan *span = NULL
    fusion.tiling = tiling
    fusion.demand()
    for i in range(program.length):
        if tiling is not None and n_loops < tiling.loops.n:
            span = (<LoopSpan *>tiling.loops.data) + n_loops
            if i == span.first:
                fusion.floor = <int32_t>fusion.groups.n
                (<LoopGroups *>pool_add(&fusion.loops, 1)).first = fusion.floor
        fusion.place(<int32_t>i)
        if span != NULL and i == span.end - 1:
            fusion.floor = <int32_t>fusion.groups.n
            (<LoopGroups *>fusion.loops.data)[n_loops].end = fusion.floor
            n_loops += 1
            span = NULL
    fusion.sink()
    fusion.record_all()
    for i in range(program.n_results):
        fusion.in_memory[program.results[i]] = 1
        fusion.last_use[program.results[i]] = <int32_t>fusion.groups.n
    fusion.keep_through_loops()
    return fusion
