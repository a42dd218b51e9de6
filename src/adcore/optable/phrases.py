"""Phrases: two or three cheap operations in a row that one loop computes, what lies between them staying in the processor.

A phrase begins with an operation on two arguments. It goes on with steps, each of which takes what was found so far and one more
argument; or it joins two beginnings. A kernel is generated for each (``generate.py``), and blocks use them where nobody else
reads what lies between (``plan/phrases.pyx``). Each operation rounds as it does alone.
"""

from __future__ import annotations

from itertools import product

BEGINNINGS = ("add", "sub", "mul", "mulz")
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
    for op in BEGINNINGS:
        begun = call(op, "x1[i]", "x2[i]")
        for step in STEPS:
            found = stepped(begun, step, "x3[i]")
            yield (op, step), found
            if step in LONG_STEPS:
                for last in LONG_STEPS:
                    yield (op, step, last), stepped(found, last, "x4[i]")
    for first, join, second in product(BEGINNINGS, JOINS, BEGINNINGS):
        yield (first, join, second), call(join, call(first, "x1[i]", "x2[i]"), call(second, "x3[i]", "x4[i]"))


PHRASES = dict(written())
