"""Is a result a view or a copy, as in NumPy? Written into after the call, arguments and results tell.

Each call of the table meets differentiated arrays, arrays made inside the function, and arrays from outside, real and complex, in three
layouts. Then either the argument is written and the result read, or the result written and the argument read: value and
derivative are those of plain NumPy, or the call is one that is refused.
"""

import copy

import numpy as np
import pytest

import adcore

rng = np.random.default_rng(3)
X, K = rng.normal(size=(2, 4, 4))
WEIGHTS = rng.normal(size=300)
INDEX = np.array([[1, 0, 2, 1], [0, 1, 3, 2], [2, 2, 0, 0], [3, 1, 1, 0]])
MASK = INDEX > 0


def padded(a):
    b = np.zeros(8, a.dtype)
    b[2:6] = a[0]
    return b


def filled(b, a):
    b[...] = a
    return b


def iadd(a):
    a += 1.0
    return a


def imul(a):
    a *= 2.0
    return a


def sorted_(a):
    a.sort(axis=0)
    return a


def part_(a):
    a.real.partition(1, axis=0)
    return a


def filled_(a):
    a.fill(a[0, 0])
    return a


def put_(a):
    a.put([0, 3], [a[0, 1], 2.0])
    return a


def put2(a):
    np.put(a, [0, 3], [a[0, 1], 2.0])
    return a


def resized(a):
    b = a.copy()
    b.resize((2, 2), refcheck=False)
    return b


def swap(a):
    a[[0, 1]] = a[[1, 0]]
    return a


def shaped(a):
    b = a[...]
    b.shape = (2, 8)
    return b


def realset(a):
    a.real = a.real * 2
    return a


def imagset(a):
    a.imag = a.real * 2
    return a


def cpt(a):
    np.copyto(a, a.T.copy())
    return a


def cpr(a):
    np.copyto(a.real, a.imag)
    return a


def plc(a):
    np.place(a, MASK, a[0])
    return a


def pmk(a):
    np.putmask(a, MASK, a.copy())
    return a


def pal(a):
    np.put_along_axis(a, INDEX[:, :1], a[:, 1:2], 1)
    return a


def flt(a):
    a.flat = a[0]
    return a


def tset(a):
    a.T[...] = a.copy()
    return a


def adat(a):
    np.add.at(a, ([0, 0, 1], [1, 1, 2]), a[0, :3])
    return a


def mk(a):
    a[MASK] += 1.5
    return a


def fa(a):
    a[[0, 0, 1]] *= 2.0
    return a


def sl(a):
    a[1] = [a[0, 0], 1.0, a[0, 1], 2.0]
    return a


def sa(a):
    a[1, 1] = np.asarray(a[0, 0])
    return a


def ds(a):
    a[np.arange(4), np.arange(4)] = a[0]
    return a


def rv(a):
    a[:] = a[::-1]
    return a


def ov(a):
    a[1:] = a[:-1]
    return a


