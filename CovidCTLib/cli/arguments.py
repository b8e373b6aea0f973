"""Arguments that several commands share, and the kinds of values that they take."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from CovidCTLib.cli.progress import PROGRESS_KINDS
from CovidCTLib.errors import InputError
from CovidCTLib.hu import bands_between
from CovidCTLib.options import LUNG_ENGINES, Options

if TYPE_CHECKING:
    from CovidCTLib.models.store import ModelStore

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


NEW_FOLDER = "folder for the results; it must be empty or not exist yet"
"""Says what an output folder must be."""


class GridOptions(TypedDict):
    """What stands for a header that is wrong about the grid, as `CovidCTLib.reading.read_scan` takes it."""

    assume_axial: bool
    geometry: Literal["sform", "qform"] | None
    spacing_zyx_mm: tuple[float, float, float] | None


class ReadingOptions(GridOptions):
    """Which slices of a DICOM folder are read, as `CovidCTLib.reading.read_scan` takes it, and their grid."""

    series: str | None
    acquisition: int | None


def finite_number(text: str) -> float:
    """Read a number from an argument.

    Raises
    ------
    argparse.ArgumentTypeError
        If the text is no number, or is NaN or infinite; the program then ends with exit code 2.
    """
    try:
        number = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"a number was expected, not {text!r}") from error
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"a finite number was expected, not {text!r}")
    return number


def add_command(commands: Commands, name: str, summary: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """Add a command with its help, and ``--debug``, which every command has."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_debug_argument(parser)
    return parser


def add_ct_argument(parser: argparse.ArgumentParser, metavar: str = "INPUT") -> None:
    """Add the CT that is read."""
    parser.add_argument(
        "input", metavar=metavar, help="DICOM folder, DICOMDIR or ZIP archive of it; or NIfTI, NRRD or MetaImage file"
    )


def add_output_argument(parser: argparse._ActionsContainer, words: str, *, required: bool = True) -> None:
    """Add ``-o``, which says where a command writes."""
    parser.add_argument("-o", "--output", metavar="OUT", required=required, help=words)


def add_tls_arguments(parser: argparse._ActionsContainer, certificate_help: str) -> None:
    """Add the files of TLS."""
    for name, words in (
        ("--tls-cert", certificate_help),
        ("--tls-key", "key of the certificate"),
        ("--tls-trust", "certificates of those that are trusted"),
    ):
        parser.add_argument(name, type=Path, metavar="PEM", help=words)


def add_debug_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--debug`` to a command."""
    # Without a default of its own, so that ``covidct --debug analyze`` is not undone.
    parser.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="on failure, also show where in the program it happened",
    )


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how the analysis is computed."""
    group = parser.add_argument_group("how it is computed")
    group.add_argument(
        "--lungs",
        choices=LUNG_ENGINES,
        default="network",
        help="how the lungs are found: a trained network, or contours of the air, which need no weights but miss "
        "diseased lung (default: network)",
    )
    group.add_argument(
        "--device",
        metavar="NAME",
        default="auto",
        help="processor: auto takes a graphics card if there is one; cpu always works; cuda or cuda:1 chooses a card "
        "(default: auto)",
    )
    group.add_argument("--threads", type=int, metavar="N", help="processor cores to use (default: all)")
    add_models_argument(
        group,
        "your own networks in place of CovidCT's: a MONAI bundle, a folder of bundles, or the output of covidct train; "
        "may be given again (default: those that come with CovidCT)",
    )


def add_limit_arguments(parser: argparse.ArgumentParser) -> None:
    """Add every limit that decides what is counted."""
    defaults = Options()
    group = parser.add_argument_group("limits")
    for name, metavar, words in (
        (
            "--slice-threshold",
            "P",
            "probability, 0 to 1, from which a slice is called like COVID-19 (default: the classifier's own)",
        ),
        (
            "--case-threshold",
            "F",
            "share of such slices, 0 to 1, above which the case is called like COVID-19 (default: the classifier's)",
        ),
        (
            "--localization-threshold",
            "V",
            "localization, 0 to 1: values below this become 0 before smoothing, and lung at or above it counts as "
            f"localized (default: {defaults.localization_threshold:g})",
        ),
        (
            "--localization-sigma",
            "MM",
            "standard deviation in mm of the Gaussian that smooths the localization; 0 does not smooth (default: "
            f"{defaults.localization_sigma_mm:g})",
        ),
        (
            "--high-opacity",
            "HU",
            f"HU from which an opacity counts as high opacity (default: {defaults.high_opacity_hu})",
        ),
        ("--vessel", "HU", f"HU from which lung counts as vessel (default: {defaults.vessel_hu})"),
    ):
        group.add_argument(name, type=finite_number, metavar=metavar, help=words)
    names = [band.name for band in defaults.aeration_bands]
    ends = " ".join(f"{band.high_hu:g}" for band in defaults.aeration_bands[:-1])
    group.add_argument(
        "--aeration-limits",
        type=finite_number,
        nargs=len(names) - 1,
        metavar="HU",
        help=f"rising HU at which {', '.join(names[:-1])} end and the next band begins; the last one, {names[-1]}, has "
        f"no end (default: {ends})",
    )


