"""The program as a whole: help, exit codes, and one line for every failure."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import CovidCTLib
from CovidCTLib.cli.interruption import Interruption
from CovidCTLib.cli.main import FAILED, WRONG_ARGUMENTS, main
from CovidCTLib.errors import CancelledError, CovidCTError, InputError, OptionsError, OutputError, QualityError

REPOSITORY = Path(__file__).parents[2]
COMMANDS = ("analyze", "demo", "models", "series")


@pytest.fixture
def failing(seen, monkeypatch):
    """Make the analysis fail with the error that a test gives; `None` undoes it."""

    def fail_with(error):
        def analyze(*args, **kwargs):
            raise error

        monkeypatch.setattr(sys.modules["CovidCTLib.pipeline"], "analyze", analyze)

    return fail_with


def in_a_process(*arguments, stdout=subprocess.PIPE):
    """Run the program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "CovidCTLib", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        check=False,
        timeout=60,
    )


def test_help_names_every_command_and_the_exit_codes(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for command in COMMANDS:
        assert re.search(rf"^ +{command} ", text, re.MULTILINE)
    assert "exit codes: 0 done, 1 failed" in text
    assert "not a medical device" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_an_example(command, capsys):
    assert main([command, "--help"]) == 0
    assert f"  covidct {command}" in capsys.readouterr().out


def test_training_is_a_command_where_its_code_is_there(capsys):
    assert main(["train", "--help"]) == 0
    assert "covidct train" in capsys.readouterr().out


def test_without_training_code_the_program_runs_without_the_command(monkeypatch, capsys):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["--help"]) == 0
    assert " train " not in capsys.readouterr().out


def test_the_version_is_the_librarys(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"covidct {CovidCTLib.__version__}\n"


def test_help_is_there_at_once_and_loads_no_network_code():
    code = (
        "import sys, time; from CovidCTLib.cli.main import main; main(['--help']);"
        "heavy = [n for n in ('torch', 'monai', 'SimpleITK', 'pydicom', 'matplotlib', 'rich') if n in sys.modules];"
        "sys.stderr.write(','.join(heavy) + f' {time.process_time()}')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    heavy, seconds = result.stderr.split(" ")
    assert heavy == ""
    # Time of the processor, which other programs do not lengthen; 0.2 s here.
    assert float(seconds) < 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "required: COMMAND"),
        (["cure"], "invalid choice: 'cure'"),
        (["analyze"], "required: INPUT, -o/--output"),
        (["analyze", "ct.nii.gz"], "required: -o/--output"),
        (["analyze", "ct", "-o", "x", "--threads", "many"], "argument --threads: invalid int value: 'many'"),
        (["analyze", "ct", "-o", "x", "--vessel", "nan"], "a finite number was expected, not 'nan'"),
        (["analyze", "ct", "-o", "x", "--vessel", "high"], "a number was expected, not 'high'"),
        (["analyze", "ct", "-o", "x", "--lungs", "magic"], "invalid choice: 'magic'"),
        (["analyze", "ct", "-o", "x", "--progress", "loud"], "invalid choice: 'loud'"),
        (["analyze", "ct", "-o", "x", "--slice-threshold", "1.5"], "slice threshold must lie between 0 and 1, not 1.5"),
        (["analyze", "ct", "-o", "x", "--case-threshold", "-1"], "case threshold must be at least 0 and under 1"),
        (["analyze", "ct", "-o", "x", "--threads", "0"], "number of threads must be at least 1, not 0"),
        (["demo", "--quiett"], "unrecognized arguments: --quiett"),
    ],
)
def test_wrong_arguments_end_with_code_2_and_one_line(arguments, complaint, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("covidct: ")
    assert captured.err.count("\n") == 1
    assert complaint in captured.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("A CT was expected."), 1),
        (QualityError("No lungs."), 1),
        (OutputError("Disk full."), 1),
        (CovidCTError("Two\nlines."), 1),
        (OptionsError("No such device."), 2),
    ],
)
def test_every_own_error_is_one_line_with_its_exit_code(failing, error, code, tmp_path, capsys):
    failing(error)
    assert main(["analyze", "ct", "-o", str(tmp_path / "out")]) == code
    captured = capsys.readouterr()
    assert captured.err == f"covidct: {' '.join(str(error).split())}\n"
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