# of a 4x4 array
CALLS = {
    "asarray": np.asarray,
    "asarray float": lambda a: np.asarray(a, dtype=a.dtype),
    "asanyarray": np.asanyarray,
    "array": np.array,
    "array copy=False": lambda a: np.array(a, copy=False),
    "array copy=None": lambda a: np.array(a, copy=None),
    "array ndmin": lambda a: np.array(a, copy=None, ndmin=3),
    "array order F": lambda a: np.array(a, copy=None, order="F"),
    "array order C": lambda a: np.array(a, copy=None, order="C"),
    "asarray order F": lambda a: np.asarray(a, order="F"),
    "asarray order C": lambda a: np.asarray(a, order="C"),
    "asarray copy": lambda a: np.asarray(a, copy=True),
    "ascontiguousarray": np.ascontiguousarray,
    "asfortranarray": np.asfortranarray,
    "require": lambda a: np.require(a, requirements="C"),
    "require F": lambda a: np.require(a, requirements="F"),
    "require none": lambda a: np.require(a),
    "require O": lambda a: np.require(a.T, requirements="O"),
    "require W": lambda a: np.require(np.broadcast_to(a, (1, 4, 4)), requirements="W"),
    "asarray_chkfinite": np.asarray_chkfinite,
    "copy": np.copy,
    "copy()": lambda a: a.copy(),
    "copy F": lambda a: np.copy(a, order="F"),
    "np.astype": lambda a: np.astype(a, a.dtype),
    "np.astype nocopy": lambda a: np.astype(a, a.dtype, copy=False),
    "astype": lambda a: a.astype(a.dtype),
    "astype nocopy": lambda a: a.astype(a.dtype, copy=False),
    "astype nocopy order F": lambda a: a.astype(a.dtype, order="F", copy=False),
    "astype nocopy order C": lambda a: a.astype(a.dtype, order="C", copy=False),
    "astype complex nocopy": lambda a: a.astype(complex, copy=False),
    "reshape": lambda a: a.reshape(2, 8),
    "reshape -1": lambda a: a.reshape(-1),
    "reshape F": lambda a: a.reshape((2, 8), order="F"),
    "reshape A": lambda a: np.reshape(a, (8, 2), order="A"),
    "reshape copy=True": lambda a: np.reshape(a, (2, 8), copy=True),
    "reshape same": lambda a: a.reshape(4, 4),
    "reshape of T": lambda a: a.T.reshape(-1),
    "reshape newaxes": lambda a: a.reshape(4, 1, 4),
    "reshape slice": lambda a: a[:, :2].reshape(8),
    "reshape slice rows": lambda a: a[:2].reshape(8),
    "reshape 2 of slice": lambda a: a[:, ::2].reshape(2, 2, 2),
    "ravel": np.ravel,
    "ravel()": lambda a: a.ravel(),
    "ravel K": lambda a: a.ravel("K"),
    "ravel F": lambda a: a.ravel("F"),
    "ravel A": lambda a: a.ravel("A"),
    "ravel of T": lambda a: a.T.ravel(),
    "ravel K of T": lambda a: a.T.ravel("K"),
    "ravel row": lambda a: a[1].ravel(),
    "ravel col": lambda a: a[:, 1].ravel(),
    "ravel col of 1": lambda a: a[:, 1:2].ravel(),
    "ravel backwards": lambda a: a[1, ::-1].ravel(),
    "ravel K backwards": lambda a: a[1, ::-1].ravel("K"),
    "flatten": lambda a: a.flatten(),
    "flatten row": lambda a: a[1].flatten(),
    "flatten F": lambda a: a.flatten("F"),
    "T": lambda a: a.T,
    "mT": lambda a: a.mT,
    "transpose": np.transpose,
    "transpose()": lambda a: a.transpose(1, 0),
    "matrix_transpose": np.matrix_transpose,
    "linalg.matrix_transpose": np.linalg.matrix_transpose,
    "permute_dims": lambda a: np.permute_dims(a, (1, 0)),
    "swapaxes": lambda a: np.swapaxes(a, 0, 1),
    "moveaxis": lambda a: np.moveaxis(a, 0, 1),
    "rollaxis": lambda a: np.rollaxis(a, 1),
    "moveaxis same": lambda a: np.moveaxis(a, 0, 0),
    "rollaxis same": lambda a: np.rollaxis(a, 0, 0),
    "expand_dims": lambda a: np.expand_dims(a, 1),
    "squeeze": lambda a: np.squeeze(a[None]),
    "squeeze nothing": lambda a: np.squeeze(a),
    "squeeze()": lambda a: a[:, :1].squeeze(),
    "squeeze scalar": lambda a: a[:1, :1].squeeze(),
    "newaxis": lambda a: a[:, None],
    "atleast_1d": np.atleast_1d,
    "atleast_2d": np.atleast_2d,
    "atleast_3d": np.atleast_3d,
    "atleast_2d row": lambda a: np.atleast_2d(a[0]),
    "atleast_3d row": lambda a: np.atleast_3d(a[0]),
    "atleast_1d two": lambda a: np.atleast_1d(a[0], a[1]),
    "atleast_1d 0d": lambda a: np.atleast_1d(a[1, 1, ...]),
    "flip": np.flip,
    "flip 0": lambda a: np.flip(a, 0),
    "fliplr": np.fliplr,
    "flipud": np.flipud,
    "flip none": lambda a: np.flip(a, ()),
    "rot90": np.rot90,
    "rot90 0": lambda a: np.rot90(a, 0),
    "rot90 2": lambda a: np.rot90(a, 2),
    "rot90 3": lambda a: np.rot90(a, 3),
    "rot90 axes": lambda a: np.rot90(a, 1, (1, 0)),
    "diagonal": np.diagonal,
    "diagonal()": lambda a: a.diagonal(1),
    "diag of matrix": np.diag,
    "diag of row": lambda a: np.diag(a[0]),
    "diag 1": lambda a: np.diag(a, 1),
    "linalg.diagonal": np.linalg.diagonal,
    "diagflat": np.diagflat,
    "split": lambda a: np.split(a, 2),
    "split axis": lambda a: np.split(a, [1], axis=1),
    "array_split": lambda a: np.array_split(a, 3),
    "hsplit": lambda a: np.hsplit(a, 2),
    "vsplit": lambda a: np.vsplit(a, 2),
    "dsplit": lambda a: np.dsplit(a.reshape(2, 2, 4), 2),
    "unstack": lambda a: np.unstack(a),
    "unstack 1": lambda a: np.unstack(a, axis=1),
    "broadcast_to": lambda a: np.broadcast_to(a, (2, 4, 4)),
    "broadcast_to same": lambda a: np.broadcast_to(a, (4, 4)),
    "broadcast_arrays": lambda a: np.broadcast_arrays(a, np.ones((4, 4))),
    "broadcast_arrays same": lambda a: np.broadcast_arrays(a),
    "broadcast_arrays row": lambda a: np.broadcast_arrays(a[0], a)[1:],
    "meshgrid": lambda a: np.meshgrid(a[0], a[1]),
    "meshgrid view": lambda a: np.meshgrid(a[0], copy=False),
    "meshgrid sparse": lambda a: np.meshgrid(a[0], a[1], sparse=True),
    "meshgrid sparse view": lambda a: np.meshgrid(a[0], a[1], sparse=True, copy=False),
    "ix_": lambda a: a[np.ix_([0, 1], [2, 3])],
    "real": np.real,
    ".real": lambda a: a.real,
    "imag": np.imag,
    ".imag": lambda a: a.imag,
    "conj": np.conj,
    "conj()": lambda a: a.conj(),
    "conjugate()": lambda a: a.conjugate(),
    "real_if_close": np.real_if_close,
    "positive": lambda a: +a,
    "abs": np.abs,
    "real of T": lambda a: a.T.real,
    "imag of slice": lambda a: a[::2].imag,
    "view()": lambda a: a.view(),
    "view dtype": lambda a: a.view(a.dtype),
    "view float": lambda a: a.view(float),
    "view complex": lambda a: a.view(complex),
    "view ndarray": lambda a: a.view(np.ndarray),
    "view float row": lambda a: a[1].view(float),
    "item": lambda a: a[1],
    "int int": lambda a: a[1, 2, ...],
    "slice": lambda a: a[1:3],
    "ellipsis": lambda a: a[...],
    "empty tuple": lambda a: a[()],
    "steps": lambda a: a[::-2, 1::2],
    "fancy": lambda a: a[[0, 1]],
    "mask": lambda a: a[MASK],
    "bool row": lambda a: a[MASK[0]],
    "True": lambda a: a[True],
    "fancy full": lambda a: a[[0, 1, 2, 3], :],
    "slice of fancy": lambda a: a[1:, [0, 1]],
    "array index 0d": lambda a: a[np.array(1)],
    "np.int64": lambda a: a[np.int64(1)],
    "mask scalar False": lambda a: a[np.array(True)],
    "take": lambda a: np.take(a, [0, 2]),
    "take axis": lambda a: a.take([0, 2], axis=1),
    "take one": lambda a: np.take(a, 1, axis=0),
    "compress": lambda a: np.compress(MASK[0], a, axis=1),
    "compress()": lambda a: a.compress(MASK[0], axis=0),
    "extract": lambda a: np.extract(MASK, a),
    "choose": lambda a: np.choose(INDEX[0] % 2, [a[0], a[1]]),
    "select": lambda a: np.select([MASK], [a]),
    "where": lambda a: np.where(MASK, a, 0.0),
    "take_along_axis": lambda a: np.take_along_axis(a, INDEX, 1),
    "concatenate one": lambda a: np.concatenate([a]),
    "concatenate": lambda a: np.concatenate([a, a]),
    "stack one": lambda a: np.stack([a]),
    "vstack one": lambda a: np.vstack([a]),
    "hstack one": lambda a: np.hstack([a]),
    "dstack one": lambda a: np.dstack([a]),
    "column_stack one": lambda a: np.column_stack([a]),
    "block": lambda a: np.block(a),
    "block one": lambda a: np.block([a]),
    "block [[ ]]": lambda a: np.block([[a]]),
    "append": lambda a: np.append(a[0], a[1]),
    "append nothing": lambda a: np.append(a[0], []),
    "r_": lambda a: np.r_[a[0]],
    "r_ two": lambda a: np.r_[a[0], a[1]],
    "c_": lambda a: np.c_[a[0]],
    "c_ matrix": lambda a: np.c_[a],
    "insert nothing": lambda a: np.insert(a[0], [], []),
    "insert": lambda a: np.insert(a, 1, 0.0, axis=0),
    "delete nothing": lambda a: np.delete(a, [], axis=0),
    "delete": lambda a: np.delete(a, 1, axis=0),
    "delete slice": lambda a: np.delete(a, slice(0, 0), axis=0),
    "delete first": lambda a: np.delete(a, 0, axis=0),
    "resize same": lambda a: np.resize(a, (4, 4)),
    "resize": lambda a: np.resize(a, (5, 5)),
    "resize smaller": lambda a: np.resize(a, (2, 2)),
    "pad nothing": lambda a: np.pad(a, 0),
    "pad": lambda a: np.pad(a, 1),
    "pad edge": lambda a: np.pad(a, 0, mode="edge"),
    "repeat one": lambda a: np.repeat(a, 1, axis=0),
    "repeat": lambda a: a.repeat(2),
    "tile one": lambda a: np.tile(a, 1),
    "tile": lambda a: np.tile(a, (2, 1)),
    "tile (1,1)": lambda a: np.tile(a, (1, 1)),
    "tile ()": lambda a: np.tile(a, ()),
    "roll 0": lambda a: np.roll(a, 0),
    "roll": lambda a: np.roll(a, 1),
    "roll axis 0": lambda a: np.roll(a, 0, axis=0),
    "trim_zeros": lambda a: np.trim_zeros(a[0]),
    "trim_zeros f": lambda a: np.trim_zeros(a[0], "f"),
    "trim_zeros of zeros": lambda a: np.trim_zeros(padded(a)),
    "trim_zeros 2d": lambda a: np.trim_zeros(a),
    "tril": np.tril,
    "triu": np.triu,
    "tril all": lambda a: np.tril(a, 9),
    "unique": lambda a: np.unique(a),
    "unique sorted": lambda a: np.unique(np.sort(a[0].real)),
    "sort": lambda a: np.sort(a),
    "sort_one": lambda a: np.sort(a[:, :1], axis=1),
    "partition": lambda a: np.partition(a, 1),
    "cumsum": lambda a: np.cumsum(a, axis=0),
    "cumsum one": lambda a: np.cumsum(a[:1], axis=0),
    "cumprod one": lambda a: np.cumprod(a[:1], axis=0),
    "cumulative_sum": lambda a: np.cumulative_sum(a[:1], axis=0),
    "cumulative_prod": lambda a: np.cumulative_prod(a[:1], axis=0),
    "nancumsum": lambda a: np.nancumsum(a[:1], axis=0),
    "add.accumulate": lambda a: np.add.accumulate(a[:1]),
    "nancumprod": lambda a: np.nancumprod(a[:1], axis=0),
    "sum none": lambda a: np.sum(a, axis=()),
    "sum one": lambda a: np.sum(a[:1], axis=0),
    "prod none": lambda a: np.prod(a, axis=()),
    "max none": lambda a: np.max(a, axis=()),
    "max one": lambda a: np.max(a[:1], axis=0),
    "min one": lambda a: np.min(a[:1], axis=0, keepdims=True),
    "mean none": lambda a: np.mean(a, axis=()),
    "mean one": lambda a: np.mean(a[:1], axis=0),
    "median one": lambda a: np.median(a[:1], axis=0),
    "median": lambda a: np.median(a, axis=0),
    "percentile one": lambda a: np.percentile(a[:1], 50.0, axis=0),
    "quantile": lambda a: np.quantile(a[:1], 0.5, axis=0, keepdims=True),
    "average one": lambda a: np.average(a[:1], axis=0),
    "nanmean": lambda a: np.nanmean(a[:1], axis=0),
    "nansum one": lambda a: np.nansum(a[:1], axis=0),
    "nanmax one": lambda a: np.nanmax(a[:1], axis=0),
    "nanmedian one": lambda a: np.nanmedian(a[:1], axis=0),
    "ptp": lambda a: np.ptp(a, axis=0),
    "add.reduce none": lambda a: np.add.reduce(a, axis=()),
    "multiply.reduce one": lambda a: np.multiply.reduce(a[:1]),
    "maximum.reduce one": lambda a: np.maximum.reduce(a[:1]),
    "logaddexp.reduce one": lambda a: np.logaddexp.reduce(a[:1].real),
    "add.reduceat": lambda a: np.add.reduceat(a, [0, 1]),
    "hypot.reduce one": lambda a: np.hypot.reduce(a[:1].real),
    "subtract.reduce one": lambda a: np.subtract.reduce(a[:1]),
    "subtract.accumulate one": lambda a: np.subtract.accumulate(a[:1]),
    "maximum.reduce none": lambda a: np.maximum.reduce(a, axis=()),
    "logaddexp none": lambda a: np.logaddexp.reduce(a.real, axis=()),
    "maximum.accumulate": lambda a: np.maximum.accumulate(a[:1]),
    "fmax.reduce": lambda a: np.fmax.reduce(a[:1]),
    "std": lambda a: np.std(a, axis=()),
    "var": lambda a: np.var(a, axis=0),
    "all": lambda a: np.where(np.all(MASK, axis=()), a, a),
    "diff 0": lambda a: np.diff(a, 0),
    "diff 0 of T": lambda a: np.diff(a.T, n=0),
    "diff": lambda a: np.diff(a),
    "ediff1d": lambda a: np.ediff1d(a[0]),
    "gradient": lambda a: np.gradient(a),
    "unwrap": lambda a: np.unwrap(a.real),
    "unwrap one": lambda a: np.unwrap(a.real[:1], axis=0),
    "interp": lambda a: np.interp([0.5, 1.0], [0.0, 1.0, 2.0, 3.0], a[0]),
    "trapezoid": lambda a: np.trapezoid(a, axis=0),
    "convolve one": lambda a: np.convolve(a[0], [1.0]),
    "correlate one": lambda a: np.correlate(a[0], [1.0]),
    "convolve": lambda a: np.convolve(a[0], [1.0, 2.0], "same"),
    "clip": lambda a: np.clip(a.real, -0.5, 0.5),
    "clip none": lambda a: np.clip(a.real, None, 9.0),
    "round": lambda a: np.round(a, 1) + a,
    "nan_to_num": np.nan_to_num,
    "nan_to_num nocopy": lambda a: np.nan_to_num(a, copy=False),
    "fix": lambda a: a + np.fix(a.real),
    "sinc": np.sinc,
    "angle": lambda a: np.angle(a) + a.real,
    "piecewise": lambda a: np.piecewise(a[0].real, [a[0].real > 0], [lambda t: t, lambda t: -t]),
    "piecewise identity": lambda a: np.piecewise(a[0].real, [a[0].real > -99], [lambda t: t]),
    "apply_along_axis": lambda a: np.apply_along_axis(lambda r: r, 1, a),
    "apply_over_axes": lambda a: np.apply_over_axes(np.sum, a, []),
    "apply_over_axes one": lambda a: np.apply_over_axes(np.sum, a[:1], [0]),
    "vectorize": lambda a: np.vectorize(lambda t: t)(a),
    "frompyfunc": lambda a: np.frompyfunc(lambda t: t, 1, 1)(a.real),
    "einsum": lambda a: np.einsum("ij->ij", a),
    "einsum T": lambda a: np.einsum("ij->ji", a),
    "einsum ii": lambda a: np.einsum("ii->i", a),
    "einsum ii sum": lambda a: np.einsum("ii", a),
    "einsum rows": lambda a: np.einsum("ij->i", a),
    "einsum two": lambda a: np.einsum("ij,ij->ij", a, a),
    "einsum two T": lambda a: np.einsum("ij,jk->ik", a, a),
    "einsum lists": lambda a: np.einsum(a, [0, 1], [1, 0]),
    "einsum implicit": lambda a: np.einsum("ba", a),
    "einsum optimize": lambda a: np.einsum("ij->ji", a, optimize=True),
    "einsum times 1": lambda a: np.einsum(",ij->ij", 1.0, a),
    "dot eye": lambda a: np.dot(a, np.eye(4)),
    "dot scalar": lambda a: np.dot(a, 1.0),
    "dot vectors": lambda a: np.dot(a[0], a[1]),
    "matmul": lambda a: a @ a,
    "inner": lambda a: np.inner(a, a),
    "outer": lambda a: np.outer(a[0], a[1]),
    "kron": lambda a: np.kron(a[:2, :2], [[1.0]]),
    "tensordot": lambda a: np.tensordot(a, a, 1),
    "tensordot 0": lambda a: np.tensordot(a, 1.0, 0),
    "trace": np.trace,
    "cross": lambda a: np.cross(a[:, :3], a[:, 1:]),
    "vdot": lambda a: np.vdot(a, a),
    "multi_dot": lambda a: np.linalg.multi_dot([a, a]),
    "matrix_power 1": lambda a: np.linalg.matrix_power(a, 1),
    "matrix_power 2": lambda a: np.linalg.matrix_power(a, 2),
    "matrix_power 0": lambda a: np.linalg.matrix_power(a, 0) + a,
    "inv": np.linalg.inv,
    "norm": lambda a: np.linalg.norm(a, axis=0),
    "norm none": lambda a: np.linalg.norm(a),
    "vector_norm": lambda a: np.linalg.vector_norm(a, axis=1),
    "vander": lambda a: np.vander(a[0], 2),
    "vander 1": lambda a: np.vander(a[0], 1) + a[0],
    "qr": lambda a: np.linalg.qr(a.real)[1],
    "solve": lambda a: np.linalg.solve(np.eye(4), a),
    "cholesky": lambda a: np.linalg.cholesky(a @ a.conj().T + np.eye(4)),
    "sliding_window_view": lambda a: np.lib.stride_tricks.sliding_window_view(a, (2, 2)),
    "sliding_window_view writeable": lambda a: np.lib.stride_tricks.sliding_window_view(a, (4, 2), writeable=True)[0, ::2],
    "sliding one": lambda a: np.lib.stride_tricks.sliding_window_view(a, 1, axis=0, writeable=True),
    "as_strided": lambda a: np.lib.stride_tricks.as_strided(a, (4,), (a.strides[0] + a.strides[1],)),
    "as_strided rows": lambda a: np.lib.stride_tricks.as_strided(a, (2, 4), (2 * a.strides[0], a.strides[1])),
    "zeros_like": lambda a: np.zeros_like(a) + a,
    "empty_like": lambda a: filled(np.empty_like(a), a),
    "full_like": lambda a: np.full_like(a, a[0, 0]),
    "full": lambda a: np.full((4, 4), a),
    "ones_like": lambda a: np.ones_like(a) * a,
    "fft": lambda a: np.fft.fft(a),
    "ifft": lambda a: np.fft.ifft(a),
    "fft one": lambda a: np.fft.fft(a[:, :1]),
    "fftshift": lambda a: np.fft.fftshift(a),
    "fftshift none": lambda a: np.fft.fftshift(a, ()),
    "ifftshift": lambda a: np.fft.ifftshift(a, 0),
    "rfft": lambda a: np.fft.rfft(a.real),
    "irfft": lambda a: np.fft.irfft(a),
    "fftn": lambda a: np.fft.fftn(a),
    "fftn none": lambda a: np.fft.fftn(a, axes=()),
    "hfft": lambda a: np.fft.hfft(a),
    "polyadd": lambda a: np.polyadd(a[0], [1.0]),
    "polyadd 0": lambda a: np.polyadd(a[0], [0.0]),
    "polyder 0": lambda a: np.polyder(a[0], 0),
    "polyint 0": lambda a: np.polyint(a[0], 0),
    "polymul": lambda a: np.polymul(a[0], [1.0]),
    "polyval": lambda a: np.polyval([1.0, 0.0], a),
    "polyval of const": lambda a: np.polyval(a[0], 2.0),
    "poly1d coeffs": lambda a: np.poly1d(a[0]).coeffs,
    "polysub": lambda a: np.polysub(a[0], [0.0]),
    "poly": lambda a: np.poly(a[0].real),
    "polydiv": lambda a: np.polydiv(a[0], [1.0]),
    "histogram": lambda a: np.histogram(INDEX[0], 2, weights=a[0].real)[0],
    "bincount": lambda a: np.bincount(INDEX[0], weights=a[0].real),
    "cov": lambda a: np.cov(a),
    "i0": lambda a: np.i0(a.real),
    "frombuffer": lambda a: np.frombuffer(a.tobytes(), a.dtype),
    "frombuffer of it": lambda a: np.frombuffer(a[0].real.copy()),
    "fromiter": lambda a: np.fromiter((t for t in a[0]), a.dtype),
    "intersect1d": lambda a: np.intersect1d(a[0].real, a[0].real),
    "union1d": lambda a: np.union1d(a[0].real, a[1].real),
    "linspace": lambda a: np.linspace(a[0], a[1], 3),
    "linspace 1": lambda a: np.linspace(a[0], a[1], 1),
    "geomspace": lambda a: np.geomspace(abs(a[0]) + 1, abs(a[1]) + 2, 3),
    "logspace": lambda a: np.logspace(a[0].real, a[1].real, 3),
    "lib.scimath.sqrt": lambda a: np.lib.scimath.sqrt(a * a + 9),
    "flat": lambda a: a.flat[1:5],
    "flat all": lambda a: a.flat[:],
    "iter": lambda a: list(a),
    "list of iter flat": lambda a: np.array(list(a.flat)),
    "np.nditer": lambda a: [np.array(v) for v in np.nditer(a)],
    "ndenumerate": lambda a: np.array([v for _, v in np.ndenumerate(a)]),
    "unpack": lambda a: [r for r in a],
    "zip": lambda a: [p for p, q in zip(a.T, a, strict=True)],
    "enumerate": lambda a: [r[1:] for k, r in enumerate(a)],
    "reversed": lambda a: list(reversed(a)),
    "array of rows": lambda a: np.array([a[0], a[1]]),
    "asarray of rows": lambda a: np.asarray([a[0], a[1]]),
    "array of list": lambda a: np.array(list(a)),
    "tolist": lambda a: np.array(a.tolist()),
    "squeeze axis": lambda a: np.squeeze(a[None, :], axis=0),
    "inplace add": lambda a: iadd(a),
    "iadd of view": lambda a: iadd(a[1:]),
    "ifloordiv": lambda a: imul(a.T),
    "out=": lambda a: np.multiply(a, 2.0, out=a),
    "out= slice": lambda a: np.add(a[0], a[1], out=a[2]),
    "cumsum out": lambda a: np.cumsum(a, axis=0, out=a),
    "sum out": lambda a: np.sum(a, axis=0, out=a[0]),
    "take out": lambda a: np.take(a, [0, 1, 2, 3], axis=0, out=a),
    "clip out": lambda a: np.clip(a.real, -0.5, 0.5, out=a.real),
    "matmul out": lambda a: np.matmul(a, a, out=a),
    "ufunc where out": lambda a: np.multiply(a, 2.0, out=a, where=MASK),
    "mean out": lambda a: np.mean(a, axis=0, out=a[1]),
    "einsum out": lambda a: np.einsum("ij->ij", a, out=np.zeros_like(a)),
    "concatenate out": lambda a: np.concatenate([a[:2], a[2:]], out=np.zeros_like(a)),
    "round out": lambda a: np.round(a, 1, out=a),
    "divmod": lambda a: np.divmod(a.real, 0.7)[1],
    "modf": lambda a: np.modf(a.real)[0],
    "frexp": lambda a: np.frexp(a.real)[0],
    "choose out": lambda a: np.choose(INDEX % 2, [a, a], out=a),
    "prod out": lambda a: np.prod(a, axis=0, out=a[0]),
    "max out": lambda a: np.max(a.real, axis=0, out=a.real[0]),
    "compress out": lambda a: np.compress([True] * 4, a, axis=0, out=a),
    "sort()": lambda a: sorted_(a),
    "partition()": lambda a: part_(a),
    "fill": lambda a: filled_(a),
    "itemset": lambda a: put_(a),
    "resize()": lambda a: resized(a),
    "byteswap": lambda a: a.byteswap().byteswap(),
    "swap rows": lambda a: swap(a),
    "put": lambda a: put2(a),
    "shape=": lambda a: shaped(a),
    "real=": lambda a: realset(a),
    "imag=": lambda a: imagset(a),
    "copyto": lambda a: cpt(a),
    "copyto real": lambda a: cpr(a),
    "place": lambda a: plc(a),
    "putmask": lambda a: pmk(a),
    "put_along": lambda a: pal(a),
    "flat=": lambda a: flt(a),
    "T[...]=": lambda a: tset(a),
    "add.at": lambda a: adat(a),
    "mask iadd": lambda a: mk(a),
    "fancy iadd": lambda a: fa(a),
    "setitem list": lambda a: sl(a),
    "setitem scalar array": lambda a: sa(a),
    "diag set": lambda a: ds(a),
    "memoryview-like slice swap": lambda a: rv(a),
    "overlap": lambda a: ov(a),
}
CALLS |= {"copy.copy": copy.copy, "copy.deepcopy": copy.deepcopy}