def add_models_argument(group: argparse._ActionsContainer, description: str) -> None:
    """Add ``--models``, which may be given several times."""
    group.add_argument("--models", action="append", type=Path, default=[], metavar="FOLDER", help=description)


def add_display_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the terminal shows."""
    group = parser.add_argument_group("what is shown")
    group.add_argument("--quiet", action="store_true", help="show only warnings and errors")
    group.add_argument(
        "--progress",
        choices=PROGRESS_KINDS,
        help="bar for people, json for programs (one JSON object a line), or none (default: bar in a terminal)",
    )


def add_reading_arguments(parser: argparse._ActionsContainer) -> None:
    """Add what says which slices of a DICOM folder are read, and how: series, acquisition, direction of the axes."""
    parser.add_argument(
        "--series",
        metavar="X",
        help="which series of a DICOM folder: its number in 'covidct series', or the end of its UID (default: the "
        "largest axial CT)",
    )
    parser.add_argument(
        "--acquisition",
        type=int,
        metavar="N",
        help="which acquisition of the series, where it holds several: its number in 'covidct series' (default: all "
        "that fit together, else the largest)",
    )
    add_grid_arguments(parser)


def add_grid_arguments(parser: argparse._ActionsContainer) -> None:
    """Add what stands for a header that is wrong about the grid."""
    add_assume_axial_argument(parser)
    parser.add_argument(
        "--geometry",
        choices=("sform", "qform"),
        help="which of the two grids of a NIfTI header is taken where they differ (default: the scanner's sform)",
    )
    parser.add_argument(
        "--spacing",
        nargs=3,
        type=finite_number,
        metavar=("Z", "Y", "X"),
        help="distance of slices, rows and columns in mm, where the header's is wrong or missing",
    )


def add_assume_axial_argument(parser: argparse._ActionsContainer) -> None:
    """Add ``--assume-axial``."""
    parser.add_argument(
        "--assume-axial",
        action="store_true",
        help="take the slices for axial ones where a converter lost or broke their orientation",
    )


def reading_options(args: argparse.Namespace) -> ReadingOptions:
    """Make the arguments of `read_scan` from those of `add_reading_arguments`."""
    return {"series": args.series, "acquisition": args.acquisition, **grid_options(args)}


def grid_options(args: argparse.Namespace) -> GridOptions:
    """Make the arguments of `read_scan` from those of `add_grid_arguments`."""
    spacing = None if args.spacing is None else (args.spacing[0], args.spacing[1], args.spacing[2])
    return {"assume_axial": args.assume_axial, "geometry": args.geometry, "spacing_zyx_mm": spacing}


def add_pdf_argument(parser: argparse._ActionsContainer, file: str) -> None:
    """Add ``--pdf``, which puts the command's page on paper.

    Parameters
    ----------
    parser
        The command.
    file
        Name of the PDF, for the help.
    """
    parser.add_argument(
        "--pdf", action="store_true", help=f"make {file} too, on pages of A4 (needs: pip install 'covidct[pdf]')"
    )


def check_pdf(args: argparse.Namespace) -> None:
    """Find out before the long work whether a PDF that is asked for can be made.

    Raises
    ------
    CovidCTError
        If PlutoPrint is missing.
    """
    if args.pdf:
        from CovidCTLib.report.pdf import check_pdf_possible

        check_pdf_possible()


def models_from(args: argparse.Namespace) -> ModelStore | None:
    """Load own networks from the arguments, so that what is wrong with them shows before any work.

    Returns
    -------
    ModelStore or None
        None where the networks that come with CovidCT are to be used.

    Raises
    ------
    ModelError
        If a folder holds no usable bundle.
    OptionsError
        If the device does not exist.
    """
    if not args.models:
        return None
    from CovidCTLib.models.store import ModelStore

    store = ModelStore(args.models, device=args.device)
    store.load_own()
    return store


def require_ct(path: str) -> None:
    """Refuse a folder of results where a CT is expected; its volumes would be taken for CTs.

    Raises
    ------
    InputError
        If it is one.
    """
    from CovidCTLib.results import is_result_folder

    if is_result_folder(path):
        raise InputError(
            "A CT was expected, but this is a folder of results of CovidCT. Give the CT that was analyzed."
        )


def options_from(args: argparse.Namespace) -> Options:
    """Make the options of an analysis from the arguments.

    Raises
    ------
    OptionsError
        If a value is out of its range.
    """
    given: dict[str, Any] = {
        "slice_threshold": getattr(args, "slice_threshold", None),
        "case_threshold": getattr(args, "case_threshold", None),
        "high_opacity_hu": getattr(args, "high_opacity", None),
        "vessel_hu": getattr(args, "vessel", None),
        "localization_threshold": getattr(args, "localization_threshold", None),
        "localization_sigma_mm": getattr(args, "localization_sigma", None),
    }
    limits_hu = getattr(args, "aeration_limits", None)
    if limits_hu is not None:
        given["aeration_bands"] = bands_between(limits_hu)
    chosen = {name: value for name, value in given.items() if value is not None}
    return Options(lungs=args.lungs, device=args.device, threads=args.threads, **chosen)
