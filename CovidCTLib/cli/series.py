"""``covidct series``: what lies in a DICOM folder, without any patient data."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from CovidCTLib.cli.arguments import add_command
from CovidCTLib.cli.progress import say, write_json_line

if TYPE_CHECKING:
    from rich.table import Table

    from CovidCTLib.cli.arguments import Commands
    from CovidCTLib.reading import SeriesSummary

_PIPE_WIDTH = 240
"""Columns where the output is no terminal: one line a series, for other programs."""

_MAX_ACQUISITIONS = 4
"""So many acquisitions of a series are named in the table; of more, the first and the last (--json names all)."""

_DESCRIPTION = """\
List the series of a DICOM folder (or its DICOMDIR, or a ZIP archive of it): what each holds, and whether it can be
used or why not, so that 'covidct analyze FOLDER --series NUMBER' can choose one, and '--acquisition NUMBER' one of
several acquisitions in it. No patient's name, number or date is shown."""

_EPILOG = """\
examples:
  covidct series my_ct_folder
  covidct series study.zip
  covidct series my_ct_folder --json      one JSON object a line, for programs"""


def add_parser(commands: Commands) -> None:
    """Add the command to the program."""
    parser = add_command(commands, "series", "list the series of a DICOM folder", _DESCRIPTION, _EPILOG)
    parser.add_argument(
        "folder", metavar="FOLDER", help="DICOM folder (folders in it are searched too), DICOMDIR or ZIP archive"
    )
    parser.add_argument("--json", action="store_true", help="write one JSON object a line")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List the series.

    Raises
    ------
    CovidCTError
        If the folder does not exist or holds no CT.
    """
    from CovidCTLib.reading import list_series

    series = list_series(args.folder)
    if args.json:
        for entry in series:
            write_json_line(asdict(entry))
        return 0
    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    with console.capture() as captured:
        console.print(series_table(series))
    for line in captured.get().splitlines():
        say(line.rstrip())
    return 0


def series_table(series: Sequence[SeriesSummary]) -> Table:
    """Set the series as a table.

    Parameters
    ----------
    series
        The series of a folder.

    Returns
    -------
    rich.table.Table
        One row a series; spacing is along rows, columns and slices. Acquisitions have a column where a series holds
        several: their numbers, with the images of each in brackets.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("number", "modality", "slices"):
        table.add_column(name, justify="right" if name != "modality" else "left", no_wrap=True)
    for name in ("matrix", "spacing in mm", "plane", "kernel"):
        table.add_column(name)
    several = any(entry.acquisitions for entry in series)
    if several:
        table.add_column("acquisitions")
    table.add_column("usable", overflow="fold")
    for entry in series:
        *cells, usable = _row(entry)
        if several:
            cells.append(_acquisitions(entry))
        # As Text: brackets in a kernel's name are no markup.
        table.add_row(*(Text(cell) for cell in (*cells, usable)), style=None if entry.usable else "dim")
    return table


def _acquisitions(entry: SeriesSummary) -> str:
    """Name the acquisitions of a series; the first and last where they are many."""
    named = [f"{one.number} ({one.slices})" for one in entry.acquisitions]
    if len(named) > _MAX_ACQUISITIONS:
        return f"{named[0]} ... {named[-1]}"
    return ", ".join(named) or "-"


def _row(entry: SeriesSummary) -> tuple[str, ...]:
    """Give the cells of one series."""
    spacing = "-"
    if entry.spacing_zyx_mm is not None:
        z, y, x = entry.spacing_zyx_mm
        spacing = f"{x:.2f} x {y:.2f} x {z:.2f}"
    usable = "yes" if entry.original else "yes (computed from other images)"
    if entry.reason is not None:
        usable = f"no: {entry.reason}"
    return (
        str(entry.number),
        entry.modality or "-",
        str(entry.slices),
        f"{entry.columns} x {entry.rows}",
        spacing,
        entry.orientation or "-",
        entry.kernel or "-",
        usable,
    )
