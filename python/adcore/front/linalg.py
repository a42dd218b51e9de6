"""numpy.linalg and scipy.linalg on traced arrays.

The derivative rules are those of M. Giles, *Collected matrix derivative results for forward and reverse mode
algorithmic differentiation*, 2008, and of J. Townsend, *Differentiating the singular value decomposition*, 2016,
written for batches in plain NumPy. Symmetric arguments (cholesky, eigh) count as symmetric: their adjoints are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import errors
from ..tracer import array as traced
from .calls import Family, apply
from .dispatch import implements, refuse

# -- helpers of the rules ---------------------------------------------------------------------


def mT(x: Any) -> Any:
    """Matrices transposed."""
    return np.swapaxes(x, -1, -2)


def diagonal_of(x: Any) -> Any:
    """The diagonals of a batch of matrices, as vectors."""
    n = min(x.shape[-2:])
    steps = contiguous(x.shape)
    return x.strided((*x.shape[:-2], n), (*steps[:-2], steps[-2] + 1))


def contiguous(shape: tuple[int, ...]) -> list[int]:
    steps: list[int] = []
    step = 1
    for d in reversed(shape):
        steps.insert(0, step)
        step *= d
    return steps


def matrices_of(v: Any) -> Any:
    """Diagonal matrices with these diagonals."""
    return v[..., None] * np.eye(v.shape[-1])


def half_lower(x: Any) -> Any:
    """The lower triangle with half the diagonal."""
    n = x.shape[-1]
    return x * (np.tril(np.ones((n, n))) - 0.5 * np.eye(n))


def symmetric(x: Any) -> Any:
    return 0.5 * (x + mT(x))


def minus(a: Any, b: Any) -> Any:
    """a - b, where None is zero; None when both are."""
    if b is None:
        return a
    return -b if a is None else a - b


def summed_to(x: Any, shape: tuple[int, ...]) -> Any:
    """Summed over the batch axes along which an argument of this shape was stretched."""
    lead = len(x.shape) - len(shape)
    if lead:
        x = np.sum(x, axis=tuple(range(lead)))
    stretched = tuple(k for k, (d, e) in enumerate(zip(x.shape, shape, strict=True)) if d != e)
    return np.sum(x, axis=stretched, keepdims=True) if stretched else x


def batch_of(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    return np.broadcast_shapes(*[s[:-2] for s in shapes])


def loop(f: Callable[..., Any], *arrays: Any) -> Any:
    """f for each matrix of a batch."""
    batch = batch_of(*[a.shape for a in arrays])
    if not batch:
        return f(*arrays)
    flat = [np.broadcast_to(a, batch + a.shape[-2:]).reshape(-1, *a.shape[-2:]) for a in arrays]
    found = [f(*each) for each in zip(*flat, strict=True)]
    if not found:
        return np.zeros(batch + f(*[np.eye(*a.shape[-2:]) for a in arrays]).shape)
    return np.array(found).reshape(batch + found[0].shape)


def square(name: str, a: Any) -> Any:
    """The argument as a traced array of square matrices."""
    a = matrix(name, a)
    if a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError(f"{traced.where_text()}{name}: last 2 dimensions of the array must be square")
    return a


def matrix(name: str, a: Any) -> Any:
    a = traced.asarray(a) if traced.find_trace(a) is not None else a
    if np.ndim(a) < 2:
        raise np.linalg.LinAlgError(
            f"{traced.where_text()}{name}: {np.ndim(a)}-dimensional array given. It must be at least two-dimensional"
        )
    return a


# -- solve -----------------------------------------------------------------------------------------


def solve_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any, b: Any) -> Any:
    s = solve_matrices(mT(a), g)
    return (
        summed_to(-(s @ mT(y)), a.shape) if wanted[0] else None,
        summed_to(s, b.shape) if wanted[1] else None,
    )


def solve_jvp(params: Any, tangents: Any, y: Any, a: Any, b: Any) -> Any:
    da, db = tangents
    return solve_matrices(a, minus(db, None if da is None else da @ y))


SOLVE = Family("np.linalg.solve", lambda params, a, b: np.linalg.solve(a, b), solve_vjp, solve_jvp)


def solve_matrices(a: Any, b: Any) -> Any:
    return apply(SOLVE, (), (*batch_of(a.shape, b.shape), *b.shape[-2:]), a, b)


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    a = square("solve", a)
    b = traced.asarray(b) if traced.find_trace(b) is not None else np.asarray(b, dtype=float)
    if b.shape[-1 if b.ndim == 1 else -2] != a.shape[-1]:
        raise ValueError(f"{traced.where_text()}solve: mismatch in core dimensions: {a.shape} and {b.shape}")
    return solve_matrices(a, b[:, None])[..., 0] if b.ndim == 1 else solve_matrices(a, b)


@implements(np.linalg.inv)
def inv(a: Any) -> Any:
    a = square("inv", a)
    return solve_matrices(a, np.eye(a.shape[-1]))


@implements(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    if axes is not None:
        rest = [k for k in range(np.ndim(a)) if k not in axes]
        a = np.transpose(a, (*rest, *axes))
    shape = a.shape[np.ndim(b) :]
    n = math.prod(shape)
    return np.reshape(solve(np.reshape(a, (n, n)), np.reshape(b, (n,))), shape)


@implements(np.linalg.tensorinv)
def tensorinv(a: Any, ind: int = 2) -> Any:
    n = math.prod(a.shape[ind:])
    return np.reshape(inv(np.reshape(a, (n, n))), a.shape[ind:] + a.shape[:ind])


def evaluate_triangular(params: Any, a: Any, b: Any) -> Any:
    import scipy.linalg

    lower, unit = params
    return loop(lambda x, y: scipy.linalg.solve_triangular(x, y, lower=lower, unit_diagonal=unit, check_finite=False), a, b)


def triangular_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any, b: Any) -> Any:
    lower, unit = params
    s = solve_triangle(mT(a), g, not lower, unit)
    ga = None
    if wanted[0]:
        n = a.shape[-1]
        part = np.tril(np.ones((n, n)), -1 if unit else 0)
        ga = summed_to(-(s @ mT(y)) * (part if lower else part.T), a.shape)
    return ga, summed_to(s, b.shape) if wanted[1] else None


def triangular_jvp(params: Any, tangents: Any, y: Any, a: Any, b: Any) -> Any:
    lower, unit = params
    da, db = tangents
    if da is not None:
        n = a.shape[-1]
        part = np.tril(np.ones((n, n)), -1 if unit else 0)
        da = (da * (part if lower else part.T)) @ y
    return solve_triangle(a, minus(db, da), lower, unit)


TRIANGULAR = Family("scipy.linalg.solve_triangular", evaluate_triangular, triangular_vjp, triangular_jvp)


def solve_triangle(a: Any, b: Any, lower: bool, unit: bool = False) -> Any:
    return apply(TRIANGULAR, (bool(lower), bool(unit)), (*batch_of(a.shape, b.shape), *b.shape[-2:]), a, b)


# -- factorisations ------------------------------------------------------------------------------------


def adjoint_of_factor(g: Any, y: Any) -> Any:
    """One matrix of ``evaluate_cholesky_adjoint``: a triangular product and LAPACK's sygst, 2 n^3 operations.

    sygst computes inv(M) A inv(M'); M is the factor transposed and read from its last row and column to the first.
    """
    import scipy.linalg

    (trmm,) = scipy.linalg.get_blas_funcs(("trmm",), (g, y))
    (sygst,) = scipy.linalg.get_lapack_funcs(("sygst",), (g, y))
    if not y.size:
        return np.zeros(y.shape, y.dtype)
    product = trmm(0.5, y.T, g.T, side=1, lower=0, trans_a=1)  # (L' G / 2)', column-major
    flipped = np.asfortranarray(product[::-1, ::-1])
    found, _ = sygst(flipped, np.ascontiguousarray(y[::-1, ::-1]).T, itype=1, lower=1, overwrite_a=1)
    low = np.tril(found)
    out = low + low.T
    out.ravel()[:: len(y) + 1] *= 0.5
    return out[::-1, ::-1]


def cholesky_adjoint_vjp(params: Any, wanted: Any, h: Any, s: Any, g: Any, y: Any) -> Any:
    h = symmetric(h)
    c = solve_triangle(y, h, True)  # L^-1 H
    w = half_lower(mT(solve_triangle(y, mT(c), True)))
    return y @ w if wanted[0] else None, g @ mT(w) - 2.0 * (s @ mT(c)) if wanted[1] else None


def cholesky_adjoint_jvp(params: Any, tangents: Any, s: Any, g: Any, y: Any) -> Any:
    dg, dy = tangents
    q = minus(None if dg is None else mT(y) @ dg, None if dy is None else -(mT(dy) @ g))
    p = solve_triangle(mT(y), mT(solve_triangle(mT(y), mT(half_lower(q)), False)), False)
    if dy is None:
        return symmetric(p)
    return symmetric(p) - 2.0 * symmetric(solve_triangle(mT(y), mT(dy) @ s, False))


# sym(L^-T half_lower(L' G) L^-1): the adjoint of a matrix from that of its Cholesky factor
CHOLESKY_ADJOINT = Family(
    "the adjoint of np.linalg.cholesky",
    lambda params, g, y: loop(adjoint_of_factor, g, y),
    cholesky_adjoint_vjp,
    cholesky_adjoint_jvp,
)


def cholesky_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    return (apply(CHOLESKY_ADJOINT, (), a.shape, g, y),)


def cholesky_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    s = solve_triangle(y, symmetric(tangents[0]), True)
    return y @ half_lower(mT(solve_triangle(y, mT(s), True)))


CHOLESKY = Family("np.linalg.cholesky", lambda params, a: np.linalg.cholesky(a), cholesky_vjp, cholesky_jvp)


@implements(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    a = square("cholesky", a)
    if upper:
        return mT(apply(CHOLESKY, (), a.shape, mT(a)))
    return apply(CHOLESKY, (), a.shape, a)


def parts(y: Any, *shapes: tuple[int, ...]) -> list[Any]:
    """The arrays that a call has laid one after the other in a batch of vectors."""
    batch, at, out = y.shape[:-1], 0, []
    for shape in shapes:
        n = math.prod(shape)
        out.append(np.reshape(y[..., at : at + n], (*batch, *shape)))
        at += n
    return out


def joined(*arrays: Any, dims: tuple[int, ...]) -> Any:
    """Arrays laid one after the other; ``dims`` says how many of the last axes belong to each."""
    flat = [
        np.reshape(a, (*a.shape[: len(a.shape) - d], math.prod(a.shape[len(a.shape) - d :]))) for a, d in zip(arrays, dims, strict=True)
    ]
    return np.concatenate(flat, axis=-1)


def qr_shapes(a: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    return a.shape[-2:], (a.shape[-1], a.shape[-1])


def qr_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    q, r = parts(y, *qr_shapes(a))
    gq, gr = parts(g, *qr_shapes(a))
    n = a.shape[-1]
    m = r @ mT(gr) - mT(gq) @ q
    lower = m * np.tril(np.ones((n, n)))
    copied = lower + mT(m * np.tril(np.ones((n, n)), -1))
    return (mT(solve_triangle(r, mT(gq + q @ copied), False)),)


def qr_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    q, r = parts(y, *qr_shapes(a))
    n = a.shape[-1]
    c = mT(solve_triangle(mT(r), mT(tangents[0]), True))
    x = mT(q) @ c
    below = x * np.tril(np.ones((n, n)), -1)
    turn = below - mT(below)
    return joined(c - q @ (x - turn), (x - turn) @ r, dims=(2, 2))


def evaluate_qr(params: Any, a: Any) -> Any:
    q, r = np.linalg.qr(a)
    return joined(q, r, dims=(2, 2))


QR = Family("np.linalg.qr", evaluate_qr, qr_vjp, qr_jvp)


@implements(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    a = matrix("qr", a)
    m, n = a.shape[-2:]
    if mode not in ("reduced", "r", "complete") or (mode == "complete" and m > n):
        raise refuse(f"np.linalg.qr with mode={mode!r}")
    k = min(m, n)
    head = a[..., :, :k]
    y = apply(QR, (), (*a.shape[:-2], m * k + k * k), head)
    q, r = parts(y, (m, k), (k, k))
    if n > k:
        r = np.concatenate([r, mT(q) @ a[..., :, k:]], axis=-1)
    return r if mode == "r" else np.linalg._linalg.QRResult(q, r)


def degenerate(params: Any, m: Any, d: Any, size: Any) -> Any:
    """m / d where d is not zero. Where it is, nothing may depend on the vectors, so ``size`` must be 0: 0/0 has a limit
    that this point does not show, anything else depends on a choice of basis. Forward, where nobody knows yet
    what will be used, the answer is NaN."""
    same = d == 0
    wanted = same & ((size != 0) | (np.swapaxes(size, -1, -2) != 0)) & ~np.eye(m.shape[-1], dtype=bool)
    if params[1] == "forward":
        return np.where(wanted, np.nan, np.where(same, 0.0, m / np.where(same, 1.0, d)))
    if np.any(wanted):
        raise errors.NotDifferentiable(
            f"{params[0]}: eigenvectors or singular vectors of equal values are not differentiable, and what you compute "
            "uses them. Use a function of the values alone (eigvalsh, svdvals), or move the point a little."
        )
    return np.where(same, 0.0, m / np.where(same, 1.0, d))


def degenerate_parts(m: Any, d: Any) -> tuple[Any, Any]:
    same = d == 0
    return same, np.where(same, 1.0, d)


def degenerate_vjp(params: Any, wanted: Any, g: Any, y: Any, m: Any, d: Any, size: Any) -> Any:
    same, safe = degenerate_parts(m, d)
    part = np.where(same, 0.0, g / safe)
    return part, -part * y, np.zeros(size.shape)


def degenerate_jvp(params: Any, tangents: Any, y: Any, m: Any, d: Any, size: Any) -> Any:
    same, safe = degenerate_parts(m, d)
    dm, dd, _ = tangents
    if dm is None and dd is None:
        return np.zeros(m.shape)
    top = minus(dm, None if dd is None else dd * y)
    return np.where(same, 0.0, top / safe)


DEGENERATE = Family("a quotient of gaps", degenerate, degenerate_vjp, degenerate_jvp)


def over_gaps(name: str, m: Any, gaps: Any, size: Any, mode: str = "reverse") -> Any:
    """An antisymmetric matrix over the differences of the values; ``size`` is what it was made from."""
    return apply(DEGENERATE, (name, mode), m.shape, m, gaps, size)


def evaluate_eigh(params: Any, a: Any) -> Any:
    w, v = np.linalg.eigh(a, UPLO=params[0])
    return joined(w, v, dims=(1, 2))


def eigh_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    n = a.shape[-1]
    w, v = parts(y, (n,), (n, n))
    gw, gv = parts(g, (n,), (n, n))
    m = mT(v) @ gv
    gaps = w[..., None, :] - w[..., :, None]
    inner = matrices_of(gw) + over_gaps("np.linalg.eigh", 0.5 * (m - mT(m)), gaps, m)
    return (symmetric(v @ inner @ mT(v)),)


def eigh_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    n = a.shape[-1]
    w, v = parts(y, (n,), (n, n))
    d = mT(v) @ symmetric(tangents[0]) @ v
    gaps = w[..., None, :] - w[..., :, None]
    return joined(diagonal_of(d), v @ over_gaps("np.linalg.eigh", d * (1.0 - np.eye(n)), gaps, d, "forward"), dims=(1, 2))


EIGH = Family("np.linalg.eigh", evaluate_eigh, eigh_vjp, eigh_jvp)


@implements(np.linalg.eigh)
def eigh(a: Any, UPLO: str = "L") -> Any:
    a = square("eigh", a)
    n = a.shape[-1]
    w, v = parts(apply(EIGH, (UPLO.upper(),), (*a.shape[:-2], n + n * n), a), (n,), (n, n))
    return np.linalg._linalg.EighResult(w, v)


def eigvalsh_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    _, v = eigh(a, params[0])
    return (symmetric((v * g[..., None, :]) @ mT(v)),)


def eigvalsh_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    _, v = eigh(a, params[0])
    return np.sum(v * (symmetric(tangents[0]) @ v), axis=-2)


EIGVALSH = Family("np.linalg.eigvalsh", lambda params, a: np.linalg.eigvalsh(a, params[0]), eigvalsh_vjp, eigvalsh_jvp)


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    a = square("eigvalsh", a)
    return apply(EIGVALSH, (UPLO.upper(),), a.shape[:-1], a)


def real_spectrum(name: str, *results: Any) -> Any:
    """The results of np.linalg.eig and its relatives, where they are real."""
    if any(np.iscomplexobj(r) and np.any(r.imag != 0) for r in results):
        raise errors.NotDifferentiable(f"{name}: the eigenvalues are complex here, and adcore differentiates real ones")
    return [r.real for r in results]


def evaluate_eig(params: Any, a: Any) -> Any:
    return joined(*real_spectrum("np.linalg.eig", *np.linalg.eig(a)), dims=(1, 2))


def eig_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    n = a.shape[-1]
    w, v = parts(y, (n,), (n, n))
    gw, gv = parts(g, (n,), (n, n))
    m = mT(v) @ gv
    inside = (m - (mT(v) @ v) * diagonal_of(traced.elementwise("identity", m))[..., None, :]) * (1.0 - np.eye(n))
    gaps = w[..., None, :] - w[..., :, None]
    return (solve_matrices(mT(v), (matrices_of(gw) + over_gaps("np.linalg.eig", inside, gaps, m)) @ mT(v)),)


def eig_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    n = a.shape[-1]
    w, v = parts(y, (n,), (n, n))
    d = solve_matrices(v, tangents[0] @ v)
    gaps = w[..., None, :] - w[..., :, None]
    dv = v @ over_gaps("np.linalg.eig", d * (1.0 - np.eye(n)), gaps, d, "forward")
    # eigenvectors have length 1
    return joined(diagonal_of(traced.elementwise("identity", d)), dv - v * np.sum(v * dv, axis=-2, keepdims=True), dims=(1, 2))


EIG = Family("np.linalg.eig", evaluate_eig, eig_vjp, eig_jvp)


@implements(np.linalg.eig)
def eig(a: Any) -> Any:
    a = square("eig", a)
    n = a.shape[-1]
    return np.linalg._linalg.EigResult(*parts(apply(EIG, (), (*a.shape[:-2], n + n * n), a), (n,), (n, n)))


def eigvals_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    _, v = eig(a)
    return (solve_matrices(mT(v), g[..., :, None] * mT(v)),)


def eigvals_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    _, v = eig(a)
    return diagonal_of(traced.elementwise("identity", solve_matrices(v, tangents[0] @ v)))


EIGVALS = Family(
    "np.linalg.eigvals", lambda params, a: real_spectrum("np.linalg.eigvals", np.linalg.eigvals(a))[0], eigvals_vjp, eigvals_jvp
)


@implements(np.linalg.eigvals)
def eigvals(a: Any) -> Any:
    a = square("eigvals", a)
    return apply(EIGVALS, (), a.shape[:-1], a)


def svd_shapes(a: Any) -> tuple[tuple[int, ...], ...]:
    m, n = a.shape[-2:]
    k = min(m, n)
    return (m, k), (k,), (k, n)


def evaluate_svd(params: Any, a: Any) -> Any:
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return joined(u, s, vh, dims=(2, 1, 2))


def outside(u: Any, x: Any) -> Any:
    """The part of x that is orthogonal to the columns of u; nothing is left when u is square."""
    return x - u @ (mT(u) @ x)


def svd_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    u, s, vh = parts(y, *svd_shapes(a))
    gu, gs, gvh = parts(g, *svd_shapes(a))
    v, gv = mT(vh), mT(gvh)
    m, n = a.shape[-2:]
    gaps = (s * s)[..., None, :] - (s * s)[..., :, None]
    x, z = mT(u) @ gu, mT(v) @ gv
    left = over_gaps("np.linalg.svd", x - mT(x), gaps, x) * s[..., None, :]
    right = s[..., :, None] * over_gaps("np.linalg.svd", z - mT(z), gaps, z)
    ga = u @ (left + right + matrices_of(gs)) @ vh
    if m > n:
        ga = ga + outside(u, gu / s[..., None, :]) @ vh
    if n > m:
        ga = ga + u @ mT(outside(v, gv / s[..., None, :]))
    return (ga,)


def svd_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    u, s, vh = parts(y, *svd_shapes(a))
    (da,) = tangents
    v = mT(vh)
    m, n = a.shape[-2:]
    gaps = (s * s)[..., None, :] - (s * s)[..., :, None]
    p = mT(u) @ da @ v
    row, column = s[..., None, :], s[..., :, None]
    off = 1.0 - np.eye(s.shape[-1])
    du = u @ over_gaps("np.linalg.svd", (p * row + column * mT(p)) * off, gaps, p * row, "forward")
    dv = v @ over_gaps("np.linalg.svd", (column * p + mT(p) * row) * off, gaps, column * p, "forward")
    if m > n:
        du = du + outside(u, da @ v) / row
    if n > m:
        dv = dv + outside(v, mT(da) @ u) / row
    return joined(du, diagonal_of(p), mT(dv), dims=(2, 1, 2))


SVD = Family("np.linalg.svd", evaluate_svd, svd_vjp, svd_jvp)


@implements(np.linalg.svd)
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    a = matrix("svd", a)
    if not compute_uv:
        return svdvals(a)
    m, n = a.shape[-2:]
    if full_matrices and m != n:
        raise refuse("np.linalg.svd with full_matrices=True (the further columns are any basis; use full_matrices=False)")
    shapes = svd_shapes(a)
    y = apply(SVD, (), (*a.shape[:-2], sum(math.prod(s) for s in shapes)), a)
    return np.linalg._linalg.SVDResult(*parts(y, *shapes))


def svdvals_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    u, _, vh = svd(a, full_matrices=False)
    return ((u * g[..., None, :]) @ vh,)


def svdvals_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    u, _, vh = svd(a, full_matrices=False)
    return np.sum(u * (tangents[0] @ mT(vh)), axis=-2)


SVDVALS = Family("np.linalg.svdvals", lambda params, a: np.linalg.svd(a, compute_uv=False), svdvals_vjp, svdvals_jvp)


@implements(np.linalg.svdvals)
def svdvals(x: Any, /) -> Any:
    x = matrix("svdvals", x)
    return apply(SVDVALS, (), (*x.shape[:-2], min(x.shape[-2:])), x)


# -- determinants, inverses of rectangles ------------------------------------------------------------------


def vectors(x: Any) -> Any:
    """A batch of numbers as a batch of vectors of length 1: calls give arrays."""
    return np.reshape(x, (*x.shape, 1))


def evaluate_slogdet(params: Any, a: Any) -> Any:
    return np.asarray(np.linalg.slogdet(a)[1])[..., None]


def slogdet_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    return (g[..., None] * mT(inv(a)),)


def slogdet_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    return vectors_of_trace(solve_matrices(a, tangents[0]))


def vectors_of_trace(x: Any) -> Any:
    return np.sum(diagonal_of(traced.elementwise("identity", x)), axis=-1, keepdims=True)


SLOGDET = Family("np.linalg.slogdet", evaluate_slogdet, slogdet_vjp, slogdet_jvp)


SIGN = Family("the sign of a determinant", lambda params, a: np.asarray(np.linalg.slogdet(a)[0])[..., None])


@implements(np.linalg.slogdet)
def slogdet(a: Any) -> Any:
    a = square("slogdet", a)
    sign = traced.constant_part(apply(SIGN, (), (*a.shape[:-2], 1), a)[..., 0])
    return np.linalg._linalg.SlogdetResult(sign, apply(SLOGDET, (), (*a.shape[:-2], 1), a)[..., 0])


def adjugate_of(params: Any, a: Any) -> Any:
    """det(A) A^-1, also where A is singular: from the singular values."""
    u, s, vh = np.linalg.svd(a)
    n = s.shape[-1]
    others = np.stack([np.prod(np.delete(s, k, axis=-1), axis=-1) for k in range(n)], axis=-1)
    sign = np.linalg.det(u) * np.linalg.det(vh)
    return np.asarray(np.round(sign))[..., None, None] * (mT(vh) @ (others[..., :, None] * mT(u)))


def adjugate_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    x = inv(a)
    d = det(a)[..., None, None]
    gd = np.sum(np.sum(g * x, axis=-1, keepdims=True), axis=-2, keepdims=True)
    return (mT(x) * (gd * d) - d * (mT(x) @ g @ mT(x)),)


def adjugate_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    x = inv(a)
    d = det(a)[..., None, None]
    return d * (vectors_of_trace(x @ tangents[0])[..., None] * x - x @ tangents[0] @ x)


ADJUGATE = Family("the adjugate", adjugate_of, adjugate_vjp, adjugate_jvp)


def det_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    return (g[..., None] * mT(apply(ADJUGATE, (), a.shape, a)),)


def det_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    return vectors_of_trace(apply(ADJUGATE, (), a.shape, a) @ tangents[0])


DET = Family("np.linalg.det", lambda params, a: np.asarray(np.linalg.det(a))[..., None], det_vjp, det_jvp)


@implements(np.linalg.det)
def det(a: Any) -> Any:
    a = square("det", a)
    return apply(DET, (), (*a.shape[:-2], 1), a)[..., 0]


def pinv_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    gt, yt = mT(g), mT(y)
    first = (gt - a @ (y @ gt)) @ y @ yt
    second = yt @ y @ (gt - (gt @ y) @ a)
    return (first + second - yt @ g @ yt,)


def pinv_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    (da,) = tangents
    dt, yt = mT(da), mT(y)
    return y @ yt @ (dt - (dt @ a) @ y) + (dt - y @ (a @ dt)) @ yt @ y - y @ da @ y


PINV = Family("np.linalg.pinv", lambda params, a: np.linalg.pinv(a, **dict(params)), pinv_vjp, pinv_jvp)


@implements(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    a = matrix("pinv", a)
    params = tuple((k, v) for k, v in (("rcond", rcond), ("rtol", rtol)) if v is not None)
    return apply(PINV, params, (*a.shape[:-2], a.shape[-1], a.shape[-2]), a)


@implements(np.linalg.lstsq)
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    value = traced.value_of(a)
    m, n = np.shape(value)
    _, _, rank, s = np.linalg.lstsq(value, np.zeros(m), rcond)
    x = (pinv(a) if traced.is_traced(a) else np.linalg.pinv(a)) @ b
    rest = b - a @ x
    residuals = np.sum(rest * rest, axis=0, keepdims=np.ndim(b) == 1) if rank == n and m > n else np.zeros(0)
    return x, residuals, rank, svdvals(a) if traced.is_traced(a) else s


@implements(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    x = matrix("cond", x)
    if p is None or p in (2, -2):
        s = svdvals(x)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return np.linalg.norm(x, p, axis=(-2, -1)) * np.linalg.norm(inv(x), p, axis=(-2, -1))


# -- scipy.linalg ---------------------------------------------------------------------------------------------


def evaluate_sylvester(params: Any, a: Any, b: Any, q: Any) -> Any:
    import scipy.linalg

    return scipy.linalg.solve_sylvester(a, b, q)


def sylvester_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any, b: Any, q: Any) -> Any:
    s = sylvester(mT(a), mT(b), g)
    return -(s @ mT(y)) if wanted[0] else None, -(mT(y) @ s) if wanted[1] else None, s


def sylvester_jvp(params: Any, tangents: Any, y: Any, a: Any, b: Any, q: Any) -> Any:
    da, db, dq = tangents
    right = minus(dq, None if da is None else da @ y)
    right = minus(right, None if db is None else y @ db)
    return sylvester(a, b, right)


SYLVESTER = Family("scipy.linalg.solve_sylvester", evaluate_sylvester, sylvester_vjp, sylvester_jvp)


def sylvester(a: Any, b: Any, q: Any) -> Any:
    return apply(SYLVESTER, (), q.shape, a, b, q)


def matrix_function(name: str) -> Callable[..., Any]:
    """f(A) of one square matrix; the derivative along E is the upper right block of f([[A, E], [0, A]])
    (N. Higham, *Functions of Matrices*, 2008, section 3.2)."""

    def evaluate(params: Any, a: Any) -> Any:
        import scipy.linalg

        result = getattr(scipy.linalg, name)(a)
        if np.iscomplexobj(result):
            if np.max(np.abs(result.imag), initial=0.0) > 1e-13 * np.max(np.abs(result), initial=0.0):
                raise errors.NotDifferentiable(f"scipy.linalg.{name}: the result is complex")
            result = result.real
        return result

    def along(a: Any, e: Any) -> Any:
        n = a.shape[-1]
        block = np.concatenate([np.concatenate([a, e], axis=1), np.concatenate([np.zeros((n, n)), a], axis=1)], axis=0)
        return of(block)[:n, n:]

    def vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
        return (along(mT(a), g),)

    def jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
        return along(a, tangents[0])

    family = Family(f"scipy.linalg.{name}", evaluate, vjp, jvp)

    def of(A: Any) -> Any:
        A = square(name, A)
        if A.ndim > 2:
            return np.stack([of(A[k]) for k in range(A.shape[0])])
        return apply(family, (), A.shape, A)

    return of


def scipy_solve_triangular(a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False, **kw: Any) -> Any:
    a, b = map(as_array, (a, b))
    if trans in (1, 2, "T", "C"):
        a, lower = mT(a), not lower
    vector = b.ndim == 1
    y = solve_triangle(a, b[:, None] if vector else b, lower, unit_diagonal)
    return y[..., 0] if vector else y


def as_array(x: Any) -> Any:
    return traced.asarray(x) if traced.find_trace(x) is not None else np.asarray(x, dtype=float)


def scipy_cholesky(a: Any, lower: bool = False, **kw: Any) -> Any:
    y = cholesky(a if lower else mT(as_array(a)))
    return y if lower else mT(y)


def scipy_cho_factor(a: Any, lower: bool = False, **kw: Any) -> Any:
    return scipy_cholesky(a, lower), lower


def scipy_cho_solve(c_and_lower: Any, b: Any, **kw: Any) -> Any:
    c, lower = c_and_lower
    if lower:
        return scipy_solve_triangular(mT(as_array(c)), scipy_solve_triangular(c, b, lower=True), lower=False)
    return scipy_solve_triangular(c, scipy_solve_triangular(mT(as_array(c)), b, lower=True), lower=False)


def scipy_solve(a: Any, b: Any, lower: bool = False, overwrite_a: bool = False, overwrite_b: bool = False, check_finite: bool = True,
                assume_a: Any = None, transposed: bool = False) -> Any:  # fmt: skip
    a, b = map(as_array, (a, b))
    if assume_a in ("sym", "her", "pos", "symmetric", "hermitian", "positive definite"):
        n = a.shape[-1]
        part = np.tril(np.ones((n, n))) if lower else np.triu(np.ones((n, n)))
        a = a * part + mT(a * (part - np.eye(n)))
    elif assume_a in ("upper triangular", "lower triangular"):
        return scipy_solve_triangular(a, b, 1 if transposed else 0, assume_a == "lower triangular")
    elif assume_a == "diagonal":
        d = diagonal_of(traced.elementwise("identity", a))
        return b / (d if b.ndim == 1 else d[..., None])
    return solve(mT(a) if transposed else a, b)


def scipy_lu_factor(a: Any, **kw: Any) -> Any:
    """(LU, pivots) with the factors packed as LAPACK does: the pivots are values."""
    import scipy.linalg

    a = square("lu_factor", a)
    pivots = scipy.linalg.lu_factor(traced.value_of(a))[1]
    order = np.arange(a.shape[-1])
    for k, p in enumerate(pivots):
        order[[k, p]] = order[[p, k]]
    return apply(LU, (), a.shape, a[order]), pivots


def evaluate_lu(params: Any, a: Any) -> Any:
    """Unpivoted: the rows are in the order that partial pivoting chose."""
    import scipy.linalg

    lu, pivots = scipy.linalg.lu_factor(a)
    if np.any(pivots != np.arange(len(pivots))):
        lu = np.array(a, dtype=float)
        for k in range(len(lu)):
            lu[k + 1 :, k] /= lu[k, k]
            lu[k + 1 :, k + 1 :] -= np.outer(lu[k + 1 :, k], lu[k, k + 1 :])
    return lu


def lu_parts(y: Any) -> tuple[Any, Any]:
    n = y.shape[-1]
    return y * np.tril(np.ones((n, n)), -1) + np.eye(n), y * np.triu(np.ones((n, n)))


def lu_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    low, up = lu_parts(y)
    n = y.shape[-1]
    below, above = np.tril(np.ones((n, n)), -1), np.triu(np.ones((n, n)))
    m = (mT(low) @ (g * below)) * below + ((g * above) @ mT(up)) * above
    return (mT(solve_triangle(up, mT(solve_triangle(mT(low), m, False, True)), False)),)


def lu_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    low, up = lu_parts(y)
    n = y.shape[-1]
    m = mT(solve_triangle(mT(up), mT(solve_triangle(low, tangents[0], True, True)), True))
    below, above = np.tril(np.ones((n, n)), -1), np.triu(np.ones((n, n)))
    return (low @ (m * below)) * below + ((m * above) @ up) * above


LU = Family("scipy.linalg.lu_factor", evaluate_lu, lu_vjp, lu_jvp)


def scipy_lu_solve(lu_and_piv: Any, b: Any, trans: int = 0, **kw: Any) -> Any:
    lu, pivots = lu_and_piv
    b = as_array(b)
    order = np.arange(len(pivots))
    for k, p in enumerate(pivots):
        order[[k, p]] = order[[p, k]]
    low, up = lu_parts(as_array(lu))
    if trans:
        x = scipy_solve_triangular(mT(low), scipy_solve_triangular(mT(up), b, lower=True), lower=False)
        return x[np.argsort(order)]
    return scipy_solve_triangular(up, scipy_solve_triangular(low, b[order], lower=True), lower=False)


def scipy_block_diag(*arrays: Any) -> Any:
    blocks = [np.atleast_2d(as_array(a)) for a in arrays]
    trace = traced.find_trace(blocks)
    out = traced.new_array(trace, (sum(b.shape[0] for b in blocks), sum(b.shape[1] for b in blocks)))
    i = j = 0
    for b in blocks:
        out[i : i + b.shape[0], j : j + b.shape[1]] = b
        i += b.shape[0]
        j += b.shape[1]
    return out


def scipy_toeplitz(c: Any, r: Any = None) -> Any:
    c = np.ravel(as_array(c))
    r = c if r is None else np.ravel(as_array(r))
    values = np.concatenate([r[:0:-1], c])
    n, m = c.shape[0], r.shape[0]
    return values[np.arange(n)[:, None] - np.arange(m)[None, :] + m - 1]


def scipy_solve_banded(l_and_u: Any, ab: Any, b: Any, **kw: Any) -> Any:
    low, up = l_and_u
    ab = as_array(ab)
    n = ab.shape[1]
    rows, columns, sources = [], [], []
    for k in range(-low, up + 1):
        j = np.arange(max(k, 0), min(n, n + k))
        rows.append(j - k)
        columns.append(j)
        sources.append((up - k) * n + j)
    i, j, source = map(np.concatenate, (rows, columns, sources))
    flat = np.reshape(ab, (-1,))[source] if traced.is_traced(ab) else ab.reshape(-1)[source]
    trace = traced.find_trace((ab, b))
    dense = traced.new_array(trace, (n, n))
    dense[i, j] = flat
    return solve(dense, b)


def scipy_eigh(a: Any, b: Any = None, *, lower: bool = True, eigvals_only: bool = False, **kw: Any) -> Any:
    if b is not None or kw:
        raise refuse("scipy.linalg.eigh with b= or a part of the spectrum")
    if eigvals_only:
        return eigvalsh(a, "L" if lower else "U")
    return tuple(eigh(a, "L" if lower else "U"))


def scipy_svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, **kw: Any) -> Any:
    found = svd(a, full_matrices, compute_uv)
    return tuple(found) if compute_uv else found


def without(f: Callable[..., Any]) -> Callable[..., Any]:
    """Without SciPy's arguments that say how to compute."""
    return lambda a, *args, **kw: f(a, *args, **{k: v for k, v in kw.items() if not k.startswith(("overwrite", "check"))})


# functions of scipy.linalg that go past NumPy's protocols: reached by rebinding of names
REBOUND: dict[str, Callable[..., Any]] = {
    "cholesky": scipy_cholesky,
    "cho_factor": scipy_cho_factor,
    "cho_solve": scipy_cho_solve,
    "solve_triangular": scipy_solve_triangular,
    "solve": scipy_solve,
    "inv": without(inv),
    "det": without(det),
    "pinv": lambda a, **kw: pinv(a),
    "lu_factor": scipy_lu_factor,
    "lu_solve": scipy_lu_solve,
    "expm": matrix_function("expm"),
    "sqrtm": matrix_function("sqrtm"),
    "logm": matrix_function("logm"),
    "solve_sylvester": lambda a, b, q: sylvester(as_array(a), as_array(b), as_array(q)),
    "block_diag": scipy_block_diag,
    "toeplitz": scipy_toeplitz,
    "solve_banded": scipy_solve_banded,
    "eigh": scipy_eigh,
    "eigvalsh": lambda a, b=None, **kw: scipy_eigh(a, b, eigvals_only=True, **kw),
    "svd": scipy_svd,
    "svdvals": without(svdvals),
    "norm": lambda a, ord=None, axis=None, keepdims=False, **kw: np.linalg.norm(a, ord, axis, keepdims),
}
