"""Trees: arrays and floats in dicts, lists, tuples, named tuples and dataclasses, as deep as you like.

``None`` is a tree without leaves. Dict entries go in the order of their keys' insertion.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any


def is_branch(tree: Any) -> bool:
    """Has the tree parts?"""
    return tree is None or isinstance(tree, (dict, list, tuple)) or (dataclasses.is_dataclass(tree) and not isinstance(tree, type))


def parts(tree: Any) -> list[tuple[str, Any]]:
    """The parts of a branch, each with the text that selects it."""
    if tree is None:
        return []
    if isinstance(tree, dict):
        return [(f"[{k!r}]", v) for k, v in tree.items()]
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return [(f".{k}", v) for k, v in zip(tree._fields, tree, strict=True)]
    if isinstance(tree, (list, tuple)):
        return [(f"[{k}]", v) for k, v in enumerate(tree)]
    return [(f".{f.name}", getattr(tree, f.name)) for f in dataclasses.fields(tree)]


def leaves(tree: Any, path: str = "") -> list[tuple[str, Any]]:
    """All leaves, each with its path."""
    if not is_branch(tree):
        return [(path, tree)]
    return [leaf for where, part in parts(tree) for leaf in leaves(part, path + where)]


def rebuilt(tree: Any, new: list[Any]) -> Any:
    """A branch of the same kind with other parts."""
    if tree is None:
        return None
    if isinstance(tree, dict):
        return type(tree)(zip(tree, new, strict=True)) if type(tree) is not dict else dict(zip(tree, new, strict=True))
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*new)
    if isinstance(tree, (list, tuple)):
        return type(tree)(new)
    return dataclasses.replace(tree, **{f.name: n for f, n in zip(dataclasses.fields(tree), new, strict=True)})


def mapped(f: Callable[[Any, str], Any], tree: Any, path: str = "") -> Any:
    """The tree with ``f(leaf, path)`` for each leaf."""
    if not is_branch(tree):
        return f(tree, path)
    return rebuilt(tree, [mapped(f, part, path + where) for where, part in parts(tree)])
