"""numpy.linalg on traced arrays, real and complex.

The derivative rules are those of M. Giles, *Collected matrix derivative results for forward and reverse mode
algorithmic differentiation*, 2008, and of J. Townsend, *Differentiating the singular value decomposition*, 2016,
written for batches in plain NumPy, with conjugates where a complex matrix needs them. Symmetric arguments (cholesky,
eigh) count as symmetric (Hermitian): their adjoints are.

A complex eigenvector or singular vector may be multiplied by any phase; LAPACK's choice makes a component of it real. The
rules follow that choice, so that the derivative is that of what NumPy computes also where it depends on the phase.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import errors
from ..sweep import lapack
from ..sweep import small as kernels
from ..tracer import array as traced
from . import complex
from .calls import Family, apply
from .complex import is_complex
from .dispatch import implements, refuse

# -- helpers of the rules ---------------------------------------------------------------------


def mT(x: Any) -> Any:
    """Matrices transposed."""
    return np.swapaxes(x, -1, -2)


def H(x: Any) -> Any:
    """Matrices transposed and conjugated."""
    return np.conj(mT(x)) if is_complex(x) else mT(x)


def conj(x: Any) -> Any:
    return np.conj(x) if is_complex(x) else x


def diagonal_of(x: Any) -> Any:
    """The diagonals of a batch of matrices, as vectors."""
    return np.diagonal(x, 0, -2, -1)


def matrices_of(v: Any) -> Any:
    """Diagonal matrices with these diagonals."""
    return v[..., None] * np.eye(v.shape[-1])


def lower_of(x: Any, k: int = 0) -> Any:
    return x * np.tril(np.ones(x.shape[-2:]), k)


def upper_of(x: Any, k: int = 0) -> Any:
    return x * np.triu(np.ones(x.shape[-2:]), k)


def off_diagonal(x: Any) -> Any:
    return x * (1.0 - np.eye(x.shape[-1]))


def half_lower(x: Any) -> Any:
    """The lower triangle with half the diagonal."""
    n = x.shape[-1]
    return x * (np.tril(np.ones((n, n))) - 0.5 * np.eye(n))


def hermitian(x: Any) -> Any:
    """The symmetric (Hermitian) part."""
    return 0.5 * (x + H(x))


def of_triangle(x: Any, upper: bool = False, mirror: Callable[[Any], Any] = H) -> Any:
    """The Hermitian (with `mT` as mirror, symmetric) matrix that has this triangle of x: LAPACK does not read the other one."""
    half = half_lower(mirror(x) if upper else x)
    return half + mirror(half)


def onto_triangle(h: Any, upper: bool = False) -> Any:
    """The adjoint of `of_triangle`, of a Hermitian h: what it says of the entries not read goes to their mirror images."""
    n = h.shape[-1]
    return h * (2.0 * (np.triu if upper else np.tril)(np.ones((n, n))) - np.eye(n))


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


def operand(x: Any) -> Any:
    """An argument as an array, traced where it holds a traced value."""
    trace = traced.find_trace(x)
    if trace is None:
        x = np.asarray(x)
        return x if x.dtype.kind in "fc" else x.astype(float)
    if traced.holds_complex([x]):
        return x if isinstance(x, complex.Complex) else complex.array(x, None, trace)
    return traced.as_traced(trace, x)


def matrix(name: str, a: Any) -> Any:
    a = operand(a)
    if np.ndim(a) < 2:
        raise np.linalg.LinAlgError(
            f"{traced.where_text()}{name}: {np.ndim(a)}-dimensional array given. It must be at least two-dimensional"
        )
    return a


def square(name: str, a: Any) -> Any:
    """The argument as an array of square matrices."""
    a = matrix(name, a)
    if a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError(f"{traced.where_text()}{name}: last 2 dimensions of the array must be square")
    return a


def identity_like(a: Any) -> Any:
    return np.eye(a.shape[-1], dtype=np.finfo(a.dtype).dtype)


# -- where there is no derivative: dependent columns, equal values, zero singular values, phases ------------

EQUAL = (
    "eigenvectors or singular vectors of equal values are not differentiable, and what you compute uses them. Use a function of "
    "the values alone (eigvalsh, svdvals), or move the point a little"
)
VANISHING = (
    "singular vectors of a singular value 0 of a matrix that is not square are not differentiable, and what you compute uses "
    "them. Leave them out, or move the point a little"
)
PHASE_FREE = (
    "what you compute depends on the phase of a complex eigenvector or singular vector, which changes abruptly at this point. Use "
    "a function that does not (abs, v @ v.conj().T)"
)


DEPENDENT = "the columns are linearly dependent here, so that the factors are not differentiable"
DEFECTIVE = "the matrix has less than n independent eigenvectors here, so that its eigenvalues are not differentiable"


def independent(v: Any) -> Any:
    """Have no two eigenvectors one direction?"""
    overlap = np.abs(H(v) @ v) * (1.0 - np.eye(v.shape[-1]))
    return not np.any(overlap > 1.0 - 1e-13)


def regular(r: Any) -> Any:
    """Has a triangular matrix no zero on its diagonal?"""
    d = np.abs(np.diagonal(r, 0, -2, -1))
    return np.all(d > d.shape[-1] * np.finfo(d.dtype).eps * np.max(d, axis=-1, keepdims=True, initial=0.0))


def evaluate_checked(params: Any, x: Any) -> Any:
    name, holds, why = params
    if not holds(x):
        raise errors.NotDifferentiable(f"{traced.where_text()}{name}: {why}.")
    return x


# x itself, when the program finds that it is fit for a derivative
CHECKED = Family("a check", evaluate_checked, lambda params, wanted, g, y, x: (g,), lambda params, tangents, y, x: tangents[0])


def checked(name: str, holds: Callable[[Any], Any], why: str, x: Any) -> Any:
    return apply(CHECKED, (name, holds, why), x.shape, x)


def denominator(d: Any) -> tuple[Any, Any]:
    """Where d is 0, and d with 1 there."""
    zero = d == 0
    return zero, np.where(zero, 1.0, d)


def evaluate_quotient(params: Any, m: Any, d: Any, size: Any) -> Any:
    """m / d where d is not zero. Where it is, nothing may depend on the quotient, so ``size`` must be 0: 0/0 has a limit
    that this point does not show, anything else depends on a choice of basis. Forward, where nobody knows yet
    what will be used, the answer is NaN."""
    name, why, forward = params
    zero, safe = denominator(d)
    result = np.where(zero, 0.0, m / safe)
    wanted = zero & (size != 0)
    if forward:
        return np.where(wanted, np.nan, result)
    if np.any(wanted):
        raise errors.NotDifferentiable(f"{traced.where_text()}{name}: {why}.")
    return result


def quotient_vjp(params: Any, wanted: Any, g: Any, y: Any, m: Any, d: Any, size: Any) -> Any:
    zero, safe = denominator(d)
    part = np.where(zero, 0.0, g / conj(safe))
    return part, summed_to(-part * conj(y), d.shape), None


def quotient_jvp(params: Any, tangents: Any, y: Any, m: Any, d: Any, size: Any) -> Any:
    zero, safe = denominator(d)
    dm, dd, _ = tangents
    return np.where(zero, 0.0, minus(dm, None if dd is None else dd * y) / safe)


QUOTIENT = Family("a quotient of gaps", evaluate_quotient, quotient_vjp, quotient_jvp, steady=frozenset({2}))


def over_gaps(name: str, m: Any, d: Any, size: Any, forward: bool = False) -> Any:
    """The off-diagonal elements of a matrix over the differences of the values; ``size`` is what it was made from."""
    size = off_diagonal(np.abs(size))
    return apply(QUOTIENT, (name, EQUAL, forward), m.shape, off_diagonal(m), d, size + mT(size))


def over_values(name: str, m: Any, s: Any, forward: bool = False) -> Any:
    """Columns over singular values."""
    return apply(QUOTIENT, (name, VANISHING, forward), m.shape, m, s[..., None, :], np.abs(m))


def cut(d: Any, w: Any) -> Any:
    """Differences of values, 0 where rounding decides them."""
    top = np.max(np.abs(w), axis=-1, keepdims=True, initial=0.0)[..., None]
    return np.where(np.abs(d) <= w.shape[-1] * np.finfo(w.dtype).eps * top, 0.0, d)


def gaps_of(w: Any) -> Any:
    return cut(w[..., None, :] - w[..., :, None], w)


def evaluate_phase(params: Any, t: Any, p: Any, size: Any) -> Any:
    """t / p, the change of a phase: t is what is left of it, and 0 up to rounding where nothing depends on the phase."""
    name, forward = params
    gone, safe = phase_denominator(p)
    small = np.abs(t) <= 1e3 * np.finfo(t.dtype).eps * size
    if not forward and np.any(gone & ~small):
        raise errors.NotDifferentiable(f"{traced.where_text()}{name}: {PHASE_FREE}.")
    return np.where(gone | (small & (not forward)), 0.0, t / safe)


def phase_denominator(p: Any) -> tuple[Any, Any]:
    gone = np.abs(p) <= 1e-8 * np.max(np.abs(p), axis=-1, keepdims=True, initial=0.0)
    return gone, np.where(gone, 1.0, p)


def phase_vjp(params: Any, wanted: Any, g: Any, y: Any, t: Any, p: Any, size: Any) -> Any:
    gone, safe = phase_denominator(p)
    part = np.where(gone, 0.0, g / safe)
    return part, -part * y, None


PHASE = Family("a phase", evaluate_phase, phase_vjp, steady=frozenset({2}))


def phase_dependence(v: Any, g: Any) -> tuple[Any, Any]:
    """How a function changes with the phases of the columns of v, when its adjoint is g; and what that is made of."""
    a, b = v.real * g.imag, v.imag * g.real
    return tuple(np.sum(x, axis=-2, keepdims=True) for x in (a - b, np.abs(a) + np.abs(b)))


def turned(name: str, v: Any, dv: Any, real: Any) -> Any:
    """By how much (times 1j) the columns of v turn, moved by dv, so that the component that ``real`` marks stays real."""
    t, p = (np.sum(real * x, axis=-2, keepdims=True) for x in (dv.imag, v.real))
    return 1j * apply(PHASE, (name, True), t.shape, -t, p, np.abs(t))


def turned_back(name: str, v: Any, t: Any, size: Any, real: Any) -> Any:
    """The adjoint of v from that of its phase, which makes the component real that ``real`` marks."""
    p = np.sum(real * v.real, axis=-2, keepdims=True)
    return -1j * (real * apply(PHASE, (name, False), t.shape, t, p, size))


def row_of(k: int, v: Any) -> Any:
    """Marks a row."""
    return (np.arange(v.shape[-2]) == k % v.shape[-2]).astype(float)[:, None] * np.ones(v.shape[-1])


# -- solve -----------------------------------------------------------------------------------------


def solve_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any, b: Any) -> Any:
    s = solve_matrices(H(a), g)
    return (
        summed_to(-(s @ H(y)), a.shape) if wanted[0] else None,
        summed_to(s, b.shape) if wanted[1] else None,
    )


def solve_jvp(params: Any, tangents: Any, y: Any, a: Any, b: Any) -> Any:
    da, db = tangents
    return solve_matrices(a, minus(db, None if da is None else da @ y))


def natively(small: Any, large: Any = None) -> Any:
    """The compiled code of a family whose parameters end with the order of its matrices, where it has some for that."""

    def native(params: Any) -> Any:
        *flags, n = params
        kernel = None if n is None else small if n <= kernels.LARGEST else large
        return None if kernel is None else kernel(*flags, n)

    return native


def order_of(*arrays: Any) -> int | None:
    """The order of stacks of square matrices, and of what goes with them, that compiled code can take."""
    (n, batch), *others = [(x.shape[-2], x.shape[:-2]) for x in arrays]
    plain = all(not is_complex(x) and x.dtype == np.float64 for x in arrays)
    return n if plain and n > 0 and all(other == (n, batch) for other in others) else None


def is_large(n: int | None) -> bool:
    return n is not None and n > kernels.LARGEST


SOLVE = Family("np.linalg.solve", lambda params, a, b: np.linalg.solve(a, b), solve_vjp, solve_jvp, native=natively(kernels.solve))


def solve_matrices(a: Any, b: Any) -> Any:
    n = order_of(a, b)
    if is_large(n):
        return lu_solve(a, factors_of(a), b)
    return apply(SOLVE, (n,), (*batch_of(a.shape, b.shape), *b.shape[-2:]), a, b)


# -- factors: a matrix is factorised once for all that is solved with it, adjoints among them ----------------


def evaluate_factors(params: Any, a: Any) -> Any:
    """``getrf`` of the transpose, which is what it sees of a matrix in C order, and one row more: which rows were exchanged."""
    from scipy.linalg import lapack as routines

    def factored(x: Any) -> Any:
        lu, rows, _ = routines.dgetrf(x.T)
        return np.concatenate([lu.T, rows[None] + 1.0])

    return loop(factored, a)


def evaluate_lu_solve(params: Any, a: Any, lu: Any, b: Any) -> Any:
    from scipy.linalg import lapack as routines

    transposed, _ = params

    def solved(x: Any, columns: Any) -> Any:
        if np.any(np.diagonal(x) == 0.0):
            raise np.linalg.LinAlgError("Singular matrix")
        return routines.dgetrs(x[:-1].T, x[-1].astype(int) - 1, columns, trans=not transposed)[0]

    return loop(solved, lu, b)


def lu_solve_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any, lu: Any, b: Any) -> Any:
    transposed, _ = params
    s = lu_solve(a, lu, g, not transposed)
    by_a = -(y @ mT(s) if transposed else s @ mT(y)) if wanted[0] else None
    return by_a, None, s if wanted[2] else None


def lu_solve_jvp(params: Any, tangents: Any, y: Any, a: Any, lu: Any, b: Any) -> Any:
    transposed, _ = params
    da, _, db = tangents
    return lu_solve(a, lu, minus(db, None if da is None else (mT(da) if transposed else da) @ y), transposed)


def evaluate_lu_slogdet(params: Any, a: Any, lu: Any) -> Any:
    pivots, exchanged = np.diagonal(lu, 0, -2, -1), lu[..., -1, :] != np.arange(1, lu.shape[-1] + 1)
    sign = np.prod(np.where((pivots < 0.0) != exchanged, -1.0, 1.0), axis=-1) * np.all(pivots != 0.0, axis=-1)
    with np.errstate(divide="ignore"):
        return np.stack([sign, np.sum(np.log(np.abs(pivots)), axis=-1)], axis=-1)


def lu_slogdet_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any, lu: Any) -> Any:
    return g[..., 1:, None] * lu_solve(a, lu, np.broadcast_to(identity_like(a), a.shape), True), None


def lu_slogdet_jvp(params: Any, tangents: Any, y: Any, a: Any, lu: Any) -> Any:
    change = traces(lu_solve(a, lu, tangents[0]))
    return np.concatenate([np.zeros(change.shape), change], axis=-1)


# The others take the matrix for its derivative, and the factors, which have none of their own, for its value.
FACTORS = Family("a factorisation", evaluate_factors, native=natively(None, lapack.lu), steady=frozenset({0}))
LU_SOLVE = Family(
    "np.linalg.solve", evaluate_lu_solve, lu_solve_vjp, lu_solve_jvp, native=natively(None, lapack.lu_solve), steady=frozenset({1})
)
LU_SLOGDET = Family(
    "np.linalg.slogdet",
    evaluate_lu_slogdet,
    lu_slogdet_vjp,
    lu_slogdet_jvp,
    native=natively(None, lapack.lu_slogdet),
    steady=frozenset({1}),
)


def factors_of(a: Any) -> Any:
    n = a.shape[-1]
    return apply(FACTORS, (n,), (*a.shape[:-2], n + 1, n), traced.constant_part(a) if traced.is_traced(a) else a)


def lu_solve(a: Any, lu: Any, b: Any, transposed: bool = False) -> Any:
    """``a^-1 b`` or ``a^-T b`` with the factors of a."""
    return apply(LU_SOLVE, (transposed, a.shape[-1]), b.shape, a, lu, b)


@implements(np.linalg.solve, any_kind=True)
def solve(a: Any, b: Any) -> Any:
    a, b = square("solve", a), operand(b)
    if not b.ndim or b.shape[-1 if b.ndim == 1 else -2] != a.shape[-1]:
        raise ValueError(f"{traced.where_text()}solve: mismatch in core dimensions: {a.shape} and {b.shape}")
    return solve_matrices(a, b[:, None])[..., 0] if b.ndim == 1 else solve_matrices(a, b)


@implements(np.linalg.inv, any_kind=True)
def inv(a: Any) -> Any:
    a = square("inv", a)
    return solve_matrices(a, np.broadcast_to(identity_like(a), a.shape))


@implements(np.linalg.tensorsolve, any_kind=True)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    if axes is not None:
        rest = [k for k in range(np.ndim(a)) if k not in axes]
        a = np.transpose(a, (*rest, *axes))
    shape = a.shape[np.ndim(b) :]
    n = math.prod(shape)
    return np.reshape(solve(np.reshape(a, (n, n)), np.reshape(b, (n,))), shape)


@implements(np.linalg.tensorinv, any_kind=True)
def tensorinv(a: Any, ind: int = 2) -> Any:
    n = math.prod(a.shape[ind:])
    return np.reshape(inv(np.reshape(a, (n, n))), a.shape[ind:] + a.shape[:ind])


def evaluate_triangular(params: Any, a: Any, b: Any) -> Any:
    import scipy.linalg

    lower, unit, _ = params
    return loop(lambda x, y: scipy.linalg.solve_triangular(x, y, lower=lower, unit_diagonal=unit, check_finite=False), a, b)


def triangle(x: Any, lower: bool, unit: bool) -> Any:
    """What of a triangular matrix is read."""
    return lower_of(x, -1 if unit else 0) if lower else upper_of(x, 1 if unit else 0)


def triangular_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any, b: Any) -> Any:
    lower, unit, _ = params
    s = solve_triangle(H(a), g, not lower, unit)
    return (
        summed_to(triangle(-(s @ H(y)), lower, unit), a.shape) if wanted[0] else None,
        summed_to(s, b.shape) if wanted[1] else None,
    )


def triangular_jvp(params: Any, tangents: Any, y: Any, a: Any, b: Any) -> Any:
    lower, unit, _ = params
    da, db = tangents
    return solve_triangle(a, minus(db, None if da is None else triangle(da, lower, unit) @ y), lower, unit)


TRIANGULAR = Family(
    "scipy.linalg.solve_triangular",
    evaluate_triangular,
    triangular_vjp,
    triangular_jvp,
    native=natively(kernels.triangular, lapack.triangular),
)


def solve_triangle(a: Any, b: Any, lower: bool, unit: bool = False) -> Any:
    return apply(TRIANGULAR, (bool(lower), bool(unit), order_of(a, b)), (*batch_of(a.shape, b.shape), *b.shape[-2:]), a, b)


# -- factorisations ------------------------------------------------------------------------------------


def adjoint_of_factor(g: Any, y: Any) -> Any:
    """One matrix of ``CHOLESKY_ADJOINT``: a triangular product and LAPACK's sygst (hegst), 2 n^3 operations.

    sygst computes inv(M) A inv(M^H); M is the factor transposed and read from its last row and column to the first.
    """
    import scipy.linalg

    (trmm,) = scipy.linalg.get_blas_funcs(("trmm",), (g, y))
    (sygst,) = scipy.linalg.get_lapack_funcs(("hegst" if is_complex(y) else "sygst",), (g, y))
    if not y.size:
        return np.zeros(y.shape, y.dtype)
    product = trmm(0.5, y.T, g.conj().T, side=1, lower=0, trans_a=1)  # conj(L^H G / 2)', column-major
    flipped = np.asfortranarray(product[::-1, ::-1])
    found, _ = sygst(flipped, np.ascontiguousarray(y[::-1, ::-1]).conj().T, itype=1, lower=1, overwrite_a=1)
    low = np.tril(found)
    out = low + low.conj().T
    out.ravel()[:: len(y) + 1] *= 0.5
    return out[::-1, ::-1]


def cholesky_adjoint_vjp(params: Any, wanted: Any, h: Any, s: Any, g: Any, y: Any) -> Any:
    h = hermitian(h)
    c = solve_triangle(y, h, True)  # L^-1 H
    w = half_lower(H(solve_triangle(y, H(c), True)))
    return y @ w if wanted[0] else None, g @ H(w) - 2.0 * (s @ H(c)) if wanted[1] else None


def cholesky_adjoint_jvp(params: Any, tangents: Any, s: Any, g: Any, y: Any) -> Any:
    dg, dy = tangents
    q = minus(None if dg is None else H(y) @ dg, None if dy is None else -(H(dy) @ g))
    p = solve_triangle(H(y), H(solve_triangle(H(y), H(half_lower(q)), False)), False)
    if dy is None:
        return hermitian(p)
    return hermitian(p) - 2.0 * hermitian(solve_triangle(H(y), H(dy) @ s, False))


# sym(L^-H half_lower(L^H G) L^-1): the adjoint of a matrix from that of its Cholesky factor
CHOLESKY_ADJOINT = Family(
    "the adjoint of np.linalg.cholesky",
    lambda params, g, y: loop(adjoint_of_factor, g, y),
    cholesky_adjoint_vjp,
    cholesky_adjoint_jvp,
    native=natively(kernels.cholesky_adjoint, lapack.cholesky_adjoint),
)


def cholesky_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    return (onto_triangle(apply(CHOLESKY_ADJOINT, (order_of(g, y),), a.shape, g, y)),)


def cholesky_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    s = solve_triangle(y, of_triangle(tangents[0]), True)
    return y @ half_lower(H(solve_triangle(y, H(s), True)))


CHOLESKY = Family(
    "np.linalg.cholesky",
    lambda params, a: np.linalg.cholesky(a),
    cholesky_vjp,
    cholesky_jvp,
    native=natively(kernels.cholesky, lapack.cholesky),
)


@implements(np.linalg.cholesky, any_kind=True)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    a = square("cholesky", a)
    if upper:
        return H(apply(CHOLESKY, (order_of(a),), a.shape, H(a)))
    return apply(CHOLESKY, (order_of(a),), a.shape, a)


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


def qr_parts(y: Any, a: Any) -> tuple[Any, Any]:
    """The factors, as a rule reads them."""
    q, r = parts(y, *qr_shapes(a))
    return q, checked("np.linalg.qr", regular, DEPENDENT, r)


def real_diagonal(x: Any) -> Any:
    """x with the real part of its diagonal: R has a real one, also of a complex matrix."""
    return x - 1j * matrices_of(diagonal_of(x).imag) if is_complex(x) else x


def qr_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    q, r = qr_parts(y, a)
    gq, gr = parts(g, *qr_shapes(a))
    copied = of_triangle(r @ H(gr) - H(gq) @ q)
    return (H(solve_triangle(r, H(gq + q @ copied), False)),)


def qr_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    q, r = qr_parts(y, a)
    c = mT(solve_triangle(mT(r), mT(tangents[0]), True))
    x = H(q) @ c
    inside = real_diagonal(upper_of(x) + H(lower_of(x, -1)))
    return joined(c - q @ inside, inside @ r, dims=(2, 2))


def evaluate_qr(params: Any, a: Any) -> Any:
    q, r = np.linalg.qr(a)
    return joined(q, r, dims=(2, 2))


QR = Family("np.linalg.qr", evaluate_qr, qr_vjp, qr_jvp)


@implements(np.linalg.qr, any_kind=True)
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
        r = np.concatenate([r, H(q) @ a[..., :, k:]], axis=-1)
    return r if mode == "r" else np.linalg._linalg.QRResult(q, r)


# -- eigenvalues ---------------------------------------------------------------------------------------------


def evaluate_eigh(params: Any, a: Any) -> Any:
    w, v = np.linalg.eigh(a, UPLO=params[0])
    return joined(w, v, dims=(1, 2))


def eigh_parts(y: Any, a: Any) -> tuple[Any, Any]:
    n = a.shape[-1]
    w, v = parts(y, (n,), (n, n))
    return np.real(w), v


def real_row(params: Any) -> int:
    """The row of the eigenvectors that LAPACK makes real."""
    return 0 if params[0] == "L" else -1


def eigh_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    w, v = eigh_parts(y, a)
    gw, gv = eigh_parts(g, a)
    if is_complex(v):
        gv = gv + turned_back("np.linalg.eigh", v, *phase_dependence(v, gv), row_of(real_row(params), v))
    m = H(v) @ gv
    inner = matrices_of(gw) + over_gaps("np.linalg.eigh", 0.5 * (m - H(m)), gaps_of(w), m)
    return (onto_triangle(hermitian(v @ inner @ H(v)), params[0] == "U"),)


def eigh_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    w, v = eigh_parts(y, a)
    d = H(v) @ of_triangle(tangents[0], params[0] == "U") @ v
    dv = v @ over_gaps("np.linalg.eigh", d, gaps_of(w), d, True)
    if is_complex(v):
        dv = dv + v * turned("np.linalg.eigh", v, dv, row_of(real_row(params), v))
    return joined(np.real(diagonal_of(d)), dv, dims=(1, 2))


EIGH = Family("np.linalg.eigh", evaluate_eigh, eigh_vjp, eigh_jvp)


@implements(np.linalg.eigh, any_kind=True)
def eigh(a: Any, UPLO: str = "L") -> Any:
    a = square("eigh", a)
    n = a.shape[-1]
    return np.linalg._linalg.EighResult(*eigh_parts(apply(EIGH, (UPLO.upper(),), (*a.shape[:-2], n + n * n), a), a))


def eigvalsh_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    _, v = eigh(a, params[0])
    return (onto_triangle(hermitian((v * g[..., None, :]) @ H(v)), params[0] == "U"),)


def eigvalsh_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    _, v = eigh(a, params[0])
    return np.real(np.sum(conj(v) * (of_triangle(tangents[0], params[0] == "U") @ v), axis=-2))


EIGVALSH = Family("np.linalg.eigvalsh", lambda params, a: np.linalg.eigvalsh(a, params[0]), eigvalsh_vjp, eigvalsh_jvp, "real")


@implements(np.linalg.eigvalsh, any_kind=True)
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    a = square("eigvalsh", a)
    return apply(EIGVALSH, (UPLO.upper(),), a.shape[:-1], a)


def largest_real(params: Any, v: Any) -> Any:
    """Marks the largest component of each eigenvector, which LAPACK makes real."""
    k = np.argmax(np.where(v.imag == 0, np.abs(v), -1.0), axis=-2)
    return (np.arange(v.shape[-2])[:, None] == k[..., None, :]).astype(float)


LARGEST_REAL = Family("the largest component", largest_real, lambda params, wanted, g, y, v: (np.zeros(v.shape),), result="real")


def evaluate_eig(params: Any, a: Any) -> Any:
    return joined(*np.linalg.eig(a), dims=(1, 2))


def eig_shapes(a: Any) -> tuple[tuple[int, ...], ...]:
    n = a.shape[-1]
    return (n,), (n, n)


def eig_parts(y: Any, a: Any) -> tuple[Any, Any]:
    """Eigenvalues and eigenvectors, as a rule reads them."""
    w, v = parts(y, *eig_shapes(a))
    return w, checked("np.linalg.eig", independent, DEFECTIVE, v)


def eig_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    w, v = eig_parts(y, a)
    gw, gv = parts(g, *eig_shapes(a))
    mark = apply(LARGEST_REAL, (), v.shape, v)
    length = np.sum(v.real * gv.real + v.imag * gv.imag, axis=-2, keepdims=True)
    gv = gv - v * length + turned_back("np.linalg.eig", v, *phase_dependence(v, gv), mark)
    m = H(v) @ gv
    inner = matrices_of(gw) + over_gaps("np.linalg.eig", m, conj(gaps_of(w)), m)
    return (solve_matrices(H(v), inner @ H(v)),)


def eig_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    w, v = eig_parts(y, a)
    mark = apply(LARGEST_REAL, (), v.shape, v)
    d = solve_matrices(v, tangents[0] @ v)
    dv = v @ over_gaps("np.linalg.eig", d, gaps_of(w), d, True)
    length = np.sum(v.real * dv.real + v.imag * dv.imag, axis=-2, keepdims=True)  # eigenvectors have length 1
    return joined(diagonal_of(d), dv - v * length + v * turned("np.linalg.eig", v, dv, mark), dims=(1, 2))


EIG = Family("np.linalg.eig", evaluate_eig, eig_vjp, eig_jvp, "complex")


def complex_eig(a: Any) -> Any:
    n = a.shape[-1]
    return parts(apply(EIG, (), (*a.shape[:-2], n + n * n), a), *eig_shapes(a))


def eigenvectors(a: Any) -> Any:
    return checked("np.linalg.eigvals", independent, DEFECTIVE, complex_eig(a)[1])


def eigvals_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    v = eigenvectors(a)
    return (solve_matrices(H(v), g[..., :, None] * H(v)),)


def eigvals_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    v = eigenvectors(a)
    return diagonal_of(solve_matrices(v, tangents[0] @ v))


EIGVALS = Family("np.linalg.eigvals", lambda params, a: np.linalg.eigvals(a), eigvals_vjp, eigvals_jvp, "complex")


# since NumPy 2.5 the eigenvalues of a real matrix are complex, real or not
MAY_BE_REAL = np.linalg.eigvals(np.eye(1)).dtype.kind == "f"


def is_real(a: Any, w: Any) -> bool:
    """Has a real matrix real eigenvalues? Where the kind of the result depends on values, that decides."""
    return not is_complex(a) and bool(np.all(w.imag == 0.0))


@implements(np.linalg.eig, any_kind=True)
def eig(a: Any) -> Any:
    a = square("eig", a)
    w, v = complex_eig(a)
    return np.linalg._linalg.EigResult(*((w.real, v.real) if MAY_BE_REAL and is_real(a, w) else (w, v)))


@implements(np.linalg.eigvals, any_kind=True)
def eigvals(a: Any) -> Any:
    a = square("eigvals", a)
    w = apply(EIGVALS, (), a.shape[:-1], a)
    return w.real if MAY_BE_REAL and is_real(a, w) else w


# -- singular values -----------------------------------------------------------------------------------------


def svd_parts(y: Any, a: Any) -> tuple[Any, Any, Any]:
    m, n = a.shape[-2:]
    k = min(m, n)
    u, s, vh = parts(y, (m, k), (k,), (k, n))
    return u, np.real(s), vh


def evaluate_svd(params: Any, a: Any) -> Any:
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return joined(u, s, vh, dims=(2, 1, 2))


def outside(u: Any, x: Any) -> Any:
    """The part of x that is orthogonal to the columns of u; nothing is left when u is square."""
    return x - u @ (H(u) @ x)


def squared_gaps(s: Any) -> Any:
    row, column = s[..., None, :], s[..., :, None]
    return cut(row - column, s) * (row + column)


def clear_of_zero(a: Any, s: Any) -> Any:
    """Singular values, 0 where rounding decides them."""
    return cut(s[..., None], s)[..., 0] if a.shape[-1] != a.shape[-2] else s


def svd_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    name = "np.linalg.svd"
    u, s, vh = svd_parts(y, a)
    gu, gs, gvh = svd_parts(g, a)
    v, gv = H(vh), H(gvh)
    m, n = a.shape[-2:]
    inner = matrices_of(gs)
    if is_complex(u):
        (left, size), (right, more) = phase_dependence(u, gu), phase_dependence(v, gv)
        if m >= n:  # LAPACK makes the first components of v real, or those of u
            gv = gv + turned_back(name, v, left + right, size + more, row_of(0, v))
        else:
            gu = gu + turned_back(name, u, left + right, size + more, row_of(0, u))
            left, size = phase_dependence(u, gu)
        # what is left is how u turns against v
        inner = inner + 1j * matrices_of(apply(PHASE, (name, False), left.shape, left, s[..., None, :], size)[..., 0, :])
    gaps = squared_gaps(s)
    x, z = H(u) @ gu, H(v) @ gv
    inner = inner + over_gaps(name, x - H(x), gaps, x) * s[..., None, :] + s[..., :, None] * over_gaps(name, z - H(z), gaps, z)
    ga = u @ inner @ vh
    s = clear_of_zero(a, s)
    if m > n:
        ga = ga + outside(u, over_values(name, gu, s)) @ vh
    if n > m:
        ga = ga + u @ H(outside(v, over_values(name, gv, s)))
    return (ga,)


def svd_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    name = "np.linalg.svd"
    u, s, vh = svd_parts(y, a)
    (da,) = tangents
    v = H(vh)
    m, n = a.shape[-2:]
    gaps = squared_gaps(s)
    p = H(u) @ da @ v
    row, column = s[..., None, :], s[..., :, None]
    du = u @ over_gaps(name, p * row + column * H(p), gaps, p, True)
    dv = v @ over_gaps(name, column * p + H(p) * row, gaps, p, True)
    clear = clear_of_zero(a, s)
    if m > n:
        du = du + over_values(name, outside(u, da @ v), clear, True)
    if n > m:
        dv = dv + over_values(name, outside(v, H(da) @ u), clear, True)
    if is_complex(u):
        t = diagonal_of(p).imag[..., None, :]
        du = du + u * (1j * apply(PHASE, (name, True), t.shape, t, row, np.abs(t)))
        turn = turned(name, v, dv, row_of(0, v)) if m >= n else turned(name, u, du, row_of(0, u))
        du, dv = du + u * turn, dv + v * turn
    return joined(du, np.real(diagonal_of(p)), H(dv), dims=(2, 1, 2))


SVD = Family("np.linalg.svd", evaluate_svd, svd_vjp, svd_jvp)


@implements(np.linalg.svd, any_kind=True)
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    a = matrix("svd", a)
    if hermitian:
        return svd_by_eigh(square("svd", a), compute_uv)
    if not compute_uv:
        return svdvals(a)
    m, n = a.shape[-2:]
    if full_matrices and m != n:
        raise refuse("np.linalg.svd with full_matrices=True (the further columns are any basis; use full_matrices=False)")
    k = min(m, n)
    return np.linalg._linalg.SVDResult(*svd_parts(apply(SVD, (), (*a.shape[:-2], m * k + k + k * n), a), a))


def svd_by_eigh(a: Any, compute_uv: bool) -> Any:
    """NumPy's way with ``hermitian=True``: eigenvalues by falling size, their signs with the right vectors."""
    if not compute_uv:
        return np.sort(np.abs(np.linalg.eigvalsh(a)), axis=-1)[..., ::-1]
    w, u = np.linalg.eigh(a)
    order = np.argsort(np.abs(traced.value_of(w)), axis=-1)[..., ::-1]
    w = np.take_along_axis(w, order, axis=-1)
    u = np.take_along_axis(u, order[..., None, :], axis=-1)
    return np.linalg._linalg.SVDResult(u, np.abs(w), H(u * np.sign(traced.value_of(w))[..., None, :]))


