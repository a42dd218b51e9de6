"""Derivative rules of your own: `custom_vjp`, `custom_jvp`, and `primitive` for functions that adcore cannot look into."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from . import errors, trees
from .front import calls, modules, rebind
from .front.nested import Nested, Slot, pack, size, unpack
from .front.surroundings import RANDOM, SHARED_GENERATORS, Surroundings
from .sweep.guards import Token
from .tracer import array as traced


def name_of(f: Any) -> str:
    return getattr(f, "__name__", None) or type(f).__name__


class Reads(Surroundings):
    """What a rule reads from its surroundings; arrays among it are constants of the rule."""

    def __init__(self, around: Surroundings | None) -> None:
        super().__init__(None)
        self.around = around  # of a recording that is replayed under guards

    def read(self, value: Any, container: Any, key: Any) -> Any:
        return value

    def reach(self, value: Any) -> None:
        super().reach(value)
        if self.around is not None:
            self.around.reach(value)

    def settle(self) -> None:
        super().settle()
        if self.around is not None:
            self.around.settle()

    def draws(self, generator: Any) -> None:
        """A rule with random numbers in it is recorded anew for each call; those of libraries are not noticed."""
        if generator not in SHARED_GENERATORS.values():
            self.changes(RANDOM)

    def changes(self, why: str) -> None:
        super().changes(why)
        if self.around is not None:
            self.around.changes(why)


class Rule:
    """A CALL whose derivative is a function of the user's.

    Two of them are the same when they come from one function with the same static arguments, and what the rules that
    were recorded read from their surroundings is unchanged: then a finished plan serves both.
    """

    silent: frozenset[int] = frozenset()  # positions of arguments that take no part in the rule
    reverse: Callable[..., Any] | None = None  # ``reverse(wanted, g, y, *args)`` gives the adjoints, in NumPy
    forward: Callable[..., Any] | None = None  # ``forward(tangents, y, *args)`` gives the tangent of y

    def __init__(self, owner: Any, static: tuple[Any, ...]) -> None:
        self.owner = owner
        self.static = static
        self.programs: dict[Any, tuple[Any, Reads]] = {}

    def __repr__(self) -> str:
        return f"{type(self.owner).__name__.lower()} {name_of(self.owner.f)}"

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Rule)
            and type(self) is type(other)
            and self.owner is other.owner
            and same(self.static, other.static)
            and all(reads.holds() for rule in (self, other) for _, reads in rule.programs.values())
        )

    def __hash__(self) -> int:
        return hash(id(self.owner))

    def adjoint_program(self, specs: Sequence[Any], wanted: tuple[bool, ...], place: Any) -> Any:
        return self.program("vjp", tuple(specs), wanted, place)

    def tangent_program(self, specs: Sequence[Any], given: tuple[bool, ...], place: Any) -> Any:
        return self.program("jvp", tuple(specs), given, place)

    def program(self, mode: str, specs: calls.Specs, chosen: tuple[bool, ...], place: Any) -> Any:
        """The program of the rule; where only the other mode has one, its transpose."""
        found = self.programs.get((mode, specs, chosen))
        if found is not None:
            return found[0]
        rule = self.reverse if mode == "vjp" else self.forward
        if rule is not None:
            around = traced.open_trace()
            reads = Reads(around.surroundings if around is not None and around.guards is not None else None)
            record = calls.record_adjoint if mode == "vjp" else calls.record_tangent
            program = record(rule, specs, chosen, repr(self), reads)
        elif self.reverse is None and self.forward is None:
            why = next(iter(self.owner.fixed.values()), "no rule was given; give vjp=, jvp=, or numerical=True for differences")
            raise errors.MissingDerivative(place, repr(self), chosen.index(True), why)
        else:
            reads = Reads(None)
            program = calls.transposed(
                self.program("jvp" if mode == "vjp" else "vjp", specs, chosen, place), mode, specs, chosen, repr(self)
            )
        self.programs[mode, specs, chosen] = program, reads
        return program


def same(a: Any, b: Any) -> bool:
    """Are two static arguments equal, arrays and containers looked into?"""
    return Token(a).holds(b)


class Attached(Rule):
    """``value`` as it is, with a derivative rule in the arguments that follow it.

    The call costs nothing: it is dropped when the program is lowered, after it was differentiated.
    """

    transparent = True

    @staticmethod
    def evaluate(value: Any, *args: Any) -> Any:
        return value

    def attach(self, trace: Any, value: Any, args: Sequence[Any]) -> Any:
        """Record it."""
        array = traced.as_traced(trace, value)
        given = array if array.shape else np.reshape(array, (1,))
        y = trace.call_program(self, [given, *args], [], [], given.shape, given.dtype)
        return y if array.shape else y[0]


def filled(template: Any, leaves: Sequence[Any]) -> Any:
    """A tree with these for its slots."""
    return trees.mapped(lambda x, path: leaves[x.position] if isinstance(x, Slot) else x, template)


def slotted(tree: Any) -> tuple[Any, list[Any]]:
    """A tree with slots for its traced leaves, and these."""
    leaves: list[Any] = []

    def leaf(x: Any, path: str) -> Any:
        if isinstance(x, np.ndarray) and x.dtype == object and traced.find_trace(x) is not None:
            x = traced.as_traced(traced.open_trace(), x)
        if not traced.is_traced(x):
            return x
        leaves.append(x)
        return Slot(len(leaves) - 1, x)

    return trees.mapped(leaf, tree), leaves


def own(arrays: Sequence[Any], slots: Sequence[Any]) -> list[Any]:
    """Arrays of a call as what they stand for: a scalar where it was one."""
    return [x[()] if s.scalar and x.shape == () else x for x, s in zip(arrays, slots, strict=True)]


class VjpRule(Attached):
    """Part ``position`` of the result of a custom_vjp, with its reverse rule.

    The arguments are the value, the traced leaves of f's arguments, and those of the residuals.
    """

    def __init__(self, owner: CustomVjp, position: int, args: Any, residuals: Any, result: Any, counts: tuple[int, int]) -> None:
        super().__init__(owner, (position, args, residuals, result, owner.bwd))
        self.position = position
        self.templates = args, residuals, result
        self.n_args, n_residuals = counts
        self.silent = frozenset([0, *range(1 + self.n_args, 1 + self.n_args + n_residuals)])

    def reverse(self, wanted: Any, g: Any, y: Any, value: Any, *leaves: Any) -> Any:
        args, residuals, result = self.templates
        kept = filled(residuals, leaves[self.n_args :])

        def seed(x: Any, path: str) -> Any:
            if not isinstance(x, Slot):
                return np.zeros(np.shape(x))[()]
            if x.position != self.position:
                return np.zeros(x.shape, x.dtype)[()]
            return g if x.shape else g[0]

        found = rebind.rebound(self.owner.bwd, traced.open_trace())(kept, trees.mapped(seed, result))
        if not isinstance(found, (tuple, list)) or len(found) != len(args):
            raise errors.ArgumentError(f"bwd of {name_of(self.owner.f)} must return a tuple of {len(args)} adjoints, one for each argument")
        adjoints: list[Any] = [None] * self.n_args
        for k, (template, adjoint) in enumerate(zip(args, found, strict=True)):
            place_adjoints(template, adjoint, adjoints, f"the adjoint of argument {k} from bwd of {name_of(self.owner.f)}")
        return [None, *adjoints, *[None] * (len(leaves) - self.n_args)]


def place_adjoints(template: Any, adjoint: Any, out: list[Any], what: str) -> None:
    """Sort the leaves of an adjoint to the slots of the argument's template; None stands for zeros."""
    if isinstance(template, Slot):
        x = np.zeros(template.shape) if adjoint is None else adjoint
        if np.shape(x) != template.shape:
            raise errors.ArgumentError(f"{what} has shape {np.shape(x)}, the argument {template.shape}")
        out[template.position] = x
    elif trees.is_branch(template):
        theirs = trees.parts(template)
        ours = [None] * len(theirs) if adjoint is None else [part for _, part in trees.parts(adjoint)] if trees.is_branch(adjoint) else []
        if len(ours) != len(theirs):
            raise errors.ArgumentError(f"{what} is {type(adjoint).__name__}, it should be like the argument, {type(template).__name__}")
        for (_, part), a in zip(theirs, ours, strict=True):
            place_adjoints(part, a, out, what)


