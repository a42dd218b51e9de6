"""Random functions of one array made of shifted reads, borders and boxes that are written: what windows are found in."""

from __future__ import annotations

import numpy as np

SHAPES = ((7,), (4, 5), (1, 6), (6, 3), (3, 4, 3), (2, 1, 4), (2, 2, 3, 3))
MODES = ("edge", "constant", "wrap", "reflect", "symmetric")


def box(rng, shape):
    """A random box of an array, as slices."""
    cut = []
    for n in shape:
        start = int(rng.integers(0, min(n, 3)))
        cut.append(slice(start, int(rng.integers(start + 1, n + 1))))
    return tuple(cut)


def padded(rng, a):
    widths = [tuple(int(k) for k in rng.integers(0, min(n, 3), 2)) for n in a.shape]
    if rng.random() < 0.5:
        widths = [(1, 1)] * a.ndim
    mode = MODES[rng.integers(len(MODES))]
    if mode == "reflect":
        widths = [w if n > max(w) else (0, 0) for w, n in zip(widths, a.shape, strict=True)]
    return np.pad(a, widths, mode=mode)


def like(rng, a, shape):
    """A part of an array with this shape, or the array repeated until there is one."""
    while any(n < m for n, m in zip(a.shape, shape, strict=True)):
        a = np.concatenate([a, 0.5 * a], axis=next(k for k, (n, m) in enumerate(zip(a.shape, shape, strict=True)) if n < m))
    starts = [int(rng.integers(0, n - m + 1)) for n, m in zip(a.shape, shape, strict=True)]
    return a[tuple(slice(s, s + m) for s, m in zip(starts, shape, strict=True))]


def written(rng, a, others):
    """An array with boxes of others stored in it, or added to it."""
    out = a.copy() if rng.random() < 0.4 else np.zeros_like(a)
    for _ in range(rng.integers(1, 5)):
        where = box(rng, out.shape)
        x = like(rng, others[rng.integers(len(others))], out[where].shape)
        x = x * 0.7 if rng.random() < 0.3 else x
        if rng.random() < 0.5:
            out[where] = x
        else:
            out[where] += x
    return out


def function(seed):
    """The shape of the argument, and the function."""
    shape = SHAPES[np.random.default_rng(seed).integers(len(SHAPES))]

    def f(u):
        rng = np.random.default_rng(seed + 1)
        arrays = [u, np.sin(u)]
        for _ in range(rng.integers(2, 7)):
            a = arrays[rng.integers(len(arrays))]
            kind = rng.integers(7)
            if kind == 0:
                a = padded(rng, a)
            elif kind == 1:
                a = np.roll(a, int(rng.integers(-3, 4)), int(rng.integers(a.ndim)))
            elif kind == 2:
                a = written(rng, a, arrays)
            elif kind == 3:
                a = a[box(rng, a.shape)]
            elif kind == 4:
                a = a - 0.5 * like(rng, arrays[rng.integers(len(arrays))], a.shape)
            elif kind == 5:
                a = a[::-1] if rng.random() < 0.3 else np.tanh(a) * like(rng, arrays[rng.integers(len(arrays))], a.shape)
            else:
                a = 0.25 * (like(rng, padded(rng, a), a.shape) + like(rng, padded(rng, a), a.shape)) - a
            arrays.append(a)
        return sum(np.sum(a**2 * (0.3 + 0.1 * k)) for k, a in enumerate(arrays[-3:]))

    return shape, f
