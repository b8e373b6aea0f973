"""The panel as a user presses it, with a program that speaks like the real one."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

import vtk  # noqa: E402
from panel_case import ANALYSIS, GEOMETRY  # noqa: E402
from scene_maker import added_volume  # noqa: E402

from CovidCTLib.analysis import CaseDecision  # noqa: E402
from CovidCTLib.errors import InputError, OutputError  # noqa: E402

SEGMENTATION = "vtkMRMLSegmentationNode"


@pytest.fixture
def panel(application, program, volume):
    """The open panel with a CT chosen."""
    return application.opened()


def start(application, widget):
    application.click(widget.ui.analyzeButton)


def wait(application, widget):
    """Wait until nothing runs any more."""
    application.until(lambda: not widget.controller.busy)


def reach(application, widget, stage):
    """Wait until the panel shows a stage."""
    application.until(lambda: stage in widget.ui.progressLabel.text)


def read_until_background(application, widget):
    """Wait until the results are being read, and not a moment longer."""
    end = time.monotonic() + 60
    while widget.controller._background is None:
        assert time.monotonic() < end
        application.qt.processEvents()


def contents(scene):
    """Identifier and name of every node, and when each was changed last, the parameter node left out."""
    nodes = (scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes()))
    return {(node.GetID(), node.GetName()) for node in nodes if not node.IsA("vtkMRMLScriptedModuleNode")}


def message(widget):
    return widget.ui.messageLabel.text if widget.ui.messageLabel.visible else ""


def test_without_a_volume_the_button_is_disabled_and_its_tooltip_says_why(application, program):
    widget = application.opened()
    assert not widget.ui.analyzeButton.enabled
    assert "no volume is selected" in widget.ui.analyzeButton.toolTip
    assert not widget.ui.resultsWidget.visible
    application.picture(widget, "1-no-volume")


def test_the_newest_ct_is_chosen_by_itself(application, panel, volume):
    assert panel.ui.inputVolumeSelector.currentNode() is volume
    assert panel.ui.analyzeButton.enabled
    newer = added_volume(application.scene, ANALYSIS.scan.hu, GEOMETRY, "newer")
    application.rest()
    assert panel.ui.inputVolumeSelector.currentNode() is newer


def test_a_choice_made_by_hand_stays_when_nothing_new_comes(application, panel, volume):
    added_volume(application.scene, ANALYSIS.scan.hu, GEOMETRY, "newer")
    application.rest()
    panel.ui.inputVolumeSelector.setCurrentNode(volume)
    application.scene.AddNewNodeByClass("vtkMRMLModelNode")
    application.rest()
    assert panel.volumeId() == volume.GetID()


@pytest.mark.parametrize("together", [False, True])
def test_a_ct_that_is_removed_leaves_the_choice_of_another_as_it_is(application, panel, volume, together):
    others = []
    for name in ("b", "c"):
        others.append(added_volume(application.scene, ANALYSIS.scan.hu, GEOMETRY, name))
        if not together:
            application.rest()
    application.rest()
    panel.ui.inputVolumeSelector.setCurrentNode(volume)
    application.scene.RemoveNode(others[1])
    application.rest()
    assert panel.volumeId() == volume.GetID()
    application.scene.RemoveNode(volume)
    application.rest()
    assert panel.volumeId() == others[0].GetID()


@pytest.mark.parametrize("leave", [False, True])
def test_a_ct_that_is_loaded_during_an_analysis_does_not_take_the_place_of_its_results(
    application, panel, volume, leave
):
    start(application, panel)
    if leave:
        panel.exit()
    added_volume(application.scene, ANALYSIS.scan.hu, GEOMETRY, "other")
    application.rest()
    assert panel.controller.running
    wait(application, panel)
    if leave:
        panel.enter()
    assert panel.volumeId() == volume.GetID()
    assert panel.ui.resultsWidget.visible
    newer = added_volume(application.scene, ANALYSIS.scan.hu, GEOMETRY, "newer")
    application.rest()
    assert panel.volumeId() == newer.GetID()


def test_one_press_puts_the_results_into_the_scene_and_shows_them(application, panel, volume, program):
    view = application.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    application.picture(panel, "2-ready")
    start(application, panel)
    assert panel.ui.analyzeButton.text == "Cancel"
    assert not panel.ui.inputVolumeSelector.enabled
    wait(application, panel)
    assert message(panel) == ""
    assert application.scene.GetNumberOfNodesByClass(SEGMENTATION) == 1
    assert view.GetBackgroundVolumeID() == volume.GetID()
    assert panel.ui.resultsWidget.visible
    assert panel.ui.decisionLabel.text == (
        "Slices abnormal: 60 % (3 of 5 with lung), above the limit of 20 %: positive for COVID-19-like opacity"
    )
    rule = panel.ui.decisionLabel.toolTip.replace("\n", " ")
    assert "at a probability of at least 0.50. A case is positive when their share is above 20 %." in rule
    meaning = panel.ui.scoresLabel.toolTip.replace("\n", " ")
    assert "Corona Score: Sum of the slice classifier's localization" in meaning
    assert "arXiv:2003.05037" in meaning
    assert "Percentage of opacity: " in meaning
    assert max(map(len, panel.ui.scoresLabel.toolTip.splitlines())) <= 90
    assert "Corona Score: 0.07 cm3" in panel.ui.scoresLabel.text
    assert "Percentage of opacity: not available. There is no lung." in panel.ui.scoresLabel.text
    assert panel.ui.warningsLabel.text == "Slices are 4 mm apart. (found 4 mm, limit 3 mm)"
    assert "thick-slices: Slices are 4 mm apart." in panel.ui.decisionLabel.toolTip
    assert panel.ui.analyzeButton.text == "Analyze"
    assert panel.ui.analyzeButton.enabled
    assert not panel.ui.progressBar.visible
    assert panel.volumeId() == volume.GetID(), "the heat map must not be chosen as the newest CT"
    application.picture(panel, "4-results")


@pytest.mark.parametrize(
    ("called", "share", "counts", "said"),
    [
        (True, 0.1504, (1504, 10000), "15.04 % (1504 of 10000 with lung), above the limit of 15 %: positive for"),
        (False, 0.15, (15, 100), "15 % (15 of 100 with lung), not above the limit of 15 %: negative for"),
    ],
)
def test_the_decision_is_told_beside_its_limit(application, called, share, counts, said):
    record = {"case": asdict(CaseDecision(called, share, *counts, 0.5, 0.15))}
    told = application.panels.summary.decisionText(record)
    assert told == f"Slices abnormal: {said} COVID-19-like opacity"


def test_a_decision_that_cannot_be_made_is_told_with_its_reason(application):
    record = {"case": asdict(CaseDecision(None, None, 0, 0, 0.5, 0.15, "No slice shows lung.")), "notices": []}
    assert application.panels.summary.decisionText(record) == "Case: not available. No slice shows lung."
    assert application.panels.summary.decisionLines(record) == []


def test_the_ct_is_handed_over_raw_in_a_folder_that_only_its_user_can_read(application, panel, program):
    start(application, panel)
    wait(application, panel)
    (call,) = program.calls
    assert call["mode"] == "0o700"
    assert "encoding: raw" in call["head"]
    assert "sizes: 24 20 9" in call["head"]
    assert call["arguments"][:3] == ["-m", "CovidCTLib", "analyze"]
    assert call["arguments"][-2:] == ["--progress", "json"]
    assert "--no-report" in call["arguments"]
    assert list(application.temporary.iterdir()) == []


def test_the_per_lung_table_gives_values_units_and_definitions(application, panel):
    start(application, panel)
    wait(application, panel)
    table = panel.ui.lungTable
    rows = {table.item(row, 0).text(): table.item(row, 3).text() for row in range(table.rowCount)}
    assert rows["Corona Score (cm3)"] == "0.07"
    assert rows["Percentage of opacity (%)"] == "-"
    assert table.item(0, 0).toolTip()
    absent = [table.item(row, 3) for row in range(table.rowCount) if table.item(row, 3).text() == "-"]
    assert absent[0].toolTip() == "There is no lung."


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
    application.qt.processEvents()
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


def test_a_second_run_takes_the_place_of_the_first(application, panel):
    start(application, panel)
    wait(application, panel)
    once = application.scene.GetNumberOfNodes()
    start(application, panel)
    wait(application, panel)
    assert application.scene.GetNumberOfNodes() == once
    assert application.scene.GetNumberOfNodesByClass(SEGMENTATION) == 1


def test_segments_that_were_edited_are_kept_and_the_panel_says_so(application, panel):
    start(application, panel)
    wait(application, panel)
    first = application.scene.GetFirstNodeByClass(SEGMENTATION)
    first.GetSegmentation().AddEmptySegment("nodule", "nodule")
    start(application, panel)
    wait(application, panel)
    assert message(panel).startswith("The earlier segments had been edited by hand, so they were kept")
    assert first.GetScene() is application.scene
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


def test_a_temporary_folder_that_cannot_be_used_is_told(application, monkeypatch):
    module = application.panels.private_folder

    def refuse(path):
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(module.shutil, "disk_usage", refuse)
    with pytest.raises(OutputError, match="the system refuses \\(Permission denied\\)"):
        module.PrivateFolder(0)


def test_folders_of_a_slicer_that_crashed_are_removed(application):
    module = application.panels.private_folder
    dead = application.temporary / f"{module.PREFIX}999999999-x"
    living = application.temporary / f"{module.PREFIX}{os.getpid()}-x"
    for folder in (dead, living):
        folder.mkdir()
    module.removeLeftBehind(application.temporary)
    assert not dead.exists()
    assert living.exists()
    living.rmdir()


def transformed(scene, volume):
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    volume.SetAndObserveTransformNodeID(transform.GetID())


def without_voxels(scene, volume):
    volume.SetAndObserveImageData(None)


def coloured(scene, volume):
    image = vtk.vtkImageData()
    image.SetDimensions(24, 20, 9)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    volume.SetAndObserveImageData(image)


def without_spacing(scene, volume):
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(2, 2, 0.0)
    volume.SetIJKToRASMatrix(matrix)


def sheared(scene, volume):
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 1, 0.5)
    volume.SetIJKToRASMatrix(matrix)


def heat_map(scene, volume):
    volume.SetAttribute("CovidCT.Result", "localization")


def without_sign(scene, volume):
    image = vtk.vtkImageData()
    image.SetDimensions(24, 20, 9)
    image.AllocateScalars(vtk.VTK_UNSIGNED_SHORT, 1)
    volume.SetAndObserveImageData(image)


def frame_of_a_sequence(scene, volume):
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode")
    sequence.SetDataNodeAtValue(volume, "0")
    sequence.SetDataNodeAtValue(volume, "1")
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    browser.AddProxyNode(volume, sequence, False)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without_sign, "these voxels (unsigned short) cannot be under zero"),
        (frame_of_a_sequence, "frames of a sequence"),
        (transformed, "Harden or remove the transform first"),
        (without_voxels, "has no voxels"),
        (coloured, "one value a voxel, but this volume has 3"),
        (without_spacing, "voxel spacing must be three positive numbers"),
        (sheared, "sheared or missing axes"),
        (heat_map, "this volume is a heat map"),
    ],
)
def test_a_volume_that_cannot_be_analyzed_disables_the_button_with_the_reason(
    application, panel, volume, program, spoil, said
):
    spoil(application.scene, volume)
    before = contents(application.scene)
    panel.ui.inputVolumeSelector.setCurrentNode(volume)
    panel.controller.showState()
    assert not panel.ui.analyzeButton.enabled
    assert said in panel.ui.analyzeButton.toolTip
    start(application, panel)
    assert program.calls == []
    panel.controller.analyze()
    assert said in message(panel)
    assert program.calls == []
    assert contents(application.scene) == before


def test_voxels_without_a_sign_are_not_chosen_by_themselves(application, program):
    import numpy as np

    added_volume(application.scene, np.zeros((9, 20, 24), np.uint8), GEOMETRY)
    widget = application.opened()
    assert widget.volumeId() is None


def test_an_oblique_ct_keeps_its_place_on_the_way_to_the_process(application, program, tmp_path):
    import numpy as np
    import SimpleITK as sitk
    from CovidCTScene.handover import handOverOfVolumeNode

    turn = np.radians(7)
    direction = (np.cos(turn), np.sin(turn), 0, np.sin(turn), -np.cos(turn), 0, 0, 0, -1)
    geometry = type(GEOMETRY)((9, 20, 24), (1.5, 1.25, 4.0), (-12.0, 33.0, 140.5), tuple(float(d) for d in direction))
    for kind in (np.int16, np.float32, np.uint16):
        hu = np.arange(9 * 20 * 24).reshape(9, 20, 24).astype(kind)
        node = added_volume(application.scene, hu, geometry)
        byteCount, steps = handOverOfVolumeNode(node)
        file = tmp_path / f"{np.dtype(kind)}.nrrd"
        assert list(steps(file))[-1] == 1.0
        assert byteCount == hu.nbytes
        image = sitk.ReadImage(str(file))
        assert np.array_equal(sitk.GetArrayFromImage(image), hu)
        assert np.allclose(image.GetDirection(), geometry.direction_lps)
        assert np.allclose(image.GetOrigin(), geometry.origin_lps_mm)
        assert np.allclose(image.GetSpacing(), geometry.spacing_xyz_mm)


def test_a_ct_that_cannot_be_handed_over_is_refused(application, volume):
    from CovidCTScene.handover import handOverOfVolumeNode

    transformed(application.scene, volume)
    with pytest.raises(InputError, match="Harden or remove the transform"):
        handOverOfVolumeNode(volume)


def test_settings_become_arguments_of_the_program(application, panel, program):
    ui = panel.ui
    ui.settingsSection.collapsed = False
    ui.deviceComboBox.currentIndex = 1
    ui.lungsEngineComboBox.currentIndex = 1
    ui.sliceThresholdBox.value = 0.4
    ui.caseThresholdBox.value = 0.0
    ui.highOpacityBox.value = -150
    ui.vesselBox.value = -450
    ui.modelsEdit.text = "/models/mine"
    application.picture(panel, "6-settings")
    start(application, panel)
    wait(application, panel)
    arguments = program.calls[0]["arguments"]
    for pair in (["--device", "cpu"], ["--lungs", "contour"], ["--models", "/models/mine"]):
        at = arguments.index(pair[0])
        assert arguments[at : at + 2] == pair
    assert arguments[arguments.index("--slice-threshold") + 1] == "0.4000"
    assert arguments[arguments.index("--case-threshold") + 1] == "0.0000"
    assert {"--high-opacity=-150", "--vessel=-450"} <= set(arguments)
    application.click(ui.resetButton)
    assert (ui.deviceComboBox.currentIndex, ui.highOpacityBox.value, ui.modelsEdit.text) == (0, -200, "")
    start(application, panel)
    wait(application, panel)
    assert "--slice-threshold" not in program.calls[1]["arguments"]
    assert "--case-threshold" not in program.calls[1]["arguments"]


def test_the_terminal_understands_the_arguments_of_the_panel(application, panel):
    from CovidCTLib.cli.main import build_parser

    panel.ui.sliceThresholdBox.value = 0.4
    arguments = application.panels.settings.analysisArguments(panel.settings())
    told = build_parser().parse_args(["analyze", "in", "-o", "out", *arguments, "--no-report", "--progress", "json"])
    assert (told.slice_threshold, told.case_threshold, told.high_opacity, told.vessel) == (0.4, None, -200.0, -500.0)
    arguments = application.panels.settings.engineArguments(panel.settings())
    assert build_parser().parse_args(["explain", "in", "-o", "out", *arguments, "--slices", "3"])


def test_a_folder_of_models_that_looks_like_an_option_is_refused(application, panel, program):
    panel.ui.modelsEdit.text = "--device"
    start(application, panel)
    assert "must be a full path" in message(panel)
    assert program.calls == []


def test_what_was_set_is_restored_with_the_scene(application, panel):
    panel.ui.highOpacityBox.value = -123
    panel.exit()
    panel.ui.highOpacityBox.value = -200
    panel.enter()
    assert panel.ui.highOpacityBox.value == -123
    node = application.scene.GetSingletonNode("CovidCT", "vtkMRMLScriptedModuleNode")
    assert node.GetParameter("highOpacityHu") == "-123"


def test_the_buttons_of_the_windows_set_level_and_width(application, panel, volume):
    for button, level, width in (
        (panel.ui.softTissueButton, 50, 350),
        (panel.ui.lungsButton, -200, 2000),
        (panel.ui.boneButton, 400, 1800),
        (panel.ui.brainButton, 40, 80),
        (panel.ui.readingButton, -600, 1500),
    ):
        application.click(button)
        display = volume.GetDisplayNode()
        assert (display.GetLevel(), display.GetWindow()) == (level, width)
        assert f"level {level}, width {width} HU" in button.toolTip


def test_a_window_without_a_ct_is_told(application, program):
    widget = application.opened()
    application.click(widget.ui.boneButton)
    assert "no volume is selected" in message(widget)


def test_the_buttons_of_the_results_do_what_they_say(application, panel, volume, monkeypatch, tmp_path):
    view = application.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    start(application, panel)
    wait(application, panel)
    assert panel.ui.heatMapButton.checked
    application.click(panel.ui.heatMapButton)
    assert not view.GetForegroundVolumeID()
    assert not panel.ui.heatMapButton.checked
    application.click(panel.ui.show3DButton)
    assert panel.ui.show3DButton.toolTip == "The surfaces are being made."
    application.until(lambda: panel.controller._surfaces is None)
    assert panel.ui.show3DButton.checked
    assert panel.ui.show3DButton.enabled
    segmentation = application.scene.GetFirstNodeByClass(SEGMENTATION)
    assert segmentation.GetDisplayNode().GetVisibility3D()
    application.click(panel.ui.show3DButton)
    assert not segmentation.GetDisplayNode().GetVisibility3D()
    cursors = []
    show_again = panel.controller._actions.show3D
    monkeypatch.setattr(
        panel.controller._actions,
        "show3D",
        lambda *given: (cursors.append(application.qt.overrideCursor().shape()), show_again(*given)),
    )
    application.click(panel.ui.show3DButton)
    assert panel.ui.show3DButton.checked
    assert cursors == [panel_qt().Qt.WaitCursor]
    assert application.qt.overrideCursor() is None
    chosen = tmp_path / "exported"
    go_on = threading.Event()

    def slow_writing(analysis, folder):
        go_on.wait(60)
        folder.mkdir()

    monkeypatch.setattr(application.panels.result_files, "chooseFolder", lambda *_: str(chosen))
    monkeypatch.setattr(application.panels.result_files, "_writeResults", slow_writing)
    application.click(panel.ui.exportButton)
    assert message(panel) == "Writing the results..."
    assert "Wait until" in panel.ui.reportButton.toolTip
    go_on.set()
    wait(application, panel)
    assert chosen.is_dir()
    assert message(panel) == "All results were written, with the report."
    application.click(panel.ui.reportButton)
    wait(application, panel)
    assert application.opened_pages[0].name == "report.html"
    application.click(panel.ui.explainButton)
    wait(application, panel)
    assert application.opened_pages[1].name == "explanation.html"
    assert application.opened_pages[1].exists()
    panel.controller.removeKept()


def test_an_export_that_fails_says_why(application, panel, monkeypatch, tmp_path):
    start(application, panel)
    wait(application, panel)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").touch()
    monkeypatch.setattr(application.panels.result_files, "chooseFolder", lambda *_: str(tmp_path / "full"))
    application.click(panel.ui.exportButton)
    wait(application, panel)
    assert "empty" in message(panel)


def test_results_that_are_removed_leave_the_panel(application, panel, volume):
    start(application, panel)
    wait(application, panel)
    assert panel.ui.resultsWidget.visible
    application.scene.RemoveNode(application.scene.GetFirstNodeByClass("vtkMRMLTextNode"))
    application.rest()
    assert not panel.ui.resultsWidget.visible


def test_a_record_that_was_spoiled_is_not_shown(application, panel):
    start(application, panel)
    wait(application, panel)
    application.scene.GetFirstNodeByClass("vtkMRMLTextNode").SetText("{")
    panel.controller.showState()
    assert not panel.ui.resultsWidget.visible


def test_without_studies_there_is_nothing_to_compare(application, panel):
    panel.ui.followUpSection.collapsed = False
    application.until(lambda: panel.controller._loading is None)
    assert not panel.ui.followUpButton.enabled
    assert "at least 2 studies" in panel.ui.followUpButton.toolTip


def under_patient(scene, name, nodes):
    """Put CTs under a patient of the subject hierarchy."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), name)
    for node in nodes:
        item = hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(patient, node)
        hierarchy.SetItemParent(item, patient)


