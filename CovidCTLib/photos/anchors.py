"""Grey values whose HU are known from anatomy: what the automatic references of a picture rest on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from CovidCTLib.photos.regions import (
    DEAD_RIM_PX,
    MIN_LUNG_SHARE,
    MIN_REGION_PX,
    Grey,
    Mask,
    Regions,
    airway_cores,
    otsu,
)

OUTSIDE, AIRWAY, LUNG, FAT, SOFT = "outside air", "airway", "lung", "fat", "soft tissue"
"""Names of the anchors."""

OUTSIDE_HU, OUTSIDE_SD_HU = -980.0, 15.0
AIRWAY_HU, AIRWAY_SD_HU = -983.0, 20.0
LUNG_HU, LUNG_SD_HU = -888.0, 18.0
FAT_TISSUE_HU, FAT_SD_HU = -103.0, 14.0
SOFT_HU, SOFT_SD_HU = 42.0, 16.0
"""HU of the anchors and how far they lie apart from scan to scan, as found on the tuning patients: the commonest value
of outside air, the cores of airways, the lung's fifth percentile, and the commonest values of fat and soft tissue."""

DARKEST, DARKEST_HU, DARKEST_SD_HU = "darkest pixel", -1000.0, 10.0
"""Where air is in view and not clipped, noise takes the darkest pixel to -1000 HU or under it; where the window's end
grazes the noise of the air in the airways, it lies at the dark side of that noise, which is near -1000 HU, too."""

GRAZED_SHARE = 0.03
"""Share of an airway's pixels at the lowest value from which the window grazes its noise."""

SMALL_OUTSIDE_SHARE, SMALL_LUNG_SHARE = 0.02, 0.06
SMALL_SD_HU = 35.0
"""Where outside air or lung takes less than such a share of the picture, partial volume or disease may rule it, and it
counts with this standard deviation."""

PADDING_GAP_SHARE, PADDING_AREA_SHARE = 0.2, 0.15
"""Outside air falls apart into padding and air where the two are further apart than the first, as a share of the
distance from air to tissue (200 HU), and each takes at least the second of the area."""

LUNG_PERCENTILE = 5
"""Percentile of the smoothed lung that stands for healthy parenchyma: disease, vessels and fibrosis lie above it."""

CLIPPED_SHARE = 0.5
"""A region whose share of pixels at the lowest or highest value is above this was clipped by the window."""

PARTLY_CLIPPED_SHARE = 0.05
"""Share of clipped pixels in a region of air from which the mean over its noise is too bright."""

CLIPPED_LEVELS = 1.5
"""How far above the lowest value clipped pixels may lie, in levels of 255: resizing and compression ripple."""

WHITE_SHARE, WHITE_RANGE_SHARE = 0.01, 0.03
"""Where more than the first of the tissue's pixels are at the highest value, a peak within the second of it, as a share
of the distance from air, is the window's end and no tissue."""

BLACK_SHARE, NEAR_BLACK_SHARE = 0.02, 0.04
"""Where so much of the picture is even black, and the air beside it is not seen or nearer to black than the second (as
a share of the distance from black to tissue, 40 HU), the black is taken for clipped air."""

FAT_TO_SOFT_SHARE, FAT_TO_SOFT_SD = 0.141, 0.022
"""Distance from fat to soft tissue as a share of that from air to soft tissue: 145 of 1030 HU."""

LEAST_SOFT_PEAK = 0.18
"""A peak lower than this share of the highest one is bone or contrast-filled blood, not soft tissue."""

LEAST_FAT_PEAK = 0.03
WEAK_FAT_PEAK = 0.25
"""Shares of the soft tissue's peak: under the first there is no fat to be seen; under the second it is shifted by its
mixing with soft tissue, and counts with `WEAK_FAT_SD_HU`."""

WEAK_FAT_SD_HU = 30.0

HISTOGRAM_BINS = 160
"""Bins of the histogram from air to well above soft tissue; about 8 HU each."""


@dataclass(frozen=True)
class Anchor:
    """A grey value that stands for a tissue.

    Parameters
    ----------
    name
        ``"outside air"``, ``"airway"``, ``"lung"``, ``"fat"`` or ``"soft tissue"``.
    value
        Grey value.
    hu, sd_hu
        HU that the tissue has, and how uncertain that is.
    """

    name: str
    value: float
    hu: float
    sd_hu: float


@dataclass(frozen=True)
class Evidence:
    """What one picture tells: its anchors, which ends the window clipped, and whether tissue could be mistaken."""

    anchors: tuple[Anchor, ...]
    clipped_air: bool = False
    clipped_lung: bool = False
    clipped_soft: bool = False
    ambiguous_tissue: bool = False
    lowest: float = 0.0


