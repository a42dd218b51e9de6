"""Records: what lies interleaved in memory (complex numbers, points, pixels) is read, and written, by one kernel.

The fields of a record are accesses of their own, each of every second, third or fourth element. One that takes them all reads whole
vectors and takes them apart. Those that it moves stand side by side in the plan, where the first of them was.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from adcore.plan.extents cimport Extent, share, sort_extents
from adcore.plan.plan cimport Access, FIELDS_MAX, Plan, Step
from adcore.plan.pool cimport Pool, pool_add
from adcore.tape.program cimport F64

cdef enum:
    NONE = -1
    MOVED = -2
    MODE_ADD = 1            # AD_ADD
    APART = 16              # stores that more others than so many stand before, from the first of their record on, are left alone

cdef struct Field:
    int32_t leader          # access that is the first of its record in memory, NONE; of it: MOVED, once the record has its place
    int32_t behind          # the one behind it in memory, NONE: it is the last


cdef int join_records(Plan plan, const Step *step, Pool *extents, Pool *spare) except -1:
    """Join the reads of a step, and its writes, where no element is then written in another order."""
    cdef Access *accesses = (<Access *>plan.accesses.data) + step.first_load
    join(plan, step, accesses, step.n_loads, True, extents, spare)
    join(plan, step, accesses + step.n_loads, step.n_stores, False, extents, spare)
    return 0


cdef int join(Plan plan, const Step *step, Access *access, int32_t n, bint reads, Pool *extents, Pool *spare) except -1:
    cdef const int64_t *longs = <int64_t *>plan.longs.data
    cdef Extent *items
    cdef Field *fields
    cdef Access *moved
    cdef int32_t i, k, at, size, m = 0, joined = 0
    extents.n = 0
    items = <Extent *>pool_add(extents, n)
    for i in range(n):
        if size_of(longs, step, &access[i]):
            items[m].slot = access[i].slot
            items[m].low = access[i].offset
            items[m].access = i
            m += 1
    if m < 2:
        return 0
    sort_extents(items, m)
    spare.n = 0
    moved = <Access *>pool_add(spare, n * <Py_ssize_t>(sizeof(Access) + sizeof(Field)))
    fields = <Field *>(moved + n)
    for i in range(n):
        fields[i].leader = fields[i].behind = NONE
    i = 0
    while i < m:
        at = items[i].access
        size = size_of(longs, step, &access[at])
        k = 1
        while k < size and i + k < m and follows(longs, step, &access[items[i + k - 1].access], &access[items[i + k].access]):
            k += 1
        if k < size or not (reads or may_join(longs, step, access, items + i, size)):
            i += 1
            continue
        access[at].fields = <uint8_t>size
        for k in range(i, i + size):
            fields[items[k].access].leader = at
            fields[items[k].access].behind = items[k + 1].access if k + 1 < i + size else NONE
        i += size
        joined += 1
    if joined == 0:
        return 0
    m = 0
    for i in range(n):
        k = fields[i].leader if fields[i].leader >= 0 else i
        if fields[k].leader == MOVED:
            continue
        if fields[k].leader >= 0:
            fields[k].leader = MOVED
        while k >= 0:
            moved[m] = access[k]
            m += 1
            k = fields[k].behind
    memcpy(access, moved, n * sizeof(Access))
    return 0


cdef int32_t size_of(const int64_t *longs, const Step *step, const Access *access) noexcept nogil:
    """Fields of the records that an access may be of, 0: of none."""
    cdef int64_t size = longs[access.strides + step.ndim - 1] // 8
    if (access.dtype == F64 and access.mode <= MODE_ADD and access.window < 0 and not access.still and not access.direct
            and 2 <= size <= FIELDS_MAX):
        return <int32_t>size
    return 0


cdef bint follows(const int64_t *longs, const Step *step, const Access *one, const Access *other) noexcept nogil:
    """Does the other access reach, for every index, the element behind that of the first?"""
    cdef int32_t k
    if other.slot != one.slot or other.offset != one.offset + 8 or other.mode != one.mode:
        return False
    for k in range(step.ndim):
        if longs[one.strides + k] != longs[other.strides + k]:
            return False
    return True


cdef bint may_join(const int64_t *longs, const Step *step, const Access *stores, const Extent *items, int32_t n) noexcept nogil:
    """May stores be made where the first of them stands? They share no element, nor do they with those they pass."""
    cdef const int64_t *strides = longs + stores[items[0].access].strides
    cdef int32_t low = items[0].access, high = low, i, k
    for k in range(step.blocked, step.ndim):
        if strides[k] == 0:
            return False
    for i in range(1, n):
        low = min(low, items[i].access)
        high = max(high, items[i].access)
    if high - low > APART:
        return False
    for i in range(n):
        for k in range(low, items[i].access):
            if stores[k].slot == stores[low].slot and share(longs, step, &stores[k], &stores[items[i].access]):
                return False
    return True
