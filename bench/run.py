"""Time gradients: the problems, adcore and its peers, interleaved in one run, and what is asked for beside what was found.

Usage: ``python bench/run.py [--quick | --all] [--problems gmm ode] [--peers adcore jax] [--repeat 20] [--threads 1] [--memory]
[--cold] [--json FILE]``. Short calls are repeated for a few milliseconds before the next peer has its turn, as an optimiser repeats
them; with ``--cold`` the peers take turns call by call, and each finds the caches full of the others' data. ``--all`` has every size,
peak memory where it is bounded and two threads where there are two, and ends within a quarter of an hour; ``--quick`` ends within two
minutes and leaves out the slowest tools. Peers that are not installed are left out, and the output says so.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from bench import limit_threads, timed

QUICK = ("elementwise:1000", "elementwise:100000", "gmm:d10_K25", "lstm:l2_c1024", "ba", "fft:1024", "ode:32", "ode:256", "rosenbrock:10",
         "straightline:500")  # fmt: skip
DEFAULT = (*QUICK, "gmm:d20_K50", "fft:65536")
MATRICES = ("mlp:784x256x128x10_b128", "gp:200", "gp:1000", "logistic:100x10", "logistic:10000x100")
SCALAR = ("straightline:2500", "straightline:50000", "pip:A4B_deg6", "pip:A4B_deg6x1000")
LARGE = ("elementwise:10000000", "gmm:d32_K100", "gmm:d64_K50", "ba_blocks", "fft:1048576", "rk4:32", "rk4:256")
ALL = (*DEFAULT, *LARGE, *MATRICES, *SCALAR)
ON_TWO_THREADS = ("elementwise:1000", "elementwise:100000", "elementwise:10000000")
# seconds that a peer may spend on repetitions of a problem, and more than which a call is long enough to stand alone
BUDGET, LONG = 1.5, 3.0
BURST = 5e-3  # seconds of calls of one peer in a turn
SLOW = ("torch", "autograd")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--all", action="store_true", help="also the large sizes, peak memory, two threads")
    size.add_argument("--quick", action="store_true", help="small sizes, few repetitions")
    parser.add_argument("--problems", nargs="*", help="name or name:size")
    parser.add_argument("--peers", nargs="*", help="files of bench/peers; default: all")
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory", action="store_true", help="also the peak memory of each, in a process of its own")
    parser.add_argument("--cold", action="store_true", help="one call of each peer in a turn")
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def pinned(n):
    """Before NumPy is imported: as many threads as asked for, in every tool, on as many processors."""
    limit_threads(n)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n])


def error(gradients, reference):
    """Largest relative difference, each array against its own largest element."""
    import numpy as np

    return max(float(np.max(np.abs(np.asarray(g) - r)) / np.max(np.abs(r))) for g, r in zip(gradients, reference, strict=True))


def warmed(names):
    """The peers that are here, each having loaded what it loads on its first use."""
    from bench.peers import installed
    from bench.problems import problem

    known = installed(names)
    for makers in known.values():
        for warm in ("elementwise:10", "rosenbrock:4"):
            p = problem(*warm.split(":"))
            if p.name in makers:
                makers[p.name](p)()
    return known


def measured(p, known, most, budget, burst):
    """For each peer that can do a problem: seconds of the first call and of later ones, and the error of its gradient.

    The first call is everything a user waits for: set-up, compilation, one gradient. Later ones are timed in turns of
    ``burst`` seconds.
    """
    calls, out, reference = {}, {}, None
    for name, makers in known.items():
        if p.name not in makers:
            continue
        start = time.perf_counter()
        try:
            calls[name] = makers[p.name](p)
        except ValueError as declined:
            print(f"{p.name}:{p.size} without {name}: {declined}")
            continue
        _, gradients = calls[name]()
        out[name] = {"first": time.perf_counter() - start, "error": 0.0, "times": []}
        if gradients is not None:
            reference = p.reference(*p.args) if reference is None else reference
            out[name]["error"] = error(gradients, reference)
    once = {name: timed(call)[0] for name, call in calls.items()}
    turns = {name: 1 if t > LONG else max(3, min(most, int(budget / t))) for name, t in once.items()}
    repeats = {name: max(1, int(burst / t)) for name, t in once.items()}
    for turn in range(max(turns.values(), default=0)):
        for name, call in calls.items():
            if turn < turns[name]:
                out[name]["times"].append(timed(call, repeats[name])[0])
    for row in out.values():
        row["best"], row["median"] = min(row["times"]), sorted(row["times"])[len(row["times"]) // 2]
        del row["times"]
    return out


def found(target, p, rows):
    """The figure that a target bounds; None where it was not measured."""
    ours = rows.get(target.ours, {}).get("best" if target.what == "line" else target.what)
    if ours is None:
        return None
    if target.what == "line":
        from bench.problems.straightline import live, sizes

        return 1e9 * ours / (2 * len(live(*sizes(p.size))))
    if target.peer is None:
        return 1e3 * ours
    theirs = rows.get(target.peer, {}).get(target.what)
    return None if not theirs else ours / theirs


def number(x, width, digits):
    return f"{'' if x is None else f'{x:.{digits}f}':>{width}s}"


def report(spec, rows, verdicts):
    """The rows of a problem; beside a peer's times those of adcore as multiples of them, and the bound with its mark."""
    beside = {(t.peer, t.what): (t, mark) for t, _, mark in verdicts}
    for name, row in rows.items():
        ratio = {ours: rows[ours]["best"] / row["best"] if ours in rows else None for ours in ("adcore", "compiled")}
        target, mark = beside.get((name, "best"), (None, ""))
        peak = row.get("peak")
        print(
            f"{spec:25s}{name:10s}{1e3 * row['first']:10.2f}{1e3 * row['best']:11.4f}{1e3 * row['median']:11.4f}{row['error']:9.1e}"
            f"{number(ratio['adcore'], 13, 2)}{number(ratio['compiled'], 15, 2)}{number(target and target.most, 8, 2)} {mark:5s}"
            f"{number(peak and peak / 1e6, 9, 1)}",
            flush=True,
        )


