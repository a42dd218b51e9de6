"""Solutions of equations inside differentiated functions: found on values, differentiated by the implicit function theorem.

The functions that a solver is given are recorded as programs of the unknown and of everything traced that they read. A solve
is one call: it runs the solver on these programs. Where R(z, p) = 0 defines z, its tangent is ``-R_z^-1 R_p dp`` and the
adjoint of p is ``-R_p^T R_z^-T g``, both programs of the same R again, so derivatives of every order follow.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.linalg.lapack

from .. import errors, trees
from ..front import calls
from ..front.calls import Family, apply
from ..front.nested import pack, size
from ..passes.sparsity import sparsity
from ..rules import same
from ..sweep import engine
from ..tracer import array as traced
from ..transforms.checkpoint import CODES, Recorded, Region, region_of
from ..transforms.jacobian import jacobian

LOOKS = "the function of a solver looks at a value of its unknown"
RCOND_MIN = 1e-14  # of the Jacobian after scaling of its rows and columns


# -- the linear system ------------------------------------------------------------------------


def solved(params: Any, a: Any, b: Any) -> Any:
    """``a^-1 b``, or ``a^-T b``; a matrix that is singular to rounding is refused."""
    what, transposed = params
    if not np.isfinite(a).all():
        raise singular(what, a)
    if a.ndim == 1:  # a diagonal
        if not a.all():
            raise singular(what, a)
        return b / a
    if not a.size:
        return np.zeros_like(b)
    rows, columns, *_, info = scipy.linalg.lapack.dgeequ(a)
    if info:
        raise singular(what, a)
    scaled = a * rows[:, None] * columns
    lu, pivots, info = scipy.linalg.lapack.dgetrf(scaled)
    if info > 0 or scipy.linalg.lapack.dgecon(lu, scipy.linalg.lapack.dlange("1", scaled))[0] < RCOND_MIN:
        raise singular(what, a)
    before, after = (columns, rows) if transposed else (rows, columns)
    return scipy.linalg.lapack.dgetrs(lu, pivots, before * b, trans=int(transposed))[0] * after


def singular(what: str, a: Any) -> errors.NotDifferentiable:
    kind = "singular" if np.all(np.isfinite(a)) else "not finite"
    return errors.NotDifferentiable(
        f"{what}: the Jacobian by the unknown is {kind} at the solution, so the solution has no derivative by the parameters there "
        "(a double root, a flat minimum?). Reformulate the equation, or wrap the solution in adcore.stop_gradient"
    )


def outer(x: Any, y: Any, like: Any) -> Any:
    return x * y if len(like.shape) == 1 else x[:, None] * y


def solved_vjp(params: Any, wanted: Any, g: Any, y: Any, a: Any, b: Any) -> Any:
    what, transposed = params
    s = system(what, a, g, not transposed)
    return (-(outer(y, s, a) if transposed else outer(s, y, a)) if wanted[0] else None), s


def solved_jvp(params: Any, tangents: Any, y: Any, a: Any, b: Any) -> Any:
    what, transposed = params
    da, db = tangents
    move = 0.0 if da is None else da * y if len(da.shape) == 1 else (np.swapaxes(da, 0, 1) if transposed else da) @ y
    return system(what, a, (0.0 if db is None else db) - move, transposed)


SYSTEM = Family("the linear system of a solution", solved, solved_vjp, solved_jvp)


def system(what: str, a: Any, b: Any, transposed: bool = False) -> Any:
    """Record the solution of a linear system with a Jacobian: a matrix, or the vector of a diagonal."""
    return apply(SYSTEM, (what, transposed), b.shape, a, b)


# -- programs of an unknown and its parameters ------------------------------------------------------


@functools.lru_cache(maxsize=256)
def jacobian_of(region: Region, specs: calls.Specs) -> Region:
    """The Jacobian of a program by its first argument, a vector: a matrix, or the vector of its diagonal when it has no more."""
    trace = calls.rule_trace()
    with trace:
        z, *rest = calls.inputs(trace, specs)

        def residual(z: Any) -> Any:
            return traced.open_trace().inline(region.program, [z, *rest], [], [])[0]

        if is_diagonal(region, specs):
            push, _ = engine.derived(region.program, "push forward", (0,))
            matrix = trace.inline(push, [z, *rest, traced.as_traced(trace, np.ones(z.shape))], [], [])[1]
        else:
            matrix = jacobian(residual)(z)
        return region_of(calls.finished(trace, [traced.as_traced(trace, matrix)], "a solver"))


def is_diagonal(region: Region, specs: calls.Specs) -> bool:
    """Does each element of the result depend on the element of the unknown at the same place alone?"""
    n = specs[0][0][0]
    if n < 2:
        return False
    try:
        indptr, indices = sparsity(engine.prepare(region.program), [0], [], n)
    except (OverflowError, errors.AdcoreError):
        return False
    return len(indptr) == n + 1 and np.array_equal(indices, np.repeat(np.arange(n), np.diff(indptr)))


def specs_of(arrays: Sequence[Any]) -> calls.Specs:
    return tuple((x.shape, CODES[x.dtype]) for x in arrays)


class Part:
    """A function of the unknown with its parameters bound, as SciPy calls it."""

    def __init__(self, region: Region, parameters: Sequence[Any], shape: tuple[int, ...]) -> None:
        self.region, self.parameters, self.shape = region, parameters, shape
        self.derived: dict[Any, Region] = {}  # which a solver asks for at every iteration

    def program(self, make: Callable[..., Region], z: Any) -> Region:
        found = self.derived.get((make, z.size))
        if found is None:
            found = self.derived[make, z.size] = make(self.region, specs_of((z, *self.parameters)))
        return found

    def at(self, z: Any) -> Any:
        """Its value at an unknown of any shape, as a vector."""
        return self.region.evaluate(np.array(z, dtype=np.float64, order="C").reshape(-1), *self.parameters)

    def __call__(self, z: Any) -> Any:
        return self.at(z).reshape(self.shape)[()]

    def jacobian(self, z: Any) -> Any:
        """The matrix, or the diagonal as a vector."""
        z = np.array(z, dtype=np.float64, order="C").reshape(-1)
        return self.program(jacobian_of, z).evaluate(z, *self.parameters)

    def matrix(self, z: Any) -> Any:
        found = self.jacobian(z)
        return np.diag(found) if found.ndim == 1 else found

    def holds(self, z: Any, tolerance: float = 1e-6) -> bool:
        """Would a step of Newton's method hardly move the solution?"""
        try:
            step = solved(("", False), self.jacobian(z), self.at(z))
        except errors.NotDifferentiable:
            return False
        return bool(np.all(np.abs(step) <= tolerance * (1.0 + np.abs(np.reshape(z, -1)))))

    def times(self, z: Any, v: Any) -> Any:
        """The product of the Jacobian with a vector."""
        z = np.array(z, dtype=np.float64, order="C").reshape(-1)
        return self.program(product_of, z).evaluate(z, np.array(v, dtype=np.float64).reshape(-1), *self.parameters)


