"""Free air beside a lung, a lung without air, and a lung that is not there: what the lungs' volumes cannot say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import Notice
from CovidCTLib.labels import LEFT, RIGHT
from CovidCTLib.pure_air import BLOCK_MM, find_pure_air
from CovidCTLib.units import MM3_PER_ML

MIN_FREE_AIR_ML = 20.0
"""Warned from here (inclusive): free air in one piece, in ml. In 26 of the 30 shared CTs
there is none; two with emphysema have 2 and 9 ml, and CIP's, with severe emphysema and pixels of 4 mm, 7 and 9 ml."""

MIN_FREE_AIR_PERCENT = 1.0
"""The same where no spacing is known, as a share of both lungs, in percent."""

MOST_FREE_AIR_PERCENT = 50.0
"""Nobody lives with more free air than this on both sides, as a share of what was found as lung: the HU are wrong."""

AERATED_HU = -500
"""Lung with air in it lies under this, in HU (exclusive)."""

MIN_SIDES_PERCENT = 18.0
"""Warned under: aerated lung of one side, as a share of both, in percent; people have 40 to 60 %. In the shared CTs the
least is 31 % with the network (effusion_024, half of whose left lung is pressed together), and 21 % with contours."""

MEDIASTINUM_MM = 50.0
"""Width of what lies between the lungs, in mm; at the spine it is 42 to 76 mm in the shared CTs."""

OUT_OF_VIEW = "That side of the chest is not in view, or it was missed there."

NAMES = {RIGHT: "right", LEFT: "left"}

_DENSE_SIDE_HU = -300
"""Above this, in HU, tissue or fluid fills the side where a lung should be; under it, air around the body."""


def check_pleura(
    hu: NDArray[np.int16],
    lungs: NDArray[np.uint8],
    spacing_zyx_mm: tuple[float, float, float],
    spacing_known: bool = True,
) -> tuple[Notice, ...]:
    """Look for free air among what was found as lung, and for a side with little aerated lung.

    Parameters
    ----------
    hu
        Canonical axial HU, shape ``(z, y, x)``.
    lungs
        Same shape: 0 background, 1 right, 2 left.
    spacing_zyx_mm
        Spacing in mm.
    spacing_known
        Whether it is the true one; where not, shares stand for ml.

    Returns
    -------
    tuple of Notice
        One a side with free air, and one if a lung that was found holds little air. A lung that was not found is told
        by `CovidCTLib.checks.chest.check_lungs`.

    Notes
    -----
    Only what was found as lung is looked at: the networks and the contours take free air for lung. Free air that is
    less than 10 mm thick, or under `MIN_FREE_AIR_ML` in one piece, is not told.
    """
    voxel_ml = float(np.prod(spacing_zyx_mm)) / MM3_PER_ML
    whole = {side: voxel_ml * float(np.count_nonzero(lungs == side)) for side in NAMES}
    smallest = MIN_FREE_AIR_ML if spacing_known else MIN_FREE_AIR_PERCENT / 100 * sum(whole.values())
    free = _free_air_ml(hu, lungs, spacing_zyx_mm, smallest)
    percent = {side: 100 * ml / whole[side] for side, ml in free.items() if whole[side]}
    if len(percent) == len(NAMES) and min(percent.values()) > MOST_FREE_AIR_PERCENT:
        return (_no_lung_tissue(percent),)
    notices = [_free_air(side, ml, whole, spacing_known) for side, ml in free.items()]
    return (*(notice for notice in notices if notice is not None), *_little_air(hu, lungs, free, whole, voxel_ml))


def _free_air_ml(
    hu: NDArray[np.int16], lungs: NDArray[np.uint8], spacing: tuple[float, float, float], smallest_ml: float
) -> dict[int, float]:
    """Measure free air of either side in ml: pieces of at least the smallest volume."""
    free_ml = dict.fromkeys(NAMES, 0.0)
    air = find_pure_air(hu, lungs, spacing, smallest_ml)
    for piece in range(1, air.count + 1):
        inside = air.pieces == piece
        ml = float(np.count_nonzero(inside)) * air.block_ml
        if ml >= smallest_ml:
            for one in NAMES:
                free_ml[one] += air.block_ml * float(np.count_nonzero(air.lungs[inside] == one))
    return free_ml


