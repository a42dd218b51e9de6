"""Unit directions through sweeps, a few side by side in each: what dense and sparse matrices are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import config
from ..passes.cost import cost
from ..sweep import engine
from .recording import Recording, Shapes, Swept

# directions that go through one sweep: more would push its intermediate values out of the caches
WIDTH = 64
LIKE = 4  # where one mode needs so many times the directions of the other, their number alone decides


def size(shape: Sequence[int]) -> int:
    return int(np.prod(shape, dtype=np.int64))


def width_for(swept: Swept, mode: str, n: int) -> int:
    """How many of n directions go through one sweep: as many as the setting ``memory`` has room for, up to `WIDTH`."""
    width = min(n, WIDTH)
    budget = config.bytes_of(config.current()["memory"])
    program, _ = engine.derived(swept.program, mode, swept.wrt)
    if width > 1 and 8 * width * cost(program)[1] > budget:  # all values at once would not fit; what lives at a time may
        arena = engine.find_plan(program, "arena", lambda: engine.plan_of(program).arena_bytes)
        width = min(width, budget // max(arena, 1))
    return max(1, width)


def operations(swept: Swept, mode: str) -> int:
    """What one direction costs, in elementwise operations."""
    return int(cost(engine.derived(swept.program, mode, swept.wrt)[0])[0])


def cheaper(swept: Swept, forward: int, reverse: int) -> str:
    """The mode that takes less time for so many directions forward, or so many in reverse; forward where they tie."""
    if LIKE * forward <= reverse or LIKE * reverse < forward:
        return "forward" if forward <= reverse else "reverse"
    primal = operations(swept, "value")
    times = {}
    for name, mode, n in (("forward", "push forward", forward), ("reverse", "pull back", reverse)):
        times[name] = n * max(operations(swept, mode) - primal, 1)
    return "forward" if times["forward"] <= times["reverse"] else "reverse"


def unit_seeds(positions: np.ndarray, first: int, last: int, dtype: Any) -> np.ndarray:
    """A row for each element, 1 under the direction that stands at its position if that is one of ``first..last``."""
    seeds = np.zeros((len(positions), last - first), dtype=dtype)
    mine = np.flatnonzero((positions >= first) & (positions < last))
    seeds[mine, positions[mine] - first] = 1.0
    return seeds


def sweeps(swept: Swept, mode: str, positions: np.ndarray, count: int, specs: Shapes, skip: int) -> tuple[list[list[Any]], int]:
    """What ``count`` directions give: for each sweep its outputs after the first ``skip``, and the directions of a sweep.

    ``positions`` has the direction of each element of the seeded arrays, whose shapes and dtypes are ``specs``.
    """
    out = []
    width = width_for(swept, mode, count) if count else 1
    for first in range(0, count, width):
        last = min(first + width, count)
        seeds, at = [], 0
        for shape, dtype in specs:
            n = size(shape)
            seeds.append(unit_seeds(positions[at : at + n], first, last, dtype).reshape((*shape, last - first)))
            at += n
        out.append(swept.run(mode, seeds, last - first)[skip:])
    return out, width


def swept_of(recording: Recording) -> Swept:
    """What was recorded, as it is."""
    return Swept(recording, recording.trace.tape, recording.wrt, recording.trace.inputs)
