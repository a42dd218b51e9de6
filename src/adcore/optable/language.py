"""The expression language of the op table.

Rows state values and partial derivatives as expressions over ``x`` (or ``x1, x2, x3``) and the
value ``y``. An expression is parsed once and emitted as C for the kernels, as template instructions for
the derivative passes, and as NumPy for the tests, so the three cannot disagree.

Grammar: numbers, the names above, ``pi`` and ``inf``, + - * / and comparisons, unary minus, and calls
of ops by name. ``where(c, a, b)`` chooses.
"""

from __future__ import annotations

import ast
import math

CONSTANTS = {"pi": math.pi, "inf": math.inf, "nan": math.nan, "ln2": math.log(2.0), "ln10": math.log(10.0)}
OPERATORS = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}
COMPARISONS = {ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge", ast.Eq: "eq", ast.NotEq: "ne"}
IN_C = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
COMPARED_IN_C = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}


def parse(text):
    """An expression as nested tuples: ``("op", args...)``, a name, or a float."""
    return simplify_tree(tree(ast.parse(text, mode="eval").body))


def tree(node):
    if isinstance(node, ast.Constant):
        return float(node.value)
    if isinstance(node, ast.Name):
        return CONSTANTS.get(node.id, node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = tree(node.operand)
        return -inner if isinstance(inner, float) else ("neg", inner)
    if isinstance(node, ast.BinOp):
        return (OPERATORS[type(node.op)], tree(node.left), tree(node.right))
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return (COMPARISONS[type(node.ops[0])], tree(node.left), tree(node.comparators[0]))
    if isinstance(node, ast.Call):
        return (node.func.id, *[tree(a) for a in node.args])
    raise SyntaxError(f"not in the op table's language: {ast.dump(node)}")


def simplify_tree(e):
    """Fold arithmetic on numbers."""
    if not isinstance(e, tuple):
        return e
    op, *args = e
    args = [simplify_tree(a) for a in args]
    if op in IN_C and all(isinstance(a, float) for a in args):
        a, b = args
        return {"add": a + b, "sub": a - b, "mul": a * b, "div": a / b if b else math.nan}[op]
    return (op, *args)


def in_c(e):
    """C source of an expression; function f is called ``ad_f``."""
    if isinstance(e, float):
        if math.isinf(e):
            return "INFINITY" if e > 0 else "(-INFINITY)"
        return "NAN" if math.isnan(e) else repr(e)
    if isinstance(e, str):
        return "x1" if e == "x" else e
    op, *args = e
    c = [in_c(a) for a in args]
    if op in IN_C:
        return f"({c[0]} {IN_C[op]} {c[1]})"
    if op in COMPARED_IN_C:
        return f"({c[0]} {COMPARED_IN_C[op]} {c[1]} ? 1.0 : 0.0)"
    if op == "where":
        test = args[0]
        if isinstance(test, tuple) and test[0] in COMPARED_IN_C:
            return f"({in_c(test[1])} {COMPARED_IN_C[test[0]]} {in_c(test[2])} ? {c[1]} : {c[2]})"
        return f"({c[0]} != 0.0 ? {c[1]} : {c[2]})"
    if op == "neg":
        return f"(-{c[0]})"
    return f"ad_{op}({', '.join(c)})"


def as_template(e):
    """Instructions that compute an expression: a list of ``(op, operand...)``.

    An operand is ``"x1"``, ``"x2"``, ``"x3"``, ``"y"``, ``("t", j)`` for the result of
    instruction j, or ``("c", number)``. The last result is the value; an expression that is
    a lone operand gives ``[("identity", operand)]``.
    """
    code = []
    seen = {}

    def emit(node):
        if isinstance(node, float):
            return ("c", node)
        if isinstance(node, str):
            return "x1" if node == "x" else node
        if node not in seen:
            code.append((node[0].upper(), *[emit(a) for a in node[1:]]))
            seen[node] = ("t", len(code) - 1)
        return seen[node]

    last = emit(e)
    if not code:
        code.append(("IDENTITY", last))
    return code
