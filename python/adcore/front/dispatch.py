"""Where NumPy's protocols arrive: tables from NumPy's functions, ufuncs and methods to ours."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import errors, trees
from ..tracer import array as traced
from ..tracer import twins

TABLE: dict[Any, Callable[..., Any]] = {}
# functions of the table that take complex arguments as well
ANY_KIND: set[Any] = set()
UFUNCS: dict[str, Callable[..., Any]] = {}
METHODS: dict[str, Callable[..., Any]] = {}
ATTRIBUTES: dict[str, Callable[..., Any]] = {}
# functions whose results have no derivative: they are computed on values
ON_VALUES: set[Any] = set()
UFUNCS_ON_VALUES: set[str] = set()
# why functions, ufuncs (by name) and methods ("ndarray.name") are refused on what is being differentiated
REFUSED: dict[Any, str] = {}
REFUSED_MODULES: dict[str, str] = {}


def implements(*functions: Any, any_kind: bool = False) -> Callable[[Any], Any]:
    """Register the decorated function for these functions of NumPy, on real arrays or on those of any kind.

    A function that not every NumPy we support has is given by its name.
    """
    here = [f for f in (named(f) if isinstance(f, str) else f for f in functions) if f is not None]

    def register(ours: Any) -> Any:
        TABLE.update(dict.fromkeys(here, ours))
        if any_kind:
            ANY_KIND.update(here)
        return ours

    return register


def named(name: str) -> Any:
    """A function of NumPy by its dotted name; None where this NumPy has none."""
    found: Any = np
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def on_values(*names: str) -> None:
    """Functions of NumPy that only look at values: their results are constants to derivatives."""
    ON_VALUES.update(f for f in map(named, names) if f is not None)


def refused(why: str, *names: str) -> None:
    """Functions of NumPy that are refused on what is being differentiated."""
    REFUSED.update((f, why) for f in map(named, names) if f is not None)


@functools.cache
def load() -> None:
    """Import the subject files, which fill the tables."""
    from . import (  # noqa: F401  (imported for their registrations)
        complex,
        creation,
        elementwise,
        fft,
        holomorphic,
        linalg,
        polynomials,
        products,
        reductions,
        refusals,
        shapes,
        sorting,
        special,
        tables,
    )

    traced.add_methods(METHODS)


def implementation(func: Any) -> Any:
    """What records a function of NumPy's; None where nothing does."""
    load()
    return TABLE.get(func)


def row(uf: np.ufunc) -> int | None:
    """The row of the op table that a ufunc of any library is, by its name; None where it is more than a row, or unknown."""
    load()
    name = uf.__name__
    return None if name in UFUNCS or name in traced.optable.UFUNC_OP else traced.optable.OPCODE.get(name.upper())


twins.implemented_by(implementation, row)


PLAIN = frozenset({int, float, bool, str, type(None), slice})


def values(tree: Any) -> Any:
    """Traced leaves as plain arrays."""
    if type(tree) in PLAIN or (type(tree) is list and traced.find_trace(tree) is None):
        return tree

    def leaf(x: Any, path: str) -> Any:
        if not traced.is_traced(x):
            return x
        v = traced.value_of(x)
        return v[()] if v.shape == () else v

    return trees.mapped(leaf, tree)


def any_active(tree: Any) -> bool:
    """Does a leaf carry a derivative?"""
    return any(traced.is_active(x) for _, x in trees.leaves(tree))


def reason(func: Any) -> str:
    """Why a function of NumPy is refused."""
    return REFUSED.get(func) or REFUSED_MODULES.get(func.__module__ or "", "")


def refuse(name: str, why: str = "", argument: str = "") -> errors.NotDifferentiable:
    """The error for an operation that adcore does not know."""
    reason = f" ({why})" if why else ""
    which = f"its argument {argument}" if argument else "an argument of it"
    return errors.NotDifferentiable(
        f"{traced.where_text()}{name} has no derivative in adcore{reason}, and {which} is being differentiated. "
        "Wrap that argument in adcore.stop_gradient if it should count as a constant, or write the step with "
        "operations that are listed in docs/coverage.md."
    )


def unsupported(name: str, what: str, remedy: str) -> errors.NotDifferentiable:
    """The error for an argument of a known function that adcore cannot follow."""
    return errors.NotDifferentiable(f"{traced.where_text()}{name} with {what} has no derivative in adcore: {remedy}")


def name_of(func: Any) -> str:
    """A function of NumPy as users write it."""
    return f"{(func.__module__ or 'numpy').replace('numpy', 'np', 1)}.{func.__name__}"


def ufunc_name(uf: np.ufunc) -> str:
    """A ufunc of NumPy, of scipy.special or of another library as users write it."""
    homes = (("np", np), ("scipy.special", sys.modules.get("scipy.special")))
    return next((f"{home}.{uf.__name__}" for home, m in homes if getattr(m, uf.__name__, None) is uf), uf.__name__)


def known(x: Any) -> Any:
    """The value of an argument, where it has one already: to find mistakes, not to branch on; else None."""
    return x if not traced.is_traced(x) else traced.known_value(x) if traced.has_values(x) else None


