"""Vessels (or lesions) inside the lungs of an axial slice (population study, row C5).

Above the limit lie vessels, and consolidation and dense ground glass as well: the measure cannot tell them apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.measure import find_contours

from CovidCTLib.labels import LEFT, RIGHT
from CovidCTLib.measures.checks import first_integer_hu

CONTOUR_LEVEL = 0.95
"""Level at which a lung mask (0 or 1) is traced, as in the population study; the contour runs 0.05 px outside the
centres of the outermost lung pixels."""

CONTOUR_DISTANCE_PX = 0.1
"""A pixel whose centre is this near to a point of the lung contour, inclusive, lies on it (population study)."""


def vessel_mask(
    hu: NDArray[np.int16], lungs: NDArray[np.uint8], vessel_hu: float, *, without_contour: bool = False
) -> NDArray[np.bool_]:
    """Find the pixels of vessels (or lesions) of one axial slice.

    Parameters
    ----------
    hu
        Shape ``(y, x)``, HU.
    lungs
        Shape ``(y, x)``: 0 background, 1 right, 2 left.
    vessel_hu
        Lower limit in HU, inclusive.
    without_contour
        Leave out the pixels that lie on the contour of a lung, where chest wall and lung share a pixel.

    Returns
    -------
    NDArray[np.bool_]
        Shape ``(y, x)``.

    Raises
    ------
    OptionsError
        If the limit is not a number.
    """
    mask = (lungs > 0) & (hu >= first_integer_hu(vessel_hu))
    if without_contour and mask.any():
        mask &= ~contour_pixels(lungs)
    return mask


def contour_pixels(lungs: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Find the lung pixels that lie on the contour of the right or the left lung.

    Parameters
    ----------
    lungs
        Shape ``(y, x)``: 0 background, 1 right, 2 left.

    Returns
    -------
    NDArray[np.bool_]
        Shape ``(y, x)``: pixels whose centre is at most `CONTOUR_DISTANCE_PX` from a point of a contour.

    Notes
    -----
    Each lung is traced by itself, so that a contour runs between lungs that touch. Where a lung reaches the border of
    the image, the border counts as its contour.
    """
    on_contour = np.zeros(lungs.shape, dtype=np.bool_)
    for side in (RIGHT, LEFT):
        mask = lungs == side
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if rows.size == 0:
            continue
        top, left = int(rows[0]), int(columns[0])
        # A rim of zeros closes the contour at the image border, and only the lung's box has to be traced.
        box = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1], 1).astype(np.float32)
        for contour in find_contours(box, CONTOUR_LEVEL):
            nearest = np.rint(contour)
            close = np.hypot(*(contour - nearest).T) <= CONTOUR_DISTANCE_PX
            y, x = nearest[close].astype(np.intp).T
            on_contour[y - 1 + top, x - 1 + left] = True
    return on_contour
