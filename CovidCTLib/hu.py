"""Hounsfield units: named values, windows and aeration bands.

All arrays of intensities in CovidCT are int16 HU unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AIR_HU = -1000
"""HU of air by definition of the scale."""

FAT_HU = -100
"""HU of fat, the second reference of the reverse intensity normalization."""

FATTY_HU = (-150, -20)
"""Range of fat, the upper limit exclusive."""

MIN_FAT_PERCENT = 0.3
"""A picture with less of its tissue (above -500 HU) in `FATTY_HU` is no CT of a body: a map of a material, or changed
HU. In the shared CTs it is 7 to 57 %, and 1.2 and 1.5 % in two whose HU were restored in coarse steps; maps of iodine
or water show fat as 0 and have none."""

OUTSIDE_SCAN_CIRCLE_HU = -2000
"""Value that many scanners store outside the reconstruction circle; it is no tissue and becomes air."""

LOWEST_HU = -1024
"""Everything lower (padding, scan circle) is set to this value, the air of 12-bit CT."""

NETWORK_LOW_HU = -1024
NETWORK_HIGH_HU = 150
"""Range that the networks see. Much of the training data had been clipped at 150 HU."""

HIGH_OPACITY_HU = -200
"""Lower limit of high opacity, inclusive. Chaganti et al. 2020, doi:10.1148/ryai.2020200048."""

VESSEL_HU = -500
"""Lower limit of vessels inside the lungs, inclusive (population study of 1,294 scans)."""


@dataclass(frozen=True)
class Window:
    """A display window: ``level`` is its centre and ``width`` its extent, both in HU."""

    name: str
    level_hu: float
    width_hu: float

    @property
    def low_hu(self) -> float:
        """Lower end in HU."""
        return self.level_hu - self.width_hu / 2

    @property
    def high_hu(self) -> float:
        """Upper end in HU."""
        return self.level_hu + self.width_hu / 2


SOFT_TISSUE_WINDOW = Window("soft tissue", 50, 350)
LUNG_WINDOW = Window("lungs", -200, 2000)
BONE_WINDOW = Window("bone", 400, 1800)
BRAIN_WINDOW = Window("brain", 40, 80)
WINDOWS = (SOFT_TISSUE_WINDOW, LUNG_WINDOW, BONE_WINDOW, BRAIN_WINDOW)
"""Window presets, level/width, of the population study."""

READING_WINDOW = Window("lung reading", -600, 1500)
"""The usual radiological window for reading lungs; pictures in the report use it."""


@dataclass(frozen=True)
class AerationBand:
    """A range of HU, ``low_hu`` inclusive and ``high_hu`` exclusive, that stands for a state of aeration."""

    name: str
    low_hu: float
    high_hu: float


AERATION_BANDS = (
    AerationBand("emphysema", -np.inf, -950),
    AerationBand("inflated", -950, -750),
    AerationBand("infiltrated", -750, -400),
    AerationBand("collapsed", -400, 0),
    AerationBand("vessels", 0, np.inf),
)
"""Default limits as in Slicer's Lung CT Analyzer; each limit is an option."""


def bands_between(limits_hu: Sequence[float]) -> tuple[AerationBand, ...]:
    """Make the bands of `AERATION_BANDS` with other limits between them.

    Parameters
    ----------
    limits_hu
        Upper limit of each band but the last, in HU, exclusive; each is the lower limit of the next band, inclusive.
        The first band has no lower limit and the last no upper one.
    """
    ends = (-np.inf, *limits_hu, np.inf)
    names = [band.name for band in AERATION_BANDS]
    return tuple(AerationBand(*entry) for entry in zip(names, ends[:-1], ends[1:], strict=True))


def apply_window(hu: NDArray[np.generic], window: Window) -> NDArray[np.float32]:
    """Map HU to grey values in [0, 1] by a display window.

    Parameters
    ----------
    hu
        Array of any shape, in HU.
    window
        Level and width; values at or under the low end give 0, at or over the high end 1.
    """
    grey = (hu.astype(np.float32) - np.float32(window.low_hu)) / np.float32(window.width_hu)
    return np.clip(grey, 0, 1, out=grey)


def scale_for_network(
    hu: NDArray[np.generic], window_hu: tuple[float, float] = (NETWORK_LOW_HU, NETWORK_HIGH_HU)
) -> NDArray[np.float32]:
    """Clip HU to a window and scale it to [0, 1], as networks expect.

    Parameters
    ----------
    hu
        Array of any shape, in HU.
    window_hu
        Lowest and highest HU that are seen; every network of CovidCT sees [-1024, 150].
    """
    low, high = window_hu
    scaled = np.clip(hu, low, high).astype(np.float32)
    scaled -= np.float32(low)
    scaled /= np.float32(high - low)
    return scaled
