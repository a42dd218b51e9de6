"""Pullbacks and dense Jacobians by reverse mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import errors, trees
from ..sweep import engine
from ..tracer import array as traced
from .recording import Recording, checked_argnums


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """Value of f, and the function that takes an adjoint of the value to adjoints of the arguments.

    Parameters
    ----------
    f : callable
        Returns one array or scalar.
    *primals
        Float arrays, floats, or trees of them; all are differentiated.

    Returns
    -------
    y : ndarray or float
    pullback : callable
        ``pullback(g)``, g shaped like y, gives a tuple of adjoints shaped like the primals. Any number of calls.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> y, pullback = adcore.vjp(np.sin, np.array([0.0, np.pi]))
    >>> pullback(np.array([1.0, 2.0]))
    (array([ 1., -2.]),)
    """
    return pulled_back(f, primals, tuple(range(len(primals))))


def pulled_back(f: Callable[..., Any], args: Sequence[Any], argnums: Sequence[int]) -> tuple[Any, Callable[..., Any]]:
    """`vjp` with respect to some of the arguments."""
    recording = Recording(f, args, {}, argnums)
    trace = recording.trace
    result = recording.result
    if not traced.is_traced(result) and traced.find_trace(result) is not None:
        result = traced.as_traced(trace, result)
    wrt = [k for group in recording.active for k in group]
    if not traced.is_traced(result):
        trace.close()
        if not isinstance(result, (float, int, np.ndarray, np.generic)):
            raise errors.ArgumentError(f"the function returned {type(result).__name__}; vjp needs one array or scalar")
        return result, lambda g: tuple(recording.gradients([np.zeros_like(trace.inputs[k]) for k in wrt]))
    trace.tape.set_results([traced.value_number(result)])
    value = result.concrete()
    trace.close()

    def pullback(g: Any) -> tuple[Any, ...]:
        seed = np.ascontiguousarray(np.asarray(g, dtype=value.dtype)).reshape(np.shape(g))
        if seed.shape != value.shape:
            raise errors.ArgumentError(f"the adjoint has shape {seed.shape}, the value {value.shape}")
        inputs = [*trace.inputs, seed]
        return tuple(recording.gradients(engine.pull_back(trace.tape, wrt, inputs, trace.consts, trace.scalars)))

    return (value[()] if value.shape == () else value), pullback


def jacobian(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """The function that gives the Jacobian of f, shape ``y.shape + x.shape``, by one reverse sweep a row.

    Parameters
    ----------
    f : callable
        Returns one array or scalar.
    argnums : int
        Which positional argument to differentiate: one float array or float.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> adcore.jacobian(lambda x: x**2)(np.array([1.0, 3.0]))
    array([[2., 0.],
           [0., 6.]])
    """

    def jacobian_of_f(*args: Any) -> Any:
        (number,) = checked_argnums(argnums, len(args))
        x = args[number]
        if trees.is_branch(x):
            raise errors.ArgumentError("jacobian takes one array or float to differentiate, not a tree")

        y, pullback = pulled_back(f, args, (number,))
        shape = np.shape(y)
        seed = np.zeros(shape)
        flat = seed.reshape(-1)
        rows = []
        for k in range(seed.size):
            flat[k] = 1.0
            rows.append(pullback(seed)[0])
            flat[k] = 0.0
        return np.reshape(np.array(rows), shape + np.shape(x)) if rows else np.zeros(shape + np.shape(x))

    return jacobian_of_f
