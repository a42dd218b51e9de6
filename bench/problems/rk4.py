"""Runge-Kutta steps of the 2-D Brusselator: size ``<grid>`` or ``<grid>x<steps>``, a hundred steps when none are given."""

import numpy as np

from . import Problem, ode

DT = 1e-6
STEPS = 100


def adjoint(state, params, s, dt, n):
    """Back through the steps, their states kept and their stages computed again."""
    states = [state]
    for _ in range(n - 1):
        states.append(ode.rk4_step(states[-1], params, s, dt))
    g, g_params = np.ones_like(state), np.zeros_like(params)
    for x in reversed(states):
        inner, slopes = [x], []
        for part in (0.5, 0.5, 1.0):
            slopes.append(ode.rhs(inner[-1], params, s))
            inner.append(x + part * dt * slopes[-1])
        gx, after = g, np.zeros_like(g)
        for weight, part, at in ((1, 0.0, inner[3]), (2, 1.0, inner[2]), (2, 0.5, inner[1]), (1, 0.5, inner[0])):
            after, gp = ode.reference(at, params, s, dt / 6.0 * weight * g + part * dt * after)
            gx, g_params = gx + after, g_params + gp
        g = gx
    return g, g_params


def instance(size=None):
    grid, _, n = (size or "32").partition("x")
    state, params, s, _ = ode.instance(grid).args
    return Problem("rk4", size or "32", ode.steps, (state, params, s, DT, int(n or STEPS)), (0, 1), adjoint)
