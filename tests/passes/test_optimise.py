"""simplify, dead_code, optimise: they keep what a program means, and each rule fires."""

import time

import numpy as np
import pytest
from adcore.passes.optimise import dead_code, optimise, simplify
from adcore.passes.reverse import reverse
from adcore.tape.program import Program
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from adcore import optable
from tests.passes.checking import run
from tests.plan.random_programs import random_program
from tests.reference import elements

X, Z = (3, 4), np.array([[0.3, -1.2, 0.0, 2.0], [np.inf, -np.inf, np.nan, -0.0], [1e-30, 1e30, 5.0, -7.5]])


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), length=st.integers(5, 60))
def test_random_programs_keep_their_values(seed, length):
    p, inputs = random_program(seed, length)
    before = run(p, inputs)
    for pass_ in (simplify, dead_code, optimise):
        for want, got in zip(before, run(pass_(p), inputs), strict=True):
            assert got.dtype == want.dtype and got.shape == want.shape
            # a sum of sums or a cube may be rounded in another order
            assert_allclose(got, want, rtol=1e-12, atol=1e-12, err_msg=str(p))


def names(p):
    return [p.instruction(i)["op"] for i in range(len(p))]


def unary_and_literals(op, position, number, dtype="f64"):
    """op applied to an array input and to a literal at ``position``."""
    p = Program()
    x = p.emit("INPUT", shape=X, param=0, dtype=dtype)
    c = p.emit("LITERAL", real=number)
    args = [x, c] if position == 1 else [c, x]
    p.set_results([p.emit(op, *args, shape=X, dtype=dtype)])
    return p


# op, position of the literal, literal, what is left besides the input (None: the input itself)
WITH_LITERAL = [
    ("ADD", 1, 0.0, None), ("ADD", 0, 0.0, None), ("SUB", 1, 0.0, None), ("SUB", 0, 0.0, "NEG"),
    ("MUL", 1, 1.0, None), ("MUL", 0, 1.0, None), ("MUL", 1, -1.0, "NEG"), ("MUL", 0, -1.0, "NEG"),
    ("DIV", 1, 1.0, None), ("DIV", 1, -4.0, "MUL"), ("DIV", 0, 1.0, "RECIPROCAL"), ("DIV", 1, 3.0, "DIV"),
    ("POWER", 1, 1.0, None), ("POWER", 1, 2.0, "SQUARE"), ("POWER", 1, 0.5, "SQRT"),
    ("POWER", 1, -1.0, "RECIPROCAL"), ("MULZ", 0, 1.0, None), ("MULZ", 0, 2.0, "MUL"), ("MULZ", 1, 3.0, "MUL"),
]  # fmt: skip


@pytest.mark.parametrize(("op", "position", "number", "left"), WITH_LITERAL)
@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_an_op_with_a_special_literal_becomes_cheaper(op, position, number, left, dtype):
    p = unary_and_literals(op, position, number, dtype)
    q = optimise(p)
    assert [n for n in names(q) if n not in ("INPUT", "LITERAL")] == ([left] if left else [])
    x = Z.astype(dtype.replace("f", "float"))
    if op == "POWER":
        x = np.abs(x)  # sqrt(-inf) is NaN where power(-inf, 0.5) is inf, as in x ** 0.5 of NumPy
    (want,), (got,) = run(p, [x]), run(q, [x])
    if op == "MULZ":
        want = np.where(x == 0, 0, want)
    assert got.dtype == want.dtype
    assert_allclose(got, want, rtol=1e-6 if dtype == "f32" else 1e-15)


@pytest.mark.parametrize("number", [0.0, np.inf, np.nan])
def test_products_that_may_be_nan_stay(number):
    p = unary_and_literals("MUL", 1, number)
    assert "MUL" in names(optimise(p))
    assert_array_equal(run(optimise(p), [Z])[0], run(p, [Z])[0])


@pytest.mark.parametrize("name", optable.NAMES[: optable.N_ELEMENTWISE])
def test_literals_fold_to_what_the_op_gives(name):
    p = Program()
    row = optable.ROW[name]
    args = [p.emit("LITERAL", real=r) for r in (0.75, 0.5, 0.25)[: len(row.args)]]
    if name == "ARCCOSH":
        args = [p.emit("LITERAL", real=1.75)]
    p.set_results([p.emit(name, *args)])
    q = optimise(p)
    assert names(q) == ["LITERAL"]
    # 4 ulp: the kernels' functions against NumPy's and SciPy's
    assert_allclose(run(q, [])[0], run(p, [])[0], rtol=1e-14)


