"""Arguments for elementwise ops: dense where functions bend, and every special value."""

import numpy as np

SPECIAL = np.array(
    [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        -0.5,
        2.0,
        -2.0,
        3.0,
        1e-20,
        -1e-20,
        1e22,
        -1e22,
        5e-324,
        -5e-324,
        2.2250738585072014e-308,
        1.7976931348623157e308,
        -1.7976931348623157e308,
        1.5707963267948966,
        3.141592653589793,
        0.41421356237309503,
        1e6,
        1000001.0,
        709.78,
        709.79,
        -708.5,
        -745.1,
        -745.2,
        1024.0,
        -1075.0,
        np.inf,
        -np.inf,
        np.nan,
    ]
)


def spread(rng, n, low=-1, high=1):
    """Both signs, sizes over some decades."""
    return rng.choice([-1.0, 1.0], n) * 10.0 ** rng.uniform(low, high, n)


def any_bits(rng, n):
    """Every exponent alike, NaN and infinities among them."""
    return rng.integers(0, 2**64, n, dtype=np.uint64).view(float)


def mixture(rng, n):
    """A little of everything, the special values first."""
    k = n // 4
    parts = [SPECIAL, rng.uniform(-3, 3, k), spread(rng, k, -12, 3), rng.uniform(-800, 800, k), any_bits(rng, n)]
    return np.concatenate(parts)[:n]
