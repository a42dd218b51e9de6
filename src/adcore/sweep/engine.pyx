"""The engine: from a recorded program to its value and gradient.

``value_and_gradient`` looks the finished plan up under the program's fingerprint; when it
is not there, the program is optimised, differentiated, optimised again and lowered. Then it binds
arrays, releases the GIL and sweeps. Safe to call from several threads: a plan is
immutable, and every run has an arena of its own.
"""

cimport numpy as cnp
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.string cimport memcpy

import collections
import threading

import numpy as np

from adcore import config, errors
from adcore.passes.forward import forward
from adcore.passes.optimise import optimise
from adcore.passes.reverse import reverse
from adcore.passes.widen import widen
from adcore.plan.lower import lower

from adcore.plan.plan cimport ALIGN, Bound, Place, Plan, SLOT_INPUTS
from adcore.sweep.executor cimport ad_kernel_table, execute, scratch_needed
from adcore.tape.program cimport Program

cnp.import_array()

cdef enum:
    PLANS_MAX = 512             # plans kept, least recently used dropped first
    IDLE_ARENAS = 2             # arenas a plan keeps for its next runs

TYPE_NUMBERS = {"float64": cnp.NPY_DOUBLE, "float32": cnp.NPY_FLOAT,
                "bool": cnp.NPY_BOOL, "int64": cnp.NPY_INT64}


cdef class Arena:
    """Memory of one run: the scalar file, every intermediate array, then the registers."""

    cdef char *block
    cdef char *start
    cdef char *scratch

    def __cinit__(self, Plan plan):
        cdef Py_ssize_t scratch = scratch_needed(plan)
        self.block = <char *>PyMem_RawCalloc(1, plan.arena_bytes + scratch + 3 * ALIGN)
        if self.block == NULL:
            raise MemoryError(
                f"this program needs {(plan.arena_bytes + scratch) / 1e9:.3g} GB for its intermediate values")
        self.start = self.block + (ALIGN - <Py_ssize_t>self.block % ALIGN)
        self.scratch = self.start + plan.arena_bytes
        self.scratch = self.scratch + (ALIGN - <Py_ssize_t>self.scratch % ALIGN)
        memcpy(self.start, plan.literals.data, plan.literals.n * 8)

    def __dealloc__(self):
        PyMem_RawFree(self.block)


cdef class Bases:
    """Where each slot of a run is in memory."""

    cdef char **at

    def __cinit__(self, Py_ssize_t n):
        self.at = <char **>PyMem_RawCalloc(n, sizeof(char *))
        if self.at == NULL:
            raise MemoryError()

    def __dealloc__(self):
        PyMem_RawFree(self.at)


cdef int check_array(object array, object spec, str what, Py_ssize_t k) except -1:
    """A run touches memory through these arrays: they must be what the plan was made for."""
    if not isinstance(array, np.ndarray):
        raise errors.PlanError(f"{what} {k} is {type(array).__name__}, not an array")
    if spec is None:
        return 0
    if array.shape != spec[0] or array.dtype != spec[1]:
        raise errors.PlanError(
            f"{what} {k} is {array.dtype}{list(array.shape)}, the plan wants {spec[1]}{list(spec[0])}")
    if not (cnp.PyArray_ISCARRAY_RO(array) and cnp.PyArray_ISNOTSWAPPED(array)):
        raise errors.PlanError(f"{what} {k} is not C-contiguous and aligned")
    return 0


cdef double scalar_value(object array) except? -1.0:
    return <double>float(array)


def run(Plan plan, list inputs, list consts, list scalars):
    """Run a plan once on these arrays and floats; returns its results as new arrays."""
    cdef Py_ssize_t k, failed = -1
    cdef Py_ssize_t first_result = SLOT_INPUTS + plan.n_inputs + plan.n_consts
    cdef Arena arena
    cdef Bases bases
    cdef Bound *bound
    cdef Place *place
    cdef double *file
    cdef const ad_kernel_table *kernels
    cdef int bad
    cdef list results = []
    if len(inputs) < plan.n_inputs or len(consts) < plan.n_consts or len(scalars) < plan.n_floats:
        raise errors.PlanError(
            f"a run wants {plan.n_inputs} inputs, {plan.n_consts} constants and {plan.n_floats} floats; "
            f"it got {len(inputs)}, {len(consts)} and {len(scalars)}")
    for k in range(plan.n_inputs):
        check_array(inputs[k], plan.input_specs[k], "input", k)
    for k in range(plan.n_consts):
        check_array(consts[k], plan.const_specs[k], "constant", k)
    kernels = <const ad_kernel_table *>PyCapsule_GetPointer(config.kernel_table(), "adcore.kernels")
    bases = Bases(first_result + plan.n_results)
    for k in range(plan.n_inputs):
        bases.at[SLOT_INPUTS + k] = cnp.PyArray_BYTES(inputs[k])
    for k in range(plan.n_consts):
        bases.at[SLOT_INPUTS + plan.n_inputs + k] = cnp.PyArray_BYTES(consts[k])
    for k in range(plan.n_results):
        spec = plan.result_specs[k]
        result = np.empty(spec[0], spec[1])
        results.append(result)
        bases.at[first_result + k] = cnp.PyArray_BYTES(result)
    try:
        arena = plan.arenas.pop()
    except IndexError:
        arena = Arena(plan)
    bases.at[0] = arena.start
    file = <double *>arena.start
    for k in range(plan.bound.n):
        bound = (<Bound *>plan.bound.data) + k
        if bound.kind == 0:
            file[bound.scalar] = scalar_value(inputs[bound.index])
        elif bound.kind == 1:
            file[bound.scalar] = scalar_value(consts[bound.index])
        else:
            file[bound.scalar] = scalars[bound.index]
    with nogil:
        bad = execute(plan, kernels, bases.at, arena.scratch, &failed)
    if bad:
        raise IndexError(f"index out of range in step {failed} of the program")
    for k in range(plan.n_results):
        place = (<Place *>plan.result_places.data) + k
        if place.slot < 0:
            continue
        copy_result(results[k], place, bases.at, len(plan.result_specs[k][0]) == 0)
    if len(plan.arenas) < IDLE_ARENAS:
        plan.arenas.append(arena)
    return results


