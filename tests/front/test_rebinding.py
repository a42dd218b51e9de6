"""Copies of the user's functions, kept from one recording to the next."""

import functools
import gc
import threading
import types
import weakref

import numpy as np
import pytest
from adcore.front import modules
from adcore.testing import check_grads

import adcore

from ..idioms import helpers

x = np.array([0.3, -0.7, 1.1])


def module(source):
    """A module of the user's from its text."""
    made = types.ModuleType("written")
    made.__dict__["np"] = np
    exec(source, made.__dict__)
    return made


HELPED = """
import math
weights = np.array([1.0, 2.0, 3.0])
def helper(x, power=2):
    out = np.zeros(3)
    for i in range(3):
        out[i] = weights[i] * x[i] ** power
    return out
def f(x):
    return np.sum(helper(x))
"""


def test_data_is_read_anew_by_each_recording():
    m = module(HELPED)
    np.testing.assert_allclose(adcore.gradient(m.f, x), 2 * m.weights * x)
    m.weights = np.array([5.0, 0.0, 1.0])
    np.testing.assert_allclose(adcore.gradient(m.f, x), 2 * m.weights * x)
    m.weights[1] = 7.0
    np.testing.assert_allclose(adcore.gradient(m.f, x), 2 * m.weights * x)


def test_code_that_changes_is_noticed():
    m = module(HELPED)
    first = adcore.gradient(m.f, x)
    old = m.helper
    m.helper = lambda x: np.sin(x)
    np.testing.assert_allclose(adcore.gradient(m.f, x), np.cos(x))
    m.helper = old
    np.testing.assert_array_equal(adcore.gradient(m.f, x), first)
    old.__defaults__ = (3,)
    np.testing.assert_allclose(adcore.gradient(m.f, x), 3 * m.weights * x**2)
    old.__code__ = (lambda x, power=1: np.exp(x)).__code__
    np.testing.assert_allclose(adcore.gradient(m.f, x), np.exp(x))


def test_a_name_that_the_module_did_not_have():
    m = module("def f(x):\n    return sum(x * x)")
    np.testing.assert_allclose(adcore.gradient(m.f, x), 2 * x)
    m.sum = lambda x: np.prod(x)
    np.testing.assert_allclose(adcore.gradient(m.f, x), 2 * np.prod(x**2) / x)


def test_data_that_becomes_code_and_code_that_becomes_data():
    m = module("def f(x):\n    return np.sum(x * k)\nk = 2.0")
    np.testing.assert_allclose(adcore.gradient(m.f, x), 2.0)
    m.k = np
    with pytest.raises(TypeError, match="unsupported operand"):
        adcore.gradient(m.f, x)
    m.k = 3.0
    np.testing.assert_allclose(adcore.gradient(m.f, x), 3.0)


def test_kept_copies_hold_no_data():
    m = module(HELPED)
    adcore.gradient(m.f, x)
    big = weakref.ref(m.weights)
    del m.weights
    gc.collect()
    assert big() is None

    def loss_of(table):
        return weakref.ref(table), lambda x: np.sum(table * x)

    closed_over, loss = loss_of(np.ones(3))
    adcore.gradient(loss, x)
    del loss
    gc.collect()
    assert closed_over() is None


def test_a_function_that_got_away_keeps_its_own_names():
    m = module("kept = []\ndef f(x):\n    kept.append(lambda n: np.zeros(n))\n    return np.sum(x * x)")
    for _ in range(3):
        np.testing.assert_allclose(adcore.gradient(m.f, x), 2 * x)
    assert len({id(g.__globals__) for g in m.kept}) == 3
    with pytest.raises(adcore.errors.AdcoreError, match="has returned"):
        m.kept[0](3)


def test_functions_made_in_a_loop_are_let_go():
    made = []
    for _ in range(20):
        f = lambda x: np.sum(x * x)  # noqa: E731
        made.append(weakref.ref(f))
        adcore.gradient(f, x)
        del f
    gc.collect()
    assert not any(f() for f in made)


def test_an_error_leaves_nothing_behind():
    m = module("def f(x, fail):\n    out = np.zeros(3)\n    out[0] = x[0]\n    return np.sum(out) + (1 / 0 if fail else 0)")
    for fail in (False, True, False, True):
        if fail:
            with pytest.raises(ZeroDivisionError):
                adcore.gradient(m.f, x, fail)
        else:
            np.testing.assert_array_equal(adcore.gradient(m.f, x, fail), [1.0, 0.0, 0.0])
    assert m.np is np


