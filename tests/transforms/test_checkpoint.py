"""Regions that are recomputed, and loops that keep few of their states."""

import math
import pathlib
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from adcore.testing import check_grads
from adcore.transforms.checkpoint import positions, reach, recomputed, schedule, slots_for
from numpy.testing import assert_allclose

import adcore
from adcore import errors

x = np.array([0.3, 0.7, 1.1])
STATE = x.nbytes


def counted(state, p):
    """A step with a tree for a state, and a counter."""
    return {"u": state["u"] + 0.1 * np.sin(state["t"] * p) * state["u"], "t": state["t"] + 0.1}


def in_place(s):
    s[1:] += 0.1 * s[:-1] ** 2
    return s


table = np.array([0.5, 1.5, 2.5])

LOOPS = {
    "all states kept": lambda x, p: adcore.loop(lambda s: s + 0.1 * np.sin(s * p), x, 7),
    "few states kept": lambda x, p: adcore.loop(lambda s: s + 0.1 * np.sin(s * p), x, 17, memory=6 * STATE),
    "one state kept": lambda x, p: adcore.loop(lambda s, q: s + 0.1 * np.sin(s * q), x, 9, p, memory=2 * STATE),
    "a tree": lambda x, p: adcore.loop(counted, {"u": x, "t": 0.0}, 13, p, memory=6 * STATE)["u"],
    "written in place": lambda x, p: adcore.loop(in_place, x * p, 5),
    "a loop in a loop": lambda x, p: adcore.loop(lambda s: adcore.loop(lambda r: r + 0.1 * np.sin(r * p), s, 3), x, 4, memory=2 * STATE),
    "a float": lambda x, p: adcore.loop(lambda s: s + 0.1 * np.cos(s * np.sum(x)), p, 6),
    "constants": lambda x, p: adcore.loop(lambda s: s + 0.1 * np.sin(s * table)[np.array([2, 0, 1])] * 0.37, x * p, 6),
}


@pytest.mark.parametrize("name", LOOPS)
def test_loops_differentiate_to_third_order_in_every_mixture_of_modes(name):
    check_grads(lambda x, p: np.sum(LOOPS[name](x, p) ** 2), [x, 1.5], order=3)


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_is_the_python_loop(name):
    plain = LOOPS[name](x, 1.5)
    assert_allclose(adcore.compile(LOOPS[name])(x, 1.5), plain, rtol=1e-14)


REGIONS = {
    "twice": lambda f, x: f(f(x, x[0]), 2.0),
    "in a loop": lambda f, x: [x := f(x, 0.9) for _ in range(5)][-1],
    "nested": lambda f, x: adcore.checkpoint(lambda y: f(f(y, x[1]), 0.5))(x),
    "closure": lambda f, x: adcore.checkpoint(lambda: f(x, x[0]) * x)(),
}


@pytest.mark.parametrize("name", REGIONS)
def test_regions_differentiate_to_third_order(name):
    region = adcore.checkpoint(lambda x, p: np.sin(np.exp(x) * p))
    check_grads(lambda x: np.sum(REGIONS[name](region, x)), [x], order=3)


def test_a_region_returns_trees_and_writes_into_its_arguments():
    @adcore.checkpoint
    def f(a, b):
        b[0] = a[1] * 3.0
        return {"s": np.sum(a), "m": a > 0.5, "n": 3, "none": None}

    def model(x):
        y = x * 1.0
        out = f(x, y)
        assert out["n"] == 3 and out["none"] is None
        return np.sum(y**2) + out["s"] ** 3 + np.sum(np.where(out["m"], x, 0.0))

    check_grads(model, [x], order=2)


def test_regions_may_branch_on_values():
    f = adcore.checkpoint(lambda x: x**2 if x[0] > 0 else x)
    g = adcore.compile(adcore.grad(lambda x: np.sum(f(x))))
    assert_allclose(g(x), 2 * x)
    assert_allclose(g(-x), 1.0)


def test_equal_regions_are_planned_once():
    step = adcore.checkpoint(lambda s: s + 0.1 * np.sin(s))

    def model(x):
        for _ in range(50):
            x = step(x)
        return np.sum(x)

    assert len({id(r) for r in adcore.trace(model, x).rules}) == 1


