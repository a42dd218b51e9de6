"""Initial value problems inside differentiated functions: SciPy chooses the steps on values, a trajectory takes them.

Explicit Runge-Kutta methods take their own steps. For the implicit ones, Radau's: three stages of collocation, order 5, each step an
equation for the implicit function theorem.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.integrate
import scipy.optimize
from scipy.integrate._ivp import dop853_coefficients, rk

from .. import errors
from ..front import calls, rebind
from ..front.nested import pack, size
from ..tracer import array as traced
from ..transforms.checkpoint import Recorded, region_of
from . import implicit
from .implicit import Part, Solve, concerns, specs_of, vector_of
from .solutions import tuple_of
from .trajectory import Mesh, Trajectory

TABLEAUS = {
    "RK23": (rk.RK23.A, rk.RK23.B, rk.RK23.C),
    "RK45": (rk.RK45.A, rk.RK45.B, rk.RK45.C),
    "DOP853": (
        dop853_coefficients.A[: dop853_coefficients.N_STAGES, : dop853_coefficients.N_STAGES],
        dop853_coefficients.B,
        dop853_coefficients.C[: dop853_coefficients.N_STAGES],
    ),
}
ROOT6 = 6**0.5
RADAU = (
    np.array(
        [
            [(88 - 7 * ROOT6) / 360, (296 - 169 * ROOT6) / 1800, (-2 + 3 * ROOT6) / 225],
            [(296 + 169 * ROOT6) / 1800, (88 + 7 * ROOT6) / 360, (-2 - 3 * ROOT6) / 225],
            [(16 - ROOT6) / 36, (16 + ROOT6) / 36, 1 / 9],
        ]
    ),
    np.array([(4 - ROOT6) / 10, (4 + ROOT6) / 10, 1.0]),
)
IMPLICIT_METHODS = ("Radau", "BDF", "LSODA")
DERIVATIVE_LOOKS = "the right-hand side of solve_ivp looks at a value"
NEWTON_MAX = 25


class RightHandSide:
    """f of a time and a state: its program, or, when it looks at values, f itself."""

    def __init__(self, f: Callable[..., Any], t: Any, y: Any) -> None:
        self.f = f
        trace = traced.open_trace()
        time = traced.scalar_of(traced.as_traced(trace, t if traced.is_traced(t) else np.array(t, dtype=np.float64)))
        self.program: Any = None
        self.parameters: list[Any] = []
        try:
            recorded = Recorded(lambda y, t: pack(traced.open_trace(), [vector_of(f(t, y))], flat=True), (y, time), {}, DERIVATIVE_LOOKS)
        except errors.AdcoreError as error:
            if DERIVATIVE_LOOKS not in str(error):
                raise
            return
        nested = recorded.nested
        nested.refuse_writes("the right-hand side of solve_ivp")
        self.program = recorded.program
        self.parameters = [*nested.inputs[2:], *[traced.as_traced(trace, c) for c in nested.trace.consts], *nested.trace.scalars]
        self.parameters = [x if traced.is_traced(x) else traced.as_traced(trace, np.array(x)) for x in self.parameters]

    def on_values(self) -> Callable[..., Any]:
        if self.program is None:
            return lambda t, y: np.array(traced.known_value(vector_of(self.f(t, np.array(y)))))
        region, values = region_of(self.program), [np.array(traced.known_value(x)) for x in self.parameters]
        return lambda t, y: region.evaluate(np.array(y, dtype=np.float64, order="C"), np.array(t, dtype=np.float64), *values)


def inlined(program: Any, parameters: Sequence[Any]) -> Callable[..., Any]:
    """A right-hand side for the recording that is open."""

    def f(t: Any, y: Any) -> Any:
        trace = traced.open_trace()
        return trace.inline(program, [y, traced.as_traced(trace, t), *parameters], [], [])[0]

    return f


def newton(start: Any, part: Part) -> Any:
    """The stages of an implicit step."""
    z = start[0]
    for _ in range(NEWTON_MAX):
        move = implicit.solved(("solve_ivp", False), part.jacobian(z), part.at(z))
        z = z - move
        if np.max(np.abs(move), initial=0.0) <= 1e-10 * np.max(np.abs(z), initial=1e-6):
            return z
    raise errors.NotConverged("an implicit step of solve_ivp did not converge: ask for smaller tolerances or a smaller max_step")


def stepped(f: Callable[..., Any], method: str, t: Any, y: Any, h: Any) -> Any:
    """One step of an explicit Runge-Kutta method, or of Radau's."""
    if method in IMPLICIT_METHODS:
        return collocated(f, t, y, h)
    a, b, c = TABLEAUS[method]
    stages: list[Any] = []
    for i in range(len(b)):
        move = sum((float(a[i, j]) * k for j, k in enumerate(stages) if a[i, j]), start=0.0)
        stages.append(f(t + float(c[i]) * h, y + h * move if i else y))
    return y + h * sum((float(w) * k for w, k in zip(b, stages, strict=True) if w), start=0.0)


