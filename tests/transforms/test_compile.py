"""compile: replays are what the function would have done, whatever changed between the calls."""

import dataclasses
import math
import threading
import types

import numpy as np
import pytest
import scipy.special
from numpy.linalg import norm
from scipy import special

import adcore
from adcore import errors

rng = np.random.default_rng(0)
x = rng.normal(size=6)

SCALE = 2.0
TABLE = {"a": 1.0}
WEIGHTS = np.ones(6)


def helper(x):
    return x * SCALE


def same(f, *calls, recordings=None):
    """The compiled function gives what the plain one gives, call by call."""
    compiled = adcore.compile(f)
    for args in calls:
        expected, found = f(*args), compiled(*args)
        assert isinstance(found, type(expected))
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-14)
    if recordings is not None:
        assert compiled.recordings == recordings
    return compiled


class TestReplays:
    def test_value(self):
        same(lambda x: np.tanh(x) * 2, (x,), (x + 1,), (x - 1,), recordings=1)

    def test_gradient(self):
        f = lambda x: np.sum(np.sin(x) ** 2) * x[0]  # noqa: E731
        same(adcore.grad(f), (x,), (x + 1,), recordings=1)

    def test_value_and_gradient_of_several_arguments(self):
        f = adcore.value_and_grad(lambda a, b: np.sum(a * b) + np.sum(a**3), (0, 1))
        g = adcore.compile(f)
        for shift in (0.0, 1.0):
            (value, (ga, gb)), (v, (a, b)) = f(x, x + shift), g(x, x + shift)
            assert v == pytest.approx(value, rel=1e-14)
            np.testing.assert_allclose(a, ga)
            np.testing.assert_allclose(b, gb)
        assert g.recordings == 1

    @pytest.mark.parametrize("transform", [adcore.jacobian, adcore.hessian, lambda f: lambda x: adcore.hvp(f, x, np.ones(6))])
    def test_other_transforms(self, transform):
        f = lambda x: np.sum(x**3) * x[1]  # noqa: E731
        same(transform(f), (x,), (2 * x,), recordings=1)

    def test_differentiates(self):
        f = adcore.compile(lambda x: np.sum(x**3))
        np.testing.assert_allclose(adcore.gradient(f, x), 3 * x**2)

    def test_floats(self):
        same(lambda a, b: a * math.sin(b), (1.0, 2.0), (3.0, 0.5), recordings=1)

    def test_trees(self):
        f = adcore.compile(adcore.grad(lambda p: np.sum(p["w"] ** 2) * p["b"][0]))
        for s in (1.0, 2.0):
            g = f({"w": s * x, "b": (s, None)})
            np.testing.assert_allclose(g["w"], 2 * s * s * x)
            assert g["b"][1] is None
        assert f.recordings == 1
        f({"w": x, "b": [1.0, None]})
        assert f.recordings == 2

    def test_keywords(self):
        f = adcore.compile(lambda x, k=1.0: k * x)
        np.testing.assert_allclose(f(x, k=2.0), 2 * x)
        np.testing.assert_allclose(f(x, k=3.0), 3 * x)
        np.testing.assert_allclose(f(x), x)
        assert f.recordings == 2

    def test_results_are_new_arrays(self):
        f = adcore.compile(lambda x: (x * 1.0, np.ones(2)))
        a, b = f(x)
        b[0] = 5.0
        a[:] = 0.0
        c, d = f(x)
        np.testing.assert_allclose(c, x)
        np.testing.assert_allclose(d, 1.0)

    def test_layouts(self):
        matrix = rng.normal(size=(4, 6))
        f = lambda a: a @ np.arange(1.0, 7.0)  # noqa: E731
        same(f, (matrix,), (np.asfortranarray(matrix),), (matrix[::-1],), (matrix.astype(">f8"),), recordings=1)

    def test_complex_arguments(self):
        z = rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4))
        f = lambda z: np.sum(np.abs(z @ np.exp(1j * z).T) ** 2)  # noqa: E731
        same(adcore.grad(f), (z,), (np.asfortranarray(2 * z),), (z[:, ::-1],), (z.astype(">c16"),), recordings=1)
        same(lambda z: z * z + 1, (1 + 2j,), (3 - 1j,), recordings=1)
        same(lambda z: z * z + 1, (np.complex128(1 + 2j),), (np.complex128(3 - 1j),), recordings=1)
        same(lambda p: p["z"] * p["of"][0], ({"z": z, "of": [1j]},), ({"z": 2 * z, "of": [2 + 1j]},), recordings=1)
        same(lambda z: np.abs(z) ** 2, (z,), (z.astype(np.complex64).astype(complex),), (z[0],), recordings=2)
        single = adcore.compile(np.conj)(z.astype(np.complex64))
        assert single.dtype == np.complex64

    def test_complex_tangents_of_real_arguments_are_refused(self):
        f = adcore.compile(lambda x, t: adcore.jvp(np.sin, (x,), (t,))[1])
        with pytest.raises(errors.ArgumentError, match="complex128; it must be real"):
            f(x, 1j * x)
        g = adcore.compile(lambda x, g: adcore.vjp(np.sin, x)[1](g))
        with pytest.raises(errors.ArgumentError, match="complex128; it must be real"):
            g(x, 1j * x)

    def test_complex_arguments_in_place(self):
        f = adcore.compile(lambda z, out: out.__setitem__(slice(1, 3), z[:2] * 2j))
        for s in (1.0, 2.0):
            out = np.zeros(5, complex)
            assert f(s * x, out) is None
            np.testing.assert_allclose(out, [0, 2j * s * x[0], 2j * s * x[1], 0, 0])
        assert f.recordings == 1

    def test_in_place(self):
        f = adcore.compile(lambda x, out: out.__setitem__(slice(1, 3), x[:2] * 2))
        for s in (1.0, 2.0):
            out = np.zeros(5)
            assert f(s * x, out) is None
            np.testing.assert_allclose(out, [0, 2 * s * x[0], 2 * s * x[1], 0, 0])
        assert f.recordings == 1

    def test_threads(self):
        f = adcore.compile(adcore.value_and_grad(lambda x: np.sum(np.exp(x) * x) if x[0] > 0 else np.sum(x)))
        wrong = []

        def work(seed):
            local = np.random.default_rng(seed)
            for _ in range(200):
                point = local.normal(size=6)
                _, g = f(point)
                expected = (np.exp(point) * (point + 1)) if point[0] > 0 else np.ones(6)
                if not np.allclose(g, expected):
                    wrong.append(point)

        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert not wrong


