"""Straight-line scalar code: a random function of so many lines, as a code generator writes it.

Size ``<lines>`` or ``<lines>_s<seed>``, with 500 inputs. A line is a sum, product or difference, or a sin, cos, tanh, sqrt or exp, of
inputs and earlier lines, scaled so that chains of any length stay finite. The result sums the last tenth of the lines, on which
most others bear.
"""

import functools
import math
import random

import numpy as np

from . import Problem

INPUTS = 500
# text, value, and partial derivatives from operands and value
FORMS = (
    ("0.6 * ({a} + {b})", lambda a, b: 0.6 * (a + b), lambda a, b, y: (0.6, 0.6)),
    ("0.6 * ({a} - {b})", lambda a, b: 0.6 * (a - b), lambda a, b, y: (0.6, -0.6)),
    ("{a} * {b}", lambda a, b: a * b, lambda a, b, y: (b, a)),
    ("sin({a})", lambda a, b: math.sin(a), lambda a, b, y: (math.cos(a), 0.0)),
    ("cos({a})", lambda a, b: math.cos(a), lambda a, b, y: (-math.sin(a), 0.0)),
    ("tanh({a})", lambda a, b: math.tanh(a), lambda a, b, y: (1.0 - y * y, 0.0)),
    ("sqrt(1.0 + {a} * {a})", lambda a, b: math.sqrt(1.0 + a * a), lambda a, b, y: (a / y, 0.0)),
    ("exp(-{a} * {a})", lambda a, b: math.exp(-a * a), lambda a, b, y: (-2.0 * a * y, 0.0)),
)
TAME = 5  # the form that bounds its value; sums and products must not grow for ever


def program(n, seed=0):
    """Lines as (form, a, b): operands below INPUTS are inputs, above them earlier lines."""
    choose = random.Random(seed)
    out = []
    for k in range(INPUTS, INPUTS + n):
        form = TAME if k % 8 == 0 else choose.randrange(3) if choose.random() < 0.6 else choose.randrange(3, len(FORMS))
        near = choose.randrange(max(0, k - 50 - k // 4), k)  # so that chains are long
        out.append((form, near, choose.randrange(k)))
    return out


def live(n, seed=0):
    """The numbers of the lines on which the result depends."""
    lines = program(n, seed)
    needed = [False] * INPUTS + [k >= n - max(n // 10, 1) for k in range(n)]
    for k in range(INPUTS + n - 1, INPUTS - 1, -1):
        if needed[k]:
            form, a, b = lines[k - INPUTS]
            needed[a] = True
            needed[b] = needed[b] or "{b}" in FORMS[form][0]
    return [k for k in range(n) if needed[INPUTS + k]]


def sizes(size):
    """Lines and seed of a size."""
    n, _, seed = size.partition("_s")
    return int(n), int(seed or 0)


def source(n, seed=0):
    """The function as Python text."""
    name = lambda k: f"x[{k}]" if k < INPUTS else f"v{k - INPUTS}"  # noqa: E731
    text = ["def f(x):"]
    text += [f"    v{k} = {FORMS[form][0].format(a=name(a), b=name(b))}" for k, (form, a, b) in enumerate(program(n, seed))]
    first = n - max(n // 10, 1)
    text += [f"    total = v{first}"] + [f"    total = total + v{k}" for k in range(first + 1, n)] + ["    return total", ""]
    return "\n".join(text)


@functools.cache
def function(n, seed=0, module=math):
    """That function, with sin, cos, tanh, sqrt and exp of a module."""
    names = {name: getattr(module, name) for name in ("sin", "cos", "tanh", "sqrt", "exp")}
    exec(compile(source(n, seed), f"<{n} lines>", "exec"), names | {"__name__": "straight_line"}, names)
    names["f"].__globals__.update(names)
    return names["f"]


def reference(x, n, seed):
    """Back over the lines, one Python float at a time."""
    lines, value = program(n, seed), list(map(float, x))
    for form, a, b in lines:
        value.append(FORMS[form][1](value[a], value[b]))
    g = [0.0] * len(value)
    for k in range(n - max(n // 10, 1), n):
        g[INPUTS + k] = 1.0
    for k in range(len(value) - 1, INPUTS - 1, -1):
        form, a, b = lines[k - INPUTS]
        ga, gb = FORMS[form][2](value[a], value[b], value[k])
        g[a] += g[k] * ga
        g[b] += g[k] * gb
    return (np.array(g[:INPUTS]),)


def instance(size=None):
    size = size or "2500"
    n, seed = sizes(size)
    x = np.random.default_rng(seed).normal(size=INPUTS)
    return Problem("straightline", size, function(n, seed), (x,), (0,), lambda x: reference(x, n, seed))
