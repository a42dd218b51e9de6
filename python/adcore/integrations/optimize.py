"""scipy.optimize with the derivatives that its methods take, exact and compiled."""

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

WITHOUT_GRADIENT = ("nelder-mead", "powell", "cobyla", "cobyqa")
WITH_PRODUCTS = ("newton-cg", "trust-ncg", "trust-krylov", "trust-constr")
WITH_HESSIAN = ("dogleg", "trust-exact")
ROOT_WITH_JACOBIAN = ("hybr", "lm")


def refuse_traced(solver: str, *values: Any) -> None:
    if any(traced.find_trace(x) is not None for x in values):
        raise errors.NotDifferentiable(
            f"{traced.where_text()}adcore.scipy.optimize.{solver} met a value that is being differentiated, and has no derivative "
            "through the solver. Give it plain values (adcore.stop_gradient if they should count as constants), or state the derivative of "
            "the solution with adcore.custom_vjp"
        )


def checked(solver: str, f: Any) -> None:
    if not callable(f):
        raise errors.ArgumentError(f"{solver} takes a function, not {type(f).__name__}")


def untraced(solver: str, f: Callable[..., Any]) -> Callable[..., Any]:
    """f whose results must be plain: a function that closes over a traced value gives traced ones."""

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def plain(*args: Any, **kwargs: Any) -> Any:
        result = f(*args, **kwargs)
        refuse_traced(solver, *(result if isinstance(result, (tuple, list)) else (result,)))
        return result

    return plain


def vector(f: Callable[..., Any]) -> Callable[..., Any]:
    """f with its result as one vector: SciPy's functions may return a number or a list of numbers."""

    def flat(*args: Any, **kwargs: Any) -> Any:
        y = f(*args, **kwargs)
        return np.ravel(np.stack(y) if isinstance(y, (list, tuple)) else y)

    return flat


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
    """`scipy.optimize.minimize` with the gradient, and the Hessian or its products, for the methods that take them.

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` returns a scalar.
    x0, args, method, bounds, **kwargs
        As for SciPy's.
    jac, hess, hessp : optional
        Given, they are used instead of adcore's.
    constraints : optional
        As for SciPy's. A dict without "jac" gets it; a NonlinearConstraint gets jac, and hess for trust-constr, where they
        are SciPy's defaults ("2-point" and ``BFGS()``).

    Returns
    -------
    scipy.optimize.OptimizeResult

    Raises
    ------
    NotDifferentiable
        The call is itself being differentiated.

    Notes
    -----
    Value and gradient come from one compiled sweep. Products with the Hessian go to Newton-CG, trust-ncg, trust-krylov
    and trust-constr, the dense Hessian to dogleg and trust-exact, nothing to methods without derivatives.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> r = adcore.scipy.optimize.minimize(lambda x: np.sum((x - 1.0) ** 4 + x**2), np.zeros(2), method="trust-exact")
    >>> bool(r.success), r.x.round(4)
    (True, array([0.4102, 0.4102]))
    """
    checked("minimize", f)
    if not isinstance(args, tuple):
        args = (args,)
    refuse_traced("minimize", x0, *args)
    name = method.lower() if isinstance(method, str) else ""
    value: Callable[..., Any] = (lambda *a: f(*a)[0]) if jac is True else f
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


def least_squares(f: Callable[..., Any], x0: Any, jac: Any = None, *, sparse: bool = False, args: Any = (), **kwargs: Any) -> Any:
    """`scipy.optimize.least_squares` with the Jacobian of the residuals.

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` returns the residuals.
    x0, args, **kwargs
        As for SciPy's.
    jac : optional
        Given, it is used instead of adcore's.
    sparse : bool
        Whether the Jacobian is a scipy.sparse array (`SparseJacobian`), for many residuals of a few parameters each.

    Returns
    -------
    scipy.optimize.OptimizeResult

    Raises
    ------
    NotDifferentiable
        The call is itself being differentiated.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> r = adcore.scipy.optimize.least_squares(lambda x: x**2 - np.array([4.0, 9.0]), np.ones(2), sparse=True)
    >>> r.x.round(6)
    array([2., 3.])
    """
    checked("least_squares", f)
    if sparse and jac is not None:
        raise errors.ArgumentError("least_squares takes jac or sparse=True, not both")
    refuse_traced("least_squares", x0, *(args if isinstance(args, tuple) else (args,)))
    if jac is None:
        jac = SparseJacobian(vector(f)) if sparse else jacobian_of("least_squares", f)
    return scipy.optimize.least_squares(untraced("least_squares", f), x0, jac, args=args, **kwargs)


def root(f: Callable[..., Any], x0: Any, args: Any = (), method: str = "hybr", jac: Any = None, **kwargs: Any) -> Any:
    """`scipy.optimize.root` with the Jacobian for the methods that take it, hybr and lm.

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` returns as many numbers as x has.
    x0, args, method, **kwargs
        As for SciPy's.
    jac : optional
        Given, it is used instead of adcore's.

    Returns
    -------
    scipy.optimize.OptimizeResult

    Raises
    ------
    NotDifferentiable
        The call is itself being differentiated.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> adcore.scipy.optimize.root(lambda x: [x[0] + x[1] - 3.0, x[0] * x[1] - 2.0], [0.0, 3.0]).x.round(6)
    array([1., 2.])
    """
    checked("root", f)
    if not isinstance(args, tuple):
        args = (args,)
    refuse_traced("root", x0, *args)
    if jac is None and method.lower() in ROOT_WITH_JACOBIAN:
        jac = jacobian_of("root", f)
        if (kwargs.get("options") or {}).get("col_deriv"):
            kwargs["options"] = {**kwargs["options"], "col_deriv": False}
    return scipy.optimize.root(untraced("root", f), x0, args, method, jac, **kwargs)


def curve_fit(f: Callable[..., Any], xdata: Any, ydata: Any, p0: Any = None, *, jac: Any = None, **kwargs: Any) -> Any:
    """`scipy.optimize.curve_fit` with the Jacobian of the model by its parameters.

    Parameters
    ----------
    f : callable
        ``f(xdata, *parameters)`` returns the model's values.
    xdata, ydata, p0, **kwargs
        As for SciPy's.
    jac : optional
        Given, it is used instead of adcore's.

    Returns
    -------
    popt, pcov : ndarray
        And more with ``full_output=True``.

    Raises
    ------
    NotDifferentiable
        The call is itself being differentiated.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> t = np.linspace(0.0, 2.0, 9)
    >>> p, _ = adcore.scipy.optimize.curve_fit(lambda t, a, b: a * np.exp(-b * t), t, 3.0 * np.exp(-0.5 * t))
    >>> p.round(6)
    array([3. , 0.5])
    """
    checked("curve_fit", f)
    refuse_traced("curve_fit", xdata, ydata, p0, kwargs.get("sigma"))
    if jac is None:
        by_parameters = jacobian_of("curve_fit", lambda p, t: f(t, *p))

        def jac(t: Any, *p: Any) -> Any:
            return by_parameters(np.array(p, dtype=np.float64), t)

    return scipy.optimize.curve_fit(f, xdata, ydata, p0, jac=jac, **kwargs)
