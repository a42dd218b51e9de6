"""contract: fewer instructions, the same bits."""

from adcore.passes.contract import contract
from adcore.passes.optimise import dead_code
from adcore.tape.program import Program
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from tests.passes.checking import run
from tests.plan.random_programs import random_program


def names(p):
    return [p.instruction(i)["op"] for i in range(len(p))]


def products(n_uses):
    p = Program()
    a, b, c = (p.emit("INPUT", param=k) for k in range(3))
    product = p.emit("MUL", a, b)
    p.set_results([p.emit("ADD", c, product) for _ in range(n_uses)])
    return p


def test_a_product_that_only_a_sum_uses_goes_into_it():
    assert names(dead_code(contract(products(1)))) == ["INPUT"] * 3 + ["MULADD"]


def test_a_product_with_another_use_stays():
    assert "MULADD" not in names(contract(products(2)))


def test_arrays_and_single_precision_stay():
    p = Program()
    x = p.emit("INPUT", shape=(3,), param=0)
    y = p.emit("INPUT", param=1, dtype="f32")
    p.set_results(
        [
            p.emit("ADD", p.emit("MUL", x, x, shape=(3,)), x, shape=(3,)),
            p.emit("ADD", p.emit("MUL", y, y, dtype="f32"), y, dtype="f32"),
        ]
    )
    assert "MULADD" not in names(contract(p))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_programs_keep_their_bits(seed):
    p, inputs = random_program(seed, 50)
    for want, got in zip(run(p, inputs), run(dead_code(contract(p)), inputs), strict=True):
        assert_array_equal(got, want)
