"""The panel in Slicer's panel of modules: whatever it shows, no part covers another, and nothing is cut."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from module_panel import ModulePanel
from panel_case import ANALYSIS
from PySide6 import QtCore, QtWidgets
from pythonqt import CollapsibleButton

WIDTHS_PX = (400, 500, 700)
FONTS_PERCENT = (100, 160)
WINDOW_HEIGHT_PX = 500
"""Lower than the panel, so that it scrolls."""

LEAST_MARGIN_PX = 4
"""Between the text of a label and the edge of the panel."""

MESSAGE = (
    "The earlier segments had been edited by hand, so they were kept: hidden, in a segmentation whose name ends so."
)
SECTIONS = ("followUpSection", "batchSection", "settingsSection")


def is_seen(widget, root):
    """Say whether a widget is shown; what is in a folded section is not (CTK hides it, the stand-in covers it)."""
    above = QtWidgets.QWidget.parentWidget(widget)
    while above is not root:
        if isinstance(above, CollapsibleButton) and above.collapsed:
            return False
        above = QtWidgets.QWidget.parentWidget(above)
    return QtWidgets.QWidget.isVisibleTo(widget, root)


def leaves(root):
    """The visible widgets that show something themselves, with their rectangles in the root."""
    kinds = (
        QtWidgets.QLabel,
        QtWidgets.QAbstractButton,
        QtWidgets.QLineEdit,
        QtWidgets.QComboBox,
        QtWidgets.QAbstractSpinBox,
        QtWidgets.QTableWidget,
        QtWidgets.QPlainTextEdit,
        QtWidgets.QProgressBar,
    )
    found = []
    for widget in QtWidgets.QWidget.findChildren(root, QtWidgets.QWidget):
        inside = QtWidgets.QWidget.parentWidget(widget)
        if not isinstance(widget, kinds) or isinstance(inside, kinds) or not is_seen(widget, root):
            continue
        size = QtWidgets.QWidget.size(widget)
        corner = QtWidgets.QWidget.mapTo(widget, root, QtCore.QPoint(0, 0))
        found.append((widget, QtCore.QRect(corner, size)))
    return found


def faults(root):
    """What covers another, what is cut, and what touches the edge, in words."""
    told = []
    parts = leaves(root)
    names = {id(widget): QtCore.QObject.objectName(widget) for widget, _rectangle in parts}
    for (one, first), (other, second) in itertools.combinations(parts, 2):
        covered = first.intersected(second)
        if not covered.isEmpty():
            told.append(f"{names[id(one)]} covers {names[id(other)]} by {covered.height()} px")
    width, height = QtWidgets.QWidget.width(root), QtWidgets.QWidget.height(root)
    needed = root.layout().totalHeightForWidth(width)
    if height < needed:
        told.append(f"the panel is {height} px high and needs {needed}")
    for widget, rectangle in parts:
        name = names[id(widget)]
        if isinstance(widget, QtWidgets.QLabel):
            needed = QtWidgets.QLabel.heightForWidth(widget, rectangle.width())
            if rectangle.height() < needed:
                told.append(f"{name} is {rectangle.height()} px high and needs {needed}")
        elif isinstance(widget, QtWidgets.QTableWidget):
            header = QtWidgets.QTableWidget.verticalHeader(widget)
            needed = QtWidgets.QHeaderView.length(header)
            shown = QtWidgets.QWidget.height(QtWidgets.QTableWidget.viewport(widget))
            if shown < needed:
                told.append(f"{name} shows {shown} of {needed} px of its rows")
        elif rectangle.height() < QtWidgets.QWidget.minimumSizeHint(widget).height():
            told.append(f"{name} is {rectangle.height()} px high")
        if rectangle.left() < LEAST_MARGIN_PX or rectangle.right() > width - 1 - LEAST_MARGIN_PX:
            told.append(f"{name} touches the edge of the panel")
        if rectangle.bottom() >= height:
            told.append(f"{name} reaches under the panel")
    return told


class Shown:
    """The panel in Slicer's panel of modules, with results, in a low window.

    Each state is reached as a user reaches it, one change at a time, and the panel was taken out once and put in again.
    """

    def __init__(self, application, volume, font_percent):
        self.application = application
        self.widget = application.opened(font_percent)
        self.widget.controller._actions.add(volume.GetID(), ANALYSIS)
        self.panel = ModulePanel(self.widget.parent)
        self.panel.enter()
        self.resize(WIDTHS_PX[0])
        self.panel.scroll.show()
        self.settle()
        self.reenter()

    @property
    def root(self):
        return self.widget.panel._height._widget

    def reenter(self):
        """Open another module, and this one again."""
        self.panel.leave()
        self.settle()
        self.panel.enter()
        self.settle()

    def resize(self, width):
        self.panel.scroll.resize(width, WINDOW_HEIGHT_PX)

    def settle(self):
        for _ in range(3):
            self.application.rest()

    def show(self, message, running, results, opened):
        """Put the panel into a state."""
        panel = self.widget.panel
        if running:
            panel.startWork()
            panel.showProgress("lungs", 0.4, 25.0)
        else:
            panel.endWork()
        panel.showMessage(MESSAGE if message else "", Path("results") if message else None)
        record = self.widget.controller._actions.record(self.widget.volumeId())
        panel.showRecord(record if results else None)
        for name, unfolded in zip(SECTIONS, opened, strict=True):
            if getattr(self.widget.ui, name).collapsed == unfolded:
                getattr(self.widget.ui, name).collapsed = not unfolded
        self.settle()

    def close(self):
        self.panel.leave()
        self.panel.scroll.close()


STATES = list(itertools.product((False, True), repeat=6))


@pytest.mark.parametrize("font_percent", FONTS_PERCENT)
def test_nothing_covers_another_and_nothing_is_cut_in_any_state(application, program, volume, font_percent):
    shown = Shown(application, volume, font_percent)
    found = {}
    for width in WIDTHS_PX:
        shown.resize(width)
        for message, running, results, *opened in STATES:
            shown.show(message, running, results, opened)
            told = faults(shown.root)
            if told:
                found[(width, message, running, results, *opened)] = told
    shown.close()
    assert found == {}


def test_a_panel_that_only_goes_by_what_qt_remembers_is_lower_than_its_content(
    application, program, volume, monkeypatch
):
    """Seen in Slicer, where rows of the table were hidden; so the stand-in for its panel of modules must show it."""
    monkeypatch.setattr(application.panels.panel_height.PanelHeight, "fit", lambda self: None)
    shown = Shown(application, volume, 100)
    lost = []
    for message, running, results, *opened in STATES:
        shown.show(message, running, results, opened)
        lost += faults(shown.root)
    shown.close()
    assert sum(fault.startswith("the panel is") for fault in lost) > len(STATES) / 4


@pytest.mark.parametrize("font_percent", FONTS_PERCENT)
def test_what_to_do_first_is_read_whole(application, program, font_percent):
    widget = application.opened(font_percent)
    panel = ModulePanel(widget.parent)
    panel.enter()
    panel.scroll.show()
    for width in WIDTHS_PX:
        panel.scroll.resize(width, WINDOW_HEIGHT_PX)
        for _ in range(3):
            application.rest()
        assert widget.ui.firstStepsLabel.visible
        assert faults(widget.panel._height._widget) == []
    panel.leave()
    panel.scroll.close()


def test_widgets_that_are_deleted_already_are_let_go_of(application, program, volume):
    def refuse(_filter):
        raise ValueError("Trying to call 'removeEventFilter' on a destroyed QWidget object")

    height = application.opened().panel._height
    widget = height._widget
    height._widget = SimpleNamespace(removeEventFilter=refuse)
    height.end()
    assert height._widget is None
    widget.removeEventFilter(height)


def test_the_panel_lets_go_of_its_widgets_when_the_module_ends(application, program, volume):
    widget = application.opened()
    root = widget.panel._height._widget
    widget.cleanup()
    root.setMinimumHeight(0)
    widget.ui.messageLabel.text = MESSAGE
    widget.ui.messageLabel.visible = True
    application.rest()
    assert root.minimumHeight == 0
    widget.panel.leave()
    widget.panel._height.fit()
    assert root.minimumHeight == 0
