"""compile: a table of everything that may change between two calls, each with the gradient that the function has then."""

import collections
import functools
import itertools
import math
import os
import random
import sys
import time

import numpy as np
import pytest

import adcore
from tests.transforms import guarded
from tests.transforms.guarded import Derived, Kind, WithMeta, by_constant, through

X = np.array([0.7, -1.2, 0.4])

number = 2.0
numbers = {"k": 2.0, "of": [1.0, {"z": 2.0}]}
array = np.ones(3)
matrix = np.asfortranarray(np.arange(9.0).reshape(3, 3))
functions = {"f": lambda x: x * 2, "reads": lambda x: x * guarded.OBJECT.own}
thing = Kind()
things = [Kind()]
slots = guarded.Slots()
slots.v = 2.0
chain = [Kind() for _ in range(9)]
for a, b in itertools.pairwise(chain):
    a.next = b
ring = {"k": 2.0}
ring["self"] = ring
queue = collections.deque([2.0])
boxes = np.array([[2.0], None], dtype=object)
Pair = collections.namedtuple("Pair", "held other")
pair = Pair([2.0], 1)
halves = functools.partial(lambda x, held: np.sum(x**2 * held[0]), held=[2.0])


def helper(x, k=2.0, *, n=1.0):
    return x * k * n


helper.note = 2.0


def indirect(x):
    return helper(x)


def closing(cell):
    def inner(x):
        return x * cell[0]

    return inner


cells = [2.0]
closures = {"f": closing(cells)}


def importing(x):
    from tests.transforms import guarded as other

    return np.sum(x**2 * other.CONSTANT)


def importing_a_name(x):
    from tests.transforms.guarded import CONSTANT

    return np.sum(x**2 * CONSTANT)


class Local:
    def __init__(self, k):
        self.k = k

    def __eq__(self, other):
        return isinstance(other, Local) and self.k == other.k

    __hash__ = None


