"""Matrices above order 16: solved with, factorised by LAPACK without Python, once for all that is solved with one."""

import numpy as np
import pytest
import scipy.linalg as sla
from adcore.front import linalg
from adcore.sweep.engine import explained
from numpy.testing import assert_allclose

import adcore

R = np.random.default_rng(0)


def programs(f, *args):
    """The derived program as text, and the kinds of its steps."""
    derived = adcore.trace(f, *args)._derived("gradient")
    return str(derived), [step["kind"] for step in explained(derived)[1].steps_as_dicts()]


def made(n, *batch):
    return R.normal(size=(*batch, n, n)) + 3.0 * np.eye(n), R.normal(size=(*batch, n, 3))


def one(x):
    """The first matrix of a stack."""
    return x.reshape(-1, *x.shape[-2:])[0]


CONSTANT = made(17)[0]
FUNCTIONS = {
    "solve": np.linalg.solve,
    "solve for a vector": lambda a, b: np.linalg.solve(a, b[..., :1])[..., 0],
    "inv": lambda a, b: np.linalg.inv(a),
    "slogdet": lambda a, b: np.linalg.slogdet(a)[1],
    "solve and slogdet": lambda a, b: np.linalg.slogdet(a)[1][..., None, None] * np.linalg.solve(a, b),
    "constant matrix": lambda a, b: np.linalg.solve(CONSTANT, one(b)),
    "constant right side": lambda a, b: np.linalg.solve(a, np.ones(b.shape)),
    "cholesky": lambda a, b: np.linalg.cholesky(a @ np.swapaxes(a, -1, -2)),
    "triangular": lambda a, b: sla.solve_triangular(one(a) + 8.0 * np.eye(a.shape[-1]), one(b)),
    "transposed triangular": lambda a, b: sla.solve_triangular(0.1 * one(a), one(b)[:, 0], 1, lower=True, unit_diagonal=True),
}


@pytest.mark.parametrize("batch", [(), (3,), (2, 2)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_derivatives(name, batch):
    f, (a, b) = FUNCTIONS[name], made(17, *batch)
    weights = R.normal(size=np.shape(f(a, b)))
    assert_allclose(adcore.vjp(f, a, b)[0], f(a, b), rtol=1e-8, atol=1e-10)
    adcore.testing.check_grads(lambda a, b: np.sum(weights * f(a, b)), (a, b), order=2, rtol=1e-4)
    compiled = adcore.compile(adcore.value_and_grad(lambda a, b: np.sum(weights * f(a, b)), argnums=(0, 1)))
    for scale in (1.0, 1.1):
        value, gradients = compiled(a * scale, b)
        assert_allclose(value, np.sum(weights * f(a * scale, b)), rtol=1e-7)
        for ours, again in zip(gradients, adcore.grad(lambda a, b: np.sum(weights * f(a, b)), (0, 1))(a * scale, b), strict=True):
            assert_allclose(ours, again, rtol=1e-9, atol=1e-12)


def test_no_python_in_the_sweep():
    a, b = made(17)
    for name, f in FUNCTIONS.items():
        assert "call" not in programs(lambda a, b, f=f: np.sum(f(a, b)), a, b)[1], name


def test_a_matrix_is_factorised_once():
    text, _ = programs(lambda a, b: np.sum(np.linalg.solve(a, b) ** 2) + np.linalg.slogdet(a)[1] + np.sum(np.linalg.inv(a)), *made(20))
    assert text.count("a factorisation") == 1


def test_equal_calls_are_one():
    f = lambda a: np.sum(np.linalg.eigvalsh(a)) + np.sum(np.linalg.eigvalsh(a) ** 2)  # noqa: E731
    assert programs(f, made(5)[0])[0].count("eigh") == 1
    assert_allclose(adcore.gradient(f, np.diag([1.0, 2.0])), np.diag([3.0, 5.0]), atol=1e-12)


@pytest.mark.parametrize("n", [17, 40])
def test_what_python_would_compute_is_what_lapack_does(n):
    """Constants are factorised at once, by SciPy's functions."""
    a, b = made(n, 2)
    lu = linalg.evaluate_factors((n,), a)
    value = adcore.vjp(lambda a: linalg.factors_of(a), a)[0]
    assert_allclose(value, lu, rtol=1e-12, atol=1e-13)
    for transposed in (False, True):
        ours = adcore.vjp(lambda a, b, t=transposed: linalg.lu_solve(a, linalg.factors_of(a), b, t), a, b)[0]
        assert_allclose(ours, linalg.evaluate_lu_solve((transposed, n), a, lu, b), rtol=1e-9, atol=1e-12)
        assert_allclose(ours, np.linalg.solve(np.swapaxes(a, 1, 2) if transposed else a, b), rtol=1e-9, atol=1e-12)
    assert_allclose(adcore.vjp(lambda a: np.stack(np.linalg.slogdet(a), -1), a)[0], linalg.evaluate_lu_slogdet((n,), a, lu), rtol=1e-12)


def test_failures_are_numpys():
    zero, negative = np.zeros((20, 20)), -np.eye(20)
    for f, a, message in (
        (np.linalg.inv, zero, "Singular matrix"),
        (lambda a: np.linalg.solve(a, np.ones(20)), zero, "Singular matrix"),
        (lambda a: np.linalg.slogdet(a)[1], zero, "Singular matrix"),
        (np.linalg.cholesky, negative, "not positive definite"),
        (lambda a: sla.solve_triangular(a, np.ones(20)), zero, "singular"),
    ):
        with pytest.raises(np.linalg.LinAlgError, match=message):
            adcore.gradient(lambda a, f=f: np.sum(f(a)), a)

    def caught(a):
        try:
            return np.sum(np.linalg.inv(a))
        except np.linalg.LinAlgError:
            return 3.0 * np.sum(a)

    assert adcore.gradient(caught, zero)[0, 0] == 3.0
    assert_allclose(adcore.gradient(caught, np.eye(20)), -np.ones((20, 20)))
    assert [x.tolist() for x in np.linalg.slogdet(zero)] == adcore.vjp(lambda a: np.stack(np.linalg.slogdet(a)), zero)[0].tolist()