@functools.lru_cache(maxsize=256)
def product_of(region: Region, specs: calls.Specs) -> Region:
    """(z, v, parameters) -> the Jacobian by z times v."""
    push, _ = engine.derived(region.program, "push forward", (0,))
    trace = calls.rule_trace()
    with trace:
        z, v, *rest = calls.inputs(trace, (specs[0], *specs))
        return region_of(calls.finished(trace, trace.inline(push, [z, *rest, v], [], [])[1:], "a solver"))


class Solve:
    """A solver with its options: ``run(start, *parts)`` finds the unknown, or raises."""

    def __init__(self, name: str, run: Callable[..., Any], options: Any, verify: bool = False) -> None:
        self.name, self.run, self.options = name, run, options
        self.verify = verify  # that a step of Newton's method would stay near the solution

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Solve) and (self.name, self.verify) == (other.name, other.verify) and same(self.options, other.options)

    def __hash__(self) -> int:
        return hash(self.name)


class Root:
    """The rule of a solve. Its arguments are where the solver starts, then the parameters; its value the unknown, a vector."""

    def __init__(self, solve: Solve, parts: Sequence[Region], shapes: Any, n_start: int, place: str) -> None:
        self.solve, self.parts, self.shapes, self.place = solve, tuple(parts), shapes, place
        self.silent = frozenset(range(n_start))
        self.known: tuple[list[bytes], Any] | None = None  # arguments and solution, when no replay of the programs finds it

    def __repr__(self) -> str:
        return self.solve.name

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Root)
            and self.known is None
            and other.known is None
            and (self.solve, self.parts, self.shapes, self.silent, self.place)
            == (other.solve, other.parts, other.shapes, other.silent, other.place)
        )

    def __hash__(self) -> int:
        return hash((self.solve, self.shapes))

    @property
    def what(self) -> str:
        return f"{self.place}{self.solve.name}"

    def evaluate(self, *arrays: Any) -> Any:
        if self.known is not None:
            if [a.tobytes() for a in arrays] == self.known[0]:
                return self.known[1]
            raise errors.AdcoreError(
                f"{self.place}{LOOKS}, so its recording stands for the arguments it was made with only; use np.where instead of if"
            )
        n = len(self.silent)
        parameters = [np.array(a) for a in arrays[n:]]
        parts = [Part(region, parameters, shape) for region, shape in zip(self.parts, self.shapes, strict=True)]
        return self.checked(self.solve.run([np.array(a)[()] for a in arrays[:n]], *parts), parts)

    def checked(self, z: Any, parts: Sequence[Part]) -> Any:
        z = np.array(z, dtype=np.float64).reshape(-1)
        if self.solve.verify and not parts[0].holds(z, 1e-3):
            raise errors.NotDifferentiable(
                f"{self.what} ended where its condition does not hold (a bound, a kink, or not converged), so the solution has no "
                "derivative by the parameters there"
            )
        return z

    def residual(self, specs: calls.Specs) -> tuple[Region, calls.Specs]:
        return self.parts[0], (specs[0], *specs[1 + len(self.silent) :])

    def tangent_program(self, specs: Sequence[Any], given: tuple[bool, ...], place: Any) -> Any:
        n = len(self.silent)
        region, inner = self.residual(tuple(specs))
        trace = calls.rule_trace()
        with trace:
            y, *args = calls.inputs(trace, tuple(specs))
            tangents = calls.inputs(trace, tuple(s for s, use in zip(specs[1:], given, strict=True) if use))
            a = trace.inline(jacobian_of(region, inner).program, [y, *args[n:]], [], [])[0]
            push, _ = engine.derived(region.program, "push forward", tuple(k + 1 for k, use in enumerate(given[n:]) if use))
            move = trace.inline(push, [y, *args[n:], *tangents], [], [])[1]
            return calls.finished(trace, [-system(self.what, a, move)], repr(self))

    def adjoint_program(self, specs: Sequence[Any], wanted: tuple[bool, ...], place: Any) -> Any:
        n = len(self.silent)
        region, inner = self.residual(tuple(specs))
        trace = calls.rule_trace()
        with trace:
            g, y, *args = calls.inputs(trace, (specs[0], *specs))
            a = trace.inline(jacobian_of(region, inner).program, [y, *args[n:]], [], [])[0]
            pull, _ = engine.derived(region.program, "pull back", tuple(k + 1 for k, use in enumerate(wanted[n:]) if use))
            _, *adjoints = trace.inline(pull, [y, *args[n:], -system(self.what, a, g, True)], [], [])
            return calls.finished(trace, adjoints, repr(self))


