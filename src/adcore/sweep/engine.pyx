"""The engine: from a recorded program to its value and gradient.

``value_and_gradient`` looks the finished plan up under the program's fingerprint; when it
is not there, the program is optimised, differentiated, optimised again and lowered. Then it binds
arrays, releases the GIL and sweeps. Safe to call from several threads: a plan is
immutable, and every run has an arena of its own.
"""

cimport numpy as cnp
from cpython.contextvars cimport get_value
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from cpython.ref cimport PyObject
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from libc.string cimport memcmp, memcpy

import collections
import math

import numpy as np

from adcore import config, errors
from adcore.locks import Lock
from adcore.passes.distribute import distribute
from adcore.passes.forward import forward
from adcore.passes.optimise import optimise, strip
from adcore.passes.reverse import reverse
from adcore.passes.widen import widen
from adcore.plan.lower import explain, lower

from adcore.plan.plan cimport ALIGN, Bound, Place, Plan, SLOT_INPUTS
from adcore.sweep.executor cimport ad_kernel_table, execute, multiplies, scratch_needed
from adcore.sweep cimport blas
from adcore.tape.program cimport Program
from adcore.tape.shelf cimport ad_give_back, ad_take

cnp.import_array()

cdef enum:
    PLANS_MAX = 512             # plans kept, least recently used dropped first
    IDLE_ARENAS = 2             # arenas a plan keeps for its next runs
    IDLE_BYTES = 1 << 30        # most that arenas may hold together while no run uses them
    LARGE_RESULT = 1 << 20      # bytes from which on a result's memory is worth keeping for the next one

TYPE_NUMBERS = {"float64": cnp.NPY_DOUBLE, "float32": cnp.NPY_FLOAT,
                "bool": cnp.NPY_BOOL, "int64": cnp.NPY_INT64}


cdef extern from *:
    """
    #if defined(__GNUC__)
    #define AD_ADD(x, n) __atomic_add_fetch(x, n, __ATOMIC_RELAXED)
    #else
    #define AD_ADD(x, n) (*(x) += (n))
    #endif
    """
    Py_ssize_t AD_ADD(Py_ssize_t *x, Py_ssize_t n) noexcept nogil

cdef extern from "ad_results.h":
    void *ad_results_handler
    void ad_forget_idle_results() noexcept nogil
    size_t ad_idle_result_bytes() noexcept nogil

cdef extern from "numpy/arrayobject.h":
    object PyDataMem_SetHandler(object handler)

cdef object RESULTS = PyCapsule_New(&ad_results_handler, "mem_handler", NULL)
cdef object LOCAL = config._local
cdef dict CONFIG = vars(config)
cdef object known_settings = None               # those of all contexts, and what they come to
cdef tuple known_live = ()
cdef Py_ssize_t idle_bytes = 0                  # of all arenas that no run uses


cdef class Arena:
    """Memory of one run: the scalar file, every intermediate array, then the registers; and where each slot is."""

    cdef char *block
    cdef char *start
    cdef char *scratch
    cdef char *privates
    cdef char **at
    cdef Py_ssize_t bytes
    cdef bint idle                      # kept by its plan, and counted

    def __cinit__(self, Plan plan):
        cdef Py_ssize_t scratch = scratch_needed(plan)
        if multiplies(plan):
            blas.load()
        self.bytes = plan.arena_bytes + plan.folds_bytes + scratch + 4 * ALIGN
        self.block = <char *>ad_take(self.bytes)
        self.at = <char **>PyMem_RawCalloc(plan.n_slots(), sizeof(char *))
        if self.block == NULL or self.at == NULL:
            raise MemoryError(
                f"this program needs {(plan.arena_bytes + scratch) / 1e9:.3g} GB for its intermediate values")
        self.start = self.block
        self.scratch = self.start + plan.arena_bytes
        self.scratch = self.scratch + (ALIGN - <Py_ssize_t>self.scratch % ALIGN)
        self.privates = self.scratch + scratch
        self.privates = self.privates + (ALIGN - <Py_ssize_t>self.privates % ALIGN)
        self.at[0] = self.start
        memcpy(self.start, plan.literals.data, plan.literals.n * 8)

    def __dealloc__(self):
        if self.idle:
            AD_ADD(&idle_bytes, -self.bytes)
        ad_give_back(self.block)
        PyMem_RawFree(self.at)


