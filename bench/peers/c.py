"""C by hand: ``bench/hand``, compiled by the machine's compiler as ``hand.building`` says; results and work arrays are allocated once."""

import os
import pathlib
import shutil
import tempfile

import numpy as np

from .. import hand
from ..hand import straightline as generator
from ..problems import fft as fft_problem
from ..problems import gmm as gmm_problem
from ..problems.straightline import INPUTS, sizes

if shutil.which(os.environ.get("CC", "cc")) is None:
    raise ImportError("no C compiler")

MOST_LINES = 10000


def like(p):
    return tuple(np.empty_like(p.args[k]) for k in p.argnums)


def gradient(p, results, *args, what="gradient", sources=hand.HERE):
    """``<problem>_<what>`` bound to its arguments: its value, and the results that it fills."""
    run = hand.call(getattr(hand.library(p.name, sources), f"{p.name}_{what}"), *args)
    return lambda: (run()[0], results)


def elementwise(p):
    (x,), (gx,) = p.args, like(p)
    return gradient(p, (gx,), x, x.size, gx)


def ode(p):
    state, params, s, seed = p.args
    out = like(p)
    return gradient(p, out, state, params, s, seed, len(s), *out)


def gmm(p):
    alphas, means, icf, x, gamma, m = p.args
    (k, d), out = means.shape, like(p)
    constant = gmm_problem.constant(d, gamma, m)
    work = hand.work("gmm", d, k)
    return gradient(p, out, alphas, means, icf, x, float(gamma), int(m), float(constant), len(x), d, k, *out, work)


def lstm(p):
    main, extra, state, text = p.args
    sizes, out = (len(main) // 2, *text.shape), like(p)
    return gradient(p, out, main, extra, state, text, *sizes, *out, hand.work("lstm", *sizes))


def ba(p):
    out = like(p)
    return gradient(p, out, *p.args, len(p.args[0]), *out)


def ba_blocks(p):
    """The blocks stand row by row beside each other; what is handed out are views of them."""
    n = len(p.args[0])
    residuals, blocks = np.empty((2, n)), np.empty((n, 2, 15))
    parts = tuple(part for row in (0, 1) for part in (blocks[:, row, :11], blocks[:, row, 11:14], blocks[:, row, 14]))
    run = hand.call(hand.library("ba").ba_jacobian, *p.args, n, residuals, blocks)

    def call():
        run()
        return residuals, parts

    return call


def fft(p):
    (x,), (gx,) = p.args, like(p)
    n = x.size // 2
    reversed_ = fft_problem.bit_reversal(n).astype(np.int32)
    halves = [2**k for k in range(n.bit_length() - 1)]
    angles = np.concatenate([[0.0], *[np.pi * np.arange(half) / half for half in halves]])
    roots = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return gradient(p, (gx,), x, reversed_, roots, n, gx, np.empty_like(x))


def straightline(p):
    (x,), (gx,) = p.args, like(p)
    n, seed = sizes(p.size)
    if n > MOST_LINES:
        raise ValueError(f"compiling more than {MOST_LINES} lines takes minutes")
    values, adjoints = np.empty(INPUTS + n), np.empty(INPUTS + n)
    with tempfile.TemporaryDirectory() as directory:
        pathlib.Path(directory, "straightline.c").write_text(generator.source(n, seed))
        return gradient(p, (gx,), x, gx, values, adjoints, sources=directory)


MAKERS = {
    "elementwise": elementwise,
    "gmm": gmm,
    "lstm": lstm,
    "ba": ba,
    "ba_blocks": ba_blocks,
    "fft": fft,
    "ode": ode,
    "straightline": straightline,
}
