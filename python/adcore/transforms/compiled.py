"""compile(f): record once, replay without Python."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import config, errors, trees
from ..front import complex, rebind
from ..front.surroundings import CHANGES, Surroundings
from ..locks import Lock
from ..sweep import engine
from ..sweep.replay import Branch, Caller, Leaf, Node, Replay, Slot, is_static
from ..tracer import array as traced
from . import leaves as leaves_of
from .recording import refuse_subclass

REPLAYS_MAX = 16  # recordings kept for one structure of the arguments


class Compiled(Caller):
    """A function that is recorded once for each way through it. See `compile`."""

    def __init__(self, f: Callable[..., Any]) -> None:
        functools.update_wrapper(self, f, assigned=("__name__", "__doc__"), updated=())
        self._f = f
        self._lock = Lock()
        self._given_up: dict[Any, str] = {}
        self._doubted: set[Any] = set()  # structures of arguments with which f changed what it reads; once: it may have kept a value
        self.recordings = 0

    def _anew(self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call that no recording stands for."""
        if config.debug_nans() or traced.find_trace((args, kwargs)) is not None:
            return self._f(*args, **kwargs)
        structure = structure_of((args, kwargs))
        if structure in self._given_up:
            return self._f(*args, **kwargs)
        return self._record(key, structure, args, kwargs)

    def replayed(self, leaves: list[Any]) -> Any:
        """A call with these arguments."""
        return self(*leaves)

    def __repr__(self) -> str:
        return f"<compiled {getattr(self._f, '__name__', self._f)!s}: {self.recordings} recordings>"

    @property
    def why_not(self) -> str:
        """Why calls are not replayed; empty when they are."""
        return "; ".join(dict.fromkeys(self._given_up.values()))

    def clear(self) -> None:
        """Forget all recordings."""
        with self._lock:
            self._replays.clear()
            self._given_up = {}
            self._doubted = set()

    def _first(self, key: Any, replay: Replay) -> None:
        """The recording used last is tried first."""
        with self._lock:
            found = self._replays.get(key, [])
            if replay in found:
                self._replays[key] = [replay, *[r for r in found if r is not replay]]

    def _record(self, key: Any, structure: Any, args: Any, kwargs: Any) -> Any:
        """Run f, keep the recording if replays of it can be right, and give f's result."""
        trace = traced.Trace()
        surroundings = Surroundings(trace)
        trace.watch(surroundings)
        nodes: list[Leaf] = []
        leaves: list[tuple[Any, Any, int]] = []  # where an array stands for an argument: it, its traced value, the value's number

        def taken(x: Any) -> tuple[Node, Any]:
            """What a part of the arguments must be, and what f gets in its place."""
            if is_static(x):
                return Leaf(x, -1, -1, surroundings.reach), x
            if trees.is_branch(x):
                pairs = [taken(part) for _, part in trees.parts(x)]
                surroundings.reach(type(x))
                return Branch(x, [node for node, _ in pairs], surroundings.reach), trees.rebuilt(x, [value for _, value in pairs])
            refuse_subclass(x, "an argument")
            node = Leaf(x, len(trace.inputs), len(leaves))
            plain = np.array(x, dtype=x.dtype.newbyteorder("=") if isinstance(x, np.ndarray) else None, order="C")
            in_pairs = leaves_of.is_complex(x)
            given = leaves_of.pairs(plain) if in_pairs else plain
            value = trace.input_array(given, False, not in_pairs and not isinstance(x, np.ndarray), x)
            leaves.append((x, value, traced.value_number(value) if isinstance(x, np.ndarray) else -1))
            nodes.append(node)
            return node, complex.entered(value) if in_pairs else value

        surroundings.reach(self._f)
        arguments, (new_args, new_kwargs) = taken((tuple(args), kwargs))
        try:
            with trace:
                result = rebind.rebound(self._f, trace)(*new_args, **new_kwargs)
            numbers: list[int] = []

            def slot(x: Any, path: str) -> Any:
                if isinstance(x, np.ndarray) and x.dtype == object and traced.find_trace(x) is not None:
                    x = traced.as_traced(trace, x)
                if isinstance(x, traced.TracedComplex):
                    numbers.append(traced.value_number(leaves_of.pairs(x)))
                    return Slot(len(numbers) - 1, leaves_of.is_complex_scalar(x), True)
                if not traced.is_traced(x):
                    return x
                numbers.append(traced.value_number(x))
                return Slot(len(numbers) - 1, isinstance(x, traced.TracedScalar))

            template = trees.mapped(slot, result)
            written = []
            watched = [(k, value, before) for k, (_, value, before) in enumerate(leaves) if before >= 0]
            watched += [(-1 - k, value, before) for k, (value, before) in enumerate(surroundings.arrays)]
            for target, value, before in watched:
                if traced.value_number(value) != before:
                    numbers.append(traced.value_number(value))
                    written.append((target, len(numbers) - 1))
            guards: list[tuple[int, Any]] = []
            for value, expected in dict(trace.guards or ()).items():
                numbers.append(value)
                guards.append((len(numbers) - 1, np.asarray(expected)))
            trace.tape.set_results(numbers)
        finally:
            trace.close()
        surroundings.finish()
        if not trace.layout_asked:
            for node in nodes:
                node.in_any_order()
        plan = engine.plan_of(engine.prepare(trace.tape))
        replay = Replay(plan, trace.consts, trace.scalars, arguments, len(leaves), structure, guards, surroundings, template, written)
        self.recordings += 1
        answer = replay.answer(tuple(args), kwargs, True)
        if answer is NotImplemented:
            raise errors.AdcoreError("a recording does not reproduce itself: this is a bug of adcore")
        with self._lock:
            known = self._replays.setdefault(key, [])
            same = [r for r in known if r.structure == structure]
            if not surroundings.why and len(same) < REPLAYS_MAX:
                self._replays[key] = [replay, *known]
            elif surroundings.why == CHANGES and structure not in self._doubted:
                self._doubted.add(structure)
            else:
                self._given_up[structure] = surroundings.why or (
                    f"{REPLAYS_MAX} recordings were not enough: what f learns of its arguments differs each time"
                )
                self._replays[key] = [r for r in known if r.structure != structure]
        return answer


