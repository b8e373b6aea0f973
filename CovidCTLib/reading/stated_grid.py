"""A grid as a header states it, which need not be rectangular; and how it becomes one that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from CovidCTLib.errors import InputError, Notice
from CovidCTLib.geometry import Geometry
from CovidCTLib.hu import LOWEST_HU

MAX_ROUNDING_SHEAR_DEG = 0.5
"""Axes off a right angle by at most this, inclusive, are straightened: half a pixel in a stack of 60 slices as far
apart as pixels are wide. NIfTI headers in single precision have up to some hundredths of a degree."""

NOTED_SHEAR_DEG = 0.1
"""Straightened axes are told from here on, exclusive; less is rounding."""

MAX_SHEAR_DEG = 45.0
"""Largest angle that is resampled, inclusive: gantries tilt up to 30 degrees."""

MAX_TURNED_DEG = 5.0
"""Two statements of one header that are turned against each other by more than this are told."""

SAME_SIZE_SHARE = 0.01
"""Two voxel sizes are the same within this share, inclusive; headers round to two decimals."""

_SIDES = (("right", "left"), ("front", "back"), ("feet", "head"))


@dataclass(frozen=True)
class StatedGrid:
    """Steps from voxel to voxel and the first voxel.

    Parameters
    ----------
    steps_lps_mm
        Nine numbers, row by row: the columns are the steps along i, j and k in LPS, in mm.
    origin_lps_mm
        Centre of voxel ``[0, 0, 0]``.
    """

    steps_lps_mm: tuple[float, ...]
    origin_lps_mm: tuple[float, float, float]

    @classmethod
    def of(cls, steps: NDArray[np.float64], origin: NDArray[np.float64]) -> StatedGrid:
        """Make it of steps, shape ``(3, 3)``, and an origin, shape ``(3,)``."""
        x, y, z = (float(v) for v in origin)
        return cls(tuple(float(v) for v in steps.ravel()), (x, y, z))

    @property
    def steps(self) -> NDArray[np.float64]:
        """The steps as a 3 x 3 array."""
        return np.asarray(self.steps_lps_mm, dtype=float).reshape(3, 3)

    @property
    def spacing_xyz_mm(self) -> tuple[float, float, float]:
        """Lengths of the steps in mm."""
        x, y, z = (float(v) for v in np.linalg.norm(self.steps, axis=0))
        return x, y, z

    @property
    def unit_steps(self) -> NDArray[np.float64]:
        """Directions of the steps, columns of length 1."""
        return np.asarray(self.steps / np.linalg.norm(self.steps, axis=0))

    @property
    def shear_deg(self) -> float:
        """How far two axes are off a right angle at most, in degrees."""
        cosines = np.abs(self.unit_steps.T @ self.unit_steps - np.eye(3))
        return float(np.degrees(np.arcsin(min(float(cosines.max()), 1.0))))

    @property
    def sides(self) -> str:
        """Where the three axes lead, in words, such as ``"left, back, head"``."""
        words = []
        for column in self.unit_steps.T:
            axis = int(np.argmax(np.abs(column)))
            words.append(_SIDES[axis][int(column[axis] > 0)])
        return ", ".join(words)

    def turned_deg(self, other: StatedGrid) -> float:
        """Largest angle between the same axes of two grids, in degrees."""
        cosines = (self.unit_steps * other.unit_steps).sum(axis=0)
        return float(np.degrees(np.arccos(np.clip(cosines.min(), -1, 1))))


def same_sizes(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Tell whether voxel sizes are alike within `SAME_SIZE_SHARE`."""
    return all(abs(a - b) <= SAME_SIZE_SHARE * max(abs(a), abs(b)) for a, b in zip(one, other, strict=True))


def in_mm(sizes: tuple[float, ...]) -> str:
    """Name voxel sizes."""
    return " x ".join(f"{size:.4g}" for size in sizes) + " mm"


