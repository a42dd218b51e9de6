"""The ledger: what adcore does with each overridable function of NumPy and each function of scipy.special and scipy.linalg."""

from __future__ import annotations

import importlib
import types
from typing import Any

import numpy as np
import numpy.char
import numpy.fft
import numpy.lib.recfunctions
import numpy.polynomial
import numpy.strings
import scipy.special
from numpy.testing.overrides import get_overridable_numpy_array_functions, get_overridable_numpy_ufuncs

from ..tracer import array as traced
from . import dispatch, holomorphic, libraries, special

dispatch.load()

ALIASES = frozenset("fabs radians degrees invert bitwise_and bitwise_or bitwise_xor conjugate float_power".split())
BOOLEAN = frozenset(row.ufunc for row in traced.optable.ROWS if row.boolean)
# op of the table -> the name SciPy has for it
IN_TABLE = {"erf": "erf", "erfc": "erfc", "expit": "expit", "gammaln": "gammaln", "digamma": "digamma"}


def status(f: Any) -> str:
    """``"recorded"``, ``"values"`` (computed on values) or ``"refused"`` (where an argument is differentiated)."""
    return "recorded" if f in dispatch.TABLE else "values" if f in dispatch.ON_VALUES else "refused"


def functions() -> dict[str, Any]:
    """NumPy's overridable functions by name."""
    found = {dispatch.name_of(f): f for f in get_overridable_numpy_array_functions()}
    return {name: dispatch.named(name.removeprefix("np.")) or f for name, f in sorted(found.items())}


def ufuncs() -> dict[str, Any]:
    """NumPy's ufuncs by name; not those that only serve a function of the same name."""
    found = sorted(get_overridable_numpy_ufuncs(), key=lambda u: str(u.__name__))
    return {u.__name__: u for u in found if getattr(np, u.__name__, u) is u}


def ufunc_status(uf: Any) -> str:
    name = uf.__name__
    if name in traced.optable.UFUNC_OP or name in dispatch.UFUNCS or name in ALIASES:
        return "recorded"
    return "values" if name in dispatch.UFUNCS_ON_VALUES else "refused"


def special_status() -> dict[str, str]:
    """The functions of the installed scipy.special that adcore knows, and what it does with them."""
    rows = {row.of: "recorded" for row in special.TABLE.values() if row.of not in special.OWN}
    found = dict.fromkeys(special.REFUSED, "refused") | dict.fromkeys(special.REBOUND, "recorded") | rows
    found |= dict.fromkeys([*IN_TABLE, "cbrt", "exp2", "expm1", "log1p", "ndtr", "psi", *holomorphic.ALSO_OF_REAL], "recorded")
    found |= {"gammasgn": "values", "round": "values"}
    return {name: found[name] for name in sorted(found) if hasattr(scipy.special, name)}


# SciPy's modules that the ledger lists name by name; scipy.special has its own rows above
SCIPY = ("scipy.linalg", "scipy.signal", "scipy.ndimage", "scipy.spatial.distance", "scipy.spatial.transform", "scipy.interpolate",
         "scipy.sparse", "scipy.sparse.linalg")  # fmt: skip


def scipy_status(module: str) -> dict[str, str | None]:
    """The public functions of one of SciPy's modules, the classes that adcore knows, and what it does with them; None: not in its
    table, and so refused where it wants plain arrays."""
    found, status = importlib.import_module(module), libraries.table(module).status
    names = [name for name in found.__all__ if isinstance(getattr(found, name), types.FunctionType) or status(name)]
    return {name: status(name) for name in sorted(names)}


def distributions() -> list[str]:
    """The distributions of scipy.stats that adcore knows."""
    from . import scipy_stats

    return sorted(scipy_stats.DISTRIBUTIONS)


def statistics() -> list[str]:
    """The statistics of samples of scipy.stats that adcore knows."""
    from . import scipy_samples

    return sorted(scipy_samples.REBOUND)


def fixed_arguments() -> dict[str, list[str]]:
    """The arguments of functions of scipy.special that must be constant."""
    return {row.of: list(row.fixed) for row in special.TABLE.values() if row.fixed}


def gaps() -> list[str]:
    """All that is refused, a line each."""
    refused = [name for name, known in special_status().items() if known == "refused"]
    partly = [f"{name}: {', '.join(args)}" for name, args in sorted(fixed_arguments().items())]
    return [
        *[name for name, f in functions().items() if status(f) == "refused"],
        *[f"ufunc {name}" for name, u in ufuncs().items() if ufunc_status(u) == "refused"],
        *[f"scipy.special.{name}" for name in refused],
        *[f"scipy.special.{text}" for text in partly],
        *[f"{module}.{name}" for module in SCIPY for name, known in scipy_status(module).items() if known == "refused"],
    ]