def collocated(f: Callable[..., Any], t: Any, y: Any, h: Any) -> Any:
    """One step of Radau's method: what the stages add to y solves ``z = h A f(y + z)``."""
    a, c = RADAU
    n = size(y.shape)

    def residual(z: Any) -> Any:
        slopes = [f(t + float(c[i]) * h, y + z[i * n : (i + 1) * n]) for i in range(3)]
        return z - h * np.concatenate([sum(float(a[i, j]) * slopes[j] for j in range(3)) for i in range(3)])

    return y + implicit.solution(Solve("an implicit step", newton, ()), [residual], np.zeros(3 * n), [np.zeros(3 * n)])[2 * n :]


def solver_options(options: dict[str, Any]) -> dict[str, Any]:
    """What is left to SciPy's choice of steps: Jacobians are ours."""
    return {k: v for k, v in options.items() if k in ("rtol", "atol", "first_step", "max_step")}


class Choice:
    """SciPy's choice of steps for a program."""

    def __init__(self, region: Any, method: str, options: dict[str, Any]) -> None:
        self.region, self.method, self.options = region, method, options

    def __call__(self, start: float, end: float, y0: Any, parameters: Sequence[Any]) -> Any:
        region, kept = self.region, [np.array(p) for p in parameters]

        def arguments(t: float, y: Any) -> list[Any]:
            return [np.array(y, dtype=np.float64, order="C"), np.array(t, dtype=np.float64), *kept]

        more = dict(self.options)
        if self.method == "Radau":

            def jac(t: float, y: Any) -> Any:
                given = arguments(t, y)
                found = implicit.jacobian_of(region, specs_of(given)).evaluate(*given)
                return np.diag(found) if found.ndim == 1 else found

            more["jac"] = jac
        return accepted(lambda t, y: region.evaluate(*arguments(t, y)), float(start), float(end), y0, self.method, more)


def accepted(f: Callable[..., Any], start: float, end: float, y0: Any, method: str, options: dict[str, Any]) -> Any:
    """The times of the steps that SciPy's solver accepts."""
    found = scipy.integrate.solve_ivp(f, (start, end), np.array(y0), method, **options)
    if not found.success:
        raise errors.NotConverged(f"solve_ivp did not reach the end: {found.message}")
    return found.t


