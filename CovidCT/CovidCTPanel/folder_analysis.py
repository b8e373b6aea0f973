"""A folder of CTs without a user interface, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from CovidCTLib.options import Options
from CovidCTPanel.batch_run import caseLine, lastLine

if TYPE_CHECKING:
    from CovidCTLib.batch.run import CaseEvent


def analyzeCases(
    inputFolder: Path,
    outputFolder: Path,
    options: Options,
    tell: Callable[[str], None],
    cancelled: Callable[[], bool] | None = None,
) -> tuple[str | None, ...]:
    """Analyze every CT of a folder, as `CovidCTLib.batch.run.analyze_folder` does.

    Parameters
    ----------
    inputFolder, outputFolder, options
        As it takes them.
    tell
        Gets one line a CT, and one at the end.
    cancelled
        Is asked now and then whether to stop.

    Returns
    -------
    tuple of str or None
        For each CT None, or the reason why it failed.

    Raises
    ------
    CovidCTError
        As it does.
    """
    # These need packages that Slicer does not ship.
    from CovidCTLib.batch.run import analyze_folder
    from CovidCTLib.models.store import ModelStore

    def tellCase(event: CaseEvent) -> None:
        if event.event != "begun":
            tell(caseLine(event.number, event.count, event.event, event.folder, event.reason))

    models = ModelStore(device=options.device)
    failures = analyze_folder(inputFolder, outputFolder, options, models, tell=tellCase, cancelled=cancelled)
    tell(lastLine(sum(failure is None for failure in failures), len(failures)))
    return failures
