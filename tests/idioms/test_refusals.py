"""What is refused says where, what, and what to do instead; it never gives a zero, and leaves nothing behind."""

import ctypes
import functools
import pickle
import warnings

import numpy as np
import pytest

import adcore

from .checking import line_of

x = np.array([0.5, -1.2, 2.0, 0.3])
A = np.arange(12.0).reshape(3, 4) / 7.0
SCRATCH = np.empty(4)
TABLE = np.zeros((2, 4))
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    MATRIX = np.matrix([[1.0, 2.0], [3.0, 4.0]])
KEPT = {}
REFUSALS = []


def refusal(op, remedy, error=adcore.errors.AdcoreError):
    """A function whose last line in question is marked ``# here``; the error names it, the op and the remedy."""

    def add(f):
        REFUSALS.append((f, op, remedy, error))
        return f

    return add


@refusal("an array that is not recorded", "np.zeros(...)")
def a_slice_of_a_global_array_is_written(x):
    SCRATCH[:] = np.sin(x)  # here
    return np.sum(SCRATCH)


@refusal("an array that is not recorded", "pass it as an argument")
def an_element_of_a_global_array_is_written(x):
    for i in range(4):
        TABLE[1, i] = x[i] ** 2  # here
    return np.sum(TABLE)


@refusal("np.multiply with out=", "make the array inside the differentiated function")
def a_global_array_as_out(x):
    np.multiply(x, x, out=SCRATCH)  # here
    return np.sum(SCRATCH)


@refusal("np.add.at into a plain array", "make the array inside")
def sums_scattered_into_a_global_array(x):
    np.add.at(SCRATCH, [0, 1, 1, 2], x)  # here
    return np.sum(SCRATCH)


@refusal("np.multiply", "make the array inside the differentiated function")
def a_global_array_updated_in_place(x):
    global_array = TABLE[0]
    global_array *= x  # here
    return np.sum(global_array)


@refusal("np.copyto", "make the array inside")
def a_global_array_copied_into(x):
    np.copyto(SCRATCH, x)  # here
    return np.sum(SCRATCH)


@refusal("ndarray.resize", "np.resize")
def resized_in_place(x):
    y = x.copy()
    y.resize(2, 3)  # here
    return np.sum(y)


@refusal("np.ma.masked_where", "np.where")
def masked_arrays(x):
    m = np.ma.masked_where(x < 0, x)  # here
    return m.sum()


@refusal("np.ma.array", "np.where")
def masked_arrays_made_of_traced_ones(x):
    return np.ma.array(x, mask=[True, False, False, False]).sum()  # here


@refusal("numpy.ma.core", "adcore.stop_gradient")
def a_masked_constant_meets_a_traced_array(x):
    weights = np.ma.array([1.0, 2.0, 3.0, 4.0], mask=[0, 1, 0, 0])
    return np.sum(weights * x)  # here


@refusal("np.matrix", "@")
def matrices_of_traced_values(x):
    M = np.matrix(np.reshape(x, (2, 2)))  # here
    return (M * M).sum()


@refusal("matrix", "np.asarray")
def a_constant_matrix_times_a_traced_array(x):
    M = MATRIX
    return np.sum(M * x.reshape(2, 2))  # here


@refusal("ndarray.tobytes", "bytes")
def bytes_of_a_traced_array(x):
    return float(x.tobytes()[0])  # here


@refusal("ndarray.view", "astype")
def bytes_read_as_integers(x):
    return np.sum(x.view(np.int64))  # here


@refusal("ndarray.view", "astype")
def the_inverse_square_root_of_a_game(x):
    i = x.astype(np.float32).view(np.int32)  # here
    return np.sum((0x5F3759DF - (i >> 1)).view(np.float32))


@refusal("ndarray.ctypes", "bytes")
def a_pointer_to_a_traced_array(x):
    return float(x.ctypes.data_as(ctypes.POINTER(ctypes.c_double))[0])  # here


@refusal("pickling", "adcore.stop_gradient")
def a_pickled_array(x):
    return np.sum(pickle.loads(pickle.dumps(x)))  # here


@refusal("float()", "adcore.stop_gradient")
def a_function_in_c_that_wants_a_float(x):
    return ctypes.c_double(x[0]).value  # here


@refusal("np.roots", "companion matrix")
def roots_of_a_polynomial(x):
    return np.roots(x)[0].real  # here


@refusal("np.packbits", "bits", TypeError)
def packed_bits(x):
    return np.packbits(x)[0]  # here


@refusal("structured array", "compute with its fields")
def a_function_of_a_whole_structured_array(x):
    parts = np.zeros(4, dtype=[("m", float), ("q", float)])
    parts["m"] = x
    return np.sum(np.sort(parts)["m"])  # here


@refusal("spacing", "adcore.stop_gradient")
def the_distance_to_the_next_number(x):
    return np.sum(np.spacing(x))  # here


