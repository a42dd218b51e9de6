"""Order statistics, sets and histograms: values decide the order, derivatives go where the values came from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..tracer import array as traced
from .calls import Family, apply
from .dispatch import METHODS, TABLE, any_active, implements, on_values, unsupported, values
from .elementwise import ew
from .reductions import flat_or, max, min, truth
from .shapes import arr, axes_of, finished, moveaxis, take_along_axis

# -- sorting ------------------------------------------------------------------------------------


def order_of(params: Any, x: Any) -> Any:
    """Where the sorted (or partitioned) elements stand along the last axis."""
    kth = params[1]
    return np.argsort(x, axis=-1) if kth is None else np.argpartition(x, kth, axis=-1)


def evaluate_permuted(params: Any, v: Any, x: Any) -> Any:
    """v in the order of x, or back."""
    order = order_of(params, x)
    if params[0] == "sort":
        return np.take_along_axis(v, order, -1)
    out = np.empty_like(v)
    np.put_along_axis(out, order, v, -1)
    return out


def permuted_vjp(params: Any, wanted: Any, g: Any, y: Any, v: Any, x: Any) -> Any:
    back = ("unsort" if params[0] == "sort" else "sort", params[1])
    return permuted(back, g, x), None


def permuted_jvp(params: Any, tangents: Any, y: Any, v: Any, x: Any) -> Any:
    return permuted(params, tangents[0], x)


PERMUTED = Family("np.sort", evaluate_permuted, permuted_vjp, permuted_jvp, steady=frozenset({1}))


def permuted(params: Any, v: Any, x: Any) -> Any:
    return apply(PERMUTED, params, v.shape, v, x)


def along_last(a: Any, axis: int, kth: Any = None) -> Any:
    """The array sorted along an axis; a permutation, which is constant to derivatives."""
    a = moveaxis(arr(a), axis, -1)
    return traced.fresh(moveaxis(permuted(("sort", kth), a, traced.constant_part(a)), -1, axis))  # in memory of its own, in C order


@implements(np.sort)
def sort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    a = arr(a)
    return np.sort(values(a), axis) if a.dtype.kind == "b" else along_last(*flat_or(a, axis))


@implements(np.partition)
def partition(a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect", order: Any = None) -> Any:
    kth = values(kth)
    return along_last(*flat_or(arr(a), axis), tuple(int(k) for k in kth) if np.ndim(kth) else int(kth))


def sort_in_place(a: Any, axis: int = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> None:
    a[...] = sort(a, axis)


def partition_in_place(a: Any, kth: Any, axis: int = -1, kind: str = "introselect", order: Any = None) -> None:
    a[...] = partition(a, kth, axis)


# -- quantiles ------------------------------------------------------------------------------------


def place(n: Any, q: Any, method: str) -> Any:
    """Where the quantile stands among n sorted numbers: NumPy's own answer for the numbers 0, 1, ..., n - 1."""
    if method == "linear":
        return q * (n - 1)
    if any_active(q):
        raise unsupported("np.quantile", f"method={method!r} and a differentiated q", "use method='linear'")
    plain: Any = np.quantile
    found = [plain(np.arange(k, dtype=float), values(q), method=method) if k else np.zeros(np.shape(q)) for k in np.unique(n)]
    return np.stack(found)[np.searchsorted(np.unique(n), n)]


