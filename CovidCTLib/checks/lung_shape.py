"""Whether lungs have the height that people's have, and on which side the heart lies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidCTLib.checks.sample import refuse
from CovidCTLib.checks.turned import turn_degrees, turned_back
from CovidCTLib.errors import Notice
from CovidCTLib.framing import find_body
from CovidCTLib.labels import LEFT, RIGHT

POSSIBLE_HEIGHT_MM, USUAL_HEIGHT_MM = (40.0, 550.0), (100.0, 420.0)
"""Refused outside the first, warned outside the second: from the lowest to the highest slice with lung, in mm, where
the scan does not end inside the lungs. 174 to 348 mm in the shared CTs (148 mm in one whose slices are nominally
spaced); a newborn's lungs are 60 mm high."""

USUAL_HEIGHT_PER_WIDTH = (0.4, 2.0)
"""Warned outside: that height, divided by the width of both lungs. 0.72 to 1.26 in the shared CTs with true spacing,
from 0.52 in those with a nominal one. Slices of 4 mm that the header calls 1 mm give 0.2 to 0.3."""

LARGEST_LUNGS_ML = 20_000.0
"""Refused above: nobody has lungs of twice the largest total capacity, 10 litres."""

MIN_LEFTWARD_MM = -20.0
"""Warned under: how far heart, aorta and gas of the belly lie to the left, in mm. In the shared CTs it is 15 to 130 mm
with the lungs of the network, once the chest is turned back."""

MIN_RIGHT_SHARE = 0.41
"""A right lung smaller than this share of both, without unit, draws the heart over, and nothing is said of sides.
People have 0.5 to 0.56; the left lung, which would lie right in a mirrored CT, has 0.44 to 0.5. Mirrored copies of 26
of the 30 shared CTs are warned of with both limits."""

_HEART_ROWS, _HEART_SLICES = (0.15, 0.45), (0.2, 0.5)
_AORTA_ROWS, _AORTA_SLICES = (0.5, 0.68), (0.3, 0.65)
_SLICES = 8
_BONE_HU, _GAS_HU, _TISSUE_HU = 130, -700, -300
_GAS_BELOW, _GAS_MM, _FEWEST_GAS_ML, _MARGIN = 0.4, 40.0, 10.0, 2

_OR_IN_PART = " Or only a part of the lungs was segmented."

Span = tuple[int, int]


def check_lung_shape(
    lungs: NDArray[np.uint8],
    spacing_zyx_mm: tuple[float, float, float],
    volume_ml: float,
    *,
    whole: bool,
    given: bool = False,
) -> tuple[Notice, ...]:
    """Hold volume and height of the lungs against what people have.

    Parameters
    ----------
    lungs
        Canonical axial, shape ``(z, y, x)``, not empty: 0 background, 1 right, 2 left.
    spacing_zyx_mm
        Spacing in mm, the true one by the header.
    volume_ml
        Volume of both.
    whole
        Whether the scan shows the lungs from base to apex; where not, their height is not looked at.
    given
        Whether the lungs were segmented by hand or by another program: perhaps a part of them only, so that an
        impossible height is warned of and not refused.

    Raises
    ------
    QualityError
        If nobody has lungs so large, so high or so low.
    """
    if not given and volume_ml > LARGEST_LUNGS_ML:
        raise refuse(
            "impossible-lungs",
            f"At most {LARGEST_LUNGS_ML:.0f} ml of lung were expected, but by the voxel size these are "
            f"{volume_ml:.0f} ml. The voxel size is wrong: give the true spacing (slices, rows, columns in mm), or "
            "export the CT again.",
            round(volume_ml),
            LARGEST_LUNGS_ML,
            "ml",
        )
    if not whole:
        return ()
    height = _extent(lungs, 0) * spacing_zyx_mm[0]
    low, high = POSSIBLE_HEIGHT_MM
    if not given and not low <= height <= high:
        raise refuse(
            "impossible-lungs",
            f"Lungs {low:.0f} to {high:.0f} mm high were expected, but by the distance of slices these "
            f"are {height:.0f} mm high. The distance is wrong: give the true spacing (slices, rows, columns in mm), or "
            "export the CT again.",
            round(height),
            low if height < low else high,
            "mm",
        )
    notices = _doubts(height, _extent(lungs, 2) * spacing_zyx_mm[2])
    return tuple(replace(notice, text=notice.text + _OR_IN_PART) if given else notice for notice in notices)


def _extent(lungs: NDArray[np.uint8], axis: int) -> int:
    present = np.flatnonzero(lungs.any(axis=tuple(other for other in range(3) if other != axis)))
    return int(present[-1] - present[0]) + 1


def _doubts(height: float, width: float) -> list[Notice]:
    ratio, (low, high) = height / width, USUAL_HEIGHT_PER_WIDTH
    if not low <= ratio <= high:
        text = (
            f"By the voxel size the lungs are {height:.0f} mm high and {width:.0f} mm wide ({ratio:.2f} times), which "
            "hardly anybody's are: the distance of slices may be wrong, and volumes with it. If it is, give the true "
            "one."
        )
        return [
            Notice(
                "lung-height-doubtful", text, "warn", round(ratio, 2), low if ratio < low else high, "times the width"
            )
        ]
    low, high = USUAL_HEIGHT_MM
    if not low <= height <= high:
        who = "a small child" if height < low else "a very large patient"
        text = (
            f"By the distance of slices the lungs are {height:.0f} mm high: {who}, or the distance is wrong, and "
            "volumes with it. If it is, give the true one."
        )
        return [Notice("lung-height-doubtful", text, "warn", round(height), low if height < low else high, "mm")]
    return []


