"""Ctrl-C, kill and kill -9, sent to a whole program at every stage, also while it still loads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from CovidCTLib.cli.interruption import Interruption

STAND_INS = Path(__file__).parent / "cli_stand_ins.py"
REPOSITORY = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are sent the POSIX way")


@pytest.fixture
def stopped_at(tmp_path):
    """Run the program until a stage, send it signals, and give its exit code and its last line."""

    def run(stage, *numbers):
        environment = {**os.environ, "COVIDCT_TEST_STAGE": stage, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(STAND_INS), "analyze", "ct", "-o", str(tmp_path / "new" / "out"), "--no-report"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stderr.readline() == f"at {stage}\n"
            for number in numbers:
                process.send_signal(number)
            rest = process.stderr.read()
        return process.returncode, rest

    return run


@pytest.mark.parametrize(
    ("stage", "number"),
    [
        ("reading", signal.SIGINT),
        ("lungs", signal.SIGTERM),
        ("measures", signal.SIGINT),
        ("writing", signal.SIGINT),
        ("writing", signal.SIGTERM),
    ],
)
def test_a_signal_at_any_stage_ends_in_one_line_and_leaves_nothing(stopped_at, tmp_path, stage, number):
    code, text = stopped_at(stage, number)
    assert code == 1
    assert text == "covidct: Cancelled; nothing was written.\n"
    assert list(tmp_path.iterdir()) == []


def test_a_second_signal_does_not_disturb_the_cleaning(stopped_at, tmp_path):
    code, text = stopped_at("writing", signal.SIGINT, signal.SIGINT, signal.SIGTERM)
    assert code == 1
    assert text == "covidct: Cancelled; nothing was written.\n"
    assert list(tmp_path.iterdir()) == []


def test_kill_9_while_writing_leaves_no_output(stopped_at, tmp_path):
    code, _ = stopped_at("writing", signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert not (tmp_path / "new" / "out").exists()
    assert all(entry.name.startswith(".covidct-partial-") for entry in (tmp_path / "new").iterdir())


def test_a_signal_during_polled_work_raises_only_when_the_work_is_left():
    seen = []

    def work():
        signal.raise_signal(signal.SIGINT)
        seen.append(Interruption.requested())

    with Interruption(), pytest.raises(KeyboardInterrupt), Interruption.polled():
        work()
    assert seen == [True]


def test_a_signal_during_registration_is_neither_printed_nor_taken_for_a_failed_registration(capfd):
    shape = np.zeros((24, 32, 32), np.float32)
    shape[6:18, 8:24, 8:24] = 1
    fixed, moving = sitk.GetImageFromArray(shape), sitk.GetImageFromArray(np.roll(shape, 2, axis=2))
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-4, 50)
    method.SetInitialTransform(sitk.TranslationTransform(3))

    def ask():
        if Interruption.requested():
            method.StopRegistration()
        else:
            os.kill(os.getpid(), signal.SIGINT)

    method.AddCommand(sitk.sitkIterationEvent, ask)
    with Interruption(), pytest.raises(KeyboardInterrupt), Interruption.polled():
        method.Execute(fixed, moving)
    assert capfd.readouterr().err == ""


IMPATIENT = """
import os, signal, sys

class Impatient:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Impatient())
sys.argv = ["covidct", "--help"]
from CovidCTLib.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize("module", ["CovidCTLib.cli.main", "argparse", "CovidCTLib.cli.photos"])
def test_ctrl_c_while_the_program_still_loads_is_one_line(module):
    done = subprocess.run(
        [sys.executable, "-c", IMPATIENT.format(module=module)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "covidct: Cancelled.\n")


def test_the_program_takes_ctrl_c_before_it_loads_anything_else():
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert 'covidct = "CovidCTLib.__main__:main"' in text
