"""JAX: ``jit`` of ``value_and_grad``, with x64."""

import math
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from ..problems import gmm
from ..problems.fft import bit_reversal

jax.config.update("jax_enable_x64", True)


def compiled(f, p):
    g = jax.jit(jax.value_and_grad(f, argnums=p.argnums))
    args = [jnp.asarray(a) if isinstance(a, np.ndarray) else a for a in p.args]
    return lambda: jax.block_until_ready(g(*args))


def gmm_form(centered):
    def f(alphas, means, icf, x, gamma, m):
        k, d = means.shape
        rows, columns = gmm.lower_triangle(d)
        Q = jnp.zeros((k, d, d)).at[:, rows, columns].set(icf[:, d:])
        Q = Q.at[:, np.arange(d), np.arange(d)].set(jnp.exp(icf[:, :d]))
        q = jnp.sum(icf[:, :d], axis=1)
        if centered:
            y = jnp.einsum("kij,knj->kni", Q, x[None] - means[:, None])
        else:
            y = jnp.einsum("kij,nj->kni", Q, x) - jnp.einsum("kij,kj->ki", Q, means)[:, None]
        inside = alphas[:, None] + q[:, None] - 0.5 * jnp.sum(y * y, axis=2)
        n = x.shape[0]
        squares = jnp.sum(jnp.exp(icf[:, :d]) ** 2) + jnp.sum(icf[:, d:] ** 2)
        return (
            -0.5 * n * d * math.log(2 * math.pi)
            + jnp.sum(logsumexp(inside, axis=0))
            - n * logsumexp(alphas)
            + 0.5 * gamma**2 * squares
            - m * jnp.sum(q)
            - k * gmm.constant(d, 1.0, 0)
        )

    return f


def lstm_scan(main, extra, state, text):
    layers, bits = main.shape[0] // 2, text.shape[1]

    def step(carry, pair):
        hidden, cell = carry
        x = pair[0] * extra[0]
        new_hidden, new_cell = [], []
        for k in range(layers):
            w, b = main[2 * k].reshape(4, bits), main[2 * k + 1].reshape(4, bits)
            f, i = jax.nn.sigmoid(x * w[0] + b[0]), jax.nn.sigmoid(hidden[k] * w[1] + b[1])
            o, c = jax.nn.sigmoid(x * w[2] + b[2]), jnp.tanh(hidden[k] * w[3] + b[3])
            new_cell.append(cell[k] * f + i * c)
            new_hidden.append(o * jnp.tanh(new_cell[k]))
            x = new_hidden[k]
        y = x * extra[1] + extra[2]
        return (jnp.stack(new_hidden), jnp.stack(new_cell)), jnp.sum(pair[1] * (y - jnp.log(2.0 + jnp.sum(jnp.exp(y)))))

    _, losses = jax.lax.scan(step, (state[0::2], state[1::2]), (text[:-1], text[1:]))
    return -jnp.sum(losses) / losses.size / bits


def rates(state, params, s):
    """The Brusselator's right-hand side."""
    u, v = state

    def laplacian(u):
        p = jnp.pad(u, 1, mode="edge")
        return p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4.0 * u

    a = params[2] * (u.shape[0] - 1) ** 2
    du = a * laplacian(u) + params[1] + u * u * v - (params[0] + 1.0) * u + s
    return du, a * laplacian(v) + params[0] * u - u * u * v


def brusselator(state, params, s, seed):
    du, dv = rates(state, params, s)
    return jnp.sum(seed[0] * du) + jnp.sum(seed[1] * dv)


def stepped(state, params, s, dt, n):
    """Runge-Kutta steps in a scan."""

    def step(state, _):
        def rhs(x):
            return jnp.stack(rates(x, params, s))

        k1 = rhs(state)
        k2 = rhs(state + 0.5 * dt * k1)
        k3 = rhs(state + 0.5 * dt * k2)
        k4 = rhs(state + dt * k3)
        return state + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4), None

    return jnp.sum(jax.lax.scan(step, state, None, length=n)[0])


