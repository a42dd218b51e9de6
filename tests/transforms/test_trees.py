"""Trees through every transform: the structure of results, the order of arguments, what is refused."""

import collections
import dataclasses
import importlib.util

import adcore.trees
import numpy as np
import pytest
from numpy.testing import assert_allclose

import adcore
from adcore import errors

x = np.array([0.3, 0.7, 1.1])
m = np.arange(9.0).reshape(3, 3) / 10
Pair = collections.namedtuple("Pair", "w b")


@dataclasses.dataclass(frozen=True)
class Model:
    w: object
    rest: object = None


TREE = {"a": x, "b": [2 * x, (3.0, None)], "pair": Pair(m, 1.0), "model": Model(x, Pair(x, 2.0))}


def of_tree(p):
    inner = p["model"]
    return (
        np.sum(p["a"] * p["b"][0]) * p["b"][1][0]
        + np.sum(p["pair"].w @ p["a"]) * p["pair"].b
        + np.sum(np.sin(inner.w * inner.rest.w)) * inner.rest.b
    )


def flat_of(tree):
    return [a for _, a in adcore.trees.leaves(tree)]


def from_vector(v, like=TREE):
    at = iter(np.split(v, np.cumsum([np.size(a) for a in flat_of(like)])[:-1]))
    return adcore.trees.mapped(lambda a, path: np.reshape(next(at), np.shape(a))[()], like)


def vector(tree):
    return np.concatenate([np.reshape(a, -1) for a in flat_of(tree)])


def test_results_have_the_structure_of_the_argument():
    g = adcore.grad(of_tree)(TREE)
    assert list(g) == list(TREE) and type(g["b"]) is list and type(g["b"][1]) is tuple and g["b"][1][1] is None
    assert type(g["pair"]) is Pair and type(g["model"]) is Model and isinstance(g["b"][1][0], float)
    assert_allclose(vector(g), adcore.gradient(lambda v: of_tree(from_vector(v)), vector(TREE)))


def blocks_of(tree_of_trees, like=TREE):
    """A tree of trees of blocks as one matrix."""
    sizes = [np.size(a) for a in flat_of(like)]
    rows = [flat_of(row) for row in adcore.trees.mapped(lambda a, path: a, tree_of_trees)["rows"]]
    return np.block([[np.reshape(b, (n, k)) for b, k in zip(row, sizes, strict=True)] for row, n in zip(rows, sizes, strict=True)])


def test_hessian_of_a_tree_is_a_tree_of_trees():
    h = adcore.hessian(of_tree)(TREE)
    assert type(h["model"]) is Model and type(h["model"].rest.b["pair"]) is Pair
    assert h["pair"].w["a"].shape == (3, 3, 3) and np.shape(h["pair"].b["b"][1][0]) == ()
    whole = adcore.hessian(lambda v: of_tree(from_vector(v)))(vector(TREE))
    rows = [h["a"], h["b"][0], h["b"][1][0], h["pair"].w, h["pair"].b, h["model"].w, h["model"].rest.w, h["model"].rest.b]
    found = blocks_of({"rows": rows})
    assert_allclose(found, whole, atol=1e-14)
    np.testing.assert_array_equal(found, found.T)
    compiled = adcore.compile(adcore.hessian(of_tree))
    for _ in range(2):
        assert_allclose(compiled(TREE)["pair"].w["a"], h["pair"].w["a"])


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_jacobian_from_tree_to_tree(mode):
    f = lambda p: {"outer": np.outer(p["a"], p["b"]), "sum": np.sum(p["a"]) * p["c"], "constant": np.ones(2)}  # noqa: E731
    p = {"a": x, "b": x[:2], "c": 2.0}
    j = adcore.jacobian(f, mode=mode)(p)
    assert_allclose(j["outer"]["a"], np.einsum("ik,j->ijk", np.eye(3), x[:2]))
    assert_allclose(j["outer"]["b"], np.einsum("jk,i->ijk", np.eye(2), x))
    assert_allclose(j["outer"]["c"], np.zeros((3, 2)))
    assert_allclose(j["sum"]["a"], 2.0 * np.ones(3))
    assert_allclose(j["sum"]["c"], np.sum(x))
    assert j["constant"]["b"].shape == (2, 2) and not np.any(j["constant"]["b"])


def test_matrices_of_trees_that_are_nearly_empty():
    p = {"a": np.linspace(0.1, 1.0, 300), "b": np.linspace(1.0, 2.0, 300)}
    f = lambda p: np.sum(np.sin(p["a"] * p["b"]))  # noqa: E731
    h = adcore.hessian(f)(p)
    a, b = p["a"], p["b"]
    assert_allclose(h["a"]["a"], np.diag(-(b**2) * np.sin(a * b)), atol=1e-14)
    assert_allclose(h["a"]["b"], np.diag(np.cos(a * b) - a * b * np.sin(a * b)), atol=1e-14)
    j = adcore.jacobian(lambda p: (p["a"] * p["b"], p["a"] ** 2))(p)
    assert_allclose(j[0]["b"], np.diag(a))
    assert_allclose(j[1]["a"], np.diag(2 * a))
    assert not np.any(j[1]["b"])


