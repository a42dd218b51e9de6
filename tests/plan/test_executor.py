"""The executor against the NumPy interpreter of programs."""

import numpy as np
import pytest
from adcore.plan.lower import lower
from adcore.sweep.engine import explained, run
from numpy.testing import assert_allclose

import adcore
from tests.plan.random_programs import random_program
from tests.reference import interpret


def test_a_product_reads_what_its_group_has_written():
    """A view that only a product reads kept its base alive for nobody: the base moved behind the product."""
    rng = np.random.default_rng(0)
    a, w = rng.normal(size=(3, 3)), rng.normal(size=3)
    f = lambda x: np.sum(w * (a @ np.tanh(a @ x)))  # noqa: E731
    for _ in range(3):
        x = rng.normal(size=3)
        assert_allclose(adcore.value_and_grad(f)(x)[0], f(x), rtol=1e-13)


def test_cumulative_sum_and_gather_of_a_filled_array():
    """Filled arrays that no group writes were taken for a base; nobody had filled them."""
    index = np.array([0, 2, 1])
    f = lambda x: np.sum(np.cumsum(np.full(3, x[0]))) + np.sum(np.full(3, x[1])[index])  # noqa: E731
    assert_allclose(adcore.gradient(f, np.array([1.0, 2.0])), [6.0, 3.0])


@pytest.mark.parametrize("block", range(20))
def test_random_programs_give_what_numpy_gives(block):
    for seed in range(block * 50, block * 50 + 50):
        program, inputs = random_program(seed, length=10 + seed % 50)
        with np.errstate(all="ignore"):
            expected = interpret(program, inputs)
        found = run(lower(program), inputs, [], [])
        for want, got in zip(expected, found, strict=True):
            assert_allclose(got, want, rtol=1e-9, atol=1e-9, err_msg=f"seed {seed}\n{program}")


@pytest.mark.parametrize("block", range(4))
def test_random_programs_over_large_arrays_give_what_numpy_gives(block):
    """Large enough that cheap values are computed again in each group that reads them."""
    for seed in range(block * 10, block * 10 + 10):
        program, inputs = random_program(seed, length=10 + seed % 40, shapes=((), (90, 100), (3, 50, 60)))
        with np.errstate(all="ignore"):
            expected = interpret(program, inputs)
        found = run(lower(program), inputs, [], [])
        for want, got in zip(expected, found, strict=True):
            assert_allclose(got, want, rtol=1e-9, atol=1e-9, err_msg=f"seed {seed}\n{program}")


def plan_of_gradient(f, x):
    return explained(adcore.trace(f, x)._derived("gradient"))[1]


def test_a_row_that_is_read_after_it_was_written_over_does_not_copy_its_array():
    def swaps(a):
        a = np.sin(a)
        for k in range(20):
            row = a[k].copy()
            a[k] = a[k + 1]
            a[k + 1] = np.tanh(row)
        return np.sum(a * a)

    x = np.random.default_rng(0).normal(size=(100, 100))
    steps = plan_of_gradient(swaps, x).steps_as_dicts()
    assert sum(step["bytes"] for step in steps) < 16 * x.nbytes
    adcore.testing.check_grads(swaps, (x[:22, :3],), order=1)


def test_a_cheap_value_that_both_sweeps_read_is_computed_twice_not_stored():
    """The adjoints of the neighbours keep the sweeps apart; the square is made again from the array itself."""

    def f(u):
        v = u.copy()
        v[1:-1] = u[1:-1] ** 2 * (u[:-2] + u[2:])
        v[1:-1] = v[1:-1] * (v[:-2] + v[2:])
        return np.sum(v)

    u = np.random.default_rng(0).normal(size=20_000)
    plan, small = plan_of_gradient(f, u), plan_of_gradient(f, u[:8000])
    assert plan.arena_bytes / u.nbytes < small.arena_bytes / u[:8000].nbytes - 0.9
    adcore.testing.check_grads(f, (u[:30],), order=1)


PARTS = {
    "apart": (lambda x: np.sum(x[0] ** 2 * x[1]), lambda x: np.stack([2 * x[0] * x[1], x[0] ** 2]), 0),
    "a gap": (lambda x: np.sum(x[0] ** 2 * x[2]), lambda x: np.stack([2 * x[0] * x[2], 0 * x[1], x[0] ** 2]), 1),
    "meeting": (lambda x: np.sum(x[:-1] ** 2 * x[1:]), lambda x: np.pad(2 * x[:-1] * x[1:], (0, 1)) + np.pad(x[:-1] ** 2, (1, 0)), 1),
}


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("n", [7, 40, 3000])
def test_an_adjoint_is_zeroed_only_where_nothing_sets_it(name, n):
    f, expected, fills = PARTS[name]
    x = np.random.default_rng(0).normal(size=n if name == "meeting" else (3 if fills else 2, n))
    _, plan, _ = explained(adcore.trace(f, x)._derived("gradient"))
    assert sum(step["fills"] for step in plan.steps_as_dicts()) == 1 + fills  # the sum itself
    for _ in range(2):
        assert_allclose(adcore.gradient(f, x), expected(x), rtol=1e-14, atol=1e-14)


RESHAPED = {
    "flattened": lambda x: np.tanh(x).ravel(),
    "in three dimensions": lambda x: np.exp(x).reshape(50, 1, -1),
    "twice": lambda x: (np.sin(x).ravel(), np.sin(x)),
    "and used": lambda x: (np.sin(x).ravel(), np.sum(np.sin(x) ** 2)),
    "of rows": lambda x: np.sum(x**2, 1).reshape(10, 5),
}


@pytest.mark.parametrize("name", RESHAPED)
def test_a_result_that_is_only_reshaped_is_computed_where_the_caller_finds_it(name):
    f, x = RESHAPED[name], np.random.default_rng(0).normal(size=(50, 40))
    _, _, values = explained(adcore.trace(f, x)._derived("value"))
    assert max(held for *_, held in values) == 0, "nothing is left in the arena"
    want, got = f(x), adcore.compile(f)(x)
    for a, b in zip(*(r if isinstance(r, tuple) else (r,) for r in (want, got)), strict=True):
        assert_allclose(b, a, rtol=1e-14)
        assert np.shape(a) == np.shape(b)