class TestGuards:
    """Whatever changes between two calls, the answer is that of the function as it is now."""

    def test_branch_on_an_array(self):
        same(lambda x: x * 2 if np.sum(x) > 0 else x * 3, (x,), (-x,), (x + 9,), (-x - 9,), recordings=2)

    def test_branch_inside_a_gradient(self):
        f = adcore.grad(lambda x: np.sum(x**2) if x[0] > 0 else np.sum(x**3))
        same(f, (np.abs(x),), (-np.abs(x),), (2 * np.abs(x),), recordings=2)

    def test_branch_inside_a_second_derivative(self):
        f = adcore.hessian(lambda x: np.sum(x**2) if x[0] > 0 else np.sum(x**3))
        same(f, (np.abs(x),), (-np.abs(x),), (2 * np.abs(x),), recordings=2)

    def test_branch_on_a_float(self):
        same(lambda a: a if a > 1 else a * a, (2.0,), (0.5,), (3.0,), recordings=2)

    def test_loop_until_converged(self):
        def root(a):
            t = 1.0
            while abs(t * t - a) > 1e-12:
                t = 0.5 * (t + a / t)
            return t

        same(root, (2.0,), (2.1,), (700.0,), (1e-3,))
        same(adcore.grad(root), (2.0,), (2.1,), (700.0,), (1e-3,))

    def test_index_found_from_values(self):
        same(lambda x: x[int(np.argmax(x))] * 2, (x,), (x[::-1].copy(),), (-x,))

    def test_mask(self):
        same(lambda x: np.sum(x[x > 0]), (x,), (-x,), (2 * x,))

    def test_sorting(self):
        same(lambda x: np.sort(x) * np.arange(6.0), (x,), (x[::-1].copy(),), (-x,))

    def test_python_number_from_a_value(self):
        same(lambda x: x * float(x[0]), (x,), (x + 1,), (x + 1,))

    def test_length_from_a_value(self):
        same(lambda x: np.ones(int(x[0])), (np.array([3.0]),), (np.array([4.0]),))

    def test_shape(self):
        same(lambda x: np.cumsum(x), (x,), (x[:3],), (x.reshape(2, 3),), (x,), recordings=3)

    def test_dtype(self):
        same(lambda x: x * 2, (x,), (x.astype(np.float32),), (x,), recordings=2)

    def test_static_arguments(self):
        same(lambda x, n, how: x**n if how == "power" else x, (x, 2, "power"), (x, 3, "power"), (x, 3, "none"), recordings=3)

    def test_integer_against_float(self):
        same(lambda x, n: x * n, (x, 2), (x, 2.0), (x, True), recordings=3)

    def test_index_arrays(self):
        same(lambda x, i: x[i] * 2, (x, np.array([0, 1])), (x, np.array([2, 1])), (x, np.array([0, 1])), recordings=2)

    def test_index_array_changed_in_place(self):
        index = np.array([0, 1])
        f = adcore.compile(lambda x: x[index] * 2)
        np.testing.assert_allclose(f(x), 2 * x[[0, 1]])
        index[0] = 3
        np.testing.assert_allclose(f(x), 2 * x[[3, 1]])

    def test_closure_number(self):
        scale = 2.0

        def f(x):
            return x * scale

        g = adcore.compile(f)
        np.testing.assert_allclose(g(x), 2 * x)
        scale = 3.0
        np.testing.assert_allclose(g(x), 3 * x)

    def test_closure_array_replaced_and_changed(self):
        w = np.ones(6)

        def f(x):
            return np.sum(x * w) * w.max()

        g = adcore.compile(adcore.grad(f))
        np.testing.assert_allclose(g(x), w)
        w = 2 * w
        np.testing.assert_allclose(g(x), w * 2)
        w[2] = 7.0
        np.testing.assert_allclose(g(x), 7 * w)
        w = np.ones((1, 6))
        np.testing.assert_allclose(g(x), np.ones(6))

    def test_closure_containers(self):
        state = {"k": [1.0, {"z": 2.0}]}

        def f(x):
            return x * state["k"][1]["z"]

        g = adcore.compile(f)
        np.testing.assert_allclose(g(x), 2 * x)
        state["k"][1]["z"] = 5.0
        np.testing.assert_allclose(g(x), 5 * x)
        state["k"].append({})
        np.testing.assert_allclose(g(x), 5 * x)

    def test_object_attributes(self):
        @dataclasses.dataclass
        class Model:
            w: np.ndarray
            power: int

            def __call__(self, x):
                return np.sum(x * self.w) ** self.power

        m = Model(np.ones(6), 1)
        g = adcore.compile(adcore.grad(m))
        np.testing.assert_allclose(g(x), m.w)
        m.power = 2
        np.testing.assert_allclose(g(x), 2 * np.sum(x))
        m.w[0] = 3.0
        np.testing.assert_allclose(g(x), 2 * np.sum(x * m.w) * m.w)

    def test_methods(self):
        class Model:
            def __init__(self):
                self.k = 2.0

            def f(self, x):
                return x * self.k

        m = Model()
        g = adcore.compile(m.f)
        np.testing.assert_allclose(g(x), 2 * x)
        m.k = 4.0
        np.testing.assert_allclose(g(x), 4 * x)

    def test_globals(self, monkeypatch):
        g = adcore.compile(lambda x: helper(x) * TABLE["a"] * WEIGHTS)
        np.testing.assert_allclose(g(x), 2 * x)
        monkeypatch.setitem(globals(), "SCALE", 5.0)
        np.testing.assert_allclose(g(x), 5 * x)
        monkeypatch.setitem(TABLE, "a", 3.0)
        np.testing.assert_allclose(g(x), 15 * x)
        monkeypatch.setitem(globals(), "WEIGHTS", np.arange(6.0))
        np.testing.assert_allclose(g(x), 15 * x * np.arange(6.0))
        monkeypatch.setitem(globals(), "helper", lambda x: x)
        np.testing.assert_allclose(g(x), 3 * x * np.arange(6.0))

    def test_modules_and_their_functions_are_no_change(self):
        for f in (
            lambda x: math.sin(x[0]),
            lambda x: special.logsumexp(x),
            lambda x: scipy.special.expit(x).sum(),
            lambda x: norm(x),
        ):
            g = adcore.compile(adcore.grad(f))
            np.testing.assert_allclose(g(x), adcore.grad(f)(x))
            assert not g.why_not

    def test_random_numbers_are_drawn_anew(self):
        generator = np.random.default_rng(0)
        for f in (lambda x: x + np.random.normal(), lambda x: x + generator.normal()):
            g = adcore.compile(f)
            draws = {float(g(x)[0]) for _ in range(4)}
            assert len(draws) == 4
            assert "random" in g.why_not

    def test_gives_up_on_what_always_differs(self):
        g = adcore.compile(lambda x: x * x[0].__float__())  # float() itself is recorded
        for k in range(40):
            np.testing.assert_allclose(g(x + k), (x + k) * (x[0] + k))
        assert g.recordings < 20
        assert "16" in g.why_not

    def test_errors_change_nothing(self):
        def f(x):
            if x[0] > 0:
                raise ValueError("positive")
            return x * 2

        g = adcore.compile(f)
        np.testing.assert_allclose(g(-np.abs(x)), -2 * np.abs(x))
        with pytest.raises(ValueError, match="positive"):
            g(np.abs(x))
        np.testing.assert_allclose(g(-np.abs(x)), -2 * np.abs(x))

    def test_nan_in_a_guard(self):
        same(lambda x: x * 2 if np.max(x) > 0 else x, (x,), (np.full(6, np.nan),), (x,))

    def test_closure_buffer_written(self):
        buffer = np.zeros(6)

        def f(x):
            buffer[:] = x * 2
            return buffer.sum()

        g = adcore.compile(f)
        assert g(x) == pytest.approx(2 * x.sum())
        np.testing.assert_allclose(buffer, 2 * x)
        assert g(x + 1) == pytest.approx(2 * (x + 1).sum())
        np.testing.assert_allclose(buffer, 2 * (x + 1))


