"""Calls: functions of whole arrays, each with its derivative rules in plain NumPy.

A family is a function (``np.linalg.cholesky``), a call is the function with its static parameters. A rule is recorded
once for each shape and becomes a program that the passes put in the place of the call's derivative;
so derivatives of every order come from it, and a rule may use any function that adcore records.
"""

from __future__ import annotations

import copy
import dataclasses
import dis
import functools
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import errors
from ..passes.optimise import optimise
from ..passes.reverse import reverse
from ..sweep import small
from ..tape.program import DTYPE_NAMES
from ..tracer import array as traced
from . import complex

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
        NumPy.
    jvp : callable or None
        ``jvp(params, tangents, y, *args)`` gives the tangent of y; a tangent is None where it is zero. One of the two
        rules serves both modes.
    result : {"like", "real", "complex"}
        Of complex arguments: is the result complex like them? "complex" is complex also of real ones.
    into : callable or None
        ``into(params, y, *arrays)`` writes what ``evaluate`` gives into y, for functions that can do without a copy.
    steady : frozenset of int
        Arguments that y has no derivative by: it steps with them, or they only carry what was computed from others. Rules are not asked
        for their adjoints, which are zero, nor given their tangents.
    native : callable or None
        ``native(params)`` says where compiled code is that does the same on float64 arrays (see ``sweep.small``), or None; ``evaluate``
        tells what is wrong where it fails.

    Notes
    -----
    The rules of a family that meets complex arguments are given complex ones: an adjoint g stands for the real linear map
    ``Re(sum(conj(g) dy))``, so that the adjoint of ``y = A x`` is ``A^H g``.
    """

    name: str
    evaluate: Callable[..., Any]
    vjp: Callable[..., Any] | None = None
    jvp: Callable[..., Any] | None = None
    result: str = "like"
    into: Callable[..., Any] | None = None
    native: Callable[..., Any] | None = None
    steady: frozenset[int] = frozenset()

    @property
    def has_rules(self) -> bool:
        return self.vjp is not None or self.jvp is not None or bool(self.steady)

    def adjoints(self, params: Any, wanted: Any, g: Any, y: Any, *args: Any) -> Any:
        """What ``vjp`` gives, and zeros for steady arguments."""
        if not self.steady:
            return self.vjp(params, wanted, g, y, *args)  # type: ignore[misc]
        asked = [use and k not in self.steady for k, use in enumerate(wanted)]
        found = self.vjp(params, asked, g, y, *args) if any(asked) else [None] * len(args)  # type: ignore[misc]
        return [np.zeros(x.shape) if use and not ask else f for f, x, use, ask in zip(found, args, wanted, asked, strict=True)]

    def tangent(self, params: Any, tangents: Any, y: Any, *args: Any) -> Any:
        """What ``jvp`` gives; zero where only steady arguments move."""
        moves = [None if k in self.steady else t for k, t in enumerate(tangents)]
        if self.steady and all(t is None for t in moves):
            return np.zeros(y.shape)
        return self.jvp(params, moves, y, *args)  # type: ignore[misc]

    @functools.cached_property
    def of_parts(self) -> Family:
        """The same function of real and imaginary parts; a complex result has its parts along a first axis.

        Its parameters are those of this family and, for each argument, whether it has an imaginary part.
        """

        def evaluate(params: Any, *parts: Any) -> Any:
            inner, kinds = params
            y = self.evaluate(inner, *[plain_complex(*group) for group in grouped(kinds, parts)])
            return y if self.result == "real" else np.stack([y.real, y.imag])

        def whole(x: Any) -> Any:
            return x if self.result == "real" else complex.Complex(x[0], x[1])

        def vjp(params: Any, wanted: Any, g: Any, y: Any, *parts: Any) -> Any:
            inner, kinds = params
            uses = grouped(kinds, wanted)
            args = [traced_complex(*group) for group in grouped(kinds, parts)]
            found = self.adjoints(inner, [any(use) for use in uses], whole(g), whole(y), *args)
            split = [(None,) * len(use) if x is None else halves(x)[: len(use)] for x, use in zip(found, uses, strict=True)]
            return [part for group in split for part in group]

        def jvp(params: Any, tangents: Any, y: Any, *parts: Any) -> Any:
            inner, kinds = params
            args = [traced_complex(*group) for group in grouped(kinds, parts)]
            moves = [None if all(t is None for t in group) else traced_complex(*group) for group in grouped(kinds, tangents)]
            found = self.tangent(inner, moves, whole(y), *args)
            return found if self.result == "real" else np.stack(halves(found))

        return Family(self.name, evaluate, None if self.vjp is None else vjp, None if self.jvp is None else jvp)


def grouped(kinds: tuple[bool, ...], parts: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The parts of each argument: two where it has an imaginary one."""
    left = iter(parts)
    return [(next(left), next(left)) if two else (next(left),) for two in kinds]


def plain_complex(re: Any, im: Any = None) -> Any:
    if im is None:
        return re
    z = np.empty(re.shape, np.result_type(re, np.complex64))
    z.real, z.imag = re, im
    return z