def differentiated(shape, t, factor):
    return factor * t[0] if shape == (4, 4) else factor * np.concatenate([t[0], 2.0 * t[1]])


def zeros(shape, t, factor):
    return np.zeros(shape, type(factor))


def assigned(shape, t, factor):
    a = np.empty(shape, type(factor))
    a[...] = 0.3
    a[:4] += factor * K
    return a


def copied(shape, t, factor):
    return np.copy(factor * np.concatenate([K, K])[: shape[0]])


def plain(shape, t, factor):
    return (factor * np.concatenate([K, K])[: shape[0]]).copy()


MAKERS = (differentiated, zeros, assigned, copied, plain)
LAYOUTS = {
    "C": (lambda make: make((4, 4)), MAKERS),
    "Fortran": (lambda make: make((4, 4)).T, (differentiated, copied, plain)),
    "every other row": (lambda make: make((8, 4))[::2], (differentiated, plain)),
}


def news(shape, t, made_of):
    """What is written: it depends on t."""
    n = int(np.prod(shape))
    x = t[1].ravel()[np.arange(n) % 16].reshape(shape) * (1.0 + 0.1 * np.arange(n).reshape(shape))
    return x * (0.7 - 0.2j) if np.dtype(made_of).kind == "c" else x


def measured(y):
    w = WEIGHTS[: int(np.prod(np.shape(y)))].reshape(np.shape(y))
    return np.sum(w * np.real(y)) + np.sum(w * w * np.imag(y))


