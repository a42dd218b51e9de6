"""The examples of the domains run to the end and find what they look for."""

import importlib.util
import pathlib

import pytest

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_mixture_is_fitted(tmp_path):
    before, after, difference = example("gmm_fit").main(
        ["--size", "60", "3", "4", "--iterations", "30", "--plot", str(tmp_path / "fit.png")]
    )
    assert after < before - 0.5
    assert difference < 1e-9


def test_shallow_water_finds_the_initial_state(tmp_path):
    assert example("shallow_water").main(tmp_path / "picture.png") < 0.15
    assert (tmp_path / "picture.png").stat().st_size > 0


def test_kinetics_finds_the_rate_constants():
    assert example("kinetics").main() < 0.1


def test_renderer_fits_the_scene():
    assert example("renderer").main(steps=150) < 1e-3


def test_digits_are_learned():
    pytest.importorskip("sklearn", reason="scikit-learn brings the digits")
    assert example("digits").main(epochs=4) > 0.93


def test_truss_becomes_stiffer():
    assert example("truss").main() < 0.25


def test_molecular_forces_keep_energy_and_balance():
    drift, balance, difference = example("molecular_forces").main()
    assert drift < 1e-3
    assert balance < 1e-13
    assert difference < 1e-7


def test_eigensolver_finds_the_lowest_energy():
    assert 0.0 <= example("eigensolver").main(restarts=1) < 0.05
