"""scipy.integrate inside differentiated functions: samples, quadrature, and initial value problems.

Outside of a recording, and where nothing that is given or read belongs to one, these are SciPy's functions.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.integrate
import scipy.optimize
from scipy.integrate._ivp import dop853_coefficients, rk

from .. import errors
from ..front import calls, rebind
from ..front.nested import pack, size, unpack
from ..rules import same
from ..tracer import array as traced
from ..transforms.checkpoint import Recorded, Region, pulled, pushed, region_of
from . import implicit
from .implicit import concerns, specs_of, vector_of
from .sampled import SAMPLED
from .solutions import of_unknown, tuple_of

# -- quadrature -----------------------------------------------------------------------------------

INTEGRAND_LOOKS = "the integrand of quad looks at a value of its variable: it is recorded once for all of them. Use np.where instead of if."


class Quad:
    """The rule of an integral. Its arguments are the limits and the parameters, its value that of a vector of integrands."""

    def __init__(self, region: Region, options: dict[str, Any]) -> None:
        self.region, self.options = region, options

    def __repr__(self) -> str:
        return "quad"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quad) and self.region == other.region and same(self.options, other.options)

    def __hash__(self) -> int:
        return hash(self.region)

    def evaluate(self, a: Any, b: Any, *parameters: Any) -> Any:
        kept = [np.array(p) for p in parameters]

        def at(t: float) -> Any:
            return self.region.evaluate(np.array(t), *kept)

        first = at(0.5 * (float(a) + float(b)) if np.isfinite(a) and np.isfinite(b) else 1.0)
        if len(first) == 1:
            return np.array([scipy.integrate.quad(lambda t: at(t)[0], float(a), float(b), **self.options)[0]])
        # at absolute tolerance 0 an adjoint that is zero would never be found
        return scipy.integrate.quad_vec(at, float(a), float(b), norm="max", **self.options)[0]

    def integral(self, trace: Any, region: Region, n: int, a: Any, b: Any, parameters: Sequence[Any]) -> Any:
        return trace.call_program(Quad(region, self.options), [a, b, *parameters], [], [], (n,), np.float64)

    def inner(self, specs: calls.Specs) -> calls.Specs:
        """Of the integrand: its result, its variable, the parameters."""
        return (specs[0], specs[1], *specs[3:])

    def tangent_program(self, specs: Sequence[Any], given: tuple[bool, ...], place: Any) -> Any:
        trace = calls.rule_trace()
        with trace:
            y, a, b, *parameters = calls.inputs(trace, tuple(specs))
            moves = calls.inputs(trace, tuple(s for s, use in zip(specs[1:], given, strict=True) if use))
            total: Any = np.zeros(y.shape)
            for k, (end, sign) in enumerate(((a, -1.0), (b, 1.0))):
                if given[k]:
                    total = total + sign * moves.pop(0) * trace.inline(self.region.program, [end, *parameters], [], [])[0]
            if moves:
                region = pushed(self.region, self.inner(tuple(specs)), (False, *given[2:]))
                total = total + self.integral(trace, region, y.shape[0], a, b, [*parameters, *moves])
            return calls.finished(trace, [total], repr(self))

    def adjoint_program(self, specs: Sequence[Any], wanted: tuple[bool, ...], place: Any) -> Any:
        trace = calls.rule_trace()
        with trace:
            g, _, a, b, *parameters = calls.inputs(trace, (specs[0], *specs))
            found = []
            for k, (end, sign) in enumerate(((a, -1.0), (b, 1.0))):
                if wanted[k]:
                    found.append(sign * np.sum(g * trace.inline(self.region.program, [end, *parameters], [], [])[0]))
            if any(wanted[2:]):
                like = [p for p, use in zip(parameters, wanted[2:], strict=True) if use]
                back = flat_adjoint(pulled(self.region, self.inner(tuple(specs)), (False, *wanted[2:])), specs_of((g, a, *parameters)))
                packed = self.integral(trace, back, sum(size(p.shape) for p in like), a, b, [g, *parameters])
                found += unpack(packed, like)
            return calls.finished(trace, found, repr(self))


def flat_adjoint(region: Region, specs: calls.Specs) -> Region:
    """From (g, variable, parameters) -> adjoints: (variable, g, parameters) -> the same as one vector."""
    trace = calls.rule_trace()
    with trace:
        t, g, *parameters = calls.inputs(trace, (specs[1], specs[0], *specs[2:]))
        packed = trace.inline(region.program, [g, t, *parameters], [], [])[0]
        return region_of(calls.finished(trace, [np.reshape(packed, (size(packed.shape),))], "quad"))


def inside_quad(
    func: Any, a: Any, b: Any, args: Any = (), full_output: int = 0, epsabs: float = 1.49e-8, epsrel: float = 1.49e-8, limit: int = 50,
    points: Any = None, weight: Any = None, **options: Any,
) -> Any:  # fmt: skip
    args = tuple_of(args)
    f = of_unknown(func, args)
    ends = [float(x) for x in (a, b) if not traced.is_traced(x)]
    start = 0.5 * sum(ends) if len(ends) == 2 and np.all(np.isfinite(ends)) else next((x for x in ends if np.isfinite(x)), 0.5)
    if not concerns([f], start, a, b, *args):
        return None
    if weight is not None or full_output or options:
        implicit.refuse("scipy.integrate.quad with weight= or full_output=")
    trace = traced.open_trace()

    def integrand(t: Any) -> Any:
        y = vector_of(f(t))
        if y.shape != (1,):
            raise errors.ArgumentError(f"{traced.where_text()}the integrand of quad must return a number")
        return pack(traced.open_trace(), [y], flat=True)

    recorded = Recorded(integrand, (traced.scalar_of(traced.as_traced(trace, np.array(start))),), {}, INTEGRAND_LOOKS)
    nested = recorded.nested
    more = {"epsabs": epsabs, "epsrel": epsrel, "limit": limit} | ({} if points is None else {"points": points})
    limits = [x if traced.is_traced(x) else traced.as_traced(trace, np.array(x, dtype=np.float64)) for x in (a, b)]
    rule = Quad(region_of(recorded.program), more)
    y = trace.call_program(rule, [*limits, *nested.inputs[1:]], nested.trace.consts, nested.trace.scalars, (1,), np.float64)
    return y[0], epsabs


# -- initial value problems -----------------------------------------------------------------------------

TABLEAUS = {
    "RK23": (rk.RK23.A, rk.RK23.B, rk.RK23.C),
    "RK45": (rk.RK45.A, rk.RK45.B, rk.RK45.C),
    "DOP853": (
        dop853_coefficients.A[: dop853_coefficients.N_STAGES, : dop853_coefficients.N_STAGES],
        dop853_coefficients.B,
        dop853_coefficients.C[: dop853_coefficients.N_STAGES],
    ),
}
DERIVATIVE_LOOKS = "the right-hand side of solve_ivp looks at a value"


class RightHandSide:
    """f of a time and a state: its program, or, when it looks at values, f itself."""

    def __init__(self, f: Callable[..., Any], t: Any, y: Any) -> None:
        self.f = f
        trace = traced.open_trace()
        time = traced.scalar_of(traced.as_traced(trace, t if traced.is_traced(t) else np.array(t, dtype=np.float64)))
        self.program: Any = None
        self.parameters: list[Any] = []
        try:
            recorded = Recorded(lambda t, y: pack(traced.open_trace(), [vector_of(f(t, y))], flat=True), (time, y), {}, DERIVATIVE_LOOKS)
        except errors.AdcoreError as error:
            if DERIVATIVE_LOOKS not in str(error):
                raise
            return
        nested = recorded.nested
        nested.refuse_writes("the right-hand side of solve_ivp")
        self.program = recorded.program
        self.parameters = [*nested.inputs[2:], *[traced.as_traced(trace, c) for c in nested.trace.consts], *nested.trace.scalars]
        self.parameters = [x if traced.is_traced(x) else traced.as_traced(trace, np.array(x)) for x in self.parameters]

    def __call__(self, t: Any, y: Any) -> Any:
        """Recorded."""
        if self.program is None:
            return vector_of(self.f(t, y))
        trace = traced.open_trace()
        time = t if traced.is_traced(t) else traced.as_traced(trace, np.array(t, dtype=np.float64))
        return trace.inline(self.program, [time, y, *self.parameters], [], [])[0]

    def on_values(self) -> Callable[..., Any]:
        if self.program is None:
            return lambda t, y: np.array(traced.known_value(vector_of(self.f(t, np.array(y)))))
        region = region_of(self.program)
        values = [np.array(traced.known_value(x)) for x in self.parameters]
        return lambda t, y: region.evaluate(np.array(t, dtype=np.float64), np.array(y, dtype=np.float64, order="C"), *values)


def stepped(f: Callable[..., Any], method: str, t: Any, y: Any, h: Any) -> Any:
    """One explicit Runge-Kutta step."""
    a, b, c = TABLEAUS[method]
    stages: list[Any] = []
    for i in range(len(b)):
        move = sum((float(a[i, j]) * k for j, k in enumerate(stages) if a[i, j]), start=0.0)
        stages.append(f(t + float(c[i]) * h, y + h * move if i else y))
    return y + h * sum((float(w) * k for w, k in zip(b, stages, strict=True) if w), start=0.0)


def inside_solve_ivp(
    fun: Any, t_span: Any, y0: Any, method: Any = "RK45", t_eval: Any = None, dense_output: bool = False, events: Any = None,
    vectorized: bool = False, args: Any = None, **options: Any,
) -> Any:  # fmt: skip
    extra = () if args is None else tuple(args)
    t0, t1 = t_span
    y0 = y0 if traced.is_traced(y0) else np.stack(y0) if traced.find_trace(y0) is not None else np.array(y0, dtype=np.float64)

    def f(t: Any, y: Any) -> Any:
        return rebind.rebound(fun, traced.open_trace())(t, y, *extra)

    probed = [] if traced.find_trace((y0, t0)) is not None else [lambda t: f(float(t), np.array(y0))]
    evaluated = [] if t_eval is None else [t_eval] if traced.is_traced(t_eval) else list(t_eval)
    if not concerns(probed, 0.0 if not probed else t0, t1, t0, y0, *extra, *evaluated):
        return None
    if not isinstance(method, str) or method not in TABLEAUS:
        raise errors.NotDifferentiable(
            f"{traced.where_text()}solve_ivp(method={method!r}) has no derivative; RK45, RK23 and DOP853 have: take one of them, or wrap "
            "the parameters in adcore.stop_gradient"
        )
    if dense_output or events is not None:
        implicit.refuse("scipy.integrate.solve_ivp with dense_output or events")
    trace = traced.open_trace()
    if trace.surroundings is not None:
        trace.surroundings.changes("the steps of solve_ivp depend on values: they are chosen anew at each call")
    y = traced.as_traced(trace, y0)
    right = RightHandSide(f, t0, y)
    start, end = (float(traced.known_value(t)) if traced.is_traced(t) else float(t) for t in (t0, t1))
    wanted = None if t_eval is None else [float(traced.known_value(t)) if traced.is_traced(t) else float(t) for t in t_eval]
    found = scipy.integrate.solve_ivp(right.on_values(), (start, end), np.array(traced.known_value(y)), method, **options)
    if not found.success:
        raise errors.NotConverged(f"{traced.where_text()}solve_ivp did not reach the end: {found.message}")
    moving = traced.is_traced(t0) or traced.is_traced(t1)
    mesh = [t0 + (t - start) / (end - start) * (t1 - t0) if moving else float(t) for t in found.t]
    states = [y]
    for now, then in itertools.pairwise(mesh):
        states.append(stepped(right, method, now, states[-1], then - now))
    if wanted is None:
        return result(np.stack(mesh) if moving else found.t, states)
    ahead = found.t if end >= start else -found.t
    columns = []
    for t, value in zip(t_eval, wanted, strict=True):
        k = min(max(int(np.searchsorted(ahead, value if end >= start else -value, side="right")) - 1, 0), len(mesh) - 1)
        exact = value == found.t[k] and not moving and not traced.is_traced(t)
        columns.append(states[k] if exact else stepped(right, method, mesh[k], states[k], (t if traced.is_traced(t) else value) - mesh[k]))
    return result(t_eval if traced.is_traced(t_eval) else np.array(wanted), columns)


def result(t: Any, states: Sequence[Any]) -> Any:
    return scipy.optimize.OptimizeResult(
        t=t,
        y=np.stack(list(states), axis=-1),
        sol=None,
        t_events=None,
        y_events=None,
        success=True,
        status=0,
        message="the end was reached",
    )


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
    found = inside_solve_ivp(f, (t[0], t[-1]), y0, "DOP853", t, args=args, **tolerances)
    if found is None:
        return None
    if full_output:
        implicit.refuse("scipy.integrate.odeint with full_output")
    return np.swapaxes(found.y, 0, 1)


IMPLICIT: dict[str, Callable[..., Any]] = {"quad": inside_quad, "solve_ivp": inside_solve_ivp, "odeint": inside_odeint}


def sampled(name: str) -> Callable[..., Any]:
    """SciPy's function of samples; on traced ones, ours."""
    plain = getattr(scipy.integrate, name)

    @functools.wraps(plain, updated=())
    def of(*args: Any, **kwargs: Any) -> Any:
        inside = traced.open_trace() is not None and traced.find_trace((*args, *kwargs.values())) is not None
        return (SAMPLED[name] if inside else plain)(*args, **kwargs)

    return of


