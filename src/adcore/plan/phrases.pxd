from libc.stdint cimport int32_t
from adcore.plan.plan cimport Access, VmOp
from adcore.plan.pool cimport Pool

cdef int32_t join_phrases(VmOp *ops, int32_t n_ops, const Access *stores, int32_t n_stores, int32_t n_lanes, Pool *spare) except -1
