"""Steps in parts: the same bits whatever the number of threads, the same values as NumPy whatever the cut."""

import contextlib

import numpy as np
import pytest
from adcore.plan.lower import lower
from adcore.tape.program import Program
from numpy.testing import assert_allclose, assert_array_equal

import adcore
from adcore.plan import split
from adcore.sweep import engine
from bench.problems import NAMES, problem
from tests.plan.random_programs import random_program
from tests.reference import interpret

THREADS = (1, 2, 3, 5)
SHAPES = ((), (6, 10, 30), (600,), (30, 40), (400, 3), (5, 700))


@contextlib.contextmanager
def parts_of(nanoseconds):
    """Plans made inside are cut into parts of so little work."""
    before = split.set_part_work(nanoseconds)
    engine.clear_plans()
    try:
        yield
    finally:
        split.set_part_work(before)
        engine.clear_plans()


def same_bits(call):
    """The results of a call on each number of threads, which must be one."""
    first = None
    for threads in THREADS:
        with adcore.config(threads=threads):
            found = call()
        if first is None:
            first = found
        for a, b in zip(first, found, strict=True):
            assert np.asarray(a).tobytes() == np.asarray(b).tobytes(), f"{threads} threads"
    return first


@pytest.mark.parametrize("block", range(10))
def test_random_programs_in_many_parts_give_what_numpy_gives(block):
    cut = 0
    with parts_of(2.0):
        for seed in range(block * 20, block * 20 + 20):
            program, inputs = random_program(seed, length=10 + seed % 40, shapes=SHAPES)
            with np.errstate(all="ignore"):
                expected = interpret(program, inputs)
            plan = lower(program)
            cut += sum(step["parts"] > 1 for step in plan.steps_as_dicts())
            found = same_bits(lambda plan=plan, inputs=inputs: engine.run(plan, inputs, [], []))
            for want, got in zip(expected, found, strict=True):
                assert_allclose(got, want, rtol=1e-9, atol=1e-9, err_msg=f"seed {seed}\n{program}")
    assert cut > 20


@pytest.mark.parametrize("part", [20.0, 500.0, 12e3])
@pytest.mark.parametrize("name", NAMES)
def test_benchmark_problems_have_the_same_bits_on_any_number_of_threads(name, part):
    p = problem(name)
    f = adcore.value_and_grad(p.fun, argnums=p.argnums)
    with parts_of(part):
        value, gradients = same_bits(lambda: (lambda v, g: (v, *g))(*f(*p.args)))[0], f(*p.args)[1]
    for got, want in zip(gradients, p.reference(*p.args), strict=True):
        assert_allclose(got, want, rtol=1e-8, atol=1e-8 * np.max(np.abs(want)))
    assert value == pytest.approx(p.fun(*p.args), rel=1e-12)


def steps(f, x):
    with parts_of(100.0):
        recording = adcore.transforms.recording.Recording(f, (x,), {}, (0,))
        program, _ = engine.derived(recording.trace.tape, "gradient", (0,))
        return lower(program).steps_as_dicts()


def rows(x):
    """Sums over rows and over columns, a maximum, and what depends on them."""
    return np.sum(np.exp(x - np.max(x, axis=0)) * np.sum(x * x, axis=1)[:, None])


def stencil(u):
    v = u[1:-1, 1:-1] * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
    return np.sum(np.sin(v))


def scattered(x):
    y = x.copy()
    y[1:] += x[:-1] * 2
    y[:-1] += x[1:] ** 2
    y[::2] *= 3
    return np.sum(y * y)


def transposed(x):
    return np.sum(np.tanh(x.T * np.arange(x.shape[0])) @ np.ones(x.shape[0]))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("part", [30.0, 300.0, 3000.0])
@pytest.mark.parametrize("f", [rows, stencil, scattered, transposed])
def test_reductions_and_overlapping_writes(f, part, dtype):
    x = np.random.default_rng(0).normal(size=(70, 90)).astype(dtype)
    with parts_of(1e12):
        whole = adcore.gradient(f, x)
    with parts_of(part):
        (found,) = same_bits(lambda: (adcore.gradient(f, x),))
    scale = float(np.max(np.abs(whole)))
    assert_allclose(found, whole, rtol=0, atol=scale * (1e-12 if dtype is np.float64 else 3e-5))


def test_a_sum_has_an_accumulator_for_each_part():
    with parts_of(100.0):
        p = Program()
        x = p.emit("INPUT", shape=(5000,), param=0)
        p.set_results([p.emit("SUM", p.emit("EXP", x, shape=(5000,)), shape=(), ints=[0, 0])])
        (step,) = lower(p).steps_as_dicts()
    assert step["parts"] > 1
    assert step["folds"] == 1


def test_neighbours_that_add_to_one_element_run_in_two_phases():
    with parts_of(100.0):
        p = Program()
        x = p.emit("INPUT", shape=(5001,), param=0)
        left = p.emit("VIEW", x, shape=(5000,), ints=[0, 1])
        e = p.emit("EXP", left, shape=(5000,))
        base = p.emit("FULL", p.emit("LITERAL", real=0.0), shape=(5001,))
        one = p.emit("ACCUMULATE", base, e, shape=(5001,), ints=[0, 1])
        p.set_results([p.emit("ACCUMULATE", one, e, shape=(5001,), ints=[1, 1])])
        plan = lower(p)
        (step,) = plan.steps_as_dicts()
        values = np.random.default_rng(0).normal(size=5001)
        (found,) = same_bits(lambda: engine.run(plan, [values], [], []))
    assert (step["phases"], step["folds"]) == (2, 0)
    expected = np.zeros(5001)
    expected[:-1] += np.exp(values[:-1])
    expected[1:] += np.exp(values[:-1])
    assert_allclose(found, expected, rtol=1e-14)


def test_a_reduction_in_place_does_not_change_what_its_group_still_reads():
    """base += sum of x, while the same group reads base for every row: the old values are meant."""
    p = Program()
    x = p.emit("INPUT", shape=(300, 40), param=0)
    a = p.emit("INPUT", shape=(40,), param=1)
    base = p.emit("EXP", a, shape=(40,))
    rows = p.emit("VIEW", base, shape=(300, 40), ints=[0, 0, 1])
    product = p.emit("MUL", x, rows, shape=(300, 40))
    p.set_results([product, p.emit("ACCUMULATE", base, x, shape=(40,), ints=[0, 0, 1])])
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(300, 40)), rng.normal(size=40)]
    for part in (50.0, 1e12):
        with parts_of(part):
            found = engine.run(lower(p), inputs, [], [])
        for got, want in zip(found, interpret(p, inputs), strict=True):
            assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize("first, rest", [(np.nan, 1.0), (-np.inf, -np.inf), (3.0, 1.0), (-0.0, -0.0)])
def test_a_maximum_of_parts_is_the_maximum(first, rest):
    x = np.array([first, *[rest] * 4000])
    with parts_of(50.0):
        assert_array_equal(adcore.value_and_grad(np.max)(x)[0], np.max(x))