@refusal("scipy.special.jv", "adcore.stop_gradient")
def the_order_of_a_bessel_function(x):
    from scipy.special import jv

    return np.sum(jv(x, 1.0))  # here


@refusal("np.nditer", "np.ndindex")
def an_iterator_over_chunks(x):
    total = 0.0
    for chunk in np.nditer(x, flags=["external_loop"]):  # here
        total += np.sum(chunk)
    return total


@refusal("a complex value", ".real")
def a_complex_number_into_a_real_array(x):
    y = np.zeros(4)
    y[0] = np.exp(1j * x[0])  # here
    return np.sum(y)


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case[0].__name__)
def test_refused_with_line_op_and_remedy(case):
    f, op, remedy, error = case
    scratch, table = SCRATCH.copy(), TABLE.copy()
    for transform in (adcore.gradient, lambda f, x: adcore.jvp(f, (x,), (x,))):
        with pytest.raises(error) as found:
            transform(f, x)
        text = str(found.value)
        assert text.startswith(line_of(f, "# here") + ": "), text
        assert op in text, text
        assert remedy in text, text
    np.testing.assert_array_equal(TABLE, table)  # nothing traced, nothing changed
    np.testing.assert_array_equal(SCRATCH, scratch)


def test_numpys_own_refusals_keep_their_type_and_gain_a_line():
    def ragged(x):
        return np.sum(np.array([x[:2], x[:3]]))  # here

    def too_many(x):
        return x[0, 1]  # here

    def misfit(x):
        return np.sum(x + x[:3])  # here

    def beyond(x):
        return x[7]  # here

    for f, error in ((ragged, ValueError), (too_many, IndexError), (misfit, ValueError), (beyond, IndexError)):
        with pytest.raises(error, match=line_of(f, "# here")):
            adcore.gradient(f, x)
        with pytest.raises(error):
            f(x)


def test_a_traced_value_that_is_kept_says_so_later():
    def f(x):
        KEPT["y"] = x**2
        return np.sum(KEPT["y"])

    np.testing.assert_allclose(adcore.gradient(f, x), 2 * x)
    with pytest.raises(adcore.errors.AdcoreError, match="after the function that adcore recorded has returned"):
        KEPT["y"] + 1.0


@functools.lru_cache
def nodes(n):
    t = np.zeros(n)
    for k in range(n):
        t[k] = np.cos(np.pi * (k + 0.5) / n)
    return t


def test_a_cached_function_keeps_plain_arrays():
    g = adcore.gradient(lambda x: np.sum(nodes(4) * x), x)
    assert type(nodes(4)) is np.ndarray
    np.testing.assert_array_equal(g, nodes(4))


@functools.lru_cache
def blend(t, n):
    return t**n + (blend(t, n - 1) if n else 0.0)


def test_a_cached_function_of_traced_values_is_not_kept_beyond_the_recording():
    blend.cache_clear()
    for t in (0.3, 0.7):
        assert adcore.gradient(lambda t: blend(t, 3), t) == pytest.approx(1 + 2 * t + 3 * t * t, rel=1e-15)
        assert blend(t, 3) == pytest.approx(1 + t + t**2 + t**3)
    assert type(blend(0.3, 3)) is float


def test_compiled_functions_write_into_global_arrays_as_numpy_does():
    def f(x):
        SCRATCH[:] = np.sin(x)
        SCRATCH[1:] *= SCRATCH[:-1].copy()
        return np.sum(SCRATCH)

    def plain(x):
        y = np.sin(x)
        y[1:] *= np.sin(x)[:-1]
        return y

    compiled = adcore.compile(f)
    for k in range(3):
        assert compiled(x + k) == pytest.approx(np.sum(plain(x + k)), rel=1e-15)
        np.testing.assert_allclose(SCRATCH, plain(x + k), rtol=1e-15)
    assert compiled.recordings == 1
    with pytest.raises(adcore.errors.AdcoreError, match="values of two differentiations meet"):
        adcore.compile(adcore.grad(f))(x)


def test_a_rounded_number_is_a_constant_and_a_formatted_one_is_text():
    def f(x):
        label = "%.2f|%d|%s" % (x[0], 3, x.shape) + f"{x[1]:.1f}{x!r}" + str(x[2])  # noqa: UP031  (what is tested)
        n = round(x[2] * 10)
        assert isinstance(n, int)
        return np.sum(x) * n + len(label) * 0.0

    np.testing.assert_array_equal(adcore.gradient(f, x), np.full(4, 20.0))


def test_values_that_a_program_asks_for_do_not_hide_derivatives():
    def f(x):
        assert np.allclose(x, x.copy())
        assert not np.array_equal(x, x + 1)
        assert np.isclose(x[0], 0.5)
        assert (x == x).all()
        assert x.tolist()[0] is not None
        return np.sum(x**2) if np.any(x > 1) else 0.0

    np.testing.assert_array_equal(adcore.gradient(f, x), 2 * x)
