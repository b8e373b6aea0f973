"""A constant value around the picture that is not air, as rotations and registrations leave it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import Notice
from CovidCTLib.geometry import CanonicalGrid
from CovidCTLib.hu import LOWEST_HU
from CovidCTLib.reading.padding import pieces_at_the_side
from CovidCTLib.scan import Scan

LOWEST_FILL_HU = -950
"""A constant value above this, exclusive, is not air; what lies lower does no harm."""

MIN_CORNER_SHARE = 0.1
"""Share of the corners of all slices that show the value, inclusive: a shift fills two corners, a turn all four."""

MIN_FILL_SHARE = 0.002
"""Share of the volume that is filled, inclusive; less changes no measure."""

_CORNER_PX = 4


def without_fill(scan: Scan) -> Scan:
    """Make air of a constant value around the picture.

    Parameters
    ----------
    scan
        As it was read; it is not changed.

    Returns
    -------
    Scan
        The same where there is no fill; otherwise with -1024 HU in its place, and a notice that says so.

    Notes
    -----
    The corners of the axial slices are looked at: squares of 4 x 4 pixels of one value. Nobody's body fills two corners
    of a slice, and tissue has noise. Then all pieces of the value that reach a side of their slice are taken.
    """
    grid = CanonicalGrid(scan.geometry)
    # On the scan's own grid where it is oblique: its slices are what was filled.
    axial = scan.hu if grid.resamples else grid.take(scan.hu, LOWEST_HU)
    value = _value_of_corners(axial)
    if value is None:
        return scan
    filled = np.zeros(axial.shape, dtype=bool)
    for plane, target in zip(axial, filled, strict=True):
        target[:] = pieces_at_the_side(plane == value)
    share = float(np.count_nonzero(filled)) / filled.size
    if share < MIN_FILL_SHARE or share == 1:
        return scan
    changed = np.array(axial)
    changed[filled] = LOWEST_HU
    hu = changed if grid.resamples else grid.give_back(changed)
    why = "as programs that turn or register a CT fill it"
    if value == int(axial.min()):
        why = "and no voxel has less, so what lies lower was cut off when the scan was exported"
    text = (
        f"{share:.0%} of the volume, at the sides of the slices, has one value ({value} HU) that is no air, {why}; it "
        "was taken for the outside of the scan."
    )
    notice = Notice("fill-not-air", text, "warn", float(value), float(LOWEST_FILL_HU), "HU")
    return replace(scan, hu=hu, notices=(*scan.notices, notice))


def _value_of_corners(axial: NDArray[np.int16]) -> int | None:
    """Find the value, no air, that fills many corners; None where there is none."""
    n = min(_CORNER_PX, axial.shape[1], axial.shape[2])
    values: list[int] = []
    for rows in (slice(None, n), slice(-n, None)):
        for columns in (slice(None, n), slice(-n, None)):
            corner = axial[:, rows, columns].reshape(len(axial), -1)
            flat = corner.min(axis=1) == corner.max(axis=1)
            values += [int(v) for v in corner[flat, 0]]
    dense = np.array([value for value in values if value > LOWEST_FILL_HU], dtype=int)
    if not dense.size:
        return None
    distinct, counts = np.unique(dense, return_counts=True)
    best = int(np.argmax(counts))
    return int(distinct[best]) if counts[best] >= MIN_CORNER_SHARE * 4 * len(axial) else None
