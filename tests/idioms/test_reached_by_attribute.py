"""Functions that the recorded one finds only as it runs: methods, callbacks, other modules of the user's."""

import dataclasses
import threading
from collections.abc import Callable

import numpy as np
import pytest
from adcore.testing import check_grads

import adcore

from . import helpers

x = np.array([0.3, -0.7, 1.1])


@dataclasses.dataclass
class Model:
    weights: np.ndarray
    activation: Callable

    def loss(self, x):
        hidden = np.zeros(3)
        for i in range(3):
            hidden[i] = self.weights[i] * x[i]
        return np.sum(self.activation(hidden) ** 2)


def bent(h):
    out = np.empty(h.size)
    for i in range(h.size):
        out[i] = np.tanh(h[i])
    return out


MODEL = Model(np.array([1.0, 2.0, -1.0]), bent)
CALLBACKS = [bent, helpers.filled]


def test_a_function_of_another_module():
    check_grads(lambda x: np.sum(helpers.filled(x) ** 2), [x])


def test_functions_in_a_dict_of_another_module():
    check_grads(lambda x: sum(np.sum(f(x)) for f in helpers.TABLE.values()), [x])


def test_a_method_as_the_function():
    check_grads(MODEL.loss, [x])


def test_a_method_of_a_global_object():
    check_grads(lambda x: MODEL.loss(x) * 2.0, [x])


def test_a_function_in_a_field_of_an_argument():
    def f(x, model):
        return model.loss(x) + np.sum(model.activation(x))

    g = adcore.gradient(f, x, MODEL)
    h = 1e-6
    for k in range(3):
        e = np.eye(3)[k] * h
        np.testing.assert_allclose(g[k], (f(x + e, MODEL) - f(x - e, MODEL)) / (2 * h), rtol=1e-7)


def test_callbacks_in_a_list():
    check_grads(lambda x: sum(np.sum(f(x)) for f in CALLBACKS), [x])


def test_callable_objects_properties_and_static_methods_of_another_module():
    layers = [helpers.Layer([1.0, 2.0, 3.0]), helpers.Layer([0.5, 0.1, -1.0])]

    def f(x):
        for layer in layers:
            x = layer(x)
        return layers[0].total(x**2)

    check_grads(f, [x])


def test_an_object_made_from_traced_values():
    check_grads(lambda x: np.sum(helpers.Layer(x)(np.ones(3)) ** 2), [x])


def test_names_are_put_back_when_the_function_raises():
    before = dict(vars(helpers)), dict(globals())

    def f(x):
        assert helpers.np is not np  # a twin while it runs
        helpers.filled(x)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        adcore.gradient(f, x)
    assert dict(vars(helpers)) == before[0]
    assert {k: v for k, v in globals().items() if k != "__builtins__"} == {k: v for k, v in before[1].items() if k != "__builtins__"}


def test_other_threads_see_plain_numpy():
    inside, done = threading.Event(), threading.Event()

    def f(x):
        inside.set()
        done.wait(10)
        return np.sum(helpers.filled(x))

    found = []
    thread = threading.Thread(target=lambda: found.append(adcore.gradient(f, x)))
    thread.start()
    inside.wait(10)
    plain = helpers.filled(x)
    assert type(plain) is np.ndarray
    assert type(helpers.np.zeros(2)) is np.ndarray
    done.set()
    thread.join()
    np.testing.assert_allclose(found[0], np.exp(x) * (np.sin(x) + np.cos(x)))
    assert helpers.np is np


def test_recordings_in_many_threads_do_not_meet():
    wrong = []

    def work(k):
        for _ in range(20):
            g = adcore.gradient(lambda x: np.sum(helpers.filled(x * k)), x)
            if not np.allclose(g, k * np.exp(k * x) * (np.sin(k * x) + np.cos(k * x))):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(1.0 + 0.1 * k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert helpers.np is np


def test_nested_derivatives_through_methods():
    inner = adcore.grad(MODEL.loss)
    check_grads(lambda x: np.sum(inner(x) * MODEL.loss(x)), [x])


def test_a_compiled_function_is_not_recorded_anew_because_of_the_twins():
    f = adcore.compile(adcore.grad(lambda x: np.sum(helpers.filled(x))))
    for k in range(3):
        f(x + k)
    assert f.recordings == 1


def test_modules_met_first_inside_another_recording():
    def outer(y):
        from . import late

        return np.sum(adcore.gradient(late.curve, y)) + late.curve(y)

    check_grads(outer, [x])
    from . import late

    assert late.np is np
    check_grads(lambda y: late.Shape().area(y), [x])


def test_libraries_imported_inside_the_function():
    def f(x):
        import math

        import numpy as numbers
        import numpy.linalg as la
        from numpy import zeros
        from scipy.special import logsumexp

        out = zeros(2)
        out[0] = math.sin(x[0])
        return la.norm(out) + logsumexp(x) + numbers.array([x[1], 1.0])[0]

    check_grads(f, [x])
