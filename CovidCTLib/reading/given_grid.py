"""A spacing that the user gives in place of the header's."""

from __future__ import annotations

import math
from dataclasses import replace

from CovidCTLib.errors import Notice, OptionsError
from CovidCTLib.reading.plausibility import MAX_SPACING_MM, MIN_SPACING_MM
from CovidCTLib.reading.stated_grid import in_mm
from CovidCTLib.scan import Scan

_ANSWERED = frozenset({"spacing-unknown", "spacing-assumed", "spacing-contradicts"})
"""Notices that a given spacing settles."""


def check_given_spacing(spacing_zyx_mm: tuple[float, ...]) -> None:
    """Refuse a spacing that no CT has.

    Parameters
    ----------
    spacing_zyx_mm
        Distance of slices, rows and columns in mm.

    Raises
    ------
    OptionsError
        If it is not three numbers within `MIN_SPACING_MM` and `MAX_SPACING_MM`.
    """
    fits = all(math.isfinite(size) and MIN_SPACING_MM <= size <= MAX_SPACING_MM for size in spacing_zyx_mm)
    if len(spacing_zyx_mm) != 3 or not fits:
        given = " ".join(f"{size:g}" for size in spacing_zyx_mm)
        raise OptionsError(
            f"The spacing must be three numbers from {MIN_SPACING_MM:g} to {MAX_SPACING_MM:g} mm (slices, rows, "
            f"columns), not {given}. Correct it.",
            hint="The option is --spacing Z Y X.",
        )


def with_spacing(scan: Scan, spacing_zyx_mm: tuple[float, float, float]) -> Scan:
    """Give a scan another spacing; its first voxel and its directions stay.

    Parameters
    ----------
    scan
        As it was read.
    spacing_zyx_mm
        Distance of slices, rows and columns of its own grid in mm.

    Raises
    ------
    OptionsError
        If the spacing is none (`check_given_spacing`).
    """
    check_given_spacing(spacing_zyx_mm)
    z, y, x = (float(size) for size in spacing_zyx_mm)
    text = (
        f"The spacing {in_mm((z, y, x))} (slices, rows, columns) was taken, as was asked for; the header gives "
        f"{in_mm(scan.geometry.spacing_zyx_mm)}."
    )
    kept = tuple(notice for notice in scan.notices if notice.code not in _ANSWERED)
    return replace(
        scan,
        geometry=replace(scan.geometry, spacing_xyz_mm=(x, y, z)),
        facts=replace(scan.facts, spacing_known=True, grid_from="given"),
        notices=(*kept, Notice("given-spacing", text, "note")),
    )
