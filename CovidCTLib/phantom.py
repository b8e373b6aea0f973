"""A synthetic chest CT of known volumes: the sample of ``covidct demo``, and the yardstick of the tests.

Each lung is half an ellipsoid, shaped by shears (which keep its volume) into a crescent with a domed base and a
leaning apex, and cut by a ball for the heart. Opacities are balls, either whole or cut by the pleura. So every
volume has a closed form, and none has to be counted.

Coordinates are LPS in mm: x to the patient's left, y to the back, z to the head. The lowest possible point of the
lungs is at z = 0, the spine at x = 0. Inside a lung, *unit coordinates* are (outward, y, z) divided by the semi-axes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from CovidCTLib import phantom_tissues as tissues
from CovidCTLib.errors import InputError
from CovidCTLib.geometry import CanonicalGrid, Geometry
from CovidCTLib.hu import LOWEST_HU
from CovidCTLib.labels import LEFT, OPACITY_CONSOLIDATION, OPACITY_GGO, RIGHT
from CovidCTLib.phantom_tissues import Field, Grid, paint
from CovidCTLib.scan import Scan, ScanFacts

LUNG_CENTRE_Z_MM = 118.0
"""Height of the middle of the lungs, which lies in the middle of the grid."""

SMALLEST_EXTENT_ZYX_MM = (240.0, 200.0, 280.0)
"""Smallest field of view that holds both lungs whole, in mm."""

LARGEST_SPACING_MM = 8.0
"""Coarser voxels cannot show the opacities (the smallest has a radius of 9 mm)."""

_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
_BLUNT = 0.35  # how much the apex is flattened, without unit
_LUNG_HU = -865.0
_GRAVITY_HU_PER_MM = 0.45
_GGO_HU = -620.0
_CONSOLIDATION_HU = 30.0
_VESSEL_HU = 45.0


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


def lens_volume(radius: float, distance: float) -> float:
    """Compute the volume that a ball shares with the unit ball.

    Parameters
    ----------
    radius
        Radius of the other ball.
    distance
        Distance of the two centres.

    Returns
    -------
    float
        Volume of the intersection, in cubed units.

    Notes
    -----
    The sum of the two spherical caps; see E. W. Weisstein, "Sphere-Sphere Intersection", MathWorld.
    """
    if distance >= 1 + radius:
        return 0.0
    if distance <= abs(1 - radius):
        return float(4 / 3 * np.pi * min(radius, 1.0) ** 3)
    square = distance**2 + 2 * distance * (radius + 1) - 3 * (radius - 1) ** 2
    return float(np.pi * (radius + 1 - distance) ** 2 * square / (12 * distance))


@dataclass(frozen=True)
class _Lung:
    """Shape of one lung; lengths in mm, ``notch`` and ``hilum`` in unit coordinates (outward, back, up)."""

    label: int
    sign: float  # of x, outward
    semi_axes: tuple[float, float, float]  # outward, y, z
    centre_x: float
    dome: tuple[float, float, float]  # height, and its centre outward and in y
    notch: tuple[float, float, float]
    notch_radius: float
    hilum: tuple[float, float, float] = (-0.72, 0.12, 0.42)

    @cached_property
    def volume_ml(self) -> float:
        """Half an ellipsoid, less the half lens that the heart cuts out (its centre lies in the base)."""
        unit = 2 / 3 * np.pi - 0.5 * lens_volume(self.notch_radius, float(np.linalg.norm(self.notch)))
        return float(unit * np.prod(self.semi_axes) / 1000)

    def _dome_mm(self, x: Field, y: Field) -> Field:
        """Height of the diaphragm over z = 0, in mm."""
        height, centre, centre_y = self.dome
        dome: Field = height * np.exp(-(((self.sign * x - centre) / 48) ** 2) - ((y - centre_y) / 58) ** 2)
        return dome

    @staticmethod
    def _bend_mm(v: Field, t: Field) -> Field:
        """Shift to the middle, in mm: the front and back edges bend around the mediastinum, the apex leans in."""
        return 30 * v**2 - 26 * v * t + 42 * t**2

    def to_unit(self, z: Field, y: Field, x: Field) -> tuple[Field, Field, Field]:
        """Bring coordinates in mm (broadcastable) to unit coordinates (outward, back, up)."""
        a, b, c = self.semi_axes
        height = (z - self._dome_mm(x, y)) / c
        t = np.clip(height, 0, 1)
        # The top is pressed down and widened by as much, so that the apex is blunt and the volume stays.
        wide = np.sqrt(1 + 3 * _BLUNT * t**2)
        v = (y - 4 - 16 * t**2) / b
        u = (self.sign * x - self.centre_x + self._bend_mm(v, t)) / a
        return u / wide, v / wide, height + _BLUNT * t**3

    def to_mm(self, unit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bring unit coordinates of shape ``(n, 3)``, inside the lung, to points (z, y, x) in mm."""
        a, b, c = self.semi_axes
        # The one real root of t + _BLUNT t^3 = w.
        root = np.sqrt(4 / (3 * _BLUNT))
        t = root * np.sinh(np.arcsinh(3 * unit[:, 2] / root) / 3)
        wide = np.sqrt(1 + 3 * _BLUNT * t**2)
        u, v = unit[:, 0] * wide, unit[:, 1] * wide
        x = self.sign * (self.centre_x + a * u - self._bend_mm(v, t))
        y = 4 + b * v + 16 * t**2
        return np.stack([c * t + self._dome_mm(x, y), y, x], axis=1)

    def contains(self, unit: NDArray[np.float64], margin: float = 0.0) -> NDArray[np.bool_]:
        """Tell which unit coordinates of shape ``(n, 3)`` lie in the lung, at least a margin from its surface."""
        inside = (np.linalg.norm(unit, axis=1) < 1 - margin) & (unit[:, 2] > margin / 2)
        return inside & (np.linalg.norm(unit - np.asarray(self.notch), axis=1) > self.notch_radius + margin)


