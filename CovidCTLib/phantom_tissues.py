"""What the chest phantom is drawn with: smooth edges, noise, and the tissues around the lungs.

Arrays are ``zyx``, lengths in mm, values in HU. An *implicit surface* is an array that is negative inside a body,
zero on its surface and positive outside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Field = NDArray[np.floating[Any]]
Part = tuple[slice, slice, slice]

_FAT_HU, _MUSCLE_HU, _SKIN_HU = -100.0, 50.0, 20.0
_BLOOD_HU, _LIVER_HU, _STOMACH_HU = 45.0, 60.0, 25.0
_CORTEX_HU, _MARROW_HU = 480.0, 170.0
_AIR_HU = -1000.0
_RIB_STEP_MM = 27.0


@dataclass(frozen=True)
class Grid:
    """A canonical grid around a point: ``centre`` (z, y, x) in mm is the middle of the array."""

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    centre: tuple[float, float, float]

    @property
    def origin(self) -> tuple[float, float, float]:
        """Centre of the first voxel (z, y, x), in mm."""
        z, y, x = (c - (n - 1) / 2 * s for c, n, s in zip(self.centre, self.shape, self.spacing, strict=True))
        return z, y, x

    def box(self, low: Sequence[float], high: Sequence[float]) -> Part:
        """Give the slices of the array that hold the box from ``low`` to ``high`` (z, y, x), in mm."""
        slices = []
        for axis in range(3):
            start = int(np.floor((low[axis] - self.origin[axis]) / self.spacing[axis]))
            stop = int(np.ceil((high[axis] - self.origin[axis]) / self.spacing[axis])) + 1
            slices.append(slice(min(max(start, 0), self.shape[axis]), min(max(stop, 0), self.shape[axis])))
        return slices[0], slices[1], slices[2]

    def axes(self, part: Part) -> tuple[Field, Field, Field]:
        """Give the coordinates of a part of the array, in mm, ready to broadcast."""
        z, y, x = (
            (self.origin[axis] + self.spacing[axis] * np.arange(part[axis].start, part[axis].stop)).astype(np.float32)
            for axis in range(3)
        )
        return z[:, None, None], y[None, :, None], x[None, None, :]


def coverage(surface: Field) -> Field:
    """Estimate which share of each voxel an implicit surface covers: a step of about one voxel's width, 0 to 1."""
    slope = np.sqrt(sum(np.square(g) for g in np.gradient(surface)))
    share = 0.5 - surface / np.maximum(slope, 1e-6)
    return np.clip(share, 0, 1, out=share)


def distance_mm(surface: Field, spacing: tuple[float, float, float]) -> Field:
    """Estimate the distance to an implicit surface to first order, in mm, negative inside."""
    slope = np.sqrt(sum(np.square(g / s) for g, s in zip(np.gradient(surface), spacing, strict=True)))
    return surface / np.maximum(slope, 1e-6)


def faded(surface: Field, spacing: tuple[float, float, float], width_mm: float, ragged_mm: Field) -> Field:
    """Estimate how much of an opacity is in each voxel, 0 to 1: half on its surface, and a ramp across it.

    Parameters
    ----------
    surface
        Implicit surface of the opacity.
    spacing
        Voxel spacing (z, y, x), in mm.
    width_mm
        Width of the ramp, at least that of a voxel, in mm.
    ragged_mm
        How far the edge lies off at each voxel, in mm; on average 0, so that the opacity keeps its volume.
    """
    near = surface < 0.5 * float(np.max(surface))
    if not near.any():
        return np.zeros_like(surface)
    box = tuple(slice(int(indices.min()), int(indices.max()) + 1) for indices in np.nonzero(near))
    distance = distance_mm(surface[box], spacing) + ragged_mm[box]
    share = np.zeros_like(surface)
    share[box] = np.clip(0.5 - distance / max(width_mm, min(spacing)), 0, 1)
    return share


def paint(hu: Field, share: Field, value: float | Field) -> None:
    """Mix a value into an array in place, by the share that it covers."""
    hu += share * (value - hu)


