"""Solvers of scipy.optimize inside a recording: the equation that each of them solves, for the implicit function theorem.

Each function has the signature of SciPy's of its name, and returns None when nothing that it is given, or that its function
reads, belongs to a recording.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.optimize

from .. import errors
from ..front import rebind
from ..front.nested import size
from ..tracer import array as traced
from ..transforms.gradient import grad
from ..transforms.jacobian import jacobian
from . import implicit
from .implicit import Solve, concerns

WITHOUT_GRADIENT = ("nelder-mead", "powell", "cobyla", "cobyqa")
WITH_PRODUCTS = ("newton-cg", "trust-ncg", "trust-krylov", "trust-constr")
WITH_HESSIAN = ("dogleg", "trust-exact")
ROOT_WITH_JACOBIAN = ("hybr", "lm")


def vector(f: Callable[..., Any]) -> Callable[..., Any]:
    """f with its result as one vector: SciPy's functions may return a number or a list of numbers."""

    def flat(*args: Any, **kwargs: Any) -> Any:
        y = f(*args, **kwargs)
        return np.ravel(np.stack(y) if isinstance(y, (list, tuple)) else y)

    return flat


def tuple_of(args: Any) -> tuple[Any, ...]:
    return args if isinstance(args, tuple) else (args,)


def of_unknown(f: Callable[..., Any], args: tuple[Any, ...], kwargs: Any = None) -> Callable[..., Any]:
    """f of its first argument, under whatever recording runs when it is called."""
    return lambda x: rebind.rebound(f, traced.open_trace())(x, *args, **(kwargs or {}))


def float_like(x: Any, flat: bool = False) -> Any:
    """Where a solver starts, as floats; traced values as they are."""
    if not traced.is_traced(x):
        x = np.stack(x) if traced.find_trace(x) is not None else np.array(x, dtype=np.float64)
    return np.reshape(x, (-1,)) if flat else x[()] if isinstance(x, np.ndarray) else x


def converged(solver: str, x: Any, ok: bool, why: Any, condition: Any = None) -> Any:
    """The solution; when the solver is not content with it, only if a step of Newton's method would hardly move it."""
    if not ok and (condition is None or not condition.holds(x)):
        raise errors.NotConverged(f"{solver} did not converge ({why}), so its solution has no derivative: change its start or tolerances")
    return x


def plain_number(*candidates: Any) -> float:
    """Where a function of one unknown may be tried."""
    return next((float(x) for x in candidates if not traced.is_traced(x)), 0.5)


