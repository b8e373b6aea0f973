"""Lungs by a U-Net on axial slices (B2), cleaned up in 3D."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from CovidCTLib.framing import Body, body_frame, find_body
from CovidCTLib.lungs.bowel_gas import drop_joined_gas
from CovidCTLib.lungs.effusion import clean_effusion
from CovidCTLib.models.flipping import run_slices

if TYPE_CHECKING:
    from CovidCTLib.models.store import LoadedNetwork

MIN_PART_SHARE = 0.02
"""Connected parts under this share of the largest one are no lungs (bowel gas)."""

LARGEST_GAS_SHARE = 0.25
"""Connected parts of up to this share of the largest one may be gas in the bowel or the stomach, without unit. In case
1, which the weights 0.1.0 had not seen, the colon in front of the liver has 0.036."""

GAS_QUANTILE = 0.1
"""Such a part is gas if its median is at or under this quantile of the HU of the largest part: gas is darker than
nearly all of the lung. It compares HU of one scan, so that a shift of all HU changes nothing. It raised Dice of case 1
by 0.009 and left the other volumes as they were."""

MAX_HOLE_MM2 = 60.0
"""Holes in a slice up to this area are vessels or noise inside the lung and are filled. With the weights 0.1.0,
anything from 0 to 120 mm2 gives the same Dice."""


@dataclass(frozen=True)
class LungCleanup:
    """Which steps are done to the answer of the lung network; the defaults are what pays.

    Parameters
    ----------
    flip
        Run the network on the mirrored slices too and take the mean. It doubles the time of the network, and raised
        Dice by 0.0002 to 0.001 with the weights 0.1.0.
    large_parts
        Drop what is outside of the body, and small parts (`keep_large_parts`).
    no_gas
        Among these, drop gas in the bowel (`GAS_QUANTILE`), also where it is joined to a lung (`drop_joined_gas`).
    holes
        Fill small holes of each slice (`fill_small_holes`).
    cavities
        Fill holes that are closed in 3D (`fill_cavities`). It changed no Dice by 0.0001 with the weights 0.1.0.
    """

    flip: bool = False
    large_parts: bool = True
    no_gas: bool = True
    holes: bool = True
    cavities: bool = False


CLEANUP = LungCleanup()
"""What is done to the network's answer unless told otherwise."""


LUNG_CHANNEL, EFFUSION_CHANNEL = 1, 2
"""Channels of a network that tells lung and pleural effusion from what is neither."""


@dataclass(frozen=True)
class ChestMasks:
    """What the lung network finds.

    Parameters
    ----------
    lungs
        bool, shape ``(z, y, x)``.
    effusion
        bool, same shape; None from a network that does not look for it.
    """

    lungs: NDArray[np.bool_]
    effusion: NDArray[np.bool_] | None


def segment_chest_by_network(
    hu: NDArray[np.int16],
    spacing_zyx_mm: tuple[float, float, float],
    network: LoadedNetwork,
    progress: Callable[[float], None] = lambda _: None,
    cleanup: LungCleanup = CLEANUP,
) -> ChestMasks:
    """Find both lungs in a CT, and pleural effusion where the network looks for it.

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
    cleanup
        What is done to the network's answer.

    Returns
    -------
    ChestMasks
        Lungs with diseased parts, without trachea and main bronchi. Empty where there is no lung.
    """
    body = find_body(hu, spacing_zyx_mm)
    masks = find_chest(hu, body, spacing_zyx_mm, network, progress, flip=cleanup.flip)
    clean_lungs(masks.lungs, hu, body, spacing_zyx_mm, cleanup)
    if masks.effusion is not None:
        clean_effusion(masks.effusion, masks.lungs, hu, spacing_zyx_mm)
    return masks


def find_chest(
    hu: NDArray[np.int16],
    body: Body,
    spacing_zyx_mm: tuple[float, float, float],
    network: LoadedNetwork,
    progress: Callable[[float], None] = lambda _: None,
    *,
    flip: bool = False,
) -> ChestMasks:
    """Run the lung network, without any clean-up, for lungs and, where it looks for it, pleural effusion.

    Parameters
    ----------
    hu, spacing_zyx_mm, network, progress
        As `segment_chest_by_network` takes them.
    body
        The body on the same scan.
    flip
        Whether the mean with the mirrored slices is taken; a network of volumes is never mirrored.
    """
    if network.card.patch is not None:
        from CovidCTLib.models.volume_network import run_volume

        return ChestMasks(run_volume(network, hu, spacing_zyx_mm, progress=progress)[0] > 0, None)
    frame = body_frame(body, spacing_zyx_mm)
    lungs = np.zeros(hu.shape, dtype=bool)
    effusion = np.zeros(hu.shape, dtype=bool) if network.card.finds_effusion else None
    count = len(hu)
    for indices, logits in run_slices(network, hu, frame, np.arange(count), spacing_zyx_mm[0], flip=flip):
        frame.paste(lung_logit(logits), lungs, indices)
        if effusion is not None:
            # Most slices show none: where fluid outweighs the others together, it outweighs each of them.
            others = logits[:, :EFFUSION_CHANNEL].amax(dim=1)
            shown = (logits[:, EFFUSION_CHANNEL] > others).flatten(1).any(dim=1)
            if bool(shown.any()):
                fluid = logits[shown, EFFUSION_CHANNEL] - logits[shown, :EFFUSION_CHANNEL].logsumexp(dim=1)
                frame.paste(fluid, effusion, indices[shown.numpy()])
        progress(float(indices[-1] + 1) / count)
    return ChestMasks(lungs, effusion)


