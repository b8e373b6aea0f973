"""A synthetic chest CT of known volumes: the sample of ``covidct demo``, and the yardstick of the tests.

Its lungs and opacities (`CovidCTLib.phantom_anatomy`) have a closed form of their volumes, so none has to be counted.
Coordinates are LPS in mm, as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidCTLib import phantom_tissues as tissues
from CovidCTLib.errors import InputError
from CovidCTLib.geometry import CanonicalGrid, Geometry
from CovidCTLib.hu import LOWEST_HU
from CovidCTLib.labels import OPACITY_CONSOLIDATION, OPACITY_GGO
from CovidCTLib.phantom_anatomy import (
    LEFT_LUNG,
    RIGHT_LUNG,
    Lung,
    air_bronchograms,
    exact_volumes_ml,
    lesion_surfaces,
    vessel_tree,
)
from CovidCTLib.phantom_tissues import Field, Grid, paint
from CovidCTLib.scan import Scan, ScanFacts

LUNG_CENTRE_Z_MM = 118.0
"""Height of the middle of the lungs, which lies in the middle of the grid."""

SMALLEST_EXTENT_ZYX_MM = (240.0, 200.0, 280.0)
"""Smallest field of view that holds both lungs whole, in mm."""

LARGEST_SPACING_MM = 8.0
"""Coarser voxels cannot show the opacities (the smallest has a radius of 11 mm)."""

_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
_LUNG_HU, _LUNG_SD_HU = -865.0, (14.0, 18.0)
_GRAVITY_HU_PER_MM = 0.45
_VESSEL_HU = 45.0

_GGO_HU, _GGO_SD_HU = -560.0, (85.0, 55.0)
_CONSOLIDATION_HU, _CONSOLIDATION_SD_HU = -130.0, (85.0, 55.0)
"""Means, and standard deviations of coarse and of fine grain (after and before smoothing by 2 mm), in HU, as measured
inside the masks of the shared set ``volumes`` (MedSeg's, 6 cases): ground glass has means of -422 to -579 HU (median
case -552), coarse 77 to 112, fine 55 to 137; consolidation of the cases with over 50 ml -101 to -233 HU, coarse 78 to
114, fine 54 to 117."""

_CONSOLIDATION_RANGE_HU = (-550.0, 90.0)
_COARSE_MM, _FINE_MM = 4.0, 1.0
_GGO_EDGE_MM, _CONSOLIDATION_EDGE_MM, _RAGGED_MM = 7.0, 4.0, 1.5
"""Width over which an opacity fades into what lies around it, and standard deviation of its edge's place, in mm."""

_BRONCHUS_HU, _BRONCHUS_RADIUS_MM = -900.0, 1.4


@dataclass(frozen=True)
class Phantom:
    """A synthetic chest CT with its truth.

    Parameters
    ----------
    scan
        The CT, int16 HU.
    lungs
        uint8, same shape as the scan: 0 background, 1 right, 2 left; vessels and opacities included, trachea and
        main bronchi excluded.
    opacities
        uint8, same shape: 0 none, 1 ground-glass opacity, 2 consolidation.
    volumes_ml
        Exact volumes in ml from their closed forms, by ``right_lung``, ``left_lung``, ``lungs``, ``ggo``,
        ``consolidation`` and ``opacities``.
    """

    scan: Scan
    lungs: NDArray[np.uint8]
    opacities: NDArray[np.uint8]
    volumes_ml: Mapping[str, float]


