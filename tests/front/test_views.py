"""Views, writes through them, and the methods of ufuncs, as in NumPy."""

import numpy as np
import pytest
from adcore.testing import check_grads

import adcore

rng = np.random.default_rng(0)
A = rng.normal(size=(4, 4))
v = rng.normal(size=6)


def diagonal_sees_writes(A):
    B = A * A
    d = np.diagonal(B.T, 1)
    B[1, 0] = A[0, 0] ** 3
    return np.sum(d * np.arange(1.0, 4.0))


def flat_of_a_transpose(A):
    B = A.copy()
    B.T.flat[1:6:2] = A[0, :3] ** 2
    B[:, ::2].flat = A[3, 3]
    return np.sum(B * B * np.arange(16.0).reshape(4, 4))


def rows_in_a_loop(A):
    B = A.copy()
    for row in B:
        row[:] = row * row[0]
    return np.sum(B**2)


def shape_in_place(A):
    B = A * A
    B.shape = (2, 8)
    B[0] *= 2.0
    return np.sum(B * np.arange(16.0).reshape(2, 8))


def ufunc_methods(v):
    w = v.copy()
    np.multiply.at(w, [0, 0, 2], v[3:])
    np.subtract.at(w, [1, 1], v[:2])
    return (
        np.sum(np.logaddexp.reduce(np.outer(v, v), axis=1))
        + np.subtract.reduce(v)
        + np.divide.reduce(v[:3])
        + np.sum(np.maximum.accumulate(v) * np.arange(6.0))
        + np.sum(np.add.reduceat(v * v, [0, 3, 1]) * np.arange(3.0))
        + np.sum(np.multiply.reduceat(v, [0, 2, 4]))
        + np.hypot.reduce(v)
        + np.sum(w * w)
    )


@pytest.mark.filterwarnings("ignore:Setting the shape")
@pytest.mark.parametrize("f, x", [(diagonal_sees_writes, A), (flat_of_a_transpose, A), (rows_in_a_loop, A), (shape_in_place, A),
                                  (ufunc_methods, v)], ids=lambda c: getattr(c, "__name__", ""))  # fmt: skip
def test_gradient(f, x):
    check_grads(f, [x], rtol=2e-6)


@pytest.mark.parametrize("make", [np.diagonal, lambda A: np.broadcast_to(A, (2, 4, 4)), lambda A: np.broadcast_to(A[0], (4, 4))[1:]])
def test_read_only_views_refuse_writes(make):
    def f(A):
        make(A)[0] = 1.0
        return np.sum(A)

    with pytest.raises(ValueError, match=r"test_views.py:\d+: assignment destination is read-only"):
        adcore.gradient(f, A)
