"""How complex arguments and results enter and leave a recording: as real arrays with the parts in a last axis.

That is how NumPy lays complex numbers out, so an array is bound as it is. The convention of adjoints is that of
``docs/adr/0002``: the gradient of a real f at x = a + ib is df/da - i df/db, or its conjugate with
``adcore.config(conjugate=True)``.
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from .. import config, errors
from ..front import complex
from ..tracer import array as traced


def is_complex(x: Any) -> bool:
    """Is it a complex number or array, plain or traced?"""
    if isinstance(x, np.ndarray):
        return bool(x.dtype.kind == "c")
    return isinstance(x, (traced.TracedComplex, *COMPLEX))


COMPLEX = (np.complexfloating, builtins.complex)


def is_complex_scalar(x: Any) -> bool:
    if isinstance(x, complex.Complex):
        return isinstance(x.re, traced.TracedScalar)
    return isinstance(x, COMPLEX)


def pairs(x: Any, dims: int | None = None) -> Any:
    """A complex array as a real one: shape s becomes s + (2,), and s + (n,) with ``dims = len(s)`` becomes s + (2, n)."""
    if traced.is_traced(x):
        found = complex.as_pairs(x)
        return found if dims is None or dims == len(x.shape) else np.moveaxis(found, -1, dims)
    array = np.ascontiguousarray(x).reshape(np.shape(x))
    found = array.reshape((*array.shape, 1)).view(complex.PART_OF_DTYPE[array.dtype])
    return found if dims is None or dims == array.ndim else np.ascontiguousarray(np.moveaxis(found, -1, dims))


def from_pairs(y: Any, dims: int | None = None) -> Any:
    """The inverse of `pairs`; a number where no dimensions are left."""
    if dims is not None and dims != len(y.shape) - 1:
        y = np.moveaxis(y, dims, -1)
    if traced.is_traced(y):
        return complex.entered(y)
    y = np.ascontiguousarray(y)
    return y.view(complex.DTYPE_OF_PART[y.dtype])[..., 0]


def conjugated(g: Any) -> Any:
    """Between the adjoint of the two parts, ga + i gb, and what the convention calls the adjoint."""
    return g if config.current()["conjugate"] else np.conj(g)


def adjoint(pair: Any, dims: int | None = None) -> Any:
    """The adjoint of a complex value from the adjoints of its parts."""
    return conjugated(from_pairs(pair, dims))


def seed(x: Any, dtype: Any, dims: int, what: str, of_adjoint: bool) -> Any:
    """A tangent or an adjoint of a complex value of ``dims`` dimensions as pairs of this dtype."""
    if not traced.is_traced(x):
        x = np.asarray(x)
        if x.dtype.kind not in "cfiub":
            raise errors.ArgumentError(f"{what} has dtype {x.dtype}; it must be numbers")
    x = x.astype(complex.DTYPE_OF_PART[np.dtype(dtype)])
    if of_adjoint:
        x = conjugated(x)
    return pairs(x, dims)


def holomorphic(ua: Any, ub: Any, va: Any, vb: Any, what: str) -> Any:
    """The complex derivative from those of u + iv by a + ib, which must satisfy the Cauchy-Riemann equations."""
    if traced.find_trace((ua, ub, va, vb)) is None:
        scale = 1e-6 * max(np.max(np.abs(p), initial=0.0) for p in (ua, ub, va, vb))
        if np.any(np.abs(ua - vb) > scale) or np.any(np.abs(ub + va) > scale):
            raise errors.ArgumentError(
                f"{what} is not holomorphic here: its derivatives by the real and the imaginary part of its argument do not satisfy "
                "the Cauchy-Riemann equations (does it use abs, conj, real or imag?). Differentiate a real-valued function of it."
            )
    return ua + 1j * va