def _check(
    shape_zyx: tuple[int, int, int],
    spacing_zyx_mm: tuple[float, float, float],
    noise_hu: float,
    matrix: NDArray[np.float64],
) -> None:
    if not all(0 < s <= LARGEST_SPACING_MM for s in spacing_zyx_mm):
        raise InputError(
            f"The phantom's voxels must be over 0 and at most {LARGEST_SPACING_MM:g} mm along each axis, not "
            f"{spacing_zyx_mm} mm. Choose a finer spacing."
        )
    extent = tuple(n * s for n, s in zip(shape_zyx, spacing_zyx_mm, strict=True))
    if any(e < smallest for e, smallest in zip(extent, SMALLEST_EXTENT_ZYX_MM, strict=True)):
        raise InputError(
            f"The phantom's lungs need a field of view of at least {SMALLEST_EXTENT_ZYX_MM} mm (z, y, x), but "
            f"{shape_zyx} voxels of {spacing_zyx_mm} mm give {tuple(round(e, 1) for e in extent)} mm. Give more voxels."
        )
    if not 0 <= noise_hu <= 200:
        raise InputError(f"The phantom's noise must lie within 0 and 200 HU, not {noise_hu}.")
    permutes = matrix.shape == (3, 3) and np.array_equal(np.sort(np.abs(matrix), axis=0), np.sort(np.eye(3), axis=0))
    if not permutes or not np.array_equal(np.abs(matrix).sum(axis=1), np.ones(3)):
        raise InputError(
            "The phantom's direction must be a permutation of the patient's axes with flips (each row and column one "
            "1 or -1, the rest 0). Resample the phantom for an oblique grid."
        )


def _paint_lung(
    hu: Field,
    lungs: NDArray[np.uint8],
    opacities: NDArray[np.uint8],
    lung: Lung,
    grid: Grid,
    diseased: bool,
    rng: np.random.Generator,
) -> None:
    """Draw one lung with its ribs, opacities and vessels, and set its labels, all in place."""
    low_x, high_x = sorted((lung.sign * 5.0, lung.sign * 170.0))
    part = grid.box((-60, -108, low_x), (300, 122, high_x))
    z, y, x = grid.axes(part)
    view = hu[part]
    u, v, w = lung.to_unit(z, y, x)
    wall = np.sqrt(u**2 + v**2 + np.maximum(w, 0) ** 2) - 1
    tissues.paint_ribs(view, tissues.distance_mm(wall, grid.spacing), u, z, y, grid)
    notch = lung.notch_radius - np.sqrt((u - lung.notch[0]) ** 2 + (v - lung.notch[1]) ** 2 + (w - lung.notch[2]) ** 2)
    surface = np.maximum(np.maximum(wall, -w), notch)
    inside = surface < 0
    lungs[part][inside] = lung.label

    share = tissues.coverage(surface)
    coarse = tissues.smooth_noise(rng, view.shape, grid.spacing, _COARSE_MM)
    fine = tissues.smooth_noise(rng, view.shape, grid.spacing, _FINE_MM)
    paint(view, share, _LUNG_HU + _GRAVITY_HU_PER_MM * y + _LUNG_SD_HU[0] * coarse + _LUNG_SD_HU[1] * fine)
    ground_glass, solid = lesion_surfaces(lung, u, v, w, (z, y, x), diseased)
    if diseased:
        faded = tissues.faded(ground_glass, grid.spacing, _GGO_EDGE_MM, _RAGGED_MM * coarse)
        paint(view, faded * share, _GGO_HU + _GGO_SD_HU[0] * coarse + _GGO_SD_HU[1] * fine)
    for start, stop, first, last in vessel_tree(lung, rng):
        tissues.paint_tube(hu, grid, start, stop, (first, last), _VESSEL_HU)
    if diseased:
        faded = tissues.faded(solid, grid.spacing, _CONSOLIDATION_EDGE_MM, _RAGGED_MM * coarse)
        dense = _CONSOLIDATION_HU + _CONSOLIDATION_SD_HU[0] * coarse + _CONSOLIDATION_SD_HU[1] * fine
        paint(view, faded * share, np.clip(dense, *_CONSOLIDATION_RANGE_HU))
        for start, stop in air_bronchograms(lung):
            tissues.paint_tube(hu, grid, start, stop, (_BRONCHUS_RADIUS_MM, 0.7 * _BRONCHUS_RADIUS_MM), _BRONCHUS_HU)
    findings = opacities[part]
    findings[inside & (ground_glass < 0)] = OPACITY_GGO
    findings[inside & (solid < 0)] = OPACITY_CONSOLIDATION


