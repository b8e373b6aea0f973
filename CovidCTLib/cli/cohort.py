"""``covidct cohort``: thousands of scans in, one row a scan out, on this computer or on a Spark cluster."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from CovidCTLib.cli.arguments import (
    add_command,
    add_display_arguments,
    add_engine_arguments,
    add_grid_arguments,
    add_output_argument,
    add_pdf_argument,
    check_pdf,
    finite_number,
    grid_options,
    options_from,
)
from CovidCTLib.cli.measure import add_segmentation_arguments, mapping_from
from CovidCTLib.cli.progress import say, write_json_line
from CovidCTLib.errors import OptionsError

if TYPE_CHECKING:
    from CovidCTLib.cli.arguments import Commands
    from CovidCTLib.cohort.run import CohortOutcome, CohortProgress
    from CovidCTLib.cohort.settings import CohortSettings

CANCELLED = "Cancelled; what was finished is kept. Run the same command again to continue."
"""What is said after Ctrl-C or a polite kill."""

SUMMARY, CLASSIFIER = "summary", "classifier"
"""Words that ask for a part of the work, in the place of SOURCE."""

_TELL_EVERY_S = 2.0
"""Seconds between two lines that say how far the run is."""

_REASONS_SHOWN = 10

_DESCRIPTION = """\
Analyze thousands of chest CTs: one row a scan, on this computer or on a Spark cluster, with the same rows from both.
SOURCE is a folder tree (volume files, ZIP archives, folders of DICOM files), a URL of one such as s3://bucket/folder,
or a manifest: a CSV or Parquet file with the columns path and, if wanted, id, class, patient, date.

A run may be stopped at any moment, even by pulling the plug: the same command continues it, and finished scans are not
done again. A scan that fails, hangs or takes too much memory becomes a row with the reason. OUT holds:

  rows/, scans/ID/   the table, and one folder a scan, written while the run goes on
  cohort.html        classes, distributions, outliers, failures by reason; open it in a browser
  cohort.pdf         the same on pages of A4, with --pdf
  cohort.csv, cohort.parquet   the table for a spreadsheet, R or Python

Scans are named by their ids: the manifest's, or names that tell nothing of the path. Patients become pseudonyms."""

_EPILOG = """\
examples:
  covidct cohort my_scans -o out --measures fast          vessel ratio of each representative slice, no networks
  covidct cohort scans.csv -o out --processes 4           the whole analysis
  covidct cohort scans.csv -o out --engine spark --master spark://host:7077
  covidct cohort summary out                              make the summary again, also while a run goes on
  covidct cohort classifier out                           train a classifier on the representative slices

docs/cohort.md plans large runs, and shows Spark step by step."""


def add_parser(commands: Commands) -> None:
    """Add the command to the program."""
    parser = add_command(commands, "cohort", "analyze thousands of CTs, here or on Spark", _DESCRIPTION, _EPILOG)
    parser.add_argument("source", metavar="SOURCE", help="folder, URL or manifest; or: summary OUT, classifier OUT")
    parser.add_argument("folder", metavar="OUT", nargs="?", help="output folder of a run, after summary or classifier")
    add_output_argument(parser, "folder for the results: new, empty, or of a run to be continued", required=False)
    parser.add_argument(
        "--measures",
        choices=("all", "fast"),
        default="all",
        help="all: the whole analysis; fast: the population study's, which needs no network: lungs by contours, "
        "representative slice, vessel ratio (default: all)",
    )
    parser.add_argument(
        "--segmentations",
        type=Path,
        metavar="FOLDER",
        help="measure a segmentation of each scan in place of what the networks find: FOLDER holds a file or folder of "
        "the scan's name, as 'covidct measure' takes it",
    )
    add_segmentation_arguments(parser)
    parser.add_argument("--retry-failed", action="store_true", help="measure scans that failed before once more")
    parser.add_argument("--no-images", action="store_true", help="keep no segmentation, labelmap and localization")
    parser.add_argument("--no-report", action="store_true", help="make no report.html for each scan")
    parser.add_argument("--no-summary", action="store_true", help="do not make the summary at the end")
    add_pdf_argument(parser, "cohort.pdf")
    _add_source_arguments(parser)
    _add_cluster_arguments(parser)
    add_grid_arguments(
        parser.add_argument_group("where the headers are wrong about the grid (of all scans of the source)")
    )
    add_engine_arguments(parser)
    add_display_arguments(parser)
    parser.set_defaults(run=run, cancelled=CANCELLED)


