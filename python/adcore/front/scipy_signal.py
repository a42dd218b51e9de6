"""scipy.signal on traced arrays: convolutions, recursive filters, smoothing and the analytic signal."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..tracer import array as traced
from .calls import Family, apply
from .complex import is_complex
from .dispatch import unsupported
from .linalg import conj, minus, operand

pad: Any = np.pad

# functions of scipy.signal, which go past NumPy's protocols: reached by rebinding of names
REBOUND: dict[str, Callable[..., Any]] = {}


def twin(f: Callable[..., Any]) -> Callable[..., Any]:
    REBOUND[f.__name__] = f
    return f


# -- convolution ---------------------------------------------------------------------------------------------


def full_shape(a: Any, b: Any) -> tuple[int, ...]:
    return tuple(n + m - 1 for n, m in zip(a.shape, b.shape, strict=True))


def evaluate_convolution(params: Any, a: Any, b: Any) -> Any:
    import scipy.signal

    return scipy.signal.convolve(a, b, method=params)


def adjoint_of_convolution(params: Any, g: Any, b: Any, shape: tuple[int, ...]) -> Any:
    """Correlation with the other factor, where they overlap."""
    full = convolved(g, conj(np.flip(b)), params)
    return full[tuple(slice(m - 1, m - 1 + n) for m, n in zip(b.shape, shape, strict=True))]


def convolution_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any, b: Any) -> Any:
    return (
        adjoint_of_convolution(params, g, b, a.shape) if wanted[0] else None,
        adjoint_of_convolution(params, g, a, b.shape) if wanted[1] else None,
    )


def convolution_jvp(params: Any, tangents: Any, y: Any, a: Any, b: Any) -> Any:
    da, db = tangents
    moved = None if da is None else convolved(da, b, params)
    return moved if db is None else minus(convolved(a, db, params), minus(None, moved))


CONVOLUTION = Family("scipy.signal.convolve", evaluate_convolution, convolution_vjp, convolution_jvp)


def convolved(a: Any, b: Any, method: str) -> Any:
    return apply(CONVOLUTION, method, full_shape(a, b), a, b)


def part_of_full(name: str, full: Any, a: Any, b: Any, mode: str, late: bool = False) -> Any:
    """The part of the full result that a mode says; ``late`` rounds its middle up."""
    if mode == "full":
        return full
    if mode == "same":
        sizes = a.shape
    elif mode == "valid":
        if any(n < m for n, m in zip(a.shape, b.shape, strict=True)):
            raise unsupported(f"scipy.signal.{name}", "mode='valid' and a first array that is the smaller one", "exchange the arrays")
        sizes = tuple(n - m + 1 for n, m in zip(a.shape, b.shape, strict=True))
    else:
        raise ValueError(f"{traced.where_text()}acceptable mode flags are 'valid', 'same', or 'full'")
    first = [(d - n + late) // 2 for d, n in zip(full.shape, sizes, strict=True)]
    return full[tuple(slice(k, k + n) for k, n in zip(first, sizes, strict=True))]


def of_two(name: str, a: Any, b: Any) -> tuple[Any, Any]:
    a, b = operand(a), operand(b)
    if a.ndim != b.ndim or not a.ndim:
        raise ValueError(f"{traced.where_text()}scipy.signal.{name}: the arrays should have the same dimensionality, 1 or more")
    return a, b


def convolution(name: str, method: str, flips: bool) -> None:
    def of(in1: Any, in2: Any, mode: str = "full", *more: Any, **kw: Any) -> Any:
        a, b = of_two(name, in1, in2)
        if more[:1] not in ((), (None,), ("auto",), ("direct",), ("fft",)) or kw.get("axes") is not None:
            raise unsupported(f"scipy.signal.{name}", "axes=", "convolve row after row")
        b = conj(np.flip(b)) if flips else b
        return part_of_full(name, convolved(a, b, method), a, b, mode)

    of.__name__ = name
    twin(of)


for each, how, is_correlation in (("convolve", "auto", False), ("fftconvolve", "fft", False), ("oaconvolve", "fft", False),
                                  ("correlate", "auto", True)):  # fmt: skip
    convolution(each, how, is_correlation)


def convolution_2d(name: str, flips: bool) -> None:
    def of(in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0) -> Any:
        a, b = of_two(name, in1, in2)
        b = conj(np.flip(b)) if flips else b
        around = [(m - 1, m - 1) for m in b.shape]
        if boundary in ("fill", "pad"):
            wide = pad(a, around, constant_values=fillvalue) if np.any(fillvalue) else None
        else:
            wide = pad(a, around, mode={"wrap": "wrap", "circular": "wrap", "symm": "symmetric", "symmetric": "symmetric"}[boundary])
        if wide is None:
            full = convolved(a, b, "direct")
        else:
            whole = convolved(wide, b, "direct")
            full = whole[tuple(slice(m - 1, m - 1 + d) for m, d in zip(b.shape, full_shape(a, b), strict=True))]
        return part_of_full(name, full, a, b, mode, flips)

    of.__name__ = name
    twin(of)


convolution_2d("convolve2d", False)
convolution_2d("correlate2d", True)


# -- recursive filters -----------------------------------------------------------------------------------------


def evaluate_filter(params: Any, b: Any, a: Any, x: Any) -> Any:
    import scipy.signal

    return scipy.signal.lfilter(b, a, x)


def filtered(b: Any, a: Any, x: Any) -> Any:
    """a * y = b * x along the last axis, from rest."""
    return apply(FILTER, (), x.shape, b, a, x)


def lagged_products(g: Any, x: Any, n: int) -> Any:
    """sum of conj(x[t - k]) g[t] for k < n."""
    size = g.shape[-1]
    return np.stack([np.sum(g[..., k:] * conj(x[..., : max(size - k, 0)])) if k < size else np.sum(0.0 * conj(x) * g) for k in range(n)])


def filter_vjp(params: Any, wanted: Any, g: Any, y: Any, b: Any, a: Any, x: Any) -> Any:
    one = np.ones(1)
    back = filtered(one, conj(a), g[..., ::-1])[..., ::-1]
    return (
        lagged_products(back, x, b.shape[0]) if wanted[0] else None,
        -lagged_products(back, y, a.shape[0]) if wanted[1] else None,
        filtered(conj(b), conj(a), g[..., ::-1])[..., ::-1] if wanted[2] else None,
    )


def filter_jvp(params: Any, tangents: Any, y: Any, b: Any, a: Any, x: Any) -> Any:
    db, da, dx = tangents
    moved = None if db is None else filtered(db, a, x)
    moved = moved if dx is None else minus(filtered(b, a, dx), minus(None, moved))
    return minus(moved, None if da is None else filtered(da, a, y))


FILTER = Family("scipy.signal.lfilter", evaluate_filter, filter_vjp, filter_jvp)


@twin
def lfilter(b: Any, a: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    b, a, x = np.reshape(operand(b), (-1,)), np.reshape(operand(a), (-1,)), np.moveaxis(operand(x), axis, -1)
    y = filtered(b, a, x)
    if zi is None:
        return np.moveaxis(y, -1, axis)
    zi = np.moveaxis(operand(zi), axis, -1)
    n, states = x.shape[-1], max(a.shape[0], b.shape[0]) - 1
    if n < states:
        raise unsupported("scipy.signal.lfilter", "zi= and a signal shorter than the filter", "give a longer signal")
    start = np.concatenate([zi + np.zeros((*x.shape[:-1], states)), np.zeros((*x.shape[:-1], n - states))], axis=-1)
    y = y + filtered(np.ones(1), a / a[0], start)
    b, a = (np.concatenate([c, np.zeros(states + 1 - c.shape[0])]) / a[0] for c in (b, a))
    end = [
        sum(b[i + 1 + k] * x[..., n - 1 - k] - a[i + 1 + k] * y[..., n - 1 - k] for k in range(states - i)) for i in range(states)
    ]  # what later outputs will see of the last inputs and outputs
    return np.moveaxis(y, -1, axis), np.moveaxis(np.stack(end, axis=-1), -1, axis)


@twin
def sosfilt(sos: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    if zi is not None:
        raise unsupported("scipy.signal.sosfilt", "zi=", "filter section after section with lfilter")
    sos = operand(sos)
    for k in range(sos.shape[0]):
        x = lfilter(sos[k, :3], sos[k, 3:], x, axis)
    return x


def extended(x: Any, n: int, kind: str | None) -> Any:
    if not n or kind is None:
        return x
    if kind == "constant":
        return pad(x, [(0, 0)] * (x.ndim - 1) + [(n, n)], mode="edge")
    before, after = x[..., n:0:-1], x[..., -2 : -n - 2 : -1]
    if kind == "odd":
        before, after = 2.0 * x[..., :1] - before, 2.0 * x[..., -1:] - after
    return np.concatenate([before, x, after], axis=-1)


@twin
def filtfilt(
    b: Any, a: Any, x: Any, axis: int = -1, padtype: Any = "odd", padlen: Any = None, method: str = "pad", irlen: Any = None
) -> Any:
    import scipy.signal

    if method != "pad":
        raise unsupported("scipy.signal.filtfilt", f"method={method!r}", "use method='pad'")
    if traced.is_active(b) or traced.is_active(a):
        raise unsupported("scipy.signal.filtfilt", "a filter that is differentiated", "use lfilter forwards and backwards")
    b, a = (np.atleast_1d(traced.value_of(c)) for c in (b, a))
    x = np.moveaxis(operand(x), axis, -1)
    n = 0 if padtype is None else 3 * max(len(a), len(b)) if padlen is None else padlen
    wide = extended(x, n, padtype)
    state = scipy.signal.lfilter_zi(b, a)
    y, _ = lfilter(b, a, wide, zi=state * wide[..., :1])
    y, _ = lfilter(b, a, y[..., ::-1], zi=state * y[..., -1:])
    y = y[..., ::-1]
    return np.moveaxis(y[..., n : y.shape[-1] - n], -1, axis)


# -- smoothing and trends ------------------------------------------------------------------------------------------

PADDING = {"mirror": "reflect", "nearest": "edge", "wrap": "wrap", "constant": "constant"}


@twin
def savgol_filter(x: Any, window_length: int, polyorder: int, deriv: int = 0, delta: float = 1.0, axis: int = -1, mode: str = "interp",
                  cval: float = 0.0) -> Any:  # fmt: skip
    """A convolution; mode "interp" fits the ends by matrices, which SciPy gives as the response to unit vectors."""
    import scipy.signal

    x = np.moveaxis(operand(x), axis, -1)
    n, half = window_length, window_length // 2
    lead = [(0, 0)] * (x.ndim - 1)
    weights = scipy.signal.savgol_coeffs(n, polyorder, deriv=deriv, delta=delta)[::-1]
    if mode == "interp":
        if n > x.shape[-1]:
            raise ValueError(f"{traced.where_text()}If mode is 'interp', window_length must be less than or equal to the size of x.")
        wide = x
    else:
        more = {"constant_values": cval} if mode == "constant" else {}
        wide = pad(x, [*lead, (half, n - 1 - half)], mode=PADDING[mode], **more)
    size = wide.shape[-1] - n + 1
    y = sum(float(w) * wide[..., k : k + size] for k, w in enumerate(weights))
    if mode == "interp":
        ends = scipy.signal.savgol_filter(np.eye(n), n, polyorder, deriv, delta, axis=0)
        y = np.concatenate([x[..., :n] @ ends[:half].T, y, x[..., -n:] @ ends[n - half :].T], axis=-1)
    return np.moveaxis(y, -1, axis)


@twin
def detrend(data: Any, axis: int = -1, type: str = "linear", bp: Any = 0, overwrite_data: bool = False) -> Any:
    x = np.moveaxis(operand(data), axis, -1)
    if type in ("constant", "c"):
        y = x - np.mean(x, axis=-1, keepdims=True)
    else:
        ends = np.unique(np.r_[0, bp, x.shape[-1]])
        pieces = []
        for first, last in itertools.pairwise(ends):
            basis = np.stack([np.ones(last - first), np.arange(1, last - first + 1) / (last - first)], axis=-1)
            piece = x[..., first:last]
            pieces.append(piece - (piece @ np.linalg.pinv(basis).T) @ basis.T)
        y = np.concatenate(pieces, axis=-1)
    return np.moveaxis(y, -1, axis)


@twin
def hilbert(x: Any, N: Any = None, axis: int = -1) -> Any:
    x = np.moveaxis(operand(x), axis, -1)
    if is_complex(x):
        raise ValueError(f"{traced.where_text()}x must be real.")
    n = x.shape[-1] if N is None else operator.index(N)
    weights = np.zeros(n)
    weights[0] = 1.0
    weights[1 : (n + 1) // 2] = 2.0
    if n % 2 == 0:
        weights[n // 2] = 1.0
    return np.moveaxis(np.fft.ifft(np.fft.fft(x, n) * weights), -1, axis)
