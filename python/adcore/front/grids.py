"""Arrays by indexing: ``np.r_``, ``np.c_``, ``np.mgrid`` and ``np.ogrid`` with traced pieces and ends."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tracer import array as traced


class Concatenator:
    """``np.r_`` or ``np.c_``: what stands between the brackets, joined along an axis."""

    def __init__(self, plain: Any, axis: int, ndmin: int, trans1d: int) -> None:
        self.plain = plain
        self.defaults = (axis, ndmin, trans1d)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)

    def __getitem__(self, key: Any) -> Any:
        parts = list(key) if isinstance(key, tuple) else [key]
        if not any(is_traced_part(p) for p in parts):
            return self.plain[key]
        axis, ndmin, trans1d = self.defaults
        if isinstance(parts[0], str):
            axis, ndmin, trans1d = directive(parts.pop(0), axis, ndmin, trans1d)
        return np.concatenate([deepened(piece(p), ndmin, trans1d) for p in parts], axis)


def directive(text: str, axis: int, ndmin: int, trans1d: int) -> tuple[int, int, int]:
    """The numbers of ``np.r_["axis,ndmin,trans1d", ...]``."""
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"{traced.where_text()}unknown special directive {text!r} of np.r_ with a differentiated part") from None
    numbers += [axis, ndmin, trans1d][len(numbers) :]
    return numbers[0], numbers[1], numbers[2]


def is_traced_part(part: Any) -> bool:
    if isinstance(part, slice):
        return traced.find_trace([part.start, part.stop, part.step]) is not None
    return traced.find_trace(part) is not None


def piece(part: Any) -> Any:
    """One item between the brackets as an array of at least one dimension."""
    if isinstance(part, slice):
        return between(part)
    if isinstance(part, traced.TracedComplex):
        array: Any = part
    else:
        array = traced.asarray(part) if traced.find_trace(part) is not None else np.asarray(part)
    return np.reshape(array, (1,)) if not array.shape else array


def deepened(array: Any, ndmin: int, trans1d: int) -> Any:
    """An array of at least ``ndmin`` dimensions; ``trans1d`` says where its own ones stand among them."""
    n = len(array.shape)
    if n >= ndmin:
        return array
    at = trans1d if trans1d >= 0 else trans1d + ndmin - n + 1
    return np.reshape(array, (1,) * at + array.shape + (1,) * (ndmin - n - at))


def between(part: slice) -> Any:
    """A slice of numbers: an imaginary step counts points, both ends included."""
    start = 0 if part.start is None else part.start
    step = 1 if part.step is None else part.step
    if isinstance(step, complex):
        return np.linspace(start, part.stop, int(abs(step)))
    return np.arange(start, part.stop, step)


class Grid:
    """``np.mgrid`` or ``np.ogrid``."""

    def __init__(self, plain: Any, sparse: bool) -> None:
        self.plain = plain
        self.sparse = sparse

    def __getitem__(self, key: Any) -> Any:
        slices = list(key) if isinstance(key, tuple) else [key]
        if not any(is_traced_part(s) for s in slices):
            return self.plain[key]
        axes = [between(s) for s in slices]
        if not isinstance(key, tuple):
            return axes[0]
        grids = np.meshgrid(*axes, indexing="ij", sparse=self.sparse)
        return tuple(grids) if self.sparse else np.stack(grids)
