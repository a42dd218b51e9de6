"""Sparse derivatives: the pattern is exact, the entries are those of the dense derivative, the directions few."""

import numpy as np
import pytest
import scipy.sparse
from adcore.transforms import products, recipes, recording
from adcore.transforms.directions import cheaper, operations, swept_of, width_for
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import adcore
from adcore import errors, trees
from adcore.passes import colouring

rng = np.random.default_rng(0)
INDEX = rng.integers(0, 8, 20)


def loop(x):
    y = np.zeros(len(x))
    for i in range(1, len(x)):
        y[i] = x[i] * x[i - 1]
    return y


def arrow(x):
    return np.concatenate([np.sum(x**2)[None], x[1:] * x[0]])


# function, shape of x, dense pattern as it must come out (None: that of the dense Jacobian at a random point)
JACOBIANS = {
    "elementwise": (lambda x: np.sin(x) * x, (8,), None),
    "difference": (np.diff, (9,), None),
    "gather": (lambda x: x[INDEX] ** 2 * x[INDEX[::-1]], (8,), None),
    "scatter": (lambda x: scattered(x), (20,), None),
    "put": (lambda x: put(x), (8,), None),
    "rows gathered": (lambda x: x[INDEX % 4][:, 1:] ** 2 * x[INDEX[::-1] % 4][:, :-1], (4, 3), None),
    "rows scattered": (lambda x: scattered(x), (20, 3), None),
    "rows put": (lambda x: put(x), (8, 2), None),
    "reduction": (lambda x: np.sum(x**2, axis=1), (4, 5), None),
    "maximum": (lambda x: np.max(x, axis=0), (3, 4), np.tile(np.eye(4), 3)),
    "matmul on the left": (lambda x: np.arange(1.0, 7.0).reshape(2, 3) @ x, (3, 4), None),
    "matmul of both": (lambda x: x @ x.T, (3, 2), None),
    "batched matmul": (lambda x: x @ np.ones((3, 2, 4)), (3, 5, 2), None),
    "cumsum": (lambda x: np.cumsum(x**2, axis=0), (4, 3), None),
    "loop over elements": (loop, (7,), None),
    "packed": (lambda x: np.array([x[0] * x[1], 3.0, x[4]]), (5,), None),
    "where": (lambda x: np.where(x > 0, x, 0.0), (5,), np.eye(5)),
    "both sides of where": (lambda x: np.where(x > 0, x, x[::-1]), (4,), np.eye(4) + np.eye(4)[::-1]),
    "rounding": (lambda x: np.floor(x) + 0 * 1.0, (4,), np.zeros((4, 4))),
    "constant": (lambda x: np.ones(3), (4,), np.zeros((3, 4))),
    "a dense row": (arrow, (9,), None),
    "a dense column": (lambda x: x * x[0], (9,), None),
    "dense": (lambda x: np.linalg.solve(np.eye(4) * 3 + 1, x), (4,), None),
    "a tree": (lambda x: {"a": x[:2] ** 2, "b": (np.sum(x), x[::-1])}, (4,), np.vstack([np.eye(2, 4), np.ones(4), np.eye(4)[::-1]])),
    "nothing": (lambda x: x[:0], (4,), np.zeros((0, 4))),
    "a scalar": (lambda x: x[1] * x[2], (4,), np.array([[0, 1, 1, 0]])),
    "overwritten": (lambda x: overwritten(x), (5,), None),
}


def scattered(x):
    out = np.zeros((8, *x.shape[1:]))
    np.add.at(out, INDEX, x**2)
    return out


def put(x):
    out = x * 2
    out[[1, 3]] = x[[0, 1]] ** 2
    return out


def overwritten(x):
    y = x * x[0]
    y[:] = x
    return y**2


