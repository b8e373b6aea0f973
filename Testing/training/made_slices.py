"""Training slices in memory, without files: box-shaped chests of four patients."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from training_folder import chest

from CovidCTLib.models.networks import SLICE_ARCHITECTURE
from CovidCTLib.training.slice_checksums import slice_checksums
from CovidCTLib.training.slices import UNKNOWN, SliceSet
from CovidCTLib.training.tasks import LUNGS, OPACITIES, SLICES, Task

TINY: dict[str, Any] = {"kind": "unet", "channels": [4, 8], "outputs": 1}

TINY_LUNGS = dataclasses.replace(LUNGS, architecture=TINY, size=32)
TINY_OPACITIES = dataclasses.replace(
    OPACITIES,
    architecture={"kind": "efficientnet-unet", "decoder": [4, 4, 4, 4], "outputs": 3},
    size=64,
    crop=64,
)
TINY_SLICES = dataclasses.replace(SLICES, architecture=SLICE_ARCHITECTURE, size=64)
TINY_TASKS: tuple[Task, ...] = (TINY_LUNGS, TINY_OPACITIES, TINY_SLICES)
"""The three tasks on small grids; two of them on the EfficientNet that ships."""


def made_slices(patients: int = 4) -> SliceSet:
    """Make two slices of each patient, one with opacity and one without, 96 x 96."""
    parts = []
    for k in range(patients):
        hu, lungs, opacities = (np.repeat(np.repeat(a[[1, 3]], 2, axis=1), 2, axis=2) for a in chest(k))
        parts.append(
            SliceSet(
                (np.clip((hu + 1024) / 1174, 0, 1)).astype(np.float16),
                lungs,
                opacities,
                np.full_like(lungs, UNKNOWN),
                np.asarray([0, 1], np.int8),
                np.asarray([f"Smith_{k}"] * 2),
                np.asarray([f"case_{k}"] * 2),
                np.asarray(["volume"] * 2),
                np.arange(2, dtype=np.int32),
                np.full(2, 5.0, np.float32),
                np.asarray(slice_checksums(hu)),
            )
        )
    return SliceSet.joined(parts)
