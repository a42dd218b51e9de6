"""Where NumPy's layout of a result can be seen: orders K and A, strides, flags, reshapes that are views or copies."""

import numpy as np
import pytest

import adcore

rng = np.random.default_rng(0)
C = rng.normal(size=(2, 3, 4))
INPUTS = {
    "C": C,
    "F": np.asfortranarray(C),
    "middle axis slowest": np.ascontiguousarray(C.transpose(1, 0, 2)).transpose(1, 0, 2),
    "last axis first": np.ascontiguousarray(C.transpose(2, 0, 1)).transpose(1, 2, 0),
}
ROW = rng.normal(size=4)
FORTRAN = np.asfortranarray(rng.normal(size=(2, 3, 4)))
RESULTS = {
    "itself": lambda x: x,
    "twice": lambda x: 2.0 * x,
    "the transpose": lambda x: x.T,
    "twice the transpose": lambda x: 2.0 * x.T,
    "plus its own square": lambda x: x + x**2,
    "plus one in C order": lambda x: x + C,
    "plus one in Fortran order": lambda x: x + FORTRAN,
    "plus a row": lambda x: x * x + ROW,
    "times a slice of itself": lambda x: x[:, :2] * x[:, 1:],
    "every other": lambda x: x[..., ::2] - 1.0,
    "backwards": lambda x: x[::-1, :, ::-1] * 3.0,
    "swapped twice": lambda x: np.sqrt(abs(np.swapaxes(x, 0, 1))).swapaxes(1, 2),
    "np.copy": np.copy,
    "copy()": lambda x: x.copy(),
    "copy of the transpose in order K": lambda x: x.T.copy(order="K"),
    "copy in Fortran order": lambda x: x.copy("F"),
    "zeros_like": lambda x: np.zeros_like(x) + 0.0 * x,
    "ones_like alone": lambda x: np.ones_like(x.T),
    "ascontiguousarray": lambda x: np.ascontiguousarray(2.0 * x),
    "asfortranarray": lambda x: np.asfortranarray(2.0 * x),
    "where": lambda x: np.where(x > 0.0, x, 0.0),
    "astype": lambda x: x.astype(np.float32),
    "a product of matrices": lambda x: x @ np.ones((4, 4)),
    "written whole": lambda x: written(x),
    "written in place": lambda x: changed(2.0 * x),
    "a plane": lambda x: 2.0 * x[0],
    "with a new axis": lambda x: 2.0 * x[:, None],
}


def written(x):
    y = np.zeros(x.shape)
    y[...] = x
    return y + 1.0


def changed(y):
    y[0] *= 3.0
    return y


def seen(f):
    """f, and what NumPy shows of the layout of its result."""

    def of(x):
        y = f(x)
        flags = (bool(y.flags.c_contiguous), bool(y.flags.f_contiguous))
        strides = [step for step, d in zip(y.strides, y.shape, strict=True) if d > 1]
        return y.ravel("K"), y.ravel("A"), y.flatten("K"), y.reshape(-1, order="A"), strides, flags

    return of


@pytest.mark.parametrize("order", INPUTS)
@pytest.mark.parametrize("result", RESULTS)
def test_results_lie_in_memory_as_numpys_do(result, order):
    x, f = INPUTS[order], seen(RESULTS[result])
    shown = []

    def flat(x):
        *parts, strides, flags = f(x)
        shown[:] = strides, flags
        return np.concatenate(parts)

    value, _ = adcore.vjp(flat, x)
    *parts, strides, flags = f(x)
    np.testing.assert_array_equal(value, np.concatenate(parts))
    assert shown == [strides, flags]


def test_a_reshape_is_a_view_or_a_copy_as_in_numpy():
    def f(x):
        total = 0.0
        for y in (2.0 * x, 2.0 * x.T, x.copy(), np.zeros_like(x) + x, x * C):
            y.reshape(-1)[1:3] = 7.0
            total = total + np.sum(y * y)
        return total

    for x in INPUTS.values():
        assert adcore.value_and_grad(f)(x)[0] == pytest.approx(f(x), rel=1e-14)


def test_gradients_of_elements_in_memory_order_come_back_to_their_places():
    weights = np.arange(24.0)
    for x in INPUTS.values():
        found = adcore.gradient(lambda x: weights @ (x * x).ravel("K"), x)
        number = np.empty_like(x)
        number[...] = np.arange(24.0).reshape(x.shape)
        expected = np.zeros(24)
        expected[number.ravel("K").astype(int)] = weights
        np.testing.assert_array_equal(found, expected.reshape(x.shape) * 2.0 * x)


def test_a_layout_that_is_not_known_is_refused():
    def f(x):
        return np.sum(np.arange(6.0) * x[:, [2, 0, 1]].ravel("K"))

    with pytest.raises(adcore.errors.ArgumentError, match=r"test_layouts.py:\d+: np.ravel with order='K'.*order=\"C\" or order=\"F\""):
        adcore.gradient(f, np.ones((2, 3)))


def test_compiled_functions_tell_orders_of_their_arguments_apart():
    f = adcore.compile(lambda x: x.ravel("K") * np.arange(6.0))
    x = rng.normal(size=(2, 3))
    for y in (x, np.asfortranarray(x), x, np.ascontiguousarray(x.T).T):
        np.testing.assert_array_equal(f(y), y.ravel("K") * np.arange(6.0))


def test_memory_of_arrays_of_the_surroundings_counts_too():
    value, _ = adcore.vjp(lambda t: (FORTRAN * t).ravel("K"), 2.0)
    np.testing.assert_array_equal(value, (FORTRAN * 2.0).ravel("K"))


def test_compiled_functions_that_do_not_look_at_memory_take_any_order():
    f = adcore.compile(lambda x: np.sum(x.T @ x, axis=0))
    x = rng.normal(size=(2, 3))
    for y in (x, np.asfortranarray(x), x[::-1]):
        np.testing.assert_allclose(f(y), np.sum(y.T @ y, axis=0), rtol=1e-15)
    assert f.recordings == 1


def test_replays_notice_that_an_array_of_the_surroundings_lies_otherwise():
    held = {"a": rng.normal(size=(2, 3))}

    def make():
        a = held["a"]

        def f(t):
            return np.sum((t * a).ravel("K") * np.arange(6.0))

        def put(new):
            nonlocal a
            a = new

        return f, put

    f, put = make()
    compiled = adcore.compile(adcore.grad(f))
    for a in (held["a"], np.asfortranarray(held["a"]), 2.0 * held["a"]):
        put(a)
        assert compiled(2.0) == pytest.approx(a.ravel("K") @ np.arange(6.0), rel=1e-14)


def test_complex_arrays_lie_as_numpys_do():
    z = np.asfortranarray(rng.normal(size=(2, 3)) + 1j * rng.normal(size=(2, 3)))
    f = lambda z: np.sum((2.0 * z * np.conj(z)).ravel("K").real * np.arange(6.0))  # noqa: E731
    assert adcore.value_and_grad(f)(z)[0] == pytest.approx(f(z), rel=1e-14)
    compiled = adcore.compile(lambda z: (1.0 * z).ravel("K"))
    for y in (z, np.ascontiguousarray(z)):
        np.testing.assert_array_equal(compiled(y), y.ravel("K"))
