"""Starting from given weights: what fits is taken, and what does not is said."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets import EfficientNet

from CovidCTLib.errors import ModelError
from CovidCTLib.models.efficientnet import _BLOCKS
from CovidCTLib.models.networks import OPACITY_ARCHITECTURE, SLICE_ARCHITECTURE, build_network
from CovidCTLib.training.initial import initialize

RESNET = {"kind": "resnet", "layers": [1, 1, 1, 1], "widths": [4, 8, 16, 32]}


@pytest.fixture(scope="module")
def photograph_weights() -> dict[str, torch.Tensor]:
    """Weights of a colour EfficientNet, named as in the file of the Lite0 weights: blocks by number, without stages."""
    network = EfficientNet(list(_BLOCKS), spatial_dims=2, in_channels=3, num_classes=10, image_size=224)
    named = {}
    for name, tensor in network.state_dict().items():
        parts = name.split(".")
        named[".".join([parts[0], *parts[2:]]) if parts[0] == "_blocks" else name] = torch.rand_like(tensor.float())
    return named


@pytest.mark.parametrize(
    ("architecture", "left_out"),
    [(OPACITY_ARCHITECTURE, "_conv_head.weight"), (SLICE_ARCHITECTURE, "_blocks.11._expand_conv.weight")],
)
def test_an_encoder_takes_every_tensor_of_weights_from_photographs(
    architecture: dict[str, object], left_out: str, photograph_weights: dict[str, torch.Tensor]
) -> None:
    network = build_network(architecture)
    sentence = initialize(network, photograph_weights)
    encoder = network.encoder if hasattr(network, "encoder") else network.backbone
    assert f"{len(encoder.state_dict())} of {len(network.state_dict())} tensors taken" in sentence
    assert left_out in sentence
    assert torch.equal(encoder.stem[1].weight, photograph_weights["_conv_stem.weight"])
    last = encoder.stages[4][0]._project_conv.weight
    assert torch.equal(last, photograph_weights["_blocks.8._project_conv.weight"])


def test_prefixes_of_other_programs_do_not_matter() -> None:
    network, other = build_network(RESNET), build_network(RESNET)
    foreign = {f"module.{name}": tensor for name, tensor in other.state_dict().items()}
    assert "none start at random" in initialize(network, foreign)
    assert torch.equal(network.spots_14.weight, other.spots_14.weight)


def test_tensors_of_another_shape_are_named() -> None:
    network = build_network(RESNET)
    wider = build_network({**RESNET, "widths": [4, 8, 17, 32]})
    sentence = initialize(network, wider.state_dict())
    assert "22 (backbone.layer3.0.conv1.weight, backbone.layer3.0.bn1.weight, " in sentence
    assert "have another shape and none have no place here" in sentence


def test_weights_without_a_fit_are_refused() -> None:
    with pytest.raises(ModelError, match=r"None of the 1 given tensors fits .*first given: strange; first expected"):
        initialize(build_network(RESNET), {"strange": torch.zeros(2)})


def test_a_first_layer_for_colour_is_summed_to_grey() -> None:
    network = build_network(RESNET)
    colour = torch.rand(4, 3, 7, 7)
    grey = network.backbone.conv1.weight
    initialize(network, {"backbone.conv1.weight": colour})
    assert torch.allclose(grey, colour.sum(dim=1, keepdim=True))
