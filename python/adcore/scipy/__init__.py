"""SciPy's solvers with adcore's derivatives; SciPy itself loads when one is first used."""

from __future__ import annotations

from typing import Any

__all__ = ["integrate", "interpolate", "optimize"]


def __getattr__(name: str) -> Any:
    import importlib

    if name not in __all__:
        raise AttributeError(f"module 'adcore.scipy' has no attribute {name!r}")
    return importlib.import_module(f"adcore.scipy.{name}")
