"""``covidct measure``: the measures of a CT with a segmentation that exists already."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from CovidCTLib.cli.arguments import (
    NEW_FOLDER,
    add_aeration_argument,
    add_command,
    add_output_argument,
    add_reading_arguments,
    finite_number,
    grid_options,
    require_ct,
)
from CovidCTLib.cli.progress import say
from CovidCTLib.errors import InputError
from CovidCTLib.hu import bands_between
from CovidCTLib.options import Options

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from CovidCTLib.cli.arguments import Commands
    from CovidCTLib.labels import Label
    from CovidCTLib.scan import Scan

_DESCRIPTION = """\
Measure a CT with a segmentation that exists already: one that was corrected by hand, that another program made, or that
an earlier analysis left in the archive. No network runs. Volumes, shares, scores and HU of each lung, third and zone go
to OUT/measures.csv; what rests on the localization (Corona Score) is left empty, with the reason.

SEGMENTATION is a DICOM SEG, whose segments are known by their standard codes (lungs, ground-glass opacity,
consolidation, pleural effusion), a folder of DICOM files with the SR and SEG of CovidCT, or the segmentation.seg.nrrd
of an earlier analysis."""

_EPILOG = """\
examples:
  covidct measure my_ct_folder corrected.dcm -o measured
  covidct measure study study -o measured          (a study with its CT and the SEG of an earlier analysis)
  covidct measure ct.nii.gz results/segmentation.seg.nrrd -o measured"""


def add_parser(commands: Commands) -> None:
    """Add the command to the program."""
    parser = add_command(commands, "measure", "measure a CT with a segmentation", _DESCRIPTION, _EPILOG)
    parser.add_argument("ct", metavar="CT", help="the CT, as 'covidct analyze' takes it")
    parser.add_argument("segmentation", metavar="SEGMENTATION", help="DICOM SEG, folder that holds one, or .seg.nrrd")
    add_output_argument(parser, NEW_FOLDER)
    add_reading_arguments(parser)
    limits = parser.add_argument_group("limits")
    limits.add_argument(
        "--high-opacity",
        type=finite_number,
        metavar="HU",
        default=Options().high_opacity_hu,
        help=f"HU from which an opacity counts as high opacity (default: {Options().high_opacity_hu})",
    )
    add_aeration_argument(limits)
    parser.set_defaults(run=run, cancelled="Cancelled; nothing was written.")


def run(args: argparse.Namespace) -> int:
    """Read, measure, and write the table.

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
        If CT or segmentation cannot be read or do not belong together, or the output folder cannot be used.
    """
    from CovidCTLib.measures.segments import measure_segments
    from CovidCTLib.reading import read_scan
    from CovidCTLib.results import MEASURES_FILE, check_output_folder
    from CovidCTLib.results.tables import write_measures
    from CovidCTLib.writing.folder import new_output_folder

    options = Options(high_opacity_hu=args.high_opacity)
    if args.aeration_limits is not None:
        options = replace(options, aeration_bands=bands_between(args.aeration_limits))
    segmentation = Path(args.segmentation)
    if not segmentation.exists():
        raise InputError(
            "A DICOM SEG, a folder that holds one, or a .seg.nrrd of CovidCT was expected as segmentation, but there "
            "is nothing of that name. Correct it."
        )
    require_ct(args.ct)
    check_output_folder(args.output)
    scan = read_scan(args.ct, series=args.series, acquisition=args.acquisition, **grid_options(args))
    measures = measure_segments(scan, _segments(segmentation, scan), options)
    with new_output_folder(args.output) as folder:
        write_measures(folder / MEASURES_FILE, measures, options)
    shown = {(entry.region, entry.name): entry.value for entry in measures}
    for region, words in (("both_lungs", "Both lungs"), ("right_lung", "Right lung"), ("left_lung", "Left lung")):
        volume, share = shown[region, "volume_ml"], shown[region, "opacity_percent"]
        size = "volume not known" if volume is None else f"{volume:.0f} ml"
        say(f"{words + ':':<14} {size}, opacity {'not known' if share is None else f'{share:.1f} %'}")
    say(f"Measures:      {Path(args.output) / MEASURES_FILE}")
    return 0


def _segments(path: Path, scan: Scan) -> Mapping[Label, NDArray[np.bool_]]:
    """Read the segments of our .seg.nrrd, of a DICOM SEG, or of the results of CovidCT in a study."""
    from CovidCTLib.dicom_results import find_dicom_results, read_segments
    from CovidCTLib.labels import LUNG_LABELS, OPACITY_LABELS, PLEURAL_EFFUSION
    from CovidCTLib.results.stored_arrays import read_segmentation_layers

    if path.name.lower().endswith(".nrrd"):
        try:
            lungs, opacities = read_segmentation_layers(path, scan.geometry)
        except InputError as error:
            raise InputError(
                "A .seg.nrrd that CovidCT wrote for this CT was expected, but this one lies on another grid, is "
                "damaged, or was written by another program. Export a corrected segmentation as DICOM SEG."
            ) from error
        layers = ((lungs, LUNG_LABELS), (opacities, OPACITY_LABELS))
        masks = {label: array == value for array, labels in layers for value, label in enumerate(labels, start=1)}
        # The file has a segment of effusion only where some was found; without one nobody may have looked for it.
        return masks if masks[PLEURAL_EFFUSION].any() else {k: v for k, v in masks.items() if k != PLEURAL_EFFUSION}
    if not path.is_dir():
        return read_segments(path, scan.geometry)
    results = find_dicom_results(path)
    if len(results) != 1 or not results[0].segmentations:
        raise InputError(
            f"A folder with the SR and SEG of one analysis of CovidCT was expected, but it holds {len(results)}. Give "
            "the SEG file itself, or fetch the whole study."
        )
    segments: dict[Label, NDArray[np.bool_]] = {}
    for file in results[0].segmentations:
        segments.update(read_segments(file, scan.geometry))
    return segments
