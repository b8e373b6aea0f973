"""``covidct photos``: a folder of pictures of CT slices in, a volume in HU out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from CovidCTLib.cli.arguments import add_command, add_output_argument, finite_number
from CovidCTLib.cli.progress import say
from CovidCTLib.errors import OptionsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from CovidCTLib.cli.arguments import Commands
    from CovidCTLib.photos import PhotoStack, PhotoVolume
    from CovidCTLib.photos.references import References

ENDING = ".nii.gz"

_MOST_NUMBERS = 12
"""Most files that are listed to one note; the record lists all."""

_DESCRIPTION = """\
Make a CT volume of pictures (JPG, PNG, BMP, TIFF, WebP) of axial slices. The files of FOLDER are taken in natural order
(slice2 before slice10), made grey, resized to 512 x 512 with their aspect ratio kept, and turned into HU by two grey
values a slice, air (-1000 HU) and fat (-100 HU): hu = (value - air) * 900 / (fat - air) - 1000. Slices without a pair
of values are left out. Beside OUT.nii.gz appear:

  OUT.photos.png    contact sheet: look at it; the references are marked, with the HU that came out
  OUT.photos.json   each picture: its references, doubts, and why it was left out
  OUT.photos.csv    the same as a table

Files are called by their number in natural order, as their names may hold patients' names."""

_EPILOG = """\
examples:
  covidct photos my_pictures -o ct.nii.gz --auto
  covidct photos my_pictures -o ct.nii.gz --air 12 --fat 201 --spacing 0.7 0.7 5
  covidct photos my_pictures -o grey.nii.gz --uncalibrated      (paint air and fat on it, for example in 3D Slicer)
  covidct photos my_pictures -o ct.nii.gz --references painted.nii.gz
  covidct analyze ct.nii.gz -o results"""


def add_parser(commands: Commands) -> None:
    """Add the command to the program."""
    parser = add_command(commands, "photos", "make a CT volume of pictures of slices", _DESCRIPTION, _EPILOG)
    parser.add_argument("folder", metavar="FOLDER", help="folder of pictures; folders in it are not searched")
    add_output_argument(parser, f"volume to write, ending in {ENDING}")
    group = parser.add_argument_group("references (exactly one way)")
    group.add_argument(
        "--air",
        type=finite_number,
        metavar="N",
        help="grey value of air in all slices, on the pictures' scale (0 to 255; 0 to 65535 if all have 16 bits)",
    )
    group.add_argument("--fat", type=finite_number, metavar="N", help="grey value of fat in all slices")
    group.add_argument(
        "--references", metavar="MASK", help="mask painted on the volume of --uncalibrated: air and fat on each slice"
    )
    group.add_argument("--auto", action="store_true", help="find the references; doubtful ones are said")
    group.add_argument("--uncalibrated", action="store_true", help="write the grey slices as they are, to paint on")
    group.add_argument("--air-label", type=int, metavar="N", help="label of air in the mask (default: 1)")
    group.add_argument("--fat-label", type=int, metavar="N", help="label of fat in the mask (default: 2)")
    group = parser.add_argument_group("what the pictures show")
    group.add_argument(
        "--spacing",
        type=finite_number,
        nargs=3,
        metavar=("X", "Y", "Z"),
        help="distance of pixels of the 512 x 512 slices along x and y, and of slices, in mm; without it no volumes "
        "are measured",
    )
    group.add_argument(
        "--first",
        choices=("head", "feet"),
        default="head",
        help="end that the first picture is nearer to (default: head)",
    )
    group.add_argument(
        "--mirrored", action="store_true", help="the patient's left is on the left of the pictures (seen from the head)"
    )
    group = parser.add_argument_group("output")
    group.add_argument("--names", action="store_true", help="put the files' names into the table and the messages")
    group.add_argument("--overwrite", action="store_true", help="replace files of an earlier run")
    group.add_argument("--quiet", action="store_true", help="show only warnings and errors")
    parser.set_defaults(run=run, cancelled="Cancelled; nothing was written.")


def run(args: argparse.Namespace) -> int:
    """Read the pictures, find the references, write the volume, and say what became of each picture.

    Raises
    ------
    CovidCTError
        If the pictures, the references, an option or the output cannot be used.
    """
    _check_arguments(args)
    from CovidCTLib.photos import calibrate, read_stack
    from CovidCTLib.writing.files import check_output_files

    files = _files(Path(args.output), args.uncalibrated)
    check_output_files(files, overwrite=args.overwrite)
    stack = read_stack(args.folder, first=args.first, mirrored=args.mirrored)
    _tell_skipped(stack, args)
    if args.uncalibrated:
        _write_grey(stack, files[0], args)
        return 0
    references, mask = _references(stack, args)
    volume = calibrate(stack, references, tuple(args.spacing) if args.spacing else None)
    _write(stack, volume, mask, files, args)
    _tell_references(volume, args)
    for notice in volume.notices:
        say(f"covidct: warning: {notice.text}", sys.stderr)
    if not args.quiet:
        say(f"Volume:        {files[-1]} ({len(volume.hu)} slices)")
        say(f"Contact sheet: {files[0]}")
    return 0


