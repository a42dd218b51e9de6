"""Every composition of transforms on functions of every kind, against Taylor series that owe adcore nothing (`tests/jets`)."""

import functools

import numpy as np
import pytest
from numpy.testing import assert_allclose

import adcore
from adcore import errors
from tests import jets

optimize, integrate = adcore.scipy.optimize, adcore.scipy.integrate
X = np.array([0.6, 1.1, 0.8])
V, U, T = np.array([0.5, -1.0, 0.7]), np.array([-0.3, 0.4, 1.2]), np.array([1.0, 0.2, -0.6])
A = np.array([[1.5, 0.2, -0.3], [0.1, 1.2, 0.4], [-0.2, 0.3, 1.1]])
PAIR = np.stack([V, U], -1)
INDEX = np.array([2, 0, 2, 1])

# -- functions: what adcore differentiates, and the same by simple means --------------------------------


def running(x):
    out = np.zeros_like(x)
    out[0] = x[0] * x[2]
    for i in range(1, 3):
        out[i] = np.sin(out[i - 1]) * x[i] + out[i - 1]
    out[1:] *= x[:-1]
    return out


def branching(x):
    return x * np.log(x) if x[0] * x[1] > 0.1 else x


def eliminated(a, b):
    """Gauss, in place."""
    for i in range(len(b)):
        for j in range(i + 1, len(b)):
            factor = a[j, i] / a[i, i]
            a[j], b[j] = a[j] - a[i] * factor, b[j] - b[i] * factor
    for i in reversed(range(len(b))):
        b[i] = (b[i] - sum(a[i, j] * b[j] for j in range(i + 1, len(b)))) / a[i, i]
    return b


def determinant(m):
    return sum(m[0, i] * (m[1, (i + 1) % 3] * m[2, (i + 2) % 3] - m[1, (i + 2) % 3] * m[2, (i + 1) % 3]) for i in range(3))


def through_complex(x):
    z = (x + 2j * x[::-1]) * np.exp(1j * x)
    return np.abs(z @ (A + 1j * A.T)) ** 2


def through_parts(x):
    c, s, y = np.cos(x), np.sin(x), 2.0 * x[::-1]
    re, im = x * c - y * s, x * s + y * c
    return (re @ A - im @ A.T) ** 2 + (re @ A.T + im @ A) ** 2


def iterated(step, z, n=60):
    for _ in range(n):
        z = step(z)
    return z


def step(s, x):
    return s + 0.3 * np.sin(s * x) - 0.1 * s * s


@adcore.custom_vjp
def sine(x):
    return np.sin(x)


sine.defvjp(lambda x: (np.sin(x), np.cos(x)), lambda c, g: (c * g,))


@adcore.custom_jvp
def power(x, n):
    return x**n


power.defjvp(lambda p, t: (power(p[0], p[1]), p[1] * power(p[0], p[1] - 1) * t[0]))
flip = adcore.primitive(lambda x: np.ascontiguousarray(x[::-1]), linear=True, transpose=lambda g: g[::-1])
square = adcore.primitive(lambda x: x * x, shape=lambda x: x, vjp=lambda g, y, x: (2 * x * g,))
cube = adcore.primitive(lambda x, k: x**k, jvp=lambda t, y, x, k: k * x ** (k - 1) * t[0])
kept = adcore.compile(lambda x, y: np.tanh(x * y) + y)


def logistic(x):
    return integrate.solve_ivp(lambda t, y: x[1:] * y * (1.0 - y), (0.0, x[0]), [0.3, 0.6], t_eval=x[:1], rtol=1e-11, atol=1e-13).y[:, 0]


def logistic_solved(x):
    e, y = np.exp(x[1:] * x[0]), np.array([0.3, 0.6])
    return y * e / (1.0 + y * (e - 1.0))


