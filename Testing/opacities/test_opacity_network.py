"""Opacities stay inside the lungs and take the class with the larger logit."""

from __future__ import annotations

import numpy as np
import torch

from CovidCTLib.models.card import ModelCard
from CovidCTLib.models.store import LoadedNetwork
from CovidCTLib.opacities.network import segment_opacities


class _ByBrightness(torch.nn.Module):
    """None under 0.3, ground glass to 0.7, consolidation above."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([(0.3 - x) * 100, torch.full_like(x, 1.0), 1 + (x - 0.7) * 100], dim=1)


def test_classes_follow_the_logits_inside_the_lungs_only() -> None:
    lungs = np.zeros((6, 80, 80), np.uint8)
    lungs[1:5, 10:70, 8:36] = 1
    lungs[1:5, 10:70, 44:72] = 2
    hu = np.full(lungs.shape, 60, np.int16)
    hu[lungs > 0] = -900
    hu[2:4, 20:40, 12:30] = -500
    hu[3, 45:65, 48:68] = 30
    card = ModelCard("opacities", "1", {}, 128, "lungs", "", "", "")
    network = LoadedNetwork(_ByBrightness(), card, torch.device("cpu"), torch.float32)
    seen: list[float] = []
    opacities = segment_opacities(hu, lungs, (5.0, 3.0, 3.0), network, seen.append)
    assert opacities.dtype == np.uint8
    assert not opacities[lungs == 0].any()
    assert (opacities[2:4, 22:38, 14:28] == 1).all()
    assert (opacities[3, 47:63, 50:66] == 2).all()
    # Only the blurred rim of the lungs may look like ground glass in a slice without disease.
    assert (opacities[1] > 0).mean() < 0.06
    assert seen[-1] == 1.0
