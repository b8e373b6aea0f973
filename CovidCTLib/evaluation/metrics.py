"""How well a mask agrees with the truth: overlap, distance of the surfaces, volume.

All functions take bool masks of one shape ``(z, y, x)``; where there is one slice, surfaces are taken within it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidCTLib.errors import InputError

Mask = NDArray[np.bool_]

SURFACE_TOLERANCE_MM = 2.0
"""Distance, inclusive, within which two surfaces agree, in mm; readers' outlines of lungs and opacities differ by
about as much."""

HAUSDORFF_PERCENTILE = 95.0
"""Percentile of the surface distances that stands for the largest one, which a single voxel decides."""


@dataclass(frozen=True)
class Overlap:
    """Numbers of voxels in two masks and in both of them; overlaps of several images add up.

    Parameters
    ----------
    predicted, truth, both
        Voxels found, true, and found that are true.
    """

    predicted: int
    truth: int
    both: int

    @property
    def dice(self) -> float | None:
        """Dice coefficient (Dice 1945, doi:10.2307/1932409), 0 to 1; None where both masks are empty."""
        total = self.predicted + self.truth
        return 2 * self.both / total if total else None


def overlap(predicted: Mask, truth: Mask) -> Overlap:
    """Count the voxels of two masks.

    Raises
    ------
    InputError
        If the masks have different shapes.
    """
    _check(predicted, truth)
    return Overlap(
        int(np.count_nonzero(predicted)), int(np.count_nonzero(truth)), int(np.count_nonzero(predicted & truth))
    )


@dataclass(frozen=True)
class SurfaceAgreement:
    """Agreement of the surfaces of two masks.

    Parameters
    ----------
    surface_dice
        Share of the surface voxels of both masks that lie within the tolerance of the other surface, 0 to 1.
    hausdorff_95_mm
        The larger of the two 95th percentiles of the distance from one surface to the other, in mm.
    """

    surface_dice: float
    hausdorff_95_mm: float


def surface_agreement(
    predicted: Mask,
    truth: Mask,
    spacing_zyx_mm: tuple[float, float, float],
    tolerance_mm: float = SURFACE_TOLERANCE_MM,
) -> SurfaceAgreement | None:
    """Compare the surfaces of two masks.

    Parameters
    ----------
    predicted, truth
        bool, shape ``(z, y, x)``.
    spacing_zyx_mm
        Spacing in mm.
    tolerance_mm
        Largest distance, inclusive, at which surfaces agree.

    Returns
    -------
    SurfaceAgreement
        Or None where a mask is empty and so has no surface.

    Raises
    ------
    InputError
        If the masks have different shapes.

    Notes
    -----
    The surface of a mask are its voxels with a face beside a voxel outside the mask or beyond the image. The surface
    Dice is that of Nikolov et al. 2021 (doi:10.2196/26151), counted in surface voxels as MONAI does by default; the
    95th percentile of the Hausdorff distance follows Taha and Hanbury 2015 (doi:10.1186/s12880-015-0068-x).
    """
    _check(predicted, truth)
    box = _box_around(predicted, truth)
    if box is None or not predicted.any() or not truth.any():
        return None
    # Beyond the box around both masks there is no surface of either.
    surfaces = [_surface(mask[box]) for mask in (predicted, truth)]
    spacing = spacing_zyx_mm if len(predicted) > 1 else spacing_zyx_mm[1:]
    if len(predicted) == 1:
        surfaces = [surface[0] for surface in surfaces]
    to_truth = ndimage.distance_transform_edt(~surfaces[1], sampling=spacing)[surfaces[0]]
    to_predicted = ndimage.distance_transform_edt(~surfaces[0], sampling=spacing)[surfaces[1]]
    # Distances are sums of squares of the spacing: a hair above the tolerance is rounding.
    limit = tolerance_mm * (1 + 1e-9)
    agreeing = np.count_nonzero(to_truth <= limit) + np.count_nonzero(to_predicted <= limit)
    farthest = max(float(np.percentile(distances, HAUSDORFF_PERCENTILE)) for distances in (to_truth, to_predicted))
    return SurfaceAgreement(float(agreeing / (len(to_truth) + len(to_predicted))), farthest)


def _surface(mask: Mask) -> Mask:
    """Voxels of a mask with a face beside something else, within the slice where there is one slice."""
    faces = ndimage.generate_binary_structure(3, 1)
    if len(mask) == 1:
        faces[[0, 2]] = False
    return mask & ~ndimage.binary_erosion(mask, faces)


def _box_around(*masks: Mask) -> tuple[slice, ...] | None:
    """Smallest box that holds all masks; None where they are empty."""
    box = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        lines = [np.flatnonzero(mask.any(axis=others)) for mask in masks]
        where = np.concatenate(lines)
        if len(where) == 0:
            return None
        box.append(slice(int(where.min()), int(where.max()) + 1))
    return tuple(box)


def _check(predicted: Mask, truth: Mask) -> None:
    if predicted.shape != truth.shape or predicted.ndim != 3:
        raise InputError(
            f"Two masks of one shape (z, y, x) were expected, but the shapes are {predicted.shape} and {truth.shape}. "
            "Compare masks on the same grid."
        )
