"""Opacities by a network of slices or volumes, inside the lungs, cleaned up in 3D."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from CovidCTLib.framing import LUNG_MARGIN_MM, Frame, body_frame, find_body, lung_frame
from CovidCTLib.labels import OPACITY_CONSOLIDATION, OPACITY_GGO
from CovidCTLib.models.flipping import run_slices
from CovidCTLib.opacities.cleanup import Logits, OpacityCleanup, clean_logits, grow_in_slices

if TYPE_CHECKING:
    from CovidCTLib.models.store import LoadedNetwork

CLEANUP = OpacityCleanup()
"""What is done to the logits unless told otherwise."""

FOREIGN_CLEANUP = replace(CLEANUP, beyond_lungs_mm=0.0)
"""The same for a network from elsewhere, which may call the chest wall opacity."""

_BATCH = 16
"""Slices that are brought back to the scan's pixels at once."""


@dataclass(frozen=True)
class OpacityLogits:
    """What the opacity network says, on its own grid.

    Parameters
    ----------
    frame
        What part of each slice the grid covers.
    slices
        Ascending indices of the slices.
    infection
        float16 or float32, shape ``(slices, rows, columns)`` of the grid: logit of opacity against none.
    kind
        Same shape: logit of consolidation against ground glass.
    """

    frame: Frame
    slices: NDArray[np.intp]
    infection: Logits
    kind: Logits


def segment_opacities(
    hu: NDArray[np.int16],
    lungs: NDArray[np.uint8],
    spacing_zyx_mm: tuple[float, float, float],
    network: LoadedNetwork,
    progress: Callable[[float], None] = lambda _: None,
    cleanup: OpacityCleanup | None = None,
) -> NDArray[np.uint8]:
    """Find ground-glass opacity and consolidation inside the lungs.

    Parameters
    ----------
    hu
        Canonical axial HU, shape ``(z, y, x)``.
    lungs
        Same shape: 0 background, 1 right, 2 left; not empty.
    spacing_zyx_mm
        Spacing in mm.
    network
        The opacity network.
    progress
        Takes the share of slices that are done, and may raise to stop.
    cleanup
        What is done to the network's logits; None takes `CLEANUP`, or `FOREIGN_CLEANUP` for a network of MONAI's.

    Returns
    -------
    ndarray
        uint8, same shape: 0 none, 1 GGO, 2 consolidation. Pleural effusion (3) is never given: it is looked for with
        the lungs. Opacity may reach beyond the lungs by as much as the clean-up allows; it belongs to the lungs then,
        see `CovidCTLib.lungs.sides.extend_sides`.
    """
    if cleanup is None:
        cleanup = FOREIGN_CLEANUP if network.card.channels else CLEANUP
    logits = find_opacity_logits(hu, lungs, spacing_zyx_mm, network, progress, flip=cleanup.flip)
    return label_opacities(logits, lungs, spacing_zyx_mm, cleanup)


def find_opacity_logits(
    hu: NDArray[np.int16],
    lungs: NDArray[np.uint8],
    spacing_zyx_mm: tuple[float, float, float],
    network: LoadedNetwork,
    progress: Callable[[float], None] = lambda _: None,
    *,
    flip: bool = False,
) -> OpacityLogits:
    """Run the opacity network on the slices that show lung.

    Parameters
    ----------
    hu, lungs, spacing_zyx_mm, network, progress
        As `segment_opacities` takes them.
    flip
        Whether the mean with the mirrored slices is taken; a network of volumes is never mirrored.
    """
    if network.card.patch is not None:
        return _run_on_box(hu, lungs, spacing_zyx_mm, network, progress)
    if network.card.framing == "body":
        frame = body_frame(find_body(hu, spacing_zyx_mm), spacing_zyx_mm)
    else:
        frame = lung_frame(lungs, spacing_zyx_mm)
    with_lung = np.flatnonzero(lungs.any(axis=(1, 2)))
    # Half precision keeps each sign and halves the memory.
    maps = np.empty((2, len(with_lung), network.card.size, network.card.size), np.float16)
    done = 0
    for indices, logits in run_slices(network, hu, frame, with_lung, spacing_zyx_mm[0], flip=flip):
        for whole, values in zip(maps, _maps(logits, 1), strict=True):
            whole[done : done + len(indices)] = values.numpy()
        done += len(indices)
        progress(done / len(with_lung))
    return OpacityLogits(frame, with_lung, maps[0], maps[1])


