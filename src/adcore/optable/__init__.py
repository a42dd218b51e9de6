"""The op table at run time: opcodes, names, and derivative templates."""

from __future__ import annotations

from .row import Row

try:
    from ._generated import FIELDS, TEMPLATES  # the rows as the build wrote them: parsing takes 10 ms
except ModuleNotFoundError:
    from .language import as_template
    from .rows import ROWS

    TEMPLATES = [[as_template(p) for p in row.partials] for row in ROWS if row.kind == "elementwise"]
else:
    ROWS = [Row(*fields) for fields in FIELDS]

NAMES = tuple(row.name.upper() for row in ROWS)
OPCODE = {name: number for number, name in enumerate(NAMES)}
ROW = {row.name.upper(): row for row in ROWS}
N_ELEMENTWISE = sum(row.kind == "elementwise" for row in ROWS)
UFUNC_OP = {row.ufunc: row.name.upper() for row in ROWS if row.ufunc}


def templates():
    """For each elementwise opcode, the template of each argument's partial derivative."""
    return TEMPLATES


__all__ = ["NAMES", "N_ELEMENTWISE", "OPCODE", "ROW", "ROWS", "TEMPLATES", "UFUNC_OP", "Row", "templates"]