# name: (the function, where something changes, its name there, what it becomes)
TABLE = {
    "a global": (lambda x: np.sum(x**2 * number), globals(), "number", 3.0),
    "a global dict": (lambda x: np.sum(x**2 * numbers["k"]), numbers, "k", 3.0),
    "a list in a global dict": (lambda x: np.sum(x**2 * numbers["of"][0]), numbers["of"], 0, 3.0),
    "a dict in a list in a dict": (lambda x: np.sum(x**2 * numbers["of"][1]["z"]), numbers["of"][1], "z", 3.0),
    "a global array": (lambda x: np.sum(x**2 * array), array, 1, 3.0),
    "another global array": (lambda x: np.sum(x**2 * array), globals(), "array", np.arange(3.0)),
    "its shape": (lambda x: np.sum(x**2 * array), globals(), "array", np.full((2, 1), 3.0)),
    "its dtype": (lambda x: np.sum(x**2 * array), globals(), "array", np.arange(3)),
    "an array in columns": (lambda x: np.sum(x**2 * functions["f"](matrix)), matrix, (1, 1), 9.0),
    "an object array": (lambda x: np.sum(x**2 * boxes[0][0]), boxes[0], 0, 3.0),
    "a deque": (lambda x: np.sum(x**2 * queue[0]), queue, 0, 3.0),
    "a named tuple": (lambda x: np.sum(x**2 * pair.held[0]), pair.held, 0, 3.0),
    "a ring": (lambda x: np.sum(x**2 * ring["self"]["self"]["k"]), ring, "k", 3.0),
    "a partial": (halves, halves.keywords["held"], 0, 3.0),
    "a function": (lambda x: np.sum(x * helper(x)), globals(), "helper", lambda x: x * 5),
    "a function that a function calls": (lambda x: np.sum(x * indirect(x)), globals(), "helper", lambda x: x * 5),
    "defaults": (lambda x: np.sum(x * indirect(x)), helper, "__defaults__", (3.0,)),
    "keyword defaults": (lambda x: np.sum(x * indirect(x)), helper, "__kwdefaults__", {"n": 3.0}),
    "code": (lambda x: np.sum(x * indirect(x)), helper, "__code__", (lambda x, k=2.0, *, n=1.0: x * x * k).__code__),
    "an attribute of a function": (lambda x: np.sum(x**2 * helper.note), helper, "note", 3.0),
    "a function in a dict": (lambda x: np.sum(x * functions["f"](x)), functions, "f", lambda x: x * 5),
    "what a function in a dict reads": (lambda x: np.sum(x * functions["reads"](x)), guarded.OBJECT, "own", 3.0),
    "what a function in a dict closes over": (lambda x: np.sum(x * closures["f"](x)), cells, 0, 3.0),
    "a constant of a module": (lambda x: np.sum(x**2 * guarded.CONSTANT), guarded, "CONSTANT", 3.0),
    "an array of a module": (lambda x: np.sum(x**2 * guarded.ARRAY), guarded, "ARRAY", np.arange(3.0)),
    "an array of a module, in place": (lambda x: np.sum(x**2 * guarded.ARRAY), guarded.ARRAY, 1, 3.0),
    "a dict of a module": (lambda x: np.sum(x**2 * guarded.TABLE["of"][0]), guarded.TABLE["of"], 0, 3.0),
    "a function of a module": (lambda x: np.sum(x * guarded.by_constant(x)), guarded, "by_constant", lambda x: x * 7),
    "what a function of a module reads": (lambda x: np.sum(x * guarded.by_constant(x)), guarded, "CONSTANT", 3.0),
    "what an imported function reads": (lambda x: np.sum(x * by_constant(x)), guarded, "CONSTANT", 3.0),
    "what it reads through another": (lambda x: np.sum(x * through(x)), guarded, "CONSTANT", 3.0),
    "a function that it calls": (lambda x: np.sum(x * through(x)), guarded, "by_constant", lambda x: x * 7),
    "a module imported inside": (importing, guarded, "CONSTANT", 3.0),
    "a name imported inside": (importing_a_name, guarded, "CONSTANT", 3.0),
    "getattr": (lambda x: np.sum(x**2 * getattr(guarded, "CONST" + "ANT")), guarded, "CONSTANT", 3.0),
    "vars": (lambda x: np.sum(x**2 * vars(guarded)["CONSTANT"]), guarded, "CONSTANT", 3.0),
    "globals().get": (lambda x: np.sum(x**2 * globals().get("number")), globals(), "number", 3.0),
    "eval": (lambda x: np.sum(x**2 * eval("number * guarded.CONSTANT")), guarded, "CONSTANT", 3.0),
    "sys.modules": (lambda x: np.sum(x**2 * sys.modules["tests.transforms.guarded"].CONSTANT), guarded, "CONSTANT", 3.0),
    "an attribute of a class": (lambda x: np.sum(x**2 * Kind.factor), Kind, "factor", 3.0),
    "an array of a class": (lambda x: np.sum(x**2 * Kind.array), Kind.array, 1, 3.0),
    "a dict of a class": (lambda x: np.sum(x**2 * Kind.table["q"]), Kind.table, "q", 3.0),
    "an attribute of its base": (lambda x: np.sum(x**2 * Derived.factor), Kind, "factor", 3.0),
    "an attribute that hides that of the base": (lambda x: np.sum(x**2 * Derived.factor), Derived, "factor", 3.0),
    "an attribute of its metaclass": (lambda x: np.sum(x**2 * WithMeta.of_meta), guarded.Meta, "of_meta", 3.0),
    "an attribute of an object": (lambda x: np.sum(x * thing.method(x)), thing, "own", 3.0),
    "an attribute of its class": (lambda x: np.sum(x * thing.method(x)), Kind, "factor", 3.0),
    "an attribute that hides that of the class": (lambda x: np.sum(x * thing.method(x)), thing, "factor", 3.0),
    "a method": (lambda x: np.sum(x * thing.method(x)), Kind, "method", lambda self, x: x * 9),
    "a method of one object": (lambda x: np.sum(x * thing.method(x)), thing, "method", lambda x: x * 9),
    "a property": (lambda x: np.sum(x**2 * thing.both), Kind, "both", property(lambda self: 9.0)),
    "what a property reads": (lambda x: np.sum(x**2 * thing.both), Kind, "factor", 3.0),
    "what a property reads in its module": (lambda x: np.sum(x**2 * thing.both), guarded, "CONSTANT", 3.0),
    "what a class method reads": (lambda x: np.sum(x * Kind.of_class(x)), Kind, "factor", 3.0),
    "what a static method reads": (lambda x: np.sum(x * Kind.static(x)), guarded, "CONSTANT", 3.0),
    "what a new object is made of": (lambda x: np.sum(x * Kind().method(x)), Kind, "factor", 3.0),
    "its class": (lambda x: np.sum(x * guarded.Kind().method(x)), guarded, "Kind", type("New", (Kind,), {"factor": 4.0})),
    "an object in a list": (lambda x: np.sum(x * things[0].method(x)), things[0], "own", 3.0),
    "the class of an object in a list": (lambda x: np.sum(x * things[0].method(x)), Kind, "factor", 3.0),
    "an object far away": (lambda x: np.sum(x**2 * chain[0].next.next.next.next.next.next.next.next.own), chain[8], "own", 3.0),
    "a slot": (lambda x: np.sum(x**2 * slots.v), slots, "v", 3.0),
    "an object that is called": (thing, thing, "own", 3.0),
    "the class of an object that is called": (thing, Kind, "factor", 3.0),
    "a bound method": (lambda x: np.sum(x * thing.method(x)), thing, "__dict__", {"own": 5.0}),
    "a constant of NumPy": (lambda x: np.sum(x**2 * np.pi), np, "pi", 3.0),
    "the environment": (lambda x: np.sum(x**2 * float(os.environ["ADCORE_TEST"])), os.environ, "ADCORE_TEST", "3"),
}  # fmt: skip


