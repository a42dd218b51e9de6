"""What a process loads, and when: nothing of SciPy before it is needed."""

import subprocess
import sys

PREFIX = "import sys, numpy as np, adcore\n"


def run(code):
    out = subprocess.run([sys.executable, "-c", PREFIX + code], capture_output=True, text=True, check=True)
    return out.stdout.strip()


def test_importing_adcore_loads_no_scipy():
    assert run("print([m for m in sys.modules if m.startswith('scipy')])") == "[]"


def test_a_gradient_without_products_loads_no_scipy():
    code = "adcore.gradient(lambda x: np.sum(np.sin(x) * x), np.ones(5))\nprint([m for m in sys.modules if m.startswith('scipy')])"
    assert run(code) == "[]"


def test_a_product_loads_blas_and_not_its_package():
    code = """
x = np.arange(900.0).reshape(30, 30) / 900
gradient = adcore.gradient(lambda x: np.sum(x @ x), x)
assert np.allclose(gradient, x.sum(1)[None, :] + x.sum(0)[:, None])
assert "scipy.linalg" not in sys.modules
import scipy.linalg.cython_blas
assert "dgemm" in scipy.linalg.cython_blas.__pyx_capi__
assert np.allclose(scipy.linalg.solve(np.eye(3) * 2, np.ones(3)), 0.5)
print("right")
"""
    assert run(code) == "right"


def test_blas_of_a_loaded_scipy():
    code = """
import scipy.linalg
x = np.arange(900.0).reshape(30, 30) / 900
print(np.allclose(adcore.gradient(lambda x: np.sum(x @ np.ones(30)), x), 1.0))
"""
    assert run(code) == "True"
