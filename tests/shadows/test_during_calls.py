"""What happens to shadows while a derivative is computed: errors in the middle, memory that changes, threads, no checks."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from adcore.sweep.forms import Taken
from numpy.testing import assert_array_equal

import adcore
from adcore import Active, Const, Dual, Duplicated, autodiff, errors

MODES = [pytest.param(False, id="checked"), pytest.param(True, id="unchecked")]


def a(*shape):
    return np.arange(1.0, 1.0 + np.prod(shape, dtype=int)).reshape(shape)


def total(x):
    return np.sum(x**2)


def tree(p):
    return p["s"] * np.sum(p["w"] ** 2) + np.sum(p["layers"][0])


def make_tree(fill=None):
    s, w, layer = (2.0, a(3), a(2)) if fill is None else (fill, np.full(3, fill), np.full(2, fill))
    return {"s": s, "w": w, "layers": [layer]}


# -- arguments that change between calls -----------------------------------------------------------------


@pytest.mark.parametrize("unchecked", MODES)
def test_replays_of_a_tree_add_into_the_shadows_at_hand(unchecked):
    df, p = autodiff(tree, "reverse", Duplicated, ret=Active), make_tree()
    with adcore.config(unchecked=unchecked):
        for n in range(1, 5):
            dp = make_tree(1.0)
            p["w"] = a(3) * n
            p["s"] = float(n)
            assert df(p, dp) == tree(p)
            assert_array_equal(dp["w"], 1 + 2 * n * p["w"])
            assert dp["s"] == 1 + np.sum(p["w"] ** 2)
            assert_array_equal(dp["layers"][0], [2.0, 2.0])
    assert df.recordings == 1


CHANGES = {
    "another shape": (lambda p, dp: dp.update(w=np.zeros(4)), r'\["w"\] has shape \(4,\)'),
    "another shape of the argument": (lambda p, dp: p.update(w=a(4)), r'\["w"\] has shape \(3,\)'),
    "another dtype": (lambda p, dp: dp.update(w=np.zeros(3, np.float32)), "dtype float32"),
    "read-only": (lambda p, dp: dp["w"].setflags(write=False), "read-only"),
    "a longer list": (lambda p, dp: dp["layers"].append(np.zeros(2)), "too many"),
    "a shorter list": (lambda p, dp: dp["layers"].clear(), r"has no \[0\]"),
    "a longer list in the argument": (lambda p, dp: p["layers"].append(a(2)), r"has no \[1\]"),
    "a key less": (lambda p, dp: dp.pop("s"), r'has no \["s"\]'),
    "a key more": (lambda p, dp: dp.update(more=1.0), "too many"),
    "another key": (lambda p, dp: dp.update(t=dp.pop("s")), "has no"),
    "a tuple for a list": (lambda p, dp: dp.update(layers=tuple(dp["layers"])), "is a tuple"),
    "an integer for a float": (lambda p, dp: dp.update(s=0), "is an int"),
    "None": (lambda p, dp: dp.update(w=None), "is None"),
    "the argument itself": (lambda p, dp: dp.update(w=p["w"]), "shares memory"),
    "a view of the argument": (lambda p, dp: dp.update(w=p["w"][::-1]), "shares memory"),
    "another shadow": (lambda p, dp: dp["layers"].__setitem__(0, dp["w"][1:]), "shares memory"),
    "a container of the argument": (lambda p, dp: dp.update(layers=p["layers"]), "shares memory"),
}


@pytest.mark.parametrize("change, message", CHANGES.values(), ids=CHANGES)
def test_what_becomes_wrong_after_many_replays_is_refused(change, message):
    df, p, dp = autodiff(tree, "reverse", Duplicated, ret=Active), make_tree(), make_tree(0.0)
    for _ in range(5):
        df(p, dp)
    change(p, dp)
    before = repr((p, dp))
    with pytest.raises(errors.ShadowError, match=message):
        df(p, dp)
    assert repr((p, dp)) == before


def test_keys_of_a_shadow_may_stand_in_another_order():
    df, p = autodiff(tree, "reverse", Duplicated, ret=Active), make_tree()
    for _ in range(3):
        dp = dict(reversed(make_tree(0.0).items()))
        df(p, dp)
        assert_array_equal(dp["w"], 4 * p["w"])


def test_arguments_that_come_to_overlap_when_one_is_written_are_refused():
    def scale(x, out):
        out[...] = 2 * x

    df, block = autodiff(scale, "reverse", Duplicated, Duplicated), a(8)
    for _ in range(4):
        df(block[:3], a(3), block[4:7], a(3))
    before = block.copy()
    for k in (0, 1, 2):
        with pytest.raises(errors.ShadowError, match="out, which is written into, shares memory with x"):
            df(block[:3], a(3), block[k : k + 3], a(3))
    assert_array_equal(block, before)


# -- errors in the middle -----------------------------------------------------------------------------------


@pytest.mark.parametrize("unchecked", MODES)
def test_an_error_of_the_function_s_own_changes_nothing(unchecked):
    def f(x, out):
        out[...] = x**2
        if x[0] > 2:
            raise ValueError("of its own")
        return np.sum(out)

    df = autodiff(f, "reverse", Duplicated, Duplicated, ret=Active)
    with adcore.config(unchecked=unchecked):
        df(a(2), a(2), a(2), a(2))
        x, dx, out, dout = a(2) + 5, a(2), a(2), a(2)
        with pytest.raises(ValueError, match="of its own"):
            df(x, dx, out, dout)
    assert (x.tolist(), dx.tolist(), out.tolist(), dout.tolist()) == ([6.0, 7.0], [1.0, 2.0], [1.0, 2.0], [1.0, 2.0])


def test_a_sweep_that_fails_changes_nothing():
    def f(m, out):
        out[...] = np.linalg.cholesky(m)
        return np.sum(out)

    df = autodiff(f, "reverse", Duplicated, Duplicated, ret=Active)
    df(np.eye(2), np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((2, 2)))
    m, dm, out, dout = -np.eye(2), a(2, 2), a(2, 2), a(2, 2)
    with pytest.raises(np.linalg.LinAlgError):
        df(m, dm, out, dout)
    for found in (dm, out, dout):
        assert_array_equal(found, a(2, 2))


@pytest.mark.parametrize("seed", [None, "one", np.ones(2), [1.0, 2.0], 1j])
def test_a_seed_that_is_none_changes_nothing(seed):
    df, dx = autodiff(total, "reverse", Duplicated, ret=Active), a(2)
    df(a(2), np.zeros(2))
    with pytest.raises((errors.AdcoreError, TypeError, ValueError)):
        df(a(2), dx, seed=seed)
    assert_array_equal(dx, a(2))


# -- memory that changes during a call -------------------------------------------------------------------------


def resized(dx):
    dx.resize(7, refcheck=False)


def frozen(dx):
    dx.setflags(write=False)


@pytest.mark.parametrize("change, message", [(resized, "was given a shape"), (frozen, "made read-only")])
def test_memory_that_changes_before_it_is_written_is_left_alone_and_so_is_all_else(change, message):
    """Another thread may do this between the look at the arguments and the write."""
    for at in (0, 1):
        shadows, targets = [np.zeros(3), np.zeros(3)], [np.zeros(3), np.zeros(3)]
        change(shadows[at])
        with pytest.raises(errors.ShadowError, match=message):
            Taken([], shadows, [None, None]).write((a(3), a(3)), bytes([1, 0]), targets, [a(3), a(3)])
        change(targets[at])
        with pytest.raises(errors.ShadowError, match=message):
            Taken([], [np.zeros(3)], [None]).write((a(3),), bytes([1]), targets, [a(3), a(3)])
        assert not any(x.any() for x in (*shadows, *targets))


def test_shadows_that_nobody_else_holds_live_as_long_as_the_call():
    held = [np.zeros(3)]

    def f(x):
        held.clear()
        return np.sum(x**2)

    assert autodiff(f, "reverse", Duplicated, ret=Active)(a(3), held[0]) == 14.0


# -- unchecked: a number may be wrong, memory of others is not touched ------------------------------------------

OVERLAPS = {
    "the argument itself": lambda m: (m[2:5], m[2:5]),
    "a part of the argument": lambda m: (m[2:5], m[3:6]),
    "the argument reversed": lambda m: (m[2:5], m[4:1:-1]),
    "interleaved": lambda m: (m[2:7:2], m[3:6]),
}


@pytest.mark.parametrize("mode", ["reverse", "forward"])
@pytest.mark.parametrize("overlap", OVERLAPS.values(), ids=OVERLAPS)
def test_unchecked_overlaps_stay_within_their_arrays(overlap, mode):
    def scale(x, out):
        out[...] = 3 * x

    activity = Duplicated if mode == "reverse" else Dual
    df = autodiff(total, mode, activity, ret=Active if mode == "reverse" else Dual)
    dscale = autodiff(scale, mode, activity, activity)
    with adcore.config(unchecked=True):
        for _ in range(3):
            memory = np.full(9, 7.0)
            x, dx = overlap(memory)
            inside = np.zeros(9, bool)
            for view in overlap(inside):
                view[...] = True
            df(x, dx)
            assert_array_equal(memory[~inside], 7.0)
            dscale(x, dx, np.ones(3), np.ones(3))
            assert_array_equal(memory[~inside], 7.0)


def test_unchecked_shadows_that_are_one_array_take_one_of_the_sums_or_both():
    df = autodiff(lambda x, y: np.sum(x) + np.sum(y), "reverse", Duplicated, Duplicated, ret=Active)
    both = np.zeros(3)
    with adcore.config(unchecked=True):
        df(a(3), both, a(3), both)
    assert set(both) <= {1.0, 2.0}


# -- memory that is right -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unchecked", MODES)
def test_unusual_memory_that_is_right(unchecked, tmp_path):
    df = autodiff(total, "reverse", Duplicated, ret=Active)
    big = a(3).astype(np.dtype(float).newbyteorder("S"))
    buffer = bytearray(24)
    with adcore.config(unchecked=unchecked):
        for _ in range(3):
            for x, dx in (
                (a(3)[::-1], np.zeros(6)[::-2]), (a(2, 3).T, np.zeros((2, 3)).T), (np.broadcast_to(2.0, 3), np.zeros(3)),
                (big, np.zeros(3)), (a(3), np.frombuffer(buffer)), (np.asfortranarray(a(2, 3)), np.zeros((2, 3))),
                (a(0), np.zeros(0)), (a(), np.zeros(())), (a(2, 0, 3), np.zeros((2, 0, 3))),
                (a(3), np.memmap(tmp_path / "shadow", float, "w+", shape=3)),
            ):  # fmt: skip
                dx[...] = 0.0
                df(x, dx)
                assert_array_equal(dx, 2 * x)


def test_structures_that_hold_themselves_end_in_an_error():
    """In a process of its own: a recursion without end in compiled code would take the interpreter with it."""
    code = """
