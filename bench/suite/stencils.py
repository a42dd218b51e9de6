"""Stencils over time: each step reads neighbours and writes an array in place."""

import numpy as np

from . import kernel


def pair(rng, steps, *shape):
    return steps, rng.normal(size=shape), rng.normal(size=shape)


@kernel(lambda rng, steps, n: pair(rng, steps, n), (3, 12), (100, 4000))
def jacobi_1d(steps, A, B):
    for _ in range(steps):
        B[1:-1] = 0.33333 * (A[:-2] + A[1:-1] + A[2:])
        A[1:-1] = 0.33333 * (B[:-2] + B[1:-1] + B[2:])


@kernel(lambda rng, steps, n: pair(rng, steps, n, n), (2, 7), (50, 150))
def jacobi_2d(steps, A, B):
    for _ in range(steps):
        B[1:-1, 1:-1] = 0.2 * (A[1:-1, 1:-1] + A[1:-1, :-2] + A[1:-1, 2:] + A[2:, 1:-1] + A[:-2, 1:-1])
        A[1:-1, 1:-1] = 0.2 * (B[1:-1, 1:-1] + B[1:-1, :-2] + B[1:-1, 2:] + B[2:, 1:-1] + B[:-2, 1:-1])


@kernel(lambda rng, steps, n: pair(rng, steps, n, n, n), (2, 5), (25, 25))
def heat_3d(steps, A, B):
    def step(A, B):
        B[1:-1, 1:-1, 1:-1] = (
            0.125 * (A[2:, 1:-1, 1:-1] - 2.0 * A[1:-1, 1:-1, 1:-1] + A[:-2, 1:-1, 1:-1])
            + 0.125 * (A[1:-1, 2:, 1:-1] - 2.0 * A[1:-1, 1:-1, 1:-1] + A[1:-1, :-2, 1:-1])
            + 0.125 * (A[1:-1, 1:-1, 2:] - 2.0 * A[1:-1, 1:-1, 1:-1] + A[1:-1, 1:-1, 0:-2])
            + A[1:-1, 1:-1, 1:-1]
        )

    for _ in range(steps):
        step(A, B)
        step(B, A)


@kernel(lambda rng, steps, n: (steps, n, rng.normal(size=(n, n))), (2, 6), (8, 50))
def seidel_2d(steps, n, A):
    for _ in range(steps):
        for i in range(1, n - 1):
            A[i, 1:-1] += A[i - 1, :-2] + A[i - 1, 1:-1] + A[i - 1, 2:] + A[i, 2:] + A[i + 1, :-2] + A[i + 1, 1:-1] + A[i + 1, 2:]
            for j in range(1, n - 1):
                A[i, j] += A[i, j - 1]
                A[i, j] /= 9.0


def fields(rng, steps, nx, ny):
    return steps, *(rng.normal(size=(nx, ny)) for _ in range(3)), np.arange(steps) * 1.0


@kernel(fields, (3, 6, 7), (60, 100, 120))
def fdtd_2d(steps, ex, ey, hz, source):
    for t in range(steps):
        ey[0, :] = source[t]
        ey[1:, :] -= 0.5 * (hz[1:, :] - hz[:-1, :])
        ex[:, 1:] -= 0.5 * (hz[:, 1:] - hz[:, :-1])
        hz[:-1, :-1] -= 0.7 * (ex[:-1, 1:] - ex[:-1, :-1] + ey[1:, :-1] - ey[:-1, :-1])


@kernel(lambda rng, steps, n: (steps, n, rng.normal(size=(n, n))), (2, 6), (4, 60))
def adi(steps, n, u):
    """Alternating directions: a tridiagonal solve along the columns, then along the rows."""
    v, p, q = np.zeros_like(u), np.zeros_like(u), np.zeros_like(u)
    dx = dy = 1.0 / n
    dt = 1.0 / steps
    mul1, mul2 = 2.0 * dt / (dx * dx), dt / (dy * dy)
    a = c = -mul1 / 2.0
    b = 1.0 + mul1
    d = f = -mul2 / 2.0
    e = 1.0 + mul2
    for _ in range(steps):
        v[0, 1:-1] = 1.0
        p[1:-1, 0] = 0.0
        q[1:-1, 0] = v[0, 1:-1]
        for j in range(1, n - 1):
            p[1:-1, j] = -c / (a * p[1:-1, j - 1] + b)
            q[1:-1, j] = (-d * u[j, :-2] + (1.0 + 2.0 * d) * u[j, 1:-1] - f * u[j, 2:] - a * q[1:-1, j - 1]) / (a * p[1:-1, j - 1] + b)
        v[-1, 1:-1] = 1.0
        for j in range(n - 2, 0, -1):
            v[j, 1:-1] = p[1:-1, j] * v[j + 1, 1:-1] + q[1:-1, j]
        u[1:-1, 0] = 1.0
        p[1:-1, 0] = 0.0
        q[1:-1, 0] = u[1:-1, 0]
        for j in range(1, n - 1):
            p[1:-1, j] = -f / (d * p[1:-1, j - 1] + e)
            q[1:-1, j] = (-a * v[j, :-2] + (1.0 + 2.0 * a) * v[j, 1:-1] - c * v[j, 2:] - d * q[1:-1, j - 1]) / (d * p[1:-1, j - 1] + e)
        u[1:-1, -1] = 1.0
        for j in range(n - 2, 0, -1):
            u[1:-1, j] = p[1:-1, j] * u[1:-1, j + 1] + q[1:-1, j]


