"""Opacities by a U-Net on axial slices, inside the lungs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from CovidCTLib.framing import lung_frame
from CovidCTLib.labels import OPACITY_CONSOLIDATION, OPACITY_GGO

if TYPE_CHECKING:
    from CovidCTLib.models.store import LoadedNetwork


def segment_opacities(
    hu: NDArray[np.int16],
    lungs: NDArray[np.uint8],
    spacing_zyx_mm: tuple[float, float, float],
    network: LoadedNetwork,
    progress: Callable[[float], None] = lambda _: None,
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

    Returns
    -------
    ndarray
        uint8, same shape: 0 none, 1 GGO, 2 consolidation. Pleural effusion (3) is never given: no training data shows
        it labelled.
    """
    opacities = np.zeros(hu.shape, dtype=np.uint8)
    frame = lung_frame(lungs, spacing_zyx_mm)
    with_lung = np.flatnonzero(lungs.any(axis=(1, 2)))
    done = 0
    for indices, logits in network.run_slices(hu, frame, with_lung):
        infection = torch.logsumexp(logits[:, 1:], dim=1) - logits[:, 0]
        rows, columns, infected = frame.from_grid(infection, (hu.shape[1], hu.shape[2]))
        _, _, consolidated = frame.from_grid(logits[:, 2] - logits[:, 1], (hu.shape[1], hu.shape[2]))
        for k, is_infected, is_consolidated in zip(indices, infected > 0, consolidated > 0, strict=True):
            label = np.where(is_consolidated.numpy(), OPACITY_CONSOLIDATION, OPACITY_GGO).astype(np.uint8)
            label *= is_infected.numpy()
            label *= lungs[k, rows, columns] > 0
            opacities[k, rows, columns] = label
        done += len(indices)
        progress(done / len(with_lung))
    return opacities
