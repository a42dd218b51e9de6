"""A multilayer perceptron with softmax cross entropy: size ``784x256x128x10_b128`` or ``..._relu``."""

import itertools

import numpy as np
from scipy.special import logsumexp

from . import Problem


def tanh_fun(x, onehot, *layers):
    return cross_entropy(np.tanh, x, onehot, layers)


def relu_fun(x, onehot, *layers):
    return cross_entropy(lambda a: np.maximum(a, 0.0), x, onehot, layers)


def cross_entropy(activation, x, onehot, layers):
    """Mean cross entropy; layers are weights [m, n] and biases [n] in turn, the last one linear."""
    h = x
    for k in range(0, len(layers) - 2, 2):
        h = activation(h @ layers[k] + layers[k + 1])
    logits = h @ layers[-2] + layers[-1]
    return np.mean(logsumexp(logits, axis=1) - np.sum(logits * onehot, axis=1))


def by_hand(relu, x, onehot, *layers):
    """Value and gradient in NumPy, as one would write them."""
    h = [x]
    for k in range(0, len(layers) - 2, 2):
        a = h[-1] @ layers[k]
        a += layers[k + 1]
        h.append(np.maximum(a, 0.0, out=a) if relu else np.tanh(a, out=a))
    logits = h[-1] @ layers[-2] + layers[-1]
    shifted = logits - logits.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    value = np.mean(np.log(total[:, 0]) - np.sum(shifted * onehot, axis=1))
    g = (e / total - onehot) / x.shape[0]
    out = []
    for k in range(len(layers) - 2, -1, -2):
        out = [h[k // 2].T @ g, g.sum(axis=0), *out]
        if k:
            g = g @ layers[k].T
            g *= (h[k // 2] > 0.0) if relu else 1.0 - h[k // 2] ** 2
    return value, tuple(out)


def instance(size=None):
    size = size or "784x256x128x10_b128"
    widths, batch, *kind = size.split("_")
    widths = [int(w) for w in widths.split("x")]
    n, relu = int(batch[1:]), kind == ["relu"]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, widths[0]))
    onehot = np.eye(widths[-1])[rng.integers(0, widths[-1], n)]
    layers = []
    for m, k in itertools.pairwise(widths):
        layers += [rng.normal(size=(m, k)) / np.sqrt(m), 0.1 * rng.normal(size=k)]

    def hand(*args):
        return by_hand(relu, *args)

    return Problem(
        "mlp", size, relu_fun if relu else tanh_fun, (x, onehot, *layers), tuple(range(2, 2 + len(layers))),
        lambda *args: hand(*args)[1], hand,
    )  # fmt: skip
