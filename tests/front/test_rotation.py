"""scipy.spatial.transform.Rotation: values as SciPy's, derivatives against differences, at the identity too."""

import numpy as np
import pytest
import scipy.spatial.transform
from adcore.testing import check_grads
from scipy.spatial.transform import Rotation, Slerp

import adcore
from adcore import errors

V = np.array([0.4, -1.1, 0.7])
MANY = np.array([[0.4, -1.1, 0.7], [0.1, 0.2, -0.3], [2.0, 1.0, -0.5]])
Q = np.array([0.5, -0.3, 0.8, 0.4])
HALF_TURNS = [(-1.0, 1.0, 1.0), (1.0, -1.0, 1.0), (1.0, 1.0, -1.0)]
TURNED = Rotation.from_euler("zx", [0.3, -0.8])

CASES = {
    "matrix of a vector": (lambda v: Rotation.from_rotvec(v).as_matrix(), V),
    "matrix of vectors": (lambda v: Rotation.from_rotvec(v).as_matrix(), MANY),
    "vector in degrees": (lambda v: Rotation.from_rotvec(60 * v, degrees=True).as_rotvec(degrees=True), V),
    "apply to a vector": (lambda v: Rotation.from_rotvec(v).apply([1.0, 2.0, 3.0]), V),
    "apply to vectors": (lambda v: Rotation.from_rotvec(v[0]).apply(v), MANY),
    "apply many to one": (lambda v: Rotation.from_rotvec(v).apply(v[1], inverse=True), MANY),
    "apply a constant": (lambda v: TURNED.apply(v), V),
    "made inside of constants": (lambda v: scipy.spatial.transform.Rotation.from_euler("y", 0.3).apply(v), V),
    "extrinsic angles": (lambda v: Rotation.from_euler("xyz", v).as_quat(), V),
    "intrinsic angles": (lambda v: Rotation.from_euler("ZXZ", v).as_quat(), MANY),
    "angles in degrees": (lambda v: Rotation.from_euler("yz", 50 * v[:2], degrees=True).as_matrix(), V),
    "one angle": (lambda v: Rotation.from_euler("z", v[0]).as_matrix(), V),
    "one angle of many": (lambda v: Rotation.from_euler("X", v).as_matrix(), V[:, None]),
    "quaternion": (lambda q: Rotation.from_quat(q).as_rotvec(), Q),
    "quaternion, scalar first": (lambda q: Rotation.from_quat(q, scalar_first=True).as_quat(True, scalar_first=True), -Q),
    "product": (lambda v: (Rotation.from_rotvec(v) * Rotation.from_euler("x", v[1]) * TURNED).as_quat(), V),
    "product from the left": (lambda v: (TURNED * Rotation.from_rotvec(v).inv()).as_rotvec(), V),
    "magnitude": (lambda v: Rotation.from_rotvec(2 * v).magnitude(), MANY),
    "items": (lambda v: sum(r.as_matrix() @ MANY[k] for k, r in enumerate(Rotation.from_rotvec(v)[1:])), MANY),
    "a matrix": (lambda v: Rotation.from_matrix(np.outer(v, v[::-1]) + 2 * np.eye(3)).as_rotvec(), V),
    "orthogonal matrices": (lambda v: Rotation.from_matrix(Rotation.from_rotvec(v).as_matrix() ** 1.0).as_quat(True), MANY),
    "half turns": (lambda v: np.stack([Rotation.from_matrix(np.outer(v, v) - 2 * np.diag(d)).as_matrix() for d in HALF_TURNS]), 0.3 * V),
    "slerp": (lambda v: Slerp([0.0, 1.0, 2.5], Rotation.from_rotvec(v))([0.0, 0.3, 1.0, 2.5]).as_matrix(), MANY),
    "slerp at a time": (lambda v: Slerp([0.0, 1.0], Rotation.from_rotvec(MANY[:2]))(v[0]).as_rotvec(), V),
    "slerp of times": (lambda v: Slerp([0.0, v[0], 2 * v[2]], Rotation.from_rotvec(MANY))(0.5 * v[0]).as_rotvec(), V),
    "aligned": (lambda v: Rotation.align_vectors(v, MANY[::-1] + 0.1)[0].as_quat(True), MANY),
    "aligned with weights": (lambda v: Rotation.align_vectors(MANY**2, MANY + v, 2 + v)[1], V),
    "concatenated": (lambda v: Rotation.concatenate([Rotation.from_rotvec(v), TURNED]).apply(v), V),
}