_RIGHT_LUNG = _Lung(RIGHT, -1, (53, 87, 222), 86, (58, 60, -18), (-1.12, -0.38, 0), 0.52)
_LEFT_LUNG = _Lung(LEFT, 1, (50, 87, 218), 87, (46, 62, -18), (-1.02, -0.50, 0), 0.78)


@dataclass(frozen=True)
class _Patch:
    """An opacity at the pleura: a ball in the unit coordinates of a lung, which the pleura may cut."""

    lung: _Lung
    kind: int
    centre: tuple[float, float, float]
    radius: float

    @property
    def volume_ml(self) -> float:
        """Volume inside the lung, in ml."""
        unit = lens_volume(self.radius, float(np.linalg.norm(self.centre)))
        return float(unit * np.prod(self.lung.semi_axes) / 1000)


@dataclass(frozen=True)
class _Focus:
    """An opacity inside a lung: a ball of ``radius_mm`` around unit coordinates; ``core_mm`` of it consolidated."""

    lung: _Lung
    centre: tuple[float, float, float]
    radius_mm: float
    core_mm: float = 0.0


_PATCHES = (
    _Patch(_RIGHT_LUNG, OPACITY_GGO, (0.42, 0.78, 0.37), 0.34),
    _Patch(_RIGHT_LUNG, OPACITY_CONSOLIDATION, (-0.18, 0.95, 0.21), 0.19),
    _Patch(_LEFT_LUNG, OPACITY_GGO, (0.70, 0.58, 0.42), 0.31),
    _Patch(_LEFT_LUNG, OPACITY_GGO, (0.55, -0.55, 0.52), 0.21),
    _Patch(_LEFT_LUNG, OPACITY_CONSOLIDATION, (0.10, 0.97, 0.18), 0.16),
)
_FOCI = (
    _Focus(_RIGHT_LUNG, (0.10, -0.25, 0.55), 17.0, 9.0),
    _Focus(_RIGHT_LUNG, (0.30, 0.10, 0.75), 13.0),
    _Focus(_LEFT_LUNG, (0.10, 0.20, 0.62), 15.0, 9.0),
    _Focus(_LEFT_LUNG, (0.35, 0.05, 0.22), 14.0),
)


def _ball_ml(radius_mm: float) -> float:
    return float(4 / 3 * np.pi * radius_mm**3 / 1000)


def _volumes_ml(diseased: bool) -> Mapping[str, float]:
    """All closed forms, in ml."""
    right, left, ggo, consolidation = _RIGHT_LUNG.volume_ml, _LEFT_LUNG.volume_ml, 0.0, 0.0
    if diseased:
        ggo = sum(p.volume_ml for p in _PATCHES if p.kind == OPACITY_GGO)
        ggo += sum(_ball_ml(f.radius_mm) - _ball_ml(f.core_mm) for f in _FOCI)
        consolidation = sum(p.volume_ml for p in _PATCHES if p.kind == OPACITY_CONSOLIDATION)
        consolidation += sum(_ball_ml(f.core_mm) for f in _FOCI)
    return MappingProxyType(
        {
            "right_lung": right,
            "left_lung": left,
            "lungs": right + left,
            "ggo": ggo,
            "consolidation": consolidation,
            "opacities": ggo + consolidation,
        }
    )


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
    lung: _Lung,
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
    texture = tissues.smooth_noise(rng, view.shape, grid.spacing, 3.0)
    paint(view, share, _LUNG_HU + _GRAVITY_HU_PER_MM * y + 14 * texture)
    ground_glass, solid = _lesions(lung, u, v, w, (z, y, x), diseased)
    paint(view, tissues.coverage(ground_glass) * share, _GGO_HU + 45 * texture)
    for start, stop, first, last in _vessel_tree(lung, rng):
        tissues.paint_tube(hu, grid, start, stop, (first, last), _VESSEL_HU)
    paint(view, tissues.coverage(solid) * share, _CONSOLIDATION_HU)
    findings = opacities[part]
    findings[inside & (ground_glass < 0)] = OPACITY_GGO
    findings[inside & (solid < 0)] = OPACITY_CONSOLIDATION


