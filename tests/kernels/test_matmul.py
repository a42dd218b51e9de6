"""Products of thin matrices: what NumPy's are, whatever the strides; a row does not depend on those beside it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import adcore
from adcore.kernels import probe
from tests.kernels.variants import TABLES

R = np.random.default_rng(0)


def laid_out(m, n, how):
    return {"rows": R.normal(size=(m, n)), "columns": R.normal(size=(n, m)).T, "apart": R.normal(size=(2 * m, 3 * n))[::2, ::-3]}[how]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("how", ["rows", "columns", "apart"])
@pytest.mark.parametrize("n", range(1, 17))
def test_thin_products_are_those_of_numpy(table, how, n):
    for m, k in ((1, 1), (3, 5), (4, 2), (7, 16), (33, 10), (6, 64)):
        x1, x2, start = laid_out(m, k, how), laid_out(k, n, how), R.normal(size=(m, n))
        bound = k * np.finfo(float).eps * (abs(x1) @ abs(x2))
        assert np.all(abs(probe.thin_product(TABLES[table], x1, x2) - x1 @ x2) <= 2 * bound)
        assert np.all(abs(probe.thin_product(TABLES[table], x1, x2, start) - (start + x1 @ x2)) <= 2 * bound + 1e-15 * abs(start))


@pytest.mark.parametrize("table", TABLES)
def test_a_row_of_a_thin_product_does_not_depend_on_the_others(table):
    for n in (4, 9, 12, 16):
        x1, x2 = R.normal(size=(23, 31)), R.normal(size=(31, n))
        whole = probe.thin_product(TABLES[table], x1, x2)
        for first, end in ((0, 1), (3, 9), (22, 23), (5, 23)):
            assert_array_equal(probe.thin_product(TABLES[table], x1[first:end], x2), whole[first:end])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_padding_of_a_thin_product_touches_nothing(bad):
    x1, x2 = R.normal(size=(9, 6)), R.normal(size=(6, 5))
    x1[4, 2] = x2[1, 3] = bad
    for table in TABLES.values():
        with np.errstate(invalid="ignore"):
            assert_array_equal(np.isfinite(probe.thin_product(table, x1, x2)), np.isfinite(x1 @ x2))


@pytest.mark.parametrize(("m", "k", "n"), [(32, 10, 10), (4, 4, 4), (100, 64, 16), (10, 32, 10), (5, 65, 17)])
def test_gradients_of_batches_of_products(m, k, n):
    a, b, w = R.normal(size=(7, m, k)), R.normal(size=(7, k, n)), R.normal(size=(7, m, n))
    ga, gb = adcore.gradient(lambda a, b: np.sum(w * (a @ b)), a, b, argnums=(0, 1))
    assert_allclose(ga, w @ np.swapaxes(b, 1, 2), rtol=1e-13, atol=1e-12)
    assert_allclose(gb, np.swapaxes(a, 1, 2) @ w, rtol=1e-13, atol=1e-12)
