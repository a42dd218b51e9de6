"""Loads, stores and indexed kernels of every build against NumPy."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided
from numpy.testing import assert_allclose, assert_array_equal

from adcore.kernels import probe
from tests.kernels.variants import TABLES

EVERY_BUILD = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
DTYPES = (np.float64, np.float32, np.bool_, np.int64)
UFUNCS = {"add": np.add, "max": np.maximum, "min": np.minimum, "mul": np.multiply}
SHAPES = (
    (),
    (1,),
    (7,),
    (40,),
    (0, 3),
    (5, 2),
    (9, 3),
    (3, 4),
    (20, 8),
    (2, 3, 4),
    (4, 1, 5),
    (6, 5, 2),
    (3, 2, 4, 3),
    (2, 2, 2, 2, 3),
)


def memory(rng, dtype):
    return rng.integers(-9, 10, 4000).astype(dtype)


def window(rng, memory, shape, overlap):
    """A strided view of memory with this shape; without overlap no two elements are the same."""
    strides, step = [0] * len(shape), 1
    for k in rng.permutation(len(shape)):
        step *= int(rng.integers(1, 3))
        strides[k] = step * int(rng.choice([-1, 1]))
        step *= max(shape[k], 1)
        if overlap and rng.random() < 0.5:
            strides[k] = 0
    return as_strided(memory[2000:], shape, [s * memory.itemsize for s in strides])


@EVERY_BUILD
@pytest.mark.parametrize("dtype", DTYPES)
def test_load_reads_any_strides(table, dtype):
    rng = np.random.default_rng(0)
    for shape in SHAPES[1:]:
        for _ in range(20):
            x = window(rng, memory(rng, dtype), shape, overlap=True)
            assert_array_equal(probe.load(table, x), x.astype(float), err_msg=f"{shape} {x.strides}")


@EVERY_BUILD
@pytest.mark.parametrize("dtype", DTYPES)
def test_set_writes_any_strides_and_nothing_else(table, dtype):
    rng = np.random.default_rng(1)
    for shape in SHAPES[1:]:
        for _ in range(20):
            found = memory(rng, dtype)
            want = found.copy()
            seed = int(rng.integers(1 << 30))
            x = rng.integers(-5, 5, shape).astype(float)
            probe.store(table, window(np.random.default_rng(seed), found, shape, False), x)
            window(np.random.default_rng(seed), want, shape, False)[...] = x
            assert_array_equal(found, want)


@EVERY_BUILD
@pytest.mark.parametrize("mode", UFUNCS)
@pytest.mark.parametrize("dtype", (np.float64, np.float32))
def test_zero_strides_fold(table, mode, dtype):
    rng = np.random.default_rng(2)
    for shape in SHAPES[1:]:
        for _ in range(20):
            found = memory(rng, dtype)
            want = found.astype(float)
            x = rng.normal(size=shape)
            view = window(rng, found, shape, overlap=True)
            where = window_of_indices(view, found)
            UFUNCS[mode].at(want, where, x)
            probe.store(table, view, x, mode)
            tolerance = 1e-12 if dtype is np.float64 else 2e-5
            assert_allclose(found, want, rtol=tolerance, atol=tolerance)


def records(rng, memory, shape, overlap):
    """A view of records of ``shape[-1]`` fields whose rows lie anywhere; overlapping or repeated ones with overlap."""
    fields, row = shape[-1], shape[-1] * shape[-2]
    strides, step = [0] * (len(shape) - 2), row
    for k in rng.permutation(len(shape) - 2):
        step += int(rng.integers(0, 3))
        strides[k] = step * int(rng.choice([-1, 1]))
        step *= shape[k]
        if overlap:
            strides[k] = int(rng.choice([0, 1, -1, fields, strides[k]]))
    return as_strided(memory[2000:], shape, [8 * s for s in (*strides, fields, 1)])


RECORDS = ((1,), (2,), (7,), (40,), (301,), (5, 2), (9, 4), (30, 8), (3, 50), (2, 3, 4), (4, 1, 5), (0, 3), (2, 3, 2, 2))


@EVERY_BUILD
@pytest.mark.parametrize("fields", (2, 3, 4))
def test_records_are_taken_apart_and_put_together(table, fields):
    rng = np.random.default_rng(7)
    for shape in RECORDS:
        for overlap in (False, True, False, True):
            found = memory(rng, np.float64)
            view = records(rng, found, (*shape, fields), overlap)
            assert_array_equal(probe.load_records(table, view), np.moveaxis(view, -1, 0), err_msg=f"{shape} {view.strides}")
            x = rng.integers(-5, 5, (fields, *shape)).astype(float)
            want = found.copy()
            np.add.at(want, window_of_indices(view, found), np.moveaxis(x, 0, -1))
            probe.store_records(table, view, x, "add")
            assert_array_equal(found, want, err_msg=f"{shape} {view.strides}")
            if not overlap:
                want[window_of_indices(view, found)] = np.moveaxis(x, 0, -1)
                probe.store_records(table, view, x)
                assert_array_equal(found, want, err_msg=f"{shape} {view.strides}")


def test_rows_that_repeat_are_read_at_any_length():
    x = np.arange(100.0)
    for rows, n in ((1, 5), (2, 1), (3, 5), (100, 5), (7, 33), (64, 8), (5, 100)):
        for table in TABLES.values():
            view = as_strided(x, (rows, n), (0, 8))
            assert_array_equal(probe.load(table, view), view)


def window_of_indices(view, memory):
    """For each element of a view of memory[2000:], its index in memory."""
    numbers = np.arange(memory.size)
    return as_strided(numbers[2000:], view.shape, [s // memory.itemsize * 8 for s in view.strides])


@EVERY_BUILD
@pytest.mark.parametrize("mode", ("max", "min"))
def test_a_nan_wins_a_maximum(table, mode):
    for n in (1, 5, 40):
        for k in range(n):
            x = np.arange(float(n))
            x[k] = np.nan
            y = np.zeros(1)
            probe.store(table, as_strided(y, (n,), (0,)), x, mode)
            assert np.isnan(y[0]), (n, k)


@EVERY_BUILD
@pytest.mark.parametrize("mode", ("max", "min"))
def test_extremes_of_rows_of_any_length(table, mode):
    rng = np.random.default_rng(9)
    find = np.maximum if mode == "max" else np.minimum
    for n in range(1, 100):
        for special in ((), (np.nan,), (np.inf, -np.inf), (np.nan, np.inf)):
            x = rng.normal(size=(3, n))
            for value in special:
                x[rng.integers(3), rng.integers(n)] = value
            y = np.full(3, -0.5)
            probe.store(table, as_strided(y, (3, n), (8, 0)), x, mode)
            assert_array_equal(y, find(find.reduce(x, axis=1), -0.5))


def test_sums_of_all_builds_have_the_same_bits():
    rng = np.random.default_rng(4)
    for shape, strides in (
        ((513,), (0,)),
        ((30, 17), (8, 0)),
        ((100, 3), (0, 8)),
        ((99, 8), (0, 8)),
        ((40, 21), (0, 8)),
        ((7, 4), (0, 0)),
    ):
        x = rng.normal(size=shape)
        results = []
        for table in TABLES.values():
            y = np.zeros(64)
            probe.store(table, as_strided(y, shape, strides), x, "add")
            results.append(y.tobytes())
        assert len(set(results)) == 1, shape


@EVERY_BUILD
@pytest.mark.parametrize("inner", (1, 3, 16))
def test_indexed_kernels_do_what_numpy_does(table, inner):
    rng = np.random.default_rng(5)
    base = rng.normal(size=200)
    index = rng.integers(0, 200 - inner + 1, 50)
    where = index[:, None] + np.arange(inner)
    x = rng.normal(size=where.size)
    y, flag = probe.indexed(table, "gather", base, index, inner)
    assert_array_equal(y, base[where].ravel())
    assert flag == 0
    want, found = base.copy(), base.copy()
    np.add.at(want, where, x.reshape(where.shape))
    assert probe.indexed(table, "scatter_add", found, index, inner, x)[1] == 0
    assert_allclose(found, want, rtol=1e-13, atol=1e-13)
    want, found = base.copy(), base.copy()
    for row, values in zip(where, x.reshape(where.shape), strict=True):
        want[row] = values
    assert probe.indexed(table, "put", found, index, inner, x)[1] == 0
    assert_array_equal(found, want)


@pytest.mark.parametrize("what", ("gather", "scatter_add", "put"))
@pytest.mark.parametrize("bad", (-1, 20, 1 << 62, -(1 << 62), (1 << 63) - 1))
@pytest.mark.parametrize("inner", (1, 4))
def test_a_checked_build_reports_a_bad_index_and_touches_nothing_there(what, bad, inner):
    for name, table in TABLES.items():
        if name.startswith("unchecked"):
            continue
        base = np.arange(20.0)
        index = np.array([2, bad, 5])
        y, flag = probe.indexed(table, what, base, index, inner, np.ones(3 * inner))
        assert flag != 0
        if what != "gather":
            touched = np.concatenate([np.arange(2, 2 + inner), np.arange(5, 5 + inner)])
            assert_array_equal(np.delete(base, touched), np.delete(np.arange(20.0), touched))
        else:
            assert_array_equal(y[:inner], base[2 : 2 + inner])


@EVERY_BUILD
@pytest.mark.parametrize("reverse", (False, True))
def test_cumsum_runs_along_the_middle_axis(table, reverse):
    x = np.random.default_rng(6).normal(size=(3, 11, 4))
    for a in (x, x[:, :, :1], x[:1], x[:, :1], x[:, :0]):
        want = np.flip(np.cumsum(np.flip(a, 1), 1), 1) if reverse else np.cumsum(a, 1)
        assert_allclose(probe.cumsum(table, a, reverse), want, rtol=1e-13)
