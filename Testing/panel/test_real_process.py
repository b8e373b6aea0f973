"""The panel with the real program and the real networks, on a small made-up chest; slow, so few."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

import numpy as np  # noqa: E402
from scene_maker import added_volume  # noqa: E402

from CovidCTLib.geometry import Geometry  # noqa: E402
from CovidCTLib.phantom import make_chest_phantom  # noqa: E402

LONGEST_S = 300
"""Seconds for one run on a machine with other work; about 10 on a quiet one."""

LONGEST_STANDSTILL = 0.5
"""Share of the run between two turns of the event loop, without unit: a panel that waits for the program stands still
for nearly all of it, however busy the machine is."""

LONGEST_WORK_S = 1.0
"""Seconds of the processor between two turns of the event loop, import of the small results included."""

MIDDLE = slice(14, 28)
"""Slices of the made-up chest that are analyzed, to save time."""


STAGES = ("Finding the lungs", "Finding opacities", "Judging the slices")
"""Stages of the analysis as the panel names them, at which it is cancelled."""


def small_chest(scene, name="CT", diseased=True):
    """A made-up chest of 14 slices as a volume of the scene."""
    phantom = make_chest_phantom((40, 80, 80), (7.5, 4.5, 4.5), diseased=diseased)
    hu = phantom.scan.hu[MIDDLE]
    return added_volume(scene, hu, replace(phantom.scan.geometry, shape_zyx=hu.shape), name)


def opened_panel(application, monkeypatch):
    """The panel with the processor chosen, in which a click may follow another at once."""
    monkeypatch.setattr(application.panels.panel, "SECOND_CLICK_S", 0.0)
    widget = application.opened()
    widget.ui.deviceComboBox.currentIndex = 1
    return widget


def test_a_small_chest_goes_the_whole_way_and_what_cannot_is_refused(application, monkeypatch, tmp_path):
    volume = small_chest(application.scene)
    widget = opened_panel(application, monkeypatch)
    ui = widget.ui
    texts, longest, last = set(), (0.0, 0.0), (time.monotonic(), time.thread_time())

    def ended():
        nonlocal longest, last
        now = (time.monotonic(), time.thread_time())
        longest = tuple(max(most, end - start) for most, start, end in zip(longest, last, now, strict=True))
        last = now
        texts.add(ui.progressLabel.text.split(",")[0])
        return not widget.controller.busy

    application.click(ui.analyzeButton)
    begun = time.monotonic()
    application.until(ended, LONGEST_S)
    assert ui.messageLabel.text == ""
    assert set(STAGES) <= {text.strip(".") for text in texts}
    assert longest[0] < LONGEST_STANDSTILL * (time.monotonic() - begun)
    assert longest[1] < LONGEST_WORK_S
    record = widget.controller._actions.record(volume.GetID())
    assert record["geometry"]["shape_zyx"] == [14, 80, 80]
    assert record["options"]["device"] == "cpu"
    segmentation = application.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    assert segmentation.GetSegmentation().GetSegment("right_lung")
    assert "Slices like COVID-19: " in ui.decisionLabel.text

    # A folder of own models that holds none.
    before = contents(application.scene)
    ui.modelsEdit.text = str(tmp_path)
    application.click(ui.analyzeButton)
    application.until(ended, LONGEST_S)
    assert "There is no model in" in ui.messageLabel.text
    assert contents(application.scene) == before
    ui.modelsEdit.text = ""

    hu = np.full((12, 48, 48), -1000, np.int16)
    hu[3:9, 12:36, 12:36], hu[3:9, 12:36, 12] = 40, -100
    added_volume(application.scene, hu, Geometry(hu.shape, (5.0, 5.0, 5.0)), "box")
    application.rest()
    before = contents(application.scene)
    application.click(ui.analyzeButton)
    application.until(ended, LONGEST_S)
    assert "No lungs in view" in ui.messageLabel.text
    assert contents(application.scene) == before
    assert list(application.temporary.iterdir()) == []


def test_cancelling_at_each_stage_or_deleting_the_ct_leaves_the_scene_as_it_was(application, monkeypatch):
    volume = small_chest(application.scene)
    widget = opened_panel(application, monkeypatch)
    ui, controller = widget.ui, widget.controller
    before = contents(application.scene)

    def until_stage(stage):
        application.click(ui.analyzeButton)
        application.until(lambda: ui.progressLabel.text.startswith(stage) or not controller.busy, LONGEST_S)
        assert controller.busy, f"{stage} was not seen"

    for stage in STAGES:
        until_stage(stage)
        assert ui.analyzeButton.text == "Cancel"
        application.click(ui.analyzeButton)
        application.until(lambda: not controller.busy, LONGEST_S)
        assert contents(application.scene) == before
        assert list(application.temporary.iterdir()) == []
        assert ui.analyzeButton.text == "Analyze"

    until_stage(STAGES[0])
    application.scene.RemoveNode(volume)
    application.until(lambda: not controller.busy, LONGEST_S)
    assert contents(application.scene) <= before
    assert application.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode") is None
    assert list(application.temporary.iterdir()) == []


def test_three_studies_of_which_one_is_analyzed_twice_give_their_course(application, monkeypatch):
    studies = [small_chest(application.scene, "ill"), small_chest(application.scene, "as ill")]
    studies.append(small_chest(application.scene, "well", diseased=False))
    widget = opened_panel(application, monkeypatch)
    ui, controller = widget.ui, widget.controller
    for study in (*studies, studies[0]):
        ui.inputVolumeSelector.setCurrentNode(study)
        application.rest()
        application.click(ui.analyzeButton)
        application.until(lambda: not controller.busy, LONGEST_S)
        assert ui.messageLabel.text == ""
    assert application.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == len(studies)
    measures = [controller._actions.record(study.GetID())["measures"] for study in studies]
    assert measures[0] == measures[1] != measures[2]

    ui.followUpSection.collapsed = False
    application.until(lambda: ui.studiesTable.rowCount == len(studies) and not controller.followUp.busy)
    for row, day in enumerate(("2020-03-01", "2020-03-08", "2020-03-20")):
        ui.studiesTable.item(row, 0).setCheckState(application.panels.followup_section.qt.Qt.Checked)
        ui.studiesTable.item(row, 1).setText(day)
    application.click(ui.followUpButton)
    application.until(lambda: not controller.busy, LONGEST_S)
    table = ui.followUpTable
    rows = [[table.item(row, column).text() for column in range(4)] for row in range(table.rowCount)]
    both = rows[[row[0] for row in rows].index("Both lungs") + 1 :]
    course = next(row for row in both if row[0].startswith("Opacity volume"))
    first, last, change = (float(text) for text in course[1:])
    assert first > 10 * last
    # The cells are rounded to three digits.
    assert change == pytest.approx(last - first, abs=1)


def test_a_batch_of_small_chests_goes_through_one_process_and_is_known_again(application, monkeypatch, tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    phantom = make_chest_phantom((40, 80, 80), (7.5, 4.5, 4.5))
    hu = phantom.scan.hu[MIDDLE]
    (tmp_path / "in").mkdir()
    image = replace(phantom.scan.geometry, shape_zyx=hu.shape).to_image(hu)
    sitk.WriteImage(image, str(tmp_path / "in" / "Jane Doe.nii.gz"))
    (tmp_path / "in" / "none.nii.gz").write_text("no CT")
    widget = opened_panel(application, monkeypatch)
    ui = widget.ui
    ui.batchInputEdit.text, ui.batchOutputEdit.text = str(tmp_path / "in"), str(tmp_path / "out")
    for first in ("Case 1 of 2: done, case_0001", "Case 1 of 2: finished before, case_0001"):
        application.click(ui.batchButton)
        application.until(lambda: not widget.controller.busy, 2 * LONGEST_S)
        lines = ui.batchLog.toPlainText().splitlines()
        assert lines[0] == first
        assert lines[1].startswith("Case 2 of 2: failed. ")
        assert lines[2].startswith("1 of 2 CTs analyzed.")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["case_0001", "cases.csv"]
    assert (tmp_path / "out" / "case_0001" / "report.html").is_file()


def contents(scene):
    """Identifier and name of every node."""
    nodes = (scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes()))
    return {(node.GetID(), node.GetName()) for node in nodes}
