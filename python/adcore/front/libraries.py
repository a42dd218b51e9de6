"""What stands for SciPy's functions, which go past NumPy's protocols, in a function that is recorded.

A function of SciPy that meets a traced value has a twin, looks at values only, or is refused. One that stands in no table
runs as it is, on NumPy's protocols; where it leaves them (compiled code that wants plain arrays), the error names it.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import sys
import types
from typing import Any

from .. import errors
from ..tracer import array as traced
from . import bases, dispatch


@dataclasses.dataclass(frozen=True)
class Table:
    """What adcore does with the functions of one of SciPy's modules."""

    twins: dict[str, Any]
    on_values: frozenset[str] = frozenset()
    refused: dict[str, str] = dataclasses.field(default_factory=dict)

    def status(self, name: str) -> str | None:
        """``"recorded"``, ``"values"``, ``"refused"``, or None: not in the table."""
        return "recorded" if name in self.twins else "values" if name in self.on_values else "refused" if name in self.refused else None


NOTHING = Table({})
# module of SciPy -> where its table stands
SUBJECTS = {
    "scipy.special": ".special",
    "scipy.linalg": ".scipy_linalg",
    "scipy.fft": ".fft",
    "scipy.signal": ".scipy_signal",
    "scipy.ndimage": ".scipy_ndimage",
    "scipy.stats": ".scipy_stats",
    "scipy.spatial.distance": ".scipy_distance",
    "scipy.spatial.transform": ".scipy_rotation",
    "scipy.optimize": "..integrations.optimize",
    "scipy.integrate": "..integrations.integrate",
    "scipy.interpolate": ".scipy_interpolate",
    "scipy.sparse": ".scipy_sparse",
    "scipy.sparse.linalg": ".scipy_sparse_linalg",
}


# modules whose objects have stand-ins: distributions, interpolants, rotations
INSTANCES = ("scipy.stats", "scipy.interpolate", "scipy.spatial.transform")


def subject(module: str) -> Any:
    """Our file for one of SciPy's modules."""
    return importlib.import_module(SUBJECTS[module], __package__)


@functools.cache
def table(module: str) -> Table:
    """The table of one of SciPy's modules."""
    dispatch.load()
    if module not in SUBJECTS:
        return NOTHING
    front = subject(module)
    return Table(front.REBOUND, getattr(front, "ON_VALUES", frozenset()), getattr(front, "REFUSED", {}))


def is_recorded(x: Any) -> bool:
    """Is it an object of ours that holds traced values, such as a sparse matrix?"""
    return hasattr(type(x), "holds_active")


def met(args: Any, kw: Any) -> bool:
    """Is anything traced among the arguments of a call?"""
    return traced.find_trace(args) is not None or bool(kw and traced.find_trace(kw) is not None) or any(map(is_recorded, args))


def is_active(x: Any) -> bool:
    return bool(x.holds_active()) if is_recorded(x) else dispatch.any_active(x)


def values(x: Any) -> Any:
    """An argument as SciPy takes it."""
    return x.plain() if is_recorded(x) else dispatch.values(x)


def active_argument(f: Any, args: Any, kw: Any) -> str:
    """The first argument of a call that is being differentiated, as a user knows it."""
    try:
        given: Any = inspect.signature(f).bind(*args, **kw).arguments.items()
    except (TypeError, ValueError):
        given = [*enumerate(args), *kw.items()]
    return next((str(name) for name, x in given if is_active(x)), "")


def either(plain: Any, ours: Any) -> Any:
    """Ours on traced values, the plain function otherwise; some of ours decide themselves."""
    if getattr(ours, "decides", False):
        return ours

    @functools.wraps(plain)
    def of(*args: Any, **kw: Any) -> Any:
        return traced.settled(plain, args, kw, ours(*args, **kw)) if met(args, kw) else plain(*args, **kw)

    return of


def on_values(plain: Any) -> Any:
    return lambda *args, **kw: plain(*map(values, args), **{key: values(x) for key, x in kw.items()})


def refusing(plain: Any, name: str, why: str) -> Any:
    def of(*args: Any, **kw: Any) -> Any:
        argument = active_argument(plain, args, kw)
        if argument:
            raise dispatch.refuse(name, why, argument)
        return on_values(plain)(*args, **kw)

    return of


def guarded(plain: Any, name: str) -> Any:
    def of(*args: Any, **kw: Any) -> Any:
        if any(map(is_recorded, args)):
            return refusing(plain, name, "it wants plain matrices")(*args, **kw)
        try:
            return plain(*args, **kw)
        except errors.LostTrace:
            raise dispatch.refuse(name, "it wants plain arrays", active_argument(plain, args, kw)) from None

    return of


@functools.cache
def stand_in(module: str, name: str) -> Any:
    """What stands for a name of one of SciPy's modules."""
    plain = getattr(sys.modules[module], name)
    known, full = table(module), f"{module}.{name}"
    status = known.status(name)
    if status == "recorded":
        ours = known.twins[name]
        return either(plain, ours) if callable(plain) and callable(ours) else ours
    if status is None and not isinstance(plain, (types.FunctionType, types.BuiltinFunctionType)):
        return plain
    if status == "values":
        return either(plain, on_values(plain))
    return either(plain, refusing(plain, full, known.refused[name]) if status == "refused" else guarded(plain, full))


def is_scipy(name: str) -> bool:
    return name == "scipy" or name.startswith("scipy.")


def library_function(f: Any) -> Any:
    """What stands for a function or a class of SciPy, or of numpy.polynomial, that was imported by its name."""
    if bases.belongs(getattr(f, "__module__", "")):
        return bases.twin(f)
    path, name = str(getattr(f, "__module__", "")).split("."), str(getattr(f, "__name__", ""))
    for k in range(2, len(path) + 1):
        module = ".".join(path[:k])
        if is_scipy(module) and getattr(sys.modules.get(module), name, None) is f:
            return stand_in(module, name)
    return f


def instance(value: Any) -> Any:
    """What stands for an object of a library: a distribution of scipy.stats, an interpolant, a polynomial."""
    home = str(type(value).__module__)
    if bases.belongs(home):
        return bases.instance(value)
    for module in INSTANCES:
        if home.startswith(module):
            return subject(module).instance(value)
    if type(value).__name__ == "SuperLU":
        from . import scipy_sparse_linalg

        return scipy_sparse_linalg.instance(value)
    return value
