"""``covidct followup``: several studies of one patient in, a folder with their course out."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from CovidCTLib.cli.arguments import (
    NEW_FOLDER,
    add_command,
    add_display_arguments,
    add_engine_arguments,
    add_grid_arguments,
    add_output_argument,
    add_pdf_argument,
    check_pdf,
    grid_options,
    models_from,
    options_from,
)
from CovidCTLib.cli.interruption import Interruption
from CovidCTLib.cli.progress import SilentReporter, make_reporter, say
from CovidCTLib.errors import InputError, OptionsError, QualityError

if TYPE_CHECKING:
    from pathlib import Path

    from CovidCTLib.analysis import Analysis
    from CovidCTLib.cli.arguments import Commands
    from CovidCTLib.followup import FollowUp, Study
    from CovidCTLib.models.store import ModelStore
    from CovidCTLib.options import Options
    from CovidCTLib.reading.source import GridWishes
    from CovidCTLib.scan import Scan

STATED_DATE = "-"
"""Stands in --dates for: the date that the study itself states."""

STUDIES_SHARE = 0.6
"""Share of the whole way that reading and analyzing the studies takes, for the progress alone."""

_DESCRIPTION = """\
Compare studies of one patient with the first of them. STUDY is a folder of results of 'covidct analyze', a study that
holds its SR and SEG (--dicom), or a CT (as for 'covidct analyze'), which is analyzed first. The order does not matter:
dates decide. The results appear in a new folder:

  followup.html           table and chart over the days, the change in words, slices side by side, what is new
  followup.pdf            the same on pages of A4, with --pdf
  followup.csv            every value of every study, with its change from the first study
  followup.json           the same for programs
  change_study_N.nii.gz   1 new, 2 resolved, 3 persistent opacity, on the first study's axial grid

Dates come from --dates; or else from the results, if they were made with --study-date, or from DICOM. They are in the
output. Patients' numbers are read from DICOM to warn where they differ, compared as salted hashes, and not kept.
A study that cannot be used is left out, and said; the others are compared."""

_EPILOG = """\
examples:
  covidct followup results_march results_april results_may -o course
  covidct followup march.nii.gz april.nii.gz -o course --dates 2020-03-02 2020-04-01
  covidct followup results_march dicom_april -o course --dates 2020-03-02 -     ('-': the date of the study itself)"""


def add_parser(commands: Commands) -> None:
    """Add the command to the program."""
    parser = add_command(commands, "followup", "compare studies of one patient over time", _DESCRIPTION, _EPILOG)
    parser.add_argument("studies", metavar="STUDY", nargs="+", help="folder of results, or a CT")
    add_output_argument(parser, NEW_FOLDER)
    parser.add_argument(
        "--dates", metavar="D", nargs="+", help="date of each study in the order given, YYYY-MM-DD; '-' for its own"
    )
    parser.add_argument(
        "--no-registration", action="store_true", help="only numbers: do not lay later studies on the first"
    )
    add_grid_arguments(parser.add_argument_group("how CTs are read (folders of results stay as they were read)"))
    add_pdf_argument(parser, "followup.pdf")
    add_engine_arguments(parser)
    add_display_arguments(parser)
    parser.set_defaults(run=run, cancelled="Cancelled; nothing was written.")


def run(args: argparse.Namespace) -> int:
    """Read or analyze the studies, compare them, write, and say what changed.

    Raises
    ------
    CovidCTError
        If fewer than two studies can be used, or an option or the output folder cannot be.
    """
    from CovidCTLib.followup import LeftOut, follow_up
    from CovidCTLib.followup.course import FEWEST_STUDIES
    from CovidCTLib.followup.output import write_follow_up
    from CovidCTLib.results import check_output_folder

    if len(args.studies) < FEWEST_STUDIES:
        raise OptionsError(
            f"A follow-up needs at least {FEWEST_STUDIES} studies of one patient, but one was given. Give more."
        )
    _check_single(args.studies)
    options = options_from(args)
    check_pdf(args)
    dates = _dates(args)
    check_output_folder(args.output)
    models = models_from(args)
    salt = secrets.token_bytes(32)
    studies, left_out = [], []
    with make_reporter(args.progress, args.quiet) as reporter:
        for position, (path, day) in enumerate(zip(args.studies, dates, strict=True)):
            span = (STUDIES_SHARE * position / len(dates), STUDIES_SHARE * (position + 1) / len(dates))
            try:
                study = _study(path, day, salt, grid_options(args), options, models, reporter, span)
            except (InputError, QualityError) as error:
                left_out.append(LeftOut(position + 1, str(error)))
            else:
                studies.append(replace(study, number=position + 1))
        with Interruption.polled():
            result = follow_up(
                studies,
                register=not args.no_registration,
                left_out=left_out,
                today=date.today(),
                progress=reporter.part((STUDIES_SHARE, 0.95)),
                cancelled=Interruption.requested,
            )
        reporter.show("writing", 0.95)
        files = write_follow_up(result, args.output, pdf=args.pdf)
        reporter.finish(args.output)
    _tell(result, args, files)
    return 0


def _dates(args: argparse.Namespace) -> list[date | None]:
    """Read the dates, one a study; None where the study's own is asked for."""
    from CovidCTLib.followup import parse_date

    if args.dates is None:
        return [None] * len(args.studies)
    if len(args.dates) != len(args.studies):
        raise OptionsError(
            f"--dates must give one date for each of the {len(args.studies)} studies, but gives {len(args.dates)}. "
            f"Give '{STATED_DATE}' for a study that states its own."
        )
    dates = []
    for number, text in enumerate(args.dates, start=1):
        try:
            dates.append(None if text == STATED_DATE else parse_date(text))
        except OptionsError as error:
            raise OptionsError(
                f"A date must be a day of the calendar as YYYY-MM-DD, but that of study {number} is not. Correct "
                "--dates."
            ) from error
    return dates


