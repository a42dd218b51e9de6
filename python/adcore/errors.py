"""What adcore raises. Messages say what was given, what was expected, what to do, and where."""

from __future__ import annotations

import dis
import functools
import itertools
import linecache
import sys
import sysconfig
from collections.abc import Callable
from typing import Any

LIBRARIES = frozenset({"adcore", "numpy", "scipy"})
SITE = tuple({sysconfig.get_paths()[k] for k in ("purelib", "platlib")})  # where installed packages are


def of_library(frame: Any) -> bool:
    """Is it a frame of adcore's, NumPy's or SciPy's: not the user's?"""
    return named_in_library(frame.f_globals.get("__name__") or "")


@functools.lru_cache(maxsize=4096)
def named_in_library(module: str) -> bool:
    return module.split(".")[0] in LIBRARIES


def user_frame(frame: Any, skips: Callable[[Any], bool]) -> Any:
    """The innermost frame that is not skipped."""
    while frame is not None and skips(frame):
        frame = frame.f_back
    return frame


def place_of(frame: Any) -> tuple[str, int]:
    return frame.f_code.co_filename.rsplit("/", 1)[-1], frame.f_lineno


def user_place() -> tuple[str, int] | None:
    """(file, line) of the innermost frame outside of adcore, NumPy and SciPy."""
    frame = user_frame(sys._getframe(1), of_library)
    return None if frame is None else place_of(frame)


def where_text() -> str:
    """The user's place as the head of an error message; that in an installed package stands behind it."""
    frame = user_frame(sys._getframe(1), of_library)
    own = user_frame(frame, lambda f: of_library(f) or f.f_code.co_filename.startswith(SITE))
    if frame is None:
        return ""
    places = ["{}:{}".format(*place_of(f)) for f in ([frame] if own is None or own is frame else [own, frame])]
    return f"{' -> '.join(places)}: "


def library_call() -> str:
    """The function of a library that the user's code has called and that is running; empty when there is none in Python."""
    frame: Any = sys._getframe(1)
    called = None
    while frame is not None and of_library(frame):
        if frame.f_globals["__name__"].split(".")[0] != "adcore":
            called = frame
        frame = frame.f_back
    if called is None:
        return ""
    code = called.f_code
    return f"{called.f_globals['__name__']}.{getattr(code, 'co_qualname', code.co_name)}()"


def instructions(source: str) -> set[bytes]:
    """How the last operation of a statement is encoded: opcode and argument."""
    found = [i for i in dis.get_instructions(compile(source, "", "exec")) if i.opname.startswith(("BINARY", "STORE_S"))]
    return {bytes([found[-1].opcode, (found[-1].arg or 0) & 255])}


OPERATIONS = {
    "%": instructions("'' % b"),
    "[]=": instructions("a[b] = c") | instructions("a[b:] = c"),
}


def user_operation() -> str:
    """What the user's code does right now without a function in between: "%" (text), "[]=" (assignment), or ""."""
    frame: Any = sys._getframe(1)
    if of_library(frame):
        return ""
    now = frame.f_code.co_code[frame.f_lasti : frame.f_lasti + 2]
    return next((name for name, encoded in OPERATIONS.items() if now in encoded), "")


def shuffles() -> bool:
    """Does the user's code call the ``shuffle`` of a random generator of NumPy's right now, without a function in between?"""
    frame: Any = sys._getframe(1)
    code = frame.f_code
    if "shuffle" not in code.co_names or not hasattr(code, "co_positions"):
        return False
    line, last, start, end = next(itertools.islice(code.co_positions(), frame.f_lasti // 2, None))
    text = linecache.getline(code.co_filename, line or 0).encode()[start : end if line == last else None].decode()
    return "shuffle(" in text


def sparse_operand() -> int:
    """Does a product of a sparse matrix of SciPy's ask right now whether its other operand is an array?

    What it wants to see of one that has a product of its own: an array of objects of one dimension less than this, 0 when nobody asks.
    """
    frame: Any = sys._getframe(1)
    if frame.f_code.co_name == "__array__":
        frame = frame.f_back
    if not frame.f_globals.get("__name__", "").startswith("scipy.sparse"):
        return 0
    return {"_matmul_dispatch": 1, "dot": 2}.get(frame.f_code.co_name, 0)


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


class OtherStructure(AdcoreError):
    """A recording cannot stand for these arguments: a solver takes another number of steps."""


class NonFinite(AdcoreError, FloatingPointError):
    """A value or a derivative is NaN or infinite, and ``config(debug_nans=True)`` asked where from."""


class KernelError(AdcoreError, RuntimeError):
    """A compiled kernel of the user's returned a number other than 0."""


class MissingDerivative(NotDifferentiable):
    """The derivative exists, but nobody has written it yet."""

    def __init__(self, place: Any, op: str, argument: int, why: str) -> None:
        place = place or user_place()  # where the derivative was asked for, if not where the operation stands
        where = f"{place[0]}:{place[1]}: " if place else ""
        super().__init__(
            f"{where}{op} has no derivative with respect to argument {argument}, which is active here: {why}. "
            "Wrap the argument in adcore.stop_gradient if it should count as a constant."
        )
