"""``covidct measure``: one CT and a segmentation in, a folder of results out."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from CovidCTLib.cli.analyze import (
    CANCELLED,
    add_result_arguments,
    check_results_asked,
    compute_and_write,
    dicom_kind,
    read_input,
    tell_results,
)
from CovidCTLib.cli.arguments import (
    add_command,
    add_display_arguments,
    add_engine_arguments,
    add_limit_arguments,
    add_reading_arguments,
    models_from,
    options_from,
    require_ct,
)
from CovidCTLib.cli.progress import READING, make_reporter
from CovidCTLib.errors import InputError, OptionsError

if TYPE_CHECKING:
    from CovidCTLib.analysis import Analysis, CancelCheck, ProgressCallback
    from CovidCTLib.cli.arguments import Commands
    from CovidCTLib.scan import Scan
    from CovidCTLib.segments import Segmentation

_DESCRIPTION = """\
Measure one chest CT with a segmentation that was corrected by hand, or that another program made. INPUT is the CT, as
for 'covidct analyze'. SEGMENTATION is one of

  a segmentation of 3D Slicer (.seg.nrrd)
  a labelmap (NIfTI, NRRD, MetaImage), with --labels or --color-table
  a DICOM SEG, a folder or a ZIP archive with some
  a folder of one mask a structure, as TotalSegmentator writes it
  results of CovidCT: a folder of 'covidct analyze', or a study that holds its SR and SEG

Segments are recognized by their codes, then by their names; others are listed and left out. Lungs that are not
given are found by the networks, opacities that are not given by the network inside the given lungs. The results have
the form of 'covidct analyze', and say what was given."""

_EPILOG = """\
examples:
  covidct measure ct.nii.gz corrected.seg.nrrd -o measured --results results
  covidct measure ct.nii.gz masks -o measured                       (a folder of masks)
  covidct measure ct.nii.gz labels.nii.gz -o measured --labels right_lung=1 left_lung=2 ggo=3
  covidct measure my_study my_study -o measured                     (CT, SEG and SR in one study)

docs/measure.md lists the names and codes that are recognized"""


def add_parser(commands: Commands) -> None:
    """Add the command to the program."""
    parser = add_command(
        commands, "measure", "measure a CT with a corrected or given segmentation", _DESCRIPTION, _EPILOG
    )
    parser.add_argument("input", metavar="INPUT", help="the CT: DICOM folder or ZIP, or NIfTI, NRRD or MetaImage file")
    parser.add_argument("segmentation", metavar="SEGMENTATION", help="the segmentation, see above")
    add_segmentation_arguments(parser)
    parser.add_argument(
        "--area",
        action="append",
        default=[],
        metavar="NAME",
        help="a segment that is a region of interest, measured by itself; may be given again (those whose name begins "
        "with 'area' or 'roi' are anyway)",
    )
    parser.add_argument(
        "--results",
        metavar="FOLDER",
        help="results of this CT: the answers of their slice classifier are taken, and it does not run again",
    )
    add_result_arguments(parser)
    add_reading_arguments(parser)
    add_engine_arguments(parser)
    add_limit_arguments(parser)
    add_display_arguments(parser)
    parser.set_defaults(run=run, cancelled=CANCELLED)


def add_segmentation_arguments(parser: argparse._ActionsContainer) -> None:
    """Add what says which label of a labelmap is what."""
    parser.add_argument(
        "--labels",
        nargs="+",
        default=[],
        metavar="NAME=N",
        help="which label of a labelmap is what, such as right_lung=1 left_lung=2 ggo=3 consolidation=4 "
        "pleural_effusion=5 right_upper_lobe=6 'area A=7'",
    )
    parser.add_argument(
        "--color-table",
        type=Path,
        metavar="FILE",
        help="the same from a colour table of Slicer (.ctbl) or ITK-SNAP, or a CSV with the columns value and name",
    )


def mapping_from(args: argparse.Namespace) -> Mapping[str, int] | None:
    """Read which label is what; None where nothing says so.

    Raises
    ------
    OptionsError
        If both ways are used, or a word is none of a mapping.
    InputError
        If the colour table cannot be read.
    """
    from CovidCTLib.segments.mapping import mapping_from_words, read_colour_table

    if args.labels and args.color_table is not None:
        raise OptionsError("--labels and --color-table both say which label is what. Give one of the two.")
    if args.color_table is not None:
        return read_colour_table(args.color_table)
    return mapping_from_words(args.labels) if args.labels else None


def run(args: argparse.Namespace) -> int:
    """Read, measure, write, and say what came out.

    Raises
    ------
    CovidCTError
        If the CT, the segmentation, an option or the output folder cannot be used.
    """
    options = options_from(args)
    check_results_asked(args)
    mapping = mapping_from(args)
    require_ct(args.input)
    if not Path(args.segmentation).exists():
        raise InputError("A segmentation was expected, but there is no file or folder of that name. Check the path.")
    models = models_from(args)
    with make_reporter(args.progress, args.quiet) as reporter:
        reporter.show("reading", READING[0])
        started = time.perf_counter()
        scan = read_input(args)
        given = _given(args, scan, mapping)
        seconds = time.perf_counter() - started
        reporter.show("reading", READING[1])

        def compute(progress: ProgressCallback, cancelled: CancelCheck) -> Analysis:
            from CovidCTLib.pipeline import measure

            return measure(
                scan,
                given.segmentation,
                options,
                areas=args.area,
                before=given.before,
                models=models,
                progress=progress,
                cancelled=cancelled,
            )

        analysis = compute_and_write(
            compute,
            args.output,
            reporter,
            seconds,
            report=not args.no_report,
            pdf=args.pdf,
            dicom=dicom_kind(args),
        )
    tell_results(analysis, args, report=not args.no_report, pdf=args.pdf)
    return 0


@dataclass(frozen=True)
class _Given:
    """What was given: the segmentation, and the analysis before where there is one."""

    segmentation: Segmentation
    before: Analysis | None


def _given(args: argparse.Namespace, scan: Scan, mapping: Mapping[str, int] | None) -> _Given:
    """Read the segmentation, and earlier results beside it or named by an option."""
    from CovidCTLib.dicom_results import holds_dicom_results
    from CovidCTLib.results import SEGMENTATION_FILE, is_result_folder
    from CovidCTLib.segments import read_segmentation

    path = Path(args.segmentation)
    named = args.results
    if is_result_folder(path):
        return _Given(
            read_segmentation(path / SEGMENTATION_FILE),
            _earlier(named if named is not None else args.segmentation, scan),
        )
    if named is None and holds_dicom_results(path):
        named = args.segmentation
    return _Given(read_segmentation(path, mapping), None if named is None else _earlier(named, scan))


def _earlier(path: str, scan: Scan) -> Analysis | None:
    """Read earlier results of the CT; None where they do not hold what the slice classifier said."""
    from CovidCTLib.dicom_results import read_dicom_results
    from CovidCTLib.dicom_results.reading_back import NO_LOCALIZATION
    from CovidCTLib.results import is_result_folder, read_analysis

    before = read_analysis(path, scan) if is_result_folder(path) else read_dicom_results(path, scan)
    # Without the localization there would be no Corona Score, so the classifier runs again.
    return None if NO_LOCALIZATION in before.notices else before
