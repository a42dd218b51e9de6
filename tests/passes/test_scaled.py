"""Numbers among the factors of products and sums: they are moved to where they cost least."""

import numpy as np
import pytest
from adcore.passes.optimise import optimise

import adcore
from tests.reference import interpret

R = np.random.default_rng(0)
X, Y, ROW = R.normal(size=(6, 8)), R.normal(size=(6, 8)), R.normal(size=8)
# a function, and how many operations on whole arrays its value takes
PRODUCTS = {
    "a half of a square": (lambda x, y, r, s: -0.5 * x * x, 2),
    "the same, the other way round": (lambda x, y, r, s: x * (x * -0.5), 2),
    "a number times a number times x": (lambda x, y, r, s: 3.0 * (2.0 * x), 1),
    "numbers that cancel": (lambda x, y, r, s: (2.0 * x) * (0.5 * y), 1),
    "numbers that cancel but for the sign": (lambda x, y, r, s: (2.0 * x) * (y * -0.5), 2),
    "numbers that round stay": (lambda x, y, r, s: 0.3 * (0.7 * x), 2),
    "a number times a stretched row": (lambda x, y, r, s: 2.0 * (r * x), 1),
    "a stretched row times x, times a number": (lambda x, y, r, s: (x * r) * 0.5, 1),
    "a scalar times a stretched row rounds": (lambda x, y, r, s: s * (r * x), 2),
    "a stretched row times x, times twice y": (lambda x, y, r, s: (x * r) * (2.0 * y), 2),
}
SUMS = {
    "of what is negative": (lambda x, y, r, s: np.sum(-np.cos(x), axis=0), 1),
    "of multiples": (lambda x, y, r, s: np.sum(2.0 * np.cos(x), axis=1), 1),
    "of everything": (lambda x, y, r, s: np.sum(np.cos(x) * 0.5), 1),
}


def operations(f):
    """What the optimised program computes for whole arrays, and its result."""
    trace = adcore.trace(f, X, Y, ROW, 1.7)
    program = optimise(trace.program)
    shapes = [program.instruction(k) for k in range(len(program))]
    return sum(i["shape"] == X.shape and i["op"] not in ("INPUT", "VIEW", "FULL") for i in shapes), program


@pytest.mark.parametrize("name", [*PRODUCTS, *SUMS])
def test_values_stay_and_operations_go(name):
    f, most = (PRODUCTS | SUMS)[name]
    count, _ = operations(f)
    assert count <= most
    for seed in (X, 1e100 * X, 1e-100 * X):
        np.testing.assert_allclose(adcore.vjp(f, seed, Y, ROW, 1.7)[0], f(seed, Y, ROW, 1.7), rtol=1e-14, atol=0.0)
    adcore.testing.check_grads(f, (X, Y, ROW, 1.7), order=2)


def test_powers_of_two_round_nothing():
    for name, (f, _) in PRODUCTS.items():
        if "round" not in name:
            np.testing.assert_array_equal(adcore.vjp(f, X, Y, ROW, 1.7)[0], f(X, Y, ROW, 1.7), err_msg=name)


def test_values_do_not_depend_on_what_is_computed_with_them():
    """A sum of multiples was rounded otherwise in the whole program than when f asked for its value: a replay did not reproduce it."""

    def f(x):
        y = -0.9 * (0.6 * x)
        y *= 0.9
        total = np.sum(y) / 2.0
        return (np.sum(y) * total if int(abs(total) * 2) else np.sum(y * y)) + np.sum(ROW * (0.3 * (ROW * y)))

    compiled = adcore.compile(adcore.value_and_grad(f))
    for x in (X, 0.01 * X, R.normal(size=(30, 8))):
        assert compiled(x)[0] == adcore.value_and_grad(f)(x)[0]


def test_a_sum_that_leaves_places_out_stays_zero_there():
    """An infinite number times a sum that nothing was added to would be NaN."""
    from adcore.tape.program import Program

    p = Program()
    x, s = p.emit("INPUT", shape=(40, 3), param=0), p.emit("INPUT", param=1)
    p.set_results([p.emit("SUM", p.emit("MUL", s, x, shape=(40, 3)), shape=(6,), ints=[0, 0, 2])])
    with np.errstate(invalid="ignore"):
        assert interpret(optimise(p), [np.ones((40, 3)), np.inf])[0].tolist() == [np.inf, 0.0] * 3


def test_the_gradient_of_a_kernel_density():
    """What a squared distance is divided by goes to the rows: two products for each pair of points remain."""
    f = lambda x, y: np.sum(np.log(np.mean(np.exp(-0.5 * (x[:, None] - y) ** 2 / 0.3**2), axis=1)))  # noqa: E731
    program = adcore.trace(f, X[0], Y[:, 0])._derived("gradient")
    kinds = [program.instruction(k) for k in range(len(program))]
    assert sum(i["shape"] == (8, 6) and i["op"] not in ("VIEW", "FULL") for i in kinds) <= 7
    adcore.testing.check_grads(f, (X[0], Y[:, 0]), order=2)