def _check_single(paths: Sequence[str]) -> None:
    """Refuse a study that is given twice, which would seem not to change."""
    numbers: dict[str, int] = {}
    for number, path in enumerate(paths, start=1):
        # Links are followed, so that two names of one folder are found, too.
        earlier = numbers.setdefault(os.path.realpath(path) if "\0" not in path else path, number)
        if earlier != number:
            raise OptionsError(
                f"Every study must be given once, but studies {earlier} and {number} are the same. Leave one of them "
                "out, or correct its path."
            )


def _study(
    path: str,
    day: date | None,
    salt: bytes,
    grid: GridWishes,
    options: Options,
    models: ModelStore | None,
    reporter: SilentReporter,
    span: tuple[float, float],
) -> Study:
    """Read a study, and analyze it where it is a CT."""
    from CovidCTLib.followup import Study, patient_key, stated_date
    from CovidCTLib.results import is_result_folder, read_analysis

    reporter.show("reading", span[0])
    if is_result_folder(path):
        analysis = read_analysis(path)
        study_day = _required(day or stated_date(analysis.scan))
        return Study(analysis, study_day, patient_key(analysis.scan.identifiers, salt))
    from CovidCTLib.dicom_results import holds_dicom_results

    if holds_dicom_results(path):
        return _study_from_dicom(path, day, salt)
    from CovidCTLib.reading import read_scan

    scan = read_scan(path, with_study_date=True, identified=True, **grid)
    patient, scan = patient_key(scan.identifiers, salt), _without_identifiers(scan)
    # Asked for before the analysis, which takes minutes.
    study_day = _required(day or stated_date(scan))
    return Study(_analyzed(scan, options, models, reporter, span), study_day, patient)


def _study_from_dicom(path: str, day: date | None, salt: bytes) -> Study:
    """Take a study whose SR and SEG are among its DICOM files, without a new analysis."""
    from CovidCTLib.dicom_results import patient_number, read_dicom_results
    from CovidCTLib.followup import Study, patient_key, stated_date
    from CovidCTLib.scan import Identifiers

    analysis = read_dicom_results(path, with_study_date=True)
    patient = patient_key(Identifiers(patient_id=patient_number(path)), salt)
    return Study(analysis, _required(day or stated_date(analysis.scan)), patient)


def _required(day: date | None) -> date:
    """Refuse a study without a date."""
    if day is None:
        raise InputError(
            "The date of the study was expected, but neither --dates nor the study states one. Give --dates, or "
            "analyze its DICOM files with --study-date."
        )
    return day


def _without_identifiers(scan: Scan) -> Scan:
    """Forget who was scanned; nobody asked for it to be kept."""
    from CovidCTLib.reading.identifiers import NO_PATIENT_DATA, PATIENT_DATA

    notices = tuple(notice for notice in scan.notices if notice not in (NO_PATIENT_DATA, PATIENT_DATA))
    return replace(scan, identifiers=None, notices=notices)


def _analyzed(
    scan: Scan, options: Options, models: ModelStore | None, reporter: SilentReporter, span: tuple[float, float]
) -> Analysis:
    """Analyze a CT, showing progress within its part of the way."""
    from CovidCTLib.pipeline import analyze

    return analyze(scan, options, models=models, progress=reporter.part(span), cancelled=Interruption.requested)


def _tell(result: FollowUp, args: argparse.Namespace, files: Sequence[Path]) -> None:
    """Write warnings to the standard error output, and the change to the standard output."""
    for notice in result.notices:
        if notice.severity != "note":
            say(f"covidct: warning: {notice.text}", sys.stderr)
    for comparison in result.comparisons:
        if comparison.difference is None and not args.no_registration:
            say(f"covidct: warning: No map of changes of study {comparison.study}: {comparison.reason}", sys.stderr)
    if args.quiet or args.progress == "json":
        return
    for point in result.points[1:]:
        days = "1 day" if point.days == 1 else f"{point.days} days"
        say(f"Study {point.number}, {days} after study {result.points[0].number}:")
        for sentence in result.sentences[point.number]:
            say(f"  {sentence}")
    for title, suffix in (("Report", ".html"), ("PDF", ".pdf")):
        for file in files:
            if file.suffix == suffix:
                say(f"{title + ':':14} {file}")
