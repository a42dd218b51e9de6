"""Quantum: a variational eigensolver for the transverse-field Ising chain, with complex amplitudes.

The circuit rotates each of six qubits about y and z and entangles neighbours; the energy <psi|H|psi> is minimised over the
angles by L-BFGS with adcore's gradient, and compared with the lowest eigenvalue.
"""

import argparse
import time

import numpy as np
import scipy.optimize

import adcore

QUBITS, LAYERS, FIELD = 6, 4, 1.0
X = np.array([[0, 1], [1, 0]], dtype=complex)
Z = np.diag([1.0 + 0j, -1.0])


def on_qubits(gates):
    """The Kronecker product of one matrix a qubit, the identity where none is given."""
    out = np.eye(1, dtype=complex)
    for q in range(QUBITS):
        out = np.kron(out, gates.get(q, np.eye(2)))
    return out


def hamiltonian():
    coupling = sum(on_qubits({q: Z, q + 1: Z}) for q in range(QUBITS - 1))
    return -coupling - FIELD * sum(on_qubits({q: X}) for q in range(QUBITS))


def rotated(state, qubit, theta, phi):
    """The state after a rotation about y by theta and about z by phi."""
    s = state.reshape(2**qubit, 2, -1)
    c, d = np.cos(0.5 * theta), np.sin(0.5 * theta)
    zero, one = c * s[:, 0] - d * s[:, 1], d * s[:, 0] + c * s[:, 1]
    phase = np.exp(0.5j * phi)
    return np.stack([zero * np.conj(phase), one * phase], axis=1).reshape(state.shape)


def energy(angles, H, signs):
    """<psi|H|psi> of the circuit with angles [layer, qubit, 2]."""
    state = np.zeros(2**QUBITS, dtype=complex)
    state[0] = 1.0
    for layer in range(LAYERS):
        for q in range(QUBITS):
            state = rotated(state, q, angles[layer, q, 0], angles[layer, q, 1])
        state = state * signs
    return np.real(np.vdot(state, H @ state))


def main(restarts=3):
    H = hamiltonian()
    bits = (np.arange(2**QUBITS)[:, None] >> np.arange(QUBITS)[::-1]) & 1
    signs = np.where(np.sum(bits[:, 1:] * bits[:, :-1], axis=1) % 2, -1.0, 1.0)  # controlled Z between neighbours
    lowest = np.linalg.eigvalsh(H)[0]
    f = adcore.compile(adcore.value_and_grad(energy))
    shape = (LAYERS, QUBITS, 2)

    def flat(x):
        value, gradient = f(x.reshape(shape), H, signs)
        return float(value), gradient.reshape(x.size)

    start = time.perf_counter()
    rng = np.random.default_rng(0)
    best = min(
        (scipy.optimize.minimize(flat, rng.normal(size=int(np.prod(shape))), jac=True, method="BFGS") for _ in range(restarts)),
        key=lambda found: found.fun,
    )
    print(f"energy {best.fun:.6f}, exact {lowest:.6f}, in {time.perf_counter() - start:.1f} s")
    return best.fun - lowest


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