def svdvals_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    u, _, vh = svd(a, full_matrices=False)
    return ((u * g[..., None, :]) @ vh,)


def svdvals_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    u, _, vh = svd(a, full_matrices=False)
    return np.real(np.sum(conj(u) * (tangents[0] @ H(vh)), axis=-2))


SVDVALS = Family("np.linalg.svdvals", lambda params, a: np.linalg.svd(a, compute_uv=False), svdvals_vjp, svdvals_jvp, "real")


@implements(np.linalg.svdvals, any_kind=True)
def svdvals(x: Any, /) -> Any:
    x = matrix("svdvals", x)
    return apply(SVDVALS, (), (*x.shape[:-2], min(x.shape[-2:])), x)


# -- determinants, inverses of rectangles ------------------------------------------------------------------


def traces(x: Any) -> Any:
    """The traces of a batch of matrices, as vectors of length 1: calls give arrays."""
    return np.sum(diagonal_of(x), axis=-1, keepdims=True)


def evaluate_slogdet(params: Any, a: Any) -> Any:
    return np.stack(np.linalg.slogdet(a), axis=-1)


def slogdet_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    """``sign = exp(1j t)``: a complex one turns with the imaginary part of ``trace(inv(a) da)``, a real one stays."""
    change = np.real(g[..., 1:])
    if is_complex(y):
        sign, gs = y[..., :1], g[..., :1]
        change = change + 1j * (sign.real * gs.imag - sign.imag * gs.real)
    return (change[..., None] * H(inv(a)),)


