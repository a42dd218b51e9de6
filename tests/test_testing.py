"""check_grads and check_rule: they pass what is right to any order, over the whole op table, and find what is wrong."""

import numpy as np
import pytest
from adcore.testing import check_grads, check_rule

import adcore
from adcore import errors
from adcore.optable import N_ELEMENTWISE, NAMES, ROW
from adcore.tracer import array as traced
from bench.problems import lstm, problem

rng = np.random.default_rng(0)

ROWS = [ROW[name] for name in NAMES[:N_ELEMENTWISE] if not ROW[name].boolean and name != "DETACH"]
# piecewise constant or with kinks: their own derivatives are checked, the third ones of the others
SMOOTH = {"EXP", "EXPM1", "EXP2", "LOG", "LOG1P", "LOG2", "LOG10", "SIN", "COS", "TAN", "SINH", "COSH", "TANH", "ARCSIN", "ARCCOS",
          "ARCTAN", "ARCSINH", "ARCCOSH", "ARCTANH", "SQRT", "CBRT", "RECIPROCAL", "SQUARE", "NEG", "ADD", "SUB", "MUL", "DIV", "MULADD",
          "ARCTAN2", "HYPOT", "LOGADDEXP", "LOGADDEXP2", "ERF", "ERFC", "EXPIT", "POWER", "GAMMALN", "DIGAMMA", "TRIGAMMA", "POLYGAMMA",
          "SINC"}  # fmt: skip


def samples(row):
    """Three points well inside the domain of each argument; no denominator near zero."""
    rng = np.random.default_rng(len(row.name))
    args = []
    for k in range(len(row.args)):
        low, high = row.domain[k] if isinstance(row.domain[0], tuple) else row.domain
        low, high = max(low, -2.0), min(high, 2.5)
        args.append(rng.uniform(low + 0.15 * (high - low), high - 0.15 * (high - low), 3))
    if row.name.upper() == "DIV":
        args[1] = np.array([-1.5, 0.8, 2.0])
    if row.name.upper() == "CLIP":
        args = [np.array([-1.7, 0.3, 2.1]), np.full(3, -1.0), np.full(3, 1.0)]
    if row.name.upper() == "WHERE":
        args[0] = np.array([0.0, 1.0, 1.0])
    if row.name.upper() == "POLYGAMMA":
        args[0] = np.array([0.0, 2.0, 3.0])
    return args


def applied(row):
    """An op as a function of the arguments that have a derivative, and these."""
    args = samples(row)
    active = [k for k in range(len(args)) if k not in (row.missing or {}) and not (row.name.upper() == "WHERE" and k == 0)]

    def f(*xs):
        given = list(args)
        for k, x in zip(active, xs, strict=True):
            given[k] = x
        if row.name.upper() == "WHERE":
            return np.where(given[0] > 0, given[1], given[2])
        return traced.elementwise(row.name.lower(), *given)

    compiled = adcore.compile(f)  # which computes it on plain arrays, too

    def real(*xs):
        if any(np.iscomplexobj(x) for x in xs if isinstance(x, np.ndarray)):
            raise TypeError("an op of the table is real")
        return compiled(*xs)

    return real, [args[k] for k in active]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_op_in_every_mixture_of_modes_to_second_order(row):
    f, args = applied(row)
    if not args or row.name.upper() == "NEXTAFTER":
        pytest.skip("piecewise constant, or no derivative is written")
    check_grads(f, args, order=2, directions=1)


@pytest.mark.parametrize("row", [row for row in ROWS if row.name.upper() in SMOOTH], ids=lambda row: row.name)
def test_smooth_ops_to_third_order(row):
    f, args = applied(row)
    check_grads(f, args, order=3, directions=1)


PROBLEMS = {
    "gmm": "d2_K5",
    "ba": "4",
    "fft": "16",
    "ode": "5",
    "lstm": "l2_c4",
    "mlp": "5x4x3_b6",
    "gp": "6",
    "rosenbrock": "5",
    "logistic": "8x3",
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_problems_to_second_order(name):
    p = problem(name, PROBLEMS[name])
    args = list(p.args)
    if name == "gmm":
        args[3] = args[3][:20]
    if name == "lstm":
        args = list(lstm.generate(2, 4, 3))

    def f(*xs):
        given = list(args)
        for k, x in zip(p.argnums, xs, strict=True):
            given[k] = x
        return p.fun(*given)

    scale = abs(float(f(*[args[k] for k in p.argnums])))
    check_grads(lambda *xs: f(*xs) / scale, [args[k] for k in p.argnums], order=2, directions=1, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex64, np.complex128])
