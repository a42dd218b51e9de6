"""Rebinding: twins for the names that no protocol of NumPy reaches.

``np.zeros(n)`` followed by ``out[i] = t``, ``np.array([t, u])``, ``math.sin(t)`` and
``scipy.special.logsumexp(t)`` cannot be intercepted by duck typing. So a function is not run itself:
a copy of it runs, made with ``types.FunctionType`` from the same code, in whose globals NumPy, ``math``, SciPy's
names and the user's own functions stand as twins. Nothing is ever patched: NumPy, the user's module and its
closures stay as they are, so there is nothing to restore when f raises, and traces in other threads see nothing.

The alternative, to swap names in the user's globals and restore them afterwards, is visible to other
threads and costs two writes a name. It is left for what copies do not reach (``modules``), and skipped where everything that f
names and is given leads to copies and libraries only.

The copies of one recording serve the next one of the same function, as long as all names stand for what they stood for
(`Space`) and nobody has kept a copy beyond its recording.
"""

from __future__ import annotations

import builtins
import dis
import functools
import operator
import statistics
import types
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .. import trees
from ..tracer import array as traced
from ..tracer import layout, twins
from ..tracer.names import ABSENT, Copies, Space, is_inert
from . import bases, classes, complex, dispatch, grids, iteration, mathematics, modules, reach, shapes, vectorized
from .classes import BUILTIN_TWINS
from .libraries import instance, is_scipy, library_function, stand_in
from .surroundings import ITS_MODULE, global_names, imports

OVERRIDABLE = (np.ufunc, type(np.sum))  # what NumPy's protocols reach
# functions of NumPy's whose own argument is a list of arrays: NumPy's protocol looks into it
TAKE_SEQUENCES = {
    np.concatenate, np.stack, np.vstack, np.hstack, np.dstack, np.column_stack, np.block, np.select, np.choose, np.piecewise,
    np.lexsort, np.ravel_multi_index, np.linalg.multi_dot, np.copyto, np.put, np.place, np.putmask, np.histogramdd,
}  # fmt: skip


twins.take_sequences(TAKE_SEQUENCES)


def refusing(name: str, plain: Any, why: str) -> Any:
    """A function or class that does not record: refused on traced values, itself on others."""

    @functools.wraps(plain, updated=())
    def of(*args: Any, **kw: Any) -> Any:
        if dispatch.any_active((args, kw)):
            raise dispatch.refuse(name, why)
        return plain(*dispatch.values(args), **dispatch.values(kw))

    return of