def slogdet_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    change = traces(solve_matrices(a, tangents[0]))
    if not is_complex(y):
        return np.concatenate([np.zeros(change.shape), change], axis=-1)
    return np.concatenate([1j * change.imag * y[..., :1], change.real], axis=-1)


SLOGDET = Family("np.linalg.slogdet", evaluate_slogdet, slogdet_vjp, slogdet_jvp, native=natively(kernels.slogdet))


@implements(np.linalg.slogdet, any_kind=True)
def slogdet(a: Any) -> Any:
    a = square("slogdet", a)
    n = order_of(a)
    if is_large(n):
        y = apply(LU_SLOGDET, (n,), (*a.shape[:-2], 2), a, factors_of(a))
    else:
        y = apply(SLOGDET, (n,), (*a.shape[:-2], 2), a)
    sign = y[..., 0]
    return np.linalg._linalg.SlogdetResult(sign if is_complex(a) else traced.constant_part(sign), np.real(y[..., 1]))


def adjugate_of(params: Any, a: Any) -> Any:
    """det(A) A^-1, also where A is singular."""
    try:
        x = np.linalg.inv(a)
        if np.all(norm1(a) * norm1(x) < 1e-10 / np.finfo(a.dtype).eps):
            return np.asarray(np.linalg.det(a))[..., None, None] * x
    except np.linalg.LinAlgError:
        pass
    return adjugate_by_singular_values(a)


