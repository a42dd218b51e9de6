"""Forward passes of neural networks in NumPy."""

import itertools

import numpy as np

from . import kernel


def relu(x):
    return np.maximum(x, 0)


def softmax_of(x):
    top = np.max(x, axis=-1, keepdims=True)
    e = np.exp(x - top)
    return e / np.sum(e, axis=-1, keepdims=True)


@kernel(lambda rng, n, h, m: (rng.normal(size=(n, h, m, m)),), (2, 2, 4), (8, 8, 64), analytic=False)
def softmax(x):
    return softmax_of(x)


def layers(rng, n, *widths):
    weights = [rng.normal(size=s) / np.sqrt(s[0]) for s in itertools.pairwise(widths)]
    biases = [0.1 * rng.normal(size=w) for w in widths[1:]]
    return rng.normal(size=(n, widths[0])), *(a for pair in zip(weights, biases, strict=True) for a in pair)


@kernel(layers, (3, 5, 4, 4, 3), (64, 300, 128, 128, 10), analytic=False)
def mlp(x, w1, b1, w2, b2, w3, b3):
    x = relu(x @ w1 + b1)
    x = relu(x @ w2 + b2)
    return softmax_of(x @ w3 + b3)


def convolution(x, weights, bias):
    """Valid convolution of x [n, h, w, cin] with weights [k, k, cin, cout], one output pixel at a time."""
    k = weights.shape[0]
    n, h, w = x.shape[0], x.shape[1] - k + 1, x.shape[2] - k + 1
    out = np.empty((n, h, w, weights.shape[3]), dtype=x.dtype)
    for i in range(h):
        for j in range(w):
            out[:, i, j, :] = np.sum(x[:, i : i + k, j : j + k, :, np.newaxis] * weights[np.newaxis, :, :, :], axis=(1, 2, 3))
    return out + bias


def images(rng, n, size, cin, cout, k):
    return rng.normal(size=(n, size, size, cin)), rng.normal(size=(k, k, cin, cout)), rng.normal(size=cout)


@kernel(images, (2, 6, 2, 3, 3), (4, 16, 3, 8, 5))
def conv2d(x, weights, bias):
    return convolution(x, weights, bias)


def pooled(x):
    """Maxima of 2 x 2 windows, one output pixel at a time."""
    out = np.empty((x.shape[0], x.shape[1] // 2, x.shape[2] // 2, x.shape[3]), dtype=x.dtype)
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            out[:, i, j, :] = np.max(x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, :], axis=(1, 2))
    return out


def lenet_parameters(rng, n, size):
    after = ((size - 4) // 2 - 4) // 2
    shapes = [(5, 5, 1, 6), (6,), (5, 5, 6, 16), (16,), (16 * after * after, 20), (20,), (20, 10), (10,)]
    return rng.normal(size=(n, size, size, 1)), *(rng.normal(size=s) / np.sqrt(np.prod(s[:-1])) for s in shapes)


@kernel(lenet_parameters, (1, 16), (4, 28), analytic=False)
def lenet(x, w1, b1, w2, b2, w3, b3, w4, b4):
    x = pooled(relu(convolution(x, w1, b1)))
    x = pooled(relu(convolution(x, w2, b2)))
    x = np.reshape(x, (x.shape[0], w3.shape[0]))
    return relu(x @ w3 + b3) @ w4 + b4


def block(rng, n, size, c1, c2):
    return (rng.normal(size=(n, size, size, c1)), rng.normal(size=(1, 1, c1, c2)), rng.normal(size=(3, 3, c2, c2)),
            rng.normal(size=(1, 1, c2, c1)))  # fmt: skip


def normalized(x):
    """Batch normalisation without learned scale."""
    mean = np.mean(x, axis=0, keepdims=True)
    return (x - mean) / np.sqrt(np.var(x, axis=0, keepdims=True) + 1e-5)


@kernel(block, (3, 4, 2, 3), (4, 12, 8, 6), analytic=False)
def resnet_block(x, w1, w2, w3):
    padded = np.zeros((x.shape[0], x.shape[1] + 2, x.shape[2] + 2, w1.shape[3]), dtype=x.dtype)
    padded[:, 1:-1, 1:-1, :] = convolution(x, w1, 0.0)
    y = relu(normalized(padded))
    y = relu(normalized(convolution(y, w2, 0.0)))
    y = normalized(convolution(y, w3, 0.0))
    return relu(y + x)
