"""Products of sparse matrices with traced vectors and dense matrices.

The entries of a matrix are an operand, also those of one of SciPy's, which are constants; where they stand is a parameter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse

from ..tracer import array as traced
from .calls import Family, apply
from .dispatch import unsupported


class Structure:
    """Where the entries of a matrix in compressed rows stand; two are equal when they say the same."""

    def __init__(self, matrix: Any) -> None:
        self.shape = matrix.shape
        self.indices, self.starts = matrix.indices.copy(), matrix.indptr.copy()
        self.number = hash((self.shape, self.indices.tobytes(), self.starts.tobytes()))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Structure)
            and self.shape == other.shape
            and np.array_equal(self.indices, other.indices)
            and np.array_equal(self.starts, other.starts)
        )

    def __hash__(self) -> int:
        return self.number

    def filled(self, data: Any) -> Any:
        """The matrix with these entries."""
        return scipy.sparse.csr_array((data, self.indices, self.starts), shape=self.shape)


def evaluate(params: Any, data: Any, x: Any) -> Any:
    structure, flipped = params
    matrix = structure.filled(data)
    return np.ascontiguousarray((matrix.T if flipped else matrix) @ x)


def product(params: Any, data: Any, x: Any) -> Any:
    """The product with the matrix, or with its transpose where that is ``flipped``."""
    structure, flipped = params
    return apply(PRODUCT, params, (structure.shape[1 if flipped else 0], *x.shape[1:]), data, x)


def entries_adjoint(params: Any, g: Any, x: Any) -> Any:
    structure, flipped = params
    rows = np.repeat(np.arange(structure.shape[0]), np.diff(structure.starts))
    left, right = (structure.indices, rows) if flipped else (rows, structure.indices)
    terms = g[left] * np.conj(x[right])
    return terms if len(terms.shape) == 1 else np.sum(terms, axis=1)


def vjp(params: Any, wanted: Any, g: Any, y: Any, data: Any, x: Any) -> Any:
    structure, flipped = params
    return (
        entries_adjoint(params, g, x) if wanted[0] else None,
        product((structure, not flipped), np.conj(data), g) if wanted[1] else None,
    )


def jvp(params: Any, tangents: Any, y: Any, data: Any, x: Any) -> Any:
    parts = [] if tangents[0] is None else [product(params, tangents[0], x)]
    parts += [] if tangents[1] is None else [product(params, data, tangents[1])]
    return parts[0] if len(parts) == 1 else parts[0] + parts[1]


PRODUCT = Family("scipy.sparse @", evaluate, vjp, jvp)


def matmul(a: Any, b: Any) -> Any:
    """``a @ b`` where one of them is a sparse matrix and the other is traced."""
    if not is_sparse(a):
        return matmul(b.T, a) if len(a.shape) == 1 else matmul(b.T, a.T).T
    if not scipy.sparse.issparse(a):
        return a @ b
    rows = a.tocsr()
    data = rows.data if rows.dtype.kind in "fc" else rows.data.astype(float)
    return over_rows(Structure(rows), data, b)


def is_sparse(x: Any) -> bool:
    """Is it a matrix of SciPy's, or one of traced entries?"""
    return scipy.sparse.issparse(x) or hasattr(type(x), "as_rows")


def over_rows(structure: Structure, data: Any, x: Any) -> Any:
    """The product of a matrix in compressed rows with a vector or a dense matrix."""
    if len(structure.shape) != 2 or len(x.shape) not in (1, 2):
        raise unsupported("a sparse product", f"shapes {structure.shape} and {x.shape}", "use a matrix with a vector or a dense matrix")
    if structure.shape[1] != x.shape[0]:
        raise ValueError(f"{traced.where_text()}matmul: dimension mismatch of shapes {structure.shape} and {x.shape}")
    return product((structure, False), data, x)


def elementwise(name: str, a: Any, b: Any) -> Any:
    """An operator between a sparse matrix, which becomes one of traced entries, and a traced value."""
    from . import scipy_sparse

    made = [scipy_sparse.as_sparse(x) if scipy.sparse.issparse(x) else x for x in (a, b)]
    if name not in OPERATORS:
        raise scipy_sparse.as_sparse(a if is_sparse(a) else b).unknown(f"'{name}'")
    straight, reflected = OPERATORS[name]
    found = getattr(made[0], straight)(made[1]) if is_sparse(a) else getattr(made[1], reflected)(made[0])
    if found is NotImplemented:
        raise scipy_sparse.as_sparse(a if is_sparse(a) else b).unknown(f"'{name}'")
    return found


OPERATORS = {
    "add": ("__add__", "__radd__"), "sub": ("__sub__", "__rsub__"), "mul": ("__mul__", "__rmul__"),
    "div": ("__truediv__", "__rtruediv__"), "power": ("__pow__", "__rpow__"),
}  # fmt: skip
