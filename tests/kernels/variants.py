"""The builds of the kernels that exist here and that this processor can run."""

import importlib

from adcore.kernels import cpu

LEVELS = ("baseline", "v3", "v4")[: cpu.level() + 1]


def tables():
    """Name -> capsule of each build."""
    found = {}
    for safety in ("checked", "unchecked"):
        for aliasing in ("alias", "noalias"):
            for level in LEVELS:
                name = f"{safety}_{aliasing}_{level}"
                try:
                    found[name] = importlib.import_module(f"adcore.kernels.{name}").table
                except ModuleNotFoundError:  # a developer's build has this machine's level only
                    continue
    return found


TABLES = tables()
LIVE = next(reversed(TABLES.values()))
BY_LEVEL = {name.rpartition("_")[2]: {k: t for k, t in TABLES.items() if k.endswith(name.rpartition("_")[2])} for name in TABLES}
