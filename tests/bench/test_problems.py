"""The benchmark problems: adcore's gradients against the hand-derived ones, in every mode."""

import numpy as np
import pytest

import adcore
from bench.problems import problem

SIZES = {
    "elementwise": "1000",
    "gmm": "d2_K5",
    "lstm": "l2_c20",
    "ba": "50",
    "fft": "64",
    "ode": "12",
    "rk4": "6x3",
    "mlp": "7x5x4x3_b6",
    "gp": "12",
    "logistic": "20x4",
    "rosenbrock": "10",
    "straightline": "300",
    "pip": "A4B_deg3x4",
}


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("mode", [{}, {"unchecked": True}, {"noalias": False}, {"optimise": False}], ids=str)
def test_gradients_agree_with_the_reference(name, mode):
    p = problem(name, SIZES[name])
    with adcore.config(**mode):
        value, gradients = adcore.value_and_grad(p.fun, argnums=p.argnums)(*p.args)
    np.testing.assert_allclose(value, p.fun(*p.args), rtol=1e-12)
    for ours, reference in zip(gradients, p.reference(*p.args), strict=True):
        np.testing.assert_allclose(ours, reference, rtol=1e-9, atol=1e-10 * np.max(np.abs(reference)))


@pytest.mark.parametrize("name", SIZES)
def test_compiled_gradients_are_replayed(name):
    p = problem(name, SIZES[name])
    g = adcore.compile(adcore.value_and_grad(p.fun, argnums=p.argnums))
    for _ in range(2):
        g(*p.args)
    assert g.recordings == 1 and not g.why_not
