"""Measures the segments of a CT again, in pieces and beside the user interface, and shows the new numbers."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterator
from typing import Any

from CovidCTLib.errors import CovidCTError
from CovidCTPanel.collaborators import Actions
from CovidCTPanel.pieces import orMistake
from CovidCTPanel.wait_cursor import waitCursor

Beside = Callable[
    [Iterator[float] | None, Callable[[], Any], Callable[[concurrent.futures.Future[Any]], None]],
    None,
]


class MeasuringRun:
    """What the button *Measure again* does.

    Parameters
    ----------
    actions
        The scene.
    beside
        Does something long during which nothing else that is long can begin.
    showMessage
        Shows one sentence.
    settle
        Gets the CT whose segments were measured as they still are.
    """

    def __init__(
        self, actions: Actions, beside: Beside, showMessage: Callable[[str], None], settle: Callable[[str], None]
    ) -> None:
        self._actions = actions
        self._beside = beside
        self._showMessage = showMessage
        self._settle = settle

    def begin(self, volumeId: str) -> None:
        """Measure the segments of a CT with results; whatever is wrong is shown as one sentence."""
        try:
            work = orMistake(lambda: self._actions.remeasure(volumeId))
        except CovidCTError as error:
            self._showMessage(str(error))
            return

        def done(future: concurrent.futures.Future[Any]) -> None:
            try:
                future.result()
                with waitCursor():
                    message = orMistake(work.put)
                if work.current:
                    self._settle(volumeId)
            except CovidCTError as error:
                message = str(error)
            self._showMessage(message)

        self._beside(work.steps(), work.make, done)
