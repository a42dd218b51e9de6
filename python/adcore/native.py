"""Kernels of your own: compiled functions, given by their addresses, that run inside the sweep without the GIL."""

from __future__ import annotations

import ctypes
import importlib
import os
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import errors, rules
from .front import calls, rebind
from .front.nested import size, unpack
from .sweep import native
from .tracer import array as traced

SIGNATURES = {
    "value": ("double**", "int64*", "double*", "int64", "void*"),
    "reverse": ("double**", "int64*", "double*", "double*", "int64", "double**", "void*"),
    "forward": ("double**", "double**", "int64*", "double*", "double*", "int64", "void*"),
}
C_FUNCTION: Any = type(ctypes.pythonapi.Py_IsInitialized).__mro__[1]  # of every function of ctypes
KINDS = {name: k for k, name in enumerate(SIGNATURES)}
NAMES = {
    "float64": "double", "c_double": "double", "int64_t": "int64", "long": "int64", "long long": "int64", "npy_int64": "int64",
    "Py_ssize_t": "int64", "c_long": "int64", "c_longlong": "int64", "int": "int32", "int32_t": "int32", "c_int": "int32",
}  # fmt: skip


def get_include() -> str:
    """The directory of ``adcore_primitive.h``, the contract of compiled kernels.

    Examples
    --------
    >>> import adcore, os
    >>> os.listdir(adcore.get_include())
    ['adcore_primitive.h']
    """
    import adcore

    for root in adcore.__path__:
        found = pathlib.Path(root) / "include"
        if (found / "adcore_primitive.h").exists():
            return str(found)
    raise errors.AdcoreError("adcore_primitive.h is not installed beside adcore: install the wheel again")


# -- addresses ---------------------------------------------------------------------------------


def plain_type(text: str) -> str:
    """A C type without const, spaces and synonyms."""
    words = re.sub(r"\b(const|restrict|__restrict|AD_RESTRICT)\b", " ", text)
    stars = words.count("*")
    base = " ".join(words.replace("*", " ").split())
    return NAMES.get(base, base) + "*" * stars


def of_ctypes(kind: Any) -> str:
    """A type of ctypes as C text."""
    if kind is ctypes.c_void_p:
        return "void*"
    inner = getattr(kind, "_type_", None)
    if isinstance(inner, type):
        return of_ctypes(inner) + "*"
    return plain_type(getattr(kind, "__name__", str(kind)))


def check(role: str, result: str, arguments: Sequence[str]) -> None:
    """Refuse a function whose signature is known and another one."""
    wanted = SIGNATURES[role]
    found = [plain_type(a) for a in arguments]
    fits = plain_type(result) == "int32" and len(found) == len(wanted)
    if not fits or any(f not in (w, "void*") or (f == "void*" and "*" not in w) for f, w in zip(found, wanted, strict=True)):
        raise errors.ArgumentError(
            f"the {role} kernel has the signature {result} ({', '.join(arguments)}); adcore_{role} of adcore_primitive.h is "
            f"int ({', '.join(wanted)})"
        )


def address_of(role: str, f: Any) -> int:
    """The address of a compiled function, its signature checked where it is known.

    Raises
    ------
    ArgumentError
        It is no compiled function, or one of another signature.
    """
    capsule = native.capsule(f)
    if capsule is not None:
        found = re.fullmatch(r"(.*?)\((.*)\)", capsule[1])
        if found is None:
            raise errors.ArgumentError(f"the {role} kernel is a PyCapsule named {capsule[1]!r}, whose name is not a C signature")
        check(role, found[1], found[2].split(","))
        return capsule[0]
    if type(f).__module__.startswith("scipy") and type(f).__name__ == "LowLevelCallable":
        if len(f) > 1 and f.user_data is not None:
            raise errors.ArgumentError(f"the {role} kernel is a LowLevelCallable with user_data: give it as data= instead")
        return address_of(role, f.function)
    if isinstance(f, C_FUNCTION):
        if f.argtypes is not None:
            check(role, of_ctypes(f.restype), [of_ctypes(a) for a in f.argtypes])
        return checked_address(role, ctypes.cast(f, ctypes.c_void_p).value)
    if hasattr(f, "_sig") and hasattr(f, "address"):  # numba.cfunc
        check(role, str(f._sig.return_type), [str(a) for a in f._sig.args])
        return checked_address(role, f.address)
    if type(f).__module__ == "_cffi_backend":
        return of_cffi(role, f)
    if isinstance(f, (int, np.integer)) and not isinstance(f, bool):
        return checked_address(role, int(f))
    raise errors.ArgumentError(
        f"the {role} kernel is {type(f).__name__}, not a compiled function: give an address, or a function of Cython (its capsule in "
        "__pyx_capi__), ctypes, cffi or numba.cfunc. For Python functions there is adcore.primitive"
    )


