"""A trajectory as one operation: steps chosen on values by a solver, taken and differentiated as a program.

A state is a vector whose first number is the time. ``step`` takes it to a target; the accepted times of SciPy's solver are
held fixed as shares of the interval. The tangent of a trajectory is that of the pushed step, whose states have their
tangents behind them; its adjoint runs the steps back. Derivatives of the adjoint are adjoints of the pushed trajectory:
the derivative of ``S'(p)^T g`` along (dp, dg) is the adjoint of ``(S(p), S'(p) dp)`` with the seeds (dg, g), by p.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import errors
from ..front import calls
from ..front.nested import pack, size, unpack
from ..rules import same
from ..sweep import engine
from ..transforms.checkpoint import Region, pulled, region_of
from .implicit import specs_of


class Mesh:
    """The times that a solver accepts, as shares of the interval: ``choose(start, end, y0, parameters)`` finds them."""

    def __init__(self, choose: Callable[..., Any], right: Region, options: Any) -> None:
        self.choose, self.right, self.options = choose, right, options
        self.last: tuple[bytes, Any] = b"", None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mesh) and self.right == other.right and same(self.options, other.options)

    def __hash__(self) -> int:
        return hash(self.right)

    def shares(self, start: float, end: float, y0: Any, parameters: Sequence[Any]) -> Any:
        """From 0 to 1; value, tangents and adjoints of one point ask once."""
        key = b"".join([np.array([start, end]).tobytes(), *[np.asarray(x).tobytes() for x in (y0, *parameters)]])
        known, shares = self.last
        if known != key:
            t = self.choose(start, end, y0, parameters)
            shares = (t - start) / (end - start) if end != start else np.array([0.0])
            self.last = key, shares
        return shares


class Trajectory:
    """The rule: (first state, end, targets, parameters) -> the states at the targets, or at all accepted times.

    Attributes
    ----------
    mesh : Mesh
        Of the state's first ``n`` numbers and the first ``n_parameters`` parameters.
    step : Region
        (state, target, parameters) -> state
    times : tuple of int
        Where the time, and its tangents, stand in a state. A target has as many numbers.
    rows : int
        How many states the result has.
    chosen : bool
        Are there targets among the arguments?
    """

    def __init__(self, mesh: Mesh, step: Region, n: int, n_parameters: int, rows: int, chosen: bool, times: tuple[int, ...] = (0,)) -> None:
        self.mesh, self.step, self.n, self.n_parameters = mesh, step, n, n_parameters
        self.rows, self.chosen, self.times = rows, chosen, times

    @property
    def key(self) -> tuple[Any, ...]:
        return self.mesh, self.step, self.n, self.n_parameters, self.rows, self.chosen, self.times

    def __eq__(self, other: object) -> bool:
        return self is other or (type(self) is type(other) and isinstance(other, Trajectory) and self.key == other.key)

    def __hash__(self) -> int:
        return hash((self.n, self.rows, self.chosen, self.times))

    def __repr__(self) -> str:
        return "trajectory"

    @property
    def before(self) -> int:
        """How many arguments come before the parameters."""
        return 3 if self.chosen else 2

    def walk(self, state: Any, end: Any, targets: Any, parameters: Sequence[Any]) -> tuple[list[Any], Any, Any, Any]:
        """The accepted states, their shares and times, and after which of them each target comes."""
        shares = self.mesh.shares(state[0], end[0], state[1 : 1 + self.n], parameters[: self.n_parameters])
        times = (1.0 - shares)[:, None] * state[list(self.times)] + shares[:, None] * end
        states = [state]
        for time in times[1:]:
            states.append(self.step.evaluate(states[-1], time, *parameters))
        if targets is None:
            if len(states) != self.rows:
                raise errors.OtherStructure(f"the solver took {len(states) - 1} steps, not {self.rows - 1}")
            return states, shares, times, None
        sign = 1.0 if end[0] >= state[0] else -1.0
        after = np.searchsorted(sign * times[:, 0], sign * targets[:, 0], side="right") - 1
        return states, shares, times, np.clip(after, 0, len(states) - 1)

    def parts(self, arrays: Sequence[Any]) -> tuple[Any, Any, Any, list[Any]]:
        owned = [np.array(x) for x in arrays]
        return owned[0], owned[1], owned[2] if self.chosen else None, owned[self.before :]

    def evaluate(self, *arrays: Any) -> Any:
        state, end, targets, parameters = self.parts(arrays)
        states, _, times, after = self.walk(state, end, targets, parameters)
        if targets is None:
            return np.stack(states)
        return np.stack(
            [
                states[k] if np.array_equal(times[k], target) else self.step.evaluate(states[k], target, *parameters)
                for k, target in zip(after, targets, strict=True)
            ]
        )

    def pushed(self, specs: calls.Specs, given: tuple[bool, ...]) -> Trajectory:
        """The trajectory with tangents behind the states; its parameters are followed by the tangents that are given."""
        n = specs[0][0][0]
        step = pushed_step(self.step, (*specs[:1], *specs[1:2], *specs[self.before :]), given[self.before :])
        times = (*self.times, *[n + t for t in self.times])
        return Trajectory(self.mesh, step, self.n, self.n_parameters, self.rows, self.chosen, times)

    def moved(self, args: Sequence[Any], given: Sequence[bool], tangents: Sequence[Any]) -> list[Any]:
        """The arguments of the pushed trajectory."""
        left = iter(tangents)
        moves = [next(left) if use else None for use in given]
        joined = [
            np.concatenate([x, np.zeros(x.shape) if t is None else t], axis=-1)
            for x, t in zip(args[: self.before], moves[: self.before], strict=True)
        ]
        return [*joined, *args[self.before :], *[t for t in moves[self.before :] if t is not None]]

    def tangent_program(self, specs: Sequence[Any], given: tuple[bool, ...], place: Any) -> Any:
        rule = self.pushed(tuple(specs[1:]), given)
        trace = calls.rule_trace()
        with trace:
            y, *args = calls.inputs(trace, tuple(specs))
            tangents = calls.inputs(trace, tuple(s for s, use in zip(specs[1:], given, strict=True) if use))
            n = y.shape[1]
            both = trace.call_program(rule, self.moved(args, given, tangents), [], [], (self.rows, 2 * n), np.float64)
            return calls.finished(trace, [both[:, n:]], repr(self))

    def adjoint_program(self, specs: Sequence[Any], wanted: tuple[bool, ...], place: Any) -> Any:
        trace = calls.rule_trace()
        with trace:
            g, _, *args = calls.inputs(trace, (specs[0], *specs))
            return calls.finished(trace, called_back(trace, self, wanted, [g, *args], args), repr(self))


def called_back(trace: Any, forward: Trajectory, wanted: tuple[bool, ...], args: Sequence[Any], like: Sequence[Any]) -> list[Any]:
    """Record the adjoints of a trajectory's arguments that are wanted."""
    kept = [x for x, use in zip(like, wanted, strict=True) if use]
    n = sum(size(x.shape) for x in kept)
    return unpack(trace.call_program(TrajectoryAdjoint(forward, wanted), list(args), [], [], (n,), np.float64), kept)


