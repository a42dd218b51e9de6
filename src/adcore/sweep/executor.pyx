"""The executor: runs the steps of a plan, without the GIL.

Operands are addressed as ``bases[slot] + offset``. Everything an instruction may touch was
checked when the plan was made and bound, so no step tests an index again
except gathers and scatters, whose indices are data: their kernels report by a flag.
No Python object is reachable from here but the functions that calls name.
"""

cimport numpy as cnp
from cpython.ref cimport PyObject

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy, memset
from scipy.linalg.cython_blas cimport dgemm, dgemv, sgemm

import numpy as np

from adcore import errors

from adcore.plan.plan cimport (
    Access, ALIGN, BLOCK, FILL_COPY, FILL_VALUE, Fill, Plan, Run, Splat, Step,
    STEP_BLOCKS, STEP_CALL, STEP_CUMSUM, STEP_GATHER, STEP_MATMUL, STEP_PACK, STEP_PACK_ADD,
    STEP_RUNS, STEP_SCATTER_ADD, VmOp,
)
from adcore.tape.program cimport BOOL, F32, F64, I64

cnp.import_array()

cdef enum:
    REG_BYTES = BLOCK * 8 + 64      # an odd number of cache lines: registers do not alias in L1
    MAX_DIMS = 64
    MAX_ACCESS = 1024
    TINY = 16                       # products with m, k, n up to this are done here, not by BLAS


cdef Py_ssize_t scratch_needed(Plan plan) noexcept nogil:
    """Bytes of registers and pointers that the widest step needs."""
    cdef Py_ssize_t k, most = 0, wanted
    cdef Step *step
    for k in range(plan.steps.n):
        step = (<Step *>plan.steps.data) + k
        wanted = step.n_temps * REG_BYTES + step.n_regs * 8 + (step.n_loads + step.n_stores) * 8 + 4 * ALIGN
        if wanted > most:
            most = wanted
    return most + ALIGN


cdef void fill(const Fill *it, char **bases) noexcept nogil:
    """Prepare the memory that a store writes into."""
    cdef char *to = bases[it.to.slot] + it.to.offset
    cdef double value
    cdef int64_t k
    if it.kind == FILL_COPY:
        memcpy(to, bases[it.source.slot] + it.source.offset,
               it.to.size * (1 if it.to.dtype == BOOL else (4 if it.to.dtype == F32 else 8)))
        return
    value = it.value if it.kind == FILL_VALUE else (<double *>bases[0])[it.scalar]
    if it.to.dtype == F64:
        if value == 0.0:
            memset(to, 0, it.to.size * 8)
        else:
            for k in range(it.to.size):
                (<double *>to)[k] = value
    elif it.to.dtype == F32:
        for k in range(it.to.size):
            (<float *>to)[k] = <float>value
    elif it.to.dtype == BOOL:
        memset(to, value != 0.0, it.to.size)
    else:
        for k in range(it.to.size):
            (<int64_t *>to)[k] = <int64_t>value


cdef void run_blocks(const Step *step, Plan plan, const ad_kernel_table *kernels, char **bases,
                     char *scratch) noexcept nogil:
    cdef const int64_t *longs = <int64_t *>plan.longs.data
    cdef const int64_t *dims = longs + step.dims
    cdef const Access *accesses = (<Access *>plan.accesses.data) + step.first_load
    cdef const VmOp *ops = (<VmOp *>plan.ops.data) + step.first_op
    cdef const VmOp *op
    cdef const Splat *splats = (<Splat *>plan.splats.data) + step.first_splat
    cdef double **regs = <double **>scratch
    cdef char **at = <char **>(scratch + step.n_regs * 8)
    cdef char *temps = scratch + (step.n_regs + step.n_loads + step.n_stores) * 8
    cdef int n_access = step.n_loads + step.n_stores
    cdef Py_ssize_t[MAX_DIMS] block
    cdef int64_t[MAX_DIMS] index
    cdef int blocked = step.blocked, nb = step.ndim - step.blocked, j
    cdef int64_t start, chunk, n, i, k, outer = 1
    cdef double value
    cdef double *reg
    temps = temps + (ALIGN - <Py_ssize_t>temps % ALIGN)
    for k in range(step.ndim):
        if dims[k] == 0:
            return
    for j in range(step.n_temps):
        regs[j] = <double *>(temps + j * REG_BYTES)
    n = step.chunk * step.inner
    if step.padded:
        n = (n + 7) // 8 * 8
    for j in range(step.n_splats):
        value = (<double *>bases[0])[splats[j].scalar]
        reg = regs[splats[j].reg]
        for i in range(n):
            reg[i] = value
    for j in range(n_access):
        at[j] = bases[accesses[j].slot] + accesses[j].offset
    for k in range(blocked):
        outer *= dims[k]
        index[k] = 0
    for k in range(nb):
        block[k] = dims[blocked + k]
    while outer > 0:
        start = 0
        while start < dims[blocked]:
            chunk = step.chunk if start + step.chunk <= dims[blocked] else dims[blocked] - start
            block[0] = chunk
            n = chunk * step.inner
            if step.padded:
                n = (n + 7) // 8 * 8
            for j in range(step.n_loads):
                if accesses[j].direct:
                    regs[accesses[j].reg] = <double *>(at[j] + start * longs[accesses[j].strides + blocked])
                else:
                    kernels.load[accesses[j].dtype](
                        regs[accesses[j].reg], at[j] + start * longs[accesses[j].strides + blocked],
                        nb, block, <const Py_ssize_t *>(longs + accesses[j].strides + blocked))
            for j in range(step.n_loads, n_access):
                if accesses[j].direct:
                    regs[accesses[j].reg] = <double *>(at[j] + start * longs[accesses[j].strides + blocked])
            for j in range(step.n_ops):
                op = ops + j
                kernels.elementwise[op.op](regs[op.y], regs[op.x1], regs[op.x2], regs[op.x3], n)
                if op.round_f32:
                    kernels.round_f32(regs[op.y], regs[op.y], regs[op.y], regs[op.y], n)
            for j in range(step.n_loads, n_access):
                if not accesses[j].direct:
                    kernels.store[accesses[j].dtype][accesses[j].mode](
                        at[j] + start * longs[accesses[j].strides + blocked], regs[accesses[j].reg],
                        nb, block, <const Py_ssize_t *>(longs + accesses[j].strides + blocked))
            start += chunk
        outer -= 1
        k = blocked - 1
        while k >= 0:                           # odometer over the outer dimensions
            index[k] += 1
            for j in range(n_access):
                at[j] += longs[accesses[j].strides + k]
            if index[k] < dims[k]:
                break
            for j in range(n_access):
                at[j] -= longs[accesses[j].strides + k] * dims[k]
            index[k] = 0
            k -= 1


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
                       const int64_t *s1, const int64_t *s2) noexcept nogil:
    """y = x1 @ x2 for matrices too small for BLAS to pay."""
    cdef int64_t i, j, p
    cdef double total
    for i in range(m):
        for j in range(n):
            total = 0.0
            for p in range(k):
                total += x1[i * s1[0] + p * s1[1]] * x2[p * s2[0] + j * s2[1]]
            y[i * n + j] = total


