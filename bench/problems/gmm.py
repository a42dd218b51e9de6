"""Gaussian mixture model: ADBench's log likelihood with a Wishart prior.

Parameters are alphas [k], means [k, d] and icf [k, d(d+1)/2], the inverse covariance factors: the logarithms of
the diagonal, then the strictly lower triangle column by column.
"""

import math

import numpy as np
from scipy.special import gammaln, logsumexp

from . import DATA, Problem, numbers


def lower_triangle(d):
    """Rows and columns of the strictly lower triangle, column by column."""
    columns, rows = np.triu_indices(d, 1)
    return rows, columns


def fun(alphas, means, icf, x, gamma, m):
    """ADBench's objective: log likelihood plus the Wishart term, in ADBench's sign."""
    return log_likelihood(alphas, means, icf, x) + wishart(icf, means.shape[1], gamma, m)


def loss(alphas, means, icf, x, gamma, m):
    """What a fit minimises, per point: the Wishart term as a penalty (with ADBench's sign the maximum is infinite)."""
    return (wishart(icf, means.shape[1], gamma, m) - log_likelihood(alphas, means, icf, x)) / x.shape[0]


def log_likelihood(alphas, means, icf, x):
    k, d = means.shape
    n = x.shape[0]
    rows, columns = lower_triangle(d)
    Q = np.zeros((k, d, d))
    Q[:, rows, columns] = icf[:, d:]
    Q[:, np.arange(d), np.arange(d)] = np.exp(icf[:, :d])
    q = np.sum(icf[:, :d], axis=1)
    y = x @ np.transpose(Q, (0, 2, 1)) - (Q @ means[:, :, None])[:, :, 0][:, None, :]  # [k, n, d]
    inside = alphas[:, None] + q[:, None] - 0.5 * np.sum(y * y, axis=2)
    return -0.5 * n * d * math.log(2 * math.pi) + np.sum(logsumexp(inside, axis=0)) - n * logsumexp(alphas)


def wishart(icf, d, gamma, m):
    squares = np.sum(np.exp(icf[:, :d]) ** 2) + np.sum(icf[:, d:] ** 2)
    return 0.5 * gamma**2 * squares - m * np.sum(icf[:, :d]) - icf.shape[0] * constant(d, gamma, m)


def constant(d, gamma, m):
    freedom = d + m + 1
    multigamma = 0.25 * d * (d - 1) * math.log(math.pi) + float(np.sum(gammaln(0.5 * freedom + 0.5 * (1 - np.arange(1, d + 1)))))
    return freedom * d * (math.log(gamma) - 0.5 * math.log(2)) - multigamma


def reference(alphas, means, icf, x, gamma, m):
    k, d = means.shape
    rows, columns = lower_triangle(d)
    g_alphas, g_means, g_icf = np.zeros(k), np.zeros_like(means), np.zeros_like(icf)
    inside, ys, Qs = [], [], []
    for j in range(k):
        Q = np.zeros((d, d))
        Q[rows, columns] = icf[j, d:]
        Q[np.arange(d), np.arange(d)] = np.exp(icf[j, :d])
        y = (x - means[j]) @ Q.T
        inside.append(alphas[j] + icf[j, :d].sum() - 0.5 * (y * y).sum(1))
        ys.append(y)
        Qs.append(Q)
    r = np.exp(np.array(inside) - logsumexp(inside, axis=0))
    g_alphas = r.sum(1) - x.shape[0] * np.exp(alphas - logsumexp(alphas))
    for j in range(k):
        w = r[j][:, None] * ys[j]
        g_means[j] = (w @ Qs[j]).sum(0)
        gQ = -w.T @ (x - means[j])
        diagonal = np.exp(icf[j, :d])
        g_icf[j, :d] = gQ[np.arange(d), np.arange(d)] * diagonal + r[j].sum() + gamma**2 * diagonal**2 - m
        g_icf[j, d:] = gQ[rows, columns] + gamma**2 * icf[j, d:]
    return g_alphas, g_means, g_icf


def generate(n, d, k, seed=0):
    """An instance of the shape of ADBench's: random parameters and data."""
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=k),
        rng.random((k, d)),
        rng.normal(size=(k, d * (d + 1) // 2)) * 0.3,
        rng.normal(size=(n, d)),
        1.0,
        0,
    )


def read(path):
    """An ADBench file: ``d k n``, alphas, means, icf, points, ``gamma m``."""
    it = numbers(path)
    d, k, n = (int(next(it)) for _ in range(3))
    take = lambda *shape: np.array([float(next(it)) for _ in range(math.prod(shape))]).reshape(shape)  # noqa: E731
    alphas, means, icf, x = take(k), take(k, d), take(k, d * (d + 1) // 2), take(n, d)
    return alphas, means, icf, x, float(next(it)), int(next(it))


def instance(size=None):
    size = size or "d20_K50"
    d, k = (int(part[1:]) for part in size.split("_"))
    path = DATA / "adbench" / f"gmm_{size}.txt"
    args = read(path) if path.exists() else generate(1000, d, k)
    return Problem("gmm", size, fun, args, (0, 1, 2), reference)
