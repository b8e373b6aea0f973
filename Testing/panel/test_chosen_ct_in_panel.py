# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
"""The chosen CT: no heat map among those to choose from, the views show it, and what was said of another goes."""

from __future__ import annotations

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from CovidCTScene import addSampleCourse
from panel_case import ANALYSIS, GEOMETRY, SEGMENTATION, message, start, wait
from PySide6 import QtWidgets
from scene_maker import added_volume

COMPOSITE = "vtkMRMLSliceCompositeNode"


@pytest.fixture
def composite(application):
    """A slice view."""
    return application.scene.AddNewNodeByClass(COMPOSITE)


def listed(widget):
    """Names of the CTs to choose from."""
    box = QtWidgets.QWidget.findChild(widget.ui.inputVolumeSelector, QtWidgets.QComboBox)
    return [box.itemText(index) for index in range(box.count())]


def choose(application, widget, node):
    widget.ui.inputVolumeSelector.setCurrentNode(node)
    application.rest()


def another(application, name="other"):
    """Another CT in the scene, which comes to be the chosen one."""
    made = added_volume(application.scene, ANALYSIS.scan.hu, GEOMETRY, name)
    application.rest()
    return made


def test_heat_maps_are_no_cts_to_choose(application, panel):
    start(application, panel)
    wait(application, panel)
    assert application.scene.GetFirstNodeByName("chest localization") is not None
    assert listed(panel) == ["None", "chest"]
    other = another(application)
    assert listed(panel) == ["None", "chest", "other"]
    application.scene.RemoveNode(application.scene.GetFirstNodeByName("chest"))
    application.rest()
    assert panel.volumeId() == other.GetID()


def test_without_its_ct_a_heat_map_is_not_chosen_in_its_place(application, panel, volume):
    start(application, panel)
    wait(application, panel)
    application.scene.RemoveNode(volume)
    application.rest()
    assert panel.volumeId() is None
    assert listed(panel) == ["None"]
    assert not panel.ui.resultsWidget.visible


def test_the_chosen_ct_is_shown_in_the_views(application, panel, volume, composite):
    other = another(application)
    assert composite.GetBackgroundVolumeID() == other.GetID()
    choose(application, panel, volume)
    assert composite.GetBackgroundVolumeID() == volume.GetID()


def test_the_views_of_a_chosen_ct_without_results_show_nothing_of_another(application, panel, volume, composite):
    start(application, panel)
    wait(application, panel)
    application.click(panel.ui.heatMapButton)
    segmentation = application.scene.GetFirstNodeByClass(SEGMENTATION)
    other = another(application)
    assert composite.GetBackgroundVolumeID() == other.GetID()
    assert composite.GetForegroundVolumeID() is None
    assert not segmentation.GetDisplayNode().GetVisibility()
    choose(application, panel, volume)
    assert segmentation.GetDisplayNode().GetVisibility()


def test_what_a_reader_chose_to_see_beside_the_panel_stays(application, panel, volume, composite):
    other = another(application)
    choose(application, panel, volume)
    composite.SetBackgroundVolumeID(other.GetID())
    panel.settings().highOpacityHu = -150
    application.rest()
    panel.exit()
    panel.enter()
    application.rest()
    assert composite.GetBackgroundVolumeID() == other.GetID()


def test_a_window_button_shows_the_ct_that_it_changes(application, panel, volume, composite):
    other = another(application)
    choose(application, panel, volume)
    composite.SetBackgroundVolumeID(other.GetID())
    application.click(panel.ui.boneButton)
    assert composite.GetBackgroundVolumeID() == volume.GetID()
    assert volume.GetDisplayNode().GetWindow() == 1800


def test_after_the_sample_course_panel_and_views_show_the_same_study(application, program, composite):
    widget = application.opened()
    nodes = addSampleCourse(application.scene)
    application.rest()
    assert widget.volumeId() == nodes[0].GetID()
    assert composite.GetBackgroundVolumeID() == nodes[0].GetID()


def test_a_loaded_scene_keeps_the_views_that_it_was_saved_with(application, panel, volume, composite):
    other = another(application)
    choose(application, panel, volume)
    composite.SetBackgroundVolumeID(other.GetID())
    application.scene.InvokeEvent(application.scene.EndImportEvent)
    application.rest()
    assert composite.GetBackgroundVolumeID() == other.GetID()


def test_a_sentence_goes_when_it_is_true_no_more(application, program):
    widget = application.opened()
    application.click(widget.ui.boneButton)
    assert "no volume is selected" in message(widget)
    another(application)
    assert message(widget) == ""


def test_a_lost_transforms_reason_goes_with_the_transform(application, panel, volume):
    transform = application.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    refuse = panel.controller._actions.refusal(volume.GetID())
    assert refuse is None
    volume.SetAndObserveTransformNodeID(transform.GetID())
    panel.controller.showState()
    assert "transform" in panel.ui.analyzeButton.toolTip
    panel.panel.showMessage(panel.ui.analyzeButton.toolTip)
    volume.SetAndObserveTransformNodeID(None)
    panel.controller.showState()
    assert message(panel) == ""


def test_a_pressed_button_takes_the_sentence_before_it_away(application, panel):
    panel.panel.showMessage("Nothing was installed.")
    application.click(panel.ui.boneButton)
    assert message(panel) == ""


def test_a_second_analysis_is_seen_where_the_first_one_was(application, program, volume, monkeypatch, composite):
    layout = application.with_plots(monkeypatch)
    widget = application.opened()
    tables, charts = (application.scene.AddNewNodeByClass(f"vtkMRML{kind}ViewNode") for kind in ("Table", "Plot"))
    start(application, widget)
    wait(application, widget)
    for button in (widget.ui.heatMapButton, widget.ui.show3DButton):
        application.click(button)
        wait(application, widget)
    scene = application.scene
    first = {name: scene.GetFirstNodeByName(f"chest {name}").GetID() for name in ("slices", "slice chart")}
    tables.SetTableNodeID(first["slices"])
    charts.SetPlotChartNodeID(first["slice chart"])
    before = layout.layout
    start(application, widget)
    wait(application, widget)
    second = {name: scene.GetFirstNodeByName(f"chest {name}").GetID() for name in ("slices", "slice chart")}
    assert not set(first.values()) & set(second.values())
    assert tables.GetTableNodeID() == second["slices"]
    assert charts.GetPlotChartNodeID() == second["slice chart"]
    assert composite.GetForegroundVolumeID() == scene.GetFirstNodeByName("chest localization").GetID()
    assert widget.ui.heatMapButton.checked
    assert widget.ui.show3DButton.checked
    assert layout.layout == before


def test_a_second_analysis_shows_nothing_that_was_hidden(application, panel, composite):
    for _ in range(2):
        start(application, panel)
        wait(application, panel)
    assert composite.GetForegroundVolumeID() is None
    assert not panel.ui.show3DButton.checked


def test_a_removed_ct_is_refused_in_words(application, volume):
    from CovidCTScene.choice import refusalOfCt

    application.scene.RemoveNode(volume)
    assert refusalOfCt(volume) == "Load the chest CT again: it must be in the scene, but it was removed."