def test_a_rounding_cast_between_negations_stays():
    p = Program()
    x = p.emit("INPUT", shape=X, param=0)
    y = p.emit("NEG", x, shape=X, dtype="f32")
    p.set_results([p.emit("NEG", y, shape=X, dtype="f32")])
    (want,), (got,) = run(p, [Z]), run(optimise(p), [Z])
    assert got.dtype == np.float32
    assert_array_equal(got, want)


def test_a_filled_array_is_rounded_before_its_scalar_stands_for_it():
    p = Program()
    x = p.emit("INPUT", shape=X, param=0)
    full = p.emit("FULL", p.emit("LITERAL", real=0.1), shape=X, dtype="f32")
    p.set_results([p.emit("ADD", x, full, shape=X)])
    assert "FULL" not in names(optimise(p))
    assert_array_equal(run(optimise(p), [Z])[0], run(p, [Z])[0])


def test_the_dtype_of_a_literal_is_kept():
    p = Program()
    p.set_results([p.emit("LITERAL", real=0.1, dtype="f32"), p.emit("LITERAL", real=3.0, dtype="i64")])
    got = run(optimise(p), [])
    assert [y.dtype for y in got] == [np.float32, np.int64]


def test_a_sum_and_a_product_have_one_order_and_a_square_is_one_op():
    p = Program()
    x, y = p.emit("INPUT", param=0), p.emit("INPUT", param=1)
    p.set_results([p.emit(op, *args) for op in ("ADD", "MUL") for args in ((x, y), (y, x))] + [p.emit("MUL", x, x)])
    assert names(optimise(p)) == ["INPUT", "INPUT", "ADD", "MUL", "SQUARE"]


def logistic(sign, one=1.0, order=False):
    """1 / (one + exp(sign x)) as it is written with NumPy."""
    p = Program()
    x = p.emit("INPUT", shape=X, param=0)
    power = p.emit("EXP", x if sign > 0 else p.emit("NEG", x, shape=X), shape=X)
    one_more = p.emit("LITERAL", real=one)
    total = p.emit("ADD", *((power, one_more) if order else (one_more, power)), shape=X)
    p.set_results([p.emit("DIV", p.emit("LITERAL", real=1.0), total, shape=X)])
    return p


@pytest.mark.parametrize("order", [False, True])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_logistic_function_is_one_op(sign, order):
    p = logistic(sign, order=order)
    assert names(optimise(p)) == ["INPUT", "EXPIT"] if sign < 0 else ["INPUT", "NEG", "EXPIT"]
    rng = np.random.default_rng(0)
    for x in (Z, rng.normal(size=X), rng.uniform(-700, 700, size=X), np.full(X, 750.0), np.full(X, -750.0)):
        (want,), (got,) = run(p, [x]), run(optimise(p), [x])
        # 4 ulp: those of exp, of the sum and of the quotient; below the least normal number where exp overflows
        assert_allclose(got, want, rtol=4 * np.finfo(float).eps, atol=np.finfo(float).tiny)


def test_what_only_looks_like_a_logistic_function_stays():
    assert "EXPIT" not in names(optimise(logistic(-1, one=2.0)))


# -- structure --------------------------------------------------------------------


def written_and_read(write, read, base="FULL", shape=(12,)):
    """view(update(base, v; write); read), both maps over (3,)."""
    p = Program()
    v = p.emit("INPUT", shape=(3,), param=0)
    b = p.emit("FULL", p.emit("LITERAL", real=2.0), shape=shape) if base == "FULL" else p.emit("INPUT", shape=shape, param=1)
    u = p.emit("UPDATE", b, v, shape=shape, ints=write)
    p.set_results([p.emit("VIEW", u, shape=(3,), ints=read)])
    return p


def test_a_read_of_what_was_just_written_is_the_value():
    q = optimise(written_and_read([2, 3], [2, 3], base="INPUT"))
    assert "UPDATE" not in names(q) and "VIEW" not in names(q)


def test_a_read_beside_what_was_written_reads_the_base():
    q = optimise(written_and_read([2, 3], [0, 3], base="INPUT"))
    assert "UPDATE" not in names(q)


