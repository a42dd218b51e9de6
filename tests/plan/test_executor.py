"""The executor against the NumPy interpreter of programs."""

import numpy as np
import pytest
from adcore.plan.lower import lower
from adcore.sweep.engine import run
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
