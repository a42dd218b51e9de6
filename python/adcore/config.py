"""Configuration: which build of the kernels is live, and what the optimiser does.

Environment: ``ADCORE_UNCHECKED=1``, ``ADCORE_NOALIAS=0|1``, ``ADCORE_ISA=baseline|v3|v4``, ``ADCORE_NUM_THREADS``.
At run time ``adcore.config(...)`` sets the same, for good when called, for a block when used with ``with``.
"""

from __future__ import annotations

import contextvars
import importlib
import os
import re
import sys
import types
from typing import Any

from .locks import Lock

LEVELS = ("baseline", "v3", "v4")
WHEN = {True: "on", "after": "after differentiation", False: "off"}
THREADS_MAX = 256


def cpu_levels() -> tuple[str, ...]:
    """ISA levels that this machine can run, lowest first."""
    return LEVELS[: 1 + importlib.import_module("adcore.kernels.cpu").level()]


def boolean(name: str, default: bool) -> bool:
    """An environment variable that must be 0 or 1."""
    text = os.environ.get(name, "")
    if text not in ("", "0", "1"):
        raise ValueError(f"{name}={text!r}: give 0 or 1")
    return default if text == "" else text == "1"


def cores() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def initial_threads() -> int:
    """What ADCORE_NUM_THREADS says, or a thread for each core."""
    text = os.environ.get("ADCORE_NUM_THREADS", "")
    if text == "":
        return min(cores(), THREADS_MAX)
    if not text.isdecimal() or not 1 <= int(text) <= THREADS_MAX:
        raise ValueError(f"ADCORE_NUM_THREADS={text!r}: give an integer from 1 to {THREADS_MAX}")
    return int(text)


def initial() -> dict[str, Any]:
    """The settings that the environment asks for."""
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
        "threads": initial_threads(),
        "conjugate": False,
        "memory": "1GB",
        "debug_nans": boolean("ADCORE_DEBUG_NANS", False),
    }


# The settings of the process are one dict that is replaced, never changed; a with-block's own
# settings stand in a context variable, so other threads and tasks do not see them.
_global = initial()
_lock = Lock()
_local: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("adcore_config", default=None)
_tables: dict[tuple[bool, bool, str], Any] = {}


def current() -> dict[str, Any]:
    """The settings in force here."""
    local = _local.get()
    return _global if local is None else {**_global, **local}


def optimise() -> bool | str:
    """When the optimising passes run: True (before and after differentiation), "after", or False."""
    found: bool | str = current()["optimise"]
    return found


def threads() -> int:
    """How many threads a sweep may use."""
    local = _local.get()
    return int((_global if local is None or "threads" not in local else local)["threads"])


def debug_nans() -> bool:
    """Is every NaN and infinity to be traced to where it comes from?"""
    local = _local.get()
    return bool((_global if local is None or "debug_nans" not in local else local)["debug_nans"])


UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def bytes_of(memory: int | str) -> int:
    """A number of bytes: an integer, or text such as ``"2GB"`` or ``"512 MiB"``."""
    if isinstance(memory, int) and not isinstance(memory, bool) and memory > 0:
        return memory
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([A-Za-z]*)\s*", memory) if isinstance(memory, str) else None
    if found is None or found[2].upper() not in UNITS or float(found[1]) == 0.0:
        raise ValueError(f"memory={memory!r}: give bytes, or text such as '2GB'")
    return int(float(found[1]) * UNITS[found[2].upper()])


def _name(unchecked: bool, noalias: bool, isa: str) -> str:
    return f"{'unchecked' if unchecked else 'checked'}_{'noalias' if noalias else 'alias'}_{isa}"


def variant() -> str:
    """Name of the live build, for example ``checked_noalias_v4``."""
    c = current()
    return _name(c["unchecked"], c["noalias"], c["isa"])


def live() -> tuple[bool | str, int, Any, bool, bool]:
    """What every sweep and every replay ask for: when to optimise, how many threads, the kernel table (`kernel_table`), whether
    NaNs are traced, and whether gradients are conjugated. ``sweep.engine.settings`` is the same from C."""
    settings = current()
    return settings["optimise"], settings["threads"], _table(settings), bool(settings["debug_nans"]), bool(settings["conjugate"])


