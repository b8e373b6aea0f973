"""Small phantoms for the tests of measures, and a way to look a measure up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from CovidCTLib.analysis import AxialArrays, Measurement, SliceFinding
from CovidCTLib.geometry import Geometry
from CovidCTLib.labels import LEFT, RIGHT

SPACING_XYZ_MM = (0.5, 2.0, 4.0)
VOXEL_ML = 0.004
PIXEL_MM2 = 1.0

SHAPE = (14, 8, 20)
RIGHT_BOX = (slice(1, 10), slice(2, 6), slice(1, 7))
LEFT_BOX = (slice(4, 13), slice(2, 6), slice(10, 18))
RIGHT_VOXELS = 9 * 4 * 6
LEFT_VOXELS = 9 * 4 * 8
LUNG_HU = -850


def make_axial(
    hu: Any, lungs: Any, opacities: Any = None, localization: Any = None, geometry: Geometry | None = None
) -> AxialArrays:
    """Put arrays on one grid; what is not given is empty."""
    shape = np.shape(lungs)
    return AxialArrays(
        hu=np.array(np.broadcast_to(hu, shape), dtype=np.int16),
        lungs=np.asarray(lungs, dtype=np.uint8),
        opacities=np.array(np.broadcast_to(0 if opacities is None else opacities, shape), dtype=np.uint8),
        localization=np.array(np.broadcast_to(0 if localization is None else localization, shape), dtype=np.float32),
        geometry=geometry if geometry is not None else Geometry(shape, SPACING_XYZ_MM),
    )


def make_box_lungs() -> np.ndarray:
    """Make two boxes of nine slices each, the left one three slices higher."""
    lungs = np.zeros(SHAPE, dtype=np.uint8)
    lungs[RIGHT_BOX] = RIGHT
    lungs[LEFT_BOX] = LEFT
    return lungs


def make_random_axial(seed: int, shape: tuple[int, int, int] = (9, 6, 10)) -> AxialArrays:
    """Make arrays of random labels and HU, holes, gaps and noise included."""
    rng = np.random.default_rng(seed)
    lungs = rng.choice(np.arange(3, dtype=np.uint8), size=shape, p=(0.5, 0.3, 0.2))
    lungs[rng.random(shape[0]) < 0.2] = 0
    return make_axial(
        rng.integers(-1024, 600, size=shape), lungs, rng.integers(0, 4, size=shape), rng.random(shape, dtype=np.float32)
    )


def find(measures: Iterable[Measurement], region: str, name: str) -> Measurement:
    """Find the one entry of a region and measure."""
    (entry,) = [entry for entry in measures if entry.region == region and entry.name == name]
    return entry


def value_of(measures: Iterable[Measurement], region: str, name: str) -> float:
    """Give a value that must be defined."""
    value = find(measures, region, name).value
    assert value is not None
    return value


def unread(axial: AxialArrays) -> list[SliceFinding]:
    """Give each slice a finding without a probability."""
    return [SliceFinding(None, False)] * axial.geometry.shape_zyx[0]
