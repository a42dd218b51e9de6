"""The op table at run time: opcodes, names, and derivative templates."""

from __future__ import annotations

from .row import Row

try:
    from ._generated import FIELDS, PAIRS, TEMPLATES  # the rows as the build wrote them: parsing takes 10 ms
except ModuleNotFoundError:
    from .language import as_template
    from .rows import PAIRS, ROWS

    TEMPLATES = [[as_template(p) for p in row.partials] for row in ROWS if row.kind == "elementwise"]
else:
    ROWS = [Row(*fields) for fields in FIELDS]

NAMES = tuple(row.name.upper() for row in ROWS)
OPCODE = {name: number for number, name in enumerate(NAMES)}
ROW = {row.name.upper(): row for row in ROWS}
N_ELEMENTWISE = sum(row.kind == "elementwise" for row in ROWS)
UFUNC_OP = {row.ufunc: row.name.upper() for row in ROWS if row.ufunc}
# Nanoseconds per element of a block in L1, by functions that an expression calls (bench/kernels.py, AVX2); others cost 0.1.
COST_OF = {
    "div": 0.3, "sqrt": 0.4, "mod": 1.0, "fmod": 1.0, "cbrt": 2.0, "exp": 0.9, "exp2": 0.9, "expm1": 1.2, "log": 1.2,
    "log2": 1.2, "log10": 1.2, "log1p": 1.5, "logaddexp": 3.0, "logaddexp2": 3.0, "power": 4.0, "sin": 1.2, "cos": 1.2,
    "tan": 2.0, "arcsin": 1.5, "arccos": 1.5, "arctan": 1.5, "arctan2": 2.5, "sinh": 2.0, "cosh": 2.0, "tanh": 1.8,
    "arcsinh": 2.5, "arccosh": 2.5, "arctanh": 2.5, "hypot": 1.0, "sinc": 2.5, "expit": 1.5, "erf": 3.0, "erfc": 3.0,
    "gammaln": 20.0, "digamma": 20.0, "trigamma": 20.0, "polygamma": 60.0,
}  # fmt: skip


def cost(expression):
    """Estimated nanoseconds per element of an expression."""
    if not isinstance(expression, tuple):
        return 0.0
    return COST_OF.get(expression[0], 0.1) + sum(cost(e) for e in expression[1:])


COSTS = [cost(row.value) or 0.1 for row in ROWS[:N_ELEMENTWISE]]


def templates():
    """For each elementwise opcode, the template of each argument's partial derivative."""
    return TEMPLATES


__all__ = ["NAMES", "N_ELEMENTWISE", "OPCODE", "PAIRS", "ROW", "ROWS", "TEMPLATES", "UFUNC_OP", "Row", "templates"]
