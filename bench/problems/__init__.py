"""The benchmark problems: plain NumPy that knows nothing of adcore, each with a hand-derived gradient."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import Any

DATA = pathlib.Path(os.environ.get("ADCORE_DATA", pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"))


@dataclasses.dataclass
class Problem:
    """A scalar function, where to differentiate it, and the gradient it should have.

    ``by_hand`` is value and gradient in NumPy as one would write them for speed, where such a version is named.
    """

    name: str
    size: str
    fun: Callable[..., Any]
    args: tuple[Any, ...]
    argnums: tuple[int, ...]
    reference: Callable[..., tuple[Any, ...]]
    by_hand: Callable[..., tuple[Any, tuple[Any, ...]]] | None = None


def numbers(path: pathlib.Path) -> Any:
    """All numbers of a file, in order."""
    return iter(path.read_text().split())


def problem(name: str, size: str | None = None) -> Problem:
    """One instance of a problem by name; the default size when none is given."""
    import importlib

    return importlib.import_module(f"bench.problems.{name}").instance(size)


NAMES = ("elementwise", "gmm", "lstm", "ba", "fft", "ode", "rk4", "mlp", "gp", "logistic", "rosenbrock", "straightline", "pip")
