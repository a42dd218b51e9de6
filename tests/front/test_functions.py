"""NumPy functions on traced arrays: values as NumPy's, gradients by differences and the complex step."""

import numpy as np
import pytest
import scipy.special
from adcore.testing import check_grads

import adcore

rng = np.random.default_rng(0)
v = rng.normal(size=6)
p = np.abs(v) + 0.5
A = rng.normal(size=(3, 4))
B = rng.normal(size=(3, 4))
T = rng.normal(size=(2, 3, 4))
S = rng.normal(size=(4, 4))
w = rng.normal(size=100)
mask = np.array([True, False, True, True])

ONE = {
    "reshape": (lambda x: np.reshape(x, (4, -1)), A),
    "reshape F": (lambda x: np.reshape(x, (2, 6), order="F"), A),
    "ravel of a transpose": (lambda x: np.ravel(x.T), A),
    "transpose": (lambda x: np.transpose(x, (2, 0, 1)), T),
    "swapaxes": (lambda x: np.swapaxes(x, 0, -1), T),
    "moveaxis": (lambda x: np.moveaxis(x, 0, 2), T),
    "rollaxis": (lambda x: np.rollaxis(x, 2), T),
    "broadcast_to": (lambda x: np.broadcast_to(x, (2, 3, 4)), A),
    "broadcast_arrays": (lambda x: np.broadcast_arrays(x, np.zeros((2, 3, 4)))[0], A),
    "expand_dims": (lambda x: np.expand_dims(x, (0, 2)), A),
    "squeeze": (lambda x: np.squeeze(x[None, :, None]), A),
    "atleast_3d": (np.atleast_3d, A),
    "atleast_2d": (np.atleast_2d, v),
    "concatenate": (lambda x: np.concatenate([x, np.ones((2, 4)), 2 * x]), A),
    "concatenate flat": (lambda x: np.concatenate([x, x[:1]], axis=None), A),
    "stack": (lambda x: np.stack([x, x * x], axis=1), A),
    "vstack": (lambda x: np.vstack([x, x]), v),
    "hstack": (lambda x: np.hstack([x, x]), A),
    "dstack": (lambda x: np.dstack([x, 2 * x]), A),
    "column_stack": (lambda x: np.column_stack([x, x * x]), v),
    "block": (lambda x: np.block([[x, x], [x, 2 * x]]), A),
    "append": (lambda x: np.append(x, x[:2]), v),
    "insert": (lambda x: np.insert(x, 2, x[0] * x[1]), v),
    "delete": (lambda x: np.delete(x, [1, 3]), v),
    "split": (lambda x: np.split(x, 3)[1], v),
    "array_split": (lambda x: np.array_split(x, 4)[1], v),
    "hsplit": (lambda x: np.hsplit(x, 2)[1], A),
    "vsplit": (lambda x: np.vsplit(x, 3)[1], A),
    "flip": (lambda x: np.flip(x, 1) * x, A),
    "fliplr": (lambda x: np.fliplr(x) * x, A),
    "flipud": (lambda x: np.flipud(x) * x, A),
    "rot90": (lambda x: np.rot90(x, 1) @ x, S),
    "rot90 twice": (lambda x: np.rot90(x, 2), A),
    "rot90 back": (lambda x: np.rot90(x, 3), A),
    "roll": (lambda x: np.roll(x, 2) * x, A),
    "roll by axes": (lambda x: np.roll(x, (1, -1), axis=(0, 1)) * x, A),
    "tile": (lambda x: np.tile(x, (2, 1, 2)), A),
    "repeat": (lambda x: np.repeat(x, 3, axis=1), A),
    "repeat each": (lambda x: np.repeat(x, [1, 0, 2], axis=0), A),
    "pad": (lambda x: np.pad(x, ((1, 0), (2, 1)), constant_values=2.0), A),
    "pad wrap": (lambda x: np.pad(x, 2, mode="wrap"), A),
    "tril": (lambda x: np.tril(x, -1), S),
    "triu": (lambda x: np.triu(x, 1), A),
    "diag of a matrix": (lambda x: np.diag(x, 1), S),
    "diag of a vector": (lambda x: np.diag(x, -1), v),
    "diagonal": (lambda x: np.diagonal(x, 1, 1, 2), T),
    "diagflat": (np.diagflat, v),
    "trace": (np.trace, S),
    "take": (lambda x: np.take(x, [0, 0, 2], axis=1), A),
    "take flat": (lambda x: np.take(x, [5, 1]), A),
    "take_along_axis": (lambda x: np.take_along_axis(x, np.argsort(A, axis=1), axis=1), A),
    "compress": (lambda x: np.compress(mask, x, axis=1), A),
    "extract": (lambda x: np.extract(A > 0, x), A),
    "meshgrid": (lambda x: np.meshgrid(x, x[:2])[0] * np.meshgrid(x, x[:2])[1], v),
    "zeros_like": (lambda x: np.zeros_like(x) + x, A),
    "full_like": (lambda x: np.full_like(x, x[0]), v),
    "sum": (lambda x: np.sum(x, axis=(0, 2), keepdims=True), T),
    "sum where": (lambda x: np.sum(x, axis=1, where=A > 0), A),
    "mean": (lambda x: np.mean(x, axis=1), A),
    "mean where": (lambda x: np.mean(x, axis=1, where=mask), A),
    "average": (lambda x: np.average(x, axis=1, weights=np.arange(1.0, 5.0)), A),
    "average by itself": (lambda x: np.average(x, weights=x), p),
    "prod": (lambda x: np.prod(x, axis=1), A),
    "prod of all": (lambda x: np.prod(x, keepdims=True), A),
    "cumsum": (lambda x: np.cumsum(x, axis=0), A),
    "cumsum flat": (np.cumsum, A),
    "cumprod": (lambda x: np.cumprod(x, axis=1), A),
    "max": (lambda x: np.max(x, axis=1), A),
    "max initial": (lambda x: np.max(x, initial=0.1), v),
    "min": (lambda x: np.min(x, axis=(0, 1), keepdims=True), A),
    "ptp": (lambda x: np.ptp(x, axis=0), A),
    "var": (lambda x: np.var(x, axis=1, ddof=1), A),
    "std": (lambda x: np.std(x, axis=0, keepdims=True), A),
    "nansum": (lambda x: np.nansum(np.where(A > 0, x, np.nan), axis=1), A),
    "nanmean": (lambda x: np.nanmean(np.where(B > -0.5, x, np.nan), axis=1), A),
    "nanvar": (lambda x: np.nanvar(np.where(B > -0.5, x, np.nan)), A),
    "nanstd": (lambda x: np.nanstd(np.where(B > -0.5, x, np.nan)), A),
    "nanmax": (lambda x: np.nanmax(np.where(B > -0.5, x, np.nan)), A),
    "nanmin": (lambda x: np.nanmin(np.where(B > -0.5, x, np.nan)), A),
    "nanprod": (lambda x: np.nanprod(np.where(B > -0.5, x, np.nan)), A),
    "diff": (lambda x: np.diff(x, 2, axis=1), A),
    "diff prepend": (lambda x: np.diff(x, prepend=0.0), v),
    "ediff1d": (lambda x: np.ediff1d(x, to_begin=1.0), v),
    "trapezoid": (lambda x: np.trapezoid(x * x, x), v),
    "gradient": (lambda x: np.gradient(x, 0.5, axis=1), A),
    "cov": (np.cov, A),
    "corrcoef": (np.corrcoef, A),
    "sort": (lambda x: np.sort(x, axis=0), A),
    "partition": (lambda x: np.partition(x, 2)[2], v),
    "median": (lambda x: np.median(x, axis=1), A),
    "quantile": (lambda x: np.quantile(x, [0.1, 0.77], axis=0), A),
    "percentile": (lambda x: np.percentile(x, 33.0), A),
    "dot": (lambda x: np.dot(x, B.T), A),
    "dot of 3-d": (lambda x: np.dot(x, T.reshape(2, 4, 3)), A),
    "vdot": (lambda x: np.vdot(x, B), A),
    "inner": (lambda x: np.inner(x, B), A),
    "outer": (lambda x: np.outer(x, x), v),
    "matmul batched": (lambda x: x @ T.transpose(0, 2, 1), A),
    "matmul of a batch with itself": (lambda x: x @ np.swapaxes(x, 1, 2), T),
    "matrix times vector": (lambda x: x @ v[:4] + v[:3] @ x @ v[:4], A),
    "tensordot": (lambda x: np.tensordot(x, T, axes=([0, 1], [1, 2])), A),
    "kron": (lambda x: np.kron(x, x[:2, :2]), A),
    "cross": (lambda x: np.cross(x, x[::-1] + 1.0), rng.normal(size=(4, 3))),
    "einsum trace": (lambda x: np.einsum("ii", x), S),
    "einsum diagonal": (lambda x: np.einsum("ii->i", x), S),
    "einsum transpose": (lambda x: np.einsum("ijk->kji", x), T),
    "einsum batch": (lambda x: np.einsum("bij,bkj->bik", x, x), T),
    "einsum of three": (lambda x: np.einsum("ij,kj,k->i", x, B, v[:3]), A),
    "einsum elementwise": (lambda x: np.einsum("ij,ij->i", x, x), A),
    "einsum ellipsis": (lambda x: np.einsum("...ij,jk->...ik", x, S), T),
    "multi_dot": (lambda x: np.linalg.multi_dot([x, S, x.T]), A),
    "matrix_power": (lambda x: np.linalg.matrix_power(x, 5), S / 3),
    "norm": (lambda x: np.linalg.norm(x, axis=1), A),
    "norm 1": (lambda x: np.linalg.norm(x, 1, axis=0), A),
    "norm inf": (lambda x: np.linalg.norm(x, np.inf), v),
    "norm 3": (lambda x: np.linalg.norm(x, 3), p),
    "frobenius": (lambda x: np.linalg.norm(x), A),
    "where": (lambda x: np.where(A > 0, x, x * x), A),
    "clip": (lambda x: np.clip(x, -0.5, 0.7), A),
    "clip one side": (lambda x: np.clip(x, None, 0.7), A),
    "select": (lambda x: np.select([A > 1, A > 0], [x, x**2], 3.0), A),
    "piecewise": (lambda x: np.piecewise(x, [v < 0], [lambda t: -t * t, lambda t: t]), v),
    "nan_to_num": (lambda x: np.nan_to_num(np.where(A > 0, x, np.nan)), A),
    "sinc": (np.sinc, v),
    "interp": (lambda x: np.interp(x, np.linspace(-3, 3, 7), np.linspace(-3, 3, 7) ** 2), v),
    "unwrap": (lambda x: np.unwrap(4 * x), v),
    "polyval": (lambda x: np.polyval(x, x[0]), v),
    "convolve": (lambda x: np.convolve(x, x[:3], "same"), v),
    "correlate": (lambda x: np.correlate(x, x[:2], "full"), v),
    "bincount": (lambda x: np.bincount([0, 1, 1, 3, 0, 2], weights=x), v),
    "unique": (lambda x: np.unique(x), v),
    "apply_along_axis": (lambda x: np.apply_along_axis(lambda r: r * r[0], 1, x), A),
    "maximum": (lambda x: np.maximum(x, B), A),
    "fmin": (lambda x: np.fmin(x, B), A),
    "hypot": (lambda x: np.hypot(x, B), A),
    "remainder": (lambda x: np.remainder(x, 0.3) + np.fmod(x, 0.7), A),
    "divmod": (lambda x: np.divmod(x, 0.4)[1], A),
    "copysign": (lambda x: np.copysign(x, B), A),
    "logaddexp": (lambda x: np.logaddexp(x, B), A),
    "add.reduce": (lambda x: np.add.reduce(x, axis=1), A),
    "multiply.accumulate": (lambda x: np.multiply.accumulate(x), v),
    "multiply.outer": (lambda x: np.multiply.outer(x, v[:2]), A),
    "out=": (lambda x: np.multiply(x, x, out=np.zeros_like(x)), A),
    "logsumexp": (lambda x: scipy.special.logsumexp(x, axis=1), A),
    "softmax": (lambda x: scipy.special.softmax(x, axis=1), A),
    "log_softmax": (lambda x: scipy.special.log_softmax(x, axis=1), A),
    "gammaln": (scipy.special.gammaln, p),
    "digamma": (scipy.special.psi, p),
    "erf": (scipy.special.erf, v),
    "expit": (scipy.special.expit, v),
    "logit": (lambda x: scipy.special.logit(x / 10), p),
    "xlogy": (lambda x: scipy.special.xlogy(x, x + 1), p),
    "entr": (scipy.special.entr, p),
    "ndtr": (scipy.special.ndtr, v),
}


