"""What each mechanism costs, and what is asked of it: recording, hash, passes, dispatch, blocks, vector math, memory, scalar code.

Usage: ``python bench/micro.py [--quick] [--sections passes dispatch ...] [--json FILE]``. One thread, minima. NumPy's figure stands beside
ours where NumPy does the same work. See ``bench/kernels.py`` for every build of a kernel, ``bench/record.py`` for first calls.
"""

import argparse
import dataclasses
import functools
import json
import os
import pathlib
import resource
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ADCORE_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402  the thread limits come first
from adcore.passes.optimise import dead_code, simplify, strip  # noqa: E402
from adcore.passes.reverse import reverse  # noqa: E402
from adcore.passes.verify import verify  # noqa: E402
from adcore.plan.lower import lower  # noqa: E402
from adcore.transforms.recording import Recording  # noqa: E402
from scipy.special import logsumexp  # noqa: E402

import adcore  # noqa: E402
from adcore import optable  # noqa: E402
from adcore.kernels import probe  # noqa: E402
from adcore.sweep import engine  # noqa: E402
from bench import kernels, record  # noqa: E402
from bench.problems import problem, straightline  # noqa: E402

BLOCK = 512  # elements that a fused group works on at a time


@dataclasses.dataclass
class Row:
    """A figure: ours, NumPy's for the same work, and the most that is asked for."""

    what: str
    ours: float
    unit: str
    numpy: float | None = None
    most: float | None = None


def best(call, seconds=0.2, least=5):
    """Shortest time of a call."""
    call()
    shortest, n, start = float("inf"), 0, time.perf_counter()
    while n < least or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        call()
        shortest, n = min(shortest, time.perf_counter() - before), n + 1
    return shortest


def beside(f, *args):
    """Seconds of a compiled function and of the plain one, their repetitions in turn."""
    compiled = adcore.compile(f)
    pair = (lambda: compiled(*args)), (lambda: f(*args))
    return [min(times) for times in zip(*[[best(call, 0.02, 3) for call in pair] for _ in range(5)], strict=True)]


def program(f, *args):
    """The recorded program of a scalar function, and what its gradient is taken with respect to."""
    recording = Recording(f, args, {}, (0,))
    tape = recording.trace.tape
    tape.set_results([recording.number(recording.result)])
    wrt = list(recording.wrt)
    recording.trace.close()
    return tape, wrt


def recording(quick):
    x = np.array([0.5, 0.9, 0.1])
    for case, per_round, aim in record.CASES:
        seconds = best(lambda case=case: Recording(case, (x,), {}, (0,)))
        yield Row(case.__name__.replace("_", " "), 1e9 * seconds / record.COUNT / per_round, "ns an operation", None, aim)


def hundred(x, w):
    """A hundred array instructions, none like another."""
    for k in range(33):
        x = np.tanh(w * x + (0.1 + 0.01 * k))
    return np.sum(x)


def passes(quick):
    p = problem("straightline", "5000" if quick else "50000")
    tape, wrt = program(p.fun, *p.args)
    n = len(tape)
    yield Row("fingerprint", 1e9 * best(lambda: tape.hash) / n, "ns an instruction", None, 3.0)
    simple = simplify(tape)
    primal = dead_code(simple)
    adjoint = reverse(primal, wrt)
    whole = engine.prepare(adjoint)
    final = strip(whole)
    for name, call, given in (
        ("simplify", lambda: simplify(tape), tape), ("dead code", lambda: dead_code(simple), simple),
        ("reverse", lambda: reverse(primal, wrt), primal), ("prepare the derivative", lambda: engine.prepare(adjoint), adjoint),
        ("verify", lambda: verify(whole), whole), ("plan", lambda: lower(final, True), final),
    ):  # fmt: skip
        yield Row(f"{name} ({len(given):,} scalar instructions)", 1e9 * best(call, 0.3, 3) / len(given), "ns an instruction")

    def anew(f, *args):
        engine.clear_plans()
        tape, wrt = program(f, *args)
        engine.plan_of(engine.derived(tape, "gradient", tuple(wrt))[0])

    yield Row(
        "record, differentiate, plan: scalar code", 1e9 * best(lambda: anew(p.fun, *p.args), 0.5, 3) / n, "ns a recorded line", None, 1e3
    )
    x, w = np.linspace(0.1, 1.0, 64), np.linspace(1.0, 2.0, 64)
    n = len(program(hundred, x, w)[0])
    yield Row(f"record, differentiate, plan: {n} array instructions", 1e6 * best(lambda: anew(hundred, x, w)), "us", None, 50.0)


