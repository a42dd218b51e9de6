"""Integrals and initial value problems inside differentiated functions: closed forms, differences, SciPy's own values."""

import functools
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
LOOSE = {"rtol": 1e-7, "atol": 1e-9}


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


@pytest.mark.parametrize("method", ["RK45", "Radau"])
def test_compiled_solutions_choose_their_steps_anew(method):
    """Replays run the solver; where all accepted times are asked for, another number of them is another recording."""

    def at_times(a):
        y = ours.solve_ivp(lambda t, y: -a * y, (0.0, 1.0), [1.0], method, t_eval=[0.4, 1.0], **LOOSE).y
        return y[0, 0] + 2.0 * y[0, 1]

    at_end = lambda a: ours.solve_ivp(lambda t, y: -a * y, (0.0, 1.0), [1.0], method, **LOOSE).y[0, -1]  # noqa: E731
    g, h = adcore.compile(adcore.value_and_grad(at_times)), adcore.compile(adcore.value_and_grad(at_end))
    for a in (0.5, 5.0, 50.0):
        half, whole = np.exp(-0.4 * a), np.exp(-a)
        assert_allclose(g(a), (half + 2 * whole, -0.4 * half - 2 * whole), rtol=1e-5, atol=1e-7)
        assert_allclose(h(a), (whole, -whole), rtol=1e-5, atol=1e-7)
    assert (g.recordings, g.why_not) == (1, "")
    recordings = h.recordings
    assert_allclose(h(50.01), (np.exp(-50.01), -np.exp(-50.01)), rtol=1e-5, atol=1e-7)
    assert h.recordings <= recordings + 1


def stiff(t, y, k):
    """Robertson's reactions, of which one is fast."""
    r1, r2, r3 = k[0] * y[0], k[1] * y[1] * y[2], k[2] * y[1] ** 2
    return [r2 - r1, r1 - r2 - r3, r3]


K = np.array([0.04, 1e4, 3e7])
Y0 = np.array([0.9, 1e-3, 0.1])


@functools.cache
def sensitivities():
    """The derivatives of the last state by scales of the rates and by the first state: SciPy's solution of their own equations."""

    def f(t, z):
        y, s = z[:3], z[3:].reshape(3, 6)
        j = np.array([[-K[0], K[1] * y[2], K[1] * y[1]], [K[0], -K[1] * y[2] - 2 * K[2] * y[1], -K[1] * y[1]], [0, 2 * K[2] * y[1], 0]])
        r = np.array([K[0] * y[0], K[1] * y[1] * y[2], K[2] * y[1] ** 2])
        by_scales = np.array([[-r[0], r[1], 0], [r[0], -r[1], -r[2]], [0, 0, r[2]]])
        moves = j @ s
        moves[:, :3] += by_scales
        return np.concatenate([stiff(t, y, K), moves.ravel()])

    start = np.concatenate([Y0, np.eye(3, 6, 3).ravel()])
    return scipy.integrate.solve_ivp(f, (0.0, 2.0), start, "Radau", rtol=1e-9, atol=1e-12).y[3:, -1].reshape(3, 6)


@pytest.mark.parametrize("method", ["Radau", "BDF", "LSODA"])
def test_stiff_equations(method):
    """By rate constants and initial state, in both modes."""

    def f(scale, y0):
        return ours.solve_ivp(stiff, (0.0, 2.0), y0, method, [2.0], args=(K * scale,), rtol=1e-7, atol=1e-11).y[:, 0]

    for position in (0, 1):
        expected = sensitivities()[:, 3 * position : 3 * position + 3]
        for mode in ("forward", "reverse"):
            found = adcore.jacobian(f, position, mode=mode)(np.ones(3), Y0)
            assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.max(np.abs(expected)))


def test_an_implicit_method_in_every_mode():
    def f(p, y0, end):
        return ours.solve_ivp(lotka, (0.0, end), y0, "Radau", args=(p[0], p[1]), rtol=1e-6, atol=1e-8).y[:, -1]

    # compiled, it takes the same steps on plain arguments: SciPy's own solves their equations to a tolerance
    check_grads(adcore.compile(f), [np.array([1.1, 0.7]), np.array([1.0, 0.5]), 1.0], order=2, rtol=1e-4)


