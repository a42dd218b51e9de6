"""Sparse Jacobians and Hessians: pattern, colouring, a few compressed sweeps, scipy.sparse."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import errors, trees
from ..passes.colouring import columns, recovery, star, transposed
from ..passes.sparsity import sparsity
from ..sweep import engine
from ..tracer import array as traced
from .compiled import Compiled
from .gradient import grad, name_of
from .jacobian import unit_seeds, width_for
from .products import Outputs
from .recording import Recording, checked_argnums

FORMATS = ("csr", "csc", "coo")
ENTRIES_MAX = 1 << 28  # of a pattern: more is not sparse
PATTERNS_KEPT = 64


class Recipe:
    """How to find a sparse matrix from a few directions: seeds, and where each entry stands in what they give.

    Attributes
    ----------
    shape : (rows, columns)
    indptr, indices : ndarray
        The pattern, CSR.
    forward, backward : ndarray or None
        The colour of each column (row) that a direction of the forward (reverse) sweep stands for, -1 for none.
    """

    def __init__(self, shape: tuple[int, int], indptr: Any, indices: Any) -> None:
        self.shape = shape
        self.indptr = indptr
        self.indices = indices
        self.forward: Any = None
        self.backward: Any = None
        self.n_forward = self.n_backward = 0
        self.from_forward: Any = slice(0)  # entries that the forward directions give, and where
        self.from_backward: Any = slice(0)
        self.forward_at: Any = None
        self.backward_at: Any = None

    def data(self, forward: Any, backward: Any) -> Any:
        """The entries from the products ``J S`` (rows x directions) and ``J' T``."""
        given = forward if forward is not None else backward
        out = np.empty(len(self.indices), dtype=np.float64 if given is None else given.dtype)
        if forward is not None:
            out[self.from_forward] = forward[self.forward_at]
        if backward is not None:
            out[self.from_backward] = backward[self.backward_at]
        return out


def hubs(lengths: Any) -> Any:
    """Which rows are so long that a direction of their own for each is cheaper: minimises h + (the longest but h)."""
    order = np.argsort(-lengths, kind="stable")
    cost = np.arange(len(lengths)) + lengths[order]
    best = int(np.argmin(cost)) if len(cost) else 0
    out = np.zeros(len(lengths), dtype=np.uint8)
    if len(cost) and 2 * cost[best] < cost[0]:
        out[order[:best]] = 1
    return out


def jacobian_recipe(shape: tuple[int, int], indptr: Any, indices: Any, mode: str) -> Recipe:
    """Columns share directions of forward sweeps, rows of reverse ones, whichever are fewer; a few long rows (columns) go alone."""
    recipe = Recipe(shape, indptr, indices)
    row_of = np.repeat(np.arange(shape[0], dtype=np.int32), np.diff(indptr))
    by_column, rows, _ = transposed(indptr, indices, shape[1])
    best = None
    for direction in ("forward", "reverse") if mode == "auto" else (mode,):
        first, second, n = (indptr, indices, shape[1]) if direction == "forward" else (by_column, rows, shape[0])
        alone = hubs(np.diff(first)) if mode == "auto" else np.zeros(len(first) - 1, dtype=np.uint8)
        colours, count = columns(first, second, n, alone)
        total = count + int(alone.sum())
        if best is None or total < best[0]:
            best = (total, direction, colours, count, alone)
    assert best is not None
    _, direction, colours, count, alone = best
    single = np.where(alone, np.cumsum(alone) - 1, -1).astype(np.int32)
    across, along = (indices, row_of) if direction == "forward" else (row_of, indices)
    is_alone = alone[along].astype(bool)
    shared, own = np.flatnonzero(~is_alone), np.flatnonzero(is_alone)
    at_shared, at_own = (along[shared], colours[across[shared]]), (across[own], single[along[own]])
    n_single = int(alone.sum())
    if direction == "forward":
        recipe.forward, recipe.n_forward, recipe.from_forward, recipe.forward_at = colours, count, shared, at_shared
        recipe.backward, recipe.n_backward, recipe.from_backward, recipe.backward_at = single, n_single, own, at_own
    else:
        recipe.backward, recipe.n_backward, recipe.from_backward, recipe.backward_at = colours, count, shared, at_shared
        recipe.forward, recipe.n_forward, recipe.from_forward, recipe.forward_at = single, n_single, own, at_own
    return recipe


