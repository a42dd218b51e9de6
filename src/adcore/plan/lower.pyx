"""Lowering: from a fused program with its memory laid out to the steps that run it."""

from cython cimport final
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memmove, memset

from adcore.optable.opcodes cimport (
    AD_N_ELEMENTWISE, AD_N_PAIRS, AD_OP_ACCUMULATE, AD_OP_CALL, AD_OP_CONST, AD_OP_CUMSUM, AD_OP_EMPTY, AD_OP_FULL,
    AD_OP_GATHER, AD_OP_IDENTITY, AD_OP_INPUT, AD_OP_LITERAL, AD_OP_MATMUL, AD_OP_PACK,
    AD_OP_PACK_ADD, AD_OP_PUT, AD_OP_REDUCE_MAX, AD_OP_REDUCE_MIN, AD_OP_REDUCE_PROD,
    AD_OP_SCATTER_ADD, AD_OP_SUM, AD_OP_UPDATE, AD_OP_VIEW,
)
from adcore.plan.fuse cimport (
    BLOCKS, COMPUTED, DIRECT, FILLED, Fusion, LEAF, LoopGroups, MAPPED, Operand, SCALARS, STORED, Seed, THROUGH,
    fuse, starts_from_base,
)
from adcore.tape.boxes cimport Box, find_box
from adcore.plan.extents cimport Extent, extent_of, share, sort_extents
from adcore.plan.loops cimport LoopSpan, Tiling
from adcore.plan.memory cimport Layout, item_size
from adcore.plan.phrases cimport join_phrases, shorten_splats
from adcore.plan.plan cimport *
from adcore.plan.slabs cimport SLABS_MAX, cut_window, find_slabs
from adcore.plan.split cimport split_steps
from adcore.plan.pool cimport Pool, pool_add, pool_free, pool_init, pool_more
from adcore.plan.records cimport join_records
from adcore.plan.recompute cimport recompute
from adcore.plan.tiles cimport tile
from adcore.plan.windows cimport windows
from adcore.tape.maps cimport map_injective, maps_disjoint, maps_equal, same_index_only
from adcore.tape.program cimport F32, F64, Instr, Program, arg, is_reshape, n_args, size_at
from adcore.tape.shelf cimport Shelf, shelf_free, shelf_init, shelf_take, shelf_take_numbers

from adcore import optable
from adcore.errors import PlanError
from adcore.passes.optimise import dead_code

cdef enum:
    NOTHING = -1
    FIRST_STORES = 16       # of a sum that are looked at
    REGISTERS_MAX = 65535   # an operation has 16 bits for each of its registers
    MODE_SET = 0
    MODE_ADD = 1
    MODE_MAX = 2
    MODE_MIN = 3
    MODE_MUL = 4
    PAD_BELOW = 64          # blocks shorter than this are rounded up to whole vectors
    VECTOR = 8
    SHORT_ROW = 32          # rows below this are always packed
    PACKING = 20            # elements packed in the time of one more call of a kernel

cdef uint16_t[AD_N_ELEMENTWISE] partner_of      # of an op in a pair, 0: of none
cdef uint16_t[AD_N_ELEMENTWISE] pair_of
memset(partner_of, 0, sizeof(partner_of))
for number, (first, second) in enumerate(optable.PAIRS):
    partner_of[<int>optable.OPCODE[first.upper()]] = optable.OPCODE[second.upper()]
    partner_of[<int>optable.OPCODE[second.upper()]] = optable.OPCODE[first.upper()]
    pair_of[<int>optable.OPCODE[first.upper()]] = AD_N_ELEMENTWISE + number
    pair_of[<int>optable.OPCODE[second.upper()]] = AD_N_ELEMENTWISE + number

DTYPES = ("float64", "float32", "bool", "int64")


cdef struct Ranked:         # a scalar instruction and its place in the schedule
    uint64_t key
    int32_t value
    int32_t root


cdef void sort_ranked(Ranked *items, Ranked *spare, Py_ssize_t n) noexcept nogil:
    """By key, equal keys in the order they are in: digit by digit, those left out that all keys share."""
    cdef Py_ssize_t[256] count
    cdef Py_ssize_t i, at, before
    cdef uint64_t differ = 0
    cdef Ranked *start = items
    cdef int shift, digit
    for i in range(1, n):
        differ |= items[i].key ^ items[0].key
    for shift in range(0, 64, 8):
        if (differ >> shift) & 255 == 0:
            continue
        memset(count, 0, sizeof(count))
        for i in range(n):
            count[(items[i].key >> shift) & 255] += 1
        at = 0
        for digit in range(256):
            before = at
            at += count[digit]
            count[digit] = before
        for i in range(n):
            digit = <int>((items[i].key >> shift) & 255)
            spare[count[digit]] = items[i]
            count[digit] += 1
        items, spare = spare, items
    if items != start:
        memcpy(start, items, n * sizeof(Ranked))


cdef struct Lane:           # a virtual register of a block step
    int32_t last            # last op that reads it
    int32_t physical        # register number, -1: not given yet
    int32_t access          # direct access it stands for, -1


cdef struct Loaded:         # a read that the current group has made already
    int32_t group, root, next, lane
    int64_t offset, step
    const int64_t *strides
    const int64_t *window


