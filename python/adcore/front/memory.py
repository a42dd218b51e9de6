"""The bytes of traced arrays: ``tobytes`` and ``frombuffer``.

What bytes mean decides the derivative. Those of real and of complex arrays are the same numbers, so they may be read as either;
anything else that looks at them is refused.
"""

from __future__ import annotations

import math
from typing import Any, NoReturn

import numpy as np

from ..tracer import array as traced
from .dispatch import refuse

WHY = "the meaning of the bytes decides the derivative"


class Bytes:
    """The bytes of a traced array, for ``np.frombuffer`` to read as numbers again."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __len__(self) -> int:
        return int(math.prod(self.array.shape) * self.array.dtype.itemsize)

    def looked_at(self, *args: Any, **kw: Any) -> NoReturn:
        raise refuse("ndarray.tobytes", WHY)

    __bytes__ = __iter__ = __getitem__ = __add__ = __radd__ = __eq__ = __lt__ = __hash__ = __index__ = looked_at

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.looked_at()


def tobytes(self: Any, order: str = "C") -> Any:
    """A copy of the array's memory."""
    if not traced.is_active(self):
        return self.concrete().tobytes(order)
    return Bytes(self.ravel(order).copy())


def read(buffer: Any, dtype: Any, count: int, offset: int) -> Any:
    """``np.frombuffer`` of the bytes of a traced array, or of the array itself, as numbers."""
    array = buffer.array if isinstance(buffer, Bytes) else buffer.ravel()
    dtype = np.dtype(dtype)
    real = array.dtype if array.dtype.kind == "f" else np.dtype(f"f{array.dtype.itemsize // 2}")
    if dtype != real and (dtype.kind != "c" or dtype.itemsize != 2 * real.itemsize):
        raise refuse(f"np.frombuffer of the bytes of {array.dtype} as {dtype}", WHY)
    first, rest = divmod(offset, real.itemsize)
    if rest:
        raise refuse(f"np.frombuffer with offset={offset}, which is within a number,", WHY)
    numbers = array.view(real)[first:]
    if dtype.kind == "c" and len(numbers) % 2:
        raise ValueError(f"{traced.where_text()}buffer size must be a multiple of element size")
    found = numbers.view(dtype)
    if count > len(found):
        raise ValueError(f"{traced.where_text()}buffer is smaller than requested size")
    found = found if count < 0 else found[:count]
    return found.read_only() if isinstance(buffer, Bytes) else found
