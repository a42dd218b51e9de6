from adcore.plan.plan cimport Plan, Step
from adcore.plan.pool cimport Pool

cdef int join_records(Plan plan, const Step *step, Pool *extents, Pool *spare) except -1
