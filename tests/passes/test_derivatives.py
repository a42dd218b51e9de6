"""reverse and forward: against differences, the complex step, each other, and themselves once more."""

import re
import time

import numpy as np
import pytest
from adcore.errors import MissingDerivative
from adcore.passes.forward import forward
from adcore.passes.optimise import optimise
from adcore.passes.reverse import reverse
from adcore.tape.program import Program
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import adcore
from adcore import optable
from adcore.sweep import engine
from tests.passes.checking import complex_step, directional, run, with_sum_of_outputs
from tests.plan.random_programs import random_program

# ops that NumPy computes on complex numbers, so that the complex step applies
ANALYTIC = {"ADD", "SUB", "MUL", "DIV", "NEG", "SQUARE", "SQRT", "RECIPROCAL", "MULADD", "EXP", "EXPM1", "LOG",
            "LOG1P", "SIN", "COS", "TAN", "ARCSIN", "ARCCOS", "ARCTAN", "SINH", "COSH", "TANH", "ARCSINH",
            "ARCCOSH", "ARCTANH", "POWER", "IDENTITY"}  # fmt: skip
# detach has no derivative on purpose: differences do not apply
ELEMENTWISE = [name for name in optable.NAMES[: optable.N_ELEMENTWISE] if name != "DETACH"]


def interior(row, k):
    """A range inside the domain of argument k."""
    low, high = row.domain[k] if isinstance(row.domain[0], tuple) else row.domain
    return max(low, -2.0) + 0.07, min(high, 2.5) - 0.05


def derivative_program(name, scalar_argument=None):
    """sum(w * op(x1, x2, x3)) over a small array, one argument possibly a scalar; and its inputs."""
    rng = np.random.default_rng(7)
    row = optable.ROW[name]
    p, args, inputs = Program(), [], []
    for k in range(len(row.args)):
        shape = () if k == scalar_argument else (5,)
        inputs.append(rng.uniform(*interior(row, k), size=shape))
        args.append(p.emit("INPUT", shape=shape, param=k))
    if name == "WHERE":
        inputs[0] = np.round(inputs[0])
    if name == "CLIP":  # inside, below and above
        inputs[0] = np.array(0.3) if scalar_argument == 0 else np.linspace(-2.1, 2.2, 5)
        inputs[1], inputs[2] = np.full_like(inputs[1], -1), np.full_like(inputs[2], 1)
    y = p.emit(name, *args, shape=(5,), dtype="bool" if row.boolean else "f64")
    inputs.append(rng.normal(size=5))
    w = p.emit("INPUT", shape=(5,), param=len(inputs) - 1)
    p.set_results([p.emit("SUM", p.emit("MUL", w, y, shape=(5,)), shape=(), ints=[0, 0])])
    return p, inputs


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("scalar_argument", [None, 0, 1])
def test_partials_of_every_op_agree_with_differences(name, scalar_argument):
    row = optable.ROW[name]
    if row.missing:
        pytest.skip("its derivative is not written")
    if scalar_argument is not None and (len(row.args) == 1 or scalar_argument >= len(row.args)):
        pytest.skip("no such argument")
    p, inputs = derivative_program(name, scalar_argument)
    smooth = [k for k in range(len(row.args)) if name != "WHERE" or k > 0]
    n = len(p.outputs)
    gradient = run(optimise(reverse(p, smooth)), inputs)[n:]
    for position, k in enumerate(smooth):
        assert gradient[position].shape == inputs[k].shape
        for element in np.ndindex(inputs[k].shape):
            direction = np.zeros(inputs[k].shape)
            direction[element] = 1.0
            tangent = run(optimise(forward(p, [k])), [*inputs, direction])[n]
            assert_allclose(gradient[position][element], tangent, rtol=1e-12, atol=1e-14)
            if row.boolean or (name == "NEXTAFTER" and k == 1) or optable.ROW[name].partials[k] == 0.0:
                assert gradient[position][element] == 0.0
            elif name in ANALYTIC:
                expected = complex_step(p, inputs, [k], [direction])[0]
                assert_allclose(gradient[position][element], expected, rtol=1e-12, atol=1e-13)
            else:  # truncation 1e-10, rounding 1e-16 / 1e-5
                expected = directional(p, inputs, [k], [direction], step=1e-5)[0]
                assert_allclose(gradient[position][element], expected, rtol=1e-7, atol=1e-8)


# -- structural ops -----------------------------------------------------------------


