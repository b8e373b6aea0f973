"""Whether the patient lies turned, and whether the pictures are turned by a quarter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidCTLib.errors import Notice
from CovidCTLib.framing import find_body
from CovidCTLib.hu import LOWEST_HU
from CovidCTLib.labels import LEFT, RIGHT

QUARTER_TURN_DEGREES = 45.0
"""Warned above: angle of the line between the middles of the two lungs, or of the two largest pieces of air inside the
body, against the rows. It is -12 to 18 degrees in the shared CTs; turned by a quarter, the air alone tells 24 of 30.
Patients who lie on their side have their own axes in a file, and so near 0, too (DICOM PS3.3, C.7.6.2)."""

MIN_LUNG_SHARE = 0.25
"""Where one lung alone was found, its two largest pieces are two lungs if the smaller one has this share of both."""

_AERATED_HU = -500
_SIDE_PX = 96
_SLICES, _COARSE_MM = 80, 2.8


def turn_degrees(lungs: NDArray[np.uint8], spacing_zyx_mm: tuple[float, float, float]) -> float:
    """Measure how oblique the line between the middles of the two lungs is.

    Parameters
    ----------
    lungs
        Canonical axial: 0 background, 1 right, 2 left.
    spacing_zyx_mm
        Spacing in mm.

    Returns
    -------
    float
        Angle against the rows in degrees, -90 to 90; positive where the lung of the smaller column lies farther in
        front. 0 with one lung, or with none.
    """
    every = max(1, min(lungs.shape[1:]) // _SIDE_PX)
    coarse = np.ascontiguousarray(lungs[:, ::every, ::every])
    middles = [_middle(coarse == side) for side in (RIGHT, LEFT) if (coarse == side).any()]
    if len(middles) == 1:
        middles = _two_pieces(coarse > 0)
    if len(middles) < 2:
        return 0.0
    return _angle(middles, spacing_zyx_mm[1], spacing_zyx_mm[2])


def _angle(middles: list[tuple[float, float]], row_mm: float, column_mm: float) -> float:
    """Angle of the line between two middles, given in rows and columns, in degrees."""
    (first_y, first_x), (second_y, second_x) = sorted(middles, key=lambda middle: middle[1])
    return float(np.degrees(np.arctan2((second_y - first_y) * row_mm, (second_x - first_x) * column_mm)))


def _middle(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """Mean row and column."""
    shadow = np.count_nonzero(mask, axis=0)
    rows, columns = (np.average(np.arange(shadow.shape[axis]), weights=shadow.sum(axis=1 - axis)) for axis in (0, 1))
    return float(rows), float(columns)


def _two_pieces(mask: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Middles of the two largest pieces, where both are as large as lungs."""
    pieces, count = ndimage.label(mask)
    if count < 2:
        return []
    sizes = np.bincount(pieces.ravel())[1:]
    larger, smaller = (int(index) for index in np.argsort(sizes)[:-3:-1])
    if sizes[smaller] < MIN_LUNG_SHARE * (sizes[larger] + sizes[smaller]):
        return []
    return [_middle(pieces == 1 + index) for index in (larger, smaller)]


def turned_back(
    hu: NDArray[np.int16], lungs: NDArray[np.uint8], spacing_zyx_mm: tuple[float, float, float], degrees: float
) -> tuple[NDArray[np.int16], NDArray[np.uint8], tuple[float, float, float]]:
    """Turn a chest about its long axis, so that the middles of the lungs come to lie beside each other.

    Parameters
    ----------
    hu, lungs, spacing_zyx_mm
        Canonical axial HU, lungs and spacing.
    degrees
        As `turn_degrees` gives it.

    Returns
    -------
    tuple
        HU (linear), lungs (nearest) and spacing, on a grid of about `_COARSE_MM` that has the same field of view; what
        comes from outside of it is -1024 HU and no lung.
    """
    step = (max(1, len(hu) // _SLICES), *(max(1, round(_COARSE_MM / size)) for size in spacing_zyx_mm[1:]))
    spacing = tuple(size * n for size, n in zip(spacing_zyx_mm, step, strict=True))
    coarse = tuple(slice(None, None, n) for n in step)
    values, labels = hu[coarse].astype(np.float32), lungs[coarse]
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    in_mm = np.diag(spacing[1:])
    matrix = np.linalg.inv(in_mm) @ np.array([[cosine, sine], [-sine, cosine]]) @ in_mm
    middle = (np.array(values.shape[1:]) - 1) / 2
    offset = middle - matrix @ middle
    whole, shift = np.eye(3), np.r_[0.0, offset]
    whole[1:, 1:] = matrix
    moved = ndimage.affine_transform(values, whole, shift, order=1, cval=LOWEST_HU)
    turned = ndimage.affine_transform(labels, whole, shift, order=0)
    return np.rint(moved).astype(np.int16), turned, (spacing[0], spacing[1], spacing[2])


def turn_of_air_degrees(hu: NDArray[np.int16], spacing_zyx_mm: tuple[float, float, float]) -> float:
    """Measure the same of the two largest pieces of air inside the body, which no network has to find.

    Parameters
    ----------
    hu, spacing_zyx_mm
        Canonical axial HU, shape ``(z, y, x)``, and spacing in mm.

    Returns
    -------
    float
        As `turn_degrees`; 0 where there are no two pieces as large as lungs.
    """
    body = find_body(hu, spacing_zyx_mm)
    inside = np.stack([ndimage.binary_fill_holes(plane) for plane in body.trunk])
    air = inside & (hu[tuple(slice(None, None, n) for n in body.step)] < _AERATED_HU)
    # Without the edges, the windpipe's branches no longer join the lungs.
    pieces = _two_pieces(ndimage.binary_erosion(air, np.ones((1, 3, 3), bool)))
    if not pieces:
        return 0.0
    return _angle(pieces, spacing_zyx_mm[1] * body.step[1], spacing_zyx_mm[2] * body.step[2])


def check_quarter_turn(
    lungs: NDArray[np.uint8], spacing_zyx_mm: tuple[float, float, float], hu: NDArray[np.int16] | None = None
) -> tuple[Notice, ...]:
    """Warn where one lung lies in front of the other.

    Parameters
    ----------
    lungs, spacing_zyx_mm
        As in `turn_degrees`.
    hu
        The scan on the same grid: networks do not find lungs that lie so, and the air inside the body is looked at,
        too. None looks at the lungs alone.
    """
    angle = abs(turn_degrees(lungs, spacing_zyx_mm))
    if hu is not None:
        angle = max(angle, abs(turn_of_air_degrees(hu, spacing_zyx_mm)))
    if angle <= QUARTER_TURN_DEGREES:
        return ()
    text = (
        f"One lung lies in front of the other and not beside it ({angle:.0f} degrees): the pictures seem to be turned "
        "by a quarter, or their rows and columns exchanged. The networks do not find lungs that lie so, and what is "
        "said of a side is wrong: rely on no number. Export the CT again with its orientation."
    )
    return (Notice("quarter-turn", text, "warn", round(angle), QUARTER_TURN_DEGREES, "degrees"),)
