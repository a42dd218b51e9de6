"""np.interp: tables, knots and points, traced or not."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import adcore

R = np.random.default_rng(0)
EVEN = np.linspace(0.0, 1.0, 5)
UNEVEN = np.array([0.0, 0.3, 0.6, 0.75, 1.0])
FP = np.array([1.0, -0.5, 0.3, 2.0, 0.4])
POINTS = np.array([[0.03, 0.52, 0.93], [-0.3, 0.12, 1.4]])


@pytest.mark.parametrize("knots", [EVEN, UNEVEN], ids=["even", "uneven"])
def test_derivatives_by_points_knots_and_table(knots):
    def f(x, xp, fp):
        return np.sin(np.interp(x, xp, fp))

    adcore.testing.check_grads(f, (POINTS, knots, FP), order=2)
    adcore.testing.check_grads(lambda x: f(x, knots, FP), (0.52,), order=2)
    adcore.testing.check_grads(lambda x: f(x, knots, FP) * x[0], (POINTS,), order=2)
    adcore.testing.check_grads(lambda fp: f(POINTS, knots, fp), (FP,), order=2)
    adcore.testing.check_grads(lambda fp: np.interp(fp * 0.31, knots, fp), (FP,), order=2)
    assert_allclose(
        adcore.jacobian(lambda x: f(x, knots, FP))(POINTS[0]), np.diag(adcore.gradient(lambda x: np.sum(f(x, knots, FP)), POINTS[0]))
    )
    assert adcore.sparse_jacobian(lambda x: f(x, knots, FP), POINTS[0]).nnz == 3


@pytest.mark.parametrize("n", [1, 2, 3, 40, 1000])
def test_values_are_numpys(n):
    for knots in (np.sort(R.normal(size=n)), np.linspace(-1.0, 1.0, n), np.cumsum(R.integers(0, 2, n)).astype(float)):
        fp = R.normal(size=n)
        x = np.concatenate([R.normal(size=200), knots, [-np.inf, np.inf, np.nan, -0.0], np.sort(R.normal(size=50))])
        for more in ({}, {"left": -7.0}, {"right": 8.0}, {"left": np.nan, "right": 0.0}):
            with np.errstate(all="ignore"):
                want = np.interp(x, knots, fp, **more)
                value, pull = adcore.vjp(lambda x, fp, knots=knots, more=more: np.interp(x, knots, fp, **more), x, fp)
                replayed = adcore.compile(lambda x, knots, fp, more=more: np.interp(x, knots, fp, **more))(x, knots, fp)
            finite = np.isfinite(want) | np.isnan(x)
            assert_allclose(value[finite], want[finite], rtol=1e-9, atol=1e-11)
            assert_array_equal(value, replayed)
            assert [g.shape for g in pull(np.ones(x.shape))] == [x.shape, fp.shape]


def test_replays_find_the_interval_anew():
    f = adcore.compile(adcore.value_and_grad(lambda x, xp, fp: np.sum(np.interp(x, xp, fp) ** 2), argnums=(0, 1, 2)))
    for knots in (EVEN, UNEVEN, EVEN + 0.3):
        for x in (POINTS, POINTS[::-1], POINTS + 0.4):
            value, gradients = f(x, knots, FP)
            assert_allclose(value, np.sum(np.interp(x, knots, FP) ** 2))
            at = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, 3)
            slope = np.diff(FP)[at] / np.diff(knots)[at] * ((x >= knots[0]) & (x <= knots[-1]))
            assert_allclose(gradients[0], 2.0 * np.interp(x, knots, FP) * slope)
            assert_allclose(np.sum(gradients[2] * FP), 2.0 * value)  # of second degree in the table
    assert f.recordings == 1


def test_knots_that_are_not_ascending_give_something_within_the_table():
    """NumPy says that it checks nothing; what is read and written stays within bounds."""
    f = adcore.compile(adcore.gradient)
    for knots in (EVEN[::-1], R.normal(size=5), np.full(5, np.nan), np.full(5, np.inf), np.zeros(5)):
        with np.errstate(all="ignore"):
            assert f(lambda fp, knots=knots: np.sum(np.interp(fp * 3.0, knots, fp)), FP).shape == FP.shape


def test_arguments_are_checked_as_by_numpy():
    for arguments, message in (
        ((FP, EVEN[:-1], FP), "not of the same length"),
        ((FP, EVEN[:0], FP[:0]), "empty"),
        ((FP, EVEN[None], FP), "object too deep"),
    ):
        with pytest.raises(ValueError, match=message):
            np.interp(*arguments)
        with pytest.raises(ValueError, match=message):
            adcore.gradient(lambda x, arguments=arguments: np.sum(np.interp(x, *arguments[1:])), FP)


def test_periodic_complex_and_single_precision():
    x = np.array([-3.2, 0.4, 7.7])
    for f in (
        lambda x, fp: np.interp(x, EVEN * 3.0, fp, period=4.0),
        lambda x, fp: np.interp(x, EVEN * 3.0, fp, left=9.0, period=-4.0),
        lambda x, fp: np.abs(np.interp(x, EVEN * 8.0, fp * (1.0 + 2.0j))),
    ):
        assert_allclose(adcore.vjp(f, x, FP)[0], f(x, FP))
        adcore.testing.check_grads(f, (x, FP), order=2)
    single = adcore.vjp(lambda x: np.interp(x, EVEN, FP), np.float32([0.3, 0.6]))[0]
    assert single.dtype == np.float64
    assert_allclose(single, np.interp(np.float32([0.3, 0.6]), EVEN, FP))
