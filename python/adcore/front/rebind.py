"""Rebinding: twins for the names that no protocol of NumPy reaches.

``np.zeros(n)`` followed by ``out[i] = t``, ``np.array([t, u])``, ``math.sin(t)`` and
``scipy.special.logsumexp(t)`` cannot be intercepted by duck typing. So a function is not run itself:
a copy of it runs, made with ``types.FunctionType`` from the same code, in whose globals NumPy, ``math``, SciPy's
names and the user's own functions stand as twins. Nothing is ever patched: NumPy, the user's module and its
closures stay as they are, so there is nothing to restore when f raises, and traces in other threads see nothing.

The alternative, to swap names in the user's globals and restore them afterwards, is visible to other
threads and costs two writes a name. A copy costs about a microsecond a call.
"""

from __future__ import annotations

import builtins
import dis
import functools
import math
import operator
import sys
import types
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from ..tracer import array as traced
from . import complex, dispatch, modules
from .libraries import instance, is_scipy, library_function, stand_in

LIBRARIES = ("numpy", "scipy", "math", "adcore")
STDLIB = frozenset(sys.stdlib_module_names) - {"__main__"}


OVERRIDABLE = (np.ufunc, type(np.sum))  # what NumPy's protocols reach
# functions of NumPy's whose own argument is a list of arrays: NumPy's protocol looks into it
TAKE_SEQUENCES = {
    np.concatenate, np.stack, np.vstack, np.hstack, np.dstack, np.column_stack, np.block, np.select, np.choose, np.piecewise,
    np.lexsort, np.ravel_multi_index, np.linalg.multi_dot, np.copyto, np.put, np.place, np.putmask, np.histogramdd,
}  # fmt: skip


@functools.cache
def takes_lists(f: Any) -> Any:
    """A function of NumPy's or SciPy's so that lists of traced values will do for its arrays; anything else as it is."""
    return traced.TakesLists(f) if isinstance(f, OVERRIDABLE) and f not in TAKE_SEQUENCES else f