def ticks(table):
    checked = panel_qt().Qt.Checked
    return [table.item(row, 0).checkState() == checked for row in range(table.rowCount)]


def test_the_studies_of_the_chosen_patient_are_ticked_beforehand(application, panel, volume):
    others = [added_volume(application.scene, ANALYSIS.scan.hu, GEOMETRY, name) for name in ("b", "c", "d")]
    for node in (volume, *others):
        panel.controller._actions.add(node.GetID(), ANALYSIS)
    under_patient(application.scene, "one", [volume, others[1]])
    under_patient(application.scene, "two", [others[0], others[2]])
    application.rest()
    panel.ui.inputVolumeSelector.setCurrentNode(volume)
    panel.ui.followUpSection.collapsed = False
    application.until(lambda: panel.ui.studiesTable.rowCount)
    table = panel.ui.studiesTable
    assert ticks(table) == [True, False, True, False]
    table.item(1, 0).setCheckState(panel_qt().Qt.Checked)
    panel.ui.inputVolumeSelector.setCurrentNode(others[1])
    assert ticks(table) == [True, True, True, False], "the same patient: what the user ticked stays"
    panel.ui.inputVolumeSelector.setCurrentNode(others[2])
    assert ticks(table) == [False, True, False, True]


def test_three_studies_give_their_course(application, panel, volume):
    nodes = [volume, *(added_volume(application.scene, ANALYSIS.scan.hu, GEOMETRY, name) for name in ("b", "c"))]
    under_patient(application.scene, "patient", nodes)
    for node in nodes:
        panel.controller._actions.add(node.GetID(), ANALYSIS)
    panel.ui.followUpSection.collapsed = False
    application.until(lambda: panel.ui.studiesTable.rowCount)
    table = panel.ui.studiesTable
    assert table.rowCount == 3
    assert "3 have none" in panel.ui.followUpButton.toolTip
    for row, day in enumerate(("2020-03-01", "2020-03-08", "soon")):
        table.item(row, 1).setText(day)
    assert panel.ui.followUpButton.enabled
    application.click(panel.ui.followUpButton)
    assert "date" in panel.ui.followUpMessageLabel.text
    table.item(2, 1).setText("2020-03-20")
    application.click(panel.ui.followUpButton)
    result = panel.ui.followUpTable
    assert result.visible
    rows = [[result.item(row, column).text() for column in range(4)] for row in range(result.rowCount)]
    at = rows.index(["Both lungs", "", "", ""])
    assert ["Corona Score (cm3)", "0.07", "0.07", "+0.00"] in rows[at:]
    application.picture(panel, "7-follow-up")
    table.item(0, 0).setCheckState(panel_qt().Qt.Unchecked)
    table.item(1, 0).setCheckState(panel_qt().Qt.Unchecked)
    assert not panel.ui.followUpButton.enabled


