"""Whole NumPy kernels in the manner of PolyBench and NPBench, written from their textbook definitions.

None of them knows of adcore. A kernel reads and writes its array arguments in place, or returns an
array, or both. ``KERNELS`` lists them; the gradient that tests and ``bench/suite.py`` take is of a weighted sum of all that a kernel
writes and returns, with respect to all its float arrays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np


@dataclasses.dataclass
class Kernel:
    """A kernel, how to make its arguments at a size, and which sizes tests and benchmarks use."""

    name: str
    fun: Callable[..., Any]
    make: Callable[..., tuple[Any, ...]]
    small: tuple[int, ...]
    large: tuple[int, ...]
    analytic: bool

    def arguments(self, size: tuple[int, ...]) -> tuple[Any, ...]:
        return self.make(np.random.default_rng(7), *size)


KERNELS: list[Kernel] = []


def kernel(make: Callable[..., tuple[Any, ...]], small: Any, large: Any, analytic: bool = True) -> Callable[[Any], Any]:
    """Register a kernel: its arguments come from ``make(rng, *size)``; ``analytic`` when it also runs on complex arrays."""

    def register(f: Any) -> Any:
        sizes = [s if isinstance(s, tuple) else (s,) for s in (small, large)]
        KERNELS.append(Kernel(f.__name__, f, make, *sizes, analytic))
        return f

    return register


def loss(k: Kernel) -> Callable[..., Any]:
    """The scalar function of a kernel's float arrays: a weighted sum of what it leaves in them and of what it returns."""

    fun = k.fun

    def weighted(x: Any) -> Any:
        n = x.size
        return np.sum(x.reshape(n) * (np.arange(n) % 7 - 2.5))

    def scalar(*args: Any) -> Any:
        given = [a.copy() if isinstance(a, np.ndarray) and a.dtype.kind in "fc" else a for a in args]
        result = fun(*given)
        total = 0.0
        for x in given:
            if isinstance(x, np.ndarray) and x.dtype.kind in "fc":
                total = total + weighted(x)
        for x in result if isinstance(result, tuple) else (result,):
            if x is not None:
                total = total + (weighted(x) if np.ndim(x) else x)
        return total

    return scalar


def load() -> list[Kernel]:
    """All kernels."""
    from . import linear_algebra, networks, physics, signals, stencils  # noqa: F401  (imported for their registrations)

    return KERNELS
