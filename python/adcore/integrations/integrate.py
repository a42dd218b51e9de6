"""scipy.integrate inside differentiated functions: samples, quadrature, and initial value problems.

Outside of a recording, and where nothing that is given or read belongs to one, these are SciPy's functions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.integrate

from .. import errors
from ..front import calls
from ..front.nested import pack, size, unpack
from ..rules import same
from ..tracer import array as traced
from ..transforms.checkpoint import Recorded, Region, pulled, pushed, region_of
from . import implicit
from .implicit import concerns, specs_of, vector_of
from .initial import inside_odeint, inside_solve_ivp
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

    def reads(self, k: int) -> bool:
        return k < 2 or self.region.reads(k - 1)

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
    fun, t_span, y0, method, t_eval, dense_output, events, args, rtol, atol, max_step, first_step
        As for SciPy's. Inside a recording method is a name, and a Jacobian that is given is not used.

    Returns
    -------
    scipy.optimize.OptimizeResult

    Raises
    ------
    NotDifferentiable
        Inside a recording: a solver class of your own, complex values, or events where a time is differentiated.
    NotConverged
        The solver did not reach the end, or an implicit step has no solution near its start.

    Notes
    -----
    Derivatives are those of the discrete solution: SciPy chooses the steps on values, then the accepted steps are
    differentiated as they are, exactly, in both modes and of every order, with the steps held fixed. With
    traced times the steps keep their proportions. A value at t_eval, or of the dense output, comes from a step of its own, from the
    accepted time before it, not from the method's interpolant. The times of events are roots, differentiated as such.

    Inside a recording "Radau", "BDF" and "LSODA" where it finds the problem stiff (DOP853 otherwise) are steps of Radau's method,
    each solved by Newton's to rounding with exact Jacobians of f.

    A solution is one operation: a gradient keeps the accepted states and runs each step once more, backwards. A compiled
    function replays it, and its solver chooses the steps anew. It is recorded anew at each call where there are events or
    f branches on values, and where all accepted times are asked for (no t_eval) when their number changes.

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
    Inside a recording DOP853 takes the place of LSODA, at the same tolerances, and Radau's method where LSODA finds the equations stiff.

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
