"""Replays: a plan, what its leaves must be, and what must still hold for its results to be right."""

cimport numpy as cnp
from libc.string cimport memcmp

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
    STATIC = 2              # anything else: must be what it was


cdef class Leaf:
    """What one leaf of the arguments must be."""

    cdef int kind
    cdef object type_, value, token
    cdef int type_number, ndim
    cdef tuple shape
    cdef int input_

    def __init__(self, value, token, int number):
        self.type_ = type(value)
        self.value = None
        self.token = token
        self.input_ = number
        if number >= 0 and isinstance(value, np.ndarray):
            self.kind = ARRAY
            self.type_number = cnp.PyArray_TYPE(value)
            self.shape = value.shape
            self.ndim = <int>len(self.shape)
        elif number >= 0:
            self.kind = NUMBER
        else:
            self.kind = STATIC
            self.value = value

    cdef object bind(self, object x):
        """The array to bind, or None when the leaf is not what it was."""
        cdef object array
        cdef int k
        if type(x) is not self.type_:
            return None
        if self.kind == ARRAY:
            if cnp.PyArray_TYPE(x) != self.type_number or cnp.PyArray_NDIM(x) != self.ndim:
                return None
            for k in range(self.ndim):
                if cnp.PyArray_DIM(x, k) != <cnp.npy_intp>self.shape[k]:
                    return None
            if cnp.PyArray_ISCARRAY_RO(x) and cnp.PyArray_ISNOTSWAPPED(x):
                return x
            return np.array(x, dtype=x.dtype.newbyteorder("="), order="C")
        array = cnp.PyArray_EMPTY(0, NULL, cnp.NPY_DOUBLE, 0)
        (<double *>cnp.PyArray_DATA(array))[0] = x
        return array

    cdef bint same(self, object x) except -1:
        if x is self.value and self.token is None:
            return True
        if type(x) is not self.type_:
            return False
        if self.token is not None:
            return self.token.holds(x)
        return bool(x == self.value)


cdef class Replay:
    """One recorded way through a function."""

    cdef Plan plan
    cdef list consts, scalars, leaves, guards, entries, live, written
    cdef object template, slot
    cdef Py_ssize_t n_inputs

    def __init__(self, plan, consts, scalars, leaves, guards, surroundings, template, slot, written):
        self.plan = plan
        self.consts = consts
        self.scalars = scalars
        self.leaves = [Leaf(*leaf) for leaf in leaves]
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

    def __call__(self, list given, bint first=False):
        """The result for these leaves, or NotImplemented when this recording does not stand for it.

        The ``first`` time, right after the recording, the surroundings are not looked at.
        """
        cdef list inputs = [None] * self.n_inputs
        cdef list results
        cdef Leaf leaf
        cdef Py_ssize_t k
        cdef object array, expected
        if len(given) != len(self.leaves):
            return NotImplemented
        for k in range(len(given)):
            leaf = <Leaf>self.leaves[k]
            if leaf.kind == STATIC:
                if not leaf.same(given[k]):
                    return NotImplemented
            else:
                array = leaf.bind(given[k])
                if array is None:
                    return NotImplemented
                inputs[leaf.input_] = array
        if not first and not self.holds():
            return NotImplemented
        for container, key, number in self.live:
            array = container.cell_contents if key is None else container.get(key)
            spec = self.plan.input_specs[number]
            if type(array) is not np.ndarray or array.shape != spec[0] or array.dtype != spec[1]:
                return NotImplemented
            inputs[number] = np.array(array, dtype=spec[1], order="C", copy=None)
        results = engine.run(self.plan, inputs, self.consts, self.scalars)
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
