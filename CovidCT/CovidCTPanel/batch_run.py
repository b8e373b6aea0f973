"""A folder of CTs, one after the other, each through a process of its own; one that fails does not stop the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

from CovidCTLib.errors import InputError
from CovidCTPanel.analysis_process import AnalysisProcess, ProcessListener

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".zip")
"""Files that are one CT each; every subfolder is one too."""


def casesOfFolder(folder: Path) -> list[Path]:
    """List the CTs of a folder: its volume files, archives and subfolders, in the order of their names.

    Parameters
    ----------
    folder
        Its hidden entries are passed over.

    Raises
    ------
    InputError
        If it is no folder, cannot be read, or holds nothing that may be a CT.
    """
    try:
        entries = sorted(folder.iterdir()) if folder.is_dir() else None
    except OSError as error:
        raise InputError(
            f"A folder with CTs that can be read was expected, but the system refuses ({error.strerror}). Check its "
            "permissions."
        ) from error
    if entries is None:
        raise InputError("A folder with CTs was expected, but there is none at this path. Choose an existing folder.")
    cases = [
        entry
        for entry in entries
        if not entry.name.startswith(".") and (entry.is_dir() or entry.name.lower().endswith(VOLUME_SUFFIXES))
    ]
    if not cases:
        raise InputError(
            f"A folder with CTs was expected ({', '.join(VOLUME_SUFFIXES)} files or DICOM folders), but this one holds "
            "none. Choose the folder that holds the CTs themselves."
        )
    return cases


def caseFolderName(number: int) -> str:
    """Name the results of a case by its number alone, for the name of its file may be a patient's."""
    return f"case_{number:04d}"


def caseLine(number: int, count: int, failure: str | None) -> str:
    """Give the line of a case that is done, ``number`` from 1; ``failure`` is None where all went well."""
    if failure is None:
        return _("Case {number} of {count}: done, {folder}").format(
            number=number, count=count, folder=caseFolderName(number)
        )
    return _("Case {number} of {count}: failed. {reason}").format(number=number, count=count, reason=failure)


@dataclass(frozen=True)
class BatchListener:
    """What is called while a batch runs.

    Parameters
    ----------
    onProgress
        Gets the share of the whole batch that is done, 0 to 1.
    onLine
        Gets one line a case, and one at the end.
    onEnded
        Nothing runs any more.
    """

    onProgress: Callable[[float], None]
    onLine: Callable[[str], None]
    onEnded: Callable[[], None]


class BatchRun:
    """Analyzes cases one after the other.

    Parameters
    ----------
    python, library
        As for `AnalysisProcess`.
    cases
        Input paths, as `casesOfFolder` gives them.
    output
        Folder for the folders of results; it may not exist yet.
    arguments
        Of ``covidct analyze``, input and output excepted.
    listener
        Is told what happens.
    """

    def __init__(
        self,
        python: str,
        library: Path,
        cases: Sequence[Path],
        output: Path,
        arguments: Sequence[str],
        listener: BatchListener,
    ) -> None:
        self._python = python
        self._library = library
        self._cases = list(cases)
        self._output = output
        self._arguments = list(arguments)
        self._listener: BatchListener | None = listener
        self._number = 0
        self._failures = 0
        self._process: AnalysisProcess | None = None

    def start(self) -> None:
        """Begin with the first case; it returns at once."""
        self._next()

    def cancel(self) -> None:
        """End the running case; the ones that are done stay."""
        if self._process is not None:
            self._process.cancel()

    def stop(self) -> None:
        """End everything now; nobody is told."""
        self._listener = None
        if self._process is not None:
            self._process.stop()

    def _next(self) -> None:
        if self._number == len(self._cases):
            done = len(self._cases) - self._failures
            self._end(_("{done} of {count} CTs analyzed.").format(done=done, count=len(self._cases)))
            return
        case = self._cases[self._number]
        self._number += 1
        listener = ProcessListener(self._onProgress, self._onDone, self._onFailed, self._onCancelled)
        self._process = AnalysisProcess(self._python, self._library, listener)
        output = self._output / caseFolderName(self._number)
        self._process.start(["analyze", str(case), "-o", str(output), *self._arguments])

    def _onProgress(self, stage: str, fraction: float) -> None:
        if self._listener is not None:
            self._listener.onProgress((self._number - 1 + fraction) / len(self._cases))

    def _onDone(self) -> None:
        self._tell(caseLine(self._number, len(self._cases), None))
        self._next()

    def _onFailed(self, reason: str) -> None:
        self._failures += 1
        self._tell(caseLine(self._number, len(self._cases), reason))
        self._next()

    def _onCancelled(self) -> None:
        self._end(
            _("Cancelled in case {number} of {count}; what was done before stays.").format(
                number=self._number, count=len(self._cases)
            )
        )

    def _tell(self, line: str) -> None:
        if self._listener is not None:
            self._listener.onProgress(self._number / len(self._cases))
            self._listener.onLine(line)

    def _end(self, line: str) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.onLine(line)
            listener.onEnded()
