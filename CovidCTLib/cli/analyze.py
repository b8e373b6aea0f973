"""``covidct analyze``: one CT in, a folder of results out."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from CovidCTLib.cli.arguments import (
    NEW_FOLDER,
    add_command,
    add_ct_argument,
    add_display_arguments,
    add_engine_arguments,
    add_limit_arguments,
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
from CovidCTLib.cli.notice_hints import hint_of
from CovidCTLib.cli.progress import READING, WHOLE, WRITING, SilentReporter, make_reporter, say
from CovidCTLib.cli.summary import summary_lines
from CovidCTLib.errors import CancelledError, OptionsError

CANCELLED = "Cancelled; nothing was written."
"""What is said after Ctrl-C or a polite kill."""

if TYPE_CHECKING:
    from collections.abc import Callable

    from CovidCTLib.analysis import Analysis, CancelCheck, ProgressCallback
    from CovidCTLib.cli.arguments import Commands
    from CovidCTLib.dicom_results.segmentation import SegmentKind
    from CovidCTLib.models.store import ModelStore
    from CovidCTLib.options import Options
    from CovidCTLib.scan import Scan

_DESCRIPTION = """\
Analyze one chest CT. INPUT is a DICOM folder, its DICOMDIR or a ZIP archive of it, or one NIfTI (.nii, .nii.gz), NRRD
(.nrrd) or MetaImage (.mha) file. The input is only read. The results appear in a new folder, all at once when they are
complete:

  report.html             pictures, numbers, how they were made; open it in a browser or print it
  report.pdf              the same on pages of A4, with --pdf
  segmentation.seg.nrrd   lungs and opacities for 3D Slicer
  labelmap.nii.gz         1 right lung, 2 left lung, 3 ground-glass opacity, 4 consolidation, 5 pleural effusion
  localization.nii.gz     where the slice classifier looked, 0 to 1
  measures.csv            volumes, percentages and scores, each with its definition
  slices.csv              the same for each slice
  analysis.json           everything above but the images, for programs
  dicom/                  SEG, SR, report and pictures for the archive, with --dicom

No patient's name, number or birth date is written anywhere, unless --with-identifiers or --dicom asks for it."""

_EPILOG = """\
examples:
  covidct analyze my_ct_folder -o results
  covidct analyze ct.nii.gz -o results --device cpu --threads 4
  covidct analyze my_ct_folder -o results --series 2      (numbers as 'covidct series my_ct_folder' lists them)
  covidct analyze ct.nii.gz -o results --models my_models (your own networks; see docs/models.md)"""


def add_parser(commands: Commands) -> None:
    """Add the command to the program."""
    parser = add_command(commands, "analyze", "analyze one chest CT", _DESCRIPTION, _EPILOG)
    add_ct_argument(parser)
    add_reading_arguments(parser)
    add_result_arguments(parser)
    add_engine_arguments(parser)
    add_limit_arguments(parser)
    add_display_arguments(parser)
    parser.set_defaults(run=run, cancelled=CANCELLED)


