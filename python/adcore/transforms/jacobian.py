"""Dense Jacobians and Hessians."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import errors, trees
from . import leaves
from .gradient import grad
from .products import ComplexSlot, Outputs
from .recording import Recording, checked_argnums

MODES = ("auto", "forward", "reverse")
# directions that go through one sweep: more would push its intermediate values out of the caches
WIDTH = 64
MEMORY = 1 << 30  # bytes that the values of one sweep may take, if one direction alone takes less


def width_for(recording: Recording, n: int) -> int:
    """How many of n directions go through one sweep: few enough for the memory that each value takes with all of them."""
    largest = max([1, *[int(np.prod(x.shape, dtype=np.int64)) for x in recording.trace.inputs]])
    return max(1, min(n, WIDTH, MEMORY // (8 * largest * 16)))


def unit_seeds(positions: np.ndarray, first: int, last: int, dtype: Any) -> np.ndarray:
    """A row for each element, 1 under the direction that stands at its position if that is one of ``first..last``."""
    seeds = np.zeros((len(positions), last - first), dtype=dtype)
    mine = np.flatnonzero((positions >= first) & (positions < last))
    seeds[mine, positions[mine] - first] = 1.0
    return seeds


def swept(recording: Recording, mode: str, shape: tuple[int, ...], dtype: Any, out: int) -> list[Any]:
    """Output ``out`` of a derived program for every unit direction of a shape, a few directions a sweep."""
    n = int(np.prod(shape, dtype=np.int64))
    width = width_for(recording, n)
    parts = []
    for first in range(0, n, width):
        last = min(first + width, n)
        seeds = unit_seeds(np.arange(n), first, last, dtype).reshape((*shape, last - first))
        parts.append(recording.run(mode, [seeds], last - first)[out])
    return parts


def joined(parts: list[Any], shape: tuple[int, ...]) -> Any:
    """Parts along their last axis, or an empty array with no directions."""
    if not parts:
        return np.zeros((*shape, 0))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)


def complexified(j: Any, rows: int, columns: int, outputs: Outputs, complex_x: bool, holomorphic: bool, what: str) -> Any:
    """A Jacobian of pairs as the complex one; rows and columns count the dimensions of y and x."""
    complex_y = bool(outputs.slots) and outputs.slots[0] is ComplexSlot
    if holomorphic and not (complex_x and complex_y):
        raise errors.ArgumentError(f"holomorphic=True is for complex arguments and results; {what} has a real one")
    if complex_x and complex_y:
        if not holomorphic:
            raise errors.ArgumentError(
                f"{what} takes complex values to complex values: say jacobian(f, holomorphic=True) if it is holomorphic; if not, it has "
                "no complex Jacobian: give it real and imaginary parts as real arguments"
            )
        every = (slice(None),)
        (ua, ub), (va, vb) = ([j[every * rows + (p,) + every * columns + (q,)] for q in (0, 1)] for p in (0, 1))
        return leaves.holomorphic(ua, ub, va, vb, what)
    if complex_x:
        return leaves.adjoint(j)
    return leaves.from_pairs(j, rows) if complex_y else j


def jacobian(f: Callable[..., Any], argnums: int = 0, mode: str = "auto", holomorphic: bool = False) -> Callable[..., Any]:
    """The function that gives the Jacobian of f, shape ``y.shape + x.shape``.

    Parameters
    ----------
    f : callable
        Returns one array or number.
    argnums : int
        Which positional argument to differentiate: one float or complex array or number.
    mode : {"auto", "forward", "reverse"}
        Sweeps forward, one direction for each element of x, or back, one for each element of y; "auto" takes the
        fewer, forward where they are equal.
    holomorphic : bool
        f is a holomorphic function of a complex x with complex values, which is checked. A real f of a complex x
        gives one gradient for each element of y, in the convention of `gradient`.

    Returns
    -------
    callable
        Takes f's arguments.

    Raises
    ------
    ArgumentError
        x is a tree, or f does not return one array or number.

    Notes
    -----
    Up to 64 directions go through one sweep, side by side.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> adcore.jacobian(lambda x: x**2)(np.array([1.0, 3.0]))
    array([[2., 0.],
           [0., 6.]])
    """
    if mode not in MODES:
        raise errors.ArgumentError(f"mode={mode!r}: give one of {', '.join(MODES)}")

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def jacobian_of_f(*args: Any, **kwargs: Any) -> Any:
        (number,) = checked_argnums(argnums, len(args))
        if trees.is_branch(args[number]):
            raise errors.ArgumentError("jacobian takes one array or float to differentiate, not a tree")
        recording = Recording(f, args, kwargs, (number,))
        try:
            outputs = Outputs(f, recording)
            x = recording.trace.inputs[recording.wrt[0]]
            if outputs.template is not None and trees.is_branch(outputs.template):
                raise errors.ArgumentError(f"jacobian needs one array or number, not {type(outputs.template).__name__}")
            given = args[number]
            complex_x = leaves.is_complex(given)
            if not outputs.shapes:
                return np.zeros(np.shape(outputs.template) + np.shape(given), given.dtype if complex_x else float)
            (shape,) = outputs.shapes
            columns, rows = (int(np.prod(s, dtype=np.int64)) for s in (x.shape, shape))
            if mode == "forward" or (mode == "auto" and columns <= rows):
                parts = joined(swept(recording, "push forward", x.shape, x.dtype, 1), shape)
                j = parts.reshape(shape + x.shape)
            else:
                parts = joined(swept(recording, "pull back", shape, outputs.dtypes[0], 1), x.shape)
                j = np.moveaxis(parts, -1, 0).reshape(shape + x.shape)
            rows_of = len(shape) - (outputs.slots[0] is ComplexSlot)
            return complexified(j, rows_of, np.ndim(given), outputs, complex_x, holomorphic, getattr(f, "__name__", "f"))
        finally:
            recording.trace.close()

    return jacobian_of_f


def hessian(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """The function that gives the Hessian of a scalar function, shape ``x.shape + x.shape``.

    Parameters
    ----------
    f : callable
        Returns a scalar.
    argnums : int
        Which positional argument to differentiate: one float array or float.

    Returns
    -------
    callable
        Takes f's arguments; the result is symmetric to the last bit.

    Notes
    -----
    Forward over reverse: one tangent of the gradient for each element of x, up to 64 side by side in a sweep.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> adcore.hessian(lambda x: x[0] ** 2 * x[1])(np.array([3.0, 2.0]))
    array([[4., 6.],
           [6., 0.]])
    """
    columns = jacobian(grad(f, argnums), argnums, "forward")

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def hessian_of_f(*args: Any, **kwargs: Any) -> Any:
        if leaves.is_complex(args[argnums]):
            raise errors.ArgumentError(
                "hessian by a complex argument: the second derivatives of a real function of it are no complex matrix. Give it real and "
                "imaginary parts as real arguments, or use adcore.hvp"
            )
        h = columns(*args, **kwargs)
        n = len(h.shape) // 2
        return 0.5 * (h + np.transpose(h, (*range(n, 2 * n), *range(n))))

    return hessian_of_f
