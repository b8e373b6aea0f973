"""Statistics of the HU of a region, and its mass, from its histogram."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.hu import AIR_HU

LOW_PERCENTILE = 15.0
"""Percentile that stands for the lowest densities, in percent. Dirksen et al. 1999,
doi:10.1164/ajrccm.160.5.9901055."""

HU_PER_G_ML = 1000.0
"""HU from air (0 g/ml) to water (1 g/ml). Mull 1984, doi:10.2214/ajr.143.5.1101."""


@dataclass(frozen=True)
class HuStatistics:
    """Moments of a distribution of HU; ``skewness`` and ``kurtosis`` are None where all voxels have one value."""

    mean_hu: float
    sd_hu: float
    skewness: float | None
    kurtosis: float | None
    percentile_15_hu: float


def hu_statistics(hu: NDArray[np.int64], counts: NDArray[np.int64]) -> HuStatistics | None:
    """Compute mean, standard deviation, skewness, kurtosis and 15th percentile of a histogram.

    Parameters
    ----------
    hu
        Shape ``(bins,)``, the HU of each bin, rising.
    counts
        Shape ``(bins,)``, voxels in each bin.

    Returns
    -------
    HuStatistics or None
        None if there is no voxel.

    Notes
    -----
    All moments are those of the population (divided by the number of voxels): the standard deviation has no
    correction for small samples, the skewness is Fisher's g1 and the kurtosis Fisher's g2, the excess over the normal
    distribution's 3 (Joanes and Gill 1998, doi:10.1111/1467-9884.00122). They are taken around the mean, not from sums
    of powers, so that nothing cancels.
    """
    total = int(counts.sum())
    if total == 0:
        return None
    mean = int((hu * counts).sum()) / total
    deviation = hu - mean
    second, third, fourth = (float((counts * deviation**power).sum()) / total for power in (2, 3, 4))
    varies = np.count_nonzero(counts) > 1
    return HuStatistics(
        mean_hu=mean,
        sd_hu=math.sqrt(second) if varies else 0.0,
        skewness=third / second**1.5 if varies else None,
        kurtosis=fourth / second**2 - 3 if varies else None,
        percentile_15_hu=percentile(hu, counts, LOW_PERCENTILE),
    )


def percentile(hu: NDArray[np.int64], counts: NDArray[np.int64], percent: float) -> float:
    """Find a percentile of a histogram, interpolated linearly between neighbouring voxels as `numpy.percentile` does.

    Parameters
    ----------
    hu, counts
        Shape ``(bins,)``: HU of each bin, rising, and voxels in it; at least one voxel.
    percent
        From 0 to 100, both inclusive.
    """
    reached = np.cumsum(counts)
    rank = (int(reached[-1]) - 1) * percent / 100
    lower = math.floor(rank)
    below = int(hu[np.searchsorted(reached, lower, side="right")])
    above = int(hu[np.searchsorted(reached, min(lower + 1, int(reached[-1]) - 1), side="right")])
    return below + (above - below) * (rank - lower)


def mass_g(hu: NDArray[np.int64], counts: NDArray[np.int64], voxel_ml: float) -> float:
    """Compute the mass of a region in g, with a density of ``(HU + 1000) / 1000`` g/ml.

    Parameters
    ----------
    hu, counts
        Shape ``(bins,)``: HU of each bin and voxels in it.
    voxel_ml
        Volume of a voxel in ml.

    Notes
    -----
    Voxels under -1000 HU weigh less than nothing. They are noise around air, and setting them to zero would leave the
    noise above air without its counterpart and make the lungs heavier than they are.
    """
    return int(((hu - AIR_HU) * counts).sum()) / HU_PER_G_ML * voxel_ml