def _check_arguments(args: argparse.Namespace) -> None:
    """Refuse what contradicts itself before anything is read."""
    numbers = args.air is not None or args.fat is not None
    ways = sum((numbers, args.references is not None, args.auto, args.uncalibrated))
    if ways != 1:
        raise OptionsError(
            "Exactly one way to the references was expected (--air with --fat, --references, --auto, or "
            f"--uncalibrated), but {'none' if ways == 0 else str(ways)} were given. Choose one."
        )
    if numbers and (args.air is None or args.fat is None):
        missing = "--fat" if args.fat is None else "--air"
        raise OptionsError(f"--air and --fat belong together, but {missing} is missing. Give both.")
    if args.references is None and (args.air_label is not None or args.fat_label is not None):
        raise OptionsError("--air-label and --fat-label belong to --references, but there is no mask. Leave them out.")
    if not args.output.lower().endswith(ENDING) or Path(args.output).name.lower() == ENDING:
        raise OptionsError(f"The output must be a file that ends in {ENDING}. Correct -o.")


def _files(output: Path, uncalibrated: bool) -> list[Path]:
    """The files that are written, the volume last."""
    if uncalibrated:
        return [output]
    stem = output.name[: -len(ENDING)]
    return [*(output.with_name(f"{stem}.photos.{kind}") for kind in ("png", "json", "csv")), output]


def _references(stack: PhotoStack, args: argparse.Namespace) -> tuple[Sequence[References | str], NDArray[Any] | None]:
    """Get the references in the way that the user chose; the mask, if there is one."""
    from CovidCTLib.photos.references import AIR_LABEL, FAT_LABEL, references_from_mask, references_from_numbers
    from CovidCTLib.photos.volume import find_stack_references

    if args.references is not None:
        from CovidCTLib.reading.label_file import read_labels

        args.air_label = AIR_LABEL if args.air_label is None else args.air_label
        args.fat_label = FAT_LABEL if args.fat_label is None else args.fat_label
        mask = read_labels(Path(args.references))
        return references_from_mask(stack.grey, mask, args.air_label, args.fat_label), mask
    if args.auto:
        return find_stack_references(stack), None
    scale = stack.levels
    pair = references_from_numbers(args.air / scale, args.fat / scale)
    return [pair] * len(stack.sources), None


def _write(
    stack: PhotoStack, volume: PhotoVolume, mask: NDArray[Any] | None, files: list[Path], args: argparse.Namespace
) -> None:
    """Write sheet, record, table and volume, all or none."""
    from CovidCTLib.photos.contact_sheet import write_contact_sheet
    from CovidCTLib.photos.record import photo_record, write_record, write_table
    from CovidCTLib.reading.photo_origin import PhotoOrigin
    from CovidCTLib.results.nifti_file import write_nifti
    from CovidCTLib.writing.files import new_output_files

    origin = PhotoOrigin(volume.spacing_known, len(volume.hu), volume.doubtful)
    record = photo_record(stack, volume, names=args.names)
    with new_output_files(files, overwrite=args.overwrite) as lent:
        sheet, json_file, table, nifti = (lent[file] for file in files)
        write_contact_sheet(sheet, stack, volume, mask, (args.air_label or 0, args.fat_label or 0))
        write_record(json_file, record)
        write_table(table, record)
        write_nifti(nifti, volume.hu, volume.geometry, origin.description)


def _write_grey(stack: PhotoStack, file: Path, args: argparse.Namespace) -> None:
    """Write the grey slices for painting."""
    import numpy as np

    from CovidCTLib.photos.volume import stack_geometry
    from CovidCTLib.results.nifti_file import write_nifti
    from CovidCTLib.writing.files import new_output_files

    geometry = stack_geometry(len(stack.sources), tuple(args.spacing) if args.spacing else None)
    with new_output_files([file], overwrite=args.overwrite) as lent:
        write_nifti(lent[file], np.rint(stack.grey).astype(np.uint8), geometry, "CovidCT pictures, grey values, no HU")
    if not args.quiet:
        say(f"Grey slices:   {file} ({len(stack.sources)} slices; paint air with label 1 and fat with label 2)")


def _called(number: int, name: str, args: argparse.Namespace) -> str:
    """What a picture is called in messages."""
    return f"file {number} ({name!a})" if args.names else f"file {number}"


def _tell_skipped(stack: PhotoStack, args: argparse.Namespace) -> None:
    for entry in stack.skipped:
        say(f"covidct: warning: {_called(entry.number, entry.name, args)} was skipped: {entry.reason}", sys.stderr)
    if args.quiet:
        return
    noted: dict[str, list[int]] = {}
    for source in reversed(stack.sources):
        for note in source.notes:
            noted.setdefault(note, []).append(source.number)
    for note, numbers in noted.items():
        which = ", ".join(str(number) for number in sorted(numbers)[:_MOST_NUMBERS])
        say(f"Note: {note}: file {which}{', ...' if len(numbers) > _MOST_NUMBERS else ''} ({len(numbers)} in all)")


def _tell_references(volume: PhotoVolume, args: argparse.Namespace) -> None:
    """Say the values of each slice, those in doubt and those left out as warnings; alike ones in one line."""
    pairs = {(round(r.references.air, 1), round(r.references.fat, 1)) for r in volume.records if r.references}
    if len(pairs) == 1 and not args.quiet:
        air, fat = next(iter(pairs))
        say(f"References:    air {air:g}, fat {fat:g} in all slices")
    for record in reversed(volume.records):
        called = _called(record.source.number, record.source.name, args)
        references = record.references
        if references is None:
            say(f"covidct: warning: {called} was left out: {record.reason}", sys.stderr)
            continue
        values = f"air {references.air:.1f}, fat {references.fat:.1f}"
        if references.doubts:
            say(f"covidct: warning: {called}: {values}: doubtful: {'; '.join(references.doubts)}", sys.stderr)
        elif len(pairs) > 1 and not args.quiet:
            say(f"{called.capitalize()}: {values}")
