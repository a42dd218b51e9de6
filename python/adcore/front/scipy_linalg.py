"""scipy.linalg on traced arrays: its functions go past NumPy's protocols and are reached by rebinding of names.

Every name of ``scipy.linalg`` stands in one of three tables: it has a twin, it looks at values only, or it is refused with a
reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import errors
from ..tracer import array as traced
from . import linalg
from .calls import Family, apply
from .complex import is_complex, promoted
from .dispatch import refuse, unsupported
from .linalg import H, conj, diagonal_of, identity_like, joined, loop, minus, mT, operand, parts, solve_matrices, solve_triangle

# functions of scipy.linalg, which go past NumPy's protocols: reached by rebinding of names
REBOUND: dict[str, Callable[..., Any]] = {}


def twin(f: Callable[..., Any]) -> Callable[..., Any]:
    """Register a function for that of the same name in scipy.linalg."""
    REBOUND[f.__name__] = f
    return f


def one_matrix(name: str, a: Any) -> Any:
    """The argument as one matrix."""
    a = operand(a)
    if a.ndim != 2:
        raise unsupported(f"scipy.linalg.{name}", f"an array of {a.ndim} dimensions", "call it for one matrix after the other")
    return a


def one_square(name: str, a: Any) -> Any:
    a = one_matrix(name, a)
    if a.shape[0] != a.shape[1]:
        raise ValueError(f"{traced.where_text()}scipy.linalg.{name}: expected a square matrix, got shape {a.shape}")
    return a


def as_columns(b: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Right-hand sides as columns, and how to give a solution their shape."""
    b = operand(b)
    return (b[:, None], lambda x: x[..., 0]) if b.ndim == 1 else (b, lambda x: x)


# -- linear equations ------------------------------------------------------------------------------------------

ASSUMED = {
    "gen": "general", "sym": "symmetric", "her": "hermitian", "pos": "positive definite", "diag": "diagonal",
    "tri": "tridiagonal",
}  # fmt: skip


def as_assumed(a: Any, assume_a: Any, lower: bool) -> Any:
    """What is read of a matrix that is assumed to be of a kind."""
    kind = ASSUMED.get(assume_a, assume_a)
    if kind in ("symmetric", "hermitian", "positive definite"):
        return linalg.of_triangle(a, not lower, mT if kind == "symmetric" else H)
    if kind == "tridiagonal":
        n = a.shape[-1]
        return a * (np.abs(np.subtract.outer(np.arange(n), np.arange(n))) <= 1).astype(float)
    if kind in (None, "general", "banded", "diagonal", "lower triangular", "upper triangular"):
        return a
    raise ValueError(f"{traced.where_text()}{assume_a} is not a recognized matrix structure")


@twin
def solve(a: Any, b: Any, lower: bool = False, overwrite_a: bool = False, overwrite_b: bool = False, check_finite: bool = True,
          assume_a: Any = None, transposed: bool = False) -> Any:  # fmt: skip
    a, b = operand(a), operand(b)
    kind = ASSUMED.get(assume_a, assume_a)
    if kind in ("upper triangular", "lower triangular"):
        return solve_triangular(a, b, 1 if transposed else 0, kind == "lower triangular")
    if kind == "diagonal":
        d = diagonal_of(a)
        return b / (d if b.ndim == 1 else d[..., None])
    a = as_assumed(a, assume_a, lower)
    return linalg.solve(mT(a) if transposed else a, b)


@twin
def inv(a: Any, overwrite_a: bool = False, check_finite: bool = True, *, assume_a: Any = None, lower: bool = False) -> Any:
    a = linalg.square("inv", a)
    kind = ASSUMED.get(assume_a, assume_a)
    if kind in ("upper triangular", "lower triangular"):
        return solve_triangle(a, identity_like(a), kind == "lower triangular")
    if kind == "diagonal":
        return linalg.matrices_of(1.0 / diagonal_of(a))
    return linalg.inv(as_assumed(a, assume_a, lower))


@twin
def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    return linalg.det(a)


@twin
def solve_triangular(a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False, overwrite_b: bool = False,
                     check_finite: bool = True) -> Any:  # fmt: skip
    a = operand(a)
    if trans in (1, "T"):
        a, lower = mT(a), not lower
    elif trans in (2, "C"):
        a, lower = H(a), not lower
    columns, shaped = as_columns(b)
    return shaped(solve_triangle(a, columns, lower, unit_diagonal))


