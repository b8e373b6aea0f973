"""The cohort as one table for pandas, R and Excel: ``cohort.csv`` and ``cohort.parquet``, one line a scan."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from CovidCTLib.cohort.rows import CohortRow, require_pyarrow, row_schema
from CovidCTLib.results.tables import cell_text

LEFT_OUT = ("stamp",)
"""Columns of the rows that only the run itself needs."""

OUTLIER_COLUMN = "outlier_in"
"""Added column: measures in which the scan is an outlier, joined by `JOINER`."""

JOINER = "; "
"""Between the entries of a cell that holds several."""

TABLE_COLUMNS = (*(entry.name for entry in fields(CohortRow) if entry.name not in LEFT_OUT), OUTLIER_COLUMN)

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a text that begins with one of these for a formula (OWASP, CSV Injection)."""


def write_csv(path: Path, rows: Sequence[CohortRow], outliers: Mapping[str, Sequence[str]]) -> None:
    """Write the table for spreadsheets: UTF-8 with byte order mark, commas, decimal points, ISO dates.

    Parameters
    ----------
    path
        Where to.
    rows
        One line each.
    outliers
        Measures in which a scan is an outlier, by its id.

    Raises
    ------
    OSError
        If the file cannot be written.

    Notes
    -----
    An empty cell is undefined. A text that a spreadsheet would run as a formula is preceded by an apostrophe.
    """
    # Without the mark, Excel takes UTF-8 for the local code page.
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(TABLE_COLUMNS)
        for entry in _entries(rows, outliers):
            writer.writerow([safe_cell(entry[name]) for name in TABLE_COLUMNS])


def write_parquet(path: Path, rows: Sequence[CohortRow], outliers: Mapping[str, Sequence[str]]) -> None:
    """Write the table for pandas and R, with the same columns; codes of notices are one text.

    Parameters
    ----------
    path, rows, outliers
        As for `write_csv`.

    Raises
    ------
    OSError
        If the file cannot be written.
    CovidCTError
        If pyarrow is not installed.
    """
    pa = require_pyarrow()
    kinds = {entry.name: entry.type for entry in row_schema()}
    text = {"notices", OUTLIER_COLUMN}
    schema = pa.schema([pa.field(name, pa.string() if name in text else kinds[name]) for name in TABLE_COLUMNS])
    pa.parquet.write_table(pa.Table.from_pylist(list(_entries(rows, outliers)), schema=schema), path)


def _entries(rows: Iterable[CohortRow], outliers: Mapping[str, Sequence[str]]) -> Iterable[dict[str, Any]]:
    """Values of each line, by column; empty texts stay empty."""
    for row in rows:
        entry = {name: getattr(row, name) for name in TABLE_COLUMNS if name != OUTLIER_COLUMN}
        yield {**entry, "notices": JOINER.join(row.notices), OUTLIER_COLUMN: JOINER.join(outliers.get(row.id, ()))}


def safe_cell(value: object) -> str:
    """Write one value as text that is safe to open in a spreadsheet."""
    text = cell_text(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA_STARTS) else text
