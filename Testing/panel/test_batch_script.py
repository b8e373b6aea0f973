"""The script that analyzes a folder without Slicer's window: whatever happens, it ends Slicer by a code and a line."""

from __future__ import annotations

import os
import runpy
import signal
import sys

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from panel_case import without  # noqa: E402
from slicer_application import MODULE_FOLDER  # noqa: E402

from CovidCTLib.errors import CovidCTError  # noqa: E402

SCRIPT = MODULE_FOLDER / "Resources" / "Examples" / "slicer_batch.py"

USED = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture
def script(application, monkeypatch, capsys):
    """Run the script with arguments and with what stands for the analysis; gives exit code and what was said."""

    def run(analyze, *arguments):
        ended = []
        if analyze is not None:
            monkeypatch.setattr(application.module.CovidCTLogic, "analyzeFolder", analyze)
        monkeypatch.setattr(slicer.util, "exit", ended.append)
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
        before = [signal.getsignal(number) for number in USED]
        runpy.run_path(str(SCRIPT))
        assert [signal.getsignal(number) for number in USED] == before
        (code,) = ended
        said = capsys.readouterr().err
        assert said == "" or (said.startswith("slicer_batch: ") and said.endswith("\n") and said.count("\n") == 1)
        return code, said

    return run


@pytest.mark.parametrize(("failures", "code"), [((None,), 0), ((None, "no"), 1)])
def test_the_exit_code_says_whether_all_went_well(script, failures, code):
    calls = []

    def analyze(self, *given, cancelled):
        calls.append(given)
        assert cancelled() is False
        return failures

    assert script(analyze, "in", "out") == (code, "")
    assert calls == [("in", "out")]


def test_a_slicer_that_cannot_be_ended_in_its_own_way_is_ended_at_once(script, application, monkeypatch, capsys):
    ended = []

    def refuse(code):
        raise AttributeError("module 'slicer' has no attribute 'app'")

    monkeypatch.setattr(slicer.util, "exit", refuse)
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT)])
    runpy.run_path(str(SCRIPT))
    assert ended == [2]
    assert capsys.readouterr().err.startswith("slicer_batch: Two folders were expected")


@pytest.mark.parametrize("arguments", [(), ("in",), ("in", "out", "more")])
def test_wrong_arguments(script, arguments):
    code, said = script(None, *arguments)
    assert code == 2
    assert f"Two folders were expected, but there are {len(arguments)} arguments. Usage: " in said


def test_a_module_that_is_missing(script, monkeypatch):
    monkeypatch.setitem(sys.modules, "CovidCT", None)
    code, said = script(None, "in", "out")
    assert code == 1
    assert "The module CovidCT should be there, but could not be loaded (CovidCT). Install the extension" in said


def test_packages_that_are_missing_and_a_folder_that_is_not_there(script, monkeypatch, tmp_path):
    code, said = script(None, tmp_path / "nowhere", tmp_path / "out")
    assert code == 1
    assert "there is none at this path" in said
    without(monkeypatch, "monai")
    code, said = script(None, tmp_path, tmp_path / "out")
    assert code == 1
    assert "not installed: monai" in said


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("Jane Doe"), SystemExit(0), SyntaxError("Jane Doe"), MemoryError()]
)
def test_a_mistake_at_any_place_is_told_by_its_kind_alone(script, error):
    def fail(self, *given, cancelled):
        raise error

    code, said = script(fail, "in", "out")
    assert code == 1
    assert f"CovidCT made a mistake ({type(error).__name__})" in said
    assert "Jane" not in said


def test_a_refusal_is_one_line(script):
    def refuse(self, *given, cancelled):
        raise CovidCTError("The disk\nis full.")

    assert script(refuse, "in", "out") == (1, "slicer_batch: The disk is full.\n")


@pytest.mark.skipif(os.name != "posix", reason="signals are sent the POSIX way")
@pytest.mark.parametrize("number", USED, ids=str)
def test_a_signal_ends_it_and_a_second_one_does_not_disturb(script, tmp_path, number):
    partial = tmp_path / ".covidct-partial-x"

    def interrupted(self, *given, cancelled):
        partial.mkdir()
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(number)
            partial.rmdir()

    assert script(interrupted, "in", "out")[0] == 1
    assert not partial.exists()


@pytest.mark.skipif(os.name != "posix", reason="signals are sent the POSIX way")
def test_a_signal_while_the_module_loads(script, monkeypatch):
    class Loading:
        def find_spec(self, name, path=None, target=None):
            if name == "CovidCT":
                signal.raise_signal(signal.SIGTERM)

    monkeypatch.delitem(sys.modules, "CovidCT")
    monkeypatch.setattr(sys, "meta_path", [Loading(), *sys.meta_path])
    code, said = script(None, "in", "out")
    assert code == 1
    assert "Cancelled; the CTs that were finished stay." in said


def test_the_end_of_slicers_launcher_ends_it(script, monkeypatch):
    """The launcher passes no signal on; whoever ends it would leave Slicer running."""
    asked = []

    def analyze(self, *given, cancelled):
        asked.append(cancelled())
        monkeypatch.setattr(os, "getppid", lambda: 1)
        asked.append(cancelled())
        return ()

    monkeypatch.setattr(slicer.app, "launcherExecutableFilePath", "/opt/Slicer/Slicer")
    script(analyze, "in", "out")
    assert asked == [False, True]
    monkeypatch.setattr(slicer.app, "launcherExecutableFilePath", "")
    asked.clear()
    script(analyze, "in", "out")
    assert asked == [False, False]
