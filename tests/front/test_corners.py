"""Arguments at the edges of what NumPy takes: values, shapes and dtypes as NumPy's, and its errors where it raises."""

import numpy as np
import pytest

import adcore

X = np.random.default_rng(0).normal(size=(3, 4))
ROW = X[0].copy()
SINGLE = X.astype(np.float32)
NUMBER = np.array(0.7)
EXPRESSIONS = """
np.where(x > 0, 1, 0);  np.where(x > 0, True, False);  np.clip(x, None, None, dtype=np.float32);  np.clip(x, -0.5, 0.5);  np.imag(s)
np.round(x * 1000, -2);  np.round(s * 1000, -1);  np.apply_along_axis(np.cumsum, -2, x);  np.ldexp(s, 3);  np.linspace(r[0], r[1], 7)
np.linspace(x[0], x[1], 4, endpoint=False);  np.linspace(0.1, r[1], 50)[-1];  np.ix_(r, r)[1];  x[np.ix_([0, 2], [True, False, True, True])]
np.add.reduce(n);  np.add.reduce(n, axis=0);  np.multiply.reduce(n, axis=-1);  np.var(s, dtype=np.float64);  np.average(x, returned=True)[1]
np.average(x, 1, returned=True)[1];  np.nanstd(np.zeros((2, 3)) * x[0, 0], axis=1);  np.squeeze(n, 0);  np.stack([n, n], -1)
np.vstack([s, s], dtype=np.float64, casting="unsafe");  np.hstack([s, s], dtype=np.float64)
np.pad(x, 1, constant_values=((1, 2), (3, 4)));  np.pad(r, (1, 2), constant_values=(5.0, 6.0));  np.repeat(n, 3, 0)
np.tril(r);  np.triu(r, 1);  np.resize(x[:0], (2, 2));  np.full_like(x, r);  np.insert(r, [1], [7.0, 8.0]);  np.insert(r, 1, [7.0, 8.0]);
np.insert(x, [2], r[:3, None], 1);  np.block([[np.ones((2, 3, 4)) * n, np.ones((2, 3, 1)) * n]]);  np.block(x);  np.block([[x], [r]])
x.item(5);  x.item(1, 2);  x.item((1, 2));  n.tolist();  s + np.int16(2);  s * np.arange(4, dtype=np.int8);  s * np.arange(4);  n[...]
r[0][None];  r[0][()];  r[0][None, ...];  np.take(x, [True, False], 0);  np.take(r, -1);  x.sum(axis=())
np.diff(r, 0);  np.rot90(x, 3, (1, 0));  np.tri(3) * n;  np.take_along_axis(x, np.array([3, 1]), None)
""".replace("\n", ";").split(";")
if np.lib.NumpyVersion(np.__version__) >= "2.4.0":
    EXPRESSIONS.append("np.pad(x, {0: 1, -1: (0, 2)})")
RAISE = """
np.ldexp(r, 0.5);  np.diff(r, -1);  np.stack([n, n], 3);  np.vsplit(r, 2);  np.rot90(x, 1, (0, 0));  np.add.reduceat(r, [0, 9])
np.take_along_axis(x, np.array([[1]]), None);  np.ix_(x);  np.squeeze(x, 0);  np.linspace(r[0], 1.0, -1);  np.insert(r, 9, 1.0)
""".replace("\n", ";").split(";")


def expressions(texts):
    return [" ".join(text.split()) for text in texts if text.strip()]


def of(text):
    return lambda x, r, s, n: eval(text, {"np": np, "x": x, "r": r, "s": s, "n": n})


def recorded(f):
    """What f gives while it is recorded, and its kind and shape then."""

    def with_aux(x, r, s, n):
        y = f(x, r, s, n)
        return np.sum(x), (y, getattr(y, "dtype", None), np.shape(y))

    return adcore.value_and_grad(with_aux, has_aux=True, argnums=(0, 1, 2, 3))(X, ROW, SINGLE, NUMBER)[0][1]


@pytest.mark.parametrize("text", expressions(EXPRESSIONS))
def test_as_numpy(text):
    expected = of(text)(X, ROW, SINGLE, NUMBER)
    found, dtype, shape = recorded(of(text))
    assert shape == np.shape(expected)
    assert dtype in (None, np.asarray(expected).dtype)
    np.testing.assert_allclose(found, expected, rtol=1e-15)


@pytest.mark.parametrize("text", expressions(RAISE))
def test_raises_as_numpy(text):
    with pytest.raises(Exception) as expected:
        of(text)(X, ROW, SINGLE, NUMBER)
    with pytest.raises(type(expected.value)):
        recorded(of(text))
