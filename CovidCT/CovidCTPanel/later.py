"""Calls that wait for the event loop."""

from __future__ import annotations

from collections.abc import Callable

import qt


def later(function: Callable[[], None]) -> None:
    """Call a function from the event loop.

    Whoever is told of an end may let go of the process or timer that has ended. Qt must not lose either while it still
    sends one of its signals, so nobody is told from there.

    Parameters
    ----------
    function
        Kept, with all that it needs, until it was called.
    """
    qt.QTimer.singleShot(0, function)


class Ticker:
    """Calls a function again and again from the event loop.

    Parameters
    ----------
    interval_ms
        Milliseconds between two calls; 0 calls at each turn of the event loop.
    function
        What is called, from `start` until `end`.
    """

    def __init__(self, interval_ms: int, function: Callable[[], None]) -> None:
        self._timer: qt.QTimer | None = qt.QTimer()
        self._timer.setInterval(interval_ms)
        self._timer.timeout.connect(function)

    def start(self) -> None:
        """Begin with the calls."""
        if self._timer is not None:
            self._timer.start()

    def end(self) -> None:
        """Make no further call, and let go of the function; it may be called from the function itself, and again.

        In Slicer a signal holds what it is connected to, and Python cannot see that: a timer that is merely stopped
        would keep its owner, with all that this holds, for as long as Slicer runs.
        """
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.stop()
            later(lambda: timer.deleteLater())
