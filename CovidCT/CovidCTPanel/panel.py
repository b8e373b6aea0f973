"""The panel's upper half: a CT to choose, windows, one button, progress, and the results of that CT."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from CovidCTLib.hu import READING_WINDOW, WINDOWS
from CovidCTPanel.dicom_controls import DicomControls
from CovidCTPanel.first_steps import FirstSteps
from CovidCTPanel.panel_height import PanelHeight
from CovidCTPanel.previous_layout import PreviousLayout
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
from CovidCTPanel.tables import fillTable, prepareTable
from CovidCTPanel.tool_tips import wrapped, wrapToolTips

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
    "measuresButton",
    "layoutButton",
    "statisticsButton",
    "editButton",
    "measureAgainButton",
)


class Panel:
    """Sets the widgets of ``Resources/UI/CovidCT.ui`` that deal with one CT.

    Parameters
    ----------
    ui
        Holds the widgets by name, as ``slicer.util.childWidgetVariables`` gives them.
    root
        The widget that holds them all.
    openModule
        Opens the module of Slicer with a name.
    """

    def __init__(self, ui: Any, root: Any, openModule: Callable[[str], None]) -> None:
        self._ui = ui
        wrapToolTips(ui)
        self._firstSteps = FirstSteps(ui.firstStepsLabel, openModule, self.showMessage)
        self.dicom = DicomControls(ui)
        self._folder: Path | None = None
        ui.showFolderButton.connect("clicked(bool)", lambda _checked=False: self._showFolder())
        self._refusal: str | None = None
        self._working = False
        self._cancelling = False
        self._started = 0.0
        self._state: object = None
        self._warnings: list[str] = []
        self._edited = False
        self._record: Record | None = None
        self._usualToolTips = {name: getattr(ui, name).toolTip for name in RESULT_BUTTONS}
        ui.progressBar.maximum = PROGRESS_STEPS
        for window in (*WINDOWS, READING_WINDOW):
            button, limits = self.windowButton(window.name), {"l": window.level_hu, "w": window.width_hu}
            button.toolTip = _("Window: level {l:g}, width {w:g} HU.").format(**limits)
            button.text = _("{name}\nW {w:g} L {l:g}").format(name=button.text, **limits)
        for widget in (ui.progressLabel, ui.progressBar, ui.messageLabel, ui.showFolderButton):
            widget.visible = False
        prepareTable(ui.lungTable)
        self.showRecord(None)
        self._height = PanelHeight(root)

    def leave(self) -> None:
        """Let go of the widgets before they are deleted."""
        self._height.end()

    def showFirstSteps(self, shown: bool) -> None:
        """Say what to do first, where there is no CT, or nothing."""
        self._firstSteps.show(shown)

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
                "clicked(bool)", lambda _checked=False, name=window.name: self._pressed(lambda: function(name))
            )

    def onAnalyze(self, start: Callable[[], None], cancel: Callable[[], None]) -> None:
        """Call one of two functions when the large button is pressed, depending on whether an analysis is running."""

        def pressed(_checked: bool = False) -> None:
            if not self._working:
                self._pressed(start)
            elif time.monotonic() - self._started > SECOND_CLICK_S:
                cancel()

        self._ui.analyzeButton.connect("clicked(bool)", pressed)

    def onResultButton(self, name: str, function: Callable[[bool], None]) -> None:
        """Call a function with whether the button is checked now, when the user pressed a button of the results."""
        getattr(self._ui, name).connect(
            "clicked(bool)", lambda checked=False: self._pressed(lambda: function(bool(checked)))
        )

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

    def showProgress(self, stage: str, fraction: float, left_s: float | None) -> None:
        """Show what is being done, how much is done (0 to 1), and in how many seconds all is, where that is known."""
        self._ui.progressBar.value = round(PROGRESS_STEPS * fraction)
        self._ui.progressLabel.text = progressText(stage, left_s)

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

    def showMessage(self, text: str, folder: Path | None = None) -> None:
        """Show one sentence under the button, in plain text, or nothing.

        Parameters
        ----------
        text
            The sentence; empty takes away what was shown.
        folder
            Where a file is that the sentence is about; a button shows it in the system's file manager.
        """
        self._ui.messageLabel.text = text
        self._ui.messageLabel.visible = bool(text)
        self._folder = folder
        self._ui.showFolderButton.visible = folder is not None

    def forgetFolder(self, removed: Path) -> None:
        """Take away what was said of a file in a folder that is removed."""
        if self._folder is not None and self._folder.is_relative_to(removed):
            self.showMessage("")

    def _showFolder(self) -> None:
        folder = self._folder
        if folder is not None and not openFile(str(folder)):
            text = _("No program was found that shows folders. The files are in this folder: {path}")
            self.showMessage(text.format(path=folder), folder)

    def forgetMessageOf(self, state: object) -> None:
        """Take the sentence away where what is chosen is in another state by now, for it may be true no more."""
        changed, self._state = state != self._state, state
        if changed and not self._working:
            self.showMessage("")

    def hideVolumes(self, identifiers: list[str]) -> None:
        """Leave volumes out of the list of CTs to choose from."""
        listed = self._ui.inputVolumeSelector.sortFilterProxyModel()
        if list(listed.hiddenNodeIDs) != identifiers:
            listed.hiddenNodeIDs = identifiers

    def showRecord(self, record: Record | None) -> None:
        """Show the results of the chosen CT, or that it has none.

        Parameters
        ----------
        record
            As in ``analysis.json``.
        """
        ui = self._ui
        ui.resultsWidget.visible = record is not None
        # Filling the table lays out the whole panel anew, and this is asked for whenever the scene changes.
        known, self._record = self._record, record
        if record is None or record == known:
            return
        ui.decisionLabel.text = decisionText(record)
        ui.decisionLabel.toolTip = wrapped("\n".join(decisionLines(record)))
        ui.scoresLabel.text = "\n".join(scoreLines(record))
        ui.scoresLabel.toolTip = wrapped("\n".join(scoreDefinitions(record)))
        self._warnings = warningLines(record)
        self.showEdited(self._edited)
        header = [
            Cell(""),
            Cell(_("R"), _("Right lung")),
            Cell(_("L"), _("Left lung")),
            Cell(_("Both"), _("Both lungs")),
        ]
        fillTable(ui.lungTable, header, lungTable(record))

    def showEdited(self, edited: bool) -> None:
        """Say, before all other warnings, whether segments were edited by hand since the analysis."""
        self._edited = edited
        lines = []
        if edited:
            lines.append(
                _(
                    "The segments were changed by hand; the numbers are those from before. Press Measure again for new "
                    "ones."
                )
            )
        self._ui.warningsLabel.text = "\n".join([*lines, *self._warnings])
        self._ui.warningsLabel.visible = bool(lines or self._warnings)

    def followLayout(self, previousLayout: PreviousLayout) -> None:
        """Let a button go back to the layout of before, as long as there is one."""

        def show() -> None:
            reason = _("No button here has changed the layout of the views, or you have chosen another one since.")
            self.showResultButton("layoutButton", None if previousLayout.isKnown else reason)

        self.onResultButton("layoutButton", lambda _checked: previousLayout.goBack())
        previousLayout.follow(show)
        show()

    def showResultButton(self, name: str, refusal: str | None, checked: bool = False) -> None:
        """Enable a button of the results, or disable it with the reason as its tooltip."""
        button = getattr(self._ui, name)
        button.enabled = refusal is None
        button.toolTip = wrapped(refusal or self._usualToolTips[name])
        if button.checkable:
            button.checked = checked

    def _pressed(self, function: Callable[[], None]) -> None:
        """Do what a button stands for, without what was said before, which was about something else."""
        if not self._working:
            self.showMessage("")
        function()

    def _showButton(self) -> None:
        button = self._ui.analyzeButton
        if self._working:
            button.text = _("Cancel")
            button.toolTip = _("Stop the analysis; the scene stays as it is.")
            button.enabled = not self._cancelling
        else:
            button.text = _("Analyze")
            usual = _("Find lungs and opacities, and put all results into the scene.")
            button.toolTip = wrapped(self._refusal or usual)
            button.enabled = self._refusal is None
        # A CT that is being analyzed must stay the chosen one, so that results never stand beside another CT.
        self._ui.inputVolumeSelector.enabled = not self._working
        self._ui.settingsSection.enabled = not self._working


def openFile(path: str) -> bool:
    """Open a file or folder in the program that the system has for it; say whether there was one."""
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
