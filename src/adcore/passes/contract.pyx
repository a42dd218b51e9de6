"""Contraction: a scalar product that only a sum uses becomes one instruction with it."""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport int32_t

from adcore.optable.opcodes cimport AD_OP_ADD, AD_OP_MUL, AD_OP_MULADD
from adcore.passes.builder cimport Builder
from adcore.tape.program cimport F64, Instr, Program, SCALAR_SHAPE, arg, n_args


cdef bint contracts(Program program, const int32_t *n_uses, int32_t x) noexcept:
    """Is x a float64 scalar product with one use?"""
    cdef const Instr *instr = &program.code[x]
    return (instr.op == AD_OP_MUL and instr.dtype == F64 and n_uses[x] == 1
            and program.ints[instr.shape] == 0)


def contract(Program program):
    """``add(mul(a, b), c) -> muladd(a, b, c)`` for float64 scalars, where nothing else reads the product.

    Keeps: outputs, their order, their values to the bit (``muladd`` rounds twice).
    Loses: value numbers. Leaves the products behind for ``dead_code``. Scalar programs run an
    instruction at a time, so one instruction less is time saved; arrays gain nothing.
    """
    cdef Builder builder = Builder(program, False)
    cdef int32_t *new = <int32_t *>PyMem_RawMalloc((program.length + 1) * sizeof(int32_t))
    cdef int32_t *n_uses = <int32_t *>PyMem_RawCalloc(program.length + 1, sizeof(int32_t))
    cdef Py_ssize_t i
    cdef Instr *instr
    cdef int32_t product, other
    cdef int k
    if new == NULL or n_uses == NULL:
        PyMem_RawFree(new)
        PyMem_RawFree(n_uses)
        raise MemoryError()
    try:
        for i in range(program.length):
            instr = &program.code[i]
            for k in range(n_args(instr)):
                n_uses[arg(instr, program.ints, k)] += 1
        for i in range(program.n_results):
            n_uses[program.results[i]] += 1
        for i in range(program.length):
            instr = &program.code[i]
            product = -1
            if instr.op == AD_OP_ADD and instr.dtype == F64 and program.ints[instr.shape] == 0:
                product, other = instr.x1, instr.x2
                if not contracts(program, n_uses, product):
                    product, other = other, product
                    if not contracts(program, n_uses, product):
                        product = -1
            if product >= 0:
                builder.line = program.line[i]
                instr = &program.code[product]
                new[i] = builder.append(AD_OP_MULADD, F64, 3, new[instr.x1], new[instr.x2], new[other], SCALAR_SHAPE, -1)
            else:
                new[i] = builder.translate(program, <int32_t>i, new)
        builder.out.set_results([new[program.results[i]] for i in range(program.n_results)])
    finally:
        PyMem_RawFree(new)
        PyMem_RawFree(n_uses)
    return builder.out
