"""Splines: their values at points and the equations for their coefficients, both linear in what is interpolated.

A spline is coefficients times basis functions. `values_at` and its transpose `spread` are one family each; the derivative by
a point is the same family with one more order, so derivatives of every order and mixture stay within the two.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, cast

import numpy as np
import scipy.interpolate
import scipy.sparse

from .. import errors
from ..tracer import array as traced
from . import dispatch
from .calls import Family, apply
from .complex import is_complex
from .linalg import conj, minus
from .scipy_linalg import solve_band


@dataclasses.dataclass(frozen=True)
class Basis:
    """Basis functions, a factor for each variable.

    Attributes
    ----------
    powers : bool
        Powers of the distance from the breakpoint to the left, for one variable: coefficients ``(degree + 1, pieces, ...)``, the highest
        power first. Else B-splines: coefficients ``(n1, n2, ...)``.
    degrees, orders : tuple of int
        For each variable its degree, and how often the functions are differentiated.
    outside : str
        What holds beyond the ends: "extrapolate", "periodic", "nan", "raise", or "zero", the derivative of a value that is NaN.
    """

    powers: bool
    degrees: tuple[int, ...]
    orders: tuple[int, ...]
    outside: str = "extrapolate"

    @property
    def axes(self) -> int:
        """How many axes of the coefficients belong to it."""
        return 2 if self.powers else len(self.degrees)

    def derivative(self, j: int) -> Basis | None:
        """By a variable; None where that is zero."""
        if self.orders[j] == self.degrees[j]:
            return None
        orders = tuple(n + (k == j) for k, n in enumerate(self.orders))
        return dataclasses.replace(self, orders=orders, outside={"nan": "zero", "raise": "extrapolate"}.get(self.outside, self.outside))

    def split(self, args: Any) -> tuple[Any, Any, Any]:
        """Knots for each variable, coefficients or what is spread over them, points for each variable."""
        n = len(self.degrees)
        return args[:n], args[n], args[n + 1 :]


def lowered(c: Any, t: Any, k: int, axis: int, times: int) -> Any:
    """Coefficients of a derivative of a B-spline."""
    c = np.moveaxis(c, axis, 0)
    for _ in range(times):
        c = (c[1:] - c[:-1]) * reciprocal_widths(t, k)[(...,) + (None,) * (c.ndim - 1)]
        t, k = t[1:-1], k - 1
    return np.moveaxis(c, 0, axis)


def raised(c: Any, t: Any, k: int, axis: int, times: int) -> Any:
    """The transpose of `lowered`."""
    c = np.moveaxis(c, axis, 0)
    for level in reversed(range(times)):
        weights = reciprocal_widths(t[level : len(t) - level], k - level)
        scaled = c * weights[(...,) + (None,) * (c.ndim - 1)]
        gap = np.zeros((1, *c.shape[1:]))
        c = np.concatenate([gap, scaled]) - np.concatenate([scaled, gap])
    return np.moveaxis(c, 0, axis)


def reciprocal_widths(t: Any, k: int) -> Any:
    widths = t[k + 1 : -1] - t[1 : -k - 1]
    return np.divide(float(k), widths, out=np.zeros_like(widths), where=widths > 0.0)


def ends(basis: Basis, j: int, t: Any) -> tuple[float, float]:
    k = 0 if basis.powers else basis.degrees[j]
    return t[k], t[len(t) - 1 - k]


def placed(basis: Basis, knots: Any, xs: Any) -> tuple[list[Any], Any]:
    """The points as the basis sees them, and which of them it does not."""
    missing = np.zeros(xs[0].shape, dtype=bool)
    seen = []
    for j, (t, x) in enumerate(zip(knots, xs, strict=True)):
        low, high = ends(basis, j, t)
        lost = np.isnan(x)
        if basis.outside == "periodic":
            x = low + (x - low) % (high - low)
        elif basis.outside != "extrapolate":
            lost = lost | (x < low) | (x > high)
        missing |= lost
        seen.append(np.ascontiguousarray(np.where(lost, low, x)))
    return seen, missing


def weights_of_powers(basis: Basis, t: Any, x: Any) -> tuple[Any, Any]:
    (k,), (order,), pieces = basis.degrees, basis.orders, len(t) - 1
    at = np.clip(np.searchsorted(t, x, side="right") - 1, 0, pieces - 1)
    power = np.arange(k, order - 1, -1)
    factors = np.array([math.perm(p, order) for p in power], dtype=float)
    return np.arange(len(power)) * pieces + at[:, None], factors * (x - t[at])[:, None] ** (power - order)


def design(basis: Basis, knots: Any, xs: Any) -> tuple[Any, Any, list[int]]:
    """The matrix from coefficients (of the derivative) to values, the points that have none, and the numbers of coefficients."""
    xs, missing = placed(basis, knots, xs)
    sizes: list[int] = []
    at: Any = np.zeros((len(missing), 1), dtype=np.intp)
    weights: Any = np.ones((len(missing), 1))
    for k, order, t, x in zip(basis.degrees, basis.orders, knots, xs, strict=True):
        if basis.powers:
            more_at, more = weights_of_powers(basis, t, x)
            sizes.append((k + 1) * (len(t) - 1))
        else:
            found = scipy.interpolate.BSpline.design_matrix(x, t[order : len(t) - order], k - order, extrapolate=True)
            more_at, more = (part.reshape(len(x), k - order + 1) for part in (found.indices, found.data))
            sizes.append(found.shape[1])
        at = (at[:, :, None] * sizes[-1] + more_at[:, None, :]).reshape(len(x), -1)
        weights = (weights[:, :, None] * more[:, None, :]).reshape(len(x), -1)
    rows = np.arange(0, weights.size + 1, weights.shape[1])
    weights[missing] = 0.0
    return scipy.sparse.csr_array((weights.reshape(-1), at.reshape(-1), rows), shape=(len(missing), math.prod(sizes))), missing, sizes


OUTSIDE = {"extrapolate": True, "raise": True, "periodic": "periodic", "nan": False, "zero": False}


def evaluate_values(basis: Basis, *arrays: Any) -> Any:
    knots, c, xs = basis.split(arrays)
    if basis.outside == "raise":
        check_range(basis, knots, xs)
    if len(knots) == 1:
        (t,), (x,), (k,), (order,) = knots, xs, basis.degrees, basis.orders
        made = scipy.interpolate.PPoly if basis.powers else scipy.interpolate.BSpline
        given = (c, t) if basis.powers else (t, c, k)
        y = made.construct_fast(*given, extrapolate=OUTSIDE[basis.outside])(x, order)
        return np.nan_to_num(y, copy=False, nan=0.0) if basis.outside == "zero" else y
    matrix, missing, sizes = design(basis, knots, xs)
    for j, (t, k, order) in enumerate(zip(knots, basis.degrees, basis.orders, strict=True)):
        c = lowered(c, t, k, j, order)
    y = matrix @ c.reshape(math.prod(sizes), -1)
    if basis.outside != "zero":
        y[missing] = np.nan
    return y.reshape(len(missing), *c.shape[basis.axes :])


def check_range(basis: Basis, knots: Any, xs: Any) -> None:
    for j, (t, x) in enumerate(zip(knots, xs, strict=True)):
        low, high = ends(basis, j, t)
        beyond = x[(x < low) | (x > high)]
        if beyond.size:
            raise ValueError(f"A value ({beyond[0]}) is outside of the range of interpolation, {low} to {high}.")


def evaluate_spread(params: Any, *arrays: Any) -> Any:
    basis, shape = params
    knots, g, xs = basis.split(arrays)
    matrix, missing, sizes = design(basis, knots, xs)
    rest = g.shape[1:]
    if len(missing) and missing.any():
        g = np.where(missing[(...,) + (None,) * len(rest)], 0.0, g)
    c = matrix.T @ g.reshape(len(missing), -1)
    if basis.powers:
        return c.reshape(shape)  # powers below the order have no derivative, and no weights in the matrix
    c = c.reshape(*sizes, *rest)
    for j, (t, k, order) in enumerate(zip(knots, basis.degrees, basis.orders, strict=True)):
        c = raised(c, t, k, j, order)
    return c.reshape(shape)


def summed(product: Any) -> Any:
    """Over all axes but that of the points."""
    product = np.real(product) if is_complex(product) else product
    return np.sum(product, axis=tuple(range(1, len(product.shape)))) if len(product.shape) > 1 else product


def no_knots(wanted: Any, basis: Basis) -> None:
    if any(wanted[: len(basis.degrees)]):
        raise errors.MissingDerivative(None, "a spline", 0, "the derivative by its knots is not written")


def values_vjp(basis: Basis, wanted: Any, g: Any, y: Any, *args: Any) -> Any:
    no_knots(wanted, basis)
    knots, c, xs = basis.split(args)
    use_knots, use_c, use_x = basis.split(wanted)
    by_points = [
        None if not use else np.zeros(x.shape) if (b := basis.derivative(j)) is None else summed(conj(g) * values(b, knots, c, xs))
        for j, (x, use) in enumerate(zip(xs, use_x, strict=True))
    ]
    return [*(None for _ in use_knots), spread(basis, c.shape, knots, g, xs) if use_c else None, *by_points]


def along_points(basis: Basis, moves: Any, result: Any) -> Any:
    """The sum over the variables that move of ``result(basis of the derivative, the move)``; None for zero."""
    total = None
    for j, move in enumerate(moves):
        moved = None if move is None else basis.derivative(j)
        if moved is not None:
            total = minus(result(moved, move), minus(None, total))
    return total


def times(move: Any, y: Any) -> Any:
    return move[(...,) + (None,) * (len(y.shape) - 1)] * y


def values_jvp(basis: Basis, tangents: Any, y: Any, *args: Any) -> Any:
    knots, c, xs = basis.split(args)
    moved_knots, dc, dxs = basis.split(tangents)
    no_knots([t is not None for t in moved_knots], basis)
    moved = along_points(basis, dxs, lambda b, move: times(move, values(b, knots, c, xs)))
    moved = minus(None if dc is None else values(basis, knots, dc, xs), minus(None, moved))
    return np.zeros(y.shape) if moved is None else moved


def spread_vjp(params: Any, wanted: Any, g: Any, y: Any, *args: Any) -> Any:
    basis, _ = params
    no_knots(wanted, basis)
    knots, x, xs = basis.split(args)
    use_knots, use_x, use_points = basis.split(wanted)
    by_points = [
        None if not use else np.zeros(at.shape) if (b := basis.derivative(j)) is None else summed(conj(values(b, knots, g, xs)) * x)
        for j, (at, use) in enumerate(zip(xs, use_points, strict=True))
    ]
    return [*(None for _ in use_knots), values(basis, knots, g, xs) if use_x else None, *by_points]


def spread_jvp(params: Any, tangents: Any, y: Any, *args: Any) -> Any:
    basis, shape = params
    knots, x, xs = basis.split(args)
    moved_knots, dx, dxs = basis.split(tangents)
    no_knots([t is not None for t in moved_knots], basis)
    moved = along_points(basis, dxs, lambda b, move: spread(b, shape, knots, times(move, x), xs))
    moved = minus(None if dx is None else spread(basis, shape, knots, dx, xs), minus(None, moved))
    return np.zeros(y.shape) if moved is None else moved


VALUES = Family("the values of a spline", evaluate_values, values_vjp, values_jvp)
SPREAD = Family("the adjoint of the coefficients of a spline", evaluate_spread, spread_vjp, spread_jvp)


def values(basis: Basis, knots: Any, c: Any, xs: Any) -> Any:
    """Values at points, a vector for each variable."""
    return apply(VALUES, basis, (xs[0].shape[0], *c.shape[basis.axes :]), *knots, c, *xs)


def spread(basis: Basis, shape: tuple[int, ...], knots: Any, g: Any, xs: Any) -> Any:
    """The transpose of `values` by the coefficients, which have this shape."""
    return apply(SPREAD, (basis, tuple(shape)), tuple(shape), *knots, g, *xs)


def values_at(basis: Basis, knots: Any, c: Any, xs: Any) -> Any:
    """Values at points that are arrays of one shape, or numbers."""
    shape = np.shape(xs[0])
    y = values(basis, knots, c, [np.reshape(x, (-1,)) for x in xs])
    y = np.reshape(y, shape + y.shape[1:])
    return scalar(y)


def scalar(y: Any) -> Any:
    """An array without axes as a number."""
    return traced.scalar_of(y) if isinstance(y, traced.Traced) and y.shape == () else y


# -- equations ---------------------------------------------------------------------------------------------------------


def solve_sparse(matrix: Any, b: Any) -> Any:
    """The solution of a constant banded system with right-hand sides in the columns of b."""
    matrix = scipy.sparse.coo_array(matrix)
    i, j = matrix.coords
    low, up = int(np.max(i - j, initial=0)), int(np.max(j - i, initial=0))
    band = np.zeros((low + up + 1, matrix.shape[1]))
    np.add.at(band, (up + i - j, j), matrix.data)
    return solve_band((low, up), band, b)


def matrix_of_ring(band: Any) -> Any:
    """The matrix that ``band[half + i - j, j]`` are the entries of, rows counted around."""
    size, n = band.shape
    d, j = np.indices(band.shape)
    return scipy.sparse.csc_array((band.reshape(-1), (((j + d - size // 2) % n).reshape(-1), j.reshape(-1))), shape=(n, n))


def transposed_ring(band: Any) -> Any:
    half = band.shape[0] // 2
    return np.stack([np.roll(band[2 * half - d], half - d) for d in range(2 * half + 1)])


def evaluate_ring(params: Any, band: Any, b: Any) -> Any:
    import scipy.sparse.linalg

    solve = scipy.sparse.linalg.splu(matrix_of_ring(band))
    return solve.solve(b) if b.dtype.kind == "f" else solve.solve(b.real) + 1j * solve.solve(b.imag)


def ring_vjp(params: Any, wanted: Any, g: Any, y: Any, band: Any, b: Any) -> Any:
    if wanted[0]:
        raise errors.MissingDerivative(None, "a periodic spline", 0, "the derivative by its knots is not written")
    return None, solve_ring(transposed_ring(band), g)


def ring_jvp(params: Any, tangents: Any, y: Any, band: Any, b: Any) -> Any:
    if tangents[0] is not None:
        raise errors.MissingDerivative(None, "a periodic spline", 0, "the derivative by its knots is not written")
    return solve_ring(band, tangents[1])


RING = Family("the equations of a periodic spline", evaluate_ring, ring_vjp, ring_jvp)


def solve_ring(band: Any, b: Any) -> Any:
    return apply(RING, (), b.shape, band, b)


def as_ring(matrix: Any) -> Any:
    """A periodic band from a matrix with corners."""
    matrix = scipy.sparse.coo_array(matrix)
    n = matrix.shape[0]
    i, j = matrix.coords
    away = (i - j + n // 2) % n - n // 2
    half = int(np.max(np.abs(away), initial=0))
    band = np.zeros((2 * half + 1, n))
    np.add.at(band, (half + away, j), matrix.data)
    return band


def one_row(t: Any, k: int, order: int, x: float) -> Any:
    """The derivatives of all B-splines at a point, as a row."""
    n = len(t) - k - 1
    found = evaluate_spread((Basis(False, (k,), (order,)), (n,)), t, np.ones(1), np.array([x]))
    return scipy.sparse.csr_array(found[None, :])


def columns(y: Any) -> Any:
    """All but the first axis as one."""
    return np.reshape(y, (y.shape[0], math.prod(y.shape[1:])))


def interpolating(x: Any, y: Any, t: Any, k: int, left: Any = (), right: Any = ()) -> Any:
    """The coefficients of the B-spline through (x, y) with derivatives [(order, value)] at its ends."""
    rest = y.shape[1:]
    rows = [one_row(t, k, order, x[0]) for order, _ in left]
    rows.append(scipy.interpolate.BSpline.design_matrix(x, t, k))
    rows += [one_row(t, k, order, x[-1]) for order, _ in right]
    given = [[np.reshape(np.broadcast_to(v, rest) if not traced.is_traced(v) else v, (1, -1)) for _, v in side] for side in (left, right)]
    b = np.concatenate([*given[0], columns(y), *given[1]]) if left or right else columns(y)
    return np.reshape(solve_sparse(scipy.sparse.vstack(rows), b), (b.shape[0], *rest))


def interpolating_periodically(x: Any, y: Any, t: Any, k: int) -> Any:
    """The same for a period; the last k coefficients are the first ones."""
    n = x.shape[0] - 1
    found = scipy.sparse.coo_array(scipy.interpolate.BSpline.design_matrix(x[:-1], t, k))
    i, j = found.coords
    # the middle of the support of function j is near point j - k // 2: so the band is centred
    matrix = scipy.sparse.coo_array((found.data, (i, (j - k // 2) % n)), shape=(n, n))
    c = solve_ring(as_ring(matrix), columns(y[:-1]))
    return np.reshape(c[(np.arange(n + k) - k // 2) % n], (n + k, *y.shape[1:]))


def least_squares(x: Any, y: Any, t: Any, k: int, w: Any = None) -> Any:
    """The coefficients of the B-spline nearest to (x, y), by the normal equations."""
    squares = np.ones(len(x)) if w is None else np.asarray(w, dtype=float) ** 2
    a = scipy.interpolate.BSpline.design_matrix(x, t, k)
    basis, n = Basis(False, (k,), (0,)), len(t) - k - 1
    b = spread(basis, (n, math.prod(y.shape[1:])), [t], squares[:, None] * columns(y), [x])
    return np.reshape(solve_sparse(a.T @ scipy.sparse.diags_array(squares) @ a, b), (n, *y.shape[1:]))


def cubic_slopes(x: Any, y: Any, start: Any, end: Any) -> Any:
    """The slopes at the knots of a cubic spline with two continuous derivatives.

    ``start`` and ``end`` are "not-a-knot", "periodic" (both), or (order, value).
    """
    n, rest, dx = len(x), y.shape[1:], np.diff(x)
    h, slope = secants(x, columns(y))
    if n == 2:
        start, end = ((1, slope[0]) if isinstance(side, str) else side for side in (start, end))
    if n == 3 and start == end == "not-a-knot":  # the same condition twice: a parabola
        middle = (h[0] * slope[1] + h[1] * slope[0]) / (h[0] + h[1])
        return np.reshape(np.stack([2.0 * slope[0] - middle, middle, 2.0 * slope[1] - middle]), (n, *rest))
    if start == "periodic":
        before, k = np.roll(dx, 1), np.arange(n - 1)
        entries = np.concatenate([2.0 * (before + dx), dx, before])
        places = (np.tile(k, 3), np.concatenate([k, np.roll(k, 1), np.roll(k, -1)]))
        last = np.concatenate([slope[-1:], slope[:-1]])
        ring = as_ring(scipy.sparse.coo_array((entries, places), shape=(n - 1, n - 1)))
        s = solve_ring(ring, 3.0 * (h * last + before[:, None] * slope))
        return np.reshape(np.concatenate([s, s[:1]]), (n, *rest))
    band = np.zeros((3, n))
    band[1, 1:-1], band[0, 2:], band[2, :-2] = 2.0 * (dx[:-1] + dx[1:]), dx[:-1], dx[1:]
    inner = 3.0 * (h[1:] * slope[:-1] + h[:-1] * slope[1:])
    band[1, 0], band[0, 1], first = end_condition(start, dx[0], dx[1:2], slope[0], slope[1:2], 1.0)
    band[1, -1], band[2, -2], last = end_condition(end, dx[-1], dx[-2:-1], slope[-1], slope[-2:-1], -1.0)
    b = np.concatenate([np.reshape(first, (1, -1)), inner, np.reshape(last, (1, -1))])
    return np.reshape(solve_band((1, 1), band, b), (n, *rest))


def end_condition(condition: Any, h: float, next_h: Any, slope: Any, next_slope: Any, sign: float) -> tuple[float, float, Any]:
    """The factors of the slopes at an end and beside it, and what they give."""
    if isinstance(condition, str):  # the third derivative is continuous at the next knot
        (h2,), s2 = next_h, next_slope[0]
        return h2, h + h2, ((3.0 * h + 2.0 * h2) * h2 * slope + h * h * s2) / (h + h2)
    order, value = condition
    value = np.reshape(value, (-1,))
    if order == 1:
        return 1.0, 0.0, value + 0.0 * slope
    return 2.0 * h, h, 3.0 * h * slope - sign * 0.5 * value * h * h


def hermite(x: Any, y: Any, slopes: Any) -> Any:
    """Coefficients in powers of the cubic with these values and slopes at its breakpoints."""
    h = np.diff(x)[(...,) + (None,) * (len(y.shape) - 1)]
    secant = (y[1:] - y[:-1]) / h
    bent = (slopes[:-1] + slopes[1:] - 2.0 * secant) / h
    return np.stack([bent / h, (secant - slopes[:-1]) / h - bent, slopes[:-1], y[:-1]])


def secants(x: Any, y: Any) -> tuple[Any, Any]:
    """Widths of the pieces and the slopes of the data between knots; a column for each function."""
    h = np.diff(x)[:, None]
    return h, (y[1:] - y[:-1]) / h


def pchip_slopes(x: Any, y: Any) -> Any:
    """Slopes that keep the data's monotony: harmonic means, zero at extrema."""
    h, m = secants(x, columns(y))
    if len(x) == 2:
        return np.reshape(np.concatenate([m, m]), y.shape)
    before, after = m[:-1], m[1:]
    monotone = np.sign(before) * np.sign(after) > 0.0
    w1, w2 = 2.0 * h[1:] + h[:-1], h[1:] + 2.0 * h[:-1]
    mean = (w1 + w2) / (w1 / np.where(monotone, before, 1.0) + w2 / np.where(monotone, after, 1.0))
    first = pchip_end(h[:1], h[1:2], m[:1], m[1:2])
    last = pchip_end(h[-1:], h[-2:-1], m[-1:], m[-2:-1])
    return np.reshape(np.concatenate([first, np.where(monotone, mean, 0.0), last]), y.shape)


