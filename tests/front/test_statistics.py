"""The standard library's statistics of traced samples."""

import statistics
from statistics import fmean, stdev

import numpy as np
import pytest
from adcore.testing import check_grads

import adcore

X = np.array([0.7, 1.9, 1.1, 2.3, 0.4, 1.6])
CASES = {
    "mean": lambda x: statistics.mean(list(x)),
    "mean of an iterator": lambda x: statistics.mean(v * v for v in x),
    "fmean": fmean,
    "weighted": lambda x: statistics.fmean(x[:3], list(x[3:])),
    "geometric_mean": statistics.geometric_mean,
    "harmonic_mean": lambda x: statistics.harmonic_mean(x.tolist()),
    "weighted harmonic_mean": lambda x: statistics.harmonic_mean(x[:3], weights=[1.0, 2.0, 0.5]),
    "variance": lambda x: statistics.variance(list(x)),
    "variance about": lambda x: statistics.variance(x[1:], x[0]),
    "pvariance": statistics.pvariance,
    "stdev": stdev,
    "pstdev": lambda x: statistics.pstdev([x[0] * x[1], 2.0, x[2]]),
    "median": lambda x: statistics.median(x) * x[0],
    "median of an odd number": lambda x: statistics.median(list(x[1:])),
    "median_low": statistics.median_low,
    "median_high": statistics.median_high,
    "covariance": lambda x: statistics.covariance(list(x[:3]), [1.0, 3.0, 2.0]),
    "correlation": lambda x: statistics.correlation(x[:3], x[3:]),
}


@pytest.mark.parametrize("name", CASES)
def test_gradient(name):
    f = CASES[name]
    assert adcore.value_and_grad(f)(X)[0] == pytest.approx(f(X), rel=1e-13)
    check_grads(f, [X])
    compiled = adcore.compile(adcore.grad(f))
    for scale in (1.0, 1.01, 0.99):
        np.testing.assert_allclose(compiled(scale * X), adcore.gradient(f, scale * X), rtol=1e-13)


def test_what_is_left_is_refused():
    with pytest.raises(adcore.errors.NotDifferentiable, match=r"test_statistics.py:\d+: statistics.quantiles has no derivative"):
        adcore.gradient(lambda x: statistics.quantiles(x)[0], X)
    with pytest.raises(statistics.StatisticsError, match="two data points"):
        adcore.gradient(lambda x: statistics.variance(x[:1]), X)


def test_plain_samples_stay_exact():
    assert adcore.value_and_grad(lambda x: np.sum(x) * statistics.mean([1, 2, 6]))(X)[0] == pytest.approx(3 * np.sum(X))
