"""Analyses that are cancelled, or whose CT, scene or application goes: nothing of them stays."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from panel_case import SEGMENTATION, contents, message, reach, start, wait


def read_until_background(application, widget):
    """Wait until the results are being read, and not a moment longer."""
    end = time.monotonic() + 60
    while widget.controller._background is None:
        assert time.monotonic() < end
        application.turn()


@pytest.mark.parametrize("stage", ["reading", "lungs", "opacities", "slices", "measures", "writing"])
def test_cancel_at_each_stage_leaves_the_scene_as_it_was(application, panel, program, stage):
    from CovidCTPanel.progress_text import stageName

    program.behave(stage)
    before = contents(application.scene)
    start(application, panel)
    reach(application, panel, stageName(stage))
    if stage == "opacities":
        application.picture(panel, "3-running")
    start(application, panel)
    wait(application, panel)
    assert message(panel) == "Cancelled; the scene is as it was."
    assert contents(application.scene) == before
    assert panel.ui.analyzeButton.text == "Analyze"
    assert list(application.temporary.iterdir()) == []


def test_cancel_while_the_ct_is_handed_over_starts_no_process(application, panel, program, monkeypatch):
    import CovidCTScene.handover

    monkeypatch.setattr(CovidCTScene.handover, "PIECE_BYTES", 16)
    panel.controller.analyze()
    application.turn()
    panel.controller.cancel("Cancelled.")
    wait(application, panel)
    assert message(panel) == "Cancelled."
    assert program.calls == []


def test_cancel_while_the_results_are_read_leaves_the_scene_as_it_was(application, panel, program):
    before = contents(application.scene)
    start(application, panel)
    read_until_background(application, panel)
    panel.controller.cancel("Cancelled.")
    wait(application, panel)
    assert message(panel) == "Cancelled."
    assert contents(application.scene) == before


def test_a_process_that_does_not_listen_is_killed(application, panel, program, monkeypatch):
    monkeypatch.setattr(application.panels.analysis_process, "KILL_AFTER_MS", 200)
    program.behave("stubborn")
    start(application, panel)
    reach(application, panel, "Finding the lungs")
    start(application, panel)
    assert not panel.ui.analyzeButton.enabled
    assert panel.ui.progressLabel.text == "Cancelling..."
    wait(application, panel)
    assert message(panel) == "Cancelled; the scene is as it was."


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="other systems tell of processes in another way")
@pytest.mark.parametrize("close", [False, True])
def test_the_interpreter_behind_a_launcher_ends_too(application, panel, program, close):
    program.launch()
    program.behave("lungs")
    start(application, panel)
    reach(application, panel, "Finding the lungs")
    interpreter = program.calls[0]["process"]
    assert is_running(interpreter)
    if close:
        panel.cleanup()
    else:
        start(application, panel)
        wait(application, panel)
    # Sooner than the program ends by itself.
    application.until(lambda: not is_running(interpreter), 20)


def is_running(process):
    """Whether a process runs; one that has ended and that nobody asked about does not."""
    state = Path(f"/proc/{process}/stat")
    return state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_the_second_click_of_a_double_click_does_not_cancel(application, panel, program, monkeypatch):
    monkeypatch.setattr(application.panels.panel, "SECOND_CLICK_S", 60.0)
    start(application, panel)
    start(application, panel)
    wait(application, panel)
    assert len(program.calls) == 1
    assert panel.ui.resultsWidget.visible


def test_a_ct_that_is_removed_meanwhile_stops_its_analysis(application, panel, program, volume):
    program.behave("slices")
    start(application, panel)
    reach(application, panel, "Judging the slices")
    application.scene.RemoveNode(volume)
    wait(application, panel)
    assert "The CT was removed" in message(panel)
    assert application.scene.GetNumberOfNodesByClass(SEGMENTATION) == 0


def test_another_node_that_is_removed_changes_nothing(application, panel, program):
    other = application.scene.AddNewNodeByClass("vtkMRMLModelNode")
    program.behave("slices")
    start(application, panel)
    reach(application, panel, "Judging the slices")
    application.scene.RemoveNode(other)
    application.rest()
    assert panel.controller.running
    start(application, panel)
    wait(application, panel)


def test_a_scene_that_is_closed_meanwhile_stops_the_analysis(application, panel, program):
    program.behave("lungs")
    start(application, panel)
    reach(application, panel, "Finding the lungs")
    application.scene.Clear(0)
    wait(application, panel)
    assert "The scene was closed" in message(panel)
    assert application.scene.GetNumberOfNodesByClass(SEGMENTATION) == 0
    assert not panel.ui.analyzeButton.enabled


def test_closing_the_application_ends_the_process(application, panel, program):
    program.behave("lungs")
    start(application, panel)
    reach(application, panel, "Finding the lungs")
    process = panel.controller._run._process
    panel.cleanup()
    assert not process.running
    assert list(application.temporary.iterdir()) == []
    assert panel.Observations == []


def test_closing_the_application_while_results_are_read_leaves_nothing(application, panel):
    start(application, panel)
    read_until_background(application, panel)
    panel.cleanup()
    assert list(application.temporary.iterdir()) == []
