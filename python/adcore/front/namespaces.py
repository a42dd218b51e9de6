"""Namespaces of our own, ``adcore.numpy``, ``adcore.scipy.linalg``: names of NumPy and SciPy for any code that runs in a recording.

Copies of functions (``rebind``) see what they stand for; elsewhere they look up the recording that runs in this thread, and are
NumPy and SciPy where none does.
"""

from __future__ import annotations

import importlib
import operator
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from . import modules
from .rebind import library

NUMPY = frozenset({"numpy", "numpy.linalg", "numpy.fft"})  # modules that have a namespace of ours


def of_numpy(namespace: types.ModuleType, name: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a module that stands for one of NumPy's."""
    plain = importlib.import_module(name)
    modules.STANDS_FOR[namespace] = plain
    inner = name.partition(".")[2]

    def found(attribute: str) -> Any:
        twin = modules.innermost()
        if twin is not None:
            return getattr(getattr(twin, inner) if inner else twin, attribute)
        value = getattr(plain, attribute)
        if isinstance(value, types.ModuleType) and value.__name__ in NUMPY:
            return importlib.import_module(f"adcore.{value.__name__}")
        if isinstance(value, type) or not callable(value) or isinstance(value, np.ufunc):
            return value
        path = f"{inner}.{attribute}" if inner else attribute
        return modules.Shared(value, operator.attrgetter(path))

    return found, lambda: dir(plain)


def of_scipy(namespace: types.ModuleType, name: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The same for one of SciPy's: its functions, which see for themselves whether they are given traced values."""
    plain = importlib.import_module(name)
    return lambda attribute: getattr(library(plain), attribute), lambda: sorted({*vars(namespace), *dir(plain)})
