"""Which modules hold the code that a function may run, told by the names in it before it runs.

The user's modules are taken whole, with all that they hold. Of installed packages only what the names in the code
met so far can lead to is looked into, since a program imports far more of them than one function runs.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..errors import SITE

LIBRARIES = frozenset({"numpy", "scipy", "math", "adcore"})
STDLIB = frozenset(sys.stdlib_module_names) - {"__main__"}
# installed packages with arrays, code or compilers of their own: twins of NumPy's functions would be of no use to them
FRAMEWORKS = frozenset({
    "autograd", "bokeh", "casadi", "cupy", "dask", "h5py", "hypothesis", "IPython", "ipykernel", "jax", "jaxlib", "llvmlite", "matplotlib",
    "mpmath", "netCDF4", "numba", "numexpr", "pandas", "plotly", "polars", "pyarrow", "_pytest", "pytest", "seaborn", "sympy", "tensorflow",
    "torch", "xarray",
})  # fmt: skip
MODULES_MAX = 200  # that are looked into
PARTS_MAX = 200  # of a dictionary or list of functions
MEMO = type(functools.lru_cache(len))


def is_users(name: str, like: str) -> bool:
    """Is it a module of the user's: no library and no installed package, unless the one that asks?"""
    top = name.split(".")[0]
    if top in LIBRARIES or top in STDLIB or top == "builtins":
        return False
    if top == like.split(".")[0] or name == "__main__":
        return True
    file = getattr(sys.modules.get(name), "__file__", None)  # built-in modules have none
    return file is not None and not file.startswith(SITE)


def may_have_twins(name: str) -> bool:
    """Is it a module of the user's, or of a package that is written in NumPy?"""
    top = name.split(".")[0]
    return top not in FRAMEWORKS and is_users(name, name)


def home(value: Any) -> str | None:
    """The name of the module that a value's code lives in."""
    if isinstance(value, types.ModuleType):
        return value.__name__
    if isinstance(value, functools.partial):
        return home(value.func)
    if isinstance(value, types.MethodType):
        return home(value.__func__)
    if isinstance(value, (types.FunctionType, type)):
        return value.__module__
    if isinstance(value, (np.ndarray, np.generic, types.BuiltinFunctionType)):
        return None
    return type(value).__module__


def codes_names(code: types.CodeType) -> set[str]:
    """The names that a function, or one inside it, looks up."""
    names = set(code.co_names)
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            names |= codes_names(const)
    return names


def functions_of(namespace: Mapping[str, Any]) -> Iterator[types.FunctionType]:
    """The functions and methods that are defined here."""
    for value in list(namespace.values()):
        for member in list(vars(value).values()) if isinstance(value, type) else [value]:
            f = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            if isinstance(f, types.FunctionType):
                yield f


class Roots(NamedTuple):
    """Where the search begins."""

    namespaces: tuple[dict[str, Any], ...] = ()
    codes: tuple[types.CodeType, ...] = ()
    packages: frozenset[str] = frozenset()  # that count as the user's, since f is from there


