"""The loop of ``covidct listen``: what came to rest is analyzed, results are sent, each step is on the disk first."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from CovidCTLib.archive.analyzing import Analyzer, StudyLeftError, write_failure
from CovidCTLib.archive.job import Job
from CovidCTLib.archive.nodes import Node
from CovidCTLib.archive.receiving import Listener
from CovidCTLib.archive.sending import ArchiveAwayError, SendOutcome, send
from CovidCTLib.archive.spool import Spool
from CovidCTLib.errors import CovidCTError

MOST_ATTEMPTS = 3
"""An analysis that ended the program so often is not begun again: it would do so forever."""

RETRY_S = 30.0
"""Seconds before an archive that was away is tried again."""

_FULL = (errno.ENOSPC, errno.EDQUOT)

LOOK_S = 0.5
"""Seconds between two looks at the queue."""


@dataclass(frozen=True)
class ServiceSettings:
    """How the loop works.

    Parameters
    ----------
    archive
        Where results go.
    title
        Title of this program towards the archive.
    rest_s
        Seconds without images after which a study has come to rest.
    keep
        Whether received images stay.
    failure_report
        Whether a study that is left or fails gives an SR that says why.
    retry_s
        Seconds before an archive that was away is tried again.
    """

    archive: Node
    title: str = "COVIDCT"
    rest_s: float = 30.0
    keep: bool = False
    failure_report: bool = False
    retry_s: float = RETRY_S


class Service:
    """Works through the queue.

    Parameters
    ----------
    spool
        The queue.
    listener
        Receives meanwhile; None works through the queue alone.
    analyze
        Turns images into results.
    settings
        How.
    tell
        Writes a line to the log; it never holds patient data.
    """

    def __init__(
        self,
        spool: Spool,
        listener: Listener | None,
        analyze: Analyzer,
        settings: ServiceSettings,
        tell: Callable[[str], None],
    ) -> None:
        self._spool, self._listener, self._analyze = spool, listener, analyze
        self._settings, self._tell = settings, tell
        self._next_try = 0.0
        self._away = ""
        self.stopping = threading.Event()

    def run(self, *, once: bool = False) -> bool:
        """Work until stopped, or, with ``once``, until nothing arrives and nothing waits.

        Returns
        -------
        bool
            Whether everything that was received is sent; with ``once`` false where the archive was away.
        """
        started = time.monotonic()
        while not self.stopping.is_set():
            try:
                worked = self.step()
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                self._tell("The disk is full: nothing is lost, and the work goes on where it was when there is space.")
                self.stopping.wait(self._settings.retry_s)
                continue
            if once and not worked and time.monotonic() - started >= self._settings.rest_s:
                waiting = self._spool.jobs()
                if waiting and self._away:
                    return False
                if not waiting and not self._spool.arriving():
                    return True
            if not worked:
                self.stopping.wait(LOOK_S)
        return not self._spool.jobs()

    def step(self) -> bool:
        """Do one piece of work: take what has come to rest, send what waits, or analyze one study.

        Returns
        -------
        bool
            Whether there was any.
        """
        busy = self._listener.busy() if self._listener is not None else frozenset()
        for job in self._spool.take_rested(self._settings.rest_s, busy, self._tell_repeated):
            count = sum(1 for _ in job.images.iterdir())
            late = ""
            if self._spool.analyzed_before(job):
                late = " They came after their study was analyzed, and are analyzed by themselves, as a part of it."
            self._tell(f"{job.name}: {count} images, waits for its analysis.{late}")
        jobs = self._spool.jobs()
        ready = [job for job in jobs if job.analyzed]
        to_do = [job for job in jobs if not job.analyzed]
        sent = self._send(ready)
        if to_do:
            self._work_on(to_do[0])
        return sent or bool(to_do)

    def _tell_repeated(self) -> None:
        self._tell("A study arrived again of which every image was analyzed before; nothing is done.")

    def _work_on(self, job: Job) -> None:
        """Analyze a study; whatever comes of it is written as its results, none being one, too."""
        attempt = self._spool.count_attempt(job)
        started = time.monotonic()
        if attempt > MOST_ATTEMPTS:
            self._close_without(job, "failed", f"Its analysis ended the program {MOST_ATTEMPTS} times (memory?).")
            return
        try:
            with self._spool.new_results(job) as folder:
                words = self._analyze(job.images, folder)
                # Before the results are called finished: a full disk must not leave them without their outcome.
                self._spool.note(job, outcome="analyzed")
            self._tell(f"{job.name}: {words}, {time.monotonic() - started:.0f} s.")
        except StudyLeftError as error:
            self._close_without(job, "left", str(error))
        except CovidCTError as error:
            self._close_without(job, "failed", str(error))
        except OSError as error:
            if error.errno in _FULL:
                self._tell(f"{job.name}: the disk is full; the study waits until there is space.")
                self._spool.forget_attempt(job)
                self.stopping.wait(self._settings.retry_s)
                return
            self._close_without(job, "failed", f"The system refused ({type(error).__name__}).")
        except Exception as error:  # noqa: BLE001 - one study that fails must not stop the others
            # The text of an unknown error may hold patient data, so only its kind is said.
            self._close_without(job, "failed", f"CovidCT made a mistake ({type(error).__name__}).")
        except BaseException:
            # Whoever stops the listener politely does not count against the study.
            self._spool.forget_attempt(job)
            raise

    def _close_without(self, job: Job, outcome: str, reason: str) -> None:
        """Close a study that is not analyzed; by option an SR says why."""
        self._spool.note(job, outcome=outcome, reason=reason)
        said = ""
        with self._spool.new_results(job) as folder:
            if self._settings.failure_report:
                said = _said_in_a_report(job, folder, reason)
        self._tell(f"{job.name}: {outcome}. {' '.join(reason.split())}{said}")

    def _send(self, jobs: list[Job]) -> bool:
        """Send what waits, study by study; at the first sign that the archive is away, wait for the next time."""
        if not jobs or time.monotonic() < self._next_try:
            return False
        for job in jobs:
            if self._spool.finished(job):
                self._spool.drop(job)
                continue
            try:
                send(
                    self._spool.waiting(job),
                    self._settings.archive,
                    self._settings.title,
                    partial(self._note_sent, job),
                )
            except ArchiveAwayError as error:
                if str(error) != self._away:
                    self._tell(f"{job.name}: waits to be sent. {error}")
                self._away = str(error)
                self._next_try = time.monotonic() + self._settings.retry_s
                return False
            self._away = ""
            record = self._spool.finish(job, keep=self._settings.keep)
            self._tell(f"{job.name}: done, {len(record['sent'])} objects sent, {len(record['refused'])} refused.")
        return True

    def _note_sent(self, job: Job, outcome: SendOutcome) -> None:
        self._spool.set_aside(job, outcome.file, refused=not outcome.accepted)
        if not outcome.accepted:
            self._tell(f"{job.name}: {outcome.file.name} was refused, and is kept: {outcome.reason}.")


def _said_in_a_report(job: Job, folder: Path, reason: str) -> str:
    """Write the SR that says why; headers that no SR can be made of must not end the listener."""
    try:
        return " An SR says so." if write_failure(job.images, folder, reason) else ""
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - one study must not stop the others
        for part in folder.iterdir():
            part.unlink()
        return f" No SR could be made of its headers ({type(error).__name__})."
