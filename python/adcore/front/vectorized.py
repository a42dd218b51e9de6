"""Functions of numbers as functions of arrays: ``np.vectorize`` with all that it takes, and ufuncs made by ``np.frompyfunc``."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ..tracer import array as traced


class Vectorized:
    """``np.vectorize`` of a function, element by element or, with a signature, part by part."""

    def __init__(self, plain: Any, pyfunc: Callable[..., Any]) -> None:
        functools.update_wrapper(self, pyfunc, updated=())
        self.plain = plain
        self.pyfunc = pyfunc
        self.core = None if plain.signature is None else core_dimensions(plain.signature)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        names = [k for k in kwargs if k not in self.plain.excluded]
        places = [k for k in range(len(args)) if k not in self.plain.excluded]
        operands = [args[k] for k in places] + [kwargs[k] for k in names]
        if not operands:
            return self.pyfunc(*args, **kwargs)

        def of(parts: list[Any]) -> Any:
            filled, named = list(args), dict(kwargs)
            for k, part in zip(places, parts, strict=False):
                filled[k] = part
            named.update(zip(names, parts[len(places) :], strict=True))
            return self.pyfunc(*filled, **named)

        outer, parts_at = self.loop(operands)
        found = [of(parts_at(index)) for index in np.ndindex(*outer)]
        if not found:
            return self.plain(*args, **kwargs)
        many = isinstance(found[0], tuple) and (self.core is None or len(self.core[1]) > 1)
        columns = list(zip(*found, strict=True)) if many else [found]
        types = self.plain.otypes
        results = [packed(column, outer, types[k] if types else None) for k, column in enumerate(columns)]
        if self.core is None:  # a ufunc of as many operands
            like = np.frompyfunc(lambda *_: 0.0, len(operands), 1)
            results = [traced.settled(like, tuple(operands), {}, result) for result in results]
        return tuple(results) if many else results[0]

    def loop(self, operands: list[Any]) -> tuple[tuple[int, ...], Callable[[tuple[int, ...]], list[Any]]]:
        """The shape that is looped over, and what the function gets at an index of it."""
        arrays = [x if traced.is_traced(x) else traced.asarray(x) if traced.find_trace(x) is not None else np.asarray(x) for x in operands]
        ranks = [0] * len(arrays) if self.core is None else [len(dims) for dims in self.core[0]]
        if len(ranks) != len(arrays):
            raise TypeError(f"{traced.where_text()}wrong number of positional arguments: expected {len(ranks)}, got {len(arrays)}")
        leads = [np.shape(a)[: np.ndim(a) - n] for a, n in zip(arrays, ranks, strict=True)]
        outer = np.broadcast_shapes(*leads)

        def parts_at(index: tuple[int, ...]) -> list[Any]:
            parts = []
            for a, lead in zip(arrays, leads, strict=True):
                own = index[len(index) - len(lead) :]
                part = a[tuple(0 if d == 1 else k for k, d in zip(own, lead, strict=True))] if np.ndim(a) else a
                parts.append(part.item() if isinstance(part, np.generic) or (type(part) is np.ndarray and not part.ndim) else part)
            return parts

        return outer, parts_at


def core_dimensions(signature: str) -> tuple[list[list[str]], list[list[str]]]:
    """The core dimensions of arguments and results: ``"(m,n),(n)->(m)"``."""
    sides = signature.replace(" ", "").split("->")
    left, right = ([part.split(",") if part else [] for part in re.findall(r"\(([^)]*)\)", side)] for side in sides)
    return left, right


def packed(items: Any, outer: tuple[int, ...], otype: str | None) -> Any:
    """Results as one array; the first one decides its dtype, as it does in NumPy, unless ``otypes`` does."""
    first = items[0]
    kind = np.dtype(otype).kind if otype else "f" if traced.is_traced(first) else np.asarray(first).dtype.kind
    if traced.find_trace(list(items)) is None:
        plain = np.array(items, dtype=otype or np.asarray(first).dtype)
        return plain.reshape(outer + plain.shape[1:])[()]
    if kind in "iub":
        dtype = np.dtype(otype or np.asarray(traced.value_of(first)).dtype)
        return np.array([traced.value_of(v) for v in items]).astype(dtype).reshape(outer)[()]
    stacked = traced.asarray(list(items))
    result = stacked.reshape(outer + stacked.shape[1:])
    if kind == "f" and otype and np.dtype(otype) != result.dtype:
        result = result.astype(otype)
    return result if result.shape else traced.scalar_of(result)


def made_from_python(uf: np.ufunc) -> bool:
    """Is it a ufunc of ``np.frompyfunc``, whose loops are over Python objects?"""
    return uf.ntypes == 1 and uf.types == ["O" * uf.nin + "->" + "O" * uf.nout]


def of_objects(uf: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Such a ufunc, or a method of it, on the elements of traced arrays."""
    results = getattr(uf, method)(*[elements(x) for x in inputs], **kwargs)
    return tuple(map(repacked, results)) if isinstance(results, tuple) else repacked(results)


def elements(x: Any) -> Any:
    """A traced value as an array of traced scalars."""
    if not traced.is_traced(x):
        return x
    out = np.empty(x.shape, dtype=object)
    for index in np.ndindex(*x.shape):
        out[index] = x[index]
    return out


def object_array(items: Any, trace: Any) -> Any:
    """``np.array(items, dtype=object)``: of numbers, or of arrays of several shapes."""
    try:
        return elements(traced.as_traced(trace, items))
    except ValueError:
        out = np.empty(len(items), dtype=object)
        for k, item in enumerate(items):
            out[k] = item
        return out


def repacked(x: Any) -> Any:
    """An array of traced scalars as a traced array; anything else as it is."""
    if isinstance(x, np.ndarray) and x.dtype == object and x.shape and traced.find_trace(x) is not None:
        if all(traced.is_traced(v) or isinstance(v, (float, int, np.number)) for v in x.flat):
            return traced.asarray(x)
    return x