def test_tolerances_by_dtype(dtype):
    x = rng.normal(size=4).astype(dtype)
    f = lambda x: np.sum(np.abs(np.sin(x) * x + 2.0) ** 2) if np.dtype(dtype).kind == "c" else np.sum(np.sin(x) * x)  # noqa: E731
    check_grads(f, [x], order=2)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("modes", [("fwd",), ("rev",), ("fwd", "rev")])
def test_a_wrong_derivative_is_found(dtype, modes):
    wrong = adcore.custom_jvp(lambda x: x * x)
    wrong.defjvp(lambda primals, tangents: (primals[0] ** 2, 2.02 * primals[0] * tangents[0]))
    with pytest.raises(AssertionError, match="differs from"):
        check_grads(lambda x: np.sum(wrong(x)), [rng.uniform(1, 2, 4).astype(dtype)], modes=modes)


def test_a_wrong_second_derivative_is_found():
    half = adcore.custom_jvp(lambda x: x**3)
    half.defjvp(lambda primals, tangents: (primals[0] ** 3, 3 * primals[0] * adcore.stop_gradient(primals[0]) * tangents[0]))
    f = lambda x: np.sum(half(x))  # noqa: E731
    check_grads(f, [np.array([1.0, 2.0])])
    with pytest.raises(AssertionError, match="derivative of the"):
        check_grads(f, [np.array([1.0, 2.0])], order=2)


def test_misuse():
    with pytest.raises(errors.ArgumentError, match="order"):
        check_grads(np.sum, [np.ones(2)], order=0)
    with pytest.raises(errors.ArgumentError, match="modes"):
        check_grads(np.sum, [np.ones(2)], modes=("forward",))


class TestRules:
    x = np.array([0.5, 1.5])

    def test_right_ones_pass(self):
        square = adcore.custom_vjp(lambda x: x * x)
        square.defvjp(lambda x: (x * x, x), lambda x, g: (2 * x * g,))
        check_rule(square, [self.x], order=2)
        check_rule(adcore.primitive(np.flip, linear=True, transpose=np.flip), [self.x])
        check_rule(adcore.primitive(lambda x, y: x * y, numerical=True), [self.x, 2.0])

    def test_an_adjoint_that_is_not_linear(self):
        wrong = adcore.primitive(lambda x: x * x, vjp=lambda g, y, x: (2 * x * g**2,))
        with pytest.raises(AssertionError, match="reverse rule is not linear"):
            check_rule(wrong, [self.x])

    def test_a_tangent_that_is_not_linear(self):
        wrong = adcore.primitive(lambda x: x * x, jvp=lambda t, y, x: 2 * x * t[0] ** 2)
        with pytest.raises(AssertionError, match="forward rule is not linear"):
            check_rule(wrong, [self.x], modes=("fwd",))

    def test_a_transpose_that_is_none(self):
        wrong = adcore.primitive(lambda x: np.roll(x, 1), linear=True, transpose=lambda g: np.roll(g, 2))
        with pytest.raises(AssertionError, match="no transposes"):
            check_rule(wrong, [np.array([1.0, 2.0, 4.0, 8.0])])

    def test_a_rule_that_is_off_by_a_factor(self):
        wrong = adcore.primitive(lambda x: x * x, vjp=lambda g, y, x: (2.1 * x * g,))
        with pytest.raises(AssertionError, match="differs from central differences"):
            check_rule(wrong, [self.x])


def test_tangents_and_adjoints_are_transposes_of_each_other():
    """<g, J t> = <J' g, t> for every op, to rounding."""
    for row in ROWS:
        f, args = applied(row)
        if not args:
            continue
        t = [rng.normal(size=3) for _ in args]
        y, pullback = adcore.vjp(f, *args)
        g = rng.normal(size=np.shape(y))
        left = np.sum(g * adcore.jvp(f, args, t)[1])
        right = sum(np.sum(a * b) for a, b in zip(pullback(g), t, strict=True))
        assert abs(left - right) <= 1e-13 * (1.0 + np.sum(np.abs(g * adcore.jvp(f, args, t)[1]))), row.name


def test_trees_are_checked_by_their_floats():
    model = {"w": np.array([[0.3, -0.7]]), "z": [1.0 + 2.0j, None], "n": 3, "names": ("a", "b")}

    def f(p, x):
        return np.sum((p["w"] @ x) ** p["n"]) + abs(p["z"][0]) ** 2

    check_grads(f, (model, np.array([1.1, 0.4])), order=2)

    wrong = adcore.primitive(lambda x: x * x, vjp=lambda g, y, x: (2.1 * x * g,))
    with pytest.raises(AssertionError):
        check_grads(lambda p: np.sum(wrong(p["w"])), (model,), modes=("rev",))
