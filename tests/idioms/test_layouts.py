"""Where NumPy's layout of a result can be seen: orders K and A, strides, flags, reshapes that are views or copies."""

import numpy as np
import pytest
from adcore.tracer.layout import ANSWERS
from scipy import ndimage, special

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
        return np.sum(np.arange(6.0) * np.apply_along_axis(lambda row: 2 * row, 0, x).ravel("K"))

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


KEYS = {
    "columns": (slice(None), [1, 0]),
    "rows, all of them": ([1, 0], slice(None)),
    "rows": [1, 0],
    "rows in a table": np.array([[0, 1], [1, 0]]),
    "rows in a table in Fortran order": np.array([[0, 1], [1, 0], [1, 1]]).T,
    "a grid": np.ix_([0, 1], [2, 0]),
    "pairs": ([[0], [1]], [0, 1, 2]),
    "apart": (slice(None), None, [0, 1]),
    "a slice behind": ([0, 1], slice(2)),
    "the last axis": (..., [1, 0, 2]),
    "a mask": (slice(None), np.array([True, False, True])),
}


@pytest.mark.parametrize("order", INPUTS)
@pytest.mark.parametrize("key", KEYS)
def test_what_a_fancy_index_selects_lies_as_numpys_does(key, order):
    """It was taken for laid out in an unknown way: a reshape of it was a copy that no later write reached."""
    x, key = INPUTS[order], KEYS[key]
    f = seen(lambda x: x[key])
    shown = []

    def flat(x):
        *parts, strides, flags = f(x)
        shown[:] = strides, flags
        return np.concatenate(parts)

    *parts, strides, flags = f(x)
    np.testing.assert_array_equal(adcore.vjp(flat, x)[0], np.concatenate(parts))
    assert shown == [strides, flags]

    def written_later(x):
        selected = x[key]
        flat = selected.reshape(-1)
        selected[...] = 7.0 * x[0, 0, 0]
        return np.sum(flat)

    value, gradient = adcore.value_and_grad(written_later)(x)
    assert value == pytest.approx(written_later(x), rel=1e-14)
    for index in np.ndindex(x.shape):
        more, less = x.copy("K"), x.copy("K")  # of the order of x: it decides what is a view
        more[index] += 1e-4
        less[index] -= 1e-4
        assert gradient[index] == pytest.approx((written_later(more) - written_later(less)) / 2e-4, abs=1e-8)


FUNCTIONS = {
    "sort": lambda x, axis: np.sort(x, axis=axis),
    "partition": lambda x, axis: np.partition(x, 1, axis=axis),
    "cumsum": lambda x, axis: np.cumsum(x, axis=axis),
    "cumprod": lambda x, axis: x.cumprod(axis),
    "take": lambda x, axis: np.take(x, [1, 0, 1], axis=axis),
    "repeat": lambda x, axis: x.repeat(2, axis),
    "delete": lambda x, axis: np.delete(x, 1, axis=axis),
    "delete several": lambda x, axis: np.delete(x, [0], axis=axis),
    "insert": lambda x, axis: np.insert(x, 1, 0.5, axis=axis),
    "roll": lambda x, axis: np.roll(x, 1, axis=axis),
    "gradient": lambda x, axis: np.gradient(x, axis=axis),
    "max": lambda x, axis: np.max(x, axis=axis, keepdims=True),
    "median": lambda x, axis: np.median(x, axis=axis),
    "unwrap": lambda x, axis: np.unwrap(x, axis=axis),
    "maximum.accumulate": lambda x, axis: np.maximum.accumulate(x, axis=axis),
    "add.reduceat": lambda x, axis: np.add.reduceat(x, [0, 1], axis=axis),
    "concatenate": lambda x, axis: np.concatenate([x, 2 * x], axis=axis),
    "stack": lambda x, axis: np.stack([x, x], axis=axis),
    "pad": lambda x, axis: np.pad(x, 1),
    "einsum": lambda x, axis: np.einsum("...ij,...ik->...kj", x, x),
    "outer": lambda x, axis: np.add.outer(x[0], x[0]),
    "choose": lambda x, axis: np.choose([[0, 1, 0, 1]], [x, 2 * x]),
    "vectorize": lambda x, axis: np.vectorize(lambda v: v * 2)(x),
    "gaussian_filter": lambda x, axis: ndimage.gaussian_filter(x, 1.0),
    "softmax": lambda x, axis: special.softmax(x, axis=axis),
}


