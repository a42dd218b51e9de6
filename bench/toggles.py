"""What the toggles cost: {checked, unchecked} x {restrict, may-alias} on each problem, as ratios to the default.

Usage: ``python bench/toggles.py [--repeat 15] [--problems gmm ba]``. One thread, repetitions interleaved.
"""

import argparse
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import adcore  # noqa: E402  the thread limits come first
from bench.problems import NAMES, problem  # noqa: E402  the thread limits come first
from bench.study.order import sweep  # noqa: E402  the thread limits come first

MODES = [(False, True), (True, True), (False, False), (True, False)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--problems", nargs="*", choices=NAMES, default=NAMES)
    options = parser.parse_args()
    print(f"{'problem':14s}{'checked+restrict ms':>20s}{'unchecked':>11s}{'may-alias':>11s}{'both off':>10s}   (ratios to the first)")
    for name in options.problems:
        call, _ = sweep(problem(name))
        best = dict.fromkeys(MODES, float("inf"))
        for _ in range(options.repeat + 1):
            for unchecked, noalias in MODES:
                with adcore.config(unchecked=unchecked, noalias=noalias):
                    start = time.perf_counter()
                    call()
                    best[unchecked, noalias] = min(best[unchecked, noalias], time.perf_counter() - start)
        base = best[MODES[0]]
        print(
            f"{name:14s}{1e3 * base:20.3f}{best[MODES[1]] / base:11.3f}{best[MODES[2]] / base:11.3f}{best[MODES[3]] / base:10.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
