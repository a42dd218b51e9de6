"""Complex numbers and arrays, as pairs of traced real ones.

A traced complex value is its real and its imaginary part, two traced values of one shape and dtype; every operation is
recorded as real operations on them. So fusion, both modes of differentiation, any order, views, assignment and the
executor know nothing of complex numbers. A part that is known to be 0 (``1j * x``, a real operand) costs nothing.
``docs/adr/0002`` states the convention of gradients, and why the parts stand apart.
"""

from __future__ import annotations

import functools
import inspect
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import errors
from ..tracer import array as traced
from . import dispatch, memory
from .dispatch import any_active, refuse, values

ew = traced.elementwise
Part = Any  # a traced value, a plain one, or None: exactly 0

DTYPE_OF_PART: dict[Any, Any] = {np.dtype(np.float64): np.dtype(np.complex128), np.dtype(np.float32): np.dtype(np.complex64)}
PART_OF_DTYPE = {c: f for f, c in DTYPE_OF_PART.items()}

TABLE: dict[Any, Callable[..., Any]] = {}
UFUNCS: dict[str, Callable[..., Any]] = {}
METHODS: dict[str, Callable[..., Any]] = {}


def implements(*functions: Any) -> Callable[[Any], Any]:
    """Register the decorated function for these functions of NumPy on complex arguments."""

    def register(ours: Any) -> Any:
        for f in functions:
            TABLE[f] = ours
        return ours

    return register