@twin
def cholesky(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    a = linalg.square("cholesky", a)
    return linalg.cholesky(a) if lower else linalg.cholesky(a, upper=True)


@twin
def cho_factor(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    return cholesky(a, lower), lower


@twin
def cho_solve(c_and_lower: Any, b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Any:
    c, lower = c_and_lower
    if lower:
        return solve_triangular(c, solve_triangular(c, b, lower=True), 2, lower=True)
    return solve_triangular(c, solve_triangular(c, b, 2))


def evaluate_pivots(params: Any, a: Any) -> Any:
    import scipy.linalg

    return scipy.linalg.lu_factor(a, check_finite=False)[1].astype(a.real.dtype)


PIVOTS = Family(
    "the pivots of scipy.linalg.lu_factor", evaluate_pivots, lambda params, wanted, g, y, a: (np.zeros(a.shape),), result="real"
)


def pivots_of(a: Any) -> Any:
    """The rows that partial pivoting exchanges; a replay holds as long as they are the same."""
    return np.asarray(traced.value_of(apply(PIVOTS, (), (min(a.shape),), a))).astype(np.int32)


def rows_of(pivots: Any, n: int) -> Any:
    """The order of rows that exchanges lead to."""
    order = np.arange(n)
    for k, p in enumerate(pivots):
        order[[k, p]] = order[[p, k]]
    return order


def evaluate_lu(params: Any, a: Any) -> Any:
    """Unpivoted: the rows are in the order that partial pivoting chose."""
    import scipy.linalg

    lu, pivots = scipy.linalg.lu_factor(a, check_finite=False)
    if np.any(pivots != np.arange(len(pivots))):
        lu = np.array(a)
        for k in range(len(lu)):
            lu[k + 1 :, k] /= lu[k, k]
            lu[k + 1 :, k + 1 :] -= np.outer(lu[k + 1 :, k], lu[k, k + 1 :])
    return lu


def unit_lower(y: Any) -> Any:
    return linalg.lower_of(y, -1) + np.eye(*y.shape[-2:])


def lu_parts(y: Any) -> tuple[Any, Any]:
    """The factors of square packed ones, as a rule reads them."""
    return unit_lower(y), linalg.checked("scipy.linalg.lu_factor", linalg.regular, linalg.DEPENDENT, linalg.upper_of(y))


def lu_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    low, up = lu_parts(y)
    m = linalg.lower_of(H(low) @ linalg.lower_of(g, -1), -1) + linalg.upper_of(linalg.upper_of(g) @ H(up))
    return (H(solve_triangle(up, H(solve_triangle(H(low), m, False, True)), False)),)


def lu_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    low, up = lu_parts(y)
    m = mT(solve_triangle(mT(up), mT(solve_triangle(low, tangents[0], True, True)), True))
    return linalg.lower_of(low @ linalg.lower_of(m, -1), -1) + linalg.upper_of(linalg.upper_of(m) @ up)


LU = Family("scipy.linalg.lu_factor", evaluate_lu, lu_vjp, lu_jvp)


def factored(a: Any) -> tuple[Any, Any]:
    """The packed factors of a matrix of any shape, and the pivots."""
    pivots = pivots_of(a)
    a = a[rows_of(pivots, a.shape[0])]
    k = min(a.shape)
    y = apply(LU, (), (k, k), a[:k, :k])
    if a.shape[0] > k:
        y = np.concatenate([y, mT(solve_triangle(mT(linalg.upper_of(y)), mT(a[k:]), True))], axis=0)
    if a.shape[1] > k:
        y = np.concatenate([y, solve_triangle(y, a[:, k:], True, True)], axis=1)
    return y, pivots


@twin
def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """(LU, pivots) with the factors packed as LAPACK does: the pivots are values."""
    return factored(one_matrix("lu_factor", a))


@twin
def lu(a: Any, permute_l: bool = False, overwrite_a: bool = False, check_finite: bool = True, p_indices: bool = False) -> Any:
    a = one_matrix("lu", a)
    y, pivots = factored(a)
    k = min(a.shape)
    low, up = unit_lower(y[:, :k]), linalg.upper_of(y[:k])
    back = np.argsort(rows_of(pivots, a.shape[0]))
    if permute_l:
        return low[back], up
    return (back if p_indices else np.eye(a.shape[0])[back]), low, up


@twin
def lu_solve(lu_and_piv: Any, b: Any, trans: int = 0, overwrite_b: bool = False, check_finite: bool = True) -> Any:
    y, pivots = lu_and_piv
    y, b = operand(y), operand(b)
    order = rows_of(pivots, y.shape[0])
    if trans == 0:
        return solve_triangular(y, solve_triangular(y, b[order], 0, True, True))
    x = solve_triangular(y, solve_triangular(y, b, trans), trans, True, True)
    return x[np.argsort(order)]


# -- bands -------------------------------------------------------------------------------------------------------


def shifted(x: Any, k: int) -> Any:
    """x with its rows k further down, zeros in their place."""
    gap = np.zeros((min(abs(k), x.shape[0]), *x.shape[1:]))
    if k == 0 or not x.shape[0]:
        return x
    return np.concatenate([gap, x[:-k]] if k > 0 else [x[-k:], gap])


def evaluate_banded(params: Any, ab: Any, b: Any) -> Any:
    import scipy.linalg

    return scipy.linalg.solve_banded(params, ab, b, check_finite=False)


def transposed_band(params: Any, ab: Any) -> tuple[Any, Any]:
    low, up = params
    return (up, low), np.stack([shifted(conj(ab[up + k]), k) for k in range(low, -up - 1, -1)])


def banded_vjp(params: Any, wanted: Any, g: Any, y: Any, ab: Any, b: Any) -> Any:
    low, up = params
    s = solve_band(*transposed_band(params, ab), g)
    if not wanted[0]:
        return None, s
    return np.stack([np.sum(-shifted(s, -k) * conj(y), axis=-1) for k in range(-up, low + 1)]), s


def banded_jvp(params: Any, tangents: Any, y: Any, ab: Any, b: Any) -> Any:
    low, up = params
    dab, db = tangents
    moved = None
    for k in range(-up, low + 1) if dab is not None else ():
        moved = minus(shifted(dab[up + k][:, None] * y, k), minus(None, moved))
    return solve_band(params, ab, minus(db, moved))


BANDED = Family("scipy.linalg.solve_banded", evaluate_banded, banded_vjp, banded_jvp)


def solve_band(l_and_u: tuple[int, int], ab: Any, b: Any) -> Any:
    return apply(BANDED, l_and_u, b.shape, ab, b)


@twin
def solve_banded(l_and_u: Any, ab: Any, b: Any, overwrite_ab: bool = False, overwrite_b: bool = False, check_finite: bool = True) -> Any:
    low, up = (int(k) for k in l_and_u)
    columns, shaped = as_columns(b)
    return shaped(solve_band((low, up), one_matrix("solve_banded", ab), columns))


def both_sides(ab: Any, lower: bool) -> Any:
    """The band of a Hermitian matrix from one side of it."""
    k = ab.shape[0] - 1
    if lower:
        middle, above = ab[:1], [shifted(conj(ab[j]), j)[None] for j in range(k, 0, -1)]
        return np.concatenate([*above, linalg_real(middle), ab[1:]])
    below = [shifted(conj(ab[k - j]), -j)[None] for j in range(1, k + 1)]
    return np.concatenate([ab[:k], linalg_real(ab[k:]), *below])


def linalg_real(x: Any) -> Any:
    return np.real(x) if is_complex(x) else x


@twin
def solveh_banded(ab: Any, b: Any, overwrite_ab: bool = False, overwrite_b: bool = False, lower: bool = False,
                  check_finite: bool = True) -> Any:  # fmt: skip
    ab = one_matrix("solveh_banded", ab)
    k = ab.shape[0] - 1
    return solve_banded((k, k), both_sides(ab, lower), b)


def taken(flat: Any, index: np.ndarray[Any, Any]) -> Any:
    """Elements by their numbers; -1 is a zero."""
    return np.concatenate([flat, np.zeros(1)])[index]


def matrix_of_band(ab: Any, low: int, up: int) -> Any:
    n = ab.shape[1]
    i, j = np.indices((n, n))
    inside = (i - j <= low) & (j - i <= up)
    return taken(np.ravel(ab), np.where(inside, (up + i - j) * n + j, -1))


def band_of_matrix(a: Any, low: int, up: int) -> Any:
    n = a.shape[0]
    row, j = np.indices((low + up + 1, n))
    i = row - up + j
    return taken(np.ravel(a), np.where((i >= 0) & (i < n), i * n + j, -1))


@twin
def cholesky_banded(ab: Any, overwrite_ab: bool = False, lower: bool = False, check_finite: bool = True) -> Any:
    """By the whole matrix: its cost is that of a dense one."""
    ab = one_matrix("cholesky_banded", ab)
    k = ab.shape[0] - 1
    low = linalg.cholesky(matrix_of_band(both_sides(ab, lower), k, k))
    return band_of_matrix(low, k, 0) if lower else band_of_matrix(H(low), 0, k)


@twin
def cho_solve_banded(cb_and_lower: Any, b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Any:
    cb, lower = cb_and_lower
    cb = one_matrix("cho_solve_banded", cb)
    k = cb.shape[0] - 1
    first, second = ((k, 0), cb), transposed_band((k, 0) if lower else (0, k), cb)
    if not lower:
        first, second = second, ((0, k), cb)
    columns, shaped = as_columns(b)
    return shaped(solve_band(*second, solve_band(*first, columns)))


# -- matrices made of vectors ---------------------------------------------------------------------------------------


def vector(name: str, x: Any) -> Any:
    x = operand(x)
    if x.ndim > 1:
        raise unsupported(f"scipy.linalg.{name}", f"an array of {x.ndim} dimensions", "call it for one vector after the other")
    return np.reshape(x, (-1,))


@twin
def block_diag(*arrays: Any) -> Any:
    blocks = [np.atleast_2d(operand(a)) for a in arrays]
    n = sum(b.shape[1] for b in blocks)
    rows, j = [], 0
    for b in blocks:
        rows.append(np.pad(b, ((0, 0), (j, n - j - b.shape[1]))))
        j += b.shape[1]
    return np.concatenate(rows)


@twin
def toeplitz(c: Any, r: Any = None) -> Any:
    c = vector("toeplitz", c)
    r = conj(c) if r is None else vector("toeplitz", r)
    n, m = c.shape[0], r.shape[0]
    return np.concatenate([r[:0:-1], c])[np.arange(n)[:, None] - np.arange(m) + m - 1]


@twin
def hankel(c: Any, r: Any = None) -> Any:
    c = vector("hankel", c)
    n = c.shape[0]
    r = np.zeros(n) if r is None else vector("hankel", r)
    return np.concatenate([c, r[1:]])[np.arange(n)[:, None] + np.arange(r.shape[0])]


@twin
def circulant(c: Any) -> Any:
    c = vector("circulant", c)
    n = c.shape[0]
    return c[(np.arange(n)[:, None] - np.arange(n)) % n]


@twin
def convolution_matrix(a: Any, n: int, mode: str = "full") -> Any:
    a = vector("convolution_matrix", a)
    k = a.shape[0]
    i, j = np.indices((n + k - 1, n))
    full = taken(a, np.where((i - j >= 0) & (i - j < k), i - j, -1))
    if mode == "full":
        return full
    size = {"same": max(n, k), "valid": max(n, k) - min(n, k) + 1}[mode]
    first = (full.shape[0] - size) // 2
    return full[first : first + size]


@twin
def companion(a: Any) -> Any:
    a = vector("companion", a)
    n = a.shape[0] - 1
    return np.concatenate([(-a[1:] / a[0])[None], np.eye(n)[:-1]])


@twin
def fiedler(a: Any) -> Any:
    a = vector("fiedler", a)
    return np.abs(a[:, None] - a[None, :])


@twin
def fiedler_companion(a: Any) -> Any:
    a = vector("fiedler_companion", a)
    a = a / a[0]
    n = a.shape[0] - 1
    if n == 1:
        return -a[1:, None]
    index, ones = np.full((n, n), -1), np.zeros((n, n))
    ones[range(3, n, 2), range(1, n - 2, 2)] = 1.0
    ones[range(0, n - 2, 2), range(2, n, 2)] = 1.0
    ones[1, 0] = 1.0
    index[range(2, n, 2), range(1, n - 1, 2)] = range(3, n + 1, 2)
    index[range(0, n - 1, 2), range(1, n, 2)] = range(2, n + 1, 2)
    index[0, 0] = 1
    return taken(-a, index) + ones


@twin
def leslie(f: Any, s: Any) -> Any:
    f, s = vector("leslie", f), vector("leslie", s)
    n = f.shape[0]
    return np.concatenate([f[None], linalg.matrices_of(s) @ np.eye(n)[:-1]])


@twin
def diagsvd(s: Any, M: int, N: int) -> Any:
    s = vector("diagsvd", s)
    return np.pad(linalg.matrices_of(s), ((0, M - s.shape[0]), (0, N - s.shape[0])))


@twin
def khatri_rao(a: Any, b: Any) -> Any:
    a, b = one_matrix("khatri_rao", a), one_matrix("khatri_rao", b)
    return np.reshape(a[:, None, :] * b[None, :, :], (-1, a.shape[1]))


def toeplitz_of(c_or_cr: Any) -> Any:
    return toeplitz(*c_or_cr) if isinstance(c_or_cr, tuple) else toeplitz(c_or_cr)


@twin
def solve_toeplitz(c_or_cr: Any, b: Any, check_finite: bool = True) -> Any:
    """By the whole matrix: its cost is that of a dense one."""
    return linalg.solve(toeplitz_of(c_or_cr), b)


@twin
def matmul_toeplitz(c_or_cr: Any, x: Any, check_finite: bool = False, workers: Any = None) -> Any:
    return toeplitz_of(c_or_cr) @ operand(x)


@twin
def solve_circulant(c: Any, b: Any, singular: str = "raise", tol: Any = None, caxis: int = -1, baxis: int = 0, outaxis: int = 0) -> Any:
    c, b = np.moveaxis(operand(c), caxis, -1), np.moveaxis(operand(b), baxis, -1)
    spectrum = np.fft.fft(c)
    size = np.abs(np.fft.fft(traced.value_of(c)))
    if np.any(size <= (size.max(axis=-1, keepdims=True) * c.shape[-1] * np.finfo(float).eps if tol is None else tol)):
        if singular == "raise":
            raise np.linalg.LinAlgError(f"{traced.where_text()}near singular circulant matrix.")
        raise unsupported("scipy.linalg.solve_circulant", "a singular matrix", "use lstsq of circulant(c)")
    x = np.fft.ifft(np.fft.fft(b) / spectrum)
    return np.moveaxis(x if is_complex(c) or is_complex(b) else x.real, -1, outaxis)


# -- matrix equations ------------------------------------------------------------------------------------------------


def evaluate_sylvester(params: Any, a: Any, b: Any, q: Any) -> Any:
    import scipy.linalg

    return scipy.linalg.solve_sylvester(a, b, q)


def sylvester_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any, b: Any, q: Any) -> Any:
    s = sylvester(H(a), H(b), g)
    return -(s @ H(y)) if wanted[0] else None, -(H(y) @ s) if wanted[1] else None, s


def sylvester_jvp(params: Any, tangents: Any, y: Any, a: Any, b: Any, q: Any) -> Any:
    da, db, dq = tangents
    right = minus(dq, None if da is None else da @ y)
    return sylvester(a, b, minus(right, None if db is None else y @ db))


SYLVESTER = Family("scipy.linalg.solve_sylvester", evaluate_sylvester, sylvester_vjp, sylvester_jvp)


def sylvester(a: Any, b: Any, q: Any) -> Any:
    """A X + X B = Q."""
    return apply(SYLVESTER, (), q.shape, a, b, q)


@twin
def solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    return sylvester(*(one_matrix("solve_sylvester", x) for x in (a, b, q)))


@twin
def solve_continuous_lyapunov(a: Any, q: Any) -> Any:
    a = one_square("solve_continuous_lyapunov", a)
    return sylvester(a, H(a), operand(q))


REBOUND["solve_lyapunov"] = solve_continuous_lyapunov


def evaluate_stein(params: Any, a: Any, q: Any) -> Any:
    import scipy.linalg

    return scipy.linalg.solve_discrete_lyapunov(a, q, params)


def stein_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any, q: Any) -> Any:
    s = apply(STEIN, params, g.shape, H(a), g)
    return s @ a @ H(y) + H(s) @ a @ y if wanted[0] else None, s


def stein_jvp(params: Any, tangents: Any, y: Any, a: Any, q: Any) -> Any:
    da, dq = tangents
    moved = None if da is None else da @ y @ H(a) + a @ y @ H(da)
    return apply(STEIN, params, y.shape, a, minus(dq, minus(None, moved)))


STEIN = Family("scipy.linalg.solve_discrete_lyapunov", evaluate_stein, stein_vjp, stein_jvp)


@twin
def solve_discrete_lyapunov(a: Any, q: Any, method: Any = None) -> Any:
    """A X A^H - X + Q = 0."""
    a, q = one_square("solve_discrete_lyapunov", a), operand(q)
    return apply(STEIN, method, q.shape, a, q)


def riccati(name: str, gain: Callable[..., Any], solved: Callable[..., Any]) -> None:
    """A Riccati equation. X is the least cost over all gains K, so its change is that of the cost with the gain held."""

    def evaluate(params: Any, *args: Any) -> Any:
        import scipy.linalg

        return getattr(scipy.linalg, name)(*args)

    def jvp(params: Any, tangents: Any, x: Any, a: Any, b: Any, q: Any, r: Any) -> Any:
        da, db, dq, dr = tangents
        k = gain(a, b, r, x)
        moved = minus(da, None if db is None else db @ k)
        cost = minus(dq, None if dr is None else -(H(k) @ dr @ k))
        return solved(a - b @ k, x, moved, cost)

    family = Family(f"scipy.linalg.{name}", evaluate, jvp=jvp)

    def of(a: Any, b: Any, q: Any, r: Any, e: Any = None, s: Any = None, balanced: bool = True) -> Any:
        if e is not None or s is not None:
            raise unsupported(f"scipy.linalg.{name}", "e= or s=", "bring the equation to standard form first")
        a, b, q, r = (one_matrix(name, x) for x in (a, b, q, r))
        return apply(family, (), a.shape, a, b, q, r)

    of.__name__ = name
    twin(of)


def continuous_change(closed: Any, x: Any, moved: Any, cost: Any) -> Any:
    if moved is not None:
        cost = minus(H(moved) @ x + x @ moved, minus(None, cost))
    return sylvester(H(closed), closed, -cost)


def discrete_change(closed: Any, x: Any, moved: Any, cost: Any) -> Any:
    if moved is not None:
        half = H(closed) @ x @ moved
        cost = minus(half + H(half), minus(None, cost))
    return apply(STEIN, None, x.shape, H(closed), cost)


riccati("solve_continuous_are", lambda a, b, r, x: solve_matrices(r, H(b) @ x), continuous_change)
riccati("solve_discrete_are", lambda a, b, r, x: solve_matrices(r + H(b) @ x @ b, H(b) @ x @ a), discrete_change)


# -- functions of matrices ----------------------------------------------------------------------------------------------


def evaluate_function(params: Any, a: Any) -> Any:
    import scipy.linalg

    name, *more = params
    y = loop(lambda x: getattr(scipy.linalg, name)(x, *more), a)
    if not is_complex(y) or is_complex(a):
        return y
    if np.max(np.abs(y.imag), initial=0.0) > 1e-13 * np.max(np.abs(y), initial=0.0):
        raise errors.NotDifferentiable(
            f"{traced.where_text()}scipy.linalg.{name}: a real matrix with negative eigenvalues lies on the branch cut, and its result "
            "is complex. Give it a small imaginary part, a + 1e-12j * np.eye(n), to choose a side."
        )
    return y.real


def along(params: Any, a: Any, e: Any) -> Any:
    """The derivative of f(A) along E is the upper right block of f([[A, E], [0, A]]) (N. Higham, *Functions of Matrices*,
    2008, section 3.2)."""
    n = a.shape[-1]
    zero = np.zeros(a.shape)
    block = np.concatenate([np.concatenate([a, e], axis=-1), np.concatenate([zero, a], axis=-1)], axis=-2)
    return apply(FUNCTION, params, block.shape, block)[..., :n, n:]


FUNCTION: Family = Family(
    "a function of a matrix",
    evaluate_function,
    lambda params, wanted, g, y, a: (along(params, H(a), g),),
    lambda params, tangents, y, a: along(params, a, tangents[0]),
)


def of_matrix(name: str, a: Any, *more: Any) -> Any:
    """A function of SciPy's by name."""
    a = linalg.square(name, a)
    return apply(FUNCTION, (name, *more), a.shape, a)


@twin
def expm(A: Any) -> Any:
    return of_matrix("expm", A)


@twin
def logm(A: Any, disp: Any = True) -> Any:
    return of_matrix("logm", A)


@twin
def fractional_matrix_power(A: Any, t: Any) -> Any:
    if traced.is_active(t):
        raise refuse("scipy.linalg.fractional_matrix_power", "by its power t: use expm(t * logm(A))")
    return of_matrix("fractional_matrix_power", A, float(t))


def sqrtm_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any) -> Any:
    return (sylvester(H(y), H(y), g),)


def sqrtm_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    return sylvester(y, y, tangents[0])


def evaluate_complex_sqrtm(params: Any, a: Any) -> Any:
    import scipy.linalg

    y = scipy.linalg.sqrtm(a)
    return y.astype(np.result_type(y, np.complex64))


def leaves_the_reals(params: Any, a: Any) -> Any:
    """1 where a real matrix has a complex root."""
    import scipy.linalg

    y = scipy.linalg.sqrtm(a)
    return np.array([float(is_complex(y) and np.max(np.abs(y.imag), initial=0.0) > 1e-13 * np.max(np.abs(y)))])


LEAVES_THE_REALS = Family("the kind of scipy.linalg.sqrtm", leaves_the_reals, lambda params, wanted, g, y, a: (np.zeros(a.shape),))
SQRTM = Family("scipy.linalg.sqrtm", evaluate_function, sqrtm_vjp, sqrtm_jvp)
COMPLEX_SQRTM = Family("scipy.linalg.sqrtm", evaluate_complex_sqrtm, sqrtm_vjp, sqrtm_jvp, "complex")


@twin
def sqrtm(A: Any, disp: Any = True, blocksize: Any = None) -> Any:
    """X with X @ X = A: its change solves X dX + dX X = dA."""
    a = one_square("sqrtm", A)
    turns = not is_complex(a) and bool(apply(LEAVES_THE_REALS, (), (1,), a)[0] != 0.0)
    return apply(COMPLEX_SQRTM if turns else SQRTM, ("sqrtm",), a.shape, a)


def signm_jvp(params: Any, tangents: Any, s: Any, a: Any) -> Any:
    (da,) = tangents
    return sylvester(s @ a, s @ a, da - s @ da @ s)


SIGNM = Family("scipy.linalg.signm", evaluate_function, jvp=signm_jvp)


@twin
def signm(A: Any, disp: Any = True) -> Any:
    """S with S @ S = 1: its change solves N dS + dS N = dA - S dA S with N = S A (Higham, theorem 5.3)."""
    a = one_square("signm", A)
    return apply(SIGNM, ("signm",), a.shape, a)


def halves_of_exponential(a: Any) -> tuple[Any, Any]:
    """exp(iA) and exp(-iA), of which a real matrix needs one."""
    plus = of_matrix("expm", 1j * promoted(a))
    return plus, np.conj(plus) if not is_complex(a) else of_matrix("expm", -1j * a)


@twin
def cosm(A: Any) -> Any:
    a = linalg.square("cosm", A)
    plus, less = halves_of_exponential(a)
    return 0.5 * (plus + less) if is_complex(a) else plus.real


@twin
def sinm(A: Any) -> Any:
    a = linalg.square("sinm", A)
    plus, less = halves_of_exponential(a)
    return -0.5j * (plus - less) if is_complex(a) else plus.imag


@twin
def tanm(A: Any) -> Any:
    return linalg.solve(cosm(A), sinm(A))


@twin
def coshm(A: Any) -> Any:
    a = linalg.square("coshm", A)
    return 0.5 * (expm(a) + expm(-a))


@twin
def sinhm(A: Any) -> Any:
    a = linalg.square("sinhm", A)
    return 0.5 * (expm(a) - expm(-a))


@twin
def tanhm(A: Any) -> Any:
    return linalg.solve(coshm(A), sinhm(A))


@twin
def expm_frechet(A: Any, E: Any, method: Any = None, compute_expm: bool = True, check_finite: bool = True) -> Any:
    a, e = one_square("expm_frechet", A), one_square("expm_frechet", E)
    found = along(("expm",), a, e)
    return (expm(a), found) if compute_expm else found


# -- factorisations ---------------------------------------------------------------------------------------------------------


def evaluate_pivoted_columns(params: Any, a: Any) -> Any:
    import scipy.linalg

    return scipy.linalg.qr(a, mode="economic", pivoting=True, check_finite=False)[2].astype(a.real.dtype)


COLUMNS = Family(
    "the pivots of scipy.linalg.qr", evaluate_pivoted_columns, lambda params, wanted, g, y, a: (np.zeros(a.shape),), result="real"
)


@twin
def qr(a: Any, overwrite_a: bool = False, lwork: Any = None, mode: str = "full", pivoting: bool = False, check_finite: bool = True) -> Any:
    a = one_matrix("qr", a)
    m, n = a.shape
    if mode not in ("full", "r", "economic") or (mode == "full" and m > n):
        raise unsupported("scipy.linalg.qr", f"mode={mode!r}", "use mode='economic': further columns of Q are any basis")
    order: tuple[Any, ...] = ()
    if pivoting:
        order = (np.asarray(traced.value_of(apply(COLUMNS, (), (n,), a))).astype(np.int32),)
        a = a[:, order[0]]
    if mode != "r":
        return (*linalg.qr(a), *order)
    r = linalg.qr(a, "r")
    return (np.concatenate([r, np.zeros((m - n, n))]) if m > n else r, *order)


@twin
def qr_multiply(a: Any, c: Any, mode: str = "right", pivoting: bool = False, conjugate: bool = False, overwrite_a: bool = False,
                overwrite_c: bool = False) -> Any:  # fmt: skip
    c = operand(c)
    q, *rest = qr(a, mode="economic", pivoting=pivoting)
    q = np.conj(q) if conjugate and is_complex(q) else q
    if mode == "left":
        if c.shape[0] != q.shape[1]:
            raise unsupported("scipy.linalg.qr_multiply", "as many rows in c as in a", "give c as many rows as Q has columns")
        return (q @ c, *rest)
    return (c @ q, *rest)


@twin
def rq(a: Any, overwrite_a: bool = False, lwork: Any = None, mode: str = "full", check_finite: bool = True) -> Any:
    """By the QR factorisation of the matrix read from its last row and column."""
    a = one_matrix("rq", a)
    m, n = a.shape
    if mode not in ("full", "r", "economic") or (mode == "full" and m < n):
        raise unsupported("scipy.linalg.rq", f"mode={mode!r}", "use mode='economic': further rows of Q are any basis")
    k = min(m, n)
    q, r = linalg.qr(H(a[m - k :][::-1, ::-1]))
    q, r = H(q)[::-1, ::-1], H(r)[::-1, ::-1]
    if m > k:
        r = np.concatenate([a[: m - k] @ H(q), r])
    if mode != "r":
        return r, q
    return np.concatenate([np.zeros((m, n - k)), r], axis=1) if n > k else r


@twin
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, overwrite_a: bool = False, check_finite: bool = True,
        lapack_driver: str = "gesdd") -> Any:  # fmt: skip
    found = linalg.svd(a, full_matrices, compute_uv)
    return tuple(found) if compute_uv else found


