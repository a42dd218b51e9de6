"""Phrases: a kernel for operations in a row gives the bits that they give one by one."""

import numpy as np
import pytest
from adcore.sweep.engine import explained
from numpy.testing import assert_array_equal

import adcore
from adcore import optable
from adcore.kernels import probe
from adcore.optable.phrases import BEGINNINGS, PHRASES
from tests.kernels.samples import mixture
from tests.kernels.test_variants import same_bits
from tests.kernels.variants import LIVE, TABLES


def one_by_one(key, x):
    """A phrase by the kernels of its operations."""

    def apply(op, *arguments):
        return probe.elementwise(LIVE, optable.OPCODE[op.upper()], *arguments)

    first, *rest = key
    found = apply(first, x[0], x[1])
    if rest and rest[0] in BEGINNINGS:
        return apply(rest[0], found, apply(rest[1], x[2], x[3]))
    for (op, place), other in zip(rest, x[2:], strict=False):
        found = apply(op, other, found) if place else apply(op, found, other)
    return found


@pytest.mark.parametrize("number", range(len(PHRASES)), ids=[str(key) for key in PHRASES])
def test_a_phrase_rounds_as_its_operations_do(number):
    key = list(PHRASES)[number]
    rng = np.random.default_rng(3)
    x = [mixture(rng, 203) for _ in range(4)]
    x[1][::5] = 0.0
    x[0][::7] = 0.0
    for n in (203, 8, 3, 1):
        want = one_by_one(key, [a[:n] for a in x])
        for name, table in TABLES.items():
            assert same_bits(probe.phrase(table, number, *[a[:n] for a in x]), want), name
    for splats in range(1, 15):
        one = [np.full(8, a[2]) if splats >> k & 1 else a for k, a in enumerate(x)]
        want = one_by_one(key, [np.full(203, a[2]) if splats >> k & 1 else a for k, a in enumerate(x)])
        for name, table in TABLES.items():
            assert same_bits(probe.phrase(table, number, *one, splats=splats), want), name


FUNCTIONS = {
    "line": lambda a, b, c, d: a * b + c - d,
    "from": lambda a, b, c, d: d - (c - a * b),
    "join": lambda a, b, c, d: (a + b) * (c - d),
    "stencil": lambda a, b, c, d: 0.3 * (a + b + c + d - 4.0 * b) + a * a * d,
    "shared": lambda a, b, c, d: (a * b) * (a * b) + (a * b - c) * d,
    "squares": lambda a, b, c, d: (a * a + b * b) - (c + d) ** 2 + (c * c - d),
    "deep": lambda a, b, c, d: ((((a + b) * c - d) * a + b) * c - (d * a - b) * (c + a * d)) + (a - b) * (c - d),
    "other": lambda a, b, c, d: np.sqrt(a * a + b * b + 1.0) * c + np.maximum(a * b, c) * d,
}


@pytest.mark.parametrize("shape", [(5,), (40,), (3, 500)], ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_are_those_of_numpy(name, shape):
    x = np.random.default_rng(0).normal(size=(4, *shape))
    replayed = adcore.compile(FUNCTIONS[name])
    for _ in range(2):
        assert_array_equal(replayed(*x), FUNCTIONS[name](*x))


def test_a_stencil_takes_few_kernels():
    def f(u, v):
        return 0.3 * (u[:-2] + u[2:] + v[2:] + v[:-2] - 4.0 * u[1:-1]) + v[1:-1]

    x = np.random.default_rng(0).normal(size=(2, 300))
    _, plan, _ = explained(adcore.trace(f, *x)._derived("value"))
    (step,) = (s for s in plan.steps_as_dicts() if s["kind"] == "blocks")
    assert step["ops"] == 7
    assert step["kernels"] == 3


def test_single_precision_rounds_each_operation():
    a, b, c, d = np.random.default_rng(0).normal(size=(4, 100)).astype(np.float32)
    for name in ("line", "from", "join", "shared"):
        assert_array_equal(adcore.compile(FUNCTIONS[name])(a, b, c, d), FUNCTIONS[name](a, b, c, d))
