"""Gradients through long time loops: time and peak memory of ``adcore.loop`` for budgets, against keeping every state.

Usage: ``python bench/longloop.py [--grid 256] [--steps 200 1000] [--full] [--methods euler rk4] [--json FILE]``. The 2-D Brusselator on a
grid; the gradient of a sum of the last state by the first state and the three parameters. Each row runs in a process of
its own: resident memory before the first gradient is its baseline, the high-water mark of the gradient its peak. ``primal`` is
the same loop in plain NumPy. ``x primal`` is the time of the gradient over the primal's; ``recomputed`` counts the steps
that run once more because their states were not kept. ``--full`` adds 10,000 steps within 1 GB, 256 MB and 64 MB.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ADCORE_NUM_THREADS"):
    os.environ.setdefault(name, "1")

PYTHON_LOOP = "python loop"  # no adcore.loop: every intermediate value of every step is kept
DT = {"euler": 1e-7, "rk4": 2e-7}


def euler_step(state, params, s, dt):
    from bench.problems import ode

    return state + dt * ode.rhs(state, params, s)


def measure(grid, steps, method, memory):
    """One row: seconds of primal and gradient, bytes of the gradient's peak."""
    import numpy as np
    from adcore.config import bytes_of
    from adcore.transforms.checkpoint import recomputed, slots_for

    import adcore
    from bench.memory import status
    from bench.problems import ode

    state, params, source, seed = ode.instance(grid).args
    step = ode.rk4_step if method == "rk4" else euler_step
    dt = DT[method]

    def rolled(x, p):
        for _ in range(steps):
            x = step(x, p, source, dt)
        return np.sum(seed * x)

    def looped(x, p):
        return np.sum(seed * adcore.loop(lambda x, p: step(x, p, source, dt), x, steps, p, memory=memory))

    def seconds(f):
        start = time.perf_counter()
        result = f()
        return time.perf_counter() - start, result

    if memory == PYTHON_LOOP:
        f, again = rolled, 0
    else:
        f, again = looped, recomputed(steps, slots_for(bytes_of(memory), state, steps))
    gradient = adcore.value_and_grad(f, (0, 1))
    adcore.value_and_grad(lambda x: np.sum(np.sin(x)))(np.ones(3))
    before = status("VmRSS")
    first, (value, (gx, _)) = seconds(lambda: gradient(state, params))
    peak = status("VmHWM") - before
    plain, expected = seconds(lambda: rolled(state, params))
    assert abs(value - expected) <= 1e-9 * abs(expected), "the loop is not the Python loop"
    # along one direction, against a difference
    h = 1e-6
    direction = np.random.default_rng(1).normal(size=state.shape)
    moved = (rolled(state + h * direction, params) - rolled(state - h * direction, params)) / (2 * h) if steps <= 1000 else None
    error = abs(np.sum(gx * direction) - moved) / abs(moved) if moved else None
    return {"grid": grid, "steps": steps, "method": method, "memory": memory, "primal": plain, "gradient": first, "peak": peak,
            "states": state.nbytes * steps, "recomputed": again, "error": error}  # fmt: skip


def row_of(*spec):
    out = subprocess.run([sys.executable, __file__, "--one", json.dumps(spec)], check=True, capture_output=True, text=True)
    return json.loads(out.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grid", type=int, default=256)
    parser.add_argument("--steps", type=int, nargs="*", default=[200, 1000])
    parser.add_argument("--methods", nargs="*", default=["euler", "rk4"])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(*json.loads(options.one))))
        return
    specs = []
    for method in options.methods:
        for n in options.steps:
            budgets = [PYTHON_LOOP] * (n <= 200) + ["4GB", "256MB", "64MB", "16MB"]
            specs += [(options.grid, n, method, memory) for memory in budgets]
        if options.full:
            specs += [(options.grid, 10_000, method, memory) for memory in ("1GB", "256MB", "64MB")]
    print(f"{'steps':>6s} {'method':8s}{'memory':>12s}{'primal s':>10s}{'gradient s':>12s}{'x primal':>10s}", end="")
    print(f"{'peak MB':>9s}{'all states MB':>15s}{'recomputed':>12s}{'error':>9s}")
    rows = []
    for spec in specs:
        r = row_of(*spec)
        rows.append(r)
        ratio, error = r["gradient"] / r["primal"], "" if r["error"] is None else f"{r['error']:9.1e}"
        print(f"{r['steps']:6d} {r['method']:8s}{r['memory']:>12s}{r['primal']:10.2f}{r['gradient']:12.2f}{ratio:10.2f}", end="")
        print(f"{r['peak'] / 1e6:9.0f}{r['states'] / 1e6:15.0f}{r['recomputed']:12d}{error}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
