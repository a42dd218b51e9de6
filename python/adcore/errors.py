"""What adcore raises. Messages say what was given, what was expected, what to do, and where."""

from __future__ import annotations

from typing import Any


class AdcoreError(Exception):
    """Anything adcore refuses."""


class PlanError(AdcoreError):
    """A program or its arguments do not fit together: an internal invariant is broken."""


class ProgramError(AdcoreError):
    """A program breaks a rule of the instruction set."""


class NotDifferentiable(AdcoreError, TypeError):
    """An operation that has no derivative met a value that is being differentiated."""


class LostTrace(AdcoreError, TypeError):
    """A traced value was turned into a plain number, so its derivative would have been dropped."""


class ArgumentError(AdcoreError, TypeError):
    """A function was given something it cannot differentiate."""


class ShadowError(AdcoreError, ValueError):
    """A shadow does not fit its primal, or shares memory that it must not share; nothing has been written."""


class NotConverged(AdcoreError, RuntimeError):
    """A solver gave up on an equation whose solution is differentiated."""


class NonFinite(AdcoreError, FloatingPointError):
    """A value or a derivative is NaN or infinite, and ``config(debug_nans=True)`` asked where from."""


class KernelError(AdcoreError, RuntimeError):
    """A compiled kernel of the user's returned a number other than 0."""


class MissingDerivative(NotDifferentiable):
    """The derivative exists, but nobody has written it yet."""

    def __init__(self, place: Any, op: str, argument: int, why: str) -> None:
        where = f"{place[0]}:{place[1]}: " if place else ""
        super().__init__(
            f"{where}{op} has no derivative with respect to argument {argument}, which is active here: {why}. "
            "Wrap the argument in adcore.stop_gradient if it should count as a constant."
        )
