"""``covidct batch``: what it says, its lines for programs, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from CovidCTLib.cli.main import main
from CovidCTLib.errors import InputError

STAND_INS = Path(__file__).parent / "cli_stand_ins.py"


@pytest.fixture
def folder(tmp_path):
    """A folder with two CTs."""
    source = tmp_path / "in"
    source.mkdir()
    for name in ("a.nii", "Jane Doe.nii"):
        (source / name).write_text(name)
    return source


def test_each_case_is_told_and_a_second_run_finds_them_finished(seen, folder, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["batch", str(folder), "-o", out, "--no-report", "--vessel=-450"]) == 0
    assert seen["options"].vessel_hu == -450
    assert capsys.readouterr().out.splitlines() == [
        "Case 1 of 2: done, case_0001",
        "Case 2 of 2: done, case_0002",
        f"2 of 2 CTs analyzed. All is in {out}; cases.csv says which is which.",
    ]
    assert not (tmp_path / "out" / "case_0001" / "report.html").exists()


def test_a_case_that_fails_is_a_warning_and_the_exit_code(seen, folder, tmp_path, capsys):
    read_scan = sys.modules["CovidCTLib.reading"].read_scan

    def read(path, **others):
        if path.name == "a.nii":
            raise InputError("The file is damaged.")
        return read_scan(path, **others)

    sys.modules["CovidCTLib.reading"].read_scan = read
    assert main(["batch", str(folder), "-o", str(tmp_path / "out"), "--no-report"]) == 1
    said = capsys.readouterr()
    assert said.err == "covidct: warning: case 2 of 2 failed: The file is damaged.\n"
    assert "1 of 2 CTs analyzed." in said.out
    assert "Jane" not in said.out + said.err


def test_what_is_given_of_the_grid_reaches_the_reading(seen, folder, tmp_path):
    given = ["--assume-axial", "--geometry", "qform", "--spacing", "2", "0.7", "0.75"]
    assert main(["batch", str(folder), "-o", str(tmp_path / "out"), "--no-report", *given]) == 0
    assert (seen["assume_axial"], seen["geometry"], seen["spacing_zyx_mm"]) == (True, "qform", (2.0, 0.7, 0.75))


def test_a_spacing_of_nobody_is_a_wrong_argument(seen, folder, tmp_path, capsys):
    arguments = ["batch", str(folder), "-o", str(tmp_path / "out"), "--spacing", "2", "0", "0.7"]
    assert main(arguments) == 2
    assert "The spacing must be three numbers" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_programs_get_lines_of_json(seen, folder, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["batch", str(folder), "-o", out, "--no-report", "--progress", "json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines if "event" in line] == ["begun", "done", "begun", "done"]
    assert {"case": 2, "cases": 2, "event": "done", "folder": "case_0002", "reason": ""} in lines
    shares = [line["fraction"] for line in lines if "fraction" in line]
    assert shares == sorted(shares)
    assert lines[-1] == {"done": True, "out": out}


def test_quiet_says_nothing(seen, folder, tmp_path, capsys):
    assert main(["batch", str(folder), "-o", str(tmp_path / "out"), "--no-report", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(os.name != "posix", reason="signals are sent the POSIX way")
@pytest.mark.parametrize(("stage", "number"), [("lungs", signal.SIGTERM), ("writing", signal.SIGINT)])
def test_a_signal_ends_in_one_line_and_leaves_the_table_alone(folder, tmp_path, stage, number):
    environment = {**os.environ, "COVIDCT_TEST_STAGE": stage, "OMP_NUM_THREADS": "1"}
    out = tmp_path / "out"
    command = [sys.executable, str(STAND_INS), "batch", str(folder), "-o", str(out), "--no-report"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr.readline() == f"at {stage}\n"
        process.send_signal(number)
        rest = process.stderr.read()
    assert process.returncode == 1
    assert rest.startswith("covidct: Cancelled; the CTs that were finished stay.")
    assert rest.count("\n") == 1
    assert [path.name for path in out.iterdir()] == ["cases.csv"]