def hessian_recipe(n: int, indptr: Any, indices: Any) -> Recipe:
    """A star colouring of the symmetric pattern."""
    by_column, rows, _ = transposed(indptr, indices, n)
    if not (np.array_equal(by_column, indptr) and np.array_equal(rows, indices)):
        import scipy.sparse

        ones = np.ones(len(indices), dtype=np.int8)
        pattern = scipy.sparse.csr_array((ones, indices, indptr), shape=(n, n)) + scipy.sparse.csr_array(
            (ones, rows, by_column), shape=(n, n)
        )
        pattern.sort_indices()
        indptr, indices = pattern.indptr.astype(np.int64), pattern.indices.astype(np.int32)
    recipe = Recipe((n, n), indptr, indices)
    recipe.forward, recipe.n_forward = star(indptr, indices, hubs(np.diff(indptr)))
    recipe.forward_at = recovery(indptr, indices, recipe.forward, recipe.n_forward)
    recipe.from_forward = slice(None)
    return recipe


_recipes: OrderedDict[Any, Recipe] = OrderedDict()
_lock = threading.Lock()


def recipe_for(recording: Recording, mode: str, limit: int = ENTRIES_MAX) -> Recipe:
    """The recipe for what was recorded; kept for the next recording of the same program."""
    trace, wrt = recording.trace, recording.wrt
    program, _ = engine.derived(trace.tape, "value", wrt)
    digest = hashlib.blake2b(digest_size=16)
    for array in trace.consts:
        if array.dtype == np.int64:
            digest.update(array.tobytes())
    key = (program, wrt, mode, digest.digest())
    with _lock:
        found = _recipes.get(key)
        if found is not None:
            _recipes.move_to_end(key)
            return found
    indptr, indices = sparsity(program, list(wrt), trace.consts, limit)
    n = sum(int(np.prod(trace.inputs[k].shape, dtype=np.int64)) for k in wrt)
    shape = (len(indptr) - 1, n)
    recipe = hessian_recipe(n, indptr, indices) if mode == "hessian" else jacobian_recipe(shape, indptr, indices, mode)
    with _lock:
        _recipes[key] = recipe
        while len(_recipes) > PATTERNS_KEPT:
            _recipes.popitem(last=False)
    return recipe


def compressed(recording: Recording, mode: str, colours: Any, count: int, specs: list[tuple[tuple[int, ...], Any]], skip: int) -> list[Any]:
    """What the directions of a colouring give, a few directions a sweep: for each sweep the arrays of its outputs."""
    out = []
    width = width_for(recording, count)
    for first in range(0, count, width):
        last = min(first + width, count)
        seeds, at = [], 0
        for shape, dtype in specs:
            n = int(np.prod(shape, dtype=np.int64))
            seeds.append(unit_seeds(colours[at : at + n], first, last, dtype).reshape((*shape, last - first)))
            at += n
        out.append(recording.run(mode, seeds, last - first)[skip:])
    return out


def side_by_side(sweeps: Sequence[Sequence[Any]]) -> Any:
    """The outputs of all sweeps as one matrix, a column for each direction."""
    parts = [np.concatenate([np.reshape(x, (-1, np.shape(x)[-1])) for x in outputs]) for outputs in sweeps]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


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

    def matrix(self, recipe: Recipe, forward: Any, backward: Any) -> Any:
        import scipy.sparse

        data = recipe.data(side_by_side(forward) if forward else None, side_by_side(backward) if backward else None)
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
        inputs = [recording.trace.inputs[k] for k in recording.wrt]
        n = len(outputs.shapes)
        forward = compressed(recording, "push forward", recipe.forward, recipe.n_forward, [(x.shape, x.dtype) for x in inputs], n)
        specs = list(zip(outputs.shapes, outputs.dtypes, strict=True))
        backward = compressed(recording, "pull back", recipe.backward, recipe.n_backward, specs, n)
    finally:
        recording.trace.close()
    return recipe, tuple(map(tuple, forward)), tuple(map(tuple, backward))


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
    symmetric to the last bit off the diagonal where an entry is found once for both places.

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
