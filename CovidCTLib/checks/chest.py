"""The checks that need the lungs: are they in view, whole and of a likely size, and does the rest of the chest fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.checks.lung_shape import check_heart_side, check_lung_shape
from CovidCTLib.checks.pleura import check_pleura, what_fills
from CovidCTLib.checks.sample import refuse
from CovidCTLib.checks.surroundings import check_surroundings
from CovidCTLib.checks.turned import check_quarter_turn
from CovidCTLib.errors import Notice
from CovidCTLib.framing import find_body
from CovidCTLib.hu import LOWEST_HU
from CovidCTLib.units import MM3_PER_ML

MIN_LUNG_VOLUME_ML = 300.0
"""Less lung than this is no chest in view, and no adult's: sinuses, bowel gas, or the lung bases of an abdomen. Of a
body less than `ADULT_WIDTH_MM` wide as much less is enough as its volume is less: a newborn's lungs hold 60 ml."""

ADULT_WIDTH_MM = 300.0
"""Width of an adult's body, in mm; the narrowest in the shared CTs is 267 mm wide."""

MIN_LUNG_SHARE = 0.04
"""Share of its largest slice that an adult's lungs take at least, where no volume is known; usual are 15 to 50 %."""

SMALL_LUNGS_ML = 1000.0
"""Warned under: adults have 2,000 to 7,000 ml on a CT in inspiration, and seldom under 1,500 ml when gravely ill."""

LARGE_LUNGS_ML = 10_000.0
"""Warned above: hardly any total lung capacity is larger, so the spacing is wrong, or more than lung was found."""

SIDE_LUNG_SHARE = 0.001
"""Lungs count as cut off at a side of the picture where more than this share of them lies on its outermost pixels."""

CUT_LUNG_SHARE = 0.10
"""Lungs count as cut off where the scan's first or last slice shows more than this share of the largest lung area."""

_RING_PX_OF_512 = 3.0
_TURNED = frozenset({"front-back-doubtful", "head-feet-doubtful", "quarter-turn"})


def check_lungs(
    lungs: NDArray[np.uint8],
    spacing_zyx_mm: tuple[float, float, float],
    spacing_known: bool = True,
    hu: NDArray[np.int16] | None = None,
    *,
    given: bool = False,
) -> tuple[Notice, ...]:
    """Look at the lungs that were found, and at what surrounds them.

    Parameters
    ----------
    lungs
        Canonical axial: 0 background, 1 right, 2 left.
    spacing_zyx_mm
        Spacing in mm.
    spacing_known
        Whether it is the true one; where not, lungs are in view if they take `MIN_LUNG_SHARE` of a slice.
    hu
        The scan on the same grid, HU; without it, only the mask is looked at.
    given
        Whether they were segmented by hand or by another program, perhaps in part: their size is warned of then.

    Returns
    -------
    tuple of Notice
        A side that is missing, lungs of an unlikely size, lungs that the scan cuts off; with ``hu`` also free air, a
        lung with little air, blurred edges, contrast medium, and axes that may run the wrong way.

    Raises
    ------
    QualityError
        If there is less lung than `MIN_LUNG_VOLUME_ML` (or, without a known spacing, than `MIN_LUNG_SHARE`), or the
        lungs have a size that nobody's have.
    """
    counts = np.stack([np.count_nonzero(lungs == side, axis=(1, 2)) for side in (1, 2)])
    volume_ml = float(counts.sum()) * float(np.prod(spacing_zyx_mm)) / MM3_PER_ML
    smallest_ml = _smallest_lungs_ml(hu, spacing_zyx_mm) if volume_ml < MIN_LUNG_VOLUME_ML else MIN_LUNG_VOLUME_ML
    _check_in_view(volume_ml if spacing_known else None, float(counts.sum(axis=0).max()) / lungs[0].size, smallest_ml)
    turned = check_quarter_turn(lungs, spacing_zyx_mm, hu)
    # Two lungs above each other count as one side, and nothing lies in the place of the other.
    notices = [*turned, *_check_sides(counts, None if turned else hu, lungs, spacing_zyx_mm)]
    notices += _check_size(volume_ml) if spacing_known else ()
    ends = _check_ends(counts.sum(axis=0))
    notices += [*ends, *_check_rim(lungs, hu, int(counts.sum()))]
    if hu is not None:
        if spacing_known:
            notices += check_lung_shape(lungs, spacing_zyx_mm, volume_ml, whole=not ends, given=given)
        cut_at_apex = any(notice.code == "lungs-cut-at-apex" for notice in ends)
        pleura = check_pleura(hu, lungs, spacing_zyx_mm, spacing_known)
        notices += pleura
        around = turned or check_surroundings(hu, lungs, spacing_zyx_mm, cut_at_apex=cut_at_apex)
        notices += around if not turned else ()
        # Free air and a collapsed lung push the heart over, and a file that is turned over needs to be told once.
        if not pleura and not any(notice.code in _TURNED for notice in around):
            notices += check_heart_side(hu, lungs, spacing_zyx_mm)
    return tuple(notices)


def _smallest_lungs_ml(hu: NDArray[np.int16] | None, spacing: tuple[float, float, float]) -> float:
    """Give the least volume of lungs for a body of its width, in ml; that of an adult where the HU are not known."""
    if hu is None:
        return MIN_LUNG_VOLUME_ML
    body = find_body(hu, spacing)
    columns = np.flatnonzero(body.trunk.any(axis=(0, 1)))
    width = (int(columns[-1] - columns[0]) + 1) * body.step[2] * spacing[2] if len(columns) else ADULT_WIDTH_MM
    return MIN_LUNG_VOLUME_ML * min(1.0, width / ADULT_WIDTH_MM) ** 3


