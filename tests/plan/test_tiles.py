"""Chains that run tile by tile give what whole arrays give, whatever the axis, the rest and what is needed outside."""

import numpy as np
import pytest
from adcore.plan.lower import lower
from scipy.special import logsumexp

import adcore
from adcore.sweep import engine

R = np.random.default_rng(3)


def loops(f, *args, argnums=None):
    """The loops of the plan for value and gradient."""
    program = adcore.trace(f, *args).program
    found, _ = engine.derived(program, "gradient", tuple(argnums or range(len(args))))
    return lower(found, True).loops_as_dicts()


def softmax_chain(x):
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    p = e / np.sum(e, axis=1, keepdims=True)
    return np.sum(p * np.sin(x))


def products(x, a, b):
    return np.sum(np.tanh(np.tanh(x @ a) @ b) ** 2)


def batched(q, x):
    y = x @ np.transpose(q, (0, 2, 1))
    return np.sum(logsumexp(-0.5 * np.sum(y * y, axis=2), axis=0))


def extremes(x, a):
    y = x @ a
    z = y * np.sum(y, axis=1, keepdims=True)
    return np.max(z) - np.min(z) + np.sum(z**2)


def sums_both_ways(x):
    """A sum over rows, which the loop cannot finish, and maxima of rows, which it can: what belongs to the sum comes after it."""
    return np.sum(np.sum(x * x, axis=0) ** 1.5) + np.sum(np.max(x, axis=1) ** 2)


def transposed(a, x):
    """The axis that is cut comes last."""
    return np.sum(np.tanh(a @ np.cos(a @ x)))


CASES = {
    "softmax": (softmax_chain, (R.normal(size=(6007, 67)),)),
    "products": (products, (R.normal(size=(3001, 50)), R.normal(size=(50, 60)), R.normal(size=(60, 40)))),
    "batched": (batched, (R.normal(size=(30, 12, 12)) * 0.2, R.normal(size=(1013, 12)))),
    "extremes": (extremes, (R.normal(size=(7919, 31)), R.normal(size=(31, 40)))),
    "sums both ways": (sums_both_ways, (R.normal(size=(1003, 1000)),)),
    "transposed": (transposed, (R.normal(size=(48, 48)) * 0.1, R.normal(size=(48, 8191)))),
    "even": (products, (R.normal(size=(4096, 64)), R.normal(size=(64, 64)) * 0.1, R.normal(size=(64, 64)) * 0.1)),
}


@pytest.mark.parametrize("name", CASES)
def test_tiles_give_what_whole_arrays_give(name):
    f, args = CASES[name]
    assert loops(f, *args)
    found = adcore.value_and_grad(f, argnums=tuple(range(len(args))))(*args)
    with adcore.config(optimise=False):
        wanted = adcore.value_and_grad(f, argnums=tuple(range(len(args))))(*args)
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-12)
    np.testing.assert_allclose(found[0], f(*args), rtol=1e-12)
    for g, w in zip(found[1], wanted[1], strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-10, atol=1e-12 * np.max(np.abs(w)))


@pytest.mark.parametrize("name", CASES)
def test_tiles_hold_in_single_precision(name):
    f, args = CASES[name]
    narrow = [a.astype(np.float32) for a in args]
    found = adcore.gradient(f, *narrow)
    np.testing.assert_allclose(found, adcore.gradient(f, *args), rtol=2e-3, atol=2e-4 * np.max(np.abs(found)))


def test_a_value_that_is_needed_outside_is_whole():
    x, a = R.normal(size=(5003, 40)), R.normal(size=(40, 50))

    def f(x, a):
        y = np.tanh(x @ a)
        z = y / np.sum(y * y, axis=1, keepdims=True)
        return np.sum(z[:-1] * z[1:])

    found = adcore.gradient(f, x, a)
    with adcore.config(optimise=False):
        np.testing.assert_allclose(found, adcore.gradient(f, x, a), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_loops_give_the_same_bits_on_any_number_of_threads(name):
    f, args = CASES[name]
    assert loops(f, *args)
    found = []
    for threads in (1, 2, 3):
        with adcore.config(threads=threads):
            value, gradients = adcore.value_and_grad(f, argnums=tuple(range(len(args))))(*args)
        found.append([np.asarray(x).tobytes() for x in (value, *gradients)])
    assert found[0] == found[1] == found[2]


def test_a_loop_shrinks_what_only_it_uses_to_one_tile():
    f, args = CASES["products"]
    program = adcore.trace(f, *args).program
    found, _ = engine.derived(program, "gradient", (1, 2))
    assert 5 * lower(found, True).arena_bytes < lower(found).arena_bytes


def test_what_only_later_steps_need_is_left_to_them():
    """2 x was written down as a whole array in the loop, and read behind it."""
    program = adcore.trace(sums_both_ways, R.normal(size=(1000, 1000))).program
    found, _ = engine.derived(program, "gradient", (0,))
    (loop,) = lower(found, True).loops_as_dicts()
    steps = lower(found, True).steps_as_dicts()
    assert sum(step["bytes"] for step in steps[loop["first"] : loop["end"]]) < 4 * 8e6


def test_columns_of_a_matrix_are_not_cut_into_short_stretches():
    assert not loops(lambda x: np.sum(np.sum(x * x, axis=0) ** 1.5), R.normal(size=(1000, 1000)))


def test_second_derivatives_go_through_loops():
    x, a = R.normal(size=(4001, 40)), R.normal(size=(40,)) * 0.1
    v = R.normal(size=40)

    def f(a):
        z = x @ a
        return np.sum(np.log1p(np.exp(z)))

    found = adcore.hvp(f, a, v)
    s = 1.0 / (1.0 + np.exp(-(x @ a)))
    np.testing.assert_allclose(found, x.T @ (s * (1.0 - s) * (x @ v)), rtol=1e-10)


def test_small_programs_are_left_alone():
    assert not loops(products, R.normal(size=(100, 5)), R.normal(size=(5, 6)), R.normal(size=(6, 4)))


def test_loops_run_in_several_threads_at_once():
    import concurrent.futures

    f, args = CASES["products"]
    g = adcore.compile(adcore.grad(f, argnums=(0, 1, 2)))
    wanted = g(*args)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: g(*args), range(8)):
            for a, b in zip(found, wanted, strict=True):
                np.testing.assert_array_equal(a, b)


def test_a_long_chain_over_a_short_axis_is_few_steps():
    """A step holds as many instructions as its registers may fill a cache: many where a register is short."""

    def f(x):
        for _ in range(500):
            x = np.sin(x) + x
        return np.sum(x)

    def steps(n):
        program, _ = engine.derived(adcore.trace(f, np.linspace(0.1, 1.0, n)).program, "gradient", (0,))
        return len(lower(program).steps_as_dicts())

    assert steps(20) <= 5
    assert steps(5000) >= 15


def test_short_last_axes_are_not_cut():
    """Tiles of a single column read a cache line for each element."""

    def diffused(x):
        flow = x[1:] - x[:-1]
        flow = np.where(flow * (x[1:] + x[:-1]) > 0.0, 0.0, flow)
        across = flow[:, 1:] - flow[:, :-1]
        across = np.where(across * flow[:, 1:] > 0.0, 0.0, across)
        return np.sum((across[1:] - across[:-1]) ** 2 * x[1:-1, 1:])

    assert all(loop["count"] != 40 for loop in loops(diffused, R.normal(size=(130, 130, 40))))