def test_a_region_keeps_no_intermediate_values():
    def deep(x):
        for _ in range(20):
            x = np.sin(x) * np.exp(x / 7.0)
        return x

    def peak(f):
        from adcore.sweep import engine

        program, _ = engine.derived(adcore.trace(lambda x: np.sum(f(f(f(f(x))))), np.ones(10000)).program, "gradient", (0,))
        return engine.plan_of(program).arena_bytes

    assert peak(adcore.checkpoint(deep)) < 0.3 * peak(deep)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 20, 57, 1000])
@pytest.mark.parametrize("slots", [1, 2, 5, 19])
def test_the_schedule_reverses_every_step_with_the_states_it_has(n, slots):
    stored, back, now = {0, *positions(n, slots)}, [], None
    assert len(stored) <= slots + 1
    for what, at, to in schedule(n, slots):
        if what == "advance":
            assert at in stored
            now = to
        elif what == "store":
            assert now == at
            stored.add(at)
        else:
            assert at in stored or now == at
            stored.discard(at)
            back.append(at)
        assert len(stored) <= slots + 1
    assert back == list(range(n - 1, -1, -1))


@pytest.mark.parametrize(("n", "slots"), [(57, 5), (1000, 19), (1000, 40), (10000, 900)])
def test_the_schedule_recomputes_no_more_than_the_binomial_bound(n, slots):
    repeats = next(r for r in range(1, 99) if reach(slots, r) >= n)
    # Griewank's r n - C(s + r, r - 1), of which the n - 1 steps of the first run are not recomputed
    assert recomputed(n, slots) <= repeats * n - math.comb(slots + repeats, repeats - 1) - (n - 1) + 1


def test_nothing_is_recomputed_where_all_states_fit():
    state = np.zeros(1000)
    assert [recomputed(50, slots_for(k * state.nbytes, state, 50)) for k in (49, 50, 1000)] == [0, 0, 0]
    assert slots_for(48 * state.nbytes, state, 50) == 21
    assert slots_for(1, state, 50) == 1


def test_a_long_loop_stays_within_its_memory():
    state = np.linspace(0.0, 1.0, 20000)
    f = lambda s: np.sum(adcore.loop(lambda s: s + 1e-3 * np.sin(s), s, 1000, memory="4MB"))  # noqa: E731
    adcore.gradient(f, state)
    tracemalloc.start()
    g = adcore.gradient(f, state)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6e6
    slope = 1.0
    s = state[10000:10001].copy()
    for _ in range(1000):
        slope *= 1 + 1e-3 * np.cos(s[0])
        s += 1e-3 * np.sin(s)
    assert_allclose(g[10000], slope, rtol=1e-12)


@pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="the system keeps no high-water mark")
def test_states_that_recomputation_stores_take_no_more_pages_than_their_bytes():
    """Resident memory: a block of one megabyte of its own takes a page of two."""
    code = """
import pathlib, numpy as np, adcore
def status(name):
    return next(int(l.split()[1]) for l in pathlib.Path("/proc/self/status").read_text().splitlines() if l.startswith(name))
def gradient(n, memory):
    return adcore.gradient(lambda s: np.sum(adcore.loop(lambda s: s + 1e-3 * np.sin(s), s, n, memory=memory)), np.ones(2**17))
gradient(3, "8MB")
before = status("VmRSS")
gradient(300, "128MB")
print(status("VmHWM") - before)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(out.stdout) * 1024 <= 128e6


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (lambda s: s if s[0] > 0 else -s, "looks at a value"),
        (lambda s: s[:2], "like the one it takes"),
        (lambda s: (s, s), "like the one it takes"),
    ],
)
def test_a_step_that_no_loop_can_run_is_refused(step, text):
    with pytest.raises(errors.AdcoreError, match=text):
        adcore.gradient(lambda x: np.sum(adcore.loop(step, x, 3)), x)


@pytest.mark.parametrize("n", [-1, 1.5, True])
def test_a_loop_wants_a_number_of_steps(n):
    with pytest.raises(errors.ArgumentError, match="number of steps"):
        adcore.loop(lambda s: s, x, n)


@pytest.mark.parametrize("memory", ["2 apples", -1, 0, True, ""])
def test_memory_is_bytes_or_a_size(memory):
    with pytest.raises(ValueError, match="memory"):
        adcore.config(memory=memory)
