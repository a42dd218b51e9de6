"""Bad input gets a clear, early error; unusual input the right answer."""

import collections
import dataclasses
import threading
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import adcore
from adcore import errors

x = np.array([1.0, 2.0, 3.0])
outside = np.zeros(3)


def squares(x):
    return np.sum(x * x)


def raises_its_own(x):
    raise KeyError("mine")


def writes_into_a_plain_array(x):
    outside[0] = x[0]
    return np.sum(outside)


REFUSED = [
    ("an integer array", lambda: adcore.gradient(squares, np.array([1, 2])), errors.ArgumentError, r"astype\(float\)"),
    ("an integer", lambda: adcore.gradient(squares, 3), errors.ArgumentError, r"float\(3\)"),
    ("a string", lambda: adcore.gradient(squares, "abc"), errors.ArgumentError, "str"),
    ("objects", lambda: adcore.gradient(squares, np.array([1.0, None])), errors.ArgumentError, "object"),
    ("complex", lambda: adcore.gradient(squares, x * 1j), errors.ArgumentError, "complex"),
    ("an array result", lambda: adcore.gradient(lambda x: x * 2, x), errors.ArgumentError, r"shape \(3,\)"),
    ("no result", lambda: adcore.gradient(lambda x: None, x), errors.ArgumentError, "None"),
    ("argnums out of range", lambda: adcore.gradient(squares, x, argnums=3), errors.ArgumentError, "argnums=3"),
    ("argnums twice", lambda: adcore.gradient(squares, x, argnums=(0, 0)), errors.ArgumentError, "twice"),
    ("f's own exception", lambda: adcore.gradient(raises_its_own, x), KeyError, "mine"),
    (
        "an unknown function",
        lambda: adcore.gradient(lambda x: np.linalg.svd(x[None])[1][0], x),
        errors.NotDifferentiable,
        r"test_bad_input\.py:\d+: np\.linalg\.svd",
    ),
    ("out= a plain array", lambda: adcore.gradient(lambda x: np.sum(np.multiply(x, x, out=outside)), x), errors.LostTrace, "out="),
    ("a write into a plain array", lambda: adcore.gradient(writes_into_a_plain_array, x), errors.LostTrace, "assignment into an array"),
    ("an index out of range", lambda: adcore.gradient(lambda x: x[7], x), IndexError, "index 7 is out of bounds"),
    ("a fancy index out of range", lambda: adcore.gradient(lambda x: np.sum(x[[0, 9]]), x), IndexError, "index 9"),
    ("shapes that do not fit", lambda: adcore.gradient(lambda x: np.sum(x + np.zeros(4)), x), ValueError, "broadcast"),
]