def flat(tree):
    return np.concatenate([np.ravel(leaf) for _, leaf in trees.leaves(tree)]) if trees.is_branch(tree) else tree


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
@pytest.mark.parametrize("name", JACOBIANS)
def test_jacobians(name, mode):
    f, shape, pattern = JACOBIANS[name]
    x = rng.normal(size=shape)
    got = adcore.SparseJacobian(f, mode=mode)(x)
    if name != "a tree":
        dense = adcore.jacobian(f, mode="forward")(x)
        dense = dense.reshape(-1, x.size)
        assert_allclose(got.toarray(), dense, atol=1e-14)
        pattern = dense != 0 if pattern is None else pattern
    assert_array_equal(stored(got), np.asarray(pattern) != 0)


def stored(matrix):
    """Where entries are stored, zero or not."""
    matrix = matrix.tocsr(copy=True)
    matrix.data = np.ones_like(matrix.data)
    return matrix.toarray() != 0


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def laplace(u):
    return np.sum((u[1:] - u[:-1]) ** 2) + np.sum((u[:, 1:] - u[:, :-1]) ** 2) + np.sum(u**4)


def scalar_loop(x):
    total = 0.0
    for i in range(1, len(x)):
        total += x[i] * x[i - 1] ** 2
    return total


HESSIANS = {
    "Rosenbrock": (rosenbrock, (12,)),
    "Laplace": (laplace, (4, 5)),
    "a loop of scalars": (scalar_loop, (7,)),
    "arrow": (lambda x: np.sum(x**3) + x[0] * np.sum(x**2), (30,)),
    "separable": (lambda x: np.sum(np.exp(x)), (6,)),
    "linear": (np.sum, (5,)),
    "dense": (lambda x: np.sum(x) ** 2, (5,)),
    "gathered": (lambda x: np.sum(x[INDEX] * x[INDEX[::-1]] ** 2), (8,)),
    "through a solve": (lambda x: np.sum(np.linalg.solve(np.eye(3) + np.outer(x, x), x)), (3,)),
}


@pytest.mark.parametrize("name", HESSIANS)
def test_hessians(name):
    f, shape = HESSIANS[name]
    x = rng.normal(size=shape)
    got, want = adcore.sparse_hessian(f, x), adcore.hessian(f)(x).reshape(x.size, x.size)
    assert_allclose(got.toarray(), want, atol=1e-10)
    if name not in ("through a solve", "gathered"):
        assert_array_equal(stored(got), want != 0)


def test_the_diagonal_of_a_product_of_many_parts_is_not_confused_with_its_neighbours():
    """A Hessian whose graph has every path of four vertices: a colouring of distance one alone would mix entries."""
    x = rng.normal(size=40)
    edges = rng.integers(0, 40, (60, 2))

    def f(x):
        return np.sum(np.exp(0.1 * x[edges[:, 0]] * x[edges[:, 1]]))

    assert_allclose(adcore.sparse_hessian(f, x).toarray(), adcore.hessian(f)(x), atol=1e-12)


def test_arguments_of_several_leaves_stand_side_by_side():
    def f(p, w):
        return p["a"][:2] * w, np.sum(p["b"])

    p, w = {"a": rng.normal(size=3), "b": rng.normal(size=(2, 2))}, rng.normal(size=2)
    got = adcore.sparse_jacobian(f, p, w, argnums=(0, 1)).toarray()
    want = np.zeros((3, 9))
    want[:2, :2], want[2, 3:7], want[:2, 7:] = np.diag(w), 1.0, np.diag(p["a"][:2])
    assert_array_equal(got, want)


@pytest.mark.parametrize("format", ["csr", "csc", "coo"])
def test_formats(format):
    got = adcore.sparse_jacobian(np.diff, np.arange(4.0), format=format)
    assert isinstance(got, scipy.sparse.sparray)
    assert got.format == format
    assert_array_equal(got.toarray(), np.eye(3, 4, 1) - np.eye(3, 4))


def test_a_plan_records_once_and_again_when_a_branch_goes_the_other_way():
    plan = adcore.SparseJacobian(lambda x: x**2 if x[0] > 0 else x * x[::-1])
    for first, entries in ((1.0, 3), (2.0, 3), (-1.0, 5), (-3.0, 5), (4.0, 3)):
        x = np.array([first, 2.0, 3.0])
        got = plan(x)
        assert got.nnz == entries
        assert_allclose(got.toarray(), adcore.jacobian(plan.f)(x))
    assert plan.recordings == 2


