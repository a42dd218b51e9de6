"""2-D Brusselator on an N x N grid, neighbours clamped at the edges: right-hand side, and RK4 steps of it."""

import numpy as np

from . import Problem

TIME = 2.1


def laplacian(u):
    """Five-point stencil without scaling, clamped."""
    p = np.pad(u, 1, mode="edge")
    return p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4.0 * u


def grid(n):
    return np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, n), indexing="ij")


def source(n, t):
    x, y = grid(n)
    return np.where((x - 0.3) ** 2 + (y - 0.6) ** 2 <= 0.01, 5.0 if t >= 1.1 else 0.0, 0.0)


def rhs(state, params, s):
    """Time derivative of state [2, n, n] for parameters A, B, alpha."""
    u, v = state[0], state[1]
    a = params[2] * (u.shape[0] - 1) ** 2
    out = np.empty_like(state)
    out[0] = a * laplacian(u) + params[1] + u * u * v - (params[0] + 1.0) * u + s
    out[1] = a * laplacian(v) + params[0] * u - u * u * v
    return out


def fun(state, params, s, seed):
    return np.sum(seed * rhs(state, params, s))


def transposed_laplacian(g):
    n = g.shape[0]
    p = np.zeros((n + 2, n + 2))
    p[:-2, 1:-1] += g
    p[2:, 1:-1] += g
    p[1:-1, :-2] += g
    p[1:-1, 2:] += g
    p[1, :] += p[0, :]
    p[-2, :] += p[-1, :]
    p[:, 1] += p[:, 0]
    p[:, -2] += p[:, -1]
    return p[1:-1, 1:-1] - 4.0 * g


def reference(state, params, s, seed):
    u, v = state
    gu, gv = seed
    n1 = (u.shape[0] - 1) ** 2
    a = params[2] * n1
    d = gu - gv
    g_u = a * transposed_laplacian(gu) + 2 * u * v * d - (params[0] + 1.0) * gu + params[0] * gv
    g_v = a * transposed_laplacian(gv) + u * u * d
    g_p = np.array([np.sum(u * (gv - gu)), np.sum(gu), n1 * (np.sum(gu * laplacian(u)) + np.sum(gv * laplacian(v)))])
    return np.stack([g_u, g_v]), g_p


def rk4_step(state, params, s, dt):
    """One classical Runge-Kutta step."""
    k1 = rhs(state, params, s)
    k2 = rhs(state + 0.5 * dt * k1, params, s)
    k3 = rhs(state + 0.5 * dt * k2, params, s)
    k4 = rhs(state + dt * k3, params, s)
    return state + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)


def steps(state, params, s, dt, n):
    """Sum of the state after n classical Runge-Kutta steps."""
    for _ in range(n):
        state = rk4_step(state, params, s, dt)
    return np.sum(state)


def instance(size=None):
    n = int(size or 32)
    x, y = grid(n)
    state = np.stack([22.0 * (y * (1 - y)) ** 1.5, 27.0 * (x * (1 - x)) ** 1.5])
    seed = np.random.default_rng(0).normal(size=state.shape)
    return Problem("ode", f"{n}x{n}", fun, (state, np.array([3.4, 1.0, 10.0]), source(n, TIME), seed), (0, 1), reference)