class Scalar:
    """What the functions for one unknown share: SciPy's function of this name with its options."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self.solver: Any = getattr(scipy.optimize, name)
        self.name, self.options = name, options

    def solve(self, f: Any, args: tuple[Any, ...], start: tuple[Any, ...], like: Any, derivatives: dict[str, Any]) -> Any:
        """The root, or None when it does not concern a recording."""
        given = {k: of_unknown(d, args) for k, d in derivatives.items() if callable(d)}
        functions = [of_unknown(f, args), *given.values()]
        if not concerns(functions, like, *args, *start):
            return None

        def run(at: Any, part: Any, *parts: Any) -> Any:
            found, *report = self.solver(part, *at, **dict(zip(given, parts, strict=True)), **self.options, full_output=True)
            done = np.all(getattr(report[0], "converged", report[0]))
            return converged(self.name, found, bool(done), "more iterations are needed")

        return implicit.solution(Solve(self.name, run, [self.options, list(given)]), functions, like, [float_like(x) for x in start])


def reported(name: str, x: Any, full_output: bool) -> Any:
    """A root as SciPy returns it."""
    if not full_output:
        return x
    report = scipy.optimize.RootResults(root=x, iterations=0, function_calls=0, flag=0, method=name)
    for count in ("iterations", "function_calls"):
        del report[count]  # known when the solver has run, which is later
    return x, report


def bracketing(name: str) -> Callable[..., Any]:
    def of(f: Any, a: Any, b: Any, args: Any = (), k: int = 1, full_output: bool = False, disp: bool = True, **options: Any) -> Any:
        if name == "toms748":
            options["k"] = k
        x = Scalar(name, options).solve(f, tuple_of(args), (a, b), plain_number(a, b), {})
        return None if x is None else reported(name, x, full_output)

    return of


BRACKETING = ("brentq", "brenth", "bisect", "ridder", "toms748")


def newton(
    func: Any, x0: Any, fprime: Any = None, args: Any = (), tol: float = 1.48e-8, maxiter: int = 50, fprime2: Any = None, x1: Any = None,
    rtol: float = 0.0, full_output: bool = False, disp: bool = True,
) -> Any:  # fmt: skip
    x0 = float_like(x0)
    options = {"tol": tol, "maxiter": maxiter, "rtol": rtol} | ({} if x1 is None else {"x1": x1})
    x = Scalar("newton", options).solve(func, tuple(args), (x0,), x0, {"fprime": fprime, "fprime2": fprime2})
    if x is None or not full_output:
        return x
    return reported("newton", x, True) if np.shape(x) == () else (x, np.ones(x.shape, bool), np.zeros(x.shape, bool))


def root_scalar(
    f: Any, args: Any = (), method: Any = None, bracket: Any = None, fprime: Any = None, fprime2: Any = None, x0: Any = None,
    x1: Any = None, xtol: Any = None, rtol: Any = None, maxiter: Any = None, options: Any = None,
) -> Any:  # fmt: skip
    own = {k: v for k, v in {"xtol": xtol, "rtol": rtol, "maxiter": maxiter}.items() if v is not None} | (options or {})
    own.pop("disp", None)
    args = tuple_of(args)
    name = method.lower() if method else "brentq" if bracket is not None else "newton" if fprime and x1 is None else "secant"
    if name in BRACKETING:
        found = IMPLICIT[name](f, *bracket, args, full_output=True, **own)
    else:
        if "xtol" in own:
            own["tol"] = own.pop("xtol")
        if fprime is True:
            f, fprime = (lambda *a, f=f: f(*a)[0]), None
        if name != "secant" and fprime is None:
            fprime = jacobian(f)
        if name == "halley" and fprime2 is None:
            fprime2 = jacobian(jacobian(f))
        derivatives = {"newton": {"fprime": fprime}, "halley": {"fprime": fprime, "fprime2": fprime2}}.get(name, {"x1": x1})
        found = newton(f, x0, args=args, full_output=True, **derivatives, **own)
    return None if found is None else found[1]


def root_of(name: str, run: Callable[..., Any], f: Any, x0: Any, args: Any, options: Any, flat: bool = True) -> Any:
    """The root of a system, with its function."""
    x0, g = float_like(x0, flat), of_unknown(f, tuple_of(args))
    if not concerns([g], x0, *tuple_of(args)):
        return None
    return implicit.solution(Solve(name, run, options), [g], x0, [x0]), g


def root(
    fun: Any, x0: Any, args: Any = (), method: str = "hybr", jac: Any = None, tol: Any = None, callback: Any = None, options: Any = None
) -> Any:
    name = method.lower()

    def run(start: Any, part: Any) -> Any:
        given = {"jac": part.matrix} if name in ROOT_WITH_JACOBIAN else {}
        more = {k: v for k, v in (options or {}).items() if k != "col_deriv"}
        result = scipy.optimize.root(part, *start, method=name, tol=tol, callback=callback, options=more, **given)
        return converged("root", result.x, result.success, result.message, part)

    if jac is True:
        fun = functools.partial(lambda f, *a: f(*a)[0], fun)
    found = root_of("root", run, fun, x0, args, [name, tol, options], flat=name in (*ROOT_WITH_JACOBIAN, "df-sane"))
    return None if found is None else finished(found[0], found[1](found[0]))


def finished(x: Any, fun: Any, **more: Any) -> Any:
    return scipy.optimize.OptimizeResult(x=x, fun=fun, success=True, status=1, message="the solver converges, or this raises", **more)


def fsolve(
    func: Any, x0: Any, args: Any = (), fprime: Any = None, full_output: bool = False, col_deriv: Any = False, xtol: float = 1.49012e-8,
    maxfev: int = 0, **options: Any,
) -> Any:  # fmt: skip
    options = {"xtol": xtol, "maxfev": maxfev, **{k: v for k, v in options.items() if k in ("factor", "diag")}}

    def run(start: Any, part: Any) -> Any:
        x, _, flag, why = scipy.optimize.fsolve(part, *start, fprime=part.matrix, full_output=True, **options)
        return converged("fsolve", x, flag == 1, " ".join(why.split()), part)

    found = root_of("fsolve", run, func, x0, args, options)
    if found is None:
        return None
    x, g = found
    return (x, {"fvec": g(x)}, 1, "The solution converged.") if full_output else x


def fixed_point(func: Any, x0: Any, args: Any = (), xtol: float = 1e-8, maxiter: int = 500, method: str = "del2") -> Any:
    x0, args = float_like(x0), tuple_of(args)
    f = of_unknown(func, args)
    if not concerns([f], x0, *args):
        return None

    def run(start: Any, part: Any) -> Any:
        return scipy.optimize.fixed_point(lambda x: part(x) + x, *start, xtol=xtol, maxiter=maxiter, method=method)

    def residual(x: Any) -> Any:
        y = f(x)
        return (np.stack(y) if isinstance(y, (list, tuple)) else y) - x

    return implicit.solution(Solve("fixed_point", run, [xtol, maxiter, method]), [residual], x0, [x0])


def number(f: Callable[..., Any]) -> Callable[..., Any]:
    """An objective as a number, where it returns an array of one element."""

    def of(*args: Any, **kwargs: Any) -> Any:
        y = f(*args, **kwargs)
        return np.reshape(y, ()) if np.shape(y) and np.size(y) == 1 else y

    return of


def bounds_of(bounds: Any, n: int) -> tuple[Any, Any]:
    """Lower and upper bounds as vectors."""
    if isinstance(bounds, scipy.optimize.Bounds):
        pair = [bounds.lb, bounds.ub]
    else:
        pair = [[d if b is None else b for b in side] for side, d in zip(zip(*bounds, strict=True), (-np.inf, np.inf), strict=True)]
    low, high = (np.broadcast_to(np.stack(b) if isinstance(b, (list, tuple)) else b, (n,)) for b in pair)
    return low, high


def projected(derivative: Callable[..., Any], low: Any, high: Any) -> Callable[..., Any]:
    """The condition of a minimum within bounds: an unknown is held at its bound, or the derivative by it is zero."""

    def condition(x: Any) -> Any:
        g = derivative(x)
        return np.where((x <= low) & (g >= 0), x - low, np.where((x >= high) & (g <= 0), x - high, g))

    return condition


def at_bounds(x: Any, gradient: Any, low: Any, high: Any) -> Any:
    """Unknowns that the gradient holds at a bound, put there: methods from within stop a little before it."""
    near = 1e-6 * (1.0 + np.abs(x))
    x = np.where((gradient > 0) & (x <= low + near), low, x)
    return np.where((gradient < 0) & (x >= high - near), high, x)


NEAR = 1e-2  # how far from a bound, relatively, a method from within may stop that is held by it
POLISH = 10


def from_within(x: Any, derivative: Any, low: Any, high: Any) -> Any:
    """Where a method from within was heading to: Newton's method with the unknowns at their bounds that it would push beyond."""
    best, least = x, np.inf
    for _ in range(POLISH):
        g, h = derivative(x), derivative.matrix(x)
        near = NEAR * (1.0 + np.abs(x))
        held_low = (g > 0) & (x <= low + near) & (x - low <= g / np.maximum(np.diag(h), 1e-300))
        held_high = (g < 0) & (x >= high - near) & (high - x <= -g / np.maximum(np.diag(h), 1e-300))
        x = np.where(held_low, low, np.where(held_high, high, x))
        free = np.flatnonzero(~held_low & ~held_high)
        g = derivative(x)
        off = np.max(np.abs(g[free]), initial=0.0)
        if off >= least:
            break
        best, least = x, off
        try:
            x = x.copy()
            x[free] = np.clip(x[free] - np.linalg.solve(h[np.ix_(free, free)], g[free]), low[free], high[free])
        except np.linalg.LinAlgError:
            break
    return best


