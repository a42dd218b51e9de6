"""How NumPy would lay out what traced arrays stand for.

A value of a program lies in C order. NumPy's results follow their operands: twice an array in Fortran order is one as well. Where
that can be seen (``ravel("K")``, ``strides``, a reshape that is a view or a copy) the layout is found here, from the tape, when
somebody asks.

The order of a value is None for C order, the axes from the slowest to the fastest, or UNKNOWN: then whoever wants to know is
refused. Invariant: ``trace.orders`` holds orders that were given, those that were found, and questions to NumPy (``Asked``).
"""

import warnings

import numpy as np

from libc.stdint cimport int32_t, int64_t

from adcore.optable.opcodes cimport *
from adcore.tape.program cimport arg, n_args
from adcore.tracer.array cimport Trace, Traced, TracedArray, TracedComplex, unary

UNKNOWN = "unknown"


def by_strides(shape, *strides):
    """The order in which NumPy allocates a result of operands with these strides: its rule for iterating, where C order wins conflicts."""
    cdef list axes = [k for k in range(len(shape)) if shape[k] > 1]
    cdef list order = []
    cdef Py_ssize_t at, place
    for axis in reversed(axes):                 # order: from the fastest axis on
        place = len(order)
        for at in range(len(order) - 1, -1, -1):
            slower = is_faster(strides, axis, order[at])
            if slower is None:
                continue
            if not slower:
                break
            place = at
        order.insert(place, axis)
    order.reverse()
    return None if order == axes else tuple(order)


cdef object is_faster(tuple strides, Py_ssize_t axis, Py_ssize_t other):
    """Are the steps along an axis shorter than those along one that stands behind it? None when no operand says."""
    found = None
    for steps in strides:
        a, b = abs(steps[axis]), abs(steps[other])
        if a and b:
            if b <= a:
                found = False
            elif found is None:
                found = True
    return found


cdef list axes_in(tuple shape, order):
    """All axes from the slowest to the fastest; those of one element, which an order need not name, first."""
    cdef list axes = list(range(len(shape)))
    return axes if order is None else [k for k in axes if k not in order] + list(order)


cdef object lying(tuple shape, order, dtype):
    """An array of NumPy's, not filled, that lies in this order."""
    axes = axes_in(shape, order)
    return np.empty([shape[k] for k in axes], dtype).transpose(np.argsort(axes)) if axes else np.empty((), dtype)


cdef tuple dense(tuple shape, order):
    """Element strides of an array without gaps."""
    cdef list steps = [0] * len(shape)
    cdef int64_t step = 1
    for k in reversed(axes_in(shape, order)):
        steps[k] = step
        step *= <int64_t>shape[k]
    return tuple(steps)


