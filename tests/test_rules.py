"""Derivative rules of one's own."""

import ctypes

import numpy as np
import pytest
from adcore.testing import check_grads
from numpy.testing import assert_allclose

import adcore
from adcore import errors

x = np.array([0.3, 0.7, 1.1])


@adcore.custom_vjp
def sine(x):
    return np.sin(x)


sine.defvjp(lambda x: (np.sin(x), np.cos(x)), lambda c, g: (c * g,))


@adcore.custom_jvp
def power(x, n):
    return x**n


power.defjvp(lambda p, t: (power(p[0], p[1]), p[1] * power(p[0], p[1] - 1) * t[0]))


@adcore.custom_vjp
def pair(tree, scale):
    return {"a": tree["u"] * scale, "b": np.sum(tree["v"])}


pair.defvjp(
    lambda tree, scale: (pair.f(tree, scale), (tree["u"], scale)),
    lambda r, g: ({"u": g["a"] * r[1], "v": g["b"] * np.ones(3)}, np.sum(g["a"] * r[0])),
)

flip = adcore.primitive(lambda x: x[::-1], linear=True, transpose=lambda g: g[::-1])
square = adcore.primitive(lambda x: x * x, vjp=lambda g, y, x: (2 * x * g,))
cube = adcore.primitive(lambda x, k: x**k, jvp=lambda t, y, x, k: k * x ** (k - 1) * t[0])

FUNCTIONS = {
    "custom_vjp": lambda x: np.sum(sine(x) ** 2 * x),
    "custom_vjp of a scalar": lambda x: sine(x[0]) * x[1],
    "custom_jvp with a static argument": lambda x: np.sum(power(x, 3) * np.sin(x)),
    "custom_vjp of trees": lambda x: np.sum(pair({"u": x, "v": x * x}, x[0])["a"]) * pair({"u": x, "v": x * x}, 2.0)["b"],
    "one rule inside another": lambda x: np.sum(sine(power(sine(x), 2))),
    "linear primitive": lambda x: np.sum(flip(x) * x * x),
    "primitive by its reverse rule": lambda x: np.sum(square(x) ** 2),
    "primitive by its forward rule": lambda x: np.sum(cube(x, 3) * x),
    "inside a region": lambda x: np.sum(adcore.checkpoint(lambda s: sine(flip(s)))(x) * x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rules_compose_to_third_order_in_every_mixture_of_modes(name):
    check_grads(FUNCTIONS[name], [x], order=3)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rules_replay_when_compiled(name):
    g = adcore.compile(adcore.grad(FUNCTIONS[name]))
    assert_allclose(g(x), adcore.gradient(FUNCTIONS[name], x), rtol=1e-14)
    assert_allclose(g(x + 0.1), adcore.gradient(FUNCTIONS[name], x + 0.1), rtol=1e-14)
    assert g.recordings == 1


def test_a_rule_replaces_the_derivative():
    @adcore.custom_vjp
    def f(x):
        return x**2

    f.defvjp(lambda x: (x**2, None), lambda r, g: (100.0 * g,))
    assert_allclose(adcore.gradient(lambda x: np.sum(f(x)), x), 100.0)
    assert_allclose(adcore.jvp(f, (x,), (np.ones(3),))[1], 100.0)


def test_a_rule_that_reads_a_changed_closure_is_recorded_again():
    factor = 1.0

    @adcore.custom_vjp
    def f(x):
        return x * 1.0

    f.defvjp(lambda x: (x * 1.0, None), lambda r, g: (factor * g,))
    g = adcore.compile(adcore.grad(lambda x: np.sum(f(x))))
    assert_allclose(adcore.gradient(lambda x: np.sum(f(x)), x), 1.0)
    assert_allclose(g(x), 1.0)
    factor = 3.0
    assert_allclose(adcore.gradient(lambda x: np.sum(f(x)), x), 3.0)
    assert_allclose(g(x), 3.0)


def test_a_rule_costs_nothing_when_it_runs():
    from adcore.sweep import engine

    program = adcore.trace(lambda x: np.sum(sine(x) * 2.0), x).program
    kinds = [step["kind"] for step in engine.plan_of(engine.prepare(program)).steps_as_dicts()]
    assert "call" not in kinds


def test_numerical_derivatives_are_of_first_order_only():
    f = adcore.primitive(lambda x, y: np.array([np.sum(x * x) * y, np.sum(x) + y]), numerical=True)
    check_grads(lambda x, y: np.sum(f(x, y) ** 2), [x, 2.0])
    with pytest.raises(errors.MissingDerivative, match="first order only"):
        adcore.hessian(lambda x: np.sum(f(x, 2.0) ** 2))(x)


def test_a_function_of_a_c_library_is_a_primitive():
    cos = ctypes.CDLL(None).cos
    cos.restype, cos.argtypes = ctypes.c_double, [ctypes.c_double]
    f = adcore.primitive(lambda x: cos(x), vjp=lambda g, y, x: (-np.sin(x) * g,))
    check_grads(lambda x: f(x) * x, [0.7], order=2)


def test_a_primitive_without_a_rule_raises():
    f = adcore.primitive(lambda x: x * x)
    with pytest.raises(errors.MissingDerivative, match="numerical=True"):
        adcore.gradient(lambda x: np.sum(f(x)), x)


def test_a_primitive_where_values_are_not_known_asks_for_its_shape():
    f = adcore.primitive(lambda x: x * x, vjp=lambda g, y, x: (2 * x * g,))
    with pytest.raises(errors.ArgumentError, match=r"the step of a loop.*shape="):
        adcore.gradient(lambda x: np.sum(adcore.loop(lambda s: f(s), x, 3)), x)


def test_a_rule_that_is_not_linear_is_refused_where_it_must_be_transposed():
    @adcore.custom_vjp
    def f(x):
        return x * 1.0

    f.defvjp(lambda x: (x * 1.0, None), lambda r, g: (g * g,))
    with pytest.raises(errors.ArgumentError, match="not linear"):
        adcore.jvp(f, (x,), (x,))


@pytest.mark.parametrize(
    ("bwd", "text"),
    [(lambda r, g: (g[:2],), "shape"), (lambda r, g: (g, g), "tuple of 1"), (lambda r, g: g, "tuple of 1")],
)
def test_adjoints_of_another_structure_are_refused(bwd, text):
    f = adcore.custom_vjp(lambda x: x * 1.0)
    f.defvjp(lambda x: (x * 1.0, None), bwd)
    with pytest.raises(errors.ArgumentError, match=text):
        adcore.gradient(lambda x: np.sum(f(x)), x)


def test_a_custom_rule_may_not_close_over_what_is_differentiated():
    def model(x):
        f = adcore.custom_vjp(lambda y: y * x)
        f.defvjp(lambda y: (y * x, None), lambda r, g: (g,))
        return np.sum(f(x * 2.0))

    with pytest.raises(errors.NotDifferentiable, match="closes over"):
        adcore.gradient(model, x)


def test_what_depends_on_an_outer_differentiation_does_not_turn_into_a_number():
    def outer(p, number):
        def inner(y):
            scale = np.sum(np.ones(2) * p)  # constant to the inner gradient, not to the outer one
            return number(scale) * np.sum(y)

        return np.sum(adcore.gradient(inner, np.ones(3) * p))

    for kept in (lambda s: float(s), lambda s: np.float64(s)):
        assert adcore.gradient(lambda p, kept=kept: outer(p, kept), 2.0) == 6.0
    with pytest.raises(errors.LostTrace):
        adcore.gradient(lambda p: outer(p, lambda s: s.__float__()), 2.0)
