"""All builds of the kernels are one function: the same bits, whatever the build of one level, the length and the neighbours."""

import numpy as np
import pytest

from adcore import optable
from adcore.kernels import probe
from tests.kernels.samples import mixture
from tests.kernels.variants import BY_LEVEL, LIVE, TABLES

ROWS = optable.ROWS[: optable.N_ELEMENTWISE]
EVERY_ROW = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def arguments(row, n=600):
    rng = np.random.default_rng(3)
    x = [mixture(rng, n) for _ in row.args]
    return [x[0], *[rng.permutation(a) for a in x[1:]]]


def same_bits(a, b):
    """Equal to the bit; which NaN it is does not matter."""
    return np.array_equal(a, b, equal_nan=True) and np.array_equal(np.signbit(a)[~np.isnan(a)], np.signbit(b)[~np.isnan(b)])


# ops whose kernels take fused multiply-adds where there are some
FUSED = set(
    "exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh arcsin arccos arctan arcsinh arccosh arctanh erf expit cbrt sinc power "
    "arctan2 logaddexp logaddexp2".split()
)


@EVERY_ROW
def test_every_build_of_one_level_gives_the_same_bits(row):
    opcode, x = optable.OPCODE[row.name.upper()], arguments(row)
    for tables in BY_LEVEL.values():
        first, *others = tables.items()
        want = probe.elementwise(first[1], opcode, *x)
        for name, table in others:
            assert same_bits(probe.elementwise(table, opcode, *x), want), name


@EVERY_ROW
def test_levels_differ_by_rounding_in_vector_math_alone(row):
    opcode, x = optable.OPCODE[row.name.upper()], arguments(row)
    results = [probe.elementwise(next(iter(tables.values())), opcode, *x) for tables in BY_LEVEL.values()]
    for found in results[1:]:
        if row.name.lower() in FUSED:
            np.testing.assert_array_max_ulp(found, results[0], maxulp=4)
        else:
            assert same_bits(found, results[0])


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
        for name, table in TABLES.items():
            want = probe.elementwise(table, opcode, *[values[k] for k in at])
            assert same_bits(probe.run(table, opcode, values, *at), want), (name, n)


def test_each_table_says_what_it_is():
    for name, table in TABLES.items():
        safety, aliasing, level = name.split("_")
        assert probe.info(table) == {
            "checked": safety == "checked",
            "noalias": aliasing == "noalias",
            "isa": ("baseline", "v3", "v4").index(level),
        }


@pytest.mark.parametrize("number", range(len(optable.PAIRS)), ids=["_".join(pair) for pair in optable.PAIRS])
def test_values_of_a_pair_do_not_depend_on_length(number):
    x = mixture(np.random.default_rng(3), 70)
    want = probe.pair(LIVE, number, x)
    for n in range(1, 71):
        for found, whole in zip(probe.pair(LIVE, number, x[:n]), want, strict=True):
            assert same_bits(found, whole[:n]), n
