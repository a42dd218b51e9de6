"""CasADi: SX expressions (scalar code) where a problem is scalar, else MX; buffers bound once, as its manual advises for speed."""

import warnings

import casadi
import numpy as np

from ..problems import straightline


def prepared(expression, x, at):
    """Value and gradient of an expression in one function, called through its buffers; ``at`` is where it reads its argument."""
    f = casadi.Function("f", [x], [expression, casadi.gradient(expression, x)])
    given, value, g = np.array(at, dtype=float), np.zeros(()), np.zeros(np.shape(at))
    buffer, run = f.buffer()
    buffer.set_arg(0, memoryview(given))
    buffer.set_res(0, memoryview(value))
    buffer.set_res(1, memoryview(g))

    def call():
        run()
        return value, (g,)

    call.kept, call.at = (f, buffer), given  # the buffer holds pointers
    return call


def rosenbrock(p):
    x = casadi.SX.sym("x", p.args[0].size)
    return prepared(casadi.sumsqr(10.0 * (x[1:] - x[:-1] ** 2)) + casadi.sumsqr(1.0 - x[:-1]), x, p.args[0])


def straight(p):
    x = casadi.SX.sym("x", straightline.INPUTS)
    return prepared(straightline.function(*straightline.sizes(p.size), casadi)(casadi.vertsplit(x)), x, p.args[0])


def logistic(p):
    w0, points, labels, penalty = p.args
    w = casadi.MX.sym("w", w0.size)
    z = casadi.DM(points) @ w
    loss = casadi.sum1(casadi.log1p(casadi.exp(-casadi.fabs(z))) + casadi.fmax(z, 0.0) - casadi.DM(labels) * z) / labels.size
    return prepared(loss + 0.5 * penalty * casadi.sumsqr(w), w, w0)


def pip(p):
    """The plain function itself, on SX: its interpreter of rows needs nothing but + - * and numbers."""
    at, *tables = p.args
    if at.ndim > 1:
        raise ValueError("one geometry at a time")
    x = casadi.SX.sym("x", at.size)
    scalars = np.empty(at.size, dtype=object)
    scalars[:] = casadi.vertsplit(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # np.exp of a symbol: its future type does not matter here
        return prepared(p.fun(scalars, *tables), x, at)


MAKERS = {"rosenbrock": rosenbrock, "straightline": straight, "logistic": logistic, "pip": pip}
