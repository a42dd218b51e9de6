"""Permutationally invariant polynomials: energy of a molecule, w . poly(exp(-r / a)), by the rows of MSA's tables.

Size ``<molecule>_deg<degree>``, or that and ``x<geometries>`` for so many geometries at once: then every number below is an array of
that length. The gradient with respect to the coordinates is minus the forces.
"""

import functools
import itertools

import numpy as np

from . import DATA, Problem

SCALE = 2.0


def energy(xyz, w, monomials, polynomials):
    """Coordinates [3 * atoms] or [3 * atoms, geometries]; the sum of the energies of the geometries."""
    atoms = len(xyz) // 3
    x = []
    for i, j in itertools.combinations(range(atoms), 2):
        squares = 0.0
        for k in range(3):
            squares = squares + (xyz[3 * i + k] - xyz[3 * j + k]) ** 2
        x.append(np.exp(-np.sqrt(squares) / SCALE))
    mono, poly = [], []
    for kind, *row in monomials:
        if kind:
            mono.append(mono[row[0]] * mono[row[1]])
        else:
            product = 1.0
            for k, e in enumerate(row):
                if e:
                    product = product * (x[k] if e == 1 else x[k] ** e)
            mono.append(product)
    for kind, *row in polynomials:
        if kind == 2:
            value = mono[row[0]]
            for k in row[1:]:
                value = value + mono[k]
        else:
            value = poly[row[0]] * poly[row[1]]
            for k in row[2:]:
                value = value - poly[k]
        poly.append(value)
    total = 0.0
    for k in range(len(poly)):
        total = total + w[k] * poly[k]
    return np.sum(total)


def rows(path):
    return [tuple(map(int, line.split())) for line in path.read_text().splitlines() if line.strip()]


def generated(degree, variables=10):
    """Rows as MSA writes them for a molecule without like atoms: all monomials up to a degree, each a product of two polynomials."""
    monomials = [(0, *[0] * variables)] + [(0, *[int(j == k) for j in range(variables)]) for k in range(variables)]
    polynomials = [(2, k) for k in range(variables + 1)]
    before = {(k,): k + 1 for k in range(variables)}
    for d in range(2, degree + 1):
        now = {}
        for powers in itertools.combinations_with_replacement(range(variables), d):
            now[powers] = len(polynomials)
            polynomials.append((3, before[powers[:-1]], powers[-1] + 1))
        before = now
    return monomials, polynomials


@functools.cache
def tables(model):
    path = DATA / "molpipx" / f"{model}.MONO"
    return (rows(path), rows(path.with_suffix(".POLY"))) if path.exists() else generated(int(model.rsplit("deg", 1)[1]))


def reference(xyz, w, monomials, polynomials):
    """Back over the rows in plain NumPy."""
    pairs = list(itertools.combinations(range(len(xyz) // 3), 2))
    place = xyz.reshape(-1, 3, *xyz.shape[1:])
    apart = np.stack([place[i] - place[j] for i, j in pairs])
    r = np.sqrt(np.sum(apart**2, axis=1))
    x = np.exp(-r / SCALE)
    one = np.ones(xyz.shape[1:])
    mono, poly = [], []
    for kind, *row in monomials:
        mono.append(mono[row[0]] * mono[row[1]] if kind else np.prod([x[k] ** e for k, e in enumerate(row)] or [one], axis=0))
    for kind, *row in polynomials:
        poly.append(
            sum(mono[k] for k in row) if kind == 2 else poly[row[0]] * poly[row[1]] - (sum(poly[k] for k in row[2:]) if row[2:] else 0.0)
        )
    gm, gp = [0.0 * one for _ in mono], [c * one for c in w]
    for n in range(len(poly) - 1, -1, -1):
        kind, *row = polynomials[n]
        if kind == 2:
            for k in row:
                gm[k] = gm[k] + gp[n]
        else:
            gp[row[0]] = gp[row[0]] + gp[n] * poly[row[1]]
            gp[row[1]] = gp[row[1]] + gp[n] * poly[row[0]]
            for k in row[2:]:
                gp[k] = gp[k] - gp[n]
    gx = np.zeros_like(x)
    for n in range(len(mono) - 1, -1, -1):
        kind, *row = monomials[n]
        if kind:
            gm[row[0]] = gm[row[0]] + gm[n] * mono[row[1]]
            gm[row[1]] = gm[row[1]] + gm[n] * mono[row[0]]
        else:
            for k, e in enumerate(row):
                if e:
                    gx[k] += gm[n] * e * mono[n] / x[k]
    push = (gx * x / -SCALE / r)[:, None] * apart
    g = np.zeros_like(place)
    for n, (i, j) in enumerate(pairs):
        g[i] += push[n]
        g[j] -= push[n]
    return (g.reshape(xyz.shape),)


def instance(size=None):
    size = size or "A4B_deg6"
    model, _, geometries = size.partition("x")
    monomials, polynomials = tables(model)
    variables = max(len(row) - 1 for row in monomials if not row[0])
    atoms = next(n for n in itertools.count(2) if n * (n - 1) // 2 >= variables)
    rng = np.random.default_rng(0)
    shape = (3 * atoms, int(geometries)) if geometries else (3 * atoms,)
    w = rng.normal(size=len(polynomials)) / len(polynomials)
    return Problem("pip", size, energy, (2.0 * rng.normal(size=shape), w, monomials, polynomials), (0,), reference)
