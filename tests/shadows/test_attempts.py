"""Attempts on shadows from where the checks do not look: the middle of a call, containers with code of their own, memory inside objects.

Each ends in an error with every byte as it was, or in the right sum.
"""

import collections
import ctypes
import dataclasses
import functools
import gc
import mmap
import os
import pickle
import signal
import sys
import types

import numpy as np
import pytest
import scipy.sparse
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from numpy.testing import assert_array_equal

import adcore
from adcore import Active, Const, Dual, Dualv, Duplicated, autodiff, errors
from tests.shadows.test_during_calls import in_threads


@pytest.fixture(params=[False, True], ids=["checked", "unchecked"], autouse=True)
def unchecked(request):
    with adcore.config(unchecked=request.param):
        yield request.param


def a(*shape):
    return np.arange(1.0, 1.0 + np.prod(shape, dtype=int)).reshape(shape)


def total(x):
    return np.sum(x**2)


def armed(f, *activities):
    """The derivative of f(middle, *args), and a list of actions that ``middle``, an identity, runs while a sweep runs."""
    actions = []

    @adcore.primitive(shape=lambda s: s, vjp=lambda g, y, x: (g,))
    def middle(x):
        for action in actions:
            action()
        return x * 1.0

    def through(x, y):
        return f(middle, x, y)

    return autodiff(through, "reverse", *activities, ret=Active), actions


def of_two(middle, x, y):
    return np.sum(middle(x) ** 2) + np.sum(y)


# -- shadows that change in the middle ---------------------------------------------------------------------------

CHANGES = {
    "integers of the same size": (lambda dx: setattr(dx, "dtype", np.int64), "another dtype"),
    "the other byte order": (lambda dx: setattr(dx, "dtype", np.dtype(float).newbyteorder("S")), "another dtype"),
    "dates": (lambda dx: setattr(dx, "dtype", "M8[s]"), "another dtype"),
    "complex numbers of the same size": (lambda dx: setattr(dx, "dtype", np.complex64), "another dtype"),
    "singles": (lambda dx: setattr(dx, "dtype", np.float32), "given a shape"),
    "strides of 0": (lambda dx: setattr(dx, "strides", (0,)), "another dtype or strides"),
    "another shape": (lambda dx: setattr(dx, "shape", (3, 1)), "given a shape"),
    "longer": (lambda dx: dx.resize(5, refcheck=False), "given a shape"),
    "empty": (lambda dx: dx.resize(0, refcheck=False), "given a shape"),
    "read-only": (lambda dx: dx.setflags(write=False), "read-only"),
}


@pytest.mark.filterwarnings("ignore:Setting the:DeprecationWarning")
@pytest.mark.parametrize("change, message", CHANGES.values(), ids=CHANGES)
def test_a_shadow_that_changes_in_the_middle_is_refused_with_all_others_as_they_were(change, message):
    df, actions = armed(of_two, Duplicated, Duplicated)
    df(a(3), np.zeros(3), a(3), np.zeros(3))
    dx, dy = np.full(3, 7.0), np.full(3, 7.0)
    actions.append(lambda: change(dx))
    with pytest.raises(errors.ShadowError, match=message):
        df(a(3), dx, a(3), dy)
    assert dx.tobytes() in (b"", *(np.full(n, 7.0).tobytes() for n in (1, 3)), np.array([7.0, 7.0, 7.0, 0.0, 0.0]).tobytes())
    assert_array_equal(dy, 7.0)


def interrupt():
    raise KeyboardInterrupt


def divide():
    raise ZeroDivisionError


@pytest.mark.parametrize("action, error", [(interrupt, KeyboardInterrupt), (divide, ZeroDivisionError)])
def test_what_ends_a_call_in_the_middle_leaves_shadows_as_they_were(action, error):
    df, actions = armed(of_two, Duplicated, Duplicated)
    df(a(3), np.zeros(3), a(3), np.zeros(3))
    actions.append(action)
    dx, dy = np.full(3, 7.0), np.full(3, 7.0)
    with pytest.raises(error):
        df(a(3), dx, a(3), dy)
    assert_array_equal([dx, dy], 7.0)


