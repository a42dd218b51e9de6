"""Complex arrays and numbers: values as NumPy's, derivatives by differences on real and imaginary parts."""

import numpy as np
import pytest
from adcore.testing import check_grads
from hypothesis import given
from hypothesis import strategies as st

import adcore

rng = np.random.default_rng(3)


def normal(*shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


v, u = normal(6), normal(6)
A, B, S, T = normal(3, 4), normal(3, 4), normal(4, 4), normal(2, 3, 4)
x = rng.normal(size=6)
X = rng.normal(size=(3, 4))
mask = np.array([True, False, True, True])


def assigned(z):
    out = np.zeros((2, 6), dtype=complex)
    out[0] = z * z
    out[1, 1:] = np.exp(z[:-1])
    out[1, 0] = z[2]
    out[:, 3] *= 2j
    out[out.real > 1.0] = 0.5j
    out[[0, 1]] = out[[1, 0]]
    return out


def parts_written(z):
    out = z.copy()
    out.real *= 2.0
    out.imag[1:] = out.real[:-1]
    out.real, out.imag = out.imag.copy(), out.real.copy()
    return out * z


def stockham(z):
    """A radix-2 FFT in plain NumPy."""
    y = z.reshape(-1, 1)
    while y.shape[0] > 1:
        half = y.shape[0] // 2
        even, odd = y[:half], y[half:]
        w = np.exp(-1j * np.pi * np.arange(y.shape[1]) / y.shape[1])
        y = np.concatenate([even + w * odd, even - w * odd], axis=1)
    return y[0]


UNARY = {
    name: (getattr(np, name), v)
    for name in (
        "abs absolute angle conj conjugate real imag exp exp2 expm1 log log2 log10 log1p sqrt square reciprocal sign negative positive "
        "sin cos tan sinh cosh tanh arcsin arccos arctan arcsinh arccosh arctanh"
    ).split()
}

ONE = {
    **UNARY,
    "angle in degrees": (lambda z: np.angle(z, deg=True), v),
    "sinc": (np.sinc, v),
    "operators": (lambda z: -z + 2.0 * z / (1 + 1j) - (3 - 2j) * z + z * u - u / z + x * z, v),
    "a real divisor": (lambda z: z / 3.0 + z / x, v),
    "an imaginary divisor": (lambda z: z / 3j + x / z + 2j / z, v),
    "integer powers": (lambda z: z**3 + z**-2 + z**0 + z**1, v),
    "a real power": (lambda z: z**1.5, v),
    "a complex power": (lambda z: z ** (0.3 - 0.2j) + 2.0**z + z**z, v),
    "real and imag": (lambda z: z.real * z.imag + np.real(z) - np.imag(z), v),
    "conj": (lambda z: z.conj() * z + z.conjugate(), v),
    "indices": (lambda z: z[0] * z[1:3] + z[[3, 4]] + z[np.array([False, True, True, False, False, False])], v),
    "assignment": (assigned, v),
    "parts written": (parts_written, v),
    "in place": (lambda z: inplace(z.copy()), v),
    "array of items": (lambda z: np.array([z[0], 1j, [z[1] * 2, 3.0][0]]), v),
    "array of real items": (lambda z: np.array([1j * z[0].real, z[1].imag]), v),
    "from real parts": (lambda z: z.real + 1j * z.imag, v),
    "stockham": (stockham, normal(8)),
    "reshape": (lambda z: np.reshape(z, (4, -1)) * z.reshape(4, 3), A),
    "transpose": (lambda z: z.T @ np.transpose(z), S),
    "ravel": (lambda z: np.ravel(z.T) * z.flatten(), A),
    "swapaxes": (lambda z: np.swapaxes(z, 0, 1), A),
    "moveaxis": (lambda z: np.moveaxis(z, 0, 2), T),
    "broadcast_to": (lambda z: np.broadcast_to(z, (2, 3, 4)), A),
    "expand_dims": (lambda z: np.expand_dims(z, 1)[:, 0] * np.squeeze(z[:, None]), A),
    "concatenate": (lambda z: np.concatenate([z, X, 2j * z]), A),
    "stack": (lambda z: np.stack([z, X, B], axis=1), A),
    "vstack": (lambda z: np.vstack([z, x]), v),
    "hstack": (lambda z: np.hstack([x, z, u]), v),
    "column_stack": (lambda z: np.column_stack([z, z * z]), v),
    "block": (lambda z: np.block([[z, X], [X, 2j * z]]), A),
    "append": (lambda z: np.append(x, z), v),
    "insert": (lambda z: np.insert(z, 2, z[0] * z[1]), v),
    "delete": (lambda z: np.delete(z, [1, 3]), v),
    "split": (lambda z: np.split(z, 3)[1] * np.array_split(z, 3)[0], v),
    "flip": (lambda z: np.flip(z, 1) * z, A),
    "rot90": (lambda z: np.rot90(z) @ z, S),
    "roll": (lambda z: np.roll(z, 2) * z, A),
    "tile": (lambda z: np.tile(z, 2), A),
    "repeat": (lambda z: np.repeat(z, 2, axis=1), A),
    "pad": (lambda z: np.pad(z, 1, constant_values=2.0 - 1j), A),
    "pad wrap": (lambda z: np.pad(z, 2, mode="wrap"), A),
    "tril": (lambda z: np.tril(z) + 2 * np.triu(z, 1), S),
    "diag": (lambda z: np.diag(z) * np.diagonal(z) + np.trace(z), S),
    "diag of a vector": (np.diag, v),
    "take": (lambda z: np.take(z, [0, 0, 2], axis=1), A),
    "take_along_axis": (lambda z: np.take_along_axis(z, np.argsort(X, axis=1), axis=1), A),
    "compress": (lambda z: np.compress(mask, z, axis=1), A),
    "meshgrid": (lambda z: np.meshgrid(z, z[:2])[0] * np.meshgrid(z, z[:2])[1], v),
    "zeros_like": (lambda z: np.zeros_like(z) + z + np.ones_like(z) * np.full_like(z, 2j), A),
    "where": (lambda z: np.where(X > 0, z, 1j * z * z), A),
    "where with a real": (lambda z: np.where(X > 0, X, z), A),
    "select": (lambda z: np.select([X > 1, X > 0], [z, z**2], 3.0), A),
    "sum": (lambda z: np.sum(z, axis=0, keepdims=True) + z.sum(), A),
    "sum where": (lambda z: np.sum(z, axis=1, where=X > 0), A),
    "mean": (lambda z: np.mean(z, axis=1), A),
    "var": (lambda z: np.var(z, axis=1, ddof=1), A),
    "std": (np.std, A),
    "prod": (lambda z: np.prod(z, axis=1), A),
    "prod of all": (np.prod, v),
    "cumsum": (lambda z: np.cumsum(z, axis=0), A),
    "cumprod": (lambda z: np.cumprod(z, axis=1), A),
    "diff": (lambda z: np.diff(z, 2, axis=1), A),
    "gradient": (lambda z: np.gradient(z, 0.5), v),
    "trapezoid": (lambda z: np.trapezoid(z, dx=0.1), v),
    "average": (lambda z: np.average(z, axis=1, weights=np.arange(1.0, 5.0)), A),
    "dot": (lambda z: np.dot(z, B.T), A),
    "vdot": (lambda z: np.vdot(z, u) + np.vdot(u, z * z), v),
    "inner": (lambda z: np.inner(z, u), v),
    "outer": (lambda z: np.outer(z, z.conj()), v),
    "matmul": (lambda z: z @ X.T @ z, A),
    "matmul of a batch": (lambda z: z @ np.swapaxes(z.conj(), 1, 2), T),
    "a real matrix": (lambda z: X @ z[:4] + x[:3], v),
    "tensordot": (lambda z: np.tensordot(z, T, axes=([0, 1], [1, 2])), A),
    "kron": (lambda z: np.kron(z, z[:2, :2]), A),
    "cross": (lambda z: np.cross(z, z[::-1] + 1j), normal(4, 3)),
    "einsum": (lambda z: np.einsum("ij,kj->ik", z, z.conj()), A),
    "einsum trace": (lambda z: np.einsum("ii", z), S),
    "einsum of three": (lambda z: np.einsum("ij,kj,k->i", z, B, z[:, 0]), A),
    "matrix_power": (lambda z: np.linalg.matrix_power(z, 3), S / 3),
    "multi_dot": (lambda z: np.linalg.multi_dot([z, S, z.T]), A),
    "norm": (lambda z: np.linalg.norm(z, axis=1), A),
    "norm 1": (lambda z: np.linalg.norm(z, 1, axis=0), A),
    "frobenius": (np.linalg.norm, A),
    "convolve": (lambda z: np.convolve(z, z[:3], "same"), v),
    "correlate": (lambda z: np.correlate(z, z[:2], "full"), v),
    "polyval": (lambda z: np.polyval(z, z[0]), v),
    "interp": (lambda z: np.interp([0.5, 2.2], np.arange(6.0), z), v),
    "nan_to_num": (lambda z: np.nan_to_num(np.where(X > 0, z, np.nan)), A),
    "real_if_close": (lambda z: np.real_if_close(z * z.conj()), v),
    "add.reduce": (lambda z: np.add.reduce(z), A),
    "multiply.outer": (lambda z: np.multiply.outer(z, z), v),
    "apply_along_axis": (lambda z: np.apply_along_axis(lambda r: r * r[0], 1, z), A),
    "vectorize": (lambda z: z.real * 0 + np.exp(1j * z), v),
    "loop": (lambda z: mandelbrot(z[0] * 0.2), v),
    "loop over an array": (lambda z: mandelbrot(z * 0.2), v),
    "expectation": (lambda z: (z.conj() @ (S + S.conj().T) @ z).real / np.vdot(z, z).real, normal(4)),
    "a product of two scalars": (lambda z: z[0] * z[1], v),
}


def inplace(z):
    z += 1j
    z *= u
    z[2:] /= z[:-2] + 3.0
    z -= x
    z **= 2
    return z


def mandelbrot(c):
    z = 0.0 * c
    for _ in range(5):
        z = z * z + c
    return z


@pytest.mark.parametrize("name", ONE)
def test_value(name):
    f, z = ONE[name]
    value, _ = adcore.vjp(f, z)
    expected = f(z)
    np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-12)
    assert np.asarray(value).dtype == np.asarray(expected).dtype