def read(call, a, t):
    """The argument is written after the call."""
    results = call(a)
    results = results if isinstance(results, (tuple, list)) else [results]
    a[...] = news((4, 4), t, a.dtype)
    return sum(measured(y) * (k + 1) for k, y in enumerate(results))


def written(call, a, t):
    """The result is."""
    results = call(a)
    results = results if isinstance(results, (tuple, list)) else [results]
    for y in results[::2]:
        y[...] = news(np.shape(y), t, y.dtype)
    return measured(a) + sum(measured(y) for y in results)


def outcomes(name):
    """(which array, what is wrong or None if all is well, the error of ours or None) for each way to call it."""
    call, there = CALLS[name], np.stack([X, K + 0.3])
    towards = np.cos(np.arange(32.0)).reshape(2, 4, 4)
    for factor in (1.0, 1.0 + 0.5j):
        for layout, (lay, makers) in LAYOUTS.items():
            for make in makers:
                for probe in (read, written):

                    def f(t, factor=factor, make=make, lay=lay, probe=probe):
                        held = there if make is plain else t  # what is not recorded takes no traced values
                        return probe(call, lay(lambda shape: make(shape, held, factor)), held) + np.sum(t[1] ** 2)

                    which = f"{'complex' if isinstance(factor, complex) else 'real'} {make.__name__} {layout} {probe.__name__}"
                    with np.errstate(all="ignore"):
                        try:
                            value = f(there)
                        except (ValueError, TypeError, AttributeError, np.linalg.LinAlgError):  # read-only, a number, singular
                            continue
                        if not np.isfinite(value):
                            continue
                        try:
                            ours, gradient = adcore.value_and_grad(f)(there)
                        except (adcore.errors.NotDifferentiable, adcore.errors.LostTrace, adcore.errors.ArgumentError) as error:
                            yield which, None, error
                            continue
                        slope = (f(there + 1e-6 * towards) - f(there - 1e-6 * towards)) / 2e-6
                    if not np.isclose(ours, value, rtol=1e-10):
                        yield which, f"{ours} instead of {value}", None
                    elif not np.isclose(np.sum(gradient * towards), slope, rtol=1e-4, atol=1e-4):
                        yield which, f"slope {np.sum(gradient * towards)} instead of {slope}", None


