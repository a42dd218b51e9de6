"""Plans: a program as a list of steps over one arena. Immutable once lowered.

A plan holds no array and no Python object that a sweep touches; any number of
threads may run it at once, each in an arena of its own.
"""

from libc.stdint cimport uintptr_t

from adcore.plan.pool cimport pool_free, pool_init

STEP_NAMES = ("blocks", "scalars", "matmul", "gather", "scatter_add", "put", "cumsum", "pack", "pack_add", "call", "native")

ITEM_BYTES = (8, 4, 1, 8)


cdef int fill_native(Native *it, tuple native) except -1:
    """From a rule's ``native``: kind, address, data, number of arguments, which of them have adjoints or tangents."""
    cdef uintptr_t address, data
    it.kind, address, data, it.n, it.chosen = native
    it.function = <void *>address
    it.data = <void *>data
    return 0


cdef int64_t place_bytes(const Place *place):
    return place.size * <int64_t>ITEM_BYTES[place.dtype]


cdef class Plan:
    """Steps, their operands, and the size of the arena they need."""

    def __cinit__(self):
        pool_init(&self.steps, sizeof(Step))
        pool_init(&self.fills, sizeof(Fill))
        pool_init(&self.accesses, sizeof(Access))
        pool_init(&self.ops, sizeof(VmOp))
        pool_init(&self.splats, sizeof(Splat))
        pool_init(&self.runs, sizeof(Run))
        pool_init(&self.folds, sizeof(Fold))
        pool_init(&self.wires, sizeof(int32_t))
        pool_init(&self.longs, sizeof(int64_t))
        pool_init(&self.natives, sizeof(Native))
        pool_init(&self.literals, sizeof(double))
        pool_init(&self.bound, sizeof(Bound))
        pool_init(&self.loops, sizeof(Loop))
        pool_init(&self.loop_fills, sizeof(Fill))
        pool_init(&self.moving, sizeof(Moving))
        pool_init(&self.result_places, sizeof(Place))
        self.arenas = []
        self.calls = []

    def __dealloc__(self):
        pool_free(&self.steps)
        pool_free(&self.fills)
        pool_free(&self.accesses)
        pool_free(&self.ops)
        pool_free(&self.splats)
        pool_free(&self.runs)
        pool_free(&self.folds)
        pool_free(&self.wires)
        pool_free(&self.longs)
        pool_free(&self.natives)
        pool_free(&self.literals)
        pool_free(&self.bound)
        pool_free(&self.loops)
        pool_free(&self.loop_fills)
        pool_free(&self.moving)
        pool_free(&self.result_places)

    cdef Py_ssize_t n_slots(self) noexcept:
        """How many bases a run keeps: the arena, what it binds, and what moves."""
        return SLOT_INPUTS + self.n_inputs + self.n_consts + self.n_results + self.moving.n

    def loops_as_dicts(self):
        """The loops over tiles: which steps, how often (for tests, profiles and printing)."""
        loops = []
        cdef Py_ssize_t k
        cdef Loop *loop
        for k in range(self.loops.n):
            loop = (<Loop *>self.loops.data) + k
            loops.append({"first": loop.first, "end": loop.end, "count": loop.count})
        return loops

    cdef int64_t repeats(self, Py_ssize_t k) noexcept:
        """How often step k runs: once, or once a tile."""
        cdef const Loop *loop = <const Loop *>self.loops.data
        cdef Py_ssize_t i
        for i in range(self.loops.n):
            if loop[i].first <= k < loop[i].end:
                return loop[i].count
        return 1

    cdef int64_t step_bytes(self, const Step *step):
        """Bytes that a step reads and writes, each element once; what it adds to, twice."""
        cdef const Access *access
        cdef const Fill *fill
        cdef const int64_t *longs = <int64_t *>self.longs.data
        cdef int64_t total = 0, n
        cdef int j, k
        for j in range(step.n_fills):
            fill = (<Fill *>self.fills.data) + step.first_fill + j
            total += place_bytes(&fill.to) * (2 if fill.kind == FILL_COPY else 1)
        if step.kind == STEP_MATMUL:        # a tile of an operand, or all of it for each of a stack
            n = step.y.size // max(longs[step.numbers + 1] * longs[step.numbers + 3], 1) * longs[step.numbers + 2]
            return total + ITEM_BYTES[step.y.dtype] * (
                step.y.size * (1 + step.adds) + min(step.x1.size, n * longs[step.numbers + 1])
                + min(step.x2.size, n * longs[step.numbers + 3]))
        if step.kind != STEP_BLOCKS:
            return total + (place_bytes(&step.y) + place_bytes(&step.x1) + place_bytes(&step.x2)
                            if step.kind not in (STEP_RUNS, STEP_CALL, STEP_NATIVE) else 0)
        for j in range(step.n_loads + step.n_stores):
            access = (<Access *>self.accesses.data) + step.first_load + j
            n = 1
            for k in range(step.ndim):
                if longs[access.strides + k] != 0:
                    n *= longs[step.dims + k]
            total += n * ITEM_BYTES[access.dtype] * (1 if access.mode == 0 else 2)
        return total

    cdef int64_t step_flops(self, const Step *step):
        """Operations on elements; a function counts as one, a multiplication and addition of a product as two."""
        cdef const int64_t *longs = <int64_t *>self.longs.data
        cdef int64_t total = 1, k
        if step.kind == STEP_BLOCKS:
            for k in range(step.ndim):
                total *= longs[step.dims + k]
            return total * step.n_values
        if step.kind == STEP_MATMUL:
            return 2 * step.y.size * longs[step.numbers + 2]
        if step.kind == STEP_RUNS:
            total = 0
            for k in range(step.n_runs):
                total += (<Run *>self.runs.data)[step.first_run + k].n
            return total
        return 0

    def steps_as_dicts(self):
        """What the plan does, step by step (for tests, profiles and printing)."""
        steps = []
        cdef Py_ssize_t k
        cdef Step *step
        for k in range(self.steps.n):
            step = (<Step *>self.steps.data) + k
            steps.append({
                "kind": STEP_NAMES[step.kind],
                "dims": [(<int64_t *>self.longs.data)[step.dims + j] for j in range(step.ndim)],
                "ops": step.n_values, "kernels": step.n_ops, "loads": step.n_loads, "stores": step.n_stores,
                "records": records(self, step), "fills": step.n_fills, "runs": step.n_runs, "registers": step.n_regs,
                "source": step.source,
                "parts": step.parts, "phases": step.phases, "folds": step.n_folds,
                "group": step.group, "repeats": self.repeats(k),
                "bytes": self.step_bytes(step) * self.repeats(k), "flops": self.step_flops(step) * self.repeats(k),
            })
        return steps


cdef int records(Plan plan, const Step *step) noexcept:
    """How many reads and writes of a step move more than one vector."""
    cdef const Access *access = (<Access *>plan.accesses.data) + step.first_load
    cdef int k, n = 0
    if step.kind == STEP_BLOCKS:
        for k in range(step.n_loads + step.n_stores):
            n += access[k].fields > 1
    return n
