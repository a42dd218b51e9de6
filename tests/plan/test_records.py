"""Vectors that lie interleaved in memory, as parts of complex numbers, points and pixels do: one kernel moves them together."""

import numpy as np
import pytest
from adcore.plan.lower import lower
from numpy.testing import assert_allclose, assert_array_equal

import adcore

LEADING = ((1,), (3,), (40,), (1300,), (50, 2), (30, 4), (9, 7), (5, 3, 2), (2, 600))


def weights(fields):
    return [0.5 + k for k in range(fields)]


def mixed(x):
    """Columns that read and write each other's memory: set, then added to."""
    fields = x.shape[-1]
    z = x.copy()
    for k, w in enumerate(weights(fields)):
        z[..., k] = w * x[..., k] + x[..., (k + 1) % fields] * x[..., k]
    for k in range(fields):
        z[..., k] += x[..., k - 1]
    return z


def gradient_of_mixed(x):
    """That of ``np.sum(mixed(x))``."""
    fields = x.shape[-1]
    g = np.empty_like(x)
    for k, w in enumerate(weights(fields)):
        g[..., k] = w + x[..., (k + 1) % fields] + x[..., k - 1] + 1.0
    return g


@pytest.mark.parametrize("fields", (2, 3, 4, 5))
@pytest.mark.parametrize("leading", LEADING, ids=str)
def test_columns_of_records_have_numpys_values_and_exact_gradients(leading, fields):
    x = np.random.default_rng(fields).integers(-8, 9, (*leading, fields)) / 4  # sums are exact
    assert_array_equal(adcore.compile(mixed)(x), mixed(x))
    assert_array_equal(adcore.gradient(lambda x: np.sum(mixed(x)), x), gradient_of_mixed(x))


@pytest.mark.parametrize("fields", (2, 3, 4))
def test_columns_of_records_are_moved_by_one_kernel(fields):
    plan = lower(adcore.trace(lambda x: np.sum(np.prod([np.sin(x[:, k]) for k in range(fields)], axis=0)), np.ones((100, fields))).program)
    assert any(step["records"] for step in plan.steps_as_dicts())


def test_columns_of_pixels_that_slide_are_no_records_to_write():
    """Windows that share elements: later columns win, as in NumPy."""

    def f(x):
        z = np.zeros(64)
        windows = np.lib.stride_tricks.sliding_window_view(np.arange(64), 3)[::2]
        for k in range(3):
            z[windows[:, k]] = x * (k + 1.0)
        return z * np.arange(64.0)

    x = np.random.default_rng(0).normal(size=31)
    assert_array_equal(adcore.compile(f)(x), f(x))


@pytest.mark.parametrize("order", ((0, 1, 2), (2, 1, 0), (1, 2, 0)))
def test_stores_keep_their_order_where_others_overlap(order):
    def f(x):
        z = np.zeros((40, 3))
        z[:, order[0]] = x
        z[5:10] = np.cos(z[5:10])
        z[:, order[1]] = 2.0 * x
        z[::2, order[0]] = x[::2] * x[1::2]
        z[:, order[2]] = 3.0 * x
        z[:, order[1]] = z[:, order[0]] - x
        return z

    x = np.random.default_rng(1).normal(size=40)
    assert_allclose(adcore.compile(f)(x), f(x), rtol=0, atol=4e-16)
    t = np.random.default_rng(2).normal(size=(40, 3))
    g = adcore.gradient(lambda x: np.sum(f(x) * t), x)
    h = 1e-6
    assert_allclose(g @ x, np.sum((f(x + h * x) - f(x - h * x)) * t) / (2 * h), rtol=1e-7)


def test_what_all_blocks_read_alike_is_read_once_and_stays():
    """Rows broadcast over many blocks, beside a register that is used again and again."""

    def f(x, a, b):
        return np.sum(np.sin(x * a + b) * np.exp(-x) * a - np.cos(b) * x)

    rng = np.random.default_rng(3)
    for rows, columns in ((700, 3), (5000, 5), (300, 31), (3, 2)):
        x, a, b = rng.normal(size=(rows, columns)), rng.normal(size=columns), rng.normal(size=columns)
        assert_allclose(adcore.compile(f)(x, a, b), f(x, a, b), rtol=1e-12)
        s = np.cos(x * a + b) * np.exp(-x) * a
        gx = s * a - np.sin(x * a + b) * np.exp(-x) * a - np.cos(b)
        ga = np.sum(s * x + np.sin(x * a + b) * np.exp(-x), axis=0)
        gb = np.sum(s + np.sin(b) * x, axis=0)
        for got, want in zip(adcore.gradient(f, x, a, b, argnums=(0, 1, 2)), (gx, ga, gb), strict=True):
            assert_allclose(got, want, rtol=1e-11, atol=1e-11)
