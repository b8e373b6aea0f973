"""Grids in patient space, and the canonical axial orientation that the analysis works in.

Physical coordinates are LPS in mm (DICOM, SimpleITK). Arrays are indexed ``[z, y, x]``; SimpleITK tuples are
``(x, y, z)``. The *canonical* orientation of an array has z from inferior to superior, y from anterior to
posterior, and x from the patient's right to the left, so that ``array[k]`` is an axial slice in the
radiological convention: the patient's right is on the left of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import InputError

if TYPE_CHECKING:
    # Loaded where it is used: it takes 98 MB, which Slicer should not spend at its start.
    import SimpleITK as sitk

OBLIQUE_TOLERANCE_DEG = 10.0
"""Up to this angle between a grid axis and its nearest patient axis, slices count as axial and are not resampled."""

GRID_TOLERANCE_VOXELS = 0.01
"""Two grids are the same where no corner voxel lies further apart than this share of the smallest spacing, inclusive:
rounding in single precision is a thousand times less, and nothing that is measured changes by it."""

_RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Geometry:
    """The grid of a volume in LPS space.

    Parameters
    ----------
    shape_zyx
        Number of voxels along the array's axes.
    spacing_xyz_mm
        Distance of voxel centres along the index axes i, j, k (SimpleITK order), in mm.
    origin_lps_mm
        Centre of voxel ``[0, 0, 0]``.
    direction_lps
        Nine numbers, row by row, of the direction matrix whose columns are the unit vectors of the index axes
        i, j, k (SimpleITK's convention).

    Raises
    ------
    InputError
        If the spacing is not positive and finite, or the direction matrix is not orthonormal.
    """

    shape_zyx: tuple[int, int, int]
    spacing_xyz_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin_lps_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction_lps: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        spacing = np.asarray(self.spacing_xyz_mm, dtype=float)
        if spacing.shape != (3,) or not np.all(np.isfinite(spacing)) or np.any(spacing <= 0):
            raise InputError(
                f"The voxel spacing must be three positive numbers in mm, not {self.spacing_xyz_mm}. "
                "Correct the header of the image."
            )
        direction = np.asarray(self.direction_lps, dtype=float)
        orthonormal = (
            direction.shape == (9,)
            and np.all(np.isfinite(direction))
            and np.allclose(direction.reshape(3, 3).T @ direction.reshape(3, 3), np.eye(3), atol=1e-3)
        )
        if not orthonormal:
            raise InputError(
                "The direction matrix must hold three perpendicular unit vectors; this image has sheared or missing "
                "axes. Resample it to a rectangular grid (for example in 3D Slicer) and try again."
            )

    @classmethod
    def from_image(cls, image: sitk.Image) -> Geometry:
        """Take the grid of a 3D SimpleITK image."""
        x, y, z = image.GetSize()
        return cls((z, y, x), image.GetSpacing(), image.GetOrigin(), image.GetDirection())

    @property
    def spacing_zyx_mm(self) -> tuple[float, float, float]:
        """Spacing in the order of the array's axes, in mm."""
        x, y, z = self.spacing_xyz_mm
        return z, y, x

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel in mm3."""
        return float(np.prod(self.spacing_xyz_mm))

    @property
    def direction_matrix(self) -> NDArray[np.float64]:
        """Direction as a 3 x 3 array, columns are the index axes i, j, k in LPS."""
        return np.asarray(self.direction_lps, dtype=float).reshape(3, 3)

    @property
    def ijk_to_lps(self) -> NDArray[np.float64]:
        """4 x 4 matrix from the index (i, j, k, 1) to LPS in mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.direction_matrix * np.asarray(self.spacing_xyz_mm)
        matrix[:3, 3] = self.origin_lps_mm
        return matrix

    @property
    def ijk_to_ras(self) -> NDArray[np.float64]:
        """4 x 4 matrix from the index (i, j, k, 1) to RAS in mm (Slicer, NIfTI)."""
        return _RAS_FROM_LPS @ self.ijk_to_lps

    def distance_mm(self, ijk_to_lps: NDArray[np.float64]) -> float:
        """Compute how far another grid of the same shape lies from this one.

        Parameters
        ----------
        ijk_to_lps
            Shape ``(4, 4)``, the other grid's matrix from the index to LPS in mm.

        Returns
        -------
        float
            Largest distance of two corner voxels of the same index, in mm; along an axis of one voxel a second one is
            imagined, so that its spacing and direction count too. NaN where the matrix is not finite.
        """
        ends = [(0.0, float(max(size - 1, 1))) for size in self.shape_zyx[::-1]]
        corners = np.array(np.meshgrid(*ends, indexing="ij")).reshape(3, -1)
        apart = ((self.ijk_to_lps - ijk_to_lps) @ np.vstack([corners, np.ones(corners.shape[1])]))[:3]
        return float(np.sqrt((apart**2).sum(axis=0)).max())

    def lies_on(self, ijk_to_lps: NDArray[np.float64]) -> bool:
        """Whether another grid of the same shape is this one, within `GRID_TOLERANCE_VOXELS`."""
        return self.distance_mm(ijk_to_lps) <= GRID_TOLERANCE_VOXELS * min(self.spacing_xyz_mm)

    def to_image(self, array: NDArray[Any]) -> sitk.Image:
        """Put an array of shape ``shape_zyx`` on this grid as a SimpleITK image.

        Raises
        ------
        InputError
            If the array's shape is not that of the grid.
        """
        if array.shape != self.shape_zyx:
            raise InputError(
                f"The array has shape {array.shape}; the grid needs {self.shape_zyx}. Give the two that belong "
                "together."
            )
        import SimpleITK as sitk

        image = sitk.GetImageFromArray(np.ascontiguousarray(array))
        image.SetSpacing(self.spacing_xyz_mm)
        image.SetOrigin(self.origin_lps_mm)
        image.SetDirection(self.direction_lps)
        return image


@dataclass(frozen=True)
class CanonicalGrid:
    """The way from a scan's own grid to the canonical axial orientation and back.

    Where the scan's axes lie within `OBLIQUE_TOLERANCE_DEG` of the patient's axes, the way is a permutation and
    flips (arrays are views, nothing is interpolated). Otherwise the scan is resampled to a grid along the patient's
    axes, linearly for HU, and labels return by nearest neighbour.
    """

    scan_geometry: Geometry

    @cached_property
    def _axes(self) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
        """Per patient axis (L, P, S): the index axis (0 = i) nearest to it, and whether it runs backwards."""
        direction = self.scan_geometry.direction_matrix
        remaining = np.abs(direction).copy()
        index_axis = [0, 0, 0]
        for _ in range(3):
            # The strongest alignment is settled first, so that oblique grids get a permutation too.
            patient, index = np.unravel_index(int(np.argmax(remaining)), (3, 3))
            index_axis[int(patient)] = int(index)
            remaining[patient, :] = -1
            remaining[:, index] = -1
        order = (index_axis[0], index_axis[1], index_axis[2])
        flipped = tuple(bool(direction[patient, order[patient]] < 0) for patient in range(3))
        return order, (flipped[0], flipped[1], flipped[2])

    def index_axis_of(self, patient_axis: int) -> int:
        """Give the index axis (0 = i) along a patient axis: 0 right to left, 1 front to back, 2 feet to head."""
        return self._axes[0][patient_axis]

    @cached_property
    def angle_deg(self) -> float:
        """Largest angle between a grid axis and the patient axis nearest to it, in degrees."""
        order, _ = self._axes
        cosines = [abs(self.scan_geometry.direction_matrix[patient, order[patient]]) for patient in range(3)]
        return float(np.degrees(np.arccos(np.clip(min(cosines), 0, 1))))

    @property
    def resamples(self) -> bool:
        """Whether the scan is so oblique that it is resampled."""
        return self.angle_deg > OBLIQUE_TOLERANCE_DEG

    @cached_property
    def _permuted(self) -> Geometry:
        """The own grid after permutation and flips alone."""
        order, flipped = self._axes
        scan_geometry = self.scan_geometry
        size_ijk = scan_geometry.shape_zyx[::-1]
        corner = [size_ijk[order[a]] - 1 if flipped[a] else 0 for a in range(3)]
        index = np.zeros(4)
        index[3] = 1
        for a in range(3):
            index[order[a]] = corner[a]
        origin = (scan_geometry.ijk_to_lps @ index)[:3]
        columns = np.stack(
            [scan_geometry.direction_matrix[:, order[a]] * (-1 if flipped[a] else 1) for a in range(3)], axis=1
        )
        return Geometry(
            (size_ijk[order[2]], size_ijk[order[1]], size_ijk[order[0]]),
            tuple(scan_geometry.spacing_xyz_mm[order[a]] for a in range(3)),  # type: ignore[arg-type]
            tuple(float(v) for v in origin),  # type: ignore[arg-type]
            tuple(float(v) for v in columns.ravel()),
        )

    @cached_property
    def geometry(self) -> Geometry:
        """The canonical grid."""
        permuted = self._permuted
        if not self.resamples:
            return permuted
        size = np.asarray(permuted.shape_zyx[::-1])
        corners = np.array(np.meshgrid(*[(0, s - 1) for s in size], indexing="ij")).reshape(3, -1)
        lps = (permuted.ijk_to_lps @ np.vstack([corners, np.ones(corners.shape[1])]))[:3]
        low, high = lps.min(axis=1), lps.max(axis=1)
        spacing = np.asarray(permuted.spacing_xyz_mm)
        shape = np.floor((high - low) / spacing + 1e-6).astype(int) + 1
        return Geometry(
            (int(shape[2]), int(shape[1]), int(shape[0])),
            permuted.spacing_xyz_mm,
            tuple(float(v) for v in low),  # type: ignore[arg-type]
        )

    def take(self, array: NDArray[Any], fill: float, labels: bool = False) -> NDArray[Any]:
        """Bring an array from the scan's grid to the canonical one.

        Parameters
        ----------
        array
            Shape ``scan_geometry.shape_zyx``.
        fill
            Value where the canonical grid reaches beyond the scan (only when it resamples).
        labels
            Nearest neighbour if true, else linear (only matters when the grid resamples): between a left and a right
            lung, labelled 2 and 0, there is no 1.

        Returns
        -------
        ndarray
            Shape ``geometry.shape_zyx``, same dtype; a view of the input unless the grid resamples.

        Raises
        ------
        InputError
            If the array has another shape.
        """
        order, flipped = self._axes
        if array.shape != self.scan_geometry.shape_zyx:
            raise InputError(f"The array has shape {array.shape}; the scan's grid is {self.scan_geometry.shape_zyx}.")
        if self.resamples:
            return _resampled(self.scan_geometry.to_image(array), self.geometry, labels, fill)
        # Array axis of index axis a is 2 - a; the canonical array's axes (z, y, x) are the patient's (S, P, L).
        moved = array.transpose(tuple(2 - order[patient] for patient in (2, 1, 0)))
        return moved[tuple(slice(None, None, -1 if flipped[patient] else 1) for patient in (2, 1, 0))]

    def give_back(self, array: NDArray[Any], labels: bool = True) -> NDArray[Any]:
        """Bring an array from the canonical grid back to the scan's own grid.

        Parameters
        ----------
        array
            Shape ``geometry.shape_zyx``.
        labels
            Nearest neighbour if true, else linear (only matters when the grid resamples).

        Returns
        -------
        ndarray
            Shape ``scan_geometry.shape_zyx``, contiguous, same dtype. Zero where the canonical grid does not reach.

        Raises
        ------
        InputError
            If the array has another shape.
        """
        order, flipped = self._axes
        if array.shape != self.geometry.shape_zyx:
            raise InputError(f"The array has shape {array.shape}; the axial grid is {self.geometry.shape_zyx}.")
        if self.resamples:
            return _resampled(self.geometry.to_image(array), self.scan_geometry, labels, 0.0)
        unflipped = array[tuple(slice(None, None, -1 if flipped[patient] else 1) for patient in (2, 1, 0))]
        forward = tuple(2 - order[patient] for patient in (2, 1, 0))
        return np.ascontiguousarray(unflipped.transpose(tuple(int(i) for i in np.argsort(forward))))


def _resampled(image: sitk.Image, grid: Geometry, labels: bool, fill: float) -> NDArray[Any]:
    """Bring an image to another grid, by the nearest neighbour or linearly; ``fill`` where it does not reach."""
    import SimpleITK as sitk

    # A grid to resample to; one bit of memory per voxel would do, ITK's smallest is a byte.
    empty = sitk.Image([int(s) for s in grid.shape_zyx[::-1]], sitk.sitkUInt8)
    empty.SetSpacing(grid.spacing_xyz_mm)
    empty.SetOrigin(grid.origin_lps_mm)
    empty.SetDirection(grid.direction_lps)
    method = sitk.sitkNearestNeighbor if labels else sitk.sitkLinear
    return np.asarray(sitk.GetArrayFromImage(sitk.Resample(image, empty, sitk.Transform(), method, fill)))
