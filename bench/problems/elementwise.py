"""A chain of elementwise functions and a sum."""

import numpy as np

from . import Problem


def fun(x):
    return np.sum(np.tanh(x) * np.exp(-(x**2)) + np.log1p(x**2) * np.sin(x))


def reference(x):
    t, e = np.tanh(x), np.exp(-(x**2))
    return ((1 - t * t) * e - 2 * x * t * e + 2 * x / (1 + x * x) * np.sin(x) + np.log1p(x * x) * np.cos(x),)


def instance(size=None):
    n = int(size or 100000)
    return Problem("elementwise", str(n), fun, (np.random.default_rng(0).normal(size=n),), (0,), reference)