def weather(rng, i, j, k):
    return rng.normal(size=(i + 4, j + 4, k)), np.zeros((i, j, k)), rng.normal(size=(i, j, k))


@kernel(weather, (4, 5, 3), (48, 48, 40), analytic=False)
def hdiff(inp, out, coeff):
    """Horizontal diffusion of a weather model, with its flux limiter."""
    i, j = out.shape[0], out.shape[1]
    lap = 4.0 * inp[1 : i + 3, 1 : j + 3, :] - (
        inp[2 : i + 4, 1 : j + 3, :] + inp[0 : i + 2, 1 : j + 3, :] + inp[1 : i + 3, 2 : j + 4, :] + inp[1 : i + 3, 0 : j + 2, :]
    )
    res = lap[1:, 1 : j + 1, :] - lap[:-1, 1 : j + 1, :]
    flx = np.where(res * (inp[2 : i + 3, 2 : j + 2, :] - inp[1 : i + 2, 2 : j + 2, :]) > 0, 0, res)
    res = lap[1 : i + 1, 1:, :] - lap[1 : i + 1, :-1, :]
    fly = np.where(res * (inp[2 : i + 2, 2 : j + 3, :] - inp[2 : i + 2, 1 : j + 2, :]) > 0, 0, res)
    out[:, :, :] = inp[2 : i + 2, 2 : j + 2, :] - coeff * (flx[1:, :, :] - flx[:-1, :, :] + fly[:, 1:, :] - fly[:, :-1, :])


def column(rng, i, j, k):
    shape = (i, j, k)
    return (rng.normal(size=shape), rng.normal(size=shape), 0.1 * rng.normal(size=(i + 1, j, k)), rng.normal(size=shape),
            rng.normal(size=shape), 0.15)  # fmt: skip


@kernel(column, (2, 3, 5), (24, 24, 40))
def vadv(utens_stage, u_stage, wcon, u_pos, utens, dtr):
    """Vertical advection of a weather model: an implicit solve up and down each column."""
    k = utens_stage.shape[2]
    ccol, dcol = np.empty_like(u_stage), np.empty_like(u_stage)
    data = np.empty_like(u_stage[:, :, 0])
    for level in range(1):
        gcv = 0.25 * (wcon[1:, :, level + 1] + wcon[:-1, :, level + 1])
        cs = gcv * 0.5
        ccol[:, :, level] = gcv * 0.5
        bcol = dtr - ccol[:, :, level]
        correction = -cs * (u_stage[:, :, level + 1] - u_stage[:, :, level])
        dcol[:, :, level] = dtr * u_pos[:, :, level] + utens[:, :, level] + utens_stage[:, :, level] + correction
        divided = 1.0 / bcol
        ccol[:, :, level] = ccol[:, :, level] * divided
        dcol[:, :, level] = dcol[:, :, level] * divided
    for level in range(1, k - 1):
        gav = -0.25 * (wcon[1:, :, level] + wcon[:-1, :, level])
        gcv = 0.25 * (wcon[1:, :, level + 1] + wcon[:-1, :, level + 1])
        a_s, cs = gav * 0.5, gcv * 0.5
        acol = gav * 0.5
        ccol[:, :, level] = gcv * 0.5
        bcol = dtr - acol - ccol[:, :, level]
        correction = -a_s * (u_stage[:, :, level - 1] - u_stage[:, :, level]) - cs * (u_stage[:, :, level + 1] - u_stage[:, :, level])
        dcol[:, :, level] = dtr * u_pos[:, :, level] + utens[:, :, level] + utens_stage[:, :, level] + correction
        divided = 1.0 / (bcol - ccol[:, :, level - 1] * acol)
        ccol[:, :, level] = ccol[:, :, level] * divided
        dcol[:, :, level] = (dcol[:, :, level] - dcol[:, :, level - 1] * acol) * divided
    for level in range(k - 1, k):
        gav = -0.25 * (wcon[1:, :, level] + wcon[:-1, :, level])
        a_s, acol = gav * 0.5, gav * 0.5
        bcol = dtr - acol
        correction = -a_s * (u_stage[:, :, level - 1] - u_stage[:, :, level])
        dcol[:, :, level] = dtr * u_pos[:, :, level] + utens[:, :, level] + utens_stage[:, :, level] + correction
        divided = 1.0 / (bcol - ccol[:, :, level - 1] * acol)
        dcol[:, :, level] = (dcol[:, :, level] - dcol[:, :, level - 1] * acol) * divided
    for level in range(k - 1, k - 2, -1):
        data[:] = dcol[:, :, level]
        utens_stage[:, :, level] = dtr * (data - u_pos[:, :, level])
    for level in range(k - 2, -1, -1):
        data[:] = dcol[:, :, level] - ccol[:, :, level] * data
        utens_stage[:, :, level] = dtr * (data - u_pos[:, :, level])
