"""A function recorded on its own inside a recording: what it takes, what it reads from outside, what it gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import errors, trees
from ..tracer import array as traced
from . import rebind


class Slot:
    """A traced leaf of a result: where it stands among the outputs, and what it is."""

    def __init__(self, position: int, x: Any) -> None:
        self.position = position
        self.shape, self.dtype = x.shape, x.dtype
        self.scalar = isinstance(x, traced.TracedScalar)


class Nested:
    """One run of ``f(*args, **kwargs)`` on a tape of its own.

    Attributes
    ----------
    outer, trace : Trace
        The recording around it, and its own.
    inputs : list
        What its program takes: the traced leaves of the arguments, then what f read from the recordings around it.
    arguments : list
        The traced leaves of the arguments themselves.
    template : tree
        The result with a `Slot` for each traced leaf.
    outputs : list
        These leaves, while the trace is open.
    written : list of (int, int)
        Arguments that f wrote into: the input, and the position of the output it becomes.
    """

    def __init__(self, f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], blind: str = "") -> None:
        self.trace = trace = traced.Trace()
        trace.blind = blind  # why f must not look at values, if so
        leaves: list[Any] = []
        self.arguments: list[Any] = []

        def leaf(x: Any, path: str) -> Any:
            if isinstance(x, np.ndarray) and x.dtype == object and traced.find_trace(x) is not None:
                x = traced.as_traced(traced.open_trace(), x)
            if not traced.is_traced(x):
                return x
            value = trace.input_array(x, False, isinstance(x, traced.TracedScalar))
            leaves.append(value)
            self.arguments.append(x)
            return value

        new_args, new_kwargs = trees.mapped(leaf, (tuple(args), kwargs))
        before = [traced.value_number(x) for x in leaves]
        try:
            with trace:
                self.outer = trace.parent
                result = rebind.rebound(f, trace)(*new_args, **new_kwargs)
                self.outputs: list[Any] = []
                self.template = trees.mapped(self.slot, result)
                self.written = []
                for k, (x, old) in enumerate(zip(leaves, before, strict=True)):
                    if traced.value_number(x) != old:
                        self.written.append((k, len(self.outputs)))
                        self.outputs.append(x)
            trace.hand_up()
        except BaseException:
            trace.close()
            raise
        self.inputs = trace.inputs

    def slot(self, x: Any, path: str) -> Any:
        if isinstance(x, np.ndarray) and x.dtype == object and traced.find_trace(x) is not None:
            x = traced.as_traced(self.trace, x)
        if not traced.is_traced(x):
            return x
        if traced.trace_of_value(x) is not self.trace:  # handed through
            array = traced.as_traced(self.trace, x)
            x = array if x.shape else traced.scalar_of(array)
        self.outputs.append(x)
        return Slot(len(self.outputs) - 1, x)

    def close(self) -> None:
        self.trace.close()

    def finish(self, outputs: Sequence[Any]) -> Any:
        """The program of these values of the recording."""
        self.trace.tape.set_results([traced.value_number(x) for x in outputs])
        self.close()
        return self.trace.tape

    def result(self, outputs: Sequence[Any]) -> Any:
        """The result's tree with these values for its slots."""
        return trees.mapped(lambda x, path: outputs[x.position] if isinstance(x, Slot) else x, self.template)

    def write_back(self, outputs: Sequence[Any]) -> None:
        """Let the caller's arrays see what f wrote into them."""
        for k, position in self.written:
            traced.write_into(self.arguments[k], outputs[position])

    def refuse_writes(self, what: str) -> None:
        """For those who cannot pass writes on."""
        if self.written:
            raise errors.ArgumentError(f"{traced.where_text()}{what} writes into its argument: return the new array instead")


def pack(trace: Any, arrays: Sequence[Any], flat: bool = False) -> Any:
    """Traced values as one float array, flattened one after the other; a single array as it is.

    ``flat``: a float64 array of one dimension in any case.
    """
    if len(arrays) == 1 and arrays[0].dtype.kind == "f" and arrays[0].shape and not flat:
        return arrays[0]
    if len(arrays) == 1 and arrays[0].dtype == np.float64 and arrays[0].shape:
        return np.reshape(arrays[0], (size(arrays[0].shape),))
    dtype = np.float32 if arrays and all(x.dtype == np.float32 for x in arrays) and not flat else np.float64
    total = sum(size(x.shape) for x in arrays)
    out = traced.new_array(trace, (total,), dtype, None)
    at = 0
    for x in arrays:
        n = size(x.shape)
        out[at : at + n] = np.reshape(x, (n,)) if x.shape else x
        at += n
    return out


def unpack(packed: Any, like: Sequence[Any]) -> list[Any]:
    """The values that `pack` put into an array; ``like`` has their shapes and dtypes."""
    if len(like) == 1 and packed.shape == like[0].shape:
        return [packed]
    out, at = [], 0
    for x in like:
        n = size(x.shape)
        part = np.reshape(packed[at : at + n], x.shape) if x.shape else packed[at]
        out.append(part if x.dtype == part.dtype else traced.cast_to(part, x.dtype))
        at += n
    return out


def size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64))