def test_results_of_a_plan_do_not_share_memory():
    plan = adcore.SparseHessian(rosenbrock)
    a = plan(np.ones(5))
    want = a.toarray()
    a.data[:] = 7.0
    a.indices[:] = 0
    assert_array_equal(plan(np.ones(5)).toarray(), want)


def test_float32_stays_float32():
    assert adcore.sparse_jacobian(np.diff, np.ones(4, np.float32)).dtype == np.float32


OBSERVED = rng.integers(0, 3, 40), rng.integers(0, 9, 40)


def residuals(cameras, points, weights):
    """Observations of points by cameras, some seen twice; a camera's first parameter is read in two ways."""
    r = weights[:, None] * (cameras[OBSERVED[0]][:, :2] * points[OBSERVED[1]] ** 2 + cameras[OBSERVED[0], 0][:, None])
    return r, 1.0 - weights**2


@pytest.mark.parametrize("mode", ["auto", "reverse"])
def test_gathered_parameters_are_columns_of_their_own(mode):
    args = rng.normal(size=(3, 4)), rng.normal(size=(9, 2)), rng.normal(size=40)
    plan = adcore.SparseJacobian(residuals, argnums=(0, 1, 2), mode=mode)
    recipe = plan.recipe(*args)
    assert recipe.n_forward + recipe.n_backward <= 4
    assert (recipe.cut is not None) or mode == "auto"
    want = []
    for k in range(3):
        parts = [adcore.jacobian(lambda *a, leaf=leaf: residuals(*a)[leaf], k, mode="forward")(*args) for leaf in range(2)]
        want.append(np.concatenate([p.reshape(-1, args[k].size) for p in parts]))
    for _ in range(2):
        got = plan(*args)
        assert got.has_canonical_format
        assert_allclose(got.toarray(), np.concatenate(want, axis=1), atol=1e-14)
    with adcore.config(optimise=False):
        assert_allclose(adcore.sparse_jacobian(residuals, *args, argnums=(0, 1, 2)).toarray(), got.toarray(), atol=1e-14)


def banded(x):
    return x[1:-1] * x[2:] + np.sin(x[:-2])


class TestNearlyEmptyDenseMatrices:
    x = rng.normal(size=90)

    def test_jacobian(self):
        assert_array_equal(adcore.jacobian(banded)(self.x), adcore.jacobian(banded, mode="forward")(self.x))

    def test_jacobian_of_an_array(self):
        f = lambda a: np.diff(a, axis=0) * a[1:]  # noqa: E731
        a = self.x.reshape(10, 9)
        assert_allclose(adcore.jacobian(f)(a), adcore.jacobian(f, mode="reverse")(a), atol=1e-15)

    def test_hessian_is_symmetric_to_the_last_bit(self):
        h = adcore.hessian(rosenbrock)(self.x)
        assert_array_equal(h, h.T)
        assert_allclose(h, adcore.jacobian(adcore.grad(rosenbrock), mode="forward")(self.x), rtol=1e-13)
        sparse = adcore.sparse_hessian(HESSIANS["gathered"][0], self.x[:8]).toarray()
        assert_array_equal(sparse, sparse.T)

    def test_takes_few_directions(self):
        recorded = recording.Recording(banded, (self.x,), {}, (0,))
        assert products.Outputs(banded, recorded).shapes
        found = recipes.sparse_enough(recorded, "auto", 88, 90, 90)
        assert found.n_forward == 3

    def test_what_is_not_empty_is_swept(self):
        f = lambda x: np.sum(x) * x  # noqa: E731
        assert_allclose(adcore.jacobian(f)(self.x), np.sum(self.x) * np.eye(90) + self.x[:, None], atol=1e-13)

    def test_derivatives_of_it(self):
        w = rng.normal(size=(90, 90))
        f = lambda x: np.sum(w * adcore.hessian(lambda z: np.sum(z[1:] ** 3 * z[:-1]))(x))  # noqa: E731
        adcore.testing.check_grads(f, [self.x], order=2)
        assert_allclose(adcore.compile(adcore.grad(f))(self.x), adcore.gradient(f, self.x), rtol=1e-13)

    def test_branches_go_their_own_ways(self):
        g = adcore.compile(adcore.jacobian(lambda x: x[1:] * x[:-1] if x[0] > 0 else np.cumsum(x)))
        for x in (np.abs(self.x), -np.abs(self.x), 2 * np.abs(self.x)):
            want = np.cumsum if x[0] < 0 else lambda x: x[1:] * x[:-1]
            assert_allclose(g(x), adcore.jacobian(want, mode="forward")(x))


