"""The module's folder and the scene's test helpers on the path, and the panel with a program that answers at once."""

from __future__ import annotations

import json
import os
import stat
import sys
import tempfile
from pathlib import Path

import pytest

TESTING = Path(__file__).resolve().parents[1]
for folder in (TESTING / "scene", TESTING.parent / "CovidCT", TESTING / "panel"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture
def application(monkeypatch, tmp_path):
    """Slicer's application around slicer-core, with a temporary folder and a user's folder of its own."""
    pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
    pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")
    from PySide6 import QtCore
    from slicer_application import Application

    place, home = tmp_path / "temporary", tmp_path / "home"
    documents = home / "Documents"
    place.mkdir()
    documents.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    monkeypatch.setattr(QtCore.QDir, "homePath", lambda: str(home))
    monkeypatch.setattr(QtCore.QStandardPaths, "writableLocation", lambda kind: str(documents))
    made = Application(monkeypatch)
    made.temporary, made.home, made.documents = place, home, documents
    yield made
    made.close()
    for folder, left in ((place, []), (home, [documents]), (documents, [])):
        assert list(folder.iterdir()) == left, f"something stays behind in the folder {folder.name}"


@pytest.fixture(scope="session")
def finished_results(tmp_path_factory):
    """A result folder of the CT in ``volume``."""
    from panel_case import ANALYSIS

    from CovidCTLib.results import write_results

    folder = tmp_path_factory.mktemp("finished") / "results"
    write_results(ANALYSIS, folder, report=False)
    return folder


class FakeProgram:
    """The program that stands in for Python with CovidCTLib."""

    def __init__(self, folder, monkeypatch, results):
        self._calls = folder / "calls"
        self._monkeypatch = monkeypatch
        self.path = folder / "python"
        script = Path(__file__).with_name("fake_program.py")
        self.path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "{script}" "$@"\n')
        self.path.chmod(self.path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("COVIDCT_FAKE_CALLS", str(self._calls))
        monkeypatch.setenv("COVIDCT_FAKE_RESULTS", str(results))
        self.behave("fine")

    def behave(self, behaviour):
        """Say how the next runs go."""
        self._monkeypatch.setenv("COVIDCT_FAKE", behaviour)

    def launch(self):
        """Start the program as PythonSlicer does: as a process of a launcher that passes no signal on."""
        self.path.write_text(self.path.read_text().replace("exec ", "") + "exit $?\n")
        self._monkeypatch.setenv("COVIDCT_FAKE_HOLD", "1")

    @property
    def calls(self):
        """What each run was given."""
        return [json.loads(line) for line in self._calls.read_text().splitlines()] if self._calls.exists() else []


@pytest.fixture
def program(application, tmp_path, monkeypatch, finished_results):
    """The program that stands in for Python with CovidCTLib; all packages are there."""
    made = FakeProgram(tmp_path, monkeypatch, finished_results)
    monkeypatch.setattr(application.module.CovidCTLogic, "python", lambda self: str(made.path))
    monkeypatch.setattr(application.panels.panel, "SECOND_CLICK_S", 0.0)
    return made


@pytest.fixture
def volume(application):
    """A CT in the scene."""
    from panel_case import ANALYSIS, GEOMETRY
    from scene_maker import added_volume

    return added_volume(application.scene, ANALYSIS.scan.hu, GEOMETRY)


@pytest.fixture
def panel(application, program, volume):
    """The open panel with a CT chosen."""
    return application.opened()
