"""scipy.optimize with the derivatives that its methods take, exact and compiled.

Inside a function that is being differentiated, the solution of a solver is differentiated by the parameters that its
function reads (`implicit`). ``REBOUND`` are these for SciPy's own names.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.optimize

from .. import errors
from ..tracer import array as traced
from ..transforms.compiled import compile
from ..transforms.gradient import value_and_grad
from ..transforms.jacobian import hessian, jacobian
from ..transforms.products import hvp
from ..transforms.sparse import SparseJacobian
from . import implicit, solutions
from .solutions import ROOT_WITH_JACOBIAN, WITH_HESSIAN, WITH_PRODUCTS, WITHOUT_GRADIENT, number, tuple_of, vector


def refuse_traced(solver: str, *values: Any) -> None:
    if traced.find_trace(values) is not None:
        implicit.refuse(f"adcore.scipy.optimize.{solver}")


def checked(solver: str, f: Any) -> None:
    if not callable(f):
        raise errors.ArgumentError(f"{solver} takes a function, not {type(f).__name__}")


def untraced(solver: str, f: Callable[..., Any]) -> Callable[..., Any]:
    """f whose results must be plain: a function that closes over a traced value gives traced ones."""
    return implicit.values_only(f"adcore.scipy.optimize.{solver}", f)


def jacobian_of(solver: str, f: Callable[..., Any]) -> Callable[..., Any]:
    return untraced(solver, compile(jacobian(vector(f))))


def constraint(c: Any, second: bool) -> Any:
    """A constraint with the derivatives that it lacks, the second ones where the method takes them."""
    if isinstance(c, dict):
        return {**c, "jac": jacobian_of("minimize", c["fun"])} if c.get("jac") is None and callable(c.get("fun")) else c
    if not isinstance(c, scipy.optimize.NonlinearConstraint):
        return c
    # SciPy's defaults stand for what the user has not given
    default = scipy.optimize.BFGS()
    own_hess = type(c.hess) is not type(default) or vars(c.hess) != vars(default)
    f = vector(c.fun)
    jac = jacobian_of("minimize", c.fun) if isinstance(c.jac, str) and c.jac == "2-point" else c.jac
    hess = c.hess if own_hess or not second else untraced("minimize", compile(hessian(lambda x, v: np.dot(v, f(x)))))
    return scipy.optimize.NonlinearConstraint(
        c.fun, c.lb, c.ub, jac, hess, c.keep_feasible, c.finite_diff_rel_step, c.finite_diff_jac_sparsity
    )


# -- what the docstrings share -----------------------------------------------------------------------

PAGE = """`scipy.optimize.{name}`{does}.

Parameters
----------
f : callable
    ``{call}``. What it reads from its surroundings may be differentiated too.
{rest}
    As for SciPy's.
{own}
Returns
-------
{returns}

Raises
------
NotDifferentiable
    {refuses}
NotConverged
    Parameters are being differentiated, and the solver gave up.

Notes
-----
{notes}Inside a function that is being differentiated, the solution is found on values. Its derivatives by all that f
reads, in both modes and of any order, follow from the implicit function theorem for {equation}:
a linear system with the Jacobian of this by the unknown, which must be regular there. They are as exact as the solution,
so ask for small tolerances. The solution does not depend on where the solver starts.

Examples
--------
{example}
"""
JAC = """jac : optional
    Given, it is used instead of adcore's.
"""
SINGULAR = "Parameters are being differentiated, and the Jacobian is singular at the solution{more}."


def solver(
    name: str,
    call: str,
    rest: str,
    returns: str,
    equation: str,
    example: str,
    does: str = ", whose solution may be differentiated",
    own: str = "",
    notes: str = "",
    more: str = "",
    refuses: str = SINGULAR,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A solver with its page of documentation: the solution as part of a recording where it concerns one, the front otherwise."""

    def made(front: Callable[..., Any]) -> Callable[..., Any]:
        inside = solutions.IMPLICIT.get(name)

        def of(f: Any, *args: Any, **kwargs: Any) -> Any:
            checked(name, f)
            found = inside(f, *args, **kwargs) if inside is not None and traced.open_trace() is not None else None
            return front(f, *args, **kwargs) if found is None else found

        of.__name__ = of.__qualname__ = name
        of.__doc__ = PAGE.format(
            name=name, does=does, call=call, rest=rest, own=own, returns=returns, equation=equation, notes=notes,
            refuses=refuses.format(more=more), example="\n".join(line.strip() for line in example.strip().split("\n")),
        )  # fmt: skip
        return of

    return made