def norm1(a: Any) -> Any:
    """The largest column sum."""
    return np.max(np.sum(np.abs(a), axis=-2), axis=-1, initial=0.0)


def adjugate_by_singular_values(a: Any) -> Any:
    u, s, vh = np.linalg.svd(a)
    n = s.shape[-1]
    others = np.stack([np.prod(np.delete(s, k, axis=-1), axis=-1) for k in range(n)], axis=-1)
    turn = np.linalg.det(u) * np.linalg.det(vh)
    turn = turn if is_complex(np.asarray(turn)) else np.round(turn)
    return np.asarray(turn)[..., None, None] * (H(vh) @ (others[..., :, None] * H(u)))


def adjugate_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    x, d = inv(a), conj(determinants(a))[..., None]
    gd = np.sum(np.sum(g * conj(x), axis=-1, keepdims=True), axis=-2, keepdims=True)
    return (H(x) * (gd * d) - d * (H(x) @ g @ H(x)),)


def adjugate_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    x, d = inv(a), determinants(a)[..., None]
    return d * (traces(x @ tangents[0])[..., None] * x - x @ tangents[0] @ x)


ADJUGATE = Family("the adjugate", adjugate_of, adjugate_vjp, adjugate_jvp)


def cofactors(params: Any, a: Any) -> Any:
    """The adjugates of matrices of order 1 to 3, by their definition."""
    (n,) = params
    return np.ones(a.shape) if n == 1 else swapped(a) if n == 2 else crossed(a, a)


