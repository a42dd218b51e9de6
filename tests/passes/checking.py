"""Derivatives of programs by the interpreter alone: what the passes are held against."""

from __future__ import annotations

import numpy as np
from adcore.passes.optimise import optimise
from adcore.passes.verify import verify

from tests.reference import interpret


def run(program, inputs, **bindings):
    """Outputs of a program that was verified first; its warnings are not ours."""
    with np.errstate(all="ignore"):
        return interpret(verify(program), inputs, **bindings)


def floating(values):
    return [k for k, v in enumerate(values) if np.issubdtype(v.dtype, np.floating)]


def directional(program, inputs, wrt, direction, step=1e-6, **bindings):
    """Central differences of all outputs along a direction of the inputs in ``wrt``."""
    sides = []
    for sign in (1.0, -1.0):
        moved = list(inputs)
        for k, d in zip(wrt, direction, strict=True):
            moved[k] = inputs[k] + sign * step * d
        sides.append(run(program, moved, **bindings))
    return [(np.asarray(a, float) - np.asarray(b, float)) / (2 * step) for a, b in zip(*sides, strict=True)]


def complex_step(program, inputs, wrt, direction, step=1e-150, **bindings):
    """Derivative along a direction without cancellation, for analytic ops."""
    moved = list(inputs)
    for k, d in zip(wrt, direction, strict=True):
        moved[k] = inputs[k] + 1j * step * d
    with np.errstate(all="ignore"):
        return [np.imag(y) / step for y in interpret(program, moved, dtype=complex, **bindings)]


def with_sum_of_outputs(program):
    """The program with one more output in front: the sum of all elements of the floating ones."""
    total = None
    outputs = program.outputs
    for k in outputs:
        row = program.instruction(k)
        if row["dtype"] not in ("f64", "f32"):
            continue
        part = program.emit("SUM", k, shape=(), ints=[0] + [0] * len(row["shape"]))
        total = part if total is None else program.emit("ADD", total, part)
    program.set_results([total, *outputs])
    return program


__all__ = ["complex_step", "directional", "floating", "interpret", "optimise", "run", "verify", "with_sum_of_outputs"]