def get(where, name):
    if isinstance(where, (dict, list, np.ndarray, collections.deque, os._Environ)):
        return where[name]
    return vars(where)[name] if name in getattr(where, "__dict__", {}) else getattr(where, name, None)


def put(where, name, value):
    if isinstance(where, (dict, list, np.ndarray, collections.deque, os._Environ)):
        where[name] = value
    else:
        setattr(where, name, value)


@pytest.mark.parametrize("change", TABLE)
def test_what_a_function_reads_may_change_between_two_calls(change, monkeypatch):
    monkeypatch.setenv("ADCORE_TEST", "2")
    f, where, name, new = TABLE[change]
    compiled = adcore.compile(adcore.grad(f))
    before = adcore.grad(f)(X)
    assert np.all(compiled(X) == before)
    assert np.all(compiled(X) == before)
    hidden = isinstance(where, (type, Kind)) and name not in (*vars(where), "__dict__")
    old = get(where, name)
    put(where, name, new)
    try:
        after = adcore.grad(f)(X)
        assert not np.allclose(after, before)
        np.testing.assert_allclose(compiled(X), after, rtol=1e-14)
        np.testing.assert_allclose(compiled(X), after, rtol=1e-14)
    finally:
        if hidden:
            delattr(where, name)
        else:
            put(where, name, old)
    np.testing.assert_allclose(compiled(X), before, rtol=1e-14)


@pytest.mark.parametrize("change", sorted(set(TABLE) - {"globals().get", "eval"}))
def test_what_did_not_change_is_replayed(change, monkeypatch):
    monkeypatch.setenv("ADCORE_TEST", "2")
    compiled = adcore.compile(adcore.grad(TABLE[change][0]))
    for shift in range(3):
        compiled(X + shift)
    assert compiled.recordings == 1
    assert not compiled.why_not


class TestArguments:
    """Objects among the arguments, and the code of their classes."""

    def test_an_object(self):
        g = adcore.compile(adcore.grad(lambda x, o: np.sum(x**2 * o.own * o.factor)))
        one = Kind()
        np.testing.assert_allclose(g(X, one), 8 * X)
        np.testing.assert_allclose(g(X, Kind()), 8 * X)
        assert g.recordings == 1
        one.own = 3.0
        np.testing.assert_allclose(g(X, one), 12 * X)
        Kind.factor = 5.0
        try:
            np.testing.assert_allclose(g(X, one), 30 * X)
        finally:
            Kind.factor = 2.0
        np.testing.assert_allclose(g(X, one), 12 * X)

    def test_a_callback(self):
        g = adcore.compile(adcore.grad(lambda x, callback: np.sum(callback(x) * x)))
        np.testing.assert_allclose(g(X, by_constant), 4 * X)
        guarded.CONSTANT = 3.0
        try:
            np.testing.assert_allclose(g(X, by_constant), 6 * X)
        finally:
            guarded.CONSTANT = 2.0
        np.testing.assert_allclose(g(X, lambda x: x * 5), 10 * X)

    def test_what_changes_in_place(self):
        table = {"rows": [[1.0, 2], [3.0, 4]], "sign": -1}
        g = adcore.compile(adcore.grad(lambda x, t: np.sum(x**2) * t["rows"][1][1] * t["sign"]))
        np.testing.assert_allclose(g(X, table), -8 * X)
        table["rows"][1][1] = 5
        np.testing.assert_allclose(g(X, table), -10 * X)
        table["sign"] = 1
        np.testing.assert_allclose(g(X, table), 10 * X)


