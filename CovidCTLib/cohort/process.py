"""A process of its own for scans, so that one that crashes, hangs or eats memory costs one row and not the run.

``python -m CovidCTLib.cohort.process`` is the other end: it takes pickles on its standard input and answers on its
standard output. Its networks are loaded once.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import IO, Any

from CovidCTLib.cohort.analyzers import load_analyzer
from CovidCTLib.cohort.memory import resident_gb
from CovidCTLib.cohort.rows import CohortRow, Status, require_pyarrow
from CovidCTLib.cohort.scans import Task
from CovidCTLib.cohort.worker import RUN_ERRORS, Work, failed_row, measure_scan
from CovidCTLib.errors import CovidCTError

START_S = 300.0
"""Longest time in seconds that a process takes to load Python's packages and the networks, on a slow network disk."""

WATCH_S = 0.05
"""Seconds between two looks at a process's time and memory."""

ATTEMPTS = 3
"""How often a process is started before it counts as unable to start."""


class ScanProcess:
    """A process that measures scans one after the other; it is started on the first, and again after each death.

    Parameters
    ----------
    work
        Where to and how.

    Notes
    -----
    Not for several threads at once. Where the process that holds this object dies, the other ends, too.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._closed = False

    def run(self, task: Task) -> CohortRow:
        """Measure a scan.

        Returns
        -------
        CohortRow
            As it was written; with status ``"timeout"``, ``"memory"`` or ``"killed"`` where the process had to be
            stopped, or ended.

        Raises
        ------
        OutputError, ModelError, OptionsError
            As `CovidCTLib.cohort.worker.measure_scan`.
        CovidCTError
            If the process cannot be started, or was closed meanwhile.
        """
        process = self._ready()
        begun = time.monotonic()
        with _Watch(process, self._work) as watch:
            answer = self._asked(process, task)
        if isinstance(answer, CohortRow):
            return answer
        if isinstance(answer, CovidCTError):
            raise answer
        self._forget()
        self._require_open()
        status, reason = watch.why or _why_ended(process.returncode)
        return failed_row(task, self._work, status, reason, time.monotonic() - begun)

    def close(self) -> None:
        """End the process at once, from any thread."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.kill()
                self._process.wait()

    def _require_open(self) -> None:
        """Stop where `close` was called."""
        if self._closed:
            raise CovidCTError("The process was expected to measure scans, but it was closed. Start the run again.")

    def _ready(self) -> subprocess.Popen[bytes]:
        """Give the process, started where it is not."""
        for _ in range(ATTEMPTS):
            self._require_open()
            if self._process is not None and self._process.poll() is None:
                return self._process
            self._forget()
            process = self._start()
            with _Watch(process, self._work, START_S):
                answer = self._asked(process, self._work)
            if isinstance(answer, CovidCTError):
                raise answer
            if answer is None:
                self._forget()
        if self._process is None:
            self._require_open()
            raise CovidCTError(
                f"A process for the scans was expected to start, but it ended {ATTEMPTS} times before it was ready. "
                "Try 'covidct analyze' on one scan, and see that there is enough memory."
            )
        return self._process

    def _start(self) -> subprocess.Popen[bytes]:
        """Start the process, with the threads that it may use."""
        threads = str(self._work.settings.threads)
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
        paths = os.pathsep.join(path for path in sys.path if path)
        with self._lock:
            self._require_open()
            self._process = subprocess.Popen(
                [sys.executable, "-m", __spec__.name if __spec__ else __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # Libraries may write what is in headers there.
                stderr=subprocess.DEVNULL,
                env={**os.environ, **dict.fromkeys(names, threads), "PYTHONPATH": paths},
            )
            return self._process

    @staticmethod
    def _asked(process: subprocess.Popen[bytes], question: Any) -> Any:
        """Send something and wait for the answer; None where the process ended instead."""
        try:
            pickle.dump(question, _pipe(process.stdin))
            _pipe(process.stdin).flush()
            return pickle.load(_pipe(process.stdout))
        except (OSError, EOFError, pickle.UnpicklingError):
            process.kill()
            process.wait()
            return None

    def _forget(self) -> None:
        """Let go of a process that ended."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    _pipe(pipe).close()


class _Watch:
    """While entered, ends a process that takes too long or too much memory, and says why."""

    def __init__(self, process: subprocess.Popen[bytes], work: Work, limit_s: float | None = None) -> None:
        self._process = process
        self._limit_s = work.settings.timeout_s if limit_s is None else limit_s
        self._limit_gb = work.settings.most_memory_gb
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="covidct-watch", daemon=True)
        self.why: tuple[Status, str] | None = None

    def __enter__(self) -> _Watch:
        """Begin to watch."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Watch no longer."""
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        """Look until something is wrong or all is over."""
        end = time.monotonic() + self._limit_s
        while not self._over.wait(WATCH_S):
            if time.monotonic() > end:
                self.why = (
                    "timeout",
                    f"The scan must be done in {self._limit_s:g} s, but took longer. Allow more with --timeout.",
                )
            elif (resident_gb(self._process.pid) or 0) > self._limit_gb:
                self.why = (
                    "memory",
                    f"The scan's process may take {self._limit_gb:g} GB of memory, but took more. Allow more with "
                    "--memory-per-process.",
                )
            if self.why is not None:
                self._process.kill()
                return


def _why_ended(code: int | None) -> tuple[Status, str]:
    """Say how a process ended that nobody stopped."""
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
            hint = " The system does that when memory runs out." if name == "SIGKILL" else ""
            return "killed", f"The scan's process was ended by signal {name}.{hint} Try again with --retry-failed."
    return "killed", f"The scan's process ended all of a sudden with code {code}. Try again with --retry-failed."


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    """A pipe that is there."""
    if pipe is None:
        raise OSError("The pipe to a process of scans is missing.")
    return pipe


def main() -> None:
    """Measure the scans that come, until nobody sends any more."""
    # Ctrl-C reaches all processes of a terminal; it is the leader that ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    # What libraries print must not get between the answers.
    os.dup2(2, 1)
    for answer in _answers(_questions()):
        pickle.dump(answer, answers)
        answers.flush()


def _questions() -> Iterator[Any]:
    """Take what comes; end at once, even in the middle of a scan, where the leader is gone."""
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def read() -> None:
        source = sys.stdin.buffer
        try:
            while True:
                waiting.put(pickle.load(source))
        except (EOFError, OSError, pickle.UnpicklingError):
            os._exit(0)

    threading.Thread(target=read, name="covidct-listening", daemon=True).start()
    while True:
        yield waiting.get()


def _answers(questions: Iterator[Any]) -> Iterator[Any]:
    """Answer the work by a word when all is loaded, and each scan by its row."""
    work: Work = next(questions)
    try:
        # Loaded before the clock of the first scan starts.
        require_pyarrow()
        analyzer = load_analyzer(work.settings)
    except CovidCTError as error:
        yield error
        return
    yield "ready"
    for task in questions:
        try:
            yield measure_scan(task, work, analyzer)
        except RUN_ERRORS as error:
            yield error


if __name__ == "__main__":
    main()
