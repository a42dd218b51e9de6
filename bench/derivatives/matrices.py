"""Whole derivative matrices, dense and sparse, against JAX, CasADi, single sweeps and blocks assembled by hand.

``first`` is the first matrix with all that goes before it (recording, pattern, colouring, compilation). ``sweeps`` finds the same matrix by
one directional derivative after the other: one a column, or one a colour.
"""

import functools
import importlib.util
import json
import subprocess
import sys

import numpy as np
import scipy.sparse

import adcore
from bench import ROOT, timed
from bench.memory import status
from bench.problems import ba, rosenbrock
from bench.study import interleaved

from . import Row

INSTALLED = {name for name in ("jax", "casadi") if importlib.util.find_spec(name)}


def jax_peer(transform, f, x):
    """A jitted transform of a function that takes the NumPy module it computes with."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    g = jax.jit(getattr(jax, transform)(lambda x: f(x, jnp)))
    at = jnp.asarray(x)
    return lambda: jax.block_until_ready(g(at))


def casadi_peer(make, n, x, sparse):
    """A CasADi function of a vector that gives a matrix; called through its buffers."""
    import casadi

    f = casadi.Function("f", *make(casadi, n))
    pattern = f.sparsity_out(0)
    given, values = np.array(x, dtype=float).ravel(), np.zeros(pattern.nnz())
    buffer, run = f.buffer()
    buffer.set_arg(0, memoryview(given))
    buffer.set_res(0, memoryview(values))
    indptr, rows = np.array(pattern.colind()), np.array(pattern.row())

    def call():
        run()
        found = scipy.sparse.csc_array((values.copy(), rows, indptr), shape=pattern.shape)
        return found if sparse else found.toarray()

    call.kept = f, buffer, given  # the buffer holds pointers
    return call


def one_by_one(f, x, seeds):
    """One compiled forward sweep for each seed (a column each)."""
    along = adcore.compile(lambda x, t: adcore.jvp(f, (x,), (t,))[1])
    return lambda: np.stack([np.ravel(along(x, t)) for t in seeds], axis=-1)


def recovered(f, plan, x):
    """A sparse matrix from one compiled sweep for each colour, with the recipe of a plan."""
    recipe = plan.recipe(x)
    seeds = [(recipe.forward == k).astype(float).reshape(x.shape) for k in range(recipe.n_forward)]
    columns = one_by_one(f, x, seeds)
    return lambda: scipy.sparse.csr_array(
        (recipe.data([columns()], (recipe.n_forward, 1)), recipe.indices, recipe.indptr), shape=recipe.shape
    )


# -- cases: peers by name, the first is the reference -------------------------------------------------

rng = np.random.default_rng(0)
MATRIX = rng.normal(size=(100, 100)) / 10.0


def network(x, np=np):
    return np.tanh(MATRIX @ x) * np.sin(x) + np.exp(-x * x)


def valley(x, np=np):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def casadi_valley(casadi, n):
    x = casadi.SX.sym("x", n)
    f = casadi.sumsqr(10.0 * (x[1:] - x[:-1] ** 2)) + casadi.sumsqr(1.0 - x[:-1])
    return [x], [casadi.hessian(f, x)[0]]


def dense_jacobian():
    x = rng.normal(size=100)

    def symbolic(casadi, n):
        x = casadi.MX.sym("x", n)
        return [x], [casadi.jacobian(casadi.tanh(casadi.DM(MATRIX) @ x) * casadi.sin(x) + casadi.exp(-x * x), x)]

    peers = {f"adcore {mode}": lambda mode=mode: by_point(adcore.compile(adcore.jacobian(network, mode=mode)), x)
             for mode in ("auto", "forward", "reverse")}  # fmt: skip
    return peers | {
        "adcore, not compiled": lambda: by_point(adcore.jacobian(network), x),
        "sweeps (100)": lambda: one_by_one(network, x, np.eye(100)),
        "jax jacfwd": lambda: jax_peer("jacfwd", network, x),
        "jax jacrev": lambda: jax_peer("jacrev", network, x),
        "casadi": lambda: casadi_peer(symbolic, 100, x, False),
    }


def by_point(f, *args):
    return lambda: f(*args)


def dense_hessian(n=1000):
    x = rng.normal(size=n)
    return {
        "adcore": lambda: by_point(adcore.compile(adcore.hessian(valley)), x),
        "adcore sparse": lambda: by_point(adcore.SparseHessian(valley), x),
        f"sweeps ({n})": lambda: one_by_one(adcore.grad(valley), x, np.eye(n)),
        "jax hessian": lambda: jax_peer("hessian", valley, x),
        "casadi": lambda: casadi_peer(casadi_valley, n, x, False),
        "casadi sparse": lambda: casadi_peer(casadi_valley, n, x, True),
    }


def chained(n=100_000):
    x = rng.normal(size=n)
    plan = adcore.SparseHessian(valley)
    return {
        "adcore sparse": lambda: by_point(adcore.SparseHessian(valley), x),
        "sweeps (colours)": lambda: recovered(adcore.grad(valley), plan, x),
        "gradient": lambda: by_point(adcore.compile(adcore.grad(valley)), x),
        "gradient by hand": lambda: lambda: rosenbrock.by_hand(x)[1][0],
        "casadi sparse": lambda: casadi_peer(casadi_valley, n, x, True),
    }


def bratu(u, np=np):
    """Laplace's equation with an exponential source on a square, zero around it."""
    h = 1.0 / (u.shape[0] + 1)
    p = np.pad(u, 1)
    return (p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4.0 * u) / h**2 + 6.0 * np.exp(u)