@final
cdef class Lowering:
    """Turns one program into a Plan; lives while that is done."""

    cdef Program program
    cdef Tiling tiling          # None: no loops
    cdef Fusion fusion
    cdef Layout layout
    cdef Plan plan
    cdef Shelf shelf            # holds the columns
    cdef int32_t *mark          # group in which lane_of / level of a value is valid
    cdef int32_t *lane_of
    cdef int32_t *first_loaded  # reads of a root made by the current group
    cdef Pool lanes, loaded, elements, ranked, spare, free_regs
    cdef Pool rooms             # int64, for each access of the step: elements that may be read from where it starts
    cdef Pool windows           # of each access of the step: its window in the program, or NULL
    cdef Pool said              # bytes that ``join_phrases`` works in
    cdef Pool whole             # bytes: a step before it is cut into slabs
    cdef Pool cut               # int64: the windows of a slab
    cdef Pool extents           # Extent of each store of the step
    cdef Pool meets             # uint8, for each access of the step: a load and a store that share an element

    def __cinit__(self, Program program, Tiling tiling):
        cdef Py_ssize_t n = program.length + 1
        self.program = program
        self.tiling = tiling
        pool_init(&self.lanes, sizeof(Lane))
        pool_init(&self.loaded, sizeof(Loaded))
        pool_init(&self.elements, sizeof(int64_t))
        pool_init(&self.rooms, sizeof(int64_t))
        pool_init(&self.ranked, sizeof(Ranked))
        pool_init(&self.spare, sizeof(Ranked))
        pool_init(&self.free_regs, sizeof(int32_t))
        pool_init(&self.windows, sizeof(void *))
        pool_init(&self.said, 1)
        pool_init(&self.whole, 1)
        pool_init(&self.cut, sizeof(int64_t))
        pool_init(&self.extents, sizeof(Extent))
        pool_init(&self.meets, 1)
        shelf_init(&self.shelf, n * 3 * sizeof(int32_t) + 3 * ALIGN)
        self.mark = <int32_t *>shelf_take_numbers(&self.shelf, n)
        self.lane_of = <int32_t *>shelf_take(&self.shelf, n, sizeof(int32_t))
        self.first_loaded = <int32_t *>shelf_take_numbers(&self.shelf, n)

    def __dealloc__(self):
        pool_free(&self.lanes)
        pool_free(&self.loaded)
        pool_free(&self.elements)
        pool_free(&self.rooms)
        pool_free(&self.ranked)
        pool_free(&self.spare)
        pool_free(&self.free_regs)
        pool_free(&self.windows)
        pool_free(&self.said)
        pool_free(&self.whole)
        pool_free(&self.cut)
        pool_free(&self.extents)
        pool_free(&self.meets)
        shelf_free(&self.shelf)

    cdef int lower(self) except -1:
        cdef Py_ssize_t g, n_loops = 0
        cdef Program program = self.program
        cdef Seed *seed
        self.fusion = fuse(program, self.tiling)
        self.layout = Layout(self.fusion)
        self.plan = Plan()
        self.plan.n_inputs = program.n_inputs
        self.plan.n_consts = program.n_consts
        self.plan.n_floats = program.n_scalars
        self.plan.n_results = <int32_t>program.n_results
        self.number_leaves()
        for g in range(self.fusion.groups.n):
            seed = (<Seed *>self.fusion.groups.data) + g
            if seed.kind == SCALARS:
                self.rank(<int32_t>g)
            else:
                self.number_stored(seed.head)
        self.layout.arrange(program.n_inputs, program.n_consts)
        for g in range(self.fusion.groups.n):
            while n_loops < self.fusion.loops.n and (<LoopGroups *>self.fusion.loops.data)[n_loops].first == g:
                self.open_loop(n_loops)
                n_loops += 1
            seed = (<Seed *>self.fusion.groups.data) + g
            if seed.kind == BLOCKS:
                self.lower_blocks(<int32_t>g)
            elif seed.kind == SCALARS:
                self.lower_scalars(<int32_t>g)
            else:
                self.lower_single(seed.head)
        self.lower_results()
        split_steps(self.plan)
        self.find_single()
        self.plan.n_scalars = self.layout.n_scalars
        self.plan.arena_bytes = self.layout.arena_bytes + ALIGN
        return 0

    cdef void find_single(self) noexcept:
        """Mark the block steps that are one block."""
        cdef const int64_t *longs = <int64_t *>self.plan.longs.data
        cdef Step *step
        cdef Py_ssize_t i
        cdef int32_t k
        for i in range(self.plan.steps.n):
            step = (<Step *>self.plan.steps.data) + i
            step.single = (step.kind == STEP_BLOCKS and step.parts == 1 and step.blocked == 0
                           and step.chunk >= longs[step.dims])
            for k in range(step.ndim):
                step.single = step.single and longs[step.dims + k] > 0
            for k in range(step.first_load, step.first_load + step.n_loads if step.single else 0):
                step.single = step.single and (<Access *>self.plan.accesses.data)[k].window < 0

    # -- loops ---------------------------------------------------------------

    cdef int open_loop(self, Py_ssize_t number) except -1:
        """A loop over the steps of its groups: each group becomes one step."""
        cdef LoopGroups *groups = (<LoopGroups *>self.fusion.loops.data) + number
        cdef Loop *loop
        if groups.first == groups.end:
            return 0
        loop = <Loop *>pool_add(&self.plan.loops, 1)
        loop.first = <int32_t>self.plan.steps.n
        loop.end = loop.first + groups.end - groups.first
        loop.count = (<LoopSpan *>self.tiling.loops.data)[number].count
        loop.first_fill = <int32_t>self.plan.loop_fills.n
        loop.first_moving = <int32_t>self.plan.moving.n
        return 0

    cdef int32_t moving_slot(self, int32_t slot, int64_t step) except -1:
        """The slot that follows another one from tile to tile of the loop that is being lowered."""
        cdef Loop *loop = (<Loop *>self.plan.loops.data) + self.plan.loops.n - 1
        cdef Moving *moving
        cdef Py_ssize_t k
        if step == 0:
            return slot
        for k in range(loop.first_moving, self.plan.moving.n):
            moving = (<Moving *>self.plan.moving.data) + k
            if moving.source == slot and moving.step == step:
                return moving.slot
        k = self.plan.n_slots()
        moving = <Moving *>pool_add(&self.plan.moving, 1)
        moving.slot = <int32_t>k
        moving.source = slot
        moving.step = step
        loop.n_moving += 1
        return moving.slot

    cdef Fill *new_fill(self, int32_t value) except NULL:
        """Room for what a store starts from: done by the step, or once before a loop."""
        if self.tiling is not None and self.tiling.carried[value]:
            (<Loop *>self.plan.loops.data)[self.plan.loops.n - 1].n_fills += 1
            return <Fill *>pool_add(&self.plan.loop_fills, 1)
        return <Fill *>pool_add(&self.plan.fills, 1)

    # -- scalars -------------------------------------------------------------

    cdef int number_leaves(self) except -1:
        """Scalars that are there before the first step: literals, then what the run binds."""
        cdef Py_ssize_t i
        cdef Instr *instr
        cdef Bound *bound
        for i in range(self.program.length):
            instr = &self.program.code[i]
            if instr.op == AD_OP_LITERAL:
                self.layout.new_scalar(<int32_t>i)
                (<double *>pool_add(&self.plan.literals, 1))[0] = self.program.reals[instr.param]
        for i in range(self.program.length):
            instr = &self.program.code[i]
            if self.fusion.role[i] != LEAF or instr.op == AD_OP_LITERAL or self.program.ints[instr.shape] > 0:
                continue
            bound = <Bound *>pool_add(&self.plan.bound, 1)
            bound.scalar = self.layout.new_scalar(<int32_t>i)
            bound.kind = 0 if instr.op == AD_OP_INPUT else (1 if instr.op == AD_OP_CONST else 2)
            bound.index = instr.param
        return 0

    cdef int number_stored(self, int32_t value) except -1:
        """Scalars that a block step leaves behind: sums and the like."""
        while value >= 0:
            if self.program.ints[self.program.code[value].shape] == 0:
                self.layout.new_scalar(value)
            value = self.fusion.next_member[value]
        return 0

    cdef Instr scalar_form(self, int32_t value) noexcept:
        """A scalar instruction as an op on scalars, or as a view with an array for a base."""
        cdef Instr instr = self.program.code[value]
        cdef Instr base
        if instr.op == AD_OP_FULL:
            instr.op = AD_OP_IDENTITY
        elif instr.op == AD_OP_VIEW:
            base = self.program.code[instr.x1]
            if base.op == AD_OP_FULL:
                instr.op = AD_OP_IDENTITY
                instr.x1 = base.x1
            elif self.program.ints[base.shape] == 0:
                instr.op = AD_OP_IDENTITY
        return instr

    cdef int rank(self, int32_t group) except -1:
        """Order a group's scalars by level and opcode, and number them in that order."""
        cdef int32_t value = (<Seed *>self.fusion.groups.data)[group].head
        cdef int32_t level, root, first = <int32_t>self.ranked.n, n = (<Seed *>self.fusion.groups.data)[group].count
        cdef Instr instr
        cdef Ranked *ranked
        cdef int k
        ranked = <Ranked *>pool_add(&self.ranked, n) - 1
        while value >= 0:
            instr = self.scalar_form(value)
            level = 0
            ranked += 1
            ranked.root = -1
            if instr.op == AD_OP_VIEW:
                ranked.root = instr.x1
            else:
                for k in range(n_args(&instr)):
                    root = arg(&instr, self.program.ints, k)
                    if self.mark[root] == group:
                        level = max(level, self.lane_of[root] + 1)
            self.mark[value] = group
            self.lane_of[value] = level
            ranked.key = (<uint64_t>level << 34) | (<uint64_t>instr.op << 24) | (
                <uint64_t>instr.dtype << 20) | (<uint64_t>(ranked.root + 1) & 0xFFFFF)
            ranked.value = value
            value = self.fusion.next_member[value]
        self.spare.n = 0
        sort_ranked(<Ranked *>self.ranked.data + first, <Ranked *>pool_add(&self.spare, n), n)
        for k in range(first, <int>self.ranked.n):
            self.layout.new_scalar((<Ranked *>self.ranked.data)[k].value)
        # the group finds its slice again through its head
        self.first_loaded[(<Seed *>self.fusion.groups.data)[group].head] = first
        return 0

    cdef int lower_scalars(self, int32_t group) except -1:
        cdef Seed *seed = (<Seed *>self.fusion.groups.data) + group
        cdef int32_t first = self.first_loaded[seed.head]
        cdef int32_t end = first + seed.count, at = first, n, k, j
        cdef Ranked *ranked
        cdef Instr instr
        cdef Step *step = self.new_step(STEP_RUNS, group, seed.head)
        cdef Run *run
        cdef int32_t *wires
        cdef int64_t *index
        cdef int args
        self.first_loaded[seed.head] = -1
        step.first_run = <int32_t>self.plan.runs.n
        while at < end:
            ranked = (<Ranked *>self.ranked.data) + at
            n = 1
            while (at + n < end and ranked[n].key == ranked.key and ranked[n].root == ranked.root):
                n += 1
            instr = self.scalar_form(ranked.value)
            run = <Run *>pool_add(&self.plan.runs, 1)
            run.op = instr.op
            run.n = n
            run.y = self.layout.scalar_of[ranked.value]
            run.round_f32 = instr.dtype == F32
            if instr.op == AD_OP_VIEW:
                run.load = 1
                run.slot = self.layout.place[instr.x1].slot
                run.offset = self.layout.place[instr.x1].offset
                run.dtype = self.layout.place[instr.x1].dtype
                run.index = self.plan.longs.n
                index = <int64_t *>pool_add(&self.plan.longs, n)
                for k in range(n):
                    index[k] = self.program.ints[self.program.code[ranked[k].value].param]
            else:
                args = n_args(&instr)
                run.index = self.plan.wires.n
                wires = <int32_t *>pool_add(&self.plan.wires, n * 3)
                for k in range(n):
                    instr = self.scalar_form(ranked[k].value)
                    for j in range(args):
                        wires[j * n + k] = self.scalar_index(arg(&instr, self.program.ints, j))
            at += n
        step.n_runs = <int32_t>self.plan.runs.n - step.first_run
        return 0

    cdef int32_t scalar_index(self, int32_t value) noexcept:
        if self.layout.scalar_of[value] < 0 and self.program.code[value].op == AD_OP_FULL:
            return self.layout.scalar_of[self.program.code[value].x1]
        return self.layout.scalar_of[value]

    # -- steps ---------------------------------------------------------------

    cdef Step *new_step(self, StepKind kind, int32_t group, int32_t source) except NULL:
        cdef Step *step = <Step *>pool_add(&self.plan.steps, 1)
        step.kind = kind
        step.group = group
        step.source = source if self.tiling is None or source < 0 else self.tiling.origin[source]
        step.first_fill = <int32_t>self.plan.fills.n
        return step

    cdef Place place_of(self, int32_t value) noexcept:
        cdef Place place = self.layout.place[value]
        if self.layout.scalar_of[value] >= 0:
            place.slot = SLOT_ARENA
            place.dtype = F64
            place.offset = 8 * self.layout.scalar_of[value]
            place.size = 1
        return place

    cdef int prepare_base(self, int32_t value) except -1:
        """What the result of a store holds before the step writes into it."""
        cdef Instr *instr = &self.program.code[value]
        cdef Instr *base
        cdef Fill *fill
        cdef int32_t at
        cdef Box box
        if starts_from_base(instr.op):
            if self.layout.in_place[value]:
                return 0
            at = arg(instr, self.program.ints, 0)
            base = &self.program.code[at]
            if self.fusion.prepared[at]:
                find_box(self.program.ints, base.shape, self.program.code[base.x2].shape, base.param, &box)
                self.add_fills(self.place_of(value), base.x1, &box)
                self.fill_box(self.place_of(value), base.x2, &box)
            else:
                self.add_fills(self.place_of(value), at, &box if self.fusion.replaces(value) and find_box(
                    self.program.ints, instr.shape, self.program.code[instr.x2].shape, instr.param, &box) else NULL)
            return 0
        if instr.op == AD_OP_SUM and self.tiling is None:
            return self.fill_sum(value)
        fill = self.new_fill(value)
        fill.to = self.place_of(value)
        fill.kind = FILL_VALUE
        if instr.op == AD_OP_REDUCE_MAX:
            fill.value = -INFINITY
        elif instr.op == AD_OP_REDUCE_MIN:
            fill.value = INFINITY
        elif instr.op == AD_OP_REDUCE_PROD:
            fill.value = 1.0
        return 0

    cdef int describe_fill(self, Fill *fill, int32_t source) except -1:
        """Where the elements of a fill come from: a value in memory, or a scalar that fills the array; NOTHING: zeros."""
        cdef Instr *instr = &self.program.code[source]
        if source == NOTHING:
            fill.kind = FILL_VALUE
        elif instr.op != AD_OP_FULL:
            fill.kind = FILL_COPY
            fill.source = self.place_of(source)
        elif self.program.code[instr.x1].op == AD_OP_LITERAL:
            fill.kind = FILL_VALUE
            fill.value = self.program.reals[self.program.code[instr.x1].param]
        else:
            fill.kind = FILL_SCALAR
            fill.scalar = self.scalar_index(instr.x1)
        return 0

    cdef int add_fills(self, Place to, int32_t source, const Box *but) except -1:
        """Fill a place from another value, all of it or, given a box, what lies outside of it."""
        cdef Fill *fill
        cdef Box slab
        cdef int64_t k
        if source != NOTHING and self.program.code[source].op == AD_OP_EMPTY:
            return 0
        if but == NULL:
            fill = <Fill *>pool_add(&self.plan.fills, 1)
            fill.to = to
            return self.describe_fill(fill, source)
        # for each axis what lies before and behind the box: inside of it along the axes before, the whole of those after
        slab = but[0]
        for k in range(but.ndim - 1, -1, -1):
            slab.start[k] = 0
            slab.extent[k] = but.start[k]
            self.fill_box(to, source, &slab)
            slab.start[k] = but.start[k] + but.extent[k]
            slab.extent[k] = but.dims[k] - slab.start[k]
            self.fill_box(to, source, &slab)
            slab.start[k] = 0
            slab.extent[k] = but.dims[k]
        return 0

    cdef int fill_box(self, Place to, int32_t source, const Box *box) except -1:
        """Fill a box of a place from the same box of another value."""
        cdef int64_t size = item_size(to.dtype), k = box.ndim - 1, inner = k, step = size
        cdef int64_t *out
        cdef Fill *fill
        for k in range(box.ndim):
            if box.extent[k] == 0:
                return 0
        fill = <Fill *>pool_add(&self.plan.fills, 1)
        fill.to = to
        self.describe_fill(fill, source)
        # whole axes at the end, and the one before them, are contiguous
        fill.to.size = 1
        k = box.ndim - 1
        while k >= 0 and box.extent[k] == box.dims[k]:
            fill.to.size *= box.dims[k]
            k -= 1
        inner = k
        if k >= 0:
            fill.to.size *= box.extent[k]
        fill.ndim = <uint8_t>max(inner, 0)
        fill.dims = <int32_t>self.plan.longs.n
        out = <int64_t *>pool_add(&self.plan.longs, 2 * fill.ndim)
        for k in range(box.ndim - 1, -1, -1):
            if k < inner:
                out[k] = box.extent[k]
                out[inner + k] = step
            fill.to.offset += box.start[k] * step
            fill.source.offset += box.start[k] * step
            step *= box.dims[k]
        return 0

    cdef int lower_results(self) except -1:
        cdef Py_ssize_t k
        cdef int32_t value
        cdef Place *place
        for k in range(self.program.n_results):
            value = self.program.results[k]
            place = <Place *>pool_add(&self.plan.result_places, 1)
            place[0] = self.place_of(value)
            if self.program.code[value].op == AD_OP_FULL and self.layout.scalar_of[value] < 0 and place.slot < 0:
                raise PlanError("a filled result has no memory")
            if place.slot == SLOT_INPUTS + self.program.n_inputs + self.program.n_consts + k:
                place.slot = -1
        inputs = [None] * self.program.n_inputs
        consts = [None] * self.program.n_consts
        for k in range(self.program.length):
            if self.program.code[k].op == AD_OP_INPUT:
                inputs[self.program.code[k].param] = (
                    self.program.shape_tuple(<int32_t>k), DTYPES[self.program.code[k].dtype])
            elif self.program.code[k].op == AD_OP_CONST:
                consts[self.program.code[k].param] = (
                    self.program.shape_tuple(<int32_t>k), DTYPES[self.program.code[k].dtype])
        self.plan.input_specs = inputs
        self.plan.const_specs = consts
        return 0

    # -- single instructions ---------------------------------------------------

    cdef int lower_single(self, int32_t value) except -1:
        cdef Instr *instr = &self.program.code[value]
        cdef int32_t group = self.fusion.group_of[value]
        cdef Step *step
        cdef int64_t *numbers
        cdef int32_t *wires
        cdef int k, n
        if instr.op == AD_OP_MATMUL:
            return self.lower_matmul(value)
        if instr.op == AD_OP_GATHER:
            step = self.new_step(STEP_GATHER, group, value)
            step.x1 = self.place_of(instr.x1)
            step.x2 = self.place_of(instr.x2)
        elif instr.op in (AD_OP_SCATTER_ADD, AD_OP_PUT):
            step = self.new_step(STEP_SCATTER_ADD if instr.op == AD_OP_SCATTER_ADD else STEP_PUT,
                                 group, value)
            step.x1 = self.place_of(instr.x2)
            step.x2 = self.place_of(instr.x3)
        elif instr.op == AD_OP_CUMSUM:
            step = self.new_step(STEP_CUMSUM, group, value)
            step.x1 = self.place_of(instr.x1)
            step.numbers = self.plan.longs.n
            numbers = <int64_t *>pool_add(&self.plan.longs, 4)
            for k in range(4):
                numbers[k] = self.program.ints[instr.param + k]
        elif instr.op in (AD_OP_PACK, AD_OP_PACK_ADD):
            step = self.new_step(STEP_PACK if instr.op == AD_OP_PACK else STEP_PACK_ADD, group, value)
            n = n_args(instr) - 1
            step.count = n
            step.numbers = self.plan.longs.n
            numbers = <int64_t *>pool_add(&self.plan.longs, n)
            step.first_run = <int32_t>self.plan.wires.n
            wires = <int32_t *>pool_add(&self.plan.wires, n)
            for k in range(n):
                numbers[k] = self.program.ints[instr.param + k]
                wires[k] = self.scalar_index(arg(instr, self.program.ints, k + 1))
        elif instr.op == AD_OP_CALL:
            rule = self.program.rules[instr.param]
            native = getattr(rule, "native", None)
            step = self.new_step(STEP_CALL if native is None else STEP_NATIVE, group, value)
            step.count = <int32_t>len(self.plan.calls)
            self.plan.calls.append(rule)
            if native is not None:
                step.first_run = <int32_t>self.plan.natives.n
                fill_native(<Native *>pool_add(&self.plan.natives, 1), native)
            step.numbers = self.plan.longs.n
            n = n_args(instr)
            numbers = <int64_t *>pool_add(&self.plan.longs, 1)
            numbers[0] = n
            self.add_operand(value)
            for k in range(n):
                self.add_operand(arg(instr, self.program.ints, k))
        else:
            raise PlanError(f"{optable.NAMES[instr.op]} has no step")
        step.y = self.place_of(value)
        if starts_from_base(instr.op):
            self.prepare_base(value)
        step.n_fills = <int32_t>self.plan.fills.n - step.first_fill
        return 0

    cdef int add_operand(self, int32_t value) except -1:
        """An operand of a call as integers: slot, offset, dtype, dimensions, lengths."""
        cdef Place place = self.place_of(value)
        cdef int32_t shape = self.program.code[value].shape
        cdef int64_t ndim = self.program.ints[shape], k
        cdef int64_t *numbers = <int64_t *>pool_add(&self.plan.longs, 4 + ndim)
        numbers[0] = place.slot
        numbers[1] = place.offset
        numbers[2] = place.dtype
        numbers[3] = ndim
        for k in range(ndim):
            numbers[4 + k] = self.program.ints[shape + 1 + k]
        return 0

    cdef int matrix_operand(self, int32_t value, Place *place, int64_t *strides, int64_t ndim) except -1:
        """Place and element strides of one factor of a product."""
        cdef Instr *instr = &self.program.code[value]
        cdef int64_t k, step = 1
        if instr.op == AD_OP_VIEW and not self.fusion.demanded[value]:
            place[0] = self.place_of(instr.x1)
            place.offset += self.program.ints[instr.param] * item_size(place.dtype)
            if self.tiling is not None:
                place.slot = self.moving_slot(place.slot, self.tiling.step[value] * item_size(place.dtype))
            for k in range(ndim):
                strides[k] = self.program.ints[instr.param + 1 + k]
        else:
            place[0] = self.place_of(value)
            for k in range(ndim - 1, -1, -1):
                strides[k] = step
                step *= self.program.ints[instr.shape + 1 + k]
        return 0

    cdef int lower_matmul(self, int32_t value) except -1:
        """numbers: batch ndim, m, k, n, then batch dims, then strides of x1 and of x2."""
        cdef Instr *instr = &self.program.code[value]
        cdef const int64_t *dims = self.program.ints + instr.shape + 1
        cdef int64_t ndim = self.program.ints[instr.shape]
        cdef const int64_t *left = self.program.ints + self.program.code[instr.x1].shape + 1
        cdef int64_t *numbers
        cdef int64_t j
        cdef Step *step = self.new_step(STEP_MATMUL, self.fusion.group_of[value], value)
        step.y = self.place_of(value)
        step.numbers = self.plan.longs.n
        numbers = <int64_t *>pool_add(&self.plan.longs, 4 + (ndim - 2) + 2 * ndim)
        numbers[0] = ndim - 2
        numbers[1] = dims[ndim - 2]
        numbers[2] = left[ndim - 1]
        numbers[3] = dims[ndim - 1]
        for j in range(ndim - 2):
            numbers[4 + j] = dims[j]
        self.matrix_operand(instr.x1, &step.x1, numbers + 4 + ndim - 2, ndim)
        self.matrix_operand(instr.x2, &step.x2, numbers + 4 + ndim - 2 + ndim, ndim)
        if self.tiling is not None and self.tiling.carried[value]:
            step.adds = 1
            self.prepare_base(value)
        if step.x1.dtype != step.y.dtype or step.x2.dtype != step.y.dtype:
            raise PlanError("matmul of mixed dtypes")
        return 0

    # -- block steps -----------------------------------------------------------

    cdef int32_t new_lane(self) except -1:
        cdef Lane *lane = <Lane *>pool_more(&self.lanes)
        lane.last = -1
        lane.physical = -1
        lane.access = -1
        if self.lanes.n > REGISTERS_MAX:
            raise PlanError(f"a group needs more than {REGISTERS_MAX} registers")
        return <int32_t>(self.lanes.n - 1)

    cdef int add_elements(self, int32_t space, const int64_t *strides, bint direct, bint scalar) except -1:
        """Remember the element strides of an access over the group's full space."""
        cdef int64_t ndim = self.program.ints[space], k, step = 1
        cdef int64_t *row = <int64_t *>pool_add(&self.elements, ndim)
        for k in range(ndim - 1, -1, -1):
            if direct:
                row[k] = step
                step *= self.program.ints[space + 1 + k]
            elif not scalar:
                row[k] = strides[k]
        return 0

    cdef int32_t current_load(self, int32_t at, int32_t root, int32_t group) noexcept:
        """The head of the loads of a root, unless it is left over from an earlier group."""
        cdef Loaded *loaded = (<Loaded *>self.loaded.data) + at
        if at < 0 or at >= self.loaded.n or loaded.group != group or loaded.root != root:
            return -1
        return at

    cdef int32_t lane_for(self, int32_t value, int32_t group, int32_t space, bint own=False) except -1:
        """The register that holds what is read, loading it when the group has not yet."""
        cdef int32_t lane, root = self.fusion.root_of(value, own)
        cdef bint viewed
        if self.fusion.reach_of(value, own) == DIRECT and self.mark[root] == group and self.fusion.in_register(root, group):
            return self.lane_of[root]
        viewed = not own and self.fusion.reach[value] == THROUGH and self.fusion.group_of[value] < 0
        if viewed and self.mark[value] == group:        # the same view again
            return self.lane_of[value]
        lane = self.loaded_lane(value, group, space, own)
        if viewed:
            self.mark[value] = group
            self.lane_of[value] = lane
        return lane

    cdef int32_t loaded_lane(self, int32_t value, int32_t group, int32_t space, bint own) except -1:
        """The register that something outside the group's registers is loaded into, now or before."""
        cdef int32_t at, head, lane, root = self.fusion.root_in(value, group, own)
        cdef Operand operand = self.fusion.operand(value, own)
        cdef Loaded *loaded
        cdef Access *access
        cdef Splat *splat
        cdef const Place *place
        cdef int64_t k
        cdef bint same
        at = self.first_loaded[root]
        head = self.current_load(at, root, group)
        at = head
        while at >= 0:
            loaded = (<Loaded *>self.loaded.data) + at
            if operand.scalar:
                return loaded.lane
            same = (loaded.offset == operand.offset and loaded.step == operand.step and loaded.window == operand.window
                    and (loaded.strides == NULL) == (operand.strides == NULL))
            if same and operand.strides != NULL:
                for k in range(self.program.ints[space]):
                    if loaded.strides[k] != operand.strides[k]:
                        same = False
                        break
            if same:
                return loaded.lane
            at = loaded.next
        lane = self.new_lane()
        loaded = <Loaded *>pool_more(&self.loaded)
        loaded.group = group
        loaded.root = root
        loaded.lane = lane
        loaded.offset = operand.offset
        loaded.step = operand.step
        loaded.strides = operand.strides
        loaded.window = operand.window
        loaded.next = head
        self.first_loaded[root] = <int32_t>(self.loaded.n - 1)
        if operand.scalar:
            splat = <Splat *>pool_add(&self.plan.splats, 1)
            splat.reg = lane
            splat.scalar = self.scalar_index(root)
            return lane
        place = &self.layout.place[root]
        access = <Access *>pool_add(&self.plan.accesses, 1)
        access.slot = place.slot
        if operand.step:
            access.slot = self.moving_slot(place.slot, operand.step * item_size(place.dtype))
        access.dtype = place.dtype
        access.reg = lane
        access.offset = place.offset + operand.offset * item_size(place.dtype)
        self.add_elements(space, operand.strides, operand.direct, False)
        (<int64_t *>pool_more(&self.rooms))[0] = 0 if operand.step else place.size - operand.offset
        (<const int64_t **>pool_more(&self.windows))[0] = operand.window
        return lane

    cdef int lower_blocks(self, int32_t group) except -1:
        cdef Seed *seed = (<Seed *>self.fusion.groups.data) + group
        cdef int32_t space = seed.space, value = seed.head
        cdef Step *step = self.new_step(STEP_BLOCKS, group, value)
        cdef Py_ssize_t where = self.plan.steps.n - 1
        cdef Instr *instr
        cdef VmOp *op
        cdef uint8_t role
        cdef int32_t[3] lanes
        cdef int k, n
        self.lanes.n = 0
        self.elements.n = 0
        self.rooms.n = 0
        self.loaded.n = 0
        self.windows.n = 0
        step.first_splat = <int32_t>self.plan.splats.n
        step.first_load = <int32_t>self.plan.accesses.n
        step.first_op = <int32_t>self.plan.ops.n
        op = <VmOp *>pool_add(&self.plan.ops, seed.count)
        # 1. operations in program order, with the loads they need
        while value >= 0:
            instr = &self.program.code[value]
            role = self.fusion.role[value]
            if role == COMPUTED:
                n = n_args(instr)
                for k in range(n):
                    lanes[k] = self.lane_for(arg(instr, self.program.ints, k), group, space)
                op.op = instr.op
                op.round_f32 = instr.dtype == F32
                op.x1 = lanes[0]
                op.x2 = lanes[1] if n > 1 else lanes[0]
                op.x3 = lanes[2] if n > 2 else lanes[0]
                op.x4 = lanes[0]
                op.y = self.new_lane()
                self.lane_of[value] = op.y
                op += 1
            elif role == MAPPED or role == FILLED:
                if instr.op != AD_OP_EMPTY:
                    self.lane_of[value] = self.lane_for(value, group, space, True)
                else:
                    self.lane_of[value] = -1
            else:
                self.lane_of[value] = self.lane_for(instr.x1 if instr.nargs == 1 else instr.x2, group, space)
            self.mark[value] = group
            value = self.fusion.next_member[value]
        step = (<Step *>self.plan.steps.data) + where
        step.n_splats = <int32_t>self.plan.splats.n - step.first_splat
        step.n_loads = <int32_t>self.plan.accesses.n - step.first_load
        step.n_ops = <int32_t>(op - (<VmOp *>self.plan.ops.data)) - step.first_op
        self.plan.ops.n = step.first_op + step.n_ops
        self.pair_ops(step)
        step.first_store = <int32_t>self.plan.accesses.n
        # 2. writes, after all reads of the block
        value = seed.head
        while value >= 0:
            if self.fusion.in_memory[value] and self.lane_of[value] >= 0:
                self.lower_store(value, space, group)
            value = self.fusion.next_member[value]
        step.n_stores = <int32_t>self.plan.accesses.n - step.first_store
        step.n_fills = <int32_t>self.plan.fills.n - step.first_fill
        step.n_values = step.n_ops
        step.n_ops = join_phrases((<VmOp *>self.plan.ops.data) + step.first_op, step.n_ops,
                                  (<Access *>self.plan.accesses.data) + step.first_store, step.n_stores,
                                  <int32_t>self.lanes.n, &self.said)
        self.plan.ops.n = step.first_op + step.n_ops
        step.n_short = shorten_splats((<VmOp *>self.plan.ops.data) + step.first_op, step.n_ops,
                                      (<Splat *>self.plan.splats.data) + step.first_splat, step.n_splats,
                                      (<Access *>self.plan.accesses.data) + step.first_store, step.n_stores,
                                      <int32_t>self.lanes.n, &self.said)
        self.shape_blocks(where, self.program.ints[space], self.program.ints + space + 1)
        if not self.lower_slabs(where, space):
            self.finish_blocks(where)
        return 0

    cdef bint lower_slabs(self, Py_ssize_t where, int32_t space) except -1:
        """Make a step for each slab of a step that is better cut (``plan/slabs``); False: it is not."""
        cdef int64_t ndim = self.program.ints[space], k
        cdef int64_t[SLABS_MAX + 1] cuts
        cdef int64_t[64] dims
        cdef Step whole = (<Step *>self.plan.steps.data)[where]
        cdef int32_t n_access = whole.n_loads + whole.n_stores, n_slabs, slab, j
        cdef Step *step
        cdef char *kept
        cdef Access *access
        cdef int64_t *elements
        cdef int64_t *rooms
        cdef const int64_t **around
        cdef Lane *lanes
        cdef VmOp *ops
        cdef Splat *splats
        n_slabs = find_slabs(ndim, self.program.ints + space + 1, <const int64_t **>self.windows.data, whole.n_loads, cuts)
        if n_slabs == 1 or self.tiling is not None or not self.keeps_apart(&whole):
            return False
        self.whole.n = 0
        kept = <char *>pool_add(&self.whole, n_access * (sizeof(Access) + ndim * 8) + whole.n_loads * 16 + self.lanes.n * sizeof(Lane)
                                + whole.n_ops * sizeof(VmOp) + whole.n_splats * sizeof(Splat))
        access = <Access *>keep(&kept, (<Access *>self.plan.accesses.data) + whole.first_load, n_access * sizeof(Access))
        elements = <int64_t *>keep(&kept, self.elements.data, n_access * ndim * 8)
        rooms = <int64_t *>keep(&kept, self.rooms.data, whole.n_loads * 8)
        around = <const int64_t **>keep(&kept, self.windows.data, whole.n_loads * 8)
        splats = <Splat *>keep(&kept, (<Splat *>self.plan.splats.data) + whole.first_splat, whole.n_splats * sizeof(Splat))
        lanes = <Lane *>keep(&kept, self.lanes.data, self.lanes.n * sizeof(Lane))
        ops = <VmOp *>keep(&kept, (<VmOp *>self.plan.ops.data) + whole.first_op, whole.n_ops * sizeof(VmOp))
        for k in range(ndim):
            dims[k] = self.program.ints[space + 1 + k]
        for slab in range(n_slabs):
            if slab:
                where = self.plan.steps.n
                step = <Step *>pool_add(&self.plan.steps, 1)
                step[0] = whole
                step.first_fill = <int32_t>self.plan.fills.n
                step.n_fills = 0
                step.first_load = <int32_t>self.plan.accesses.n
                step.first_store = step.first_load + step.n_loads
                step.first_splat = <int32_t>self.plan.splats.n
                step.first_op = <int32_t>self.plan.ops.n
                memcpy(pool_add(&self.plan.accesses, n_access), access, n_access * sizeof(Access))
                memcpy(pool_add(&self.plan.splats, step.n_splats), splats, step.n_splats * sizeof(Splat))
                memcpy(pool_add(&self.plan.ops, step.n_ops), ops, step.n_ops * sizeof(VmOp))
                memcpy(self.lanes.data, lanes, self.lanes.n * sizeof(Lane))
                memcpy(self.elements.data, elements, n_access * ndim * 8)
                memcpy(self.rooms.data, rooms, whole.n_loads * 8)
                memcpy(self.windows.data, around, whole.n_loads * 8)
            dims[ndim - 1] = cuts[slab + 1] - cuts[slab]
            self.cut.n = 0
            pool_add(&self.cut, 4 * ndim * whole.n_loads)
            for j in range(n_access):
                self.cut_access((<Step *>self.plan.steps.data) + where, j, ndim, self.program.ints + space + 1, cuts[slab], cuts[slab + 1])
            self.shape_blocks(where, ndim, dims)
            self.finish_blocks(where)
        return True

    cdef int finish_blocks(self, Py_ssize_t where) except -1:
        """Once the blocks of a step have their shape: join what is moved together, give registers."""
        join_records(self.plan, (<Step *>self.plan.steps.data) + where, &self.extents, &self.said)
        return self.give_registers(where)

    cdef void cut_access(self, const Step *step, int32_t j, int64_t ndim, const int64_t *dims, int64_t start, int64_t end) noexcept:
        """Let an access of a step reach the columns [start, end) only."""
        cdef Access *access = (<Access *>self.plan.accesses.data) + step.first_load + j
        cdef int64_t *stride = (<int64_t *>self.elements.data) + j * ndim + ndim - 1
        cdef int64_t moved = start * stride[0], k
        cdef const int64_t **window = (<const int64_t **>self.windows.data) + j
        cdef int64_t *out
        if j < step.n_loads:
            if window[0] != NULL:
                out = (<int64_t *>self.cut.data) + 4 * ndim * j
                moved = stride[0]
                moved *= cut_window(ndim, dims, window[0], start, end, stride, out)
                window[0] = NULL
                for k in range(ndim):
                    if not everywhere(out, ndim, k, dims) and (k < ndim - 1 or out[k] != 0 or out[ndim + k] != end - start):
                        window[0] = out
            (<int64_t *>self.rooms.data)[j] -= moved
        access.offset += moved * item_size(access.dtype)

    cdef bint keeps_apart(self, const Step *step) except -1:
        """May the indices of the step come in any order? Then what it reads and also writes, it reads and writes at the same index."""
        cdef const int64_t *longs = <int64_t *>self.plan.longs.data
        cdef const Access *loads = (<Access *>self.plan.accesses.data) + step.first_load
        cdef const Access *stores = loads + step.n_loads
        cdef const uint8_t *meets = self.find_meetings(step)
        cdef Extent one, other
        cdef int32_t i, j
        for i in range(step.n_loads):
            if not meets[i]:
                continue
            extent_of(longs, step, &loads[i], &one)
            for j in range(step.n_stores):
                extent_of(longs, step, &stores[j], &other)
                if one.slot == other.slot and one.low < other.high and other.low < one.high and (
                        loads[i].window >= 0 or loads[i].dtype != stores[j].dtype or not same_index_only(
                            step.ndim, longs + step.dims, loads[i].offset, longs + loads[i].strides,
                            stores[j].offset, longs + stores[j].strides)):
                    return False
        return True

    cdef int pair_ops(self, Step *step) except -1:
        """Let one kernel compute two functions of one register that share their work (``optable.PAIRS``)."""
        cdef VmOp *ops = (<VmOp *>self.plan.ops.data) + step.first_op
        cdef int32_t i, k, out
        cdef uint16_t partner
        for i in range(step.n_ops):
            partner = partner_of[ops[i].op] if ops[i].op < AD_N_ELEMENTWISE else 0
            if partner == 0 or ops[i].round_f32:
                continue
            for k in range(i + 1, step.n_ops):
                if ops[k].op == partner and ops[k].x1 == ops[i].x1 and not ops[k].round_f32:
                    out = ops[k].y
                    if partner > ops[i].op:         # the first of the pair, as the table has them
                        ops[i].x2 = out
                    else:
                        ops[i].x2 = ops[i].y
                        ops[i].y = out
                    ops[i].op = pair_of[ops[i].op]
                    ops[i].x3 = ops[i].x1
                    memmove(ops + k, ops + k + 1, (step.n_ops - k - 1) * sizeof(VmOp))
                    step.n_ops -= 1
                    break
        self.plan.ops.n = step.first_op + step.n_ops
        return 0

    cdef bint same_elements(self, int32_t store, int32_t other, int32_t space) noexcept:
        cdef const int64_t *ints = self.program.ints
        cdef int64_t one = self.program.code[store].param, two = self.program.code[other].param
        return maps_equal(ints[space], ints + space + 1, ints[one], ints + one + 1, ints[two], ints + two + 1)

    cdef bint sets_zero(self, int32_t store) noexcept:
        cdef const Instr *x = &self.program.code[self.program.code[store].x2]
        if self.program.code[store].op != AD_OP_UPDATE or x.op != AD_OP_FULL:
            return False
        x = &self.program.code[x.x1]
        return x.op == AD_OP_LITERAL and self.program.reals[x.param] == 0.0

    cdef bint written_over(self, int32_t store, int32_t space, int32_t group) noexcept:
        """Does a later store of the group set the same elements, or add to them what is then the first term?"""
        cdef int32_t at = self.fusion.base_user[store]
        while at >= 0 and self.fusion.group_of[at] == group and self.fusion.role[at] == STORED:
            if self.same_elements(store, at, space):
                return self.program.code[at].op == AD_OP_UPDATE or self.sets_zero(store)
            at = self.fusion.base_user[at]
        return False

    cdef bint adds_to_zero(self, int32_t store, int32_t space, int32_t group) noexcept:
        """Does the group itself zero what the store adds to, before it?"""
        cdef int32_t at = self.program.code[store].x1
        if self.program.code[store].op != AD_OP_ACCUMULATE:
            return False
        while self.fusion.group_of[at] == group and self.fusion.role[at] == STORED and self.program.code[at].nargs == 2:
            if self.same_elements(store, at, space):
                return self.sets_zero(at)
            at = self.program.code[at].x1
        return False

    cdef bint alone(self, int32_t store, int32_t space, int32_t group) noexcept:
        """Is the store one of those that a sum in its group begins with, and the only one that writes its elements?

        Then it sets them. Another one might add to them in a block before.
        """
        cdef const int64_t *ints = self.program.ints
        cdef const Instr *instr = &self.program.code[store]
        cdef int32_t at = store, left = FIRST_STORES
        if (self.tiling is not None or instr.op not in (AD_OP_SUM, AD_OP_ACCUMULATE) or self.fusion.n_stores[store] > 1
                or not map_injective(ints[space], ints + space + 1, ints + instr.param + 1)):
            return False
        while self.program.code[at].op != AD_OP_SUM:
            if not self.layout.in_place[at]:
                return False
            at = self.program.code[at].x1
            left -= 1
            if left == 0 or not self.writes_elsewhere(at, instr, space, group):
                return False
        at = self.fusion.base_user[store]
        while at >= 0 and self.fusion.group_of[at] == group and self.fusion.role[at] == STORED:
            left -= 1
            if left == 0 or not self.writes_elsewhere(at, instr, space, group):
                return False
            at = self.fusion.base_user[at]
        return True

    cdef bint writes_elsewhere(self, int32_t store, const Instr *other, int32_t space, int32_t group) noexcept:
        """Is the value a store of the group that shares no element with another one?"""
        cdef const int64_t *ints = self.program.ints
        cdef const Instr *instr = &self.program.code[store]
        return (self.fusion.group_of[store] == group and self.fusion.n_stores[store] < 2
                and instr.op in (AD_OP_SUM, AD_OP_ACCUMULATE, AD_OP_UPDATE)
                and maps_disjoint(ints[space], ints + space + 1, ints[instr.param], ints + instr.param + 1,
                                  ints[other.param], ints + other.param + 1))

    cdef int fill_sum(self, int32_t value) except -1:
        """Zero what a sum, and the stores of its group that are alone where they write, do not set."""
        cdef const int64_t *ints = self.program.ints
        cdef const Instr *instr = &self.program.code[value]
        cdef int32_t group = self.fusion.group_of[value], space = self.fusion.space_of(value), at = value
        cdef Place place = self.place_of(value)
        cdef Box box
        cdef Fill *fill
        cdef int64_t left = place.size
        while at >= 0 and self.fusion.group_of[at] == group and self.alone(at, space, group):
            left -= size_at(ints, space)
            at = self.fusion.base_user[at]
        if left == 0:
            return 0
        if left < place.size and find_box(ints, instr.shape, space, instr.param, &box):
            return self.add_fills(place, NOTHING, &box)
        fill = <Fill *>pool_add(&self.plan.fills, 1)
        fill.to = place
        return self.describe_fill(fill, NOTHING)

    cdef int lower_store(self, int32_t value, int32_t space, int32_t group) except -1:
        cdef Instr *instr = &self.program.code[value]
        cdef Place place = self.place_of(value)
        cdef bint stored = self.fusion.role[value] == STORED
        cdef Access *access
        if stored:
            self.prepare_base(value)
            if instr.nargs == 2 and self.written_over(value, space, group):
                return 0
        access = <Access *>pool_add(&self.plan.accesses, 1)
        access.slot = place.slot
        access.dtype = place.dtype
        access.offset = place.offset
        access.reg = self.lane_of[value]
        if stored:
            if self.tiling is not None:
                access.slot = self.moving_slot(place.slot, self.tiling.step[value] * item_size(place.dtype))
            access.offset += self.program.ints[instr.param] * item_size(place.dtype)
            if instr.op in (AD_OP_SUM, AD_OP_ACCUMULATE) and not (
                    self.adds_to_zero(value, space, group) or self.alone(value, space, group)):
                access.mode = MODE_ADD
            elif instr.op == AD_OP_REDUCE_MAX:
                access.mode = MODE_MAX
            elif instr.op == AD_OP_REDUCE_MIN:
                access.mode = MODE_MIN
            elif instr.op == AD_OP_REDUCE_PROD:
                access.mode = MODE_MUL
            self.add_elements(space, self.program.ints + instr.param + 1, False, False)
        else:
            access.whole = 1
            self.add_elements(space, NULL, True, False)
        return 0

    cdef int shape_blocks(self, Py_ssize_t where, int64_t ndim, const int64_t *dims) except -1:
        """Merge dimensions that every access walks alike, and cut the space into blocks."""
        cdef Step *step = (<Step *>self.plan.steps.data) + where
        cdef int64_t k, j, rows, m = 0
        cdef int64_t *e = <int64_t *>self.elements.data
        cdef Access *access = (<Access *>self.plan.accesses.data) + step.first_load
        cdef int64_t n_access = step.n_loads + step.n_stores
        cdef int64_t[64] merged, last       # size and innermost original dimension of each merged one
        cdef const int64_t **around = <const int64_t **>self.windows.data
        cdef int64_t *out
        cdef int64_t *before
        cdef int64_t size, total = 1
        cdef bint mergeable, same, fits
        for k in range(ndim):
            total *= dims[k]
            if dims[k] == 1:
                continue
            mergeable = m > 0
            if mergeable:
                for j in range(n_access):
                    if j < step.n_loads and around[j] != NULL and not (
                            everywhere(around[j], ndim, last[m - 1], dims) and everywhere(around[j], ndim, k, dims)):
                        mergeable = False
                        break
                    if e[j * ndim + last[m - 1]] != e[j * ndim + k] * dims[k]:
                        mergeable = False
                        break
            if mergeable:
                merged[m - 1] *= dims[k]
                last[m - 1] = k
            else:
                merged[m] = dims[k]
                last[m] = k
                m += 1
        if m == 0:
            merged[0] = 1 if total else 0
            last[0] = -1
            m = 1
        step.ndim = <int32_t>m
        step.dims = <int32_t>self.plan.longs.n
        out = <int64_t *>pool_add(&self.plan.longs, m)
        for k in range(m):
            out[k] = merged[k]
        self.cut_blocks(step, merged, last, m)
        if total == 0:
            step.chunk = 1
        step.padded = total == step.chunk * step.inner and total < PAD_BELOW and total % VECTOR != 0
        for j in range(n_access):
            access[j].strides = <int32_t>self.plan.longs.n
            out = <int64_t *>pool_add(&self.plan.longs, m)
            before = <int64_t *>self.plan.longs.data + access[j - 1].strides if j else NULL
            size = item_size(access[j].dtype)
            same = before != NULL
            for k in range(m):
                out[k] = e[j * ndim + last[k]] * size if last[k] >= 0 else 0
                same = same and out[k] == before[k]
            if same:                            # as the one before it
                self.plan.longs.n -= m
                access[j].strides = access[j - 1].strides
                out = before
            # is a block of this access dense in memory?
            access[j].direct = access[j].dtype == F64 and access[j].mode == MODE_SET
            access[j].fields = 1
            access[j].still = j < step.n_loads and around[j] == NULL and step.chunk * step.inner < total
            for k in range(step.blocked + 1):
                access[j].still = access[j].still and out[k] == 0
            rows = 8
            for k in range(m - 1, step.blocked - 1, -1):
                if out[k] != rows and not (k == step.blocked and step.chunk == 1):
                    access[j].direct = 0
                rows *= merged[k]
            if step.padded:     # a block that is rounded up reads, or writes, what lies behind it
                if j < step.n_loads:
                    fits = access[j].slot == SLOT_ARENA or (<int64_t *>self.rooms.data)[j] >= (total + VECTOR - 1) // VECTOR * VECTOR
                else:
                    fits = access[j].slot == SLOT_ARENA and access[j].whole
                access[j].direct = access[j].direct and fits
            access[j].window = -1
            if j < step.n_loads and around[j] != NULL:
                self.add_window(&access[j], around[j], ndim, dims, merged, last, m)
        return 0

    cdef int add_window(self, Access *access, const int64_t *window, int64_t ndim, const int64_t *dims,
                        const int64_t *merged, const int64_t *last, int64_t m) except -1:
        """The window of an access over the merged dimensions. Those of several have nothing around them."""
        cdef int64_t low, high, below, above, k, d
        cdef int64_t *out
        access.window = <int32_t>self.plan.longs.n
        out = <int64_t *>pool_add(&self.plan.longs, WINDOW_FIELDS * m)
        for k in range(m):
            d = last[k]
            low = 0
            high = merged[k]
            below = above = 0
            if d >= 0 and merged[k] == dims[d]:
                low = window[d]
                high = window[ndim + d]
                below = window[2 * ndim + d]
                above = window[3 * ndim + d]
            out[WINDOW_LOW * m + k] = low
            out[WINDOW_HIGH * m + k] = high
            out[WINDOW_BELOW * m + k] = below
            out[WINDOW_ABOVE * m + k] = above
            out[WINDOW_FIRST * m + k] = min(low, high - above) if above > 0 and high < merged[k] else low
            out[WINDOW_END * m + k] = max(high, low + below) if below > 0 else high
        return 0

    cdef void cut_blocks(self, Step *step, const int64_t *merged, const int64_t *last, int64_t m) noexcept:
        """A block is as many rows as fit, or a part of one row.

        A block of several rows is one dense vector, so strided operands are packed into registers and
        unpacked; a block within a row reads and writes them where they are. Rows are short when
        packing costs less than running every instruction once for each row.
        """
        cdef const Access *access = (<Access *>self.plan.accesses.data) + step.first_load
        cdef const int64_t *e = <int64_t *>self.elements.data
        cdef int64_t n_access = step.n_loads + step.n_stores, ndim = self.elements.n // max(n_access, 1)
        cdef int64_t row = merged[m - 1], j, packed = 0, parts
        step.inner = 1
        step.blocked = <int32_t>(m - 1)
        if m > 1 and row >= SHORT_ROW:
            for j in range(n_access):
                packed += (access[j].dtype == F64 and access[j].mode == MODE_SET
                           and e[j * ndim + last[m - 1]] == 1
                           and e[j * ndim + last[m - 2]] != row)
        if packed * row < PACKING * (step.n_ops + n_access):
            while step.blocked > 0 and step.inner * merged[step.blocked] <= BLOCK:
                step.inner *= merged[step.blocked]
                step.blocked -= 1
        step.chunk = max(1, min(merged[step.blocked], BLOCK // max(step.inner, 1)))
        if step.inner == 1 and step.chunk < merged[step.blocked]:       # parts of about one size
            parts = (merged[step.blocked] + BLOCK - 1) // BLOCK
            step.chunk = ((merged[step.blocked] + parts - 1) // parts + VECTOR - 1) // VECTOR * VECTOR

    cdef int give_registers(self, Py_ssize_t where) except -1:
        """Physical registers: constants, direct accesses, and temporaries by last use."""
        cdef Step *step = (<Step *>self.plan.steps.data) + where
        cdef VmOp *ops = (<VmOp *>self.plan.ops.data) + step.first_op
        cdef Access *loads = (<Access *>self.plan.accesses.data) + step.first_load
        cdef Access *stores = (<Access *>self.plan.accesses.data) + step.first_store
        cdef Splat *splats = (<Splat *>self.plan.splats.data) + step.first_splat
        cdef Lane *lanes = <Lane *>self.lanes.data
        cdef int32_t i, n_temps = 0, n_direct = 0, lane
        cdef int32_t forever = step.n_ops + 1
        cdef const uint8_t *meets = self.find_meetings(step)
        self.free_regs.n = 0
        for i in range(step.n_ops):
            lanes[ops[i].x1].last = i
            if not is_pair(&ops[i]):                # a pair writes it
                lanes[ops[i].x2].last = i
            lanes[ops[i].x3].last = i
            lanes[ops[i].x4].last = i
        for i in range(step.n_stores):
            lanes[stores[i].reg].last = forever
        for i in range(step.n_splats):          # the short ones first
            lanes[splats[i].reg].physical = n_temps
            lanes[splats[i].reg].last = forever
            n_temps += 1
        # a direct load is a pointer into memory; numbered downwards from -2
        for i in range(step.n_loads):
            lane = loads[i].reg
            # a pointer is no snapshot: what a write of this step changes is copied first
            if loads[i].window >= 0:
                # a pointer for some blocks, packed for others: the register is its own throughout
                loads[i].direct = loads[i].direct and not meets[i]
                lanes[lane].physical = n_temps
                lanes[lane].last = forever
                n_temps += 1
            elif loads[i].direct and not meets[i]:
                loads[i].still = 0
                n_direct += 1
                lanes[lane].access = i
                lanes[lane].physical = -1 - n_direct
            else:
                loads[i].direct = 0
                lanes[lane].physical = n_temps
                n_temps += 1
                loads[i].still = loads[i].still and not meets[i]
                if loads[i].still:
                    lanes[lane].last = forever
        # a value computed straight into memory: only fresh memory that no read of this step touches
        for i in range(step.n_stores):
            lane = stores[i].reg
            if stores[i].direct and lanes[lane].physical == -1 and not meets[step.n_loads + i]:
                n_direct += 1
                lanes[lane].physical = -1 - n_direct
                stores[i].direct = 2
            else:
                stores[i].direct = 0
        for i in range(step.n_ops):
            self.take_register(ops[i].y, &n_temps)
            if is_pair(&ops[i]):
                self.take_register(ops[i].x2, &n_temps)
            # operands that die here are free for the next instruction, not for this one:
            # registers of one instruction never alias
            self.release(ops[i].x1, i)
            if not is_pair(&ops[i]):
                self.release(ops[i].x2, i)
            self.release(ops[i].x3, i)
            self.release(ops[i].x4, i)
            if lanes[ops[i].y].last < 0:
                self.release(ops[i].y, -1)
            if is_pair(&ops[i]) and lanes[ops[i].x2].last < 0:
                self.release(ops[i].x2, -1)
        step.n_temps = n_temps
        step.n_regs = n_temps + n_direct
        for i in range(step.n_ops):
            ops[i].x1 = physical(lanes, ops[i].x1, n_temps)
            ops[i].x2 = physical(lanes, ops[i].x2, n_temps)
            ops[i].x3 = physical(lanes, ops[i].x3, n_temps)
            ops[i].x4 = physical(lanes, ops[i].x4, n_temps)
            ops[i].y = physical(lanes, ops[i].y, n_temps)
        for i in range(step.n_loads):
            loads[i].reg = physical(lanes, loads[i].reg, n_temps)
        for i in range(step.n_stores):
            stores[i].reg = physical(lanes, stores[i].reg, n_temps)
        for i in range(step.n_splats):
            splats[i].reg = physical(lanes, splats[i].reg, n_temps)
        return 0

    cdef int take_register(self, int32_t lane, int32_t *n_temps) except -1:
        """A register for what an op computes, unless it is computed straight into memory."""
        cdef Lane *it = (<Lane *>self.lanes.data) + lane
        if it.physical != -1:
            return 0
        if self.free_regs.n:
            self.free_regs.n -= 1
            it.physical = (<int32_t *>self.free_regs.data)[self.free_regs.n]
        else:
            it.physical = n_temps[0]
            n_temps[0] += 1
        return 0

    cdef int release(self, int32_t lane, int32_t op) except -1:
        cdef Lane *it = (<Lane *>self.lanes.data) + lane
        if it.last == op and it.physical >= 0:
            (<int32_t *>pool_more(&self.free_regs))[0] = it.physical
            it.last = -2
        return 0

    cdef const uint8_t *find_meetings(self, const Step *step) except NULL:
        """For each access of the step: does a load and a store (one of them this) share an element?

        Loads look only at those stores whose bytes lie around theirs, found in a sorted list.
        """
        cdef const int64_t *longs = <int64_t *>self.plan.longs.data
        cdef const Access *access = (<Access *>self.plan.accesses.data) + step.first_load
        cdef Extent *extents
        cdef Extent load
        cdef uint8_t *meets
        cdef int32_t i, low, high, middle, n = step.n_stores
        self.extents.n = 0
        self.meets.n = 0
        extents = <Extent *>pool_add(&self.extents, n)
        meets = <uint8_t *>pool_add(&self.meets, step.n_loads + n + 1)
        for i in range(n):
            extent_of(longs, step, &access[step.n_loads + i], &extents[i])
            extents[i].access = step.n_loads + i
        sort_extents(extents, n)
        for i in range(n):
            extents[i].highest = extents[i].high
            if i and extents[i - 1].slot == extents[i].slot:
                extents[i].highest = max(extents[i].high, extents[i - 1].highest)
        for i in range(step.n_loads):
            extent_of(longs, step, &access[i], &load)
            low = 0
            high = n
            while low < high:                   # the first store that begins behind the load
                middle = (low + high) // 2
                if extents[middle].slot < load.slot or (
                        extents[middle].slot == load.slot and extents[middle].low < load.high):
                    low = middle + 1
                else:
                    high = middle
            low -= 1
            while low >= 0 and extents[low].slot == load.slot and extents[low].highest > load.low:
                if extents[low].high > load.low and share(longs, step, &access[i], &access[extents[low].access]):
                    meets[i] = 1
                    meets[extents[low].access] = 1
                low -= 1
        return meets


cdef void *keep(char **room, const void *data, size_t bytes) noexcept nogil:
    """A copy of data at the beginning of the room, which gets shorter by it."""
    cdef char *copy = room[0]
    if bytes:
        memcpy(copy, data, bytes)
    room[0] += bytes
    return copy


cdef bint everywhere(const int64_t *window, int64_t ndim, int64_t k, const int64_t *dims) noexcept nogil:
    """Does the window hold all indices of a dimension?"""
    return window[k] == 0 and window[ndim + k] == dims[k]


cdef inline bint is_pair(const VmOp *op) noexcept nogil:
    return AD_N_ELEMENTWISE <= op.op < AD_N_ELEMENTWISE + AD_N_PAIRS


cdef int32_t physical(const Lane *lanes, int32_t lane, int32_t n_temps) noexcept nogil:
    """Register number of a lane: temporaries first, then direct accesses."""
    cdef int32_t reg = lanes[lane].physical
    return reg if reg >= 0 else n_temps - 2 - reg


cdef bint reshaped(Program program, int32_t value) noexcept:
    """Is the value a computed one in another shape: all its elements, in the same order?"""
    cdef const Instr *instr = &program.code[value]
    return (instr.op == AD_OP_VIEW and program.code[instr.x1].op not in (AD_OP_INPUT, AD_OP_CONST, AD_OP_FULL)
            and program.code[instr.x1].dtype == instr.dtype and is_reshape(program, instr))


cdef Program without_reshaped_results(Program program):
    """The program with what its results reshape for results, so that this is computed where the caller finds it."""
    cdef Program other
    cdef Py_ssize_t k
    cdef bint found = False
    for k in range(program.n_results):
        found = found or reshaped(program, program.results[k])
    if not found:
        return program
    other = program.with_room(program.length)
    for k in range(program.n_results):
        while reshaped(other, other.results[k]):
            other.results[k] = other.code[other.results[k]].x1
    return dead_code(other)


cdef list result_specs(Program program):
    """Shape and dtype of each result."""
    cdef Py_ssize_t k
    return [(program.shape_tuple(program.results[k]), DTYPES[program.code[program.results[k]].dtype])
            for k in range(program.n_results)]


cdef Lowering lowering_of(Program program, bint tiles):
    """The lowering of a program, done, with the results that the program has."""
    cdef Program wanted = without_reshaped_results(program)
    cdef Tiling tiling = tile(wanted) if tiles else None
    cdef Lowering lowering = Lowering(recompute(windows(wanted)) if tiling is None else tiling.program, tiling)
    lowering.lower()
    lowering.plan.result_specs = result_specs(program)
    return lowering


def lower(Program program, bint tiles=False):
    """The plan of a program: fused, laid out, with a step for every group; with ``tiles``, chains run tile by tile.

    Keeps: the values of the outputs; with tiles, up to the rounding of sums. The program must have passed ``verify``.
    """
    return lowering_of(program, tiles).plan


def explain(Program program, bint tiles=False):
    """The program as ``lower`` lays it out (its loops spelled out), its plan, and of each of its values: its group
    (-1: none), the last group that needs its memory, and where that is in the arena: offset and bytes (0: not there)."""
    cdef Lowering lowering = lowering_of(program, tiles)
    cdef Program laid_out = lowering.program
    cdef Fusion fusion = lowering.fusion
    cdef Place *place
    cdef Py_ssize_t i
    values = []
    for i in range(laid_out.length):
        place = lowering.layout.place + i
        group = fusion.group_of[i]
        held = group >= 0 and place.slot == SLOT_ARENA and lowering.layout.scalar_of[i] < 0 and fusion.in_memory[i]
        values.append((group, max(fusion.last_use[i], group), place.offset if held else 0,
                       place.size * item_size(place.dtype) if held else 0))
    return laid_out, lowering.plan, values
