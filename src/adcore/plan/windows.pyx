"""Windows: an array put together from shifted parts of others is read where the parts are, not made.

``np.pad``, ``np.roll`` and the adjoints of slices write parts of arrays into an array, or add them up there, for
a stencil to read. Each array has a *form* here: a sum of *terms*, each of which says for the elements of a box which elements
of a source they are. Terms that continue each other around a box make one WINDOW: a read through a map that holds within the box;
outside of it stand zeros, the nearest element (a clamped border) or the other end (a periodic one). Where the whole form is a few such
reads, the reader adds them up, and the array is gone: an adjoint is gathered by the one pass that needs it.
"""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from cython cimport final
from libc.math cimport isfinite
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcmp, memset

from adcore.optable.opcodes cimport (
    AD_OP_ACCUMULATE, AD_OP_ADD, AD_OP_EMPTY, AD_OP_FULL, AD_OP_INPUT, AD_OP_LITERAL, AD_OP_MUL, AD_OP_MULZ, AD_OP_NEG,
    AD_OP_SUM, AD_OP_UPDATE, AD_OP_VIEW, AD_OP_WINDOW,
)
from adcore.passes.builder cimport Builder
from adcore.plan.fuse cimport COMPUTED, role_of
from adcore.plan.plan cimport CLAMPED
from adcore.plan.pool cimport Pool, pool_add, pool_free, pool_init
from adcore.tape.boxes cimport find_start
from adcore.tape.program cimport F32, F64, Instr, Program, arg, n_args, same_shape, size_at

cdef enum:
    DIMS = 4                # dimensions of an array that has a form
    TERMS = 32              # of one form
    WINDOWS = 12            # that one array is read through
    PART = 4                # a store this many times smaller than another one may be folded into it
    LIMIT = 1 << 16         # terms of a whole program
    ROUNDS = 8
    NONE = -1
    WHOLE = 0               # how a form came about: the value itself,
    PARTS = 1               # or from parts of others
    AS_IT_IS = 1            # how a value is read: itself,
    THROUGH_WINDOWS = 2     # or by elements of the sources of its form

cdef int64_t least = 256    # elements of an array that is worth looking at


def set_least(int64_t elements):
    """Set the size of the smallest array that is looked at, for tests; returns what it was. Plans made before stay."""
    global least
    before = least
    least = elements
    return before


cdef struct Term:           # element i of the array, for i in the box, is element offset + sum strides[k] i[k] of the source
    int64_t[4] low, high
    int64_t[4] strides
    int64_t offset
    int32_t source
    int32_t through         # a value that scales the source (by scalars alone): its scale belongs to the term; NONE


cdef struct Form:
    int32_t first, n
    uint8_t kind


cdef struct Parts:          # a map whose image is a box of an array: axis[m] is where its dimension m goes
    int64_t[4] start
    int[4] axis             # NONE: one index, or the same element for each
    bint repeats            # some dimension stays at one element


cdef struct Window:
    int64_t[4] below, above
    Term term               # within the box
    int64_t held            # elements for which it holds more than zeros


cdef int64_t volume(const Term *term, int64_t ndim) noexcept nogil:
    cdef int64_t k, n = 1
    for k in range(ndim):
        n *= term.high[k] - term.low[k]
    return n


cdef int64_t first_element(const Term *term, const int64_t *index, int64_t ndim) noexcept nogil:
    cdef int64_t k, at = term.offset
    for k in range(ndim):
        at += term.strides[k] * index[k]
    return at


cdef bint apart(const Term *one, const Term *other, int64_t ndim) noexcept nogil:
    cdef int64_t k
    for k in range(ndim):
        if one.high[k] <= other.low[k] or other.high[k] <= one.low[k]:
            return True
    return False


cdef bint goes_on(const Window *window, const Term *term, int64_t ndim) noexcept nogil:
    """Is the term what the window reads there, next to its box or within?"""
    cdef int64_t[4] index
    cdef bint[4] still
    cdef int64_t k
    for k in range(ndim):
        index[k] = term.low[k]
        still[k] = False
        if term.high[k] <= window.term.low[k]:
            if window.below[k] == 0:
                return False
            still[k] = window.below[k] == CLAMPED
            index[k] = window.term.low[k] if still[k] else index[k] + window.below[k]
        elif term.low[k] >= window.term.high[k]:
            if window.above[k] == 0:
                return False
            still[k] = window.above[k] == CLAMPED
            index[k] = window.term.high[k] - 1 if still[k] else index[k] - window.above[k]
        elif term.low[k] < window.term.low[k] or term.high[k] > window.term.high[k]:
            return False
    if first_element(term, term.low, ndim) != first_element(&window.term, index, ndim):
        return False
    for k in range(ndim):
        if term.high[k] - term.low[k] > 1 and term.strides[k] != (0 if still[k] else window.term.strides[k]):
            return False
    return True


