"""What the documentation shows is true."""

import doctest
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

import adcore

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODULES = [
    "adcore.transforms.gradient",
    "adcore.transforms.jacobian",
    "adcore.transforms.recording",
    "adcore.testing",
    "adcore.config",
    "adcore.inspect",
    "adcore.integrations.integrate",
    "adcore.integrations.optimize",
    "adcore.native",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings(name):
    __import__(name)
    module = sys.modules[name]
    examples = doctest.DocTestFinder(exclude_empty=True).find(module, name)
    if name == "adcore.config":
        examples += doctest.DocTestFinder().find(type(module).__call__, "config")
    assert any(e.examples for e in examples)
    runner = doctest.DocTestRunner()
    for example in examples:
        assert runner.run(example).failed == 0


def test_the_example_of_the_readme():
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S).group(1)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    x = np.array([1.0, 2.0, 3.0, 4.0])
    adcore.testing.check_grads(names["f"], [x])


def test_the_examples_of_the_page_of_derivatives():
    failed, tried = doctest.testfile(str(ROOT / "docs" / "derivatives.md"), module_relative=False)
    assert tried > 10
    assert failed == 0


def test_the_coverage_page_is_up_to_date():
    result = subprocess.run([sys.executable, ROOT / "tools" / "coverage.py", "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
