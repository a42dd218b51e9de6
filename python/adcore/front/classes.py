"""Classes that recorded code asks about and converts with: ``float``, ``complex``, ``type``, ``isinstance``, ``np.float64``.

A traced array is an ndarray to the code that is recorded, and a traced scalar a float64; a number made of one stays traced.
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from .. import trees
from ..tracer import array as traced
from . import complex
from .mathematics import as_number


def class_of(value: Any) -> type:
    """The class of what a traced value stands for."""
    if isinstance(value, traced.TracedComplex):
        return np.ndarray if isinstance(value.re, traced.TracedArray) else np.complex128
    if isinstance(value, traced.TracedScalar):
        return {np.dtype(np.float64): np.float64, np.dtype(np.float32): np.float32}.get(value.dtype, np.bool_)
    return np.ndarray


def isinstance_of_what_it_stands_for(value: Any, kinds: Any) -> bool:
    """``isinstance`` in which a traced array is an ndarray and a traced scalar a float64.

    User code asks ``isinstance(x, np.ndarray)`` to choose a branch; with the answer for a traced array's own
    class it would take another branch than NumPy's, and lose the derivative without a word.
    """
    if isinstance(value, trees.Record):
        return issubclass(np.recarray, kinds) or isinstance(value, kinds)
    if traced.is_traced(value):
        return issubclass(class_of(value), kinds) or isinstance(value, kinds)
    return isinstance(value, kinds)


NAMES = frozenset({"__name__", "__qualname__", "__module__", "__doc__"})


class Number(type):
    """The class of the twins of ``float``, ``complex``, ``np.float64``...: calls keep what is recorded."""

    plain: type

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance_of_what_it_stands_for(value, cls.plain)

    def __subclasscheck__(cls, kind: type) -> bool:
        return issubclass(kind, cls.plain)

    def __eq__(cls, other: object) -> bool:
        return other is cls or other is cls.plain

    def __hash__(cls) -> int:
        return hash(cls.plain)

    def __getattribute__(cls, name: str) -> Any:
        return getattr(type.__getattribute__(cls, "plain"), name) if name in NAMES else type.__getattribute__(cls, name)

    def __repr__(cls) -> str:
        return repr(cls.plain)


class Float(float, metaclass=Number):
    """``float`` for the time of a recording."""

    plain = float

    def __new__(cls, x: Any = 0.0, /) -> Any:
        if not traced.is_traced(x) or isinstance(x, traced.TracedComplex):
            return float(x)
        number = as_number(x)
        return number if number.dtype == np.float64 else traced.cast_to(number, np.float64)


class ComplexNumber(builtins.complex, metaclass=Number):
    """``complex`` for the time of a recording."""

    plain = builtins.complex

    def __new__(cls, real: Any = 0, imag: Any = 0) -> Any:
        if not traced.is_traced(real) and not traced.is_traced(imag):
            return builtins.complex(real) if isinstance(real, str) else builtins.complex(real, imag)
        whole = real if not traced.is_traced(imag) and not imag else real + 1j * imag
        return complex.promoted(whole, np.complex128)


def converting(kind: Any) -> Any:
    """The twin of a class of NumPy's numbers."""

    def convert(cls: Any, x: Any = 0.0, /, *args: Any) -> Any:
        if traced.find_trace(x) is None:
            return kind(x, *args)
        if not traced.is_traced(x):
            x = traced.asarray(x)
        number = x if x.shape else as_number(x)
        return number.astype(kind) if number.dtype != kind else +number

    return Number(kind.__name__, (kind,), {"plain": kind, "__new__": convert})


class Type(type, metaclass=Number):
    """``type``: the class of what a value stands for."""

    plain = type

    def __new__(cls, *args: Any, **kw: Any) -> Any:
        if len(args) != 1:
            return type(*args, **kw)
        return class_of(args[0]) if traced.is_traced(args[0]) else np.recarray if isinstance(args[0], trees.Record) else type(args[0])


def twin_of(kind: Any) -> Any:
    """What stands for a class; None where nothing does."""
    return TWIN_OF.get(kind)


BUILTIN_TWINS: dict[str, Any] = {"isinstance": isinstance_of_what_it_stands_for, "float": Float, "complex": ComplexNumber, "type": Type}
TWIN_OF: dict[Any, Any] = {float: Float, builtins.complex: ComplexNumber, type: Type}
TWIN_OF |= {kind: converting(kind) for kind in (np.float64, np.float32, np.complex128, np.complex64)}
