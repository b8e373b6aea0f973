"""A long call beside the user interface, for work in this process that needs no scene and no widgets."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from CovidCTPanel.garbage import pauseCollections, resumeCollections
from CovidCTPanel.later import Ticker, later

POLL_MS = 30
"""Milliseconds between two looks at the call."""

YIELD_S = 0.02
"""Seconds that each look waits: in Slicer other Python threads only run while the main thread waits in Python."""

Result = TypeVar("Result")


class BackgroundCall(Generic[Result]):
    """Runs a function in a thread and hands its future to the main thread when it is done.

    Parameters
    ----------
    function
        Takes nothing; must not touch scene or widgets.
    onDone
        Called in the main thread with the future, whose ``result()`` gives or raises what the function did.
    """

    def __init__(
        self, function: Callable[[], Result], onDone: Callable[[concurrent.futures.Future[Any]], None]
    ) -> None:
        self._onDone: Callable[[concurrent.futures.Future[Any]], None] | None = onDone
        self._pool = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="covidct-panel")
        pauseCollections()
        self._working = True
        self._future = self._pool.submit(function)
        self._pool.shutdown(wait=False)
        self._ticker = Ticker(POLL_MS, self._look)
        self._ticker.start()

    def drop(self) -> None:
        """Wait for the function, and tell nobody."""
        self._onDone = None
        self._ticker.end()
        concurrent.futures.wait([self._future])
        self._ended()

    def _look(self) -> None:
        done, _rest = concurrent.futures.wait([self._future], timeout=YIELD_S)
        if not done:
            return
        self._ticker.end()
        self._ended()
        later(self._tell)

    def _ended(self) -> None:
        if self._working:
            self._working = False
            resumeCollections()

    def _tell(self) -> None:
        onDone, self._onDone = self._onDone, None
        if onDone is not None:
            onDone(self._future)