def add_result_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where the results go, and what is written beside them."""
    add_output_argument(parser, NEW_FOLDER)
    parser.add_argument("--study-date", action="store_true", help="put the date of the study into the results")
    parser.add_argument(
        "--with-identifiers",
        action="store_true",
        help="put the patient's name, number and birth date and the study's date and description into report.html and "
        "analysis.json, which then hold patient data and say so",
    )
    parser.add_argument("--no-report", action="store_true", help="do not make report.html")
    parser.add_argument(
        "--dicom",
        action="store_true",
        help="also write the results as DICOM objects of the CT's study, into OUT/dicom: SEG, SR, report, pictures, "
        "localization; they hold the patient's data as the CT does (needs: pip install 'covidct[dicom]')",
    )
    parser.add_argument(
        "--dicom-labelmap",
        action="store_true",
        help="as --dicom, with label maps (DICOM 2024c) in place of a binary segmentation, which every reader knows",
    )
    add_pdf_argument(parser, "report.pdf")


def dicom_kind(args: argparse.Namespace) -> SegmentKind | None:
    """Kind of the DICOM segmentation that is asked for; None where no DICOM results are."""
    if args.dicom_labelmap:
        return "labelmap"
    return "binary" if args.dicom else None


def read_input(args: argparse.Namespace) -> Scan:
    """Read the CT, with all that the results are to hold of its header.

    Raises
    ------
    CovidCTError
        If it cannot be read.
    """
    from CovidCTLib.reading import read_scan

    return read_scan(
        args.input,
        with_study_date=args.study_date,
        identified=args.with_identifiers,
        with_source=dicom_kind(args) is not None,
        **reading_options(args),
    )


def check_results_asked(args: argparse.Namespace) -> None:
    """Find out before the long work whether all that is asked for can be written.

    Raises
    ------
    CovidCTError
        If two options contradict each other, a package is missing, or the folder cannot be used.
    """
    from CovidCTLib.results import check_output_folder

    if args.pdf and args.no_report:
        raise OptionsError("--pdf puts the report on paper, but --no-report leaves it out. Give one of the two.")
    check_pdf(args)
    if dicom_kind(args) is not None:
        from CovidCTLib.dicom_results import check_all_possible

        check_all_possible()
    check_output_folder(args.output)


def run(args: argparse.Namespace) -> int:
    """Read, analyze, write, and say what came out.

    Raises
    ------
    CovidCTError
        If the input, an option or the output folder cannot be used.
    """
    options = options_from(args)
    require_ct(args.input)
    check_results_asked(args)
    models = models_from(args)
    with make_reporter(args.progress, args.quiet) as reporter:
        reporter.show("reading", READING[0])
        started = time.perf_counter()
        scan = read_input(args)
        seconds = time.perf_counter() - started
        reporter.show("reading", READING[1])
        analysis = analyze_and_write(
            scan,
            options,
            args.output,
            reporter,
            seconds,
            models=models,
            report=not args.no_report,
            pdf=args.pdf,
            dicom=dicom_kind(args),
        )
    tell_results(analysis, args, report=not args.no_report, pdf=args.pdf)
    return 0


def analyze_and_write(
    scan: Scan,
    options: Options,
    output: str,
    reporter: SilentReporter,
    reading_seconds: float,
    *,
    models: ModelStore | None = None,
    report: bool = True,
    pdf: bool = False,
    with_scan: bool = False,
    dicom: SegmentKind | None = None,
) -> Analysis:
    """Analyze a scan and write its results, showing progress; every command that analyzes goes this way.

    Parameters
    ----------
    scan
        The CT.
    options
        How to analyze it.
    output
        Folder for the results.
    reporter
        Shows the progress.
    reading_seconds
        Time that the reading took, for the record.
    models
        Own networks; None takes those that come with CovidCT.
    report, pdf, with_scan
        Whether ``report.html``, ``report.pdf`` and ``ct.nii.gz`` are written.
    dicom
        Kind of the DICOM segmentation, where DICOM results are written; the scan must have its source.

    Raises
    ------
    CovidCTError
        If the scan cannot be analyzed or the results cannot be written.
    CancelledError
        On Ctrl-C or a polite kill; it says whether the results had been written already.
    """
    from CovidCTLib.pipeline import analyze

    def compute(progress: ProgressCallback, cancelled: CancelCheck) -> Analysis:
        return analyze(scan, options, models=models, progress=progress, cancelled=cancelled)

    return compute_and_write(
        compute, output, reporter, reading_seconds, report=report, pdf=pdf, with_scan=with_scan, dicom=dicom
    )


def compute_and_write(
    compute: Callable[[ProgressCallback, CancelCheck], Analysis],
    output: str,
    reporter: SilentReporter,
    reading_seconds: float,
    *,
    report: bool = True,
    pdf: bool = False,
    with_scan: bool = False,
    dicom: SegmentKind | None = None,
) -> Analysis:
    """Compute an analysis and write its results, as `analyze_and_write` does.

    Parameters
    ----------
    compute
        Takes progress and cancel check, and gives the analysis.
    output, reporter, reading_seconds, report, pdf, with_scan, dicom
        As for `analyze_and_write`.

    Raises
    ------
    CovidCTError, CancelledError
        As `analyze_and_write`.
    """
    from CovidCTLib.results import RECORD_FILE, write_results

    try:
        analysis = compute(reporter.part(WHOLE), Interruption.requested)
        analysis = replace(analysis, seconds={"reading": round(reading_seconds, 3), **analysis.seconds})
        write_results(
            analysis,
            output,
            report=report,
            pdf=pdf,
            scan=with_scan,
            also=None if dicom is None else _dicom_writer(analysis, dicom),
            progress=reporter.part(WRITING),
            cancelled=Interruption.requested,
        )
        reporter.finish(output)
    except (KeyboardInterrupt, CancelledError) as stop:
        # The folder was empty before, so a record in it is this run's, and the record comes with all the rest.
        if (Path(output) / RECORD_FILE).exists():
            raise CancelledError("Cancelled, but the results had already been written completely.") from stop
        raise CancelledError(CANCELLED) from stop
    return analysis


def _dicom_writer(analysis: Analysis, kind: SegmentKind) -> Callable[[Path], None]:
    """Give what writes DICOM results; what that needs is loaded only where they are wanted."""
    from CovidCTLib.dicom_results import dicom_writer

    return dicom_writer(analysis, kind)


def tell_results(analysis: Analysis, args: argparse.Namespace, *, report: bool, pdf: bool = False) -> None:
    """Write warnings to the standard error output, and the summary to the standard output.

    Parameters
    ----------
    analysis
        What came out.
    args
        ``quiet`` and ``progress`` silence the summary; lines of JSON must stay alone on the standard output.
    report, pdf
        Whether there is a report, and a PDF of it, to point to.
    """
    for notice in analysis.notices:
        if notice.severity != "note":
            say(f"covidct: warning: {notice.text}{hint_of(notice)}", sys.stderr)
    if args.quiet or args.progress == "json":
        return
    for line in summary_lines(analysis, Path(args.output), report=report):
        say(line)
    if pdf:
        from CovidCTLib.results import PDF_FILE

        say(f"PDF:           {Path(args.output) / PDF_FILE}")
    if getattr(args, "dicom", False) or getattr(args, "dicom_labelmap", False):
        from CovidCTLib.dicom_results import DICOM_FOLDER

        say(f"DICOM:         {Path(args.output) / DICOM_FOLDER} (with the patient's data, for the CT's study)")
