"""numpy.linalg and scipy.linalg: values, first and second derivatives in both modes."""

import numpy as np
import pytest
import scipy.linalg
from adcore.front.linalg import MAY_BE_REAL
from adcore.testing import check_grads

import adcore
from adcore import errors

rng = np.random.default_rng(0)
A = rng.normal(size=(4, 4)) + 4 * np.eye(4)
B = rng.normal(size=(4, 3))
T = rng.normal(size=(2, 3, 3)) + 3 * np.eye(3)
R = rng.normal(size=(5, 3))
v = rng.normal(size=4)


def spd(a):
    return a @ np.swapaxes(a, -1, -2) + np.eye(a.shape[-1])


def of_svd(a):
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return u * u, s, vh * vh, (u * s) @ vh


def of_eigh(a):
    w, q = np.linalg.eigh(spd(a))
    return w, q * q, (q * w) @ q.T


CASES = {
    "solve": (np.linalg.solve, [A, B]),
    "solve a vector": (np.linalg.solve, [A, v]),
    "solve a batch": (np.linalg.solve, [T, T[0]]),
    "inv": (np.linalg.inv, [T]),
    "tensorsolve": (lambda a, b: np.linalg.tensorsolve(a.reshape(2, 2, 2, 2), b.reshape(2, 2)), [A, v]),
    "tensorinv": (lambda a: np.linalg.tensorinv(a.reshape(2, 2, 2, 2)), [A]),
    "cholesky": (lambda a: np.linalg.cholesky(spd(a)), [A]),
    "cholesky of a batch": (lambda a: np.linalg.cholesky(spd(a)), [T]),
    "qr": (np.linalg.qr, [R]),
    "qr of a wide matrix": (np.linalg.qr, [R.T]),
    "qr, r": (lambda a: np.linalg.qr(a, "r"), [A]),
    "eigh": (of_eigh, [A]),
    "eigvalsh": (lambda a: np.linalg.eigvalsh(spd(a)), [T]),
    "svd": (of_svd, [R]),
    "svd of a wide matrix": (of_svd, [R.T]),
    "svdvals": (np.linalg.svdvals, [R]),
    "svd without vectors": (lambda a: np.linalg.svd(a, compute_uv=False), [R]),
    "slogdet": (lambda a: np.linalg.slogdet(a)[1], [T]),
    "det": (np.linalg.det, [T]),
    "pinv": (np.linalg.pinv, [R]),
    "lstsq": (lambda a, b: np.linalg.lstsq(a, b, rcond=None)[:2], [R, rng.normal(size=5)]),
    "cond": (np.linalg.cond, [A]),
    "cond 1": (lambda a: np.linalg.cond(a, 1), [A]),
    "nuclear norm": (lambda a: np.linalg.norm(a, "nuc"), [R]),
    "spectral norm": (lambda a: np.linalg.norm(a, 2), [R]),
    "solve_triangular": (lambda a, b: scipy.linalg.solve_triangular(a, b, lower=True), [A, B]),
    "solve_triangular, transposed": (lambda a, b: scipy.linalg.solve_triangular(a, b, trans=1), [A, B]),
    "solve_triangular, unit": (lambda a, b: scipy.linalg.solve_triangular(a, b, unit_diagonal=True), [A, v]),
    "cho_solve": (lambda a, b: scipy.linalg.cho_solve(scipy.linalg.cho_factor(spd(a)), b), [A, v]),
    "cho_solve, lower": (lambda a, b: scipy.linalg.cho_solve(scipy.linalg.cho_factor(spd(a), lower=True), b), [A, B]),
    "lu_solve": (lambda a, b: scipy.linalg.lu_solve(scipy.linalg.lu_factor(a), b), [A[::-1].copy(), B]),
    "lu_solve, transposed": (lambda a, b: scipy.linalg.lu_solve(scipy.linalg.lu_factor(a), b, trans=1), [A[::-1].copy(), B]),
    "expm": (scipy.linalg.expm, [0.2 * A]),
    "sqrtm": (lambda a: scipy.linalg.sqrtm(spd(a)), [A]),
    "solve_sylvester": (scipy.linalg.solve_sylvester, [A, T[0], B]),
    "block_diag": (lambda a, b: scipy.linalg.block_diag(a, b, 3.0), [A, B]),
    "toeplitz": (scipy.linalg.toeplitz, [v, v[:3]]),
    "solve_banded": (lambda ab, b: scipy.linalg.solve_banded((1, 1), ab, b), [np.array([[0, 1, 2, 3.0], [8, 9, 8, 9], [1, 2, 1, 0]]), v]),
    "solve, positive": (lambda a, b: scipy.linalg.solve(spd(a), b, assume_a="pos"), [A, B]),
    "solve, symmetric by the lower part": (lambda a, b: scipy.linalg.solve(a, b, assume_a="sym", lower=True), [A, B]),
    "scipy inv": (scipy.linalg.inv, [A]),
    "scipy det": (scipy.linalg.det, [A]),
    "gaussian log density": (
        lambda a, x: -0.5 * x @ np.linalg.solve(spd(a), x) - 0.5 * np.linalg.slogdet(spd(a))[1],
        [A, v],
    ),
}


