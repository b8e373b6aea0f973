"""``covidct compare``: two scans in, a folder with their slices beside each other out."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from CovidCTLib.cli.arguments import (
    NEW_FOLDER,
    add_command,
    add_engine_arguments,
    add_grid_arguments,
    add_output_argument,
    add_pdf_argument,
    check_pdf,
    grid_options,
    models_from,
    options_from,
)
from CovidCTLib.cli.progress import say
from CovidCTLib.errors import InputError, OptionsError, QualityError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from CovidCTLib.cli.arguments import Commands
    from CovidCTLib.comparison import ScanSlice
    from CovidCTLib.models.store import ModelStore
    from CovidCTLib.options import Options
    from CovidCTLib.reading.source import GridWishes
    from CovidCTLib.scan import Scan

_DESCRIPTION = """\
Put the representative slices of two scans beside each other: SIFT keypoints, the 50 best matches, and each slice in
five windows (soft tissue, lungs, bone, brain, lung reading). A and B are CTs (as for 'covidct analyze'), or folders of
results that hold the CT. The results appear in a new folder:

  comparison.html                  pictures and counts; open it in a browser
  comparison.pdf                   the same on pages of A4, with --pdf
  matches.png, keypoints.png       the slices with matches, and with all keypoints
  windows_a.png, windows_b.png     each slice in five windows
  comparison.json                  counts, and the places of the best matches

The representative slice is the one with the largest lung area, so the lungs are found first; --slices needs none."""

_EPILOG = """\
examples:
  covidct compare before.nii.gz after.nii.gz -o comparison
  covidct compare dicom_folder other.nrrd -o comparison --slices 40 38    (counted from the feet, from 0)"""


def add_parser(commands: Commands) -> None:
    """Add the command to the program."""
    parser = add_command(commands, "compare", "put slices of two scans beside each other", _DESCRIPTION, _EPILOG)
    parser.add_argument("first", metavar="A", help="a CT, or a folder of results with the CT")
    parser.add_argument("second", metavar="B", help="the same of the other scan")
    add_output_argument(parser, NEW_FOLDER)
    parser.add_argument(
        "--slices",
        type=int,
        nargs=2,
        metavar=("I", "J"),
        help="slices of A and B, counted from the feet from 0 (default: the representative ones)",
    )
    add_grid_arguments(parser.add_argument_group("how CTs are read (folders of results stay as they were read)"))
    add_pdf_argument(parser, "comparison.pdf")
    add_engine_arguments(parser)
    parser.add_argument("--quiet", action="store_true", help="show only warnings and errors")
    parser.set_defaults(run=run, cancelled="Cancelled; nothing was written.")


def run(args: argparse.Namespace) -> int:
    """Read both scans, choose and match their slices, write, and say what matched.

    Raises
    ------
    CovidCTError
        If a scan, an option or the output folder cannot be used.
    """
    from CovidCTLib.comparison import compare_slices
    from CovidCTLib.comparison.output import PAGE_FILE, write_comparison
    from CovidCTLib.report.page import pdf_beside
    from CovidCTLib.results import check_output_folder

    options = options_from(args)
    check_pdf(args)
    check_output_folder(args.output)
    models = models_from(args)
    numbers = args.slices or (None, None)
    # Both are read before the lungs of either are found, which takes a minute.
    scans = []
    for name, path in zip("AB", (args.first, args.second), strict=True):
        with _of_scan(name):
            scans.append(_scan(path, grid_options(args)))
    chosen = []
    for name, scan, number in zip("AB", scans, numbers, strict=True):
        with _of_scan(name):
            chosen.append(_slice(*scan, number, options, models))
    pair = compare_slices(*chosen)
    files = write_comparison(pair, args.output, pdf=args.pdf)
    if not args.quiet:
        matches = pair.matches
        say(f"Slices:        A {pair.first.index}, B {pair.second.index} (counted from the feet, from 0)")
        say(f"Keypoints:     A {len(matches.first)}, B {len(matches.second)}")
        say(f"Matches:       {matches.matched}, the best {len(matches.pairs)} are drawn")
        page = next(file for file in files if file.name == PAGE_FILE)
        say(f"Page:          {page}")
        if args.pdf:
            say(f"PDF:           {pdf_beside(page)}")
    return 0


@contextlib.contextmanager
def _of_scan(name: str) -> Iterator[None]:
    """Say of which scan it is what is wrong."""
    try:
        yield
    except (InputError, OptionsError, QualityError) as error:
        raise type(error)(f"Scan {name}: {error}", notice=error.notice, hint=error.hint) from error


def _slice(
    scan: Scan, lungs: NDArray[np.uint8] | None, number: int | None, options: Options, models: ModelStore | None
) -> ScanSlice:
    """Take the slice of a scan, its lungs found where they are needed and not known."""
    from CovidCTLib.comparison import find_lung_mask, take_slice

    if lungs is None and number is None:
        lungs = find_lung_mask(scan, options, models)
    return take_slice(scan, lungs=lungs, index=number)


def _scan(path: str, grid: GridWishes) -> tuple[Scan, NDArray[np.uint8] | None]:
    """Read a CT, or a folder of results with its CT and lungs."""
    from CovidCTLib.results import has_ct, is_result_folder, read_analysis

    if not is_result_folder(path):
        from CovidCTLib.reading import read_scan

        return read_scan(path, **grid), None
    analysis = read_analysis(path)
    if not has_ct(analysis):
        raise InputError(
            "A CT was expected, but this folder of results holds none (only 'covidct demo' stores it). Give the CT "
            "itself."
        )
    return analysis.scan, analysis.axial.lungs