def test_bad_input():
    with pytest.raises(adcore.errors.ArgumentError, match="function"):
        adcore.compile(3)


def test_a_function_that_changes_what_it_reads_runs_each_time():
    calls = []

    def f(x):
        calls.append(1)
        return np.sum(x) * len(calls)

    g = adcore.compile(adcore.grad(f))
    assert [g(np.ones(2))[0] for _ in range(3)] == [1.0, 2.0, 3.0]
    assert "changes what it reads" in g.why_not


@pytest.mark.parametrize(
    "calls",
    [
        [((2.0,), {}), ((), {"k": 3.0}), ((2.0,), {})],
        [((2,), {}), ((2.0,), {}), ((np.float64(2.0),), {}), ((np.float32(2.0),), {})],
        [(([2.0, 3.0],), {}), (((2.0, 3.0),), {}), ((np.array([2.0, 3.0]),), {})],
        [(("double",), {}), (("triple",), {}), ((b"double",), {}), ((None,), {})],
        [((True,), {}), ((1,), {}), ((0,), {}), ((0.0,), {})],
    ],
    ids=["keyword or position", "kinds of numbers", "kinds of sequences", "texts", "equal numbers"],
)
def test_ways_to_give_an_argument(calls):
    def f(x, k):
        if isinstance(k, (str, bytes)) or k is None:
            return np.sum(x**2) * {"double": 2.0, "triple": 3.0}.get(k, 5.0)
        if isinstance(k, (list, tuple)):
            return np.sum(x**2) * k[1] * (1.0 if isinstance(k, list) else 2.0)
        if isinstance(k, bool):
            return np.sum(x)
        return np.sum(x**2 * np.sum(k)) + math.copysign(1.0, np.sum(k)) * x[0]

    compiled = adcore.compile(adcore.grad(f))
    for args, kwargs in [*calls, *calls]:
        np.testing.assert_allclose(compiled(x, *args, **kwargs), adcore.grad(f)(x, *args, **kwargs), rtol=1e-14)


