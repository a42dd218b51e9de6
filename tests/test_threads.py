"""Sweeps on several threads: from several Python threads, in children of a fork, under nested settings."""

import multiprocessing
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import adcore
from adcore.sweep import engine, pool

x = np.random.default_rng(0).normal(size=60000)
gradient = adcore.grad(lambda x: np.sum(np.tanh(x) * np.exp(-x * x)))


def expected():
    with adcore.config(threads=1):
        return gradient(x)


def test_eight_threads_run_the_same_plan():
    want = expected()
    wrong = []

    def work(threads):
        with adcore.config(threads=threads):
            for _ in range(15):
                if not np.array_equal(gradient(x), want):
                    wrong.append(threads)

    runners = [threading.Thread(target=work, args=(1 + k % 4,)) for k in range(8)]
    for t in runners:
        t.start()
    for t in runners:
        t.join()
    assert not wrong
    assert pool.workers() >= 1


def test_nested_settings_and_a_sweep_inside_a_sweep():
    want = expected()
    with adcore.config(threads=3):
        with adcore.config(threads=1):
            assert adcore.config.threads() == 1
            np.testing.assert_array_equal(gradient(x), want)
        assert adcore.config.threads() == 3
        np.testing.assert_array_equal(gradient(x), want)
        outer = adcore.gradient(lambda x: np.sum(x * adcore.gradient(lambda y: np.sum(np.tanh(y) * np.exp(-y * y)), x)), x)
    with adcore.config(threads=1):
        inner = adcore.gradient(lambda x: np.sum(x * adcore.gradient(lambda y: np.sum(np.tanh(y) * np.exp(-y * y)), x)), x)
    np.testing.assert_array_equal(outer, inner)


def in_child(connection):
    with adcore.config(threads=2):
        connection.send((gradient(x), pool.workers()))
    connection.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_children_of_a_fork_in_the_middle_of_sweeps_have_a_pool_of_their_own():
    want = expected()
    stop = threading.Event()

    def sweep():
        with adcore.config(threads=2):
            while not stop.is_set():
                gradient(x)

    runner = threading.Thread(target=sweep)
    runner.start()
    context = multiprocessing.get_context("fork")
    try:
        for _ in range(5):
            here, there = context.Pipe(duplex=False)
            child = context.Process(target=in_child, args=(there,))
            child.start()
            there.close()
            assert here.poll(60), "the child hangs"
            found, workers = here.recv()
            child.join(60)
            assert child.exitcode == 0
            np.testing.assert_array_equal(found, want)
            assert workers == 1
    finally:
        stop.set()
        runner.join()


class Slow:
    """A mode that a thread looks up for as long as it takes."""

    def __init__(self):
        self.looking, self.go_on = threading.Event(), threading.Event()

    def __hash__(self):
        self.looking.set()
        self.go_on.wait(60)
        return 1


def compiled_in_child(connection, f):
    with adcore.config(threads=1):
        connection.send(f(x))
    connection.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_waits_until_no_other_thread_holds_a_lock():
    """The child has no other threads: a lock that one of them held would stay locked for good."""
    want = expected()
    f = adcore.compile(gradient)
    mode = Slow()
    program = adcore.trace(np.sum, x).program
    planner = threading.Thread(target=engine.find_plan, args=(program, mode, lambda: None))
    planner.start()
    mode.looking.wait(60)
    threading.Timer(0.2, mode.go_on.set).start()
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=compiled_in_child, args=(there, f))
    child.start()
    there.close()
    try:
        assert here.poll(60), "the child hangs"
        np.testing.assert_array_equal(here.recv(), want)
    finally:
        child.kill()
        child.join()
        planner.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_children_of_a_fork_while_other_threads_record_plan_and_change_settings():
    stop = threading.Event()

    def work(k):
        while not stop.is_set():
            with adcore.config(threads=1 + k % 2):
                adcore.gradient(lambda y: np.sum(y * y), np.ones(1 + k))
            k += 1

    runners = [threading.Thread(target=work, args=(1000 * j,)) for j in range(3)]
    for runner in runners:
        runner.start()
    context = multiprocessing.get_context("fork")
    try:
        for _ in range(20):
            here, there = context.Pipe(duplex=False)
            child = context.Process(target=compiled_in_child, args=(there, adcore.grad(lambda y: np.sum(y[:10] ** 2))))
            child.start()
            there.close()
            answered = here.poll(60)
            child.kill()
            child.join()
            assert answered, "the child hangs"
    finally:
        stop.set()
        for runner in runners:
            runner.join()


def test_interrupts_reach_python():
    code = (
        "import signal, numpy as np, adcore\n"
        "seen = []\n"
        "signal.signal(signal.SIGALRM, lambda *_: seen.append(1))\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.02, 0.005)\n"
        "with adcore.config(threads=3):\n"
        "    while len(seen) < 20:\n"
        "        adcore.gradient(lambda x: np.sum(np.sin(x)), np.ones(50000))\n"
        "print('done')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout == "done\n", done.stderr
