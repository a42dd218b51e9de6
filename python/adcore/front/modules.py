"""Twins in modules, for functions that are reached by attribute: methods, callbacks, ``helpers.make(n)``.

A function that f names is copied with twins in its globals (``rebind``). A method, a function in a dict or
one of another module of the user's is found only as the code runs, in its own module's globals. So while f is recorded, the
NumPy names of the modules that f's code reaches (``reach``) stand for twins there, and are put back when the recording
ends, also when f raises. A twin asks which recording runs in this thread; where none does it is NumPy itself, so other
threads see no difference. NumPy and SciPy are never touched.
"""

from __future__ import annotations

import builtins
import dataclasses
import dis
import functools
import itertools
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from ..locks import Lock
from ..tracer import twins
from ..tracer.names import ABSENT
from .reach import Reach, Roots, codes_names, functions_of, may_have_twins

_running = threading.local()


def innermost() -> Any:
    """NumPy's twin in the recording that runs in this thread; None when none does."""
    stack = getattr(_running, "stack", None)
    return stack[-1].numpy if stack else None


class SharedNumpy(types.ModuleType):
    """numpy, or its twin in this thread's recording."""

    def __getattribute__(self, name: str) -> Any:
        twin = innermost()
        return getattr(np if twin is None else twin, name)


SHARED = SharedNumpy("numpy")


class Shared:
    """A function from NumPy's, or its twin in this thread's recording."""

    def __init__(self, plain: Any, find: Callable[[Any], Any]) -> None:
        functools.update_wrapper(self, plain, updated=())
        self.plain = plain
        self.find = find

    def __call__(self, *args: Any, **kw: Any) -> Any:
        twin = innermost()
        return (self.plain if twin is None else self.find(twin))(*args, **kw)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)


STAND_INS = frozenset({Shared, *twins.KINDS})
STANDS_FOR: dict[types.ModuleType, types.ModuleType] = {}  # adcore.numpy and its modules -> NumPy's


def plain(value: Any, container: Any = None, key: Any = None) -> Any:
    """What a twin, found under a key of a namespace, stands for; other values as they are."""
    if value is SHARED:
        return np
    if type(value) in STAND_INS:
        return value.plain
    if type(value) is types.ModuleType and value.__name__.startswith("adcore.numpy"):
        return STANDS_FOR.get(value, value)
    held = _swapped.get((id(container), key))
    return held.there if held is not None and held.twin is value else value