@pytest.mark.parametrize("switch", [{"optimise": False}, {"unchecked": True}, {"conjugate": True}, {"debug_nans": True}], ids=str)
def test_settings_between_two_calls(switch):
    f = lambda z: np.sum(np.abs(z) ** 2 * np.array([1.0, 2.0]))  # noqa: E731
    z = np.array([1.0 + 2.0j, 3.0 - 1.0j])
    compiled = adcore.compile(adcore.grad(f))
    for changes in ({}, switch, {}):
        with adcore.config(**changes):
            np.testing.assert_allclose(compiled(z), adcore.gradient(f, z), rtol=1e-14)


@pytest.mark.parametrize("change", ["__defaults__", "__kwdefaults__", "__code__"])
def test_what_a_function_is_made_of(change):
    def g(x, k=2.0, *, n=3.0):
        return k * n * x**2

    new = {"__defaults__": (4.0,), "__kwdefaults__": {"n": 5.0}, "__code__": (lambda x, k=2.0, *, n=3.0: k * n * x**3).__code__}
    compiled = adcore.compile(adcore.grad(lambda x: np.sum(g(x))))
    compiled(x)
    setattr(g, change, new[change])
    np.testing.assert_allclose(compiled(x), adcore.gradient(lambda x: np.sum(g(x)), x), rtol=1e-14)
    compiled(x)
    assert compiled.recordings == 2


