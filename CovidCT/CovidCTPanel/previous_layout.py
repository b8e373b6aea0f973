"""The layout of the views that the user had before the module showed something in another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

CHANGED = "layoutChanged(int)"
"""Signal of qMRMLLayoutManager."""


class PreviousLayout:
    """Remembers the layout before the first of the module's own changes, and goes back to it.

    Parameters
    ----------
    layoutManager
        Gives the application's qMRMLLayoutManager; None where there is no main window.
    """

    def __init__(self, layoutManager: Callable[[], Any | None]) -> None:
        self._layoutManager = layoutManager
        self._previous: int | None = None
        self._ours: int | None = None
        self._changing = False
        self._onChanged: Callable[[], None] | None = None
        # One object for connecting and disconnecting; each look at a method makes another.
        self._listener = self._onLayout

    @property
    def isKnown(self) -> bool:
        """Whether there is a layout to go back to."""
        return self._previous is not None

    def follow(self, onChanged: Callable[[], None]) -> None:
        """Call a function when `isKnown` may have changed, until `leave`."""
        self._onChanged = onChanged
        layoutManager = self._layoutManager()
        if layoutManager is not None:
            layoutManager.connect(CHANGED, self._listener)

    def leave(self) -> None:
        """Call nobody any more."""
        layoutManager = self._layoutManager()
        if layoutManager is not None and self._onChanged is not None:
            layoutManager.disconnect(CHANGED, self._listener)
        self._onChanged = None

    @contextmanager
    def remembered(self) -> Iterator[None]:
        """Remember the layout before what is done inside, if that changes it."""
        before = self._layout()
        self._changing = True
        try:
            yield
        finally:
            self._changing = False
            after = self._layout()
            if before is not None and after != before:
                # A chart, then a table: the user's own layout is the one before both.
                if self._previous is None:
                    self._previous = before
                self._ours = after
            self._forgetOld()
            self._tell()

    def goBack(self) -> None:
        """Show the remembered layout, and forget it; where there is none, nothing happens."""
        previous, self._previous = self._previous, None
        layoutManager = self._layoutManager()
        if previous is not None and layoutManager is not None:
            layoutManager.setLayout(previous)
        self._tell()

    def _onLayout(self, _layout: int) -> None:
        if self._changing:
            return
        self._forgetOld()
        self._tell()

    def _tell(self) -> None:
        if self._onChanged is not None:
            self._onChanged()

    def _forgetOld(self) -> None:
        """Forget the remembered layout once the user has left CovidCT's for another."""
        if self._layout() != self._ours or self._previous == self._ours:
            self._previous = None

    def _layout(self) -> int | None:
        layoutManager = self._layoutManager()
        return None if layoutManager is None else int(layoutManager.layout)
