"""Models from many fields, and what they are measured at. ``python -m bench.fields`` runs them beside NumPy and JAX."""

from __future__ import annotations

import pathlib
import types
from typing import Any

import numpy as np

SOURCE = pathlib.Path(__file__).with_name("kernels.py")


def kernels(library: str = "numpy") -> types.ModuleType:
    """The models, with this library in NumPy's place."""
    module = types.ModuleType(f"kernels_{library.replace('.', '_')}")
    text = SOURCE.read_text().replace("import numpy as np", f"import {library} as np")
    exec(compile(text, str(SOURCE), "exec"), module.__dict__)
    return module


def instances(seed: int = 0) -> dict[str, tuple[tuple[Any, ...], int]]:
    """Of each model its arguments, and how many of them, from the first on, are differentiated by."""
    r = np.random.default_rng(seed)

    def n(*shape: int) -> Any:
        return r.normal(size=shape)

    def u(low: float, high: float, *shape: int) -> Any:
        return r.uniform(low, high, size=shape)

    rows = np.arange(100)
    grid = np.arange(1000) / 1000
    return {
        "kernel_density": ((n(500), n(500)), 2),
        "lennard_jones": ((n(200, 3),), 1),
        "classifier": ((0.1 * n(30, 20), 0.1 * n(20), 0.1 * n(20, 10), 0.1 * n(10), n(100, 30), rows, r.integers(0, 10, 100)), 4),
        "arma": ((0.3 * n(4), n(40)), 1),
        "shomate": ((u(500, 1500, 40), n(5)), 2),
        "rotations": ((n(50, 4), n(3)), 2),
        "smoothed": ((n(1000), np.hanning(50)), 1),
        "stationary": ((u(0.1, 1, 30, 30),), 1),
        "heat": ((n(16, 16, 16),), 1),
        "robot_arm": ((n(6), n(6)), 2),
        "robust": ((n(2000),), 1),
        "contrastive": ((n(100, 20), rows, np.roll(rows, 1)), 1),
        "curve": ((n(40), np.linspace(0, 1, 400)), 1),
        "three_bodies": ((u(0.5, 1.5, 3), n(3)), 2),
        "convolution": ((n(28, 28), n(8, 3, 3)), 2),
        "series": ((n(300),), 1),
        "epidemic": ((np.array([1.0, 0.5, 0.2, 0.1]),), 1),
        "mean_field": ((n(20), 0.1 * n(20, 20)), 1),
        "lengths": ((n(10_000), n(10_000), n(10_000)), 3),
        "spectrogram": ((n(256), np.hanning(64)), 1),
        "gaussian": ((n(100, 6), n(6, 6)), 2),
        "spectrum": ((n(12, 12),), 1),
        "stiffness": ((0.3 * n(121), 0.1 * np.eye(120), n(120)), 1),
        "options": ((u(0, 1, 200), u(0, 1, 200)), 2),
        "total_variation": ((n(60, 60), n(60, 60)), 1),
        "lattice_boltzmann": ((0.5 * n(128),), 1),
        "clusters": ((n(400, 8), n(10, 8)), 1),
        "moments": ((n(3000),), 1),
        "matrix_exponential": ((n(24, 24),), 1),
        "advection": ((1.3 + np.sin(2 * np.pi * grid), grid), 1),
    }
