"""scipy.interpolate beyond its ledger: objects made outside, knots, ends, replays, and how errors name what they refuse."""

import numpy as np
import pytest
import scipy.interpolate as ip
from adcore.testing import check_grads
from scipy.interpolate import CubicSpline, interp1d

import adcore
from adcore import errors

rng = np.random.default_rng(3)
x = np.array([0.0, 0.6, 1.1, 1.9, 2.3, 3.2, 4.0, 4.4, 5.0])
y = rng.normal(size=9)
grid, on_grid = (x, x[:7]), rng.normal(size=(9, 7))
q = rng.uniform(0.1, 3.9, 6)
OUTSIDE = {
    "CubicSpline": (CubicSpline(x, y), q),
    "CubicHermiteSpline": (ip.CubicHermiteSpline(x, y, y), q),
    "PchipInterpolator": (ip.PchipInterpolator(x, y), q),
    "Akima1DInterpolator": (ip.Akima1DInterpolator(x, y), q),
    "its antiderivative": (CubicSpline(x, y).antiderivative(), q),
    "many functions along axis 1": (CubicSpline(x, rng.normal(size=(2, 9, 3)), axis=1), q),
    "BSpline": (ip.make_interp_spline(x, y), q),
    "periodic BSpline": (ip.make_interp_spline(x, np.append(y[:-1], y[0]), bc_type="periodic"), q + 7.0),
    "make_smoothing_spline": (ip.make_smoothing_spline(x, y), q),
    "UnivariateSpline with smoothing": (ip.UnivariateSpline(x, y, s=0.5), q),
    "interp1d": (interp1d(x, y, "cubic"), q),
    "interp1d with neighbours": (interp1d(x, y, "nearest"), q),
    "RegularGridInterpolator": (ip.RegularGridInterpolator(grid, on_grid), np.stack([q, q[::-1]], axis=-1)),
    "cubic RegularGridInterpolator": (ip.RegularGridInterpolator(grid, on_grid, "cubic"), np.stack([q, q[::-1]], axis=-1)),
    "NdBSpline": (ip.NdBSpline((ip.make_interp_spline(x, y).t,) * 2, np.outer(y, y), 3), np.stack([q, q[::-1]], axis=-1)),
}
SURFACE = ip.RectBivariateSpline(*grid, on_grid, s=0.1)
TCK = ip.splrep(x, y, s=0.3)


@pytest.mark.parametrize("name", OUTSIDE)
def test_objects_made_outside(name):
    spline, points = OUTSIDE[name]
    np.testing.assert_allclose(adcore.vjp(lambda q: spline(q), points)[0], spline(points), rtol=1e-12, atol=1e-12)
    check_grads(lambda q: spline(q), [points], order=2, rtol=2e-5)


def test_surfaces_and_knots_made_outside():
    check_grads(lambda a, b: SURFACE.ev(a, b) + SURFACE.ev(a, b, dx=1), [q, q[::-1]], order=2, rtol=2e-5)
    check_grads(lambda a: ip.splev(a, TCK) + ip.splint(a[0], a[1], TCK), [q], order=2, rtol=2e-5)
    np.testing.assert_allclose(adcore.gradient(lambda a: SURFACE(a, 1.0)[0, 0], 2.0), SURFACE.ev(2.0, 1.0, dx=1), rtol=1e-12)


def test_plain_points_inside_a_recording_are_computed_by_scipy():
    spline, seen = CubicSpline(x, y), []

    def f(a):
        inner = CubicSpline(x, y)
        seen.extend([inner(q), spline(q), inner.roots(), spline.c, isinstance(inner, CubicSpline), isinstance(spline, ip.PPoly)])
        return a * inner(2.0)

    assert adcore.gradient(f, 1.0) == CubicSpline(x, y)(2.0)
    np.testing.assert_array_equal(seen[0], spline(q))
    np.testing.assert_array_equal(seen[1], spline(q))
    np.testing.assert_array_equal(seen[2], spline.roots())
    np.testing.assert_array_equal(seen[3], spline.c)
    assert seen[4:] == [True, True]


def test_classes_of_adcore_may_be_kept_anywhere():
    class Model:
        def __init__(self):
            self.spline = adcore.scipy.interpolate.CubicSpline(x, y)

        def __call__(self, q):
            return np.sum(self.spline(q) ** 2)

    model, plain = Model(), CubicSpline(x, y)
    np.testing.assert_allclose(adcore.gradient(model, q), 2 * plain(q) * plain(q, 1), rtol=1e-12)
    assert model(q) == np.sum(plain(q) ** 2)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: CubicSpline(x, y)(1.0),
        lambda x: ip.PchipInterpolator(x, y)(1.0),
        lambda x: ip.make_interp_spline(x, y)(1.0),
        lambda x: interp1d(x, y)(1.0),
        lambda x: ip.splev(1.0, ip.splrep(x, y)),
        lambda x: ip.RegularGridInterpolator((x,), y)([[1.0]])[0],
        lambda x: ip.UnivariateSpline(x, y, s=0)(1.0),
    ],
)
def test_knots_are_refused_by_name(f):
    with pytest.raises(
        errors.NotDifferentiable, match=r"test_interpolate.py:\d+: scipy.interpolate.\w+ has no derivative .*knots.* argument \w"
    ):
        adcore.gradient(f, x)


