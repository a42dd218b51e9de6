"""scipy.sparse on traced values: matrices whose entries are traced and whose pattern is constant.

A `Sparse` is SciPy's own matrix of numbers, which say where each of its entries stands, and the entries. What only moves entries
(transposes, slices, changes of format, stacking) SciPy does to the numbers, so that formats and patterns are SciPy's.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as plain

from .. import errors
from ..tracer import array as traced
from . import classes, complex, dispatch, sparse
from .dispatch import unsupported
from .linalg import operand
from .sparse import Structure

# functions and classes of scipy.sparse, which go past NumPy's protocols: reached by rebinding of names
REBOUND: dict[str, Any] = {}

REMEDY = "use A.toarray() and NumPy's functions, or compute with the entries themselves"
# what SciPy does to the numbers
MOVES = frozenset("tocsr tocsc tocoo todia tolil todok tobsr asformat getrow getcol _getrow _getcol".split())
PATTERN = frozenset("shape format nnz ndim indices indptr row col coords offsets blocksize getnnz count_nonzero has_sorted_indices "
                    "has_canonical_format sort_indices sum_duplicates".split())  # fmt: skip
# functions of entries that keep zeros
KEEP_ZERO = frozenset("sin tan arcsin arctan sinh tanh arcsinh arctanh rint sign expm1 log1p deg2rad rad2deg floor ceil trunc sqrt "
                      "conjugate".split())  # fmt: skip


def met(*args: Any) -> bool:
    """Is one of these traced, or a matrix of traced entries?"""
    return traced.find_trace(args) is not None or any(isinstance(x, Sparse) or (isinstance(x, (list, tuple)) and met(*x)) for x in args)


def numbered(n: int) -> Any:
    return np.arange(1, n + 1)


def accumulated(n: int, at: Any, x: Any) -> Any:
    """Sums of those x that go to the same of n places."""
    if traced.find_trace(x) is None:
        out = np.zeros(n, np.result_type(x.dtype, np.float64))
        np.add.at(out, at, x)
        return out
    if complex.is_complex(x):
        return complex.made(accumulated(n, at, x.real), accumulated(n, at, x.imag))
    return traced.scatter_add(traced.new_array(traced.trace_of_value(x), n, x.dtype), at, x)


def picked(entries: Any, numbers: Any) -> Any:
    """A new array of the entries of these numbers; that of number 0 is 0."""
    if numbers.size and not numbers.all():
        entries, numbers = np.concatenate([np.zeros(1), entries]), numbers + 1
    return entries[numbers - 1]


class Sparse:
    """A sparse matrix of SciPy's with traced entries."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, numbers: Any, entries: Any) -> None:
        self.numbers = numbers
        self.parts = [entries]

    # -- what it is made of

    @property
    def entries(self) -> Any:
        if len(self.parts) > 1:
            self.parts = [np.concatenate(self.parts)]
        return self.parts[0]

    @property
    def is_matrix(self) -> bool:
        """Is it of SciPy's matrices, whose ``*`` is a product, and not of its sparse arrays?"""
        return isinstance(self.numbers, plain.spmatrix)

    @property
    def dtype(self) -> Any:
        return self.entries.dtype

    def as_coo(self) -> tuple[Any, Any]:
        """Coordinates and entries."""
        coo = self.numbers.tocoo()
        return coo.coords, picked(self.entries, coo.data)

    def as_rows(self) -> tuple[Structure, Any]:
        """The matrix in compressed rows: where its entries are, and they."""
        if len(self.numbers.shape) != 2:
            raise self.unknown("an operation on matrices")
        rows = self.numbers.tocsr()
        return Structure(rows), picked(self.entries, rows.data)

    def like(self, numbers: Any) -> Any:
        """The matrix with entries of this one moved."""
        if not plain.issparse(numbers):
            raise self.unknown("this")
        if numbers is self.numbers:
            return self
        held = numbers if hasattr(numbers, "data") and numbers.format not in ("lil", "dok", "dia") else numbers.tocoo()
        entries = picked(self.entries, held.data.ravel())
        return renumbered(type(numbers), held, entries)

    def plain(self) -> Any:
        """SciPy's matrix of the values."""
        coords, entries = self.as_coo()
        values = traced.value_of(entries) if traced.is_traced(entries) else entries
        return plain.coo_array((values, coords), shape=self.shape).asformat(self.format) if not self.is_matrix else (
            plain.coo_matrix((values, coords), shape=self.shape).asformat(self.format))  # fmt: skip

    def holds_active(self) -> bool:
        """Is one of the entries differentiated?"""
        return dispatch.any_active(self.entries)

    def unknown(self, what: str) -> errors.NotDifferentiable:
        return unsupported(f"{what} of scipy.sparse", "a matrix of values that are being recorded", REMEDY)

    def __repr__(self) -> str:
        return f"<recorded {type(self.numbers).__name__} of shape {self.shape} with {self.nnz} entries>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "numbers" not in self.__dict__:
            raise AttributeError(name)
        if name in PATTERN:
            return getattr(self.numbers, name)
        method = getattr(self.numbers, name)
        if name in MOVES:
            return lambda *args, **kw: self.like(method(*args, **kw))
        if name in KEEP_ZERO:
            return lambda: self.of_entries(getattr(np, name))
        raise self.unknown(name)

    def __len__(self) -> int:
        raise TypeError("sparse array length is ambiguous; use getnnz() or shape[0]")

    def __bool__(self) -> bool:
        raise ValueError("The truth value of an array with more than one element is ambiguous. Use a.any() or a.all().")

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        asked = errors.sparse_operand()
        if asked:
            return traced.object_array(self, asked - 1)
        raise errors.LostTrace(f"{traced.where_text()}a sparse matrix of values that are being recorded is no array: use A.toarray()")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kw: Any) -> Any:
        name = ufunc.__name__
        if method == "__call__" and not kw:
            if len(inputs) == 1 and name in (*KEEP_ZERO, "absolute", "negative"):
                return self.of_entries(ufunc)
            if name == "matmul":
                return sparse.matmul(*inputs) if inputs[1] is self else self @ inputs[1]
            if name in UFUNCS:
                return sparse.elementwise(UFUNCS[name], *inputs)
        raise self.unknown(f"np.{ufunc.__name__}")

    # -- entries

    @property
    def data(self) -> Any:
        """The entries as SciPy holds them; what is written into them is written into the matrix."""
        if self.format in ("lil", "dok"):
            raise self.unknown("data")
        shape = self.numbers.data.shape
        flat = self.numbers.data.ravel()
        if not np.array_equal(flat, numbered(len(self.entries))):
            self.data = picked(self.entries, flat).reshape(shape)
        return self.parts[0].reshape(shape)

    @data.setter
    def data(self, x: Any) -> None:
        x = operand(x)
        if x.shape != self.numbers.data.shape:
            raise self.unknown("data of another shape")
        self.numbers = self.numbers.copy()
        self.numbers.data = numbered(x.size).reshape(x.shape)
        self.parts = [x.reshape(-1)]

    def of_entries(self, f: Callable[[Any], Any]) -> Any:
        """The matrix of f of the entries, where f keeps zeros."""
        return Sparse(self.numbers.copy(), f(self.entries))

    def __getitem__(self, key: Any) -> Any:
        found = self.numbers[dispatch.values(key)]
        if plain.issparse(found):
            return self.like(found)
        if isinstance(found, np.ndarray):
            x = picked(self.entries, np.asarray(found))
            return Matrix(x) if isinstance(found, np.matrix) else x
        return self.entries[int(found) - 1] if found else np.float64(0.0)

    def __setitem__(self, key: Any, x: Any) -> None:
        key = dispatch.values(key)
        if isinstance(x, Matrix):
            x = x.A
        if isinstance(x, Sparse) or plain.issparse(x):
            x = as_sparse(x)
            moved = x.numbers.tocoo()
            moved.data = moved.data + len(self.entries) * (moved.data > 0)
            self.put(key, moved.toarray(), x.entries)
        elif np.ndim(x) == 0 and traced.find_trace(x) is None and x == 0:
            self.put(key, 0, None)
        else:
            x = operand(x)
            self.put(key, (len(self.entries) + numbered(int(np.prod(x.shape, dtype=int)))).reshape(x.shape)[()], np.reshape(x, (-1,)))

    def put(self, key: Any, numbers: Any, entries: Any) -> None:
        if entries is not None:
            self.parts.append(entries)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", plain.SparseEfficiencyWarning)
            self.numbers[key] = numbers

    def setdiag(self, values: Any, k: int = 0) -> None:
        x = operand(values)
        numbers = (len(self.entries) + numbered(x.size)).reshape(x.shape)
        self.parts.append(np.reshape(x, (-1,)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", plain.SparseEfficiencyWarning)
            self.numbers.setdiag(numbers, k)

    def eliminate_zeros(self) -> None:
        """The pattern is constant: zeros stay."""

    # -- moved

    def copy(self) -> Any:
        return Sparse(self.numbers.copy(), self.entries[np.arange(len(self.entries))])

    def transpose(self, axes: Any = None, copy: bool = False) -> Any:
        return Sparse(self.numbers.transpose(axes).copy(), self.copy().entries if copy else self.entries)

    T = property(transpose)

    def conj(self, copy: bool = True) -> Any:
        return self.of_entries(np.conj)

    def getH(self) -> Any:
        return self.conj().T

    real = property(lambda self: self.of_entries(np.real))
    imag = property(lambda self: self.of_entries(np.imag))

    def reshape(self, *shape: Any, order: str = "C", copy: bool = False) -> Any:
        return self.like(self.numbers.reshape(*shape, order=order))

    def astype(self, dtype: Any, casting: str = "unsafe", copy: bool = True) -> Any:
        return self.of_entries(lambda x: x.astype(dtype))

    # -- dense results

    def toarray(self, order: Any = None, out: Any = None) -> Any:
        if out is not None:
            raise unsupported("toarray of scipy.sparse", "out=", "write out[...] = A.toarray()")
        coords, entries = self.as_coo()
        return accumulated(int(np.prod(self.shape)), np.ravel_multi_index(coords, self.shape), entries).reshape(self.shape)

    def contained(self, x: Any) -> Any:
        """A dense result, as a matrix where SciPy gives an np.matrix."""
        return Matrix(x) if self.is_matrix else x

    def todense(self, order: Any = None, out: Any = None) -> Any:
        return self.contained(self.toarray(order, out))

    def diagonal(self, k: int = 0) -> Any:
        return picked(self.entries, self.numbers.diagonal(k))

    def trace(self, offset: int = 0) -> Any:
        return np.sum(self.diagonal(offset))

    def sum(self, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        coords, entries = self.as_coo()
        if axis is None:
            return np.sum(entries)
        axis = axis % len(self.shape) if isinstance(axis, int) else axis
        if len(self.shape) != 2 or axis not in (0, 1):
            raise self.unknown(f"sum over axis {axis}")
        found = accumulated(self.shape[1 - axis], coords[1 - axis], entries)
        return found if not self.is_matrix else Matrix(found[None, :] if axis == 0 else found[:, None])

    def mean(self, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        return self.sum(axis) / (np.prod(self.shape) if axis is None else self.shape[axis])

    # -- arithmetic

    def scaled(self, factor: Any) -> Any:
        return self.of_entries(lambda x: x * factor)

    def plus(self, other: Any, sign: float) -> Any:
        if isinstance(other, Sparse) or plain.issparse(other):
            other = as_sparse(other)
            if self.shape != other.shape:
                raise ValueError(f"{traced.where_text()}inconsistent shapes {self.shape} and {other.shape}")
            (at, x), (other_at, y) = self.as_coo(), other.as_coo()
            both = tuple(np.concatenate(pair) for pair in zip(at, other_at, strict=True))
            return summed(type(self.numbers + other.numbers), both, np.concatenate([x, sign * y]), self.shape)
        if isinstance(other, Matrix):
            other = other.A
        if np.ndim(other) == 0:
            if traced.find_trace(other) is None and other == 0:
                return self.copy()
            raise NotImplementedError(f"{traced.where_text()}adding a nonzero scalar to a sparse array is not supported")
        return self.contained(self.toarray() + sign * other)

    def __add__(self, other: Any) -> Any:
        return self.plus(other, 1.0)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self.plus(other, -1.0)

    def __rsub__(self, other: Any) -> Any:
        return (-self).plus(other, 1.0)

    def __neg__(self) -> Any:
        return self.of_entries(operator.neg)

    def __pos__(self) -> Any:
        return self.copy()

    def __abs__(self) -> Any:
        return self.of_entries(np.abs)

    def __mul__(self, other: Any) -> Any:
        if not isinstance(other, Sparse) and np.ndim(other) == 0 and not plain.issparse(other):
            return self.scaled(other)
        return self @ other if self.is_matrix else self.multiply(other)

    def __rmul__(self, other: Any) -> Any:
        if np.ndim(other) == 0 and not plain.issparse(other):
            return self.scaled(other)
        of_matrices = self.is_matrix and not isinstance(other, plain.sparray)
        return self.__rmatmul__(other) if of_matrices else self.multiply(other)

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, Sparse) or plain.issparse(other) or np.ndim(other):
            raise self.unknown("division by a matrix")
        return self.of_entries(lambda x: x / other)

    def __rtruediv__(self, other: Any) -> Any:
        raise self.unknown("division by a matrix")

    def __rpow__(self, other: Any) -> Any:
        raise self.unknown("a power of a number")

    def __pow__(self, n: Any) -> Any:
        return matrix_power(self, n) if self.is_matrix else self.power(n)

    def power(self, n: Any, dtype: Any = None) -> Any:
        if traced.find_trace(n) is not None or n <= 0:
            raise self.unknown("power with an exponent that is traced or not positive")
        return self.of_entries(lambda x: x**n)

    def __eq__(self, other: object) -> Any:
        return False if other is None else self.compared(other)

    def __ne__(self, other: object) -> Any:
        return True if other is None else self.compared(other)

    def compared(self, other: Any) -> Any:
        raise self.unknown("a comparison")

    __lt__ = __le__ = __gt__ = __ge__ = compared

    def multiply(self, other: Any) -> Any:
        """The elementwise product, where the pattern is that of both."""
        if isinstance(other, Sparse) or plain.issparse(other):
            other = as_sparse(other)
            mine = self.numbers.tocsr().multiply(other.pattern())
            others = self.pattern().multiply(other.numbers.tocsr())
            if not plain.issparse(mine) or mine.shape != self.shape or self.shape != other.shape:
                raise self.unknown("multiply of matrices of different shapes")
            mine, others = (type(self.numbers)(m).tocsr() for m in (mine, others))
            mine.sort_indices()
            others.sort_indices()
            return renumbered(type(mine), mine, picked(self.entries, mine.data) * picked(other.entries, others.data))
        if np.ndim(other) == 0:
            return self.scaled(other)
        found = self.numbers.multiply(np.ones(np.shape(other), dtype=int))
        coo = found.tocoo()
        there = np.broadcast_to(other, found.shape)[coo.coords]
        return renumbered(type(found), coo, picked(self.entries, coo.data) * there)

    def pattern(self) -> Any:
        rows = self.numbers.tocsr()
        return type(rows)((np.ones(len(rows.data), dtype=int), rows.indices, rows.indptr), shape=rows.shape)

    def dot(self, other: Any) -> Any:
        return self.scaled(other) if not isinstance(other, Sparse) and np.ndim(other) == 0 and not plain.issparse(other) else self @ other

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, Sparse) or plain.issparse(other):
            return product(self, as_sparse(other))
        of_matrix = isinstance(other, Matrix)
        x = other.A if of_matrix else operand(other)
        if np.ndim(x) == 0:
            raise ValueError(f"{traced.where_text()}Scalar operands are not allowed, use '*' instead")
        y = sparse.over_rows(*self.as_rows(), x)
        return Matrix(y) if of_matrix else y

    def __rmatmul__(self, other: Any) -> Any:
        if plain.issparse(other):
            return product(as_sparse(other), self)
        x = operand(other)
        return self.T @ x if len(x.shape) == 1 else (self.T @ x.T).T


UFUNCS = {"add": "add", "subtract": "sub", "multiply": "mul", "true_divide": "div", "divide": "div", "power": "power"}


class Matrix:
    """What SciPy's matrices give where NumPy has an np.matrix: to be made an array of, or read."""

    __array_ufunc__ = None

    def __init__(self, x: Any) -> None:
        self.A = x

    def as_traced(self) -> Any:
        """The array that it is to NumPy's functions which make one."""
        return self.A

    A1 = property(lambda self: self.A.reshape(-1))
    T = property(lambda self: Matrix(self.A.T))
    shape = property(lambda self: self.A.shape)
    ndim, dtype = 2, property(lambda self: self.A.dtype)

    def __getitem__(self, key: Any) -> Any:
        found = self.A[key]
        if np.ndim(found) == 0:
            return found
        if isinstance(key, tuple) and np.ndim(found) == 1:
            found = found[:, None] if isinstance(key[1], int) else found[None, :]
        return Matrix(np.atleast_2d(found))

    def tolist(self) -> Any:
        return self.A.tolist()

    def combined(self, f: Callable[[Any, Any], Any], other: Any) -> Any:
        return Matrix(f(self.A, other.A if isinstance(other, Matrix) else other))

    def __add__(self, other: Any) -> Any:
        return self.combined(operator.add, other)

    def __sub__(self, other: Any) -> Any:
        return self.combined(operator.sub, other)

    def __rsub__(self, other: Any) -> Any:
        return self.combined(lambda a, b: b - a, other)

    def __truediv__(self, other: Any) -> Any:
        return self.combined(operator.truediv, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self.combined(lambda a, b: b / a, other)

    def __mul__(self, other: Any) -> Any:
        return self.combined(operator.mul if not isinstance(other, Matrix) and np.ndim(other) == 0 else operator.matmul, other)

    __radd__ = __add__

    def __rmul__(self, other: Any) -> Any:
        return self.combined(lambda a, b: b * a if np.ndim(b) == 0 else b @ a, other)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise unsupported(f"np.matrix.{name}", "values that are being recorded", "make it an array first: np.asarray(m), or m.A")


# -- making them -----------------------------------------------------------------------------------------------------


def renumbered(kind: Any, held: Any, entries: Any) -> Sparse:
    """A matrix of this class with the pattern of another, entry by entry."""
    if held.format == "coo":
        numbers = type(held)((numbered(len(held.data)), held.coords), shape=held.shape)
        return Sparse(kind(numbers), entries)
    numbers = held.copy()
    numbers.data = numbered(held.data.size).reshape(held.data.shape)
    return Sparse(numbers, entries)


def summed(kind: Any, coords: Any, entries: Any, shape: Any) -> Sparse:
    """A matrix of this class from entries, of which those at one place add up."""
    flat = np.ravel_multi_index(coords, shape)
    places, to = np.unique(flat, return_inverse=True)
    if len(places) != len(flat):
        coords, entries = np.unravel_index(places, shape), accumulated(len(places), to, entries)
    of = plain.coo_matrix if issubclass(kind, plain.spmatrix) else plain.coo_array
    return Sparse(kind(of((numbered(len(places)), coords), shape=shape)), entries)


def product(a: Sparse, b: Sparse) -> Sparse:
    """The product of two sparse matrices: the pairs of entries that meet, and their sums."""
    if a.shape[1] != b.shape[0]:
        raise ValueError(f"{traced.where_text()}matmul: dimension mismatch of shapes {a.shape} and {b.shape}")
    (rows, inner), x = a.as_coo()
    structure, y = b.as_rows()
    counts = np.diff(structure.starts)[inner]
    left = np.repeat(np.arange(len(inner)), counts)
    right = np.arange(len(left)) - np.repeat(np.cumsum(counts) - counts, counts) + structure.starts[inner][left]
    kind = type(a.pattern() @ b.pattern())
    return summed(kind, (rows[left], structure.indices[right]), x[left] * y[right], (a.shape[0], b.shape[1]))


def matrix_power(a: Any, n: int) -> Any:
    if n < 1:
        raise a.unknown("matrix_power with an exponent below 1")
    found = a
    for _ in range(n - 1):
        found = found @ a
    return found


def as_sparse(x: Any) -> Sparse:
    """Anything that is a matrix."""
    if isinstance(x, Sparse):
        return x
    if plain.issparse(x):
        if x.format == "csr" and x.has_canonical_format:
            return Sparse(type(x)((numbered(len(x.data)), x.indices, x.indptr), shape=x.shape), x.data)
        coo = x.tocoo(copy=True)
        coo.sum_duplicates()
        return renumbered(type(x), coo, coo.data)
    x = np.atleast_2d(operand(x))
    at = tuple(index.ravel() for index in np.indices(x.shape))
    return Sparse(plain.coo_array((numbered(at[0].size), at), shape=x.shape), x.reshape(-1))


def no_duplicates(made: Sparse) -> Sparse:
    """The matrix with entries at one place added up."""
    coo = made.numbers.tocoo()
    flat = np.ravel_multi_index(coo.coords, coo.shape)
    if len(np.unique(flat)) == len(flat):
        return made
    return summed(type(made.numbers), coo.coords, picked(made.entries, coo.data), coo.shape)


def made(kind: Any, args: Any, kw: Any) -> Any:
    """What SciPy's class makes of these arguments."""
    if not args or not met(*args, *kw.values()):
        found = kind(*args, **kw)
        shaped = args and isinstance(args[0], tuple) and all(isinstance(d, (int, np.integer)) for d in args[0])
        return as_sparse(found) if shaped else found  # an empty matrix is made to be written into
    first, *rest = args
    names = ("shape", "dtype", "copy")
    kw = {**dict(zip(names, rest, strict=False)), **kw}
    dtype, shape = kw.get("dtype"), kw.get("shape")
    if isinstance(first, Matrix):
        first = first.A
    if isinstance(first, Sparse):
        found = first if isinstance(first.numbers, kind) and not kw.get("copy") else first.like(kind(first.numbers))
    elif isinstance(first, tuple) and len(first) in (2, 3):
        data = operand(first[0])
        numbers = kind((numbered(int(np.prod(data.shape))).reshape(data.shape), *dispatch.values(first[1:])), shape=shape)
        found = no_duplicates(Sparse(numbers, data.reshape(-1)))
    else:
        whole = as_sparse(first)
        found = whole.like(kind(whole.numbers))
    return found if dtype is None or np.dtype(dtype) == found.dtype else found.astype(dtype)


class Format(classes.Number):
    """The class of the twins of ``csr_matrix`` and kin."""

    def __call__(cls, *args: Any, **kw: Any) -> Any:
        return made(type.__getattribute__(cls, "plain"), args, kw)

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value.numbers if isinstance(value, Sparse) else value, type.__getattribute__(cls, "plain"))


FORMATS = [f"{form}_{kind}" for form in "bsr coo csc csr dia dok lil".split() for kind in ("array", "matrix")]
for name in [*FORMATS, "spmatrix", "sparray"]:
    REBOUND[name] = Format(name, (), {"plain": getattr(plain, name), "decides": True})


def twin(f: Any) -> Any:
    """A function of scipy.sparse for matrices of traced entries; SciPy's where none is given."""
    own = getattr(plain, f.__name__)

    def of(*args: Any, **kw: Any) -> Any:
        return f(*args, **kw) if met(*args, *kw.values()) else own(*args, **kw)

    of.decides = True  # type: ignore[attr-defined]
    REBOUND[f.__name__] = of
    return f


def laid_out(form: Any, moved: Any, parts: list[Any]) -> Any:
    """The matrix that SciPy makes of the numbers of parts, with the entries of all."""
    moved = moved.asformat(form) if form is not None else moved
    whole = Sparse(moved, np.concatenate(parts) if parts else np.zeros(0))
    return whole.like(moved.copy())


@twin
def diags(diagonals: Any, offsets: Any = 0, shape: Any = None, format: Any = None, dtype: Any = None, of: Any = plain.diags) -> Any:
    given = list(diagonals) if np.ndim(offsets) else [diagonals]
    if not np.ndim(offsets) and len(np.shape(diagonals)) == 2:
        given = list(diagonals)
    parts = [np.atleast_1d(operand(d)) for d in given]
    numbers, start = [], 0
    for part in parts:
        numbers.append(start + numbered(part.shape[0]))
        start += part.shape[0]
    moved = of(numbers if np.ndim(offsets) or len(numbers) > 1 else numbers[0], offsets=offsets, shape=shape, dtype=np.int64)
    return laid_out(format, moved, parts)


@twin
def diags_array(diagonals: Any, /, *, offsets: Any = 0, shape: Any = None, format: Any = None, dtype: Any = None) -> Any:
    return diags(diagonals, offsets, shape, format, dtype, plain.diags_array)


@twin
def spdiags(data: Any, diags: Any, m: Any = None, n: Any = None, format: Any = None) -> Any:
    data = np.atleast_2d(operand(data))
    return laid_out(format, plain.spdiags(numbered(data.shape[0] * data.shape[1]).reshape(data.shape), diags, m, n), [data.reshape(-1)])


def stacked(name: str) -> None:
    """A function that puts matrices beside each other."""
    own = getattr(plain, name)

    def of(blocks: Any, format: Any = None, dtype: Any = None) -> Any:
        parts: list[Any] = []
        start = 0

        def number(x: Any) -> Any:
            nonlocal start
            if x is None:
                return None
            if isinstance(x, (list, tuple)) and (name in ("bmat", "block_array")):
                return [number(item) for item in x]
            x = as_sparse(x)
            coo = x.numbers.tocoo()
            parts.append(picked(x.entries, coo.data))
            moved = type(coo)((start + numbered(len(coo.data)), coo.coords), shape=coo.shape)
            start += len(coo.data)
            return moved.asformat(x.numbers.format)

        return laid_out(None, own([number(x) for x in blocks], format=format), parts)

    of.__name__ = name
    twin(of)


for name in ("hstack", "vstack", "bmat", "block_array", "block_diag"):
    stacked(name)


@twin
def kron(A: Any, B: Any, format: Any = None) -> Any:
    a, b = as_sparse(A), as_sparse(B)
    of = type(plain.kron(type(a.numbers)((1, 1)), type(b.numbers)((1, 1)), format=format or "coo"))
    ((rows, columns), x), ((r, c), y) = a.as_coo(), b.as_coo()
    at = ((rows[:, None] * b.shape[0] + r).ravel(), (columns[:, None] * b.shape[1] + c).ravel())
    return summed(of, at, (x[:, None] * y).reshape(-1), (a.shape[0] * b.shape[0], a.shape[1] * b.shape[1]))


@twin
def kronsum(A: Any, B: Any, format: Any = None) -> Any:
    a, b = as_sparse(A), as_sparse(B)
    left, right = (plain.eye_array(m.shape[0]) if not m.is_matrix else plain.identity(m.shape[0]) for m in (b, a))
    return kron(left, a, format) + kron(b, right, format)


@twin
def tril(A: Any, k: int = 0, format: Any = None) -> Any:
    a = as_sparse(A)
    return a.like(plain.tril(a.numbers, k, format))


@twin
def triu(A: Any, k: int = 0, format: Any = None) -> Any:
    a = as_sparse(A)
    return a.like(plain.triu(a.numbers, k, format))


@twin
def find(A: Any) -> Any:
    (rows, columns), entries = as_sparse(A).as_coo()
    return rows, columns, entries


def asks(name: str) -> None:
    """``issparse`` and kin."""
    own = getattr(plain, name)

    def of(x: Any) -> bool:
        return bool(own(x.numbers if isinstance(x, Sparse) else x))

    of.decides = True  # type: ignore[attr-defined]
    REBOUND[name] = of


for name in ("issparse", "isspmatrix", *(f"isspmatrix_{form}" for form in "bsr coo csc csr dia dok lil".split())):
    asks(name)

REFUSED = {"save_npz": "it writes files", "expand_dims": REMEDY, "permute_dims": REMEDY, "swapaxes": REMEDY}
