"""Each rule of the verifier, by a program that breaks it and by one that only looks as if it did."""

import numpy as np
import pytest
from adcore.errors import ProgramError
from adcore.passes.verify import verify
from adcore.tape.program import Program

from tests.plan.random_programs import random_program


def program(*rows, outputs=None):
    """A program from rows (op, args, fields)."""
    p = Program()
    for op, args, fields in rows:
        p.emit(op, *args, **fields)
    p.set_results([len(p) - 1] if outputs is None else outputs)
    return p


def array(shape, k=0, dtype="f64"):
    return ("INPUT", (), {"shape": shape, "param": k, "dtype": dtype})


SCALAR = ("LITERAL", (), {"real": 1.0})
MATRIX = array((3, 4))
BROKEN = {
    "neither its shape": [MATRIX, array((4, 3), 1), ("ADD", (0, 1), {"shape": (3, 4)})],
    "another number of arguments": [MATRIX, ("ADD", (0,), {"shape": (3, 4)})],
    "not a scalar": [MATRIX, ("FULL", (0,), {"shape": (3, 4)})],
    "map leaves the base": [MATRIX, ("VIEW", (0,), {"shape": (4,), "ints": [1, 4]})],
    "map leaves": [MATRIX, ("VIEW", (0,), {"shape": (2,), "ints": [0, -1]})],
    "leaves the base": [MATRIX, ("SUM", (0,), {"shape": (2,), "ints": [0, 1, 0]})],
    "twice": [MATRIX, array((2, 3), 1), ("UPDATE", (0, 1), {"shape": (3, 4), "ints": [0, 1, 1]})],
    "writes an element twice": [MATRIX, array((5,), 1), ("UPDATE", (0, 1), {"shape": (3, 4), "ints": [0, 0]})],
    "base has another shape": [MATRIX, SCALAR, ("UPDATE", (0, 1), {"shape": (4, 3), "ints": [0]})],
    "base has another dtype": [MATRIX, ("VIEW", (0,), {"shape": (3,), "ints": [0, 1], "dtype": "f32"})],
    "map lies outside the pool": [MATRIX, ("VIEW", (0,), {"shape": (3,), "param": 10**6})],
    "offsets are not I64": [MATRIX, array((2,), 1), ("GATHER", (0, 1), {"shape": (2, 4)})],
    "rows do not divide": [MATRIX, array((2,), 1, "i64"), ("GATHER", (0, 1), {"shape": (3,)})],
    "row is longer": [MATRIX, array((2,), 1, "i64"), ("GATHER", (0, 1), {"shape": (2, 13)})],
    "matrices do not fit": [MATRIX, array((3, 4), 1), ("MATMUL", (0, 1), {"shape": (3, 4)})],
    "batch dimensions differ": [array((2, 3, 4)), array((5, 4, 3), 1), ("MATMUL", (0, 1), {"shape": (2, 3, 3)})],
    "number of dimensions": [array((4,)), MATRIX, ("MATMUL", (0, 1), {"shape": (3,)})],
    "offset occurs twice": [MATRIX, SCALAR, ("PACK", (0, 1, 1), {"shape": (3, 4), "ints": [2, 2]})],
    "offset is out of range": [MATRIX, SCALAR, ("PACK_ADD", (0, 1), {"shape": (3, 4), "ints": [12]})],
    "packed value is not a scalar": [MATRIX, ("PACK", (0, 0), {"shape": (3, 4), "ints": [0]})],
    "parameters do not fit": [MATRIX, ("CUMSUM", (0,), {"shape": (3, 4), "ints": [3, 3, 1, 0]})],
    "argument has another shape": [MATRIX, ("CUMSUM", (0,), {"shape": (12,), "ints": [3, 4, 1, 0]})],
    "no such rule": [SCALAR, ("CALL", (0,), {"param": 0})],
    "gives it another shape": [MATRIX, array((4, 3)), ("SUM", (1,), {"shape": (), "ints": [0, 0, 0]})],
    "dimension is negative": [("EMPTY", (), {"shape": (3, -1)})],
    "size overflows": [("EMPTY", (), {"shape": (2**40, 2**40)})],
    "number is out of range": [("LITERAL", (), {"param": 3})],
}  # fmt: skip
SOUND = {
    "ties allowed": [MATRIX, array((2, 3), 1), ("ACCUMULATE", (0, 1), {"shape": (3, 4), "ints": [0, 1, 1]})],
    "nothing is read": [MATRIX, ("VIEW", (0,), {"shape": (0, 3), "ints": [99, 7, 7]})],
    "a single index": [MATRIX, ("VIEW", (0,), {"shape": (1, 3), "ints": [0, 10**15, 1]})],
    "flipped": [MATRIX, ("VIEW", (0,), {"shape": (3, 4), "ints": [11, -4, -1]})],
    "broadcast": [MATRIX, ("VIEW", (0,), {"shape": (9, 4), "ints": [8, 0, 1]})],
    "injective though not nested": [MATRIX, array((2, 3), 1), ("UPDATE", (0, 1), {"shape": (3, 4), "ints": [0, 3, 2]})],
    "offsets in any order": [MATRIX, SCALAR, ("PACK", (0, 1, 1), {"shape": (3, 4), "ints": [5, 2]})],
    "added twice": [MATRIX, SCALAR, ("PACK_ADD", (0, 1, 1), {"shape": (3, 4), "ints": [2, 2]})],
    "scalar with array": [MATRIX, SCALAR, ("MUL", (1, 0), {"shape": (3, 4)})],
}  # fmt: skip


@pytest.mark.parametrize("words", BROKEN, ids=lambda w: w.replace(" ", "-"))
def test_a_broken_rule_is_named(words):
    with pytest.raises(ProgramError, match=words):
        verify(program(*BROKEN[words]))


@pytest.mark.parametrize("name", SOUND, ids=lambda w: w.replace(" ", "-"))
def test_what_only_looks_wrong_passes(name):
    p = program(*SOUND[name])
    assert verify(p) is p


def test_an_update_is_refused_exactly_when_it_writes_an_element_twice():
    rng = np.random.default_rng(1)
    for _ in range(400):
        dims = rng.integers(1, 4, size=3)
        strides = rng.integers(-5, 6, size=3)
        where = sum(np.arange(d).reshape(-1, *[1] * k) * s for k, d, s in zip((2, 1, 0), dims, strides, strict=True))
        offset = -int(where.min())
        size = int(where.max()) + offset + 1
        p = program(
            array((size,)),
            array(tuple(map(int, dims)), 1),
            ("UPDATE", (0, 1), {"shape": (size,), "ints": [offset, *map(int, strides)]}),
        )
        if np.unique(where).size == where.size:
            verify(p)
        else:
            with pytest.raises(ProgramError, match="twice"):
                verify(p)


def test_random_programs_pass():
    for seed in range(100):
        verify(random_program(seed, length=40)[0])
