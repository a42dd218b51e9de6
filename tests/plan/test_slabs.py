"""Slabs: a step whose windows have borders across long rows gives, cut, what it gives whole, and reads its inside where it is."""

import numpy as np
import pytest
from adcore.sweep.engine import explained
from numpy.testing import assert_allclose, assert_array_equal

import adcore

SHAPES = [(96, 97), (8, 300), (7, 300), (300, 95), (9, 3, 130), (2, 2, 2, 128)]
MODES = {
    "edge": lambda x, w: np.pad(x, [(w, w)] * x.ndim, mode="edge"),
    "constant": lambda x, w: np.pad(x, [(w, w)] * x.ndim),
    "wrap": lambda x, w: np.pad(x, [(min(w, n), min(w, n)) for n in x.shape], mode="wrap"),
    "columns": lambda x, w: np.pad(x, [(0, 0)] * (x.ndim - 1) + [(w, 2 * w)], mode="edge"),
}


def shifted(p, w, n):
    """The sum of products of what is w to the left and right in the last dimension, cut from the middle of the others."""
    rows = tuple(slice((m - k) // 2, (m - k) // 2 + k) for m, k in zip(p.shape[:-1], n[:-1], strict=True))
    left, middle, right = (p[(*rows, slice(start, start + n[-1]))] for start in (0, w, 2 * w))
    return left * middle - 0.3 * right + middle * middle * right


def plainly(x, w, mode):
    return shifted(MODES[mode](x, w), w, x.shape)


def steps(f, x):
    return [s for s in explained(adcore.trace(f, x)._derived("value"))[1].steps_as_dicts() if s["kind"] == "blocks"]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", [1, 2, 5])
def test_values_and_gradients_are_those_of_the_whole(shape, mode, width):
    rng = np.random.default_rng(0)
    x, seed = rng.normal(size=(2, *shape))
    replayed = adcore.compile(lambda x: plainly(x, width, mode))
    for _ in range(2):
        assert_array_equal(replayed(x), plainly(x, width, mode))
    gradient = adcore.gradient(lambda x: np.sum(seed * plainly(x, width, mode)), x)
    direction = rng.normal(size=shape)
    h = 1e-6
    slope = np.sum(seed * (plainly(x + h * direction, width, mode) - plainly(x - h * direction, width, mode))) / (2 * h)
    assert_allclose(np.sum(gradient * direction), slope, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
def test_sums_are_the_same_for_every_number_of_threads(threads):
    x = np.random.default_rng(0).normal(size=(500, 400))
    f = adcore.value_and_grad(lambda x: np.sum(plainly(x, 1, "edge") ** 2))
    with adcore.config(threads=threads):
        value, gradient = f(x)
    with adcore.config(threads=1):
        assert_array_equal(f(x)[1], gradient)
        assert f(x)[0] == value


def test_long_rows_are_cut_and_their_inside_is_read_where_it_is():
    x = np.random.default_rng(0).normal(size=(64, 200))
    cut = steps(lambda x: plainly(x, 1, "edge"), x)
    assert sorted(step["dims"] for step in cut) == [[64], [64], [64, 198]]
    assert len(steps(lambda x: plainly(x, 20, "edge"), x)) == 1  # much border: whole
    assert len(steps(lambda x: plainly(x, 1, "edge"), x[:, :64])) == 1


def test_arrays_written_in_place_are_cut_only_where_the_order_is_free():
    def f(x):
        y = x * 1.0
        for _ in range(3):
            y += 0.1 * plainly(y, 1, "edge")
        return y

    x = 0.1 * np.random.default_rng(0).normal(size=(30, 120))
    assert_array_equal(adcore.compile(f)(x), f(x))
