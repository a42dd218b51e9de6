"""A first call in a process of its own, with a limit: compilers may take minutes, or all of the memory."""

import json
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def first_call(spec, peer, limit):
    """Seconds of the first call, best seconds of later ones and peak bytes; None when the limit of seconds was not enough."""
    try:
        out = subprocess.run([sys.executable, __file__, spec, peer], capture_output=True, text=True, timeout=limit, check=True)
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        return None
    return json.loads(out.stdout.splitlines()[-1])


def measure(spec, peer):
    from bench.memory import status
    from bench.peers import makers
    from bench.problems import problem

    p = problem(*spec.split(":"))
    known = makers(peer)
    make = known[p.name]
    if "elementwise" in known:
        known["elementwise"](problem("elementwise", "10"))()  # what a tool loads on its first use
    before = status("VmRSS")
    start = time.perf_counter()
    call = make(p)
    call()
    first = time.perf_counter() - start
    best = float("inf")
    start = time.perf_counter()
    while time.perf_counter() - start < 0.5 or best == float("inf"):
        again = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - again)
    return {"first": first, "best": best, "peak": status("VmHWM") - before}


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    print(json.dumps(measure(*sys.argv[1:3])))
