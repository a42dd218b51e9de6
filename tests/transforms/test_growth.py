"""The time to record, differentiate and plan grows with a program's length, not faster, whatever it is made of."""

import time

import numpy as np
import pytest
from adcore.passes.optimise import optimise
from adcore.passes.reverse import reverse
from adcore.plan.lower import lower
from adcore.transforms.recording import Recording

import adcore

X = np.linspace(0.1, 0.9, 24)


def small_vectors(x, n):
    h = c = x
    for _ in range(n):
        gate = 1.0 / (1.0 + np.exp(-(h * x + 0.1)))
        c = gate * c + np.tanh(h)
        h = gate * np.tanh(c)
    return np.sum(h)


def straight_line(x, n):
    a, b = x[0], x[1]
    for k in range(3 * n):
        a, b = 0.6 * (a + b) * x[k % 24], np.sin(a)
    return a + b


def parts_of_one_array(x, n):
    total = 0.0
    for k in range(n):
        total = total + np.sum(x[k % 12 : k % 12 + 10] * x[::-1][:10])
    return total


def elements_written_in_turn(x, n):
    out = np.zeros(n)
    for k in range(n):
        out[k] = x[k % 24] * x[3]
    return np.sum(out * out)


def copies_of_one_array_with_one_element_changed(x, n):
    base, total = np.sin(x), 0.0
    for k in range(n):
        y = base.copy()
        y[k % 24] = base[(k + 1) % 24] * x[2]
        total = total + np.sum(y * base)
    return total


def halves_written_over(x, n):
    y = np.sin(x)
    for _ in range(n):
        y[:12] = np.cos(y[12:])
        y[12:] = y[12:] * y[:12] + y[11::-1]
    return np.sum(y)


def running_sums(x, n):
    total = np.zeros(24)
    for k in range(n):
        total[k % 20 : k % 20 + 4] += x[:4] * x[4:8]
        total += np.exp(-total)
    return np.sum(total)


def scalars_and_arrays_in_turn(x, n):
    y = x
    for _ in range(n):
        y = y / (1.0 + np.sum(y * y))
        y = np.where(y[0] > 2.0, y, y + x)
    return np.sum(y)


def products(x, n):
    a = np.reshape(x[:16], (4, 4))
    y = a
    for _ in range(n):
        y = np.tanh(a @ y)
    return np.sum(y)


CASES = [
    (small_vectors, 400), (straight_line, 1500), (parts_of_one_array, 1000), (elements_written_in_turn, 2000),
    (copies_of_one_array_with_one_element_changed, 500), (halves_written_over, 500), (running_sums, 500),
    (scalars_and_arrays_in_turn, 500), (products, 1000),
]  # fmt: skip


def seconds(f, n):
    start = time.process_time()
    recording = Recording(f, (X, n), {}, (0,))
    recording.trace.tape.set_results([recording.number(recording.result)])
    lower(optimise(reverse(optimise(recording.trace.tape), [0])), True)
    recording.trace.close()
    return time.process_time() - start


@pytest.mark.parametrize(("f", "n"), CASES, ids=[f.__name__ for f, _ in CASES])
def test_the_time_to_plan_grows_with_the_length(f, n):
    seconds(f, 10)
    for _ in range(4):  # the machine may be busy: one fair comparison is enough
        ratio = seconds(f, 16 * n) / min(seconds(f, n) for _ in range(3))
        if ratio < 48.0:  # linear: 16, and caches overflow; quadratic: 256
            return
    raise AssertionError(f"{f.__name__}: 16 times as long a program took {ratio:.0f} times as long")


def test_a_long_recurrence_of_scalars_has_the_gradient_that_the_loop_gives_by_hand():
    n = 100_000

    def f(x):
        a = x[0]
        for _ in range(n):
            a = a * x[1] + 0.5
        return a

    x = np.array([0.3, 0.999])
    a, by_start, by_factor = x[0], 1.0, 0.0
    for _ in range(n):
        by_start, by_factor, a = by_start * x[1], by_factor * x[1] + a, a * x[1] + 0.5
    value, gradient = adcore.value_and_grad(f)(x)
    np.testing.assert_allclose(value, a, rtol=1e-12)
    np.testing.assert_allclose(gradient, [by_start, by_factor], rtol=1e-9, atol=1e-40)  # 1e5 roundings add up