class Reach:
    """What these roots lead to.

    Attributes
    ----------
    namespaces : dict
        Of the modules, by identity, the roots first.
    names : set of str
        In the code that was met.
    """

    def __init__(self, roots: Roots, names: set[str] | None = None) -> None:
        self.namespaces = {id(n): n for n in roots.namespaces}
        self.names = set(names or ()).union(*map(codes_names, roots.codes))
        self.packages = roots.packages
        self.classes: dict[int, type] = {}  # of installed packages
        self.met: set[int] = set()  # functions
        self.done: set[tuple[int, str]] = set()  # names of namespaces
        self.passed: set[tuple[int, str]] = set()  # and those that no code has named so far
        while True:
            before = len(self.namespaces), len(self.names), len(self.classes)
            for namespace in list(self.namespaces.values()):
                self.look(namespace)
            for kind in list(self.classes.values()):
                self.look_at_members(kind)
            if before == (len(self.namespaces), len(self.names), len(self.classes)):
                break

    def look(self, namespace: dict[str, Any]) -> None:
        """Follow what stands in a module under names that code has."""
        own = str(namespace.get("__name__", ""))
        whole = self.is_whole(own)
        for name, value in list(namespace.items()):
            key = id(namespace), name
            if name in self.names:
                if key not in self.done:
                    self.done.add(key)
                    self.follow(value, own)
                    for part in parts_of(value):
                        self.follow(part, own)
            elif whole and key not in self.passed:
                self.passed.add(key)
                place = home(value)
                self.module(place, own)
                if place == own:
                    self.function_names(value)

    def is_whole(self, module: str) -> bool:
        return is_users(module, "") or module.split(".")[0] in self.packages

    def follow(self, value: Any, asks: str) -> None:
        """What a name stands for: its module, its bases and the names in its code."""
        name = home(value)
        if isinstance(name, str) and may_have_twins(name):
            self.module(name, name)
        else:
            self.module(name, asks)
        if isinstance(value, type):
            for kind in value.__mro__:
                if may_have_twins(kind.__module__):
                    self.classes.setdefault(id(kind), kind)
                    self.module(kind.__module__, kind.__module__)
        self.function_names(value)

    def module(self, name: str | None, asks: str) -> None:
        """Take a module in, if it is the user's or of the package that asks."""
        found = sys.modules.get(name) if isinstance(name, str) else None
        for module in modules_in(found):
            if is_users(module.__name__, asks):
                self.namespace(module.__dict__)

    def namespace(self, namespace: dict[str, Any]) -> None:
        if len(self.namespaces) < MODULES_MAX:
            self.namespaces.setdefault(id(namespace), namespace)

    def look_at_members(self, kind: type) -> None:
        """The methods that code names, or that operators call."""
        for name, member in list(vars(kind).items()):
            if name in self.names or name.startswith("__"):
                f = member.fget if isinstance(member, property) else getattr(member, "__func__", getattr(member, "func", member))
                self.function_names(f)

    def function_names(self, value: Any) -> None:
        """Note the names in a function, in what it decorates and, for a class of the user's, in its methods."""
        if isinstance(value, functools.partial):
            value = value.func
        if isinstance(value, types.MethodType):
            value = value.__func__
        if isinstance(value, type):
            if self.is_whole(value.__module__):
                for method in functions_of({"": value}):
                    self.function_names(method)
            return
        f: Any = getattr(value, "__wrapped__", None) if type(value) is MEMO else value
        if not isinstance(f, types.FunctionType) or id(f) in self.met or not may_have_twins(f.__module__ or "__main__"):
            return
        self.met.add(id(f))
        self.names |= codes_names(f.__code__)
        if may_have_twins(f.__globals__.get("__name__", "__main__")):
            self.namespace(f.__globals__)
        for cell in f.__closure__ or ():
            with contextlib.suppress(ValueError):  # not bound yet
                self.function_names(cell.cell_contents)


def modules_in(value: Any) -> list[types.ModuleType]:
    """A module, or what an object that stands in its place passes requests on to."""
    if isinstance(value, types.ModuleType):
        return [value]
    return [part for part in getattr(value, "__dict__", {}).values() if isinstance(part, types.ModuleType)]


def parts_of(value: Any) -> list[Any]:
    """Functions in a dictionary or list."""
    parts = list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, (list, tuple)) else []
    return [part for part in parts[:PARTS_MAX] if callable(part)]


def roots_of(f: Any) -> Roots:
    """The namespaces and the code of f, of what it closes over, and of the object it belongs to."""
    found: dict[int, dict[str, Any]] = {}
    codes: dict[types.CodeType, None] = {}
    packages: set[str] = set()

    def add(value: Any, depth: int) -> None:
        if isinstance(value, functools.partial):
            for part in (value.func, *value.args, *value.keywords.values()):
                add(part, depth)
            return
        if isinstance(value, types.MethodType):
            add(value.__self__, depth)
            value = value.__func__
        if isinstance(value, types.FunctionType):
            if may_have_twins(value.__module__ or "__main__"):
                found.setdefault(id(value.__globals__), value.__globals__)
                codes[value.__code__] = None
                packages.add((value.__module__ or "__main__").split(".")[0])
            for cell in value.__closure__ or ():
                with contextlib.suppress(ValueError):  # not bound yet
                    if depth:
                        add(cell.cell_contents, depth - 1)
            return
        if isinstance(value, (list, tuple)):
            for part in value[:20]:
                if depth:
                    add(part, depth - 1)
            return
        name = home(value)
        module = sys.modules.get(name) if isinstance(name, str) else None
        if module is not None and may_have_twins(module.__name__):
            found.setdefault(id(module.__dict__), module.__dict__)

    add(f, 3)
    return Roots(tuple(found.values()), tuple(codes), frozenset(packages))
