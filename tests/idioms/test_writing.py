"""Arrays that are written: items, slices, masks, views of views, out=, and functions that work in place."""

import numpy as np
import pytest

from .checking import Idioms, check

rng = np.random.default_rng(4)
x = rng.normal(size=6)
A = rng.normal(size=(4, 5))
B = rng.normal(size=(4, 4))
idiom = Idioms()


@idiom(A)
def swapped_rows_columns_and_elements(A):
    A = A.copy()
    A[[0, 2]] = A[[2, 0]]
    A[:, [1, 3]] = A[:, [3, 1]]
    A[0, 0], A[1, 1] = A[1, 1], A[0, 0]
    return np.sum(A * np.arange(20.0).reshape(4, 5))


@idiom(B)
def lu_with_pivoting(B):
    U, p = B.copy(), np.arange(4)
    for k in range(3):
        m = k + np.argmax(np.abs(U[k:, k]))
        U[[k, m]] = U[[m, k]]
        p[[k, m]] = p[[m, k]]
        U[k + 1 :, k] /= U[k, k]
        U[k + 1 :, k + 1 :] -= np.outer(U[k + 1 :, k], U[k, k + 1 :])
    return np.sum(np.diag(U) ** 2) + np.sum(np.tril(U, -1) * p)


@idiom(A)
def writing_through_the_transpose(A):
    A = A.copy()
    A.T[...] = A.T * 2.0
    A.T[1] = 3.0 * A[:, 0]
    A.T[2:, ::2] += 1.0
    return np.sum(A**2)


@idiom(A)
def writing_through_flat_ravel_and_reshape(A):
    A = A.copy()
    A.flat[3] = A.flat[4] * 2.0
    A.flat[5:8] = A[0, :3]
    A.ravel()[9] *= 3.0
    A.reshape(2, 10)[1, 3:5] = 0.5
    A.flat[[0, 1]] = A.flat[[1, 0]]
    B = A.copy()
    B.flat = A[0]
    B.flat[...] = B.flat[...] * 2.0
    return np.sum(A**2) + np.sum(B * A)


@idiom(A)
def diagonals_written(A):
    A = A.copy()
    np.fill_diagonal(A, A[0, :4] ** 2)
    n = np.arange(4)
    A[n, n + 1] += A[n, 0]
    A[np.diag_indices(4)] *= 2.0
    A[np.tril_indices(4, -1)] = 0.25
    A[np.triu_indices_from(A[:, :4], 2)] *= A[0, 0]
    return np.sum(A**3)


@idiom(x)
def masks_written(x):
    y = x.copy()
    y[y < 0] *= -0.1
    y[(y > 0.5) & (y < 2.0)] = x[0]
    y[np.abs(x) > 1.0] = x[np.abs(x) > 1.0] ** 2
    y[~(y > 0.1)] += 0.3
    return np.sum(y * x)


@idiom(
    x,
    same_as=lambda x: (
        (x[0] + x[4] - x[0] - x[1]) ** 2 + 16 * (x[1] + x[2]) ** 2 + x[5] ** 2 + np.maximum(x[3], x[5]) ** 2 + np.sum(x[3:]) ** 2
    ),
)
def scattered_sums(x):
    hist = np.zeros(4)
    np.add.at(hist, [0, 1, 1, 3, 0, 2], x)
    np.subtract.at(hist, [0, 0], x[:2])
    np.multiply.at(hist, [1, 1], 2.0)
    np.maximum.at(hist, [3], x[5])
    return np.sum(hist**2) + np.bincount([0, 1, 1, 2, 2, 2], weights=x)[2] ** 2


@idiom(x)
def put_place_and_copyto(x):
    y = np.zeros(6)
    np.put(y, [0, 3], x[:2])
    np.copyto(y[1:3], x[4:])
    np.copyto(y, x * 2.0, where=x > 0)
    np.place(y, [False, False, False, False, True, True], x[:2])
    np.putmask(y, [True] + [False] * 5, x**2)
    np.put_along_axis(y, np.array([5]), x[0] * x[1], axis=0)
    return np.sum(y**3)


