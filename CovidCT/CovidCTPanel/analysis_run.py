"""One CT through the process: handed over in a private folder, analyzed, the results given back, the folder removed."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

from CovidCTPanel.analysis_process import AnalysisProcess, ProcessListener
from CovidCTPanel.pieces import Pieces
from CovidCTPanel.private_folder import PrivateFolder
from CovidCTPanel.progress_text import HANDING_OVER, IMPORTING, Pace

HAND_OVER_END = 0.02
"""Share of the bar at which the CT is handed over; the program's own fractions fill the rest."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class HandOver:
    """A CT that is to be handed over.

    Parameters
    ----------
    byteCount
        Size in bytes of the file.
    steps
        Takes the path of the file and writes it piece by piece; yields, after each piece, the share that is written.
    """

    byteCount: int
    steps: Callable[[Path], Iterator[float]]


@dataclass(frozen=True)
class RunListener:
    """What is called while a run goes on; of the last three exactly one is called, once, unless `stop` was.

    Parameters
    ----------
    onProgress
        Gets stage, share of the whole way (0 to 1) and seconds left, which are None where they are not known.
    onFinished
        Gets the private folder with the results; from then on it belongs to the one called, who removes it.
    onFailed
        Gets one line that says why.
    onCancelled
        The run was cancelled.
    """

    onProgress: Callable[[str, float, float | None], None]
    onFinished: Callable[[PrivateFolder], None]
    onFailed: Callable[[str], None]
    onCancelled: Callable[[], None]


class AnalysisRun:
    """Runs one command of the program on one CT of the scene.

    Parameters
    ----------
    python, library
        As for `AnalysisProcess`.
    listener
        Is told what happens.
    """

    def __init__(self, python: str, library: Path, listener: RunListener) -> None:
        self._listener: RunListener | None = listener
        self._process = AnalysisProcess(
            python,
            library,
            ProcessListener(self._onProgress, self._onFinished, self._fail, self._onCancelled),
        )
        self._folder: PrivateFolder | None = None
        self._handingOver: Pieces | None = None
        self._arguments: list[str] = []
        self._pace = Pace()

    def start(self, command: str, handOver: HandOver, arguments: Sequence[str], labels: HandOver | None = None) -> None:
        """Make the private folder and begin; it returns at once.

        Parameters
        ----------
        command
            Of the program, such as ``analyze``; it takes the CT, and ``-o`` for a folder of results.
        handOver
            The CT.
        arguments
            Further arguments of the command.
        labels
            A segmentation that the command takes after the CT; None where it takes none.

        Raises
        ------
        OutputError
            If there is no room for the private folder; then nothing has happened.
        """
        more = 0 if labels is None else labels.byteCount
        self._folder = PrivateFolder(handOver.byteCount + more)
        given = [] if labels is None else [str(self._folder.labels)]
        self._arguments = [command, str(self._folder.scan), *given, "-o", str(self._folder.results), *arguments]
        steps = handOver.steps(self._folder.scan)
        if labels is not None:
            steps = _inTurn(steps, labels.steps(self._folder.labels))
        self._handingOver = Pieces(
            steps,
            lambda share: self._report(HANDING_OVER, share * HAND_OVER_END),
            self._onHandedOver,
            (OSError,),
        )
        self._handingOver.start()
        self._report(HANDING_OVER, 0.0)

    def cancel(self) -> None:
        """Stop as soon as possible; the listener hears of it when nothing runs any more."""
        if self._handingOver is not None:
            self._onCancelled()
        else:
            self._process.cancel()

    def stop(self) -> None:
        """End everything now; nobody is told."""
        self._listener = None
        self._endHandOver()
        self._process.stop()
        self._removeFolder()

    def _onHandedOver(self, failure: Exception | None) -> None:
        """Start the process, or say why the CT could not be written."""
        self._handingOver = None
        if isinstance(failure, OSError):
            self._fail(_handOverFailure(failure))
        elif failure is not None:
            self._fail(str(failure))
        else:
            self._process.start(self._arguments)

    def _endHandOver(self) -> None:
        handingOver, self._handingOver = self._handingOver, None
        if handingOver is not None:
            handingOver.drop()

    def _onProgress(self, stage: str, fraction: float) -> None:
        self._report(stage, HAND_OVER_END + (1 - HAND_OVER_END) * fraction)

    def _report(self, stage: str, fraction: float) -> None:
        if self._listener is not None:
            self._listener.onProgress(stage, fraction, self._pace.secondsLeft(stage, fraction, time.monotonic()))

    def _onFinished(self) -> None:
        folder, self._folder = self._folder, None
        listener, self._listener = self._listener, None
        if folder is None:
            return
        # The CT is the large part and identifies a patient more than anything else in the folder.
        # Windows refuses while another program, such as a virus scanner, reads it; it then goes with its folder.
        with contextlib.suppress(OSError):
            folder.scan.unlink(missing_ok=True)
            folder.labels.unlink(missing_ok=True)
        if listener is None:
            folder.remove()
            return
        listener.onProgress(IMPORTING, 1.0, None)
        listener.onFinished(folder)

    def _onCancelled(self) -> None:
        self._end()
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.onCancelled()

    def _fail(self, reason: str) -> None:
        self._end()
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.onFailed(reason)

    def _end(self) -> None:
        self._endHandOver()
        self._removeFolder()

    def _removeFolder(self) -> None:
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.remove()


def _inTurn(first: Iterator[float], second: Iterator[float]) -> Iterator[float]:
    """Take the steps of two generators, one after the other; each is half of the way."""
    for share in first:
        yield share / 2
    for share in second:
        yield 0.5 + share / 2


def _handOverFailure(error: OSError) -> str:
    """Say why the CT could not be written, without the path."""
    if error.errno in _FULL:
        return _(
            "The temporary folder is full, so the CT could not be handed over. Free some space, or start Slicer with "
            "the environment variable TMPDIR (Windows: TEMP) on another disk."
        )
    return _(
        "The CT must be written to the temporary folder, but the system refuses ({reason}). Check its permissions."
    ).format(reason=error.strerror)
