"""Replays: a plan, what its arguments must be, and what must still hold for its results to be right.

An argument is a tree of nodes: floats and float arrays are bound, everything else must be what it was (`sweep/guards`).
"""

cimport numpy as cnp
from cpython.sequence cimport PySequence_GetItem
from libc.string cimport memcmp

import numpy as np

from adcore import errors, trees

from adcore.plan.plan cimport Plan
from adcore.sweep.guards cimport Snapshot, Token
from adcore.sweep.engine cimport run, settings

cnp.import_array()

cdef extern from "Python.h":
    int Py_EnterRecursiveCall(const char *) except 1
    void Py_LeaveRecursiveCall()

cdef tuple PLAIN = (list, tuple, dict, np.ndarray)     # containers that hold nothing but their parts

cdef enum:
    ARRAY = 0               # a float or complex array, bound
    NUMBER = 1              # a float or a complex number, bound
    STATIC = 2              # a tree of anything else: must be what it was


def is_bound(x):
    """Does a replay bind this leaf: a float or complex number, or an array of them?"""
    if isinstance(x, np.ndarray):
        return cnp.PyArray_TYPE(x) in (cnp.NPY_DOUBLE, cnp.NPY_FLOAT, cnp.NPY_CDOUBLE, cnp.NPY_CFLOAT)
    return type(x) in (float, np.float64, complex, np.complex128)


cdef object parts_of(object array):
    """A complex array that is C-contiguous as the real one of its parts, which stand in a last axis; a real one as it is."""
    cdef int part
    cdef cnp.npy_intp[cnp.NPY_MAXDIMS] dims
    cdef object found
    cdef int k, n = cnp.PyArray_NDIM(array)
    cdef int code = cnp.PyArray_TYPE(array)
    if code != cnp.NPY_CDOUBLE and code != cnp.NPY_CFLOAT:
        return array
    for k in range(n):
        dims[k] = cnp.PyArray_DIM(array, k)
    dims[n] = 2
    part = cnp.NPY_DOUBLE if code == cnp.NPY_CDOUBLE else cnp.NPY_FLOAT
    found = cnp.PyArray_SimpleNewFromData(n + 1, dims, part, cnp.PyArray_DATA(array))
    cnp.set_array_base(found, array)
    return found


cdef object of_parts(object array):
    """The complex array whose parts stand in the last axis of a real one, in its memory."""
    return array.view(np.complex64 if cnp.PyArray_TYPE(array) == cnp.NPY_FLOAT else np.complex128)[..., 0]


cpdef bint is_static(object tree) except -1:
    """Is there nothing in the tree that a replay binds?"""
    if type(tree) is int or type(tree) is str or tree is None:
        return True
    if isinstance(tree, (list, tuple)):
        parts = tree
    elif isinstance(tree, dict):
        parts = (<object>tree).values()
    elif trees.is_branch(tree):
        parts = [part for _, part in trees.parts(tree)]
    else:
        return not is_bound(tree)
    Py_EnterRecursiveCall(" in a structure that is too deep, or holds itself")
    try:
        for part in parts:
            if not is_static(part):
                return False
        return True
    finally:
        Py_LeaveRecursiveCall()


# -- arguments ---------------------------------------------------------------------------------------

cdef class Match:
    """The arguments of one call, as they are matched."""

    cdef list inputs        # what the plan binds
    cdef list given         # leaves by number


cdef class Node:
    """What a part of the arguments must be."""

    cdef bint take(self, object x, Match into) except -1:
        raise NotImplementedError


cdef class Branch(Node):
    """A list, tuple, dict, dataclass or structured array with parts."""

    cdef object type_
    cdef list names             # keys of a dict, fields of a class or an array; None of a sequence
    cdef list nodes
    cdef object dtype           # of a structured array
    cdef bint is_dict, is_structured, is_plain
    cdef Token beside           # what it holds besides its parts

    def __init__(self, tree, list nodes, found=None):
        self.type_ = type(tree)
        self.nodes = nodes
        self.is_dict = isinstance(tree, dict)
        self.is_structured = isinstance(tree, np.ndarray)
        self.is_plain = type(tree) in PLAIN
        if not self.is_plain:
            self.beside = Token(trees.beside(tree), found)
        if not isinstance(tree, (list, tuple)):
            self.names = trees.keys(tree)
        if self.is_structured:
            self.dtype = tree.dtype

    cdef bint take(self, object x, Match into) except -1:
        cdef Py_ssize_t k, n = len(self.nodes)
        if type(x) is not self.type_:
            return False
        if not self.is_plain and not self.beside.holds(trees.beside(x)):
            return False
        if self.names is None:
            if len(x) != n:
                return False
            for k in range(n):
                if not (<Node>self.nodes[k]).take(PySequence_GetItem(x, k), into):
                    return False
            return True
        if self.is_dict and (len(x) != n or (n and list(x) != self.names)):
            return False
        if self.is_structured and x.dtype != self.dtype:
            return False
        for k in range(n):
            part = x[self.names[k]] if self.is_dict or self.is_structured else getattr(x, self.names[k])
            if not (<Node>self.nodes[k]).take(part, into):
                return False
        return True


