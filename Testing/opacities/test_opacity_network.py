"""Opacities stay inside the lungs and take the class with the larger logit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from CovidCTLib.models.card import ModelCard
from CovidCTLib.models.store import LoadedNetwork
from CovidCTLib.opacities.cleanup import OpacityCleanup
from CovidCTLib.opacities.network import find_opacity_logits, label_opacities, segment_opacities

SPACING = (5.0, 3.0, 3.0)
INSIDE = OpacityCleanup(beyond_lungs_mm=0)


class _ByBrightness(torch.nn.Module):
    """None under 0.3, ground glass to 0.7, consolidation above."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([(0.3 - x) * 100, torch.full_like(x, 1.0), 1 + (x - 0.7) * 100], dim=1)


@pytest.fixture
def network() -> LoadedNetwork:
    card = ModelCard("opacities", "1", {}, 128, "lungs", "", "", "")
    return LoadedNetwork(_ByBrightness(), card, torch.device("cpu"), torch.float32)


def a_chest() -> tuple[np.ndarray, np.ndarray]:
    """HU and lungs of a chest with a patch of ground glass and one of consolidation, both in slices 2 and 3."""
    lungs = np.zeros((6, 80, 80), np.uint8)
    lungs[1:5, 10:70, 8:36] = 1
    lungs[1:5, 10:70, 44:72] = 2
    hu = np.full(lungs.shape, 60, np.int16)
    hu[lungs > 0] = -900
    hu[2:4, 20:40, 12:30] = -500
    hu[2:4, 45:65, 48:68] = 30
    return hu, lungs


def test_classes_follow_the_logits_inside_the_lungs_only(network: LoadedNetwork) -> None:
    hu, lungs = a_chest()
    seen: list[float] = []
    opacities = segment_opacities(hu, lungs, SPACING, network, seen.append, INSIDE)
    assert opacities.dtype == np.uint8
    assert not opacities[lungs == 0].any()
    assert (opacities[2:4, 22:38, 14:28] == 1).all()
    assert (opacities[3, 47:63, 50:66] == 2).all()
    # Only the blurred rim of the lungs may look like ground glass in a slice without disease.
    assert (opacities[1] > 0).mean() < 0.06
    assert seen[-1] == 1.0


def test_a_frame_that_reaches_beyond_the_picture_is_no_lung_there(network: LoadedNetwork) -> None:
    hu, lungs = a_chest()
    hu, lungs = hu[:, 8:72], lungs[:, 8:72]
    logits = find_opacity_logits(hu, lungs, SPACING, network)
    assert logits.frame.top < 0
    opacities = label_opacities(logits, lungs, SPACING, INSIDE)
    assert not opacities[lungs == 0].any()
    assert (opacities[2:4, 14:30, 14:28] == 1).all()


def test_mirrored_slices_change_nothing_where_the_network_sees_each_pixel_alone(network: LoadedNetwork) -> None:
    hu, lungs = a_chest()
    once, twice = (find_opacity_logits(hu, lungs, SPACING, network, flip=flip) for flip in (False, True))
    np.testing.assert_allclose(once.infection, twice.infection, atol=0.3)
    np.testing.assert_array_equal(label_opacities(once, lungs, SPACING), label_opacities(twice, lungs, SPACING))


def test_opacity_at_the_pleura_reaches_beyond_the_lungs_that_were_found(network: LoadedNetwork) -> None:
    hu, lungs = a_chest()
    # The chest wall is as bright as consolidation; five pixels of 3 mm of it are within reach.
    opacities = segment_opacities(hu, lungs, SPACING, network)
    beyond = (opacities > 0) & (lungs == 0)
    assert beyond[2, 30, 4:8].all()
    assert not beyond[:, :, :3].any()
    assert not beyond[:, :, 77:].any()
    assert not beyond[[0, 5]].any()


def test_a_network_from_elsewhere_stays_within_the_lungs(network: LoadedNetwork) -> None:
    hu, lungs = a_chest()
    foreign = replace(network, card=replace(network.card, channels=("none", "ggo", "consolidation")))
    assert not segment_opacities(hu, lungs, SPACING, foreign)[lungs == 0].any()
