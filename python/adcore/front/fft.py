"""numpy.fft and scipy.fft: discrete Fourier transforms of real and complex values.

Three linear families on real and imaginary parts carry all of them: of a whole array, of a real array to half its
spectrum, and from half a spectrum to a real array. The adjoint of the first is the transform of the other direction with the
other norm; the other two are each other's, but for weights: in a real transform each frequency except the first and the
middle one stands for its mirror image as well. Lengths are padding and slices around them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..tracer import array as traced
from . import complex, cosines, dispatch
from .calls import Family, apply, plain_complex
from .dispatch import unsupported

ADJOINT_NORM = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


def evaluated(kind: str, axes: tuple[int, ...], z: Any, norm: str, lengths: Any = None, out: Any = None) -> Any:
    """NumPy's function of this kind, along one axis where there is one, which is several times faster for short ones."""
    if len(axes) == 1:
        return getattr(np.fft, kind)(z, None if lengths is None else lengths[0], axes[0], norm, out)
    return getattr(np.fft, f"{kind}n")(z, lengths, axes, norm, out)


def as_complex(y: Any) -> Any:
    """An array whose last axis holds real and imaginary parts."""
    return y.view(PAIR_DTYPE[y.dtype])[..., 0]


PAIR_DTYPE = {np.dtype(np.float32): np.dtype(np.complex64), np.dtype(np.float64): np.dtype(np.complex128)}


def evaluating(into: Callable[..., Any], shape_of: Callable[..., Any]) -> Callable[..., Any]:
    """The function that gives in a new array what ``into`` writes into one."""

    def evaluate(params: Any, *parts: Any) -> Any:
        y = np.empty(shape_of(params, parts[0].shape), parts[0].dtype)
        into(params, y, *parts)
        return y

    return evaluate


def fft_into(params: Any, y: Any, re: Any, im: Any = None) -> None:
    inverse, axes, norm = params
    z = as_complex(y)
    if im is not None:
        z.real, z.imag = re, im
    evaluated("ifft" if inverse else "fft", axes, re if im is None else z, norm, out=z)


def rfft_into(params: Any, y: Any, x: Any) -> None:
    axes, norm, _ = params
    evaluated("rfft", axes, x, norm, out=as_complex(y))


def irfft_into(params: Any, y: Any, re: Any, im: Any = None) -> None:
    axes, norm, n = params
    evaluated("irfft", axes, plain_complex(re, im), norm, [*(re.shape[k] for k in axes[:-1]), n], y)


def fft_adjoint(params: Any, wanted: Any, g: Any, y: Any, *parts: Any) -> Any:
    inverse, axes, norm = params
    back = apply(FFT, (not inverse, axes, ADJOINT_NORM[norm]), y.shape, g[..., 0], g[..., 1])
    return tuple(back[..., k] for k in range(len(parts)))


def rfft_adjoint(params: Any, wanted: Any, g: Any, y: Any, x: Any) -> Any:
    axes, norm, n = params
    w = weights(axes[-1], n, x, 0.5)
    return (apply(IRFFT, (axes, ADJOINT_NORM[norm], n), x.shape, g[..., 0] * w, g[..., 1] * w),)


def irfft_adjoint(params: Any, wanted: Any, g: Any, x: Any, *parts: Any) -> Any:
    axes, norm, n = params
    back = apply(RFFT, (axes, ADJOINT_NORM[norm], n), (*parts[0].shape, 2), g)
    w = weights(axes[-1], n, x, 2.0)
    return tuple(back[..., k] * w for k in range(len(parts)))


def weights(last: int, n: int, x: Any, inner: float) -> Any:
    """For each frequency of half a spectrum of n points: 1 where it has no mirror image in the other half, else ``inner``."""
    w = np.full(n // 2 + 1, inner, x.dtype)
    w[0] = 1.0
    if n % 2 == 0:
        w[-1] = 1.0
    return w.reshape([-1 if k == last else 1 for k in range(len(x.shape))])


def halved(axis: int, shape: tuple[int, ...], n: int) -> tuple[int, ...]:
    """The shape of half the spectrum of an array with n points along this axis."""
    return (*shape[:axis], n // 2 + 1, *shape[axis + 1 :])


# their parameters: is it the inverse one, axes, norm; for the real ones axes, norm, points along the last of the axes
FFT = Family("fft", evaluating(fft_into, lambda params, shape: (*shape, 2)), vjp=fft_adjoint, into=fft_into)
RFFT = Family(
    "rfft", evaluating(rfft_into, lambda params, shape: (*halved(params[0][-1], shape, params[2]), 2)), vjp=rfft_adjoint, into=rfft_into
)
IRFFT = Family(
    "irfft",
    evaluating(irfft_into, lambda params, shape: (*shape[: params[0][-1]], params[2], *shape[params[0][-1] + 1 :])),
    vjp=irfft_adjoint,
    into=irfft_into,
)


def resized(p: Any, axes: tuple[int, ...], lengths: list[int]) -> Any:
    """A part cut or padded with zeros at the ends of these axes."""
    if [p.shape[axis] for axis in axes] == lengths:
        return p
    kept, missing = [slice(None)] * len(p.shape), [(0, 0)] * len(p.shape)
    for axis, n in zip(axes, lengths, strict=True):
        kept[axis], missing[axis] = slice(min(n, p.shape[axis])), (0, max(0, n - p.shape[axis]))
    if any(n < p.shape[axis] for axis, n in zip(axes, lengths, strict=True)):
        p = p[tuple(kept)]
    return np.pad(p, missing) if any(after for _, after in missing) else p


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
    n = lengths[-1]
    if spectrum == "whole":
        parts = tuple(resized(p, axes, lengths) for p in parts)
        return complex.entered(apply(FFT, (inverse, axes, norm), (*parts[0].shape, 2), *parts))
    # the transform of the other direction is the conjugate with the other norm
    if spectrum == "half":
        x = resized(parts[0], axes, lengths)
        shape = (*halved(axes[-1], x.shape, n), 2)
        y = complex.entered(apply(RFFT, (axes, ADJOINT_NORM[norm] if inverse else norm, n), shape, x))
        return np.conj(y) if inverse else y
    re, *im = (resized(p, axes, [*lengths[:-1], n // 2 + 1]) for p in parts)
    if not inverse:
        im = [-p for p in im]
    shape = (*re.shape[: axes[-1]], n, *re.shape[axes[-1] + 1 :])
    return apply(IRFFT, (axes, norm if inverse else ADJOINT_NORM[norm], n), shape, re, *im)


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
    plain: Any = getattr(np.fft, name, None)  # some stand in scipy.fft alone

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
REBOUND |= {f"{name}2": of_scipy(along_axes(f"{name}2", (-2, -1))) for name in ("hfft", "ihfft")}
REBOUND |= {f"{name}n": of_scipy(along_axes(f"{name}n", None)) for name in ("hfft", "ihfft")}
REBOUND |= cosines.REBOUND
REFUSED = dict.fromkeys(("fht", "ifht"), "nobody has written it yet")
ON_VALUES = frozenset({"fftfreq", "rfftfreq", "next_fast_len", "prev_fast_len", "get_workers", "set_workers", "fhtoffset"})