# -- recording a solve --------------------------------------------------------------------------


def depends(x: Any) -> bool:
    """Does a result depend on values of a recording? Arrays made inside it are traced too, and may be constant."""
    trace = traced.find_trace(x)
    if trace is None:
        return False
    return trace.guards is not None or any(traced.is_active(v) for v in (x if isinstance(x, (list, tuple)) else (x,)))


def concerns(functions: Sequence[Callable[..., Any]], unknown: Any, *values: Any) -> bool:
    """Does a solution depend on values of a recording, given directly or read by the functions?"""
    if traced.open_trace() is None:
        return False
    if traced.find_trace((unknown, *values)) is not None:
        return True
    return any(depends(f(np.array(unknown)[()])) for f in functions)


def values_only(what: str, f: Callable[..., Any], refused: list[Exception] | None = None) -> Callable[..., Any]:
    """f for a library that computes with plain numbers: a result that depends on a recording is refused."""

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def plain(*args: Any, **kwargs: Any) -> Any:
        result = f(*args, **kwargs)
        if traced.find_trace(result) is None:
            return result
        if any(depends(x) for x in (result if isinstance(result, (tuple, list)) else (result,))):
            error = refusal(what)
            if refused is not None:
                refused.append(error)
            raise error
        return trees.mapped(lambda x, path: traced.value_of(x), result)

    return plain