cdef object order_of(object array):
    """The order of an array's axes in memory; None when it is C's."""
    if cnp.PyArray_NDIM(array) < 2 or cnp.PyArray_IS_C_CONTIGUOUS(array):
        return None
    strides = array.strides
    axes = list(range(len(strides)))
    order = sorted(axes, key=lambda k: -abs(strides[k]))
    return None if order == axes else tuple(order)


cdef class Leaf(Node):
    """An array, a number, or a tree that must be what it was."""

    cdef int kind
    cdef object type_, value
    cdef Token token
    cdef int type_number, ndim
    cdef tuple shape
    cdef object order                   # of its axes in memory; None is C's
    cdef readonly bint ordered          # must an array have this order?
    cdef int input_
    cdef Py_ssize_t number

    def __init__(self, value, int input_, Py_ssize_t number, found=None):
        self.type_ = type(value)
        self.input_ = input_
        self.number = number
        if input_ >= 0 and isinstance(value, np.ndarray):
            self.kind = ARRAY
            self.type_number = cnp.PyArray_TYPE(value)
            self.shape = value.shape
            self.ndim = <int>len(self.shape)
            self.order = order_of(value)
            self.ordered = self.ndim > 1
        elif input_ >= 0:
            self.kind = NUMBER
        else:
            self.kind = STATIC
            self.token = Token(value, found)

    def in_any_order(self):
        """The recording did not ask how arrays lie in memory: one of any order will do."""
        self.ordered = False

    cdef bint take(self, object x, Match into) except -1:
        cdef object array
        cdef int k
        if self.kind == STATIC:
            return self.token.holds(x)
        if type(x) is not self.type_:
            return False
        if self.kind == ARRAY:
            if cnp.PyArray_TYPE(x) != self.type_number or cnp.PyArray_NDIM(x) != self.ndim:
                return False
            for k in range(self.ndim):
                if cnp.PyArray_DIM(x, k) != <cnp.npy_intp>self.shape[k]:
                    return False
            if self.ordered and (self.order is not None or not cnp.PyArray_IS_C_CONTIGUOUS(x)) and order_of(x) != self.order:
                return False
            into.given[self.number] = x
            if cnp.PyArray_ISCARRAY_RO(x) and cnp.PyArray_ISNOTSWAPPED(x):
                into.inputs[self.input_] = parts_of(x)
            else:
                into.inputs[self.input_] = parts_of(np.array(x, dtype=x.dtype.newbyteorder("="), order="C"))
            return True
        if isinstance(x, complex):
            into.inputs[self.input_] = np.array([x.real, x.imag])
            return True
        array = cnp.PyArray_EMPTY(0, NULL, cnp.NPY_DOUBLE, 0)
        (<double *>cnp.PyArray_DATA(array))[0] = x
        into.inputs[self.input_] = array
        return True


cdef object read_live(object container, object key):
    """What stands in a cell, or under a key of a namespace; None where nothing does."""
    return container.cell_contents if key is None else container.get(key)


# -- replays -------------------------------------------------------------------------------------------

cdef class Slot:
    """Stands for an array in a result's tree: its position, whether it is a scalar or a complex value, whose parts stand in a last axis."""

    cdef Py_ssize_t position
    cdef bint scalar, pairs

    def __init__(self, position, scalar, pairs=False):
        self.position = position
        self.scalar = scalar
        self.pairs = pairs


