"""The problems as an expert user of each peer would write them: value and gradient, float64.

One file a tool. ``MAKERS[problem]`` takes a `Problem` and returns a function without arguments that computes value and gradients
and waits for them; ``(value, None)`` where a tool gives the value alone.
"""

import importlib

NAMES = ("adcore", "compiled", "numpy", "hand", "c", "c_plain", "jax", "torch", "casadi", "autograd", "enzyme")


def makers(name):
    """The problems that a peer can do; ImportError when its tool is not installed."""
    return importlib.import_module(f"{__name__}.{name}").MAKERS


def installed(names):
    """What each of these peers can do; one whose tool is not here is left out, and said to be."""
    found = {}
    for name in names:
        try:
            found[name] = makers(name)
        except ImportError as missing:
            print(f"{name} is left out: {missing}")
    return found