cdef object mapped(tuple shape, tuple steps, tuple base, order):
    """A view's element strides into a base in C order, as strides into the same base in another; None where that is not affine."""
    cdef list out = []
    cdef int64_t s, d
    if order is None:
        return steps
    if order == UNKNOWN:
        return None
    c = dense(base, None)
    real = dense(base, order)
    for d, s in zip(shape, steps):
        if d < 2 or s == 0:
            out.append(s)
            continue
        for k in range(len(base)):              # the axis of the base that these steps stay within
            if base[k] > 1 and abs(s) % c[k] == 0 and abs(s) // c[k] * (d - 1) < base[k]:
                out.append(s // c[k] * real[k])
                break
        else:
            return None
    return tuple(out)


cdef object order_of_base(Trace trace, int32_t value):
    """The order of a buffer with this value: one that was made from a view is a copy of it, in C order."""
    return None if trace.tape.code[value].op == AD_OP_VIEW else order_of(trace, value)


cdef object strides_of(Trace trace, int32_t value):
    """Element strides of an operand as NumPy has it; None when they are not known."""
    cdef tuple shape = trace.shape_tuple(value)
    cdef int32_t base
    cdef int64_t at
    if trace.tape.code[value].op != AD_OP_VIEW:
        order = order_of(trace, value)
        return None if order == UNKNOWN else dense(shape, order)
    base = trace.tape.code[value].x1
    at = trace.tape.code[value].param
    steps = tuple([trace.tape.ints[at + 1 + k] for k in range(len(shape))])
    return mapped(shape, steps, trace.shape_tuple(base), order_of_base(trace, base))


cdef object order_of(Trace trace, int32_t value):
    """The order of a value, and of all that it was computed from."""
    cdef list stack = [value]
    cdef list waiting
    cdef dict orders = trace.orders
    cdef int32_t v
    cdef int k
    while stack:
        v = stack[len(stack) - 1]
        if v in orders:
            stack.pop()
            continue
        waiting = []
        if many_axes(trace, v) and trace.tape.code[v].op != AD_OP_MATMUL:       # products are in C order, whatever their factors
            for k in range(n_args(&trace.tape.code[v])):
                x = arg(&trace.tape.code[v], trace.tape.ints, k)
                if x not in orders and many_axes(trace, x):
                    waiting.append(x)
        if waiting:
            stack += waiting
        else:
            stack.pop()
            orders[v] = found(trace, v)
    if type(orders[value]) is Asked:
        orders[value] = (<Asked>orders[value]).answer()
    return orders[value]


cdef bint many_axes(Trace trace, int32_t value):
    cdef int64_t at = trace.tape.code[value].shape
    cdef int64_t k, n = 0
    for k in range(trace.tape.ints[at]):
        n += trace.tape.ints[at + 1 + k] > 1
    return n > 1


cdef object found(Trace trace, int32_t value):
    """The order of a value whose arguments' orders are known."""
    cdef int op = trace.tape.code[value].op
    cdef int32_t x
    cdef int k, n = n_args(&trace.tape.code[value])
    if n == 0 or op == AD_OP_MATMUL or not many_axes(trace, value):
        return None
    operands = []
    for k in range(n):
        x = arg(&trace.tape.code[value], trace.tape.ints, k)
        if many_axes(trace, x):
            operands.append(x)
    if op < AD_N_ELEMENTWISE:
        strides = [strides_of(trace, x) for x in operands]
        return UNKNOWN if None in strides else by_strides(trace.shape_tuple(value), *strides)
    if op in (AD_OP_UPDATE, AD_OP_ACCUMULATE, AD_OP_PUT, AD_OP_PACK, AD_OP_PACK_ADD, AD_OP_SCATTER_ADD):
        x = arg(&trace.tape.code[value], trace.tape.ints, 0)
        if trace.tape.code[x].op != AD_OP_EMPTY:
            return order_of_base(trace, x)
    if op == AD_OP_VIEW:
        steps = strides_of(trace, value)
        return UNKNOWN if steps is None else by_strides(trace.shape_tuple(value), steps)
    for x in operands:
        steps = strides_of(trace, x)
        if steps is None or by_strides(trace.shape_tuple(x), steps) is not None:
            return UNKNOWN
    return None


# -- results of NumPy's functions ----------------------------------------------------------------

ANSWERS = {}                    # what NumPy said, by what it was asked
cdef Py_ssize_t MOST_ANSWERS = 4096


cdef class Like:
    """An array among the arguments of a function: its shape, and how it lies."""

    cdef Trace trace
    cdef tuple shape, steps
    cdef int32_t base

    cdef object order(self):
        steps = mapped(self.shape, self.steps, self.trace.shape_tuple(self.base), order_of_base(self.trace, self.base))
        if steps is None:
            raise LookupError
        return by_strides(self.shape, steps)


cdef object regular(tuple shape, order):
    """An array of NumPy's that lies in this order. Square matrices are regular."""
    array = lying(shape, order, float)
    array[...] = np.eye(shape[-1]) if len(shape) > 1 and shape[-1] == shape[-2] else 1.0
    return array


cdef object described(object x):
    """An argument that can be kept without what it holds."""
    cdef Like like
    if isinstance(x, TracedArray):
        like = Like.__new__(Like)
        like.trace = (<TracedArray>x).trace
        like.shape = (<TracedArray>x).shape
        like.steps = (<TracedArray>x).element_strides()
        like.base = (<TracedArray>x).buffer.value
        return like
    if isinstance(x, Traced):
        return 1.0
    if type(x) is list or type(x) is tuple:
        return type(x)([described(part) for part in x])
    if isinstance(x, TracedComplex) or callable(x) and not isinstance(x, type):
        raise LookupError                   # nobody's function is called for this
    return x


cdef object stand_in(object x):
    if type(x) is Like:
        return regular((<Like>x).shape, (<Like>x).order())
    if type(x) is list or type(x) is tuple:
        return type(x)([stand_in(part) for part in x])
    return x


cdef object key_of(object x):
    """What an answer depends on, of an argument: a TypeError of what cannot be hashed."""
    if type(x) is Like:
        return Like, (<Like>x).shape, (<Like>x).order()
    if type(x) is list or type(x) is tuple:
        return type(x), tuple([key_of(part) for part in x])
    return type(x), x


cdef bint shares(object x, object buffer) except -1:
    """Is an array among these in this memory?"""
    if isinstance(x, TracedArray):
        return (<TracedArray>x).buffer is buffer
    if type(x) is list or type(x) is tuple:
        for part in x:
            if shares(part, buffer):
                return True
    return False


cdef class Asked:
    """How NumPy lays out the result of one of its functions: it is asked when somebody wants to know, with other numbers."""

    cdef object func
    cdef tuple args
    cdef dict kwargs
    cdef Py_ssize_t part                # of a tuple of results; -1: the result itself
    cdef tuple shape

    cdef object answer(self):
        try:
            key = self.func, self.part, self.shape, key_of(self.args), key_of(list(self.kwargs.items()))
            known = ANSWERS.get(key, ANSWERS)
        except LookupError:
            return UNKNOWN
        except TypeError:                       # arrays: as many answers as there are values
            return self.numpy_says()
        if known is ANSWERS:
            if len(ANSWERS) >= MOST_ANSWERS:
                ANSWERS.clear()
            known = ANSWERS[key] = self.numpy_says()
        return known

    cdef object numpy_says(self):
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                found = self.func(*[stand_in(x) for x in self.args], **{name: stand_in(x) for name, x in self.kwargs.items()})
            found = found if self.part < 0 else found[self.part]
            return by_strides(found.shape, found.strides) if found.shape == self.shape else UNKNOWN
        except Exception:
            return UNKNOWN


cdef int ask(object func, tuple args, dict kwargs, TracedArray array, Py_ssize_t part) except -1:
    """Note the question for an array that is the whole of its memory."""
    cdef Trace trace = array.trace
    cdef int32_t value = array.buffer.value
    cdef Asked asked
    trace.permuted = True
    try:
        asked = Asked.__new__(Asked)
        asked.func, asked.part, asked.shape = func, part, array.shape
        asked.args = tuple([described(x) for x in args])
        asked.kwargs = {name: described(x) for name, x in kwargs.items()}
        trace.orders[value] = asked
    except LookupError:
        trace.orders.setdefault(value, UNKNOWN)
    return 0


cdef bint is_whole(TracedArray array) except -1:
    """Is it all of memory of its own, in the same shape?"""
    cdef int32_t value = array.buffer.value
    return (array.steps is None and array.trace.tape.code[value].op != AD_OP_VIEW
            and array.trace.shape_tuple(value) == array.shape)


def settled(func, tuple args, dict kwargs, result):
    """The result of a function of NumPy's as our own gave it. Its operations need not be NumPy's, so they do not tell how its axes
    lie: NumPy does. What is a view of an argument stays one."""
    cdef Py_ssize_t k
    if isinstance(result, TracedArray):
        return settled_part(func, args, kwargs, result, -1)
    return type(result)([settled_part(func, args, kwargs, part, k) if isinstance(part, TracedArray) else part
                         for k, part in enumerate(result)])


cdef TracedArray settled_part(object func, tuple args, dict kwargs, TracedArray array, Py_ssize_t part):
    """A result, or one of several."""
    memory = array.buffer if array.buffer.origin is None else array.buffer.origin   # a copy of our own stands for a view
    if sum([d > 1 for d in array.shape]) < 2 or array.locked and memory is array.buffer or shares([*args, *kwargs.values()], memory):
        return array
    if array.locked or not is_whole(array):
        array = unary(AD_OP_IDENTITY, array)
    ask(func, args, kwargs, array, part)
    return array


# -- what the tracer asks -----------------------------------------------------------------


def steps_of(TracedArray array):
    """An array's element strides as NumPy has them; None when they are not known."""
    cdef Trace trace = array.trace
    cdef int32_t value = array.buffer.value
    if not trace.permuted:
        return array.element_strides()
    return mapped(array.shape, array.element_strides(), trace.shape_tuple(value), order_of_base(trace, value))


def order(TracedArray array):
    """The order in which NumPy would copy an array with order="K"; UNKNOWN where it is not known."""
    steps = steps_of(array)
    return UNKNOWN if steps is None else by_strides(array.shape, steps)


def selected(TracedArray array, key, rows):
    """The order of what a fancy key selects, at these positions. NumPy documents none: so it is asked what it does with an array
    that lies as this one does."""
    found = order(array)
    if found == UNKNOWN or 0 in array.shape:
        return found
    if found is None and not isinstance(key, tuple) and np.asarray(key).flags.c_contiguous:
        return None                             # whole rows
    if found is not None or not isinstance(key, tuple):
        rows = lying(array.shape, found, bool)[key]
    return by_strides(rows.shape, rows.strides)


def given(TracedArray array, order):
    """A new array of this order, which it is not found to have: by what NumPy documents of its maker."""
    cdef Trace trace = array.trace
    if order is not None or trace.permuted:
        trace.permuted = True
        trace.orders[array.buffer.value] = order
    return array


def taken(Trace trace, int32_t value, x):
    """An input or a constant as somebody passed it: a plain array, or a traced one of an outer recording."""
    if isinstance(x, TracedArray):
        found = order(x)
    else:
        found = by_strides(x.shape, x.strides)
    if found is not None and len(trace.shape_tuple(value)) > len(x.shape):
        found += (len(x.shape),)            # real and imaginary parts of complex numbers, side by side
    if found is not None:
        trace.permuted = True
        trace.orders[value] = found


def in_order_of(Trace trace, int32_t value, int32_t before):
    """A value that takes the place of another in a buffer, laid out as that one is."""
    cdef int32_t copy
    kept = order_of_base(trace, before)
    if order_of(trace, value) == kept:
        return value
    copy = trace.append(AD_OP_IDENTITY, trace.tape.code[value].dtype, 1, value, -1, -1, trace.tape.code[value].shape, -1)
    trace.orders[copy] = kept
    return copy
