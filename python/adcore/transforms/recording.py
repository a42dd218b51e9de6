"""Recording: run a function on traced arguments and keep the tape."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import config, errors, trees
from ..front import complex, rebind
from ..sweep import engine
from ..sweep.replay import is_static
from ..tracer import array as traced
from . import leaves, nonfinite


def normalised(x: Any, name: str) -> Any:
    """An argument to differentiate as a C-contiguous native float or complex array.

    A value that an outer differentiation traces stays as it is.

    Raises
    ------
    ArgumentError
        For anything that is not made of floats: the derivative would have no meaning.
    """
    if isinstance(x, traced.TracedComplex):
        return x
    if isinstance(x, traced.Traced):
        if x.dtype.kind != "f":
            raise errors.ArgumentError(
                f"{name} has dtype {x.dtype}; adcore differentiates with respect to floats: use {name}.astype(float)"
            )
        return x
    if isinstance(x, (bool, int, np.integer, np.bool_)) or isinstance(x, (str, bytes)) or x is None:
        raise errors.ArgumentError(
            f"{name} is {type(x).__name__} ({x!r}); adcore differentiates with respect to floats: pass float({x!r})"
            if isinstance(x, int)
            else f"{name} is {type(x).__name__}; adcore differentiates with respect to floats and float arrays"
        )
    refuse_subclass(x, name)
    array = np.asarray(x)
    if array.dtype.kind == "c":
        if array.dtype.itemsize not in (8, 16):
            raise errors.ArgumentError(f"{name} has dtype {array.dtype}; adcore computes with complex128 and complex64")
        return np.array(array, dtype=array.dtype.newbyteorder("="), order="C", copy=None)
    if array.dtype.kind != "f":
        raise errors.ArgumentError(
            f"{name} has dtype {array.dtype}; adcore differentiates with respect to float arrays: pass {name}.astype(float)"
        )
    if array.dtype.itemsize not in (4, 8):
        raise errors.ArgumentError(f"{name} has dtype {array.dtype}; adcore computes with float32 and float64")
    dtype = np.float32 if array.dtype.itemsize == 4 else np.float64
    return np.array(array, dtype=dtype, order="C", copy=None, ndmin=0) if array.ndim else np.array(array, dtype=dtype)


def is_plain(x: Any) -> bool:
    """Is it an array of a class that computes as np.ndarray does, if it is one at all?"""
    return not isinstance(x, np.ndarray) or type(x) in (np.ndarray, np.memmap)


def refuse_subclass(x: Any, name: str) -> None:
    if not is_plain(x):
        raise errors.ArgumentError(
            f"{name} is of class {type(x).__module__}.{type(x).__qualname__}: adcore records what plain arrays do. Pass np.asarray(...) "
            "of it if that is what is meant"
        )


def is_scalar(x: Any) -> bool:
    """A Python or NumPy float, as opposed to an array of no dimensions."""
    return isinstance(x, (float, np.floating, traced.TracedScalar)) or leaves.is_complex_scalar(x)


class Recording:
    """One run of a function on traced arguments.

    Attributes
    ----------
    trace : Trace
        The tape and what it binds.
    result : object
        What the function returned, traced values included.
    active : list of list of int
        For each differentiated argument, the input numbers of its leaves.
    """

    def __init__(self, f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], argnums: Sequence[int], locate: Any = None):
        self.trace = trace = traced.Trace()
        if locate is None and config.debug_nans():
            locate = nonfinite.lines()
            trace.tape.sources = locate.sources
        if locate is not None:
            trace.tape.locate = locate
        self.active: list[list[int]] = []
        self.templates: list[Any] = []
        new_args = []
        for k, arg in enumerate(args):
            active = k in argnums
            if active:
                self.templates.append(arg)
                self.active.append([len(trace.inputs)])
            value = trace.bind(arg, active) if active or type(arg) is np.ndarray else None
            if value is None and active:
                self.active[-1].clear()
                value = trees.mapped(self.active_leaf, arg, f"argument {k}")
            elif value is None:
                value = trees.mapped(self.constant_leaf, arg) if holds_float_array(arg) else arg
            new_args.append(value)
        if len(argnums) > 1:  # the order is the caller's
            place = [sorted(argnums).index(k) for k in argnums]
            self.active, self.templates = [self.active[p] for p in place], [self.templates[p] for p in place]
        try:
            with trace:
                self.result = rebind.call(f, trace, new_args, kwargs)
        except BaseException as error:
            trace.close()
            # NumPy hides our message behind one of its own when a plain array is written into
            if isinstance(error.__cause__, errors.LostTrace):
                raise error.__cause__ from None
            raise

    def active_leaf(self, x: Any, path: str) -> Any:
        array = normalised(x, path)
        self.active[-1].append(len(self.trace.inputs))
        if leaves.is_complex(array):
            return complex.entered(self.trace.input_array(leaves.pairs(array), True, False, x))
        return self.trace.input_array(array, True, is_scalar(x), x)

    def constant_leaf(self, x: Any, path: str) -> Any:
        if not is_float_array(x):
            return x
        if leaves.is_complex(x):
            return complex.entered(self.trace.input_array(leaves.pairs(x), False, False, x))
        if isinstance(x, traced.Traced):
            return self.trace.input_array(x, False, False)
        array = np.asarray(x)
        dtype = np.float32 if array.dtype.itemsize == 4 else np.float64
        return self.trace.input_array(np.array(array, dtype=dtype, order="C", copy=None), False, False, array)

    def number(self, x: Any) -> int:
        """The value number of a result, which may be a value of an outer recording that f handed through."""
        if traced.is_traced(x) and traced.trace_of_value(x) is self.trace:
            return traced.value_number(x)
        return traced.value_number(traced.as_traced(self.trace, x))

    @property
    def wrt(self) -> tuple[int, ...]:
        """The input numbers of all differentiated leaves."""
        return tuple([k for group in self.active for k in group])

    def run(self, mode: str, more: Sequence[Any] = (), width: int = 0) -> list[Any]:
        """The outputs of a program derived from the recorded one; ``more`` are its further inputs.

        With a width, these hold so many seeds along a last axis. When an argument is traced by a recording around
        this one, the derived program becomes a part of that.
        """
        return Swept(self, self.trace.tape, self.wrt, self.trace.inputs).run(mode, more, width)

    def keep(self) -> None:
        """Take copies of the arrays that are bound: the program shall run later, whatever becomes of them until then."""
        for bound in (self.trace.inputs, self.trace.consts):
            bound[:] = [np.array(x) if type(x) is np.ndarray else x for x in bound]

    def zeros(self, mode: str, width: int = 0) -> list[bool]:
        """Which outputs of a derived program are zero whatever the inputs?"""
        program, _ = engine.derived(self.trace.tape, mode, self.wrt, width)

        def is_zero(value: int) -> bool:
            row = program.instruction(value)
            if row["op"] == "FULL":
                return is_zero(row["args"][0])
            return bool(row["op"] == "LITERAL" and program.literal(value) == 0.0)

        return [is_zero(value) for value in program.outputs]

    def gradients(self, adjoints: list[Any]) -> list[Any]:
        """The adjoints of all differentiated leaves as trees like the arguments."""
        found = iter(adjoints)

        def leaf(x: Any, path: str = "") -> Any:
            g = next(found)
            if type(x) is np.ndarray and x.dtype is FLOAT64:
                return g
            if leaves.is_complex(x):
                return leaves.adjoint(g, np.ndim(x) if len(g.shape) > np.ndim(x) + 1 else None)
            return g if traced.is_traced(g) or not is_scalar(x) else g[()]

        return [leaf(x) if type(x) is np.ndarray and x.dtype is FLOAT64 else trees.mapped(leaf, x) for x in self.templates]


FLOAT64 = np.dtype(np.float64)


Shapes = Sequence[tuple[tuple[int, ...], Any]]  # shapes and dtypes


class Swept:
    """A program to differentiate: the one a recording made, or one with the same outputs.

    Attributes
    ----------
    program : Program
    wrt : tuple of int
        The inputs to differentiate.
    inputs : list
        What the program takes: plain arrays, or traced by a recording around this one.
    """

    def __init__(self, recording: Recording, program: Any, wrt: tuple[int, ...], inputs: Sequence[Any]) -> None:
        self.recording, self.program, self.wrt, self.inputs = recording, program, wrt, inputs

    def run(self, mode: str, more: Sequence[Any] = (), width: int = 0) -> list[Any]:
        """See `Recording.run`."""
        trace = self.recording.trace
        inputs = [*self.inputs, *more]
        outer = traced.find_trace(inputs)
        if outer is None:
            results = engine.apply(self.program, mode, self.wrt, inputs, trace.consts, trace.scalars, width)
            if config.debug_nans() and not nonfinite.finite(results):
                nonfinite.explain(self.program, mode, self.wrt, inputs, trace.consts, trace.scalars, width)
            return results
        trace.hand_up()
        derived = nonfinite.derived if config.debug_nans() else engine.derived  # what is kept does not know this recording's lines
        program, more_consts = derived(self.program, mode, self.wrt, width)
        consts = engine.all_consts(trace.consts, more_consts)
        return outer.inline(program, inputs, consts, trace.scalars)  # type: ignore[no-any-return]


def is_float_array(x: Any) -> bool:
    """A float or complex array that a recording can bind."""
    if not isinstance(x, (np.ndarray, traced.TracedArray, complex.Complex)) or x.ndim == 0 or not is_plain(x):
        return False
    return x.dtype.itemsize in ((4, 8) if x.dtype.kind == "f" else (8, 16) if x.dtype.kind == "c" else ())


def holds_float_array(tree: Any) -> bool:
    """Is there anything to bind in an argument? Tables of integers may have a hundred thousand rows."""
    return not is_static(tree) or traced.find_trace(tree) is not None


def checked_argnums(argnums: int | Sequence[int], n: int) -> tuple[int, ...]:
    """Argument positions as a tuple, negative ones resolved."""
    if type(argnums) is int and 0 <= argnums < n:
        return (argnums,)
    if type(argnums) is tuple and len(set(argnums)) == len(argnums) and all([type(k) is int and 0 <= k < n for k in argnums]):
        return argnums
    numbers = (argnums,) if isinstance(argnums, (int, np.integer)) else tuple(argnums)
    for k in numbers:
        if isinstance(k, bool) or not isinstance(k, (int, np.integer)):
            raise errors.ArgumentError(f"argnums={argnums!r}: give an integer or a tuple of integers")
        if not -n <= k < n:
            raise errors.ArgumentError(f"argnums={argnums!r}, but the function was called with {n} positional arguments")
    resolved = tuple(int(k) % n for k in numbers)
    if len(set(resolved)) != len(resolved):
        raise errors.ArgumentError(f"argnums={argnums!r} names an argument twice")
    return resolved


def trace(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Record what ``f(*args)`` does, as a program that prints itself.

    Parameters
    ----------
    f : callable
        A function of NumPy arrays.
    *args, **kwargs
        Its arguments; float arrays among them become the program's inputs.

    Returns
    -------
    inspect.View
        One instruction a line when printed; its outputs are the leaves of f's result. ``profile()`` times its steps by
        source line, ``memory_report()`` tells what memory holds at its peak.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> print(adcore.trace(lambda x: np.sum(x * x), np.ones(3)))
    %0 = input 0 : f64[3]
    %1 = mul %0 %0 : f64[3]
    %2 = sum %1 at 0 step 0 : f64[]
    return %2
    """
    from .. import inspect

    differentiable = [k for k, a in enumerate(args) if all(is_float_array(x) or is_scalar(x) for _, x in trees.leaves(a))]
    lines = inspect.Lines()
    recording = Recording(f, args, kwargs, differentiable, lines)
    outputs = [traced.value_number(x) for _, x in trees.leaves(recording.result) if traced.is_traced(x)]
    program = recording.trace.tape
    program.locate = None
    program.sources = lines.sources
    program.set_results(outputs)
    recording.trace.close()
    return inspect.View(recording, lines, lambda: f(*copy.deepcopy(args), **copy.deepcopy(kwargs)))
