"""Enzyme by its wheel (enzyme-ad): C++ that LLVM optimises, differentiates and optimises again, called from ``jax.jit``.

The C++ is ``enzyme.cc``: one function a problem, compiled for the sizes at hand and for the machine's instruction set.
"""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np

try:
    from enzyme_ad.jax import cpp_call
except ModuleNotFoundError as missing:
    raise ImportError(f"{missing} (pip install enzyme-ad absl-py)") from missing

from adcore import config

jax.config.update("jax_enable_x64", True)
SOURCE = pathlib.Path(__file__).with_name("enzyme.cc").read_text()
TARGETS = {"baseline": "x86-64", "v3": "x86-64-v3", "v4": "x86-64-v4"}


def differentiated(p, **sizes):
    """``jax.jit`` of value and gradient of the problem's C++ function, of flat arrays; gradients get the arguments' shapes back."""
    names = {f"PROBLEM_{p.name}": "", **sizes}
    source = "\n".join([*(f"#define {name} {value}" for name, value in names.items()), SOURCE])
    argv = ("-O3", "-target-cpu", TARGETS[config.cpu_levels()[-1]])
    scalar = [jax.core.ShapedArray([1], jnp.float64)]

    def value(*flat):
        return cpp_call(*flat, out_shapes=scalar, source=source, fn=p.name, argv=argv)[0][0]

    shapes = [p.args[k].shape for k in p.argnums]
    run = jax.jit(jax.value_and_grad(value, argnums=p.argnums))
    flat = [jnp.asarray(np.ravel(a)) for a in p.args]

    def call():
        y, gradients = jax.block_until_ready(run(*flat))
        return y, tuple(np.asarray(g).reshape(shape) for g, shape in zip(gradients, shapes, strict=True))

    return call


MAKERS = {
    "elementwise": lambda p: differentiated(p, SIZE=p.args[0].size),
    "ode": lambda p: differentiated(p, SIZE=len(p.args[2])),
}