cdef struct Spec:                       # an array that a plan binds, as NumPy's C API sees it
    int type_number                     # -1: any
    int ndim
    bint large
    cnp.npy_intp *dims


cdef class Binding:
    """The specs of a plan's inputs, constants and results, in this order."""

    cdef Spec *specs
    cdef cnp.npy_intp *dims

    def __cinit__(self, Plan plan):
        cdef list wanted = list(plan.input_specs) + list(plan.const_specs) + list(plan.result_specs)
        cdef Py_ssize_t k, at = 0, n = sum([len(spec[0]) for spec in wanted if spec is not None])
        self.specs = <Spec *>PyMem_RawCalloc(len(wanted) + 1, sizeof(Spec))
        self.dims = <cnp.npy_intp *>PyMem_RawCalloc(n + 1, sizeof(cnp.npy_intp))
        if self.specs == NULL or self.dims == NULL:
            raise MemoryError()
        for k in range(len(wanted)):
            spec = wanted[k]
            self.specs[k].type_number = -1
            self.specs[k].dims = self.dims + at
            if spec is None:
                continue
            self.specs[k].type_number = TYPE_NUMBERS[np.dtype(spec[1]).name]
            self.specs[k].ndim = <int>len(spec[0])
            for d in spec[0]:
                self.dims[at] = d
                at += 1
            self.specs[k].large = math.prod(spec[0]) * np.dtype(spec[1]).itemsize >= LARGE_RESULT

    def __dealloc__(self):
        PyMem_RawFree(self.specs)
        PyMem_RawFree(self.dims)


cdef Binding binding_of(Plan plan):
    if plan.binding is None:
        plan.binding = Binding(plan)
    return <Binding>plan.binding


cdef bint fits(object array, const Spec *spec) noexcept:
    """Is it an array that the plan may touch the memory of?"""
    if not cnp.PyArray_Check(array):
        return False
    if spec.type_number < 0:
        return True
    return (cnp.PyArray_TYPE(array) == spec.type_number and cnp.PyArray_NDIM(array) == spec.ndim
            and not memcmp(cnp.PyArray_DIMS(array), spec.dims, spec.ndim * sizeof(cnp.npy_intp))
            and cnp.PyArray_ISCARRAY_RO(array) and cnp.PyArray_ISNOTSWAPPED(array))


cdef int refuse(object array, object spec, str what, Py_ssize_t k) except -1:
    """Say what is wrong with an array that does not fit."""
    if not isinstance(array, np.ndarray):
        raise errors.PlanError(f"{what} {k} is {type(array).__name__}, not an array")
    if array.shape != spec[0] or array.dtype != spec[1]:
        raise errors.PlanError(
            f"{what} {k} is {array.dtype}{list(array.shape)}, the plan wants {spec[1]}{list(spec[0])}")
    raise errors.PlanError(f"{what} {k} is not C-contiguous and aligned")


cdef double number_in(object array) except? -1.0:
    if cnp.PyArray_TYPE(array) == cnp.NPY_DOUBLE and cnp.PyArray_SIZE(array) == 1:
        return (<double *>cnp.PyArray_DATA(array))[0]
    return <double>float(array)


cpdef list run(Plan plan, list inputs, list consts, list scalars):
    """Run a plan once on these arrays and floats; returns its results as new arrays."""
    return sweep(plan, inputs, consts, scalars, NULL)


def timed(Plan plan, list inputs, list consts, list scalars):
    """Run a plan once; the seconds that each step took."""
    cdef double[::1] seconds = np.zeros(plan.steps.n + 1)
    sweep(plan, inputs, consts, scalars, &seconds[0])
    return np.asarray(seconds)[:-1]


