"""What training and judging ask of their folder of cases on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from CovidCTLib.errors import OptionsError

if TYPE_CHECKING:
    from CovidCTLib.labelled_data.training_case import TrainingFolder


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder of cases, and what must be known of its volumes, to a command's parser."""
    parser.add_argument("data", type=Path, metavar="DATA", help="folder of cases with masks or labelled slices")
    parser.add_argument(
        "--same-patient",
        action="append",
        default=[],
        metavar="A=B",
        help="volumes A and B are scans of one patient; each is the NAME of a NAME_ct.nii.gz or DICOM folder, or one "
        "of them is a patient of single slices (may be given again)",
    )
    parser.add_argument(
        "--reversed-table",
        action="append",
        default=[],
        metavar="NAME",
        help="the slice table of volume NAME was written from the wrong end (may be given again)",
    )
    parser.add_argument(
        "--no-effusion",
        action="append",
        default=[],
        metavar="NAME",
        help="volume NAME shows no pleural effusion, as looking at it shows (may be given again); it teaches what none "
        "looks like, and false effusion is judged on it",
    )


def read_folder(arguments: argparse.Namespace) -> TrainingFolder:
    """Find the cases that the arguments name.

    Raises
    ------
    OptionsError
        If a pair of scans is not written as ``A=B``.
    TrainingDataError
        As `CovidCTLib.labelled_data.layout.find_cases`.
    """
    from CovidCTLib.labelled_data.layout import find_cases

    pairs = same_patient_pairs(arguments.same_patient)
    return find_cases(arguments.data, pairs, arguments.reversed_table, arguments.no_effusion)


def same_patient_pairs(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Read pairs of names written as ``A=B``.

    Raises
    ------
    OptionsError
        If one is not written so.
    """
    pairs = []
    for text in texts:
        first, separator, second = text.partition("=")
        if not (separator and first and second):
            raise OptionsError(f"--same-patient takes two names as A=B, not {text!r}. Correct it.")
        pairs.append((first, second))
    return pairs
