"""No tooltip runs across the screen."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from panel_case import ANALYSIS


def tool_tips(ui):
    """All that the panel's widgets and the cells of its tables say when one points at them."""
    told = {name: widget.toolTip for name, widget in vars(ui).items() if hasattr(widget, "toolTip")}
    for name in ("lungTable", "followUpTable", "studiesTable"):
        table = getattr(ui, name)
        for row in range(table.rowCount):
            for column in range(table.columnCount):
                item = table.item(row, column)
                told[f"{name} {row} {column}"] = item.toolTip() if item is not None else ""
    return {name: text for name, text in told.items() if text}


def test_every_tool_tip_wraps(application, panel, volume):
    longest = application.panels.tool_tips.TOOL_TIP_CHARACTERS
    before = tool_tips(panel.ui)
    panel.controller._actions.add(volume.GetID(), ANALYSIS)
    panel.controller.showState()
    panel.ui.followUpSection.collapsed = False
    application.until(lambda: panel.ui.studiesTable.rowCount == 1)
    after = tool_tips(panel.ui)
    panel.panel.showRefusal("A reason " * 40)
    panel.panel.showResultButton("reportButton", "A reason " * 40)
    refused = tool_tips(panel.ui)
    assert len(refused["analyzeButton"].splitlines()) > 3
    assert len(after) > len(before) > 30
    for told in (before, after, refused):
        assert {name: text for name, text in told.items() if max(map(len, text.splitlines())) > longest} == {}


def test_breaks_and_long_words_stay(application):
    wrapped = application.panels.tool_tips.wrapped
    address = "https://example.org/" + "a" * 80
    assert wrapped("one\ntwo") == "one\ntwo"
    assert wrapped(f"See {address} there.") == f"See\n{address}\nthere."
    assert wrapped("") == ""
