"""Trees: arrays and floats in dicts, lists, tuples, named tuples, dataclasses, attrs classes and structured arrays.

As deep as you like. ``None`` is a tree without leaves. Dict entries go in the order of their keys' insertion.
"""

from __future__ import annotations

import copy
import dataclasses
import enum
import math
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import errors

# leaves without memory that somebody else may write into
CLOSED = (bool, int, float, complex, str, bytes, range, slice, type, types.FunctionType, types.ModuleType, enum.Enum, np.dtype,
          np.ufunc, np.number, np.bool_)  # fmt: skip


class Record:
    """A structured array whose fields are traced: read and written by field name, indexed like the array."""

    def __init__(self, fields: dict[str, Any], dtype: Any, shape: tuple[int, ...]) -> None:
        self.__dict__.update(_fields=fields, dtype=dtype, shape=shape)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in self._fields:
                raise ValueError(f"no field of name {key}")
            return self._fields[key]
        if isinstance(key, list) and key and all(isinstance(k, str) for k in key):
            return Record({k: self._fields[k] for k in key}, self.dtype[key], self.shape)
        inner = np.empty(self.shape, dtype=np.int8)[key]
        if isinstance(inner, np.int8):  # one element: its fields are views without dimensions of the array's
            key = (*(key if isinstance(key, tuple) else (key,)), ...)
        return Record({k: field[key] for k, field in self._fields.items()}, self.dtype, np.shape(inner))

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, str):
            self._fields[key][...] = value
            return
        names = list(self._fields)
        if isinstance(value, tuple):
            if len(value) != len(names):
                raise ValueError(f"could not assign tuple of length {len(value)} to structure with {len(names)} fields.")
            parts = dict(zip(names, value, strict=True))
        elif isinstance(value, Record) or (isinstance(value, (np.ndarray, np.void)) and value.dtype.names is not None):
            parts = {name: value[other] for name, other in zip(names, value.dtype.names or (), strict=True)}
        else:
            parts = dict.fromkeys(names, value)
        for name, part in parts.items():
            self._fields[name][key] = part

    def __getattr__(self, name: str) -> Any:
        fields = self.__dict__["_fields"]
        if name in fields:
            return self[name]
        raise AttributeError(f"a structured array has no attribute {name!r} while adcore records; its fields are {', '.join(fields)}")

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise self.refused("a function of NumPy's")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        raise self.refused(f"np.{ufunc.__name__}")

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func in (np.shape, np.ndim, np.size):
            return {np.shape: self.shape, np.ndim: self.ndim, np.size: self.size}[func]
        if func is np.copy:
            return self.copy()
        raise self.refused(f"np.{func.__name__}")

    def refused(self, what: str) -> errors.NotDifferentiable:
        return errors.NotDifferentiable(
            f"{errors.where_text()}{what} of a structured array that adcore records: "
            f"compute with its fields instead ({', '.join(map(repr, self._fields))})"
        )

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def copy(self) -> Record:
        """The same values in memory of its own."""
        return Record({k: field.copy() for k, field in self._fields.items()}, self.dtype, self.shape)

    __copy__ = copy

    def view(self, dtype: Any = None, type: Any = None) -> Record:
        """Itself as an array of records, which it is to the code that is recorded."""
        if any(kind is not None and getattr(kind, "__name__", "") not in ("ndarray", "recarray") for kind in (dtype, type)):
            raise self.refused(f"view as {dtype or type}")
        return self

    def __deepcopy__(self, memo: Any) -> Record:
        return self.copy()

    def __len__(self) -> int:
        if not self.shape:
            return len(self._fields)
        return int(self.shape[0])

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            return iter(self._fields.values())
        return (self[k] for k in range(len(self)))

    def __repr__(self) -> str:
        return f"structured array of {', '.join(f'{k} {v!r}' for k, v in self._fields.items())}"


def attributes(tree: Any) -> tuple[str, ...] | None:
    """The names of the fields of a dataclass or an attrs class."""
    kind = type(tree)
    if hasattr(kind, "__dataclass_fields__"):
        return tuple(f.name for f in dataclasses.fields(kind))
    fields = getattr(kind, "__attrs_attrs__", None)
    return None if fields is None else tuple(f.name for f in fields)


def is_branch(tree: Any) -> bool:
    """Has the tree parts?"""
    if isinstance(tree, np.ndarray):
        return tree.dtype.names is not None
    if tree is None or isinstance(tree, (dict, list, tuple, Record)):
        return True
    kind = type(tree)
    return hasattr(kind, "__dataclass_fields__") or hasattr(kind, "__attrs_attrs__")


