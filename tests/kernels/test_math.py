"""The vector math against mpmath, in units in the last place of the exact result."""

import mpmath
import numpy as np
import pytest

from adcore import optable
from adcore.kernels import probe
from tests.kernels.samples import SPECIAL, spread
from tests.kernels.variants import BY_LEVEL, LIVE

U = np.random.default_rng(7)
N = 300

mp = mpmath.mp.clone()
mp.dps = 50


def sinc(x):
    return mp.sinpi(x) / (mp.pi * x) if x else mp.mpf(1)


def logaddexp(a, b):
    m = max(a, b)
    return m + mp.log1p(mp.exp(-abs(a - b)))


def uniform(low, high):
    return U.uniform(low, high, N)


# op: (largest error in ulp, exact function, samples of its arguments)
CASES = {
    "exp": (0.95, mp.exp, [uniform(-745, 709), uniform(-1, 1)]),
    "exp2": (1.0, lambda x: mp.mpf(2) ** x, [uniform(-1074, 1023), uniform(-1, 1)]),
    "expm1": (1.8, mp.expm1, [uniform(-40, 709), uniform(-1, 1), spread(U, N, -18, 0)]),
    "log": (0.9, mp.log, [10 ** uniform(-307, 308), uniform(0.5, 2), 10 ** uniform(-323, -308)]),
    "log2": (0.85, lambda x: mp.log(x, 2), [10 ** uniform(-307, 308), uniform(0.5, 2)]),
    "log10": (0.75, mp.log10, [10 ** uniform(-307, 308), uniform(0.5, 2)]),
    "log1p": (0.9, mp.log1p, [uniform(-1, 1), uniform(0, 10), spread(U, N, -18, -0.1), 10 ** uniform(0, 300)]),
    "sin": (0.8, mp.sin, [uniform(-10, 10), uniform(-1e6, 1e6), spread(U, N, -18, 0), 10 ** uniform(6, 300)]),
    "cos": (0.8, mp.cos, [uniform(-10, 10), uniform(-1e6, 1e6), 10 ** uniform(6, 300)]),
    "tan": (1.0, mp.tan, [uniform(-10, 10), uniform(-1e6, 1e6), spread(U, N, -18, 0), 10 ** uniform(6, 300)]),
    "sinh": (1.7, mp.sinh, [uniform(-710, 710), uniform(-2, 2), spread(U, N, -18, 0)]),
    "cosh": (1.3, mp.cosh, [uniform(-710, 710), uniform(-2, 2)]),
    "tanh": (1.4, mp.tanh, [uniform(-25, 25), uniform(-1, 1), spread(U, N, -18, 0)]),
    "arcsin": (0.7, mp.asin, [uniform(-1, 1), 1 - 10 ** uniform(-16, 0), spread(U, N, -18, 0)]),
    "arccos": (0.8, mp.acos, [uniform(-1, 1), 1 - 10 ** uniform(-16, 0), spread(U, N, -18, 0)]),
    "arctan": (0.8, mp.atan, [uniform(-3, 3), spread(U, N, -18, 18)]),
    "arcsinh": (1.2, mp.asinh, [uniform(-10, 10), spread(U, N, -18, 300)]),
    "arccosh": (0.8, mp.acosh, [1 + 10 ** uniform(-15, 0), 10 ** uniform(0, 300)]),
    "arctanh": (1.2, mp.atanh, [uniform(-1, 1), spread(U, N, -18, 0)]),
    "erf": (1.4, mp.erf, [uniform(-6, 6), uniform(-1.2, 1.2), spread(U, N, -18, 0)]),
    "expit": (1.0, lambda x: 1 / (1 + mp.exp(-x)), [uniform(-700, 700), uniform(-5, 5)]),
    "cbrt": (0.7, lambda x: mp.sign(x) * mp.cbrt(abs(x)), [uniform(-8, 8), spread(U, N, -320, 308)]),
    "sinc": (1.6, sinc, [uniform(-5, 5), uniform(-1e4, 1e4), spread(U, N, -18, 0)]),
    "power": (
        1.0,
        mp.power,
        [
            (uniform(0, 10), uniform(-10, 10)),
            (uniform(0.999, 1.001), uniform(-6e5, 6e5)),
            (10 ** uniform(-300, 300), uniform(-1, 1)),
            (U.integers(-9, 10, N) * 1.0, U.integers(0, 12, N) * 1.0),
        ],
    ),
    "arctan2": (1.3, mp.atan2, [(uniform(-5, 5), uniform(-5, 5)), (spread(U, N, -150, 150), spread(U, N, -150, 150))]),
    "hypot": (1.2, mp.hypot, [(uniform(-5, 5), uniform(-5, 5)), (spread(U, N, -300, 300), spread(U, N, -300, 300))]),
    "logaddexp": (1.0, logaddexp, [(uniform(0, 50), uniform(0, 50))]),
    "erfc": (5.0, mp.erfc, [uniform(-5, 26)]),
    "gammaln": (5.0, mp.loggamma, [uniform(3, 200)]),
    "digamma": (16.0, mp.digamma, [uniform(2, 200), uniform(0.01, 1.0)]),
    "trigamma": (8.0, lambda x: mp.polygamma(1, x), [uniform(0.01, 200)]),
    "polygamma": (
        16.0,
        lambda n, x: mp.polygamma(int(n), x),
        [(U.integers(2, 30, N) * 1.0, uniform(0.01, 50)), (U.integers(2, 8, N) * 1.0, 0.3 - U.integers(1, 40, N))],
    ),
}


