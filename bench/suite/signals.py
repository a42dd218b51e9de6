"""Filters, transforms and time series."""

import numpy as np

from . import kernel


@kernel(lambda rng, w, h: (0.25, rng.normal(size=(w, h))), (5, 6), (60, 200))
def deriche(alpha, image):
    """Deriche's recursive edge filter, forward and back along both axes."""
    k = (1.0 - np.exp(-alpha)) * (1.0 - np.exp(-alpha)) / (1.0 + alpha * np.exp(-alpha) * 2.0 - np.exp(2.0 * alpha))
    a1 = a5 = k
    a2 = a6 = k * np.exp(-alpha) * (alpha - 1.0)
    a3 = a7 = k * np.exp(-alpha) * (alpha + 1.0)
    a4 = a8 = -k * np.exp(-2.0 * alpha)
    b1 = 2.0 ** (-alpha)
    b2 = -np.exp(-2.0 * alpha)
    y1, y2 = np.empty_like(image), np.empty_like(image)
    y1[:, 0] = a1 * image[:, 0]
    y1[:, 1] = a1 * image[:, 1] + a2 * image[:, 0] + b1 * y1[:, 0]
    for j in range(2, image.shape[1]):
        y1[:, j] = a1 * image[:, j] + a2 * image[:, j - 1] + b1 * y1[:, j - 1] + b2 * y1[:, j - 2]
    y2[:, -1] = 0.0
    y2[:, -2] = a3 * image[:, -1]
    for j in range(image.shape[1] - 3, -1, -1):
        y2[:, j] = a3 * image[:, j + 1] + a4 * image[:, j + 2] + b1 * y2[:, j + 1] + b2 * y2[:, j + 2]
    out = y1 + y2
    y1[0, :] = a5 * out[0, :]
    y1[1, :] = a5 * out[1, :] + a6 * out[0, :] + b1 * y1[0, :]
    for i in range(2, image.shape[0]):
        y1[i, :] = a5 * out[i, :] + a6 * out[i - 1, :] + b1 * y1[i - 1, :] + b2 * y1[i - 2, :]
    y2[-1, :] = 0.0
    y2[-2, :] = a7 * out[-1, :]
    for i in range(image.shape[0] - 3, -1, -1):
        y2[i, :] = a7 * out[i + 1, :] + a8 * out[i + 2, :] + b1 * y2[i + 1, :] + b2 * y2[i + 2, :]
    return y1 + y2


@kernel(lambda rng, n: (rng.normal(size=n), rng.normal(size=n)), 16, 4096)
def stockham(x, y):
    """Stockham's autosort FFT of x + iy: log2(n) passes, no bit reversal."""
    n = x.shape[0]
    half, groups = n // 2, 1
    while half >= 1:
        angle = -np.pi * np.arange(half) / half
        c, s = np.cos(angle)[:, np.newaxis], np.sin(angle)[:, np.newaxis]
        xs, ys = x.reshape(2, half, groups), y.reshape(2, half, groups)
        dx, dy = xs[0] - xs[1], ys[0] - ys[1]
        new_x, new_y = np.empty_like(x), np.empty_like(y)
        ox, oy = new_x.reshape(half, 2, groups), new_y.reshape(half, 2, groups)
        ox[:, 0], oy[:, 0] = xs[0] + xs[1], ys[0] + ys[1]
        ox[:, 1], oy[:, 1] = c * dx - s * dy, c * dy + s * dx
        x, y = new_x, new_y
        half //= 2
        groups *= 2
    return x, y


@kernel(lambda rng, n: (rng.normal(size=n), 0.1, 0.8, 0.1), 8, 400)
def garch(returns, omega, beta, alpha):
    """Log likelihood of a GARCH(1, 1) model, one observation after the other."""
    variance = np.empty_like(returns)
    variance[0] = omega / (1.0 - alpha - beta)
    for t in range(1, returns.shape[0]):
        variance[t] = omega + alpha * returns[t - 1] ** 2 + beta * variance[t - 1]
    return -0.5 * np.sum(np.log(variance) + returns**2 / variance)


@kernel(lambda rng, n, m: (rng.normal(size=n), rng.normal(size=m) / m), (12, 3), (4000, 16))
def fir(x, taps):
    """A finite impulse response by shifted sums."""
    y = np.zeros_like(x)
    for k in range(taps.shape[0]):
        y[k:] += taps[k] * x[: x.shape[0] - k]
    return y


@kernel(
    lambda rng, n, dim: (rng.normal(size=(n, 2)), np.array([[0.9, 0.1], [0.0, 0.8]]), 0.1 * np.eye(2), np.eye(2)),
    (5, 2),
    (100, 2),
    analytic=False,
)
def kalman(observations, F, Q, R):
    """Log likelihood of a linear Gaussian state space model by the Kalman filter."""
    mean, cov = np.zeros(2), np.eye(2)
    total = 0.0
    for z in observations:
        mean, cov = F @ mean, F @ cov @ F.T + Q
        S = cov + R
        gain = cov @ np.linalg.inv(S)
        residual = z - mean
        total -= 0.5 * (residual @ np.linalg.solve(S, residual) + np.log(np.linalg.det(S)))
        mean = mean + gain @ residual
        cov = (np.eye(2) - gain) @ cov
    return total
