"""Small matrices: solve, inv, det, cholesky and triangular solves, which sweeps compute without Python."""

import numpy as np
import pytest
import scipy.linalg as sla
from adcore.sweep.engine import explained
from numpy.testing import assert_allclose

import adcore

R = np.random.default_rng(0)


def made(n, *batch):
    return 0.3 * R.normal(size=(*batch, n, n)) + 2.0 * np.eye(n), R.normal(size=(*batch, n, 3))


def steps(f, *args):
    return [step["kind"] for step in explained(adcore.trace(f, *args)._derived("gradient"))[1].steps_as_dicts()]


@pytest.mark.parametrize("batch", [(), (4,), (2, 3)])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 16, 17])
def test_values_and_derivatives_are_those_of_numpys_functions(n, batch):
    a, b = made(n, *batch)
    for f, args in (
        (np.linalg.solve, (a, b)),
        (lambda a, b: np.linalg.solve(a, b[..., :1])[..., 0], (a, b)),
        (np.linalg.inv, (a,)),
        (np.linalg.det, (a,)),
        (lambda a: np.linalg.slogdet(a)[1], (a,)),
        (lambda a: np.linalg.matrix_power(a, -2), (a,)),
    ):
        value, pull = adcore.vjp(f, *args)
        assert_allclose(value, f(*args), rtol=1e-9, atol=1e-11)
        w = R.normal(size=np.shape(value))
        tangents = [R.normal(size=x.shape) for x in args]
        _, tangent = adcore.jvp(f, args, tangents)
        adjoints = pull(w) if isinstance(pull(w), tuple) else (pull(w),)
        assert_allclose(np.sum(w * tangent), sum(np.sum(g * t) for g, t in zip(adjoints, tangents, strict=True)), rtol=1e-7)
    spd = a @ np.swapaxes(a, -1, -2) + np.eye(n)
    lower, upper = np.linalg.cholesky(spd), np.swapaxes(np.linalg.cholesky(spd + np.eye(n)), -1, -2)
    same(np.linalg.cholesky, spd)
    same(lambda s: np.linalg.cholesky(s, upper=True), spd)
    same(np.linalg.slogdet, a, take=lambda y: y[1])
    for matrix, kind in ((lower, {"lower": True}), (upper, {}), (lower, {"lower": True, "unit_diagonal": True}), (upper, {"trans": 1})):
        if not batch:
            same(lambda m, b, kind=kind: sla.solve_triangular(m, b, **kind), matrix, b)
    if n <= 5:
        weights = R.normal(size=spd.shape)
        adcore.testing.check_grads(lambda s: np.sum(weights * np.linalg.cholesky(s @ s.swapaxes(-1, -2) + np.eye(n))), (a,), order=2)
        adcore.testing.check_grads(lambda a, b: np.sum(np.linalg.solve(a, b) ** 2), (a, b), order=1)
        adcore.testing.check_grads(lambda a: np.sum(np.linalg.det(a)[..., None, None] * np.linalg.inv(a)), (a,), order=2)


def test_small_ones_are_computed_without_python():
    def f(a, b):
        return np.sum(np.linalg.solve(a, b)) * np.linalg.det(a) + np.linalg.inv(a)[0, 0]

    assert "call" not in steps(f, *made(3)) and "native" in steps(f, *made(3))
    assert "call" in steps(f, *made(17))
    a, b = made(2)
    for others in ((a.astype(np.float32), b.astype(np.float32)), (a, np.stack([b, b])), (a + 0j, b)):
        g = lambda a, b: np.sum(np.abs(np.linalg.solve(a, b)) ** 2)  # noqa: E731
        assert "native" not in steps(g, *others)
        assert_allclose(adcore.value_and_grad(g)(*others)[0], g(*others), rtol=1e-4)


def same(f, *args, take=lambda y: y):
    """Value, and the two modes by inner product."""
    g = lambda *args: take(f(*args))  # noqa: E731
    value, pull = adcore.vjp(g, *args)
    assert_allclose(value, g(*args), rtol=1e-9, atol=1e-11)
    w, tangents = R.normal(size=np.shape(value)), [R.normal(size=x.shape) for x in args]
    adjoints = pull(w) if len(args) > 1 else (pull(w),)
    assert_allclose(
        np.sum(w * adcore.jvp(g, args, tangents)[1]), sum(np.sum(a * t) for a, t in zip(adjoints, tangents, strict=True)), rtol=1e-7
    )


def test_factors_are_computed_without_python():
    def f(a, b):
        s = a @ a.T + np.eye(3)
        low = np.linalg.cholesky(s)
        return np.sum(sla.solve_triangular(low, b, lower=True) ** 2) + 2 * np.sum(np.log(np.diag(low))) + np.linalg.slogdet(s)[1]

    assert "call" not in steps(f, *made(3))
    adcore.testing.check_grads(f, made(3), order=2)


def test_what_fails_says_so():
    for f, a, message in (
        (np.linalg.cholesky, -np.eye(2), "not positive definite"),
        (lambda a: sla.solve_triangular(a, np.ones(2)), np.array([[1.0, 2.0], [0.0, 0.0]]), "singular"),
    ):
        with pytest.raises(np.linalg.LinAlgError, match=message):
            f(a)
        with pytest.raises(np.linalg.LinAlgError, match=message):
            adcore.vjp(f, a)
        compiled = adcore.compile(f)
        compiled(np.eye(2))
        with pytest.raises(np.linalg.LinAlgError, match=message):
            compiled(a)
    value, _ = adcore.vjp(lambda a: np.stack(np.linalg.slogdet(a)), np.zeros((2, 2)))
    assert_allclose(value, [0.0, -np.inf])


SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])


def test_a_singular_matrix_is_an_error_and_its_determinant_has_a_gradient():
    for f in (lambda a: np.sum(np.linalg.inv(a)), lambda a: np.sum(np.linalg.solve(a, np.ones(2)))):
        with pytest.raises(np.linalg.LinAlgError, match="Singular"):
            adcore.gradient(f, SINGULAR)
        compiled = adcore.compile(adcore.grad(f))
        compiled(np.eye(2))
        with pytest.raises(np.linalg.LinAlgError, match="Singular"):
            compiled(SINGULAR)
    value, gradient = adcore.value_and_grad(np.linalg.det)(SINGULAR)
    assert value == 0.0
    assert_allclose(gradient, [[4.0, -2.0], [-2.0, 1.0]])
    three = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    assert_allclose(adcore.gradient(np.linalg.det, three), [[-3.0, 6.0, -3.0], [6.0, -12.0, 6.0], [-3.0, 6.0, -3.0]], atol=1e-12)
    adcore.testing.check_grads(np.linalg.det, (three,), order=2)


def test_missing_numbers_pass_through():
    a = np.array([[1.0, np.nan], [0.0, 1.0]])
    value, _ = adcore.vjp(np.linalg.inv, a)
    assert np.isnan(value).any()


def test_many_seeds_at_once():
    a, b = made(3)
    f = lambda a: (np.linalg.solve(a, b) * np.linalg.det(a)).ravel()  # noqa: E731
    jacobian = adcore.jacobian(f)(a)
    for k in range(9):
        assert_allclose(jacobian[k], adcore.gradient(lambda a, k=k: f(a)[k], a), rtol=1e-9, atol=1e-11)
