"""What is seen around the lungs: sharp edges, blood with or without contrast medium, spine behind, windpipe above."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidCTLib.errors import Notice
from CovidCTLib.hu import AIR_HU, LOWEST_HU

MAX_EDGE_MM, MAX_EDGE_PX = 3.4, 2.8
"""Warned where edges of the lungs are wider than both. In the shared CTs they are 1.5 to 2.6 mm wide (7 to 8 mm where
pixels are 4 mm), or 1.6 to 3.1 pixels; a doubled picture, 6 mm apart, has 2.4 to 4.5 mm."""

MAX_PLAIN_BLOOD_HU = 110.0
"""Noted above: median of the brightest blocks between the lungs. Blood without contrast medium has 30 to 60 HU; in the
shared CTs, none of them enhanced, it is 24 to 94 HU."""

MAX_FRONT_OVER_BACK_HU = 30.0
"""Warned above: how much denser the densest place near the midline is in front of the middle of the lungs than behind
it, in 95 slices of 100: contrast medium is not in front in all slices, and the spine is behind in all of them. In the
shared CTs it is -39 to -447 HU, with and without contrast medium, so turned over it is 39 HU and more."""

MAX_BACK_HU, MAX_FRONT_OVER_BONE_HU = 160.0, 120.0
"""Where the densest place behind has as much as the first in four slices of five, there may be a spine, and contrast
medium in front: warned above the second only. Turned over, 28 of the 30 shared CTs are still told."""

AIRWAY_LIMITS_CM2 = ((1.0, 0.3), (0.5, 0.05))
"""Head and feet may be exchanged where the lower quarter of the lungs shows as much windpipe as the first number of a
pair, and the upper one less than the second. In the shared CTs, none of which fulfils either, it is 0.5 to 5 cm2 above
(0.1 in one of CIP's) and mostly 0 below; turned over, 26 of 30 fulfil one."""

_EDGE_FROM_HU, _EDGE_STEP_HU, _EDGE_REACH_MM, _EDGE_SLICES, _EDGE_ROWS = -500, 600, 10.0, 6, 3
_FEWEST_EDGES = 50
_BLOCK_MM, _BLOOD_SLICES, _BLOOD_HU = 5.0, 9, (-30, 700)
_FEWEST_BLOCKS = 40
_BONE_BLOCK_MM, _BONE_RANGE_HU, _FEW_SLICES_FRACTION = 8.0, (-1000, 600), 0.05
_SOME_SLICES_FRACTION = 0.2
_TRUE_AIR_HU, _TRUE_AIR_FRACTION = -950, 0.001
_COARSE_MM, _NEAR_MIDLINE_MM, _COARSE_SLICES = 2.8, 25.0, 80
_AIRWAY_HU, _TISSUE_HU, _AIRWAY_MM = -930, -200, 25.0


@dataclass(frozen=True)
class _LungExtent:
    """Where the lungs are: first and last index along z, y and x, and the columns of the middles of both."""

    z: tuple[int, int]
    y: tuple[int, int]
    right_x: float
    left_x: float
    middle_y: float

    @property
    def middle_x(self) -> float:
        """Column half way between the middles of both lungs."""
        return (self.right_x + self.left_x) / 2


def _ends(present: NDArray[np.bool_]) -> tuple[int, int]:
    """Give the first and last index that is true."""
    indices = np.flatnonzero(present)
    return int(indices[0]), int(indices[-1])


def _middle(counts: NDArray[np.int_]) -> float:
    """Give the index that halves counts."""
    return float(np.searchsorted(np.cumsum(counts), counts.sum() / 2))


def _extent_of(lungs: NDArray[np.uint8], every: tuple[int, int]) -> _LungExtent | None:
    """Find where the lungs are from every so many slices and pixels; None without both."""
    coarse = np.ascontiguousarray(lungs[:: every[0], :: every[1], :: every[1]])
    right, left = coarse == 1, coarse == 2
    if not (right.any() and left.any()):
        return None
    both = right | left
    z, y = _ends(both.any(axis=(1, 2))), _ends(both.any(axis=(0, 2)))
    return _LungExtent(
        (z[0] * every[0], z[1] * every[0]),
        (y[0] * every[1], y[1] * every[1]),
        every[1] * _middle(np.count_nonzero(right, axis=(0, 1))),
        every[1] * _middle(np.count_nonzero(left, axis=(0, 1))),
        every[1] * _middle(np.count_nonzero(both, axis=(0, 2))),
    )


def check_surroundings(
    hu: NDArray[np.int16],
    lungs: NDArray[np.uint8],
    spacing_zyx_mm: tuple[float, float, float],
    *,
    cut_at_apex: bool = False,
) -> tuple[Notice, ...]:
    """Look at the edges of the lungs and at what lies between, behind and above them.

    Parameters
    ----------
    hu
        Canonical axial HU, shape ``(z, y, x)``.
    lungs
        Same shape: 0 background, 1 right, 2 left.
    spacing_zyx_mm
        Spacing in mm.
    cut_at_apex
        Whether the scan ends inside the lungs at the top, so that the windpipe may be out of view.

    Returns
    -------
    tuple of Notice
        Blurred edges, contrast medium, front and back or head and feet that may be exchanged. Nothing where one lung
        is missing. Right and left are looked at by `CovidCTLib.checks.lung_shape.check_heart_side`.
    """
    every = (max(1, len(hu) // _COARSE_SLICES), max(1, round(_COARSE_MM / min(spacing_zyx_mm[1:]))))
    extent = _extent_of(lungs, every)
    if extent is None or extent.left_x <= extent.right_x:
        return ()
    coarse = hu[:: every[0], :: every[1], :: every[1]]
    notices = _blur(hu, lungs, spacing_zyx_mm, extent)
    turned = _front_and_back(coarse, spacing_zyx_mm, extent, every)
    notices += turned
    # Turned over, the spine would be taken for bright blood, and where air is not -1000, all is bright.
    if not turned and _has_true_air(coarse):
        notices += _contrast(blood_hu(hu, lungs, spacing_zyx_mm, extent))
    if not cut_at_apex:
        notices += _head_and_feet(hu, lungs, spacing_zyx_mm, extent, every)
    return tuple(notices)


def _edge_widths(
    hu: NDArray[np.int16], lungs: NDArray[np.uint8], spacing_x_mm: float, extent: _LungExtent
) -> NDArray[np.float64]:
    """Measure edges of the lungs along the rows, in pixels: height of the step divided by its steepest slope."""
    first, last = extent.z
    reach = max(4, round(_EDGE_REACH_MM / spacing_x_mm))
    widths = []
    for z in np.unique(
        np.linspace(first + 0.2 * (last - first), last - 0.2 * (last - first), _EDGE_SLICES).astype(int)
    ):
        plane, inside = hu[z, ::_EDGE_ROWS].astype(np.int32), lungs[z, ::_EDGE_ROWS] > 0
        air = plane < _EDGE_FROM_HU
        crossing = (air[:, :-1] != air[:, 1:]) & (inside[:, :-1] | inside[:, 1:])
        crossing[:, : reach - 1] = crossing[:, max(crossing.shape[1] - reach, 0) :] = False
        rows, columns = np.nonzero(crossing)
        profile = plane[rows[:, None], columns[:, None] + np.arange(1 - reach, reach + 1)]
        outer = reach // 2
        step = np.abs(np.median(profile[:, :outer], axis=1) - np.median(profile[:, -outer:], axis=1))
        clear = step > _EDGE_STEP_HU
        widths.append(step[clear] / np.abs(np.diff(profile[clear], axis=1)).max(axis=1))
    return np.concatenate(widths)


def _blur(
    hu: NDArray[np.int16], lungs: NDArray[np.uint8], spacing: tuple[float, float, float], extent: _LungExtent
) -> list[Notice]:
    """Warn of blurred or doubled edges."""
    widths = _edge_widths(hu, lungs, spacing[2], extent)
    if len(widths) < _FEWEST_EDGES:
        return []
    width = float(np.median(widths))
    if width <= MAX_EDGE_PX or width * spacing[2] <= MAX_EDGE_MM:
        return []
    width_mm = width * spacing[2]
    text = (
        f"The edges of the lungs are {width_mm:.1f} mm wide: the patient moved or breathed, or the scan was smoothed. "
        "Blurred vessels and edges look like ground glass."
    )
    return [Notice("blurred", text, "warn", round(width_mm, 2), max(MAX_EDGE_MM, MAX_EDGE_PX * spacing[2]), "mm")]


def blood_hu(
    hu: NDArray[np.int16], lungs: NDArray[np.uint8], spacing_zyx_mm: tuple[float, float, float], extent: _LungExtent
) -> float | None:
    """Measure the brightest soft tissue between the lungs in HU: heart and great vessels; None where it is too little.

    Parameters
    ----------
    hu, lungs
        Canonical axial, shape ``(z, y, x)``.
    spacing_zyx_mm
        Spacing in mm.
    extent
        Where the lungs lie.

    Notes
    -----
    Blocks of 5 mm in front of the spine, from 35 to 70 % of the lungs' height; the median of the brightest quarter.
    """
    size = max(1, round(_BLOCK_MM / min(spacing_zyx_mm[1:])))
    (bottom, top), (front, back) = extent.z, extent.y
    y0, y1 = (int(front + share * (back - front)) for share in (0.15, 0.62))
    rows, columns = ((stop - start) // size for start, stop in ((y0, y1), (int(extent.right_x), int(extent.left_x))))
    box = slice(y0, y0 + rows * size), slice(int(extent.right_x), int(extent.right_x) + columns * size)
    if rows < 1 or columns < 1:
        return None
    means = []
    for z in np.unique(np.linspace(bottom + 0.35 * (top - bottom), bottom + 0.7 * (top - bottom), _BLOOD_SLICES)):
        blocks = hu[int(z)][box].reshape(rows, size, columns, size)
        mean = blocks.mean(axis=(1, 3))
        lung = lungs[int(z)][box].reshape(rows, size, columns, size).any(axis=(1, 3))
        means.append(mean[~lung & (mean > _BLOOD_HU[0]) & (mean < _BLOOD_HU[1])])
    values = np.sort(np.concatenate(means))
    return float(np.median(values[3 * len(values) // 4 :])) if len(values) >= _FEWEST_BLOCKS else None


def _contrast(blood: float | None) -> list[Notice]:
    """Note contrast medium."""
    if blood is None or blood <= MAX_PLAIN_BLOOD_HU:
        return []
    text = (
        f"Blood in heart and vessels has about {blood:.0f} HU, so contrast medium was given. Vessels are denser than "
        "without, which raises mean HU, mass and vessel area of the lungs; compare with plain scans with care."
    )
    return [Notice("contrast-enhanced", text, "note", round(blood), MAX_PLAIN_BLOOD_HU, "HU")]


def _has_true_air(hu: NDArray[np.int16]) -> bool:
    """Tell whether one voxel of a thousand, padding left out, is as thin as air."""
    voxels = np.count_nonzero(hu > LOWEST_HU)
    air = voxels - np.count_nonzero(hu > _TRUE_AIR_HU)
    return bool(air >= _TRUE_AIR_FRACTION * voxels)


def _front_and_back(
    coarse: NDArray[np.int16], spacing: tuple[float, float, float], extent: _LungExtent, every: tuple[int, int]
) -> list[Notice]:
    """Warn if the spine lies in front: it is there in every slice, and heart and breastbone are not."""
    near = max(1, round(_NEAR_MIDLINE_MM / (spacing[2] * every[1])))
    middle, y = int(extent.middle_x) // every[1], int(extent.middle_y) // every[1]
    columns = slice(max(0, middle - near), middle + near + 1)
    slices = slice(extent.z[0] // every[0], extent.z[1] // every[0] + 1)
    size = max(1, round(_BONE_BLOCK_MM / (spacing[1] * every[1])))
    strip = np.clip(coarse[slices, :, columns], *_BONE_RANGE_HU).astype(np.float32)
    smooth = ndimage.uniform_filter(strip, (0, size, size))
    if not 0 < y < smooth.shape[1]:
        return []
    densest = [part.max(axis=(1, 2)) for part in (smooth[:, :y], smooth[:, y:])]
    front, back = (float(np.quantile(part, _FEW_SLICES_FRACTION)) for part in densest)
    bone_behind = float(np.quantile(densest[1], _SOME_SLICES_FRACTION)) >= MAX_BACK_HU
    limit = MAX_FRONT_OVER_BONE_HU if bone_behind else MAX_FRONT_OVER_BACK_HU
    if front - back <= limit:
        return []
    text = (
        f"The spine seems to lie in front: near the midline, the densest place there has {front:.0f} HU, and behind "
        f"{back:.0f} HU. Front and back may be exchanged in the header, and with them right and left; check the "
        "orientation."
    )
    return [Notice("front-back-doubtful", text, "warn", round(front - back), limit, "HU")]


def _airway_cm2(
    hu: NDArray[np.int16],
    lungs: NDArray[np.uint8],
    spacing: tuple[float, float, float],
    extent: _LungExtent,
    every: int,
    slices: range,
) -> float:
    """Measure air near the midline that is inside the body and no lung: the median area over slices, in cm2.

    Slices without lungs are left out, as a method may have lost the lungs there; NaN if none is left.
    """
    near, middle = max(1, round(_AIRWAY_MM / (spacing[2] * every))), int(extent.middle_x) // every
    columns = slice(max(0, middle - near) * every, (middle + near + 1) * every, every)
    rows = slice(extent.y[0], extent.y[1] + 1, every)
    areas = []
    for z in slices:
        if not lungs[z, rows, ::every].any():
            continue
        plane = hu[z, rows, columns]
        inside = np.logical_or.accumulate(plane > _TISSUE_HU, axis=0)
        areas.append(np.count_nonzero((plane < _AIRWAY_HU) & inside & (lungs[z, rows, columns] == 0)))
    if not areas:
        return float("nan")
    return float(np.median(areas)) * spacing[1] * spacing[2] * every**2 / 100


def _head_and_feet(
    hu: NDArray[np.int16],
    lungs: NDArray[np.uint8],
    spacing: tuple[float, float, float],
    extent: _LungExtent,
    every: tuple[int, int],
) -> list[Notice]:
    """Warn if the windpipe enters from below."""
    bottom, top = extent.z
    quarter = (top - bottom + 1) // 4
    if quarter < 1:
        return []
    step = max(1, every[0], quarter // 10)
    above = _airway_cm2(hu, lungs, spacing, extent, every[1], range(top - quarter, top, step))
    below = _airway_cm2(hu, lungs, spacing, extent, every[1], range(bottom + 1, bottom + quarter + 1, step))
    # Comparisons with NaN are false, so that nothing is said where an end shows no lungs.
    limit = next((least for least, most in AIRWAY_LIMITS_CM2 if below >= least and above < most), None)
    if limit is None:
        return []
    text = (
        f"The windpipe (air at {AIR_HU} HU between the lungs) is seen at the lower end, {below:.1f} cm², not at the "
        "upper one. Head and feet may be exchanged in the header, and with them right and left; check the orientation."
    )
    return [Notice("head-feet-doubtful", text, "warn", round(below, 2), limit, "cm2")]