def value(op, *x, table=LIVE):
    return probe.elementwise(table, optable.OPCODE[op.upper()], *x)


def worst(op, exact, x):
    """The largest error in ulp over samples and levels, and where."""
    x = x if isinstance(x, tuple) else (x,)
    most, where = 0.0, None
    found = [value(op, *x, table=next(iter(tables.values()))) for tables in BY_LEVEL.values()]
    for *ys, args in zip(*found, zip(*x, strict=True), strict=True):
        want = exact(*[mp.mpf(float(a)) for a in args])
        error = max(abs(mp.mpf(float(y)) - want) for y in ys) / mp.mpf(float(np.spacing(abs(float(want)))))
        if error > most:
            most, where = float(error), args
    return most, where


@pytest.mark.parametrize("op", CASES)
def test_errors_stay_within_what_the_header_states(op):
    limit, exact, samples = CASES[op]
    for x in samples:
        found, where = worst(op, exact, x)
        assert found <= limit, f"{op}{where}: {found:.3f} ulp"


UFUNCS = {op: row.ufunc for op in CASES if (row := optable.ROW[op.upper()]).ufunc}


@pytest.mark.parametrize("op", UFUNCS)
def test_special_values_are_what_numpy_gives(op):
    ufunc = getattr(np, UFUNCS[op])
    x = (SPECIAL,) if ufunc.nin == 1 else tuple(a.ravel() for a in np.meshgrid(SPECIAL, SPECIAL))
    with np.errstate(all="ignore"):
        want = ufunc(*x)
    found = value(op, *x)
    np.testing.assert_allclose(found, want, rtol=4e-16 if op != "power" else 1e-15, atol=5e-324)
    exact = (want == 0) | np.isinf(want)
    np.testing.assert_array_equal(np.signbit(found)[exact], np.signbit(want)[exact])


@pytest.mark.parametrize(
    "x1, x2, y",
    [
        (0.0, 0.0, 1.0),
        (-8.0, 3.0, -512.0),
        (-8.0, 1 / 3, np.nan),
        (-0.0, -3.0, -np.inf),
        (-np.inf, 0.5, np.inf),
        (1.0, np.nan, 1.0),
        (np.nan, 0.0, 1.0),
        (-1.0, np.inf, 1.0),
        (0.5, -np.inf, np.inf),
        (-2.0, 1e300, np.inf),
    ],
)
def test_power_follows_ieee(x1, x2, y):
    np.testing.assert_array_equal(value("power", [x1], [x2]), [y])


def test_polygamma_at_poles_ends_and_orders_that_are_none():
    orders, x = [2.0, 3.0, 2.0, 1.5, -1.0, 171.0, 2.0, 1e300], [0.0, -2.0, np.inf, 1.0, 1.0, 1.0, -np.inf, 1e-300]
    np.testing.assert_array_equal(value("polygamma", orders, x), [np.nan, np.inf, 0.0, np.nan, np.nan, np.nan, np.nan, np.nan])


def test_squares_and_cubes_of_integers_are_exact():
    n = np.arange(-2000.0, 2000.0)
    np.testing.assert_array_equal(value("power", n, np.full(n.size, 2.0)), n * n)
    np.testing.assert_array_equal(value("power", n, np.full(n.size, 3.0)), n * n * n)


SHORT = np.arange(-4.0, 4.5, 0.5)


def test_small_half_integer_powers_are_products_and_a_root():
    x = np.concatenate([U.uniform(0, 10, N), 10 ** U.uniform(-30, 30, N)])
    for p in SHORT:
        found, where = worst("power", mp.power, (x, np.full(x.size, p)))
        assert found <= 2.9, f"{where}: {found:.3f} ulp"


def test_powers_depend_on_no_neighbour():
    """A block that has one small half integer for an exponent takes a way of its own to the same values."""
    x = np.concatenate([np.abs(SPECIAL), SPECIAL, U.uniform(0, 10, 64), 10 ** U.uniform(-300, 300, 64), -U.uniform(0, 10, 32)])
    for p in (*SHORT, 2.3, 4.5, 5.0, -0.0):
        alone = np.array([value("power", [a], [p])[0] for a in x])
        among = value("power", np.concatenate([x, x]), np.concatenate([np.full(x.size, p), U.uniform(-3, 3, x.size)]))
        for found in (value("power", x, np.full(x.size, p)), among[: x.size]):
            np.testing.assert_array_equal(found.view(np.int64), alone.view(np.int64), err_msg=str(p))
