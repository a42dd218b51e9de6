"""Models from many fields in plain NumPy that JAX can run too: nothing is written in place, and all data are arguments."""

import numpy as np


def kernel_density(x, y):
    d = x[:, None] - y[None, :]
    return np.sum(np.log(np.mean(np.exp(-0.5 * d * d / 0.3**2), axis=1) + 1e-12))


def lennard_jones(p):
    d = p[:, None, :] - p[None, :, :]
    r2 = np.sum(d * d, axis=-1) + np.eye(len(p)) * 1e3 + 0.5
    s6 = 1 / r2**3
    return 2 * np.sum(s6 * s6 - s6)


def classifier(w1, b1, w2, b2, x, rows, labels):
    h = np.tanh(x @ w1 + b1)
    o = h @ w2 + b2
    m = np.max(o, axis=1, keepdims=True)
    logs = np.log(np.sum(np.exp(o - m), axis=1)) + m[:, 0]
    return np.mean(logs - o[rows, labels])


def arma(p, y):
    e1 = e2 = y1 = y2 = total = 0.0
    for t in range(len(y)):
        error = y[t] - (p[0] * y1 + p[1] * y2 + p[2] * e1 + p[3] * e2)
        total = total + error * error
        e1, e2, y1, y2 = error, e1, y[t], y1
    return total


def shomate(temperature, a):
    t = temperature / 1000.0
    cp = a[0] + a[1] * t + a[2] * t**2 + a[3] * t**3 + a[4] / t**2
    h = a[0] * t + a[1] * t**2 / 2 + a[2] * t**3 / 3 + a[3] * t**4 / 4 - a[4] / t
    s = a[0] * np.log(t) + a[1] * t + a[2] * t**2 / 2 + a[3] * t**3 / 3 - a[4] / (2 * t**2)
    return np.sum(cp) + np.sum(h - temperature * s) * 1e-3


def rotations(q, v):
    q = q / np.sqrt(np.sum(q * q, axis=1, keepdims=True))
    w, x, y, z = q[:, 0], q[:, 1], q[:, 2], q[:, 3]
    first = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1)
    second = np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1)
    third = np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1)
    return np.sum(np.sin(np.einsum("nij,j->ni", np.stack([first, second, third], -2), v)))


def smoothed(x, window):
    f = np.convolve(np.diff(np.cumsum(x)), window, mode="same")
    return np.sum(np.abs(f) ** 1.5) + np.std(x)


def stationary(p):
    q = p / np.sum(p, axis=1, keepdims=True)
    pi = np.ones(len(p)) / len(p)
    for _ in range(50):
        pi = pi @ q
    return np.sum(pi * np.log(pi))


def heat(u):
    for _ in range(8):
        inner = u[1:-1, 1:-1, 1:-1]
        around = u[2:, 1:-1, 1:-1] + u[:-2, 1:-1, 1:-1] + u[1:-1, 2:, 1:-1] + u[1:-1, :-2, 1:-1] + u[1:-1, 1:-1, 2:] + u[1:-1, 1:-1, :-2]
        u = np.pad(inner + 0.1 * (around - 6 * inner), 1)
    return np.sum(u**2)


def robot_arm(angles, lengths):
    pose = np.eye(3)
    for i in range(len(angles)):
        c, s = np.cos(angles[i]), np.sin(angles[i])
        pose = pose @ np.array([[c, -s, lengths[i] * c], [s, c, lengths[i] * s], [0.0, 0.0, 1.0]])
    return pose[0, 2] ** 2 + pose[1, 2] ** 2


def robust(x):
    a = np.abs(x)
    return np.sum(np.where(a < 1, 0.5 * x * x, a - 0.5)) + np.sum(np.clip(x, -0.5, 0.5) ** 3) + np.sum(np.maximum(x, 0))


def contrastive(z, rows, partners):
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    s = z @ z.T / 0.1 - 1e9 * np.eye(len(z))
    return -np.mean(s[rows, partners] - np.log(np.sum(np.exp(s - 10), axis=1)) - 10)


def curve(c, t):
    k = np.clip(np.floor(t * 36).astype(int), 0, 35)
    u = t * 36 - k
    basis = [(1 - u) ** 3 / 6, (3 * u**3 - 6 * u**2 + 4) / 6, (-3 * u**3 + 3 * u**2 + 3 * u + 1) / 6, u**3 / 6]
    y = sum(basis[j] * c[k + j] for j in range(4))
    return np.sum((y - np.sin(6 * t)) ** 2) + 0.1 * np.sum(np.diff(c, n=2) ** 2)


def three_bodies(m, angle):
    x = np.stack([np.cos(angle), np.sin(angle)], 1)
    v = np.stack([-np.sin(angle), np.cos(angle)], 1) * 0.5
    for _ in range(20):
        d = x[None] - x[:, None]
        r3 = (np.sum(d * d, -1) + 0.1) ** 1.5
        v = v + 0.01 * np.sum(m[None, :, None] * d / r3[..., None], axis=1)
        x = x + 0.01 * v
    return np.sum(x**2)


