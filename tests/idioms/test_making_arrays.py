"""Arrays made from numbers, pieces and grids, as NumPy's user guide makes them."""

import copy
import dataclasses
from collections import namedtuple

import numpy
import numpy as np
import pytest
from numpy import array, concatenate, exp, linspace, zeros

from .checking import Idioms, check

rng = np.random.default_rng(1)
x = rng.normal(size=6)
A = rng.normal(size=(4, 5))
P = np.abs(x) + 0.5
idiom = Idioms()


@idiom(x)
def row_and_column_concatenators(x):
    v = np.r_[x[:3], 0.0, x[3:], 1.5]
    M = np.c_[x, x**2, np.ones(6)]
    return np.sum(v**3) + np.linalg.norm(M.T @ M)


@idiom(x)
def concatenators_with_directives(x):
    M = np.r_["0,2", x[:3], x[3:]]
    return np.sum(M[0] * M[1]) + np.sum(np.r_["-1", M, M] ** 2 * np.arange(12.0).reshape(2, 6)) + np.sum(np.r_[0:1:5j, x[0]])


@idiom(A)
def slices_by_name(A):
    left = np.s_[:, :2]
    inner = np.s_[1:-1, ...]
    A = A.copy()
    A[left] *= 2.0
    return np.sum(A[inner] ** 2) + np.sum(A[np.index_exp[::2, -1]])


@idiom(x)
def grids_of_coordinates(x):
    X, Y = np.mgrid[0:1:5j, 0:2:4j]
    field = np.exp(-((X - x[0]) ** 2) - (Y - x[1]) ** 2)
    gy, gx = np.ogrid[-1:1:3j, -1:1:4j]
    return np.sum(field) + np.sum(x[2] * gy * gx**2 + x[3] * gx)


@idiom(x)
def meshgrid_of_traced_axes(x):
    X, Y = np.meshgrid(x[:3], x[3:], indexing="ij")
    U, V = np.meshgrid(x, x[:2], sparse=True)
    return np.sum(np.sin(X) * Y**2) + np.sum(U * V)


@idiom(A)
def open_mesh_index(A):
    block = A[np.ix_([0, 2, 3], [1, 4])]
    keep = np.ix_([True, False, True, True], [0, 2])
    return np.sum(block**2) + np.prod(A[keep][:, 0])


@idiom(x)
def matrices_written_as_nested_lists(x):
    a, b, c = x[:3]
    K = np.array([[a, b, 0.0], [b, c, 1.0], [0.0, 1.0, a * c]])
    return np.sum(K @ K) + K[1, 1] ** 2


@idiom(0.3, 1.2)
def rotation_matrices(theta, r):
    c, s = np.cos(theta), np.sin(theta)
    R = np.array(((c, -s), (s, c)))
    return (R @ np.array([r, 1.0]))[0] ** 2 + np.asarray([r, theta])[1] ** 3


@idiom(0.4, -0.2, 1.1)
def homogeneous_transforms_of_a_robot_arm(q1, q2, length):
    def link(q):
        T = np.eye(3)
        T[:2, :2] = [[np.cos(q), -np.sin(q)], [np.sin(q), np.cos(q)]]
        T[0, 2] = length * np.cos(q)
        T[1, 2] = length * np.sin(q)
        return T

    hand = link(q1) @ link(q2) @ np.array([0.0, 0.0, 1.0])
    return hand[0] + 2.0 * hand[1]


@idiom(x)
def growing_a_list_and_making_an_array_of_it(x):
    path = [x[0]]
    for v in x[1:]:
        path.append(0.5 * path[-1] + np.sin(v))
    return np.array(path) @ np.arange(6.0)


@idiom(x)
def growing_an_array_with_append(x):
    out = np.array([])
    for v in x:
        out = np.append(out, v * v)
    return np.sum(np.cumsum(out))


@idiom(x)
def arrays_of_rows(x):
    rows = [x * k for k in range(3)]
    return np.sum(np.vstack(rows) ** 2) + np.sum(np.array(rows)[1:, ::2]) + np.sum(np.column_stack((x, x)) @ [1.0, 2.0])


@idiom(x, same_as=lambda x: np.sum((x[0] + x[1]) ** 2 * np.ones(6)) + np.sum(x[::2] ** 2))
def filled_and_like(x):
    out = np.full_like(x, x[0])
    out += np.full(6, x[1]) * np.ones_like(x)
    other = np.zeros_like(x)
    other[::2] = x[::2]
    return np.sum(out**2) + np.sum(other * x)


@idiom(x)
def steps_between_traced_ends(x):
    t = np.linspace(x[0], 2.0 + x[1], 7)
    s, step = np.linspace(0.0, np.exp(x[2]), 4, retstep=True)
    return np.sum(t**2) + np.sum(s) * step + np.sum(np.geomspace(1.0, np.exp(x[3]), 3))


@idiom(A)
def blocks(A):
    Z = np.zeros((4, 4))
    M = np.block([[Z, A], [A.T, np.eye(5)]])
    return np.sum(M @ M)


@idiom(x)
def diagonal_matrices(x):
    T = np.diag(x) + np.diag(np.ones(5), 1) + np.diag(x[:-1] ** 2, -1)
    D = np.zeros((6, 6))
    np.fill_diagonal(D, x)
    return np.sum(T @ T @ D) + np.sum(np.diagonal(T, -1))


@idiom(x)
def values_over_a_grid_from_indices(x):
    i, j = np.indices((3, 4))
    return np.sum(np.sin(x[0] * i + x[1] * j)) + np.sum(x[np.array([[0, 1], [2, 3]])] ** 2)


@idiom(x)
def a_function_of_indices(x):
    return np.sum(np.fromfunction(lambda i, j: x[0] * i**2 + np.cos(x[1] * j), (3, 4)))


