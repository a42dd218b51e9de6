"""Logistic regression with an L2 penalty: size ``<points>x<features>``."""

import numpy as np
from scipy.special import expit

from . import Problem


def fun(w, x, y, penalty):
    """Mean negative log likelihood; y is 0 or 1."""
    z = x @ w
    return np.mean(np.logaddexp(0.0, z) - y * z) + 0.5 * penalty * np.sum(w * w)


def by_hand(w, x, y, penalty):
    z = x @ w
    value = np.mean(np.logaddexp(0.0, z) - y * z) + 0.5 * penalty * (w @ w)
    return value, (x.T @ ((expit(z) - y) / y.size) + penalty * w,)


def instance(size=None):
    size = size or "10000x100"
    n, d = (int(part) for part in size.split("x"))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, d))
    w = rng.normal(size=d) / np.sqrt(d)
    y = (rng.random(n) < expit(x @ w)).astype(float)
    return Problem("logistic", size, fun, (0.5 * w, x, y, 1e-3), (0,), lambda *args: by_hand(*args)[1], by_hand)