class TrajectoryAdjoint:
    """The rule of a trajectory's adjoint: (adjoint of the result, arguments) -> the packed adjoints of the arguments wanted."""

    def __init__(self, forward: Trajectory, wanted: tuple[bool, ...]) -> None:
        self.forward, self.wanted = forward, wanted

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TrajectoryAdjoint) and (self.forward, self.wanted) == (other.forward, other.wanted)

    def __hash__(self) -> int:
        return hash((self.forward, self.wanted))

    def __repr__(self) -> str:
        return "adjoint of a trajectory"

    def evaluate(self, g: Any, *arrays: Any) -> Any:
        forward = self.forward
        state, end, targets, parameters = forward.parts(arrays)
        states, shares, times, after = forward.walk(state, end, targets, parameters)
        specs = specs_of((state, state, end, *parameters))
        back = pulled(forward.step, specs, (True, True, *self.wanted[forward.before :]))
        n, q = len(state), len(end)
        g_start, g_end, g_targets = np.zeros(q), np.zeros(q), np.zeros(() if targets is None else targets.shape)
        g_parameters: Any = 0.0
        adjoint = np.zeros(n)
        rows: list[list[int]] = [[] for _ in states]
        for row, k in enumerate([] if after is None else after):
            rows[k].append(row)
        for k in range(len(states) - 1, -1, -1):
            if k + 1 < len(states):
                found = back.evaluate(adjoint, states[k], times[k + 1], *parameters)
                adjoint, time = found[:n], found[n : n + q]
                g_end += shares[k + 1] * time
                g_start += (1.0 - shares[k + 1]) * time
                g_parameters = g_parameters + found[n + q :]
            if targets is None:
                adjoint = adjoint + g[k]
            for row in rows[k]:
                found = back.evaluate(np.array(g[row]), states[k], targets[row], *parameters)
                adjoint = adjoint + found[:n]
                g_targets[row] = found[n : n + q]
                g_parameters = g_parameters + found[n + q :]
        adjoint[list(forward.times)] += g_start
        first = [adjoint, g_end, g_targets][: forward.before]
        found = [np.ravel(x) for x, use in zip(first, self.wanted, strict=False) if use]
        if any(self.wanted[forward.before :]):
            n_parameters = sum(size(x.shape) for x, use in zip(parameters, self.wanted[forward.before :], strict=True) if use)
            found.append(np.broadcast_to(g_parameters, (n_parameters,)))
        return np.concatenate(found)

    def moved(self, trace: Any, args: Sequence[Any], given: tuple[bool, ...], tangents: Sequence[Any], seeds: Any) -> list[Any]:
        """The adjoints of the pushed trajectory's arguments with these seeds, those of the tangents left out."""
        specs = specs_of(args)
        more = self.forward.moved(args, given, tangents)
        wanted = (*self.wanted, *[False] * (len(more) - len(args)))
        found = called_back(trace, self.forward.pushed(specs, given), wanted, [seeds, *more], more)
        kept = [k for k, use in enumerate(self.wanted) if use]
        return [x[..., : args[k].shape[-1]] if k < self.forward.before else x for k, x in zip(kept, found, strict=True)]

    def tangent_program(self, specs: Sequence[Any], given: tuple[bool, ...], place: Any) -> Any:
        trace = calls.rule_trace()
        with trace:
            _, g, *args = calls.inputs(trace, tuple(specs))
            tangents = calls.inputs(trace, tuple(s for s, use in zip(specs[1:], given, strict=True) if use))
            dg = tangents.pop(0) if given[0] else np.zeros(g.shape)
            found = self.moved(trace, args, given[1:], tangents, np.concatenate([dg, g], axis=1))
            return calls.finished(trace, [pack(trace, found, flat=True)], repr(self))

    def adjoint_program(self, specs: Sequence[Any], wanted: tuple[bool, ...], place: Any) -> Any:
        forward = self.forward
        trace = calls.rule_trace()
        with trace:
            w, _, g, *args = calls.inputs(trace, (specs[0], *specs))
            along = unpack(w, [x for x, use in zip(args, self.wanted, strict=True) if use])
            outputs = []
            if wanted[0]:
                more = forward.moved(args, self.wanted, along)
                n = g.shape[1]
                rule = forward.pushed(specs_of(args), self.wanted)
                outputs.append(trace.call_program(rule, more, [], [], (forward.rows, 2 * n), np.float64)[:, n:])
            if any(wanted[1:]):
                by_args = TrajectoryAdjoint(forward, wanted[1:])
                outputs += by_args.moved(trace, args, self.wanted, along, np.concatenate([np.zeros(g.shape), g], axis=1))
            return calls.finished(trace, outputs, repr(self))


@functools.lru_cache(maxsize=256)
def pushed_step(step: Region, specs: calls.Specs, given: tuple[bool, ...]) -> Region:
    """(state and tangent, target and tangent, parameters, tangents given) -> state and tangent."""
    program, _ = engine.derived(step.program, "push forward", (0, 1, *[k + 2 for k, use in enumerate(given) if use]))
    (n,), (q,) = specs[0][0], specs[1][0]
    moving = tuple(s for s, use in zip(specs[2:], given, strict=True) if use)
    trace = calls.rule_trace()
    with trace:
        state, target, *rest = calls.inputs(trace, (((2 * n,), "f64"), ((2 * q,), "f64"), *specs[2:], *moving))
        parameters, tangents = rest[: len(given)], rest[len(given) :]
        found = trace.inline(program, [state[:n], target[:q], *parameters, state[n:], target[q:], *tangents], [], [])
        return region_of(calls.finished(trace, [np.concatenate(found)], "a trajectory"))
