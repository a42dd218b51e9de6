"""Functions that take functions, choose between values, or fold arrays, as NumPy's reference lists them."""

import numpy as np
import numpy.linalg as la
import pytest
import scipy.special as sc
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from .checking import Idioms, check

rng = np.random.default_rng(2)
x = rng.normal(size=6)
A = rng.normal(size=(4, 5))
P = np.abs(x) + 0.5
S = A @ A.T + np.eye(4)
idiom = Idioms()


@idiom(x, same_as=lambda x: np.sum(np.where(x.real > 0, x * x, -x)) + np.sum(x[:3] + 2 * x[3:]))
def vectorized_branches(x):
    relu2 = np.vectorize(lambda t: t * t if t > 0 else -t)
    add = np.vectorize(lambda a, b: a + 2 * b, otypes=[float])
    return np.sum(relu2(x)) + np.sum(add(x[:3], x[3:]))


@np.vectorize
def softened(t, eps=0.1):
    return t * t / (t + eps) if t > 0 else 0.0


@idiom(x, same_as=lambda x: np.sum(np.where(x.real > 0, x * x / (x + 0.1), 0.0)) + np.sum(np.where(x.real > 0, x * x / (x + 0.2), 0.0)))
def a_decorated_vectorized_function(x):
    return np.sum(softened(x)) + np.sum(softened(x, eps=0.2))


@idiom(A, same_as=lambda A: np.sum((A @ A[0]) ** 2))
def vectorize_with_a_signature(A):
    inner = np.vectorize(np.dot, signature="(n),(n)->()")
    return np.sum(inner(A, A[0]) ** 2)


@idiom(A, same_as=lambda A: np.sum(np.sum(np.cumsum(A, axis=1) ** 2, axis=0) * np.arange(5)))
def vectorize_with_an_array_result(A):
    energy = np.vectorize(lambda row: np.cumsum(row) ** 2, signature="(n)->(n)")
    return np.sum(energy(A) @ np.arange(5))


@idiom(x, same_as=lambda x: np.sum(np.sin(x) * np.exp(x)))
def vectorize_with_two_results(x):
    both = np.vectorize(lambda t: (np.sin(t), np.exp(t)))
    s, e = both(x)
    return np.sum(s * e)


@idiom(x, same_as=lambda x: np.sum(x * x[0] + 1.0) + np.sum(x))
def functions_from_python(x):
    f = np.frompyfunc(lambda a, b: a * b + 1.0, 2, 1)
    y = f(x, x[0])
    return np.sum(y.astype(float)) + np.frompyfunc(lambda a, b: a + b, 2, 1).reduce(x)


@idiom(A)
def along_an_axis(A):
    scaled = np.apply_along_axis(lambda row: row / np.sum(row**2), 1, A)
    lengths = np.apply_along_axis(np.linalg.norm, 0, A)
    return np.sum(scaled[:, 0]) + np.sum(lengths)


@idiom(A)
def over_axes(A):
    return np.apply_over_axes(np.sum, A[None] ** 2, [0, 2])[0, 1, 0]


@idiom(x)
def piecewise_functions(x):
    y = np.piecewise(x, [x < -0.5, x > 0.5], [lambda t: t**2, lambda t: np.exp(t), 0.3])
    z = np.piecewise(x, [x < 0, x >= 0], [-1.0, lambda t, k: t * k, 1.0][:2], 3.0) if False else x
    return np.sum(y) + np.sum(z)


@idiom(x)
def select_and_choose(x):
    y = np.select([x < -0.5, x < 0.5], [x**2, np.sin(x)], default=2 * x)
    z = np.choose([0, 1, 0, 1, 1, 0], [x, x**3])
    return np.sum(y * z)


@idiom(x, 0.5)
def where_with_guarded_branches(x, eps):
    safe = np.where(x > 0, x, 1.0)
    y = np.where(x > 0, np.log(safe), eps * x)
    return np.sum(y)


@idiom(x)
def clipped_extrema(x):
    return np.sum(np.maximum(x, 0.1) * np.minimum(x, 0.4)) + np.max(x) * x.min() + np.fmax(x, 0.0).sum() + np.max(x, initial=0.7)


