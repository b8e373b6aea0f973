"""CSV tables of a training folder: read as spreadsheets write them, every value checked with its file and line."""

from __future__ import annotations

import csv
import io
import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from CovidCTLib.errors import TrainingDataError

SEPARATORS = ",;\t"
"""What may stand between the values of a line; spreadsheets choose it by the language of the computer."""

FILE_COLUMN = "slice"
"""Column that names files."""

_SEPARATOR_LINE = "sep="
"""How the line begins by which Excel is told what separates the values; it is none of the table."""


def one_form(name: str) -> str:
    """Write the name of a case or patient in one of its Unicode forms (NFC).

    ``ü`` is one character in most tables, but two in the names of files that come from macOS: without this they would
    be two patients.
    """
    return unicodedata.normalize("NFC", name)


@dataclass(frozen=True)
class TableRow:
    """A line of a table.

    Parameters
    ----------
    location
        File and line for messages, such as ``ward_slices.csv, line 4``.
    cells
        Values by the name of their column, without the blanks around them.
    decimal_comma
        Whether a comma may stand for the decimal point, as it does where commas do not separate the values.
    """

    location: str
    cells: Mapping[str, str]
    decimal_comma: bool = False

    def text(self, column: str) -> str:
        """Give the text of a column; names of patients as `one_form` writes them.

        Raises
        ------
        TrainingDataError
            If it is empty.
        """
        text = self.cells.get(column, "")
        if not text:
            raise TrainingDataError(
                f"{self.location}: a value was expected for {column}, but there is none. Fill it in."
            )
        # Names of pictures are kept, as files are found by them.
        return text if column == FILE_COLUMN else one_form(text)

    def number(self, column: str) -> float:
        """Give the number of a column.

        Raises
        ------
        TrainingDataError
            If it is empty, no number, or not finite.
        """
        text = self.text(column)
        try:
            value = float(text.replace(",", ".") if self.decimal_comma else text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise TrainingDataError(f"{self.location}: {column} must be a number, not {text!r}. Correct it.")
        return value

    def whole(self, column: str) -> int:
        """Give the whole number of a column.

        Raises
        ------
        TrainingDataError
            If it is empty or no whole number.
        """
        value = self.number(column)
        if not value.is_integer():
            raise TrainingDataError(f"{self.location}: {column} must be a whole number, not {value:g}. Correct it.")
        return int(value)

    def yes(self, column: str) -> bool:
        """Give the yes (1) or no (0) of a column.

        Raises
        ------
        TrainingDataError
            If it is anything else.
        """
        text = self.text(column)
        if text not in ("0", "1"):
            raise TrainingDataError(f"{self.location}: {column} must be 0 or 1, not {text!r}. Correct it.")
        return text == "1"


def columns_of(path: Path) -> tuple[str, ...]:
    """Read the names of a table's columns, in small letters.

    Raises
    ------
    TrainingDataError
        If the file cannot be read, or is not UTF-8.
    """
    return _parse(path)[0]


def read_table(path: Path, needed: Sequence[str], name: str = "") -> list[TableRow]:
    """Read a CSV table of a training folder.

    Parameters
    ----------
    path
        UTF-8 with or without a byte order mark; values separated by commas, semicolons or tabs. Lines without any value
        are skipped, and so is Excel's line ``sep=;`` before the columns.
    needed
        Columns that it must have; others may be there.
    name
        What messages call it; without, the file's name.

    Raises
    ------
    TrainingDataError
        If the file cannot be read, is not UTF-8, lacks a needed column or any row, has a needed column twice, or a line
        has more values than there are columns.
    """
    columns, lines, separator = _parse(path)
    name = name or path.name
    missing = [column for column in needed if column not in columns]
    if missing:
        raise TrainingDataError(
            f"{name} must have the columns {', '.join(needed)} in its first line, but lacks {', '.join(missing)}. Name "
            "its columns so."
        )
    twice = [column for column in needed if columns.count(column) > 1]
    if twice:
        raise TrainingDataError(
            f"{name} must have each column once, but has {twice[0]} {columns.count(twice[0])} times. Leave one of them."
        )
    rows = []
    for number, values in lines:
        location = f"{name}, line {number}"
        if any(values[len(columns) :]):
            raise TrainingDataError(
                f"{location}: {len(columns)} values were expected, one a column, but there are {len(values)}. Correct "
                "the line."
            )
        if any(values):
            rows.append(TableRow(location, dict(zip(columns, values, strict=False)), separator != ","))
    if not rows:
        raise TrainingDataError(
            f"{name} must hold a line for each slice below its first line, but holds none. Add them, or take the "
            "table out."
        )
    return rows


def _parse(path: Path) -> tuple[tuple[str, ...], list[tuple[int, list[str]]], str]:
    """Read the columns of a table, its lines with their numbers, and what separates the values."""
    try:
        # Excel begins UTF-8 with a byte order mark, which is no part of the first column's name.
        text = path.read_bytes().decode("utf-8-sig")
        separator = max(SEPARATORS, key=_heading(text).count)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        lines = [(reader.line_num, [value.strip() for value in values]) for values in reader]
    except UnicodeDecodeError as error:
        raise TrainingDataError(
            f"{path.name} must be text in UTF-8, but is in another encoding. Save it as 'CSV UTF-8'."
        ) from error
    except (OSError, csv.Error) as error:
        raise TrainingDataError(
            f"{path.name} must be a table of comma-separated values, but cannot be read as one. Save it as 'CSV UTF-8'."
        ) from error
    while lines and _is_before_the_heading(lines[0][1]):
        lines.pop(0)
    columns = tuple(name.lower() for name in lines[0][1]) if lines else ()
    return columns, lines[1:], separator


def _heading(text: str) -> str:
    """Find the line that names the columns, which tells what separates the values."""
    lines = (line for line in io.StringIO(text) if not _is_before_the_heading([line.strip(f'{SEPARATORS} "\r\n')]))
    return next(lines, "")


def _is_before_the_heading(values: Sequence[str]) -> bool:
    """Whether a line stands before the names of the columns: one without any value, or one for Excel."""
    return not any(values) or values[0].lower().startswith(_SEPARATOR_LINE)
