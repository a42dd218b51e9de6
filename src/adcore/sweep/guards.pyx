"""Guards: what a value held once, all that it leads to included, and whether it holds it still.

A `Snapshot` is a list of records, one for each container that it met: a list, a dict, an array, an object, a function, a class,
a namespace. Asked again, it first looks whether each of these very containers holds the very same parts: a version number that
Python keeps of dicts and types answers for all of them at once, otherwise it is one comparison of pointers a part. Only where
that fails are values compared: containers of the same kind with equal parts are the same, code is the same where it is the same object.

What code leads to is not for this module to know: ``look(value, direct)`` gives None for a value that has no parts, or its kind, the
names of the parts that count, and further values that go with it. ``direct`` says that only functions stand between the roots and it.
"""

cimport numpy as cnp
from cpython.dict cimport PyDict_Next
from cpython.object cimport PyObject
from libc.string cimport memcmp

import array
import collections
import functools
import types

import numpy as np

cnp.import_array()

cdef extern from "Python.h":
    PyObject *PyFunction_GetCode(PyObject *)
    PyObject *PyFunction_GetDefaults(PyObject *)
    PyObject *PyFunction_GetKwDefaults(PyObject *)
    PyObject *PyCell_GET(PyObject *)
    PyObject *PyDict_GetItemWithError(PyObject *, PyObject *) except? NULL
    ctypedef struct PyFunctionObject:
        PyObject *func_dict

cdef extern from "ad_versions.h":
    uint64_t ad_dict_version(PyObject *) noexcept
    uint64_t ad_type_version(PyObject *) noexcept

cdef enum Kind:
    FIXED_ = 0          # nothing of its own can change
    LIST = 1
    DICT = 2
    SET = 3
    ARRAY = 4
    OBJECTS = 5         # an array of objects, a deque
    BYTES = 6
    ATTRIBUTES_ = 7     # an object
    FUNCTION_ = 8
    CLASS_ = 9
    CELL = 10
    NAMES = 11
    SAME_ = 12          # code: must be the same object

FIXED, ATTRIBUTES, FUNCTION, CLASS, SAME = FIXED_, ATTRIBUTES_, FUNCTION_, CLASS_, SAME_
ABSENT = object()       # under a name that a namespace does not have

IMMUTABLE = (type(None), bool, int, float, complex, str, bytes, np.generic, range, slice, type(Ellipsis))
cdef tuple FROZEN = (type(None), bool, int, float, complex, str, bytes)
cdef tuple METHODS = (staticmethod, classmethod)
cdef tuple CODE = (type, types.FunctionType, types.ModuleType, types.BuiltinFunctionType)
cdef type CELLS = types.CellType
cdef type FUNCTIONS = types.FunctionType
cdef type PROXY = types.MappingProxyType
cdef frozenset PRIVATE = frozenset({"__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__abstractmethods__",
                                    "__slotnames__", "__qualname__", "__firstlineno__", "__static_attributes__"})

cdef enum:
    DEEPEST = 500           # values that lie deeper count as changed


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
    if type(x) is complex:
        return equal(x.real, y.real) and equal(x.imag, y.imag)
    if type(x) is tuple:
        if len(<tuple>x) != len(<tuple>y):
            return False
        for k in range(len(<tuple>x)):
            if not equal((<tuple>x)[k], (<tuple>y)[k]):
                return False
        return True
    return bool(x == y)


cdef bint is_same(object x, object y) except -1:
    """The same object, or another that nobody could tell from it?"""
    return x is y or (type(x) is type(y) and is_frozen(x) and equal(x, y))


cdef bint is_value(object x) except -1:
    """Does it stand for its value: does it compare, and hash, by it?"""
    kind = type(x)
    return isinstance(x, IMMUTABLE) or (kind.__hash__ is not None and kind.__eq__ is not object.__eq__)


cdef class Names:
    """Names of a namespace, or a closure cell, that somebody reads."""

    def __init__(self, container, keys, unread=(), by_identity=()):
        self.container = container
        self.keys = keys
        self.unread = set(unread)
        self.by_identity = set(by_identity)


