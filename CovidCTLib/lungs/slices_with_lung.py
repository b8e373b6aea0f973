"""Which slices show lung: what lies in others only is in the belly or the neck."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MIN_LUNG_AREA_SHARE = 0.05
"""A slice shows lung if its area there is at least this share of the largest one of a slice. In cap_001, whose colon
was taken for lung, what is left of the colon beside its gas has up to 0.03."""


def slices_with_lung(lungs: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which slices show lung.

    Parameters
    ----------
    lungs
        Shape ``(z, y, x)``, in voxels or larger blocks.

    Returns
    -------
    ndarray
        bool, shape ``(z,)``; all False without lungs.
    """
    area = lungs.sum(axis=(1, 2))
    return np.asarray((area > 0) & (area >= MIN_LUNG_AREA_SHARE * area.max(initial=0)))
