"""Dense Jacobians and Hessians."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import errors, trees
from . import leaves
from .directions import cheaper, size, sweeps, swept_of
from .gradient import grad
from .products import ComplexSlot, Outputs
from .recipes import sparse_enough
from .recording import Recording, checked_argnums

MODES = ("auto", "forward", "reverse")


def swept(recording: Recording, mode: str, shape: tuple[int, ...], dtype: Any, out: int) -> list[Any]:
    """Output ``out`` of a derived program for every unit direction of a shape, a few directions a sweep."""
    n = size(shape)
    found, _ = sweeps(swept_of(recording), mode, np.arange(n), n, [(shape, dtype)], out)
    return [outputs[0] for outputs in found]


def matrix(recording: Recording, outputs: Outputs, mode: str) -> Any:
    """The derivative of the one output by the one argument, shape ``y.shape + x.shape``."""
    x = recording.trace.inputs[recording.wrt[0]]
    (shape,), (dtype,) = outputs.shapes, outputs.dtypes
    columns, rows = size(x.shape), size(shape)
    direction = mode
    if mode == "auto":
        direction = cheaper(swept_of(recording), columns, rows)
    elif mode == "hessian":
        direction = "forward"
    recipe = None
    if mode in ("auto", "hessian"):
        recipe = sparse_enough(recording, mode, rows, columns, columns if direction == "forward" else rows)
    if recipe is not None:
        parts, widths = recipe.run(recording, [(shape, dtype)])
        return np.reshape(recipe.dense(parts, widths, dtype), shape + x.shape)
    if direction == "forward":
        j = joined(swept(recording, "push forward", x.shape, x.dtype, 1), shape).reshape(shape + x.shape)
    else:
        j = np.moveaxis(joined(swept(recording, "pull back", shape, dtype, 1), x.shape), -1, 0).reshape(shape + x.shape)
    if mode == "hessian":
        n = len(shape)
        return 0.5 * (j + np.transpose(j, (*range(n, 2 * n), *range(n))))
    return j


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
        Sweeps forward, one direction for each element of x, or back, one for each element of y. "auto" takes the mode
        that costs less: their numbers, and where these are alike, the operations of a sweep of each. Where the matrix is nearly
        empty it finds the entries that are not by the pattern, as `sparse_jacobian` does.
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
    Up to 64 directions go through one sweep, side by side; fewer when their values would take more than the setting
    ``memory`` of `adcore.config`.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> adcore.jacobian(lambda x: x**2)(np.array([1.0, 3.0]))
    array([[2., 0.],
           [0., 6.]])
    """
    if mode not in MODES:
        raise errors.ArgumentError(f"mode={mode!r}: give one of {', '.join(MODES)}")
    return dense(f, argnums, mode, holomorphic)


def dense(f: Callable[..., Any], argnums: int, mode: str, holomorphic: bool) -> Callable[..., Any]:
    """`jacobian`; with the mode "hessian", f is a gradient and its Jacobian symmetric."""

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def jacobian_of_f(*args: Any, **kwargs: Any) -> Any:
        (number,) = checked_argnums(argnums, len(args))
        if trees.is_branch(args[number]):
            raise errors.ArgumentError("jacobian takes one array or float to differentiate, not a tree")
        recording = Recording(f, args, kwargs, (number,))
        try:
            outputs = Outputs(f, recording)
            if outputs.template is not None and trees.is_branch(outputs.template):
                raise errors.ArgumentError(f"jacobian needs one array or number, not {type(outputs.template).__name__}")
            given = args[number]
            complex_x = leaves.is_complex(given)
            if not outputs.shapes:
                return np.zeros(np.shape(outputs.template) + np.shape(given), given.dtype if complex_x else float)
            (shape,) = outputs.shapes
            j = matrix(recording, outputs, mode)
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
    Forward over reverse: one tangent of the gradient for each element of x, up to 64 side by side in a sweep. A nearly
    empty one takes a few tangents by the pattern, as `sparse_hessian` does.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> adcore.hessian(lambda x: x[0] ** 2 * x[1])(np.array([3.0, 2.0]))
    array([[4., 6.],
           [6., 0.]])
    """
    columns = dense(grad(f, argnums), argnums, "hessian", False)

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def hessian_of_f(*args: Any, **kwargs: Any) -> Any:
        if leaves.is_complex(args[argnums]):
            raise errors.ArgumentError(
                "hessian by a complex argument: the second derivatives of a real function of it are no complex matrix. Give it real and "
                "imaginary parts as real arguments, or use adcore.hvp"
            )
        return columns(*args, **kwargs)

    return hessian_of_f
