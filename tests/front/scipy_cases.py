"""What the functions of SciPy are called with in the tests of the ledger: a function, and its arguments."""

import numpy as np
import scipy
import scipy.interpolate as ip
import scipy.linalg as la
import scipy.sparse.linalg
from scipy import ndimage, signal
from scipy.spatial import distance

NEW = np.lib.NumpyVersion(scipy.__version__) >= "1.17.0"  # older ones warn, or lack an option
AKIMA = (2, 3, 9) if NEW else (3, 9)  # at two points, older SciPy reads memory that it has not written
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
    "inv": [
        (la.inv, [Z]),
        *[(lambda a: la.inv(a, assume_a="pos"), [spd(A)]), (lambda a: la.inv(a, assume_a="upper triangular"), [A])][: 2 * NEW],
    ],
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


a3, b2 = np.array([1.0, -0.6, 0.2]), np.array([0.5, 0.3])
X, K = rng.normal(size=(6, 5)), rng.normal(size=(3, 2))
signal_12 = rng.normal(size=12)
SOS = signal.butter(4, 0.3, output="sos")

SIGNAL = {
    "convolve": [(signal.convolve, [X, K]), (lambda a, b: signal.convolve(a, b, "same"), [zv, zv[:3]]),
                 (lambda a, b: signal.convolve(a, b, mode="valid", method="direct"), [X, K])],
    "convolve2d": [(signal.convolve2d, [X, K]), (lambda a, b: signal.convolve2d(a, b, "same", "symm"), [X, K]),
                   (lambda a, b: signal.convolve2d(a, b, "valid", "wrap"), [X, K]),
                   (lambda a, b: signal.convolve2d(a, b, "same", fillvalue=2.0), [X, K])],
    "correlate": [(signal.correlate, [X, K]), (lambda a, b: signal.correlate(a, b, "same"), [zv, zv[:3]])],
    "correlate2d": [(lambda a, b: signal.correlate2d(a, b, "same", "symm"), [X, K]), (signal.correlate2d, [normal(4, 4), normal(2, 3)])],
    "detrend": [(signal.detrend, [X]), (lambda x: signal.detrend(x, 0, "constant"), [X]),
                (lambda x: signal.detrend(x, bp=[5]), [signal_12])],
    "fftconvolve": [(lambda a, b: signal.fftconvolve(a, b, "same"), [X, K])],
    "filtfilt": [(lambda x: signal.filtfilt(b2, a3, x), [signal_12]),
                 (lambda x: signal.filtfilt(b2, a3, x, axis=0, padtype="even", padlen=3), [X]),
                 (lambda x: signal.filtfilt(b2, a3, x, padtype=None), [signal_12])],
    "hilbert": [(signal.hilbert, [signal_12]), (lambda x: signal.hilbert(x, axis=0), [X[:5]])],
    "lfilter": [(signal.lfilter, [b2, a3, signal_12]),
                (lambda b, a, x: signal.lfilter(b, a, x, axis=0), [2.0 * a3, 2.0 * a3[::-1] + 3.0, X]),
                (lambda b, a, x, zi: signal.lfilter(b, a, x, zi=zi), [b2, 2.0 * a3, signal_12, b2]),
                (lambda b, a, x: signal.lfilter(b, a, x), [b2, a3 + 0.1j, signal_12 + 1j])],
    "oaconvolve": [(signal.oaconvolve, [signal_12, b2])],
    "savgol_filter": [(lambda x, mode=mode: signal.savgol_filter(x, 5, 2, deriv=1, delta=0.5, axis=0, mode=mode), [X])
                      for mode in ("interp", "mirror", "nearest", "wrap", "constant")],
    "sosfilt": [(lambda c, x: signal.sosfilt(np.concatenate([SOS[:, :3] * c, SOS[:, 3:]], axis=1), x), [u, signal_12])],
}  # fmt: skip

