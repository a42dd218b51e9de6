"""Products of the Jacobian with vectors: pushed forward (JVP), pulled back (VJP), and the Hessian's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import errors, trees
from ..front import complex
from ..tracer import array as traced
from . import leaves
from .gradient import grad, name_of
from .recording import Recording, normalised


class Outputs:
    """The result of a recorded function: a tree whose traced float leaves are the outputs of its program.

    Attributes
    ----------
    shapes, dtypes : list
        Of the outputs, in the order of the leaves.
    """

    def __init__(self, f: Any, recording: Recording) -> None:
        self.recording = recording
        self.shapes: list[tuple[int, ...]] = []
        self.dtypes: list[Any] = []
        self.scalar: list[bool] = []
        numbers: list[int] = []

        def leaf(x: Any, path: str) -> Any:
            if isinstance(x, np.ndarray) and x.dtype == object and traced.find_trace(x) is not None:
                x = traced.as_traced(recording.trace, x)
            if isinstance(x, traced.TracedComplex):
                pairs = leaves.pairs(x)
                numbers.append(recording.number(pairs))
                self.shapes.append(pairs.shape)
                self.dtypes.append(pairs.dtype)
                self.scalar.append(False)
                return ComplexSlot
            if not traced.is_traced(x):
                if not isinstance(x, (bool, int, float, *leaves.COMPLEX, np.ndarray, np.generic)):
                    raise errors.ArgumentError(f"{name_of(f)} returned {type(x).__name__}{path and ' in ' + path}; give arrays or numbers")
                return x
            if x.dtype.kind != "f":
                return x.concrete()[()]
            numbers.append(recording.number(x))
            self.shapes.append(x.shape)
            self.dtypes.append(x.dtype)
            self.scalar.append(isinstance(x, traced.TracedScalar))
            return Slot

        self.template = trees.mapped(leaf, recording.result)
        recording.trace.tape.set_results(numbers)

    def tree(self, values: Sequence[Any]) -> Any:
        """The result with these arrays for its traced leaves."""
        filled = self.filled(values)

        def leaf(x: Any, path: str) -> Any:
            return next(filled) if x is Slot or x is ComplexSlot else x

        return trees.mapped(leaf, self.template)

    def zeros(self, values: Sequence[Any]) -> Any:
        """As ``tree``, where what does not depend on the arguments has a derivative of zero."""
        filled = self.filled(values)

        def leaf(x: Any, path: str) -> Any:
            if x is Slot or x is ComplexSlot:
                return next(filled)
            return np.zeros(np.shape(x))[()]

        return trees.mapped(leaf, self.template)

    def filled(self, values: Sequence[Any]) -> Iterator[Any]:
        """What the outputs' arrays stand for: complex values from pairs, numbers from arrays without dimensions."""
        for value, shape, slot in zip(values, self.shapes, self.slots, strict=True):
            if slot is ComplexSlot:
                value = leaves.from_pairs(value, len(shape) - 1)
            yield value if traced.is_traced(value) or value.shape != () else value[()]

    @property
    def slots(self) -> list[Any]:
        return [x for _, x in trees.leaves(self.template) if x is Slot or x is ComplexSlot]

    def seeds(self, g: Any) -> tuple[list[Any], int]:
        """The leaves of an adjoint of the result, and how many seeds each one holds (0: one, without an axis for it)."""
        given: list[Any] = []

        def leaf(x: Any, y: Any, path: str) -> None:
            if y is Slot or y is ComplexSlot:
                given.append(x)

        match(leaf, g, self.template, "the adjoint")
        width = None
        out = []
        for x, shape, dtype, slot in zip(given, self.shapes, self.dtypes, self.slots, strict=True):
            if slot is ComplexSlot:
                x = leaves.seed(x, dtype, len(shape) - 1, "the adjoint", of_adjoint=True)
            else:
                x = seed_array(x, dtype, "the adjoint")
            own = x.shape[len(shape) :]
            if x.shape[: len(shape)] != shape or len(own) > 1:
                raise errors.ArgumentError(f"the adjoint has shape {x.shape}, the value {shape} (several seeds stand along one last axis)")
            n = own[0] if own else 0
            if width is not None and n != width:
                raise errors.ArgumentError("the adjoints of the outputs hold different numbers of seeds")
            width = n
            out.append(x)
        return out, width or 0


class Slot:
    """Stands for a traced leaf of a result."""


class ComplexSlot:
    """Stands for a traced complex leaf, which leaves the recording as pairs of floats."""


def match(f: Callable[[Any, Any, str], None], tree: Any, like: Any, path: str) -> None:
    """Call ``f(leaf, leaf of like, path)`` for two trees of one structure."""
    if like is Slot or like is ComplexSlot or not trees.is_branch(like):
        if trees.is_branch(tree) and tree is not None and not traced.is_traced(tree):
            tree = np.asarray(tree) if isinstance(tree, (list, tuple)) and not traced.find_trace(tree) else tree
            if trees.is_branch(tree):
                raise errors.ArgumentError(f"{path} is {type(tree).__name__} where one array or number is wanted")
        f(tree, like, path)
        return
    theirs = trees.parts(like)
    ours = trees.parts(tree) if trees.is_branch(tree) else None
    if ours is None or type(tree) is not type(like) or [w for w, _ in ours] != [w for w, _ in theirs]:
        raise errors.ArgumentError(f"{path} is {describe(tree)}, it should be like {describe(like)}")
    for (where, a), (_, b) in zip(ours, theirs, strict=True):
        match(f, a, b, path + where)


