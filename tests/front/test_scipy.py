"""The ledger of SciPy's modules: each function is differentiated, computed on values, or refused with a reason; none is forgotten."""

import importlib
import warnings

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import scipy.signal
import scipy.stats
from adcore.front import ledger, libraries
from adcore.testing import check_grads
from scipy.stats import norm as norm_of_scipy

import adcore
from adcore import errors

from . import scipy_cases

rng = np.random.default_rng(7)
MODULES = scipy_cases.MODULES


def cases_of(kind):
    return [(module, name) for module, tables in MODULES.items() for name in tables[kind]]


def calls(kind):
    """Module, name and number of each call in the table."""
    return [(module, name, k) for module, tables in MODULES.items() for name, found in tables[kind].items() for k in range(len(found))]


def names(module, status):
    return sorted(name for name, known in ledger.scipy_status(module).items() if known == status)


@pytest.mark.parametrize("module", ["scipy.linalg", "scipy.spatial.distance", "scipy.interpolate"])
def test_every_function_is_in_the_ledger(module):
    assert names(module, None) == []


@pytest.mark.parametrize("module", MODULES)
def test_no_function_is_without_a_case(module):
    done, on_values, _ = MODULES[module]
    assert sorted(done) == names(module, "recorded")
    assert sorted(on_values) == names(module, "values")


def plain_leaves(y):
    return [np.asarray(x) for x in y] if isinstance(y, (tuple, list)) else [np.asarray(y)]


@pytest.mark.parametrize("module, name, k", calls(0))
def test_value(module, name, k):
    f, args = MODULES[module][0][name][k]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        ours, theirs = plain_leaves(adcore.vjp(f, *args)[0]), plain_leaves(f(*args))
    for y, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-10)
        assert y.dtype == expected.dtype or expected.dtype.kind in "iub"


@pytest.mark.parametrize("module, name, k", calls(0))
def test_derivatives(module, name, k):
    f, args = MODULES[module][0][name][k]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        check_grads(f, args, order=2, rtol=2e-5, directions=1)


def complex_normal(x):
    return rng.normal(size=np.shape(x)) + (1j * rng.normal(size=np.shape(x)) if np.iscomplexobj(x) else 0.0)


@pytest.mark.parametrize("module, name, k", calls(0))
def test_forward_and_reverse_agree(module, name, k):
    f, args = MODULES[module][0][name][k]
    moves = [complex_normal(a) for a in args]
    y, dy = adcore.jvp(f, tuple(args), tuple(moves))
    many = isinstance(y, tuple)
    seeds = [complex_normal(x) for x in (y if many else [y])]
    found = adcore.vjp(f, *args)[1](tuple(seeds) if many else seeds[0])
    ours = sum(np.sum(g * t).real for g, t in zip(found, moves, strict=True))
    theirs = sum(np.sum(g * t).real for g, t in zip(seeds, dy if many else [dy], strict=True))
    np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-9)


SEVERAL = [call for call in calls(0) if len(MODULES[call[0]][0][call[1]][call[2]][1]) > 1]


@pytest.mark.parametrize("module, name, k", SEVERAL)
def test_each_argument_alone(module, name, k):
    """The others are plain arrays then: what is computed of them alone belongs to no recording."""
    f, args = MODULES[module][0][name][k]
    y, pull = adcore.vjp(f, *args)
    seed = tuple(complex_normal(x) for x in y) if isinstance(y, tuple) else complex_normal(y)
    for j, expected in enumerate(pull(seed)):
        (found,) = adcore.vjp(lambda x, j=j: f(*args[:j], x, *args[j + 1 :]), args[j])[1](seed)
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("module, name", cases_of(1))
def test_function_of_values(module, name):
    f, x = MODULES[module][1][name], rng.normal(size=(4, 4))
    seen = []

    def g(x):
        seen.append(f(x))
        return np.sum(x)

    np.testing.assert_array_equal(adcore.gradient(g, x), np.ones(x.shape))
    np.testing.assert_array_equal(seen[0], f(x))