BOTH = {  # plain NumPy all through
    "elementwise": lambda x: np.tanh(x) * np.exp(-x * x) + np.log(x + 2.0) * np.sin(x),
    "powers": lambda x: x[0] ** 2.5 / (x[1] + x**2) + np.sqrt(x) * x[2] ** -1.5,
    "products": lambda x: A @ np.tanh(A @ x) * x[0],
    "outer": lambda x: np.outer(x, x * x) @ A @ x,
    "gather": lambda x: x[INDEX] ** 3 * x[0],
    "in place": running,
    "a branch": branching,
    "cumsum and prod": lambda x: np.cumsum(x * x) * np.prod(x),
    "maximum": lambda x: np.maximum(x, x[::-1]) * np.exp(x) * x[0],
    "where": lambda x: np.where(np.array([True, False, True]), x**3, np.sin(x) * x[0]),
    "linear": lambda x: A @ x[::-1],
    "constant in part": lambda x: np.stack([x[0] ** 3, 0.0 * x[1] + 2.0, x[2] * x[1]]),
}
PAIRS = {
    "solve": (lambda x: np.linalg.solve(A + np.outer(x, x), x), lambda x: eliminated(A + np.outer(x, x), x.copy())),
    "determinant": (
        lambda x: np.linalg.det(A * x) * x + np.linalg.slogdet(A + np.diag(x))[1],
        lambda x: determinant(A * x) * x + np.log(determinant(A + np.array([[x[i] * float(i == j) for j in range(3)] for i in range(3)]))),
    ),
    "inverse": (
        lambda x: np.linalg.inv(A + np.outer(x, x)) @ np.sin(x),
        lambda x: eliminated(A + np.outer(x, x), np.sin(x)),
    ),
    "fft": (
        lambda x: np.fft.ifft(np.fft.fft(x) * np.fft.fft(np.exp(x))).real,
        lambda x: np.stack([sum(x[j] * np.exp(x)[(k - j) % 3] for j in range(3)) for k in range(3)]),
    ),
    "complex": (through_complex, through_parts),
    "checkpoint": (adcore.checkpoint(lambda x: np.sin(adcore.checkpoint(np.exp)(x) * x[0])), lambda x: np.sin(np.exp(x) * x[0])),
    "loop": (lambda x: adcore.loop(step, x, 5, x[::-1], memory=48), lambda x: iterated(lambda s: step(s, x[::-1]), x, 5)),
    "rules": (lambda x: sine(power(x, 3)) * power(sine(x), 2), lambda x: np.sin(x**3) * np.sin(x) ** 2),
    "primitives": (lambda x: flip(cube(x, 3)) * square(x) + flip(x), lambda x: x[::-1] ** 3 * x**2 + x[::-1]),
    "rules in regions": (
        lambda x: adcore.loop(lambda s, x: 0.5 * sine(s) * square(x), x, 3, flip(x)),
        lambda x: iterated(lambda s: 0.5 * np.sin(s) * x[::-1] ** 2, x, 3),
    ),
    "compiled": (lambda x: kept(x, x[0]) * kept(x[::-1], x[1]), lambda x: (np.tanh(x * x[0]) + x[0]) * (np.tanh(x[::-1] * x[1]) + x[1])),
    "derivative": (lambda x: adcore.gradient(lambda y: np.sum(np.exp(x * y)), x * x), lambda x: x * np.exp(x**3)),
    "tangent": (lambda x: adcore.jvp(lambda y: np.sin(x * y), (x[::-1],), (x,))[1], lambda x: x * x * np.cos(x * x[::-1])),
    "root": (
        lambda x: optimize.root(lambda z: z**3 + A @ z - x * x[0], np.full(3, 0.5), tol=1e-14).x,
        lambda x: iterated(
            lambda z: z - eliminated(A + np.array([[3.0 * z[i] ** 2 * float(i == j) for j in range(3)] for i in range(3)]),
                                     z**3 + A @ z - x * x[0]), np.full(3, 0.5), 12),
    ),
    "brentq": (
        lambda x: x * optimize.brentq(lambda z: z**3 + x[1] * z - x[0], -5.0, 5.0, xtol=1e-15),
        lambda x: x * iterated(lambda z: z - (z**3 + x[1] * z - x[0]) / (3.0 * z**2 + x[1]), 0.5, 12),
    ),
    "fixed point": (
        lambda x: optimize.fixed_point(lambda z: 0.4 * np.cos(z * x), np.full(3, 0.3), xtol=1e-14),
        lambda x: iterated(lambda z: 0.4 * np.cos(z * x), np.full(3, 0.3)),
    ),
    "minimum": (
        lambda x: optimize.minimize(lambda z: np.sum(z**4 + np.cosh(z - x)), np.full(3, 0.4), method="trust-exact", tol=1e-13).x,
        lambda x: iterated(lambda z: z - (4.0 * z**3 + np.sinh(z - x)) / (12.0 * z**2 + np.cosh(z - x)), np.full(3, 0.4), 14),
    ),
    "integral": (
        lambda x: x * integrate.quad(lambda t: np.exp(-x[0] * t) * x[1], 0.0, x[2], epsabs=1e-13, epsrel=1e-13)[0],
        lambda x: x * (1.0 - np.exp(-x[0] * x[2])) / x[0] * x[1],
    ),
    "differential equation": (logistic, logistic_solved),
}  # fmt: skip
FUNCTIONS = {name: (f, f) for name, f in BOTH.items()} | PAIRS
LOOKS = "a derivative rule looks at a value"
LINEAR = "is not seen to be where a loop or a solver takes them"
REFUSED = {
    ("hessian by a jvp rule", "a branch"): LOOKS,
    ("hessian by a vjp rule", "a branch"): LOOKS,
    **{("hessian by a jvp rule", name): LINEAR for name in ("loop", "rules in regions", "differential equation")},
}
LOOSE = {"differential equation": 1e-6, "brentq": 1e-8, "minimum": 1e-8, "root": 1e-8}  # as exact as their solutions

