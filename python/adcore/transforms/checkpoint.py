"""Regions that are recomputed when they are differentiated, and long loops that keep few of their states.

A region is a program of its own, recorded once for each structure and run as one CALL with its own plan. Its adjoint
is a region again, which takes the arguments, not the intermediate values: so derivatives of every order recompute.
A loop is one CALL for all its steps; its adjoint runs a binomial schedule over the states that fit into a memory budget
(A. Griewank, A. Walther, ACM TOMS 26(1), 2000, Algorithm 799: revolve).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import config, errors, trees
from ..front import calls, rebind
from ..front.nested import Nested, Slot, pack, size, unpack
from ..passes.optimise import all_inputs
from ..sweep import engine
from ..tracer import array as traced
from .gradient import name_of


class Region:
    """A program run as one call: all that it binds are its inputs, its one output is an array."""

    def __init__(self, program: Any) -> None:
        self.program = program
        self.plans: dict[bool | str, Any] = {}

    def __repr__(self) -> str:
        return f"region of {len(self.program)}"

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Region) and type(self) is type(other) and engine.same(self.program, other.program))

    def __hash__(self) -> int:
        return hash(len(self.program))

    def evaluate(self, *arrays: Any) -> Any:
        plan = self.plans.get(config.optimise())
        if plan is None:
            plan = self.plans[config.optimise()] = engine.plan_of(engine.prepare(self.program))
        return engine.run(plan, list(arrays), [], [])[0]

    def reads(self, k: int) -> bool:
        """Does the value depend on an argument?"""
        return calls.reads(self.program, [k])

    def adjoint_program(self, specs: Sequence[Any], wanted: tuple[bool, ...], place: Any) -> Any:
        return adjoint_call(pulled(self, tuple(specs), wanted), tuple(specs), wanted)

    def tangent_program(self, specs: Sequence[Any], given: tuple[bool, ...], place: Any) -> Any:
        region = pushed(self, tuple(specs), given)
        trace = calls.rule_trace()
        with trace:
            y, *args = calls.inputs(trace, tuple(specs))
            tangents = calls.inputs(trace, chosen(specs[1:], given))
            return calls.finished(trace, [trace.call_program(region, [*args, *tangents], [], [], y.shape, y.dtype)], repr(self))


def region_of(program: Any) -> Region:
    """The region of a program; equal programs share one, with its plans and derivatives."""
    return engine.find_plan(program, "region", lambda: Region(program))  # type: ignore[no-any-return]


def chosen(specs: Sequence[Any], use: Sequence[bool]) -> calls.Specs:
    return tuple(s for s, wanted in zip(specs, use, strict=True) if wanted)


def adjoint_call(region: Any, specs: calls.Specs, wanted: tuple[bool, ...], *more: Any) -> Any:
    """The program (g, y, args) -> adjoints that calls a region for all of them at once."""
    trace = calls.rule_trace()
    with trace:
        g, _, *args = calls.inputs(trace, (specs[0], *specs))
        like = [x for x, use in zip(args, wanted, strict=True) if use]
        shape, dtype = packed_spec(like)
        packed = trace.call_program(region, [g, *args], [], [], shape, dtype)
        return calls.finished(trace, unpack(packed, like), repr(region))


def packed_spec(like: Sequence[Any]) -> tuple[tuple[int, ...], Any]:
    """Shape and dtype of what `pack` makes of arrays like these."""
    if len(like) == 1 and like[0].shape:
        return like[0].shape, like[0].dtype
    dtype = np.float32 if like and all(x.dtype == np.float32 for x in like) else np.float64
    return (sum(size(x.shape) for x in like),), dtype


@functools.lru_cache(maxsize=512)
def pulled(region: Region, specs: calls.Specs, wanted: tuple[bool, ...]) -> Region:
    """The region (g, args) -> packed adjoints of what is wanted."""
    program, _ = engine.derived(region.program, "pull back", tuple(k for k, use in enumerate(wanted) if use))
    trace = calls.rule_trace()
    with trace:
        g, *args = calls.inputs(trace, specs)
        _, *adjoints = trace.inline(program, [*args, g], [], [])
        return region_of(calls.finished(trace, [pack(trace, adjoints)], repr(region)))


@functools.lru_cache(maxsize=512)
def pushed(region: Region, specs: calls.Specs, given: tuple[bool, ...]) -> Region:
    """The region (args, tangents given) -> tangent."""
    program, _ = engine.derived(region.program, "push forward", tuple(k for k, use in enumerate(given) if use))
    trace = calls.rule_trace()
    with trace:
        args = calls.inputs(trace, (*specs[1:], *chosen(specs[1:], given)))
        return region_of(calls.finished(trace, trace.inline(program, args, [], [])[1:], repr(region)))


class Recorded:
    """A function as a region inside the recording that calls it: what to bind, and how its result unpacks."""

    def __init__(self, f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], blind: str = "") -> None:
        self.nested = nested = Nested(f, args, kwargs, blind)
        try:
            self.slots = [Slot(k, x) for k, x in enumerate(nested.outputs)]
            with nested.trace:
                self.packed = pack(nested.trace, nested.outputs)
            self.spec = self.packed.shape, self.packed.dtype
            self.program = all_inputs(nested.finish([self.packed]))
        finally:
            nested.close()

    def call(self, rule: Any) -> Any:
        trace = self.nested.trace
        return self.nested.outer.call_program(rule, self.nested.inputs, trace.consts, trace.scalars, *self.spec)


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """f, whose intermediate values are not kept for the reverse sweep but computed again.

    Parameters
    ----------
    f : callable
        A NumPy function of arrays, numbers and trees of them. What it reads from its closure may be differentiated too.

    Returns
    -------
    callable
        Takes f's arguments.

    Notes
    -----
    A gradient keeps the arguments and results of f instead of all its intermediate values, and runs f once more. Regions
    nest: in a loop of n steps, checkpoint each step and each run of sqrt(n) steps to keep 2 sqrt(n) states, or use
    `loop`, which chooses the states itself. Equal regions share one program, so a step in a Python loop is planned once.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> step = adcore.checkpoint(lambda x: np.sin(np.exp(x)))
    >>> adcore.gradient(lambda x: np.sum(step(step(x))), np.zeros(2))
    array([0.86603317, 0.86603317])
    """

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def region_of_f(*args: Any, **kwargs: Any) -> Any:
        if traced.open_trace() is None:
            return f(*args, **kwargs)
        recorded = Recorded(f, args, kwargs)
        nested = recorded.nested
        if not nested.outputs:
            return nested.template
        outputs = unpack(recorded.call(region_of(recorded.program)), recorded.slots)
        nested.write_back(outputs)
        return nested.result(outputs)

    return region_of_f


# -- loops ---------------------------------------------------------------------------------


def reach(slots: int, repeats: int) -> int:
    """How many steps can be reversed with so many stored states when no step runs forward more often than this."""
    return math.comb(slots + repeats, repeats)


def split(n: int, slots: int) -> int:
    """Where to store the next state on the way through n steps, with so many free slots."""
    repeats: int = 1
    while reach(slots, repeats) < n:
        repeats += 1
    return max(1, min(reach(slots, repeats - 1), n - reach(slots - 1, repeats - 1)))


def positions(n: int, slots: int) -> list[int]:
    """The steps whose states are stored while the loop first runs; the first of all is not counted as a slot."""
    found: list[int] = []
    at = 0
    while n - at > 1 and len(found) < slots:
        at += split(n - at, slots - len(found))
        found.append(at)
    return found


def schedule(n: int, slots: int) -> Iterator[tuple[str, int, int]]:
    """What to do to reverse n steps: ("advance", from, to), ("store", step, -) what was advanced to, ("back", step, -).

    It starts with the states of `positions` stored. A state is free once its own step was reversed.
    """
    stored = [0, *positions(n, slots)]
    for end in range(n, 0, -1):
        while stored[-1] >= end:
            stored.pop()
        at = stored[-1]
        while end - at > 1 and len(stored) <= slots:
            to = at + split(end - at, slots + 1 - len(stored))
            yield "advance", at, to
            yield "store", to, 0
            stored.append(to)
            at = to
        if end - at > 1:
            yield "advance", at, end - 1
        yield "back", end - 1, 0


def recomputed(n: int, slots: int) -> int:
    """How many steps of a loop run once more because their states were not kept."""
    return sum(to - at for what, at, to in schedule(n, slots) if what == "advance")


class Loop:
    """``n`` steps of a region, (state, args) -> state, as one call: the last state, or with it the stored ones."""

    silent = range(2**31)  # what is differentiated is the rule that goes with it

    def __init__(self, step: Region, n: int, slots: int) -> None:
        self.step, self.n, self.slots = step, n, slots

    def __repr__(self) -> str:
        return f"loop of {self.n}"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Loop) and (self.key == other.key)

    def __hash__(self) -> int:
        return hash((self.n, self.slots))

    @property
    def key(self) -> tuple[Any, ...]:
        return self.step, self.n, self.slots

    def into(self, y: Any, state: Any, *args: Any) -> None:
        """The last state, and the stored ones after it, into the rows of y."""
        rows = iter(range(1, len(y)))
        store = set(positions(self.n, self.slots))
        for k in range(self.n):
            if k in store:
                y[next(rows)] = state
            state = self.step.evaluate(state, *args)
        y[0] = state


class LoopRule:
    """The last state as it is, with the derivative rules of the loop: (value, stored states, state, args)."""

    silent = frozenset((0, 1))
    transparent = True

    def __init__(self, step: Region, n: int, budget: int) -> None:
        self.step, self.n, self.budget = step, n, budget

    def __repr__(self) -> str:
        return f"loop of {self.n}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LoopRule) and (self.step, self.n, self.budget) == (other.step, other.n, other.budget)

    def __hash__(self) -> int:
        return hash((self.n, self.budget))

    @staticmethod
    def evaluate(value: Any, *args: Any) -> Any:
        return value

    def adjoint_program(self, specs: Sequence[Any], wanted: tuple[bool, ...], place: Any) -> Any:
        back = LoopBack(self.step, self.n, self.budget, tuple(specs[3:]), wanted[2:])
        trace = calls.rule_trace()
        with trace:
            g, _, _, stored, *args = calls.inputs(trace, (specs[0], *specs))
            return calls.finished(trace, back.record(trace, g, stored, args), repr(self))

    def tangent_program(self, specs: Sequence[Any], given: tuple[bool, ...], place: Any) -> Any:
        """The loop of the step and its tangent."""
        trace = calls.rule_trace()
        with trace:
            _, _, _, state, *args = calls.inputs(trace, tuple(specs))
            moves = iter(calls.inputs(trace, chosen(specs[1:], given)))
            tangents = [next(moves) if use else None for use in given[2:]]
            found = tangent_loop(trace, self.step, self.n, self.budget, state, args, tangents)
            return calls.finished(trace, [found[1]], repr(self))


def tangent_loop(trace: Any, step: Region, n: int, budget: int, state: Any, args: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Last state and its tangent, by one loop over both; ``tangents`` of the state and the arguments may be None."""
    double, pair, more = with_tangents(trace, step, state, args, tangents)
    return halves(record_loop(trace, double, n, budget, pair, more), state.shape)


