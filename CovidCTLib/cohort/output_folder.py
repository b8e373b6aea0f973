"""The output folder of a run: begun, continued, or refused; its layout is told in `CovidCTLib.cohort.rows`."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from CovidCTLib.cohort.rows import (
    PATIENT_KEY_FILE,
    ROWS_FOLDER,
    RUN_FILE,
    SCANS_FOLDER,
    CohortRow,
    gather_rows,
    read_rows,
    require_pyarrow,
    row_file,
)
from CovidCTLib.cohort.scans import CohortScan, Task
from CovidCTLib.errors import OutputError
from CovidCTLib.writing.folder import check_output_folder, explained, new_output_folder, remove_stale_folders
from CovidCTLib.writing.locks import HeldError, locked

PATIENT_KEY_VARIABLE = "COVIDCT_PATIENT_KEY"
"""Environment variable with a secret of the user's own, so that several cohorts call a patient the same."""

GATHER_AFTER = 1000
"""Rows after which a run gathers them into one file."""

_LOCK_FILE = "run.lock"
_PSEUDONYM_DIGITS = 12


@contextlib.contextmanager
def opened_run(folder: str | os.PathLike[str], record: Mapping[str, Any]) -> Iterator[Path]:
    """Begin a run in a new or empty folder, or continue the one that is there.

    Parameters
    ----------
    folder
        The output folder.
    record
        As `CovidCTLib.cohort.settings.run_record` gives it.

    Yields
    ------
    Path
        The folder as an absolute path; no other run of this computer writes to it meanwhile.

    Raises
    ------
    OutputError
        If it holds something else, or a run with other settings or of now, or cannot be written to.
    CovidCTError
        If pyarrow is not installed.
    """
    require_pyarrow()
    out = check_run(folder, record)
    if not (out / RUN_FILE).is_file():
        with new_output_folder(out) as temporary:
            (temporary / RUN_FILE).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            key = temporary / PATIENT_KEY_FILE
            key.write_text(os.environ.get(PATIENT_KEY_VARIABLE) or secrets.token_hex(32), encoding="utf-8")
            key.chmod(0o600)
    try:
        with _locked(out):
            for name in (ROWS_FOLDER, SCANS_FOLDER):
                (out / name).mkdir(exist_ok=True)
                remove_stale_folders(out / name)
            yield out
            # What processes were writing when they had to be stopped.
            for name in (ROWS_FOLDER, SCANS_FOLDER):
                remove_stale_folders(out / name)
    except BrokenPipeError:
        # Whoever read the terminal's output has gone; the folder is well.
        raise
    except OSError as error:
        raise explained(error) from error


def check_run(folder: str | os.PathLike[str], record: Mapping[str, Any]) -> Path:
    """Check, without creating anything, that a run can begin or continue in a folder.

    Returns
    -------
    Path
        The folder as an absolute path.

    Raises
    ------
    OutputError
        If it holds something else, or a run with other settings, or cannot be written to.
    """
    out = Path(folder)
    try:
        begun = (out / RUN_FILE).is_file()
    except OSError as error:
        raise explained(error) from error
    if not begun:
        return check_output_folder(folder)
    try:
        there = json.loads((out / RUN_FILE).read_text(encoding="utf-8"))
        if not isinstance(there, dict):
            raise ValueError(RUN_FILE)
    except (OSError, ValueError, RecursionError) as error:
        raise OutputError(
            f"The output folder's {RUN_FILE} must say how its scans were measured, but it cannot be read. Choose "
            "another folder with -o."
        ) from error
    other = sorted(name for name in {*there, *record} if there.get(name) != record.get(name))
    if other:
        raise OutputError(
            f"The output folder holds a run with other settings ({', '.join(_differences(there, record, other))}). "
            "Nothing was changed; continue it with its own settings, or choose another folder with -o."
        )
    return out.resolve()


def pseudonym(out: Path, patient: str) -> str:
    """Make a patient's pseudonym: the same in all runs of a folder, and not to be reversed without its secret.

    Raises
    ------
    OutputError
        If the secret is missing.
    """
    if not patient:
        return ""
    try:
        key = (out / PATIENT_KEY_FILE).read_bytes()
    except OSError as error:
        raise OutputError(
            f"The output folder's {PATIENT_KEY_FILE} makes the patients' pseudonyms, but it is missing. Put it back, "
            "or choose another folder with -o."
        ) from error
    return "p" + hmac.new(key, patient.encode(), hashlib.sha256).hexdigest()[:_PSEUDONYM_DIGITS]


def plan(
    out: Path, scans: Iterable[CohortScan], *, retry_failed: bool
) -> tuple[tuple[Task, ...], tuple[CohortRow, ...]]:
    """Find out what is still to be done.

    Parameters
    ----------
    out
        The output folder.
    scans
        All of the source.
    retry_failed
        Whether scans that failed before are to be measured again; their rows are forgotten.

    Returns
    -------
    tasks, rows
        What is to be measured, the largest first, and the rows of what is finished. What the source says of a finished
        scan (class, patient, date) is brought up to date in its row.

    Raises
    ------
    InputError
        If a file of rows is damaged.
    OutputError
        If rows cannot be written.
    """
    earlier = {row.id: row for row in read_rows(out)}
    tasks, finished, forgotten = [], [], []
    for scan in scans:
        entry = replace(scan, patient=pseudonym(out, scan.patient))
        row = earlier.get(scan.id)
        if row is not None and row.status != "ok" and retry_failed:
            forgotten.append(scan.id)
            row = None
        if row is not None and row.stamp == entry.stamp:
            finished.append(
                replace(row, class_name=entry.class_name, patient=entry.patient, study_date=entry.study_date)
            )
        else:
            tasks.append(Task(entry, row))
    if finished != [earlier[row.id] for row in finished] or forgotten or _are_single(out, finished):
        gather_rows(out, finished, without=forgotten)
    tasks.sort(key=lambda task: (-task.scan.bytes, task.scan.id))
    return tuple(tasks), tuple(finished)


class Gatherer:
    """Gathers the rows of a run into one file, a thousand at a time.

    Parameters
    ----------
    out
        The output folder.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._rows: list[CohortRow] = []

    def add(self, row: CohortRow) -> None:
        """Take note of a row that was written.

        Raises
        ------
        OutputError
            If the rows cannot be gathered; they are safe in their own files.
        """
        self._rows.append(row)
        if len(self._rows) >= GATHER_AFTER:
            self.finish()

    def finish(self) -> None:
        """Gather what is left.

        Raises
        ------
        OutputError
            If the rows cannot be gathered; they are safe in their own files.
        """
        if self._rows:
            gather_rows(self._out, self._rows)
            self._rows = []


def _are_single(out: Path, rows: Iterable[CohortRow]) -> bool:
    """Whether a row still has its own file."""
    names = {file.name for file in (out / ROWS_FOLDER).iterdir()}
    return any(row_file(out, row.id).name in names for row in rows)


def _differences(there: Mapping[str, Any], record: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Name settings that differ, those of the analysis one by one."""
    said = []
    for name in names:
        old, new = there.get(name), record.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            said += [
                f"{part}: {old.get(part)} there, {new.get(part)} now" for part in new if old.get(part) != new[part]
            ]
        else:
            said.append(f"{name}: {old} there, {new} now")
    return said


@contextlib.contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Keep other runs of this computer away; the system lets go of the lock when this process ends, however it ends."""
    try:
        with locked(out / _LOCK_FILE):
            yield
    except HeldError as error:
        raise OutputError(
            "The output folder must belong to one run at a time, but another one writes to it now. Wait for it, or "
            "choose another folder with -o."
        ) from error
