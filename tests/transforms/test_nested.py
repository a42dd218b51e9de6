"""Derivatives of derivatives, and products of the Jacobian with vectors."""

import dataclasses
import math
import typing

import mpmath
import numpy as np
import pytest
from adcore.testing import check_grads

import adcore
from adcore import errors, optable

rng = np.random.default_rng(0)
x = rng.uniform(0.5, 1.5, 5)
A = rng.normal(size=(5, 5))
index = np.array([0, 2, 2, 4])


def loop(x):
    out = np.zeros(5)
    out[0] = x[0]
    for i in range(1, 5):
        out[i] = np.sin(out[i - 1]) * x[i]
    return out


def branch(x):
    if np.sum(x) > 0:
        return x * np.log(x)
    return x


def in_place(x):
    y = x.copy()
    y[1:-1] += y[2:] * y[:-2]
    y[index[0]] *= 3
    return y


FUNCTIONS = {
    "elementwise": lambda x: np.tanh(x) * np.exp(-(x**2)) + np.log1p(x**2) * np.sin(x),
    "scalar": lambda x: np.sum(x**3) * x[0],
    "matrices": lambda x: A @ np.tanh(A @ x),
    "matrix of it": lambda x: np.outer(x, x) @ A @ np.outer(x, x * x),
    "gather": lambda x: x[index] ** 3,
    "repeated assignment": lambda x: np.bincount(index, weights=None, minlength=5) * x**2,
    "cumsum": lambda x: np.cumsum(x * x),
    "maximum of many": lambda x: np.max(np.outer(x, x), axis=0),
    "prod": lambda x: np.prod(x) * x,
    "loop": loop,
    "branch": branch,
    "in place": in_place,
    "norm": lambda x: np.linalg.norm(x) * x,
    "logaddexp": lambda x: np.logaddexp(x, x[::-1]),
    "stack": lambda x: np.stack([x, x * x[0], x[1] * np.ones(5)]),
    "transposed product": lambda x: (np.outer(x, x).T @ A)[1:, ::2],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_second_order_in_both_modes(name):
    check_grads(FUNCTIONS[name], [x], order=2)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_jacobian_forward_is_jacobian_reverse(name):
    f = FUNCTIONS[name]
    forward = adcore.jacobian(f, mode="forward")(x)
    np.testing.assert_allclose(forward, adcore.jacobian(f, mode="reverse")(x), rtol=1e-11, atol=1e-13)
    shape = np.shape(f(x))
    assert forward.shape == (*shape, 5)
    columns = [adcore.jvp(f, (x,), (e,))[1] for e in np.eye(5)]
    np.testing.assert_allclose(forward, np.stack(columns, axis=-1), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_several_seeds_are_each_seed(name):
    f = FUNCTIONS[name]
    y, pullback = adcore.vjp(f, x)
    seeds = rng.normal(size=(*np.shape(y), 3))
    (together,) = pullback(seeds)
    each = np.stack([pullback(seeds[..., k])[0] for k in range(3)], axis=-1)
    np.testing.assert_allclose(together, each, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_jvp_and_vjp_agree_by_inner_product(name):
    f = FUNCTIONS[name]
    t = rng.normal(size=5)
    y, ty = adcore.jvp(f, (x,), (t,))
    g = rng.normal(size=np.shape(y))
    (gx,) = adcore.vjp(f, x)[1](g)
    assert np.sum(g * ty) == pytest.approx(np.sum(gx * t), rel=1e-12)
    np.testing.assert_allclose(y, f(x), rtol=1e-13)


SMOOTH = [
    row.name
    for row in optable.ROWS[: optable.N_ELEMENTWISE]
    if row.partials and not row.missing and not row.kinks and len(row.args) == 1 and any(p != 0.0 for p in row.partials)
]
MPMATH = {"exp": mpmath.exp, "log": mpmath.log, "sin": mpmath.sin, "tanh": mpmath.tanh, "sqrt": mpmath.sqrt, "arctan": mpmath.atan,
          "expm1": mpmath.expm1, "log1p": mpmath.log1p, "cosh": mpmath.cosh, "arcsinh": mpmath.asinh, "erf": mpmath.erf}  # fmt: skip


@pytest.mark.parametrize("name", MPMATH)
def test_third_derivative(name):
    from adcore.tracer.array import elementwise

    third = adcore.grad(adcore.grad(adcore.grad(lambda t: elementwise(name, t))))
    with mpmath.workdps(50):
        expected = float(mpmath.diff(MPMATH[name], mpmath.mpf("0.7"), 3))
    assert float(third(0.7)) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("name", SMOOTH)
def test_third_order_of_the_table(name):
    from adcore.tracer.array import elementwise

    at = {"arccosh": 1.6, "log": 1.2, "sqrt": 1.3, "gammaln": 2.0, "digamma": 2.0}.get(name, 0.4)
    f = lambda t: elementwise(name, t)  # noqa: E731
    try:
        second = adcore.grad(adcore.grad(f))
        third = float(adcore.grad(second)(at))
    except errors.MissingDerivative:
        pytest.skip("a derivative of this op is not written")
    h = 1e-4
    difference = (float(second(at + h)) - float(second(at - h))) / (2 * h)
    assert third == pytest.approx(difference, rel=1e-5, abs=1e-6)


def test_hessian_of_rosenbrock():
    import scipy.optimize

    point = rng.normal(size=20)
    f = lambda x: np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)  # noqa: E731
    h = adcore.hessian(f)(point)
    np.testing.assert_allclose(h, scipy.optimize.rosen_hess(point), rtol=1e-11, atol=1e-9)
    assert (h == h.T).all()
    v = rng.normal(size=20)
    np.testing.assert_allclose(adcore.hvp(f, point, v), h @ v, rtol=1e-11)
    np.testing.assert_allclose(adcore.hvp(f, point, np.stack([v, 2 * v], axis=-1)), np.stack([h @ v, 2 * h @ v], axis=-1), rtol=1e-11)


def test_more_columns_than_one_sweep_takes():
    point = rng.normal(size=150)
    f = lambda x: np.sum(np.sin(x) * np.cumsum(x))  # noqa: E731
    h = adcore.hessian(f)(point)
    np.testing.assert_allclose(h[:, 70], adcore.hvp(f, point, np.eye(150)[70]), rtol=1e-12, atol=1e-12)


class TestPerturbations:
    """Nested differentiations never mix: examples from Siskind and Pearlmutter, Perturbation confusion, 2005."""

    def test_of_a_constant_of_the_inner_one(self):
        d = adcore.grad
        assert float(d(lambda x: x * d(lambda y: x + y)(1.0))(1.0)) == 1.0

    def test_product_with_an_outer_value(self):
        d = adcore.grad
        assert float(d(lambda x: x * d(lambda y: x * y * y)(2.0))(3.0)) == 24.0

    def test_forward_in_reverse_in_forward(self):
        def f(x):
            return adcore.gradient(lambda z: np.sum(adcore.jvp(lambda u: u**3 * x[0], (z,), (np.ones(3),))[1]), x)

        y, t = adcore.jvp(f, (np.ones(3),), (np.ones(3),))
        np.testing.assert_allclose(y, 6.0)
        np.testing.assert_allclose(t, 12.0)

    def test_inner_result_that_is_an_outer_value(self):
        assert float(adcore.grad(lambda x: adcore.grad(lambda y: x)(2.0) + x)(3.0)) == 1.0

    def test_inner_values_do_not_leak(self):
        kept = []

        def f(x):
            adcore.grad(lambda y: kept.append(y) or y * y)(2.0)
            return x * kept[0]

        with pytest.raises(errors.AdcoreError, match="returned"):
            adcore.grad(f)(1.0)

    def test_inner_write_into_an_outer_array(self):
        def f(x):
            buffer = np.zeros(2)

            def g(y):
                buffer[0] = y
                return y * y

            return adcore.grad(g)(x[0]) + buffer[0]

        with pytest.raises(errors.AdcoreError, match="two differentiations"):
            adcore.grad(f)(np.ones(2))

    def test_branches_inside(self):
        def f(x):
            def g(y):
                return y**3 if y > 1 else y**2

            return adcore.grad(g)(x)

        assert float(adcore.grad(f)(2.0)) == 12.0
        assert float(adcore.grad(f)(0.5)) == 2.0


@dataclasses.dataclass
class Parameters:
    w: np.ndarray
    b: float


class TestTrees:
    def test_vjp(self):
        p = {"m": Parameters(np.array([1.0, 2.0]), 0.5), "rest": [np.ones(3), None]}

        def f(p):
            return {"a": p["m"].w * p["m"].b, "b": (np.sum(p["rest"][0] ** 2), 3)}

        y, pullback = adcore.vjp(f, p)
        (g,) = pullback({"a": np.array([1.0, 1.0]), "b": (2.0, 0)})
        np.testing.assert_allclose(g["m"].w, [0.5, 0.5])
        assert g["m"].b == 3.0
        assert y["b"] == (3.0, 3)
        np.testing.assert_allclose(g["rest"][0], 4.0)
        assert g["rest"][1] is None
        y, t = adcore.jvp(f, (p,), ({"m": Parameters(np.array([1.0, 0.0]), 1.0), "rest": [np.ones(3), None]},))
        np.testing.assert_allclose(t["a"], [1.5, 2.0])
        assert t["b"] == (6.0, 0.0)

    WRONG: typing.ClassVar = {
        "shape": ((np.ones(3),), (np.ones(2),), "shape"),
        "number": ((np.ones(3),), (), "1 primals and 0 tangents"),
        "keys": (({"a": np.ones(2)},), ({"b": np.ones(2)},), r'\["a"\]'),
        "kind": (({"a": np.ones(2)},), ([np.ones(2)],), "list"),
        "none": (({"a": np.ones(2)},), ({"a": None},), r'\["a"\]'),
        "dtype": ((np.ones(2),), (np.ones(2) + 1j,), "complex"),
        "text": ((np.ones(2),), ("ab",), "dtype"),
        "widths": ((np.ones(2), np.ones(2)), (np.ones((2, 3)), np.ones(2)), "different numbers"),
    }

    @pytest.mark.parametrize("name", WRONG)
    def test_refused_tangents(self, name):
        primals, tangents, text = self.WRONG[name]
        with pytest.raises(errors.ArgumentError, match=text):
            adcore.jvp(lambda *xs: xs[0], primals, tangents)

    def test_refused_adjoints(self):
        _, pullback = adcore.vjp(np.sin, np.ones(3))
        with pytest.raises(errors.ArgumentError, match="shape"):
            pullback(np.ones(4))

    def test_independent_result(self):
        _, t = adcore.jvp(lambda x: (np.ones(2), x), (1.0,), (1.0,))
        np.testing.assert_array_equal(t[0], np.zeros(2))
        assert not adcore.jacobian(lambda x: np.ones(2))(np.ones(3)).any()


def test_newton_with_an_inner_derivative():
    """An optimisation inside a differentiated function: the loop's length depends on values."""

    def root(a):
        t = 1.0
        while True:
            r = t * t - a
            if abs(r) < 1e-14:
                return t
            t = t - r / adcore.grad(lambda s: s * s - a)(t)

    assert float(root(2.0)) == pytest.approx(math.sqrt(2.0))
    assert float(adcore.grad(root)(2.0)) == pytest.approx(0.5 / math.sqrt(2.0), rel=1e-10)


OUTER_WITH_INNER = {
    "solve": lambda a, x: np.linalg.solve(a, x),
    "solve with a factor": lambda a, x: np.linalg.solve(np.linalg.cholesky(a @ a.T), x),
    "concatenate": lambda a, x: np.concatenate([a[0], x]),
    "stack": lambda a, x: np.stack([a[0], x]),
    "a list": lambda a, x: np.array([a[0, 0], x[1], a[1, 1] * x[2]]),
    "einsum": lambda a, x: np.einsum("ij,j->i", a, x),
    "interp": lambda a, x: np.interp(a[0], np.array([0.0, 2.0, 4.0]), x),
    "convolve": lambda a, x: np.convolve(a[0], x),
    "where": lambda a, x: np.where(np.array([True, False, True]), a[0], x),
    "outer first in a tree": lambda a, x: sum([a[0], x]) * np.prod(np.stack((a[1], x))),
}


@pytest.mark.parametrize("name", OUTER_WITH_INNER)
def test_functions_of_an_outer_value_before_an_inner_one(name):
    g = OUTER_WITH_INNER[name]

    def energy(a, x):
        return np.sum(np.sin(g(a, x)) ** 2)

    a, x = np.eye(3) * 3 + 0.1 * np.arange(9.0).reshape(3, 3), np.array([0.3, 0.7, 1.1])
    mixed = adcore.gradient(lambda a: np.sum(adcore.grad(lambda x: energy(a, x))(x) * x), a)
    by_hessian = adcore.hessian(energy, argnums=(0, 1))(a, x)[0][1] @ x
    np.testing.assert_allclose(mixed, by_hessian, rtol=1e-12, atol=1e-13)
