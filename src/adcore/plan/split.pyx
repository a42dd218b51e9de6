"""Splitting: which block steps run in parts, at the same time on several threads.

A part is a range of one dimension of the step's space. Parts are chosen here, from the work of the
step alone, so they are the same whatever the number of threads, and so is every bit of the results: each
part adds in its own order, and what parts add to the same element meets in a fixed order.

Invariant: parts that may run at the same time never touch the same element, unless all only read it. A store
that sets is injective, so its parts are apart. One that adds (or takes a maximum, ...) to elements
that other parts reach too gets an accumulator for each part, folded in the order of the parts; where
only neighbours meet, as in the adjoint of a stencil, the odd parts run after the even ones instead.
"""

from libc.stdint cimport int32_t, int64_t

from adcore.optable.opcodes cimport AD_N_ELEMENTWISE, AD_N_PAIRS, AD_N_PHRASES
from adcore.plan.plan cimport ALIGN, Access, Fold, Plan, STEP_BLOCKS, Step, VmOp, WINDOW_END, WINDOW_FIRST
from adcore.plan.pool cimport pool_add
from adcore.tape.maps cimport maps_disjoint, same_index_only
from adcore.tape.program cimport BOOL, F32, F64

from adcore import optable

cdef enum:
    PARTS_MAX = 128
    STORES_MAX = 64             # a step with more stores is left whole
    SET = 0
    WIDE = 4                    # parts worth of work that justify a call for other threads
    FOLDED_MAX = 1 << 22        # bytes of accumulators that a step may have

cdef double ACCESS_NS = 0.25    # per element read or written
cdef double PHRASE_NS = 0.2             # per element of a phrase
cdef double part_ns = 12e3      # the work that a part should have at least
cdef double[AD_N_ELEMENTWISE + AD_N_PAIRS + AD_N_PHRASES] op_ns
for number, pair in enumerate(optable.PAIRS):
    op_ns[AD_N_ELEMENTWISE + number] = optable.COSTS[optable.OPCODE[pair[0].upper()]]
for number in range(AD_N_PHRASES):
    op_ns[AD_N_ELEMENTWISE + AD_N_PAIRS + number] = PHRASE_NS
for number in range(AD_N_ELEMENTWISE):
    op_ns[number] = optable.COSTS[number]


def set_part_work(double nanoseconds):
    """Set the least work of a part, for tests; returns what it was. Plans made before keep their parts."""
    global part_ns
    before = part_ns
    part_ns = nanoseconds
    return before


cdef struct Cut:                # one way to split a step
    int32_t parts, phases
    int64_t folded              # bytes of accumulators for each part
    bint[STORES_MAX] private


cdef int64_t item_size(int dtype) noexcept nogil:
    return 1 if dtype == BOOL else (4 if dtype == F32 else 8)


cdef void extent(const int64_t *longs, const Step *step, const Access *access, int without,
                 int64_t *low, int64_t *high) noexcept nogil:
    """First and one past the last byte that an access reaches, with index 0 in dimension ``without``."""
    cdef const int64_t *dims = longs + step.dims
    cdef const int64_t *strides = longs + access.strides
    cdef const int64_t *window = longs + access.window
    cdef int64_t first, last
    cdef int k
    low[0] = access.offset
    high[0] = access.offset + item_size(access.dtype)
    for k in range(step.ndim):
        if k == without:
            continue
        first = 0
        last = dims[k] - 1
        if access.window >= 0:
            first = window[WINDOW_FIRST * step.ndim + k]
            last = window[WINDOW_END * step.ndim + k] - 1
        high[0] += strides[k] * (last if strides[k] > 0 else first)
        low[0] += strides[k] * (first if strides[k] > 0 else last)


