"""debug_nans: what is NaN or infinite is traced to the operation and line it comes from."""

import numpy as np
import pytest

import adcore
from adcore import errors

x = np.array([1.0, 0.5, -2.0])


def line_of(mark):
    """The number of the line of this file that has this mark."""
    with open(__file__) as file:
        return next(n for n, text in enumerate(file, 1) if text.rstrip().endswith(f"# {mark}"))


def logarithm(x):
    y = x * 2.0
    z = np.log(y)  # log
    return np.sum(z * y)


def root(x):
    y = x - x[0]
    return np.sum(np.sqrt(np.abs(y) * 1.0) ** 1.0 + y)  # root


def overflow(x):
    y = np.exp(1000.0 * x)  # exp
    return np.sum(1.0 / (1.0 + y))


CASES = {
    "forward": (lambda: adcore.gradient(logarithm, x), "log", "log gives NaN at element 2 in the forward sweep = log\\(-4\\)"),
    "several seeds": (lambda: adcore.jacobian(lambda x: logarithm(x) * x, mode="forward")(x), "log", "log gives NaN"),
    "tangents": (
        lambda: adcore.jvp(np.sqrt, (np.zeros(2),), (np.ones(2),)),
        None,
        "an infinity at element 0 in the forward sweep of tangents",
    ),
    "reverse": (lambda: adcore.gradient(lambda x: np.sum(np.sqrt(x)), np.zeros(2)), None, "an infinity at element 0 in the reverse sweep"),
    "second derivative": (lambda: adcore.hessian(logarithm)(x), "log", "gives NaN"),
    "compiled": (lambda: adcore.compile(adcore.grad(logarithm))(x), "log", "log gives NaN"),
    "sparse": (lambda: adcore.sparse_hessian(logarithm, x), "log", "gives NaN"),
    "arguments": (lambda: adcore.gradient(np.sum, np.array([1.0, np.nan])), None, "NaN is among the arguments"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_origin_is_named(name):
    call, mark, text = CASES[name]
    with adcore.config(debug_nans=True), pytest.raises(errors.NonFinite, match=text) as caught, np.errstate(all="ignore"):
        call()
    if mark:
        assert f"test_nonfinite.py:{line_of(mark)}:" in str(caught.value)


def test_infinities_that_do_not_reach_a_result_are_no_matter():
    f = lambda x: np.sum(np.where(x > 0, np.log(np.abs(x) * (x > 0)), x))  # noqa: E731
    with adcore.config(debug_nans=True), np.errstate(all="ignore"):
        got = adcore.gradient(f, x)
        assert np.all(np.isfinite(adcore.value_and_grad(overflow)(np.array([1.0]))[0]))
    np.testing.assert_allclose(got, [1.0, 2.0, 1.0])


def test_the_branch_not_taken_is_not_named():
    def f(x):
        y = np.where(x > 0, np.log(x), x)
        return np.sum(np.arcsin(y))  # arcsin

    with adcore.config(debug_nans=True), pytest.raises(errors.NonFinite, match="arcsin gives NaN at element 2"), np.errstate(all="ignore"):
        adcore.gradient(f, np.array([1.0, 0.5, -2.0]))


def test_it_is_off_unless_asked_for():
    with np.errstate(all="ignore"):
        assert np.isnan(adcore.gradient(logarithm, x)[2]) or np.isnan(logarithm(x))


def test_results_are_the_same():
    f = adcore.compile(adcore.value_and_grad(lambda x: np.sum(np.sin(x) * x)))
    value, g = f(x)
    with adcore.config(debug_nans=True):
        again, h = f(x)
    assert value == again
    np.testing.assert_array_equal(g, h)
