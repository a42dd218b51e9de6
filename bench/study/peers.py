"""c. Other tools, and C by hand with and without restrict, bounds checks and optimisation."""

from bench import hand
from bench.peers import NAMES, makers

from . import Section, interleaved, problems

BUILDS = {
    "C " + ", ".join([level, *(["checked"] if checked else []), *([] if restrict else ["no restrict"])]): {
        "flags": flags,
        "checked": checked,
        "restrict": restrict,
    }
    for level, flags in (("-O3 native", hand.BEST), ("-O2", ("-O2",)))
    for checked in (False, True)
    for restrict in (True, False)
}
# autograd takes seconds a call on these: once is enough
SLOW = {("autograd", "lstm"), ("torch", "lstm")}


def run(quick):
    known, missing = {}, {}
    for name in NAMES:
        try:
            known[name] = makers(name)
        except ImportError as error:
            missing[name] = str(error)
    names = [n for n in known if n not in ("c", "hand")]
    columns = ["problem", *names, *(BUILDS if "c" in known else ())]
    rows, bars = [], {}
    for spec, p in problems(quick):
        calls, slow = {}, {}
        for name in names:
            if p.name in known[name]:
                call = known[name][p.name](p)
                (slow if (name, p.name) in SLOW else calls)[name] = call
        if p.name in known.get("c", ()):
            for label, options in BUILDS.items():
                with hand.building(**options):
                    calls[label] = known["c"][p.name](p)
        best = interleaved(calls, 4.0 if quick else 12.0)
        if not quick:
            best |= interleaved(slow, 0.0, least=1)
        rows.append([spec, *[1e3 * best[n] if n in best else None for n in columns[1:]]])
        bars[spec] = {n: 1e3 * best[n] for n in columns[1:] if n in best}
    left_out = "".join(f" {name} is left out here: {why}." for name, why in missing.items())
    return Section(
        "peers", "Other tools and C by hand",
        "Milliseconds a gradient, value included, one thread, all in one interleaved run; numpy is the plain function without a "
        "derivative, compiled is adcore.compile." + left_out,
        columns, rows, bars, "ms", log=True,
    )  # fmt: skip
