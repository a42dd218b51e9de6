"""Time gradients: the problems, adcore and its peers, interleaved in one run.

Usage: ``python bench/run.py [--all] [--problems gmm ode] [--peers adcore jax] [--repeat 20] [--threads 1] [--memory] [--json FILE]``.
Peers that are not installed are left out, and the output says so.
"""

import argparse
import functools
import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

DEFAULT = ("elementwise:100000", "gmm:d10_K25", "gmm:d20_K50", "lstm:l2_c1024", "ba", "fft:65536", "ode:32", "ode:256")
MATRICES = ("mlp:784x256x128x10_b128", "gp:200", "gp:1000", "logistic:100x10", "logistic:10000x100")
SCALAR = ("rosenbrock:10", "straightline:500", "straightline:2500", "straightline:50000", "pip:A4B_deg6", "pip:A4B_deg6x1000")
ALL = (*DEFAULT, "elementwise:1000", "elementwise:10000000", "gmm:d32_K100", "gmm:d64_K50", "fft:1024", "fft:1048576", *MATRICES, *SCALAR)
# what issue and design ask for: (peer, most that adcore's time may be of the peer's)
TARGETS = {
    "elementwise:1000": {"jax": 0.5},
    "elementwise:100000": {"jax": 0.4, "numpy": 0.6},
    "elementwise:10000000": {"jax": 0.4, "numpy": 0.6},
    "gmm:d10_K25": {"jax": 0.67},
    "gmm:d20_K50": {"jax": 0.67, "numpy": 1.0},
    "gmm:d32_K100": {"jax": 0.67, "numpy": 1.0},
    "gmm:d64_K50": {"jax": 0.67, "numpy": 1.0},
    "lstm:l2_c1024": {"jax": 1.7, "autograd": 0.1},
    "fft:65536": {"numpy": 0.8},
    "fft:1048576": {"numpy": 0.8},
    "ode:32": {"jax": 0.8, "autograd": 0.1},
    "ode:256": {"numpy": 0.35},
    "mlp:784x256x128x10_b128": {"torch": 1.0},
    "gp:200": {"hand": 1.0},
    "gp:1000": {"hand": 1.0},
    "logistic:10000x100": {"hand": 1.2},
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="also the large sizes")
    parser.add_argument("--problems", nargs="*", help="name or name:size")
    parser.add_argument("--peers", nargs="*", help="files of bench/peers; default: all")
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory", action="store_true", help="also the peak memory of each, in a process of its own")
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def limit_threads(n):
    """Before NumPy is imported: as many threads as asked for, in every tool."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ADCORE_NUM_THREADS"):
        os.environ[name] = str(n)
    if n == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n])


def timed(call):
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def first_call(make, p):
    """Everything a user waits for the first time: set-up, compilation, one gradient."""
    call = make(p)
    return call, call()


def error(gradients, reference):
    """Largest relative difference, each array against its own largest element."""
    import numpy as np

    return max(float(np.max(np.abs(np.asarray(g) - r)) / np.max(np.abs(r))) for g, r in zip(gradients, reference, strict=True))


def main():
    options = arguments()
    limit_threads(options.threads)
    from bench.memory import peak
    from bench.peers import NAMES, makers
    from bench.problems import problem

    made = {}
    for name in options.peers or NAMES:
        try:
            made[name] = makers(name)
        except ImportError as missing:
            print(f"{name} is left out: {missing}")
    rows = []
    print(
        f"{'problem':22s}{'peer':10s}{'first ms':>10s}{'best ms':>10s}{'median ms':>11s}{'error':>9s}{'adcore/peer':>13s}"
        f"{'compiled/peer':>15s}{'target':>8s}{'peak MB' if options.memory else '':>9s}"
    )
    for spec in options.problems or (ALL if options.all else DEFAULT):
        p = problem(*spec.split(":"))
        calls, first, errors = {}, {}, {}
        for name, known in made.items():
            if p.name not in known:
                continue
            first[name], (call, (_, gradients)) = timed(functools.partial(first_call, known[p.name], p))
            calls[name] = call
            errors[name] = error(gradients, p.reference(*p.args)) if gradients is not None else 0.0
        times = {name: [] for name in calls}
        repeat = max(3, min(options.repeat, int(20 / sum(timed(c)[0] for c in calls.values()))))
        for _ in range(repeat):
            for name, call in calls.items():
                times[name].append(timed(call)[0])
        for name in calls:
            best, median = min(times[name]), sorted(times[name])[repeat // 2]
            again, compiled = (min(times[ours]) / best if ours in times else float("nan") for ours in ("adcore", "compiled"))
            target = TARGETS.get(spec, {}).get(name)
            bytes_ = peak(spec, name) if options.memory else None
            print(
                f"{spec:22s}{name:10s}{1e3 * first[name]:10.2f}{1e3 * best:10.3f}{1e3 * median:11.3f}{errors[name]:9.1e}"
                f"{again:13.2f}{compiled:15.2f}"
                f"{'' if target is None else f'{target:.2f}':>8s}{'' if bytes_ is None else f'{bytes_ / 1e6:.1f}':>9s}",
                flush=True,
            )
            rows.append(
                {"problem": spec, "peer": name, "first": first[name], "best": best, "median": median, "error": errors[name],
                 "again": again, "compiled": compiled, "target": target, "peak": bytes_}
            )  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
