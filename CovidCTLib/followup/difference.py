"""A later study laid on the first: which opacity is new, which has resolved, which persists."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.analysis import AxialArrays
from CovidCTLib.followup.registration import Registration, moved_hu, moved_labels
from CovidCTLib.followup.result import CHANGES, Change, Difference
from CovidCTLib.hu import LOWEST_HU
from CovidCTLib.labels import LEFT, OPACITY_CONSOLIDATION, OPACITY_GGO, RIGHT
from CovidCTLib.units import MM3_PER_ML


def find_difference(first: AxialArrays, later: AxialArrays, registration: Registration) -> Difference:
    """Compare the opacities of two studies voxel by voxel.

    Parameters
    ----------
    first, later
        In the canonical orientation, each on its own grid.
    registration
        Of the later study on the first.

    Returns
    -------
    Difference
        Opacity is ground-glass opacity or consolidation inside the lungs of its own study. New: in the later study
        only; resolved: in the first only; persistent: in both, whatever its kind. A voxel belongs to the lung that
        the first study shows there, or else the later one.

    Notes
    -----
    Volumes are counted in the first study's space: where the lungs have grown or shrunk in between, they are not those
    of the later study's own space. Edges are as exact as the registration and the voxels, so that around opacities
    that persist a rim of about a voxel counts as new or resolved.
    """
    later_grid, grid, mapping = later.geometry, first.geometry, registration.transform
    lungs = moved_labels(later.lungs, later_grid, grid, mapping)
    opacities = moved_labels(later.opacities, later_grid, grid, mapping)
    hu = moved_hu(later.hu, later_grid, grid, mapping) if registration.by_hu else _no_hu(first)
    before, after = _opaque(first.lungs, first.opacities), _opaque(lungs, opacities)
    labels = np.zeros(grid.shape_zyx, np.uint8)
    for value, mask in ((1, after & ~before), (2, before & ~after), (3, before & after)):
        labels[mask] = value
    sides = np.where(first.lungs > 0, first.lungs, lungs)
    voxel_ml = grid.voxel_volume_mm3 / MM3_PER_ML
    counts = {side: np.bincount(labels[sides == side], minlength=len(CHANGES) + 1) for side in (RIGHT, LEFT)}
    counts[0] = counts[RIGHT] + counts[LEFT]
    volumes: dict[str, dict[Change, float]] = {
        region: {change: float(counts[side][value]) * voxel_ml for value, change in CHANGES.items()}
        for region, side in (("both_lungs", 0), ("right_lung", RIGHT), ("left_lung", LEFT))
    }
    heat = np.zeros((1, 1, 1), np.float32)
    moved = AxialArrays(hu, lungs, opacities, np.broadcast_to(heat, grid.shape_zyx), grid)
    return Difference(labels, moved, volumes)


def _opaque(lungs: NDArray[np.uint8], opacities: NDArray[np.uint8]) -> NDArray[np.bool_]:
    kinds = (opacities == OPACITY_GGO) | (opacities == OPACITY_CONSOLIDATION)
    return np.asarray(kinds & (lungs > 0), dtype=np.bool_)


def _no_hu(first: AxialArrays) -> NDArray[np.int16]:
    """HU where there is no CT: air, without memory."""
    return np.broadcast_to(np.int16(LOWEST_HU), first.geometry.shape_zyx)