def minimize(
    fun: Any, x0: Any, args: Any = (), method: Any = None, jac: Any = None, hess: Any = None, hessp: Any = None, bounds: Any = None,
    constraints: Any = (), tol: Any = None, callback: Any = None, options: Any = None,
) -> Any:  # fmt: skip
    args, x0 = tuple_of(args), float_like(x0, flat=True)
    f = number(of_unknown((lambda *a: fun(*a)[0]) if jac is True else fun, args))
    if not concerns([f], x0, *args, *([] if bounds is None or isinstance(bounds, scipy.optimize.Bounds) else bounds)):
        return None
    if constraints:
        raise errors.NotDifferentiable(
            f"{traced.where_text()}adcore.scipy.optimize.minimize with constraints has no derivative by the parameters of the problem. "
            "Eliminate the constraints or solve its optimality conditions with root, or wrap the parameters in adcore.stop_gradient"
        )
    name = method.lower() if isinstance(method, str) else "l-bfgs-b" if bounds is not None else "bfgs"
    if callable(method):
        implicit.refuse("adcore.scipy.optimize.minimize with a method of your own")
    derivative = grad(f)
    low, high = bounds_of(bounds, size(np.shape(x0))) if bounds is not None else (None, None)

    optimal = derivative if bounds is None else projected(derivative, low, high)

    def run(start: Any, condition: Any, part: Any, *parts: Any) -> Any:
        more: dict[str, Any] = {} if name in WITHOUT_GRADIENT else {"jac": parts[0]}
        if name in WITH_HESSIAN:
            more["hess"] = parts[0].matrix
        elif name in WITH_PRODUCTS:
            more["hessp"] = parts[0].times
        if bounds is not None:
            more["bounds"] = scipy.optimize.Bounds(start[1], start[2])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            result = scipy.optimize.minimize(part, start[0], method=name, tol=tol, options=options, **more)
        x = result.x
        if bounds is not None:
            x = from_within(x, parts[0], start[1], start[2]) if name == "trust-constr" else x
            x = at_bounds(x, parts[0](x), start[1], start[2])
        return converged("minimize", x, result.success, result.message, condition)

    start = [x0] if bounds is None else [x0, low, high]
    x = implicit.solution(Solve("minimize", run, [name, tol, options], bounds is not None), [optimal, f, derivative], x0, start)
    return finished(x, f(x), jac=derivative(x))