def pchip_end(h0: Any, h1: Any, m0: Any, m1: Any) -> Any:
    d = ((2.0 * h0 + h1) * m0 - h0 * m1) / (h0 + h1)
    limited = np.where((np.sign(m0) != np.sign(m1)) & (np.abs(d) > 3.0 * np.abs(m0)), 3.0 * m0, d)
    return np.where(np.sign(d) == np.sign(m0), limited, 0.0)


def akima_slopes(x: Any, y: Any, modified: bool) -> Any:
    """Means of neighbouring secants, weighted by how much the ones beyond them bend."""
    n = len(x)
    _, m = secants(x, columns(y))
    if n == 2:
        return np.reshape(np.concatenate([m, m]), y.shape)
    left, right = 2.0 * m[:1] - m[1:2], 2.0 * m[-1:] - m[-2:-1]
    m = np.concatenate([2.0 * left - m[:1], left, m, right, 2.0 * right - m[-1:]])
    bends = np.abs(m[1:] - m[:-1])
    if modified:
        bends = bends + 0.5 * np.abs(m[1:] + m[:-1])
    both = bends[:-2] + bends[2:]
    usable = both > 1e-9 * np.max(both)
    share = np.where(usable, bends[:-2], 0.0) / np.where(usable, both, 1.0)
    weighted = m[1 : n + 1] + share * (m[2 : n + 2] - m[1 : n + 1])
    return np.reshape(np.where(usable, weighted, 0.5 * (m[3:] + m[:-3])), y.shape)


def constant(name: str, argument: str, x: Any) -> Any:
    """Knots as plain numbers; refused where they are being differentiated."""
    if dispatch.any_active(x):
        raise dispatch.refuse(f"scipy.interpolate.{name}", "the derivative by knots is not written", argument)
    return np.asarray(traced.value_of(x) if traced.is_traced(x) else cast("Any", x), dtype=float)
