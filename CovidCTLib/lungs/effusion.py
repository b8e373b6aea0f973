"""Pleural effusion beside the lungs that were found: cleaned up, and its side told."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidCTLib.units import MM3_PER_ML

MIN_PART_ML = 3.0
"""Smallest connected piece of effusion, in ml; smaller ones are dropped. It is the limit below which an effusion is
said not to be told from the pleura."""

MAX_GAP_MM = 20.0
"""An effusion lies within this distance of the box around the lungs, in mm: fluid in the belly lies further away."""


def clean_effusion(
    effusion: NDArray[np.bool_], lungs: NDArray[np.bool_], spacing_zyx_mm: tuple[float, float, float]
) -> None:
    """Drop what cannot be pleural effusion, in place.

    Parameters
    ----------
    effusion
        Shape ``(z, y, x)``: what the network calls effusion.
    lungs
        Same shape: the cleaned lungs. What is lung is no effusion; without lungs nothing is.
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
    part = effusion[in_z[0] : in_z[-1] + 1]
    labelled, _ = ndimage.label(part, np.ones((3, 3, 3)))
    sizes = np.bincount(labelled.ravel()) * (float(np.prod(spacing_zyx_mm)) / MM3_PER_ML)
    part &= (sizes >= MIN_PART_ML)[labelled]


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
