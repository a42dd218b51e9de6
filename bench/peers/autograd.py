"""autograd: ``value_and_grad``, with its own NumPy."""

import autograd
import autograd.numpy as anp

from ..problems import lstm


def with_value(f, p):
    g = autograd.value_and_grad(lambda a: f(*a, *p.args[len(p.argnums) :]))
    active = tuple(p.args[k] for k in p.argnums)
    return lambda: g(active)


def lstm_loop(main, extra, state, text):
    original, lstm.np = lstm.np, anp
    try:
        return lstm.fun(main, extra, state, text)
    finally:
        lstm.np = original


def brusselator(state, params, s, seed):
    u, v = state[0], state[1]

    def laplacian(u):
        rows = anp.concatenate([u[:1], u, u[-1:]])
        p = anp.concatenate([rows[:, :1], rows, rows[:, -1:]], axis=1)
        return p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4.0 * u

    a = params[2] * (u.shape[0] - 1) ** 2
    du = a * laplacian(u) + params[1] + u * u * v - (params[0] + 1.0) * u + s
    dv = a * laplacian(v) + params[0] * u - u * u * v
    return anp.sum(seed[0] * du) + anp.sum(seed[1] * dv)


def elementwise(x):
    return anp.sum(anp.tanh(x) * anp.exp(-(x**2)) + anp.log1p(x**2) * anp.sin(x))


MAKERS = {
    "elementwise": lambda p: with_value(elementwise, p),
    "lstm": lambda p: with_value(lstm_loop, p),
    "ode": lambda p: with_value(brusselator, p),
}
