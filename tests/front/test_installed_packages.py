"""Code of installed packages: NumPy there is recorded as the user's is, where the code that runs can reach it."""

import importlib
import sys

import numpy as np
import pytest
from adcore.front import reach
from adcore.testing import check_grads

import adcore
from adcore import errors

x = np.array([0.3, -0.7, 1.1])

FILES = {
    "__init__": "from . import curves, tables\nfrom .shapes import Shape\nfrom .tables import METHODS, decorated\nfrom . import unused\n",
    "curves": """
import functools
import numpy as np
from numpy import asarray
from numpy._core import multiarray

def filled(values):
    out = np.zeros(len(values))
    for i, v in enumerate(asarray(values, dtype=float)):
        out[i] = v * v
    return out

def curve(x):
    x = np.atleast_1d(np.asarray(x, float))
    return np.sum(filled(x) * [1.0, 2.0, 3.0])

def checked(f):
    @functools.wraps(f)
    def of(x):
        assert isinstance(np.asarray(x), np.ndarray)
        return f(np.array(x))
    return of

def lost(x):
    return np.sum(multiarray.asarray(x))
""",
    "shapes": """
import numpy as np

class Base:
    def area(self):
        return np.sum(np.array([side * side for side in self.sides]))

class Shape(Base):
    def __init__(self, sides):
        self.sides = np.asarray(sides, dtype=np.float64)

    def __mul__(self, other):
        return Shape(np.array([other * side for side in self.sides]))
""",
    "tables": """
import numpy as np
from .curves import checked, curve

def doubled(x):
    return 2 * np.sum(np.asarray(x) ** 3)

METHODS = {"curve": curve, "doubled": doubled}

@checked
def decorated(x):
    return np.sum(np.asarray(x) * 3)
""",
    "unused": "import numpy as np\ndef nothing(x):\n    return np.asarray(x)\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that is installed."""
    (tmp_path / "curved").mkdir()
    for name, text in FILES.items():
        (tmp_path / "curved" / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    site = (*errors.SITE, str(tmp_path))
    for module in (reach, errors):
        monkeypatch.setattr(module, "SITE", site)
    importlib.invalidate_caches()
    yield importlib.import_module("curved")
    for name in [n for n in sys.modules if n.split(".")[0] == "curved"]:
        del sys.modules[name]


CALLS = {
    "function of a module": lambda curved: lambda x: curved.curves.curve(x),
    "function in a dictionary": lambda curved: lambda x: sum(curved.METHODS[name](x) for name in ("curve", "doubled")),
    "decorated function": lambda curved: lambda x: curved.decorated(x),
    "object": lambda curved: lambda x: (curved.Shape(x) * 3.0).area(),
    "object made before": lambda curved: (lambda shape: lambda x: (shape * x[0]).area() + x[1])(curved.Shape([1.0, 2.0])),
    "import inside": lambda curved: imports_inside,
}


def imports_inside(x):
    import curved.curves as late

    return late.curve(x)


@pytest.mark.parametrize("name", CALLS)
def test_numpy_in_an_installed_package_is_recorded(name, package):
    f = CALLS[name](package)
    check_grads(f, [x])
    g = adcore.compile(adcore.grad(f))
    for at in (x, 2 * x):
        np.testing.assert_allclose(g(at), adcore.gradient(f, at))


def test_modules_that_no_name_leads_to_are_left_alone(package):
    space, seen = vars(sys.modules["curved.unused"]), []

    def f(x):
        seen.append(space["np"])
        return package.curves.curve(x)

    adcore.gradient(f, x)
    assert seen[0] is np
    names = {n.get("__name__") for n in reach.Reach(reach.roots_of(CALLS["object"](package))).namespaces.values()}
    assert {"curved.shapes", "curved.curves"} <= names and "curved.unused" not in names
    assert package.curves.np is np and package.curves.asarray is np.asarray


def test_packages_with_arrays_of_their_own_get_no_twins(package, monkeypatch):
    monkeypatch.setattr(reach, "FRAMEWORKS", frozenset({"curved"}))
    with pytest.raises(errors.LostTrace):
        adcore.gradient(CALLS["function of a module"](package), x)


def test_errors_name_the_users_line_and_that_of_the_package(package):
    with pytest.raises(errors.LostTrace, match=r"^test_installed_packages.py:\d+ -> curves.py:\d+: "):
        adcore.gradient(lambda x: package.curves.lost(x), x)


def test_the_search_ends_in_modules_that_lead_to_each_other(package):
    package.curves.shapes, package.shapes.curves = package.shapes, package.curves
    package.curves.METHODS = package.METHODS
    package.METHODS["self"] = package.tables
    found = reach.Reach(reach.roots_of(CALLS["function in a dictionary"](package)))
    assert "curved.tables" in {n.get("__name__") for n in found.namespaces.values()}
