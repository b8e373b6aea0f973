"""The files of a follow-up: page, table, record, and maps of what changed."""

from __future__ import annotations

import csv
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from CovidCTLib.followup.page import render_follow_up
from CovidCTLib.followup.result import CHANGES, Comparison, FollowUp, TableRow
from CovidCTLib.report.page import write_page
from CovidCTLib.results.nifti_file import write_nifti
from CovidCTLib.results.tables import SIGNIFICANT_DIGITS
from CovidCTLib.writing.folder import new_output_folder
from CovidCTLib.writing.records import record_head, write_record_file

PAGE_FILE = "followup.html"
TABLE_FILE = "followup.csv"
RECORD_FILE = "followup.json"
MAP_FILE = "change_study_{number}.nii.gz"
"""Names of the files."""

SCHEMA_VERSION = 1
"""Raised when a field of the record changes its meaning or goes; new fields do not raise it."""

COLUMNS = tuple(field.name for field in fields(TableRow))


def write_follow_up(result: FollowUp, folder: str | os.PathLike[str], *, pdf: bool = False) -> tuple[Path, ...]:
    """Write a follow-up into a new folder; either all of its files are there afterwards, or none.

    Parameters
    ----------
    result
        The follow-up.
    folder
        A path that does not exist yet, or an empty folder.
    pdf
        Whether the page is laid out for paper, too, as ``followup.pdf``.

    Returns
    -------
    tuple of Path
        ``followup.html``, ``followup.csv`` (a line a study, region and measure), ``followup.json``, and for each later
        study that could be laid on the first ``change_study_N.nii.gz`` on the first study's axial grid: 1 new, 2
        resolved, 3 persistent.

    Raises
    ------
    OutputError
        If the folder is not empty or cannot be written to.
    CovidCTError
        If a PDF is asked for and cannot be made on this computer.
    """
    with new_output_folder(folder) as temporary:
        for comparison in result.comparisons:
            if comparison.difference is not None:
                name = MAP_FILE.format(number=comparison.study)
                geometry = comparison.difference.later.geometry
                write_nifti(temporary / name, comparison.difference.labels, geometry, "CovidCT change of opacity")
        _write_table(temporary / TABLE_FILE, result)
        write_record_file(temporary / RECORD_FILE, follow_up_record(result))
        write_page(render_follow_up(result), temporary / PAGE_FILE, pdf=pdf)
        names = sorted(file.name for file in temporary.iterdir())
    return tuple(Path(folder) / name for name in names)


def follow_up_record(result: FollowUp) -> dict[str, Any]:
    """Put a follow-up, without its arrays, into plain dictionaries, lists, numbers and text.

    Returns
    -------
    dict
        Dates are ``YYYY-MM-DD``. Neither paths nor who was scanned is in it, not even as a hash.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        **record_head(),
        "studies": [
            {"study": point.number, "date": point.date.isoformat(), "days": point.days} for point in result.points
        ],
        "left_out": [{"study": entry.number, "reason": entry.reason} for entry in result.left_out],
        "notices": [asdict(notice) for notice in result.notices],
        "table": [{**asdict(row), "date": row.date.isoformat()} for row in result.rows],
        "sentences": {str(number): list(lines) for number, lines in result.sentences.items()},
        "comparisons": [_comparison(entry) for entry in result.comparisons],
        "change_labels": {str(value): change for value, change in CHANGES.items()},
    }


def _comparison(entry: Comparison) -> dict[str, Any]:
    registration = entry.registration
    return {
        "study": entry.study,
        "days": entry.days,
        "reason": entry.reason,
        "registration": None
        if registration is None
        else {
            "lungs_dice_before": registration.dice_before,
            "lungs_dice": registration.dice,
            "folded_percent": registration.folded_percent,
            "by_hu": registration.by_hu,
        },
        "volumes_ml": None
        if entry.difference is None
        else {region: dict(volumes) for region, volumes in entry.difference.volumes_ml.items()},
    }


def _write_table(path: Path, result: FollowUp) -> None:
    """One line a study, region and measure; an empty cell means undefined."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([_cell(getattr(row, name)) for name in COLUMNS] for row in result.rows)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.{SIGNIFICANT_DIGITS}g}" if isinstance(value, float) else str(value)