def test_functions_that_name_themselves_and_each_other():
    def power(x, n):
        return np.ones(3) if n == 0 else x * power(x, n - 1)

    def even(x, n):
        return np.array([x[0], x[1], 1.0]) if n == 0 else np.sin(odd(x, n - 1))

    def odd(x, n):
        return np.cos(even(x, n - 1))

    check_grads(lambda x: np.sum(power(x, 3) + even(x, 2)), [x])


def test_a_function_inside_its_own_gradient():
    def f(x, depth):
        return np.sum(x**3) if depth == 0 else np.sum(adcore.gradient(f, x, depth - 1) ** 2)

    for _ in range(2):
        np.testing.assert_allclose(adcore.gradient(f, x, 1), 36 * x**3)


def test_recordings_of_one_function_in_many_threads():
    m = module(HELPED)
    wrong = []

    def work(k):
        for _ in range(30):
            if not np.allclose(adcore.gradient(m.f, x + k), 2 * m.weights * (x + k)):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_modules_change_only_for_functions_that_copies_may_not_reach(monkeypatch):
    used = []

    class Counted(modules.Swapped):
        def __enter__(self):
            used.append(self)
            super().__enter__()

    monkeypatch.setattr(modules, "Swapped", Counted)
    adcore.gradient(module(HELPED).f, x)
    adcore.gradient(lambda x: helpers.filled(x)[0] * 2.0, x)  # an attribute of a module that is no library
    assert len(used) == 1
    adcore.gradient(lambda x, k: np.sum(k["w"] * x) + len(k["names"]), x, {"w": x, "names": ["a"]})
    assert len(used) == 1
    adcore.gradient(lambda x, k: np.sum(k["f"](x)), x, {"f": helpers.filled})
    assert len(used) == 2


def test_twins_look_like_what_they_stand_for():
    table = {np.sin: "sine", np.sum: "total"}

    def f(x):
        assert isinstance(np.sin, np.ufunc) and np.sin.nin == 1 and np.add.identity == 0
        assert table[np.sin] == "sine" and table[np.sum] == "total" and np.sin == np.sin and np.sin != np.cos
        assert repr(np.sin) == "<ufunc 'sin'>" and np.sum.__name__ == "sum"
        assert type(np.sin(1.0)) is np.float64 and type(np.sum([1, 2])) is np.int64
        return np.add.reduce(np.sin(x)) + np.max(np.multiply.outer(x, x)) + np.sum(np.where(x > 0, x, 0.0), axis=0, keepdims=False)

    check_grads(f, [x])


def test_out_arguments_and_keywords_through_twins():
    def f(x):
        out = np.zeros(3)
        np.multiply(x, 2.0, out=out)
        total = np.zeros(1)
        np.sum(out, axis=0, keepdims=True, out=total)
        return np.sum(a=total) + np.add(x, x, where=np.array([True, False, True]), out=np.zeros(3))[0]

    np.testing.assert_allclose(adcore.gradient(f, x), [4.0, 2.0, 2.0])


number = 2.0
cached = functools.lru_cache(lambda: number)


def test_the_function_behind_a_cache_is_not_its_cache():
    """``__wrapped__`` led to the cache, which kept the number of the first call."""
    global number
    f = adcore.grad(lambda x: np.sum(x**2 * cached.__wrapped__()))
    np.testing.assert_array_equal(f(np.ones(2)), [4.0, 4.0])
    number = 3.0
    np.testing.assert_array_equal(f(np.ones(2)), [6.0, 6.0])


@pytest.mark.parametrize("requirements", [None, "C", ["F", "A"], ["O", "W"], ["C_CONTIGUOUS", "O"]])
def test_required_arrays_are_traced_and_views_where_numpys_are(requirements):
    """np.require is Python code that no protocol reaches: it lost the trace."""

    def f(x):
        a = np.outer(x, x**2)
        v = np.require(a.T, dtype=np.float64, requirements=requirements)
        v *= 3.0
        return np.sum(a * np.arange(9.0).reshape(3, 3)) + np.sum(v[0] ** 2)

    x = np.array([0.3, -0.7, 1.1])
    np.testing.assert_allclose(adcore.value_and_grad(f)(x)[0], f(x), rtol=1e-14)
    adcore.testing.check_grads(f, (x,))


def test_requirements_that_numpy_refuses_are_refused():
    with pytest.raises(ValueError, match="both"):
        adcore.gradient(lambda x: np.sum(np.require(x, None, ["C", "F"])), np.ones(3))
