from adcore.tape.program cimport Program

cdef Program recompute(Program program)
