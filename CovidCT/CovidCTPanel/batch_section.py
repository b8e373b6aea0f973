"""The batch section: two folders, one button, a bar and a line a CT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from CovidCTLib.batch.cases import TABLE_FILE
from CovidCTPanel.panel import PROGRESS_STEPS, connectFolderButton
from CovidCTPanel.tool_tips import wrapped


class BatchSection:
    """Sets the widgets of the batch section.

    Parameters
    ----------
    ui
        Holds the widgets by name.

    Notes
    -----
    The folders are not kept in the scene: they belong to one computer, and their names may be a patient's.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._working = False
        self._busy = False
        ui.batchProgressBar.maximum = PROGRESS_STEPS
        ui.batchProgressBar.visible = False
        ui.batchLog.visible = False
        connectFolderButton(ui.batchInputButton, ui.batchInputEdit, _("Folder with CTs"))
        connectFolderButton(ui.batchOutputButton, ui.batchOutputEdit, _("Folder for the results"))
        for edit in (ui.batchInputEdit, ui.batchOutputEdit):
            edit.connect("textChanged(QString)", lambda *_text: self._showButton())
        self._showButton()

    def onRun(self, start: Callable[[Path, Path], None], cancel: Callable[[], None]) -> None:
        """Call a function with both folders when the button is pressed, or another while a batch is running."""

        def pressed(_checked: bool = False) -> None:
            if self._working:
                self._ui.batchButton.enabled = False
                cancel()
            else:
                start(Path(self._input), Path(self._output))

        self._ui.batchButton.connect("clicked(bool)", pressed)

    @property
    def _input(self) -> str:
        return str(self._ui.batchInputEdit.text).strip()

    @property
    def _output(self) -> str:
        return str(self._ui.batchOutputEdit.text).strip()

    def showBusy(self, busy: bool) -> None:
        """Take note of whether a single CT is being analyzed; both at once would only slow each other down."""
        self._busy = busy
        self._showButton()

    def startWork(self) -> None:
        """Show that a batch is running."""
        self._working = True
        self._ui.batchLog.setPlainText("")
        self.showProgress(0.0)
        self._ui.batchProgressBar.visible = True
        self._showButton()

    def showProgress(self, fraction: float) -> None:
        """Show how much of the batch is done, 0 to 1."""
        self._ui.batchProgressBar.value = round(PROGRESS_STEPS * fraction)

    def addLine(self, line: str) -> None:
        """Add a line to the log."""
        self._ui.batchLog.visible = True
        self._ui.batchLog.appendPlainText(line)

    def endWork(self) -> None:
        """Show that no batch is running any more."""
        self._working = False
        self._ui.batchProgressBar.visible = False
        self._showButton()

    def _refusal(self) -> str | None:
        if self._busy:
            return _("Wait until the CT above is analyzed, or cancel that.")
        if not self._input:
            return _("Choose the folder with the CTs first.")
        if not self._output:
            return _("Choose a folder for the results first.")
        if Path(self._output).resolve() == Path(self._input).resolve():
            return _("Choose another folder for the results: it must not be the folder with the CTs.")
        return None

    def _showButton(self) -> None:
        button = self._ui.batchButton
        refusal = None if self._working else self._refusal()
        button.text = _("Cancel") if self._working else _("Analyze all")
        button.enabled = refusal is None
        stop = _("Stop; what is done stays, and the batch can go on later.")
        button.toolTip = wrapped(refusal or (stop if self._working else _usualToolTip()))
        for widget in ("batchInputEdit", "batchInputButton", "batchOutputEdit", "batchOutputButton"):
            getattr(self._ui, widget).enabled = not self._working


def _usualToolTip() -> str:
    """Say what the button does, and what the table holds."""
    text = _(
        "Analyze every CT of the folder, one by one; those that are finished already are kept. The table {table} in "
        "the folder for the results says which file became which case. It holds the names of the files, which may be "
        "names of patients."
    )
    return text.format(table=TABLE_FILE)
