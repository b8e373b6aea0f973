"""``covidct explain``: why the slice classifier calls slices like COVID-19, each explanation put to the test."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from CovidCTLib.cli.analyze import CANCELLED
from CovidCTLib.cli.arguments import (
    NEW_FOLDER,
    add_command,
    add_ct_argument,
    add_display_arguments,
    add_engine_arguments,
    add_output_argument,
    add_pdf_argument,
    add_reading_arguments,
    check_pdf,
    models_from,
    options_from,
    reading_options,
    require_ct,
)
from CovidCTLib.cli.interruption import Interruption
from CovidCTLib.cli.progress import READING, make_reporter, say
from CovidCTLib.errors import CancelledError

if TYPE_CHECKING:
    from CovidCTLib.cli.arguments import Commands
    from CovidCTLib.explanation import Explanation

_ANALYSIS = (0.0, 0.5)
_EXPLAINING = (0.425, 0.95)
"""Parts of the whole way; the analysis ends at 0.85 of its own."""

_DESCRIPTION = """\
Explain why the slice classifier calls slices of a chest CT like COVID-19. For each slice: the CT, the lung crop that
the network sees, Grad-CAM at 14 x 14, at 28 x 28 and fused, LIME's regions for and against, the opacities of the U-Net,
and a test of each explanation: what it names is replaced by healthy lung, and the classifier is asked again. Where
this changes nothing, the page says that the explanation does not explain the verdict. The results appear in a new
folder:

  explanation.html    pictures, tables and sentences; open it in a browser
  explanation.pdf     the same on pages of A4, with --pdf
  slice_NNNN.png      the pictures of each slice in one
  explanation.json    all numbers, for programs"""

_EPILOG = """\
examples:
  covidct explain my_ct_folder -o why                  the three worst slices
  covidct explain ct.nii.gz -o why --slices 41 52      slices by their number in slices.csv
  covidct explain ct.nii.gz -o why --worst 1 --samples 2000"""


def add_parser(commands: Commands) -> None:
    """Add the command to the program."""
    parser = add_command(commands, "explain", "explain why slices are called like COVID-19", _DESCRIPTION, _EPILOG)
    add_ct_argument(parser, "CT")
    add_output_argument(parser, NEW_FOLDER)
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--slices",
        type=int,
        nargs="+",
        metavar="N",
        help="slices by number, from the feet, starting at 0, as in slices.csv (default: the worst)",
    )
    which.add_argument(
        "--worst",
        type=int,
        metavar="K",
        help="how many of the worst slices: among those called like COVID-19, the largest area of opacity first, then "
        "the highest probability (default: 3)",
    )
    parser.add_argument(
        "--results",
        metavar="FOLDER",
        help="finished results of this CT, as 'covidct analyze' writes them; lungs and opacities are taken from there, "
        "and only the slice classifier runs (default: the CT is analyzed first)",
    )
    parser.add_argument("--samples", type=int, metavar="S", help="LIME's samples a slice (default: 500)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all chance (default: 0)")
    add_reading_arguments(parser)
    add_pdf_argument(parser, "explanation.pdf")
    add_engine_arguments(parser)
    add_display_arguments(parser)
    parser.set_defaults(run=run, cancelled=CANCELLED)


def run(args: argparse.Namespace) -> int:
    """Read, analyze, explain, write, and say what came out.

    Raises
    ------
    CovidCTError
        If the input, an option or the output folder cannot be used.
    CancelledError
        On Ctrl-C or a polite kill.
    """
    from CovidCTLib.results import check_output_folder, read_analysis, read_stored_record

    options = options_from(args)
    check_pdf(args)
    require_ct(args.input)
    check_output_folder(args.output)
    if args.results is not None:
        # A folder without results is refused before the CT is read, which takes longer.
        read_stored_record(args.results)
    models = models_from(args)

    from CovidCTLib.explanation import DEFAULT_SAMPLES, DEFAULT_WORST, explain_slices, write_explanation
    from CovidCTLib.explanation.explain import check_numbers, check_slice_numbers
    from CovidCTLib.geometry import CanonicalGrid
    from CovidCTLib.models.store import ModelStore
    from CovidCTLib.pipeline import analyze
    from CovidCTLib.reading import read_scan

    samples = DEFAULT_SAMPLES if args.samples is None else args.samples
    worst = DEFAULT_WORST if args.worst is None else args.worst
    check_numbers(samples, args.seed, worst)
    models = models if models is not None else ModelStore(device=options.device)
    with make_reporter(args.progress, args.quiet) as reporter:
        reporter.show("reading", READING[0])
        scan = read_scan(args.input, **reading_options(args))
        # Before the networks work for a minute.
        check_slice_numbers(args.slices or (), CanonicalGrid(scan.geometry).geometry.shape_zyx[0])
        try:
            if args.results is not None:
                analysis = read_analysis(args.results, scan)
            else:
                analysis = analyze(
                    scan, options, models=models, progress=reporter.part(_ANALYSIS), cancelled=Interruption.requested
                )
            explanation = explain_slices(
                analysis,
                args.slices,
                worst=worst,
                samples=samples,
                seed=args.seed,
                models=models,
                progress=reporter.part(_EXPLAINING),
                cancelled=Interruption.requested,
            )
            reporter.show("writing", _EXPLAINING[1])
            write_explanation(explanation, args.output, pdf=args.pdf)
            reporter.finish(args.output)
        except (KeyboardInterrupt, CancelledError) as stop:
            raise CancelledError(CANCELLED) from stop
    if not args.quiet and args.progress != "json":
        for line in summary_lines(explanation, Path(args.output), pdf=args.pdf):
            say(line)
    return 0


def summary_lines(explanation: Explanation, output: Path, *, pdf: bool = False) -> list[str]:
    """Say what was found, slice by slice, and where to read more.

    Parameters
    ----------
    explanation
        What came out.
    output
        The folder of the results.
    pdf
        Whether there is a PDF of the page to point to.
    """
    from CovidCTLib.explanation.output import PAGE_FILE
    from CovidCTLib.explanation.sentences import slice_sentence
    from CovidCTLib.report.page import pdf_beside

    page = output / PAGE_FILE
    lines = [
        f"Slice {explained.index} ({explained.reason}): {slice_sentence(explained)}" for explained in explanation.slices
    ]
    return [*lines, f"Page: {page}", *([f"PDF: {pdf_beside(page)}"] if pdf else [])]
