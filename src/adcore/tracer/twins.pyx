"""Functions of NumPy and math as recorded code calls them: straight to what records them, where an argument is traced.

NumPy's protocols lead to the same place, at 0.3 to 0.6 µs a call. A twin looks at the arguments itself; whatever is not
plainly ours goes through the function it stands for, and so does every attribute. A twin holds nothing of a
recording: it may be kept, passed on and called from anywhere.
"""

cimport numpy as cnp

import collections

import numpy as np

from adcore import optable

from adcore.tracer.array import find_trace

from adcore.tracer.array cimport Traced, TracedScalar, UFUNCS, binary, listed, settled, unary

cnp.import_array()

cdef type NDARRAY = np.ndarray
cdef type DEQUE = collections.deque
cdef object DTYPE = np.dtype
cdef type UFUNC = np.ufunc
cdef type DISPATCHER = type(np.sum)
cdef frozenset NUMBERS = frozenset([t for t in np.sctypeDict.values() if issubclass(t, (np.integer, np.floating, np.bool_))])

cdef enum:
    UNKNOWN = 0             # NumPy shall look at it
    PLAIN = 1
    TRACED = 2
    NESTED = 3              # in a list


cdef int kind_of(object x) except -1:
    """Is an argument traced and real, or something that has no say in who handles the call?"""
    cdef int found, kind = PLAIN
    if isinstance(x, Traced):
        return TRACED
    if x is None or type(x) is int or type(x) is float or type(x) is bool or type(x) is str or type(x) is slice:
        return PLAIN
    if type(x) is NDARRAY:
        return PLAIN if cnp.PyArray_TYPE(x) < cnp.NPY_CFLOAT else UNKNOWN
    if type(x) is tuple or type(x) is list:
        for item in x:
            found = kind_of(item)
            if found == UNKNOWN:
                return UNKNOWN
            kind = max(kind, found)
        return NESTED if kind == TRACED else kind
    if type(x) in NUMBERS or isinstance(x, (type, DTYPE)):
        return PLAIN
    return UNKNOWN


cdef bint holds_traced_list(object args) except -1:
    for x in args:
        if (type(x) is list or type(x) is tuple or type(x) is DEQUE) and find_trace(x) is not None:
            return True
    return False


cdef class Twin:
    """Stands for a function, as which it looks to everybody; lists of traced values will do for its arrays.

    NumPy's protocols look at the arguments themselves, not into them: of a list they would make an array of objects.
    """

    def __init__(self, plain):
        self.plain = plain
        self.sequences = plain in SEQUENCES

    def __call__(self, *args, **kwargs):
        return self.general(args, kwargs)

    cdef object general(self, tuple args, dict kwargs):
        """What the function itself gives."""
        if not self.sequences and (holds_traced_list(args) or kwargs and holds_traced_list(kwargs.values())):
            args = tuple([listed(x) for x in args])
            kwargs = {name: x if name == "out" else listed(x) for name, x in kwargs.items()}
        return self.plain(*args, **kwargs)

    @property
    def __class__(self):
        return type(self.plain)

    def __getattr__(self, name):
        return getattr(self.plain, name)

    def __eq__(self, other):
        return self.plain == (other.plain if isinstance(other, Twin) else other)

    def __hash__(self):
        return hash(self.plain)

    def __repr__(self):
        return repr(self.plain)

    def __reduce__(self):
        return of, (self.plain,)


cdef class Ufunc(Twin):
    """A ufunc that is a row of the op table."""

    cdef int op, nin

    def __init__(self, plain, op):
        Twin.__init__(self, plain)
        self.op = op
        self.nin = plain.nin

    def __call__(self, *args, **kwargs):
        if not kwargs and len(args) == self.nin:
            if self.nin == 1:
                if isinstance(args[0], Traced):
                    return unary(self.op, args[0])
            elif self.nin == 2 and isinstance(args[0], Traced) and kind_of(args[1]) in (PLAIN, TRACED) or (
                    self.nin == 2 and isinstance(args[1], Traced) and kind_of(args[0]) == PLAIN):
                return binary(self.op, args[0], args[1])
        return self.general(args, kwargs)


cdef class Function(Twin):
    """A function that NumPy lets others implement, and one of the front's that does."""

    cdef object ours

    def __call__(self, *args, **kwargs):
        cdef bint ours = False
        cdef int kind
        for x in args:
            kind = kind_of(x)
            if kind == UNKNOWN or kind == NESTED and not self.sequences:
                return self.general(args, kwargs)
            ours = ours or kind > PLAIN
        if not ours:
            return self.general(args, kwargs)
        if kwargs:
            for name, x in kwargs.items():
                kind = kind_of(x)
                if name == "out" or kind == UNKNOWN or kind == NESTED:
                    return self.general(args, kwargs)
        if self.ours is None:
            self.ours = implementation(self.plain) or self.plain
        return settled(self.plain, args, kwargs, self.ours(*args, **kwargs))


cdef class MathFunction(Twin):
    """A function of math; with one traced number it is a row of the op table, where it has one."""

    cdef object recorded
    cdef int op

    def __init__(self, plain, general, row):
        Twin.__init__(self, plain)
        self.recorded = general
        self.op = -1 if row is None else optable.OPCODE[row.upper()]

    def __call__(self, *args, **kwargs):
        if len(args) == 1 and not kwargs:
            x = args[0]
            if type(x) is float:
                return self.plain(x)
            if self.op >= 0 and isinstance(x, TracedScalar):
                return unary(self.op, x)
        return self.recorded(*args, **kwargs)


KINDS = frozenset({Twin, Ufunc, Function, MathFunction})
cdef dict known = {}
cdef set SEQUENCES = set()
cdef object implementation = None
cdef object row = None


def implemented_by(find, find_row):
    """Name the functions that give what implements a function of NumPy's, and the row of the op table that a ufunc is, or None."""
    global implementation, row
    implementation = find
    row = find_row


def take_sequences(functions):
    """Name functions of NumPy's whose own argument is a list of arrays."""
    SEQUENCES.update(functions)


def of(plain):
    """The twin of a ufunc or of a function that NumPy lets others implement; anything else as it is."""
    if type(plain) is not UFUNC and type(plain) is not DISPATCHER:
        return plain
    found = known.get(plain)
    if found is not None:
        return found
    if type(plain) is UFUNC:
        op = UFUNCS.get(plain)
        if op is None and plain.nin <= 2 and plain.nout == 1:
            op = row(plain)
        found = Twin(plain) if op is None else Ufunc(plain, UFUNCS.setdefault(plain, op))
    elif hasattr(plain, "_implementation"):
        found = Function(plain)
    else:
        found = Twin(plain)
    return known.setdefault(plain, found)
