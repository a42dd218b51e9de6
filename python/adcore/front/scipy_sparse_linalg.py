"""scipy.sparse.linalg on traced values: solutions by entries and right-hand sides, from factors that both directions share."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg as plain

from .. import errors
from ..tracer import array as traced
from . import dispatch, scipy_sparse
from .calls import Family, apply
from .dispatch import unsupported
from .linalg import operand
from .scipy_sparse import Matrix, Sparse, as_sparse, met
from .sparse import Structure, entries_adjoint, product

# functions of scipy.sparse.linalg, which go past NumPy's protocols: reached by rebinding of names
REBOUND: dict[str, Any] = {}


def twin(f: Any, name: str = "") -> Any:
    """A function of scipy.sparse.linalg for traced values; SciPy's where none is given."""
    own = getattr(plain, name or f.__name__)

    @functools.wraps(own)
    def of(*args: Any, **kw: Any) -> Any:
        return f(*args, **kw) if met(*args, *kw.values()) else own(*args, **kw)

    of.decides = True  # type: ignore[attr-defined]
    REBOUND[own.__name__] = of
    return f


# -- solutions -------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=4)
def factors(structure: Structure, entries: bytes, dtype: str) -> Any:
    """The factors of a matrix: the solution, its derivative and the next right-hand side ask for the same ones."""
    return plain.splu(structure.filled(np.frombuffer(entries, dtype)).tocsc())


def solved(lu: Any, b: Any, flipped: bool) -> Any:
    """The solution with a matrix, or with its transpose, by its factors."""
    turn = "T" if flipped else "N"
    if b.dtype.kind == "c" and lu.L.dtype.kind != "c":
        return lu.solve(np.ascontiguousarray(b.real), turn) + 1j * lu.solve(np.ascontiguousarray(b.imag), turn)
    return lu.solve(np.asarray(b, lu.L.dtype), turn)


def evaluate(params: Any, entries: Any, b: Any) -> Any:
    structure, flipped = params
    entries = np.asarray(entries, np.result_type(entries, np.float64))
    return solved(factors(structure, entries.tobytes(), entries.dtype.str), b, flipped)


def solution(params: Any, entries: Any, b: Any) -> Any:
    return apply(SOLUTION, params, b.shape, entries, b)


def vjp(params: Any, wanted: Any, g: Any, y: Any, entries: Any, b: Any) -> Any:
    structure, flipped = params
    gb = solution((structure, not flipped), np.conj(entries), g)
    return -entries_adjoint(params, gb, y) if wanted[0] else None, gb if wanted[1] else None


def jvp(params: Any, tangents: Any, y: Any, entries: Any, b: Any) -> Any:
    moved = 0.0 if tangents[1] is None else tangents[1]
    if tangents[0] is not None:
        moved = moved - product(params, tangents[0], y)
    return solution(params, entries, moved)


SOLUTION = Family("scipy.sparse.linalg.spsolve", evaluate, vjp, jvp)


def solve(name: str, A: Any, b: Any, flipped: bool = False) -> Any:
    if isinstance(b, Sparse) or scipy.sparse.issparse(b):
        raise unsupported(name, "a sparse right-hand side", "give b.toarray()")
    structure, entries = as_sparse(A).as_rows()
    b = operand(b.A if isinstance(b, Matrix) else b)
    n, m = structure.shape
    if n != m:
        raise ValueError(f"{traced.where_text()}matrix must be square (has shape {(n, m)})")
    if len(b.shape) not in (1, 2) or b.shape[0] != n:
        raise ValueError(f"{traced.where_text()}matrix - rhs dimension mismatch ({structure.shape} - {b.shape[0]})")
    return solution((structure, flipped), entries, b)


@twin
def spsolve(A: Any, b: Any, permc_spec: Any = None, use_umfpack: bool = True) -> Any:
    x = solve("scipy.sparse.linalg.spsolve", A, b)
    return x[:, 0] if len(x.shape) == 2 and x.shape[1] == 1 else x


@twin
def spsolve_triangular(A: Any, b: Any, lower: bool = True, overwrite_A: bool = False, overwrite_b: bool = False,
                       unit_diagonal: bool = False) -> Any:  # fmt: skip
    a = as_sparse(A)
    half, other = (scipy.sparse.tril, scipy.sparse.triu) if lower else (scipy.sparse.triu, scipy.sparse.tril)
    if other(a.numbers, 1 if lower else -1).count_nonzero():
        raise unsupported("scipy.sparse.linalg.spsolve_triangular", "a matrix that has entries on both sides", "give its tril or triu")
    if unit_diagonal:
        a = a.like(half(a.numbers, -1 if lower else 1)) + scipy.sparse.eye_array(a.shape[0])
    return solve("scipy.sparse.linalg.spsolve_triangular", a, b)


class Factors:
    """``splu`` of a matrix of traced entries."""

    def __init__(self, A: Any) -> None:
        self.matrix = as_sparse(A)
        self.shape = self.matrix.shape

    def solve(self, rhs: Any, trans: str = "N") -> Any:
        return solve("SuperLU.solve", self.matrix.conj() if trans == "H" else self.matrix, rhs, trans != "N")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise dispatch.refuse(f"scipy.sparse.linalg.SuperLU.{name}", "the factors themselves are not differentiated", "A")


@twin
def splu(A: Any, *args: Any, **kw: Any) -> Any:
    return Factors(A)


