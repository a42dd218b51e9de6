"""scipy.ndimage on traced arrays: filters as sums of shifted views, and interpolation of order 1."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..tracer import array as traced
from .dispatch import unsupported
from .linalg import operand

pad: Any = np.pad

# functions of scipy.ndimage, which go past NumPy's protocols: reached by rebinding of names
REBOUND: dict[str, Callable[..., Any]] = {}

PADDING = {"reflect": "symmetric", "grid-mirror": "symmetric", "mirror": "reflect", "nearest": "edge", "wrap": "wrap", "grid-wrap": "wrap",
           "constant": "constant", "grid-constant": "constant"}  # fmt: skip


def twin(f: Callable[..., Any]) -> Callable[..., Any]:
    REBOUND[f.__name__] = f
    return f


def into(name: str, output: Any, y: Any) -> Any:
    """``output=`` as SciPy takes it: nothing, a dtype, or an array that is written."""
    if output is None or output in (float, "float64") or (isinstance(output, type) and issubclass(output, np.float64)):
        return y
    if traced.is_traced(output):
        output[...] = y
        return output
    raise unsupported(f"scipy.ndimage.{name}", "output=", "use the result")


def per_axis(x: Any, n: int) -> list[Any]:
    return [x] * n if np.ndim(x) == 0 else list(x)


def axes_of(x: Any, axes: Any) -> list[int]:
    return list(range(x.ndim)) if axes is None else [k % x.ndim for k in np.atleast_1d(axes)]


def padded(x: Any, widths: Any, mode: str, cval: Any) -> Any:
    return pad(x, widths, mode=PADDING[mode], **({"constant_values": cval} if PADDING[mode] == "constant" else {}))


def correlated(name: str, x: Any, weights: Any, mode: str, cval: Any, origin: Any, flips: bool) -> Any:
    """The sum of the views that the weights meet; a weight that is 0 and constant costs nothing."""
    weights = operand(weights)
    if weights.ndim != x.ndim:
        raise RuntimeError(f"{traced.where_text()}scipy.ndimage.{name}: filter weights array has incorrect shape.")
    origins = per_axis(origin, x.ndim)
    if flips:
        weights = np.flip(weights)
        origins = [-o - (1 if n % 2 == 0 else 0) for o, n in zip(origins, weights.shape, strict=True)]
    before = [n // 2 + o for n, o in zip(weights.shape, origins, strict=True)]
    wide = padded(x, [(b, n - 1 - b) for b, n in zip(before, weights.shape, strict=True)], mode, cval)
    y: Any = 0.0
    for index in itertools.product(*map(range, weights.shape)):
        w = weights[index]
        if traced.is_traced(w) or w != 0:
            y = y + w * wide[tuple(slice(k, k + n) for k, n in zip(index, x.shape, strict=True))]
    return y if np.ndim(y) else np.zeros_like(x)


def along(axis: int, ndim: int, weights: Any) -> Any:
    return np.reshape(operand(weights), tuple(-1 if k == axis % ndim else 1 for k in range(ndim)))


def filter_twins() -> None:
    for name, flips in (("correlate", False), ("convolve", True)):

        def of(input: Any, weights: Any, output: Any = None, mode: str = "reflect", cval: Any = 0.0, origin: Any = 0, *, axes: Any = None,
               name: str = name, flips: bool = flips) -> Any:  # fmt: skip
            x = operand(input)
            if axes is not None and len(axes_of(x, axes)) != x.ndim:
                raise unsupported(f"scipy.ndimage.{name}", "axes=", "give the weights as many dimensions as the array")
            return into(name, output, correlated(name, x, weights, mode, cval, origin, flips))

        def of_one(input: Any, weights: Any, axis: int = -1, output: Any = None, mode: str = "reflect", cval: Any = 0.0, origin: int = 0, *,
                   name: str = name + "1d", flips: bool = flips) -> Any:  # fmt: skip
            x = operand(input)
            origins = [origin if k == axis % x.ndim else 0 for k in range(x.ndim)]
            if flips:  # an axis of length 1 has nothing to flip
                return into(name, output, correlated(name, x, along(axis, x.ndim, weights), mode, cval, origins, True))
            return into(name, output, correlated(name, x, along(axis, x.ndim, weights), mode, cval, origins, False))

        REBOUND[name], REBOUND[name + "1d"] = of, of_one


filter_twins()


def gaussian_weights(sigma: Any, order: int, radius: int) -> Any:
    """A Gaussian that sums to 1, or its derivative, by Hermite's polynomials."""
    x = np.arange(-radius, radius + 1) / sigma
    bell = np.exp(-0.5 * x * x)
    below, poly = 0.0 * x, 0.0 * x + 1.0
    for k in range(order):
        below, poly = poly, x * poly - k * below
    return (-1.0 / sigma) ** order * poly * (bell / np.sum(bell))