def make_chest_phantom(
    shape_zyx: tuple[int, int, int] = (100, 256, 256),
    spacing_zyx_mm: tuple[float, float, float] = (3.0, 1.4, 1.4),
    *,
    diseased: bool = True,
    noise_hu: float = 20.0,
    seed: int = 0,
    direction_lps: tuple[float, ...] = _IDENTITY,
) -> Phantom:
    """Make a synthetic chest CT of known volumes.

    Parameters
    ----------
    shape_zyx
        Number of slices, rows and columns in the canonical orientation.
    spacing_zyx_mm
        Voxel spacing in mm in the canonical orientation, over 0 and at most 8 along each axis. The anatomy keeps its
        size in mm.
    diseased
        Whether there are ground-glass opacities and consolidations.
    noise_hu
        Standard deviation of the noise in HU, 0 to 200, both inclusive.
    seed
        Seed of noise and vessels; the same seed gives the same phantom.
    direction_lps
        Direction of the scan's own grid, nine numbers row by row (SimpleITK's order): a permutation of the patient's
        axes with flips. Other than the identity, it permutes and flips the arrays, and their shape with them.

    Returns
    -------
    Phantom
        Scan and labels on the same grid. Counted volumes agree with ``volumes_ml`` within 2 %.

    Raises
    ------
    InputError
        If the spacing, the noise or the direction is out of range, or the field of view is too small for the lungs.

    Examples
    --------
    >>> phantom = make_chest_phantom((60, 96, 96), (5.0, 3.8, 3.8), noise_hu=0)
    >>> round(phantom.volumes_ml["right_lung"])
    2088
    """
    direction = np.asarray(direction_lps, dtype=float)
    _check(shape_zyx, spacing_zyx_mm, noise_hu, direction.reshape(3, 3) if direction.size == 9 else direction)
    grid = Grid(shape_zyx, spacing_zyx_mm, (LUNG_CENTRE_Z_MM, 0.0, 0.0))
    rng = np.random.default_rng(seed)
    hu = np.full(shape_zyx, -1000, np.float32)
    lungs, opacities = np.zeros(shape_zyx, np.uint8), np.zeros(shape_zyx, np.uint8)
    tissues.paint_body(hu, grid, RIGHT_LUNG.dome_mm, LEFT_LUNG.dome_mm)
    for lung in (RIGHT_LUNG, LEFT_LUNG):
        _paint_lung(hu, lungs, opacities, lung, grid, diseased, rng)
    if noise_hu > 0:
        hu += np.float32(noise_hu) * tissues.smooth_noise(rng, shape_zyx, grid.spacing, 0.9, through_plane=False)
    canonical = Geometry(shape_zyx, spacing_zyx_mm[::-1], grid.origin[::-1])
    geometry = _scan_geometry(canonical, direction.reshape(3, 3).astype(int))
    back = CanonicalGrid(geometry)
    values = np.clip(np.rint(hu, out=hu), LOWEST_HU, None, out=hu).astype(np.int16)
    scan = Scan.from_array(
        back.give_back(values), geometry, ScanFacts(source_format="phantom", slice_count=shape_zyx[0], kernel="phantom")
    )
    return Phantom(scan, back.give_back(lungs), back.give_back(opacities), exact_volumes_ml(diseased))


def _scan_geometry(canonical: Geometry, matrix: NDArray[np.int_]) -> Geometry:
    """Give the grid whose index axes are the columns of a signed permutation, and whose canonical form is given."""
    patient_axis = np.abs(matrix).argmax(axis=0)
    size = np.asarray(canonical.shape_zyx[::-1])
    spacing = np.asarray(canonical.spacing_xyz_mm)
    # Index 0 of a flipped axis lies at the canonical grid's far end.
    flipped = matrix.sum(axis=1) < 0
    origin = np.asarray(canonical.origin_lps_mm) + np.where(flipped, (size - 1) * spacing, 0)
    shape = size[patient_axis]
    return Geometry(
        (int(shape[2]), int(shape[1]), int(shape[0])),
        tuple(float(v) for v in spacing[patient_axis]),  # type: ignore[arg-type]
        tuple(float(v) for v in origin),  # type: ignore[arg-type]
        tuple(float(v) for v in matrix.ravel()),
    )
