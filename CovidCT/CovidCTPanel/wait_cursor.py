"""The cursor that shows that the application stands still for a moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import qt


@contextmanager
def waitCursor() -> Iterator[None]:
    """Show that the application stands still for a moment."""
    qt.QApplication.setOverrideCursor(qt.Qt.WaitCursor)
    try:
        yield
    finally:
        qt.QApplication.restoreOverrideCursor()