def straightened(hu: NDArray[np.int16], grid: StatedGrid) -> tuple[NDArray[np.int16], Geometry, tuple[Notice, ...]]:
    """Bring voxels on a stated grid to a rectangular one.

    Parameters
    ----------
    hu
        int16 HU, shape ``(z, y, x)``.
    grid
        As the header states it.

    Returns
    -------
    tuple
        The voxels, as they are where the axes are off a right angle by at most `MAX_ROUNDING_SHEAR_DEG`, else resampled
        linearly; their grid; and a notice where it is told.

    Raises
    ------
    InputError
        If the axes are off a right angle by more than `MAX_SHEAR_DEG`.
    """
    angle = grid.shear_deg
    shape = (hu.shape[0], hu.shape[1], hu.shape[2])
    if angle <= MAX_ROUNDING_SHEAR_DEG:
        # The nearest rotation (polar decomposition).
        left, _, right = np.linalg.svd(grid.unit_steps)
        direction = tuple(float(v) for v in (left @ right).ravel())
        geometry = Geometry(shape, grid.spacing_xyz_mm, grid.origin_lps_mm, direction)
        return hu, geometry, _straightened_notice(angle)
    if angle > MAX_SHEAR_DEG:
        raise InputError(
            f"Axes at right angles, or sheared by at most {MAX_SHEAR_DEG:g} degrees (a tilted gantry), were expected, "
            f"but the header has axes {angle:.0f} degrees off. Correct the header, or resample the CT to a rectangular "
            "grid (for example in 3D Slicer)."
        )
    return _resampled(hu, grid, angle)


def _straightened_notice(angle: float) -> tuple[Notice, ...]:
    if angle <= NOTED_SHEAR_DEG:
        return ()
    text = (
        f"The axes in the header are off a right angle by {angle:.2f} degrees; they were straightened, which moves no "
        "voxel by more than a pixel or two."
    )
    return (Notice("axes-straightened", text, "note", round(angle, 3), NOTED_SHEAR_DEG, "degrees"),)


def _resampled(
    hu: NDArray[np.int16], grid: StatedGrid, angle: float
) -> tuple[NDArray[np.int16], Geometry, tuple[Notice, ...]]:
    """Resample sheared slices to a rectangular grid; the two axes nearest to a right angle are those of the slices."""
    units, sizes = grid.unit_steps, np.asarray(grid.spacing_xyz_mm)
    pairs = ((0, 1, 2), (0, 2, 1), (1, 2, 0))
    first, second, through = min(pairs, key=lambda pair: abs(float(units[:, pair[0]] @ units[:, pair[1]])))
    axes = np.empty((3, 3))
    axes[:, first] = units[:, first]
    across = units[:, second] - (units[:, second] @ units[:, first]) * units[:, first]
    axes[:, second] = across / np.linalg.norm(across)
    normal = np.cross(axes[:, first], axes[:, second])
    axes[:, through] = normal * np.sign(normal @ units[:, through])
    spacing = sizes.copy()
    spacing[second] *= float(axes[:, second] @ units[:, second])
    spacing[through] *= float(axes[:, through] @ units[:, through])
    # Steps of the voxels along the new axes; the new grid holds them all.
    steps = axes.T @ grid.steps
    far = np.asarray(hu.shape[::-1]) - 1
    corners = steps @ np.array(np.meshgrid(*[(0, n) for n in far], indexing="ij")).reshape(3, -1)
    low, high = corners.min(axis=1), corners.max(axis=1)
    size = np.ceil((high - low) / spacing - 1e-6).astype(int) + 1
    image = sitk.GetImageFromArray(np.ascontiguousarray(hu))
    transform = sitk.AffineTransform(3)
    inverse = np.linalg.inv(steps)
    transform.SetMatrix([float(v) for v in inverse.ravel()])
    moved = sitk.Resample(
        image,
        [int(n) for n in size],
        transform,
        sitk.sitkLinear,
        [float(v) for v in low],
        [float(v) for v in spacing],
        [1.0, 0, 0, 0, 1, 0, 0, 0, 1],
        float(LOWEST_HU),
    )
    origin = np.asarray(grid.origin_lps_mm) + axes @ low
    geometry = Geometry(
        (int(size[2]), int(size[1]), int(size[0])),
        (float(spacing[0]), float(spacing[1]), float(spacing[2])),
        (float(origin[0]), float(origin[1]), float(origin[2])),
        tuple(float(v) for v in axes.ravel()),
    )
    text = (
        f"The axes in the header are sheared by {angle:.1f} degrees, as by a tilted gantry; the slices were resampled "
        "to a rectangular grid."
    )
    notice = Notice("gantry-tilt", text, "warn", round(angle, 2), MAX_ROUNDING_SHEAR_DEG, "degrees")
    return sitk.GetArrayFromImage(moved), geometry, (notice,)
