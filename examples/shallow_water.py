"""Climate: the initial state of a 2-D shallow-water model from sparse observations of its later surface.

The model steps the height and the two velocities of a fluid on a periodic square (Lax-Friedrichs would smear the waves; this
is the forward-backward scheme of ocean models). Twin experiment: the observations come from a run of the same model, at a few
per cent of the points, with noise. The 4D-Var cost is minimised over the initial height by L-BFGS with adcore's gradient.
"""

import argparse
import time

import numpy as np
import scipy.optimize

import adcore

N, STEPS, DX, DT, GRAVITY, DEPTH, CORIOLIS = 48, 60, 1.0, 0.08, 9.81, 1.0, 0.3


def step(h, u, v):
    """One forward-backward step: velocities from the old surface, the surface from the new velocities."""
    u = u + DT * (CORIOLIS * v - GRAVITY * (np.roll(h, -1, 0) - np.roll(h, 1, 0)) / (2 * DX))
    v = v + DT * (-CORIOLIS * u - GRAVITY * (np.roll(h, -1, 1) - np.roll(h, 1, 1)) / (2 * DX))
    depth = DEPTH + h
    flux = (np.roll(depth * u, -1, 0) - np.roll(depth * u, 1, 0) + np.roll(depth * v, -1, 1) - np.roll(depth * v, 1, 1)) / (2 * DX)
    return h - DT * flux, u, v


def observed(h, where, times):
    """The surface at the observed points at the observed times."""
    u, v = np.zeros_like(h), np.zeros_like(h)
    rows = np.empty((len(times), len(where)))
    for t in range(STEPS + 1):
        if t in times:
            rows[times.index(t)] = h.reshape(N * N)[where]
        h, u, v = step(h, u, v)
    return rows


def cost(h, data, where, times, smoothness):
    """Misfit to the observations and a penalty on the curvature of the initial state."""
    misfit = np.sum((observed(h, where, times) - data) ** 2)
    laplacian = np.roll(h, 1, 0) + np.roll(h, -1, 0) + np.roll(h, 1, 1) + np.roll(h, -1, 1) - 4 * h
    return misfit + smoothness * np.sum(laplacian**2)


def main(plot=None, iterations=60):
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(N), np.arange(N), indexing="ij")
    truth = 0.1 * np.exp(-((x - 15) ** 2 + (y - 20) ** 2) / 30) - 0.07 * np.exp(-((x - 32) ** 2 + (y - 30) ** 2) / 50)
    where = rng.choice(N * N, size=N * N // 20, replace=False)
    times = list(range(0, STEPS + 1, 6))
    data = observed(truth, where, times) + 0.001 * rng.normal(size=(len(times), len(where)))
    f = adcore.compile(adcore.value_and_grad(cost))

    def flat(h):
        value, gradient = f(h.reshape(N, N), data, where, times, 1e-3)
        return float(value), gradient.reshape(N * N)

    start = time.perf_counter()
    found = scipy.optimize.minimize(flat, np.zeros(N * N), jac=True, method="L-BFGS-B", options={"maxiter": iterations})
    estimate = found.x.reshape(N, N)
    error = np.linalg.norm(estimate - truth) / np.linalg.norm(truth)
    print(f"{where.size} of {N * N} points observed {len(times)} times; {found.nfev} gradients of {STEPS} steps in "
          f"{time.perf_counter() - start:.1f} s; relative error of the initial state {error:.3f}")  # fmt: skip
    if plot:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
        images = {"truth, and observed points": truth, "estimate": estimate, "estimate - truth": estimate - truth}
        for axis, (title, image) in zip(axes, images.items(), strict=True):
            shown = axis.imshow(image, cmap="RdBu", vmin=-0.1, vmax=0.1)
            axis.set_title(title)
        axes[0].plot(where % N, where // N, "k.", markersize=2)
        figure.colorbar(shown, ax=axes, label="surface height")
        figure.savefig(plot, dpi=120)
    return error


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", default="shallow_water.png")
    main(parser.parse_args().plot)