def lung_logit(logits: torch.Tensor) -> torch.Tensor:
    """Logit of lung against all else ``(n, y, x)``, from a network's one or three channels ``(n, c, y, x)``."""
    if logits.shape[1] == 1:
        return logits[:, 0]
    others = torch.logaddexp(logits[:, 0], logits[:, EFFUSION_CHANNEL])
    return logits[:, LUNG_CHANNEL] - others


def clean_lungs(
    mask: NDArray[np.bool_],
    hu: NDArray[np.int16],
    body: Body,
    spacing_zyx_mm: tuple[float, float, float],
    cleanup: LungCleanup = CLEANUP,
) -> None:
    """Do all steps of a clean-up but the flip, in place.

    Parameters
    ----------
    mask
        Shape ``(z, y, x)``: what the network calls lung.
    hu
        Same shape, HU.
    body, spacing_zyx_mm, cleanup
        As `segment_chest_by_network` takes them.
    """
    if cleanup.large_parts:
        keep_large_parts(mask, body, hu if cleanup.no_gas else None)
    if cleanup.large_parts and cleanup.no_gas and drop_joined_gas(mask, hu, spacing_zyx_mm):
        # What is left of the bowel beside its gas is joined to no lung now.
        keep_large_parts(mask, body, hu)
    if cleanup.holes:
        fill_small_holes(mask, spacing_zyx_mm[1] * spacing_zyx_mm[2])
    if cleanup.cavities:
        fill_cavities(mask)


def keep_large_parts(mask: NDArray[np.bool_], body: Body, hu: NDArray[np.int16] | None = None) -> None:
    """Remove, in place, what lies outside the body (air in blankets), and parts that are too small for a lung.

    Parameters
    ----------
    mask
        Shape ``(z, y, x)``. Parts are 26-connected, on every second pixel of a slice for speed.
    body
        The body on the same scan.
    hu
        Same shape, HU: parts that hold gas go too. None keeps them.
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
    if hu is not None:
        lung &= ~_gas(labelled, sizes, lung, hu[:, ::2, ::2])
    shown = np.zeros(len(thinned), bool)
    for part, box in enumerate(ndimage.find_objects(labelled), start=1):
        if not lung[part]:
            # A connected part lies in each slice between its first and its last.
            shown[box[0]] = True
    for k in np.flatnonzero(shown):
        # Grown by one coarse pixel, so that a lung keeps the odd pixels of its rim.
        mask[k] &= _on_all_pixels(ndimage.binary_dilation(lung[labelled[k]]), mask.shape)


def _gas(
    labelled: NDArray[np.int32], sizes: NDArray[np.intp], candidates: NDArray[np.bool_], hu: NDArray[np.int16]
) -> NDArray[np.bool_]:
    """Tell which labels are gas: small beside the largest part, and darker than nearly all of it."""
    gas = np.zeros(len(sizes), bool)
    small = np.flatnonzero(candidates & (sizes <= LARGEST_GAS_SHARE * sizes.max()))
    if len(small):
        limit = np.quantile(hu[labelled == sizes.argmax()], GAS_QUANTILE)
        for part in small:
            gas[part] = np.median(hu[labelled == part]) <= limit
    return gas


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


def fill_cavities(mask: NDArray[np.bool_]) -> None:
    """Fill holes that are closed in 3D (their background is 6-connected), in place."""
    in_z = np.flatnonzero(mask.any(axis=(1, 2)))
    if len(in_z) == 0:
        return
    box = mask[in_z[0] : in_z[-1] + 1]
    background, count = ndimage.label(np.pad(~box, 1, constant_values=True))
    if count > 1:
        # The padding around is one with all background that is open.
        box |= (background > 1)[1:-1, 1:-1, 1:-1]
