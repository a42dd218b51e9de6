"""a. What safety costs: {checked, unchecked} x {restrict, may-alias} x ISA level, and threads."""

import os

import adcore

from . import Section, by_hand, compiled_gradient, interleaved, problems

BUILDS = {"checked, restrict": (False, True), "unchecked, restrict": (True, True), "checked, may-alias": (False, False),
          "unchecked, may-alias": (True, False)}  # fmt: skip
# the same toggles in C by hand, as multiples of what it takes with restrict and without checks
BY_HAND = {"C": {}, "C, checked": {"checked": True}, "C, no restrict": {"restrict": False},
           "C, checked, no restrict": {"checked": True, "restrict": False}}  # fmt: skip


def under(call, **settings):
    def run():
        with adcore.config(**settings):
            return call()

    return run


def levels():
    """The ISA levels that both this machine and this installation have."""
    found = []
    for level in adcore.config.cpu_levels():
        try:
            with adcore.config(isa=level):
                adcore.config.kernel_table()
        except ValueError:
            continue
        found.append(level)
    return found


def run(quick):
    known = levels()
    threads = sorted({1, os.cpu_count() or 1})
    columns = ["problem", "checked, restrict ms", *[f"{b} / default" for b in list(BUILDS)[1:]],
               *[f"{level} / {known[-1]}" for level in known[:-1]], *[f"{n} threads / 1" for n in threads[1:]],
               "C by hand ms", *[f"{b} / C" for b in list(BY_HAND)[1:]]]  # fmt: skip
    rows, bars = [], {}
    for spec, p in problems(quick):
        call = compiled_gradient(p)
        calls = {b: under(call, unchecked=u, noalias=n, threads=1) for b, (u, n) in BUILDS.items()}
        calls |= {level: under(call, isa=level, threads=1) for level in known[:-1]}
        calls |= {n: under(call, threads=n) for n in threads[1:]}
        c = {label: call for label, options in BY_HAND.items() for call in by_hand(p, **options).values()}
        best = interleaved(calls | c, 2.0 if quick else 6.0)
        base = best["checked, restrict"]
        rows.append([spec, 1e3 * base, *[best[k] / base for k in calls if k != "checked, restrict"]])
        rows[-1] += [1e3 * best["C"], *[best[k] / best["C"] for k in list(BY_HAND)[1:]]] if c else [None] * len(BY_HAND)
        bars[spec] = {f"{k} threads" if isinstance(k, int) else k: best[k] / base for k in calls if k != "checked, restrict"}
        bars[spec] |= {k: best[k] / best["C"] for k in c if k != "C"}
    return Section(
        "toggles", "What safety costs",
        "Gradient time of each build of the kernels as a multiple of the default one, on one thread. Bounds are checked when "
        "a plan is made and bound, not inside the loops, and the planner proves that buffers are disjoint: what is left of the "
        "toggles is what gcc makes of restrict in loops that accumulate. C by hand pays for its checks at every element.",
        columns, rows, bars, "time / default build (C: / C with restrict, unchecked)", log=True, base=1.0,
    )  # fmt: skip