@pytest.fixture
def course(application, panel, volume):
    """The panel with the course of a patient, and the CT of another patient."""
    nodes = [volume, *(added_volume(application.scene, ANALYSIS.scan.hu, GEOMETRY, name) for name in ("b", "other"))]
    under_patient(application.scene, "one", nodes[:2])
    under_patient(application.scene, "two", nodes[2:])
    for node in nodes:
        panel.controller._actions.add(node.GetID(), ANALYSIS)
    application.rest()
    panel.ui.inputVolumeSelector.setCurrentNode(volume)
    panel.ui.followUpSection.collapsed = False
    application.until(lambda: panel.ui.studiesTable.rowCount == 3)
    for row, day in enumerate(("2020-03-01", "2020-03-08", "")):
        panel.ui.studiesTable.item(row, 1).setText(day)
    application.click(panel.ui.followUpButton)
    assert panel.ui.followUpTable.visible
    return nodes


def test_the_course_of_a_patient_leaves_the_panel_with_the_patient(application, panel, course):
    panel.ui.inputVolumeSelector.setCurrentNode(course[1])
    assert panel.ui.followUpTable.visible, "the same patient"
    panel.ui.inputVolumeSelector.setCurrentNode(course[2])
    assert not panel.ui.followUpTable.visible
    assert panel.ui.followUpTable.rowCount == 0
    assert not panel.ui.followUpMessageLabel.visible


