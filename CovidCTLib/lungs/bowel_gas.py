"""Gas in the bowel that the lung network took for lung and that is joined to it; lone parts go by their size and HU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

GAS_HU = -970.0
"""Blocks of about `_BLOCK_MM` whose mean is at or under this hold gas and no lung, which keeps vessels and walls."""

MIN_GAS_RADIUS_MM = 5.0
"""A piece of gas holds a ball of this radius; airways are thinner."""

MAX_BESIDE_SHARE = 0.5
"""Gas of which less than this share lies in slices that show lung is in the bowel; free air in the chest is beside
lung."""

MIN_LUNG_AREA_SHARE = 0.1
"""A slice shows lung if the area of what is neither gas nor its rim is at least this share of the largest one of a
slice. In cap_001, whose colon is joined to the left lung, the rest of the colon has up to 0.03."""

_BLOCK_MM = 3.0
_RIM_BLOCKS = 2
"""The rim of a piece, where gas and the wall of the bowel mix, goes with it."""


def drop_joined_gas(mask: NDArray[np.bool_], hu: NDArray[np.int16], spacing_zyx_mm: tuple[float, float, float]) -> None:
    """Take gas that lies below the lungs out of them, in place.

    Parameters
    ----------
    mask
        Shape ``(z, y, x)``: what the network calls lung.
    hu
        Same shape, HU.
    spacing_zyx_mm
        Spacing in mm.
    """
    where = ndimage.find_objects(mask.astype(np.uint8))
    if not where:
        return
    box = where[0]
    part = mask[box]
    step = tuple(max(1, round(_BLOCK_MM / size)) for size in spacing_zyx_mm)
    thinned = tuple(slice(n // 2, None, n) for n in step)
    ball = _ball([MIN_GAS_RADIUS_MM / (n * size) for n, size in zip(step, spacing_zyx_mm, strict=True)])
    # In a block of gas half of the voxels are that thin, whatever the noise; most scans have none, and are done here.
    if np.count_nonzero((hu[box][thinned] <= GAS_HU) & part[thinned]) < ball.sum() / 4:
        return
    mean = _means_of_blocks(hu[box], step)
    lung = _means_of_blocks(part.astype(np.int16), step) >= 0.5
    gas = ndimage.binary_opening((mean <= GAS_HU) & lung, ball)
    if not gas.any():
        return
    area = (lung & ~ndimage.binary_dilation(gas, iterations=_RIM_BLOCKS)).sum(axis=(1, 2))
    beside = area >= MIN_LUNG_AREA_SHARE * area.max()
    pieces, count = ndimage.label(gas)
    bowel = np.zeros(count + 1, bool)
    for piece in range(1, count + 1):
        size_of_slices = (pieces == piece).sum(axis=(1, 2))
        bowel[piece] = size_of_slices[beside].sum() < MAX_BESIDE_SHARE * size_of_slices.sum()
    if bowel.any():
        drop = ndimage.binary_dilation(bowel[pieces], iterations=_RIM_BLOCKS)
        for axis, n in enumerate(step):
            drop = drop.repeat(n, axis=axis)
        part &= ~drop[: part.shape[0], : part.shape[1], : part.shape[2]]


def _means_of_blocks(values: NDArray[np.int16], step: tuple[int, ...]) -> NDArray[np.float32]:
    """Means of blocks of voxels; the last ones are filled up with their last voxels."""
    padded = np.pad(values, [(0, -size % n) for size, n in zip(values.shape, step, strict=True)], mode="edge")
    z, y, x = (size // n for size, n in zip(padded.shape, step, strict=True))
    blocks = padded.reshape(z, step[0], y, step[1], x, step[2])
    return np.asarray(blocks.mean(axis=(1, 3, 5), dtype=np.float32))


def _ball(radius: list[float]) -> NDArray[np.bool_]:
    """A ball whose radius is given in blocks along each axis; at least its middle and the blocks beside it."""
    reach = [max(1, int(size)) for size in radius]
    z, y, x = np.mgrid[tuple(slice(-n, n + 1) for n in reach)]
    far = (z / max(radius[0], 1)) ** 2 + (y / max(radius[1], 1)) ** 2 + (x / max(radius[2], 1)) ** 2
    return np.asarray(far <= 1)
