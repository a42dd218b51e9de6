"""Python itself around NumPy: builtins, the standard library, functions of functions, objects, control flow."""

import cmath
import contextlib
import functools
import itertools
import math
import operator
import warnings
from collections import defaultdict, deque
from math import cos, exp, pi, sin, sqrt

import numpy as np
import pytest

from .checking import Idioms, check

rng = np.random.default_rng(3)
x = rng.normal(size=6)
P = np.abs(x) + 0.5
idiom = Idioms()


@idiom(0.7, 1.3)
def float_in_an_expression(t, s):
    return math.sqrt(float(t)) + float(s) ** 2 * float(3)


@idiom(P, same_as=lambda P: np.log(np.sum(P)) * P[0] + np.sum(P**2))
def float_of_elements_and_sums(P):
    total = float(np.sum(P))
    return math.log(total) * float(P[0]) + sum(float(v) ** 2 for v in P)


@idiom(P, same_as=lambda P: np.sum(P**2) * (1 + 2) + P[1])
def items_and_whole_numbers(P):
    n = int(P[0] + 100.0 - P[0]) // 50
    first = P[1].item()
    return float(np.sum(P**2)) * (bool(P[0] > 0) + n) + first


@idiom(
    0.3,
    -1.2,
    same_as=lambda a, b: (a * a - b * b) * np.cos(a) - 2 * a * b * np.sin(a) + 2 * ((a * a - b * b) * np.sin(a) + 2 * a * b * np.cos(a)),
)
def complex_from_real_parts(a, b):
    z = complex(a, b) ** 2 * np.exp(1j * a)
    return z.real + 2 * z.imag


@idiom(x)
def builtins_that_choose(x):
    return max(x[0], x[1], 0.1) + min(x) * max(x, key=lambda v: v * v) + min(x[0], x[2]) + max([x[3], x[4]])


@idiom(x)
def builtins_that_add(x):
    return sum(x) + sum(v * v for v in x) + sum([x[0], x[1]], 2.0) + abs(x[2]) + sum(map(abs, x[3:]))


@idiom(x)
def builtins_that_sort(x):
    s = sorted(x)
    r = sorted(x, reverse=True)
    by = sorted(range(6), key=lambda i: x[i])
    return s[0] * r[0] + s[2] ** 2 + x[by[1]] * 3


