"""The command line as a process beside the user interface: started, listened to, cancelled. No scene, no widgets."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from CovidCTLib.cli.lifeline import STDIN as LIFELINE_STDIN
from CovidCTLib.cli.lifeline import VARIABLE as LIFELINE
from CovidCTPanel.later import Ticker, later

KILL_AFTER_MS = 2000
"""Milliseconds from the polite request to end until the process is killed."""

PREFIX = "covidct: "
"""How the program's own messages begin."""

WARNING_PREFIX = PREFIX + "warning: "
"""How its warnings begin; they are no reason for a failure."""


@dataclass(frozen=True)
class ProcessListener:
    """What is called while a process runs; of the last three exactly one is called, once, unless `stop` was.

    Parameters
    ----------
    onProgress
        Gets the name of the stage and the share of the whole way that is done, 0 to 1.
    onFinished
        The program did all that it was asked.
    onFailed
        Gets one line that says why.
    onCancelled
        The process ended because `AnalysisProcess.cancel` was called.
    onEntry
        Gets each line of the program, as the JSON object that it is; None where nobody wants them.
    """

    onProgress: Callable[[str, float], None]
    onFinished: Callable[[], None]
    onFailed: Callable[[str], None]
    onCancelled: Callable[[], None]
    onEntry: Callable[[dict[str, Any]], None] | None = None


class AnalysisProcess:
    """One run of ``python -m CovidCTLib`` with ``--progress json``.

    Parameters
    ----------
    python
        The interpreter, in Slicer PythonSlicer.
    library
        Folder that holds the package CovidCTLib.
    listener
        Is told what happens.
    """

    def __init__(self, python: str, library: Path, listener: ProcessListener) -> None:
        self._python = python
        self._library = library
        self._listener: ProcessListener | None = listener
        self._text = b""
        self._errors = b""
        self._done = False
        self._reason = ""
        self._cancelled = False
        self._ended = False
        self._process: Any = None
        self._killer: Ticker | None = None

    @property
    def running(self) -> bool:
        """Whether the process has been started and has not ended."""
        return self._process is not None and bool(self._process.state() != qt.QProcess.NotRunning)

    def start(self, arguments: Sequence[str]) -> None:
        """Start the program; it returns at once.

        Parameters
        ----------
        arguments
            Command and arguments, without ``--progress json``.
        """
        # The application owns it, for one that only Python holds is deleted while it still sends a signal; and until
        # `_letGo` it holds, unseen by Python, what it is connected to.
        process = qt.QProcess(qt.QCoreApplication.instance())
        process.setProcessEnvironment(self._environment())
        # By their signatures: in Qt 5 the last but one has two forms, and an attribute could mean either.
        process.connect("readyReadStandardOutput()", self._readOutput)
        process.connect("readyReadStandardError()", self._readErrors)
        process.connect("finished(int,QProcess::ExitStatus)", self._onFinished)
        process.connect("errorOccurred(QProcess::ProcessError)", self._onError)
        self._process = process
        process.start(self._python, ["-m", "CovidCTLib", *arguments, "--progress", "json"])

    def cancel(self) -> None:
        """Ask the process to end, and kill it where it does not within `KILL_AFTER_MS`; it returns at once."""
        self._cancelled = True
        if self.running:
            self._process.terminate()
            self._killer = Ticker(KILL_AFTER_MS, self._kill, once=True)
            self._killer.start()

    def stop(self) -> None:
        """End the process and wait for that; nobody is told. For the end of the scene or of the application."""
        self._listener = None
        self._ended = True
        if self.running:
            self._process.terminate()
            if not self._process.waitForFinished(KILL_AFTER_MS):
                self._process.kill()
                self._process.waitForFinished(KILL_AFTER_MS)
        self._letGo()

    def _environment(self) -> qt.QProcessEnvironment:
        environment = qt.QProcessEnvironment.systemEnvironment()
        paths = [str(self._library), *filter(None, [environment.value("PYTHONPATH", "")])]
        environment.insert("PYTHONPATH", os.pathsep.join(paths))
        environment.insert("PYTHONIOENCODING", "utf-8")
        # PythonSlicer is a launcher that passes no signal on to the interpreter; this ends both together.
        environment.insert(LIFELINE, LIFELINE_STDIN)
        return environment

    def _kill(self) -> None:
        if self.running:
            self._process.kill()

    def _readOutput(self) -> None:
        self._text += bytes(self._process.readAllStandardOutput().data())
        *lines, self._text = self._text.split(b"\n")
        for line in lines:
            self._take(line)

    def _readErrors(self) -> None:
        self._errors += bytes(self._process.readAllStandardError().data())

    def _take(self, line: bytes) -> None:
        """Understand one line; what is no JSON object comes from another program and is passed over."""
        try:
            entry = json.loads(line)
        except ValueError:
            return
        if not isinstance(entry, dict):
            return
        self._done = self._done or entry.get("done") is True
        if isinstance(entry.get("error"), str):
            self._reason = entry["error"]
        stage, fraction = entry.get("stage"), entry.get("fraction")
        if self._listener is None or self._cancelled:
            return
        if self._listener.onEntry is not None:
            self._listener.onEntry(entry)
        if isinstance(stage, str) and isinstance(fraction, (int, float)):
            self._listener.onProgress(stage, min(max(float(fraction), 0.0), 1.0))

    def _onFinished(self, *_codeAndStatus: object) -> None:
        self._readOutput()
        self._readErrors()
        crashed = self._process.exitStatus() != qt.QProcess.NormalExit
        if self._cancelled:
            self._tell("onCancelled")
        elif self._process.exitCode() == 0 and self._done and not crashed:
            self._tell("onFinished")
        else:
            self._tell("onFailed", self._why(crashed))

    def _onError(self, error: object) -> None:
        # All other errors are followed by the signal that the process has finished.
        if error == qt.QProcess.FailedToStart:
            self._tell(
                "onFailed",
                _("Slicer's Python should run the analysis, but could not be started. Install Slicer again."),
            )

    def _why(self, crashed: bool) -> str:
        """Say why it failed, in the program's own words where it had any."""
        if self._reason:
            return self._reason
        lines = [line.strip() for line in self._errors.decode("utf-8", "replace").splitlines()]
        said = [line for line in lines if line and not line.startswith(WARNING_PREFIX)]
        if said and (said[-1].startswith(PREFIX) or not crashed):
            return said[-1].removeprefix(PREFIX)
        return _(
            "The analysis ended before it was complete, perhaps for lack of memory. Close other programs or choose "
            "the device CPU in the settings, and try again."
        )

    def _tell(self, what: str, *values: str) -> None:
        """Tell the end, once, when Qt is done with the process."""
        if self._ended:
            return
        self._ended = True

        def deliver() -> None:
            self._letGo()
            listener, self._listener = self._listener, None
            if listener is not None:
                getattr(listener, what)(*values)

        later(deliver)

    def _letGo(self) -> None:
        """Part from Qt's process, which has ended, and from the timer that would have killed it."""
        if self._killer is not None:
            self._killer.end()
        process, self._process = self._process, None
        if process is not None:
            process.deleteLater()
