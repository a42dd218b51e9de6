"""The commands of the benchmarks run; what they measure is not looked at."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMANDS = {
    "toggles": (["bench/toggles.py", "--repeat", "1", "--problems", "ode"], r"^ode +\d+\.\d+ +\d+\.\d+"),
    "derivatives": (
        ["-m", "bench.derivatives", "matrices", "--quick", "--only", "Bratu 20"],
        r"^jacobian, Bratu 20 x 20 +adcore sparse +\d",
    ),
    "a loop": (["-m", "bench.derivatives.loops", "rk4", "8", "20", "4KB"], r'"recomputed": [1-9]'),
    "fields": (["-m", "bench.fields", "robust", "--repeat", "1"], r"^robust +\d+\.\d+ +\d+\.\d+ +\d+\.\d+"),
    "boundary": (["-c", "from bench import boundary as b; b.NUMBER, b.ROUNDS = 3, 1; b.main()"], r"a tree of 3 arrays \| \d"),
}


@pytest.mark.parametrize("command, shown", COMMANDS.values(), ids=COMMANDS)
def test_commands_print_their_tables(command, shown):
    out = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    assert re.search(shown, out.stdout, re.MULTILINE), out.stderr
