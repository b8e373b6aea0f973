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
