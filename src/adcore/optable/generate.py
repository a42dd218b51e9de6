"""Build time: write the opcodes and the elementwise kernels that follow from the op table.

Usage: ``python -m adcore.optable.generate DIRECTORY`` writes ``ad_opcodes.h``,
``ad_values.h``, ``elementwise.pxi``, ``adcore/optable/opcodes.pxd`` and ``_generated.py`` below it.
"""

from __future__ import annotations

import dataclasses
import pathlib
import sys

from . import N_ELEMENTWISE, NAMES, PAIRS, ROW, ROWS, TEMPLATES, language
from .language import in_c
from .phrases import PHRASES

# what is left at the end is computed together with what precedes it: no argument is the result
MAIN = """
cdef void main_{name}(rp y, const_rp x1, const_rp x2, const_rp x3, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
{body}

cdef void ew_{name}(rp y, const_rp x1, const_rp x2, const_rp x3, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t whole = n & ~<Py_ssize_t>7
    cdef double[8] b1
    cdef double[8] b2
    cdef double[8] b3
    cdef double[8] out
    main_{name}(y, x1, x2, x3, whole)
    if whole == n:
        return
    if whole:
        n -= 8
        main_{name}(y + n, x1 + n, {second}, {third}, 8)
    else:
{tail_in}
        main_{name}(out, b1, b2, b3, 8)
        memcpy(y, out, n * 8)

"""

RUN = """
cdef void run_{name}(double *s, Py_ssize_t y, const int32_t *x1, const int32_t *x2, const int32_t *x3,
                     Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(n):
        s[y + k] = {call}
"""

# an op that costs more than its gathers: gather a block, compute it as vectors
RUN_COSTLY = """
cdef void run_{name}(double *s, Py_ssize_t y, const int32_t *x1, const int32_t *x2, const int32_t *x3,
                     Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t k, m, start = 0
    cdef double[64] b1
    cdef double[64] b2
    cdef double[64] b3
    cdef double[64] out
    while n - start > 2:
        m = n - start if n - start < 64 else 64
        for k in range(m):
{gather}
        ew_{name}(out, b1, b2, b3, m)
        memcpy(s + y + start, out, m * 8)
        start += m
    for k in range(start, n):
        s[y + k] = {call}
"""

# the compiler finds what the two have in common
PAIR = """
cdef void main_{name}(rp y, rp z, const_rp x1, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
{body}

cdef void pair_{name}(rp y, rp z, const_rp x1, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t whole = n & ~<Py_ssize_t>7
    cdef double[8] b1
    cdef double[8] first
    cdef double[8] second
    main_{name}(y, z, x1, whole)
    if whole == n:
        return
    if whole:
        n -= 8
        main_{name}(y + n, z + n, x1 + n, 8)
    else:
        tail_in(b1, x1, n)
        main_{name}(first, second, b1, 8)
        memcpy(y, first, n * 8)
        memcpy(z, second, n * 8)

"""

# eight at a time, so that an argument may stay where it is; by way of an array of its own, so that none can be the result.
# What is left at the end is computed together with what precedes it
PHRASE = """
cdef void phrase_{number}(double *y, const double *x1, const double *x2, const double *x3, const double *x4, Py_ssize_t n,
                          int splats) noexcept nogil:
    cdef Py_ssize_t step1 = 0 if splats & 1 else 8, step2 = 0 if splats & 2 else 8
    cdef Py_ssize_t step3 = 0 if splats & 4 else 8, step4 = 0 if splats & 8 else 8
    cdef double[8] out
    cdef Py_ssize_t i, k, left = n & 7
    if n < 8:
        for k in range(n):
            y[k] = {expression}
        return
    for i in range(0, n - 7, 8):
        for k in range(8):
            out[k] = {expression}
        for k in range(8):
            y[k] = out[k]
        y += 8
        x1 += step1
        x2 += step2
        x3 += step3
        x4 += step4
    if left:
        left = 8 - left
        y -= left
        x1 -= left if step1 else 0
        x2 -= left if step2 else 0
        x3 -= left if step3 else 0
        x4 -= left if step4 else 0
        for k in range(8):
            out[k] = {expression}
        for k in range(8):
            y[k] = out[k]

"""

CHEAP = {
    "add",
    "sub",
    "mul",
    "div",
    "neg",
    "abs",
    "sqrt",
    "where",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "copysign",
    "floor",
    "ceil",
    "trunc",
    "rint",
    *language.COMPARISONS.values(),
}


def costly(e):
    """Does an expression call a function of the vector math?"""
    return isinstance(e, tuple) and (e[0] not in CHEAP or any(costly(x) for x in e[1:]))


def kernel(row):
    """The loops of one elementwise row."""
    name, n = row.name, len(row.args)
    args = [f"x{k + 1}" for k in range(n)]
    call = f"c_{name}({', '.join(a + '[i]' for a in args)})"
    loop = f"    for i in range(n & ~<Py_ssize_t>7):\n        y[i] = {call}\n"
    if row.narrow:
        # the vector code is right for moderate arguments only: in a block that has others, each
        # element chooses, so a value never depends on its neighbours
        slow = f"ad_safe_{name}({', '.join(a + '[i]' for a in args)})"
        loop = f"    if not {row.narrow}(x1, n):\n        for i in range(n):\n            y[i] = {slow}\n        return\n{loop}"
    if row.block:
        # what a block has in common may spare most of the work; the values are those of the elements one by one
        loop = f"    if {row.block}(y, {', '.join(args)}, n & ~<Py_ssize_t>7):\n        return\n{loop}"
    tail = "\n".join(f"        tail_in(b{k + 1}, x{k + 1}, n)" for k in range(n))
    gathered = ", ".join(f"s[{a}[k]]" for a in args)
    function = f"ad_safe_{name}" if row.narrow else f"c_{name}"
    gather = "\n".join(f"            b{k + 1}[k] = s[x{k + 1}[start + k]]" for k in range(n))
    run = RUN_COSTLY if costly(row.value) else RUN
    second, third = (f"x{k} + n" if k <= n else f"x{k}" for k in (2, 3))  # unused arguments are nowhere
    loops = MAIN.format(name=name, body=loop, tail_in=tail, second=second, third=third)
    return loops + run.format(name=name, call=f"{function}({gathered})", gather=gather)


