"""The follow-up section: studies of a patient that are ticked and dated, and their course."""

from __future__ import annotations

import threading
import time
import zipfile

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from panel_case import ANALYSIS, GEOMETRY, contents, panel_qt  # noqa: E402
from scene_maker import added_volume  # noqa: E402
from scene_views import keep, require_rendering  # noqa: E402

from CovidCTLib.errors import CancelledError, InputError  # noqa: E402
from CovidCTLib.followup import change_map as change_file  # noqa: E402
from CovidCTLib.followup.change_map import ChangeMap  # noqa: E402


def test_without_studies_there_is_nothing_to_compare(application, panel):
    panel.ui.followUpSection.collapsed = False
    application.until(lambda: not panel.controller.followUp.busy)
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
    assert ["Corona Score (cm³)", "0.07", "0.07", "+0.00"] in rows[at:]
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


def test_the_course_comes_back_with_a_scene_that_was_saved(application, panel, course, tmp_path):
    before = course_of(panel)
    assert any("did not change" in line for line in before[0])
    assert application.scene.WriteToMRB(str(tmp_path / "course.mrb"))
    with zipfile.ZipFile(tmp_path / "course.mrb") as archive:
        archive.extractall(tmp_path)
    application.scene.Clear(0)
    application.rest()
    assert course_of(panel) == ([], [])
    application.scene.SetURL(str(next(tmp_path.glob("*/*.mrml"))))
    assert application.scene.Connect()
    application.rest()
    names = {node.GetName(): node for node in application.scene.GetNodesByClass("vtkMRMLScalarVolumeNode")}
    panel.ui.inputVolumeSelector.setCurrentNode(names["chest"])
    assert course_of(panel) == before
    panel.ui.inputVolumeSelector.setCurrentNode(names["other"])
    assert course_of(panel) == ([], []), "the CT of another patient"


def course_of(widget):
    """The sentences and the table of a follow-up that the panel shows."""
    label, table = widget.ui.followUpMessageLabel, widget.ui.followUpTable
    sentences = label.text.splitlines() if label.visible else []
    rows = range(table.rowCount) if table.visible else ()
    return sentences, [[table.item(row, column).text() for column in range(4)] for row in rows]


def test_the_legend_of_the_chart_covers_no_line(application, program, volume, monkeypatch):
    require_rendering()
    layout = application.with_plots(monkeypatch)
    widget = application.opened()
    other = added_volume(application.scene, ANALYSIS.scan.hu, GEOMETRY, "b")
    for node in (volume, other):
        widget.controller._actions.add(node.GetID(), ANALYSIS)
    chosen = [(volume.GetID(), "2020-03-01"), (other.GetID(), "2020-03-08")]
    widget.controller._actions.followUp(chosen)
    (left, _low, _right, _high), (plotLeft, _plotLow, plotRight, _plotHigh) = layout.view._legend()
    keep("legend-follow-up", layout.view._pixels())
    assert left >= plotRight
    assert plotRight - plotLeft > 0.4 * 400, "the lines keep the larger part of a small view"
    names = [node.GetName() for node in layout.view._series]
    assert names == ["Corona Score", "opacity", "ground glass", "consolidation"]
    widget.controller._actions.showChart(volume.GetID())
    (left, *_rest), (_left, _low, plotRight, _high) = layout.view._legend()
    keep("legend-slices", layout.view._pixels())
    assert left >= plotRight


def test_what_changed_is_shown_and_hidden_by_a_button_and_can_be_cancelled(application, panel, course, monkeypatch):
    button = panel.ui.followUpChangesButton
    panel.ui.inputVolumeSelector.setCurrentNode(course[1])
    assert button.visible
    assert button.text == "Show what changed"
    going = threading.Event()

    def slow(first, later, *, cancelled):
        going.set()
        while not cancelled():
            time.sleep(0.01)
        raise CancelledError("The follow-up was cancelled; nothing was changed.")

    def found(first, later, *, cancelled):
        return ChangeMap(np.where(later.opacities > 0, 1, 0).astype(np.uint8), None)

    monkeypatch.setattr(change_file, "change_map", slow)
    before = contents(application.scene)
    sentences = course_of(panel)
    application.click(button)
    assert "Cancel" in button.text
    application.until(going.is_set)
    application.click(button)
    application.until(lambda: not panel.controller.followUp.busy)
    assert contents(application.scene) == before
    assert button.text == "Show what changed"
    assert not button.checked
    assert course_of(panel) == sentences
    monkeypatch.setattr(change_file, "change_map", found)
    application.click(button)
    application.until(lambda: not panel.controller.followUp.busy)
    assert button.checked
    application.picture(panel, "8-what-changed")
    (node,) = (n for n in application.scene.GetNodesByClass("vtkMRMLSegmentationNode") if "change since" in n.GetName())
    assert node.GetDisplayNode().GetVisibility()
    application.click(button)
    assert not button.checked
    assert not node.GetDisplayNode().GetVisibility()
    application.click(button)
    assert button.checked, "at once, for the map is there"
    assert not panel.controller.followUp.busy
    panel.ui.inputVolumeSelector.setCurrentNode(course[2])
    assert not button.visible


def test_studies_that_cannot_be_laid_on_each_other_are_told_in_the_panel(application, panel, course, monkeypatch):
    def refused(first, later, *, cancelled):
        raise InputError("The lungs of both studies must lie on each other.")

    monkeypatch.setattr(change_file, "change_map", refused)
    application.click(panel.ui.followUpChangesButton)
    application.until(lambda: not panel.controller.followUp.busy)
    assert panel.ui.followUpMessageLabel.text == "The lungs of both studies must lie on each other."
    assert not panel.ui.followUpChangesButton.checked


def test_a_map_in_the_making_ends_with_the_scene(application, panel, course, monkeypatch):
    going = threading.Event()

    def slow(first, later, *, cancelled):
        going.set()
        while not cancelled():
            time.sleep(0.01)
        raise CancelledError("The follow-up was cancelled; nothing was changed.")

    monkeypatch.setattr(change_file, "change_map", slow)
    application.click(panel.ui.followUpChangesButton)
    application.until(going.is_set)
    application.scene.Clear(0)
    application.rest()
    assert not panel.controller.followUp.busy
    assert not panel.ui.followUpChangesButton.visible


def test_a_follow_up_without_its_packages_is_told(application, panel, monkeypatch):
    monkeypatch.setattr(application.panels.followup_controls, "FOLLOW_UP_PACKAGE", "no_such_package_anywhere")
    panel.ui.followUpSection.collapsed = False
    application.until(lambda: not panel.controller.followUp.busy)
    assert "Packages are missing" in panel.ui.followUpMessageLabel.text
