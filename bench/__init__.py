"""Benchmarks: problems in plain NumPy, and adcore against its peers on them."""

import os
import pathlib
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ADCORE_NUM_THREADS")


def limit_threads(n=1, names=THREADS):
    """Before NumPy is imported: as many threads as asked for, in every tool."""
    for name in names:
        os.environ[name] = str(n)
    if n == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def timed(call, repeat=1):
    """Seconds a call, and the result of the last one."""
    start = time.perf_counter()
    for _ in range(repeat):
        result = call()
    return (time.perf_counter() - start) / repeat, result
