"""Functions of scipy.special at complex arguments: each has one complex derivative, written by its argument z and its value y.

Sources: DLMF 5.2.2 (gamma), 5.15.1 and 25.11.43 (polygamma), 6.2.1 and 6.2.5 (exponential integrals), 7.2 and 7.10 (error functions,
Faddeeva's function).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import errors
from ..tracer import array as traced
from . import complex, special
from .calls import Family, apply
from .dispatch import UFUNCS

Derivative = Callable[[Any, Any], Any]
FAR = 12.0
FARTHEST = 1000.0
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)  # B_2, B_4, ...
TWO_BY_ROOT_PI = 2.0 / math.sqrt(math.pi)


DERIVATIVES: dict[str, Derivative] = {
    "wofz": special.dwofz,
    "erf": lambda z, y: TWO_BY_ROOT_PI * np.exp(-z * z),
    "erfc": lambda z, y: -TWO_BY_ROOT_PI * np.exp(-z * z),
    "erfi": lambda z, y: TWO_BY_ROOT_PI * np.exp(z * z),
    "erfcx": lambda z, y: 2.0 * z * y - TWO_BY_ROOT_PI,
    "dawsn": lambda z, y: 1.0 - 2.0 * z * y,
    "exp1": lambda z, y: -np.exp(-z) / z,
    "expi": lambda z, y: np.exp(z) / z,
    "gamma": lambda z, y: y * recorded("psi", z),
    "loggamma": lambda z, y: recorded("psi", z),
}
ALSO_OF_REAL = ("wofz",)  # complex there as well


def polygamma(n: int, z: Any) -> Any:
    """The n-th derivative of psi, n >= 1: (-1)^(n+1) n! zeta(n + 1, z), summed up to FAR, then by Euler and Maclaurin."""
    if np.min(np.real(z), initial=0.0) < -FARTHEST:
        raise errors.NotDifferentiable(
            f"{traced.where_text()}scipy.special.psi left of -{FARTHEST}: its derivative is a sum of as many terms"
        )
    s, z = n + 1, np.array(z, dtype=np.complex128)
    total = np.zeros_like(z)
    while np.any(near := z.real < FAR + n):
        total[near] += z[near] ** -s
        z[near] += 1.0
    total += z**-n / n + 0.5 * z**-s
    term = s * z ** -(s + 1)
    for j, number in enumerate(BERNOULLI, start=1):
        total += number / math.factorial(2 * j) * term
        term = term * (s + 2 * j - 1) * (s + 2 * j) / (z * z)
    return (-1) ** (n + 1) * math.factorial(n) * total


@functools.cache
def family(name: str) -> Family:
    """A function of scipy.special, or ``psi`` as a family of its derivatives: their order is a parameter."""
    is_psi = name == "psi"

    def derivative(params: Any, z: Any, y: Any) -> Any:
        return recorded(name, z, params[0] + 1) if is_psi else DERIVATIVES[name](z, y)

    def evaluate(params: Any, z: Any) -> Any:
        if params[0]:
            return polygamma(params[0], z).astype(z.dtype)
        with np.errstate(all="ignore"):
            return np.asarray(special.function_of(name)(z))

    def vjp(params: Any, wanted: Any, g: Any, y: Any, z: Any) -> Any:
        return (np.conj(derivative(params, z, y)) * g,)

    def jvp(params: Any, tangents: Any, y: Any, z: Any) -> Any:
        return derivative(params, z, y) * tangents[0]

    return Family(f"scipy.special.{name}", evaluate, vjp, jvp, "complex")


def recorded(name: str, z: Any, order: int = 0) -> Any:
    """Record one of the functions, or psi's derivative of this order."""
    shape = np.shape(z)
    y = apply(family(name), (order,), shape or (1,), z if shape else np.reshape(z, (1,)))
    return y if shape else y[0]


complex.ELEMENTWISE.update({name: functools.partial(recorded, name) for name in (*DERIVATIVES, "psi")})
complex.ELEMENTWISE["digamma"] = complex.ELEMENTWISE["psi"]
UFUNCS.update({name: functools.partial(recorded, name) for name in ALSO_OF_REAL})