def of_cffi(role: str, f: Any) -> int:
    ffi = importlib.import_module("_cffi_backend").FFI()
    if not isinstance(f, ffi.CData):
        raise errors.ArgumentError(f"the {role} kernel is a function of cffi's library: give its address, ffi.addressof(lib, name)")
    kind = ffi.typeof(f)
    if kind.kind == "pointer" and kind.item.kind == "function":
        kind = kind.item
    if kind.kind != "function":
        raise errors.ArgumentError(f"the {role} kernel is cffi data of type {kind.cname}, not a function")
    check(role, kind.result.cname, [a.cname for a in kind.args])
    return checked_address(role, int(ffi.cast("uintptr_t", f)))


def checked_address(role: str, address: int | None) -> int:
    """An address that code can be at, as far as the system says."""
    if not address or address < 4096:
        raise errors.ArgumentError(f"the {role} kernel has the address {address!r}: there is no function")
    if os.path.exists("/proc/self/maps"):
        with open("/proc/self/maps") as maps:
            for line in maps:
                span, rights = line.split(maxsplit=2)[:2]
                low, high = (int(x, 16) for x in span.split("-"))
                if low <= address < high:
                    if "x" in rights:
                        return address
                    break
        raise errors.ArgumentError(f"the {role} kernel has the address {address:#x}, where there is no code")
    return address


def data_address(data: Any) -> int:
    """Where ``data=`` is in memory."""
    if data is None:
        return 0
    if isinstance(data, np.ndarray):
        if not data.flags.c_contiguous:
            raise errors.ArgumentError("data is an array that is not C-contiguous")
        return int(data.ctypes.data)
    if isinstance(data, (int, np.integer)) and not isinstance(data, bool):
        return int(data)
    if isinstance(data, (ctypes.Structure, ctypes.Array, ctypes._SimpleCData)):
        return ctypes.addressof(data)
    raise errors.ArgumentError(f"data is {type(data).__name__}: give an array, a ctypes object or an address")


# -- the primitive --------------------------------------------------------------------------------


