"""A sample of a scan's voxels, small enough that every check together takes a fraction of a second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import Notice, QualityError
from CovidCTLib.hu import LOWEST_HU

SAMPLE_SIDE_PX = 128
"""Rows and columns of the sample are about this many or more, but under twice as many."""

SAMPLE_SLICES = 96
"""The sample has at most this many slices."""

_SMOOTHING_HU = 21
"""Width over which the histogram is averaged before a peak is sought, in HU; odd."""


@dataclass(frozen=True)
class Sample:
    """Every so many voxels of a scan, and how often each value occurs.

    Parameters
    ----------
    hu
        int16, HU, shape ``(z, y, x)``, canonical axial.
    counts
        ``counts[i]`` voxels of the sample have the value ``LOWEST_HU + i``; ``counts[0]`` holds all padding.
    voxels
        How many voxels of the scan one voxel of the sample stands for.
    every
        Voxels of the scan from one of the sample to the next along z, y and x; the first is the half of it.
    """

    hu: NDArray[np.int16]
    counts: NDArray[np.int64]
    voxels: float
    every: tuple[int, int, int]

    def count(self, low_hu: int, high_hu: int | None = None) -> int:
        """Count the sample's voxels from ``low_hu`` (inclusive) to ``high_hu`` (exclusive; None: no limit)."""
        stop = None if high_hu is None else max(high_hu - LOWEST_HU, 0)
        return int(self.counts[max(low_hu - LOWEST_HU, 0) : stop].sum())

    def share(self, low_hu: int, high_hu: int | None, of_low_hu: int = LOWEST_HU + 1) -> float:
        """Divide the count from ``low_hu`` to ``high_hu`` by that from ``of_low_hu`` upwards (padding left out)."""
        whole = self.count(of_low_hu)
        return self.count(low_hu, high_hu) / whole if whole else 0.0

    def largest_share(self) -> float:
        """Give the share of all voxels, padding too, that have the most frequent value."""
        return float(self.counts.max() / self.counts.sum())

    def peak_hu(self, low_hu: int) -> int:
        """Give the most frequent value at or above ``low_hu``, after averaging over `_SMOOTHING_HU`."""
        start = low_hu - LOWEST_HU
        smooth = np.convolve(self.counts[start:], np.ones(_SMOOTHING_HU), "same")
        return int(low_hu + np.argmax(smooth))

    def quantile_hu(self, fraction: float) -> int:
        """Give the value under which this fraction of the voxels lies, padding left out."""
        sums = np.cumsum(self.counts[1:])
        return int(LOWEST_HU + 1 + np.searchsorted(sums, fraction * sums[-1], side="right"))


def take_sample(hu: NDArray[np.int16]) -> Sample:
    """Take a sample of a scan.

    Parameters
    ----------
    hu
        Canonical axial HU, at least `LOWEST_HU`, shape ``(z, y, x)``.
    """
    every_z, every = -(-len(hu) // SAMPLE_SLICES), max(1, min(hu.shape[1:]) // SAMPLE_SIDE_PX)
    coarse = np.ascontiguousarray(hu[every_z // 2 :: every_z, every // 2 :: every, every // 2 :: every])
    # Values from -1024 on, as every scan has them; int32 is what counting needs.
    counts = np.bincount(coarse.ravel().astype(np.int32) - LOWEST_HU, minlength=int(-2 * LOWEST_HU))
    return Sample(coarse, counts, hu.size / coarse.size, (every_z, every, every))


def refuse(code: str, text: str, value: float, limit: float, unit: str, *, hint: str = "") -> QualityError:
    """Make the error of a check that refuses; the caller raises it.

    Parameters
    ----------
    code, text, value, limit, unit
        As in `CovidCTLib.errors.Notice`; the text is the error's message.
    hint
        As in `CovidCTLib.errors.CovidCTError`.
    """
    return QualityError(text, hint=hint, notice=Notice(code, text, "refuse", value, limit, unit))