at = np.stack([rng.uniform(0.1, 4.9, size=7), rng.uniform(0.1, 3.9, size=7)])
at[:, 0] = -0.7, 5.2
MODES = ("reflect", "mirror", "nearest", "wrap", "constant")

NDIMAGE = {
    "affine_transform": [(lambda x, m, o: ndimage.affine_transform(x, m, o, order=1, mode="nearest"),
                          [X, np.array([[0.9, 0.1], [-0.2, 1.1]]), np.array([0.31, 0.27])]),
                         *[(lambda x: ndimage.affine_transform(x, [0.8, 1.3], order=1, output_shape=(4, 3)), [X])][:NEW]],
    "convolve": [(lambda x, w, mode=mode: ndimage.convolve(x, w, mode=mode, cval=1.5), [X, K]) for mode in MODES],
    "convolve1d": [(lambda x, w: ndimage.convolve1d(x, w, axis=0, origin=-1), [X, u]), (ndimage.convolve1d, [X, v])],
    "correlate": [(lambda x, w: ndimage.correlate(x, w, origin=(1, 0)), [X, K])],
    "correlate1d": [(lambda x, w: ndimage.correlate1d(x, w, 0, mode="mirror"), [X, v])],
    "gaussian_filter": [(lambda x: ndimage.gaussian_filter(x, (0.7, 1.1), order=(0, 1)), [X]),
                        (lambda x, s: ndimage.gaussian_filter(x, s, mode="nearest", axes=[1]), [X, np.array([0.8])])],
    "gaussian_filter1d": [(lambda x, s, order=order: ndimage.gaussian_filter1d(x, s[0], order=order, mode="wrap"), [X, np.array([0.8])])
                          for order in (0, 1, 2, 3)],
    "gaussian_gradient_magnitude": [(lambda x: ndimage.gaussian_gradient_magnitude(x, 0.8), [X])],
    "gaussian_laplace": [(lambda x: ndimage.gaussian_laplace(x, 0.8), [X])],
    "laplace": [(lambda x: ndimage.laplace(x, mode="wrap"), [X])],
    "map_coordinates": [(lambda x, c, mode=mode: ndimage.map_coordinates(x, c, order=1, mode=mode, cval=0.5), [X, at])
                        for mode in ("constant", "nearest")],
    "prewitt": [(lambda x: ndimage.prewitt(x, 0), [X])],
    "shift": [(lambda x, s: ndimage.shift(x, s, order=1, mode="nearest"), [X, np.array([0.3, -1.4])])],
    "sobel": [(ndimage.sobel, [X])],
    "uniform_filter": [(lambda x: ndimage.uniform_filter(x, (2, 3)), [X])],
    "uniform_filter1d": [(lambda x: ndimage.uniform_filter1d(x, 4, 0, mode="constant", origin=1), [X])],
}  # fmt: skip

P3, Q3, weights = rng.normal(size=(3, 4)), rng.normal(size=(5, 4)), rng.random(4) + 0.1

