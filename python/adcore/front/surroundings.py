"""What a function reads besides its arguments, so that a replay can tell whether it changed.

Everything that the function's code can reach by the names in it is looked into before the function runs: closure cells, globals, defaults,
the functions that it calls, modules and classes of the user's by the names that occur in all this code, objects with their
attributes and the code of their classes. Float arrays that a copied function (``rebind``) reads by name are inputs of the
recording instead. Of libraries only the names that the user's code may mention are compared.
"""

from __future__ import annotations

import dis
import functools
import os
import random
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import errors
from ..sweep import guards
from ..tracer import array as traced
from ..tracer.names import ABSENT
from . import modules, reach

# names by which code reaches more than it names
REFLECTION = frozenset({"getattr", "vars", "globals", "locals", "eval", "exec", "dir", "__dict__", "attrgetter", "getmembers"})
ITS_MODULE = frozenset({"eval", "exec", "globals"})
IMPORTING = frozenset({"import_module", "__import__", "modules"})
# what gives something else each time
IMPURE = {
    "time": {"time", "time_ns", "perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "process_time", "localtime", "gmtime"},
    "datetime": {"now", "utcnow", "today"},
    "os": {"urandom", "getpid", "getcwd", "listdir", "stat"},
    "secrets": {"choice", "randbelow", "randbits", "token_bytes", "token_hex"},
    "uuid": {"uuid1", "uuid4"},
}
# packages whose objects do not change what a function computes
STATELESS = frozenset({"_thread", "threading", "logging", "io", "_io", "re", "typing", "abc", "_abc", "enum", "weakref", "_weakref",
                       "uarray", "_cffi_backend", "_ctypes", "cython"})  # fmt: skip
CODE = (
    types.BuiltinFunctionType, types.WrapperDescriptorType, types.MethodWrapperType, types.MethodDescriptorType,
    types.ClassMethodDescriptorType, types.GetSetDescriptorType, types.MemberDescriptorType, types.CodeType, types.GenericAlias,
    types.UnionType, np.ufunc, np.dtype, type(np.sum), type(NotImplemented), object,
)  # fmt: skip
RECORDS_MAX = 1_000_000  # containers that are looked into


@functools.lru_cache(maxsize=4096)
def global_names(code: types.CodeType) -> tuple[str, ...]:
    """Names that a function, or a function inside it, may look up in its module."""
    names = dict.fromkeys(code.co_names)
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            names.update(dict.fromkeys(global_names(const)))
    return tuple(names)


IMPORT = dis.opmap["IMPORT_NAME"]


@functools.lru_cache(maxsize=4096)
def imports(code: types.CodeType) -> bool:
    """Does the function import anything?"""
    return IMPORT in code.co_code[::2] or any(isinstance(c, types.CodeType) and imports(c) for c in code.co_consts)


# opcodes that look a name up, and whether the lowest bit of their argument is another matter
LOADS = {
    dis.opmap[name]: name == "LOAD_GLOBAL" and sys.version_info >= (3, 11)
    for name in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
    if name in dis.opmap
}


@functools.lru_cache(maxsize=4096)
def loaded_names(code: types.CodeType) -> tuple[str, ...]:
    """Of the global names of a function, those that are no attributes: found by opcode, since dis takes microseconds for each."""
    found: dict[str, None] = {}
    for part in codes(code):
        ops, args = part.co_code[::2], part.co_code[1::2]
        for op, shifted in LOADS.items():
            k = ops.find(op)
            while k >= 0:
                index, at, shift = args[k], k - 1, 8
                while at >= 0 and ops[at] == dis.EXTENDED_ARG:
                    index, at, shift = index | args[at] << shift, at - 1, shift + 8
                found[part.co_names[index >> 1 if shifted else index]] = None
                k = ops.find(op, k + 1)
    return tuple(found)


def codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """The code of a function and of the functions inside it."""
    yield code
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from codes(const)


def texts(code: types.CodeType) -> Iterator[str]:
    """The texts in a function."""
    for part in codes(code):
        yield from (c for c in part.co_consts if type(c) is str)


def top(name: object) -> str:
    return str(name or "").split(".")[0]


def plain(value: Any, container: Any, key: Any) -> Any:
    """What a name of a namespace stands for, twins of this time's recordings aside."""
    found = modules.plain(value, container, key)
    return guards.ABSENT if found is ABSENT else found


class Surroundings:
    """The reads of one recording, and whether they would still give the same.

    Attributes
    ----------
    snapshots : list of Snapshot
        What must hold still.
    live : list of (container, key, number)
        Float arrays, bound anew by each replay: the namespace or the closure cell (key None) where they stand, and the inputs that stand
        for them.
    why : str
        Why a replay cannot do what the function does; empty when it can.
    """

    def __init__(self, trace: Any) -> None:
        self.trace = trace
        self.snapshots: list[guards.Snapshot] = []
        self.live: list[tuple[Any, Any, int]] = []
        self.why = ""
        self.inputs: dict[int, tuple[Any, Any]] = {}
        self.arrays: list[tuple[Any, int]] = []  # the live arrays as traced, and their first values
        self.places: dict[tuple[int, Any], bool] = {}  # where arrays that are inputs stand; is it where the input is taken from?
        self.roots: list[Any] = []
        self.settled: tuple[int, ...] = ()
        self.started = False  # has a function of the user's been met?
        self.copied: dict[int, Any] = {}  # functions that run as copies
        self.in_place: set[int] = set()  # of these, the ones that others may call as they are
        self.codes: set[types.CodeType] = set()
        self.names: set[str] = set()
        self.everything = False
        self.tops: set[str] = set()  # packages that count as the user's
        self.namespaces: dict[tuple[int, bool], guards.Names] = {}
        self.libraries: dict[str, types.ModuleType] = {}
        self.generators: dict[int, tuple[Any, guards.Token]] = {}  # of random numbers, and their states

    def changes(self, why: str) -> None:
        """Note that replays are out of the question."""
        self.why = self.why or why

    # -- what a recording tells -----------------------------------------------------------------------

    def reach(self, value: Any) -> None:
        """Note a value that the function may read."""
        self.roots.append(value)

    def itself(self, f: types.FunctionType) -> None:
        """Note a function that runs as it is, in its module."""
        self.started = True
        self.reach(f)

    def function(self, f: types.FunctionType) -> None:
        """Note a function that runs as a copy, with twins for what it reads."""
        self.started = True
        self.copied[id(f)] = f
        if f.__code__ not in self.codes:  # else it was made by one that has been looked into
            self.reach(f)

    def read(self, value: Any, container: Any, key: Any) -> Any:
        """Note a read by a copied function; a float array comes back as an input of the recording."""
        if isinstance(value, np.ndarray) and value.ndim and value.dtype in (np.float64, np.float32):
            known = self.inputs.get(id(value))
            self.places.setdefault((id(container), key), known is None)
            if known is None:
                array = np.array(value, dtype=value.dtype.newbyteorder("="), order="C", copy=None)
                number = len(self.trace.inputs)
                known = (value, self.trace.input_array(array, False, False, value))
                self.inputs[id(value)] = known
                self.live.append((container, key, number))
                self.arrays.append((known[1], traced.value_number(known[1])))
            return known[1]
        return value

    def settle(self) -> None:
        """Look into what was noted, as it is now: to be called before the code runs."""
        if self.why or not self.started or self.settled == self.size():
            return
        for generator in SHARED_GENERATORS.values():  # libraries draw from these
            self.draws(generator)
        self.snapshots.append(self.taken())

    def taken(self) -> guards.Snapshot:
        """What all that was noted holds now."""
        while True:
            before = self.size()
            snapshot = guards.Snapshot(self, None, plain)
            for root in list(self.roots):
                snapshot.add(root)
                if len(snapshot) > RECORDS_MAX:
                    self.changes(f"the function may read more than {RECORDS_MAX:,} objects around it")
                    return snapshot
            if self.size() == before:
                break
        self.settled = before
        self.look_for_impure()
        return snapshot

    def finish(self) -> None:
        """The code has run: all it may have read must hold, and what is known of it now goes into one snapshot."""
        if not all(token.holds(state_of(generator)) for generator, token in self.generators.values()):
            self.changes(RANDOM)
        if not all(snapshot.holds() for snapshot in self.snapshots):
            self.changes(CHANGES)
        if not self.why:
            self.snapshots = [self.taken()]

    def size(self) -> tuple[int, ...]:
        """Grows with what is known of the code."""
        keys = sum(len(n.keys or ()) for n in self.namespaces.values())
        return len(self.roots), len(self.names), self.everything, len(self.in_place), len(self.namespaces), keys, len(self.places)

    def holds(self) -> bool:
        """Would the same be read again?"""
        return not self.why and all(snapshot.holds() for snapshot in self.snapshots)

    def draws(self, value: Any) -> None:
        """Note a source of random numbers: drawing from it changes its state."""
        owner = value if isinstance(value, GENERATORS) else getattr(value, "__self__", None)
        owner = SHARED_GENERATORS.get(id(value), owner)
        if not isinstance(owner, GENERATORS) or isinstance(owner, random.SystemRandom):
            self.changes(RANDOM)
        elif id(owner) not in self.generators:
            self.generators[id(owner)] = owner, guards.Token(state_of(owner))

    def look_for_impure(self) -> None:
        for name, impure in IMPURE.items():
            found = self.names & impure if name in self.libraries else ()
            if found:
                self.changes(f"{name}.{min(found)} gives something new at each call")

    # -- what a snapshot asks ------------------------------------------------------------------------

    def is_users(self, module: object) -> bool:
        """Is code of this module looked into: no library's, unless f itself is from there?"""
        package = top(module)
        if package in self.tops or not package:
            return True
        if package in reach.LIBRARIES or package in reach.STDLIB or package == "builtins":
            return False
        file = getattr(sys.modules.get(str(module)), "__file__", None)
        return file is None or not file.startswith(errors.SITE)

    def look(self, value: Any, direct: bool) -> tuple[int, frozenset[str] | None, list[Any]] | None:
        """What code or an object leads to."""
        kind = type(value)
        if is_random(value):
            self.draws(value)
            return None
        if isinstance(value, types.FunctionType):
            return self.look_at_function(value, direct)
        if isinstance(value, type):
            return self.look_at_class(value)
        if isinstance(value, types.ModuleType):
            return self.look_at_module(value)
        if isinstance(value, traced.Traced) or kind in CODE or isinstance(value, guards.IMMUTABLE) or top(kind.__module__) in STATELESS:
            if isinstance(value, types.BuiltinFunctionType) and value.__name__ in IMPURE.get(str(value.__module__), ()):
                self.changes(f"{value.__module__}.{value.__name__} gives something new at each call")
            return None
        if kind.__name__ in ("cython_function_or_method", "PyCapsule", "fused_cython_function"):
            return None
        if hasattr(kind, "__next__"):
            self.changes(f"an iterator ({kind.__name__}) gives other items at each call")
            return None
        if top(kind.__module__) == "adcore":
            own = getattr(value, "__dict__", {})
            return guards.ATTRIBUTES, frozenset(k for k, part in own.items() if callable(part)), []
        wrapped = getattr(value, "__wrapped__", None) if kind is functools._lru_cache_wrapper else None
        if wrapped is not None:
            return guards.FIXED, None, [wrapped]
        if is_hashed_by_value(kind) and not hasattr(value, "__dict__"):
            return None  # stands for its value
        if not hasattr(value, "__dict__") and hasattr(kind, "__get__"):
            return None  # a descriptor of a class
        if not hasattr(value, "__dict__") and not any("__slots__" in vars(base) for base in kind.__mro__[:-1]):
            self.changes(f"it cannot be seen whether a {kind.__module__}.{kind.__qualname__} that the function reads has changed")
            return None
        return guards.ATTRIBUTES, None, [kind]

    def indirect(self, f: types.FunctionType) -> None:
        """A function that runs as a copy is also found where it is called as it is."""
        if id(f) in self.copied:
            self.in_place.add(id(f))

    def look_at_function(self, f: types.FunctionType, direct: bool) -> tuple[int, None, list[Any]] | None:
        name = f.__globals__.get("__name__", "__main__")
        cells = list(f.__closure__ or ())
        if id(f) in self.copied:
            self.tops = self.tops or {top(name)}  # the first one that is met is f itself
        elif not self.is_users(name):
            return (guards.FUNCTION, None, cells) if cells and (top(name) not in reach.STDLIB) else None
        code = f.__code__
        if code not in self.codes:
            self.codes.update(codes(code))
            self.names.update(global_names(code))
        names = global_names(code)
        if not REFLECTION.isdisjoint(names):
            self.everything = True
            self.names.update(texts(code))
        more: list[Any] = []
        if imports(code) or not IMPORTING.isdisjoint(names):
            package = f.__globals__.get("__package__") or ""
            for text in (*names, *(() if IMPORTING.isdisjoint(names) else texts(code))):
                more += [m for m in map(sys.modules.get, (text, f"{package}.{text}")) if isinstance(m, types.ModuleType)]
        if "environ" in names or "getenv" in names:
            more.append(os.environ._data)  # type: ignore[attr-defined]
        as_copy = direct and id(f) in self.copied and id(f) not in self.in_place
        for cell in cells:
            place = self.places.get((id(cell), None)) if as_copy else None
            if place is None:
                more.append(cell)
            elif not place:
                more.append(guards.Names(cell, [None], by_identity={None}))
        more.append(self.names_of(f.__globals__, loaded_names(code), as_copy))
        if not ITS_MODULE.isdisjoint(names):
            more.append(self.names_of(f.__globals__, None, False))
        return guards.FUNCTION, None, more

    def names_of(self, namespace: dict[str, Any], names: Any, as_copy: bool) -> guards.Names:
        """What stands for these names of a namespace, among others."""
        key = id(namespace), as_copy
        found = self.namespaces.get(key)
        if found is None:
            found = self.namespaces[key] = guards.Names(namespace, [])
        if found.keys is not None and names is None:
            found.keys = None
        elif found.keys is not None:
            have = set(found.keys)
            found.keys = found.keys + [name for name in names if name not in have]
        if as_copy:
            for name in found.keys or ():
                place = self.places.get((id(namespace), name))
                if place is not None:
                    (found.unread if place else found.by_identity).add(name)
        return found

    def look_at_class(self, kind: type) -> tuple[int, frozenset[str] | None, list[Any]] | None:
        if not self.is_users(kind.__module__) or kind.__module__ == "builtins":
            if kind.__module__ == "datetime":
                self.libraries["datetime"] = sys.modules["datetime"]
            return None
        chosen = None if self.everything else frozenset(self.names)
        return guards.CLASS, chosen, [*kind.__mro__[1:], type(kind)]

    def look_at_module(self, module: types.ModuleType) -> tuple[int, None, list[Any]] | None:
        if self.is_users(module.__name__):
            return guards.SAME, None, [self.names_of(module.__dict__, None if self.everything else sorted(self.names), False)]
        self.libraries[module.__name__] = module
        present = sorted(name for name in self.names if name in module.__dict__ and not isinstance(module.__dict__[name], types.ModuleType))
        return guards.SAME, None, [self.names_of(module.__dict__, present, False)]


GENERATORS = (random.Random, np.random.Generator, np.random.RandomState)
NUMPYS: Any = getattr(np.random.mtrand, "_rand")  # noqa: B009  the generator behind np.random's functions
SHARED_GENERATORS = {id(random): getattr(random.seed, "__self__"), id(np.random): NUMPYS}  # noqa: B009
CHANGES = "the function changes what it reads: a list, a counter or another object around it"
RANDOM = "a random number generator gives new numbers at each call"


def state_of(generator: Any) -> Any:
    """What the next random numbers depend on."""
    if isinstance(generator, random.Random):
        return generator.getstate()
    return generator.bit_generator.state if isinstance(generator, np.random.Generator) else generator.get_state(legacy=False)


def is_hashed_by_value(kind: Any) -> bool:
    return kind.__hash__ is not None and kind.__hash__ is not object.__hash__


BOUND = (types.MethodType, types.BuiltinFunctionType, types.MethodWrapperType)


def is_random(value: Any) -> bool:
    """Does the value stand for a source of random numbers?"""
    if value is random or value is np.random or isinstance(value, GENERATORS):
        return True
    if not isinstance(value, BOUND) and type(value).__name__ != "cython_function_or_method":
        return False  # and a module is not asked for names: it may answer with a warning
    return str(getattr(value, "__module__", "")).startswith("numpy.random") or isinstance(getattr(value, "__self__", None), GENERATORS)
