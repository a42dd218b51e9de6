"""Functions that catch what numpy.linalg raises: the branch is the one that NumPy would take."""

import numpy as np
import pytest

import adcore

x = np.array([0.4, 1.3])


def log_likelihood(x):
    K = np.array([[1.0, x[0]], [x[0], x[1] - 1.0]])
    try:
        L = np.linalg.cholesky(K)
    except np.linalg.LinAlgError:
        return -1e3 * x[0] ** 2
    return np.sum(np.log(np.diag(L)))


def nearest(x):
    """Jitter is added until the matrix has a Cholesky factor."""
    K, jitter = np.outer(x, x) - 0.3 * np.eye(2), 0.1
    for _ in range(10):
        try:
            L = np.linalg.cholesky(K + jitter * np.eye(2) * x[1])
            break
        except np.linalg.LinAlgError as error:
            last = error
            jitter *= 2.0
    assert str(last)
    return np.sum(L) * np.exp(x[0])


def differences(f, x):
    return np.array([(f(x + e) - f(x - e)) / 2e-6 for e in 1e-6 * np.eye(len(x))])


@pytest.mark.parametrize("f", [log_likelihood, nearest])
@pytest.mark.parametrize("at", [x, np.array([0.4, 2.3])])
def test_gradient(f, at):
    value, gradient = adcore.value_and_grad(f)(at)
    assert value == pytest.approx(f(at), rel=1e-14)
    np.testing.assert_allclose(gradient, differences(f, at), rtol=1e-7)


def test_second_order():
    at = np.array([0.4, 2.3])
    expected = [adcore.gradient(log_likelihood, at + e) - adcore.gradient(log_likelihood, at - e) for e in 1e-6 * np.eye(2)]
    np.testing.assert_allclose(adcore.hessian(log_likelihood)(at), np.array(expected) / 2e-6, rtol=1e-6, atol=1e-8)


def test_compiled_in_any_order():
    g = adcore.compile(adcore.grad(log_likelihood))
    for at in ([0.4, 2.3], [0.4, 1.1], [0.2, 2.1], [0.6, 1.2], [0.1, 3.0]):
        np.testing.assert_allclose(g(np.array(at)), adcore.gradient(log_likelihood, np.array(at)))


def test_an_error_that_nobody_catches():
    with pytest.raises(np.linalg.LinAlgError):
        adcore.gradient(lambda x: np.linalg.cholesky(-np.eye(2) * x[1]).sum(), x)


def test_place_where_nothing_is_selected():
    def f(x):
        a = x * 2.0
        np.place(a, a > 100, [1.0])
        return np.sum(a)

    np.testing.assert_allclose(adcore.gradient(f, x), [2.0, 2.0])