def test_the_course_of_a_patient_leaves_the_panel_with_the_scene(application, panel, course):
    panel.exit()
    application.scene.Clear(0)
    application.rest()
    assert not panel.ui.followUpTable.visible
    assert panel.ui.studiesTable.rowCount == 0
    assert not panel.ui.followUpMessageLabel.visible


def test_a_tick_that_was_taken_away_stays_away_when_the_module_is_left(application, panel, course):
    table = panel.ui.studiesTable
    table.item(1, 0).setCheckState(panel_qt().Qt.Unchecked)
    panel.exit()
    application.scene.AddNewNodeByClass("vtkMRMLModelNode")
    application.rest()
    panel.enter()
    assert ticks(table) == [True, False, False]
    assert panel.ui.followUpTable.visible


def panel_qt():
    import qt

    return qt


def test_a_batch_goes_on_after_a_case_that_fails(application, panel, program, tmp_path):
    for name in ("a.nii.gz", "b_bad.nrrd", "c.zip", "notes.txt"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).touch()
    panel.ui.batchSection.collapsed = False
    assert "Choose the folder with the CTs" in panel.ui.batchButton.toolTip
    panel.ui.batchInputEdit.text = str(tmp_path / "in")
    assert "Choose a folder for the results" in panel.ui.batchButton.toolTip
    panel.ui.batchOutputEdit.text = str(tmp_path / "in")
    assert "must not be the folder with the CTs" in panel.ui.batchButton.toolTip
    panel.ui.batchOutputEdit.text = str(tmp_path / "out")
    application.click(panel.ui.batchButton)
    assert panel.ui.batchButton.text == "Cancel"
    assert "Wait until" in panel.ui.analyzeButton.toolTip
    wait(application, panel)
    assert panel.ui.batchLog.toPlainText().splitlines() == [
        "Case 1 of 3: done, case_0001",
        "Case 2 of 3: failed. The file is damaged. Copy it again.",
        "Case 3 of 3: done, case_0003",
        "2 of 3 CTs analyzed.",
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["case_0001", "case_0003"]
    assert json.loads((tmp_path / "out" / "case_0003" / "analysis.json").read_text())
    application.picture(panel, "8-batch")


def test_a_batch_can_be_cancelled_and_the_panel_closed_in_it(application, panel, program, tmp_path):
    for name in ("a.nii", "b.nii"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).touch()
    panel.ui.batchInputEdit.text = str(tmp_path / "in")
    panel.ui.batchOutputEdit.text = str(tmp_path / "out")
    program.behave("lungs")
    application.click(panel.ui.batchButton)
    application.until(lambda: panel.ui.batchProgressBar.value > 50)
    application.click(panel.ui.batchButton)
    wait(application, panel)
    assert "Cancelled in case 1 of 2" in panel.ui.batchLog.toPlainText()
    application.click(panel.ui.batchButton)
    application.until(lambda: panel.ui.batchProgressBar.value > 50)
    panel.cleanup()
    assert not panel.controller.busy


def test_a_batch_without_cts_is_told(application, panel, tmp_path):
    (tmp_path / "in").mkdir()
    panel.ui.batchInputEdit.text = str(tmp_path / "in")
    panel.ui.batchOutputEdit.text = str(tmp_path / "out")
    application.click(panel.ui.batchButton)
    assert "this one holds none" in panel.ui.batchLog.toPlainText()
    with pytest.raises(InputError, match="there is none at this path"):
        application.panels.batch_run.casesOfFolder(tmp_path / "nowhere")


def test_a_batch_folder_that_cannot_be_read_is_told(application, monkeypatch, tmp_path):
    def refuse(self):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "iterdir", refuse)
    with pytest.raises(InputError, match="the system refuses \\(Permission denied\\)"):
        application.panels.batch_run.casesOfFolder(tmp_path)
    monkeypatch.undo()


