"""``covidct report``: the report of finished results, made again, on paper too."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from CovidCTLib.cli.arguments import add_command, add_pdf_argument, add_reading_arguments, check_pdf
from CovidCTLib.cli.progress import say

if TYPE_CHECKING:
    from CovidCTLib.cli.arguments import Commands

_DESCRIPTION = """\
Make report.html anew from a folder that 'covidct analyze' wrote, and with --pdf also report.pdf on pages of A4. The
networks do not run again and no other file changes. Results hold no CT (those of 'covidct demo' do): give it by --ct,
or the pictures show the findings alone."""

_EPILOG = """\
examples:
  covidct report results --ct my_ct_folder
  covidct report covidct-demo --pdf"""


def add_parser(commands: Commands) -> None:
    """Add the command to the program."""
    parser = add_command(commands, "report", "make the report of finished results again", _DESCRIPTION, _EPILOG)
    parser.add_argument("folder", metavar="FOLDER", help="a folder that 'covidct analyze' wrote")
    parser.add_argument(
        "--ct", metavar="INPUT", help="the CT of these results, as it was given to 'covidct analyze' (default: none)"
    )
    add_reading_arguments(parser)
    add_pdf_argument(parser, "report.pdf")
    parser.add_argument("--quiet", action="store_true", help="show only errors")
    parser.set_defaults(run=run, cancelled="Cancelled; the report is as it was.")


def run(args: argparse.Namespace) -> int:
    """Read the results back and write their report.

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
        If the results or the CT cannot be read, do not belong together, or the report cannot be written.
    """
    from CovidCTLib.reading import read_scan
    from CovidCTLib.results import PDF_FILE, REPORT_FILE, read_analysis, read_stored_record
    from CovidCTLib.writing.files import new_output_files

    check_pdf(args)
    # What is no result folder is refused before a CT is read, which takes longer.
    read_stored_record(args.folder)
    scan = None
    if args.ct is not None:
        scan = read_scan(args.ct, series=args.series, acquisition=args.acquisition, assume_axial=args.assume_axial)
    analysis = read_analysis(args.folder, scan)

    from CovidCTLib.report import write_report

    folder = Path(args.folder)
    page, paper = folder / REPORT_FILE, folder / PDF_FILE
    with new_output_files([paper, page] if args.pdf else [page], overwrite=True) as lent:
        write_report(analysis, lent[page], pdf=lent[paper] if args.pdf else None)
    if not args.quiet:
        say(f"Report:        {page}")
        if args.pdf:
            say(f"PDF:           {paper}")
    return 0
