"""Random programs for the planner and the executor, over a handful of small shapes."""

from __future__ import annotations

import numpy as np
from adcore.tape.program import Program

UNARY = ("sin", "tanh", "exp", "neg", "square", "arctan")
BINARY = ("add", "sub", "mul", "maximum", "arctan2")
SHAPES = ((), (5,), (3, 4), (2, 3, 4), (12,), (40,), (7, 90))


def contiguous(shape):
    strides, step = [], 1
    for d in reversed(shape):
        strides.insert(0, step)
        step *= d
    return strides


def random_map(rng, base_shape):
    """A random injective map into a base: offset, strides and the shape it reads."""
    offset, strides, shape = 0, [], []
    for d, s in zip(base_shape, contiguous(base_shape), strict=True):
        step = int(rng.integers(1, 3))
        n = int(rng.integers(1, (d - 1) // step + 2))
        start = int(rng.integers(0, d - (n - 1) * step))
        if rng.random() < 0.3:
            offset += (start + (n - 1) * step) * s
            strides.append(-step * s)
        else:
            offset += start * s
            strides.append(step * s)
        shape.append(n)
    order = rng.permutation(len(shape)) if rng.random() < 0.4 else np.arange(len(shape))
    return offset, [strides[k] for k in order], tuple(shape[k] for k in order)


def product(p, add, some, shape):
    """A product of matrices, or of a vector with itself, through views that BLAS reads as they are."""
    if len(shape) == 1:
        column = p.emit("VIEW", some(shape), shape=(*shape, 1), ints=[0, 1, 0])
        row = p.emit("VIEW", some(shape), shape=(1, *shape), ints=[0, 0, 1])
        flat = p.emit("MATMUL", row, column, shape=(1, 1))
        add(p.emit("VIEW", flat, shape=(), ints=[0]), ())
        add(p.emit("MATMUL", column, row, shape=(*shape, *shape)), (*shape, *shape))
        return
    *batch, rows, columns = shape
    steps = contiguous(shape)
    turned = p.emit("VIEW", some(shape), shape=(*batch, columns, rows), ints=[0, *steps[:-2], 1, columns])
    add(p.emit("MATMUL", some(shape), turned, shape=(*batch, rows, rows)), (*batch, rows, rows))


def stencil(rng, p, add, some, shape):
    """A step of a stencil in place, or the adjoint of one: shifted reads of an array, a box of it written."""
    inside = tuple(max(1, d - 2) for d in shape)
    steps = contiguous(shape)
    at = lambda shift: sum(s * min(1 + k, d - i) for s, k, d, i in zip(steps, shift, shape, inside, strict=True))  # noqa: E731
    shifts = [tuple(int(k) for k in rng.integers(-1, 2, len(shape))) for _ in range(3)]
    centre = [at((0,) * len(shape)), *steps]
    base = some(shape)
    x = some(inside) if rng.random() < 0.3 else p.emit("VIEW", base, shape=inside, ints=centre)
    for shift in shifts:
        x = p.emit("ADD", x, p.emit("VIEW", base, shape=inside, ints=[at(shift), *steps]), shape=inside)
        if rng.random() < 0.3:
            add(x, inside)
    if rng.random() < 0.5:
        add(p.emit("UPDATE", base, x, shape=shape, ints=centre), shape)
        return
    nothing = p.emit("FULL", some(()) if rng.random() < 0.5 else p.emit("LITERAL", real=0.0), shape=inside)
    y = p.emit("UPDATE", base, nothing, shape=shape, ints=centre)
    for shift in shifts:
        y = p.emit("ACCUMULATE", y, x, shape=shape, ints=[at(shift), *steps])
        if rng.random() < 0.2:
            add(y, shape)
    add(y, shape)


def random_program(seed, length=30, shapes=SHAPES):
    """A verified program of about ``length`` instructions and its inputs."""
    rng = np.random.default_rng(seed)
    p = Program()
    values = {}
    inputs = []

    def add(i, shape):
        values.setdefault(tuple(shape), []).append(i)
        return i

    def some(shape):
        if tuple(shape) not in values:
            base = p.emit("FULL", some(()), shape=shape)
            add(base, shape)
        return int(rng.choice(values[tuple(shape)]))

    for k in range(3):
        shape = shapes[rng.integers(1, len(shapes))]
        inputs.append(rng.normal(size=shape))
        add(p.emit("INPUT", shape=shape, param=k), shape)
    inputs.append(np.array(rng.normal()))
    add(p.emit("INPUT", shape=(), param=3), ())
    add(p.emit("LITERAL", real=0.7), ())
    while len(p) < length:
        shape = list(values)[rng.integers(len(values))]
        kind = rng.integers(17)
        if kind < 2:
            add(p.emit(str(rng.choice(UNARY)).upper(), some(shape), shape=shape), shape)
        elif kind < 5:
            other = () if rng.random() < 0.2 else shape
            add(p.emit(str(rng.choice(BINARY)).upper(), some(shape), some(other), shape=shape), shape)
        elif shape == ():
            continue
        elif kind < 7:
            offset, strides, out = random_map(rng, shape)
            if rng.random() < 0.2:
                out, strides = (3, *out), [0, *strides]
            add(p.emit("VIEW", some(shape), shape=out, ints=[offset, *strides]), out)
        elif kind == 7:
            keep = [rng.random() < 0.5 for _ in shape]
            out = tuple(d for d, k in zip(shape, keep, strict=True) if k)
            left = contiguous(out)
            strides = [left.pop(0) if k else 0 for k in keep]
            name = str(rng.choice(["SUM", "SUM", "REDUCE_MAX", "REDUCE_MIN"]))
            add(p.emit(name, some(shape), shape=out, ints=[0, *strides]), out)
        elif kind < 10:
            offset, strides, out = random_map(rng, shape)
            name = "UPDATE" if rng.random() < 0.6 else "ACCUMULATE"
            add(p.emit(name, some(shape), some(out), shape=shape, ints=[offset, *strides]), shape)
        elif kind == 11:
            axis = int(rng.integers(len(shape)))
            sizes = [int(np.prod(shape[:axis])), shape[axis], int(np.prod(shape[axis + 1 :]))]
            add(p.emit("CUMSUM", some(shape), shape=shape, ints=[*sizes, int(rng.integers(2))]), shape)
        elif kind > 13:
            stencil(rng, p, add, some, shape)
        elif kind > 11:
            product(p, add, some, shape)
        else:
            n = min(3, int(np.prod(shape)))
            where = rng.choice(int(np.prod(shape)), n, replace=False)
            add(
                p.emit(
                    str(rng.choice(["PACK", "PACK_ADD"])),
                    some(shape),
                    *[some(()) for _ in range(n)],
                    shape=shape,
                    ints=[int(w) for w in where],
                ),
                shape,
            )
    outputs = sorted({int(v) for v in rng.integers(len(p) // 2, len(p), size=4)} | {len(p) - 1})
    p.set_results(outputs)
    return p, inputs
