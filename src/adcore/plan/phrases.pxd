from libc.stdint cimport int32_t
from adcore.plan.plan cimport Access, Splat, VmOp
from adcore.plan.pool cimport Pool

cdef int32_t join_phrases(VmOp *ops, int32_t n_ops, const Access *stores, int32_t n_stores, int32_t n_lanes, Pool *spare) except -1
cdef int32_t shorten_splats(VmOp *ops, int32_t n_ops, Splat *splats, int32_t n_splats, const Access *stores, int32_t n_stores,
                            int32_t n_lanes, Pool *spare) except -1
