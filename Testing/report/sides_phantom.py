"""A phantom with two lungs of different size and a block of ground glass in the right one."""

from __future__ import annotations

import numpy as np

from CovidCTLib.analysis import AxialArrays
from CovidCTLib.geometry import Geometry

SHAPE = (20, 40, 60)
STEP_MM = (5.0, 3.0, 2.0)
"""Spacing along z, y and x: no two alike."""
BLOCK = (slice(12, 16), slice(9, 15), slice(10, 16))
"""Near the head, in front, on the right."""


def arrays():
    """Lungs of different size, black but for a white block of ground glass in the right one; the block is localized."""
    hu = np.full(SHAPE, -1350, np.int16)
    lungs = np.zeros(SHAPE, np.uint8)
    lungs[4:17, 8:24, 8:22] = 1
    lungs[3:18, 10:34, 36:54] = 2
    opacities = np.zeros(SHAPE, np.uint8)
    opacities[BLOCK] = 1
    hu[BLOCK] = 150
    heat = np.zeros(SHAPE, np.float32)
    heat[BLOCK] = 1.0
    return AxialArrays(hu, lungs, opacities, heat, Geometry(SHAPE, STEP_MM[::-1], (-60.0, -50.0, -40.0)))
