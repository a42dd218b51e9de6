"""The executor: runs the steps of a plan, without the GIL.

Operands are addressed as ``bases[slot] + offset``. Everything an instruction may touch was
checked when the plan was made and bound, so no step tests an index again
except gathers and scatters, whose indices are data: their kernels report by a flag.
No Python object is reachable from here but the functions that calls name.
"""

cimport numpy as cnp
from cpython.ref cimport PyObject

from cython cimport floating
from libc.math cimport INFINITY, signbit
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy, memset

import numpy as np

from adcore import errors

from adcore.optable.opcodes cimport AD_N_ELEMENTWISE, AD_N_PAIRS
from adcore.plan.plan cimport (
    Access, ALIGN, BLOCK, CLAMPED, FIELDS_MAX, FILL_COPY, FILL_VALUE, Fill, Fold, Loop, Moving, Native, Plan, Run, Splat, Step,
    STEP_BLOCKS, STEP_CALL, STEP_CUMSUM, STEP_GATHER, STEP_MATMUL, STEP_NATIVE, STEP_PACK, STEP_PACK_ADD,
    STEP_RUNS, STEP_SCATTER_ADD, VmOp, WINDOW_ABOVE, WINDOW_BELOW, WINDOW_HIGH, WINDOW_LOW,
)
from adcore.sweep.blas cimport dgemm, dgemv, sgemm
from adcore.sweep.native cimport OPERANDS_MAX, invoke, read_only
from adcore.sweep.pool cimport clock_seconds, parallel
from adcore.tape.program cimport BOOL, F32, F64, I64

cnp.import_array()

cdef enum:
    LINE = 8                        # elements of a cache line
    MAX_DIMS = 64
    MAX_ACCESS = 1024
    FILL_PART = 1 << 16             # elements that a thread should at least fill
    FILL_PARTS = 64
    NOWHERE = -(1 << 30)            # no index of an array
    TINY = 16                       # products with m, k, n up to this are done here, not by BLAS
    FEW = 4                         # rows and columns that a thin product has at least


cdef inline int64_t item_size(int dtype) noexcept nogil:
    return 1 if dtype == BOOL else (4 if dtype == F32 else 8)


cdef inline Py_ssize_t reg_bytes(const Step *step) noexcept nogil:
    """Bytes of one register: a block, and long ones an odd number of cache lines, so that they do not alias in L1."""
    cdef Py_ssize_t lines = (step.chunk * step.inner + LINE - 1) // LINE
    return (lines if lines < LINE else lines | 1) * LINE * 8


cdef Py_ssize_t blocks_scratch(const Step *step) noexcept nogil:
    cdef Py_ssize_t bytes = step.n_temps * reg_bytes(step) + step.n_regs * 8 + (step.n_loads + step.n_stores) * 8 + 4 * ALIGN
    return max(bytes, <Py_ssize_t>(BLOCK * 8 + ALIGN)) if step.n_folds else bytes


cdef Py_ssize_t scratch_needed(Plan plan) noexcept nogil:
    """Bytes of registers and pointers that the widest step needs."""
    cdef Py_ssize_t k, most = 0, wanted
    cdef Step *step
    for k in range(plan.steps.n):
        step = (<Step *>plan.steps.data) + k
        wanted = blocks_scratch(step)
        if wanted > most:
            most = wanted
    return most + ALIGN


cdef bint multiplies(Plan plan) noexcept nogil:
    """Does a step call BLAS?"""
    cdef Py_ssize_t k
    for k in range(plan.steps.n):
        if ((<Step *>plan.steps.data) + k).kind == STEP_MATMUL:
            return True
    return False


cdef void fill(const Fill *it, char *to, const char *source, int64_t n, const double *scalars) noexcept nogil:
    """Prepare n elements of the memory that a store writes into."""
    cdef double value
    cdef int64_t k
    if it.kind == FILL_COPY:
        memcpy(to, source, n * item_size(it.to.dtype))
        return
    value = it.value if it.kind == FILL_VALUE else scalars[it.scalar]
    if it.to.dtype == F64:
        fill_floats(<double *>to, value, n)
    elif it.to.dtype == F32:
        fill_floats(<float *>to, <float>value, n)
    elif it.to.dtype == BOOL:
        memset(to, value != 0.0, n)
    else:
        for k in range(n):
            (<int64_t *>to)[k] = <int64_t>value


cdef void fill_column(const Fill *it, char *to, const char *source, int64_t n, int64_t step, const double *scalars) noexcept nogil:
    """Single elements of eight bytes, one below the other."""
    cdef int64_t k
    cdef int64_t[1] bits
    if it.kind == FILL_COPY:
        for k in range(n):
            memcpy(to + k * step, source + k * step, 8)
        return
    fill(it, <char *>bits, NULL, 1, scalars)
    for k in range(n):
        memcpy(to + k * step, bits, 8)


cdef void fill_floats(floating *to, floating value, int64_t n) noexcept nogil:
    cdef int64_t k
    if value == 0.0 and not signbit(value):
        memset(to, 0, n * sizeof(floating))
        return
    for k in range(n):
        to[k] = value


