"""b. What a gradient costs beside its function, and the function beside plain NumPy."""

import adcore

from . import Section, compiled_gradient, interleaved, problems


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
            },
            2.0 if quick else 6.0,
        )
        numpy = best["NumPy"]
        rows.append(
            [spec, *[1e3 * t for t in best.values()], best["primal"] / numpy, best["gradient"] / best["primal"], best["gradient"] / numpy]
        )
        bars[spec] = {k: t / numpy for k, t in best.items()}
    return Section(
        "parity", "Gradient, function, and plain NumPy",
        "The compiled function and its gradient (value included) beside the same function run by NumPy, one thread.",
        ["problem", "NumPy ms", "primal ms", "gradient ms", "recorded anew ms", "primal / NumPy", "gradient / primal", "gradient / NumPy"],
        rows, bars, "time / NumPy's function",
    )  # fmt: skip
