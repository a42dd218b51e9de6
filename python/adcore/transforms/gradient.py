"""Gradients of scalar-valued functions by one reverse sweep."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import errors, trees
from ..tracer import array as traced
from . import leaves
from .recording import Recording, checked_argnums


def name_of(f: Any) -> str:
    return getattr(f, "__name__", None) or type(f).__name__


def scalar_result(f: Any, result: Any, recording: Recording) -> Any:
    """The value number of a scalar result; None when it is a plain number that depends on nothing."""
    if isinstance(result, traced.TracedScalar) and result.dtype.kind == "f":
        return recording.number(result)
    if isinstance(result, np.ndarray) and result.dtype == object and result.size == 1:
        result = result.reshape(-1)[0]
    if leaves.is_complex(result):
        raise errors.ArgumentError(
            f"{name_of(f)} returned a complex value; gradient needs a real one: return its .real or abs(...)**2. The derivative "
            "of a holomorphic function is adcore.grad(f, holomorphic=True)."
        )
    if traced.is_traced(result):
        if result.shape != ():
            raise errors.ArgumentError(
                f"{name_of(f)} returned an array of shape {result.shape}; gradient needs a scalar: return a sum, or use adcore.jacobian"
            )
        if result.dtype.kind != "f":
            raise errors.ArgumentError(f"{name_of(f)} returned a {result.dtype}; gradient needs a float")
        return recording.number(result)
    if result is None:
        raise errors.ArgumentError(f"{name_of(f)} returned None; gradient needs a scalar result: is a return missing?")
    if isinstance(result, (float, int, np.floating, np.integer)) or (
        isinstance(result, np.ndarray) and result.shape == () and result.dtype.kind in "fiu"
    ):
        return None
    raise errors.ArgumentError(f"{name_of(f)} returned {type(result).__name__}; gradient needs a scalar")


def auxiliary(recording: Recording, tree: Any) -> Any:
    """An auxiliary result as plain arrays, or as values of the recording around this one, which may differentiate them."""
    if traced.find_trace(recording.trace.inputs) is None:

        def value(x: Any, path: str) -> Any:
            return x.concrete()[()] if traced.is_traced(x) else x

        return trees.mapped(value, tree)
    numbers: list[int] = []

    def number(x: Any, path: str) -> Any:
        if leaves.is_complex(x) or (traced.is_traced(x) and x.dtype.kind == "f"):
            numbers.append(recording.number(leaves.pairs(x) if leaves.is_complex(x) else x))
            return x
        return x.concrete()[()] if traced.is_traced(x) else x

    tree = trees.mapped(number, tree)
    recording.trace.tape.set_results(numbers)
    found = iter(recording.run("value"))

    def filled(x: Any, path: str) -> Any:
        if not traced.is_traced(x):
            return x
        y = next(found)
        return leaves.from_pairs(y) if leaves.is_complex(x) else y if traced.is_traced(y) else y[()]

    return trees.mapped(filled, tree)


def differentiate(
    f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], argnums: int | Sequence[int], has_aux: bool,
    holomorphic: bool = False,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Value, gradients (one for each of argnums, or one alone) and auxiliary result."""
    if holomorphic:
        return differentiate_holomorphic(f, args, kwargs, argnums, has_aux)
    numbers = checked_argnums(argnums, len(args))
    recording = Recording(f, args, kwargs, numbers)
    try:
        result, aux = recording.result, None
        if has_aux:
            if not isinstance(result, tuple) or len(result) != 2:
                raise errors.ArgumentError(f"has_aux=True, but {name_of(f)} did not return a pair (value, aux)")
            result, aux = result
            aux = auxiliary(recording, aux)
        value = scalar_result(f, result, recording)
        trace = recording.trace
        if value is None:
            # a plain number: whatever leaves the trace of an active value raises, so it depends on nothing
            number: Any = np.float64(result)
            adjoints = [np.zeros(trace.inputs[k].shape, trace.inputs[k].dtype) for k in recording.wrt]
        else:
            trace.tape.set_results([value])
            number, *adjoints = recording.run("gradient")
            if not traced.is_traced(number):
                number = number[()]
        gradients: Any = recording.gradients(adjoints)
    finally:
        recording.trace.close()
    if isinstance(argnums, (int, np.integer)):
        gradients = gradients[0]
    else:
        gradients = tuple(gradients)
    return number, gradients, aux


