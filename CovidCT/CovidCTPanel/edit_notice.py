"""Says at once that segments of the shown CT are edited by hand, and takes it back where that was undone."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any

from CovidCTLib.errors import CovidCTError
from CovidCTPanel.collaborators import Actions
from CovidCTPanel.later import Ticker
from CovidCTPanel.pieces import LongCall

REST_MS = 1000
"""Milliseconds without a further edit after which the segments are compared with those of the analysis."""


class EditNotice:
    """Watches the segments of the CT whose results the panel shows.

    Parameters
    ----------
    actions
        The scene.
    show
        Shows whether the segments differ from those of the analysis.
    """

    def __init__(self, actions: Actions, show: Callable[[bool], None]) -> None:
        self._actions = actions
        self._show = show
        self._volumeId: str | None = None
        self._waiting: Ticker | None = None
        self._comparing: LongCall | None = None
        self._compared: dict[str, tuple[Any, bool]] = {}

    def follow(self, volumeId: str | None, mayCompare: bool) -> None:
        """Watch the segments of a CT with results, or none; where it may compare, earlier edits are found too."""
        if volumeId != self._volumeId:
            self.stop()
            self._volumeId = volumeId
            self._show(self._compared.get(volumeId or "", (None, False))[1])
        self._actions.watchEdits(volumeId, self._onEdit)
        if mayCompare and self._waiting is None:
            self._compare()

    def settle(self, volumeId: str) -> None:
        """Take the segments of a CT as they are for those that were measured; that is known without comparing."""
        check = self._actions.editCheck(volumeId)
        if check is None:
            return
        self.stop()
        self._compared[volumeId] = (check.stamp, False)
        if volumeId == self._volumeId:
            self._show(False)

    def stop(self) -> None:
        """Compare no more."""
        if self._waiting is not None:
            self._waiting.end()
        if self._comparing is not None:
            self._comparing.drop()
        self._waiting = self._comparing = None

    def _onEdit(self) -> None:
        """Say so before it is sure, and wait until the hand rests."""
        if self._volumeId is None:
            return
        self._show(True)
        self.stop()
        self._waiting = Ticker(REST_MS, self._onRest, once=True)
        self._waiting.start()

    def _onRest(self) -> None:
        self._waiting = None
        self._compare()

    def _compare(self) -> None:
        """Find out whether the segments differ; beside the user interface, unless it is known already."""
        volumeId = self._volumeId
        if volumeId is None or self._comparing is not None:
            return
        check = self._actions.editCheck(volumeId)
        if check is None:
            return
        stamp, edited = self._compared.get(volumeId, (None, False))
        if stamp == check.stamp:
            self._show(edited)
            return
        if stamp is not None and stamp.voxels != check.stamp.voxels:
            # Edited while the panel was closed: it is said before it is sure, as when the panel is open.
            self._show(True)

        def done(future: concurrent.futures.Future[Any]) -> None:
            self._comparing = None
            try:
                self._compared[volumeId] = (check.stamp, bool(future.result()))
            except CovidCTError:
                # The segments went while they were read; whoever removed them makes the panel look again.
                return
            if volumeId == self._volumeId:
                self._show(self._compared[volumeId][1])

        self._comparing = LongCall(check.steps(), check.edited, done)
