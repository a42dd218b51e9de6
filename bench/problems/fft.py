"""Radix-2 FFT and its inverse, in place on 2N interleaved doubles, one array butterfly a stage."""

import numpy as np

from . import Problem


def bit_reversal(n):
    """Positions after bit reversal of 0..n-1."""
    index = np.zeros(1, dtype=np.int64)
    while index.size < n:
        index = np.concatenate([2 * index, 2 * index + 1])
    return index


def transform(data, sign):
    """In-place decimation in time: data [2n] holds real and imaginary parts in turn."""
    n = data.shape[0] // 2
    z = data.reshape(n, 2)
    z[...] = z[bit_reversal(n)]
    half = 1
    while half < n:
        angle = sign * np.pi * np.arange(half) / half
        c, s = np.cos(angle), np.sin(angle)
        pairs = z.reshape(n // (2 * half), 2, half, 2)
        even_re, even_im = pairs[:, 0, :, 0], pairs[:, 0, :, 1]
        odd_re, odd_im = pairs[:, 1, :, 0], pairs[:, 1, :, 1]
        re = odd_re * c - odd_im * s
        im = odd_re * s + odd_im * c
        pairs[:, 1, :, 0] = even_re - re
        pairs[:, 1, :, 1] = even_im - im
        pairs[:, 0, :, 0] = even_re + re
        pairs[:, 0, :, 1] = even_im + im
        half *= 2


def fun(x):
    """Sum of all outputs of the pair: its gradient is all ones."""
    data = np.array(x)
    transform(data, -1.0)
    transform(data, 1.0)
    data /= x.shape[0] // 2
    return np.sum(data)


def reference(x):
    return (np.ones_like(x),)


def instance(size=None):
    n = int(size or 1024)
    return Problem("fft", str(n), fun, (np.random.default_rng(0).normal(size=2 * n),), (0,), reference)
