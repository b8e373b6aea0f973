"""A manifest: a table that names the scans of a cohort, each with its id, class, patient and date."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from CovidCTLib.cohort.rows import require_pyarrow
from CovidCTLib.cohort.scans import CohortScan
from CovidCTLib.cohort.storage import is_remote, local_copy
from CovidCTLib.cohort.storage_errors import plain_errors
from CovidCTLib.errors import InputError

COLUMNS = ("path", "id", "class", "patient", "date")
"""Of these only ``path`` must be there; other columns are left alone."""

_ENDINGS = (".csv", ".parquet")
_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?")
"""Safe as a file's name on every system: no separators, no leading dot or underscore, no trailing dot, 64 at most."""

_LONGEST_CLASS = 64

_FIRST_PRINTED = 32
"""Characters before the space are control characters (ISO/IEC 646)."""


def is_manifest(source: str) -> bool:
    """Whether a source is a manifest, by the ending of its name."""
    return source.lower().endswith(_ENDINGS)


def read_manifest(source: str) -> tuple[CohortScan, ...]:
    """Read a manifest.

    Parameters
    ----------
    source
        A ``.csv`` (UTF-8, one header line; comma, semicolon or tab) or ``.parquet`` file, or a URL of one, with the
        columns of `COLUMNS`. Paths that are not absolute start at the manifest's folder. Dates are ``YYYY-MM-DD``.

    Returns
    -------
    tuple of CohortScan
        In the order of the rows, without sizes; ``id`` is empty where the manifest gives none.

    Raises
    ------
    InputError
        If it cannot be read, has no column ``path`` or no row, an id is no file name or occurs twice, a path is empty,
        occurs twice or holds a line break, or a date is none. Rows are named by their number, from 1 without the
        header, as ids and paths may be a patient's.
    CovidCTError
        If it is Parquet and pyarrow is not installed.
    """
    with local_copy(source) as copy, plain_errors():
        table = _read_csv(copy.path) if source.lower().endswith(".csv") else _read_parquet(copy.path)
    home = source.replace("\\", "/").rpartition("/")[0] if is_remote(source) else str(Path(source).absolute().parent)
    scans = [_scan(row, home, number) for number, row in enumerate(table, start=1)]
    if not scans:
        raise InputError("A manifest with one row a scan was expected, but it has none. Check the file.")
    # Some systems take big and small letters of names for the same.
    _check_single([scan.id.lower() for scan in scans], "id")
    _check_single([scan.address for scan in scans], "path")
    return tuple(scans)


def _read_csv(path: Path) -> list[dict[str, Any]]:
    """Rows of a CSV file, their columns in small letters."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            "A manifest in UTF-8 was expected, but this one is in another encoding. Save it as 'CSV UTF-8'."
        ) from error
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    lines = text.splitlines(keepends=True)
    reader = csv.DictReader(lines, delimiter=separator, restval="")
    try:
        _check_columns([_plain(name) for name in reader.fieldnames or ()])
        return [{_plain(name): value for name, value in row.items() if name is not None} for row in reader]
    except csv.Error as error:
        raise InputError(
            "A manifest with comma-separated values was expected, but this file is none. Save it again."
        ) from error


def _read_parquet(path: Path) -> list[dict[str, Any]]:
    """Rows of a Parquet file, their columns in small letters."""
    pa = require_pyarrow()
    try:
        table = pa.parquet.ParquetFile(path).read()
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            "A manifest in Parquet was expected, but this file is damaged or of another type. Write it again."
        ) from error
    names = [_plain(name) for name in table.column_names]
    _check_columns(names)
    chosen = [index for index, name in enumerate(names) if name in COLUMNS]
    rows: list[dict[str, Any]] = table.select(chosen).rename_columns([names[index] for index in chosen]).to_pylist()
    return rows


def _plain(name: str) -> str:
    return name.strip().lower()


def _check_columns(names: Sequence[str]) -> None:
    """Refuse a table without paths."""
    if "path" not in names:
        raise InputError(
            f"A manifest with the column path (and, if wanted, {', '.join(COLUMNS[1:])}) was expected, but it is none "
            f"of the columns that were found ({len(names)}). Name the columns so in the first line."
        )


def _scan(row: Mapping[str, Any], home: str, number: int) -> CohortScan:
    """Make a scan of a row."""
    said = {name: _text(row.get(name)) for name in COLUMNS}
    path, scan_id, class_name = said["path"], said["id"], said["class"]
    if not path:
        raise InputError(f"Every row of the manifest must name a path, but row {number} has none. Add it.")
    if any(ord(letter) < _FIRST_PRINTED for letter in path):
        raise InputError(
            f"A path of the manifest must be one line of text, but that of row {number} holds a line break or another "
            "control character. See that every quotation mark is closed."
        )
    if scan_id and not _ID.fullmatch(scan_id):
        raise InputError(
            f"An id of the manifest must name files (1 to 64 of A-Z, a-z, 0-9, '.', '_', '-', beginning with a letter "
            f"or digit, not ending with a dot), but that of row {number} cannot. Correct it."
        )
    if len(class_name) > _LONGEST_CLASS or not class_name.isprintable():
        raise InputError(
            f"A class of the manifest must be a word of up to {_LONGEST_CLASS} characters, but that of row {number} is "
            "not. Correct it."
        )
    absolute = is_remote(path) or path.startswith("/") or Path(path).is_absolute()
    if not absolute:
        path = f"{home}/{path}" if is_remote(home) else str(Path(home) / path)
    return CohortScan(
        id=scan_id, address=path, class_name=class_name, patient=said["patient"], study_date=_date(said["date"], number)
    )


def _text(value: object) -> str:
    """A cell as text."""
    if value is None or value != value:
        return ""
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return str(value).strip()


def _date(text: str, number: int) -> str:
    """A date as ``YYYY-MM-DD``."""
    if not text:
        return ""
    try:
        # Seven digits would be read, too, but as one of two days.
        compact = re.fullmatch(r"\d{8}", text, re.ASCII)
        return datetime.strptime(text, "%Y%m%d" if compact else "%Y-%m-%d").date().isoformat()
    except ValueError:
        # The error quotes the cell, which may be a patient's name that got into the wrong column.
        raise InputError(
            f"A date of the manifest must have the form YYYY-MM-DD, but that of row {number} has not. Correct it."
        ) from None


def _check_single(values: Sequence[str], what: str) -> None:
    """Refuse what occurs twice, by the numbers of its rows."""
    seen: dict[str, int] = {}
    for number, value in enumerate(values, start=1):
        if value and value in seen:
            raise InputError(
                f"Every {what} of the manifest must occur once, but rows {seen[value]} and {number} have the same. "
                "Correct one of them."
            )
        seen[value] = number
