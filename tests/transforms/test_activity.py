"""The explicit interface: activities, shadows that are added to, seeds that are used up."""

import dataclasses
import enum

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import adcore
from adcore import Active, ActiveOnly, Const, Dual, DualOnly, Dualv, DualvOnly, Duplicated, DuplicatedOnly, autodiff, config, errors
from adcore.kernels import probe
from adcore.sweep import engine

rng = np.random.default_rng(0)


def weighted(x, n, s):
    return s * np.sum(x**n)


def test_the_issue_s_call_value_first_then_derivatives_of_active_arguments_and_the_shadow_is_added_to():
    df = autodiff(weighted, "reverse", Duplicated, Const, Active, ret=Active)
    x, dx = np.array([1.0, 2.0]), np.array([10.0, 20.0])
    y, ds = df(x, dx, 3, 2.0, seed=1.0)
    assert (y, ds) == (18.0, 9.0)
    assert_array_equal(dx, [10 + 6.0, 20 + 24.0])
    df(x, dx, 3, 2.0, seed=-1.0)
    assert_array_equal(dx, [10.0, 20.0])


def test_active_only_leaves_the_value_out():
    df = autodiff(weighted, "reverse", Duplicated, Const, Active, ret=ActiveOnly)
    assert df(np.ones(2), np.zeros(2), 2, 3.0) == 2.0
    assert autodiff(np.sum, "reverse", Duplicated, ret=ActiveOnly)(np.ones(2), np.zeros(2)) is None


def test_a_constant_result_is_returned_and_not_differentiated():
    def f(x, out):
        out[:] = 2 * x
        return np.sum(x**2)

    x, dx, out, dout = np.ones(3), np.zeros(3), np.zeros(3), np.ones(3)
    assert autodiff(f, "reverse", Duplicated, Duplicated, ret=Const)(x, dx, out, dout) == 3.0
    assert_array_equal(dx, [2.0, 2.0, 2.0])


def laplace(u, out):
    for i in range(1, len(u) - 1):
        out[i] = u[i - 1] - 2 * u[i] + u[i + 1] + u[i] ** 3


def laplace_matrix(u):
    j = np.zeros((len(u), len(u)))
    for i in range(1, len(u) - 1):
        j[i, i - 1 : i + 2] = 1.0, -2.0 + 3 * u[i] ** 2, 1.0
    return j


def test_a_kernel_that_returns_none_uses_its_seed_up():
    u, out = rng.normal(size=6), rng.normal(size=6)
    start, seed = out.copy(), rng.normal(size=6)
    du, dout = np.ones(6), seed.copy()
    assert autodiff(laplace, "reverse", Duplicated, Duplicated)(u, du, out, dout) is None
    assert_allclose(du, 1 + laplace_matrix(u).T @ seed)
    assert_array_equal(dout, [seed[0], 0, 0, 0, 0, seed[5]])  # zeros where it was overwritten
    laplace(u, start)
    assert_array_equal(out, start)


def test_forward_overwrites_the_shadows_of_what_is_written():
    u, tu = rng.normal(size=6), rng.normal(size=6)
    out, tout = np.zeros(6), np.full(6, np.nan)
    tout[[0, 5]] = 0.5
    before = tu.copy()
    assert autodiff(laplace, "forward", Dual, Dual)(u, tu, out, tout) is None
    want = laplace_matrix(u) @ tu
    want[[0, 5]] = 0.5
    assert_allclose(tout, want)
    assert_array_equal(tu, before)


def test_duplicated_only_does_not_write_the_primal():
    for only, mode, activity in ((DuplicatedOnly, "reverse", Duplicated), (DualOnly, "forward", Dual)):
        out = np.full(6, 7.0)
        autodiff(laplace, mode, activity, only)(rng.normal(size=6), np.zeros(6), out, np.zeros(6))
        assert_array_equal(out, np.full(6, 7.0))


def test_an_argument_updated_in_place_has_the_adjoint_of_what_it_was():
    def step(x, a):
        x *= a
        x += np.sin(x)

    x, a = rng.normal(size=4), 1.7
    old, seed = x.copy(), rng.normal(size=4)
    dx = seed.copy()
    (da,) = (autodiff(step, "reverse", Duplicated, Active)(x, dx, a),)
    slope = 1 + np.cos(a * old)
    assert_allclose(dx, seed * slope * a)
    assert_allclose(da, np.sum(seed * slope * old))
    assert_allclose(x, a * old + np.sin(a * old))


