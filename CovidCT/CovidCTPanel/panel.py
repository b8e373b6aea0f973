"""The panel: a CT to choose, one button, a bar while it works, and the result in a few lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

PROGRESS_STEPS = 1000
"""Steps of the progress bar from nothing to done."""


class Panel:
    """Sets the widgets of ``Resources/UI/CovidCT.ui``.

    Parameters
    ----------
    ui
        Holds the widgets by name, as ``slicer.util.childWidgetVariables`` gives them.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._refusal: str | None = None
        self._working = False
        ui.progressBar.maximum = PROGRESS_STEPS
        ui.progressBar.visible = False
        ui.summaryLabel.visible = False

    def onAnalyze(self, function: Callable[[], None]) -> None:
        """Call a function when the button is pressed."""
        self._ui.analyzeButton.connect("clicked(bool)", lambda _checked=False: function())

    def showRefusal(self, refusal: str | None) -> None:
        """Disable the button with the reason as its tooltip, or enable it where there is none."""
        self._refusal = refusal
        self._showButton()

    def startWork(self) -> None:
        """Show that an analysis is running; the button cannot be pressed again meanwhile."""
        self._working = True
        self._ui.progressBar.value = 0
        self._ui.progressBar.visible = True
        self._ui.summaryLabel.visible = False
        self._showButton()

    def showProgress(self, fraction: float) -> None:
        """Show how much is done, from 0 to 1."""
        self._ui.progressBar.value = round(PROGRESS_STEPS * fraction)
        # The analysis keeps the event loop busy, so the bar is painted here; nothing else may happen meanwhile.
        self._ui.progressBar.repaint()

    def endWork(self) -> None:
        """Show that no analysis is running any more, whether it was done or failed."""
        self._working = False
        self._ui.progressBar.visible = False
        self._showButton()

    def showSummary(self, lines: list[str], details: list[str]) -> None:
        """Show the result as plain text, a line each, and details as its tooltip."""
        self._ui.summaryLabel.text = "\n".join(lines)
        self._ui.summaryLabel.toolTip = "\n".join(details)
        self._ui.summaryLabel.visible = True

    def _showButton(self) -> None:
        if self._working:
            tooltip = _("The analysis is running.")
        else:
            tooltip = self._refusal or _("Find lungs and opacities, and put all results into the scene.")
        self._ui.analyzeButton.enabled = self._refusal is None and not self._working
        self._ui.analyzeButton.toolTip = tooltip