@twin
def gaussian_filter1d(input: Any, sigma: Any, axis: int = -1, order: int = 0, output: Any = None, mode: str = "reflect", cval: Any = 0.0,
                      truncate: float = 4.0, *, radius: Any = None) -> Any:  # fmt: skip
    size = int(truncate * float(traced.value_of(sigma)) + 0.5) if radius is None else int(radius)
    weights = gaussian_weights(sigma, order, size)[::-1]
    return REBOUND["correlate1d"](input, weights, axis, output, mode, cval)


@twin
def gaussian_filter(input: Any, sigma: Any, order: Any = 0, output: Any = None, mode: Any = "reflect", cval: Any = 0.0,
                    truncate: float = 4.0, *, radius: Any = None, axes: Any = None) -> Any:  # fmt: skip
    x = operand(input)
    over = axes_of(x, axes)
    for axis, s, o, m, r in zip(over, *(per_axis(p, len(over)) for p in (sigma, order, mode, radius)), strict=True):
        if traced.value_of(s) > 1e-15:
            x = gaussian_filter1d(x, s, axis, o, None, m, cval, truncate, radius=r)
    return into("gaussian_filter", output, x)


@twin
def uniform_filter1d(input: Any, size: int, axis: int = -1, output: Any = None, mode: str = "reflect", cval: Any = 0.0,
                     origin: int = 0) -> Any:  # fmt: skip
    return REBOUND["correlate1d"](input, np.full(size, 1.0 / size), axis, output, mode, cval, origin)


@twin
def uniform_filter(input: Any, size: Any = 3, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, origin: Any = 0, *,
                   axes: Any = None) -> Any:  # fmt: skip
    x = operand(input)
    over = axes_of(x, axes)
    for axis, n, m, o in zip(over, *(per_axis(p, len(over)) for p in (size, mode, origin)), strict=True):
        if n > 1:
            x = uniform_filter1d(x, int(n), axis, None, m, cval, o)
    return into("uniform_filter", output, x)


def slope_filter(name: str, across: list[float]) -> None:
    def of(input: Any, axis: int = -1, output: Any = None, mode: Any = "reflect", cval: Any = 0.0) -> Any:
        x = operand(input)
        modes = per_axis(mode, x.ndim)
        y = REBOUND["correlate1d"](x, [-1.0, 0.0, 1.0], axis, None, modes[axis], cval)
        for k in range(x.ndim):
            if k != axis % x.ndim:
                y = REBOUND["correlate1d"](y, across, k, None, modes[k], cval)
        return into(name, output, y)

    REBOUND[name] = of


slope_filter("sobel", [1.0, 2.0, 1.0])
slope_filter("prewitt", [1.0, 1.0, 1.0])


@twin
def laplace(input: Any, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, *, axes: Any = None) -> Any:
    x = operand(input)
    over = axes_of(x, axes)
    modes = per_axis(mode, len(over))
    y = sum(REBOUND["correlate1d"](x, [1.0, -2.0, 1.0], k, None, m, cval) for k, m in zip(over, modes, strict=True))
    return into("laplace", output, y)


def second_and_first(name: str, order: int) -> None:
    """Sums over axes of derivatives of Gaussians: of second order, or of squares of first order."""

    def of(input: Any, sigma: Any, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, *, axes: Any = None, **kw: Any) -> Any:
        x = operand(input)
        over = axes_of(x, axes)
        found = [gaussian_filter(x, sigma, [order * (j == k) for j in over], None, mode, cval, axes=over, **kw) for k in over]
        return into(name, output, sum(found) if order == 2 else np.sqrt(sum(y * y for y in found)))

    REBOUND[name] = of


