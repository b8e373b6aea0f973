"""The button that shows what changed between two studies: the map is made beside the user interface, once."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any

from CovidCTLib.errors import CancelledError, CovidCTError
from CovidCTPanel.collaborators import Actions, Changes
from CovidCTPanel.followup_section import FollowUpSection
from CovidCTPanel.pieces import LongCall, orMistake
from CovidCTPanel.wait_cursor import waitCursor


class ChangesRun:
    """Answers the button of the follow-up section.

    Parameters
    ----------
    section
        Has the button, and shows what is wrong.
    actions
        The scene.
    volumeId
        Gives the identifier of the chosen CT; None where none is chosen.
    onChange
        Called when what the scene shows has changed, or what the button does.
    """

    def __init__(
        self,
        section: FollowUpSection,
        actions: Actions,
        volumeId: Callable[[], str | None],
        onChange: Callable[[], None],
    ) -> None:
        self._section = section
        self._actions = actions
        self._volumeId = volumeId
        self._onChange = onChange
        self._changes: Changes | None = None
        self._call: LongCall | None = None
        section.onChanges(self._pressed)

    @property
    def running(self) -> bool:
        """Whether a map is being made."""
        return self._changes is not None

    def refresh(self) -> None:
        """Set the button for the chosen CT."""
        self._section.showChanges(self._actions.areChangesShown(self._volumeId()), self.running)

    def stop(self) -> None:
        """End what is running, and wait for that."""
        changes, call = self._changes, self._call
        self._changes = self._call = None
        if changes is not None:
            changes.cancel()
        if call is not None:
            call.drop()

    def _pressed(self, shown: bool) -> None:
        volumeId = self._volumeId()
        if self._changes is not None:
            self._changes.cancel()
        elif volumeId is not None:
            try:
                orMistake(lambda: self._show(volumeId, shown))
            except CovidCTError as error:
                self._section.showMessage(str(error))
        self._onChange()

    def _show(self, volumeId: str, shown: bool) -> None:
        changes = self._actions.changes(volumeId) if shown else None
        if changes is None:
            self._actions.showChanges(volumeId, shown)
            return
        self._changes = changes
        self._call = LongCall(changes.steps(), changes.make, self._done)

    def _done(self, future: concurrent.futures.Future[Any]) -> None:
        changes, self._changes, self._call = self._changes, None, None
        if changes is None:
            return
        try:
            future.result()
            with waitCursor():
                orMistake(changes.show)
        except CancelledError:
            # The user did so, and the scene is as it was.
            pass
        except CovidCTError as error:
            self._section.showMessage(str(error))
        self._onChange()
