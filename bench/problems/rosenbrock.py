"""Rosenbrock's valley in n dimensions: a small vector, where what a call costs is nearly all."""

import numpy as np

from . import Problem


def fun(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def by_hand(x):
    a, b = x[1:] - x[:-1] ** 2, 1.0 - x[:-1]
    g = np.zeros_like(x)
    g[1:] = 200.0 * a
    g[:-1] -= 400.0 * a * x[:-1] + 2.0 * b
    return 100.0 * (a @ a) + b @ b, (g,)


def instance(size=None):
    n = int(size or 10)
    x = np.random.default_rng(0).normal(size=n)
    return Problem("rosenbrock", str(n), fun, (x,), (0,), lambda *args: by_hand(*args)[1], by_hand)
