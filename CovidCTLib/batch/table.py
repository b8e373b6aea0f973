"""``cases.csv``: which file became which folder of results, and how far each is."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from CovidCTLib.batch.cases import CASE_FOLDER, TABLE_FILE, case_folder_name, highest_case_number
from CovidCTLib.errors import OutputError
from CovidCTLib.writing.files import new_output_files

State = Literal["waiting", "running", "done", "failed"]


@dataclass
class Row:
    """A case.

    Parameters
    ----------
    file
        Name of the file or folder with the CT, without the path.
    folder
        Name of the folder with its results.
    state
        Where a run was ended from outside, ``"running"`` stays.
    reason
        Why it failed, else empty.
    grid
        What was given in place of the header's grid (`CovidCTLib.reading.source.GridWishes`), in words, else empty.
    content
        As `CovidCTLib.batch.cases.content_of_case` gives it.
    """

    file: str
    folder: str
    state: State = "waiting"
    reason: str = ""
    grid: str = ""
    content: str = ""


COLUMNS = tuple(field.name for field in fields(Row))


class CaseTable:
    """The table of an output folder, read where there is one; nothing is written before `write`.

    Parameters
    ----------
    output
        The output folder; it may not exist yet.

    Raises
    ------
    OutputError
        If the folder or its table cannot be read, or the table is no such table.
    """

    def __init__(self, output: Path) -> None:
        self._file = output / TABLE_FILE
        try:
            self.rows = _read(self._file) if self._file.exists() else []
            # Folders of an earlier version's batch, which wrote no table, keep their numbers.
            self._highest = highest_case_number(output)
        except OSError as error:
            raise OutputError(
                f"The folder for the results must be readable, but the system refuses ({error.strerror}). Check its "
                "permissions, or choose another folder."
            ) from error

    def row_of(self, file: str, content: str) -> Row:
        """Give the row of a case: the one of before where name and content are the same, else a new one."""
        for row in self.rows:
            if row.file == file and row.content == content:
                return row
        for row in self.rows:
            if row.file == file and not (self._file.parent / row.folder).exists():
                # The file was mended, or copied completely, since it failed.
                row.content, row.state, row.reason = content, "waiting", ""
                return row
        numbers = (int(match.group(1)) for row in self.rows if (match := CASE_FOLDER.fullmatch(row.folder)))
        row = Row(file, case_folder_name(max([self._highest, *numbers]) + 1), content=content)
        self.rows.append(row)
        return row

    def write(self) -> None:
        """Write the table in place of the one of before.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(astuple(row) for row in self.rows)
        with new_output_files([self._file], overwrite=True, tidy=False) as lent:
            # Names that are not Unicode come back as they were.
            lent[self._file].write_bytes(text.getvalue().encode("utf-8", "surrogateescape"))


def _read(file: Path) -> list[Row]:
    """Read the table."""
    reader = csv.reader(io.StringIO(file.read_bytes().decode("utf-8", "surrogateescape"), newline=""))
    try:
        head, *lines = list(reader) or [[]]
        if tuple(head) != COLUMNS or not all(_is_row(line) for line in lines):
            raise _foreign()
    except csv.Error as error:
        raise _foreign() from error
    return [Row(*line) for line in lines]  # type: ignore[arg-type]


def _is_row(cells: Sequence[str]) -> bool:
    """Tell whether the cells are those of a row: a folder's name could otherwise lead anywhere."""
    if len(cells) != len(COLUMNS):
        return False
    _file, folder, state, *_rest = cells
    return CASE_FOLDER.fullmatch(folder) is not None and state in get_args(State)


def _foreign() -> OutputError:
    return OutputError(
        f"The folder for the results holds a {TABLE_FILE}, which must be as CovidCT wrote it, but it was changed or is "
        "of another program. Choose another folder, or remove that file."
    )
