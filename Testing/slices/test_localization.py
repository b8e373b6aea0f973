"""The maps against the definition of Grad-CAM, and the localization volume's promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from CovidCTLib.analysis import SliceFinding
from CovidCTLib.models.card import ModelCard
from CovidCTLib.models.networks import ResNetStages, SliceClassifier
from CovidCTLib.models.store import LoadedNetwork
from CovidCTLib.slices.localization import activation_maps, localize


@pytest.fixture
def classifier() -> SliceClassifier:
    torch.manual_seed(0)
    return SliceClassifier(ResNetStages([1, 1, 1, 1], [4, 4, 4, 4])).eval().requires_grad_(False)


@pytest.fixture
def loaded(classifier: SliceClassifier) -> LoadedNetwork:
    card = ModelCard("slices", "1", {}, 224, "lungs", "", "", "")
    return LoadedNetwork(classifier, card, torch.device("cpu"), torch.float32)


def test_the_maps_are_grad_cam_of_the_part_of_the_verdict_that_they_speak_for(classifier: SliceClassifier) -> None:
    images = torch.rand(2, 1, 224, 224)
    kept: dict[int, torch.Tensor] = {}
    for size, layer in ((28, classifier.backbone.layer2), (14, classifier.backbone.layer3)):
        layer.register_forward_hook(lambda _m, _i, out, size=size: kept.__setitem__(size, out))
    maps = activation_maps(classifier, images)
    _, *spots = classifier.with_spots(images.requires_grad_(True))
    for size, logits, layer, shown in zip(
        (28, 14), spots, (classifier.spots_28, classifier.spots_14), maps[:2], strict=True
    ):
        # Grad-CAM weighs each activation by the mean gradient of the score; the score is the sum of the map's logits.
        (gradient,) = torch.autograd.grad(logits.sum(), kept[size], retain_graph=True)
        weighted = (gradient.mean((2, 3), keepdim=True) * kept[size]).sum(1) + layer.bias
        expected = torch.nn.functional.interpolate(weighted.sigmoid()[:, None], (224, 224), mode="bilinear")[:, 0]
        torch.testing.assert_close(shown, expected.detach(), atol=1e-5, rtol=1e-4)


def test_the_fused_map_is_the_product_of_both(classifier: SliceClassifier) -> None:
    at_28, at_14, fused = activation_maps(classifier, torch.rand(2, 1, 224, 224))
    assert fused.equal(at_28 * at_14)
    assert fused.min() >= 0
    assert fused.max() <= 1
    assert fused.shape == (2, 224, 224)


def test_localization_is_zero_outside_lungs_and_in_normal_slices(loaded: LoadedNetwork) -> None:
    rng = np.random.default_rng(0)
    hu = rng.integers(-1000, 100, (6, 64, 64)).astype(np.int16)
    lungs = np.zeros(hu.shape, np.uint8)
    lungs[1:5, 10:50, 8:30] = 1
    findings = [SliceFinding(0.9, k in (2, 3)) for k in range(6)]
    seen: list[float] = []
    localization = localize(hu, lungs, (5.0, 2.0, 2.0), findings, loaded, 0.0, 2.0, seen.append)
    assert localization.dtype == np.float32
    assert localization.min() >= 0
    assert localization.max() <= 1
    assert localization[2:4].any()
    assert not localization[[0, 1, 4, 5]].any()
    assert not localization[lungs == 0].any()
    assert seen[-1] == 1.0


def test_without_positive_slices_the_localization_is_empty(loaded: LoadedNetwork) -> None:
    hu = np.zeros((3, 32, 32), np.int16)
    findings = [SliceFinding(0.1, False)] * 3
    lungs = np.ones(hu.shape, np.uint8)
    assert not localize(hu, lungs, (1.0, 1.0, 1.0), findings, loaded, 0.2, 2.0).any()
