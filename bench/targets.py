"""What is asked of the engine: bounds on ratios of times measured in one run, on times, and on memory.

A target bounds ``what`` of adcore: the ``best`` time of a call that records anew (adcore) or replays (compiled), the time of the
``first`` call, its ``peak`` memory, or ``line``, the nanoseconds of a live line and sweep of straight-line code; as a multiple of what a
peer takes, or in milliseconds where no peer is named. Milliseconds are those of the machine the target was set on.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Target:
    spec: str
    what: str
    ours: str
    peer: str | None
    most: float

    @property
    def text(self) -> str:
        unit = {"line": "ns a live line and sweep"}.get(self.what, "ms")
        what = {"first": ", first call", "peak": ", peak memory"}.get(self.what, "")
        return f"{self.ours}{what} / {self.peer}" if self.peer else f"{self.ours}{what}, {unit}"


def ratios(specs: str, ours: str, **most: float) -> list[Target]:
    return [Target(spec, "best", ours, peer, bound) for spec in specs.split() for peer, bound in most.items()]


def milliseconds(spec: str, ours: str, most: float, what: str = "best") -> Target:
    return Target(spec, what, ours, None, most)


MATRIX = "mlp:784x256x128x10_b128"
GMM = "gmm:d10_K25 gmm:d20_K50 gmm:d32_K100 gmm:d64_K50"
ALL = (
    *ratios("elementwise:1000", "adcore", jax=0.5),
    *ratios("elementwise:100000 elementwise:10000000", "adcore", jax=0.4, c=1.25, numpy=0.6),
    *ratios(GMM, "adcore", jax=0.67),
    *ratios(GMM.partition(" ")[2], "adcore", numpy=1.0),
    milliseconds("ba_blocks", "compiled", 4.2),
    milliseconds("lstm:l2_c1024", "compiled", 2.5),
    milliseconds("lstm:l2_c1024", "adcore", 12.0),
    *ratios("fft:1024 fft:65536 fft:1048576", "adcore", jax=1.0),
    *ratios("fft:65536 fft:1048576", "adcore", c_plain=2.0, numpy=0.8),
    *ratios("ode:32 ode:256", "compiled", c=1.5),
    milliseconds("ode:32", "adcore", 0.025),
    *ratios("ode:256", "adcore", numpy=0.35),
    *ratios("rk4:32 rk4:256", "adcore", numpy=0.5),
    *ratios(MATRIX, "adcore", torch=1.0),
    *ratios("gp:200 gp:1000", "adcore", hand=1.0),
    *ratios("logistic:10000x100", "adcore", hand=1.2),
    milliseconds("logistic:100x10", "adcore", 0.025),
    milliseconds("rosenbrock:10", "adcore", 0.025),
    *(milliseconds(f"straightline:{n}", "adcore", ms, "first") for n, ms in ((500, 2.0), (2500, 10.0), (50000, 150.0))),
    *ratios("straightline:500 straightline:2500 straightline:50000", "compiled", casadi=1.0),
    *(milliseconds(f"straightline:{n}", "compiled", 3.0, "line") for n in (500, 2500, 50000)),
    *(Target(spec, "peak", "adcore", "numpy", 2.0) for spec in f"elementwise:100000 elementwise:10000000 {GMM} ode:32 ode:256".split()),
    *(Target(spec, "peak", "adcore", "jax", 1.0) for spec in ("rk4:32", "rk4:256")),
)


def of(spec: str) -> list[Target]:
    return [t for t in ALL if t.spec == spec]