class Solution:
    """A solution between two times, traced or not: states at accepted times, or at any.

    ``states(targets)`` gives the times and states as rows, at the targets or at all accepted times.
    """

    def __init__(self, right: RightHandSide, method: str, t0: Any, t1: Any, y: Any, options: dict[str, Any]) -> None:
        self.right, self.method, self.ends, self.y = right, method, (t0, t1), y
        self.trace = trace = traced.open_trace()
        self.chosen_by = "Radau" if method in IMPLICIT_METHODS else method
        self.options = options
        self.n = size(y.shape)
        start, end = (np.reshape(traced.as_traced(trace, np.array(t, dtype=np.float64) if not traced.is_traced(t) else t), (1,))
                      for t in (t0, t1))  # fmt: skip
        self.first, self.end = np.concatenate([start, y]), end
        if right.program is None:
            if trace.surroundings is not None:
                trace.surroundings.changes(f"{DERIVATIVE_LOOKS}: its steps are recorded one by one, anew at each call")
            self.times, self.recorded = self.step_by_step()
            return
        region = region_of(right.program)
        self.mesh = Mesh(Choice(region, self.chosen_by, options), region, (self.chosen_by, options))
        self.step = region_of(self.program_of_step())

    def program_of_step(self) -> Any:
        """(time and state, target, parameters) -> time and state."""
        trace = calls.rule_trace()
        with trace:
            state, target, *parameters = calls.inputs(trace, (*specs_of((self.first, self.end)), *specs_of(self.right.parameters)))
            y = stepped(inlined(self.right.program, parameters), self.method, state[0], state[1:], target[0] - state[0])
            return calls.finished(trace, [np.concatenate([target, y])], "a step of solve_ivp")

    def step_by_step(self) -> tuple[Any, list[Any]]:
        """The accepted times and recorded states of a right-hand side that looks at values."""
        t0, t1 = self.ends
        start, end = (float(traced.known_value(t)) for t in self.ends)
        on_values = self.right.on_values()
        times = accepted(on_values, start, end, traced.known_value(self.y), self.chosen_by, self.options)
        moving = traced.is_traced(t0) or traced.is_traced(t1)
        mesh = [t0 + (t - start) / (end - start) * (t1 - t0) if moving else float(t) for t in times]
        states = [self.first]
        for now, then in itertools.pairwise(mesh):
            y = stepped(self.right.f, self.method, now, states[-1][1:], then - now)
            states.append(np.concatenate([np.reshape(traced.as_traced(self.trace, then), (1,)), y]))
        return times, states

    def n_accepted(self) -> int:
        if self.right.program is None:
            return len(self.recorded)
        state, end, *parameters = map(traced.known_value, (self.first, self.end, *self.right.parameters))
        return len(self.mesh.shares(state[0], end[0], state[1:], parameters))

    def states(self, targets: Any = None) -> Any:
        if self.right.program is None:
            return self.from_recorded(targets)
        rows = self.n_accepted() if targets is None else targets.shape[0]
        rule = Trajectory(self.mesh, self.step, self.n, len(self.right.parameters), rows, targets is not None)
        more = [] if targets is None else [traced.as_traced(self.trace, np.reshape(targets, (rows, 1)))]
        return self.trace.call_program(rule, [self.first, self.end, *more, *self.right.parameters], [], [], (rows, self.n + 1), np.float64)

    def from_recorded(self, targets: Any) -> Any:
        if targets is None:
            return np.stack(self.recorded)
        sign = 1.0 if self.times[-1] >= self.times[0] else -1.0
        rows = []
        for k in range(targets.shape[0]):
            value = float(traced.known_value(targets[k]))
            before = int(np.searchsorted(sign * self.times, sign * value, side="right")) - 1
            rows.append(self.after(self.recorded[min(max(before, 0), len(self.times) - 1)], targets[k]))
        return np.stack(rows)

    def after(self, state: Any, time: Any) -> Any:
        """The state at a time, by one step from another."""
        f = self.right.f if self.right.program is None else inlined(self.right.program, self.right.parameters)
        y = stepped(f, self.method, state[0], state[1:], time - state[0])
        return np.concatenate([np.reshape(traced.as_traced(traced.open_trace(), time), (1,)), y])

    def __call__(self, t: Any) -> Any:
        """As SciPy's OdeSolution: the state at a time, or a column for each of several."""
        if isinstance(t, (list, tuple)):
            t = np.stack(t) if traced.find_trace(t) is not None else np.array(t, dtype=np.float64)
        found = self.states(traced.as_traced(self.trace, np.reshape(t, (-1,)) if np.shape(t) else np.reshape(t, (1,))))
        return np.swapaxes(found[:, 1:], 0, 1) if np.shape(t) else found[0, 1:]


