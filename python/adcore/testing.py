"""Checks of derivatives, for adcore's tests and for its users."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import errors, trees
from .transforms.gradient import grad, value_and_grad
from .transforms.leaves import conjugated
from .transforms.products import jvp


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 1,
    modes: Sequence[str] = ("fwd", "rev"),
    rtol: float = 1e-6,
    atol: float = 1e-8,
    directions: int = 3,
) -> None:
    """Compare adcore's derivatives of f with central differences, and with the complex step where f allows it.

    Parameters
    ----------
    f : callable
        Returns a float or complex array, a number, or a tree of them; all positional arguments are differentiated.
    args : sequence of float or complex array or number
        Where to check.
    order : int
        Derivatives up to this order: the derivative along a random direction is a function that is checked in turn.
    modes : sequence of {"fwd", "rev"}
        Modes of differentiation; with both, every mixture of them up to the order.
    rtol, atol : float
        Tolerances; central differences in float64 reach about 1e-8 of the function's scale.
    directions : int
        How many random directions.

    Raises
    ------
    AssertionError
        The derivatives differ; names the direction's values.
    ArgumentError
        An unknown mode, or an order below 1.

    Notes
    -----
    Central differences ``(f(x + ht) - f(x - ht)) / 2h`` with h = eps**(1/3); the complex step ``imag(f(x + iht)) / h`` with
    h = 1e-30, exact to rounding (W. Squire, G. Trapp, SIAM Review 40(1), 1998).

    Examples
    --------
    >>> import numpy as np, adcore
    >>> adcore.testing.check_grads(lambda x: np.sum(np.sin(x)), [np.array([0.3, 0.4])])
    """
    if order < 1 or not modes or not set(modes) <= {"fwd", "rev"}:
        raise errors.ArgumentError(f"check_grads(order={order!r}, modes={modes!r}): order >= 1, modes of 'fwd' and 'rev'")
    arrays = [np.asarray(a, dtype=np.complex128 if np.iscomplexobj(a) else np.float64) for a in args]
    rng = np.random.default_rng(0)
    weights: list[Any] = []

    def random(shape: tuple[int, ...], complex_values: bool) -> Any:
        x = rng.normal(size=shape)
        return x + 1j * rng.normal(size=shape) if complex_values else x

    def scalar(*xs: Any) -> Any:
        """f as one number: its leaves times fixed random weights."""
        total: Any = 0.0
        for k, (_, y) in enumerate(trees.leaves(f(*xs))):
            complex_y = np.iscomplexobj(y) if isinstance(y, (np.ndarray, complex)) else getattr(y, "dtype", np.dtype(float)).kind == "c"
            if k == len(weights):
                weights.append(random(np.shape(y), complex_y) if np.shape(y) or k or complex_y else 1.0)
            part = y * weights[k] if np.shape(y) == () else np.sum(y * weights[k])
            total = total + (part.real if complex_y else part)
        return total

    expected = scalar(*[a[()] for a in arrays])
    for _ in range(directions):
        moves = [random(a.shape, a.dtype.kind == "c")[()] if a.shape else random((), a.dtype.kind == "c") for a in arrays]
        for mode in modes:
            check_direction(scalar, arrays, moves, mode, expected, rtol, atol)
    if order == 1:
        return
    for mode in modes:
        moves = [random(a.shape, a.dtype.kind == "c") for a in arrays]

        def along(*xs: Any, mode: str = mode, moves: list[Any] = moves) -> Any:
            if mode == "fwd":
                return jvp(scalar, xs, moves)[1]
            gradients = grad(scalar, tuple(range(len(xs))))(*xs)
            return sum(product(g, t) for g, t in zip(gradients, moves, strict=True))

        try:
            check_grads(along, args, order - 1, modes, rtol, atol, directions)
        except AssertionError as error:
            raise AssertionError(f"derivative of the {mode} derivative: {error}") from None


def product(g: Any, t: Any) -> Any:
    """The change that a gradient says a move makes."""
    if not np.iscomplexobj(t):
        return np.sum(g * t)
    return np.sum((np.conj(conjugated(g)) * t).real)


def check_direction(
    scalar: Callable[..., Any], arrays: list[Any], moves: list[Any], mode: str, expected: Any, rtol: float, atol: float
) -> None:
    """One directional derivative against differences and the complex step."""
    xs = [a[()] for a in arrays]
    if mode == "fwd":
        value, tangent = jvp(scalar, xs, moves)
        ours, size = float(tangent), abs(float(tangent))
    else:
        value, gradients = value_and_grad(scalar, tuple(range(len(xs))))(*xs)
        ours = sum(float(product(g, t)) for g, t in zip(gradients, moves, strict=True))
        size = sum(float(np.sum(np.abs(g * t))) for g, t in zip(gradients, moves, strict=True))
    np.testing.assert_allclose(value, expected, rtol=1e-10, atol=1e-12, err_msg="value")

    def at(h: Any) -> Any:
        return scalar(*[(a + h * t)[()] for a, t in zip(arrays, moves, strict=True)])

    step = np.finfo(float).eps ** (1 / 3)
    difference = (at(step) - at(-step)) / (2 * step)
    scale = atol + rtol * max(abs(difference), size)
    noise = 1e2 * np.finfo(float).eps ** (2 / 3) * max(1.0, abs(float(value)))
    if not abs(ours - difference) <= scale + noise:
        raise AssertionError(f"{mode} derivative {ours!r} differs from central differences {difference!r}")
    if any(a.dtype.kind == "c" for a in arrays):
        return
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            exact = complex(at(1e-30j)).imag / 1e-30
    except Exception:  # whatever a function raises that does not take complex numbers
        return
    # abs, max and comparisons are not analytic: there the complex step says something else
    if abs(exact - difference) <= scale + noise and not abs(ours - exact) <= 1e-9 * (abs(exact) + abs(ours)) + atol:
        raise AssertionError(f"{mode} derivative {ours!r} differs from the complex step {exact!r}")