def chain(x, w, rounds):
    for _ in range(rounds):
        x = x * w + 0.5
    return x


def sums(x, w, rounds):
    """A reduction between any two elementwise operations, so that nothing fuses over it."""
    for _ in range(rounds):
        x = x * w - np.sum(x)
    return x


def scalars(x, w, rounds):
    a, b = x[0], w[0]
    for _ in range(rounds):
        a = a * b + 0.5
    return a


def table():
    """The kernels in use."""
    return adcore.config.kernel_table()


def kernels_alone(f, n, *args):
    """Nanoseconds of the kernels of a function's elementwise instructions on n elements each, and how many they are."""
    recording = Recording(f, args, {}, ())
    tape = recording.trace.tape
    tape.set_results([recording.number(recording.result)])
    recording.trace.close()
    opcode = {row.name.upper(): k for k, row in enumerate(optable.ROWS[: optable.N_ELEMENTWISE])}
    final = strip(engine.prepare(tape))
    ops = [row["op"] for row in map(final.instruction, range(len(final))) if row["op"] in opcode]
    x = np.linspace(0.1, 0.9, n)
    each = {op: 1e9 * probe.seconds(table(), opcode[op], 300, *[x] * len(optable.ROWS[opcode[op]].args)) / 300 for op in set(ops)}
    return sum(each[op] for op in ops), len(ops)


def dispatch(quick):
    rounds = 300
    for n in (14, 60):
        x, w = np.linspace(0.1, 0.9, n), np.linspace(0.5, 0.6, n)
        for what, f in (("fused", chain), ("with sums between", sums)):
            run = functools.partial(f, rounds=rounds)
            replayed = adcore.compile(run)
            work, count = kernels_alone(run, n, x, w)
            spent = 1e9 * best(lambda f=replayed, x=x, w=w: f(x, w))
            yield Row(
                f"{count} instructions on {n} elements, {what}, beyond kernels", (spent - work) / count, "ns an instruction", None, 15.0
            )
    g = adcore.compile(adcore.value_and_grad(lambda x: np.sum(x * x)))
    y = np.linspace(0.1, 1.0, 10)
    yield Row("replayed call of a 10-element gradient", 1e6 * best(lambda: [g(y) for _ in range(100)]) / 100, "us a call", None, 2.0)


def blocks(quick):
    n = 32 * BLOCK
    x, w = np.linspace(0.1, 0.9, n), np.linspace(0.5, 0.6, n)
    for rounds in (1, 8, 64):
        run = functools.partial(chain, rounds=rounds)
        replayed = adcore.compile(run)
        work, count = kernels_alone(run, BLOCK, x, w)
        spent = 1e9 * best(lambda f=replayed, x=x, w=w: f(x, w)) / (n / BLOCK)
        yield Row(f"a block of {BLOCK} through {count} instructions, beyond {work:.0f} ns of kernels", spent - work, "ns a block")


def functions(quick):
    n = BLOCK
    rng = np.random.default_rng(0)
    for opcode, row in enumerate(optable.ROWS[: optable.N_ELEMENTWISE]):
        if quick and row.name not in ("exp", "log", "log1p", "tanh", "sin", "power", "sqrt", "multiply", "divide"):
            continue
        low, high = kernels.INSIDE.get(row.name, (0.05, 0.95))
        x = [rng.uniform(low, high, n) for _ in row.args]
        theirs = kernels.numpy_seconds(row, x, 100)
        ours = probe.seconds(table(), opcode, 100, *x)
        yield Row(row.name, 1e9 * ours / 100 / n, "ns an element", None if theirs is None else 1e9 * theirs / 100 / n)


