from adcore.plan.plan cimport Plan

cdef extern from "ad_kernels.h":
    ctypedef struct ad_kernel_table:
        pass

cdef int execute(Plan plan, const ad_kernel_table *kernels, char **bases, char *scratch,
                 Py_ssize_t *failed) noexcept nogil
cdef Py_ssize_t scratch_needed(Plan plan) noexcept nogil
