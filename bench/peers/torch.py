"""PyTorch: eager, float64, ``torch.autograd.grad``."""

import math
import os

import numpy as np
import torch

from ..problems import gmm

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


def lstm(main, extra, state, text):
    hidden, cell = [h for h in state[0::2]], [c for c in state[1::2]]
    total = 0.0
    bits = text.shape[1]
    weights, biases = main[0::2].reshape(-1, 4, bits), main[1::2].reshape(-1, 4, bits)
    for t in range(text.shape[0] - 1):
        x = text[t] * extra[0]
        for k in range(len(hidden)):
            w, b = weights[k], biases[k]
            f, o = torch.sigmoid(x * w[0] + b[0]), torch.sigmoid(x * w[2] + b[2])
            i, c = torch.sigmoid(hidden[k] * w[1] + b[1]), torch.tanh(hidden[k] * w[3] + b[3])
            cell[k] = cell[k] * f + i * c
            hidden[k] = o * torch.tanh(cell[k])
            x = hidden[k]
        y = x * extra[1] + extra[2]
        total = total + torch.sum(text[t + 1] * (y - torch.log(2.0 + torch.sum(torch.exp(y)))))
    return -total / (text.shape[0] - 1) / bits


def brusselator(state, params, s, seed):
    u, v = state[0], state[1]

    def laplacian(u):
        p = torch.nn.functional.pad(u[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
        return p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4.0 * u

    a = params[2] * (u.shape[0] - 1) ** 2
    du = a * laplacian(u) + params[1] + u * u * v - (params[0] + 1.0) * u + s
    dv = a * laplacian(v) + params[0] * u - u * u * v
    return torch.sum(seed[0] * du) + torch.sum(seed[1] * dv)


MAKERS = {
    "elementwise": lambda p: differentiated(elementwise, p),
    "gmm": mixture,
    "lstm": lambda p: differentiated(lstm, p),
    "ode": lambda p: differentiated(brusselator, p),
    "mlp": mlp,
    "logistic": lambda p: differentiated(logistic, p),
    "gp": lambda p: differentiated(gp, p),
}