class KernelRule(rules.Rule):
    """A call of one of a primitive's kernels.

    The arguments are, for a value those of the function, for a reverse rule (adjoint, result, arguments), for a forward rule
    (result, arguments, tangents that are not zero). ``chosen``: whose adjoints are wanted, or whose tangents are given.
    """

    def __init__(self, owner: CompiledPrimitive, kind: str, shapes: tuple[Any, ...], chosen: tuple[bool, ...] = ()) -> None:
        super().__init__(owner, (kind, shapes, chosen))
        self.kind, self.shapes, self.chosen = kind, shapes, chosen  # of the result, then of the arguments
        mask = sum(1 << k for k, use in enumerate(chosen) if use)
        self.native = (KINDS[kind], owner.addresses[kind], owner.data_address, len(shapes) - 1, mask)
        if kind == "value":
            self.reverse = self.by_vjp if owner.vjp is not None else self.by_reverse if "reverse" in owner.addresses else None
            self.forward = self.by_jvp if owner.jvp is not None else self.by_forward if "forward" in owner.addresses else None

    def __repr__(self) -> str:
        return f"compiled primitive {self.owner.__name__}" + ("" if self.kind == "value" else f" ({self.kind} rule)")

    def failed(self, code: int) -> errors.KernelError:
        return errors.KernelError(f"the {self.kind} kernel of {self.owner.__name__} returned {code}")

    def evaluate(self, *arrays: Any) -> Any:
        y = np.zeros(sum(size(s) for s in self.result_shapes()))
        code = native.call(self.native, y, [np.ascontiguousarray(a, dtype=np.float64).reshape(-1) for a in arrays])
        if code:
            raise self.failed(code)
        return y.reshape(self.shapes[0]) if self.kind != "reverse" else y

    def result_shapes(self) -> list[Any]:
        if self.kind != "reverse":
            return [self.shapes[0]]
        return [s for s, use in zip(self.shapes[1:], self.chosen, strict=True) if use]

    def record(self, kind: str, chosen: tuple[bool, ...], operands: Sequence[Any]) -> Any:
        """A call of another kernel of the same function."""
        if kind not in self.owner.addresses:
            raise errors.MissingDerivative(None, repr(self), 0, f"it has no {kind} kernel; give {kind}=, or the rule in NumPy")
        rule = KernelRule(self.owner, kind, self.shapes, chosen)
        return traced.open_trace().call_program(rule, list(operands), [], [], rule.packed_shape(), np.float64)

    def packed_shape(self) -> tuple[int, ...]:
        return self.shapes[0] if self.kind != "reverse" else (sum(size(s) for s in self.result_shapes()),)

    def pulled(self, wanted: tuple[bool, ...], g: Any, y: Any, args: Sequence[Any]) -> list[Any]:
        """The adjoints of arguments, None where they are not wanted."""
        packed = self.record("reverse", wanted, [g, y, *args])
        found = iter(unpack(packed, [x for x, use in zip(args, wanted, strict=True) if use]))
        return [next(found) if use else None for use in wanted]

    def pushed(self, tangents: Sequence[Any], y: Any, args: Sequence[Any]) -> Any:
        given = tuple(t is not None for t in tangents)
        return self.record("forward", given, [y, *args, *[t for t in tangents if t is not None]])

    def by_reverse(self, wanted: Any, g: Any, y: Any, *args: Any) -> Any:
        return self.pulled(tuple(wanted), g, y, args)

    def by_forward(self, tangents: Any, y: Any, *args: Any) -> Any:
        return self.pushed(tangents, y, args)

    def by_vjp(self, wanted: Any, g: Any, y: Any, *args: Any) -> Any:
        found = rebind.rebound(self.owner.vjp, traced.open_trace())(g, y, *args)
        if not isinstance(found, (tuple, list)) or len(found) != len(args):
            raise errors.ArgumentError(f"vjp of {self.owner.__name__} must return a tuple of {len(args)} adjoints, one for each argument")
        return [np.zeros(x.shape) if adjoint is None else adjoint for x, adjoint in zip(args, found, strict=True)]

    def by_jvp(self, tangents: Any, y: Any, *args: Any) -> Any:
        moves = [np.zeros(x.shape) if t is None else t for t, x in zip(tangents, args, strict=True)]
        return rebind.rebound(self.owner.jvp, traced.open_trace())(tuple(moves), y, *args)

    # a reverse or forward rule is linear in the adjoint (the tangents) it is given, and known no further

    def linear_in(self, moved: tuple[bool, ...], place: Any) -> None:
        linear = range(1) if self.kind == "reverse" else range(len(self.shapes), len(moved))
        if any(use and k not in linear for k, use in enumerate(moved)):
            raise errors.MissingDerivative(
                place,
                repr(self),
                moved.index(True),
                "a compiled kernel has first derivatives only; give vjp= or jvp= in NumPy for higher ones",
            )

    def adjoint_program(self, specs: Sequence[Any], wanted: tuple[bool, ...], place: Any) -> Any:
        if self.kind == "value":
            return super().adjoint_program(specs, wanted, place)
        self.linear_in(wanted, place)
        n = len(self.shapes) - 1
        trace = calls.rule_trace()
        with trace:
            w, _, *args = calls.inputs(trace, (specs[0], *specs))
            if self.kind == "reverse":
                like = [x for x, use in zip(args[2:], self.chosen, strict=True) if use]
                parts = iter(unpack(w, like))
                found = [self.pushed([next(parts) if use else None for use in self.chosen], args[1], args[2:])]
            else:
                moved = iter(wanted[1 + n :])
                use = tuple(given and next(moved) for given in self.chosen)
                found = [x for x in self.pulled(use, w, args[0], args[1 : 1 + n]) if x is not None]
            return calls.finished(trace, found, repr(self))

    def tangent_program(self, specs: Sequence[Any], given: tuple[bool, ...], place: Any) -> Any:
        if self.kind == "value":
            return super().tangent_program(specs, given, place)
        self.linear_in(given, place)
        n = len(self.shapes) - 1
        trace = calls.rule_trace()
        with trace:
            _, *args = calls.inputs(trace, tuple(specs))
            moves = calls.inputs(trace, tuple(s for s, use in zip(specs[1:], given, strict=True) if use))
            if self.kind == "reverse":
                found = self.record("reverse", self.chosen, [moves[0], *args[1:]])
            else:
                moved = iter(given[1 + n :])
                found = self.record("forward", tuple(use and next(moved) for use in self.chosen), [*args[: 1 + n], *moves])
            return calls.finished(trace, [found], repr(self))


