"""Cuts: what is gathered from an input becomes an input of its own."""

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport int32_t

from adcore.optable.opcodes cimport AD_OP_CONST, AD_OP_GATHER, AD_OP_INPUT
from adcore.passes.builder cimport Builder
from adcore.tape.program cimport Instr, Program


def cut(Program program, list wrt):
    """The program in which gathers from the inputs numbered in ``wrt`` are inputs, and what these stand for.

    For each new input, numbered after the old ones, ``(input, constant, shape)``: which input it is gathered from, the
    constant of its offsets, its shape. The Jacobian of a program is that of the cut one, with the columns of what was
    gathered from one element added up; where many observations share few parameters, the cut one has few non-zeros a column.

    Keeps: outputs, their order, their values. Loses: value numbers.
    """
    cdef Builder builder = Builder(program)
    cdef int32_t *new = <int32_t *>PyMem_RawMalloc((program.length + 1) * sizeof(int32_t))
    cdef Py_ssize_t i
    cdef Instr *instr
    cdef list found = []
    if new == NULL:
        raise MemoryError()
    try:
        for i in range(program.length):
            instr = &program.code[i]
            if (instr.op == AD_OP_GATHER and program.code[instr.x1].op == AD_OP_INPUT and program.code[instr.x1].param in wrt
                    and program.code[instr.x2].op == AD_OP_CONST):
                builder.line = program.line[i]
                new[i] = builder.append(AD_OP_INPUT, instr.dtype, 0, -1, -1, -1, builder.copy_shape(program, instr.shape),
                                        program.n_inputs + <int32_t>len(found))
                found.append((program.code[instr.x1].param, program.code[instr.x2].param, program.shape_tuple(<int32_t>i)))
            else:
                new[i] = builder.translate(program, <int32_t>i, new)
        builder.out.n_inputs = program.n_inputs + <int32_t>len(found)
        builder.out.set_results([new[program.results[i]] for i in range(program.n_results)])
    finally:
        PyMem_RawFree(new)
    return builder.out, found
