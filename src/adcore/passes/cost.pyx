"""What a program costs, estimated from its instructions alone."""

from libc.stdint cimport int64_t

from adcore.optable.opcodes cimport *
from adcore.tape.program cimport Instr, Program, arg, n_args, size_at

cdef enum:
    PRODUCT = 8                 # multiplications of a matrix product in the time of one elementwise operation
    CALL = 16                   # operations for each element that a call reads or gives


def cost(Program program):
    """``(operations, elements)``: the time of a run in elementwise operations, and the elements of all its values.

    Operations count each element that an instruction computes or moves as one; views cost nothing of their own.
    """
    cdef int64_t operations = 0, elements = 0, n
    cdef Py_ssize_t i
    cdef Instr *instr
    cdef int k
    for i in range(program.length):
        instr = &program.code[i]
        n = size_at(program.ints, instr.shape)
        if n_args(instr) == 0 or instr.op == AD_OP_VIEW or instr.op == AD_OP_FULL:
            continue
        elements += n
        if instr.op == AD_OP_MATMUL:
            n *= 1 + program.ints[program.code[instr.x1].shape + program.ints[program.code[instr.x1].shape]] // PRODUCT
        elif instr.op == AD_OP_CALL:
            for k in range(n_args(instr)):
                n += size_at(program.ints, program.code[arg(instr, program.ints, k)].shape)
            n *= CALL
        elif instr.op >= AD_N_ELEMENTWISE:
            n = 0
            for k in range(n_args(instr)):
                n = max(n, size_at(program.ints, program.code[arg(instr, program.ints, k)].shape))
            if instr.op in (AD_OP_ACCUMULATE, AD_OP_UPDATE):    # in place: what is written, not what stays
                n = size_at(program.ints, program.code[instr.x2].shape)
            elif instr.op == AD_OP_PACK or instr.op == AD_OP_PACK_ADD:
                n = n_args(instr)
        operations += n
    return operations, elements