def inside_solve_ivp(
    fun: Any, t_span: Any, y0: Any, method: Any = "RK45", t_eval: Any = None, dense_output: bool = False, events: Any = None,
    vectorized: bool = False, args: Any = None, **options: Any,
) -> Any:  # fmt: skip
    extra = () if args is None else tuple(args)
    t0, t1 = t_span
    y0 = y0 if traced.is_traced(y0) else np.stack(y0) if traced.find_trace(y0) is not None else np.array(y0, dtype=np.float64)

    def bound(g: Any) -> Callable[..., Any]:
        return lambda t, y: rebind.rebound(g, traced.open_trace())(t, y, *extra)

    f = bound(fun)
    watched = [] if events is None else [events] if callable(events) else list(events)
    probed: list[Any] = []
    if traced.find_trace((y0, t0)) is None:
        probed = [lambda t, g=g: g(float(t), np.array(y0)) for g in (f, *map(bound, watched))]
    evaluated = [] if t_eval is None else [t_eval] if traced.is_traced(t_eval) else list(t_eval)
    if not concerns(probed, 0.0 if not probed else t0, t1, t0, y0, *extra, *evaluated):
        return None
    if not isinstance(method, str) or method not in (*TABLEAUS, *IMPLICIT_METHODS):
        raise errors.NotDifferentiable(
            f"{traced.where_text()}solve_ivp(method={method!r}) has no derivative; {', '.join((*TABLEAUS, *IMPLICIT_METHODS))} have: take "
            "one of them, or wrap the parameters in adcore.stop_gradient"
        )
    if (isinstance(y0, np.ndarray) and y0.dtype.kind == "c") or traced.holds_complex([y0]):
        implicit.refuse("scipy.integrate.solve_ivp with complex values")
    trace = traced.open_trace()
    y = traced.as_traced(trace, y0)
    right = RightHandSide(f, t0, y)
    options = solver_options(options)
    if method == "LSODA" and not is_stiff(right, t0, t1, y, options):
        method = "DOP853"
    targets = None
    if t_eval is not None:
        targets = t_eval if traced.is_traced(t_eval) else np.stack(evaluated) if traced.find_trace(evaluated) else np.array(t_eval, float)
    if watched:
        return with_events(right, [(g, bound(g)) for g in watched], method, t0, t1, y, targets, dense_output, options)
    solution = Solution(right, method, t0, t1, y, options)
    if targets is None:
        rows = solution.states()
        return result(rows[:, 0], rows[:, 1:], solution if dense_output else None)
    rows = solution.states(traced.as_traced(trace, targets)) if np.size(targets) else None
    return result(targets, np.zeros((0, solution.n)) if rows is None else rows[:, 1:], solution if dense_output else None)


def result(t: Any, rows: Any, sol: Any, **more: Any) -> Any:
    report = {"t_events": None, "y_events": None, "success": True, "status": 0, "message": "the end was reached"} | more
    return scipy.optimize.OptimizeResult(t=t, y=np.swapaxes(rows, 0, 1), sol=sol, **report)