def differentiate_holomorphic(
    f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], argnums: int | Sequence[int], has_aux: bool
) -> tuple[Any, Any, Any]:
    """As `differentiate`, for a complex value that is holomorphic in complex arguments: both parts seed one sweep."""
    numbers = checked_argnums(argnums, len(args))
    recording = Recording(f, args, kwargs, numbers)
    try:
        result, aux = recording.result if has_aux else (recording.result, None)
        for x in (result, *(x for k in numbers for _, x in trees.leaves(args[k]))):
            if not leaves.is_complex(x):
                raise errors.ArgumentError(f"holomorphic=True is for complex arguments and results; {name_of(f)} has {type(x).__name__}")
        if np.shape(result) != ():
            raise errors.ArgumentError(f"{name_of(f)} returned an array of shape {np.shape(result)}; use adcore.jacobian(holomorphic=True)")
        if traced.is_traced(result):
            recording.trace.tape.set_results([recording.number(leaves.pairs(result))])
            value, *adjoints = recording.run("pull back", [np.eye(2, dtype=result.re.dtype)], 2)
            aux = auxiliary(recording, aux)
        else:
            raise errors.ArgumentError(f"{name_of(f)} returned a constant, which has no derivative to check for being holomorphic")
    finally:
        recording.trace.close()

    found = iter(adjoints)

    def leaf(x: Any, path: str) -> Any:
        g = next(found)
        return leaves.holomorphic(g[..., 0, 0], g[..., 1, 0], g[..., 0, 1], g[..., 1, 1], name_of(f))

    gradients: Any = [trees.mapped(leaf, template) for template in recording.templates]
    gradients = gradients[0] if isinstance(argnums, (int, np.integer)) else tuple(gradients)
    return leaves.from_pairs(value), gradients, aux


def gradient(f: Callable[..., Any], x: Any, *args: Any, argnums: int | Sequence[int] = 0, **kwargs: Any) -> Any:
    """The gradient of ``f(x, *args)``.

    Parameters
    ----------
    f : callable
        Returns a scalar; written in NumPy.
    x : float or complex array, number, or tree of them
        Where to differentiate: float64, float32, complex128 or complex64, any shape and layout. Integers are refused.
    *args, **kwargs
        Further arguments of f, not differentiated unless named in ``argnums``.
    argnums : int or tuple of int
        Which positional arguments (x is 0) to differentiate.

    Returns
    -------
    ndarray, float or tree
        Shaped like the argument; a tuple of such when argnums is a tuple.

    Raises
    ------
    ArgumentError
        The argument has no real float type, or f does not return a scalar.
    NotDifferentiable
        f uses an operation that has no derivative on a value that is being differentiated.

    Notes
    -----
    Reverse mode: one sweep whatever the size of x; at a kink the subgradient stated in the op table. By a complex
    x = a + ib the gradient is df/da - i df/db (as in JAX: the change of f is the real part of gradient times change of x);
    ``adcore.config(conjugate=True)`` gives df/da + i df/db, the direction of steepest ascent.

    References
    ----------
    A. Griewank, A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 3.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> adcore.gradient(lambda x: np.sum(x**2), np.array([1.0, 2.0]))
    array([2., 4.])
    """
    return differentiate(f, (x, *args), kwargs, argnums, False)[1]


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False) -> Callable[..., Any]:
    """The function that gives the gradient of f.

    Parameters
    ----------
    f : callable
        Returns a scalar, or a pair (scalar, aux) with ``has_aux``.
    argnums : int or tuple of int
        Which positional arguments to differentiate.
    has_aux : bool
        f returns ``(value, aux)``; the new function then returns ``(gradient, aux)``.
    holomorphic : bool
        f is a holomorphic function of complex arguments: the result is its complex derivative. What is not
        holomorphic where it is evaluated is refused (the Cauchy-Riemann equations are checked).

    Returns
    -------
    callable
        Takes f's arguments.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> float(adcore.grad(np.sin)(0.0))
    1.0
    """

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def gradient_of_f(*args: Any, **kwargs: Any) -> Any:
        _, g, aux = differentiate(f, args, kwargs, argnums, has_aux, holomorphic)
        return (g, aux) if has_aux else g

    return gradient_of_f


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False
) -> Callable[..., Any]:
    """The function that gives value and gradient of f, in one sweep forward and back.

    Parameters
    ----------
    f, argnums, has_aux, holomorphic
        As for `grad`.

    Returns
    -------
    callable
        Returns ``(value, gradient)``, or ``((value, aux), gradient)`` with ``has_aux``.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> value, g = adcore.value_and_grad(lambda x: np.sum(np.exp(x)))(np.zeros(2))
    >>> float(value), g
    (2.0, array([1., 1.]))
    """

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def value_and_gradient_of_f(*args: Any, **kwargs: Any) -> Any:
        value, g, aux = differentiate(f, args, kwargs, argnums, has_aux, holomorphic)
        return ((value, aux), g) if has_aux else (value, g)

    return value_and_gradient_of_f


def stop_gradient(x: Any) -> Any:
    """x as a constant: its value goes on, its derivative does not.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> adcore.gradient(lambda x: np.sum(x * adcore.stop_gradient(x)), np.array([3.0]))
    array([3.])
    """
    return trees.mapped(lambda leaf, path: traced.constant_part(leaf) if traced.is_traced(leaf) else leaf, x)