import numpy as np, adcore
from adcore import autodiff, Active, Const, Duplicated
def cyclic():
    p = [1.0, np.ones(2)]
    p.append(p)
    return p
f = lambda x, p: np.sum(x)
calls = [lambda: autodiff(f, "reverse", Duplicated, Const, ret=Active)(np.ones(2), np.zeros(2), cyclic()),
         lambda: autodiff(f, "reverse", Const, Duplicated, ret=Active)(np.ones(2), cyclic(), cyclic()),
         lambda: adcore.compile(f)(np.ones(2), cyclic()), lambda: adcore.gradient(f, np.ones(2), cyclic())]
for call in calls:
    try:
        call()
    except RecursionError:
        print("refused")
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert out.stdout.split() == ["refused"] * 4, out.stderr


# -- threads ---------------------------------------------------------------------------------------------------------


def in_threads(work, n=4):
    wrong = []

    def run(k):
        try:
            work(k)
        except BaseException as error:
            wrong.append(error)

    runners = [threading.Thread(target=run, args=(k,)) for k in range(n)]
    for t in runners:
        t.start()
    for t in runners:
        t.join()
    if wrong:
        raise wrong[0]


@pytest.mark.parametrize("unchecked", MODES)
def test_threads_with_shadows_of_their_own_share_a_derivative(unchecked):
    df, dtree = autodiff(total, "reverse", Duplicated, ret=Active), autodiff(tree, "reverse", Duplicated, ret=Active)

    def work(k):
        with adcore.config(unchecked=unchecked):
            for n in range(30):
                x, dx, p, dp = a(50 + k) * n, np.zeros(50 + k), make_tree(), make_tree(0.0)
                df(x, dx)
                dtree(p, dp)
                assert_array_equal(dx, 2 * x)
                assert_array_equal(dp["w"], 4 * p["w"])

    in_threads(work)