def traced_complex(re: Any, *im: Any) -> Any:
    return complex.made(re, *im) if im else re


def halves(x: Any) -> tuple[Any, Any]:
    return (x.real, x.imag) if complex.is_complex(x) else (x, np.zeros(np.shape(x)))


class Call:
    """A family with static parameters: what a CALL instruction refers to."""

    shared = True  # equal calls of the same arguments are one

    def __init__(self, family: Family, params: Any = ()) -> None:
        self.family = family
        self.params = params
        self.into = None if family.into is None else functools.partial(family.into, params)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Call) and self.family is other.family and bool(self.params == other.params)

    def __hash__(self) -> int:
        return hash((id(self.family), self.params))

    def __repr__(self) -> str:
        return self.family.name

    def evaluate(self, *arrays: Any) -> Any:
        return self.family.evaluate(self.params, *arrays)

    @property
    def native(self) -> Any:
        """Where compiled code for it is, or None."""
        return None if self.family.native is None else self.family.native(self.params)

    def failed(self, code: int) -> Exception:
        """The error that a code of the compiled one stands for."""
        return copy.copy(small.FAILURES[code - 1])

    def adjoint_program(self, specs: Sequence[Any], wanted: tuple[bool, ...], place: Any) -> Any:
        """The program from (g, y, args...) to the adjoints that are wanted; specs are those of y and the arguments."""
        if not self.family.has_rules:
            raise errors.MissingDerivative(place, self.family.name, wanted.index(True), "no reverse rule is written")
        return recorded(self, "vjp", tuple(specs), wanted)

    def tangent_program(self, specs: Sequence[Any], given: tuple[bool, ...], place: Any) -> Any:
        """The program from (y, args..., the tangents that are given) to the tangent of y."""
        if not self.family.has_rules:
            raise errors.MissingDerivative(place, self.family.name, given.index(True), "no forward rule is written")
        return recorded(self, "jvp", tuple(specs), given)


def rule_trace() -> Any:
    trace = traced.Trace()
    trace.stand_alone()
    return trace


def inputs(trace: Any, specs: Specs) -> list[Any]:
    return [trace.abstract_input(shape, DTYPE_NAMES.index(dtype)) for shape, dtype in specs]


def recorded(call: Call, mode: str, specs: Specs, chosen: tuple[bool, ...]) -> Any:
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


def record(call: Call, mode: str, specs: Specs, chosen: tuple[bool, ...]) -> Any:
    """The program of the derivative, by the rule of this mode or else as the transpose of the other."""
    family = call.family
    if (family.vjp if mode == "vjp" else family.jvp) is None and (family.vjp or family.jvp):
        return transposed(record(call, "jvp" if mode == "vjp" else "vjp", specs, chosen), mode, specs, chosen, family.name)
    rule = family.adjoints if mode == "vjp" else family.tangent
    return (record_adjoint if mode == "vjp" else record_tangent)(functools.partial(rule, call.params), specs, chosen, family.name)


def record_adjoint(rule: Callable[..., Any], all_specs: Specs, wanted: tuple[bool, ...], name: str, surroundings: Any = None) -> Any:
    """The program of ``rule(wanted, g, y, *args)``."""
    y_spec, *specs = all_specs
    trace = rule_trace()
    with trace:
        trace.surroundings = surroundings
        g, y, *args = inputs(trace, (y_spec, y_spec, *specs))
        found = rule(wanted, g, y, *args)
        outputs = [x for x, use in zip(found, wanted, strict=True) if use]
        for k, (x, (shape, _)) in enumerate(zip(outputs, [s for s, use in zip(specs, wanted, strict=True) if use], strict=True)):
            if x is None or np.shape(x) != shape:
                raise errors.ArgumentError(f"the reverse rule of {name} gives {kind(x)} for active argument {k}, which has shape {shape}")
        return finished(trace, outputs, name)


def record_tangent(rule: Callable[..., Any], all_specs: Specs, given: tuple[bool, ...], name: str, surroundings: Any = None) -> Any:
    """The program of ``rule(tangents, y, *args)``."""
    y_spec, *specs = all_specs
    trace = rule_trace()
    with trace:
        trace.surroundings = surroundings
        y, *args = inputs(trace, (y_spec, *specs))
        moves = iter(inputs(trace, tuple(s for s, use in zip(specs, given, strict=True) if use)))
        tangents = [next(moves) if use else None for use in given]
        found = rule(tangents, y, *args)
        if found is None or np.shape(found) != y_spec[0]:
            raise errors.ArgumentError(f"the forward rule of {name} gives {kind(found)}, the value has shape {y_spec[0]}")
        return finished(trace, [found], name)


def kind(x: Any) -> str:
    return "None" if x is None else f"shape {np.shape(x)}"


def finished(trace: Any, outputs: Sequence[Any], name: str) -> Any:
    """The tape of a rule with these outputs."""
    trace.tape.set_results([traced.value_number(traced.as_traced(trace, x)) for x in outputs])
    if any(x is not None for x in trace.inputs):
        raise errors.ArgumentError(
            f"a derivative rule of {name} reads a traced value from outside: pass it as an argument (or residual) of the rule"
        )
    trace.close()
    return trace.tape


