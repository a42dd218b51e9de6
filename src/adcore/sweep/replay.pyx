"""Replays: a plan, what its arguments must be, and what must still hold for its results to be right.

An argument is a tree of nodes: floats and float arrays are bound, everything else must be what it was. A
`Token` remembers that; for numbers, texts and tuples of them the same object is the answer, so that a table
of a hundred thousand rows is looked through in microseconds.
"""

cimport numpy as cnp
from libc.string cimport memcmp

import dataclasses
import functools
import types

import numpy as np

from adcore import trees

from adcore.plan.plan cimport Plan
from adcore.sweep import engine

cnp.import_array()

cdef type CELL = types.CellType

cdef enum:
    ARRAY = 0               # a float array, bound
    NUMBER = 1              # a float, bound
    STATIC = 2              # a tree of anything else: must be what it was


# -- what values hold ----------------------------------------------------------------------------

IMMUTABLE = (type(None), bool, int, float, complex, str, bytes, np.generic, range, slice, type(Ellipsis))
cdef tuple FROZEN = (type(None), bool, int, float, complex, str, bytes)
cdef enum:
    DEPTH = 50              # how far values are looked into: a container counts 1,
    OBJECT = 10             # an object this much, since objects may lead anywhere


cdef bint is_frozen(object x) except -1:
    """Can nothing about the value change: a number, a text, a tuple of such?"""
    if type(x) is int or type(x) is float or type(x) is str:
        return True
    if type(x) is tuple:
        for part in <tuple>x:
            if not is_frozen(part):
                return False
        return True
    return type(x) in FROZEN


cdef bint equal(object x, object y) except -1:
    """Are two frozen values the same: types, signs of zeros and all?"""
    cdef double a, b
    cdef Py_ssize_t k
    if x is y:
        return True
    if type(x) is not type(y):
        return False
    if type(x) is float:
        a = x
        b = y
        return not memcmp(&a, &b, sizeof(double))
    if type(x) is tuple:
        if len(<tuple>x) != len(<tuple>y):
            return False
        for k in range(len(<tuple>x)):
            if not equal((<tuple>x)[k], (<tuple>y)[k]):
                return False
        return True
    return bool(x == y)


cdef class Token:
    """What a value holds now: arrays copied, containers and objects looked into."""

    cdef object kind, value, keys
    cdef list values            # of a list or tuple: its parts
    cdef list parts             # their tokens; None where all parts are frozen
    cdef bint frozen

    def __init__(self, value, depth=DEPTH):
        self.kind = type(value)
        self.value = value
        self.frozen = is_frozen(value)
        if self.frozen:
            return
        if isinstance(value, np.ndarray):
            self.keys = (value.shape, value.dtype, value.tobytes())
        elif depth > 0:
            if type(value) is list or type(value) is tuple:
                self.values = list(value)
                for part in self.values:
                    if not is_frozen(part):
                        self.parts = [Token(part, depth - 1) for part in self.values]
                        return
                return
            self.keys, parts = contents(value)
            self.parts = [Token(part, depth - (1 if isinstance(value, (dict, list, tuple)) else OBJECT)) for part in parts]

    cpdef bint holds(self, object value, int depth=DEPTH) except -1:
        """Is the value what it was?"""
        cdef Py_ssize_t k
        if self.frozen:
            return equal(value, self.value)
        if type(value) is not self.kind:
            return False
        if self.values is not None:
            return self.same_parts(value if type(value) is list else list(value), depth)
        if isinstance(value, IMMUTABLE):
            return value is self.value or bool(value == self.value)
        if isinstance(value, np.ndarray):
            shape, dtype, content = self.keys
            return bool(value.shape == shape and value.dtype == dtype and value.tobytes() == content)
        if depth <= 0:
            return value is self.value
        keys, parts = contents(value)
        if keys is None:
            return value is self.value
        if keys != self.keys:
            return False
        depth -= 1 if isinstance(value, (dict, list, tuple)) else OBJECT
        for k in range(len(parts)):
            if not (<Token>self.parts[k]).holds(parts[k], depth):
                return False
        return True

    cdef bint same_parts(self, list now, int depth) except -1:
        cdef list values = self.values
        cdef Py_ssize_t k, n = len(values)
        if len(now) != n:
            return False
        for k in range(n):
            if self.parts is not None:
                if not (<Token>self.parts[k]).holds(now[k], depth - 1):
                    return False
            elif now[k] is not values[k] and not equal(now[k], values[k]):
                return False
        return True