@pytest.mark.parametrize("unchecked", MODES)
def test_threads_that_change_a_structure_under_others_do_no_harm(unchecked):
    """A call is refused, or right for some state of the structure; the interpreter lives."""
    df, p, dp = autodiff(lambda p: np.sum(p[0]), "reverse", Duplicated, ret=Active), [a(3)], [np.zeros(3)]
    df(p, dp)
    stop = threading.Event()

    def change():
        while not stop.is_set():
            for part in (dp, p):
                part.append(np.zeros(2))
                part.pop()
                part[:] = [np.zeros(3)]

    other = threading.Thread(target=change)
    other.start()
    try:
        with adcore.config(unchecked=unchecked):
            for _ in range(300):
                try:
                    df(p, dp)
                except (errors.AdcoreError, IndexError, RuntimeError):
                    continue
    finally:
        stop.set()
        other.join()
    fresh = [np.zeros(3)]
    df([a(3)], fresh)
    assert_array_equal(fresh[0], 1.0)


def test_constants_that_change_are_seen():
    df = autodiff(lambda x, n, table: np.sum(x**n) * table["k"], "reverse", Duplicated, Const, Const, ret=Active)
    for n, k in ((2, 1), (3, 1), (2, 5), (2, 1)):
        dx = np.zeros(2)
        df(a(2), dx, n, {"k": k})
        assert_array_equal(dx, k * n * a(2) ** (n - 1))
