"""C by hand without tables: the FFT as textbooks have it."""

import numpy as np

from .c import gradient, like


def fft(p):
    (x,), (gx,) = p.args, like(p)
    return gradient(p, (gx,), x, x.size // 2, gx, np.empty_like(x), what="plain")


MAKERS = {"fft": fft}
