"""The classifier's activations are where the localization expects them."""

from __future__ import annotations

import pytest
import torch

from CovidCTLib.models.networks import FIRST_WEIGHT_OF_SPOTS, SLICE_ARCHITECTURE, SliceClassifier, build_network
from CovidCTLib.training.architectures import EFFICIENTNET

RESNET = {"kind": "resnet", "layers": [3, 4, 6, 3], "widths": [8, 16, 32, 64]}


@pytest.mark.parametrize("architecture", [SLICE_ARCHITECTURE, EFFICIENTNET, RESNET])
def test_classifier_gives_a_verdict_and_maps_at_28_and_14(architecture: dict[str, object]) -> None:
    network = build_network(architecture).eval()
    assert isinstance(network, SliceClassifier)
    images = torch.rand(2, 1, 224, 224)
    with torch.inference_mode():
        verdict, at_28, at_14 = network.with_spots(images)
        assert network(images).equal(verdict)
        assert all(a.equal(b) for a, b in zip(network.spots(images), (at_28, at_14), strict=True))
    assert verdict.shape == (2,)
    assert at_28.shape == (2, 28, 28)
    assert at_14.shape == (2, 14, 14)


def test_the_verdict_rises_with_what_the_maps_show() -> None:
    network = build_network(SLICE_ARCHITECTURE).eval()
    assert isinstance(network, SliceClassifier)
    images = torch.rand(1, 1, 224, 224)
    with torch.inference_mode():
        before = network(images)
        network.spots_28.bias += 3
        after = network(images)
    assert (after - before).item() == pytest.approx(3 * FIRST_WEIGHT_OF_SPOTS, abs=1e-4)


def test_a_resnet_classifier_has_the_blocks_of_resnet_50_up_to_14_x_14() -> None:
    network = build_network(RESNET)
    assert isinstance(network, SliceClassifier)
    blocks = [len(getattr(network.backbone, f"layer{k}")) for k in (1, 2, 3)]
    assert blocks == [3, 4, 6]
    assert not hasattr(network.backbone, "layer4")
    assert type(network.backbone.layer1[0]).__name__ == "ResNetBottleneck"
