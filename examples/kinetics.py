"""ODE fitting: rate constants of Robertson-like kinetics and of predators and prey, from noisy time series.

Each model is stepped by the classical Runge-Kutta method in plain NumPy; the constants (as logarithms, so that they stay
positive) come from Levenberg-Marquardt with adcore's Jacobian.
"""

import argparse
import time

import numpy as np
import scipy.optimize

import adcore


def lotka_volterra(y, k):
    """Prey and predators: growth, predation, conversion, death."""
    prey, predators = y[0], y[1]
    return np.array([k[0] * prey - k[1] * prey * predators, k[2] * prey * predators - k[3] * predators])


def chain(y, k):
    """A -> B (and back) -> C."""
    forward, back, out = k[0] * y[0], k[1] * y[1], k[2] * y[1]
    return np.array([back - forward, forward - back - out, out])


def solve(rhs, y, k, dt, steps, every):
    """States after every ``every`` steps."""
    rows = [y]
    for n in range(1, steps + 1):
        k1 = rhs(y, k)
        k2 = rhs(y + 0.5 * dt * k1, k)
        k3 = rhs(y + 0.5 * dt * k2, k)
        k4 = rhs(y + dt * k3, k)
        y = y + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        if n % every == 0:
            rows.append(y)
    return np.array(rows)


MODELS = {
    "Lotka-Volterra": (lotka_volterra, np.array([10.0, 5.0]), np.array([1.1, 0.4, 0.1, 0.4]), 0.05, 400, 8),
    "A <-> B -> C": (chain, np.array([1.0, 0.0, 0.0]), np.array([0.8, 0.3, 0.5]), 0.05, 160, 4),
}
SPECIES = {"Lotka-Volterra": ["prey", "predators"], "A <-> B -> C": ["A", "B", "C"]}
QUANTITY = {"Lotka-Volterra": "population", "A <-> B -> C": "concentration"}


def main(plot=None):
    rng = np.random.default_rng(1)
    worst, panels = 0.0, []
    for name, (rhs, y0, true, dt, steps, every) in MODELS.items():
        clean = solve(rhs, y0, true, dt, steps, every)
        data = clean * (1.0 + 0.02 * rng.normal(size=clean.shape))
        scale = np.abs(clean).max(axis=0)

        def residuals(log_k, rhs=rhs, y0=y0, dt=dt, steps=steps, every=every, data=data, scale=scale):
            return ((solve(rhs, y0, np.exp(log_k), dt, steps, every) - data) / scale).reshape(data.size)

        jacobian = adcore.compile(adcore.jacobian(residuals))
        start = time.perf_counter()
        found = scipy.optimize.least_squares(residuals, np.log(0.7 * true), jac=jacobian, method="lm")
        k = np.exp(found.x)
        worst = max(worst, float(np.max(np.abs(k / true - 1.0))))
        print(f"{name}: {np.array2string(k, precision=3)} for {true}, {found.njev} Jacobians in {time.perf_counter() - start:.2f} s")
        panels.append((name, np.arange(len(data)) * dt * every, data, solve(rhs, y0, k, dt, steps, every)))
    if plot:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(1, len(panels), figsize=(10, 3.6), layout="constrained")
        for axis, (name, t, data, fit) in zip(axes, panels, strict=True):
            axis.plot(t, data, ".", markersize=4)
            axis.set_prop_cycle(None)
            axis.plot(t, fit, label=SPECIES[name])
            axis.set_title(f"{name}: data (dots) and fit")
            axis.set_xlabel("time")
            axis.set_ylabel(QUANTITY[name])
            axis.legend(fontsize=8)
        figure.savefig(plot, dpi=120)
    return worst


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", default="kinetics.png")
    main(parser.parse_args().plot)