def of_class(kind, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(*args, **kwargs)


MASKED = np.ma.array(x, mask=[False, True, False])
MATRIX = of_class(np.matrix, np.eye(3))
REFUSED += [
    ("a masked array", lambda: adcore.gradient(squares, MASKED), errors.ArgumentError, r"argument 0 is of class numpy\.ma.*np\.asarray"),
    ("a matrix", lambda: adcore.jacobian(lambda m: m * m)(MATRIX), errors.ArgumentError, r"numpy\.matrix"),
    ("a matrix beside", lambda: adcore.gradient(lambda x, m: np.sum(x * m), x, MATRIX), errors.ArgumentError, r"py:\d+: .*numpy\.matrix"),
    ("a masked array beside", lambda: adcore.gradient(lambda x, m: np.sum(x * m), x, MASKED), errors.ArgumentError, r"numpy\.ma"),
    (
        "a masked array in a tree",
        lambda: adcore.grad(lambda p: np.sum(p["m"]))({"m": MASKED}),
        errors.ArgumentError,
        r'\["m"\] is of class',
    ),
    ("a masked array, compiled", lambda: adcore.compile(adcore.grad(squares))(MASKED), errors.ArgumentError, r"numpy\.ma"),
]


@pytest.mark.parametrize("call, error, text", [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_refused_with_a_clear_error(call, error, text):
    with pytest.raises(error, match=text):
        call()


def read_only():
    a = x.copy()
    a.flags.writeable = False
    return a


@pytest.mark.parametrize(
    "a",
    [x, read_only(), x[::-1], x.astype(">f8"), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.array(3.0), np.zeros(0),
     np.zeros((2, 0)), x.astype(np.float32), np.array([np.nan, 1.0])],
    ids=["plain", "read-only", "reversed", "big-endian", "Fortran", "0-d", "empty", "empty 2-d", "float32", "NaN"],
)  # fmt: skip
def test_any_layout_gives_the_right_gradient(a):
    g = adcore.gradient(squares, a)
    assert_array_equal(g, 2 * a)
    assert g.shape == a.shape
    assert g.dtype == a.dtype.newbyteorder("=")


def test_a_float_argument_gives_a_float():
    g = adcore.gradient(lambda t: t**3, 2.0)
    assert isinstance(g, np.float64)
    assert g == 12.0


def test_a_huge_constant_array_that_is_only_summed_costs_nothing():
    assert_array_equal(adcore.gradient(lambda x: np.sum(np.ones(10**12) * x[0]), x), [1e12, 0.0, 0.0])


def test_zeros_only_when_the_result_does_not_depend_on_x():
    assert_array_equal(adcore.gradient(lambda x: 3.0, x), np.zeros(3))
    assert_array_equal(adcore.gradient(lambda x: np.sum(np.floor(x)), x), np.zeros(3))


Pair = collections.namedtuple("Pair", "left right")


@dataclasses.dataclass
class Model:
    weights: np.ndarray
    bias: float


def test_gradients_of_trees_have_the_tree_of_the_argument():
    tree = {"a": x, "b": [Pair(2.0, x), None], "c": Model(x, 1.0)}

    def f(t):
        return np.sum(t["a"] * t["b"][0].right) * t["b"][0].left + np.sum(t["c"].weights) * t["c"].bias

    g = adcore.gradient(f, tree)
    assert_allclose(g["a"], 2 * x)
    assert isinstance(g["b"][0], Pair)
    assert_allclose(g["b"][0].left, np.sum(x * x))
    assert g["b"][1] is None
    assert isinstance(g["c"], Model)
    assert_allclose(g["c"].weights, np.ones(3))


def test_argnums_and_aux():
    def f(a, b):
        return np.sum(a * b), {"max": np.max(a)}

    (value, aux), (ga, gb) = adcore.value_and_grad(f, argnums=(0, 1), has_aux=True)(x, 2 * x)
    assert_allclose(value, 28.0)
    assert aux == {"max": 3.0}
    assert_allclose(ga, 2 * x)
    assert_allclose(gb, x)
    g, _ = adcore.grad(f, argnums=-1, has_aux=True)(x, 2 * x)
    assert_allclose(g, x)


def test_closures_that_change_between_calls_are_seen():
    scale = [1.0]
    f = adcore.grad(lambda x: np.sum(x * scale[0] * outside2))
    outside2 = np.ones(3)
    assert_allclose(f(x), np.ones(3))
    scale[0] = 0.3
    outside2[1] = 7.0
    assert_allclose(f(x), [0.3, 2.1, 0.3])


def test_threads_do_not_see_each_other():
    found = {}

    def work(k):
        for _ in range(50):
            found[k] = adcore.gradient(lambda x: np.sum(np.sin(k * x)), x)

    threads = [threading.Thread(target=work, args=(float(k),)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for k, g in found.items():
        assert_allclose(g, k * np.cos(k * x))


def test_repeated_calls_leave_no_memory_behind():
    resource = pytest.importorskip("resource")
    f = adcore.value_and_grad(lambda x, y: np.sum(x * np.sin(y)) + np.zeros(3) @ x)
    for _ in range(2000):
        f(x, x)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(10000):
        f(x, x)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2048