class Namespace:
    """A module of NumPy's whose functions are twins."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._module, name)
        if self._module is np.ma and callable(value):
            value = refusing(f"np.ma.{name}", value, "a mask is not recorded: use np.where or a boolean index")
        elif isinstance(value, types.ModuleType):
            value = library(value)
        elif isinstance(value, types.FunctionType) or bases.belongs(self._module.__name__):
            value = OWN.get(value) or library_function(value) if callable(value) else value
        self.__dict__[name] = twin = twins.of(value)
        return twin


NAMESPACES = {module: Namespace(module) for module in (np.linalg, np.fft, np.lib, np.lib.stride_tricks, np.ma)}
OWN: dict[Any, Any] = {as_strided: shapes.strided_view}  # functions of these modules that no protocol reaches
OWN |= {getattr(statistics, name): mathematics.statistics_twin(name) for name in mathematics.STATISTICS}
SQUARES = (np.empty((2, 2)), np.empty((2, 2)).T)  # in C and in Fortran order
FIXED = np.broadcast_to(0.0, 2)  # read-only
UNKNOWN_CLASSES = dict.fromkeys(("matrix", "asmatrix", "bmat"), "its products are those of matrices: use an array of two dimensions and @")


CLASSES = frozenset(name for name, value in vars(np).items() if isinstance(value, type) and classes.twin_of(value) is not None)


def wants_complex(x: Any, dtype: Any) -> bool:
    """Is it, or shall it become, an array of complex numbers?"""
    return np.dtype(dtype).kind == "c" if dtype is not None else traced.holds_complex([x])


class Numpy:
    """numpy as one trace sees it: functions that make arrays make traced ones."""

    def __init__(self, trace: Any = None) -> None:
        self._trace = trace
        self._plain: dict[str, Any] = {}  # what the names stand for that have been asked for

    def __getattr__(self, name: str) -> Any:
        value = getattr(np, name)
        if name == "random" and self._trace.surroundings is not None:
            self._trace.surroundings.changes("np.random gives new numbers at each call")
        self._plain[name] = value
        twin: Any
        if isinstance(value, types.ModuleType):
            twin = library(value)
        elif name in UNKNOWN_CLASSES:
            twin = refusing(f"np.{name}", value, UNKNOWN_CLASSES[name])
        elif isinstance(value, type):
            twin = classes.twin_of(value) or value
        else:
            twin = twins.of(value)
        self.__dict__[name] = twin
        return twin

    def keeps(self, names: Any) -> None:
        """Classes of these names stay themselves: code tells them by identity."""
        for name in CLASSES & names:
            self.__dict__[name] = self._plain[name] = getattr(np, name)

    def _filled(self, shape: Any, dtype: Any, fill: Any, order: str = "C") -> Any:
        if order == "F" and isinstance(shape, Sequence):
            return self._filled(shape[::-1], dtype, fill).T
        if traced.makes(dtype):
            return traced.new_array(self._trace, shape, dtype, fill)
        dtype = np.dtype(dtype)
        if dtype.names is not None:
            return self._structured(shape, dtype, fill)
        if traced.makes(dtype):
            return traced.new_array(self._trace, shape, dtype, fill)
        return complex.new_array(self._trace, shape, dtype, fill) if dtype.kind == "c" else np.full(shape, traced.value_of(fill), dtype)

    def _structured(self, shape: Any, dtype: Any, fill: Any) -> Any:
        """A structured array: its fields side by side."""
        shape = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(int(d) for d in shape)
        fields = {}
        for name in dtype.names:
            base, own = dtype[name].subdtype or (dtype[name], ())
            fields[name] = self._filled(shape + own, base, fill)
        return trees.Record(fields, dtype, shape)

    def zeros(self, shape: Any, dtype: Any = float, order: str = "C", **kw: Any) -> Any:
        return self._filled(shape, dtype, 0.0, order)

    def empty(self, shape: Any, dtype: Any = float, order: str = "C", **kw: Any) -> Any:
        return self._filled(shape, dtype, 0.0, order)

    def ones(self, shape: Any, dtype: Any = None, order: str = "C", **kw: Any) -> Any:
        return self._filled(shape, dtype, 1.0, order)

    def full(self, shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", **kw: Any) -> Any:
        if dtype is None and not traced.is_traced(fill_value):
            dtype = np.asarray(fill_value).dtype
        elif dtype is None:
            dtype = fill_value.dtype
        if np.ndim(fill_value):
            out = self._filled(shape, dtype, 0.0, order)
            out[...] = fill_value
            return out
        return self._filled(shape, dtype, fill_value, order)

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
            if hasattr(type(object), "as_traced"):
                return self.array(object.as_traced(), dtype, **kw)
            return self._own(object, np.array(object, dtype=dtype, **kw))
        if dtype is not None and np.dtype(dtype) == np.dtype("O"):
            return vectorized.object_array(object, self._trace)
        if wants_complex(object, dtype):
            same = isinstance(object, complex.Complex) and dtype in (None, object.dtype)
            result = object if same and not kw.get("copy", True) else complex.array(object, dtype, self._trace)
            return shapes.as_asked(result, **kw)
        result = traced.as_traced(self._trace, object)
        if type(object) is not list and kw.get("copy", True):  # of a list a new array is made
            result = traced.elementwise("identity", result)
        return shapes.as_asked(result if dtype in (None, result.dtype) else result.astype(dtype), **kw)

    def _own(self, given: Any, made: Any) -> Any:
        """What NumPy made of something plain: as a traced array, unless it lies in the memory of what was given."""
        if isinstance(made, np.ndarray) and made.ndim and (made is given or not made.flags.owndata):
            return made
        return self._made(made)

    def asarray(self, a: Any, dtype: Any = None, order: Any = None, **kw: Any) -> Any:
        if traced.find_trace(a) is None:
            if hasattr(type(a), "as_traced"):
                return self.asarray(a.as_traced(), dtype)
            return self._own(a, np.asarray(a, dtype, order, **kw))
        if kw.get("copy"):
            return self.array(a, dtype, order=order)
        if isinstance(a, complex.Complex) and dtype in (None, a.dtype):
            result = a
        elif wants_complex(a, dtype):
            result = complex.array(a, dtype, self._trace)
        else:
            result = traced.as_traced(self._trace, a)
            result = result if dtype is None or np.dtype(dtype) == result.dtype else result.astype(dtype)
        return result if order is None else shapes.as_asked(result, order=order)

    asanyarray = asarray

    def asarray_chkfinite(self, a: Any, dtype: Any = None, order: Any = None) -> Any:
        made = self.asarray(a, dtype, order)
        np.asarray_chkfinite(traced.value_of(made))
        return made

    def require(self, a: Any, dtype: Any = None, requirements: Any = None, **kw: Any) -> Any:
        if traced.find_trace(a) is None:
            return np.require(a, dtype, requirements, **kw)
        by_rows, by_columns = (np.require(x[...], None, requirements).flags for x in SQUARES)
        made = self.asarray(a, dtype)
        if by_rows.c_contiguous == by_columns.c_contiguous:  # whatever came in: it is asked for
            made = self.ascontiguousarray(made) if by_rows.c_contiguous else self.asfortranarray(made)
        if by_rows.owndata and by_columns.owndata and made.base is not None:
            return np.copy(made, order="A")
        writeable = np.require(FIXED, None, requirements) is not FIXED
        return np.copy(made) if writeable and not made.flags.writeable else made

    def ascontiguousarray(self, a: Any, dtype: Any = None, **kw: Any) -> Any:
        if traced.find_trace(a) is None:
            return self._own(a, np.ascontiguousarray(a, dtype))
        return shapes.contiguous(self.asarray(a, dtype, **kw))

    def asfortranarray(self, a: Any, dtype: Any = None, **kw: Any) -> Any:
        if traced.find_trace(a) is None:
            return self._own(a, np.asfortranarray(a, dtype))
        return shapes.contiguous(self.asarray(a, dtype, **kw).T).T

    def fromiter(self, iter: Any, dtype: Any, count: int = -1, **kw: Any) -> Any:
        return self._made(dispatch.function(np.fromiter, (iter, dtype, count), kw))

    def frombuffer(self, buffer: Any, dtype: Any = float, count: int = -1, offset: int = 0, **kw: Any) -> Any:
        return dispatch.function(np.frombuffer, (buffer, dtype, count, offset), kw)

    def _like(self, a: Any, dtype: Any, fill: Any, shape: Any, order: str) -> Any:
        if np.ndim(fill):
            out = self._like(a, dtype, 0.0, shape, order)
            out[...] = fill
            return out
        if dtype is None and shape is None and type(a) is traced.TracedArray and order in "KA":
            return traced.laid_out_as(traced.new_array(self._trace, a.shape, a.dtype, fill), a)
        if dtype is None:
            dtype = a.dtype if hasattr(a, "dtype") else np.asarray(a).dtype
        found = self._filled(np.shape(a) if shape is None else shape, dtype, fill, order)
        if shape is not None or order not in "KA" or type(found) is not traced.TracedArray:
            return found
        if type(a) is traced.TracedArray:
            return traced.laid_out_as(found, a)
        return traced.laid_out(found, layout.by_strides(a.shape, a.strides)) if isinstance(a, np.ndarray) else found

    def zeros_like(self, a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None) -> Any:
        return self._like(a, dtype, 0.0, shape, order)

    empty_like = zeros_like

    def ones_like(self, a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None) -> Any:
        return self._like(a, dtype, 1.0, shape, order)

    def full_like(self, a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None) -> Any:
        return self._like(a, dtype, fill_value, shape, order)

    def copy(self, a: Any, order: Any = "K", subok: bool = False) -> Any:
        return dispatch.function(np.copy, (a, order), {}) if traced.is_traced(a) else self._made(np.array(a, order=order))

    def arange(self, *args: Any, **kw: Any) -> Any:
        kw.pop("like", None)
        return dispatch.function(np.arange, args, kw) if traced.find_trace(args) is not None else np.arange(*args, **kw)

    def vectorize(self, pyfunc: Any = np._NoValue, *args: Any, **kw: Any) -> Any:
        if pyfunc is np._NoValue:
            return lambda f: self.vectorize(f, *args, **kw)
        return vectorized.Vectorized(np.vectorize(pyfunc, *args, **kw), pyfunc)

    def nditer(self, op: Any, *args: Any, **kw: Any) -> Any:
        return iteration.nditer(self._trace, op, *args, **kw)

    def ndenumerate(self, arr: Any) -> Any:
        return iteration.ndenumerate(arr)

    def recarray(self, shape: Any, dtype: Any = None, *args: Any, **kw: Any) -> Any:
        return np.recarray(shape, dtype, *args, **kw) if dtype is None or args or kw else self._filled(shape, dtype, 0.0)

    r_ = grids.Concatenator(np.r_, 0, 1, -1)
    c_ = grids.Concatenator(np.c_, -1, 2, 0)
    mgrid = grids.Grid(np.mgrid, False)
    ogrid = grids.Grid(np.ogrid, True)


# what an import statement inside a function looks up in its globals
IMPORTS_NEED = ("__name__", "__package__", "__spec__", "__path__", "__file__")
WRITES_GLOBAL = {dis.opmap["STORE_GLOBAL"], dis.opmap["DELETE_GLOBAL"]}
TWINNED = {
    getattr(np, name): name
    for name in dir(Numpy)
    if not name.startswith("_") and getattr(np, name, None) is not None and not isinstance(getattr(np, name), type)
}
TWINNED |= {getattr(np, name): name for name in ("vectorize", "nditer", "ndenumerate", "recarray")}
GRIDS = (type(np.r_), type(np.c_), type(np.mgrid), type(np.ogrid))
MEMO = type(functools.lru_cache(len))


@functools.cache
def library(module: types.ModuleType) -> Any:
    """A library's module, or what stands for it where functions of it have twins."""
    if module in NAMESPACES:
        return NAMESPACES[module]
    if bases.belongs(module.__name__):
        return NAMESPACES.setdefault(module, Namespace(module))
    return Library(module) if is_scipy(module.__name__) else module


