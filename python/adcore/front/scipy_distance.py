"""scipy.spatial.distance on traced arrays: one formula a metric, for two vectors, two sets of them, and pairs of one set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .dispatch import unsupported
from .linalg import operand

# functions of scipy.spatial.distance, which go past NumPy's protocols: reached by rebinding of names
REBOUND: dict[str, Callable[..., Any]] = {}


def total(x: Any, w: Any) -> Any:
    return np.sum(x if w is None else x * w, axis=-1)


def euclidean(u: Any, v: Any, w: Any = None) -> Any:
    return np.linalg.norm(u - v if w is None else (u - v) * np.sqrt(w), axis=-1)


def sqeuclidean(u: Any, v: Any, w: Any = None) -> Any:
    return total((u - v) ** 2, w)


def cityblock(u: Any, v: Any, w: Any = None) -> Any:
    return total(np.abs(u - v), w)


def chebyshev(u: Any, v: Any, w: Any = None) -> Any:
    return np.max(np.abs(u - v) if w is None else np.abs(u - v) * (np.asarray(w) > 0), axis=-1)


def minkowski(u: Any, v: Any, p: float = 2, w: Any = None) -> Any:
    return np.linalg.norm(u - v if w is None else (u - v) * np.power(w, 1.0 / p), p, axis=-1)


def cosine(u: Any, v: Any, w: Any = None) -> Any:
    return 1.0 - total(u * v, w) / np.sqrt(total(u * u, w) * total(v * v, w))


def correlation(u: Any, v: Any, w: Any = None, centered: bool = True) -> Any:
    if centered:
        weights = np.ones(np.shape(u)[-1]) if w is None else w
        u, v = (x - np.sum(x * weights, axis=-1, keepdims=True) / np.sum(weights) for x in (u, v))
    return cosine(u, v, w)


def canberra(u: Any, v: Any, w: Any = None) -> Any:
    size = np.abs(u) + np.abs(v)
    return total(np.where(size == 0, 0.0, np.abs(u - v) / np.where(size == 0, 1.0, size)), w)


def braycurtis(u: Any, v: Any, w: Any = None) -> Any:
    return total(np.abs(u - v), w) / total(np.abs(u + v), w)


def seuclidean(u: Any, v: Any, V: Any) -> Any:
    return np.linalg.norm((u - v) / np.sqrt(V), axis=-1)


def mahalanobis(u: Any, v: Any, VI: Any) -> Any:
    d = u - v
    return np.sqrt(np.sum((d @ VI) * d, axis=-1))


METRICS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (euclidean, sqeuclidean, cityblock, chebyshev, minkowski, cosine, correlation, canberra, braycurtis, seuclidean, mahalanobis)
}


def of_vectors(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda u, v, *args, **kw: f(operand(u), operand(v), *map(operand, args), **kw)


REBOUND |= {name: of_vectors(f) for name, f in METRICS.items()}
ALIASES = {"euclid": "euclidean", "l2": "euclidean", "sqeuclid": "sqeuclidean", "cityblock": "cityblock", "manhattan": "cityblock",
           "l1": "cityblock", "chebychev": "chebyshev", "mahal": "mahalanobis"}  # fmt: skip


def metric_of(name: str, metric: Any, kw: dict[str, Any], *sets: Any) -> Callable[..., Any]:
    f = METRICS.get(ALIASES.get(metric, metric) if isinstance(metric, str) else "")
    if f is None:
        raise unsupported(
            f"scipy.spatial.distance.{name}", f"metric={metric!r}", f"use one of {', '.join(METRICS)}, or loop over the pairs"
        )
    if f is seuclidean and kw.get("V") is None:
        kw["V"] = np.var(np.concatenate(sets), axis=0, ddof=1)
    if f is mahalanobis and kw.get("VI") is None:
        kw["VI"] = np.linalg.inv(np.cov(np.concatenate(sets).T)).T
    return f


def cdist(XA: Any, XB: Any, metric: Any = "euclidean", *, out: Any = None, **kw: Any) -> Any:
    a, b = operand(XA), operand(XB)
    f = metric_of("cdist", metric, kw, a, b)
    return f(a[:, None, :], b[None, :, :], **kw)


def pdist(X: Any, metric: Any = "euclidean", *, out: Any = None, **kw: Any) -> Any:
    x = operand(X)
    f = metric_of("pdist", metric, kw, x)
    i, j = np.triu_indices(x.shape[0], 1)
    return f(x[i], x[j], **kw)


def squareform(X: Any, force: str = "no", checks: bool = True) -> Any:
    x = operand(X)
    if x.ndim == 2:
        return x[np.triu_indices(x.shape[0], 1)]
    n = int(np.ceil(np.sqrt(2 * x.shape[0])))
    where = np.full((n, n), x.shape[0])
    i, j = np.triu_indices(n, 1)
    where[i, j] = where[j, i] = np.arange(x.shape[0])
    return np.concatenate([x, np.zeros(1)])[where]


def jensenshannon(p: Any, q: Any, base: Any = None, *, axis: int = 0, keepdims: bool = False) -> Any:
    p, q = operand(p), operand(q)
    p, q = (x / np.sum(x, axis=axis, keepdims=True) for x in (p, q))
    m = 0.5 * (p + q)
    parts = [np.sum(np.where(x == 0, 0.0, x * np.log(np.where(x == 0, 1.0, x) / np.where(x == 0, 1.0, m))), axis=axis, keepdims=keepdims)
             for x in (p, q)]  # fmt: skip
    return np.sqrt((parts[0] + parts[1]) * (0.5 if base is None else 0.5 / np.log(base)))


REBOUND |= {"cdist": cdist, "pdist": pdist, "squareform": squareform, "jensenshannon": jensenshannon}
BOOLEAN = "its arguments are boolean"
REFUSED = {
    **dict.fromkeys("dice jaccard kulczynski1 rogerstanimoto russellrao sokalmichener sokalsneath yule".split(), BOOLEAN),
    "hamming": "it counts differences",
    "directed_hausdorff": "use max and min of cdist",
}
ON_VALUES = frozenset("is_valid_dm is_valid_y num_obs_dm num_obs_y".split())