cdef int copy_result(object result, const Place *place, char **bases, bint scalar) except -1:
    """A result that lives elsewhere: a scalar, an input handed through, the same value twice."""
    cdef double value
    if scalar and place.slot == 0:
        value = (<double *>(bases[0] + place.offset))[0]
        result[()] = value
    else:
        memcpy(cnp.PyArray_DATA(result), bases[place.slot] + place.offset, result.nbytes)
    return 0


# -- plans by fingerprint ------------------------------------------------------

cdef object plans = collections.OrderedDict()
cdef object plans_lock = threading.Lock()


def find_plan(Program program, object mode, make):
    """The plan cached for this program and mode, or the one that ``make()`` gives."""
    cdef object key = (program.fingerprint(), mode)
    cdef Program known
    with plans_lock:
        found = plans.get(key)
        if found is not None:
            plans.move_to_end(key)
    if found is not None:
        known = <Program>found[0]
        if known.same_as(program):
            return found[1]
    plan = make()
    with plans_lock:
        plans[key] = (program, plan)
        while len(plans) > PLANS_MAX:
            plans.popitem(last=False)
    return plan


def clear_plans():
    """Forget every cached plan and the memory they keep."""
    with plans_lock:
        plans.clear()


def evaluate(Program program, list inputs, list consts, list scalars):
    """Values of the program's outputs.

    ``inputs`` and ``consts`` are lists of C-contiguous arrays, ``scalars`` a list of floats.
    """
    return apply(program, "value", (), inputs, consts, scalars)


def apply(Program program, str mode, tuple wrt, list inputs, list consts, list scalars, int width=0):
    """Outputs of the program that a mode makes of this one; see ``derived``."""
    if width:
        found, scaled = derived(program, mode, wrt, width)
        plan = find_plan(program, (mode, wrt, config.optimise(), width), lambda: lower(found))
        return run(plan, inputs, all_consts(consts, scaled), scalars)
    plan = find_plan(program, (mode, wrt, config.optimise()), lambda: lower(derive(program, mode, wrt)))
    return run(plan, inputs, consts, scalars)


def all_consts(list consts, list scaled):
    """The constants of a widened program: those of the narrow one, and offsets times the width."""
    return consts + [np.asarray(consts[k] * np.int64(width), order="C") for k, width in scaled] if scaled else consts


def derived(Program program, str mode, tuple wrt, int width=0):
    """The program that a mode makes of this one, for the inputs numbered in ``wrt``, and its further constants.

    With a ``width``, its further inputs hold so many seeds along a last axis (``passes/widen``).

    ``value``
        The program itself, optimised.
    ``gradient``
        Its outputs, then the adjoints of ``wrt``; the first output is the scalar that is differentiated.
    ``pull back``
        Likewise, and the adjoints of its outputs are further inputs.
    ``push forward``
        Its outputs, then their tangents; the tangents of ``wrt`` are further inputs.
    """
    def make():
        cdef Program narrow = derive(program, mode, wrt)
        if not width:
            return narrow, []
        return widen(narrow, list(range(program.n_inputs, narrow.n_inputs)),
                     list(range(program.n_results, narrow.n_results)), width)

    return find_plan(program, ("program", mode, wrt, config.optimise(), width), make)


cdef Program derive(Program program, str mode, tuple wrt):
    """Optimise the primal, differentiate, optimise again (design D2)."""
    primal = prepare(program)
    if mode == "value":
        return primal
    if mode == "gradient":
        return prepare(reverse(primal, list(wrt)))
    if mode == "pull back":
        return prepare(reverse(primal, list(wrt), list(range(program.n_results))))
    if mode == "push forward":
        return prepare(forward(primal, list(wrt)))
    raise ValueError(f"no mode {mode!r}")


def prepare(program):
    """The program optimised, unless the configuration says not to."""
    return optimise(program) if config.optimise() else program