cdef struct FillJob:
    const Fill *it
    const int64_t *dims                 # of the rows, then their strides in bytes
    char **bases
    int64_t n                           # rows, or elements where there is one row
    int parts


cdef void fill_part(void *data, int part, char *scratch) noexcept nogil:
    cdef const FillJob *job = <const FillJob *>data
    cdef const Fill *it = job.it
    cdef const double *scalars = <const double *>job.bases[0]
    cdef char *to = job.bases[it.to.slot] + it.to.offset
    cdef const char *source = job.bases[it.source.slot] + it.source.offset
    cdef const int64_t *dims = job.dims
    cdef const int64_t *strides = dims + it.ndim
    cdef int64_t at = job.n * part // job.parts, end = job.n * (part + 1) // job.parts
    cdef int64_t item = item_size(it.to.dtype), offset, left, many
    cdef int k, last = it.ndim - 1
    if it.ndim == 0:
        fill(it, to + at * item, source + at * item, end - at, scalars)
        return
    while at < end:
        offset = 0
        left = at
        for k in range(last, -1, -1):
            offset += left % dims[k] * strides[k]
            left //= dims[k]
        many = 1
        if it.to.size == 1 and item == 8:
            many = min(end - at, dims[last] - at % dims[last])
            fill_column(it, to + offset, source + offset, many, strides[last], scalars)
        else:
            fill(it, to + offset, source + offset, it.to.size, scalars)
        at += many