@pytest.mark.parametrize("module, name", [(module, name) for module in MODULES for name in names(module, "refused")])
def test_refused_function(module, name):
    plain = getattr(importlib.import_module(module), name)
    f = MODULES[module][2].get(name, lambda x: plain(x))
    with pytest.raises(
        errors.NotDifferentiable,
        match=rf"\w+.py:\d+: {module}.{name} has no derivative in adcore \(.+\), and its argument \w+ is being .*stop_gradient",
    ):
        adcore.gradient(lambda x: f(x), np.eye(4) + 0.1)


def places_of(name):
    """Points of the support, away from its ends."""
    return scipy_cases.inside_x + (1.5 if name == "pareto" else 0.0)


@pytest.mark.parametrize("name", scipy_cases.STATS)
@pytest.mark.parametrize("keywords", [False, True])
def test_log_density(name, keywords):
    shapes, _ = scipy_cases.STATS[name]
    dist = getattr(scipy.stats, name)

    def f(x, loc, scale, *shapes):
        found = dist.logpdf(x, *shapes, loc=loc, scale=scale) if keywords else dist(*shapes, loc, scale).logpdf(x)
        return found + dist.pdf(x, *shapes, loc, scale)

    x = places_of(name)
    check_grads(f, [x, 0.05 - 0.4 * (name == "pareto"), 1.1, *shapes], order=2, rtol=2e-5, directions=1)
    outside = adcore.vjp(lambda x: dist.logpdf(x, *shapes), np.array([-7.3, 7.3]))[0]
    np.testing.assert_allclose(outside, dist.logpdf([-7.3, 7.3], *shapes), rtol=1e-12)


@pytest.mark.parametrize("name, method", [(name, m) for name, (_, methods) in scipy_cases.STATS.items() for m in methods.split()])
def test_methods_of_distributions(name, method):
    shapes, _ = scipy_cases.STATS[name]
    f = getattr(getattr(scipy.stats, name), method.rstrip("*"))
    x = places_of(name) * (0.4 if method.startswith("ppf") else 1.0)
    moved = [] if method.endswith("*") else shapes
    check_grads(lambda x, loc, scale, *more: f(x, *(more or shapes), loc=loc, scale=scale), [x, 0.02, 1.2, *moved], rtol=2e-5, directions=2)
    if not method.startswith("ppf"):
        far = np.array([-7.3, 7.3])
        np.testing.assert_allclose(adcore.vjp(lambda x: f(x, *shapes), far)[0], f(far, *shapes), rtol=1e-9)
    if moved != shapes:
        with pytest.raises(errors.AdcoreError, match=r"scipy\.special"):
            adcore.gradient(lambda a: np.sum(f(x, a, *shapes[1:])), shapes[0])


@pytest.mark.parametrize("name", scipy_cases.COUNTS)
def test_log_mass(name):
    shapes, k = scipy_cases.COUNTS[name], np.array([1.0, 0.0, 1.0, 3.0, 2.5])
    dist = getattr(scipy.stats, name)
    known = shapes[:1] if name == "binom" else []
    moved = shapes[len(known) :]
    np.testing.assert_allclose(adcore.vjp(lambda *s: dist.logpmf(k, *known, *s), *moved)[0], dist.logpmf(k, *shapes), rtol=1e-11)
    check_grads(lambda *s: dist.pmf(k, *known, *s), moved, order=2, rtol=2e-5, directions=1)


def test_multivariate_normal():
    def f(x, m, a):
        cov = a @ a.T + np.eye(3)
        one = scipy.stats.multivariate_normal.logpdf(x[0], m, cov)
        return scipy.stats.multivariate_normal(m, cov).logpdf(x) + one + scipy.stats.multivariate_normal.pdf(x, m, np.abs(m) + 1.0)

    check_grads(f, [rng.normal(size=(5, 3)), rng.normal(size=3), rng.normal(size=(3, 3))], order=2, rtol=2e-5, directions=1)


def test_multivariate_normal_of_a_constant_covariance():
    """Crashed: the factor of a plain matrix was recorded, for no recording."""
    x, m, cov = rng.normal(size=(5, 3)), rng.normal(size=3), np.diag([1.0, 2.0, 3.0])
    check_grads(lambda x: scipy.stats.multivariate_normal.logpdf(x, m, cov), [x])
    check_grads(lambda m: scipy.stats.multivariate_normal(m, cov).logpdf(x), [m])


prior = scipy.stats.norm(0.3, 2.0)


