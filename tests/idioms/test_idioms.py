"""Everyday NumPy, unmodified: each function's gradient against differences and the complex step."""

import functools
import math

import numpy as np
import pytest
from adcore.testing import check_grads
from scipy.special import logsumexp

import adcore

rng = np.random.default_rng(0)
x = rng.normal(size=6)
A = rng.normal(size=(4, 5))
P = np.abs(x) + 0.5
IDIOMS = []


def idiom(f):
    IDIOMS.append(f)
    return f


@idiom
def convolution():
    check_grads(lambda x: np.sum(np.convolve(x, [1.0, 2.0, 3.0]) ** 2), [x])


@idiom
def views_of_views_write_through():
    def f(A):
        A = A.copy()
        v = A[1:, ::2]
        v *= 3
        return np.sum(A**2)

    check_grads(f, [A])


@idiom
def swapped_rows_and_masked_assignment():
    def f(A):
        A = A.copy()
        A[[0, 1]] = A[[1, 0]]
        A[A < 0] = 0
        return np.sum(A**3)

    check_grads(f, [A])


@idiom
def names_that_no_protocol_reaches():
    check_grads(lambda x: logsumexp(x) + math.sin(x[0]) + max(x[1], x[2]), [x])


@idiom
def arrays_filled_in_nested_loops():
    def f(x):
        out = np.zeros((3, 2))
        for i in range(3):
            for j in range(2):
                out[i, j] = x[i] * x[j + 1] + (out[i - 1, j] if i else 0.0)
        return np.sum(out * out)

    check_grads(f, [x])


@idiom
def einsum_trace_and_covariance():
    check_grads(lambda A: np.einsum("ij,kj->", A, A) + np.trace(A @ A.T) + np.sum(np.cov(A)), [A])


@idiom
def interpolation_and_statistics():
    check_grads(
        lambda x: np.sum(np.interp(np.array([0.1, 0.5, 2.2]), np.arange(6.0), x)) + np.median(x) + np.var(x) + np.std(x, ddof=1), [x]
    )


@idiom
def pairwise_distances():
    def f(x):
        d = x[:, None] - x[None, :]
        r = np.sqrt(d**2 + np.eye(6))
        return np.sum(np.triu(1 / r, 1))

    check_grads(f, [x])


@idiom
def cumulative_products_and_norms():
    check_grads(lambda x: np.sum(np.cumsum(x) * np.cumprod(x)) + np.prod(x[:3]) + np.linalg.norm(x), [x])


@idiom
def stencil_in_place():
    def f(x):
        u = x.copy()
        for _ in range(5):
            u[1:-1] = 0.3 * (u[:-2] + u[1:-1] + u[2:])
        return np.sum(u**2)

    check_grads(f, [x])


@idiom
def arrays_of_traced_scalars():
    check_grads(lambda x: np.sum(np.array([x[0], x[1] * 2, 3.0]) ** 2) + np.sum(np.stack([x, x**2])[1]) + np.hstack([x, x])[7], [x])


@idiom
def padding_rolling_tiling():
    check_grads(
        lambda A: (
            np.sum(np.pad(A, ((1, 2), (0, 1)), mode="reflect") ** 2) + np.sum(np.roll(A, 2, axis=1) * A) + np.sum(np.tile(A, (2, 1))[5])
        ),
        [A],
    )


@idiom
def branches_on_values():
    def f(x):
        s = 0.0
        for _i, v in enumerate(x):
            if v > 0:
                s += v**2
            else:
                s -= v
        return s

    check_grads(f, [x])


@idiom
def fancy_and_masked_reads():
    check_grads(lambda x: np.sum(x[np.array([0, 0, 2, 5])] ** 2) + np.sum(x[x > 0]) + (x @ x) * np.dot(x, x), [x])


@idiom
def kernels_that_write_into_an_argument():
    def f(u, out):
        out[1:-1] = u[2:] - 2 * u[1:-1] + u[:-2]
        return np.sum(out**2)

    check_grads(f, [x, x * 2])


@idiom
def scatter_add():
    def f(x):
        c = np.zeros(4)
        np.add.at(c, np.array([0, 1, 1, 3, 0, 2]), x)
        return np.sum(c**2)

    check_grads(f, [x])


@idiom
def powers_and_arctan2():
    check_grads(lambda P: np.sum(np.power(P, 2.5)) + np.sum(2.0**P) + np.sum(P**P) + np.sum(np.log10(P) * np.arctan2(P, 2.0)), [P])


@idiom
def where_mean_extrema():
    check_grads(lambda x: float(3) * np.mean(np.where(x > 0, x, 0.1 * x)) + np.ptp(x) + np.max(x) * np.min(x), [x])


@idiom
def splitting_joining_sorting():
    def f(x):
        p, r = np.array_split(x, 2)
        q = np.concatenate([p, r[::-1]])
        q.sort()
        return q @ np.arange(6.0)

    check_grads(f, [x])


@idiom
def vectorize():
    g = np.vectorize(lambda t: t * t if t > 0 else -t)
    check_grads(lambda x: np.sum(g(x)), [x])


@idiom
def lists_and_builtin_sum():
    def f(x):
        L = [x[i] * 2 for i in range(3)]
        return sum(L) + np.sum(L) + np.linalg.norm(L)

    check_grads(f, [x])


@idiom
def recurrence():
    def f(x):
        y = np.empty_like(x)
        y[0] = x[0]
        for i in range(1, len(x)):
            y[i] = 0.5 * y[i - 1] + x[i]
        return np.sum(y * y)

    check_grads(f, [x])


@idiom
def products():
    check_grads(
        lambda A: (
            np.sum(np.outer(A[0], A[1]))
            + np.kron(A[:2, :2], A[2:, :2]).sum()
            + np.tensordot(A, A, axes=([1], [1])).sum()
            + np.inner(A[0], A[1])
        ),
        [A],
    )


@idiom
def linspace_with_traced_ends():
    def f(x):
        y = np.linspace(x[0], x[1], 5)
        return np.trapezoid(y**2, y)

    check_grads(f, [x])


@idiom
def partial_functions():
    def h(x, k):
        return x**k

    f = functools.partial(h, k=3)
    check_grads(lambda x: np.sum(f(x)) if True else 0, [x])


@pytest.mark.parametrize("case", IDIOMS, ids=lambda f: f.__name__)
def test_idiom(case):
    case()


def test_isinstance_of_a_traced_array_is_that_of_an_ndarray():
    def f(x, s):
        if isinstance(x, np.ndarray) and isinstance(s, float) and not isinstance(s, np.ndarray):
            return np.sum(x**2) * s
        return 0.0

    check_grads(f, [np.array([1.0, 2.0]), 3.0])


def test_the_standard_deviation_of_equal_values_has_derivative_zero():
    g = adcore.gradient(lambda x: np.std(x) + np.sum(np.std(x.reshape(3, 1), axis=1)), np.full(3, 2.0))
    np.testing.assert_array_equal(g, np.zeros(3))