class Complex(traced.TracedComplex):
    """A traced complex number or array, with NumPy's meaning of everything."""

    __slots__ = ()
    __array_priority__ = 1001.0
    __hash__ = None  # type: ignore[assignment]

    # -- attributes

    @property
    def shape(self) -> tuple[int, ...]:
        return self.re.shape  # type: ignore[no-any-return]

    @shape.setter
    def shape(self, new: Any) -> None:
        self.re.shape = self.im.shape = new

    @property
    def ndim(self) -> int:
        return len(self.re.shape)

    @property
    def size(self) -> int:
        return math.prod(self.re.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        found: np.dtype[Any] = DTYPE_OF_PART[self.re.dtype]
        return found

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    @property
    def real(self) -> Any:
        return self.re

    @real.setter
    def real(self, x: Any) -> None:
        self.re[...] = x

    @property
    def imag(self) -> Any:
        return self.im

    @imag.setter
    def imag(self, x: Any) -> None:
        self.im[...] = x

    @property
    def base(self) -> Any:
        return None if getattr(self.re, "base", None) is None else self

    def read_only(self) -> Any:
        return Complex(self.re.read_only(), self.im.read_only())

    @property
    def T(self) -> Any:
        return self if not self.shape else Complex(self.re.T, self.im.T)

    @property
    def mT(self) -> Any:
        return Complex(self.re.mT, self.im.mT)

    @property
    def flat(self) -> Any:
        from .shapes import Flat

        return Flat(self)

    @flat.setter
    def flat(self, x: Any) -> None:
        self.flat[:] = x

    @property
    def strides(self) -> tuple[int, ...]:
        unit = 1 if traced.side_by_side(self.re, self.im) else 2
        return tuple(unit * s for s in self.re.strides)

    @property
    def flags(self) -> Any:
        from .shapes import Flags

        return Flags(self)

    @property
    def writeable(self) -> bool:
        return bool(self.re.writeable)

    # -- elements

    def __len__(self) -> int:
        return len(self.re)

    def __iter__(self) -> Any:
        return map(Complex, self.re, self.im)

    def __getitem__(self, key: Any) -> Any:
        return Complex(self.re[key], self.im[key])

    def __setitem__(self, key: Any, x: Any) -> None:
        re, im = split(x, find_trace(self, x))
        # both are read before either is written: x may be a view of this array with its parts exchanged
        re, im = (traced.fresh(p) if isinstance(p, traced.TracedArray) else p for p in (re, im))
        self.re[key] = 0.0 if re is None else re
        self.im[key] = 0.0 if im is None else im

    def __contains__(self, item: Any) -> bool:
        return bool(np.any(values(self == item)))

    # -- operators

    def __add__(a, b: Any) -> Any:
        return operator("add", a, b)

    def __radd__(a, b: Any) -> Any:
        return operator("add", b, a)

    def __sub__(a, b: Any) -> Any:
        return operator("sub", a, b)

    def __rsub__(a, b: Any) -> Any:
        return operator("sub", b, a)

    def __mul__(a, b: Any) -> Any:
        return operator("mul", a, b)

    def __rmul__(a, b: Any) -> Any:
        return operator("mul", b, a)

    def __truediv__(a, b: Any) -> Any:
        return operator("div", a, b)

    def __rtruediv__(a, b: Any) -> Any:
        return operator("div", b, a)

    def __pow__(a, b: Any) -> Any:
        return operator("power", a, b)

    def __rpow__(a, b: Any) -> Any:
        return operator("power", b, a)

    def __matmul__(a, b: Any) -> Any:
        return traced.matmul(a, b)

    def __rmatmul__(a, b: Any) -> Any:
        return traced.matmul(b, a)

    def __eq__(a, b: Any) -> Any:
        return False if b is None else operator("eq", a, b)

    def __ne__(a, b: Any) -> Any:
        return True if b is None else operator("ne", a, b)

    def __neg__(a) -> Any:
        return Complex(-a.re, -a.im)

    def __pos__(a) -> Any:
        return Complex(traced.fresh(a.re), traced.fresh(a.im))

    __copy__ = __pos__

    def __deepcopy__(a, memo: Any) -> Any:
        return +a

    def __abs__(a) -> Any:
        return absolute(a)

    def __iadd__(a, b: Any) -> Any:
        return a.updated(a + b)

    def __isub__(a, b: Any) -> Any:
        return a.updated(a - b)

    def __imul__(a, b: Any) -> Any:
        return a.updated(a * b)

    def __itruediv__(a, b: Any) -> Any:
        return a.updated(a / b)

    def __ipow__(a, b: Any) -> Any:
        return a.updated(a**b)

    def __imatmul__(a, b: Any) -> Any:
        return a.updated(a @ b)

    def updated(self, result: Any) -> Any:
        """``self op= x``: an array is written, a number replaced."""
        if isinstance(self.re, traced.TracedScalar):
            return result
        if result.shape != self.shape:
            raise ValueError(
                f"{traced.where_text()}non-broadcastable output operand with shape {self.shape} doesn't match "
                f"the broadcast shape {result.shape}"
            )
        self[...] = result
        return self

    # -- NumPy's protocols

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and not kwargs:
            return ufunc_call(ufunc, inputs)
        return dispatch.ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        dispatch.load()
        return function(func, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        dispatch.load()
        ours = METHODS.get(name)
        if ours is not None:
            return lambda *args, **kw: ours(self, *args, **kw)
        if hasattr(np.ndarray, name):
            raise refuse(f"ndarray.{name} of a complex array")
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    # -- leaving the trace: never silently

    def concrete(self) -> Any:
        """The plain array this value is now."""
        out = np.empty(self.shape, self.dtype)
        out.real, out.imag = self.re.concrete(), self.im.concrete()
        return out

    def lost(self, what: str) -> errors.LostTrace:
        return errors.LostTrace(
            f"{traced.where_text()}{what} of a traced complex value would drop its derivative, which is wanted here. Use NumPy's "
            "own functions, or wrap the value in adcore.stop_gradient if its derivative is not wanted."
        )

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        asked = errors.sparse_operand()
        if asked:
            return traced.object_array(self, asked - 1)
        if traced.is_active(self):
            raise self.lost(errors.library_call() or "np.asarray() or a function that is not NumPy's")
        return np.array(self.concrete(), dtype=dtype)

    def __bool__(self) -> bool:
        return bool(self.concrete())

    def __complex__(self) -> complex:
        if traced.is_active(self):
            raise self.lost("complex()")
        return complex(self.concrete()[()])

    def __float__(self) -> float:
        raise TypeError(f"{traced.where_text()}float() argument must be a string or a real number, not a complex one: take .real or abs()")

    __int__ = __float__

    def item(self, *index: Any) -> Any:
        if index:
            return self[index if len(index) > 1 else index[0]].item()
        return complex(self)

    def tolist(self) -> Any:
        if not traced.is_active(self):
            return self.concrete().tolist()
        return [x.tolist() if x.shape else x for x in self] if self.shape else self

    def __repr__(self) -> str:
        return f"traced {self.concrete()!r}"

    def __str__(self) -> str:
        return str(self.concrete())

    def __format__(self, spec: str) -> str:
        return format(self.concrete() if self.shape else self.concrete()[()], spec)


# -- parts: None is exactly 0 ----------------------------------------------------------------------


def is_complex(x: Any) -> bool:
    """Is an array, plain or traced, one of complex numbers?"""
    return bool(x.dtype.kind == "c")


def shape_of(x: Any) -> tuple[int, ...]:
    return x.shape if hasattr(x, "shape") else np.shape(values(x))


def find_trace(*operands: Any) -> Any:
    return traced.find_trace(operands)


def split(x: Any, trace: Any) -> tuple[Part, Part]:
    """The real and the imaginary part of any operand."""
    if isinstance(x, Complex):
        if traced.is_zero(x.im):
            return x.re, None
        return (None, x.im) if traced.is_zero(x.re) else (x.re, x.im)
    if traced.is_traced(x) or isinstance(x, (float, int, np.floating, np.integer, np.bool_)):
        return x, None
    if isinstance(x, (complex, np.complexfloating)):
        re, im = x.real, x.imag
        return (re, None) if im == 0 else (None if re == 0 else re, im)
    if isinstance(x, (list, tuple)) or (isinstance(x, np.ndarray) and x.dtype == object):
        if traced.find_trace(x) is not None:
            made_of = array(x, None, trace)
            return split(made_of, trace)
        x = np.asarray(x)
    if isinstance(x, np.ndarray):
        return constant_parts(x, trace) if x.dtype.kind == "c" else (x, None)
    raise errors.ArgumentError(f"{traced.where_text()}unsupported operand of type {type(x).__name__} with a traced complex value")


def constant_parts(x: np.ndarray, trace: Any) -> tuple[Any, Any]:
    """The parts of a complex array of the surroundings, as it is now; the same arrays each time it is used."""
    if x.dtype.newbyteorder("=") not in PART_OF_DTYPE:
        raise errors.ArgumentError(
            f"{traced.where_text()}an array of dtype {x.dtype} meets a traced value: adcore computes with complex128 and complex64"
        )
    known = trace.halves.get(id(x)) if trace is not None else None
    if known is not None and np.array_equal(known[1], x, equal_nan=True):
        return known[2], known[3]
    halves = [np.array(part, dtype=part.dtype.newbyteorder("="), order="C") for part in (x.real, x.imag)]
    for half in halves:
        half.flags.writeable = False
    if trace is not None:
        trace.halves[id(x)] = (x, x.copy(), *halves)
    return halves[0], halves[1]


def plus(a: Part, b: Part) -> Part:
    if a is None or b is None:
        x = b if a is None else a
        return traced.fresh(x) if isinstance(x, traced.TracedArray) else x
    return a + b


def minus(a: Part, b: Part) -> Part:
    if b is None:
        return plus(a, None)
    return -b if a is None else a - b


def times(a: Part, b: Part) -> Part:
    return None if a is None or b is None else a * b


def over(a: Part, b: Part) -> Part:
    return None if a is None else a / b


def made(re: Part, im: Part, trace: Any = None) -> Any:
    """The complex value of two parts, stretched to one shape and dtype."""
    if isinstance(re, traced.Traced) and isinstance(im, traced.Traced) and re.shape == im.shape and re.dtype == im.dtype:
        if re.dtype.kind == "f":
            return Complex(re, im)
    trace = traced.find_trace((re, im)) or trace
    shape = np.broadcast_shapes(np.shape(0.0 if re is None else re), np.shape(0.0 if im is None else im))
    kinds = [p.dtype if hasattr(p, "dtype") else float(p) for p in (re, im) if p is not None]
    dtype = np.result_type(*kinds) if kinds else np.dtype(np.float64)
    if dtype.kind != "f" or dtype.itemsize > 8:
        dtype = np.dtype(np.float64)
    return Complex(*(stretched(p, shape, dtype, trace) for p in (re, im)))


def stretched(p: Part, shape: tuple[int, ...], dtype: Any, trace: Any) -> Any:
    """A part as a traced value of this shape and dtype."""
    if p is None or (not np.shape(p) and not traced.is_traced(p)):
        number = 0.0 if p is None else float(p)
        return traced.new_array(trace, shape, dtype, number) if shape else traced.scalar(trace, number, dtype)
    if np.shape(p) != shape:
        p = traced.fresh(traced.broadcast_to(traced.as_traced(trace, p), shape))
    elif not traced.is_traced(p):
        p = traced.constant_array(trace, p)
    return p if p.dtype == dtype else traced.cast_to(p, dtype)


def promoted(x: Any, dtype: Any = None) -> Any:
    """A real or complex value as a complex one of its own."""
    trace = traced.find_trace(x)
    re, im = split(x, trace)
    z = made(plus(re, None), plus(im, None), trace)
    return z if dtype is None else cast_to(z, dtype)


def cast_to(z: Any, dtype: Any) -> Any:
    part = PART_OF_DTYPE.get(np.dtype(dtype))
    if part is None:
        raise errors.ArgumentError(
            f"{traced.where_text()}{np.dtype(dtype)} arrays are not supported: adcore computes with complex128 and complex64"
        )
    if part == z.re.dtype:
        return +z
    return Complex(traced.cast_to(z.re, part), traced.cast_to(z.im, part))


def new_array(trace: Any, shape: Any, dtype: Any, fill: Any = 0.0) -> Any:
    """A fresh complex array, filled with a number or a traced scalar."""
    part = PART_OF_DTYPE.get(np.dtype(dtype))
    if part is None:
        raise errors.ArgumentError(
            f"{traced.where_text()}{np.dtype(dtype)} arrays are not supported: adcore computes with complex128 and complex64"
        )
    re, im = split(fill, trace)
    return Complex(*(traced.new_array(trace, shape, part, 0.0 if p is None else p) for p in (re, im)))


def constant_array(trace: Any, x: np.ndarray) -> Any:
    """A plain complex array as a traced one: mutable, not differentiated."""
    return Complex(*(traced.constant_array(trace, half) for half in constant_parts(x, trace)))


def array(x: Any, dtype: Any, trace: Any) -> Any:
    """``np.array`` of anything that holds complex and traced values."""
    if isinstance(x, np.ndarray) and x.dtype == object:
        x = x.tolist()
    if isinstance(x, (list, tuple)) and traced.holds_complex(x):
        items = [array(item, None, trace) for item in x]
        z = function(np.stack, (items,), {})
    elif isinstance(x, np.ndarray) and x.dtype.kind == "c" and x.ndim:
        z = constant_array(trace, x)
    else:
        re, im = split(x if not isinstance(x, (list, tuple)) else traced.as_traced(trace, x), trace)
        z = made(plus(re, None), plus(im, None), trace)
    return z if dtype is None else cast_to(z, dtype)


# -- entering and leaving: pairs in the last axis, which is how NumPy lays complex numbers out --------------


def entered(pairs: Any) -> Any:
    """The complex value whose parts stand in the last axis of a traced real array; they stay views of it."""
    return Complex(pairs[..., 0], pairs[..., 1]) if len(pairs.shape) > 1 else Complex(pairs[0], pairs[1])


def as_pairs(z: Any) -> Any:
    """A traced real array with the parts in its last axis."""
    trace = traced.trace_of_value(z)
    out = traced.new_array(trace, (*z.shape, 2), z.re.dtype, None)
    if z.shape:
        out[..., 0], out[..., 1] = z.re, z.im
    else:
        out[0], out[1] = traced.scalar_of(z.re), traced.scalar_of(z.im)
    return out


# -- elementwise ---------------------------------------------------------------------------------------


def operator(name: str, a: Any, b: Any) -> Any:
    if not isinstance(b, (Complex, float, int, complex, np.ndarray, np.generic, list, tuple)) and not traced.is_traced(b):
        return NotImplemented
    if not isinstance(a, (Complex, float, int, complex, np.ndarray, np.generic, list, tuple)) and not traced.is_traced(a):
        return NotImplemented
    return elementwise(name, a, b)


def elementwise(name: str, *args: Any) -> Any:
    """An op of the table on operands of which at least one is complex."""
    trace = traced.find_trace(args)
    ours = PAIRS.get(name)
    if ours is not None:
        return ours(trace, *[split(x, trace) for x in args])
    unary = ELEMENTWISE.get(name)
    if unary is None:
        if any_active(args):
            raise refuse(f"np.{name} of complex values")
        return getattr(np, name)(*values(list(args)))
    return unary(*args)


def ufunc_call(uf: np.ufunc, inputs: Sequence[Any]) -> Any:
    """A ufunc on operands of which at least one is complex."""
    name = traced.optable.UFUNC_OP.get(uf.__name__, uf.__name__).lower()
    if name in PAIRS or name in ELEMENTWISE:
        return elementwise(name, *inputs)
    if uf is np.matmul:
        return matmul(*inputs)
    if uf is np.vecdot:
        return function(np.vecdot, tuple(inputs), {})
    if any_active(list(inputs)):
        raise refuse(f"{dispatch.ufunc_name(uf)} of complex values")
    return uf(*values(list(inputs)))


def add(trace: Any, a: Any, b: Any) -> Any:
    return made(plus(a[0], b[0]), plus(a[1], b[1]), trace)


def sub(trace: Any, a: Any, b: Any) -> Any:
    return made(minus(a[0], b[0]), minus(a[1], b[1]), trace)


def mul(trace: Any, a: Any, b: Any) -> Any:
    re = minus(times(a[0], b[0]), times(a[1], b[1]))
    return made(re, plus(times(a[0], b[1]), times(a[1], b[0])), trace)


def div(trace: Any, a: Any, b: Any) -> Any:
    """Smith's algorithm, as NumPy: no overflow in the middle (R. Smith, Algorithm 116, CACM 5, 1962)."""
    (ar, ai), (br, bi) = a, b
    if bi is None:
        return made(over(ar, br), over(ai, br), trace)
    if br is None:  # a / (i b) = (-i a) / b
        return made(over(ai, bi), None if ar is None else -(ar / bi), trace)
    real = abs(br) >= abs(bi)
    p, q = where_part(real, br, bi), where_part(real, bi, br)
    ratio = q / p
    scale = 1.0 / (p + q * ratio)
    if ai is None:
        return made(where_part(real, ar, ar * ratio) * scale, where_part(real, -(ar * ratio), -ar) * scale, trace)
    if ar is None:
        return made(where_part(real, ai * ratio, ai) * scale, where_part(real, ai, ai * ratio) * scale, trace)
    re = where_part(real, ar + ai * ratio, ar * ratio + ai) * scale
    return made(re, where_part(real, ai - ar * ratio, ai * ratio - ar) * scale, trace)


def where_part(c: Any, a: Any, b: Any) -> Any:
    """Of real parts, plain or traced."""
    return np.where(c, a, b) if traced.find_trace((c, a, b)) is None else ew("where", c, a, b)


def choose(trace: Any, c: Any, a: Any, b: Any) -> Any:
    condition = c[0] if c[1] is None else (0.0 if c[0] is None else c[0] != 0) | (c[1] != 0)
    parts = [None if p is None and q is None else where_part(condition, fill(p), fill(q)) for p, q in zip(a, b, strict=True)]
    return made(parts[0], parts[1], trace)


def fill(p: Part) -> Any:
    return 0.0 if p is None else p


def equal(trace: Any, a: Any, b: Any) -> Any:
    return (fill(a[0]) == fill(b[0])) & (fill(a[1]) == fill(b[1]))


def different(trace: Any, a: Any, b: Any) -> Any:
    return (fill(a[0]) != fill(b[0])) | (fill(a[1]) != fill(b[1]))


def lexicographic(strict: str, last: str) -> Callable[..., Any]:
    """NumPy orders complex numbers by their real parts, then by their imaginary ones."""

    def of(trace: Any, a: Any, b: Any) -> Any:
        (ar, ai), (br, bi) = ((fill(p), fill(q)) for p, q in (a, b))
        ufunc = {"lt": np.less, "gt": np.greater, "le": np.less_equal, "ge": np.greater_equal}
        return ufunc[strict](ar, br) | ((ar == br) & ufunc[last](ai, bi))

    return of


def nonzero(trace: Any, a: Any) -> Any:
    return (fill(a[0]) != 0) | (fill(a[1]) != 0)


def square(trace: Any, a: Any) -> Any:
    x, y = a
    if x is None or y is None:
        return made(minus(times(x, x), times(y, y)), None, trace)
    return made(x * x - y * y, 2.0 * (x * y), trace)


def power(trace: Any, a: Any, b: Any) -> Any:
    """Small integer powers by multiplication, as NumPy; others by ``exp(b log a)``, with ``0**b`` 0 or 1."""
    n = b[0]
    if b[1] is None and not traced.is_traced(n) and np.ndim(n) == 0 and n == int(n) and abs(n) < 100:
        return integer_power(trace, a, int(n))
    z = made(plus(a[0], None), plus(a[1], None), trace)
    w = made(plus(b[0], None), plus(b[1], None), trace)
    zero = (z.re == 0) & (z.im == 0)
    safe = choose(trace, (zero, None), (1.0, None), (z.re, z.im))
    y = exp(w * log(safe))
    at_zero = where_part((w.re == 0) & (w.im == 0), 1.0, 0.0)
    return choose(trace, (zero, None), (at_zero, None), (y.re, y.im))


def integer_power(trace: Any, a: Any, n: int) -> Any:
    base = made(plus(a[0], None), plus(a[1], None), trace)
    result: Any = None
    k = abs(n)
    while k:
        if k & 1:
            result = base if result is None else result * base
        k >>= 1
        base = square(trace, split(base, trace)) if k else base
    if result is None:
        return made(base.re * 0.0 + 1.0, None, trace)
    return 1.0 / result if n < 0 else +result


def neg(trace: Any, a: Any) -> Any:
    return made(minus(None, a[0]) if a[0] is not None else None, minus(None, a[1]) if a[1] is not None else None, trace)


def identity(trace: Any, a: Any) -> Any:
    return made(plus(a[0], None), plus(a[1], None), trace)


def conj(trace: Any, a: Any) -> Any:
    return made(plus(a[0], None), None if a[1] is None else -a[1], trace)


def absolute(z: Any) -> Any:
    return ew("hypot", z.re, z.im)


def angle(z: Any) -> Any:
    return ew("arctan2", z.im, z.re)


def sign(z: Any) -> Any:
    """z / abs(z), and 0 at 0."""
    r = absolute(z)
    safe = where_part(r == 0, 1.0, r)
    return Complex(z.re / safe, z.im / safe)


def exp(z: Any) -> Any:
    c, s = ew("cos", z.im), ew("sin", z.im)
    if traced.is_zero(z.re):
        return Complex(c, s)
    e = ew("exp", z.re)
    return Complex(e * c, e * s)


def log(z: Any) -> Any:
    return Complex(ew("log", absolute(z)), angle(z))


def scaled_log(factor: float) -> Callable[..., Any]:
    return lambda z: factor * log(z)


def expm1(z: Any) -> Any:
    half = ew("sin", 0.5 * z.im)
    return Complex(ew("expm1", z.re) * ew("cos", z.im) - 2.0 * half * half, ew("exp", z.re) * ew("sin", z.im))


def log1p(z: Any) -> Any:
    return Complex(0.5 * ew("log1p", z.re * (2.0 + z.re) + z.im * z.im), ew("arctan2", z.im, 1.0 + z.re))


def sqrt(z: Any) -> Any:
    """The root with a real part that is not negative. Each side of the cut has its own smooth formula."""
    x, y = z.re, z.im
    right = x >= 0
    t = ew("sqrt", 0.5 * (absolute(z) + where_part(right, x, -x)))
    half = y / where_part(t == 0, 1.0, 2.0 * t)
    side = ew("copysign", 1.0, traced.constant_part(y))
    return Complex(where_part(right, t, half * side), where_part(right, half, t * side))


def sin(z: Any) -> Any:
    return Complex(ew("sin", z.re) * ew("cosh", z.im), ew("cos", z.re) * ew("sinh", z.im))


def cos(z: Any) -> Any:
    return Complex(ew("cos", z.re) * ew("cosh", z.im), -(ew("sin", z.re) * ew("sinh", z.im)))


def sinh(z: Any) -> Any:
    return Complex(ew("sinh", z.re) * ew("cos", z.im), ew("cosh", z.re) * ew("sin", z.im))


def cosh(z: Any) -> Any:
    return Complex(ew("cosh", z.re) * ew("cos", z.im), ew("sinh", z.re) * ew("sin", z.im))


def tanh(z: Any) -> Any:
    """From tanh and tan of the parts, which do not overflow."""
    h, t = ew("tanh", z.re), ew("tan", z.im)
    scale = 1.0 / (1.0 + (h * t) * (h * t))
    return Complex(h * (1.0 + t * t) * scale, t * ((1.0 - h) * (1.0 + h)) * scale)


def turned(f: Callable[..., Any]) -> Callable[..., Any]:
    """``-i f(i z)``."""

    def of(z: Any) -> Any:
        w = f(Complex(-z.im, traced.fresh(z.re)))
        return Complex(w.im, -w.re)

    return of


def roots(z: Any) -> tuple[Any, Any]:
    """sqrt(1 - z) and sqrt(1 + z)."""
    return sqrt(Complex(1.0 - z.re, -z.im)), sqrt(Complex(1.0 + z.re, traced.fresh(z.im)))


def arcsin(z: Any) -> Any:
    """This and the next two after W. Kahan, *Branch cuts for complex elementary functions*, 1987."""
    low, high = roots(z)
    return Complex(ew("arctan2", z.re, (low * high).re), ew("arcsinh", (conjugate(low) * high).im))


def arccos(z: Any) -> Any:
    low, high = roots(z)
    return Complex(2.0 * ew("arctan2", low.re, high.re), ew("arcsinh", (conjugate(high) * low).im))


def arccosh(z: Any) -> Any:
    low, high = sqrt(Complex(z.re - 1.0, traced.fresh(z.im))), sqrt(Complex(z.re + 1.0, traced.fresh(z.im)))
    return Complex(ew("arcsinh", (conjugate(low) * high).re), 2.0 * ew("arctan2", low.im, high.re))


def arctanh(z: Any) -> Any:
    x, y = z.re, z.im
    away = (1.0 - x) * (1.0 - x) + y * y
    return Complex(0.25 * ew("log1p", 4.0 * x / away), 0.5 * ew("arctan2", 2.0 * y, (1.0 - x) * (1.0 + x) - y * y))


def conjugate(z: Any) -> Any:
    return Complex(traced.fresh(z.re), -z.im)


def either_part(name: str) -> Callable[..., Any]:
    return lambda z: np.logical_or(ew(name, z.re), ew(name, z.im))


# functions of the parts of their operands: (trace, (re, im), ...) -> complex or boolean
PAIRS: dict[str, Callable[..., Any]] = {
    "add": add, "sub": sub, "mul": mul, "div": div, "power": power, "float_power": power, "square": square, "neg": neg,
    "identity": identity, "conjugate": conj, "where": choose, "eq": equal, "ne": different,
    "lt": lexicographic("lt", "lt"), "gt": lexicographic("gt", "gt"),
    "le": lexicographic("lt", "le"), "ge": lexicographic("gt", "ge"),
    "logical_not": lambda trace, a: ~nonzero(trace, a),
    "logical_and": lambda trace, a, b: nonzero(trace, a) & nonzero(trace, b),
    "logical_or": lambda trace, a, b: nonzero(trace, a) | nonzero(trace, b),
    "logical_xor": lambda trace, a, b: nonzero(trace, a) ^ nonzero(trace, b),
}  # fmt: skip

# functions of one traced complex value
ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "abs": absolute, "sign": sign, "exp": exp, "log": log, "log1p": log1p, "expm1": expm1, "sqrt": sqrt,
    "exp2": lambda z: exp(z * math.log(2.0)), "log2": scaled_log(1.0 / math.log(2.0)), "log10": scaled_log(1.0 / math.log(10.0)),
    "sin": sin, "cos": cos, "tan": turned(tanh), "sinh": sinh, "cosh": cosh, "tanh": tanh,
    "arcsin": arcsin, "arccos": arccos, "arctan": turned(arctanh), "arcsinh": turned(arcsin), "arccosh": arccosh, "arctanh": arctanh,
    "reciprocal": lambda z: 1.0 / z, "detach": traced.constant_part,
    "rint": lambda z: Complex(ew("rint", z.re), ew("rint", z.im)),
    "isnan": either_part("isnan"), "isinf": either_part("isinf"),
    "isfinite": lambda z: np.logical_and(ew("isfinite", z.re), ew("isfinite", z.im)),
}  # fmt: skip


# -- functions of whole arrays -----------------------------------------------------------------------------


def function(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """One of NumPy's functions on arguments of which at least one is complex."""
    place = place_of_out(func)
    out = args[place] if len(args) > place else kwargs.get("out")
    if out is not None:
        args = (*args[:place], *(None,) * (len(args) > place + 1), *args[place + 1 :])
        return dispatch.store(dispatch.name_of(func), out, func(*args, **{name: x for name, x in kwargs.items() if name != "out"}))
    ours = dispatch.TABLE[func] if func in dispatch.ANY_KIND else TABLE.get(func)
    if ours is not None:
        return ours(*args, **kwargs)
    places = PARTWISE.get(func)
    if places is not None:
        return by_parts(func, places, args, kwargs)
    if func in BILINEAR:
        return bilinear(func, *args, **kwargs)
    if func not in dispatch.ON_VALUES and (any_active(args) or any_active(kwargs)):
        raise refuse(f"{dispatch.name_of(func)} of complex values")
    return dispatch.of_values(func, args, kwargs)


@functools.cache
def place_of_out(func: Any) -> int:
    """Where ``out`` stands among the positional arguments of one of NumPy's functions; beyond all of them where it does not."""
    try:
        names = [name for name, p in inspect.signature(func).parameters.items() if p.kind != p.KEYWORD_ONLY]
    except ValueError:  # written in C, without a signature
        names = {np.dot: ["a", "b", "out"], np.concatenate: ["arrays", "axis", "out"]}.get(func, [])
    return names.index("out") if "out" in names else sys.maxsize


def halves(tree: Any, trace: Any) -> tuple[Any, Any]:
    """Nested lists of operands as the same lists of their real and of their imaginary parts."""
    if isinstance(tree, (list, tuple)) and (traced.find_trace(tree) is not None or not traced.holds_complex(tree)):
        pairs = [halves(x, trace) for x in tree]
        kind = type(tree)
        return kind([p for p, _ in pairs]), kind([q for _, q in pairs])
    if tree is None or tree is np._NoValue:
        return tree, tree
    if isinstance(tree, Complex):  # parts that are 0 too: what comes of them may be views, or they may be written
        return tree.re, tree.im
    re, im = split(tree, trace)
    shape = shape_of(tree)
    zeros: Any = np.zeros(shape) if shape else 0.0
    if shape and (re is None or im is None):
        zeros = zeros.astype((im if re is None else re).dtype if hasattr(im if re is None else re, "dtype") else float)
    return zeros if re is None else re, zeros if im is None else im


def zipped(re: Any, im: Any, trace: Any) -> Any:
    """Two results of one structure as complex ones."""
    if re is None:
        return None
    if isinstance(re, (list, tuple)):
        pairs = [zipped(p, q, trace) for p, q in zip(re, im, strict=True)]
        return pairs if isinstance(re, list) else tuple(pairs)
    return made(re, im, trace)


def by_parts(func: Any, places: Sequence[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A function that is linear, with real coefficients, in the arguments at these places: each part by itself."""
    trace = traced.find_trace((args, kwargs))
    re_args, im_args = list(args), list(args)
    re_kw, im_kw = dict(kwargs), dict(kwargs)
    everything = ALL in places
    for k, x in enumerate(args):
        if everything or k in places:
            re_args[k], im_args[k] = halves(x, trace)
        elif traced.holds_complex([x]):
            raise refuse(f"np.{func.__name__} with a complex argument {k}")
    for name, x in kwargs.items():
        if name in places:
            re_kw[name], im_kw[name] = halves(x, trace)
        elif traced.holds_complex([x]):
            raise refuse(f"np.{func.__name__} with a complex {name}=")
    dtype = kwargs.get("dtype")
    if dtype is not None:
        re_kw["dtype"] = im_kw["dtype"] = PART_OF_DTYPE.get(np.dtype(dtype), dtype)
    return zipped(func(*re_args, **re_kw), func(*im_args, **im_kw), trace)


ALL = object()


def named(names: str) -> list[Any]:
    """NumPy's functions of these names, as far as this NumPy has them."""
    return [f for f in map(dispatch.named, names.split()) if f is not None]


# functions that are linear with real coefficients -> the arguments in which they are
PARTWISE: dict[Any, tuple[Any, ...]] = {
    **dict.fromkeys(
        named(
            "reshape ravel transpose swapaxes moveaxis rollaxis broadcast_to expand_dims squeeze concatenate stack vstack hstack "
            "dstack column_stack array_split split hsplit vsplit dsplit flip fliplr flipud rot90 roll take take_along_axis repeat tile "
            "tril triu diagonal diag diagflat trace copy delete block sum mean cumsum ediff1d gradient nansum nanmean round around "
            "nan_to_num matrix_transpose linalg.matrix_transpose linalg.diagonal linalg.trace fft.fftshift fft.ifftshift "
            "unstack lib.stride_tricks.sliding_window_view resize cumulative_sum"
        ),
        (0, "a", "ary", "array", "arr", "m", "x"),
    ),
    **dict.fromkeys(named("atleast_1d atleast_2d atleast_3d meshgrid"), (ALL,)),
    np.append: (0, 1),
    np.insert: (0, 2, "values"),
    np.pad: (0, "constant_values"),
    np.diff: (0, "prepend", "append"),
    np.trapezoid: (0, "y"),
    np.bincount: ("weights", 1),
    np.average: (0,),
    np.compress: (1,),
    np.extract: (1,),
    np.fill_diagonal: (0, 1),
    np.copyto: (0, 1),
    np.put: (0, 2, "v"),
    np.putmask: (0, 2, "values"),
    np.place: (0, 2, "vals"),
    np.put_along_axis: (0, 2, "values"),
    np.interp: (2, "fp", "left", "right"),
}

BILINEAR = set(named("dot inner outer kron tensordot convolve cross linalg.outer linalg.tensordot linalg.matmul linalg.cross"))


def bilinear(func: Any, a: Any, b: Any, *args: Any, **kwargs: Any) -> Any:
    """A function that is linear in each of its first two arguments: two or four products of parts."""
    trace = traced.find_trace((a, b))
    (ar, ai), (br, bi) = split(a, trace), split(b, trace)

    def of(p: Part, q: Part) -> Part:
        return None if p is None or q is None else func(p, q, *args, **kwargs)

    re = minus(of(ar, br), of(ai, bi))
    return made(re, plus(of(ar, bi), of(ai, br)), trace)


def matmul(a: Any, b: Any, **kwargs: Any) -> Any:
    def of(p: Any, q: Any) -> Any:
        return np.matmul(p, q) if traced.find_trace((p, q)) is None else traced.matmul(p, q)

    return bilinear(of, a, b, **kwargs)


TABLE[np.matmul] = matmul


@implements(np.vdot)
def vdot(a: Any, b: Any, /) -> Any:
    return np.dot(np.conj(np.ravel(a)), np.ravel(b))


@implements(np.vecdot, np.linalg.vecdot)
def vecdot(a: Any, b: Any, /, *, axis: int = -1) -> Any:
    return np.sum(np.conj(a) * b, axis=axis)


@implements(np.correlate)
def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    convolve: Any = np.convolve
    return convolve(a, np.conj(v)[::-1], mode)


@implements(np.einsum)
def einsum(*operands: Any, out: Any = None, optimize: Any = False, **kwargs: Any) -> Any:
    from .products import einsum_operands, parse_einsum

    subscripts, given = einsum_operands(operands)
    trace = traced.find_trace(given)
    arrays = [x if traced.is_traced(x) or isinstance(x, np.ndarray) else array(x, None, trace) for x in given]
    letters, output = parse_einsum(subscripts, [np.shape(a) for a in arrays])
    if len(arrays) == 1:
        text = f"{letters[0]}->{output}"
        return made(np.einsum(text, arrays[0].re), np.einsum(text, arrays[0].im), trace)
    while len(arrays) > 1:
        rest = output + "".join(letters[2:])
        kept = output if len(arrays) == 2 else "".join(c for c in dict.fromkeys(letters[0] + letters[1]) if c in rest)
        text = f"{letters[0]},{letters[1]}->{kept}"
        pair = bilinear(lambda p, q, text=text: np.einsum(text, p, q), arrays[0], arrays[1])
        arrays, letters = [pair, *arrays[2:]], [kept, *letters[2:]]
    return arrays[0]


@implements(np.real)
def real(val: Any) -> Any:
    return val.real


@implements(np.imag)
def imag(val: Any) -> Any:
    return val.imag


@implements(np.angle)
def angle_of(z: Any, deg: bool = False) -> Any:
    found = angle(z)
    return found * (180.0 / math.pi) if deg else found


@implements(np.real_if_close)
def real_if_close(a: Any, tol: float = 100) -> Any:
    return a if np.iscomplexobj(np.real_if_close(a.concrete(), tol)) else a.real


TABLE[np.iscomplexobj] = lambda x: True
TABLE[np.isrealobj] = lambda x: False
TABLE[np.shape] = lambda a: shape_of(a)
TABLE[np.ndim] = lambda a: len(shape_of(a))
TABLE[np.size] = lambda a, axis=None: math.prod(shape_of(a)) if axis is None else shape_of(a)[axis]


@implements(np.sinc)
def sinc(x: Any) -> Any:
    y = math.pi * np.where(x == 0, 1.0e-20, x)
    return np.sin(y) / y


@implements(np.var)
def var(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0, keepdims: Any = False, **kwargs: Any) -> Any:
    """The mean of abs(a - mean)**2, which is real."""
    away = a - np.mean(a, axis=axis, keepdims=True, **kwargs)
    squares = away.re * away.re + away.im * away.im
    n = a.size if axis is None else math.prod(a.shape[k] for k in np.atleast_1d(axis))
    return np.mean(squares, axis=axis, keepdims=keepdims is True, **kwargs) * (n / (n - ddof))


@implements(np.std)
def std(a: Any, *args: Any, **kwargs: Any) -> Any:
    from .reductions import root_of_squares

    return root_of_squares(var(a, *args, **kwargs))


@implements(np.prod)
def prod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, **kwargs: Any) -> Any:
    """By halves: the derivative is exact when factors are zero."""
    if kwargs:
        raise refuse(f"np.prod of complex values with {', '.join(kwargs)}")
    a = a if dtype is None else a.astype(dtype)
    axes = tuple(range(a.ndim)) if axis is None else tuple(k % a.ndim for k in np.atleast_1d(axis))
    rest = [k for k in range(a.ndim) if k not in axes]
    if not axes:
        return +a
    x = np.reshape(np.transpose(a, (*rest, *axes)), (*[a.shape[k] for k in rest], -1))
    x = +x if x.shape[-1] == 1 else x
    while x.shape[-1] > 1:
        n = x.shape[-1]
        pairs = x[..., 0 : n - n % 2 : 2] * x[..., 1:n:2]
        x = np.concatenate([pairs, x[..., n - 1 :]], axis=-1) if n % 2 else pairs
    y = x[..., 0] if x.shape[-1] else promoted(np.sum(x, axis=-1) + 1.0)
    return np.expand_dims(y, axes) if keepdims is True else y


@implements(np.cumprod)
def cumprod(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    a = a if dtype is None else a.astype(dtype)
    x = np.ravel(a) if axis is None else np.moveaxis(a, axis, -1)
    n, step = x.shape[-1], 1
    while step < n:  # doubling: exact derivatives with zeros, log2(n) passes
        x = np.concatenate([x[..., :step], x[..., step:] * x[..., : n - step]], axis=-1)
        step *= 2
    x = x if n > 1 else +x
    return x if axis is None else np.moveaxis(x, -1, axis)


@implements(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    y: Any = 0.0
    for k in range(np.shape(p)[0]):
        y = y * x + p[k]
    return y


# -- methods -------------------------------------------------------------------------------------------------


def method_of(func: Any) -> Callable[..., Any]:
    return lambda self, *args, **kw: function(func, (self, *args), kw)


def reshape_method(self: Any, *shape: Any, **kw: Any) -> Any:
    return function(np.reshape, (self, shape[0] if len(shape) == 1 else shape), kw)


def transpose_method(self: Any, *axes: Any) -> Any:
    return function(np.transpose, (self, axes[0] if len(axes) == 1 else axes or None), {})


def astype(self: Any, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True) -> Any:
    from .shapes import as_asked

    dtype = np.dtype(dtype)
    if dtype.kind == "c":
        return as_asked(self if not copy and dtype == self.dtype else cast_to(self, dtype), order=order)
    if dtype == np.bool_:
        return self != 0
    if any_active(self):
        raise TypeError(f"{traced.where_text()}astype({dtype}) of a complex array drops its imaginary part: take .real")
    return self.concrete().astype(dtype)


def view(self: Any, dtype: Any = None, type: Any = None) -> Any:
    """The parts one after the other, as floats, in one memory with the complex array."""
    if dtype is None or dtype is np.ndarray:
        return self[...]
    dtype = np.dtype(dtype)
    if dtype == self.dtype:
        return self[...]
    if dtype != PART_OF_DTYPE[self.dtype]:
        raise refuse(f"a view of {self.dtype} as {dtype}: the meaning of the bytes decides the derivative. ndarray.view")
    if not self.shape:
        raise ValueError(f"{traced.where_text()}Changing the dtype of a 0d array is only supported if the itemsize is unchanged")
    if self.base is not None:  # its parts lie in its base's memory and cannot move: writes would be lost
        raise refuse(f"a view of {self.dtype} as {dtype} of an array that is a view itself (take a copy first). ndarray.view")
    pairs = as_pairs(self)
    self.re, self.im = pairs[..., 0], pairs[..., 1]
    return pairs.reshape((*self.shape[:-1], 2 * self.shape[-1]))


def view_of_real(x: Any, dtype: Any = None) -> Any:
    """A real array as itself, or its pairs of elements as complex numbers, which stay where they are."""
    dtype = np.dtype(dtype)
    if dtype == x.dtype:
        return x[...]
    if PART_OF_DTYPE.get(dtype) != x.dtype or not x.shape:
        raise refuse(f"a view of {x.dtype} as {dtype}: the meaning of the bytes decides the derivative. ndarray.view")
    if x.shape[-1] % 2:
        raise ValueError(f"{traced.where_text()}When changing to a larger dtype, its size must be a divisor of the last axis")
    return Complex(x[..., 0::2], x[..., 1::2])


def fill_method(self: Any, value: Any) -> None:
    self[...] = value


METHODS.update({name: method_of(getattr(np, name)) for name in (
    "ravel", "swapaxes", "squeeze", "copy", "repeat", "take", "diagonal", "trace", "sum", "mean", "prod", "var", "std", "cumsum",
    "cumprod", "dot", "round",
)})  # fmt: skip
METHODS.update(
    reshape=reshape_method,
    transpose=transpose_method,
    flatten=lambda self, order="C": +function(np.ravel, (self,), {"order": order}),
    conj=conjugate,
    conjugate=conjugate,
    astype=astype,
    fill=fill_method,
    view=view,
    tobytes=memory.tobytes,
    put=method_of(np.put),
    compress=lambda self, condition, axis=None, out=None: function(np.compress, (condition, self, axis), {"out": out}),
    any=lambda self, *args, **kw: self.concrete().any(*args, **kw),
    all=lambda self, *args, **kw: self.concrete().all(*args, **kw),
    nonzero=lambda self: self.concrete().nonzero(),
)
