"""Lungs by a U-Net on axial slices (B2), cleaned up in 3D."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidCTLib.framing import Body, body_frame, find_body

if TYPE_CHECKING:
    from CovidCTLib.models.store import LoadedNetwork

MIN_PART_SHARE = 0.02
"""Connected parts under this share of the largest one are no lungs (bowel gas)."""

MAX_HOLE_MM2 = 60.0
"""Holes in a slice up to this area are vessels or noise inside the lung and are filled."""


def segment_lungs_by_network(
    hu: NDArray[np.int16],
    spacing_zyx_mm: tuple[float, float, float],
    network: LoadedNetwork,
    progress: Callable[[float], None] = lambda _: None,
) -> NDArray[np.bool_]:
    """Find both lungs in a CT.

    Parameters
    ----------
    hu
        Canonical axial HU, shape ``(z, y, x)``.
    spacing_zyx_mm
        Spacing in mm.
    network
        The lung network.
    progress
        Takes the share of slices that are done, and may raise to stop.

    Returns
    -------
    ndarray
        bool, same shape: lungs with diseased parts, without trachea and main bronchi. Empty where there is no lung.
    """
    body = find_body(hu, spacing_zyx_mm)
    frame = body_frame(body, spacing_zyx_mm)
    lungs = np.zeros(hu.shape, dtype=bool)
    count = len(hu)
    for indices, logits in network.run_slices(hu, frame, np.arange(count)):
        frame.paste(logits[:, 0], lungs, indices)
        progress(float(indices[-1] + 1) / count)
    keep_large_parts(lungs, body)
    fill_small_holes(lungs, spacing_zyx_mm[1] * spacing_zyx_mm[2])
    return lungs


def keep_large_parts(mask: NDArray[np.bool_], body: Body) -> None:
    """Remove, in place, what lies outside the body (air in blankets), and parts that are too small for a lung.

    Parameters
    ----------
    mask
        Shape ``(z, y, x)``. Parts are 26-connected, on every second pixel of a slice for speed.
    body
        The body on the same scan.
    """
    thinned = mask[:, ::2, ::2]
    index = (np.arange(thinned.shape[0]), np.arange(thinned.shape[1]) * 2, np.arange(thinned.shape[2]) * 2)
    enclosed = body.encloses(index)
    for k in np.flatnonzero((thinned & ~enclosed).any(axis=(1, 2))):
        mask[k] &= _on_all_pixels(enclosed[k], mask.shape)
    labelled, count = ndimage.label(thinned, np.ones((3, 3, 3)))
    if count == 0:
        return
    sizes = np.bincount(labelled.ravel())
    sizes[0] = 0
    lung = sizes >= MIN_PART_SHARE * sizes.max()
    other = ~lung
    other[0] = False
    for k in np.flatnonzero(other[labelled].any(axis=(1, 2))):
        # Grown by one coarse pixel, so that a lung keeps the odd pixels of its rim.
        mask[k] &= _on_all_pixels(ndimage.binary_dilation(lung[labelled[k]]), mask.shape)


def _on_all_pixels(thinned: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Bring a slice of every second pixel back to all pixels of a scan of the given shape."""
    return thinned.repeat(2, axis=0).repeat(2, axis=1)[: shape[1], : shape[2]]


def fill_small_holes(mask: NDArray[np.bool_], pixel_mm2: float) -> None:
    """Fill holes of up to `MAX_HOLE_MM2`, slice by slice, in place."""
    limit = MAX_HOLE_MM2 / pixel_mm2
    for k in np.flatnonzero(mask.any(axis=(1, 2))):
        rows = np.flatnonzero(mask[k].any(axis=1))
        columns = np.flatnonzero(mask[k].any(axis=0))
        box = mask[k, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        holes, count = ndimage.label(np.pad(~box, 1, constant_values=True))
        if count > 1:
            sizes = np.bincount(holes.ravel())
            fill = sizes <= limit
            fill[0] = False
            fill[holes[0, 0]] = False
            box |= fill[holes[1:-1, 1:-1]]
