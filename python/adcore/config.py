"""Configuration: which build of the kernels is live, and what the optimiser does.

Environment: ``ADCORE_UNCHECKED=1``, ``ADCORE_NOALIAS=0|1``, ``ADCORE_ISA=baseline|v3|v4``. At run time
``adcore.config(...)`` sets the same, for good when called, for a block when used with ``with``.
"""

from __future__ import annotations

import contextvars
import importlib
import os
import platform
import sys
import types
from typing import Any

LEVELS = ("baseline", "v3", "v4")
FLAGS_V3 = {"avx2", "bmi1", "bmi2", "fma", "f16c", "movbe"}
FLAGS_V4 = FLAGS_V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}


def cpu_levels() -> tuple[str, ...]:
    """ISA levels that this machine can run, lowest first."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return ("baseline",)
    try:
        with open("/proc/cpuinfo") as f:
            flags = next((set(line.split()) for line in f if line.startswith("flags")), set())
    except OSError:
        flags = set()
    return LEVELS[: 1 + (flags >= FLAGS_V3) + (flags >= FLAGS_V4)]


def boolean(name: str, default: bool) -> bool:
    """An environment variable that must be 0 or 1."""
    text = os.environ.get(name, "")
    if text not in ("", "0", "1"):
        raise ValueError(f"{name}={text!r}: give 0 or 1")
    return default if text == "" else text == "1"


def initial() -> dict[str, Any]:
    isa = os.environ.get("ADCORE_ISA", "")
    available = cpu_levels()
    if isa not in ("", *LEVELS):
        raise ValueError(f"ADCORE_ISA={isa!r}: give one of {', '.join(LEVELS)}")
    if isa and isa not in available:
        raise ValueError(f"ADCORE_ISA={isa!r}: this processor runs {', '.join(available)}")
    return {
        "unchecked": boolean("ADCORE_UNCHECKED", False),
        "noalias": boolean("ADCORE_NOALIAS", True),
        "isa": isa or available[-1],
        "optimise": True,
    }


_global = initial()
_local: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("adcore_config", default=None)
_tables: dict[tuple[bool, bool, str], Any] = {}


def current() -> dict[str, Any]:
    """The settings in force here."""
    return _local.get() or _global


def optimise() -> bool:
    """Do the optimising passes run?"""
    return bool(current()["optimise"])


def variant() -> str:
    """Name of the live build, for example ``checked_noalias_v4``."""
    c = current()
    return f"{'unchecked' if c['unchecked'] else 'checked'}_{'noalias' if c['noalias'] else 'alias'}_{c['isa']}"


def kernel_table() -> Any:
    """The live kernel table, a capsule."""
    c = current()
    key = (c["unchecked"], c["noalias"], c["isa"])
    table = _tables.get(key)
    if table is None:
        table = _tables[key] = importlib.import_module(f"adcore.kernels.{variant()}").table
    return table


class _Setting:
    """The effect of ``config(...)``: already in force; leaving a ``with`` block undoes it."""

    def __init__(self, changes: dict[str, Any]) -> None:
        self.changes = changes
        self.before = dict(_global)
        _global.update(changes)

    def __enter__(self) -> None:
        _global.clear()
        _global.update(self.before)
        self.token = _local.set({**current(), **self.changes})

    def __exit__(self, *_: object) -> None:
        _local.reset(self.token)


class _Config(types.ModuleType):
    """This module, callable."""

    def __call__(self, **changes: Any) -> _Setting:
        """Change settings: ``unchecked``, ``noalias``, ``optimise`` (bools), ``isa`` (a level).

        Examples
        --------
        >>> import adcore
        >>> with adcore.config(unchecked=True):
        ...     adcore.config.variant().split("_")[0]
        'unchecked'
        """
        for name, value in changes.items():
            if name not in _global:
                raise TypeError(f"config has no setting {name!r}; it has {', '.join(sorted(_global))}")
            if name == "isa":
                if value not in cpu_levels():
                    raise ValueError(f"isa={value!r}: this processor runs {', '.join(cpu_levels())}")
            elif not isinstance(value, bool):
                raise TypeError(f"{name}={value!r}: give True or False")
        return _Setting(changes)

    @staticmethod
    def show() -> str:
        """The live settings as one line of text."""
        c = current()
        return f"adcore kernels: {variant()}; optimise: {'on' if c['optimise'] else 'off'}"


sys.modules[__name__].__class__ = _Config
