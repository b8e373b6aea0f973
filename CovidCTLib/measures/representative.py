"""The representative slice of a scan, and open and closed slices (population study, row C3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.analysis import Openness

AERATED_BELOW_HU = -500
"""Lung under this HU, exclusive, is well aerated. Gattinoni et al. 2001, doi:10.1164/ajrccm.164.9.2103121."""

OPEN_FRACTION = 0.1
"""Smallest aerated lung area of an open slice, inclusive, as a share of the representative slice's lung area.

The population study calls a slice closed that shows hardly any aerated lung, without a number; Rahimzadeh et al. 2021
(doi:10.1016/j.bspc.2021.102588) compare the dark area of a slice with that of the patient's other slices. A tenth is
CovidCT's own choice: in six CTs of COVID patients it calls the outermost 6 to 36 mm of the lungs closed,
where bases and apices are cut through rather than seen."""


def representative_slice(lung_pixels: NDArray[np.int64]) -> int | None:
    """Find the slice with the largest lung area.

    Parameters
    ----------
    lung_pixels
        Shape ``(z,)``, lung pixels of each axial slice.

    Returns
    -------
    int or None
        Index of the slice, the one nearest to the feet of several alike; None where no slice shows lung.
    """
    if lung_pixels.size == 0 or not lung_pixels.any():
        return None
    return int(np.argmax(lung_pixels))


def openness_of(lung_pixels: int, aerated_pixels: int, representative_lung_pixels: int) -> Openness:
    """Tell open, closed and lungless slices apart.

    Parameters
    ----------
    lung_pixels
        Lung pixels of the slice.
    aerated_pixels
        Those of them under `AERATED_BELOW_HU`.
    representative_lung_pixels
        Lung pixels of the scan's representative slice.

    Returns
    -------
    Openness
        ``"no lung"`` without lung pixels; ``"open"`` if the aerated area is at least `OPEN_FRACTION` of the
        representative slice's lung area; ``"closed"`` otherwise.

    Notes
    -----
    Measured against lung and not against aerated lung, so that in lungs without air no slice is called open.
    """
    if lung_pixels == 0:
        return "no lung"
    return "open" if aerated_pixels >= OPEN_FRACTION * representative_lung_pixels else "closed"