def casadi_bratu(casadi, n):
    m = round(n**0.5)
    x = casadi.SX.sym("x", n)
    u = casadi.reshape(x, m, m).T
    z, h = casadi.SX.zeros(m + 2, m + 2), 1.0 / (m + 1)
    z[1:-1, 1:-1] = u
    f = (z[:-2, 1:-1] + z[2:, 1:-1] + z[1:-1, :-2] + z[1:-1, 2:] - 4.0 * u) / h**2 + 6.0 * casadi.exp(u)
    return [x], [casadi.jacobian(casadi.vec(f.T), x)]


def stencil(m):
    u = rng.normal(size=(m, m))
    plan = adcore.SparseJacobian(bratu, mode="forward")
    peers = {
        "adcore sparse": lambda: by_point(adcore.SparseJacobian(bratu), u),
        "sweeps (colours)": lambda: recovered(bratu, plan, u),
        "casadi sparse": lambda: casadi_peer(casadi_bratu, m * m, u, True),
    }
    if m <= 40:
        flat = lambda x, np=np: np.reshape(bratu(np.reshape(x, (m, m)), np), (-1,))  # noqa: E731
        peers |= {
            "adcore dense": lambda: by_point(adcore.compile(adcore.jacobian(flat)), u.ravel()),
            "jax jacfwd": lambda: jax_peer("jacfwd", flat, u.ravel()),
        }
    return peers


# -- bundle adjustment: one sparse matrix, against blocks that a person arranges -------------------------


class Bundle:
    """Cameras, points and weights seen by observations; the parameters of all of them are one vector."""

    def __init__(self):
        p = ba.instance()
        cams, X, self.w, self.feats = p.args
        self.n = len(self.w)
        n_cams, n_points = 49, 7776
        self.cam, self.point = np.arange(self.n) % n_cams, np.arange(self.n) % n_points
        self.cams, self.X = cams[:n_cams].copy(), X[:n_points].copy()

    def f(self, cams, X, w):
        """Both residuals of each observation, and the error of each weight."""
        r1, r2 = ba.residuals(cams[self.cam], X[self.point], w, self.feats)
        return np.stack([r1, r2], axis=1), 1.0 - w * w

    @property
    def args(self):
        return self.cams, self.X, self.w

    def blocks(self):
        """The 2 x 15 block of each observation, by two seeds in one sweep over parameters repeated for each observation."""
        n = self.n
        seeds = np.zeros((2, n, 2))
        seeds[0, :, 0] = seeds[1, :, 1] = 1.0

        def pulled(cams, X, w, feats):
            return adcore.vjp(lambda a, b, c: np.stack(ba.residuals(a, b, c, feats)), cams, X, w)[1](seeds)

        compiled = adcore.compile(pulled)
        return lambda: compiled(self.cams[self.cam], self.X[self.point], self.w, self.feats)

    def by_blocks(self):
        """The matrix from these blocks; where they stand is worked out once."""
        n, first_point, first_w = self.n, self.cams.size, self.cams.size + self.X.size
        columns = np.concatenate(
            [
                11 * self.cam[:, None] + np.arange(11),
                first_point + 3 * self.point[:, None] + np.arange(3),
                first_w + np.arange(n)[:, None],
            ],
            axis=1,
        )
        indices = np.concatenate([np.repeat(columns, 2, axis=0).ravel(), first_w + np.arange(n)]).astype(np.int32)
        indptr = np.concatenate([np.arange(0, 2 * n * 15, 15), 2 * n * 15 + np.arange(n + 1)]).astype(np.int32)
        blocks = self.blocks()

        def call():
            gc, gx, gw = blocks()
            data = np.empty(len(indices))
            rows = data[: 30 * n].reshape(n, 2, 15)
            rows[:, :, :11] = np.swapaxes(gc, 1, 2)
            rows[:, :, 11:14] = np.swapaxes(gx, 1, 2)
            rows[:, :, 14] = gw
            data[30 * n :] = -2.0 * self.w
            return scipy.sparse.csr_array((data, indices.copy(), indptr), shape=(3 * n, first_w + n))

        return call

    def jax_blocks(self):
        import jax
        import jax.numpy as jnp

        jax.config.update("jax_enable_x64", True)

        def one(cam, X, w, feat):
            p = X - cam[3:6]
            square = cam[0] ** 2 + cam[1] ** 2 + cam[2] ** 2
            theta = jnp.sqrt(jnp.where(square == 0.0, 1.0, square))
            a, c, s = cam[:3] / theta, jnp.cos(theta), jnp.sin(theta)
            turned = p * c + jnp.cross(a, p) * s + a * jnp.dot(a, p) * (1.0 - c)
            y = jnp.where(square == 0.0, p + jnp.cross(cam[:3], p), turned)
            u = y[:2] / y[2]
            radius = jnp.sum(u * u)
            return w * (u * (1.0 + cam[9] * radius + cam[10] * radius * radius) * cam[6] + cam[7:9] - feat)

        g = jax.jit(jax.vmap(jax.jacrev(one, (0, 1, 2))))
        args = [jnp.asarray(a) for a in (self.cams[self.cam], self.X[self.point], self.w, self.feats)]
        return lambda: jax.block_until_ready(g(*args))