@pytest.mark.parametrize("order", INPUTS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_lay_out_their_results_as_numpys_do(name, order):
    """Most had the order of what we compute them from, which need not be that of NumPy's own way."""
    x = INPUTS[order]
    for axis in (0, 1, -1):
        f = lambda x, axis=axis: FUNCTIONS[name](x, axis)  # noqa: E731
        shown = []

        def flat(x, f=f, shown=shown):
            y = f(x)
            shown[:] = [step for step, d in zip(y.strides, y.shape, strict=True) if d > 1]
            return y.ravel("K")

        value, _ = adcore.vjp(flat, x)
        want = f(x)
        np.testing.assert_allclose(value, want.ravel("K"), rtol=1e-13)
        assert shown == [step for step, d in zip(want.strides, want.shape, strict=True) if d > 1]


def test_a_copy_that_stands_for_a_view_is_not_read_when_it_is_out_of_date():
    """Where the layout is not known, nobody knows whether NumPy's reshape is a view that sees what is written later."""

    def f(x):
        y = np.apply_along_axis(lambda row: 2 * row, 0, x)
        flat = y.reshape(-1)
        before = np.sum(flat**2)
        y[0] = 1.0
        return before + np.sum(flat)

    def element(x):
        y = np.apply_along_axis(lambda row: 2 * row, 0, x)
        flat = y.reshape(-1)
        y[0, 0] = 1.0
        return flat[1]

    for g in (f, element):
        with pytest.raises(adcore.errors.ArgumentError, match=r"test_layouts.py:\d+: an array was reshaped and then written into"):
            adcore.gradient(g, FORTRAN[0])


VIEWS_AND_COPIES = {
    "the diagonal by einsum": lambda x: np.einsum("iij->ij", x[:, :2]),
    "einsum without a sum": lambda x: np.einsum("ijk->kij", x),
    "tile once": lambda x: np.tile(x, 1),
    "prod over no axis": lambda x: np.prod(x, axis=()),
    "accumulate one": lambda x: np.maximum.accumulate(x[:1], axis=0),
    "cumprod of one": lambda x: np.cumprod(x[:1], axis=0),
    "sum over no axis": lambda x: np.sum(x, axis=()),
    "the real part": np.real,
    "atleast_3d": np.atleast_3d,
    "astype without a copy": lambda x: x.astype(float, copy=False),
    "astype": lambda x: x.astype(float),
    "repeat once": lambda x: np.repeat(x, 1, axis=0),
    "roll by nothing": lambda x: np.roll(x, 0),
    "rot90 twice": lambda x: np.rot90(x, 2),
    "nan_to_num in place": lambda x: np.nan_to_num(x, copy=False),
    "split": lambda x: np.split(x, [1])[1],
}


@pytest.mark.parametrize("name", VIEWS_AND_COPIES)
def test_results_share_memory_where_numpys_do(name):
    def written(x):
        x = x.copy()
        VIEWS_AND_COPIES[name](x)[...] = 7.0
        return np.sum(x)

    def read(x):
        x = x.copy()
        y = VIEWS_AND_COPIES[name](x)
        x[...] = 7.0
        return np.sum(y)

    for f in (written, read):
        assert adcore.value_and_grad(lambda x: f(x) + 0.0 * np.sum(x))(C)[0] == pytest.approx(f(C))  # noqa: B023


def test_numpy_is_asked_the_same_once():
    """Asking costs as much as the function: a model that is differentiated at each step asks the same each time."""

    def f(x):
        return np.sum(np.gradient(x, axis=0).ravel("K") * x.ravel("K"))

    first = adcore.gradient(f, INPUTS["F"])
    known = len(ANSWERS)
    np.testing.assert_array_equal(adcore.gradient(f, INPUTS["F"]), first)
    assert len(ANSWERS) == known > 0