def test_smoothing_by_the_data_is_refused_with_a_remedy():
    for f in (lambda y: ip.UnivariateSpline(x, y)(1.0), lambda y: ip.splev(1.0, ip.splrep(x, y, s=0.1))):
        with pytest.raises(errors.NotDifferentiable, match=r"test_interpolate.py:\d+: .*its knots depend on the data: give s=0"):
            adcore.gradient(f, y)
    with pytest.raises(errors.NotDifferentiable, match=r"make_smoothing_spline .*make_lsq_spline.* argument y"):
        adcore.gradient(lambda y: ip.make_smoothing_spline(x, y, lam=0.1)(1.0), y)
    with pytest.raises(errors.NotDifferentiable, match=r"CubicSpline.roots"):
        adcore.gradient(lambda y: np.sum(CubicSpline(x, y).roots()), y)


def test_knots_that_are_traced_but_constant():
    def f(y):
        knots = np.zeros(9)
        knots[:] = x
        return np.sum(CubicSpline(knots, y)(q) ** 2)

    np.testing.assert_allclose(adcore.gradient(f, y), adcore.gradient(lambda y: np.sum(CubicSpline(x, y)(q) ** 2), y))


def test_beyond_the_ends():
    beyond = np.array([-1.0, 2.0, 9.0])
    value, pullback = adcore.vjp(lambda y, q: ip.Akima1DInterpolator(x, y)(q), y, beyond)
    assert np.isnan(value).tolist() == [True, False, True]
    by_y, by_q = pullback(np.array([0.0, 1.0, 0.0]))
    assert np.all(np.isfinite(by_y)) and by_q[1] != 0.0 and by_q[0] == by_q[2] == 0.0
    for f in (
        lambda y: interp1d(x, y)(9.0),
        lambda y: ip.splev(9.0, ip.splrep(x, y), ext=2),
        lambda y: ip.RegularGridInterpolator((x,), y)([[9.0]]),
    ):
        with pytest.raises(ValueError, match="outside of the range"):
            adcore.gradient(lambda y, f=f: np.sum(f(y)), y)
    with pytest.raises(ValueError, match="identical"):
        adcore.gradient(lambda y: CubicSpline(x, y, bc_type="periodic")(1.0), y)
    with pytest.raises(ValueError, match="increasing"):
        adcore.gradient(lambda y: CubicSpline(x[::-1], y)(1.0), y)


def test_replays_find_the_piece_anew_and_check_the_range_anew():
    f = adcore.compile(adcore.value_and_grad(lambda y, q: np.sum(interp1d(x, y)(q) + CubicSpline(x, y)(q)), argnums=(0, 1)))
    for points in (q, q[::-1], q + 0.9):
        value, (by_y, by_q) = f(y, points)
        spline = CubicSpline(x, y)
        slope = (np.interp(points + 1e-7, x, y) - np.interp(points - 1e-7, x, y)) / 2e-7
        np.testing.assert_allclose(value, np.sum(np.interp(points, x, y) + spline(points)))
        np.testing.assert_allclose(by_q, slope + spline(points, 1), rtol=1e-6)
        np.testing.assert_allclose(np.sum(by_y * y), value)  # linear in y
    assert f.recordings == 1
    with pytest.raises(ValueError, match="outside of the range"):
        f(y, q + 9.0)


def test_third_order_and_mixed_modes():
    check_grads(lambda y, q: CubicSpline(x, y)(q) ** 2, [y, q], order=3, rtol=1e-4, directions=1)
    f = lambda y, q: np.sum(ip.PchipInterpolator(x, y)(q) ** 2)  # noqa: E731
    forward = adcore.jacobian(adcore.grad(f, argnums=1), mode="forward")(y, q)
    np.testing.assert_allclose(forward, adcore.jacobian(adcore.grad(f), argnums=1, mode="reverse")(y, q).T, rtol=1e-9, atol=1e-12)


def test_inside_loops_and_checkpoints():
    step = lambda s: s + 0.1 * CubicSpline(x, y)(s)  # noqa: E731

    def unrolled(s):
        for _ in range(5):
            s = s + 0.1 * CubicSpline(x, y)(s)
        return np.sum(s)

    np.testing.assert_allclose(adcore.gradient(lambda s: np.sum(adcore.loop(step, s, 5)), q), adcore.gradient(unrolled, q))
    f = lambda y: np.sum(CubicSpline(x, y)(q) ** 2)  # noqa: E731
    np.testing.assert_allclose(adcore.gradient(adcore.checkpoint(f), y), adcore.gradient(f, y))


def test_a_large_periodic_system():
    n = 4000
    at = np.linspace(0.0, 1.0, n + 1)
    points = rng.uniform(0.0, 1.0, 50)
    seed = rng.normal(size=50)
    v = rng.normal(size=n)
    closed = lambda v: np.concatenate([v, v[:1]])  # noqa: E731
    g = adcore.vjp(lambda v: CubicSpline(at, closed(v), bc_type="periodic")(points), v)[1](seed)[0]
    w = rng.normal(size=n)
    np.testing.assert_allclose(g @ w, seed @ CubicSpline(at, np.append(w, w[0]), bc_type="periodic")(points), rtol=1e-9)