# -- transforms: what adcore computes of f, and the same from f's derivatives ---------------------------


class Expected:
    """Derivatives of f at X: ``y``, ``j``, ``h``, ``k`` of the vector, ``p0`` to ``p3`` of its sum with weights ``w``."""

    def __init__(self, plain):
        self.y, self.j, self.h, self.k = jets.derivatives(plain, X)
        self.w = 1.0 + 0.3 * np.arange(len(self.y))
        self.p0, self.p1, self.p2, self.p3 = (np.tensordot(self.w, d, 1) for d in (self.y, self.j, self.h, self.k))


@functools.cache
def expected(name):
    return Expected(FUNCTIONS[name][1])


def weighted(f, e):
    return lambda x: np.sum(e.w * f(x))


def ruled(f, kind):
    """f with the derivative rule that adcore itself finds for it."""
    if kind == "jvp":
        rule = adcore.custom_jvp(lambda x: f(x))
        rule.defjvp(lambda p, t: adcore.jvp(f, p, t))
        return rule
    rule = adcore.custom_vjp(lambda x: f(x))
    rule.defvjp(lambda x: (f(x), x), lambda x, g: adcore.vjp(f, x)[1](g))
    return rule


def split(f):
    """Of a number, a vector and nothing, in a tree."""
    return lambda a, b: f(np.concatenate([np.reshape(a["one"], (1,)), b[0]]))


TREES = {"one": X[0]}, (X[1:], None)


def joined(tree):
    """A gradient of `split` as a vector."""
    a, b = tree
    return np.concatenate([np.reshape(a["one"], (1,)), b[0]])


def tree_hessian(phi):
    """The matrix of its blocks."""
    (a, b) = adcore.hessian(split(phi), argnums=(0, 1))(*TREES)
    (by_one, by_rest), (rest_by_one, rest_by_rest) = a["one"], b[0]
    return np.block(
        [[np.reshape(by_one["one"], (1, 1)), np.reshape(by_rest[0], (1, 2))], [np.reshape(rest_by_one["one"], (2, 1)), rest_by_rest[0]]]
    )


def mixed_by_trees(phi):
    """The derivative by the first tree of a product with the gradient by the second one."""
    g = split(phi)
    inner = lambda a, b: np.sum(adcore.grad(g, argnums=1)(a, b)[0] * V[1:])  # noqa: E731
    return adcore.grad(inner)(*TREES)["one"]


def in_place_shadows(phi):
    shadow = np.zeros(3)
    adcore.autodiff(phi, "reverse", adcore.Duplicated, ret=adcore.Active)(X, shadow)
    return shadow


