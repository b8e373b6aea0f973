"""What the header of a volume file leaves open about its grid, which ITK fills in silently."""

from __future__ import annotations

import gzip
import math
import re
import struct
from pathlib import Path

from CovidCTLib.errors import InputError, Notice
from CovidCTLib.reading.integrity import read_fields

OTHER_UNITS = frozenset({"m", "meter", "cm", "um", "micron", "microns", "micrometer", "nm", "in", "inch"})
"""Units of length that NRRD headers name; ITK takes all of them for mm."""

SPACING_ABSENT = Notice(
    "spacing-unknown",
    "The file does not say how large its voxels are: volumes, areas, mass and Corona Score are not given; percentages "
    "are. Export the CT with its spacing to get them.",
    "warn",
)

ORIENTATION_ABSENT = Notice(
    "orientation-unknown",
    "The NIfTI file does not say how its axes lie in the patient (qform_code and sform_code are 0); the usual order "
    "was taken, but left and right, front and back, head and feet may be wrong. Export the CT with its orientation.",
    "warn",
)

_NIFTI_BYTES = 348
_NIFTI_CODES, _NIFTI_SPACING = 252, 80
"""Offsets of qform_code and sform_code, and of pixdim[1] (NIfTI-1 header, nifti1.h)."""


def check_header_grid(path: Path, kind: str) -> tuple[Notice, ...]:
    """Find what the header of a volume file does not say about the grid.

    Parameters
    ----------
    path
        A file whose header can be read.
    kind
        Its format, as `format_of` names it.

    Returns
    -------
    tuple of Notice
        `SPACING_ABSENT`, `ORIENTATION_ABSENT`, or neither.

    Raises
    ------
    InputError
        If a NRRD header gives lengths in another unit than mm.
    """
    if kind == "NIfTI":
        return _of_nifti(path)
    if kind == "NRRD":
        fields, _ = read_fields(path, ":", "")
        _check_units(f"{fields.get('space units', '')} {fields.get('units', '')}")
        # A vector that is not finite is refused by ITK; a spacing that is not, is taken for 1.
        known = "(" in fields.get("space directions", "") or _are_lengths(fields.get("spacings", "").split())
        return () if known else (SPACING_ABSENT,)
    fields, _ = read_fields(path, "=", "elementdatafile")
    return (
        () if _are_lengths(fields.get("elementspacing", fields.get("elementsize", "")).split()) else (SPACING_ABSENT,)
    )


def _of_nifti(path: Path) -> tuple[Notice, ...]:
    with gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb") as file:
        header = file.read(_NIFTI_BYTES)
    order = "<" if struct.unpack_from("<i", header)[0] == _NIFTI_BYTES else ">"
    spacing = struct.unpack_from(f"{order}3f", header, _NIFTI_SPACING)
    codes = struct.unpack_from(f"{order}2h", header, _NIFTI_CODES)
    absent = () if all(math.isfinite(length) and length for length in spacing) else (SPACING_ABSENT,)
    return absent if any(code > 0 for code in codes) else (*absent, ORIENTATION_ABSENT)


def _check_units(text: str) -> None:
    named = set(re.findall(r"[a-z]+", text.lower()))
    other = sorted(named & OTHER_UNITS)
    if other:
        raise InputError(
            f"Lengths in mm were expected, but the NRRD header gives them in {other[0]}. Save the CT with lengths in "
            "mm (for example in 3D Slicer) and try again."
        )


def _are_lengths(words: list[str]) -> bool:
    """Tell whether at least three words are numbers of which none is 0 or infinite; other words mark other axes."""
    return sum(map(_is_length, words)) >= 3


def _is_length(word: str) -> bool:
    try:
        number = float(word)
    except ValueError:
        return False
    return math.isfinite(number) and number != 0
