"""Fit a Gaussian mixture to data by L-BFGS with adcore's gradients.

The loss is the negative log likelihood of ADBench's mixture with its Wishart term as a penalty,
per point. Without ``--data`` an instance is generated. Prints the objective
before and after, checks the gradient against the complex step, times it against the plain NumPy function
(and autograd, if that is installed), and writes a convergence plot.
"""

from __future__ import annotations

import argparse
import math
import pathlib
import sys
import time

import numpy as np
import scipy.optimize

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import adcore
from bench.problems import gmm


def complex_step_objective(alphas, means, icf, x, gamma, m):
    """The objective with a log-sum-exp that accepts complex numbers: the independent check."""

    def logsumexp(a, axis):
        top = a.real.max(axis=axis, keepdims=True)
        return np.log(np.sum(np.exp(a - top), axis=axis)) + np.squeeze(top, axis)

    k, d = means.shape
    rows, columns = gmm.lower_triangle(d)
    Q = np.zeros((k, d, d), dtype=complex)
    Q[:, rows, columns] = icf[:, d:]
    Q[:, np.arange(d), np.arange(d)] = np.exp(icf[:, :d])
    q = icf[:, :d].sum(axis=1)
    y = np.einsum("kij,nkj->nki", Q, x[:, None, :] - means[None])
    inside = alphas + q - 0.5 * np.sum(y * y, axis=2)
    likelihood = np.sum(logsumexp(inside, 1)) - len(x) * logsumexp(alphas, 0)
    squares = np.sum(np.exp(icf[:, :d]) ** 2, axis=1) + np.sum(icf[:, d:] ** 2, axis=1)
    wishart = np.sum(0.5 * gamma**2 * squares - m * q) - k * gmm.constant(d, gamma, m)
    return (wishart + 0.5 * len(x) * d * math.log(2 * math.pi) - likelihood) / len(x)


def largest_difference(args, gradients, directions=25):
    """Largest relative difference of directional derivatives against the complex step."""
    rng = np.random.default_rng(1)
    worst = 0.0
    for _ in range(directions):
        move = [rng.normal(size=a.shape) for a in args[:3]]
        shifted = [a + 1e-30j * t for a, t in zip(args[:3], move, strict=True)]
        exact = complex_step_objective(*shifted, *args[3:]).imag / 1e-30
        ours = sum(np.sum(g * t) for g, t in zip(gradients, move, strict=True))
        worst = max(worst, abs(ours - exact) / abs(exact))
    return worst


def best_time(f, repeat=10):
    """Shortest of some runs, in milliseconds."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def autograd_time(args):
    """Time per gradient of the same function in autograd, or None."""
    try:
        import autograd
        import autograd.numpy as anp
        from autograd.scipy.special import logsumexp
    except ImportError:
        return None

    def objective(alphas, means, icf):
        x, gamma, m = args[3:]
        _k, d = means.shape
        rows, columns = gmm.lower_triangle(d)
        place = np.zeros((d * (d - 1) // 2, d, d))
        place[np.arange(len(rows)), rows, columns] = 1.0
        diagonal = anp.exp(icf[:, :d])
        Q = anp.einsum("kl,lij->kij", icf[:, d:], place) + diagonal[:, :, None] * np.eye(d)
        q = anp.sum(icf[:, :d], axis=1)
        y = anp.einsum("kij,nkj->nki", Q, x[:, None, :] - means[None])
        inside = alphas + q - 0.5 * anp.sum(y * y, axis=2)
        likelihood = anp.sum(logsumexp(inside, axis=1)) - len(x) * logsumexp(alphas)
        squares = anp.sum(diagonal**2, axis=1) + anp.sum(icf[:, d:] ** 2, axis=1)
        return (anp.sum(0.5 * gamma**2 * squares - m * q) - likelihood) / len(x)

    gradient = autograd.grad(objective, (0, 1, 2))
    return best_time(lambda: gradient(*args[:3]), 3)


def plot(history, path):
    """Objective over iterations, as a PNG."""
    try:
        import matplotlib
    except ImportError:
        print("matplotlib is not installed: no plot")
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4))
    axes.plot(history)
    axes.set_xlabel("iteration")
    axes.set_ylabel("loss per point")
    axes.set_title("Gaussian mixture by L-BFGS")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    print(f"convergence plot: {path}")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, help="an ADBench gmm file; default: a generated instance")
    parser.add_argument("--size", type=int, nargs=3, default=(1000, 10, 25), help="of a generated one: points, dimensions, components")
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--plot", default="gmm_fit.png")
    options = parser.parse_args(arguments)
    if options.data is not None and not options.data.is_file():
        sys.exit(f"{options.data}: no such file")
    args = gmm.read(options.data) if options.data else gmm.generate(*options.size)
    shapes = [a.shape for a in args[:3]]
    sizes = np.cumsum([math.prod(s) for s in shapes])[:-1]
    k, d = shapes[1]
    print(f"{len(args[3])} points in {d} dimensions, {k} components, {sum(math.prod(s) for s in shapes)} parameters")
    print(adcore.config.show())

    value_and_grad = adcore.value_and_grad(gmm.loss, argnums=(0, 1, 2))

    def unpack(theta):
        return [part.reshape(s) for part, s in zip(np.split(theta, sizes), shapes, strict=True)]

    def objective(theta):
        value, gradients = value_and_grad(*unpack(theta), *args[3:])
        if not np.isfinite(value):  # a step so long that exp overflowed: the line search turns back
            return 1e30, np.zeros_like(theta)
        return value, np.concatenate([g.reshape(-1) for g in gradients])

    history = []

    def progress(intermediate_result):
        history.append(intermediate_result.fun)
        print(f"\riteration {len(history):4d}   objective {history[-1]:.6f}", end="", flush=True)

    start = np.concatenate([a.reshape(-1) for a in args[:3]])
    before = objective(start)[0]
    clock = time.perf_counter()
    found = scipy.optimize.minimize(
        objective, start, jac=True, method="L-BFGS-B", callback=progress, options={"maxiter": options.iterations}
    )
    seconds = time.perf_counter() - clock
    print(f"\nobjective before {before:.6f}, after {found.fun:.6f}: {found.nfev} gradients in {seconds:.2f} s")

    here = unpack(found.x)
    _value, gradients = value_and_grad(*here, *args[3:])
    difference = largest_difference((*here, *args[3:]), gradients)
    print(f"largest relative difference against the complex step: {difference:.1e}")
    gradient_ms = best_time(lambda: value_and_grad(*here, *args[3:]))
    function_ms = best_time(lambda: gmm.loss(*here, *args[3:]))
    print(f"one gradient {gradient_ms:.2f} ms; the plain NumPy function {function_ms:.2f} ms; "
          f"ratio {gradient_ms / function_ms:.2f}")  # fmt: skip
    autograd_ms = autograd_time((*here, *args[3:]))
    if autograd_ms is None:
        print("autograd is not installed: no comparison")
    else:
        print(f"autograd {autograd_ms:.2f} ms: {autograd_ms / gradient_ms:.1f} times slower")
    plot(history, options.plot)
    return before, found.fun, difference


if __name__ == "__main__":
    main()
