"""JAX on straight-line models, traced line by line. Not among the peers of every run: XLA takes minutes to compile ten thousand lines."""

import types

import jax
import jax.numpy as jnp

from ..problems import pip as plain

jax.config.update("jax_enable_x64", True)


def pip(p):
    """The plain function itself with jax.numpy for NumPy; its rows are Python's, so what is compiled is every line of the model."""
    at, w, *tables = p.args
    energy = types.FunctionType(plain.energy.__code__, {**plain.energy.__globals__, "np": jnp})
    g = jax.jit(jax.value_and_grad(lambda xyz, w: energy(xyz, w, *tables)))
    args = jnp.asarray(at), jnp.asarray(w)

    def call():
        value, gradient = jax.block_until_ready(g(*args))
        return value, (gradient,)

    return call


MAKERS = {"pip": pip}
