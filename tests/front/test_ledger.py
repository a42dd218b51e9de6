"""The ledger: every overridable function of NumPy and every ufunc of scipy.special is differentiated, computed on values, or refused
with a reason; no entry without a test, and what is refused is what tests/known_gaps.txt says."""

import importlib
import pathlib

import numpy as np
import pytest
import scipy.special
from adcore.front import dispatch, ledger
from adcore.testing import check_grads

import adcore
from adcore import errors

from . import cases

FUNCTIONS, UFUNCS = ledger.functions(), ledger.ufuncs()
RECORDED = [n for n, f in FUNCTIONS.items() if ledger.status(f) == "recorded"]
VALUES = [n for n, f in FUNCTIONS.items() if ledger.status(f) == "values"]
REFUSED = [n for n, f in FUNCTIONS.items() if ledger.status(f) == "refused"]
UFUNCS_RECORDED = [n for n, u in UFUNCS.items() if ledger.ufunc_status(u) == "recorded"]
UFUNCS_REFUSED = [n for n, u in UFUNCS.items() if ledger.ufunc_status(u) == "refused"]
GAPS = pathlib.Path(__file__).parent.parent / "known_gaps.txt"


def weighted(f):
    """The results of f as one number."""

    def of(x):
        y = f(x)
        w = np.random.default_rng(1).normal(size=np.shape(y))
        return np.sum(w * y) if np.ndim(y) else w[()] * y

    return of


def test_no_function_is_without_a_case():
    assert sorted(cases.DIFFERENTIABLE) == RECORDED
    assert sorted(cases.ON_VALUES) == VALUES


def is_here(line):
    """Does the installed NumPy or SciPy have what a line names?"""
    name = line.partition(":")[0]
    if name.startswith("ufunc "):
        return name.removeprefix("ufunc ") in UFUNCS
    if name.startswith("np."):
        return name in FUNCTIONS
    module, _, name = name.rpartition(".")
    return hasattr(importlib.import_module(module), name)


def test_known_gaps_are_exact():
    assert [line for line in GAPS.read_text().splitlines() if is_here(line)] == ledger.gaps()


def test_every_refusal_has_a_reason():
    assert [n for n in REFUSED if not dispatch.reason(FUNCTIONS[n])] == []
    assert [n for n in UFUNCS_REFUSED if n not in dispatch.REFUSED] == []


@pytest.mark.filterwarnings("ignore:numpy.fix is deprecated", "ignore:Casting complex values to real")
@pytest.mark.parametrize("name", RECORDED)
def test_function(name):
    f, x = cases.DIFFERENTIABLE[name]
    np.testing.assert_allclose(adcore.value_and_grad(weighted(f))(x)[0], weighted(f)(x), rtol=1e-10)
    check_grads(weighted(f), [x], rtol=2e-6)


@pytest.mark.parametrize("name", VALUES)
def test_function_of_values(name):
    f = cases.ON_VALUES[name]
    seen = []

    def g(x):
        seen.append(f(x))
        return np.sum(x)

    np.testing.assert_array_equal(adcore.gradient(g, cases.A), np.ones(cases.A.shape))
    np.testing.assert_array_equal(seen[0], f(cases.A))
    assert not adcore.tracer.array.is_traced(seen[0])


@pytest.mark.parametrize("name", REFUSED)
def test_refused_function(name):
    f = FUNCTIONS[name]

    if "reads text" in dispatch.reason(f):  # NumPy itself refuses arrays there
        with pytest.raises((TypeError, ValueError, AttributeError, OSError)):
            adcore.gradient(lambda x: np.sum(f(x)), cases.v)
        return

    def call(x):
        for n in range(1, 5):
            for more in ({}, {"like": x}):
                try:
                    f(*[x] * n, **more)
                except errors.NotDifferentiable:
                    raise
                except TypeError:  # not its arguments
                    continue
        return np.sum(x)

    with pytest.raises(errors.NotDifferentiable, match=rf"test_ledger.py:\d+: {name} has no derivative in adcore \(.+\), .*stop_gradient"):
        adcore.gradient(call, cases.v)


@pytest.mark.parametrize("name", UFUNCS_RECORDED)
def test_ufunc(name):
    uf = UFUNCS[name]
    f, x = cases.UFUNCS.get(name, (None, cases.p))
    if f is None:
        f = uf if uf.nin == 1 else lambda x: uf(x, x[::-1] * 0.7 + 0.1)
    if name in ledger.BOOLEAN or name in ("isnat",):
        np.testing.assert_array_equal(adcore.gradient(lambda x: np.sum(np.where(f(x), 2.0 * x, x)), x), np.where(f(x), 2.0, 1.0))
        return
    if name in ("invert", "bitwise_and", "bitwise_or", "bitwise_xor"):
        b = x > 1
        np.testing.assert_array_equal(adcore.gradient(lambda x: np.sum(x * uf(*[x > 1] * uf.nin)), x), 1.0 * uf(*[b] * uf.nin))
        return
    if name == "spacing":
        with pytest.raises(errors.NotDifferentiable, match=r"spacing .*next floating-point number"):
            adcore.gradient(lambda x: np.sum(np.spacing(x)), x)
        return
    check_grads(weighted(f), [x], rtol=2e-6)


@pytest.mark.parametrize("name", UFUNCS_REFUSED)
def test_refused_ufunc(name):
    uf = UFUNCS[name]
    with pytest.raises(
        errors.NotDifferentiable, match=rf"test_ledger.py:\d+: .*{name} has no derivative in adcore \(.+\), .*stop_gradient"
    ):
        adcore.gradient(lambda x: uf(*[x] * uf.nin), cases.v)


def test_every_ufunc_of_scipy_special_is_in_the_ledger():
    names = {n for n in dir(scipy.special) if isinstance(getattr(scipy.special, n), np.ufunc)}
    assert names - set(ledger.special_status()) == set()
    assert sum(status == "recorded" for status in ledger.special_status().values()) >= 150