class TestImpure:
    """What gives something else each time is found out, and the function runs each time."""

    @pytest.mark.parametrize(
        ("f", "why"),
        [
            (lambda x: np.sum(x**2) * time.perf_counter(), "perf_counter"),
            (lambda x: np.sum(x**2) * random.random(), "random"),
            (lambda x: np.sum(x**2) * np.random.rand(), "random"),
            (lambda x: np.sum(x**2) * next(COUNTER), "iterator"),
            (lambda x: np.sum(x**2) * DRAWS.normal(), "random"),
            (lambda x: np.sum(x**2) * HOLDER.generator.normal(), "random"),
        ],
        ids=["time", "random", "np.random", "an iterator", "a generator", "a generator in an object"],
    )
    def test_runs_each_time(self, f, why):
        g = adcore.compile(adcore.grad(f))
        assert len({float(g(X)[0]) for _ in range(4)}) == 4
        assert why in g.why_not

    def test_a_generator_that_is_not_used_does_no_harm(self):
        g = adcore.compile(adcore.grad(lambda x, draw: np.sum(x**2) * (DRAWS.normal() if draw else 3.0)))
        for _ in range(3):
            np.testing.assert_allclose(g(X, False), 6 * X)
        assert g.recordings == 1
        assert len({float(g(X, True)[0]) for _ in range(4)}) == 4


COUNTER = itertools.count(1)
DRAWS = np.random.default_rng(0)
HOLDER = Kind()
HOLDER.generator = np.random.default_rng(1)


def test_a_value_computed_once_and_kept():
    class Model:
        @functools.cached_property
        def scale(self):
            return 2.0

    model = Model()
    g = adcore.compile(adcore.grad(lambda x: np.sum(x**2 * model.scale)))
    for _ in range(4):
        np.testing.assert_allclose(g(X), 4 * X)
    assert g.recordings == 2
    assert not g.why_not
    model.scale = 3.0
    np.testing.assert_allclose(g(X), 6 * X)


def test_a_twin_array_is_bound_by_each_call():
    weights = np.ones(3)
    g = adcore.compile(adcore.grad(lambda x: np.sum(x**2 * weights)))
    for k in range(40):
        weights[:] = k
        np.testing.assert_allclose(g(X), 2 * k * X)
    assert g.recordings == 1


def test_two_names_of_one_array():
    one = np.ones(3)
    two = one

    def f(x):
        return np.sum(x**2 * one) + np.sum(x * two)

    g = adcore.compile(adcore.grad(f))
    for change in (None, "in place", "apart", "in place"):
        if change == "in place":
            one[:] = one + 1
        elif change == "apart":
            two = np.array(one)
        np.testing.assert_allclose(g(X), adcore.gradient(f, X), rtol=1e-14)


@pytest.mark.parametrize("name", ["isnan", "shape", "undefined"])
def test_a_name_that_appears_later(name):
    space = {"np": np, "__name__": "tests.transforms.guarded"}
    exec(f"def f(x):\n    try:\n        {name}\n    except NameError:\n        return np.sum(x**2)\n    return np.sum(x**3)", space)
    g = adcore.compile(adcore.grad(space["f"]))
    np.testing.assert_allclose(g(X), 2 * X)
    space[name] = math.isnan
    np.testing.assert_allclose(g(X), 3 * X**2)
    del space[name]
    np.testing.assert_allclose(g(X), 2 * X)
