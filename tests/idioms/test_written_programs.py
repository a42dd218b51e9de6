"""Random NumPy programs: their values against NumPy's, their gradients against differences.

``python -m tests.idioms.test_written_programs 20000 0`` runs so many, from number 0 on.
"""

import math
import os
import sys
import warnings

import numpy as np
from hypothesis import HealthCheck, given, settings

import adcore

from .written_programs import Rolled, programs, written

X = np.array([[0.31, -0.72, 1.13, 0.24], [-1.05, 0.46, -0.27, 0.88], [0.69, -0.31, 0.52, -1.41]])
Y = np.array([0.57, -0.83, 0.19, 1.21])
S = 0.37
outcomes = {"checked": 0, "at a kink": 0, "refused": 0}


def function_of(source, single):
    """The program's f, with this type for its single precision."""
    names = {"np": np, "math": math, "Single": single, "__name__": "written"}
    exec(compile(source, "<program>", "exec"), names)
    return names["f"]


def checked(source):
    """Compare value and gradient of one program with NumPy's, and of a replay of it."""
    single = "Single" in source
    f, smooth = function_of(source, np.float32), function_of(source, np.float64)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        plain = float(f(X, Y, S))
        if not np.isfinite(plain):
            return "at a kink"
        try:
            value, (gx, gy, gs) = adcore.value_and_grad(f, argnums=(0, 1, 2))(X, Y, S)
        except adcore.errors.AdcoreError as error:
            if isinstance(error, adcore.errors.LostTrace) or "<program>:" not in str(error):
                raise
            return "refused"
        exact = 2e-5 if single else 1e-11
        if single and abs(float(smooth(X, Y, S)) - plain) > exact * max(1.0, abs(plain)):
            return "at a kink"  # single precision decides which way the program goes
        assert abs(value - plain) <= exact * max(1.0, abs(plain)), (value, plain, source)
        if len(source) % 4 == 0:
            replayed = adcore.compile(adcore.value_and_grad(f, argnums=(0, 1, 2)))
            for moved in (X, 1.01 * X, 0.9 * X):
                again, there = replayed(moved, Y, S)[0], float(f(moved, Y, S))
                assert again == there or abs(again - there) <= exact * max(1.0, abs(there)) or single or not np.isfinite(there), (
                    "replayed", again, there, source,
                )  # fmt: skip
        rng = np.random.default_rng(0)
        dx, dy, ds = rng.normal(size=X.shape), rng.normal(size=Y.shape), rng.normal()
        ours = float(np.sum(gx * dx) + np.sum(gy * dy) + gs * ds)

        def along(t):
            return float(smooth(X + t * dx, Y + t * dy, S + t * ds))

        def difference(h):
            return (8.0 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12.0 * h)

        scale = max(1.0, abs(ours), abs(plain))
        close = (3e-4 if single else 1e-6) * scale
        found = [difference(h) for h in (1e-4, 1e-5)]
        if abs(found[0] - ours) <= close or abs(found[1] - ours) <= close:
            return "checked"
        # at a kink differences of several widths disagree with each other, or one side with the other
        h, middle = 1e-6, along(0.0)
        sides = (along(h) - middle) / h, (middle - along(-h)) / h
    if abs(found[0] - found[1]) > close or abs(sides[0] - sides[1]) > 1e-3 * scale:
        return "at a kink"
    raise AssertionError(f"gradient along a direction {ours}, differences {found}\n{source}")


@settings(max_examples=int(os.environ.get("ADCORE_PROGRAMS", "300")), deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(programs())
def test_written_programs(source):
    outcomes[checked(source)] += 1


def many(first, count):
    """Check the programs with these numbers; wrong ones are printed."""
    wrong = 0
    for seed in range(first, first + count):
        source = written(Rolled(seed))
        try:
            outcomes[checked(source)] += 1
        except Exception as error:
            wrong += 1
            print(f"-- program {seed}: {type(error).__name__}: {error}\n{source.split('def f(')[1]}", flush=True)
    print(", ".join(f"{n} {k}" for k, n in outcomes.items()), f"{wrong} wrong", sep=", ", flush=True)


if __name__ == "__main__":
    many(int(sys.argv[2]) if len(sys.argv) > 2 else 0, int(sys.argv[1]) if len(sys.argv) > 1 else 20000)
