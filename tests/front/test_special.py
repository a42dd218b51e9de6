"""scipy.special: a loop over the table, each argument against differences of SciPy's function, in both modes."""

import numpy as np
import pytest
from adcore.front import dispatch, special

import adcore
from adcore import errors

dispatch.load()
POINTS = {
    "x": [0.3, 0.55, 0.8], "p": [0.3, 0.55, 0.8], "q": [0.25, 0.6, 0.9], "z": [0.35, 0.5, 0.75], "a": [1.2, 2.3, 0.7], "b": [0.9, 1.7, 2.6],
    "c": [1.9, 2.4, 3.1], "m": [0.2, 0.5, 0.7], "v": [1.0, 2.0, 3.0], "n": [1.0, 2.0, 3.0], "k": [1.0, 0.0, 2.0], "u": [0.3, 0.8, 1.2],
    "phi": [0.4, 0.9, 1.3], "df": [3.0, 4.5, 7.0], "t": [-1.2, 0.4, 2.0], "h": [0.3, -0.6, 1.1], "lam": [0.4, 1.7, -0.6],
    "d": [3.0, 5.0, 4.0], "s": [1.0, 2.0, 3.0], "r": [0.4, -2.0, 1.1], "delta": [1.0, 0.7, 2.2],
    "sigma": [1.0, 0.7, 2.2], "gamma": [1.0, 0.7, 2.2],
    "y_": [0.4, 1.7, -0.6], "psi": [0.2, 0.5, 0.7],
}  # fmt: skip
OWN_POINTS = {
    "binom": {"n": [5.2, 6.1, 7.3], "k": [1.2, 2.3, 3.4]},
    "bdtr": {"n": [5.0, 6.0, 7.0]}, "bdtrc": {"n": [5.0, 6.0, 7.0]}, "bdtri": {"n": [5.0, 6.0, 7.0]},
    "fdtri": {"d": [3.0, 5.0, 4.0]},
    "zeta": {"x": [1.7, 2.4, 3.3]}, "zetac": {"x": [1.7, 2.4, 3.3]},
    "ndtri_exp": {"x": [-0.3, -1.2, -2.4]},
    "lambertw_1": {"x": [-0.1, -0.2, -0.3]},
    "polygamma": {"n": [1.0, 2.0, 3.0], "x": [1.3, 2.2, 0.8]},
}  # fmt: skip


def points(row):
    return [np.array(OWN_POINTS.get(row.name, {}).get(a, POINTS[a])) for a in row.args]


CASES = [(name, k) for name, row in special.TABLE.items() for k, a in enumerate(row.args) if a not in row.fixed]
FIXED = [(name, k) for name, row in special.TABLE.items() for k, a in enumerate(row.args) if a in row.fixed]


@pytest.mark.parametrize("name, k", CASES)
def test_partial(name, k):
    row = special.TABLE[name]
    args = points(row)

    def f(x):
        return row(*args[:k], x, *args[k + 1 :])

    def plain(x):
        return row.evaluate((), *args[:k], x, *args[k + 1 :])

    x = args[k]
    h = 1e-5 * np.maximum(np.abs(x), 0.1)
    expected = (8 * (plain(x + h) - plain(x - h)) - (plain(x + 2 * h) - plain(x - 2 * h))) / (12 * h)
    assert np.all(np.isfinite(expected))
    value, g = adcore.value_and_grad(lambda x: np.sum(f(x)))(x)
    np.testing.assert_allclose(value, np.sum(plain(x)), rtol=1e-13)
    # differences of values that SciPy gives to about 1e-13
    np.testing.assert_allclose(g, expected, rtol=2e-7, atol=2e-8)
    np.testing.assert_allclose(adcore.jvp(f, (x,), (np.ones(3),))[1], g, rtol=1e-13)


@pytest.mark.parametrize("name, k", FIXED)
def test_arguments_without_a_rule_say_so(name, k):
    row = special.TABLE[name]
    args = points(row)
    with pytest.raises(errors.MissingDerivative, match=rf"test_special.py:\d+: scipy.special.{row.of} .* argument {k}, .*stop_gradient"):
        adcore.gradient(lambda x: np.sum(row(*args[:k], x, *args[k + 1 :])), args[k])
