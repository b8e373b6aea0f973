"""Harmless and harmful changes of a CT, each done equally to its masks; the benchmark of robustness and tests use them.

All take and give a `Sample`. Changes of the stored orientation alter the grid's direction, not the patient.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from CovidCTLib.geometry import Geometry
from CovidCTLib.hu import LOWEST_HU


@dataclass(frozen=True)
class Sample:
    """A CT on some grid with arrays that belong to it: ``labels`` go by nearest neighbour, ``maps`` linearly."""

    hu: NDArray[np.int16]
    geometry: Geometry
    labels: dict[str, NDArray[np.uint8]]
    maps: dict[str, NDArray[np.float32]]

    def on_all(self, change: Callable[[NDArray[Any]], NDArray[Any]], geometry: Geometry) -> Sample:
        """Do one change of indices to all arrays."""
        return Sample(
            np.ascontiguousarray(change(self.hu)),
            geometry,
            {name: np.ascontiguousarray(change(array)) for name, array in self.labels.items()},
            {name: np.ascontiguousarray(change(array)) for name, array in self.maps.items()},
        )

    def resampled(self, grid: sitk.Image, transform: sitk.Transform) -> Sample:
        """Bring all arrays to another grid."""

        def bring(array: NDArray[Any], how: int, fill: float) -> NDArray[Any]:
            image = self.geometry.to_image(array)
            return np.asarray(sitk.GetArrayFromImage(sitk.Resample(image, grid, transform, how, fill)))

        return Sample(
            bring(self.hu, sitk.sitkLinear, LOWEST_HU),
            Geometry.from_image(grid),
            {name: bring(array, sitk.sitkNearestNeighbor, 0) for name, array in self.labels.items()},
            {name: bring(array, sitk.sitkLinear, 0) for name, array in self.maps.items()},
        )

    def with_hu(self, hu: NDArray[Any]) -> Sample:
        """Replace the CT alone."""
        clipped = np.clip(np.rint(hu), LOWEST_HU, np.iinfo(np.int16).max)
        return replace(self, hu=clipped.astype(np.int16))


def permuted(sample: Sample, axes_zyx: tuple[int, int, int]) -> Sample:
    """Store the same patient with the array's axes in another order."""
    geometry = sample.geometry
    # Index axis a of SimpleITK (0 = i) is array axis 2 - a.
    order_xyz = [2 - axes_zyx[2 - a] for a in range(3)]
    shape = geometry.shape_zyx
    stored = Geometry(
        (shape[axes_zyx[0]], shape[axes_zyx[1]], shape[axes_zyx[2]]),
        tuple(geometry.spacing_xyz_mm[a] for a in order_xyz),
        geometry.origin_lps_mm,
        tuple(geometry.direction_matrix[:, order_xyz].ravel().tolist()),
    )
    return sample.on_all(lambda array: array.transpose(axes_zyx), stored)


def stored_backwards(sample: Sample, axes_zyx: tuple[int, ...]) -> Sample:
    """Store the same patient with some array axes running the other way."""
    geometry = sample.geometry
    direction, corner = geometry.direction_matrix.copy(), np.array([0.0, 0, 0, 1])
    for axis in axes_zyx:
        corner[2 - axis] = geometry.shape_zyx[axis] - 1
        direction[:, 2 - axis] *= -1
    origin = (geometry.ijk_to_lps @ corner)[:3]
    stored = replace(geometry, origin_lps_mm=tuple(origin.tolist()), direction_lps=tuple(direction.ravel().tolist()))
    return sample.on_all(lambda array: np.flip(array, axes_zyx), stored)


def mirrored(sample: Sample) -> Sample:
    """Turn the patient into the mirror image, as a lost flip does; lung labels 1 and 2 change their sides with it."""
    return sample.on_all(lambda array: array[:, :, ::-1], sample.geometry)


def turned(sample: Sample, degrees: float) -> Sample:
    """Turn the patient about the long axis of the body, on the same grid."""
    image = sample.geometry.to_image(sample.hu)
    middle = image.TransformContinuousIndexToPhysicalPoint([(size - 1) / 2 for size in image.GetSize()])
    turn = sitk.Euler3DTransform(middle, 0.0, 0.0, float(np.radians(degrees)))
    return sample.resampled(image, turn)


