"""scipy.spatial.transform: rotations made of traced vectors, angles and quaternions, and of traced vectors that they turn.

`Rotation` stands for SciPy's class of the same name, and is made as SciPy's is; a rotation that SciPy made outside is taken by its
quaternion. Sources: Diebel, "Representing attitude" (2006); Bernardes and Viollet, "Quaternion to Euler angles conversion" (2022).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.spatial.transform as plain

from ..tracer import array as traced
from . import dispatch
from .linalg import operand
from .scipy_linalg import polar

NEAR = 1e-6  # squared angles below take the series
AXES = {"x": 0, "y": 1, "z": 2}
LOCKED = 1e-7  # of the middle Euler angle from where the others are not determined


def refused_by_scipy(maker: Any, *args: Any) -> Any:
    """SciPy's rotation of what the arguments hold now, for its own refusals: replays take any other values of these shapes."""
    found = [np.ones(x.shape) if traced.is_traced(x) and dispatch.known(x) is None else dispatch.known(x) for x in args]
    return maker(*found)


def compose(p: Any, q: Any) -> Any:
    """The product of quaternions, scalar last."""
    u, v, a, b = p[..., :3], q[..., :3], p[..., 3:], q[..., 3:]
    vector = a * v + b * u + np.cross(u, v)
    return np.concatenate([vector, a * b - np.sum(u * v, axis=-1, keepdims=True)], axis=-1)


def by_series(s: Any, near: Any, far: Any) -> Any:
    """A function of s = n^2 that is smooth at 0: its series there, and ``far(n)`` elsewhere."""
    small = s < NEAR
    return np.where(small, near(s), far(np.sqrt(np.where(small, 1.0, s))))


def squared(v: Any) -> Any:
    return np.sum(v * v, axis=-1, keepdims=True)


def of_vector(v: Any) -> Any:
    """The quaternion of a rotation vector."""
    s = squared(v)
    scale = by_series(s, lambda s: 0.5 - s / 48 + s * s / 3840, lambda n: np.sin(0.5 * n) / n)
    w = by_series(s, lambda s: 1 - s / 8 + s * s / 384 - s**3 / 46080, lambda n: np.cos(0.5 * n))
    return np.concatenate([scale * v, w], axis=-1)


def elementary(axis: int, angles: Any) -> Any:
    """The quaternions of rotations about one axis."""
    half = 0.5 * angles
    s, zero = np.sin(half), np.zeros_like(half)
    return np.stack([s if axis == k else zero for k in range(3)] + [np.cos(half)], axis=-1)


def of_orthogonal(m: Any) -> Any:
    """The quaternion of an orthogonal matrix, from its largest component (Markley, 2008)."""
    x, y, z = (m[..., k, k] for k in range(3))
    trace = x + y + z
    xy, xz, yz = (m[..., j, k] + m[..., k, j] for j, k in ((0, 1), (0, 2), (1, 2)))
    along = [m[..., k, j] - m[..., j, k] for j, k in ((1, 2), (2, 0), (0, 1))]
    candidates = [
        (x, [1 - trace + 2 * x, xy, xz, along[0]]),
        (y, [xy, 1 - trace + 2 * y, yz, along[1]]),
        (z, [xz, yz, 1 - trace + 2 * z, along[2]]),
        (trace, [*along, 1 + trace]),
    ]
    most, parts = candidates[0]
    for size, others in candidates[1:]:
        larger = size > most
        most, parts = np.where(larger, size, most), [np.where(larger, p, q) for p, q in zip(others, parts, strict=True)]
    q = np.stack(parts, axis=-1)
    return q / np.sqrt(squared(q))


