"""What a call of a compiled gradient costs, and a sampler that makes ten thousand of them.

Usage: ``python bench/overhead.py [--quick] [--json FILE]``. One thread, repetitions interleaved. The calls are Rosenbrock's function of
10, 100 and 1000 variables; the sampler is Hamiltonian Monte Carlo for logistic regression, the same NumPy loop around each
tool's value and gradient, from nothing to the last sample: set-up and compilation are in its time.
"""

import argparse
import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ADCORE_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np  # noqa: E402  the thread limits come first

from bench.peers import installed, makers  # noqa: E402
from bench.problems import problem  # noqa: E402
from bench.study import interleaved  # noqa: E402

CALLERS = ("compiled", "adcore", "hand", "jax", "casadi", "autograd")
# (size of Rosenbrock, most microseconds a call that are asked for)
CALLS = ((10, 2.0), (100, None), (1000, None))
STEPS, LEAPS, SIZE = 10_000, 5, "100x10"


def calls(known, quick):
    """Microseconds a call of each tool, beside the compiled gradient's."""
    rows = []
    print(f"{'value and gradient':22s}{'tool':12s}{'us a call':>10s}{'compiled / it':>15s}{'at most us':>12s}")
    for n, most in CALLS:
        p = problem("rosenbrock", str(n))
        best = interleaved(
            {name: many(makers["rosenbrock"](p)) for name, makers in known.items() if "rosenbrock" in makers}, 0.5 if quick else 3.0
        )
        for name, seconds in best.items():
            seconds, ours = seconds / REPEATS, best["compiled"] / REPEATS
            bound = most if name == "compiled" else None
            mark = "" if bound is None else f"{bound:12.3g}  {'pass' if 1e6 * seconds <= bound else 'FAIL'}"
            print(f"{f'Rosenbrock of {n}':22s}{name:12s}{1e6 * seconds:10.2f}{ours / seconds:15.2f}{mark}", flush=True)
            rows.append({"variables": n, "tool": name, "seconds": seconds, "most": bound})
    return rows


REPEATS = 20  # calls between two readings of the clock, which costs a tenth of a microsecond


def many(call):
    def run():
        for _ in range(REPEATS):
            call()

    return run


def with_adcore(p):
    import adcore

    f = adcore.value_and_grad(p.fun)
    return lambda w: f(w, *p.args[1:])


def with_compiled(p):
    import adcore

    f = adcore.compile(adcore.value_and_grad(p.fun))
    return lambda w: f(w, *p.args[1:])


def with_hand(p):
    def f(w):
        value, (g,) = p.by_hand(w, *p.args[1:])
        return value, g

    return f


def with_jax(p):
    import jax

    from bench.peers.jax import logistic

    f = jax.jit(jax.value_and_grad(logistic))
    rest = [jax.numpy.asarray(a) for a in p.args[1:]]

    def call(w):
        value, g = f(w, *rest)
        return float(value), np.asarray(g)

    return call


def with_casadi(p):
    call = makers("casadi")["logistic"](p)

    def at(w):
        call.at[...] = w
        value, (g,) = call()
        return float(value), g.copy()

    return at


def with_autograd(p):
    import autograd
    import autograd.numpy as anp

    def fun(w, x, y, penalty):
        z = anp.dot(x, w)
        return anp.mean(anp.logaddexp(0.0, z) - y * z) + 0.5 * penalty * anp.sum(w * w)

    f = autograd.value_and_grad(fun)
    return lambda w: f(w, *p.args[1:])


TOOLS = {
    "compiled": with_compiled,
    "adcore": with_adcore,
    "hand": with_hand,
    "jax": with_jax,
    "casadi": with_casadi,
    "autograd": with_autograd,
}


def sample(f, w, points, steps, step=0.05):
    """Hamiltonian Monte Carlo from w for the density exp(-points f): mean of the samples and share of proposals taken."""
    rng = np.random.default_rng(0)
    value, g = f(w)
    total, taken = np.zeros_like(w), 0
    for _ in range(steps):
        momentum = rng.normal(size=w.size)
        at, there, slope = w, value, g
        energy = points * value + 0.5 * (momentum @ momentum)
        for _ in range(LEAPS):
            momentum = momentum - 0.5 * step * points * slope
            at = at + step * momentum
            there, slope = f(at)
            momentum = momentum - 0.5 * step * points * slope
        if np.log(rng.random()) < energy - points * there - 0.5 * (momentum @ momentum):
            w, value, g, taken = at, there, slope, taken + 1
        total += w
    return total / steps, taken / steps


def sampler(known, quick):
    steps = STEPS // 10 if quick else STEPS
    p = problem("logistic", SIZE)
    points = len(p.args[1])
    print(f"\n{steps:,} steps of Hamiltonian Monte Carlo, {LEAPS} gradients each, logistic regression {SIZE}, end to end")
    print(f"{'tool':12s}{'seconds':>10s}{'us a gradient':>15s}{'compiled / it':>15s}{'accepted':>10s}{'first mean':>12s}")
    rows, expected = [], None
    for name, make in TOOLS.items():
        if name not in known:
            continue
        start = time.perf_counter()
        mean, accepted = sample(make(p), p.args[0], points, steps)
        seconds = time.perf_counter() - start
        expected = mean if expected is None else expected
        if not np.allclose(mean, expected, rtol=0.0, atol=0.05):
            raise AssertionError(f"{name} samples another distribution: {mean} instead of {expected}")
        rows.append({"tool": name, "seconds": seconds, "steps": steps, "accepted": accepted, "mean": mean.tolist()})
        ratio = rows[0]["seconds"] / seconds
        print(f"{name:12s}{seconds:10.2f}{1e6 * seconds / steps / LEAPS:15.1f}{ratio:15.2f}{accepted:10.2f}{mean[0]:12.5f}", flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    known = installed(CALLERS)
    tables = {"calls": calls(known, options.quick), "sampler": sampler(known, options.quick)}
    if options.json:
        options.json.write_text(json.dumps(tables, indent=1))


if __name__ == "__main__":
    main()
