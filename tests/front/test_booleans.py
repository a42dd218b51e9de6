"""Boolean arrays that are made while recording: dtypes and values as NumPy's, since they select, count and index."""

import numpy as np
import pytest

import adcore

X = np.random.default_rng(0).normal(size=(3, 3))
MASK = np.tri(3, dtype=bool)
EXPRESSIONS = """
np.triu(m);  np.tril(m, -1);  np.roll(m, 1, 0);  np.concatenate([m, m]);  np.stack([m, m]);  m.reshape(-1);  m.T;  np.where(m, m,
False);  np.take(m, [0, 1], 0);  np.flip(m);  np.diag(m);  np.diagonal(m);  np.pad(m, 1);  np.cumsum(m);  np.cumsum(m, axis=1);
np.cumprod(m);  np.sum(m);  np.sum(m, 0);  m.sum(axis=1, keepdims=True);  m.any();  m.all(axis=0);  ~m;  m & m;  m | (x > 0);  m ^
m;  np.repeat(m, 2);  np.tile(m, 2);  np.kron(m, m);  np.outer(m, m);  np.broadcast_to(m, (2, 3, 3));  m.copy();
np.zeros_like(m);  np.sort(m);  np.max(m);  m.max(axis=0);  np.min(m, axis=1);  np.max(m, where=m, initial=False);  np.mean(m);
np.prod(m);  m.prod(axis=0);  m * m;  m + m;  m / 2;  m @ m;  np.dot(m, m);  np.count_nonzero(m);  np.nonzero(m)[0];
m.astype(int);  np.rot90(m);  np.delete(m, 0, 0);  np.append(m, True);  np.insert(m, 0, True);  np.block([[m, m]]);  np.vstack([m,
m]);  np.maximum(m, False);  np.nan_to_num(m);  np.array([m, m]);  np.array([m[0], m[1]]);  np.logical_or(m, x > 0);  m[m];  m[0];
m[0, 0];  np.unique(m);  np.trace(m);  np.compress([True, False, True], m, 0);  np.argmax(m)
""".split(";")


@pytest.mark.parametrize("text", [" ".join(text.split()) for text in EXPRESSIONS])
def test_booleans(text):
    expected = eval(text, {"np": np, "m": MASK.copy(), "x": X})

    def f(x):
        m = np.ones((3, 3), dtype=bool)
        m[0, 1:] = False
        m[1, 2] = False
        return np.sum(x), eval(text, {"np": np, "m": m, "x": x})

    found = np.asarray(adcore.value_and_grad(f, has_aux=True)(X)[0][1])
    assert found.dtype == np.asarray(expected).dtype
    np.testing.assert_array_equal(found, expected)


def test_masks_select():
    """A triangular mask made from ones was of floats, and no index."""

    def attention(s):
        s = s * 1.0
        s[np.triu(np.ones(s.shape, dtype=bool), 1)] = -np.inf
        a = np.exp(s - s.max(-1, keepdims=True))
        return np.sum((a / a.sum(-1, keepdims=True)) ** 2)

    adcore.testing.check_grads(attention, [X])


def test_numbers_made_of_booleans_index():
    adcore.testing.check_grads(lambda x: x[0, (x > 0) * 2] * x + x[0, np.cumsum(np.ones(3, dtype=bool)) - 1], [X])
    with pytest.raises(IndexError, match="must be of integer"):
        adcore.gradient(lambda x: np.sum(x[x[0]]), X)


WHOLE = {
    "with a whole number": lambda m: (m & 1) + (m & 1),
    "with an array of them": lambda m: m & np.array([1, 2, 3]),
    "or": lambda m: (m | 2) * 1.0,
    "a ufunc": lambda m: np.bitwise_xor(m, 3) * 1.0,
    "turned": lambda m: 3 & m,
    "absolute values": lambda m: abs(m) + abs(m),
    "rounded": lambda m: np.ceil(m) + np.ceil(m),
    "added as numbers": lambda m: np.add(m, m, dtype=float),
    "of integers": lambda m: ~m.astype(int) & 5,
    "exclusive in place": lambda m: in_place(m.copy()) * 1.0,
    "repeated": lambda m: np.repeat(np.arange(9.0).reshape(3, 3), (m * 2)[0], axis=0),
}


def in_place(m):
    rows = m[1:]
    m ^= np.array([True, False, True])
    return rows


@pytest.mark.parametrize("name", WHOLE)
def test_bits_of_booleans_and_whole_numbers(name):
    """Bitwise operations were logical ones whatever their operands."""

    def f(x):
        m = x > 0
        return np.sum(x), WHOLE[name](m) * 1.0

    np.testing.assert_array_equal(adcore.value_and_grad(f, has_aux=True)(X)[0][1], f(X)[1])


@pytest.mark.parametrize("f", [lambda x: x & 1, lambda x: ((x > 0) * 2) & 1, lambda x: ~x, lambda x: np.bitwise_or(x, x > 0)])
def test_bits_of_floats_are_refused(f):
    with pytest.raises(TypeError, match=r"test_booleans.py:\d+: np\.\w+ of a traced array that is not boolean.*astype"):
        adcore.gradient(lambda x: np.sum(x * f(x)), X)


def test_a_generator_does_not_shuffle_rows():
    """NumPy's generators swap rows that are views of one memory: a row was lost, another stood there twice."""

    def f(x):
        A = np.outer(x, x)
        np.random.default_rng(0).shuffle(A)
        return np.sum(A[0])

    with pytest.raises(adcore.errors.ArgumentError, match=r"test_booleans.py:\d+: random generators shuffle.*permutation"):
        adcore.gradient(f, X[0])
