"""The BLAS and LAPACK that SciPy brings, loaded when the first plan that needs them is made.

``cimport scipy.linalg.cython_blas`` would run all of ``scipy.linalg`` first, which takes longer than to
import NumPy; a first gradient without products needs none of it, and one with products only this module.
"""

from cpython.pycapsule cimport PyCapsule_GetName, PyCapsule_GetPointer

import importlib
import importlib.util
import os
import sys
from importlib.machinery import PathFinder


cdef void *routine(dict api, str name) except NULL:
    capsule = api[name]
    return PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule))


cdef dict alone = {}        # modules that were loaded without their package: once


cdef object found(str name):
    """A module of scipy.linalg; alone where nobody has loaded its package yet."""
    if name in alone:
        return alone[name]
    if "scipy.linalg" in sys.modules:
        return importlib.import_module(name)
    import scipy
    spec = PathFinder.find_spec(name, [os.path.join(where, "linalg") for where in scipy.__path__])
    if spec is None:  # an installation of another kind
        return importlib.import_module(name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # an entry made without the package would keep a later import from naming it there
    sys.modules.pop(name, None)
    alone[name] = module
    return module


cdef int load() except -1:
    """Make the routines known; needs the GIL, and nothing when they are."""
    global dgemm, sgemm, dgemv
    if dgemm != NULL:
        return 0
    api = found("scipy.linalg.cython_blas").__pyx_capi__
    sgemm = <sgemm_fn>routine(api, "sgemm")
    dgemv = <dgemv_fn>routine(api, "dgemv")
    dgemm = <dgemm_fn>routine(api, "dgemm")
    return 0
