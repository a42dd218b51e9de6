"""Enzyme by its wheel (enzyme-ad): C++ that LLVM optimises, differentiates and optimises again, called from ``jax.jit``.

The C++ is ``enzyme.cc``: one function a problem, compiled for the sizes at hand and for the machine's instruction set.
"""

import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

try:
    from enzyme_ad.jax import cpp_call
except ModuleNotFoundError as missing:
    raise ImportError(f"{missing} (pip install enzyme-ad absl-py)") from missing

from adcore import config

from ..problems import gmm as problem

jax.config.update("jax_enable_x64", True)
SOURCE = pathlib.Path(__file__).with_name("enzyme.cc").read_text()
TARGETS = {"baseline": "x86-64", "v3": "x86-64-v3", "v4": "x86-64-v4"}


def differentiated(p, *args, **sizes):
    """``jax.jit`` of value and gradient of the problem's C++ function, of flat arrays; gradients get the arguments' shapes back."""
    names = {f"PROBLEM_{p.name}": "", **sizes}
    source = "\n".join([*(f"#define {name} {value}" for name, value in names.items()), SOURCE])
    argv = ("-O3", "-target-cpu", TARGETS[config.cpu_levels()[-1]])
    scalar = [jax.core.ShapedArray([1], jnp.float64)]

    def value(*flat):
        return cpp_call(*flat, out_shapes=scalar, source=source, fn=p.name, argv=argv)[0][0]

    shapes = [p.args[k].shape for k in p.argnums]
    run = jax.jit(jax.value_and_grad(value, argnums=p.argnums))
    flat = [jnp.asarray(np.ravel(a)) for a in args]

    def call():
        y, gradients = jax.block_until_ready(run(*flat))
        return y, tuple(np.asarray(g).reshape(shape) for g, shape in zip(gradients, shapes, strict=True))

    return call


def elementwise(p):
    return differentiated(p, *p.args, SIZE=p.args[0].size)


def ode(p):
    return differentiated(p, *p.args, SIZE=len(p.args[2]))


def ba(p):
    return differentiated(p, *p.args, OBSERVATIONS=len(p.args[0]))


def gmm(p):
    *arrays, gamma, m = p.args
    (k, d), n = arrays[1].shape, len(arrays[3])
    constant = -0.5 * n * d * math.log(2 * math.pi) - k * problem.constant(d, gamma, m)
    prior = np.array([gamma, m, constant])
    return differentiated(p, *arrays, prior, CENTRES=k, D=d, POINTS=n, TRIANGLE=arrays[2].shape[1])


MAKERS = {"elementwise": elementwise, "ode": ode, "gmm": gmm, "ba": ba}