@idiom(
    P,
    same_as=lambda P: (
        P[0] ** 3 + 2.0 ** P[1] + (P[2] - 0.3 * (P[2].real // 0.3)) + P[3] ** P[4] - P[5] + (P[0] - 0.4 * (P[0].real // 0.4)) ** 2
    ),
)
def powers_and_remainders(P):
    _q, r = divmod(P[2], 0.3)
    return pow(P[0], 3) + pow(2.0, P[1]) + r + P[3] ** P[4] + -P[5] + (P[0] % 0.4) ** 2


@idiom(x, same_as=lambda x: np.round(x[0].real, 2) + math.floor(x[1].real) + np.trunc(x[2].real) + x[3] ** 2)
def rounded_values_are_constant_between_steps(x):
    return round(x[0], 2) + math.floor(x[1]) + math.trunc(x[2]) + x[3] ** 2


@idiom(x)
def zip_enumerate_reversed_map_filter(x):
    s = 0.0
    for k, (a, b) in enumerate(zip(x, reversed(x), strict=True)):
        s += k * a * b
    s += sum(map(lambda v: v**3, filter(lambda v: v > 0, x)))
    return s + sum(a * b for a, b in zip(x[:-1], x[1:], strict=True))  # noqa: RUF007  (what is tested)


@idiom(x)
def folding_with_functools(x):
    horner = functools.reduce(lambda acc, c: acc * 0.7 + c, x, 0.0)
    product = functools.reduce(operator.mul, x[:3])
    return horner + product + functools.reduce(np.add, [x, x**2])[3]


@idiom(x)
def iterating_with_itertools(x):
    s = list(itertools.accumulate(x))[-2] + list(itertools.accumulate(x, lambda a, b: a * b))[2]
    for a, b in itertools.combinations(x, 2):
        s += (a - b) ** 2
    for a, b in itertools.pairwise(x):
        s += a * b
    return s + sum(a * b for a, b in itertools.product(x[:2], x[3:])) + sum(itertools.chain(x[:2], [1.0]))


@idiom(P)
def functions_of_math(P):
    a, b, c, d = P[:4]
    s = math.sin(a) + math.cos(b) * math.tan(c / 3) + math.asin(a / 9) + math.acos(b / 9) + math.atan(c) + math.atan2(a, b)
    s += math.sinh(a) + math.cosh(b) + math.tanh(c) + math.asinh(d) + math.acosh(1 + a) + math.atanh(b / 9)
    s += math.exp(a) + math.expm1(b) + math.log(c) + math.log(d, 2) + math.log2(a) + math.log10(b) + math.log1p(c)
    return s + math.sqrt(d) + math.pow(a, b) + math.fabs(-c) + pi


@idiom(P)
def more_functions_of_math(P):
    a, b, c, d = P[:4]
    s = math.hypot(a, b) + math.hypot(a, b, c) + math.dist([a, b], [c, 1.0]) + math.fsum([a, b * c, 1.0]) + math.fsum(P)
    return s + math.gamma(a) + math.lgamma(b) + math.erf(c) + math.erfc(d)


@idiom(
    P,
    same_as=lambda P: (
        P[0] * P[1] * 2.0
        + np.prod(P[:3])
        + np.rad2deg(1.0) * P[0]
        + np.deg2rad(1.0) * P[1]
        - P[2]
        + P[3]
        - 0.3 * (P[3].real // 0.3)
        + P[4] * 8
        + P[5] ** 0.5
        + np.expm1(P[0])
    ),
)
def math_of_products_and_angles(P):
    s = math.prod([P[0], P[1], 2.0]) + math.prod(P[:3]) + math.degrees(P[0]) + math.radians(P[1]) + math.copysign(P[2], -1.0)
    s += math.fmod(P[3], 0.3) + math.ldexp(P[4], 3)
    if math.isclose(P[0], P[0]) and not math.isnan(P[1]) and math.isfinite(P[2]):
        s += math.sqrt(P[5]) + math.expm1(P[0])
    return s


if hasattr(math, "cbrt"):  # Python 3.11

    @idiom(P, same_as=lambda P: P[5] ** (1 / 3) + 2 ** P[0])
    def math_of_cubes_and_twos(P):
        return math.cbrt(P[5]) + math.exp2(P[0])


@idiom(0.4)
def names_imported_from_math(t):
    return sin(t) * cos(t) + exp(-t) * sqrt(1 + t * t) * pi


@idiom(x)
def partial_application(x):
    def spring(k, q, q0=0.0):
        return 0.5 * k * (q - q0) ** 2

    stiff = functools.partial(spring, 3.0, q0=x[0])
    return np.sum(stiff(x)) + functools.partial(np.sum, axis=0)(x**2) + functools.partial(np.power, 2.0)(x[1])


@functools.cache
def binomial(n, k):
    return 1 if k in (0, n) else binomial(n - 1, k - 1) + binomial(n - 1, k)


@idiom(0.3)
def memoised_coefficients(t):
    return sum(binomial(5, k) * t**k * (1 - t) ** (5 - k) * np.sin(k) for k in range(6))


@idiom(x, same_as=lambda x: fibonacci_like(x[0], x[1], 8))
def memoised_recursion_over_traced_values(x):
    @functools.lru_cache
    def term(n):
        return x[n] if n < 2 else term(n - 1) + 0.5 * term(n - 2)

    return term(8)


def fibonacci_like(a, b, n):
    for _ in range(n - 1):
        a, b = b, b + 0.5 * a
    return b


def logged(f):
    @functools.wraps(f)
    def inner(*args, **kwargs):
        calls[f.__name__] += 1
        return f(*args, **kwargs)

    return inner


calls = defaultdict(int)


@logged
def wave(x, *, k=1.0):
    out = np.zeros(x.shape)
    out[:] = np.sin(k * x)
    return out


@idiom(x, same_as=lambda x: np.sum(np.sin(2.0 * x) ** 2))
def decorated_functions(x):
    return np.sum(wave(x, k=2.0) ** 2)


@idiom(x)
def generators(x):
    def steps(v, n):
        for _ in range(n):
            v = v - 0.1 * np.sin(v)
            yield v

    *_, last = steps(x, 4)
    return np.sum(last**2) + sum(v[0] for v in steps(x, 2)) + next(steps(x, 1))[1]


class Spline:
    """Catmull-Rom, as an object with operators of its own."""

    def __init__(self, points):
        self.points = points

    def __call__(self, t):
        p0, p1, p2, p3 = self.points
        return 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)

    def __add__(self, other):
        return Spline([a + b for a, b in zip(self.points, other.points, strict=True)])

    def __getitem__(self, k):
        return self.points[k]


class Quaternion:
    def __init__(self, w, v):
        self.w, self.v = w, np.asarray(v)

    def __mul__(self, other):
        return Quaternion(self.w * other.w - self.v @ other.v, self.w * other.v + other.w * self.v + np.cross(self.v, other.v))

    @property
    def norm(self):
        return np.sqrt(self.w**2 + self.v @ self.v)

    @classmethod
    def about(cls, axis, angle):
        return cls(np.cos(angle / 2), np.sin(angle / 2) * np.asarray(axis))


@idiom(x, same_as=lambda x: spline_sum(x))
def objects_with_operators(x):
    s = Spline(x[:4]) + Spline([1.0, 0.0, x[4], 0.5])
    return s(0.3) + s[1] * s(x[5])


def spline_sum(x):
    p = x[:4] + np.array([1.0, 0.0, x[4], 0.5])

    def at(t):
        return p[1] + 0.5 * (
            (p[2] - p[0]) * t + (2 * p[0] - 5 * p[1] + 4 * p[2] - p[3]) * t**2 + (3 * p[1] - p[0] - 3 * p[2] + p[3]) * t**3
        )

    return at(0.3) + p[1] * at(x[5])


@idiom(x, same_as=lambda x: quaternion_sum(x))
def classmethods_and_properties(x):
    q = Quaternion.about([0.0, 0.6, 0.8], x[0]) * Quaternion(x[1], x[2:5])
    return q.norm * q.w + q.v @ [1.0, 2.0, 3.0]


def quaternion_sum(x):
    w, v = np.cos(x[0] / 2), np.sin(x[0] / 2) * np.array([0.0, 0.6, 0.8])
    W, V = w * x[1] - v @ x[2:5], w * x[2:5] + x[1] * v + np.cross(v, x[2:5])
    return np.sqrt(W * W + V @ V) * W + V @ [1.0, 2.0, 3.0]


@idiom(2.0, same_as=lambda a: np.sqrt(a))
def newton_until_it_converges(a):
    y, err, tol = 1.0, 1.0, 1e-14
    while err > tol:
        new = 0.5 * (y + a / y)
        err = abs(new - y)
        y = new
    return y


@idiom(x)
def a_loop_with_break_continue_and_else(x):
    s = 0.0
    for v in x:
        if v < -1.0:
            continue
        if v > 100.0:
            break
        s += v**2
    else:
        s *= 2.0
    return s


@idiom(P, same_as=lambda P: np.sum(np.log(P)) + P[0])
def a_warning_turned_into_an_error(P):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            y = np.sum(np.log(P))
        except RuntimeWarning:
            y = 0.0
    try:
        z = [P[0], 1.0][0]
        z + "no"
    except TypeError:
        z = P[0]
    return y + z


@idiom(P)
def under_errstate(P):
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.where(P > 0, P * np.log(P), 0.0)
    with contextlib.suppress(ZeroDivisionError):
        y = y / 2.0
    return np.sum(y)


@idiom(x)
def queues_and_dictionaries(x):
    last = deque(maxlen=3)
    seen = defaultdict(float)
    for k, v in enumerate(x):
        last.append(v)
        seen[k % 2] += v * v
    return sum(last) + seen[0] * seen[1]


@idiom(x, same_as=lambda x: np.mean(x) + np.sum((x - np.mean(x)) ** 2) / 5)
def statistics_by_hand(x):
    mean = sum(x) / len(x)
    return mean + sum((v - mean) ** 2 for v in x) / (len(x) - 1)


@idiom(x, same_as=lambda x: np.sum(x**2) + 5 + 4)
def printed_on_the_way(x):
    y = x**2
    text = f"{y[0]:8.3f} {y.shape} {float(y[1]):.2e} {y}" + str(y[2]) + repr(y)
    print(text, file=open_nowhere())
    return np.sum(y) + len("%.3f" % y[0]) + len("%s=%4.1f" % ("", y[1])) - 1  # noqa: UP031  (what is tested)


def open_nowhere():
    import io

    return io.StringIO()


@idiom(x)
def closures_that_count(x):
    n = 0

    def term(v):
        nonlocal n
        n += 1
        return v**n

    return sum(term(v) for v in x)


@idiom(x)
def recursion_over_halves(x):
    def total(v):
        if len(v) == 1:
            return v[0] ** 2
        m = len(v) // 2
        return total(v[:m]) + 2.0 * total(v[m:])

    return total(x)


@idiom(x)
def assignment_expressions_and_unpacking(x):
    (a, b), *rest = (x[:2], *x[2:])
    first, *middle, last = x
    if (n := len(middle)) > 2:
        a = a * n
    match n:
        case 4:
            b = b * 2.0
        case _:
            b = b * 3.0
    return a * b + sum(rest) * first + middle[1] * last


@idiom(x, same_as=lambda x: np.sum(x * np.random.default_rng(7).normal(size=6)) + 0.5 * np.sum(x**2))
def random_numbers_with_a_seed(x):
    noise = np.random.default_rng(7).normal(size=6)
    gen = np.random.RandomState(0)
    gen.shuffle(list(range(3)))
    return np.sum(x * noise) + 0.5 * np.sum(x**2)


@idiom(0.7, 1.3, same_as=lambda a, b: 2.5 * a + (a + b) + a * b + a**2 + b**2 + 2 * b)
def numbers_of_classes_of_numpy(a, b):
    z = np.complex128(a + 1j * b)
    v = np.array([a, b], dtype=np.float64)
    assert v.dtype == np.float64
    assert np.issubdtype(v.dtype, np.float64)
    return np.float64(a) * np.float32(2.5) + v.sum() + z.real * z.imag + np.float64([a, b]) @ v + np.double(2.0) * b


@idiom(0.7, 1.3, same_as=lambda a, b: np.exp(a) * np.sin(b) + np.sqrt(a * a + b * b) + np.arctan(b / a) + a * np.cos(b))
def complex_numbers_by_cmath(a, b):
    z = complex(a, b)
    r, phi = cmath.polar(z)
    assert cmath.isfinite(z)
    assert cmath.sqrt(-1.0) == 1j
    return cmath.exp(z).imag + r + cmath.phase(z) + cmath.rect(a, b).real + 0.0 * phi


@pytest.mark.parametrize("case", idiom, ids=lambda case: case.__name__)
def test_idiom(case):
    check(case)
