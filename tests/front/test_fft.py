"""numpy.fft and scipy.fft: values as NumPy's, derivatives by differences on real and imaginary parts."""

import numpy as np
import pytest
import scipy.fft
from adcore.testing import check_grads
from scipy.fft import dct, rfft

import adcore
from adcore import errors

rng = np.random.default_rng(5)
A = rng.normal(size=(3, 4, 5))
B = rng.normal(size=(3, 4, 5))
NORMS = (None, "ortho", "forward")
ONE_AXIS = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
REAL_ARGUMENT = ("rfft", "ihfft", "rfft2", "rfftn")
SHAPES = {
    "fft2": ({}, {"s": (3, 6)}, {"axes": (0, 1)}),
    "fftn": ({}, {"axes": (2, 0)}, {"s": (4, 3), "axes": (0, 1)}, {"s": (-1, 7), "axes": (2, 1)}),
}
OPTIONS = {name: ({}, {"n": 4}, {"n": 7}, {"axis": 1}, {"n": 1}, {"n": 3, "axis": -3}) for name in ONE_AXIS}
OPTIONS |= {f"{kind}{shapes}": SHAPES[f"fft{shapes}"] for kind in ("fft", "ifft", "rfft", "irfft") for shapes in ("2", "n")}
CASES = [(name, norm, options) for name, rows in OPTIONS.items() for norm in NORMS for options in rows]


def of(module, name, norm, options):
    """The transform of a real array, or of the complex one with these parts, as a real vector."""
    f = getattr(module, name)

    def call(a, b):
        y = f(a if name in REAL_ARGUMENT else a + 1j * b, norm=norm, **options)
        return np.concatenate([np.ravel(y.real), np.ravel(y.imag)]) if np.iscomplexobj(y) else np.ravel(y)

    return call


def loss(f):
    def of(a, b):
        y = f(a, b)
        return np.sum(y * np.cos(np.arange(y.size)) + 0.1 * y**3)

    return of


@pytest.mark.parametrize(("name", "norm", "options"), CASES)
def test_transform(name, norm, options):
    f = loss(of(np.fft, name, norm, options))
    np.testing.assert_allclose(adcore.value_and_grad(f)(A, B)[0], f(A, B), rtol=1e-12)
    check_grads(f, [A, B], rtol=2e-6)


@pytest.mark.parametrize("name", OPTIONS)
def test_second_order(name):
    f = loss(of(np.fft, name, None, {}))
    check_grads(lambda a, b: np.sum(adcore.gradient(f, a, b) ** 2), [A, B], rtol=1e-5)


@pytest.mark.parametrize("name", OPTIONS)
def test_scipy(name):
    ours = loss(lambda a, b: call(a if name in REAL_ARGUMENT else a + 1j * b))
    numpy_loss = loss(lambda a, b: np_call(a if name in REAL_ARGUMENT else a + 1j * b))

    def call(z):
        y = getattr(scipy.fft, name)(z, workers=1)
        return np.ravel(y.real + 2.0 * y.imag) if np.iscomplexobj(y) else np.ravel(y)

    def np_call(z):
        y = getattr(np.fft, name)(z)
        return np.ravel(y.real + 2.0 * y.imag) if np.iscomplexobj(y) else np.ravel(y)

    np.testing.assert_allclose(adcore.gradient(ours, A, B), adcore.gradient(numpy_loss, A, B), rtol=1e-10)


@pytest.mark.parametrize("shift", [np.fft.fftshift, np.fft.ifftshift, scipy.fft.fftshift])
@pytest.mark.parametrize("axes", [None, 1, (0, 2)])
def test_shift(shift, axes):
    def f(a, b):
        z = shift(a + 1j * b, axes)
        return np.sum(z.real * A + z.imag**2 * B)

    np.testing.assert_allclose(adcore.value_and_grad(f)(A, B)[0], f(A, B), rtol=1e-12)
    check_grads(f, [A, B], rtol=2e-6)


