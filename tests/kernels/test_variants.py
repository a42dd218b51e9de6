"""All builds of the kernels are one function: the same bits, whatever the build, the length and the neighbours."""

import numpy as np
import pytest

from adcore import optable
from adcore.kernels import probe
from tests.kernels.samples import mixture
from tests.kernels.variants import LIVE, TABLES

ROWS = optable.ROWS[: optable.N_ELEMENTWISE]
EVERY_ROW = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def arguments(row, n=600):
    rng = np.random.default_rng(3)
    x = [mixture(rng, n) for _ in row.args]
    return [x[0], *[rng.permutation(a) for a in x[1:]]]


def same_bits(a, b):
    """Equal to the bit; which NaN it is does not matter."""
    return np.array_equal(a, b, equal_nan=True) and np.array_equal(np.signbit(a)[~np.isnan(a)], np.signbit(b)[~np.isnan(b)])


@EVERY_ROW
def test_every_build_gives_the_same_bits(row):
    opcode, x = optable.OPCODE[row.name.upper()], arguments(row)
    want = probe.elementwise(LIVE, opcode, *x)
    for name, table in TABLES.items():
        assert same_bits(probe.elementwise(table, opcode, *x), want), name


@EVERY_ROW
def test_a_value_does_not_depend_on_length_or_neighbours(row):
    opcode, x = optable.OPCODE[row.name.upper()], arguments(row, 70)
    want = probe.elementwise(LIVE, opcode, *x)
    for n in range(71):
        assert same_bits(probe.elementwise(LIVE, opcode, *[a[:n] for a in x]), want[:n]), n
    for k in range(70):
        assert same_bits(probe.elementwise(LIVE, opcode, *[a[k : k + 1] for a in x]), want[k : k + 1]), k


@EVERY_ROW
def test_a_run_of_scalars_gives_the_same_bits(row):
    opcode, x = optable.OPCODE[row.name.upper()], arguments(row, 130)
    values = np.concatenate(x)
    rng = np.random.default_rng(0)
    for n in (0, 1, 2, 3, 9, 64, 65, 127):
        at = [rng.integers(0, values.size, n) for _ in row.args]
        want = probe.elementwise(LIVE, opcode, *[values[k] for k in at])
        for name, table in TABLES.items():
            assert same_bits(probe.run(table, opcode, values, *at), want), (name, n)


def test_each_table_says_what_it_is():
    for name, table in TABLES.items():
        safety, aliasing, level = name.split("_")
        assert probe.info(table) == {
            "checked": safety == "checked",
            "noalias": aliasing == "noalias",
            "isa": ("baseline", "v3", "v4").index(level),
        }