def kinds(tree: Any) -> tuple[Any, ...]:
    """The types of all branches of a tree, outermost first."""
    if not trees.is_branch(tree):
        return ()
    return (type(tree), *[k for _, part in trees.parts(tree) for k in kinds(part)])


def structure_of(tree: Any) -> Any:
    """The types of all branches of a tree that hold something to bind."""
    if not trees.is_branch(tree) or is_static(tree):
        return None
    return (type(tree), *[(where, structure_of(part)) for where, part in trees.parts(tree)])


def compile(f: Callable[..., Any]) -> Compiled:
    """f recorded once for each way through it, and replayed without Python after that.

    Parameters
    ----------
    f : callable
        A NumPy function, or a transform of one: ``compile(value_and_grad(f))``. Its arguments are arrays, numbers
        and trees of them, and anything else that compares with ``==``.

    Returns
    -------
    Compiled
        Takes f's arguments. ``recordings`` counts how often f itself has run, ``why_not`` says why calls are
        not replayed, ``clear()`` forgets the recordings.

    Raises
    ------
    NotDifferentiable
        As f does.

    Notes
    -----
    Float and complex arrays and numbers among the arguments are bound by each call; so are float arrays that f reads
    from its closure or its module. A recording is used again only when all else is as it was: shapes and dtypes,
    the other arguments, every value that f has learned of its arguments (the truth of a comparison, an index, a float it turned
    into a Python number), and what f and all code that it leads to read by the names in it: closure cells, globals, defaults,
    attributes of modules, classes and objects, methods and properties, lists, dicts and arrays in them. Otherwise f runs again
    and is recorded anew; after 16 recordings for one structure of arguments f just runs at each call. Arrays that f
    writes into are written. To ask whether all is as it was costs a few nanoseconds for each object; only arrays are compared as a whole.

    Functions that draw random numbers, ask for the time, advance an iterator or change what they read are found out and run each time;
    so do those that read objects of a C extension which hide their state (``why_not`` says so).

    What a replay does not do: print, log, or see a change in a file, in data inside an installed library, or in the
    code of a library (``clear()`` then). The code of the package that f itself belongs to is looked into, wherever it is installed.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> g = adcore.compile(adcore.grad(lambda x: np.sum(x**2) if x[0] > 0 else -np.sum(x)))
    >>> g(np.array([1.0, 2.0])), g(np.array([3.0, 5.0])), g.recordings
    (array([2., 4.]), array([ 6., 10.]), 1)
    >>> g(np.array([-1.0, 2.0])), g.recordings
    (array([-1., -1.]), 2)
    """
    if not callable(f):
        raise errors.ArgumentError(f"compile takes a function, not {type(f).__name__}")
    return Compiled(f)
