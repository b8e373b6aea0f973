"""Networks by brightness, for the box-shaped chests of the training tests, and a folder to judge them on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from training_folder import chest, write_pictures, write_volume

from CovidCTLib.evaluation.evaluate import Evaluation
from CovidCTLib.evaluation.figures import Figure
from CovidCTLib.evaluation.judges import Judge
from CovidCTLib.models.card import ModelCard, ModelName
from CovidCTLib.models.store import LoadedNetwork

SIZE = 96


class _Lungs(torch.nn.Module):
    """Lung and ground glass are darker than tissue and brighter than the air outside."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where((x > 0.07) & (x < 0.65), 8.0, -8.0)


class _Opacities(torch.nn.Module):
    """Ground glass is of middle brightness; consolidation is a little darker than tissue.

    What is thinner than three pixels, such as the blurred rim of a lung, is no ground glass.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        glass = ((x > 0.3) & (x < 0.6)).float()
        thick = -torch.nn.functional.max_pool2d(-glass, 3, 1, 1)
        glass = torch.nn.functional.max_pool2d(thick, 3, 1, 1)
        ggo = torch.where(glass > 0, 8.0, -8.0)
        consolidation = torch.where((x >= 0.6) & (x < 0.85), 8.0, -8.0)
        return torch.cat([torch.zeros_like(x), ggo, consolidation], dim=1)


class _Slices(torch.nn.Module):
    """A slice with a patch of ground glass is abnormal; edges are too thin to count."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        glass = ((x > 0.3) & (x < 0.6)).float()
        return 8 * torch.nn.functional.avg_pool2d(glass, 9, 1).amax(dim=(1, 2, 3)) - 5


class _Nothing(torch.nn.Module):
    """Finds nothing anywhere."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.full_like(x, -8.0)


_NETWORKS: Mapping[str, tuple[type[torch.nn.Module], str]] = {
    "lungs": (_Lungs, "body"),
    "opacities": (_Opacities, "lungs"),
    "slices": (_Slices, "lungs"),
}


def make_card(name: str, training: Mapping[str, Any] | None = None, **fields: Any) -> ModelCard:
    """A card of a stand-in."""
    thresholds = {"slice": 0.5, "case": 0.2} if name == "slices" else {}
    framing = _NETWORKS[name][1]
    defaults = {"thresholds": thresholds, "training": training or {"cases": []}}
    return ModelCard(name, "1", {}, SIZE, framing, "", "", f"checksum of {name}", **{**defaults, **fields})


class StandInStore:
    """Takes the place of `CovidCTLib.models.store.ModelStore`."""

    def __init__(
        self, folder: Path | None = None, device: str = "cpu", training: Mapping[str, Any] | None = None,
        blind: bool = False, own: Sequence[str] = ("lungs", "opacities", "slices"), **fields: Any,
    ) -> None:  # fmt: skip
        self.folder, self.training, self.blind, self.own, self.fields = folder, training, blind, own, fields

    def card(self, name: ModelName) -> ModelCard:
        return make_card(name, self.training, **self.fields)

    def network(self, name: ModelName) -> LoadedNetwork:
        network = _Nothing() if self.blind and name == "lungs" else _NETWORKS[name][0]()
        own = self.folder is not None and name in self.own
        return LoadedNetwork(network, self.card(name), torch.device("cpu"), torch.float32, own)

    def lungs(self) -> LoadedNetwork:
        return self.network("lungs")

    def opacities(self) -> LoadedNetwork:
        return self.network("opacities")

    def slices(self) -> LoadedNetwork:
        return self.network("slices")


def make_judge(
    name: ModelName, training: Mapping[str, Any] | None = None, label: str = "stand-in", **more: Any
) -> Judge:
    """A stand-in under judgement."""
    store = StandInStore(training=training, **more)
    return Judge(label, store, store.card(name))  # type: ignore[arg-type]


def write_clean_volume(folder: Path, name: str, seed: int) -> None:
    """Write a CT without disease, with its lungs."""
    hu, _, opacities = chest(seed)
    write_volume(folder, name, seed, opacities=False)
    image = sitk.GetImageFromArray(np.where(opacities > 0, -850, hu).astype(np.int16))
    image.SetSpacing((4.0, 4.0, 5.0))
    sitk.WriteImage(image, str(folder / f"{name}_ct.nii.gz"))


def write_judged_folder(root: Path) -> Path:
    """Write two diseased CTs, one without disease, another pneumonia, and pictures of both kinds."""
    write_volume(root / "volumes", "case_0", 0)
    write_volume(root / "volumes", "case_1", 1)
    write_volume(root / "volumes", "cap_0", 2)
    write_clean_volume(root / "controls", "normal_0", 10)
    write_pictures(root / "calibrated", True, 3)
    write_pictures(root / "photos", False, 2)
    return root


def figure(evaluation: Evaluation, group: str, name: str) -> Figure:
    """A figure of an evaluation."""
    return next(f for f in evaluation.figures if (f.group, f.name) == (group, name))


def value(evaluation: Evaluation, group: str, name: str) -> float:
    """Value of a figure that must be defined."""
    found = figure(evaluation, group, name).estimate.value
    if found is None:
        raise AssertionError(f"{name} of {group} is undefined")
    return found
