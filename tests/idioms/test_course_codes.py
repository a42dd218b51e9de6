"""Short programs as courses and cookbooks write them: fluids, bodies, images, statistics, finance, robots, chemistry."""

import math

import numpy as np
import pytest
from numpy import cos, exp, pi, sin, sqrt
from numpy.linalg import norm, solve

from .checking import Idioms, check

rng = np.random.default_rng(5)
x = rng.normal(size=6)
P = np.abs(x) + 0.5
A = rng.normal(size=(4, 5))
POS = rng.normal(size=(3, 3))
idiom = Idioms()

# -- fluids and heat


@idiom(P, 0.02)
def upwind_burgers(u0, dt):
    nx, nt = len(u0), 3
    dx = 2 / (nx - 1)
    u = u0.copy()
    for _n in range(nt):
        un = u.copy()
        for i in range(1, nx):
            u[i] = un[i] - un[i] * dt / dx * (un[i] - un[i - 1])
        u[0] = 1.0
    return np.sum(u**2)


@idiom(A, 0.1)
def heat_on_a_plate(T, alpha):
    T = T.copy()
    for _ in range(3):
        Tn = T.copy()
        T[1:-1, 1:-1] = Tn[1:-1, 1:-1] + alpha * (
            Tn[1:-1, 2:] - 2 * Tn[1:-1, 1:-1] + Tn[1:-1, :-2] + Tn[2:, 1:-1] - 2 * Tn[1:-1, 1:-1] + Tn[:-2, 1:-1]
        )
        T[0, :] = 1.0
        T[:, -1] = T[:, -2]
    return np.mean(T**2)


def build_up_b(b, rho, dt, u, v, dx, dy):
    b[1:-1, 1:-1] = rho * (
        1 / dt * ((u[1:-1, 2:] - u[1:-1, 0:-2]) / (2 * dx) + (v[2:, 1:-1] - v[0:-2, 1:-1]) / (2 * dy))
        - ((u[1:-1, 2:] - u[1:-1, 0:-2]) / (2 * dx)) ** 2
    )
    return b


def pressure_poisson(p, dx, dy, b):
    pn = np.empty_like(p)
    for _ in range(3):
        pn = p.copy()
        p[1:-1, 1:-1] = ((pn[1:-1, 2:] + pn[1:-1, 0:-2]) * dy**2 + (pn[2:, 1:-1] + pn[0:-2, 1:-1]) * dx**2) / (
            2 * (dx**2 + dy**2)
        ) - dx**2 * dy**2 / (2 * (dx**2 + dy**2)) * b[1:-1, 1:-1]
        p[:, -1] = p[:, -2]
        p[0, :] = p[1, :]
        p[-1, :] = 0
    return p


@idiom(A, 1.3)
def pressure_of_a_cavity(u, rho):
    v = np.zeros((4, 5))
    b = np.zeros((4, 5))
    p = np.zeros((4, 5))
    b = build_up_b(b, rho, 0.1, u, v, 0.5, 0.4)
    p = pressure_poisson(p, 0.5, 0.4, b)
    return np.sum(p**2)


@idiom(P)
def thomas_algorithm(d):
    n = len(d)
    a, b, c = np.full(n, -1.0), np.full(n, 4.0), np.full(n, -1.0)
    cp, dp = np.zeros(n), np.zeros(n)
    cp[0], dp[0] = c[0] / b[0], d[0] / b[0]
    for i in range(1, n):
        m = b[i] - a[i] * cp[i - 1]
        cp[i] = c[i] / m
        dp[i] = (d[i] - a[i] * dp[i - 1]) / m
    sol = np.zeros(n)
    sol[-1] = dp[-1]
    for i in reversed(range(n - 1)):
        sol[i] = dp[i] - cp[i] * sol[i + 1]
    return np.sum(sol**3)


@idiom(P, same_as=lambda q: godunov(q, complex))
def shallow_water_fluxes(q):
    return godunov(q, float)