def with_tangents(trace: Any, step: Region, state: Any, args: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The step of state and tangent, its first state, and its arguments."""
    given = (True, *[t is not None for t in tangents[1:]])
    double = doubled(step, tuple((x.shape, dtype_name(x)) for x in (state, *args)), given)
    return double, joined(trace, state, tangents[0], state), [*args, *[t for t in tangents[1:] if t is not None]]


def joined(trace: Any, a: Any, b: Any, like: Any) -> Any:
    """Two arrays of one shape side by side; None stands for zeros."""
    out = traced.new_array(trace, (2 * size(like.shape),), like.dtype, 0.0)
    for k, x in enumerate((a, b)):
        if x is not None:
            out[k * size(like.shape) : (k + 1) * size(like.shape)] = np.reshape(x, (size(like.shape),))
    return out


def halves(pair: Any, shape: tuple[int, ...]) -> list[Any]:
    return [np.reshape(pair[k : k + size(shape)], shape) for k in (0, size(shape))]


DTYPES = {"f64": "float64", "f32": "float32", "bool": "bool", "i64": "int64"}
CODES = {np.dtype(name): code for code, name in DTYPES.items()}


def dtype_name(x: Any) -> str:
    return CODES[x.dtype]


@functools.lru_cache(maxsize=256)
def doubled(step: Region, specs: calls.Specs, given: tuple[bool, ...]) -> Region:
    """The step of (state, tangent), packed; its arguments are the step's, then their tangents that are given."""
    program, _ = engine.derived(step.program, "push forward", tuple(k for k, use in enumerate(given) if use))
    state = specs[0]
    trace = calls.rule_trace()
    with trace:
        pair, *rest = calls.inputs(trace, (((2 * size(state[0]),), state[1]), *specs[1:], *chosen(specs[1:], given[1:])))
        x, tx = halves(pair, state[0])
        n = len(specs) - 1
        outputs = trace.inline(program, [x, *rest[:n], tx, *rest[n:]], [], [])
        return region_of(calls.finished(trace, [joined(trace, outputs[0], outputs[1], x)], repr(step)))


@functools.lru_cache(maxsize=256)
def backward(step: Region, specs: calls.Specs, wanted: tuple[bool, ...]) -> Region:
    """One step back: (packed adjoints, state, args) -> packed adjoints, of the state and of what is wanted of args."""
    program, _ = engine.derived(step.program, "pull back", (0, *[k + 1 for k, use in enumerate(wanted) if use]))
    like = [Slot(0, np.broadcast_to(np.zeros((), np.dtype(DTYPES[d])), s)) for s, d in (specs[0], *chosen(specs[1:], wanted))]
    trace = calls.rule_trace()
    with trace:
        packed, *args = calls.inputs(trace, (((sum(size(x.shape) for x in like),), "f64"), *specs))
        g, *sums = unpack(packed, like)
        _, g, *parts = trace.inline(program, [*args, g], [], [])
        total = pack(trace, [g, *[a + b for a, b in zip(sums, parts, strict=True)]], flat=True)
        return region_of(calls.finished(trace, [total], repr(step)))


def record_loop(
    trace: Any,
    step: Region,
    n: int,
    budget: int,
    state: Any,
    args: Sequence[Any],
    consts: Sequence[Any] = (),
    scalars: Sequence[float] = (),
) -> Any:
    """The last state of a loop, as a value of this recording."""
    stored = record_states(trace, step, n, slots_for(budget, state, n), state, args, consts, scalars)
    return trace.call_program(
        LoopRule(step, n, budget), [stored[0], stored, state, *args], list(consts), list(scalars), state.shape, state.dtype
    )


def record_states(
    trace: Any, step: Region, n: int, slots: int, state: Any, args: Sequence[Any], consts: Sequence[Any] = (), scalars: Sequence[float] = ()
) -> Any:
    """The last state, then the stored ones."""
    shape = (1 + len(positions(n, slots)), *state.shape)
    return trace.call_program(Loop(step, n, slots), [state, *args], list(consts), list(scalars), shape, state.dtype)


def slots_for(budget: int, state: Any, n: int) -> int:
    """How many states are stored: all that fit; else an eighth of the budget is left to the steps themselves, and the reverse sweep
    stores further states in half of the rest."""
    one = max(size(state.shape) * int(state.dtype.itemsize), 1)
    return max(1, n - 1 if budget // one >= n - 1 else (budget - budget // 8) // one // 2)


class LoopBack:
    """The reverse sweep of a loop: (g, stored states, state, args) -> packed adjoints of what is wanted."""

    silent = frozenset((1,))

    def __init__(self, step: Region, n: int, budget: int, specs: calls.Specs, wanted: tuple[bool, ...]) -> None:
        self.step, self.n, self.budget, self.specs, self.wanted = step, n, budget, specs, wanted

    def __repr__(self) -> str:
        return f"reverse loop of {self.n}"

    @property
    def key(self) -> tuple[Any, ...]:
        return self.step, self.n, self.budget, self.specs, self.wanted

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LoopBack) and self.key == other.key

    def __hash__(self) -> int:
        return hash((self.n, self.budget, self.wanted))

    @property
    def back(self) -> Region:
        return backward(self.step, self.specs, self.wanted[1:])

    def record(self, trace: Any, g: Any, stored: Any, args: Sequence[Any]) -> list[Any]:
        """The adjoints, as values of this recording."""
        like = [args[0], *[x for x, use in zip(args[1:], self.wanted[1:], strict=True) if use]]
        packed = trace.call_program(self, [g, stored, *args], [], [], (sum(size(x.shape) for x in like),), np.float64)
        return unpack(packed, like)[0 if self.wanted[0] else 1 :]

    def evaluate(self, g: Any, stored: Any, state: Any, *args: Any) -> Any:
        slots = len(stored) - 1
        kept = dict(zip(positions(self.n, slots), stored[1:], strict=True))
        kept[0] = state
        # one array for what is stored again: arrays of a megabyte or more on their own would take up whole pages of 2 MB
        free = list(np.empty((slots if slots < self.n - 1 else 0, *state.shape), state.dtype))
        again: dict[int, Any] = {}
        total = np.zeros(sum(size(s) for (s, _), use in zip(self.specs, (True, *self.wanted[1:]), strict=True) if use))
        total[: g.size] = g.reshape(-1)
        back, now = self.back, state
        for what, at, to in schedule(self.n, slots):
            if what == "advance":
                now = kept[at]
                for _ in range(at, to):
                    now = self.step.evaluate(now, *args)
            elif what == "store":
                kept[at] = again[at] = free.pop()
                kept[at][...] = now
            else:
                total = back.evaluate(total, kept.pop(at, now), *args)
                if at in again:
                    free.append(again.pop(at))
        return total

    # Let L be the loop and T its loop of tangents. The adjoint a(g, x) = L'(x)^T g has
    # a' (dg, dx) = the x-part of T'(x, dx)^T (dg, g), and the adjoint of a, for a weight w of a, is
    # T(x, w) for g, and the x-part of T'(x, w)^T (0, g) for x. So every order is a loop like these.

    def tangent_program(self, specs: Sequence[Any], given: tuple[bool, ...], place: Any) -> Any:
        trace = calls.rule_trace()
        with trace:
            _, g, _, *args = calls.inputs(trace, tuple(specs))
            moves = iter(calls.inputs(trace, chosen(specs[1:], given)))
            tangents = [next(moves) if use else None for use in given]
            found = self.second(trace, tangents[0], g, args, tangents[2:], (True, *self.wanted[1:]))
            return calls.finished(trace, [pack(trace, found, flat=True)], repr(self))

    def adjoint_program(self, specs: Sequence[Any], wanted: tuple[bool, ...], place: Any) -> Any:
        trace = calls.rule_trace()
        with trace:
            w, _, g, _, *args = calls.inputs(trace, (specs[0], *specs))
            like = [args[0], *[x for x, use in zip(args[1:], self.wanted[1:], strict=True) if use]]
            weights = iter(unpack(w, like))
            parts: list[Any] = [next(weights) if use else None for use in (True, *self.wanted[1:])]
            found: list[Any] = []
            if wanted[0]:
                found.append(tangent_loop(trace, self.step, self.n, self.budget, args[0], args[1:], parts)[1])
            if any(wanted[2:]):
                found += self.second(trace, None, g, args, parts, wanted[2:])
            return calls.finished(trace, found, repr(self))

    def second(self, trace: Any, dg: Any, g: Any, args: Sequence[Any], moves: Sequence[Any], wanted: Sequence[bool]) -> list[Any]:
        """What is wanted of the x-part of T'(x, moves)^T (dg, g)."""
        state = args[0]
        double, pair, more = with_tangents(trace, self.step, state, args[1:], moves)
        stored = record_states(trace, double, self.n, slots_for(self.budget, pair, self.n), pair, more)
        use = (wanted[0], *wanted[1:], *[False] * (len(more) - len(args) + 1))
        back = LoopBack(double, self.n, self.budget, tuple((x.shape, dtype_name(x)) for x in (pair, *more)), use)
        found = back.record(trace, joined(trace, dg, g, state), stored, [pair, *more])
        return [halves(found[0], state.shape)[0], *found[1:]] if wanted[0] else found


def loop(step: Callable[..., Any], state: Any, n: int, *args: Any, memory: int | str | None = None) -> Any:
    """The state after ``n`` steps ``state = step(state, *args)``; its derivatives keep few of the states.

    Parameters
    ----------
    step : callable
        A NumPy function that returns a state like the one it takes. It is recorded once, so it must not branch on values
        of the state: use np.where, and carry a time or a counter in the state. What it reads from its closure may be
        differentiated too.
    state : float array, float, or tree of them
    n : int
        Number of steps.
    *args
        Further arguments, the same at every step.
    memory : int or str, optional
        Bytes for stored states, such as ``"2GB"``; the setting ``memory`` of `adcore.config` otherwise.

    Returns
    -------
    like state

    Raises
    ------
    ArgumentError
        step changes the structure, a shape or a dtype of the state, or writes into an argument.

    Notes
    -----
    With room for s states a reverse sweep of n steps recomputes few of them: none for n <= s + 1, less than n up to
    (s + 1)(s + 2) / 2, less than r n up to binomial(s + r + 1, s). Each step back also runs its step once, to differentiate it. Where
    the memory does not hold all states, an eighth of it is left to what a step works with; half of the rest holds the states
    stored at first, the other half those that recomputation stores.

    References
    ----------
    A. Griewank, A. Walther, Algorithm 799: revolve, *ACM Trans. Math. Software* 26(1), 2000.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> f = lambda x: np.sum(adcore.loop(lambda s: s + 0.01 * np.sin(s), x, 100))
    >>> adcore.gradient(f, np.array([1.0, 2.0]))
    array([1.00986577, 0.53170474])
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
        raise errors.ArgumentError(f"loop takes a number of steps, not {n!r}")
    budget = config.bytes_of(config.current()["memory"] if memory is None else memory)
    trace = traced.open_trace()
    if trace is None:
        state = trees.mapped(lambda x, path: np.array(x)[()] if isinstance(x, np.ndarray) else x, state)
        for _ in range(n):
            state = step(state, *args)
        return state
    if n == 0:
        return state
    slots: list[Slot] = []

    def leaf(x: Any, path: str) -> Any:
        array = x if traced.is_traced(x) else np.asarray(x)
        if array.dtype.kind != "f" or isinstance(x, str):
            raise errors.ArgumentError(
                f"{traced.where_text()}the state{path} is {type(x).__name__}; a loop carries floats and float arrays"
            )
        if not traced.is_traced(x):
            array = traced.as_traced(trace, array)
        slots.append(Slot(len(slots), x if traced.is_traced(x) else array))
        slots[-1].scalar = array.shape == ()
        values.append(array)
        return slots[-1]

    values: list[Any] = []
    template = trees.mapped(leaf, state)

    def body(packed: Any, *more: Any) -> Any:
        here = traced.open_trace()
        leaves = unpack(traced.elementwise("identity", packed), slots)
        result = rebind.rebound(step, here)(trees.mapped(lambda x, path: leaves[x.position], template), *more)
        new = [traced.as_traced(here, x) if not traced.is_traced(x) else x for _, x in trees.leaves(result)]
        if [(x.shape, x.dtype) for x in new] != [(x.shape, x.dtype) for x in slots] or not alike(result, template):
            raise errors.ArgumentError(
                f"{traced.where_text()}{name_of(step)} must return a state like the one it takes: "
                f"{[f'{x.dtype}{list(x.shape)}' for x in slots]}, not {[f'{x.dtype}{list(x.shape)}' for x in new]}"
            )
        return pack(here, new)

    packed = pack(trace, values)
    nested = Nested(
        body, (packed, *args), {}, "the step of a loop looks at a value: it is recorded once for all steps. Use np.where instead of if."
    )
    try:
        nested.refuse_writes(name_of(step))
        region = region_of(all_inputs(nested.finish(nested.outputs)))
    finally:
        nested.close()
    first, *rest = nested.inputs
    bound = nested.trace.consts, nested.trace.scalars
    if any(traced.is_active(x) for x in nested.inputs):
        last = record_loop(trace, region, int(n), budget, first, rest, *bound)
    else:
        last = record_states(trace, region, int(n), 0, first, rest, *bound)[0]
    leaves = unpack(last, slots)
    return trees.mapped(lambda x, path: leaves[x.position], template)


def alike(a: Any, b: Any) -> bool:
    """Have two trees one structure?"""
    if not trees.is_branch(a) or not trees.is_branch(b):
        return not trees.is_branch(a) and not trees.is_branch(b)
    ours, theirs = trees.parts(a), trees.parts(b)
    return (
        type(a) is type(b)
        and [w for w, _ in ours] == [w for w, _ in theirs]
        and all(alike(x, y) for (_, x), (_, y) in zip(ours, theirs, strict=True))
    )
