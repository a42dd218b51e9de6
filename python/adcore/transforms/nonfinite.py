"""Where a NaN or an infinity comes from: every value of a program, and the way back from a bad one to its origin."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import errors, optable
from ..passes.forward import forward
from ..passes.reverse import reverse
from ..passes.widen import widen
from ..sweep import engine

if TYPE_CHECKING:
    from .. import inspect

ARGUMENTS_SHOWN = 3


@functools.cache
def lines() -> inspect.Lines:
    """The lines of all that is recorded while the setting ``debug_nans`` is on."""
    from .. import inspect

    return inspect.Lines()


def finite(arrays: Sequence[Any]) -> bool:
    return all(y.dtype.kind != "f" or bool(np.all(np.isfinite(y))) for y in arrays)


def values_of(program: Any, inputs: Sequence[Any], consts: Sequence[Any], scalars: Sequence[float]) -> dict[int, Any]:
    """Every value of a program by its number."""
    numbers = range(len(program))
    results = list(program.outputs)
    program.set_results(numbers)
    try:
        return dict(zip(numbers, engine.run(engine.plan_of(program), list(inputs), list(consts), list(scalars)), strict=True))
    finally:
        program.set_results(results)


def origin(program: Any, values: dict[int, Any], at: int) -> tuple[int, tuple[int, ...]]:
    """From a bad value back to one whose arguments are good, and the first element of it that is bad."""
    while True:
        bad = ~np.isfinite(values[at])
        row = program.instruction(at)
        elementwise = row["op"] in optable.OPCODE and optable.OPCODE[row["op"]] < optable.N_ELEMENTWISE
        for position, x in enumerate(row["args"]):
            if values[x].dtype.kind != "f":
                continue
            wrong = ~np.isfinite(values[x])
            if elementwise:
                wrong = wrong & bad
                if row["op"] == "WHERE":
                    chosen = np.asarray(values[row["args"][0]], dtype=bool)
                    wrong = wrong & (chosen if position == 1 else ~chosen)
            if np.any(wrong):
                at = x
                break
        else:
            return at, tuple(int(k) for k in np.argwhere(bad)[0])


def number(x: Any, index: tuple[int, ...]) -> str:
    return f"{float(x[index] if x.shape else x):.6g}"


def described(program: Any, values: dict[int, Any], at: int, index: tuple[int, ...], sweep: str) -> str:
    """What happened, and where."""
    row = program.instruction(at)
    op, y = row["op"].lower(), values[at]
    place = program.source(at)
    where = f"{place[0]}:{place[1]}: " if place else ""
    source = lines().text(place[:2]) if place else ""
    what = "NaN" if np.isnan(y[index] if y.shape else y) else "an infinity"
    element = f" at element {', '.join(map(str, index))}" if index else ""
    if op in ("input", "const", "scalar", "literal"):
        return f"{where}{what} is among the arguments or constants of the function{element}"
    shown = ""
    if all(values[x].shape in ((), y.shape) for x in row["args"][:ARGUMENTS_SHOWN]):
        shown = f" = {op}({', '.join(number(values[x], index) for x in row['args'][:ARGUMENTS_SHOWN])})"
    return f"{where}{op} gives {what}{element} in {sweep}{shown}{source and f', in the line: {source}'}"


SWEEPS = {
    "gradient": "the reverse sweep",
    "pull back": "the reverse sweep",
    "push forward": "the forward sweep of tangents",
    "value": "the forward sweep",
}


def derived(program: Any, mode: str, wrt: tuple[int, ...], width: int) -> tuple[Any, list[Any]]:
    """The program of a mode, with nothing optimised away."""
    if mode == "value":
        return program, []
    if mode == "push forward":
        made = forward(program, list(wrt))
    else:
        made = reverse(program, list(wrt), list(range(len(program.outputs))) if mode == "pull back" else None)
    if not width:
        return made, []
    return widen(made, list(range(program.n_inputs, made.n_inputs)), list(range(len(program.outputs), len(made.outputs))), width)  # type: ignore[no-any-return]


def explain(
    program: Any, mode: str, wrt: tuple[int, ...], inputs: Sequence[Any], consts: Sequence[Any], scalars: Sequence[float], width: int
) -> None:
    """Raise what a bad result of a sweep comes from."""
    for name in ("value", mode):
        found, more = derived(program, name, wrt, width if name == mode else 0)
        given = list(inputs) if name == mode else list(inputs)[: program.n_inputs]
        values = values_of(found, given, engine.all_consts(list(consts), more), scalars)
        for at in found.outputs:
            if values[at].dtype.kind == "f" and not np.all(np.isfinite(values[at])):
                raise errors.NonFinite(described(found, values, *origin(found, values, at), SWEEPS[name]))