def test_what_is_added_in_the_middle_is_not_lost():
    df, actions = armed(of_two, Duplicated, Duplicated)
    inner = autodiff(total, "reverse", Duplicated, ret=Active)
    df(a(3), np.zeros(3), a(3), np.zeros(3))
    dx, dy, runs = np.zeros(3), np.zeros(3), []

    def action():
        runs.append(inner(a(3), dx))
        dy[...] += 5.0

    actions.append(action)
    df(a(3), dx, a(3), dy)
    assert_array_equal(dx, (1 + len(runs)) * 2 * a(3))
    assert_array_equal(dy, 1 + 5.0 * len(runs))


def test_a_derivative_may_be_called_in_the_middle_of_itself():
    df, actions = armed(of_two, Duplicated, Duplicated)
    df(a(3), np.zeros(3), a(3), np.zeros(3))
    inner = np.zeros(3)

    def action():
        actions.clear()
        df(a(3), inner, a(3), np.zeros(3))

    actions.append(action)
    dx = np.zeros(3)
    df(a(3), dx, a(3), np.zeros(3))
    assert_array_equal([dx, inner], [2 * a(3)] * 2)


def test_another_array_put_in_the_place_of_a_shadow_gets_nothing():
    df, actions = armed(lambda middle, p, y: np.sum(middle(p["w"]) ** 2) * y, Duplicated, Const)
    df({"w": a(2)}, {"w": np.zeros(2)}, 1.0)
    given, other = np.zeros(2), np.zeros(5)
    dp = {"w": given}
    actions.append(lambda: dp.update(w=other))
    df({"w": a(2)}, dp, 1.0)
    assert_array_equal(given, 2 * a(2))
    assert_array_equal(other, 0.0)


def test_a_float_taken_away_in_the_middle_is_refused_with_all_arrays_as_they_were():
    df, actions = armed(lambda middle, p, y: np.sum(middle(p["w"]) ** 2) * p["l"][0] * y, Duplicated, Const)
    df({"w": a(2), "l": [2.0]}, {"w": np.zeros(2), "l": [0.0]}, 1.0)
    for change in (list.clear, lambda floats: floats.__setitem__(0, "text")):
        dp = {"w": np.full(2, 7.0), "l": [0.0]}
        actions[:] = [lambda change=change, dp=dp: change(dp["l"])]
        with pytest.raises(errors.ShadowError, match="taken away"):
            df({"w": a(2), "l": [2.0]}, dp, 1.0)
        assert_array_equal(dp["w"], 7.0)


def test_arguments_that_nobody_holds_any_more_live_as_long_as_the_call():
    held = [a(100_000), np.zeros(100_000)]
    dx = held[1]

    def f(x):
        held.clear()
        gc.collect()
        return np.sum(x**2)

    autodiff(f, "reverse", Duplicated, ret=Active)(*held)
    assert_array_equal(dx, 2 * a(100_000))


def test_a_nan_that_is_looked_for_leaves_shadows_as_they_were():
    df, dx = autodiff(lambda x: np.sum(np.log(x)), "reverse", Duplicated, ret=Active), np.full(2, 7.0)
    df(a(2), np.zeros(2))
    with adcore.config(debug_nans=True), np.errstate(all="ignore"), pytest.raises(errors.NonFinite):
        df(-a(2), dx)
    assert_array_equal(dx, 7.0)


# -- containers with code of their own -------------------------------------------------------------------------------


class Locked(dict):
    def __setitem__(self, key, value):
        raise ValueError("locked")


@dataclasses.dataclass
class Guarded:
    s: float
    w: np.ndarray

    def __setattr__(self, name, value):
        if name == "s" and "s" in vars(self):
            raise ValueError("locked")
        object.__setattr__(self, name, value)


@dataclasses.dataclass
class Forgetful(Guarded):
    def __setattr__(self, name, value):
        vars(self).setdefault(name, value)


class CopyingDict(dict):
    def __getitem__(self, key):
        return np.array(dict.__getitem__(self, key)) if key == "w" else dict.__getitem__(self, key)


class CopyingList(list):
    def __getitem__(self, k):
        return list.__getitem__(self, k) * 1.0


class Backwards(list):
    def __iter__(self):
        return reversed(list(list.__iter__(self)))


