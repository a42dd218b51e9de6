"""Random NumPy programs: their values against NumPy's, their gradients against differences.

``python -m tests.idioms.test_written_programs 20000`` runs so many.
"""

import os
import sys
import warnings

import numpy as np
from hypothesis import HealthCheck, given, settings

import adcore

from .written_programs import programs

X = np.array([[0.31, -0.72, 1.13, 0.24], [-1.05, 0.46, -0.27, 0.88], [0.69, -0.31, 0.52, -1.41]])
Y = np.array([0.57, -0.83, 0.19, 1.21])
S = 0.37
outcomes = {"checked": 0, "at a kink": 0, "refused": 0}


def checked(source):
    """Compare value and gradient of one program with NumPy's."""
    names = {"np": np, "__name__": "written"}
    exec(compile(source, "<program>", "exec"), names)
    f = names["f"]
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
        assert abs(value - plain) <= 1e-11 * max(1.0, abs(plain)), (value, plain)
        rng = np.random.default_rng(0)
        dx, dy, ds = rng.normal(size=X.shape), rng.normal(size=Y.shape), rng.normal()
        ours = float(np.sum(gx * dx) + np.sum(gy * dy) + gs * ds)

        def along(t):
            return float(f(X + t * dx, Y + t * dy, S + t * ds))

        def difference(h):
            return (8.0 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12.0 * h)

        close = 1e-6 * max(1.0, abs(ours), abs(plain))
        found = [difference(h) for h in (1e-4, 1e-5)]
    if abs(found[0] - ours) <= close or abs(found[1] - ours) <= close:
        return "checked"
    # at a kink differences of several widths disagree with each other, or one side with the other
    h = 1e-6
    sides = (along(h) - plain) / h, (plain - along(-h)) / h
    if abs(found[0] - found[1]) > close or abs(sides[0] - sides[1]) > 1e3 * close:
        return "at a kink"
    raise AssertionError(f"gradient along a direction {ours}, differences {found}\n{source}")


@settings(max_examples=int(os.environ.get("ADCORE_PROGRAMS", "300")), deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(programs())
def test_written_programs(source):
    outcomes[checked(source)] += 1


if __name__ == "__main__":
    os.environ["ADCORE_PROGRAMS"] = sys.argv[1] if len(sys.argv) > 1 else "20000"
    settings.register_profile("many", max_examples=int(os.environ["ADCORE_PROGRAMS"]), deadline=None)
    settings(max_examples=int(os.environ["ADCORE_PROGRAMS"]), deadline=None, suppress_health_check=list(HealthCheck), database=None)(
        given(programs())(test_written_programs.hypothesis.inner_test)
    )()
    print(", ".join(f"{n} {k}" for k, n in outcomes.items()))
