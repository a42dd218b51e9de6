"""Scalars are indexed as NumPy's are."""

import numpy as np
import pytest
from adcore.testing import check_grads

import adcore

x = np.array([0.3, -0.7, 1.1])

SCALARS = {
    "...": lambda s: np.sum(s[..., np.newaxis] * [1.0, 2.0]),
    "None": lambda s: np.sum(s[None, None, ...]),
    "mask": lambda s: np.sum(s[s > 0] ** 2),
    "True": lambda s: np.sum(s[True]),
    "False": lambda s: np.sum(s[False]) + 0 * s,
    "of an array": lambda s: np.sum(s[np.array(True)]),
}


@pytest.mark.parametrize("name", SCALARS)
def test_scalars_take_the_indices_that_numpys_do(name):
    f = SCALARS[name]
    for at in (x, -x):
        np.testing.assert_allclose(adcore.value_and_grad(lambda x: f(x[0]))(at)[0], f(at[0]))
        check_grads(lambda x: f(x[0]), [at])


def test_a_masked_write_into_an_array_without_axes():
    def f(x):
        radical = x[0] - x[1]
        out = np.zeros(radical.shape)
        out[radical > 0] = np.sqrt(radical[radical > 0])
        return out * 1.0

    check_grads(f, [x])
    np.testing.assert_array_equal(adcore.gradient(f, np.array([0.0, 1.0])), [0.0, 0.0])


@pytest.mark.parametrize("key", [0, slice(None), [0], "a"])
def test_scalars_refuse_other_indices_as_numpys_do(key):
    with pytest.raises(IndexError, match="invalid index to scalar variable"):
        adcore.gradient(lambda x: x[0][key], x)
