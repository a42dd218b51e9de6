"""Recipes: how to find a matrix of derivatives from a few directions, by its pattern and a colouring of it."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import errors
from ..locks import Lock
from ..passes.colouring import collected, columns, recovery, star, transposed
from ..passes.cut import cut
from ..passes.sparsity import sparsity
from ..sweep import engine
from ..tracer import array as traced
from .directions import cheaper, size, sweeps, swept_of
from .recording import Recording, Shapes, Swept

ENTRIES_MAX = 1 << 28  # of a pattern: more is not sparse
RECIPES_KEPT = 64
PARTS_MAX = 256  # arrays that entries are collected from


class Cut:
    """A recorded program whose gathers are inputs, and the rows of what they are gathered from."""

    def __init__(self, recording: Recording, program: Any) -> None:
        self.program, found = cut(program, list(recording.wrt))
        inputs, consts = recording.trace.inputs, recording.trace.consts
        base = dict(zip(recording.wrt, np.cumsum([0, *[size(inputs[k].shape) for k in recording.wrt]]), strict=False))
        self.gathers: list[tuple[int, Any, bool, tuple[int, ...]]] = []
        origin = [np.arange(size(inputs[k].shape), dtype=np.int32) + base[k] for k in recording.wrt]
        for k, const, shape in found:
            offsets = consts[const].reshape(-1)
            run = max(size(shape) // max(len(offsets), 1), 1)
            elements = offsets[:, None] + np.arange(run)
            origin.append((base[k] + elements).astype(np.int32).reshape(-1))
            rows = not size(inputs[k].shape) % run and not np.any(offsets % run)
            self.gathers.append((k, offsets // run if rows else elements, rows, shape))
        self.wrt = (*recording.wrt, *range(self.program.n_inputs - len(found), self.program.n_inputs))
        self.specs = [(inputs[k].shape, inputs[k].dtype) for k in recording.wrt] + [(s, inputs[k].dtype) for k, _, s in found]
        self.origin = np.concatenate(origin) if origin else np.zeros(0, np.int32)

    def swept(self, recording: Recording) -> Swept:
        """The program with what it takes: the arguments and what is gathered from them."""
        inputs = list(recording.trace.inputs)
        for k, index, rows, shape in self.gathers:
            base = np.reshape(recording.trace.inputs[k], (-1, max(size(shape) // max(index.size, 1), 1)) if rows else (-1,))
            inputs.append(np.reshape(base[index], shape))
        return Swept(recording, self.program, self.wrt, inputs)


class Recipe:
    """How to find a sparse matrix from a few directions: seeds, and where each entry stands in what they give.

    Attributes
    ----------
    shape : (rows, columns)
    indptr, indices : ndarray
        The pattern, CSR.
    forward, backward : ndarray or None
        The direction of the forward (reverse) sweeps that each column (row) is a part of, -1 for none.
    n_forward, n_backward : int
        How many directions.
    entries : (is_forward, element, direction)
        Which product each entry is read from, and which element of it: a row forward, a column in reverse.
    cut : Cut or None
        The program that is swept in place of the recorded one; its columns are those of gathered elements.
    target : ndarray or None
        The place of each entry in the pattern where several are added up.
    """

    def __init__(self, shape: tuple[int, int], indptr: Any, indices: Any) -> None:
        self.shape = shape
        self.indptr = indptr
        self.indices = indices
        self.forward: Any = None
        self.backward: Any = None
        self.n_forward = self.n_backward = 0
        self.entries: tuple[Any, Any, Any] = (np.zeros(0, bool), np.zeros(0, np.int64), np.zeros(0, np.int64))
        self.cut: Cut | None = None
        self.target: Any = None
        self._places: dict[tuple[int, int], Any] = {}

    def places(self, widths: tuple[int, int]) -> Any:
        """Where each entry stands in the outputs of all sweeps one after the other, for so many directions a sweep."""
        found = self._places.get(widths)
        if found is None:
            forward, element, direction = self.entries
            columns = self.shape[1] if self.cut is None else len(self.cut.origin)
            found = np.zeros(len(element), dtype=np.int64)
            start = 0
            for mine, length, count, width in (
                (forward, self.shape[0], self.n_forward, widths[0]),
                (~forward, columns, self.n_backward, widths[1]),
            ):
                first = direction[mine] // max(width, 1) * width
                found[mine] = start + length * first + element[mine] * np.minimum(width, count - first) + direction[mine] - first
                start += length * count
            self._places[widths] = found
        return found

    def run(self, recording: Recording, specs: Shapes) -> tuple[tuple[Any, ...], tuple[int, int]]:
        """The outputs of all sweeps one after the other, and how many directions were in each; specs are of the result."""
        swept = swept_of(recording) if self.cut is None else self.cut.swept(recording)
        inputs = [(swept.inputs[k].shape, swept.inputs[k].dtype) for k in swept.wrt]
        n = len(specs)
        forward, width = sweeps(swept, "push forward", self.forward, self.n_forward, inputs, n)
        backward, back = sweeps(swept, "pull back", self.backward, self.n_backward, specs, n)
        return tuple(y for sweep in (*forward, *backward) for y in sweep), (width, back)

    def data(self, parts: Sequence[Any], widths: tuple[int, int]) -> Any:
        """The entries from what `run` gave."""
        places = self.places(widths)
        if traced.find_trace(parts) is not None:
            flat = np.concatenate([np.reshape(y, (-1,)) for y in parts])
            found = flat[places]
            if self.target is None:
                return found
            total = traced.new_array(traced.find_trace(parts), (len(self.indices),), found.dtype, 0.0)
            np.add.at(total, self.target, found)
            return total
        flat_parts = [np.reshape(y, (-1,)) for y in parts]
        dtype = np.result_type(*flat_parts) if parts else np.dtype(np.float64)
        if len(parts) > PARTS_MAX or any(y.dtype != dtype for y in parts):
            flat_parts = [np.concatenate(flat_parts).astype(dtype, copy=False)]
        out = np.empty(len(places), dtype=dtype)
        collected(flat_parts, places, out)
        if self.target is not None:
            out = np.bincount(self.target, out, len(self.indices)).astype(dtype, copy=False)
        return out

    def dense(self, parts: Sequence[Any], widths: tuple[int, int], dtype: Any) -> Any:
        """The whole matrix."""
        outer = traced.find_trace(parts)
        out = np.zeros(self.shape, dtype) if outer is None else traced.new_array(outer, self.shape, dtype, 0.0)
        rows = np.repeat(np.arange(self.shape[0], dtype=np.int64), np.diff(self.indptr))
        out[rows, self.indices] = self.data(parts, widths)
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


class Colouring:
    """Directions for a pattern: columns share those of forward sweeps, or rows those of reverse ones; a few long rows
    (columns) go alone, the other way."""

    def __init__(self, shape: tuple[int, int], indptr: Any, indices: Any, direction: str, with_hubs: bool) -> None:
        self.shape, self.direction = shape, direction
        self.indptr, self.indices = indptr, indices
        by_column, rows, _ = transposed(indptr, indices, shape[1])
        first, second, n = (indptr, indices, shape[1]) if direction == "forward" else (by_column, rows, shape[0])
        self.alone = hubs(np.diff(first)) if with_hubs else np.zeros(len(first) - 1, dtype=np.uint8)
        self.colours, self.count = columns(first, second, n, self.alone)

    @property
    def directions(self) -> int:
        return int(self.count + self.alone.sum())

    def fill(self, recipe: Recipe) -> None:
        """Write seeds, and where the entries of the pattern are read, into a recipe."""
        row_of = np.repeat(np.arange(self.shape[0], dtype=np.int32), np.diff(self.indptr))
        single = np.where(self.alone, np.cumsum(self.alone, dtype=np.int32) - 1, -1)
        n_single = int(self.alone.sum())
        forward = self.direction == "forward"
        across, along = (self.indices, row_of) if forward else (row_of, self.indices)
        own = self.alone[along].astype(bool)
        recipe.entries = (
            ~own if forward else own,
            np.where(own, across, along).astype(np.int64),
            np.where(own, single[along], self.colours[across]).astype(np.int64),
        )
        ours, theirs = (self.colours, self.count), (single, n_single)
        (recipe.forward, recipe.n_forward), (recipe.backward, recipe.n_backward) = (ours, theirs) if forward else (theirs, ours)


def in_order(indptr: Any, indices: Any, n: int) -> tuple[Any, Any, Any]:
    """A pattern with the columns of each row in order and once, and where each entry went; sorted by two transpositions."""
    by_column, rows, first = transposed(indptr, indices, n)
    _, column, second = transposed(by_column, rows, len(indptr) - 1)
    row = np.repeat(np.arange(len(indptr) - 1, dtype=np.int64), np.diff(indptr))
    new = np.ones(len(column), dtype=bool)
    new[1:] = (column[1:] != column[:-1]) | (row[1:] != row[:-1])
    number = np.cumsum(new) - 1
    target = np.empty(len(column), dtype=np.int64)
    target[first[second]] = number
    at = np.zeros(len(indptr), dtype=np.int64)
    np.cumsum(np.bincount(row[new], minlength=len(indptr) - 1), out=at[1:])
    return at, column[new], target


def jacobian_recipe(recording: Recording, shape: tuple[int, int], indptr: Any, indices: Any, mode: str, found: Cut) -> Recipe:
    """The cheapest of: columns of the matrix, its rows, or rows of the cut program's matrix, where parameters that many
    rows share are columns of their own."""
    at, column = indptr, indices
    target: Any = None
    if found.gathers:
        # the pattern is that of the cut program: several of its columns may be one of the matrix
        at, column, target = in_order(indptr, found.origin[indices].astype(np.int32, copy=False), shape[1])
    recipe = Recipe(shape, at, column)
    candidates = [Colouring(shape, at, column, d, mode == "auto") for d in ("forward", "reverse") if mode in ("auto", d)]
    if found.gathers and mode != "forward":
        wide = (shape[0], len(found.origin))
        gathered = Colouring(wide, indptr, indices, "reverse", mode == "auto")
        if gathered.directions < min(c.directions for c in candidates if c.direction == "reverse"):
            candidates = [c for c in candidates if c.direction == "forward"] + [gathered]
    best = candidates[0]
    if len(candidates) > 1:
        best = candidates[cheaper(swept_of(recording), candidates[0].directions, candidates[1].directions) == "reverse"]
    best.fill(recipe)
    if best.indices is not column:
        recipe.cut = found
        if len(target) == len(column):  # each entry once: in the order of the matrix
            order = np.empty_like(target)
            order[target] = np.arange(len(target))
            forward, element, direction = recipe.entries
            recipe.entries = forward[order], element[order], direction[order]
        else:
            recipe.target = target
    return recipe


def hessian_recipe(n: int, indptr: Any, indices: Any) -> Recipe:
    """A star colouring of the symmetric pattern; an entry above the diagonal is found once for both places."""
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
    element, direction = recovery(indptr, indices, recipe.forward, recipe.n_forward)
    _, _, mirror = transposed(indptr, indices, n)
    below = np.flatnonzero(np.repeat(np.arange(n, dtype=np.int32), np.diff(indptr)) > indices)
    element[below], direction[below] = element[mirror[below]], direction[mirror[below]]
    recipe.entries = np.ones(len(indices), bool), element.astype(np.int64), direction.astype(np.int64)
    return recipe


_recipes: OrderedDict[Any, Recipe | None] = OrderedDict()
_lock = Lock()


def recipe_for(recording: Recording, mode: str, limit: int = ENTRIES_MAX) -> Recipe:
    """The recipe for what was recorded; kept for the next recording of the same program.

    Raises
    ------
    OverflowError
        The pattern has more than ``limit`` entries.
    """
    trace, wrt = recording.trace, recording.wrt
    program, _ = engine.derived(trace.tape, "value", wrt)
    digest = hashlib.blake2b(digest_size=16)
    for array in trace.consts:
        if array.dtype == np.int64:
            digest.update(array.tobytes())
    key = (program, wrt, mode, limit, digest.digest())
    with _lock:
        known = key in _recipes
        recipe = _recipes.get(key)
        if known:
            _recipes.move_to_end(key)
    if not known:
        try:
            recipe = new_recipe(recording, program, mode, limit)
        except OverflowError:
            recipe = None
        with _lock:
            _recipes[key] = recipe
            while len(_recipes) > RECIPES_KEPT:
                _recipes.popitem(last=False)
    if recipe is None:
        raise OverflowError("the pattern is not sparse")
    return recipe


def new_recipe(recording: Recording, program: Any, mode: str, limit: int) -> Recipe:
    trace, wrt = recording.trace, recording.wrt
    n = sum(size(trace.inputs[k].shape) for k in wrt)
    if mode == "hessian":
        return hessian_recipe(n, *sparsity(program, list(wrt), trace.consts, limit))
    found = Cut(recording, program)
    indptr, indices = sparsity(found.program, list(found.wrt), trace.consts, limit)
    return jacobian_recipe(recording, (len(indptr) - 1, n), indptr, indices, mode, found)


# -- dense matrices that are nearly empty ------------------------------------------------------------

FEWEST = 64  # directions from which on the pattern may pay
FEWER = 4  # and by how much their number must drop


def sparse_enough(recording: Recording, mode: str, rows: int, columns: int, directions: int) -> Recipe | None:
    """The recipe for a dense matrix, where it takes far fewer directions than the matrix has."""
    if directions < FEWEST:
        return None
    try:
        recipe = recipe_for(recording, mode, rows * columns // FEWER // 2)
    except (OverflowError, errors.AdcoreError):
        return None
    return recipe if FEWER * (recipe.n_forward + recipe.n_backward) <= directions else None
