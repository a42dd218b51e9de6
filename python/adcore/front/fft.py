"""numpy.fft and scipy.fft: discrete Fourier transforms of real and complex values.

One linear family on real and imaginary parts carries all of them: its adjoint is the transform of the other direction
with the other norm. Lengths are padding and slices around it, the transforms of and to real arrays are halves of it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..tracer import array as traced
from . import complex, dispatch
from .calls import Family, apply
from .dispatch import unsupported

ADJOINT_NORM = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


def evaluate(params: Any, re: Any, im: Any = None) -> Any:
    """The parts of the transform in the last axis."""
    inverse, axes, norm = params
    z = re
    if im is not None:
        z = np.empty(re.shape, np.result_type(re, np.complex64))
        z.real, z.imag = re, im
    y = np.ascontiguousarray((np.fft.ifftn if inverse else np.fft.fftn)(z, axes=axes, norm=norm))
    return y.view(y.real.dtype).reshape((*y.shape, 2))


def adjoint(params: Any, wanted: Any, g: Any, y: Any, *args: Any) -> Any:
    inverse, axes, norm = params
    back = apply(FFT, (not inverse, axes, ADJOINT_NORM[norm]), y.shape, g[..., 0], g[..., 1])
    return tuple(back[..., k] for k in range(len(args)))


FFT = Family("fft", evaluate, vjp=adjoint)


def resized(p: Any, axes: tuple[int, ...], lengths: list[int]) -> Any:
    """A part cut or padded with zeros at the ends of these axes."""
    kept, missing = [slice(None)] * len(p.shape), [(0, 0)] * len(p.shape)
    for axis, n in zip(axes, lengths, strict=True):
        kept[axis], missing[axis] = slice(min(n, p.shape[axis])), (0, max(0, n - p.shape[axis]))
    if any(n < p.shape[axis] for axis, n in zip(axes, lengths, strict=True)):
        p = p[tuple(kept)]
    return np.pad(p, missing) if any(after for _, after in missing) else p


def along(axis: int, ndim: int, x: Any) -> Any:
    """A vector in the direction of an axis."""
    return x.reshape([-1 if k == axis else 1 for k in range(ndim)])


def transform(name: str, a: Any, lengths: Any, axes: Any, norm: Any) -> Any:
    """A function of numpy.fft, by the row of its name, on a traced value."""
    spectrum, inverse = ROWS[name.rstrip("2n")]
    if not traced.is_traced(a):
        trace = traced.find_trace((a,))
        a = complex.array(a, None, trace) if traced.holds_complex([a]) else traced.as_traced(trace, a)
    norm = "backward" if norm is None else norm
    if norm not in ADJOINT_NORM:
        raise ValueError(f'Invalid norm value {norm}; should be "backward", "ortho" or "forward".')
    parts: tuple[Any, ...] = (a,)
    if isinstance(a, complex.Complex):
        if spectrum == "half":
            raise TypeError(f"{traced.where_text()}np.fft.{name} of a complex array: its argument must be real")
        parts = (a.re,) if traced.is_zero(a.im) else (a.re, a.im)
    ndim = len(a.shape)
    if axes is None:
        axes = range(-(ndim if lengths is None else len(lengths)), 0)
    axes = tuple(normalize_axis_index(operator.index(k), ndim) for k in axes)
    if not axes:
        if spectrum != "whole":
            raise IndexError(f"{traced.where_text()}np.fft.{name}: at least 1 axis must be transformed")
        return a
    if len(set(axes)) < len(axes):
        raise unsupported(f"np.fft.{name}", "an axis given twice", "transform one axis after the other")
    if lengths is None:
        lengths = [a.shape[k] for k in axes]
        if spectrum == "real":
            lengths[-1] = 2 * (lengths[-1] - 1)
    elif len(lengths) != len(axes):
        raise ValueError("Shape and axes have different lengths.")
    lengths = [a.shape[k] if n is None or n == -1 else operator.index(n) for k, n in zip(axes, lengths, strict=True)]
    if min(lengths) < 1:
        raise ValueError(f"Invalid number of FFT data points ({min(lengths)}) specified.")
    last, n = axes[-1], lengths[-1]
    if spectrum == "real":  # each frequency but the first and the middle one stands for its mirror image as well
        weights = np.full(n // 2 + 1, 2.0, parts[0].dtype if parts[0].dtype.kind == "f" else np.float64)
        weights[0] = 1.0
        if n % 2 == 0:
            weights[-1] = 1.0
        weights = along(last, ndim, weights)
        parts = tuple(resized(p, (last,), [n // 2 + 1]) * weights for p in parts)
    parts = tuple(resized(p, axes, lengths) for p in parts)
    pairs = apply(FFT, (inverse, axes, norm), (*parts[0].shape, 2), *parts)
    if spectrum == "real":
        return pairs[..., 0]
    if spectrum == "half":
        pairs = resized(pairs, (last,), [n // 2 + 1])
    return complex.entered(pairs)


# transform -> what of it is computed ("whole", "half" of the spectrum of a real array, or the "real" array of half a
# spectrum), is it the inverse one
ROWS = {
    "fft": ("whole", False),
    "ifft": ("whole", True),
    "rfft": ("half", False),
    "irfft": ("real", True),
    "hfft": ("real", False),
    "ihfft": ("half", True),
}


def stored(name: str, out: Any, y: Any) -> Any:
    if isinstance(out, complex.Complex):
        out[...] = y
        return out
    return y if out is None else dispatch.store(f"fft.{name}", out, y)


def along_one_axis(name: str) -> Callable[..., Any]:
    plain: Any = getattr(np.fft, name)

    def of(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
        if traced.find_trace((a,)) is None:
            return stored(name, out, plain(a, n, axis, norm))
        if n is not None and operator.index(n) < 1:
            raise ValueError(f"Invalid number of FFT data points ({n}) specified.")
        return stored(name, out, transform(name, a, None if n is None else [n], (axis,), norm))

    return of


def along_axes(name: str, default: Any) -> Callable[..., Any]:
    plain: Any = getattr(np.fft, name)

    def of(a: Any, s: Any = None, axes: Any = default, norm: Any = None, out: Any = None) -> Any:
        if traced.find_trace((a,)) is None:
            return stored(name, out, plain(a, s, axes, norm))
        return stored(name, out, transform(name, a, s, axes, norm))

    return of


TRANSFORMS = {name: along_one_axis(name) for name in ROWS}
for each in ("fft", "ifft", "rfft", "irfft"):
    TRANSFORMS[f"{each}2"] = along_axes(f"{each}2", (-2, -1))
    TRANSFORMS[f"{each}n"] = along_axes(f"{each}n", None)
for each, ours in TRANSFORMS.items():
    dispatch.implements(getattr(np.fft, each))(ours)
    complex.implements(getattr(np.fft, each))(ours)


def shifted(x: Any, axes: Any, sign: int) -> Any:
    axes = tuple(range(len(x.shape))) if axes is None else tuple(np.atleast_1d(axes).tolist())
    return np.roll(x, tuple(x.shape[k] // 2 if sign > 0 else -(x.shape[k] // 2) for k in axes), axes)


@dispatch.implements(np.fft.fftshift)
def fftshift(x: Any, axes: Any = None) -> Any:
    return shifted(x, axes, 1)


@dispatch.implements(np.fft.ifftshift)
def ifftshift(x: Any, axes: Any = None) -> Any:
    return shifted(x, axes, -1)


def of_scipy(ours: Callable[..., Any]) -> Callable[..., Any]:
    """With SciPy's arguments; those that say how to compute are not needed."""

    def of(x: Any, *args: Any, overwrite_x: bool = False, workers: Any = None, plan: Any = None, **kw: Any) -> Any:
        return ours(x, *args[:3], **kw)

    return of


# functions of scipy.fft, which go past NumPy's protocols: reached by rebinding of names
REBOUND: dict[str, Callable[..., Any]] = {name: of_scipy(f) for name, f in TRANSFORMS.items()}
REBOUND |= {"fftshift": np.fft.fftshift, "ifftshift": np.fft.ifftshift}
