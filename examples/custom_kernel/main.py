"""Kernels of your own inside a differentiated function. Build them first: python setup.py build_ext --inplace"""

import ctypes

import numpy as np

import adcore


def kernels():
    """The energy of a cluster, by Cython; steps of the logistic map, by C."""
    import chain
    import lennard_jones

    found = lennard_jones.__pyx_capi__
    energy = adcore.compiled_primitive(found["energy"], found["energy_reverse"], shape=(), name="energy")
    library = ctypes.CDLL(chain.__file__)
    steps = adcore.compiled_primitive(
        library.chain_value, library.chain_reverse, library.chain_forward, data=np.array([3.7, 20.0]), name="chain"
    )
    return energy, steps


def main():
    """Relax a cluster of atoms from a cube: the energy that is left, and the largest force."""
    energy, _ = kernels()
    x = np.array([[i, j, k] for i in (0.0, 1.1) for j in (0.0, 1.0) for k in (0.0, 1.05)])
    shape = np.array([1.0, 1.0])
    result = adcore.scipy.optimize.minimize(lambda v: energy(v.reshape(-1, 3), shape), x.reshape(-1), method="L-BFGS-B", tol=1e-10)
    return float(result.fun), float(np.max(np.abs(result.jac)))


if __name__ == "__main__":
    print("energy {:.4f}, largest force {:.1e}".format(*main()))
