"""Solutions of equations inside differentiated functions: against closed forms, differences, and refusals."""

import warnings

import numpy as np
import pytest
import scipy.optimize
from adcore.testing import check_grads
from numpy.testing import assert_allclose
from scipy.optimize import brentq as brentq_by_name

import adcore
from adcore import errors

ours = adcore.scipy.optimize
a3 = np.array([0.3, 2.0, -0.3])
BRACKETING = ["brentq", "brenth", "bisect", "ridder", "toms748"]


def cubic(x, a):
    return x**3 + np.sin(x) - a


SCALAR = {
    **{f"adcore {n}": lambda a, n=n: getattr(ours, n)(cubic, 0.0, 3.0, args=(a,)) * a for n in BRACKETING},
    **{f"scipy {n}": lambda a, n=n: getattr(scipy.optimize, n)(lambda x: cubic(x, a), 0.0, 3.0) * a for n in BRACKETING},
    "by name": lambda a: brentq_by_name(cubic, 0.0, 3.0, (a,)) * a,
    "traced brackets": lambda a: ours.brentq(cubic, 0.1 * a, a, args=(a,)),
    "secant": lambda a: scipy.optimize.newton(cubic, 1.0, args=(a,), tol=1e-14),
    "newton": lambda a: ours.newton(cubic, a, lambda x, a: 3 * x**2 + np.cos(x), (a,), tol=1e-14),
    "newton, a list of arguments": lambda a: ours.newton(cubic, 1.0, lambda x, a: 3 * x**2 + np.cos(x), [a], tol=1e-14),
    "halley": lambda a: ours.newton(
        lambda x: cubic(x, a), 1.0, lambda x: 3 * x**2 + np.cos(x), fprime2=lambda x: 6 * x - np.sin(x), tol=1e-14
    ),
    "root_scalar by a bracket": lambda a: ours.root_scalar(cubic, (a,), bracket=(0.0, 3.0)).root,
    "root_scalar newton": lambda a: ours.root_scalar(cubic, (a,), "newton", x0=1.0, xtol=1e-14).root,
    "root_scalar halley": lambda a: (
        scipy.optimize.root_scalar(
            lambda x: cubic(x, a), method="halley", x0=1.0, fprime=lambda x: 3 * x**2 + np.cos(x), fprime2=lambda x: 6 * x - np.sin(x)
        ).root
    ),
    "root_scalar secant": lambda a: ours.root_scalar(cubic, (a,), x0=1.0, x1=1.1, xtol=1e-14).root,
    "root_scalar with its derivative": lambda a: (
        ours.root_scalar(lambda x, a: (cubic(x, a), 3 * x**2 + np.cos(x)), (a,), "newton", x0=1.0, fprime=True, xtol=1e-14).root
    ),
    "full output": lambda a: ours.brentq(cubic, 0.0, 3.0, (a,), full_output=True)[1].root,
    "fixed point": lambda a: ours.fixed_point(lambda x: np.cos(x / a), 0.5, xtol=1e-14),
    "a root of a root": lambda a: ours.brentq(lambda x: ours.brentq(lambda y: y**3 - x * a, 0.0, 5.0) - a, 0.0, 9.0),
    "a root of a derivative": lambda a: ours.brentq(lambda x: adcore.gradient(lambda y: np.cosh(y - a) + y, x), -5.0, 5.0),
}


MINIMA = {
    "brent": (lambda a: ours.minimize_scalar(lambda x: x**4 - a * x, tol=1e-11).x, lambda x, a: 4 * x**3 - a),
    "within bounds": (lambda a: ours.minimize_scalar(lambda x: np.cosh(x - a) + x, bounds=(-3, 5), options={"xatol": 1e-12}).x,
                      lambda x, a: np.sinh(x - a) + 1),
    "by a bracket": (lambda a: scipy.optimize.minimize_scalar(lambda x, a: np.cosh(x - a) + x, (-1.0, 1.0), args=(a,), tol=1e-12).x,
                     lambda x, a: np.sinh(x - a) + 1),
}  # fmt: skip