def structural(name):
    """A program around one structural op, and its floating inputs, then others."""
    rng = np.random.default_rng(3)
    p = Program()

    def array(k, *shape, dtype="f64"):
        return p.emit("INPUT", shape=shape, param=k, dtype=dtype)

    floats, rest = [(4, 6)], []
    x = array(0, 4, 6)
    if name == "VIEW":
        y = p.emit("VIEW", x, shape=(3, 2, 5), ints=[23, -6, 0, -1])
    elif name == "VIEW of one element":
        a, b = p.emit("VIEW", x, ints=[7]), p.emit("VIEW", x, ints=[9])
        y = p.emit("ADD", a, p.emit("MUL", a, b))
    elif name == "VIEW to a shape":
        y = p.emit("VIEW", x, shape=(24,), ints=[0, 1])
    elif name in ("SUM", "REDUCE_MAX", "REDUCE_MIN"):
        y = p.emit(name, x, shape=(6,), ints=[0, 0, 1])
    elif name in ("ACCUMULATE", "UPDATE"):
        floats.append((2, 3))
        y = p.emit(name, x, array(1, 2, 3), shape=(4, 6), ints=[1, 12, 2] if name == "UPDATE" else [1, 2, 2])
    elif name == "UPDATE of all":
        floats.append((6, 4))
        y = p.emit("UPDATE", x, array(1, 6, 4), shape=(4, 6), ints=[0, 1, 6])
    elif name == "GATHER":
        rest.append(np.array([[12, 0], [6, 12]]))
        y = p.emit(name, x, array(1, 2, 2, dtype="i64"), shape=(2, 2, 6))
    elif name in ("SCATTER_ADD", "PUT"):
        floats.append((2, 6))
        rest.append(np.array([12, 12 if name == "SCATTER_ADD" else 0]))
        y = p.emit(name, x, array(1, 2, 6), array(2, 2, dtype="i64"), shape=(4, 6))
    elif name == "MATMUL":
        floats.append((6, 3))
        y = p.emit(name, x, array(1, 6, 3), shape=(4, 3))
    elif name == "MATMUL of itself":
        t = p.emit("VIEW", x, shape=(6, 4), ints=[0, 1, 6])
        y = p.emit("MATMUL", x, t, shape=(4, 4))
    elif name == "MATMUL in batches":
        floats[:] = [(2, 4, 3), (2, 3, 5)]
        p = Program()
        y = p.emit("MATMUL", array(0, 2, 4, 3), array(1, 2, 3, 5), shape=(2, 4, 5))
    elif name in ("PACK", "PACK_ADD"):
        floats += [(), ()]
        s, t = array(1), array(2)
        y = p.emit(name, x, s, t, s, shape=(4, 6), ints=[3, 20, 4] if name == "PACK" else [3, 20, 3])
    elif name == "CUMSUM":
        y = p.emit(name, x, shape=(4, 6), ints=[4, 3, 2, 0])
    elif name == "CUMSUM backwards":
        y = p.emit("CUMSUM", x, shape=(4, 6), ints=[1, 4, 6, 1])
    elif name == "FULL":
        floats.append(())
        y = p.emit("MUL", p.emit("FULL", array(1), shape=(4, 6)), x, shape=(4, 6))
    else:
        raise KeyError(name)
    shape = p.instruction(y)["shape"]
    p.set_results([p.emit("SIN", y, shape=shape)])
    return with_sum_of_outputs(p), [rng.normal(size=s) for s in floats], rest


STRUCTURAL = ["VIEW", "VIEW of one element", "VIEW to a shape", "SUM", "REDUCE_MAX", "REDUCE_MIN", "ACCUMULATE",
              "UPDATE", "UPDATE of all", "GATHER", "SCATTER_ADD", "PUT", "MATMUL", "MATMUL of itself",
              "MATMUL in batches", "PACK", "PACK_ADD", "CUMSUM", "CUMSUM backwards", "FULL"]  # fmt: skip


def every_direction(p, inputs, wrt, rest=(), tolerance=1e-9):
    """Reverse against forward against differences along random directions."""
    rng = np.random.default_rng(5)
    n = len(p.outputs)
    inputs = [*inputs, *rest]
    gradient = run(reverse(p, wrt), inputs)[n:]
    for a, b in zip(gradient, run(optimise(reverse(optimise(p), wrt)), inputs)[n:], strict=True):
        assert_allclose(b, a, rtol=1e-11, atol=1e-11)
    for _ in range(3):
        directions = [np.asarray(rng.normal(size=inputs[k].shape)) for k in wrt]
        tangents = run(optimise(forward(p, wrt)), [*inputs, *directions])[n:]
        slope = sum(np.vdot(g, d) for g, d in zip(gradient, directions, strict=True))
        scale = 1.0 + sum(np.abs(g * d).sum() for g, d in zip(gradient, directions, strict=True))
        assert_allclose(slope, tangents[0], rtol=1e-12, atol=1e-12 * scale)
        for tangent, expected in zip(tangents, directional(p, inputs, wrt, directions, 1e-5), strict=True):
            assert_allclose(tangent, expected, rtol=1e-6, atol=tolerance * scale)
    return gradient


