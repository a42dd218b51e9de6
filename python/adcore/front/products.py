"""Products of arrays: dot, einsum and their relatives, as views, matmul and sums."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from ..tracer import array as traced
from .dispatch import METHODS, TABLE, UFUNCS, implements, unsupported
from .shapes import axis_of, finished, rank


def both(a: Any, b: Any) -> tuple[Any, Any]:
    like = traced.find_trace((a, b))
    return traced.as_traced(like, a), traced.as_traced(like, b)


def scalar(x: Any) -> Any:
    return traced.scalar_of(x) if x.shape == () else x


@implements(np.matmul, np.linalg.matmul)
def matmul(a: Any, b: Any, axes: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    if axes is not None or axis is not None or keepdims:
        raise unsupported("np.matmul", "axes=, axis= or keepdims=", "move the axes with np.moveaxis")
    return traced.matmul(a, b)


def vecdot(a: Any, b: Any, /, *, axis: int = -1, keepdims: bool = False) -> Any:
    a, b = both(a, b)
    return (a * b).sum(axis, keepdims=keepdims)


def matvec(a: Any, b: Any) -> Any:
    return traced.matmul(a, b[..., None])[..., 0]


def vecmat(a: Any, b: Any) -> Any:
    return traced.matmul(a[..., None, :], b)[..., 0, :]


UFUNCS.update(matmul=matmul, vecdot=vecdot, matvec=matvec, vecmat=vecmat)
TABLE[np.linalg.vecdot] = vecdot


@implements(np.dot)
def dot(a: Any, b: Any, out: Any = None) -> Any:
    ranks = (rank(a), rank(b))
    if 0 in ranks:
        return finished(a * b, out, "dot")
    if ranks[1] <= 2:
        return finished(traced.matmul(a, b), out, "dot")
    a, b = both(a, b)
    return finished(tensordot(a, b, (-1, -2)), out, "dot")


@implements(np.vdot)
def vdot(a: Any, b: Any, /) -> Any:
    a, b = both(a, b)
    return traced.matmul(a.reshape(-1), b.reshape(-1))


@implements(np.inner)
def inner(a: Any, b: Any, /) -> Any:
    if 0 in (rank(a), rank(b)):
        return a * b
    return tensordot(a, b, (-1, -1))


@implements(np.outer)
def outer(a: Any, b: Any, out: Any = None) -> Any:
    a, b = both(a, b)
    return finished(a.reshape(-1, 1) * b.reshape(1, -1), out, "outer")


TABLE[np.linalg.outer] = lambda x1, x2, /: outer(x1, x2)


@implements(np.kron)
def kron(a: Any, b: Any) -> Any:
    a, b = both(a, b)
    n = max(len(a.shape), len(b.shape))
    a = a.reshape((1,) * (n - len(a.shape)) + a.shape)
    b = b.reshape((1,) * (n - len(b.shape)) + b.shape)
    pairs = a.reshape([x for d in a.shape for x in (d, 1)]) * b.reshape([x for d in b.shape for x in (1, d)])
    return pairs.reshape([p * q for p, q in zip(a.shape, b.shape, strict=True)])


@implements(np.tensordot, np.linalg.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = both(a, b)
    left: Any
    right: Any
    if isinstance(axes, (int, np.integer)):
        left = list(range(len(a.shape) - axes, len(a.shape)))
        right = list(range(axes))
    else:
        left, right = ([x] if isinstance(x, (int, np.integer)) else list(x) for x in axes)
        left, right = [axis_of(k, len(a.shape)) for k in left], [axis_of(k, len(b.shape)) for k in right]
    if [a.shape[k] for k in left] != [b.shape[k] for k in right]:
        raise ValueError("shape-mismatch for sum")
    keep_a = [k for k in range(len(a.shape)) if k not in left]
    keep_b = [k for k in range(len(b.shape)) if k not in right]
    n = math.prod(a.shape[k] for k in left)
    shape = [a.shape[k] for k in keep_a] + [b.shape[k] for k in keep_b]
    product = traced.matmul(a.transposed((*keep_a, *left)).reshape(-1, n), b.transposed((*right, *keep_b)).reshape(n, -1))
    return scalar(product.reshape(shape))


@implements(np.cross)
def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    from .shapes import moveaxis, stack

    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = both(a, b)
    a, b = moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)
    if {a.shape[-1], b.shape[-1]} - {2, 3}:
        raise ValueError("Both input arrays must be (arrays of) 3-dimensional vectors")
    if a.shape[-1] == b.shape[-1] == 2:
        return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    a, b = (x if x.shape[-1] == 3 else np.concatenate([x, np.zeros((*x.shape[:-1], 1))], -1) for x in (a, b))
    a1, a2, a3 = (a[..., k] for k in range(3))
    b1, b2, b3 = (b[..., k] for k in range(3))
    return stack([a2 * b3 - a3 * b2, a3 * b1 - a1 * b3, a1 * b2 - a2 * b1], axisc)


TABLE[np.linalg.cross] = lambda x1, x2, /, *, axis=-1: cross(x1, x2, axis=axis)


# -- einsum ------------------------------------------------------------------------------------


def parse_einsum(subscripts: str, shapes: list[tuple[int, ...]]) -> tuple[list[str], str]:
    """Input and output letters, an ellipsis replaced by letters of its own."""
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    inputs = left.split(",")
    free = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in text]
    widths = [len(s) - len(i.replace("...", "")) if "..." in i else 0 for s, i in zip(shapes, inputs, strict=True)]
    dots = "".join(free[: max(widths, default=0)])
    inputs = [i.replace("...", dots[len(dots) - w :]) for i, w in zip(inputs, widths, strict=True)]
    if arrow:
        output = right.replace("...", dots)
    else:
        letters = "".join(inputs)
        output = dots + "".join(sorted(c for c in set(letters) if letters.count(c) == 1 and c not in dots))
    return inputs, output


def diagonals(a: Any, letters: str) -> Any:
    """Repeated letters of one operand: its diagonal, a view whose axis comes first (`apart`)."""
    for c in dict.fromkeys(letters):
        while letters.count(c) > 1:
            i = letters.index(c)
            j = letters.index(c, i + 1)
            if a.shape[i] != a.shape[j]:
                raise ValueError(f"einsum: {c} is {a.shape[i]} and {a.shape[j]}")
            rest, steps = [m for m in range(len(letters)) if m not in (i, j)], a.element_steps
            a = a.stepped((a.shape[i], *[a.shape[m] for m in rest]), (steps[i] + steps[j], *[steps[m] for m in rest]), 0)
            letters = c + "".join(letters[m] for m in rest)
    return a


def apart(letters: str) -> str:
    """The letters of an operand after `diagonals`."""
    for c in dict.fromkeys(letters):
        if letters.count(c) > 1:
            letters = c + letters.replace(c, "")
    return letters


def summed(a: Any, axes: tuple[int, ...]) -> Any:
    return traced.asarray(traced.reduce("sum", a, axes, False)) if axes else a


def arranged(a: Any, order: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """Axes in another order, then another shape."""
    if order != tuple(range(len(order))):
        a = a.transposed(order)
    return a if a.shape == shape else a.shape_to(shape)


class Contraction(NamedTuple):
    """One contraction of two operands, as steps."""

    sums: tuple[tuple[int, ...], tuple[int, ...]]  # axes of each that nobody else needs
    orders: tuple[tuple[int, ...], tuple[int, ...]]  # then its axes in this order,
    shapes: tuple[tuple[int, ...], tuple[int, ...]]  # and in this shape
    is_matrix: bool  # then their product, as matrices or element by element
    after: tuple[int, ...]  # axes of the product to be summed
    shape: tuple[int, ...]  # the result's
    letters: str

    def of(self, a: Any, b: Any) -> Any:
        a = arranged(summed(a, self.sums[0]), self.orders[0], self.shapes[0])
        b = arranged(summed(b, self.sums[1]), self.orders[1], self.shapes[1])
        product = summed(traced.matmul(a, b) if self.is_matrix else traced.asarray(a * b), self.after)
        return product if product.shape == self.shape else product.shape_to(self.shape)


def contraction(la: str, lb: str, keep: str, sizes: dict[str, int]) -> Contraction:
    """How two operands with these letters are contracted, when the rest needs those in ``keep``."""
    sums = (axes_outside(la, lb + keep), axes_outside(lb, la + keep))
    la, lb = ("".join(c for k, c in enumerate(letters) if k not in axes) for letters, axes in zip((la, lb), sums, strict=True))
    contracted = "".join(c for c in la if c in lb and c not in keep)
    batch = "".join(c for c in la if c in lb and c in keep)
    rows = "".join(c for c in la if c not in lb)
    columns = "".join(c for c in lb if c not in la)
    n = size_of(contracted, sizes)
    if contracted and (rows or columns):
        lead = sizes_of(batch, sizes)
        orders = (axes_in(la, batch + rows + contracted), axes_in(lb, batch + contracted + columns))
        shapes = ((*lead, size_of(rows, sizes), n), (*lead, n, size_of(columns, sizes)))
        letters = batch + rows + columns
        return Contraction(sums, orders, shapes, True, (), sizes_of(letters, sizes), letters)
    # no matrix in it: an outer product, or an elementwise one and a sum
    out = batch + contracted if contracted else "".join(dict.fromkeys(la + lb))
    letters = batch if contracted else out
    orders = (axes_in(la, out), axes_in(lb, out))
    shapes = (sizes_of(out, sizes, la), sizes_of(out, sizes, lb))
    return Contraction(sums, orders, shapes, False, axes_outside(out, letters), sizes_of(letters, sizes), letters)


def axes_outside(letters: str, keep: str) -> tuple[int, ...]:
    return tuple(k for k, c in enumerate(letters) if c not in keep)


def axes_in(letters: str, target: str) -> tuple[int, ...]:
    """The axes of an operand in the order of target, which may have more."""
    return tuple(letters.index(c) for c in target if c in letters)


def size_of(letters: str, sizes: dict[str, int]) -> int:
    return math.prod(sizes[c] for c in letters)


def sizes_of(letters: str, sizes: dict[str, int], own: str | None = None) -> tuple[int, ...]:
    """Lengths by letter; 1 for those that an operand has not got."""
    return tuple(sizes[c] if own is None or c in own else 1 for c in letters)


def einsum_operands(operands: Any) -> tuple[str, list[Any]]:
    """Subscripts and arrays; subscripts given as lists of integers become letters."""
    if isinstance(operands[0], str):
        return operands[0], list(operands[1:])

    def letters(part: Any) -> str:
        return "".join("..." if k is Ellipsis else chr(ord("a") + k) if k < 26 else chr(ord("A") + k - 26) for k in part)

    n = len(operands) // 2
    text = ",".join(letters(operands[2 * k + 1]) for k in range(n))
    return (text + "->" + letters(operands[-1]) if len(operands) % 2 else text), [operands[2 * k] for k in range(n)]


@implements(np.einsum_path)
def einsum_path(*operands: Any, optimize: Any = "greedy", einsum_call: bool = False) -> Any:
    subscripts, arrays = einsum_operands(operands)
    return np.einsum_path(subscripts, *[np.broadcast_to(0.0, np.shape(a)) for a in arrays], optimize=optimize)


@implements(np.einsum)
def einsum(*operands: Any, out: Any = None, optimize: Any = False, **kwargs: Any) -> Any:
    subscripts, arrays = einsum_operands(operands)
    like = traced.find_trace(arrays)
    arrays = [traced.as_traced(like, a) for a in arrays]
    plan = einsum_plan(subscripts, tuple([a.shape for a in arrays]))
    terms = [entered(a, *entry) for a, entry in zip(arrays, plan.entries, strict=True)]
    for i, j, step in plan.steps:
        b, a = terms.pop(j), terms.pop(i)
        terms.append(step.of(a, b))
    a = summed(terms[0], plan.sums)
    return finished(scalar(arranged(a, plan.order, tuple([a.shape[k] for k in plan.order]))), out, "einsum")


def entered(a: Any, letters: str, shape: tuple[int, ...]) -> Any:
    """An operand without repeated letters, stretched to the lengths that its letters have elsewhere."""
    if len(set(letters)) < len(letters):
        a = diagonals(a, letters)
    return a if a.shape == shape else traced.broadcast_to(a, shape)


class EinsumPlan(NamedTuple):
    """An einsum as steps."""

    entries: tuple[tuple[str, tuple[int, ...]], ...]  # letters of each operand, and its shape without repeated ones
    steps: tuple[tuple[int, int, Contraction], ...]  # which two terms are contracted; the result comes last
    sums: tuple[int, ...]  # axes of the last term to be summed
    order: tuple[int, ...]  # and the order of the others


@functools.lru_cache(maxsize=1024)
def einsum_plan(subscripts: str, shapes: tuple[tuple[int, ...], ...]) -> EinsumPlan:
    inputs, output = parse_einsum(subscripts, list(shapes))
    sizes: dict[str, int] = {}
    for shape, letters in zip(shapes, inputs, strict=True):
        if len(letters) != len(shape):
            raise ValueError(f"einstein sum subscripts string {subscripts!r} does not fit an operand of shape {shape}")
        for c, d in zip(letters, shape, strict=True):
            if sizes.get(c, d) not in (1, d) and d != 1:
                raise ValueError(f"einsum: {c} is {sizes[c]} and {d}")
            sizes[c] = d if sizes.get(c, 1) == 1 else sizes[c]
    terms = [apart(letters) for letters in inputs]
    entries = tuple((letters, sizes_of(own, sizes)) for letters, own in zip(inputs, terms, strict=True))
    steps = []
    while len(terms) > 1:
        i, j = best_pair(terms, sizes) if len(terms) > 2 else (0, 1)
        lb, la = terms.pop(j), terms.pop(i)
        steps.append((i, j, contraction(la, lb, output + "".join(terms), sizes)))
        terms.append(steps[-1][2].letters)
    sums = axes_outside(terms[0], output)
    rest = "".join(c for c in terms[0] if c in output)
    return EinsumPlan(entries, tuple(steps), sums, axes_in(rest, output))


def best_pair(terms: list[str], sizes: dict[str, int]) -> tuple[int, int]:
    """The pair whose contraction costs least: greedy, as NumPy's einsum_path does it."""
    best, cheapest = (0, 1), math.inf
    for i in range(len(terms)):
        for j in range(i + 1, len(terms)):
            cost = math.prod(sizes[c] for c in set(terms[i] + terms[j]))
            if cost < cheapest:
                best, cheapest = (i, j), cost
    return best


