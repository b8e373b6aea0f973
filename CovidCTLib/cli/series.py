"""``covidct series``: what lies in a DICOM folder, without any patient data."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from CovidCTLib.cli.arguments import add_command
from CovidCTLib.cli.progress import say, write_json_line

if TYPE_CHECKING:
    from CovidCTLib.cli.arguments import Commands
    from CovidCTLib.reading import SeriesSummary

_DESCRIPTION = """\
List the series of a DICOM folder, so that 'covidct analyze FOLDER --series NUMBER' can choose one. No patient's name,
number or date is shown."""

_EPILOG = """\
examples:
  covidct series my_ct_folder
  covidct series my_ct_folder --json      one JSON object a line, for programs"""


def add_parser(commands: Commands) -> None:
    """Add the command to the program."""
    parser = add_command(commands, "series", "list the series of a DICOM folder", _DESCRIPTION, _EPILOG)
    parser.add_argument("folder", metavar="FOLDER", help="DICOM folder; folders in it are searched too")
    parser.add_argument("--json", action="store_true", help="write one JSON object a line")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List the series.

    Parameters
    ----------
    args
        As parsed.

    Returns
    -------
    int
        Exit code 0.

    Raises
    ------
    CovidCTError
        If the folder does not exist or holds no CT.
    """
    from CovidCTLib.reading import list_series

    found = list_series(args.folder)
    if args.json:
        for entry in found:
            write_json_line(asdict(entry))
        return 0
    for line in series_lines(found):
        say(line)
    return 0


def series_lines(found: Sequence[SeriesSummary]) -> list[str]:
    """Set the series as a table.

    Parameters
    ----------
    found
        The series of a folder.

    Returns
    -------
    list of str
        A heading and one line a series, in columns as wide as they need to be.
    """
    rows: list[tuple[str, ...]] = [("number", "slices", "matrix", "spacing in mm", "plane", "kernel", "usable")]
    rows += [_row(entry) for entry in found]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(entry: SeriesSummary) -> tuple[str, ...]:
    """The cells of one series; spacing is along rows, columns and slices."""
    spacing = "-"
    if entry.spacing_zyx_mm is not None:
        z, y, x = entry.spacing_zyx_mm
        spacing = f"{x:.2f} x {y:.2f} x {z:.2f}"
    usable = "yes" if entry.original else "yes (computed from other images)"
    if entry.reason is not None:
        usable = f"no: {entry.reason}"
    return (
        str(entry.number),
        str(entry.slices),
        f"{entry.columns} x {entry.rows}",
        spacing,
        entry.orientation or "-",
        entry.kernel or "-",
        usable,
    )
