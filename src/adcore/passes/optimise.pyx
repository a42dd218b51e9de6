"""Optimising passes: simplify (with common subexpressions) and dead code."""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport int32_t, uint8_t

import numpy as np

from adcore.optable.opcodes cimport AD_OP_CALL, AD_OP_CONST, AD_OP_INPUT, AD_OP_SCALAR
from adcore.passes.builder cimport Builder
from adcore.tape.program cimport Instr, NARY, Program, arg, n_args


def simplify(Program program):
    """Rewrite by the builder's rules, fold literals, share common subexpressions.

    Keeps: outputs and their order; values as stated in ``builder``. Loses: value numbers.
    """
    return rebuild(program, True)


def dead_code(Program program):
    """Drop instructions that no output depends on.

    Keeps: outputs, their order, their values to the bit; the numbers of inputs, constants and floats.
    Loses: value numbers.
    """
    cdef uint8_t *live = mark_live(program)
    try:
        return compacted(program, live)
    finally:
        PyMem_RawFree(live)


def optimise(Program program):
    """What is done to every program before and after it is differentiated.

    What a builder emitted through its rules (as ``reverse`` does) is simple already.
    """
    return dead_code(program if program.simplified else simplify(program))


def strip(Program program):
    """Put its first argument in the place of each call that only carries a derivative rule, and optimise again.

    Keeps: outputs and their order. Loses: the rules, so what comes out is not differentiated any more.
    """
    cdef set carriers = {k for k, rule in enumerate(program.rules) if getattr(rule, "transparent", False)}
    cdef int32_t[::1] new
    cdef Builder builder
    cdef Instr *instr
    cdef Py_ssize_t i
    if not carriers:
        return program
    builder = Builder(program)
    new = np.empty(program.length + 1, dtype=np.int32)
    for i in range(program.length):
        instr = &program.code[i]
        if instr.op == AD_OP_CALL and instr.param in carriers:
            new[i] = new[arg(instr, program.ints, 0)]
        else:
            new[i] = builder.translate(program, <int32_t>i, &new[0])
    builder.out.set_results([new[program.results[i]] for i in range(program.n_results)])
    return dead_code(builder.out)


def all_inputs(Program program):
    """The program with its constants and floats as further inputs, in this order after its own.

    Keeps: instructions and outputs.
    """
    cdef Builder builder = Builder(program, False)
    cdef int32_t[::1] new = np.empty(program.length + 1, dtype=np.int32)
    cdef Instr *instr
    cdef Py_ssize_t i
    cdef int32_t first
    for i in range(program.length):
        instr = &program.code[i]
        if instr.op != AD_OP_CONST and instr.op != AD_OP_SCALAR:
            new[i] = builder.translate(program, <int32_t>i, &new[0])
            continue
        first = program.n_inputs + (0 if instr.op == AD_OP_CONST else program.n_consts)
        new[i] = builder.append(AD_OP_INPUT, instr.dtype, 0, -1, -1, -1, builder.copy_shape(program, instr.shape),
                                first + instr.param)
    builder.out.n_inputs = program.n_inputs + program.n_consts + program.n_scalars
    builder.out.n_consts = builder.out.n_scalars = 0
    builder.out.set_results([new[program.results[i]] for i in range(program.n_results)])
    return builder.out


cdef uint8_t *mark_live(Program program) except NULL:
    cdef uint8_t *live = <uint8_t *>PyMem_RawCalloc(program.length + 1, 1)
    cdef Py_ssize_t i
    cdef int k
    if live == NULL:
        raise MemoryError()
    for i in range(program.n_results):
        live[program.results[i]] = 1
    for i in range(program.length):
        if program.code[i].op == AD_OP_INPUT:       # a run binds it, used or not
            live[i] = 1
    for i in range(program.length - 1, -1, -1):
        if live[i]:
            for k in range(n_args(&program.code[i])):
                live[arg(&program.code[i], program.ints, k)] = 1
    return live


cdef Program compacted(Program program, const uint8_t *live):
    """The instructions that live, in their order, over the same pools; the program itself when all do."""
    cdef Program out
    cdef int32_t *new
    cdef Py_ssize_t i, n = 0
    cdef Instr *instr
    cdef int k
    for i in range(program.length):
        n += live[i]
    if n == program.length:
        return program
    new = <int32_t *>PyMem_RawMalloc((program.length + 1) * sizeof(int32_t))
    if new == NULL:
        raise MemoryError()
    try:
        out = program.with_room(0)
        n = 0
        for i in range(program.length):
            if not live[i]:
                continue
            new[i] = <int32_t>n
            instr = &out.code[n]
            instr[0] = program.code[i]
            out.line[n] = program.line[i]
            n += 1
            if instr.nargs == NARY:
                for k in range(instr.x2):
                    out.ints[instr.x1 + k] = new[program.ints[instr.x1 + k]]
                continue
            if instr.nargs > 0:
                instr.x1 = new[instr.x1]
            if instr.nargs > 1:
                instr.x2 = new[instr.x2]
            if instr.nargs > 2:
                instr.x3 = new[instr.x3]
        out.length = n
        for i in range(program.n_results):
            out.results[i] = new[program.results[i]]
    finally:
        PyMem_RawFree(new)
    return out


cdef Program rebuild(Program program, bint rewrites):
    cdef Builder builder = Builder(program, rewrites)
    cdef int32_t *new = <int32_t *>PyMem_RawMalloc((program.length + 1) * sizeof(int32_t))
    cdef Py_ssize_t i
    if new == NULL:
        raise MemoryError()
    try:
        for i in range(program.length):
            new[i] = builder.translate(program, <int32_t>i, new)
        builder.out.set_results([new[program.results[i]] for i in range(program.n_results)])
    finally:
        PyMem_RawFree(new)
    return builder.out
