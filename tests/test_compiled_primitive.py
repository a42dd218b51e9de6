"""Kernels of the user's: built as the example builds them, called by the sweep, checked before they are called."""

import concurrent.futures
import ctypes
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from adcore.testing import check_grads
from numpy.testing import assert_allclose

import adcore
from adcore import errors
from adcore.sweep import engine

EXAMPLE = pathlib.Path(__file__).resolve().parent.parent / "examples" / "custom_kernel"
x = np.array([0.3, 0.41, 0.77])
RATE, STEPS = 3.2, 4


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The modules of the example, built in a directory of their own."""
    pytest.importorskip("setuptools")
    pytest.importorskip("Cython")
    if not (shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")):
        pytest.skip("no C compiler")
    where = tmp_path_factory.mktemp("custom_kernel")
    for file in EXAMPLE.iterdir():
        if file.suffix in (".py", ".pyx", ".c"):
            shutil.copy(file, where)
    sites = [str(pathlib.Path(p).resolve().parent) for p in adcore.__path__]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([*sites, *filter(None, [os.environ.get("PYTHONPATH")])])}
    done = subprocess.run([sys.executable, "setup.py", "build_ext", "--inplace"], cwd=where, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    sys.path.insert(0, str(where))
    yield where
    sys.path.remove(str(where))


@pytest.fixture
def kernels(built):
    import main

    return main.kernels()


@pytest.fixture
def library(built):
    import chain

    return ctypes.CDLL(chain.__file__)


def chain_of(library, *roles, **more):
    given = {role: getattr(library, f"chain_{role}") for role in roles}
    return adcore.compiled_primitive(library.chain_value, data=np.array([RATE, float(STEPS)]), name="chain", **given, **more)


def in_numpy(x):
    for _ in range(STEPS):
        x = RATE * x * (1.0 - x)
    return x


def test_the_example_relaxes_its_cluster(built):
    import main

    energy, force = main.main()
    assert energy < -15.2 and force < 1e-3


def test_a_kernel_in_cython_has_exact_gradients(kernels):
    energy, _ = kernels
    positions = np.random.default_rng(0).normal(size=(5, 3)) * 2.0
    check_grads(lambda p, s: energy(p, s) ** 2 + np.sum(p), [positions, np.array([1.3, 0.9])], modes=("rev",))

    def plain(p, s):
        d = np.sum((p[:, None] - p[None]) ** 2, -1) + np.eye(5)
        q = (s[1] ** 2 / d) ** 3
        return s[0] * np.sum(np.triu(q * (q - 2.0), 1))

    assert_allclose(energy(positions, [1.3, 0.9]), plain(positions, np.array([1.3, 0.9])), rtol=1e-12)
    assert_allclose(adcore.gradient(energy, positions, np.ones(2)), adcore.gradient(plain, positions, np.ones(2)), rtol=1e-10)


def test_a_kernel_in_c_has_both_modes(library):
    chain = chain_of(library, "reverse", "forward")
    check_grads(lambda x: np.sum(chain(np.sin(x)) ** 2), [x])
    assert_allclose(chain(x), in_numpy(x), rtol=1e-14)
    assert_allclose(adcore.jacobian(chain)(x), adcore.jacobian(in_numpy)(x), rtol=1e-12)
    assert_allclose(adcore.jacobian(chain, mode="reverse")(x), adcore.jacobian(in_numpy)(x), rtol=1e-12)


@pytest.mark.parametrize("role", ["reverse", "forward"])
def test_the_rule_of_the_other_mode_is_asked_for(library, role):
    chain = chain_of(library, role)
    f = (lambda: adcore.jvp(chain, (x,), (x,))) if role == "reverse" else (lambda: adcore.gradient(lambda x: np.sum(chain(x)), x))
    with pytest.raises(errors.MissingDerivative, match="forward=" if role == "reverse" else "reverse="):
        f()


def test_higher_orders_are_refused_without_a_rule_in_numpy(library):
    chain = chain_of(library, "reverse", "forward")
    with pytest.raises(errors.MissingDerivative, match="first derivatives only"):
        adcore.hessian(lambda x: np.sum(chain(x)))(x)
    ruled = chain_of(library, vjp=lambda g, y, x: (g * adcore.vjp(in_numpy, x)[1](np.ones(3))[0],))
    check_grads(lambda x: np.sum(ruled(x) * x), [x], order=2)


def test_a_linear_dependence_on_the_adjoint_keeps_every_order(library):
    chain = chain_of(library, "reverse", "forward")
    # the point is constant: only what the tangent and the adjoint do is differentiated
    f = lambda t: np.sum(adcore.jvp(chain, (x,), (t,))[1] ** 2)  # noqa: E731
    g = lambda t: np.sum(adcore.vjp(chain, x)[1](t)[0] ** 2)  # noqa: E731
    for h in (f, g):
        check_grads(h, [x + 0.1], order=2)


def test_kernels_run_as_steps_without_python(library):
    chain = chain_of(library, "reverse")
    program = adcore.trace(lambda x: np.sum(chain(x * 2.0)), x).program
    kinds = [step["kind"] for step in engine.plan_of(engine.prepare(program)).steps_as_dicts()]
    assert "native" in kinds and "call" not in kinds


def test_compiled_functions_and_threads_use_kernels(library):
    chain = chain_of(library, "reverse", "forward")
    f = adcore.value_and_grad(lambda x: np.sum(chain(np.cos(x)) * x))
    g = adcore.compile(f)
    points = [np.linspace(0.1, 0.9, 1000) + 1e-3 * k for k in range(16)]
    expected = [f(p) for p in points]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for (v, d), (w, e) in zip(pool.map(g, points), expected, strict=True):
            assert v == w and np.array_equal(d, e)
    assert g.recordings <= 4


def test_arguments_of_other_layouts_and_dtypes_arrive_contiguous(library):
    chain = chain_of(library, "reverse")
    big = np.linspace(0.1, 0.9, 12).reshape(3, 4)
    assert_allclose(chain(big.T), in_numpy(big.T), rtol=1e-14)
    assert_allclose(adcore.gradient(lambda b: np.sum(chain(b.T[::2])), big), adcore.gradient(lambda b: np.sum(in_numpy(b.T[::2])), big))
    assert_allclose(chain(np.float32(0.5)), in_numpy(0.5))
    assert_allclose(chain(np.zeros((0, 3))), np.zeros((0, 3)))
    f32 = x.astype(np.float32)
    found = adcore.gradient(lambda x: np.sum(chain(x)), f32)
    assert found.dtype == np.float32
    assert_allclose(found, adcore.gradient(lambda x: np.sum(in_numpy(x)), x), rtol=1e-5)
    with pytest.raises(errors.ArgumentError, match="complex"):
        chain(x + 1j)


def test_a_number_that_a_kernel_returns_is_an_error(library):
    chain = chain_of(library, "reverse", shape=(2,))
    with pytest.raises(errors.KernelError, match="value kernel of chain returned 1"):
        chain(x)
    with pytest.raises(errors.KernelError, match="value kernel of chain returned 1"):
        adcore.gradient(lambda x: np.sum(chain(x)), x)


POINTERS = ctypes.POINTER(ctypes.POINTER(ctypes.c_double))
VALUE = [POINTERS, ctypes.POINTER(ctypes.c_int64), ctypes.POINTER(ctypes.c_double), ctypes.c_int64, ctypes.c_void_p]


def test_signatures_of_ctypes_are_checked(library):
    library.chain_value.argtypes = VALUE
    library.chain_value.restype = ctypes.c_int
    assert_allclose(chain_of(library)(x), in_numpy(x), rtol=1e-14)
    library.chain_value.argtypes = VALUE[:3]
    with pytest.raises(errors.ArgumentError, match="value kernel has the signature"):
        chain_of(library)
    library.chain_value.argtypes = [*VALUE[:3], ctypes.c_double, ctypes.c_void_p]
    with pytest.raises(errors.ArgumentError, match="adcore_value"):
        chain_of(library)


def test_signatures_of_capsules_are_checked(built):
    import lennard_jones

    found = lennard_jones.__pyx_capi__
    with pytest.raises(errors.ArgumentError, match="reverse kernel has the signature"):
        adcore.compiled_primitive(found["energy"], found["energy"])


def test_addresses_are_taken_and_looked_at(library):
    address = ctypes.cast(library.chain_value, ctypes.c_void_p).value
    data = np.array([RATE, float(STEPS)])
    assert_allclose(adcore.compiled_primitive(address, data=data)(x), in_numpy(x), rtol=1e-14)
    for wrong in (0, 1234, x.ctypes.data):
        with pytest.raises(errors.ArgumentError, match="value kernel has the address"):
            adcore.compiled_primitive(wrong)


@pytest.mark.parametrize("wrong", [np.sin, lambda x: x, "chain", True, None])
def test_what_is_no_compiled_function_is_refused(wrong):
    with pytest.raises(errors.ArgumentError):
        adcore.compiled_primitive(wrong)


def test_low_level_callables_are_taken(built):
    import lennard_jones
    import scipy

    energy = adcore.compiled_primitive(scipy.LowLevelCallable.from_cython(lennard_jones, "energy"), shape=())
    assert_allclose(energy(np.array([[0.0, 0, 0], [1, 0, 0]]), [1.0, 1.0]), -1.0)


def test_functions_of_cffi_are_taken_and_checked(library):
    cffi = pytest.importorskip("cffi")
    ffi = cffi.FFI()
    ffi.cdef("int chain_value(const double *const *x, const int64_t *n, double *y, int64_t ny, void *data); double chain_forward(double);")
    lib = ffi.dlopen(library._name)
    data = np.array([RATE, float(STEPS)])
    assert_allclose(adcore.compiled_primitive(lib.chain_value, data=data)(x), in_numpy(x), rtol=1e-14)
    with pytest.raises(errors.ArgumentError, match="signature double"):
        adcore.compiled_primitive(lib.chain_forward)


def test_functions_of_numba_are_taken_and_checked():
    numba = pytest.importorskip("numba")
    types = numba.types
    signature = types.int32(
        types.CPointer(types.CPointer(types.float64)),
        types.CPointer(types.int64),
        types.CPointer(types.float64),
        types.int64,
        types.voidptr,
    )

    @numba.cfunc(signature)
    def square(x, n, y, ny, data):
        for i in range(ny):
            y[i] = x[0][i] ** 2
        return 0

    assert_allclose(adcore.compiled_primitive(square)(x), x**2)
    with pytest.raises(errors.ArgumentError, match="forward kernel has the signature"):
        adcore.compiled_primitive(square, forward=square)