def solver(name: str) -> Callable[..., Any]:
    plain = getattr(scipy.integrate, name)

    def of(*args: Any, **kwargs: Any) -> Any:
        found = IMPLICIT[name](*args, **kwargs) if traced.open_trace() is not None else None
        return plain(*args, **kwargs) if found is None else found

    of.__name__ = of.__qualname__ = name
    of.__doc__ = PAGES[name]
    return of


PAGES = {
    "quad": """`scipy.integrate.quad`, whose integral may be differentiated by its limits and by all that the integrand reads.

    Parameters
    ----------
    func, a, b, args, epsabs, epsrel, limit, points
        As for SciPy's.

    Returns
    -------
    (integral, error) : tuple
        Inside a recording the error is epsabs.

    Raises
    ------
    AdcoreError
        The integrand branches on its variable inside a recording.

    Notes
    -----
    Derivatives are integrals of the integrand's derivatives (Leibniz), by quad or quad_vec at the same tolerances, of every order.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> f = lambda a: adcore.scipy.integrate.quad(lambda t: np.exp(-a * t), 0.0, np.inf)[0]
    >>> adcore.gradient(f, 2.0).round(8)
    np.float64(-0.25)
    """,
    "solve_ivp": """`scipy.integrate.solve_ivp`, whose solution may be differentiated by y0, the times and all that fun reads.

    Parameters
    ----------
    fun, t_span, y0, method, t_eval, args, rtol, atol, max_step, first_step
        As for SciPy's. Inside a recording method is "RK45", "RK23" or "DOP853".

    Returns
    -------
    scipy.optimize.OptimizeResult

    Raises
    ------
    NotDifferentiable
        Another method, events or dense output inside a recording.
    NotConverged
        The solver did not reach the end.

    Notes
    -----
    Derivatives are those of the discrete solution: SciPy chooses the steps on values, then the accepted steps are
    recorded and differentiated as they are, exactly, in both modes and of every order, with the steps held fixed. With
    traced times the steps keep their proportions. A value at t_eval comes from a step of its own, from the accepted time before it,
    not from the method's interpolant. A compiled function chooses its steps anew, and so is recorded, at each call.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> f = lambda a: adcore.scipy.integrate.solve_ivp(lambda t, y: -a * y, (0.0, 1.0), [1.0], rtol=1e-10, atol=1e-12).y[0, -1]
    >>> adcore.gradient(f, 2.0).round(8), round(-float(np.exp(-2.0)), 8)
    (np.float64(-0.13533528), -0.13533528)
    """,
    "odeint": """`scipy.integrate.odeint`, whose solution may be differentiated as that of `solve_ivp`.

    Parameters
    ----------
    func, y0, t, args, tfirst, rtol, atol
        As for SciPy's.

    Returns
    -------
    ndarray, shape (len(t), len(y0))

    Raises
    ------
    NotConverged
        The solver did not reach the end.

    Notes
    -----
    Inside a recording DOP853 takes the place of LSODA, at the same tolerances: right, but slow for stiff equations.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> f = lambda a: adcore.scipy.integrate.odeint(lambda y, t: -a * y, 1.0, [0.0, 1.0])[-1, 0]
    >>> adcore.gradient(f, 2.0).round(6)
    np.float64(-0.135335)
    """,
}
trapezoid, cumulative_trapezoid, simpson, cumulative_simpson = map(sampled, SAMPLED)
quad, solve_ivp, odeint = map(solver, IMPLICIT)
OWN = (trapezoid, cumulative_trapezoid, simpson, cumulative_simpson, quad, solve_ivp, odeint)
REBOUND = implicit.twins_of(scipy.integrate, {f.__name__: f for f in OWN})
