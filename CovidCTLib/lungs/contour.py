"""Lungs without a network: closed contours of air inside the body, slice by slice.

The method of the population study of 1,294 scans: each axial slice is clipped to [-1000, -300] HU and made binary;
its iso-contours that are closed and whose convex hull is large enough are kept; the body's is dropped; the others are
filled. It needs no weights, but sees only aerated lung: consolidation at the pleura is lost, and lungs that touch
count as one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError
from skimage.measure import find_contours

from CovidCTLib.analysis import CancelCheck
from CovidCTLib.errors import CancelledError, InputError, Notice, QualityError

AIR_LIMIT_HU = -300
"""Upper limit of aerated lung, exclusive, in HU (population study, row C4 of the specification)."""

CONTOUR_LEVEL = 0.95
"""Level of the iso-contours on the binary slice, without unit (same source)."""

CLOSED_WITHIN_PX = 1.0
"""A contour is closed if its end points are less than this apart, in pixels (same source)."""

MIN_AREA_PX = 2000
"""Smallest convex hull and smallest mask, exclusive, in pixels of a 512 x 512 slice (same source)."""

REFERENCE_SIDE_PX = 512
"""Rows and columns of the slices that `MIN_AREA_PX` was made for."""

CONTINUED_FRACTION = 0.5
"""A piece of a slice belongs to the lungs if at least this share of it lies over those of the next slice, without unit;
inclusive. Checked on eight real scans: sections of a lung overlap by far more, gas under the diaphragm by less."""

_EIGHT_NEIGHBOURS = np.ones((3, 3), bool)

Failure = Literal["no lung", "one lung", "overlapping"]


@dataclass(frozen=True)
class SliceLungs:
    """The lungs of one axial slice.

    Parameters
    ----------
    mask
        bool, shape ``(y, x)``: both lungs; empty on failure.
    failure
        Why the slice gives no two lungs: ``"no lung"`` (no large contour of air inside the body), ``"one lung"`` (only
        one), ``"overlapping"`` (one inside another); None if it gives them.
    areas_px
        Areas of the pieces of the mask in pixels, largest first; empty on failure.
    """

    mask: NDArray[np.bool_]
    failure: Failure | None
    areas_px: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Outline:
    """A closed contour, points (row, column); ``area`` is signed: positive around air, negative around tissue."""

    points: NDArray[np.float64]
    area: float


def _signed_area(points: NDArray[np.float64]) -> float:
    """Area of a closed polygon in square pixels (shoelace formula); the sign is its sense of rotation."""
    row, column = points[:, 0], points[:, 1]
    return float(0.5 * np.sum(column[:-1] * row[1:] - column[1:] * row[:-1]))


def _hull_area(points: NDArray[np.float64]) -> float:
    """Area of the convex hull in square pixels, 0 for points on a line."""
    try:
        return float(ConvexHull(points).volume)  # in two dimensions, Qhull's volume is the area
    except QhullError:
        return 0.0


def _large_outlines(air: NDArray[np.bool_], smallest_px: float) -> list[_Outline]:
    """Find the closed contours whose convex hull is larger than ``smallest_px``."""
    outlines = []
    # By the isoperimetric inequality, a shorter contour cannot enclose the area; neighbouring points are at most
    # sqrt(2) apart.
    fewest = np.sqrt(4 * np.pi * smallest_px) / np.sqrt(2)
    for points in find_contours(air.astype(np.float32), CONTOUR_LEVEL):
        if len(points) < fewest or np.linalg.norm(points[0] - points[-1]) >= CLOSED_WITHIN_PX:
            continue
        if _hull_area(points) > smallest_px:
            outlines.append(_Outline(points, _signed_area(points)))
    return outlines


def _sides(outline: _Outline) -> tuple[tuple[int, int], tuple[int, int]]:
    """Give the pixels (row, column) on either side of a contour's first point: that of air, then that of tissue.

    At a level of 0.95 each point lies on a grid line between an air pixel and a tissue pixel, close to the former.
    """
    row, column = (float(v) for v in outline.points[0])
    air = round(row), round(column)
    beyond = (
        2 * int(row > air[0]) - 1 if row != air[0] else 0,
        2 * int(column > air[1]) - 1 if column != air[1] else 0,
    )
    return air, (air[0] + beyond[0], air[1] + beyond[1])


def _filled(regions: NDArray[np.int32], pixel: tuple[int, int]) -> NDArray[np.bool_]:
    """Fill the outer contour of the labelled region at a pixel to a mask."""
    region = regions == regions[pixel]
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    # What the frame cannot reach from outside is enclosed. This is far faster than drawing the polygon.
    around, _ = ndimage.label(np.pad(~region[box], 1, constant_values=True), _EIGHT_NEIGHBOURS)
    mask = np.zeros(regions.shape, bool)
    mask[box] = (around != around[0, 0])[1:-1, 1:-1]
    return mask


def segment_slice_by_contours(hu_slice: NDArray[np.int16]) -> SliceLungs:
    """Find both lungs in one axial slice by the contours of air.

    Parameters
    ----------
    hu_slice
        Shape ``(y, x)``, HU, any numeric dtype.

    Returns
    -------
    SliceLungs
        The mask of both lungs, or why there is none.

    Raises
    ------
    InputError
        If the array is not two-dimensional.

    Notes
    -----
    Values are clipped to [-1000, -300] HU; those under -300 HU become 1, those at the limit 0. Hull and mask must be
    over 2,000 pixels where the slice has 512 x 512, in proportion elsewhere. The body is the largest contour around
    tissue; air outside of it (table, between arm and body) is no lung. Without a closed body contour, because the
    field of view cuts it, every closed contour of air counts.
    """
    if hu_slice.ndim != 2:
        raise InputError(
            f"One axial slice with two dimensions was expected, but the array has shape {hu_slice.shape}. "
            "Give a volume to segment_lungs_by_contours instead."
        )
    smallest_px = MIN_AREA_PX * hu_slice.size / REFERENCE_SIDE_PX**2
    air = hu_slice < AIR_LIMIT_HU
    empty = np.zeros(hu_slice.shape, bool)
    if np.count_nonzero(air) <= smallest_px / 2:
        return SliceLungs(empty, "no lung")
    outlines = _large_outlines(air, smallest_px)
    candidates = [o for o in outlines if o.area > 0]
    tissues = sorted((o for o in outlines if o.area < 0), key=lambda o: o.area)
    if not candidates:
        return SliceLungs(empty, "no lung")
    inside = np.ones(hu_slice.shape, bool)
    # The body is not itself enclosed by air; a dome of the liver inside a lung is.
    if tissues and -tissues[0].area > max(o.area for o in candidates):
        regions, _ = ndimage.label(~air, _EIGHT_NEIGHBOURS)
        inside = _filled(regions, _sides(tissues.pop(0))[1])
    regions, _ = ndimage.label(air)
    pixels = [_sides(outline)[0] for outline in candidates]
    masks = [_filled(regions, pixel) for pixel in pixels if inside[pixel]]
    masks = [mask for mask in masks if np.count_nonzero(mask) > smallest_px]
    return _joined(masks, [_sides(outline)[0] for outline in tissues], empty)


def _joined(masks: list[NDArray[np.bool_]], islands: list[tuple[int, int]], empty: NDArray[np.bool_]) -> SliceLungs:
    """Join the masks of a slice, unless they are fewer than two, or one (or an island of tissue) lies in another."""
    if not masks:
        return SliceLungs(empty, "no lung")
    joined = np.zeros(empty.shape, np.uint8)
    for mask in masks:
        joined += mask
    if joined.max() > 1 or any(joined[point] for point in islands):
        return SliceLungs(empty, "overlapping")
    if len(masks) < 2:
        return SliceLungs(empty, "one lung")
    return SliceLungs(joined > 0, None, tuple(sorted((int(np.count_nonzero(m)) for m in masks), reverse=True)))


def _continuous(masks: NDArray[np.bool_], areas: NDArray[np.int_]) -> list[int]:
    """Drop, in place, what is no continuation of the lungs; returns the slices that are left with fewer than two.

    From the slice whose two largest pieces have the largest area (``areas``) outwards, a piece stays if at least
    `CONTINUED_FRACTION` of it lies over the lungs of the last slice that had any. Gas in the stomach or bowel starts
    anew under the diaphragm.
    """
    lost = []
    middle = int(np.argmax(areas))
    pieces, _ = ndimage.label(masks[middle])
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    # Here there is nothing to compare with, so only pieces of a lung's size stay.
    masks[middle] = (sizes >= np.sort(sizes)[-2] / 3)[pieces] & (pieces > 0)
    for way in (range(middle - 1, -1, -1), range(middle + 1, len(masks))):
        last = masks[middle]
        for k in way:
            if areas[k] == 0:
                continue
            pieces, count = ndimage.label(masks[k])
            sizes = np.bincount(pieces.ravel(), minlength=count + 1)
            common = np.bincount(pieces[last], minlength=count + 1)
            stays = common >= CONTINUED_FRACTION * sizes
            stays[0] = False
            if np.count_nonzero(stays) < 2:
                masks[k] = False
                lost.append(k)
            else:
                masks[k] = stays[pieces]
                last = masks[k]
    return lost


def _check(hu: NDArray[np.int16], spacing_zyx_mm: tuple[float, float, float]) -> None:
    if hu.ndim != 3:
        raise InputError(
            f"A volume with three dimensions (z, y, x) was expected, but the array has shape {hu.shape}. "
            "Give one 3D scan in the canonical orientation."
        )
    if len(spacing_zyx_mm) != 3 or not all(np.isfinite(s) and s > 0 for s in spacing_zyx_mm):
        raise InputError(
            f"The spacing must be three positive numbers in mm, not {spacing_zyx_mm}. Correct the header of the scan."
        )


def segment_lungs_by_contours(
    hu: NDArray[np.int16],
    spacing_zyx_mm: tuple[float, float, float],
    *,
    cancelled: CancelCheck | None = None,
    progress: Callable[[float], None] | None = None,
) -> tuple[NDArray[np.bool_], tuple[Notice, ...]]:
    """Find both lungs in a volume by the contours of air in each axial slice.

    Parameters
    ----------
    hu
        int16, shape ``(z, y, x)``, HU, canonical axial orientation.
    spacing_zyx_mm
        Voxel spacing in mm; it says how much lung the failed slices stand for.
    cancelled
        Asked before each slice whether to stop.
    progress
        Told after each slice which fraction is done, 0 to 1.

    Returns
    -------
    mask : ndarray
        bool, shape ``(z, y, x)``: both lungs, not yet told apart.
    notices : tuple of Notice
        One of code ``"contour-failed-slices"`` if slices failed: fewer than two lungs where there is a large area of
        air, overlapping masks, or no lung between slices with lungs. Such slices are empty in the mask.

    Raises
    ------
    InputError
        If the array is not three-dimensional or the spacing is not positive.
    QualityError
        If no slice gives two lungs.
    CancelledError
        If ``cancelled`` says so.

    Notes
    -----
    The slices are taken one by one, as in `segment_slice_by_contours`. Beyond the published method, a piece that does
    not continue the lungs of the neighbouring slice (gas in the stomach or bowel) is dropped.
    """
    _check(hu, spacing_zyx_mm)
    mask = np.zeros(hu.shape, bool)
    areas = np.zeros(len(hu), dtype=np.int_)
    failures: list[Failure | None] = []
    for k, hu_slice in enumerate(hu):
        if cancelled is not None and cancelled():
            raise CancelledError("The lung segmentation was stopped before it was done; nothing was written.")
        lungs = segment_slice_by_contours(hu_slice)
        mask[k], areas[k] = lungs.mask, sum(lungs.areas_px[:2])
        failures.append(lungs.failure)
        if progress is not None:
            progress((k + 1) / len(hu))
    if not areas.any():
        raise QualityError(
            f"Two lungs were expected, but none of the {len(hu)} slices shows two separate areas of air inside the "
            "body. Check that this is a chest CT in HU, or use the network for the lungs."
        )
    for k in _continuous(mask, areas):
        failures[k] = "one lung"
    return mask, _failed_slices(mask, failures, spacing_zyx_mm)


def _failed_slices(
    mask: NDArray[np.bool_], failures: list[Failure | None], spacing_zyx_mm: tuple[float, float, float]
) -> tuple[Notice, ...]:
    """Report the slices that failed, if any."""
    shown = np.flatnonzero(mask.any(axis=(1, 2)))
    between = range(int(shown[0]), int(shown[-1]) + 1)
    failed = [k for k, f in enumerate(failures) if f is not None and (f != "no lung" or k in between)]
    if not failed:
        return ()
    inner = sum(k in between for k in failed)
    text = (
        f"The contour method found no two separate lungs in {len(failed)} slices with much air ({inner} of them, "
        f"{inner * spacing_zyx_mm[0]:.0f} mm, between slices with lungs); lung in them is missing from all volumes. "
        "The network for the lungs does not have this limit."
    )
    return (Notice("contour-failed-slices", text, "warn", float(len(failed)), 0.0, "slices"),)
