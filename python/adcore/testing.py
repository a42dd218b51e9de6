"""Checks of derivatives, for adcore's tests and for its users."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import errors
from .transforms.gradient import value_and_grad


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 1,
    modes: Sequence[str] = ("rev",),
    rtol: float = 1e-6,
    atol: float = 1e-8,
    directions: int = 3,
) -> None:
    """Compare adcore's gradient of f with central differences, and with the complex step where f allows it.

    Parameters
    ----------
    f : callable
        Returns a scalar; all positional arguments are differentiated.
    args : sequence of float array or float
        Where to check.
    order : {1}
        Order of the derivatives.
    modes : sequence of {"rev"}
        Modes of differentiation.
    rtol, atol : float
        Tolerances; central differences in float64 reach about 1e-8 of the function's scale.
    directions : int
        How many random directions.

    Raises
    ------
    AssertionError
        The derivatives differ; names the direction's values.
    AdcoreError
        An order or mode that is not supported.

    Notes
    -----
    Central differences ``(f(x + ht) - f(x - ht)) / 2h`` with h = eps**(1/3); the complex step ``imag(f(x + iht)) / h`` with
    h = 1e-30, exact to rounding (W. Squire, G. Trapp, SIAM Review 40(1), 1998).

    Examples
    --------
    >>> import numpy as np, adcore
    >>> adcore.testing.check_grads(lambda x: np.sum(np.sin(x)), [np.array([0.3, 0.4])])
    """
    if order != 1 or tuple(modes) != ("rev",):
        raise errors.AdcoreError("check_grads checks first derivatives in reverse mode (order=1, modes=('rev',)) for now")
    arrays = [np.asarray(a, dtype=np.float64) for a in args]
    value, gradients = value_and_grad(f, tuple(range(len(args))))(*args)
    rng = np.random.default_rng(0)
    step = np.finfo(float).eps ** (1 / 3)
    np.testing.assert_allclose(value, f(*args), rtol=1e-10, atol=1e-12, err_msg="value")
    for _ in range(directions):
        moves = [rng.normal(size=a.shape) for a in arrays]
        ours = sum(float(np.sum(g * t)) for g, t in zip(gradients, moves, strict=True))

        def at(h: Any, moves: list[Any] = moves) -> Any:
            return f(*[(a + h * t)[()] for a, t in zip(arrays, moves, strict=True)])

        difference = (at(step) - at(-step)) / (2 * step)
        scale = atol + rtol * max(abs(difference), sum(float(np.sum(np.abs(g * t))) for g, t in zip(gradients, moves, strict=True)))
        noise = 1e2 * np.finfo(float).eps ** (2 / 3) * max(1.0, abs(float(value)))
        if not abs(ours - difference) <= scale + noise:
            raise AssertionError(f"gradient {ours!r} differs from central differences {difference!r}")
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                exact = complex(at(1e-30j)).imag / 1e-30
        except (TypeError, ValueError, AttributeError, np.exceptions.ComplexWarning):
            continue
        # abs, max and comparisons are not analytic: there the complex step says something else
        if abs(exact - difference) <= scale + noise and not abs(ours - exact) <= 1e-9 * (abs(exact) + abs(ours)) + atol:
            raise AssertionError(f"gradient {ours!r} differs from the complex step {exact!r}")
