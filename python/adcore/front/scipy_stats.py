"""scipy.stats on traced values: one row a distribution, with its log density and what is known of its integral.

Location and scale, what lies outside the support, and the functions that follow from others are common to all rows. Functions
of scipy.special carry the derivatives; one whose derivative by a shape is not known there says so.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special as sp
import scipy.stats

from ..tracer import array as traced
from . import dispatch, linalg, scipy_samples

LOG_2PI = math.log(2.0 * math.pi)
SMALLEST, LARGEST = -math.inf, math.inf


@dataclasses.dataclass(frozen=True)
class Row:
    """A distribution in standard form: functions of x (or of a probability) and the shapes."""

    shapes: tuple[str, ...]
    log_density: Callable[..., Any]
    cdf: Callable[..., Any] | None = None
    sf: Callable[..., Any] | None = None
    logcdf: Callable[..., Any] | None = None
    logsf: Callable[..., Any] | None = None
    ppf: Callable[..., Any] | None = None
    low: float = SMALLEST
    high: float = LARGEST
    inner: float = 1.0  # a point of the support
    discrete: bool = False


def mirrored(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, *shapes: f(-x, *shapes)


def symmetric(cdf: Callable[..., Any], logcdf: Callable[..., Any] | None = None) -> dict[str, Any]:
    found = {"cdf": cdf, "sf": mirrored(cdf)}
    return found if logcdf is None else {**found, "logcdf": logcdf, "logsf": mirrored(logcdf)}


def log_t(x: Any, df: Any) -> Any:
    return sp.gammaln(0.5 * (df + 1.0)) - sp.gammaln(0.5 * df) - 0.5 * np.log(df * math.pi) - 0.5 * (df + 1.0) * np.log1p(x * x / df)


def log_binomial(n: Any, k: Any) -> Any:
    return sp.gammaln(n + 1.0) - sp.gammaln(k + 1.0) - sp.gammaln(n - k + 1.0)


def half(x: Any) -> Any:
    return 0.5 * np.exp(-np.abs(x))


ROWS: dict[str, Row] = {
    "norm": Row((), lambda x: -0.5 * (x * x + LOG_2PI), **symmetric(sp.ndtr, sp.log_ndtr), ppf=sp.ndtri),
    "expon": Row((), lambda x: -x, lambda x: -np.expm1(-x), lambda x: np.exp(-x), logsf=lambda x: -x, ppf=lambda q: -np.log1p(-q), low=0.0),
    "uniform": Row((), lambda x: 0.0 * x, lambda x: x, lambda x: 1.0 - x, ppf=lambda q: q, low=0.0, high=1.0, inner=0.5),
    "laplace": Row(
        (), lambda x: -np.abs(x) - math.log(2.0), **symmetric(lambda x: np.where(x < 0, half(x), 1.0 - half(x))),
        ppf=lambda q: np.where(q < 0.5, np.log(2.0 * np.where(q < 0.5, q, 0.25)), -np.log(2.0 - 2.0 * np.where(q < 0.5, 0.75, q))),
    ),
    "logistic": Row((), lambda x: -np.abs(x) - 2.0 * np.log1p(np.exp(-np.abs(x))), **symmetric(sp.expit, sp.log_expit), ppf=sp.logit),
    "cauchy": Row(
        (), lambda x: -np.log(math.pi) - np.log1p(x * x), **symmetric(lambda x: 0.5 + np.arctan(x) / math.pi),
        ppf=lambda q: np.tan(math.pi * (q - 0.5)),
    ),
    "gumbel_r": Row((), lambda x: -x - np.exp(-x), lambda x: np.exp(-np.exp(-x)), lambda x: -np.expm1(-np.exp(-x)),
                    logcdf=lambda x: -np.exp(-x), ppf=lambda q: -np.log(-np.log(q))),
    "halfnorm": Row((), lambda x: 0.5 * math.log(2.0 / math.pi) - 0.5 * x * x, lambda x: sp.erf(x * math.sqrt(0.5)),
                    lambda x: sp.erfc(x * math.sqrt(0.5)), low=0.0),
    "halfcauchy": Row((), lambda x: math.log(2.0 / math.pi) - np.log1p(x * x), lambda x: 2.0 / math.pi * np.arctan(x), low=0.0),
    "rayleigh": Row((), lambda x: np.log(x) - 0.5 * x * x, lambda x: -np.expm1(-0.5 * x * x), lambda x: np.exp(-0.5 * x * x),
                    logsf=lambda x: -0.5 * x * x, low=0.0),
    "lognorm": Row(
        ("s",), lambda x, s: -0.5 * (np.log(x) / s) ** 2 - np.log(x) - np.log(s) - 0.5 * LOG_2PI,
        lambda x, s: sp.ndtr(np.log(x) / s), lambda x, s: sp.ndtr(-np.log(x) / s), lambda x, s: sp.log_ndtr(np.log(x) / s),
        lambda x, s: sp.log_ndtr(-np.log(x) / s), ppf=lambda q, s: np.exp(s * sp.ndtri(q)), low=0.0,
    ),
    "gamma": Row(
        ("a",), lambda x, a: sp.xlogy(a - 1.0, x) - x - sp.gammaln(a), lambda x, a: sp.gammainc(a, x), lambda x, a: sp.gammaincc(a, x),
        ppf=lambda q, a: sp.gammaincinv(a, q), low=0.0,
    ),
    "chi2": Row(
        ("df",), lambda x, df: sp.xlogy(0.5 * df - 1.0, x) - 0.5 * x - sp.gammaln(0.5 * df) - 0.5 * math.log(2.0) * df,
        lambda x, df: sp.chdtr(df, x), lambda x, df: sp.chdtrc(df, x), low=0.0,
    ),
    "invgamma": Row(
        ("a",), lambda x, a: -(a + 1.0) * np.log(x) - sp.gammaln(a) - 1.0 / x, lambda x, a: sp.gammaincc(a, 1.0 / x),
        lambda x, a: sp.gammainc(a, 1.0 / x), low=0.0,
    ),
    "beta": Row(
        ("a", "b"), lambda x, a, b: sp.xlog1py(b - 1.0, -x) + sp.xlogy(a - 1.0, x) - sp.betaln(a, b),
        lambda x, a, b: sp.betainc(a, b, x), lambda x, a, b: sp.betaincc(a, b, x), ppf=lambda q, a, b: sp.betaincinv(a, b, q),
        low=0.0, high=1.0, inner=0.5,
    ),
    "t": Row(("df",), log_t, **symmetric(lambda x, df: sp.stdtr(df, x)), ppf=lambda q, df: sp.stdtrit(df, q)),
    "pareto": Row(("b",), lambda x, b: np.log(b) - (b + 1.0) * np.log(x), lambda x, b: 1.0 - x**-b, lambda x, b: x**-b,
                  logsf=lambda x, b: -b * np.log(x), ppf=lambda q, b: (1.0 - q) ** (-1.0 / b), low=1.0, inner=2.0),
    "weibull_min": Row(
        ("c",), lambda x, c: np.log(c) + sp.xlogy(c - 1.0, x) - x**c, lambda x, c: -np.expm1(-(x**c)), lambda x, c: np.exp(-(x**c)),
        logsf=lambda x, c: -(x**c), ppf=lambda q, c: (-np.log1p(-q)) ** (1.0 / c), low=0.0,
    ),
    "poisson": Row(("mu",), lambda k, mu: sp.xlogy(k, mu) - sp.gammaln(k + 1.0) - mu, lambda k, mu: sp.pdtr(np.floor(k), mu),
                   lambda k, mu: sp.pdtrc(np.floor(k), mu), low=0.0, discrete=True),
    "binom": Row(("n", "p"), lambda k, n, p: log_binomial(n, k) + sp.xlogy(k, p) + sp.xlog1py(n - k, -p),
                 lambda k, n, p: sp.bdtr(np.floor(k), n, p), lambda k, n, p: sp.bdtrc(np.floor(k), n, p), low=0.0, discrete=True),
    "bernoulli": Row(("p",), lambda k, p: sp.xlogy(k, p) + sp.xlog1py(1.0 - k, -p), low=0.0, high=1.0, discrete=True),
    "geom": Row(("p",), lambda k, p: sp.xlog1py(k - 1.0, -p) + np.log(p), lambda k, p: -np.expm1(np.log1p(-p) * np.floor(k)),
                low=1.0, discrete=True),
    "nbinom": Row(("n", "p"), lambda k, n, p: sp.gammaln(n + k) - sp.gammaln(k + 1.0) - sp.gammaln(n) + n * np.log(p) + sp.xlog1py(k, -p),
                  low=0.0, discrete=True),
}  # fmt: skip


# -- what is common to all rows ------------------------------------------------------------------------------------


def probability(p: Any) -> Any:
    return (p >= 0) & (p <= 1)


def chance(p: Any) -> Any:
    return (p > 0) & (p <= 1)


# where a parameter makes sense; the others must be positive
SENSIBLE: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("poisson", "mu"): lambda mu: mu >= 0, ("binom", "n"): lambda n: n >= 0, ("binom", "p"): probability, ("bernoulli", "p"): probability,
    ("geom", "p"): chance, ("nbinom", "p"): chance,
}  # fmt: skip


def sensible(x: Any, test: Callable[[Any], Any]) -> Any:
    """A parameter where it makes sense, elsewhere NaN, which is what SciPy's functions give then."""
    fits = test(x)
    return x if not traced.is_traced(fits) and np.all(fits) else np.where(fits, x, np.nan)


