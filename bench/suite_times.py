"""Gradients of the whole kernels of ``bench/suite``: time as a multiple of the plain NumPy function.

Usage: ``python bench/suite_times.py [names...] [--repeat 5] [--json FILE]``. One thread, repetitions interleaved.
``first`` is the first gradient, ``again`` a later one that records anew, ``replayed`` one of ``adcore.compile``.
"""

import argparse
import json
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from bench import limit_threads, timed

limit_threads()

import numpy as np  # noqa: E402  the thread limits come first

import adcore  # noqa: E402
from bench import suite  # noqa: E402


def measured(k, repeat):
    args = k.arguments(k.large)
    wrt = tuple(i for i, a in enumerate(args) if isinstance(a, np.ndarray) and a.dtype.kind == "f")
    f = suite.loss(k)
    traced = adcore.value_and_grad(f, argnums=wrt)
    compiled = adcore.compile(traced)
    calls = {"primal": lambda: f(*args), "again": lambda: traced(*args), "replayed": lambda: compiled(*args)}
    first = timed(calls["again"])[0]
    timed(calls["replayed"])
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(repeat):
        for name, call in calls.items():
            best[name] = min(best[name], timed(call)[0])
    return {"name": k.name, "first": first, **best}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    rows = []
    print(f"{'kernel':16s}{'primal ms':>11s}{'first x':>9s}{'again x':>9s}{'replayed x':>11s}   (multiples of the primal)")
    for k in suite.load():
        if options.names and k.name not in options.names:
            continue
        try:
            row = measured(k, options.repeat)
        except adcore.errors.AdcoreError as error:
            print(f"{k.name:16s} {error}")
            continue
        rows.append(row)
        p = row["primal"]
        print(f"{k.name:16s}{1e3 * p:11.3f}{row['first'] / p:9.2f}{row['again'] / p:9.2f}{row['replayed'] / p:11.2f}", flush=True)
    for column in ("again", "replayed"):
        ratios = [row[column] / row["primal"] for row in rows]
        print(f"{column}: median {statistics.median(ratios):.2f} (aim 2), largest {max(ratios):.2f} (aim 8)")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
