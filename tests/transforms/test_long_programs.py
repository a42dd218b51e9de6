"""A million scalar instructions: recorded, differentiated, planned and replayed in memory that grows with their number only."""

import json
import math
import subprocess
import sys

import pytest

TURNS = """
import json, math, resource, sys
import numpy as np
import adcore

def turned(x):
    c, s = math.cos(x[2]), math.sin(x[2])
    a, b = x[0], x[1]
    for _ in range(turns):
        a, b = c * a - s * b, s * a + c * b
    return a

def peak():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

x = np.array([0.8, 0.6, 1e-3])
compiled = adcore.compile(adcore.grad(turned))
found, used = [], []
for turns in map(int, sys.argv[1:]):
    before = peak()
    g = adcore.gradient(turned, x)
    used.append(peak() - before)
    found.append([g.tolist(), compiled(x).tolist(), compiled(x + 1e-4).tolist()])
print(json.dumps([found, used]))
"""
INSTRUCTIONS = 6  # a turn


def derivative(turns, a, b, angle):
    c, s = math.cos(turns * angle), math.sin(turns * angle)
    return [c, -s, -turns * (a * s + b * c)]


@pytest.mark.skipif(sys.platform == "win32", reason="no resource module")
def test_a_million_scalar_instructions():
    few, many = 20_000, 170_000
    run = subprocess.run([sys.executable, "-c", TURNS, str(few), str(many)], capture_output=True, text=True, check=True)
    found, used = json.loads(run.stdout)
    for turns, results in zip((few, many), found, strict=True):
        for g, angle in zip(results, (1e-3, 1e-3, 1.1e-3), strict=True):
            d = 1e-4 if angle > 1e-3 else 0.0
            assert g == pytest.approx(derivative(turns, 0.8 + d, 0.6 + d, angle), rel=1e-8, abs=1e-8 * turns)
    assert used[1] < 800 * INSTRUCTIONS * many
