"""Grad-CAM against its definition, and the localization volume's promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from CovidCTLib.analysis import SliceFinding
from CovidCTLib.models.card import ModelCard
from CovidCTLib.models.networks import ResNetStages, SliceClassifier
from CovidCTLib.models.store import LoadedNetwork
from CovidCTLib.slices.localization import class_activation, fused_maps, localize, scaled


@pytest.fixture
def classifier() -> SliceClassifier:
    torch.manual_seed(0)
    network = SliceClassifier(ResNetStages([1, 1, 1, 1], [4, 4, 4, 4]), 8).eval().requires_grad_(False)
    # Positive dense layers, so that random activations speak for the class and the map is not empty.
    network.dense.weight.abs_()
    network.out.weight.abs_()
    return network


@pytest.fixture
def loaded(classifier: SliceClassifier) -> LoadedNetwork:
    card = ModelCard("slices", "1", {}, 224, "lungs", "", "", "")
    return LoadedNetwork(classifier, card, torch.device("cpu"), torch.float32)


def test_scaled_maps_span_zero_to_one_and_constant_maps_are_zero() -> None:
    maps = torch.stack([torch.arange(4.0).reshape(2, 2), torch.full((2, 2), 7.0)])
    assert scaled(maps)[0].tolist() == [[0, pytest.approx(1 / 3)], [pytest.approx(2 / 3), 1]]
    assert scaled(maps)[1].eq(0).all()


def test_class_activation_follows_its_formula() -> None:
    activations = torch.tensor([[[[1.0, 2.0]], [[5.0, 0.0]]]])
    gradients = torch.tensor([[[[1.0, 1.0]], [[-1.0, 0.0]]]])
    # Weights 1 and -0.5: the sum is (-1.5, 2), cut to (0, 2), scaled to (0, 1).
    assert class_activation(activations, gradients).tolist() == [[[0.0, 1.0]]]


def test_fused_maps_agree_with_gradients_taken_by_hooks(classifier: SliceClassifier) -> None:
    images = torch.rand(2, 1, 224, 224)
    kept: dict[int, torch.Tensor] = {}
    for size, layer in ((28, classifier.backbone.layer2), (14, classifier.backbone.layer3)):
        layer.register_forward_hook(lambda _m, _i, out, size=size: kept.__setitem__(size, out))
    leaf = images.clone().requires_grad_(True)
    gradients = torch.autograd.grad(classifier(leaf).sum(), [kept[28], kept[14]])
    expected = torch.ones(2, 224, 224)
    for size, gradient in zip((28, 14), gradients, strict=True):
        cam = torch.relu((gradient.mean((2, 3), keepdim=True) * kept[size]).sum(1)).detach()
        expected *= torch.nn.functional.interpolate(scaled(cam)[:, None], (224, 224), mode="bilinear")[:, 0]
    torch.testing.assert_close(fused_maps(classifier, images), expected, atol=1e-5, rtol=1e-4)


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