def with_slices_of(sample: Sample, spacing_mm: float) -> Sample:
    """Resample to slices of another distance; slices that grow thicker take the mean of what they cover."""
    geometry = sample.geometry
    old = geometry.spacing_xyz_mm[2]
    source, start = sample, (spacing_mm / old - 1) / 2
    if spacing_mm > old:
        # On a slice, not between two, where nearest neighbours would all be taken from one side.
        start = round(start)
        smooth = sitk.RecursiveGaussian(
            geometry.to_image(sample.hu.astype(np.float32)), spacing_mm / 2.355, False, 0, 2
        )
        source = sample.with_hu(sitk.GetArrayFromImage(smooth))
    count = max(2, round(geometry.shape_zyx[0] * old / spacing_mm))
    grid = sitk.Image([geometry.shape_zyx[2], geometry.shape_zyx[1], count], sitk.sitkInt16)
    grid.SetSpacing((*geometry.spacing_xyz_mm[:2], spacing_mm))
    grid.SetDirection(geometry.direction_lps)
    first = (geometry.ijk_to_lps @ np.array([0, 0, start, 1]))[:3]
    grid.SetOrigin(first.tolist())
    return source.resampled(grid, sitk.Transform())


def noisy(sample: Sample, sd_hu: float) -> Sample:
    """Add white noise."""
    noise = np.random.default_rng(0).normal(0, sd_hu, sample.hu.shape)
    return sample.with_hu(sample.hu + noise)


def shifted(sample: Sample, hu: float) -> Sample:
    """Add a constant to all HU."""
    return sample.with_hu(sample.hu + hu)


def without_third(sample: Sample, end: str) -> Sample:
    """Cut the lower (``base``) or upper (``apex``) third of the lungs off; canonical axial samples only."""
    where = np.flatnonzero(sample.labels["lungs"].any(axis=(1, 2)))
    third = (where[-1] + 1 - where[0]) // 3
    part = slice(int(where[0] + third), None) if end == "base" else slice(0, int(where[-1] + 1 - third))
    geometry = sample.geometry
    low = part.start or 0
    count = len(range(*part.indices(geometry.shape_zyx[0])))
    origin = (geometry.ijk_to_lps @ np.array([0, 0, low, 1]))[:3]
    cut = replace(geometry, shape_zyx=(count, *geometry.shape_zyx[1:]), origin_lps_mm=tuple(origin.tolist()))
    return sample.on_all(lambda array: array[part], cut)


def clipped(sample: Sample, high_hu: float) -> Sample:
    """Clip HU from above, as pictures for the lungs have it."""
    return sample.with_hu(np.minimum(sample.hu, high_hu))


def photographed(sample: Sample, low_hu: float, high_hu: float, levels: int) -> Sample:
    """Clip HU to a window and keep only some grey levels, then give them back as HU."""
    grey = np.rint((np.clip(sample.hu, low_hu, high_hu) - low_hu) / (high_hu - low_hu) * (levels - 1))
    return sample.with_hu(low_hu + grey * (high_hu - low_hu) / (levels - 1))


CHANGES: dict[str, Callable[[Sample], Sample]] = {
    "stored in order y, z, x": lambda s: permuted(s, (1, 0, 2)),
    "stored in order x, y, z": lambda s: permuted(s, (2, 1, 0)),
    "stored backwards": lambda s: stored_backwards(s, (0, 1, 2)),
    "stored head first": lambda s: stored_backwards(s, (0,)),
    "mirrored left to right": mirrored,
    "turned by 10 degrees": lambda s: turned(s, 10),
    "slices of 1 mm": lambda s: with_slices_of(s, 1),
    "slices of 5 mm": lambda s: with_slices_of(s, 5),
    "slices of 10 mm": lambda s: with_slices_of(s, 10),
    "noise of 25 HU": lambda s: noisy(s, 25),
    "noise of 50 HU": lambda s: noisy(s, 50),
    "HU + 30": lambda s: shifted(s, 30),
    "HU - 30": lambda s: shifted(s, -30),
    "base cut off": lambda s: without_third(s, "base"),
    "apex cut off": lambda s: without_third(s, "apex"),
    "clipped at 150 HU": lambda s: clipped(s, 150),
    "lung window, 8 bit": lambda s: photographed(s, -1350, 150, 256),
    "lung window, 32 levels": lambda s: photographed(s, -1350, 150, 32),
}
"""Changes by name."""

HARMLESS = ("stored in order y, z, x", "stored in order x, y, z", "stored backwards", "stored head first")
"""Changes that must change no voxel of the result."""
