"""SciPy's solvers get adcore's derivatives: exact ones, where a method takes them, and never instead of the user's."""

import warnings

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from adcore.tracer.array import is_traced
from numpy.testing import assert_allclose

import adcore

START = np.array([1.3, 0.7, 0.8, 1.9])
FIRST_ORDER = ["CG", "BFGS", "L-BFGS-B", "TNC", "SLSQP"]
SECOND_ORDER = ["Newton-CG", "trust-ncg", "trust-krylov", "trust-exact", "dogleg", "trust-constr"]
NO_GRADIENT = ["Nelder-Mead", "Powell", "COBYLA"]


def rosenbrock(x, scale=100.0):
    return np.sum(scale * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def bowl(x, centre):
    return np.sum(np.cosh(x - centre))


def spied(monkeypatch, name):
    """What adcore hands to a function of scipy.optimize."""
    seen = {}
    original = getattr(scipy.optimize, name)
    names = {
        "minimize": "fun x0 args method jac hess hessp bounds constraints",
        "root": "fun x0 args method jac",
        "least_squares": "fun x0 jac",
    }

    def spy(*args, **kwargs):
        seen.update(zip(names[name].split(), args, strict=False), **kwargs)
        return original(*args, **kwargs)

    monkeypatch.setattr(scipy.optimize, name, spy)
    return seen


@pytest.mark.parametrize("method", [None, *FIRST_ORDER, *SECOND_ORDER])
def test_minimize_uses_no_differences(monkeypatch, method):
    seen = spied(monkeypatch, "minimize")
    centre = np.array([0.5, -1.0, 2.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = adcore.scipy.optimize.minimize(bowl, np.zeros(3), (centre,), method)
    assert_allclose(result.x, centre, atol=1e-3)
    assert seen["jac"] is True
    assert_allclose(seen["fun"](centre + 1, centre)[1], np.full(3, np.sinh(1.0)), rtol=1e-12)


@pytest.mark.parametrize("method", SECOND_ORDER)
def test_second_derivatives_reach_the_methods_that_take_them(monkeypatch, method):
    seen = spied(monkeypatch, "minimize")
    adcore.scipy.optimize.minimize(bowl, np.zeros(4), START, method)
    v = np.array([1.0, -2.0, 0.5, 3.0])
    found = seen["hess"](START + 1, START) @ v if seen["hess"] else seen["hessp"](START + 1, v, START)
    assert_allclose(found, np.cosh(1.0) * v, rtol=1e-12)


@pytest.mark.parametrize("method", NO_GRADIENT)
def test_methods_without_derivatives_get_none(method):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = adcore.scipy.optimize.minimize(bowl, np.zeros(2), (np.array([0.5, -1.0]),), method)
    assert_allclose(result.x, [0.5, -1.0], atol=1e-2)


def test_scipys_own_minimize_takes_value_and_grad():
    result = scipy.optimize.minimize(adcore.value_and_grad(rosenbrock), START, jac=True)
    assert_allclose(result.x, np.ones(4), atol=1e-4)
    assert result.nfev == result.njev


def test_derivatives_of_the_user_win(monkeypatch):
    seen = spied(monkeypatch, "minimize")
    jac, hess, hessp = scipy.optimize.rosen_der, scipy.optimize.rosen_hess, scipy.optimize.rosen_hess_prod
    adcore.scipy.optimize.minimize(rosenbrock, START, method="trust-exact", jac=jac, hess=hess)
    assert seen["jac"] is jac and seen["hess"] is hess and seen["hessp"] is None
    adcore.scipy.optimize.minimize(rosenbrock, START, method="trust-ncg", jac=jac, hessp=hessp)
    assert seen["hessp"] is hessp and seen["hess"] is None


def test_a_gradient_returned_with_the_value_is_used_and_the_hessian_added():
    result = adcore.scipy.optimize.minimize(lambda x: (bowl(x, 1.0), np.sinh(x - 1.0)), np.zeros(2), method="trust-exact", jac=True)
    assert_allclose(result.x, np.ones(2), atol=1e-6)


@pytest.mark.parametrize("method", ["SLSQP", "trust-constr"])
@pytest.mark.parametrize("many", [False, True])
def test_constraints_get_their_derivatives(monkeypatch, method, many):
    seen = spied(monkeypatch, "minimize")
    given = {"type": "eq", "fun": lambda x, r: [x[0] ** 2 + x[1] ** 2 - r], "args": (2.0,)}
    result = adcore.scipy.optimize.minimize(lambda x: x[0] + x[1], [-2.0, 0.5], method=method, constraints=[given] if many else given)
    assert_allclose(result.x, [-1.0, -1.0], atol=1e-4)
    passed = seen["constraints"][0] if many else seen["constraints"]
    assert_allclose(passed["jac"](np.array([3.0, 4.0]), 2.0), [[6.0, 8.0]])
    assert "jac" not in given


@pytest.mark.parametrize("method", ["SLSQP", "trust-constr"])
def test_nonlinear_constraints_get_jacobian_and_hessian(monkeypatch, method):
    seen = spied(monkeypatch, "minimize")
    c = scipy.optimize.NonlinearConstraint(lambda x: np.array([x[0] ** 2 + x[1] ** 2, x[0] * x[1] ** 3]), [0, -9], [2, 9])
    result = adcore.scipy.optimize.minimize(lambda x: x[0] + x[1], [-0.5, 0.5], method=method, constraints=c)
    assert_allclose(result.x, [-1.0, -1.0], atol=1e-3)
    made = seen["constraints"]
    assert_allclose(made.jac(np.array([2.0, 3.0])), [[4.0, 6.0], [27.0, 54.0]])
    if method == "trust-constr":
        assert_allclose(made.hess(np.array([2.0, 3.0]), np.array([1.0, 2.0])), [[2.0, 54.0], [54.0, 74.0]])


def test_derivatives_of_constraints_that_the_user_gave_win(monkeypatch):
    seen = spied(monkeypatch, "minimize")
    jac, hess = (lambda x: 2 * x), (lambda x, v: 2 * v[0] * np.eye(2))
    c = scipy.optimize.NonlinearConstraint(lambda x: np.sum(x**2), 0, 2, jac, hess)
    d = {"type": "ineq", "fun": lambda x: 2 - np.sum(x**2), "jac": lambda x: -2 * x}
    adcore.scipy.optimize.minimize(lambda x: x[0] + x[1], [-0.5, 0.5], method="trust-constr", constraints=[c, d])
    assert seen["constraints"][0].jac is jac and seen["constraints"][0].hess is hess
    assert seen["constraints"][1]["jac"] is d["jac"]


@pytest.mark.parametrize("sparse", [False, True])
def test_least_squares_gets_the_jacobian(monkeypatch, sparse):
    seen = spied(monkeypatch, "least_squares")

    def residuals(x, a):
        return np.concatenate([10 * (x[1:] - x[:-1] ** 2), a - x[:-1]])

    result = adcore.scipy.optimize.least_squares(residuals, START, sparse=sparse, args=(1.0,))
    assert_allclose(result.x, np.ones(4), atol=1e-6)
    j = seen["jac"](START, 1.0)
    assert scipy.sparse.issparse(j) == sparse
    assert_allclose(j.toarray() if sparse else j, adcore.jacobian(residuals)(START, 1.0), rtol=1e-14)


@pytest.mark.parametrize("options", [None, {"col_deriv": True}])
@pytest.mark.parametrize("method", ["hybr", "lm", "broyden1"])
def test_root_gets_the_jacobian(monkeypatch, method, options):
    seen = spied(monkeypatch, "root")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = adcore.scipy.optimize.root(
            lambda x, a: [x[0] + 0.3 * x[1] ** 3 - a, 2 * x[1] - x[0]],
            [0.5, 0.5],
            1.3,
            method,
            options=options if method != "broyden1" else None,
        )
    assert_allclose(result.x[0] + 0.3 * result.x[1] ** 3, 1.3, atol=1e-5)
    assert (seen["jac"] is None) == (method == "broyden1")
    if seen["jac"]:
        assert_allclose(seen["jac"](np.array([1.0, 2.0]), 1.3), [[1.0, 3.6], [-1.0, 2.0]])
        assert not (seen["options"] or {}).get("col_deriv")


@pytest.mark.parametrize("bounds", [(-np.inf, np.inf), (0.0, 9.0)])
def test_curve_fit_gets_the_jacobian(bounds):
    t = np.linspace(0.0, 3.0, 20)
    y = 2.5 * np.exp(-1.3 * t) + 0.5 + 0.01 * np.sin(9 * t)

    def model(t, a, b, c):
        return a * np.exp(-b * t) + c

    calls = []

    def counted(t, a, b, c):
        calls.append(is_traced(a))
        return model(t, a, b, c)

    sigma = np.linspace(1.0, 2.0, 20)
    got = adcore.scipy.optimize.curve_fit(counted, t, y, [1.0, 1.0, 1.0], sigma=sigma, bounds=bounds)
    expected = scipy.optimize.curve_fit(model, t, y, [1.0, 1.0, 1.0], sigma=sigma, bounds=bounds)
    assert_allclose(got[0], expected[0], rtol=1e-5)
    assert_allclose(got[1], expected[1], rtol=1e-3)
    assert any(calls)
