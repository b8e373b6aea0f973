"""Tables in Slicer's layout as a user meets them: a clicked row moves the slice views."""

from __future__ import annotations

from dataclasses import replace

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from panel_case import ANALYSIS, GEOMETRY, height, panel_qt  # noqa: E402
from scene_maker import added_volume  # noqa: E402


def shown_table(application, volume, monkeypatch):
    """Layout, widget and a slice view, with the table of slices shown by its button."""
    layout = application.with_plots(monkeypatch)
    widget = application.opened()
    widget.controller._actions.add(volume.GetID(), ANALYSIS)
    widget.controller.showState()
    view = application.scene.AddNewNodeByClass("vtkMRMLSliceNode")
    application.click(widget.ui.tableButton)
    return layout, widget, view


def test_a_clicked_row_of_the_table_moves_the_slice_views(application, program, volume, monkeypatch):
    layout, widget, view = shown_table(application, volume, monkeypatch)
    assert layout.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView
    table = layout.tables.views[0]
    assert table.mrmlTableNode().GetName() == "chest slices"
    table._click(6)
    assert height(view) == pytest.approx(6 * 4.0)
    table._click(3, column=4)
    assert height(view) == pytest.approx(3 * 4.0)
    # Sorted by position from the head to the feet, the first row that is seen is the last slice.
    table._sorted.sort(0, panel_qt().Qt.DescendingOrder)
    table._click(0)
    assert height(view) == pytest.approx(8 * 4.0)
    application.click(widget.ui.tableButton)
    table._click(5)
    assert height(view) == pytest.approx(3 * 4.0), "one listener, and the fifth row from the head"


def test_a_table_that_was_shown_from_elsewhere_moves_the_slice_views_of_its_own_ct(
    application, program, volume, monkeypatch
):
    layout = application.with_plots(monkeypatch)
    widget = application.opened()
    other = added_volume(application.scene, ANALYSIS.scan.hu, replace(GEOMETRY, origin_lps_mm=(0.0, 0.0, 100.0)), "b")
    moved = replace(ANALYSIS, scan=replace(ANALYSIS.scan, geometry=replace(GEOMETRY, origin_lps_mm=(0.0, 0.0, 100.0))))
    for node, analysis in ((volume, ANALYSIS), (other, moved)):
        widget.controller._actions.add(node.GetID(), analysis)
    widget.ui.inputVolumeSelector.setCurrentNode(volume)
    view = application.scene.AddNewNodeByClass("vtkMRMLSliceNode")
    layout.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView)
    tables = {node.GetName(): node for node in application.scene.GetNodesByClass("vtkMRMLTableNode")}
    layout.tables.show(tables["b slices"])
    layout.tables.views[0]._click(2)
    assert height(view) == pytest.approx(100.0 + 2 * 4.0)
    layout.tables.show(tables["b Corona Score"])
    layout.tables.views[0]._click(3)
    assert height(view) == pytest.approx(100.0 + 2 * 4.0), "a row of another table is no slice"
    unnamed = tables["b slices"]
    unnamed.SetUseColumnTitleAsColumnHeader(False)
    layout.tables.show(unnamed)
    layout.tables.views[0]._click(0)
    assert height(view) == pytest.approx(100.0 + 2 * 4.0), "the first row holds the names of the columns"
    layout.tables.views[0]._click(1)
    assert height(view) == pytest.approx(100.0)
    unnamed.GetTable().GetColumnByName("index").SetValue(1, 99)
    layout.tables.show(unnamed)
    layout.tables.views[0]._click(2)
    assert "must be from 0 to 8, not 99" in widget.ui.messageLabel.text


def test_a_row_that_stays_selected_while_tables_change_moves_nothing(application, program, volume, monkeypatch):
    layout, _widget, view = shown_table(application, volume, monkeypatch)
    slices = layout.tables.views[0].mrmlTableNode()
    (scores,) = (node for node in application.scene.GetNodesByClass("vtkMRMLTableNode") if "Score" in node.GetName())
    layout.tables.views[0]._click(6)
    assert height(view) == pytest.approx(6 * 4.0)
    view.GetSliceToRAS().SetElement(2, 3, 1.0)
    layout.tables.show(slices)
    assert height(view) == 1.0, "Slicer shows the table anew at the end of each batch of changes"
    layout.tables.show(scores)
    layout.tables.views[0]._click(2)
    layout.tables.show(slices)
    assert height(view) == 1.0, "the row was chosen in another table"
    layout.tables.views[0]._click(3)
    assert height(view) == pytest.approx(3 * 4.0)


def test_the_header_of_the_table_says_position_in_mm_once(application, program, volume, monkeypatch):
    layout, _widget, _view = shown_table(application, volume, monkeypatch)
    assert layout.tables.views[0]._headings()[:5] == [
        "slice",
        "position (mm)",
        "like COVID-19 (1 yes, 0 no)",
        "probability (%)",
        "opacity (%)",
    ]


def test_long_definitions_wrap_in_the_tooltips_of_the_panel(application, program, volume):
    widget = application.opened()
    widget.controller._actions.add(volume.GetID(), ANALYSIS)
    widget.controller.showState()
    table = widget.ui.lungTable
    tips = [table.item(row, 0).toolTip() for row in range(table.rowCount)]
    assert any(len(tip) > 120 for tip in tips)
    assert all(len(line) <= 90 for tip in tips for line in tip.splitlines())