class Namespace:
    """A module of NumPy's whose functions take lists of traced values."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = takes_lists(getattr(self._module, name))
        self.__dict__[name] = value
        return value


NAMESPACES = {module: Namespace(module) for module in (np.linalg, np.fft)}


def wants_complex(x: Any, dtype: Any) -> bool:
    """Is it, or shall it become, an array of complex numbers?"""
    return np.dtype(dtype).kind == "c" if dtype is not None else traced.holds_complex([x])


class Numpy:
    """numpy as one trace sees it: functions that make arrays make traced ones."""

    def __init__(self, trace: Any) -> None:
        self._trace = trace

    def __getattr__(self, name: str) -> Any:
        value = getattr(np, name)
        if name == "random" and self._trace.surroundings is not None:
            self._trace.surroundings.changes("np.random gives new numbers at each call")
        value = NAMESPACES.get(value, value) if isinstance(value, types.ModuleType) else takes_lists(value)
        self.__dict__[name] = value
        return value

    def _filled(self, shape: Any, dtype: Any, fill: Any) -> Any:
        dtype = np.dtype(float if dtype is None else dtype)
        if dtype.kind == "c":
            return complex.new_array(self._trace, shape, dtype, fill)
        if dtype not in (np.float64, np.float32, np.bool_):
            return np.full(shape, traced.value_of(fill), dtype)
        shape = shape if isinstance(shape, (int, np.integer)) else tuple(int(d) for d in shape)
        return traced.new_array(self._trace, shape, dtype, fill)

    def zeros(self, shape: Any, dtype: Any = float, order: str = "C", **kw: Any) -> Any:
        return self._filled(shape, dtype, 0.0)

    def empty(self, shape: Any, dtype: Any = float, order: str = "C", **kw: Any) -> Any:
        return self._filled(shape, dtype, 0.0)

    def ones(self, shape: Any, dtype: Any = None, order: str = "C", **kw: Any) -> Any:
        return self._filled(shape, dtype, 1.0)

    def full(self, shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", **kw: Any) -> Any:
        if dtype is None and not traced.is_traced(fill_value):
            dtype = np.asarray(fill_value).dtype
        elif dtype is None:
            dtype = fill_value.dtype
        if np.ndim(fill_value):
            out = self._filled(shape, dtype, 0.0)
            out[...] = fill_value
            return out
        return self._filled(shape, dtype, fill_value)

    def _made(self, plain: Any) -> Any:
        """An array that NumPy made, as a traced one that may be written into."""
        if isinstance(plain, np.ndarray) and plain.ndim and plain.dtype in complex.PART_OF_DTYPE:
            return complex.constant_array(self._trace, plain)
        if isinstance(plain, np.ndarray) and plain.ndim and plain.dtype in (np.float64, np.float32):
            return traced.constant_array(self._trace, plain)
        return plain

    def eye(self, *args: Any, **kw: Any) -> Any:
        return self._made(np.eye(*args, **kw))

    def identity(self, *args: Any, **kw: Any) -> Any:
        return self._made(np.identity(*args, **kw))

    def array(self, object: Any, dtype: Any = None, **kw: Any) -> Any:
        if traced.find_trace(object) is None:
            return self._made(np.array(object, dtype=dtype, **kw))
        if wants_complex(object, dtype):
            return complex.array(object, dtype, self._trace)
        result = traced.elementwise("identity", traced.as_traced(self._trace, object))
        return result if dtype is None else result.astype(dtype)

    def asarray(self, a: Any, dtype: Any = None, *args: Any, **kw: Any) -> Any:
        if traced.find_trace(a) is None:
            return np.asarray(a, dtype, *args, **kw)
        if isinstance(a, complex.Complex) and dtype in (None, a.dtype):
            return a
        if wants_complex(a, dtype):
            return complex.array(a, dtype, self._trace)
        result = traced.as_traced(self._trace, a)
        return result if dtype is None or np.dtype(dtype) == result.dtype else result.astype(dtype)

    asanyarray = ascontiguousarray = asfarray = asarray

    def _like(self, a: Any, dtype: Any, fill: Any, shape: Any) -> Any:
        if dtype is None:
            dtype = a.dtype if hasattr(a, "dtype") else np.asarray(a).dtype
        return self._filled(np.shape(a) if shape is None else shape, dtype, fill)

    def zeros_like(self, a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None) -> Any:
        return self._like(a, dtype, 0.0, shape)

    empty_like = zeros_like

    def ones_like(self, a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None) -> Any:
        return self._like(a, dtype, 1.0, shape)

    def full_like(self, a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None) -> Any:
        return self._like(a, dtype, fill_value, shape)

    def copy(self, a: Any, order: str = "K", subok: bool = False) -> Any:
        return dispatch.function(np.copy, (a,), {}) if traced.is_traced(a) else self._made(np.array(a))

    def arange(self, *args: Any, **kw: Any) -> Any:
        kw.pop("like", None)
        return dispatch.function(np.arange, args, kw) if traced.find_trace(args) is not None else np.arange(*args, **kw)

    def vectorize(self, pyfunc: Any, *args: Any, **kw: Any) -> Any:
        plain = np.vectorize(pyfunc, *args, **kw)

        def of(*operands: Any) -> Any:
            if traced.find_trace(operands) is None:
                return plain(*operands)
            shape = np.broadcast_shapes(*[np.shape(x) for x in operands])
            arrays = [traced.broadcast_to(traced.as_traced(self._trace, x), shape) for x in operands]
            if not shape:
                return pyfunc(*operands)
            out = self._filled(shape, float, 0.0)
            for index in np.ndindex(*shape):
                out[index] = pyfunc(*[a[index] for a in arrays])
            return out

        return of


# what an import statement inside a function looks up in its globals
IMPORTS_NEED = ("__name__", "__package__", "__spec__", "__path__", "__file__")
WRITES_GLOBAL = {dis.opmap["STORE_GLOBAL"], dis.opmap["DELETE_GLOBAL"]}
TWINNED = {
    getattr(np, name): name
    for name in dir(Numpy)
    if not name.startswith("_") and callable(getattr(np, name, None)) and not isinstance(getattr(np, name), type)
}
TWINNED[np.vectorize] = "vectorize"

MATH = {
    "sqrt": "sqrt", "exp": "exp", "log": "log", "log2": "log2", "log10": "log10", "log1p": "log1p", "expm1": "expm1",
    "sin": "sin", "cos": "cos", "tan": "tan", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2",
    "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh",
    "pow": "power", "fabs": "abs", "erf": "erf", "erfc": "erfc", "lgamma": "gammaln", "copysign": "copysign",
    "fmod": "fmod", "degrees": "rad2deg", "radians": "deg2rad",
}  # fmt: skip


@functools.cache
def math_twin(name: str) -> Callable[..., Any]:
    """A function of math that records when it meets a traced value."""
    plain = getattr(math, name)
    row = MATH.get(name)

    def of(*args: Any) -> Any:
        if traced.find_trace(args) is None:
            return plain(*args)
        if name == "hypot":
            total: Any = 0.0
            for x in args:
                total = total + x * x
            return traced.elementwise("hypot", *args) if len(args) == 2 else traced.elementwise("sqrt", total)
        if name == "log" and len(args) == 2:
            return traced.elementwise("log", args[0]) / (math_twin("log")(args[1]))
        if name in ("floor", "ceil", "trunc"):
            return plain(float(traced.value_of(args[0])))
        if name in ("isnan", "isinf", "isfinite"):
            return plain(float(traced.value_of(args[0])))
        if row is None:
            return plain(*args)
        return traced.elementwise(row, *args)

    return of


class Math:
    """math with functions that accept traced values."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(math, name)
        return math_twin(name) if callable(value) else value