def test_an_unexpected_error_is_one_line_without_its_text_and_asks_to_report(failing, tmp_path, capsys):
    failing(ValueError("/data/DOE^JANE/1970"))
    assert main(["analyze", "ct", "-o", str(tmp_path / "out")]) == 1
    captured = capsys.readouterr().err
    assert captured.startswith(
        "covidct: CovidCT made a mistake (ValueError) and stopped. Report it to the developers, without any patient's "
        "name. Run the command again with --debug"
    )
    assert captured.count("\n") == 1
    assert "DOE" not in captured
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_training_and_evaluation_take_debug_too(command, tmp_path, capsys):
    code = main([command, "lungs", str(tmp_path / "none"), "-o", str(tmp_path / "out"), "--device", "cpu", "--debug"])
    said = capsys.readouterr().err
    assert code == FAILED
    assert "Traceback" in said
    assert said.splitlines()[-1].startswith("covidct: A folder of cases was expected at")


@pytest.mark.parametrize(
    ("words", "said"),
    [(["analyze", "-ct.nii.gz", "-o", "out"], "'-ct.nii.gz'"), (["explain", "-1ct", "-o", "out"], "'-1ct'")],
)
def test_a_name_that_begins_with_a_dash_is_told_as_such(words, said, capsys):
    assert main(words) == WRONG_ARGUMENTS
    assert f"; {said} was read as an option, so a name that begins so needs './' before." in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--debug", "analyze", "ct"], ["analyze", "ct", "--debug"]])
def test_debug_shows_the_trace(failing, arguments, tmp_path, capsys):
    failing(ValueError("deep down"))
    assert main([*arguments, "-o", str(tmp_path / "out")]) == 1
    captured = capsys.readouterr().err
    assert "Traceback" in captured
    assert "deep down" in captured


def test_too_little_memory_is_said_so(failing, tmp_path, capsys):
    failing(MemoryError())
    assert main(["analyze", "ct", "-o", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.startswith("covidct: The computer has too little free memory for this scan.")


def test_a_missing_package_is_named(failing, tmp_path, capsys):
    failing(ModuleNotFoundError("No module named 'torch'", name="torch"))
    assert main(["analyze", "ct", "-o", str(tmp_path / "out")]) == 1
    assert "covidct: A part that CovidCT needs could not be loaded (torch)." in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), CancelledError("The analysis was cancelled.")])
def test_cancelling_is_one_line_and_code_1(failing, error, tmp_path, capsys):
    failing(error)
    assert main(["analyze", "ct", "-o", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == "covidct: Cancelled; nothing was written.\n"
    assert list(tmp_path.iterdir()) == []


def test_errors_are_json_too_when_progress_is(failing, tmp_path, capsys):
    failing(QualityError("No lungs in view."))
    assert main(["analyze", "ct", "-o", str(tmp_path / "out"), "--progress", "json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out.splitlines()[-1]) == {"error": "No lungs in view."}
    assert captured.err == "covidct: No lungs in view.\n"


def test_the_module_runs_as_a_program():
    result = in_a_process("--version")
    assert (result.returncode, result.stdout) == (0, f"covidct {CovidCTLib.__version__}\n")


@pytest.mark.skipif(os.name != "posix", reason="pipes break this way on POSIX")
def test_a_reader_that_leaves_early_causes_no_complaint():
    read, write = os.pipe()
    os.close(read)
    try:
        result = in_a_process("--help", stdout=write)
    finally:
        os.close(write)
    assert "Traceback" not in result.stderr
    assert "Exception" not in result.stderr


def test_outside_the_main_thread_no_signal_is_touched():
    import signal
    import threading

    before = signal.getsignal(signal.SIGINT)
    inside = []

    def enter():
        with Interruption():
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert inside == [before]
    assert not Interruption.requested()


def test_signals_are_given_back_afterwards(capsys):
    import signal

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    main(["--version"])
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_hint_for_the_terminal_is_said_there_alone(failing, tmp_path, capsys):
    failing(CovidCTError("It cannot be.", hint="Give --other."))
    words = ["analyze", "ct", "-o", str(tmp_path / "out")]
    assert main(words) == 1
    assert capsys.readouterr().err == "covidct: It cannot be. Give --other.\n"
    assert main([*words, "--progress", "json"]) == 1
    assert '{"error": "It cannot be."}' in capsys.readouterr().out.splitlines()
