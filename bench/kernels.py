"""Nanoseconds per element of each kernel, per build, against NumPy on the same block.

Usage: ``python bench/kernels.py [--n 512] [--op exp ...] [--builds checked_noalias_v4 ...]``. NumPy's figure holds
its call (about 0.4 us, shared by n elements); the ratio is NumPy's time over ours.
"""

from __future__ import annotations

import argparse
import importlib
import timeit

import numpy as np
from numpy.lib.stride_tricks import as_strided

from adcore import optable
from adcore.kernels import cpu, probe

LEVELS = ("baseline", "v3", "v4")[: cpu.level() + 1]
INSIDE = {"arccosh": (1.1, 9.0), "power": (0.1, 5.0)}


def builds():
    """Name -> table of each build that is here and runs."""
    found = {}
    for name in [f"{s}_{a}_{isa}" for isa in LEVELS for s in ("checked", "unchecked") for a in ("alias", "noalias")]:
        try:
            found[name] = importlib.import_module(f"adcore.kernels.{name}").table
        except ModuleNotFoundError:
            continue
    return found


def numpy_seconds(row, x, repeats):
    """NumPy's time for the same op on the same block, or None."""
    ufunc = getattr(np, row.ufunc, None) if row.ufunc else None
    if ufunc is None:
        special = importlib.import_module("scipy.special")
        ufunc = getattr(special, row.name, None)
    if not isinstance(ufunc, np.ufunc):
        return None
    out = ufunc(*x)
    return min(timeit.repeat(lambda: ufunc(*x, out=out), number=repeats, repeat=10))


def elementwise(tables, n, repeats, only):
    rng = np.random.default_rng(0)
    print(f"{'op':14s}" + "".join(f"{name.replace('checked', 'chk'):>24s}" for name in tables) + f"{'NumPy':>10s}{'ratio':>8s}")
    for opcode, row in enumerate(optable.ROWS[: optable.N_ELEMENTWISE]):
        if only and row.name not in only:
            continue
        low, high = INSIDE.get(row.name, (0.05, 0.95))
        x = [rng.uniform(low, high, n) for _ in row.args]
        ours = [probe.seconds(table, opcode, repeats, *x) / repeats / n * 1e9 for table in tables.values()]
        theirs = numpy_seconds(row, x, repeats)
        tail = f"{'':>10s}" if theirs is None else f"{theirs / repeats / n * 1e9:10.2f}{theirs / repeats / n * 1e9 / min(ours):8.1f}"
        print(f"{row.name:14s}" + "".join(f"{t:24.2f}" for t in ours) + tail)


def memory(tables, repeats):
    a, w = np.random.default_rng(0).random(4096), np.zeros(4096)
    loads = {
        "unit stride": a[:512], "stride 2": a[:1024:2], "reversed": a[511::-1], "stride 3": a[:1536:3],
        "one element": np.broadcast_to(a[:1], (512,)), "transposed 16x32": a[:512].reshape(32, 16).T,
        "columns 2x256": a[:512].reshape(2, 256).T, "columns 3x170": a[:510].reshape(3, 170).T,
        "inner slice 25x19": a[:500].reshape(25, 20)[:, 1:], "row broadcast 25x20": np.broadcast_to(a[:20], (25, 20)),
        "column broadcast 25x20": np.broadcast_to(a[:25, None], (25, 20)), "8x8x8 of 16x16x16": a.reshape(16, 16, 16)[:8, :8, :8],
    }  # fmt: skip
    stores = {
        "unit stride": ((512,), (8,)), "stride 2": ((512,), (16,)), "sum of all": ((512,), (0,)),
        "sums of rows 25x20": ((25, 20), (8, 0)), "sums of rows 128x4": ((128, 4), (8, 0)),
        "sums of columns 25x20": ((25, 20), (0, 8)), "sums of columns 170x3": ((170, 3), (0, 8)), "transposed": ((32, 16), (8, 256)),
    }  # fmt: skip
    print(f"\n{'load':30s}" + "".join(f"{name:>26s}" for name in tables))
    for name, x in loads.items():
        print(f"{name:30s}" + "".join(f"{probe.seconds_load(t, x, repeats) / repeats / x.size * 1e9:26.2f}" for t in tables.values()))
    print(f"\n{'store, added':30s}" + "".join(f"{name:>26s}" for name in tables))
    for name, (shape, strides) in stores.items():
        x = as_strided(w, shape, strides)
        times = [probe.seconds_store(t, x, "add", repeats) / repeats / x.size * 1e9 for t in tables.values()]
        print(f"{name:30s}" + "".join(f"{t:26.2f}" for t in times))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=500)
    parser.add_argument("--op", nargs="*")
    parser.add_argument("--builds", nargs="*")
    options = parser.parse_args()
    tables = builds()
    wanted = options.builds or [f"checked_noalias_{isa}" for isa in LEVELS]
    tables = {name: table for name, table in tables.items() if name in wanted}
    if not tables:
        raise SystemExit(f"none of the builds {', '.join(wanted)} is here; there are {', '.join(builds())}")
    elementwise(tables, options.n, options.repeats, options.op)
    if not options.op:
        memory(tables, options.repeats)


if __name__ == "__main__":
    main()
