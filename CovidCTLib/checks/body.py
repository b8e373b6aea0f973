"""Whether the body has the size and the shape that people have: a chest tells its scale and which way it lies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.checks.sample import refuse
from CovidCTLib.errors import Notice
from CovidCTLib.framing import Body
from CovidCTLib.geometry import CanonicalGrid

POSSIBLE_WIDTH_MM, USUAL_WIDTH_MM = (80.0, 900.0), (150.0, 620.0)
POSSIBLE_DEPTH_MM, USUAL_DEPTH_MM = (50.0, 650.0), (100.0, 450.0)
"""Refused outside the first, warned outside the second: median width (with arms that lie in the picture) and depth of
the trunk in mm. A newborn's chest is 100 mm wide and 80 mm deep; gantries are 700 to 850 mm wide. In the shared CTs the
trunk is 267 to 431 mm wide and 191 to 347 mm deep."""

USUAL_WIDTH_PER_DEPTH = (0.6, 2.6)
"""Warned outside: 1.2 to 1.7 in the shared CTs; a patient on the side has 0.7, arms beside the chest add a half."""

MAX_PIXEL_RATIO = 1.05
"""Warned above: larger side of a pixel of an axial slice, divided by the smaller. Scanners make square pixels."""

MIN_LONG_AXIS_SHARE, MAX_LONGER_TIMES = 0.15, 2.0
"""Refused where the trunk takes at least the first share of an end plane of another axis, and the second times what it
takes of the axis from feet to head: the body is cut through at the ends of its long axis. In the shared CTs the larger
end of the long axis has 0.15 to 0.70."""


def check_body(grid: CanonicalGrid, body: Body, spacing_known: bool) -> tuple[Notice, ...]:
    """Hold the trunk against what people have.

    Parameters
    ----------
    grid
        The way from the scan's own grid to the canonical one.
    body
        Of the canonical HU.
    spacing_known
        Whether the grid's spacing is the true one; where not, only the direction of the long axis is looked at.

    Returns
    -------
    tuple of Notice
        A doubtful size, a doubtful shape, pixels that are not square.

    Raises
    ------
    QualityError
        If the slices are not axial ones, or the trunk has a size that nobody has.
    """
    if spacing_known:
        _check_picture(grid)
    if not body.trunk.any():
        return ()
    _check_long_axis(grid, body)
    if not spacing_known:
        return ()
    width, depth = _width_and_depth(grid, body)
    _check_possible("wide", width, POSSIBLE_WIDTH_MM)
    _check_possible("deep", depth, POSSIBLE_DEPTH_MM)
    return tuple(_doubts(width, depth) + _pixels(grid))


def _width_and_depth(grid: CanonicalGrid, body: Body) -> tuple[float, float]:
    """Median width and depth of the trunk in mm, over the slices in which it is."""
    spacing = grid.geometry.spacing_zyx_mm
    sizes_mm = []
    for axis in (2, 1):
        present = np.asarray(body.trunk.any(axis=3 - axis))
        extents = [np.ptp(np.flatnonzero(row)) + 1 for row in present if row.any()]
        sizes_mm.append(float(np.median(extents)) * body.step[axis] * spacing[axis])
    return sizes_mm[0], sizes_mm[1]


def _check_picture(grid: CanonicalGrid) -> None:
    """Refuse a picture that is smaller than a body: in it, no body would be found."""
    (_, rows, columns), spacing = grid.geometry.shape_zyx, grid.geometry.spacing_zyx_mm
    for word, size, least in (
        ("wide", columns * spacing[2], POSSIBLE_WIDTH_MM[0]),
        ("high", rows * spacing[1], POSSIBLE_DEPTH_MM[0]),
    ):
        if size < least:
            raise refuse(
                "impossible-body",
                f"Slices at least {least:.0f} mm {word} were expected, as a body is, but by their voxel size these are "
                f"{size:.0f} mm {word}. The voxel size is wrong (in cm, perhaps): give the true spacing (slices, rows, "
                "columns in mm), or export the CT again.",
                round(size),
                least,
                "mm",
            )


def _check_possible(word: str, measured_mm: float, limits: tuple[float, float]) -> None:
    low, high = limits
    if low <= measured_mm <= high:
        return
    raise refuse(
        "impossible-body",
        f"A body {low:.0f} to {high:.0f} mm {word} was expected, but by its voxel size this one is "
        f"{measured_mm:.0f} mm {word}. The voxel size is wrong: give the true spacing (slices, rows, columns in mm), "
        "or export the CT again.",
        round(measured_mm),
        low if measured_mm < low else high,
        "mm",
    )


def _doubts(width: float, depth: float) -> list[Notice]:
    notices = []
    for word, size, (low, high) in (("wide", width, USUAL_WIDTH_MM), ("deep", depth, USUAL_DEPTH_MM)):
        if not low <= size <= high:
            who = "a small child" if size < low else "a very large patient"
            text = (
                f"By the voxel size the body is {size:.0f} mm {word}: {who}, or the voxel size is wrong "
                "and volumes with it. If it is, give the true one."
            )
            notices.append(Notice("body-size-doubtful", text, "warn", round(size), low if size < low else high, "mm"))
    ratio, (low, high) = width / depth, USUAL_WIDTH_PER_DEPTH
    if not low <= ratio <= high:
        text = (
            f"By the voxel size the body is {ratio:.1f} times as wide as deep ({width:.0f} and {depth:.0f} mm), which "
            "hardly anybody is: the spacing may be wrong or in another order. If it is, give the true one."
        )
        notices.append(
            Notice("body-shape-doubtful", text, "warn", round(ratio, 2), low if ratio < low else high, "times")
        )
    return notices


def _pixels(grid: CanonicalGrid) -> list[Notice]:
    """Warn of axial slices whose pixels are not square, where the slices of the file are the axial ones."""
    x, y, _ = grid.scan_geometry.spacing_xyz_mm
    ratio = max(x, y) / min(x, y)
    if grid.index_axis_of(2) != 2 or ratio <= MAX_PIXEL_RATIO:
        return []
    text = (
        f"The pixels of the slices are {x:.3g} x {y:.3g} mm, but pixels of a CT are square: the spacing may be in "
        "another order. Then volumes are right, but shapes are not: give the true spacing."
    )
    return [Notice("pixels-not-square", text, "warn", round(ratio, 3), MAX_PIXEL_RATIO, "times")]


def _check_long_axis(grid: CanonicalGrid, body: Body) -> None:
    """Refuse slices that are not across the body's long axis."""
    trunk = _trimmed(body.trunk)
    ends = [[float(trunk.take(end, axis).mean()) for end in (0, -1)] for axis in range(3)]
    for axis in (1, 2):
        if max(ends[axis]) >= max(MIN_LONG_AXIS_SHARE, MAX_LONGER_TIMES * max(ends[0])):
            # The long axis as an index axis of the file: 2 is the last of SimpleITK's, the slices of the file.
            along = grid.index_axis_of(2 - axis)
            way = "the slices of the file are axial ones: let them be taken for axial"
            if along != 2:
                way = (
                    f"the body lies along axis {along + 1} of the file and not along its slices, so the axes are in "
                    "another order: save the array with axes z, y, x (in SimpleITK's GetImageFromArray), or export the "
                    "CT again"
                )
            raise refuse(
                "not-axial",
                "Axial slices were expected, which cut through the body from the feet to the head, but by the header "
                f"the body is cut through at the ends of another axis ({100 * max(ends[axis]):.0f} % of its end plane, "
                f"{100 * max(ends[0]):.0f} % of the first and last slice). The orientation in the header is wrong; "
                f"{way}.",
                round(100 * max(ends[0]), 1),
                round(100 * max(ends[axis]) / MAX_LONGER_TIMES, 1),
                "%",
                hint="--assume-axial does that." if along == 2 else "",
            )


def _trimmed(trunk: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Cut planes without trunk off both ends of all axes: a CT may have been padded with air."""
    parts = []
    for axis in range(3):
        present = np.flatnonzero(trunk.any(axis=tuple(other for other in range(3) if other != axis)))
        parts.append(slice(int(present[0]), int(present[-1]) + 1))
    return trunk[tuple(parts)]