class Rotation:
    """A rotation, or an array of them, by unit quaternions [..., 4], scalar last."""

    decides = True
    q: Any

    def __new__(cls, quat: Any, normalize: bool = True, copy: bool = True, scalar_first: bool = False) -> Rotation:
        return cls.from_quat(quat, scalar_first=scalar_first)

    @classmethod
    def by(cls, q: Any) -> Rotation:
        made = object.__new__(cls)
        made.q = q
        return made

    @classmethod
    def of_plain(cls, rotation: Any) -> Rotation:
        """A rotation of SciPy's."""
        return cls.by(rotation.as_quat())

    # -- makers ----------------------------------------------------------------------------------------------------------

    @classmethod
    def from_quat(cls, quat: Any, *, scalar_first: bool = False) -> Rotation:
        if traced.find_trace(quat) is None:
            return cls.of_plain(plain.Rotation.from_quat(np.roll(quat, -1, axis=-1) if scalar_first else quat))
        q = operand(quat)
        refused_by_scipy(plain.Rotation.from_quat, q)
        q = np.roll(q, -1, axis=-1) if scalar_first else q
        return cls.by(q / np.sqrt(squared(q)))

    @classmethod
    def from_rotvec(cls, rotvec: Any, degrees: bool = False) -> Rotation:
        if traced.find_trace(rotvec) is None:
            return cls.of_plain(plain.Rotation.from_rotvec(rotvec, degrees))
        v = operand(rotvec)
        refused_by_scipy(plain.Rotation.from_rotvec, v)
        return cls.by(of_vector(v * (math.pi / 180) if degrees else v))

    @classmethod
    def from_euler(cls, seq: str, angles: Any, degrees: bool = False) -> Rotation:
        if traced.find_trace(angles) is None:
            return cls.of_plain(plain.Rotation.from_euler(seq, angles, degrees))
        a = operand(angles)
        shape = refused_by_scipy(plain.Rotation.from_euler, seq, a).as_quat().shape
        a = a * (math.pi / 180) if degrees else a
        if len(seq) == 1:
            return cls.by(elementary(AXES[seq.lower()], np.reshape(a, shape[:-1])))
        parts = [elementary(AXES[axis], a[..., k]) for k, axis in enumerate(seq.lower())]
        q = parts[0]
        for part in parts[1:]:
            q = compose(q, part) if seq.isupper() else compose(part, q)
        return cls.by(q)

    @classmethod
    def identity(cls, *args: Any, **kw: Any) -> Rotation:
        return cls.of_plain(plain.Rotation.identity(*args, **kw))

    @classmethod
    def random(cls, *args: Any, **kw: Any) -> Rotation:
        return cls.of_plain(plain.Rotation.random(*args, **kw))

    @classmethod
    def create_group(cls, *args: Any, **kw: Any) -> Rotation:
        return cls.of_plain(plain.Rotation.create_group(*args, **kw))

    @classmethod
    def from_matrix(cls, matrix: Any, **kw: Any) -> Rotation:
        """Of the nearest orthogonal matrix, as SciPy's."""
        if not dispatch.any_active(matrix):
            return cls.of_plain(plain.Rotation.from_matrix(dispatch.values(matrix), **kw))
        m = operand(matrix)
        known = dispatch.known(m)
        plain.Rotation.from_matrix(np.broadcast_to(np.eye(3), m.shape) if known is None else known, **kw)  # its own refusals
        matrices = np.reshape(m, (-1, 3, 3))
        nearest = np.stack([polar(matrices[k])[0] for k in range(len(matrices))])
        return cls.by(of_orthogonal(np.reshape(nearest, m.shape)))

    @classmethod
    def concatenate(cls, rotations: Any) -> Rotation:
        if isinstance(rotations, (Rotation, plain.Rotation)):
            return as_ours(rotations)
        return cls.by(np.concatenate([np.atleast_2d(as_ours(r).q) for r in rotations]))

    @classmethod
    def align_vectors(cls, a: Any, b: Any, weights: Any = None, return_sensitivity: bool = False) -> Any:
        """By Kabsch's algorithm, as SciPy's."""
        if not dispatch.any_active((a, b, weights)):
            rotation, *rest = plain.Rotation.align_vectors(*dispatch.values((a, b, weights)), return_sensitivity)
            return (cls.of_plain(rotation), *rest)
        a, b = operand(a), operand(b)
        w = operand(np.ones(a.shape[0]) if weights is None else weights)
        if return_sensitivity or a.ndim < 2 or a.shape[0] == 1 or not np.all(np.isfinite(dispatch.values(w))):
            raise dispatch.refuse("scipy.spatial.transform.Rotation.align_vectors", "with one pair, infinite weights or the sensitivity")
        refused_by_scipy(plain.Rotation.align_vectors, a, b, w)
        u, s, vh = np.linalg.svd((w[:, None] * a).T @ b)
        turned = np.array([1.0, 1.0, 1.0 if dispatch.values(np.linalg.det(u @ vh) > 0) else -1.0])
        rest = np.sum(w * np.sum(a * a + b * b, axis=1)) - 2 * np.sum(s * turned)
        return cls.by(of_orthogonal((u * turned) @ vh)), np.sqrt(np.maximum(rest, 0.0))

    # -- what it gives ---------------------------------------------------------------------------------------------------

    @property
    def single(self) -> bool:
        return len(self.q.shape) == 1

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.q.shape[:-1])

    def as_quat(self, canonical: bool = False, *, scalar_first: bool = False) -> Any:
        q = self.upright() if canonical else self.q * 1.0
        return np.roll(q, 1, axis=-1) if scalar_first else q

    def upright(self) -> Any:
        """The quaternion of the two whose first number of w, x, y, z that is not zero is positive."""
        x, y, z, w = (self.q[..., k] for k in range(4))
        first = np.where(w != 0, w, np.where(x != 0, x, np.where(y != 0, y, z)))
        return self.q * np.where(first < 0, -1.0, 1.0)[..., None]

    def as_matrix(self) -> Any:
        x, y, z, w = (self.q[..., k] for k in range(4))
        rows = [
            [x * x - y * y - z * z + w * w, 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), -x * x + y * y - z * z + w * w, 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), -x * x - y * y + z * z + w * w],
        ]
        return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)

    def as_rotvec(self, degrees: bool = False) -> Any:
        q = self.upright()
        v, w = q[..., :3], q[..., 3:]
        scale = by_series(squared(v), lambda s: 2 + s / 3 + 3 * s * s / 20 + 5 * s**3 / 56, lambda n: 2 * np.arctan2(n, w) / n)
        return scale * v * (180 / math.pi) if degrees else scale * v

    def as_euler(self, seq: str, degrees: bool = False, **kw: Any) -> Any:
        if traced.find_trace(self.q) is None:
            return self.plain().as_euler(seq, degrees, **kw)
        plain.Rotation.from_rotvec([0.3, 0.5, 0.7]).as_euler(seq)  # SciPy's own refusals
        order = [AXES[axis] for axis in seq.lower()]
        first, last = 0, 2
        if seq.isupper():
            order, first, last = order[::-1], 2, 0
        i, j, k = order
        symmetric = i == k
        k = 3 - i - j if symmetric else k
        sign = (i - j) * (j - k) * (k - i) // 2
        x, w = [self.q[..., n] for n in range(3)], self.q[..., 3]
        a, b, c, d = w, x[i], x[j], x[k] * sign
        if not symmetric:
            a, b, c, d = a - c, b + d, c + w, d - b
        middle = 2 * np.arctan2(np.hypot(c, d), np.hypot(a, b))
        if dispatch.any_active(self.q) and np.any(np.abs(middle - 0.5 * np.pi) >= 0.5 * np.pi - LOCKED):
            raise dispatch.refuse(
                "scipy.spatial.transform.Rotation.as_euler", "two of its axes are parallel: their angles are not determined"
            )
        total, apart = np.arctan2(b, a), np.arctan2(d, c)
        angles = {first: total - apart, 1: middle, last: total + apart}
        if not symmetric:
            angles[last] = sign * angles[last]
            angles[1] = middle - 0.5 * np.pi
        found = np.stack([angles[n] for n in range(3)], axis=-1)
        found = found - np.where(found > np.pi, 2 * np.pi, 0.0) + np.where(found < -np.pi, 2 * np.pi, 0.0)
        return found * (180 / math.pi) if degrees else found

    def magnitude(self) -> Any:
        n = np.sqrt(squared(self.q[..., :3]))[..., 0]
        return 2 * np.arctan2(n, np.abs(self.q[..., 3]))

    def apply(self, vectors: Any, inverse: bool = False) -> Any:
        v = operand(vectors)
        if v.shape[-1:] != (3,):
            raise ValueError(f"{traced.where_text()}Expected input of shape (3,) or (P, 3), got {tuple(v.shape)}.")
        m = self.as_matrix()
        return np.einsum("...kj,...k->...j" if inverse else "...jk,...k->...j", m, v)

    def inv(self) -> Rotation:
        return Rotation.by(self.q * np.array([-1.0, -1.0, -1.0, 1.0]))

    def __mul__(self, other: Any) -> Any:
        if not isinstance(other, (Rotation, plain.Rotation)):
            return NotImplemented
        q = compose(self.q, as_ours(other).q)
        return Rotation.by(q / np.sqrt(squared(q)))

    def __rmul__(self, other: Any) -> Any:
        return as_ours(other) * self if isinstance(other, plain.Rotation) else NotImplemented

    def __pow__(self, n: Any) -> Rotation:
        return Rotation.from_rotvec(n * self.as_rotvec())

    def __getitem__(self, key: Any) -> Rotation:
        if self.single:
            raise TypeError(f"{traced.where_text()}Single rotation is not subscriptable.")
        return Rotation.by(self.q[key])

    def __len__(self) -> int:
        if self.single:
            raise TypeError(f"{traced.where_text()}Single rotation has no len().")
        return int(self.q.shape[0])

    def __iter__(self) -> Any:
        return (self[k] for k in range(len(self)))

    # -- what it is to the rest ------------------------------------------------------------------------------------------

    def holds_active(self) -> bool:
        return dispatch.any_active(self.q)

    def plain(self) -> Any:
        return plain.Rotation.from_quat(dispatch.values(self.q))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "q" not in self.__dict__:
            raise AttributeError(name)
        if self.holds_active():
            raise dispatch.refuse(f"scipy.spatial.transform.Rotation.{name}", "its formula is not written")
        return getattr(self.plain(), name)