@pytest.mark.parametrize("name", STRUCTURAL, ids=lambda s: s.replace(" ", "-"))
def test_structural_ops(name):
    p, floats, rest = structural(name)
    every_direction(p, floats, list(range(len(floats))), rest, tolerance=1e-8)


@pytest.mark.parametrize("name", STRUCTURAL, ids=lambda s: s.replace(" ", "-"))
def test_second_derivatives_of_structural_ops(name):
    p, floats, rest = structural(name)
    wrt = list(range(len(floats)))
    first = optimise(reverse(p, wrt))
    # the program of sum(gradient ** 2)
    adjoints = first.outputs[len(p.outputs) :]
    total = first.emit("LITERAL", real=0.0)
    for g in adjoints:
        shape = first.instruction(g)["shape"]
        square = first.emit("SQUARE", g, shape=shape)
        total = first.emit("ADD", total, first.emit("SUM", square, shape=(), ints=[0] * (len(shape) + 1)))
    first.set_results([total])
    every_direction(first, floats, wrt, rest, tolerance=1e-7)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), length=st.integers(5, 60))
def test_adjoints_and_tangents_of_random_programs_agree(seed, length):
    p, inputs = random_program(seed, length)
    n = len(p.outputs) + 1
    wrt = list(range(len(inputs)))
    p = with_sum_of_outputs(p)
    rng = np.random.default_rng(seed)
    directions = [np.asarray(rng.normal(size=x.shape)) for x in inputs]
    tangents = run(forward(p, wrt), inputs + directions)[n:]
    gradient = run(reverse(p, wrt), inputs)[n:]
    terms = np.concatenate([np.ravel(g * d) for g, d in zip(gradient, directions, strict=True)])
    if np.all(np.abs(terms) < 1e100):  # an overflow in between leaves nothing to compare
        assert_allclose(terms.sum(), tangents[0], rtol=1e-10, atol=1e-10 * (1 + np.abs(terms).sum()))
    again = run(optimise(reverse(optimise(p), wrt)), inputs)[n:]
    for a, b in zip(gradient, again, strict=True):
        assert_allclose(b, a, rtol=1e-9, atol=1e-9 * (1 + np.abs(a[np.isfinite(a)]).max(initial=0.0)))


# -- what is promised in words --------------------------------------------------------


def test_seeds_are_new_inputs():
    p = Program()
    x = p.emit("INPUT", shape=(3,), param=0)
    p.set_results([p.emit("SIN", x, shape=(3,)), p.emit("SQUARE", x, shape=(3,))])
    r = reverse(p, [0], seeds=[1, 0])
    at, g1, g0 = np.array([0.1, 0.2, 0.3]), np.array([1.0, 0.0, 2.0]), np.array([0.5, 1.0, 0.0])
    assert_allclose(run(r, [at, g1, g0])[2], g0 * np.cos(at) + g1 * 2 * at, rtol=1e-15)


def test_an_input_without_influence_has_zeros():
    p = Program()
    p.emit("INPUT", shape=(2, 3), param=0, dtype="f32")
    x = p.emit("INPUT", param=1)
    p.emit("INPUT", param=2, dtype="f32")
    p.set_results([p.emit("SIN", x)])
    got = run(optimise(reverse(optimise(p), [0, 1, 2])), [np.ones((2, 3), np.float32), np.array(1.0), np.float32(1)])
    assert_array_equal(got[1], np.zeros((2, 3), np.float32))
    assert [y.dtype for y in got[1:]] == [np.float32, np.float64, np.float32]


def test_an_input_bound_twice_gets_both_adjoints():
    p = Program()
    x, y = p.emit("INPUT", param=0), p.emit("INPUT", param=0)
    p.set_results([p.emit("MUL", x, y)])
    assert run(reverse(p, [0]), [np.array(3.0)])[1] == 6.0


def test_the_branch_not_taken_contributes_nothing():
    p = Program()
    x = p.emit("INPUT", shape=(2,), param=0)
    zero = p.emit("LITERAL", real=0.0)
    positive = p.emit("GT", x, zero, shape=(2,), dtype="bool")
    y = p.emit("WHERE", positive, p.emit("SQRT", x, shape=(2,)), zero, shape=(2,))
    p.set_results([p.emit("SUM", y, shape=(), ints=[0, 0])])
    assert_array_equal(run(optimise(reverse(p, [0])), [np.array([0.0, 4.0])])[1], [0.0, 0.25])
    assert_array_equal(run(optimise(forward(p, [0])), [np.array([-1.0, 4.0]), np.ones(2)])[1], 0.25)


def test_ties_share_equally():
    p = Program()
    x = p.emit("INPUT", shape=(4,), param=0)
    p.set_results([p.emit("REDUCE_MAX", x, shape=(), ints=[0, 0])])
    at = np.array([1.0, 3.0, 3.0, 2.0])
    assert_array_equal(run(reverse(p, [0]), [at])[1], [0, 0.5, 0.5, 0])
    assert run(forward(p, [0]), [at, np.array([9.0, 1.0, 2.0, 9.0])])[1] == 1.5


