"""The panel's upper half: a CT to choose, windows, one button, progress, and the results of that CT."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from CovidCTLib.hu import READING_WINDOW, WINDOWS
from CovidCTPanel.progress_text import progressText
from CovidCTPanel.summary import (
    Cell,
    Record,
    decisionLines,
    decisionText,
    lungTable,
    scoreDefinitions,
    scoreLines,
    warningLines,
)
from CovidCTPanel.tables import fillTable, prepareTable, toolTip

SECOND_CLICK_S = 0.5
"""Seconds after the start in which a click is the second of a double click, and does not cancel."""

PROGRESS_STEPS = 1000
"""Steps of the progress bar from nothing to done."""

RESULT_BUTTONS = (
    "show3DButton",
    "heatMapButton",
    "chartButton",
    "tableButton",
    "reportButton",
    "pdfButton",
    "exportButton",
    "explainButton",
)


class Panel:
    """Sets the widgets of ``Resources/UI/CovidCT.ui`` that deal with one CT.

    Parameters
    ----------
    ui
        Holds the widgets by name, as ``slicer.util.childWidgetVariables`` gives them.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._refusal: str | None = None
        self._working = False
        self._cancelling = False
        self._started = 0.0
        self._usualToolTips = {name: getattr(ui, name).toolTip for name in RESULT_BUTTONS}
        ui.progressBar.maximum = PROGRESS_STEPS
        for window in (*WINDOWS, READING_WINDOW):
            button, limits = self.windowButton(window.name), {"l": window.level_hu, "w": window.width_hu}
            button.toolTip = _("Window: level {l:g}, width {w:g} HU.").format(**limits)
            button.text = _("{name} (W {w:g} L {l:g})").format(name=button.text, **limits)
        for label in (ui.progressLabel, ui.messageLabel):
            label.visible = False
        ui.progressBar.visible = False
        prepareTable(ui.lungTable)
        self.showRecord(None)

    def windowButton(self, name: str) -> Any:
        """Give the button of a window of `CovidCTLib.hu`, by the window's name."""
        ui = self._ui
        return {
            "soft tissue": ui.softTissueButton,
            "lungs": ui.lungsButton,
            "bone": ui.boneButton,
            "brain": ui.brainButton,
            "lung reading": ui.readingButton,
        }[name]

    def onWindow(self, function: Callable[[str], None]) -> None:
        """Call a function with the name of the window whose button is pressed."""
        for window in (*WINDOWS, READING_WINDOW):
            self.windowButton(window.name).connect(
                "clicked(bool)", lambda _checked=False, name=window.name: function(name)
            )

    def onAnalyze(self, start: Callable[[], None], cancel: Callable[[], None]) -> None:
        """Call one of two functions when the large button is pressed, depending on whether an analysis is running."""

        def pressed(_checked: bool = False) -> None:
            if not self._working:
                start()
            elif time.monotonic() - self._started > SECOND_CLICK_S:
                cancel()

        self._ui.analyzeButton.connect("clicked(bool)", pressed)

    def onResultButton(self, name: str, function: Callable[[bool], None]) -> None:
        """Call a function with whether the button is checked now, when the user pressed a button of the results."""
        getattr(self._ui, name).connect("clicked(bool)", lambda checked=False: function(bool(checked)))

    def showRefusal(self, refusal: str | None) -> None:
        """Disable the button with the reason as its tooltip, or enable it where there is none."""
        self._refusal = refusal
        self._showButton()

    def startWork(self) -> None:
        """Show that an analysis is running; the button cancels it from now on."""
        self._working = True
        self._cancelling = False
        self._started = time.monotonic()
        self._ui.progressBar.value = 0
        self._ui.progressBar.visible = True
        self._ui.progressLabel.visible = True
        self.showMessage("")
        self._showButton()

    def showProgress(self, stage: str, fraction: float, elapsed_s: float) -> None:
        """Show what is being done, how much is done (0 to 1), and how long it will still take."""
        self._ui.progressBar.value = round(PROGRESS_STEPS * fraction)
        self._ui.progressLabel.text = progressText(stage, fraction, elapsed_s)

    def showCancelling(self) -> None:
        """Show that the analysis is about to end; the button cannot be pressed again meanwhile."""
        self._cancelling = True
        self._ui.progressLabel.text = _("Cancelling...")
        self._showButton()

    def endWork(self) -> None:
        """Show that no analysis is running any more, whether it was done, cancelled or failed."""
        self._working = False
        self._cancelling = False
        self._ui.progressBar.visible = False
        self._ui.progressLabel.visible = False
        self._showButton()

    def showMessage(self, text: str) -> None:
        """Show one sentence under the button, in plain text, or nothing."""
        self._ui.messageLabel.text = text
        self._ui.messageLabel.visible = bool(text)

    def showRecord(self, record: Record | None) -> None:
        """Show the results of the chosen CT, or that it has none.

        Parameters
        ----------
        record
            As in ``analysis.json``.
        """
        ui = self._ui
        ui.resultsWidget.visible = record is not None
        if record is None:
            return
        ui.decisionLabel.text = decisionText(record)
        ui.decisionLabel.toolTip = toolTip(decisionLines(record))
        ui.scoresLabel.text = "\n".join(scoreLines(record))
        ui.scoresLabel.toolTip = toolTip(scoreDefinitions(record))
        ui.warningsLabel.text = "\n".join(warningLines(record))
        ui.warningsLabel.visible = bool(warningLines(record))
        header = [
            Cell(""),
            Cell(_("R"), _("Right lung")),
            Cell(_("L"), _("Left lung")),
            Cell(_("Both"), _("Both lungs")),
        ]
        fillTable(ui.lungTable, header, lungTable(record))

    def showResultButton(self, name: str, refusal: str | None, checked: bool = False) -> None:
        """Enable a button of the results, or disable it with the reason as its tooltip."""
        button = getattr(self._ui, name)
        button.enabled = refusal is None
        button.toolTip = refusal or self._usualToolTips[name]
        if button.checkable:
            button.checked = checked

    def _showButton(self) -> None:
        button = self._ui.analyzeButton
        if self._working:
            button.text = _("Cancel")
            button.toolTip = _("Stop the analysis; the scene stays as it is.")
            button.enabled = not self._cancelling
        else:
            button.text = _("Analyze")
            button.toolTip = self._refusal or _("Find lungs and opacities, and put all results into the scene.")
            button.enabled = self._refusal is None
        # A CT that is being analyzed must stay the chosen one, so that results never stand beside another CT.
        self._ui.inputVolumeSelector.enabled = not self._working
        self._ui.settingsSection.enabled = not self._working


def openFile(path: str) -> bool:
    """Open a file in the program that the system has for it; say whether there was one."""
    return bool(qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(path)))


def chooseFolder(parent: Any, title: str, start: str = "") -> str:
    """Let the user choose a folder; empty where the user changed their mind."""
    return str(qt.QFileDialog.getExistingDirectory(parent, title, start))


def chooseFile(parent: Any, title: str, name: str, kind: str) -> str:
    """Let the user choose where a file is to be written; empty where the user changed their mind."""
    return str(qt.QFileDialog.getSaveFileName(parent, title, name, kind))


def connectFolderButton(button: Any, edit: Any, title: str) -> None:
    """Let a button choose the folder of a line edit."""

    def pressed(_checked: bool = False) -> None:
        folder = chooseFolder(button, title, edit.text)
        if folder:
            edit.text = folder

    button.connect("clicked(bool)", pressed)