def test_complex_leaves_beside_real_ones():
    z = np.array([1 + 2j, 0.5 - 1j])
    j = adcore.jacobian(lambda p: np.abs(p["z"]) ** 2 * p["r"])({"z": z, "r": 2.0})
    assert_allclose(j["z"], np.diag(4.0 * np.conj(z)))
    assert_allclose(j["r"], np.abs(z) ** 2)
    with pytest.raises(errors.ArgumentError, match="complex argument"):
        adcore.hessian(lambda p: np.sum(np.abs(p["z"]) ** 2))({"z": z})


def test_argnums_keep_their_order():
    f = lambda a, b, c: np.sum(a * b) + c * np.sum(b**3)  # noqa: E731
    args = (x, 2 * x, 3.0)
    by_c, by_a = adcore.grad(f, argnums=(2, 0))(*args)
    assert_allclose(by_a, 2 * x)
    assert_allclose(by_c, np.sum(8 * x**3))
    (hcc, hcb), (hbc, hbb) = adcore.hessian(f, argnums=(2, 1))(*args)
    assert_allclose(hcc, 0.0)
    assert_allclose(hcb, 3 * (2 * x) ** 2)
    assert_allclose(hbc, hcb)
    assert_allclose(hbb, np.diag(18 * 2 * x))
    jb, ja = adcore.jacobian(lambda a, b: a * b, argnums=(1, 0))(x, 3 * x)
    assert_allclose(ja, np.diag(3 * x))
    assert_allclose(jb, np.diag(x))
    columns = adcore.sparse_jacobian(lambda a, b: a * b, x, 3 * x, argnums=(1, 0)).toarray()
    assert_allclose(columns, np.hstack([np.diag(x), np.diag(3 * x)]))
    value, (by_b, by_a) = adcore.compile(adcore.value_and_grad(f, argnums=(-2, 0)))(*args)
    assert_allclose(by_b, x + 9 * (2 * x) ** 2)
    assert_allclose((value, *by_a), (f(*args), *2 * x))


def test_auxiliary_results_are_differentiated_by_a_recording_around():
    f = lambda x: (np.sum(x**2), {"double": x * 2, "z": x * 1j, "text": "text", "order": np.argsort(x)})  # noqa: E731

    def outer(x):
        g, aux = adcore.grad(f, has_aux=True)(x)
        assert aux["text"] == "text" and aux["order"].dtype.kind == "i"
        return np.sum(g * aux["double"]) + np.sum(np.abs(aux["z"]) ** 2)

    assert_allclose(adcore.gradient(outer, x), 10 * x)
    assert_allclose(adcore.hessian(outer)(x), 10 * np.eye(3))
    replayed = adcore.compile(adcore.grad(f, has_aux=True))
    for k in (1.0, 2.0):
        g, aux = replayed(k * x)
        assert_allclose(g, 2 * k * x)
        assert_allclose(aux["double"], 2 * k * x)
    assert type(adcore.grad(f, has_aux=True)(x)[1]["double"]) is np.ndarray


def test_a_pullback_stands_for_the_point_it_was_made_at():
    at, scale = x.copy(), np.ones(3)
    _, pullback = adcore.vjp(lambda x: x**2 * scale, at)
    at[:], scale[:] = 7.0, 5.0
    assert_allclose(pullback(np.ones(3))[0], 2 * x)


def test_other_structures_are_refused_by_their_place():
    for call, text in (
        (lambda: adcore.jvp(lambda p: p["a"], ({"a": 1.0},), ({"b": 1.0},)), r'tangent 0 is dict with \["b"\]'),
        (lambda: adcore.vjp(lambda x: {"u": x}, x)[1](np.ones(3)), r'it should be like dict with \["u"\]'),
        (lambda: adcore.grad(lambda p: 1.0)({"a": {1, 2}}), r'argument 0\["a"\]'),
        (lambda: adcore.grad(lambda p: 1.0)({"a": [1.0, "text"]}), r'argument 0\["a"\]\[1\] is str'),
        (lambda: adcore.jacobian(lambda x: {"a": "text"})(x), r'returned str in \["a"\]'),
    ):
        with pytest.raises(errors.ArgumentError, match=text):
            call()


# -- every kind of tree through every transform -----------------------------------------------------------


@dataclasses.dataclass
class Open:
    w: object
    b: object
    rest: object = None


@dataclasses.dataclass(frozen=True, slots=True)
class Shut:
    w: object
    b: object
    rest: object = None