DISTANCE = {
    **{name: [(getattr(distance, name), [v, v[::-1] ** 2]),
              (lambda u, v, name=name: getattr(distance, name)(u, v, w=weights), [v, v[::-1] ** 2])]
       for name in ("braycurtis canberra chebyshev cityblock correlation cosine euclidean minkowski sqeuclidean").split()},
    "mahalanobis": [(lambda a, b, m: distance.mahalanobis(a, b, spd(m)), [v, v[::-1] ** 2, A])],
    "seuclidean": [(lambda a, b, w: distance.seuclidean(a, b, w * w), [v, v[::-1] ** 2, weights])],
    "jensenshannon": [(lambda p, q: distance.jensenshannon(p * p, q * q, 2.0), [v, v[::-1] + 0.1])],
    "cdist": [(lambda a, b, name=name: distance.cdist(a, b, name), [P3, Q3]) for name in
              ("euclidean", "sqeuclidean", "cityblock", "chebyshev", "cosine", "correlation", "canberra", "braycurtis", "seuclidean",
               "mahalanobis")]
             + [(lambda a, b: distance.cdist(a, b, "minkowski", p=3), [P3, Q3])],
    "pdist": [(lambda a: distance.pdist(a), [Q3]), (lambda a: distance.pdist(a, "cosine"), [Q3]),
              (lambda a: distance.pdist(a, "seuclidean"), [Q3])],
    "squareform": [(lambda a: distance.squareform(distance.pdist(a)), [Q3]), (distance.squareform, [v[:3]]),
                   (lambda a: distance.squareform(a + a.T - 2 * np.diag(np.diag(a))), [S])],
}  # fmt: skip
DISTANCE_ON_VALUES = {
    "is_valid_dm": lambda x: distance.is_valid_dm(x + x.T),
    "is_valid_y": lambda x: distance.is_valid_y(x[0, :3]),
    "num_obs_dm": lambda x: distance.num_obs_dm(np.abs(x + x.T) - np.diag(np.diag(np.abs(x + x.T)))),
    "num_obs_y": lambda x: distance.num_obs_y(x[0, :3]),
}
DISTANCE_REFUSED = {name: lambda x, name=name: getattr(distance, name)(x[0], x[1]) for name in
                    "dice jaccard rogerstanimoto russellrao sokalsneath yule hamming".split()}  # fmt: skip
DISTANCE_REFUSED["directed_hausdorff"] = lambda x: distance.directed_hausdorff(x, x)[0]

grid = [np.array([0.0, 0.3, 0.9, 1.4, 2.0, 2.1, 3.0]), np.linspace(0.0, 2.0, 8)]
ON_GRID, ON_GRID_2 = rng.normal(size=(7, 8)), rng.normal(size=(7, 8, 2))
inside = np.stack([rng.uniform(0.0, 3.0, 6), rng.uniform(0.0, 2.0, 6)], axis=-1)
anywhere = np.concatenate([inside, [[-1.0, 1.1], [5.0, 1.1]]])
knots = np.array([0.0, 0.6, 1.1, 1.9, 2.3, 3.2, 4.0, 4.4, 5.0])
y9, Y9, Y9_3 = rng.normal(size=9), rng.normal(size=(9, 2)), rng.normal(size=(2, 9, 3))
q, far = rng.uniform(0.1, 4.9, 7), np.array([0.21, 0.77, 1.63, 2.17, 2.93, 3.71, 4.79, -0.53, 5.67])
t7, c7 = np.array([0.0, 0.0, 0.0, 0.0, 1.5, 2.6, 3.5, 5.0, 5.0, 5.0, 5.0]), rng.normal(size=7)
x40 = np.concatenate([[0.0], np.sort(rng.uniform(0.0, 5.0, 38)), [5.0]])
y40, w40 = rng.normal(size=40), rng.uniform(1.0, 2.0, 40)
EXACT = {"solver": scipy.sparse.linalg.spsolve}  # SciPy's own choice iterates


def period(y):
    return np.concatenate([y[:-1], y[:1]])


