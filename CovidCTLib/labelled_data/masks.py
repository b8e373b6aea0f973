"""Mask files of CT volumes: their labels, held against the grid of the CT."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from CovidCTLib.errors import InputError, TrainingDataError
from CovidCTLib.geometry import CanonicalGrid, Geometry

GRID_TOLERANCE_VOXELS = 0.25
"""A corner of a mask may lie this far from that of its CT: a mask that is off by less labels the same voxels, and
headers are rounded to tenths of a millimetre by some programs."""

_SAME = 1e-5
"""Relative difference of spacings and directions, and mm of origins, from which a message names them."""


def read_mask(path: Path, like: Geometry, highest: int, *, unlabelled: int | None = None) -> NDArray[np.uint8]:
    """Read a mask and hold it against its CT.

    Parameters
    ----------
    path
        The mask file.
    like
        Grid of the CT.
    highest
        Highest label that it may hold.
    unlabelled
        One more value that it may hold, where nobody looked; None allows none.

    Returns
    -------
    ndarray
        uint8, labels from 0 to `highest`, and `unlabelled`, in the canonical axial orientation.

    Raises
    ------
    TrainingDataError
        If the file cannot be read, is not 3D with one value a voxel, has another grid than its CT, or holds other
        labels.
    """
    from CovidCTLib.reading.integrity import check_complete

    try:
        check_complete(path)
        image = sitk.ReadImage(str(path))
    except (InputError, RuntimeError) as error:
        raise TrainingDataError(f"The mask {path.name} cannot be read. Export it again as NIfTI.") from error
    parts = image.GetNumberOfComponentsPerPixel()
    if image.GetDimension() != 3 or parts != 1:
        raise TrainingDataError(
            f"The mask {path.name} must be 3D with one label a voxel, but has {image.GetDimension()} dimensions and "
            f"{parts} value{'s' * (parts != 1)} a voxel. Export it as one labelmap."
        )
    try:
        geometry = Geometry.from_image(image)
    except InputError as error:
        raise TrainingDataError(f"The mask {path.name}: {error}") from error
    _check_grid(path, geometry, like)
    labels = sitk.GetArrayFromImage(image)
    if wrong := _wrong_labels(labels if unlabelled is None else np.where(labels == unlabelled, 0, labels), highest):
        besides = "" if unlabelled is None else f", or {unlabelled} where nothing was labelled"
        raise TrainingDataError(
            f"The mask {path.name} must hold whole numbers from 0 to {highest}{besides}, but {wrong}. Correct the mask."
        )
    return np.ascontiguousarray(CanonicalGrid(geometry).take(labels.astype(np.uint8), 0, labels=True))


def _wrong_labels(labels: NDArray[Any], highest: int) -> str:
    """Say what is wrong with labels; empty where nothing is."""
    if labels.dtype.kind == "f":
        broken = labels != np.rint(labels)
        if broken.any():
            return f"holds {labels.flat[broken.argmax()]:g}"
    low, high = labels.min(), labels.max()
    return f"goes from {low:g} to {high:g}" if low < 0 or high > highest else ""


def _check_grid(path: Path, grid: Geometry, expected: Geometry) -> None:
    """Refuse a mask whose corners are not those of its CT, and say what differs."""
    if grid.shape_zyx == expected.shape_zyx and corner_distance_voxels(grid, expected) <= GRID_TOLERANCE_VOXELS:
        return
    differences = []
    if grid.shape_zyx != expected.shape_zyx:
        differences.append(f"{_by(grid.shape_zyx[::-1])} instead of {_by(expected.shape_zyx[::-1])} voxels")
    if not np.allclose(grid.spacing_xyz_mm, expected.spacing_xyz_mm, rtol=_SAME, atol=0):
        differences.append(f"spacing {_by(grid.spacing_xyz_mm)} instead of {_by(expected.spacing_xyz_mm)} mm")
    if not np.allclose(grid.origin_lps_mm, expected.origin_lps_mm, rtol=0, atol=_SAME):
        differences.append(f"origin {_list(grid.origin_lps_mm)} instead of {_list(expected.origin_lps_mm)} mm")
    if not np.allclose(grid.direction_lps, expected.direction_lps, rtol=0, atol=_SAME):
        differences.append(f"direction {_list(grid.direction_lps)} instead of {_list(expected.direction_lps)}")
    raise TrainingDataError(
        f"The mask {path.name} must lie on the grid of its CT, but has {'; '.join(differences)}. Resample it to the "
        "CT's grid."
    )


def corner_distance_voxels(grid: Geometry, expected: Geometry) -> float:
    """Measure how far the corners of a grid lie from those of another one.

    Parameters
    ----------
    grid, expected
        Grids of one shape.

    Returns
    -------
    float
        Largest distance along any index axis, in voxels of `expected`.
    """
    ends = [(0, size - 1) for size in expected.shape_zyx[::-1]]
    corners = np.array(np.meshgrid(*ends, indexing="ij"), float).reshape(3, -1)
    corners = np.vstack([corners, np.ones(corners.shape[1])])
    moved = np.linalg.solve(expected.ijk_to_lps, grid.ijk_to_lps @ corners)
    return float(np.abs(moved - corners).max())


def _by(values: Sequence[float]) -> str:
    return " x ".join(f"{value:.6g}" for value in values)


def _list(values: Sequence[float]) -> str:
    # A zero without a sign.
    return f"({', '.join(f'{value + 0.0:.6g}' for value in values)})"
