"""Hand-written C: what the gradient costs when a person writes it.

One file a problem, ``bench/hand/<name>.c``. Every function is called ``<name>_<what>``, takes pointers to
contiguous float64 arrays declared ``AD_RESTRICT`` and sizes as ``long``, and adds nothing to what a sweep must do: the
same value, the same gradient, written over. ``AD_RESTRICT`` is ``restrict`` unless ``library`` is told otherwise;
``AT(a, i, n)`` is ``a[i]``, or tests ``i < n`` first in a checked build.
"""

import contextlib
import ctypes
import functools
import hashlib
import os
import pathlib
import subprocess
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
BEST = ("-O3", "-march=native")


_build = {"flags": BEST, "restrict": True, "checked": False}


@contextlib.contextmanager
def building(**options):
    """Other ``flags``, ``restrict=False`` or ``checked=True`` for what ``library`` compiles inside the block."""
    before = dict(_build)
    _build.update(options)
    try:
        yield
    finally:
        _build.update(before)


def library(name, **options):
    """``<name>.c`` compiled by the machine's C compiler and loaded; kept for the next run of the same text."""
    return compiled(name, **{**_build, **options})


@functools.cache
def compiled(name, flags, restrict, checked, sources=None):
    source = pathlib.Path(sources or HERE) / f"{name}.c"
    command = [os.environ.get("CC", "cc"), *flags, "-shared", "-fPIC", f"-I{HERE}", f"-I{HERE.parent.parent}/src/adcore/kernels",
               f"-DAD_RESTRICT={'restrict' if restrict else ''}", f"-DAD_CHECKED={int(checked)}"]  # fmt: skip
    texts = b"".join(p.read_bytes() for p in sorted([source, *HERE.glob("*.h")]))
    key = hashlib.sha256(" ".join(command).encode() + texts).hexdigest()[:16]
    target = pathlib.Path(tempfile.gettempdir()) / f"adcore-bench-{os.getuid()}" / f"{name}-{key}.so"
    if not target.exists():
        target.parent.mkdir(mode=0o700, exist_ok=True)
        part = target.with_suffix(f".{os.getpid()}")
        subprocess.run([*command, str(source), "-o", str(part), "-lm"], check=True)
        part.replace(target)
    return ctypes.CDLL(str(target))


def call(function, *args):
    """Bind a C function to its arguments once: arrays go as pointers, ints as ``long``, floats as ``double``."""
    function.restype = ctypes.c_double
    bound = []
    for a in args:
        if isinstance(a, np.ndarray):
            if not a.flags.c_contiguous:
                raise ValueError("hand-written C takes contiguous arrays")
            bound.append(ctypes.c_void_p(a.ctypes.data))
        elif isinstance(a, int):
            bound.append(ctypes.c_long(a))
        else:
            bound.append(ctypes.c_double(a))
    kept = args  # the arrays must outlive the pointers

    def run():
        return function(*bound), kept

    return run
