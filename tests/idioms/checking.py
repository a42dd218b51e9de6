"""How an idiom is checked: differences of the plain function, and the complex step of one that means the same.

An idiom is a function of float arrays and numbers as someone wrote it for NumPy. Two oracles that know nothing of adcore
say what its gradient is. The complex step runs the function's own code, in whose globals those names of NumPy
and ``math`` that make float arrays or are not analytic (``np.zeros``, ``abs``) stand for ones that carry
the imaginary part; where that is not enough the idiom names a function ``same_as`` that says the same in analytic words.
"""

from __future__ import annotations

import builtins
import dataclasses
import inspect
import math
import types
import warnings

import numpy as np
import scipy.special

import adcore

STEP = 1e-30


def magnitude(z):
    """abs() where its imaginary part is the derivative."""
    return np.where(np.real(z) < 0, -z, z)[()]


def real_order(function):
    """max and min of numbers with imaginary parts."""

    def of(*args, **kw):
        key = kw.pop("key", None) or (lambda v: v)
        return function(*args, key=lambda v: np.real(key(v)), **kw)

    return of


class Analytic:
    """A module in which some names carry imaginary parts."""

    def __init__(self, module, names):
        self._module = module
        self._names = names

    def __getattr__(self, name):
        return self._names[name] if name in self._names else getattr(self._module, name)


def maker(function):
    """zeros, empty, ...: complex unless another dtype is asked for."""

    def of(*args, dtype=None, **kw):
        return function(*args, dtype=complex if dtype in (None, float, Float) else dtype, **kw)

    return of


def norm(x, ord=None, axis=None, keepdims=False):
    assert ord in (None, 2, "fro")
    return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))


def arctan2(y, x):
    return np.where(np.real(x) > 0, np.arctan(y / x), np.arctan(y / x) + np.where(np.real(y) < 0, -np.pi, np.pi))[()]


def var(x, axis=None, ddof=0):
    d = x - np.mean(x, axis, keepdims=True)
    return np.sum(d * d, axis) / (np.size(x) / np.size(np.sum(x, axis)) - ddof)


def cov(m, y=None, rowvar=True):
    rows = m if y is None else np.stack([m, y])
    rows = rows if rowvar else rows.T
    d = rows - np.mean(rows, axis=1, keepdims=True)
    return d @ d.T / (rows.shape[1] - 1)


def corrcoef(m, y=None):
    c = cov(m, y)
    return c / np.sqrt(np.outer(np.diag(c), np.diag(c)))


NUMPY = {name: maker(getattr(np, name)) for name in ("zeros", "empty", "ones", "eye", "identity", "full")} | {
    "abs": magnitude, "absolute": magnitude, "fabs": magnitude, "cbrt": lambda z: z ** (1 / 3),
    "hypot": lambda a, b: np.sqrt(a * a + b * b), "arctan2": arctan2,
    "logaddexp": lambda a, b: np.log(np.exp(a) + np.exp(b)), "linalg": Analytic(np.linalg, {"norm": norm}),
    "cov": cov, "corrcoef": corrcoef, "var": var, "std": lambda x, axis=None, ddof=0: np.sqrt(var(x, axis, ddof)),
}  # fmt: skip
MATH = {name: getattr(np, name) for name in ("sqrt", "exp", "log1p", "expm1", "sin", "cos", "tan", "sinh", "cosh", "tanh", "log10")} | {
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "fabs": magnitude, "atan2": arctan2, "gamma": scipy.special.gamma, "lgamma": scipy.special.loggamma, "erf": scipy.special.erf,
    "erfc": scipy.special.erfc, "hypot": lambda *v: np.sqrt(sum(a * a for a in v)), "fsum": sum, "pow": lambda a, b: a**b,
    "dist": lambda p, q: np.sqrt(sum((a - b) ** 2 for a, b in zip(p, q, strict=True))),
    "log": lambda z, b=math.e: np.log(z) / np.log(b), "log2": lambda z: np.log(z) / math.log(2.0),
    "isnan": np.isnan, "isclose": np.isclose, "isfinite": np.isfinite,
}  # fmt: skip


class Float:
    """float() that keeps an imaginary part; as a dtype it is complex."""

    dtype = np.dtype(complex)

    def __new__(cls, v=0.0):
        return v


BUILTINS = {
    **vars(builtins), "float": Float, "abs": magnitude, "max": real_order(max), "min": real_order(min), "sorted": real_order(sorted),
}  # fmt: skip
MODULES = {id(np): Analytic(np, NUMPY), id(math): Analytic(math, MATH)}
FUNCTIONS = {id(np.linalg.norm): norm}
FUNCTIONS |= {id(getattr(module, name)): twin for module, names in ((np, NUMPY), (math, MATH)) for name, twin in names.items()}


