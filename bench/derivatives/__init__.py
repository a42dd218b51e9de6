"""What derivatives beyond a first gradient cost: matrices, calls of compiled gradients, a sampler, long loops.

One file a part: ``cases(quick)`` gives names and functions that measure a list of `Row`, of which the first is the one that the others
are compared with. ``python -m bench.derivatives`` prints them as one table.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Row:
    """What one tool takes for one case.

    ``best`` is the least seconds of a call and ``first`` those of the first result with all that goes before it; ``error`` is the largest
    relative difference from what the case compares with; ``peak`` counts bytes.
    """

    case: str
    tool: str
    best: float
    first: float | None = None
    error: float | None = None
    peak: float | None = None
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Bound:
    """What is asked of a row's field, as a multiple of a peer's in the same case where one is named."""

    case: str
    tool: str
    what: str
    most: float
    text: str
    scale: float = 1.0
    peer: str | None = None


BOUNDS = (
    Bound("call, Rosenbrock 10", "adcore compiled", "best", 2.0, "us a call", 1e6),
    # the same 2 us where NumPy by hand takes 6.6: microseconds are those of the machine that the bound was set on
    Bound("call, Rosenbrock 10", "adcore compiled", "best", 0.3, "of NumPy by hand", peer="NumPy by hand"),
    Bound("hessian, chained 100000", "adcore sparse", "best", 0.5, "s"),
    Bound("hessian, chained 100000", "adcore sparse", "first", 0.5, "s, first call"),
    Bound("hessian, chained 400000", "adcore sparse", "peak", 500.0, "bytes a variable, 400,000 of them", 1 / 400_000),
    Bound("loop, euler 256 x 256, 10000 steps, 256MB", "adcore", "peak", 256.0, "MB of peak memory", 1e-6),
    Bound("loop, rk4 256 x 256, 10000 steps, 256MB", "adcore", "peak", 256.0, "MB of peak memory", 1e-6),
)
