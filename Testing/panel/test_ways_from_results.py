"""Buttons from the results to Segment Statistics, to the table of measures, and back to the layout of before."""

from __future__ import annotations

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from panel_case import ANALYSIS, SEGMENTATION, message, wait  # noqa: E402

LAYOUTS = slicer.vtkMRMLLayoutNode


@pytest.fixture
def layout(application, monkeypatch):
    """The layout of a Slicer with a main window."""
    return application.with_plots(monkeypatch)


@pytest.fixture
def panel(layout, panel, volume):
    """The open panel with a CT and its results."""
    panel.controller._actions.add(volume.GetID(), ANALYSIS)
    panel.controller.showState()
    return panel


def test_segment_statistics_opens_with_segmentation_and_ct(application, panel, volume, monkeypatch):
    chosen = application.with_modules(monkeypatch, "segmentstatistics")
    application.click(panel.ui.statisticsButton)
    assert chosen == ["SegmentStatistics"]
    statistics = slicer.modules.segmentstatistics.widgetRepresentation().self()
    assert statistics.segmentationSelector.currentNode() is application.scene.GetFirstNodeByClass(SEGMENTATION)
    assert statistics.scalarSelector.currentNode() is volume
    assert message(panel) == ""


def test_without_segment_statistics_that_is_told(application, panel):
    application.click(panel.ui.statisticsButton)
    assert message(panel).startswith("Slicer's module SegmentStatistics is needed, but it is not loaded.")


def test_the_segment_editor_opens_with_segmentation_and_ct_of_the_shown_results(
    application, panel, volume, monkeypatch
):
    other = application.scene.AddNewNodeByClass(SEGMENTATION)
    chosen = application.with_modules(monkeypatch, "segmenteditor")
    application.click(panel.ui.editButton)
    assert chosen == ["SegmentEditor"]
    segmentation = next(
        node for node in application.scene.GetNodesByClass(SEGMENTATION) if node.GetSegmentation().GetNumberOfSegments()
    )
    assert segmentation is not other
    node = application.scene.GetFirstNodeByClass("vtkMRMLSegmentEditorNode")
    assert node.GetSegmentationNode() is segmentation
    assert node.GetSourceVolumeNode() is volume
    editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
    assert editor.chosen == {"segmentation": segmentation, "volume": volume}
    application.click(panel.ui.editButton)
    assert application.scene.GetNumberOfNodesByClass("vtkMRMLSegmentEditorNode") == 1


def test_the_table_of_measures_is_shown(application, panel, layout):
    application.click(panel.ui.measuresButton)
    shown = layout.tables.views[0].mrmlTableNode()
    assert shown.GetName().endswith("Corona Score")
    assert layout.has("vtkMRMLTableViewNode")
    layout.tables.views[0]._click(0)
    application.rest()
    assert message(panel) == "", "its rows are no slices"


def test_the_layout_of_before_comes_back(application, panel, layout):
    button = panel.ui.layoutButton
    assert not button.enabled
    assert button.toolTip.startswith("No button here has changed the layout")
    before = layout.layout
    application.click(panel.ui.chartButton)
    application.click(panel.ui.tableButton)
    assert layout.layout != before
    assert button.enabled
    assert button.toolTip.startswith("Show the views as they were")
    application.click(button)
    assert layout.layout == before
    assert not button.enabled


def test_the_layout_of_before_is_remembered_for_3d_too(application, panel, layout):
    layout.setLayout(LAYOUTS.SlicerLayoutOneUpRedSliceView)
    application.rest()
    application.click(panel.ui.show3DButton)
    wait(application, panel)
    assert layout.has("vtkMRMLViewNode")
    application.click(panel.ui.layoutButton)
    assert layout.layout == LAYOUTS.SlicerLayoutOneUpRedSliceView


def test_a_layout_that_the_user_chose_since_is_not_left(application, panel, layout):
    application.click(panel.ui.chartButton)
    assert panel.ui.layoutButton.enabled
    layout.setLayout(LAYOUTS.SlicerLayoutOneUpRedSliceView)
    application.rest()
    assert not panel.ui.layoutButton.enabled
    application.click(panel.ui.tableButton)
    application.click(panel.ui.layoutButton)
    assert layout.layout == LAYOUTS.SlicerLayoutOneUpRedSliceView


def test_a_button_that_changes_no_layout_is_no_way_back(application, panel, layout):
    application.click(panel.ui.heatMapButton)
    application.click(panel.ui.boneButton)
    assert not panel.ui.layoutButton.enabled
    application.click(panel.ui.chartButton)
    ours = layout.layout
    application.click(panel.ui.chartButton)
    assert panel.ui.layoutButton.enabled
    panel.previousLayout.goBack()
    panel.previousLayout.goBack()
    assert layout.layout != ours


def test_the_layout_is_no_longer_watched_after_the_end(application, panel, layout):
    watching = len(layout._listeners)
    for _ in range(2):
        panel.previousLayout.leave()
        assert len(layout._listeners) == watching - 1


def test_without_a_main_window_there_is_no_way_back(application, program, volume):
    widget = application.opened()
    with widget.previousLayout.remembered():
        pass
    widget.previousLayout.goBack()
    assert not widget.previousLayout.isKnown
