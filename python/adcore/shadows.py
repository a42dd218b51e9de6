"""Shadows: the memory of the user's that derivatives are read from and written into, checked before anything is written.

A shadow is a tree like its primal. What is wrong with one is found by ``sweep/boundary``; here stand the words, and
the walk that compares the two trees.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import itertools
from collections.abc import Callable, Mapping, Set
from typing import Any

import numpy as np

from . import errors, trees
from .sweep import boundary
from .sweep.boundary import Fault
from .tracer import array as traced

FLOATS = (np.dtype(np.float64), np.dtype(np.float32))


def is_float_leaf(x: Any) -> bool:
    """Does a derivative with respect to this leaf exist: a float, or an array of floats?"""
    if isinstance(x, (np.ndarray, traced.Traced)):
        return x.dtype.kind == "f" and x.dtype.itemsize in (4, 8)
    return isinstance(x, (float, np.floating))


@dataclasses.dataclass
class Place:
    """Where a float stands that is no array: its container is written, not the float."""

    container: Any
    key: Any


@dataclasses.dataclass
class Pair:
    """A float leaf of an argument, and its shadow: an array, or a float and its place."""

    path: str
    shadow: Any
    place: Place | None = None


class Walk:
    """The float leaves of an argument and of one shadow side by side, and the arrays that own their memory."""

    def __init__(self, name: str, primal: Any, shadow: Any, lead: int, floats_written: bool) -> None:
        self.pairs: list[Pair] = []
        self.memory: list[tuple[str, Any]] = []
        self.lead = lead
        self.floats_written = floats_written
        self.walk(name, primal, shadow, None, False)

    def refuse(self, path: str, why: str) -> None:
        raise errors.ShadowError(f"the shadow of {path} {why}")

    def walk(self, path: str, primal: Any, shadow: Any, place: Place | None, owned: bool) -> None:
        if not trees.is_branch(primal):
            self.leaf(path, primal, shadow, place, owned)
            return
        if type(shadow) is not type(primal):
            self.refuse(path, f"is {described(shadow)}, the argument is {described(primal)}")
        if isinstance(primal, np.ndarray):
            self.structured(path, primal, shadow)
            owned = True
        ours, theirs = dict(trees.parts(primal)), dict(trees.parts(shadow))
        if ours.keys() != theirs.keys():
            lacking = ", ".join(k for k in ours if k not in theirs)
            more = ", ".join(k for k in theirs if k not in ours)
            self.refuse(path, "has " + " and ".join(t for t in (lacking and f"no {lacking}", more and f"{more} too many") if t))
        names = trees.keys(primal)
        if len(ours) < len(names):
            self.refuse(path, "has keys that read alike: give them names of their own")
        for (where, part), key in zip(ours.items(), names, strict=True):
            if isinstance(theirs[where], np.ndarray) and not owned and trees.part(shadow, key) is not theirs[where]:
                self.refuse(path + where, f"is another array whenever {described(shadow)} is asked for it")
            self.walk(path + where, part, theirs[where], Place(shadow, key), owned)

    def structured(self, path: str, primal: Any, shadow: Any) -> None:
        """A structured array is one piece of memory: its fields must not overlap."""
        if shadow.dtype != primal.dtype:
            self.refuse(path, f"has dtype {shadow.dtype}, the argument {primal.dtype}")
        if shadow.shape != primal.shape:
            self.refuse(path, f"has shape {shadow.shape}, the argument {primal.shape}")
        spans = sorted((field[1], field[1] + field[0].itemsize) for field in (primal.dtype.fields or {}).values())
        if any(end > start for (_, end), (start, _) in itertools.pairwise(spans)):
            self.refuse(path, f"has fields that overlap ({primal.dtype}): a union has no derivative")
        self.memory.append((path, shadow))

    def leaf(self, path: str, primal: Any, shadow: Any, place: Place | None, owned: bool) -> None:
        if isinstance(primal, np.ndarray):
            if not is_float_leaf(primal):
                self.constant_array(path, primal, shadow)
                return
            found = boundary.fault(primal, shadow, self.lead)
            if found != Fault.FITS:
                self.refuse(path, words(found, primal, shadow, self.lead))
            if not owned:
                self.memory.append((path, shadow))
            self.pairs.append(Pair(path, shadow))
        elif isinstance(primal, (float, np.floating)):
            if not isinstance(shadow, (float, np.floating)):
                self.refuse(path, f"is {described(shadow)}, the argument is a float")
            if self.floats_written and place is not None and not trees.settable(place.container):
                self.refuse(path, f"is a float inside {described(place.container)}, which cannot be written: use an array of shape (1,)")
            self.pairs.append(Pair(path, shadow, place))
        elif type(shadow) is not type(primal):
            self.refuse(path, f"is {described(shadow)}, the argument is {described(primal)}")
        elif shadow is not primal and not same(primal, shadow):
            self.refuse(path, f"is {shadow!r}, the argument {primal!r}: what is not a float must be the same in both")

    def constant_array(self, path: str, primal: Any, shadow: Any) -> None:
        """An array of integers, say: it has no derivative, but the shadow must be of the same form."""
        if primal.dtype.kind in "Oc" or primal.dtype.kind == "f":
            self.refuse(path, f"cannot be: the argument has dtype {primal.dtype}; use float64 or float32, and a list for arrays of "
                        "different lengths")  # fmt: skip
        if not isinstance(shadow, np.ndarray):
            self.refuse(path, f"is {described(shadow)}, the argument is an array")
        if shadow.dtype != primal.dtype:
            self.refuse(path, f"has dtype {shadow.dtype}, the argument {primal.dtype}")
        if shadow.shape != primal.shape:
            self.refuse(path, f"has shape {shadow.shape}, the argument {primal.shape}")


def same(a: Any, b: Any) -> bool:
    if isinstance(a, enum.Enum):
        return a is b
    try:
        return bool(a == b)
    except Exception:
        return False


def described(x: Any) -> str:
    return "None" if x is None else f"{'an' if type(x).__name__[0] in 'aeiouAEIOU' else 'a'} {type(x).__name__}"


def words(found: int, primal: Any, shadow: Any, lead: int = 0) -> str:
    """What is wrong with a shadow, for the end of a sentence."""
    wanted = ((lead,) if lead else ()) + primal.shape
    table: dict[Fault, Callable[[], str]] = {
        Fault.NOT_AN_ARRAY: lambda: f"is {described(shadow)}, the argument is an array",
        Fault.SUBCLASS: lambda: f"is {described(shadow)}: use a plain array",
        Fault.DTYPE: lambda: f"has dtype {shadow.dtype}, the argument {primal.dtype}",
        Fault.BYTE_ORDER: lambda: f"has dtype {shadow.dtype}, which is not this machine's byte order",
        Fault.NDIM: lambda: f"has {shadow.ndim} dimensions, it should have {len(wanted)}",
        Fault.SHAPE: lambda: f"has shape {shadow.shape}, it should have {wanted}",
        Fault.READ_ONLY: lambda: "is read-only",
        Fault.ALIGNMENT: lambda: "is not aligned: its elements do not begin at multiples of their size",
        Fault.OVERLAPS_ITSELF: lambda: f"overlaps itself: its strides {shadow.strides} lead to the same bytes twice",
    }
    return table[Fault(found)]()


def memory(x: Any, path: str) -> list[tuple[str, Any]]:
    """The arrays that an argument holds, structured ones whole: in containers, buffers, and the attributes of objects."""
    found: list[tuple[str, Any]] = []
    gather(x, path, found, set())
    return found


OBJECTS_MAX = 1000  # of objects that are no trees, how many are looked into


def gather(x: Any, path: str, found: list[tuple[str, Any]], seen: set[int]) -> None:
    if not trees.may_hold_memory(x):
        return
    if isinstance(x, np.ndarray):
        found.append((path, x))
        inner = [(f"{path}[{k}]", y) for k, y in enumerate(x.flat)] if x.dtype.hasobject and x.dtype.names is None else []
    elif trees.is_branch(x):
        inner = [(path + where, part) for where, part in trees.parts(x)]
    elif id(x) in seen or len(seen) == OBJECTS_MAX:
        return
    else:
        array = exported(x)
        if array is not None:
            found.append((path, array))
        seen.add(id(x))
        inner = [(path + where, part) for where, part in inside(x)]
    for where, part in inner:
        gather(part, where, found, seen)


def exported(x: Any) -> Any:
    """The memory of an object that lends it, as an array; None when it lends none."""
    try:
        view = memoryview(x)
    except (TypeError, BufferError):
        return np.asarray(x) if hasattr(type(x), "__array_interface__") else None
    try:
        return np.asarray(view)
    except (TypeError, ValueError):  # elements that NumPy has no dtype for
        return np.frombuffer(view.cast("B"), dtype=np.uint8) if view.c_contiguous and view.nbytes else None


def inside(x: Any) -> list[tuple[str, Any]]:
    """What an object that is no tree holds."""
    if isinstance(x, Mapping):
        return [(trees.quoted(k), v) for k, v in x.items()]
    if isinstance(x, (Set, collections.deque)):
        return [("[...]", y) for y in x]
    if isinstance(x, functools.partial):
        return [("(...)", y) for y in (x.func, *x.args, *x.keywords.values())]
    own = [(f".{k}", v) for k, v in vars(x).items()] if hasattr(x, "__dict__") else []
    for kind in type(x).__mro__:
        names = vars(kind).get("__slots__", ())
        own += [(f".{k}", getattr(x, k, None)) for k in ([names] if isinstance(names, str) else names)]
    return [*own, ("", x.base if isinstance(x, np.flatiter) else getattr(x, "__self__", None))]  # of a method: its object


def refuse_shared_containers(pairs: list[Pair], primals: list[Any]) -> None:
    """Raise when a float that is written stands in a container that an argument or another shadow has as well."""
    places = [(pair.path, pair.place) for pair in pairs if pair.place is not None]
    if not places:
        return
    seen = {(id(c), None) for primal in primals for c in trees.branches(primal)}
    for path, place in places:
        if (id(place.container), None) in seen or (id(place.container), place.key) in seen:
            raise errors.ShadowError(
                f"the shadow of {path} stands in a container that an argument or another shadow has as well: pass a copy"
            )
        seen.add((id(place.container), place.key))


def refuse_shared(written: list[tuple[str, Any]], others: list[tuple[str, Any]]) -> None:
    """Raise when memory that is written belongs to something else as well."""
    found = boundary.shared_pair([a for _, a in written], [a for _, a in others])
    if found is None:
        return
    names = [*[name for name, _ in written], *[name for name, _ in others]]
    raise errors.ShadowError(
        f"{names[found[0]]} shares memory with {names[found[1]]}: one of them would change the other. Pass a copy, or arrays of their own"
    )