def _lesions(
    lung: _Lung,
    u: Field,
    v: Field,
    w: Field,
    zyx: tuple[Field, Field, Field],
    diseased: bool,
) -> tuple[Field, Field]:
    """Give implicit surfaces (negative inside) of ground glass and of consolidation in one lung."""
    fields = {kind: np.full(u.shape, 1, np.float32) for kind in (OPACITY_GGO, OPACITY_CONSOLIDATION)}
    if diseased:
        for patch in (p for p in _PATCHES if p.lung is lung):
            p, q, r = patch.centre
            ball = np.sqrt((u - p) ** 2 + (v - q) ** 2 + (w - r) ** 2) - patch.radius
            np.minimum(fields[patch.kind], ball, out=fields[patch.kind])
        scale = float(np.cbrt(np.prod(lung.semi_axes)))
        for focus in (f for f in _FOCI if f.lung is lung):
            centre = lung.to_mm(np.array([focus.centre]))[0]
            away = np.sqrt(sum((axis - middle) ** 2 for axis, middle in zip(zyx, centre, strict=True)))
            ball = ((away - focus.radius_mm) / scale).astype(np.float32)
            np.minimum(fields[OPACITY_GGO], ball, out=fields[OPACITY_GGO])
            if focus.core_mm > 0:
                core = ((away - focus.core_mm) / scale).astype(np.float32)
                np.minimum(fields[OPACITY_CONSOLIDATION], core, out=fields[OPACITY_CONSOLIDATION])
    return fields[OPACITY_GGO], fields[OPACITY_CONSOLIDATION]


def _vessel_tree(
    lung: _Lung, rng: np.random.Generator
) -> list[tuple[NDArray[np.float64], NDArray[np.float64], float, float]]:
    """Grow a tree from the hilum through the lung: segments of two points (z, y, x) and two radii, in mm."""
    tips = rng.uniform((-1, -1, 0), (1, 1, 1), (1500, 3))
    tips = tips[lung.contains(tips, 0.06)][:300]
    nodes = lung.to_mm(np.vstack([[lung.hilum], tips]))
    # From the hilum outwards, each tip joins the node that is near and not a long way round from the hilum.
    order = np.concatenate([[0], 1 + np.argsort(np.linalg.norm(nodes[1:] - nodes[0], axis=1))])
    nodes = nodes[order]
    count = len(nodes)
    parent, path, leaves = np.zeros(count, int), np.zeros(count), np.ones(count)
    for i in range(1, count):
        step = np.linalg.norm(nodes[:i] - nodes[i], axis=1)
        parent[i] = int(np.argmin(step + 0.35 * path[:i]))
        path[i] = path[parent[i]] + step[parent[i]]
    for i in range(count - 1, 0, -1):
        leaves[parent[i]] += leaves[i]
    # Murray's law: the cube of a vessel's radius is shared by its branches (doi:10.1073/pnas.12.3.207).
    radius = 1.0 * np.cbrt(leaves)
    return [(nodes[parent[i]], nodes[i], min(radius[i] * 1.15, radius[parent[i]]), radius[i]) for i in range(1, count)]


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
    tissues.paint_body(hu, grid, _RIGHT_LUNG._dome_mm, _LEFT_LUNG._dome_mm)
    for lung in (_RIGHT_LUNG, _LEFT_LUNG):
        _paint_lung(hu, lungs, opacities, lung, grid, diseased, rng)
    if noise_hu > 0:
        hu += np.float32(noise_hu) * tissues.smooth_noise(rng, shape_zyx, grid.spacing, 0.9, through_plane=False)
    canonical = Geometry(shape_zyx, spacing_zyx_mm[::-1], grid.origin[::-1])
    own = _own_geometry(canonical, direction.reshape(3, 3).astype(int))
    back = CanonicalGrid(own)
    values = np.clip(np.rint(hu, out=hu), LOWEST_HU, None, out=hu).astype(np.int16)
    scan = Scan.from_array(
        back.give_back(values), own, ScanFacts(source_format="phantom", slice_count=shape_zyx[0], kernel="phantom")
    )
    return Phantom(scan, back.give_back(lungs), back.give_back(opacities), _volumes_ml(diseased))


def _own_geometry(canonical: Geometry, matrix: NDArray[np.int_]) -> Geometry:
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
