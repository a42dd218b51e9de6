"""scipy.fft's transforms into cosines and sines: dct, dst, their inverses, along one axis or several.

One linear family carries them, the transforms without a norm. Its matrices are symmetric, or each other's transpose, but for
halves at an end: ``C1 = M E`` with M symmetric, ``C3 = C2' E``. Norms are factors, and ``orthogonalize`` weights at the ends.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..tracer import array as traced
from . import complex, shapes
from .calls import Family, apply

INVERSE = {1: 1, 2: 3, 3: 2, 4: 4}
# (kind, type) -> where the matrix has halves of what the symmetric one has: at the first element, at the last one
HALVES = {("dct", 1): (True, True), ("dct", 3): (True, False), ("dst", 3): (False, True)}
NORMS = ("backward", "ortho", "forward")


def weighted(x: Any, axis: int, ends: tuple[bool, bool], weight: float, factor: float = 1.0) -> Any:
    """x times a factor, and times a weight at these ends of an axis."""
    if not any(ends):
        return x if factor == 1.0 else x * factor
    w = np.full(x.shape[axis], factor, x.dtype)
    for k, there in zip((0, -1), ends, strict=True):
        if there:
            w[k] *= weight
    return x * w.reshape([-1 if k == axis else 1 for k in range(len(x.shape))])


def evaluate(params: Any, x: Any) -> Any:
    from scipy import fft

    kind, type, axis = params
    return getattr(fft, kind)(x, type, axis=axis)


def adjoint(params: Any, wanted: Any, g: Any, y: Any, x: Any) -> Any:
    kind, type, axis = params
    before = HALVES.get((kind, INVERSE[type]), (False, False))
    after = HALVES.get((kind, type), (False, False))
    back = apply(REAL, (kind, INVERSE[type], axis), g.shape, weighted(g, axis, before, 2.0))
    return (weighted(back, axis, after, 0.5),)


REAL = Family("dct", evaluate, vjp=adjoint)


def along(kind: str, inverse: bool, x: Any, type: int, n: Any, axis: int, norm: Any, orthogonalize: Any) -> Any:
    """One transform along one axis of a real array."""
    from .fft import resized

    x = x if n is None else resized(x, (axis,), [n])
    n = x.shape[axis]
    if n < (2 if (kind, type) == ("dct", 1) else 1):
        raise ValueError(f"{traced.where_text()}{kind}: {n} points are too few")
    orthogonalize = norm == "ortho" if orthogonalize is None else orthogonalize
    row = INVERSE[type] if inverse else type
    # the last one of sines, the first one of cosines, or both, count sqrt(2) times as much where vectors shall be orthogonal
    ends = {("dct", 1): (True, True), ("dst", 1): (False, False)}.get((kind, row), (kind == "dct", kind == "dst"))
    halved = orthogonalize and row != 4
    points = 2.0 * (n + {("dct", 1): -1, ("dst", 1): 1}.get((kind, row), 0))
    factor = {"backward": points if inverse else 1.0, "ortho": points**0.5, "forward": 1.0 if inverse else points}[norm]
    if halved and row in (1, 3):
        x = weighted(x, axis, ends, 2**0.5)
    y = apply(REAL, (kind, row, axis), x.shape, x)
    return weighted(y, axis, ends if halved and row in (1, 2) else (False, False), 0.5**0.5, 1.0 / factor)


def transform(kind: str, inverse: bool, x: Any, type: int, lengths: Any, axes: Any, norm: Any, orthogonalize: Any) -> Any:
    if not traced.is_traced(x):
        trace = traced.find_trace((x,))
        x = complex.array(x, None, trace) if traced.holds_complex([x]) else traced.as_traced(trace, x)
    norm = norm or "backward"
    if norm not in NORMS:
        raise ValueError(f'Invalid norm value {norm!r}, should be "backward", "ortho" or "forward"')
    if type not in INVERSE:
        raise ValueError(f"Invalid {kind} type: {type}")
    if isinstance(x, complex.Complex):
        parts = (transform(kind, inverse, p, type, lengths, axes, norm, orthogonalize) for p in (x.re, x.im))
        return complex.made(*parts)
    x, ndim = shapes.arr(x), len(x.shape)
    lengths = None if lengths is None else [operator.index(n) for n in np.atleast_1d(lengths)]
    if axes is None:
        axes = range(-(ndim if lengths is None else len(lengths)), 0)
    axes = [normalize_axis_index(operator.index(k), ndim) for k in np.atleast_1d(axes)]
    for k, n in zip(axes, [None] * len(axes) if lengths is None else lengths, strict=True):
        x = along(kind, inverse, x, type, n, k, norm, orthogonalize)
    return x


def one_axis(kind: str, inverse: bool) -> Callable[..., Any]:
    def of(x: Any, type: int = 2, n: Any = None, axis: int = -1, norm: Any = None, overwrite_x: bool = False, workers: Any = None,
           orthogonalize: Any = None) -> Any:  # fmt: skip
        return transform(kind, inverse, x, type, n, axis, norm, orthogonalize)

    return of


def several_axes(kind: str, inverse: bool) -> Callable[..., Any]:
    def of(x: Any, type: int = 2, s: Any = None, axes: Any = None, norm: Any = None, overwrite_x: bool = False, workers: Any = None, *,
           orthogonalize: Any = None) -> Any:  # fmt: skip
        return transform(kind, inverse, x, type, s, axes, norm, orthogonalize)

    return of


# functions of scipy.fft, which go past NumPy's protocols: reached by rebinding of names
REBOUND: dict[str, Callable[..., Any]] = {}
for _kind in ("dct", "dst"):
    for _prefix in ("", "i"):
        REBOUND[f"{_prefix}{_kind}"] = one_axis(_kind, bool(_prefix))
        REBOUND[f"{_prefix}{_kind}n"] = several_axes(_kind, bool(_prefix))
