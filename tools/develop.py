"""Build the core incrementally and lay out an importable tree in build/dev/site.

Usage: ``python tools/develop.py [--build-dir build/dev] [--kernels native|all] [--debug]``, then
``PYTHONPATH=build/dev/site python -m pytest``.
"""

import argparse
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build-dir", default="build/dev")
    parser.add_argument("--kernels", default="native", choices=("native", "all"))
    parser.add_argument("--debug", action="store_true")
    options = parser.parse_args()
    build = ROOT / options.build_dir
    site = build / "site"
    subprocess.run(
        [
            "cmake",
            "-S",
            str(ROOT),
            "-B",
            str(build / "cmake"),
            "-G",
            "Ninja",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-DADCORE_KERNELS={options.kernels}",
            f"-DADCORE_DEBUG={'ON' if options.debug else 'OFF'}",
            f"-DCMAKE_INSTALL_PREFIX={site}",
            "-Wno-dev",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    subprocess.run(["cmake", "--build", str(build / "cmake")], check=True)
    subprocess.run(["cmake", "--install", str(build / "cmake")], check=True, stdout=subprocess.DEVNULL)
    for source in (ROOT / "python" / "adcore").rglob("*"):
        if source.suffix in (".py", ".pyi") or source.name == "py.typed":
            target = site / "adcore" / source.relative_to(ROOT / "python" / "adcore")
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_symlink() or target.exists():
                target.unlink()
            target.symlink_to(source)


if __name__ == "__main__":
    main()
