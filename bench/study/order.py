"""d. Differentiation before or after optimisation."""

from adcore.transforms.recording import Recording

import adcore
from adcore.sweep import engine
from adcore.tracer import array as traced

from . import Section, interleaved, problems

WHEN = {"before and after": True, "only after": "after", "never": False}


def sweep(p, when=True):
    """The gradient under one setting, without its recording, and the number of its instructions."""
    with adcore.config(optimise=when):
        recording = Recording(p.fun, p.args, {}, p.argnums)
        trace = recording.trace
        trace.tape.set_results([traced.value_number(recording.result)])
        wrt = tuple(recording.wrt)
        program, _ = engine.derived(trace.tape, "gradient", wrt)

    def call():
        with adcore.config(optimise=when):
            return engine.apply(trace.tape, "gradient", wrt, trace.inputs, trace.consts, trace.scalars)

    return call, len(program)


def run(quick):
    rows, bars = [], {}
    for spec, p in problems(quick):
        made = {label: sweep(p, when) for label, when in WHEN.items()}
        best = interleaved({label: call for label, (call, _) in made.items()}, 2.0 if quick else 6.0)
        base = best["before and after"]
        rows.append([spec, *[made[k][1] for k in WHEN], 1e3 * base, *[best[k] / base for k in list(WHEN)[1:]]])
        bars[spec] = {k: best[k] / base for k in list(WHEN)[1:]}
    return Section(
        "order", "Differentiating what has been optimised",
        "The talk found a factor of 4.2 between differentiating optimised and unoptimised code. Here: instructions of the "
        "gradient program, and the time of its sweep, when the primal is simplified before it is differentiated, only "
        "afterwards, or never. Fusion and memory planning run in all three.",
        ["problem", *[f"instructions, {k}" for k in WHEN], "before and after ms", "only after / both", "never / both"], rows, bars,
        "time / optimised before and after", base=1.0,
    )  # fmt: skip
