"""What a CT picture shows, found without knowing its HU: padding, outside air, lungs, airways, fat and soft tissue.

Everything here works on grey values of an unknown linear scale. A chest CT has two far groups of values, air and lung
below, fat and soft tissue above, whatever the window; within each group the order is known (air under lung, fat under
soft tissue), and so are the rough distances.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SMOOTHING_PX = 1.5
MOST_SMOOTHING_PX = 4.0
"""Standard deviation of the Gaussian that takes off noise, in pixels of the 512 x 512 grid: least and most."""

NOISE_SHARE = 0.025
"""Noise, as a share of the distance from the dark to the bright group, from which more smoothing is needed; 25 HU."""

DEAD_PX = 5
"""Side of a neighbourhood, in pixels, that is dead if all of its values are the lowest of the picture: padding outside
the scan circle, a background that was painted over, or values that the window clipped. Real air is noisy."""

DEAD_RIM_PX = 10
"""Pixels around padding that resizing and compression mixed with it."""

DEAD_LEVELS = 1.0
"""How far above the lowest value dead pixels may lie, in levels of 255; compression ripples by about as much."""

CUT_SIDE_SHARE = 0.15
"""A side of the picture cuts through the body where at least this share of it is tissue."""

RIM_PX = 3
"""Pixels that are taken off a region so that neither partial volume nor smoothing at its rim enters its values."""

MIN_REGION_PX = 60
"""Smallest region, after its rim was taken off, whose values are believed."""

LUNG_UNEVENNESS = 0.0085
"""Lung is uneven (vessels), air is not: the median gradient of the smoothed picture, per pixel and as a share of the
distance to the brighter group, lies above this in lung. Found on the tuning patients: air 0.003 to 0.008, lung 0.009 to
0.06."""

MIN_LUNG_SHARE = 0.01
"""Share of the picture that lung must take for its values to be used."""

AIRWAY_DEPTH = 0.06
"""How far under the lung's fifth percentile the core of an airway or bulla lies at least, as a share of the distance
from that percentile to the soft tissue (about 930 HU)."""

AIRWAY_RADIUS_PX = 3.0
"""Least radius of an airway whose core is free of partial volume, in pixels of the 512 x 512 grid."""

TEXT_HEIGHT_SHARE, TEXT_AREA_SHARE, TEXT_RIM_SHARE = 0.08, 0.01, 0.2
"""Letters are at most so high and so large, and lie within such a rim, as shares of the picture's shorter side (of its
area)."""

Grey = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Regions:
    """Masks over one picture, all of its shape ``(y, x)``.

    Parameters
    ----------
    smooth
        float32, the picture without its noise.
    split
        Grey value between the dark group (air, lung) and the bright one (fat, soft tissue).
    dead
        Even areas of the lowest value.
    outside
        Air around the body, its rim taken off; empty in a picture cropped to the lungs.
    lungs
        Lung, airways and bullae included, its rim taken off.
    tissue
        Tissue, its rim taken off.
    black_inside
        Share of the picture that is evenly black inside the body: there the window clipped.
    """

    smooth: Grey
    split: float
    dead: Mask
    outside: Mask
    lungs: Mask
    tissue: Mask
    black_inside: float


def find_regions(picture: Grey) -> Regions | None:
    """Tell the regions of a picture apart.

    Parameters
    ----------
    picture
        float32, shape ``(y, x)``, grey values of any linear scale, about 512 pixels along its longer side.

    Returns
    -------
    Regions or None
        None where the picture has no two groups of values.
    """
    lowest = picture.min()
    near = DEAD_LEVELS / 255 * float(np.ptp(picture))
    # An area counts as dead to its own rim: the opening brings back what the erosion took.
    dead = ndimage.binary_opening(picture <= lowest + near, np.ones((DEAD_PX, DEAD_PX), bool))
    smooth = _smooth(picture, ~dead)
    split = otsu(smooth)
    if split is None:
        return None
    tissue = ndimage.binary_opening(smooth >= split, iterations=2)
    if np.count_nonzero(tissue) < MIN_REGION_PX:
        return None
    tissue_core = _inner(tissue, 2)
    bright = float(np.median(smooth[tissue_core if tissue_core.any() else tissue]))
    core = _inner(smooth < split, RIM_PX)
    enclosed = _enclosed(tissue)
    black_inside = _surrounded(dead, enclosed)
    padding = ndimage.binary_dilation(dead & ~black_inside, iterations=DEAD_RIM_PX)
    outside, lungs = _sort_out(core, enclosed, smooth, padding, bright)
    return Regions(smooth, split, dead, outside, lungs, tissue_core, float(black_inside.mean()))


def _smooth(picture: Grey, used: Mask) -> Grey:
    """Take off noise, the more of it the more there is."""
    values = picture[used]
    if values.size < MIN_REGION_PX:
        return ndimage.gaussian_filter(picture, SMOOTHING_PX)
    # Second differences hold noise and hardly any structure (Immerkaer 1996, doi:10.1006/cviu.1996.0060).
    second = ndimage.convolve(picture, np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32))
    noise = float(np.median(np.abs(second[used]))) / 0.6745 / 6
    contrast = float(np.subtract(*np.percentile(values, (90, 10))))
    excess = noise / max(NOISE_SHARE * contrast, 1e-6)
    return ndimage.gaussian_filter(picture, float(np.clip(SMOOTHING_PX * excess, SMOOTHING_PX, MOST_SMOOTHING_PX)))


def _surrounded(dead: Mask, enclosed: Mask) -> Mask:
    """Dead areas inside the body: there the window clipped, and nothing was padded."""
    labelled, count = ndimage.label(dead)
    if count == 0:
        return dead
    inside = ndimage.mean(enclosed, labelled, np.arange(count + 1)) > 0.5
    inside[0] = False
    # Padding lies at the sides of the picture, which count as tissue where they cut through a large patient.
    for side in (labelled[0], labelled[-1], labelled[:, 0], labelled[:, -1]):
        inside[np.unique(side)] = False
    return np.asarray(inside[labelled])


def _sort_out(core: Mask, enclosed: Mask, smooth: Grey, padding: Mask, bright: float) -> tuple[Mask, Mask]:
    """Sort dark regions into air around the body and lungs (with their airways)."""
    outside, lungs = np.zeros_like(core), np.zeros_like(core)
    labelled, count = ndimage.label(core)
    slope = ndimage.gaussian_gradient_magnitude(smooth, 0.5)
    even: list[tuple[int, tuple[slice, slice]]] = []
    uneven: list[tuple[int, tuple[slice, slice]]] = []
    for index, box in enumerate(ndimage.find_objects(labelled, count), start=1):
        region = (labelled[box] == index) & ~padding[box]
        if np.count_nonzero(region) < MIN_REGION_PX:
            continue
        contrast = bright - float(np.median(smooth[box][region]))
        if np.mean(enclosed[box][region]) <= 0.5:
            outside[box] |= region
        elif np.median(slope[box][region]) > LUNG_UNEVENNESS * contrast:
            uneven.append((index, box))
        else:
            even.append((index, box))
    even_at_side = outside.copy()
    for index, box in even:
        if _touches_side(box, core.shape):
            even_at_side[box] |= (labelled[box] == index) & ~padding[box]
    limit = -np.inf
    if np.count_nonzero(even_at_side) >= MIN_LUNG_SHARE * core.size:
        air = float(np.median(smooth[even_at_side]))
        limit = air + AIRWAY_DEPTH * (bright - air)
    elif padding.any():
        # Nothing but black around the body: what is brighter inside is no air.
        black = float(smooth.min())
        limit = black + AIRWAY_DEPTH * (bright - black)
    _label_uneven(uneven, labelled, smooth, padding, limit, outside, lungs)
    _label_even(even, labelled, smooth, padding, limit, outside, lungs)
    return outside, lungs


def _label_uneven(
    uneven: list[tuple[int, tuple[slice, slice]]],
    labelled: NDArray[np.intp],
    smooth: Grey,
    padding: Mask,
    limit: float,
    outside: Mask,
    lungs: Mask,
) -> None:
    """Put uneven regions to where they belong: lung, or air with table and blankets in it, which is darker."""
    at_side = {index for index, box in uneven if _touches_side(box, labelled.shape)}
    values = [smooth[box][(labelled[box] == index) & ~padding[box]] for index, box in uneven if index not in at_side]
    sure = np.concatenate(values) if values else np.zeros(0, np.float32)
    if sure.size >= MIN_LUNG_SHARE * smooth.size:
        limit = max(limit, float(np.percentile(sure, 25)))
    for index, box in uneven:
        region = (labelled[box] == index) & ~padding[box]
        is_air = index in at_side and float(np.median(smooth[box][region])) < limit
        (outside if is_air else lungs)[box] |= region


def _label_even(
    even: list[tuple[int, tuple[slice, slice]]],
    labelled: NDArray[np.intp],
    smooth: Grey,
    padding: Mask,
    limit: float,
    outside: Mask,
    lungs: Mask,
) -> None:
    """Put even regions to where they belong: lung without vessels, windpipe between the lungs, air around the body."""
    rows, columns = np.flatnonzero(lungs.any(axis=1)), np.flatnonzero(lungs.any(axis=0))
    for index, box in even:
        region = (labelled[box] == index) & ~padding[box]
        if rows.size and _within(box[0], rows) and _within(box[1], columns):
            lungs[box] |= region
        elif _touches_side(box, labelled.shape):
            outside[box] |= region
        elif limit > -np.inf and float(np.median(smooth[box][region])) > limit:
            lungs[box] |= region


def _within(extent: slice, used: NDArray[np.intp]) -> bool:
    return bool(extent.start >= used[0] and extent.stop <= used[-1] + 1)


def otsu(values: Grey) -> float | None:
    """Threshold between two groups of values (Otsu 1979, doi:10.1109/TSMC.1979.4310076); None for a single value."""
    if values.size < MIN_REGION_PX or values.min() == values.max():
        return None
    counts, edges = np.histogram(values, bins=256)
    middle = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(edges[1 + int(np.nanargmax(variance[:-1]))])


def _inner(mask: Mask, pixels: int) -> Mask:
    """Take the rim off a mask; the sides of the picture are no rim."""
    return np.asarray(ndimage.binary_erosion(mask, iterations=pixels, border_value=1))


def _enclosed(tissue: Mask) -> Mask:
    """Pixels with tissue on at least three of the four sides; a side of the picture that cuts through it counts."""
    sides = np.zeros(tissue.shape, np.uint8)
    for axis in (0, 1):
        for backwards in (False, True):
            line = np.flip(tissue, axis) if backwards else tissue
            seen = np.maximum.accumulate(line, axis=axis)
            if line.take(0, axis=axis).mean() >= CUT_SIDE_SHARE:
                seen = np.ones_like(seen)
            sides += np.flip(seen, axis) if backwards else seen
    return np.asarray(sides >= 3)


def _touches_side(box: tuple[slice, ...], shape: tuple[int, ...]) -> bool:
    return any(axis.start == 0 or axis.stop == size for axis, size in zip(box, shape, strict=True))


def airway_cores(regions: Regions, lung_low: float, soft: float) -> Mask:
    """Find the cores of airways and bullae inside the lungs.

    Parameters
    ----------
    regions
        What the picture shows.
    lung_low
        Fifth percentile of the lungs' values.
    soft
        Value of the brighter group.

    Returns
    -------
    ndarray
        bool, shape of the picture.
    """
    filled = ndimage.binary_dilation(regions.lungs, iterations=RIM_PX)
    deep = filled & (regions.smooth < lung_low - AIRWAY_DEPTH * (soft - lung_low))
    return np.asarray(ndimage.distance_transform_edt(deep) >= AIRWAY_RADIUS_PX)


def rim_text(picture: Grey) -> Mask:
    """Find letters and small marks at the rim of a picture, outside the body.

    Parameters
    ----------
    picture
        float32, shape ``(y, x)``.

    Returns
    -------
    ndarray
        bool, same shape: small bright pieces around which there is nothing but air; vessels in lungs that the picture's
        side cuts are none.
    """
    text = np.zeros(picture.shape, np.bool_)
    split = otsu(picture)
    if split is None:
        return text
    bright = picture >= split
    labelled, count = ndimage.label(bright, np.ones((3, 3)))
    if count < 2:
        return text
    sizes = np.bincount(labelled.ravel())
    sizes[0] = 0
    enclosed = _enclosed(ndimage.binary_opening(labelled == int(sizes.argmax()), iterations=2))
    side = min(picture.shape)
    rim = TEXT_RIM_SHARE * side
    for index, box in enumerate(ndimage.find_objects(labelled, count), start=1):
        rows, columns = box
        small = rows.stop - rows.start <= TEXT_HEIGHT_SHARE * side and sizes[index] <= TEXT_AREA_SHARE * picture.size
        distance = min(rows.start, columns.start, picture.shape[0] - rows.stop, picture.shape[1] - columns.stop)
        piece = labelled[box] == index
        if index != int(sizes.argmax()) and small and distance <= rim and not enclosed[box][piece].any():
            text[box] |= piece
    # Letters have a soft rim.
    return np.asarray(ndimage.binary_dilation(text, iterations=3))