def convolution(image, k):
    side = len(image) - 2
    patches = np.stack([image[i : i + side, j : j + side] for i in range(3) for j in range(3)], -1)
    y = np.maximum(patches @ k.reshape(8, 9).T, 0)
    return np.sum(y.reshape(side // 2, 2, side // 2, 2, 8).max(axis=(1, 3)) ** 2)


def series(x):
    s, t = np.zeros(len(x)), np.ones(len(x))
    for k in range(1, 25):
        s = s + t
        t = -t * x * x / (4 * k * k)
    return np.sum(s**2)


def epidemic(p):
    b, g, mu, w = p[0], p[1], p[2], p[3]

    def rate(y):
        s, i, r = y[0], y[1], y[2]
        return np.array([mu - b * s * i - mu * s + w * r, b * s * i - g * i - mu * i, g * i - w * r - mu * r])

    y, h, total = np.array([0.99, 0.01, 0.0]), 0.1, 0.0
    for _ in range(10):
        k1 = rate(y)
        k2 = rate(y + h / 2 * k1)
        k3 = rate(y + h / 2 * k2)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + rate(y + h * k3))
        total = total + (y[1] - 0.1) ** 2
    return total


def mean_field(field, couplings):
    m = np.zeros(len(field))
    for _ in range(40):
        m = np.tanh(couplings @ m + field)
    return np.sum(m * field) + np.sum(np.log1p(np.exp(-m)))


def lengths(a, b, c):
    return np.sum(np.sqrt(a * a + b * b + c * c + 1e-3)) + np.sum(a * b - c) / len(a)


def spectrogram(x, window):
    frames = np.stack([x[i : i + 64] * window for i in range(0, 193, 16)])
    return np.sum(np.log(np.abs(np.fft.rfft(frames, axis=1)) ** 2 + 1e-3))


def gaussian(x, a):
    low = np.linalg.cholesky(a @ a.T + np.eye(len(a)))
    z = np.linalg.solve(low, x.T)
    return 0.5 * np.sum(z * z) + len(x) * np.sum(np.log(np.diagonal(low)))


def spectrum(a):
    w, v = np.linalg.eigh((a + a.T) / 2)
    return np.sum(np.exp(-w)) + np.sum(v[:, 0] ** 4)


def stiffness(areas, k0, load):
    springs = np.exp(areas)
    k = k0 + np.diag(springs[:-1] + springs[1:]) - np.diag(springs[1:-1], 1) - np.diag(springs[1:-1], -1)
    return load @ np.linalg.solve(k, load) + 0.01 * np.linalg.slogdet(k)[1]


def options(s, k):
    spot, strike, v, rate = 100 * (1 + s), 100 * (1 + k), 0.2, 0.03
    d1 = (np.log(spot / strike) + (rate + v * v / 2)) / v
    d2 = d1 - v
    up, down = (0.5 * (1 + np.tanh(0.7978845608 * (z + 0.044715 * z**3))) for z in (d1, d2))
    return np.sum(spot * up - strike * np.exp(-rate) * down)


def total_variation(image, seen):
    dx, dy = image[1:, :-1] - image[:-1, :-1], image[:-1, 1:] - image[:-1, :-1]
    return np.sum(np.sqrt(dx * dx + dy * dy + 1e-6)) + 0.5 * np.sum((image - seen) ** 2)


def lattice_boltzmann(f):
    f = np.stack([f * 0.1 + 1 / 3, f * 0.05 + 1 / 3, -f * 0.15 + 1 / 3])
    for _ in range(10):
        rho = np.sum(f, axis=0)
        u = (f[1] - f[2]) / rho
        still = np.stack([rho * (2 - 3 * u * u) / 3, rho * (1 + 3 * u + 3 * u * u) / 6, rho * (1 - 3 * u + 3 * u * u) / 6])
        f = f + 0.6 * (still - f)
        f = np.stack([f[0], np.roll(f[1], 1), np.roll(f[2], -1)])
    return np.sum(np.sum(f, axis=0) ** 2)


def clusters(x, centres):
    d = np.sum(x**2, 1)[:, None] - 2 * x @ centres.T + np.sum(centres**2, 1)
    w = np.exp(-d)
    return np.sum(w / np.sum(w, 1, keepdims=True) * d)


def moments(x):
    kurtosis = np.mean((x - np.mean(x)) ** 4) / np.var(x) ** 2
    return kurtosis + np.sum(np.prod(x.reshape(-1, 3), axis=1)) + np.max(x) - np.min(x) + np.linalg.norm(x)


def matrix_exponential(a):
    term = total = np.eye(len(a))
    for k in range(1, 15):
        term = term @ a / (10 * k)
        total = total + term
    return np.trace(total @ total.T)


def advection(u, grid):
    for _ in range(10):
        u = np.interp((grid - 0.01 * u) % 1.0, grid, u)
    return np.sum(u**2)
