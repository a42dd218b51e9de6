"""The methods of ufuncs: reduce, accumulate, outer, reduceat and at."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import errors
from ..tracer import array as traced
from .dispatch import any_active, call, function, refuse, values
from .elementwise import ew
from .reductions import is_given, scan, tree
from .shapes import arr, axis_of, moveaxis, take
from .special import logsumexp

# associative ufuncs that fold pair by pair, with the element that changes nothing
IDENTITIES: dict[Any, float] = {
    np.add: 0.0,
    np.multiply: 1.0,
    np.maximum: -math.inf,
    np.minimum: math.inf,
    np.fmax: math.nan,
    np.fmin: math.nan,
    np.hypot: 0.0,
    np.logaddexp: -math.inf,
    np.logaddexp2: -math.inf,
}
REDUCTIONS: dict[Any, Any] = {
    np.add: np.sum,
    np.multiply: np.prod,
    np.maximum: np.max,
    np.minimum: np.min,
    np.logical_and: np.all,
    np.logical_or: np.any,
}
ACCUMULATIONS: dict[Any, Any] = {np.add: np.cumsum, np.multiply: np.cumprod}
# a - b - c is a minus the sum of the rest
INVERSES: dict[Any, Any] = {np.subtract: np.add, np.divide: np.multiply}


def shortened(x: Any, axis: int, keepdims: bool, folded: Any) -> Any:
    """One axis of x replaced by what it was folded to."""
    if keepdims:
        return np.expand_dims(folded, axis)
    return folded


def reduce(uf: np.ufunc, x: Any, axis: Any = 0, keepdims: bool = False, **kw: Any) -> Any:
    """``uf.reduce``: by the function of NumPy that it is, or in pairs."""
    if not traced.holds_complex((x,)):
        x = arr(x)
    if not np.ndim(x) and axis in (0, -1):
        axis = ()
    if uf in REDUCTIONS:
        return function(REDUCTIONS[uf], (x,), {"axis": axis, "keepdims": keepdims, **kw})
    initial = kw.pop("initial", np._NoValue)
    where = kw.pop("where", True)
    axes = range(len(x.shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if uf in IDENTITIES:
        x = ew("where", where, x, IDENTITIES[uf]) if is_given(where) else +x
        for k in sorted((axis_of(k, len(x.shape)) for k in axes), reverse=True):
            if uf is np.hypot and x.shape[k] == 1:
                x = np.abs(x)  # as NumPy, which starts from 0
            folded = logsumexp(x, k) if uf is np.logaddexp else tree(lambda a, b: call(uf, (a, b)), x, k)
            x = shortened(x, k, keepdims, folded)
        return call(uf, (x, initial)) if is_given(initial, None) else x
    if uf in INVERSES and len(axes := tuple(axes)) == 1 and not is_given(where) and not is_given(initial, None):
        k = axis_of(axes[0], len(x.shape))
        lead = (slice(None),) * k
        rest = reduce(INVERSES[uf], x[(*lead, slice(1, None))], k)
        return shortened(x, k, keepdims, call(uf, (x[(*lead, 0)], rest)))
    if not any_active(x):
        return uf.reduce(values(x), axis=axis, keepdims=keepdims)
    raise refuse(f"np.{uf.__name__}.reduce")


def accumulate(uf: np.ufunc, x: Any, axis: int = 0) -> Any:
    """``uf.accumulate``: by cumulative functions, or by doubling."""
    if not traced.holds_complex((x,)):
        x = arr(x)
    axis = axis_of(axis, len(x.shape))
    if uf in ACCUMULATIONS:
        return function(ACCUMULATIONS[uf], (x,), {"axis": axis})
    if uf in INVERSES:
        lead = (slice(None),) * axis
        rest = accumulate(INVERSES[uf], x[(*lead, slice(1, None))], axis)
        first = x[(*lead, slice(0, 1))]
        return np.concatenate([first, call(uf, (first, rest))], axis)
    if uf in IDENTITIES:
        return scan(lambda a, b: call(uf, (a, b)), x, axis)
    if not any_active(x):
        return uf.accumulate(values(x), axis)
    raise refuse(f"np.{uf.__name__}.accumulate")


def outer(uf: np.ufunc, a: Any, b: Any) -> Any:
    return call(uf, (np.reshape(a, np.shape(a) + (1,) * np.ndim(b)), b))


def reduceat(uf: np.ufunc, x: Any, indices: Any, axis: int = 0) -> Any:
    """``uf.reduceat``: segments side by side, the short ones filled with what changes nothing."""
    if uf not in IDENTITIES:
        raise refuse(f"np.{uf.__name__}.reduceat")
    x = moveaxis(arr(x), axis, 0)
    starts = np.asarray(values(indices))
    n = x.shape[0]
    if np.any((starts < 0) | (starts >= n)):
        raise IndexError(f"{traced.where_text()}an index of np.{uf.__name__}.reduceat is out of bounds [0, {n})")
    ends = np.append(starts[1:], n)
    lengths = np.where(ends > starts, ends - starts, 1)
    columns = np.arange(lengths.max(initial=1))
    index = np.where(columns < lengths[:, None], starts[:, None] + columns, n)
    filled = np.concatenate([x, np.full((1, *x.shape[1:]), IDENTITIES[uf])])
    return traced.fresh(moveaxis(reduce(uf, take(filled, index, 0), 1), 0, axis))


def at(uf: np.ufunc, target: Any, index: Any, *operand: Any) -> None:
    """``uf.at(target, index, x)``: unbuffered, what is named twice is changed twice."""
    if not traced.is_traced(target):
        if not any_active(operand):
            uf.at(target, values(index), *values(operand))
            return
        raise errors.LostTrace(
            f"{traced.where_text()}np.{uf.__name__}.at into a plain array would drop the derivative: make the array "
            "inside the differentiated function"
        )
    if isinstance(target, traced.TracedComplex) and uf in (np.add, np.subtract):
        for part, added in ((target.re, np.real(operand[0])), (target.im, np.imag(operand[0]))):
            at(uf, part, index, added)
        return
    positions = np.arange(target.size).reshape(target.shape)[values(index)]
    if uf in (np.add, np.subtract):
        x = operand[0] if uf is np.add else -operand[0]
        traced.write_into(target, traced.scatter_add(target, positions, x))
        return
    flat = positions.reshape(-1)
    operands = [np.reshape(np.broadcast_to(x, positions.shape), (-1,)) for x in operand]
    changed = np.reshape(target, (-1,)).copy()
    for turn in rounds(flat):
        changed[flat[turn]] = call(uf, (changed[flat[turn]], *[x[turn] for x in operands]))
    traced.write_into(target, np.reshape(changed, target.shape))


def rounds(positions: Any) -> list[Any]:
    """Parts of the list in which no position repeats, in order."""
    order = np.argsort(positions, kind="stable")
    ranked = positions[order]
    starts = np.flatnonzero(np.diff(ranked, prepend=-1))
    turn = np.empty(len(positions), dtype=int)
    turn[order] = np.arange(len(positions)) - np.repeat(starts, np.diff(np.append(starts, len(positions))))
    return [np.flatnonzero(turn == k) for k in range(int(turn.max(initial=-1)) + 1)]


BY_NAME: dict[str, Callable[..., Any]] = {"reduce": reduce, "accumulate": accumulate, "outer": outer, "reduceat": reduceat}