cdef class Record:
    """What one container held."""

    cdef bint unchanged(self) except -1:
        """Does this very container hold these very parts?"""
        cdef PyObject *f
        cdef PyObject *d
        cdef PyObject *key
        cdef PyObject *part
        cdef Py_ssize_t k, at = 0
        cdef uint64_t version
        cdef list now
        if self.kind == NAMES:
            return self.names_unchanged()
        if self.kind == FUNCTION_:
            f = <PyObject *>self.value
            d = (<PyFunctionObject *>f).func_dict
            return (PyFunction_GetCode(f) == <PyObject *>self.parts[0] and is_at(PyFunction_GetDefaults(f), self.parts[1])
                    and is_at(PyFunction_GetKwDefaults(f), self.parts[2])
                    and (self.parts[3] is None and (d == NULL or not says_more(<dict>d)) or d == <PyObject *>self.parts[3]))
        if self.kind == CELL:
            part = PyCell_GET(<PyObject *>self.value)
            if part == NULL:
                return self.parts[0] is ABSENT
            return is_same(<object>part, self.parts[0])
        if self.kind == ATTRIBUTES_:
            if type(self.value) is not self.content:
                return False
            version = self.version and own_version(self.value)
            if version and version == self.version:
                return True
            names, now = attributes(self.value, self.chosen)
            if names != self.names or not all_same(now, self.parts):
                return False
            if self.version:
                self.version = own_version(self.value)
            return True
        if self.kind == CLASS_:
            version = ad_type_version(<PyObject *>self.value)
            if version and version == self.version:
                return True
            names, now = class_members(self.value, self.chosen)
            if names != self.names or not all_same(now, self.parts):
                return False
            self.version = version
            return True
        if self.kind == LIST and type(self.value) is list:
            return all_same(<list>self.value, self.parts)
        if self.kind == DICT and type(self.value) is dict:
            d = <PyObject *>self.value
            version = ad_dict_version(d)
            if version and version == self.version:
                return True
            if len(<dict>self.value) != len(self.parts):
                return False
            k = 0
            while PyDict_Next(<object>d, &at, &key, &part):
                if k >= len(self.parts) or not is_same(<object>key, self.names[k]) or not is_same(<object>part, self.parts[k]):
                    return False
                k += 1
            self.version = version
            return True
        if self.kind == SET:
            return self.value == self.content
        if self.kind == ARRAY:
            return same_array(self.value, self.content)
        if self.kind == BYTES:
            return bytes(self.value) == self.content
        if self.kind == LIST or self.kind == DICT or self.kind == OBJECTS:
            names, now = members(self.kind, self.value)
            return names == self.names and all_same(now, self.parts)
        return True

    cdef bint names_unchanged(self) except -1:
        cdef Names names = self.value
        cdef PyObject *found
        cdef Py_ssize_t k
        cdef uint64_t version
        if type(names.container) is not dict:
            found = PyCell_GET(<PyObject *>names.container)
            return (ABSENT if found == NULL else <object>found) is self.parts[0]
        version = ad_dict_version(<PyObject *>names.container)
        if version and version == self.version:
            return True
        if names.keys is None and public_names(names.container) != self.names:
            return False
        for k in range(len(self.names)):
            key = self.names[k]
            if key in names.unread:
                continue
            found = PyDict_GetItemWithError(<PyObject *>names.container, <PyObject *>key)
            if found == NULL:
                if self.parts[k] is not ABSENT:
                    return False
            elif not is_same(<object>found, self.parts[k]):
                return False
        self.version = version
        return True


cdef uint64_t own_version(object value) except? 0:
    """The version of an object's attributes."""
    own = value.__dict__
    return ad_dict_version(<PyObject *>own) if type(own) is dict else 0


cdef bint is_at(PyObject *x, object y) noexcept:
    return x == <PyObject *>y or x == NULL and y is None


cdef bint says_more(dict attributes) except -1:
    """Has a function attributes besides the one that functools.wraps leaves?"""
    return len(attributes) > 1 or len(attributes) == 1 and "__wrapped__" not in attributes


