"""scipy.integrate on samples: trapezoid, simpson and their cumulative forms, linear in the samples, of traced values and points."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tracer import array as traced


def last_axis(y: Any, x: Any, dx: Any, axis: int) -> tuple[Any, Any]:
    """The samples with their axis last, and the widths between them."""
    y = np.moveaxis(y, axis, -1)
    n = y.shape[-1]
    if x is None:
        return y, np.full(max(n - 1, 0), 1.0) * dx
    x = x if traced.is_traced(x) else np.asarray(x, dtype=np.float64)
    x = x if len(x.shape) == 1 else np.moveaxis(x, axis, -1)
    if x.shape[-1] != n:
        raise ValueError(f"{traced.where_text()}x has {x.shape[-1]} points along the axis, y {n}")
    return y, x[..., 1:] - x[..., :-1]


def asarray(y: Any) -> Any:
    return y if traced.is_traced(y) else np.stack(y) if isinstance(y, (list, tuple)) else np.asarray(y, dtype=np.float64)


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y, h = last_axis(asarray(y), None if x is None else asarray(x), dx, axis)
    return np.sum(0.5 * h * (y[..., 1:] + y[..., :-1]), axis=-1)


def started(y: Any, parts: Any, axis: int, initial: Any) -> Any:
    """Cumulative sums along the last axis, put back in its place, with what stands before them."""
    total = np.cumsum(parts, axis=-1)
    if initial is not None:
        first = np.zeros((*total.shape[:-1], 1)) + initial
        total = np.concatenate([first, total], axis=-1)
    return np.moveaxis(total, -1, axis)


def cumulative_trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1, initial: Any = None) -> Any:
    if initial is not None and initial != 0:
        raise ValueError("`initial` must be `None` or `0`.")
    y, h = last_axis(asarray(y), None if x is None else asarray(x), dx, axis)
    return started(y, 0.5 * h * (y[..., 1:] + y[..., :-1]), axis, initial)


def parabola(h0: Any, h1: Any, y0: Any, y1: Any, y2: Any) -> Any:
    """The integral of a parabola through three samples over both intervals."""
    s = h0 + h1
    return s / 6.0 * (y0 * (2.0 - h1 / h0) + y1 * s * s / (h0 * h1) + y2 * (2.0 - h0 / h1))


def half_parabola(h0: Any, h1: Any, y0: Any, y1: Any, y2: Any) -> Any:
    """The integral of a parabola through three samples over the interval of width h1 between the last two."""
    s = h0 + h1
    return y2 * (2 * h1 * h1 + 3 * h0 * h1) / (6 * s) + y1 * (h1 * h1 + 3 * h0 * h1) / (6 * h0) - y0 * h1**3 / (6 * h0 * s)


def simpson(y: Any, x: Any = None, *, dx: Any = 1.0, axis: int = -1) -> Any:
    y, h = last_axis(asarray(y), None if x is None else asarray(x), dx, axis)
    n = y.shape[-1]
    if n == 1:
        return np.sum(0.0 * y, axis=-1)
    if n == 2:
        return np.sum(0.5 * h * (y[..., 1:] + y[..., :-1]), axis=-1)
    even = n - 1 - (n - 1) % 2
    total = np.sum(
        parabola(h[..., 0:even:2], h[..., 1:even:2], y[..., 0:even:2], y[..., 1 : even + 1 : 2], y[..., 2 : even + 1 : 2]), axis=-1
    )
    if even < n - 1:  # P. Cartwright, J. Math. Sci. Math. Educ. 11(2), 2017: the last interval by the last three samples
        total = total + half_parabola(h[..., -2], h[..., -1], y[..., -3], y[..., -2], y[..., -1])
    return total


def cumulative_simpson(y: Any, *, x: Any = None, dx: Any = 1.0, axis: int = -1, initial: Any = None) -> Any:
    given = asarray(y)
    y, h = last_axis(given, None if x is None else asarray(x), dx, axis)
    n = y.shape[-1]
    if n < 3:
        return cumulative_trapezoid(given, x, dx, axis, initial)
    y0, y1, y2, h0, h1 = y[..., :-2], y[..., 1:-1], y[..., 2:], h[..., :-1], h[..., 1:]
    ahead, behind = half_parabola(h1, h0, y2, y1, y0), half_parabola(h0, h1, y0, y1, y2)
    parts = [ahead[..., k // 2 * 2] if k % 2 == 0 and k < n - 2 else behind[..., k - 1] for k in range(n - 1)]
    return started(y, np.stack(parts, axis=-1), axis, initial)


SAMPLED = {f.__name__: f for f in (trapezoid, cumulative_trapezoid, simpson, cumulative_simpson)}
