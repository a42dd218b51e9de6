"""C for the random straight-line functions: value and gradient, as source-transforming differentiation writes them.

Functions of up to ``PIECE`` lines are one C function over local variables. Longer ones are cut into pieces of so many lines,
since compilers take time that grows faster than the lines: a piece reads what earlier ones defined from an array, keeps its own
in variables, and is differentiated by a function of its own; adjoints are handed on through an array.
"""

from ..problems.straightline import INPUTS, live, program

PIECE = 2500
# each form of bench/problems/straightline.py in C: its value, and what it adds to the adjoints of its operands
FORMS = (
    ("0.6 * ({a} + {b})", ("0.6 * {g}", "0.6 * {g}")),
    ("0.6 * ({a} - {b})", ("0.6 * {g}", "-0.6 * {g}")),
    ("{a} * {b}", ("{g} * {b}", "{g} * {a}")),
    ("sin({a})", ("{g} * cos({a})", None)),
    ("cos({a})", ("-{g} * sin({a})", None)),
    ("tanh({a})", ("{g} * (1.0 - {y} * {y})", None)),
    ("sqrt(1.0 + {a} * {a})", ("{g} * {a} / {y}", None)),
    ("exp(-{a} * {a})", ("-2.0 * {g} * {a} * {y}", None)),
)


def source(n, seed=0):
    """``double straightline_gradient(x, gx, v, g)``; v and g are room for INPUTS + n numbers."""
    lines, alive, last = program(n, seed), live(n, seed), n - max(n // 10, 1)
    pieces = [alive[i : i + PIECE] for i in range(0, len(alive), PIECE)]
    text = ['#include "hand.h"', ""]
    for p, piece in enumerate(pieces):
        own = {INPUTS + k for k in piece}
        v = lambda k, own=own: f"v{k}" if k in own else f"v[{k}]"  # noqa: E731
        g = lambda k, own=own: f"g{k}" if k in own else f"g[{k}]"  # noqa: E731
        value = [f"    double {v(INPUTS + k)} = {FORMS[lines[k][0]][0].format(a=v(lines[k][1]), b=v(lines[k][2]))};" for k in piece]
        whole = len(pieces) == 1
        if not whole:
            text += [f"static void value{p}(rp v) {{", *value]
            text += [f"    v[{INPUTS + k}] = {v(INPUTS + k)};" for k in piece] + ["}", ""]
            value = [f"    const double {v(INPUTS + k)} = v[{INPUTS + k}];" for k in piece]
        text += [f"static void adjoint{p}(rp v, rp g) {{", *value]
        text += [f"    double {g(INPUTS + k)} = {f'g[{INPUTS + k}]' if not whole else float(k >= last)};" for k in piece]
        for k in reversed(piece):
            form, *operands = lines[k]
            a, b = map(v, operands)
            for operand, partial in zip(operands, FORMS[form][1], strict=True):
                if partial is not None:
                    text.append(f"    {g(operand)} += {partial.format(a=a, b=b, y=v(INPUTS + k), g=g(INPUTS + k))};")
        if whole:
            text += [f"    v[{INPUTS + k}] = {v(INPUTS + k)};" for k in piece if k >= last]
        text += ["}", ""]
    text += ["double straightline_gradient(const_rp x, rp gx, rp v, rp g) {", "    double sum = 0;"]
    text += [f"    memcpy(v, x, {INPUTS} * sizeof *v);"]
    if len(pieces) > 1:
        text += [f"    value{p}(v);" for p in range(len(pieces))]
        text += [
            f"    memset(g, 0, {INPUTS + last} * sizeof *g);",
            f"    for (long k = {INPUTS + last}; k < {INPUTS + n}; k++) g[k] = 1.0;",
        ]
    else:
        text += [f"    memset(g, 0, {INPUTS} * sizeof *g);"]
    text += [f"    adjoint{p}(v, g);" for p in reversed(range(len(pieces)))]
    text += [f"    for (long k = {INPUTS + last}; k < {INPUTS + n}; k++) sum += v[k];"]
    text += [f"    memcpy(gx, g, {INPUTS} * sizeof *g);", "    return sum;", "}", ""]
    return "\n".join(text)