def as_ours(rotation: Any) -> Rotation:
    return rotation if isinstance(rotation, Rotation) else Rotation.of_plain(rotation)


def instance(value: Any) -> Any:
    """What stands for a rotation that SciPy made."""
    return Rotation.of_plain(value) if isinstance(value, plain.Rotation) else value


class Slerp:
    """Rotations in between, at a constant speed from one to the next."""

    decides = True

    def __init__(self, times: Any, rotations: Any) -> None:
        self.times, self.rotations = operand(times), as_ours(rotations)
        known = dispatch.known(self.times)
        plain.Slerp(np.arange(len(self.times)) if known is None else known, plain.Rotation.identity(len(self.rotations)))
        self.turns = (self.rotations[:-1].inv() * self.rotations[1:]).as_rotvec()

    def __call__(self, times: Any) -> Rotation:
        at = operand(times)
        t = np.atleast_1d(at)
        known = np.asarray(dispatch.values(self.times))
        v = np.asarray(dispatch.values(t))
        if np.any((v < known[0]) | (v > known[-1])):
            raise ValueError(
                f"{traced.where_text()}Interpolation times must be within the range [{known[0]}, {known[-1]}], both inclusive."
            )
        k = np.maximum(np.searchsorted(known, v) - 1, 0)
        part = (t - self.times[k]) / (self.times[k + 1] - self.times[k])
        found: Rotation = self.rotations[k] * Rotation.by(of_vector(self.turns[k] * part[:, None]))
        return found if at.ndim else found[0]


# classes of scipy.spatial.transform, which go past NumPy's protocols: reached by rebinding of names
REBOUND: dict[str, Any] = {"Rotation": Rotation, "Slerp": Slerp}
REFUSED = dict.fromkeys(("RotationSpline", "RigidTransform"), "its formula is not written: compose Rotation's own methods")