def label_opacities(
    logits: OpacityLogits,
    lungs: NDArray[np.uint8],
    spacing_zyx_mm: tuple[float, float, float],
    cleanup: OpacityCleanup = CLEANUP,
) -> NDArray[np.uint8]:
    """Clean logits up and make labels of them.

    Parameters
    ----------
    logits
        As by `find_opacity_logits`.
    lungs, spacing_zyx_mm
        As `segment_opacities` takes them.
    cleanup
        What is done to the logits.

    Returns
    -------
    ndarray
        As `segment_opacities` gives it.
    """
    frame, size = logits.frame, logits.infection.shape[1:]
    spacing = (
        spacing_zyx_mm[0],
        spacing_zyx_mm[1] * frame.rows / size[0],
        spacing_zyx_mm[2] * frame.columns / size[1],
    )
    inside = grow_in_slices(_on_grid(lungs, logits), spacing[1:], cleanup.beyond_lungs_mm)
    cleaned = clean_logits(logits.infection, inside, logits.slices, spacing, cleanup)
    opacities = np.zeros(lungs.shape, dtype=np.uint8)
    for start in range(0, len(logits.slices), _BATCH):
        chosen = slice(start, start + _BATCH)
        rows, columns, infected = frame.from_grid(torch.from_numpy(cleaned[chosen]), lungs.shape[1:])
        _, _, kinds = frame.from_grid(torch.from_numpy(logits.kind[chosen]), lungs.shape[1:])
        in_grid = np.ix_(
            (np.arange(rows.start, rows.stop) - frame.top) * size[0] // frame.rows,
            (np.arange(columns.start, columns.stop) - frame.left) * size[1] // frame.columns,
        )
        for n, (k, infection, kind) in enumerate(
            zip(logits.slices[chosen], infected.numpy(), kinds.numpy(), strict=True), start
        ):
            opacity = infection > 0
            if cleanup.beyond_lungs_mm != 0 and opacity.any():
                opacity &= (lungs[k, rows, columns] > 0) | inside[n][in_grid]
            else:
                opacity &= lungs[k, rows, columns] > 0
            label = np.where(kind > 0, np.uint8(OPACITY_CONSOLIDATION), np.uint8(OPACITY_GGO))
            opacities[k, rows, columns] = label * opacity
    return opacities


def _maps(logits: torch.Tensor, channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of infection against none, and of consolidation against GGO; `channels` is the axis of the classes."""
    none, ggo, consolidation = logits.unbind(channels)
    return torch.logaddexp(ggo, consolidation) - none, consolidation - ggo


def _on_grid(lungs: NDArray[np.uint8], logits: OpacityLogits) -> NDArray[np.bool_]:
    """Bring the lungs to the grid of logits, by the pixel under each centre."""
    frame = logits.frame
    height, width = logits.infection.shape[1:]
    rows = frame.top + ((np.arange(height) + 0.5) * frame.rows / height).astype(np.intp)
    columns = frame.left + ((np.arange(width) + 0.5) * frame.columns / width).astype(np.intp)
    in_rows, in_columns = (rows >= 0) & (rows < lungs.shape[1]), (columns >= 0) & (columns < lungs.shape[2])
    in_view = in_rows[:, None] & in_columns
    crop = np.ix_(np.clip(rows, 0, lungs.shape[1] - 1), np.clip(columns, 0, lungs.shape[2] - 1))
    inside = np.empty(logits.infection.shape, bool)
    for mask, k in zip(inside, logits.slices, strict=True):
        np.logical_and(lungs[k][crop], in_view, out=mask)
    return inside


def _run_on_box(
    hu: NDArray[np.int16],
    lungs: NDArray[np.uint8],
    spacing_zyx_mm: tuple[float, float, float],
    network: LoadedNetwork,
    progress: Callable[[float], None],
) -> OpacityLogits:
    """Run a network of volumes, which sees the box around the lungs and a margin."""
    from CovidCTLib.models.volume_network import run_volume

    box = []
    for axis, mm in enumerate(spacing_zyx_mm):
        where = np.flatnonzero(lungs.any(axis=tuple(other for other in range(3) if other != axis)))
        margin = round(LUNG_MARGIN_MM / mm)
        low, high = max(int(where[0]) - margin, 0), min(int(where[-1]) + 1 + margin, lungs.shape[axis])
        box.append(slice(low, high))
    infection, kind = run_volume(
        network, hu[tuple(box)], spacing_zyx_mm, lambda logits: torch.stack(_maps(logits, 0)), progress
    )
    frame = Frame(box[1].start, box[2].start, infection.shape[1], infection.shape[2])
    return OpacityLogits(frame, np.arange(box[0].start, box[0].stop), infection, kind)