cdef void find_sides(Window *window, const Term *term, const int64_t *dims, int64_t ndim) noexcept nogil:
    """Let the window go on with a term that stands beside it, along the whole of one of its sides."""
    cdef int64_t k, side = NONE, inside_at, delta
    cdef const Term *box = &window.term
    cdef bint below = False
    cdef int64_t[4] index
    for k in range(ndim):
        index[k] = term.low[k]
        if term.low[k] == box.low[k] and term.high[k] == box.high[k]:
            continue
        if side != NONE:
            return
        side = k
        if term.low[k] == 0 and term.high[k] == box.low[k]:
            below = True
        elif term.low[k] != box.high[k] or term.high[k] != dims[k]:
            return
    if side == NONE or (window.below[side] if below else window.above[side]) != 0:
        return
    index[side] = box.low[side] if below else box.high[side] - 1
    inside_at = first_element(box, index, ndim)
    delta = first_element(term, term.low, ndim) - inside_at
    if delta == 0 and (term.high[side] - term.low[side] == 1 or term.strides[side] == 0):
        delta = CLAMPED
    elif box.strides[side] != 0 and delta % box.strides[side] == 0:
        # the index inside that the first one outside stands for
        delta = index[side] + delta // box.strides[side]
        delta = delta - term.low[side] if below else term.low[side] - delta
        if delta <= 0:
            return
    else:
        return
    if below:
        window.below[side] = delta
        if not goes_on(window, term, ndim):
            window.below[side] = 0
    else:
        window.above[side] = delta
        if not goes_on(window, term, ndim):
            window.above[side] = 0


