"""A module of the user's, as another one imports it."""

import math
from math import sin

import numpy
import numpy as np
from numpy import zeros


def filled(x):
    """Element by element into an array that NumPy makes."""
    out = zeros(x.size)
    for i in range(x.size):
        out[i] = sin(x[i]) * math.exp(x[i])
    return out


def packed(x):
    return numpy.array([x[0] * x[1], [x[2], 1.0][0]])


class Layer:
    """An object whose method makes arrays."""

    scale = 2.0

    def __init__(self, w):
        self.w = w

    @property
    def doubled(self):
        return np.array([self.scale * w for w in self.w])

    def __call__(self, x):
        if not isinstance(x, np.ndarray):
            raise TypeError("an array is wanted")
        out = np.empty(x.size)
        for i in range(x.size):
            out[i] = x[i] * self.doubled[i]
        return out

    @staticmethod
    def total(x):
        return np.full(1, np.sum(x))[0]


TABLE = {"filled": filled, "packed": packed}
