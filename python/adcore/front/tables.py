"""Interpolation in tables.

Where a point lies among the knots is found by the sweep, so that what is recorded once holds for other points and knots.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..sweep import lookup
from ..tracer import array as traced
from .calls import Family, apply
from .dispatch import implements

ew = traced.elementwise


def intervals(x: Any, knots: Any) -> tuple[Any, Any]:
    """The knots at both ends of each point's interval: the last that starts at or before it, the first for points before all of
    them. Where the last knot is repeated, it is an interval by itself."""
    last = len(knots) - (2 if len(knots) > 1 and knots[-1] != knots[-2] else 1)
    at = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, last)
    return at, np.minimum(at + 1, len(knots) - 1)


def ends_of(params: Any, x: Any, knots: Any, *tables: Any) -> Any:
    left, right = intervals(x, knots)
    return np.stack([(v[left], v[right]) for v in tables])


def ends_vjp(params: Any, wanted: Any, g: Any, y: Any, x: Any, knots: Any, *tables: Any) -> Any:
    return (None, None, *(spread(x, knots, g[k]) if use else None for k, use in enumerate(wanted[2:])))


def ends_jvp(params: Any, tangents: Any, y: Any, x: Any, knots: Any, *tables: Any) -> Any:
    return ends(x, knots, *[np.zeros(knots.shape) if t is None else t for t in tangents[2:]])


def spread_of(params: Any, x: Any, knots: Any, g: Any) -> Any:
    left, right = (np.bincount(at.ravel(), part.ravel(), len(knots)) for at, part in zip(intervals(x, knots), g, strict=True))
    return left + right


def spread_vjp(params: Any, wanted: Any, g: Any, y: Any, x: Any, knots: Any, of_ends: Any) -> Any:
    return None, None, ends(x, knots, g)[0]


def spread_jvp(params: Any, tangents: Any, y: Any, x: Any, knots: Any, of_ends: Any) -> Any:
    return spread(x, knots, tangents[2])


INTERVALS = frozenset({0, 1})  # points and knots: where they lie steps
ENDS = Family("np.interp", ends_of, ends_vjp, ends_jvp, native=lambda params: lookup.ends(*params), steady=INTERVALS)
SPREAD = Family("the adjoint of np.interp", spread_of, spread_vjp, spread_jvp, native=lambda params: lookup.spread(), steady=INTERVALS)


def ends(x: Any, knots: Any, *tables: Any) -> Any:
    """What tables hold at both ends of the intervals that points lie in: shape (tables, 2, ...)."""
    return apply(ENDS, (len(tables),), (len(tables), 2, *x.shape), x, knots, *tables)


def spread(x: Any, knots: Any, of_ends: Any) -> Any:
    """The adjoint of a table from that of what it holds at the ends of intervals."""
    return apply(SPREAD, (), knots.shape, x, knots, of_ends)


@implements(np.interp)
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """The secants of a table: ``f0 + (f1 - f0) / (x1 - x0) * (x - x0)``."""
    like = traced.find_trace((x, xp, fp))
    known = traced.find_trace((x, xp)) is None
    x, xp, fp = (traced.as_traced(like, v).astype(np.float64) for v in (x, xp, fp))
    if xp.ndim != 1 or fp.ndim != 1:
        raise ValueError("object too deep for desired array")
    if xp.shape != fp.shape:
        raise ValueError("fp and xp are not of the same length.")
    if not len(xp):
        raise ValueError("array of sample points is empty")
    if period is not None:
        period = abs(period)
        x, xp = x % period, xp % period
        order = np.argsort(traced.value_of(xp))
        xp, fp = xp[order], fp[order]
        xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = np.concatenate([fp[-1:], fp, fp[:1]])
        left = right = None
    if len(xp) == 1:
        inside = fp[0]
    else:
        if known:
            at, after = intervals(traced.value_of(x), traced.value_of(xp))
            (x0, x1), (f0, f1) = ((v[at], v[after]) for v in (xp, fp))
        else:
            points = np.reshape(x, (1,)) if x.ndim == 0 else x
            found = ends(traced.constant_part(points), traced.constant_part(xp), xp, fp)
            (x0, x1), (f0, f1) = (((v[0], v[1]) if x.ndim else (v[0, 0], v[1, 0])) for v in found)
        inside = f0 + (f1 - f0) / ew("where", x1 == x0, 1.0, x1 - x0) * (x - x0)
    inside = ew("where", x < xp[0], fp[0] if left is None else left, inside)
    result = ew("where", x > xp[-1], fp[-1] if right is None else right, inside)
    return traced.scalar_of(result) if result.shape == () else result
