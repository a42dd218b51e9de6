from adcore.plan.plan cimport Plan


cdef tuple settings()
cpdef list run(Plan plan, list inputs, list consts, list scalars)
