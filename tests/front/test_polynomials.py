"""numpy.polynomial: its functions and classes at traced points and of traced coefficients."""

import numpy as np
import numpy.polynomial.polynomial as P
import pytest
from adcore.testing import check_grads
from numpy.polynomial import Chebyshev, Legendre, Polynomial, chebyshev
from numpy.polynomial.legendre import legval

import adcore

C = np.array([1.0, 2.0, -0.5, 0.3])
X = np.linspace(-0.9, 0.8, 5)
OUTSIDE, SCALED = Polynomial(C), Chebyshev(C, domain=[-2.0, 2.0])
BASES = {"polynomial": "poly", "chebyshev": "cheb", "legendre": "leg", "hermite": "herm", "hermite_e": "herme", "laguerre": "lag"}


def call(base, name, *args):
    return getattr(getattr(np.polynomial, base), BASES[base] + name)(*args)


CASES = {
    **{f"{base} {name}": f for base in BASES for name, f in {
        "val": lambda x, c, base=base: call(base, "val", x, c),
        "val2d": lambda x, c, base=base: call(base, "val2d", x, x**2, np.outer(c, c)),
        "grid2d": lambda x, c, base=base: call(base, "grid2d", x, x[:2], np.outer(c, c)),
        "val3d": lambda x, c, base=base: call(base, "val3d", x, x**2, x + 1.0, c[:, None, None] * np.outer(c, c)),
        "vander": lambda x, c, base=base: call(base, "vander", x, 3) @ c,
        "der": lambda x, c, base=base: call(base, "der", c, 2),
        "int": lambda x, c, base=base: call(base, "int", c),
        "mul": lambda x, c, base=base: call(base, "mul", c, x),
        "add": lambda x, c, base=base: call(base, "add", c, x),
        "sub": lambda x, c, base=base: call(base, "sub", c, x),
        "pow": lambda x, c, base=base: call(base, "pow", c, 3),
        "fromroots": lambda x, c, base=base: call(base, "fromroots", x),
        "fit": lambda x, c, base=base: call(base, "fit", X, np.sin(x) * c[0], 2),
    }.items()},
    "a name imported": lambda x, c: legval(x, c),
    "coefficients along more axes": lambda x, c: P.polyval(x, np.outer(c, c[:2])),
    "without tensor": lambda x, c: P.polyval(x, np.outer(c, x), tensor=False),
    "at a number": lambda x, c: P.polyval(x[0], c) * x,
    "at a list": lambda x, c: P.polyval([x[0], 2.0], c),
    "division": lambda x, c: P.polydiv(P.polymul(c, x), c)[0],
    "another basis": lambda x, c: chebyshev.poly2cheb(c),
    "objects from outside": lambda x, c: OUTSIDE(x) + SCALED(x) + OUTSIDE.deriv()(x) * c[0] + (c[0] * OUTSIDE + 1.0)(x),
    "objects made inside": lambda x, c: Polynomial(c)(x) * Chebyshev(c, domain=[-2.0, 2.0]).integ()(x),
    "arithmetic of objects": lambda x, c: (Legendre(c) * Legendre(c[:2]) + 1.5 - Legendre(c) ** 2).deriv(2)(x),
    "a fit as an object": lambda x, c: Chebyshev.fit(X, np.sin(x) * c[0], 2)(x),
    "an object converted": lambda x, c: Polynomial(c).convert(kind=Chebyshev).coef,
    "classes": lambda x, c: x * isinstance(OUTSIDE, Polynomial) * (isinstance(Polynomial(c), Polynomial) - isinstance(SCALED, Polynomial)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives(name):
    f = CASES[name]
    np.testing.assert_allclose(adcore.vjp(f, X, C)[0], f(X, C), rtol=1e-12, atol=1e-14)
    check_grads(f, (X, C), order=2, rtol=1e-5, directions=1)


def test_replays():
    f = lambda x, c: np.sum(legval(x, c) * Polynomial(c)(x))  # noqa: E731
    compiled = adcore.compile(adcore.value_and_grad(f))
    for factor in (1.0, 0.7):
        assert compiled(factor * X, C)[0] == pytest.approx(f(factor * X, C), rel=1e-13)
    assert compiled.recordings == 1


def test_plain_calls_inside_are_numpys():
    def f(x):
        nodes, weights = np.polynomial.legendre.leggauss(3)
        assert P.polyroots([-1.0, 0.0, 1.0]).tolist() == [-1.0, 1.0] and OUTSIDE.degree() == 3
        return np.sum(weights * np.exp(x[0] * nodes))

    check_grads(f, (X,), order=1)
