from adcore.plan.plan cimport Plan

cdef int split_steps(Plan plan) except -1
