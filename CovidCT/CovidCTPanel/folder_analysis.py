"""A folder of CTs without a user interface, in one process, so that the networks load once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from CovidCTLib.errors import CovidCTError
from CovidCTLib.options import Options
from CovidCTPanel.batch_run import caseFolderName, caseLine, casesOfFolder


def analyzeCases(
    inputFolder: Path, outputFolder: Path, options: Options, tell: Callable[[str], None]
) -> tuple[str | None, ...]:
    """Analyze every CT of a folder, one after the other; one that fails does not stop the rest.

    Parameters
    ----------
    inputFolder
        As `casesOfFolder` takes it.
    outputFolder
        Gets a folder of results for each CT, `caseFolderName` in the order of the names.
    options
        How to analyze.
    tell
        Gets one line a CT.

    Returns
    -------
    tuple of str or None
        For each CT None, or the reason why it failed.

    Raises
    ------
    InputError
        If the input folder cannot be read or holds no CT.
    OptionsError
        If the device does not exist.
    """
    from CovidCTLib.models.store import ModelStore

    cases = casesOfFolder(inputFolder)
    models = ModelStore(device=options.device)
    failures: list[str | None] = []
    for number, case in enumerate(cases, start=1):
        try:
            _analyzeCase(case, outputFolder / caseFolderName(number), options, models)
            failures.append(None)
        except CovidCTError as error:
            failures.append(str(error))
        tell(caseLine(number, len(cases), failures[-1]))
    return tuple(failures)


def _analyzeCase(path: Path, outputFolder: Path, options: Options, models: Any) -> None:
    """Analyze one CT of the disk and write its results; every failure becomes a CovidCTError."""
    from CovidCTLib.pipeline import analyze
    from CovidCTLib.reading import read_scan
    from CovidCTLib.results import check_output_folder, write_results

    try:
        check_output_folder(outputFolder)
        write_results(analyze(read_scan(path), options, models=models), outputFolder)
    except CovidCTError:
        raise
    except Exception as error:
        # The text of an unknown error may hold a path or a patient's name, so only its kind is told.
        raise CovidCTError(
            f"CovidCT made a mistake with this CT ({type(error).__name__}). Analyze it with 'covidct analyze --debug' "
            "and report what that shows, without any patient's name."
        ) from error