class JvpRule(Attached):
    """Part ``position`` of the result of a custom_jvp, with its forward rule."""

    silent = frozenset([0])

    def __init__(self, owner: CustomJvp, position: int, args: Any, slots: Sequence[Any]) -> None:
        super().__init__(owner, (position, args, owner.jvp))
        self.position = position
        self.args, self.slots = args, slots

    def forward(self, tangents: Any, y: Any, value: Any, *leaves: Any) -> Any:
        def still(x: Any, path: str) -> Any:
            if not isinstance(x, Slot):
                return np.zeros(np.shape(x))[()] if is_float(x) else x
            t = tangents[1 + x.position]
            return np.zeros(x.shape, x.dtype)[()] if t is None else t

        name = name_of(self.owner.f)
        found = rebind.rebound(self.owner.jvp, traced.open_trace())(filled(self.args, leaves), trees.mapped(still, self.args))
        if not isinstance(found, tuple) or len(found) != 2:
            raise errors.ArgumentError(f"the rule of {name} must return (result, tangent of the result)")
        parts = [x for _, x in trees.leaves(found[1])]
        if self.position >= len(parts):
            raise errors.ArgumentError(f"the rule of {name} gives {len(parts)} tangents, the result has more leaves")
        t = parts[self.position]
        return t if np.shape(t) == y.shape else np.reshape(np.broadcast_to(t, y.shape) if np.shape(t) == () else t, y.shape)