def quantile_of(name: str, a: Any, q: Any, axis: Any, out: Any, method: str, keepdims: Any, weights: Any, nan: bool) -> Any:
    """Quantiles as combinations of the two sorted elements beside each."""
    if weights is not None:
        raise unsupported(name, "weights=", "sort, and sum the weights yourself")
    if traced.find_trace(a) is None:
        raise unsupported(name, "a differentiated q and a constant array", "make the array part of what is differentiated")
    a = arr(a)
    shape, axes = a.shape, axes_of(axis, len(a.shape))
    if np.any((np.asarray(values(q)) < 0.0) | (np.asarray(values(q)) > 1.0)):
        raise ValueError("Quantiles must be in the range [0, 1]")
    rest = [k for k in range(len(shape)) if k not in axes]
    s = along_last(a.transposed((*rest, *axes)).reshape([*(shape[k] for k in rest), -1]), -1)
    holes = ew("isnan", traced.constant_part(s))
    n: Any = s.shape[-1]
    if nan:
        n = np.sum(~values(holes), axis=-1)[..., None]
    flat_q = np.reshape(q, (-1,)) if np.ndim(q) else q
    at = place(n, flat_q, method)
    if np.ndim(at) <= 1:
        low = np.clip(np.floor(values(at)).astype(int), 0, s.shape[-1] - 1)
        high = np.minimum(low + 1, s.shape[-1] - 1)
        first, second = s[..., low], s[..., high]
    else:
        at = np.reshape(at, (*s.shape[:-1], -1))
        low = np.clip(np.floor(values(at)).astype(int), 0, s.shape[-1] - 1)
        high = np.minimum(low + 1, np.maximum(n - 1, 0))
        first, second = take_along_axis(s, low, -1), take_along_axis(s, high, -1)
    weight = at - low
    # no infinity times zero
    result = ew("where", weight == 0, first, first * (1.0 - weight) + second * weight)
    if not nan:
        last = ew("isnan", traced.constant_part(s[..., -1:] if np.ndim(first) == len(s.shape) else s[..., -1]))
        result = ew("where", last, math.nan, result)
    if np.ndim(result) == len(s.shape):
        result = np.reshape(moveaxis(result, -1, 0), (*np.shape(q), *s.shape[:-1]))
    if truth(keepdims):
        result = np.reshape(result, np.shape(q) + tuple(1 if k in axes else d for k, d in enumerate(shape)))
    elif np.shape(result) == () and not traced.is_traced(result):
        result = result[()]
    if traced.is_traced(result) and result.shape == ():
        result = traced.scalar_of(result)
    return finished(result, out, name)


def quantiles(name: str, scale: float, nan: bool) -> Any:
    def of(a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, method: str = "linear",
           keepdims: Any = False, *, weights: Any = None) -> Any:  # fmt: skip
        q = q if traced.find_trace(q) is not None else np.asarray(q, dtype=float)[()]
        return quantile_of(f"np.{name}", a, q / scale, axis, out, method, keepdims, weights, nan)

    return of


def medians(name: str, nan: bool) -> Any:
    def of(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False) -> Any:
        return quantile_of(f"np.{name}", a, 0.5, axis, out, "linear", keepdims, None, nan)

    return of


TABLE.update({np.quantile: quantiles("quantile", 1.0, False), np.percentile: quantiles("percentile", 100.0, False),
              np.nanquantile: quantiles("nanquantile", 1.0, True), np.nanpercentile: quantiles("nanpercentile", 100.0, True),
              np.median: medians("median", False), np.nanmedian: medians("nanmedian", True)})  # fmt: skip

# -- sets: elements of the arguments, found by their values ---------------------------------------------


@implements(np.unique)
def unique(ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False, axis: int | None = None,
           *, equal_nan: bool = True, sorted: bool = True) -> Any:  # fmt: skip
    plain: Any = np.unique
    found = plain(traced.value_of(ar), True, return_inverse, return_counts, axis, equal_nan=equal_nan)
    result = np.take(ar, found[1], axis) if axis is not None else np.reshape(ar, (-1,))[found[1]]
    extra = found[1:] if return_index else found[2:]
    return (result, *extra) if extra else result


def unique_parts(kind: Any, **flags: bool) -> Any:
    return lambda x, /: kind(*unique(x, equal_nan=False, **flags))


lib: Any = np.lib._arraysetops_impl
TABLE[np.unique_values] = lambda x, /: unique(x, equal_nan=False)
TABLE[np.unique_inverse] = unique_parts(lib.UniqueInverseResult, return_inverse=True)
TABLE[np.unique_counts] = unique_parts(lib.UniqueCountsResult, return_counts=True)
TABLE[np.unique_all] = unique_parts(lib.UniqueAllResult, return_index=True, return_inverse=True, return_counts=True)


@implements(np.union1d)
def union1d(ar1: Any, ar2: Any) -> Any:
    return unique(np.concatenate([np.ravel(ar1), np.ravel(ar2)]))


@implements(np.intersect1d)
def intersect1d(ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False) -> Any:
    plain: Any = np.intersect1d
    _, first, second = plain(traced.value_of(ar1), traced.value_of(ar2), assume_unique, True)
    result = np.ravel(ar1)[first]
    return (result, first, second) if return_indices else result


@implements(np.setdiff1d)
def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    a = np.ravel(ar1) if assume_unique else unique(ar1)
    plain: Any = np.isin
    return a[~plain(traced.value_of(a), traced.value_of(ar2), assume_unique=True)]