RESULT = "scipy.optimize.OptimizeResult"


@solver(
    "minimize",
    "f(x, *args)`` returns a number, or an array of one; ``jac=True``: a pair of it and the gradient",
    "x0, args, method, bounds, tol, callback, options",
    RESULT,
    "the gradient, zero but for unknowns at their bounds",
    """
    >>> import numpy as np, adcore
    >>> r = adcore.scipy.optimize.minimize(lambda x: np.sum((x - 1.0) ** 4 + x**2), np.zeros(2), method="trust-exact")
    >>> bool(r.success), r.x.round(4)
    (True, array([0.4102, 0.4102]))
    >>> adcore.gradient(lambda a: adcore.scipy.optimize.minimize(lambda x: np.sum((x - a) ** 2), np.zeros(2)).x[0], 3.0).round(6)
    np.float64(1.0)
    """,
    does=" with the gradient, and the Hessian or its products, for the methods that take them",
    own="""jac, hess, hessp : optional
    Given, they are used instead of adcore's; the derivatives of the solution are always adcore's.
constraints : optional
    As for SciPy's. A dict without "jac" gets it; a NonlinearConstraint gets jac, and hess for trust-constr, where they
    are SciPy's defaults ("2-point" and ``BFGS()``).
""",
    notes="""Value and gradient come from one compiled sweep. Products with the Hessian go to Newton-CG, trust-ncg, trust-krylov
and trust-constr, the dense Hessian to dogleg and trust-exact, nothing to methods without derivatives.

""",
    more=", or there are constraints",
)
def minimize(
    f: Callable[..., Any],
    x0: Any,
    args: Any = (),
    method: Any = None,
    jac: Any = None,
    hess: Any = None,
    hessp: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    **kwargs: Any,
) -> Any:
    args, f = tuple_of(args), f if jac is True else number(f)
    refuse_traced("minimize", x0, *args)
    name = method.lower() if isinstance(method, str) else ""
    value: Callable[..., Any] = number(lambda *a: f(*a)[0]) if jac is True else f
    fun = untraced("minimize", f)
    if jac is None and name not in WITHOUT_GRADIENT:
        fun, jac = untraced("minimize", compile(value_and_grad(f))), True
    if hess is None and hessp is None:
        if name in WITH_PRODUCTS:
            hessp = untraced("minimize", compile(lambda x, p, *a: hvp(value, x, p, *a)))
        elif name in WITH_HESSIAN:
            hess = untraced("minimize", compile(hessian(value)))
    second = callable(method) or name == "trust-constr"
    if isinstance(constraints, (list, tuple)):
        constraints = [constraint(c, second) for c in constraints]
    else:
        constraints = constraint(constraints, second)
    return scipy.optimize.minimize(fun, x0, args, method, jac, hess, hessp, bounds, constraints, **kwargs)


@solver(
    "minimize_scalar",
    "f(x, *args)`` returns a number",
    "bracket, bounds, args, method, tol, options",
    RESULT,
    "the derivative of f, zero",
    """
    >>> import adcore
    >>> adcore.gradient(lambda a: adcore.scipy.optimize.minimize_scalar(lambda x: x**4 - 4 * a * x).x, 1.0).round(6)
    np.float64(0.333333)
    """,
    more=", or the solution is at a bound",
)
def minimize_scalar(f: Any, *args: Any, **kwargs: Any) -> Any:
    return scipy.optimize.minimize_scalar(f, *args, **kwargs)