def refuse(what: str) -> None:
    raise refusal(what)


def refusal(what: str) -> errors.NotDifferentiable:
    return errors.NotDifferentiable(
        f"{traced.where_text()}{what} met a value that is being differentiated, and has no derivative through it. "
        f"{REMEDIES.get(what, '')}Give it plain values (adcore.stop_gradient if they should count as constants), or state the derivative "
        "of the result with adcore.custom_vjp"
    )


REMEDIES: dict[str, str] = {}


def guarded(plain: Callable[..., Any]) -> Callable[..., Any]:
    """A function of SciPy that takes functions, without derivatives: it refuses traced values instead of losing them."""
    what = f"{plain.__module__.split('._')[0]}.{plain.__name__}"

    @functools.wraps(plain, updated=())
    def of(*args: Any, **kwargs: Any) -> Any:
        if traced.open_trace() is None:
            return plain(*args, **kwargs)
        if traced.find_trace((*args, *kwargs.values())) is not None:
            refuse(what)

        refused: list[Exception] = []

        def shielded(x: Any) -> Any:
            return values_only(what, x, refused) if isinstance(x, (types.FunctionType, types.MethodType, functools.partial)) else x

        try:
            return plain(*map(shielded, args), **{k: shielded(x) for k, x in kwargs.items()})
        finally:
            if refused:  # whatever SciPy made of it
                raise refused[0]

    return of


