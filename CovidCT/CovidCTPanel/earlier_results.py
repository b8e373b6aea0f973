"""Results of an earlier analysis in the DICOM study of a CT: shown without a new one."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from CovidCTLib.errors import CovidCTError
from CovidCTPanel.collaborators import Actions
from CovidCTPanel.panel import Panel
from CovidCTPanel.result_files import Beside

Add = Callable[[str, "concurrent.futures.Future[Any]"], None]
"""Puts what a future gives into the scene, as `CovidCTPanel.adding_run.AddingRun.add`."""


class EarlierResults:
    """Reads the results and hands them over.

    Parameters
    ----------
    panel
        Where messages are shown.
    actions
        The scene.
    beside
        Does the work.
    add
        Puts the results into the scene.
    """

    def __init__(self, panel: Panel, actions: Actions, beside: Beside, add: Add) -> None:
        self._panel = panel
        self._actions = actions
        self._beside = beside
        self._add = add

    def show(self, volumeId: str) -> None:
        """Read the newest results in the study of a CT, and show them; whatever is wrong is told as one sentence."""
        try:
            read = self._actions.earlierResultsLater(volumeId)
            prepare = self._actions.preparing(volumeId)
        except CovidCTError as error:
            self._panel.showMessage(str(error))
            return

        def readAndPrepare() -> tuple[Any, Any, Callable[[], bool]]:
            analysis = read()
            return analysis, prepare(analysis), lambda: False

        self._panel.showMessage(_("Reading the results of the earlier analysis..."))
        self._beside(None, readAndPrepare, lambda future: self._add(volumeId, future))