def test_constant_work_arrays_may_be_written_and_carry_derivatives_inside():
    def f(x, work):
        work[:] = x**2
        return np.sum(work * x)

    x, dx, work = np.array([1.0, 2.0]), np.zeros(2), np.zeros(2)
    assert autodiff(f, "reverse", Duplicated, Const, ret=Active)(x, dx, work) == 9.0
    assert_array_equal(dx, 3 * x**2)
    assert_array_equal(work, x**2)


def test_forward_returns_value_and_tangent():
    f = autodiff(weighted, "forward", Dual, Const, Dual, ret=Dual)
    y, ty = f(np.array([1.0, 2.0]), np.array([1.0, 0.0]), 2, 3.0, 0.5)
    assert (y, ty) == (15.0, 6.0 + 0.5 * 5)
    assert autodiff(weighted, "forward", Dual, Const, Const, ret=DualOnly)(np.ones(2), np.ones(2), 2, 3.0) == 12.0


def test_several_shadows_in_one_call():
    x, n = rng.normal(size=5), 3
    shadows = [np.full(5, float(k)) for k in range(n)]
    df = autodiff(weighted, "reverse", Duplicated, Const, Active, ret=Active, width=n)
    y, ds = df(x, *shadows, 2, 3.0, seed=[1.0, 2.0, -1.0])
    assert_allclose(y, 3 * np.sum(x**2))
    assert_allclose(ds, np.sum(x**2) * np.array([1.0, 2.0, -1.0]))
    for k, seed in enumerate((1.0, 2.0, -1.0)):
        assert_allclose(shadows[k], k + seed * 6 * x)
    tangents = [rng.normal(size=5) for _ in range(n)]
    _, *ty = autodiff(weighted, "forward", Dual, Const, Const, ret=Dual, width=n)(x, *tangents, 2, 3.0)
    assert_allclose(ty, [6 * x @ t for t in tangents])


@pytest.mark.parametrize("width", [1, 3])
def test_a_stacked_shadow_holds_the_directions_along_its_first_axis(width):
    u, tu = rng.normal(size=6), rng.normal(size=(width, 6))
    out, tout = np.full(6, 7.0), np.zeros((width, 6))
    autodiff(laplace, "forward", Dualv, DualvOnly, width=width)(u, tu, out, tout)
    assert_allclose(tout, tu @ laplace_matrix(u).T)
    assert_array_equal(out, np.full(6, 7.0))


def test_an_array_result_takes_a_seed_like_it():
    df = autodiff(lambda x: x[::-1] ** 2, "reverse", Duplicated, ret=Active)
    x, dx, seed = np.array([1.0, 2.0, 3.0]), np.zeros(3), np.array([1.0, 10.0, 100.0])
    assert_array_equal(df(x, dx, seed=seed), [9.0, 4.0, 1.0])
    assert_array_equal(dx, 2 * x * seed[::-1])
    with pytest.raises(errors.ArgumentError, match="seed like it"):
        df(x, dx)


class Kind(enum.Enum):
    LINEAR = 1
    CUBIC = 2


@dataclasses.dataclass
class Layer:
    w: np.ndarray
    kind: Kind
    scale: float


def network(params, x):
    for layer in params["layers"]:
        x = layer.scale * (layer.w @ x)
        x = x**3 if layer.kind is Kind.CUBIC else x
    return np.sum(x) + sum(np.sum(part) for part in params["ragged"])


def make_params(fill):
    array = (lambda *shape: rng.normal(size=shape)) if fill is None else (lambda *shape: np.full(shape, fill))
    number = 1.5 if fill is None else fill
    return {
        "layers": [Layer(array(3, 2), Kind.CUBIC, number), Layer(array(4, 3), Kind.LINEAR, number)],
        "ragged": [array(1), array(5), array(0)],
        "nothing": None,
        "sizes": np.array([3, 4]),
        "name": "net",
    }


def test_structures_of_arrays():
    p, dp, x = make_params(None), make_params(1.0), rng.normal(size=2)
    y = autodiff(network, "reverse", Duplicated, Const, ret=Active)(p, dp, x)
    assert_allclose(y, network(p, x))

    def flat(w0, w1, s0, s1):
        q = {**p, "layers": [Layer(w0, Kind.CUBIC, s0), Layer(w1, Kind.LINEAR, s1)]}
        return network(q, x)

    layers = p["layers"]
    want = adcore.grad(flat, argnums=(0, 1, 2, 3))(layers[0].w, layers[1].w, 1.5, 1.5)
    got = dp["layers"]
    for g, w in zip((got[0].w, got[1].w, got[0].scale, got[1].scale), want, strict=True):
        assert_allclose(g, 1 + w)
    assert [part.tolist() for part in dp["ragged"]] == [[2.0], [2.0] * 5, []]
    assert_array_equal(dp["sizes"], [3, 4])


PARTICLE = np.dtype([("pos", "f8", (3,)), ("mass", "f8"), ("id", "i8")])