def find_evidence(picture: Grey, regions: Regions) -> Evidence:
    """Collect the anchors of a picture.

    Parameters
    ----------
    picture
        float32, shape ``(y, x)``, grey values.
    regions
        What it shows.
    """
    bright = float(np.median(regions.smooth[regions.tissue])) if regions.tissue.any() else regions.split
    dark, clipped_air, clipped_lung = _dark_anchors(picture, regions, bright)
    air_guess = _air_guess(dark, bright)
    tissue, clipped_soft, ambiguous = _tissue_anchors(picture, regions, air_guess)
    return Evidence((*dark, *tissue), clipped_air, clipped_lung, clipped_soft, ambiguous, float(picture.min()))


def _dark_anchors(picture: Grey, regions: Regions, bright: float) -> tuple[list[Anchor], bool, bool]:
    """Anchors of air and lung; whether air, and whether lung, was clipped."""
    anchors: list[Anchor] = []
    lowest = float(picture.min())
    at_lowest = picture <= lowest + CLIPPED_LEVELS / 255 * float(np.ptp(picture))
    clipped_air = clipped_lung = False
    outside_share = np.count_nonzero(regions.outside) / picture.size
    if np.count_nonzero(regions.outside) >= MIN_REGION_PX:
        air = _air_in_front(regions, bright)
        value = _middle(picture, air) if _partly_clipped(at_lowest, air) else _mode(regions.smooth[air])
        black = float(regions.dead.mean()) > BLACK_SHARE and value - lowest < NEAR_BLACK_SHARE * (bright - lowest)
        if black or at_lowest[regions.outside].mean() > CLIPPED_SHARE:
            clipped_air = True
        else:
            sd_hu = OUTSIDE_SD_HU if outside_share >= SMALL_OUTSIDE_SHARE else SMALL_SD_HU
            anchors.append(Anchor(OUTSIDE, value, OUTSIDE_HU, sd_hu))
    lung = regions.smooth[regions.lungs]
    share = lung.size / picture.size
    if regions.black_inside >= max(MIN_LUNG_SHARE, share / 2):
        return [], True, True
    if share >= MIN_LUNG_SHARE:
        low = float(np.percentile(lung, LUNG_PERCENTILE))
        if at_lowest[regions.lungs].mean() > CLIPPED_SHARE:
            return anchors, True, True
        airway = airway_cores(regions, low, bright)
        if airway.any():
            if at_lowest[airway].mean() > CLIPPED_SHARE:
                clipped_air = True
            else:
                anchors.append(Anchor(AIRWAY, _middle(picture, airway), AIRWAY_HU, AIRWAY_SD_HU))
                if (picture[airway] <= lowest + 0.5 / 255 * float(np.ptp(picture))).mean() > GRAZED_SHARE:
                    anchors.append(Anchor(DARKEST, lowest, DARKEST_HU, DARKEST_SD_HU))
        parenchyma = regions.smooth[regions.lungs & ~ndimage.binary_dilation(airway, iterations=6)]
        low = float(np.percentile(parenchyma, LUNG_PERCENTILE)) if parenchyma.size else low
        if (parenchyma <= lowest + 1e-3 * (bright - lowest)).mean() * 100 > LUNG_PERCENTILE / 2:
            clipped_lung = clipped_air = True
        else:
            anchors.append(Anchor(LUNG, low, LUNG_HU, LUNG_SD_HU if share >= SMALL_LUNG_SHARE else SMALL_SD_HU))
    sees_air = any(anchor.name in (OUTSIDE, AIRWAY) for anchor in anchors)
    clipped_air = not sees_air and (clipped_air or float(regions.dead.mean()) > BLACK_SHARE)
    return anchors, clipped_air, clipped_lung


def _partly_clipped(at_lowest: Mask, region: Mask) -> bool:
    """Whether the window clips the dark half of a region's noise, so that means over it are too bright."""
    return bool(at_lowest[region].mean() > PARTLY_CLIPPED_SHARE)


def _middle(picture: Grey, region: Mask) -> float:
    """Median of a region's pixels, which the clipping of less than half of them does not change."""
    return float(np.median(picture[region]))