INTERPOLATE = {
    "CubicSpline": [
        *[(lambda y, q, bc=bc: ip.CubicSpline(knots, y, bc_type=bc)(q), [y9, far])
          for bc in ("not-a-knot", "natural", "clamped", ((1, 0.3), (2, -0.2)), ("natural", "not-a-knot"))],
        *[(lambda y, q, n=n: ip.CubicSpline(knots[:n], y)(q), [y9[:n], far]) for n in (2, 3, 4)],
        *[(lambda y, q, n=n: ip.CubicSpline(knots[:n], period(y), bc_type="periodic")(q), [y9[:n], far]) for n in (3, 4, 9)],
        (lambda y, v, q: ip.CubicSpline(knots, y, bc_type=((1, v), (2, 2 * v)))(q), [y9, 0.4, far]),
        (lambda y, q: ip.CubicSpline(knots, y, axis=1)(np.reshape(q, (3, 3))), [Y9_3, far]),
        (lambda y, q: ip.CubicSpline(knots, y)(q, 1) + ip.CubicSpline(knots, y).derivative()(q), [y9, far]),
        (lambda y, q: ip.CubicSpline(knots, y)(q, 3), [y9, far]),
        (lambda y, q: ip.CubicSpline(knots, y).antiderivative(2)(q), [y9, far]),
        (lambda y, a, b: ip.CubicSpline(knots, y).integrate(a, b), [y9, 0.6, 3.1]),
        (lambda y, a, b: ip.CubicSpline(knots, period(y), bc_type="periodic").integrate(a, b), [y9, 0.6, 13.1]),
        (lambda y, a: ip.CubicSpline(knots, y)(a) * 2, [y9, 1.3]),
        (lambda y, q: ip.CubicSpline(knots, y)(q), [y9 + 1j * y9[::-1], q]),
    ],
    "CubicHermiteSpline": [(lambda y, d, q: ip.CubicHermiteSpline(knots, y, d)(q), [Y9, Y9[::-1], far])],
    "PchipInterpolator": [
        *[(lambda y, q, n=n: ip.PchipInterpolator(knots[:n], y)(q), [y9[:n], far]) for n in (2, 3, 9)],
        (lambda y, q: ip.PchipInterpolator(knots, y, axis=1)(q), [Y9_3, far]),
    ],
    "pchip_interpolate": [(lambda y, q: sum(ip.pchip_interpolate(knots, y, q, [0, 1])), [y9, q])],
    "Akima1DInterpolator": [
        *[(lambda y, q, n=n: ip.Akima1DInterpolator(knots[:n], y)(q), [y9[:n], knots[n - 2] + 0.1 * rng.random(3)]) for n in AKIMA],
        (lambda y, q: ip.Akima1DInterpolator(knots, y, method="makima", extrapolate=True, axis=1)(q), [Y9_3, far]),
    ],
    "PPoly": [
        (lambda c, q: ip.PPoly(c, knots[:4])(q) + ip.PPoly(c, knots[:4], "periodic")(q, 1), [rng.normal(size=(3, 3)), far]),
        (lambda c, q: ip.PPoly(c, knots[:4], axis=1)(q), [rng.normal(size=(2, 3, 3)), far]),
        (lambda c, q: ip.PPoly(c, knots[:4]).antiderivative()(q) + ip.PPoly(c, knots[:4])(q, 2), [rng.normal(size=(2, 3)), far]),
    ],
    "make_interp_spline": [
        *[(lambda y, q, k=k: ip.make_interp_spline(knots, y, k)(q), [y9, far]) for k in range(6)],
        *[(lambda y, q, k=k: ip.make_interp_spline(knots, period(y), k, bc_type="periodic")(q), [y9, far]) for k in range(2, 6)],
        (lambda y, v, q: ip.make_interp_spline(knots, y, 3, bc_type=([(2, v)], [(1, 0.3)]))(q), [y9, 0.3, far]),
        (lambda y, q: ip.make_interp_spline(knots, y, 3, bc_type="natural", axis=1)(q), [Y9_3, far]),
        (lambda y, q: ip.make_interp_spline(x40, y, 3, axis=1)(q), [np.outer([1, 2], y40), far]),
    ],
    "make_lsq_spline": [(lambda y, q: ip.make_lsq_spline(x40, y, t7, 3, w=w40)(q), [y40, far])],
    "make_smoothing_spline": [(lambda q: ip.make_smoothing_spline(knots, y9, lam=0.1)(q), [far])],
    "BSpline": [
        (lambda c, q: ip.BSpline(t7, c, 3)(q) + ip.BSpline(t7, c, 3).derivative(2)(q), [c7, far]),
        (lambda c, q: ip.BSpline(t7, c, 3).antiderivative()(q), [c7, far]),
        (lambda c, q: ip.BSpline(t7, c, 3)(q, 2) + ip.BSpline(t7, c, 3, "periodic")(q, 4), [c7, far]),
        (lambda c, a, b: ip.BSpline(t7, c, 3).integrate(a, b), [c7, 0.7, 2.5]),
        (lambda q: ip.BSpline.basis_element(knots[:5])(q), [far]),
    ],
    "NdBSpline": [
        (lambda c, p: ip.NdBSpline((t7, t7), c, 3)(p) + ip.NdBSpline((t7, t7), c, 3)(p, nu=(1, 2)),
         [rng.normal(size=(7, 7)), rng.uniform(1.0, 4.0, (5, 2))]),
        (lambda c, p: ip.NdBSpline((t7, t7), c, 3)(p), [rng.normal(size=(7, 7, 2)), rng.uniform(1.0, 4.0, (5, 2))]),
    ],
    "splrep": [(lambda y, k=k: ip.splrep(knots, y, k=k)[1], [y9]) for k in range(1, 6)]
              + [(lambda y: ip.splrep(x40, y, w=w40, t=[1.0, 2.0, 3.0], task=-1)[1], [y40])],
    "splev": [(lambda y, q, ext=ext, der=der: ip.splev(q, ip.splrep(knots, y), der=der, ext=ext), [y9, far])
              for ext in (0, 1, 3) for der in (0, 1)]
             + [(lambda c, q: ip.splev(q, (t7, c, 3)), [c7, far])],
    "splint": [(lambda y, a: ip.splint(a, 2.5, ip.splrep(knots, y)), [y9, 0.7])],
    "splder": [(lambda y, q: ip.splev(q, ip.splder(ip.splrep(knots, y))), [y9, far])],
    "splantider": [(lambda y, q: ip.splev(q, ip.splantider(ip.splrep(knots, y))), [y9, far])],
    "UnivariateSpline": [
        (lambda y, q: ip.UnivariateSpline(knots, y, s=0, ext=3)(q) + ip.UnivariateSpline(knots, y, s=0).derivative()(q), [y9, far]),
        (lambda y, a: ip.UnivariateSpline(knots, y, s=0).integral(a, 2.5), [y9, 0.7]),
        (lambda y, a: ip.UnivariateSpline(knots, y, s=0).derivatives(a)[2], [y9, 0.7]),
        (lambda q: ip.UnivariateSpline(x40, y40, s=30.0)(q), [far]),
    ],
    "InterpolatedUnivariateSpline": [(lambda y, q: ip.InterpolatedUnivariateSpline(knots, y, k=2)(q), [y9, far])],
    "LSQUnivariateSpline": [(lambda y, q: ip.LSQUnivariateSpline(x40, y, [1.5, 2.6, 3.5], w=w40)(q), [y40, far])],
    "interp1d": [
        *[(lambda y, q, kind=kind: ip.interp1d(knots, y, kind, fill_value=(-1.0, 2.0), bounds_error=False)(q), [y9, far])
          for kind in ("linear", "nearest", "nearest-up", "previous", "next", "zero", "slinear", "quadratic", "cubic", 4)],
        *[(lambda y, q, kind=kind: ip.interp1d(knots, y, kind, fill_value="extrapolate", axis=1)(q), [Y9_3, far])
          for kind in ("linear", "nearest", "zero", "slinear", "quadratic", "cubic")],
        *[(lambda y, q, kind=kind: ip.interp1d(knots[::-1], y, kind)(q), [y9, q]) for kind in ("linear", "previous", "next", "cubic")],
        (lambda y, v, q: ip.interp1d(knots, y, fill_value=v, bounds_error=False)(q), [y9, 0.7, far]),
    ],
    "RegularGridInterpolator": [
        *[(lambda v, p, more=more: ip.RegularGridInterpolator(grid, v, **more)(p), [ON_GRID, inside])
          for more in ({"method": "linear"}, {"method": "nearest"}, *({"method": m, **EXACT} for m in ("slinear", "cubic", "quintic")))],
        *[(lambda v, p, fill=fill: ip.RegularGridInterpolator(grid, v, bounds_error=False, fill_value=fill)(p), [ON_GRID_2, anywhere])
          for fill in (None, 1.5)],
        (lambda v, p: ip.RegularGridInterpolator(grid, v, "cubic", **EXACT)(p, nu=(1, 2)), [ON_GRID, inside]),
        (lambda v, p: ip.RegularGridInterpolator((grid[0][::-1], grid[1]), v)(p), [ON_GRID, inside]),
        (lambda v, p: ip.RegularGridInterpolator(grid, v)(p), [ON_GRID, inside[0]]),
    ],
    "interpn": [(lambda v, a, b: ip.interpn(grid, v, (a, b)), [ON_GRID, inside[:, 0], inside[:, 1]])],
    "RectBivariateSpline": [
        (lambda v, a, b: ip.RectBivariateSpline(*grid, v)(np.sort(a), np.sort(b)), [ON_GRID, inside[:, 0], inside[:4, 1]]),
        (lambda v, a, b: ip.RectBivariateSpline(*grid, v, kx=2).ev(a, b, dx=1), [ON_GRID, anywhere[:, 0], anywhere[:, 1]]),
        (lambda v, a, b: ip.RectBivariateSpline(*grid, v).ev(a, b) + ip.RectBivariateSpline(*grid, v).integral(a, b, 0.2, 1.3),
         [ON_GRID, 0.7, 1.9]),
    ],
}  # fmt: skip
INTERPOLATE_REFUSED = {
    **{name: lambda x, name=name: getattr(ip, name)(x[0], x[1]) for name in
       "make_splrep generate_knots LinearNDInterpolator NearestNDInterpolator CloughTocher2DInterpolator RBFInterpolator lagrange "
       "KroghInterpolator FloaterHormannInterpolator AAA".split()},
}  # fmt: skip