@pytest.mark.parametrize("pass_", [reverse, forward])
def test_a_missing_derivative_names_the_op_and_the_line(pass_):
    p = Program()
    x = p.emit("INPUT", shape=(4,), param=0)
    p.set_results([p.emit("REDUCE_PROD", x, shape=(), ints=[0, 0])])
    with pytest.raises(MissingDerivative, match="reduce_prod has no derivative"):
        pass_(p, [0])


@pytest.mark.parametrize("pass_", [reverse, forward])
def test_an_inactive_instruction_needs_no_derivative(pass_):
    p = Program()
    x, c = p.emit("INPUT", param=0), p.emit("CONST", shape=(4,), param=0)
    y = p.emit("REDUCE_PROD", c, shape=(), ints=[0, 0])
    p.set_results([p.emit("MUL", x, y)])
    values = run(pass_(p, [0]), [np.array(2.0), np.array(1.0)], consts=[np.arange(1.0, 5.0)])
    assert values[1] == 24.0


def test_single_precision_keeps_its_dtype():
    p = Program()
    x = p.emit("INPUT", shape=(3,), param=0, dtype="f32")
    c = p.emit("LITERAL", real=0.1)
    y = p.emit("EXP", p.emit("MUL", x, c, shape=(3,), dtype="f32"), shape=(3,), dtype="f32")
    p.set_results([p.emit("SUM", y, shape=(), ints=[0, 0], dtype="f32")])
    at = np.array([1, 2, 3], np.float32)
    for program in (reverse(p, [0]), optimise(reverse(optimise(p), [0]))):
        g = run(program, [at])[1]
        assert g.dtype == np.float32
        assert_allclose(g, 0.1 * np.exp(0.1 * at.astype(float)), rtol=1e-6)


def test_a_column_times_a_row_is_elementwise():
    """The adjoint of the matrix in ``A @ x`` is an outer product: no product of matrices, and no copy of one."""
    rng = np.random.default_rng(8)
    for a, b in ((rng.normal(size=(4, 3)), rng.normal(size=(3, 1))), (rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 3, 1)))):
        f = lambda a, b: np.sum(np.sin(a @ b))  # noqa: E731
        found = str(engine.derived(adcore.trace(f, a, b).program, "gradient", (0,))[0])
        assert found.count("matmul") == 1, found
        g = adcore.gradient(f, a, b)
        assert_allclose(g, np.cos(a @ b) * np.swapaxes(b, -1, -2), rtol=1e-15)
        t = rng.normal(size=a.shape)
        assert_allclose(adcore.jvp(f, (a, b), (t, np.zeros_like(b)))[1], np.sum(g * t), rtol=1e-12)


def test_element_reads_cost_one_pack():
    p = Program()
    x = p.emit("INPUT", shape=(100,), param=0)
    total = p.emit("LITERAL", real=0.0)
    for k in range(100):
        total = p.emit("ADD", total, p.emit("SIN", p.emit("VIEW", x, ints=[k])))
    p.set_results([total])
    r = reverse(p, [0])
    assert sum(r.instruction(i)["op"] == "PACK_ADD" for i in range(len(r))) == 1
    at = np.linspace(-1, 1, 100)
    assert_allclose(run(r, [at])[1], np.cos(at), rtol=1e-15)


def test_the_time_to_differentiate_a_chain_of_scalars_is_linear_in_its_length():
    def seconds(n):
        p = Program()
        x = v = p.emit("INPUT", param=0)
        for k in range(n):
            v = p.emit("ADD", p.emit(("SIN", "TANH", "SQUARE", "NEG")[k % 4], v), x)
        p.set_results([v])
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            optimise(reverse(optimise(p), [0]))
            best = min(best, time.process_time() - start)
        return best

    assert seconds(80_000) < 20 * seconds(10_000) + 0.1  # a quadratic pass takes 64 times as long


def test_an_adjoint_of_many_parts_is_summed_as_they_come():
    """A product of an adjoint that waits for its sum occupies memory: with 300 uses of x few may wait at a time."""

    def f(x):
        y = x
        for _ in range(300):
            y = np.sin(y) * x
        return np.sum(y)

    program, _ = engine.derived(adcore.trace(f, np.ones(3)).program, "gradient", (0,))
    lines = str(program).splitlines()
    made, used = {}, {}
    for at, line in enumerate(lines):
        names = re.findall(r"%\d+", line)
        for name in names[1:] if "=" in line else names:
            used[name] = at
        if " = mulz " in line:
            made[names[0]] = at
    assert len(made) > 300
    assert max(used[name] - at for name, at in made.items()) < 20
