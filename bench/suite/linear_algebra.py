"""Dense linear algebra with loops over rows and columns, and statistics."""

import numpy as np

from . import kernel


def normal(*shapes):
    """Arguments that are normal arrays; each letter of a shape is an entry of the size."""

    def make(rng, *size):
        sizes = dict(zip("nmkpq", size, strict=False))
        return tuple(rng.normal(size=tuple(sizes[c] for c in shape)) for shape in shapes)

    return make


def with_factors(*shapes):
    make = normal(*shapes)
    return lambda rng, *size: (1.5, 1.2, *make(rng, *size))


def dominant(rng, n):
    """A symmetric positive definite matrix."""
    A = rng.normal(size=(n, n))
    return A @ A.T + n * np.eye(n)


@kernel(with_factors("nm", "nk", "km"), (4, 5, 3), (200, 220, 240))
def gemm(alpha, beta, C, A, B):
    C[:] = alpha * A @ B + beta * C


@kernel(with_factors("nm", "nn", "nm"), (5, 4), (60, 80))
def symm(alpha, beta, C, A, B):
    temp = np.empty_like(C[0])
    C *= beta
    for i in range(C.shape[0]):
        for j in range(C.shape[1]):
            C[:i, j] += alpha * B[i, j] * A[i, :i]
            temp[j] = B[:i, j] @ A[i, :i]
        C[i, :] += alpha * B[i, :] * A[i, i] + alpha * temp


@kernel(with_factors("nn", "nm"), (5, 4), (150, 120))
def syrk(alpha, beta, C, A):
    for i in range(A.shape[0]):
        C[i, : i + 1] *= beta
        for k in range(A.shape[1]):
            C[i, : i + 1] += alpha * A[i, k] * A[: i + 1, k]


@kernel(with_factors("nn", "nm", "nm"), (5, 4), (100, 80))
def syr2k(alpha, beta, C, A, B):
    for i in range(A.shape[0]):
        C[i, : i + 1] *= beta
        for k in range(A.shape[1]):
            C[i, : i + 1] += A[: i + 1, k] * alpha * B[i, k] + B[: i + 1, k] * alpha * A[i, k]


@kernel(lambda rng, n, m: (1.5, rng.normal(size=(n, n)), rng.normal(size=(n, m))), (5, 4), (60, 80))
def trmm(alpha, A, B):
    for i in range(B.shape[0]):
        for j in range(B.shape[1]):
            B[i, j] += np.dot(A[i + 1 :, i], B[i + 1 :, j])
    B *= alpha


@kernel(lambda rng, n: (dominant(rng, n),), 6, 80)
def lu(A):
    for i in range(A.shape[0]):
        for j in range(i):
            A[i, j] -= A[i, :j] @ A[:j, j]
            A[i, j] /= A[j, j]
        for j in range(i, A.shape[0]):
            A[i, j] -= A[i, :i] @ A[:i, j]


@kernel(lambda rng, n: (dominant(rng, n), rng.normal(size=n)), 6, 60)
def ludcmp(A, b):
    x, y = np.zeros_like(b), np.zeros_like(b)
    for i in range(A.shape[0]):
        for j in range(i):
            A[i, j] -= A[i, :j] @ A[:j, j]
            A[i, j] /= A[j, j]
        for j in range(i, A.shape[0]):
            A[i, j] -= A[i, :i] @ A[:i, j]
    for i in range(A.shape[0]):
        y[i] = b[i] - A[i, :i] @ y[:i]
    for i in range(A.shape[0] - 1, -1, -1):
        x[i] = (y[i] - A[i, i + 1 :] @ x[i + 1 :]) / A[i, i]
    return x, y


@kernel(lambda rng, n: (dominant(rng, n),), 6, 80)
def cholesky(A):
    A[0, 0] = np.sqrt(A[0, 0])
    for i in range(1, A.shape[0]):
        for j in range(i):
            A[i, j] -= np.dot(A[i, :j], A[j, :j])
            A[i, j] /= A[j, j]
        A[i, i] -= np.dot(A[i, :i], A[i, :i])
        A[i, i] = np.sqrt(A[i, i])


@kernel(normal("nm"), (6, 4), (120, 60))
def gramschmidt(A):
    Q = np.zeros_like(A)
    R = np.zeros_like(A[: A.shape[1], :])
    for k in range(A.shape[1]):
        nrm = np.dot(A[:, k], A[:, k])
        R[k, k] = np.sqrt(nrm)
        Q[:, k] = A[:, k] / R[k, k]
        for j in range(k + 1, A.shape[1]):
            R[k, j] = np.dot(Q[:, k], A[:, j])
            A[:, j] -= Q[:, k] * R[k, j]
    return Q, R