@implements(np.setxor1d)
def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    joint = np.concatenate([np.ravel(ar1) if assume_unique else unique(ar1), np.ravel(ar2) if assume_unique else unique(ar2)])
    plain: Any = np.unique
    _, first, counts = plain(traced.value_of(joint), return_index=True, return_counts=True)
    return joint[first[counts == 1]]


@implements(np.trim_zeros, any_kind=True)
def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """A view of what lies between the zeros at the ends of each axis."""
    at, trim = np.argwhere(traced.value_of(filt)), trim.lower()
    if not len(at):
        inside = [slice(0, 0)] * len(filt.shape)
    else:
        ends = zip(at.min(axis=0), at.max(axis=0) + 1, strict=True)
        inside = [slice(low if "f" in trim else None, high if "b" in trim else None) for low, high in ends]
    axes = axes_of(axis, len(inside))
    return filt[tuple(cut if k in axes else slice(None) for k, cut in enumerate(inside))]


# -- histograms: counts are constant, weights and edges are not ---------------------------------------------


def edges_of(x: Any, bins: Any, range: Any) -> Any:
    """Bin edges; they follow the data where NumPy takes them from the data."""
    if np.ndim(bins):
        return bins
    plain: Any = np.histogram_bin_edges
    edges = plain(traced.value_of(x), bins, range)
    if range is not None or not any_active(x):
        return edges
    v = traced.value_of(x)
    low, high = (v.min(), v.max()) if v.size else (0.0, 1.0)
    if low == high:
        return edges
    return min(x) + (max(x) - min(x)) * (np.arange(len(edges)) / (len(edges) - 1))


def bins_of(v: Any, edges: Any) -> tuple[Any, Any]:
    """The bin of each value, and which values lie in one; the last bin includes its right edge."""
    k = np.searchsorted(edges, v, side="right") - 1
    k = np.where(v == edges[-1], len(edges) - 2, k)
    return k, (k >= 0) & (k < len(edges) - 1)


@implements(np.histogram)
def histogram(a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    a = np.ravel(a)
    edges = edges_of(a, bins, range)
    plain_edges = np.asarray(values(edges))
    k, inside = bins_of(values(a), plain_edges)
    if traced.find_trace(weights) is None:
        plain: Any = np.histogram
        counts = plain(values(a), plain_edges, weights=weights)[0]
    else:
        empty = traced.new_array(traced.find_trace(weights), len(plain_edges) - 1)
        counts = traced.scatter_add(empty, k[inside], np.ravel(weights)[inside])
    if density:
        counts = counts / np.diff(edges) / np.sum(counts)
    return counts, edges


@implements(np.histogramdd)
def histogramdd(sample: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    plain: Any = np.histogramdd
    if not any_active((sample, weights)):
        return plain(values(sample), values(bins), range, density, values(weights))
    if any_active(sample):
        raise unsupported("np.histogramdd", "a differentiated sample", "its counts are constant; differentiate the weights alone")
    _, edges = plain(values(sample), values(bins), range)
    points: Any = np.asarray(values(sample))
    points = points.T if isinstance(sample, (list, tuple)) else points
    shape = tuple(len(e) - 1 for e in edges)
    found = [bins_of(points[:, k], e) for k, e in enumerate(edges)]
    inside = np.logical_and.reduce([ok for _, ok in found])
    at = np.ravel_multi_index([k[inside] for k, _ in found], shape)
    flat = traced.scatter_add(traced.new_array(traced.find_trace(weights), math.prod(shape)), at, np.ravel(weights)[inside])
    counts = flat.reshape(shape)
    if density:
        for k, e in enumerate(edges):
            counts = counts / np.diff(e).reshape([-1 if j == k else 1 for j in np.arange(len(shape))])
        counts = counts / np.sum(flat)
    return counts, edges


@implements(np.histogram2d)
def histogram2d(x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    if np.ndim(bins) == 1 and len(bins) not in (1, 2):
        bins = [bins, bins]
    counts, edges = histogramdd([x, y], bins, range, density, weights)
    return counts, edges[0], edges[1]


METHODS.update(sort=sort_in_place, partition=partition_in_place)
for _name in ("argmax", "argmin", "argsort", "any", "all", "nonzero", "searchsorted", "argpartition"):
    METHODS[_name] = lambda a, *args, _name=_name, **kw: getattr(traced.value_of(a), _name)(*values(args), **values(kw))

on_values("argmax", "argmin", "argsort", "any", "all", "searchsorted", "digitize", "nanargmax", "nanargmin", "lexsort",
          "argpartition", "isin", "histogram_bin_edges")  # fmt: skip
