"""Which slices a network sees beside a slice: one on each side, about as far away in every scan."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

NEIGHBOUR_MM = 5.0
"""Distance of the neighbours, in mm: whole slices of at least one, so that in thick slices it is more."""


def steps_to_neighbour(step_mm: float, distance_mm: float = NEIGHBOUR_MM) -> int:
    """How many slices away the neighbour is.

    Parameters
    ----------
    step_mm
        Distance of slices in mm, positive.
    distance_mm
        Wished distance in mm.
    """
    return max(1, round(distance_mm / step_mm))


def neighbours_of(chosen: NDArray[np.intp], first: Any, last: Any, steps: int, count: int) -> NDArray[np.intp]:
    """Indices of slices with those beside them.

    Parameters
    ----------
    chosen
        Indices, shape ``(n,)``.
    first, last
        Lowest and highest index that may be seen; beyond them the outermost slice stands for what is not there.
    steps
        How many slices away the neighbours are.
    count
        Slices that are seen, odd: the own one in the middle.

    Returns
    -------
    ndarray
        Shape ``(n, count)``.
    """
    offsets = steps * (np.arange(count) - count // 2)
    return np.asarray(np.clip(chosen[:, None] + offsets, first, last))
