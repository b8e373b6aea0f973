"""Pure air in what was found as lung: free air beside a lung, a bulla, or gas in the bowel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidCTLib.units import MM3_PER_ML

FREE_AIR_HU = -970.0
"""Blocks of about 3 mm whose mean is at or under this hold no lung. Air is -1000 HU; the most destroyed lung keeps its
vessels and walls, so its blocks lie above (Müller et al. 1988, doi:10.1378/chest.94.4.782, take -910 HU, and today's
limit of emphysema is -950 HU, Gevenois et al. 1996, doi:10.1164/ajrccm.154.1.8680679)."""

FREE_AIR_RADIUS_MM = 5.0
"""A piece holds balls of this radius; air in thinner layers is not told from emphysema and airways."""

BLOCK_MM = 3.0
"""Size of a block, in mm, as nearly as voxels allow."""


@dataclass(frozen=True)
class PureAir:
    """Pieces of pure air, on a grid of blocks of about 3 mm.

    Parameters
    ----------
    pieces
        int32, shape ``(z, y, x)`` in blocks: 0, or the number of a piece.
    count
        How many pieces there are.
    lungs
        uint8, same shape: 0, or the lung of which a block holds any voxel.
    box
        The voxels that the blocks cover: the box around the lungs, but for less than a block at its end.
    step
        Voxels of a block along z, y and x.
    block_ml
        Volume of a block in ml.
    """

    pieces: NDArray[np.int32]
    count: int
    lungs: NDArray[np.uint8]
    box: tuple[slice, ...]
    step: tuple[int, ...]
    block_ml: float

    def on_voxels(self, blocks: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Bring blocks to the voxels of `box`."""
        for axis, n in enumerate(self.step):
            blocks = blocks.repeat(n, axis=axis)
        return blocks


def find_pure_air(
    hu: NDArray[np.int16], lungs: NDArray[np.uint8], spacing_zyx_mm: tuple[float, float, float], smallest_ml: float
) -> PureAir:
    """Find pure air in the lungs that holds balls of `FREE_AIR_RADIUS_MM`.

    Parameters
    ----------
    hu
        Canonical axial HU, shape ``(z, y, x)``.
    lungs
        Same shape: 0 background, any other number a lung.
    spacing_zyx_mm
        Spacing in mm.
    smallest_ml
        Smaller pieces do not matter to the caller: where all air together is less, none may be found.
    """
    step = tuple(max(1, round(BLOCK_MM / size)) for size in spacing_zyx_mm)
    sample = tuple(slice(n // 2, None, n) for n in step)
    block_ml = float(np.prod(spacing_zyx_mm)) * float(np.prod(step)) / MM3_PER_ML
    thin = np.count_nonzero((hu[sample] <= FREE_AIR_HU) & (lungs[sample] > 0)) * block_ml
    # In a block of free air at least half of the voxels are that thin, whatever the noise.
    if thin < smallest_ml / 4:
        nothing = np.zeros((0, 0, 0), np.int32)
        return PureAir(nothing, 0, nothing.astype(np.uint8), (slice(0, 0),) * 3, step, block_ml)
    box = _box_of_blocks(lungs, step)
    mean, side = _blocks(hu[box], lungs[box], step)
    air = (mean <= FREE_AIR_HU) & (side > 0)
    ball = _ball([size * n for size, n in zip(spacing_zyx_mm, step, strict=True)])
    pieces, count = ndimage.label(ndimage.binary_dilation(ndimage.binary_erosion(air, ball), ball) & air)
    return PureAir(pieces, count, side, box, step, block_ml)


def _box_of_blocks(lungs: NDArray[np.uint8], step: Sequence[int]) -> tuple[slice, ...]:
    """The box around the lungs, in whole blocks."""
    box = []
    for axis, n in enumerate(step):
        present = np.flatnonzero(lungs.any(axis=tuple(other for other in range(3) if other != axis)))
        first, stop = int(present[0]), int(present[-1]) + 1
        size = min(-(-(stop - first) // n), lungs.shape[axis] // n)
        first = min(first, lungs.shape[axis] - size * n)
        box.append(slice(first, first + size * n))
    return tuple(box)


def _blocks(
    hu: NDArray[np.int16], lungs: NDArray[np.uint8], step: Sequence[int]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Mean HU and side of blocks of voxels; a block of any lung is of that lung."""
    shape = [number for size, n in zip(hu.shape, step, strict=True) for number in (size // n, n)]
    mean = hu.reshape(shape).mean(axis=(1, 3, 5), dtype=np.float32)
    return mean, lungs.reshape(shape).max(axis=(1, 3, 5))


def _ball(spacing: Sequence[float]) -> NDArray[np.bool_]:
    """Make a ball of `FREE_AIR_RADIUS_MM` on a grid, at least one voxel to each side."""
    radius = [max(1, int(FREE_AIR_RADIUS_MM / size)) for size in spacing]
    squares = [
        np.square(np.arange(-r, r + 1) * size).reshape([-1 if a == axis else 1 for a in range(3)])
        for axis, (r, size) in enumerate(zip(radius, spacing, strict=True))
    ]
    reach = max(FREE_AIR_RADIUS_MM, *spacing)
    return np.asarray(sum(squares) <= 1.001 * reach**2)
