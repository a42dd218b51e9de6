"""What programs mean, in plain NumPy: the oracle of the passes and of the executor."""

from __future__ import annotations

import math

import numpy as np

from adcore import optable

DTYPES = {"f64": np.float64, "f32": np.float32, "bool": np.bool_, "i64": np.int64}


def per_element(f):
    """A function of Python floats as a function of arrays."""
    return np.vectorize(f, otypes=[np.float64])


def special(name):
    import scipy.special

    return getattr(scipy.special, name)


# name of the op -> function of float64 arrays (complex ones too where NumPy has it)
ELEMENTWISE = {
    "DETACH": np.array,
    "IDENTITY": lambda x: x + 0.0 if np.iscomplexobj(x) else np.array(x),
    "NEG": np.negative,
    "MULZ": lambda g, p: np.where(g == 0, 0.0, g * p),
    "MULADD": lambda a, b, c: a * b + c,
    "WHERE": lambda c, a, b: np.where(c != 0, a, b),
    "DIV": np.divide,
    "SUB": np.subtract,
    "ADD": np.add,
    "MUL": np.multiply,
    "POW": np.power,
    "RECIPROCAL": lambda x: 1.0 / x,
    "SQUARE": lambda x: x * x,
    "GAMMALN": lambda x: special("gammaln")(x),
    "DIGAMMA": lambda x: special("digamma")(x),
    "TRIGAMMA": lambda x: special("polygamma")(1, x),
    "POLYGAMMA": lambda n, x: special("polygamma")(n, x),
    "ERF": lambda x: special("erf")(x),
    "ERFC": lambda x: special("erfc")(x),
    "EXPIT": lambda x: special("expit")(x),
}
NUMPY_NAMES = {
    "ABS": "abs", "EQ": "equal", "NE": "not_equal", "LT": "less", "LE": "less_equal",
    "GT": "greater", "GE": "greater_equal", "AND": "logical_and", "OR": "logical_or",
    "XOR": "logical_xor", "NOT": "logical_not",
}  # fmt: skip


def elementwise_function(name):
    """The NumPy function of an elementwise op."""
    if name in ELEMENTWISE:
        return ELEMENTWISE[name]
    emitted = getattr(optable, "numpy_function", None)
    if emitted is not None:
        return emitted(name)
    word = NUMPY_NAMES.get(name, name.lower())
    if hasattr(np, word):
        return getattr(np, word)
    return per_element(getattr(math, word))


def elements(space, offset, strides):
    """Element numbers that a map reaches, as an array of shape ``space``."""
    where = np.full(space, offset, dtype=np.int64)
    for k, (d, s) in enumerate(zip(space, strides, strict=True)):
        where += (np.arange(d) * s).reshape((d,) + (1,) * (len(space) - k - 1))
    return where


def rows(offsets, size):
    """Element numbers of the rows that run-time offsets name: shape (m, inner)."""
    inner = size // offsets.size if offsets.size else 0
    return np.ravel(offsets).astype(np.int64)[:, None] + np.arange(inner)


def through_map(program, i, space, base):
    parameters = program.parameters(i, len(space) + 1)
    where = elements(space, parameters[0], parameters[1:])
    if where.size and not (where.min() >= 0 and where.max() < base.size):
        raise IndexError(f"the map of instruction {i} leaves its base\n{program}")
    return where


def combine(name, base, where, x):
    """Base with x written through a map; a new array."""
    y = np.array(base).ravel()
    if name in ("UPDATE", "PUT", "PACK"):
        y[where] = x
    else:
        ufunc = {"REDUCE_MAX": np.maximum, "REDUCE_MIN": np.minimum, "REDUCE_PROD": np.multiply}
        ufunc.get(name, np.add).at(y, where, x)
    return y


def interpret(program, inputs, consts=(), scalars=(), outputs=None, dtype=None):
    """Values of the program's outputs (or of the values numbered in ``outputs``).

    With ``dtype=complex`` floating values are complex: for the complex step.
    """
    wide = np.dtype(dtype or np.float64)
    start = {"SUM": 0.0, "REDUCE_MAX": -np.inf, "REDUCE_MIN": np.inf, "REDUCE_PROD": 1.0}
    values = []
    for i in range(len(program)):
        row = program.instruction(i)
        op, shape, param = row["op"], row["shape"], row["param"]
        own = DTYPES[row["dtype"]]
        if dtype is not None and np.issubdtype(own, np.floating):
            own = wide
        args = [values[k] for k in row["args"]]
        floats = [a if a.dtype == wide else np.asarray(a, dtype=wide) for a in args if isinstance(a, np.ndarray)]
        if op in ("INPUT", "CONST", "SCALAR"):
            y = {"INPUT": inputs, "CONST": consts, "SCALAR": scalars}[op][param]
            y = np.asarray(y)
            if y.shape != shape:
                raise ValueError(f"{op} {param} has shape {y.shape}, the program wants {shape}")
        elif op == "LITERAL":
            y = program.literal(i)
        elif op == "FULL":
            y = np.broadcast_to(args[0], shape)
        elif op == "EMPTY":
            y = np.full(shape, np.nan if np.issubdtype(own, np.inexact) else 0)
        elif op == "VIEW":
            y = args[0].ravel()[through_map(program, i, shape, args[0])]
        elif op in start:
            base = np.full(shape, start[op], dtype=wide)
            y = combine(op, base, through_map(program, i, args[0].shape, base), floats[0])
        elif op in ("ACCUMULATE", "UPDATE"):
            y = combine(op, floats[0], through_map(program, i, args[1].shape, args[0]), floats[1])
        elif op == "GATHER":
            y = args[0].ravel()[rows(args[1], math.prod(shape))]
        elif op in ("SCATTER_ADD", "PUT"):
            y = combine(
                op,
                floats[0],
                rows(args[2], args[1].size),
                floats[1].reshape(args[2].size, -1) if args[2].size else np.zeros((0, 0)),
            )
        elif op in ("PACK", "PACK_ADD"):
            where = np.array(program.parameters(i, len(args) - 1), dtype=np.int64)
            y = combine(op, floats[0], where, np.array(floats[1:]).reshape(len(where)))
        elif op == "MATMUL":
            y = np.matmul(floats[0], floats[1])
        elif op == "CUMSUM":
            outer, n, inner, backwards = program.parameters(i, 4)
            block = floats[0].reshape(outer, n, inner)
            y = np.cumsum(block[:, ::-1], axis=1)[:, ::-1] if backwards else np.cumsum(block, axis=1)
        elif op == "CALL":
            y = program.rules[param].evaluate(*args)
        else:
            y = elementwise_function(op)(*floats)
            y = np.broadcast_to(y, shape)
        with np.errstate(over="ignore"):
            values.append(np.array(y).reshape(shape).astype(own))
    if outputs is None:
        outputs = program.outputs
    return [values[k] for k in outputs]
