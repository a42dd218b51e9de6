"""scipy.special on traced values: rows of the op table by name, and compositions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..tracer import array as traced
from .dispatch import UFUNCS
from .reductions import max as reduce_max
from .reductions import sum as reduce_sum

ew = traced.elementwise


def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False) -> Any:
    """log(sum(exp(a))), shifted by the maximum; the shift is a constant to derivatives."""
    if return_sign:
        raise ValueError("logsumexp: return_sign is not supported on differentiated arrays")
    a = traced.asarray(a)
    top = traced.constant_part(reduce_max(a, axis, keepdims=True))
    top = ew("where", ew("isfinite", top), top, 0.0)
    terms = ew("exp", a - top)
    if b is not None:
        terms = terms * b
    total = ew("log", reduce_sum(terms, axis, keepdims=True)) + top
    if keepdims:
        return total
    axes = range(len(a.shape)) if axis is None else [k % len(a.shape) for k in np.atleast_1d(axis)]
    result = total.reshape([d for k, d in enumerate(total.shape) if k not in axes])
    return traced.scalar_of(result) if result.shape == () else result


def softmax(x: Any, axis: Any = None) -> Any:
    e = ew("exp", x - traced.constant_part(reduce_max(x, axis, keepdims=True)))
    return e / reduce_sum(e, axis, keepdims=True)


def log_softmax(x: Any, axis: Any = None) -> Any:
    return x - logsumexp(x, axis, keepdims=True)


SQRT1_2 = math.sqrt(0.5)
UFUNCS.update(
    psi=lambda x: ew("digamma", x),
    xlogy=lambda x, y: ew(
        "where",
        x == 0,
        0.0,
        x * np.log(ew("where", x == 0, 1.0, y) if traced.is_traced(y) or traced.is_traced(x) else y),
    ),
    xlog1py=lambda x, y: ew("where", x == 0, 0.0, x * np.log1p(y)),
    entr=lambda x: ew("where", x > 0, -x * np.log(ew("where", x > 0, x, 1.0)), ew("where", x == 0, 0.0, -np.inf)),
    logit=lambda p: np.log(p) - np.log1p(-p),
    log_expit=lambda x: -np.logaddexp(0.0, -x),
    ndtr=lambda x: 0.5 * ew("erfc", -x * SQRT1_2),
    expm1=lambda x: ew("expm1", x),
    betaln=lambda a, b: gammaln(a) + gammaln(b) - gammaln(a + b),
    loggamma=lambda x: ew("gammaln", x),
    rel_entr=lambda x, y: x * (np.log(x) - np.log(y)),
)


def gammaln(x: Any) -> Any:
    if traced.is_traced(x):
        return ew("gammaln", x)
    import scipy.special

    return scipy.special.gammaln(x)


# functions of scipy that go past NumPy's protocols: reached by rebinding of names
REBOUND = {"logsumexp": logsumexp, "softmax": softmax, "log_softmax": log_softmax}
