"""A folder of CTs through one process, one CT after the other; one that fails does not stop the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from CovidCTLib.batch.cases import TABLE_FILE
from CovidCTPanel.analysis_process import AnalysisProcess, ProcessListener


def caseLine(number: int, count: int, event: str, folder: str, reason: str) -> str:
    """Give the line of a case, as `CovidCTLib.batch.run.CaseEvent` tells of it; ``"begun"`` has none."""
    lines = {
        "done": _("Case {number} of {count}: done, {folder}"),
        "kept": _("Case {number} of {count}: finished before, {folder}"),
        "failed": _("Case {number} of {count}: failed. {reason}"),
    }
    return lines[event].format(number=number, count=count, folder=folder, reason=reason)


def lastLine(done: int, count: int) -> str:
    """Give the line at the end."""
    return _("{done} of {count} CTs analyzed. {table} says which file is which case.").format(
        done=done, count=count, table=TABLE_FILE
    )


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
    """Analyzes the CTs of a folder in one process, which is started again only where it ended in the middle of one.

    Parameters
    ----------
    python, library
        As for `AnalysisProcess`.
    source
        Folder with CTs.
    output
        Folder for the folders of results; it may not exist yet, or be that of a run to go on with.
    arguments
        Of ``covidct batch``, input and output excepted.
    listener
        Is told what happens.
    """

    def __init__(
        self,
        python: str,
        library: Path,
        source: Path,
        output: Path,
        arguments: Sequence[str],
        listener: BatchListener,
    ) -> None:
        self._python = python
        self._library = library
        self._command = ["batch", str(source), "-o", str(output), *arguments]
        self._listener: BatchListener | None = listener
        self._number, self._count, self._failures = 0, 0, 0
        self._inCase = False
        self._refused = False
        self._complete = False
        self._process: AnalysisProcess | None = None

    def start(self) -> None:
        """Begin with the first case that is not finished; it returns at once."""
        self._start(0)

    def cancel(self) -> None:
        """End the running case; the ones that are done stay."""
        if self._process is not None:
            self._process.cancel()

    def stop(self) -> None:
        """End everything now; nobody is told."""
        self._listener = None
        if self._process is not None:
            self._process.stop()

    def _start(self, skip: int) -> None:
        self._inCase = False
        listener = ProcessListener(self._onProgress, self._onDone, self._onEnded, self._onCancelled, self._onEntry)
        self._process = AnalysisProcess(self._python, self._library, listener)
        self._process.start([*self._command, "--skip", str(skip)] if skip else self._command)

    def _onProgress(self, stage: str, fraction: float) -> None:
        if self._listener is not None:
            self._listener.onProgress(fraction)

    def _onEntry(self, entry: dict[str, Any]) -> None:
        """Take one line of the process."""
        self._refused = self._refused or "error" in entry
        self._complete = self._complete or entry.get("done") is True
        if "event" not in entry:
            return
        number, event = int(entry["case"]), str(entry["event"])
        self._count = int(entry["cases"])
        if event == "failed" and not self._inCase and number == self._number:
            # A process that was started again notes what has been told already.
            return
        self._number, self._inCase = number, event == "begun"
        if event != "begun":
            self._failures += event == "failed"
            self._tell(caseLine(number, self._count, event, str(entry["folder"]), str(entry["reason"])))

    def _onDone(self) -> None:
        self._end(lastLine(self._count - self._failures, self._count))

    def _onEnded(self, reason: str) -> None:
        """Go on behind a case in which the process ended; what stops every case ends the batch."""
        if self._complete:
            # The exit code says that a case has failed.
            self._onDone()
        elif self._inCase and not self._refused:
            self._failures += 1
            self._tell(caseLine(self._number, self._count, "failed", "", reason))
            self._start(self._number)
        else:
            self._end(reason)

    def _onCancelled(self) -> None:
        if self._count == 0:
            self._end(_("Cancelled before the first CT."))
            return
        self._end(
            _(
                "Cancelled in case {number} of {count}; what was done before stays. Press the button again to go on."
            ).format(number=max(self._number, 1), count=self._count)
        )

    def _tell(self, line: str) -> None:
        if self._listener is not None:
            self._listener.onLine(line)

    def _end(self, line: str) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.onLine(line)
            listener.onEnded()
