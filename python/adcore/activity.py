"""The explicit interface: activities of arguments, shadows given by the caller, derivatives written in place."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from . import config, errors, shadows, trees
from .front import rebind
from .shadows import Pair, Walk, is_float_leaf
from .sweep import boundary, guards
from .sweep.forms import Form, Taken
from .tracer import array as traced
from .transforms.compiled import Compiled, kinds
from .transforms.gradient import name_of
from .transforms.products import Outputs, Slot, seed_array
from .transforms.recording import Recording


@dataclasses.dataclass(frozen=True, repr=False)
class Activity:
    """What a derivative does with one argument, or with the result.

    Attributes
    ----------
    name : str
    mode : {"any", "reverse", "forward"}
    shadowed : bool
        A shadow follows the argument.
    returned : bool
        Its derivative is part of what the call returns.
    primal : bool
        The primal value is wanted: written back, or returned.
    stacked : bool
        One shadow holds all directions along a further first axis.
    """

    name: str
    mode: str = "any"
    shadowed: bool = False
    returned: bool = False
    primal: bool = True
    stacked: bool = False

    def __repr__(self) -> str:
        return self.name


Const = Activity("Const")
Active = Activity("Active", "reverse", returned=True)
ActiveOnly = Activity("ActiveOnly", "reverse", returned=True, primal=False)
Duplicated = Activity("Duplicated", "reverse", shadowed=True)
DuplicatedOnly = Activity("DuplicatedOnly", "reverse", shadowed=True, primal=False)
Dual = Activity("Dual", "forward", shadowed=True)
DualOnly = Activity("DualOnly", "forward", shadowed=True, primal=False)
Dualv = Activity("Dualv", "forward", shadowed=True, stacked=True)
DualvOnly = Activity("DualvOnly", "forward", shadowed=True, primal=False, stacked=True)

ARGUMENTS = {
    "reverse": (Const, Active, Duplicated, DuplicatedOnly),
    "forward": (Const, Dual, DualOnly, Dualv, DualvOnly),
}
RESULTS = {"reverse": (Const, Active, ActiveOnly), "forward": (Const, Dual, DualOnly)}
FORMS_MAX = 16  # of arguments, that one derivative knows


class Derivative:
    """The derivative of a function under an explicit calling convention. See `autodiff`."""

    def __init__(self, f: Callable[..., Any], mode: str, activities: Sequence[Activity], ret: Activity | None, width: int) -> None:
        functools.update_wrapper(self, f, assigned=("__name__", "__doc__"), updated=())
        self.primal = f
        self.mode = mode
        self.activities = tuple(activities)
        self.ret = ret
        self.width = width
        self.names = argument_names(f, len(self.activities))
        self._compiled: dict[Any, Compiled] = {}
        self._besides: list[tuple[guards.Token, int]] = []  # what containers held besides their parts, numbered
        self._numbers = itertools.count()
        self._counts = tuple(self.shadow_count(n) for n in range(len(self.activities)))
        self._forms: list[tuple[Form, Compiled]] = []  # of earlier calls, the last one first

    def __repr__(self) -> str:
        inner = ", ".join(map(repr, self.activities))
        return f"<{self.mode} derivative of {name_of(self.primal)}({inner}) -> {self.ret}>"

    @property
    def recordings(self) -> int:
        """How often f itself has run."""
        return sum(compiled.recordings for compiled in set(self._compiled.values()))

    @property
    def why_not(self) -> str:
        """Why calls are not replayed; empty when they are."""
        return "; ".join(filter(None, (compiled.why_not for compiled in set(self._compiled.values()))))

    # -- what a call is given ----------------------------------------------------------

    def shadow_count(self, n: int) -> int:
        """How many shadows follow argument n."""
        activity = self.activities[n]
        return 0 if not activity.shadowed else 1 if activity.stacked else self.width

    def convention(self) -> str:
        """How the derivative is called, for error messages."""
        words = []
        for n, name in enumerate(self.names):
            count = self.shadow_count(n)
            words += [name, *([f"d{name}"] if count == 1 else [f"d{name}{k}" for k in range(count)])]
        if self.mode == "reverse" and self.ret in (Active, ActiveOnly):
            words.append("seed=1.0")
        return f"d{name_of(self.primal)}({', '.join(words)})"

    def taken_apart(self, args: Sequence[Any]) -> tuple[list[Any], list[tuple[Any, ...]]]:
        """The primals, and for each one its shadows."""
        primals, given, at = [], [], 0
        wanted = sum(1 + self.shadow_count(n) for n in range(len(self.activities)))
        if len(args) != wanted:
            raise errors.ArgumentError(f"{self.convention()} takes {wanted} positional arguments, it got {len(args)}")
        for k in range(len(self.activities)):
            n = self.shadow_count(k)
            primals.append(args[at])
            given.append(tuple(args[at + 1 : at + 1 + n]))
            at += 1 + n
        return primals, given

    def checked(self, primals: list[Any], given: list[tuple[Any, ...]], overlaps: bool) -> list[list[Pair]]:
        """The float leaves of every shadow; raises when something is wrong with one, before anything is written."""
        found: list[list[Pair]] = []
        written: list[tuple[str, Any]] = []
        read: list[tuple[str, Any]] = []
        for name, activity, primal, own in zip(self.names, self.activities, primals, given, strict=True):
            if activity is Active:
                self.check_active(name, primal)
            if own and self.mode == "reverse" and isinstance(primal, (float, np.floating)):
                raise errors.ArgumentError(f"{name} is a float, so {activity} has nothing to write into: use Active")
            for shadow in own:
                walk = Walk(name, primal, shadow, self.width if activity.stacked else 0, self.mode == "reverse")
                if not walk.pairs and not trees.is_branch(primal):
                    raise errors.ArgumentError(f"{name} is {shadows.described(primal)}: nothing to differentiate, use Const")
                found.append(walk.pairs)
                written += [(f"the shadow of {path}", array) for path, array in walk.memory]
            if overlaps:
                read += shadows.memory(primal, name)
        if overlaps:
            shadows.refuse_shared(written, read)
            shadows.refuse_shared_containers([pair for walk in found for pair in walk], primals)
        return found

    @staticmethod
    def check_active(name: str, x: Any) -> None:
        if isinstance(x, np.ndarray) and x.ndim:
            raise errors.ArgumentError(
                f"{name} is an array of shape {x.shape}; Active is for floats, whose derivative is returned: "
                "use Duplicated and give a shadow"
            )
        if not is_float_leaf(x):
            raise errors.ArgumentError(f"{name} is {shadows.described(x)}; Active is for floats: use Const, or pass a float")

    # -- the call ------------------------------------------------------------------------

    def __call__(self, *args: Any, seed: Any = 1.0) -> Any:
        overlaps = not config.current()["unchecked"]
        seeds = self.seeds(seed)
        plain = all(type(seed) is float or not trees.is_branch(seed) for seed in seeds)
        taken, compiled = (plain and self.known(args, overlaps)) or self.looked_at(args, seeds, overlaps)
        results = compiled.replayed([*taken.leaves, *taken.shadows, *(seeds if plain else [x for _, x in trees.leaves(seeds)])])
        taken.write(results[2], results[4], *self.overwritten(args, taken.leaves, results[1]))
        return self.returned(results)

    def known(self, args: tuple[Any, ...], overlaps: bool) -> tuple[Taken, Compiled] | None:
        """The arguments taken apart, when they are like those of an earlier call and nothing is wrong with them."""
        for k, (form, compiled) in enumerate(self._forms):
            taken = form.taken(args, overlaps)
            if taken is not None:
                if k:
                    self._forms = [(form, compiled), *[known for known in self._forms if known[0] is not form]]
                return taken, compiled
        return None

    def looked_at(self, args: tuple[Any, ...], seeds: tuple[Any, ...], overlaps: bool) -> tuple[Taken, Compiled]:
        """The arguments taken apart, with an error that says what is wrong with them, if anything is."""
        if traced.find_trace(args) is not None:
            raise errors.ArgumentError(
                f"{self.convention()} writes in place and cannot itself be differentiated: use adcore.vjp or adcore.jvp"
            )
        primals, given = self.taken_apart(args)
        walks = self.checked(primals, given, overlaps)
        compiled = self.compiled_for(primals, [len(walk) for walk in walks], seeds)
        if not any(trees.is_branch(seed) for seed in seeds) and not besides(primals):
            leads = [self.width if activity.stacked else 0 for activity in self.activities]
            form = Form(primals, self._counts, [activity is Active for activity in self.activities], leads, self.mode == "reverse")
            self._forms = [(form, compiled), *self._forms[: FORMS_MAX - 1]]
        pairs = [pair for walk in walks for pair in walk]
        leaves = [x for primal in primals for _, x in trees.leaves(primal)]
        places = [(pair.place.container, pair.place.key) if pair.place else None for pair in pairs]
        return Taken(leaves, [pair.shadow for pair in pairs], places), compiled

    def seeds(self, seed: Any) -> tuple[Any, ...]:
        """One seed for each direction; none in forward mode."""
        if self.mode == "forward":
            return ()
        if self.width == 1:
            return (seed,)
        seeds = tuple(seed) if isinstance(seed, (list, tuple)) else (seed,) * self.width
        if len(seeds) != self.width:
            raise errors.ArgumentError(f"{self.convention()}: {len(seeds)} seeds were given for a width of {self.width}")
        return seeds

    def returned(self, results: Any) -> Any:
        """What the call gives back: the value unless ret says not, then derivatives."""
        out = results[3] if self.ret is None or not self.ret.primal else (results[0], *results[3])
        return None if not out else out[0] if len(out) == 1 else out

    def compiled_for(self, primals: list[Any], counts: list[int], seeds: Any) -> Compiled:
        """The recordings for arguments of this structure, with so many leaves in each shadow."""
        form = (tuple(primals), seeds)
        key = (tuple(path for path, _ in trees.leaves(form)), *kinds(form), tuple(counts), self.number_of(besides(primals)))
        compiled = self._compiled.get(key)
        if compiled is None:
            containers = Containers(trees.mapped(emptied, form))

            # a function, not a method: a replay would look for changes in self
            def derived(*leaves: Any) -> Any:
                found = iter(leaves)
                trace = traced.find_trace(leaves)
                for kind in kinds(containers.form) if trace is not None and trace.surroundings is not None else ():
                    trace.surroundings.reach(kind)  # methods and constants of the user's classes
                args = filled(containers.form[0], found)
                tangents = [[next(found) for _ in range(n)] for n in counts]
                return Sweep(self, args, tangents, filled(containers.form[1], found)).results()

            compiled = self._compiled[key] = Compiled(derived)
        return compiled

    def number_of(self, held: list[Any]) -> int:
        """A number for what containers hold besides their parts: the same as long as it is the same."""
        if not held:
            return -1
        for token, number in self._besides:
            if token.holds(held):
                return number
        self._besides = [(guards.Token(held), next(self._numbers)), *self._besides[: FORMS_MAX - 1]]
        return self._besides[0][1]

    def overwritten(self, args: tuple[Any, ...], leaves: list[Any], contents: tuple[Any, ...]) -> tuple[list[Any], list[Any]]:
        """The arrays among the arguments that f writes into, and what; they must be writeable and nobody else's."""
        if all(new is None for new in contents):
            return [], []
        floats = [x for x in leaves if is_float_leaf(x)]
        written = [x for x, new in zip(floats, contents, strict=True) if new is not None]
        others = [x for x, new in zip(floats, contents, strict=True) if new is None and isinstance(x, np.ndarray)]
        if not all(x.flags.writeable and boundary.apart(x) for x in written) or boundary.shared_pair(written, others):
            self.refuse_overwriting(self.float_leaves(self.taken_apart(args)[0]), contents)
        wanted = [(x, new) for x, new in zip(floats, contents, strict=True) if new is not None and new is not False]
        return [x for x, _ in wanted], [new for _, new in wanted]

    def refuse_overwriting(self, leaves: list[tuple[str, Any]], contents: tuple[Any, ...]) -> None:
        """Raise for an array that f cannot write into."""
        written = [leaf for leaf, new in zip(leaves, contents, strict=True) if new is not None]
        for path, leaf in written:
            if not leaf.flags.writeable:
                raise errors.ShadowError(f"{name_of(self.primal)} writes into {path}, which is read-only")
            if not boundary.apart(leaf):
                raise errors.ShadowError(f"{name_of(self.primal)} writes into {path}, which overlaps itself (strides {leaf.strides})")
        others = [leaf for leaf, new in zip(leaves, contents, strict=True) if new is None and isinstance(leaf[1], np.ndarray)]
        shadows.refuse_shared([(f"{path}, which is written into,", leaf) for path, leaf in written], others)

    def float_leaves(self, primals: list[Any]) -> list[tuple[str, Any]]:
        """The float leaves of all arguments, constant ones included."""
        found = []
        for name, primal in zip(self.names, primals, strict=True):
            found += [(path, x) for path, x in trees.leaves(primal, name) if is_float_leaf(x)]
        return found

    # -- the derivative, recorded ----------------------------------------------------------

    def check_kept(self, before: list[tuple[str, Any]], args: tuple[Any, ...]) -> None:
        """f may write into the arrays of a structure, not put others in their place."""
        after = trees.leaves(args)
        if [path for path, _ in before] != [path for path, _ in after]:
            raise errors.NotDifferentiable(f"{name_of(self.primal)} adds parts to one of its arguments or takes some away")
        for (path, x), (_, y) in zip(before, after, strict=True):
            if x is not y and (traced.is_traced(x) or traced.is_traced(y)):
                head, tail = path[1:].split("]", 1)
                raise errors.NotDifferentiable(
                    f"{name_of(self.primal)} replaces {self.names[int(head)]}{tail}: write into the array instead, a[...] = new"
                )