class TestTables:
    """Arguments and surroundings that hold nothing to bind must be what they were, however deep."""

    @staticmethod
    def of_rows(x, rows):
        return sum(x[i] * x[j] ** k for i, j, k in rows)

    def test_the_same_rows_replay(self):
        rows = [(0, 1, 2), (2, 3, 1)]
        same(self.of_rows, (x, rows), (x + 1, list(rows)), (x + 2, [tuple(row) for row in rows]), recordings=1)

    def test_a_row_that_is_replaced_in_place_is_noticed(self):
        rows = [(0, 1, 2), (2, 3, 1)]
        g = same(self.of_rows, (x, rows), recordings=1)
        rows[1] = (4, 5, 3)
        np.testing.assert_allclose(g(x, rows), self.of_rows(x, rows), rtol=1e-13)
        rows.append((1, 1, 1))
        np.testing.assert_allclose(g(x, rows), self.of_rows(x, rows), rtol=1e-13)
        assert g.recordings == 3

    def test_an_inner_list_that_is_written_into_is_noticed(self):
        rows = [[0, 1, 2], [2, 3, 1]]
        g = same(self.of_rows, (x, rows), recordings=1)
        rows[0][2] = 3
        np.testing.assert_allclose(g(x, rows), self.of_rows(x, rows), rtol=1e-13)

    def test_a_list_of_a_closure_is_looked_into(self):
        nested = [[[[[[[2]]]]]]]
        f = lambda x: x[0] * nested[0][0][0][0][0][0][0]  # noqa: E731
        g = same(f, (x,), (x + 1,), recordings=1)
        nested[0][0][0][0][0][0][0] = 5
        assert g(x) == f(x)

    def test_types_of_equal_numbers_matter(self):
        f = lambda x, rows: x[0] * (2.0 if isinstance(rows[0], bool) else 3.0)  # noqa: E731
        same(f, (x, [1]), (x, [True]), (x, [1]), recordings=2)

    def test_signs_of_zeros_matter(self):
        f = lambda x, options: x[0] * math.copysign(1.0, options["sign"])  # noqa: E731
        zero = [0.0]
        g = same(lambda x: f(x, {"sign": zero[0]}), (x,), recordings=1)
        zero[0] = -0.0
        assert g(x) == -x[0]

    def test_floats_between_the_rows_are_bound(self):
        f = lambda x, rows: sum(c * x[k] for k, c in rows)  # noqa: E731
        same(f, (x, [(0, 0.5), (3, 1.5)]), (x, [(0, 2.5), (3, 3.5)]), recordings=1)

    def test_the_order_of_a_dict_matters(self):
        f = lambda x, d: x[0] * [*d.values()][0]  # noqa: E731, RUF015
        same(f, (x, {"a": 1.5, "b": 2.5}), (x, {"b": 2.5, "a": 1.5}), recordings=2)