MATH_TWIN = Math()


class Library:
    """A module of SciPy in which functions that no protocol reaches have stand-ins."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._module, name)
        if isinstance(value, types.ModuleType):
            return Library(value) if is_scipy(value.__name__) else value
        if not callable(value):
            return value
        found = stand_in(self._module.__name__, name)
        return takes_lists(found) if isinstance(found, np.ufunc) else found


def isinstance_of_what_it_stands_for(value: Any, kinds: Any) -> bool:
    """``isinstance`` in which a traced array is an ndarray and a traced scalar a float64.

    User code asks ``isinstance(x, np.ndarray)`` to choose a branch; with the answer for a traced array's own
    class it would take another branch than NumPy's, and lose the derivative without a word.
    """
    if traced.is_traced(value):
        if isinstance(value, traced.TracedComplex):
            kind: type = np.ndarray if isinstance(value.re, traced.TracedArray) else np.complex128
        else:
            kind = np.float64 if isinstance(value, traced.TracedScalar) else np.ndarray
        return issubclass(kind, kinds) or isinstance(value, kinds)
    return isinstance(value, kinds)


BUILTINS = {**vars(builtins), "isinstance": isinstance_of_what_it_stands_for, "__import__": modules.imported}


class Rebinder:
    """The copies made for one trace."""

    def __init__(self, trace: Any) -> None:
        self.trace = trace
        self.numpy = Numpy(trace)
        self.copies: dict[int, Any] = {}
        self.surroundings = trace.surroundings

    def twin(self, value: Any) -> Any:
        """What stands for a value in a copied function."""
        if isinstance(value, types.ModuleType):
            if value is np:
                return self.numpy
            if value is math:
                return MATH_TWIN
            if value in NAMESPACES:
                return NAMESPACES[value]
            return Library(value) if is_scipy(value.__name__) else value
        if isinstance(value, types.FunctionType):
            return self.function(value)
        if isinstance(value, OVERRIDABLE):
            name = TWINNED.get(value)
            return takes_lists(value) if name is None else getattr(self.numpy, name)
        if isinstance(value, Numpy):  # of a recording around this one
            return self.numpy
        if isinstance(value, types.MethodType):
            if isinstance(value.__self__, Numpy):
                return getattr(self.numpy, value.__name__)
            owner = instance(value.__self__)
            if owner is not value.__self__:
                return getattr(owner, value.__name__)
            f = self.function(value.__func__) if isinstance(value.__func__, types.FunctionType) else value.__func__
            return value if f is value.__func__ else types.MethodType(f, value.__self__)
        if isinstance(value, functools.partial):
            f = self.twin(value.func)
            return value if f is value.func else functools.partial(f, *value.args, **value.keywords)
        if type(value) is np.vectorize:
            return self.numpy.vectorize(self.twin(value.pyfunc))
        if isinstance(value, types.BuiltinFunctionType):
            if getattr(value, "__module__", None) == "math":
                return math_twin(value.__name__)
            name = TWINNED.get(value)
            return value if name is None else getattr(self.numpy, name)
        if type(value).__module__ == "uarray":  # the functions of scipy.fft
            return library_function(value)
        return instance(value)

    def function(self, f: types.FunctionType) -> Any:
        """A copy of a user's function whose names are twins; a library's function as it is."""
        known = self.copies.get(id(f))
        if known is not None:
            return known[1]
        module = (f.__module__ or "").split(".")[0]
        if (module in LIBRARIES or module in STDLIB) and f.__module__ != "adcore.testing":
            name = TWINNED.get(f)
            if name is not None:
                return getattr(self.numpy, name)
            return library_function(f)
        code = f.__code__
        if uses_store_global(code):
            if self.surroundings is not None:
                self.surroundings.changes(f"{f.__name__} writes to a global")
            return f  # it writes to its module: it must run in it
        names = global_names(code)
        namespace: dict[str, Any] = {"__builtins__": BUILTINS}
        for name in IMPORTS_NEED:
            if name in f.__globals__:
                namespace[name] = f.__globals__[name]
        copy = types.FunctionType(code, namespace, f.__name__, self.defaults(f.__defaults__), self.closure(f))
        copy.__kwdefaults__ = f.__kwdefaults__ and dict(zip(f.__kwdefaults__, self.defaults(f.__kwdefaults__.values()), strict=True))
        copy.__dict__.update(f.__dict__)
        if "__wrapped__" in copy.__dict__:
            copy.__dict__["__wrapped__"] = f.__dict__["__wrapped__"]
        self.copies[id(f)] = (f, copy)
        for name in names:
            if name in f.__globals__:
                namespace[name] = self.read(f.__globals__[name], f.__globals__, name)
        return copy

    def defaults(self, values: Any) -> Any:
        """Twins of the functions that stand for arguments which are not given."""
        return values and tuple(self.twin(value) if callable(value) else value for value in values)

    def read(self, value: Any, container: Any, key: Any) -> Any:
        """The twin of something that a function reads from its surroundings."""
        value = modules.plain(value, container, key)
        if self.surroundings is not None:
            value = self.surroundings.read(value, container, key)
        return self.twin(value)

    def closure(self, f: types.FunctionType) -> Any:
        """Cells with twins where a cell holds a module or a function; other cells are shared."""
        if f.__closure__ is None:
            return None
        cells = []
        for cell in f.__closure__:
            try:
                value = cell.cell_contents
            except ValueError:  # not bound yet
                cells.append(cell)
                continue
            if value is f:
                cells.append(cell)
                continue
            twin = self.read(value, cell, None)
            cells.append(cell if twin is value else types.CellType(twin))
        return tuple(cells)


@functools.lru_cache(maxsize=4096)
def global_names(code: types.CodeType) -> tuple[str, ...]:
    """Names that a function, or a function inside it, may look up in its module."""
    names = dict.fromkeys(code.co_names)
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            names.update(dict.fromkeys(global_names(const)))
    return tuple(names)


@functools.lru_cache(maxsize=4096)
def uses_store_global(code: types.CodeType) -> bool:
    """Does the function assign to a global?"""
    # an instruction is two bytes, the first its opcode; dis would take microseconds for each
    if not WRITES_GLOBAL.isdisjoint(code.co_code[::2]):
        return True
    return any(isinstance(c, types.CodeType) and uses_store_global(c) for c in code.co_consts)


def shared_twin(value: Any) -> Any:
    """What stands for a value in the user's modules while a recording runs."""
    if value is np:
        return modules.SHARED
    if isinstance(value, types.ModuleType):
        if value is math:
            return MATH_TWIN
        if value in NAMESPACES:
            return NAMESPACES[value]
        return Library(value) if is_scipy(value.__name__) else value
    if isinstance(value, types.BuiltinFunctionType) and getattr(value, "__module__", None) == "math":
        return math_twin(value.__name__)
    if type(value) is np.vectorize:
        return modules.Shared(value, lambda numpy: numpy.vectorize(value.pyfunc))
    if isinstance(value, (types.FunctionType, types.BuiltinFunctionType, type, *OVERRIDABLE)):
        name = TWINNED.get(value)
        if name is not None:
            return modules.Shared(value, operator.attrgetter(name))
        found = library_function(value)
        if found is not value:
            return found
    return takes_lists(value) if isinstance(value, OVERRIDABLE) else instance(value)


def rebound(f: Callable[..., Any], trace: Any) -> Callable[..., Any]:
    """f as it runs under this trace."""
    rebinder = Rebinder(trace)
    roots = modules.roots_of(f)
    twin = rebound_by(rebinder, f)
    if not roots:
        return twin

    def run(*args: Any, **kw: Any) -> Any:
        with modules.Swapped(rebinder.numpy, roots, shared_twin, isinstance_of_what_it_stands_for):
            return twin(*args, **kw)

    return run


def rebound_by(rebinder: Rebinder, f: Callable[..., Any]) -> Callable[..., Any]:
    """f with twins for what it names."""
    twin = rebinder.read(f, f, False)
    if twin is f and not isinstance(f, (types.FunctionType, types.MethodType, type)) and callable(type(f)):
        call = type(f).__call__
        if isinstance(call, types.FunctionType):
            copy = rebinder.function(call)
            return functools.partial(copy, f)
    return cast("Callable[..., Any]", twin)
