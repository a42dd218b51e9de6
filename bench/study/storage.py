"""e. Store or recompute: what is cached between the sweeps, and the time of a gradient, under each policy."""

import functools
import pathlib

import numpy as np

import adcore
from adcore.sweep import engine
from bench.memory import status
from bench.problems import ode, problem

from . import Section, interleaved


def stepped(n, memory):
    """The sum of the state after n Runge-Kutta steps, as a loop whose states may be recomputed."""

    def step(state, params, s):
        return ode.rk4_step(state, params, s, 1e-6)

    def plain(state, params, s):
        for _ in range(n):
            state = step(state, params, s)
        return np.sum(state)

    def regions(state, params, s):
        recomputed = adcore.checkpoint(step)
        for _ in range(n):
            state = recomputed(state, params, s)
        return np.sum(state)

    def budget(state, params, s):
        return np.sum(adcore.loop(step, state, n, params, s, memory=memory))

    return {"store everything": plain, "recompute within a step": regions, f"a budget of {memory}": budget}


def peak_of(call):
    """Resident bytes that one more call adds at its peak."""
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    call()
    return status("VmHWM") - before


def measured(size, n, memory, budget):
    """Seconds and peak bytes of each policy, and the seconds of the plain function."""
    args = problem("ode", size).args[:3]
    calls = {}
    for label, f in stepped(n, memory).items():
        gradient = adcore.value_and_grad(f, argnums=(0, 1))
        calls[label] = functools.partial(gradient, *args)
    peaks = {}
    for label, call in calls.items():
        engine.clear_plans()
        peaks[label] = peak_of(call)
    best = interleaved(calls, budget, least=2)
    return best, peaks, interleaved({"primal": lambda: ode.steps(*args, 1e-6, n)}, 1.0)["primal"]


def run(quick):
    rows, bars = [], {}
    for size, n, memory in (("32", 100, "1MB"), ("128", 50, "8MB")) if quick else (("32", 1000, "4MB"), ("256", 100, "16MB")):
        best, peaks, primal = measured(size, n, memory, 3.0 if quick else 20.0)
        for label in best:
            rows.append([f"ode {size}x{size}, {n} steps: {label}", 1e3 * best[label], best[label] / primal, peaks[label] / 1e6])
        bars[f"{size}x{size}, {n} steps"] = {label: peaks[label] / 1e6 for label in peaks}
    return Section(
        "storage", "Store or recompute",
        "Gradient through Runge-Kutta steps of the Brusselator: everything stored, each step recomputed from its state, and a "
        "binomial schedule within a budget. Inside a sweep the planner keeps what is expensive and recomputes what is cheap.",
        ["loop and policy", "gradient ms", "gradient / NumPy's function", "peak MB"], rows, bars, "peak MB",
    )  # fmt: skip