def energy(ps, out):
    for i in range(len(ps)):
        out["pos"][i] = ps["mass"][i] * ps[i]["pos"] ** 2
    ps["mass"] *= 2.0
    return np.sum(ps.pos) * np.sum(out["pos"])


@pytest.mark.parametrize("kind", ["array", "recarray", "strided"])
def test_structured_arrays(kind):
    def make():
        a = np.zeros(8 if kind == "strided" else 4, PARTICLE)
        a = a[::2] if kind == "strided" else a
        return a.view(np.recarray) if kind == "recarray" else a

    ps, dps, out, dout = make(), make(), make(), make()
    ps["pos"], ps["mass"], ps["id"] = rng.normal(size=(4, 3)), rng.normal(size=4), range(4)
    dps["mass"] = 1.0
    pos, mass = ps["pos"].copy(), ps["mass"].copy()
    value = autodiff(energy, "reverse", Duplicated, Duplicated, ret=Active)(ps, dps, out, dout)
    assert_allclose(value, np.sum(pos) * np.sum(mass[:, None] * pos**2))
    assert_allclose(ps["mass"], 2 * mass)
    assert_array_equal(ps["id"], range(4))
    assert_allclose(out["pos"], mass[:, None] * pos**2)
    assert_allclose(dps["mass"], 2.0 + np.sum(pos) * np.sum(pos**2, 1))
    assert_allclose(dps["pos"], np.sum(mass[:, None] * pos**2) + np.sum(pos) * 2 * mass[:, None] * pos)
    assert not dps["id"].any()


def test_strided_float32_and_zero_dimensional_shadows():
    x, dx = np.arange(10, dtype=np.float32)[::-2], np.zeros(10, np.float32)[::2]
    b, db = np.array(2.0), np.array(1.0)
    y = autodiff(lambda x, b: np.sum(x**2) * b, "reverse", Duplicated, Duplicated, ret=Active)(x, dx, b, db)
    assert y == 2 * np.sum(x**2)
    assert_array_equal(dx, 4 * x)
    assert db == 1 + np.sum(x**2)


def test_work_for_constants_and_for_what_reaches_no_active_result_is_pruned(monkeypatch):
    programs = []
    plan_of = engine.plan_of
    monkeypatch.setattr(engine, "plan_of", lambda program: programs.append(str(program)) or plan_of(program))

    def f(a, b, unused):
        waste = np.sum(np.exp(unused @ unused))
        del waste
        return np.sum(a @ b)

    def run(*activities):
        df = autodiff(f, "reverse", *activities, ret=ActiveOnly)
        args = [x for a in activities for x in ([m(), m()] if a is Duplicated else [m()])]
        df(*args)
        return programs.pop().count("matmul")

    def m():
        return np.ones((3, 3))

    assert run(Duplicated, Duplicated, Duplicated) == 2  # one for each adjoint; the value is not wanted, nor is the waste
    assert run(Duplicated, Const, Duplicated) == 1
    assert run(Const, Const, Duplicated) == 0


def test_calls_are_replayed_under_guards():
    def f(x, s):
        return s * np.sum(x) if x[0] > 0 else np.sum(x**2)

    df = autodiff(f, "reverse", Duplicated, Active, ret=ActiveOnly)
    for first, want in ((1.0, 3.0), (2.0, 3.0), (-1.0, -2.0), (-2.0, -4.0), (4.0, 3.0)):
        dx = np.zeros(2)
        df(np.array([first, 1.0]), dx, 3.0)
        assert dx[0] == want
    assert df.recordings == 2


def test_functions_that_cannot_be_replayed_are_right_each_time():
    state = np.random.default_rng(1)

    def f(x):
        return np.sum(x) * state.normal()

    df, twin = autodiff(f, "reverse", Duplicated, ret=Active), np.random.default_rng(1)
    for _ in range(3):
        dx = np.zeros(2)
        df(np.ones(2), dx)
        assert_allclose(dx, twin.normal())
    assert "random" in df.why_not


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_agrees_with_vjp_and_jvp(mode):
    def f(x, w):
        return np.tanh(w @ x) * np.sum(x)

    x, w = rng.normal(size=3), rng.normal(size=(4, 3))
    y, pullback = adcore.vjp(f, x, w)
    if mode == "reverse":
        dx, dw, seed = np.zeros(3), np.zeros((4, 3)), rng.normal(size=4)
        assert_array_equal(autodiff(f, mode, Duplicated, Duplicated, ret=Active)(x, dx, w, dw, seed=seed), y)
        for got, want in zip((dx, dw), pullback(seed), strict=True):
            assert_array_equal(got, want)
    else:
        tx, tw = rng.normal(size=3), rng.normal(size=(4, 3))
        got = autodiff(f, mode, Dual, Dual, ret=Dual)(x, tx, w, tw)
        assert_allclose(got, adcore.jvp(f, (x, w), (tx, tw)))