@idiom(
    A,
    same_as=lambda A: (
        np.sum(np.sort(A, axis=1)[:, ::-1] * np.arange(20.0).reshape(4, 5)) + np.sort(A[1])[2] + np.sum(np.sort(A[:, 0]) * np.arange(4))
    ),
)
def sorted_in_place(A):
    B = A.copy()
    B.sort(axis=1)
    B[:] = B[:, ::-1].copy()
    row = A[1].copy()
    row.partition(2)
    A = A.copy()
    A[:, 0].sort()
    return np.sum(B * np.arange(20.0).reshape(4, 5)) + row[2] + np.sum(A[:, 0] * np.arange(4))


@idiom(x)
def filled_and_reversed_in_place(x):
    y = np.empty(6)
    y.fill(x[0])
    y[1:3].fill(2.0)
    y[::-1][:2] = x[:2]
    z = x.copy()
    z[:] = z[::-1]
    z[1:] = z[:-1]
    return np.sum(y * z)


@idiom(x)
def out_arguments(x):
    y = np.empty_like(x)
    np.multiply(x, x, out=y)
    np.add(y, 1.0, out=y)
    np.exp(x[:3], out=y[3:])
    t = np.zeros(())
    np.sum(y, out=t)
    s = np.empty((2, 2))
    np.dot(x[:4].reshape(2, 2), x[2:].reshape(2, 2), out=s)
    np.matmul(s, s, out=s)
    np.cumsum(x, out=y)
    np.sqrt(y, where=y > 0, out=y)
    np.clip(y, -1.0, 1.5, out=y)
    y.cumsum(out=y)
    return np.sum(y) + t * np.sum(s)


@idiom(A)
def views_of_views(A):
    A = A.copy()
    v = A[1:, ::2]
    w = v.T[1:]
    w += 1.0
    u = w[:, 0]
    u *= A[0, 0]
    v[0][1] = 7.0 * u[1]
    A[2] = 0.5 * w[0, 1]
    return np.sum(A**2) + np.sum(w) + np.sum(v * u[0])


@idiom(x)
def names_for_the_same_array(x):
    y = x.copy()
    alias = y
    alias += 1.0
    z = y
    z = z * 2.0
    z[0] = 0.0
    return np.sum(y**2) + np.sum(z * alias)


def step_into(u, out):
    out[1:-1] = u[2:] - 2 * u[1:-1] + u[:-2]
    out[0] = u[1] - u[0]
    out[-1] = 0.0


def axpy(a, x, y):
    y += a * x


@idiom(x)
def kernels_that_write_into_an_argument(x):
    du = np.zeros(6)
    u = x.copy()
    for _ in range(3):
        step_into(u, du)
        axpy(0.1, du, u)
    return np.sum(u**2) + np.sum(du)


@idiom(x, x[::-1].copy())
def both_arguments_are_differentiated_and_one_is_written(u, out):
    out *= 0.5
    out[1:-1] += u[2:] * u[:-2]
    u[0] = out[1]
    return np.sum(out**2) + np.sum(u)


@idiom(x)
def double_buffers(x):
    new, old = x.copy(), np.zeros_like(x)
    for _ in range(3):
        old, new = new, old
        new[1:-1] = 0.5 * (old[2:] + old[:-2])
        new[0], new[-1] = old[0], old[-1]
    return np.sum(new**3) + np.sum(old)


@idiom(x)
def lists_of_arrays_written_in_place(x):
    W = [x[:3].copy(), x[3:].copy()]
    for k, w in enumerate(W):
        w -= 0.1 * k * w**2
        W[k][0] += 1.0
    W[0][:], W[1][1:] = W[1], W[0][:2]
    return sum(np.sum(w**2) for w in W)


@idiom(A)
def three_dimensional_stencil(A):
    u = np.zeros((3, 4, 5))
    u[1] = A
    for _ in range(2):
        u[1:-1, 1:-1, 1:-1] += 0.1 * (u[2:, 1:-1, 1:-1] + u[:-2, 1:-1, 1:-1] + u[1:-1, 2:, 1:-1] + u[1:-1, :-2, 1:-1])
        u[:, 0], u[..., -1] = u[:, 1], u[..., -2]
    return np.sum(u**2)