def is_float(x: Any) -> bool:
    return isinstance(x, (float, np.floating)) or (isinstance(x, np.ndarray) and x.dtype.kind == "f")


class Custom:
    """A function with a derivative rule of its own."""

    def __init__(self, f: Callable[..., Any]) -> None:
        functools.update_wrapper(cast("Any", self), f, assigned=("__name__", "__doc__"), updated=())
        self.f = f

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {name_of(self.f)}>"

    def isolated(self, f: Callable[..., Any], args: Any) -> Any:
        """f's result, recorded so that nothing but the arguments can carry a derivative into it."""
        nested = Nested(f, args, {})
        try:
            nested.refuse_writes(name_of(self.f))
            for x in nested.inputs[len(nested.arguments) :]:
                if traced.is_active(x):
                    raise errors.NotDifferentiable(
                        f"{traced.where_text()}{name_of(self.f)} closes over a value that is being differentiated; "
                        "its rule cannot know of that: pass the value as an argument"
                    )
            program = nested.finish(nested.outputs)
        finally:
            nested.close()
        return nested.result(nested.outer.inline(program, nested.inputs, nested.trace.consts, nested.trace.scalars))


class CustomVjp(Custom):
    """A function with a reverse rule of its own. See `custom_vjp`."""

    fwd: Callable[..., Any] | None = None
    bwd: Callable[..., Any] | None = None

    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None:
        """``fwd(*args)`` gives (result, residuals); ``bwd(residuals, g)`` gives the adjoint of each argument."""
        self.fwd, self.bwd = fwd, bwd

    def __call__(self, *args: Any) -> Any:
        if traced.open_trace() is None or traced.find_trace(args_list(args)) is None:
            return self.f(*args)
        if self.fwd is None or self.bwd is None:
            raise errors.ArgumentError(f"{traced.where_text()}{name_of(self.f)} is a custom_vjp without a rule: call defvjp(fwd, bwd)")
        pair = self.isolated(self.fwd, args)
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise errors.ArgumentError(f"{traced.where_text()}fwd of {name_of(self.f)} must return (result, residuals)")
        (result, outputs), (residuals, kept), (given, leaves) = slotted(pair[0]), slotted(pair[1]), slotted(args)

        def part(x: Any, path: str) -> Any:
            if not isinstance(x, Slot) or x.dtype.kind != "f":
                return outputs[x.position] if isinstance(x, Slot) else x
            rule = VjpRule(self, x.position, given, residuals, result, (len(leaves), len(kept)))
            return rule.attach(traced.open_trace(), outputs[x.position], [*leaves, *kept])

        return trees.mapped(part, result)


