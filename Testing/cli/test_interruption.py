"""Ctrl-C, kill and kill -9, sent to a whole program at every stage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

STAND_INS = Path(__file__).parent / "cli_stand_ins.py"

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
