"""Listening to all views of one kind in the application's layout, also to those that a later layout brings."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any


class WatchedViews:
    """Connects a listener of its own to each view.

    Parameters
    ----------
    layoutManager
        Gives the application's qMRMLLayoutManager; None where there is no main window.
    widgetsOf
        Gives the widgets of this kind that the layout manager has.
    viewOf
        Gives the view in a widget.
    signal
        Signature of the views' signal that is listened to.
    listenerOf
        Makes the listener of the view in a widget; called once for each.
    """

    def __init__(
        self,
        layoutManager: Callable[[], Any | None],
        widgetsOf: Callable[[Any], list[Any]],
        viewOf: Callable[[Any], Any],
        signal: str,
        listenerOf: Callable[[Any], Callable[..., None]],
    ) -> None:
        self._layoutManager = layoutManager
        self._widgetsOf = widgetsOf
        self._viewOf = viewOf
        self._signal = signal
        self._listenerOf = listenerOf
        self._watched: list[tuple[Any, Callable[..., None]]] = []
        # One object for connecting and disconnecting; each look at a method makes another.
        self._onLayout = self.watch

    def follow(self) -> None:
        """Watch the views now and after each change of the layout."""
        layoutManager = self._layoutManager()
        if layoutManager is not None:
            layoutManager.connect("layoutChanged(int)", self._onLayout)
            self.watch()

    def leave(self) -> None:
        """Watch nothing any more."""
        layoutManager = self._layoutManager()
        if layoutManager is not None:
            layoutManager.disconnect("layoutChanged(int)", self._onLayout)
        for view, listener in self._watched:
            # PythonQt raises it for a view that the application has deleted already.
            with contextlib.suppress(ValueError):
                view.disconnect(self._signal, listener)
        self._watched = []

    def watch(self, *_layout: int) -> None:
        """Watch every view that is there and is not watched yet; a view stays when the layout changes."""
        layoutManager = self._layoutManager()
        if layoutManager is None:
            return
        watched = [view for view, _listener in self._watched]
        for widget in self._widgetsOf(layoutManager):
            view = self._viewOf(widget)
            if view not in watched:
                listener = self._listenerOf(widget)
                # By its signature: an attribute could mean a protected slot of the same name.
                view.connect(self._signal, listener)
                self._watched.append((view, listener))