@idiom(A)
def gauss_seidel_in_place(A):
    u = A.copy()
    for _ in range(2):
        for i in range(1, 3):
            for j in range(1, 4):
                u[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1])
    return np.sum(u**2)


@idiom(x)
def insert_delete_and_roll(x):
    y = np.insert(x, 2, x[0] * x[1])
    y = np.delete(y, [0, 4])
    y = np.roll(y, -1)
    y[[0, 0, 1]] = [x[1], x[2], x[3]]
    return np.sum(y**2 * np.arange(5))


@idiom(x)
def fancy_index_updates_keep_the_last(x):
    y = np.zeros(4)
    y[[0, 1, 1, 2]] = x[:4]
    y[[0, 0]] += x[4]
    i = np.array([[0, 1], [2, 3]])
    y[i] = y[i].T * 2.0
    return np.sum(y**2)


@idiom(A)
def augmented_assignment_of_every_kind(A):
    A = A.copy()
    A += 1.0
    A -= A[0]
    A *= 2.0
    A /= 1.0 + A**2
    A[1:] **= 2
    A @= np.eye(5) * 2.0
    A[0] += A[1]
    return np.sum(A * np.arange(20.0).reshape(4, 5))


@idiom(A)
def fields_of_a_structured_array(A):
    parts = np.zeros(4, dtype=[("pos", float, 3), ("mass", float)])
    parts["pos"] = A[:, :3]
    parts["mass"][:] = A[:, 3] ** 2
    parts["pos"][1:] += 0.5
    total = parts["mass"].sum()
    return np.sum(parts["mass"][:, None] * parts["pos"] ** 2) / total + parts["pos"][0, 1]


@idiom(A, same_as=lambda A: A[3, 0] * 2.0 + A[1, 0] * A[1, 1] + A[2, 0] * A[2, 1] + A[1, 0] ** 2)
def records_one_by_one(A):
    parts = np.zeros(3, dtype=[("x", "f8"), ("v", "f8")])
    for k in range(3):
        parts[k]["x"] = A[k, 0]
        parts["v"][k] = A[k, 1]
    parts[0] = (A[3, 0], 2.0)
    return sum(p["x"] * p["v"] for p in parts) + parts[1]["x"] ** 2


@idiom(x)
def attributes_of_a_recarray(x):
    r = np.recarray(3, dtype=[("u", float), ("w", float)])
    r.u = x[:3]
    r.w[:] = x[3:] * 2.0
    r.u *= r.w
    return np.sum(r.u * r.w) + r[1].w


@idiom(x, same_as=lambda x: np.sum((x[::2] ** 2 + x[1::2] ** 2) ** 2) + x[3])
def bytes_read_as_complex_numbers(x):
    z = x.view(complex)
    w = (z * z).view(float)
    return np.sum(w**2) + z[1].imag


@idiom(x, same_as=lambda x: real_and_imaginary(x))
def real_and_imaginary_parts_written(x):
    z = np.zeros(3, dtype=complex)
    z.real = x[:3]
    z.imag[1:] = x[4:]
    z *= np.exp(1j * x[3])
    z[0] += 2j * x[0]
    return np.sum(np.abs(z) ** 2 * np.arange(3)) + np.sum(z.imag)


def real_and_imaginary(x):
    a, b = x[:3], np.array([0.0, x[4], x[5]])
    re, im = a * np.cos(x[3]) - b * np.sin(x[3]), a * np.sin(x[3]) + b * np.cos(x[3])
    im = im + np.array([2 * x[0], 0, 0])
    return np.sum((re**2 + im**2) * np.arange(3)) + np.sum(im)


@idiom(x, same_as=lambda x: np.sum(x * np.round(x.real)) + np.sum(np.arange(6) * x) + np.sum(np.where(x.real > 0, x, 0)) + np.sum(x**2))
def dtype_changes_on_the_way(x):
    y = x.astype(float).astype("f8", copy=False)
    k = np.round(x).astype(int)
    n = np.arange(6)
    return np.sum(y * k) + np.sum(n * y) + np.sum((x > 0) * y) + np.sum(x**2, dtype=np.float64)


@pytest.mark.parametrize("case", idiom, ids=lambda case: case.__name__)
def test_idiom(case):
    check(case)