cdef void product(char *y, const char *x1, const char *x2, int64_t m, int64_t k, int64_t n,
                  const int64_t *s1, const int64_t *s2, bint single) noexcept nogil:
    """Row-major y[m,n] = x1[m,k] x2[k,n], each factor plain or transposed.

    BLAS is column-major: it computes y' = x2' x1' on the same memory.
    """
    cdef char t1, t2
    cdef int im = <int>m, ik = <int>k, in_ = <int>n, ld1, ld2, ldy, one = 1
    cdef double alpha = 1.0, beta = 0.0
    cdef float salpha = 1.0, sbeta = 0.0
    if m == 0 or n == 0:
        return
    if k == 0:
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


cdef void run_matmul(const Step *step, Plan plan, char **bases) noexcept nogil:
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
    cdef bint tiny = not single and m <= TINY and n <= TINY and k <= TINY
    for d in range(nb):
        left *= batch[d]
        index[d] = 0
    while left > 0:
        if tiny:
            tiny_product(<double *>y, <const double *>x1, <const double *>x2, m, k, n, s1 + nb, s2 + nb)
        else:
            product(y, x1, x2, m, k, n, s1 + nb, s2 + nb, single)
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
        result = plan.calls[step.count].evaluate(*args)
        if np.shape(result) != y.shape:
            raise errors.PlanError(f"{plan.calls[step.count]} gave shape {np.shape(result)}, its rule says {y.shape}")
        y[...] = result
    except BaseException as error:
        (<list>failures).append(error)
        return 2
    return 0


cdef int execute(Plan plan, const ad_kernel_table *kernels, char **bases, char *scratch,
                 Py_ssize_t *failed, PyObject *failures) noexcept nogil:
    """Run every step. Returns 0; 1 when an index was out of range: ``failed`` is the step; 2 when a call raised
    what stands in the list ``failures``."""
    cdef Py_ssize_t k
    cdef int32_t j
    cdef const Step *step
    cdef int bad
    for k in range(plan.steps.n):
        step = (<Step *>plan.steps.data) + k
        for j in range(step.n_fills):
            fill((<Fill *>plan.fills.data) + step.first_fill + j, bases)
        bad = 0
        if step.kind == STEP_BLOCKS:
            run_blocks(step, plan, kernels, bases, scratch)
        elif step.kind == STEP_RUNS:
            run_scalars(step, plan, kernels, bases)
        elif step.kind == STEP_MATMUL:
            run_matmul(step, plan, bases)
        elif step.kind == STEP_GATHER:
            bad = run_gather(step, kernels, bases)
        elif step.kind == STEP_CUMSUM:
            run_cumsum(step, plan, kernels, bases)
        elif step.kind == STEP_PACK or step.kind == STEP_PACK_ADD:
            run_pack(step, plan, kernels, bases)
        elif step.kind == STEP_CALL:
            bad = run_call(step, plan, bases, failures)
        else:
            bad = run_scatter(step, kernels, bases)
        if bad:
            failed[0] = k
            return bad
    return 0
