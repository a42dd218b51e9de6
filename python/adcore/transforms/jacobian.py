"""Dense Jacobians and Hessians."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import errors, trees
from . import leaves
from .directions import cheaper, size, sweeps, swept_of
from .gradient import grad
from .products import ComplexSlot, Outputs, Slot
from .recipes import sparse_enough
from .recording import Recording, checked_argnums

MODES = ("auto", "forward", "reverse")
Argnums = int | Sequence[int]


def blocks(recording: Recording, outputs: Outputs, mode: str) -> list[list[Any]]:
    """The derivative of each output by each differentiated leaf, shape ``y.shape + x.shape``."""
    xs = [(recording.trace.inputs[k].shape, recording.trace.inputs[k].dtype) for k in recording.wrt]
    ys = list(zip(outputs.shapes, outputs.dtypes, strict=True))
    of_x, of_y = ([size(shape) for shape, _ in specs] for specs in (xs, ys))
    columns, rows = sum(of_x), sum(of_y)
    direction = mode
    if mode == "auto":
        direction = cheaper(swept_of(recording), columns, rows)
    elif mode == "hessian":
        direction = "forward"
    recipe = None
    if mode in ("auto", "hessian"):
        recipe = sparse_enough(recording, mode, rows, columns, columns if direction == "forward" else rows)
    if recipe is not None:
        parts, widths = recipe.run(recording, ys)
        whole = recipe.dense(parts, widths, np.result_type(*(dtype for _, dtype in ys)))
        by_output = [whole[first:last] for first, last in spans(of_y)]
    elif direction == "forward":
        swept, _ = sweeps(swept_of(recording), "push forward", np.arange(columns), columns, xs, len(ys))
        by_output = [joined([sweep[i] for sweep in swept], shape) for i, (shape, _) in enumerate(ys)]
    else:
        swept, _ = sweeps(swept_of(recording), "pull back", np.arange(rows), rows, ys, len(ys))
        by_input = [np.moveaxis(joined([sweep[j] for sweep in swept], shape), -1, 0) for j, (shape, _) in enumerate(xs)]
        return [
            [np.reshape(j[first:last], y[0] + x[0]) for j, x in zip(by_input, xs, strict=True)]
            for (first, last), y in zip(spans(of_y), ys, strict=True)
        ]
    found = [
        [np.reshape(j[..., first:last], y[0] + x[0]) for (first, last), x in zip(spans(of_x), xs, strict=True)]
        for j, y in zip(by_output, ys, strict=True)
    ]
    # a recipe finds an entry and its mirror image as one
    return symmetric(found, [shape for shape, _ in xs]) if mode == "hessian" and recipe is None else found


def spans(sizes: list[int]) -> list[tuple[int, int]]:
    """Where each part of a whole begins and ends."""
    ends = [int(k) for k in np.cumsum([0, *sizes])]
    return list(itertools.pairwise(ends))


def symmetric(found: list[list[Any]], like: list[Any]) -> list[list[Any]]:
    """Blocks of a Hessian, each the mean of itself and its mirror image; entries apart by rounding are equal then."""

    def block(i: int, j: int) -> Any:
        n, m = len(like[i]), len(like[j])
        return 0.5 * (found[i][j] + np.transpose(found[j][i], (*range(m, m + n), *range(m))))

    return [[block(i, j) for j in range(len(like))] for i in range(len(like))]


def joined(parts: list[Any], shape: tuple[int, ...]) -> Any:
    """Parts along their last axis, or an empty array with no directions."""
    if not parts:
        return np.zeros((*shape, 0))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)


def complexified(j: Any, rows: int, columns: int, complex_y: bool, complex_x: bool, holomorphic: bool, what: str) -> Any:
    """A Jacobian of pairs as the complex one; rows and columns count the dimensions of y and x."""
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


def jacobian(f: Callable[..., Any], argnums: Argnums = 0, mode: str = "auto", holomorphic: bool = False) -> Callable[..., Any]:
    """The function that gives the Jacobian of f, shape ``y.shape + x.shape``.

    Parameters
    ----------
    f : callable
        Returns an array, a number, or a tree of them.
    argnums : int or tuple of int
        Which positional arguments to differentiate: float or complex arrays, numbers, or trees of them.
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
        Takes f's arguments. For trees, a tree like the result whose leaves are trees like the argument:
        ``j["y"]["x"]`` is the derivative of ``y`` by ``x``.

    Raises
    ------
    ArgumentError
        An argument is not made of floats, or f does not return arrays or numbers.

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


def dense(f: Callable[..., Any], argnums: Argnums, mode: str, holomorphic: bool) -> Callable[..., Any]:
    """`jacobian`; with the mode "hessian", f is a gradient and its Jacobian symmetric."""
    what = getattr(f, "__name__", "f")

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def jacobian_of_f(*args: Any, **kwargs: Any) -> Any:
        recording = Recording(f, args, kwargs, checked_argnums(argnums, len(args)))
        try:
            outputs = Outputs(f, recording)
            given = [x for template in recording.templates for _, x in trees.leaves(template)]
            found = blocks(recording, outputs, mode) if outputs.shapes else []
            rows = iter(found)

            def by_arguments(y: Any, path: str) -> Any:
                """The derivatives of a leaf of the result, as trees like the arguments."""
                complex_y = y is ComplexSlot
                row = iter(next(rows) if complex_y or y is Slot else [None] * len(given))

                def leaf(x: Any, path: str) -> Any:
                    j, complex_x = next(row), leaves.is_complex(x)
                    if j is None:
                        return np.zeros(np.shape(y) + np.shape(x), x.dtype if complex_x else float)
                    columns = np.ndim(x)
                    return complexified(j, len(j.shape) - columns - complex_x - complex_y, columns, complex_y, complex_x, holomorphic, what)

                made = [trees.mapped(leaf, template) for template in recording.templates]
                return made[0] if isinstance(argnums, (int, np.integer)) else tuple(made)

            return trees.mapped(by_arguments, outputs.template)
        finally:
            recording.trace.close()

    return jacobian_of_f


def hessian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The function that gives the Hessian of a scalar function, shape ``x.shape + x.shape``.

    Parameters
    ----------
    f : callable
        Returns a scalar.
    argnums : int or tuple of int
        Which positional arguments to differentiate: float arrays, floats, or trees of them.

    Returns
    -------
    callable
        Takes f's arguments; the result is symmetric to the last bit. For a tree it is a tree of trees: ``h["a"]["b"]`` has the
        derivatives by ``x["a"]`` and ``x["b"]``.

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
        for k in checked_argnums(argnums, len(args)):
            if any(leaves.is_complex(x) for _, x in trees.leaves(args[k])):
                raise errors.ArgumentError(
                    "hessian by a complex argument: the second derivatives of a real function of it are no complex matrix. Give it real "
                    "and imaginary parts as real arguments, or use adcore.hvp"
                )
        return columns(*args, **kwargs)

    return hessian_of_f
