"""Gradients of models from many fields: adcore beside the NumPy function and ``jax.jit``.

Usage: ``python -m bench.fields [names...] [--repeat 3] [--json FILE]``. One thread; the tools take turns. ``anew`` records, ``compiled``
is ``adcore.compile``. Milliseconds, the first call, then the best of a later one; the ratio of each to JAX; the largest
relative difference of the gradients. JAX is left out where it is not installed. The
loops are short, since it compiles long ones for minutes.
"""

import argparse
import json
import math
import pathlib
import statistics
import time

from bench import limit_threads, timed

limit_threads()

import numpy as np  # noqa: E402  the thread limits come first

import adcore  # noqa: E402
from bench import fields  # noqa: E402

TURN = 0.1  # seconds


def with_jax():
    try:
        import jax
    except ImportError:
        return None
    jax.config.update("jax_enable_x64", True)
    return jax


def best(call):
    """The best of the calls that fit into a turn."""
    end, found = time.perf_counter() + TURN, math.inf
    while time.perf_counter() < end:
        found = min(found, timed(call)[0])
    return found


def measured(name, args, active, jax, repeat):
    wrt = tuple(range(active))
    f = getattr(fields.kernels(), name)
    anew = adcore.value_and_grad(f, argnums=wrt)
    compiled = adcore.compile(anew)
    calls = {"numpy": lambda: f(*args), "anew": lambda: anew(*args), "compiled": lambda: compiled(*args)}
    if jax is not None:
        jitted = jax.jit(jax.value_and_grad(getattr(fields.kernels("jax.numpy"), name), wrt))
        calls["jax"] = lambda: jax.block_until_ready(jitted(*args))
    first, results = {}, {}
    for tool, call in calls.items():
        first[tool], results[tool] = timed(call)
    times = {tool: min(best(call) for _ in range(repeat)) for tool, call in calls.items()}
    against = results.get("jax", results["compiled"])[1]
    error = max(np.max(np.abs(a - b)) / np.max(np.abs(b)) for a, b in zip(results["anew"][1], against, strict=True))
    return {"name": name, "error": float(error), "first": first, "best": times}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    jax, rows = with_jax(), []
    tools = ("numpy", "anew", "compiled") + (("jax",) if jax else ())
    heads = "".join(f"{tool:>10s}" for tool in tools)
    print(f"{'ms':20s}{heads}{'first anew':>12s}{'first jax':>11s}{'anew/jax':>10s}{'comp./jax':>10s}{'error':>9s}")
    for name, (args, active) in fields.instances().items():
        if options.names and name not in options.names:
            continue
        row = measured(name, args, active, jax, options.repeat)
        rows.append(row)
        times, first = row["best"], row["first"]
        cells = "".join(f"{times[tool] * 1e3:10.4f}" for tool in tools)
        ratios = [times[tool] / times["jax"] if jax else math.nan for tool in ("anew", "compiled")]
        print(f"{name:20s}{cells}{first['anew'] * 1e3:12.1f}{first.get('jax', math.nan) * 1e3:11.0f}{ratios[0]:10.2f}{ratios[1]:10.2f}"
              f"{row['error']:9.0e}", flush=True)  # fmt: skip
    for tool in ("anew", "compiled"):
        for peer in tools:
            if peer in ("numpy", "jax") and rows:
                ratios = [row["best"][tool] / row["best"][peer] for row in rows]
                print(f"{tool} / {peer}: median {statistics.median(ratios):.2f}, largest {max(ratios):.2f}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
