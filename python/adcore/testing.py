"""Checks of derivatives, for adcore's tests and for its users."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import errors, trees
from .transforms.gradient import grad, value_and_grad
from .transforms.leaves import conjugated
from .transforms.products import jvp, vjp


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 1,
    modes: Sequence[str] = ("fwd", "rev"),
    rtol: float | None = None,
    atol: float | None = None,
    directions: int = 3,
) -> None:
    """Compare adcore's derivatives of f with central differences, and with the complex step where f allows it.

    Parameters
    ----------
    f : callable
        Returns a float or complex array, a number, or a tree of them; all positional arguments are differentiated.
    args : sequence of float or complex array or number, or trees of them
        Where to check; what a tree holds besides floats and complex numbers stays as it is. Single-precision arrays are
        differentiated as they are, and compared with differences of f in double.
    order : int
        Derivatives up to this order: the derivative along a random direction is a function that is checked in turn.
    modes : sequence of {"fwd", "rev"}
        Modes of differentiation; with both, every mixture of them up to the order.
    rtol, atol : float, optional
        Tolerances: 1e-6 and 1e-8 in double, as central differences reach about 1e-8 of the function's scale; 1e-3 and 1e-4
        where an argument is single.
    directions : int
        How many random directions.

    Raises
    ------
    AssertionError
        The derivatives differ from the differences, or with both modes from each other; names the direction's values.
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
    f, args = of_leaves(f, args)
    arrays = [np.asarray(a) if np.asarray(a).dtype in DTYPES else np.asarray(a, dtype=np.float64) for a in args]
    single = any(a.dtype in (np.float32, np.complex64) for a in arrays)
    tolerance = Tolerance.of(single, rtol, atol)
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
        moves = [np.asarray(random(a.shape, a.dtype.kind == "c")).astype(a.dtype)[()] for a in arrays]
        slopes = [check_direction(scalar, arrays, moves, mode, expected, tolerance) for mode in dict.fromkeys(modes)]
        if len(slopes) == 2 and not abs(slopes[0][0] - slopes[1][0]) <= tolerance.modes * max(1.0, *[size for _, size in slopes]):
            raise AssertionError(f"the forward and the reverse derivative differ: {slopes[0][0]!r}, {slopes[1][0]!r}")
    if order == 1:
        return
    for mode in modes:
        moves = [np.asarray(random(a.shape, a.dtype.kind == "c")).astype(a.dtype)[()] for a in arrays]

        def along(*xs: Any, mode: str = mode, moves: list[Any] = moves) -> Any:
            if mode == "fwd":
                return jvp(scalar, xs, moves)[1]
            gradients = grad(scalar, tuple(range(len(xs))))(*xs)
            return sum(product(g, t) for g, t in zip(gradients, moves, strict=True))

        try:
            check_grads(along, args, order - 1, modes, rtol, atol, directions)
        except AssertionError as error:
            raise AssertionError(f"derivative of the {mode} derivative: {error}") from None


def of_leaves(f: Callable[..., Any], args: Sequence[Any]) -> tuple[Callable[..., Any], Sequence[Any]]:
    """f of the leaves of its arguments that are checked, and these."""
    if not any(trees.is_branch(a) for a in args):
        return f, args
    flat = [(path, x) for a in args for path, x in trees.leaves(a)]
    uses = [not path or getattr(x, "dtype", type(x)) in (*DTYPES, float, complex) for path, x in flat]
    found = [x for use, (_, x) in zip(uses, flat, strict=True) if use]

    def of(*leaves: Any) -> Any:
        new, use = iter(leaves), iter(uses)
        return f(*trees.mapped(lambda x, path: next(new) if next(use) else x, list(args)))

    return of, found


def product(g: Any, t: Any) -> Any:
    """The change that a gradient says a move makes."""
    if not np.iscomplexobj(t):
        return np.sum(g * t)
    return np.sum((np.conj(conjugated(g)) * t).real)


DTYPES = (np.float64, np.float32, np.complex128, np.complex64)


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """How far derivatives may be from differences, values from values, and the two modes from each other."""

    rtol: float
    atol: float
    value: float
    modes: float

    @classmethod
    def of(cls, single: bool, rtol: float | None, atol: float | None) -> Tolerance:
        default = cls(1e-3, 1e-4, 1e-4, 1e-4) if single else cls(1e-6, 1e-8, 1e-10, 1e-9)
        return dataclasses.replace(default, rtol=rtol or default.rtol, atol=atol or default.atol)