cdef bint all_same(list now, list was) except -1:
    cdef Py_ssize_t k
    if len(now) != len(was):
        return False
    for k in range(len(was)):
        if now[k] is not was[k] and not is_same(now[k], was[k]):
            return False
    return True


cdef bint same_array(object now, object was) except -1:
    if cnp.PyArray_TYPE(now) != cnp.PyArray_TYPE(was) or now.shape != was.shape or now.dtype != was.dtype:
        return False
    if not cnp.PyArray_IS_C_CONTIGUOUS(now):
        now = np.ascontiguousarray(now)
    return not memcmp(cnp.PyArray_DATA(now), cnp.PyArray_DATA(was), cnp.PyArray_NBYTES(was))


cdef tuple members(int kind, object value):
    """Names and parts of a container of Python's or NumPy's."""
    if kind == DICT:
        return list(value), list(value.values())
    if isinstance(value, np.ndarray):
        return [value.shape], list(value.flat)
    return [], list(value)


cdef tuple attributes(object value, object chosen):
    """Names and values of an object's attributes, in a dict and in slots."""
    cdef list names, parts
    own = getattr(value, "__dict__", None)
    if type(own) is dict and chosen is None:
        names, parts = list(<dict>own), list((<dict>own).values())
    elif isinstance(own, dict):
        names = [k for k in own if chosen is None or k in chosen]
        parts = [own[k] for k in names]
    else:
        names, parts = [], []
    for name in slots_of(type(value)):
        names.append(name)
        parts.append(getattr(value, name, ABSENT))
    return names, parts


@functools.lru_cache(maxsize=4096)
def slots_of(kind):
    """The names of the slots of a class and its bases."""
    return tuple([name for base in kind.__mro__ for name, member in base.__dict__.items()
                  if type(member) is types.MemberDescriptorType and base.__flags__ & HEAP])


cdef enum:
    HEAP = 1 << 9           # Py_TPFLAGS_HEAPTYPE: made by a class statement, as a rule


cdef tuple class_members(object kind, object chosen):
    """Names and values that stand in a class itself."""
    cdef list names = [], parts = []
    for name, part in list(kind.__dict__.items()):
        if name not in PRIVATE and type(part) is not types.MemberDescriptorType and (
                chosen is None or name in chosen or name[:2] == "__"):
            names.append(name)
            parts.append(part)
    return names, parts


def plainly(value, container, key):
    """What stands under a name."""
    return value