class Copying:
    """A descriptor that gives a copy."""

    def __get__(self, owner, kind=None):
        if owner is None:
            raise AttributeError
        return owner.__dict__["w"] * 1.0

    def __set__(self, owner, value):
        owner.__dict__["w"] = value


@dataclasses.dataclass
class Described:
    w: np.ndarray = Copying()


class Alike:
    def __repr__(self):
        return "alike"


ONE, OTHER = Alike(), Alike()
OWN = {
    "a dict that refuses": (lambda w, s: Locked(w=w, s=s), lambda p: np.sum(p["w"]) * p["s"], ValueError, "locked"),
    "a dataclass that refuses": (lambda w, s: Guarded(s, w), lambda p: np.sum(p.w) * p.s, ValueError, "locked"),
    "a dataclass that forgets": (lambda w, s: Forgetful(s, w), lambda p: np.sum(p.w) * p.s, errors.ShadowError, "after .* was written"),
    "the second of two refuses": (lambda w, s: [{"s": s}, Guarded(s, w)], lambda p: np.sum(p[1].w) * p[1].s * p[0]["s"], ValueError,
                                  "locked"),
    "a dict that gives copies": (lambda w, s: CopyingDict(w=w), lambda p: np.sum(p["w"]), errors.ShadowError, r'x\["w"\] is another array'),
    "a list that gives copies": (lambda w, s: CopyingList([w]), lambda p: np.sum(p[0]), errors.ShadowError, r"x\[0\] is another array"),
    "a list read backwards": (lambda w, s: Backwards([w, w.copy()]), lambda p: np.sum(p[0]), errors.ShadowError, "another array"),
    "a dataclass that gives copies": (lambda w, s: Described(w), lambda p: np.sum(p.w), errors.ShadowError, r"x\.w is another array"),
    "keys that read alike": (lambda w, s: {ONE: w, OTHER: w.copy()}, lambda p: np.sum(p[ONE]), errors.ShadowError, "read alike"),
    "a default dict without the key": (lambda w, s: collections.defaultdict(lambda: np.zeros(2), {"w": w} if s == 2.0 else {}),
                                       lambda p: np.sum(p["w"]), errors.ShadowError, r'has no \["w"\]'),
    "a mapping that is no dict": (lambda w, s: collections.UserDict(w=w), lambda p: np.sum(p["w"]), errors.ShadowError,
                               "what is not a float must be the same"),
    "a class": (lambda w, s: Guarded(s, w) if s == 2.0 else Guarded, lambda p: np.sum(p.w), errors.ShadowError, "is a type"),
}  # fmt: skip


def bytes_of(tree):
    """Every array and float that a structure holds, by another way than the one that is attacked."""
    if isinstance(tree, np.ndarray):
        return tree.tobytes()
    if isinstance(tree, dict):
        return [bytes_of(x) for x in dict.values(tree)]
    if isinstance(tree, list):
        return [bytes_of(x) for x in list.__iter__(tree)]
    return bytes_of(dict(vars(tree))) if hasattr(tree, "__dict__") and not isinstance(tree, type) else tree


@pytest.mark.parametrize("make, f, error, message", OWN.values(), ids=OWN)
def test_containers_with_code_of_their_own_are_written_whole_or_not_at_all(make, f, error, message):
    df = autodiff(lambda x, y: f(x) + np.sum(y), "reverse", Duplicated, Duplicated, ret=Active)
    for _ in range(3):
        x, dx, dy = make(a(2), 2.0), make(np.full(2, 7.0), 0.0), np.full(2, 7.0)
        before = bytes_of([x, dx])
        with pytest.raises(error, match=message):
            df(x, dx, a(2), dy)
        assert bytes_of([x, dx]) == before
        assert_array_equal(dy, 7.0)


def test_a_tag_whose_comparison_changes_the_shadow_does_no_harm():
    class Tag:
        changed = None

        def __eq__(self, other):
            if Tag.changed is not None:
                Tag.changed.clear()
            return True

        __hash__ = None

    df = autodiff(lambda p: np.sum(p[1] ** 2), "reverse", Duplicated, ret=Active)
    df([Tag(), a(2)], [Tag(), np.zeros(2)])
    shadow = np.zeros(2)
    Tag.changed = [Tag(), shadow]
    with pytest.raises((errors.AdcoreError, IndexError)):
        df([Tag(), a(2)], Tag.changed)
    assert_array_equal(shadow, 0.0)