def test_a_read_across_what_was_written_stays():
    p = written_and_read([2, 3], [5, 1], base="INPUT")
    inputs = [np.array([1.0, 2.0, 3.0]), np.arange(12.0)]
    q = optimise(p)
    assert "UPDATE" in names(q)
    assert_array_equal(run(q, inputs)[0], run(p, inputs)[0])


def test_an_element_of_what_was_written_is_read_from_the_value():
    p = Program()
    b, v = p.emit("INPUT", shape=(6, 8), param=0), p.emit("INPUT", shape=(3, 4), param=1)
    u = p.emit("UPDATE", b, v, shape=(6, 8), ints=[47, -16, -2])  # b[::-2, ::-2] = v
    p.set_results([p.emit("VIEW", u, ints=[29]), p.emit("VIEW", u, ints=[28]), p.emit("VIEW", u, shape=(8,), ints=[0, 1])])
    q = optimise(p)
    assert "UPDATE" not in names(q)
    inputs = [np.arange(48.0).reshape(6, 8), -np.arange(12.0).reshape(3, 4)]
    for want, got in zip(run(p, inputs), run(q, inputs), strict=True):
        assert_array_equal(got, want)


def any_map(rng, size):
    """An affine map into ``size`` elements: any strides, nested or not."""
    while True:
        dims = tuple(int(d) for d in rng.integers(1, 5, size=rng.integers(0, 4)))
        strides = [int(s) for s in rng.integers(-9, 10, size=len(dims))]
        low = sum(min(s, 0) * (d - 1) for s, d in zip(strides, dims, strict=True))
        high = sum(max(s, 0) * (d - 1) for s, d in zip(strides, dims, strict=True))
        if high - low < size:
            offset = int(rng.integers(-low, size - high))
            return dims, [offset, *strides]


@pytest.mark.parametrize("block", range(10))
def test_reads_of_views_and_of_written_arrays_are_exact_for_any_maps(block):
    rng = np.random.default_rng(block)
    for _ in range(200):
        size = int(rng.integers(4, 50))
        p = Program()
        x = p.emit("INPUT", shape=(size,), param=0)
        wanted = []
        for k in range(2):
            while True:
                dims, where = any_map(rng, size)
                reached = elements(dims, where[0], where[1:]).ravel()
                if np.unique(reached).size == reached.size:
                    break
            v = p.emit("INPUT", shape=dims, param=k + 1)
            x = p.emit("UPDATE", x, v, shape=(size,), ints=where)
        dims, where = any_map(rng, size)
        view = p.emit("VIEW", x, shape=dims, ints=where)
        for _ in range(2):
            dims, where = any_map(rng, max(int(np.prod(dims)), 1))
            view = p.emit("VIEW", view, shape=dims, ints=where)
            wanted.append(view)
        p.set_results(wanted)
        inputs = [np.arange(float(size))]
        inputs += [rng.normal(size=p.instruction(i)["shape"]) for i in (1, 3)]
        for want, got in zip(run(p, inputs), run(optimise(p), inputs), strict=True):
            assert_array_equal(got, want, err_msg=str(p))


def test_views_of_views_compose():
    p = Program()
    x = p.emit("INPUT", shape=(6, 8), param=0)
    a = p.emit("VIEW", x, shape=(5, 4), ints=[8, 8, 2])  # x[1:, ::2]
    b = p.emit("VIEW", a, shape=(4, 5), ints=[0, 1, 4])  # .T
    c = p.emit("VIEW", b, shape=(2, 5), ints=[14, -5, -1])  # rows 2, 1 backwards
    p.set_results([c])
    q = optimise(p)
    assert names(q) == ["INPUT", "VIEW"]
    x = np.arange(48.0).reshape(6, 8)
    assert_array_equal(run(q, [x])[0], run(p, [x])[0])


def test_an_identity_view_and_a_sum_over_nothing_vanish():
    p = Program()
    x = p.emit("INPUT", shape=X, param=0)
    y = p.emit("VIEW", x, shape=X, ints=[0, 4, 1])
    p.set_results([p.emit("SUM", y, shape=X, ints=[0, 4, 1])])
    assert names(optimise(p)) == ["INPUT"]