def minimize_scalar(
    fun: Any, bracket: Any = None, bounds: Any = None, args: Any = (), method: Any = None, tol: Any = None, options: Any = None
) -> Any:
    args = tuple_of(args)
    f = number(of_unknown(fun, args))
    name = method.lower() if method else "bounded" if bounds is not None else "brent"
    start = [float_like(x) for x in (bounds if name == "bounded" else bracket if bracket is not None else ())]
    middle = plain_number(*start)
    if not concerns([f], middle, *args, *start):
        return None

    def run(at: Any, condition: Any, part: Any) -> Any:
        given = {"bounds": at} if name == "bounded" else {"bracket": at or None}
        result = scipy.optimize.minimize_scalar(part, method=name, tol=tol, options=options, **given)
        return converged("minimize_scalar", result.x, result.success, result.message, condition)

    x = implicit.solution(Solve("minimize_scalar", run, [name, tol, options], True), [jacobian(f), f], middle, start)
    return finished(x, f(x))


def least_squares(fun: Any, x0: Any, jac: Any = "2-point", bounds: Any = (-np.inf, np.inf), *, args: Any = (), loss: Any = "linear",
                  kwargs: Any = None, **options: Any) -> Any:  # fmt: skip
    x0, args, kwargs = float_like(x0, flat=True), tuple_of(args), kwargs or {}
    sparse = options.pop("sparse", False)
    residuals = vector(of_unknown(fun, args, kwargs))
    if not concerns([residuals], x0, *args, *kwargs.values()):
        return None
    if loss != "linear" or traced.find_trace(bounds) is not None:
        implicit.refuse(f"adcore.scipy.optimize.least_squares with {'traced bounds' if loss == 'linear' else f'loss={loss!r}'}")
    low, high = (np.broadcast_to(np.asarray(b, dtype=np.float64), np.shape(x0)) for b in
                 ((bounds.lb, bounds.ub) if isinstance(bounds, scipy.optimize.Bounds) else bounds))  # fmt: skip
    bounded = bool(np.any(np.isfinite(low)) or np.any(np.isfinite(high)))
    derivative = grad(lambda x: 0.5 * np.sum(residuals(x) ** 2))
    optimal = projected(derivative, low, high) if bounded else derivative

    def run(start: Any, condition: Any, part: Any) -> Any:
        result = scipy.optimize.least_squares(part, *start, part.matrix, (low, high), **options)
        x = at_bounds(result.x, result.grad, low, high) if bounded else result.x
        return converged("least_squares", x, result.success, result.message, condition)

    solve = Solve("least_squares", run, [low, high, sparse, options], bounded)
    x = implicit.solution(solve, [optimal, residuals], x0, [x0])
    r = residuals(x)
    return finished(x, r, cost=0.5 * np.sum(r**2))