def cofactors_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    (n,), (da,) = params, tangents
    return np.zeros(a.shape) * da if n == 1 else swapped(da) if n == 2 else crossed(a, da) + crossed(da, a)


def swapped(a: Any) -> Any:
    return np.stack([np.stack([a[..., 1, 1], -a[..., 0, 1]], -1), np.stack([-a[..., 1, 0], a[..., 0, 0]], -1)], -2)


def crossed(a: Any, b: Any) -> Any:
    """Columns that are products of two rows each, one of a and one of b."""
    return np.stack([np.cross(a[..., (k + 1) % 3, :], b[..., (k + 2) % 3, :]) for k in range(3)], -1)


COFACTORS = Family("the adjugate", cofactors, jvp=cofactors_jvp, native=natively(kernels.adjugate))


def adjugates(a: Any) -> Any:
    n = order_of(a)
    return apply(ADJUGATE if n is None or n > 3 else COFACTORS, (n,), a.shape, a)


def det_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    return (g[..., None] * H(adjugates(a)),)


def det_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    return traces(adjugates(a) @ tangents[0])


DET = Family("np.linalg.det", lambda params, a: np.asarray(np.linalg.det(a))[..., None], det_vjp, det_jvp, native=natively(kernels.det))


def determinants(a: Any) -> Any:
    """As vectors of length 1."""
    return apply(DET, (order_of(a),), (*a.shape[:-2], 1), a)


