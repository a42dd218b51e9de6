"""What the copies of a user's functions see (``front/rebind``): namespaces, kept from one recording to the next.

Invariant: between recordings a kept namespace holds modules, functions and classes only, so that no data of the user's
outlives the user's own use of it; and nobody else holds it, so that a copy that has got away keeps what it had.
"""

cimport numpy as cnp
from cpython.object cimport PyObject

import numpy as np

from adcore.tracer.array cimport Traced, TracedComplex
from adcore.tracer.twins cimport Twin

cnp.import_array()

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject *)
    PyObject *PyFunction_GetCode(PyObject *)
    PyObject *PyFunction_GetDefaults(PyObject *)
    PyObject *PyFunction_GetKwDefaults(PyObject *)
    ctypedef struct PyFunctionObject:
        PyObject *func_dict

cdef enum:
    PARTS_MAX = 1000            # of a tree that are looked at

cdef type NDARRAY = np.ndarray
cdef object DTYPE = np.dtype
cdef frozenset NUMBERS = frozenset([*np.sctypeDict.values(), bytes, complex, range, type(Ellipsis), slice]) - {np.void, np.object_}


ABSENT = object()               # what stands under a name that a module has for the time of a recording only


cdef bint inert(object x, Py_ssize_t *left) except -1:
    if x is None or isinstance(x, Traced):
        return True
    if type(x) is int or type(x) is float or type(x) is str or type(x) is bool:
        return True
    if type(x) is NDARRAY:
        return cnp.PyArray_TYPE(x) != cnp.NPY_OBJECT and cnp.PyArray_TYPE(x) != cnp.NPY_VOID
    if type(x) is dict:
        x = (<object>x).values()
    elif type(x) is not tuple and type(x) is not list:
        return type(x) in NUMBERS or isinstance(x, (TracedComplex, Twin, DTYPE))
    left[0] -= len(x)
    if left[0] < 0:
        return False
    for part in x:
        if not inert(part, left):
            return False
    return True


def is_inert(tree):
    """Is it plain data, through which no code of the user's can be reached? A large tree counts as one that is not."""
    cdef Py_ssize_t left = PARTS_MAX
    return inert(tree, &left)


cdef bint is_simple(object x) noexcept:
    if type(x) is NDARRAY:
        return cnp.PyArray_TYPE(x) != cnp.NPY_OBJECT and cnp.PyArray_TYPE(x) != cnp.NPY_VOID
    return type(x) is float or type(x) is int


cdef class Space:
    """The namespace of the copies of one function's code, with twins in it."""

    cdef readonly object code
    cdef readonly dict globals      # of the user's module
    cdef readonly dict names        # what the copies see
    cdef list fixed                 # name, value, name, value, ...: twins of these last as long as the name stands for them
    cdef list fresh                 # names of data, read anew for each recording
    cdef list absent                # names that the module does not have

    def __init__(self, code, dict globals, dict names):
        self.code = code
        self.globals = globals
        self.names = names
        self.fixed = []
        self.fresh = []
        self.absent = []

    def keep(self, name, value, twin):
        """A name whose twin lasts."""
        self.fixed += [name, value]
        self.names[name] = twin

    def read_anew(self, name, twin):
        """A name that stands for data."""
        self.fresh.append(name)
        self.names[name] = twin

    def lacks(self, name):
        """A name that the module does not have: an attribute, or a builtin."""
        self.absent.append(name)

    def renew(self, read, plain):
        """Read the data again; False when another thing stands under a name now.

        ``read(value, namespace, name)`` gives the twin of data, NotImplemented for what is none; ``plain`` likewise what a twin
        stands for.
        """
        cdef Py_ssize_t k
        cdef dict globals = self.globals
        cdef list fixed = self.fixed
        for k in range(0, len(fixed), 2):
            value = globals.get(fixed[k])
            if value is not fixed[k + 1] and plain(value, globals, fixed[k]) is not fixed[k + 1]:
                return False
        for name in self.absent:
            if name in globals and plain(globals[name], globals, name) is not ABSENT:
                return False
        for name in self.fresh:
            if name not in globals:
                return False
            value = globals[name]
            if not is_simple(value):
                value = read(value, globals, name)
                if value is NotImplemented:
                    return False
            self.names[name] = value
        return True

    def forget(self):
        """Let go of the data."""
        for name in self.fresh:
            self.names.pop(name, None)


cdef class Copies:
    """What stands for the user's functions: namespaces by code and module, and the copies of functions that close over nothing."""

    cdef readonly dict spaces       # (id of code, id of globals) -> Space
    cdef readonly dict lasting      # id of a function -> (it, its copy, and its code, defaults and keyword defaults)
    cdef object numpy               # NumPy's twin
    cdef dict asked                 # names of NumPy's that were asked for, and what they stood for
    cdef list held                  # what nobody else may keep
    cdef list counts                # of those who held each when the recording began

    def __init__(self, numpy, dict asked):
        self.spaces = {}
        self.lasting = {}
        self.numpy = numpy
        self.asked = asked

    def last(self, f, copy):
        """Keep the copy of a function."""
        self.lasting[id(f)] = (f, copy, f.__code__, f.__defaults__, f.__kwdefaults__)
        self.held = None

    def add(self, tuple key, Space space):
        """Keep a namespace."""
        self.spaces[key] = space
        self.held = None

    def renew(self, read, plain):
        """Read the data again (`Space.renew`); False when a name or a function stands for other code now."""
        cdef tuple found
        cdef Space space
        for name, value in self.asked.items():
            if NUMPY.get(name, value) is not value:
                return False
        for found in self.lasting.values():
            if not as_it_was(found):
                return False
        for space in list(self.spaces.values()):
            if not space.renew(read, plain):
                return False
        return True

    def count(self):
        """A recording begins."""
        cdef tuple found
        cdef Space space
        if self.held is None:
            self.held = [self.numpy]
            for space in self.spaces.values():
                self.held.append(space.names)
            for found in self.lasting.values():
                self.held.append(found[1])
        self.counts = holders(self.held)

    def forget(self):
        """A recording ends: let go of the data; False when somebody has kept a copy, to whom all of this belongs now."""
        cdef Space space
        if self.held is None or holders(self.held) != self.counts:
            return False
        for space in self.spaces.values():
            space.forget()
        return True


cdef dict NUMPY = vars(np)


cdef list holders(list objects):
    """How many hold each of these objects."""
    cdef list found = []
    for x in objects:
        found.append(Py_REFCNT(<PyObject *>x))
    return found


cdef bint as_it_was(tuple found) except -1:
    """Is a function made of what it was made of, and its copy without attributes?"""
    cdef PyObject *f = <PyObject *>found[0]
    return (PyFunction_GetCode(f) == <PyObject *>found[2]
            and same(PyFunction_GetDefaults(f), found[3]) and same(PyFunction_GetKwDefaults(f), found[4])
            and not has_attributes(f) and not has_attributes(<PyObject *>found[1]))


cdef bint same(PyObject *x, object y) noexcept:
    return x == <PyObject *>y or x == NULL and y is None


cdef bint has_attributes(PyObject *f) except -1:
    cdef PyObject *attributes = (<PyFunctionObject *>f).func_dict
    return attributes != NULL and len(<dict>attributes) > 0