cdef class Snapshot:
    """What values hold now; ``add`` adds one, ``holds`` tells whether all hold it still.

    ``look`` is asked for what code leads to; without one, code is the same when it is the same object, and ``found(code)`` is told of it.
    ``plain(value, container, key)`` gives what a namespace holds where something else stands in its place for a while.
    """

    def __init__(self, look=None, found=None, plain=plainly):
        self.look = look
        self.found = found
        self.plain = plain
        self.records = []
        self.known = {}
        self.roots = []
        self.root_numbers = []

    def __len__(self):
        return len(self.records)

    cpdef int add(self, object value) except -1:
        """One more value to hold on to."""
        cdef Py_ssize_t start = len(self.records)
        self.roots.append(value)
        self.root_numbers.append(self.number(value, True))
        self.fill(start)
        return 0

    cpdef bint holds(self) except -1:
        """Do the values hold what they held?"""
        cdef Snapshot again
        if self.unchanged():
            return True
        if not self.hold_values(self.roots):
            return False
        again = Snapshot(self.look, self.found, self.plain)  # other containers with the same parts are the ones to ask next
        for value in self.roots:
            again.add(value)
        self.records, self.known, self.root_numbers = again.records, again.known, again.root_numbers
        return True

    cdef bint unchanged(self) except -1:
        cdef Record record
        for record in self.records:
            if not record.unchanged():
                return False
        return True

    cdef bint hold_values(self, list values) except -1:
        """Do other values, in the places of the roots, hold the same?"""
        cdef Py_ssize_t k
        cdef set seen = set()
        for k in range(len(values)):
            if not self.agrees(self.root_numbers[k], self.roots[k], values[k], seen, 0):
                return False
        return True

    # -- making ------------------------------------------------------------------------------------

    cdef Py_ssize_t number(self, object value, bint direct) except -2:
        """The record of a value, one that is to be filled yet; -1 where none is needed."""
        cdef Record record
        if value is ABSENT or is_frozen(value):
            return -1
        found = self.known.get(id(value))
        if found is not None:
            if not direct and found >= 0 and (<Record>self.records[found]).direct and type(value) is FUNCTIONS and self.look is not None:
                self.look.indirect(value)
            return found
        record = self.record(value, direct)
        if record is None:
            return -1
        record.direct = direct
        self.known[id(value)] = len(self.records)
        self.records.append(record)
        return len(self.records) - 1

    cdef Record record(self, object value, bint direct):
        """A record of this value, without its parts."""
        cdef Record record = Record.__new__(Record)
        record.value = value
        record.more = []
        kind = type(value)
        if kind is Names:
            record.kind = NAMES
        elif kind is CELLS:
            record.kind = CELL
        elif isinstance(value, list):
            record.kind = LIST
        elif isinstance(value, dict) or kind is PROXY:
            record.kind = DICT
        elif isinstance(value, (tuple, functools.partial, types.MethodType, property, *METHODS)):
            record.kind = FIXED_
        elif isinstance(value, (set, frozenset)):
            record.kind = SET
        elif isinstance(value, np.ndarray):
            record.kind = OBJECTS if cnp.PyArray_TYPE(value) == cnp.NPY_OBJECT else ARRAY
        elif isinstance(value, collections.deque):
            record.kind = OBJECTS
        elif isinstance(value, (bytearray, memoryview, array.array)):
            record.kind = BYTES
        elif self.look is not None:
            seen = self.look.look(value, direct)
            if seen is None:
                return None
            record.kind, record.chosen, record.more = seen
            return record
        elif isinstance(value, CODE):
            if self.found is not None:
                self.found(value)
            return None
        elif is_value(value):
            return None
        else:
            record.kind = ATTRIBUTES_
            if self.found is not None and not hasattr(value, "__dict__") and not slots_of(kind):
                self.found(value)
        if self.look is None and self.found is not None:
            self.found(kind)
        elif self.look is not None and kind.__flags__ & HEAP:
            record.more = [kind]
        return record

    cdef int fill(self, Py_ssize_t start) except -1:
        """Parts for the records from this one on, and for those that they add."""
        cdef Record record
        cdef Names names
        cdef Py_ssize_t k
        cdef bint direct
        while start < len(self.records):
            record = self.records[start]
            start += 1
            names_, parts = self.held(record, record.value)
            record.names, record.parts = names_, parts
            direct = record.direct and record.kind in (FUNCTION_, CELL, NAMES, FIXED_, ATTRIBUTES_)
            if record.kind == NAMES:
                names = record.value
                record.numbers = [
                    -1 if key in names.unread or key in names.by_identity else self.number(part, direct) for key, part in zip(names_, parts)
                ]
            else:
                record.numbers = [self.number(part, direct) for part in parts]
            record.more = [k for k in [self.number(value, direct) for value in record.more] if k >= 0]
            if record.kind == SET:
                record.content = set(record.value)
            elif record.kind == ARRAY:
                record.content = np.array(record.value, order="C")
            elif record.kind == BYTES:
                record.content = bytes(record.value)
            elif record.kind == ATTRIBUTES_:
                record.content = type(record.value)
                if type(getattr(record.value, "__dict__", None)) is dict and not slots_of(type(record.value)):
                    record.version = own_version(record.value)
            elif record.kind == CLASS_:
                record.version = ad_type_version(<PyObject *>record.value)
            if record.kind == DICT and type(record.value) is dict:
                record.version = ad_dict_version(<PyObject *>record.value)
        return 0

    cdef tuple held(self, Record record, object value):
        """Names and parts that a value holds now."""
        cdef Names names
        cdef int kind = record.kind
        if kind == NAMES:
            names = value
            if type(names.container) is not dict:
                return names.keys, [cell_contents(names.container)]
            keys = public_names(names.container) if names.keys is None else names.keys
            found = [
                None if key in names.unread else self.plain((<dict>names.container).get(key, ABSENT), names.container, key) for key in keys
            ]
            if names.keys is None:
                keys = [key for key, part in zip(keys, found) if part is not ABSENT]
                found = [part for part in found if part is not ABSENT]
            return keys, found
        if kind == CELL:
            return [], [cell_contents(value)]
        if kind == FUNCTION_:
            own = value.__dict__ if says_more(value.__dict__) else None
            return [], [value.__code__, value.__defaults__, value.__kwdefaults__, own]
        if kind == CLASS_:
            return class_members(value, record.chosen)
        if kind == ATTRIBUTES_:
            return attributes(value, record.chosen)
        if kind == LIST or kind == DICT or kind == OBJECTS:
            found_names, parts = members(kind, value)
        elif isinstance(value, tuple):
            found_names, parts = [], list(value)
        elif isinstance(value, functools.partial):
            found_names, parts = [], [value.func, value.args, value.keywords]
        elif isinstance(value, types.MethodType):
            found_names, parts = [], [value.__self__, value.__func__]
        elif isinstance(value, property):
            return [], [value.fget, value.fset]
        elif isinstance(value, METHODS):
            return [], [value.__func__]
        elif kind == SET:
            found_names, parts = [], [part for part in value if not is_frozen(part)]
        else:
            return [], []
        if type(value).__flags__ & HEAP:
            own = getattr(value, "__dict__", None)
            if own:
                parts.append(own)
        return found_names, parts

    # -- asking ------------------------------------------------------------------------------------

    cdef bint agrees(self, Py_ssize_t k, object was, object now, set seen, int depth) except -1:
        """Is the value in the place of a part what the part was?"""
        if k >= 0:
            return self.matches(k, now, seen, depth)
        if was is now:
            return True
        if type(was) is not type(now):
            return False
        if is_frozen(was):
            return equal(was, now)
        return is_value(was) and bool(was == now)

    cdef bint matches(self, Py_ssize_t k, object now, set seen, int depth) except -1:
        """Does a value hold what the record says?"""
        cdef Record record = self.records[k]
        cdef Py_ssize_t i
        if (k, id(now)) in seen:
            return True
        if depth > DEEPEST or type(now) is not type(record.value):
            return False
        seen.add((k, id(now)))
        if record.kind in (FUNCTION_, CLASS_, CELL, NAMES, SAME_) and now is not record.value:
            return False
        if record.kind == ARRAY:
            return same_array(now, record.content)
        if record.kind == BYTES:
            return bytes(now) == record.content
        if record.kind == SET and now != record.content:
            return False
        names, parts = self.held(record, now)
        if len(parts) != len(record.parts) or len(names) != len(record.names):
            return False
        if record.kind == SET:
            return all_same(parts, record.parts)
        for i in range(len(names)):
            if names[i] is not record.names[i] and not (type(names[i]) is type(record.names[i]) and names[i] == record.names[i]):
                return False
        for i in range(len(parts)):
            if not self.agrees(record.numbers[i], record.parts[i], parts[i], seen, depth + 1):
                return False
        for i in record.more:
            if not self.matches(i, (<Record>self.records[i]).value, seen, depth + 1):
                return False
        return True


cdef list public_names(dict namespace):
    return [name for name in namespace if type(name) is not str or name[:2] != "__"]


cdef object cell_contents(object cell):
    cdef PyObject *found = PyCell_GET(<PyObject *>cell)
    return ABSENT if found == NULL else <object>found


cdef class Token:
    """What a value holds now: arrays copied, containers and objects looked into. ``found(code)`` is told of code among it."""

    def __init__(self, value, found=None):
        self.value = value
        self.frozen = is_frozen(value)
        self.empty = not self.frozen and (type(value) is dict or type(value) is list) and not value
        if not self.frozen:
            self.snapshot = Snapshot(None, found)
            self.snapshot.add(value)

    cpdef bint holds(self, object value) except -1:
        """Is the value what it was?"""
        if self.frozen:
            return equal(value, self.value)
        if self.empty:                      # as the keywords of most calls
            return type(value) is type(self.value) and not value
        if value is self.value and self.snapshot.unchanged():
            return True
        return self.snapshot.hold_values([value])
