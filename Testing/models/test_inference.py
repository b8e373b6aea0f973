"""Networks prepared for inference: every own architecture answers as before, without normalization."""

from __future__ import annotations

import copy

import pytest
import torch

from CovidCTLib.models.efficientnet import EfficientUNet
from CovidCTLib.models.inference import prepare_for_inference
from CovidCTLib.models.networks import LUNG_ARCHITECTURE, OPACITY_ARCHITECTURE, SLICE_ARCHITECTURE, build_network
from CovidCTLib.models.store import ModelStore

SMALL_RESNET = {"kind": "resnet", "layers": [1, 1, 1, 1], "widths": [8, 8, 8, 8]}


def count_normalizations(network: torch.nn.Module) -> int:
    """Count the batch normalizations of a network."""
    return sum(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())


@pytest.fixture(params=[LUNG_ARCHITECTURE, OPACITY_ARCHITECTURE, SLICE_ARCHITECTURE, SMALL_RESNET])
def network(request: pytest.FixtureRequest) -> torch.nn.Module:
    """A network that has seen some images: each of its normalizations does something of its own."""
    torch.manual_seed(3)
    made = build_network(request.param).eval()
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
    return made


def test_a_folded_network_answers_as_before(network: torch.nn.Module) -> None:
    images = torch.rand(2, 1, 224, 224)
    folded = copy.deepcopy(network)
    prepare_for_inference(folded, torch.zeros(1, 1, 64, 64))
    with torch.inference_mode():
        expected, found = network(images), folded(images)
    assert count_normalizations(network) > 0
    assert count_normalizations(folded) == 0
    assert expected.std() > 0
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_the_maps_of_a_classifier_are_as_before() -> None:
    network = build_network(SLICE_ARCHITECTURE).eval()
    folded = copy.deepcopy(network)
    prepare_for_inference(folded, torch.zeros(1, 1, 64, 64))
    images = torch.rand(1, 1, 224, 224)
    with torch.inference_mode():
        for expected, found in zip(network.with_spots(images), folded.with_spots(images), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_a_normalization_without_a_convolution_before_it_stays() -> None:
    network = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.BatchNorm2d(1), torch.nn.Conv2d(1, 1, 3)).eval()
    prepare_for_inference(network, torch.zeros(1, 1, 8, 8))
    assert count_normalizations(network) == 1


def test_shipped_networks_run_without_normalization() -> None:
    network = ModelStore().opacities().network
    assert isinstance(network, EfficientUNet)
    assert count_normalizations(network) == 0