def describe(tree: Any) -> str:
    if tree is None:
        return "None"
    return type(tree).__name__ + (" with " + ", ".join(w for w, _ in trees.parts(tree)) if trees.is_branch(tree) else "")


def seed_array(x: Any, dtype: Any, what: str) -> Any:
    """A seed or tangent as an array that a plan can bind."""
    array = x if traced.is_traced(x) else np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise errors.ArgumentError(f"{what} has dtype {array.dtype}; it must be real numbers")
    if traced.is_traced(x):
        return x if x.dtype == dtype else x.astype(dtype)
    return np.ascontiguousarray(array, dtype=dtype).reshape(array.shape)


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """Value of f, and the function that takes an adjoint of the value to adjoints of the arguments.

    Parameters
    ----------
    f : callable
        Returns an array, a number, or a tree of them.
    *primals
        Float arrays, floats, or trees of them; all are differentiated.

    Returns
    -------
    y : ndarray, float or tree
    pullback : callable
        ``pullback(g)``, g like y, gives a tuple of adjoints shaped like the primals: the product of g with the
        Jacobian. Any number of calls. When g has one more axis at its end, of length n, it holds n seeds,
        which go through one sweep; the adjoints then have that axis too.

    Raises
    ------
    ArgumentError
        A primal is not made of floats, or g is not like y.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> y, pullback = adcore.vjp(np.sin, np.array([0.0, np.pi]))
    >>> pullback(np.array([1.0, 2.0]))
    (array([ 1., -2.]),)
    """
    return pulled_back(f, primals, tuple(range(len(primals))))


def pulled_back(f: Callable[..., Any], args: Sequence[Any], argnums: Sequence[int], kwargs: Any = None) -> tuple[Any, Callable[..., Any]]:
    """`vjp` with respect to some of the arguments."""
    recording = Recording(f, args, kwargs or {}, argnums)
    try:
        outputs = Outputs(f, recording)
        y = outputs.tree(recording.run("value"))
        recording.keep()
    finally:
        recording.trace.close()

    def pullback(g: Any) -> tuple[Any, ...]:
        seeds, width = outputs.seeds(g)
        adjoints = recording.run("pull back", seeds, width)[len(seeds) :]
        return tuple(recording.gradients(adjoints))

    return y, pullback


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Value of f and its derivative along a direction, by one forward sweep.

    Parameters
    ----------
    f : callable
        Returns an array, a number, or a tree of them.
    primals : sequence
        The arguments: float arrays, floats, or trees of them.
    tangents : sequence
        The direction: trees like the primals. When every tangent has one more axis at its end, of length n,
        they are n directions, which go through one sweep.

    Returns
    -------
    y, tangent of y : like the result of f
        The second with the further axis of the tangents, if any.

    Raises
    ------
    ArgumentError
        A primal is not made of floats, or the tangents are not like the primals.

    Notes
    -----
    The Jacobian times the tangent: ``dy = f'(x) dx``.

    References
    ----------
    A. Griewank, A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 3.1.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> y, dy = adcore.jvp(lambda x: x**2, (np.array([1.0, 3.0]),), (np.array([1.0, 0.5]),))
    >>> dy
    array([2., 3.])
    """
    primals, tangents = tuple(primals), tuple(tangents)
    if len(primals) != len(tangents):
        raise errors.ArgumentError(f"jvp got {len(primals)} primals and {len(tangents)} tangents")
    return pushed_forward(f, primals, tuple(range(len(primals))), tangents)


def pushed_forward(f: Callable[..., Any], args: Sequence[Any], argnums: Sequence[int], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """`jvp` with respect to some of the arguments."""
    given: list[Any] = []
    widths = set()

    def leaf(t: Any, x: Any, path: str) -> None:
        x = normalised(x, path.replace("tangent", "argument"))
        shape = x.shape
        if leaves.is_complex(x):
            t = leaves.seed(t, complex.PART_OF_DTYPE[x.dtype], len(shape), path, of_adjoint=False)
            shape = (*shape, 2)
        else:
            t = seed_array(t, x.dtype, path)
        own = t.shape[len(shape) :]
        if t.shape[: len(shape)] != shape or len(own) > 1:
            raise errors.ArgumentError(f"{path} has shape {t.shape}, the argument {shape} (several directions stand along one last axis)")
        widths.add(own[0] if own else 0)
        given.append(t)

    for k, t in zip(argnums, tangents, strict=True):
        match(leaf, t, args[k], f"tangent {k}")
    if len(widths) > 1:
        raise errors.ArgumentError("the tangents hold different numbers of directions")
    recording = Recording(f, args, {}, argnums)
    try:
        outputs = Outputs(f, recording)
        values = recording.run("push forward", given, widths.pop() if widths else 0)
    finally:
        recording.trace.close()
    n = len(values) // 2
    return outputs.tree(values[:n]), outputs.zeros(values[n:])


def hvp(f: Callable[..., Any], x: Any, v: Any, *args: Any) -> Any:
    """The Hessian of f times v, by a forward sweep over the reverse one.

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` returns a scalar.
    x : float array, float, or tree of them
    v : like x
        The direction; with one more axis at the end of each leaf, several directions at once.

    Returns
    -------
    like v

    Notes
    -----
    ``H v = d/dt grad f(x + t v)`` at t = 0; costs a small multiple of one gradient and never forms H.

    References
    ----------
    B. Pearlmutter, Fast exact multiplication by the Hessian, *Neural Computation* 6(1), 1994.

    Examples
    --------
    >>> import numpy as np, adcore
    >>> adcore.hvp(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    array([6., 0.])
    """
    return pushed_forward(grad(f), (x, *args), (0,), (v,))[1]
