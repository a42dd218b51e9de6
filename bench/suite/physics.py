"""Particles and fluids."""

import numpy as np

from . import kernel


def bodies(rng, n, steps):
    return rng.uniform(0.5, 1.5, size=(n, 1)), rng.normal(size=(n, 3)), 0.1 * rng.normal(size=(n, 3)), steps, 0.01, 0.1


def acceleration(pos, mass, softening):
    x, y, z = pos[:, 0:1], pos[:, 1:2], pos[:, 2:3]
    dx, dy, dz = x.T - x, y.T - y, z.T - z
    inv_r3 = (dx**2 + dy**2 + dz**2 + softening**2) ** (-1.5)
    return np.hstack(((dx * inv_r3) @ mass, (dy * inv_r3) @ mass, (dz * inv_r3) @ mass))


@kernel(bodies, (4, 3), (60, 20))
def nbody(mass, pos, vel, steps, dt, softening):
    """Leapfrog; the kinetic energies come out too."""
    vel -= np.mean(mass * vel, 0) / np.mean(mass)
    energies = np.empty(steps + 1, dtype=pos.dtype)
    acc = acceleration(pos, mass, softening)
    energies[0] = 0.5 * np.sum(mass * vel**2)
    for i in range(steps):
        vel += acc * dt / 2.0
        pos += vel * dt
        acc[:] = acceleration(pos, mass, softening)
        vel += acc * dt / 2.0
        energies[i + 1] = 0.5 * np.sum(mass * vel**2)
    return energies


def cavity(rng, n, steps):
    return (0.1 * rng.normal(size=(n, n)), 0.1 * rng.normal(size=(n, n)), 0.1 * rng.normal(size=(n, n)), steps, 5, 1e-3, 2.0 / (n - 1),
            2.0 / (n - 1), 1.0, 0.1)  # fmt: skip


def divergence_source(b, rho, dt, u, v, dx, dy):
    b[1:-1, 1:-1] = rho * (
        1 / dt * ((u[1:-1, 2:] - u[1:-1, 0:-2]) / (2 * dx) + (v[2:, 1:-1] - v[0:-2, 1:-1]) / (2 * dy))
        - ((u[1:-1, 2:] - u[1:-1, 0:-2]) / (2 * dx)) ** 2
        - 2 * ((u[2:, 1:-1] - u[0:-2, 1:-1]) / (2 * dy) * (v[1:-1, 2:] - v[1:-1, 0:-2]) / (2 * dx))
        - ((v[2:, 1:-1] - v[0:-2, 1:-1]) / (2 * dy)) ** 2
    )


@kernel(cavity, (6, 2), (41, 20))
def cavity_flow(u, v, p, steps, inner, dt, dx, dy, rho, nu):
    b = np.zeros_like(u)
    for _ in range(steps):
        un, vn = u.copy(), v.copy()
        divergence_source(b, rho, dt, u, v, dx, dy)
        for _ in range(inner):
            pn = p.copy()
            p[1:-1, 1:-1] = ((pn[1:-1, 2:] + pn[1:-1, 0:-2]) * dy**2 + (pn[2:, 1:-1] + pn[0:-2, 1:-1]) * dx**2) / (
                2 * (dx**2 + dy**2)
            ) - dx**2 * dy**2 / (2 * (dx**2 + dy**2)) * b[1:-1, 1:-1]
            p[:, -1] = p[:, -2]
            p[0, :] = p[1, :]
            p[:, 0] = p[:, 1]
            p[-1, :] = 0
        u[1:-1, 1:-1] = (
            un[1:-1, 1:-1]
            - un[1:-1, 1:-1] * dt / dx * (un[1:-1, 1:-1] - un[1:-1, 0:-2])
            - vn[1:-1, 1:-1] * dt / dy * (un[1:-1, 1:-1] - un[0:-2, 1:-1])
            - dt / (2 * rho * dx) * (p[1:-1, 2:] - p[1:-1, 0:-2])
            + nu
            * (
                dt / dx**2 * (un[1:-1, 2:] - 2 * un[1:-1, 1:-1] + un[1:-1, 0:-2])
                + dt / dy**2 * (un[2:, 1:-1] - 2 * un[1:-1, 1:-1] + un[0:-2, 1:-1])
            )
        )
        v[1:-1, 1:-1] = (
            vn[1:-1, 1:-1]
            - un[1:-1, 1:-1] * dt / dx * (vn[1:-1, 1:-1] - vn[1:-1, 0:-2])
            - vn[1:-1, 1:-1] * dt / dy * (vn[1:-1, 1:-1] - vn[0:-2, 1:-1])
            - dt / (2 * rho * dy) * (p[2:, 1:-1] - p[0:-2, 1:-1])
            + nu
            * (
                dt / dx**2 * (vn[1:-1, 2:] - 2 * vn[1:-1, 1:-1] + vn[1:-1, 0:-2])
                + dt / dy**2 * (vn[2:, 1:-1] - 2 * vn[1:-1, 1:-1] + vn[0:-2, 1:-1])
            )
        )
        u[0, :] = 0
        u[:, 0] = 0
        u[:, -1] = 0
        u[-1, :] = 1  # the lid
        v[0, :] = 0
        v[-1, :] = 0
        v[:, 0] = 0
        v[:, -1] = 0


def channel(rng, n, steps):
    return 0.1 * rng.normal(size=(n, n)), steps, 1e-3, 2.0 / (n - 1), 2.0 / (n - 1), 0.1, 1.0


@kernel(channel, (6, 3), (61, 40))
def channel_flow(u, steps, dt, dx, dy, nu, force):
    """Burgers' equation along a periodic channel with a body force."""
    for _ in range(steps):
        un = u.copy()
        east, west = np.roll(un, -1, axis=1), np.roll(un, 1, axis=1)
        u[1:-1, :] = (
            un[1:-1, :]
            - un[1:-1, :] * dt / dx * (un[1:-1, :] - west[1:-1, :])
            + nu * dt * ((east - 2 * un + west)[1:-1, :] / dx**2 + (un[2:, :] - 2 * un[1:-1, :] + un[:-2, :]) / dy**2)
            + force * dt
        )
        u[0, :] = 0
        u[-1, :] = 0


@kernel(
    lambda rng, n, steps: (rng.uniform(-0.6, 0.2, size=(n, n)), rng.uniform(-0.4, 0.4, size=(n, n)), steps),
    (4, 4),
    (120, 12),
    analytic=False,
)
def mandelbrot(cx, cy, steps):
    """Smooth escape count of z -> z*z + c, only where z has not escaped."""
    x, y = np.zeros_like(cx), np.zeros_like(cx)
    total = np.zeros_like(cx)
    for _ in range(steps):
        inside = x * x + y * y < 4.0
        new = x * x - y * y + cx
        y = np.where(inside, 2 * x * y + cy, y)
        x = np.where(inside, new, x)
        total[inside] += np.log1p(x[inside] ** 2 + y[inside] ** 2)
    return total


def particles(rng, n):
    side = int(np.ceil(n ** (1 / 3)))
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)[:n]
    return (1.2 * grid + 0.05 * rng.normal(size=(n, 3)),)


@kernel(particles, 8, 120)
def lennard_jones(x):
    i, j = np.triu_indices(x.shape[0], 1)
    r2 = np.sum((x[i] - x[j]) ** 2, axis=1)
    s6 = 1.0 / (r2 * r2 * r2)
    return 4.0 * np.sum(s6 * s6 - s6)