d, jac = adcore.grad, adcore.jacobian
TRANSFORMS = {  # of f, phi = its weighted sum, and what is expected
    "grad": lambda f, phi, e: (d(phi)(X), e.p1),
    "compiled value and gradient": lambda f, phi, e: (adcore.compile(adcore.value_and_grad(phi))(X)[1], e.p1),
    "has_aux": lambda f, phi, e: (d(lambda x: (phi(x), f(x)), has_aux=True)(X), (e.p1, e.y)),
    "shadows": lambda f, phi, e: (in_place_shadows(phi), e.p1),
    "jacobian forward": lambda f, phi, e: (jac(f, mode="forward")(X), e.j),
    "jacobian reverse": lambda f, phi, e: (jac(f, mode="reverse")(X), e.j),
    "jacobian of compile": lambda f, phi, e: (jac(adcore.compile(f))(X), e.j),
    "sparse jacobian": lambda f, phi, e: (adcore.sparse_jacobian(f, X).toarray(), e.j),
    "jvp": lambda f, phi, e: (adcore.jvp(f, (X,), (V,)), (e.y, e.j @ V)),
    "jvp along several": lambda f, phi, e: (adcore.jvp(f, (X,), (PAIR,))[1], e.j @ PAIR),
    "vjp of several": lambda f, phi, e: (adcore.vjp(f, X)[1](np.stack([e.w, e.w**2], -1))[0], np.stack([e.p1, e.w**2 @ e.j], -1)),
    "stop_gradient": lambda f, phi, e: (d(lambda x: np.sum(adcore.stop_gradient(f(x)) * f(x)))(X), e.y @ e.j),
    "hessian": lambda f, phi, e: (adcore.hessian(phi)(X), e.p2),
    "hessian of compile": lambda f, phi, e: (adcore.hessian(adcore.compile(phi))(X), e.p2),
    "compile of hessian": lambda f, phi, e: (adcore.compile(adcore.hessian(phi))(X), e.p2),
    "sparse hessian": lambda f, phi, e: (adcore.sparse_hessian(phi, X).toarray(), e.p2),
    "hessian of checkpoint": lambda f, phi, e: (adcore.hessian(adcore.checkpoint(phi))(X), e.p2),
    "hessian by a jvp rule": lambda f, phi, e: (adcore.hessian(weighted(ruled(f, "jvp"), e))(X), e.p2),
    "hessian by a vjp rule": lambda f, phi, e: (adcore.hessian(weighted(ruled(f, "vjp"), e))(X), e.p2),
    "hessian of trees": lambda f, phi, e: (tree_hessian(phi), e.p2),
    "mixed by trees": lambda f, phi, e: (mixed_by_trees(phi), e.p2[0, 1:] @ V[1:]),
    "gradient of trees": lambda f, phi, e: (joined(d(split(phi), argnums=(0, 1))(*TREES)), e.p1),
    "jacobian of grad, forward": lambda f, phi, e: (jac(d(phi), mode="forward")(X), e.p2),
    "jacobian of grad, reverse": lambda f, phi, e: (jac(d(phi), mode="reverse")(X), e.p2),
    "jacobian of compile of grad": lambda f, phi, e: (jac(adcore.compile(d(phi)))(X), e.p2),
    "jacobian of jacobian": lambda f, phi, e: (jac(jac(f))(X), e.h),
    "grad of grad": lambda f, phi, e: (d(lambda x: d(phi)(x) @ V)(X), e.p2 @ V),
    "compile of grad of compile of grad": lambda f, phi, e: (adcore.compile(d(lambda x: adcore.compile(d(phi))(x) @ V))(X), e.p2 @ V),
    "hvp": lambda f, phi, e: (adcore.hvp(phi, X, V), e.p2 @ V),
    "compile of hvp": lambda f, phi, e: (adcore.compile(lambda x, v: adcore.hvp(phi, x, v))(X, PAIR), e.p2 @ PAIR),
    "jvp of vjp": lambda f, phi, e: (adcore.jvp(lambda x: adcore.vjp(f, x)[1](e.w)[0], (X,), (V,)), (e.p1, e.p2 @ V)),
    "vjp of jvp": lambda f, phi, e: (adcore.vjp(lambda x: adcore.jvp(f, (x,), (V,))[1], X)[1](e.w)[0], e.p2 @ V),
    "jvp of jvp": lambda f, phi, e: (adcore.jvp(lambda x: adcore.jvp(f, (x,), (V,))[1], (X,), (U,))[1], e.h @ V @ U),
    "vjp of vjp": lambda f, phi, e: (adcore.vjp(lambda x: adcore.vjp(f, x)[1](e.w)[0], X)[1](U)[0], e.p2 @ U),
    "vjp by the seed of a vjp": lambda f, phi, e: (adcore.vjp(lambda g: adcore.vjp(f, X)[1](g)[0], e.w)[1](U)[0], e.j @ U),
    "jvp by the tangent of a jvp": lambda f, phi, e: (adcore.jvp(lambda t: adcore.jvp(f, (X,), (t,))[1], (V,), (U,))[1], e.j @ U),
    "grad of the jacobian's square": lambda f, phi, e: (d(lambda x: np.sum(jac(f)(x) ** 2))(X), 2.0 * np.einsum("ij,ijk->k", e.j, e.h)),
    "an outer variable": lambda f, phi, e: (jac(lambda s: jac(lambda x: f(s * x))(X))(1.0), e.h @ X + e.j),
    "two levels of one variable": lambda f, phi, e: (
        d(lambda x: x @ d(lambda y: phi(y) * x[0])(x))(X), X[0] * (e.p1 + e.p2 @ X) + (X @ e.p1) * np.eye(3)[0]
    ),
    "a number inside": lambda f, phi, e: (d(d(lambda s: phi(X + s * V)))(0.0), V @ e.p2 @ V),
    "third: grad of grad of grad": lambda f, phi, e: (d(lambda x: d(lambda x: d(phi)(x) @ V)(x) @ U)(X), e.p3 @ V @ U),
    "third: jvp of hessian": lambda f, phi, e: (adcore.jvp(adcore.hessian(phi), (X,), (V,))[1], e.p3 @ V),
    "third: jacobian of hessian": lambda f, phi, e: (jac(adcore.hessian(phi))(X), e.p3),
    "third: jvp of jvp of jvp": lambda f, phi, e: (
        adcore.jvp(lambda x: adcore.jvp(lambda x: adcore.jvp(f, (x,), (V,))[1], (x,), (U,))[1], (X,), (T,))[1], e.k @ V @ U @ T
    ),
    "third: hessian of a gradient's norm": lambda f, phi, e: (
        adcore.hessian(lambda x: 0.5 * np.sum(d(phi)(x) ** 2))(X), e.p2 @ e.p2 + e.p3 @ e.p1
    ),
    "third: number": lambda f, phi, e: (d(d(d(lambda s: phi(X + s * V))))(0.0), e.p3 @ V @ V @ V),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_compositions(transform, name):
    e, f = expected(name), FUNCTIONS[name][0]
    if (transform, name) in REFUSED:
        with pytest.raises(errors.AdcoreError, match=REFUSED[transform, name]):
            TRANSFORMS[transform](f, weighted(f, e), e)
        return
    found, right = TRANSFORMS[transform](f, weighted(f, e), e)
    for a, b in zip(found, right, strict=True) if isinstance(right, tuple) else [(found, right)]:
        assert_allclose(a, b, rtol=LOOSE.get(name, 1e-10), atol=LOOSE.get(name, 1e-11) * (1.0 + np.max(np.abs(b))))


def test_the_series_are_right_where_they_are_known():
    """sum(x) ** 3 exp(x0), by hand."""
    y, j, h, k = jets.derivatives(lambda x: np.sum(x) ** 3 * np.exp(x[0]), X)
    s, e0 = np.sum(X), np.eye(3)[0]
    assert_allclose(y, s**3 * np.exp(X[0]))
    assert_allclose(j, np.exp(X[0]) * (3 * s**2 + s**3 * e0))
    assert_allclose(h, np.exp(X[0]) * (6 * s + 3 * s**2 * (e0[:, None] + e0) + s**3 * np.outer(e0, e0)))
    assert_allclose(k[1, 1, 2], 6 * np.exp(X[0]))
    assert_allclose(k[0, 1, 2], np.exp(X[0]) * (6 * s + 6))