def test_structured_arrays_and_attrs_classes_are_arguments():
    points = np.zeros(3, [("x", "f8"), ("n", "i8")])
    f = adcore.compile(lambda p, s: np.sum(p["x"]) * s * p["n"][0])
    for x, n, s in ((1.0, 2, 1.0), (2.0, 2, 3.0), (2.0, 5, 3.0)):
        points["x"], points["n"] = x, n
        assert f(points, s) == 3 * x * s * n
    assert f.recordings == 2
    with pytest.raises(ValueError, match="no field"):
        f(np.zeros(3, [("y", "f8"), ("n", "i8")]), 1.0)

    class Attrs(types.SimpleNamespace):
        __attrs_attrs__ = (types.SimpleNamespace(name="w"),)

    g = adcore.compile(lambda p: np.sum(p.w))
    assert [g(Attrs(w=np.full(2, k))) for k in (1.0, 2.0)] == [2.0, 4.0]
    assert g.recordings == 1


@dataclasses.dataclass
class Model:
    w: np.ndarray

    def total(self):
        return np.sum(self.w) * self.scale


class Table(dict):
    """A dict that holds something besides its parts."""


def model(mode):
    made = Model(np.ones(2))
    made.mode = mode
    return made


def table(mode):
    made = Table(w=np.ones(2))
    made.mode = mode
    return made


@pytest.mark.parametrize("make, f", [(model, lambda p: np.sum(p.w) * p.mode), (table, lambda p: np.sum(p["w"]) * p.mode)])
def test_what_a_container_holds_besides_its_parts_is_guarded(make, f):
    compiled, derivative = adcore.compile(f), adcore.autodiff(f, "reverse", adcore.Duplicated, ret=adcore.Active)
    for mode in (1.0, 2.0, 2.0, 3.0, 1.0):
        assert compiled(make(mode)) == derivative(make(mode), make(0.0)) == 2 * mode
    assert compiled.recordings == derivative.recordings == 3


def test_classes_of_containers_are_guarded(monkeypatch):
    calls = [adcore.compile(Model.total), adcore.compile(lambda p: p.total())]
    derivative = adcore.autodiff(lambda p: p.total(), "reverse", adcore.Duplicated, ret=adcore.Active)
    for scale in (2.0, 3.0):
        monkeypatch.setattr(Model, "scale", scale, raising=False)
        for _ in range(2):
            assert [f(Model(np.ones(2))) for f in calls] == [2 * scale] * 2
            assert derivative(Model(np.ones(2)), Model(np.zeros(2))) == 2 * scale
    monkeypatch.setattr(Model, "total", lambda self: np.sum(self.w))
    assert calls[1](Model(np.ones(2))) == derivative(Model(np.ones(2)), Model(np.zeros(2))) == 2.0
