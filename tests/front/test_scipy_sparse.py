"""Sparse matrices of traced entries: SciPy's values for every way of making, combining and solving them, derivatives of both orders."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla
from adcore.front import ledger, scipy_sparse, scipy_sparse_linalg
from adcore.testing import check_grads
from scipy.sparse import coo_matrix, csr_matrix, diags, lil_matrix
from scipy.sparse.linalg import spsolve

import adcore

rng = np.random.default_rng(0)
ROW, COLUMN = np.array([0, 0, 1, 2, 3, 3, 1, 0]), np.array([0, 2, 1, 3, 3, 0, 1, 3])  # (1, 1) twice
V = rng.normal(size=8) + 3.0
X, B = rng.normal(size=4), rng.normal(size=(4, 2))
POINTERS = np.array([0, 2, 4, 5, 8])
COLUMNS = np.array([2, 0, 1, 3, 2, 0, 3, 1])  # not sorted
CONSTANT = sp.csr_matrix(np.diag(np.arange(1.0, 5.0)) + np.eye(4, k=1))
ARRAY = sp.coo_array(CONSTANT)


def coo(v):
    return sp.coo_matrix((v, (ROW, COLUMN)), shape=(4, 4))


def rows(v):
    return sp.csr_array((1.0 * v, COLUMNS, POINTERS), shape=(4, 4))  # SciPy sorts what it is given in its place


def regular(v):
    return coo(v).tocsc() + 9.0 * sp.identity(4, format="csc")


def assembled(v, kind):
    a = kind((4, 4))
    for k in range(8):
        a[ROW[k], COLUMN[k]] += v[k]
    a[np.ix_([1, 2], [1, 2])] += np.outer(v[:2], v[2:4])
    a[3, :] = 0
    a[3, 3] = v[0]
    return a


# name of scipy.sparse -> functions of the entries
CASES = {
    "coo_matrix": [lambda v: coo(v) @ X, lambda v: coo(v) * X, lambda v: coo(v).dot(B), lambda v: coo(v).T @ v[:4]],
    "coo_array": [
        lambda v: sp.coo_array((v, (ROW, COLUMN))) @ B,
        lambda v: B.T @ sp.coo_array((v, (ROW, COLUMN))),
        lambda v: v[:4] @ sp.coo_array((v, (ROW, COLUMN))),
    ],
    "csr_matrix": [
        lambda v: csr_matrix((v, COLUMNS, POINTERS)) * X,
        lambda v: csr_matrix(np.outer(v, v)).sum(1).A1,
        lambda v: csr_matrix(coo(v)).data,
    ],
    "csr_array": [
        lambda v: rows(v) @ X,
        lambda v: (rows(v) * rows(v)).toarray(),
        lambda v: rows(v)[1:, [0, 3]].toarray(),
        lambda v: rows(v).data,
        lambda v: (rows(v) * v[:4]).toarray(),
        lambda v: rows(v)[1].toarray(),
        lambda v: rows(v).sum(axis=0),
        lambda v: rows(v).mean(1),
    ],
    "csc_matrix": [lambda v: sp.csc_matrix((v, (COLUMN, ROW))).getcol(3).toarray(), lambda v: sp.csc_matrix(coo(v))[2, 3] * v],
    "csc_array": [
        lambda v: sp.csc_array((v, COLUMNS, POINTERS)).tocsr().data,
        lambda v: (X * sp.csc_array((v, COLUMNS, POINTERS))).toarray(),
    ],
    "bsr_matrix": [lambda v: sp.bsr_matrix((v.reshape(2, 2, 2), [1, 0], [0, 1, 2])) @ X],
    "bsr_array": [lambda v: sp.bsr_array((v.reshape(2, 2, 2), [1, 0], [0, 1, 2])).toarray(), lambda v: coo(v).tobsr() @ X],
    "dia_matrix": [
        lambda v: sp.dia_matrix((v.reshape(2, 4), [0, -1]), shape=(4, 4)) @ X,
        lambda v: sp.dia_matrix((v.reshape(2, 4), [2, -1]), shape=(4, 4)).T @ X,
    ],
    "dia_array": [lambda v: sp.dia_array((v.reshape(2, 4), [0, 1]), shape=(4, 4)).toarray(), lambda v: coo(v).todia().tocsr() @ X],
    "lil_matrix": [lambda v: assembled(v, lil_matrix).tocsr() @ X, lambda v: np.asarray(assembled(v, lil_matrix).todense())],
    "lil_array": [lambda v: assembled(v, sp.lil_array) @ X, lambda v: assembled(v, sp.lil_array).T.toarray()],
    "dok_matrix": [lambda v: assembled(v, sp.dok_matrix).tocsc() @ X],
    "dok_array": [lambda v: assembled(v, sp.dok_array) @ X, lambda v: coo(v).todok().tolil()[0, 2] * v],
    "diags": [
        lambda v: diags([v[:3], v[:4], 2.0], [-1, 0, 1]) @ X,
        lambda v: diags(v[:4]) @ B,
        lambda v: diags([v[0], v[1]], [0, -2], shape=(4, 4)).tolil() @ X,
    ],
    "diags_array": [
        lambda v: sp.diags_array([v[:3], v[4:]], offsets=[1, 0]) @ X,
        lambda v: (sp.diags_array(v[:4], format="csr") @ rows(v)).toarray(),
    ],
    "spdiags": [lambda v: sp.spdiags(v.reshape(2, 4), [0, 1], 4, 4) @ X],
    "hstack": [lambda v: sp.hstack([coo(v), CONSTANT, v[:4, None]]) @ np.arange(9.0)],
    "vstack": [lambda v: sp.vstack([rows(v), 2 * rows(v)], format="csc") @ X],
    "bmat": [lambda v: sp.bmat([[coo(v), None], [CONSTANT, coo(v).T]]).tocsr() @ np.arange(8.0)],
    "block_array": [lambda v: sp.block_array([[rows(v), ARRAY], [None, rows(v)]]) @ np.arange(8.0)],
    "block_diag": [lambda v: sp.block_diag([rows(v), v[:2, None] * v[:3]]) @ np.arange(7.0)],
    "kron": [lambda v: sp.kron(rows(v), ARRAY) @ np.arange(16.0), lambda v: sp.kron(np.eye(2), coo(v), format="csr") @ np.arange(8.0)],
    "kronsum": [lambda v: sp.kronsum(coo(v), CONSTANT) @ np.arange(16.0)],
    "tril": [lambda v: sp.tril(coo(v), -1) @ X],
    "triu": [lambda v: sp.triu(rows(v), format="csc") @ X],
    "find": [lambda v: sp.find(coo(v))[2] * np.arange(len(sp.find(coo(v))[0]))],
    "issparse": [lambda v: v * sp.issparse(coo(v))],
    "isspmatrix": [lambda v: v * (2.0 + sp.isspmatrix(rows(v)))],
    "spmatrix": [lambda v: v * (2.0 + isinstance(rows(v), sp.spmatrix))],
    "sparray": [lambda v: v * (2.0 + isinstance(rows(v), sp.sparray))],
    **{
        f"isspmatrix_{form}": [lambda v, form=form: v * (2.0 + getattr(sp, f"isspmatrix_{form}")(coo(v).asformat(form)))]
        for form in "bsr coo csc csr dia dok lil".split()
    },
    "operators": [
        lambda v: (coo(v) + CONSTANT) @ X,
        lambda v: (CONSTANT + coo(v)) @ X,
        lambda v: (ARRAY - rows(v)) @ X,
        lambda v: (rows(v) - ARRAY) @ X,
        lambda v: (CONSTANT @ coo(v)).toarray(),
        lambda v: (coo(v) @ CONSTANT @ coo(v)) @ X,
        lambda v: (coo(v) * CONSTANT) @ X,
        lambda v: (CONSTANT * coo(v)) @ X,
        lambda v: (v[0] * coo(v) / v[1]) @ X,
        lambda v: (coo(v) * v[2]) @ X,
        lambda v: (v[0] * CONSTANT) @ v[:4],
        lambda v: (-CONSTANT / v[0]) @ X,
        lambda v: rows(v) + B @ B.T,
        lambda v: B @ B.T - rows(v),
        lambda v: np.asarray(coo(v) + B @ B.T),
        lambda v: np.asarray(CONSTANT + np.outer(v[:4], X)),
        lambda v: (coo(v) ** 2) @ X,
        lambda v: (rows(v) ** 2) @ X,
        lambda v: abs(rows(v)).power(3) @ X,
        lambda v: np.sqrt(rows(v)) @ X,
        lambda v: rows(v).sqrt().sin() @ X,
        lambda v: rows(v).multiply(B[:, :1]).toarray(),
        lambda v: coo(v).multiply(CONSTANT).toarray(),
        lambda v: coo(v).multiply(np.outer(v[:4], X)).tocsr() @ X,
        lambda v: coo(v).multiply(2.0).T @ X,
        lambda v: X * rows(v).toarray(),
        lambda v: X * coo(v),
        lambda v: (X[:, None] * rows(v)).toarray(),
        lambda v: coo(v).diagonal(),
        lambda v: rows(v).diagonal(1),
        lambda v: coo(v).trace() * v,
        lambda v: coo(v).reshape(2, 8).toarray(),
        lambda v: rows(v).sum() * v,
        lambda v: np.asarray(1.0 / (1.0 + coo(v).sum(axis=0))).ravel(),
        lambda v: np.array(coo(v).sum(axis=1)).flatten(),
        lambda v: coo(v).sum(1)[2, 0] * v,
        lambda v: np.asarray(coo(v) @ coo(v).sum(axis=1)),
        lambda v: np.asarray(coo(v).mean(0) - 2.0),
        lambda v: coo(v).astype(np.float64).toarray(),
        lambda v: coo(v).getrow(0).toarray(),
        lambda v: coo(v).copy().conj().getH() @ X,
        lambda v: coo(v).tocsr()[[0, 2]] @ X,
        lambda v: np.asarray(coo(v).tocsr()[[0, 1], [2, 1]]),
        lambda v: (sp.coo_array((v * (1.0 + 2.0j), (ROW, COLUMN))) @ X).imag,
        lambda v: sp.csr_array((v, (ROW, COLUMN)), dtype=float).real.tocsr()[0, 2] * v,
    ],
}
SOLVING = {
    "spsolve": [
        lambda v: spsolve(regular(v), v[:4]),
        lambda v: spsolve(CONSTANT.tocsc(), v[:4]),
        lambda v: spsolve(regular(v).tocsr(), B),
        lambda v: spsolve(regular(v).T.tocsc(), X[:, None]),
        lambda v: spsolve(sp.csc_array(regular(v)) * (1.0 + 0.5j), v[:4]).imag,
    ],
    "spsolve_triangular": [
        lambda v: spla.spsolve_triangular(sp.tril(regular(v)).tocsr(), v[:4]),
        lambda v: spla.spsolve_triangular(sp.triu(regular(v)).tocsr(), B, lower=False),
        lambda v: spla.spsolve_triangular(sp.tril(coo(v), -1).tocsr() + sp.identity(4), X, unit_diagonal=True),
    ],
    "splu": [
        lambda v: spla.splu(regular(v)).solve(v[4:]),
        lambda v: spla.splu(regular(v)).solve(B, "T"),
        lambda v: spla.splu(regular(v) * 1j).solve(X + 0j, "H").imag,
        lambda v: HELD.solve(v[:4]),
        lambda v: HELD.solve(np.outer(v[:4], X), "T"),
        lambda v: HELD.solve(v[:4], "H"),
    ],
    "factorized": [lambda v: spla.factorized(regular(v))(v[4:])],
    **{
        name: [
            lambda v, name=name: getattr(spla, name)(regular(v), v[:4], rtol=1e-13)[0],
            lambda v, name=name: getattr(spla, name)(CONSTANT, v[:4], X, rtol=1e-13)[0],
        ]
        for name in "bicg bicgstab cgs gcrotmk gmres lgmres qmr tfqmr".split()
    },
    **{
        name: [lambda v, name=name: getattr(spla, name)((lambda a: a + a.T)(regular(v)), v[:4], rtol=1e-13)[0]] for name in ("cg", "minres")
    },
    "norm": [
        lambda v: spla.norm(coo(v)) * v,
        lambda v: spla.norm(coo(v), 1) * v,
        lambda v: spla.norm(rows(v), np.inf) * v,
        lambda v: spla.norm(coo(v), axis=1),
    ],
    "matrix_power": [lambda v: spla.matrix_power(rows(v), 3) @ X],
}
HELD = spla.splu(CONSTANT.tocsc())
CALLS = [(name, k) for name, found in (CASES | SOLVING).items() for k in range(len(found))]


@pytest.fixture(autouse=True)
def no_warnings_about_efficiency():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sp.SparseEfficiencyWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@pytest.mark.parametrize("name, k", CALLS)
def test_values_and_derivatives(name, k):
    f = (CASES | SOLVING)[name][k]
    value = adcore.vjp(f, V)[0]
    expected = np.asarray(f(V))
    assert value.dtype == expected.dtype
    assert value.shape == expected.shape
    np.testing.assert_allclose(value, expected, rtol=1e-10, atol=1e-12)
    check_grads(f, (V,), order=2, rtol=1e-5, directions=1)


@pytest.mark.parametrize("module, cases", [("scipy.sparse", CASES), ("scipy.sparse.linalg", SOLVING)])
def test_no_name_is_without_a_case(module, cases):
    known = ledger.scipy_status(module)
    assert sorted(name for name, status in known.items() if status == "recorded") == sorted(set(cases) - {"operators"})


@pytest.mark.parametrize("name", [name for name in scipy_sparse_linalg.REFUSED if hasattr(spla, name)])
def test_refusals_say_what_and_where(name):
    def f(v):
        return getattr(spla, name)(regular(v), v[:4])

    with pytest.raises(adcore.errors.AdcoreError, match=rf"test_scipy_sparse.py:\d+: scipy.sparse.linalg.{name} .*"):
        adcore.vjp(f, V)


@pytest.mark.parametrize(
    "f",
    [
        lambda v: coo(v).max(),
        lambda v: rows(v) > 1.0,
        lambda v: coo(v) / CONSTANT,
        lambda v: np.asarray(coo(v)),
        lambda v: np.max(coo(v)),
        lambda v: spsolve(regular(v), CONSTANT),
        lambda v: sp.save_npz("x", coo(v)),
        lambda v: sp.csgraph.laplacian(coo(v)),
        lambda v: coo(v).sum(1).std(),
        lambda v: spla.spsolve_triangular(regular(v), X),
        lambda v: spla.cg(spla.LinearOperator((4, 4), lambda x: x), v[:4])[0],
        lambda v: CONSTANT.multiply(v[:4]),
        lambda v: np.linalg.det(coo(v)),
    ],
)
def test_what_is_not_followed_is_refused_at_its_line(f):
    with pytest.raises(adcore.errors.AdcoreError, match=r"test_scipy_sparse.py:\d+: "):
        adcore.vjp(f, V)


def test_a_method_that_does_not_converge_has_no_derivative():
    with pytest.raises(adcore.errors.AdcoreError, match="gmres did not converge"):
        adcore.vjp(lambda v: spla.gmres(regular(v), X, rtol=1e-14, maxiter=1, restart=1)[0], V)


def stiffness(k, n=8):
    """Linear elements in a row, assembled from triplets; the first end is held."""
    elements = np.array([np.arange(n), np.arange(1, n + 1)]).T
    local = k[:, None, None] * np.array([[1.0, -1.0], [-1.0, 1.0]])
    i = np.repeat(elements, 2, axis=1).ravel()
    j = np.tile(elements, (1, 2)).ravel()
    K = coo_matrix((local.ravel(), (i, j)), shape=(n + 1, n + 1)).tocsr()
    free = np.arange(1, n + 1)
    u = np.zeros(n + 1)
    u[free] = spsolve(K[np.ix_(free, free)].tocsc(), np.ones(n))
    return u @ (K @ u)


def test_finite_elements_recorded_and_replayed():
    k = np.linspace(1.0, 2.0, 8)
    f = adcore.compile(adcore.value_and_grad(stiffness))
    for at in (k, 1.1 * k, k[::-1].copy()):
        value, gradient = f(at)
        assert value == pytest.approx(stiffness(at), rel=1e-12)
        u = np.concatenate([[0.0], np.cumsum(np.arange(8.0, 0.0, -1.0) / at)])
        np.testing.assert_allclose(gradient, -(np.diff(u) ** 2), rtol=1e-10)  # of the work of a load: minus the strain energies
    assert f.recordings == 1


def test_entries_are_shared_and_copied_as_scipys_are():
    def f(v):
        w = v.copy()
        kept = rows(w).tocsc()
        shared = sp.csr_array((w, COLUMNS, POINTERS), shape=(4, 4))
        w[...] = 0.0
        other = kept.copy()
        other.data *= 2.0
        other.data[0] = 7.0
        return np.sum(kept @ X), np.sum(shared @ X), np.sum(other @ X), other.nnz * 1.0

    np.testing.assert_allclose(adcore.vjp(f, V)[0], f(V), rtol=1e-14)


def test_matrices_of_the_surroundings_are_read_anew():
    held = {"a": CONSTANT.tocoo(), "b": CONSTANT.tocsc()}
    f = adcore.compile(adcore.grad(lambda t: np.sum((t * held["a"] + held["b"]) @ X)))
    for factor in (1.0, 3.0):
        held["a"].data *= factor
        assert f(2.0) == pytest.approx(np.sum(held["a"] @ X), rel=1e-13)


def test_an_empty_matrix_that_stays_constant_is_scipys_to_scipy():
    def f(x):
        a = lil_matrix((4, 4))
        a.setdiag(2.0)
        a[0, 1] = 1.0
        return np.sum(a.tocsr() @ x) + spla.eigsh(a.tocsr() + a.T.tocsr(), k=1)[0][0] * x[0]

    check_grads(f, (X,), order=1)


def test_classes_are_those_of_scipy():
    def f(v):
        assert isinstance(coo(v), coo_matrix) and not isinstance(coo(v), csr_matrix) and isinstance(coo(v).tocsr(), csr_matrix)
        assert isinstance(CONSTANT, csr_matrix) and sp.issparse(coo(v)) and coo(v).shape == (4, 4) and coo(v).tocsr().format == "csr"
        return np.sum(coo(v).data)

    adcore.gradient(f, V)
    assert set(scipy_sparse.FORMATS) <= set(dir(sp))
