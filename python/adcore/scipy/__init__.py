"""SciPy's modules with adcore's derivatives; SciPy itself loads when one is first used."""

from __future__ import annotations

from typing import Any

__all__ = ["fft", "integrate", "interpolate", "linalg", "ndimage", "optimize", "signal", "spatial", "special", "stats"]


def __getattr__(name: str) -> Any:
    import importlib

    if name not in __all__:
        raise AttributeError(f"module 'adcore.scipy' has no attribute {name!r}")
    return importlib.import_module(f"adcore.scipy.{name}")