def check_heart_side(
    hu: NDArray[np.int16], lungs: NDArray[np.uint8], spacing_zyx_mm: tuple[float, float, float]
) -> tuple[Notice, ...]:
    """Warn where heart, aorta and the gas of the belly lie to the right.

    Parameters
    ----------
    hu
        Canonical axial HU, shape ``(z, y, x)``.
    lungs
        Same shape: 0 background, 1 right, 2 left.
    spacing_zyx_mm
        Spacing in mm.

    Notes
    -----
    Added up, in mm: how much farther from the spine the left lung begins than the right one, once in front (the heart)
    and once beside the spine (the aorta), and 40 mm times the share of the belly's gas that is left less that which is
    right (stomach and bend of the colon). The chest is turned back first: in a patient who lies turned, the heart moves
    to a side with the front of the chest. Where the spine is not seen, nothing is said.
    """
    right, left = (np.count_nonzero(lungs == side) for side in (RIGHT, LEFT))
    if right < MIN_RIGHT_SHARE * (right + left):
        return ()
    degrees = turn_degrees(lungs, spacing_zyx_mm)
    leftward = leftward_mm(*turned_back(hu, lungs, spacing_zyx_mm, degrees))
    if leftward is None or leftward >= MIN_LEFTWARD_MM:
        return ()
    text = (
        f"Heart, aorta and the gas of the belly lie {-leftward:.0f} mm to the right: heart on the right side (situs "
        "inversus, or drawn to that side by a disease), or left and right are exchanged in the file. In that case, "
        "whatever is said of one side belongs to the other; check the orientation."
    )
    return (Notice("heart-on-the-right", text, "warn", round(leftward), MIN_LEFTWARD_MM, "mm"),)


def leftward_mm(
    hu: NDArray[np.int16], lungs: NDArray[np.uint8], spacing_zyx_mm: tuple[float, float, float]
) -> float | None:
    """Measure how far heart, aorta and gas of the belly lie to the left, in mm; None where it cannot be told.

    Parameters
    ----------
    hu, lungs, spacing_zyx_mm
        As in `check_heart_side`.
    """
    if not ((lungs == RIGHT).any() and (lungs == LEFT).any()):
        return None
    both = lungs > 0
    z, y = (_ends(np.asarray(both.any(axis=axes))) for axes in ((1, 2), (0, 2)))
    spine = _spine(hu, lungs, z, y)
    if spine is None:
        return None
    parts = [
        _farther_left(lungs, spine, _part(z, heights), _part(y, rows))
        for rows, heights in ((_HEART_ROWS, _HEART_SLICES), (_AORTA_ROWS, _AORTA_SLICES))
    ]
    if None in parts:
        return None
    return spacing_zyx_mm[2] * sum(part for part in parts if part is not None) + _gas(
        hu, both, spine, z, spacing_zyx_mm
    )


def _ends(present: NDArray[np.bool_]) -> Span:
    indices = np.flatnonzero(present)
    return int(indices[0]), int(indices[-1])


def _part(ends: Span, shares: tuple[float, float]) -> Span:
    first, last = ends
    return int(first + shares[0] * (last - first)), int(first + shares[1] * (last - first))


def _middle_slices(z: Span) -> NDArray[np.int_]:
    return np.unique(np.linspace(*z, _SLICES).astype(int))


def _spine(hu: NDArray[np.int16], lungs: NDArray[np.uint8], z: Span, y: Span) -> float | None:
    """Column of the spine: the middle of the bone between the lungs, behind their middle."""
    right, left = (
        int(np.average(np.arange(lungs.shape[2]), weights=np.count_nonzero(lungs == side, axis=(0, 1))))
        for side in (RIGHT, LEFT)
    )
    if left - right < 2:
        return None
    back = hu[_middle_slices(_part(z, (0.2, 0.8))), (y[0] + y[1]) // 2 :, right:left]
    bone = np.count_nonzero(back >= _BONE_HU, axis=(0, 1)).astype(float)
    return right + float(np.average(np.arange(left - right), weights=bone)) if bone.any() else None


def _farther_left(lungs: NDArray[np.uint8], spine: float, z: Span, y: Span) -> float | None:
    """How many columns farther from the spine the left lung begins than the right one: the median over slices."""
    differences = []
    for plane in lungs[_middle_slices(z), y[0] : y[1] + 1 : 2]:
        distance = []
        for side, seen in ((RIGHT, plane[:, ::-1]), (LEFT, plane)):
            mask = seen == side
            first = np.argmax(mask, axis=1)[mask.any(axis=1)].astype(float)
            column = lungs.shape[2] - 1 - first if side == RIGHT else first
            distance.append(np.median(np.abs(column - spine)) if len(first) else np.nan)
        differences.append(distance[1] - distance[0])
    values = np.array(differences)
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else None


def _gas(
    hu: NDArray[np.int16], both: NDArray[np.bool_], spine: float, z: Span, spacing: tuple[float, float, float]
) -> float:
    """Side of the gas inside the body, at the height of the lower lungs and under them, in mm: 40 if all is left."""
    body = find_body(hu, spacing)
    coarse = tuple(slice(None, None, step) for step in body.step)
    inside = np.stack([ndimage.binary_fill_holes(plane) for plane in body.trunk])
    lung = ndimage.binary_dilation(both[coarse], iterations=_MARGIN)
    gas = (hu[coarse] < _GAS_HU) & inside & ~lung
    gas[_part(z, (0, _GAS_BELOW))[1] // body.step[0] + 1 :] = False
    columns = np.nonzero(gas)[2] * body.step[2]
    if len(columns) * np.prod(body.step) * np.prod(spacing) / 1000 < _FEWEST_GAS_ML:
        return 0.0
    return _GAS_MM * float(np.mean(np.sign(columns - spine)))