@pytest.mark.parametrize("depth", [50, 200, 5000])
def test_deep_structures_are_right_or_refused(depth):
    def deep(leaf):
        for _ in range(depth):
            leaf = [leaf]
        return leaf

    def f(p):
        while isinstance(p, list):
            p = p[0]
        return np.sum(p**2)

    shadow = np.zeros(2)
    try:
        autodiff(f, "reverse", Duplicated, ret=Active)(deep(a(2)), deep(shadow))
    except RecursionError:
        assert depth > 200
        assert_array_equal(shadow, 0.0)
    else:
        assert_array_equal(shadow, 2 * a(2))


# -- memory that constants hold -----------------------------------------------------------------------------------------


class Plain:
    def __init__(self, w):
        self.w = w


class Slotted:
    __slots__ = ("w",)

    def __init__(self, w):
        self.w = w


class Lending:
    def __init__(self, w):
        self.keep = [w]
        self.__array_interface__ = w.__array_interface__

    __array_interface__ = None


def objects(block):
    held = np.empty(2, object)
    held[1] = block
    return held


def cyclic(block):
    x = Plain(block)
    x.itself = x
    return x


HOLDERS = {
    "an array of objects": objects,
    "a memoryview with strides": lambda b: memoryview(b)[::2],
    "a memoryview of two dimensions": lambda b: memoryview(b).cast("B").cast("d", (4, 2)),
    "a read-only memoryview": lambda b: memoryview(b).toreadonly(),
    "an object": Plain,
    "an object with slots": Slotted,
    "a structure in an object": lambda b: Plain({"k": [b]}),
    "an object that holds itself": cyclic,
    "a namespace": lambda b: types.SimpleNamespace(w=b),
    "a deque": lambda b: collections.deque([b]),
    "a mapping": lambda b: types.MappingProxyType({"w": b}),
    "a partial": lambda b: functools.partial(np.add, b),
    "a method": lambda b: b.sum,
    "an iterator over elements": lambda b: b.flat,
    "a record": lambda b: b.view([("x", "f8", (8,))])[0],
    "an array of ctypes": lambda b: (ctypes.c_double * 8).from_buffer(b),
    "a buffer for pickles": pickle.PickleBuffer,
    "an object that lends an array": Lending,
    "a sparse matrix": lambda b: scipy.sparse.csr_array((b, np.arange(8), np.array([0, 8])), shape=(1, 8)),
    "complex numbers": lambda b: b.view(complex),
    "dates": lambda b: b.view("M8[s]"),
    "bytes": lambda b: b.view("S8"),
    "halves": lambda b: b.view(np.float16),
}


@pytest.mark.parametrize("make", HOLDERS.values(), ids=HOLDERS)
def test_a_shadow_may_share_no_memory_with_what_a_constant_holds(make, unchecked):
    df = autodiff(lambda x, c: np.sum(x**2), "reverse", Duplicated, Const, ret=Active)
    for _ in range(3):
        for part in (slice(2, 5), slice(6, 0, -2)):
            block = a(8)
            constant, expected = make(block), a(8)
            if unchecked:
                df(a(3), block[part], constant)
                expected[part] += 2 * a(3)
            else:
                with pytest.raises(errors.ShadowError, match="shares memory with c"):
                    df(a(3), block[part], constant)
            assert_array_equal(block, expected)
        dx = np.zeros(3)
        df(a(3), dx, constant)
        assert_array_equal(dx, 2 * a(3))


# -- memory that is unusual and right, or refused -------------------------------------------------------------------------

