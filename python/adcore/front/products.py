"""Products of arrays: dot, einsum and their relatives, as views, matmul and sums."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..tracer import array as traced
from .dispatch import METHODS, TABLE, UFUNCS, implements, unsupported
from .shapes import axis_of, finished


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
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return finished(a * b, out, "dot")
    if np.ndim(b) <= 2:
        return finished(traced.matmul(a, b), out, "dot")
    a, b = both(a, b)
    return finished(tensordot(a, b, (-1, -2)), out, "dot")


@implements(np.vdot)
def vdot(a: Any, b: Any, /) -> Any:
    a, b = both(a, b)
    return traced.matmul(a.reshape(-1), b.reshape(-1))


@implements(np.inner)
def inner(a: Any, b: Any, /) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
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


def diagonals(a: Any, letters: str) -> tuple[Any, str]:
    """Repeated letters of one operand: its diagonal."""
    for c in dict.fromkeys(letters):
        while letters.count(c) > 1:
            i = letters.index(c)
            j = letters.index(c, i + 1)
            k = np.arange(a.shape[i])
            order = [i, j, *[m for m in range(len(letters)) if m not in (i, j)]]
            a = a.transposed(tuple(order))[k, k]
            letters = c + "".join(letters[m] for m in range(len(letters)) if m not in (i, j))
    return a, letters


def summed(a: Any, letters: str, keep: str) -> tuple[Any, str]:
    """Sum over the letters nobody needs any more."""
    axes = tuple(k for k, c in enumerate(letters) if c not in keep)
    if not axes:
        return a, letters
    return traced.as_traced(traced.trace_of_value(a), traced.reduce("sum", a, axes, False)), "".join(c for c in letters if c in keep)


def ordered(a: Any, letters: str, target: str, sizes: dict[str, int]) -> Any:
    """Axes in the order of target; letters it lacks become axes of length 1."""
    a = a.transposed(tuple(letters.index(c) for c in target if c in letters))
    return a.reshape([sizes[c] if c in letters else 1 for c in target])


def pair(a: Any, la: str, b: Any, lb: str, keep: str, sizes: dict[str, int]) -> tuple[Any, str]:
    """One contraction of two operands."""
    a, la = summed(a, la, lb + keep)
    b, lb = summed(b, lb, la + keep)
    shared = [c for c in la if c in lb]
    contracted = [c for c in shared if c not in keep]
    batch = [c for c in shared if c in keep]
    rows = [c for c in la if c not in lb]
    columns = [c for c in lb if c not in la]
    if not contracted:
        out = "".join(c for c in dict.fromkeys(la + lb))
        return traced.asarray(ordered(a, la, out, sizes) * ordered(b, lb, out, sizes)), out
    if not rows and not columns:
        # elementwise product and a sum: no matrix in it
        out = "".join(batch + contracted)
        return summed(traced.asarray(ordered(a, la, out, sizes) * ordered(b, lb, out, sizes)), out, "".join(batch))
    n = math.prod(sizes[c] for c in contracted)
    left = a.transposed(tuple(la.index(c) for c in batch + rows + contracted))
    left = left.reshape([*(sizes[c] for c in batch), math.prod(sizes[c] for c in rows), n])
    right = b.transposed(tuple(lb.index(c) for c in batch + contracted + columns))
    right = right.reshape([*(sizes[c] for c in batch), n, math.prod(sizes[c] for c in columns)])
    product = traced.matmul(left, right)
    order = "".join(batch + rows + columns)
    return product.reshape([sizes[c] for c in order]), order


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
    inputs, output = parse_einsum(subscripts, [a.shape for a in arrays])
    sizes: dict[str, int] = {}
    for a, letters in zip(arrays, inputs, strict=True):
        if len(letters) != len(a.shape):
            raise ValueError(f"einstein sum subscripts string {subscripts!r} does not fit an operand of shape {a.shape}")
        for c, d in zip(letters, a.shape, strict=True):
            if sizes.get(c, d) not in (1, d) and d != 1:
                raise ValueError(f"einsum: {c} is {sizes[c]} and {d}")
            sizes[c] = d if sizes.get(c, 1) == 1 else sizes[c]
    terms = [diagonals(a, letters) for a, letters in zip(arrays, inputs, strict=True)]
    terms = [(traced.broadcast_to(a, tuple(sizes[c] for c in ls)), ls) for a, ls in terms]
    while len(terms) > 1:
        i, j = best_pair(terms, output, sizes) if len(terms) > 2 else (0, 1)
        (a, la), (b, lb) = terms[i], terms[j]
        rest = [t for k, t in enumerate(terms) if k not in (i, j)]
        keep = output + "".join(ls for _, ls in rest)
        terms = [*rest, pair(a, la, b, lb, keep, sizes)]
    a, letters = summed(*terms[0], output)
    return finished(scalar(a.transposed(tuple(letters.index(c) for c in output))), out, "einsum")


def best_pair(terms: list[tuple[Any, str]], output: str, sizes: dict[str, int]) -> tuple[int, int]:
    """The pair whose contraction costs least: greedy, as NumPy's einsum_path does it."""
    best, cheapest = (0, 1), math.inf
    for i in range(len(terms)):
        for j in range(i + 1, len(terms)):
            cost = math.prod(sizes[c] for c in set(terms[i][1] + terms[j][1]))
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
    result: Any = None
    while n:
        if n & 1:
            result = a if result is None else result @ a
        a, n = (a @ a if n > 1 else a), n >> 1
    return +result


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
