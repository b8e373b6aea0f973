"""Analyses that fail: the panel says why, and the scene stays as it was."""

from __future__ import annotations

import errno
import os
from types import SimpleNamespace

import pytest

pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from panel_case import contents, message, start, wait


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("crash", "ended before it was complete, perhaps for lack of memory"),
        ("refuse", "No lungs were found. Give a chest CT."),
        ("broken", "ImportError: numpy is broken"),
        ("silent", "ended before it was complete"),
    ],
)
def test_a_run_that_fails_says_why_and_leaves_the_scene_as_it_was(application, panel, program, behaviour, said):
    program.behave(behaviour)
    before = contents(application.scene)
    start(application, panel)
    wait(application, panel)
    assert said in message(panel)
    assert contents(application.scene) == before
    assert panel.ui.analyzeButton.enabled
    if behaviour == "refuse":
        application.picture(panel, "5-failed")


def test_a_python_that_is_not_there_is_told(application, panel):
    panel.controller._python = "/nowhere/PythonSlicer"
    start(application, panel)
    wait(application, panel)
    assert "could not be started" in message(panel)


def test_a_full_temporary_folder_is_told_before_anything_is_written(application, panel, program, monkeypatch):
    module = application.panels.private_folder
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=5_000_000))
    before = contents(application.scene)
    start(application, panel)
    assert "needs 200 MB for the CT and the results, but has 5 MB" in message(panel)
    assert program.calls == []
    assert contents(application.scene) == before


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.ENOSPC, "The temporary folder is full"), (errno.EACCES, "the system refuses (Permission denied)")],
)
def test_a_disk_that_fails_while_the_ct_is_handed_over_is_told(application, panel, program, monkeypatch, number, said):
    def failing(path):
        yield 0.1
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(panel.controller._actions, "handOver", lambda volumeId: (1000, failing))
    start(application, panel)
    wait(application, panel)
    assert said in message(panel)
    assert program.calls == []