def transposed(program: Any, mode: str, specs: Specs, chosen: tuple[bool, ...], name: str) -> Any:
    """A rule for one mode from the program of the other: the adjoint of a linear map.

    The forward program takes (y, args, tangents), the reverse one (g, y, args); each is linear in what it is given to
    move, so the adjoint of that does not depend on it.
    """
    n = len(specs) - 1
    moved = [k + n + 1 for k in range(sum(chosen))] if mode == "vjp" else [0]
    outputs = range(1 if mode == "vjp" else sum(chosen))
    pulled = reverse(program, moved, list(outputs))
    pulled.set_results(pulled.outputs[len(outputs) :])
    pulled = optimise(pulled)
    if reads(pulled, moved):
        raise errors.ArgumentError(
            f"a derivative rule of {name} is not linear in the {'tangents' if mode == 'vjp' else 'adjoint'}, "
            f"or is not seen to be where a loop or a solver takes them: give it a rule for {'reverse' if mode == 'vjp' else 'forward'} mode"
        )
    trace = rule_trace()
    with trace:
        given = inputs(trace, (specs[0],) if mode == "vjp" else ())
        y, *args = inputs(trace, specs)
        if mode == "jvp":
            given = inputs(trace, tuple(s for s, use in zip(specs[1:], chosen, strict=True) if use))
        # what the map is linear in is not read: anything of its shape will do
        unread = [x for x, use in zip(args, chosen, strict=True) if use]
        arguments = [y, *args, *unread, *given] if mode == "vjp" else [y, y, *args, *given]
        return finished(trace, trace.inline(pulled, arguments, [], []), name)


def reads(program: Any, numbers: Sequence[int]) -> bool:
    """Do the outputs of a program depend on these inputs?"""
    live = set(program.outputs)
    for k in range(len(program) - 1, -1, -1):
        if k not in live:
            continue
        instruction = program.instruction(k)
        if instruction["op"] == "INPUT" and instruction["param"] in numbers:
            return True
        args = instruction["args"]
        if instruction["op"] == "CALL" and hasattr(rule := program.rules[instruction["param"]], "reads"):
            args = [x for k, x in enumerate(args) if rule.reads(k)]
        live.update(args)
    return False


def apply(family: Family, params: Any, shape: tuple[int, ...], *args: Any) -> Any:
    """Record a call of these arguments, at once evaluated if none of them is traced; the result has this shape."""
    trace = traced.find_trace(args)
    if trace is None:
        return np.reshape(family.evaluate(params, *[np.asarray(x) for x in args]), shape)
    if family.result != "complex" and not traced.holds_complex(args):
        return recorded_call(Call(family, params), shape, [traced.as_traced(trace, x) for x in args])
    kinds, operands = [], []
    for x in args:
        re, im = complex.split(x, trace)
        kinds.append(im is not None)
        operands += [p for p in (np.zeros(np.shape(x)) if re is None else re, im) if p is not None]
    call = Call(family.of_parts, (params, tuple(kinds)))
    operands = [traced.as_traced(trace, x) for x in operands]
    if family.result == "real":
        return recorded_call(call, shape, operands)
    y = recorded_call(call, (2, *shape), operands)
    return complex.Complex(y[0], y[1])


def recorded_call(call: Call, shape: tuple[int, ...], operands: list[Any]) -> Any:
    f32 = bool(operands) and all(x.dtype == np.float32 for x in operands)
    y = traced.call(call, operands, shape, np.float32 if f32 else np.float64)
    if may_be_caught() and traced.has_values(y):
        try:
            traced.known_value(y)
        except Exception as error:
            surroundings = traced.trace_of_value(y).surroundings
            if surroundings is not None:
                surroundings.changes(f"{call} raised {type(error).__name__}, which the function may catch")
            del y  # else the traceback would keep it among the values that are wanted
            raise
    return y


# -- what f does about errors ---------------------------------------------------------------------------


def may_be_caught() -> bool:
    """Is there a ``try`` in a function of the user's that is running?

    ``try: L = np.linalg.cholesky(K)`` decides by the error: then a call must run while it is recorded.
    """
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None and errors.of_library(frame):
        frame = frame.f_back
    while frame is not None and not errors.of_library(frame):
        if has_try(frame.f_code):
            return True
        frame = frame.f_back
    return False


@functools.lru_cache(maxsize=4096)
def has_try(code: types.CodeType) -> bool:
    """Does the function catch errors, other than by ``with``?"""
    opcodes = code.co_code[::2]
    if "SETUP_FINALLY" in dis.opmap and "PUSH_EXC_INFO" not in dis.opmap:  # Python 3.10
        return dis.opmap["SETUP_FINALLY"] in opcodes
    return opcodes.count(dis.opmap["PUSH_EXC_INFO"]) > opcodes.count(dis.opmap["WITH_EXCEPT_START"])