@twin
def factorized(A: Any) -> Any:
    return Factors(A).solve


# -- factors that somebody holds ----------------------------------------------------------------------------------------


def evaluate_held(params: Any, b: Any) -> Any:
    return solved(params[0], b, params[1])


def held_vjp(params: Any, wanted: Any, g: Any, y: Any, b: Any) -> Any:
    lu, turn = params
    return (np.conj(by_held(lu, not turn, np.conj(g))),)


def held_jvp(params: Any, tangents: Any, y: Any, b: Any) -> Any:
    return by_held(params[0], params[1], tangents[0])


HELD = Family("SuperLU.solve", evaluate_held, held_vjp, held_jvp)


def by_held(lu: Any, flipped: bool, b: Any) -> Any:
    return apply(HELD, (lu, flipped), b.shape, b)


class HeldFactors:
    """Factors that were made outside of the recording."""

    def __init__(self, lu: Any) -> None:
        self.lu = lu

    def solve(self, rhs: Any, trans: str = "N") -> Any:
        if traced.find_trace(rhs) is None:
            return self.lu.solve(rhs, trans)
        if trans == "H":
            return np.conj(by_held(self.lu, True, np.conj(operand(rhs))))
        return by_held(self.lu, trans == "T", operand(rhs))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.lu, name)


def instance(value: Any) -> Any:
    """What stands for an object of scipy.sparse.linalg that was made outside."""
    return HeldFactors(value) if isinstance(value, plain.SuperLU) else value


# -- iterations --------------------------------------------------------------------------------------------------------


class Options:
    """Keyword arguments of a method: equal to those of another call that say the same."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.given = given

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Options) and self.given.keys() == other.given.keys() and all(
            x is y or (isinstance(x, (int, float, str)) and x == y) for x, y in zip(self.given.values(), other.given.values(), strict=True)
        )  # fmt: skip

    def __hash__(self) -> int:
        return hash(tuple(self.given))


def iterated(name: str) -> None:
    """A method that iterates: its value is SciPy's, its derivative that of the solution it converges to."""
    own = getattr(plain, name)
    full = f"scipy.sparse.linalg.{name}"

    def evaluate(params: Any, entries: Any, b: Any, start: Any) -> Any:
        structure, options = params
        x, info = own(structure.filled(entries), b, start, **options.given)
        if info:
            raise errors.ArgumentError(f"{full} did not converge (info={info}): where it stopped has no derivative")
        return x

    def reverse(params: Any, wanted: Any, g: Any, y: Any, entries: Any, b: Any, start: Any) -> Any:
        return *vjp((params[0], False), wanted[:2], g, y, entries, b), None

    def forward(params: Any, tangents: Any, y: Any, entries: Any, b: Any, start: Any) -> Any:
        return jvp((params[0], False), tangents[:2], y, entries, b)

    family = Family(full, evaluate, reverse, forward)

    def of(A: Any, b: Any, x0: Any = None, **options: Any) -> Any:
        if not isinstance(A, (Sparse, np.ndarray, traced.TracedArray)) and not scipy.sparse.issparse(A):
            raise unsupported(full, "a linear operator", "give the matrix itself, or write the derivative with adcore.custom_vjp")
        if options.pop("callback", None) is not None or met(*options.values()):
            raise unsupported(full, "a callback, or options that are traced", "leave them out")
        structure, entries = as_sparse(A).as_rows()
        b = operand(b)
        b = b.reshape(-1)
        start = np.zeros(b.shape) if x0 is None else operand(x0).reshape(-1)
        start = traced.constant_part(start) if traced.is_traced(start) else start  # where it starts does not matter
        return apply(family, (structure, Options(options)), b.shape, entries, b, start), 0

    twin(of, name)


for method in ("bicg", "bicgstab", "cg", "cgs", "gcrotmk", "gmres", "lgmres", "minres", "qmr", "tfqmr"):
    iterated(method)


# -- the rest ----------------------------------------------------------------------------------------------------------


@twin
def norm(x: Any, ord: Any = None, axis: Any = None) -> Any:
    x = as_sparse(x)
    if axis is not None:
        if ord not in (None, 2):
            raise unsupported("scipy.sparse.linalg.norm", f"ord={ord!r} and an axis", "use the norms of A.toarray()")
        squares = abs(x).power(2).sum(axis)
        return np.sqrt(squares.A1 if isinstance(squares, Matrix) else squares)
    if ord in (None, "fro", "f"):
        return np.linalg.norm(x.as_coo()[1])
    if ord in (1, np.inf):
        sums = abs(x).sum(0 if ord == 1 else 1)
        return np.max(sums.A1 if isinstance(sums, Matrix) else sums)
    raise unsupported("scipy.sparse.linalg.norm", f"ord={ord!r}", "use the norm of A.toarray()")


@twin
def matrix_power(A: Any, power: int) -> Any:
    return scipy_sparse.matrix_power(as_sparse(A), power)


DENSE = "make the matrix dense and use numpy.linalg or scipy.linalg: A.toarray()"
REFUSED = {
    "inv": "its inverse is dense: use scipy.sparse.linalg.spsolve",
    "LinearOperator": "give the matrix itself",
    "aslinearoperator": "give the matrix itself",
    "spilu": "incomplete factors have no derivative here: use splu",
    **dict.fromkeys("eigs eigsh svds expm expm_multiply funm_multiply_krylov lobpcg lsmr lsqr onenormest".split(), DENSE),
}
