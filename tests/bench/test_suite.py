"""Whole kernels of the suite, unmodified NumPy: their gradients against differences and the complex step."""

import numpy as np
import pytest

import adcore
from bench import suite

KERNELS = suite.load()
# central differences of sixth order: weights of f(x + k h) - f(x - k h)
SIXTH = {1: 45 / 60, 2: -9 / 60, 3: 1 / 60}
# the widest step that crosses no kink (relu, a limiter) is the most exact
STEPS = (2e-4, 2e-5, 2e-6)


def active(args):
    return tuple(k for k, a in enumerate(args) if isinstance(a, np.ndarray) and a.dtype.kind == "f")


def moved(args, wrt, directions, t):
    args = list(args)
    for k, d in zip(wrt, directions, strict=True):
        args[k] = args[k] + t * d
    return args


def difference(f, h):
    return sum(w * (f(k * h) - f(-k * h)) for k, w in SIXTH.items()) / h


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.name)
def test_gradient_of_a_whole_kernel(kernel):
    args = kernel.arguments(kernel.small)
    wrt = active(args)
    before = [a.copy() for k, a in enumerate(args) if k in wrt]
    f = suite.loss(kernel)
    value, gradients = adcore.value_and_grad(f, argnums=wrt)(*args)
    assert all(np.array_equal(a, b) for a, b in zip([args[k] for k in wrt], before, strict=True)), "an argument was changed"
    assert np.isclose(value, f(*args), rtol=1e-12)
    rng = np.random.default_rng(3)
    for _ in range(3):
        directions = [rng.normal(size=args[k].shape) for k in wrt]
        ours = sum(float(np.sum(g * d)) for g, d in zip(gradients, directions, strict=True))
        if kernel.analytic:
            exact = f(*moved(args, wrt, directions, 1e-30j)).imag / 1e-30
            np.testing.assert_allclose(ours, exact, rtol=1e-9)
        found = [difference(lambda t, d=directions: f(*moved(args, wrt, d, t)), h) for h in STEPS]
        closest = min(found, key=lambda d: abs(d - ours))
        # sixth order leaves rounding: 1e-16 of the value over the step
        np.testing.assert_allclose(ours, closest, rtol=1e-8, atol=1e-11 * max(1.0, abs(float(value))))
