"""A run's folder belongs to one training at a time, lies outside the data, and is never overwritten."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from training_folder import write_volume

from CovidCTLib.cli.main import main
from CovidCTLib.errors import OutputError
from CovidCTLib.labelled_data.layout import find_cases
from CovidCTLib.training.run_folder import LOCK, RunFolder

SHORT = ["--steps", "1", "--batch", "2", "--workers", "0", "--device", "cpu", "--fold", "none"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_volume(tmp_path / "data", "case_0", 0)
    return tmp_path / "data"


def test_lines_are_said_and_kept_and_the_folder_is_made_with_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with RunFolder(tmp_path / "deep" / "run") as run:
        assert not (tmp_path / "deep").exists()
        run.say("one")
        run.say("two")
    assert capsys.readouterr().out == "one\ntwo\n"
    assert (tmp_path / "deep" / "run" / "log.txt").read_text() == "one\ntwo\n"


def test_a_second_training_in_the_same_folder_is_refused_while_the_first_runs(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as first, RunFolder(tmp_path) as second:
        first.say("mine")
        with pytest.raises(OutputError, match="for one training at a time, but another one is running in it"):
            second.say("mine too")
    assert (tmp_path / "log.txt").read_text() == "mine\n"
    with RunFolder(tmp_path) as third:
        third.say("free again")


def test_a_training_that_was_killed_leaves_its_folder_free(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from CovidCTLib.training.run_folder import RunFolder; "
        "RunFolder(Path(sys.argv[1])).say('held'); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False).returncode != 0
    assert (tmp_path / LOCK).exists()
    with RunFolder(tmp_path) as run:
        run.say("free")


@pytest.mark.parametrize("place", [".", "run", "deep/run"])
def test_a_run_inside_the_folder_of_cases_is_no_case(data: Path, place: str) -> None:
    command = ["train", "lungs", str(data), "-o", str(data / place), *SHORT]
    assert main(command) == 0
    assert main(command) == 0
    assert [case.name for case in find_cases(data).cases] == ["case_0"]
    assert len(list((data / place / "cache").iterdir())) == 1


def test_a_finished_network_is_not_replaced_by_another_run(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    command = ["train", "lungs", str(data), "-o", str(run), *SHORT]
    assert main(command) == 0
    weights = (run / "lungs" / "models" / "model.pt").read_bytes()
    # The checkpoint may be removed when the run has ended; the same command with it changes nothing.
    assert main(command) == 0
    (run / "checkpoint.pt").unlink()
    history = (run / "history.csv").read_bytes()
    assert main([*command, "--seed", "1"]) == 1
    assert "holds a finished network (lungs) without one, and nothing was overwritten" in capsys.readouterr().err
    assert (run / "lungs" / "models" / "model.pt").read_bytes() == weights
    assert (run / "history.csv").read_bytes() == history