def _air_in_front(regions: Regions, bright: float) -> Mask:
    """Outside air in front of and beside the body; under it, table and blankets raise its values."""
    air = _without_padding(regions, bright)
    rows = np.flatnonzero(regions.tissue.any(axis=1))
    front = air.copy()
    front[(int(rows[0]) + int(rows[-1])) // 2 :] = False
    return front if np.count_nonzero(front) >= MIN_REGION_PX else air


def _without_padding(regions: Regions, bright: float) -> Mask:
    """Outside air without padding that compression or resizing made uneven: a second group of values far under air."""
    values = regions.smooth[regions.outside]
    limit = otsu(values)
    if limit is None:
        return regions.outside
    above, below = values[values >= limit], values[values < limit]
    if min(above.size, below.size) < PADDING_AREA_SHARE * values.size:
        return regions.outside
    gap = float(np.median(above) - np.median(below))
    if gap <= PADDING_GAP_SHARE * (bright - float(np.median(above))):
        return regions.outside
    padding = regions.outside & (regions.smooth < limit)
    air = regions.outside & ~ndimage.binary_dilation(padding, iterations=DEAD_RIM_PX)
    return np.asarray(air if np.count_nonzero(air) >= MIN_REGION_PX else regions.outside & ~padding)


def _air_guess(anchors: list[Anchor], bright: float) -> float | None:
    """Grey value near -1000 HU by the darkest anchor alone, taking the brighter group for soft tissue."""
    if not anchors:
        return None
    best = min(anchors, key=lambda anchor: anchor.sd_hu)
    return best.value - (bright - best.value) * (best.hu + 1000) / (SOFT_HU - best.hu)


def _mode(values: Grey) -> float:
    """Commonest value: the mean of the shortest interval that holds half of the values."""
    ordered = np.sort(values)
    half = max(1, ordered.size // 2)
    widths = ordered[half:] - ordered[: ordered.size - half]
    start = int(np.argmin(widths)) if widths.size else 0
    return float(ordered[start : start + half].mean())


def _tissue_anchors(picture: Grey, regions: Regions, air: float | None) -> tuple[list[Anchor], bool, bool]:
    """Anchors of fat and soft tissue; whether soft tissue was clipped; whether the peaks could mean something else."""
    values = regions.smooth[regions.tissue]
    highest = float(picture.max())
    if values.size < MIN_REGION_PX:
        return [], False, True
    at_highest = float((picture[regions.tissue] >= highest).mean())
    clipped = at_highest > CLIPPED_SHARE / 2
    low = air if air is not None else float(regions.smooth.min())
    top = min(highest, float(np.percentile(values, 99.5)))
    counts, edges = np.histogram(values, HISTOGRAM_BINS, (low, max(top, low + 1e-3) + 0.25 * (top - low)))
    height = ndimage.gaussian_filter1d(counts.astype(float), 1.2)
    middle = (edges[1:] + edges[:-1]) / 2
    inner = (height[1:-1] >= height[:-2]) & (height[1:-1] > height[2:]) & (middle[1:-1] > regions.split)
    peaks = [(float(middle[i + 1]), float(height[i + 1])) for i in np.flatnonzero(inner)]
    if at_highest > WHITE_SHARE:
        peaks = [peak for peak in peaks if peak[0] < highest - WHITE_RANGE_SHARE * (highest - low)]
    if not peaks:
        return [], clipped, True
    return _choose(peaks, low, clipped)


def _choose(peaks: list[tuple[float, float]], air: float, clipped: bool) -> tuple[list[Anchor], bool, bool]:
    """Say which peaks are fat and soft tissue."""
    tallest = max(height for _, height in peaks)
    if clipped:
        fat = max(peaks, key=lambda peak: peak[1])
        return [Anchor(FAT, fat[0], FAT_TISSUE_HU, WEAK_FAT_SD_HU)], True, True
    scored: list[tuple[float, tuple[float, float], tuple[float, float] | None]] = []
    for soft in peaks:
        if soft[1] < LEAST_SOFT_PEAK * tallest:
            continue
        scored.append((0.15 * soft[1], soft, None))
        for fat in peaks:
            if fat[0] >= soft[0] or fat[1] < LEAST_FAT_PEAK * soft[1]:
                continue
            ratio = (soft[0] - fat[0]) / (soft[0] - air)
            fit = float(np.exp(-0.5 * ((ratio - FAT_TO_SOFT_SHARE) / FAT_TO_SOFT_SD) ** 2))
            scored.append((fit * float(np.sqrt(soft[1] * fat[1])), soft, fat))
    scored.sort(key=lambda entry: -entry[0])
    score, soft, fat_peak = scored[0]
    others = [entry[0] for entry in scored[1:] if entry[1] != soft]
    anchors = [Anchor(SOFT, soft[0], SOFT_HU, SOFT_SD_HU)]
    if fat_peak is not None:
        weak = fat_peak[1] < WEAK_FAT_PEAK * soft[1]
        anchors.append(Anchor(FAT, fat_peak[0], FAT_TISSUE_HU, WEAK_FAT_SD_HU if weak else FAT_SD_HU))
    return anchors, False, bool(others and others[0] > 0.6 * score)
