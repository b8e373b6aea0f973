"""Networks that each task can be trained on: CovidCT's own, and those that weights of other programs fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from CovidCTLib.errors import OptionsError
from CovidCTLib.models.networks import LUNG_ARCHITECTURE, OPACITY_ARCHITECTURE, SLICE_ARCHITECTURE
from CovidCTLib.training.tasks import Task

RESNET50: Mapping[str, Any] = {"kind": "resnet", "layers": [3, 4, 6, 3], "widths": [64, 128, 256, 512]}
"""ResNet-50 (He et al. 2015, arXiv 1512.03385), on which RADLogics' classifier stands (arXiv 2003.05037)."""

PLAIN_UNET: Mapping[str, Any] = {"kind": "unet", "channels": [16, 32, 64, 128, 256], "outputs": 1}
"""MONAI's U-Net on a slice as it is; for lungs it has one logit and finds no effusion."""

EFFICIENTNET: Mapping[str, Any] = {"kind": "efficientnet"}

ARCHITECTURES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "lungs": {"windows-unet": LUNG_ARCHITECTURE, "unet": PLAIN_UNET},
    "opacities": {
        "efficientnet-unet": OPACITY_ARCHITECTURE,
        "unet": {**PLAIN_UNET, "outputs": OPACITY_ARCHITECTURE["outputs"]},
    },
    "slices": {"resnet50-half": SLICE_ARCHITECTURE, "resnet50": RESNET50, "efficientnet": EFFICIENTNET},
}
"""Architectures by task and name; the first of a task is the one that ships."""


def with_architecture(task: Task, name: str | None) -> Task:
    """Give a task another network.

    Parameters
    ----------
    task
        The task.
    name
        One of the task's names in `ARCHITECTURES`; None leaves the task as it is.

    Raises
    ------
    OptionsError
        If the task cannot be trained on it.
    """
    if name is None:
        return task
    architectures = ARCHITECTURES[task.name]
    if name not in architectures:
        raise OptionsError(
            f"--architecture for {task.name} must be {' or '.join(architectures)}, but is {name}. Correct it."
        )
    return replace(task, architecture=architectures[name])