second_and_first("gaussian_laplace", 2)
second_and_first("gaussian_gradient_magnitude", 1)


# -- interpolation --------------------------------------------------------------------------------------------------


def order_one(name: str, order: int, mode: str) -> None:
    if order != 1:
        raise unsupported(f"scipy.ndimage.{name}", f"order={order}", "use order=1, which is differentiated")
    if mode not in ("constant", "nearest"):
        raise unsupported(f"scipy.ndimage.{name}", f"mode={mode!r}", "use mode='nearest' or 'constant', or np.pad first")


@twin
def map_coordinates(input: Any, coordinates: Any, output: Any = None, order: int = 3, mode: str = "constant", cval: float = 0.0,
                    prefilter: bool = True) -> Any:  # fmt: skip
    """Multilinear interpolation, differentiated by the array and by the coordinates."""
    order_one("map_coordinates", order, mode)
    x, at = operand(input), operand(coordinates)
    places = np.asarray(traced.value_of(at))
    sizes = np.array(x.shape).reshape(-1, *[1] * (places.ndim - 1))
    inside = np.all((places >= 0) & (places <= sizes - 1), axis=0)
    low = np.clip(np.floor(places), 0, np.maximum(sizes - 2, 0)).astype(np.intp)
    y: Any = 0.0
    for corner in itertools.product((0, 1), repeat=x.ndim):
        weight: Any = 1.0
        for k, high in enumerate(corner):
            part = np.clip(at[k] - low[k], 0.0, 1.0)
            weight = weight * (part if high else 1.0 - part)
        index = tuple(np.minimum(low[k] + high, x.shape[k] - 1) for k, high in enumerate(corner))
        y = y + weight * x[index]
    return into("map_coordinates", output, y if mode == "nearest" else np.where(inside, y, cval))


@twin
def shift(input: Any, shift: Any, output: Any = None, order: int = 3, mode: str = "constant", cval: float = 0.0,
          prefilter: bool = True) -> Any:  # fmt: skip
    order_one("shift", order, mode)
    x = operand(input)
    moves = operand(shift)
    grid = np.indices(x.shape).astype(float)
    moves = moves if moves.ndim == 0 else np.reshape(moves, (-1, *[1] * x.ndim))
    return map_coordinates(x, grid - moves, output, 1, mode, cval)


@twin
def affine_transform(input: Any, matrix: Any, offset: Any = 0.0, output_shape: Any = None, output: Any = None, order: int = 3,
                     mode: str = "constant", cval: float = 0.0, prefilter: bool = True) -> Any:  # fmt: skip
    order_one("affine_transform", order, mode)
    x, a, start = operand(input), operand(matrix), operand(offset)
    n = x.ndim
    shape = x.shape if output_shape is None else tuple(output_shape)
    if a.ndim == 2 and a.shape[1] == n + 1:
        a, start = a[:n, :n], a[:n, n]
    elif a.ndim == 1:
        a = a[:, None] * np.eye(n)
    points = a @ np.indices(shape).reshape(n, math.prod(shape)).astype(float)
    points = points + (start if start.ndim == 0 else start[:, None])
    return map_coordinates(x, np.reshape(points, (n, *shape)), output, 1, mode, cval)


KINKS = "it selects by rank: use np.lib.stride_tricks.sliding_window_view with np.median, max or min"
SPLINES = "it fits splines: use shift, affine_transform or map_coordinates with order=1"
REFUSED = {
    **dict.fromkeys("median_filter maximum_filter maximum_filter1d minimum_filter minimum_filter1d percentile_filter rank_filter "
                    "grey_closing grey_dilation grey_erosion grey_opening black_tophat white_tophat morphological_gradient "
                    "morphological_laplace".split(), KINKS),
    **dict.fromkeys("zoom rotate spline_filter spline_filter1d geometric_transform".split(), SPLINES),
    **dict.fromkeys("generic_filter generic_filter1d vectorized_filter generic_laplace generic_gradient_magnitude".split(),
                    "it calls a function for each window: write it with sliding_window_view"),
}  # fmt: skip