@idiom(x, same_as=lambda x: np.sum(np.where(abs(x.real) < 0.5, x, np.sign(x.real) * 0.5) ** 2))
def clip_by_method(x):
    return np.sum(x.clip(-0.5, 0.5) ** 2)


@idiom(A)
def reductions_with_axes_and_keepdims(A):
    centred = A - A.mean(axis=1, keepdims=True)
    unit = centred / np.sqrt(np.sum(centred**2, axis=(0, 1), keepdims=True))
    return np.sum(unit.sum(axis=0) ** 2) + np.sum(A, where=A > 0) + np.mean(A, axis=0, where=A > -10)[1] + np.prod(A[:, 1])


@idiom(A)
def ufunc_methods(A):
    return (
        np.add.reduce(A, axis=0)[1]
        + np.multiply.accumulate(A[0])[-1]
        + np.sum(np.multiply.outer(A[0], A[1]) ** 2)
        + np.add.reduceat(A[2], [0, 2, 3])[1]
        + np.maximum.reduce(A[3])
        + np.sum(np.subtract.outer(A[0], A[1]))
    )


@idiom(x)
def sums_that_accumulate(x):
    return np.cumsum(x)[3] * np.cumprod(x)[2] + np.sum(np.diff(x, n=2) ** 2) + np.trapezoid(x, dx=0.1) + np.sum(np.ediff1d(x) * x[1:])


@idiom(
    x,
    same_as=lambda x: (
        in_order(x) @ np.arange(6.0)
        + np.sum(in_order(x)[:2] ** 2)
        + in_order(x)[[2, 3]].mean()
        + in_order(x)[[1, 2]].mean()
        + in_order(x)[2]
        + in_order(x)[1]
    ),
)
def ordered_values(x):
    order = np.argsort(x)
    s = np.sort(x)
    return s @ np.arange(6.0) + np.sum(x[order][:2] ** 2) + np.median(x) + np.percentile(x, 30) + np.partition(x, 2)[2] + sorted(x)[1]


def in_order(x):
    return x[np.argsort(x.real)]


@idiom(x, same_as=lambda x: np.sum(x[np.argsort(x.real)[-3:]] ** 2) + 2.0 * x[np.argmax(x.real)])
def the_largest_k(x):
    top = np.argpartition(x, -3)[-3:]
    return np.sum(x[top] ** 2) + 2.0 * x[np.argmax(x)]


@idiom(x)
def interpolated_and_searched(x):
    grid = np.arange(6.0)
    y = np.interp([0.5, 2.2, 4.9], grid, x)
    k = np.searchsorted(grid, 2.5)
    return np.sum(y**2) + x[k]


@idiom(x, same_as=lambda x: np.sum((x[0] + x[1] * np.arange(3.0) + x[2] * np.arange(3.0) ** 2) ** 2) + x[4] * 2 + x[5])
def polynomials(x):
    p = np.polyval(x[2::-1], np.arange(3.0))
    q = np.poly1d([1.0, 2.0])
    return np.sum(p**2) + np.polyval(x[4:], q(0.0)) * 1.0


@idiom(x)
def a_fitted_line(x):
    t = np.linspace(0.0, 1.0, 6)
    V = np.vander(t, 2)
    slope, cut = la.lstsq(V, x, rcond=None)[0]
    return slope**2 + cut


@idiom(
    A, same_as=lambda A: np.einsum("ij,kj->", A, A) + np.sum(A.T @ A * np.arange(25).reshape(5, 5)) + np.trace(A @ A.T) + np.sum(A[0] * 3)
)
def einsum_everywhere(A):
    B = np.einsum("ki,kj->ij", A, A)
    out = np.empty((5, 5))
    np.einsum("ij,ij->ij", B, np.arange(25.0).reshape(5, 5), out=out)
    return np.einsum("ij,kj->", A, A) + np.sum(out) + np.einsum("ij,ij", A, A, optimize=True) + np.einsum("i,->", A[0], 3.0)


@idiom(
    S,
    same_as=lambda S: (
        np.sum(la.solve(S, np.arange(4.0)) ** 2) + np.log(la.det(S)) + la.det(S[:2, :2]) + la.inv(S)[0, 1] + np.trace(S @ S) / 100
    ),
)
def linear_algebra_under_another_name(S):
    w = la.solve(S, np.arange(4.0))
    _sign, logdet = la.slogdet(S)
    return w @ w + logdet + la.det(S[:2, :2]) + la.inv(S)[0, 1] + np.trace(la.matrix_power(S, 2)) / 100


