"""Arrays put together from shifted parts are read through windows: same values, and the arrays are gone."""

import numpy as np
import pytest
from adcore.sweep.engine import clear_plans, explained
from numpy.testing import assert_allclose

import adcore
from adcore.plan import windows

from .stencil_programs import function

SHAPES = ((600,), (3, 300), (20, 32), (33, 40), (9, 8, 10), (2, 3, 17, 8))


def neighbours(f):
    """Sum over both neighbours along every axis, given by f(u, axis, side)."""
    return lambda u: sum((1.5 + k) * f(u, k // 2, k % 2) for k in range(2 * u.ndim))


def padded(mode):
    def shifted(u, axis, side):
        p = np.pad(u, 1, mode=mode)
        return p[tuple(slice(2 * side, u.shape[k] + 2 * side) if k == axis else slice(1, -1) for k in range(u.ndim))]

    return neighbours(shifted)


def cross(u):
    """Corners too: a view that is off along two axes."""
    p = np.pad(u, 1, mode="edge")
    return p[(slice(2, None),) * u.ndim] * p[(slice(0, -2),) * u.ndim]


def inner(u):
    out = np.zeros_like(u)
    middle = (slice(1, -1),) * u.ndim
    for axis in range(u.ndim):
        for side in (0, 2):
            if u.shape[axis] > 2:
                out[middle] += np.sin(u)[tuple(slice(side, u.shape[k] - 2 + side) if k == axis else slice(1, -1) for k in range(u.ndim))]
    return out


def far(u):
    return np.roll(u, 5, 0) * u - np.roll(np.roll(u, -2, -1), 1, 0) ** 2


FUNCTIONS = {
    "edge": padded("edge"),
    "constant": padded("constant"),
    "wrap": padded("wrap"),
    "cross": cross,
    "roll": neighbours(lambda u, axis, side: np.roll(u, 2 * side - 1, axis)),
    "far": far,
    "inner": inner,
    "twice": lambda u: padded("edge")(np.tanh(padded("wrap")(u))),
}


def sums(name):
    return lambda u: np.sum(FUNCTIONS[name](u) ** 2 * np.cos(u))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_gradients_do_not_depend_on_windows(name, shape):
    u = np.random.default_rng(0).normal(size=shape)
    f = sums(name)
    value, gradient = adcore.value_and_grad(f)(u)
    assert_allclose(value, f(u), rtol=1e-12)
    with adcore.config(optimise=False):
        assert_allclose(gradient, adcore.gradient(f, u), rtol=1e-11, atol=1e-12)
    direction = np.random.default_rng(1).normal(size=shape)
    slope = (f(u + 1e-6 * direction) - f(u - 1e-6 * direction)) / 2e-6
    assert_allclose(np.vdot(gradient, direction), slope, rtol=1e-5, atol=1e-5 * np.abs(gradient).sum())


@pytest.mark.parametrize("name", ["edge", "constant", "wrap", "roll"])
def test_the_arrays_that_windows_read_are_not_made(name):
    u = np.random.default_rng(0).normal(size=(40, 600))
    program, plan, _ = explained(adcore.trace(FUNCTIONS[name], u)._derived("value"))
    assert "window" in str(program)
    assert plan.arena_bytes < u.nbytes / 10


def test_the_adjoint_of_clamped_neighbours_is_gathered():
    """What np.pad adds at the borders joins the shifted reads of the seed: one pass, no array between."""

    def laplacian(state, seed):
        p = np.pad(state[0], 1, mode="edge")
        return np.sum(seed * (p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4.0 * state[0]))

    state, seed = np.random.default_rng(0).normal(size=(2, 2, 60, 50))
    seed = seed[0]
    program, _, _ = explained(adcore.trace(laplacian, state, seed)._derived("gradient"))
    assert "accumulate" not in str(program)
    assert "update" not in str(program)
    p = np.pad(seed, 1, mode="edge")
    want = p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4.0 * seed
    assert_allclose(adcore.gradient(laplacian, state, seed)[0], want, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_windows_give_the_same_bits_on_any_number_of_threads(name):
    u = np.random.default_rng(0).normal(size=(300, 300))
    with adcore.config(threads=1):
        alone = adcore.gradient(sums(name), u)
    with adcore.config(threads=2):
        np.testing.assert_array_equal(adcore.gradient(sums(name), u), alone)


def test_single_precision_windows():
    u = np.random.default_rng(0).normal(size=(30, 40)).astype(np.float32)
    f = sums("edge")
    assert_allclose(adcore.gradient(f, u), adcore.gradient(f, u.astype(np.float64)), rtol=2e-4, atol=2e-4)


@pytest.fixture
def everywhere():
    """Windows in the smallest arrays, too."""
    clear_plans()
    before = windows.set_least(1)
    yield
    windows.set_least(before)
    clear_plans()


def test_random_stencils_read_through_windows(everywhere):
    """Values as NumPy's, gradients as without windows; many of the programs have them."""
    found = 0
    for seed in range(150):
        shape, f = function(seed)
        u = np.random.default_rng(3).normal(size=shape)
        found += "window" in str(explained(adcore.trace(f, u)._derived("gradient"))[0])
        value, gradient = adcore.value_and_grad(f)(u)
        assert_allclose(value, f(u), rtol=1e-11, atol=1e-11)
        clear_plans()
        least = windows.set_least(1 << 40)
        plain = adcore.gradient(f, u)
        windows.set_least(least)
        clear_plans()
        assert_allclose(gradient, plain, rtol=1e-10, atol=1e-10 * (1.0 + np.abs(plain).max()), err_msg=str(seed))
    assert found > 40


def test_a_multiple_of_a_multiple_is_scaled_from_its_source(everywhere):
    """What a window reads is scaled by what lies between: a scaled array that is read itself was scaled twice."""

    def f(u):
        first = 2.0 * np.roll(u, 1)
        second = 0.5 * first
        return np.sum(np.roll(second, 1) * np.roll(first, 2) * u)

    u = np.random.default_rng(0).normal(size=7)
    gradient = adcore.gradient(f, u)
    unit = np.eye(7)
    slopes = [(f(u + 1e-6 * d) - f(u - 1e-6 * d)) / 2e-6 for d in unit]
    assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-8)