cdef tuple contents(object value):
    """What names the parts of a value, and the parts; (None, []) for what has none."""
    if isinstance(value, dict):
        return list(value), list(value.values())
    if isinstance(value, (list, tuple)):
        return len(value), list(value)
    if isinstance(value, (set, frozenset)):
        return set(value), []
    if isinstance(value, functools.partial):
        return len(value.args), [value.func, *value.args, value.keywords]
    if isinstance(value, (type, types.FunctionType, types.ModuleType, types.BuiltinFunctionType, types.MethodType)):
        return None, []
    attributes = getattr(value, "__dict__", None)
    if isinstance(attributes, dict):
        return list(attributes), list(attributes.values())
    return None, []


def is_bound(x):
    """Does a replay bind this leaf: a float, or a float array?"""
    if isinstance(x, np.ndarray):
        return cnp.PyArray_TYPE(x) in (cnp.NPY_DOUBLE, cnp.NPY_FLOAT)
    return type(x) is float or type(x) is np.float64


cpdef bint is_static(object tree) except -1:
    """Is there nothing in the tree that a replay binds?"""
    if type(tree) is int or type(tree) is str or tree is None:
        return True
    if isinstance(tree, (list, tuple)):
        for part in tree:
            if not is_static(part):
                return False
        return True
    if isinstance(tree, dict):
        for part in (<object>tree).values():
            if not is_static(part):
                return False
        return True
    if trees.is_branch(tree):
        for _, part in trees.parts(tree):
            if not is_static(part):
                return False
        return True
    return not is_bound(tree)


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
    """A list, tuple, dict or dataclass with parts."""

    cdef object type_
    cdef list names             # keys of a dict, fields of a dataclass; None of a sequence
    cdef list nodes
    cdef bint is_dict

    def __init__(self, tree, list nodes):
        self.type_ = type(tree)
        self.nodes = nodes
        self.is_dict = isinstance(tree, dict)
        if self.is_dict:
            self.names = list(tree)
        elif not isinstance(tree, (list, tuple)):
            self.names = [field.name for field in dataclasses.fields(tree)]

    cdef bint take(self, object x, Match into) except -1:
        cdef Py_ssize_t k, n = len(self.nodes)
        if type(x) is not self.type_:
            return False
        if self.names is None:
            if len(x) != n:
                return False
            for k in range(n):
                if not (<Node>self.nodes[k]).take(x[k], into):
                    return False
            return True
        if self.is_dict and list(x) != self.names:
            return False
        for k in range(n):
            part = x[self.names[k]] if self.is_dict else getattr(x, self.names[k])
            if not (<Node>self.nodes[k]).take(part, into):
                return False
        return True


cdef class Leaf(Node):
    """An array, a number, or a tree that must be what it was."""

    cdef int kind
    cdef object type_, value
    cdef Token token
    cdef int type_number, ndim
    cdef tuple shape
    cdef int input_
    cdef Py_ssize_t number

    def __init__(self, value, int input_, Py_ssize_t number):
        self.type_ = type(value)
        self.input_ = input_
        self.number = number
        if input_ >= 0 and isinstance(value, np.ndarray):
            self.kind = ARRAY
            self.type_number = cnp.PyArray_TYPE(value)
            self.shape = value.shape
            self.ndim = <int>len(self.shape)
        elif input_ >= 0:
            self.kind = NUMBER
        else:
            self.kind = STATIC
            self.token = Token(value)

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
            into.given[self.number] = x
            if cnp.PyArray_ISCARRAY_RO(x) and cnp.PyArray_ISNOTSWAPPED(x):
                into.inputs[self.input_] = x
            else:
                into.inputs[self.input_] = np.array(x, dtype=x.dtype.newbyteorder("="), order="C")
            return True
        array = cnp.PyArray_EMPTY(0, NULL, cnp.NPY_DOUBLE, 0)
        (<double *>cnp.PyArray_DATA(array))[0] = x
        into.inputs[self.input_] = array
        return True