@pytest.mark.parametrize("name", ONE)
def test_derivatives(name):
    f, z = ONE[name]
    check_grads(f, [z], order=2, directions=1, rtol=1e-5)


@pytest.mark.parametrize("name", UNARY)
def test_single_precision_stays_single(name):
    f, z = UNARY[name][0], v.astype(np.complex64)
    value, pullback = adcore.vjp(f, z)
    assert value.dtype == f(z).dtype
    np.testing.assert_allclose(value, f(z), rtol=1e-5)
    assert pullback(np.ones_like(value))[0].dtype == np.complex64


REAL = {
    "phases": lambda t: np.exp(1j * t),
    "a Fourier sum": lambda t: np.abs(np.sum(np.exp(1j * np.outer(np.arange(3.0), t)), axis=1)),
    "an array of complex zeros": lambda t: filled(t),
    "astype": lambda t: t.astype(complex) * 1j,
    "np.array with a dtype": lambda t: np.array([t[0], t[1]], dtype=complex) * (2 + 1j),
    "1j times a scalar": lambda t: 1j * t[0] + np.exp(2j * t[1]),
    "a complex matrix": lambda t: np.abs(S @ t[:4]) ** 2,
    "sqrt of what may be negative": lambda t: np.sqrt(t + 0j),
    "view": lambda t: t.view(complex) ** 2,
    "transfer function": lambda t: np.abs((t[0] + 1j * X * t[1]) / (1.0 + 1j * X * t[2] - X**2)),
    "real of a constant": lambda t: np.real(np.array([1j, 2.0]) * t[:2]),
    "a full array": lambda t: np.full(3, 1j * t[0]),
    "linspace": lambda t: np.linspace(0, 1j, 4) * t[0],
}