def indexed(quick):
    n = 100_000
    rng = np.random.default_rng(0)
    x, w, index = rng.normal(size=n), rng.normal(size=n), rng.integers(0, n, n)
    ours, theirs = beside(lambda x: x[index], x)
    yield Row("x[index]", 1e9 * ours / n, "ns an element", 1e9 * theirs / n)

    g = adcore.compile(adcore.grad(lambda x, w: np.sum(x[index] * w)))
    at = np.zeros(n)
    ours, theirs = best(lambda: g(x, w)), best(lambda: np.add.at(at, index, w))
    yield Row("gradient of sum(x[index] w): a scatter, beside np.add.at", 1e9 * ours / n, "ns an element", 1e9 * theirs / n)


# by name, not as values: the function that is recorded must find their twins
REDUCTIONS = {
    "sum": lambda x, axis: np.sum(x, axis=axis),
    "max": lambda x, axis: np.max(x, axis=axis),
    "logsumexp": lambda x, axis: logsumexp(x, axis=axis),
}


def reductions(quick):
    x = np.random.default_rng(0).normal(size=(500, 512))
    for name, f in REDUCTIONS.items():
        for axis in (None, 0, 1):
            ours, theirs = beside(functools.partial(f, axis=axis), x)
            yield Row(f"{name} of 500x512, axis {axis}", 1e9 * ours / x.size, "ns an element", 1e9 * theirs / x.size)


def scalar_runs(quick):
    for size in ("500", "2500") if quick else ("500", "2500", "50000"):
        p = problem("straightline", size)
        g = adcore.compile(adcore.value_and_grad(p.fun))
        lines = len(straightline.live(*straightline.sizes(size)))
        spent = best(lambda g=g, p=p: g(*p.args))
        yield Row(f"straight-line code, {lines:,} live lines", 1e9 * spent / (2 * lines), "ns a line and sweep", None, 3.0)
    rounds = 5000
    g = adcore.compile(adcore.value_and_grad(lambda x, w: scalars(x, w, rounds)))
    x, w = np.array([0.3]), np.array([0.4])
    yield Row("a recurrence, nothing independent", 1e9 * best(lambda: g(x, w)) / (4 * rounds), "ns an instruction and sweep")


def long_programs(quick):
    """First calls of a recurrence of so many scalar instructions: a tenth of a million and a million, in time and in memory."""
    for rounds in (50_000,) if quick else (50_000, 500_000):
        g = adcore.value_and_grad(lambda x, w, n=rounds: scalars(x, w, n))
        before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
        g(np.array([0.3]), np.array([0.4]))
        spent, more = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        engine.clear_plans()
        yield Row(f"first gradient of {2 * rounds:,} scalar instructions", 1e9 * spent / (2 * rounds), "ns an instruction", None, 1e3)
        yield Row("    its peak memory above all before", 1024 * more / (2 * rounds), "bytes an instruction")


SECTIONS = {f.__name__: f for f in (recording, passes, dispatch, blocks, functions, indexed, reductions, scalar_runs, long_programs)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--sections", nargs="*", choices=SECTIONS, default=tuple(SECTIONS))
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    every = {}
    for section in options.sections:
        print(f"\n{section.replace('_', ' '):66s}{'adcore':>10s} {'':28s}{'NumPy':>10s}{'at most':>9s}")
        every[section] = []
        for row in SECTIONS[section](options.quick):
            theirs, most = ("" if x is None else f"{x:.3g}" for x in (row.numpy, row.most))
            mark = "" if row.most is None else "pass" if row.ours <= row.most else "FAIL"
            print(f"{row.what:66s}{row.ours:10.3g} {row.unit:28s}{theirs:>10s}{most:>9s}  {mark}", flush=True)
            every[section].append(dataclasses.asdict(row))
    if options.json:
        options.json.write_text(json.dumps(every, indent=1))


if __name__ == "__main__":
    main()
