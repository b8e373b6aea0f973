"""The classifier's activations are where the localization expects them."""

from __future__ import annotations

import pytest
import torch

from CovidCTLib.models.networks import SLICE_ARCHITECTURE, SliceClassifier, build_network

RESNET = {"kind": "resnet", "layers": [3, 4, 6, 3], "widths": [8, 16, 32, 64], "hidden": 64}


@pytest.mark.parametrize("architecture", [SLICE_ARCHITECTURE, RESNET])
def test_classifier_ends_its_stages_at_28_and_14(architecture: dict[str, object]) -> None:
    network = build_network(architecture).eval()
    assert isinstance(network, SliceClassifier)
    with torch.inference_mode():
        at_28 = network.stem(torch.rand(2, 1, 224, 224))
        at_14 = network.middle(at_28)
        assert at_28.shape[2:] == (28, 28)
        assert at_14.shape[2:] == (14, 14)
        assert network.head(at_14).shape == (2,)


def test_a_resnet_classifier_has_the_blocks_of_resnet_50() -> None:
    network = build_network(RESNET)
    assert isinstance(network, SliceClassifier)
    blocks = [len(getattr(network.backbone, f"layer{k}")) for k in (1, 2, 3, 4)]
    assert blocks == [3, 4, 6, 3]
    assert type(network.backbone.layer1[0]).__name__ == "ResNetBottleneck"