def test_the_mode_is_chosen_by_what_a_sweep_costs_where_the_numbers_are_alike():
    a = rng.normal(size=(48, 50))
    recorded = recording.Recording(lambda x: np.tanh(a @ x), (np.ones(50),), {}, (0,))
    assert products.Outputs(np.tanh, recorded).shapes
    swept = swept_of(recorded)
    assert cheaper(swept, 10, 1000) == "forward"
    assert cheaper(swept, 1000, 10) == "reverse"
    forward, reverse = (operations(swept, mode) for mode in ("push forward", "pull back"))
    assert cheaper(swept, 50, 50) == ("forward" if forward <= reverse else "reverse")


def test_the_width_of_sweeps_keeps_to_the_memory_of_the_setting():
    def f(x):
        y = np.outer(x, x)
        for _ in range(20):
            y = np.sin(y) @ np.cos(y)
        return y[0]

    recorded = recording.Recording(f, (np.ones(100),), {}, (0,))
    assert products.Outputs(f, recorded).shapes
    assert width_for(swept_of(recorded), "pull back", 100) == 64
    with adcore.config(memory="20MB"):
        assert 1 <= width_for(swept_of(recorded), "pull back", 100) < 16
    whole = adcore.jacobian(f, mode="reverse")(np.full(100, 0.01))
    with adcore.config(memory="5MB"):
        assert_allclose(adcore.jacobian(f, mode="reverse")(np.full(100, 0.01)), whole, rtol=1e-12)


def directions(f, x, mode="auto", g=None):
    recorded = recording.Recording(g or f, (x,), {}, (0,))
    outputs = products.Outputs(f, recorded)
    assert outputs.shapes
    return recipes.recipe_for(recorded, mode)


def test_few_directions_are_enough():
    assert directions(np.diff, np.ones(1000)).n_forward == 2
    both = directions(arrow, np.ones(1000))  # its dense row, or its dense column, goes the other way
    assert both.n_forward + both.n_backward <= 3
    assert directions(rosenbrock, np.ones(1000), "hessian", adcore.grad(rosenbrock)).n_forward == 3
    hub = adcore.grad(HESSIANS["arrow"][0])
    assert directions(hub, np.ones(1000), "hessian").n_forward == 2


def test_a_hundred_thousand_variables_take_linear_memory():
    import tracemalloc

    tracemalloc.start()
    hessian = adcore.sparse_hessian(rosenbrock, np.linspace(-1, 1, 100_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert hessian.nnz == 299_998
    assert peak < 400 * 100_000  # bytes a variable; a dense Hessian would take 800,000


@given(st.lists(st.lists(st.integers(0, 11), max_size=5), min_size=1, max_size=12))
def test_columns_of_one_colour_never_meet_in_a_row(rows):
    rows = [sorted(set(row)) for row in rows]
    indptr = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    indices = np.array([j for row in rows for j in row], dtype=np.int32)
    colours, count = colouring.columns(indptr, indices, 12, np.zeros(len(rows), np.uint8))
    assert colours.max() + 1 == count
    for row in rows:
        assert len({colours[j] for j in row}) == len(row)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=25), st.sets(st.integers(0, 9), max_size=2))
