"""Peak memory of one gradient, by the operating system's count.

``peak(problem, peer)`` runs in a process of its own: resident memory before the first call is the
baseline, the high-water mark of a later call is the peak. Usage: ``python bench/memory.py ode:256 adcore``.
"""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def status(field):
    """A line of the kernel's account of this process, in bytes."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def measure(spec, peer):
    from bench.peers import makers
    from bench.problems import problem

    p = problem(*spec.split(":"))
    known = makers(peer)
    make = known[p.name]
    if "elementwise" in known:
        known["elementwise"](problem("elementwise", "10"))()  # what a tool loads on its first use is not the gradient's
    before = status("VmRSS")
    call = make(p)
    call()
    call()
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again
    call()
    return status("VmHWM") - before


def peak(spec, peer):
    """Bytes above the baseline; None where the system keeps no such count."""
    if not pathlib.Path("/proc/self/clear_refs").exists():
        return None
    out = subprocess.run([sys.executable, __file__, spec, peer], check=True, capture_output=True, text=True)
    return int(out.stdout.split()[-1])


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    print(measure(*sys.argv[1:3]))
