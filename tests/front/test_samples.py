"""scipy.stats: statistics of samples, and densities of proportions and counts."""

import numpy as np
import pytest
import scipy.stats as st
from adcore.front import scipy_samples
from adcore.testing import check_grads

import adcore
from adcore import errors

rng = np.random.default_rng(0)
X, Y = rng.uniform(0.5, 2.0, size=6), rng.uniform(0.5, 2.0, size=6)
# name of scipy.stats -> functions of a vector
CASES = {
    "zscore": [st.zscore, lambda x: st.zscore(np.outer(x, x + 1.0), axis=1, ddof=1), lambda x: st.zscore(np.outer(x, Y), axis=None)],
    "zmap": [lambda x: st.zmap(x, x**2), lambda x: st.zmap(x, Y, ddof=1)],
    "skew": [st.skew, lambda x: st.skew(np.outer(x, x**2), 1, False), lambda x: st.skew(np.outer(x, Y), keepdims=True)],
    "kurtosis": [
        st.kurtosis,
        lambda x: st.kurtosis(np.outer(x, x), 1, False, False),
        lambda x: st.kurtosis(np.outer(x, Y), None, keepdims=True),
    ],
    "moment": [lambda x: st.moment(x, 3), lambda x: st.moment(np.outer(x, Y), 2, 1), lambda x: st.moment(x, 2, center=x[0])],
    "gmean": [
        st.gmean,
        lambda x: st.gmean(np.outer(x, Y), axis=(0, 1)),
        lambda x: st.gmean(np.outer(x, Y), axis=1, weights=np.broadcast_to(Y, (6, 6))),
    ],
    "hmean": [st.hmean, lambda x: st.hmean(np.outer(x, Y), None)],
    "pmean": [lambda x: st.pmean(x, 3.0), lambda x: st.pmean(np.outer(x, Y), -2.0, axis=1)],
    "sem": [st.sem, lambda x: st.sem(np.outer(x, Y), 1, 0), lambda x: st.sem(np.multiply.outer(np.outer(x, Y), x), (0, 2), keepdims=True)],
    "variation": [st.variation, lambda x: st.variation(np.outer(x, Y), axis=1, ddof=1)],
    "gstd": [st.gstd, lambda x: st.gstd(np.outer(x, Y), axis=1, ddof=0)],
    "entropy": [st.entropy, lambda x: st.entropy(x, Y, base=2), lambda x: st.entropy(np.outer(x, Y), axis=1)],
    "pearsonr": [lambda x: st.pearsonr(x, Y).statistic, lambda x: st.pearsonr(x, x**2)[0]],
    "linregress": [
        lambda x: (lambda r: np.array([r.slope, r.intercept, r.rvalue]))(st.linregress(x, np.sin(x) + Y)),
        lambda x: st.linregress(Y, x)[0],
    ],
    "boxcox": [lambda x: st.boxcox(x, 0.3)],
    "boxcox_llf": [lambda x: st.boxcox_llf(x[0], x)],
    "dirichlet": [
        lambda x: st.dirichlet.logpdf(x[:3] / np.sum(x[:3]), Y[:3]),
        lambda x: st.dirichlet(x[:3]).logpdf([0.2, 0.3]),
        lambda x: st.dirichlet.pdf([[0.2, 0.1], [0.3, 0.4], [0.5, 0.5]], x[:3]),
    ],
    "multinomial": [
        lambda x: st.multinomial.logpmf([[1, 2, 3], [6, 0, 0]], 6, x[:3] / np.sum(x[:3])),
        lambda x: st.multinomial(3, x[:2] / np.sum(x[:2])).pmf([1, 2]),
    ],
}
CALLS = [(name, k) for name, found in CASES.items() for k in range(len(found))]


@pytest.mark.parametrize("name, k", CALLS)
def test_values_and_derivatives(name, k):
    f = CASES[name][k]
    value, expected = adcore.vjp(f, X)[0], np.asarray(f(X))
    assert np.shape(value) == expected.shape
    np.testing.assert_allclose(value, expected, rtol=1e-11, atol=1e-13)
    check_grads(f, (X,), order=2, rtol=2e-5, directions=1)


def test_no_function_is_without_a_case():
    assert scipy_samples.REBOUND.keys() | {"dirichlet", "multinomial"} == CASES.keys()


@pytest.mark.parametrize(
    "f",
    [
        lambda x: st.pearsonr(x, Y)[1],
        lambda x: st.pearsonr(x, Y).pvalue,
        lambda x: sum(st.pearsonr(x, Y)),
        lambda x: st.linregress(x, Y).stderr,
        lambda x: st.zscore(x, nan_policy="omit")[0],
        lambda x: st.boxcox(x)[0][0],
        lambda x: st.multinomial.logpmf(x, 6, Y),
        lambda x: st.iqr(x),
    ],
)
def test_what_is_not_recorded_is_refused_at_its_line(f):
    with pytest.raises(errors.AdcoreError, match=r"test_samples.py:\d+: scipy.stats"):
        adcore.gradient(f, X)


def test_proportions_that_do_not_add_up_raise_as_in_scipy():
    with pytest.raises(ValueError, match="simplex"):
        adcore.gradient(lambda x: st.dirichlet.logpdf(x[:3], Y[:3]), X)


