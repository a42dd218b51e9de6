from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint64_t
from adcore.plan.pool cimport Pool

cdef enum StepKind:
    STEP_BLOCKS = 0
    STEP_RUNS = 1
    STEP_MATMUL = 2
    STEP_GATHER = 3
    STEP_SCATTER_ADD = 4
    STEP_PUT = 5
    STEP_CUMSUM = 6
    STEP_PACK = 7
    STEP_PACK_ADD = 8
    STEP_CALL = 9
    STEP_NATIVE = 10

cdef enum NativeKind:
    NATIVE_VALUE = 0
    NATIVE_REVERSE = 1
    NATIVE_FORWARD = 2

cdef enum FillKind:
    FILL_COPY = 0           # from another place
    FILL_VALUE = 1          # with a number of the plan
    FILL_SCALAR = 2         # with a scalar of the run

cdef struct Place:          # where a value lives: bases[slot] + offset bytes
    int32_t slot
    uint8_t dtype
    int64_t offset
    int64_t size            # elements

cdef struct Fill:           # what a result holds before a step writes into it
    uint8_t kind
    uint8_t ndim            # the fill is repeated over so many dimensions ...
    int32_t dims            # ... whose lengths, then strides in bytes, stand in plan.longs from here
    Place to
    Place source
    int32_t scalar
    double value

cdef struct Access:         # a block's read from, or write to, memory
    int32_t slot
    uint8_t dtype
    uint8_t mode            # AD_SET, AD_ADD, ... for a write
    uint8_t direct          # the block is dense float64 in memory: no copy through a register
    uint8_t whole           # a write that fills its place from end to end
    uint8_t fields          # this access and those behind it that one kernel moves together: records, 1: this alone
    uint8_t still           # a read that is the same for all blocks
    int32_t reg
    int32_t strides         # offset in plan.longs: one stride in bytes per collapsed dimension
    int32_t window          # offset in plan.longs, -1: the strides hold everywhere
    int64_t offset          # bytes

# A window of an access: for each collapsed dimension the indices [low, high) at which its strides hold, what an index below
# and one above is replaced by (0: reads zero, CLAMPED: the nearest one inside, else what is added or subtracted),
# and the indices [first, end) that are reached in all.
cdef enum WindowField:
    WINDOW_LOW = 0
    WINDOW_HIGH = 1
    WINDOW_BELOW = 2
    WINDOW_ABOVE = 3
    WINDOW_FIRST = 4
    WINDOW_END = 5
    WINDOW_FIELDS = 6
    CLAMPED = -1

cdef struct VmOp:           # regs[y] = op(regs[x1], regs[x2], regs[x3])
    uint16_t op             # or AD_N_ELEMENTWISE + a pair: regs[y], regs[x2] = pair(regs[x1]); or, after the pairs, a phrase
    uint8_t round_f32
    uint16_t y, x1, x2, x3
    uint16_t x4             # of a phrase, as are ...
    uint8_t splats          # ... the operands, one bit each, that are one number eight times

cdef struct Splat:          # a register that holds one scalar throughout the step
    int32_t reg
    int32_t scalar

cdef struct Fold:           # a store that gives each part of its step an accumulator of its own
    int32_t store           # which access of the step
    int64_t low             # first byte it reaches in its slot
    int64_t span            # bytes it reaches
    int64_t at              # of the first part's accumulator; the others follow, `room` bytes each
    int64_t room

cdef struct Run:            # scalar instructions of one level and opcode
    uint16_t op
    uint8_t load            # 1: elements read from an array
    uint8_t round_f32
    int32_t n, y
    int32_t slot            # load: where the array is
    uint8_t dtype
    int64_t offset
    int64_t index           # into plan.wires (int32, n each for x1 x2 x3) or plan.longs (load)

cdef struct Step:
    uint8_t kind
    uint8_t padded          # blocks may be rounded up to whole vectors
    uint8_t single          # one block is all
    int32_t group
    int32_t first_fill, n_fills
    # STEP_BLOCKS
    int32_t ndim, blocked   # collapsed dimensions; the one that is cut into chunks
    int32_t dims            # offset in plan.longs
    int64_t chunk, inner    # indices of `blocked` per block; elements per index
    int32_t first_splat, n_splats, first_load, n_loads, first_op, n_ops, first_store, n_stores
    int32_t n_regs, n_temps
    int32_t n_short         # the first registers: each holds one number eight times
    int32_t n_values        # operations before they became phrases
    # parts that may run at the same time (plan/split): a range of dimension `split` each
    int32_t split, parts
    int32_t phases          # 2: the parts of odd number run after those of even number
    int32_t first_fold, n_folds
    float work              # estimated, in ns on one thread
    # STEP_RUNS
    int32_t first_run, n_runs
    # the others: places and static integers
    Place y, x1, x2, x3
    int64_t numbers         # offset in plan.longs
    int32_t count
    uint8_t adds            # STEP_MATMUL: to what y holds
    int32_t source          # instruction this step stands for (profiles, errors)

cdef struct Native:         # a kernel of the user's (adcore_primitive.h)
    int32_t kind, n         # NativeKind; how many arguments
    uint64_t chosen         # bit k: the adjoint (tangent) of argument k is wanted (given)
    void *function
    void *data

cdef struct Loop:           # steps [first, end) run `count` times, each time on the next tile
    int32_t first, end
    int64_t count
    int32_t first_fill, n_fills     # what sums over all tiles start from
    int32_t first_moving, n_moving

cdef struct Moving:         # a slot that stands `step` bytes further on with each tile
    int32_t slot, source
    int64_t step

cdef struct Bound:          # a scalar that a run copies in before it starts
    int32_t scalar          # index in the scalar file
    int32_t kind            # 0: input, 1: const, 2: float
    int32_t index

cdef int fill_native(Native *it, tuple native) except -1

cdef class Plan:
    cdef Pool steps, fills, accesses, ops, splats, runs, folds
    cdef Pool wires         # int32: operands of scalar runs
    cdef Pool longs         # int64: dims, strides, indices
    cdef Pool natives       # Native: of STEP_NATIVE, by step.first_run
    cdef Pool literals      # double: initial values of the first scalars
    cdef Pool bound         # Bound
    cdef Pool loops         # Loop
    cdef Pool loop_fills    # Fill
    cdef Pool moving        # Moving: their slots follow those of the results
    cdef Pool result_places     # Place: where each output is found (slot < 0: it is written in place)
    cdef readonly int64_t arena_bytes
    cdef readonly int32_t n_inputs, n_consts, n_results, n_scalars, n_floats
    cdef int64_t scratch_bytes, folds_bytes
    cdef bint wide          # enough of its work is in parts to call other threads
    cdef readonly list calls    # the rules of STEP_CALL and STEP_NATIVE, by step.count
    cdef readonly object input_specs, const_specs, result_specs   # (shape, dtype) each
    cdef object arenas      # idle arenas, reused by later runs
    cdef object binding     # what the engine knows of the arrays to bind
    cdef object __weakref__

    cdef Py_ssize_t n_slots(self) noexcept
    cdef int64_t repeats(self, Py_ssize_t k) noexcept
    cdef int64_t step_bytes(self, const Step *step)
    cdef int64_t step_flops(self, const Step *step)

cdef enum:
    SLOT_ARENA = 0
    SLOT_INPUTS = 1         # then consts, then results
    ALIGN = 64
    FIELDS_MAX = 4          # of a record
    BLOCK = 512             # elements per block (design D6: 512-1024)
