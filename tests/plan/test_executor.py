"""The executor against the NumPy interpreter of programs."""

import numpy as np
import pytest
from adcore.plan.lower import lower
from adcore.sweep.engine import run
from numpy.testing import assert_allclose

from tests.plan.random_programs import random_program
from tests.reference import interpret


@pytest.mark.parametrize("block", range(20))
def test_random_programs_give_what_numpy_gives(block):
    for seed in range(block * 50, block * 50 + 50):
        program, inputs = random_program(seed, length=10 + seed % 50)
        with np.errstate(all="ignore"):
            expected = interpret(program, inputs)
        found = run(lower(program), inputs, [], [])
        for want, got in zip(expected, found, strict=True):
            assert_allclose(got, want, rtol=1e-9, atol=1e-9, err_msg=f"seed {seed}\n{program}")
