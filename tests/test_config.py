"""Which kernels are live: environment, global settings, and settings of a block."""

import os
import subprocess
import sys
import threading

import pytest

from adcore import config
from adcore.kernels import probe


@pytest.fixture(autouse=True)
def unchanged():
    before = dict(config.current())
    yield
    config(**before)


def live():
    return probe.info(config.kernel_table())


def test_a_call_sets_for_good_and_a_block_for_the_block():
    noalias = config.current()["noalias"]
    config(unchecked=True)
    with config(noalias=not noalias, unchecked=False):
        assert live()["checked"] == 1
        assert live()["noalias"] == (not noalias)
        with config(unchecked=True):
            assert live()["checked"] == 0
            assert live()["noalias"] == (not noalias)
        assert live()["checked"] == 1
    assert live()["checked"] == 0
    assert live()["noalias"] == noalias


def test_a_block_that_raises_restores_its_settings():
    before = config.variant()
    with pytest.raises(ZeroDivisionError), config(unchecked=True):
        1 / 0  # noqa: B018 the exception is the point
    assert config.variant() == before


def test_a_setting_can_be_entered_again():
    before = config.variant()
    setting = config(unchecked=True)
    for _ in range(2):
        with setting:
            assert config.variant().startswith("unchecked")
        assert config.variant() == before


def test_other_threads_do_not_see_a_block():
    seen = []
    before = config.variant()
    with config(unchecked=not config.current()["unchecked"]):
        thread = threading.Thread(target=lambda: seen.append(config.variant()))
        thread.start()
        thread.join()
    assert seen == [before]


def test_blocks_of_many_threads_do_not_disturb_each_other():
    before = config.variant()
    wrong = []

    def work(unchecked):
        for _ in range(300):
            with config(unchecked=unchecked):
                if config.variant().startswith("unchecked") != unchecked:
                    wrong.append(unchecked)

    threads = [threading.Thread(target=work, args=(k % 2 == 0,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    assert config.variant() == before


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"isa": "v9"}, "give one of baseline"),
        ({"isa": 3}, "give one of"),
        ({"unchecked": 1}, "give True or False"),
        ({"noalias": "yes"}, "give True or False"),
        ({"threads": 0}, "integer from 1"),
        ({"threads": True}, "integer from 1"),
        ({"speed": True}, "has no setting 'speed'"),
    ],
)
def test_bad_settings_are_refused_and_change_nothing(changes, words):
    before = config.variant()
    with pytest.raises((TypeError, ValueError), match=words):
        config(**changes)
    assert config.variant() == before


def in_a_new_process(**environment):
    code = "from adcore import config; print(config.show())"
    return subprocess.run([sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def test_the_environment_chooses():
    done = in_a_new_process(ADCORE_UNCHECKED="1", ADCORE_NOALIAS="0", ADCORE_ISA="baseline", ADCORE_NUM_THREADS="3")
    assert "unchecked_alias_baseline" in done.stdout
    assert "threads: 3" in done.stdout


@pytest.mark.parametrize(
    "name, value", [("ADCORE_UNCHECKED", "yes"), ("ADCORE_NOALIAS", "2"), ("ADCORE_ISA", "avx"), ("ADCORE_NUM_THREADS", "0")]
)
def test_bad_environment_variables_are_named(name, value):
    done = in_a_new_process(**{name: value})
    assert done.returncode != 0
    assert f"{name}='{value}'" in done.stderr


def test_show_names_the_live_build():
    assert config.variant() in config.show()


def test_optimising_before_differentiation_after_it_or_never_gives_the_same_gradient():
    import numpy as np

    import adcore

    def f(x):
        return np.sum(np.tanh(x) ** 2 * np.exp(-(x**2)) + x / 2.0)

    x = np.linspace(-1.0, 1.0, 7)
    expected = adcore.gradient(f, x)
    for when in ("after", False):
        with config(optimise=when):
            np.testing.assert_allclose(adcore.gradient(f, x), expected, rtol=1e-14)
    with pytest.raises(TypeError, match="optimise='before'"):
        config(optimise="before")
