"""What a call of an explicit derivative costs besides its sweep, checked and unchecked: ``python -m bench.boundary``."""

import timeit

import numpy as np

import adcore
from adcore import Active, Duplicated

NUMBER, ROUNDS = 300, 15


def simple(x, s):
    return s * np.sum(x**2)


def many(*xs):
    return sum(np.sum(x) for x in xs)


def tree(p):
    return np.sum(p["w"][0]) * np.sum(p["w"][1] ** 2) + np.sum(p["b"])


def cases():
    x, dx = np.ones(10), np.zeros(10)
    yield "2 arguments", adcore.autodiff(simple, "reverse", Duplicated, Active, ret=Active), (x, dx, 3.0)
    pairs = [np.ones(10) for _ in range(40)]
    yield "20 arrays", adcore.autodiff(many, "reverse", *[Duplicated] * 20, ret=Active), pairs
    block = np.ones((10, 40))
    views = [block[:, k] for k in range(40)]
    yield "20 interleaved views", adcore.autodiff(many, "reverse", *[Duplicated] * 20, ret=Active), views
    p, dp = ({"w": [np.ones(3), np.ones(4)], "b": np.ones(2)} for _ in range(2))
    yield "a tree of 3 arrays", adcore.autodiff(tree, "reverse", Duplicated, ret=Active), (p, dp)
    yield "compile(value_and_grad) of the first", adcore.compile(adcore.value_and_grad(simple, argnums=(0, 1))), (x, 3.0)


def best(f, args):
    """Least microseconds of a call, checked and unchecked, in turn."""
    least = {False: float("inf"), True: float("inf")}
    f(*args)
    for _ in range(ROUNDS):
        for unchecked in least:
            with adcore.config(unchecked=unchecked):
                least[unchecked] = min(least[unchecked], timeit.timeit(lambda: f(*args), number=NUMBER) / NUMBER * 1e6)
    return least[False], least[True]


def main():
    print("| call | checked | unchecked |\n| --- | --- | --- |")
    for name, f, args in cases():
        checked, unchecked = best(f, args)
        print(f"| {name} | {checked:.1f} | {unchecked:.1f} |", flush=True)


if __name__ == "__main__":
    main()