def filled(t):
    z = np.zeros(6, dtype=complex)
    z.real = t
    z.imag[1:] = t[:-1] ** 2
    z[0] = 2j * t[3]
    return z


@pytest.mark.parametrize("name", REAL)
def test_complex_values_of_a_real_argument(name):
    f = REAL[name]
    value, _ = adcore.vjp(f, x)
    np.testing.assert_allclose(value, f(x), rtol=1e-12, atol=1e-12)
    check_grads(f, [x], order=2, directions=1, rtol=1e-5)


PROMOTED = [
    np.float64(2.0), np.float32(2.0), 2.0, 2, 2j, np.complex64(1j), np.complex128(1j), x, x.astype(np.float32), v, v.astype(np.complex64),
    np.arange(6), x > 0,
]  # fmt: skip


@pytest.mark.parametrize("operand", PROMOTED, ids=lambda p: f"{type(p).__name__} {getattr(p, 'dtype', '')}")
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128, np.float32, np.float64])
@pytest.mark.parametrize("op", [np.add, np.subtract, np.multiply, np.divide])
def test_mixed_operands_promote_as_in_numpy(op, dtype, operand):
    z = (v if np.dtype(dtype).kind == "c" else x).astype(dtype)
    with np.errstate(all="ignore"):
        expected = op(z, operand)
    value, _ = adcore.vjp(lambda z: op(z, operand), z)
    assert value.dtype == expected.dtype
    flipped, _ = adcore.vjp(lambda z: operand * z, z)
    assert flipped.dtype == (operand * z).dtype