def test_stages_have_names_and_the_time_left_is_told(application):
    from CovidCTPanel.progress_text import HANDING_OVER, progressText, secondsLeft, stageName

    from CovidCTLib.cli.progress import STAGE_NAMES

    assert {stage: stageName(stage) for stage in STAGE_NAMES} == dict(STAGE_NAMES)
    assert stageName("something new") == "something new"
    assert secondsLeft(0.5, 60) == 60
    assert secondsLeft(0.01, 60) is None
    assert secondsLeft(0.5, 1) is None
    assert progressText(HANDING_OVER, 0.0, 0.1) == "Handing over the CT..."
    assert progressText("lungs", 0.5, 180) == "Finding the lungs, about 3 min left"
    assert progressText("lungs", 0.9, 100) == "Finding the lungs, about 10 s left"


def test_the_panel_is_usable_with_a_large_font(application, program, volume):
    widget = application.opened(font_percent=200)
    large = [replace(entry, value=2870.0, reason=None) for entry in ANALYSIS.measures]
    widget.controller._actions.add(volume.GetID(), replace(ANALYSIS, measures=tuple(large)))
    widget.controller.showState()
    for section in (widget.ui.followUpSection, widget.ui.batchSection, widget.ui.settingsSection):
        section.collapsed = False
    change = (("Both lungs", (("Consolidation (ml)", 191.2, 0.54, -190.6),)),)
    widget.controller._followUpSection.showResult(application.panels.summary.changeTable(change))
    application.picture(widget, "9-large-font")
    assert widget.parent.width <= 400
    for name, part in vars(widget.ui).items():
        if name.endswith("Button") and part.visible:
            needed = part.fontMetrics().horizontalAdvance(part.text)
            assert part.width >= needed, f"the text of {name} is cut"
            assert part.x >= 0, name
    for table in (widget.ui.lungTable, widget.ui.followUpTable):
        words = [word for row in range(table.rowCount) for word in table.item(row, 0).text().split()]
        assert len(words) > 3
        needed = max(table.fontMetrics().horizontalAdvance(word) for word in (*words, "Consolidation"))
        assert table.columnWidth(0) >= needed, f"the longest word of {table.name} is cut"


def test_a_follow_up_without_its_packages_is_told(application, panel, monkeypatch):
    monkeypatch.setattr(application.panels.controller, "FOLLOW_UP_PACKAGE", "no_such_package_anywhere")
    panel.ui.followUpSection.collapsed = False
    application.until(lambda: panel.controller._loading is None)
    assert "Packages are missing" in panel.ui.followUpMessageLabel.text