@kernel(lambda rng, n: (0.5 * rng.normal(size=n) / n,), 6, 200)
def durbin(r):
    y = np.empty_like(r)
    alpha = -r[0]
    beta = 1.0
    y[0] = -r[0]
    for k in range(1, r.shape[0]):
        beta *= 1.0 - alpha * alpha
        alpha = -(r[k] + np.dot(np.flip(r[:k]), y[:k])) / beta
        y[:k] += alpha * np.flip(y[:k])
        y[k] = alpha
    return y


@kernel(lambda rng, n: (np.tril(rng.normal(size=(n, n))) + 3.0 * np.eye(n), np.zeros(n), rng.normal(size=n)), 6, 400)
def trisolv(L, x, b):
    for i in range(x.shape[0]):
        x[i] = (b[i] - L[i, :i] @ x[:i]) / L[i, i]


@kernel(normal("nm", "m"), (5, 4), (600, 500))
def atax(A, x):
    return (A @ x) @ A


@kernel(normal("mn", "n", "m"), (5, 4), (600, 500))
def bicg(A, p, r):
    return r @ A, A @ p


@kernel(normal("n", "n", "n", "n", "nn"), 6, 500)
def mvt(x1, x2, y_1, y_2, A):
    x1 += A @ y_1
    x2 += y_2 @ A


def with_vectors(rng, n):
    return 1.5, 1.2, rng.normal(size=(n, n)), *(rng.normal(size=n) for _ in range(8))


@kernel(with_vectors, 5, 500)
def gemver(alpha, beta, A, u1, v1, u2, v2, w, x, y, z):
    A += np.multiply.outer(u1, v1) + np.multiply.outer(u2, v2)
    x += beta * y @ A + z
    w += alpha * A @ x


@kernel(with_factors("nn", "nn", "n"), 5, 500)
def gesummv(alpha, beta, A, B, x):
    return alpha * A @ x + beta * B @ x


@kernel(normal("nmk", "kk"), (3, 4, 5), (30, 32, 60))
def doitgen(A, C4):
    A[:] = np.reshape(np.reshape(A, (A.shape[0], A.shape[1], 1, A.shape[2])) @ C4, A.shape)


@kernel(with_factors("nm", "mk", "kp", "np"), (4, 5, 3, 6), (150, 160, 170, 180))
def k2mm(alpha, beta, A, B, C, D):
    D[:] = alpha * A @ B @ C + beta * D


@kernel(normal("nm", "mk", "kp", "pq"), (4, 5, 3, 6, 2), (150, 160, 170, 180, 190))
def k3mm(A, B, C, D):
    return A @ B @ C @ D


@kernel(normal("nm"), (7, 4), (240, 60), analytic=False)
def correlation(data):
    n, m = data.shape
    mean = np.mean(data, axis=0)
    stddev = np.std(data, axis=0)
    stddev[stddev <= 0.1] = 1.0
    data -= mean
    data /= np.sqrt(float(n)) * stddev
    corr = np.eye(m, dtype=data.dtype)
    for i in range(m - 1):
        corr[i + 1 : m, i] = corr[i, i + 1 : m] = data[:, i] @ data[:, i + 1 : m]
    return corr


@kernel(normal("nm"), (7, 4), (240, 60))
def covariance(data):
    n, m = data.shape
    mean = np.mean(data, axis=0)
    data -= mean
    cov = np.zeros((m, m), dtype=data.dtype)
    for i in range(m):
        cov[i:m, i] = cov[i, i:m] = data[:, i] @ data[:, i:m] / (n - 1.0)
    return cov


@kernel(lambda rng, n: (rng.uniform(1.0, 9.0, size=(n, n)),), 6, 60, analytic=False)
def floyd_warshall(path):
    for k in range(path.shape[0]):
        path[:] = np.minimum(path[:], np.add.outer(path[:, k], path[k, :]))


def sparse(rng, n, m):
    starts = np.arange(n + 1) * m
    return starts, rng.integers(0, n, size=n * m), rng.normal(size=n * m), rng.normal(size=n)


@kernel(sparse, (6, 2), (400, 8))
def spmv(rows, columns, values, x):
    y = np.empty_like(x)
    for i in range(x.shape[0]):
        these = slice(rows[i], rows[i + 1])
        y[i] = values[these] @ x[columns[these]]
    return y