@pytest.mark.parametrize("name", SCALAR)
def test_solutions_of_one_unknown_have_derivatives_of_second_order_in_every_mode(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
        # a bisection ends 2e-12 from the root
        check_grads(SCALAR[name], [1.7], order=2, rtol=2e-6)


@pytest.mark.parametrize("name", MINIMA)
def test_a_minimum_is_the_root_of_the_derivative(name):
    # a minimiser knows its argument to the square root of the machine's precision
    minimum, derivative = MINIMA[name]
    as_root = lambda a: ours.brentq(derivative, -9.0, 9.0, (a,))  # noqa: E731
    assert_allclose(adcore.value_and_grad(minimum)(1.7), adcore.value_and_grad(as_root)(1.7), rtol=1e-7)
    assert_allclose(adcore.grad(adcore.grad(minimum))(1.7), adcore.grad(adcore.grad(as_root))(1.7), rtol=1e-6)


@pytest.mark.parametrize("name", SCALAR)
def test_solutions_replay_when_compiled(name):
    f = adcore.value_and_grad(SCALAR[name])
    g = adcore.compile(f)
    for a in (1.7, 1.9, 1.3):
        assert_allclose(g(a), f(a), rtol=1e-7)
    assert g.recordings == 1


def test_the_root_of_a_square_is_the_square_root():
    f = lambda a: scipy.optimize.brentq(lambda x: x**2 - a, 0.0, 9.0, xtol=1e-15)  # noqa: E731
    a = 4.7
    assert_allclose(f(a), np.sqrt(a), rtol=1e-14)
    assert_allclose(adcore.gradient(f, a), 0.5 / np.sqrt(a), rtol=1e-13)
    assert_allclose(adcore.grad(adcore.grad(f))(a), -0.25 * a**-1.5, rtol=1e-12)
    assert_allclose(adcore.grad(adcore.grad(adcore.grad(f)))(a), 0.375 * a**-2.5, rtol=1e-11)


def system(x, a, b):
    return [x[0] + a[0] * x[1] ** 3 - b, x[1] * a[1] - x[0], x[2] - np.sin(x[0] * a[2])]


def written(x, a, b):
    out = np.zeros(3)
    out[:] = system(x, a, b)
    return out


VECTOR = {
    "root": lambda a: ours.root(system, np.full(3, 0.5), args=(a, a[0]), tol=1e-13).x,
    "root of a function that writes": lambda a: scipy.optimize.root(written, np.full(3, 0.5), args=(a, a[0]), tol=1e-13).x,
    "root lm": lambda a: ours.root(lambda x: system(x, a, 1.0), [0.5, 0.5, 0.5], method="lm", tol=1e-13).x,
    "krylov": lambda a: scipy.optimize.root(lambda x: np.cosh(x) - 2 - 0.1 * a, np.ones(3), method="krylov", tol=1e-13).x,
    "fsolve": lambda a: scipy.optimize.fsolve(system, [0.5, 0.5, 0.5], (a, 1.3), xtol=1e-13) * a,
    "residual at the root": lambda a: ours.root(system, np.full(3, 0.5), args=(a, a[0]), tol=1e-13).fun + a,
    "elementwise": lambda a: ours.newton(lambda x: x**3 + x - a, np.ones(3), tol=1e-14),
    "elementwise fixed point": lambda a: scipy.optimize.fixed_point(lambda x: np.cos(x + a), np.full(3, 0.3), xtol=1e-14),
    "coupled fixed point": lambda a: ours.fixed_point(lambda x: 0.3 * np.cos(x[::-1] * a) + a, np.full(3, 0.3), xtol=1e-14),
    "minimum": lambda a: (
        ours.minimize(lambda x: np.sum(np.cosh(x - a) + 0.1 * x[0] ** 2 * x**2), np.zeros(3), method="trust-exact", tol=1e-11).x
    ),
    "minimum with its value": lambda a: (
        ours.minimize(lambda x: np.sum(np.cosh(x - a)) + x[0], np.zeros(3), method="Newton-CG", tol=1e-12).fun
    ),
    "least squares": lambda a: (
        ours.least_squares(lambda x: np.concatenate([x - a, 0.5 * np.sin(x)]), np.zeros(3), gtol=1e-14, xtol=1e-14, ftol=1e-14).x
    ),
}


@pytest.mark.parametrize("name", VECTOR)
def test_solutions_of_many_unknowns_have_derivatives_of_second_order_in_every_mode(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
        check_grads(VECTOR[name], [a3 if "root" not in name else np.abs(a3)], order=2, rtol=1e-5)


@pytest.mark.parametrize(
    "method", ["BFGS", "CG", "L-BFGS-B", "Nelder-Mead", "Powell", "TNC", "SLSQP", "trust-ncg", "trust-krylov", "dogleg"]
)
def test_a_minimum_has_derivatives_whatever_method_found_it(method):
    def f(a):
        return ours.minimize(lambda x: np.sum(np.cosh(x - a) + 0.1 * x**2), np.zeros(2), method=method, tol=1e-9).x

    found = adcore.jacobian(f)(np.array([0.5, -0.7]))
    x = ours.minimize(lambda x: np.sum(np.cosh(x - np.array([0.5, -0.7])) + 0.1 * x**2), np.zeros(2), method="trust-exact", tol=1e-12).x
    c = np.cosh(x - np.array([0.5, -0.7]))
    assert_allclose(found, np.diag(c / (c + 0.2)), atol=1e-5)


@pytest.mark.parametrize("method", ["L-BFGS-B", None, "TNC", "SLSQP"])
@pytest.mark.parametrize("solver", ["minimize", "least_squares"])
def test_unknowns_at_their_bounds_stay_there(method, solver):
    def f(a):
        residuals = lambda x: np.stack([x[0] - a[0], x[1] - a[1], 0.5 * (x[0] + x[1] + x[2])])  # noqa: E731
        if solver == "least_squares":
            return ours.least_squares(residuals, [0.5, 0.5, 0.5], bounds=([0.0, -9.0, 0.0], [1.0, 9.0, 9.0]), xtol=1e-14, gtol=1e-12).x
        bounds = [(0.0, 1.0), (None, None), (0.0, None)]
        return scipy.optimize.minimize(lambda x: np.sum(residuals(x) ** 2), [0.5] * 3, bounds=bounds, method=method, tol=1e-12).x

    # x0 is free, x1 too, x2 at 0: (1.25 0.25; 0.25 1.25) x = a
    assert_allclose(adcore.jacobian(f)(np.array([0.5, 0.3]))[:2], np.linalg.inv([[1.25, 0.25], [0.25, 1.25]]), atol=1e-5)
    assert_allclose(adcore.jacobian(f)(np.array([0.5, 0.3]))[2], 0.0, atol=1e-12)


def test_a_minimum_moves_with_a_traced_bound():
    f = lambda b: scipy.optimize.minimize(lambda x: np.sum((x - 3.0) ** 2), np.zeros(2), bounds=[(0.0, b), (None, None)]).x  # noqa: E731
    assert_allclose(adcore.jacobian(f)(1.5), [1.0, 0.0], atol=1e-9)


# -- functions that look at values ------------------------------------------------------------


def branching(x, a):
    if x < 1.0:
        return x - 2.0
    return x**2 - a if a > 0 else x + a


def test_a_function_may_branch_on_its_unknown():
    f = lambda a: scipy.optimize.brentq(branching, 0.0, 9.0, args=(a,))  # noqa: E731
    check_grads(f, [2.0], order=2)
    check_grads(f, [-2.0], order=2)
    g = adcore.compile(adcore.value_and_grad(f))
    for a in (2.0, 3.0, -2.0):
        assert_allclose(g(a), adcore.value_and_grad(f)(a), rtol=1e-12)
    assert "looks at a value" in g.why_not


def test_systems_and_minima_may_branch_on_their_unknowns():
    check_grads(lambda a: scipy.optimize.root(lambda x: x**2 - a if x[0] > 0 else -x, np.ones(3), tol=1e-13).x, [np.abs(a3)], order=2)
    objective = lambda x, a: np.sum((x - a) ** 4 + x**2) if x[0] > -9 else np.sum(x)  # noqa: E731
    f = lambda a: ours.minimize(objective, np.zeros(3), (a,), method="trust-exact", tol=1e-11).x  # noqa: E731
    check_grads(f, [a3])


# -- SciPy as it is, where nothing is differentiated -----------------------------------------------


def test_a_solve_that_concerns_no_recording_is_scipys_own(monkeypatch):
    seen = []
    original = scipy.optimize.root
    monkeypatch.setattr(scipy.optimize, "root", lambda *a, **k: seen.append(a) or original(*a, **k))

    def f(a):
        r = ours.root(lambda x: x**2 - 2.0, [1.0])
        assert isinstance(r.x, np.ndarray) and "nfev" in r
        return a * r.x[0] * scipy.optimize.brentq(lambda x: x - 3.0, 0.0, 9.0)

    assert_allclose(adcore.gradient(f, 1.0), 3 * np.sqrt(2.0))
    assert len(seen) == 1


def test_the_solution_does_not_depend_on_the_start():
    assert adcore.gradient(lambda a: ours.root(lambda x: x**2 - 2.0, [a]).x[0], 1.0) == 0.0


def test_constant_parameters_are_constants():
    f = lambda a: scipy.optimize.brentq(lambda x: x**2 - adcore.stop_gradient(a), 0.0, 3.0) * a  # noqa: E731
    assert_allclose(adcore.gradient(f, 4.0), 2.0)


# -- refusals ------------------------------------------------------------------------------------------

REFUSED = {
    "a double root": (errors.NotDifferentiable, "singular", lambda a: ours.root(lambda x: (x - a) ** 2, [1.7], tol=1e-3).x[0]),
    "dependent equations": (errors.NotDifferentiable, "singular",
                            lambda a: ours.root(lambda x: [x[0] + x[1] - a, 2 * (x[0] + x[1] - a)], [0.5, 1.2], method="lm").x[0]),
    "not converged": (errors.NotConverged, "did not converge", lambda a: ours.root(lambda x: x**2 + a, [1.0]).x[0]),
    "not enough iterations": (RuntimeError, "iterations", lambda a: ours.brentq(cubic, 0.0, 3.0, (a,), maxiter=2)),
    "not enough, unsaid": (RuntimeError, "iterations", lambda a: ours.brentq(cubic, 0.0, 3.0, (a,), maxiter=2, disp=False)),
    "no change of sign": (ValueError, "different signs", lambda a: scipy.optimize.brentq(lambda x: x**2 + a, 0.0, 3.0)),
    "a minimum at a bound": (errors.NotDifferentiable, "does not hold",
                             lambda a: scipy.optimize.minimize_scalar(lambda x: (x - a) ** 2 + x**4, bounds=(2, 3)).x),
    "constraints": (errors.NotDifferentiable, "constraints", lambda a: ours.minimize(
        lambda x: np.sum((x - a) ** 2), [0.0], constraints={"type": "eq", "fun": lambda x: x[0] - 1}).x[0]),
    "a loss": (errors.NotDifferentiable, "stop_gradient", lambda a: ours.least_squares(lambda x: x - a, [0.0], loss="soft_l1").x[0]),
    "as many equations as unknowns": (errors.ArgumentError, "2 unknowns", lambda a: ours.root(lambda x: x[0] - a, [0.0, 1.0]).x[0]),
    "another solver by its function": (errors.NotDifferentiable, "differential_evolution",
                                       lambda a: scipy.optimize.differential_evolution(lambda x: (x[0] - a) ** 2, [(0, 3)]).x[0]),
    "another solver by its arguments": (errors.NotDifferentiable, "linprog", lambda a: scipy.optimize.linprog(np.ones(2) * a).x[0]),
    "traced bounds of curve_fit": (errors.NotDifferentiable, "traced bounds", lambda a: scipy.optimize.curve_fit(
        lambda t, p: p * t, np.arange(3.0), np.arange(3.0), bounds=(0.0, a))[0][0]),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_derivative_is_refused(name):
    kind, text, f = REFUSED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        with pytest.raises(kind, match=text):
            adcore.gradient(f, 1.7)


def test_a_refusal_names_the_line():
    def f(a):
        return ours.root(lambda x: [x[0] + x[1] - a, 2 * (x[0] + x[1] - a)], [0.5, 1.2], method="lm").x[0]

    with pytest.raises(errors.NotDifferentiable, match=rf"test_solutions.py:{f.__code__.co_firstlineno + 1}: root"):
        adcore.gradient(f, 1.7)


def test_badly_scaled_equations_are_regular():
    f = lambda a: ours.root(lambda x: np.array([1e-9, 1e9]) * (x**2 - a), [2.0, 2.0]).x  # noqa: E731
    assert_allclose(adcore.jacobian(f)(4.0), [0.25, 0.25], rtol=1e-6)


def test_objectives_may_return_an_array_of_one_number():
    f = lambda x: np.array([np.sum((x - 1.0) ** 2)])  # noqa: E731
    assert_allclose(ours.minimize(f, np.zeros(2)).x, 1.0, atol=1e-6)
    assert_allclose(ours.minimize(f, np.zeros(2), method="trust-exact").x, 1.0, atol=1e-6)
    assert_allclose(ours.minimize(lambda x: (f(x), 2 * (x - 1.0)), np.zeros(2), jac=True, method="Newton-CG").x, 1.0, atol=1e-6)
    assert_allclose(adcore.jacobian(lambda a: ours.minimize(lambda x: f(x - a), np.zeros(2)).x)(1.0), 1.0, atol=1e-6)


def test_threads_solve_at_the_same_time():
    import concurrent.futures

    f = adcore.compile(adcore.value_and_grad(lambda a: np.sum(VECTOR["root"](a))))
    points = [np.abs(a3) + 0.01 * k for k in range(16)]
    expected = [f(p) for p in points]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for got, (v, g) in zip(pool.map(f, points), expected, strict=True):
            assert got[0] == v and np.array_equal(got[1], g)


TIMES = np.linspace(0.0, 2.0, 15)
DATA = 2.0 * np.exp(-1.3 * TIMES) + 0.05 * np.cos(7.0 * TIMES)
TIGHT = {"xtol": 1e-14, "ftol": 1e-14, "gtol": 1e-14}


def decay(t, a, b):
    return a * np.exp(-b * t)


FITS = {
    "by the data": (lambda y: ours.curve_fit(decay, TIMES, y, (1.0, 1.0), **TIGHT), [DATA]),
    "by the times": (lambda t: ours.curve_fit(decay, t, DATA, **TIGHT), [TIMES + 0.1]),
    "by the errors": (lambda s: ours.curve_fit(decay, TIMES, DATA, sigma=s, **TIGHT), [1.0 + TIMES]),
    "by absolute errors": (lambda y, s: ours.curve_fit(decay, TIMES, y, sigma=s, absolute_sigma=True, **TIGHT), [DATA, 1.0 + TIMES]),
    "by a covariance": (lambda s: ours.curve_fit(decay, TIMES, DATA, sigma=s @ s.T + np.eye(15), **TIGHT),
                        [np.cos(np.outer(TIMES, TIMES))]),
    "by what the model reads": (lambda c: ours.curve_fit(lambda t, a, b: decay(t, a, b) + c * t, TIMES, DATA, **TIGHT), [0.1]),
    "inside bounds": (lambda y: ours.curve_fit(decay, TIMES, y, bounds=([0.0, -1.0], [9.0, np.inf]), **TIGHT), [DATA]),
    "at a bound": (lambda y: ours.curve_fit(decay, TIMES, y, bounds=(0.0, [1.5, 9.0]), **TIGHT), [DATA]),
}  # fmt: skip


def test_curve_fit_by_its_name_in_scipy():
    f = lambda y: scipy.optimize.curve_fit(decay, TIMES, y, **TIGHT)[0]  # noqa: E731
    np.testing.assert_allclose(adcore.jacobian(f)(DATA), adcore.jacobian(lambda y: ours.curve_fit(decay, TIMES, y, **TIGHT)[0])(DATA))


@pytest.mark.parametrize("name", FITS)
def test_fitted_parameters_and_their_covariance(name):
    f, args = FITS[name]
    for part in (0, 1):
        if part and name == "at a bound":
            continue  # SciPy's covariance takes no notice of bounds, and neither does ours
        value, gradients = adcore.value_and_grad(lambda *a, part=part: np.sum(f(*a)[part] * [1.0, 0.3]), argnums=tuple(range(len(args))))(
            *args
        )
        plain = lambda *a, part=part: np.sum(f(*a)[part] * [1.0, 0.3])  # noqa: E731
        np.testing.assert_allclose(value, plain(*args), rtol=1e-6)
        for k, g in enumerate(gradients):
            step = 1e-4 * np.cos(np.arange(np.size(args[k]))).reshape(np.shape(args[k]))
            moved = [[a + sign * step if j == k else a for j, a in enumerate(args)] for sign in (1.0, -1.0)]
            np.testing.assert_allclose(np.sum(g * step), 0.5 * (plain(*moved[0]) - plain(*moved[1])), rtol=2e-4, atol=3e-10)


@pytest.mark.parametrize("method", ["trust-constr", "L-BFGS-B", "SLSQP", "TNC"])
def test_a_minimum_that_bounds_hold(method):
    """The condition counts where the method ends near enough; a method from within stops before the bound."""

    def f(a):
        bounds = [(0.0, 1.0), (0.0, None), (None, 1.0)]
        return ours.minimize(lambda x: np.sum((x - a) ** 2) + x[1] * x[2], np.full(3, 0.5), method=method, bounds=bounds, tol=1e-9).x

    assert_allclose(adcore.jacobian(f)(np.array([2.0, 0.3, 0.2])), [[0, 0, 0], [0, 4 / 3, -2 / 3], [0, -2 / 3, 4 / 3]], atol=1e-5)
    assert_allclose(adcore.jacobian(f)(np.array([2.0, -1.0, 0.2])), np.diag([0.0, 0.0, 1.0]), atol=1e-5)


def test_a_solver_that_got_stuck_at_a_bound_is_refused():
    """SciPy's simplex ends at (1, 0), where the derivative by the second unknown pushes inside."""
    with pytest.raises(errors.NotDifferentiable, match="condition does not hold"):
        adcore.jacobian(
            lambda a: ours.minimize(lambda x: np.sum((x - a) ** 2), np.full(2, 0.5), method="Nelder-Mead", bounds=[(0, 1)] * 2).x
        )(np.array([2.0, 0.3]))
