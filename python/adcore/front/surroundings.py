"""What a function reads besides its arguments: closure cells and globals, so that a replay can tell whether they changed."""

from __future__ import annotations

import random
import types
from typing import Any

import numpy as np

from ..sweep.replay import IMMUTABLE, Token
from ..tracer import array as traced


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
        self.entries: list[tuple[Any, Any, Any, Any]] = []
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

    def note(self, value: Any, container: Any, key: Any, token: Any) -> None:
        """Add an entry, once for each place."""
        place = (id(container), key)
        if place not in self.seen:
            self.seen.add(place)
            self.entries.append((container, key, value, token))


class Definition:
    """What a function is made of: its code and the defaults of its arguments."""

    def __init__(self, f: types.FunctionType) -> None:
        self.code = f.__code__
        self.defaults = Token((f.__defaults__, f.__kwdefaults__))

    def holds(self, f: types.FunctionType) -> bool:
        return f.__code__ is self.code and bool(self.defaults.holds((f.__defaults__, f.__kwdefaults__)))


def is_random(value: Any) -> bool:
    """Does the value stand for a source of random numbers?"""
    if value is random or value is np.random or isinstance(value, (random.Random, np.random.Generator, np.random.RandomState)):
        return True
    owner = getattr(value, "__self__", None)
    return isinstance(owner, (random.Random, np.random.Generator, np.random.RandomState))