def kernel_table() -> Any:
    """The live kernel table, a capsule. The build behind it is imported when it is first live."""
    return live()[2]


def _table(c: dict[str, Any]) -> Any:
    key = (c["unchecked"], c["noalias"], c["isa"])
    table = _tables.get(key)
    if table is None:
        try:
            table = importlib.import_module(f"adcore.kernels.{_name(*key)}").table
        except ModuleNotFoundError as error:
            raise ValueError(
                f"this installation has no kernels {_name(*key)}: it was built for one ISA level only "
                "(ADCORE_KERNELS=native). Choose another isa, or build with ADCORE_KERNELS=all."
            ) from error
        _tables[key] = table
    return table


# Calls of config(...), oldest first: a with-block takes its own out again, in whatever order threads come.
_base = _global
_calls: list[_Setting] = []
_CALLS_KEPT = 64


def _merge() -> None:
    """Make the settings of the process from the calls; the oldest become part of the base."""
    global _base, _global
    while len(_calls) > _CALLS_KEPT:
        _base = {**_base, **_calls.pop(0).changes}
    merged = _base
    for call in _calls:
        merged = {**merged, **call.changes}
    _global = merged


class _Setting:
    """The effect of ``config(...)``: already in force; entering a ``with`` block confines it to the block."""

    def __init__(self, changes: dict[str, Any]) -> None:
        self.changes = changes
        self.tokens: list[contextvars.Token[dict[str, Any] | None]] = []
        with _lock:
            _calls.append(self)
            _merge()

    def __enter__(self) -> None:
        with _lock:
            if self in _calls:
                _calls.remove(self)
                _merge()
        self.tokens.append(_local.set({**(_local.get() or {}), **self.changes}))

    def __exit__(self, *_: object) -> None:
        _local.reset(self.tokens.pop())


class _Config(types.ModuleType):
    """This module, callable."""

    def __call__(self, **changes: Any) -> _Setting:
        """Change settings: ``unchecked``, ``noalias`` (bools), ``isa`` (a level), ``optimise`` (True, "after",
        False), ``threads`` (a number), ``conjugate`` (bool), ``memory`` (bytes), ``debug_nans`` (bool).

        ``optimise="after"`` leaves the program as it was recorded until it has been differentiated, False leaves it so for good:
        for measuring what optimising before differentiation is worth.

        ``threads`` is how many threads a sweep may use for work that pays; results are the same to the bit
        whatever it is. Several sweeps may run at once; they share one pool.

        ``conjugate=True`` makes the gradient by a complex x = a + ib be df/da + i df/db, the direction of steepest ascent,
        instead of df/da - i df/db.

        ``memory`` is how many bytes a loop may use for stored states (`loop`), and the sweeps of a Jacobian for their values:
        a number, or text such as ``"2GB"``.

        ``debug_nans=True`` looks at every value and derivative that is computed; where one is NaN or infinite, it computes
        it again step by step and raises `errors.NonFinite`, which names the operation it comes from and its line. Slow, and
        compiled functions are not replayed.

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
                if value not in LEVELS:
                    raise ValueError(f"isa={value!r}: give one of {', '.join(LEVELS)}")
                if value not in cpu_levels():
                    raise ValueError(f"isa={value!r}: this processor runs {', '.join(cpu_levels())}")
            elif name == "optimise" and value == "after":
                continue
            elif name == "threads":
                if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= THREADS_MAX:
                    raise ValueError(f"threads={value!r}: give an integer from 1 to {THREADS_MAX}")
            elif name == "memory":
                bytes_of(value)
            elif not isinstance(value, bool):
                raise TypeError(f"{name}={value!r}: give True or False")
        return _Setting(changes)

    @staticmethod
    def show() -> str:
        """The live settings as one line of text."""
        c = current()
        return f"adcore kernels: {variant()}; optimise: {WHEN[c['optimise']]}; threads: {c['threads']}"


sys.modules[__name__].__class__ = _Config