class CustomJvp(Custom):
    """A function with a forward rule of its own. See `custom_jvp`."""

    jvp: Callable[..., Any] | None = None

    def defjvp(self, jvp: Callable[..., Any]) -> None:
        """``jvp(primals, tangents)`` gives (result, tangent of the result)."""
        self.jvp = jvp

    def __call__(self, *args: Any) -> Any:
        if traced.open_trace() is None or traced.find_trace(args_list(args)) is None:
            return self.f(*args)
        if self.jvp is None:
            raise errors.ArgumentError(f"{traced.where_text()}{name_of(self.f)} is a custom_jvp without a rule: call defjvp(jvp)")
        result = self.isolated(self.f, args)
        given, leaves = slotted(args)
        slots = [x for _, x in trees.leaves(given) if isinstance(x, Slot)]
        position = iter(range(len(trees.leaves(result))))

        def part(x: Any, path: str) -> Any:
            k = next(position)
            if not traced.is_traced(x) or x.dtype.kind != "f":
                return x
            return JvpRule(self, k, given, slots).attach(traced.open_trace(), x, leaves)

        return trees.mapped(part, result)


def args_list(args: Any) -> list[Any]:
    return [x for _, x in trees.leaves(args)]


def custom_vjp(f: Callable[..., Any]) -> CustomVjp:
    """f with a reverse rule of your own, given by ``defvjp(fwd, bwd)``.

    Parameters
    ----------
    f : callable
        Takes positional arguments: arrays, numbers, trees of them, and anything static. Returns an array, a number or a
        tree of them.

    Returns
    -------
    CustomVjp
        Call it as f. ``fwd(*args)`` returns (result, residuals), ``bwd(residuals, g)`` a tuple with the adjoint of each
        argument: shaped like it, or None for zeros. bwd must be linear in g.

    Raises
    ------
    NotDifferentiable
        f closes over a value that is being differentiated.
    ArgumentError
        A rule gives another structure or shape than the arguments have, or bwd is not linear in g where forward mode needs it.

    Notes
    -----
    Both are NumPy functions that are recorded, so derivatives of any order come from them. Forward mode works too: the
    rule is transposed. bwd is recorded once for all values, so it must not branch on them (np.where does). Check a rule
    with `testing.check_grads`.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> @adcore.custom_vjp
    ... def f(x):
    ...     return np.sin(x)
    >>> f.defvjp(lambda x: (np.sin(x), x), lambda x, g: (2.0 * np.cos(x) * g,))
    >>> float(adcore.grad(f)(0.0))
    2.0
    """
    return CustomVjp(f)


def custom_jvp(f: Callable[..., Any]) -> CustomJvp:
    """f with a forward rule of your own, given by ``defjvp(jvp)``.

    Parameters
    ----------
    f : callable
        Takes positional arguments, as for `custom_vjp`.

    Returns
    -------
    CustomJvp
        Call it as f. ``jvp(primals, tangents)`` returns (result, tangent of the result), the tangent linear in the
        tangents; static arguments stand among the tangents as they are.

    Notes
    -----
    The rule is recorded; reverse mode runs its transpose.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> @adcore.custom_jvp
    ... def relu(x):
    ...     return np.maximum(x, 0.0)
    >>> relu.defjvp(lambda p, t: (relu(p[0]), np.where(p[0] > 0, t[0], 0.0)))
    >>> adcore.gradient(lambda x: np.sum(relu(x)), np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 1.])
    """
    return CustomJvp(f)


