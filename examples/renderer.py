"""Differentiable rendering: three spheres fitted to a picture.

The renderer intersects a ray a pixel with every sphere. A hard silhouette has no useful derivative, so a sphere covers a pixel by
a smooth function of how far the ray passes from its centre; the nearest covering sphere wins by a soft minimum of depth,
and is shaded by Lambert's law. Plain NumPy; the scene (centres, radii, colours, light) is fitted by Adam.
"""

import argparse
import time

import numpy as np

import adcore

SIZE = 64


def render(scene):
    """The picture [SIZE, SIZE, 3] of a scene of spheres, seen along the z axis."""
    axis = np.linspace(-1.0, 1.0, SIZE)
    px, py = np.meshgrid(axis, -axis)
    light = scene["light"] / np.sqrt(np.sum(scene["light"] ** 2))
    weights, colours = [], []
    for k in range(len(scene["radius"])):
        centre, radius = scene["centre"][k], scene["radius"][k]
        dx, dy = px - centre[0], py - centre[1]
        d2 = dx * dx + dy * dy
        coverage = 1.0 / (1.0 + np.exp((d2 - radius**2) / 0.01))
        height = np.sqrt(np.maximum(radius**2 - d2, 1e-4))
        depth = centre[2] + height
        shade = np.maximum((dx * light[0] + dy * light[1] + height * light[2]) / radius, 0.0)
        weights.append(coverage * np.exp(4.0 * depth))
        colours.append(scene["colour"][k] * (0.25 + 0.75 * shade)[:, :, None])
    total = np.full((SIZE, SIZE), np.exp(-8.0))
    picture = np.zeros((SIZE, SIZE, 3))
    for w, c in zip(weights, colours, strict=True):
        total += w
        picture += w[:, :, None] * c
    return picture / total[:, :, None]


def loss(scene, target):
    return np.mean((render(scene) - target) ** 2)


def adam(f, x, steps, rate):
    """Adam over a dict of arrays; returns the last x and the history of f."""
    m = {k: np.zeros_like(v) for k, v in x.items()}
    s = {k: np.zeros_like(v) for k, v in x.items()}
    history = []
    for n in range(1, steps + 1):
        value, g = f(x)
        history.append(float(value))
        for k in x:
            m[k] = 0.9 * m[k] + 0.1 * g[k]
            s[k] = 0.99 * s[k] + 0.01 * g[k] ** 2
        x = {k: x[k] - rate * (m[k] / (1 - 0.9**n)) / (np.sqrt(s[k] / (1 - 0.99**n)) + 1e-8) for k in x}
    return x, history


def main(plot=None, steps=400):
    truth = {
        "centre": np.array([[-0.4, 0.1, 0.0], [0.35, 0.3, 0.2], [0.15, -0.45, -0.1]]),
        "radius": np.array([0.4, 0.3, 0.35]),
        "colour": np.array([[0.9, 0.2, 0.2], [0.2, 0.7, 0.3], [0.2, 0.3, 0.9]]),
        "light": np.array([0.5, 0.6, 0.7]),
    }
    guess = {
        "centre": np.array([[-0.3, 0.0, 0.0], [0.25, 0.2, 0.1], [0.1, -0.3, 0.0]]),
        "radius": np.full(3, 0.3),
        "colour": np.array([[0.6, 0.4, 0.4], [0.4, 0.6, 0.4], [0.4, 0.4, 0.6]]),
        "light": np.array([0.1, 0.1, 0.9]),
    }
    target = render(truth)
    f = adcore.compile(adcore.value_and_grad(loss))
    start = time.perf_counter()
    found, history = adam(lambda scene: f(scene, target), guess, steps, 0.01)
    seconds = time.perf_counter() - start
    print(f"mean squared error {history[0]:.2e} -> {history[-1]:.2e} in {steps} gradients of {SIZE}x{SIZE} pixels, {seconds:.1f} s")
    if plot:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(1, 4, figsize=(12, 3.2), layout="constrained")
        for axis, image, title in zip(axes, (render(guess), render(found), target), ("first guess", "fitted", "target"), strict=False):
            axis.imshow(np.clip(image, 0.0, 1.0))
            axis.set_title(title)
            axis.axis("off")
        axes[3].semilogy(history)
        axes[3].set_title("mean squared error")
        axes[3].set_xlabel("gradients")
        figure.savefig(plot, dpi=120)
    return history[-1] / history[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", default="renderer.png")
    main(parser.parse_args().plot)