def test_adding_to_zeros_is_a_sum():
    p = Program()
    x = p.emit("INPUT", shape=X, param=0)
    zeros = p.emit("FULL", p.emit("LITERAL", real=0.0), shape=(4,))
    p.set_results([p.emit("ACCUMULATE", zeros, x, shape=(4,), ints=[0, 0, 1])])
    q = optimise(p)
    assert names(q) == ["INPUT", "SUM"]


def test_the_same_instruction_is_made_once():
    p = Program()
    x = p.emit("INPUT", shape=X, param=0)
    parts = [p.emit("SIN", p.emit("VIEW", x, shape=(3,), ints=[0, 4]), shape=(3,)) for _ in range(5)]
    p.set_results(parts)
    assert names(optimise(p)) == ["INPUT", "VIEW", "SIN"]


def test_dead_code_keeps_inputs():
    p = Program()
    p.emit("INPUT", shape=X, param=0)
    x = p.emit("INPUT", param=1)
    p.emit("SIN", x)
    p.set_results([p.emit("COS", x)])
    assert names(dead_code(p)) == ["INPUT", "INPUT", "COS"]


def test_dead_code_gives_the_program_itself_when_all_of_it_lives():
    p = optimise(random_program(0, 40)[0])
    assert dead_code(p) is p


def test_what_reverse_emits_is_simple_already():
    for seed in range(60):
        p = optimise(optimise(random_program(seed, 40)[0]))
        total = p.outputs[0]
        if p.instruction(total)["dtype"] != "f64":
            continue
        p.set_results([total])
        q = reverse(p, [0], [0])
        assert len(dead_code(q)) == len(dead_code(simplify(q)))


def test_optimising_twice_changes_nothing():
    for seed in range(60):
        q = optimise(optimise(optimise(random_program(seed, 40)[0])))
        assert len(optimise(q)) == len(q)


# -- cost ---------------------------------------------------------------------------


def element_loop(n):
    """for k: out[k] = x[k] ** 2; then the sum of out, element by element."""
    p = Program()
    x = out = p.emit("INPUT", shape=(n,), param=0)
    for k in range(n):
        out = p.emit("UPDATE", out, p.emit("SQUARE", p.emit("VIEW", x, ints=[k])), shape=(n,), ints=[k])
    total = p.emit("VIEW", out, ints=[0])
    for k in range(1, n):
        total = p.emit("ADD", total, p.emit("VIEW", out, ints=[k]))
    p.set_results([total])
    return p


def test_a_loop_over_elements_costs_linear_time():
    p = element_loop(50_000)
    start = time.process_time()
    q = optimise(p)
    assert time.process_time() - start < 6.0  # a quadratic walk takes a minute, a recursive one the stack
    x = np.linspace(-1, 1, 200)
    small = element_loop(200)
    assert_allclose(run(optimise(small), [x])[0], run(small, [x])[0], rtol=1e-14)
    assert len(q) <= len(p)


def test_values_are_shared_whatever_other_shapes_maps_and_numbers_the_program_has():
    """What is equal must be the same bytes: these shapes, and 0.0 and 2.0, drove each other out of the pools' tables."""
    p = Program()
    x = p.emit("INPUT", shape=(256, 256), param=0)
    y = p.emit("INPUT", shape=(258, 258), param=1)
    found = []
    for _ in range(2):
        zero, two = p.emit("LITERAL", real=0.0), p.emit("LITERAL", real=2.0)
        found.append(p.emit("ARCTAN2", p.emit("MUL", x, two, shape=(256, 256)), zero, shape=(256, 256)))
        p.emit("MUL", y, two, shape=(258, 258))
    p.set_results([p.emit("SUB", *found, shape=(256, 256))])
    out = optimise(p)
    last = out.instruction(out.outputs[0])
    assert last["args"][0] == last["args"][1]


def test_a_number_times_a_negation_is_the_other_number():
    p = Program()
    x = p.emit("INPUT", shape=X, param=0)
    for args in ((0, 1), (1, 0)):
        pair = (p.emit("LITERAL", real=4.0), p.emit("NEG", x, shape=X))
        p.set_results([p.emit("MUL", pair[args[0]], pair[args[1]], shape=X)])
        out = optimise(p)
        assert out.instruction(out.outputs[0])["op"] == "MUL"
        assert not any(out.instruction(i)["op"] == "NEG" for i in range(len(out)))
        assert_array_equal(run(out, [Z])[0], -4.0 * Z)