class Opaque(Rule):
    """A call of a function that adcore does not look into.

    The arguments are the traced leaves of the function's arguments; the result is packed into one array.
    """

    def __init__(self, owner: Primitive, args: Any, slots: Sequence[Any], result: Any, outputs: Sequence[Any]) -> None:
        super().__init__(owner, (args, result))
        self.args, self.slots = args, slots
        self.result, self.outputs = result, outputs
        if owner.vjp is not None:
            self.reverse = self.by_vjp
        if owner.jvp is not None:
            self.forward = self.by_jvp

    def evaluate(self, *arrays: Any) -> Any:
        # copies: f may keep its arguments, the memory of a sweep is used again
        leaves = own([np.array(a) for a in arrays], self.slots)
        with modules.Plainly():
            result = self.owner.f(*filled(self.args, leaves))
        parts = [x for _, x in trees.leaves(result) if is_float(x)]
        if [np.shape(x) for x in parts] != [s.shape for s in self.outputs]:
            raise errors.ArgumentError(
                f"{name_of(self.owner.f)} gave arrays of shapes {[np.shape(x) for x in parts]}; when it was recorded they were "
                f"{[s.shape for s in self.outputs]}"
            )
        if len(parts) == 1 and np.shape(parts[0]):
            return parts[0]
        return np.concatenate([np.reshape(x, -1) for x in parts]) if parts else np.zeros(0)

    def tree_of(self, packed: Any) -> Any:
        """The packed result, or its adjoint, as f's result."""
        return filled(self.result, unpack(packed, self.outputs))

    def by_vjp(self, wanted: Any, g: Any, y: Any, *leaves: Any) -> Any:
        for k, why in self.owner.fixed.items():
            if any(isinstance(x, Slot) and wanted[x.position] for _, x in trees.leaves(self.args[k])):
                raise errors.MissingDerivative(None, repr(self), k, why)
        args = filled(self.args, own(leaves, self.slots))
        found = rebind.rebound(self.owner.vjp, traced.open_trace())(self.tree_of(g), self.tree_of(y), *args)
        if not isinstance(found, (tuple, list)) or len(found) != len(args):
            raise errors.ArgumentError(f"vjp of {name_of(self.owner.f)} must return a tuple of {len(args)} adjoints, one for each argument")
        adjoints: list[Any] = [None] * len(leaves)
        for k, (template, adjoint) in enumerate(zip(self.args, found, strict=True)):
            place_adjoints(template, adjoint, adjoints, f"the adjoint of argument {k} from vjp of {name_of(self.owner.f)}")
        return adjoints

    def by_jvp(self, tangents: Any, y: Any, *leaves: Any) -> Any:
        def still(x: Any, path: str) -> Any:
            if not isinstance(x, Slot):
                return np.zeros(np.shape(x))[()] if is_float(x) else x
            t = tangents[x.position]
            return np.zeros(x.shape, x.dtype)[()] if t is None else t[()] if x.scalar else t

        args = filled(self.args, own(leaves, self.slots))
        found = rebind.rebound(self.owner.jvp, traced.open_trace())(trees.mapped(still, self.args), self.tree_of(y), *args)
        trace = traced.open_trace()
        return pack(trace, [traced.as_traced(trace, x) for _, x in trees.leaves(found)])


# of each primitive, by shapes and static arguments: not its attribute, since a compiled function compares what it reads
RESULTS: weakref.WeakKeyDictionary[Any, dict[Any, Any]] = weakref.WeakKeyDictionary()