def pair_kernel(first, second):
    """The loop that computes two rows of one argument."""
    narrow = ROW[first.upper()].narrow
    loop = f"    for i in range(n & ~<Py_ssize_t>7):\n        y[i] = c_{first}(x1[i])\n        z[i] = c_{second}(x1[i])\n"
    if narrow:
        slow = f"            y[i] = ad_safe_{first}(x1[i])\n            z[i] = ad_safe_{second}(x1[i])\n"
        loop = f"    if not {narrow}(x1, n):\n        for i in range(n):\n{slow}        return\n{loop}"
    return PAIR.format(name=f"{first}_{second}", body=loop)


def main(directory):
    where = pathlib.Path(directory)
    (where / "adcore" / "optable").mkdir(parents=True, exist_ok=True)
    elementwise = ROWS[:N_ELEMENTWISE]
    header = ["/* generated from the op table */", "#ifndef AD_OPCODES_H", "#define AD_OPCODES_H", "enum {"]
    header += [f"    AD_OP_{name} = {number}," for number, name in enumerate(NAMES)]
    header += [f"    AD_N_OPS = {len(NAMES)}", "};", f"#define AD_N_ELEMENTWISE {N_ELEMENTWISE}"]
    header += [f"#define AD_N_PAIRS {len(PAIRS)}", f"#define AD_N_PHRASES {len(PHRASES)}", "#endif", ""]
    write(where / "ad_opcodes.h", "\n".join(header))
    counts = {"ELEMENTWISE": N_ELEMENTWISE, "PAIRS": len(PAIRS), "PHRASES": len(PHRASES), "OPS": len(NAMES)}
    pxd = ["cdef enum:", *(f"    AD_N_{name} = {count}" for name, count in counts.items())]
    pxd += [f"    AD_OP_{name} = {number}" for number, name in enumerate(NAMES)]
    write(where / "adcore" / "optable" / "opcodes.pxd", "\n".join(pxd) + "\n")
    fields = [tuple(getattr(row, f.name) for f in dataclasses.fields(row)) for row in ROWS]
    write(
        where / "adcore" / "optable" / "_generated.py",
        '"""Generated from rows.py: fields of each row, and its templates."""\n\n'
        "from math import inf, nan  # noqa: F401\n\n"
        f"FIELDS = {fields!r}\nPAIRS = {PAIRS!r}\nTEMPLATES = {TEMPLATES!r}\n",
    )
    write(where / "adcore" / "__init__.pxd", "")
    write(where / "adcore" / "optable" / "__init__.pxd", "")
    scalar = ["/* generated from the op table: the value of each elementwise op */"]
    for row in elementwise:
        params = ", ".join(f"double x{k + 1}" for k in range(len(row.args)))
        body = in_c(row.value)
        scalar.append(f"AD_INLINE double c_{row.name}({params}) {{ return {body}; }}")
    scalar += [
        "",
        "/* one elementwise op on scalars, as the kernels compute it */",
        "static inline double ad_evaluate(int op, double x1, double x2, double x3) {",
        "    switch (op) {",
    ]
    for number, row in enumerate(elementwise):
        args = ", ".join(f"x{k + 1}" for k in range(len(row.args)))
        name = f"ad_safe_{row.name}" if row.narrow else f"c_{row.name}"
        scalar.append(f"    case {number}: return {name}({args});")
    scalar += ["    }", "    return NAN;", "}"]
    write(where / "ad_values.h", '#include "ad_math.h"\n' + "\n".join(scalar) + "\n")
    pxi = ["# generated from the op table", 'cdef extern from "ad_values.h":']
    for row in elementwise:
        params = ", ".join(["double"] * len(row.args))
        pxi.append(f"    double c_{row.name}({params}) noexcept nogil")
        if row.narrow:
            pxi.append(f"    double ad_safe_{row.name}({params}) noexcept nogil")
    pxi += [kernel(row) for row in elementwise] + [pair_kernel(*pair) for pair in PAIRS]
    pxi += [PHRASE.format(number=number, expression=expression) for number, expression in enumerate(PHRASES.values())]
    pxi += ["", "cdef void fill_elementwise(ad_kernel_table *table) noexcept:"]
    for number, row in enumerate(elementwise):
        pxi.append(f"    table.elementwise[{number}] = <ad_elementwise_fn>ew_{row.name}")
        pxi.append(f"    table.run[{number}] = run_{row.name}")
    pxi += [f"    table.pair[{number}] = <ad_pair_fn>pair_{'_'.join(pair)}" for number, pair in enumerate(PAIRS)]
    pxi += [f"    table.phrase[{number}] = phrase_{number}" for number in range(len(PHRASES))]
    write(where / "elementwise.pxi", "\n".join(pxi) + "\n")


def write(path, text):
    """Write only what changed, so that an incremental build stays incremental."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1])
