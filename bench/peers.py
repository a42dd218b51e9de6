"""The problems as an expert user of each peer would write them: value and gradient, float64.

``PEERS[tool]`` imports the tool and gives ``{problem: make}``, where ``make(problem)`` returns a function without
arguments that computes value and gradient and waits for them.
"""

from __future__ import annotations

import math

import numpy as np

from .problems import NAMES, gmm, lstm


def numpy_primal():
    """Plain NumPy, the value alone."""
    return dict.fromkeys(NAMES, lambda p: lambda: (p.fun(*p.args), None))


def adcore_():
    import adcore

    def make(p):
        f = adcore.value_and_grad(p.fun, argnums=p.argnums)
        return lambda: f(*p.args)

    return dict.fromkeys(NAMES, make)


def adcore_compiled():
    import adcore

    def make(p):
        f = adcore.compile(adcore.value_and_grad(p.fun, argnums=p.argnums))
        return lambda: f(*p.args)

    return dict.fromkeys(NAMES, make)


def by_hand():
    """Value and gradient written out in NumPy."""

    def make(p):
        return lambda: p.by_hand(*p.args)

    return dict.fromkeys(("mlp", "gp", "logistic"), make)


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
        "mlp": mlp,
        "logistic": lambda p: compiled(logistic, p),
        "gp": lambda p: compiled(gp, p),
    }


def torch_():
    import os

    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))

    def differentiated(f, p):
        args = [torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in p.args]
        active = [args[k].requires_grad_() for k in p.argnums]

        def run():
            value = f(*args)
            return value.detach(), torch.autograd.grad(value, active)

        return run

    def elementwise(x):
        return torch.sum(torch.tanh(x) * torch.exp(-(x**2)) + torch.log1p(x**2) * torch.sin(x))

    def mlp(p):
        activation = torch.relu if p.size.endswith("relu") else torch.tanh
        labels = torch.from_numpy(np.argmax(p.args[1], axis=1))

        def f(x, onehot, *layers):
            h = x
            for k in range(0, len(layers) - 2, 2):
                h = activation(torch.addmm(layers[k + 1], h, layers[k]))
            return torch.nn.functional.cross_entropy(torch.addmm(layers[-1], h, layers[-2]), labels)

        return differentiated(f, p)

    def logistic(w, x, y, penalty):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(torch.mv(x, w), y)
        return loss + 0.5 * penalty * torch.sum(w * w)

    def gp(theta, x, y):
        length, signal, noise = torch.exp(theta)
        squares = torch.sum(x * x, dim=1)
        distances = squares[:, None] + squares[None, :] - 2.0 * (x @ x.T)
        eye = torch.eye(len(y), dtype=x.dtype)
        L = torch.linalg.cholesky(signal**2 * torch.exp(-0.5 * distances / length**2) + noise**2 * eye)
        z = torch.linalg.solve_triangular(L, y[:, None], upper=False)
        return 0.5 * torch.sum(z * z) + torch.sum(torch.log(torch.diagonal(L))) + 0.5 * len(y) * math.log(2 * math.pi)

    def mixture(p):
        k, d = p.args[1].shape
        rows, columns = (torch.from_numpy(a) for a in gmm.lower_triangle(d))
        diagonal = torch.arange(d)

        def f(alphas, means, icf, x, gamma, m):
            n = x.shape[0]
            Q = torch.zeros((k, d, d), dtype=x.dtype)
            Q[:, rows, columns] = icf[:, d:]
            Q[:, diagonal, diagonal] = torch.exp(icf[:, :d])
            q = torch.sum(icf[:, :d], dim=1)
            y = x @ Q.mT - torch.einsum("kij,kj->ki", Q, means)[:, None]
            inside = alphas[:, None] + q[:, None] - 0.5 * torch.sum(y * y, dim=2)
            squares = torch.sum(torch.exp(icf[:, :d]) ** 2) + torch.sum(icf[:, d:] ** 2)
            return (
                -0.5 * n * d * math.log(2 * math.pi)
                + torch.sum(torch.logsumexp(inside, dim=0))
                - n * torch.logsumexp(alphas, dim=0)
                + 0.5 * gamma**2 * squares
                - m * torch.sum(q)
                - k * gmm.constant(d, 1.0, 0)
            )

        return differentiated(f, p)

    return {
        "elementwise": lambda p: differentiated(elementwise, p),
        "gmm": mixture,
        "mlp": mlp,
        "logistic": lambda p: differentiated(logistic, p),
        "gp": lambda p: differentiated(gp, p),
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


PEERS = {
    "adcore": adcore_,
    "compiled": adcore_compiled,
    "numpy": numpy_primal,
    "hand": by_hand,
    "jax": jax_,
    "torch": torch_,
    "autograd": autograd_,
}
