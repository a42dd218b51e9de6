"""Sums over arrays that are put together from pieces."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import adcore

R = np.random.default_rng(0)
X = R.normal(size=(40, 30))
W = R.normal(size=(2, 40, 30))


def filled(x):
    out = np.empty((2, 40, 30))
    out[0] = np.sin(x)
    out[1] = x * x
    return np.sum(W * out)


def residuals(x):
    return 0.5 * np.sum(np.concatenate([np.sin(x).ravel(), np.cos(x[:3]).ravel(), x[0] * 2]) ** 2)


def used_twice(x):
    out = np.hstack([x, np.exp(x[:, :5])])
    return np.mean(np.where(out > 0.3, out**2, -out))


def norm_of_a_field_with_borders(x):
    out = np.zeros((40, 30))
    out[1:-1] = x[1:-1] * 2
    out[0] = x[1]
    out[-1] = 5.0
    return np.linalg.norm(out - 0.5 * x)


def blocks(x):
    return np.sum(np.tanh(np.block([[x, x.T[:, :1].repeat(40, 1).T[:, :30]], [x * 2, x + 1]])))


def one_number(x):
    out = np.empty(1201)
    out[:1] = x[0, 0] ** 2
    out[1:] = x.ravel()
    return np.sum(out * np.arange(1201))


def overlapping(x):
    out = np.empty((60, 30))
    out[:40] = x
    out[20:] = np.exp(x)
    return np.sum(out**2)


def incomplete(x):
    out = np.ones((60, 30))
    out[:20] = x[:20]
    out[20:40] = np.exp(x[20:])
    return np.sum(out**2)


def read_elsewhere(x):
    out = np.concatenate([x[0], np.exp(x[1])])
    return np.sum(out**2) + out[3]


def along_an_axis(x):
    return np.sum(np.sum(np.stack([x, np.exp(x)]), axis=0) ** 2)


def many(x):
    out = np.empty((40, 30))
    for k in range(40):
        out[k] = x[k] * k
    return np.sum(out * X)


def short(x):
    return np.sum(np.array([x[0, 0], x[1, 1] ** 2, x[2, 2]]) ** 2)


TAKEN = [filled, residuals, used_twice, norm_of_a_field_with_borders, blocks, one_number]
LEFT = [overlapping, incomplete, read_elsewhere, along_an_axis, many, short]


@pytest.mark.parametrize("f", TAKEN + LEFT, ids=lambda f: f.__name__)
def test_sums_of_pieces_are_the_sum(f):
    value, gradient = adcore.value_and_grad(f)(X)
    with adcore.config(optimise=False):
        plain, plain_gradient = adcore.value_and_grad(f)(X)
    assert_allclose(value, f(X), rtol=1e-13)
    assert_allclose(value, plain, rtol=1e-13)
    assert_allclose(gradient, plain_gradient, rtol=1e-12, atol=1e-13)
    adcore.testing.check_grads(f, (X[:, :30],), order=2)


@pytest.mark.parametrize("f", TAKEN, ids=lambda f: f.__name__)
def test_an_array_that_is_only_summed_is_not_made(f):
    program = str(adcore.trace(f, X)._derived("value"))
    assert "update" not in program and "pack" not in program, program


@pytest.mark.parametrize("f", LEFT, ids=lambda f: f.__name__)
def test_other_sums_are_left_as_they_are(f):
    program = str(adcore.trace(f, X)._derived("value"))
    assert "update" in program or "pack" in program, program
    assert program.count("= sum") == str(adcore.trace(f, X).program).count("= sum")


def test_nothing_is_distributed_where_programs_are_not_optimised():
    with adcore.config(optimise=False):
        assert "update" in str(adcore.trace(filled, X)._derived("value"))


def test_pieces_meet_infinities_and_missing_numbers_as_the_array_does():
    x = X.copy()
    x[0, 0], x[1, 1] = np.inf, np.nan
    for f in (residuals, filled):
        with np.errstate(all="ignore"):
            assert_allclose(adcore.value_and_grad(f)(x)[0], f(x))
