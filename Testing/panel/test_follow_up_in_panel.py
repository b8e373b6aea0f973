"""The follow-up section: studies of a patient that are ticked and dated, and their course."""

from __future__ import annotations

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from panel_case import ANALYSIS, GEOMETRY, panel_qt  # noqa: E402
from scene_maker import added_volume  # noqa: E402


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


def test_a_follow_up_without_its_packages_is_told(application, panel, monkeypatch):
    monkeypatch.setattr(application.panels.controller, "FOLLOW_UP_PACKAGE", "no_such_package_anywhere")
    panel.ui.followUpSection.collapsed = False
    application.until(lambda: panel.controller._loading is None)
    assert "Packages are missing" in panel.ui.followUpMessageLabel.text
