"""The models of many fields, unmodified NumPy: gradients against differences, and compiled ones at other points."""

import numpy as np
import pytest

import adcore
from bench import fields

MODELS = fields.kernels()
INSTANCES = fields.instances()


@pytest.mark.parametrize("name", INSTANCES)
def test_gradients(name):
    args, active = INSTANCES[name]
    f, wrt = getattr(MODELS, name), tuple(range(active))

    def of_active(*x):
        return f(*x, *args[active:])

    assert np.isfinite(f(*args))
    adcore.testing.check_grads(of_active, args[:active], order=1, rtol=1e-4)
    compiled = adcore.compile(adcore.value_and_grad(f, argnums=wrt))
    for scale in (1.0, 1.0001):
        point = [scale * x for x in args[:active]]
        value, gradients = compiled(*point, *args[active:])
        again = adcore.grad(f, wrt)(*point, *args[active:])
        np.testing.assert_allclose(value, f(*point, *args[active:]), rtol=1e-10)
        for ours, theirs in zip(gradients, again, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9 * np.max(np.abs(theirs)))


def test_every_model_has_an_instance():
    written = {name for name, x in vars(MODELS).items() if callable(x)}
    assert written == set(INSTANCES)