class Primitive(Custom):
    """A function that adcore calls as it is. See `primitive`."""

    def __init__(self, f: Callable[..., Any], shape: Any, vjp: Any, jvp: Any) -> None:
        super().__init__(f)
        self.shape, self.vjp, self.jvp = shape, vjp, jvp
        self.fixed: dict[int, str] = {}  # arguments without a derivative, and why

    def __call__(self, *args: Any) -> Any:
        if traced.open_trace() is None or traced.find_trace(args_list(args)) is None:
            return self.f(*args)
        return self.record(args)

    def record(self, args: tuple[Any, ...], like: Any = None) -> Any:
        """Record a call; where it is known, ``like`` has the structure and shapes of the result."""
        trace = traced.open_trace()
        given, leaves = slotted(args)
        slots = [x for _, x in trees.leaves(given) if isinstance(x, Slot)]
        for x in slots:
            if x.dtype.kind != "f":
                raise errors.ArgumentError(f"{traced.where_text()}{name_of(self.f)} takes float arrays, not {x.dtype}")
        result = self.example(given, leaves, slots) if like is None else trees.mapped(blank, like)
        template, outputs = result_slots(result, name_of(self.f))
        shape = outputs[0].shape if len(outputs) == 1 and outputs[0].shape else (sum(size(x.shape) for x in outputs),)
        dtype = np.float32 if outputs and all(x.dtype == np.float32 for x in outputs) else np.float64
        rule = Opaque(self, given, slots, template, outputs)
        packed = trace.call_program(rule, leaves, [], [], shape, dtype)
        return filled(template, unpack(packed, outputs))

    def example(self, given: Any, leaves: Any, slots: Any) -> Any:
        """A result for these arguments: of ``shape`` when there is one, else f's own."""
        if self.shape is not None:
            return np.zeros(tuple(self.shape(*trees.mapped(lambda x, path: x.shape if isinstance(x, Slot) else np.shape(x), given))))[()]
        key = (tuple((x.shape, x.dtype) for x in slots), repr(trees.mapped(lambda x, path: None if isinstance(x, Slot) else x, given)))
        known = RESULTS.setdefault(self, {})
        if key not in known:
            if traced.open_trace().standalone or traced.open_trace().blind:
                raise errors.ArgumentError(
                    f"{traced.where_text()}{name_of(self.f)} is called where values are not known "
                    "(in a derivative rule, the step of a loop, an equation): give the primitive shape="
                )
            values = own([np.array(traced.known_value(x)) for x in leaves], slots)
            with modules.Plainly():
                known[key] = self.f(*filled(given, values))
        return known[key]


def blank(x: Any, path: str) -> Any:
    """Zeros like a float leaf, traced or not."""
    return np.zeros(x.shape, x.dtype)[()] if traced.is_traced(x) else np.zeros(np.shape(x))[()] if is_float(x) else x


def result_slots(result: Any, name: str) -> tuple[Any, list[Slot]]:
    """A result with slots for its float leaves, and these."""
    slots: list[Slot] = []

    def leaf(x: Any, path: str) -> Any:
        if not is_float(x):
            if isinstance(x, (int, bool, np.integer, np.bool_, str)):
                return x
            raise errors.ArgumentError(
                f"{traced.where_text()}{name} returned {type(x).__name__}{path}; a primitive gives float arrays and floats"
            )
        array = np.asarray(x)
        slots.append(Slot(len(slots), array))
        slots[-1].scalar = not array.shape
        return slots[-1]

    return trees.mapped(leaf, result), slots