REFUSED = [
    ("too few activities", lambda: autodiff(weighted, "reverse", Duplicated), "its argument n has none"),
    ("too many activities", lambda: autodiff(np.sin, "reverse", *[Const] * 3)(1.0), "takes"),
    ("a forward activity in reverse mode", lambda: autodiff(weighted, "reverse", Dual, Const, Const), "Dual is no activity"),
    ("a reverse result in forward mode", lambda: autodiff(np.sum, "forward", Dual, ret=Active), "ret=Active is no activity"),
    ("a mode", lambda: autodiff(np.sum, "backward", Const), "backward"),
    ("no function", lambda: autodiff(3, "reverse"), "takes a function, not int"),
    ("width", lambda: autodiff(np.sum, "forward", Dual, width=0), "width=0"),
    ("ret left out", lambda: autodiff(lambda x: np.sum(x), "reverse", Duplicated)(np.ones(2), np.ones(2)), "ret=Active"),
    ("ret given for None", lambda: autodiff(laplace, "reverse", Const, Const, ret=Active)(np.ones(3), np.ones(3)), "leave ret out"),
    ("a call without its shadow", lambda: autodiff(weighted, "reverse", Duplicated, Const, Active, ret=Active)(np.ones(2), 2, 1.0),
     r"dweighted\(x, dx, n, s, seed=1.0\) takes 4 positional arguments, it got 3"),
    ("an Active array", lambda: autodiff(lambda x: np.sum(x), "reverse", Active, ret=Active)(np.ones(2)), "use Duplicated"),
    ("an Active integer", lambda: autodiff(lambda x: x * 1.0, "reverse", Active, ret=Active)(2), "Active is for floats"),
    ("a Duplicated float", lambda: autodiff(lambda x: x, "reverse", Duplicated, ret=Active)(2.0, 0.0), "use Active"),
    ("a number of seeds", lambda: autodiff(lambda x: x, "reverse", Active, ret=Active, width=2)(2.0, seed=[1.0]), "1 seeds"),
]  # fmt: skip


@pytest.mark.parametrize("call, text", [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_misuse_is_refused(call, text):
    with pytest.raises(errors.ArgumentError, match=text):
        call()


def test_a_part_that_is_replaced_instead_of_written_is_refused():
    def f(p):
        p["a"] = p["a"] * 2
        return np.sum(p["a"])

    with pytest.raises(errors.NotDifferentiable, match=r'f replaces p\["a"\]: write into the array'):
        autodiff(f, "reverse", Duplicated, ret=Active)({"a": np.ones(2)}, {"a": np.zeros(2)})


def test_inside_another_differentiation_it_says_what_to_use():
    df = autodiff(lambda x: np.sum(x), "reverse", Duplicated, ret=Active)
    with pytest.raises(errors.ArgumentError, match=r"adcore\.vjp"):
        adcore.gradient(lambda x: df(x, np.zeros(2)), np.ones(2))


SETTINGS = [
    {"unchecked": unchecked, "noalias": noalias, "isa": isa}
    for isa in adcore.config.cpu_levels()
    for unchecked in (False, True)
    for noalias in (False, True)
]


def test_each_toggle_selects_its_build_and_all_builds_agree(monkeypatch):
    """Tables and settings are compared where the engine asks for them, so no build can stand in for another."""
    live, used = adcore.config.live, []

    def watched():
        found = live()
        used.append(probe.info(found[2]))
        return found

    df = autodiff(laplace, "reverse", Duplicated, Duplicated)
    u, seed = rng.normal(size=700), rng.normal(size=700)
    monkeypatch.setattr(adcore.config, "live", watched)
    wanted, results = [], []
    for settings in SETTINGS:
        out, du, dout = np.zeros(700), np.zeros(700), seed.copy()
        with adcore.config(**settings):
            try:
                adcore.config.kernel_table()
            except ValueError:
                continue  # this installation has not got the level
            df(u, du, out, dout)
            df(u, du, out, dout.copy())
        wanted.append({"checked": not settings["unchecked"], "noalias": settings["noalias"], "isa": config.LEVELS.index(settings["isa"])})
        results.append((out, du, dout))
    assert len(wanted) >= 4
    seen = [build for k, build in enumerate(used) if k == 0 or build != used[k - 1]]
    assert seen == wanted
    for found in results[1:]:
        for ours, theirs in zip(found, results[0], strict=True):
            assert_array_equal(ours, theirs)
