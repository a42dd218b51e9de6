"""What is installed: everything that a user's build and type checker need beside the package, and no sources of the core."""

import importlib.metadata
import os
import pathlib

import pytest

import adcore

try:
    FILES = {str(f) for f in importlib.metadata.files("adcore") or () if str(f).startswith("adcore/")}
except importlib.metadata.PackageNotFoundError:
    FILES = set()
installed = pytest.mark.skipif(not FILES, reason="adcore runs from a development build")


def test_include_directory_has_header_and_declarations():
    include = pathlib.Path(adcore.get_include())
    header = next(include.rglob("adcore_primitive.h"))
    assert "AD_RESTRICT" in header.read_text() or "restrict" in header.read_text()
    package = pathlib.Path(adcore.__file__).parent
    assert (package / "primitive.pxd").is_file() and (package / "__init__.pxd").is_file() and (package / "py.typed").is_file()
    assert "adcore_primitive.h" in (package / "primitive.pxd").read_text()


@installed
def test_the_wheel_has_what_users_build_and_check_with():
    for name in ("primitive.pxd", "__init__.pxd", "include/adcore_primitive.h", "py.typed", "tracer/array.pyi", "numpy/__init__.py",
                 "scipy/interpolate.py", "scipy/spatial/distance.py"):  # fmt: skip
        assert f"adcore/{name}" in FILES, name


@installed
def test_the_wheel_has_every_module_and_nothing_of_the_build():
    package = pathlib.Path(adcore.__file__).parent
    compiled = {f.rsplit("/", 1)[0] for f in FILES if f.endswith((".so", ".pyd"))}
    assert {f"adcore/{part}" for part in ("tape", "passes", "plan", "sweep", "kernels", "tracer")} <= compiled
    assert not [f for f in FILES if f.endswith((".pyx", ".c", ".o", ".pxi", "CMakeLists.txt"))]
    on_disk = {f"adcore/{os.path.relpath(p, package)}" for p in package.rglob("*.py")}
    assert {f.replace("\\", "/") for f in on_disk} <= FILES