def _free_air(side: int, ml: float, whole: dict[int, float], spacing_known: bool) -> Notice | None:
    """Warn of free air on one side; None where there is none."""
    if ml == 0:
        return None
    percent, side_ml = 100 * ml / sum(whole.values()), whole[side]
    amount, value, limit, unit = f"{ml:.0f} ml of air", float(round(ml)), MIN_FREE_AIR_ML, "ml"
    if not spacing_known:
        amount, value, limit, unit = (
            f"air in {percent:.0f} % of the lungs",
            round(percent, 1),
            MIN_FREE_AIR_PERCENT,
            "%",
        )
    name = NAMES[side]
    text = (
        f"On the {name} side there is {amount} without lung in it ({100 * ml / side_ml:.0f} % of what was taken for "
        f"the {name} lung): free air beside the lung (pneumothorax), the space of a lung that was removed, or a very "
        "large bulla. It is counted as lung and as emphysema, so volumes and percentages of that side are wrong."
    )
    return Notice("free-air", text, "warn", value, limit, unit)


def _no_lung_tissue(percent: dict[int, float]) -> Notice:
    """Warn of two lungs that are nothing but air."""
    text = (
        f"{percent[RIGHT]:.0f} % of the right and {percent[LEFT]:.0f} % of the left lung have the HU of pure air, "
        "with which nobody lives: the HU are wrong (doubled, shifted or cut off at the lower end). No measure that "
        "rests on HU holds; export the CT again with its rescale slope and intercept."
    )
    return Notice("no-lung-tissue", text, "warn", round(min(percent.values())), MOST_FREE_AIR_PERCENT, "%")


def _little_air(
    hu: NDArray[np.int16],
    lungs: NDArray[np.uint8],
    free: dict[int, float],
    whole: dict[int, float],
    voxel_ml: float,
) -> list[Notice]:
    """Warn of a lung that was found and holds little air beside the other."""
    if not all(whole.values()):
        return []
    thin = hu < AERATED_HU
    aerated = {side: max(0.0, voxel_ml * np.count_nonzero(thin & (lungs == side)) - free[side]) for side in NAMES}
    both = sum(aerated.values())
    less = min(NAMES, key=lambda side: aerated[side])
    percent = round(100 * aerated[less] / both, 1) if both else 50.0
    if percent >= MIN_SIDES_PERCENT:
        return []
    name, dense = NAMES[less], 100 * (1 - (aerated[less] + free[less]) / whole[less])
    text = (
        f"The {name} lung holds {percent:.0f} % of the aerated lung, and people have 40 to 60 % on either side; "
        f"{max(dense, 0):.0f} % of what was found of it holds no air. It has collapsed, was removed in part, is filled "
        "(by pneumonia, tumour or fluid), or is not wholly in view: its measures are not those of a whole lung."
    )
    return [Notice("lung-with-little-air", text, "warn", percent, MIN_SIDES_PERCENT, "%")]


def what_fills(hu: NDArray[np.int16], lungs: NDArray[np.uint8], spacing_zyx_mm: tuple[float, float, float]) -> str:
    """Say what lies where a lung should be that was not found.

    Parameters
    ----------
    hu, lungs, spacing_zyx_mm
        As in `check_pleura`; only one lung was found.

    Returns
    -------
    str
        A sentence. The place is that of the other lung, mirrored where the middle of the chest is: half a mediastinum
        beside the inner edge of the lung, as the picture may cut off the other half of the body.
    """
    has_left = bool((lungs == LEFT).any())
    slices = lungs[lungs.any(axis=(1, 2))] > 0
    columns = np.asarray(slices.any(axis=1))
    inner = columns.argmax(axis=1) if has_left else columns.shape[1] - 1 - columns[:, ::-1].argmax(axis=1)
    between = MEDIASTINUM_MM / 2 / spacing_zyx_mm[2]
    middle = float(np.median(inner)) + (-between if has_left else between)
    step = [max(1, round(BLOCK_MM / size)) for size in spacing_zyx_mm]
    z, y, x = np.nonzero(lungs[:: step[0], :: step[1], :: step[2]])
    mirrored = np.rint(2 * middle - x * step[2]).astype(int)
    inside = (mirrored >= 0) & (mirrored < hu.shape[2])
    values = hu[z[inside] * step[0], y[inside] * step[1], mirrored[inside]]
    if 2 * len(values) < len(x) or (median := float(np.median(values))) < _DENSE_SIDE_HU:
        return OUT_OF_VIEW
    return (
        f"Tissue or fluid of about {median:.0f} HU lies where it should be: the lung was removed, has collapsed, or is "
        "filled by fluid, pneumonia or tumour."
    )