def test_distributions_that_were_made_outside():
    check_grads(lambda x: prior.logpdf(x) + prior.cdf(x), [rng.normal(size=4)], order=2, rtol=2e-5)
    check_grads(lambda x: norm_of_scipy.logsf(x, scale=2.0), [rng.normal(size=4)], rtol=2e-5)
    f = adcore.compile(adcore.value_and_grad(lambda x: np.sum(prior.logpdf(x))))
    x = rng.normal(size=4)
    np.testing.assert_allclose(f(x)[1], -(x - 0.3) / 4.0)
    np.testing.assert_allclose(f(x)[0], prior.logpdf(x).sum())


def test_other_methods_and_distributions_are_refused():
    with pytest.raises(errors.NotDifferentiable, match=r"test_scipy.py:\d+: scipy.stats.bernoulli.cdf has no derivative"):
        adcore.gradient(lambda p: scipy.stats.bernoulli.cdf(0.0, p), 0.3)
    with pytest.raises(errors.AdcoreError, match=r"test_scipy.py:\d+"):
        adcore.gradient(lambda x: np.sum(scipy.stats.skewnorm.logpdf(x, 2.0)), np.ones(3))
    for f, name in ((scipy.signal.medfilt, "signal.medfilt"), (scipy.ndimage.median_filter, "ndimage.median_filter"),
                    (scipy.signal.welch, "signal.welch"), (scipy.stats.rankdata, "stats.rankdata")):  # fmt: skip
        with pytest.raises(errors.NotDifferentiable, match=rf"test_scipy.py:\d+: scipy.{name} has no derivative in adcore"):
            adcore.gradient(lambda x, f=f: np.sum(f(x)[0]), np.ones(8))
    with pytest.raises(errors.NotDifferentiable, match=r"order=3.*use order=1"):
        adcore.gradient(lambda x: np.sum(scipy.ndimage.shift(x, 0.5)), np.ones(8))


def test_a_real_matrix_on_the_branch_cut_is_refused():
    with pytest.raises(errors.NotDifferentiable, match=r"test_scipy.py:\d+: scipy.linalg.logm: .*branch cut.*choose a side"):
        adcore.gradient(lambda a: np.sum(scipy.linalg.logm(a).real), np.diag([-1.0, 2.0]))


def test_a_function_in_no_table_says_that_it_wants_plain_arrays():
    with pytest.raises(
        errors.NotDifferentiable,
        match=r"test_scipy.py:\d+: scipy.signal.medfilt has no derivative in adcore \(it wants plain arrays\), and its argument volume",
    ):
        adcore.gradient(lambda x: scipy.signal.medfilt(x).sum(), np.ones(6))


def test_arguments_given_by_name_are_seen():
    a = scipy_cases.A
    g = adcore.gradient(lambda a: np.sum(scipy.linalg.solve(a=a, b=np.ones(4))), a)
    np.testing.assert_allclose(g, adcore.gradient(lambda a: np.sum(np.linalg.solve(a, np.ones(4))), a))


def test_functions_that_are_defaults_of_arguments_have_twins():
    def f(a, solve=scipy.linalg.solve, *, log=scipy.stats.norm.logpdf):
        return np.sum(log(solve(a, np.ones(4))))

    check_grads(lambda a: f(a), [scipy_cases.A])
    check_grads(f, [scipy_cases.A])


def test_compiled_with_pivots_that_change():
    f = adcore.compile(adcore.grad(lambda a: np.sum(scipy.linalg.lu_solve(scipy.linalg.lu_factor(a), np.ones(3)))))
    a = rng.normal(size=(3, 3)) + 3 * np.eye(3)
    for x in (a, a + 0.01, a[::-1], a):
        s = np.linalg.solve(x.T, np.ones(3))
        np.testing.assert_allclose(f(x), -np.outer(s, np.linalg.solve(x, np.ones(3))), rtol=1e-9)
    assert f.recordings == 2


def test_no_module_of_scipy_is_loaded_by_the_import():
    import subprocess
    import sys

    code = "import sys, adcore; print([m for m in sys.modules if m.startswith('scipy.') and m.count('.') == 1])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "scipy.stats" not in found and "scipy.signal" not in found and "scipy.linalg'" not in found


def test_the_table_of_an_unknown_module_is_empty():
    assert libraries.table("scipy.cluster").status("vq") is None
