"""Affine maps with iteration spaces of their own: what rewriting needs to prove of them."""

from libc.stdint cimport int64_t

cdef enum:
    SEARCH_BUDGET = 200         # steps before "not proved"


cdef int64_t magnitude(int64_t x) noexcept nogil:
    return -x if x < 0 else x


cdef int64_t floor_div(int64_t a, int64_t b) noexcept nogil:
    """Floor of a / b for b > 0."""
    cdef int64_t q = a // b
    return q - 1 if a % b < 0 else q


cdef int64_t gcd(int64_t a, int64_t b) noexcept nogil:
    cdef int64_t t
    while b:
        t = a % b
        a = b
        b = t
    return magnitude(a)


cdef void make_dense(Map *m) noexcept nogil:
    """Fill in the map of a contiguous array with the dims of m."""
    cdef int64_t k, step = 1
    m.offset = 0
    for k in range(m.ndim - 1, -1, -1):
        m.strides[k] = step
        step *= m.dims[k]


# -- disjointness ----------------------------------------------------------------

cdef struct Terms:              # sum of step[k] * t, low[k] <= t <= high[k]; steps fall
    int n, budget
    int64_t[128] step
    int64_t[128] low
    int64_t[128] high
    int64_t[129] least          # of the terms k and after
    int64_t[129] most
    int64_t[129] divisor


cdef bint add_term(Terms *terms, int64_t stride, int64_t dim) noexcept nogil:
    """Add stride * i, 0 <= i < dim, keeping the steps sorted and distinct."""
    cdef int64_t step = magnitude(stride), low = 0, high = 0
    cdef int k, j
    if dim <= 1 or stride == 0:
        return True
    if stride > 0:
        high = dim - 1
    else:
        low = 1 - dim
    k = 0
    while k < terms.n and terms.step[k] > step:
        k += 1
    if k < terms.n and terms.step[k] == step:
        terms.low[k] += low
        terms.high[k] += high
        return True
    if terms.n == 128:
        return False
    for j in range(terms.n, k, -1):
        terms.step[j] = terms.step[j - 1]
        terms.low[j] = terms.low[j - 1]
        terms.high[j] = terms.high[j - 1]
    terms.step[k] = step
    terms.low[k] = low
    terms.high[k] = high
    terms.n += 1
    return True


cdef bint may_reach(Terms *terms, int k, int64_t delta) noexcept nogil:
    """May the terms k and after sum to delta? True when the budget runs out."""
    cdef int64_t t, first, last
    if delta == 0:
        return True
    if delta < terms.least[k] or delta > terms.most[k] or k == terms.n or delta % terms.divisor[k] != 0:
        return False
    first = -floor_div(terms.most[k + 1] - delta, terms.step[k])
    last = floor_div(delta - terms.least[k + 1], terms.step[k])
    first = max(first, terms.low[k])
    last = min(last, terms.high[k])
    for t in range(first, last + 1):
        terms.budget -= 1
        if terms.budget < 0 or may_reach(terms, k + 1, delta - t * terms.step[k]):
            return True
    return False


cdef bint disjoint(const Map *a, const Map *b) noexcept nogil:
    """Is it certain that no element is reached by both maps? Exact but for a search budget."""
    cdef int64_t k
    cdef int64_t low_a = a.offset, high_a = a.offset, low_b = b.offset, high_b = b.offset
    cdef Terms terms
    for k in range(a.ndim):
        if a.dims[k] == 0:
            return True
        if a.strides[k] > 0:
            high_a += a.strides[k] * (a.dims[k] - 1)
        else:
            low_a += a.strides[k] * (a.dims[k] - 1)
    for k in range(b.ndim):
        if b.dims[k] == 0:
            return True
        if b.strides[k] > 0:
            high_b += b.strides[k] * (b.dims[k] - 1)
        else:
            low_b += b.strides[k] * (b.dims[k] - 1)
    if high_a < low_b or high_b < low_a:
        return True
    terms.n = 0
    terms.budget = SEARCH_BUDGET
    for k in range(a.ndim):
        if not add_term(&terms, a.strides[k], a.dims[k]):
            return False
    for k in range(b.ndim):
        if not add_term(&terms, -b.strides[k], b.dims[k]):
            return False
    terms.least[terms.n] = terms.most[terms.n] = terms.divisor[terms.n] = 0
    for k in range(terms.n - 1, -1, -1):
        terms.least[k] = terms.least[k + 1] + terms.step[k] * terms.low[k]
        terms.most[k] = terms.most[k + 1] + terms.step[k] * terms.high[k]
        terms.divisor[k] = gcd(terms.step[k], terms.divisor[k + 1])
    return not may_reach(&terms, 0, b.offset - a.offset)