cdef tuple settings():
    """`adcore.config.live`, without Python where nothing is set for this context alone."""
    global known_settings, known_live
    cdef object now
    cdef tuple live
    if get_value(LOCAL) is not None:
        return config.live()
    now = CONFIG["_global"]
    if now is known_settings:                       # every change makes a new dict
        return known_live
    live = config.live()
    if CONFIG["_global"] is now:                    # and another thread has not made one meanwhile
        known_settings, known_live = now, live
    return live


cdef list sweep(Plan plan, list inputs, list consts, list scalars, double *seconds):
    cdef Py_ssize_t k, failed = -1
    cdef Py_ssize_t first_result = plan.n_inputs + plan.n_consts
    cdef Arena arena
    cdef Binding binding = binding_of(plan)
    cdef char **at
    cdef Bound *bound
    cdef Place *place
    cdef Spec *spec
    cdef double *file
    cdef const ad_kernel_table *kernels
    cdef int bad, threads
    cdef list results = [], failures = []
    if len(inputs) < plan.n_inputs or len(consts) < plan.n_consts or len(scalars) < plan.n_floats:
        raise errors.PlanError(
            f"a run wants {plan.n_inputs} inputs, {plan.n_consts} constants and {plan.n_floats} floats; "
            f"it got {len(inputs)}, {len(consts)} and {len(scalars)}")
    for k in range(plan.n_inputs):
        if not fits(inputs[k], &binding.specs[k]):
            refuse(inputs[k], plan.input_specs[k], "input", k)
    for k in range(plan.n_consts):
        if not fits(consts[k], &binding.specs[plan.n_inputs + k]):
            refuse(consts[k], plan.const_specs[k], "constant", k)
    _, threads, table, _, _ = settings()
    kernels = <const ad_kernel_table *>PyCapsule_GetPointer(table, "adcore.kernels")
    arena = take_arena(plan)
    at = arena.at + SLOT_INPUTS
    for k in range(plan.n_inputs):
        at[k] = cnp.PyArray_BYTES(inputs[k])
    for k in range(plan.n_consts):
        at[plan.n_inputs + k] = cnp.PyArray_BYTES(consts[k])
    for k in range(plan.n_results):
        spec = &binding.specs[first_result + k]
        result = large_result(spec) if spec.large else cnp.PyArray_EMPTY(spec.ndim, spec.dims, spec.type_number, 0)
        results.append(result)
        at[first_result + k] = cnp.PyArray_BYTES(result)
    file = <double *>arena.start
    for k in range(plan.bound.n):
        bound = (<Bound *>plan.bound.data) + k
        if bound.kind == 0:
            file[bound.scalar] = number_in(inputs[bound.index])
        elif bound.kind == 1:
            file[bound.scalar] = number_in(consts[bound.index])
        else:
            file[bound.scalar] = scalars[bound.index]
    with nogil:
        bad = execute(plan, kernels, arena.at, arena.scratch, arena.privates, threads, seconds, &failed, <PyObject *>failures)
    if bad == 2:
        raise failures[0]
    if bad:
        raise IndexError(f"index out of range in step {failed} of the program")
    for k in range(plan.n_results):
        place = (<Place *>plan.result_places.data) + k
        if place.slot >= 0:
            copy_result(results[k], place, arena.at, binding.specs[first_result + k].ndim == 0)
    keep_arena(plan, arena)
    return results


cdef object large_result(const Spec *spec):
    """A new array, in memory that an earlier result has left behind if there is some."""
    cdef object before = PyDataMem_SetHandler(RESULTS)
    try:
        return cnp.PyArray_EMPTY(spec.ndim, spec.dims, spec.type_number, 0)
    finally:
        PyDataMem_SetHandler(before)


# -- idle arenas ------------------------------------------------------------------

