"""numpy.polynomial on traced values: NumPy's own code, run with the twins of the names that it uses.

A function of these modules that meets a traced value, be it a point or a coefficient, has a copy in whose globals ``np`` is what it is in
the recording; so has a class, which makes polynomials of traced coefficients.
"""

from __future__ import annotations

import abc
import functools
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..tracer import array as traced
from .classes import BUILTIN_TWINS

BASE = "numpy.polynomial"


def belongs(module: str | None) -> bool:
    return bool(module) and (module == BASE or str(module).startswith(f"{BASE}."))


class Present(threading.local):
    """NumPy as the recording sees it for which a copy runs in this thread."""

    def __init__(self) -> None:
        self._running: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._running[-1] if self._running else np, name)

    @contextmanager
    def recording(self, trace: Any) -> Iterator[None]:
        from .rebind import Numpy

        self._running.append(np if trace is None else Numpy(trace))
        try:
            yield
        finally:
            self._running.pop()


PRESENT = Present()


def found_trace(args: Any, kw: Any) -> Any:
    """The trace of the arguments of a call, or of the coefficients of polynomials among them."""
    coefficients = [x.coef for x in args if belongs(type(x).__module__) and hasattr(x, "coef")]
    return traced.find_trace([args, kw, coefficients])


def recording(plain: Any, copy: Any) -> Callable[..., Any]:
    """The copy where something is traced, the plain function otherwise."""

    @functools.wraps(plain)
    def of(*args: Any, **kw: Any) -> Any:
        trace = found_trace(args, kw)
        if trace is None and plain is not copy:
            return plain(*args, **kw)
        with PRESENT.recording(trace):
            return copy(*args, **kw)

    of.decides = True  # type: ignore[attr-defined]
    return of


def implementation(value: Any) -> Any:
    """The Python function behind one of numpy.polynomial; None behind anything else."""
    f = value._implementation if hasattr(type(value), "_implementation") else value
    return f if isinstance(f, types.FunctionType) and belongs(f.__module__) else None


@functools.cache
def names_of(module: str) -> dict[str, Any]:
    """The globals of the copies of a module's functions."""
    names = dict(vars(sys.modules[module])) | BUILTIN_TWINS | {"np": PRESENT}
    if "pu" in names:
        names["pu"] = types.SimpleNamespace(**names_of(f"{BASE}.polyutils"))
    for name, value in list(names.items()):
        f = implementation(value)
        if f is not None:
            names[name] = copied(f) if f.__module__ != module else renamed(f, names)
    return names


def renamed(f: types.FunctionType, names: dict[str, Any]) -> types.FunctionType:
    copy = types.FunctionType(f.__code__, names, f.__name__, f.__defaults__, f.__closure__)
    copy.__kwdefaults__ = f.__kwdefaults__
    return copy


def copied(f: types.FunctionType) -> Any:
    """The copy of a function."""
    known = names_of(f.__module__)
    found = known.get(f.__name__)
    return found if isinstance(found, types.FunctionType) and found.__code__ is f.__code__ else renamed(f, known)


def method(f: Any) -> Callable[..., Any]:
    copy = copied(implementation(f))
    return recording(copy, copy)


class OfTraced(abc.ABCMeta):
    """The class of classes of polynomials whose coefficients may be traced: to ``isinstance`` they are NumPy's."""

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, cls.__bases__[0])


@functools.cache
def class_of(plain: type) -> type:
    """A class of numpy.polynomial whose methods are copies."""
    namespace: dict[str, Any] = {}
    for owner in reversed(plain.__mro__):
        for name, value in vars(owner).items():
            if isinstance(value, (staticmethod, classmethod)) and implementation(value.__func__) is not None:
                namespace[name] = type(value)(method(value.__func__))
            elif implementation(value) is not None:
                namespace[name] = method(value)
    return OfTraced(plain.__name__, (plain,), namespace)


@functools.cache
def twin(value: Any) -> Any:
    """What stands for a function or a class of numpy.polynomial."""
    if getattr(value, "decides", False):
        return value
    f = implementation(value)
    if f is not None:
        return recording(value, copied(f))
    return class_of(value) if isinstance(value, type) and hasattr(value, "basis_name") and not isinstance(value, OfTraced) else value


def instance(value: Any) -> Any:
    """What stands for a polynomial that was made outside of the recording."""
    kind: Any = twin(type(value))  # type: ignore[arg-type]
    if kind is type(value):
        return value
    made = kind.__new__(kind)
    made.__dict__ = value.__dict__
    return made
