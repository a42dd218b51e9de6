"""Memory of large results: owned by the caller, kept for the next result when dropped."""

import concurrent.futures
import os

import numpy as np
import pytest
from numpy._core.multiarray import get_handler_name

import adcore
from adcore.sweep import engine

LARGE = np.random.default_rng(0).normal(size=200_000)
gradient = adcore.grad(lambda x: np.sum(x**2))


@pytest.fixture(autouse=True)
def nothing_idle():
    engine.clear_plans()
    yield
    engine.clear_plans()


def where(array):
    return array.__array_interface__["data"][0]


def test_a_dropped_result_is_the_memory_of_the_next():
    first = gradient(LARGE)
    at = where(first)
    assert get_handler_name(first) == "adcore" and first.flags.owndata and engine.idle_results_bytes() == 0
    second = gradient(LARGE)
    assert where(second) != at
    del first
    assert engine.idle_results_bytes() == LARGE.nbytes
    third = gradient(LARGE + 1)
    assert where(third) == at
    np.testing.assert_array_equal(second, 2 * LARGE)
    np.testing.assert_array_equal(third, 2 * (LARGE + 1))


def test_a_block_serves_results_that_are_little_shorter():
    at = where(gradient(LARGE))
    assert where(gradient(LARGE[:170_000])) == at
    kept = gradient(LARGE[:140_000])
    assert where(kept) != at
    np.testing.assert_array_equal(kept, 2 * LARGE[:140_000])


def test_small_results_are_numpys():
    assert get_handler_name(gradient(LARGE[:1000])) == "default_allocator"
    assert get_handler_name(np.empty(300_000)) == "default_allocator"


def test_no_more_is_kept_than_stated():
    arrays = [gradient(LARGE[: 150_000 + 3000 * k]) for k in range(17)]
    last = arrays[-1].nbytes
    arrays.clear()
    assert 15 * 1_200_000 < engine.idle_results_bytes() < 17 * last
    many = [gradient(np.zeros(12_000_000)) for _ in range(3)]
    many.clear()
    assert engine.idle_results_bytes() <= 256 << 20
    engine.clear_plans()
    assert engine.idle_results_bytes() == 0


def test_a_result_may_change_its_size_and_outlive_its_plan():
    result = gradient(LARGE)
    engine.clear_plans()
    for n in (250_000, 10, 200_000):
        result.resize(n, refcheck=False)
        np.testing.assert_array_equal(result[:10], 2 * LARGE[:10])
    assert not result[10:].any()


def test_threads_drop_and_take():
    f = adcore.compile(gradient)

    def work(seed):
        x = np.random.default_rng(seed).normal(size=150_000 + 1000 * seed)
        kept = []
        for k in range(40):
            kept.append(f(x + k))
            if k % 3 == 2:
                for j, array in enumerate(kept):
                    np.testing.assert_array_equal(array, 2 * (x + (k - 2 + j)))
                kept.clear()
        return True

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_has_memory_of_its_own():
    gradient(LARGE)
    kept = gradient(LARGE)
    child = os.fork()
    if child == 0:
        ok = np.array_equal(gradient(3 * LARGE), 6 * LARGE) and np.array_equal(kept, 2 * LARGE)
        os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
    np.testing.assert_array_equal(kept, 2 * LARGE)


def test_resident_memory_is_flat():
    resource = pytest.importorskip("resource")
    sizes = [150_000, 200_000, 260_000, 1_000_000]
    for n in sizes * 3:
        gradient(np.ones(n))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for n in sizes * 100:
        gradient(np.ones(n))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000