@twin
def svdvals(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    return linalg.svdvals(a)


@twin
def orth(A: Any, rcond: Any = None) -> Any:
    a = one_matrix("orth", A)
    u, s, _ = linalg.svd(a, full_matrices=False)
    cutoff = np.finfo(s.dtype).eps * max(a.shape) if rcond is None else rcond
    kept = np.asarray(traced.value_of(s > cutoff * s[0]))
    return u[:, : int(np.sum(kept))]


def evaluate_polar(params: Any, a: Any) -> Any:
    import scipy.linalg

    return joined(*scipy.linalg.polar(a), dims=(2, 2))


def polar_jvp(params: Any, tangents: Any, y: Any, a: Any) -> Any:
    """A = U P: P dP + dP P = d(A^H A), and dU P = dA - U dP; equal singular values do not matter."""
    (da,) = tangents
    u, p = parts(y, a.shape, (a.shape[1], a.shape[1]))
    inner = H(a) @ da
    dp = sylvester(p, p, inner + H(inner))
    return joined(H(solve_matrices(p, H(da - u @ dp))), dp, dims=(2, 2))


POLAR = Family("scipy.linalg.polar", evaluate_polar, jvp=polar_jvp)


@twin
def polar(a: Any, side: str = "right") -> Any:
    a = one_matrix("polar", a)
    m, n = a.shape
    if side == "left":  # A = P U where A^H = U^H P
        u, p = polar(H(a))
        return H(u), p
    if m < n:
        raise unsupported("scipy.linalg.polar", "more columns than rows", "use side='left': P is singular here")
    u, p = parts(apply(POLAR, (), (m * n + n * n,), a), (m, n), (n, n))
    return u, p


@twin
def orthogonal_procrustes(A: Any, B: Any, check_finite: bool = True) -> Any:
    m = H(one_matrix("orthogonal_procrustes", A)) @ one_matrix("orthogonal_procrustes", B)
    u, p = polar(m)
    return u, linalg_real(np.trace(p))


@twin
def subspace_angles(A: Any, B: Any) -> Any:
    """After A. Knyazev, M. Argentati, SIAM J. Sci. Comput. 23, 2002: by cosines or sines, whichever is well conditioned."""
    q, p = (linalg.qr(one_matrix("subspace_angles", x))[0] for x in (A, B))
    cosines = H(q) @ p
    s = linalg.svdvals(cosines)
    rest = p - q @ cosines if q.shape[1] >= p.shape[1] else q - p @ H(cosines)
    by_sine = np.arcsin(np.clip(linalg.svdvals(rest), -1.0, 1.0))
    return np.where(s * s >= 0.5, by_sine, np.arccos(np.clip(s[::-1], -1.0, 1.0)))


@twin
def pinv(a: Any, *, atol: Any = None, rtol: Any = None, return_rank: bool = False, check_finite: bool = True) -> Any:
    a = one_matrix("pinv", a)
    if atol is not None:
        raise unsupported("scipy.linalg.pinv", "atol=", "use rtol=")
    rtol = max(a.shape) * np.finfo(a.dtype).eps if rtol is None else float(rtol)
    y = linalg.pinv(a, rtol)
    return (y, np.linalg.matrix_rank(traced.value_of(a), rtol=rtol)) if return_rank else y


@twin
def pinvh(a: Any, atol: Any = None, rtol: Any = None, lower: bool = True, return_rank: bool = False, check_finite: bool = True) -> Any:
    a = one_square("pinvh", a)
    return pinv(linalg.of_triangle(a, not lower), atol=atol, rtol=rtol, return_rank=return_rank)


@twin
def lstsq(a: Any, b: Any, cond: Any = None, overwrite_a: bool = False, overwrite_b: bool = False, check_finite: bool = True,
          lapack_driver: Any = None) -> Any:  # fmt: skip
    a, b = one_matrix("lstsq", a), operand(b)
    x, rest, rank, s = linalg.lstsq(a, b, np.finfo(a.dtype).eps if cond is None else cond)
    return x, rest[0] if b.ndim == 1 and rest.shape[0] else rest, rank, s


@twin
def norm(a: Any, ord: Any = None, axis: Any = None, keepdims: bool = False, check_finite: bool = True) -> Any:
    return np.linalg.norm(operand(a), ord, axis, keepdims)


# -- eigenvalues ---------------------------------------------------------------------------------------------------------------


def part_of_spectrum(name: str, w: Callable[[], Any], n: int, by_index: Any, by_value: Any) -> tuple[int, int]:
    """The first and the last eigenvalue that is wanted. Where their number depends on values, a replay asks again."""
    if by_index is not None:
        return int(by_index[0]), int(by_index[1])
    if by_value is None:
        return 0, n - 1
    values = w()
    inside = np.asarray(traced.value_of((values > by_value[0]) & (values <= by_value[1])))
    found = np.flatnonzero(inside)
    if not found.size:
        raise unsupported(f"scipy.linalg.{name}", "no eigenvalue in the range", "give a range that has some")
    return int(found[0]), int(found[-1])


def symmetric_eig(name: str, a: Any, lower: bool, only_values: bool, by_index: Any, by_value: Any) -> Any:
    """By numpy.linalg.eigh: the signs that SciPy's other drivers give to vectors depend on rounding."""
    letter, n = "L" if lower else "U", a.shape[0]
    values = linalg.eigvalsh(a, letter) if only_values or by_value is not None else None
    first, last = part_of_spectrum(name, lambda: values, n, by_index, by_value)
    if only_values:
        return values[first : last + 1]  # type: ignore[index]
    w, v = linalg.eigh(a, letter)
    return w[first : last + 1], v[:, first : last + 1]


@twin
def eigh(a: Any, b: Any = None, *, lower: bool = True, eigvals_only: bool = False, overwrite_a: bool = False, overwrite_b: bool = False,
         type: int = 1, check_finite: bool = True, subset_by_index: Any = None, subset_by_value: Any = None,
         driver: Any = None) -> Any:  # fmt: skip
    """With b by its Cholesky factor, as LAPACK: inv(L) A inv(L^H) for type 1, L^H A L for types 2 and 3."""
    a = one_square("eigh", a)
    if b is None:
        return symmetric_eig("eigh", a, lower, eigvals_only, subset_by_index, subset_by_value)
    a, b = linalg.of_triangle(a, not lower), one_square("eigh", b)
    low = linalg.cholesky(b if lower else H(b))
    if type == 1:
        inner = solve_triangle(low, H(solve_triangle(low, a, True)), True)
    else:
        inner = H(low) @ a @ low
    found = symmetric_eig("eigh", inner, lower, eigvals_only, subset_by_index, subset_by_value)
    if eigvals_only:
        return found
    w, v = found
    return w, low @ v if type == 3 else solve_triangle(H(low), v, False)


@twin
def eigvalsh(a: Any, b: Any = None, *, lower: bool = True, overwrite_a: bool = False, overwrite_b: bool = False, type: int = 1,
             check_finite: bool = True, subset_by_index: Any = None, subset_by_value: Any = None, driver: Any = None) -> Any:  # fmt: skip
    return eigh(a, b, lower=lower, eigvals_only=True, type=type, subset_by_index=subset_by_index, subset_by_value=subset_by_value)


def selected(select: Any, select_range: Any) -> dict[str, Any]:
    """SciPy's older words for a part of the spectrum."""
    kind = {"a": "a", 0: "a", "all": "a", "v": "v", 1: "v", "value": "v", "i": "i", 2: "i", "index": "i"}[select]
    return {"by_index": select_range if kind == "i" else None, "by_value": select_range if kind == "v" else None}


@twin
def eig_banded(a_band: Any, lower: bool = False, eigvals_only: bool = False, overwrite_a_band: bool = False, select: Any = "a",
               select_range: Any = None, max_ev: int = 0, check_finite: bool = True) -> Any:  # fmt: skip
    """By the whole matrix: its cost is that of a dense one."""
    band = one_matrix("eig_banded", a_band)
    k = band.shape[0] - 1
    if is_complex(band) and not eigvals_only:
        raise unsupported("scipy.linalg.eig_banded", "a complex band", "use scipy.linalg.eigh of the whole matrix")
    a = matrix_of_band(both_sides(band, lower), k, k)
    return symmetric_eig("eig_banded", a, lower, eigvals_only, **selected(select, select_range))


@twin
def eigvals_banded(a_band: Any, lower: bool = False, overwrite_a_band: bool = False, select: Any = "a", select_range: Any = None,
                   check_finite: bool = True) -> Any:  # fmt: skip
    return eig_banded(a_band, lower, True, select=select, select_range=select_range)


@twin
def eigh_tridiagonal(d: Any, e: Any, eigvals_only: bool = False, select: Any = "a", select_range: Any = None, check_finite: bool = True,
                     tol: float = 0.0, lapack_driver: str = "auto") -> Any:  # fmt: skip
    """By the whole matrix: its cost is that of a dense one."""
    d, e = vector("eigh_tridiagonal", d), vector("eigh_tridiagonal", e)
    off = np.pad(linalg.matrices_of(e), ((1, 0), (0, 1)))
    a = linalg.matrices_of(d) + off + mT(off)
    return symmetric_eig("eigh_tridiagonal", a, True, eigvals_only, **selected(select, select_range))


@twin
def eigvalsh_tridiagonal(d: Any, e: Any, select: Any = "a", select_range: Any = None, check_finite: bool = True, tol: float = 0.0,
                         lapack_driver: str = "auto") -> Any:  # fmt: skip
    return eigh_tridiagonal(d, e, True, select, select_range)


@twin
def eig(a: Any, b: Any = None, left: bool = False, right: bool = True, overwrite_a: bool = False, overwrite_b: bool = False,
        check_finite: bool = True, homogeneous_eigvals: bool = False) -> Any:  # fmt: skip
    """The eigenvalues are complex, the vectors are real where all eigenvalues are."""
    a = one_square("eig", a)
    if not left and not right:
        return eigvals(a, b, homogeneous_eigvals=homogeneous_eigvals)
    if left or b is not None or homogeneous_eigvals:
        raise unsupported("scipy.linalg.eig", "left=True, b= or homogeneous_eigvals=True", "left vectors are the rows of inv(vr); "
                          "for b use np.linalg.eig(np.linalg.solve(b, a))")  # fmt: skip
    w, v = linalg.complex_eig(a)
    return w, v.real if linalg.is_real(a, w) else v


@twin
def eigvals(a: Any, b: Any = None, overwrite_a: bool = False, check_finite: bool = True, homogeneous_eigvals: bool = False) -> Any:
    a = one_square("eigvals", a)
    if homogeneous_eigvals:
        raise unsupported("scipy.linalg.eigvals", "homogeneous_eigvals=True", "use the eigenvalues themselves")
    if b is not None:
        a = solve_matrices(one_square("eigvals", b), a)
    return apply(linalg.EIGVALS, (), a.shape[:-1], a)


# -- what looks at values only, and what is refused ----------------------------------------------------------------------------------

ON_VALUES = frozenset(
    "bandwidth dft find_best_blas_type get_blas_funcs get_lapack_funcs hadamard helmert hilbert invhilbert invpascal ishermitian "
    "issymmetric pascal".split()
)

BASIS = "its columns are any basis of the space: use a function of the projector, or np.linalg.svd"
SCHUR = "a Schur form is not unique: use np.linalg.eig or eigh"
REFUSED: dict[str, str] = {
    "cdf2rdf": "it rearranges by the eigenvalues: use the complex form",
    "clarkson_woodruff_transform": "it is random: multiply with a sketching matrix of your own",
    "cossin": "its bases are not unique: use np.linalg.svd of the blocks",
    "expm_cond": "a condition number has kinks nobody has written: use expm_frechet",
    "funm": "it takes any function: use expm, logm, sqrtm, or np.linalg.eig",
    "hessenberg": "a Hessenberg form is not unique: use np.linalg.eig",
    "kron": "SciPy has dropped it: use np.kron",
    "ldl": "its pivots are blocks: use cholesky or lu",
    "matrix_balance": "its scales are powers of 2 that jump",
    "null_space": BASIS,
    "ordqz": SCHUR,
    "qr_delete": "use qr of the changed matrix",
    "qr_insert": "use qr of the changed matrix",
    "qr_update": "use qr of the changed matrix",
    "qz": SCHUR,
    "rsf2csf": SCHUR,
    "schur": SCHUR,
}