@implements(np.linalg.multi_dot, any_kind=True)
def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    """The product in the order that costs least: chain multiplication by dynamic programming."""
    n = len(arrays)
    if n < 2:
        raise ValueError("Expecting at least two arrays.")
    dims = [1 if np.ndim(arrays[0]) == 1 else arrays[0].shape[0], *[np.shape(a)[0] for a in arrays[1:]]]
    dims.append(1 if np.ndim(arrays[-1]) == 1 else arrays[-1].shape[1])
    cost, split = np.zeros((n, n)), np.zeros((n, n), dtype=int)
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            tries = [cost[i, k] + cost[k + 1, j] + dims[i] * dims[k + 1] * dims[j + 1] for k in range(i, j)]
            split[i, j] = i + int(np.argmin(tries))
            cost[i, j] = min(tries)

    def product(i: int, j: int) -> Any:
        return arrays[i] if i == j else product(i, split[i, j]) @ product(split[i, j] + 1, j)

    return finished(product(0, n - 1), out, "multi_dot")


@implements(np.linalg.matrix_power, any_kind=True)
def matrix_power(a: Any, n: int) -> Any:
    if n < 0:
        return matrix_power(np.linalg.inv(a), -n)
    if n == 0:
        return np.zeros_like(a) + np.eye(a.shape[-1])
    if n == 1:
        return a
    result: Any = None
    while n:
        if n & 1:
            result = a if result is None else result @ a
        a, n = (a @ a if n > 1 else a), n >> 1
    return result