ODD = {
    "the real part of complex numbers": (lambda: np.zeros(3, complex).real, None),
    "their imaginary part": (lambda: np.zeros(3, complex).imag, None),
    "a field of an aligned structure": (lambda: np.zeros(3, np.dtype([("t", "i1"), ("x", "f8")], align=True))["x"], None),
    "a dtype with metadata": (lambda: np.zeros(3, np.dtype("f8", metadata={"unit": "m"})), None),
    "a page": (lambda: np.frombuffer(mmap.mmap(-1, 4096), count=3), None),
    "ctypes": (lambda: np.frombuffer((ctypes.c_double * 3)()), None),
    "a diagonal": (lambda: as_strided(np.zeros(9), (3,), (32,)), None),
    "the last elements, backwards": (lambda: np.zeros(9)[:-4:-1], None),
    "a column": (lambda: np.zeros((3, 5))[:, 2], None),
    "a field of a packed structure": (lambda: np.zeros(3, [("t", "i1"), ("x", "f8")])["x"], "is not aligned"),
    "windows": (lambda: sliding_window_view(np.zeros(5), 3, writeable=True), "2 dimensions"),
    "a broadcast of one element": (lambda: np.broadcast_arrays(np.zeros(1), np.zeros(3))[0], "read-only|overlaps itself"),
    "a record array": (lambda: np.zeros(3).view(np.recarray), "is a recarray"),
    "text": (lambda: np.char.array(["a"] * 3), "is a chararray"),
    "an object that looks like an array": (lambda: Lending(np.zeros(3)), "is a Lending"),
}  # fmt: skip


@pytest.mark.parametrize("make, message", ODD.values(), ids=ODD)
def test_unusual_shadows_take_the_sum_or_are_refused(make, message):
    df = autodiff(total, "reverse", Duplicated, ret=Active)
    for _ in range(3):
        dx = make()
        if message is None:
            df(a(3), dx)
            df(a(3), dx)
            assert_array_equal(dx, 4 * a(3))
        else:
            with pytest.raises(errors.ShadowError, match=message):
                df(a(3), dx)


WRITTEN = {
    "the other byte order": lambda: np.zeros(3, np.dtype(float).newbyteorder("S")),
    "misaligned": lambda: np.zeros(25, np.uint8)[1:].view(float),
    "backwards": lambda: np.zeros(6)[::-2],
    "single": lambda: np.zeros(3, np.float32),
    "a column": lambda: np.zeros((3, 5))[:, 2],
}


@pytest.mark.parametrize("make", WRITTEN.values(), ids=WRITTEN)
def test_what_a_function_writes_reaches_unusual_memory(make):
    def square(x, out):
        out[...] = x**2

    df = autodiff(square, "reverse", Duplicated, Duplicated)
    for _ in range(3):
        dx, out = np.zeros(3), make()
        dout = np.ones(3, out.dtype.newbyteorder("="))
        df(a(3), dx, out, dout)
        assert_array_equal([dx, out, dout], [2 * a(3), a(3) ** 2, np.zeros(3)])


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3), (2, 0, 3)], ids=str)
def test_an_empty_array_may_be_its_own_shadow(shape):
    df, x = autodiff(total, "reverse", Duplicated, ret=Active), np.zeros(shape)
    for _ in range(2):
        assert df(x, x) == 0.0


def test_the_last_of_several_directions_is_looked_at_before_the_first_is_written():
    df = autodiff(total, "reverse", Duplicated, ret=Active, width=3)
    for wrong in (np.zeros(2), np.broadcast_to(0.0, 3), None):
        first, second = np.full(3, 7.0), np.full(3, 7.0)
        with pytest.raises(errors.ShadowError):
            df(a(3), first, second, wrong)
        assert_array_equal([first, second], 7.0)


def test_directions_of_one_stacked_shadow_may_not_share_their_memory():
    df = autodiff(lambda x, out: out.__setitem__(..., x**2), "forward", Dualv, Dualv, width=2)
    shared = as_strided(np.zeros(3), (2, 3), (0, 8))
    with pytest.raises(errors.ShadowError, match="overlaps itself"):
        df(a(3), np.ones((2, 3)), np.zeros(3), shared)
    with pytest.raises(errors.ShadowError, match="read-only"):
        autodiff(total, "forward", Dual, ret=Dual)(a(3), np.broadcast_to(1.0, 3))


# -- seeds ------------------------------------------------------------------------------------------------------------------