def first_guess(f: Callable[..., Any], low: Any, high: Any) -> Any:
    """Where `curve_fit` starts without p0: ones, or inside the bounds."""
    parameters = list(inspect.signature(f).parameters.values())[1:]
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        raise ValueError(f"{traced.where_text()}Unable to determine number of fit parameters: give p0.")
    low, high = (np.broadcast_to(np.asarray(b, dtype=np.float64), (len(parameters),)) for b in (low, high))
    start = np.ones(len(parameters))
    start = np.where(np.isfinite(low), low + 1.0, np.where(np.isfinite(high), high - 1.0, start))
    return np.where(np.isfinite(low) & np.isfinite(high), 0.5 * (np.maximum(low, -1e300) + np.minimum(high, 1e300)), start)


def curve_fit(f: Any, xdata: Any, ydata: Any, p0: Any = None, sigma: Any = None, absolute_sigma: bool = False, check_finite: Any = None,
              bounds: Any = (-np.inf, np.inf), method: Any = None, jac: Any = None, *, full_output: bool = False, nan_policy: Any = None,
              **kwargs: Any) -> Any:  # fmt: skip
    """The parameters as the solution of a least-squares problem, their covariance from its Jacobian there."""
    low, high = (bounds.lb, bounds.ub) if isinstance(bounds, scipy.optimize.Bounds) else bounds
    if traced.find_trace((low, high)) is not None:
        implicit.refuse("adcore.scipy.optimize.curve_fit with traced bounds")
    y = traced.asarray(ydata) if traced.find_trace(ydata) is not None else np.asarray(ydata, dtype=np.float64)
    if sigma is not None:
        sigma = traced.asarray(sigma) if traced.find_trace(sigma) is not None else np.asarray(sigma, dtype=np.float64)
    root_of_sigma: Any = np.linalg.cholesky(sigma) if sigma is not None and np.ndim(sigma) == 2 else None

    def residuals(p: Any) -> Any:
        r = rebind.rebound(f, traced.open_trace())(xdata, *p) - y
        if root_of_sigma is not None:
            return np.linalg.solve(root_of_sigma, np.ravel(r))
        return np.ravel(r if sigma is None else r / sigma)

    start = float_like(first_guess(f, low, high) if p0 is None else np.atleast_1d(p0), flat=True)
    bounded = bool(np.any(np.isfinite(low)) or np.any(np.isfinite(high)))
    if "maxfev" in kwargs:
        kwargs["max_nfev"] = kwargs.pop("maxfev")
    options = {"xtol": 1e-12, "ftol": 1e-12, "gtol": 1e-12, **kwargs}
    found = least_squares(residuals, start, bounds=(low, high), method=method or ("trf" if bounded else "lm"), **options)
    if found is None:
        return None
    if full_output:
        implicit.refuse("adcore.scipy.optimize.curve_fit with full_output=True")
    x = found.x
    j = jacobian(residuals)(x)
    m, n = j.shape
    covariance = np.linalg.inv(j.T @ j)
    if not absolute_sigma:
        covariance = covariance * (2.0 * found.cost / (m - n) if m > n else np.inf)
    return x, covariance


IMPLICIT: dict[str, Callable[..., Any]] = {name: bracketing(name) for name in BRACKETING} | {
    f.__name__: f for f in (newton, root_scalar, root, fsolve, fixed_point, minimize, minimize_scalar, least_squares, curve_fit)
}  # fmt: skip
