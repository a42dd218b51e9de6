"""The op table at run time: opcodes, names, and derivative templates."""

from __future__ import annotations

from .language import as_template
from .rows import ROWS, Row

NAMES = tuple(row.name.upper() for row in ROWS)
OPCODE = {name: number for number, name in enumerate(NAMES)}
ROW = {row.name.upper(): row for row in ROWS}
N_ELEMENTWISE = sum(row.kind == "elementwise" for row in ROWS)
UFUNC_OP = {row.ufunc: row.name.upper() for row in ROWS if row.ufunc}


def templates():
    """For each elementwise opcode, the template of each argument's partial derivative."""
    return [[as_template(p) for p in row.partials] for row in ROWS[:N_ELEMENTWISE]]


__all__ = ["NAMES", "N_ELEMENTWISE", "OPCODE", "ROW", "ROWS", "UFUNC_OP", "Row", "templates"]