cdef class Replay:
    """One recorded way through a function."""

    cdef Plan plan
    cdef list consts, scalars, guards, snapshots, live, written
    cdef list live_orders               # of the axes of live arrays in memory, where that matters
    cdef Node arguments
    cdef readonly object structure      # of the arguments, for counting
    cdef object template
    cdef Py_ssize_t n_inputs, n_leaves

    def __init__(self, plan, consts, scalars, arguments, n_leaves, structure, guards, surroundings, template, written):
        self.plan = plan
        self.consts = consts
        self.scalars = scalars
        self.arguments = arguments      # of the pair (args, kwargs)
        self.n_leaves = n_leaves
        self.structure = structure
        self.guards = guards            # (position of a result, what it must be)
        self.snapshots = surroundings.snapshots
        self.live = surroundings.live
        self.live_orders = None
        if surroundings.trace.layout_asked:
            self.live_orders = [order_of(read_live(container, key)) for container, key, _ in self.live]
        self.template = template
        self.written = written          # (leaf, or -1 - live array, and position of the result it becomes)
        self.n_inputs = plan.n_inputs

    cpdef bint holds(self) except -1:
        """Are the surroundings what they were?"""
        for snapshot in self.snapshots:
            if not (<Snapshot>snapshot).holds():
                return False
        return True

    cpdef object answer(self, tuple args, dict kwargs, bint first=False):
        """The result for these arguments, or NotImplemented when this recording does not stand for it.

        The ``first`` time, right after the recording, the surroundings are not looked at.
        """
        cdef Match match = Match.__new__(Match)
        cdef list inputs = [None] * self.n_inputs
        cdef list given = [None] * self.n_leaves
        cdef list results
        cdef object array, expected
        match.inputs = inputs
        match.given = given
        if not self.arguments.take((args, kwargs), match):
            return NotImplemented
        if not first and not self.holds():
            return NotImplemented
        for k, (container, key, number) in enumerate(self.live) if self.live else ():
            array = read_live(container, key)
            spec = self.plan.input_specs[number]
            if type(array) is not np.ndarray or array.shape != spec[0] or array.dtype != spec[1]:
                return NotImplemented
            if self.live_orders is not None and order_of(array) != self.live_orders[k]:
                return NotImplemented
            inputs[number] = np.array(array, dtype=spec[1], order="C", copy=None)
        try:
            results = run(self.plan, inputs, self.consts, self.scalars)
        except (np.linalg.LinAlgError, errors.OtherStructure):
            if first:
                raise
            return NotImplemented  # f itself may catch the one; the other asks for a new recording
        for position, expected in self.guards:
            array = results[position]
            if cnp.PyArray_NBYTES(array) != cnp.PyArray_NBYTES(expected) or memcmp(
                    cnp.PyArray_DATA(array), cnp.PyArray_DATA(expected), cnp.PyArray_NBYTES(array)):
                return NotImplemented
        for target, position in self.written:
            array = results[position]
            if target >= 0:
                given[target][...] = array if np.ndim(array) == np.ndim(given[target]) else of_parts(array)
            else:
                container, key, _ = self.live[-1 - target]
                read_live(container, key)[...] = array
        return self.built(self.template, results)

    cdef object built(self, object template, list results):
        """The result's tree with these arrays in its slots."""
        cdef object kind = type(template)
        cdef Slot slot
        if kind is Slot:
            slot = template
            array = results[slot.position]
            if slot.pairs:
                array = of_parts(array)
            return cnp.PyArray_ToScalar(cnp.PyArray_DATA(array), array) if slot.scalar else array
        if template is None or template is False:
            return template
        if kind is tuple:
            return tuple([self.built(part, results) for part in <tuple>template])
        if kind is np.ndarray:
            return template.copy()
        if trees.is_branch(template):
            return trees.rebuilt(template, [self.built(part, results) for _, part in trees.parts(template)])
        return template


cdef class Caller:
    """What a compiled function is called through: its recordings are tried in turn, the one that was used last first.

    ``_replays`` has a list of them for each number of arguments and names of keywords, which is replaced, never changed. Who
    derives from it says what happens when none of them stands for a call (``_anew``), and when it was not the first (``_first``).
    """

    cdef readonly dict _replays

    def __cinit__(self, *args, **kwargs):
        self._replays = {}

    def __call__(self, *args, **kwargs):
        cdef tuple live = settings()
        cdef tuple key = (live[4], len(args), *kwargs) if kwargs else (live[4], len(args))
        cdef Py_ssize_t k
        cdef list known
        if not live[3]:
            known = self._replays.get(key)
            for k in range(0 if known is None else len(known)):
                result = (<Replay>known[k]).answer(args, kwargs)
                if result is not NotImplemented:
                    if k:
                        self._first(key, known[k])
                    return result
        return self._anew(key, args, kwargs)
