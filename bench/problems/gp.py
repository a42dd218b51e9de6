"""Log marginal likelihood of a Gaussian process: squared-exponential kernel, three hyperparameters, 5-D inputs."""

import numpy as np
import scipy.linalg

from . import Problem

DIMENSIONS = 5


def fun(theta, x, y):
    """theta: logarithms of length scale, signal and noise."""
    length, signal, noise = np.exp(theta)
    squares = np.sum(x * x, axis=1)
    distances = squares[:, None] + squares[None, :] - 2.0 * (x @ x.T)
    K = signal**2 * np.exp(-0.5 * distances / length**2) + noise**2 * np.eye(len(y))
    L = np.linalg.cholesky(K)
    z = scipy.linalg.solve_triangular(L, y, lower=True)
    return 0.5 * np.sum(z * z) + np.sum(np.log(np.diag(L))) + 0.5 * len(y) * np.log(2 * np.pi)


def by_hand(theta, x, y):
    """The textbook's gradient: half the trace of (K^-1 - a a') dK/dtheta, with the inverse from the factor."""
    length, signal, noise = np.exp(theta)
    squares = np.sum(x * x, axis=1)
    distances = squares[:, None] + squares[None, :] - 2.0 * (x @ x.T)
    kernel = signal**2 * np.exp(-0.5 * distances / length**2)
    K = kernel + noise**2 * np.eye(len(y))
    L, lower = scipy.linalg.cho_factor(K, lower=True, check_finite=False)
    a = scipy.linalg.cho_solve((L, lower), y, check_finite=False)
    inverse = scipy.linalg.cho_solve((L, lower), np.eye(len(y)), check_finite=False)
    w = 0.5 * (inverse - np.outer(a, a))
    value = 0.5 * (y @ a) + np.sum(np.log(np.diag(L))) + 0.5 * len(y) * np.log(2 * np.pi)
    weighted = w * kernel
    gradient = np.array([np.sum(weighted * distances) / length**2, 2.0 * np.sum(weighted), 2.0 * noise**2 * np.trace(w)])
    return value, (gradient,)


def instance(size=None):
    n = int(size or 200)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, DIMENSIONS))
    y = np.sin(x.sum(axis=1)) + 0.1 * rng.normal(size=n)
    theta = np.log(np.array([1.5, 1.2, 0.3]))
    return Problem("gp", str(n), fun, (theta, x, y), (0,), lambda *args: by_hand(*args)[1], by_hand)