# -- composition -----------------------------------------------------------------

cdef bint split(int64_t value, const Map *through, const int64_t *order, int64_t n, bint nearest,
                int64_t *parts) noexcept nogil:
    """Write value as sum parts[k] * strides[k], greedily from the largest stride."""
    cdef int64_t k, q, s
    for k in range(through.ndim):
        parts[k] = 0
    for k in range(n):
        s = through.strides[order[k]]
        q = floor_div(2 * value + s, 2 * s) if nearest else value // s     # C division truncates
        parts[order[k]] = q
        value -= q * s
    return value == 0


cdef bint compose(const Map *inner, const Map *through, const Map *target, Map *out) noexcept nogil:
    """The map that takes an index of ``inner`` to ``target(j)``, j being the index with through(j) = inner(i).

    ``through`` and ``target`` have one space. False when such a j is not found for all i, or
    not as an affine function of i.
    """
    cdef Map t, w               # through and target, flips undone, contiguous dims merged
    cdef int64_t[64] order
    cdef int64_t[64] first
    cdef int64_t[64] low
    cdef int64_t[64] high
    cdef int64_t[64] parts
    cdef int64_t k, j, n = 0, s, d, rest
    cdef int attempt
    cdef bint fits
    t.ndim = 0
    t.offset = through.offset
    w.offset = target.offset
    for k in range(inner.ndim):
        if inner.dims[k] == 0:
            return False
    for k in range(through.ndim):
        d = through.dims[k]
        if d == 0:
            return False
        if d == 1:
            continue
        s = through.strides[k]
        n = t.ndim
        t.dims[n] = d
        t.strides[n] = magnitude(s)
        w.strides[n] = target.strides[k] if s >= 0 else -target.strides[k]
        if s < 0:
            t.offset += s * (d - 1)
            w.offset += target.strides[k] * (d - 1)
        if n and t.strides[n - 1] == t.strides[n] * d and w.strides[n - 1] == w.strides[n] * d:
            t.dims[n - 1] *= d
            t.strides[n - 1] = t.strides[n]
            w.strides[n - 1] = w.strides[n]
        else:
            t.ndim += 1
    # order by falling stride; zero strides keep index 0
    n = 0
    for k in range(t.ndim):
        if t.strides[k] == 0:
            continue
        j = n
        while j > 0 and t.strides[order[j - 1]] < t.strides[k]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = k
        n += 1
    rest = inner.offset - t.offset
    for k in range(t.ndim):
        first[k] = 0
    for k in range(n):
        j = order[k]
        if rest < 0:
            return False
        first[j] = min(rest // t.strides[j], t.dims[j] - 1)
        rest -= first[j] * t.strides[j]
    if rest != 0:
        return False
    for attempt in range(2):
        fits = True
        for k in range(t.ndim):
            low[k] = high[k] = first[k]
        out.ndim = inner.ndim
        out.offset = w.offset
        for k in range(t.ndim):
            out.offset += first[k] * w.strides[k]
        for j in range(inner.ndim):
            out.dims[j] = inner.dims[j]
            out.strides[j] = 0
            if inner.dims[j] == 1:
                continue
            if not split(inner.strides[j], &t, order, n, attempt == 1, parts):
                return False
            for k in range(t.ndim):
                out.strides[j] += parts[k] * w.strides[k]
                if parts[k] > 0:
                    high[k] += parts[k] * (inner.dims[j] - 1)
                else:
                    low[k] += parts[k] * (inner.dims[j] - 1)
        for k in range(t.ndim):
            if low[k] < 0 or high[k] >= t.dims[k]:
                fits = False
        if fits:
            return True
    return False
