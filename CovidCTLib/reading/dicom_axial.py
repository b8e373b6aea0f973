"""Series whose place in space was lost, taken for axial stacks where the user asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from CovidCTLib.errors import InputError, Notice
from CovidCTLib.geometry import Geometry
from CovidCTLib.reading.dicom_headers import Frame
from CovidCTLib.scan import Scan

AXIAL_ORIENTATION = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
"""Columns run to the patient's left, rows to the back: a patient on the back, head first (DICOM PS3.3, C.7.6.2)."""


def assume_axial(frames: Sequence[Frame]) -> tuple[tuple[Frame, ...], tuple[Notice, ...]]:
    """Lay slices one above the other as axial ones, whatever orientation their headers give.

    Parameters
    ----------
    frames
        Slices of one series.

    Returns
    -------
    tuple
        The slices with an axial orientation, and a notice. Heights are, whatever is there first: the z of the
        positions, SliceLocation, or InstanceNumber times the slice distance, counted from the head down.

    Raises
    ------
    InputError
        If neither is there for all slices.
    """
    heights, source = _heights(frames)
    laid = []
    for frame, height in zip(frames, heights, strict=True):
        x, y, _ = frame.position_lps_mm or (0.0, 0.0, 0.0)
        if source != "positions":
            x, y = 0.0, 0.0
        laid.append(replace(frame, position_lps_mm=(x, y, height), orientation_lps=AXIAL_ORIENTATION))
    return tuple(laid), (_notice(f"heights from {source}"),)


def scan_as_axial(scan: Scan) -> Scan:
    """Take a volume file's slices for axial ones from feet to head, whatever directions its header gives.

    Parameters
    ----------
    scan
        As it was read; spacing and first voxel stay.
    """
    grid = scan.geometry
    geometry = Geometry(grid.shape_zyx, grid.spacing_xyz_mm, grid.origin_lps_mm)
    return replace(scan, geometry=geometry, notices=(*scan.notices, _notice("the slices in the file's order")))


def _notice(how: str) -> Notice:
    return Notice(
        "assumed-axial",
        f"The slices were taken for axial ones, as was asked for ({how}); left and right, front and back, head and "
        "feet cannot be checked.",
    )


def _heights(frames: Sequence[Frame]) -> tuple[list[float], str]:
    positions = [None if frame.position_lps_mm is None else frame.position_lps_mm[2] for frame in frames]
    locations = [frame.location_mm for frame in frames]
    for values, source in ((positions, "positions"), (locations, "slice locations")):
        heights = [value for value in values if value is not None]
        if len(heights) == len(frames) and len(set(heights)) > 1:
            return heights, source
    numbers = [frame.number for frame in frames]
    distances = {frame.distance_mm for frame in frames}
    distance = next(iter(distances))
    counted = [number for number in numbers if number is not None]
    if len(set(counted)) < len(frames) or len(distances) > 1 or distance is None or distance <= 0:
        raise InputError(
            "Slices with heights were expected (ImagePositionPatient, SliceLocation, or InstanceNumber and one slice "
            f"distance), but {len(frames)} slices have none that tells them apart. Export the series again from the "
            "archive."
        )
    return [-distance * number for number in counted], "image numbers"
