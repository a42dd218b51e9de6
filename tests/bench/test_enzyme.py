"""Enzyme's peer computes what adcore does: its loops are what that tool is measured with."""

import numpy as np
import pytest

import adcore
from bench.problems import problem

pytest.importorskip("enzyme_ad", reason="Enzyme's wheel is not installed")
pytest.importorskip("jax")

from bench.peers import enzyme  # after what it needs


@pytest.mark.parametrize("spec", ["elementwise:1000", "ode:12", "gmm:d2_K5", "gmm:d10_K5", "ba:50"])
def test_loops_differentiated_by_enzyme_have_the_gradient_of_adcore(spec):
    p = problem(*spec.split(":"))
    value, gradients = adcore.value_and_grad(p.fun, argnums=p.argnums)(*p.args)
    theirs, results = enzyme.MAKERS[p.name](p)()
    np.testing.assert_allclose(theirs, value, rtol=1e-10)
    for ours, g in zip(gradients, results, strict=True):
        np.testing.assert_allclose(g, ours, rtol=1e-8, atol=1e-10 * np.max(np.abs(ours)))


def test_every_problem_of_the_peer_is_compared():
    assert set(enzyme.MAKERS) == {"elementwise", "ode", "gmm", "ba"}
