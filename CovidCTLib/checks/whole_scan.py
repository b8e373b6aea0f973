"""The checks of a scan before anything is computed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.checks.body import check_body
from CovidCTLib.checks.intensities import check_clipping, check_hounsfield, check_metal, check_noise
from CovidCTLib.checks.sample import take_sample
from CovidCTLib.checks.stack import check_stack
from CovidCTLib.errors import Notice
from CovidCTLib.framing import find_body
from CovidCTLib.geometry import OBLIQUE_TOLERANCE_DEG, CanonicalGrid

MAX_SLICE_SPACING_MM = 5.5
"""Above this, small opacities fall between slices; 5 mm is a usual thick reconstruction."""

MAX_GAP_MM = 1.0
"""Warned above: what lies between two slices that are thinner than they are apart, in mm. Scans of 1 mm every 10 mm are
made to look at the texture of the lungs, not to measure volumes."""

MAX_PIXEL_MM = 2.5
"""Warned above: size of a pixel within the slices. Usual are 0.5 to 1 mm; ground glass of 5 mm then has 4 pixels."""


def check_scan(
    hu: NDArray[np.int16],
    grid: CanonicalGrid,
    spacing_known: bool = True,
    slice_thickness_mm: float | None = None,
) -> tuple[Notice, ...]:
    """Look at a scan before anything is computed.

    Parameters
    ----------
    hu
        Canonical axial HU, shape ``(z, y, x)``.
    grid
        The way from the scan's own grid to the canonical one.
    spacing_known
        Whether the grid's spacing is the true one.
    slice_thickness_mm
        How thick the header says that slices are; None where it does not.

    Returns
    -------
    tuple of Notice
        Thick slices, gaps, coarse pixels, oblique axes, HU that are shifted or had been clipped, metal, noise, slices
        that do not follow one another.

    Raises
    ------
    QualityError
        If the values cannot be the HU of a chest, the slices are out of order or not axial, or the body has a size that
        nobody has.
    """
    sample = take_sample(hu)
    spacing = grid.geometry.spacing_zyx_mm
    notices = [*check_hounsfield(sample), *_check_grid(grid, spacing_known, slice_thickness_mm)]
    notices += check_clipping(sample, int(hu.max()))
    body = find_body(hu, spacing)
    notices += check_body(grid, body, spacing_known)
    if spacing_known:
        notices += check_metal(sample, grid.geometry.voxel_volume_mm3 / 1000, body)
    notices += check_noise(hu, spacing, body)
    notices += check_stack(hu, spacing[0])
    return tuple(notices)


def _check_grid(grid: CanonicalGrid, spacing_known: bool, slice_thickness_mm: float | None) -> list[Notice]:
    """Check what the header says of slices and axes."""
    notices = []
    if spacing_known:
        notices += _check_slices(grid.geometry.spacing_zyx_mm, slice_thickness_mm)
    if grid.resamples:
        notices.append(
            Notice(
                "oblique",
                f"The scan's axes are turned by {grid.angle_deg:.0f} degrees against the patient's; it was resampled "
                "to axial slices for the analysis, and the results were brought back to its own grid.",
                "warn",
                grid.angle_deg,
                OBLIQUE_TOLERANCE_DEG,
                "degrees",
            )
        )
    return notices


def _check_slices(spacing_zyx_mm: tuple[float, float, float], thickness_mm: float | None) -> list[Notice]:
    """Check distance and thickness of slices, and the size of pixels."""
    notices = []
    spacing, pixel = float(spacing_zyx_mm[0]), float(max(spacing_zyx_mm[1:]))
    if spacing > MAX_SLICE_SPACING_MM:
        notices.append(
            Notice(
                "thick-slices",
                f"Slices are {spacing:.1f} mm apart; small opacities may be missed and volumes are less exact.",
                "warn",
                spacing,
                MAX_SLICE_SPACING_MM,
                "mm",
            )
        )
    elif thickness_mm is not None and thickness_mm > MAX_SLICE_SPACING_MM:
        notices.append(
            Notice(
                "thick-slices",
                f"Slices are {thickness_mm:.1f} mm thick; small opacities may be missed and volumes are less exact.",
                "warn",
                float(thickness_mm),
                MAX_SLICE_SPACING_MM,
                "mm",
            )
        )
    if thickness_mm is not None and thickness_mm > 0 and spacing - thickness_mm > MAX_GAP_MM:
        notices.append(
            Notice(
                "gaps-between-slices",
                f"Slices of {thickness_mm:.1f} mm are {spacing:.1f} mm apart: the lungs between them were not scanned, "
                "and volumes are estimates.",
                "warn",
                round(spacing - thickness_mm, 2),
                MAX_GAP_MM,
                "mm",
            )
        )
    if pixel > MAX_PIXEL_MM:
        notices.append(
            Notice(
                "coarse-pixels",
                f"Pixels are {pixel:.1f} mm wide; small opacities may be missed and volumes are less exact.",
                "warn",
                pixel,
                MAX_PIXEL_MM,
                "mm",
            )
        )
    return notices