def twins_of(module: types.ModuleType, own: dict[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """What stands for each function of a module of SciPy inside a recording: ours, or a refusal of traced values."""
    found = {name: guarded(f) for name in module.__all__ if isinstance(f := getattr(module, name), types.FunctionType)} | own
    for f in found.values():
        f.decides = True
    return found


def vector_of(y: Any) -> Any:
    """A function's result, a number, an array or a list of numbers, as a float vector."""
    y = np.stack([traced.as_traced(traced.open_trace(), v) for v in y]) if isinstance(y, (list, tuple)) else y
    y = traced.as_traced(traced.open_trace(), y)
    return np.reshape(y if y.dtype == np.float64 else y.astype(np.float64), (size(y.shape),))


def shape_of(y: Any) -> tuple[int, ...]:
    return (len(y),) if isinstance(y, (list, tuple)) else tuple(np.shape(y))


class Unknown:
    """What is solved for: its shape, and how a function takes it."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def of(self, vector: Any) -> Any:
        return np.reshape(vector, self.shape) if self.shape else vector[0]


def solution(solve: Solve, functions: Sequence[Callable[..., Any]], unknown: Any, start: Sequence[Any]) -> Any:
    """Record a solve.

    Parameters
    ----------
    solve : Solve
    functions : sequence of callable
        Functions of the unknown that the solver calls; the first is zero at the solution and gives as many numbers.
    unknown : float or float array, traced or not
        Of the shape of what is solved for.
    start : sequence of float and float array, traced or not
        What the solver starts from; the solution does not depend on it.

    Returns
    -------
    traced, of the shape of the unknown
    """
    trace = traced.open_trace()
    shapes: list[tuple[int, ...]] = []
    like = Unknown(tuple(np.shape(unknown)))

    def all_of_them(vector: Any) -> Any:
        z = like.of(vector)
        shapes.clear()
        found = []
        for f in functions:
            y = f(z)
            shapes.append(shape_of(y))
            found.append(vector_of(y))
        if found[0].shape != vector.shape:
            raise errors.ArgumentError(
                f"{traced.where_text()}{solve.name} solves for {vector.shape[0]} unknowns, its function gives {found[0].shape[0]} numbers"
            )
        return pack(traced.open_trace(), found, flat=True)

    def packed(z: Any, blind: str) -> Recorded:
        vector = np.reshape(
            traced.as_traced(trace, np.array(z, dtype=np.float64) if not traced.is_traced(z) else z), (max(size(like.shape), 0),)
        )
        recorded = Recorded(all_of_them, (vector,), {}, blind)
        recorded.nested.refuse_writes(f"the function of {solve.name}")
        return recorded

    place = traced.where_text()
    known = None
    try:
        recorded = packed(unknown, LOOKS)
    except errors.AdcoreError as error:
        if LOOKS not in str(error):
            raise
        if trace.surroundings is not None:
            trace.surroundings.changes(f"{LOOKS}: it is recorded at the solution, anew at each call")
        known = found_on_values(solve, functions, like, start)
        recorded = packed(np.reshape(known, like.shape), "")
    nested = recorded.nested
    bound = nested.trace.consts, nested.trace.scalars
    starts = [x if traced.is_traced(x) else traced.as_traced(trace, np.array(x, dtype=np.float64)) for x in start]
    parameters = nested.inputs[1:]
    specs = (*specs_of([*nested.inputs, *bound[0]]), *[((), "f64")] * len(bound[1]))
    rule = Root(solve, parts_of(recorded.program, specs, [size(s) for s in shapes]), tuple(shapes), len(start), place)
    if known is not None:
        values = [*[traced.known_value(x) for x in parameters], *bound[0], *[np.float64(x) for x in bound[1]]]
        parts = [Part(region, [np.array(x) for x in values], s) for region, s in zip(rule.parts, shapes, strict=True)]
        solved_for = rule.checked(known, parts)
        rule.known = [np.asarray(x).tobytes() for x in [*map(traced.known_value, starts), *values]], solved_for
    return like.of(trace.call_program(rule, [*starts, *parameters], *bound, (size(like.shape),), np.float64))


def found_on_values(solve: Solve, functions: Sequence[Callable[..., Any]], like: Unknown, start: Sequence[Any]) -> Any:
    """The solution by running the functions themselves, which look at what they are given."""

    class Plain(Part):
        def __init__(self, f: Callable[..., Any]) -> None:
            self.f = f

        def at(self, z: Any) -> Any:
            return np.array(traced.known_value(vector_of(self.f(like.of(np.array(z, dtype=np.float64).reshape(-1))))))

        def __call__(self, z: Any) -> Any:
            y = self.f(like.of(np.array(z, dtype=np.float64).reshape(-1)))
            return np.array(traced.known_value(vector_of(y))).reshape(shape_of(y))[()]

        def jacobian(self, z: Any) -> Any:
            found = jacobian(lambda z: vector_of(self.f(like.of(z))))(np.array(z, dtype=np.float64).reshape(-1))
            return np.array(traced.known_value(found) if traced.is_traced(found) else found)

        def times(self, z: Any, v: Any) -> Any:
            return self.jacobian(z) @ np.reshape(v, -1)

    plain = [np.array(traced.known_value(x))[()] if traced.is_traced(x) else x for x in start]
    return np.array(solve.run(plain, *map(Plain, functions)), dtype=np.float64)


def parts_of(program: Any, specs: calls.Specs, sizes: Sequence[int]) -> list[Region]:
    """The programs of the vectors that are packed in the result of this one."""
    found, at = [], 0
    for n in sizes:
        trace = calls.rule_trace()
        with trace:
            packed = trace.inline(program, calls.inputs(trace, specs), [], [])[0]
            found.append(region_of(engine.prepare(calls.finished(trace, [packed[at : at + n]], "a solver"))))
        at += n
    return found
