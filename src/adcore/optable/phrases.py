"""Phrases: up to three cheap operations in a row that one loop computes, what lies between them staying in the processor.

A phrase begins with an operation on two arguments. It goes on with steps, each of which takes what was found so far and one more
argument; or it joins two beginnings. A kernel is generated for each (``generate.py``), and blocks use them where nobody else
reads what lies between (``plan/phrases.pyx``). Each operation rounds as it does alone. An argument may be one number, which a
phrase does not read from a vector: that is what phrases of a single operation are for.
"""

from __future__ import annotations

from itertools import product

BEGINNINGS = ("add", "sub", "mul", "mulz")
ALONE = (*BEGINNINGS, "div")
# an operation, and which of its arguments was found so far
STEPS = (("add", 0), ("sub", 0), ("sub", 1), ("mul", 0), ("mulz", 0), ("mulz", 1))
LONG_STEPS = STEPS[:4]
JOINS = BEGINNINGS[:3]


def call(op, *arguments):
    return f"c_{op}({', '.join(arguments)})"


def stepped(found, step, argument):
    op, place = step
    return call(op, argument, found) if place else call(op, found, argument)


def written():
    """Each phrase, told by its operations, and its expression."""
    for op in ALONE:
        yield (op,), call(op, "x1[k]", "x2[k]")
    for op in BEGINNINGS:
        begun = call(op, "x1[k]", "x2[k]")
        for step in STEPS:
            found = stepped(begun, step, "x3[k]")
            yield (op, step), found
            if step in LONG_STEPS:
                for last in LONG_STEPS:
                    yield (op, step, last), stepped(found, last, "x4[k]")
    for first, join, second in product(BEGINNINGS, JOINS, BEGINNINGS):
        yield (first, join, second), call(join, call(first, "x1[k]", "x2[k]"), call(second, "x3[k]", "x4[k]"))


PHRASES = dict(written())
