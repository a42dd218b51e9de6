"""The parts of the talk's study, one file each: ``run(quick)`` gives a `Section`."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any


@dataclasses.dataclass
class Section:
    """A question, the table that answers it, and bars to draw.

    ``bars`` is ``{group: {label: value}}``; ``unit`` is what the bars count, and ``base`` where they start: 1 for ratios on a
    logarithmic axis.
    """

    name: str
    title: str
    text: str
    columns: Sequence[str]
    rows: list[list[Any]]
    bars: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)
    unit: str = "ms"
    log: bool = False
    base: float = 0.0


def interleaved(calls: dict[Any, Callable[[], Any]], budget: float = 3.0, least: int = 3, most: int = 200) -> dict[Any, float]:
    """Best seconds of each call; one repetition of each in turn, until the budget of seconds is spent."""
    best = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        call()
    start = time.perf_counter()
    for n in range(most):
        if n >= least and time.perf_counter() - start > budget:
            break
        for key, call in calls.items():
            before = time.perf_counter()
            call()
            best[key] = min(best[key], time.perf_counter() - before)
    return best


QUICK = ("gmm:d10_K25", "ba", "lstm:l2_c1024", "fft:65536", "ode:32", "ode:256")
FULL = ("gmm:d10_K25", "gmm:d20_K50", "gmm:d32_K100", "gmm:d64_K50", "ba", "lstm:l2_c1024", "fft:1024", "fft:65536", "fft:1048576",
        "ode:32", "ode:256")  # fmt: skip


def problems(quick: bool) -> list[tuple[str, Any]]:
    from bench.problems import problem

    return [(spec, problem(*spec.split(":"))) for spec in (QUICK if quick else FULL)]


def compiled_gradient(p: Any) -> Callable[[], Any]:
    """A replayed gradient: the sweep and next to nothing else."""
    import adcore

    f = adcore.compile(adcore.value_and_grad(p.fun, argnums=p.argnums))
    return lambda: f(*p.args)


def by_hand(p: Any, **options: Any) -> dict[str, Callable[[], Any]]:
    """The problem's gradient in C by hand, built as ``hand.building`` says; empty without such a version or a compiler."""
    from bench import hand
    from bench.peers import makers

    try:
        known = makers("c")
    except ImportError:
        return {}
    with hand.building(**options):
        return {"C by hand": known[p.name](p)} if p.name in known else {}
