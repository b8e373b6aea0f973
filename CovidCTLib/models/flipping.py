"""Slices through a network as they are, or as they are and mirrored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from CovidCTLib.framing import Frame
from CovidCTLib.models.neighbours import NEIGHBOUR_MM

if TYPE_CHECKING:
    from CovidCTLib.models.store import LoadedNetwork


def run_slices(
    network: LoadedNetwork,
    hu: NDArray[np.int16],
    frame: Frame,
    slices: NDArray[np.intp],
    step_mm: float = NEIGHBOUR_MM,
    *,
    flip: bool,
) -> Iterator[tuple[NDArray[np.intp], torch.Tensor]]:
    """Run chosen axial slices through a network of slices, batch by batch.

    Parameters
    ----------
    network
        The network.
    hu
        Canonical axial HU, shape ``(z, y, x)``.
    frame
        What part of each slice the network sees.
    slices
        Indices of the slices.
    step_mm
        Distance of the slices in mm, for networks that see the slices beside a slice.
    flip
        Whether the mean with the answer to the slices mirrored left to right is taken, which takes twice the time.

    Yields
    ------
    indices, output
        Indices of the batch's slices, and the network's output for them.
    """
    if not flip:
        yield from network.run_slices(hu, frame, slices, step_mm)
        return
    mirrored = replace(frame, left=hu.shape[2] - frame.left - frame.columns)
    flipped = network.run_slices(hu[:, :, ::-1], mirrored, slices, step_mm)
    for (indices, output), (_, other) in zip(network.run_slices(hu, frame, slices, step_mm), flipped, strict=True):
        yield indices, (output + other.flip(-1)) / 2
