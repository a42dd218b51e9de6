"""Hand-written C: what the gradient costs when a person writes it.

One file a problem, ``bench/hand/<name>.c``. Every function is called ``<name>_<what>``, takes pointers to
contiguous float64 arrays declared ``AD_RESTRICT`` and sizes as ``long``, and adds nothing to what a sweep must do: the
same value, the same gradient, written over. ``AD_RESTRICT`` is ``restrict`` unless ``building`` says otherwise;
``AT(a, i, n)`` is ``a[i]``, or tests ``i < n`` first in a checked build.
"""

import contextlib
import ctypes
import hashlib
import os
import pathlib
import subprocess
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
MATH = HERE.parent.parent / "src" / "adcore" / "kernels"  # the same vector math as adcore's
BEST = ("-O3", "-march=native")
# in every build, as in those of adcore's kernels; -ffast-math is not among them, since linking with it changes the whole process
ALWAYS = ("-std=gnu11", "-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd", "-shared", "-fPIC")

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


def command():
    """The compiler and its arguments, but for the source and what is made of it."""
    flags = [*_build["flags"], *ALWAYS, f"-I{HERE}", f"-I{MATH}"]
    qualifier = "restrict" if _build["restrict"] else ""
    return [os.environ.get("CC", "cc"), *flags, f"-DAD_RESTRICT={qualifier}", f"-DAD_CHECKED={int(_build['checked'])}"]


def build(source, target):
    """Compile one file into a shared library."""
    subprocess.run([*command(), str(source), "-o", str(target), "-lm"], check=True)


def library(name, sources=HERE):
    """``<name>.c`` compiled by the machine's C compiler and loaded; kept for the next run of the same text."""
    source = pathlib.Path(sources, f"{name}.c")
    texts = b"".join(p.read_bytes() for p in [source, *sorted(HERE.glob("*.h")), *sorted(MATH.glob("ad_math*.h"))])
    key = hashlib.sha256(" ".join(command()).encode() + texts).hexdigest()[:16]
    target = pathlib.Path(tempfile.gettempdir()) / f"adcore-bench-{os.getuid()}" / f"{name}-{key}.so"
    if not target.exists():
        target.parent.mkdir(mode=0o700, exist_ok=True)
        part = target.with_suffix(f".{os.getpid()}")
        build(source, part)
        part.replace(target)
    return ctypes.CDLL(str(target))


def work(name, *sizes):
    """Room for ``<name>_work(sizes)`` doubles."""
    count = library(name)[f"{name}_work"]
    count.restype = ctypes.c_long
    return np.empty(count(*map(ctypes.c_long, sizes)))


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
