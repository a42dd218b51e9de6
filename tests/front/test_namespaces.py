"""adcore.numpy and the modules of adcore.scipy: names of NumPy and SciPy that any code may use."""

import adcore.numpy as np
import adcore.numpy.fft
import adcore.numpy.linalg as la
import adcore.scipy.spatial.distance as distance
import adcore.scipy.special as special
import numpy
import pytest
import scipy.special
from adcore.numpy import linalg, zeros
from adcore.testing import check_grads

import adcore

x = numpy.array([1.0, 2.0, 3.0])


def f(x):
    out = np.zeros(3)
    for k in range(3):
        out[k] = x[k] ** 2
    norms = la.norm(x) * linalg.norm(x) + np.linalg.norm(x) + distance.euclidean(x, 2 * x)
    return np.sum(out + zeros(3)) + norms + np.fft.rfft(x).real[1] + special.gammaln(x[0]) + adcore.scipy.linalg.norm(x)


def test_functions_written_with_them():
    check_grads(f, [x], order=2, rtol=2e-5)
    compiled = adcore.compile(adcore.grad(f))
    numpy.testing.assert_array_equal(compiled(x), adcore.gradient(f, x))
    compiled(x + 1.0)
    assert compiled.recordings == 1


def test_outside_of_recordings_they_are_numpy_and_scipy():
    assert np.zeros(2).tolist() == [0.0, 0.0] and np.pi == numpy.pi
    assert np.ndarray is numpy.ndarray and np.add is numpy.add and np.float32 is numpy.float32
    assert special.gammaln(4.0) == scipy.special.gammaln(4.0)
    assert {"zeros", "linalg"} <= set(dir(np)) and "norm" in dir(la) and "linprog" in dir(adcore.scipy.optimize)
    assert isinstance(np.random.default_rng(0).normal(), float)
    with pytest.raises(AttributeError, match="no_such_name"):
        np.no_such_name  # noqa: B018
    with pytest.raises(AttributeError, match="no_such_module"):
        adcore.scipy.no_such_module  # noqa: B018


def test_code_that_no_rebinding_reaches():
    make, norm = np.zeros, la.norm  # as a library's attributes would hold them

    class Model:
        def __init__(self):
            self.tools = {"make": make, "norm": norm}

        def __call__(self, x):
            out = self.tools["make"](2)
            out[0] = x[0] * x[1]
            return np.sum(out) + self.tools["norm"](x)

    numpy.testing.assert_allclose(adcore.gradient(Model(), x), [2.0, 1.0, 0.0] + x / numpy.linalg.norm(x))


def test_names_that_are_read_while_another_function_is_recorded():
    inner = lambda y: np.sum(np.array([y[0], y[1]]) ** 2)  # noqa: E731
    numpy.testing.assert_allclose(adcore.gradient(lambda x: np.sum(adcore.grad(inner)(x) * x), x[:2]), 4 * x[:2])