@implements(np.linalg.det, any_kind=True)
def det(a: Any) -> Any:
    return determinants(square("det", a))[..., 0]


def pinv_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    gt, yt = H(g), H(y)
    first = (gt - a @ (y @ gt)) @ y @ yt
    second = yt @ y @ (gt - (gt @ y) @ a)
    return (first + second - yt @ g @ yt,)


def pinv_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    (da,) = tangents
    dt, yt = H(da), H(y)
    return y @ yt @ (dt - (dt @ a) @ y) + (dt - y @ (a @ dt)) @ yt @ y - y @ da @ y


PINV = Family("np.linalg.pinv", lambda params, a: np.linalg.pinv(a, **dict(params)), pinv_vjp, pinv_jvp)


@implements(np.linalg.pinv, any_kind=True)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    a = matrix("pinv", a)
    if hermitian:
        a = of_triangle(square("pinv", a))
    params = tuple((k, v) for k, v in (("rcond", rcond), ("rtol", rtol)) if v is not None)
    return apply(PINV, params, (*a.shape[:-2], a.shape[-1], a.shape[-2]), a)


@implements(np.linalg.lstsq, any_kind=True)
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    a, b = operand(a), operand(b)
    value = traced.value_of(a)
    m, n = value.shape
    cutoff = np.finfo(value.dtype).eps * (max(m, n) if rcond is None else 1.0) if rcond is None or rcond == -1 else rcond
    _, _, rank, s = np.linalg.lstsq(value, np.zeros(m), rcond)
    x = (pinv(a, cutoff) if traced.is_traced(a) else np.linalg.pinv(a, cutoff)) @ b
    rest = b - a @ x
    residuals: Any = np.zeros(0, s.dtype)
    if rank == n and m > n:
        residuals = np.sum(np.real(rest * conj(rest)), axis=0, keepdims=np.ndim(b) == 1)
    return x, residuals, rank, svdvals(a) if traced.is_traced(a) else s


@implements(np.linalg.cond, any_kind=True)
def cond(x: Any, p: Any = None) -> Any:
    x = matrix("cond", x)
    if p is None or p in (2, -2):
        s = svdvals(x)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return np.linalg.norm(x, p, axis=(-2, -1)) * np.linalg.norm(inv(x), p, axis=(-2, -1))
