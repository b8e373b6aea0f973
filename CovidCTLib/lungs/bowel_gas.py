"""Gas in the bowel that the lung network took for lung and that is joined to it; lone parts go by their size and HU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidCTLib.lungs.slices_with_lung import slices_with_lung
from CovidCTLib.pure_air import find_pure_air

MIN_GAS_ML = 0.5
"""Where all pure air is less than this, in ml, none is looked for; a ball of 10 mm has 0.5 ml."""

MAX_BESIDE_SHARE = 0.5
"""Gas of which less than this share lies in slices that show lung is in the bowel; free air in the chest is beside
lung."""

_RIM_BLOCKS = 2
"""The rim of a piece, where gas and the wall of the bowel mix, goes with it."""


def drop_joined_gas(mask: NDArray[np.bool_], hu: NDArray[np.int16], spacing_zyx_mm: tuple[float, float, float]) -> bool:
    """Take gas that lies below the lungs out of them, in place.

    Parameters
    ----------
    mask
        Shape ``(z, y, x)``: the lungs, without lone small parts.
    hu
        Same shape, HU.
    spacing_zyx_mm
        Spacing in mm.

    Returns
    -------
    bool
        Whether any was taken out.
    """
    air = find_pure_air(hu, mask.view(np.uint8), spacing_zyx_mm, MIN_GAS_ML)
    if not air.count:
        return False
    rimmed = ndimage.binary_dilation(air.pieces > 0, iterations=_RIM_BLOCKS)
    # On voxels, as blocks that hold any lung would count the wall of the bowel as lung.
    beside = slices_with_lung(mask[air.box] & ~air.on_voxels(rimmed))
    bowel = np.zeros(air.count + 1, bool)
    for piece in range(1, air.count + 1):
        area = (air.pieces == piece).sum(axis=(1, 2)).repeat(air.step[0])
        bowel[piece] = area[beside].sum() < MAX_BESIDE_SHARE * area.sum()
    if bowel.any():
        drop = ndimage.binary_dilation(bowel[air.pieces], iterations=_RIM_BLOCKS)
        mask[air.box] &= ~air.on_voxels(drop)
    return bool(bowel.any())