class CompiledPrimitive:
    """A function whose value and derivatives are compiled kernels. See `compiled_primitive`."""

    fixed: dict[int, str] = {}  # noqa: RUF012  (never written: what a rule asks of its owner)

    def __init__(self, kernels: dict[str, Any], shape: Any, data: Any, vjp: Any, jvp: Any, name: str) -> None:
        self.kernels = {role: f for role, f in kernels.items() if role == "value" or f is not None}  # kept alive
        self.addresses = {role: address_of(role, f) for role, f in self.kernels.items()}
        self.data, self.data_address = data, data_address(data)
        self.shape, self.vjp, self.jvp = shape, vjp, jvp
        self.__name__ = name
        self.f = self

    def __repr__(self) -> str:
        return f"<compiled primitive {self.__name__}>"

    def result_shape(self, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        found = shapes[0] if self.shape is None else self.shape(*shapes) if callable(self.shape) else self.shape
        shape = (found,) if isinstance(found, (int, np.integer)) else tuple(found)
        if any(isinstance(d, bool) or not isinstance(d, (int, np.integer)) or d < 0 for d in shape):
            raise errors.ArgumentError(f"the shape of {self.__name__} is {found!r}: give a tuple of lengths")
        return tuple(int(d) for d in shape)

    def __call__(self, *args: Any) -> Any:
        if not 0 < len(args) <= native.MOST_ARGUMENTS:
            raise errors.ArgumentError(f"{self.__name__} takes 1 to {native.MOST_ARGUMENTS} arrays, not {len(args)}")
        trace = traced.open_trace() if traced.find_trace(args) is not None else None
        operands = [self.operand(x, trace) for x in args]
        shape = self.result_shape([x.shape for x in operands])
        rule = KernelRule(self, "value", (shape or (1,), *[x.shape for x in operands]))
        if trace is None:
            y = rule.evaluate(*operands)
        else:
            y = trace.call_program(rule, operands, [], [], shape or (1,), np.float64)
        return y if shape else y[0]

    def operand(self, x: Any, trace: Any) -> Any:
        x = np.asarray(x) if trace is None else traced.as_traced(trace, x)
        if x.dtype.kind not in "fiub":
            raise errors.ArgumentError(f"{self.__name__} takes float64 arrays, not {x.dtype}")
        return x if x.dtype == np.float64 else x.astype(np.float64)


def compiled_primitive(
    value: Any,
    reverse: Any = None,
    forward: Any = None,
    *,
    shape: Any = None,
    data: Any = None,
    vjp: Callable[..., Any] | None = None,
    jvp: Callable[..., Any] | None = None,
    name: str = "kernel",
) -> CompiledPrimitive:
    """A compiled function as one operation, which the sweep calls by its address, without the GIL.

    Parameters
    ----------
    value, reverse, forward : compiled function
        Of the types `adcore_value`, `adcore_reverse`, `adcore_forward` of ``adcore_primitive.h``, which also states what
        adcore guarantees to a kernel and what a kernel must keep to. A PyCapsule with the C signature for its name (a
        ``cdef`` function of Cython in ``__pyx_capi__``), a function of ctypes, cffi or ``numba.cfunc``, a LowLevelCallable, or
        an address.
    shape : tuple or callable, optional
        Shape of the result; a callable gets the shapes of the arguments. Without it, that of the first argument.
    data : array, ctypes object or address, optional
        What the kernels get as their last argument; kept alive.
    vjp, jvp : callable, optional
        Rules in NumPy, as of `primitive`, instead of a kernel: for derivatives of every order.
    name : str
        For messages.

    Returns
    -------
    callable
        Takes arrays and numbers, which are made contiguous float64 arrays.

    Raises
    ------
    ArgumentError
        What is given is no compiled function, or its signature is known and another one.
    KernelError
        A kernel returned a number other than 0.
    MissingDerivative
        A derivative is asked for that needs a kernel, or a rule, that was not given.

    Notes
    -----
    Signatures of bare addresses, and of functions of ctypes without argtypes, cannot be checked.

    Examples
    --------
    See ``examples/custom_kernel``, which builds its kernels with setuptools.

    >>> import ctypes, adcore
    >>> adcore.compiled_primitive(ctypes.CDLL(None).cos.restype)
    Traceback (most recent call last):
    ...
    adcore.errors.ArgumentError: the value kernel is PyCSimpleType, not a compiled function: give an address, or a function of Cython \
(its capsule in __pyx_capi__), ctypes, cffi or numba.cfunc. For Python functions there is adcore.primitive
    """
    if (reverse is not None and vjp is not None) or (forward is not None and jvp is not None):
        raise errors.ArgumentError(f"compiled_primitive({name}): give one rule for each mode, compiled or in NumPy")
    return CompiledPrimitive({"value": value, "reverse": reverse, "forward": forward}, shape, data, vjp, jvp, name)