def with_events(
    right: RightHandSide, events: Sequence[Any], method: str, t0: Any, t1: Any, y: Any, targets: Any, dense: bool, options: dict[str, Any]
) -> Any:
    """A solution up to the event that ends it, and the times and states of all events: roots of their functions along the solution."""
    trace = traced.open_trace()
    if traced.is_traced(t0) or traced.is_traced(t1):
        implicit.refuse("scipy.integrate.solve_ivp with events and times")
    if trace.surroundings is not None:
        trace.surroundings.changes("which events solve_ivp meets depends on values: it is recorded anew at each call")
    start, end = float(t0), float(t1)

    def watching(plain: Any, g: Callable[..., Any]) -> Callable[..., Any]:
        def of(t: float, y: Any) -> float:
            return float(np.reshape(traced.known_value(g(t, np.array(y))), ()))

        for name in ("terminal", "direction"):
            setattr(of, name, getattr(plain, name, False if name == "terminal" else 0))
        return of

    found = scipy.integrate.solve_ivp(
        right.on_values(), (start, end), np.array(traced.known_value(y)), "Radau" if method in IMPLICIT_METHODS else method,
        events=[watching(plain, g) for plain, g in events], **options,
    )  # fmt: skip
    if not found.success:
        raise errors.NotConverged(f"solve_ivp did not reach the end: {found.message}")
    ended = found.status == 1
    times = found.t[:-1] if ended else found.t
    solution = Solution(right, method, start, float(times[-1]), y, options)
    states = solution.states(traced.as_traced(trace, times))
    sign = 1.0 if end >= start else -1.0

    def root(g: Callable[..., Any], time: float) -> Any:
        """The state at an event, whose time solves the event's equation."""
        before = int(np.searchsorted(sign * times, sign * time, side="left")) - 1
        state = states[max(before, 0)]

        def residual(t: Any) -> Any:
            at = solution.after(state, t)
            return g(t, at[1:])

        t = implicit.solution(Solve("an event of solve_ivp", event_time, ()), [residual], time, [time])
        return solution.after(state, t)

    met = [[root(g, float(t)) for t in at] for (_, g), at in zip(events, found.t_events, strict=True)]
    t_events = [np.stack([state[0] for state in row]) if row else np.zeros(0) for row in met]
    y_events = [np.stack([state[1:] for state in row]) if row else np.zeros((0, solution.n)) for row in met]
    rows = states
    if ended:
        by_time = {float(t): state for row, at in zip(met, found.t_events, strict=True) for state, t in zip(row, at, strict=True)}
        last = by_time[float(found.t[-1])]
        rows = np.concatenate([states, np.reshape(last, (1, -1))])
    if targets is not None:
        kept = sign * np.array(traced.known_value(targets)) <= sign * found.t[-1]
        targets = traced.as_traced(trace, targets)[np.flatnonzero(kept)]
        rows = solution.states(targets) if targets.shape[0] else np.zeros((0, solution.n + 1))
    report = {"t_events": t_events, "y_events": y_events, "status": found.status, "message": found.message}
    return result(rows[:, 0], rows[:, 1:], solution if dense else None, **report)


def event_time(start: Any, part: Part) -> Any:
    """The root that SciPy has found, to the last digits."""
    t = np.reshape(np.asarray(start[0], dtype=np.float64), (1,))
    for _ in range(NEWTON_MAX):
        move = implicit.solved(("an event of solve_ivp", False), part.jacobian(t), part.at(t))
        t = t - move
        if np.abs(move[0]) <= 1e-12 * (1.0 + np.abs(t[0])):
            break
    return t


def is_stiff(right: RightHandSide, t0: Any, t1: Any, y: Any, options: dict[str, Any]) -> bool:
    """Does LSODA choose its implicit methods?"""
    if not all(map(traced.has_values, [x for x in (t0, t1, y, *right.parameters) if traced.is_traced(x)])):
        return True
    ends = [float(traced.known_value(t)) for t in (t0, t1)]
    report = scipy.integrate.odeint(
        right.on_values(), np.array(traced.known_value(y)), ends, tfirst=True, full_output=True,
        rtol=options.get("rtol", 1e-3), atol=options.get("atol", 1e-6),
    )[1]  # fmt: skip
    return bool(np.any(report["mused"] == 2))


def inside_odeint(
    func: Any, y0: Any, t: Any, args: Any = (), Dfun: Any = None, col_deriv: Any = 0, full_output: Any = 0, ml: Any = None, mu: Any = None,
    rtol: Any = None, atol: Any = None, tcrit: Any = None, h0: float = 0.0, hmax: float = 0.0, hmin: float = 0.0, ixpr: Any = 0,
    mxstep: Any = 0, mxhnil: Any = 0, mxordn: Any = 12, mxords: Any = 5, printmessg: Any = 0, tfirst: bool = False,
) -> Any:  # fmt: skip
    args = tuple_of(args)

    def f(now: Any, y: Any, *more: Any) -> Any:
        return rebind.rebound(func, traced.open_trace())(*((now, y) if tfirst else (y, now)), *more)

    if np.shape(y0) == ():
        y0 = np.reshape(y0, (1,))
    tolerances: dict[str, Any] = {"rtol": 1.49012e-8 if rtol is None else rtol, "atol": 1.49012e-8 if atol is None else atol}
    found = inside_solve_ivp(f, (t[0], t[-1]), y0, "LSODA", t, args=args, **tolerances)
    if found is None:
        return None
    if full_output:
        implicit.refuse("scipy.integrate.odeint with full_output")
    return np.swapaxes(found.y, 0, 1)