@pytest.mark.parametrize("name", ONE)
def test_value_and_gradient(name):
    f, x = ONE[name]

    def weighted(x):
        y = f(x)
        return np.sum(np.reshape(w[: np.size(y)], np.shape(y)) * y)

    check_grads(weighted, [x], rtol=2e-6)


def test_vjp_and_jacobian_agree_with_differences():
    import adcore

    def f(x):
        return np.array([x[0] * x[1], np.sin(x[2]), x[1] ** 2])

    x = np.array([0.3, 0.7, 1.1])
    J = adcore.jacobian(f)(x)
    expected = [[0.7, 0.3, 0.0], [0.0, 0.0, np.cos(1.1)], [0.0, 1.4, 0.0]]
    np.testing.assert_allclose(J, expected, rtol=1e-14)
    y, pullback = adcore.vjp(f, x)
    np.testing.assert_allclose(y, f(x))
    for _ in range(2):
        np.testing.assert_allclose(pullback(np.array([1.0, 2.0, 3.0]))[0], np.array([1.0, 2.0, 3.0]) @ expected, rtol=1e-14)
    with pytest.raises(adcore.errors.ArgumentError, match="shape"):
        pullback(np.ones(2))


@pytest.mark.parametrize("shape", [(3, 1), (1, 4), (3, 4)])
@pytest.mark.parametrize("axis", [0, 1])
def test_positions_along_an_axis_broadcast_along_the_others(shape, axis):
    """A row of positions was taken to be all that there is of the other axis."""
    if shape[axis] == 1:
        shape = (2, shape[1]) if axis == 0 else (shape[0], 2)
    index = np.random.default_rng(0).integers(0, A.shape[axis], shape)
    if shape[1 - axis] not in (1, A.shape[1 - axis]):
        index = index[:, :1] if axis == 0 else index[:1]
    check_grads(lambda x: np.take_along_axis(x, index, axis), [A])

    def put(x):
        x = x * 1.0
        np.put_along_axis(x, index, 2.0, axis)
        return x

    check_grads(put, [A])