def normal(*shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


Z, ZB, ZR, zv = normal(4, 4) + 3 * np.eye(4), normal(4, 3), normal(5, 3), normal(4)
ZT = normal(2, 3, 3) + 2 * np.eye(3)
TURNING = rng.normal(size=(4, 4))  # real, with complex eigenvalues
assert np.iscomplexobj(np.linalg.eigvals(TURNING))


def hpd(a):
    return a @ np.conj(np.swapaxes(a, -1, -2)) + np.eye(a.shape[-1])


# eigenvectors and singular vectors with the phases that LAPACK gives them: differences see those as well
COMPLEX_CASES = {
    "solve": (np.linalg.solve, [Z, ZB]),
    "solve a vector": (np.linalg.solve, [Z, zv]),
    "solve a batch": (np.linalg.solve, [ZT, ZT[0]]),
    "solve with a real matrix": (np.linalg.solve, [A, ZB]),
    "solve for a real vector": (np.linalg.solve, [Z, v]),
    "inv": (np.linalg.inv, [ZT]),
    "tensorsolve": (lambda a, b: np.linalg.tensorsolve(a.reshape(2, 2, 2, 2), b.reshape(2, 2)), [Z, zv]),
    "tensorinv": (lambda a: np.linalg.tensorinv(a.reshape(2, 2, 2, 2)), [Z]),
    "cholesky": (lambda a: np.linalg.cholesky(hpd(a)), [Z]),
    "cholesky of a batch": (lambda a: np.linalg.cholesky(hpd(a)), [ZT]),
    "cholesky, upper": (lambda a: np.linalg.cholesky(hpd(a), upper=True), [Z]),
    "qr": (np.linalg.qr, [ZR]),
    "qr of a wide matrix": (np.linalg.qr, [ZR.T]),
    "qr of a batch": (np.linalg.qr, [ZT]),
    "qr, r": (lambda a: np.linalg.qr(a, "r"), [Z]),
    "eigh": (lambda a: np.linalg.eigh(hpd(a)), [Z]),
    "eigh by the upper part": (lambda a: np.linalg.eigh(hpd(a), UPLO="U"), [ZT]),
    "eigvalsh": (lambda a: np.linalg.eigvalsh(hpd(a)), [ZT]),
    "eig": (np.linalg.eig, [Z]),
    "eig of a batch": (np.linalg.eig, [ZT]),
    "eig of a real matrix": (np.linalg.eig, [TURNING]),
    "eigvals": (np.linalg.eigvals, [Z]),
    "eigvals of a real matrix": (np.linalg.eigvals, [TURNING]),
    "svd": (lambda a: np.linalg.svd(a, full_matrices=False), [ZR]),
    "svd of a wide matrix": (lambda a: np.linalg.svd(a, full_matrices=False), [ZR.T]),
    "svd of a batch": (np.linalg.svd, [ZT]),
    "svdvals": (np.linalg.svdvals, [ZR]),
    "slogdet": (np.linalg.slogdet, [ZT]),
    "det": (np.linalg.det, [ZT]),
    "pinv": (np.linalg.pinv, [ZR]),
    "pinv of a wide matrix": (np.linalg.pinv, [ZR.T]),
    "lstsq": (lambda a, b: np.linalg.lstsq(a, b, rcond=None)[:2], [ZR, normal(5)]),
    "cond": (np.linalg.cond, [Z]),
    "cond 1": (lambda a: np.linalg.cond(a, 1).real, [Z]),  # a complex number in older NumPy
    "nuclear norm": (lambda a: np.linalg.norm(a, "nuc"), [ZR]),
    "vector_norm": (lambda a: np.linalg.vector_norm(a, ord=3), [Z]),
    "matrix_norm": (lambda a: np.linalg.matrix_norm(a, ord=1), [ZT]),
    "matrix_power": (lambda a: np.linalg.matrix_power(a, -3), [Z]),
    "matrix_power 0": (lambda a: np.linalg.matrix_power(a, 0) * a, [Z]),
    "multi_dot": (lambda a, b: np.linalg.multi_dot([a, b, a[:3, :3], zv[:3]]), [Z, ZB]),
}


@pytest.mark.parametrize(("f", "args"), [*CASES.values(), *COMPLEX_CASES.values()], ids=[*CASES, *(f"complex {k}" for k in COMPLEX_CASES)])
def test_derivatives(f, args):
    check_grads(f, args, order=2, rtol=1e-5, directions=1)


@pytest.mark.parametrize("name", COMPLEX_CASES)
def test_complex_values(name):
    f, args = COMPLEX_CASES[name]
    ours, theirs = adcore.vjp(f, *args)[0], f(*args)
    for y, expected in zip(*((x if isinstance(x, tuple) else [x]) for x in (ours, theirs)), strict=True):
        np.testing.assert_allclose(y, expected, rtol=1e-11, atol=1e-12)
        assert np.asarray(y).dtype == np.asarray(expected).dtype


@pytest.mark.parametrize("name", COMPLEX_CASES)
def test_forward_and_reverse_agree_on_complex_matrices(name):
    f, args = COMPLEX_CASES[name]
    moves = [rng.normal(size=a.shape) + (1j * rng.normal(size=a.shape) if np.iscomplexobj(a) else 0.0) for a in args]
    y, dy = adcore.jvp(f, tuple(args), tuple(moves))
    y, dy = (list(x) if isinstance(x, tuple) else [x] for x in (y, dy))
    seeds = [rng.normal(size=np.shape(x)) + (1j * rng.normal(size=np.shape(x)) if np.iscomplexobj(x) else 0.0) for x in y]
    pullback = adcore.vjp(f, *args)[1]
    template = adcore.vjp(f, *args)[0]
    found = pullback(type(template)(*seeds) if hasattr(template, "_fields") else tuple(seeds) if isinstance(template, tuple) else seeds[0])
    ours = sum(np.sum(g * t).real for g, t in zip(found, moves, strict=True))
    np.testing.assert_allclose(ours, sum(np.sum(g * t).real for g, t in zip(seeds, dy, strict=True)), rtol=1e-9, atol=1e-9)


def test_eigenvalues_of_a_real_matrix_become_complex_under_compile():
    f = adcore.compile(adcore.value_and_grad(lambda a: np.sum(np.abs(np.linalg.eigvals(a)))))
    for a in (np.array([[2.0, 1.0], [1.0, 0.0]]), np.array([[0.0, 1.0], [-1.0, 0.0]]), np.array([[0.0, 1.0], [-2.0, 0.0]])):
        value, g = f(a)
        np.testing.assert_allclose(value, np.sum(np.abs(np.linalg.eigvals(a))))
        h = 1e-6
        moved = [np.sum(np.abs(np.linalg.eigvals(a + s * h * np.eye(2)[::-1] @ np.diag([1, 2])))) for s in (1, -1)]
        np.testing.assert_allclose(np.sum(g * (np.eye(2)[::-1] @ np.diag([1, 2]))), (moved[0] - moved[1]) / (2 * h), rtol=1e-7)
    assert f.recordings == (2 if MAY_BE_REAL else 1)


def test_single_precision_stays_single():
    z = ZT.astype(np.complex64)
    for f in (np.linalg.inv, np.linalg.eigvals, np.linalg.svdvals, lambda a: np.linalg.eigh(a)[1], np.linalg.det):
        assert adcore.vjp(f, z)[0].dtype == f(z).dtype
    assert adcore.vjp(np.linalg.inv, z.real.copy())[0].dtype == np.float32


@pytest.mark.filterwarnings("ignore:logm")
def test_logm():
    check_grads(lambda a: scipy.linalg.logm(spd(a)), [A], rtol=1e-5)


def test_determinant_of_a_singular_matrix():
    a = np.array([[1.0, 2.0], [2.0, 4.0]])
    np.testing.assert_allclose(adcore.gradient(np.linalg.det, a), [[4.0, -2.0], [-2.0, 1.0]], atol=1e-12)


ONE_TRIANGLE = {
    "cholesky": np.linalg.cholesky,
    "cholesky upper": lambda a: np.linalg.cholesky(a, upper=True),
    "eigh": lambda a: (np.linalg.eigh(a)[0], np.abs(np.linalg.eigh(a)[1]) ** 2),
    "eigh upper": lambda a: np.linalg.eigh(a, "U")[0],
    "eigvalsh": np.linalg.eigvalsh,
    "eigvalsh upper": lambda a: np.linalg.eigvalsh(a, "U"),
    "pinv": lambda a: np.linalg.pinv(a, hermitian=True),
    "svd": lambda a: np.linalg.svd(a, hermitian=True),
    "svd values": lambda a: np.linalg.svd(a, hermitian=True, compute_uv=False),
    "scipy cholesky": scipy.linalg.cholesky,
    "scipy cho_factor": lambda a: scipy.linalg.cho_solve(scipy.linalg.cho_factor(a), np.ones(len(a))),
    "scipy eigh": lambda a: scipy.linalg.eigh(a)[0],
}


# of complex vectors, which have any phase, eigh has a test of its own
KINDS = [
    (name, kind) for name in ONE_TRIANGLE for kind in ("symmetric", "not symmetric", "hermitian") if (name, kind) != ("svd", "hermitian")
]


@pytest.mark.parametrize("name, kind", KINDS)
def test_one_triangle_is_read(name, kind):
    """The derivative is that of what NumPy computes, of the triangle that LAPACK reads, whatever the other one holds."""
    a = spd(A) + (0.1 * A if kind == "not symmetric" else 0.0) + (1j * (A - A.T) if kind == "hermitian" else 0.0)
    check_grads(ONE_TRIANGLE[name], [a], order=2, directions=1, rtol=1e-5)


def test_several_seeds_through_a_call():
    f = lambda a: np.linalg.solve(a, v) * 2.0  # noqa: E731
    np.testing.assert_allclose(adcore.jacobian(f, mode="forward")(A), adcore.jacobian(f, mode="reverse")(A), rtol=1e-11)


class TestEqualValues:
    def test_functions_of_the_values_are_right(self):
        g = adcore.gradient(lambda a: np.sum(np.exp(np.linalg.eigh(a)[0])), np.eye(3))
        np.testing.assert_allclose(g, np.e * np.eye(3), rtol=1e-13)

    def test_forward_mode_says_nan_where_vectors_are_used(self):
        f = lambda a: np.linalg.eigh(a)  # noqa: E731
        _, (tw, tv) = adcore.jvp(f, (np.eye(2),), (np.array([[1.0, 2.0], [2.0, 3.0]]),))
        np.testing.assert_allclose(tw, [1.0, 3.0])
        assert np.isnan(tv).any()

    def test_functions_of_the_whole_subspace_are_refused(self):
        def f(a):
            w, q = np.linalg.eigh(a)
            return np.sum(((q * np.exp(w)) @ q.T) * np.arange(9.0).reshape(3, 3))

        with pytest.raises(errors.NotDifferentiable, match="equal values"):
            adcore.gradient(f, np.eye(3))

    def test_functions_of_a_hermitian_matrix_at_a_diagonal_one(self):
        """No component of the vectors says what their phases are, and none is needed."""
        w, a, t = normal(3, 3), np.diag([1.0, 2.0, 3.0]) + 0j, normal(3, 3)

        def f(a):
            values, q = np.linalg.eigh(a)
            return np.sum(((q * np.exp(values)) @ q.conj().T * w).real)

        t, h = t + t.conj().T, 1e-6
        expected = (f(a + h * t) - f(a - h * t)) / (2 * h)
        np.testing.assert_allclose(np.sum(adcore.gradient(f, a) * t).real, expected, rtol=1e-8)
        np.testing.assert_allclose(adcore.jvp(f, (a,), (t,))[1], expected, rtol=1e-8)
        with pytest.raises(errors.NotDifferentiable, match=r"test_linalg.py:\d+: np.linalg.eigh.*phase"):
            adcore.gradient(lambda a: np.sum((np.linalg.eigh(a)[1] * w).real), a)

    @pytest.mark.parametrize("kind", [rng.normal, lambda size: normal(*size)])
    def test_truncated_svd_of_a_matrix_of_that_rank(self, kind):
        """The vectors of the singular values that are 0 are not used: their limit counts as 0."""
        a, w, t = kind(size=(5, 2)) @ kind(size=(2, 4)), kind(size=(5, 4)), kind(size=(5, 4))

        def f(a):
            u, s, vh = np.linalg.svd(a, full_matrices=False)
            return np.sum(((u[:, :2] * s[:2]) @ vh[:2] * w).real)

        h = 1e-6
        expected = (f(a + h * t) - f(a - h * t)) / (2 * h)
        np.testing.assert_allclose(np.sum(adcore.gradient(f, a) * t).real, expected, rtol=1e-7)

    def test_vectors_of_a_zero_singular_value_are_refused(self):
        a = np.zeros((5, 4))
        a[:3, :3] = np.diag([3.0, 2.0, 1.0])
        with pytest.raises(errors.NotDifferentiable, match="singular value 0"):
            adcore.gradient(lambda a: np.sum(np.linalg.svd(a, full_matrices=False)[0] * rng.normal(size=(5, 4))), a)

    @pytest.mark.parametrize(
        "f", [lambda a: np.sum(np.exp(np.real(np.linalg.eigvals(a)))), lambda a: np.sum(np.real(np.linalg.eig(a)[1]) ** 4)]
    )
    def test_a_defective_matrix_is_refused(self, f):
        with pytest.raises(errors.NotDifferentiable, match="independent eigenvectors"):
            adcore.gradient(f, np.array([[1.0, 1.0], [0.0, 1.0]]))

    def test_qr_of_dependent_columns_is_refused(self):
        with pytest.raises(errors.NotDifferentiable, match="linearly dependent"):
            adcore.gradient(lambda a: np.sum(np.linalg.qr(a)[1]), np.ones((3, 3)))

    def test_what_depends_on_the_basis_is_refused(self):
        with pytest.raises(errors.NotDifferentiable, match="equal values"):
            adcore.gradient(lambda a: np.linalg.eigh(a)[1][0, 1] ** 2 + np.linalg.eigh(a)[1][1, 0], np.diag([1.0, 1.0, 2.0]))


class TestErrors:
    def test_singular(self):
        with pytest.raises(np.linalg.LinAlgError, match="Singular"):
            adcore.gradient(lambda a: np.sum(np.linalg.inv(a)), np.ones((2, 2)))
        assert np.isfinite(adcore.gradient(lambda a: np.sum(np.linalg.inv(a)), np.eye(2))).all()

    def test_not_positive_definite(self):
        with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
            adcore.gradient(lambda a: np.sum(np.linalg.cholesky(a)), -np.eye(2))

    def test_not_square(self):
        with pytest.raises(np.linalg.LinAlgError, match="square"):
            adcore.gradient(lambda a: np.sum(np.linalg.inv(a)), R)

    def test_full_matrices(self):
        with pytest.raises(errors.NotDifferentiable, match="full_matrices"):
            adcore.gradient(lambda a: np.sum(np.linalg.svd(a)[0]), R)


def test_compiled():
    f = adcore.compile(adcore.value_and_grad(lambda a: np.linalg.slogdet(spd(a))[1]))
    for k in range(3):
        value, g = f(A + k)
        np.testing.assert_allclose(value, np.linalg.slogdet(spd(A + k))[1])
        np.testing.assert_allclose(g, 2 * np.linalg.solve(spd(A + k), A + k))
    assert f.recordings == 1


@pytest.mark.parametrize("batch", [(), (2,), (2, 1)])
def test_the_adjoint_of_cholesky_is_right_to_the_third_order(batch):
    a, w = rng.normal(size=(*batch, 4, 4)), rng.normal(size=(4, 4))

    def f(a):
        return np.sum(w * np.linalg.cholesky(a @ np.swapaxes(a, -1, -2) + 4.0 * np.eye(4)))

    check_grads(f, (a,), order=2 if batch else 3)
