"""The shapes inside the chest phantom, each with a closed form of its volume: lungs, opacities, and a tree of vessels.

Each lung is half an ellipsoid, shaped by shears (which keep its volume) into a crescent with a domed base and a
leaning apex, and cut by a ball for the heart. Opacities are balls, either whole or cut by the pleura, with a ball of
consolidation in the middle of some.

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

from CovidCTLib.labels import LEFT, OPACITY_CONSOLIDATION, OPACITY_GGO, RIGHT
from CovidCTLib.phantom_tissues import Field

_BLUNT = 0.35  # how much the apex is flattened, without unit


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
class Lung:
    """Shape of one lung.

    Parameters
    ----------
    label
        `RIGHT` or `LEFT`.
    sign
        Of x, outward: -1 for the right lung, 1 for the left.
    semi_axes
        Of the ellipsoid, outward, y and z, in mm.
    centre_x
        Distance of its middle from the spine, in mm.
    dome
        Height of the diaphragm, and its centre outward and in y, in mm.
    notch, notch_radius
        Ball that the heart cuts out, in unit coordinates.
    hilum
        Where the vessels begin, in unit coordinates.
    """

    label: int
    sign: float
    semi_axes: tuple[float, float, float]
    centre_x: float
    dome: tuple[float, float, float]
    notch: tuple[float, float, float]
    notch_radius: float
    hilum: tuple[float, float, float] = (-0.72, 0.12, 0.42)

    @cached_property
    def volume_ml(self) -> float:
        """Half an ellipsoid, less the half lens that the heart cuts out (its centre lies in the base)."""
        unit = 2 / 3 * np.pi - 0.5 * lens_volume(self.notch_radius, float(np.linalg.norm(self.notch)))
        return float(unit * np.prod(self.semi_axes) / 1000)

    def dome_mm(self, x: Field, y: Field) -> Field:
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
        height = (z - self.dome_mm(x, y)) / c
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
        return np.stack([c * t + self.dome_mm(x, y), y, x], axis=1)

    def contains(self, unit: NDArray[np.float64], margin: float = 0.0) -> NDArray[np.bool_]:
        """Tell which unit coordinates of shape ``(n, 3)`` lie in the lung, at least a margin from its surface."""
        inside = (np.linalg.norm(unit, axis=1) < 1 - margin) & (unit[:, 2] > margin / 2)
        return inside & (np.linalg.norm(unit - np.asarray(self.notch), axis=1) > self.notch_radius + margin)


RIGHT_LUNG = Lung(RIGHT, -1, (53, 87, 222), 86, (58, 60, -18), (-1.12, -0.38, 0), 0.52)
LEFT_LUNG = Lung(LEFT, 1, (50, 87, 218), 87, (46, 62, -18), (-1.02, -0.50, 0), 0.78)


@dataclass(frozen=True)
class Patch:
    """An opacity at the pleura: a ball of ground glass in the unit coordinates of a lung, which the pleura may cut.

    Parameters
    ----------
    lung
        The lung that it lies in.
    centre, radius
        Of the ball, in unit coordinates (outward, back, up).
    core
        Radius of the consolidation in its middle, in unit coordinates; 0 for none.
    """

    lung: Lung
    centre: tuple[float, float, float]
    radius: float
    core: float = 0.0

    def _ml(self, radius: float) -> float:
        unit = lens_volume(radius, float(np.linalg.norm(self.centre))) if radius > 0 else 0.0
        return float(unit * np.prod(self.lung.semi_axes) / 1000)

    @property
    def volume_ml(self) -> float:
        """Volume inside the lung, the core included, in ml."""
        return self._ml(self.radius)

    @property
    def core_ml(self) -> float:
        """Volume of the core inside the lung, in ml."""
        return self._ml(self.core)


@dataclass(frozen=True)
class Focus:
    """An opacity inside a lung: a ball of ground glass, which may have a core of consolidation.

    Parameters
    ----------
    lung
        The lung that it lies in.
    centre
        Unit coordinates (outward, back, up).
    radius_mm
        Radius of the whole ball, in mm.
    core_mm
        Radius of the core, in mm; 0 for none.
    """

    lung: Lung
    centre: tuple[float, float, float]
    radius_mm: float
    core_mm: float = 0.0


PATCHES = (
    Patch(RIGHT_LUNG, (0.34, 0.74, 0.43), 0.40, 0.25),
    Patch(LEFT_LUNG, (0.44, 0.70, 0.42), 0.38, 0.24),
    Patch(LEFT_LUNG, (0.55, -0.55, 0.52), 0.21),
)
FOCI = (
    Focus(RIGHT_LUNG, (0.05, -0.20, 0.62), 20.0, 11.0),
    Focus(RIGHT_LUNG, (0.40, -0.50, 0.40), 14.0),
    Focus(LEFT_LUNG, (0.10, 0.10, 0.74), 16.0),
)
"""Peripheral and basal patches, the larger ones with a dense core, as in the shared masks: there, most of an opacity
lies in one or two pieces of 25 to 500 ml, and consolidation in one of 50 to 150 ml with ground glass around it."""


def _ball_ml(radius_mm: float) -> float:
    return float(4 / 3 * np.pi * radius_mm**3 / 1000)


def exact_volumes_ml(diseased: bool) -> Mapping[str, float]:
    """Give all volumes in ml from their closed forms.

    Parameters
    ----------
    diseased
        Whether there are opacities; without, their volumes are 0.

    Returns
    -------
    mapping
        As `CovidCTLib.phantom.Phantom.volumes_ml`.
    """
    right, left, ggo, consolidation = RIGHT_LUNG.volume_ml, LEFT_LUNG.volume_ml, 0.0, 0.0
    if diseased:
        ggo = sum(p.volume_ml - p.core_ml for p in PATCHES)
        ggo += sum(_ball_ml(f.radius_mm) - _ball_ml(f.core_mm) for f in FOCI)
        consolidation = sum(p.core_ml for p in PATCHES)
        consolidation += sum(_ball_ml(f.core_mm) for f in FOCI)
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


def lesion_surfaces(
    lung: Lung,
    u: Field,
    v: Field,
    w: Field,
    zyx: tuple[Field, Field, Field],
    diseased: bool,
) -> tuple[Field, Field]:
    """Give the implicit surfaces of ground glass and of consolidation in one lung.

    Parameters
    ----------
    lung
        The lung; the opacities of the other one are left out.
    u, v, w
        Unit coordinates of the voxels (outward, back, up), all of one shape.
    zyx
        Coordinates of the same voxels in mm, broadcastable to that shape.
    diseased
        Whether there are opacities; without, both surfaces are 1 everywhere.

    Returns
    -------
    ground_glass, consolidation
        float32, shape of ``u``: negative inside, without unit. A core of consolidation lies inside its ground glass.
    """
    fields = {kind: np.full(u.shape, 1, np.float32) for kind in (OPACITY_GGO, OPACITY_CONSOLIDATION)}
    if diseased:
        for patch in (p for p in PATCHES if p.lung is lung):
            p, q, r = patch.centre
            away = np.sqrt((u - p) ** 2 + (v - q) ** 2 + (w - r) ** 2)
            for kind, radius in ((OPACITY_GGO, patch.radius), (OPACITY_CONSOLIDATION, patch.core)):
                if radius > 0:
                    np.minimum(fields[kind], away - radius, out=fields[kind])
        scale = float(np.cbrt(np.prod(lung.semi_axes)))
        for focus in (f for f in FOCI if f.lung is lung):
            centre = lung.to_mm(np.array([focus.centre]))[0]
            away = np.sqrt(sum((axis - middle) ** 2 for axis, middle in zip(zyx, centre, strict=True)))
            ball = ((away - focus.radius_mm) / scale).astype(np.float32)
            np.minimum(fields[OPACITY_GGO], ball, out=fields[OPACITY_GGO])
            if focus.core_mm > 0:
                core = ((away - focus.core_mm) / scale).astype(np.float32)
                np.minimum(fields[OPACITY_CONSOLIDATION], core, out=fields[OPACITY_CONSOLIDATION])
    return fields[OPACITY_GGO], fields[OPACITY_CONSOLIDATION]


def air_bronchograms(lung: Lung) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Give the airways that stay open in the consolidations of a lung.

    Returns
    -------
    list of tuple
        Segments: start and end, each of shape ``(3,)``, (z, y, x) in mm, inside the cores of its patches. They come
        from the hilum and fork.
    """
    segments = []
    for patch in (p for p in PATCHES if p.lung is lung and p.core > 0):
        middle = np.array(patch.centre)
        inward = np.array(lung.hilum) - middle
        inward *= patch.core / np.linalg.norm(inward)
        fork = middle + 0.15 * inward
        for end in ((0.0, 0.1, 0.75), (-0.3, 0.2, -0.7), (-0.6, -0.4, 0.2), (0.2, 0.55, 0.1)):
            points = lung.to_mm(np.stack([fork, middle + patch.core * np.array(end)]))
            segments.append((points[0], points[1]))
        points = lung.to_mm(np.stack([middle + 0.85 * inward, fork]))
        segments.append((points[0], points[1]))
    return segments


def vessel_tree(
    lung: Lung, rng: np.random.Generator
) -> list[tuple[NDArray[np.float64], NDArray[np.float64], float, float]]:
    """Grow a tree from the hilum through a lung.

    Parameters
    ----------
    lung
        The lung.
    rng
        Gives the tips; the same state gives the same tree.

    Returns
    -------
    list of tuple
        Segments: start and end, each of shape ``(3,)``, (z, y, x) in mm, and the radii there, in mm.

    Notes
    -----
    Murray's law: the cube of a vessel's radius is shared by its branches (doi:10.1073/pnas.12.3.207).
    """
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
    radius = 1.0 * np.cbrt(leaves)
    return [(nodes[parent[i]], nodes[i], min(radius[i] * 1.15, radius[parent[i]]), radius[i]) for i in range(1, count)]