def imported(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    """``__import__`` for the time of a recording: what f imports has twins as well."""
    module = builtins.__import__(name, globals, locals, fromlist, level)
    stack = getattr(_running, "stack", None)
    if stack and stack[-1].numpy is not None:
        found = [module, *[getattr(module, part, None) for part in fromlist or ()]]
        if "." in name and not fromlist:
            found.append(sys.modules.get(name))
        stack[-1].extend(found)
        return stack[-1].find[1](module)
    return module


class Plainly:
    """The time in which an opaque function runs: NumPy is NumPy, whatever is being recorded."""

    numpy = None

    def __enter__(self) -> None:
        stack = getattr(_running, "stack", None)
        if stack is None:
            stack = _running.stack = []
        stack.append(self)

    def __exit__(self, *_: object) -> None:
        _running.stack.pop()


# -- which names -----------------------------------------------------------------------------

Entry = tuple[dict[str, Any], str, Any, Any]  # namespace, name, what is there, the twin


def asked_for(namespace: dict[str, Any], names: Any) -> set[str]:
    """Those of these builtins that a function or method defined here names."""
    return {n for f in functions_of(namespace) for n in codes_names(f.__code__) if n in names}


IS = dis.opmap["IS_OP"]


@functools.lru_cache(maxsize=4096)
def told_by_identity(code: types.CodeType) -> frozenset[str]:
    """Names of a function that compares with ``is``, other than with None: classes of these names must be the objects themselves.

    ``type(x) is np.ndarray`` is what ``type`` has a twin for.
    """
    found: set[str] = set()
    if IS in code.co_code[::2]:
        steps = list(dis.get_instructions(code))
        if any(step.opname == "IS_OP" and before.opname != "LOAD_CONST" for before, step in itertools.pairwise(steps)):
            found.update(n for n in code.co_names if n not in ("type", "isinstance"))
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            found |= told_by_identity(const)
    return frozenset(found)


def entries_of(namespace: dict[str, Any], twin_of: Callable[[Any], Any], builtin_twins: dict[str, Any]) -> list[Entry]:
    """What changes in a namespace while a recording runs."""
    found: list[Entry] = []
    own: set[str] = set()
    apart = told_apart([namespace])
    for name, value in list(namespace.items()):
        held = _swapped.get((id(namespace), name))
        there = value if held is None else held.there
        if name in builtin_twins and there is not ABSENT:
            own.add(name)
        twin = there if there is ABSENT else twin_of(there)
        if twin is not there and not (isinstance(there, type) and name in apart):
            found.append((namespace, name, there, twin if held is None else held.twin))
    wanted = asked_for(namespace, builtin_twins) - own - apart
    found += [(namespace, name, ABSENT, builtin_twins[name]) for name in sorted(wanted)]
    return found


def told_apart(namespaces: list[dict[str, Any]]) -> set[str]:
    """Names that functions in these namespaces compare with ``is``."""
    return {name for n in namespaces for f in functions_of(n) for name in told_by_identity(f.__code__)}


class Known:
    """The entries for one set of roots, and how to tell that they are out of date."""

    def __init__(self, roots: Roots, twin_of: Callable[[Any], Any], builtin_twins: dict[str, Any]) -> None:
        reach = Reach(roots)
        self.codes = roots.codes  # which live as long as their identities are keys
        self.names = reach.names
        self.namespaces = list(reach.namespaces.values())
        self.entries = [e for n in self.namespaces for e in entries_of(n, twin_of, builtin_twins)]
        self.apart = told_apart(self.namespaces)
        self.sizes = [len(n) for n in self.namespaces]

    def holds(self) -> bool:
        """Are the namespaces as they were? Asked while nothing is swapped in them."""
        if [len(n) for n in self.namespaces] != self.sizes:
            return False
        for namespace, name, there, _ in self.entries:
            if namespace.get(name, ABSENT) is not there:
                return False
        return True


@dataclasses.dataclass
class Held:
    """A name that is a twin now: how many recordings want it, and what it stands for."""

    count: int
    there: Any
    twin: Any


_lock = Lock()
_swapped: dict[tuple[int, Any], Held] = {}  # by the namespace's id and the name
_known: dict[tuple[int, ...], Known] = {}
KNOWN_MAX = 256


def known_for(roots: Roots, twin_of: Callable[[Any], Any], builtin_twins: dict[str, Any]) -> Known:
    key = tuple(map(id, (*roots.namespaces, *roots.codes)))
    known = _known.get(key)
    if known is None or not (_swapped or known.holds()):
        if len(_known) >= KNOWN_MAX:
            _known.clear()
        known = _known[key] = Known(roots, twin_of, builtin_twins)
    return known


class Swapped:
    """Twins in the user's modules for the time of a recording whose NumPy is ``numpy``: a context manager."""

    def __init__(self, numpy: Any, roots: Roots, twin_of: Callable[[Any], Any], builtin_twins: dict[str, Any]) -> None:
        self.numpy = numpy
        self.find = (roots, twin_of, builtin_twins)
        self.mine: list[Entry] = []
        self.names: set[str] = set()

    def __enter__(self) -> None:
        with _lock:
            known = known_for(*self.find)
            self.names = known.names
            self.numpy.keeps(known.apart)
            entries = known.entries
            if not _swapped:  # and so everything is as the entries say
                self.mine = entries
                for namespace, name, there, twin in entries:
                    namespace[name] = twin
                    _swapped[id(namespace), name] = Held(1, there, twin)
            else:
                self.mine = [entry for entry in entries if self.wanted(entry)]
        stack = getattr(_running, "stack", None)
        if stack is None:
            stack = _running.stack = []
        stack.append(self)

    def extend(self, found: list[Any]) -> None:
        """Twins also in these modules, which f has just imported, and in those that they reach."""
        _, twin_of, builtin_twins = self.find
        roots = Roots(tuple(m.__dict__ for m in found if isinstance(m, types.ModuleType) and may_have_twins(m.__name__)))
        with _lock:
            mine = {(id(namespace), name) for namespace, name, _, _ in self.mine}
            namespaces = Reach(roots, self.names).namespaces.values() if roots.namespaces else ()
            entries = [e for n in namespaces for e in entries_of(n, twin_of, builtin_twins)]
            self.mine = self.mine + [e for e in entries if (id(e[0]), e[1]) not in mine and self.wanted(e)]

    @staticmethod
    def wanted(entry: Entry) -> bool:
        """One more recording wants this twin; False when f has put something of its own there."""
        namespace, name, there, twin = entry
        key = (id(namespace), name)
        if key in _swapped:
            _swapped[key].count += 1
        elif namespace.get(name, ABSENT) is there:
            namespace[name] = twin
            _swapped[key] = Held(1, there, twin)
        else:
            return False
        return True

    def __exit__(self, *_: object) -> None:
        _running.stack.pop()
        with _lock:
            for namespace, name, there, twin in self.mine:
                key = (id(namespace), name)
                held = _swapped[key]
                held.count -= 1
                if held.count:
                    continue
                del _swapped[key]
                if namespace.get(name) is twin:  # else f itself assigned to it
                    if there is ABSENT:
                        del namespace[name]
                    else:
                        namespace[name] = there
