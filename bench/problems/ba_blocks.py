"""Bundle adjustment's whole Jacobian: the residuals, and the dense blocks of both rows of every observation."""

import numpy as np

from . import Problem, ba


def components(*args):
    """Scalar functions whose gradients are the rows of all blocks."""
    return [lambda cams, X, w, row=row: np.sum(ba.residuals(cams, X, w, args[3])[row]) for row in range(2)]


def reference(*args):
    return (*ba.reference(*args), *ba.reference(*args, row=1))


def instance(size=None):
    p = ba.instance(size)
    return Problem("ba_blocks", p.size, ba.residuals, p.args, p.argnums, reference)
