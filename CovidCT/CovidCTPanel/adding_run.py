"""Results on their way into the scene: read beside the user interface, added in small steps, shown, others removed."""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from CovidCTLib.errors import CovidCTError
from CovidCTPanel.collaborators import Actions, Adding
from CovidCTPanel.pieces import DRAWING_MS, Pieces, orMistake
from CovidCTPanel.private_folder import PrivateFolder
from CovidCTPanel.result_files import Beside


class AddingRun:
    """Puts results of a CT into the scene, so that the application goes on answering.

    Parameters
    ----------
    actions
        The scene.
    beside
        Does something long during which nothing else that is long can begin.
    isWanted
        Says whether the results of the CT with an identifier are still wanted; as long as they are not shown, they go
        without a trace where not.
    onAdded
        Called when the results are shown, or will never be, with one sentence, which may be empty, and the CT whose
        results are shown, or None; who cancels what is shown comes too late.
    onReplaced
        Called at the end of all, after ``onAdded``: with the reason why a replaced result could not be removed, or
        None, and the CT whose surfaces are to take the place of earlier ones, or None.
    """

    def __init__(
        self,
        actions: Actions,
        beside: Beside,
        isWanted: Callable[[str], bool],
        onAdded: Callable[[str, str | None], None],
        onReplaced: Callable[[str | None, str | None], None],
    ) -> None:
        self._actions = actions
        self._beside = beside
        self._isWanted = isWanted
        self._onAdded = onAdded
        self._onReplaced = onReplaced
        self._pieces: Pieces | None = None

    @property
    def running(self) -> bool:
        """Whether the scene is being changed."""
        return self._pieces is not None

    def drop(self) -> None:
        """Go no further, and tell nobody; results that are not shown yet are removed."""
        pieces, self._pieces = self._pieces, None
        if pieces is not None:
            pieces.drop()

    def read(self, volumeId: str | None, folder: PrivateFolder) -> None:
        """Read the results of a run, which removes its folder, and add them."""
        if volumeId is None or not self._isWanted(volumeId):
            folder.remove()
            self._onAdded("", None)
            return
        try:
            scanLater = orMistake(lambda: self._actions.scanLater(volumeId))
            prepare = self._actions.preparing(volumeId)
            check = self._actions.editCheck(volumeId, sinceAnalysis=True)
        except CovidCTError as error:
            folder.remove()
            self._onAdded(str(error), None)
            return

        def read() -> tuple[Any, Any, Callable[[], bool]]:
            analysis = _readAnalysis(folder, scanLater)
            edited = check is not None and check.edited()
            return analysis, prepare(analysis), lambda: edited or (check is not None and not check.current)

        self._beside(check.steps() if check is not None else None, read, lambda future: self.add(volumeId, future))

    def add(self, volumeId: str, future: concurrent.futures.Future[Any]) -> None:
        """Add what a future gives: an analysis, the same prepared, and what says whether segments were edited."""
        if not self._isWanted(volumeId):
            self._onAdded("", None)
            return
        seen3D = self._actions.is3DShown(volumeId)
        try:
            # Slicer would only print a mistake, and the panel would wait for the end of the run for ever.
            adding: Adding = orMistake(lambda: self._actions.adding(volumeId, *future.result()))
        except CovidCTError as error:
            self._onAdded(str(error), None)
            return
        self._take(self._whileWanted(volumeId, adding), lambda failure: self._added(volumeId, adding, seen3D, failure))

    def _whileWanted(self, volumeId: str, adding: Adding) -> Iterator[float]:
        """Take the steps as long as the results are wanted; what was added goes if not all are taken."""
        with contextlib.closing(adding.steps()) as steps:
            while self._isWanted(volumeId):
                try:
                    yield next(steps)
                except StopIteration:
                    return

    def _added(self, volumeId: str, adding: Adding, seen3D: bool, failure: Exception | None) -> None:
        if not adding.done:
            self._onAdded("" if failure is None else str(failure), None)
            return

        def ended(failure: Exception | None) -> None:
            self._onReplaced(None if failure is None else str(failure), volumeId if seen3D else None)

        self._take(self._actions.replacing(volumeId), ended)
        message = adding.message if failure is None else str(failure)
        self._onAdded(message, volumeId if self._actions.has(volumeId) else None)

    def _take(self, steps: Iterator[float], onEnd: Callable[[Exception | None], None]) -> None:
        def ended(failure: Exception | None) -> None:
            self._pieces = None
            onEnd(failure)

        self._pieces = Pieces(steps, lambda _share: None, ended, (), DRAWING_MS)
        self._pieces.start()


def _readAnalysis(folder: PrivateFolder, scanLater: Callable[[], Any]) -> Any:
    """Read the results of a run and remove its private folder."""
    # Reading results needs packages that Slicer does not ship, so it loads only where there are some.
    from CovidCTLib.results.reading import read_analysis

    try:
        return read_analysis(folder.results, scan=scanLater())
    finally:
        folder.remove()