class Library:
    """A module of SciPy in which functions that no protocol reaches have stand-ins."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._module, name)
        if isinstance(value, types.ModuleType):
            return library(value)
        return twins.of(stand_in(self._module.__name__, name)) if callable(value) else value


BUILTINS = {**vars(builtins), **BUILTIN_TWINS, "__import__": modules.imported}


def hashable(x: Any) -> Any:
    """What tells one argument from another: the number of a traced value in its program, anything else itself."""
    if isinstance(x, traced.TracedComplex):
        return hashable(x.re), hashable(x.im)
    if isinstance(x, traced.TracedArray):
        raise TypeError(f"{traced.where_text()}unhashable type: 'numpy.ndarray'")
    return (traced.Traced, traced.value_number(x)) if traced.is_traced(x) else (type(x), x)


class Memo:
    """A function of ``functools.lru_cache``: what it keeps for later is plain, what depends on traced values is kept for this recording."""

    def __init__(self, plain: Any, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, plain)
        self.__wrapped__ = function  # not plain, which keeps what it has found
        self.plain = plain
        self.function = function
        self.found: dict[Any, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)

    def __call__(self, *args: Any, **kw: Any) -> Any:
        if traced.find_trace(args) is None and traced.find_trace(kw) is None:
            with modules.Plainly():
                return self.plain(*args, **kw)
        key = tuple((name, hashable(x)) for name, x in (*enumerate(args), *kw.items()))
        if key not in self.found:
            self.found[key] = self.function(*args, **kw)
        return self.found[key]


# -- copies --------------------------------------------------------------------------------------

# modules through which no code of the user's is reached, other than what it is handed
SAFE = frozenset({"numpy", "scipy", "adcore", "math", "cmath", "functools", "itertools", "operator", "typing", "collections", "copy",
                  "time", "warnings", "numbers", "random", "string", "statistics"})  # fmt: skip
# names by which a function reaches more than it names
REFLECTION = frozenset({"eval", "exec", "globals", "vars", "__import__", "__globals__", "__wrapped__"})


def is_library(module: str | None) -> bool:
    top = (module or "").split(".")[0]
    return (top in reach.LIBRARIES or top in reach.STDLIB) and module != "adcore.testing"


def lasts(value: Any) -> bool:
    """Is it code, which is the same in the next recording unless the name stands for something else then?"""
    kind = type(value)
    if kind is types.FunctionType:
        return value.__closure__ is None and not value.__dict__ and is_inert((value.__defaults__, value.__kwdefaults__))
    if kind is types.BuiltinFunctionType:
        return value.__self__ is None or isinstance(value.__self__, types.ModuleType)
    return kind in (types.ModuleType, *OVERRIDABLE) or isinstance(value, type) or kind.__module__ == "uarray"


NAMED = (types.FunctionType, types.MethodType, functools.partial, np.vectorize)


def holds_code(cell: types.CellType) -> bool:
    """Does a cell hold something that may lead back to the function that it belongs to?"""
    try:
        return isinstance(cell.cell_contents, NAMED)
    except ValueError:  # not bound yet
        return False


class Rebinder:
    """The copies made for one recording, and kept for the next."""

    def __init__(self, surroundings: Any = None) -> None:
        self.numpy = Numpy()
        self.surroundings = surroundings
        self.kept = Copies(self.numpy, self.numpy._plain)
        self.copies: dict[int, Any] = {}  # id of a function -> (it, its copy), for this recording only
        self.closed = True  # does all code that the functions name consist of copies and libraries?
        self.contained = True  # and does all data lead to no other code, in this recording?

    def twin(self, value: Any) -> Any:
        """What stands for a value in a copied function."""
        if type(value) in twins.KINDS:
            return value
        if isinstance(value, types.ModuleType):
            if value is np:
                return self.numpy
            if value in mathematics.MODULES:
                return mathematics.MODULES[value]
            if value.__name__.split(".")[0] not in SAFE:
                self.closed = False
            return library(value)
        if isinstance(value, types.FunctionType):
            return self.function(value)
        if isinstance(value, OVERRIDABLE):
            name = TWINNED.get(value)
            return twins.of(value) if name is None else getattr(self.numpy, name)
        if isinstance(value, Numpy):  # of a recording around this one
            return self.numpy
        if isinstance(value, types.MethodType):
            if isinstance(value.__self__, Numpy):
                return getattr(self.numpy, value.__name__)
            owner = instance(value.__self__)
            if owner is not value.__self__:
                return getattr(owner, value.__name__)
            self.closed = False
            f = self.function(value.__func__) if isinstance(value.__func__, types.FunctionType) else value.__func__
            return value if f is value.__func__ else types.MethodType(f, value.__self__)
        if isinstance(value, functools.partial):
            f = self.twin(value.func)
            self.contained = self.contained and is_inert((value.args, value.keywords))
            return value if f is value.func else functools.partial(f, *value.args, **value.keywords)
        if type(value) is np.vectorize:
            return vectorized.Vectorized(value, self.twin(value.pyfunc))
        if isinstance(value, vectorized.Vectorized):  # of a recording around this one
            return vectorized.Vectorized(value.plain, self.twin(value.plain.pyfunc))
        if type(value) is MEMO:
            return self.memo(value)
        if isinstance(value, GRIDS):
            return getattr(self.numpy, TWINNED[value]) if value in TWINNED else value
        if isinstance(value, types.BuiltinFunctionType):
            name = TWINNED.get(value)
            return mathematics.builtin_twin(value) or value if name is None else getattr(self.numpy, name)
        if type(value).__module__ == "uarray":  # the functions of scipy.fft
            return library_function(value)
        if isinstance(value, type):
            if value in TWINNED:
                return getattr(self.numpy, TWINNED[value])
            self.closed = self.closed and (is_library(value.__module__) or value.__module__ == "builtins")
            return classes.twin_of(value) or library_function(value)
        self.contained = self.contained and is_inert(value)
        return instance(value)

    def memo(self, value: Any) -> Any:
        """The twin of a function that keeps its results."""
        known = self.copies.get(id(value))
        if known is None:
            memo = Memo(value, value.__wrapped__)
            known = self.copies[id(value)] = (value, memo)  # before its function is looked into, which may call itself
            memo.function = self.twin(value.__wrapped__)
        return known[1]

    def function(self, f: types.FunctionType) -> Any:
        """A copy of a user's function whose names are twins; a library's function as it is."""
        known = self.copies.get(id(f)) or self.kept.lasting.get(id(f))
        if known is not None:
            return known[1]
        if is_library(f.__module__):
            name = TWINNED.get(f)
            return OWN.get(f) or library_function(f) if name is None else getattr(self.numpy, name)
        code = f.__code__
        if uses_store_global(code) or not ITS_MODULE.isdisjoint(global_names(code)):
            if self.surroundings is not None:
                self.surroundings.itself(f)
                if uses_store_global(code):
                    self.surroundings.changes(f"{f.__name__} writes to a global")
            self.closed = False
            return f  # it writes to its module, or asks for all of it: it must run in it
        key = (id(code), id(f.__globals__))
        space = self.kept.spaces.get(key)
        names = {"__builtins__": BUILTINS} if space is None else space.names
        cells = None if f.__closure__ is None else tuple(map(self.cell, f.__closure__))
        copy = types.FunctionType(code, names, f.__name__, self.defaults(f.__defaults__), cells)
        if f.__kwdefaults__:
            copy.__kwdefaults__ = dict(zip(f.__kwdefaults__, self.defaults(f.__kwdefaults__.values()), strict=True))
        if f.__dict__:
            copy.__dict__.update(f.__dict__)
            self.closed = False
        self.copies[id(f)] = (f, copy)
        if self.surroundings is not None:
            self.surroundings.function(f)
        if f.__defaults__ or f.__kwdefaults__:
            self.closed = self.closed and is_inert((f.__defaults__, f.__kwdefaults__))
        for new, cell in zip(cells or (), f.__closure__ or (), strict=True):
            if holds_code(cell):  # now that a function that names itself finds its copy
                new.cell_contents = self.read(cell.cell_contents, cell, None)
        if space is None:
            self.kept.add(key, self.named(Space(code, f.__globals__, names)))
        return copy

    def defaults(self, values: Any) -> Any:
        """Twins of the functions that stand for arguments which are not given."""
        return values and tuple(self.twin(value) if callable(value) else value for value in values)

    def cell(self, cell: types.CellType) -> types.CellType:
        """The cell of a copy: one of its own where the twin is another object; else data is shared, and so are assignments to it."""
        if holds_code(cell):
            return types.CellType()
        try:
            value = cell.cell_contents
        except ValueError:  # not bound yet
            self.contained = False
            return cell
        twin = self.read(value, cell, None)
        return cell if twin is value else types.CellType(twin)

    def named(self, space: Space) -> Space:
        """A namespace with twins for the names of its code."""
        names = global_names(space.code)
        for name in IMPORTS_NEED:
            if name in space.globals:
                space.names[name] = space.globals[name]
        self.closed = self.closed and REFLECTION.isdisjoint(names) and not imports(space.code)
        apart = modules.told_by_identity(space.code)
        self.numpy.keeps(apart)
        space.names.update((name, getattr(builtins, name)) for name in apart & BUILTIN_TWINS.keys())
        for name in names:
            value = modules.plain(space.globals.get(name, ABSENT), space.globals, name)
            if value is ABSENT:
                space.lacks(name)
                continue
            twin = value if name in apart and isinstance(value, type) else self.read(value, space.globals, name)
            if lasts(value):
                space.keep(name, value, twin)
                if id(value) in self.copies:
                    self.kept.last(value, twin)
            else:
                space.read_anew(name, twin)
        return space

    def read(self, value: Any, container: Any, key: Any) -> Any:
        """The twin of something that a function reads from its surroundings."""
        value = modules.plain(value, container, key)
        if self.surroundings is not None:
            value = self.surroundings.read(value, container, key)
        return self.twin(value)

    def again(self, value: Any, container: Any, key: Any) -> Any:
        """The twin of data in another recording; NotImplemented for code."""
        value = modules.plain(value, container, key)
        return NotImplemented if lasts(value) else self.twin(value)

    # -- from one recording to the next --------------------------------------------------------------

    def renew(self) -> bool:
        """Read the data again; False when some name stands for other code now."""
        self.contained = True
        return self.kept.renew(self.again, modules.plain)

    def leave(self) -> bool:
        """End a recording; False when somebody has kept a copy, to whom all of this belongs now."""
        if not self.kept.forget():
            return False
        self.numpy._trace = None
        self.numpy.__dict__.pop("_memos", None)
        self.copies.clear()
        return True


_kept: dict[int, list[tuple[Any, Any, Rebinder]]] = {}  # id of a function's code -> it, its globals and copies that no recording uses
KEPT_MAX = 256
IDLE_MAX = 4


def call(f: Callable[..., Any], trace: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """What f gives, run under this trace."""
    if type(f) is not types.FunctionType or trace.surroundings is not None or f.__globals__.get("__builtins__") is BUILTINS:
        return rebound(f, trace)(*args, **kwargs)
    code, namespace = f.__code__, f.__globals__
    kept = _kept.get(id(code))
    if kept is None:
        if len(_kept) >= KEPT_MAX:
            _kept.clear()
        kept = _kept.setdefault(id(code), [])
    rebinder = taken(kept, code, namespace) or Rebinder()
    copy = rebinder.function(f)
    rebinder.numpy._trace = trace
    rebinder.kept.count()
    if rebinder.closed and rebinder.contained and is_inert(args) and is_inert(kwargs):
        result = copy(*args, **kwargs)
    else:
        with modules.Swapped(rebinder.numpy, reach.roots_of(f), shared_twin, BUILTIN_TWINS):
            result = copy(*args, **kwargs)
    if rebinder.leave() and len(kept) < IDLE_MAX:
        kept.append((code, namespace, rebinder))
    return result


def taken(kept: list[tuple[Any, Any, Rebinder]], code: Any, namespace: dict[str, Any]) -> Rebinder | None:
    """Copies that serve again, taken out of the list; those that do not are dropped."""
    while kept:
        try:
            whose, where, rebinder = kept.pop()
        except IndexError:  # another thread was faster
            break
        if whose is code and where is namespace and rebinder.renew():
            return rebinder
    return None


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
        return mathematics.MODULES.get(value) or library(value)
    if isinstance(value, types.BuiltinFunctionType) and mathematics.builtin_twin(value):
        return mathematics.builtin_twin(value)
    if type(value) is np.vectorize:
        return modules.Shared(value, lambda numpy: vectorized.Vectorized(value, value.pyfunc))
    if type(value) is MEMO and reach.may_have_twins(value.__module__ or ""):
        return modules.Shared(value, lambda numpy: shared_memo(numpy, value))
    if isinstance(value, (types.FunctionType, types.BuiltinFunctionType, type, *OVERRIDABLE, *GRIDS)):
        name = TWINNED.get(value)
        if name is not None:
            return modules.Shared(value, operator.attrgetter(name))
        found = OWN.get(value) or classes.twin_of(value) or library_function(value)
        if found is not value:
            return found
    return twins.of(value) if isinstance(value, OVERRIDABLE) else instance(value)


def shared_memo(numpy: Numpy, value: Any) -> Any:
    """The memo of a function in one recording."""
    memos: dict[int, Any] = numpy.__dict__.setdefault("_memos", {})
    if id(value) not in memos:
        memos[id(value)] = Memo(value, value.__wrapped__)
    return memos[id(value)]


def rebound(f: Callable[..., Any], trace: Any) -> Callable[..., Any]:
    """f as it runs under this trace."""
    rebinder = Rebinder(trace.surroundings)
    rebinder.numpy._trace = trace
    roots = reach.roots_of(f)
    twin = rebound_by(rebinder, f)
    if trace.surroundings is not None:
        trace.surroundings.settle()
    if not roots.namespaces:
        return twin

    def run(*args: Any, **kw: Any) -> Any:
        with modules.Swapped(rebinder.numpy, roots, shared_twin, BUILTIN_TWINS):
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
