"""Free air beside a lung, a lung without air, and a lung that is not there: what the lungs' volumes cannot say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidCTLib.errors import Notice
from CovidCTLib.labels import LEFT, RIGHT
from CovidCTLib.units import MM3_PER_ML

FREE_AIR_HU = -970.0
"""Blocks of about 3 mm whose mean is at or under this hold no lung. Air is -1000 HU; the most destroyed lung keeps its
vessels and walls, so its blocks lie above (Müller et al. 1988, doi:10.1378/chest.94.4.782, take -910 HU, and today's
limit of emphysema is -950 HU, Gevenois et al. 1996, doi:10.1164/ajrccm.154.1.8680679)."""

MIN_FREE_AIR_ML = 20.0
"""Warned from here (inclusive): free air in one piece, in ml. In 26 of the 30 shared CTs
there is none; two with emphysema have 2 and 9 ml, and CIP's, with severe emphysema and pixels of 4 mm, 7 and 9 ml."""

MIN_FREE_AIR_PERCENT = 1.0
"""The same where no spacing is known, as a share of both lungs, in percent."""

MOST_FREE_AIR_PERCENT = 50.0
"""Nobody lives with more free air than this on both sides, as a share of what was found as lung: the HU are wrong."""

FREE_AIR_RADIUS_MM = 5.0
"""A piece holds balls of this radius; air in thinner layers is not told from emphysema and airways."""

AERATED_HU = -500
"""Lung with air in it lies under this, in HU (exclusive)."""

MIN_SIDES_PERCENT = 18.0
"""Warned under: aerated lung of one side, as a share of both, in percent; people have 40 to 60 %. In the shared CTs the
least is 31 % with the network (effusion_024, half of whose left lung is pressed together), and 21 % with contours."""

MEDIASTINUM_MM = 50.0
"""Width of what lies between the lungs, in mm; at the spine it is 42 to 76 mm in the shared CTs."""

OUT_OF_VIEW = "That side of the chest is not in view, or it was missed there."

NAMES = {RIGHT: "right", LEFT: "left"}

_BLOCK_MM = 3.0
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
    step = [max(1, round(_BLOCK_MM / size)) for size in spacing]
    sample = tuple(slice(n // 2, None, n) for n in step)
    block_ml = float(np.prod(spacing)) * float(np.prod(step)) / MM3_PER_ML
    thin = np.count_nonzero((hu[sample] <= FREE_AIR_HU) & (lungs[sample] > 0)) * block_ml
    # In a block of free air at least half of the voxels are that thin, whatever the noise.
    if thin < smallest_ml / 4:
        return free_ml
    mean, side = _blocks(hu, lungs, step)
    air = (mean <= FREE_AIR_HU) & (side > 0)
    ball = _ball([size * n for size, n in zip(spacing, step, strict=True)])
    pieces, count = ndimage.label(ndimage.binary_dilation(ndimage.binary_erosion(air, ball), ball) & air)
    for piece in range(1, count + 1):
        inside = pieces == piece
        ml = float(np.count_nonzero(inside)) * block_ml
        if ml >= smallest_ml:
            for one in NAMES:
                free_ml[one] += block_ml * float(np.count_nonzero(side[inside] == one))
    return free_ml


def _blocks(
    hu: NDArray[np.int16], lungs: NDArray[np.uint8], step: Sequence[int]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Mean HU and side of blocks of voxels within the box of the lungs; a block of any lung is of that lung."""
    part, shape = [], []
    for axis, n in enumerate(step):
        present = np.flatnonzero(lungs.any(axis=tuple(other for other in range(3) if other != axis)))
        first, stop = int(present[0]), int(present[-1]) + 1
        size = min(-(-(stop - first) // n), lungs.shape[axis] // n)
        first = min(first, lungs.shape[axis] - size * n)
        part.append(slice(first, first + size * n))
        shape += [size, n]
    box = tuple(part)
    mean = hu[box].reshape(shape).mean(axis=(1, 3, 5), dtype=np.float32)
    return mean, lungs[box].reshape(shape).max(axis=(1, 3, 5))


def _ball(spacing: Sequence[float]) -> NDArray[np.bool_]:
    """Make a ball of `FREE_AIR_RADIUS_MM` on a grid, at least one voxel to each side."""
    radius = [max(1, int(FREE_AIR_RADIUS_MM / size)) for size in spacing]
    squares = [
        np.square(np.arange(-r, r + 1) * size).reshape([-1 if a == axis else 1 for a in range(3)])
        for axis, (r, size) in enumerate(zip(radius, spacing, strict=True))
    ]
    reach = max(FREE_AIR_RADIUS_MM, *spacing)
    return np.asarray(sum(squares) <= 1.001 * reach**2)


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
    step = [max(1, round(_BLOCK_MM / size)) for size in spacing_zyx_mm]
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