def _add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which scans of the source count."""
    group = parser.add_argument_group("which scans")
    group.add_argument(
        "--include", metavar="PATTERN", help="of a folder only paths like this, such as '*_ct.nii.gz' (default: all)"
    )
    group.add_argument(
        "--class",
        dest="classes",
        action="append",
        default=[],
        metavar="NAME",
        help="only scans of this class; may be given again (default: all)",
    )
    group.add_argument(
        "--class-from-folder",
        action="store_true",
        help="the class of a scan is the topmost folder inside SOURCE that it lies in (not where folders are patients)",
    )


def _add_cluster_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where the scans are measured, and what each may take."""
    group = parser.add_argument_group("where it is computed")
    group.add_argument(
        "--engine",
        choices=("local", "spark"),
        default="local",
        help="this computer, or a Spark cluster (default: local)",
    )
    group.add_argument(
        "--processes", type=int, metavar="N", help="scans at a time, local (default: a core each, as memory allows)"
    )
    group.add_argument("--master", metavar="URL", help="Spark's master (default: that of spark-submit)")
    group.add_argument(
        "--spark",
        dest="spark_settings",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of Spark's own, such as spark.cores.max=16; may be given again",
    )
    group.add_argument(
        "--memory-per-process",
        type=finite_number,
        metavar="GB",
        help="most memory of a process; a scan that takes more fails (default: 4, with --measures fast 2)",
    )
    group.add_argument(
        "--timeout", type=finite_number, metavar="S", help="longest time of a scan in seconds (default: 3600)"
    )
    group.add_argument("--analyzer", default="", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Measure a cohort, or make its summary or classifier.

    Returns
    -------
    int
        Exit code 0, also where scans failed: the rows say why.

    Raises
    ------
    CovidCTError
        If source, options, output folder or engine cannot be used, or the disk is full.
    """
    _check_pdf(args)
    if args.source == SUMMARY:
        return _summarize(_folder_of(args), args.pdf)
    if args.source == CLASSIFIER:
        return _classify(_folder_of(args))
    if args.folder is not None or args.output is None:
        raise OptionsError("A run needs one SOURCE and an output folder. Give 'covidct cohort SOURCE -o OUT'.")
    from CovidCTLib.cohort.output_folder import check_run
    from CovidCTLib.cohort.run import EngineChoice, run_cohort
    from CovidCTLib.cohort.settings import run_record
    from CovidCTLib.cohort.sources import find_scans

    settings = _settings_from(args)
    engine = EngineChoice(args.engine, args.processes, args.master, _spark_settings(args.spark_settings))
    _check_device(args)
    check_run(args.output, run_record(settings))
    scans = find_scans(args.source, include=args.include, classes=args.classes, class_of_folder=args.class_from_folder)
    _check_outside(args.output, args.source)
    begun = time.monotonic()
    outcome = run_cohort(
        scans,
        args.output,
        settings,
        engine=engine,
        retry_failed=args.retry_failed,
        progress=_Teller(args.progress, args.quiet),
    )
    if not args.no_summary:
        from CovidCTLib.cohort.summary import write_summary

        write_summary(Path(args.output), pdf=args.pdf)
    _tell_outcome(outcome, args, time.monotonic() - begun)
    return 0


def _check_pdf(args: argparse.Namespace) -> None:
    """Refuse a PDF of a summary that is not made, or one that cannot be made on this computer."""
    if args.pdf and (args.no_summary or args.source == CLASSIFIER):
        raise OptionsError(
            "--pdf puts the summary on paper, but no summary is made. Leave --pdf out, or give 'covidct cohort summary "
            "OUT --pdf'."
        )
    check_pdf(args)


def _settings_from(args: argparse.Namespace) -> CohortSettings:
    """Make the settings of the arguments."""
    from CovidCTLib.cohort.settings import TIMEOUT_S, CohortSettings

    return CohortSettings(
        measures=args.measures,
        options=options_from(args),
        model_folders=tuple(folder.absolute() for folder in args.models),
        images=not args.no_images,
        report=not args.no_report,
        timeout_s=TIMEOUT_S if args.timeout is None else args.timeout,
        memory_gb=args.memory_per_process,
        analyzer=args.analyzer,
        segmentations=None if args.segmentations is None else args.segmentations.absolute(),
        labels=tuple((mapping_from(args) or {}).items()),
        **grid_options(args),
    )


def _check_device(args: argparse.Namespace) -> None:
    """Refuse a device that is not there before a folder is begun; that of Spark's workers is not known here."""
    if args.engine == "local" and args.device not in ("auto", "cpu"):
        from CovidCTLib.models.device import choose_device

        choose_device(args.device)


def _check_outside(out: str, source: str) -> None:
    """Refuse an output inside the source, whose results would be taken for scans when the run is continued."""
    from CovidCTLib.cohort.manifest import is_manifest
    from CovidCTLib.cohort.storage import is_remote

    if not is_remote(source) and not is_manifest(source) and Path(out).resolve().is_relative_to(Path(source).resolve()):
        raise OptionsError(
            "The output folder must lie outside the source, as its files would be taken for scans, but it lies inside. "
            "Choose another folder with -o."
        )


def _spark_settings(given: list[str]) -> dict[str, str]:
    """Split ``name=value``."""
    settings = {}
    for entry in given:
        name, mark, value = entry.partition("=")
        if not mark or not name.startswith("spark."):
            raise OptionsError(f"A setting of Spark has the form spark.name=value, not {entry!r}. Correct --spark.")
        settings[name] = value
    return settings


def _folder_of(args: argparse.Namespace) -> Path:
    """The output folder that a part of the work is asked of."""
    given = args.folder or args.output
    if given is None:
        raise OptionsError(
            f"The output folder of a run was expected after {args.source!r}. Give 'covidct cohort {args.source} OUT'; "
            f"a source of that name is './{args.source}'."
        )
    return Path(given)


def _summarize(folder: Path, pdf: bool) -> int:
    """Make the summary."""
    from CovidCTLib.cohort.summary import write_summary

    write_summary(folder, pdf=pdf)
    paper = " or cohort.pdf" if pdf else " in a browser"
    say(f"The summary is in {folder}; open cohort.html{paper}.")
    return 0


def _classify(folder: Path) -> int:
    """Train the classifier."""
    from CovidCTLib.cohort.representative_classifier import train_representative_classifier

    result = train_representative_classifier(folder)
    for name, verdict in (("classifier", result.classifier), ("threshold on the ratio", result.threshold)):
        accuracy = verdict.accuracy
        interval = f"{accuracy.value:.3f} (95 % interval {accuracy.low:.3f} to {accuracy.high:.3f})"
        say(f"Accuracy of the {name} on {result.held_out_scans} held-out scans: {interval}")
    say(f"Everything is in {result.files[0].parent}.")
    return 0


class _Teller:
    """Says now and then how far the run is."""

    def __init__(self, kind: str | None, quiet: bool) -> None:
        self._json = kind == "json"
        self._lines = not quiet and kind not in ("json", "none")
        self._next = 0.0

    def __call__(self, progress: CohortProgress) -> None:
        """Say it, if it was not said a moment ago."""
        now = time.monotonic()
        if now < self._next and progress.done < progress.scans:
            return
        self._next = now + _TELL_EVERY_S
        if self._json:
            write_json_line({"scans": progress.scans, "done": progress.done, "failed": progress.failed})
        elif self._lines:
            failed = f", {progress.failed} failed" if progress.failed else ""
            say(f"covidct: {progress.done} of {progress.scans} scans done{failed}", sys.stderr)


def _tell_outcome(outcome: CohortOutcome, args: argparse.Namespace, seconds: float) -> None:
    """Say what came of the run, with the failures by reason."""
    for status, reason, count in outcome.failures[:_REASONS_SHOWN]:
        say(f"covidct: warning: {count} {'scan' if count == 1 else 'scans'} {status}: {reason}", sys.stderr)
    more = len(outcome.failures) - _REASONS_SHOWN
    if more > 0:
        say(f"covidct: warning: {more} more reasons are in the table.", sys.stderr)
    if args.progress == "json":
        write_json_line({"done": True, "out": str(args.output)})
    elif not args.quiet:
        kept = f", {outcome.kept} were finished before" if outcome.kept else ""
        went = f"{outcome.measured} of {outcome.scans} scans went through in {seconds:.0f} s{kept}."
        say(f"{went} All is in {args.output}.")
