"""A sum of equal elements is a multiple: it costs nothing, however many there are."""

from adcore.passes.optimise import optimise
from adcore.tape.program import Program

from tests.reference import interpret


def test_the_sum_of_a_filled_array_is_a_multiple_without_an_array():
    p = Program()
    x = p.emit("INPUT", param=0)
    p.set_results([p.emit("SUM", p.emit("FULL", x, shape=(10**9, 10**3)), shape=(), ints=[0, 0, 0])])
    q = optimise(p)
    assert all(q.instruction(i)["shape"] == () for i in range(len(q)))


def test_the_sum_along_one_axis_of_a_filled_array():
    p = Program()
    x = p.emit("INPUT", param=0)
    p.set_results([p.emit("SUM", p.emit("FULL", x, shape=(3, 4)), shape=(3,), ints=[0, 1, 0])])
    assert interpret(optimise(p), [2.0])[0].tolist() == [8.0, 8.0, 8.0]
