"""Values and partial derivatives of every elementwise row against mpmath, as the kernels compute them."""

import mpmath
import numpy as np
import pytest

from adcore import optable
from adcore.kernels import probe
from tests.kernels.variants import LIVE

mp = mpmath.mp.clone()
mp.dps = 40

EXACT = {
    "identity": lambda x: x,
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda x: -x,
    "abs": abs,
    "square": lambda x: x * x,
    "sqrt": mp.sqrt,
    "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)),
    "reciprocal": lambda x: 1 / x,
    "power": mp.power,
    "muladd": lambda a, b, c: a * b + c,
    "mulz": lambda a, b: a * b,
    "copysign": lambda a, b: abs(a) * mp.sign(b),
    "exp": mp.exp,
    "exp2": lambda x: mp.mpf(2) ** x,
    "expm1": mp.expm1,
    "log": mp.log,
    "log2": lambda x: mp.log(x) / mp.log(2),
    "log10": mp.log10,
    "log1p": mp.log1p,
    "logaddexp": lambda a, b: mp.log(mp.exp(a) + mp.exp(b)),
    "logaddexp2": lambda a, b: mp.log(2**a + 2**b) / mp.log(2),
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "arcsin": mp.asin,
    "arccos": mp.acos,
    "arctan": mp.atan,
    "arctan2": mp.atan2,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "tanh": mp.tanh,
    "arcsinh": mp.asinh,
    "arccosh": mp.acosh,
    "arctanh": mp.atanh,
    "hypot": mp.hypot,
    "deg2rad": mp.radians,
    "rad2deg": mp.degrees,
    "sinc": lambda x: mp.sinpi(x) / (mp.pi * x) if x else mp.mpf(1),
    "maximum": max,
    "minimum": min,
    "fmax": max,
    "fmin": min,
    "where": lambda c, a, b: a if c else b,
    "clip": lambda x, lo, hi: min(max(x, lo), hi),
    "fmod": lambda a, b: a - b * int(a / b),
    "mod": lambda a, b: a - b * mp.floor(a / b),
    "expit": lambda x: 1 / (1 + mp.exp(-x)),
    "erf": mp.erf,
    "erfc": mp.erfc,
    "gammaln": mp.loggamma,
    "digamma": mp.digamma,
    "trigamma": lambda x: mp.polygamma(1, x),
    "polygamma": lambda n, x: mp.polygamma(int(n), x),
}

ROWS = optable.ROWS[: optable.N_ELEMENTWISE]


def vanishes(row):
    return all(p == 0.0 for p in row.partials) and not row.missing


ON_THE_GRID = ("spacing", "nextafter")  # they follow the floating-point grid
SMOOTH = [row for row in ROWS if not vanishes(row) and row.name not in ON_THE_GRID]
# detach has a derivative and hides it
FLAT = [row for row in ROWS if vanishes(row) and row.name not in ("detach", *ON_THE_GRID)]


def bounds(row, k):
    """A finite interval inside the domain of argument k."""
    domain = row.domain[k] if isinstance(row.domain[0], tuple) else row.domain
    return max(domain[0], -4.0), min(domain[1], 4.0)


def samples(row, n=40):
    rng = np.random.default_rng(len(row.name))
    x = []
    for k in range(len(row.args)):
        low, high = bounds(row, k)
        x.append(rng.uniform(low, high, n) * 0.99 + 0.005 * (low + high))
    if row.name in ("where", "polygamma"):
        x[0] = rng.integers(0, 2 if row.name == "where" else 6, n).astype(float)
    return x


def evaluate(row, k, x):
    """The partial with respect to argument k by its template, op after op, on the kernels."""
    n = x[0].size
    y = probe.elementwise(LIVE, optable.OPCODE[row.name.upper()], *x)
    named = {"y": y, **{f"x{j + 1}": a for j, a in enumerate(x)}}
    results = []

    def operand(o):
        if isinstance(o, str):
            return named[o]
        return results[o[1]] if o[0] == "t" else np.full(n, o[1])

    for name, *operands in optable.templates()[optable.OPCODE[row.name.upper()]][k]:
        results.append(probe.elementwise(LIVE, optable.OPCODE[name], *map(operand, operands)))
    return results[-1]


@pytest.mark.parametrize("row", SMOOTH, ids=lambda row: row.name)
def test_values_are_those_of_mpmath(row):
    x = samples(row)
    y = probe.elementwise(LIVE, optable.OPCODE[row.name.upper()], *x)
    want = [float(EXACT[row.name](*[mp.mpf(float(a)) for a in args])) for args in zip(*x, strict=True)]
    # a few ulp of the largest intermediate; digamma's sums are the least exact
    np.testing.assert_allclose(y, want, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("row", SMOOTH, ids=lambda row: row.name)
def test_partials_are_derivatives(row):
    x = samples(row)
    for k in range(len(row.args)):
        if k in row.missing or (row.name == "where" and k == 0):
            continue
        found = evaluate(row, k, x)
        order = tuple(int(j == k) for j in range(len(x)))
        want = [float(mp.diff(EXACT[row.name], tuple(mp.mpf(float(a)) for a in args), order)) for args in zip(*x, strict=True)]
        # partials written with y lose a few bits where 1 - y*y and the like cancel
        np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-14, err_msg=f"argument {k}")