@final
cdef class Reading:
    """The pass over one program; lives while it runs."""

    cdef Program program
    cdef Builder builder
    cdef Form *forms
    cdef Pool terms             # Term, of all forms
    cdef int32_t *n_users
    cdef int32_t *new           # old value -> new value
    cdef int32_t *sum_of        # old value -> sum of the windows that stand for it
    cdef uint8_t *gathered      # the value may be read through windows
    cdef uint8_t *wanted        # AS_IT_IS, THROUGH_WINDOWS or both
    cdef uint8_t *folded        # a store that is part of what a store below it stores
    cdef uint8_t *relied        # the form of a value that holds what was folded
    cdef Pool emitted           # int32: the windows of the new program
    cdef Window[12] found       # the windows of the value that was looked at last
    cdef int n_found

    def __cinit__(self, Program program):
        cdef Py_ssize_t n = program.length + 1
        self.program = program
        pool_init(&self.terms, sizeof(Term))
        pool_init(&self.emitted, sizeof(int32_t))
        self.forms = <Form *>PyMem_RawCalloc(n, sizeof(Form))
        self.n_users = <int32_t *>PyMem_RawCalloc(n, sizeof(int32_t))
        self.new = <int32_t *>PyMem_RawCalloc(n, sizeof(int32_t))
        self.gathered = <uint8_t *>PyMem_RawCalloc(n, 1)
        self.wanted = <uint8_t *>PyMem_RawCalloc(n, 1)
        self.folded = <uint8_t *>PyMem_RawCalloc(n, 1)
        self.relied = <uint8_t *>PyMem_RawCalloc(n, 1)
        self.sum_of = <int32_t *>PyMem_RawCalloc(n, sizeof(int32_t))
        if (not self.forms or not self.n_users or not self.new or not self.gathered or not self.wanted or not self.folded
                or not self.relied or not self.sum_of):
            raise MemoryError()

    def __dealloc__(self):
        pool_free(&self.terms)
        pool_free(&self.emitted)
        PyMem_RawFree(self.forms)
        PyMem_RawFree(self.n_users)
        PyMem_RawFree(self.new)
        PyMem_RawFree(self.gathered)
        PyMem_RawFree(self.wanted)
        PyMem_RawFree(self.folded)
        PyMem_RawFree(self.relied)
        PyMem_RawFree(self.sum_of)

    cdef int64_t ndim(self, int32_t value) noexcept:
        return self.program.ints[self.program.code[value].shape]

    cdef const int64_t *dims(self, int32_t value) noexcept:
        return self.program.ints + self.program.code[value].shape + 1

    cdef const Term *term(self, int32_t value, int k) noexcept:
        return (<Term *>self.terms.data) + self.forms[value].first + k

    # -- forms ---------------------------------------------------------------

    cdef int32_t scaled(self, int32_t value) noexcept:
        """The array that the value is a multiple of, zero where that is zero; NONE."""
        cdef const Instr *instr = &self.program.code[value]
        cdef const Instr *scalar
        cdef int k
        if instr.op == AD_OP_NEG:
            return instr.x1
        if instr.op == AD_OP_MULZ and self.ndim(instr.x2) == 0:
            return instr.x1
        if instr.op == AD_OP_MUL:
            for k in range(2):
                scalar = &self.program.code[arg(instr, self.program.ints, k)]
                if scalar.op == AD_OP_LITERAL and isfinite(self.program.reals[scalar.param]):
                    return arg(instr, self.program.ints, 1 - k)
        return NONE

    cdef int whole(self, int32_t value) except -1:
        """The form of a value that is nothing but itself."""
        cdef int64_t ndim = self.ndim(value), k, step = 1
        cdef const int64_t *dims = self.dims(value)
        cdef Form *form = &self.forms[value]
        cdef Term *term
        form.kind = WHOLE
        form.n = 0
        if ndim > DIMS:
            return 0
        form.first = <int32_t>self.terms.n
        form.n = 1
        term = <Term *>pool_add(&self.terms, 1)
        term.source = value
        term.through = NONE
        for k in range(ndim - 1, -1, -1):
            term.high[k] = dims[k]
            term.strides[k] = step
            step *= dims[k]
        return 0

    cdef bint find_parts(self, int32_t space, int32_t map_, int32_t array, Parts *parts) noexcept:
        """Take apart a map over a space into an array; False when its image is no box of it."""
        cdef const int64_t *ints = self.program.ints
        cdef int64_t ndim = ints[array], m, k
        cdef int64_t[4] steps
        cdef bint[4] used
        if ndim > DIMS or ints[space] > DIMS or not find_start(ints, array, map_, steps, parts.start):
            return False
        parts.repeats = False
        for k in range(ndim):
            used[k] = False
        for m in range(ints[space]):
            parts.axis[m] = NONE
            if ints[space + 1 + m] == 1:
                continue
            if ints[map_ + 1 + m] == 0:
                parts.repeats = True
                continue
            for k in range(ndim):
                if steps[k] == ints[map_ + 1 + m] and ints[array + 1 + k] > 1 and not used[k]:
                    break
            else:
                return False
            used[k] = True
            parts.axis[m] = <int>k
            if parts.start[k] + ints[space + 1 + m] > ints[array + 1 + k]:
                return False
        return True

    cdef int add_viewed(self, Form *form, int32_t base, int32_t space, const Parts *parts) except -1:
        """What a view of a value is made of."""
        cdef int64_t ndim = self.ndim(base), m, k, n = self.program.ints[space]
        cdef const int64_t *dims = self.program.ints + space + 1
        cdef Term term, seen
        cdef bint empty
        cdef int j
        for j in range(self.forms[base].n):
            term = self.term(base, j)[0]
            memset(&seen, 0, sizeof(Term))
            seen.source = term.source
            seen.through = term.through
            seen.offset = term.offset
            empty = False
            for m in range(n):
                seen.high[m] = dims[m]
            for k in range(ndim):
                seen.offset += term.strides[k] * parts.start[k]
                for m in range(n):
                    if parts.axis[m] == k:
                        seen.low[m] = max(<int64_t>0, term.low[k] - parts.start[k])
                        seen.high[m] = min(dims[m], term.high[k] - parts.start[k])
                        seen.strides[m] = term.strides[k]
                        empty |= seen.low[m] >= seen.high[m]
                        break
                else:
                    empty |= not term.low[k] <= parts.start[k] < term.high[k]
            if not empty:
                self.add_term(form, &seen)
        return 0

    cdef int add_term(self, Form *form, const Term *term) except -1:
        (<Term *>pool_add(&self.terms, 1))[0] = term[0]
        form.n += 1
        return 0

    cdef int add_placed(self, Form *form, int32_t x, int32_t array, const Parts *parts) except -1:
        """What a store of a value puts into an array."""
        cdef int64_t ndim = self.program.ints[array], m, k, n = self.ndim(x)
        cdef Term term, put
        cdef int j
        for j in range(self.forms[x].n):
            term = self.term(x, j)[0]
            memset(&put, 0, sizeof(Term))
            put.source = term.source
            put.through = term.through
            put.offset = term.offset
            for k in range(ndim):
                put.low[k] = parts.start[k]
                put.high[k] = parts.start[k] + 1
                for m in range(n):
                    if parts.axis[m] == k:
                        put.low[k] = term.low[m] + parts.start[k]
                        put.high[k] = term.high[m] + parts.start[k]
                        put.strides[k] = term.strides[m]
                        put.offset -= term.strides[m] * parts.start[k]
            self.add_term(form, &put)
        return 0

    cdef int add_outside(self, Form *form, int32_t base, int32_t x, const Parts *parts) except -1:
        """What is left of a value around a box that is written over."""
        cdef int64_t ndim = self.ndim(base), k, m
        cdef int64_t[4] low, high
        cdef Term term, slab
        cdef int j
        for k in range(ndim):
            low[k] = parts.start[k]
            high[k] = low[k] + 1
            for m in range(self.ndim(x)):
                if parts.axis[m] == k:
                    high[k] = low[k] + self.dims(x)[m]
        for j in range(self.forms[base].n):
            term = self.term(base, j)[0]
            for k in range(ndim):
                slab = term
                slab.high[k] = min(term.high[k], low[k])
                if slab.low[k] < slab.high[k]:
                    self.add_term(form, &slab)
                slab = term
                slab.low[k] = max(term.low[k], high[k])
                if slab.low[k] < slab.high[k]:
                    self.add_term(form, &slab)
                term.low[k] = max(term.low[k], low[k])
                term.high[k] = min(term.high[k], high[k])
                if term.low[k] >= term.high[k]:
                    break
        return 0

    cdef bint is_zero(self, int32_t value) noexcept:
        """An array of zeros, or one of which nothing is read before it is written."""
        cdef const Instr *instr = &self.program.code[value]
        return instr.op == AD_OP_EMPTY or (
            instr.op == AD_OP_FULL and self.program.code[instr.x1].op == AD_OP_LITERAL
            and self.program.reals[self.program.code[instr.x1].param] == 0.0)

    cdef int find_form(self, int32_t value) except -1:
        cdef const Instr *instr = &self.program.code[value]
        cdef Form form
        cdef Parts parts
        cdef int32_t x
        cdef int k
        if instr.dtype != F64 and instr.dtype != F32 or self.ndim(value) == 0:
            return 0
        form.first = <int32_t>self.terms.n
        form.n = 0
        form.kind = PARTS
        if self.is_zero(value):
            self.forms[value] = form
            return 0
        if instr.op == AD_OP_VIEW:
            if self.forms[instr.x1].n and self.find_parts(instr.shape, instr.param, self.program.code[instr.x1].shape, &parts):
                self.add_viewed(&form, instr.x1, instr.shape, &parts)
        elif instr.op in (AD_OP_SUM, AD_OP_ACCUMULATE, AD_OP_UPDATE):
            x = instr.x1 if instr.nargs == 1 else instr.x2
            if self.program.code[x].dtype == instr.dtype and (self.forms[x].n or self.is_zero(x)) and self.find_parts(
                    self.program.code[x].shape, instr.param, instr.shape, &parts) and not parts.repeats:
                if instr.op == AD_OP_UPDATE:
                    self.add_outside(&form, instr.x1, x, &parts)
                elif instr.op == AD_OP_ACCUMULATE:
                    for k in range(self.forms[instr.x1].n):
                        self.add_copy(&form, instr.x1, k)
                self.add_placed(&form, x, instr.shape, &parts)
                if instr.op != AD_OP_SUM and self.forms[instr.x1].n == 0 and not self.is_zero(instr.x1):
                    form.n = 0
        elif instr.op == AD_OP_ADD and self.n_users[value] == 1:
            if self.forms[instr.x1].n and self.forms[instr.x2].n and (
                    self.forms[instr.x1].kind == PARTS or self.forms[instr.x2].kind == PARTS):
                for k in range(self.forms[instr.x1].n):
                    self.add_copy(&form, instr.x1, k)
                for k in range(self.forms[instr.x2].n):
                    self.add_copy(&form, instr.x2, k)
        else:
            x = self.scaled(value)
            if x != NONE and self.forms[x].n == 1 and self.term(x, 0).through in (NONE, x) and self.program.code[x].dtype == instr.dtype:
                self.add_copy(&form, x, 0)
                (<Term *>self.terms.data)[form.first].through = value
                form.kind = WHOLE
        if form.n == 0 or form.n > TERMS:
            self.terms.n = form.first
            return self.whole(value)
        self.forms[value] = form
        return 0

    cdef int add_copy(self, Form *form, int32_t value, int k) except -1:
        cdef Term term = self.term(value, k)[0]
        return self.add_term(form, &term)

    # -- windows ---------------------------------------------------------------

    cdef bint find_windows(self, int32_t value) noexcept:
        """Can the value be read through windows that hold most of it, each? They are in ``found``."""
        cdef int n = self.forms[value].n, best, k, j
        cdef const Term *terms = self.term(value, 0)
        cdef const int64_t *dims = self.dims(value)
        cdef int64_t ndim = self.ndim(value), size = size_at(self.program.ints, self.program.code[value].shape)
        cdef int64_t held = 0
        cdef uint8_t[32] used
        cdef Window *window
        self.n_found = 0
        if n == 0 or n > TERMS:
            return False
        for k in range(n):
            if self.program.code[terms[k].source].op == AD_OP_FULL:
                return False                    # nowhere in memory
        memset(used, 0, sizeof(used))
        while True:
            best = NONE
            for k in range(n):
                if not used[k] and (best == NONE or volume(&terms[k], ndim) > volume(&terms[best], ndim)):
                    best = k
            if best == NONE:
                break
            if self.n_found == WINDOWS or 2 * volume(&terms[best], ndim) < size:
                return False
            window = &self.found[self.n_found]
            self.n_found += 1
            memset(window, 0, sizeof(Window))
            window.term = terms[best]
            for k in range(n):
                if not used[k] and k != best and terms[k].source == terms[best].source and terms[k].through == terms[best].through:
                    find_sides(window, &terms[k], dims, ndim)
            used[best] = 1
            if not self.fill_window(window, terms, n, used, dims, ndim):
                for j in range(ndim):
                    window.below[j] = 0
                    window.above[j] = 0
                window.held = volume(&window.term, ndim)
            held += window.held
        return 4 * held >= 3 * self.n_found * size

    cdef bint fill_window(self, Window *window, const Term *terms, int n, uint8_t *used, const int64_t *dims,
                          int64_t ndim) noexcept:
        """Are the terms of a window all there, none twice? Those that it takes in are used up."""
        cdef int64_t covered = volume(&window.term, ndim), wanted = 1, k
        cdef int[32] taken
        cdef int n_taken = 0, j, i
        cdef bint alone
        for k in range(ndim):
            wanted *= (window.term.high[k] - window.term.low[k] + (window.term.low[k] if window.below[k] else 0)
                       + (dims[k] - window.term.high[k] if window.above[k] else 0))
        for j in range(n):
            if used[j] or terms[j].source != window.term.source or terms[j].through != window.term.through:
                continue
            if covered == wanted:
                break
            alone = apart(&terms[j], &window.term, ndim)
            for i in range(n_taken):
                alone = alone and apart(&terms[j], &terms[taken[i]], ndim)
            if alone and goes_on(window, &terms[j], ndim):
                taken[n_taken] = j
                n_taken += 1
                covered += volume(&terms[j], ndim)
        if covered != wanted:
            return False
        window.held = wanted
        for i in range(n_taken):
            used[taken[i]] = 1
        return True

    # -- stores into a result that add to one another ------------------------------

    cdef int fold_stores(self, int32_t top) except -1:
        """Move what a chain of adding stores adds to small parts of an array into the large parts that they lie in.

        So the borders of a padded array join the adjoint of its middle, and clamped neighbours are found again.
        """
        cdef int32_t store = top, other
        cdef const Instr *instr
        while True:
            instr = &self.program.code[store]
            if instr.op != AD_OP_ACCUMULATE or self.n_users[instr.x1] != 1:
                return 0
            other = instr.x1
            while not self.folded[store] and self.program.code[other].op in (AD_OP_ACCUMULATE, AD_OP_SUM):
                if self.fold_into(store, other):
                    break
                if self.program.code[other].op == AD_OP_SUM or self.n_users[self.program.code[other].x1] != 1:
                    break
                other = self.program.code[other].x1
            store = instr.x1

    cdef bint fold_into(self, int32_t store, int32_t other) except -1:
        """Add the form of what one store adds to the form of what another one, below it, has added."""
        cdef const Instr *instr = &self.program.code[store]
        cdef const Instr *below = &self.program.code[other]
        cdef int32_t x = instr.x2, into = below.x1 if below.nargs == 1 else below.x2
        cdef int64_t ndim = self.ndim(store), k, m, low, high
        cdef const int64_t *dims = self.dims(into)
        cdef Parts inner, outer
        cdef Form form, moved
        cdef Term term
        cdef int j
        cdef bint inside = True
        if (self.n_users[into] != 1 or self.forms[into].kind != PARTS or self.folded[other] or self.forms[into].n == 0
                or self.forms[x].n == 0 or self.program.code[into].dtype != instr.dtype
                or self.program.code[x].dtype != instr.dtype
                or PART * size_at(self.program.ints, self.program.code[x].shape) > size_at(self.program.ints, self.program.code[into].shape)
                or not self.find_parts(self.program.code[x].shape, instr.param, instr.shape, &inner) or inner.repeats
                or not self.find_parts(self.program.code[into].shape, below.param, below.shape, &outer) or outer.repeats):
            return False
        moved.first = <int32_t>self.terms.n
        moved.n = 0
        self.add_placed(&moved, x, instr.shape, &inner)
        form.first = <int32_t>self.terms.n
        form.n = 0
        form.kind = PARTS
        for j in range(self.forms[into].n):
            self.add_copy(&form, into, j)
        for j in range(moved.n):
            # from the array that both write into to the larger part of it
            term = ((<Term *>self.terms.data) + moved.first + j)[0]
            inside = inside and term.source < into
            for k in range(ndim):
                low = outer.start[k]
                high = low + 1
                for m in range(self.ndim(into)):
                    if outer.axis[m] == k:
                        high = low + dims[m]
                inside = inside and low <= term.low[k] and term.high[k] <= high
            if not inside:
                break
            self.add_term(&form, &term)
            self.through_view(&term, into, &outer, ndim)
            ((<Term *>self.terms.data) + self.terms.n - 1)[0] = term
        if not inside or form.n > TERMS:
            self.terms.n = moved.first
            return False
        self.forms[into] = form
        self.folded[store] = 1
        self.relied[into] = 1
        return True

    cdef void through_view(self, Term *term, int32_t into, const Parts *parts, int64_t ndim) noexcept:
        """A term of an array as a term of a box of it."""
        cdef Term old = term[0]
        cdef int64_t k, m
        for m in range(DIMS):
            term.low[m] = 0
            term.high[m] = self.dims(into)[m] if m < self.ndim(into) else 0
            term.strides[m] = 0
        for k in range(ndim):
            term.offset += old.strides[k] * parts.start[k]
            for m in range(self.ndim(into)):
                if parts.axis[m] == k:
                    term.low[m] = old.low[k] - parts.start[k]
                    term.high[m] = old.high[k] - parts.start[k]
                    term.strides[m] = old.strides[k]

    # -- which -------------------------------------------------------------------

    cdef bint worth(self, int32_t value) noexcept:
        """Is the value made of parts, in a way that windows can read?"""
        cdef const Instr *instr = &self.program.code[value]
        if (self.forms[value].kind != PARTS or self.forms[value].n == 0
                or size_at(self.program.ints, instr.shape) < least):
            return False
        return not self.viewed(value) and self.find_windows(value)

    cdef bint viewed(self, int32_t value) noexcept:
        """Is the value a view that is read as it is anyway?"""
        cdef const Instr *instr = &self.program.code[value]
        return instr.op == AD_OP_VIEW and self.forms[value].n == 1 and self.term(value, 0).source == instr.x1

    cdef bint spared(self, int32_t value) noexcept:
        """Are the arrays that the value is, or is put together from, not made for anybody else?"""
        cdef const Instr *instr = &self.program.code[value]
        if self.forms[value].kind == WHOLE or self.viewed(value):
            return True
        if instr.op == AD_OP_ADD:
            return self.spared(instr.x1) and self.spared(instr.x2)
        return not self.wanted[instr.x1 if instr.op == AD_OP_VIEW else value] & AS_IT_IS

    cdef bint by_element(self, int32_t value, int k) noexcept:
        """Does an instruction read its argument k element by element?"""
        cdef const Instr *instr = &self.program.code[value]
        return role_of(instr.op) == COMPUTED or (
            instr.op in (AD_OP_SUM, AD_OP_ACCUMULATE, AD_OP_UPDATE) and k == instr.nargs - 1)

    cdef void want(self, int32_t value) noexcept:
        """Ask for what an instruction reads, given who is gathered."""
        cdef const Instr *instr = &self.program.code[value]
        cdef int32_t x
        cdef int k
        if self.wanted[value] & THROUGH_WINDOWS:
            for k in range(self.forms[value].n):
                self.wanted[self.term(value, k).source] |= AS_IT_IS
                x = self.term(value, k).through
                while x != NONE and x != self.term(value, k).source and self.scaled(x) != NONE:
                    self.want_scalars(x)
                    x = self.scaled(x)
        if not self.wanted[value] & AS_IT_IS:
            return
        for k in range(n_args(instr)):
            x = arg(instr, self.program.ints, k)
            if not self.folded[value] or k == 0:
                self.wanted[x] |= THROUGH_WINDOWS if self.gathered[x] and self.by_element(value, k) else AS_IT_IS

    cdef void want_scalars(self, int32_t value) noexcept:
        cdef const Instr *instr = &self.program.code[value]
        cdef int k
        for k in range(instr.nargs):
            if self.ndim(arg(instr, self.program.ints, k)) == 0:
                self.wanted[arg(instr, self.program.ints, k)] |= AS_IT_IS

    cdef bint find_all(self) except -1:
        """The forms of all values; False when there are too many terms."""
        cdef Py_ssize_t i
        cdef int k
        cdef const Instr *instr
        for i in range(self.program.length):
            instr = &self.program.code[i]
            for k in range(n_args(instr)):
                self.n_users[arg(instr, self.program.ints, k)] += 1
        for i in range(self.program.n_results):
            self.n_users[self.program.results[i]] += 2
        for i in range(self.program.length):
            self.find_form(<int32_t>i)
            if self.terms.n > LIMIT:
                return False
        for i in range(self.program.length - 1, -1, -1):
            if self.program.code[i].op == AD_OP_ACCUMULATE and not self.folded[i] and self.ndim(<int32_t>i) <= DIMS:
                self.fold_stores(<int32_t>i)
        return True

    cdef bint choose(self) except -1:
        """Which values are gathered; False: none."""
        cdef Py_ssize_t i
        cdef int turn
        cdef bint found, changed
        for i in range(self.program.length):
            self.gathered[i] = self.worth(<int32_t>i)
            if self.relied[i] and not self.gathered[i]:
                return False
        for turn in range(ROUNDS):  # no-cython-lint
            memset(self.wanted, 0, self.program.length)
            for i in range(self.program.n_results):
                self.wanted[self.program.results[i]] = AS_IT_IS
            for i in range(self.program.length - 1, -1, -1):
                if self.program.code[i].op == AD_OP_INPUT:
                    self.wanted[i] = AS_IT_IS
                self.want(<int32_t>i)
            found = False
            changed = False
            for i in range(self.program.length):
                if self.wanted[i] & THROUGH_WINDOWS:
                    if self.spared(<int32_t>i):
                        found = True
                    elif self.relied[i]:
                        return False
                    else:
                        self.gathered[i] = 0
                        changed = True
            if not changed:
                return found
        return False

    # -- the new program ----------------------------------------------------------

    cdef int32_t read(self, const Window *window, int32_t value) except -1:
        """A read of a window's source in the space of a value."""
        cdef const Instr *instr = &self.program.code[value]
        cdef int64_t ndim = self.ndim(value), k
        cdef const int64_t *dims = self.dims(value)
        cdef int32_t shape = self.builder.copy_shape(self.program, instr.shape), source = self.new[window.term.source], at
        cdef int64_t[21] numbers
        cdef bint everywhere = True
        cdef const Instr *other
        numbers[0] = window.term.offset
        for k in range(ndim):
            everywhere &= window.term.low[k] == 0 and window.term.high[k] == dims[k]
            numbers[1 + k] = window.term.strides[k]
            numbers[1 + ndim + k] = window.term.low[k]
            numbers[1 + 2 * ndim + k] = window.term.high[k]
            numbers[1 + 3 * ndim + k] = window.below[k]
            numbers[1 + 4 * ndim + k] = window.above[k]
        if everywhere and numbers[0] == 0 and same_shape(
                self.builder.out.ints, shape, self.builder.out.code[source].shape) and self.in_order(window, value):
            return source
        if everywhere:
            return self.builder.view(instr.dtype, source, shape, numbers[0], numbers + 1)
        for k in range(self.emitted.n):
            at = (<int32_t *>self.emitted.data)[k]
            other = &self.builder.out.code[at]
            if other.x1 == source and other.shape == shape and not memcmp(
                    self.builder.out.ints + other.param, numbers, (1 + 5 * ndim) * sizeof(int64_t)):
                return at
        at = self.builder.out.add_ints(numbers, 1 + 5 * ndim)
        at = self.builder.append(AD_OP_WINDOW, instr.dtype, 1, source, -1, -1, shape, at)
        (<int32_t *>pool_add(&self.emitted, 1))[0] = at
        return at

    cdef bint in_order(self, const Window *window, int32_t value) noexcept:
        """Does the window step through its source one element after the other?"""
        cdef int64_t k, step = 1
        for k in range(self.ndim(value) - 1, -1, -1):
            if self.dims(value)[k] > 1 and window.term.strides[k] != step:
                return False
            step *= self.dims(value)[k]
        return True

    cdef int32_t scale(self, int32_t through, int32_t source, int32_t x, int32_t shape) except -1:
        """The multiple of x that ``through`` is of a source."""
        cdef const Instr *instr = &self.program.code[through]
        cdef int32_t inner = self.scaled(through)
        if inner == NONE or through == source:
            return x
        x = self.scale(inner, source, x, shape)
        if instr.nargs == 1:
            return self.builder.elementwise(instr.op, instr.dtype, shape, x)
        if inner == instr.x1:
            return self.builder.elementwise(instr.op, instr.dtype, shape, x, self.new[instr.x2])
        return self.builder.elementwise(instr.op, instr.dtype, shape, self.new[instr.x1], x)

    cdef int32_t gather(self, int32_t value) except -1:
        """The sum of a value's windows; those of one scale are added up before they are scaled."""
        cdef const Instr *instr = &self.program.code[value]
        cdef int32_t shape = self.builder.copy_shape(self.program, instr.shape), total = NONE, part, through
        cdef bint[12] done
        cdef int k, j
        self.builder.line = self.program.line[value]
        self.find_windows(value)
        memset(done, 0, sizeof(done))
        for k in range(self.n_found):
            if done[k]:
                continue
            through = self.found[k].term.through
            part = NONE
            for j in range(k, self.n_found):
                if self.found[j].term.through == through:
                    done[j] = True
                    part = self.plus(part, self.read(&self.found[j], value), shape, instr.dtype)
            if through != NONE:
                part = self.scale(through, self.found[k].term.source, part, shape)
            total = self.plus(total, part, shape, instr.dtype)
        return total

    cdef int32_t plus(self, int32_t x1, int32_t x2, int32_t shape, uint8_t dtype) except -1:
        return x2 if x1 == NONE else self.builder.elementwise(AD_OP_ADD, dtype, shape, x1, x2)

    cdef Program rewritten(self):
        cdef Program program = self.program
        cdef const Instr *instr
        cdef Py_ssize_t i
        cdef int32_t x
        cdef int32_t[3] before
        cdef int k, n
        self.builder = Builder(program, False)
        for i in range(program.length):
            instr = &program.code[i]
            if self.wanted[i] & THROUGH_WINDOWS:
                self.sum_of[i] = self.gather(<int32_t>i)
            if not self.wanted[i] & AS_IT_IS:
                continue
            if self.folded[i]:
                self.new[i] = self.new[instr.x1]
                continue
            n = instr.nargs if instr.nargs <= 3 else 0
            for k in range(n):
                x = arg(instr, program.ints, k)
                before[k] = self.new[x]
                if self.gathered[x] and self.by_element(<int32_t>i, k):
                    self.new[x] = self.sum_of[x]
            self.new[i] = self.builder.translate(program, <int32_t>i, self.new)
            for k in range(n - 1, -1, -1):
                self.new[arg(instr, program.ints, k)] = before[k]
        self.builder.out.set_results([self.new[program.results[i]] for i in range(program.n_results)])
        return self.builder.out


cdef Program windows(Program program):
    """The program with arrays read through windows rather than put together, where nobody else needs them.

    Keeps: outputs and their order; values up to the order of sums. Loses: value numbers.
    """
    cdef Py_ssize_t i
    cdef Reading it
    for i in range(program.length):
        if program.code[i].op in (AD_OP_SUM, AD_OP_ACCUMULATE, AD_OP_UPDATE) and size_at(program.ints, program.code[i].shape) >= least:
            break
    else:
        return program
    it = Reading(program)
    return it.rewritten() if it.find_all() and it.choose() else program
