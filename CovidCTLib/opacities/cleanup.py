"""What is done to the logits of the opacity network before they become labels: 3D sense for a network of slices.

Every step is a pure function with its switch in `OpacityCleanup`. ``Testing/benchmarks/postprocessing.py`` shows what
each is worth with given weights; the constants here are its choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidCTLib.errors import OptionsError

BEYOND_LUNGS_MM = 15.0
"""How far opacity may reach beyond the lungs that were found, in mm: the lung network misses consolidation at the
pleura. Judged with networks of which none had seen the patient, the lung network one that had learned no dense
opacities: 0, 6, 10, 15 and 20 mm give cases 2 and 3, whose consolidation lies at the base, Dice of 0.70, 0.83, 0.87,
0.88, 0.89 and 0.58, 0.72, 0.75, 0.77, 0.77; the other cases, case 6 and the normal CT stay as they are from 6 mm on.
With lungs by the training that ships, 0 mm give 0.81 and 0.69, and 6 mm and more the same."""

CORE_LOGIT = 1.0
"""A lesion has a voxel of at least this logit, without unit. Up to 1 no fold lost Dice; 4 would take the unseen case 6
from 1.9 to 1.0 %, at 0.001 to 0.002 of Dice, and faint pneumonia with it (cap_001 lost 11 of 56 rightly called slices
at 3 with the weights 0.1.0)."""

MIN_VOLUME_MM3 = 100.0
"""Smallest lesion, in mm3: a ball of 6 mm, the size at which nodules of ground glass begin to count (Fleischner Society
2017, doi:10.1148/radiol.2017161659). Up to 300 mm3 no fold lost Dice."""

_BLOCK = 32
"""Slices that are smoothed at once, in float32."""

_EVERY_NEIGHBOUR = np.ones((3, 3, 3), bool)

Logits = NDArray[np.floating]


@dataclass(frozen=True)
class OpacityCleanup:
    """Which steps are done to the logits of opacity, in this order, and how far; the defaults are what pays.

    Parameters
    ----------
    flip
        Run the network on the mirrored slices too and take the mean. It doubles the time of the network, and raised
        Dice by 0.001 to 0.002 with the weights 0.1.0.
    smoothing_mm
        Standard deviation of the Gaussian through the slices, in mm; 0 leaves them as they are. 2 mm changed Dice of
        volumes by 0.000 to -0.002, and took a tenth and more of the opacity of cap_001, whose slices are 2 mm apart.
    logit_offset
        Logit above which a voxel is opacity, exclusive, without unit. On patients that the network never saw, -0.5
        changed Dice of volumes by +0.004, of photographs by -0.001.
    beyond_lungs_mm
        As `BEYOND_LUNGS_MM`; None takes opacity wherever it is found.
    core_logit
        As `CORE_LOGIT`, inclusive; None asks for no core.
    min_volume_mm3
        As `MIN_VOLUME_MM3`, inclusive; 0 keeps all.

    Raises
    ------
    OptionsError
        If a length or volume is negative, or a number is not finite.
    """

    flip: bool = False
    smoothing_mm: float = 0.0
    logit_offset: float = 0.0
    beyond_lungs_mm: float | None = BEYOND_LUNGS_MM
    core_logit: float | None = CORE_LOGIT
    min_volume_mm3: float = MIN_VOLUME_MM3

    def __post_init__(self) -> None:
        for name in ("smoothing_mm", "beyond_lungs_mm", "min_volume_mm3"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < np.inf:
                raise OptionsError(f"{name} of the opacities must be at least 0 and finite, not {value}.")
        for name in ("logit_offset", "core_logit"):
            value = getattr(self, name)
            if value is not None and not np.isfinite(value):
                raise OptionsError(f"{name} of the opacities must be a finite number, not {value}.")


def clean_logits(
    logits: Logits,
    inside: NDArray[np.bool_],
    slices: NDArray[np.intp],
    spacing_zyx_mm: tuple[float, float, float],
    cleanup: OpacityCleanup,
) -> Logits:
    """Do all steps of a clean-up but the flip.

    Parameters
    ----------
    logits
        Logits of opacity against none, shape ``(n, y, x)``.
    inside
        Same shape: where opacity may be, as by `grow_in_slices`.
    slices
        Ascending index of each of the ``n`` slices in the scan; missing ones are gaps.
    spacing_zyx_mm
        Spacing of slices and of the logits' grid, in mm.
    cleanup
        The steps.

    Returns
    -------
    ndarray
        Same shape; opacity where it is above 0. The input is not changed. Inside the lungs, what was dropped is
        mirrored at 0, so that interpolation does not bring it back.
    """
    cleaned = smooth_through_slices(logits, slices * spacing_zyx_mm[0], cleanup.smoothing_mm)
    if cleanup.logit_offset != 0:
        cleaned = cleaned - np.asarray(cleanup.logit_offset, cleaned.dtype)
    opacity = (cleaned > 0) & inside
    core = None if cleanup.core_logit is None else cleanup.core_logit - cleanup.logit_offset
    dropped = opacity & ~keep_lesions(
        cleaned, opacity, slices, float(np.prod(spacing_zyx_mm)), core, cleanup.min_volume_mm3
    )
    return np.where(dropped, -np.abs(cleaned), cleaned)


def grow_in_slices(
    inside: NDArray[np.bool_], spacing_yx_mm: tuple[float, float], reach_mm: float | None
) -> NDArray[np.bool_]:
    """Grow a mask within each slice, by a square.

    Parameters
    ----------
    inside
        Shape ``(n, y, x)``.
    spacing_yx_mm
        Spacing in mm.
    reach_mm
        How far, rounded to whole pixels; None gives true everywhere.
    """
    if reach_mm is None:
        return np.ones_like(inside)
    grown = inside.view(np.uint8)
    for axis, mm in enumerate(spacing_yx_mm, start=1):
        pixels = round(reach_mm / mm)
        if pixels > 0:
            grown = ndimage.maximum_filter1d(grown, 2 * pixels + 1, axis=axis)
    return grown.astype(bool)


def smooth_through_slices(logits: Logits, positions_mm: NDArray[np.floating], sigma_mm: float) -> Logits:
    """Smooth each pixel through the slices by a Gaussian of their distance.

    Parameters
    ----------
    logits
        Shape ``(n, y, x)``.
    positions_mm
        Place of each slice, ascending, in mm; gaps weigh nothing.
    sigma_mm
        Standard deviation in mm, cut off at three of them; 0 gives the input itself.

    Returns
    -------
    ndarray
        Same shape and dtype.
    """
    if sigma_mm == 0 or len(logits) < 2:
        return logits
    smoothed, reach = np.empty_like(logits), 3 * sigma_mm
    flat, out = logits.reshape(len(logits), -1), smoothed.reshape(len(logits), -1)
    for start in range(0, len(logits), _BLOCK):
        block_mm = positions_mm[start : start + _BLOCK]
        low, high = np.searchsorted(positions_mm, (block_mm[0] - reach, block_mm[-1] + reach))
        distance = block_mm[:, None] - positions_mm[None, low:high]
        weights = np.exp(-0.5 * (distance / sigma_mm) ** 2) * (np.abs(distance) < reach)
        weights /= weights.sum(axis=1, keepdims=True)
        out[start : start + _BLOCK] = weights.astype(np.float32) @ flat[low:high].astype(np.float32)
    return smoothed


def keep_lesions(
    logits: Logits,
    opacity: NDArray[np.bool_],
    slices: NDArray[np.intp],
    voxel_mm3: float,
    core_logit: float | None,
    min_volume_mm3: float,
) -> NDArray[np.bool_]:
    """Keep the connected lesions that are large enough and have a core.

    Parameters
    ----------
    logits
        Shape ``(n, y, x)``.
    opacity
        Same shape: what is called opacity. Lesions are its 26-connected parts.
    slices
        Ascending index of each slice in the scan; parts do not connect over gaps.
    voxel_mm3
        Volume of a voxel in mm3.
    core_logit
        Least highest logit of a lesion, inclusive; None asks for no core.
    min_volume_mm3
        Least volume, inclusive.

    Returns
    -------
    ndarray
        bool, same shape.
    """
    if (core_logit is None and min_volume_mm3 <= voxel_mm3) or not opacity.any():
        return opacity
    kept = np.zeros_like(opacity)
    for run in np.split(np.arange(len(slices)), np.flatnonzero(np.diff(slices) > 1) + 1):
        part = slice(int(run[0]), int(run[-1]) + 1)
        lesions, count = ndimage.label(opacity[part], _EVERY_NEIGHBOUR)
        if count == 0:
            continue
        where = np.flatnonzero(lesions)
        names = lesions.ravel()[where]
        good = np.bincount(names, minlength=count + 1) * voxel_mm3 >= min_volume_mm3
        if core_logit is not None:
            has_core = np.zeros(count + 1, bool)
            has_core[names[logits[part].ravel()[where] >= core_logit]] = True
            good &= has_core
        kept[part].ravel()[where] = good[names]
    return kept