@idiom(A)
def moving_windows(A):
    v = sliding_window_view(A[0], 3)
    w = as_strided(A, shape=(3, 2), strides=(A.strides[0], A.strides[1]))
    return np.sum(v.mean(axis=-1) ** 2) + np.sum(w**3)


@idiom(A)
def axes_moved_and_added(A):
    T = np.moveaxis(A[:, :, None] * A[0], -1, 0)
    T = np.swapaxes(T, 0, 2)[..., np.newaxis]
    return np.sum(np.squeeze(T, -1)[1] ** 2) + np.sum(np.expand_dims(A, 1)[:, 0, :] @ np.rollaxis(A, 1)) + np.atleast_2d(A[0]).sum()


@idiom(
    x,
    same_as=lambda x: (
        np.sum(sc.loggamma(2 + x**2) + 1 / (1 + np.exp(-x)) + x**2 * np.log(1 + x**2))
        + np.log(np.sum(np.exp(x)))
        + np.exp(x[2]) / np.sum(np.exp(x))
    ),
)
def special_functions_of_likelihoods(x):
    return np.sum(sc.gammaln(2 + x**2) + sc.expit(x)) + np.sum(sc.xlogy(x**2, 1 + x**2)) + sc.logsumexp(x) + sc.softmax(x)[2]


@idiom(
    x,
    same_as=lambda x: (
        np.sum((np.fft.ifft(np.fft.fft(x.real) * np.exp(-np.arange(6)))).real ** 2) if not np.any(x.imag) else fft_by_matrix(x)
    ),
)
def a_filter_by_fft(x):
    X = np.fft.fft(x)
    y = np.fft.ifft(X * np.exp(-np.arange(6))).real
    return np.sum(y**2)


def fft_by_matrix(x):
    n = np.arange(6)
    F = np.exp(-2j * np.pi * np.outer(n, n) / 6)
    M = ((np.conj(F) / 6) @ (np.exp(-n)[:, None] * F)).real
    return np.sum((M @ x) ** 2)


@idiom(x, same_as=lambda x: np.sum(x**4 * np.exp(x)))
def unused_and_counted_values(x):
    n = np.count_nonzero(x > -100)
    assert x.shape == (6,)
    assert x.ndim == 1
    assert len(x) == n == x.size
    assert np.allclose(x, x)
    assert np.array_equal(x, x.copy())
    assert not np.any(np.isnan(x))
    assert np.all(np.isfinite(x))
    assert x.dtype == np.float64
    return np.sum(x**4 * np.exp(x))


def padded_by_hand(x):
    ramp = np.concatenate([[x[0] / 2, x[-1] * 2 / 3, x[-1] / 3], [0.0 * x[0], 0.0 * x[0]]])
    return np.sum(ramp**2) + np.sum(x**2) + 3 * np.mean(x) ** 2 + 2 * x[0] + np.mean(x[-2:])


@idiom(x, same_as=padded_by_hand)
def pads_that_follow_the_array(x):
    ramp = np.pad(x, (2, 3), mode="linear_ramp")
    return (
        np.sum(ramp**2)
        + np.sum(np.pad(x, (1, 2), "mean")[[0, -1, -2]] ** 2)
        + 2 * np.pad(x, 1, "maximum", stat_length=1)[0]
        + np.pad(x, (0, 1), "median", stat_length=2)[-1]
    )


@idiom(0.7, 1.3, same_as=lambda a, b: a + b + 3 * a * b + b**2)
def classes_told_by_identity(a, b):
    v = np.array([a, b])
    result = 0.0
    if type(v) is np.ndarray:
        result += v.sum()
    if type(v[0]) == np.float64 and v.dtype.type is np.float64:  # noqa: E721
        result += a * b
    if float is float and int in (int, float):
        result += 2 * a * b
    if isinstance(float, type) and issubclass(np.float64, float) and type(v) is not list:
        result += b**2
    return result


@pytest.mark.parametrize("case", idiom, ids=lambda case: case.__name__)
def test_idiom(case):
    check(case)