@idiom(x)
def names_imported_from_numpy(x):
    out = zeros(3)
    for i in range(3):
        out[i] = exp(x[i]) + x[i + 3]
    return numpy.sum(concatenate([out, array([x[0], 1.0])]) ** 2) + linspace(0, x[0], 3)[1]


@dataclasses.dataclass
class Particle:
    position: np.ndarray
    velocity: np.ndarray
    mass: float = 1.0

    def energy(self):
        return 0.5 * self.mass * np.sum(self.velocity**2) + np.sum(self.position**4)

    def moved(self, dt):
        return dataclasses.replace(self, position=self.position + dt * self.velocity)


@idiom(x, 0.7)
def dataclass_fields(x, dt):
    p = Particle(x[:3], x[3:], mass=2.0).moved(dt)
    p.velocity = p.velocity - dt * 4.0 * p.position**3
    return p.energy()


State = namedtuple("State", "u v")


@idiom(x)
def named_tuples(x):
    s = State(x[:3], v=x[3:])
    s = s._replace(u=s.u * s.v)
    u, v = s
    return np.sum(u * v) + s.u[0]


@idiom(A)
def copies_of_copies(A):
    B = copy.copy(A)
    C = copy.deepcopy({"a": A, "b": [A[0], 1.0]})
    B[0] = 0.0
    C["a"][1] = 1.0
    D = np.copy(A)
    D *= 2.0
    return np.sum(A * B) + np.sum(C["a"] * A) + C["b"][0][2] + np.sum(D * A)


@idiom(x)
def lists_and_back(x):
    items = x.tolist()
    return sum(v**2 for v in items) + np.array(items[::-1]) @ np.arange(6.0) + list(x)[2]


@idiom(P)
def dictionaries_of_parameters(P):
    params = dict(zip("abc", P[:3], strict=True))
    params["w"] = P[3:]
    params.update(b=params["b"] * 2.0)
    return params["a"] * np.sum(params["w"]) ** params["b"] + params["c"]


@idiom(x)
def an_object_array_of_matrices(x):
    layers = np.empty(2, dtype=object)
    layers[0] = np.outer(x[:3], x[3:])
    layers[1] = np.outer(x[3:], x[:3])
    return np.sum(layers[0] @ layers[1])


@idiom(x)
def an_object_array_of_numbers(x):
    v = np.array([x[0], x[1] ** 2, x[2] * x[3]], dtype=object)
    return np.sum(v * v) + v[1]


@idiom(A)
def iteration_by_index(A):
    out = np.zeros(A.shape)
    for (i, j), v in np.ndenumerate(A):
        out[i, j] = v * v * (i + j)
    for index in np.ndindex(2, 3):
        out[index] += A[index]
    return np.sum(out)


@idiom(A)
def iteration_with_nditer(A):
    total = 0.0
    for v in np.nditer(A):
        total = total + np.sin(v)
    it = np.nditer(A, flags=["multi_index"], order="C")
    for v in it:
        total += v * it.multi_index[0]
    return total


@idiom(x)
def iteration_with_nditer_into_an_operand(x):
    with np.nditer([x, None]) as it:
        for a, out in it:
            out[...] = a * a
        y = it.operands[1]
    return np.sum(y * x)


@idiom(A)
def iteration_over_flat_and_rows(A):
    s = 0.0
    for k, v in enumerate(A.flat):
        s += k * v**2
    for row in A:
        for v in row[::2]:
            s += np.cos(v)
    return s + A.flat[3] + np.sum(A.flat[[1, 5]])


@idiom(x, same_as=lambda x: np.sum(x**2) * x[0] + np.sum(x))
def dimensions_that_np_array_adds(x):
    row = np.array(x, ndmin=2)
    one = np.array(x[0], ndmin=1)
    assert row.shape == (1, 6)
    assert one.shape == (1,)
    same = np.array(x, copy=False)
    return (row @ row.T)[0, 0] * one[0] + np.sum(same)


def by_columns(A):
    return np.sum(A.T.ravel() * np.arange(20)) + np.sum((A**2).T.ravel() * np.arange(20)) + np.sum(A.ravel() * np.arange(20))


@idiom(A, same_as=by_columns)
def arrays_in_the_order_of_fortran(A):
    B = np.zeros((4, 5), order="F")
    B[...] = A
    C = np.array(A**2, order="F")
    D = np.asfortranarray(A)
    assert B.flags.f_contiguous
    assert D.flags.f_contiguous
    return np.sum(B.ravel(order="K") * np.arange(20)) + np.sum(C.ravel("K") * np.arange(20)) + np.sum(D.ravel() * np.arange(20))


@idiom(P, same_as=lambda P: np.sum(P**2 * np.arange(6)) + P[0] + P[1])
def arrays_from_generators(P):
    v = np.fromiter((e * e for e in P), dtype=float, count=6)
    return np.sum(v * np.arange(6)) + np.sum(np.fromiter(iter(P), float, 2))


@idiom(x, same_as=lambda x: np.sum(x[1:] ** 2) + np.sum((x[::2] ** 2 + x[1::2] ** 2) ** 2) + np.sum(x * np.arange(6)))
def bytes_read_as_numbers(x):
    words = x.tobytes()
    assert len(words) == 48
    pairs = np.frombuffer(words, dtype=complex)
    back = np.frombuffer((x[::2] + 1j * x[1::2]).tobytes())
    return np.sum(np.frombuffer(words, offset=8, count=5) ** 2) + np.sum(np.abs(pairs) ** 4) + np.sum(back * np.arange(6))


@pytest.mark.parametrize("case", idiom, ids=lambda case: case.__name__)
def test_idiom(case):
    check(case)
