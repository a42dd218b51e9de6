"""Polynomials as arrays of coefficients, highest power first."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tracer import array as traced
from .dispatch import implements, unsupported


def both(a: Any, b: Any) -> tuple[Any, Any]:
    trace = traced.find_trace((a, b))
    return tuple(np.atleast_1d(x if traced.is_traced(x) else traced.as_traced(trace, x)) for x in (a, b))  # type: ignore[return-value]


@implements(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    """Horner's scheme for few points; for many coefficients at few points the loop is over coefficients, as NumPy's is."""
    y: Any = 0.0 * x
    for k in range(np.shape(p)[0]):
        y = y * x + p[k]
    return y


def padded(a: Any, n: int) -> Any:
    short = n - a.shape[0]
    return np.concatenate([np.zeros(short), a]) if short else a


@implements(np.polyadd, any_kind=True)
def polyadd(a1: Any, a2: Any) -> Any:
    a, b = both(a1, a2)
    n = max(a.shape[0], b.shape[0])
    return padded(a, n) + padded(b, n)


@implements(np.polysub, any_kind=True)
def polysub(a1: Any, a2: Any) -> Any:
    a, b = both(a1, a2)
    n = max(a.shape[0], b.shape[0])
    return padded(a, n) - padded(b, n)


@implements(np.polymul, any_kind=True)
def polymul(a1: Any, a2: Any) -> Any:
    """Without zeros in front, as NumPy's, which makes polynomials of the arguments first."""
    a, b = (x[-1:] if not np.any(traced.value_of(x)) else np.trim_zeros(x, "f") for x in both(a1, a2))
    return np.convolve(a, b)


@implements(np.polydiv)
def polydiv(u: Any, v: Any) -> Any:
    u, v = both(u, v)
    m, n = u.shape[0] - 1, v.shape[0] - 1
    rest = u.copy()
    quotient = []
    for k in range(m - n + 1):
        quotient.append(rest[k] / v[0])
        rest[k : k + n + 1] -= quotient[-1] * v
    q = np.stack(quotient) if quotient else np.zeros(1)
    # NumPy drops leading coefficients of the remainder that are nearly 0; those that division made 0 are gone already
    r = rest[max(m - n + 1, 0) :] if n else np.zeros(1) * rest[:1]
    nonzero = np.flatnonzero(~np.isclose(traced.value_of(r), 0, rtol=1e-14))
    return q, r[min(nonzero[0] if nonzero.size else r.shape[0] - 1, r.shape[0] - 1) :]


@implements(np.polyder, any_kind=True)
def polyder(p: Any, m: int = 1) -> Any:
    for _ in range(m):
        n = len(p) - 1
        p = p[:-1] * np.arange(n, 0, -1)
    return p


@implements(np.polyint, any_kind=True)
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    constants = [0.0] * m if k is None else list(np.atleast_1d(k)) * (m if np.size(k) == 1 else 1)
    if len(constants) < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    for c in constants[:m]:
        p = np.append(p / np.arange(len(p), 0, -1), c)
    return p


@implements(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    if np.ndim(seq_of_zeros) != 1:
        raise unsupported("np.poly", "a matrix", "use the roots, np.linalg.eigvals(A)")
    p = np.ones(1)
    for k in range(len(seq_of_zeros)):
        p = np.append(p, 0.0) - seq_of_zeros[k] * np.append(0.0, p)
    return p


@implements(np.polyfit)
def polyfit(x: Any, y: Any, deg: int, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False) -> Any:
    """Least squares with scaled columns, as NumPy does it."""
    trace = traced.find_trace((x, y, w))
    x, y = traced.as_traced(trace, x), traced.as_traced(trace, y)
    order = int(deg) + 1
    rcond = len(x) * np.finfo(x.dtype).eps if rcond is None else rcond
    lhs, rhs = np.vander(x, order), y
    if w is not None:
        lhs = lhs * np.reshape(w, (-1, 1))
        rhs = rhs * (np.reshape(w, (-1, 1)) if rhs.ndim == 2 else w)
    scale = np.sqrt(np.sum(lhs * lhs, axis=0))
    lhs = lhs / scale
    c, residuals, rank, s = np.linalg.lstsq(lhs, rhs, rcond)
    c = (c.T / scale).T
    if full:
        return c, residuals, rank, s, rcond
    if not cov:
        return c
    base = np.linalg.inv(lhs.T @ lhs) / np.outer(scale, scale)
    factor: Any = 1.0
    if cov != "unscaled":
        if len(x) <= order:
            raise ValueError("the number of data points must exceed order to scale the covariance matrix")
        factor = residuals / (len(x) - order)
    return c, base * factor if y.ndim == 1 else base[:, :, None] * factor