def function(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What ``__array_function__`` does."""
    load()
    if traced.holds_complex(args) or (kwargs and traced.holds_complex(kwargs)):
        from . import complex

        return complex.function(func, args, kwargs)
    ours = TABLE.get(func)
    if ours is not None:
        if kwargs.get("out") is None:
            return traced.settled(func, args, kwargs, ours(*args, **kwargs))
        kwargs = dict(kwargs)
        out = kwargs.pop("out")
        if traced.find_trace((args, kwargs)) is None:
            return store(name_of(func), out, func(*args, **kwargs))
        return store(name_of(func), out, ours(*args, **kwargs))
    if func not in ON_VALUES and (any_active(args) or any_active(kwargs)):
        raise refuse(name_of(func), reason(func))
    return of_values(func, args, kwargs)


def of_values(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a function of NumPy's gives for the values of its arguments, which are copies: what it writes into them is lost."""
    out = kwargs.get("out")
    if traced.is_traced(out):
        return store(name_of(func), out, func(*values(args), **values({k: x for k, x in kwargs.items() if k != "out"})))
    args, kwargs = values(args), values(kwargs)
    found = func(*args, **kwargs)
    if func in ON_VALUES:
        return found
    if found is None:
        raise refuse(f"writing into an array by {name_of(func)}", reason(func))
    if any(np.may_share_memory(y, x) for y in arrays_in(found) for x in arrays_in((args, kwargs))):
        raise unsupported(name_of(func), "an array of which its result is a view,", "give it a copy")
    return found


def arrays_in(tree: Any) -> list[np.ndarray]:
    return [x for _, x in trees.leaves(tree) if isinstance(x, np.ndarray)]


def ufunc(uf: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What ``__array_ufunc__`` does beyond the plain call of a row of the op table."""
    load()
    from . import methods, vectorized

    out = kwargs.pop("out", None)
    where = kwargs.pop("where", True) if method != "reduce" else True
    for name in ("casting", "order", "subok"):
        kwargs.pop(name, None)
    dtype = kwargs.pop("dtype", None)
    if vectorized.made_from_python(uf) and out is None and where is True:
        return vectorized.of_objects(uf, method, inputs, kwargs)
    if method == "at":
        return methods.at(uf, *inputs)
    if method == "__call__":
        if dtype is not None:  # else truths would be added as truths
            inputs = tuple(cast(x, dtype) if traced.is_traced(x) and x.dtype == np.bool_ else x for x in inputs)
        result = call(uf, inputs, kwargs)
    elif method in methods.BY_NAME:
        result = traced.settled(getattr(uf, method), inputs, kwargs, methods.BY_NAME[method](uf, *inputs, **kwargs))
    else:
        raise refuse(f"np.{uf.__name__}.{method}")
    if dtype is not None:
        result = tuple(cast(r, dtype) for r in result) if isinstance(result, tuple) else cast(result, dtype)
    targets = out if isinstance(out, tuple) else (out,)
    if where is not True and any(t is None for t in targets):
        raise errors.ArgumentError(
            f"{traced.where_text()}np.{uf.__name__} with where= but without out= leaves elements undefined: give out="
        )
    if out is None:
        return result
    if isinstance(result, tuple):
        return tuple(r if t is None else store(uf.__name__, t, r, where) for t, r in zip(targets, result, strict=True))
    return store(uf.__name__, targets[0], result, where)


def cast(result: Any, dtype: Any) -> Any:
    if not traced.is_traced(result):
        return result
    if np.dtype(dtype).kind == "c" or isinstance(result, traced.TracedComplex):
        return result.astype(dtype)
    if np.dtype(dtype).kind not in "fb":
        raise unsupported("a ufunc", f"dtype={np.dtype(dtype)}", "use a floating dtype")
    return traced.cast_to(result, dtype)


def store(name: str, target: Any, result: Any, where: Any = True) -> Any:
    """``out=target``."""
    if not traced.is_traced(target):
        if any_active(result):
            raise errors.LostTrace(
                f"{traced.where_text()}np.{name.removeprefix('np.')} with out= a plain array would drop the derivative of the result: "
                "make the array inside the differentiated function, or pass it as an argument"
            )
        target[...] = values(result)
        return target
    if where is not True:
        result = traced.elementwise("where", where, result, target)
    return traced.write_into(target, result)


def call(uf: np.ufunc, inputs: tuple[Any, ...], kwargs: Any = None) -> Any:
    """A ufunc on operands, at least one of them traced."""
    if traced.holds_complex(inputs):
        from . import complex

        return complex.ufunc_call(uf, inputs)
    name = uf.__name__
    ours = UFUNCS.get(name)
    if ours is not None:
        return ours(*inputs, **(kwargs or {}))
    if kwargs:
        raise refuse(f"np.{name} with {', '.join(kwargs)}")
    row = traced.optable.UFUNC_OP.get(name)
    if row is None and name.upper() in traced.optable.OPCODE:
        row = name.upper()
    if row is not None:
        if not any(traced.is_traced(x) for x in inputs):
            inputs = tuple(traced.asarray(x) if traced.find_trace(x) is not None else x for x in inputs)
        return traced.elementwise(row, *inputs)
    if name not in UFUNCS_ON_VALUES and any_active(inputs):
        raise refuse(ufunc_name(uf), REFUSED.get(name, ""))
    return uf(*values(inputs))


def method(self: Any, name: str) -> Any:
    """An attribute or a method of ndarray that is not hot."""
    load()
    attribute = ATTRIBUTES.get(name)
    if attribute is not None:
        return attribute(self)
    ours = METHODS.get(name)
    if ours is not None:
        return functools.partial(ours, self)
    found = getattr(np, name, None)
    if isinstance(found, np.ufunc) and found.nin == 1 and isinstance(self, traced.TracedScalar):
        return lambda: call(found, (self,))  # NumPy's loops over object arrays ask the elements for these
    if hasattr(np.ndarray, name):
        raise refuse(f"ndarray.{name}", REFUSED.get(f"ndarray.{name}", ""))
    raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
