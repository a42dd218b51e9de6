"""b. What a gradient costs beside its function, and the function beside plain NumPy."""

import adcore

from . import Section, by_hand, compiled_gradient, interleaved, problems

TIMES = ("NumPy", "primal", "gradient", "gradient, recorded anew", "C by hand")


def run(quick):
    rows, bars = [], {}
    for spec, p in problems(quick):
        again = adcore.value_and_grad(p.fun, argnums=p.argnums)
        primal = adcore.compile(p.fun)
        best = interleaved(
            {
                "NumPy": lambda p=p: p.fun(*p.args),
                "primal": lambda f=primal, p=p: f(*p.args),
                "gradient": compiled_gradient(p),
                "gradient, recorded anew": lambda f=again, p=p: f(*p.args),
                **by_hand(p),
            },
            2.0 if quick else 6.0,
        )
        numpy, c = best["NumPy"], best.get("C by hand")
        measured = [1e3 * best[k] if k in best else None for k in TIMES]
        ratios = [best["primal"] / numpy, best["gradient"] / best["primal"], best["gradient"] / numpy]
        rows.append([spec, *measured, *ratios, c and best["gradient"] / c])
        bars[spec] = {k: t / numpy for k, t in best.items() if k != "NumPy"}
    return Section(
        "parity", "Gradient, function, and plain NumPy",
        "The compiled function and its gradient (value included) beside the same function run by NumPy and a gradient in C by hand "
        "(-O3 -march=native, restrict, no checks), one thread.",
        ["problem", *[f"{k} ms" for k in TIMES], "primal / NumPy", "gradient / primal", "gradient / NumPy", "gradient / C by hand"],
        rows, bars, "time / NumPy's function", log=True, base=1.0,
    )  # fmt: skip
