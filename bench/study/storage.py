"""e. Store or recompute: what is cached between the sweeps, and the time of a gradient, under each policy."""

import functools
import subprocess
import sys

import numpy as np

import adcore
from bench import ROOT
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

    return {"store everything": plain, "recompute within a step": regions, "stay within a budget": budget}


def policies(size, n, memory):
    """A gradient under each policy, and the arguments of all."""
    args = problem("ode", size).args[:3]
    gradients = {label: adcore.value_and_grad(f, argnums=(0, 1)) for label, f in stepped(n, memory).items()}
    return {label: functools.partial(gradient, *args) for label, gradient in gradients.items()}, args


def peak_of(size, n, memory, label):
    """Resident bytes that a gradient adds at its peak, in a process of its own: memory that another one left behind hides them."""
    command = [sys.executable, "-m", __name__, size, str(n), memory, label]
    return int(subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout)


def measured(size, n, memory, budget):
    """Seconds and peak bytes of each policy, and the seconds of the plain function."""
    calls, args = policies(size, n, memory)
    peaks = {label: peak_of(size, n, memory, label) for label in calls}
    best = interleaved(calls, budget, least=2)
    return best, peaks, interleaved({"primal": lambda: ode.steps(*args, 1e-6, n)}, 1.0)["primal"]


def run(quick):
    rows, bars = [], {}
    for size, n, memory in (("32", 100, "1MB"), ("128", 50, "8MB")) if quick else (("32", 1000, "4MB"), ("256", 100, "16MB")):
        best, peaks, primal = measured(size, n, memory, 3.0 if quick else 20.0)
        for label in best:
            loop = f"ode {size}x{size}, {n} steps, budget of {memory}: {label}"
            rows.append([loop, 1e3 * best[label], best[label] / primal, peaks[label] / 1e6])
        bars[f"{size}x{size}, {n} steps, budget of {memory}"] = {label: peaks[label] / 1e6 for label in peaks}
    return Section(
        "storage", "Store or recompute",
        "Gradient through Runge-Kutta steps of the Brusselator: everything stored, each step recomputed from its state, and a "
        "binomial schedule within a budget. Inside a sweep the planner keeps what is expensive and recomputes what is cheap.",
        ["loop and policy", "gradient ms", "gradient / NumPy's function", "peak MB"], rows, bars, "peak MB",
    )  # fmt: skip


if __name__ == "__main__":
    size, n, memory, label = sys.argv[1:]
    call = policies(size, int(n), memory)[0][label]
    adcore.value_and_grad(lambda x: np.sum(np.sin(x)))(np.ones(3))  # what is loaded on first use
    before = status("VmRSS")
    call()
    print(status("VmHWM") - before)