def smooth_noise(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    spacing: tuple[float, float, float],
    sigma_mm: float,
    through_plane: bool = True,
) -> Field:
    """Draw normal noise of standard deviation 1, smoothed to a grain of ``sigma_mm`` (as a kernel of a CT does)."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    sigma = [sigma_mm / s for s in spacing]
    if not through_plane:
        sigma[0] = 0.0
    smooth = ndimage.gaussian_filter(noise, sigma, output=np.float32, truncate=3.0)
    smooth /= max(float(smooth.std()), 1e-6)
    return smooth


def _ellipsoid(hu: Field, grid: Grid, centre: Sequence[float], semi: Sequence[float], value: float) -> None:
    """Draw an ellipsoid (z, y, x in mm) in place."""
    part = grid.box(list(np.subtract(centre, semi) - 8), list(np.add(centre, semi) + 8))
    if min(hu[part].shape) < 2:
        return
    z, y, x = (np.square((a - c) / s) for a, c, s in zip(grid.axes(part), centre, semi, strict=True))
    paint(hu[part], coverage(np.sqrt(z + y + x) - 1), value)


def paint_tube(
    hu: Field,
    grid: Grid,
    start: Sequence[float] | NDArray[np.float64],
    stop: Sequence[float] | NDArray[np.float64],
    radii: tuple[float, float],
    value: float,
) -> None:
    """Draw a tapered tube with round ends between two points (z, y, x in mm) in place."""
    edge = max(radii) + max(grid.spacing)
    part = grid.box(list(np.minimum(start, stop) - edge), list(np.maximum(start, stop) + edge))
    axis = np.subtract(stop, start).astype(np.float32)
    length = max(float(axis @ axis), 1e-6)
    z, y, x = (a - np.float32(s) for a, s in zip(grid.axes(part), start, strict=True))
    along = np.clip((z * axis[0] + y * axis[1] + x * axis[2]) / np.float32(length), 0, 1)
    gap = np.sqrt((z - along * axis[0]) ** 2 + (y - along * axis[1]) ** 2 + (x - along * axis[2]) ** 2)
    radius = np.float32(radii[0]) + np.float32(radii[1] - radii[0]) * along
    width = np.float32(np.cbrt(np.prod(grid.spacing)))
    paint(hu[part], np.clip(0.5 + (radius - gap) / width, 0, 1), value)


def paint_ribs(hu: Field, wall_mm: Field, outward: Field, z: Field, y: Field, grid: Grid) -> None:
    """Draw the ribs of one side in place: hoops in a shell around the lung that fall to the front.

    Parameters
    ----------
    hu
        Part of the volume that holds the lung.
    wall_mm
        Distance to the lung's side wall, in mm.
    outward
        Unit coordinate of the lung that points away from the mediastinum.
    z, y
        Coordinates in mm.
    grid
        The volume's grid.
    """
    turn = (z - 0.55 * y) / _RIB_STEP_MM
    across = (turn - np.rint(turn)) * _RIB_STEP_MM * 0.88
    radius = np.sqrt(((wall_mm - 7.5) / 3.8) ** 2 + (across / 6.0) ** 2)
    width = np.float32(min(grid.spacing[1:])) / 4
    share = np.clip(0.5 + (1 - radius) / width, 0, 1) * np.clip((outward + 0.5) * 8, 0, 1)
    cortex = np.clip((radius - 0.55) * 4, 0, 1)
    bone = _MARROW_HU + (_CORTEX_HU - _MARROW_HU) * cortex
    # The front ends of the ribs are cartilage.
    paint(hu, share, np.where(y < -62, np.float32(120), bone))


def _paint_torso(hu: Field, grid: Grid, z: Field, y: Field, x: Field) -> Field:
    """Draw skin, fat and muscle in place; returns the depth under the skin in mm."""
    top = 1 / (1 + np.exp(-(z - 225) / 14))
    width, height = 168 + 4 * top, 117 - 20 * top
    outline = (np.abs(x / width) ** 2.3 + np.abs((y - 4) / height) ** 2.3) ** (1 / 2.3)
    depth = np.sqrt(x**2 + (y - 4) ** 2) * (1 / np.maximum(outline, 0.05) - 1)
    pixel = np.float32(min(grid.spacing[1:]))
    fat_mm = 2 + 7 + 5 * np.square(np.cos(np.arctan2(x, y)))
    for start, value in ((0.0, _SKIN_HU), (2.0, _FAT_HU), (fat_mm, _MUSCLE_HU)):
        paint(hu, np.clip(0.5 + (depth - start) / pixel, 0, 1), value)
    return depth.astype(np.float32)


def _paint_mediastinum(hu: Field, grid: Grid) -> None:
    """Draw fat, heart, great vessels, gullet and airways between the lungs in place."""
    _ellipsoid(hu, grid, (130, -12, 4), (125, 76, 48), -85)
    _ellipsoid(hu, grid, (78, -34, 20), (66, 52, 64), _BLOOD_HU)
    for start, stop, radius in (
        ((90, -20, 6), (172, -24, -12), 15.0),  # ascending aorta
        ((172, -24, -12), (190, 4, 4), 14.0),
        ((190, 4, 4), (172, 40, 20), 13.0),
        ((172, 40, 20), (-60, 44, 20), 12.0),  # descending aorta
        ((225, -14, -22), (105, -12, -26), 9.0),  # superior vena cava
        ((105, -42, 20), (142, -12, 14), 14.0),  # pulmonary trunk and arteries
        ((142, -8, 10), (134, 8, -40), 9.0),
        ((142, -8, 14), (138, 14, 44), 9.0),
        ((300, 40, 4), (-60, 42, 6), 6.0),  # gullet
        ((300, -10, -18), (190, -22, -14), 7.0),  # vessels to head and arms
        ((300, -8, 20), (190, 0, 10), 7.0),
    ):
        paint_tube(hu, grid, start, stop, (radius, radius), _BLOOD_HU)
    airways = (
        ((310, 8, 0), (166, 22, 0), 8.0),
        ((166, 22, 0), (146, 24, -17), 6.0),
        ((166, 22, 0), (144, 24, 19), 5.5),
    )
    for wall, value in ((2.0, 30.0), (0.0, _AIR_HU)):
        for start, stop, radius in airways:
            paint_tube(hu, grid, start, stop, (radius + wall, radius + wall), value)


def _paint_bones(hu: Field, grid: Grid, z: Field, y: Field, x: Field) -> None:
    """Draw spine, sternum and shoulder blades in place."""
    pixel = np.float32(min(grid.spacing[1:]))
    body = np.sqrt((x / 1.15) ** 2 + (y - 66) ** 2)
    # Every 27 mm, a disc of 6 mm parts the vertebrae.
    disc = np.clip(
        0.5 + (3 - np.abs((z + 9) / _RIB_STEP_MM - np.rint((z + 9) / _RIB_STEP_MM)) * _RIB_STEP_MM) / 2, 0, 1
    )
    rim = np.clip((body - 13.5) / 2, 0, 1)
    bone = _MARROW_HU + (400 - _MARROW_HU) * rim
    paint(hu, np.clip(0.5 + (17 - body) / pixel, 0, 1), bone * (1 - disc) + 95 * disc)
    for centre_y, centre_x, semi_y, semi_x in ((92, 0, 13, 13), (108, 0, 9, 4), (86, 24, 5, 14), (86, -24, 5, 14)):
        arch = np.sqrt(((y - centre_y) / semi_y) ** 2 + ((x - centre_x) / semi_x) ** 2)
        paint(hu, np.clip(0.5 + (1 - arch) * semi_y / pixel, 0, 1) * (1 - 0.7 * disc), 330.0)
    canal = np.sqrt((y - 91) ** 2 + x**2)
    paint(hu, np.clip(0.5 + (8.5 - canal) / pixel, 0, 1), 25.0)
    front = -94 + 0.16 * np.maximum(z - 150, 0)
    sternum = np.sqrt(((y - front) / 6.5) ** 2 + (x / 17) ** 2)
    ends = np.clip((z - 60) / 6, 0, 1) * np.clip((232 - z) / 6, 0, 1)
    plate = _MARROW_HU + 230 * np.clip((sternum - 0.6) * 4, 0, 1)
    paint(hu, np.clip(0.5 + (1 - sternum) * 6 / pixel, 0, 1) * ends, plate)
    for side in (-1, 1):
        tip, corner = (150, 84, 98 * side), (248, 62, 128 * side)
        for stop in (corner, (240, 84, 84 * side), (246, 74, 104 * side)):
            paint_tube(hu, grid, tip, stop, (4.0, 5.0), 330.0)
        paint_tube(hu, grid, (232, -66, 22 * side), (262, -20, 120 * side), (6.0, 6.5), 380.0)  # collar bone


def _paint_table(hu: Field, grid: Grid, y: Field, x: Field) -> None:
    """Draw the table in place: two thin curved sheets with foam between them."""
    arc = np.sqrt(x**2 + (y + 330) ** 2)
    pixel = np.float32(min(grid.spacing[1:]))
    foam = np.clip(0.5 + (9 - np.abs(arc - 472)) / pixel, 0, 1) * (y > 0)
    paint(hu, foam, -940.0)
    for radius in (463, 481):
        sheet = np.clip(0.5 + (1.4 - np.abs(arc - radius)) / pixel, 0, 1) * (y > 0)
        paint(hu, sheet, -420.0)


def paint_body(
    hu: Field, grid: Grid, right_dome: Callable[[Field, Field], Field], left_dome: Callable[[Field, Field], Field]
) -> None:
    """Draw everything but lungs and ribs in place.

    Parameters
    ----------
    hu
        Volume of air, float32, HU.
    grid
        Its grid.
    right_dome, left_dome
        Give the height of the diaphragm in mm from x and y.
    """
    z, y, x = grid.axes((slice(0, grid.shape[0]), slice(0, grid.shape[1]), slice(0, grid.shape[2])))
    _paint_table(hu, grid, y, x)
    depth = _paint_torso(hu, grid, z, y, x)
    _paint_mediastinum(hu, grid)
    below = (np.maximum(right_dome(x, y), left_dome(x, y)) - z) / np.float32(grid.spacing[0])
    below = np.clip(below + 0.5, 0, 1) * np.clip((depth - 27) / 4, 0, 1)
    organ = np.where(x < 34 - 0.4 * y, np.float32(_LIVER_HU), np.float32(_STOMACH_HU))
    paint(hu, below, organ)
    _ellipsoid(hu, grid, (2, -34, 58), (13, 18, 22), _AIR_HU)  # gas in the stomach
    paint_tube(hu, grid, (172, 40, 20), (-60, 44, 20), (12.0, 12.0), _BLOOD_HU)
    _paint_bones(hu, grid, z, y, x)