def may_hold_memory(leaf: Any) -> bool:
    """Can this leaf hold an array, or be one?"""
    return not isinstance(leaf, CLOSED)


def quoted(key: Any) -> str:
    return f'["{key}"]' if isinstance(key, str) else f"[{key!r}]"


def parts(tree: Any) -> list[tuple[str, Any]]:
    """The parts of a branch, each with the text that selects it."""
    if tree is None:
        return []
    if isinstance(tree, dict):
        return [(quoted(k), v) for k, v in tree.items()]
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return [(f".{k}", v) for k, v in zip(tree._fields, tree, strict=True)]
    if isinstance(tree, (list, tuple)):
        return [(f"[{k}]", v) for k, v in enumerate(tree)]
    if isinstance(tree, np.ndarray):
        return [(quoted(k), tree[k]) for k in tree.dtype.names or ()]
    if isinstance(tree, Record):
        return [(quoted(k), tree[k]) for k in tree._fields]
    return [(f".{name}", getattr(tree, name)) for name in attributes(tree) or ()]


def keys(tree: Any) -> list[Any]:
    """What selects the parts of a branch from it."""
    if isinstance(tree, dict):
        return list(tree)
    if isinstance(tree, (list, tuple)):
        return list(range(len(tree)))
    if isinstance(tree, np.ndarray):
        return list(tree.dtype.names or ())
    return list(attributes(tree) or ())


def part(tree: Any, key: Any) -> Any:
    """What a branch gives for one of its `keys`."""
    return tree[key] if isinstance(tree, (dict, list, tuple, np.ndarray)) else getattr(tree, key)


def beside(tree: Any) -> dict[str, Any] | None:
    """What an object holds besides its parts: attributes that are no fields; None when there are none."""
    own = getattr(tree, "__dict__", None)
    if not own:
        return None
    names = () if isinstance(tree, (dict, list, tuple, np.ndarray)) else attributes(tree) or ()
    return {k: v for k, v in own.items() if k not in names} or None


def branches(tree: Any) -> list[Any]:
    """All branches, outermost first."""
    return [tree, *[branch for _, part in parts(tree) for branch in branches(part)]] if is_branch(tree) else []


def settable(tree: Any) -> bool:
    """Can a part of this branch be replaced by another?"""
    if isinstance(tree, (dict, list)):
        return True
    if isinstance(tree, tuple):
        return False
    parameters = getattr(type(tree), "__dataclass_params__", None)
    if parameters is not None:
        return not parameters.frozen
    return "__setattr__" not in vars(type(tree)) or not hasattr(type(tree), "__attrs_attrs__")


def leaves(tree: Any, path: str = "") -> list[tuple[str, Any]]:
    """All leaves, each with its path."""
    if not is_branch(tree):
        return [(path, tree)]
    return [leaf for where, part in parts(tree) for leaf in leaves(part, path + where)]


def rebuilt(tree: Any, new: list[Any]) -> Any:
    """A branch of the same kind with other parts; fields that are not arrays of the old shape make a record."""
    if tree is None:
        return None
    if isinstance(tree, dict):
        if type(tree) is dict:
            return dict(zip(tree, new, strict=True))
        other = copy.copy(tree)
        for key, n in zip(tree, new, strict=True):
            other[key] = n
        return other
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*new)
    if isinstance(tree, (list, tuple)):
        return type(tree)(new)
    if isinstance(tree, np.ndarray):
        names = tree.dtype.names or ()
        if all(isinstance(n, (np.ndarray, np.generic)) and n.shape == tree[name].shape for name, n in zip(names, new, strict=True)):
            array = np.empty_like(tree, subok=False)
            for name, n in zip(names, new, strict=True):
                array[name] = n
            return array
        return Record(dict(zip(names, new, strict=True)), tree.dtype, tree.shape)
    if isinstance(tree, Record):
        return Record(dict(zip(tree._fields, new, strict=True)), tree.dtype, tree.shape)
    other = copy.copy(tree)
    for name, n in zip(attributes(tree) or (), new, strict=True):
        object.__setattr__(other, name, n)  # also of a frozen class
    return other


def mapped(f: Callable[[Any, str], Any], tree: Any, path: str = "") -> Any:
    """The tree with ``f(leaf, path)`` for each leaf."""
    if not is_branch(tree):
        return f(tree, path)
    return rebuilt(tree, [mapped(f, part, path + where) for where, part in parts(tree)])
