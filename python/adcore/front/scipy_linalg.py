"""scipy.linalg on traced arrays: its functions go past NumPy's protocols and are reached by rebinding of names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import errors
from ..tracer import array as traced
from .calls import Family, apply
from .dispatch import refuse
from .linalg import cholesky, det, diagonal_of, eigh, eigvalsh, inv, minus, mT, pinv, solve, solve_triangle, square, svd, svdvals


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
