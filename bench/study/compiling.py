"""f. What a user waits for: chemistry models of up to 48,000 lines, and five functions of 500 lines of scalar code."""

import contextlib
import ctypes
import pathlib
import tempfile
import time

import numpy as np

import adcore
from bench import hand
from bench.hand import straightline as generator
from bench.peers import makers
from bench.problems import problem, straightline

from . import Section
from .isolated import first_call

PEERS = {"jax": "jax_lines", "casadi": "casadi"}  # files of bench/peers
QUICK = ("A4B_deg4", "A4B_deg6", "A2B2C_deg6", "ABCDE_deg5", "ABCDE_deg8")
FULL = tuple(f"{molecule}_deg{k}" for molecule in ("A4B", "A2B2C", "ABCDE") for k in range(3, 9))


def five_functions():
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
            source.write_text(generator.source(500, seed))
            hand.build(source, library)
            g = np.zeros(straightline.INPUTS)
            room = [np.empty(straightline.INPUTS + 500) for _ in range(2)]
            hand.call(ctypes.CDLL(str(library)).straightline_gradient, p.args[0], g, *room)()
            theirs.append(g)
        c_seconds = time.perf_counter() - start
    worst = max(float(np.max(np.abs(a - b)) / np.max(np.abs(b))) for a, b in zip(ours, theirs, strict=True))
    if not worst < 1e-12:
        raise AssertionError(f"the C code and adcore disagree by {worst}")
    return seconds, c_seconds


def run(quick):
    seconds, c_seconds = five_functions()
    limit = 20 if quick else 120
    peers = []
    for name in PEERS:
        with contextlib.suppress(ImportError):
            makers(PEERS[name])
            peers.append(name)
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
            found = None if name in too_long else first_call(f"pip:{model}", PEERS[name], limit)
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
