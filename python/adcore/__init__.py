"""adcore: exact derivatives of plain NumPy functions at native speed on the CPU."""

from __future__ import annotations

from typing import Any

from . import config, errors

__version__ = "0.1.0"

_WHERE = {
    **dict.fromkeys(("autodiff", "autodiff_reverse", "autodiff_forward"), "activity"),
    **dict.fromkeys(("Const", "Active", "ActiveOnly", "Duplicated", "DuplicatedOnly"), "activity"),
    **dict.fromkeys(("Dual", "DualOnly", "Dualv", "DualvOnly"), "activity"),
    "gradient": "transforms.gradient",
    "grad": "transforms.gradient",
    "value_and_grad": "transforms.gradient",
    "stop_gradient": "transforms.gradient",
    "compile": "transforms.compiled",
    "jvp": "transforms.products",
    "vjp": "transforms.products",
    "hvp": "transforms.products",
    "jacobian": "transforms.jacobian",
    "hessian": "transforms.jacobian",
    **dict.fromkeys(("sparse_jacobian", "sparse_hessian", "SparseJacobian", "SparseHessian"), "transforms.sparse"),
    "trace": "transforms.recording",
    "checkpoint": "transforms.checkpoint",
    "loop": "transforms.checkpoint",
    "custom_vjp": "rules",
    "custom_jvp": "rules",
    "primitive": "rules",
    "compiled_primitive": "native",
    "get_include": "native",
    "testing": "testing",
    "numpy": "numpy",
    "scipy": "scipy",
}

__all__ = ["config", "errors", *_WHERE]


def __getattr__(name: str) -> Any:
    # submodules load when they are first used: importing adcore costs next to nothing
    import importlib

    if name not in _WHERE:
        raise AttributeError(f"module 'adcore' has no attribute {name!r}")
    module = importlib.import_module(f"adcore.{_WHERE[name]}")
    value = module if name in ("testing", "numpy", "scipy") else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])
