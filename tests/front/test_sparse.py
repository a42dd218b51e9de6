"""Products of constant sparse matrices with traced vectors and dense matrices."""

import numpy as np
import pytest
import scipy.sparse
from adcore.testing import check_grads

import adcore

rng = np.random.default_rng(0)
DENSE = rng.normal(size=(4, 3)) * (rng.random((4, 3)) > 0.4)
FORMATS = ("csr", "csc", "coo", "bsr", "dia", "dok", "lil")
x = rng.normal(size=3)
y = rng.normal(size=4)
X = rng.normal(size=(3, 2))


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("form", FORMATS)
def test_products_of_every_format_from_both_sides(form, kind):
    matrix = getattr(scipy.sparse, f"{form}_{kind}")(DENSE)
    for f, at in (
        (lambda x: np.sin(matrix @ x), x),
        (lambda x: matrix.dot(x) ** 2, x),
        (lambda x: matrix @ (x * x), X),
        (lambda y: np.exp(y @ matrix), y),
        (lambda y: matrix.T @ y**2, y),
        (lambda z: z.T @ matrix.T, X),
    ):
        np.testing.assert_allclose(adcore.vjp(f, at)[0], f(at), rtol=1e-14)
        check_grads(f, (at,), order=2)


def test_a_star_is_a_product_for_matrices_and_elementwise_for_arrays():
    old, new = scipy.sparse.csr_matrix(DENSE), scipy.sparse.csr_array(DENSE)
    np.testing.assert_allclose(adcore.gradient(lambda x: np.sum((old * x) ** 2), x), 2.0 * DENSE.T @ DENSE @ x, rtol=1e-13)
    np.testing.assert_allclose(adcore.gradient(lambda x: np.sum((x * new) @ x), x), 2.0 * DENSE.sum(0) * x, rtol=1e-13)
    check_grads(lambda x: (x[0] * old) @ x + (new + x) @ x, (x,), order=2)


def test_complex_vectors_and_complex_matrices():
    z = x + 1j * x[::-1]
    matrix = scipy.sparse.csr_array(DENSE * (1.0 + 2.0j))
    for f, at in ((lambda z: np.sum(np.abs(matrix @ z) ** 2), z), (lambda x: np.sum(np.abs(matrix @ x) ** 2), x)):
        plain = lambda at, f=f: f(at).real  # noqa: E731
        assert adcore.value_and_grad(f)(at)[0] == pytest.approx(plain(at), rel=1e-14)
        check_grads(f, (at,), order=1)


def test_entries_are_read_anew_by_every_recording():
    matrix = scipy.sparse.csr_array(DENSE)
    f = adcore.compile(adcore.grad(lambda x: np.sum(matrix @ x)))
    np.testing.assert_allclose(f(x), DENSE.sum(0))
    matrix.data *= 3.0
    np.testing.assert_allclose(adcore.gradient(lambda x: np.sum(matrix @ x), x), 3.0 * DENSE.sum(0))
    np.testing.assert_allclose(f(x), 3.0 * DENSE.sum(0))


def test_heat_equation_with_a_sparse_laplacian():
    n = 20
    laplacian = scipy.sparse.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(n, n)).tocsr()

    def energy(u, k):
        for _ in range(10):
            u = u + k * (laplacian @ u)
        return np.sum(u**2)

    check_grads(energy, (np.sin(np.linspace(0.0, 3.0, n)), 0.1), order=2)


def test_shapes_that_do_not_fit_raise_as_in_scipy():
    with pytest.raises(ValueError, match="dimension mismatch"):
        adcore.gradient(lambda y: np.sum(scipy.sparse.csr_array(DENSE) @ y), y)
