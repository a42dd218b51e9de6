"""Profiles and memory reports: they name the user's lines and add up."""

import numpy as np
import pytest

import adcore
from adcore.sweep import engine

HERE = "test_inspect.py"
x = np.random.default_rng(0).normal(size=4000)


def f(x):
    a = np.cumsum(np.sin(x))  # line one
    b = np.exp(-a * a)  # line two
    return np.sum(a * b)


FIRST = f.__code__.co_firstlineno + 1


@pytest.mark.parametrize("mode", ["value", "gradient"])
def test_a_profile_maps_time_to_the_lines_of_the_function(mode):
    profile = adcore.trace(f, x).profile(mode)
    assert {(HERE, FIRST), (HERE, FIRST + 1)} <= set(profile.lines)
    assert all(place[0] == HERE for place in profile.lines)
    assert 0 < sum(profile.lines.values()) <= profile.seconds * (1 + 1e-9)
    assert f"{HERE}:{FIRST}" in str(profile)
    assert "# line two" in str(profile)
    assert any(step.kind == "cumsum" and step.bytes == 2 * x.nbytes for step in profile.steps)


def test_a_profile_and_a_memory_report_show_loops_over_tiles_as_they_run():
    a = np.random.default_rng(1).normal(size=(3001, 64))
    w = np.random.default_rng(2).normal(size=(64, 64)) * 0.1
    view = adcore.trace(lambda a, w: np.sum(np.tanh(np.tanh(a @ w) @ w) ** 2), a, w)
    program, _ = engine.derived(view.program, "gradient", (0, 1))
    assert engine.plan_of(program).loops_as_dicts()
    profile, report = view.profile("gradient"), view.memory_report()
    products = [step for step in profile.steps if step.kind == "matmul"]
    assert len(products) >= 6
    assert all(step.bytes <= 3 * a.nbytes + 200 * w.nbytes for step in products), "tiles, not whole arrays for each tile"
    assert all(place[0] == HERE for place in profile.lines)
    assert sum(step.flops for step in profile.steps if step.kind == "matmul") == 6 * 2 * 3001 * 64 * 64
    with adcore.config(optimise=False):
        assert report.peak < view.memory_report().peak / 3


def test_a_memory_report_names_what_is_alive():
    report = adcore.trace(f, x).memory_report()
    assert 0 < report.peak <= report.arena
    assert sum(held.bytes for held in report.values) == report.peak
    assert report.results == x.nbytes + 8
    assert report.plain >= x.nbytes
    assert any(held.place is not None and held.place[0] == HERE for held in report.values)
    assert "alive at the peak" in str(report)


def test_the_view_prints_as_the_program_and_counts_its_instructions():
    view = adcore.trace(f, x)
    assert str(view) == str(view.program)
    assert len(view) == len(view.program)
    assert view == adcore.trace(f, x)
    assert view.outputs == view.program.outputs


def test_a_report_on_the_plain_function_leaves_the_arguments_alone():
    def writes(y):
        y[0] = 5.0
        return np.sum(y)

    y = np.ones(3)
    adcore.trace(writes, y).memory_report()
    assert y[0] == 1.0


def test_the_gradient_of_several_results_is_refused():
    with pytest.raises(adcore.errors.ArgumentError, match="one scalar result"):
        adcore.trace(lambda x: x * 2, x).profile("gradient")
    with pytest.raises(adcore.errors.ArgumentError, match="mode="):
        adcore.trace(f, x).profile("reverse")


def test_idle_arenas_are_counted_and_given_back():
    engine.clear_plans()
    before = engine.idle_arena_bytes()
    adcore.gradient(f, np.ones(100_000))
    assert engine.idle_arena_bytes() - before >= 800_000
    engine.clear_plans()
    assert engine.idle_arena_bytes() == before


def test_large_arenas_are_not_kept():
    engine.clear_plans()
    n = 40_000_000
    for k in range(4):
        adcore.gradient(lambda x, k=k: np.sum(np.cumsum(x[:n]) * (k + 1)), np.ones(n + k))
        assert engine.idle_arena_bytes() <= 1 << 30
    engine.clear_plans()