cdef Arena take_arena(Plan plan):
    """An arena for one run: an idle one, or a new one."""
    cdef Arena arena
    try:
        arena = <Arena>plan.arenas.pop()
    except IndexError:
        return Arena(plan)
    arena.idle = False
    AD_ADD(&idle_bytes, -arena.bytes)
    return arena


cdef int keep_arena(Plan plan, Arena arena) except -1:
    """Keep an arena for the plan's next run, unless idle arenas would hold too much: then plans that were not used
    for long give theirs up first."""
    if len(plan.arenas) >= IDLE_ARENAS or arena.bytes > IDLE_BYTES:
        return 0
    if idle_bytes + arena.bytes > IDLE_BYTES:
        with plans_lock:
            others = [found[1] for found in plans.values() if isinstance(found[1], Plan)]
        for other in others:
            if idle_bytes + arena.bytes <= IDLE_BYTES:
                break
            if other is not plan:
                (<list>(<Plan>other).arenas).clear()
        if idle_bytes + arena.bytes > IDLE_BYTES:
            return 0
    arena.idle = True
    AD_ADD(&idle_bytes, arena.bytes)
    plan.arenas.append(arena)
    return 0


def idle_arena_bytes():
    """Bytes that plans keep for their next runs."""
    return idle_bytes


def idle_results_bytes():
    """Bytes of dropped results that are kept for the next ones."""
    return ad_idle_result_bytes()


cdef int copy_result(object result, const Place *place, char **bases, bint scalar) except -1:
    """A result that lives elsewhere: a scalar, an input handed through, the same value twice."""
    cdef double value
    if scalar and place.slot == 0:
        value = (<double *>(bases[0] + place.offset))[0]
        if cnp.PyArray_TYPE(result) == cnp.NPY_DOUBLE:
            (<double *>cnp.PyArray_DATA(result))[0] = value
        else:
            result[()] = value
    else:
        memcpy(cnp.PyArray_DATA(result), bases[place.slot] + place.offset, cnp.PyArray_NBYTES(result))
    return 0


# -- plans by fingerprint ------------------------------------------------------

cdef object plans = collections.OrderedDict()
cdef object plans_lock = Lock()


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


def same(Program a, Program b):
    """Are two programs equal, to the byte?"""
    return a.same_as(b)


def clear_plans():
    """Forget every cached plan and the memory they keep."""
    with plans_lock:
        plans.clear()
    ad_forget_idle_results()


def evaluate(Program program, list inputs, list consts, list scalars):
    """Values of the program's outputs.

    ``inputs`` and ``consts`` are lists of C-contiguous arrays, ``scalars`` a list of floats.
    """
    return apply(program, "value", (), inputs, consts, scalars)


def apply(Program program, str mode, tuple wrt, list inputs, list consts, list scalars, int width=0):
    """Outputs of the program that a mode makes of this one; see ``derived``."""
    if width:
        found, scaled = derived(program, mode, wrt, width)
        plan = find_plan(program, (mode, wrt, config.optimise(), width), lambda: plan_of(found))
        return run(plan, inputs, all_consts(consts, scaled), scalars)
    plan = find_plan(program, (mode, wrt, settings()[0]), lambda: plan_of(derive(program, mode, wrt)))
    return sweep(plan, inputs, consts, scalars, NULL)


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
    if mode == "value":
        return prepare(program)
    primal = program if config.optimise() == "after" else prepare(program)
    if mode == "gradient":
        return prepare(reverse(primal, list(wrt)))
    if mode == "pull back":
        return prepare(reverse(primal, list(wrt), list(range(program.n_results))))
    if mode == "push forward":
        return prepare(forward(primal, list(wrt)))
    raise ValueError(f"no mode {mode!r}")


def plan_of(program):
    """The plan of a program that is not differentiated any more."""
    return lower(strip(program), config.optimise())


def explained(program):
    """What ``plan_of`` makes of a program, and where its values are; see ``plan.lower.explain``."""
    return explain(strip(program), config.optimise())


def prepare(program):
    """The program optimised, unless the configuration says not to."""
    return distribute(optimise(program)) if config.optimise() else program