class Sweep:
    """One recording of a derivative, and what comes out of it.

    Attributes
    ----------
    flat, owner : list
        The leaves of all arguments, and the argument that each belongs to.
    active : list of int
        The leaves that are differentiated.
    shadows : dict
        For each active leaf that has some, the content of its shadows, one for each direction.
    width : int
        How many directions stand along a last axis; 0 when there is one, without an axis for it.
    """

    def __init__(self, derivative: Derivative, primals: tuple[Any, ...], tangents: list[list[Any]], seeds: tuple[Any, ...]) -> None:
        self.derivative = derivative
        self.activities = derivative.activities
        self.primals = primals
        self.seeds = seeds
        self.width = derivative.width if derivative.width > 1 else 0
        self.flat: list[Any] = []
        self.owner: list[int] = []
        self.active: list[int] = []
        for n, primal in enumerate(primals):
            for _, x in trees.leaves(primal):
                if self.activities[n] is not Const and is_float_leaf(x):
                    self.active.append(len(self.flat))
                self.flat.append(x)
                self.owner.append(n)
        self.shadows: dict[int, list[Any]] = {}
        walks = iter(tangents)
        for n in range(len(primals)):
            own = [next(walks) for _ in range(derivative.shadow_count(n))]
            for position, k in enumerate(self.active_of(n) if own else []):
                self.shadows[k] = [walk[position] for walk in own]
        self.traced: list[Any] = []
        self.versions: list[int] = []

    def active_of(self, n: int) -> list[int]:
        """The differentiated leaves of argument n."""
        return [k for k in self.active if self.owner[k] == n]

    def run(self, *leaves: Any) -> Any:
        """f on traced leaves."""
        found = iter(leaves)
        args = trees.mapped(lambda x, path: next(found), self.primals)
        self.traced = list(leaves)
        self.versions = [traced.value_number(x) if isinstance(x, traced.TracedArray) else -1 for x in leaves]
        before = trees.leaves(args)
        f, trace = self.derivative.primal, traced.find_trace(leaves)
        result = (f if trace is None else rebind.rebound(f, trace))(*args)
        self.derivative.check_kept(before, args)
        return result

    def results(self) -> Any:
        """Value, overwritten primals, what goes into the shadows, returned derivatives, what is added to the shadows.

        Of each float leaf the overwritten primal is None when f does not write into it, False when it is not wanted; of
        each leaf of a shadow the content is None when it stays as it is, and added to it or put in its place.
        """
        f, ret = self.derivative.primal, self.derivative.ret
        recording = Recording(lambda *leaves: self.run(*leaves), self.flat, {}, self.active)  # no method: see Derivative
        try:
            result = recording.result
            if result is not None and ret is None:
                raise errors.ArgumentError(
                    f"{name_of(f)} returns {shadows.described(result)}: say what it is with ret=Active (reverse), "
                    "ret=Dual (forward) or ret=Const"
                )
            differentiated = ret is not None and ret is not Const
            if result is None and differentiated:
                raise errors.ArgumentError(f"{name_of(f)} returns None, but ret={ret}: leave ret out")
            written = [k for k, x in enumerate(self.traced) if self.versions[k] >= 0 and traced.value_number(x) != self.versions[k]]
            seeded = [k for k in written if k in self.active]
            recording.result = (result if differentiated else None, [self.traced[k] for k in seeded])
            outputs = Outputs(f, recording)
            derive = self.pulled if self.derivative.mode == "reverse" else self.pushed
            new, returned = derive(recording, outputs, seeded)
            # values in a program of their own: those that are not wanted cost nothing
            wanted = [k for k in written if self.activities[self.owner[k]].primal]
            recording.result = (result if ret is not None and ret.primal else None, [self.traced[k] for k in wanted])
            outputs = Outputs(f, recording)
            value, finals = outputs.tree(recording.run("value") if outputs.shapes else [])
        finally:
            recording.trace.close()
        primals: dict[int, Any] = {**dict.fromkeys(written, False), **dict(zip(wanted, finals, strict=True))}
        return (
            value,
            tuple(primals.get(k) for k, x in enumerate(self.flat) if is_float_leaf(x)),
            # by argument, direction and leaf, as the walks go
            tuple(new[k][j] if k in new else None for k, j in self.slots()),
            tuple(returned if differentiated or self.derivative.mode == "reverse" else []),
            bytes(self.derivative.mode == "reverse" and k not in seeded for k, _ in self.slots()),
        )

    def slots(self) -> list[tuple[int, int]]:
        """The leaves of all shadows as the walks go, by argument, direction and leaf: leaf and direction of each."""
        counts = [self.derivative.shadow_count(n) for n in range(len(self.activities))]
        return [(k, j) for n, count in enumerate(counts) for j in range(count) for k in self.active_of(n)]

    def pulled(self, recording: Recording, outputs: Outputs, seeded: list[int]) -> tuple[dict[int, list[Any]], list[Any]]:
        """Reverse: what is added to the shadows, or of what f writes put in their place, and the derivatives of Active arguments."""
        seeds = self.result_seeds(outputs) + [gathered(self.shadows[k]) for k in seeded if k in self.shadows]
        found: list[Any] = [None] * len(self.active)
        if seeds:
            adjoints = recording.run("pull back", seeds, self.width)[len(seeds) :]
            zero = recording.zeros("pull back", self.width)[len(seeds) :]
            found = [None if nothing else g for g, nothing in zip(adjoints, zero, strict=True)]
        new: dict[int, list[Any]] = {}
        returned = []
        for k, g in zip(self.active, found, strict=True):
            if self.activities[self.owner[k]] is Active:
                returned.append(g if g is not None else np.zeros(self.width) if self.width else 0.0)
                continue
            parts = [g] if g is None or not self.width else [g[..., j] for j in range(self.width)]
            parts = parts * (len(self.shadows[k]) // len(parts))
            if k in seeded:
                new[k] = [np.zeros(np.shape(self.flat[k])) if p is None else p for p in parts]
            elif g is not None:
                new[k] = parts
        return new, returned

    def result_seeds(self, outputs: Outputs) -> list[Any]:
        """The adjoints of the leaves of the result."""
        template = trees.leaves(outputs.template[0])
        given = [[x for _, x in trees.leaves(seed)] for seed in self.seeds]
        out: list[Any] = []
        for position, (_, leaf) in enumerate(template):
            if leaf is not Slot:
                continue
            shape = outputs.shapes[len(out)]
            for seed in given:
                if len(seed) != len(template) or np.shape(seed[position]) != shape:
                    what = f"an array of shape {shape}" if len(template) == 1 else f"a structure of {len(template)} leaves"
                    raise errors.ArgumentError(
                        f"{self.derivative.convention()}: {name_of(self.derivative.primal)} returns {what}; give a seed like it"
                    )
            out.append(gathered([seed_array(seed[position], outputs.dtypes[len(out)], "the seed") for seed in given]))
        return out

    def pushed(self, recording: Recording, outputs: Outputs, seeded: list[int]) -> tuple[dict[int, list[Any]], list[Any]]:
        """Forward: the shadows of what f overwrites, and the tangents of the result."""
        n = self.derivative.width
        if not self.active or not outputs.shapes:
            return {}, [outputs.zeros([])[0]] * n
        dots = []
        for k in self.active:
            stacked = self.activities[self.owner[k]].stacked
            own = list(self.shadows[k][0]) if stacked else self.shadows[k]
            dots.append(gathered([seed_array(t, getattr(self.flat[k], "dtype", np.float64), "the shadow") for t in own]))
        values = recording.run("push forward", dots, self.width)
        tangents = values[len(values) // 2 :]
        by_direction = [[t[..., j] for t in tangents] for j in range(n)] if self.width else [tangents]
        first = len(tangents) - len(seeded)
        new = {}
        for position, k in enumerate(seeded):
            parts = [own[first + position] for own in by_direction]
            new[k] = [np.stack(parts)] if self.activities[self.owner[k]].stacked else parts
        return new, [outputs.zeros(own)[0] for own in by_direction]


@dataclasses.dataclass
class Containers:
    """The containers of arguments without their leaves: an object of adcore's, into which a replay does not look for changes."""

    form: Any


def emptied(x: Any, path: str) -> Any:
    """What holds the place of a leaf: of an array one of its shape, which fields of a structured array must have."""
    return np.broadcast_to(np.zeros((), x.dtype), x.shape) if isinstance(x, np.ndarray) else 0


def besides(primals: list[Any]) -> list[Any]:
    """What the containers among arguments hold besides their parts."""
    return [held for primal in primals for branch in trees.branches(primal) if (held := trees.beside(branch)) is not None]


def filled(form: Any, leaves: Iterator[Any]) -> Any:
    """A tree of this form with other leaves."""
    return trees.mapped(lambda x, path: next(leaves), form)


def gathered(directions: list[Any]) -> Any:
    """One seed as it is, several along a further last axis."""
    return directions[0] if len(directions) == 1 else np.stack(directions, axis=-1)


def argument_names(f: Any, n: int) -> list[str]:
    """The names of f's first arguments, for error messages."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    variable = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "argument" if not parameters else None)
    if len(positional) < n and variable is not None:
        positional += [f"{variable}{k}" for k in range(n - len(positional))]
    if len(positional) < n:
        raise errors.ArgumentError(f"{n} activities for {name_of(f)}, which takes {len(positional)} arguments")
    lacking = [p.name for p in parameters[n:] if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if lacking:
        raise errors.ArgumentError(f"{n} activities for {name_of(f)}: its argument {lacking[0]} has none (Const, perhaps)")
    return positional[:n]


def autodiff(f: Callable[..., Any], mode: str, *activities: Activity, ret: Activity | None = None, width: int = 1) -> Derivative:
    """The derivative of f that reads and writes memory of the caller's, one activity for each argument.

    Parameters
    ----------
    f : callable
        Written in NumPy; may return a value, write into its arguments, or both.
    mode : {"reverse", "forward"}
    *activities : Activity
        One for each argument of f. Reverse: ``Const``; ``Active``, a float whose derivative is returned; ``Duplicated``,
        followed by its shadow in the call; ``DuplicatedOnly``, likewise, but what f writes into the argument is not
        wanted. Forward: ``Const``, ``Dual``, ``DualOnly``, and ``Dualv``, ``DualvOnly`` whose one shadow holds all
        directions along a further first axis.
    ret : Activity, optional
        Of the result: ``Active``, ``ActiveOnly`` (the value is not returned), ``Dual``, ``DualOnly`` or ``Const``; left
        out when f returns None.
    width : int
        How many directions one call takes: so many shadows follow each shadowed argument.

    Returns
    -------
    Derivative
        Takes f's arguments in order, each Duplicated or Dual one followed by its shadow, then ``seed=1.0`` when ret is Active
        (like the result; a list of seeds with a width). Returns the value unless ret is ``...Only``, then the
        derivative of each Active argument, or the tangent of the result.

    Raises
    ------
    ArgumentError
        An activity that the mode does not know, or a call that does not follow the convention.
    ShadowError
        A shadow does not fit its argument in structure, shape, dtype, byte order or alignment, is read-only, overlaps itself, or
        shares memory with an argument or another shadow. Nothing has been changed then.

    Notes
    -----
    Reverse: adjoints are *added* to the shadows of arguments that f only reads. The shadow of an argument that f writes
    into holds the adjoint of what it is afterwards on entry, and that of what it was before on return: zeros where f
    overwrites it. Forward: the shadow of what f writes into is overwritten with its tangent, other shadows are only read. What f writes
    into its arguments, constant ones too, is written.

    Arguments are floats, arrays, and structures of arrays: dicts, lists, tuples, dataclasses, structured arrays;
    their shadows are structures of the same form, in which everything but floats is the same as in the argument.
    Calls are replayed as by `compile`; what must not change between calls is guarded in the same way.

    References
    ----------
    W. S. Moses, V. Churavy, Instead of rewriting foreign code for machine learning, automatically synthesize fast
    gradients, *NeurIPS* 2020 (the vocabulary of activities).

    Examples
    --------
    >>> import numpy as np, adcore
    >>> from adcore import Active, Duplicated
    >>> def f(x, s):
    ...     return s * np.sum(x**2)
    >>> df = adcore.autodiff(f, "reverse", Duplicated, Active, ret=Active)
    >>> x, dx = np.array([1.0, 2.0]), np.zeros(2)
    >>> y, ds = df(x, dx, 3.0)
    >>> float(y), float(ds), dx
    (15.0, 5.0, array([ 6., 12.]))

    A kernel that writes into its argument:

    >>> def step(u, out):
    ...     out[1:-1] = u[:-2] - 2 * u[1:-1] + u[2:]
    >>> dstep = adcore.autodiff(step, "reverse", Duplicated, Duplicated)
    >>> u, du, out, dout = np.arange(4.0) ** 2, np.zeros(4), np.zeros(4), np.ones(4)
    >>> dstep(u, du, out, dout)
    >>> out, du, dout
    (array([0., 2., 2., 0.]), array([ 1., -1., -1.,  1.]), array([1., 0., 0., 1.]))
    """
    if not callable(f):
        raise errors.ArgumentError(f"autodiff takes a function, not {type(f).__name__}")
    if mode not in ARGUMENTS:
        raise errors.ArgumentError(f'mode={mode!r}: give "reverse" or "forward"')
    for activity in activities:
        if activity not in ARGUMENTS[mode]:
            raise errors.ArgumentError(f"{activity!r} is no activity of an argument in {mode} mode: give one of {listed(ARGUMENTS[mode])}")
    if ret is not None and ret not in RESULTS[mode]:
        raise errors.ArgumentError(f"ret={ret!r} is no activity of a result in {mode} mode: give one of {listed(RESULTS[mode])}")
    if isinstance(width, bool) or not isinstance(width, (int, np.integer)) or width < 1:
        raise errors.ArgumentError(f"width={width!r}: give a positive integer")
    return Derivative(f, mode, activities, ret, int(width))


def listed(activities: Sequence[Activity]) -> str:
    return ", ".join(map(repr, activities))


def autodiff_reverse(*activities: Activity, ret: Activity | None = None, width: int = 1) -> Callable[[Callable[..., Any]], Derivative]:
    """Decorator: the function becomes its reverse derivative, and stays reachable as ``.primal``. See `autodiff`.

    Examples
    --------
    >>> import adcore
    >>> @adcore.autodiff_reverse(adcore.Active, adcore.Const, ret=adcore.Active)
    ... def scaled(x, n):
    ...     return x**n
    >>> value, derivative = scaled(2.0, 3)
    >>> float(value), float(derivative), scaled.primal(2.0, 3)
    (8.0, 12.0, 8.0)
    """
    return lambda f: autodiff(f, "reverse", *activities, ret=ret, width=width)


def autodiff_forward(*activities: Activity, ret: Activity | None = None, width: int = 1) -> Callable[[Callable[..., Any]], Derivative]:
    """Decorator: the function becomes its forward derivative, and stays reachable as ``.primal``. See `autodiff`.

    Examples
    --------
    >>> import adcore
    >>> @adcore.autodiff_forward(adcore.Dual, ret=adcore.DualOnly)
    ... def cube(x):
    ...     return x**3
    >>> float(cube(2.0, 1.0))
    12.0
    """
    return lambda f: autodiff(f, "forward", *activities, ret=ret, width=width)