@pytest.mark.parametrize("row", FLAT, ids=lambda row: row.name)
def test_a_row_without_a_derivative_is_a_step(row):
    x = samples(row)
    opcode = optable.OPCODE[row.name.upper()]
    y = probe.elementwise(LIVE, opcode, *x)
    moved = probe.elementwise(LIVE, opcode, *[a * (1 + 1e-12) for a in x])
    np.testing.assert_array_equal(y, moved)


@pytest.mark.parametrize("row", [r for r in ROWS if r.boolean], ids=lambda row: row.name)
def test_boolean_rows_give_zero_or_one(row):
    x = [np.array([0.0, -0.0, 1.0, -2.0, np.nan, np.inf, -np.inf, 1.0])] * len(row.args)
    assert set(probe.elementwise(LIVE, optable.OPCODE[row.name.upper()], *x)) <= {0.0, 1.0}


@pytest.mark.parametrize("row", [r for r in ROWS if r.ufunc], ids=lambda row: row.name)
def test_values_are_those_of_the_ufunc(row):
    ufunc = getattr(np, row.ufunc)
    x = samples(row, 200)
    want = ufunc(*x)
    np.testing.assert_allclose(probe.elementwise(LIVE, optable.OPCODE[row.name.upper()], *x), want, rtol=1e-15, atol=1e-300)


@pytest.mark.parametrize("row", [r for r in ROWS if r.commutative], ids=lambda row: row.name)
def test_commutative_rows_commute_to_the_bit(row):
    a, b = samples(row, 200)
    opcode = optable.OPCODE[row.name.upper()]
    np.testing.assert_array_equal(probe.elementwise(LIVE, opcode, a, b), probe.elementwise(LIVE, opcode, b, a))


@pytest.mark.parametrize("row", [r for r in ROWS if r.commutative and not vanishes(r)], ids=lambda row: row.name)
def test_ties_of_commutative_rows_share_the_derivative(row):
    x = [np.array([-1.5, 0.0, 2.0])] * 2
    first, second = evaluate(row, 0, x), evaluate(row, 1, x)
    np.testing.assert_array_equal(first, second)


def partial(name, k, *x):
    return evaluate(optable.ROW[name.upper()], k, [np.array([float(a)]) for a in x])[0]


@pytest.mark.parametrize(
    "name, k, x, want",
    [
        ("power", 0, (0.0, 1.0), 1.0),
        ("power", 0, (0.0, 2.0), 0.0),
        ("power", 0, (-3.0, 3.0), 27.0),
        ("power", 0, (0.0, 0.0), 0.0),
        ("power", 1, (0.0, 2.0), 0.0),
        ("power", 1, (0.0, 0.0), 0.0),
        ("power", 1, (-3.0, 2.0), 0.0),
        ("power", 1, (1.0, 5.0), 0.0),
        ("hypot", 0, (0.0, 0.0), 0.0),
        ("arctan2", 0, (0.0, 0.0), 0.0),
        ("arctan2", 1, (0.0, 0.0), 0.0),
        ("abs", 0, (0.0,), 0.0),
        ("maximum", 0, (1.0, 1.0), 0.5),
        ("sinc", 0, (0.0,), 0.0),
        ("clip", 0, (2.0, 1.0, 2.0), 1.0),
        ("hypot", 0, (3e200, 4e200), 0.6),
        ("arctan2", 0, (1e200, 1e200), 5e-201),
        ("arctan2", 1, (1e-200, 1e-200), -5e199),
        ("arcsinh", 0, (1e200,), 1e-200),
    ],
)
def test_partials_at_kinks_and_extremes(name, k, x, want):
    np.testing.assert_allclose(partial(name, k, *x), want, rtol=1e-14)


@pytest.mark.parametrize("x", [1e-8, 1e-4, 0.01, 0.2, 0.3])
def test_the_derivative_of_sinc_does_not_cancel_near_zero(x):
    want = float(mp.diff(EXACT["sinc"], mp.mpf(x)))
    np.testing.assert_allclose(partial("sinc", 0, x), want, rtol=1e-13)


def test_opcodes_are_rows_in_order_elementwise_first():
    assert [optable.OPCODE[n] for n in optable.NAMES] == list(range(len(optable.ROWS)))
    kinds = [row.kind for row in optable.ROWS]
    assert kinds == ["elementwise"] * optable.N_ELEMENTWISE + ["structural"] * (len(kinds) - optable.N_ELEMENTWISE)
    assert all(len(row.partials) == len(row.args) for row in ROWS)


def test_the_rows_of_the_build_are_the_rows_of_the_source():
    from adcore.optable import language, rows

    assert rows.ROWS == optable.ROWS
    assert optable.templates() == [[language.as_template(p) for p in row.partials] for row in ROWS]
