"""What a function reads besides its arguments: closure cells and globals, so that a replay can tell whether they changed."""

from __future__ import annotations

import functools
import random
import types
from typing import Any

import numpy as np

from ..tracer import array as traced

IMMUTABLE = (type(None), bool, int, float, complex, str, bytes, np.generic, range, slice, type(Ellipsis))
DEPTH = 5  # of containers and objects that are looked into


class Token:
    """What a mutable value holds now: arrays copied, containers and objects looked into."""

    def __init__(self, value: Any, depth: int = DEPTH) -> None:
        self.kind: Any = type(value)
        self.value = value
        self.parts: list[Token] = []
        self.keys: Any = None
        if isinstance(value, np.ndarray):
            self.keys = (value.shape, value.dtype, value.copy())
        elif depth > 0:
            self.keys, parts = contents(value)
            self.parts = [Token(part, depth - 1) for part in parts]

    def holds(self, value: Any, depth: int = DEPTH) -> bool:
        """Is the value what it was?"""
        if type(value) is not self.kind:
            return False
        if isinstance(value, IMMUTABLE):
            return value is self.value or bool(value == self.value)
        if isinstance(value, np.ndarray):
            shape, dtype, content = self.keys
            return bool(value.shape == shape and value.dtype == dtype and value.tobytes() == content.tobytes())
        if depth <= 0:
            return value is self.value
        keys, parts = contents(value)
        if keys is None:
            return value is self.value
        return bool(keys == self.keys) and all(t.holds(p, depth - 1) for t, p in zip(self.parts, parts, strict=True))


def contents(value: Any) -> tuple[Any, list[Any]]:
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


class Surroundings:
    """The reads of one recording, and whether they would still give the same.

    Attributes
    ----------
    entries : list of (container, key, value, token)
        The container is a namespace with a key, a closure cell (key None), or a value itself (key False).
        Without a token the value must be the same object, or an equal number or text.
    live : list of (container, key)
        Float arrays, bound anew by each replay, and the numbers of the inputs that stand for them.
    why : str
        Why a replay cannot do what the function does; empty when it can.
    """

    def __init__(self, trace: Any) -> None:
        self.trace = trace
        self.entries: list[tuple[Any, Any, Any, Token | None]] = []
        self.live: list[tuple[Any, Any, int]] = []
        self.why = ""
        self.seen: set[tuple[int, Any]] = set()
        self.inputs: dict[int, tuple[Any, Any]] = {}
        self.arrays: list[tuple[Any, int]] = []  # the live arrays as traced, and their first values

    def changes(self, why: str) -> None:
        """Note that replays are out of the question."""
        self.why = self.why or why

    def read(self, value: Any, container: Any, key: Any) -> Any:
        """Note a read; a float array comes back as an input of the recording."""
        if isinstance(value, traced.Traced):
            return value
        if is_random(value):
            self.changes("a random number generator gives new numbers at each call")
            return value
        if isinstance(value, np.ndarray) and value.ndim and value.dtype in (np.float64, np.float32):
            known = self.inputs.get(id(value))
            if known is None:
                plain = np.array(value, dtype=value.dtype.newbyteorder("="), order="C", copy=None)
                number = len(self.trace.inputs)
                known = (value, self.trace.input_array(plain, False, False))
                self.inputs[id(value)] = known
                self.live.append((container, key, number))
                self.arrays.append((known[1], traced.value_number(known[1])))
            else:
                self.note(value, container, key, None)
            return known[1]
        token = None
        if isinstance(value, types.MethodType):
            self.note(value.__self__, value.__self__, False, Token(value.__self__))
        elif not isinstance(value, (*IMMUTABLE, type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType)):
            token = Token(value)
        self.note(value, container, key, token)
        return value

    def note(self, value: Any, container: Any, key: Any, token: Token | None) -> None:
        """Add an entry, once for each place."""
        place = (id(container), key)
        if place not in self.seen:
            self.seen.add(place)
            self.entries.append((container, key, value, token))


def is_random(value: Any) -> bool:
    """Does the value stand for a source of random numbers?"""
    if value is random or value is np.random or isinstance(value, (random.Random, np.random.Generator, np.random.RandomState)):
        return True
    owner = getattr(value, "__self__", None)
    return isinstance(owner, (random.Random, np.random.Generator, np.random.RandomState))
