"""Calls: functions of whole arrays, each with its derivative rules in plain NumPy.

A family is a function (``np.linalg.cholesky``), a call is the function with its static parameters. A rule is recorded
once for each shape and becomes a program that the passes put in the place of the call's derivative;
so derivatives of every order come from it, and a rule may use any function that adcore records.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import errors
from ..tape.program import DTYPE_NAMES
from ..tracer import array as traced
from . import rebind

Specs = tuple[tuple[tuple[int, ...], str], ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Family:
    """A function of whole arrays and its derivative rules.

    Attributes
    ----------
    name : str
    evaluate : callable
        ``evaluate(params, *arrays)`` gives one float array of at least one dimension.
    vjp : callable or None
        ``vjp(params, wanted, g, y, *args)`` gives the adjoint of each argument that is wanted (None for the others), in
        NumPy; None where no rule is written.
    jvp : callable or None
        ``jvp(params, tangents, y, *args)`` gives the tangent of y; a tangent is None where it is zero.
    user : bool
        The rules are a user's own functions, which run with rebound names.
    """

    name: str
    evaluate: Callable[..., Any]
    vjp: Callable[..., Any] | None = None
    jvp: Callable[..., Any] | None = None
    user: bool = False


class Call:
    """A family with static parameters: what a CALL instruction refers to."""

    def __init__(self, family: Family, params: Any = ()) -> None:
        self.family = family
        self.params = params

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Call) and self.family is other.family and bool(self.params == other.params)

    def __hash__(self) -> int:
        return hash((id(self.family), self.params))

    def __repr__(self) -> str:
        return self.family.name

    def evaluate(self, *arrays: Any) -> Any:
        return self.family.evaluate(self.params, *arrays)

    def adjoint_program(self, specs: Sequence[Any], wanted: tuple[bool, ...], place: Any) -> Any:
        """The program from (g, y, args...) to the adjoints that are wanted; specs are those of y and the arguments."""
        if self.family.vjp is None:
            raise errors.MissingDerivative(place, self.family.name, wanted.index(True), "no reverse rule is written")
        return recorded(self, "vjp", tuple(specs), wanted, place)

    def tangent_program(self, specs: Sequence[Any], given: tuple[bool, ...], place: Any) -> Any:
        """The program from (y, args..., the tangents that are given) to the tangent of y."""
        if self.family.jvp is None:
            raise errors.MissingDerivative(place, self.family.name, given.index(True), "no forward rule is written")
        return recorded(self, "jvp", tuple(specs), given, place)


def rule_trace() -> Any:
    trace = traced.Trace()
    trace.stand_alone()
    return trace


def inputs(trace: Any, specs: Specs) -> list[Any]:
    return [trace.abstract_input(shape, DTYPE_NAMES.index(dtype)) for shape, dtype in specs]


def recorded(call: Call, mode: str, specs: Specs, chosen: tuple[bool, ...], place: Any) -> Any:
    """A rule's program; recorded once for each shape."""
    try:
        return kept(call, mode, specs, chosen)
    except errors.AdcoreError:
        raise
    except TypeError as error:
        if "unhashable" in str(error):
            return record(call, mode, specs, chosen)
        raise


@functools.lru_cache(maxsize=512)
def kept(call: Call, mode: str, specs: Specs, chosen: tuple[bool, ...]) -> Any:
    return record(call, mode, specs, chosen)


def record(call: Call, mode: str, all_specs: Specs, chosen: tuple[bool, ...]) -> Any:
    trace = rule_trace()
    family = call.family
    y_spec, *specs = all_specs
    rule: Any = family.vjp if mode == "vjp" else family.jvp
    if family.user:
        rule = rebind.rebound(rule, trace)
    with trace:
        if mode == "vjp":
            g, y, *args = inputs(trace, (y_spec, y_spec, *specs))
            found = rule(call.params, chosen, g, y, *args)
            outputs = [x for x, use in zip(found, chosen, strict=True) if use]
            for x, (shape, _) in zip(outputs, [s for s, use in zip(specs, chosen, strict=True) if use], strict=True):
                if x is None or np.shape(x) != shape:
                    raise errors.AdcoreError(f"the reverse rule of {family.name} gives {np.shape(x)} for an argument of shape {shape}")
        else:
            y, *args = inputs(trace, (y_spec, *specs))
            given = iter(inputs(trace, tuple(s for s, use in zip(specs, chosen, strict=True) if use)))
            tangents = [next(given) if use else None for use in chosen]
            outputs = [rule(call.params, tangents, y, *args)]
            if np.shape(outputs[0]) != y_spec[0]:
                raise errors.AdcoreError(f"the forward rule of {family.name} gives {np.shape(outputs[0])}, the value is {y_spec[0]}")
        trace.tape.set_results([traced.value_number(x if traced.is_traced(x) else traced.as_traced(trace, x)) for x in outputs])
    trace.close()
    return trace.tape


def apply(family: Family, params: Any, shape: tuple[int, ...], *args: Any) -> Any:
    """Record a call of these arguments, at least one of them traced; the result has this shape."""
    trace = traced.find_trace(args)
    operands = [traced.as_traced(trace, x) for x in args]
    f32 = bool(operands) and all(x.dtype == np.float32 for x in operands)
    return traced.call(Call(family, params), operands, shape, np.float32 if f32 else np.float64)
