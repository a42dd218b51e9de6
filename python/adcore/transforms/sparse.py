"""Sparse Jacobians and Hessians: pattern, colouring, a few compressed sweeps, scipy.sparse."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import errors, trees
from ..tracer import array as traced
from .compiled import Compiled
from .gradient import grad, name_of
from .products import Outputs
from .recipes import Recipe, recipe_for
from .recording import Recording, checked_argnums

FORMATS = ("csr", "csc", "coo")


class Sparse:
    """A sparse Jacobian or Hessian as a function. See `SparseJacobian`."""

    def __init__(self, f: Callable[..., Any], argnums: int | Sequence[int], format: str, mode: str) -> None:
        if not callable(f):
            raise errors.ArgumentError(f"a sparse derivative takes a function, not {type(f).__name__}")
        if format not in FORMATS:
            raise errors.ArgumentError(f"format={format!r}: give one of {', '.join(FORMATS)}")
        functools.update_wrapper(self, f, assigned=("__name__", "__doc__"), updated=())
        self.f = f
        self.argnums = argnums
        self.format = format
        self.mode = mode
        g = grad(f, argnums) if mode == "hessian" else f

        # a function, not a method: a replay would look for changes in self
        def swept(*args: Any, **kwargs: Any) -> Any:
            return sweeps_of(g, args, kwargs, argnums, mode)

        self._swept = swept
        self._compiled = Compiled(swept)

    def __repr__(self) -> str:
        kind = "Hessian" if self.mode == "hessian" else "Jacobian"
        return f"<sparse {kind} of {name_of(self.f)}>"

    @property
    def recordings(self) -> int:
        """How often f itself has run."""
        return self._compiled.recordings

    def recipe(self, *args: Any, **kwargs: Any) -> Recipe:
        """Pattern and colouring at these arguments."""
        found: Recipe = self._compiled(*args, **kwargs)[0]
        return found

    def once(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """The matrix, by recording f now."""
        self.refuse_traced(args)
        return self.matrix(*self._swept(*args, **kwargs))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.refuse_traced(args)
        return self.matrix(*self._compiled(*args, **kwargs))

    def refuse_traced(self, args: Sequence[Any]) -> None:
        if traced.find_trace(args) is not None:
            raise errors.ArgumentError(f"{self!r} is a scipy.sparse matrix and cannot itself be differentiated: use adcore.jacobian")

    def matrix(self, recipe: Recipe, parts: Sequence[Any], widths: tuple[int, int]) -> Any:
        import scipy.sparse

        data = recipe.data(parts, widths)
        # SciPy wants the smaller index type where it fits
        indptr = recipe.indptr.astype(np.int32) if len(data) < 2**31 else recipe.indptr
        made = scipy.sparse.csr_array((data, recipe.indices.copy(), indptr), shape=recipe.shape)
        made.has_sorted_indices = made.has_canonical_format = True
        return made if self.format == "csr" else made.asformat(self.format)


def as_row(trace: Any, x: Any, path: str) -> Any:
    """A leaf of the result as a traced float: what does not depend on the arguments has rows of zeros."""
    if traced.is_traced(x) and x.dtype.kind != "f":
        x = x.concrete()
    if isinstance(x, (bool, int, float, np.generic)) or (isinstance(x, np.ndarray) and x.dtype.kind in "biuf"):
        return traced.as_traced(trace, np.asarray(x, dtype=np.float64))
    return x


def sweeps_of(g: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], argnums: int | Sequence[int], mode: str) -> Any:
    """The recipe for the Jacobian of g, and what its directions give."""
    recording = Recording(g, args, kwargs, checked_argnums(argnums, len(args)))
    try:
        recording.result = trees.mapped(functools.partial(as_row, recording.trace), recording.result)
        outputs = Outputs(g, recording)
        recipe = recipe_for(recording, mode)
        parts, widths = recipe.run(recording, list(zip(outputs.shapes, outputs.dtypes, strict=True)))
    finally:
        recording.trace.close()
    return recipe, parts, widths


class SparseJacobian(Sparse):
    """The Jacobian of f as a function that gives a scipy.sparse matrix; recorded, analysed and coloured once.

    Parameters
    ----------
    f : callable
        Returns an array, a number, or a tree of them; the rows are their elements in order.
    argnums : int or tuple of int
        The arguments to differentiate: arrays, floats, or trees of them; the columns are their elements in order.
    format : {"csr", "csc", "coo"}
    mode : {"auto", "forward", "reverse"}
        Which sweeps; "auto" takes the ones that need fewer directions, and sweeps a few dense rows or columns the other way.

    Notes
    -----
    Calls are replayed as by `compile`, under its guards; another way through f is recorded and analysed anew.
    Where f gathers its parameters (``cameras[seen_by]``), the gathered rows may stand for variables of their own, whose
    derivatives are put, or added up, where the parameters are: two reverse directions are enough for any number of
    observations that share cameras and points.

    References
    ----------
    A. H. Gebremedhin, F. Manne, A. Pothen, What color is your Jacobian? Graph coloring for computing
    derivatives, *SIAM Review* 47(4), 2005.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> jacobian = adcore.SparseJacobian(lambda x: x[1:] * x[:-1])
    >>> jacobian(np.array([1.0, 2.0, 3.0])).toarray()
    array([[2., 1., 0.],
           [0., 3., 2.]])
    """

    def __init__(self, f: Callable[..., Any], argnums: int | Sequence[int] = 0, format: str = "csr", mode: str = "auto") -> None:
        if mode not in ("auto", "forward", "reverse"):
            raise errors.ArgumentError(f"mode={mode!r}: give one of auto, forward, reverse")
        super().__init__(f, argnums, format, mode)


class SparseHessian(Sparse):
    """The Hessian of a scalar function as a function that gives a scipy.sparse matrix; recorded, analysed and coloured once.

    Parameters
    ----------
    f : callable
        Returns a scalar.
    argnums, format
        As for `SparseJacobian`.

    Notes
    -----
    The pattern is that of the gradient's Jacobian. Forward over reverse, one direction for each colour of a star colouring;
    symmetric to the last bit, since an entry is found once for both its places.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> hessian = adcore.SparseHessian(lambda x: np.sum(x[1:] ** 2 * x[:-1]))
    >>> hessian(np.array([1.0, 2.0, 3.0])).toarray()
    array([[0., 4., 0.],
           [4., 2., 6.],
           [0., 6., 4.]])
    """

    def __init__(self, f: Callable[..., Any], argnums: int | Sequence[int] = 0, format: str = "csr") -> None:
        super().__init__(f, argnums, format, "hessian")


def sparse_jacobian(f: Callable[..., Any], x: Any, *args: Any, argnums: int | Sequence[int] = 0, format: str = "csr", **kwargs: Any) -> Any:
    """The Jacobian of ``f(x, *args)`` as a scipy.sparse array.

    Parameters
    ----------
    f : callable
        Returns an array, a number, or a tree of them.
    x, *args, **kwargs
        Where to differentiate.
    argnums, format
        As for `SparseJacobian`, which is faster for many points.

    Returns
    -------
    scipy.sparse.csr_array, csc_array or coo_array
        A row for each element of the result, a column for each element of the arguments, trees leaf after leaf.

    Raises
    ------
    ArgumentError
        An argument is not made of floats.
    OverflowError
        The pattern has more than 2**28 entries.

    Notes
    -----
    The pattern is structural: an entry is stored where a derivative may differ from zero at some point. It comes from the
    recorded program, not from probing.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> adcore.sparse_jacobian(np.diff, np.array([1.0, 4.0, 9.0])).toarray()
    array([[-1.,  1.,  0.],
           [ 0., -1.,  1.]])
    """
    return SparseJacobian(f, argnums, format).once((x, *args), kwargs)


def sparse_hessian(f: Callable[..., Any], x: Any, *args: Any, argnums: int | Sequence[int] = 0, format: str = "csr", **kwargs: Any) -> Any:
    """The Hessian of the scalar ``f(x, *args)`` as a scipy.sparse array.

    Parameters
    ----------
    f : callable
        Returns a scalar.
    x, *args, **kwargs
        Where to differentiate.
    argnums, format
        As for `SparseHessian`, which is faster for many points.

    Returns
    -------
    scipy.sparse.csr_array, csc_array or coo_array

    Examples
    --------
    >>> import numpy as np, adcore
    >>> adcore.sparse_hessian(lambda x: np.sum(x**3), np.array([1.0, 2.0])).toarray()
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    return SparseHessian(f, argnums, format).once((x, *args), kwargs)
