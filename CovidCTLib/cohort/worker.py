"""What a worker does with one scan: fetch, measure, write its results, and its row last."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from CovidCTLib import __version__
from CovidCTLib.cohort.analyzers import Analyzer, Measured
from CovidCTLib.cohort.memory import peak_resident_gb
from CovidCTLib.cohort.rows import (
    CohortRow,
    Status,
    read_row,
    scan_folder,
    write_row,
)
from CovidCTLib.cohort.scans import CohortScan, Task
from CovidCTLib.cohort.settings import CohortSettings, key_of
from CovidCTLib.cohort.storage import content_hash, local_copy
from CovidCTLib.errors import CovidCTError, ModelError, OptionsError, OutputError
from CovidCTLib.writing.folder import explained, new_output_folder

RUN_ERRORS = (OutputError, ModelError, OptionsError)
"""Failures that are the run's, not a scan's: no other scan would fare better, so the run stops and can go on later."""

TOO_LITTLE_MEMORY = (
    "The scan must fit into the memory of its process, but there was too little. Allow more with "
    "--memory-per-process, or run fewer processes."
)


class MistakeError(CovidCTError):
    """A mistake in CovidCT itself that one scan brought to light."""


class NoMemoryError(CovidCTError):
    """A scan took more memory than there was."""


@dataclass(frozen=True)
class Work:
    """What all scans of a run have in common.

    Parameters
    ----------
    out
        The output folder, which every worker can write to under this path.
    settings
        How scans are measured.
    record
        What stands for that, as `CovidCTLib.cohort.settings.run_record` gives it.
    """

    out: Path
    settings: CohortSettings
    record: Mapping[str, Any]


def measure_scan(task: Task, work: Work, analyzer: Analyzer) -> CohortRow:
    """Measure a scan and write its results and its row; what fails becomes a row with the reason.

    Parameters
    ----------
    task
        The scan.
    work
        Where to and how.
    analyzer
        What measures.

    Returns
    -------
    CohortRow
        As it was written. Where this run has written the row already, that one: nothing is measured twice.

    Raises
    ------
    OutputError, ModelError, OptionsError
        If no other scan would fare better: the disk is full, a network is damaged, ...
    """
    begun = time.perf_counter()
    done = read_row(work.out, task.scan.id)
    if done is not None and done.stamp == task.scan.stamp:
        # A worker that was lost after its last word, but before its leader had heard it.
        return done
    row = empty_row(task.scan, work)
    try:
        with _plain_errors():
            row = _measured(task, work, analyzer, row)
    except RUN_ERRORS:
        raise
    except NoMemoryError as error:
        row = replace(row, status="memory", reason=str(error))
    except CovidCTError as error:
        row = replace(row, status="failed", reason=_without_address(str(error), task.scan.address))
    if not row.finished:
        seconds = round(time.perf_counter() - begun, 3)
        row = replace(row, seconds=seconds, peak_memory_gb=peak_resident_gb(), finished=_now())
    write_row(work.out, row)
    return row


def failed_row(task: Task, work: Work, status: Status, reason: str, seconds: float) -> CohortRow:
    """Write the row of a scan whose process could not do it itself.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    row = replace(empty_row(task.scan, work), status=status, reason=reason, seconds=round(seconds, 3), finished=_now())
    write_row(work.out, row)
    return row


def empty_row(scan: CohortScan, work: Work) -> CohortRow:
    """Make a scan's row without any measure."""
    return CohortRow(
        id=scan.id,
        stamp=scan.stamp,
        class_name=scan.class_name,
        patient=scan.patient,
        study_date=scan.study_date,
        measures=work.settings.measures,
        bytes=scan.bytes,
        version=__version__,
        models=work.record["models"],
    )


def _measured(task: Task, work: Work, analyzer: Analyzer, row: CohortRow) -> CohortRow:
    """Fetch and measure a scan and write its results; gives its row, not yet written."""
    with local_copy(task.scan.address, beside=task.scan.beside) as copy:
        content = copy.sha256 or content_hash(str(copy.path))
        key = key_of(work.record, content)
        earlier = task.earlier
        if earlier is not None and earlier.key == key:
            # Moved or touched, but the same. A scan that failed is tried again on request only.
            return replace(
                earlier,
                stamp=row.stamp,
                class_name=row.class_name,
                patient=row.patient,
                study_date=row.study_date,
                bytes=row.bytes,
            )
        row = replace(row, key=key, content_sha256=content)
        try:
            measured = analyzer(copy.path)
        except RUN_ERRORS:
            raise
        except CovidCTError as error:
            # With the content's key: whoever retries knows that it is the same scan.
            return replace(row, status="failed", reason=_without_address(str(error), task.scan.address))
    _write_results(scan_folder(work.out, task.scan.id), measured)
    return replace(row, **measured.values)


def _write_results(folder: Path, measured: Measured) -> None:
    """Write a scan's folder; one that has no row was left by a worker that was killed, and is replaced."""
    try:
        if folder.is_dir():
            shutil.rmtree(folder)
    except OSError as error:
        raise explained(error) from error
    with new_output_folder(folder, tidy=False) as temporary:
        measured.write(temporary)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Make every failure one of CovidCT's, so that one scan does not end the whole run."""
    try:
        yield
    except CovidCTError:
        raise
    except MemoryError as error:
        raise NoMemoryError(TOO_LITTLE_MEMORY) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise explained(error) from error
        raise MistakeError(
            f"The scan must be readable, but the system failed ({type(error).__name__}). Check the disk and its "
            "permissions, and try again with --retry-failed."
        ) from error
    except Exception as error:
        # The text of an unknown error may hold a path or a patient's name, so only its kind is shown.
        raise MistakeError(
            f"CovidCT made a mistake with this scan ({type(error).__name__}). Run 'covidct --debug analyze' on it, and "
            "report what that shows to the developers."
        ) from error


def _without_address(reason: str, address: str) -> str:
    """Take the scan's address, which may hold a patient's name, out of a reason; one line."""
    return " ".join(reason.replace(address, "the scan").split())


def _now() -> str:
    """The time, in UTC, by the second."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
