"""Mechanical engineering: the stiffest truss of a given weight.

A ground structure of bars between the points of a grid is loaded at its tip. The compliance (the work of the load) is a function of
the bars' cross sections through the solution of the stiffness equations; adcore differentiates through assembly and solve.
Optimality criteria update the sections until most bars have vanished.
"""

import argparse
import time

import numpy as np

import adcore

NX, NY = 9, 4


def ground_structure():
    """Points of a grid, and bars between all points at most two apart that pass over no other point."""
    points = np.array([[i, j] for i in range(NX) for j in range(NY)], dtype=float)
    bars = []
    for a in range(len(points)):
        for b in range(a + 1, len(points)):
            dx, dy = np.abs(points[b] - points[a]).astype(int)
            if max(dx, dy) <= 2 and np.gcd(dx, dy) == 1:
                bars.append((a, b))
    return points, np.array(bars)


def compliance(areas, directions, lengths, dofs, free, load):
    """load . u for K(areas) u = load; each bar adds its stiffness along its direction."""
    n = load.size
    K = np.zeros((n, n))
    stiffness = areas / lengths
    blocks = stiffness[:, None, None] * directions[:, :, None] * directions[:, None, :]
    np.add.at(K, (dofs[:, :, None], dofs[:, None, :]), blocks)
    return load[free] @ np.linalg.solve(K[np.ix_(free, free)], load[free])


def main(plot=None, iterations=60):
    points, bars = ground_structure()
    delta = points[bars[:, 1]] - points[bars[:, 0]]
    lengths = np.sqrt(np.sum(delta**2, axis=1))
    unit = delta / lengths[:, None]
    directions = np.concatenate([-unit, unit], axis=1)
    dofs = np.stack([2 * bars[:, 0], 2 * bars[:, 0] + 1, 2 * bars[:, 1], 2 * bars[:, 1] + 1], axis=1)
    load = np.zeros(2 * len(points))
    load[2 * (len(points) - NY // 2) + 1] = -1.0
    held = np.flatnonzero(points[:, 0] == 0)
    free = np.setdiff1d(np.arange(load.size), np.concatenate([2 * held, 2 * held + 1]))
    weight = 10.0
    areas = np.full(len(bars), weight / lengths.sum())
    f = adcore.compile(adcore.value_and_grad(compliance))
    start = time.perf_counter()
    history = []
    for _ in range(iterations):
        value, gradient = f(areas, directions, lengths, dofs, free, load)
        history.append(float(value))
        wanted = areas * np.sqrt(np.maximum(-gradient / lengths, 0.0))
        areas = np.maximum(wanted * weight / np.sum(wanted * lengths), 1e-6)
    kept = int(np.sum(areas > 0.01 * areas.max()))
    print(f"compliance {history[0]:.2f} -> {history[-1]:.2f}, {kept} of {len(bars)} bars left, {iterations} gradients in "
          f"{time.perf_counter() - start:.2f} s")  # fmt: skip
    if plot:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained", width_ratios=(2, 1))
        for (a, b), area in zip(bars, areas, strict=True):
            if area > 0.01 * areas.max():
                axes[0].plot(*points[[a, b]].T, "k-", linewidth=6 * np.sqrt(area / areas.max()))
        axes[0].plot(*points[held].T, "rs", label="held")
        tip = points[np.flatnonzero(load)[0] // 2]
        axes[0].annotate("load", tip - [0.0, 0.1], tip - [0.0, 1.1], ha="center", arrowprops={"arrowstyle": "<-", "color": "b"}, color="b")
        axes[0].legend(loc="lower right", fontsize=8)
        axes[0].set_aspect("equal")
        axes[0].set_title("the stiffest truss")
        axes[1].plot(history)
        axes[1].set_title("compliance")
        axes[1].set_xlabel("gradients")
        figure.savefig(plot, dpi=120)
    return history[-1] / history[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", default="truss.png")
    main(parser.parse_args().plot)
