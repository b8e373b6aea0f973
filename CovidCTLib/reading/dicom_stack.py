"""Where the slices of a DICOM series lie: order, spacing, gaps and tilt, from positions alone.

SliceThickness and SpacingBetweenSlices are never used: thickness is not distance, and both are often wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import InputError, Notice
from CovidCTLib.geometry import Geometry
from CovidCTLib.reading.dicom_acquisitions import (
    PARALLEL_TOLERANCE,
    SPACING_TOLERANCE,
    acquisition_at_each_position,
    acquisitions_by_themselves,
    count_doubled,
    without_copies,
    without_odd_images,
)
from CovidCTLib.reading.dicom_axial import assume_axial
from CovidCTLib.reading.dicom_headers import Frame
from CovidCTLib.reading.plausibility import check_size, check_spacing
from CovidCTLib.reading.stated_grid import in_mm
from CovidCTLib.scan import MIN_SLICES

UNEVEN_TOLERANCE = 0.1
"""A slice may lie this share of the slice distance away from its even place, inclusive. Positions rounded to 0.1 mm
at a distance of 0.6 mm need 0.08."""

MAX_MISSING_IN_A_GAP = 2
"""So many missing slices in a row are interpolated; more are refused."""

MAX_MISSING_SHARE = 0.25
"""Largest share, inclusive, of slices that may be missing in the whole series."""

MAX_UNEVEN_GAP_MM = 10.0
"""Unevenly spaced slices are brought to even ones if no two neighbours lie further apart than this, in mm, inclusive:
what lies between slices further apart, nobody has seen."""

MAX_SLICE_DISTANCE_MM = 20.0
"""Largest distance of slices, in mm, inclusive: interspaced high-resolution CT of the chest has 10 to 20 mm."""


DRIFT_TOLERANCE_PX = 0.5
"""A stack whose slices drift sideways by at most this, in pixels from end to end, is rectangular."""

STRAIGHT_TOLERANCE_PX = 1.0
"""Slices of a tilted stack lie on a straight line within this distance, in pixels."""

NAMED_PLANE_DEG = 30.0
"""A stack is axial, coronal or sagittal up to this angle of its normal, inclusive; gantries tilt that far."""

Orientation = Literal["axial", "coronal", "sagittal", "oblique"]


@dataclass(frozen=True)
class Stack:
    """The plan of a volume.

    Parameters
    ----------
    frames
        Slices in the order of the volume's k axis, along the normal.
    slots
        Place of each frame along the volume's k axis, ascending, the first 0: whole numbers where the slices are evenly
        spaced, those left out being missing slices; others where even slices must be interpolated between them.
    geometry
        Grid of the volume.
    shifts_yx_px
        Where each frame's first pixel lies in the volume's plane, in pixels of y and x, shape ``(frames, 2)``; None
        where every frame fills its plane.
    notices
        What was found.
    """

    frames: tuple[Frame, ...]
    slots: tuple[float, ...]
    geometry: Geometry
    shifts_yx_px: NDArray[np.float64] | None
    notices: tuple[Notice, ...]

    @property
    def even(self) -> bool:
        """Whether every frame is a slice of the volume."""
        return all(slot == round(slot) for slot in self.slots)


def plane_of(orientation_lps: Sequence[float]) -> Orientation:
    """Name the plane of a slice.

    Parameters
    ----------
    orientation_lps
        ImageOrientationPatient, six numbers.
    """
    normal = np.abs(np.cross(orientation_lps[:3], orientation_lps[3:]))
    length = float(np.linalg.norm(normal))
    if length == 0 or normal.max() / length < np.cos(np.radians(NAMED_PLANE_DEG)):
        return "oblique"
    names: tuple[Orientation, ...] = ("sagittal", "coronal", "axial")
    return names[int(np.argmax(normal))]


def plan_stack(frames: Sequence[Frame]) -> Stack:
    """Order slices along their normal and lay a grid through them.

    Parameters
    ----------
    frames
        Slices of one series, in any order.

    Raises
    ------
    InputError
        If there are fewer than `MIN_SLICES` slices; if they differ in size, pixel spacing or orientation, or have no
        place in space; if several lie at one place and nothing tells them apart; if they are unevenly spaced with
        large gaps, or too far apart, or too many are missing; if they are shifted against each other; if the voxels
        cannot be measured in mm; if the volume is too large.

    Notes
    -----
    DICOM PS3.3, C.7.6.2: the position is the centre of the first pixel, the orientation holds the directions of
    growing columns and of growing rows, and their cross product is the normal.
    """
    unique, copied = without_copies(frames)
    alike, odd = without_odd_images(unique)
    try:
        return _plan(alike, [*copied, *odd])
    except InputError:
        # Chest and head, say, as two acquisitions of one series.
        for group, apart in acquisitions_by_themselves(alike):
            with suppress(InputError):
                return _plan(group, [*copied, *odd, *apart])
        raise


def _plan(frames: Sequence[Frame], notices: list[Notice]) -> Stack:
    _check_count(len(frames))
    across, down, spacing_yx = _common_plane(frames)
    normal = np.cross(across, down)
    _check_apart(frames, normal)
    chosen = acquisition_at_each_position(frames, normal)
    if chosen is None:
        raise InputError(
            f"Each slice must lie at its own place, but {count_doubled(frames, normal)} of {len(frames)} lie where "
            "another one does, and neither their acquisition numbers nor kernels nor image numbers tell them apart "
            "(several phases or reconstructions in one series?). Export one of them by itself."
        )
    frames, several = chosen
    notices.extend(several)
    _check_count(len(frames))
    heights = np.array([np.dot(_position(frame), normal) for frame in frames])
    order = np.argsort(heights)
    ordered = tuple(frames[int(i)] for i in order)
    heights = heights[order]
    slots, distance = _slots(heights)
    check_spacing((distance, *spacing_yx))
    notices.extend(_notices_of_slots(slots, heights))
    rows, columns = ordered[0].rows, ordered[0].columns
    positions = np.array([_position(frame) for frame in ordered])
    drift = positions - positions[0]
    shifts = np.stack([drift @ down / spacing_yx[0], drift @ across / spacing_yx[1]], axis=1)
    origin = positions[0]
    tilted = bool(np.abs(np.ptp(shifts, axis=0)).max() > DRIFT_TOLERANCE_PX)
    if tilted:
        notices.append(_tilt_notice(shifts, spacing_yx, heights))
        corner = shifts.min(axis=0)
        origin = origin + corner[0] * spacing_yx[0] * down + corner[1] * spacing_yx[1] * across
        shifts = shifts - corner
        growth = np.ceil(shifts.max(axis=0) - 1e-6).astype(int)
        rows, columns = rows + int(growth[0]), columns + int(growth[1])
    shape = (round(slots[-1]) + 1, rows, columns)
    check_size(shape)
    geometry = Geometry(
        shape,
        (spacing_yx[1], spacing_yx[0], distance),
        (float(origin[0]), float(origin[1]), float(origin[2])),
        tuple(float(v) for v in np.stack([across, down, normal], axis=1).ravel()),
    )
    return Stack(ordered, tuple(float(p) for p in slots), geometry, shifts if tilted else None, tuple(notices))


def stack_with_spacing(stack: Stack, spacing_zyx_mm: tuple[float, float, float]) -> Stack:
    """Give the grid of a stack another spacing.

    Parameters
    ----------
    stack
        A plan.
    spacing_zyx_mm
        Distance of slices, rows and columns in mm.
    """
    z, y, x = spacing_zyx_mm
    return replace(stack, geometry=replace(stack.geometry, spacing_xyz_mm=(x, y, z)))


def spacing_notice(stack: Stack, spacing_zyx_mm: tuple[float, float, float]) -> Notice:
    """Note that a spacing was given by the user."""
    return Notice(
        "given-spacing",
        f"The spacing {in_mm(spacing_zyx_mm)} (slices, rows, columns) was taken, as was asked for; by their positions "
        f"the slices are {stack.geometry.spacing_zyx_mm[0]:.4g} mm apart.",
        "note",
    )


def _check_apart(frames: Sequence[Frame], normal: NDArray[np.float64]) -> None:
    """Refuse a series whose slices all lie at one place; name the way out where SliceLocation or numbers help."""
    if count_doubled(frames, normal) < len(frames) - 1:
        return
    way, helps = "Export the series again from the archive", False
    with suppress(InputError):
        assume_axial(frames)
        way += ", or let its slices be taken for axial ones in the order of their heights or numbers"
        helps = True
    raise InputError(
        f"Each slice must lie at its own place, but all {len(frames)} have the same ImagePositionPatient. {way}.",
        hint="--assume-axial does that." if helps else "",
    )


def _check_count(count: int) -> None:
    if count < MIN_SLICES:
        raise InputError(
            f"A CT series of at least {MIN_SLICES} slices was expected, but there {'is' if count == 1 else 'are'} "
            f"{count}. Give the folder with the whole series."
        )


def _position(frame: Frame) -> NDArray[np.float64]:
    return np.asarray(frame.position_lps_mm, dtype=float)


def _check_described(frames: Sequence[Frame]) -> None:
    """Refuse slices without a place or a size; name the way out where there is one."""
    count = len(frames)
    unsized = sum(frame.spacing_yx_mm is None for frame in frames)
    if unsized:
        raise InputError(
            f"Every slice must say how large its pixels are (PixelSpacing), but {unsized} of {count} slices do not. "
            "Export the series again from the archive, or give the spacing.",
            hint="The option is --spacing Z Y X.",
        )
    bare = sum(frame.position_lps_mm is None or frame.orientation_lps is None for frame in frames)
    if not bare:
        return
    way, helps = "", False
    with suppress(InputError):
        assume_axial(frames)
        way = "; if it is an axial one whose place was lost, let it be taken for axial"
        helps = True
    raise InputError(
        f"Every slice must say where it lies (ImagePositionPatient, ImageOrientationPatient), but {bare} of {count} "
        f"{'frames of one file' if len({frame.path for frame in frames}) == 1 else 'slices'} do not. Export the series "
        f"again from the archive{way}.",
        hint="--assume-axial does that." if helps else "",
    )


def _common_plane(
    frames: Sequence[Frame],
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[float, float]]:
    """Check that all slices are parallel and of one size; give the directions of x and y, and the spacing (y, x)."""
    _check_described(frames)
    sizes = {(frame.rows, frame.columns) for frame in frames}
    if len(sizes) > 1:
        sizes_in_words = ", ".join(f"{rows} x {columns}" for rows, columns in sorted(sizes))
        raise InputError(
            f"All slices of a series must have one size, but there are {sizes_in_words}. Give a folder with one series."
        )
    spacings = np.array([frame.spacing_yx_mm for frame in frames])
    if not (spacings.min() > 0 and np.isfinite(spacings).all()):
        raise InputError(
            "PixelSpacing must be two positive numbers in mm, but some slices have others. Export the series again."
        )
    if (np.ptp(spacings, axis=0) > SPACING_TOLERANCE * spacings[0]).any():
        raise InputError(
            f"All slices of a series must have one pixel spacing, but it runs from {spacings.min():g} to "
            f"{spacings.max():g} mm. Give a folder with one series."
        )
    directions = np.array([frame.orientation_lps for frame in frames])
    apart = int((np.abs(directions - directions[0]).max(axis=1) > PARALLEL_TOLERANCE).sum())
    if apart:
        raise InputError(
            f"All slices of a series must be parallel, but {apart} of {len(frames)} have another orientation than the "
            "first. Give a folder with one series of one orientation."
        )
    across, down = directions[0, :3], directions[0, 3:]
    lengths = np.linalg.norm(across), np.linalg.norm(down)
    if not np.allclose(lengths, 1, atol=1e-2) or abs(float(np.dot(across, down))) > 1e-2:
        raise InputError(
            "ImageOrientationPatient must hold two perpendicular unit vectors, but it does not. Export the series "
            "again; if it is an axial one, the terminal program can be told to take it for axial."
        )
    across = across / lengths[0]
    down = down - np.dot(down, across) * across
    return across, down / np.linalg.norm(down), (float(spacings[0, 0]), float(spacings[0, 1]))


def _slots(heights_mm: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Place ascending slice positions on an even grid; give the places and the grid's slice distance in mm."""
    steps = np.diff(heights_mm)
    # The lower median: with a gap among few slices, the upper one would be the gap.
    typical = float(np.sort(steps)[(len(steps) - 1) // 2])
    counts = np.maximum(np.rint(steps / typical), 1).astype(np.int64)
    slots = np.concatenate([np.zeros(1), np.cumsum(counts)])
    distance, start = (float(v) for v in np.polyfit(slots, heights_mm, 1))
    off = float(np.abs(heights_mm - (start + distance * slots)).max()) / distance
    if distance > MAX_SLICE_DISTANCE_MM:
        raise InputError(
            f"Slices at most {MAX_SLICE_DISTANCE_MM:g} mm apart were expected, but these are {distance:.1f} mm apart, "
            "so most of the series is missing. Give the folder with the whole series."
        )
    if counts.max() > MAX_MISSING_IN_A_GAP + 1:
        raise InputError(
            f"At most {MAX_MISSING_IN_A_GAP} slices may be missing in a row, but {int(counts.max()) - 1} are "
            f"(a gap of {steps.max():.1f} mm at a slice distance of {typical:.2f} mm). Copy the whole series again."
        )
    if off > UNEVEN_TOLERANCE:
        if steps.max() > MAX_UNEVEN_GAP_MM:
            raise InputError(
                f"The slices must be evenly spaced or at most {MAX_UNEVEN_GAP_MM:g} mm apart, but their distances run "
                f"from {steps.min():.2f} to {steps.max():.2f} mm. Give a series of one reconstruction, or resample it "
                "to even slices."
            )
        length = float(heights_mm[-1] - heights_mm[0])
        distance = length / max(1, round(length / typical))
        slots = (heights_mm - heights_mm[0]) / distance
        # The last place is the grid's last slice, not a billionth beside it.
        slots[-1] = round(slots[-1])
    count = round(slots[-1]) + 1
    missing = count - len(slots)
    if missing > MAX_MISSING_SHARE * count:
        raise InputError(
            f"At most {MAX_MISSING_SHARE:.0%} of the slices may be missing, but {missing} of {count} "
            "are. Copy the whole series again."
        )
    # Positions are decimal numbers; what lies beyond a nanometre is rounding.
    return slots, round(distance, 6)


def _notices_of_slots(slots: NDArray[np.float64], heights_mm: NDArray[np.float64]) -> list[Notice]:
    """Say what is interpolated."""
    steps = np.diff(heights_mm)
    if (slots != np.rint(slots)).any():
        return [
            Notice(
                "uneven-slices",
                f"The slices are unevenly spaced, from {steps.min():.2f} to {steps.max():.2f} mm; even slices were "
                "interpolated linearly between them.",
                value=round(float(steps.max()), 3),
                limit=MAX_UNEVEN_GAP_MM,
                unit="mm",
            )
        ]
    count = int(slots[-1]) + 1
    missing = count - len(slots)
    if not missing:
        return []
    return [
        Notice(
            "missing-slices",
            f"{missing} of {count} slices are missing in the series; they were filled in linearly from their "
            "neighbours.",
            value=missing,
            limit=MAX_MISSING_IN_A_GAP,
            unit="slices",
        )
    ]


def _tilt_notice(shifts: NDArray[np.float64], spacing_yx: tuple[float, float], heights: NDArray[np.float64]) -> Notice:
    """Describe a sheared stack; refuse one whose slices are shifted irregularly."""
    per_mm = np.polyfit(heights - heights[0], shifts, 1)
    line = np.outer(heights - heights[0], per_mm[0]) + per_mm[1]
    off = float(np.abs(shifts - line).max())
    if off > STRAIGHT_TOLERANCE_PX:
        raise InputError(
            f"The slices must lie above one another, but some are shifted sideways by {off:.1f} pixels. Give a series "
            "of one reconstruction."
        )
    angle = float(np.degrees(np.arctan(np.hypot(per_mm[0][0] * spacing_yx[0], per_mm[0][1] * spacing_yx[1]))))
    return Notice(
        "gantry-tilt",
        f"The gantry was tilted by {angle:.1f} degrees; the slices were resampled to a rectangular grid.",
        value=round(angle, 2),
        limit=0.0,
        unit="degrees",
    )
