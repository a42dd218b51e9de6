"""Integrals and initial value problems inside differentiated functions: closed forms, differences, SciPy's own values."""

import warnings

import numpy as np
import pytest
import scipy.integrate
from adcore.testing import check_grads
from numpy.testing import assert_allclose

import adcore
from adcore import errors

ours = adcore.scipy.integrate
rng = np.random.default_rng(0)


@pytest.mark.parametrize("name", ["trapezoid", "simpson", "cumulative_trapezoid", "cumulative_simpson"])
@pytest.mark.parametrize("n", [3, 4, 5, 8])
def test_integrals_of_samples_by_values_and_points(name, n):
    y, x = rng.normal(size=(2, n)), np.cumsum(rng.uniform(0.5, 1.5, n))
    f, plain = getattr(ours, name), getattr(scipy.integrate, name)
    for inside in (ours, scipy.integrate):
        # a function of SciPy is found by its name
        assert_allclose(adcore.vjp(lambda y: getattr(inside, name)(y, x=x), y)[0], plain(y, x=x), rtol=1e-12)  # noqa: B023
        found = adcore.vjp(lambda y: getattr(inside, name)(y, dx=0.3, axis=0), y.T)[0]  # noqa: B023
        assert_allclose(found, plain(y.T, dx=0.3, axis=0), rtol=1e-12)
    check_grads(lambda y, x: f(y, x=x), [y, x], order=2)
    check_grads(lambda y, h: f(y, dx=h), [y, 0.3])


QUADS = {
    "closure": lambda a, b: ours.quad(lambda t: np.exp(-a * t) * np.sin(t), 0.0, 2.0)[0] * b,
    "limits": lambda a, b: scipy.integrate.quad(lambda t: np.cos(t * a), b, a * b)[0],
    "infinite": lambda a, b: scipy.integrate.quad(lambda t, a: np.exp(-a * t**2), 0.0, np.inf, args=(a,))[0] * b,
    "double": lambda a, b: ours.quad(lambda s: ours.quad(lambda t: np.exp(-a * t * s), 0.0, s)[0], 0.0, b)[0],
    "points": lambda a, b: ours.quad(lambda t: np.abs(t - 0.5) * a, 0.0, b, points=[0.5])[0],
}