def test_third_derivatives_and_times_between():
    f = lambda a: ours.solve_ivp(lambda t, y: -a * y, (0.0, 1.5), [1.0], t_eval=[0.7, 1.1], **TIGHT).y[0, 1]  # noqa: E731
    third = adcore.grad(adcore.grad(adcore.grad(f)))
    assert_allclose(third(0.8), -(1.1**3) * np.exp(-0.88), rtol=1e-7)
    by_time = lambda s: ours.solve_ivp(lambda t, y: -2.0 * t * y, (s[0], s[1]), [1.0], **TIGHT).y[0, -1]  # noqa: E731
    s = np.array([0.3, 1.2])
    value = np.exp(s[0] ** 2 - s[1] ** 2)
    assert_allclose(adcore.gradient(by_time, s), [2 * s[0] * value, -2 * s[1] * value], rtol=1e-7)
    assert_allclose(
        adcore.hessian(by_time)(s),
        [[(2 + 4 * s[0] ** 2) * value, -4 * s[0] * s[1] * value], [-4 * s[0] * s[1] * value, (4 * s[1] ** 2 - 2) * value]],
        rtol=1e-6,
    )
    back = lambda a: ours.solve_ivp(lambda t, y: a * y, (1.0, 0.0), [1.0], t_eval=[0.6, 0.1], **TIGHT).y[0]  # noqa: E731
    assert_allclose(adcore.jacobian(back)(0.5), [-0.4 * np.exp(-0.2), -0.9 * np.exp(-0.45)], rtol=1e-7)


def fall(t, y, g):
    return [y[1], -g]


def ground(t, y, g):
    return y[0]


ground.terminal, ground.direction = True, -1


@pytest.mark.parametrize("method", ["RK45", "LSODA", "Radau"])
def test_events(method):
    """A stone thrown up at v comes down after 2 v / g, at -v, and turns at v / g."""

    def turning(t, y, g):
        return y[1]

    def f(v, g):
        found = scipy.integrate.solve_ivp(fall, (0.0, 9.0), np.stack([0.0 * v, v]), method, events=(ground, turning), args=(g,), **TIGHT)
        assert found.status == 1
        return np.stack([found.t[-1], found.y[1, -1], found.t_events[0][0], found.t_events[1][0], found.y_events[1][0, 0]])

    v, g = 3.0, 9.81
    assert_allclose(adcore.vjp(f, v, g)[0], [2 * v / g, -v, 2 * v / g, v / g, v * v / (2 * g)], rtol=1e-8)
    by_v, by_g = (adcore.jacobian(f, k)(v, g) for k in (0, 1))
    assert_allclose(by_v, [2 / g, -1.0, 2 / g, 1 / g, v / g], rtol=1e-8)
    assert_allclose(by_g, [-2 * v / g**2, 0.0, -2 * v / g**2, -v / g**2, -v * v / (2 * g * g)], rtol=1e-8, atol=1e-9)
    assert_allclose(adcore.grad(adcore.grad(lambda g: f(v, g)[0]))(g), 4 * v / g**3, rtol=1e-7)
    compiled = adcore.compile(adcore.grad(lambda g: f(v, g)[0]))
    for g in (5.0, 10.0):
        assert_allclose(compiled(g), -2 * v / g**2, rtol=1e-8)


def test_events_before_asked_times():
    def f(a):
        gone = lambda t, y: y[0] - 0.5  # noqa: E731
        gone.terminal = True
        found = ours.solve_ivp(lambda t, y: -a * y, (0.0, 9.0), [1.0], t_eval=[0.1, 0.3, 5.0], events=gone, **TIGHT)
        assert found.y.shape == (1, 2) and found.t_events[0].shape == (1,)
        return found.y[0, 1] * found.t_events[0][0]

    a = 1.3
    assert_allclose(adcore.gradient(f, a), np.log(2) * (-0.3 * np.exp(-0.3 * a) / a - np.exp(-0.3 * a) / a**2), rtol=1e-7)


def test_dense_output():
    def f(a, s):
        sol = ours.solve_ivp(lambda t, y: [-a * y[0], a], (0.0, 2.0), [1.0, 0.0], dense_output=True, **TIGHT).sol
        return sol(s)[0] + np.sum(sol(np.array([0.5, 1.5]))[0])

    a, s = 0.9, 0.8
    assert_allclose(adcore.gradient(f, a, s), -sum(t * np.exp(-a * t) for t in (s, 0.5, 1.5)), rtol=1e-7)
    assert_allclose(adcore.gradient(f, a, s, argnums=1), -a * np.exp(-a * s), rtol=1e-7)


def test_equations_that_concern_no_recording_are_scipys():
    def f(a):
        r = scipy.integrate.solve_ivp(lambda t, y: -y, (0.0, 1.0), [1.0], "LSODA")
        return a * r.y[0, -1] * scipy.integrate.quad(np.sin, 0.0, 1.0)[0]

    assert_allclose(adcore.gradient(f, 1.0), np.exp(-1.0) * (1 - np.cos(1.0)), rtol=1e-3)


REFUSED = {
    "a solver of one's own": lambda a: ours.solve_ivp(lambda t, y: -a * y, (0.0, 1.0), [1.0], scipy.integrate.BDF).y[0, -1],
    "events and times": lambda a: ours.solve_ivp(lambda t, y: -y, (0.0, a), [1.0], events=lambda t, y: y[0] - 0.5).y[0, -1],
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