@solver(
    "least_squares",
    "f(x, *args)`` returns the residuals",
    "x0, args, bounds, **kwargs",
    RESULT,
    "the gradient of half the sum of squares, zero but for unknowns at their bounds",
    """
    >>> import numpy as np, adcore
    >>> r = adcore.scipy.optimize.least_squares(lambda x: x**2 - np.array([4.0, 9.0]), np.ones(2), sparse=True)
    >>> r.x.round(6)
    array([2., 3.])
    """,
    does=" with the Jacobian of the residuals",
    own=JAC
    + """sparse : bool
    Whether the Jacobian is a scipy.sparse array (`SparseJacobian`), for many residuals of a few parameters each.
""",
    more=", or there is a loss",
)
def least_squares(f: Callable[..., Any], x0: Any, jac: Any = None, *, sparse: bool = False, args: Any = (), **kwargs: Any) -> Any:
    if sparse and jac is not None:
        raise errors.ArgumentError("least_squares takes jac or sparse=True, not both")
    refuse_traced("least_squares", x0, *tuple_of(args))
    if jac is None:
        jac = SparseJacobian(vector(f)) if sparse else jacobian_of("least_squares", f)
    return scipy.optimize.least_squares(untraced("least_squares", f), x0, jac, args=args, **kwargs)


@solver(
    "root",
    "f(x, *args)`` returns as many numbers as x has",
    "x0, args, method, tol, callback, options",
    RESULT,
    "f, zero",
    """
    >>> import numpy as np, adcore
    >>> adcore.scipy.optimize.root(lambda x: [x[0] + x[1] - 3.0, x[0] * x[1] - 2.0], [0.0, 3.0]).x.round(6)
    array([1., 2.])
    >>> f = lambda a: adcore.scipy.optimize.root(lambda x: [x[0] + x[1] - 3.0, x[0] * x[1] - a], [0.0, 3.0]).x
    >>> adcore.jacobian(f)(2.0).round(6)
    array([ 1., -1.])
    """,
    does=" with the Jacobian for the methods that take it, hybr and lm",
    own=JAC,
)
def root(f: Callable[..., Any], x0: Any, args: Any = (), method: str = "hybr", jac: Any = None, **kwargs: Any) -> Any:
    args = tuple_of(args)
    refuse_traced("root", x0, *args)
    if jac is None and method.lower() in ROOT_WITH_JACOBIAN:
        jac = jacobian_of("root", f)
        if (kwargs.get("options") or {}).get("col_deriv"):
            kwargs["options"] = {**kwargs["options"], "col_deriv": False}
    return scipy.optimize.root(untraced("root", f), x0, args, method, jac, **kwargs)


@solver(
    "fsolve",
    "f(x, *args)`` returns as many numbers as x has",
    "x0, args, full_output, xtol, maxfev, factor, diag",
    "x, or with ``full_output`` what SciPy's returns",
    "f, zero",
    """
    >>> import numpy as np, adcore
    >>> adcore.gradient(lambda a: adcore.scipy.optimize.fsolve(lambda x: x**2 - a, 1.0)[0], 4.0).round(6)
    np.float64(0.25)
    """,
    does=" with the Jacobian",
)
def fsolve(f: Any, x0: Any, args: Any = (), fprime: Any = None, full_output: Any = 0, col_deriv: Any = 0, **kwargs: Any) -> Any:
    if fprime is None:
        fprime, col_deriv = jacobian_of("fsolve", f), 0
    return scipy.optimize.fsolve(untraced("fsolve", f), x0, args, fprime, full_output, col_deriv, **kwargs)


@solver(
    "fixed_point",
    "f(x, *args)`` returns an array like x",
    "x0, args, xtol, maxiter, method",
    "float or ndarray",
    "f(x) - x, zero",
    """
    >>> import numpy as np, adcore
    >>> f = lambda a: adcore.scipy.optimize.fixed_point(lambda x: np.cos(a * x), 0.5, xtol=1e-13)
    >>> adcore.gradient(f, 1.0).round(6)
    np.float64(-0.297474)
    """,
)
def fixed_point(f: Any, *args: Any, **kwargs: Any) -> Any:
    return scipy.optimize.fixed_point(f, *args, **kwargs)


