"""What the functions of SciPy are called with in the tests of the ledger: a function, and its arguments."""

import numpy as np
import scipy.linalg as la

rng = np.random.default_rng(5)


def normal(*shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


n = 4
A = rng.normal(size=(n, n)) + 3 * np.eye(n)
B = rng.normal(size=(n, 2))
R = rng.normal(size=(5, 3))
S = rng.normal(size=(n, n))
v, u = rng.normal(size=n), rng.normal(size=3)
Z, ZB, ZR, zv = normal(n, n) + 3 * np.eye(n), normal(n, 2), normal(5, 3), normal(n)
STABLE = 0.3 * rng.normal(size=(n, n))
BAND = np.vstack([rng.normal(size=(1, 6)), 5 + rng.random((1, 6)), rng.normal(size=(2, 6))])  # 2 below, 1 above
ZBAND = BAND + 0.3j * rng.normal(size=BAND.shape)
HALF = np.vstack([rng.normal(size=(2, 6)), 8 + rng.random((1, 6))])  # of a positive definite matrix, by its upper part
ZHALF = np.vstack([normal(2, 6), 8 + rng.random((1, 6))])
w6 = rng.normal(size=6)


def spd(a):
    return a @ np.conj(a.T) + np.eye(a.shape[0])


def flipped(band):
    """The other side of a band."""
    return np.stack([np.concatenate([np.conj(row[k:]), np.zeros(k)]) for k, row in enumerate(band[::-1])])


def unsigned(found):
    """Eigenvectors whose signs do not matter: those of SciPy's drivers depend on rounding."""
    return found[0], found[1] * np.conj(found[1][-1])


LINALG = {
    "block_diag": [(lambda a, b: la.block_diag(a, b, 3.0, u), [A, B])],
    "cho_factor": [(lambda a: np.triu(la.cho_factor(spd(a))[0]), [A])],
    "cho_solve": [
        (lambda a, b: la.cho_solve(la.cho_factor(spd(a)), b), [Z, zv]),
        (lambda a, b: la.cho_solve(la.cho_factor(spd(a), lower=True), b), [Z, ZB]),
    ],
    "cho_solve_banded": [
        (lambda h, b: la.cho_solve_banded((la.cholesky_banded(h), False), b), [HALF, w6]),
        (lambda h, b: la.cho_solve_banded((la.cholesky_banded(flipped(h), lower=True), True), b), [ZHALF, w6]),
    ],
    "cholesky": [(lambda a: la.cholesky(spd(a)), [Z]), (lambda a: la.cholesky(spd(a), lower=True), [A])],
    "cholesky_banded": [(lambda h: la.cholesky_banded(h)[1:, 1:], [ZHALF])],
    "circulant": [(la.circulant, [v])],
    "companion": [(la.companion, [v])],
    "convolution_matrix": [
        (lambda a: la.convolution_matrix(a, 5), [v]),
        (lambda a: la.convolution_matrix(a, 3, "same"), [zv]),
        (lambda a: la.convolution_matrix(a, 6, "valid"), [v]),
    ],
    "coshm": [(la.coshm, [0.3 * A])],
    "cosm": [(la.cosm, [0.3 * A]), (la.cosm, [0.3 * Z])],
    "det": [(la.det, [A]), (la.det, [Z])],
    "diagsvd": [(lambda s: la.diagsvd(s, 5, 3), [u])],
    "eig": [(la.eig, [S]), (lambda a: la.eig(np.diag([1.0, 3.0, 5.0, 8.0]) + 0.2 * a), [S]), (la.eig, [Z])],
    "eig_banded": [
        (lambda h: unsigned(la.eig_banded(h)), [HALF]),
        (lambda h: unsigned(la.eig_banded(flipped(h), True, select="i", select_range=(1, 3))), [HALF]),
    ],
    "eigh": [
        (lambda a: unsigned(la.eigh(spd(a))), [A]),
        (lambda a: la.eigh(spd(a), lower=False, driver="evd"), [Z]),
        (lambda a: unsigned(la.eigh(spd(a), subset_by_index=[1, 2])), [Z]),
        (lambda a: unsigned(la.eigh(spd(a), subset_by_value=[1.5, 1e4])), [A]),
        (lambda a, b: la.eigh(spd(a), spd(b)), [A, S]),
        (lambda a, b: la.eigh(spd(a), spd(b), lower=False), [Z, S]),
        (lambda a, b: la.eigh(spd(a), spd(b), type=2), [A, S]),
        (lambda a, b: unsigned(la.eigh(spd(a), spd(b), type=3, subset_by_index=[0, 1])), [A, S]),
    ],
    "eigh_tridiagonal": [
        (lambda d, e: unsigned(la.eigh_tridiagonal(d, e)), [v, u]),
        (lambda d, e: unsigned(la.eigh_tridiagonal(d, e, select="i", select_range=(0, 1))), [v, u]),
    ],
    "eigvals": [(la.eigvals, [S]), (lambda a, b: la.eigvals(a, spd(b)), [Z, A])],
    "eigvals_banded": [(la.eigvals_banded, [ZHALF])],
    "eigvalsh": [(lambda a, b: la.eigvalsh(spd(a), spd(b)), [A, S]), (lambda a: la.eigvalsh(spd(a), subset_by_index=[0, 2]), [Z])],
    "eigvalsh_tridiagonal": [(lambda d, e: la.eigvalsh_tridiagonal(d, e, select="v", select_range=(-9.0, 1.0)), [v, u])],
    "expm": [(la.expm, [0.3 * A]), (la.expm, [0.3 * Z]), (la.expm, [0.3 * np.stack([A, S])])],
    "expm_frechet": [(la.expm_frechet, [0.3 * A, S])],
    "fiedler": [(la.fiedler, [v])],
    "fiedler_companion": [(la.fiedler_companion, [v]), (la.fiedler_companion, [w6])],
    "fractional_matrix_power": [
        (lambda a: la.fractional_matrix_power(spd(a), 0.3), [A]),
        (lambda a: la.fractional_matrix_power(a, 0.3), [Z]),
    ],
    "hankel": [(la.hankel, [v]), (la.hankel, [v, u])],
    "inv": [(la.inv, [Z]), (lambda a: la.inv(a, assume_a="pos"), [spd(A)]), (lambda a: la.inv(a, assume_a="upper triangular"), [A])],
    "khatri_rao": [(la.khatri_rao, [A, rng.normal(size=(2, 4))])],
    "leslie": [(la.leslie, [v, u])],
    "logm": [(lambda a: la.logm(spd(a)), [A]), (la.logm, [Z])],
    "lstsq": [(lambda a, b: la.lstsq(a, b)[:2], [R, rng.normal(size=5)]), (lambda a, b: la.lstsq(a, b)[0], [ZR, normal(5, 2)])],
    "lu": [
        (lambda a: la.lu(a)[1:], [A[::-1]]),
        (lambda a: la.lu(a, permute_l=True), [R]),
        (lambda a: la.lu(a)[1:], [ZR.T]),
        (lambda a: la.lu(a, p_indices=True)[1:], [ZR]),
    ],
    "lu_factor": [(lambda a: la.lu_factor(a)[0], [A[::-1]]), (lambda a: la.lu_factor(a)[0], [R])],
    "lu_solve": [(lambda a, b, t=t: la.lu_solve(la.lu_factor(a), b, trans=t), [Z[::-1], ZB]) for t in (0, 1, 2)],
    "matmul_toeplitz": [(lambda c, r, x: la.matmul_toeplitz((c, r), x), [v, u, B[:3]])],
    "norm": [(la.norm, [A]), (lambda a: la.norm(a, 1), [Z]), (lambda a: la.norm(a, "nuc"), [R]), (lambda a: la.norm(a, 3, axis=1), [R])],
    "orth": [(la.orth, [R])],
    "orthogonal_procrustes": [(la.orthogonal_procrustes, [R, R @ S[:3, :3] + 0.1]), (la.orthogonal_procrustes, [ZR, ZR + 0.3])],
    "pinv": [(la.pinv, [R]), (la.pinv, [ZR])],
    "pinvh": [(la.pinvh, [spd(A)]), (la.pinvh, [spd(Z)])],
    "polar": [(la.polar, [R]), (lambda a: la.polar(a, "left"), [ZR.T]), (la.polar, [np.eye(3)])],
    "qr": [
        (lambda a: la.qr(a, mode="economic"), [ZR]),
        (la.qr, [A]),
        (lambda a: la.qr(a, mode="r"), [R]),
        (lambda a: la.qr(a, mode="economic", pivoting=True)[:2], [R]),
    ],
    "qr_multiply": [(lambda a, c: la.qr_multiply(a, c), [R, rng.normal(size=(2, 5))]), (lambda a, c: la.qr_multiply(a, c, "left"), [R, u])],
    "rq": [(la.rq, [A]), (lambda a: la.rq(a, mode="economic"), [ZR.T]), (lambda a: la.rq(a, mode="r"), [R.T]), (la.rq, [R])],
    "signm": [(la.signm, [np.diag([1.0, -2.0, 3.0, -1.5]) + 0.2 * S])],
    "sinhm": [(la.sinhm, [0.3 * Z])],
    "sinm": [(la.sinm, [0.3 * A]), (la.sinm, [0.3 * Z])],
    "solve": [
        (lambda a, b, kind=kind: la.solve(a, b, assume_a=kind), [A, B])
        for kind in (None, "gen", "general", "upper triangular", "lower triangular")
    ]
    + [
        (lambda a, b, kind=kind: la.solve(spd(a), b, assume_a=kind, lower=True), [Z, ZB])
        for kind in ("her", "hermitian", "pos", "positive definite")
    ]
    + [(lambda a, b, kind=kind: la.solve(a + a.T, b, assume_a=kind), [Z, zv]) for kind in ("sym", "symmetric")]
    + [
        (lambda d, b: la.solve(np.diag(d), b, assume_a="diagonal"), [v, B]),
        (lambda a, b: la.solve(np.triu(np.tril(a, 1), -1), b, assume_a="tridiagonal"), [A, B]),
        (lambda a, b: la.solve(np.triu(np.tril(a, 1), -2), b, assume_a="banded"), [A, B]),
        (lambda a, b: la.solve(a, b, transposed=True), [A, B]),
    ],
    "solve_banded": [
        (lambda ab, b: la.solve_banded((2, 1), ab, b), [BAND, w6]),
        (lambda ab, b: la.solve_banded((2, 1), ab, b), [ZBAND, normal(6, 2)]),
    ],
    "solve_circulant": [(la.solve_circulant, [v + 5 * np.eye(n)[0], B]), (la.solve_circulant, [zv + 5 * np.eye(n)[0], v])],
    "solve_continuous_are": [(lambda a, b, q, r: la.solve_continuous_are(a, b, spd(q), spd(r)), [S, B, A, rng.normal(size=(2, 2))])],
    "solve_continuous_lyapunov": [(la.solve_continuous_lyapunov, [A, S]), (la.solve_continuous_lyapunov, [Z, normal(n, n)])],
    "solve_discrete_are": [(lambda a, b, q, r: la.solve_discrete_are(a, b, spd(q), spd(r)), [S, B, A, rng.normal(size=(2, 2))])],
    "solve_discrete_lyapunov": [
        (la.solve_discrete_lyapunov, [STABLE, S]),
        (lambda a, q: la.solve_discrete_lyapunov(a, q, "bilinear"), [STABLE * (1 + 0.5j), Z]),
    ],
    "solve_lyapunov": [(la.solve_lyapunov, [A, S])],
    "solve_sylvester": [(la.solve_sylvester, [A, spd(S)[:2, :2], B]), (la.solve_sylvester, [Z, spd(S)[:2, :2], ZB])],
    "solve_toeplitz": [
        (la.solve_toeplitz, [v + 5 * np.eye(n)[0], B]),
        (lambda c, r, b: la.solve_toeplitz((c, r), b), [zv + 9 * np.eye(n)[0], zv, zv]),
    ],
    "solve_triangular": [
        (lambda a, b: la.solve_triangular(a, b, lower=True), [A, B]),
        (lambda a, b: la.solve_triangular(a, b, trans="T"), [Z, ZB]),
        (lambda a, b: la.solve_triangular(a, b, trans=2, lower=True), [Z, zv]),
        (lambda a, b: la.solve_triangular(a, b, unit_diagonal=True), [A, v]),
    ],
    "solveh_banded": [(la.solveh_banded, [HALF, w6]), (lambda h, b: la.solveh_banded(flipped(h), b, lower=True), [ZHALF, normal(6, 2)])],
    "sqrtm": [(lambda a: la.sqrtm(spd(a)), [A]), (la.sqrtm, [-A]), (la.sqrtm, [Z])],
    "subspace_angles": [(la.subspace_angles, [R, rng.normal(size=(5, 2))]), (la.subspace_angles, [normal(6, 2), normal(6, 3)])],
    "svd": [(lambda a: la.svd(a, full_matrices=False), [R]), (la.svd, [Z])],
    "svdvals": [(la.svdvals, [ZR])],
    "tanhm": [(la.tanhm, [0.3 * A])],
    "tanm": [(la.tanm, [0.2 * A])],
    "toeplitz": [(la.toeplitz, [v, u]), (la.toeplitz, [zv])],
}

LINALG_ON_VALUES = {
    "bandwidth": lambda x: la.bandwidth(x),
    "dft": lambda x: la.dft(3).real,
    "find_best_blas_type": lambda x: la.find_best_blas_type((x,))[0],
    "get_blas_funcs": lambda x: la.get_blas_funcs("gemm", (x,)).typecode,
    "get_lapack_funcs": lambda x: la.get_lapack_funcs("gesv", (x,)).typecode,
    "hadamard": lambda x: la.hadamard(4),
    "helmert": lambda x: la.helmert(3),
    "hilbert": lambda x: la.hilbert(3),
    "invhilbert": lambda x: la.invhilbert(3),
    "invpascal": lambda x: la.invpascal(3),
    "ishermitian": lambda x: la.ishermitian(x),
    "issymmetric": lambda x: la.issymmetric(x + x.T),
    "pascal": lambda x: la.pascal(3),
}

LINALG_REFUSED = {
    "cdf2rdf": lambda x: la.cdf2rdf(x[0], x),
    "clarkson_woodruff_transform": lambda x: la.clarkson_woodruff_transform(x, 2),
    "cossin": lambda x: la.cossin(x, 2, 2),
    "funm": lambda x: la.funm(x, np.cos),
    "ordqz": lambda x: la.ordqz(x, x),
    "qr_delete": lambda x: la.qr_delete(np.eye(4), x, 0),
    "qr_insert": lambda x: la.qr_insert(np.eye(4), np.eye(4), x[0], 0),
    "qr_update": lambda x: la.qr_update(np.eye(4), np.eye(4), x[0], x[1]),
    "qz": lambda x: la.qz(x, x),
    "rsf2csf": lambda x: la.rsf2csf(x, x),
}

# module -> functions that are differentiated, computed on values, refused (those that do not take one matrix)
MODULES = {"scipy.linalg": (LINALG, LINALG_ON_VALUES, LINALG_REFUSED)}