def check_direction(
    scalar: Callable[..., Any], arrays: list[Any], moves: list[Any], mode: str, expected: Any, tolerance: Tolerance
) -> tuple[float, float]:
    """One directional derivative against differences and the complex step; it, and the size of its terms."""
    xs = [a[()] for a in arrays]
    if mode == "fwd":
        value, tangent = jvp(scalar, xs, moves)
        ours, size = float(tangent), abs(float(tangent))
    else:
        value, gradients = value_and_grad(scalar, tuple(range(len(xs))))(*xs)
        ours = sum(float(product(g, t)) for g, t in zip(gradients, moves, strict=True))
        size = sum(float(np.sum(np.abs(g * t))) for g, t in zip(gradients, moves, strict=True))
    np.testing.assert_allclose(value, expected, rtol=tolerance.value, atol=1e-2 * tolerance.value, err_msg="value")
    doubles = [a.astype(np.complex128 if a.dtype.kind == "c" else np.float64) for a in arrays]

    def at(h: Any) -> Any:
        return scalar(*[(a + h * t)[()] for a, t in zip(doubles, moves, strict=True)])

    step = np.finfo(float).eps ** (1 / 3)
    difference = (at(step) - at(-step)) / (2 * step)
    scale = tolerance.atol + tolerance.rtol * max(abs(difference), size)
    noise = 1e2 * np.finfo(float).eps ** (2 / 3) * max(1.0, abs(float(value)))
    if not abs(ours - difference) <= scale + noise:
        raise AssertionError(f"{mode} derivative {ours!r} differs from central differences {difference!r}")
    if any(a.dtype != np.float64 for a in arrays):
        return ours, size
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            exact = complex(at(1e-30j)).imag / 1e-30
    except Exception:  # whatever a function raises that does not take complex numbers
        return ours, size
    # abs, max and comparisons are not analytic: there the complex step says something else
    if abs(exact - difference) <= scale + noise and not abs(ours - exact) <= 1e-9 * (abs(exact) + abs(ours)) + tolerance.atol:
        raise AssertionError(f"{mode} derivative {ours!r} differs from the complex step {exact!r}")
    return ours, size


def check_rule(f: Callable[..., Any], args: Sequence[Any], order: int = 1, modes: Sequence[str] = ("fwd", "rev")) -> None:
    """Check a derivative rule of one's own: `custom_vjp`, `custom_jvp`, `primitive`, or a function that uses them.

    Parameters
    ----------
    f : callable
        Returns a float array, a number, or a tree of them; all positional arguments are differentiated.
    args : sequence of float array or number
        Where to check.
    order : int
        Derivatives up to this order; 1 for rules that are themselves opaque.
    modes : sequence of {"fwd", "rev"}
        The modes that the rule is for.

    Raises
    ------
    AssertionError
        The rule is not linear in the seed, its tangents and adjoints are no transposes of each other, it writes into its
        arguments, or it differs from differences of f.

    Notes
    -----
    Linear means that seeds ``a s + b t`` give ``a`` times what s gives and ``b`` times what t gives, to 1e-9; transposes
    that ``<g, J t> = <J' g, t>`` for random g and t, likewise.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> square = adcore.primitive(lambda x: x * x, vjp=lambda g, y, x: (2 * x * g,))
    >>> adcore.testing.check_rule(square, [np.array([1.0, 3.0])])
    >>> wrong = adcore.primitive(lambda x: x * x, vjp=lambda g, y, x: (2 * x * g**2,))
    >>> adcore.testing.check_rule(wrong, [np.array([1.0, 3.0])])
    Traceback (most recent call last):
    AssertionError: the reverse rule is not linear in its seed
    """
    rng = np.random.default_rng(1)
    arrays = [np.array(a, dtype=np.float64) for a in args]
    before = [a.copy() for a in arrays]
    xs = [a if a.shape else float(a) for a in arrays]

    def like(tree: Any) -> Any:
        return trees.mapped(lambda x, path: rng.normal(size=np.shape(x))[()], tree)

    def combined(a: float, s: Any, b: float, t: Any) -> Any:
        other = iter([x for _, x in trees.leaves(t)])
        return trees.mapped(lambda x, path: a * x + b * next(other), s)

    def inner(s: Any, t: Any) -> float:
        return sum(float(np.sum(np.multiply(x, y))) for (_, x), (_, y) in zip(trees.leaves(s), trees.leaves(t), strict=True))

    def check_linear(apply: Callable[[Any], Any], s: Any, t: Any, what: str) -> None:
        whole, parts = apply(combined(2.0, s, -3.0, t)), combined(2.0, apply(s), -3.0, apply(t))
        for (_, x), (_, y) in zip(trees.leaves(whole), trees.leaves(parts), strict=True):
            if not np.allclose(x, y, rtol=1e-9, atol=1e-9 * (1.0 + float(np.max(np.abs(y), initial=0.0)))):
                raise AssertionError(f"the {what} rule is not linear in its seed")

    y = f(*xs)
    g, t = like(y), tuple(like(x) for x in xs)
    if "rev" in modes:
        _, pullback = vjp(f, *xs)
        check_linear(pullback, g, like(y), "reverse")
    if "fwd" in modes:
        check_linear(lambda t: jvp(f, xs, t)[1], t, tuple(like(x) for x in xs), "forward")
    if "rev" in modes and "fwd" in modes:
        left, right = inner(g, jvp(f, xs, t)[1]), inner(pullback(g), t)
        if not abs(left - right) <= 1e-9 * (1.0 + abs(left) + abs(right)):
            raise AssertionError(f"tangents and adjoints are no transposes of each other: {left!r}, {right!r}")
    for k, (a, b) in enumerate(zip(arrays, before, strict=True)):
        if not np.array_equal(a, b):
            raise AssertionError(f"argument {k} was written into")
    check_grads(f, args, order, modes)