def bundle():
    b = Bundle()
    return {
        "adcore sparse": lambda: by_point(adcore.SparseJacobian(b.f, argnums=(0, 1, 2)), *b.args),
        "blocks by hand": b.by_blocks,
        "blocks alone": b.blocks,
        "jax blocks alone": b.jax_blocks,
        "residuals": lambda: by_point(b.f, *b.args),
    }


CASES = {
    "jacobian 100 -> 100": dense_jacobian,
    "hessian, Rosenbrock 1000": dense_hessian,
    "hessian, chained 100000": chained,
    "jacobian, Bratu 20 x 20": lambda: stencil(20),
    "jacobian, Bratu 300 x 300": lambda: stencil(300),
    "jacobian, bundle adjustment": bundle,
}


def difference(found, reference):
    """Largest relative difference of two matrices; None where a peer gives something else."""
    if not hasattr(found, "shape") or found.shape != reference.shape:
        return None
    if scipy.sparse.issparse(reference) or scipy.sparse.issparse(found):
        gap = scipy.sparse.csr_array(found) - scipy.sparse.csr_array(reference)
        return float(np.max(np.abs(gap.data), initial=0.0) / abs(reference).max())
    return float(np.max(np.abs(np.asarray(found) - reference)) / np.max(np.abs(reference)))


def measured(case, make, budget):
    calls, first, results = {}, {}, {}
    for name, start in make().items():
        tool = name.split()[0]
        if tool in ("jax", "casadi") and tool not in INSTALLED:
            continue

        def begin(start=start):
            call = start()
            return call, call()

        first[name], (calls[name], results[name]) = timed(begin)
    best = interleaved(calls, budget)
    reference = next(iter(results.values()))
    return [Row(case, name, best[name], first[name], difference(results[name], reference)) for name in calls]


def memory_of(case, n):
    """The first sparse Hessian of the chained problem in a process of its own: seconds, and how far resident memory rises."""
    out = subprocess.run([sys.executable, "-m", __name__, str(n)], check=True, capture_output=True, text=True, cwd=ROOT)
    first, best, peak = json.loads(out.stdout)
    return [Row(case, "adcore sparse", best, first, None, peak, f"{peak / n:.0f} bytes a variable")]


def alone(n):
    x = rng.normal(size=n)
    adcore.sparse_hessian(valley, x[:10])
    before = status("VmRSS")
    plan = adcore.SparseHessian(valley)
    first, _ = timed(lambda: plan(x))
    peak = status("VmHWM") - before
    return first, min(timed(lambda: plan(x))[0] for _ in range(3)), peak


def cases(quick):
    for case, make in CASES.items():
        yield case, functools.partial(measured, case, make, 0.5 if quick else 6.0)
    for n in (50_000, 400_000):
        yield f"hessian, chained {n}", functools.partial(memory_of, f"hessian, chained {n}", n)


if __name__ == "__main__":
    print(json.dumps(alone(int(sys.argv[1]))))