@solver(
    "newton",
    "f(x, *args)`` returns a number, or for an array x one for each element, by it alone",
    "x0, fprime, args, tol, maxiter, fprime2, x1, rtol, full_output, disp",
    "float or ndarray",
    "f, zero",
    """
    >>> import adcore
    >>> adcore.gradient(lambda a: adcore.scipy.optimize.newton(lambda x: x**3 - a, 1.0, tol=1e-14), 8.0).round(6)
    np.float64(0.083333)
    """,
)
def newton(f: Any, *args: Any, **kwargs: Any) -> Any:
    return scipy.optimize.newton(f, *args, **kwargs)


@solver(
    "root_scalar",
    "f(x, *args)`` returns a number",
    "args, method, bracket, x0, x1, xtol, rtol, maxiter, options",
    "scipy.optimize.RootResults",
    "f, zero",
    """
    >>> import adcore
    >>> adcore.scipy.optimize.root_scalar(lambda x: x**2 - 2.0, method="newton", x0=1.0).root.round(6)
    np.float64(1.414214)
    """,
    does=" with the derivatives for the methods that take them, newton and halley",
    own="""fprime, fprime2 : optional
    Given, they are used instead of adcore's.
""",
)
def root_scalar(
    f: Any, args: Any = (), method: Any = None, bracket: Any = None, fprime: Any = None, fprime2: Any = None, **kwargs: Any
) -> Any:
    name = method.lower() if method else ""
    if name in ("newton", "halley") and fprime is None:
        fprime = untraced("root_scalar", compile(jacobian(f)))
    if name == "halley" and fprime2 is None:
        fprime2 = untraced("root_scalar", compile(jacobian(jacobian(f))))
    return scipy.optimize.root_scalar(f, args, method, bracket, fprime, fprime2, **kwargs)


def bracketing(name: str) -> Callable[..., Any]:
    return solver(
        name,
        "f(x, *args)`` returns a number, of different signs at a and b",
        "a, b, args, xtol, rtol, maxiter, full_output, disp",
        "float, or with ``full_output`` a pair of it and RootResults",
        "f, zero",
        f"""
        >>> import adcore
        >>> adcore.gradient(lambda a: adcore.scipy.optimize.{name}(lambda x: x**2 - a, 0.0, 3.0), 4.0).round(6)
        np.float64(0.25)
        """,
    )(lambda f, *args, **kwargs: getattr(scipy.optimize, name)(f, *args, **kwargs))


brentq, brenth, bisect, ridder, toms748 = map(bracketing, solutions.BRACKETING)


@solver(
    "curve_fit",
    "f(xdata, *parameters)`` returns the model's values",
    "xdata, ydata, p0, **kwargs",
    "popt, pcov : ndarray\n    And more with ``full_output=True``.",
    "",
    """
    >>> import numpy as np, adcore
    >>> t = np.linspace(0.0, 2.0, 9)
    >>> p, _ = adcore.scipy.optimize.curve_fit(lambda t, a, b: a * np.exp(-b * t), t, 3.0 * np.exp(-0.5 * t))
    >>> p.round(6)
    array([3. , 0.5])
    """,
    does=", whose result may be differentiated by data, errors and whatever the model reads",
    own=JAC,
    refuses="The bounds are being differentiated, or with ``full_output`` anything.",
)
def curve_fit(f: Callable[..., Any], xdata: Any, ydata: Any, p0: Any = None, *, jac: Any = None, **kwargs: Any) -> Any:
    refuse_traced("curve_fit", xdata, ydata, p0, kwargs.get("sigma"))
    if jac is None:
        by_parameters = jacobian_of("curve_fit", lambda p, t: f(t, *p))

        def jac(t: Any, *p: Any) -> Any:
            return by_parameters(np.array(p, dtype=np.float64), t)

    return scipy.optimize.curve_fit(f, xdata, ydata, p0, jac=jac, **kwargs)


def twin(name: str, inside: Callable[..., Any]) -> Callable[..., Any]:
    """SciPy's function of this name inside a recording."""
    plain = getattr(scipy.optimize, name)

    @functools.wraps(plain, updated=())
    def of(*args: Any, **kwargs: Any) -> Any:
        found = inside(*args, **kwargs) if traced.open_trace() is not None else None
        return plain(*args, **kwargs) if found is None else found

    return of


REBOUND = implicit.twins_of(scipy.optimize, {name: twin(name, inside) for name, inside in solutions.IMPLICIT.items()})
