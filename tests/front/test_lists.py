"""Lists of traced values in the place of arrays, as NumPy takes lists of numbers."""

from collections import deque

import numpy as np
import numpy.linalg as la
import pytest
import scipy.special
from numpy import mean, sin
from scipy.special import expit

import adcore

x = np.array([1.1, 2.3, 0.6])

CASES = {
    "a reduction": lambda x: np.sum([x[0], x[1] * 2]) + np.min([x, x * 2], axis=0).sum() + np.max([x[0], x[1]]),
    "statistics": lambda x: np.mean([x[0], 3, x[1]]) + np.std([x[0], x[1], 3.0]) * np.var([x[0], x[2]]) + np.median([x[0], x[1], x[2]]),
    "a ufunc of one operand": lambda x: np.sin([x[0], x[1]]) @ [1.0, 2.0],
    "a ufunc of two": lambda x: np.hypot([x[0]], [x[1]])[0] + np.maximum([x[0], x[1]], [x[1], x[2]]).sum(),
    "nested lists": lambda x: np.sum([[x[0], 1], [2, x[1] ** 2]], axis=0)[1],
    "products": lambda x: np.dot([x[0], x[1]], [1.0, x[2]]) + np.cross([x[0], x[1], x[2]], [1.0, 2.0, 3.0])[1],
    "numpy.linalg": lambda x: np.linalg.solve([[x[0], 1.0], [0.5, x[1]]], [1.0, x[2]]).sum() + np.linalg.det([[x[0], x[1]], [x[2], 1.0]]),
    "numpy.linalg under another name": lambda x: la.norm([x[0], x[1]]) + la.inv([[x[0], 0.2], [0.1, x[1]]])[0, 1],
    "numpy.fft": lambda x: np.abs(np.fft.fft([x[0], x[1], x[2]])[1]),
    "complex parts": lambda x: np.abs(np.sum([x[0] + 1j * x[1], x[2] * 1j])),
    "interp": lambda x: np.interp(1.5, [0.0, 1.0, 2.0], [x[0], x[1], x[2]]),
    "a deque": lambda x: (
        np.mean(deque([x[0], x[1] ** 2, x[2]], maxlen=2)) + np.dot(deque([x[0], x[1]]), [1.0, 2.0]) + np.std(deque([x, x**2]))
    ),
    "a keyword": lambda x: np.average([x[0], x[1]], weights=[1.0, x[2]]),
    "names of their own": lambda x: mean([x[0], x[1]]) * sin([x[2]])[0],
    "scipy.special": lambda x: scipy.special.expit([x[0], x[1]])[1] + expit([x[2]])[0] + scipy.special.logsumexp([x[0], x[1]]),
    "percentile and gradient": lambda x: np.percentile([x[0], x[1], x[2]], 30) + np.gradient([x[0] ** 2, x[1], x[2]])[0],
    "transpose": lambda x: np.transpose([x, x * x])[0].sum(),
}


@pytest.mark.parametrize("name", CASES)
def test_list_of_traced_values(name):
    f = CASES[name]
    value, gradient = adcore.value_and_grad(f)(x)
    assert float(value) == pytest.approx(float(f(x)), rel=1e-14)
    h = 1e-6 * np.eye(3)
    np.testing.assert_allclose(gradient, [(f(x + e) - f(x - e)) / 2e-6 for e in h], rtol=1e-7, atol=1e-8)


def test_what_stands_for_a_numpy_function_equals_it():
    def f(x):
        derivative_of = {np.sin: np.cos, np.exp: np.exp}
        assert np.sin == sin
        assert np.add.reduce([1.0, 2.0]) == 3.0
        return derivative_of[np.sin](x).sum()

    np.testing.assert_allclose(adcore.gradient(f, x), -np.sin(x))