# no derivative of complex values, or of bytes; "nditer" in Fortran order
REFUSED = {
    "view float", "view float row", "choose", "choose out", "sort", "sort_one", "sort()", "partition", "cumulative_prod", "nancumsum",
    "nancumprod", "nanmax one", "nanmedian one", "ptp", "max none", "max one", "min one", "maximum.reduce one", "maximum.reduce none",
    "add.reduceat", "median", "median one", "vectorize", "fromiter", "polydiv", "cov", "as_strided", "as_strided rows",
    "unique", "poly1d coeffs", "np.nditer", "ndenumerate", "resize()", "byteswap",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
def test_results_share_memory_with_arguments_as_in_numpy(name):
    found = list(outcomes(name))
    assert [(which, wrong) for which, wrong, _ in found if wrong] == []
    errors = [str(error) for _, _, error in found if error]
    assert bool(errors) == (name in REFUSED)
    assert all("test_memory.py:" in text for text in errors)


OUT = {
    "choose": lambda a, out: np.choose([[0, 1, 0, 1]], [a.real, 2 * a.real], out.real),
    "in a tuple": lambda a, out: np.add(a, a, out=(out,)),
    "one of two": lambda a, out: np.modf(a.real, out=(out.real, None)),
    "both": lambda a, out: np.divmod(a.real[:2], 0.7, out=(out.real[:2], out.real[2:])),
    "sum": lambda a, out: np.sum(a, 0, None, out[0]),
    "cumprod": lambda a, out: a.cumprod(0, None, out),
    "dot": lambda a, out: np.dot(a, a, out),
    "method dot": lambda a, out: a.dot(a, out),
    "take": lambda a, out: np.take(a, [1, 0, 2, 3], 0, out),
    "concatenate": lambda a, out: np.concatenate([a[:2], a[2:]], 0, out),
    "outer": lambda a, out: np.outer(a[0], a[1], out),
    "take with a mode": lambda a, out: np.take(a, [5, 0, 2, 3], 0, out, "wrap"),
}


@pytest.mark.parametrize("factor", [1.0, 1.0 + 0.5j])
@pytest.mark.parametrize("name", OUT)
def test_out_is_written_wherever_it_stands(name, factor):
    def f(x):
        out = np.zeros((4, 4), type(factor))
        OUT[name](factor * x, out)
        return measured(out)

    value, gradient = adcore.value_and_grad(f)(X)
    assert value == pytest.approx(f(X), rel=1e-12)
    towards = np.cos(np.arange(16.0)).reshape(4, 4)
    assert np.sum(gradient * towards) == pytest.approx((f(X + 1e-6 * towards) - f(X - 1e-6 * towards)) / 2e-6, rel=1e-5, abs=1e-6)
