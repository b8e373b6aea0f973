"""What the follow-up section does: the list of studies, their comparison, and the map of what changed."""

from __future__ import annotations

import concurrent.futures
import importlib
import sys
from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from CovidCTLib.errors import CovidCTError
from CovidCTPanel.background import BackgroundCall
from CovidCTPanel.changes_run import ChangesRun
from CovidCTPanel.collaborators import Actions, Choice, FollowUpSummary
from CovidCTPanel.followup_section import FollowUpSection, StudyEntry
from CovidCTPanel.previous_layout import PreviousLayout
from CovidCTPanel.summary import changeTable
from CovidCTPanel.wait_cursor import waitCursor

FOLLOW_UP_PACKAGE = "CovidCTLib.followup"
"""Loaded only where it is needed, as it needs packages that Slicer does not ship."""


class FollowUpControls:
    """Connects the follow-up section with the scene.

    Parameters
    ----------
    section
        The widgets.
    actions
        The scene.
    choice
        What is chosen.
    previousLayout
        Remembers the layout that the user had.
    onChange
        Called when what the scene shows has changed, or what a button does.
    """

    def __init__(
        self,
        section: FollowUpSection,
        actions: Actions,
        choice: Choice,
        previousLayout: PreviousLayout,
        onChange: Callable[[], None],
    ) -> None:
        self._section = section
        self._actions = actions
        self._choice = choice
        self._previousLayout = previousLayout
        self._loading: BackgroundCall[Any] | None = None
        self._changes = ChangesRun(section, actions, choice.volumeId, onChange)
        section.onOpened(self._showStudies)
        section.onCompare(self.compare)

    @property
    def busy(self) -> bool:
        """Whether packages are being loaded, or a map is being made."""
        return self._loading is not None or self._changes.running

    def refresh(self) -> None:
        """Set list and buttons for the chosen CT."""
        self._showStudies()
        self._changes.refresh()

    def compare(self, chosen: list[tuple[str, str]]) -> None:
        """Put the course of the ticked studies into the scene, and show it."""
        try:
            with waitCursor(), self._previousLayout.remembered():
                summary = self._actions.followUp(chosen)
        except CovidCTError as error:
            self._section.showMessage(str(error))
            self._section.showResult(())
            return
        self._showCourse(summary)

    def forgetStudies(self) -> None:
        """Empty the section, because its studies go with their scene."""
        self._changes.stop()
        self._section.showStudies(())

    def stop(self) -> None:
        """End what is running, and wait for that."""
        loading, self._loading = self._loading, None
        if loading is not None:
            loading.drop()
        self._changes.stop()

    def _showCourse(self, summary: FollowUpSummary | None) -> None:
        """Tell the change in words and numbers; without a follow-up nothing stands there."""
        self._section.showMessage("\n".join(summary.sentences) if summary is not None else "")
        self._section.showResult(changeTable(summary.regions) if summary is not None else ())

    def _showStudies(self) -> None:
        """List the studies, but only where the list is seen, for the dates of many studies take time to find."""
        if not self._choice.following() or not self._section.open or self._loading is not None:
            # While the module is closed nothing is chosen, and the list, made anew without that, would lose its ticks.
            return
        if FOLLOW_UP_PACKAGE in sys.modules:
            entries = self._actions.studies(self._choice.volumeId())
            if self._section.showStudies([StudyEntry(*entry) for entry in entries]):
                self._showCourse(self._actions.earlierFollowUp(self._choice.volumeId()))
            return
        # The first time, its packages load for a second or two, which the panel need not wait for.
        self._section.showMessage(_("Looking for studies..."))
        self._loading = BackgroundCall(lambda: importlib.import_module(FOLLOW_UP_PACKAGE), self._onLoaded)

    def _onLoaded(self, future: concurrent.futures.Future[Any]) -> None:
        self._loading = None
        if isinstance(future.exception(), ImportError):
            self._section.showMessage(_("Packages are missing. Press Analyze once, which installs them."))
            return
        future.result()
        self._section.showMessage("")
        self._showStudies()