@pytest.mark.parametrize("name", QUADS)
def test_quad_by_limits_and_parameters_to_second_order(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
        check_grads(QUADS[name], [1.3, 0.9], order=2)


def test_quad_of_many_parameters_replays():
    f = adcore.value_and_grad(lambda a: ours.quad(lambda t: np.sum(np.exp(-a * t)), 0.0, 1.0)[0])
    a = np.array([0.5, 1.0, 2.0])
    value, g = f(a)
    assert_allclose(value, np.sum((1 - np.exp(-a)) / a), rtol=1e-12)
    assert_allclose(g, np.exp(-a) * (1 + a - np.exp(a)) / a**2, rtol=1e-9)
    compiled = adcore.compile(f)
    for point in (a, a + 0.2):
        assert_allclose(compiled(point)[1], f(point)[1], rtol=1e-12)
    assert compiled.recordings == 1


def test_an_integrand_that_branches_is_refused():
    with pytest.raises(errors.AdcoreError, match=r"np\.where"):
        adcore.gradient(lambda a: ours.quad(lambda t: a * t if t > 0.5 else a, 0.0, 1.0)[0], 1.0)


TIGHT = {"rtol": 1e-10, "atol": 1e-12}


def lotka(t, y, a, b):
    return [a * y[0] - b * y[0] * y[1], -y[1] + b * y[0] * y[1]]


@pytest.mark.parametrize("method", ["RK45", "DOP853", "RK23"])
def test_sensitivities_of_a_linear_equation(method):
    tight = TIGHT if method != "RK23" else {"rtol": 1e-8, "atol": 1e-10}

    def f(a, y0):
        return scipy.integrate.solve_ivp(lambda t, y: -a * y, (0.0, 1.5), y0, method, **tight).y[:, -1]

    a, y0 = 0.8, np.array([1.0, 2.0])
    e = np.exp(-1.5 * a)
    assert_allclose(adcore.jacobian(f)(a, y0), -1.5 * e * y0, rtol=1e-6)
    assert_allclose(adcore.jacobian(f, 1)(a, y0), e * np.eye(2), rtol=1e-6, atol=1e-12)
    assert_allclose(adcore.hessian(lambda a: f(a, y0)[0])(a), 2.25 * e, rtol=1e-6)


def test_a_nonlinear_system_in_every_mode():
    def f(p, y0):
        return ours.solve_ivp(lotka, (0.0, 2.0), y0, t_eval=[0.5, 1.7, 2.0], args=(p[0], p[1]), **TIGHT).y

    p, y0 = np.array([1.1, 0.7]), np.array([1.0, 0.5])
    check_grads(f, [p, y0], order=2, rtol=1e-5)
    assert_allclose(adcore.vjp(f, p, y0)[0], f(p, y0), rtol=1e-8)


def test_odeint_and_times():
    def f(p, t):
        return scipy.integrate.odeint(lambda y, t, p: [p * y[1], -y[0]], [1.0, 0.0], t, args=(p,), **TIGHT)

    t = np.linspace(0.0, 2.0, 5)
    assert_allclose(adcore.vjp(lambda p: f(p, t), 1.0)[0][:, 0], np.cos(t), atol=1e-6)
    assert_allclose(adcore.jacobian(lambda p: f(p, t)[:, 0])(1.0), -0.5 * t * np.sin(t), atol=1e-8)

    def at_end(end):
        return ours.solve_ivp(lambda t, y: np.cos(t) * y, (0.0, end), [1.0], **TIGHT).y[0, -1]

    assert_allclose(adcore.gradient(at_end, 1.2), np.cos(1.2) * np.exp(np.sin(1.2)), rtol=1e-8)
    at = lambda s: ours.solve_ivp(lambda t, y: np.cos(t) * y, (0.0, 2.0), [1.0], t_eval=s, **TIGHT).y[0]  # noqa: E731
    s = np.array([0.3, 1.2])
    assert_allclose(np.diag(adcore.jacobian(at)(s)), np.cos(s) * np.exp(np.sin(s)), rtol=1e-7)


def test_a_right_hand_side_may_branch_on_time_and_state():
    def f(a):
        return ours.solve_ivp(lambda t, y: -a * y if t < 1.0 or y[0] > 9.0 else 0.0 * y, (0.0, 2.0), [1.0], max_step=0.1, **TIGHT).y[0, -1]

    assert_allclose(adcore.gradient(f, 0.7), -np.exp(-0.7), rtol=1e-2)


def test_a_compiled_function_chooses_its_steps_anew():
    f = adcore.value_and_grad(lambda a: ours.solve_ivp(lambda t, y: -a * y, (0.0, 1.0), [1.0], **TIGHT).y[0, -1])
    g = adcore.compile(f)
    for a in (0.5, 5.0, 50.0):
        assert_allclose(g(a), (np.exp(-a), -np.exp(-a)), rtol=1e-6, atol=1e-10)
    assert "steps of solve_ivp" in g.why_not


def test_equations_that_concern_no_recording_are_scipys():
    def f(a):
        r = scipy.integrate.solve_ivp(lambda t, y: -y, (0.0, 1.0), [1.0], "LSODA")
        return a * r.y[0, -1] * scipy.integrate.quad(np.sin, 0.0, 1.0)[0]

    assert_allclose(adcore.gradient(f, 1.0), np.exp(-1.0) * (1 - np.cos(1.0)), rtol=1e-3)


REFUSED = {
    "an implicit method": lambda a: ours.solve_ivp(lambda t, y: -a * y, (0.0, 1.0), [1.0], "BDF").y[0, -1],
    "events": lambda a: ours.solve_ivp(lambda t, y: -a * y, (0.0, 1.0), [1.0], events=lambda t, y: y[0] - 0.5).y[0, -1],
    "a weight": lambda a: ours.quad(lambda t: a * t, 0.0, 1.0, weight="cos", wvar=1.0)[0],
    "another integral": lambda a: scipy.integrate.dblquad(lambda t, s: a * t, 0.0, 1.0, 0.0, 1.0)[0],
    "a boundary value problem": lambda a: scipy.integrate.solve_bvp(
        lambda t, y: np.stack([y[1], -a * y[0]]), lambda u, v: np.array([u[0], v[0] - 1]), np.linspace(0, 1, 5), np.ones((2, 5))
    ).y[0, 2],
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_derivative_is_refused(name):
    with pytest.raises(errors.NotDifferentiable, match="stop_gradient"):
        adcore.gradient(REFUSED[name], 1.3)
