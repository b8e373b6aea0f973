"""Pleural effusion beside the lungs that were found: cleaned up, and told from what is no fluid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidCTLib.lungs.slices_with_lung import slices_with_lung
from CovidCTLib.units import MM3_PER_ML

MIN_PART_ML = 3.0
"""Smallest connected piece of effusion, in ml; smaller ones are dropped. It is the limit below which an effusion is
said not to be told from the pleura."""

MAX_GAP_MM = 20.0
"""An effusion lies within this distance of the box around the lungs, in mm: fluid in the belly lies further away."""

FLUID_HU = (-30.0, 45.0)
"""Median HU of the core of a piece of fluid, from lowest to highest. Transudates and exudates have 12 and 17 HU in the
mean (Nandalur et al. 2005, Academic Radiology 12, 987), muscle and tumours with contrast medium 50 and more. Of what
runs of a cross-validation found in patients they never saw, true pieces had 0 to 12 HU, a tumour 60. Clotted blood is
missed."""

FAT_HU = -70.0
"""Median HU at or under which a piece that is no fluid is fat. Between this and fluid it is consolidation, which holds
air: -42 and -54 in cases 02 and 03."""

MIN_BESIDE_SHARE = 0.2
"""At least this share of a piece lies in slices that show the lungs: six sevenths of every true one did, and nothing of
a kidney that was called effusion."""

CORE_MM = 2.0
"""The core of a piece lies at least this far inside its outline in a slice, in mm: at the edge fluid and lung mix."""


def clean_effusion(
    effusion: NDArray[np.bool_],
    lungs: NDArray[np.bool_],
    hu: NDArray[np.int16],
    spacing_zyx_mm: tuple[float, float, float],
) -> None:
    """Drop what cannot be pleural effusion, in place; what holds air and touches a lung is lung.

    Parameters
    ----------
    effusion
        Shape ``(z, y, x)``: what the network calls effusion.
    lungs
        Same shape: the cleaned lungs. What is lung is no effusion; without lungs nothing is. Consolidation that was
        taken for fluid is added.
    hu
        Same shape, HU.
    spacing_zyx_mm
        Spacing in mm.
    """
    effusion &= ~lungs
    box = _box_around(lungs, spacing_zyx_mm)
    outside = np.ones(effusion.shape, bool)
    if box is not None:
        outside[box] = False
    effusion[outside] = False
    in_z = np.flatnonzero(effusion.any(axis=(1, 2)))
    if not len(in_z):
        return
    # One slice more on each side, to see what a piece touches.
    shown = slice(max(int(in_z[0]) - 1, 0), int(in_z[-1]) + 2)
    beside = slices_with_lung(lungs)[shown]
    _keep_fluid(effusion[shown], lungs[shown], hu[shown], beside, spacing_zyx_mm)


def _keep_fluid(
    effusion: NDArray[np.bool_],
    lungs: NDArray[np.bool_],
    hu: NDArray[np.int16],
    beside: NDArray[np.bool_],
    spacing_zyx_mm: tuple[float, float, float],
) -> None:
    """Keep the connected pieces that are large enough, as dense as fluid and beside the lungs, in place.

    `beside` says of each slice whether it shows the lungs.
    """
    labelled, _ = ndimage.label(effusion, np.ones((3, 3, 3)))
    fluid = np.bincount(labelled.ravel()) * (float(np.prod(spacing_zyx_mm)) / MM3_PER_ML) >= MIN_PART_ML
    fluid[0] = False
    boxes = ndimage.find_objects(labelled)
    for number in np.flatnonzero(fluid):
        around = tuple(slice(max(part.start - 1, 0), part.stop + 1) for part in boxes[number - 1])
        piece = labelled[around] == number
        median = _median_of_core(piece, hu[around], spacing_zyx_mm)
        if FAT_HU < median < FLUID_HU[0] and (ndimage.binary_dilation(piece, np.ones((3, 3, 3))) & lungs[around]).any():
            lungs[around] |= piece
        is_beside = piece[beside[around[0]]].sum() >= MIN_BESIDE_SHARE * piece.sum()
        fluid[number] = is_beside and FLUID_HU[0] <= median <= FLUID_HU[1]
    effusion &= fluid[labelled]


def _median_of_core(
    piece: NDArray[np.bool_], hu: NDArray[np.int16], spacing_zyx_mm: tuple[float, float, float]
) -> float:
    """Median HU of a piece away from its edges; of all of it where it is too thin to have a core."""
    near = tuple(max(1, round(CORE_MM / mm)) for mm in spacing_zyx_mm[1:])
    core = ndimage.binary_erosion(piece, np.ones((1, 2 * near[0] + 1, 2 * near[1] + 1)))
    return float(np.median(hu[core if core.any() else piece]))


def _box_around(
    lungs: NDArray[np.bool_], spacing_zyx_mm: tuple[float, float, float]
) -> tuple[slice, slice, slice] | None:
    """The box around the lungs, widened by `MAX_GAP_MM`; None without lungs."""
    box = []
    for axis, mm in enumerate(spacing_zyx_mm):
        where = np.flatnonzero(lungs.any(axis=tuple(other for other in range(3) if other != axis)))
        if not len(where):
            return None
        gap = round(MAX_GAP_MM / mm)
        box.append(slice(max(int(where[0]) - gap, 0), int(where[-1]) + 1 + gap))
    return box[0], box[1], box[2]