SEEDS = {
    "the other byte order": np.ones(3, np.dtype(float).newbyteorder("S")),
    "single": np.ones(3, np.float32),
    "integers": np.ones(3, int),
    "strides": np.ones(6)[::2],
    "misaligned": np.frombuffer(b"\0" + np.ones(3).tobytes(), np.uint8)[1:].view(float),
    "a broadcast": np.broadcast_to(1.0, 3),
    "a memoryview": memoryview(np.ones(3)),
}
NO_SEEDS = {
    "complex": np.ones(3, complex),
    "objects": np.ones(3, object),
    "dates": np.ones(3, "M8[s]"),
    "masked": np.ma.masked_array(np.ones(3), [0, 1, 0]),
    "a column": np.ones((3, 1)),
    "one element": np.ones(1),
    "a float": 1.0,
    "text": "abc",
    "a list": [1.0, 1.0, 1.0],
}


@pytest.mark.parametrize("seed", SEEDS.values(), ids=SEEDS)
def test_unusual_seeds_count(seed):
    df = autodiff(lambda x: x**2, "reverse", Duplicated, ret=Active)
    for _ in range(2):
        dx = np.ones(3)
        df(a(3), dx, seed=seed)
        assert_array_equal(dx, 1 + 2 * a(3))


@pytest.mark.parametrize("seed", NO_SEEDS.values(), ids=NO_SEEDS)
def test_a_seed_unlike_the_result_leaves_the_shadow_as_it_was(seed):
    df, dx = autodiff(lambda x: x**2, "reverse", Duplicated, ret=Active), np.full(3, 7.0)
    df(a(3), np.zeros(3), seed=np.ones(3))
    with pytest.raises(errors.ArgumentError):
        df(a(3), dx, seed=seed)
    assert_array_equal(dx, 7.0)


def test_a_seed_may_be_the_shadow_itself():
    df = autodiff(lambda x: x**2, "reverse", Duplicated, ret=Active)
    for _ in range(3):
        dx = np.ones(3)
        df(a(3), dx, seed=dx)
        assert_array_equal(dx, 1 + 2 * a(3))


def test_an_array_of_a_closure_may_be_the_shadow():
    block = a(6)
    df = autodiff(lambda x: np.sum(x * block[:3]), "reverse", Duplicated, ret=Active)
    for _ in range(3):
        before = block.copy()
        df(a(3), block[1:4])
        before[1:4] += before[:3].copy()
        assert_array_equal(block, before)


# -- threads and processes ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="additions are serial by the GIL")
@pytest.mark.parametrize("shadow", [lambda: np.zeros(1000), lambda: np.zeros((1000, 2))[:, 1], lambda: np.zeros(50_000)])
def test_threads_that_add_to_one_shadow_lose_nothing(shadow, unchecked):
    df, dx = autodiff(np.sum, "reverse", Duplicated, ret=Active), shadow()
    x = np.ones_like(dx)

    def work(k):
        with adcore.config(unchecked=unchecked):
            for _ in range(100):
                df(x, dx)

    in_threads(work)
    assert_array_equal(dx, 400.0)


def child(work):
    """The status of a forked process that ends with what work returns."""
    pid = os.fork()
    if not pid:
        signal.alarm(30)
        try:
            os._exit(0 if work() else 3)
        finally:
            os._exit(4)
    return os.waitpid(pid, 0)[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_fork_between_calls_and_in_the_middle_of_one_leaves_both_processes_right():
    df, actions = armed(lambda middle, x, y: np.sum(np.tanh(middle(x)) ** 2) + np.sum(y), Duplicated, Duplicated)
    x, expected = np.linspace(0.0, 1.0, 200_000), np.zeros(200_000)

    def again():
        actions.clear()
        dx = np.zeros_like(x)
        df(x, dx, a(3), np.zeros(3))
        return np.array_equal(dx, expected)

    with adcore.config(threads=2):
        df(x, expected, a(3), np.zeros(3))
        assert child(again) == 0
        statuses = []
        actions.append(lambda: statuses.append(child(again)))
        dx = np.zeros_like(x)
        df(x, dx, a(3), np.zeros(3))
    assert set(statuses) == {0}
    assert_array_equal(dx, expected)


def test_there_are_at_least_forty_attempts():
    assert sum(map(len, (CHANGES, OWN, HOLDERS, ODD, WRITTEN, SEEDS, NO_SEEDS))) >= 40