def godunov(q, dtype):
    h, hu = q[:3], q[3:]
    F = np.zeros((2, 2), dtype=dtype)
    for i in range(2):
        hl, hr, ul, ur = h[i], h[i + 1], hu[i] / h[i], hu[i + 1] / h[i + 1]
        s = np.maximum(np.sqrt(9.81 * hl) + ul, np.sqrt(9.81 * hr) + ur)
        F[:, i] = 0.5 * np.array([hl * ul + hr * ur, hl * ul**2 + hr * ur**2]) - 0.5 * s * np.array([hr - hl, hr * ur - hl * ul])
    return np.sum(F**2)


# -- bodies, oscillators, orbits


@idiom(POS, POS[::-1] * 0.1)
def leapfrog_n_body(pos, vel):
    mass, soft, dt = np.array([1.0, 0.5, 0.3]), 0.1, 0.05

    def acceleration(pos):
        dx = pos[:, 0:1].T - pos[:, 0:1]
        dy = pos[:, 1:2].T - pos[:, 1:2]
        dz = pos[:, 2:3].T - pos[:, 2:3]
        inv_r3 = dx**2 + dy**2 + dz**2 + soft**2
        inv_r3[inv_r3 > 0] = inv_r3[inv_r3 > 0] ** (-1.5)
        return np.hstack(((dx * inv_r3) @ mass[:, None], (dy * inv_r3) @ mass[:, None], (dz * inv_r3) @ mass[:, None]))

    acc = acceleration(pos)
    for _ in range(3):
        vel += acc * dt / 2.0
        pos += vel * dt
        acc = acceleration(pos)
        vel += acc * dt / 2.0
    return 0.5 * np.sum(mass[:, None] * vel**2) + np.sum(pos**2)


@idiom(POS)
def potential_energy_by_pairs(r):
    n, energy = len(r), 0.0
    for i in range(n):
        for j in range(i + 1, n):
            d = norm(r[i] - r[j])
            energy += 4 * ((0.9 / d) ** 12 - (0.9 / d) ** 6)
    return energy * 1e-3


@idiom(np.array([0.4, 0.0]), 9.81)
def runge_kutta_pendulum(state, g):
    def rhs(t, y):
        theta, omega = y
        return np.array([omega, -g * np.sin(theta) - 0.1 * omega])

    t, h, y = 0.0, 0.05, state
    history = [y]
    while t < 0.25:
        k1 = rhs(t, y)
        k2 = rhs(t + h / 2, y + h / 2 * k1)
        k3 = rhs(t + h / 2, y + h / 2 * k2)
        k4 = rhs(t + h, y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        t += h
        history.append(y)
    return np.sum(np.array(history) ** 2)


@idiom(0.3, 0.6)
def keplers_equation(M, e):
    E = M if e < 0.8 else pi
    for _ in range(50):
        dE = (E - e * sin(E) - M) / (1 - e * cos(E))
        E -= dE
        if abs(dE) < 1e-14:
            break
    return 2 * np.arctan(sqrt((1 + e) / (1 - e)) * np.tan(E / 2))


@idiom(P)
def lorenz_by_euler(p):
    sigma, rho, beta = p[:3]
    xyz = np.empty((11, 3))
    xyz[0] = p[3:]
    for i in range(10):
        a, b, c = xyz[i]
        xyz[i + 1] = xyz[i] + 0.01 * np.array([sigma * (b - a), a * (rho - c) - b, a * b - beta * c])
    return xyz[-1].sum() + (xyz[5] ** 2).mean()


# -- images and signals


@idiom(A)
def convolution_with_a_kernel(img):
    k = np.array([[1.0, 2.0, 1.0], [0.0, 0.0, 0.0], [-1.0, -2.0, -1.0]])
    padded = np.pad(img, 1, mode="edge")
    out = np.zeros_like(img)
    for i in range(img.shape[0]):
        for j in range(img.shape[1]):
            out[i, j] = np.sum(padded[i : i + 3, j : j + 3] * k)
    return np.sum(np.abs(out))


@idiom(A, 0.8)
def gamma_and_contrast(img, gamma):
    lo, hi = img.min(), img.max()
    scaled = (img - lo) / (hi - lo)
    bright = np.clip(scaled, 0.05, 1.0) ** gamma
    return np.sum(bright * np.arange(20.0).reshape(4, 5))


@idiom(A)
def bilinear_sampling(img):
    ys, xs = np.array([0.5, 1.25, 2.9]), np.array([0.1, 3.3, 2.5])
    y0, x0 = np.floor(ys).astype(int), np.floor(xs).astype(int)
    dy, dx = ys - y0, xs - x0
    v = img[y0, x0] * (1 - dy) * (1 - dx) + img[y0 + 1, x0] * dy * (1 - dx)
    v += img[y0, x0 + 1] * (1 - dy) * dx + img[y0 + 1, x0 + 1] * dy * dx
    return np.sum(v**2)


@idiom(A)
def max_pooling_and_flattening(img):
    pooled = img[:, :4].reshape(2, 2, 2, 2).max(axis=(1, 3))
    return np.concatenate([pooled.flatten(), img.mean(axis=0)]) @ np.arange(9.0)


@idiom(x)
def moving_average_and_exponential_smoothing(x):
    smooth = np.convolve(x, np.ones(3) / 3, mode="valid")
    s = [x[0]]
    for v in x[1:]:
        s.append(0.3 * v + 0.7 * s[-1])
    return np.sum(smooth**2) + np.dot(s, s)


@idiom(x, same_as=lambda x: np.sum(np.abs(np.fft.rfft(x.real)) ** 2 * np.arange(4)) if not np.any(x.imag) else power_by_sums(x))
def power_spectrum(x):
    return np.sum(np.abs(np.fft.rfft(x)) ** 2 * np.arange(4))


def power_by_sums(x):
    n = np.arange(6)
    return sum(k * (np.sum(x * np.cos(2 * pi * k * n / 6)) ** 2 + np.sum(x * np.sin(2 * pi * k * n / 6)) ** 2) for k in range(4))


# -- statistics and learning


@idiom(np.array([0.2, -0.4, 0.1]), A[:, :3])
def logistic_regression(w, X):
    y = np.array([0.0, 1.0, 1.0, 0.0])
    z = X @ w[:, None]
    p = 1 / (1 + exp(-z[:, 0]))
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)) + 0.5 * norm(w) ** 2


