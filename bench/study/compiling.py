"""f. What a user waits for: chemistry models of up to 48,000 lines, and five functions of 500 lines of scalar code."""

import ctypes
import os
import pathlib
import subprocess
import tempfile
import time

import numpy as np

import adcore
from bench.peers import makers
from bench.problems import problem, straightline

from . import Section
from .isolated import first_call

QUICK = ("A4B_deg4", "A4B_deg6", "A2B2C_deg6", "ABCDE_deg5", "ABCDE_deg8")
FULL = tuple(f"{molecule}_deg{k}" for molecule in ("A4B", "A2B2C", "ABCDE") for k in range(3, 9))
# each form of bench/problems/straightline.py in C: its value, and what it adds to the adjoints of its operands
IN_C = (
    ("0.6 * ({a} + {b})", ("0.6 * {g}", "0.6 * {g}")),
    ("0.6 * ({a} - {b})", ("0.6 * {g}", "-0.6 * {g}")),
    ("{a} * {b}", ("{g} * {b}", "{g} * {a}")),
    ("sin({a})", ("{g} * cos({a})", None)),
    ("cos({a})", ("-{g} * sin({a})", None)),
    ("tanh({a})", ("{g} * (1.0 - {y} * {y})", None)),
    ("sqrt(1.0 + {a} * {a})", ("{g} * {a} / {y}", None)),
    ("exp(-{a} * {a})", ("-2.0 * {g} * {a} * {y}", None)),
)


def c_source(n, seed):
    """Value and gradient of a straight-line function as one C function, as source-transforming AD writes it."""
    lines = straightline.program(n, seed)
    inputs = straightline.INPUTS
    name = lambda k, letter="v": f"{'x' if letter == 'v' else 'gx'}[{k}]" if k < inputs else f"{letter}{k - inputs}"  # noqa: E731
    text = ["#include <math.h>", "double f(const double *restrict x, double *restrict gx) {"]
    for k, (form, a, b) in enumerate(lines):
        text.append(f"    double v{k} = {IN_C[form][0].format(a=name(a), b=name(b))};")
    last = n - max(n // 10, 1)
    text += [f"    double g{k} = {1.0 if k >= last else 0.0};" for k in range(n)]
    for k in range(n - 1, -1, -1):
        form, a, b = lines[k]
        for operand, partial in zip((a, b), IN_C[form][1], strict=True):
            if partial is not None:
                text.append(f"    {name(operand, 'g')} += {partial.format(a=name(a), b=name(b), y=f'v{k}', g=f'g{k}')};")
    text += ["    return " + " + ".join(f"v{k}" for k in range(last, n)) + ";", "}", ""]
    return "\n".join(text)


def five_functions(compiler):
    """Seconds to make ready and run the gradients of five functions of 500 lines: adcore, and the C compiler."""
    made = [problem("straightline", f"500_s{seed}") for seed in range(5)]
    adcore.gradient(problem("straightline", "20").fun, made[0].args[0])  # what is loaded on first use
    start = time.perf_counter()
    ours = [adcore.gradient(p.fun, *p.args) for p in made]
    seconds = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as directory:
        start = time.perf_counter()
        theirs = []
        for seed, p in enumerate(made):
            source, library = pathlib.Path(directory, f"f{seed}.c"), pathlib.Path(directory, f"f{seed}.so")
            source.write_text(c_source(500, seed))
            subprocess.run([compiler, "-O3", "-march=native", "-shared", "-fPIC", source, "-o", library, "-lm"], check=True)
            g = np.zeros(straightline.INPUTS)
            f = ctypes.CDLL(str(library)).f
            f.restype = ctypes.c_double
            f(ctypes.c_void_p(p.args[0].ctypes.data), ctypes.c_void_p(g.ctypes.data))
            theirs.append(g)
        c_seconds = time.perf_counter() - start
    worst = max(float(np.max(np.abs(a - b)) / np.max(np.abs(b))) for a, b in zip(ours, theirs, strict=True))
    if not worst < 1e-12:
        raise AssertionError(f"the C code and adcore disagree by {worst}")
    return seconds, c_seconds


def run(quick):
    seconds, c_seconds = five_functions(os.environ.get("CC", "cc"))
    limit = 20 if quick else 120
    peers = []
    for name in ("jax", "casadi"):
        try:
            peers += [name] if "pip" in makers(name) else []
        except ImportError:
            continue
    rows, bars = (
        [["5 functions x 500 lines", None, 1e3 * seconds, None, None, f"C compiler: {1e3 * c_seconds:.0f}", *[""] * len(peers)]],
        {},
    )
    too_long = set()
    for model in QUICK if quick else FULL:
        p = problem("pip", model)
        ours = first_call(f"pip:{model}", "compiled", 600)
        many = first_call(f"pip:{model}x1000", "compiled", 600)
        row = [model, len(p.args[3]), 1e3 * ours["first"], 1e3 * ours["best"], ours["peak"] / 1e6, 1e3 * many["best"]]
        bars[model] = {"adcore, first": ours["first"]}
        for name in peers:
            found = None if name in too_long else first_call(f"pip:{model}", name, limit)
            if found is None:
                too_long.add(name)  # a larger model takes longer
                row.append(f"over {limit} s")
            else:
                row.append(f"{1e3 * found['first']:.0f} / {1e3 * found['best']:.3g}")
                bars[model][f"{name}, first"] = found["first"]
        rows.append(row)
    return Section(
        "compiling", "What a user waits for",
        "Energy and forces of the chemistry models: record, optimise, differentiate, plan and run once; then a replay; peak memory; and a "
        f"replay for a thousand geometries at once. Other tools: first call / replay, given up after {limit} s, as is all that is larger.",
        ["model", "lines", "first ms", "replay ms", "peak MB", "1000 geometries ms", *[f"{p}: first / replay ms" for p in peers]],
        rows, bars, "seconds to the first forces", log=True,
    )  # fmt: skip
