"""Arrays written part by part in place: what a group reads beside its own writes, and versions that somebody still needs."""

import numpy as np
import pytest
from adcore.plan.lower import explain

import adcore
from adcore import optable
from adcore.kernels import probe
from tests.kernels.variants import TABLES

HALVES = (slice(0, None, 2), slice(1, None, 2), slice(0, 8), slice(8, None), slice(None, None, -2), slice(-2, None, -2), slice(4, 12))


def butterflies(x, stages=3):
    """Pairs of strided halves, each half written in terms of the other."""
    z = x.copy()
    half = 1
    for _ in range(stages):
        pairs = z.reshape(-1, 2, half, 2)
        even, odd = pairs[:, 0, :, 0], pairs[:, 0, :, 1]
        re = pairs[:, 1, :, 0] * 0.8 - pairs[:, 1, :, 1] * 0.6
        im = pairs[:, 1, :, 0] * 0.6 + pairs[:, 1, :, 1] * 0.8
        pairs[:, 1, :, 0] = even - re
        pairs[:, 1, :, 1] = odd - im
        pairs[:, 0, :, 0] = even + re
        pairs[:, 0, :, 1] = odd + im
        half *= 2
    return np.sum(z * z)


def groups(f, *args):
    """How many steps stand for the instructions of f."""
    _, _, values = explain(adcore.trace(f, *args).program)
    return len({value[0] for value in values if value[0] >= 0})


def test_a_stage_of_butterflies_is_one_group_forward_and_one_in_reverse():
    x = np.random.default_rng(0).normal(size=256)
    counts = [groups(adcore.value_and_grad(lambda x, k=k: butterflies(x, k)), x) for k in (3, 4, 5)]
    assert counts[1] - counts[0] == counts[2] - counts[1] == 2


def random_writes(dice, length):
    """A function that writes halves of an array in terms of others, and keeps some versions for later."""
    steps = [tuple(dice.integers(0, n) for n in (len(HALVES), len(HALVES), len(HALVES), 6)) for _ in range(length)]

    def f(x):
        z, kept = x.copy(), []
        for to, one, other, what in steps:
            a, b = z[HALVES[one]], z[HALVES[other]]
            if what == 0:
                z[HALVES[to]] = a * 0.5 + b
            elif what == 1:
                z[HALVES[to]] += a * b
            elif what == 2:
                z[HALVES[to]] = 0.0
                z[HALVES[to]] += np.sin(a)
            elif what == 3:
                kept.append(z.copy())
            elif what == 4 and kept:
                z[HALVES[to]] = kept[-1][HALVES[one]] * a
            else:
                c = np.cos(a)
                z[HALVES[to]] = b - 0.3 * c
                z[HALVES[one]] = b + 0.3 * c
        return np.sum(z) + sum(np.sum(v * v) for v in kept)

    return f


@pytest.mark.parametrize("seed", range(60))
def test_random_writes_of_halves_have_numpys_values_and_gradients(seed):
    dice = np.random.default_rng(seed)
    f = random_writes(dice, int(dice.integers(2, 14)))
    x, t = dice.uniform(-0.9, 0.9, 16), dice.normal(size=16)
    value, gradient = adcore.value_and_grad(f)(x)
    np.testing.assert_allclose(value, f(x), rtol=1e-12, atol=1e-12)
    h = 1e-5
    slope = (8 * (f(x + h * t) - f(x - h * t)) - (f(x + 2 * h * t) - f(x - 2 * h * t))) / (12 * h)
    np.testing.assert_allclose(gradient @ t, slope, rtol=1e-7, atol=1e-7 * max(1.0, abs(value)))  # differences of fourth order
    _, along = adcore.jvp(f, (x,), (t,))
    np.testing.assert_allclose(gradient @ t, along, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("number", range(len(optable.PAIRS)))
def test_a_pair_gives_the_bits_of_its_two_ops(number):
    x = np.concatenate([np.random.default_rng(1).uniform(-20, 20, 61), [0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, 1e300, 800.0]])
    for table in TABLES.values():
        for n in range(x.size - 20, x.size + 1):
            found = probe.pair(table, number, x[:n])
            want = [probe.elementwise(table, optable.OPCODE[name.upper()], x[:n]) for name in optable.PAIRS[number]]
            np.testing.assert_array_equal(found, want)


def test_sine_and_cosine_of_one_array_are_computed_by_one_kernel():
    x = np.linspace(-3.0, 3.0, 1000)
    value, gradient = adcore.value_and_grad(lambda x: np.sum(np.sin(x) * np.cos(x)))(x)
    np.testing.assert_allclose(value, np.sum(np.sin(x) * np.cos(x)), atol=1e-12)
    np.testing.assert_allclose(gradient, np.cos(2 * x), rtol=1e-13, atol=1e-15)
