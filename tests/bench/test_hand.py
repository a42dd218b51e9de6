"""Hand-written C against adcore: the yardsticks compute what they are compared with, in every build."""

import dataclasses
import os
import shutil

import numpy as np
import pytest

import adcore
from bench import hand
from bench.problems import ba, problem

if shutil.which(os.environ.get("CC", "cc")) is None:
    pytest.skip("no C compiler", allow_module_level=True)

from bench.hand import straightline
from bench.peers import adcore as recorded
from bench.peers import c, c_plain, compiled

# sizes with and without a rest beside the blocks
SIZES = ("elementwise:1000", "gmm:d2_K5", "gmm:d7_K3", "lstm:l2_c20", "lstm:l3_c5", "ba:50", "ba:128", "fft:2", "fft:64", "fft:128",
         "fft:32768", "ode:2", "ode:12", "straightline:300")  # fmt: skip
BUILDS = ({"restrict": False}, {"checked": True}, {"flags": ("-O2",), "checked": True, "restrict": False})


def agrees(found, p):
    value, gradients = adcore.value_and_grad(p.fun, argnums=p.argnums)(*p.args)
    theirs, results = found
    np.testing.assert_allclose(theirs, value, rtol=1e-12)
    for ours, g in zip(gradients, results, strict=True):
        np.testing.assert_allclose(g, ours, rtol=1e-10, atol=1e-10 * np.max(np.abs(ours)))


@pytest.mark.parametrize("spec", SIZES)
def test_hand_written_c_has_the_gradient_of_adcore(spec):
    p = problem(*spec.split(":"))
    agrees(c.MAKERS[p.name](p)(), p)


@pytest.mark.parametrize("n", ["2", "64", "128"])
def test_the_textbook_fft_has_the_gradient_of_adcore(n):
    p = problem("fft", n)
    agrees(c_plain.MAKERS["fft"](p)(), p)


@pytest.mark.parametrize("build", BUILDS, ids=str)
@pytest.mark.parametrize("name", ["elementwise", "gmm", "lstm", "ba", "fft", "ode"])
def test_builds_of_hand_written_c_agree(name, build):
    p = problem(name, {"gmm": "d7_K3", "lstm": "l2_c20", "ba": "70", "ode": "12"}.get(name, "64"))
    with hand.building(**build):
        agrees(c.MAKERS[name](p)(), p)


def test_straight_line_code_in_pieces_has_the_gradient_of_adcore(monkeypatch):
    monkeypatch.setattr(straightline, "PIECE", 60)
    p = problem("straightline", "300_s1")
    agrees(c.MAKERS["straightline"](p)(), p)


def test_angles_beyond_the_vector_sine_take_the_library_s():
    p = problem("elementwise", "1000")
    p = dataclasses.replace(p, args=(1e7 * p.args[0],))
    agrees(c.MAKERS["elementwise"](p)(), p)
    p = problem("ba", "70")
    p = dataclasses.replace(p, args=(p.args[0] * np.where(np.arange(11) < 3, 1e3, 1.0), *p.args[1:]))
    agrees(c.MAKERS["ba"](p)(), p)


def test_a_camera_that_is_not_turned_has_its_limit():
    p = problem("ba", "70")
    p.args[0][3:40, :3] = 0.0
    agrees(c.MAKERS["ba"](p)(), p)


@pytest.mark.parametrize("peer", [recorded, compiled], ids=["adcore", "compiled"])
def test_both_rows_of_the_blocks_of_bundle_adjustment(peer):
    p = problem("ba_blocks", "70")
    (_, blocks), (residuals, parts) = peer.MAKERS["ba_blocks"](p)(), c.MAKERS["ba_blocks"](p)()
    np.testing.assert_allclose(residuals, ba.residuals(*p.args), rtol=1e-10)
    for ours, part, reference in zip(blocks, parts, p.reference(*p.args), strict=True):
        np.testing.assert_allclose(part, ours, rtol=1e-10, atol=1e-10 * np.max(np.abs(ours)))
        np.testing.assert_allclose(ours, reference, rtol=1e-9, atol=1e-10 * np.max(np.abs(ours)))