def test_a_log_posterior_recorded_and_replayed():
    counts = np.array([3.0, 5.0, 2.0])

    def log_posterior(x):
        p = np.exp(x) / np.sum(np.exp(x))
        return st.dirichlet.logpdf(p, [2.0, 1.5, 3.0]) + st.multinomial.logpmf(counts, 10, p) + np.sum(st.norm.logpdf(x))

    f = adcore.compile(adcore.value_and_grad(log_posterior))
    for at in (X[:3], Y[:3]):
        assert f(at)[0] == pytest.approx(log_posterior(at), rel=1e-12)
        check_grads(log_posterior, (at,), order=1)
    assert f.recordings == 1


ALIKE, SIGNED = np.full(4, 0.1), np.array([1.0, -2.0, 3.0, 0.5])
EDGES = {
    "zscore of one value": (st.zscore, ALIKE),
    "skew of one value": (st.skew, ALIKE),
    "kurtosis of one value": (st.kurtosis, ALIKE),
    "some rows of one value": (lambda x: st.skew(np.outer(np.array([0.0, 1.0]), x) + 1.0, 1), SIGNED),
    "hmean of negative values": (st.hmean, SIGNED),
    "pmean of negative values": (lambda x: st.pmean(x, 2.0), SIGNED),
    "gmean of negative values": (st.gmean, SIGNED),
    "pmean of power 0": (lambda x: st.pmean(x, 0), X),
    "first moment": (lambda x: st.moment(x, 1), X),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", EDGES)
def test_edges_are_scipys(name):
    f, x = EDGES[name]
    np.testing.assert_allclose(adcore.vjp(f, x)[0], f(x), rtol=1e-12)


@pytest.mark.parametrize(
    "f, words",
    [
        (lambda x: st.moment(x, 2.5), "integral"),
        (lambda x: st.gmean(x, dtype=np.float32), "dtype"),
        (lambda x: st.gmean(np.outer(x, x), axis=(0, 1), weights=np.outer(Y, Y)), "axis"),
        (lambda x: st.dirichlet.logpdf([0.3, 0.7], x[:2] - x[0]), "greater than 0"),
        (lambda x: st.dirichlet.logpdf(np.array([-0.3, 1.3]), x[:2]), "greater than or equal to zero"),
        (lambda x: st.pmean(X, x), "power"),
    ],
)
def test_what_would_be_wrong_raises(f, words):
    with pytest.raises((errors.AdcoreError, ValueError), match=rf"test_samples.py:\d+.*{words}"):
        adcore.jacobian(f)(X)


def test_replays_see_which_samples_are_constant():
    f = lambda x: st.zscore(x)[0]  # noqa: E731
    df = adcore.compile(adcore.value_and_grad(f))
    assert np.isnan(df(ALIKE)[0])
    np.testing.assert_allclose(df(X[:4])[0], f(X[:4]), rtol=1e-12)
    assert df.recordings == 1


def test_a_correlation_is_not_beyond_one():
    x = np.array([0.1, 0.3, 0.7, 1.1, 1.3])
    for factor in np.linspace(0.1, 3.0, 20):
        assert adcore.vjp(lambda x: st.pearsonr(x, factor * x).statistic, x)[0] <= 1.0  # noqa: B023


SENSELESS = {
    "gamma": lambda x: st.gamma.logpdf(0.5, -x[0]),
    "beta": lambda x: st.beta.logpdf(0.5, x[0], -x[1]),
    "chi2": lambda x: st.chi2.logpdf(0.5, -x[0]),
    "chi2 outside": lambda x: st.chi2.logpdf(-0.5, -x[0]),
    "invgamma": lambda x: st.invgamma.logpdf(0.5, -x[0]),
    "scale": lambda x: st.norm.cdf(x[0], x[1], -x[2]),
    "scale of a density": lambda x: st.expon.logpdf(x[0], 0.0, -x[2]),
    "some scales": lambda x: st.norm.logpdf(x, 0.0, x - np.mean(x)),
    "bernoulli": lambda x: st.bernoulli.logpmf(1, 1.0 + x[0]),
    "geom": lambda x: st.geom.logpmf(1, 1.0 + x[0]),
    "binom": lambda x: st.binom.logpmf(0, 5, -x[0]),
    "no event": lambda x: st.poisson.logpmf(0, 0.0 * x[0]),
    "uniform quantile": lambda x: st.uniform.ppf(1.0 + x[0]),
    "nan": lambda x: st.norm.logpdf(np.nan * x[0]),
    "nan below": lambda x: st.gamma.cdf(np.nan * x[0], 2.0),
    "infinity": lambda x: st.norm.logpdf(np.inf * x[0]),
    "on the edges": lambda x: st.uniform.logpdf(np.array([0.0, 1.0, 1.1]) + 0.0 * x[0]),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SENSELESS)
def test_parameters_that_make_no_sense_give_what_scipy_gives(name):
    """Densities of negative shapes were finite, those of NaN 0."""
    np.testing.assert_allclose(adcore.vjp(SENSELESS[name], X)[0], SENSELESS[name](X), rtol=1e-12)