def main():
    options = arguments()
    pinned(options.threads)
    from bench import targets
    from bench.memory import peak
    from bench.peers import NAMES
    from bench.problems import problem

    start = time.perf_counter()
    known = warmed(options.peers or [name for name in NAMES if not (options.quick and name in SLOW)])
    print(f"\n{'problem':25s}{'peer':10s}{'first ms':>10s}{'best ms':>11s}{'median ms':>11s}{'error':>9s}{'adcore/peer':>13s}"
          f"{'compiled/peer':>15s}{'target':>8s}{'':6s}{'peak MB':>9s}")  # fmt: skip
    every, verdicts = [], []
    most, budget = (min(options.repeat, 7), BUDGET / 4) if options.quick else (options.repeat, BUDGET)
    for spec in options.problems or (ALL if options.all else QUICK if options.quick else DEFAULT):
        p = problem(*spec.split(":"))
        rows = measured(p, known, most, budget, 0.0 if options.cold else BURST)
        bounds = targets.of(spec)
        for name in rows:
            if options.memory or (options.all and any(t.what == "peak" and name in (t.ours, t.peer) for t in bounds)):
                rows[name]["peak"] = peak(spec, name)
        here = [(t, found(t, p, rows)) for t in bounds]
        here = [(t, x, "pass" if x <= t.most else "FAIL") for t, x in here if x is not None]
        report(spec, rows, here)
        verdicts += here
        every += [{"problem": spec, "peer": name, **row} for name, row in rows.items()]
    if verdicts:
        print(f"\n{'target':25s}{'':40s}{'found':>10s}{'at most':>10s}")
        for t, x, mark in verdicts:
            print(f"{t.spec:25s}{t.text:40s}{x:10.3g}{t.most:10.3g}  {mark}")
        print(f"{sum(mark == 'pass' for *_, mark in verdicts)} of {len(verdicts)} targets are reached; {time.perf_counter() - start:.0f} s")
    if options.json:
        marked = [{"target": t.text, "problem": t.spec, "found": x, "most": t.most, "mark": mark} for t, x, mark in verdicts]
        options.json.write_text(json.dumps({"rows": every, "targets": marked}, indent=1))
    if options.all and options.threads == 1 and not options.problems and (os.cpu_count() or 1) > 1:
        print("\non two threads, against two of JAX's", flush=True)
        subprocess.run([sys.executable, __file__, "--threads", "2", "--peers", "adcore", "compiled", "jax", "--problems", *ON_TWO_THREADS])


if __name__ == "__main__":
    main()
