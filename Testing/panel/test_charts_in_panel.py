"""Charts in Slicer's layout as a user meets them: clicked, come with a scene, and giving way to the 3D view."""

from __future__ import annotations

from dataclasses import replace

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from panel_case import ANALYSIS, height  # noqa: E402

SLICE_MM = 4.0

LAYOUTS = slicer.vtkMRMLLayoutNode


@pytest.fixture
def layout(application, monkeypatch):
    """The layout of a Slicer with a main window."""
    return application.with_plots(monkeypatch)


@pytest.fixture
def panel(application, program, volume, layout):
    """The open panel with a CT and its results, of whose two lines no two points lie on each other."""
    widget = application.opened()
    slices = [replace(entry, ggo_area_mm2=100.0 * entry.index**2) for entry in ANALYSIS.slices]
    widget.controller._actions.add(volume.GetID(), replace(ANALYSIS, slices=tuple(slices)))
    widget.controller.showState()
    return widget


@pytest.fixture
def slice_view(application, panel):
    """An axial slice view."""
    return application.scene.AddNewNodeByClass("vtkMRMLSliceNode")


def test_a_clicked_point_of_the_chart_moves_the_slice_views(application, panel, layout, slice_view):
    application.click(panel.ui.chartButton)
    assert layout.layout == LAYOUTS.SlicerLayoutFourUpPlotView
    for series, row in ((0, 6), (1, 3), (0, 5)):
        layout.click(series, row)
        assert height(slice_view) == pytest.approx(row * SLICE_MM)
    application.click(panel.ui.chartButton)
    assert len(layout.shown) == 2


def test_a_point_that_is_clicked_again_after_scrolling_away_leads_back_to_its_slice(
    application, panel, layout, slice_view
):
    application.click(panel.ui.chartButton)
    layout.click(0, 6)
    slice_view.SetSliceOffset(2.5)
    layout.click(0, 6)
    assert height(slice_view) == pytest.approx(6 * SLICE_MM)


def test_a_point_is_meant_though_the_other_line_keeps_its_own(application, panel, layout, slice_view):
    told = []
    jump = panel.charts._onPoint
    panel.charts._onPoint = lambda series, row: (told.append(row), jump(series, row))
    application.click(panel.ui.chartButton)
    for series, row in ((0, 6), (1, 3), (0, 6), (1, 3), (1, 3), (0, 5), (1, 3)):
        slice_view.SetSliceOffset(2.5)
        layout.click(series, row)
        assert height(slice_view) == pytest.approx(row * SLICE_MM)
    assert told == [6, 3, 6, 3, 3, 5, 3], "one point a click"


def test_a_chart_that_came_with_a_scene_can_be_clicked(application, panel, layout, slice_view):
    (node,) = application.scene.GetNodesByClass("vtkMRMLLayoutNode")
    (chart,) = application.scene.GetNodesByClass("vtkMRMLPlotChartNode")
    # What loading a scene does: its layout node says which views there are, its plot view which chart.
    node.SetViewArrangement(LAYOUTS.SlicerLayoutConventionalPlotView)
    layout.showChart(chart)
    layout.click(0, 6)
    assert height(slice_view) == pytest.approx(6 * SLICE_MM)


def test_a_chart_that_stands_there_when_the_module_opens_can_be_clicked(application, program, volume, layout):
    layout.setLayout(LAYOUTS.SlicerLayoutFourUpPlotView)
    widget = application.opened()
    widget.controller._actions.add(volume.GetID(), ANALYSIS)
    view = application.scene.AddNewNodeByClass("vtkMRMLSliceNode")
    (chart,) = application.scene.GetNodesByClass("vtkMRMLPlotChartNode")
    layout.showChart(chart)
    layout.click(0, 6)
    assert height(view) == pytest.approx(6 * SLICE_MM)


def test_the_surfaces_can_be_seen_after_the_chart(application, panel, layout):
    application.click(panel.ui.chartButton)
    assert layout.layout == LAYOUTS.SlicerLayoutFourUpPlotView
    assert not layout.has("vtkMRMLViewNode")
    application.click(panel.ui.show3DButton)
    application.until(lambda: not panel.controller.surfaces.running)
    assert panel.ui.show3DButton.checked
    assert layout.layout == LAYOUTS.SlicerLayoutConventionalPlotView
    assert layout.has("vtkMRMLViewNode")
    layout.setLayout(LAYOUTS.SlicerLayoutOneUpRedSliceView)
    application.click(panel.ui.show3DButton)
    assert layout.layout == LAYOUTS.SlicerLayoutOneUpRedSliceView, "hiding needs no 3D view"
    application.click(panel.ui.show3DButton)
    assert layout.layout == LAYOUTS.SlicerLayoutFourUpView


def test_charts_and_tables_are_left_when_the_module_is_reloaded(application, program, volume, layout):
    widget = application.opened()
    widget.controller._actions.add(volume.GetID(), ANALYSIS)
    widget.controller.showState()
    application.click(widget.ui.chartButton)
    application.click(widget.ui.tableButton)
    view = application.scene.AddNewNodeByClass("vtkMRMLSliceNode")
    widget.cleanup()
    application.widgets.clear()
    layout.click(0, 6)
    layout.tables.views[0]._click(3)
    assert height(view) == 0.0
    assert layout._listeners == []


def test_where_the_chart_cannot_be_told_to_take_clicks_a_box_chooses(application, program, layout, monkeypatch):
    monkeypatch.setattr(type(layout.view), "chart", lambda self: object())
    application.panels.charts.letPointsBeClicked(layout.plotWidget(0))
    assert layout.viewNode.GetInteractionMode() == slicer.vtkMRMLPlotViewNode.InteractionModeSelectPoints