def primitive(
    f: Callable[..., Any] | None = None,
    *,
    shape: Callable[..., tuple[int, ...]] | None = None,
    vjp: Callable[..., Any] | None = None,
    jvp: Callable[..., Any] | None = None,
    transpose: Callable[..., Any] | None = None,
    linear: bool = False,
    numerical: bool = False,
) -> Any:
    """A function that adcore cannot look into (a C library, a compiled function), as one operation.

    Parameters
    ----------
    f : callable
        Takes arrays, numbers, trees of them and static arguments; returns a float array, a float or a tree of them. It
        runs inside the sweep, on copies.
    shape : callable, optional
        ``shape(*shapes of the arguments)`` gives that of the result, one array; without it f runs once more for each new
        combination of shapes, while it is recorded.
    vjp : callable, optional
        ``vjp(g, y, *args)`` gives a tuple with the adjoint of each argument (None for zeros), in NumPy.
    jvp : callable, optional
        ``jvp(tangents, y, *args)`` gives the tangent of y. One of the two rules serves both modes.
    linear : bool
        f is linear in its one argument: its tangent is f of the tangent; no other rule is needed for any mode or order.
    transpose : callable, optional
        For a linear f: ``transpose(g)``, itself opaque, gives the adjoint of the argument.
    numerical : bool
        Without rules: central differences, good to about 1e-9, a pair of calls for each element in reverse mode; first
        order only.

    Returns
    -------
    callable

    Raises
    ------
    MissingDerivative
        When the result is differentiated and neither a rule nor ``numerical`` was given.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> square = adcore.primitive(lambda x: x * x, vjp=lambda g, y, x: (2 * x * g,))
    >>> adcore.gradient(lambda x: np.sum(square(x)), np.array([1.0, 3.0]))
    array([2., 6.])
    >>> flip = adcore.primitive(lambda x: x[::-1], linear=True, transpose=lambda g: g[::-1])
    >>> adcore.gradient(lambda x: flip(x)[0], np.array([1.0, 3.0]))
    array([0., 1.])
    """
    if f is None:
        return functools.partial(primitive, shape=shape, vjp=vjp, jvp=jvp, transpose=transpose, linear=linear, numerical=numerical)
    if linear != (transpose is not None) or (linear and (vjp or jvp)) or (numerical and (vjp or jvp or linear)):
        raise errors.ArgumentError(
            f"primitive({name_of(f)}): give rules (vjp=, jvp=), or linear=True with transpose=, or numerical=True, and not two of them"
        )
    made = Primitive(f, shape, vjp, jvp)
    if linear:
        back = Primitive(cast("Callable[..., Any]", transpose), None, None, None)
        for one, other in ((made, back), (back, made)):
            one.jvp = lambda tangents, y, x, one=one: one.record(tangents, y)
            one.vjp = lambda g, y, x, other=other: (other.record((g,), x),)
    if numerical:
        made.jvp = differences(made)
    return made


STEP = float(np.finfo(float).eps) ** (1 / 3)


def differences(f: Primitive) -> Callable[..., Any]:
    """The forward rule by central differences; its reverse is theirs along each unit direction."""

    def floats(tree: Any) -> list[Any]:
        return [np.asarray(x, dtype=float) for _, x in trees.leaves(tree) if is_float(x)]

    def moved(args: Any, tangents: Any, h: float) -> Any:
        move = iter([t for _, t in trees.leaves(tangents)])

        def leaf(x: Any, path: str) -> Any:
            t = next(move)
            return x + h * t if is_float(x) else x

        return trees.mapped(leaf, args)

    def push(args: Any, tangents: Any) -> Any:
        scale = max([float(np.max(np.abs(t), initial=0.0)) for t in floats(tangents)], default=0.0)
        width = max([1.0, *[float(np.max(np.abs(x), initial=0.0)) for x in floats(args)]])
        h = STEP * width / scale if scale else STEP
        up, down = f.f(*moved(args, tangents, h)), f.f(*moved(args, tangents, -h))
        low = iter([x for _, x in trees.leaves(down)])

        def leaf(x: Any, path: str) -> Any:
            other = next(low)
            return (x - other) / (2 * h) if is_float(x) else x

        return trees.mapped(leaf, up)

    def pull(g: Any, args: Any) -> Any:
        seeds = floats(g)
        still = trees.mapped(lambda x, path: np.zeros(np.shape(x)) if is_float(x) else x, args)
        out = trees.mapped(lambda x, path: np.zeros(np.shape(x)) if is_float(x) else x, args)
        for (_, move), (_, adjoint) in zip(trees.leaves(still), trees.leaves(out), strict=True):
            if not is_float(move):
                continue
            for k in np.ndindex(move.shape):
                move[k] = 1.0
                adjoint[k] = sum(float(np.sum(s * t)) for s, t in zip(seeds, floats(push(args, still)), strict=True))
                move[k] = 0.0
        return trees.mapped(lambda x, path: x[()] if isinstance(x, np.ndarray) else x, out)

    pushed, pulled = Primitive(push, None, None, None), Primitive(pull, None, None, None)
    pushed.vjp = lambda g, y, args, tangents: (None, pulled.record((g, args), tangents))
    pushed.fixed = pulled.fixed = {0: f"derivatives of {name_of(f.f)} by differences are of first order only"}
    return lambda tangents, y, *args: pushed.record((args, tangents), y)