# -- replays -------------------------------------------------------------------------------------------

cdef class Replay:
    """One recorded way through a function."""

    cdef Plan plan
    cdef list consts, scalars, guards, entries, live, written
    cdef Node arguments
    cdef readonly object structure      # of the arguments, for counting
    cdef object template, slot
    cdef Py_ssize_t n_inputs, n_leaves

    def __init__(self, plan, consts, scalars, arguments, n_leaves, structure, guards, surroundings, template, slot, written):
        self.plan = plan
        self.consts = consts
        self.scalars = scalars
        self.arguments = arguments      # of the pair (args, kwargs)
        self.n_leaves = n_leaves
        self.structure = structure
        self.guards = guards            # (position of a result, what it must be)
        self.entries = surroundings.entries
        self.live = surroundings.live
        self.template = template
        self.slot = slot
        self.written = written          # (leaf, or -1 - live array, and position of the result it becomes)
        self.n_inputs = plan.n_inputs

    cpdef bint holds(self) except -1:
        """Are the surroundings what they were?"""
        cdef tuple entry
        for entry in self.entries:
            container, key, value, token = entry
            if type(container) is dict and key is not False:
                now = (<dict>container).get(key)
            elif type(container) is CELL:
                now = container.cell_contents
            else:
                now = container
            if token is None:
                if now is not value and not (type(now) is type(value) and isinstance(now, (int, float, str)) and now == value):
                    return False
            elif not token.holds(now):
                return False
        return True

    def __call__(self, tuple args, dict kwargs, bint first=False):
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
        for container, key, number in self.live:
            array = container.cell_contents if key is None else container.get(key)
            spec = self.plan.input_specs[number]
            if type(array) is not np.ndarray or array.shape != spec[0] or array.dtype != spec[1]:
                return NotImplemented
            inputs[number] = np.array(array, dtype=spec[1], order="C", copy=None)
        try:
            results = engine.run(self.plan, inputs, self.consts, self.scalars)
        except np.linalg.LinAlgError:
            if first:
                raise
            return NotImplemented  # f itself may catch it
        for position, expected in self.guards:
            array = results[position]
            if cnp.PyArray_NBYTES(array) != cnp.PyArray_NBYTES(expected) or memcmp(
                    cnp.PyArray_DATA(array), cnp.PyArray_DATA(expected), cnp.PyArray_NBYTES(array)):
                return NotImplemented
        for target, position in self.written:
            if target >= 0:
                given[target][...] = results[position]
            else:
                container, key, _ = self.live[-1 - target]
                (container.cell_contents if key is None else container[key])[...] = results[position]
        return self.built(self.template, results)

    cdef object built(self, object template, list results):
        """The result's tree with these arrays in its slots."""
        cdef object kind = type(template)
        if kind is self.slot:
            array = results[<Py_ssize_t>template.position]
            if template.pairs:
                return array.view(np.complex64 if array.dtype == np.float32 else np.complex128)[..., 0]
            return cnp.PyArray_ToScalar(cnp.PyArray_DATA(array), array) if template.scalar else array
        if template is None or template is False:
            return template
        if kind is tuple:
            return tuple([self.built(part, results) for part in <tuple>template])
        if kind is np.ndarray:
            return template.copy()
        if trees.is_branch(template):
            return trees.rebuilt(template, [self.built(part, results) for _, part in trees.parts(template)])
        return template