cdef bint meet(const int64_t *longs, const Step *step, const Access *one, const Access *other) noexcept nogil:
    """May two accesses reach the same memory?"""
    cdef int64_t low, high, low2, high2
    if one.slot != other.slot:
        return False
    extent(longs, step, one, -1, &low, &high)
    extent(longs, step, other, -1, &low2, &high2)
    if high <= low2 or high2 <= low:
        return False
    return one.dtype != other.dtype or one.window >= 0 or other.window >= 0 or not maps_disjoint(
        step.ndim, longs + step.dims, one.offset, longs + one.strides, other.offset, longs + other.strides)


cdef bint separates(const int64_t *longs, const Step *step, const Access *access, int d) noexcept nogil:
    """Do different indices of dimension d always mean different elements? True for strides that nest."""
    cdef const int64_t *dims = longs + step.dims
    cdef const int64_t *strides = longs + access.strides
    cdef int64_t below, size, other
    cdef int k, j
    if strides[d] == 0:
        return False
    for k in range(step.ndim):
        size = strides[k] if strides[k] > 0 else -strides[k]
        if size == 0 or dims[k] == 1:
            continue
        below = 0
        for j in range(step.ndim):
            other = strides[j] if strides[j] > 0 else -strides[j]
            if j != k and dims[j] > 1 and (other < size or (other == size and j > k)):
                below += other * (dims[j] - 1)
        if size <= below:
            return False
    return True


cdef int neighbours(const int64_t *longs, const Step *step, const Access *one, const Access *other, int d,
                    int64_t shortest) noexcept nogil:
    """How many phases keep the parts of two adding stores apart, 0 when none do."""
    cdef int64_t stride = (longs + one.strides)[d]
    cdef int64_t low, high, low2, high2
    if stride != (longs + other.strides)[d] or stride == 0:
        return 0
    extent(longs, step, one, d, &low, &high)
    extent(longs, step, other, d, &low2, &high2)
    high = max(high, high2) - min(low, low2)
    if stride < 0:
        stride = -stride
    if stride >= high:
        return 1
    return 2 if stride * (shortest + 1) >= high else 0


