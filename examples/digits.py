"""Neural network: handwritten digits (scikit-learn's bundled 8x8 images) by a small convolutional network in plain NumPy."""

import argparse
import time

import numpy as np

import adcore


def network(params, images):
    """Logits [n, 10] of images [n, 8, 8]: a 3x3 convolution by shifted sums, a pooling, two dense layers."""
    n = images.shape[0]
    hidden = np.zeros((n, 6, 6, params["kernel"].shape[2])) + params["bias"]
    for i in range(3):
        for j in range(3):
            hidden += images[:, i : i + 6, j : j + 6, None] * params["kernel"][i, j]
    hidden = np.maximum(hidden, 0.0)
    pooled = np.max(hidden.reshape(n, 3, 2, 3, 2, -1), axis=(2, 4)).reshape(n, -1)
    return np.tanh(pooled @ params["w1"] + params["b1"]) @ params["w2"] + params["b2"]


def loss(params, images, labels):
    """Mean cross entropy and a little weight decay."""
    logits = network(params, images)
    top = np.max(logits, axis=1, keepdims=True)
    log_total = np.log(np.sum(np.exp(logits - top), axis=1)) + top[:, 0]
    decay = sum(np.sum(params[k] ** 2) for k in ("kernel", "w1", "w2"))
    return np.mean(log_total - logits[np.arange(labels.size), labels]) + 1e-4 * decay


def main(epochs=12, batch=100):
    from sklearn.datasets import load_digits

    rng = np.random.default_rng(0)
    data = load_digits()
    order = rng.permutation(len(data.target))
    images, labels = data.images[order] / 16.0, data.target[order]
    train, test = slice(0, 1400), slice(1400, None)
    params = {
        "kernel": rng.normal(size=(3, 3, 12)) / 3.0, "bias": np.zeros(12),
        "w1": rng.normal(size=(108, 48)) / np.sqrt(108), "b1": np.zeros(48),
        "w2": rng.normal(size=(48, 10)) / np.sqrt(48), "b2": np.zeros(10),
    }  # fmt: skip
    velocity = {k: np.zeros_like(v) for k, v in params.items()}
    f = adcore.compile(adcore.value_and_grad(loss))
    start = time.perf_counter()
    for epoch in range(epochs):
        total = 0.0
        for first in range(0, 1400, batch):
            value, gradient = f(params, images[train][first : first + batch], labels[train][first : first + batch])
            total += float(value)
            for k in params:
                velocity[k] = 0.9 * velocity[k] - 0.1 * gradient[k]
                params[k] = params[k] + velocity[k]
        accuracy = np.mean(np.argmax(network(params, images[test]), axis=1) == labels[test])
        print(f"epoch {epoch + 1:2d}: loss {total / (1400 // batch):.3f}, accuracy on unseen digits {accuracy:.3f}", flush=True)
    print(f"{epochs * 1400 // batch} gradients in {time.perf_counter() - start:.1f} s")
    return accuracy


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
