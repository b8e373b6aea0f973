"""The stack of grey slices turned into HU, slice by slice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import InputError, Notice, OptionsError
from CovidCTLib.geometry import Geometry
from CovidCTLib.hu import AIR_HU
from CovidCTLib.photos.automatic import find_references
from CovidCTLib.photos.references import References, to_hu
from CovidCTLib.photos.stack import SIDE_PX, PhotoStack, Source

NOMINAL_WIDTH_MM = 360.0
"""Width that a picture is taken to show where the spacing is not known: the usual field of view of a chest CT."""

NOMINAL_HEIGHT_MM = 300.0
NOMINAL_SLICE_MM = (1.0, 5.0)
"""Height of a chest over which the slices are taken to be spread, and limits of their distance, both inclusive."""

MIN_SLICES = 2
"""Fewer slices make no volume."""

SPACING_LIMITS_MM = (0.05, 20.0)
"""Spacing of a chest CT, both inclusive; what lies beyond was given in another unit."""


@dataclass(frozen=True)
class SliceRecord:
    """What became of one picture.

    Parameters
    ----------
    source
        Where it comes from.
    references
        Its references; None where it has none.
    slice_index
        Its slice in the volume, from 0 at the feet; None where it was left out.
    reason
        Why it was left out.
    """

    source: Source
    references: References | None
    slice_index: int | None
    reason: str | None = None


@dataclass(frozen=True)
class PhotoVolume:
    """A volume made from pictures.

    Parameters
    ----------
    hu
        int16, shape ``geometry.shape_zyx``, HU; -1000 beside the pictures and where letters were.
    geometry
        Canonical axial orientation; with a nominal spacing where it is not known.
    spacing_known
        Whether lengths and volumes mean anything.
    records
        One a picture of the stack, from the feet to the head, those left out included.
    notices
        What a reader must know.
    """

    hu: NDArray[np.int16]
    geometry: Geometry
    spacing_known: bool
    records: tuple[SliceRecord, ...]
    notices: tuple[Notice, ...]

    @property
    def doubtful(self) -> int:
        """Number of slices whose references are doubtful."""
        return sum(r.references is not None and bool(r.references.doubts) for r in self.records)


def find_stack_references(
    stack: PhotoStack, tell: Callable[[float], None] = lambda share: None
) -> list[References | str]:
    """Find the references of a stack automatically; see `CovidCTLib.photos.automatic.find_references`."""
    pictures = []
    for index in range(len(stack.boxes)):
        top, bottom, left, right = stack.boxes[index]
        content = stack.content(index)
        text = stack.text[index, top:bottom, left:right]
        if text.any():
            content = content.copy()
            content[text] = np.median(content[~text & (content <= np.median(content))])
        pictures.append(content)
    return find_references(pictures, tell)


def calibrate(
    stack: PhotoStack,
    references: Sequence[References | str],
    spacing_xyz_mm: tuple[float, float, float] | None = None,
) -> PhotoVolume:
    """Turn a stack into HU; slices without references are left out.

    Parameters
    ----------
    stack
        Grey slices.
    references
        For each slice its references, or as text the reason why it has none.
    spacing_xyz_mm
        Distance of pixels along rows and columns, and of slices, in mm, of the 512 x 512 slices; None where it is not
        known.

    Returns
    -------
    PhotoVolume
        Where slices inside the stack were left out the spacing counts as unknown, as the rest is uneven.

    Raises
    ------
    InputError
        If there are not as many references as slices, or fewer than two slices have some.
    OptionsError
        If the spacing lies out of `SPACING_LIMITS_MM`.
    """
    if len(references) != len(stack.sources):
        raise InputError(
            f"References for each of the {len(stack.sources)} slices were expected, but there are {len(references)}. "
            "Give one entry a slice."
        )
    records: list[SliceRecord] = []
    kept: list[int] = []
    for index, (source, values) in enumerate(zip(stack.sources, references, strict=True)):
        if isinstance(values, str):
            records.append(SliceRecord(source, None, None, values))
        else:
            records.append(SliceRecord(source, values, len(kept)))
            kept.append(index)
    if len(kept) < MIN_SLICES:
        first = next((record.reason for record in records if record.reason), "one picture makes no volume")
        raise InputError(
            f"At least {MIN_SLICES} slices with references were expected, but there are {len(kept)} of "
            f"{len(records)} (for example: {first}). Give --air and --fat, or a mask with --references."
        )
    gaps = kept[-1] - kept[0] + 1 - len(kept)
    geometry = stack_geometry(len(kept), spacing_xyz_mm)
    hu = np.full(geometry.shape_zyx, AIR_HU, np.int16)
    for target, index in enumerate(kept):
        top, bottom, left, right = stack.boxes[index]
        pair = references[index]
        if not isinstance(pair, str):
            hu[target, top:bottom, left:right] = np.rint(to_hu(stack.content(index), pair))
        hu[target][stack.text[index]] = AIR_HU
    spacing_known = spacing_xyz_mm is not None and gaps == 0
    volume = PhotoVolume(hu, geometry, spacing_known, tuple(records), ())
    return PhotoVolume(hu, geometry, spacing_known, tuple(records), _notices(volume, gaps, spacing_xyz_mm is not None))


def stack_geometry(slices: int, spacing_xyz_mm: tuple[float, float, float] | None) -> Geometry:
    """Make the grid of a stack, canonical axial.

    Parameters
    ----------
    slices
        Number of slices.
    spacing_xyz_mm
        Spacing in mm; None takes a nominal one.

    Raises
    ------
    OptionsError
        If the spacing lies out of `SPACING_LIMITS_MM`.
    """
    shape = (slices, SIDE_PX, SIDE_PX)
    if spacing_xyz_mm is None:
        low, high = NOMINAL_SLICE_MM
        pixel = NOMINAL_WIDTH_MM / SIDE_PX
        return Geometry(shape, (pixel, pixel, min(max(NOMINAL_HEIGHT_MM / slices, low), high)))
    low, high = SPACING_LIMITS_MM
    if not all(low <= step <= high for step in spacing_xyz_mm):
        given = " x ".join(f"{step:g}" for step in spacing_xyz_mm)
        raise OptionsError(
            f"The spacing must be three numbers within {low:g} and {high:g} mm, but is {given}. Give the distance of "
            f"pixels of the {SIDE_PX} x {SIDE_PX} slices along x and y, and of slices, in mm."
        )
    return Geometry(shape, spacing_xyz_mm)


def _notices(volume: PhotoVolume, gaps: int, spacing_given: bool) -> tuple[Notice, ...]:
    """What the terminal tells; what an analysis tells comes from the file."""
    notices = []
    left_out = sum(record.slice_index is None for record in volume.records)
    if left_out:
        notices.append(
            Notice(
                "slices-left-out", f"{left_out} of {len(volume.records)} slices have no references and were left out."
            )
        )
    if gaps and spacing_given:
        notices.append(
            Notice(
                "spacing-not-kept",
                f"{gaps} slices inside the stack are missing, so slices are unevenly spaced, and the given spacing "
                "counts as not known.",
            )
        )
    if volume.doubtful:
        kept = len(volume.hu)
        notices.append(
            Notice(
                "doubtful-references",
                f"The references of {volume.doubtful} of {kept} slices are doubtful; look at the contact sheet.",
                "warn",
                float(volume.doubtful),
            )
        )
    return tuple(notices)
