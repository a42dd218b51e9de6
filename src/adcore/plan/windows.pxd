from adcore.tape.program cimport Program

cdef Program windows(Program program)