@idiom(A)
def softmax_cross_entropy(logits):
    labels = [1, 0, 4, 2]
    shifted = logits - logits.max(axis=1, keepdims=True)
    logp = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -logp[np.arange(4), labels].mean()


@idiom(A, np.array([0.1, 0.2]))
def gaussian_mixture(X, logw):
    mu = np.array([[0.0, 0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
    d2 = ((X[:, np.newaxis, :] - mu[np.newaxis]) ** 2).sum(axis=-1)
    logits = logw - 0.5 * d2
    m = np.max(logits, axis=1)
    return np.sum(m + np.log(np.sum(np.exp(logits - m[:, None]), axis=1)))


@idiom(A)
def mahalanobis_and_correlation(X):
    C = np.cov(X, rowvar=True) + 0.5 * np.eye(4)
    centred = X - X.mean(axis=0)
    d = np.einsum("ij,ji->i", centred.T, solve(C, centred))
    return np.sum(d) + np.corrcoef(X[0], X[1])[0, 1]


@idiom(np.array([0.5, 1.5]))
def gaussian_process_likelihood(theta):
    t = np.linspace(0.0, 1.0, 5)
    y = np.sin(3 * t)
    K = theta[0] * exp(-((t[:, None] - t) ** 2) / (2 * theta[1] ** 2)) + 0.1 * np.eye(5)
    return 0.5 * y @ solve(K, y) + 0.5 * np.log(np.linalg.det(K))


@idiom(A[:3, :3], A[3, :3])
def recurrent_network(W, b):
    h, outputs = np.zeros(3), []
    for t in range(4):
        h = np.tanh(W @ h + b * t)
        outputs.append(h)
    return np.sum(np.stack(outputs, axis=0)[1:] ** 2)


# -- finance


@idiom(100.0, 105.0, 0.2, 0.5)
def black_scholes(S, K, sigma, T, r=0.02):
    def N(z):
        return 0.5 * (1.0 + math.erf(z / math.sqrt(2.0)))

    d1 = (math.log(S / K) + (r + sigma**2 / 2) * T) / (sigma * math.sqrt(T))
    d2 = d1 - sigma * math.sqrt(T)
    return S * N(d1) - K * math.exp(-r * T) * N(d2)


@idiom(100.0, 0.25, same_as=lambda S0, sigma: binomial_price(S0, sigma))
def binomial_tree_of_an_american_put(S0, sigma):
    return binomial_price(S0, sigma)


def binomial_price(S0, sigma, n=5, r=0.03, K=102.0):
    dt = 1.0 / n
    u = np.exp(sigma * np.sqrt(dt))
    d = 1 / u
    p = (np.exp(r * dt) - d) / (u - d)
    S = S0 * u ** np.arange(n, -n - 1, -2)
    V = np.maximum(K - S, 0.0)
    for i in range(n - 1, -1, -1):
        S = S0 * u ** np.arange(i, -i - 1, -2.0)
        V = np.maximum(np.exp(-r * dt) * (p * V[:-1] + (1 - p) * V[1:]), K - S)
    return V[0]


@idiom(100.0, 0.2)
def monte_carlo_asian_option(S0, sigma):
    rng = np.random.default_rng(42)
    z = rng.standard_normal((50, 8))
    paths = S0 * np.exp(np.cumsum((0.02 - 0.5 * sigma**2) * 0.1 + sigma * np.sqrt(0.1) * z, axis=1))
    return np.maximum(paths.mean(axis=1) - 99.0, 0.0).mean()


@idiom(P)
def net_present_value_and_yield(cash):
    npv = sum(c / 1.05**t for t, c in enumerate(cash))
    rate = 0.5
    for _ in range(60):
        f = sum(c / (1 + rate) ** t for t, c in enumerate(cash)) - 4.0
        df = sum(-t * c / (1 + rate) ** (t + 1) for t, c in enumerate(cash))
        rate = rate - f / df
    return npv + rate


# -- robots and chemistry


@idiom(np.array([0.3, -0.5, 0.8]), np.array([1.0, 0.8, 0.5]))
def jacobian_of_a_planar_arm(q, lengths):
    angles = np.cumsum(q)
    J = np.zeros((2, 3))
    for i in range(3):
        J[0, i] = -np.sum(lengths[i:] * np.sin(angles[i:]))
        J[1, i] = np.sum(lengths[i:] * np.cos(angles[i:]))
    return np.sqrt(np.linalg.det(J @ J.T))


def skew(v):
    return np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])


@idiom(np.array([0.2, -0.4, 0.7]))
def rodrigues_rotation(w):
    theta = norm(w)
    K = skew(w / theta)
    R = np.eye(3) + sin(theta) * K + (1 - cos(theta)) * K @ K
    return np.sum(R @ [1.0, 2.0, 3.0]) + np.trace(R)


@idiom(P, same_as=lambda k: kinetics(k, complex))
def reaction_kinetics(k):
    return kinetics(k, float)


def kinetics(k, dtype):
    c = np.array([1.0, 0.0, 0.2], dtype=dtype)
    S = np.array([[-1, 1, 0], [1, -1, -1], [0, 0, 1]])
    for _ in range(5):
        rates = np.array([k[0] * c[0], k[1] * c[1], k[2] * c[1] * c[2]])
        c += 0.05 * S @ rates
    return c[2] + c @ k[3:]


@idiom(POS)
def bond_angle_and_torsion(r):
    a, b = r[0] - r[1], r[2] - r[1]
    angle = np.arccos(np.dot(a, b) / (norm(a) * norm(b)))
    n = np.cross(a, b)
    return angle**2 + n @ [0.3, 0.2, 0.1] / norm(n)


@idiom(P)
def permutationally_invariant_polynomial(r):
    y = [exp(-v / 2.0) for v in r]
    m = [y[0] + y[1], y[2] + y[3], y[4] * y[5]]
    p = [1.0, *m]
    p.append(p[1] * p[2] - p[3])
    p.append(p[4] * p[1] + p[2] ** 2)
    return sum(c * v for c, v in zip([0.1, 0.4, -0.3, 0.2, 0.7, -0.5], p, strict=True))


@pytest.mark.parametrize("case", idiom, ids=lambda case: case.__name__)
def test_idiom(case):
    check(case)