def test_the_gradient_by_a_complex_argument_is_that_of_jax():
    g = adcore.gradient(lambda z: np.sum(z.real**2 * z.imag), v)
    np.testing.assert_allclose(g, 2 * v.real * v.imag - 1j * v.real**2, rtol=1e-14)


def test_the_other_convention_is_its_conjugate():
    with adcore.config(conjugate=True):
        g = adcore.gradient(lambda z: np.sum(np.abs(z) ** 2), v)
    np.testing.assert_allclose(g, 2 * v, rtol=1e-14)


def test_abs_and_angle_at_zero_have_derivative_zero():
    z = np.array([0j, 1.0 + 1j])
    assert adcore.gradient(lambda z: np.sum(np.abs(z)), z)[0] == 0
    assert adcore.gradient(lambda z: np.sum(np.angle(z)), z)[0] == 0


@pytest.mark.parametrize("z", [-4.0 + 0j, 4j, -4j, 2.0 + 0j, -1e-3 + 0j])
def test_sqrt_has_its_derivative_on_the_axes(z):
    np.testing.assert_allclose(adcore.grad(np.sqrt, holomorphic=True)(z), 0.5 / np.sqrt(z), rtol=1e-12)


@pytest.mark.parametrize("f, slope", [
    (np.exp, np.exp), (np.sin, np.cos), (np.cosh, np.sinh), (np.log, lambda z: 1 / z), (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    (lambda z: z**3, lambda z: 3 * z**2), (np.arcsin, lambda z: 1 / np.sqrt(1 - z * z)), (np.arctan, lambda z: 1 / (1 + z * z)),
])  # fmt: skip
@given(z=st.complex_numbers(min_magnitude=0.1, max_magnitude=3.0))
def test_holomorphic_functions_have_their_complex_derivative(f, slope, z):
    if abs(z.imag) < 1e-3 or min(abs(z - 1j), abs(z + 1j), abs(np.cosh(z))) < 1e-2:
        return
    np.testing.assert_allclose(adcore.grad(f, holomorphic=True)(z), slope(z), rtol=1e-8)


def test_a_function_that_is_not_holomorphic_is_refused():
    with pytest.raises(adcore.errors.ArgumentError, match="Cauchy-Riemann"):
        adcore.grad(lambda z: z * abs(z), holomorphic=True)(1 + 2j)


def test_a_complex_result_has_no_gradient():
    with pytest.raises(adcore.errors.ArgumentError, match="holomorphic=True"):
        adcore.gradient(lambda z: z * z, 1 + 2j)


def test_jacobians():
    np.testing.assert_allclose(adcore.jacobian(lambda z: z**2, holomorphic=True)(v), np.diag(2 * v), rtol=1e-13)
    np.testing.assert_allclose(adcore.jacobian(lambda z: np.abs(z) ** 2)(v), np.diag(2 * v.conj()), rtol=1e-13)
    for mode in ("forward", "reverse"):
        np.testing.assert_allclose(adcore.jacobian(lambda t: np.exp(1j * t), mode=mode)(x), np.diag(1j * np.exp(1j * x)), rtol=1e-13)
    with pytest.raises(adcore.errors.ArgumentError, match="holomorphic"):
        adcore.jacobian(lambda z: z * z.conj())(v)


@given(data=st.data())
def test_forward_and_reverse_agree(data):
    name = data.draw(st.sampled_from(sorted(ONE)))
    f, z = ONE[name]
    seed = np.random.default_rng(data.draw(st.integers(0, 1000)))
    t = seed.normal(size=z.shape) + 1j * seed.normal(size=z.shape)
    y, dy = adcore.jvp(f, (z,), (t,))
    g = seed.normal(size=np.shape(y)) + (1j * seed.normal(size=np.shape(y)) if np.iscomplexobj(y) else 0.0)
    _, pullback = adcore.vjp(f, z)
    ours = pullback(g)[0]
    np.testing.assert_allclose(np.sum(g * dy).real, np.sum(ours * t).real, rtol=1e-9, atol=1e-9)


def test_several_seeds_go_through_one_sweep():
    f = lambda z: np.exp(z) * z.conj()  # noqa: E731
    tangents = normal(6, 3)
    _, dy = adcore.jvp(f, (v,), (tangents,))
    _, pullback = adcore.vjp(f, v)
    (adjoints,) = pullback(tangents)
    for k in range(3):
        np.testing.assert_allclose(dy[:, k], adcore.jvp(f, (v,), (tangents[:, k],))[1], rtol=1e-13)
        np.testing.assert_allclose(adjoints[:, k], pullback(tangents[:, k])[0], rtol=1e-13)


def test_hvp_is_the_derivative_of_the_gradient():
    f = lambda z: np.sum(np.abs(z) ** 4).real  # noqa: E731
    t, h = normal(6), 1e-6
    expected = (adcore.gradient(f, v + h * t) - adcore.gradient(f, v - h * t)) / (2 * h)
    np.testing.assert_allclose(adcore.hvp(f, v, t), expected, rtol=1e-7)


def test_views_share_memory():
    def f(z):
        a = z.copy()
        row = a.reshape(2, 3)[1]
        row[:] = 2j * row
        a.real[0] = 0.0
        assert a.base is None
        return a

    np.testing.assert_allclose(adcore.vjp(f, v)[0], f(v), rtol=1e-14)
    check_grads(f, [v])


def test_a_complex_argument_is_written_in_place_and_the_caller_keeps_his_array():
    def f(z):
        z[1:] *= 2j
        return np.sum(np.abs(z) ** 2)

    z = v.copy()
    g = adcore.gradient(f, z)
    np.testing.assert_array_equal(z, v)
    np.testing.assert_allclose(g, np.r_[2, np.full(5, 8)] * v.conj(), rtol=1e-13)


def test_refusals_name_the_line():
    def written(z):
        out = np.zeros(6)
        out[:] = z
        return np.sum(out)

    for f, text in (
        (written, "a complex value where a real one is wanted"),
        (lambda z: float(z[0]), "float"),
        (lambda z: np.sum(np.floor(z.astype(complex)).real), "floor"),
        (lambda z: np.sum(np.sort(z).real), "sort"),
    ):
        with pytest.raises((adcore.errors.AdcoreError, TypeError), match=text) as caught:
            adcore.gradient(f, v)
        assert "test_complex.py" in str(caught.value)


WRITERS = {
    "putmask": lambda y: np.putmask(y, np.abs(y) > 1, 0.5j),
    "place": lambda y: np.place(y, np.abs(y) > 1, [0.5j, 1.0]),
    "put": lambda y: np.put(y, [0, 5], [1j, 2]),
    "put_along_axis": lambda y: np.put_along_axis(y, np.array([[0], [1], [2]]), 2j, axis=1),
    "copyto": lambda y: np.copyto(y, 3j, where=np.abs(y) > 1),
    "fill_diagonal": lambda y: np.fill_diagonal(y, 1j),
}


@pytest.mark.parametrize("name", WRITERS)
def test_functions_that_write_reach_complex_arrays(name):
    """putmask, place and put_along_axis wrote into a copy of an array that was not being differentiated."""
    Z = np.random.default_rng(0).normal(size=(3, 4)) * (1 + 0.5j)

    def f(t):
        y = Z.copy()
        WRITERS[name](y)
        w = y * t
        WRITERS[name](w)
        return np.sum(np.abs(y) ** 2) + np.sum(np.abs(w) ** 2)

    assert adcore.value_and_grad(f)(1.3)[0] == pytest.approx(f(1.3), rel=1e-14)
    np.testing.assert_allclose(adcore.compile(lambda z: f(z[0, 0].real))(Z), f(Z[0, 0].real))
    adcore.testing.check_grads(f, (1.3,), order=1)


CONTIGUOUS = {
    "itself": lambda w: np.ascontiguousarray(w),
    "the transpose": lambda w: np.ascontiguousarray(w.T),
    "the transpose in Fortran order": lambda w: np.asfortranarray(w.T),
    "in Fortran order": lambda w: np.asfortranarray(w),
    "every other column": lambda w: np.ascontiguousarray(w[:, ::2]),
    "rows": lambda w: np.ascontiguousarray(w[1:]),
    "every other row": lambda w: np.ascontiguousarray(w[::2]),
}


@pytest.mark.parametrize("name", CONTIGUOUS)
def test_contiguous_complex_arrays_are_copies_where_numpys_are(name):
    """None was: what was written into one reached the array that it was made from."""
    Z = np.random.default_rng(0).normal(size=(3, 4)) * (1 + 0.5j)

    def f(z):
        total = 0.0
        for w in (z * 1, z.copy()):
            CONTIGUOUS[name](w)[0] = 2j * z[0, 0]
            total = total + np.sum(np.abs(w) ** 2)
        return total

    assert adcore.value_and_grad(f)(Z)[0] == pytest.approx(f(Z), rel=1e-14)


@pytest.mark.parametrize("name", ["sqrt", "log", "log2", "log10", "arccos", "arcsin", "arctanh"])
def test_emath_becomes_complex_where_numpys_does(name):
    f = lambda x: np.sum(getattr(np.emath, name)(x * 1.5) * (1 - 2j))  # noqa: E731
    for x in (np.array([-0.9, 0.4, 1.7]), np.array([0.2, 0.3, 0.4])):
        check_grads(lambda x: np.real(f(x)) * np.imag(f(x)), [x])
    check_grads(lambda x: np.abs(np.emath.logn(2.0, x - 1.0)) + np.real(np.emath.power(x - 1.0, 1.5)), [np.array([0.3, 0.8])])
