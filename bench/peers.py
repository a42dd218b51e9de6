"""The problems as an expert user of each peer would write them: value and gradient, float64.

``PEERS[tool]`` imports the tool and gives ``{problem: make}``, where ``make(problem)`` returns a function without
arguments that computes value and gradient and waits for them.
"""

from __future__ import annotations

import math

import numpy as np

from .problems import gmm, lstm


def numpy_primal():
    """Plain NumPy, the value alone."""
    return dict.fromkeys(("elementwise", "gmm", "lstm", "ba", "fft", "ode"), lambda p: lambda: (p.fun(*p.args), None))


def adcore_():
    import adcore

    def make(p):
        f = adcore.value_and_grad(p.fun, argnums=p.argnums)
        return lambda: f(*p.args)

    return dict.fromkeys(("elementwise", "gmm", "lstm", "ba", "fft", "ode"), make)


def jax_():
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp
    from jax.scipy.special import logsumexp

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

    def brusselator(state, params, s, seed):
        u, v = state

        def laplacian(u):
            p = jnp.pad(u, 1, mode="edge")
            return p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4.0 * u

        a = params[2] * (u.shape[0] - 1) ** 2
        du = a * laplacian(u) + params[1] + u * u * v - (params[0] + 1.0) * u + s
        dv = a * laplacian(v) + params[0] * u - u * u * v
        return jnp.sum(seed[0] * du) + jnp.sum(seed[1] * dv)

    def elementwise(x):
        return jnp.sum(jnp.tanh(x) * jnp.exp(-(x**2)) + jnp.log1p(x**2) * jnp.sin(x))

    def better_gmm(p):
        import time

        forms = [compiled(gmm_form(centered), p) for centered in (True, False)]

        def seconds(f):
            f()
            start = time.perf_counter()
            f()
            return time.perf_counter() - start

        return min(forms, key=seconds)

    return {
        "elementwise": lambda p: compiled(elementwise, p),
        "gmm": better_gmm,
        "lstm": lambda p: compiled(lstm_scan, p),
        "ode": lambda p: compiled(brusselator, p),
    }


def autograd_():
    import autograd
    import autograd.numpy as anp

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

    return {
        "elementwise": lambda p: with_value(elementwise, p),
        "lstm": lambda p: with_value(lstm_loop, p),
        "ode": lambda p: with_value(brusselator, p),
    }


PEERS = {"adcore": adcore_, "numpy": numpy_primal, "jax": jax_, "autograd": autograd_}