cdef bint cut_along(Plan plan, const Step *step, int d, int32_t wanted, Cut *cut) noexcept:
    """The parts that dimension d allows; False when it allows none."""
    cdef const int64_t *longs = <int64_t *>plan.longs.data
    cdef const Access *stores = (<Access *>plan.accesses.data) + step.first_store
    cdef int64_t n = (longs + step.dims)[d], unit = step.chunk if d == step.blocked else 1, units = (n + unit - 1) // unit
    cdef int64_t low, high
    cdef int i, j, phases
    cdef bint alone
    cut.parts = <int32_t>min(<int64_t>wanted, units)
    cut.phases = 1
    cut.folded = 0
    if cut.parts < 2:
        return False
    for i in range(step.n_stores):
        cut.private[i] = False
        if stores[i].mode == SET:
            continue
        alone = True
        for j in range(step.n_stores):
            if j == i or stores[j].mode == SET or not meet(longs, step, &stores[i], &stores[j]):
                continue
            alone = False
            phases = neighbours(longs, step, &stores[i], &stores[j], d, units // cut.parts * unit)
            if phases == 0:
                cut.private[i] = True
            cut.phases = max(cut.phases, phases)
        if alone:
            cut.private[i] = not separates(longs, step, &stores[i], d)
        elif not cut.private[i]:
            phases = neighbours(longs, step, &stores[i], &stores[i], d, units // cut.parts * unit)
            cut.private[i] = phases == 0
            cut.phases = max(cut.phases, phases)
        if cut.private[i]:
            if stores[i].dtype != F64 and stores[i].dtype != F32:
                return False
            extent(longs, step, &stores[i], -1, &low, &high)
            cut.folded += (high - low + ALIGN - 1) // ALIGN * ALIGN
    if cut.folded:
        # filling and folding an accumulator costs about 2 ns an element
        cut.parts = <int32_t>min(<double>cut.parts, min(step.work / 4.0, <double>FOLDED_MAX) / cut.folded)
    return cut.parts >= 2


cdef bint reads_stay(Plan plan, const Step *step, const Cut *cut) noexcept:
    """Is what the step reads and also writes read and written at the same index, in the same part?"""
    cdef const int64_t *longs = <int64_t *>plan.longs.data
    cdef const Access *loads = (<Access *>plan.accesses.data) + step.first_load
    cdef const Access *stores = (<Access *>plan.accesses.data) + step.first_store
    cdef int i, j
    for i in range(step.n_loads):
        for j in range(step.n_stores):
            if meet(longs, step, &loads[i], &stores[j]) and (
                    cut.private[j] or cut.phases > 1 or loads[i].window >= 0 or loads[i].dtype != stores[j].dtype or not same_index_only(
                        step.ndim, longs + step.dims, loads[i].offset, longs + loads[i].strides,
                        stores[j].offset, longs + stores[j].strides)):
                return False
    return True


cdef int split_blocks(Plan plan, Step *step) except -1:
    cdef const int64_t *longs = <int64_t *>plan.longs.data
    cdef const VmOp *ops = (<VmOp *>plan.ops.data) + step.first_op
    cdef Access *stores = (<Access *>plan.accesses.data) + step.first_store
    cdef double per_element = ACCESS_NS * (step.n_loads + step.n_stores), total = 1.0
    cdef int32_t wanted
    cdef int64_t low, high, at = 0
    cdef int k, d
    cdef Cut cut, best
    cdef Fold *fold
    for k in range(step.ndim):
        total *= (longs + step.dims)[k]
    for k in range(step.n_ops):
        per_element += op_ns[ops[k].op]
    step.work = <float>(total * per_element)
    step.parts = 1
    step.phases = 1
    wanted = <int32_t>min(<double>PARTS_MAX, step.work / part_ns)
    if wanted < 2 or step.padded or step.n_stores > STORES_MAX:
        return 0
    best.parts = 0
    for d in range(step.blocked + 1):
        if not cut_along(plan, step, d, wanted, &cut) or not reads_stay(plan, step, &cut):
            continue
        if best.parts == 0 or cut.parts // cut.phases > best.parts // best.phases:
            best = cut
            step.split = d
        if cut.parts // cut.phases >= min(wanted, PARTS_MAX // 4):
            break                               # outer dimensions first: long ranges of memory
    if best.parts < 2:
        return 0
    step.parts = best.parts
    step.phases = best.phases
    step.first_fold = <int32_t>plan.folds.n
    for k in range(step.n_stores):
        for d in range(1, stores[k].fields):    # accumulators are apart
            if best.private[k] != best.private[k + d] or best.private[k]:
                stores[k].fields = 1
                break
    for k in range(step.n_stores):
        if not best.private[k]:
            continue
        extent(longs, step, &stores[k], -1, &low, &high)
        fold = <Fold *>pool_add(&plan.folds, 1)
        fold.store = step.n_loads + k
        fold.low = low
        fold.span = high - low
        fold.room = (fold.span + ALIGN - 1) // ALIGN * ALIGN
        fold.at = at
        at += fold.room * best.parts
    step.n_folds = <int32_t>plan.folds.n - step.first_fold
    plan.folds_bytes = max(plan.folds_bytes, at)
    return 0


cdef int split_steps(Plan plan) except -1:
    """Give the block steps of a finished plan their parts. Keeps: the values, but for the order of sums."""
    cdef Py_ssize_t k
    cdef Step *step
    cdef double work = 0.0
    for k in range(plan.steps.n):
        step = (<Step *>plan.steps.data) + k
        step.parts = 1
        step.phases = 1
        if step.kind == STEP_BLOCKS:
            split_blocks(plan, step)
            if step.parts > 1:
                work += step.work
    plan.wide = work >= WIDE * part_ns
    return 0
