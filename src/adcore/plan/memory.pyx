"""Memory planning: where each value of a fused program lives.

One arena holds the scalar file and every array that is neither bound by the run nor a
result. A place is taken when the group that defines the value starts, and is free again after
the last group that reads it. A store runs in place when nobody reads its base afterwards.

Invariant: two arrays that are alive during the same group never overlap, except
a store and the base it overwrites. This is what licenses the restrict kernels.
"""

from adcore.optable.opcodes cimport AD_OP_CONST, AD_OP_INPUT
from adcore.plan.fuse cimport LEAF, LoopGroups, Seed, starts_from_base
from adcore.plan.plan cimport ALIGN, SLOT_ARENA, SLOT_INPUTS
from adcore.plan.pool cimport Pool, pool_add, pool_free, pool_init
from adcore.tape.program cimport Instr, Program, arg, size_at
from adcore.tape.shelf cimport shelf_free, shelf_init, shelf_take, shelf_take_numbers

cdef enum:
    COLUMNS_BYTES = sizeof(Place) + 12      # of all columns together, for one instruction
    N_BINS = 1024


cdef class Layout:
    """The places of one program's values; lives while its plan is made."""

    def __cinit__(self, Fusion fusion):
        cdef Py_ssize_t n = fusion.program.length + 1
        self.fusion = fusion
        cdef Py_ssize_t i
        shelf_init(&self.shelf, n * COLUMNS_BYTES)
        self.place = <Place *>shelf_take(&self.shelf, n, sizeof(Place))
        self.in_place = <uint8_t *>shelf_take(&self.shelf, n, 1)
        self.taken = <uint8_t *>shelf_take(&self.shelf, n, 1)
        self.scalar_of = <int32_t *>shelf_take_numbers(&self.shelf, n)
        for i in range(n):
            self.place[i].slot = -1

    def __dealloc__(self):
        shelf_free(&self.shelf)

    cdef int32_t new_scalar(self, int32_t value) noexcept:
        self.scalar_of[value] = self.n_scalars
        self.n_scalars += 1
        return self.n_scalars - 1

    cdef int arrange(self, int32_t n_inputs, int32_t n_consts) except -1:
        """Give every array in memory its place; scalars must have been numbered before."""
        cdef Fusion fusion = self.fusion
        cdef Program program = fusion.program
        cdef Bin *bins = <Bin *>shelf_take(&self.shelf, N_BINS, sizeof(Bin))
        cdef int32_t *dying = <int32_t *>shelf_take_numbers(&self.shelf, fusion.groups.n + 2)
        cdef int32_t *next_dying = <int32_t *>shelf_take(&self.shelf, program.length + 1, sizeof(int32_t))
        cdef Pool holes
        cdef Py_ssize_t g, k, loop = 0
        pool_init(&holes, sizeof(Hole))
        for k in range(N_BINS):
            bins[k].size = -1
            bins[k].head = -1
        self.arena_bytes = (self.n_scalars * 8 + ALIGN - 1) // ALIGN * ALIGN
        try:
            self.place_leaves(n_inputs)
            self.find_in_place()
            self.place_results(SLOT_INPUTS + n_inputs + n_consts)
            for g in range(<Py_ssize_t>fusion.groups.n):
                while loop < fusion.loops.n and (<LoopGroups *>fusion.loops.data)[loop].first == g:
                    self.place_what_stays((<LoopGroups *>fusion.loops.data) + loop, bins, &holes)
                    loop += 1
                self.place_group(<int32_t>g, bins, &holes, dying, next_dying)
        finally:
            pool_free(&holes)
        return 0

    cdef void describe(self, int32_t value) noexcept:
        """Fill in what does not depend on where the value goes."""
        cdef Instr *instr = &self.fusion.program.code[value]
        self.place[value].size = size_at(self.fusion.program.ints, instr.shape)
        self.place[value].dtype = instr.dtype

    cdef int place_leaves(self, int32_t n_inputs) except -1:
        cdef Py_ssize_t i
        cdef Instr *instr
        cdef const uint8_t *role = self.fusion.role
        for i in range(self.fusion.program.length):
            instr = &self.fusion.program.code[i]
            if role[i] != LEAF:
                continue
            self.describe(<int32_t>i)
            if instr.op == AD_OP_INPUT:
                self.place[i].slot = SLOT_INPUTS + instr.param
            elif instr.op == AD_OP_CONST:
                self.place[i].slot = SLOT_INPUTS + n_inputs + instr.param
        return 0

    cdef int find_in_place(self) except -1:
        """Mark the stores that write over their base; at most one for each base."""
        cdef Fusion fusion = self.fusion
        cdef Program program = fusion.program
        cdef Instr *instr
        cdef Py_ssize_t i
        cdef int32_t base
        for i in range(program.length):
            instr = &program.code[i]
            if fusion.group_of[i] < 0 or not starts_from_base(instr.op):
                continue
            base = arg(instr, program.ints, 0)
            if (not self.taken[base] and fusion.last_use[base] == fusion.group_of[i]
                    and program.ints[program.code[base].shape] > 0
                    and program.code[base].dtype == instr.dtype
                    and fusion.group_of[base] >= 0 and fusion.may_run_in_place(<int32_t>i)):
                self.in_place[i] = 1
                self.taken[base] = 1
        return 0

    cdef int place_results(self, int32_t first_slot) except -1:
        """Let a result be computed where the caller will find it."""
        cdef Fusion fusion = self.fusion
        cdef Program program = fusion.program
        cdef int32_t value, k
        for k in range(<int32_t>program.n_results):
            value = program.results[k]
            if fusion.group_of[value] < 0 or program.ints[program.code[value].shape] == 0:
                continue
            if self.place[value].slot >= 0:
                continue                        # the same value twice: copied at the end
            self.place[value].slot = first_slot + k
            self.describe(value)
            while self.in_place[value]:
                value = arg(&program.code[value], program.ints, 0)
                self.place[value].slot = first_slot + k
                self.describe(value)
        return 0

    cdef int place_what_stays(self, const LoopGroups *loop, Bin *bins, Pool *holes) except -1:
        """Places of what a loop leaves behind: taken from its first tile on."""
        cdef Fusion fusion = self.fusion
        cdef Program program = fusion.program
        cdef int32_t group, value
        for group in range(loop.first, loop.end):
            value = (<Seed *>fusion.groups.data)[group].head
            while value >= 0:
                if ((fusion.tiling.carried[value] or fusion.tiling.step[value]) and self.place[value].slot < 0
                        and fusion.in_memory[value] and program.ints[program.code[value].shape] > 0):
                    self.describe(value)
                    self.place[value].slot = SLOT_ARENA
                    self.place[value].offset = self.take(bytes_of(&self.place[value]), bins, holes)
                value = fusion.next_member[value]
        return 0

    cdef int place_group(self, int32_t group, Bin *bins, Pool *holes, int32_t *dying,
                         int32_t *next_dying) except -1:
        cdef Fusion fusion = self.fusion
        cdef Program program = fusion.program
        cdef int32_t value = (<Seed *>fusion.groups.data)[group].head
        cdef int32_t end
        cdef Instr *instr
        while value >= 0:
            instr = &program.code[value]
            if fusion.in_memory[value] and program.ints[instr.shape] > 0:
                end = max(fusion.last_use[value], group)
                if self.in_place[value]:
                    self.place[value] = self.place[arg(instr, program.ints, 0)]
                elif self.place[value].slot < 0:
                    self.describe(value)
                    self.place[value].slot = SLOT_ARENA
                    self.place[value].offset = self.take(bytes_of(&self.place[value]), bins, holes)
                if self.place[value].slot == SLOT_ARENA:
                    next_dying[value] = dying[end]
                    dying[end] = value
            value = fusion.next_member[value]
        value = dying[group]
        while value >= 0:
            if not self.taken[value]:           # else a store lives on in it
                self.give_back(self.place[value].offset, bytes_of(&self.place[value]), bins, holes)
            value = next_dying[value]
        return 0

    cdef int64_t take(self, int64_t size, Bin *bins, Pool *holes) except -1:
        cdef Bin *found = find_bin(bins, size)
        cdef int64_t offset
        if found != NULL and found.head >= 0:
            offset = (<Hole *>holes.data)[found.head].offset
            found.head = (<Hole *>holes.data)[found.head].next
            return offset
        offset = self.arena_bytes
        self.arena_bytes += size
        return offset

    cdef int give_back(self, int64_t offset, int64_t size, Bin *bins, Pool *holes) except -1:
        cdef Bin *found = find_bin(bins, size)
        cdef Hole *hole
        if found == NULL:
            return 0
        hole = <Hole *>pool_add(holes, 1)
        hole.offset = offset
        hole.next = found.head
        found.head = <int32_t>(holes.n - 1)
        return 0


cdef int64_t bytes_of(const Place *place) noexcept nogil:
    cdef int64_t size = (place.size * item_size(place.dtype) + ALIGN - 1) // ALIGN * ALIGN
    return size if size > 0 else ALIGN


cdef Bin *find_bin(Bin *bins, int64_t size) noexcept nogil:
    """The bin of this size, opened if need be; NULL when the table is full."""
    cdef int64_t at = (size // ALIGN * 40503) & (N_BINS - 1)
    cdef int k
    for k in range(16):  # no-cython-lint
        if bins[at].size == size:
            return &bins[at]
        if bins[at].size < 0:
            bins[at].size = size
            return &bins[at]
        at = (at + 1) & (N_BINS - 1)
    return NULL
