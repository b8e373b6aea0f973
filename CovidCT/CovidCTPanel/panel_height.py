"""The height of the panel: never less than what its content needs at its width."""

from __future__ import annotations

import contextlib
from typing import Any

import qt


class PanelHeight(qt.QObject):  # type: ignore[misc]
    """Keeps a widget at least as high as its layout needs at the width that it has.

    Slicer's panel of modules scrolls what is higher than the window. It takes the module's widget out while another
    module is open, and from then on goes by a height that Qt remembered before; rows of a table then slide under what
    stands below them. A least height, which Qt asks for anew each time, has no such memory.

    Parameters
    ----------
    widget
        A QWidget with a layout whose height depends on its width.
    """

    def __init__(self, widget: Any) -> None:
        super().__init__(widget)
        self._widget = widget
        self._fitting = False
        widget.installEventFilter(self)
        self.fit()

    def eventFilter(self, _watched: Any, event: Any) -> bool:
        """Fit the height when a part asked for another size, at any depth, or the widget got another width."""
        if event.type() in (qt.QEvent.LayoutRequest, qt.QEvent.Resize, qt.QEvent.Show):
            self.fit()
        return False

    def fit(self) -> None:
        """Set the least height to what the layout needs now."""
        widget = self._widget
        if widget is None or self._fitting:
            return
        # Setting the height may resize the widget at once, which would lead here again.
        self._fitting = True
        height = widget.layout().totalHeightForWidth(widget.width)
        if height != widget.minimumHeight:
            widget.setMinimumHeight(height)
        self._fitting = False

    def end(self) -> None:
        """Let go of the widget."""
        widget, self._widget = self._widget, None
        if widget is not None:
            # PythonQt raises it for a widget that the application has deleted already.
            with contextlib.suppress(ValueError):
                widget.removeEventFilter(self)