# module -> functions that are differentiated, computed on values, refused (those that do not take one matrix)
MODULES = {
    "scipy.linalg": (LINALG, LINALG_ON_VALUES, LINALG_REFUSED),
    "scipy.signal": (SIGNAL, {}, {}),
    "scipy.ndimage": (NDIMAGE, {}, {}),
    "scipy.spatial.distance": (DISTANCE, DISTANCE_ON_VALUES, DISTANCE_REFUSED),
    "scipy.interpolate": (INTERPOLATE, {}, INTERPOLATE_REFUSED),
}

# distributions -> shapes that are differentiated, and the methods beside the density (with those whose shapes are constant)
inside_x = np.array([0.3, 0.9, 0.6])
STATS = {
    "norm": ([], "cdf sf logcdf logsf ppf"), "expon": ([], "cdf sf logcdf logsf ppf"), "uniform": ([], "cdf sf logcdf ppf"),
    "laplace": ([], "cdf sf ppf"), "logistic": ([], "cdf sf logcdf logsf ppf"), "cauchy": ([], "cdf sf ppf"),
    "gumbel_r": ([], "cdf sf logcdf ppf"), "halfnorm": ([], "cdf sf"), "halfcauchy": ([], "cdf sf"), "rayleigh": ([], "cdf sf logsf"),
    "lognorm": ([0.7], "cdf sf logcdf logsf ppf"), "gamma": ([1.7], "cdf* sf* logcdf* ppf*"), "chi2": ([3.3], "cdf* sf*"),
    "invgamma": ([1.7], "cdf* sf*"), "beta": ([1.7, 2.2], "cdf* sf* ppf*"), "t": ([3.3], "cdf* sf* ppf*"),
    "pareto": ([1.7], "cdf sf logsf"), "weibull_min": ([1.7], "cdf sf logsf ppf"),
}  # fmt: skip
COUNTS = {"poisson": [1.7], "bernoulli": [0.3], "geom": [0.3], "binom": [9.0, 0.3], "nbinom": [2.5, 0.3]}