def parametrised(cases):
    return pytest.mark.parametrize("name", cases)


@parametrised(CASES)
def test_values_and_derivatives(name):
    f, x = CASES[name]
    value = adcore.vjp(f, x)[0]
    assert np.shape(value) == np.shape(f(x))
    np.testing.assert_allclose(value, f(x), rtol=1e-12, atol=1e-14)
    check_grads(f, (x,), order=2, directions=1)


def test_powers_turn_by_a_part_of_the_angle():
    """SciPy's own rounds to 1e-8 until 1.15."""
    power = lambda v: (Rotation.from_rotvec(v) ** 0.3).as_rotvec()  # noqa: E731
    np.testing.assert_allclose(adcore.vjp(power, V)[0], 0.3 * V, rtol=1e-12)
    np.testing.assert_allclose(adcore.jacobian(power)(V), 0.3 * np.eye(3), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(adcore.hessian(lambda v: np.sum(power(v)))(V), np.zeros((3, 3)), atol=1e-12)


@pytest.mark.parametrize("seq", ["xyz", "zyx", "XYZ", "ZXY", "zxz", "YXY", "xzx", "YZX"])
def test_euler_angles(seq):
    f = lambda v: Rotation.from_rotvec(v).as_euler(seq)  # noqa: E731
    for x in (V, MANY, 2.5 * V):
        np.testing.assert_allclose(adcore.vjp(f, x)[0], f(x), rtol=1e-10, atol=1e-12)
        check_grads(f, (x,))


@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-4, 0.9e-3, 1.1e-3])
def test_small_angles(size):
    """At the identity n = |v| has no derivative; rotations do."""
    check_grads(lambda v: Rotation.from_rotvec(v).as_matrix(), (size * V,), order=2)
    check_grads(lambda v: (Rotation.from_rotvec(v) * Rotation.from_rotvec(0.5 * v)).as_rotvec(), (size * V,), order=2)


def test_replays_follow_the_argument():
    f = lambda v: np.sum(Rotation.from_rotvec(v).apply(MANY) ** 3)  # noqa: E731
    df = adcore.compile(adcore.value_and_grad(f))
    for x in (0 * V, V, 1e-5 * V, -V, 3 * V):
        value, g = df(x)
        np.testing.assert_allclose(value, f(x), rtol=1e-12)
        np.testing.assert_allclose(g, adcore.gradient(f, x), rtol=1e-12, atol=1e-12)
    assert df.recordings == 1
    angles = adcore.compile(adcore.jacobian(lambda v: Rotation.from_rotvec(v).as_euler("xyz")))
    for x in (V, 2.5 * V, -2 * V):
        np.testing.assert_allclose(angles(x), adcore.jacobian(lambda v: Rotation.from_rotvec(v).as_euler("xyz"))(x), rtol=1e-11)
    assert angles.recordings == 1


@pytest.mark.parametrize(
    "f, name",
    [
        (lambda v: Rotation.from_rotvec(v).as_mrp(), "as_mrp"),
        (lambda v: Rotation.from_rotvec(0 * v).as_euler("zxz"), "as_euler"),
        (lambda v: Rotation.align_vectors(np.outer(v, v), MANY, return_sensitivity=True)[0].as_rotvec(), "align_vectors"),
    ],
)
def test_what_is_not_written_is_refused_at_its_line(f, name):
    with pytest.raises(errors.NotDifferentiable, match=rf"test_rotation.py:\d+: scipy.spatial.transform.Rotation.{name}"):
        adcore.jacobian(f)(V)


def test_mistakes_raise_as_in_scipy():
    with pytest.raises(ValueError, match="norm"):
        adcore.jacobian(lambda v: Rotation.from_quat(np.zeros(4) * v[0]).as_matrix())(V)
    with pytest.raises(ValueError):
        adcore.jacobian(lambda v: Rotation.from_euler("xyw", v).as_matrix())(V)