def test_positions_along_an_axis_have_as_many_axes():
    with pytest.raises(ValueError, match="same number of dimensions"):
        adcore.gradient(lambda x: np.sum(np.take_along_axis(x, np.array([0, 1]), 1)), A)


def test_einsum_of_empty_batches():
    a, b = np.ones((0, 2, 3)), np.ones((0, 3, 4))
    y, pull = adcore.vjp(lambda a, b: np.einsum("...ij,...jk->...ik", a, b), a, b)
    assert y.shape == (0, 2, 4)
    assert [g.shape for g in pull(y)] == [a.shape, b.shape]


def in_place(x):
    x = x.copy()
    x += 0.1
    x *= 0.3
    return x


BESIDE = {
    "gt": lambda x: (x > 0.1) * x,
    "eq": lambda x: (x == 0.1) * x,
    "ge reversed": lambda x: (0.1 >= x) * x,
    "mul": lambda x: x * 0.1,
    "sub reversed": lambda x: 0.1 - x,
    "div": lambda x: x / 0.3,
    "mod": lambda x: x % 0.1,
    "floor_divide": lambda x: x // 0.1,
    "maximum": lambda x: np.maximum(x, 0.1),
    "where": lambda x: np.where(x > 0.3, x, 0.1),
    "clip": lambda x: np.clip(x, -0.1, 0.1),
    "in place": in_place,
    "numpy's double": lambda x: x * np.float64(0.1),
    "numpy's single": lambda x: x * np.float32(0.1),
}


