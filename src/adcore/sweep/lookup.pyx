"""Look-ups in tables that a sweep does without Python: where they are, by what they give."""

from libc.stdint cimport int64_t, uintptr_t

from adcore.plan.plan cimport NATIVE_VALUE
from adcore.primitive cimport adcore_value

cdef extern from "ad_lookup.h":
    int ad_lookup_ends(const double *const *x, const int64_t *n, double *y, int64_t ny, void *data) noexcept nogil
    int ad_lookup_spread(const double *const *x, const int64_t *n, double *y, int64_t ny, void *data) noexcept nogil


def ends(int tables):
    """What so many tables hold at the ends of the intervals that points lie in, as a rule's ``native``."""
    return NATIVE_VALUE, <uintptr_t><adcore_value>ad_lookup_ends, <uintptr_t>tables, 2 + tables, 0


def spread():
    """The table whose entries are sums over what belongs to the ends of intervals, as a rule's ``native``."""
    return NATIVE_VALUE, <uintptr_t><adcore_value>ad_lookup_spread, <uintptr_t>0, 3, 0
