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
        Kept, with all that it needs, until it was called, and no longer. Slicer's own ``qt.QTimer.singleShot`` keeps
        what it calls as long as the application lives.
    """
    Ticker(0, function, once=True).start()


class Ticker:
    """Calls a function again and again, or once, from the event loop.

    Parameters
    ----------
    interval_ms
        Milliseconds between two calls; 0 calls at each turn of the event loop.
    function
        What is called, from `start` until `end`.
    once
        Whether the first call is the last one, so that `end` need not be called.
    """

    def __init__(self, interval_ms: int, function: Callable[[], None], once: bool = False) -> None:
        # The application owns the timer, for one that only Python holds is deleted while it still sends its signal.
        self._timer: qt.QTimer | None = qt.QTimer(qt.QCoreApplication.instance())
        self._function: Callable[[], None] | None = function
        self._once = once
        self._timer.setInterval(interval_ms)
        self._timer.setSingleShot(once)
        self._timer.connect("timeout()", self._call)

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
        self._function = None
        if timer is not None:
            timer.stop()
            # Qt deletes it at the next turn of the event loop, when no signal of its is being sent any more.
            timer.deleteLater()

    def _call(self) -> None:
        function = self._function
        if self._once:
            self.end()
        if function is not None:
            function()
