"""Right and left lung told apart in a mask of both, also where they touch.

On a coarse grid the mask is eroded within the slices until it falls into two parts on either side of the body; these
grow back to meet where the lungs are thinnest. On the full grid only the surroundings of such a meeting are settled
anew, by a watershed of the distance to the edge.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from CovidCTLib.errors import InputError
from CovidCTLib.framing import BODY_HU, CUT_BODY_SHARE
from CovidCTLib.labels import LEFT, RIGHT

COARSE_MM = 2.8
"""Voxels of the coarse grid are about this large, in mm: finer than any lung is thin where it matters."""

DEEPEST_EROSION_MM = 24.0
"""Lungs that are still one after this much erosion within the slices are not joined by a junction line, in mm."""

SMALLEST_SHARE = 0.01
"""A lung is at least this large beside the other, as they are, without unit (a collapsed lung keeps more)."""

SMALLEST_ERODED_SHARE = 0.05
"""The same after erosion, where splinters fall off, without unit."""

SMALLEST_SEPARATION_MM = 40.0
"""Centres of the two lungs are at least this far apart from right to left, in mm; in adults it is about 150 mm."""

FUSED_SHARE = 0.25
"""One part that has at least this share on either side of the midline is two fused lungs, without unit; the same holds
for an island between two lungs. Two parts are two lungs, wherever the midline is, if the smaller one has at least this
share of the larger one."""

BAND_MM = 9.0
"""On the full grid, what lies within this distance of a meeting of the lungs is settled anew, in mm."""

BONE_HU = 130
"""Lower limit of bone when the spine is sought, inclusive, in HU. Scans that were clipped at 150 HU still show it."""

SPINE_WIDTH_MM = 40.0
"""Width of a vertebra from right to left, in mm; thoracic ones measure 30 to 45 mm with their joints."""

SPINE_PROMINENCE = 2.0
"""The columns of the spine hold at least this many times the bone of a usual column of the back, without unit. In the
eight shared scans it is 2.4 to 5.0; where the spine is out of view, ribs give 1.4 to 1.6."""

USUAL_VIEW_MM = 400.0
"""Width of the field of view where the spacing is not known, in mm."""

_LOOKED_AT = 40
"""The midline is sought in about this many slices of a scan."""

_IN_PLANE = np.zeros((3, 3, 3), bool)
_IN_PLANE[1] = [[False, True, False], [True, True, True], [False, True, False]]

Mask = NDArray[np.bool_]
Labels = NDArray[np.uint8]


def find_body_midline(hu: NDArray[np.int16], spacing_x_mm: float | None = None) -> float:
    """Find the column of the body's midline, also where the field of view cuts one half of the body off.

    Parameters
    ----------
    hu
        Shape ``(z, y, x)``, HU, canonical axial orientation.
    spacing_x_mm
        Spacing from right to left in mm; None takes the picture for `USUAL_VIEW_MM` wide.

    Returns
    -------
    float
        Index along x: the spine, the densest columns of bone in the back half of the body. Where no spine is in view:
        the side of the picture that cuts through the body, if it is one side only; else the column that halves the
        tissue, as the median over the slices; the middle of the image if no tissue is in view.
    """
    coarse = hu[:: max(1, len(hu) // _LOOKED_AT)]
    tissue = coarse[:, ::4] >= BODY_HU
    rows = np.cumsum(np.count_nonzero(tissue, axis=(0, 2)))
    if rows[-1] == 0:
        return (hu.shape[2] - 1) / 2
    back = 4 * int(np.searchsorted(rows, rows[-1] / 2))
    spacing = spacing_x_mm if spacing_x_mm is not None else USUAL_VIEW_MM / hu.shape[2]
    spine = _find_spine(coarse[:, back::2], max(1, round(SPINE_WIDTH_MM / spacing)))
    if spine is not None:
        return spine
    cut = [float(tissue[:, :, side].mean()) >= CUT_BODY_SHARE for side in (0, -1)]
    if cut[0] != cut[1]:
        return 0.0 if cut[0] else float(hu.shape[2] - 1)
    columns = np.cumsum(np.count_nonzero(tissue, axis=1), axis=1)
    columns = columns[columns[:, -1] > 0]
    return float(np.median(np.argmax(columns >= columns[:, -1:] / 2, axis=1)))


def _find_spine(back: NDArray[np.int16], width: int) -> float | None:
    """Column of the spine in the back half of the body; None where none stands out."""
    bone = np.count_nonzero(back >= BONE_HU, axis=(0, 1)).astype(np.float64)
    # Mirrored at the sides, so that half a vertebra at the rim of the view counts as a whole one.
    density = ndimage.uniform_filter1d(bone, width, mode="reflect")
    usual = float(np.median(density[density > 0])) if density.any() else 0.0
    peak = int(density.argmax())
    return float(peak) if usual > 0 and density[peak] >= SPINE_PROMINENCE * usual else None


def split_sides(
    lungs: Mask, spacing_zyx_mm: tuple[float, float, float], *, body_midline_x: float | None = None
) -> Labels:
    """Tell the right from the left lung.

    Parameters
    ----------
    lungs
        bool, shape ``(z, y, x)``, canonical axial orientation (the patient's right at small x): both lungs.
    spacing_zyx_mm
        Voxel spacing in mm.
    body_midline_x
        Index along x of the body's midline, as by `find_body_midline`; None takes the middle of the image. It decides
        where there is only one lung, or no way to part the two.

    Returns
    -------
    ndarray
        uint8, same shape: 0 background, 1 right, 2 left. Every voxel of the mask has a side.

    Raises
    ------
    InputError
        If the mask is not a three-dimensional array of bool, or the spacing is not positive.

    Notes
    -----
    An empty mask gives an empty result. Islands belong to the nearer lung. The idea of parting touching lungs at the
    junction line is that of Hu et al. 2001, doi:10.1109/42.929615.
    """
    _check(lungs, spacing_zyx_mm)
    sides = np.zeros(lungs.shape, np.uint8)
    box = _bounding_box(lungs)
    if box is None:
        return sides
    midline = (lungs.shape[2] - 1) / 2 if body_midline_x is None else body_midline_x
    strides = tuple(max(1, round(COARSE_MM / s)) for s in spacing_zyx_mm)
    spacing = tuple(s * n for s, n in zip(spacing_zyx_mm, strides, strict=True))
    inner = lungs[box]
    sampled, touched = _coarse(inner, strides)
    # A mask so small that no sample hits it is taken by what it touches.
    seeds = _find_seeds(sampled if sampled.any() else touched, spacing, (midline - box[2].start) / strides[2])
    # Thin tips, such as those beside the spine, belong to the lung that they hang on, however near the other one is.
    grown = watershed(np.zeros(seeds.shape, np.uint8), seeds.astype(np.int32), mask=touched, connectivity=3)
    _spread(_nearest(grown.astype(np.uint8), touched, spacing), inner, strides, sides[box])
    if seeds.max() != seeds[seeds > 0].min():
        _settle_meetings(sides[box], spacing_zyx_mm)
    return sides


def extend_sides(sides: Labels, more: Mask) -> Labels:
    """Give voxels beyond the lungs the side of the lung that is nearest in their slice.

    Parameters
    ----------
    sides
        uint8, shape ``(z, y, x)``: 0 background, 1 right, 2 left.
    more
        bool, same shape: voxels that belong to a lung too, such as opacity at the pleura.

    Returns
    -------
    ndarray
        uint8, same shape; `sides` itself where there is nothing to add. Voxels in slices without lung stay background.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    if sides.shape != more.shape:
        raise InputError(f"What belongs to the lungs must have their shape {sides.shape}, not {more.shape}.")
    extended = sides
    for k in np.flatnonzero(more.any(axis=(1, 2))):
        beyond = more[k] & (sides[k] == 0)
        if not beyond.any():
            continue
        if extended is sides:
            extended = sides.copy()
        right, left = (np.flatnonzero((sides[k] == side).any(axis=0)) for side in (RIGHT, LEFT))
        if len(right) and len(left) and right[-1] >= left[0]:
            index = ndimage.distance_transform_edt(sides[k] == 0, return_distances=False, return_indices=True)
            extended[k][beyond] = sides[k][tuple(index)][beyond]
        elif len(right) or len(left):
            # Most slices part the lungs by a column, which is all that a distance could tell.
            parting = (right[-1] + left[0]) / 2 if len(right) and len(left) else np.inf if len(right) else -1
            extended[k][beyond] = np.where(np.nonzero(beyond)[1] < parting, RIGHT, LEFT)
    return extended


def _check(lungs: Mask, spacing_zyx_mm: tuple[float, float, float]) -> None:
    if lungs.ndim != 3 or lungs.dtype != np.bool_:
        raise InputError(
            f"A mask of the lungs with three dimensions (z, y, x) of bool was expected, but it has shape {lungs.shape} "
            f"of {lungs.dtype}. Compare the labelmap with 0 first."
        )
    if len(spacing_zyx_mm) != 3 or not all(np.isfinite(s) and s > 0 for s in spacing_zyx_mm):
        raise InputError(
            f"The spacing must be three positive numbers in mm, not {spacing_zyx_mm}. Correct the header of the scan."
        )


def _bounding_box(mask: Mask) -> tuple[slice, slice, slice] | None:
    """Give the smallest box that holds the mask, None if the mask is empty."""
    in_z = np.flatnonzero(mask.any(axis=(1, 2)))
    if len(in_z) == 0:
        return None
    flat: Mask = np.any(mask, axis=0)
    in_y, in_x = np.flatnonzero(flat.any(axis=1)), np.flatnonzero(flat.any(axis=0))
    z, y, x = (slice(int(i[0]), int(i[-1]) + 1) for i in (in_z, in_y, in_x))
    return z, y, x


def _coarse(mask: Mask, strides: tuple[int, ...]) -> tuple[Mask, Mask]:
    """Give a mask on a coarse grid twice: its samples, and which coarse voxels it touches at all."""
    shape = tuple(-(-size // n) for size, n in zip(mask.shape, strides, strict=True))
    kept = [
        np.minimum(np.arange(m) * n + n // 2, size - 1) for m, n, size in zip(shape, strides, mask.shape, strict=True)
    ]
    touched = np.zeros(shape, bool)
    for offset in np.ndindex(*strides):
        part = mask[tuple(slice(o, None, n) for o, n in zip(offset, strides, strict=True))]
        touched[: part.shape[0], : part.shape[1], : part.shape[2]] |= part
    return mask[np.ix_(*kept)], touched


def _find_seeds(mask: Mask, spacing: tuple[float, ...], midline: float) -> Labels:
    """Label the two lungs on the coarse grid, islands left out: 1 right, 2 left; only one if there is only one."""
    step_mm = min(spacing[1:])
    eroded, count = mask, 0
    while count * step_mm <= DEEPEST_EROSION_MM and eroded.any():
        pair = _opposite_pair(eroded, spacing, SMALLEST_ERODED_SHARE if count else SMALLEST_SHARE, midline, count > 0)
        if pair is not None:
            return _grow_back(pair, mask, count + 1)
        eroded = ndimage.binary_erosion(eroded, _IN_PLANE)
        count += 1
    return _by_midline(mask, spacing, midline)


def _opposite_pair(
    mask: Mask, spacing: tuple[float, ...], smallest_share: float, midline: float, eroded: bool
) -> Labels | None:
    """Label the largest part of a mask and the largest that lies beside it, 1 right and 2 left; None without such.

    Parts that are small, or came about by erosion, must lie on either side of the midline too: a single lung falls
    apart as well.
    """
    parts, count = ndimage.label(mask)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    order = np.argsort(sizes)[::-1]
    columns = {}
    for part in order[:6]:
        if part == 0 or sizes[part] < max(1, smallest_share * sizes[order[0]]):
            break
        columns[part] = _x_quantiles(parts == part)
    first = order[0]
    for part, (low, middle, high) in columns.items():
        if part == first:
            continue
        right, left = (part, first) if middle < columns[first][1] else (first, part)
        apart = (columns[left][1] - columns[right][1]) * spacing[2] >= SMALLEST_SEPARATION_MM
        beside = low > columns[first][2] or high < columns[first][0]
        sure = not eroded and sizes[part] >= FUSED_SHARE * sizes[first]
        if apart and beside and (sure or columns[right][1] <= midline <= columns[left][1]):
            labels = np.zeros(count + 1, np.uint8)
            labels[right], labels[left] = RIGHT, LEFT
            return labels[parts]
    return None


def _x_quantiles(part: Mask) -> tuple[float, float, float]:
    """10th, 50th and 90th percentile of a mask's voxels along x, as indices."""
    share = np.cumsum(np.count_nonzero(part, axis=(0, 1)))
    low, middle, high = (float(np.searchsorted(share, q * share[-1])) for q in (0.1, 0.5, 0.9))
    return low, middle, high


def _grow_back(seeds: Labels, mask: Mask, steps: int) -> Labels:
    """Grow both seeds within the mask and the slices, in turn, by as many steps as they were eroded, and one more."""
    if steps == 1:
        return seeds
    labels = seeds.copy()
    for _ in range(steps):
        for side in (RIGHT, LEFT):
            grown = ndimage.binary_dilation(labels == side, _IN_PLANE)
            labels[grown & mask & (labels == 0)] = side
    return labels


def _by_midline(mask: Mask, spacing: tuple[float, ...], midline: float) -> Labels:
    """Label by the midline: one lung as a whole, two fused ones cut there."""
    columns = np.count_nonzero(mask, axis=(0, 1))
    x = np.arange(mask.shape[2])
    on_right = columns[x < midline].sum() / columns.sum()
    labels = np.zeros(mask.shape, np.uint8)
    if min(on_right, 1 - on_right) >= FUSED_SHARE and mask.shape[2] * spacing[2] >= 2 * SMALLEST_SEPARATION_MM:
        labels[:] = np.where(x < midline, RIGHT, LEFT)
        return labels * mask
    centre = float(np.sum(columns * x) / columns.sum())
    labels[mask] = RIGHT if centre < midline else LEFT
    return labels


def _nearest(labels: Labels, mask: Mask, spacing: tuple[float, ...]) -> Labels:
    """Give every voxel the label of the nearest labelled one, and every island of the mask as a whole that of most."""
    present = np.unique(labels[labels > 0])
    if len(present) == 1:
        return np.full(labels.shape, present[0], np.uint8)
    index = ndimage.distance_transform_edt(labels == 0, sampling=spacing, return_distances=False, return_indices=True)
    nearest: Labels = labels[tuple(index)]
    islands, count = ndimage.label(mask & (labels == 0), np.ones((3, 3, 3), bool))
    if count:
        left = ndimage.mean(nearest == LEFT, islands, np.arange(1, count + 1))
        # An island with a good share on either side is the base or the apex of both lungs.
        clear = np.minimum(left, 1 - left) < FUSED_SHARE
        whole = np.concatenate([[0], np.where(clear, np.where(left > 0.5, LEFT, RIGHT), 0)]).astype(np.uint8)[islands]
        nearest[whole > 0] = whole[whole > 0]
    return nearest


def _spread(coarse: Labels, mask: Mask, strides: tuple[int, ...], sides: Labels) -> None:
    """Carry coarse labels over to the full grid, inside the mask, in place."""
    rows, columns = np.arange(mask.shape[1]) // strides[1], np.arange(mask.shape[2]) // strides[2]
    for k in range(len(mask)):
        np.multiply(coarse[k // strides[0]][rows][:, columns], mask[k], out=sides[k])


def _settle_meetings(sides: Labels, spacing: tuple[float, float, float]) -> None:
    """Where right and left come close in a slice, settle the surroundings on the full grid, in place."""
    reach = [max(1, round(BAND_MM / s)) for s in spacing[1:]]
    for k in range(len(sides)):
        plane = sides[k]
        right = np.flatnonzero((plane == RIGHT).any(axis=0))
        left = np.flatnonzero((plane == LEFT).any(axis=0))
        # Most slices part the lungs by a column; only the others are looked at.
        if len(right) == 0 or len(left) == 0 or right[-1] + 2 < left[0]:
            continue
        columns = slice(max(0, left[0] - 4 * reach[1]), right[-1] + 4 * reach[1] + 1)
        view = plane[:, columns]
        touch = _dilate(view == RIGHT, 2, 2) & _dilate(view == LEFT, 2, 2)
        if touch.any():
            _resettle(view, _dilate(touch, reach[0], reach[1]), spacing[1:])


def _dilate(mask: Mask, rows: int, columns: int) -> Mask:
    """Dilate a slice by a rectangle."""
    wide = ndimage.maximum_filter1d(mask.view(np.uint8), 2 * rows + 1, axis=0)
    return ndimage.maximum_filter1d(wide, 2 * columns + 1, axis=1).astype(bool)


def _resettle(view: Labels, band: Mask, spacing: tuple[float, float]) -> None:
    """Flood the band from what is labelled outside of it, along the distance to the edge, in place."""
    mask = view > 0
    markers = np.where(band, 0, view)
    if not ((markers == RIGHT).any() and (markers == LEFT).any()):
        return
    depth = ndimage.distance_transform_edt(mask, sampling=spacing)
    flooded = watershed(-depth, markers.astype(np.int32), mask=mask & (band | (markers > 0)))
    reached = flooded > 0
    view[reached] = flooded[reached]
