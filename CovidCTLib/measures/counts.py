"""Whole-number counts of voxels, from which all measures of a region follow exactly.

The arrays are read once, slab by slab and only within the lungs' bounding box. What is kept is a histogram with one
bin a HU value for each zone and opacity label: a few megabytes, whatever the size of the scan.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.analysis import AxialArrays
from CovidCTLib.errors import InputError
from CovidCTLib.labels import LEFT, OPACITY_CONSOLIDATION, OPACITY_EFFUSION, OPACITY_GGO, RIGHT
from CovidCTLib.measures.checks import first_integer_hu
from CovidCTLib.measures.regions import NO_THIRD, ZONES, thirds_of_slices

SLAB_SLICES = 8
"""Slices that are read at a time: few enough that a slab and its copies stay under about 50 MB at 512 x 512."""

LOCALIZATION_TOLERANCE = 1e-3
"""How far a localization value may leave [0, 1]; smoothing in single precision overshoots by far less."""

_OPACITY_LABELS = OPACITY_EFFUSION + 1
_HU_BINS = 2**16
_HU_OFFSET = 2**15


@dataclass(frozen=True)
class RegionCounts:
    """What was counted in one region of the lungs.

    Parameters
    ----------
    histogram
        int64, shape ``(4, bins)``: voxels per opacity label (0 none, 1 GGO, 2 consolidation, 3 effusion) and HU, one
        bin a HU.
    lowest_hu
        HU of the first bin.
    localization_sum
        Sum of the localization over the region's voxels, no unit.
    localized_voxels
        Voxels whose localization reaches the threshold.
    shared_voxels
        Those of them that are ground-glass opacity or consolidation.
    """

    histogram: NDArray[np.int64]
    lowest_hu: int
    localization_sum: float
    localized_voxels: int
    shared_voxels: int

    @property
    def hu(self) -> NDArray[np.int64]:
        """HU of each bin, shape ``(bins,)``."""
        return np.arange(self.histogram.shape[1], dtype=np.int64) + self.lowest_hu

    @property
    def all_hu(self) -> NDArray[np.int64]:
        """Voxels per HU whatever their opacity, shape ``(bins,)``."""
        return self.histogram.sum(axis=0)

    @property
    def voxels(self) -> int:
        """Voxels of the region."""
        return int(self.histogram.sum())

    @property
    def ggo_voxels(self) -> int:
        """Voxels of ground-glass opacity."""
        return int(self.histogram[OPACITY_GGO].sum())

    @property
    def consolidation_voxels(self) -> int:
        """Voxels of consolidation."""
        return int(self.histogram[OPACITY_CONSOLIDATION].sum())

    @property
    def opacity_voxels(self) -> int:
        """Voxels of ground-glass opacity and consolidation; pleural effusion is none."""
        return self.ggo_voxels + self.consolidation_voxels

    def high_opacity_voxels(self, limit_hu: float) -> int:
        """Count opacity voxels at or above a limit in HU."""
        start = max(first_integer_hu(limit_hu) - self.lowest_hu, 0)
        return int(self.histogram[[OPACITY_GGO, OPACITY_CONSOLIDATION], start:].sum())

    def band_voxels(self, low_hu: float, high_hu: float) -> int:
        """Count voxels from ``low_hu`` (inclusive) to ``high_hu`` (exclusive)."""
        start = max(first_integer_hu(low_hu) - self.lowest_hu, 0)
        stop = max(first_integer_hu(high_hu) - self.lowest_hu, 0)
        return int(self.histogram[:, start:stop].sum())


def add_counts(parts: Sequence[RegionCounts]) -> RegionCounts:
    """Add the counts of regions that share no voxel; all must have the same bins, as `count_zones` gives them."""
    histogram = np.stack([part.histogram for part in parts]).sum(axis=0)
    return RegionCounts(
        histogram,
        parts[0].lowest_hu,
        math.fsum(part.localization_sum for part in parts),
        sum(part.localized_voxels for part in parts),
        sum(part.shared_voxels for part in parts),
    )


def count_zones(axial: AxialArrays, localized_from: float) -> Mapping[str, RegionCounts]:
    """Count the voxels of each of the six zones by opacity label and HU, and sum up their localization.

    Parameters
    ----------
    axial
        Arrays of one scan, checked by `CovidCTLib.measures.checks.check_axial`.
    localized_from
        Localization at or above which, and above 0, a voxel counts as localized.

    Returns
    -------
    Mapping[str, RegionCounts]
        One entry for each of `ZONES`, all with the same bins; a zone without lung has counts of 0.

    Raises
    ------
    InputError
        If the localization inside the lungs leaves [0, 1] by more than `LOCALIZATION_TOLERANCE`, or is NaN.
    """
    thirds = {side: thirds_of_slices(_slices_with(axial.lungs, side)) for side in (RIGHT, LEFT)}
    histogram = np.zeros((2, 3, _OPACITY_LABELS, _HU_BINS), dtype=np.int64)
    localization = np.zeros((2, 3))
    localized = np.zeros((2, 3, 2), dtype=np.int64)
    rows, columns = _box_of(axial.lungs)
    for start, stop in _slabs(thirds[RIGHT], thirds[LEFT]):
        slab = (slice(start, stop), rows, columns)
        counted, summed = _count_slab(axial, slab)
        marked = _count_localized(axial, slab, localized_from)
        for side in (RIGHT, LEFT):
            third = thirds[side][start]
            if third != NO_THIRD:
                histogram[side - RIGHT, third] += counted[side - RIGHT]
                localization[side - RIGHT, third] += summed[side - RIGHT]
                localized[side - RIGHT, third] += marked[side - RIGHT]
    used = np.flatnonzero(histogram.any(axis=(0, 1, 2)))
    first, last = (int(used[0]), int(used[-1])) if used.size else (_HU_OFFSET, _HU_OFFSET)
    histogram = histogram[..., first : last + 1].copy()
    return {
        zone: RegionCounts(
            histogram[side - RIGHT, third],
            first - _HU_OFFSET,
            float(localization[side - RIGHT, third]),
            *(int(count) for count in localized[side - RIGHT, third]),
        )
        for zone, (side, third) in ZONES.items()
    }


def count_labels(
    axial: AxialArrays, labels: NDArray[np.uint8], highest: int, localized_from: float
) -> tuple[RegionCounts, ...]:
    """Count the voxels of each label of any labelmap, as `count_zones` counts zones; pleural effusion is left out.

    Parameters
    ----------
    axial
        As for `count_zones`.
    labels
        uint8, same shape: 0 or a label.
    highest
        Highest label.
    localized_from
        As for `count_zones`.

    Returns
    -------
    tuple of RegionCounts
        One for each label from 1 on, all with the same bins.

    Raises
    ------
    InputError
        As `count_zones`.
    """
    size = _OPACITY_LABELS * _HU_BINS
    histogram = np.zeros((highest, _OPACITY_LABELS, _HU_BINS), dtype=np.int64)
    summed, marked = np.zeros(highest), np.zeros((highest, 2), dtype=np.int64)
    rows, columns = _box_of(labels)
    for start in range(0, len(labels), SLAB_SLICES):
        slab = (slice(start, start + SLAB_SLICES), rows, columns)
        here = np.where(axial.opacities[slab] == OPACITY_EFFUSION, np.uint8(0), labels[slab])
        inside = here > 0
        if not inside.any():
            continue
        label = here[inside].astype(np.intp) - 1
        opacity = axial.opacities[slab][inside]
        code = (label * _OPACITY_LABELS + opacity) * _HU_BINS + axial.hu[slab][inside] + _HU_OFFSET
        histogram += np.bincount(code, minlength=highest * size).reshape(histogram.shape)
        localization = axial.localization[slab][inside]
        _check_localization(localization)
        summed += np.bincount(label, weights=localization, minlength=highest)
        chosen = (localization > 0) & (localization >= np.float32(localized_from))
        opaque = chosen & ((opacity == OPACITY_GGO) | (opacity == OPACITY_CONSOLIDATION))
        for column, part in enumerate((chosen, opaque)):
            marked[:, column] += np.bincount(label[part], minlength=highest)
    used = np.flatnonzero(histogram.any(axis=(0, 1)))
    first, last = (int(used[0]), int(used[-1])) if used.size else (_HU_OFFSET, _HU_OFFSET)
    return tuple(
        RegionCounts(
            histogram[n, :, first : last + 1].copy(),
            first - _HU_OFFSET,
            float(summed[n]),
            int(marked[n, 0]),
            int(marked[n, 1]),
        )
        for n in range(highest)
    )


def _slices_with(lungs: NDArray[np.uint8], side: int) -> NDArray[np.bool_]:
    """Say of each axial slice whether it shows a lung; slice by slice, so that no copy of the volume is made."""
    return np.array([bool((plane == side).any()) for plane in lungs], dtype=np.bool_)


def _box_of(lungs: NDArray[np.uint8]) -> tuple[slice, slice]:
    """Find the rows and columns within which all lung voxels lie."""
    shadow: NDArray[np.bool_] = np.any(lungs, axis=0)
    rows, columns = np.flatnonzero(shadow.any(axis=1)), np.flatnonzero(shadow.any(axis=0))
    if rows.size == 0:
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _slabs(right: NDArray[np.int8], left: NDArray[np.int8]) -> list[tuple[int, int]]:
    """Cut the slices that show lung into slabs (start, stop) within which neither lung changes its third."""
    slabs: list[tuple[int, int]] = []
    for index in range(len(right)):
        if right[index] == NO_THIRD and left[index] == NO_THIRD:
            continue
        if slabs:
            start, stop = slabs[-1]
            same = right[start] == right[index] and left[start] == left[index]
            if stop == index and same and stop - start < SLAB_SLICES:
                slabs[-1] = (start, index + 1)
                continue
        slabs.append((index, index + 1))
    return slabs


def _count_slab(axial: AxialArrays, slab: tuple[slice, slice, slice]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Count one slab: histogram of shape ``(2 lungs, 4 opacity labels, 65536 HU)`` and the two localization sums."""
    lungs = axial.lungs[slab]
    inside = lungs > 0
    side = lungs[inside]
    code = side.astype(np.intp)
    code -= RIGHT
    code *= _OPACITY_LABELS
    code += axial.opacities[slab][inside]
    code *= _HU_BINS
    code += axial.hu[slab][inside]
    code += _HU_OFFSET
    counted = np.bincount(code, minlength=2 * _OPACITY_LABELS * _HU_BINS).astype(np.int64, copy=False)
    localization = axial.localization[slab][inside]
    _check_localization(localization)
    summed = np.bincount(side, weights=localization, minlength=LEFT + 1)[RIGHT:].astype(np.float64, copy=False)
    return counted.reshape(2, _OPACITY_LABELS, _HU_BINS), summed


def _check_localization(values: NDArray[np.float32]) -> None:
    """Refuse values inside the lungs that are none of a localization."""
    if not values.size:
        return
    low, high = float(values.min()), float(values.max())
    if not (low >= -LOCALIZATION_TOLERANCE and high <= 1 + LOCALIZATION_TOLERANCE):
        raise InputError(
            f"The localization must lie within 0 and 1, but goes from {low:g} to {high:g} inside the lungs. "
            "Scale it first."
        )


def _count_localized(axial: AxialArrays, slab: tuple[slice, slice, slice], localized_from: float) -> NDArray[np.int64]:
    """Count the localized voxels of each lung, and those of them that are opaque: shape ``(2 lungs, 2)``."""
    localization = axial.localization[slab]
    chosen = (localization > 0) & (localization >= np.float32(localized_from))
    side, opacity = axial.lungs[slab][chosen], axial.opacities[slab][chosen]
    opaque = (opacity == OPACITY_GGO) | (opacity == OPACITY_CONSOLIDATION)
    counts = [np.bincount(part, minlength=LEFT + 1)[RIGHT : LEFT + 1] for part in (side, side[opaque])]
    return np.stack(counts, axis=1).astype(np.int64)