def analytic(f, known=None):
    """f, and the functions beside it in its module that it calls, with analytic names."""
    known = {} if known is None else known
    if f not in known:
        namespace = {"__builtins__": BUILTINS, "__name__": f.__module__}
        known[f] = types.FunctionType(f.__code__, namespace, f.__name__, f.__defaults__, f.__closure__)
        for name, value in f.__globals__.items():
            if name in BUILTINS or name.startswith("__"):
                continue
            if isinstance(value, types.FunctionType) and value.__module__ == f.__module__ and value.__globals__ is f.__globals__:
                namespace[name] = analytic(value, known)
            else:
                namespace[name] = MODULES.get(id(value)) or FUNCTIONS.get(id(value), value)
    return known[f]


@dataclasses.dataclass
class Idiom:
    """A function, where its gradient is checked, and what means the same in analytic words."""

    f: object
    args: tuple
    same_as: object = None

    @property
    def __name__(self):
        return self.f.__name__


class Idioms(list):
    """The idioms of a file, for ``@pytest.mark.parametrize``; called, it is the decorator that adds one."""

    def __call__(self, *args, same_as=None):
        def add(f):
            self.append(Idiom(f, args, same_as))
            return f

        return add


def copies(args):
    return [np.array(a) if isinstance(a, np.ndarray) else a for a in args]


def moved(args, k, at, h):
    """The arguments with one coordinate of one argument moved."""
    out = [np.asarray(a, dtype=np.result_type(a, type(h)))[()].copy() for a in args]
    if isinstance(out[k], np.ndarray):
        out[k][at] += h
    else:
        out[k] = out[k] + h
    return out


def coordinates(args):
    return [(k, at) for k, a in enumerate(args) for at in np.ndindex(np.shape(a))]


def differences(f, args):
    """Differences of fourth order, a number for each coordinate."""

    def slope(k, at):
        h = 2e-3 * max(1.0, abs(float(args[k][at] if np.shape(args[k]) else args[k])))
        near, far = ((f(*moved(args, k, at, s)) - f(*moved(args, k, at, -s))) / (2 * s) for s in (h / 8, h / 4))
        return (4 * near - far) / 3

    return np.array([slope(*c) for c in coordinates(args)], dtype=float)


def complex_steps(f, args):
    """The complex step, a number for each coordinate."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        return np.array([complex(f(*moved(args, *c, 1j * STEP))).imag / STEP for c in coordinates(args)])


def flat(gradients):
    return np.concatenate([np.ravel(g) for g in gradients])


def check(idiom):
    """Value and gradient, reverse and forward, recorded and replayed, against both oracles."""
    f, args, everyone = idiom.f, idiom.args, tuple(range(len(idiom.args)))
    plain = f(*copies(args))
    value, gradients = adcore.value_and_grad(f, argnums=everyone)(*copies(args))
    np.testing.assert_allclose(value, plain, rtol=1e-13, atol=1e-14)
    assert [np.shape(g) for g in gradients] == [np.shape(a) for a in args]
    ours = flat(gradients)
    assert np.any(ours != 0.0), "an idiom whose gradient is zero checks nothing"
    analytic_twin = idiom.same_as or analytic(f)
    there = complex(analytic_twin(*moved(args, 0, (0,) * np.ndim(args[0]), 0j))).real
    np.testing.assert_allclose(there, plain, rtol=1e-12, atol=1e-13, err_msg="the oracle's value")
    np.testing.assert_allclose(ours, complex_steps(analytic_twin, args), rtol=1e-9, atol=1e-11, err_msg="complex step")
    scale = max(1.0, abs(plain), np.max(np.abs(ours)))
    np.testing.assert_allclose(ours, differences(f, args), rtol=1e-7, atol=3e-9 * scale, err_msg="differences")
    moves = [np.asarray(np.cos(np.arange(np.size(a)) + k)).reshape(np.shape(a))[()] for k, a in enumerate(args)]
    _, tangent = adcore.jvp(f, copies(args), moves)
    np.testing.assert_allclose(tangent, ours @ flat(moves), rtol=1e-10, atol=1e-12, err_msg="forward mode")
    replayed = adcore.compile(adcore.value_and_grad(f, argnums=everyone))
    for factor in (1.0, 1.001, 0.999):
        there = [a * factor for a in args]
        value, gradients = replayed(*copies(there))
        np.testing.assert_allclose(value, f(*copies(there)), rtol=1e-13, atol=1e-14, err_msg="replayed value")
        again = adcore.grad(f, argnums=everyone)(*copies(there))
        np.testing.assert_allclose(flat(gradients), flat(again), rtol=1e-13, atol=1e-14, err_msg="replayed gradient")


def line_of(f, text):
    """``file.py:12``: where a line that holds the text stands in f's source."""
    lines, first = inspect.getsourcelines(f)
    found = [k for k, line in enumerate(lines) if text in line]
    assert found, f"{text!r} does not occur in {f.__name__}"
    return f"{f.__code__.co_filename.rsplit('/', 1)[-1]}:{first + found[0]}"
