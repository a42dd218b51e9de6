"""scipy.special at complex arguments: the derivative in every direction, against differences of SciPy's function; Voigt's profile."""

import mpmath
import numpy as np
import pytest
import scipy.special
from adcore.front import dispatch, holomorphic

import adcore
from adcore import errors

dispatch.load()
POINTS = np.array([0.7 + 0.4j, 1.3 - 0.6j, 0.4 + 1.1j])


def real_part(name):
    """A real function of the real and imaginary parts of complex arguments."""

    def f(x):
        y = getattr(scipy.special, name)(x[0] + 1j * x[1])
        return np.sum(y.real * np.array([1.0, 2.0, -1.0]) + y.imag * np.array([0.5, -1.0, 1.5]))

    return f


@pytest.mark.parametrize("name", [*holomorphic.DERIVATIVES, "psi", "digamma"])
def test_derivative(name):
    f, x = real_part(name), np.array([POINTS.real, POINTS.imag])
    adcore.testing.check_grads(f, (x,), order=2)
    df = adcore.compile(adcore.value_and_grad(f))
    for shift in (0.0, 0.1, 0.2):
        value, g = df(x + shift)
        np.testing.assert_allclose(value, f(x + shift), rtol=1e-14)
        np.testing.assert_allclose(g, adcore.gradient(f, x + shift), rtol=1e-13)


@pytest.mark.parametrize("name", holomorphic.DERIVATIVES)
def test_derivative_of_a_complex_argument_and_of_one_number(name):
    f = getattr(scipy.special, name)
    h = 1e-6
    expected = (f(POINTS + h) - f(POINTS - h)) / (2 * h)
    _, t = adcore.jvp(f, (POINTS,), (np.ones(3, complex),))
    np.testing.assert_allclose(t, expected, rtol=1e-8)
    _, t = adcore.jvp(f, (POINTS[0],), (1.0 + 0.0j,))
    np.testing.assert_allclose(t, expected[0], rtol=1e-8)


def test_faddeeva_of_real_arguments_is_complex():
    adcore.testing.check_grads(lambda x: np.sum(scipy.special.wofz(x).imag * x), (np.array([-1.2, 0.0, 0.7]),), order=2)


def test_voigt_profile():
    x, sigma, gamma = np.array([-1.5, 0.2, 3.0]), np.array([0.8, 1.3, 0.4]), np.array([0.5, 0.1, 2.0])
    adcore.testing.check_grads(lambda *a: np.sum(scipy.special.voigt_profile(*a)), (x, sigma, gamma))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_polygamma(order):
    points = [0.3 + 0.1j, -3.4 + 2.0j, 40.0 - 25.0j, -40.5 + 1e-3j, 1e3 + 1e4j, 2.0 + 0j]
    expected = [complex(mpmath.psi(order, z)) for z in points]
    np.testing.assert_allclose(holomorphic.polygamma(order, points), expected, rtol=2e-13)


def test_derivatives_of_psi_far_left_are_refused():
    with pytest.raises(errors.NotDifferentiable, match=r"test_holomorphic.py:\d+: scipy.special.psi left of -1000"):
        adcore.gradient(lambda x: np.sum(scipy.special.psi(x + 1j).real), np.array([-2000.0]))


def test_other_functions_of_complex_values_are_refused_by_name():
    with pytest.raises(errors.NotDifferentiable, match=r"test_holomorphic.py:\d+: scipy.special.jv of complex values"):
        adcore.gradient(lambda x: np.sum(scipy.special.jv(1.0, x + 1j).real), np.ones(2))
