"""Optimising passes: simplify (with common subexpressions) and dead code."""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport int32_t, uint8_t

from adcore.optable.opcodes cimport AD_OP_INPUT
from adcore.passes.builder cimport Builder
from adcore.tape.program cimport Program, arg, n_args


def simplify(Program program):
    """Rewrite by the builder's rules, fold literals, share common subexpressions.

    Keeps: outputs and their order; values as stated in ``builder``. Loses: value numbers.
    """
    return rebuild(program, True, NULL)


def dead_code(Program program):
    """Drop instructions that no output depends on.

    Keeps: outputs, their order, their values to the bit; the numbers of inputs, constants and floats.
    Loses: value numbers.
    """
    cdef uint8_t *live = mark_live(program)
    try:
        return rebuild(program, False, live)
    finally:
        PyMem_RawFree(live)


def optimise(Program program):
    """What is done to every program before and after it is differentiated."""
    return dead_code(simplify(program))


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


cdef Program rebuild(Program program, bint rewrites, const uint8_t *live):
    cdef Builder builder = Builder(program, rewrites)
    cdef int32_t *new = <int32_t *>PyMem_RawMalloc((program.length + 1) * sizeof(int32_t))
    cdef Py_ssize_t i
    if new == NULL:
        raise MemoryError()
    try:
        for i in range(program.length):
            new[i] = -1
            if live == NULL or live[i]:
                new[i] = builder.translate(program, <int32_t>i, new)
        results = [new[program.results[i]] for i in range(program.n_results)]
        builder.out.set_results(results)
    finally:
        PyMem_RawFree(new)
    return builder.out