def unless_nan(number: float, shapes: Any) -> Any:
    """What a function is outside of the support: NaN where a shape is."""
    return number + 0.0 * sum(shapes) if shapes else number


def log_density(row: Row, z: Any, scale: Any, shapes: Any) -> Any:
    outside = (z < row.low) | (z > row.high)
    if row.discrete:
        outside = outside | ((np.floor(z) != z) & (z == z))
    if row is ROWS["binom"]:
        outside = outside | (z > shapes[0])
    value = row.log_density(np.where(outside, row.inner, z), *shapes) - np.log(scale)
    return np.where(outside, unless_nan(-np.inf, shapes), value)


def integral(row: Row, f: Callable[..., Any], z: Any, shapes: Any, below: float, above: float) -> Any:
    before, behind = (z < row.low, z > row.high) if row.discrete else (z <= row.low, z >= row.high)
    value = f(np.where(before | behind, row.inner, z), *shapes)
    return np.where(before, unless_nan(below, shapes), np.where(behind, unless_nan(above, shapes), value))


def complement(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: 1.0 - f(*args)


def logarithm(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: np.log(f(*args))


def method(row: Row, name: str) -> Callable[..., Any] | None:
    """A function of (z, scale, shapes) by SciPy's name of it; None where the row does not know it."""
    if name in ("logpmf", "pmf") if row.discrete else name in ("logpdf", "pdf"):
        found = functools.partial(log_density, row)
        return found if name.startswith("log") else lambda z, scale, shapes: np.exp(found(z, scale, shapes))
    cdf, sf = row.cdf, row.sf
    cdf = complement(sf) if cdf is None and sf is not None else cdf
    sf = complement(cdf) if sf is None and cdf is not None else sf
    if cdf is None or sf is None:
        return None
    known = {
        "cdf": (cdf, 0.0, 1.0),
        "sf": (sf, 1.0, 0.0),
        "logcdf": (row.logcdf or logarithm(cdf), -np.inf, 0.0),
        "logsf": (row.logsf or logarithm(sf), 0.0, -np.inf),
    }.get(name)
    if known is None:
        return None
    f, below, above = known
    return lambda z, scale, shapes: integral(row, f, z, shapes, below, above)


class Distribution:
    """A distribution of scipy.stats whose functions accept traced values."""

    decides = True  # decides itself what is traced

    def __init__(self, name: str) -> None:
        self.name = name
        self.plain = getattr(scipy.stats, name)
        self.row = ROWS[name]

    def __call__(self, *args: Any, **kw: Any) -> Any:
        return Frozen(self, args, kw)

    freeze = __call__

    def __getattr__(self, name: str) -> Any:
        plain = getattr(self.plain, name)
        if name.startswith("_") or not callable(plain):
            return plain

        @functools.wraps(plain)
        def of(*args: Any, **kw: Any) -> Any:
            if traced.find_trace(args) is None and traced.find_trace(kw) is None:
                return plain(*args, **kw)
            return self.traced(name, plain, args, kw)

        return of

    def traced(self, name: str, plain: Any, args: Any, kw: Any) -> Any:
        row = self.row
        places = ("x", *row.shapes, "loc", *(() if row.discrete else ("scale",)))
        given = {"loc": 0.0, "scale": 1.0, **dict(zip(places, args, strict=False))}
        renamed = {{"k": "x", "q": "x"}.get(key, key) if key not in row.shapes else key: v for key, v in kw.items()}
        given |= renamed
        if len(args) > len(places) or not {"x", *row.shapes} <= given.keys():
            raise TypeError(f"{traced.where_text()}scipy.stats.{self.name}.{name} wants {', '.join(places)}")
        x, loc, scale, *shapes = (
            linalg.operand(given[key]) if np.ndim(given[key]) else given[key] for key in ("x", "loc", "scale", *row.shapes)
        )
        scale = sensible(scale, lambda x: x > 0)
        shapes = [sensible(x, SENSIBLE.get((self.name, key), lambda x: x > 0)) for key, x in zip(row.shapes, shapes, strict=True)]
        if name == "ppf" and row.ppf is not None:
            x = sensible(x, probability)
            return loc + scale * row.ppf(x, *shapes)
        f = method(row, name)
        if f is None:
            if not dispatch.any_active([*args, *kw.values()]):
                return plain(*dispatch.values(args), **dispatch.values(kw))
            raise dispatch.refuse(f"scipy.stats.{self.name}.{name}", "its formula is not written")
        return f((x - loc) / scale, scale, shapes)


class Frozen:
    """A distribution with its parameters."""

    def __init__(self, of: Any, args: Any, kw: Any) -> None:
        self.of, self.args, self.kw = of, args, kw

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if not callable(getattr(self.of.plain, name, None)):
            return getattr(self.of.plain(*dispatch.values(self.args), **dispatch.values(self.kw)), name)
        f = getattr(self.of, name)
        if name in ("mean", "std", "var", "median", "entropy", "support", "interval", "moment", "stats", "rvs", "expect"):
            return lambda *args, **kw: f(*args, *self.args, **kw, **self.kw)
        return lambda x, *args, **kw: f(x, *self.args, *args, **self.kw, **kw)


# -- the multivariate normal distribution -----------------------------------------------------------------------------


class MultivariateNormal(Distribution):
    """By the Cholesky factor of the covariance, which must be positive definite."""

    def __init__(self) -> None:
        self.name = "multivariate_normal"
        self.plain = scipy.stats.multivariate_normal

    def traced(self, name: str, plain: Any, args: Any, kw: Any) -> Any:
        if name not in ("logpdf", "pdf"):
            raise dispatch.refuse(f"scipy.stats.{self.name}.{name}", "its formula is not written")
        found = log_multivariate_normal(*args, **kw)
        return np.exp(found) if name == "pdf" else found


def log_multivariate_normal(x: Any, mean: Any = None, cov: Any = 1.0, allow_singular: bool = False) -> Any:
    x, cov = linalg.operand(x), linalg.operand(cov)
    mean = None if mean is None else linalg.operand(mean)
    n = cov.shape[0] if cov.ndim else (1 if mean is None or not mean.ndim else mean.shape[0])
    if cov.ndim < 2:
        cov = cov * np.eye(n) if cov.ndim == 0 else linalg.matrices_of(cov)
    if n == 1 and (x.ndim == 0 or x.shape[-1] != 1 or x.ndim == 1):
        x = x[..., None]
    away = x if mean is None else x - mean
    low = linalg.cholesky(cov)
    flat = np.reshape(away, (-1, n))
    z = linalg.solve_triangle(low, linalg.mT(flat), True)
    half_log_det = np.sum(np.log(linalg.diagonal_of(low)))
    value = -0.5 * (np.sum(z * z, axis=0) + n * LOG_2PI) - half_log_det
    return np.reshape(value, away.shape[:-1]) if away.ndim > 1 else value[0]


class OnSimplex(Distribution):
    """A distribution of proportions or of counts that share a total; its log density is a function of SciPy's arguments."""

    def __init__(self, name: str, log_density: Callable[..., Any], method: str) -> None:
        self.name, self.plain = name, getattr(scipy.stats, name)
        self.log_density, self.method = log_density, method

    def traced(self, name: str, plain: Any, args: Any, kw: Any) -> Any:
        if name not in (f"log{self.method}", self.method):
            raise dispatch.refuse(f"scipy.stats.{self.name}.{name}", "its formula is not written")
        found = self.log_density(*args, **kw)
        return found if name.startswith("log") else np.exp(found)


def log_dirichlet(x: Any, alpha: Any) -> Any:
    x, alpha = linalg.operand(x), linalg.operand(alpha)
    if x.shape[0] + 1 == alpha.shape[0]:  # the last proportion is what the others leave
        x = np.concatenate([x, 1.0 - np.sum(x, axis=0, keepdims=True)])
    known = dispatch.known(alpha)
    if known is not None and np.any(known <= 0):
        raise ValueError(f"{traced.where_text()}All parameters must be greater than 0")
    known = dispatch.known(x)
    if known is not None and np.any(known < 0):
        raise ValueError(f"{traced.where_text()}Each entry in 'x' must be greater than or equal to zero.")
    if known is not None and not np.allclose(np.sum(known, axis=0), 1.0, rtol=0.0, atol=1e-9):
        raise ValueError(f"{traced.where_text()}The input vector 'x' must lie within the normal simplex.")
    powers = (alpha - 1.0).reshape(-1, *(1,) * (x.ndim - 1))
    return np.sum(sp.xlogy(powers, x), axis=0) + sp.gammaln(np.sum(alpha)) - np.sum(sp.gammaln(alpha))


def log_multinomial(x: Any, n: Any, p: Any) -> Any:
    x, p = linalg.operand(x), linalg.operand(p)
    if dispatch.any_active((x, n)) or np.ndim(n) or p.ndim != 1 or np.any(np.sum(dispatch.values(x), axis=-1) != dispatch.values(n)):
        raise dispatch.unsupported("scipy.stats.multinomial", "counts that are differentiated or do not add up to one n",
                                   "give constant counts and one vector of probabilities")  # fmt: skip
    p = np.concatenate([p[:-1], 1.0 - np.sum(p[:-1], keepdims=True)])  # the last probability is what the others leave
    return sp.gammaln(n + 1.0) + np.sum(sp.xlogy(x, p) - sp.gammaln(x + 1.0), axis=-1)


DISTRIBUTIONS: dict[str, Any] = {name: Distribution(name) for name in ROWS} | {
    "multivariate_normal": MultivariateNormal(),
    "dirichlet": OnSimplex("dirichlet", log_dirichlet, "pdf"),
    "multinomial": OnSimplex("multinomial", log_multinomial, "pmf"),
}
# what goes past NumPy's protocols: reached by rebinding of names
REBOUND: dict[str, Any] = DISTRIBUTIONS | scipy_samples.REBOUND


def instance(value: Any) -> Any:
    """What stands for a distribution, with or without its parameters."""
    dist = getattr(value, "dist", None)
    if dist is not None and hasattr(value, "kwds"):
        ours = DISTRIBUTIONS.get(getattr(dist, "name", ""))
        return value if ours is None else Frozen(ours, value.args, value.kwds)
    ours = DISTRIBUTIONS.get(type(value).__name__.removesuffix("_gen"))
    return ours if ours is not None and ours.plain is value else value