def test_scipy_by_imported_name():
    np.testing.assert_allclose(
        adcore.gradient(lambda a: np.sum(rfft(a).real), A), adcore.gradient(lambda a: np.sum(np.fft.rfft(a).real), A)
    )


def test_transforms_without_a_twin_are_refused():
    with pytest.raises(errors.NotDifferentiable, match=r"test_fft.py:\d+: scipy.fft.fht"):
        adcore.gradient(lambda a: np.sum(scipy.fft.fht(a, 0.1, 0.5)), A)


def matrix_of(f):
    """A linear function of an array of A's shape, element by element of a basis."""
    return np.array([f(e.reshape(A.shape)) for e in np.eye(A.size)]).reshape(A.shape)


@pytest.mark.parametrize("name", ["dct", "idct", "dst", "idst", "dctn", "idctn", "dstn", "idstn"])
@pytest.mark.parametrize("kind", [1, 2, 3, 4])
@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
@pytest.mark.parametrize("orthogonalize", [None, True, False])
def test_cosines_and_sines(name, kind, norm, orthogonalize):
    transform = getattr(scipy.fft, name)
    where = {"axes": (0, 2)} if name.endswith("n") else {"axis": 1}

    def f(a):
        return np.sum(B * transform(a, kind, norm=norm, orthogonalize=orthogonalize, **where))

    value, gradient = adcore.value_and_grad(f)(A)
    np.testing.assert_allclose(value, f(A), rtol=1e-12)
    np.testing.assert_allclose(gradient, matrix_of(f), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("options", [{"n": 7}, {"n": 3, "axis": 0}, {"type": 3, "n": 2, "norm": "ortho"}])
def test_cosines_of_other_lengths_and_of_complex_arrays(options):
    def f(a, b):
        z = dct(a + 1j * b, **options)
        return np.sum(z.real**3 + z.imag**2)

    np.testing.assert_allclose(adcore.value_and_grad(f)(A, B)[0], f(A, B), rtol=1e-12)
    check_grads(f, [A, B], rtol=2e-6)


def test_cosines_keep_single_precision():
    def f(a):
        y = scipy.fft.dctn(a, norm="ortho")
        assert y.dtype == np.float32
        return np.sum(y**2)

    np.testing.assert_allclose(adcore.gradient(f, A.astype(np.float32)), 2 * A, rtol=1e-4)


@pytest.mark.parametrize("name", ["hfft2", "hfftn", "ihfft2", "ihfftn"])
def test_hermitian_transforms_along_several_axes(name):
    transform = getattr(scipy.fft, name)

    def f(a, b):
        y = transform(a if name.startswith("i") else a + 1j * b, norm="ortho")
        return np.sum(np.real(y) ** 3) + np.sum(np.imag(y) ** 2)

    np.testing.assert_allclose(adcore.value_and_grad(f)(A, B)[0], f(A, B), rtol=1e-12)
    check_grads(f, [A, B], rtol=2e-6)


def test_out_is_written():
    def f(a):
        z = np.zeros(A.shape, complex)
        np.fft.fft(a, out=z)
        return np.sum(np.abs(z) ** 2)

    np.testing.assert_allclose(adcore.gradient(f, A), 2 * 5 * A, rtol=1e-12)


def test_real_transform_of_a_complex_array_is_refused():
    with pytest.raises(TypeError, match="rfft of a complex array"):
        adcore.gradient(lambda a: np.sum(np.abs(np.fft.rfft(a * 1j))), A)


def test_single_precision_stays():
    seen = []

    def f(a):
        y = np.fft.fft(a)
        seen.append(y.dtype)
        return np.sum(np.abs(y) ** 2)

    g = adcore.gradient(f, A.astype(np.float32))
    assert seen[0] == np.complex64
    np.testing.assert_allclose(g, 2 * 5 * A, rtol=1e-5)
