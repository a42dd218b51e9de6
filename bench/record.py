"""What recording costs: ns per operator on scalars and arrays, per ufunc, per slice; first call of each problem.

Usage: ``python bench/record.py``.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402  the thread limits come first
from adcore.transforms.recording import Recording  # noqa: E402  the thread limits come first

from bench.problems import NAMES  # noqa: E402  the thread limits come first

COUNT = 5000


def scalar_operators(x):
    a, b, c = x[0], x[1], x[2]
    for _ in range(COUNT):
        a = a * b + c
    return a


def array_operators(x):
    for _ in range(COUNT):
        x = x * 0.5 + 1.0
    return np.sum(x)


def ufuncs(x):
    for _ in range(COUNT):
        x = np.sin(x)
    return np.sum(x)


def slices(x):
    for _ in range(COUNT):
        x[1:]
    return np.sum(x)


CASES = [(scalar_operators, 2, 60), (array_operators, 2, None), (ufuncs, 1, 600), (slices, 1, None)]

FIRST_CALL = """
import sys, time  # noqa: E402  the thread limits come first
import numpy, scipy.special  # noqa: E402  the thread limits come first
start = time.perf_counter()
import adcore  # noqa: E402  the thread limits come first
imported = time.perf_counter()
from bench.problems import problem  # noqa: E402  the thread limits come first
p = problem(sys.argv[1])
f = adcore.value_and_grad(p.fun, argnums=p.argnums)
start_call = time.perf_counter()
f(*p.args)
print(1e3 * (imported - start), 1e3 * (time.perf_counter() - start_call))
"""


def main():
    x = np.array([0.5, 0.9, 0.1])
    for case, per_round, aim in CASES:
        best = float("inf")
        for _ in range(5):
            start = time.perf_counter()
            Recording(case, (x,), {}, (0,))
            best = min(best, time.perf_counter() - start)
        print(f"{case.__name__:18s}{1e9 * best / COUNT / per_round:8.0f} ns{'' if aim is None else f'   aim {aim}'}")
    root = pathlib.Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as cache:  # compiled modules, as an installed package has them
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPYCACHEPREFIX": cache}
        for name in NAMES:
            command = [sys.executable, "-c", FIRST_CALL, name]
            runs = [subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=True).stdout for _ in range(4)]
            imported, first = (min(times) for times in zip(*(map(float, run.split()) for run in runs), strict=True))
            print(f"first gradient of {name:12s}{first:8.1f} ms   aim 50   (import adcore {imported:.1f} ms after numpy)", flush=True)


if __name__ == "__main__":
    main()