Triple = collections.namedtuple("Triple", "w b rest")
KINDS = {
    "dict": lambda w, b: {"w": w, "b": b, "rest": None},
    "ordered dict": lambda w, b: collections.OrderedDict(w=w, b=b, rest=None),
    "default dict": lambda w, b: collections.defaultdict(list, w=w, b=b, rest=None),
    "list": lambda w, b: [w, b, None],
    "tuple": lambda w, b: (w, b, None),
    "named tuple": lambda w, b: Triple(w, b, None),
    "dataclass": Open,
    "frozen dataclass with slots": Shut,
    "nested": lambda w, b: Open([{"w": w}, (None, ())], Shut(b, {}), None),
}
if importlib.util.find_spec("attrs"):
    import attrs

    KINDS["attrs class"] = attrs.make_class("Attrs", ["w", "b"])
    KINDS["frozen attrs class"] = attrs.make_class("FrozenAttrs", ["w", "b"], frozen=True, slots=True)


def two(tree):
    """The array and the float of a tree of each kind."""
    if isinstance(tree, Open) and isinstance(tree.w, list):
        return tree.w[0]["w"], tree.b.w
    if isinstance(tree, dict):
        return tree["w"], tree["b"]
    return tree[:2] if isinstance(tree, (list, tuple)) else (tree.w, tree.b)


def scalar(p):
    w, b = two(p)
    return np.sum(w**2) * b


def array(p):
    w, b = two(p)
    return w**2 * b


def through_custom_vjp(make):
    f = adcore.custom_vjp(scalar)
    f.defvjp(lambda p: (scalar(p), two(p)), lambda kept, g: (make(2 * kept[0] * kept[1] * g, np.sum(kept[0] ** 2) * g),))
    return f


def through_primitive(make):
    return adcore.primitive(
        lambda p: float(scalar(p)), vjp=lambda g, y, p: (make(2 * two(p)[0] * two(p)[1] * g, np.sum(two(p)[0] ** 2) * g),)
    )


# each gives the gradient of `scalar` at a tree, as a tree
GRADIENTS = {
    "gradient": lambda make: lambda p: adcore.gradient(scalar, p),
    "value_and_grad": lambda make: lambda p: adcore.value_and_grad(scalar)(p)[1],
    "vjp": lambda make: lambda p: adcore.vjp(scalar, p)[1](1.0)[0],
    "compile": lambda make: adcore.compile(adcore.grad(scalar)),
    "jacobian": lambda make: adcore.jacobian(scalar, mode="reverse"),
    "jacobian forward": lambda make: adcore.jacobian(scalar, mode="forward"),
    "checkpoint": lambda make: adcore.grad(adcore.checkpoint(scalar)),
    "checkpoint of a tree": lambda make: adcore.grad(lambda p: scalar(adcore.checkpoint(lambda q: q)(p))),
    "loop": lambda make: adcore.grad(lambda p: scalar(adcore.loop(lambda q: q, p, 3))),
    "custom_vjp": lambda make: adcore.grad(through_custom_vjp(make)),
    "primitive": lambda make: adcore.grad(through_primitive(make)),
    "has_aux": lambda make: lambda p: adcore.grad(lambda p: (scalar(p), p), has_aux=True)(p)[0],
}


@pytest.mark.parametrize("transform", GRADIENTS.values(), ids=GRADIENTS)
@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_every_kind_of_tree_goes_through_every_transform(make, transform):
    f, p = transform(make), make(x, 2.0)
    for _ in range(2):
        g = f(p)
        assert type(g) is type(p)
        assert_allclose(two(g)[0], 4 * x)
        assert_allclose(two(g)[1], np.sum(x**2))


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_every_kind_of_tree_has_matrices_and_tangents(make):
    p = make(x, 2.0)
    assert_allclose(adcore.jvp(scalar, (p,), (make(np.ones(3), 0.5),))[1], np.sum(4 * x) + 0.5 * np.sum(x**2))
    for mode in ("forward", "reverse"):
        w, b = two(adcore.jacobian(array, mode=mode)(p))
        assert_allclose(w, np.diag(4 * x))
        assert_allclose(b, x**2)
    h = adcore.hessian(scalar)(p)
    assert_allclose(two(two(h)[0])[0], 4 * np.eye(3))
    assert_allclose([two(two(h)[0])[1], two(two(h)[1])[0]], [2 * x] * 2)
    assert_allclose(adcore.sparse_jacobian(array, p).toarray(), np.column_stack([np.diag(4 * x), x**2]))
    assert_allclose(adcore.sparse_hessian(scalar, p).toarray()[:3, 3], 2 * x)
    assert_allclose(two(adcore.hvp(scalar, p, make(np.ones(3), 0.0)))[0], 4.0)
