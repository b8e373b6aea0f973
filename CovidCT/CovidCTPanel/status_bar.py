"""An analysis that is called from a script, as the user sees it: a wait cursor, and a line in the status bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from CovidCTPanel.progress_text import stageName
from CovidCTPanel.wait_cursor import waitCursor

if TYPE_CHECKING:
    from CovidCTLib.analysis import Progress


@contextmanager
def statusBarProgress(
    mainWindow: Any | None, further: Callable[[Progress], None] | None = None
) -> Iterator[Callable[[Progress], None]]:
    """Show how far something is that keeps the user interface waiting.

    Parameters
    ----------
    mainWindow
        Slicer's window; where there is none, nothing is shown.
    further
        Is told, too.

    Yields
    ------
    Callable
        Takes the progress.
    """
    if mainWindow is None:
        yield further or _ignore
        return
    statusBar = mainWindow.statusBar()

    def show(progress: Progress) -> None:
        line = _("CovidCT: {stage}, {percent} %")
        statusBar.showMessage(line.format(stage=stageName(progress.stage), percent=round(100 * progress.fraction)))
        # At once, and without other events, in which the scene could change.
        statusBar.repaint()
        if further is not None:
            further(progress)

    try:
        with waitCursor():
            yield show
    finally:
        statusBar.clearMessage()


def _ignore(_progress: Progress) -> None:
    pass