@implements(np.linalg.norm, any_kind=True)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Vector norms, and the Frobenius norm of matrices; the subgradient at the origin is 0."""
    from .reductions import max, min, root_of_squares, sum

    ew, given = traced.elementwise, ord
    if axis is None and ord is None:
        x, axis = (x.reshape(-1), 0) if not keepdims else (x, tuple(range(len(x.shape))))
        ord = 2
    elif axis is None:
        axis = tuple(range(len(x.shape)))
    pair_of_axes = isinstance(axis, (tuple, list)) and len(axis) == 2
    if pair_of_axes and ord not in (None, "fro") and not (ord == 2 and given is None):
        return matrix_norm(x, ord, axis, keepdims)
    if x.dtype.kind == "c":
        x = abs(x)
    if ord in (None, 2, "fro"):
        return root_of_squares(sum(ew("square", x), axis, keepdims=keepdims))
    if ord == 1:
        return sum(abs(x), axis, keepdims=keepdims)
    if ord == np.inf:
        return max(abs(x), axis, keepdims=keepdims)
    if ord == -np.inf:
        return min(abs(x), axis, keepdims=keepdims)
    if ord == 0:
        return np.linalg.norm(traced.value_of(x), 0, axis, keepdims)
    return sum(abs(x) ** ord, axis, keepdims=keepdims) ** (1.0 / ord)


def matrix_norm(x: Any, ord: Any, axis: Any, keepdims: bool) -> Any:
    """The norms of matrices that stand on two axes, other than Frobenius'."""
    from .linalg import svdvals

    at = tuple(k % len(x.shape) for k in axis)
    rest = [k for k in range(len(x.shape)) if k not in at]
    x = np.transpose(x, (*rest, *at))
    if ord in (1, -1, np.inf, -np.inf):
        sums = np.sum(abs(x), axis=-2 if abs(ord) == 1 else -1)
        out = np.max(sums, axis=-1) if ord > 0 else np.min(sums, axis=-1)
    elif ord in (2, -2, "nuc"):
        s = svdvals(x)
        out = np.sum(s, axis=-1) if ord == "nuc" else s[..., 0 if ord == 2 else -1]
    else:
        raise ValueError(f"{traced.where_text()}Invalid norm order for matrices.")
    return np.expand_dims(out, tuple(sorted(at))) if keepdims else out


@implements(np.linalg.matrix_norm, any_kind=True)
def matrix_norm_of(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    return norm(x, ord, (-2, -1), keepdims)


@implements(np.linalg.vector_norm, any_kind=True)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    if axis is None or isinstance(axis, tuple):
        axes = tuple(range(x.ndim)) if axis is None else tuple(k % x.ndim for k in axis)
        rest = [k for k in range(x.ndim) if k not in axes]
        out = norm(np.reshape(np.transpose(x, (*rest, *axes)), (*[x.shape[k] for k in rest], -1)), ord, -1)
        return np.expand_dims(out, axes) if keepdims else out
    return norm(x, ord, axis, keepdims)


METHODS["dot"] = dot
