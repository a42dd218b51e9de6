"""Iterators over elements: ``np.ndenumerate`` and ``np.nditer`` on traced arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..tracer import array as traced
from ..tracer import layout
from .dispatch import unsupported


def ndenumerate(arr: Any) -> Any:
    """Pairs of index and element."""
    a = traced.asarray(arr) if traced.find_trace(arr) is not None else arr
    if not traced.is_traced(a):
        return np.ndenumerate(arr)
    return ((index, a[index]) for index in np.ndindex(*a.shape))


class Iteration:
    """``np.nditer`` with a traced operand: element by element in C order, each as a view of no dimensions.

    Operands that are None are made, and written through what the loop gets for them.
    """

    known_flags = frozenset(
        {"multi_index", "c_index", "refs_ok", "zerosize_ok", "copy_if_overlap", "buffered", "common_dtype", "delay_bufalloc"}
    )

    def __init__(self, trace: Any, op: Any, flags: Any = None, op_flags: Any = None, op_dtypes: Any = None, order: str = "K",
                 casting: str = "safe", op_axes: Any = None, itershape: Any = None, buffersize: int = 0) -> None:  # fmt: skip
        unknown = set(flags or ()) - self.known_flags
        if unknown or op_axes is not None or itershape is not None or order == "F":
            what = ", ".join(sorted(unknown)) or ("order='F'" if order == "F" else "op_axes or itershape")
            raise unsupported("np.nditer", what, "loop over np.ndindex(shape) instead")
        operands = list(op) if isinstance(op, (list, tuple)) else [op]
        arrays = [None if a is None else traced.as_traced(trace, a) for a in operands]
        steps = [traced.numpy_steps(a) for a in arrays if a is not None and len(a.shape) > 1]
        if order != "C" and any(s is None or layout.by_strides((2,) * len(s), s) is not None for s in steps):
            raise unsupported("np.nditer", "an array that is not in C order", "pass order='C', or loop over np.ndindex(shape)")
        self.itershape = self.shape = np.broadcast_shapes(*[a.shape for a in arrays if a is not None])
        self.single = not isinstance(op, (list, tuple))
        self.operands = tuple(traced.new_array(trace, self.shape) if a is None else a for a in arrays)
        looped = [traced.broadcast_to(a, self.shape) for a in self.operands]
        flags_of = list(op_flags or [])
        flags_of = [flags_of] * len(looped) if not flags_of or isinstance(flags_of[0], str) else flags_of
        written = [a is None or not {"readwrite", "writeonly"}.isdisjoint(own) for a, own in zip(arrays, flags_of, strict=True)]
        self.looped = [a if write else a.read_only() for a, write in zip(looped, written, strict=True)]
        self.itersize = int(np.prod(self.shape, dtype=int))
        self.iterindex = 0

    def __enter__(self) -> Iteration:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is buffered."""

    def reset(self) -> None:
        self.iterindex = 0

    @property
    def finished(self) -> bool:
        return self.iterindex >= self.itersize

    @property
    def multi_index(self) -> tuple[int, ...]:
        return tuple(int(k) for k in np.unravel_index(min(self.iterindex, self.itersize - 1), self.shape)) if self.shape else ()

    @property
    def index(self) -> int:
        return self.iterindex

    @property
    def value(self) -> Any:
        at = (*self.multi_index, ...)
        found = tuple(a[at] for a in self.looped)
        return found[0] if self.single else found

    def __getitem__(self, k: int) -> Any:
        return self.looped[k][(*self.multi_index, ...)]

    def __setitem__(self, k: int, x: Any) -> None:
        self.looped[k][self.multi_index] = x

    def iternext(self) -> bool:
        self.iterindex += 1
        return not self.finished

    def __iter__(self) -> Iterator[Any]:
        self.iterindex = 0
        while not self.finished:
            yield self.value
            self.iterindex += 1


def nditer(trace: Any, op: Any, *args: Any, **kw: Any) -> Any:
    """NumPy's iterator, or ours where an operand is traced."""
    if traced.find_trace(op if isinstance(op, (list, tuple)) else [op]) is None:
        return np.nditer(op, *args, **kw)
    return Iteration(trace, op, *args, **kw)