def _check_in_view(volume_ml: float | None, largest_share: float, smallest_ml: float) -> None:
    """Refuse a scan without lungs; the volume is None where the spacing is not known."""
    if volume_ml is None:
        if largest_share < MIN_LUNG_SHARE:
            raise refuse(
                "no-lungs",
                f"No lungs in view: pictures of a chest CT with lungs on at least {MIN_LUNG_SHARE:.0%} of a slice were "
                f"expected, but the most is {largest_share:.1%}. Give pictures of the chest, and check their "
                "references.",
                round(100 * largest_share, 2),
                100 * MIN_LUNG_SHARE,
                "%",
            )
    elif volume_ml < smallest_ml:
        raise refuse(
            "no-lungs",
            f"No lungs in view: a chest CT with at least {smallest_ml:.0f} ml of lung was expected, but "
            f"{volume_ml:.0f} ml were found. Give a chest CT, the whole of it, in HU.",
            round(volume_ml, 1),
            round(smallest_ml, 1),
            "ml",
        )


def _check_sides(
    counts: NDArray[np.int_],
    hu: NDArray[np.int16] | None,
    lungs: NDArray[np.uint8],
    spacing: tuple[float, float, float],
) -> list[Notice]:
    """Warn of a lung that was not found."""
    right, left = (int(count) for count in counts.sum(axis=1))
    if right and left:
        return []
    why = "" if hu is None or not (right or left) else " " + what_fills(hu, lungs, spacing)
    notices = []
    if right == 0:
        text = f"No right lung was found; its measures are not available.{why}"
        notices.append(Notice("no-right-lung", text, "warn", 0.0, None, "voxels"))
    if left == 0:
        text = f"No left lung was found; its measures are not available.{why}"
        notices.append(Notice("no-left-lung", text, "warn", 0.0, None, "voxels"))
    return notices


def _check_size(volume_ml: float) -> list[Notice]:
    """Warn of lungs that no adult has."""
    if volume_ml < SMALL_LUNGS_ML:
        text = (
            f"Only {volume_ml:.0f} ml of lung were found; an adult has 2,000 ml and more. Part of it is out of view "
            "or was missed, or this is a child, for whom the networks were not made."
        )
        return [Notice("small-lungs", text, "warn", round(volume_ml), SMALL_LUNGS_ML, "ml")]
    if volume_ml > LARGE_LUNGS_ML:
        text = (
            f"{volume_ml:.0f} ml of lung were found, more than any person has. The voxel size may be wrong; volumes "
            "are in doubt, percentages are not."
        )
        return [Notice("large-lungs", text, "warn", round(volume_ml), LARGE_LUNGS_ML, "ml")]
    return []


def _check_ends(area: NDArray[np.int_]) -> list[Notice]:
    """Warn where the scan begins or ends inside the lungs; ``area`` is in pixels, a slice each, feet first."""
    notices = []
    base, apex = (100 * float(area[end]) / float(area.max()) for end in (0, -1))
    text = (
        "The scan ends inside the lungs at the {}: its last slice there shows {:.0f} % of the largest lung area. "
        "Volumes are those of the part in view."
    )
    if base > 100 * CUT_LUNG_SHARE:
        notices.append(
            Notice("lungs-cut-at-base", text.format("base", base), "warn", round(base, 1), 100 * CUT_LUNG_SHARE, "%")
        )
    if apex > 100 * CUT_LUNG_SHARE:
        notices.append(
            Notice("lungs-cut-at-apex", text.format("apex", apex), "warn", round(apex, 1), 100 * CUT_LUNG_SHARE, "%")
        )
    return notices


def _check_rim(lungs: NDArray[np.uint8], hu: NDArray[np.int16] | None, voxels: int) -> list[Notice]:
    """Warn of lungs that reach the side of the picture, or the rim of the scan circle where that is in the picture."""
    on_rim = sum(int(np.count_nonzero(lungs[:, row])) for row in (0, -1))
    on_rim += sum(int(np.count_nonzero(lungs[:, 1:-1, column])) for column in (0, -1))
    share = on_rim / voxels
    if hu is not None and (ring := _scan_circle(hu)) is not None:
        share = max(share, float(np.count_nonzero(lungs[:, ring[0], ring[1]])) / voxels / _RING_PX_OF_512)
    if share <= SIDE_LUNG_SHARE:
        return []
    text = (
        "The lungs reach the side of the picture, so the field of view may cut them off. Volumes are those of the part "
        "in view, and right and left may be mistaken."
    )
    return [Notice("lungs-cut-at-side", text, "warn", round(100 * share, 2), 100 * SIDE_LUNG_SHARE, "%")]


def _scan_circle(hu: NDArray[np.int16]) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """Give the pixels (rows, columns) just inside the scan circle; None if the picture is filled to its corners."""
    rows, columns = hu.shape[1:]
    if rows != columns or (hu[:, [0, 0, -1, -1], [0, -1, 0, -1]] > LOWEST_HU).any():
        return None
    y, x = np.ogrid[:rows, :columns]
    radius = np.hypot(y - (rows - 1) / 2, x - (columns - 1) / 2)
    outside = radius > rows / 2 + 1
    if (hu[:: max(1, len(hu) // 8), outside] > LOWEST_HU).any():
        return None
    width = max(1.0, _RING_PX_OF_512 * rows / 512)
    ring = np.nonzero((radius <= rows / 2 - 1) & (radius > rows / 2 - 1 - width))
    return ring[0], ring[1]
