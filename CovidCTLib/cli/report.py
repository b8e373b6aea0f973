"""``covidct report``: the report of finished results, made again, on paper too."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from CovidCTLib.cli.arguments import (
    add_command,
    add_output_argument,
    add_pdf_argument,
    add_reading_arguments,
    check_pdf,
    reading_options,
)
from CovidCTLib.cli.progress import say
from CovidCTLib.errors import OptionsError

if TYPE_CHECKING:
    from CovidCTLib.cli.arguments import Commands

_DESCRIPTION = """\
Make report.html anew from a folder that 'covidct analyze' wrote, and with --pdf also report.pdf on pages of A4. The
networks do not run again and no other file changes. Results hold no CT (those of 'covidct demo' do): give it by --ct,
or the pictures show the findings alone.

FOLDER may also be a study fetched from an archive that holds the SR and SEG of 'covidct analyze --dicom': then -o names
a new folder for the report, which is made from them."""

_EPILOG = """\
examples:
  covidct report results --ct my_ct_folder
  covidct report covidct-demo --pdf"""


def add_parser(commands: Commands) -> None:
    """Add the command to the program."""
    parser = add_command(commands, "report", "make the report of finished results again", _DESCRIPTION, _EPILOG)
    parser.add_argument(
        "folder", metavar="FOLDER", help="a folder that 'covidct analyze' wrote, or DICOM files with its SR and SEG"
    )
    add_output_argument(
        parser, "new folder for the report of DICOM results (default: into FOLDER itself)", required=False
    )
    parser.add_argument(
        "--ct", metavar="INPUT", help="the CT of these results, as it was given to 'covidct analyze' (default: none)"
    )
    add_reading_arguments(parser)
    add_pdf_argument(parser, "report.pdf")
    parser.add_argument("--quiet", action="store_true", help="show only errors")
    parser.set_defaults(run=run, cancelled="Cancelled; the report is as it was.")


def run(args: argparse.Namespace) -> int:
    """Read the results back and write their report.

    Raises
    ------
    CovidCTError
        If the results or the CT cannot be read, do not belong together, or the report cannot be written.
    """
    from CovidCTLib.dicom_results import holds_dicom_results
    from CovidCTLib.reading import read_scan
    from CovidCTLib.results import PDF_FILE, REPORT_FILE, is_result_folder, read_analysis, read_stored_record
    from CovidCTLib.writing.files import new_output_files

    check_pdf(args)
    if not is_result_folder(args.folder) and holds_dicom_results(args.folder):
        return _from_dicom(args)
    if args.output is not None:
        raise OptionsError(
            "-o names the folder for the report of DICOM results, but FOLDER holds none of CovidCT's: its report is "
            "made in FOLDER itself. Leave -o out, or give the study that holds SR and SEG."
        )
    # A folder without results is refused before the CT is read, which takes longer.
    read_stored_record(args.folder)
    scan = None
    if args.ct is not None:
        scan = read_scan(args.ct, **reading_options(args))
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


def _from_dicom(args: argparse.Namespace) -> int:
    """Write all results of an analysis that a study holds as SR and SEG, its report among them, into a new folder."""
    from CovidCTLib.dicom_results import read_dicom_results
    from CovidCTLib.reading import read_scan
    from CovidCTLib.results import PDF_FILE, REPORT_FILE, check_output_folder, write_results

    if args.output is None:
        raise OptionsError(
            "The folder holds DICOM results, and nothing is written among DICOM files. Name a new folder for the "
            "report with -o."
        )
    check_output_folder(args.output)
    scan = None
    if args.ct is not None:
        scan = read_scan(args.ct, **reading_options(args))
    analysis = read_dicom_results(args.folder, scan)
    write_results(analysis, args.output, pdf=args.pdf)
    if not args.quiet:
        say(f"Report:        {Path(args.output) / REPORT_FILE}")
        if args.pdf:
            say(f"PDF:           {Path(args.output) / PDF_FILE}")
    return 0