def test_star_colourings_recover_every_entry(edges, alone):
    h = np.zeros((10, 10))
    for k, (i, j) in enumerate(edges):
        h[i, j] = h[j, i] = k + 1.0
    pattern = scipy.sparse.csr_array(h)
    pattern.sort_indices()
    hub = np.isin(np.arange(10), list(alone)).astype(np.uint8)
    indptr, indices = pattern.indptr.astype(np.int64), pattern.indices.astype(np.int32)
    colours, count = colouring.star(indptr, indices, hub)
    compressed = h @ np.eye(count)[colours]
    row, column = colouring.recovery(indptr, indices, colours, count)
    assert_array_equal(compressed[row, column], pattern.data)


def test_misuse_is_refused():
    with pytest.raises(errors.ArgumentError, match="format='dok'"):
        adcore.sparse_jacobian(np.diff, np.ones(3), format="dok")
    with pytest.raises(errors.ArgumentError, match="mode='both'"):
        adcore.SparseJacobian(np.diff, mode="both")
    with pytest.raises(errors.ArgumentError, match="astype"):
        adcore.sparse_jacobian(np.diff, np.arange(3))
    with pytest.raises(errors.ArgumentError, match="cannot itself be differentiated"):
        adcore.gradient(lambda x: adcore.sparse_jacobian(np.diff, x).sum(), np.ones(3))


@pytest.mark.parametrize("seed", range(12))
def test_patterns_of_random_elementwise_programs(seed):
    """Blocks of 20 elements are united late, small ones at once; more than 64 of them in between."""
    random = np.random.default_rng(seed)
    steps = random.integers(0, 7, 40)
    picks = random.integers(0, 1 << 30, (40, 2))

    def f(x):
        found = [x[k : k + 20] for k in range(5)] + [x[:20] * x[7]]
        for step, (a, b) in zip(steps, picks, strict=True):
            p, q = found[a % len(found)], found[b % len(found)]
            if step == 0:
                y = p * q
            elif step == 1:
                y = np.where(p > 0.0, p + q, q)
            elif step == 2:
                y = np.concatenate([p[3:], np.sin(q[:3])])
            elif step == 3:
                y = p * x[int(b) % 24]
            elif step == 4:
                y = np.tanh(p) + 1.0
            elif step == 5:
                y = p[::-1] - q
            else:
                y = np.zeros(20)
                y[::2] = p[:10]
                y[5:] = y[5:] + q[5:]
            found.append(y)
        return np.concatenate([found[-1], found[-7], found[-3][:4] * found[-2][0]])

    x = random.uniform(0.5, 1.0, 24)
    dense, sparse = adcore.jacobian(f)(x), adcore.sparse_jacobian(f, x)
    assert_allclose(sparse.toarray(), dense, rtol=1e-12, atol=1e-14)
    pattern = adcore.jacobian(f, mode="forward")(x + 1e-3 * random.normal(size=24)) != 0
    stored = sparse.copy()
    stored.data[:] = 1.0
    assert not np.any(pattern & (stored.toarray() == 0))


def test_a_sum_of_more_arrays_than_are_united_at_once():
    n, m = 40, 90
    f = lambda x: sum(np.sin(x[k : k + n] * (k + 1.0)) for k in range(m)) * x[:n]  # noqa: E731
    x = np.linspace(0.1, 1.0, n + m)
    found = adcore.sparse_jacobian(f, x)
    assert_allclose(found.toarray(), adcore.jacobian(f, mode="reverse")(x), rtol=1e-12)
    assert found.nnz == n * m


def test_elements_that_an_observation_names_twice_are_added_up():
    first, second = np.array([0, 1, 1, 2]), np.array([1, 1, 0, 2])
    f = lambda p: p[first] * p[second]  # noqa: E731
    x = np.array([2.0, 3.0, 5.0])
    found = adcore.SparseJacobian(f, mode="reverse")(x)
    assert found.nnz == 6 and found.has_canonical_format
    assert_allclose(found.toarray(), [[3, 2, 0], [0, 6, 0], [3, 2, 0], [0, 0, 10]])
