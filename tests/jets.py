"""Truncated Taylor series in several variables, in plain Python: derivatives of NumPy functions that owe adcore nothing.

A `Jet` is a number; an object array of them goes through the same NumPy function as floats do.
"""

import functools
import itertools
import math

import numpy as np

ORDER = 3


@functools.cache
def monomials(n):
    """The exponents of all monomials in n variables up to ORDER, and their places."""
    found = [m for m in itertools.product(range(ORDER + 1), repeat=n) if sum(m) <= ORDER]
    found.sort(key=sum)
    return found, {m: k for k, m in enumerate(found)}


@functools.cache
def products(n):
    """Three index arrays: the product of monomials a and b is monomial c, where its degree does not exceed ORDER."""
    found, place = monomials(n)
    triples = [
        (i, j, place[total])
        for (i, a), (j, b) in itertools.product(enumerate(found), repeat=2)
        if sum(total := tuple(map(sum, zip(a, b, strict=True)))) <= ORDER
    ]
    return tuple(np.array(column) for column in zip(*triples, strict=True))


def of_numbers(method):
    """An operator that leaves arrays to NumPy."""
    return lambda self, other: NotImplemented if isinstance(other, np.ndarray) else method(self, other)


class Jet:
    """A number with its Taylor coefficients."""

    def __init__(self, n, c):
        self.n, self.c = n, c

    def of(self, other):
        if isinstance(other, Jet):
            return other
        c = np.zeros_like(self.c)
        c[0] = other
        return Jet(self.n, c)

    def composed(self, derivatives):
        """A function of it, from the function's derivatives at its value."""
        rest = Jet(self.n, self.c.copy())
        rest.c[0] = 0.0
        total, power = self.of(derivatives[0]), self.of(1.0)
        for k, d in enumerate(derivatives[1:], 1):
            power = power * rest
            total = total + power * (d / math.factorial(k))
        return total

    @of_numbers
    def __add__(self, other):
        return Jet(self.n, self.c + self.of(other).c)

    @of_numbers
    def __mul__(self, other):
        if not isinstance(other, Jet):
            return Jet(self.n, self.c * float(other))
        i, j, k = products(self.n)
        return Jet(self.n, np.bincount(k, self.c[i] * other.c[j], len(self.c)))

    def __neg__(self):
        return Jet(self.n, -self.c)

    @of_numbers
    def __sub__(self, other):
        return self + -self.of(other)

    @of_numbers
    def __rsub__(self, other):
        return self.of(other) - self

    @of_numbers
    def __truediv__(self, other):
        return self * self.of(other) ** -1

    @of_numbers
    def __rtruediv__(self, other):
        return self.of(other) * self**-1

    def __pow__(self, p):
        if isinstance(p, int) and p >= 0:
            return functools.reduce(lambda a, b: a * b, [self] * p, self.of(1.0))
        x, factor, found = self.c[0], 1.0, []
        for k in range(ORDER + 1):
            found.append(factor * x ** (p - k))
            factor *= p - k
        return self.composed(found)

    __radd__, __rmul__ = __add__, __mul__

    @of_numbers
    def __lt__(self, other):
        return self.c[0] < self.of(other).c[0]

    @of_numbers
    def __gt__(self, other):
        return self.c[0] > self.of(other).c[0]

    @of_numbers
    def __le__(self, other):
        return not self > other

    @of_numbers
    def __ge__(self, other):
        return not self < other

    def __float__(self):
        return float(self.c[0])

    def conjugate(self):
        return self

    def sqrt(self):
        return self**0.5

    def exp(self):
        return self.composed([math.exp(self.c[0])] * (ORDER + 1))

    def log(self):
        x = self.c[0]
        return self.composed([math.log(x), 1 / x, -1 / x**2, 2 / x**3])

    def sin(self):
        s, c = math.sin(self.c[0]), math.cos(self.c[0])
        return self.composed([s, c, -s, -c])

    def cos(self):
        s, c = math.sin(self.c[0]), math.cos(self.c[0])
        return self.composed([c, -s, -c, s])

    def sinh(self):
        return (self.exp() - (-self).exp()) * 0.5

    def cosh(self):
        return (self.exp() + (-self).exp()) * 0.5

    def tanh(self):
        return self.sinh() / self.cosh()


def variables(x):
    """The elements of a vector as jets in as many variables."""
    n = len(x)
    found, place = monomials(n)
    jets = np.empty(n, dtype=object)
    for k, value in enumerate(x):
        c = np.zeros(len(found))
        c[0], c[place[tuple(int(j == k) for j in range(n))]] = value, 1.0
        jets[k] = Jet(n, c)
    return jets


def derivatives(f, x):
    """Value and derivatives of f up to ORDER: arrays of shape f(x).shape + x.shape * order."""
    x = np.asarray(x, dtype=float)
    n = len(x)
    _, place = monomials(n)
    y = np.asarray(f(variables(x)), dtype=object)
    found = []
    for order in range(ORDER + 1):
        d = np.zeros(y.shape + (n,) * order)
        for at in np.ndindex(y.shape):
            c = y[at].c if isinstance(y[at], Jet) else None
            for along in itertools.product(range(n), repeat=order):
                exponents = tuple(along.count(k) for k in range(n))
                factor = math.prod(map(math.factorial, exponents))
                d[at + along] = (0.0 if order else float(y[at])) if c is None else factor * c[place[exponents]]
        found.append(d)
    return found
