"""Molecular forces: Lennard-Jones dynamics, and the forces of a permutationally invariant polynomial.

The force on every atom is minus the gradient of an energy written in plain NumPy. The dynamics keep their total energy; the
polynomial's forces add up to zero, as those of any energy of distances do.
"""

import argparse
import pathlib
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import adcore


def lennard_jones(x, i, j, box):
    """Energy of atoms x [n, 3] in a periodic box, in reduced units, cut off smoothly at half the box."""
    d = x[i] - x[j]
    d = d - box * np.rint(d / box)
    r2 = np.sum(d * d, axis=1)
    s6 = 1.0 / r2**3
    inside = r2 < (0.5 * box) ** 2
    taper = np.where(inside, (1.0 - r2 / (0.5 * box) ** 2) ** 2, 0.0)
    return np.sum(4.0 * (s6 * s6 - s6) * taper)


def dynamics(n_side=4, steps=400, dt=0.004):
    """Velocity Verlet; the drift of the total energy, relative to the kinetic energy."""
    rng = np.random.default_rng(0)
    box = 1.6 * n_side
    x = 1.6 * np.stack(np.meshgrid(*[np.arange(n_side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    v = 0.8 * rng.normal(size=x.shape)
    v -= v.mean(axis=0)
    i, j = np.triu_indices(len(x), 1)
    f = adcore.compile(adcore.value_and_grad(lennard_jones))
    potential, g = f(x, i, j, box)
    energies = []
    start = time.perf_counter()
    for _ in range(steps):
        v = v - 0.5 * dt * g
        x = x + dt * v
        potential, g = f(x, i, j, box)
        v = v - 0.5 * dt * g
        energies.append((float(potential), 0.5 * float(np.sum(v * v))))
    energies = np.array(energies)
    total = energies.sum(axis=1)
    drift = float(np.max(np.abs(total - total[0])) / energies[:, 1].mean())
    print(f"{len(x)} atoms, {steps} steps in {time.perf_counter() - start:.2f} s, energy drift {drift:.1e} of the kinetic energy")
    return energies, drift


def polynomial_energy(x, weights, exponents, i, j):
    """Energy of a molecule: a symmetrised polynomial in exp(-distance)."""
    morse = np.exp(-np.sqrt(np.sum((x[i] - x[j]) ** 2, axis=1)) / 2.0)
    return weights @ np.sum(np.prod(morse**exponents, axis=2), axis=1)


def symmetric_polynomial(natoms, degree, rng):
    """Monomials in the pair distances up to a degree, each summed over the permutations of identical atoms."""
    import itertools

    i, j = np.triu_indices(natoms, 1)
    number = {pair: k for k, pair in enumerate(zip(i.tolist(), j.tolist(), strict=True))}
    seen, orbits = set(), []
    permutations = list(itertools.permutations(range(natoms)))
    for total in range(1, degree + 1):
        for chosen in itertools.combinations_with_replacement(range(len(i)), total):
            e = np.bincount(chosen, minlength=len(i))
            orbit = []
            for p in permutations:
                moved = np.zeros(len(i))
                for k in range(len(i)):
                    moved[number[tuple(sorted((p[i[k]], p[j[k]])))]] += e[k]
                orbit.append(tuple(moved))
            if min(orbit) not in seen:
                seen.add(min(orbit))
                orbits.append(orbit)
    return rng.normal(size=len(orbits)) / 10.0, np.array(orbits), i, j


def forces_of_a_molecule(natoms=4, degree=3):
    """The largest component of the sum of the forces, and of a difference quotient's error."""
    rng = np.random.default_rng(2)
    model = symmetric_polynomial(natoms, degree, rng)
    x = rng.normal(size=(natoms, 3))
    energy, g = adcore.value_and_grad(polynomial_energy)(x, *model)
    h, d = 1e-5, rng.normal(size=x.shape)
    quotient = (polynomial_energy(x + h * d, *model) - polynomial_energy(x - h * d, *model)) / (2 * h)
    print(f"{natoms} identical atoms, {len(model[0])} polynomials of degree <= {degree}: energy {energy:.6f}, "
          f"sum of forces {np.max(np.abs(g.sum(axis=0))):.1e}, against differences {abs(quotient - np.sum(g * d)):.1e}")  # fmt: skip
    return float(np.max(np.abs(g.sum(axis=0)))), float(abs(quotient - np.sum(g * d)))


def main(plot=None):
    energies, drift = dynamics()
    balance, difference = forces_of_a_molecule()
    if plot:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        figure, axis = plt.subplots(figsize=(6, 3.4), layout="constrained")
        axis.plot(energies[:, 0] - energies[0, 0], label="potential")
        axis.plot(energies[:, 1] - energies[0, 1], label="kinetic")
        axis.plot(energies.sum(axis=1) - energies[0].sum(), "k", label="total")
        axis.set_xlabel("step")
        axis.set_ylabel("energy from the start")
        axis.legend()
        figure.savefig(plot, dpi=120)
    return drift, balance, difference


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", default="molecular_forces.png")
    main(parser.parse_args().plot)