def fft(x):
    """The plain function's stages, one array butterfly each."""

    def transform(z, sign):
        n = z.shape[0]
        z = z[bit_reversal(n)]
        half = 1
        while half < n:
            angle = sign * np.pi * np.arange(half) / half
            c, s = np.cos(angle), np.sin(angle)
            pairs = z.reshape(n // (2 * half), 2, half, 2)
            even, odd = pairs[:, 0], pairs[:, 1]
            turned = jnp.stack([odd[..., 0] * c - odd[..., 1] * s, odd[..., 0] * s + odd[..., 1] * c], axis=-1)
            z = jnp.stack([even + turned, even - turned], axis=1).reshape(n, 2)
            half *= 2
        return z

    return jnp.sum(transform(transform(x.reshape(-1, 2), -1.0), 1.0) / (x.shape[0] // 2))


def residuals(cams, X, w, feats):
    r, p, f, principal, k = cams[:, :3], X - cams[:, 3:6], cams[:, 6], cams[:, 7:9], cams[:, 9:11]
    square = jnp.sum(r * r, axis=1)
    still = (square == 0.0)[:, None]
    theta = jnp.sqrt(jnp.where(still, 1.0, square[:, None]))
    c, s, a = jnp.cos(theta), jnp.sin(theta), r / theta
    turned = p * c + jnp.cross(a, p) * s + a * jnp.sum(a * p, axis=1, keepdims=True) * (1.0 - c)
    y = jnp.where(still, p + jnp.cross(r, p), turned)
    plane = y[:, :2] / y[:, 2:]
    radius = jnp.sum(plane * plane, axis=1)
    scale = (1.0 + k[:, 0] * radius + k[:, 1] * radius * radius) * f
    return w * (plane * scale[:, None] + principal - feats).T


def ba(cams, X, w, feats):
    return jnp.sum(residuals(cams, X, w, feats)[0])


def ba_blocks(p):
    """Both rows by two pullbacks of one evaluation."""

    @jax.jit
    def f(cams, X, w, feats):
        y, pullback = jax.vjp(lambda *x: residuals(*x, feats), cams, X, w)
        seed = jnp.zeros_like(y)
        return y, (*pullback(seed.at[0].set(1.0)), *pullback(seed.at[1].set(1.0)))

    args = [jnp.asarray(a) for a in p.args]
    return lambda: jax.block_until_ready(f(*args))


def rk4(p):
    n = p.args[4]
    g = jax.jit(jax.value_and_grad(lambda state, params, s, dt: stepped(state, params, s, dt, n), argnums=p.argnums))
    args = [jnp.asarray(a) for a in p.args[:4]]
    return lambda: jax.block_until_ready(g(*args))


def elementwise(x):
    return jnp.sum(jnp.tanh(x) * jnp.exp(-(x**2)) + jnp.log1p(x**2) * jnp.sin(x))


def mlp(p):
    activation = jax.nn.relu if p.size.endswith("relu") else jnp.tanh

    def f(x, onehot, *layers):
        h = x
        for k in range(0, len(layers) - 2, 2):
            h = activation(h @ layers[k] + layers[k + 1])
        logits = h @ layers[-2] + layers[-1]
        return jnp.mean(logsumexp(logits, axis=1) - jnp.sum(logits * onehot, axis=1))

    return compiled(f, p)


def logistic(w, x, y, penalty):
    z = x @ w
    return jnp.mean(jnp.logaddexp(0.0, z) - y * z) + 0.5 * penalty * jnp.sum(w * w)


def gp(theta, x, y):
    length, signal, noise = jnp.exp(theta)
    squares = jnp.sum(x * x, axis=1)
    distances = squares[:, None] + squares[None, :] - 2.0 * (x @ x.T)
    L = jnp.linalg.cholesky(signal**2 * jnp.exp(-0.5 * distances / length**2) + noise**2 * jnp.eye(len(y)))
    z = jax.scipy.linalg.solve_triangular(L, y, lower=True)
    return 0.5 * jnp.sum(z * z) + jnp.sum(jnp.log(jnp.diag(L))) + 0.5 * len(y) * math.log(2 * math.pi)


def rosenbrock(x):
    return jnp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def better_gmm(p):
    forms = [compiled(gmm_form(centered), p) for centered in (True, False)]

    def seconds(f):
        f()
        start = time.perf_counter()
        f()
        return time.perf_counter() - start

    return min(forms, key=seconds)


MAKERS = {
    "elementwise": lambda p: compiled(elementwise, p),
    "gmm": better_gmm,
    "lstm": lambda p: compiled(lstm_scan, p),
    "ode": lambda p: compiled(brusselator, p),
    "rk4": rk4,
    "fft": lambda p: compiled(fft, p),
    "ba": lambda p: compiled(ba, p),
    "ba_blocks": ba_blocks,
    "mlp": mlp,
    "logistic": lambda p: compiled(logistic, p),
    "gp": lambda p: compiled(gp, p),
    "rosenbrock": lambda p: compiled(rosenbrock, p),
}
