"""Long short-term memory: ADBench's per-character loss, one small vector at a time."""

import numpy as np

from . import DATA, Problem, numbers


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def fun(main, extra, state, text):
    layers = main.shape[0] // 2
    hidden = [state[2 * k] for k in range(layers)]
    cell = [state[2 * k + 1] for k in range(layers)]
    bits = text.shape[1]
    total = 0.0
    for t in range(text.shape[0] - 1):
        x = text[t] * extra[0]
        for k in range(layers):
            w, b = main[2 * k], main[2 * k + 1]
            f = sigmoid(x * w[:bits] + b[:bits])
            i = sigmoid(hidden[k] * w[bits : 2 * bits] + b[bits : 2 * bits])
            o = sigmoid(x * w[2 * bits : 3 * bits] + b[2 * bits : 3 * bits])
            c = np.tanh(hidden[k] * w[3 * bits :] + b[3 * bits :])
            cell[k] = cell[k] * f + i * c
            hidden[k] = o * np.tanh(cell[k])
            x = hidden[k]
        y = x * extra[1] + extra[2]
        total = total + np.sum(text[t + 1] * (y - np.log(2.0 + np.sum(np.exp(y)))))
    return -total / ((text.shape[0] - 1) * bits)


def reference(main, extra, state, text):
    """Backpropagation through time, by hand."""
    layers, bits = main.shape[0] // 2, text.shape[1]
    hidden = [state[2 * k].copy() for k in range(layers)]
    cell = [state[2 * k + 1].copy() for k in range(layers)]
    steps = []
    for t in range(len(text) - 1):
        x = text[t] * extra[0]
        record = []
        for k in range(layers):
            w, b = main[2 * k].reshape(4, bits), main[2 * k + 1].reshape(4, bits)
            f, i, o = sigmoid(x * w[0] + b[0]), sigmoid(hidden[k] * w[1] + b[1]), sigmoid(x * w[2] + b[2])
            c = np.tanh(hidden[k] * w[3] + b[3])
            old_hidden, old_cell = hidden[k], cell[k]
            cell[k] = old_cell * f + i * c
            th = np.tanh(cell[k])
            hidden[k] = o * th
            record.append((x, old_hidden, old_cell, f, i, o, c, th))
            x = hidden[k]
        y = x * extra[1] + extra[2]
        e = np.exp(y)
        steps.append((record, x, e, text[t + 1], text[t]))
    g_main, g_extra = np.zeros_like(main), np.zeros_like(extra)
    g_hidden, g_cell = [np.zeros(bits) for _ in range(layers)], [np.zeros(bits) for _ in range(layers)]
    scale = -1.0 / ((len(text) - 1) * bits)
    for record, x_last, e, target, source in reversed(steps):
        gy = scale * (target - target.sum() * e / (2.0 + e.sum()))
        g_extra[1] += gy * x_last
        g_extra[2] += gy
        gx = gy * extra[1]
        for k in reversed(range(layers)):
            x, h, c0, f, i, o, c, th = record[k]
            w = main[2 * k].reshape(4, bits)
            gh = g_hidden[k] + gx
            gc = g_cell[k] + gh * o * (1 - th * th)
            z = np.stack([gc * c0 * f * (1 - f), gc * c * i * (1 - i), gh * th * o * (1 - o), gc * i * (1 - c * c)])
            g_main[2 * k] += (z * np.stack([x, h, x, h])).reshape(-1)
            g_main[2 * k + 1] += z.reshape(-1)
            g_cell[k] = gc * f
            g_hidden[k] = z[1] * w[1] + z[3] * w[3]
            gx = z[0] * w[0] + z[2] * w[2]
        g_extra[0] += gx * source
    return g_main, g_extra


def generate(layers, chars, bits, seed=0):
    rng = np.random.default_rng(seed)
    text = (rng.random((chars, bits)) < 0.5).astype(float)
    return (
        rng.normal(size=(2 * layers, 4 * bits)) * 0.3,
        rng.normal(size=(3, bits)) * 0.3,
        rng.normal(size=(2 * layers, bits)) * 0.3,
        text,
    )


def read(path):
    it = numbers(path)
    layers, chars, bits = (int(next(it)) for _ in range(3))
    take = lambda r, c: np.array([float(next(it)) for _ in range(r * c)]).reshape(r, c)  # noqa: E731
    return take(2 * layers, 4 * bits), take(3, bits), take(2 * layers, bits), take(chars, bits)


def instance(size=None):
    size = size or "l2_c1024"
    layers, chars = (int(part[1:]) for part in size.split("_"))
    path = DATA / "adbench" / f"lstm_{size}.txt"
    args = read(path) if path.exists() else generate(layers, chars, 14)
    return Problem("lstm", size, fun, args, (0, 1), reference)