cdef void run_fill(const Fill *it, const int64_t *longs, char **bases, int threads) noexcept nogil:
    cdef FillJob job
    cdef int64_t size = it.to.size
    cdef int k
    if it.ndim == 0 and size < 2 * FILL_PART:
        fill(it, bases[it.to.slot] + it.to.offset, bases[it.source.slot] + it.source.offset, size, <const double *>bases[0])
        return
    job.it = it
    job.dims = longs + it.dims
    job.bases = bases
    job.n = 1 if it.ndim else size
    for k in range(it.ndim):
        job.n *= job.dims[k]
        size *= job.dims[k]
    job.parts = <int>min(size // FILL_PART, min(job.n, <int64_t>FILL_PARTS))
    if job.parts < 2:
        job.parts = 1
        fill_part(&job, 0, NULL)
    else:
        parallel(fill_part, &job, job.parts, threads, 0, NULL)


cdef struct BlocksJob:                  # what the parts of a block step share
    const Step *step
    const int64_t *longs
    const Access *accesses
    const VmOp *ops
    const Splat *splats
    const Fold *folds
    const ad_kernel_table *kernels
    char **bases
    char *privates                      # accumulators of the parts
    int phase


cdef double neutral(int mode) noexcept nogil:
    """What leaves every number as it is, to the bit."""
    if mode == AD_ADD:
        return -0.0
    return 1.0 if mode == AD_MUL else (-INFINITY if mode == AD_MAX else INFINITY)


cdef void start_fold(const BlocksJob *job, int k, int part) noexcept nogil:
    cdef const Fold *fold = &job.folds[k]
    cdef const Access *store = &job.accesses[fold.store]
    cdef char *to = job.privates + fold.at + part * fold.room
    if store.dtype == F64:
        fill_floats(<double *>to, neutral(store.mode), fold.span // 8)
    else:
        fill_floats(<float *>to, <float>neutral(store.mode), fold.span // 4)


cdef void finish_folds(const BlocksJob *job, char *scratch) noexcept nogil:
    """Fold the accumulators into the arrays, in the order of the parts."""
    cdef const Fold *fold
    cdef const Access *store
    cdef Py_ssize_t n, done, m, item
    cdef char *to
    cdef char *block
    cdef int k, part
    for k in range(job.step.n_folds):
        fold = &job.folds[k]
        store = &job.accesses[fold.store]
        to = job.bases[store.slot] + fold.low
        item = item_size(store.dtype)
        n = fold.span // item
        for part in range(job.step.parts):
            block = job.privates + fold.at + part * fold.room
            done = 0
            while done < n:
                m = min(n - done, <Py_ssize_t>BLOCK)
                if store.dtype == F64:
                    job.kernels.store[<int>F64][store.mode](to + done * item, <double *>(block + done * item), 1, &m, &item)
                else:
                    job.kernels.load[store.dtype](<double *>scratch, block + done * item, 1, &m, &item)
                    job.kernels.store[store.dtype][store.mode](to + done * item, <double *>scratch, 1, &m, &item)
                done += m


cdef inline int64_t inside(const int64_t *window, int m, int k, int64_t i) noexcept nogil:
    """The index that an index of dimension k stands for, or NOWHERE: the window is zero there."""
    cdef int64_t low = window[WINDOW_LOW * m + k], high = window[WINDOW_HIGH * m + k], around
    if i < low:
        around = window[WINDOW_BELOW * m + k]
        return NOWHERE if around == 0 else (low if around == CLAMPED else i + around)
    if i >= high:
        around = window[WINDOW_ABOVE * m + k]
        return NOWHERE if around == 0 else (high - 1 if around == CLAMPED else i - around)
    return i


cdef void load_row(double *reg, const Access *access, const char *row, const int64_t *window, int m, int64_t stride,
                   int64_t start, int64_t end, const ad_kernel_table *kernels) noexcept nogil:
    """The indices [start, end) of the last dimension, in up to three parts."""
    cdef int64_t low = window[WINDOW_LOW * m + m - 1], high = window[WINDOW_HIGH * m + m - 1], stop, at
    cdef Py_ssize_t n, step
    while start < end:
        stop = min(low, end) if start < low else (min(high, end) if start < high else end)
        n = stop - start
        at = inside(window, m, m - 1, start)
        step = stride
        if at == NOWHERE:
            memset(reg, 0, n * 8)
        else:
            if (start < low and window[WINDOW_BELOW * m + m - 1] == CLAMPED
                    or start >= high and window[WINDOW_ABOVE * m + m - 1] == CLAMPED):
                step = 0
            if access.dtype == F64 and step == 8:
                memcpy(reg, row + at * stride, n * 8)
            elif access.dtype == F64 and n == 1:
                reg[0] = (<const double *>(row + at * stride))[0]
            else:
                kernels.load[access.dtype](reg, row + at * stride, 1, &n, &step)
        reg += n
        start = stop


cdef double *load_window(double *reg, const Step *step, const Access *access, const int64_t *longs, const char *base,
                         const int64_t *index, int64_t start, const Py_ssize_t *block, const ad_kernel_table *kernels) noexcept nogil:
    """A block of a window: a pointer to it where it is dense and inside, else packed into the register."""
    cdef const int64_t *window = longs + access.window
    cdef const int64_t *strides = longs + access.strides
    cdef const int64_t *dims = longs + step.dims
    cdef int m = step.ndim, last = step.ndim - 1, blocked = step.blocked, k
    cdef int64_t at, rows = 1, n = dims[last], row, left, place, chunk = block[0]
    cdef bint inner = window[WINDOW_LOW * m + blocked] <= start and start + chunk <= window[WINDOW_HIGH * m + blocked]
    cdef const char *here
    for k in range(blocked):
        at = inside(window, m, k, index[k])
        if at == NOWHERE:
            memset(reg, 0, chunk * step.inner * 8)
            return reg
        base += at * strides[k]
    for k in range(blocked + 1, m):
        inner = inner and window[WINDOW_LOW * m + k] == 0 and window[WINDOW_HIGH * m + k] == dims[k]
    if inner:
        base += start * strides[blocked]
        if access.direct:
            return <double *>base
        kernels.load[access.dtype](reg, base, m - blocked, block, <const Py_ssize_t *>(strides + blocked))
        return reg
    if blocked == last:
        load_row(reg, access, base, window, m, strides[last], start, start + chunk, kernels)
        return reg
    rows = chunk
    for k in range(blocked + 1, last):
        rows *= dims[k]
    for row in range(rows):
        left = row
        here = base
        for k in range(last - 1, blocked - 1, -1):
            place = left
            if k > blocked:
                place = left % dims[k]
                left //= dims[k]
            else:
                place += start
            at = inside(window, m, k, place)
            if at == NOWHERE:
                here = NULL
                break
            here += at * strides[k]
        if here == NULL:
            memset(reg + row * n, 0, n * 8)
        else:
            load_row(reg + row * n, access, here, window, m, strides[last], 0, n, kernels)
    return reg


cdef inline char *set_registers(const Step *step, const Splat *splats, const double *scalars, double **regs, char *temps,
                                int64_t n) noexcept nogil:
    """Where the registers of a step are, and what those of them hold that stay as they are.

    Returns where the first one would be if all were of one length: those that hold one number for phrases are short.
    """
    cdef Py_ssize_t bytes = reg_bytes(step)
    cdef char *first
    cdef double value
    cdef double *reg
    cdef int64_t i
    cdef int j
    first = temps + (ALIGN - <Py_ssize_t>temps % ALIGN)
    for j in range(step.n_short):
        regs[j] = <double *>(first + j * ALIGN)
    first += step.n_short * (ALIGN - bytes)
    for j in range(step.n_short, step.n_temps):
        regs[j] = <double *>(first + j * bytes)
    for j in range(step.n_splats):
        value = scalars[splats[j].scalar]
        reg = regs[splats[j].reg]
        for i in range(0, 8 if splats[j].reg < step.n_short else n, 4):     # a register is as long as whole cache lines
            reg[i] = value
            reg[i + 1] = value
            reg[i + 2] = value
            reg[i + 3] = value
    return first


cdef inline void run_ops(const VmOp *op, int n_ops, double **regs, int64_t n, const ad_kernel_table *kernels) noexcept nogil:
    cdef const VmOp *end = op + n_ops
    while op < end:
        if op.op < AD_N_ELEMENTWISE:
            kernels.elementwise[op.op](regs[op.y], regs[op.x1], regs[op.x2], regs[op.x3], n)
        elif op.op >= AD_N_ELEMENTWISE + AD_N_PAIRS:
            kernels.phrase[op.op - AD_N_ELEMENTWISE - AD_N_PAIRS](
                regs[op.y], regs[op.x1], regs[op.x2], regs[op.x3], regs[op.x4], n, op.splats)
        else:
            kernels.pair[op.op - AD_N_ELEMENTWISE](regs[op.y], regs[op.x2], regs[op.x1], n)
        if op.round_f32:
            kernels.round_f32(regs[op.y], regs[op.y], regs[op.y], regs[op.y], n)
        op += 1


cdef inline void load(const Access *access, const char *at, double **regs, int ndim, const Py_ssize_t *dims, const Py_ssize_t *strides,
                      const ad_kernel_table *kernels) noexcept nogil:
    """A read into a register, or several into as many."""
    cdef double *to[FIELDS_MAX]
    cdef int k
    if access.fields == 1:
        kernels.load[access.dtype](regs[access.reg], at, ndim, dims, strides)
        return
    for k in range(access.fields):
        to[k] = regs[access[k].reg]
    kernels.load_records(to, at, access.fields, ndim, dims, strides)


cdef inline void store(const Access *access, char *at, double **regs, int ndim, const Py_ssize_t *dims, const Py_ssize_t *strides,
                       const ad_kernel_table *kernels) noexcept nogil:
    cdef double *x[FIELDS_MAX]
    cdef int k
    if access.fields == 1:
        kernels.store[access.dtype][access.mode](at, regs[access.reg], ndim, dims, strides)
        return
    for k in range(access.fields):
        x[k] = regs[access[k].reg]
    kernels.store_records[access.mode](at, x, access.fields, ndim, dims, strides)


cdef void one_block(const Step *step, Plan plan, const ad_kernel_table *kernels, char **bases, char *scratch) noexcept nogil:
    """A block step that is a single block, as those over small arrays are: nothing moves on."""
    cdef const int64_t *longs = <int64_t *>plan.longs.data
    cdef const Py_ssize_t *dims = <const Py_ssize_t *>(longs + step.dims)
    cdef const Access *access = (<Access *>plan.accesses.data) + step.first_load
    cdef const Access *stores = access + step.n_loads
    cdef const Access *end = stores + step.n_stores
    cdef double **regs = <double **>scratch
    cdef int64_t n = dims[0] * step.inner
    cdef char *at
    if step.padded:
        n = (n + 7) // 8 * 8
    set_registers(step, (<Splat *>plan.splats.data) + step.first_splat, <double *>bases[0], regs, scratch + step.n_regs * 8, n)
    while access < end:
        at = bases[access.slot] + access.offset
        if access.direct:
            regs[access.reg] = <double *>at
        elif access < stores:
            load(access, at, regs, step.ndim, dims, <const Py_ssize_t *>(longs + access.strides), kernels)
            access += access.fields
            continue
        access += 1
    run_ops((<VmOp *>plan.ops.data) + step.first_op, step.n_ops, regs, n, kernels)
    while stores < end:
        if not stores.direct:
            store(stores, bases[stores.slot] + stores.offset, regs, step.ndim, dims,
                  <const Py_ssize_t *>(longs + stores.strides), kernels)
        stores += stores.fields


cdef void blocks_part(void *data, int part, char *scratch) noexcept nogil:
    """One part of a block step: every block whose index in the split dimension is in the part's range."""
    cdef const BlocksJob *job = <const BlocksJob *>data
    cdef const Step *step = job.step
    cdef const int64_t *longs = job.longs
    cdef const int64_t *dims = longs + step.dims
    cdef const Access *accesses = job.accesses
    cdef const ad_kernel_table *kernels = job.kernels
    cdef double **regs = <double **>scratch
    cdef char **at = <char **>(scratch + step.n_regs * 8)
    cdef char *temps = scratch + (step.n_regs + step.n_loads + step.n_stores) * 8
    cdef int n_access = step.n_loads + step.n_stores
    cdef Py_ssize_t[MAX_DIMS] block
    cdef int64_t[MAX_DIMS] index, first, end    # the range of each dimension up to the blocked one
    cdef int blocked = step.blocked, nb = step.ndim - step.blocked, j
    cdef int64_t start, chunk, n, k, unit, units, outer = 1
    part = part * step.phases + job.phase
    n = step.chunk * step.inner
    if step.padded:
        n = (n + 7) // 8 * 8
    temps = set_registers(step, job.splats, <double *>job.bases[0], regs, temps, n)
    for k in range(blocked + 1):
        first[k] = 0
        end[k] = dims[k]
    if step.parts > 1:
        unit = step.chunk if step.split == blocked else 1
        units = (dims[step.split] + unit - 1) // unit
        first[step.split] = units * part // step.parts * unit
        end[step.split] = min(dims[step.split], units * (part + 1) // step.parts * unit)
    for j in range(n_access):
        at[j] = job.bases[accesses[j].slot] + accesses[j].offset
    for k in range(step.n_folds):
        start_fold(job, <int>k, part)
        j = job.folds[k].store
        at[j] = job.privates + job.folds[k].at + part * job.folds[k].room + (accesses[j].offset - job.folds[k].low)
    for k in range(blocked):
        outer *= end[k] - first[k]
        index[k] = first[k]
        for j in range(n_access):
            at[j] += longs[accesses[j].strides + k] * first[k]
    for k in range(nb):
        block[k] = dims[blocked + k]
    block[0] = step.chunk
    for j in range(step.n_loads):
        if accesses[j].still:
            kernels.load[accesses[j].dtype](regs[accesses[j].reg], at[j], nb, block,
                                            <const Py_ssize_t *>(longs + accesses[j].strides + blocked))
    while outer > 0:
        start = first[blocked]
        while start < end[blocked]:
            chunk = step.chunk if start + step.chunk <= end[blocked] else end[blocked] - start
            block[0] = chunk
            n = chunk * step.inner
            if step.padded:
                n = (n + 7) // 8 * 8
            j = 0
            while j < step.n_loads:
                if accesses[j].window >= 0:
                    regs[accesses[j].reg] = load_window(
                        <double *>(temps + accesses[j].reg * reg_bytes(step)), step, &accesses[j], longs,
                        job.bases[accesses[j].slot] + accesses[j].offset, index, start, block, kernels)
                elif accesses[j].direct:
                    regs[accesses[j].reg] = <double *>(at[j] + start * longs[accesses[j].strides + blocked])
                elif not accesses[j].still:
                    load(&accesses[j], at[j] + start * longs[accesses[j].strides + blocked], regs,
                         nb, block, <const Py_ssize_t *>(longs + accesses[j].strides + blocked), kernels)
                j += accesses[j].fields
            for j in range(step.n_loads, n_access):
                if accesses[j].direct:
                    regs[accesses[j].reg] = <double *>(at[j] + start * longs[accesses[j].strides + blocked])
            run_ops(job.ops, step.n_ops, regs, n, kernels)
            j = step.n_loads
            while j < n_access:
                if not accesses[j].direct:
                    store(&accesses[j], at[j] + start * longs[accesses[j].strides + blocked], regs,
                          nb, block, <const Py_ssize_t *>(longs + accesses[j].strides + blocked), kernels)
                j += accesses[j].fields
            start += chunk
        outer -= 1
        k = blocked - 1
        while k >= 0:                           # odometer over the outer dimensions
            index[k] += 1
            for j in range(n_access):
                at[j] += longs[accesses[j].strides + k]
            if index[k] < end[k]:
                break
            for j in range(n_access):
                at[j] -= longs[accesses[j].strides + k] * (end[k] - first[k])
            index[k] = first[k]
            k -= 1


cdef void run_blocks(const Step *step, Plan plan, const ad_kernel_table *kernels, char **bases,
                     char *scratch, char *privates, int threads) noexcept nogil:
    cdef BlocksJob job
    cdef int k
    job.step = step
    job.longs = <int64_t *>plan.longs.data
    job.accesses = (<Access *>plan.accesses.data) + step.first_load
    job.ops = (<VmOp *>plan.ops.data) + step.first_op
    job.splats = (<Splat *>plan.splats.data) + step.first_splat
    job.folds = (<Fold *>plan.folds.data) + step.first_fold
    job.kernels = kernels
    job.bases = bases
    job.privates = privates
    job.phase = 0
    for k in range(step.ndim):
        if job.longs[step.dims + k] == 0:
            return
    if step.parts == 1:
        blocks_part(&job, 0, scratch)
        return
    for k in range(step.phases):
        job.phase = k
        parallel(blocks_part, &job, (step.parts - k + step.phases - 1) // step.phases, threads,
                 blocks_scratch(step), scratch)
    if step.n_folds:
        finish_folds(&job, scratch)


cdef void run_scalars(const Step *step, Plan plan, const ad_kernel_table *kernels, char **bases) noexcept nogil:
    cdef double *s = <double *>bases[0]
    cdef const int32_t *wires = <int32_t *>plan.wires.data
    cdef const int64_t *longs = <int64_t *>plan.longs.data
    cdef const Run *run
    cdef const char *base
    cdef int32_t j
    cdef int64_t k
    for j in range(step.n_runs):
        run = (<Run *>plan.runs.data) + step.first_run + j
        if not run.load:
            kernels.run[run.op](s, run.y, wires + run.index, wires + run.index + run.n,
                                wires + run.index + 2 * run.n, run.n)
        else:
            base = bases[run.slot] + run.offset
            if run.dtype == F64:
                kernels.run_load(s, run.y, <const double *>base, longs + run.index, run.n)
            else:
                for k in range(run.n):
                    if run.dtype == F32:
                        s[run.y + k] = (<const float *>base)[longs[run.index + k]]
                    elif run.dtype == BOOL:
                        s[run.y + k] = (<const uint8_t *>base)[longs[run.index + k]]
                    else:
                        s[run.y + k] = <double>(<const int64_t *>base)[longs[run.index + k]]
        if run.round_f32:
            kernels.round_f32(s + run.y, s + run.y, s + run.y, s + run.y, run.n)


cdef void tiny_product(double *y, const double *x1, const double *x2, int64_t m, int64_t k, int64_t n,
                       const int64_t *s1, const int64_t *s2, bint adds) noexcept nogil:
    """y (+)= x1 @ x2 for matrices too small for BLAS to pay."""
    cdef int64_t i, j, p
    cdef double total
    for i in range(m):
        for j in range(n):
            total = y[i * n + j] if adds else 0.0
            for p in range(k):
                total += x1[i * s1[0] + p * s1[1]] * x2[p * s2[0] + j * s2[1]]
            y[i * n + j] = total


cdef void product(char *y, const char *x1, const char *x2, int64_t m, int64_t k, int64_t n,
                  const int64_t *s1, const int64_t *s2, bint single, bint adds) noexcept nogil:
    """Row-major y[m,n] (+)= x1[m,k] x2[k,n], each factor plain or transposed.

    BLAS is column-major: it computes y' = x2' x1' on the same memory.
    """
    cdef char t1, t2
    cdef int im = <int>m, ik = <int>k, in_ = <int>n, ld1, ld2, ldy, one = 1
    cdef double alpha = 1.0, beta = 1.0 if adds else 0.0
    cdef float salpha = 1.0, sbeta = 1.0 if adds else 0.0
    if m == 0 or n == 0:
        return
    if k == 0:
        if not adds:
            memset(y, 0, m * n * (4 if single else 8))
        return
    # plain: unit column stride; else transposed
    if (s1[1] == 1 or k == 1) and (s1[0] >= k or m == 1):
        t1 = b'N'
        ld1 = <int>max(s1[0], k, 1) if m > 1 else <int>max(k, 1)
    else:
        t1 = b'T'
        ld1 = <int>max(s1[1], m, 1) if k > 1 else <int>max(m, 1)
    if (s2[1] == 1 or n == 1) and (s2[0] >= n or k == 1):
        t2 = b'N'
        ld2 = <int>max(s2[0], n, 1) if k > 1 else <int>max(n, 1)
    else:
        t2 = b'T'
        ld2 = <int>max(s2[1], k, 1) if n > 1 else <int>max(k, 1)
    ldy = in_
    if single:
        sgemm(&t2, &t1, &in_, &im, &ik, &salpha, <float *>x2, &ld2, <float *>x1, &ld1, &sbeta, <float *>y, &ldy)
        return
    if n == 1 and (k == 1 or s2[0] == 1):
        # x1 is, column-major, k x m with leading dimension ld1 (plain), so x1 @ v is its transpose
        if t1 == b'N':
            t1 = b'T'
            dgemv(&t1, &ik, &im, &alpha, <double *>x1, &ld1, <double *>x2, &one, &beta, <double *>y, &one)
        else:
            t1 = b'N'
            dgemv(&t1, &im, &ik, &alpha, <double *>x1, &ld1, <double *>x2, &one, &beta, <double *>y, &one)
        return
    if m == 1 and (k == 1 or s1[1] == 1):
        if t2 == b'N':
            dgemv(&t2, &in_, &ik, &alpha, <double *>x2, &ld2, <double *>x1, &one, &beta, <double *>y, &one)
        else:
            dgemv(&t2, &ik, &in_, &alpha, <double *>x2, &ld2, <double *>x1, &one, &beta, <double *>y, &one)
        return
    dgemm(&t2, &t1, &in_, &im, &ik, &alpha, <double *>x2, &ld2, <double *>x1, &ld1, &beta, <double *>y, &ldy)


cdef void run_matmul(const Step *step, Plan plan, const ad_kernel_table *kernels, char **bases) noexcept nogil:
    cdef const int64_t *numbers = <int64_t *>plan.longs.data + step.numbers
    cdef int64_t nb = numbers[0], m = numbers[1], k = numbers[2], n = numbers[3]
    cdef const int64_t *batch = numbers + 4
    cdef const int64_t *s1 = batch + nb
    cdef const int64_t *s2 = s1 + nb + 2
    cdef bint single = step.y.dtype == F32
    cdef int64_t item = 4 if single else 8
    cdef char *y = bases[step.y.slot] + step.y.offset
    cdef const char *x1 = bases[step.x1.slot] + step.x1.offset
    cdef const char *x2 = bases[step.x2.slot] + step.x2.offset
    cdef int64_t[MAX_DIMS] index
    cdef int64_t d, left = 1
    cdef bint thin = not single and FEW <= n <= AD_THIN and 0 < k <= AD_DEEP and m >= FEW
    cdef bint tiny = not single and m <= TINY and n <= TINY and k <= TINY
    for d in range(nb):
        left *= batch[d]
        index[d] = 0
    while left > 0:
        if thin:
            kernels.thin_product(<double *>y, <const double *>x1, <const double *>x2, m, k, n, <const Py_ssize_t *>(s1 + nb),
                                 <const Py_ssize_t *>(s2 + nb), step.adds)
        elif tiny:
            tiny_product(<double *>y, <const double *>x1, <const double *>x2, m, k, n, s1 + nb, s2 + nb,
                         step.adds)
        else:
            product(y, x1, x2, m, k, n, s1 + nb, s2 + nb, single, step.adds)
        y += m * n * item
        left -= 1
        d = nb - 1
        while d >= 0:
            index[d] += 1
            x1 += s1[d] * item
            x2 += s2[d] * item
            if index[d] < batch[d]:
                break
            x1 -= s1[d] * batch[d] * item
            x2 -= s2[d] * batch[d] * item
            index[d] = 0
            d -= 1


cdef int run_gather(const Step *step, const ad_kernel_table *kernels, char **bases) noexcept nogil:
    """Rows by index; float64 by the kernel, other widths as plain copies."""
    cdef char *y = bases[step.y.slot] + step.y.offset
    cdef const char *base = bases[step.x1.slot] + step.x1.offset
    cdef const int64_t *index = <const int64_t *>(bases[step.x2.slot] + step.x2.offset)
    cdef int64_t m = step.x2.size, inner = step.y.size // m if m else 0, k, item
    cdef int bad = 0
    if step.y.dtype == F64:
        return kernels.gather(<double *>y, <const double *>base, index, m, inner, step.x1.size)
    item = 1 if step.y.dtype == BOOL else (4 if step.y.dtype == F32 else 8)
    for k in range(m):
        if index[k] < 0 or index[k] + inner > step.x1.size:
            bad = 1
        else:
            memcpy(y + k * inner * item, base + index[k] * item, inner * item)
    return bad


cdef int run_scatter(const Step *step, const ad_kernel_table *kernels, char **bases) noexcept nogil:
    cdef char *base = bases[step.y.slot] + step.y.offset
    cdef const char *x = bases[step.x1.slot] + step.x1.offset
    cdef const int64_t *index = <const int64_t *>(bases[step.x2.slot] + step.x2.offset)
    cdef int64_t m = step.x2.size, inner = step.x1.size // m if m else 0, k, j, item
    cdef bint adds = step.kind == STEP_SCATTER_ADD
    cdef int bad = 0
    if step.y.dtype == F64 and step.x1.dtype == F64:
        if adds:
            return kernels.scatter_add(<double *>base, <const double *>x, index, m, inner, step.y.size)
        return kernels.put(<double *>base, <const double *>x, index, m, inner, step.y.size)
    item = 1 if step.y.dtype == BOOL else (4 if step.y.dtype == F32 else 8)
    for k in range(m):
        if index[k] < 0 or index[k] + inner > step.y.size:
            bad = 1
        elif adds and step.y.dtype == F32:
            for j in range(inner):
                (<float *>base)[index[k] + j] += (<const float *>x)[k * inner + j]
        else:
            memcpy(base + index[k] * item, x + k * inner * item, inner * item)
    return bad


cdef void run_pack(const Step *step, Plan plan, const ad_kernel_table *kernels, char **bases) noexcept nogil:
    cdef char *base = bases[step.y.slot] + step.y.offset
    cdef const int64_t *index = <int64_t *>plan.longs.data + step.numbers
    cdef const int32_t *x = <int32_t *>plan.wires.data + step.first_run
    cdef const double *s = <double *>bases[0]
    cdef int32_t k
    cdef bint adds = step.kind == STEP_PACK_ADD
    if step.y.dtype == F64:
        if adds:
            kernels.run_store_add(<double *>base, index, s, x, step.count)
        else:
            kernels.run_store(<double *>base, index, s, x, step.count)
        return
    for k in range(step.count):
        if step.y.dtype == F32:
            (<float *>base)[index[k]] = <float>(s[x[k]] + ((<float *>base)[index[k]] if adds else 0.0))
        elif step.y.dtype == BOOL:
            (<uint8_t *>base)[index[k]] = s[x[k]] != 0.0


cdef void run_cumsum(const Step *step, Plan plan, const ad_kernel_table *kernels, char **bases) noexcept nogil:
    cdef const int64_t *numbers = <int64_t *>plan.longs.data + step.numbers
    cdef char *y = bases[step.y.slot] + step.y.offset
    cdef const char *x = bases[step.x1.slot] + step.x1.offset
    cdef int64_t outer, j, i, at, n = numbers[1], inner = numbers[2]
    cdef double total
    if step.y.dtype == F64 and step.x1.dtype == F64:
        kernels.cumsum(<double *>y, <const double *>x, numbers[0], n, inner, <int>numbers[3])
        return
    for outer in range(numbers[0]):
        for i in range(inner):
            total = 0.0
            for j in range(n):
                at = (outer * n + (n - 1 - j if numbers[3] else j)) * inner + i
                total += (<const float *>x)[at]
                (<float *>y)[at] = <float>total


cdef object operand(const int64_t **numbers, char **bases, bint writeable):
    """An array over an operand's memory, which lives for the call alone; moves on to the next operand."""
    cdef const int64_t *it = numbers[0]
    cdef cnp.npy_intp[MAX_DIMS] dims
    cdef int64_t k
    cdef int type_number = cnp.NPY_DOUBLE
    if it[2] == F32:
        type_number = cnp.NPY_FLOAT
    elif it[2] == BOOL:
        type_number = cnp.NPY_BOOL
    elif it[2] == I64:
        type_number = cnp.NPY_INT64
    for k in range(it[3]):
        dims[k] = it[4 + k]
    numbers[0] = it + 4 + it[3]
    array = cnp.PyArray_SimpleNewFromData(<int>it[3], dims, type_number, bases[it[0]] + it[1])
    if not writeable:
        cnp.PyArray_CLEARFLAGS(array, cnp.NPY_ARRAY_WRITEABLE)
    return array


cdef int run_call(const Step *step, Plan plan, char **bases, PyObject *failures) noexcept with gil:
    """A function of whole arrays, in Python; what it raises is kept for the caller of the sweep."""
    cdef const int64_t *numbers = <const int64_t *>plan.longs.data + step.numbers
    cdef int64_t n = numbers[0], k
    try:
        numbers += 1
        y = operand(&numbers, bases, True)
        args = []
        for k in range(n):  # no-cython-lint
            args.append(operand(&numbers, bases, False))
        rule = plan.calls[step.count]
        into = getattr(rule, "into", None)
        if into is not None:
            into(y, *args)
            return 0
        result = rule.evaluate(*args)
        if np.shape(result) != y.shape:
            raise errors.PlanError(f"{rule} gave shape {np.shape(result)}, it was recorded with {y.shape}")
        y[...] = result
    except BaseException as error:
        (<list>failures).append(error)
        return 2
    return 0


cdef int run_native(const Step *step, Plan plan, char **bases, PyObject *failures) noexcept nogil:
    """A kernel of the user's, on operands in place."""
    cdef const Native *native = (<Native *>plan.natives.data) + step.first_run
    cdef const int64_t *it = <const int64_t *>plan.longs.data + step.numbers
    cdef read_only[OPERANDS_MAX] operands
    cdef int64_t[OPERANDS_MAX] lengths
    cdef int64_t n = it[0], k, j
    cdef int code
    it += 1
    for k in range(n + 1):          # the result first
        operands[k] = <const double *>(bases[it[0]] + it[1])
        lengths[k] = 1
        for j in range(it[3]):
            lengths[k] *= it[4 + j]
        it += 4 + it[3]
    code = invoke(native, <double *>operands[0], lengths[0], operands + 1, lengths + 1)
    return native_failed(step, plan, code, failures) if code else 0


cdef int native_failed(const Step *step, Plan plan, int code, PyObject *failures) noexcept with gil:
    try:
        raise plan.calls[step.count].failed(code)
    except BaseException as error:
        (<list>failures).append(error)
    return 2


cdef void move(const Loop *loop, Plan plan, int64_t tile, char **bases, int threads) noexcept nogil:
    """Point the moving slots at this tile; before the first, prepare what sums over all tiles start from."""
    cdef const Moving *moving = (<Moving *>plan.moving.data) + loop.first_moving
    cdef int32_t j
    if tile == 0:
        for j in range(loop.n_fills):
            run_fill((<Fill *>plan.loop_fills.data) + loop.first_fill + j, <int64_t *>plan.longs.data, bases, threads)
    for j in range(loop.n_moving):
        bases[moving[j].slot] = bases[moving[j].source] + tile * moving[j].step


cdef int execute(Plan plan, const ad_kernel_table *kernels, char **bases, char *scratch, char *privates,
                 int threads, double *seconds, Py_ssize_t *failed, PyObject *failures) noexcept nogil:
    """Run every step, on at most so many threads.

    Returns 0; 1 when an index was out of range: ``failed`` is the step; 2 when a call raised what stands in the
    list ``failures``. ``seconds``, unless NULL, gets the time of each step added.
    """
    cdef Py_ssize_t k = 0
    cdef int32_t j
    cdef const Step *step
    cdef const Loop *loop = <Loop *>plan.loops.data
    cdef Py_ssize_t loops_left = plan.loops.n
    cdef int64_t tile = 0
    cdef int bad
    cdef double started = 0.0, now
    if not plan.wide:
        threads = 1
    if seconds != NULL:
        started = clock_seconds()
    while k < plan.steps.n:
        if loops_left and k == loop.first:
            move(loop, plan, tile, bases, threads)
        step = (<Step *>plan.steps.data) + k
        for j in range(step.n_fills):
            run_fill((<Fill *>plan.fills.data) + step.first_fill + j, <int64_t *>plan.longs.data, bases, threads)
        bad = 0
        if step.kind == STEP_BLOCKS:
            if step.single:
                one_block(step, plan, kernels, bases, scratch)
            else:
                run_blocks(step, plan, kernels, bases, scratch, privates, threads)
        elif step.kind == STEP_RUNS:
            run_scalars(step, plan, kernels, bases)
        elif step.kind == STEP_MATMUL:
            run_matmul(step, plan, kernels, bases)
        elif step.kind == STEP_GATHER:
            bad = run_gather(step, kernels, bases)
        elif step.kind == STEP_CUMSUM:
            run_cumsum(step, plan, kernels, bases)
        elif step.kind == STEP_PACK or step.kind == STEP_PACK_ADD:
            run_pack(step, plan, kernels, bases)
        elif step.kind == STEP_CALL:
            bad = run_call(step, plan, bases, failures)
        elif step.kind == STEP_NATIVE:
            bad = run_native(step, plan, bases, failures)
        else:
            bad = run_scatter(step, kernels, bases)
        if bad:
            failed[0] = k
            return bad
        if seconds != NULL:
            now = clock_seconds()
            seconds[k] += now - started
            started = now
        k += 1
        if loops_left and k == loop.end:
            tile += 1
            if tile < loop.count:
                k = loop.first
            else:
                tile = 0
                loops_left -= 1
                loop += 1
    return 0
