"""What a call of a compiled gradient costs, and a sampler that makes ten thousands of them.

The calls are values and gradients of Rosenbrock's function; the sampler is Hamiltonian Monte Carlo for logistic regression, the same NumPy
loop around each tool's value and gradient, from nothing to the last sample: set-up and compilation are in its time.
"""

import functools

import numpy as np

from bench import timed
from bench.peers import installed, makers
from bench.problems import problem
from bench.study import interleaved

from . import Row

NAMES = {
    "compiled": "adcore compiled",
    "adcore": "adcore",
    "hand": "NumPy by hand",
    "jax": "jax",
    "casadi": "casadi",
    "autograd": "autograd",
}
VARIABLES = (10, 100, 1000)
STEPS, LEAPS, SIZE = 10_000, 5, "100x10"


def calls(known, n, budget):
    """Each tool's call, beside the compiled gradient's."""
    p = problem("rosenbrock", str(n))
    best = interleaved({name: many(makers["rosenbrock"](p)) for name, makers in known.items() if "rosenbrock" in makers}, budget)
    return [Row(f"call, Rosenbrock {n}", NAMES[name], seconds / REPEATS) for name, seconds in best.items()]


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


def sampler(known, steps):
    p = problem("logistic", SIZE)
    points = len(p.args[1])
    rows, expected = [], None
    for name, make in TOOLS.items():
        if name not in known:
            continue
        seconds, (mean, accepted) = timed(lambda make=make: sample(make(p), p.args[0], points, steps))
        expected = mean if expected is None else expected
        if not np.allclose(mean, expected, rtol=0.0, atol=0.05):
            raise AssertionError(f"{name} samples another distribution: {mean} instead of {expected}")
        note = f"{1e6 * seconds / steps / LEAPS:.1f} us a gradient, {accepted:.0%} accepted"
        rows.append(Row(f"sampler, {steps} steps", NAMES[name], seconds, seconds, note=note))
    return rows


def cases(quick):
    known = installed(NAMES)
    for n in VARIABLES:
        yield f"call, Rosenbrock {n}", functools.partial(calls, known, n, 0.5 if quick else 3.0)
    steps = STEPS // 10 if quick else STEPS
    yield f"sampler, {steps} steps", functools.partial(sampler, known, steps)
