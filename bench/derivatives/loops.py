"""Gradients through long time loops: time and peak memory of ``adcore.loop`` within budgets, against keeping every state.

The 2-D Brusselator on a grid; the gradient of a sum of the last state by the first state and the three parameters, beside the same loop in
plain NumPy. Each row runs in a process of its own, ``python -m bench.derivatives.loops METHOD GRID STEPS MEMORY``: resident
memory before the first gradient is its baseline, the high-water mark of the gradient its peak.
"""

import functools
import json
import subprocess
import sys

from bench import ROOT, limit_threads, timed

from . import Row

PYTHON_LOOP = "python loop"  # no adcore.loop: every intermediate value of every step is kept
DT = {"euler": 1e-7, "rk4": 2e-7}


def euler_step(state, params, s, dt):
    from bench.problems import ode

    return state + dt * ode.rhs(state, params, s)


def measure(method, grid, steps, memory):
    """Seconds of primal and gradient, bytes of the gradient's peak."""
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

    if memory == PYTHON_LOOP:
        f, again = rolled, 0
    else:
        f, again = looped, recomputed(steps, slots_for(bytes_of(memory), state, steps))
    gradient = adcore.value_and_grad(f, (0, 1))
    adcore.value_and_grad(lambda x: np.sum(np.sin(x)))(np.ones(3))
    before = status("VmRSS")
    first, (value, (gx, _)) = timed(lambda: gradient(state, params))
    peak = status("VmHWM") - before
    plain, expected = timed(lambda: rolled(state, params))
    assert abs(value - expected) <= 1e-9 * abs(expected), "the loop is not the Python loop"
    # along one direction, against a difference
    h = 1e-6
    direction = np.random.default_rng(1).normal(size=state.shape)
    moved = (rolled(state + h * direction, params) - rolled(state - h * direction, params)) / (2 * h) if steps <= 1000 else None
    error = abs(np.sum(gx * direction) - moved) / abs(moved) if moved else None
    return {"primal": plain, "gradient": first, "peak": peak, "states": state.nbytes * steps, "recomputed": again, "error": error}


def measured(case, method, grid, steps, memory):
    command = [sys.executable, "-m", "bench.derivatives.loops", method, str(grid), str(steps), memory]
    out = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    found = json.loads(out.stdout.splitlines()[-1])
    note = f"{found['recomputed']} steps again; all states {found['states'] / 1e6:.0f} MB"
    return [Row(case, "adcore", found["gradient"], None, found["error"], found["peak"], note), Row(case, "NumPy, primal", found["primal"])]


def cases(quick):
    specs = [(method, 64 if quick else 256, 200, memory) for method in DT for memory in (PYTHON_LOOP, "4GB", "1MB" if quick else "16MB")]
    if not quick:
        specs += [(method, 256, n, "256MB") for method in DT for n in (1000, 10_000)]
    for method, grid, steps, memory in specs:
        case = f"loop, {method} {grid} x {grid}, {steps} steps, {memory}"
        yield case, functools.partial(measured, case, method, grid, steps, memory)


if __name__ == "__main__":
    limit_threads()
    method, grid, steps, memory = sys.argv[1:]
    print(json.dumps(measure(method, int(grid), int(steps), memory)))