@pytest.mark.parametrize("name", BESIDE)
def test_python_numbers_are_single_beside_single_arrays(name):
    """0.1 stayed double: it was below the float32 that NumPy rounds it to, and comparisons went the other way."""
    x = np.concatenate([np.float32([0.1, 0.3, -0.1, 0.7]), w.astype(np.float32)])
    plain, ours = BESIDE[name](x), adcore.vjp(BESIDE[name], x)[0]
    assert plain.dtype == ours.dtype
    np.testing.assert_array_equal(plain, ours)


EINSUMS = [
    "ij,jk",
    "ij,jk->ki",
    "ij,kj,k",
    "iij->j",
    "ii,ij->i",
    "ij,ij",
    "ij,ji->",
    "i,j,k->kij",
    "...ij,jk->...ki",
    "ij->",
    "ij,ij,ij->j",
    "ijk,kl,jm->lm",
]


@pytest.mark.parametrize("subscripts", EINSUMS)
def test_einsum_plans(subscripts):
    arrays = [rng.normal(size=(3,) * len(term.replace("...", "ab"))) for term in subscripts.split("->")[0].split(",")]
    check_grads(lambda *xs: np.einsum(subscripts, *xs), arrays, order=2)
    y = adcore.vjp(lambda *xs: np.einsum(subscripts, *xs), *arrays)[0]
    np.testing.assert_allclose(y, np.einsum(subscripts, *arrays), rtol=1e-13, atol=1e-13)
